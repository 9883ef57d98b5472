package sim

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"
)

// offering is a type in a zone with a lifecycle: what shortages and prices are about.
type offering struct {
	kind, zone string
	spot       bool
}

// shortage is an offering that has little or no capacity for a while.
type shortage struct {
	left  int // instances that can still be had
	until time.Time
}

// candidate is everything that is known of an instance before it is launched.
type candidate struct {
	kind      *instanceType
	subnet    *subnet
	image     *image
	spot      bool
	userData  string
	profile   *IamInstanceProfile
	groups    []string
	keyName   string
	threads   int
	protected bool
	tags      []Tag
	priority  float64
	weight    float64
	price     int64
	from      LaunchTemplateAndOverrides
}

func (o *candidate) offering() offering { return offering{o.kind.name, o.subnet.Zone, o.spot} }

// launchRecord is a request that carried a client token, and what came of it.
type launchRecord struct {
	body []byte
	out  []byte
}

// bodyOf is a request as bytes, to tell whether another one is the same.
func bodyOf(in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, clientError("InvalidParameterValue", "%v", err)
	}
	return body, nil
}

// repeated looks for an earlier request with the same client token. If there was one its
// answer is given again, unless it asked for something else.
func (w *World) repeated(operation, clientToken string, body []byte, out any) (bool, error) {
	if clientToken == "" {
		return false, nil
	}
	const longest = 64
	if len(clientToken) > longest {
		return false, clientError("InvalidParameterValue", "Client token is longer than %d characters", longest)
	}
	record, found := w.launches[operation+" "+clientToken]
	if !found {
		return false, nil
	}
	if !slices.Equal(record.body, body) {
		if operation == "RunTask" {
			return false, clientError(codeConflict, "The client token was used before with other parameters.")
		}
		return false, clientError("IdempotentParameterMismatch", "The client token you have provided is associated with a resource that was created with different parameters. Please check your parameters and try again.")
	}
	if err := json.Unmarshal(record.out, out); err != nil {
		return false, &Error{Code: "InternalError", Message: err.Error(), Fault: FaultServer}
	}
	w.seen.TokenReplays++
	return true, nil
}

// remember keeps the answer for a repetition of the request.
func (w *World) remember(operation, clientToken string, body []byte, out any) {
	if clientToken == "" {
		return
	}
	if answer, err := json.Marshal(out); err == nil {
		w.launches[operation+" "+clientToken] = launchRecord{body, answer}
	}
}

// apply fills a candidate from launch template data.
func (w *World) apply(o *candidate, d RequestLaunchTemplateData) error {
	o.groups, o.keyName, o.profile, o.protected = d.SecurityGroupIDs, d.KeyName, d.IamInstanceProfile, d.DisableAPITermination
	if d.CPUOptions != nil {
		o.threads = d.CPUOptions.ThreadsPerCore
	}
	o.tags = tagsFor(d.TagSpecifications, "instance")
	for _, n := range d.NetworkInterfaces {
		o.groups = append(slices.Clone(o.groups), n.Groups...)
	}
	if d.UserData != "" {
		raw, err := base64.StdEncoding.DecodeString(d.UserData)
		if err != nil {
			return clientError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
		}
		const most = 16 << 10
		if len(raw) > most {
			return clientError("InvalidParameterValue", "User data is limited to %d bytes", most)
		}
		o.userData = string(raw)
	}
	return nil
}

