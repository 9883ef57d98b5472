package snapshot

import (
	"cmp"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// Healthy percentages that hold where a service names none.
const (
	defaultMinHealthy = 100 // of a replica service; a daemon service has 0
	defaultMax        = 200 // of a replica service; a daemon service has 100
)

// service is a service with what its tasks need to know of it.
type service struct {
	*Service
	daemon    bool
	elsewhere bool // its capacity is none of our business
}

// groupKey identifies a task group.
type groupKey struct{ group, definition, overrides string }

// addServices adds the services that run on instances of the cluster, and the groups of
// their deployments.
func (a *assembly) addServices() {
	sorted := make([]*Service, 0, len(a.in.Services.Services))
	for i := range a.in.Services.Services {
		sorted = append(sorted, &a.in.Services.Services[i])
	}
	slices.SortFunc(sorted, func(x, y *Service) int { return cmp.Compare(x.Name, y.Name) })
	for _, s := range sorted {
		name := fleet.ServiceName(s.Name)
		if a.services[name] != nil || s.Status == "INACTIVE" || s.Name == "" {
			continue
		}
		svc := &service{Service: s, daemon: s.Scheduling == "DAEMON"}
		svc.elsewhere = a.elsewhere(s.LaunchType, providerOf(s.Strategy))
		a.services[name] = svc
		if !svc.elsewhere {
			a.addService(svc)
		}
	}
}

func (a *assembly) addService(svc *service) {
	out := fleet.Service{
		Name: fleet.ServiceName(svc.Name), Scheduling: fleet.Replica, Desired: max(svc.Desired, 0),
		MinHealthyPercent: defaultMinHealthy, MaxPercent: defaultMax,
		CreatedAt: svc.CreatedAt, LastEvent: svc.LastEvent, Deployments: []fleet.Deployment{},
	}
	if svc.daemon {
		out.Scheduling, out.MinHealthyPercent, out.MaxPercent = fleet.Daemon, 0, 100
	}
	// The other controllers move traffic, not counts: they ignore what the service says.
	if svc.Controller == "" || svc.Controller == "ECS" {
		out.MinHealthyPercent = max(orDefault(svc.MinHealthyPercent, out.MinHealthyPercent), 0)
		out.MaxPercent = max(orDefault(svc.MaxPercent, out.MaxPercent), 0)
	}
	if svc.Status == "DRAINING" {
		out.Desired = 0 // it is being deleted
	}
	_, out.Restricted = a.restricted(svc.Tags)
	for _, d := range svc.running() {
		if provider := d.provider(svc); !a.elsewhere(cmp.Or(d.LaunchType, svc.LaunchType), provider) {
			out.Deployments = append(out.Deployments, a.deployment(svc, d))
		}
	}
	a.snap.Services = append(a.snap.Services, out)
}

// running returns the deployments (or task sets) that have or want tasks, the primary one
// first: where two of them disagree on a task group, it is the one that counts.
func (s *service) running() []*Deployment {
	list := s.Deployments
	if len(s.TaskSets) > 0 {
		list = s.TaskSets
	}
	var running []*Deployment
	for i := range list {
		if d := &list[i]; d.Status != "INACTIVE" {
			running = append(running, d)
		}
	}
	rank := func(d *Deployment) int {
		if d.Status == "PRIMARY" {
			return 0
		}
		return 1
	}
	slices.SortFunc(running, func(x, y *Deployment) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x.ID, y.ID))
	})
	return running
}

func (a *assembly) deployment(svc *service, d *Deployment) fleet.Deployment {
	out := fleet.Deployment{
		ID: d.ID, Primary: d.Status == "PRIMARY",
		Desired: max(d.Desired, 0), Running: max(d.Running, 0), Pending: max(d.Pending, 0), Failed: max(d.Failed, 0),
		UpdatedAt: d.UpdatedAt,
	}
	switch d.Rollout {
	case "IN_PROGRESS":
		out.Rollout = fleet.RolloutInProgress
	case "COMPLETED":
		out.Rollout = fleet.RolloutCompleted
	case "FAILED", "STOPPED": // ECS starts no more tasks of either
		out.Rollout = fleet.RolloutFailed
	}
	if svc.Status == "DRAINING" {
		out.Desired = 0
	}
	key := groupKey{group: "service:" + svc.Name, definition: last(d.TaskDefinition)}
	if known, ok := a.groups[key]; ok {
		out.Group = known
		return out
	}
	subnets := d.Subnets
	if len(subnets) == 0 {
		subnets = svc.Subnets
	}
	group := a.group(svc, key, d.TaskDefinition)
	group.CapacityProvider = d.provider(svc)
	group.Zones = a.zonesOf(subnets)
	out.Group = a.addGroup(key, group)
	if definition := a.definitions[d.TaskDefinition]; definition != nil {
		a.allGPUs[out.Group] = definition.reserves(&Overrides{}).allGPUs
	}
	return out
}

