package place

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// index keeps the nodes of a cluster in the order in which one task would choose them.
// Nodes are split into buckets by the values that the leading spread rules spread over;
// within a bucket a tournament tree holds the eligible nodes, best first.
type index struct {
	*layout
	kinds   []ruleKind // rules that follow the spreads, one key each
	buckets []bucket
	had     []int32 // by node: how many tasks of the group it had
	seen    int     // touched entries that were caught up with, dropped ones included
}

// layout is how the nodes of a cluster are split for a list of spread fields: the same for
// all tasks that spread over these.
type layout struct {
	fields []string
	where  []spot // by node
	splits []split
	shape  int
	roomy  bool // the splits have rooms
	seen   int  // touched entries that the rooms caught up with, dropped ones included
}

// spot is where a node is in a layout.
type spot struct {
	split, leaf int32
	rank        int32 // position by ID
}

// split is the nodes with the same values for the fields, in the order of their IDs.
type split struct {
	prefixes []string // values for the first, the first two, … fields
	nodes    []int32
	rooms    rooms // of the nodes, once they were asked for
}

// bucket is a split from the point of view of a task.
type bucket struct {
	*split
	load int64 // tasks of the group on its nodes
	tree tree
}

// indexable reports whether the spreads over values all come first: then, and it is so in
// nearly all services, the buckets can be chosen before the nodes.
func indexable(chain []rule) bool {
	leading := true
	for _, r := range chain {
		if r.kind != spreadValue {
			leading = false
		} else if !leading {
			return false
		}
	}
	return true
}

// indexed chooses by the index of the task, building or refreshing it first.
func (c *Cluster) indexed(k *known, rng *rand.Rand) (int, bool) {
	if k.index == nil || k.index.shape != c.shape || k.index.seen < c.dropped || c.behind(k.index) > len(c.nodes) {
		k.index = c.build(k)
	} else {
		c.tally(k.group)
		for _, i := range c.touched[k.index.seen-c.dropped:] {
			c.refresh(k, int(i))
		}
		k.index.seen = c.dropped + len(c.touched)
	}
	return k.index.choose(rng)
}

func (c *Cluster) behind(x *index) int { return c.dropped + len(c.touched) - x.seen }

// layout splits the nodes by their values for some fields, O(n log n) once per list of
// fields and change in the number of nodes.
func (c *Cluster) layout(fields []string) *layout {
	key := strings.Join(fields, "\x00")
	if l := c.layouts[key]; l != nil && l.shape == c.shape {
		return l
	}
	l := &layout{fields: slices.Clone(fields), where: make([]spot, len(c.nodes)), shape: c.shape}
	order := make([]int, len(c.nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, c.compareID)
	byValue := map[string]int32{}
	for rank, i := range order {
		value := c.valueAt(i, fields)
		b, ok := byValue[value]
		if !ok {
			b = int32(len(l.splits))
			byValue[value] = b
			l.splits = append(l.splits, split{prefixes: c.prefixes(i, fields)})
		}
		l.where[i] = spot{split: b, leaf: int32(len(l.splits[b].nodes)), rank: int32(rank)}
		l.splits[b].nodes = append(l.splits[b].nodes, int32(i))
	}
	c.layouts[key] = l
	return l
}

// layoutOf is the layout of the fields of a task.
func (c *Cluster) layoutOf(k *known) *layout {
	if k.layout == nil || k.layout.shape != c.shape {
		k.layout = c.layout(k.task.fields)
	}
	return k.layout
}

// build makes the index of a task, O(n).
func (c *Cluster) build(k *known) *index {
	l := c.layoutOf(k)
	x := &index{layout: l, seen: c.dropped + len(c.touched), had: make([]int32, len(c.nodes)), buckets: make([]bucket, len(l.splits))}
	for _, r := range k.task.chain {
		if r.kind == atRandom {
			break // what follows chance decides nothing
		}
		if r.kind != spreadValue {
			x.kinds = append(x.kinds, r.kind)
		}
	}
	for b := range x.buckets {
		x.buckets[b] = bucket{split: &l.splits[b], tree: newTree(l.splits[b].nodes, len(x.kinds))}
	}
	c.tally(k.group)
	for i := range c.nodes {
		c.fill(k, x, i)
	}
	for b := range x.buckets {
		x.buckets[b].tree.playAll()
	}
	return x
}

func (c *Cluster) prefixes(i int, fields []string) []string {
	prefixes := make([]string, len(fields))
	for j := range fields {
		prefixes[j] = c.valueAt(i, fields[:j+1])
	}
	return prefixes
}

// fill sets the leaf of a node, without playing the tournament.
func (c *Cluster) fill(k *known, x *index, i int) {
	at := &x.where[i]
	b := &x.buckets[at.split]
	count := c.tallies[k.group].count[i]
	if c.nodes[i].gone {
		count = 0
	}
	b.load += int64(count - x.had[i])
	x.had[i] = count
	if !c.admits(i, k) {
		b.tree.clear(int(at.leaf))
		return
	}
	keys := b.tree.enter(int(at.leaf))
	for j, kind := range x.kinds {
		keys[j] = c.measure(i, kind, k.group)
	}
}

func (c *Cluster) refresh(k *known, i int) {
	c.fill(k, k.index, i)
	at := k.index.where[i]
	k.index.buckets[at.split].tree.play(int(at.leaf))
}

// choose narrows the buckets rule by rule, and then takes the best node of those left.
func (x *index) choose(rng *rand.Rand) (int, bool) {
	candidates := make([]*bucket, 0, len(x.buckets))
	for b := range x.buckets {
		if x.buckets[b].tree.size() > 0 {
			candidates = append(candidates, &x.buckets[b])
		}
	}
	for level := range x.fields {
		if len(candidates) < 2 {
			break
		}
		candidates = x.narrow(candidates, level)
	}
	if len(candidates) == 0 {
		return 0, false
	}
	best := candidates[:1]
	for _, b := range candidates[1:] {
		switch d := compareBest(&b.tree, &best[0].tree); {
		case d < 0:
			best = append(candidates[:0], b)
		case d == 0:
			best = append(best, b)
		}
	}
	return x.pick(best, rng), true
}

// narrow keeps the buckets whose value at this level has the fewest tasks.
func (x *index) narrow(candidates []*bucket, level int) []*bucket {
	if len(x.fields) == 1 { // each bucket is a value of its own
		least := candidates[0].load
		for _, b := range candidates {
			least = min(least, b.load)
		}
		return slices.DeleteFunc(candidates, func(b *bucket) bool { return b.load > least })
	}
	load := map[string]int64{}
	for b := range x.buckets {
		load[x.buckets[b].prefixes[level]] += x.buckets[b].load
	}
	least := load[candidates[0].prefixes[level]]
	for _, b := range candidates {
		least = min(least, load[b.prefixes[level]])
	}
	return slices.DeleteFunc(candidates, func(b *bucket) bool { return load[b.prefixes[level]] > least })
}

// pick takes one of the nodes that are tied for the best of the buckets.
func (x *index) pick(tied []*bucket, rng *rand.Rand) int {
	if rng == nil {
		chosen := tied[0].tree.tied(0)
		for _, b := range tied[1:] {
			if i := b.tree.tied(0); x.where[i].rank < x.where[chosen].rank {
				chosen = i
			}
		}
		return chosen
	}
	total := 0
	for _, b := range tied {
		total += b.tree.size()
	}
	at := rng.IntN(total)
	for _, b := range tied {
		if at < b.tree.size() {
			return b.tree.tied(at)
		}
		at -= b.tree.size()
	}
	panic("place: the ties of an index do not add up")
}
