package sim

import (
	"cmp"
	"errors"
	"slices"
)

// The limits of a fleet.
const (
	mostFleetConfigs  = 50
	mostFleetCapacity = 10000
)

// CreateFleet launches instances at once from the best of many offerings. Success may be
// partial: what could not be had is in Errors, with the same HTTP status.
func (w *World) CreateFleet(in *CreateFleetInput) (*CreateFleetOutput, error) {
	var done CreateFleetOutput
	body, err := bodyOf(in)
	if err != nil {
		return nil, err
	}
	if found, err := w.repeated("CreateFleet", in.ClientToken, body, &done); err != nil || found {
		return &done, err
	}
	onDemand, spot, err := checkFleet(in)
	if err != nil {
		return nil, err
	}
	f := &fleetLaunch{w: w, in: in}
	if err := f.read(); err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	f.reservation = "r-" + w.hex("reservation", 17)
	f.out.FleetID = "fleet-" + w.uuid("fleet")
	f.fill(false, onDemand, in.OnDemandOptions)
	f.fill(true, spot, in.SpotOptions)
	w.seen.asked(in.ClientToken, in.TargetCapacitySpecification.TotalTargetCapacity)
	w.remember("CreateFleet", in.ClientToken, body, &f.out, f.made...)
	w.keepFleet(in, &f.out)
	return &f.out, nil
}

// checkFleet refuses fleets that EC2 refuses, or that the simulated EC2 does not make, and
// tells how much a fleet wants of each lifecycle.
func checkFleet(in *CreateFleetInput) (onDemand, spot int, err error) {
	switch in.Type {
	case "instant":
	case "", "maintain", "request":
		return 0, 0, clientError("InvalidParameterValue", "The simulated EC2 makes fleets of type instant only, not %q.", cmp.Or(in.Type, "maintain"))
	default:
		return 0, 0, clientError("InvalidParameterValue", "Value (%s) for parameter Type is invalid. Valid values: instant, maintain, request", clip(in.Type))
	}
	if err := checkFleetOptions("SpotOptions", in.SpotOptions, spotStrategies); err != nil {
		return 0, 0, err
	}
	if err := checkFleetOptions("OnDemandOptions", in.OnDemandOptions, onDemandStrategies); err != nil {
		return 0, 0, err
	}
	if err := checkTagSpecifications(in.TagSpecifications, "fleet", "instance", "volume", "network-interface"); err != nil {
		return 0, 0, err
	}
	t := in.TargetCapacitySpecification
	rest := t.TotalTargetCapacity - t.OnDemandTargetCapacity - t.SpotTargetCapacity
	switch {
	case len(in.LaunchTemplateConfigs) == 0:
		return 0, 0, clientError("MissingParameter", "The request must contain the parameter LaunchTemplateConfigs")
	case len(in.LaunchTemplateConfigs) > mostFleetConfigs:
		return 0, 0, clientError("InvalidParameterValue", "A fleet has at most %d launch template configurations", mostFleetConfigs)
	case t.TargetCapacityUnitType != "" && t.TargetCapacityUnitType != "units":
		return 0, 0, clientError("InvalidParameterCombination", "TargetCapacityUnitType %q needs InstanceRequirements, which the simulated EC2 does not have: use units", clip(t.TargetCapacityUnitType))
	case !slices.Contains([]string{"", "spot", "on-demand"}, t.DefaultTargetCapacityType):
		return 0, 0, clientError("InvalidParameterValue", "Value (%s) for parameter DefaultTargetCapacityType is invalid. Valid values: spot, on-demand", clip(t.DefaultTargetCapacityType))
	case t.TotalTargetCapacity < 0 || t.TotalTargetCapacity > mostFleetCapacity || rest < 0 || min(t.OnDemandTargetCapacity, t.SpotTargetCapacity) < 0:
		return 0, 0, clientError("InvalidTargetCapacitySpecification", "The target capacity must be between 0 and %d and not less than its parts: %d", mostFleetCapacity, t.TotalTargetCapacity)
	}
	onDemand, spot = t.OnDemandTargetCapacity, t.SpotTargetCapacity
	if t.DefaultTargetCapacityType == "spot" {
		spot += rest
	} else {
		onDemand += rest
	}
	return onDemand, spot, nil
}

