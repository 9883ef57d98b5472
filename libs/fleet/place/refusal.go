package place

import "fmt"

// Kind is the filter that refused a node, in the words of ECS.
type Kind string

// The filters, in the order in which they are asked.
const (
	KindNone       Kind = ""           // eligible
	KindAgent      Kind = "AGENT"      // not active, or its agent is not connected
	KindProvider   Kind = "PROVIDER"   // not of the task's capacity provider
	KindAttribute  Kind = "ATTRIBUTE"  // lacks a required attribute
	KindLocation   Kind = "LOCATION"   // not in a zone of the task's subnets
	KindConstraint Kind = "CONSTRAINT" // a memberOf expression is false
	KindDistinct   Kind = "DISTINCT"   // holds a task of the group already
	KindCPU        Kind = "CPU"
	KindMemory     Kind = "MEMORY"
	KindGPU        Kind = "GPU"
	KindENI        Kind = "ENI"
	KindPort       Kind = "PORT" // a host port is taken
)

// Refusal says why a node is not eligible for a task.
type Refusal struct {
	Kind   Kind
	Detail string // "memory: needs 4096 MiB, 3072 free"
	Clause string // of KindConstraint: the part of the expression that is false
}

// Permanent reports whether the refusal would stand however empty the node were.
func (r Refusal) Permanent() bool {
	switch r.Kind {
	case KindProvider, KindAttribute, KindLocation:
		return true
	default:
		return false
	}
}

// String is for people: "MEMORY: needs 4096 MiB, 3072 free".
func (r Refusal) String() string {
	if r.Clause != "" {
		return fmt.Sprintf("%s %s: %s", r.Kind, r.Clause, r.Detail)
	}
	return fmt.Sprintf("%s: %s", r.Kind, r.Detail)
}
