package snapshot

import (
	"cmp"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// addTasks counts tasks by instance and group.
func (a *assembly) addTasks() {
	counts := map[[2]int]int{}
	waiting := map[int]int{}
	for _, t := range newestTasks(a.in.Tasks.Tasks) {
		if a.elsewhere(t.LaunchType, t.CapacityProvider) || t.LastStatus == "STOPPED" || t.LastStatus == "DELETED" {
			continue
		}
		stopping := t.DesiredStatus == "STOPPED"
		at, onInstance := -1, t.ContainerInstance != ""
		if onInstance {
			ci := last(t.ContainerInstance)
			if a.passedOver[ci] {
				continue
			}
			var known bool
			if at, known = a.instances[ci]; !known {
				if !stopping { // a stopping one goes down with its instance
					a.fail(fleet.SectionTasks, "task %s is on container instance %s, which was not listed", last(t.ARN), ci)
				}
				continue
			}
		}
		group, known := a.taskGroup(t)
		switch {
		case !known, !onInstance && stopping:
		case !onInstance:
			a.wait(waiting, group, t)
		default:
			a.count(counts, at, group, t, stopping)
		}
	}
}

// newestTasks returns each task once, with its highest version.
func newestTasks(tasks []Task) []*Task {
	index := make(map[string]int, len(tasks))
	newest := make([]*Task, 0, len(tasks))
	for i := range tasks {
		t := &tasks[i]
		known, ok := index[t.ARN]
		switch {
		case !ok:
			index[t.ARN] = len(newest)
			newest = append(newest, t)
		case t.Version > newest[known].Version:
			newest[known] = t
		}
	}
	return newest
}

func (a *assembly) count(counts map[[2]int]int, instance, group int, t *Task, stopping bool) {
	key := [2]int{instance, group}
	i, ok := counts[key]
	if !ok {
		i = len(a.snap.Tasks)
		counts[key] = i
		a.snap.Tasks = append(a.snap.Tasks, fleet.TaskCount{Instance: instance, Group: group})
	}
	c, g := &a.snap.Tasks[i], &a.snap.TaskGroups[group]
	// What ECS itself counts while an interface is being detached is not documented:
	// counting it as held errs on the safe side.
	a.interfaces[instance] += g.Needs.ENIs
	if stopping {
		c.Stopping++
		return
	}
	c.Running++
	switch t.LastStatus {
	case "PROVISIONING", "PENDING", "ACTIVATING":
		c.Pending++
	}
	if t.Protected {
		c.Protected++
	}
	if a.allGPUs[group] {
		a.gpus[instance] = a.snap.Instances[instance].Registered.GPUs
		return
	}
	a.gpus[instance] += g.Needs.GPUs
}

func (a *assembly) wait(waiting map[int]int, group int, t *Task) {
	i, ok := waiting[group]
	if !ok {
		i = len(a.snap.Waiting)
		waiting[group] = i
		a.snap.Waiting = append(a.snap.Waiting, fleet.Waiting{Group: group})
	}
	a.snap.Waiting[i].Count++
	a.snap.Waiting[i].Since = firstOf(a.snap.Waiting[i].Since, t.CreatedAt)
}

// taskGroup returns the group of a task. It is not known for the task of a service that
// runs elsewhere.
func (a *assembly) taskGroup(t *Task) (index int, known bool) {
	name, ofService := strings.CutPrefix(t.Group, "service:")
	var svc *service
	if ofService {
		switch svc = a.services[fleet.ServiceName(name)]; {
		case svc == nil:
			a.fail(fleet.SectionServices, "service %s, which task %s belongs to, was not listed", name, last(t.ARN))
		case svc.elsewhere:
			return 0, false
		}
	}
	definition := last(t.TaskDefinition)
	family, _, _ := strings.Cut(definition, ":")
	base := groupKey{group: cmp.Or(t.Group, "family:"+family), definition: definition}
	g := a.baseGroup(svc, base, t.TaskDefinition)
	key := base
	key.overrides = a.variant(&g, t)
	if i, ok := a.groups[key]; ok {
		return i, true
	}
	return a.addVariant(key, g, t), true
}

// baseGroup is the group of tasks of a service and definition without anything special.
func (a *assembly) baseGroup(svc *service, key groupKey, definitionARN string) fleet.TaskGroup {
	if i, ok := a.groups[key]; ok {
		return a.snap.TaskGroups[i]
	}
	if g, ok := a.bases[key]; ok {
		return g
	}
	g := a.group(svc, key, definitionARN)
	if svc != nil {
		g.CapacityProvider = providerOf(svc.Strategy)
		g.Zones = a.zonesOf(svc.Subnets)
	}
	a.bases[key] = g
	return g
}

// variant says in what a task differs from its base group: in its size, in the capacity
// provider it is bound to, in a tag of its own. It is empty for nearly all tasks.
func (a *assembly) variant(g *fleet.TaskGroup, t *Task) string {
	if t.Overrides.empty() && len(t.Tags) == 0 && t.CapacityProvider == g.CapacityProvider && a.definitions[t.TaskDefinition] != nil {
		return ""
	}
	text := t.Overrides.String()
	add := func(name, value string) {
		if value != "" {
			text = strings.TrimPrefix(text+" "+name+"="+value, " ")
		}
	}
	if a.definitions[t.TaskDefinition] == nil {
		add("task.cpu", t.CPU)
		add("task.memory", t.Memory)
	}
	if t.CapacityProvider != g.CapacityProvider {
		add("capacityProvider", cmp.Or(t.CapacityProvider, "none"))
	}
	if set, yes := a.restricted(t.Tags); set && yes != g.Restricted {
		add("restricted", map[bool]string{true: "true", false: "false"}[yes])
	}
	return text
}

// addVariant adds the group of a task that differs from its base group as key says.
func (a *assembly) addVariant(key groupKey, g fleet.TaskGroup, t *Task) int {
	g.Overrides = key.overrides
	g.CapacityProvider = t.CapacityProvider
	// The task's own tag has the last word.
	if set, yes := a.restricted(t.Tags); set {
		g.Restricted = yes
	}
	if d := a.definitions[t.TaskDefinition]; d != nil {
		r := d.reserves(&t.Overrides)
		g.Needs, g.Ports, g.Unsized = r.needs, r.ports, r.problem != ""
		index := a.addGroup(key, g)
		a.allGPUs[index] = r.allGPUs
		return index
	}
	// What ECS reserved is better than nothing, but ports and attributes stay unknown.
	g.Needs.CPUUnits, _ = cpuUnits(cmp.Or(t.Overrides.CPU, t.CPU, "0"))
	g.Needs.MemoryMiB, _ = memoryMiB(cmp.Or(t.Overrides.Memory, t.Memory, "0"))
	return a.addGroup(key, g)
}