// complete finds the type, subnet and image of a candidate and checks that they go
// together.
func (w *World) complete(o *candidate, typeName, subnetID, zone, imageID string) error {
	if o.kind = w.typeNamed[typeName]; o.kind == nil {
		return clientError("InvalidParameterValue", "The following supplied instance types do not exist: [%s]", clip(typeName))
	}
	switch {
	case subnetID != "":
		if o.subnet = w.subnet(subnetID); o.subnet == nil {
			return clientError("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", clip(subnetID))
		}
	case zone != "":
		if o.subnet = w.subnetIn(zone); o.subnet == nil {
			return clientError("InvalidParameterValue", "Invalid availability zone: [%s]", clip(zone))
		}
	default:
		o.subnet = w.subnets[0] // the default subnet
	}
	var err error
	if o.image, err = w.resolveImage(imageID); err != nil {
		return err
	}
	arch := "x86_64"
	if o.kind.arm {
		arch = "arm64"
	}
	if o.image.Architecture != arch {
		return clientError("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.", arch, o.image.Architecture)
	}
	if !slices.Contains(o.kind.zones, o.subnet.Zone) {
		return clientError("Unsupported", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). Please retry your request by not specifying an Availability Zone or choosing another.", typeName, o.subnet.Zone)
	}
	o.price = o.kind.onDemand
	if o.spot {
		o.price = w.spotPrice(o.kind, o.subnet.Zone, w.now)
	}
	return nil
}

func (w *World) subnetIn(zone string) *subnet {
	for _, s := range w.subnets {
		if s.Zone == zone {
			return s
		}
	}
	return nil
}

// capacity is how many of want instances EC2 gives now, and why not all of them.
func (w *World) capacity(o *candidate, want int) (int, error) {
	got := want
	var why error
	bound := func(room int, err *Error) {
		if room < got {
			got, why = max(room, 0), err
		}
	}
	if s, short := w.shortages[o.offering()]; short && w.now.Before(s.until) {
		text := "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity. You can currently get %[1]s capacity by not specifying an Availability Zone in your request or choosing another."
		if o.spot {
			text = "There is no Spot capacity available that matches your request. (%s in %s)"
		}
		bound(s.left, clientError("InsufficientInstanceCapacity", text, o.kind.name, o.subnet.Zone))
	}
	quota, code := w.cfg.VCPUQuota.OnDemand, "VcpuLimitExceeded"
	if o.spot {
		quota, code = w.cfg.VCPUQuota.Spot, "MaxSpotInstanceCountExceeded"
	}
	if quota > 0 {
		room := (quota - w.vcpus[o.spot]) / max(o.kind.vcpus, 1)
		bound(int(room), clientError(code, "You have requested more vCPU capacity than your current vCPU limit of %d allows for the instance bucket that the specified instance type belongs to.", quota))
	}
	bound(o.subnet.free, clientError("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", o.subnet.ID))
	return got, why
}

// take launches instances of a candidate whose capacity was found.
func (w *World) take(reservation, clientToken string, o candidate, count int) []*instance {
	if s, short := w.shortages[o.offering()]; short {
		s.left = max(s.left-count, 0)
		w.shortages[o.offering()] = s
	}
	list := make([]*instance, 0, count)
	for range count {
		list = append(list, w.launch(reservation, clientToken, o))
	}
	return list
}

// RunInstances launches instances of one type in one subnet: at least MinCount or none.
func (w *World) RunInstances(in *RunInstancesInput) (*RunInstancesOutput, error) {
	if in.DryRun {
		return nil, dryRun()
	}
	var done RunInstancesOutput
	body, err := bodyOf(in)
	if err != nil {
		return nil, err
	}
	operation := "RunInstances " + cmp.Or(in.SubnetID, in.Placement.AvailabilityZone) // its tokens are zonal
	if found, err := w.repeated(operation, in.ClientToken, body, &done); err != nil || found {
		return &done, err
	}
	if in.MinCount < 1 || in.MaxCount < in.MinCount {
		return nil, clientError("InvalidParameterValue", "MinCount must be at least 1 and at most MaxCount: %d, %d", in.MinCount, in.MaxCount)
	}
	o, err := w.asked(in)
	if err != nil {
		return nil, err
	}
	got, why := w.capacity(&o, in.MaxCount)
	if got < in.MinCount {
		return nil, why
	}
	out := &RunInstancesOutput{ReservationID: "r-" + w.hex("reservation", 17), OwnerID: w.cfg.Account}
	for _, m := range w.take(out.ReservationID, in.ClientToken, o, got) {
		out.Instances = append(out.Instances, m.describe())
	}
	w.seen.asked(in.ClientToken, in.MaxCount)
	w.remember(operation, in.ClientToken, body, out)
	return out, nil
}

