package cloud

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/action"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// Launcher is the face of an account that launches. It cannot end an instance.
type Launcher struct {
	account   *Account
	readEC2   launcherReadEC2
	changeEC2 launcherChangeEC2
	readECS   instanceReads
	changeECS launcherChangeECS
	ssm       parameters
}

// Launcher makes the face that launches.
func (a *Account) Launcher() *Launcher {
	return &Launcher{account: a, readEC2: a.readEC2, changeEC2: a.changeEC2, readECS: a.readECS, changeECS: a.changeECS, ssm: a.ssm}
}

// Order is a launch with what its instances are tagged by.
type Order struct {
	Cluster      fleet.ClusterName
	Installation string
	Generation   uint64
	Plan         fleet.PlanID
	Trace        string // trace ID of the decision, if it has one
	Action       *fleet.Action
}

// frozenLaunch is a launch request with nothing left to decide. Its JSON is what is stored
// before the first call and sent by every one.
type frozenLaunch struct {
	Format       int              `json:"format"`
	Cluster      string           `json:"cluster"`
	Token        string           `json:"token"` // EC2's client token: the action's ID
	Template     string           `json:"template"`
	TemplateData json.RawMessage  `json:"templateData"`
	Lifecycle    fleet.Lifecycle  `json:"lifecycle"`
	Count        int              `json:"count"`
	Overrides    []frozenOverride `json:"overrides"`
	Tags         []snapshot.Tag   `json:"tags"`
}

// frozenOverride is one offering of a frozen launch, in order of preference.
type frozenOverride struct {
	Type   fleet.TypeName `json:"type"`
	Zone   fleet.Zone     `json:"zone"`
	Subnet fleet.SubnetID `json:"subnet"`
	Image  fleet.ImageID  `json:"image,omitempty"`
	// Volumes are those whose size is another than in the template.
	Volumes []frozenVolume `json:"volumes,omitempty"`
}

// frozenVolume is the size of a volume that grows with the type.
type frozenVolume struct {
	Device  string `json:"device"`
	SizeGiB int64  `json:"sizeGiB"`
}

// frozenFormat is the version of the form of frozen launches. A process that meets another
// one leaves it to a newer process.
const frozenFormat = 1

// frozenWithVolumes is the form of those whose volumes grow with the type. All others stay
// readable for a build that knows no such volumes.
const frozenWithVolumes = 2

// Freeze turns a launch into the bytes that [Launcher.Launch] sends. It only reads: images
// from SSM, the launch template that the spec names. The client token is the action's ID.
func (l *Launcher) Freeze(ctx context.Context, o Order) ([]byte, error) {
	launch := o.Action.Launch
	if launch == nil || o.Action.ID == "" || o.Installation == "" {
		return nil, fmt.Errorf("%w: freeze action %q of kind %q for installation %q: needs a launch, an ID and an installation", fleet.ErrInvalid, o.Action.ID, o.Action.Kind, o.Installation)
	}
	data, err := l.templateData(ctx, o.Cluster, launch)
	if err != nil {
		return nil, fmt.Errorf("freeze launch %s: %w", o.Action.ID.Short(), err)
	}
	overrides, err := l.overrides(ctx, launch)
	if err != nil {
		return nil, fmt.Errorf("freeze launch %s: %w", o.Action.ID.Short(), err)
	}
	frozen := frozenLaunch{
		Format: frozenFormat, Cluster: string(o.Cluster), Token: string(o.Action.ID),
		Template: templateName(o.Installation, data), TemplateData: data,
		Lifecycle: launch.Lifecycle, Count: launch.Count, Overrides: overrides, Tags: o.tags(),
	}
	if slices.ContainsFunc(overrides, func(o frozenOverride) bool { return len(o.Volumes) > 0 }) {
		frozen.Format = frozenWithVolumes
	}
	b, err := json.Marshal(frozen)
	if err != nil {
		return nil, fmt.Errorf("freeze launch %s: %w", o.Action.ID.Short(), err)
	}
	return b, nil
}

