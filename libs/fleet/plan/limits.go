package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/place"
)

// allowed says for each offering whether an instance of it may be launched for a task. A
// task that may run on spot is launched for on spot if the spec uses any; on-demand then
// serves tasks that must not, and falls in when no spot offering has capacity, or no more of
// them are worth asking: see [fleet.Drought].
func (m *market) allowed(t *place.Task, rooms map[fleet.LaunchSpecName]usage) []bool {
	allowed := make([]bool, len(m.offers))
	bySpec := map[*fleet.LaunchSpec]*supply{}
	for i := range m.offers {
		o := &m.offers[i]
		if !m.serves(i, t, rooms) {
			continue
		}
		allowed[i] = true
		if bySpec[o.spec] == nil {
			bySpec[o.spec] = &supply{}
		}
		bySpec[o.spec].count(o)
	}
	for i := range m.offers {
		if o := &m.offers[i]; allowed[i] {
			allowed[i] = bySpec[o.spec].offers(o)
		}
	}
	m.keepArchitecture(t, allowed)
	return allowed
}

// supply is what there is for a task of the offerings of a launch spec.
type supply struct {
	onSpot   bool // it may run there
	spot     bool // there is some, as far as is known
	onDemand bool
}

func (s *supply) count(o *offer) {
	switch o.Lifecycle {
	case fleet.Spot:
		s.onSpot = true
		s.spot = s.spot || o.short == nil && !o.dry
	case fleet.OnDemand:
		s.onDemand = s.onDemand || o.short == nil
	}
}

// offers reports whether an offering is to be asked for.
func (s *supply) offers(o *offer) bool {
	switch fallback := *o.spec.SpotFallback; {
	case o.short != nil:
		return false
	case o.Lifecycle == fleet.OnDemand:
		return !s.onSpot || !s.spot && fallback
	default:
		return !o.dry || !s.spot && (!s.onDemand || !fallback) // where nothing else is left, it is asked
	}
}

// keepArchitecture keeps a task that does not say which architecture it runs on from arm64
// as long as anything else is allowed: ECS would start an x86 image there, which fails. A
// lower price is no reason to find that out.
func (m *market) keepArchitecture(t *place.Task, allowed []bool) {
	if t.AsksFor("ecs.cpu-architecture") {
		return
	}
	other := false
	for i := range m.offers {
		other = other || allowed[i] && m.offers[i].Architecture != fleet.ARM
	}
	for i := range m.offers {
		if other && m.offers[i].Architecture == fleet.ARM {
			allowed[i] = false
		}
	}
}

// holds reports whether one more instance of a type is within the room that is left.
func (u usage) holds(t *fleet.InstanceType) bool {
	return u.instances >= 1 && u.vcpus >= t.VCPUs && u.memoryMiB >= t.MemoryMiB
}

// noLimit stands for a limit that is not set: more than any cluster has.
const noLimit = 1 << 40

// limit is one of the limits of the policy, with what there is of it and what is planned.
type limit struct {
	name, unit  string
	value, have int64 // in units of the limit, have rounded up
	left        int64 // in instances, vCPUs or MiB
}

// limitsOf are the three limits of the cluster, or those of a launch spec, that are set.
func limitsOf(prefix string, instances int, vcpus, memoryGiB int64, have usage) []limit {
	const mib = 1024 // of a GiB
	all := []limit{
		{prefix + "maxInstances", "instances", int64(instances), int64(have.instances), int64(instances - have.instances)},
		{prefix + "maxVCPUs", "vCPUs", vcpus, have.vcpus, vcpus - have.vcpus},
		{prefix + "maxMemoryGiB", "GiB", memoryGiB, (have.memoryMiB + mib - 1) / mib, memoryGiB*mib - have.memoryMiB},
	}
	return slices.DeleteFunc(all, func(l limit) bool { return l.value == 0 })
}

