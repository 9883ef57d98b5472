package place

import "fmt"

// Mark is a point in the history of a cluster to go back to.
type Mark int

// change is one step, with what is needed to undo it.
type change struct {
	kind  changeKind
	node  int32
	count int32
	task  *Task
}

type changeKind uint8

const (
	nodeAdded changeKind = iota
	nodeRemoved
	nodeScheduled
	roomReserved
	taskMoved
	taskHeld
)

// Mark notes the present state. Marks nest: roll back the inner ones first, or only an
// outer one. A cluster keeps its history from the first mark on, until [Cluster.Forget].
func (c *Cluster) Mark() Mark {
	c.marks++
	return Mark(len(c.journal))
}

// Rollback undoes every step since the mark, in time proportional to their number.
func (c *Cluster) Rollback(m Mark) {
	if int(m) > len(c.journal) {
		panic(fmt.Sprintf("place: roll back to step %d of %d", m, len(c.journal)))
	}
	for len(c.journal) > int(m) {
		last := c.journal[len(c.journal)-1]
		c.journal = c.journal[:len(c.journal)-1]
		c.undo(last)
		if c.refusal > len(c.journal) { // a task was found to fit nowhere after this step
			c.grown()
			c.refusal = 0
		}
	}
}

// Forget drops the history: no earlier mark may be rolled back to. A cluster that lives
// long calls it once in a while.
func (c *Cluster) Forget() {
	c.journal, c.rooms, c.marks, c.refusal = nil, nil, 0, 0
}

// record notes a step if there is a mark to go back to.
func (c *Cluster) record(ch change) bool {
	if c.marks > 0 {
		c.journal = append(c.journal, ch)
	}
	return c.marks > 0
}

func (c *Cluster) undo(ch change) {
	i := int(ch.node)
	switch ch.kind {
	case nodeAdded:
		c.nodes, c.room, c.alike = c.nodes[:i], c.room[:i], c.alike[:i]
		for g := range c.tallies {
			if t := &c.tallies[g]; len(t.count) > i {
				t.count = t.count[:i]
			}
		}
		c.shape++
		c.finder = nil
		c.grown()
		return
	case nodeRemoved:
		c.nodes[i].gone = false
		c.removals++
	case nodeScheduled:
		c.nodes[i].Schedulable = !c.nodes[i].Schedulable
	case roomReserved:
		last := len(c.rooms) - 1
		c.nodes[i].Free = c.nodes[i].Free.Add(c.rooms[last])
		c.rooms = c.rooms[:last]
	case taskMoved:
		c.shift(i, c.know(ch.task).group, ch.task, -ch.count, true)
	case taskHeld:
		c.shift(i, c.know(ch.task).group, ch.task, -ch.count, false)
	}
	c.touch(i)
}

// mostTouched bounds the list of changed nodes: an index that is further behind is built
// anew, which then costs less than catching up.
const mostTouched = 1 << 14

// touch notes that a node changed, for the indices.
func (c *Cluster) touch(i int) {
	c.room[i] = c.roomOf(i)
	if len(c.touched) >= mostTouched {
		c.dropped += len(c.touched)
		c.touched = c.touched[:0]
	}
	c.touched = append(c.touched, int32(i))
	if c.finder != nil {
		c.finder.refresh(c, i)
	}
}