// overrides lists the offerings. A fleet request takes one subnet of each zone: the first
// that the plan names.
func (l *Launcher) overrides(ctx context.Context, launch *fleet.Launch) ([]frozenOverride, error) {
	var unresolved []string
	for i := range launch.Offerings {
		if o := &launch.Offerings[i]; o.ImageID == "" && o.Image != "" {
			unresolved = append(unresolved, o.Image)
		}
	}
	resolved := map[string]fleet.ImageID{}
	images, err := resolveImages(ctx, l.ssm, unresolved)
	if err != nil {
		return nil, err
	}
	for _, image := range images {
		resolved[image.Parameter] = fleet.ImageID(image.ID)
	}
	subnets := map[fleet.Zone]fleet.SubnetID{}
	var overrides []frozenOverride
	for i := range launch.Offerings {
		o := &launch.Offerings[i]
		if subnets[o.Zone] == "" {
			subnets[o.Zone] = o.Subnet
		}
		override := frozenOverride{Type: o.Type, Zone: o.Zone, Subnet: o.Subnet, Image: cmp.Or(o.ImageID, resolved[o.Image])}
		same := func(other frozenOverride) bool {
			return other.Type == override.Type && other.Subnet == override.Subnet && other.Image == override.Image
		}
		if subnets[o.Zone] == o.Subnet && !slices.ContainsFunc(overrides, same) {
			override.Volumes = volumesFor(launch.Spec.BlockDevices, o.Capacity)
			overrides = append(overrides, override)
		}
	}
	if len(overrides) == 0 || launch.Count < 1 {
		return nil, fmt.Errorf("%w: %d instances of %d offerings: needs at least one of each", fleet.ErrInvalid, launch.Count, len(overrides))
	}
	return overrides, nil
}

// volumesFor sizes the volumes that grow for an instance of so much capacity.
func volumesFor(devices []fleet.BlockDevice, capacity fleet.Resources) []frozenVolume {
	var volumes []frozenVolume
	for i := range devices {
		if d := &devices[i]; d.Grows() {
			volumes = append(volumes, frozenVolume{Device: d.Device, SizeGiB: min(d.SizeFor(capacity), largestVolume(d.Type))})
		}
	}
	return volumes
}

// largestVolume is the most GiB that EBS makes of a type of volume.
func largestVolume(t fleet.VolumeType) int64 {
	switch t {
	case "", "gp3", "io2":
		return 64 << 10
	case "standard":
		return 1 << 10
	}
	return 16 << 10
}

// tags are those of the launch spec, under those that say whose the instance is. The latter
// are put on in the launch call itself: there is no moment without them.
func (o *Order) tags() []snapshot.Tag {
	launch := o.Action.Launch
	values := map[string]string{"Name": string(o.Cluster)}
	maps.Copy(values, launch.Spec.Tags)
	identity := map[string]string{
		fleet.TagOwner: o.Installation, fleet.TagCluster: string(o.Cluster),
		fleet.TagGeneration: strconv.FormatUint(o.Generation, 10),
		fleet.TagAction:     string(o.Action.ID), fleet.TagPlan: string(o.Plan), fleet.TagLaunchSpec: string(launch.Spec.Name),
		// An action is begun before its deadline or not at all, so this is the latest moment at
		// which an instance of it may join.
		fleet.TagDeadline: o.Action.Deadline.Add(time.Duration(launch.Boot)).UTC().Format(time.RFC3339),
	}
	if o.Trace != "" {
		identity[fleet.TagTrace] = o.Trace
	}
	if n := launch.Spec.ReservedMemory; n > 0 {
		identity[fleet.TagReserved] = strconv.FormatInt(n, 10)
	}
	if fingerprint, err := launch.Spec.Fingerprint(); err == nil {
		identity[fleet.TagSpec] = fingerprint
	}
	maps.Copy(values, identity)
	tags := make([]snapshot.Tag, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		tags = append(tags, snapshot.Tag{Key: key, Value: values[key]})
	}
	return tags
}

