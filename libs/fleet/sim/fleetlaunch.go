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
	if in.DryRun {
		return nil, dryRun()
	}
	var done CreateFleetOutput
	body, err := bodyOf(in)
	if err != nil {
		return nil, err
	}
	if found, err := w.repeated("CreateFleet", in.ClientToken, body, &done); err != nil || found {
		return &done, err
	}
	onDemand, spot, err := fleetTargets(in)
	if err != nil {
		return nil, err
	}
	f := &fleetLaunch{w: w, in: in, reservation: "r-" + w.hex("reservation", 17)}
	f.out.FleetID = "fleet-" + w.uuid("fleet")
	if err := f.read(); err != nil {
		return nil, err
	}
	f.fill(false, onDemand, in.OnDemandOptions)
	f.fill(true, spot, in.SpotOptions)
	w.seen.asked(in.ClientToken, in.TargetCapacitySpecification.TotalTargetCapacity)
	w.remember("CreateFleet", in.ClientToken, body, &f.out)
	return &f.out, nil
}

// fleetTargets is how much a fleet wants of each lifecycle.
func fleetTargets(in *CreateFleetInput) (onDemand, spot int, err error) {
	t := in.TargetCapacitySpecification
	rest := t.TotalTargetCapacity - t.OnDemandTargetCapacity - t.SpotTargetCapacity
	switch {
	case in.Type != "instant":
		return 0, 0, clientError("InvalidParameterValue", "The simulated EC2 makes fleets of type instant only, not %q.", clip(in.Type))
	case len(in.LaunchTemplateConfigs) == 0:
		return 0, 0, clientError("MissingParameter", "The request must contain the parameter LaunchTemplateConfigs")
	case len(in.LaunchTemplateConfigs) > mostFleetConfigs:
		return 0, 0, clientError("InvalidParameterValue", "A fleet has at most %d launch template configurations", mostFleetConfigs)
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

// fleetLaunch is one instant fleet being filled.
type fleetLaunch struct {
	w           *World
	in          *CreateFleetInput
	out         CreateFleetOutput
	reservation string
	rows        []fleetRow
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
		over := row.from.Overrides
		zone := over.AvailabilityZone
		if over.Placement != nil {
			zone = cmp.Or(zone, over.Placement.AvailabilityZone)
		}
		subnetID := over.SubnetID
		for _, n := range row.data.NetworkInterfaces {
			subnetID = cmp.Or(subnetID, n.SubnetID)
		}
		err := f.w.apply(&o, row.data)
		if err == nil {
			err = f.w.complete(&o, row.data.InstanceType, subnetID, zone, row.data.ImageID)
		}
		if err != nil {
			f.fail(o, err)
			continue
		}
		if weight := over.WeightedCapacity; weight != nil {
			const least, most = 0.01, 1000 // of one instance
			if !(*weight >= least && *weight <= most) {
				f.fail(o, clientError("InvalidParameterValue", "WeightedCapacity must be between %v and %v: %v", least, most, *weight))
				continue
			}
			o.weight = *weight
		}
		if over.Priority != nil {
			o.priority = *over.Priority
		}
		o.tags = append(slices.Clone(o.tags), tagsFor(f.in.TagSpecifications, "instance")...)
		o.tags = append(o.tags, Tag{"aws:ec2:fleet-id", f.out.FleetID})
		list = append(list, o)
	}
	return list
}

func (f *fleetLaunch) fail(o candidate, err error) {
	failure := FleetError{LaunchTemplateAndOverrides: o.from, Lifecycle: lifecycleName(o.spot), ErrorCode: "InternalError", ErrorMessage: err.Error()}
	var known *Error
	if errors.As(err, &known) {
		failure.ErrorCode, failure.ErrorMessage = known.Code, known.Message
	}
	f.out.Errors = append(f.out.Errors, failure)
}

func lifecycleName(spot bool) string {
	if spot {
		return "spot"
	}
	return "on-demand"
}

// fill launches up to target capacity of one lifecycle, from the best offering on.
func (f *fleetLaunch) fill(spot bool, target int, options FleetOptions) {
	if target <= 0 {
		return
	}
	list := f.candidates(spot)
	f.w.rank(list, cmp.Or(options.AllocationStrategy, "lowest-price"))
	if options.AllocationStrategy == "diversified" {
		list = f.spread(list, target)
	}
	share := make([]int, len(list))
	left := float64(target)
	for i := range list {
		if left <= 0 {
			break
		}
		if f.barred(list, share, i, options) {
			continue
		}
		want := int((left + list[i].weight - 0.001) / list[i].weight)
		if options.AllocationStrategy == "diversified" {
			want = min(want, max((target+len(list)-1)/len(list), 1))
		}
		got, why := f.w.capacity(&list[i], want)
		share[i] = got
		if options.MinTargetCapacity == 0 && got > 0 {
			f.take(list[i], got) // at once: others share its subnet and quota
		}
		left -= float64(got) * list[i].weight
		if got < want {
			f.fail(list[i], why)
		}
	}
	if options.MinTargetCapacity == 0 || float64(target)-left < float64(options.MinTargetCapacity) {
		return // taken already, or all or nothing and it is nothing
	}
	for i, n := range share {
		if n > 0 {
			f.take(list[i], n)
		}
	}
}

// barred reports whether an offering may not be used beside those already chosen.
func (f *fleetLaunch) barred(list []candidate, share []int, i int, options FleetOptions) bool {
	for j, n := range share[:i] {
		if n > 0 && (options.SingleInstanceType && list[j].kind != list[i].kind ||
			options.SingleAvailabilityZone && list[j].subnet.Zone != list[i].subnet.Zone) {
			return true
		}
	}
	return false
}

// spread keeps no more offerings than there are instances to launch.
func (f *fleetLaunch) spread(list []candidate, target int) []candidate {
	return list[:min(len(list), max(target, 1))]
}

func (f *fleetLaunch) take(o candidate, count int) {
	made := FleetInstance{LaunchTemplateAndOverrides: o.from, Lifecycle: lifecycleName(o.spot), InstanceType: o.kind.name}
	over := &made.LaunchTemplateAndOverrides.Overrides
	over.InstanceType, over.AvailabilityZone = o.kind.name, o.subnet.Zone
	for _, m := range f.w.take(f.reservation, f.in.ClientToken, o, count) {
		made.InstanceIDs = append(made.InstanceIDs, m.id)
	}
	f.out.Instances = append(f.out.Instances, made)
}

// rank puts offerings in the order in which an allocation strategy tries them.
func (w *World) rank(list []candidate, strategy string) {
	score := func(o *candidate) float64 { return float64(o.price) / o.weight }
	switch strategy {
	case "price-capacity-optimized":
		// Cheap among the deep pools: an often interrupted pool must be a good deal cheaper.
		score = func(o *candidate) float64 {
			return float64(o.price) / o.weight * (1 + 2*w.interrupted(o))
		}
	case "capacity-optimized", "diversified":
		score = w.interrupted
	case "prioritized", "capacity-optimized-prioritized":
		score = func(o *candidate) float64 {
			if o.priority < 0 {
				return mostFleetCapacity // without a priority it comes last
			}
			return o.priority
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(score(&a), score(&b)) })
}

// interrupted is how often spot instances of an offering are taken, as EC2 would know.
func (w *World) interrupted(o *candidate) float64 {
	return o.kind.interruptedOften * (0.8 + 0.4*w.chance("interrupted", o.kind.name, o.subnet.Zone))
}
