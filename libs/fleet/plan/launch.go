package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/place"
)

// fresh is a number of equal instances to launch.
type fresh struct {
	offer        int
	alternatives []int
	loads        []load
	count        int
	together     []load // what all of them are to hold; then loads are empty
	later        int    // importance: demand, headroom, minimum
	nodes        []int
	packing      fleet.Packing
	why          fleet.Reason // if it is not for what its loads say
}

// What instances are launched for, the most important first.
const (
	forDemand = iota
	forHeadroom
	forMinimum
	forSaving
)

// load is a number of like things that each of the instances is to hold.
type load struct {
	wish  *wish
	count int
}

// wish is what is to be launched for: tasks of a group or units of headroom.
type wish struct {
	task    *place.Task
	group   int // task group, or fleet.NoIndex
	demands []*demand
	unit    *unit
	count   int
	extra   bool // counted already: the rehearsal found that the strategy of ECS wastes room
}

// launch buys what fits nowhere: packed at least cost, then rehearsed with the strategies
// of ECS, which may place worse than the packing did.
func (d *draft) launch() {
	wishes := d.wishes()
	if d.noLaunch != nil {
		d.refuse(wishes, *d.noLaunch)
		return
	}
	if d.down != nil {
		d.refuse(wishes, fleet.Because(fleet.ReasonShutdown, "", "window", d.down.String()))
		return
	}
	if wait := time.Duration(d.pol.ScaleUp.Cooldown); d.now.Sub(d.mem.LaunchedAt) < wait {
		d.refuse(wishes, fleet.Because(fleet.ReasonPace, "", "age", ago(d.now.Sub(d.mem.LaunchedAt)), "wait", ago(wait)))
		return
	}
	if len(wishes) > 0 {
		d.buy(wishes)
	}
	d.keepMinimum()
	const rounds = 3 // each adds what the rehearsal lacked; more than one is rare
	for range rounds {
		short := d.rehearse()
		if len(short) == 0 {
			return
		}
		before := len(d.fresh)
		d.buy(short)
		if len(d.fresh) == before {
			return // limits or shortages: nothing can be added
		}
	}
}

// wishes gathers what is left of all demand and headroom, by task group.
func (d *draft) wishes() []*wish {
	var wishes []*wish
	byGroup := map[int]*wish{}
	for _, w := range slices.Concat(d.demand, d.moves) {
		if w.forgo > 0 {
			w.reason = fleet.Because(fleet.ReasonSurge, d.subject(w.group), "count", min(w.forgo, w.left()))
		}
		if w.wanting() == 0 || !d.launchable(w) {
			continue
		}
		x := byGroup[w.group]
		if x == nil {
			x = &wish{task: d.tasks[w.group], group: w.group}
			byGroup[w.group] = x
			wishes = append(wishes, x)
		}
		x.demands = append(x.demands, w)
		x.count += w.wanting()
	}
	for _, u := range d.units {
		if u.missing() > 0 {
			wishes = append(wishes, &wish{task: u.task, group: fleet.NoIndex, unit: u, count: u.missing()})
		}
	}
	return wishes
}

// launchable reports whether launching could help a demand at all, and says why not.
func (d *draft) launchable(w *demand) bool {
	g := &d.snap.TaskGroups[w.group]
	subject := d.subject(w.group)
	if svc, ok := d.service(w.group); ok && w.from == fleet.NoIndex {
		if failed, crashes := d.crashing(svc); crashes {
			w.reason = fleet.Because(fleet.ReasonCrashing, subject, "failed", failed)
			return false
		}
	}
	age := d.now.Sub(w.armed)
	switch {
	case g.Unsized:
		w.reason = fleet.Because(fleet.ReasonUnsized, subject, "definition", g.TaskDefinition)
	case g.CapacityProvider != "":
		w.reason = fleet.Because(fleet.ReasonForeignCP, subject, "provider", g.CapacityProvider)
	case w.from == fleet.NoIndex && d.down == nil && age >= time.Duration(d.pol.ScaleUp.GiveUpAfter):
		w.reason = fleet.Because(fleet.ReasonFutile, subject, "age", ago(age))
	default:
		return true
	}
	return false
}

// buy packs wishes into offerings within the limits. What exceeds the limits of a launch
// spec is cut, and the rest is packed again with what they leave.
func (d *draft) buy(wishes []*wish) {
	d.market.build()
	for range 3*len(d.pol.LaunchSpecs) + 4 { // each round but the last reaches one of three limits, of a spec or of the cluster
		p, open := d.problem(wishes)
		if len(open) == 0 {
			return
		}
		limits, ok := d.limits()
		if !ok {
			d.refuse(open, d.limitReason(open, d.clusterLimits()))
			return
		}
		p.Limits = limits
		s := pack.Solve(p)
		list, cut := d.within(d.mixLifecycles(p, open, d.unpack(p, s, open)))
		d.commit(list)
		wishes = slices.DeleteFunc(open, func(x *wish) bool { return x.count <= 0 })
		if !cut || len(list) == 0 {
			break
		}
	}
	d.refuseRest(wishes)
}

// refuseRest says which limit is in the way of what is left.
func (d *draft) refuseRest(wishes []*wish) {
	if len(wishes) == 0 {
		return
	}
	d.refuse(wishes, d.limitReason(wishes, append(d.clusterLimits(), d.limitsFor(wishes)...)))
}

