package place

import (
	"cmp"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// Node is a container instance as placement sees it, real or hypothetical.
type Node struct {
	ID               string // ties go to the lowest; the EC2 instance ID of a real node
	Zone             fleet.Zone
	Attributes       *Attributes       // shared by all nodes that carry the same
	Own              []fleet.Attribute // the few that differ on every node
	Total            fleet.Resources
	Free             fleet.Resources // what ECS would still place here
	UsedPorts        fleet.Ports
	Schedulable      bool // active, with its agent connected
	CapacityProvider string
	AgentVersion     string
	RegisteredAt     time.Time
}

// Attributes is a set of ECS attributes. Nodes that share a set share what was found out
// about it, so make one per distinct set and not one per node.
type Attributes struct {
	sorted []fleet.Attribute
}

// NewAttributes makes a set. If a name comes twice the last value counts, as in ECS.
func NewAttributes(attributes ...fleet.Attribute) *Attributes {
	sorted := slices.Clone(attributes)
	slices.SortStableFunc(sorted, func(a, b fleet.Attribute) int { return cmp.Compare(a.Name, b.Name) })
	n := 0
	for i := range sorted {
		if i+1 < len(sorted) && sorted[i+1].Name == sorted[i].Name {
			continue
		}
		sorted[n] = sorted[i]
		n++
	}
	return &Attributes{sorted: sorted[:n]}
}

// Lookup returns the value of an attribute; a name-only attribute is "" and true.
func (a *Attributes) Lookup(name string) (value string, ok bool) {
	if a == nil {
		return "", false
	}
	i, found := slices.BinarySearchFunc(a.sorted, name, func(x fleet.Attribute, name string) int { return cmp.Compare(x.Name, name) })
	if !found {
		return "", false
	}
	return a.sorted[i].Value, true
}

// All returns the attributes, sorted by name. The caller must not change them.
func (a *Attributes) All() []fleet.Attribute {
	if a == nil {
		return nil
	}
	return a.sorted
}

// With returns a set with these attributes added or replaced.
func (a *Attributes) With(more ...fleet.Attribute) *Attributes {
	return NewAttributes(append(slices.Clone(a.All()), more...)...)
}

// lookup finds an attribute of the node: its own first, then the shared ones. The zone is
// known even of a node that carries no built-in attributes.
func (n *Node) lookup(name string) (string, bool) {
	for i := range n.Own {
		if n.Own[i].Name == name {
			return n.Own[i].Value, true
		}
	}
	if v, ok := n.Attributes.Lookup(name); ok {
		return v, true
	}
	if name == zoneAttribute && n.Zone != "" {
		return string(n.Zone), true
	}
	return "", false
}
