package place

import (
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// Cluster is a set of nodes and the tasks on them. Nodes are numbered in the order they
// were added and keep their number for good. It is not safe for concurrent use.
type Cluster struct {
	nodes    []node
	room     []fleet.Resources // by node: what it takes, less than nothing if it is closed
	alike    []int32           // by node: its class, or -1 if it has attributes of its own
	groups   map[string]int32  // group name → number
	tallies  []tally           // by group
	layouts  map[string]*layout
	tasks    map[*Task]*known
	classes  map[class]int32
	journal  []change          // to undo, since the oldest mark that can still be rolled back
	rooms    []fleet.Resources // of the reservations in the journal
	marks    int               // marks taken since the journal was empty
	touched  []int32           // nodes that changed, for indices to catch up with
	dropped  int               // touched entries that were let go of
	shape    int               // counts structural changes, after which an index is built anew
	finder   *finder
	scratch  []int   // candidates of a scan
	sizes    []int32 // splits in the order of a survey
	removals int     // of nodes, undone ones too: what was counted by layout is counted anew
	growth   int     // of a state and those that were reached from it without giving any node more room
	growths  int     // numbers given to growth so far
	refusal  int     // steps in the journal when last a task was found to fit nowhere
}

// node is a Node and what is on it.
type node struct {
	Node
	held    []held
	running int64 // tasks of all groups
	class   int32
	gone    bool
}

// held is a number of like tasks on a node.
type held struct {
	task  *Task
	group int32
	count int32
}

// tally counts the tasks of a group by node. It is a list of the nodes that ever held one,
// until somebody asks; then it is an array, kept up to date.
type tally struct {
	nodes []int32
	count []int32 // by node; nil until asked for

	// How many there are by split of a layout, as long as no node came or went.
	layout   *layout
	load     []int64
	removals int
}

// class is what nodes must share to be alike for every task, resources and tasks apart.
type class struct {
	attributes *Attributes
	zone       fleet.Zone
	provider   string
}

// known is what a cluster has found out about a task.
type known struct {
	task     *Task
	group    int32
	want     space     // its needs
	verdicts []verdict // by class
	memo     []map[string]bool
	plain    bool // nothing but room, its class and distinctInstance decides whether a node is eligible
	scans    int  // how often Place had to look at every node
	last     int  // changes of the cluster when Place last did without an index
	lately   int  // how often in a row it did with few changes between
	nowhere  int  // growth of the cluster for which it is known to fit on no node
	index    *index
	layout   *layout // of its fields
	level    bool    // its group is spread over nodes
	quick    bool    // a glance may choose for it
	failures int     // of glances in a row
}

type verdict uint8

const (
	undecided verdict = iota
	admitted
	refused
)

// New returns a cluster without nodes.
func New() *Cluster {
	return &Cluster{growth: 1, growths: 1, groups: map[string]int32{}, tasks: map[*Task]*known{}, classes: map[class]int32{}, layouts: map[string]*layout{}}
}

// Add adds a node and returns its number. Free is taken as it is given: it must not
// include tasks that are put on the node afterwards.
func (c *Cluster) Add(n Node) int {
	i := len(c.nodes)
	c.nodes = append(c.nodes, node{Node: n, class: c.classOf(&n)})
	c.room = append(c.room, c.roomOf(i))
	c.alike = append(c.alike, c.nodes[i].alike())
	c.shape++
	c.record(change{kind: nodeAdded, node: int32(i)})
	return i
}

// Grow makes room for so many more nodes, so that adding them moves none.
func (c *Cluster) Grow(n int) {
	c.nodes, c.room, c.alike = slices.Grow(c.nodes, n), slices.Grow(c.room, n), slices.Grow(c.alike, n)
}

// Remove takes a node out for good, with whatever is on it.
func (c *Cluster) Remove(i int) {
	n := c.at(i)
	if n.gone {
		return
	}
	n.gone = true
	c.removals++
	c.record(change{kind: nodeRemoved, node: int32(i)})
	c.touch(i)
}

// Len is the number of nodes ever added; removed ones keep their number.
func (c *Cluster) Len() int { return len(c.nodes) }

// Node returns a node as it is now, and whether it is still there.
func (c *Cluster) Node(i int) (Node, bool) {
	n := c.at(i)
	return n.Node, !n.gone
}

// Takes reports whether a node takes tasks at all: it is there, and open.
func (c *Cluster) Takes(i int) bool {
	n := c.at(i)
	return n.Schedulable && !n.gone
}

// Free is what ECS would still place on a node.
func (c *Cluster) Free(i int) fleet.Resources { return c.at(i).Free }

// Running is the number of tasks on a node, of all groups; reserved room is none.
func (c *Cluster) Running(i int) int { return int(c.at(i).running) }

// Open makes a node schedulable: it is active and its agent is connected.
func (c *Cluster) Open(i int) { c.schedule(i, true) }

// Close makes a node unschedulable: it is draining or its agent is away.
func (c *Cluster) Close(i int) { c.schedule(i, false) }

func (c *Cluster) schedule(i int, open bool) {
	n := c.at(i)
	if n.Schedulable == open {
		return
	}
	n.Schedulable = open
	if open {
		c.grown()
	}
	c.record(change{kind: nodeScheduled, node: int32(i)})
	c.touch(i)
}

// SetAgent sets the version of the agent of a node and when it registered. It cannot be
// rolled back.
func (c *Cluster) SetAgent(i int, version string, registeredAt time.Time) {
	n := c.at(i)
	n.AgentVersion, n.RegisteredAt = version, registeredAt
	c.grown() // it may suit a task that fitted nowhere
	c.touch(i)
}

// SetAttributes replaces the shared attributes of a node, as PutAttributes does. It cannot
// be rolled back.
func (c *Cluster) SetAttributes(i int, a *Attributes) {
	n := c.at(i)
	n.Attributes = a
	n.class = c.classOf(&n.Node)
	c.alike[i] = n.alike()
	c.shape++ // a node may now belong to another value of a spread
	c.grown()
	c.touch(i)
}

// Reserve takes room from a node for something that is not a task; Release gives it back.
// Free may become negative.
func (c *Cluster) Reserve(i int, r fleet.Resources) {
	n := c.at(i)
	n.Free = n.Free.Sub(r)
	if n.Schedulable && r != most(r, fleet.Resources{}) {
		c.grown()
	}
	if c.record(change{kind: roomReserved, node: int32(i)}) {
		c.rooms = append(c.rooms, r)
	}
	c.touch(i)
}

// Release gives back what Reserve took.
func (c *Cluster) Release(i int, r fleet.Resources) {
	c.Reserve(i, fleet.Resources{}.Sub(r))
}

// Put places tasks on a node whether or not it is eligible. Free may become negative: ECS
// over-fills no node, but a task may have been started by hand.
func (c *Cluster) Put(i int, t *Task, count int) { c.move(i, t, int32(count), true) }

// Hold notes tasks that a node was added with: they count, and their needs are already
// missing from Free. Taking them off gives their room back.
func (c *Cluster) Hold(i int, t *Task, count int) { c.move(i, t, int32(count), false) }

// Take takes tasks off a node. It panics if there are not as many.
func (c *Cluster) Take(i int, t *Task, count int) { c.move(i, t, -int32(count), true) }

// move changes how many tasks of a kind a node holds, and its free room unless that was
// accounted for already.
func (c *Cluster) move(i int, t *Task, count int32, room bool) {
	if count == 0 {
		return
	}
	c.shift(i, c.know(t).group, t, count, room)
	if count < 0 && c.nodes[i].Schedulable {
		c.grown()
	}
	kind := taskMoved
	if !room {
		kind = taskHeld
	}
	c.record(change{kind: kind, node: int32(i), task: t, count: count})
	c.touch(i)
}

func (c *Cluster) shift(i int, group int32, t *Task, count int32, room bool) {
	n := c.at(i)
	at := -1
	for j := range n.held {
		if n.held[j].task == t {
			at = j
			break
		}
	}
	if at < 0 {
		at = len(n.held)
		n.held = append(n.held, held{task: t, group: group})
	}
	h := &n.held[at]
	h.count += count
	if h.count < 0 {
		panic(fmt.Sprintf("place: node %s holds %d of %s, cannot take %d", n.ID, h.count-count, t.Name, -count))
	}
	if h.count == 0 {
		n.held = append(n.held[:at], n.held[at+1:]...)
	}
	tally := &c.tallies[group]
	if tally.add(i, count) > 2*len(c.nodes) {
		c.tally(group) // the list is longer than the array would be
	}
	if l := tally.layout; l != nil && i < len(l.where) && !n.gone {
		tally.load[l.where[i].split] += int64(count)
	}
	if !t.Reserved {
		n.running += int64(count)
	}
	if room {
		n.Free = n.Free.Sub(t.Needs.Times(int64(count)))
	}
	if len(t.Ports) > 0 {
		if count > 0 {
			n.UsedPorts = n.UsedPorts.Union(t.Ports)
		} else {
			n.UsedPorts = n.UsedPorts.Without(t.Ports)
		}
	}
}

// Count is how many tasks of a group a node holds.
func (c *Cluster) Count(i int, group string) int {
	g, ok := c.groups[group]
	if !ok {
		return 0
	}
	return int(c.at(i).count(g))
}

// alike is the class of a node, or -1 where the class does not tell all.
func (n *node) alike() int32 {
	if len(n.Own) > 0 {
		return -1
	}
	return n.class
}

// count looks through what the node holds: a few dozen entries at most. Loops over nodes
// use a tally.
func (n *node) count(group int32) int32 {
	var total int32
	for j := range n.held {
		if n.held[j].group == group {
			total += n.held[j].count
		}
	}
	return total
}

// add follows a change of the count on a node, and returns the length of the list.
func (t *tally) add(node int, count int32) int {
	if t.count == nil {
		t.nodes = append(t.nodes, int32(node))
		return len(t.nodes)
	}
	for node >= len(t.count) {
		t.count = append(t.count, 0)
	}
	t.count[node] += count
	return 0
}

// tally returns the number of tasks of a group by node. It is as long as the nodes.
func (c *Cluster) tally(group int32) []int32 {
	t := &c.tallies[group]
	if t.count == nil {
		t.count = make([]int32, len(c.nodes))
		for _, i := range t.nodes {
			if int(i) < len(c.nodes) {
				t.count[i] = c.nodes[i].count(group)
			}
		}
		t.nodes = nil
	}
	for len(t.count) < len(c.nodes) {
		t.count = append(t.count, 0)
	}
	return t.count
}

// Held calls yield for each kind of task on a node, in the order they first came.
func (c *Cluster) Held(i int, yield func(t *Task, count int) bool) {
	for _, h := range c.at(i).held {
		if !yield(h.task, int(h.count)) {
			return
		}
	}
}

func (c *Cluster) at(i int) *node {
	if i < 0 || i >= len(c.nodes) {
		panic(fmt.Sprintf("place: there is no node %d of %d", i, len(c.nodes)))
	}
	return &c.nodes[i]
}

func (c *Cluster) groupOf(name string) int32 {
	g, ok := c.groups[name]
	if !ok {
		g = int32(len(c.groups))
		c.groups[name] = g
		c.tallies = append(c.tallies, tally{})
	}
	return g
}

func (c *Cluster) classOf(n *Node) int32 {
	key := class{n.Attributes, n.Zone, n.CapacityProvider}
	id, ok := c.classes[key]
	if !ok {
		id = int32(len(c.classes))
		c.classes[key] = id
	}
	return id
}

func (c *Cluster) know(t *Task) *known {
	k, ok := c.tasks[t]
	if !ok {
		k = &known{task: t, want: spaceOf(t.Needs), group: c.groupOf(t.Group), memo: make([]map[string]bool, len(t.exprs))}
		k.plain = len(t.Ports) == 0 && !t.usesNode && !t.UsesTasks()
		k.quick = k.glances()
		c.tasks[t] = k
	}
	return k
}