// Launch sends a frozen launch: it makes sure of the launch template, then creates an
// instant fleet. EC2 may give fewer instances than asked for, and say of which offerings it
// had none: that is no error. The same bytes may be sent again while the result is unknown
// (fleet.ErrUnknown) or the call was throttled; they launch once.
func (l *Launcher) Launch(ctx context.Context, frozen []byte) (launched []fleet.LaunchedInstance, failures []fleet.OfferingFailure, requestID string, err error) {
	f, err := thaw(frozen)
	if err != nil {
		return nil, nil, "", err
	}
	if err := l.ensureTemplate(ctx, f); err != nil {
		return nil, nil, requestIDOf(err), err
	}
	out, err := call(ctx, l.changeEC2.CreateFleet, f.request())
	if err != nil {
		if hasCode(err, templateMissing) { // it was made a moment ago and is not visible yet
			err = as(fleet.ErrUnknown, err)
		}
		return nil, nil, requestIDOf(err), fmt.Errorf("launch %d instances for %s: %w", f.Count, f.Cluster, err)
	}
	requestID, _ = awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	for i := range out.Instances {
		launched = append(launched, f.launched(&out.Instances[i])...)
	}
	for i := range out.Errors {
		failures = append(failures, f.failure(&out.Errors[i]))
	}
	return launched, failures, requestID, nil
}

const templateMissing = "InvalidLaunchTemplateName.NotFoundException"

func thaw(frozen []byte) (*frozenLaunch, error) {
	var form struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(frozen, &form); err != nil {
		return nil, fmt.Errorf("%w: frozen launch: %w", fleet.ErrInvalid, err)
	}
	if form.Format != frozenFormat && form.Format != frozenWithVolumes {
		return nil, fmt.Errorf("%w: frozen launch of format %d, this build sends %d and %d", fleet.ErrVersion, form.Format, frozenFormat, frozenWithVolumes)
	}
	var f frozenLaunch
	decoder := json.NewDecoder(bytes.NewReader(frozen))
	decoder.DisallowUnknownFields() // what was not sent the first time must not be dropped the second
	if err := decoder.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: frozen launch: %w", fleet.ErrInvalid, err)
	}
	if f.Token == "" || f.Count < 1 || len(f.Overrides) == 0 || !strings.HasPrefix(f.Template, templatePrefix) {
		return nil, fmt.Errorf("%w: frozen launch without token, count, offering or template", fleet.ErrInvalid)
	}
	return &f, nil
}

// request is the same for the same frozen launch.
func (f *frozenLaunch) request() *ec2.CreateFleetInput {
	config := ec2types.FleetLaunchTemplateConfigRequest{
		LaunchTemplateSpecification: &ec2types.FleetLaunchTemplateSpecificationRequest{
			LaunchTemplateName: aws.String(f.Template), Version: aws.String("1"),
		},
	}
	for i, o := range f.Overrides {
		override := ec2types.FleetLaunchTemplateOverridesRequest{
			InstanceType: ec2types.InstanceType(o.Type), SubnetId: aws.String(string(o.Subnet)), Priority: aws.Float64(float64(i)),
		}
		if o.Image != "" {
			override.ImageId = aws.String(string(o.Image))
		}
		for _, v := range o.Volumes { // EC2 takes the rest of the device from the template
			override.BlockDeviceMappings = append(override.BlockDeviceMappings, ec2types.FleetBlockDeviceMappingRequest{
				DeviceName: aws.String(v.Device), Ebs: &ec2types.FleetEbsBlockDeviceRequest{VolumeSize: sizeOrNil(v.SizeGiB)},
			})
		}
		config.Overrides = append(config.Overrides, override)
	}
	in := &ec2.CreateFleetInput{
		Type: ec2types.FleetTypeInstant, ClientToken: aws.String(f.Token),
		LaunchTemplateConfigs: []ec2types.FleetLaunchTemplateConfigRequest{config},
		TargetCapacitySpecification: &ec2types.TargetCapacitySpecificationRequest{
			TotalTargetCapacity: aws.Int32(int32(min(f.Count, 10_000))), // EC2's limit for one fleet
		},
	}
	if f.Lifecycle == fleet.Spot {
		in.TargetCapacitySpecification.DefaultTargetCapacityType = ec2types.DefaultTargetCapacityTypeSpot
		// The pools least likely to be interrupted among the cheap ones, as EC2 recommends.
		in.SpotOptions = &ec2types.SpotOptionsRequest{AllocationStrategy: ec2types.SpotAllocationStrategyPriceCapacityOptimized}
	} else {
		in.TargetCapacitySpecification.DefaultTargetCapacityType = ec2types.DefaultTargetCapacityTypeOnDemand
		// In the plan's own order: it knows what EC2 does not, such as what fits.
		in.OnDemandOptions = &ec2types.OnDemandOptionsRequest{AllocationStrategy: ec2types.FleetOnDemandAllocationStrategyPrioritized}
	}
	for _, kind := range []ec2types.ResourceType{ec2types.ResourceTypeInstance, ec2types.ResourceTypeVolume} {
		in.TagSpecifications = append(in.TagSpecifications, tagSpecification(kind, f.Tags))
	}
	in.TagSpecifications = append(in.TagSpecifications, tagSpecification(ec2types.ResourceTypeFleet, f.Tags, fleet.TagOwner, fleet.TagCluster, fleet.TagAction))
	return in
}

