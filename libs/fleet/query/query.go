// Package query parses, evaluates and explains the ECS cluster query language,
// the language of memberOf placement constraints and of ListContainerInstances
// filters. Source: AWS ECS developer guide, "cluster query language". An
// expression is parsed once and then matched against many subjects, from many
// goroutines if need be: an Expr never changes.
//
//	attribute:ecs.instance-type =~ m7g.* and not(task:group == service:db)
//
// One rule carries the meaning: a subject is a set of values, "exists" asks
// whether the set is empty, and every other operator is true if some value in
// the set satisfies it.
//
//   - An attribute has one value or none, so !=, !in and !~ are false on a
//     missing attribute while not(attribute:stack == prod) is true. A name-only
//     attribute has the empty value: it exists, and differs from every text.
//   - task:group has one value for each task that should be running. So
//     "task:group != g" asks for a task outside g and is false on an instance
//     with no tasks; anti-affinity is "not(task:group == g)", as the guide says.
//   - agentVersion and registeredAt have no value when the Subject leaves them
//     zero: every comparison is false.
//   - ec2InstanceId always has a value; before launch it is "", equal to no id.
//
// Where the guide is silent: operators compare text exactly except that < and >
// compare two decimal numbers as numbers; registeredAt without a zone is UTC
// and compares to the second; a pattern has to match the whole value. Quotes
// have no escapes, so a text may hold ' or " but not both.
package query

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Subject is what an expression is evaluated against: a container instance, or
// an offering that does not exist yet. Whoever fills it for an offering chooses
// what the instance is going to be: the agent version of its image, and the
// time of the snapshot as the time it registers.
type Subject struct {
	// Attribute looks an attribute up by its name without "attribute:". A
	// name-only attribute is "" and true. A nil Attribute has none.
	Attribute func(name string) (value string, ok bool)
	// HasGroup is true if match is true for the group of any task whose desired
	// status is RUNNING. A nil HasGroup means no tasks.
	HasGroup func(match func(group string) bool) bool
	// AgentConnected is agentConnected.
	AgentConnected bool
	// AgentVersion is agentVersion, such as 1.86.3, or "" if nobody knows.
	AgentVersion string
	// EC2InstanceID is ec2InstanceId, or "" before launch.
	EC2InstanceID string
	// RegisteredAt is registeredAt, or zero if nobody knows.
	RegisteredAt time.Time
	// RunningTasks is runningTasksCount.
	RunningTasks int64
}

// attribute is Attribute for a Subject that may lack one.
func (s *Subject) attribute(name string) (string, bool) {
	if s.Attribute == nil {
		return "", false
	}
	return s.Attribute(name)
}

// hasGroup is HasGroup for a Subject that may lack one.
func (s *Subject) hasGroup(match func(string) bool) bool {
	return s.HasGroup != nil && s.HasGroup(match)
}

// Expr is a parsed expression. It is immutable; only Parse makes one.
type Expr struct {
	root *node
	text string
}

// Match tells whether s satisfies the expression, in time linear in the length
// of the expression; a pattern adds its size times the length of the value, or at
// most javaregex.MaxSteps if it goes beyond what RE2 can say. It does not allocate
// but for those. An expression whose answer hangs on a pattern that took too many
// steps is not satisfied, negated or not; Explain says so.
func (e *Expr) Match(s *Subject) bool { return e.root.judge(s) == yes }

// Explain is Match with a reason: when s does not satisfy the expression, clause
// is the first conjunct that is false, in canonical form, and why says what s is
// instead.
func (e *Expr) Explain(s *Subject) (ok bool, clause, why string) {
	if e.Match(s) {
		return true, "", ""
	}
	failing := e.root.firstFailing(s)
	return false, failing.String(), strings.Join(failing.facts(s), "; ")
}

// String is the canonical form: symbols for operators, words for and, or and
// not, one space between, and no parenthesis that precedence does not need.
// Parse reads it back as the same expression. The one exception to canonical: a
// source so dense that spaces would take it over the length Parse accepts is
// returned as it was written.
func (e *Expr) String() string { return e.text }

// UsesTasks tells whether the expression mentions task:group or
// runningTasksCount, so that its answer changes with what is placed.
func (e *Expr) UsesTasks() bool {
	for p := range e.root.leaves {
		if p.field == taskGroup || p.field == runningTasksCount {
			return true
		}
	}
	return false
}

