package main

import (
	"math"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
)

// mostSizes is how many sizes of task the solver is given. What machines report comes in
// any number of sizes. Of 10,000 random ones, 2,000 made the packing 1 % cheaper than 1,000
// at twice the time; 4,000 took as much again and gained less, with 100,000 tasks nothing,
// for the work that the solver does has a limit.
const mostSizes = 2000

// coarsen brings the tasks down to a number of sizes that the solver can handle: tasks of
// about one size are packed as if all had the size of the largest of them. What they are
// packed into holds them, and costs little more than it might.
func (s *sizing) coarsen() {
	s.to = make([]int32, len(s.tasks.shapes))
	if len(s.tasks.shapes) <= mostSizes {
		s.items = s.tasks.shapes
		for i := range s.to {
			s.to[i] = int32(i)
		}
		return
	}
	c := coarse{sizing: s}
	c.begin()
	for len(c.clusters) < mostSizes && c.splitWorst() {
	}
	for c.splitUnfit() {
	}
	for _, k := range c.clusters {
		sum := shape{needs: k.needs}
		for _, i := range k.members {
			sum.count += s.tasks.shapes[i].count
			s.to[i] = int32(len(s.items))
		}
		s.items = append(s.items, sum)
	}
}

// coarse is a set of sizes on the way to fewer.
type coarse struct {
	*sizing
	clusters []cluster
}

// cluster is a number of sizes that are packed as one.
type cluster struct {
	members []int           // shapes
	needs   fleet.Resources // the largest of them, in each resource
	loss    [2]float64      // what is given away of CPU and of memory, in tasks
}

// begin makes clusters of tasks that want the same GPUs, apart from those that fit no type:
// each of these has to be told by itself.
func (c *coarse) begin() {
	var members []int
	flush := func() {
		if len(members) > 0 {
			c.clusters = append(c.clusters, c.cluster(members))
			members = nil
		}
	}
	for i := range c.tasks.shapes {
		needs := c.tasks.shapes[i].needs
		if !c.fits(needs) {
			c.clusters = append(c.clusters, c.cluster([]int{i}))
			continue
		}
		if len(members) > 0 && c.tasks.shapes[members[0]].needs.GPUs != needs.GPUs { // the shapes are sorted by them
			flush()
		}
		members = append(members, i)
	}
	flush()
}

func (c *coarse) fits(needs fleet.Resources) bool {
	for i := range c.types {
		if needs.Fits(c.types[i].capacity) {
			return true
		}
	}
	return false
}

func (c *coarse) cluster(members []int) cluster {
	k := cluster{members: members}
	for _, i := range members {
		needs := c.tasks.shapes[i].needs
		k.needs.CPUUnits, k.needs.MemoryMiB, k.needs.GPUs = max(k.needs.CPUUnits, needs.CPUUnits), max(k.needs.MemoryMiB, needs.MemoryMiB), needs.GPUs
	}
	for _, i := range members {
		n := float64(c.tasks.shapes[i].count)
		needs := c.tasks.shapes[i].needs
		k.loss[0] += n * lacking(k.needs.CPUUnits, needs.CPUUnits)
		k.loss[1] += n * lacking(k.needs.MemoryMiB, needs.MemoryMiB)
	}
	return k
}

// splitWorst splits the cluster that gives away most, along what it gives away most of.
func (c *coarse) splitWorst() bool {
	worst, most := -1, 0.0
	for i := range c.clusters {
		if loss := max(c.clusters[i].loss[0], c.clusters[i].loss[1]); loss > most {
			worst, most = i, loss
		}
	}
	if worst >= 0 {
		c.split(worst)
	}
	return worst >= 0
}

// splitUnfit splits a cluster whose members fit some type, but not as large as the largest
// of each resource.
func (c *coarse) splitUnfit() bool {
	for i := range c.clusters {
		if k := &c.clusters[i]; len(k.members) > 1 && !c.fits(k.needs) {
			c.split(i)
			return true
		}
	}
	return false
}

// split divides a cluster in the middle of its larger loss, by ratio.
func (c *coarse) split(at int) {
	k := c.clusters[at]
	of := func(i int) int64 { return c.tasks.shapes[i].needs.CPUUnits }
	if k.loss[1] > k.loss[0] {
		of = func(i int) int64 { return c.tasks.shapes[i].needs.MemoryMiB }
	}
	least, most := of(k.members[0]), of(k.members[0])
	for _, i := range k.members {
		least, most = min(least, of(i)), max(most, of(i))
	}
	middle := int64(math.Sqrt(float64(least) * float64(most)))
	middle = min(max(middle, least), most-1) // neither half is empty
	var low, high []int
	for _, i := range k.members {
		if of(i) <= middle {
			low = append(low, i)
		} else {
			high = append(high, i)
		}
	}
	c.clusters[at] = c.cluster(low)
	c.clusters = append(c.clusters, c.cluster(high))
}

// ground is what no packing of the tasks that are placed costs less than, whatever their
// sizes: the bound of the same amounts of each resource in pieces of one unit.
func (s *sizing) ground() fleet.Price {
	var sum fleet.Resources
	for i := range s.tasks.shapes {
		if sh := &s.tasks.shapes[i]; (&coarse{sizing: s}).fits(sh.needs) {
			sum = sum.Add(sh.needs.Times(int64(sh.count)))
		}
	}
	p := s.problem()
	p.Effort = pack.Fast
	p.Items = nil
	for _, dust := range [...]struct {
		needs fleet.Resources
		count int64
	}{
		{fleet.Resources{CPUUnits: 1}, sum.CPUUnits},
		{fleet.Resources{MemoryMiB: 1}, sum.MemoryMiB},
		{fleet.Resources{GPUs: 1}, sum.GPUs},
	} {
		if dust.count > 0 {
			p.Items = append(p.Items, pack.Item{Name: dust.needs.String(), Needs: dust.needs, Count: int(dust.count)})
		}
	}
	return pack.Solve(p).LowerBound
}
