package clusterquery_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet/query"
	"github.com/neap-project/neap/libs/fleet/sim/clusterquery"
)

// dice writes expressions and instances.
type dice struct{ *rand.Rand }

func roll(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 12))} }

func (d dice) one(of ...string) string { return of[d.IntN(len(of))] }

func (d dice) gap() string { return d.one("", " ", " ", "\t") }

var (
	names    = []string{"a", "stack", "ecs.instance-type", "bare", "n", "x/y"}
	values   = []string{"prod", "prod-1", "test", "t3.large", "c5.2xlarge", "9", "10", "-1.5", "a:b/c", "in", "and", "i-1", "service:web", "database", "B"}
	versions = []string{"1", "1.9", "1.14.5", "1.86.3", "1.86.10", "2.0.0"}
	times    = []string{"2018-06-18", "2018-06-18T22:28:28", "2018-06-18T22:28:28Z", "2018-06-18T22:28:28+00:00", "2018-06-19T00:28:28+02:00", "2018-06-19"}
)

// expression writes one that nests to a depth.
func (d dice) expression(depth int) string {
	if depth <= 0 {
		return d.predicate()
	}
	switch d.IntN(6) {
	case 0:
		return d.one("not ", "!", "not(", "! (") + d.expression(depth-1)
	case 1:
		return "(" + d.gap() + d.expression(depth-1) + d.gap() + ")"
	case 2, 3:
		return d.expression(depth-1) + d.one(" and ", "&&", " && ") + d.expression(depth-1)
	case 4:
		return d.expression(depth-1) + d.one(" or ", "||", "\n|| ") + d.expression(depth-1)
	default:
		return d.predicate()
	}
}

// closed closes the parentheses that an expression leaves open.
func closed(text string) string {
	return text + strings.Repeat(")", max(strings.Count(text, "(")-strings.Count(text, ")"), 0))
}

func (d dice) predicate() string {
	subject := d.one("attribute:"+d.one(names...), "attribute:"+d.one(names...), "task:group", "agentConnected", "agentVersion", "ec2InstanceId", "registeredAt", "runningTasksCount")
	// One in eight has an operator or argument that may not go with the subject.
	fitting := d.IntN(8) > 0
	argument := func() string { return d.one(values...) }
	ordered := false
	if fitting {
		switch subject {
		case "agentConnected":
			argument = func() string { return d.one("true", "false") }
		case "agentVersion":
			argument, ordered = func() string { return d.one(versions...) }, true
		case "registeredAt":
			argument, ordered = func() string { return d.one(times...) }, true
		case "runningTasksCount":
			argument, ordered = func() string { return d.one("0", "1", "2", "-3", "40") }, true
		}
	}
	switch kind := d.IntN(5); {
	case ordered || kind < 2:
		op := d.one("==", "!=", ">", ">=", "<", "<=", " equals ", " not_equals ", " greater_than ", " greater_than_equal ", " less_than ", " less_than_equal ")
		return subject + d.gap() + op + d.gap() + d.quoted(argument())
	case kind == 2:
		list := make([]string, 1+d.IntN(3))
		for i := range list {
			list[i] = d.gap() + d.quoted(argument()) + d.gap()
		}
		return subject + d.one(" in", " !in ", "!in", " not_in ") + "[" + strings.Join(list, ",") + "]"
	case kind == 3:
		return subject + d.one(" exists", " !exists", "!exists", " not_exists")
	default:
		return subject + d.one("=~", " =~ ", " matches ", " !~", " not_matches ") + d.gap() + d.pattern(2)
	}
}

func (d dice) quoted(value string) string {
	quote := d.one("", "", "'", `"`)
	return quote + value + quote
}

// pattern writes one in what Java and RE2 share, in quotes or not.
func (d dice) pattern(depth int) string {
	text := d.regexp(depth)
	if d.IntN(2) == 0 && !strings.ContainsAny(text, "'") {
		return "'" + text + "'"
	}
	return text
}

func (d dice) regexp(depth int) string {
	if depth <= 0 {
		value := d.one(values...)
		switch d.IntN(8) {
		case 0:
			return "."
		case 1:
			return d.one("[a-z]", "[^a-z]", `[\d.-]`, "[a-c1-9]", "[]a]", "[^0-9x]", "[g4,5]")
		case 2:
			return d.one(`\d`, `\D`, `\w`, `\W`, `\s`, `\S`, `\.`, `\-`, `\b`, "^", "$", `\pL`, `\p{Lu}`, `\Qt3.\E`, `\x41`)
		case 3:
			return strings.ReplaceAll(value, ".", `\.`)
		default:
			return value[:1+d.IntN(len(value))]
		}
	}
	switch d.IntN(5) {
	case 0:
		return d.regexp(depth-1) + d.one("*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,}", "{1,2}?")
	case 1:
		return "(" + d.one("", "", "?:", "?i:", "?i)(", "?s)(", "?<name>") + d.regexp(depth-1) + "|" + d.regexp(depth-1) + ")"
	case 2:
		return d.regexp(depth-1) + d.one(".*", ".+", ".*?", "")
	default:
		return d.regexp(depth-1) + d.regexp(depth-1)
	}
}

