package place

import (
	"errors"
	"fmt"

	"github.com/neap-project/neap/libs/fleet"
)

// FromSnapshot makes a cluster of a valid snapshot and compiles its task groups: node i is
// instance i, task j is task group j. Instances that are not active, or whose agent is not
// connected, are closed. The error joins what is wrong with single groups; these have a
// task that is eligible nowhere, and cluster and tasks can be used all the same.
func FromSnapshot(s *fleet.Snapshot) (*Cluster, []*Task, error) {
	var problems []error
	tasks := make([]*Task, len(s.TaskGroups))
	for j := range s.TaskGroups {
		t, err := Compile(&s.TaskGroups[j])
		if err != nil {
			problems = append(problems, err)
		}
		tasks[j] = t
	}
	sets := make([]*Attributes, len(s.AttributeSets))
	for j, set := range s.AttributeSets {
		sets[j] = NewAttributes(set...)
	}
	c := New()
	for i := range s.Instances {
		inst := &s.Instances[i]
		n := Node{
			ID:               string(inst.ID),
			Zone:             inst.Zone,
			Own:              inst.OwnAttributes,
			Total:            inst.Registered,
			Free:             inst.Remaining,
			UsedPorts:        inst.UsedPorts,
			Schedulable:      inst.Status == fleet.StatusActive && inst.AgentConnected,
			CapacityProvider: inst.CapacityProvider,
			AgentVersion:     inst.AgentVersion,
			RegisteredAt:     inst.RegisteredAt,
		}
		if inst.Attributes != fleet.NoIndex {
			n.Attributes = sets[inst.Attributes]
		}
		c.Add(n)
	}
	c.reserve(s.Tasks)
	numbers := make([]int32, len(tasks))
	for j, t := range tasks {
		numbers[j] = c.groupOf(t.Group)
	}
	for _, tc := range s.Tasks {
		if tc.Running > 0 {
			c.shift(tc.Instance, numbers[tc.Group], tasks[tc.Group], int32(tc.Running), false)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return c, tasks, fmt.Errorf("task groups of %s: %w", s.Cluster, err)
	}
	return c, tasks, nil
}

// reserve makes room for what the nodes are going to hold, all at once.
func (c *Cluster) reserve(counts []fleet.TaskCount) {
	per := make([]int, len(c.nodes))
	for _, tc := range counts {
		per[tc.Instance]++
	}
	all := make([]held, len(counts))
	for i, n := range per {
		c.nodes[i].held = all[:0:n]
		all = all[n:]
	}
}