func checkFleetOptions(name string, options FleetOptions, strategies []string) error {
	switch {
	case options.AllocationStrategy != "" && !slices.Contains(strategies, options.AllocationStrategy):
		return clientError("InvalidParameterValue", "Value (%s) for parameter %s.AllocationStrategy is invalid. Valid values: %v", clip(options.AllocationStrategy), name, strategies)
	case options.MinTargetCapacity < 0 || options.InstancePoolsToUseCount < 0:
		return clientError("InvalidParameterValue", "%s.MinTargetCapacity and InstancePoolsToUseCount must not be negative", name)
	case options.MinTargetCapacity > 0 && !options.SingleInstanceType && !options.SingleAvailabilityZone:
		return clientError("InvalidParameterCombination", "%s.MinTargetCapacity can be used with SingleInstanceType or SingleAvailabilityZone only", name)
	case options.InstancePoolsToUseCount > 0 && cmp.Or(options.AllocationStrategy, lowestPrice) != lowestPrice:
		return clientError("InvalidParameterCombination", "%s.InstancePoolsToUseCount can be used with the allocation strategy lowest-price only", name)
	}
	_, err := readPriceLimit(name+".MaxTotalPrice", options.MaxTotalPrice)
	return err
}

// fleetLaunch is one instant fleet being filled.
type fleetLaunch struct {
	w           *World
	in          *CreateFleetInput
	out         CreateFleetOutput
	reservation string
	rows        []fleetRow
	made        []*instance
}

// fleetRow is one override with the template it starts from.
type fleetRow struct {
	data RequestLaunchTemplateData
	from LaunchTemplateAndOverrides
}

// read resolves templates and overrides and refuses what EC2 refuses as a whole.
func (f *fleetLaunch) read() error {
	subnetOf := map[string]string{} // zone → subnet
	for _, c := range f.in.LaunchTemplateConfigs {
		t, err := f.w.template(c.LaunchTemplateSpecification)
		if err != nil {
			return err
		}
		v, err := t.version(c.LaunchTemplateSpecification.Version)
		if err != nil {
			return err
		}
		named := LaunchTemplateSpecification{LaunchTemplateID: t.LaunchTemplateID, Version: formatInt(v.VersionNumber)}
		overrides := c.Overrides
		if len(overrides) == 0 {
			overrides = []FleetOverride{{}}
		}
		for _, o := range overrides {
			row := fleetRow{data: v.LaunchTemplateData, from: LaunchTemplateAndOverrides{LaunchTemplateSpecification: named, Overrides: o}}
			row.data.InstanceType = cmp.Or(o.InstanceType, row.data.InstanceType)
			row.data.ImageID = cmp.Or(o.ImageID, row.data.ImageID)
			if o.InstanceRequirements != nil {
				row.data.InstanceRequirements = o.InstanceRequirements
			}
			if len(o.BlockDeviceMappings) > 0 {
				row.data.BlockDeviceMappings = o.BlockDeviceMappings
			}
			f.rows = append(f.rows, row)
			if s := f.w.subnet(o.SubnetID); s != nil {
				if other := subnetOf[s.Zone]; other != "" && other != s.ID {
					return clientError("InvalidFleetConfiguration", "Fleet launch specifications may not specify different subnets of the same Availability Zone (%s): %s, %s", s.Zone, other, s.ID)
				}
				subnetOf[s.Zone] = s.ID
			}
		}
	}
	return nil
}

// candidates are the offerings of one lifecycle that can be tried; the others are errors.
func (f *fleetLaunch) candidates(spot bool) []candidate {
	var list []candidate
	for _, row := range f.rows {
		o := candidate{spot: spot, from: row.from, weight: 1, priority: -1}
		if err := f.prepare(&o, row); err != nil {
			f.out.Errors = append(f.out.Errors, failure(&o, err))
			continue
		}
		list = append(list, o)
	}
	return list
}

