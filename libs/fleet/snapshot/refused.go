package snapshot

import (
	"cmp"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// mostRefusedTasks bounds what refusals alone may ask for: they are a hint, and a caller
// that has gone wrong may ask without end.
const mostRefusedTasks = 10_000

// addRefused counts standalone tasks that found no room among those that wait. One whose
// definition was not read, or that runs elsewhere, is left out: the next refusal comes
// with the next time that it is asked for.
func (a *assembly) addRefused() {
	waiting := map[int]int{}
	for i := range a.in.Refused {
		r := &a.in.Refused[i]
		d := a.definitions[r.TaskDefinition]
		if d == nil || r.Count <= 0 || a.elsewhere(r.LaunchType, r.CapacityProvider) || strings.HasPrefix(r.Group, "service:") {
			continue
		}
		group := a.refusedGroup(r, d)
		at, ok := waiting[group]
		if !ok {
			at = len(a.snap.Waiting)
			waiting[group] = at
			a.snap.Waiting = append(a.snap.Waiting, fleet.Waiting{Group: group, Refused: true})
		}
		w := &a.snap.Waiting[at]
		w.Count = min(w.Count+r.Count, mostRefusedTasks)
		w.Since = firstOf(w.Since, r.Since)
	}
}

// refusedGroup returns the group of refused tasks: that of like tasks that run, if RunTask
// was told nothing that a running task does not show.
func (a *assembly) refusedGroup(r *Refused, d *definition) int {
	key := r.key()
	if i, ok := a.groups[key]; ok {
		return i
	}
	g := a.group(nil, key, r.TaskDefinition)
	size := d.reserves(&r.Overrides)
	g.Needs, g.Ports, g.Unsized = size.needs, size.ports, size.problem != ""
	g.CapacityProvider = r.CapacityProvider
	constrain(&g, r.Constraints)
	g.Strategy = strategies(r.Placement)
	for _, id := range r.Subnets { // one that was not read restricts nothing: no section hangs on a hint
		if zone, ok := a.zones[id]; ok && !slices.Contains(g.Zones, zone) {
			g.Zones = append(g.Zones, zone)
		}
	}
	slices.Sort(g.Zones)
	index := a.addGroup(key, g)
	a.allGPUs[index] = size.allGPUs
	return index
}

func (r *Refused) key() groupKey {
	definition := last(r.TaskDefinition)
	family, _, _ := strings.Cut(definition, ":")
	parts := []string{}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	if sizes := r.Overrides.String(); sizes != "" {
		parts = append(parts, sizes)
	}
	add("capacityProvider", r.CapacityProvider)
	for _, c := range r.Constraints {
		add(c.Type, cmp.Or(c.Expression, "yes"))
	}
	for _, p := range r.Placement {
		add(p.Type, cmp.Or(p.Field, "yes"))
	}
	add("subnets", strings.Join(slices.Sorted(slices.Values(r.Subnets)), ","))
	return groupKey{group: cmp.Or(r.Group, "family:"+family), definition: definition, overrides: strings.Join(parts, " ")}
}

// Like reports whether a task is one of those that were refused, as far as it shows: a task
// does not tell which constraints it was asked for with.
func (r *Refused) Like(t *Task) bool {
	return t.TaskDefinition == r.TaskDefinition && t.Group == r.Group && t.Overrides.String() == r.Overrides.String()
}
