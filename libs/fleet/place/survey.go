package place

import (
	"math/rand/v2"
	"slices"
)

// survey chooses by looking at the nodes, and chooses the very node that the index of the
// task would. It goes by the values that the task spreads over, those with the fewest of
// its tasks first, and ends with the first that have an eligible node: O(n), but of the
// quickest kind, for most nodes are passed over by a glance at their room. A few tasks of
// many groups are placed so.
func (c *Cluster) survey(k *known, rng *rand.Rand) (int, bool) {
	l := c.layoutOf(k)
	rest := k.task.chain[len(l.fields):]
	load := c.loads(k.group, l)
	splits := c.sizes[:0]
	for b := range l.splits {
		splits = append(splits, int32(b))
	}
	c.sizes = splits
	if len(l.fields) > 1 { // a value counts within those before: what is left after the others is left to the rules
		return c.surveyAll(k, l, rng)
	}
	slices.SortStableFunc(splits, func(a, b int32) int {
		switch {
		case load[a] < load[b]:
			return -1
		case load[a] > load[b]:
			return 1
		}
		return 0
	})
	for from := 0; from < len(splits); {
		to := from + 1
		for to < len(splits) && load[splits[to]] == load[splits[from]] {
			to++
		}
		if tied := c.best(k, l, splits[from:to], rest); len(tied) > 0 {
			return l.pick(tied, rng), true
		}
		from = to
	}
	return 0, false
}

// surveyAll is survey for a task that spreads over the values of several fields.
func (c *Cluster) surveyAll(k *known, l *layout, rng *rand.Rand) (int, bool) {
	all := c.best(k, l, c.sizes, nil)
	if len(all) == 0 {
		return 0, false
	}
	load := c.loads(k.group, l)
	for level := range l.fields {
		sums := map[string]int64{}
		for b := range l.splits {
			sums[l.splits[b].prefixes[level]] += load[b]
		}
		all = least(all, func(i int) int64 { return sums[l.splits[l.where[i].split].prefixes[level]] })
	}
	for _, r := range k.task.chain[len(l.fields):] {
		if r.kind == atRandom {
			break
		}
		all = least(all, func(i int) int64 { return c.measure(i, r.kind, k.group) })
	}
	return l.pick(all, rng), true
}

// best lists the eligible nodes of some splits that are best by the rules, in the order in
// which an index holds them: split by split, and by ID. The list is good until the next call.
func (c *Cluster) best(k *known, l *layout, splits []int32, rules []rule) []int {
	if len(rules) > 0 && rules[0].kind == atRandom {
		rules = nil // what follows chance decides nothing
	}
	list, lowest := c.scratch[:0], int64(0)
	needs := k.task.Needs
	c.tally(k.group)
	for _, b := range splits {
		for _, node := range l.splits[b].nodes {
			i := int(node)
			if r := &c.room[i]; needs.CPUUnits > r.CPUUnits || needs.MemoryMiB > r.MemoryMiB || needs.GPUs > r.GPUs || needs.ENIs > r.ENIs {
				continue
			}
			if len(rules) > 0 && len(list) > 0 && c.measure(i, rules[0].kind, k.group) > lowest {
				continue
			}
			if !c.passes(i, k) {
				continue
			}
			if len(rules) > 0 {
				if m := c.measure(i, rules[0].kind, k.group); len(list) == 0 || m < lowest {
					list, lowest = list[:0], m
				}
			}
			list = append(list, i)
		}
	}
	c.scratch = list
	for x := 1; x < len(rules) && len(list) > 1 && rules[x].kind != atRandom; x++ {
		list = least(list, func(i int) int64 { return c.measure(i, rules[x].kind, k.group) })
	}
	return list
}

// passes is admits for a node that has room.
func (c *Cluster) passes(i int, k *known) bool {
	if class := c.alike[i]; k.plain && class >= 0 && int(class) < len(k.verdicts) && k.verdicts[class] != undecided {
		return k.verdicts[class] == admitted && (!k.task.Distinct || c.countOn(i, k.group) == 0)
	}
	return c.admits(i, k)
}

// loads counts the tasks of a group by split, over all nodes that are there, eligible or
// not, in time proportional to the changes of the group. It is kept up to date from then on.
func (c *Cluster) loads(group int32, l *layout) []int64 {
	t := &c.tallies[group]
	switch {
	case t.layout == l && t.removals == c.removals:
		return t.load
	case t.count != nil:
		t.load = l.loads(c, c.tally(group))
	default:
		t.load = make([]int64, len(l.splits))
		slices.Sort(t.nodes)
		t.nodes = slices.Compact(t.nodes)
		for _, i := range t.nodes {
			if int(i) < len(c.nodes) && !c.nodes[i].gone {
				t.load[l.where[i].split] += int64(c.nodes[i].count(group))
			}
		}
	}
	t.layout, t.removals = l, c.removals
	return t.load
}

// pick takes one of several nodes that are equally good.
func (l *layout) pick(tied []int, rng *rand.Rand) int {
	if rng != nil {
		return tied[rng.IntN(len(tied))]
	}
	return slices.MinFunc(tied, func(i, j int) int { return int(l.where[i].rank - l.where[j].rank) })
}
