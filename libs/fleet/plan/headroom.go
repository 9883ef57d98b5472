package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// unit is a number of equal units of headroom. Each is put on a node as if it were a task:
// from then on nothing else can count on that room.
type unit struct {
	name     string
	task     *place.Task
	wanted   int
	put      []int // nodes, one entry a unit
	present  int   // on instances that are there or booting
	hoped    int   // beyond these: if ECS puts what waits side by side
	launched int   // on instances that this plan launches
}

func (u *unit) missing() int { return u.wanted - u.present - u.hoped - u.launched }

// keepHeadroom counts the whole units that are free, undoes drains that would give those
// that are missing, and leaves the rest to be launched together with what waits.
func (d *draft) keepHeadroom() {
	d.units = d.headroomUnits()
	if len(d.units) == 0 {
		return
	}
	d.countHeadroom()
	if d.mem.Pause.Paused() || !d.complete() {
		return
	}
	for d.lacksHeadroom() {
		best, gain := -1, 0
		for i := range d.snap.Instances {
			if d.restorable(i) {
				if n := d.headroomOf(i); n > gain {
					best, gain = i, n
				}
			}
		}
		if best < 0 {
			return
		}
		d.clearHeadroom()
		d.restore(best, fleet.Because(fleet.ReasonNeeded, instanceSubject(&d.snap.Instances[best]),
			"needs", fmt.Sprintf("headroom (%d of %d units)", gain, d.headroomWanted()), "units", gain))
		d.countHeadroom()
	}
}

// countHeadroom puts the units where there is room, largest first.
func (d *draft) countHeadroom() {
	d.openBooting()
	d.cluster.Order(d.fullestFirst())
	for _, u := range d.units {
		u.present += d.cluster.FitUpTo(u.task, u.wanted-u.present, func(node, count int) {
			u.put = append(u.put, slices.Repeat([]int{node}, count)...)
		})
	}
	d.hope()
	d.closeBooting()
}

// clearHeadroom undoes what countHeadroom did.
func (d *draft) clearHeadroom() {
	d.liftHeadroom()
	for _, u := range d.units {
		u.put, u.present, u.hoped = nil, 0, 0
	}
}

// liftHeadroom takes the units off their nodes, where they stay noted: ECS knows nothing of
// headroom and places tasks right over it.
func (d *draft) liftHeadroom() {
	for _, u := range d.units {
		for _, node := range u.put {
			d.cluster.Take(node, u.task, 1)
		}
	}
}

func (d *draft) lacksHeadroom() bool {
	return slices.ContainsFunc(d.units, func(u *unit) bool { return u.missing() > 0 })
}

func (d *draft) headroomWanted() int {
	n := 0
	for _, u := range d.units {
		n += u.wanted
	}
	return n
}

// headroomOf is how many of the units that are missing there would be if a drain were
// undone, and what has to leave the instance stayed.
func (d *draft) headroomOf(i int) int {
	m := d.cluster.Mark()
	defer d.cluster.Rollback(m)
	for _, w := range d.movesFrom[i] {
		for _, p := range w.put {
			d.cluster.Take(p.node, d.tasks[w.group], p.count)
		}
	}
	d.cluster.Open(i)
	d.reserveDaemons(i)
	d.openBooting()
	d.cluster.Order(d.fullestFirst())
	gain := 0
	for _, u := range d.units {
		gain += d.cluster.FitUpTo(u.task, u.missing(), nowhere)
	}
	return gain
}

// hope counts the units that are missing only because ECS may spread what waits, or has to
// leave a draining instance, over the room they need: they would be there if nothing
// waited, and in sum there is room for both. Tasks that a steady service runs beyond its
// desired count are about to go, and are counted as gone. Where ECS puts what waits is seen once it has;
// to buy them beforehand would buy them again with every plan until then, for ECS spreads
// over what was bought as well.
func (d *draft) hope() {
	if !d.lacksHeadroom() {
		return
	}
	waiting := slices.Concat(d.demand, d.moves)
	m := d.cluster.Mark()
	defer d.cluster.Rollback(m)
	if !d.takeSurplus() && len(waiting) == 0 {
		return
	}
	d.liftHeadroom()
	var waits fleet.Resources
	for _, w := range waiting {
		for _, p := range w.put {
			d.cluster.Take(p.node, d.tasks[w.group], p.count)
			waits = waits.Add(d.tasks[w.group].Needs.Times(int64(p.count)))
		}
	}
	nodes := d.fullestFirst()
	var room fleet.Resources
	for _, i := range nodes {
		room = room.Add(d.cluster.Free(i))
	}
	room = room.Sub(waits)
	d.cluster.Order(nodes)
	for _, u := range d.units {
		n := d.cluster.FitUpTo(u.task, int(u.task.Needs.Copies(room, int64(u.wanted))), nowhere)
		room = room.Sub(u.task.Needs.Times(int64(n)))
		if u.hoped = max(n-u.present, 0); u.hoped > 0 {
			d.because(fleet.ReasonUnsettled, "headroom", "missing", u.hoped, "wanted", u.wanted)
		}
	}
}