// asked is the candidate that RunInstances asks for.
func (w *World) asked(in *RunInstancesInput) (candidate, error) {
	data := RequestLaunchTemplateData{}
	if in.LaunchTemplate != (LaunchTemplateSpecification{}) {
		t, err := w.template(in.LaunchTemplate)
		if err != nil {
			return candidate{}, err
		}
		v, err := t.version(in.LaunchTemplate.Version)
		if err != nil {
			return candidate{}, err
		}
		data = v.LaunchTemplateData
	}
	own := RequestLaunchTemplateData{
		ImageID: in.ImageID, InstanceType: in.InstanceType, KeyName: in.KeyName, UserData: in.UserData,
		SecurityGroupIDs: in.SecurityGroupIDs, NetworkInterfaces: in.NetworkInterfaces, DisableAPITermination: in.DisableAPITermination,
	}
	if in.IamInstanceProfile != (IamInstanceProfile{}) {
		own.IamInstanceProfile = &in.IamInstanceProfile
	}
	if in.InstanceMarketOptions.MarketType != "" {
		own.InstanceMarketOptions = &in.InstanceMarketOptions
	}
	if in.CPUOptions != (CPUOptions{}) {
		own.CPUOptions = &in.CPUOptions
	}
	data = data.with(own)
	o := candidate{spot: data.InstanceMarketOptions != nil && data.InstanceMarketOptions.MarketType == "spot"}
	if err := w.apply(&o, data); err != nil {
		return o, err
	}
	o.tags = append(slices.Clone(o.tags), tagsFor(in.TagSpecifications, "instance")...)
	subnetID := in.SubnetID
	for _, n := range data.NetworkInterfaces {
		subnetID = cmp.Or(subnetID, n.SubnetID)
	}
	err := w.complete(&o, cmp.Or(data.InstanceType, "m1.small"), subnetID, in.Placement.AvailabilityZone, data.ImageID)
	return o, err
}

// TerminateInstances ends instances. One unknown ID fails the call; a protected instance
// fails it for its zone.
func (w *World) TerminateInstances(in *TerminateInstancesInput) (*TerminateInstancesOutput, error) {
	if in.DryRun {
		return nil, dryRun()
	}
	const most = 1000
	if len(in.InstanceIDs) == 0 || len(in.InstanceIDs) > most {
		return nil, clientError("InvalidParameterCombination", "Name between 1 and %d instances: %d", most, len(in.InstanceIDs))
	}
	guarded := map[string]string{} // zone → a protected instance in it
	for _, id := range in.InstanceIDs {
		m := w.instances[id]
		if m == nil || !w.visible(m) {
			return nil, noInstance(id)
		}
		if m.protected && m.alive() {
			guarded[m.subnet.Zone] = id
		}
	}
	out := &TerminateInstancesOutput{}
	var refused error
	for _, id := range in.InstanceIDs {
		m := w.instances[id]
		if by, ok := guarded[m.subnet.Zone]; ok {
			refused = clientError("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", by)
			continue
		}
		before := m.state
		if m.alive() {
			w.seen.terminated(w, m)
			w.terminate(m, StateReason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"})
		}
		out.TerminatingInstances = append(out.TerminatingInstances, InstanceStateChange{
			InstanceID: id, CurrentState: m.state.describe(), PreviousState: before.describe(),
		})
	}
	if refused != nil {
		return nil, refused
	}
	return out, nil
}

func noInstance(id string) *Error {
	return clientError("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", clip(id))
}
