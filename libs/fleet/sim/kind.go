package sim

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
	"github.com/neap-project/neap/libs/fleet/query"
)

// kind is a set of tasks that placement treats alike: the same group, definition,
// overrides and rules.
type kind struct {
	*place.Task
	group fleet.TaskGroup // what Task is compiled from
	needs fleet.Resources
	ports fleet.Ports
}

// request is what decides where tasks may be placed.
type request struct {
	Group       string
	Definition  string
	Overrides   *TaskOverride `json:"-"` // what matters of it is in Needs
	Needs       fleet.Resources
	Constraints []PlacementConstraint
	Strategy    []PlacementStrategy
	Network     *NetworkConfiguration
	Provider    string
	Standalone  bool
}

// kindOf compiles a request once per cluster.
func (w *World) kindOf(c *cluster, d *taskDefinition, r request) (*kind, error) {
	k := &kind{}
	k.needs, k.ports = d.needs(r.Overrides)
	r.Definition, r.Needs = d.TaskDefinitionArn, k.needs
	key, err := json.Marshal(r)
	if err != nil {
		return nil, clientError(codeClient, "%v", err)
	}
	if known := c.kinds[string(key)]; known != nil {
		return known, nil
	}
	group := fleet.TaskGroup{
		Group: r.Group, TaskDefinition: d.Family, Needs: k.needs, Ports: k.ports,
		CapacityProvider: r.Provider, Standalone: r.Standalone,
	}
	for _, pc := range append(slices.Clone(d.PlacementConstraints), r.Constraints...) {
		if pc.Type == "distinctInstance" {
			group.Distinct = true
		} else {
			group.Constraints = append(group.Constraints, pc.Expression)
		}
	}
	for _, a := range d.RequiresAttributes {
		group.RequiredAttributes = append(group.RequiredAttributes, fleet.Attribute{Name: a.Name, Value: a.Value})
	}
	for _, s := range r.Strategy {
		group.Strategy = append(group.Strategy, fleet.Strategy{Type: fleet.StrategyType(s.Type), Field: s.Field})
	}
	if p := d.RuntimePlatform; p != nil && !w.cfg.PlatformIgnored {
		group.Architecture = fleet.Architecture(strings.ToLower(p.CPUArchitecture))
		if f := p.OperatingSystemFamily; f != "" {
			group.RequiredAttributes = append(group.RequiredAttributes, fleet.Attribute{Name: attributeOSFamily, Value: f})
		}
	}
	if d.NetworkMode == networkAwsvpc {
		if group.Zones, err = w.zonesOf(r.Network); err != nil {
			return nil, err
		}
	}
	k.group = group
	if k.Task, err = place.Compile(&k.group); err != nil {
		return nil, invalid("%v", err)
	}
	c.kinds[string(key)] = k
	return k, nil
}

// zonesOf are the zones of the subnets of a network configuration, each once.
func (w *World) zonesOf(n *NetworkConfiguration) ([]fleet.Zone, error) {
	if n == nil || n.AwsvpcConfiguration == nil || len(n.AwsvpcConfiguration.Subnets) == 0 {
		return nil, invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	}
	const mostSubnets = 16
	if len(n.AwsvpcConfiguration.Subnets) > mostSubnets {
		return nil, invalid("subnets can have at most %d items.", mostSubnets)
	}
	var zones []fleet.Zone
	for _, id := range n.AwsvpcConfiguration.Subnets {
		s := w.subnet(id)
		if s == nil {
			return nil, invalid("Error retrieving subnet information for [%s]: The subnet ID '%s' does not exist", id, id)
		}
		zones = append(zones, fleet.Zone(s.Zone))
	}
	slices.Sort(zones)
	return slices.Compact(zones), nil
}

// The most rules that ECS takes with one task.
const (
	mostConstraints = 10
	mostStrategies  = 5
)

// checkConstraints refuses constraints that ECS would refuse. distinctInstance is a rule
// of services and runs, not of task definitions.
func checkConstraints(constraints []PlacementConstraint, distinctAllowed bool) error {
	if len(constraints) > mostConstraints {
		return invalid("Too many placement constraints: %d, at most %d", len(constraints), mostConstraints)
	}
	for _, c := range constraints {
		switch c.Type {
		case "distinctInstance":
			if !distinctAllowed {
				return invalid("The distinctInstance placement constraint is not supported in task definitions.")
			}
			if c.Expression != "" {
				return invalid("The distinctInstance placement constraint cannot have an expression.")
			}
		case "memberOf":
			if _, err := query.Parse(c.Expression); err != nil {
				return invalid("Invalid expression: %v", err)
			}
		default:
			return invalid("Invalid placement constraint type %q: use memberOf or distinctInstance", c.Type)
		}
	}
	return nil
}

// checkStrategy refuses strategies that ECS would refuse.
func checkStrategy(rules []PlacementStrategy) error {
	if len(rules) > mostStrategies {
		return invalid("Too many placement strategies: %d, at most %d", len(rules), mostStrategies)
	}
	for _, r := range rules {
		field := strings.ToLower(r.Field)
		switch {
		case r.Type == "random" && r.Field == "":
		case r.Type == "binpack" && (field == "cpu" || field == "memory"):
		case r.Type == "spread" && r.Field != "":
		default:
			return invalid("Invalid placement strategy %q with field %q: use random, binpack over cpu or memory, or spread over instanceId or an attribute", r.Type, r.Field)
		}
	}
	return nil
}