// prepare makes a candidate of an override.
func (f *fleetLaunch) prepare(o *candidate, row fleetRow) error {
	over := row.from.Overrides
	zone := over.AvailabilityZone
	if over.Placement != nil {
		zone = cmp.Or(zone, over.Placement.AvailabilityZone)
	}
	for _, z := range f.w.cfg.Zones {
		if z.ID == over.AvailabilityZoneID {
			zone = cmp.Or(zone, z.Name)
		}
	}
	subnetID := over.SubnetID
	for _, n := range row.data.NetworkInterfaces {
		subnetID = cmp.Or(subnetID, n.SubnetID)
	}
	if err := f.w.apply(o, row.data); err != nil {
		return err
	}
	if err := f.w.complete(o, row.data.InstanceType, subnetID, zone, row.data.ImageID); err != nil {
		return err
	}
	if weight := over.WeightedCapacity; weight != nil {
		const least, most = 0.01, 1000 // of one instance
		if !(*weight >= least && *weight <= most) {
			return clientError("InvalidParameterValue", "WeightedCapacity must be between %v and %v: %v", least, most, *weight)
		}
		o.weight = *weight
	}
	if over.Priority != nil {
		if !(*over.Priority >= 0) {
			return clientError("InvalidParameterValue", "Priority must not be negative: %v", *over.Priority)
		}
		o.priority = *over.Priority
	}
	if o.spot && over.MaxPrice != "" {
		var err error
		if o.maxPrice, err = readPriceLimit("MaxPrice", over.MaxPrice); err != nil {
			return err
		}
	}
	o.tag(f.in.TagSpecifications)
	o.tags = append(o.tags, Tag{"aws:ec2:fleet-id", f.out.FleetID})
	return nil
}

// failure is what an answer says of an offering that could not be had.
func failure(o *candidate, err error) FleetError {
	e := FleetError{LaunchTemplateAndOverrides: o.from, Lifecycle: lifecycleName(o.spot), ErrorCode: "InternalError", ErrorMessage: err.Error()}
	var known *Error
	if errors.As(err, &known) {
		e.ErrorCode, e.ErrorMessage = known.Code, known.Message
	}
	return e
}

func lifecycleName(spot bool) string {
	if spot {
		return "spot"
	}
	return "on-demand"
}

// fill launches up to target capacity of one lifecycle, from the best offerings on. Where
// it must do with one type or zone, that is the first that has enough, or else has most.
func (f *fleetLaunch) fill(spot bool, target int, options FleetOptions) {
	if target <= 0 {
		return
	}
	list := f.candidates(spot)
	f.w.rank(list, cmp.Or(options.AllocationStrategy, lowestPrice), float64(target))
	var best allotment
	for _, group := range groups(list, options) {
		a := f.allot(group, float64(target), options)
		f.out.Errors = append(f.out.Errors, a.failed...)
		if a.filled > best.filled {
			best = a
		}
		if best.filled >= float64(target) {
			break
		}
	}
	if best.filled < float64(options.MinTargetCapacity) {
		return // all or nothing, and it is nothing
	}
	for i, n := range best.share {
		if n > 0 {
			f.take(best.list[i], n)
		}
	}
}

func (f *fleetLaunch) take(o candidate, count int) {
	made := FleetInstance{LaunchTemplateAndOverrides: o.from, Lifecycle: lifecycleName(o.spot), InstanceType: o.kind.name}
	over := &made.LaunchTemplateAndOverrides.Overrides
	over.InstanceType, over.AvailabilityZone = o.kind.name, o.subnet.Zone
	for _, m := range f.w.take(f.reservation, f.in.ClientToken, o, count) {
		made.InstanceIDs = append(made.InstanceIDs, m.id)
		f.made = append(f.made, m)
	}
	f.out.Instances = append(f.out.Instances, made)
}
