package sim

import (
	"cmp"
	"slices"
)

// mostRunCount is the most instances that one call launches here. EC2 says that it depends
// on the account.
const mostRunCount = 10_000

// RunInstances launches instances of one type in one subnet: at least MinCount or none.
func (w *World) RunInstances(in *RunInstancesInput) (*RunInstancesOutput, error) {
	var done RunInstancesOutput
	body, err := bodyOf(in)
	if err != nil {
		return nil, err
	}
	operation := "RunInstances " + w.zoneAsked(in)
	if found, err := w.repeated(operation, in.ClientToken, body, &done); err != nil || found {
		return &done, err
	}
	if in.MinCount < 1 || in.MaxCount < in.MinCount || in.MaxCount > mostRunCount {
		return nil, clientError("InvalidParameterValue", "Invalid value for 'MinCount' (%d) and 'MaxCount' (%d): MinCount must be at least 1, and MaxCount not less than it or more than %d", in.MinCount, in.MaxCount, mostRunCount)
	}
	if err := checkTagSpecifications(in.TagSpecifications, "instance", "volume", "network-interface", "spot-instances-request"); err != nil {
		return nil, err
	}
	o, err := w.asked(in)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	got, why := w.capacity(&o, in.MaxCount, newBooking())
	if got < in.MinCount {
		return nil, why
	}
	out := &RunInstancesOutput{ReservationID: "r-" + w.hex("reservation", 17), OwnerID: w.cfg.Account}
	made := w.take(out.ReservationID, in.ClientToken, o, got)
	for _, m := range made {
		out.Instances = append(out.Instances, w.describeInstance(m))
	}
	w.seen.asked(in.ClientToken, in.MaxCount)
	w.remember(operation, in.ClientToken, body, out, made...)
	return out, nil
}

// zoneAsked is the zone in which the client token of a launch counts; empty is the region.
func (w *World) zoneAsked(in *RunInstancesInput) string {
	if s := w.subnet(in.SubnetID); s != nil {
		return s.Zone
	}
	return cmp.Or(in.SubnetID, in.Placement.AvailabilityZone)
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
	if len(in.NetworkInterfaces) > 0 && in.SubnetID != "" {
		return candidate{}, clientError("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
	}
	if len(in.NetworkInterfaces) > 0 && len(in.SecurityGroupIDs)+len(in.SecurityGroups) > 0 {
		return candidate{}, clientError("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
	}
	data = data.with(in.data())
	market := data.InstanceMarketOptions
	o := candidate{spot: market != nil && market.MarketType == "spot"}
	if err := checkMarket(market); err != nil {
		return o, err
	}
	if err := w.apply(&o, data); err != nil {
		return o, err
	}
	o.tag(in.TagSpecifications)
	subnetID := in.SubnetID
	for _, n := range data.NetworkInterfaces {
		subnetID = cmp.Or(subnetID, n.SubnetID)
	}
	zone := in.Placement.AvailabilityZone
	if data.Placement != nil {
		zone = cmp.Or(zone, data.Placement.AvailabilityZone)
	}
	if s := w.subnet(subnetID); s != nil && in.Placement.AvailabilityZone != "" && s.Zone != in.Placement.AvailabilityZone {
		return o, clientError("InvalidParameterValue", "The availability zone of the specified subnet (%s) does not match the specified placement availability zone (%s)", s.Zone, clip(in.Placement.AvailabilityZone))
	}
	err := w.complete(&o, cmp.Or(data.InstanceType, "m1.small"), subnetID, zone, data.ImageID)
	return o, err
}

// data is what the request itself says of the instances, as a launch template would.
func (in *RunInstancesInput) data() RequestLaunchTemplateData {
	own := RequestLaunchTemplateData{
		ImageID: in.ImageID, InstanceType: in.InstanceType, KeyName: in.KeyName, UserData: in.UserData,
		SecurityGroupIDs: in.SecurityGroupIDs, SecurityGroups: in.SecurityGroups, NetworkInterfaces: in.NetworkInterfaces,
		DisableAPITermination: in.DisableAPITermination, DisableAPIStop: in.DisableAPIStop, MetadataOptions: in.MetadataOptions,
		BlockDeviceMappings: in.BlockDeviceMappings, Monitoring: in.Monitoring, EBSOptimized: in.EBSOptimized,
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
	return own
}

// checkMarket refuses spot requests that the simulated EC2 does not make.
func checkMarket(market *InstanceMarketOptions) error {
	if market == nil {
		return nil
	}
	if market.MarketType != "" && market.MarketType != "spot" {
		return clientError("UnsupportedOperation", "The simulated EC2 has no market of type %q: use spot", clip(market.MarketType))
	}
	if s := market.SpotOptions; s != nil && !slices.Contains([]string{"", "one-time"}, s.SpotInstanceType) {
		return clientError("UnsupportedOperation", "The simulated EC2 makes one-time Spot requests only, not %q.", clip(s.SpotInstanceType))
	}
	return nil
}