// headroomUnits are the units that the policy wants now: those of a fixed size, a share of
// what tasks request in units of the mean task, and another in units like the tasks of the
// services that scale out.
func (d *draft) headroomUnits() []*unit {
	if d.down != nil {
		return nil
	}
	wanted := d.pol.Headroom.At(d.now)
	var units []*unit
	for i := range wanted.Units {
		u := &wanted.Units[i]
		var attributes []fleet.Attribute
		if u.LaunchSpec != "" {
			attributes = append(attributes, fleet.Attribute{Name: fleet.AttributeLaunchSpec, Value: string(u.LaunchSpec)})
		}
		for _, name := range slices.Sorted(maps.Keys(u.Attributes)) {
			attributes = append(attributes, fleet.Attribute{Name: name, Value: u.Attributes[name]})
		}
		units = append(units, newUnit(unitName(i), &fleet.TaskGroup{Needs: u.Needs(), RequiredAttributes: attributes}, u.Count))
	}
	if percent := wanted.Percentage; percent > 0 {
		if requested, tasks := d.requested(); tasks > 0 {
			units = append(units, newUnit(fmt.Sprintf("headroom %d %%", percent), &fleet.TaskGroup{Needs: mean(requested, tasks)}, share(tasks, percent)))
		}
	}
	if percent := wanted.AutomaticPercentage; percent > 0 {
		units = append(units, d.automaticUnits(percent)...)
	}
	slices.SortStableFunc(units, func(a, b *unit) int {
		x, y := a.task.Needs, b.task.Needs
		return cmp.Or(cmp.Compare(y.GPUs, x.GPUs), cmp.Compare(max(4*y.CPUUnits, y.MemoryMiB), max(4*x.CPUUnits, x.MemoryMiB)))
	})
	return units
}

// requested is the sum of what tasks request, and how many there are. Of a service those
// count that it wants: what is there twice while an instance is drained or a deployment
// rolls out asks for no more headroom.
func (d *draft) requested() (sum fleet.Resources, tasks int) {
	add := func(group, count int) {
		if g := &d.snap.TaskGroups[group]; !g.Daemon && !g.Unsized {
			sum = sum.Add(g.Needs.Times(int64(count)))
			tasks += count
		}
	}
	for i := range d.snap.Services {
		for _, dep := range d.snap.Services[i].Deployments {
			if dep.Primary || dep.Rollout == "" { // task sets have no rollout, and each its own count
				add(dep.Group, dep.Desired)
			}
		}
	}
	for _, tc := range d.snap.Tasks {
		if _, ofService := d.service(tc.Group); !ofService {
			add(tc.Group, tc.Running)
		}
	}
	for _, w := range d.demand {
		if _, ofService := d.service(w.group); !ofService {
			add(w.group, w.count)
		}
	}
	return sum, tasks
}

// mean is the mean of what tasks request, rounded up. It takes a network interface if most
// tasks do; GPUs are too dear to keep by the way.
func mean(sum fleet.Resources, tasks int) fleet.Resources {
	n := int64(tasks)
	up := func(v int64) int64 { return (v + n - 1) / n }
	m := fleet.Resources{CPUUnits: up(sum.CPUUnits), MemoryMiB: up(sum.MemoryMiB)}
	if 2*sum.ENIs > n {
		m.ENIs = 1
	}
	return m
}

// fullestFirst lists the nodes that take tasks, those with the least room left first: what
// is put there leaves the emptier ones empty.
func (d *draft) fullestFirst() []int {
	type room struct {
		size int64
		node int
	}
	var rooms []room
	for i := range d.cluster.Len() {
		if d.cluster.Takes(i) {
			free := d.cluster.Free(i)
			rooms = append(rooms, room{max(4*free.CPUUnits, free.MemoryMiB), i})
		}
	}
	slices.SortFunc(rooms, func(a, b room) int {
		if a.size != b.size {
			return cmp.Compare(a.size, b.size)
		}
		return cmp.Compare(a.node, b.node)
	})
	nodes := make([]int, len(rooms))
	for i := range rooms {
		nodes[i] = rooms[i].node
	}
	return nodes
}