// tagSpecification tags a kind of resource, with the tags of the given keys or with all.
func tagSpecification(kind ec2types.ResourceType, tags []snapshot.Tag, only ...string) ec2types.TagSpecification {
	spec := ec2types.TagSpecification{ResourceType: kind}
	for _, t := range tags {
		if len(only) == 0 || slices.Contains(only, t.Key) {
			spec.Tags = append(spec.Tags, ec2types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
		}
	}
	return spec
}

func (f *frozenLaunch) launched(set *ec2types.CreateFleetInstance) []fleet.LaunchedInstance {
	where := f.override(set.LaunchTemplateAndOverrides)
	var launched []fleet.LaunchedInstance
	for _, id := range set.InstanceIds {
		launched = append(launched, fleet.LaunchedInstance{
			ID: fleet.InstanceID(id), Type: cmp.Or(fleet.TypeName(set.InstanceType), where.Type),
			Zone:   cmp.Or(where.Zone, fleet.Zone(text(set.AvailabilityZone))),
			Subnet: cmp.Or(where.Subnet, fleet.SubnetID(text(set.SubnetId))), Lifecycle: f.Lifecycle,
		})
	}
	return launched
}

func (f *frozenLaunch) failure(e *ec2types.CreateFleetError) fleet.OfferingFailure {
	where := f.override(e.LaunchTemplateAndOverrides)
	failure := fleet.OfferingFailure{
		Offering: fleet.OfferingKey{Type: where.Type, Zone: where.Zone, Lifecycle: f.Lifecycle},
		Class:    classOfCode(text(e.ErrorCode)), Code: text(e.ErrorCode), Message: text(e.ErrorMessage),
	}
	if failure.Code == templateMissing {
		failure.Class = fleet.FailureStale // not wrong, only not visible yet: the next plan asks again
	}
	return failure
}

// override is the offering that an answer speaks of.
func (f *frozenLaunch) override(answer *ec2types.LaunchTemplateAndOverridesResponse) frozenOverride {
	if answer == nil || answer.Overrides == nil {
		return frozenOverride{}
	}
	got := frozenOverride{
		Type:   fleet.TypeName(answer.Overrides.InstanceType),
		Zone:   fleet.Zone(text(answer.Overrides.AvailabilityZone)),
		Subnet: fleet.SubnetID(text(answer.Overrides.SubnetId)),
	}
	for _, o := range f.Overrides {
		if o.Subnet == got.Subnet && got.Zone == "" {
			got.Zone = o.Zone
		}
	}
	return got
}

// FindByAction finds the instances that an action launched, ended ones included, by their
// tag. None may mean that EC2 does not show them yet.
func (l *Launcher) FindByAction(ctx context.Context, id fleet.ActionID) ([]fleet.LaunchedInstance, error) {
	found, err := describeInstances(ctx, l.readEC2, tagFilter(fleet.TagAction, string(id)))
	if err != nil {
		return nil, fmt.Errorf("find instances of action %s: %w", id.Short(), err)
	}
	return convert(found, func(i *ec2types.Instance) fleet.LaunchedInstance {
		inst := ec2Instance(i)
		out := fleet.LaunchedInstance{
			ID: fleet.InstanceID(inst.ID), Type: fleet.TypeName(inst.Type), Zone: fleet.Zone(inst.Zone),
			Subnet: fleet.SubnetID(inst.Subnet), Lifecycle: fleet.OnDemand,
		}
		if inst.Lifecycle == "spot" {
			out.Lifecycle = fleet.Spot
		}
		return out
	}), nil
}

// CountOwned counts the instances of a cluster that an installation has running or
// starting, registered or not.
func (l *Launcher) CountOwned(ctx context.Context, cluster fleet.ClusterName, installation string) (int, error) {
	found, err := describeInstances(ctx, l.readEC2,
		tagFilter(fleet.TagCluster, string(cluster)), tagFilter(fleet.TagOwner, installation),
		ec2types.Filter{Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}})
	if err != nil {
		return 0, fmt.Errorf("count the instances of %s: %w", cluster, err)
	}
	return len(found), nil
}

