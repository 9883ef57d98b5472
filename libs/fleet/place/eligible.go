package place

import (
	"fmt"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/query"
)

// Eligible reports whether ECS would place a task on a node now, and if not, why not.
func (c *Cluster) Eligible(i int, t *Task) (Refusal, bool) {
	n := c.at(i)
	k := c.know(t)
	if c.admits(i, k) {
		return Refusal{}, true
	}
	if !n.Schedulable || n.gone {
		return Refusal{Kind: KindAgent, Detail: "the instance is not active or its agent is not connected"}, false
	}
	if r, ok := t.AllowedOn(&n.Node); !ok {
		return r, false
	}
	return c.occupied(n, k), false
}

// admits is Eligible without words: the inner loop of everything.
func (c *Cluster) admits(i int, k *known) bool {
	t := k.task
	if !t.Needs.Fits(c.room[i]) {
		return false
	}
	n := &c.nodes[i]
	switch c.verdict(n, k) {
	case refused:
		return false
	case admitted:
	case undecided:
		if _, ok := t.AllowedOn(&n.Node); !ok {
			return false
		}
	}
	if t.Distinct && n.count(k.group) > 0 {
		return false
	}
	if len(t.Ports) > 0 {
		if _, taken := t.Ports.Conflict(n.UsedPorts); taken {
			return false
		}
	}
	for _, e := range t.exprs {
		if e.usesTasks && !e.expr.Match(c.subject(n)) {
			return false
		}
	}
	return true
}

// verdict is what is known of a task on nodes of the class of n. It is undecided where
// the answer depends on the node itself.
func (c *Cluster) verdict(n *node, k *known) verdict {
	if k.task.usesNode {
		return undecided
	}
	for i := range n.Own {
		if _, asks := slices.BinarySearch(k.task.names, n.Own[i].Name); asks {
			return undecided
		}
	}
	if int(n.class) >= len(k.verdicts) {
		k.verdicts = append(k.verdicts, make([]verdict, len(c.classes)-len(k.verdicts))...)
	}
	v := &k.verdicts[n.class]
	if *v == undecided {
		*v = refused
		if k.allows(&n.Node) {
			*v = admitted
		}
	}
	return *v
}

// allows is AllowedOn for a node whose own attributes do not matter. It remembers each
// expression by the values of the attributes it mentions, so that a thousand offerings
// that differ in type and zone cost an expression over the zone three evaluations.
func (k *known) allows(n *Node) bool {
	t := k.task
	if !t.bound(n) || !t.inZone(n) {
		return false
	}
	if _, ok := t.carries(n); !ok {
		return false
	}
	for i, e := range t.exprs {
		if e.usesTasks {
			continue
		}
		key := e.project(n)
		if k.memo[i] == nil {
			k.memo[i] = map[string]bool{}
		}
		holds, ok := k.memo[i][key]
		if !ok {
			holds = e.expr.Match(bare(n))
			k.memo[i][key] = holds
		}
		if !holds {
			return false
		}
	}
	return true
}

// project is the values that a node has for the attributes of an expression.
func (e *constraint) project(n *Node) string {
	var b strings.Builder
	for _, name := range e.expr.Attributes() {
		value, ok := n.lookup(name)
		if ok {
			b.WriteByte('=')
			b.WriteString(value)
		}
		b.WriteByte(0)
	}
	return b.String()
}

// AllowedOn reports whether a node may hold the task as far as it does not depend on room
// or on other tasks: capacity provider, required attributes, zones, and expressions over
// attributes. What is refused here is refused however empty the node is.
func (t *Task) AllowedOn(n *Node) (Refusal, bool) {
	if t.broken != nil {
		return Refusal{Kind: KindConstraint, Clause: "(unreadable)", Detail: t.broken.Error()}, false
	}
	if !t.bound(n) {
		return Refusal{Kind: KindProvider, Detail: fmt.Sprintf("needs capacity provider %s, the instance has %s", t.CapacityProvider, or(n.CapacityProvider, "none"))}, false
	}
	if a, ok := t.carries(n); !ok {
		detail := "lacks " + a.Name
		if a.Value != "" {
			value, _ := n.lookup(a.Name)
			detail = fmt.Sprintf("needs %s = %s, the instance has %s", a.Name, a.Value, or(value, "none"))
		}
		return Refusal{Kind: KindAttribute, Detail: detail}, false
	}
	if !t.inZone(n) {
		return Refusal{Kind: KindLocation, Detail: fmt.Sprintf("its subnets are in %s, the instance is in %s", join(t.zones), n.Zone)}, false
	}
	for _, e := range t.exprs {
		if e.usesTasks {
			continue
		}
		if ok, clause, why := e.expr.Explain(bare(n)); !ok {
			return Refusal{Kind: KindConstraint, Clause: clause, Detail: why}, false
		}
	}
	return Refusal{}, true
}

// AllowedBeside reports whether the expressions of the task that ask for other tasks hold
// on a node that runs tasks of these groups, one of each.
func (t *Task) AllowedBeside(n *Node, groups ...string) (Refusal, bool) {
	s := bare(n)
	s.RunningTasks = int64(len(groups))
	s.HasGroup = func(match func(string) bool) bool { return slices.ContainsFunc(groups, match) }
	for _, e := range t.exprs {
		if !e.usesTasks {
			continue
		}
		if ok, clause, why := e.expr.Explain(s); !ok {
			return Refusal{Kind: KindConstraint, Clause: clause, Detail: why}, false
		}
	}
	return Refusal{}, true
}

