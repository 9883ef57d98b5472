package place

import (
	"math/rand/v2"
	"slices"
)

// scansBeforeIndex is how often chance picks among the ties of a task in the order of nodes;
// after that it picks in the order of an index.
const scansBeforeIndex = 3

// Place chooses a node for one task as ECS does and puts the task on it. Each rule of the
// strategy narrows the eligible nodes to the best; what is left is a tie, which goes to
// chance, or to the lowest ID if rng is nil. A strategy never blocks: ok is false only if
// no node is eligible.
func (c *Cluster) Place(t *Task, rng *rand.Rand) (chosen int, ok bool) {
	return c.place(t, 1, rng)
}

// What a survey costs and what an index does, measured: to build one takes as long as so
// many surveys, to catch up with so many changes as long as one node of a survey.
const (
	surveysPerBuild = 12
	nodesPerChange  = 25
)

// indexPays reports whether to place so many tasks by the index of a task: if it is not far
// behind, or if there are so many of them, or have been with little else between, that it
// is worth building one.
func (c *Cluster) indexPays(k *known, of int) bool {
	if x := k.index; x != nil && x.shape == c.shape && x.seen >= c.dropped && c.behind(x)*nodesPerChange < of*len(c.nodes) {
		return true
	}
	now := c.dropped + len(c.touched)
	if (now-k.last)*nodesPerChange < len(c.nodes) {
		k.lately++
	} else {
		k.lately = 0
	}
	k.last = now
	return of+k.lately >= surveysPerBuild
}

// PlaceUpTo places as many of count tasks as there is room for, and returns how many.
func (c *Cluster) PlaceUpTo(t *Task, count int, rng *rand.Rand) int {
	return c.PlaceEach(t, count, rng, func(int) {})
}

// PlaceEach is PlaceUpTo that tells put of the node of each task. Without chance the nodes
// are those that as many calls of Place would choose. With it, they are as likely as these,
// but other ones: it does not look at all nodes that are tied to take one of them.
func (c *Cluster) PlaceEach(t *Task, count int, rng *rand.Rand, put func(node int)) int {
	for placed := range count {
		node, ok := c.placeQuickly(t, count-placed, rng)
		if !ok {
			return placed
		}
		put(node)
	}
	return count
}

// placeQuickly is place that tries a glance first.
func (c *Cluster) placeQuickly(t *Task, of int, rng *rand.Rand) (chosen int, ok bool) {
	k := c.know(t)
	if t.broken != nil || !k.quick || k.failures >= mostFailures {
		return c.place(t, of, rng)
	}
	chosen, ok, decided := c.glance(k, rng)
	if !decided {
		k.failures++
		return c.place(t, of, rng)
	}
	k.failures = 0
	if ok {
		c.Put(chosen, t, 1)
	}
	return chosen, ok
}

// place places one of so many tasks that are going to be placed.
func (c *Cluster) place(t *Task, of int, rng *rand.Rand) (chosen int, ok bool) {
	if t.broken != nil {
		return 0, false
	}
	k := c.know(t)
	early := k.scans < scansBeforeIndex
	if early {
		k.scans++
	}
	// Chance picks among ties in the order of a scan, and later in that of an index: which of
	// them it is must not depend on what was asked for without chance. The lowest ID is the
	// same in both.
	switch {
	case !indexable(t.chain) || early && rng != nil:
		chosen, ok = c.scan(k, rng)
	case c.indexPays(k, of):
		chosen, ok = c.indexed(k, rng)
	default:
		chosen, ok = c.survey(k, rng)
	}
	if ok {
		c.Put(chosen, t, 1)
	}
	return chosen, ok
}

// scan chooses by looking at every node.
func (c *Cluster) scan(k *known, rng *rand.Rand) (int, bool) {
	candidates := c.scratch[:0]
	for i := range c.nodes {
		if c.admits(i, k) {
			candidates = append(candidates, i)
		}
	}
	c.scratch = candidates
	if len(candidates) == 0 {
		return 0, false
	}
	count := c.tally(k.group)
	var path []string // fields of the spreads so far: each counts within the ones before
	for _, r := range k.task.chain {
		if len(candidates) == 1 {
			return candidates[0], true
		}
		switch r.kind {
		case spreadValue:
			path = append(path, r.field)
			l := c.layout(path)
			load := l.loads(c, count)
			candidates = least(candidates, func(i int) int64 { return load[l.where[i].split] })
		case atRandom:
			return c.tie(candidates, rng), true
		default:
			candidates = least(candidates, func(i int) int64 { return c.measure(i, r.kind, k.group) })
		}
	}
	return c.tie(candidates, rng), true
}

// tie takes one of several nodes that are equally good.
func (c *Cluster) tie(candidates []int, rng *rand.Rand) int {
	if rng != nil {
		return candidates[rng.IntN(len(candidates))]
	}
	return slices.MinFunc(candidates, c.compareID)
}

// least narrows candidates to those of the smallest measure.
func least(candidates []int, measure func(int) int64) []int {
	best := measure(candidates[0])
	kept := candidates[:1]
	for _, i := range candidates[1:] {
		switch m := measure(i); {
		case m < best:
			best = m
			kept = append(candidates[:0], i)
		case m == best:
			kept = append(kept, i)
		}
	}
	return kept
}

// measure is what a rule minimises on a single node.
func (c *Cluster) measure(i int, kind ruleKind, group int32) int64 {
	switch kind {
	case spreadNode:
		return int64(c.tallies[group].count[i])
	case binpackCPU:
		return c.nodes[i].Free.CPUUnits
	case binpackMemory:
		return c.nodes[i].Free.MemoryMiB
	default:
		return 0
	}
}

// loads counts the tasks of a group by split, over all nodes that are there, eligible or
// not.
func (l *layout) loads(c *Cluster, count []int32) []int64 {
	load := make([]int64, len(l.splits))
	for i, n := range count {
		if n > 0 && !c.nodes[i].gone {
			load[l.where[i].split] += int64(n)
		}
	}
	return load
}

// valueAt is the values of a node for the fields. A node that lacks an attribute has a
// value of its own: the documents do not say, and so it is neither preferred nor shunned.
func (c *Cluster) valueAt(i int, path []string) string {
	n := &c.nodes[i].Node
	if len(path) == 1 {
		if v, ok := n.lookup(path[0]); ok {
			return "=" + v
		}
		return ""
	}
	key := ""
	for _, field := range path {
		if v, ok := n.lookup(field); ok {
			key += "=" + v
		}
		key += "\x00"
	}
	return key
}

// compareID orders nodes by ID, and by number if IDs are equal.
func (c *Cluster) compareID(i, j int) int {
	switch a, b := c.nodes[i].ID, c.nodes[j].ID; {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return i - j
	}
}