// clusterLimits are the limits of the cluster.
func (d *draft) clusterLimits() []limit {
	have := d.market.total
	for _, f := range d.fresh {
		o := &d.market.offers[f.offer]
		have.add(f.count, o.typ.VCPUs, o.typ.MemoryMiB)
	}
	l := &d.pol.Limits
	return limitsOf("limits.", l.MaxInstances, l.MaxVCPUs, l.MaxMemoryGiB, have)
}

// specLimits are the limits of a launch spec.
func (d *draft) specLimits(spec *fleet.LaunchSpec) []limit {
	have := d.market.ownedBy(spec.Name).usage
	for _, f := range d.fresh {
		if o := &d.market.offers[f.offer]; o.spec.Name == spec.Name {
			have.add(f.count, o.typ.VCPUs, o.typ.MemoryMiB)
		}
	}
	return limitsOf("launchSpecs."+string(spec.Name)+".", spec.MaxInstances, spec.MaxVCPUs, spec.MaxMemoryGiB, have)
}

// rooms is what each launch spec may still grow by.
func (d *draft) rooms() map[fleet.LaunchSpecName]usage {
	rooms := map[fleet.LaunchSpecName]usage{}
	for s := range d.pol.LaunchSpecs {
		spec := &d.pol.LaunchSpecs[s]
		rooms[spec.Name] = roomWithin(d.specLimits(spec))
	}
	return rooms
}

func roomWithin(limits []limit) usage {
	room := usage{instances: noLimit, vcpus: noLimit, memoryMiB: noLimit}
	for _, l := range limits {
		switch left := max(l.left, 0); l.unit {
		case "instances":
			room.instances = int(left)
		case "vCPUs":
			room.vcpus = left
		default:
			room.memoryMiB = left
		}
	}
	return room
}

// limits is what the policy still allows of instances, vCPUs and memory; it reports whether
// that is anything at all.
func (d *draft) limits() (left pack.Limits, ok bool) {
	ok = true
	for _, l := range d.clusterLimits() {
		ok = ok && l.left > 0
		switch l.unit {
		case "instances":
			left.Instances = int(l.left)
		case "vCPUs":
			left.VCPUs = l.left
		default:
			left.MemoryMiB = l.left
		}
	}
	return left, ok
}

// limitReason says which limit leaves no room for wishes, and by how much: what they take
// beyond what is planned is packed once more, without limits.
func (d *draft) limitReason(wishes []*wish, limits []limit) fleet.Reason {
	more := d.takes(wishes)
	var worst *limit
	var wants int64
	for i := range limits {
		l := &limits[i]
		n, left := int64(more.instances), l.left
		switch l.unit {
		case "vCPUs":
			n = more.vcpus
		case "GiB":
			const mib = 1024
			n, left = (more.memoryMiB+mib-1)/mib, max(l.left, 0)/mib
		}
		if n > max(left, 0) && (worst == nil || worst.left > 0 && l.left <= 0) {
			worst, wants = l, n
		}
	}
	if worst == nil && len(limits) > 0 { // none is in the way by itself: they are together
		return fleet.Because(fleet.ReasonLimit, "", "limit", limits[0].name, "value", limits[0].value, "have", limits[0].have,
			"allowed", "not all", "wanted", "what is missing, with the other limits")
	}
	if worst == nil {
		return fleet.Because(fleet.ReasonLimit, "", "limit", "limits", "value", "none", "allowed", "not all", "wanted", "what is missing")
	}
	return fleet.Because(fleet.ReasonLimit, "", "limit", worst.name, "value", worst.value, "have", worst.have,
		"allowed", max(worst.value-worst.have, 0), "wanted", fmt.Sprintf("%d more %s", wants, worst.unit))
}

// unlimited is room without end in every launch spec.
func (d *draft) unlimited() map[fleet.LaunchSpecName]usage {
	rooms := map[fleet.LaunchSpecName]usage{}
	for s := range d.pol.LaunchSpecs {
		rooms[d.pol.LaunchSpecs[s].Name] = roomWithin(nil)
	}
	return rooms
}

