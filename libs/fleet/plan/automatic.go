package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// mostShapes is how many services automatic headroom is shaped after: those behind them
// hardly grow, and each shape more leaves less room for the first.
const mostShapes = 5

// grower is a service that scaled out lately.
type grower struct {
	group *fleet.TaskGroup
	tasks int // by which it grew
}

// growers are the services that scaled out most lately, the first more than the next. A
// service whose tasks Neap could not launch for is none.
func (d *draft) growers() []grower {
	var list []grower
	for i := range d.snap.Services {
		svc := &d.snap.Services[i]
		if svc.Scheduling == fleet.Daemon {
			continue
		}
		tasks, _ := d.grown(svc)
		for _, dep := range svc.Deployments {
			if g := &d.snap.TaskGroups[dep.Group]; dep.Primary && tasks > 0 && !g.Unsized && !g.Needs.IsZero() && g.CapacityProvider == "" {
				list = append(list, grower{group: g, tasks: tasks})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b grower) int {
		return cmp.Or(cmp.Compare(b.tasks, a.tasks), cmp.Compare(a.group.Group, b.group.Group))
	})
	return list[:min(len(list), mostShapes)]
}

// automaticUnits are a share of what tasks request, in units like the tasks of the services
// that scaled out most lately, each service by its part in the growth. A unit may be where
// its tasks may, and takes what they take, ports included.
func (d *draft) automaticUnits(percent int) []*unit {
	requested, tasks := d.requested()
	if tasks == 0 {
		return nil
	}
	growers := d.growers()
	if len(growers) == 0 { // nothing is known yet: as a share in units of the mean task
		return []*unit{newUnit("headroom automatic", &fleet.TaskGroup{Needs: mean(requested, tasks)}, share(tasks, percent))}
	}
	total := 0
	for _, g := range growers {
		total += g.tasks
	}
	var units []*unit
	for _, g := range growers {
		// A unit's size is its share of the resource that it takes most of, in millionths.
		const millionths = 1_000_000
		part := func(need, of int64) int64 {
			if of <= 0 {
				return 0
			}
			return need * millionths / of
		}
		size := max(part(g.group.Needs.CPUUnits, requested.CPUUnits), part(g.group.Needs.MemoryMiB, requested.MemoryMiB), 1)
		wants := int64(percent) * millionths / allPercent * int64(g.tasks) / int64(total)
		u := newUnit("headroom like "+g.group.Group, likeTask(g.group), int((wants+size-1)/size))
		if u != nil {
			units = append(units, u)
		}
	}
	return units
}

// likeTask is a task group that a unit of headroom is made of: it needs what a task of the
// service needs and may be where that may be. Only where no two tasks of the service may
// share an instance does the unit belong to its task group.
func likeTask(g *fleet.TaskGroup) *fleet.TaskGroup {
	like := *g
	like.TaskDefinition, like.Overrides, like.Strategy = "", "", nil
	if !g.Distinct {
		like.Group = ""
	}
	return &like
}

// newUnit makes a unit of headroom; nil if a constraint of the group cannot be read, for
// then a task of it can be nowhere.
func newUnit(name string, g *fleet.TaskGroup, count int) *unit {
	if g.Group == "" {
		g.Group = name
	}
	t, err := place.Compile(g)
	if err != nil {
		return nil
	}
	t.Name, t.Reserved = name, true
	return &unit{name: name, task: t, wanted: min(count, mostTasks)}
}

// share is a percentage of a number, rounded up.
func share(n, percent int) int { return (n*percent + allPercent - 1) / allPercent }

// surpluses are the tasks that steady services run beyond their desired count, by group:
// ECS started them while it balances zones or empties instances, and stops as many soon.
// Tasks on instances that are leaving go with these, and protected ones stay.
func (d *draft) surpluses() map[int]int {
	over := map[int]int{}
	for i := range d.snap.Services {
		svc := &d.snap.Services[i]
		if svc.Scheduling == fleet.Daemon || deploying(svc) || len(svc.Deployments) != 1 {
			continue
		}
		if dep := &svc.Deployments[0]; dep.Running+dep.Pending > svc.Desired {
			over[dep.Group] = dep.Running + dep.Pending - svc.Desired
		}
	}
	if len(over) == 0 {
		return nil
	}
	for _, tc := range d.snap.Tasks {
		if n, ok := over[tc.Group]; ok {
			switch d.states[tc.Instance] {
			case leaving, noticed, gone:
				over[tc.Group] = n - tc.Running
			case active, away, bootingUp, late:
				over[tc.Group] = n - tc.Protected
			}
		}
	}
	return over
}

// takeSurplus takes the tasks away that ECS is about to stop: in the zone that holds most of
// their service, which is where it does. It reports whether there were any.
func (d *draft) takeSurplus() (taken bool) {
	over := d.surpluses()
	on := map[int][]int{} // active instances by task group
	for _, tc := range d.snap.Tasks {
		if over[tc.Group] > 0 && d.states[tc.Instance] == active && tc.Running > 0 {
			on[tc.Group] = append(on[tc.Group], tc.Instance)
		}
	}
	for group := range d.snap.TaskGroups {
		for range over[group] {
			node, ok := d.fullestZone(on[group], d.tasks[group].Group)
			if !ok {
				break
			}
			d.cluster.Take(node, d.tasks[group], 1)
			taken = true
		}
	}
	return taken
}

// fullestZone is the first instance with a task of a group in the zone that holds most of
// these.
func (d *draft) fullestZone(instances []int, group string) (best int, ok bool) {
	zones := map[fleet.Zone]int{}
	for _, i := range instances {
		zones[d.snap.Instances[i].Zone] += d.cluster.Count(i, group)
	}
	for _, i := range instances {
		if d.cluster.Count(i, group) > 0 && (!ok || zones[d.snap.Instances[i].Zone] > zones[d.snap.Instances[best].Zone]) {
			best, ok = i, true
		}
	}
	return best, ok
}

// unitName numbers the units of the policy for people.
func unitName(i int) string { return fmt.Sprintf("headroom unit %d", i+1) }