func (t *Task) bound(n *Node) bool {
	return t.broken == nil && (t.CapacityProvider == "" || t.CapacityProvider == n.CapacityProvider)
}

func (t *Task) inZone(n *Node) bool {
	return len(t.zones) == 0 || slices.Contains(t.zones, n.Zone)
}

// carries returns the first required attribute that a node lacks. An architecture is
// asked for only of nodes that tell theirs: ECS would place there.
func (t *Task) carries(n *Node) (fleet.Attribute, bool) {
	for _, a := range t.requires {
		value, ok := n.lookup(a.Name)
		if !ok && a.Name == architectureAttribute {
			continue
		}
		if !ok || (a.Value != "" && value != a.Value) {
			return a, false
		}
	}
	return fleet.Attribute{}, true
}

// occupied says what on a node stands in the way of a task that may otherwise be there.
func (c *Cluster) occupied(n *node, k *known) Refusal {
	t := k.task
	for _, d := range [...]struct {
		kind       Kind
		need, free int64
	}{
		{KindCPU, t.Needs.CPUUnits, n.Free.CPUUnits},
		{KindMemory, t.Needs.MemoryMiB, n.Free.MemoryMiB},
		{KindGPU, t.Needs.GPUs, n.Free.GPUs},
		{KindENI, t.Needs.ENIs, n.Free.ENIs},
	} {
		if d.need > max(d.free, 0) {
			return Refusal{Kind: d.kind, Detail: t.Needs.Shortfall(n.Free)}
		}
	}
	if port, taken := t.Ports.Conflict(n.UsedPorts); taken {
		return Refusal{Kind: KindPort, Detail: fmt.Sprintf("host port %s is taken", port)}
	}
	if t.Distinct && n.count(k.group) > 0 {
		return Refusal{Kind: KindDistinct, Detail: "a task of " + t.Group + " is on it already"}
	}
	for _, e := range t.exprs {
		if ok, clause, why := e.expr.Explain(c.subject(n)); !ok {
			return Refusal{Kind: KindConstraint, Clause: clause, Detail: why}
		}
	}
	panic(fmt.Sprintf("place: %s refuses %s for no reason", n.ID, t.Name))
}

// subject is a node with its tasks, for an expression to look at.
func (c *Cluster) subject(n *node) *query.Subject {
	s := bare(&n.Node)
	s.RunningTasks = n.running
	s.HasGroup = func(match func(string) bool) bool {
		return slices.ContainsFunc(n.held, func(h held) bool { return !h.task.Reserved && match(h.task.Group) })
	}
	return s
}

// bare is a node without its tasks.
func bare(n *Node) *query.Subject {
	return &query.Subject{
		Attribute:      n.lookup,
		AgentConnected: n.Schedulable,
		AgentVersion:   n.AgentVersion,
		EC2InstanceID:  n.ID,
		RegisteredAt:   n.RegisteredAt,
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func join(zones []fleet.Zone) string {
	words := make([]string, len(zones))
	for i, z := range zones {
		words[i] = string(z)
	}
	return strings.Join(words, ", ")
}

// Admits is Eligible without the reason: for loops over many nodes.
func (c *Cluster) Admits(i int, t *Task) bool { return c.admits(i, c.know(t)) }

// Nearest returns the open node, other than one, that lacks least to be eligible for a
// task: least of the resource that is lacking most. ok is false if attributes, zones and
// expressions leave none.
func (c *Cluster) Nearest(t *Task, except int) (nearest int, ok bool) {
	k := c.know(t)
	least := 0.0
	for i := range c.nodes {
		if i == except || c.room[i] == none {
			continue
		}
		if l := lack(&t.Needs, &c.room[i]); !ok || l < least {
			n := &c.nodes[i]
			if v := c.verdict(n, k); v == admitted || v == undecided && k.allowsOwn(&n.Node) {
				nearest, least, ok = i, l, true
			}
		}
	}
	return nearest, ok
}

// allowsOwn is allows where the answer must not be remembered.
func (k *known) allowsOwn(n *Node) bool {
	_, ok := k.task.AllowedOn(n)
	return ok
}

// lack is the share of a need that is missing, of the resource that is missing most. What
// is free is not below zero.
func lack(need, free *fleet.Resources) float64 {
	most := 0.0
	if need.CPUUnits > free.CPUUnits {
		most = float64(need.CPUUnits-free.CPUUnits) / float64(need.CPUUnits)
	}
	if need.MemoryMiB > free.MemoryMiB {
		most = max(most, float64(need.MemoryMiB-free.MemoryMiB)/float64(need.MemoryMiB))
	}
	if need.GPUs > free.GPUs {
		most = max(most, float64(need.GPUs-free.GPUs)/float64(need.GPUs))
	}
	if need.ENIs > free.ENIs {
		most = max(most, float64(need.ENIs-free.ENIs)/float64(need.ENIs))
	}
	return most
}