// limitsFor are the limits of the launch specs that could serve a wish.
func (d *draft) limitsFor(wishes []*wish) []limit {
	serves := map[fleet.LaunchSpecName]bool{}
	rooms := d.unlimited()
	for _, x := range wishes {
		for i, ok := range d.market.allowed(x.task, rooms) {
			if ok {
				serves[d.market.offers[i].spec.Name] = true
			}
		}
	}
	var limits []limit
	for s := range d.pol.LaunchSpecs {
		if spec := &d.pol.LaunchSpecs[s]; serves[spec.Name] {
			limits = append(limits, d.specLimits(spec)...)
		}
	}
	return limits
}

// takes is what would be launched for wishes if there were no limits.
func (d *draft) takes(wishes []*wish) usage {
	unlimited := d.unlimited()
	var used usage
	p := pack.Problem{Offerings: d.goods()}
	var open []*wish
	for _, x := range wishes {
		if allowed := d.market.allowed(x.task, unlimited); x.count > 0 && slices.Contains(allowed, true) {
			p.Items = append(p.Items, d.item(x, allowed))
			open = append(open, x)
		}
	}
	d.keepApart(&p, open)
	for _, inst := range pack.Solve(p).Instances {
		o := &d.market.offers[inst.Offering]
		used.add(inst.Count, o.typ.VCPUs, o.typ.MemoryMiB)
	}
	return used
}

// within cuts what exceeds the limits of the cluster or of a launch spec, and reports whether
// anything had to be. The packing knows those of the cluster, but the instances that it
// gives may have been exchanged since for others that hold the same.
func (d *draft) within(list []fresh) (kept []fresh, cut bool) {
	rooms, all := d.rooms(), roomWithin(d.clusterLimits())
	for _, f := range list {
		o := &d.market.offers[f.offer]
		room := rooms[o.spec.Name]
		n := int64(f.count)
		for _, r := range [...]usage{room, all} {
			n = min(n, int64(r.instances), r.vcpus/max(o.typ.VCPUs, 1), r.memoryMiB/max(o.typ.MemoryMiB, 1))
		}
		if n = max(n, 0); int(n) < f.count {
			f.count, cut = int(n), true
		}
		room.add(-f.count, o.typ.VCPUs, o.typ.MemoryMiB)
		all.add(-f.count, o.typ.VCPUs, o.typ.MemoryMiB)
		rooms[o.spec.Name] = room
		if f.count > 0 {
			kept = append(kept, f)
		}
	}
	return kept, cut
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
	rooms := d.rooms()
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
			q.Items[x].Allowed = d.market.onDemandOf(spec, l.wish.task, rooms)
		}
		if chosen, _, ok := pack.Hold(q, items); ok {
			to := *f
			to.offer, to.alternatives = chosen, d.nearEqual(q, chosen, items)
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

// onDemandOf are the on-demand offerings of a launch spec that may be launched for a task.
func (m *market) onDemandOf(spec *fleet.LaunchSpec, t *place.Task, rooms map[fleet.LaunchSpecName]usage) []bool {
	allowed := make([]bool, len(m.offers))
	for i := range m.offers {
		o := &m.offers[i]
		allowed[i] = o.spec == spec && o.Lifecycle == fleet.OnDemand && o.short == nil && m.serves(i, t, rooms)
	}
	m.keepArchitecture(t, allowed)
	return allowed
}

// serves reports whether the policy wants an offering launched for a task and an instance of
// it holds the task. Whether there is capacity is another question.
func (m *market) serves(i int, t *place.Task, rooms map[fleet.LaunchSpecName]usage) bool {
	o := &m.offers[i]
	return t.CapacityProvider == "" && rooms[o.spec.Name].holds(o.typ) && o.setback == nil && !o.tooGood(t) && !o.foreign(t) && m.shelf.Admits(i, t)
}
