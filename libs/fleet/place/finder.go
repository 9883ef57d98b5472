package place

import "github.com/neap-project/neap/libs/fleet"

// finder finds the first node of an order that has room: a tree of the most that is free
// below each vertex.
type finder struct {
	order []int
	where []int32 // leaf of each node, or -1
	rooms
}

// Order sets the order in which Fit tries nodes; nodes that are not named are not tried.
// Nodes added later are not tried either.
func (c *Cluster) Order(nodes []int) {
	f := &finder{order: nodes, where: make([]int32, len(c.nodes))}
	for i := range f.where {
		f.where[i] = -1
	}
	for leaf, i := range nodes {
		f.where[i] = int32(leaf)
	}
	f.rooms = newRooms(len(nodes), func(leaf int) space { return spaceOf(c.room[nodes[leaf]]) })
	c.finder = f
	c.grown()
}

// Fit puts one task on the first eligible node of the order, whatever its strategy. It
// asks whether there is room, not where ECS would go.
func (c *Cluster) Fit(t *Task) (chosen int, ok bool) {
	f := c.finder
	if f == nil || t.broken != nil {
		return 0, false
	}
	leaf, ok := f.find(c, c.know(t), 1, 0, f.base, 0)
	if !ok {
		return 0, false
	}
	chosen = f.order[leaf]
	c.Put(chosen, t, 1)
	return chosen, true
}

// FitUpTo puts as many of count tasks as there is room for where Fit would put them one
// after the other, tells put of each node and how many, and returns how many they are. The
// search goes on where it found the last node, for what was put makes no node before it
// eligible: O(log n) a node as a rule, however many tasks it takes.
func (c *Cluster) FitUpTo(t *Task, count int, put func(node, count int)) int {
	f := c.finder
	if f == nil || t.broken != nil {
		return 0
	}
	if c.FitsNowhere(t) {
		return 0
	}
	k := c.know(t)
	single := t.Distinct || len(t.Ports) > 0 || t.UsesTasks()
	left, from := count, 0
	for left > 0 {
		leaf, ok := f.find(c, k, 1, 0, f.base, from)
		if !ok {
			break
		}
		n := 1
		if !single {
			n = int(t.Needs.Copies(c.room[f.order[leaf]], int64(left)))
		}
		c.Put(f.order[leaf], t, n)
		put(f.order[leaf], n)
		left -= n
		if !t.UsesTasks() { // else what was put may have made an earlier node eligible
			from = leaf
		}
	}
	return count - left
}

// Fits reports whether Fit would find a node if one were closed. It changes nothing. That
// there is none is remembered until a node has more room than it had: O(1) from then on.
func (c *Cluster) Fits(t *Task, closed int) bool {
	f := c.finder
	if f == nil || t.broken != nil {
		return false
	}
	if c.FitsNowhere(t) {
		return false
	}
	k := c.know(t)
	for from := 0; ; {
		leaf, ok := f.find(c, k, 1, 0, f.base, from)
		switch {
		case ok && f.order[leaf] == closed:
			from = leaf + 1
			continue
		case !ok && from == 0 && !t.UsesTasks():
			k.nowhere, c.refusal = c.growth, len(c.journal)
		}
		return ok
	}
}

// FitsNowhere reports whether it is remembered that no node is eligible for a task.
func (c *Cluster) FitsNowhere(t *Task) bool { return c.know(t).nowhere == c.growth }

// grown notes that a node may have more room, or that more nodes are looked at: whatever
// was found to fit nowhere may fit now.
func (c *Cluster) grown() {
	c.growths++
	c.growth = c.growths
}

// find returns the first leaf, not before one, of an eligible node below a vertex, whose
// leaves begin at lo and are so many.
func (f *finder) find(c *Cluster, k *known, v, lo, width, from int) (leaf int, ok bool) {
	if lo+width <= from || !f.most[v].holds(&k.want) {
		return 0, false
	}
	if v >= f.base {
		return lo, c.admits(f.order[lo], k)
	}
	width /= 2
	if leaf, ok = f.find(c, k, 2*v, lo, width, from); ok {
		return leaf, true
	}
	return f.find(c, k, 2*v+1, lo+width, width, from)
}

// refresh follows a change of a node.
func (f *finder) refresh(c *Cluster, i int) {
	if i >= len(f.where) || f.where[i] < 0 {
		return
	}
	f.set(int(f.where[i]), spaceOf(c.room[i]))
}

// roomOf is what a node would take, less than nothing if it is closed or gone.
func (c *Cluster) roomOf(i int) fleet.Resources {
	n := &c.nodes[i]
	if !n.Schedulable || n.gone {
		return none
	}
	return most(n.Free, fleet.Resources{})
}

func most(a, b fleet.Resources) fleet.Resources {
	return fleet.Resources{
		CPUUnits: max(a.CPUUnits, b.CPUUnits), MemoryMiB: max(a.MemoryMiB, b.MemoryMiB),
		GPUs: max(a.GPUs, b.GPUs), ENIs: max(a.ENIs, b.ENIs),
	}
}
