package plan

import (
	"cmp"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/place"
)

// allowed says for each offering whether an instance of it may be launched for a task. A
// task that may run on spot is launched for on spot if the spec uses any; on-demand then
// serves tasks that must not, and falls in when no spot offering has capacity.
func (m *market) allowed(t *place.Task, closed map[fleet.LaunchSpecName]bool) []bool {
	allowed := make([]bool, len(m.offers))
	type spot struct{ fits, available bool }
	bySpec := map[*fleet.LaunchSpec]*spot{}
	for i := range m.offers {
		o := &m.offers[i]
		if t.CapacityProvider != "" || closed[o.spec.Name] || o.setback != nil || o.tooGood(t) || !m.shelf.Admits(i, t) {
			continue
		}
		allowed[i] = true
		s := bySpec[o.spec]
		if s == nil {
			s = &spot{}
			bySpec[o.spec] = s
		}
		if o.Lifecycle == fleet.Spot {
			s.fits = true
			s.available = s.available || o.short == nil
		}
	}
	for i := range m.offers {
		o := &m.offers[i]
		if !allowed[i] {
			continue
		}
		s := bySpec[o.spec]
		if o.Lifecycle == fleet.OnDemand && s.fits && (s.available || !*o.spec.SpotFallback) || o.short != nil {
			allowed[i] = false
		}
	}
	return allowed
}

// limits is what the policy still allows of instances, vCPUs and memory. If a limit leaves
// no room at all it is returned as a reason.
func (d *draft) limits() (pack.Limits, *fleet.Reason) {
	have := d.market.total
	for _, f := range d.fresh {
		o := &d.market.offers[f.offer]
		have.instances += f.count
		have.vcpus += int64(f.count) * o.typ.VCPUs
		have.memoryMiB += int64(f.count) * o.typ.MemoryMiB
	}
	var left pack.Limits
	for _, l := range [...]struct {
		name              string
		limit, have, unit int64
		set               func(int64)
	}{
		{"maxInstances", int64(d.pol.Limits.MaxInstances), int64(have.instances), 1, func(v int64) { left.Instances = int(v) }},
		{"maxVCPUs", d.pol.Limits.MaxVCPUs, have.vcpus, 1, func(v int64) { left.VCPUs = v }},
		{"maxMemoryGiB", d.pol.Limits.MaxMemoryGiB, have.memoryMiB, 1024, func(v int64) { left.MemoryMiB = v }},
	} {
		switch room := l.limit*l.unit - l.have; {
		case l.limit == 0:
		case room <= 0:
			r := limitReached(l.name, l.limit)
			return left, &r
		default:
			l.set(room)
		}
	}
	return left, nil
}

// limitReason names the limit that binds, or the one that is likeliest to.
func (d *draft) limitReason() fleet.Reason {
	if _, why := d.limits(); why != nil {
		return *why
	}
	have := d.market.total.instances
	for _, f := range d.fresh {
		have += f.count
	}
	switch l := d.pol.Limits; {
	case have < l.MaxInstances && l.MaxVCPUs > 0:
		return limitReached("maxVCPUs", l.MaxVCPUs)
	case have < l.MaxInstances && l.MaxMemoryGiB > 0:
		return limitReached("maxMemoryGiB", l.MaxMemoryGiB)
	default:
		return limitReached("maxInstances", int64(l.MaxInstances))
	}
}

func limitReached(name string, value int64) fleet.Reason {
	return fleet.Because(fleet.ReasonLimit, "", "limit", "limits."+name, "value", value, "allowed", "none", "wanted", "what is missing")
}

func specLimit(spec *fleet.LaunchSpec) fleet.Reason {
	return fleet.Because(fleet.ReasonLimit, "", "limit", "launchSpecs."+string(spec.Name)+".maxInstances", "value", spec.MaxInstances, "allowed", "none", "wanted", "what is missing")
}

// withinSpecs cuts what exceeds the limit of a launch spec, and names the first spec that
// had to be cut.
func (d *draft) withinSpecs(list []fresh) (kept []fresh, full *fleet.LaunchSpec) {
	used := map[fleet.LaunchSpecName]int{}
	for _, f := range d.fresh {
		used[d.market.offers[f.offer].spec.Name] += f.count
	}
	for _, f := range list {
		spec := d.market.offers[f.offer].spec
		if spec.MaxInstances > 0 {
			have := d.market.ownedBy(spec.Name)
			room := max(spec.MaxInstances-have.onDemand-have.spot-used[spec.Name], 0)
			if f.count > room {
				f.count = room
				if full == nil {
					full = spec
				}
			}
		}
		used[spec.Name] += f.count
		if f.count > 0 {
			kept = append(kept, f)
		}
	}
	return kept, full
}

// mixLifecycles moves instances from spot to on-demand until the share of each launch
// spec is as the policy wants it, those first that cost least to move.
func (d *draft) mixLifecycles(p pack.Problem, open []*wish, list []fresh) []fresh {
	for s := range d.pol.LaunchSpecs {
		spec := &d.pol.LaunchSpecs[s]
		if *spec.SpotPercentage == 0 || *spec.SpotPercentage == allPercent {
			continue
		}
		have := d.market.ownedBy(spec.Name)
		total, spot := have.onDemand+have.spot, have.spot
		for _, f := range slices.Concat(d.fresh, list) {
			if o := &d.market.offers[f.offer]; o.spec == spec {
				total += f.count
				if o.Lifecycle == fleet.Spot {
					spot += f.count
				}
			}
		}
		list = d.toOnDemand(p, open, list, spec, spot-total**spec.SpotPercentage/allPercent)
	}
	return list
}

// toOnDemand moves some instances of a launch spec from spot to on-demand.
func (d *draft) toOnDemand(p pack.Problem, open []*wish, list []fresh, spec *fleet.LaunchSpec, excess int) []fresh {
	type move struct {
		at   int
		to   fresh
		more fleet.Price
	}
	var moves []move
	for i := range list {
		f := &list[i]
		if o := &d.market.offers[f.offer]; excess <= 0 || o.spec != spec || o.Lifecycle != fleet.Spot {
			continue
		}
		q := pack.Problem{Offerings: p.Offerings, Items: slices.Clone(p.Items)}
		var items []pack.Held
		for _, l := range f.loads {
			x := slices.Index(open, l.wish)
			items = append(items, pack.Held{Item: x, Count: l.count})
			q.Items[x].Allowed = d.market.onDemandOf(spec, l.wish.task)
		}
		if chosen, alternatives, ok := pack.Hold(q, items); ok {
			to := *f
			to.offer, to.alternatives = chosen, alternatives
			moves = append(moves, move{at: i, to: to, more: d.market.offers[chosen].Price - d.market.offers[f.offer].Price})
		}
	}
	slices.SortStableFunc(moves, func(a, b move) int { return cmp.Compare(a.more, b.more) })
	for _, mv := range moves {
		n := min(excess, list[mv.at].count)
		excess -= n
		list[mv.at].count -= n
		mv.to.count = n
		list = append(list, mv.to)
	}
	return slices.DeleteFunc(list, func(f fresh) bool { return f.count == 0 })
}

// onDemandOf are the on-demand offerings of a launch spec that may hold a task.
func (m *market) onDemandOf(spec *fleet.LaunchSpec, t *place.Task) []bool {
	allowed := make([]bool, len(m.offers))
	for i := range m.offers {
		o := &m.offers[i]
		allowed[i] = o.spec == spec && o.Lifecycle == fleet.OnDemand && o.short == nil && o.setback == nil && m.shelf.Admits(i, t)
	}
	return allowed
}