// provider is the capacity provider that most tasks of a deployment are bound to. Tasks
// that ECS bound to another one form a group of their own.
func (d *Deployment) provider(svc *service) string {
	if len(d.Strategy) > 0 {
		return providerOf(d.Strategy)
	}
	return providerOf(svc.Strategy)
}

func providerOf(strategy []ProviderStrategy) string {
	if len(strategy) == 0 {
		return ""
	}
	most := slices.MinFunc(strategy, func(x, y ProviderStrategy) int {
		return cmp.Or(-cmp.Compare(x.Weight, y.Weight), -cmp.Compare(x.Base, y.Base), cmp.Compare(x.Provider, y.Provider))
	})
	return most.Provider
}

// group makes a task group from its service, which is nil for standalone tasks, and its
// task definition.
func (a *assembly) group(svc *service, key groupKey, definitionARN string) fleet.TaskGroup {
	g := fleet.TaskGroup{
		Group: key.group, TaskDefinition: key.definition, Overrides: key.overrides,
		Standalone: !strings.HasPrefix(key.group, "service:"),
	}
	if svc != nil {
		g.Daemon = svc.daemon
		_, g.Restricted = a.restricted(svc.Tags)
		constrain(&g, svc.Constraints)
		g.Strategy = strategies(svc.Placement)
	}
	d := a.definitions[definitionARN]
	if d == nil {
		g.Unsized = true
		a.fail(fleet.SectionTasks, "task definition %s was not read", last(definitionARN))
		return g
	}
	r := d.reserves(&Overrides{})
	g.Needs, g.Ports, g.Unsized = r.needs, r.ports, r.problem != ""
	if _, restricted := a.restricted(d.Tags); restricted {
		g.Restricted = true
	}
	constrain(&g, d.Constraints)
	g.RequiredAttributes = d.required()
	g.Architecture = architecture(d.CPUArchitecture)
	return g
}

// constrain adds placement constraints to a group. All of them must hold, so their order
// does not matter.
func constrain(g *fleet.TaskGroup, constraints []Constraint) {
	for _, c := range constraints {
		switch {
		case c.Type == "distinctInstance":
			g.Distinct = true
		case c.Expression != "":
			g.Constraints = append(g.Constraints, c.Expression)
		}
	}
	slices.Sort(g.Constraints)
	g.Constraints = slices.Compact(g.Constraints)
}

func strategies(rules []PlacementRule) []fleet.Strategy {
	var out []fleet.Strategy
	for _, r := range rules {
		switch t := fleet.StrategyType(strings.ToLower(r.Type)); t {
		case fleet.StrategySpread, fleet.StrategyBinpack, fleet.StrategyRandom:
			out = append(out, fleet.Strategy{Type: t, Field: r.Field})
		}
	}
	return out
}

// zonesOf returns the zones of the subnets of an awsvpc configuration.
func (a *assembly) zonesOf(subnets []string) []fleet.Zone {
	var zones []fleet.Zone
	for _, id := range subnets {
		zone, ok := a.zones[id]
		if !ok {
			a.fail(fleet.SectionNetwork, "subnet %s, which a service uses, was not read", id)
			continue
		}
		zones = append(zones, zone)
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

func (a *assembly) addGroup(key groupKey, g fleet.TaskGroup) int {
	a.groups[key] = len(a.snap.TaskGroups)
	a.snap.TaskGroups = append(a.snap.TaskGroups, g)
	return a.groups[key]
}

func orDefault(v *int, otherwise int) int {
	if v == nil {
		return otherwise
	}
	return *v
}