// goods are the offerings of the market for the packing.
func (d *draft) goods() []pack.Offering {
	list := make([]pack.Offering, 0, len(d.market.offers))
	for i := range d.market.offers {
		o := &d.market.offers[i]
		list = append(list, pack.Offering{
			Name:  fmt.Sprintf("%03d %s %s %s", o.rank, o.Type, o.Zone, o.Lifecycle),
			Group: fmt.Sprintf("%s %s", o.spec.Name, o.Lifecycle), Zone: o.Zone,
			Capacity: d.market.shelf.Free(i), VCPUs: o.typ.VCPUs, Memory: o.typ.MemoryMiB, Price: o.weighed,
		})
	}
	return list
}

// problem is the packing of wishes over the market, and the wishes that are in it: those
// that no offering could hold are refused here.
func (d *draft) problem(wishes []*wish) (pack.Problem, []*wish) {
	p := pack.Problem{Offerings: d.goods(), Effort: effortOf(d.mem.Effort)}
	var open, limited []*wish
	rooms := d.rooms()
	for _, x := range wishes {
		allowed := d.market.allowed(x.task, rooms)
		if !slices.Contains(allowed, true) {
			if why, isLimited := d.whyNot(x, rooms); isLimited {
				limited = append(limited, x)
			} else {
				d.refuse([]*wish{x}, why)
			}
			continue
		}
		p.Items = append(p.Items, d.item(x, allowed))
		open = append(open, x)
	}
	if len(limited) > 0 {
		d.refuse(limited, d.limitReason(limited, d.limitsFor(limited)))
	}
	d.keepApart(&p, open)
	return p, open
}

func (d *draft) item(x *wish, allowed []bool) pack.Item {
	item := pack.Item{Name: x.task.Name, Needs: x.task.Needs, Count: x.count, Allowed: allowed}
	if x.task.Distinct {
		item.Keys = append(item.Keys, "group "+x.task.Group)
	}
	for _, port := range x.task.Ports {
		item.Keys = append(item.Keys, port.String())
	}
	if x.unit != nil {
		item.Later = forHeadroom
		return item
	}
	if x.task.SpreadsZones() {
		item.Spread = d.zonesOf(x.task.Group)
	}
	return item
}

// keepApart finds out which tasks may not share an instance: expressions over task:group
// are asked about each pair.
func (d *draft) keepApart(p *pack.Problem, open []*wish) {
	for i, x := range open {
		if !x.task.UsesTasks() {
			continue
		}
		empty, _ := d.market.shelf.Node(slices.Index(p.Items[i].Allowed, true))
		for j, y := range open {
			if _, ok := x.task.AllowedBeside(&empty, y.task.Group); !ok && y.unit == nil {
				p.Items[i].Avoid = append(p.Items[i].Avoid, j)
			}
		}
	}
}

// zonesOf counts the tasks of a group by zone, those that were put somewhere included.
func (d *draft) zonesOf(group string) map[fleet.Zone]int {
	zones := map[fleet.Zone]int{}
	for _, tc := range d.snap.Tasks {
		if d.snap.TaskGroups[tc.Group].Group == group {
			zones[d.snap.Instances[tc.Instance].Zone] += tc.Running
		}
	}
	for _, w := range slices.Concat(d.demand, d.moves) {
		if d.snap.TaskGroups[w.group].Group != group {
			continue
		}
		for _, p := range w.put {
			n, _ := d.cluster.Node(p.node)
			zones[n.Zone] += p.count
		}
	}
	return zones
}

// unpack turns a solution into instances to launch.
func (d *draft) unpack(p pack.Problem, s pack.Solution, open []*wish) []fresh {
	list := make([]fresh, 0, len(s.Instances))
	for _, inst := range s.Instances {
		f := fresh{offer: inst.Offering, alternatives: d.nearEqual(p, inst.Offering, inst.Items), count: inst.Count, later: forHeadroom}
		f.packing = fleet.Packing{Cost: s.Cost, Bound: s.LowerBound}
		for _, h := range inst.Items {
			f.loads = append(f.loads, load{wish: open[h.Item], count: h.Count})
			if open[h.Item].unit == nil {
				f.later = forDemand
			}
		}
		list = append(list, f)
	}
	return list
}

// commit counts on instances: from here on what they hold has a place, on nodes that are
// closed to everything else.
func (d *draft) commit(list []fresh) {
	for _, f := range list {
		for range f.count {
			node := d.addFresh(&f)
			d.cluster.Close(node)
			for _, l := range f.loads {
				d.cluster.Put(node, l.wish.task, l.count)
			}
			f.nodes = append(f.nodes, node)
		}
		for _, l := range f.loads {
			l.wish.credit(l.count * f.count)
		}
		d.fresh = append(d.fresh, f)
	}
}

// addFresh adds a node for an instance that is to be launched, with its daemon tasks.
func (d *draft) addFresh(f *fresh) int {
	template, _ := d.market.shelf.Node(f.offer)
	template.Free = d.market.offers[f.offer].Capacity
	template.UsedPorts = nil
	template.ID = fmt.Sprintf("new/%05d", d.cluster.Len())
	node := d.cluster.Add(template)
	d.reserveDaemons(node)
	return node
}

// credit notes that so many of a wish are launched for; a negative number takes it back.
func (x *wish) credit(n int) {
	x.count -= n
	if x.extra {
		return
	}
	if x.unit != nil {
		x.unit.launched += n
		return
	}
	for _, w := range x.demands {
		take := min(n, w.wanting())
		if n < 0 {
			take = max(n, -w.launched)
		}
		w.launched += take
		n -= take
	}
}

func (d *draft) instancesByZone() map[fleet.Zone]int {
	zones := map[fleet.Zone]int{}
	for i := range d.snap.Instances {
		if d.states[i] != gone {
			zones[d.snap.Instances[i].Zone]++
		}
	}
	return zones
}