// Look tells what became of instances: which have joined the cluster, and whether with the
// attributes they should have, and which EC2 has ended.
func (l *Launcher) Look(ctx context.Context, cluster fleet.ClusterName, ids []fleet.InstanceID, attributes []fleet.Attribute) (registered []action.Registered, gone []fleet.InstanceID, err error) {
	const idsPerFilter = 50 // an expression may have 2,000 characters, an ID has 19
	for batch := range slices.Chunk(ids, idsPerFilter) {
		joined, err := l.joined(ctx, cluster, batch, attributes)
		if err != nil {
			return nil, nil, fmt.Errorf("look at %d instances: %w", len(ids), err)
		}
		registered = append(registered, joined...)
	}
	var unregistered []string
	for _, id := range ids {
		if !slices.ContainsFunc(registered, func(r action.Registered) bool { return r.Instance == id }) {
			unregistered = append(unregistered, string(id))
		}
	}
	for batch := range slices.Chunk(unregistered, filterValues) {
		found, err := describeInstances(ctx, l.readEC2, ec2types.Filter{Name: aws.String("instance-id"), Values: batch})
		if err != nil {
			return nil, nil, fmt.Errorf("look at %d instances: %w", len(ids), err)
		}
		for i := range found {
			if inst := ec2Instance(&found[i]); hasEnded(inst.State) {
				gone = append(gone, fleet.InstanceID(inst.ID))
			}
		}
	}
	return registered, gone, nil
}

func hasEnded(state string) bool { return state == "shutting-down" || state == "terminated" }

func (l *Launcher) joined(ctx context.Context, cluster fleet.ClusterName, ids []fleet.InstanceID, attributes []fleet.Attribute) ([]action.Registered, error) {
	arns, err := listContainerInstances(ctx, l.readECS, cluster, idFilter(ids))
	if err != nil {
		return nil, err
	}
	found, err := describeContainerInstances(ctx, l.readECS, cluster, arns)
	if err != nil {
		return nil, err
	}
	var joined []action.Registered
	for i := range found {
		ci := containerInstance(&found[i])
		if ci.Status != "ACTIVE" && ci.Status != "DRAINING" {
			continue
		}
		missing := slices.ContainsFunc(attributes, func(want fleet.Attribute) bool { return !slices.Contains(ci.Attributes, want) })
		joined = append(joined, action.Registered{
			Instance: fleet.InstanceID(ci.EC2InstanceID), ContainerInstance: fleet.ContainerInstanceID(lastPart(ci.ARN)), Attributes: !missing,
		})
	}
	return joined, nil
}

// idFilter is an expression of the cluster query language for instances by their IDs.
func idFilter(ids []fleet.InstanceID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	return "ec2InstanceId in [" + strings.Join(names, ",") + "]"
}

// PutAttributes puts attributes on a container instance, over those of the same name.
func (l *Launcher) PutAttributes(ctx context.Context, cluster fleet.ClusterName, id fleet.ContainerInstanceID, attributes []fleet.Attribute) error {
	const atOnce = 10 // the most that PutAttributes takes
	var errs []error
	for batch := range slices.Chunk(attributes, atOnce) {
		in := &ecs.PutAttributesInput{Cluster: aws.String(string(cluster))}
		for _, attr := range batch {
			in.Attributes = append(in.Attributes, ecstypes.Attribute{
				Name: aws.String(attr.Name), Value: aws.String(attr.Value),
				TargetType: ecstypes.TargetTypeContainerInstance, TargetId: aws.String(string(id)),
			})
		}
		if _, err := call(ctx, l.changeECS.PutAttributes, in); err != nil {
			errs = append(errs, fmt.Errorf("put attributes on container instance %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}
