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
	parsed := map[string]*constraint{} // services share a few
	for j := range s.TaskGroups {
		t, err := compileSharing(&s.TaskGroups[j], parsed)
		t.Index = j
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
	c.Grow(len(s.Instances))
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
	c.hold(s.Tasks, tasks)
	if err := errors.Join(problems...); err != nil {
		return c, tasks, fmt.Errorf("task groups of %s: %w", s.Cluster, err)
	}
	return c, tasks, nil
}

// hold notes the tasks of a task table, O(rows) if it is in canonical order: then no row
// has to be looked for among the others of its node.
func (c *Cluster) hold(counts []fleet.TaskCount, tasks []*Task) {
	numbers := make([]int32, len(tasks))
	for j, t := range tasks {
		numbers[j] = c.groupOf(t.Group)
	}
	c.reserve(counts, numbers)
	last, ordered := fleet.TaskCount{Instance: -1}, true
	for _, tc := range counts {
		ordered = ordered && (tc.Instance > last.Instance || tc.Instance == last.Instance && tc.Group > last.Group)
		last = tc
		t, group, count := tasks[tc.Group], numbers[tc.Group], int32(tc.Running)
		switch {
		case count <= 0:
		case !ordered || len(t.Ports) > 0:
			c.shift(tc.Instance, group, t, count, false)
		default:
			n := &c.nodes[tc.Instance]
			n.held = append(n.held, held{task: t, group: group, count: count})
			n.running += int64(count)
			c.tallies[group].add(tc.Instance, count)
		}
	}
}

// fewMore is how many kinds of tasks a node may come to hold beyond those it has at first,
// before what it holds is moved: most never get as many.
const fewMore = 4

// reserve makes room for what nodes and tallies are going to hold, all at once.
func (c *Cluster) reserve(counts []fleet.TaskCount, numbers []int32) {
	perNode, perGroup := make([]int, len(c.nodes)), make([]int, len(c.tallies))
	for i := range counts {
		perNode[counts[i].Instance]++
		perGroup[numbers[counts[i].Group]]++
	}
	all := make([]held, len(counts)+fewMore*len(perNode))
	for i, n := range perNode {
		c.nodes[i].held, all = all[:0:n+fewMore], all[n+fewMore:]
	}
	nodes := make([]int32, len(counts))
	for g, n := range perGroup {
		c.tallies[g].nodes, nodes = nodes[:0:n], nodes[n:]
	}
}
