package place

import (
	"fmt"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/query"
)

// Task is a task group made ready for placement: its expressions are parsed once. It never
// changes, and may be used with any number of clusters.
type Task struct {
	Name             string // for people: "service:web web:7"
	Group            string
	Needs            fleet.Resources
	Ports            fleet.Ports
	Distinct         bool
	CapacityProvider string
	Index            int  // of its task group in the snapshot it was compiled for, else fleet.NoIndex
	Reserved         bool // room that is kept, not a task: expressions do not see it

	zones    []fleet.Zone
	requires []fleet.Attribute
	exprs    []*constraint
	names    []string // attributes that decide whether the task is eligible, sorted
	chain    []rule
	fields   []string // that the chain spreads over
	broken   error    // the group could not be understood: no node is eligible
	usesNode bool     // an expression asks for what differs from node to node
}

// constraint is one memberOf expression with what was found out about it. It never changes,
// and tasks share it.
type constraint struct {
	expr *query.Expr
	// usesTasks is set if the answer changes with what is placed, usesNode if it depends
	// on more than attributes: neither may be remembered by attribute set.
	usesTasks, usesNode bool
}

// rule is one rule of a placement strategy, understood.
type rule struct {
	kind  ruleKind
	field string // attribute that a spreadValue rule spreads over
}

type ruleKind uint8

const (
	spreadValue   ruleKind = iota // fewest tasks of the group over all nodes of the value
	spreadNode                    // fewest tasks of the group on the node
	binpackCPU                    // least CPU left
	binpackMemory                 // least memory left
	atRandom
)

// zoneAttribute is the built-in attribute that services are spread over by default.
const zoneAttribute = "ecs.availability-zone"

// architectureAttribute is the built-in attribute that a runtime platform asks for.
const architectureAttribute = "ecs.cpu-architecture"

// Compile makes a task group ready for placement. If a constraint cannot be parsed or a
// strategy is unknown, the error says so and the task is still returned: it is eligible
// nowhere, so that one bad group never stops the others.
func Compile(g *fleet.TaskGroup) (*Task, error) { return compileSharing(g, nil) }

// compileSharing is Compile with the expressions that were parsed already, to add to; nil is none.
func compileSharing(g *fleet.TaskGroup, parsed map[string]*constraint) (*Task, error) {
	t := &Task{
		Name:             Name(g),
		Index:            fleet.NoIndex,
		Group:            g.Group,
		Needs:            g.Needs,
		Ports:            g.Ports,
		Distinct:         g.Distinct,
		CapacityProvider: g.CapacityProvider,
		zones:            g.Zones,
		requires:         g.RequiredAttributes,
	}
	if g.Architecture != "" {
		t.requires = append(slices.Clone(t.requires), fleet.Attribute{Name: architectureAttribute, Value: string(g.Architecture)})
	}
	for _, a := range t.requires {
		t.names = append(t.names, a.Name)
	}
	for _, text := range g.Constraints {
		if err := t.constrain(text, parsed); err != nil && t.broken == nil {
			t.broken = fmt.Errorf("compile %s: %w", t.Name, err)
		}
	}
	chain, err := compileStrategy(g)
	if err != nil && t.broken == nil {
		t.broken = fmt.Errorf("compile %s: %w", t.Name, err)
	}
	t.chain = chain
	for _, r := range chain {
		if r.kind == spreadValue {
			t.fields = append(t.fields, r.field)
		}
	}
	slices.Sort(t.names)
	t.names = slices.Compact(t.names)
	return t, t.broken
}

// Name is how people are told of a task group: "service:web web:7".
func Name(g *fleet.TaskGroup) string {
	return strings.TrimSpace(g.Group + " " + g.TaskDefinition)
}

// UsesTasks reports whether a constraint of the task asks what else runs on a node, so
// that an empty node may be no answer to it.
func (t *Task) UsesTasks() bool {
	return slices.ContainsFunc(t.exprs, func(c *constraint) bool { return c.usesTasks })
}

// AsksFor reports whether what the task requires or one of its expressions depends on an
// attribute.
func (t *Task) AsksFor(attribute string) bool {
	_, asks := slices.BinarySearch(t.names, attribute)
	return asks
}

// SpreadsZones reports whether the strategy of the task spreads it over zones.
func (t *Task) SpreadsZones() bool {
	return slices.ContainsFunc(t.chain, func(r rule) bool { return r.kind == spreadValue && r.field == zoneAttribute })
}

func (t *Task) constrain(text string, parsed map[string]*constraint) error {
	c := parsed[text]
	if c == nil {
		var err error
		if c, err = parse(text); err != nil {
			return err
		}
		if parsed != nil {
			parsed[text] = c
		}
	}
	t.usesNode = t.usesNode || c.usesNode
	t.exprs = append(t.exprs, c)
	t.names = append(t.names, c.expr.Attributes()...)
	return nil
}

func parse(text string) (*constraint, error) {
	expr, err := query.Parse(text)
	if err != nil {
		return nil, err
	}
	c := &constraint{expr: expr, usesTasks: expr.UsesTasks()}
	// A literal that happens to hold one of these words costs time, not correctness.
	for _, word := range []string{"agentVersion", "agentConnected", "ec2InstanceId", "registeredAt"} {
		c.usesNode = c.usesNode || strings.Contains(expr.String(), word)
	}
	return c, nil
}

// compileStrategy reads the strategy of a group. A service without one is spread over
// zones and then put where fewest of its tasks are; a standalone task goes anywhere.
func compileStrategy(g *fleet.TaskGroup) ([]rule, error) {
	if len(g.Strategy) == 0 {
		if g.Standalone {
			return []rule{{kind: atRandom}}, nil
		}
		return []rule{{kind: spreadValue, field: zoneAttribute}, {kind: spreadNode}}, nil
	}
	var chain []rule
	for _, s := range g.Strategy {
		field := strings.TrimPrefix(s.Field, "attribute:")
		switch {
		case s.Type == fleet.StrategySpread && (strings.EqualFold(field, "instanceId") || strings.EqualFold(field, "host")):
			chain = append(chain, rule{kind: spreadNode})
		case s.Type == fleet.StrategySpread && field != "":
			chain = append(chain, rule{kind: spreadValue, field: field})
		case s.Type == fleet.StrategyBinpack && strings.EqualFold(field, "cpu"):
			chain = append(chain, rule{kind: binpackCPU})
		case s.Type == fleet.StrategyBinpack && strings.EqualFold(field, "memory"):
			chain = append(chain, rule{kind: binpackMemory})
		case s.Type == fleet.StrategyRandom:
			chain = append(chain, rule{kind: atRandom})
		default:
			return chain, fmt.Errorf("%w: placement strategy %s %q: ECS knows spread over instanceId or an attribute, binpack over cpu or memory, and random",
				fleet.ErrInvalid, s.Type, s.Field)
		}
	}
	return chain, nil
}
