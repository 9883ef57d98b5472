package outcome

import (
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// dryPlans is how many plans in a row may find no spot instance before the next buys
// on-demand: one may have met the one pool that is short, two have met two.
const dryPlans = 2

// dry notes whether a launch found spot instances. Several launches of one plan count once:
// they were chosen before any of them was answered.
func dry(d fleet.Drought, o *fleet.Outcome) fleet.Drought {
	if o.Kind != fleet.ActionLaunch {
		return d
	}
	for _, inst := range o.Instances {
		if inst.Lifecycle == fleet.Spot && !o.At.Before(d.At) {
			return fleet.Drought{}
		}
	}
	zone, asked := dryZone(o.Failures)
	switch {
	case !asked || o.Plan == d.Plan || o.At.Before(d.Until):
		return d // the same strike
	case d.Strikes == 0:
		d.Zone = zone
	case d.Zone != zone:
		d.Zone = ""
	}
	d.Plan, d.At = o.Plan, o.At
	if d.Strikes++; d.Strikes >= dryPlans {
		wait := firstCapacityWait << min(d.Strikes-dryPlans, 10) // 10 doublings are far beyond the longest wait
		d.Until = o.At.Add(min(wait, longestWait))
	}
	return d
}

// dryZone is the zone in which spot pools had no capacity, empty if there are several.
func dryZone(failures []fleet.OfferingFailure) (zone fleet.Zone, asked bool) {
	for _, f := range failures {
		if f.Class != fleet.FailureCapacity || f.Offering.Lifecycle != fleet.Spot {
			continue
		}
		if asked && zone != f.Offering.Zone {
			return "", true
		}
		zone, asked = f.Offering.Zone, true
	}
	return zone, asked
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
