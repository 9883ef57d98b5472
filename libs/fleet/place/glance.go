package place

import "math/rand/v2"

// A glance gives up, and leaves the choice to a survey or an index, at a layout of more
// splits, after that many nodes that have a task of the group already, and for good after
// being of no use that often in a row.
const (
	mostSplits   = 64
	mostCrowd    = 32
	mostFailures = 3
)

// Nodes are drawn at random, one for each so many there are and a few more, before all that
// have room are looked at: where one in twenty is as good as any, a draw nearly always hits.
const (
	nodesPerDraw = 32
	fewDraws     = 8
)

// glances reports whether a task is content with any eligible node, or any without a task of
// its group, of the values that have fewest of these: it is so with the default strategy of
// ECS and with random. Then a node need not be compared with all others to be chosen.
func (k *known) glances() bool {
	t := k.task
	if len(t.fields) > 1 || !indexable(t.chain) {
		return false
	}
	rest := t.chain[len(t.fields):]
	if k.level = len(rest) > 0 && rest[0].kind == spreadNode; k.level {
		rest = rest[1:]
	}
	return len(rest) == 0 || rest[0].kind == atRandom
}

// glance chooses for a task that [known.glances] without looking at all nodes: O(log n) for
// the lowest ID, and for chance O(n/m), where m nodes are tied for best. Where so few are
// that no draw hits one, it lists those that have room, O(m log n). Without chance the node
// is the one that a survey chooses; with chance each of the tied ones is as likely. It is
// not decided if all that are eligible have a task of the group: then it takes a survey.
func (c *Cluster) glance(k *known, rng *rand.Rand) (chosen int, ok, decided bool) {
	l := c.layoutOf(k)
	if len(l.splits) > mostSplits {
		return 0, false, false
	}
	c.catchUp(l)
	load := c.loads(k.group, l)
	splits := c.sizes[:0]
	for b := range l.splits {
		if l.splits[b].rooms.holds(&k.want) {
			splits = append(splits, int32(b))
		}
	}
	c.sizes = splits
	for from := 0; from < len(splits); {
		to := bringLeast(splits[from:], load) + from
		tied, crowded := c.glanceAt(k, l, splits[from:to], rng)
		switch {
		case len(tied) > 0:
			return l.pick(tied, rng), true, true
		case crowded:
			return 0, false, false
		}
		from = to
	}
	return 0, false, true
}

// bringLeast moves the splits of the least load to the front, in their order, and returns
// how many they are.
func bringLeast(splits []int32, load []int64) int {
	least, n := load[splits[0]], 0
	for _, b := range splits {
		least = min(least, load[b])
	}
	for x, b := range splits {
		if load[b] == least {
			copy(splits[n+1:x+1], splits[n:x])
			splits[n] = b
			n++
		}
	}
	return n
}

// glanceAt lists nodes of some splits of which any will do: with chance all of them, or one
// that was drawn, and the lowest of each split without. Crowded is whether there are eligible
// ones that will not. The list is good until the next call.
func (c *Cluster) glanceAt(k *known, l *layout, splits []int32, rng *rand.Rand) (tied []int, crowded bool) {
	tied = c.scratch[:0]
	if rng != nil {
		if i, ok := c.draw(k, l, splits, rng); ok {
			c.scratch = append(tied, i)
			return c.scratch, false
		}
	}
	crowd := 0
	for _, b := range splits {
		s := &l.splits[b]
		s.rooms.each(&k.want, func(leaf int) bool {
			i := int(s.nodes[leaf])
			switch {
			case !c.passes(i, k):
				return true
			case k.level && c.countOn(i, k.group) > 0:
				crowd++
				return rng != nil || crowd < mostCrowd
			}
			tied = append(tied, i)
			return rng != nil
		})
		if rng == nil && crowd >= mostCrowd { // what was not looked at may have a lower ID
			return nil, true
		}
	}
	c.scratch = tied
	return tied, crowd > 0
}

// draw tries nodes of some splits at random, each as likely as the others.
func (c *Cluster) draw(k *known, l *layout, splits []int32, rng *rand.Rand) (int, bool) {
	total := 0
	for _, b := range splits {
		total += len(l.splits[b].nodes)
	}
	for range fewDraws + total/nodesPerDraw {
		at, b := rng.IntN(total), 0
		for at >= len(l.splits[splits[b]].nodes) {
			at -= len(l.splits[splits[b]].nodes)
			b++
		}
		i := int(l.splits[splits[b]].nodes[at])
		if k.task.Needs.Fits(c.room[i]) && c.passes(i, k) && (!k.level || c.countOn(i, k.group) == 0) {
			return i, true
		}
	}
	return 0, false
}

// countOn is how many tasks of a group a node holds, whether or not they are tallied.
func (c *Cluster) countOn(i int, group int32) int32 {
	if t := &c.tallies[group]; i < len(t.count) {
		return t.count[i]
	}
	return c.nodes[i].count(group)
}

// catchUp has the rooms of a layout follow what changed since it was last asked for.
func (c *Cluster) catchUp(l *layout) {
	const worse = 8 // to follow a change takes as long as to build so many leaves anew
	if behind := c.dropped + len(c.touched) - l.seen; l.seen < c.dropped || behind*worse > len(c.nodes) || !l.roomy {
		for b := range l.splits {
			s := &l.splits[b]
			s.rooms = newRooms(len(s.nodes), func(leaf int) space { return spaceOf(c.room[s.nodes[leaf]]) })
		}
		l.roomy = true
	} else {
		for _, i := range c.touched[l.seen-c.dropped:] {
			at := &l.where[i]
			l.splits[at.split].rooms.set(int(at.leaf), spaceOf(c.room[i]))
		}
	}
	l.seen = c.dropped + len(c.touched)
}