// Attributes are the names of the attributes mentioned, sorted, each once.
func (e *Expr) Attributes() []string {
	var names []string
	for p := range e.root.leaves {
		if p.field == attribute {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Equality says that attribute Name has one of Values. They are in the order
// written.
type Equality struct {
	Name   string
	Values []string
}

// Equalities are the requirements "attribute == value" and "attribute in list"
// at the top level, in the order written: all of them hold for every Subject
// that matches, so an offering that breaks one need not be tried. An expression
// may ask for more than they say. The same name may come twice.
func (e *Expr) Equalities() []Equality {
	conjuncts := []*node{e.root}
	if e.root.kind == all {
		conjuncts = e.root.kids
	}
	var required []Equality
	for _, n := range conjuncts {
		if p := n.leaf; n.kind == leaf && p.field == attribute && (p.op == equal || p.op == in) {
			required = append(required, Equality{Name: p.name, Values: slices.Clone(p.values)})
		}
	}
	return required
}

// kind says what a node does with its kids.
type kind uint8

const (
	leaf kind = iota // no kids, a predicate
	not              // one kid
	all              // and: two kids or more, none of them all
	some             // or: two kids or more, none of them some
)

// node is an expression or a part of one.
type node struct {
	kind kind
	kids []*node
	leaf *predicate
}

// join makes one node of several. Kids of the same kind melt into it, so that
// (a and b) and c is a and b and c, and prints that way.
func join(k kind, kids []*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	n := &node{kind: k}
	for _, kid := range kids {
		if kid.kind == k {
			n.kids = append(n.kids, kid.kids...)
		} else {
			n.kids = append(n.kids, kid)
		}
	}
	return n
}

// verdict is the answer of a node: not is no of yes and unknown of unknown; all
// is the least of its kids, and some the greatest.
type verdict uint8

const (
	no      verdict = iota
	unknown         // a pattern took too many steps
	yes
)

func (n *node) judge(s *Subject) verdict {
	switch n.kind {
	case not:
		return yes - n.kids[0].judge(s)
	case all:
		least := yes
		for _, kid := range n.kids {
			if least = min(least, kid.judge(s)); least == no {
				break
			}
		}
		return least
	case some:
		greatest := no
		for _, kid := range n.kids {
			if greatest = max(greatest, kid.judge(s)); greatest == yes {
				break
			}
		}
		return greatest
	default:
		return n.leaf.judge(s)
	}
}

// firstFailing is the first conjunct to blame of an n that is not yes: one that
// is false if there is one, else one that nobody knows.
func (n *node) firstFailing(s *Subject) *node {
	if n.kind != all {
		return n
	}
	verdict := n.judge(s)
	i := slices.IndexFunc(n.kids, func(kid *node) bool { return kid.judge(s) == verdict })
	return n.kids[i] // Not all again: join melts those.
}

// leaves yields the predicates of n in the order written.
func (n *node) leaves(yield func(*predicate) bool) { n.walk(yield) }

func (n *node) walk(yield func(*predicate) bool) bool {
	if n.kind == leaf {
		return yield(n.leaf)
	}
	for _, kid := range n.kids {
		if !kid.walk(yield) {
			return false
		}
	}
	return true
}

// facts says, once each, what s is in everything n mentions.
func (n *node) facts(s *Subject) []string {
	var facts []string
	for p := range n.leaves {
		if fact := p.fact(s); !slices.Contains(facts, fact) {
			facts = append(facts, fact)
		}
	}
	return facts
}

// String is the canonical form of n.
func (n *node) String() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *node) write(b *strings.Builder) {
	switch n.kind {
	case leaf:
		n.leaf.write(b)
	case not:
		b.WriteString("not(")
		n.kids[0].write(b)
		b.WriteByte(')')
	default:
		n.writeKids(b)
	}
}

func (n *node) writeKids(b *strings.Builder) {
	for i, kid := range n.kids {
		if i > 0 && n.kind == all {
			b.WriteString(" and ")
		} else if i > 0 {
			b.WriteString(" or ")
		}
		if n.kind == all && kid.kind == some { // or binds more loosely than and
			b.WriteByte('(')
			kid.write(b)
			b.WriteByte(')')
		} else {
			kid.write(b)
		}
	}
}

// maxGroupsTold keeps a reason readable in a log line: a packed instance runs
// dozens of groups, and a few of them show what kind of place it is.
const maxGroupsTold = 5

// groups are the groups of the tasks of s, as a list for people.
func groups(s *Subject) string {
	var names []string
	s.hasGroup(func(group string) bool {
		names = append(names, group)
		return false
	})
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - maxGroupsTold; more > 0 {
		return strings.Join(names[:maxGroupsTold], ", ") + " and " + strconv.Itoa(more) + " more"
	}
	return strings.Join(names, ", ")
}