// instance makes one for both evaluators.
func (d dice) instance() (*clusterquery.Instance, *query.Subject) {
	attributes := map[string]string{}
	for _, name := range names {
		if d.IntN(2) == 0 {
			attributes[name] = d.one(values...)
		}
	}
	if d.IntN(2) == 0 {
		attributes["bare"] = ""
	}
	groups := make([]string, d.IntN(4))
	for i := range groups {
		groups[i] = d.one("service:web", "database", "prod", "family:x")
	}
	at := time.Date(2018, 6, 18, 0, 0, 0, 0, time.UTC).Add(time.Duration(d.IntN(3)) * (22*time.Hour + 28*time.Minute + 28*time.Second))
	at = at.Add(time.Duration(d.IntN(2)) * 400 * time.Millisecond)
	instance := &clusterquery.Instance{
		Attribute: func(name string) (string, bool) { v, ok := attributes[name]; return v, ok },
		Groups:    slices.Values(groups), AgentConnected: d.IntN(2) == 0, AgentVersion: d.one(versions...),
		EC2InstanceID: d.one("i-1", "i-2"), RegisteredAt: at, RunningTasks: d.IntN(4),
	}
	return instance, &query.Subject{
		Attribute: instance.Attribute, HasGroup: func(match func(string) bool) bool { return slices.ContainsFunc(groups, match) },
		AgentConnected: instance.AgentConnected, AgentVersion: instance.AgentVersion, EC2InstanceID: instance.EC2InstanceID,
		RegisteredAt: at, RunningTasks: int64(instance.RunningTasks),
	}
}

var errNothing = errors.New("nothing")

// disagreement compares the two evaluators on one expression and some instances. What only
// this one takes is no disagreement where Neap says that it cannot evaluate it itself.
func disagreement(text string, d dice) error {
	filter, refused := clusterquery.Parse(text)
	expr, refusedToo := query.Parse(text)
	switch {
	case errors.Is(refusedToo, query.ErrUnsupported):
		return nil
	case (refused == nil) != (refusedToo == nil):
		return fmt.Errorf("%q: the simulator says %w, Neap says %w", text, cmp.Or(refused, errNothing), cmp.Or(refusedToo, errNothing))
	case filter == nil:
		return nil
	}
	for range 8 {
		instance, subject := d.instance()
		got, err := filter.Matches(instance)
		if err != nil {
			continue // given up; Neap's patterns take linear time
		}
		if want := expr.Match(subject); got != want {
			_, clause, why := expr.Explain(subject)
			return fmt.Errorf("%q: the simulator says %v, Neap says %v: %s: %s (%+v)", text, got, want, clause, why, subject)
		}
	}
	return nil
}

// TestChecklist12TwoEvaluatorsAgree: the filter of ListContainerInstances is written
// independently of Neap's own evaluator, and both answer alike.
func TestChecklist12TwoEvaluatorsAgree(t *testing.T) {
	accepted := 0
	for seed := range uint64(30_000) {
		d := roll(seed)
		text := closed(d.expression(d.IntN(4)))
		if err := disagreement(text, d); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if _, err := clusterquery.Parse(text); err == nil {
			accepted++
		}
	}
	if accepted < 10_000 {
		t.Errorf("only %d of the expressions are valid: the generator tests little", accepted)
	}
}

// TestChecklist12TwoEvaluatorsRefuseAlike: expressions with a few characters changed are
// refused by both, or answered alike.
func TestChecklist12TwoEvaluatorsRefuseAlike(t *testing.T) {
	const characters = "()[]'\"!=~<>&|, .:-_x9*+?{}\\^$"
	for seed := range uint64(30_000) {
		d := roll(seed)
		text := []byte(closed(d.expression(d.IntN(3))))
		for range 1 + d.IntN(2) {
			at := d.IntN(len(text))
			switch d.IntN(3) {
			case 0:
				text = slices.Delete(text, at, at+1)
			case 1:
				text = slices.Insert(text, at, characters[d.IntN(len(characters))])
			default:
				text[at] = characters[d.IntN(len(characters))]
			}
		}
		if err := disagreement(string(text), d); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// FuzzAgree looks for expressions on which the evaluators disagree.
func FuzzAgree(f *testing.F) {
	f.Add("attribute:a == b and not(task:group =~ 'x.*') or registeredAt > 2018-01-01", uint64(1))
	f.Add("attribute:stack =~ (p[2,3]|g[3,4]).* && runningTasksCount < 3", uint64(2))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if err := disagreement(text, roll(seed)); err != nil {
			t.Error(err)
		}
	})
}
