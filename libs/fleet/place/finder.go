package place

import "github.com/neap-project/neap/libs/fleet"

// finder finds the first node of an order that has room: a tree of the most that is free
// below each vertex, in each resource by itself.
type finder struct {
	order []int
	where []int32 // leaf of each node, or -1
	base  int
	most  []fleet.Resources
}

// none is the room of a node that takes nothing: less than any need, zero included.
var none = fleet.Resources{CPUUnits: -1, MemoryMiB: -1, GPUs: -1, ENIs: -1}

// Order sets the order in which Fit tries nodes; nodes that are not named are not tried.
// Nodes added later are not tried either.
func (c *Cluster) Order(nodes []int) {
	f := &finder{order: nodes, where: make([]int32, len(c.nodes)), base: 1}
	for i := range f.where {
		f.where[i] = -1
	}
	for f.base < len(nodes) {
		f.base *= 2
	}
	f.most = make([]fleet.Resources, 2*f.base)
	for v := range f.most {
		f.most[v] = none
	}
	for leaf, i := range nodes {
		f.where[i] = int32(leaf)
		f.most[f.base+leaf] = c.room[i]
	}
	for v := f.base - 1; v >= 1; v-- {
		f.most[v] = most(f.most[2*v], f.most[2*v+1])
	}
	c.finder = f
}

// Fit puts one task on the first eligible node of the order, whatever its strategy. It
// asks whether there is room, not where ECS would go.
func (c *Cluster) Fit(t *Task) (chosen int, ok bool) {
	f := c.finder
	if f == nil || t.broken != nil {
		return 0, false
	}
	k := c.know(t)
	if chosen, ok = f.find(c, k, 1); ok {
		c.Put(chosen, t, 1)
	}
	return chosen, ok
}

func (f *finder) find(c *Cluster, k *known, v int) (int, bool) {
	if !k.task.Needs.Fits(f.most[v]) {
		return 0, false
	}
	if v >= f.base {
		i := f.order[v-f.base]
		return i, c.admits(i, k)
	}
	if i, ok := f.find(c, k, 2*v); ok {
		return i, true
	}
	return f.find(c, k, 2*v+1)
}

// refresh follows a change of a node.
func (f *finder) refresh(c *Cluster, i int) {
	if i >= len(f.where) || f.where[i] < 0 {
		return
	}
	v := f.base + int(f.where[i])
	f.most[v] = c.room[i]
	for v /= 2; v >= 1; v /= 2 {
		m := most(f.most[2*v], f.most[2*v+1])
		if m == f.most[v] {
			return
		}
		f.most[v] = m
	}
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
