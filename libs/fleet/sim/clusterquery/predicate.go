package clusterquery

import (
	"cmp"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An operator, by its symbol.
type operator string

// wordOperators are the words for operators.
var wordOperators = map[string]operator{
	"equals": "==", "not_equals": "!=", "greater_than": ">", "greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<=",
	"exists": "exists", "not_exists": "!exists", "in": "in", "not_in": "!in", "matches": "=~", "not_matches": "!~",
}

// symbolOperators are the symbols, longer ones first.
var symbolOperators = []operator{"!exists", "!in", "==", "!=", ">=", "<=", "=~", "!~", ">", "<"}

// What ECS allows for which subject.
var (
	forNames    = []operator{"==", "!=", "in", "!in", "=~", "!~"}
	forOrdered  = []operator{"==", "!=", ">", ">=", "<", "<="}
	allowed     = map[string][]operator{"agentConnected": forNames, "ec2InstanceId": forNames, "agentVersion": forOrdered, "registeredAt": forOrdered, "runningTasksCount": forOrdered}
	wholeNumber = regexp.MustCompile(`^[+-]?[0-9]{1,18}$`)
	decimal     = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	dotted      = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})*(-.+)?$`)
)

// predicate reads subject, operator and argument.
func (r *reading) predicate() bool {
	subject := r.peekWord()
	name, isAttribute := strings.CutPrefix(subject, "attribute:")
	switch {
	case r.err != nil:
		return false
	case subject == "":
		r.fail("expected a subject such as attribute:NAME, found %s", r.upcoming())
	case isAttribute:
		if name == "" {
			r.fail("the name of the attribute is missing after attribute:")
		}
	case subject != "task:group" && allowed[subject] == nil:
		r.fail("unknown subject %.140q: use attribute:NAME, agentConnected, agentVersion, ec2InstanceId, registeredAt, runningTasksCount or task:group", subject)
	}
	if r.err != nil {
		return false
	}
	r.at += len(subject)
	op, ok := r.operator(subject)
	if !ok {
		return false
	}
	return r.compare(subject, op)
}

// operator reads an operator that the subject allows.
func (r *reading) operator(subject string) (operator, bool) {
	op, ok := r.anyOperator()
	if !ok {
		r.fail("expected an operator after %.140s, found %s: use ==, !=, >, >=, <, <=, exists, !exists, in, !in, =~ or !~", subject, r.upcoming())
		return "", false
	}
	if valid := allowed[subject]; valid != nil && !slices.Contains(valid, op) {
		words := make([]string, len(valid))
		for i, v := range valid {
			words[i] = string(v)
		}
		r.fail("the operator %s is not valid for %s: use one of %s", op, subject, strings.Join(words, ", "))
		return "", false
	}
	return op, true
}

func (r *reading) anyOperator() (operator, bool) {
	r.space()
	for _, op := range symbolOperators {
		rest, found := strings.CutPrefix(r.text[r.at:], string(op))
		if !found || isWordAtEnd(op) && wordEnd(rest) > 0 {
			continue
		}
		r.at += len(op)
		return op, true
	}
	word := r.peekWord()
	op, ok := wordOperators[word]
	if ok {
		r.at += len(word)
	}
	return op, ok
}

// isWordAtEnd reports whether a name character after the operator would belong to it.
func isWordAtEnd(op operator) bool { return op == "!in" || op == "!exists" }

// contrary is a test that holds where another does not.
func contrary(holds func(string) bool) func(string) bool {
	return func(value string) bool { return !holds(value) }
}

// compare reads the argument and compares. The argument is read in any case; nothing is
// computed when idle.
func (r *reading) compare(subject string, op operator) bool {
	var holds func(value string) bool
	switch op {
	case "exists", "!exists":
		holds = func(string) bool { return true }
	case "in", "!in":
		var list []string
		r.list(func(v string) {
			r.check(subject, v)
			list = append(list, v)
		})
		holds = func(value string) bool { return slices.Contains(list, value) }
	case "=~", "!~":
		holds = r.patternTest()
	default:
		argument, ok := r.literal(wordEnd)
		if !ok {
			return false
		}
		r.check(subject, argument)
		holds = func(value string) bool { return ordered(order(subject, op, value, argument), op) }
	}
	if r.err != nil || r.idle {
		return false
	}
	if op == "!in" || op == "!~" {
		holds = contrary(holds)
	}
	return r.judge(subject, holds) != (op == "!exists")
}

// patternTest reads a pattern.
func (r *reading) patternTest() func(string) bool {
	r.space()
	start := r.at
	text, ok := r.literal(bareEnd)
	if !ok {
		return nil
	}
	if r.checking {
		p, err := compile(text)
		if err != nil {
			r.at = start
			r.fail("the pattern %.200q is invalid: %v", text, err)
			return nil
		}
		r.patterns[start] = p
	}
	p := r.patterns[start]
	return func(value string) bool {
		matches, err := p.matches(value)
		if err != nil {
			r.fail("the pattern %.200q: %v", text, err)
		}
		return matches
	}
}

// judge reports whether a test holds for a value of the subject; it does not if there is
// none.
func (r *reading) judge(subject string, holds func(string) bool) bool {
	i := r.instance
	switch subject {
	case "agentConnected":
		return holds(strconv.FormatBool(i.AgentConnected))
	case "agentVersion":
		return dotted.MatchString(i.AgentVersion) && holds(i.AgentVersion)
	case "ec2InstanceId":
		return i.EC2InstanceID != "" && holds(i.EC2InstanceID)
	case "registeredAt":
		return !i.RegisteredAt.IsZero() && holds(i.RegisteredAt.UTC().Format(time.RFC3339)) // to the second
	case "runningTasksCount":
		return holds(strconv.Itoa(i.RunningTasks))
	case "task:group":
		if i.Groups != nil {
			for group := range i.Groups {
				if holds(group) {
					return true
				}
			}
		}
		return false
	}
	if i.Attribute == nil {
		return false
	}
	value, has := i.Attribute(strings.TrimPrefix(subject, "attribute:"))
	return has && holds(value)
}

// check reports an argument that the subject cannot be compared with.
func (r *reading) check(subject, argument string) {
	if !r.checking {
		return
	}
	switch subject {
	case "agentConnected":
		if argument != "true" && argument != "false" {
			r.fail("agentConnected is true or false, not %.100q", argument)
		}
	case "agentVersion":
		if !dotted.MatchString(argument) {
			r.fail("%.100q is no agent version: write numbers and dots, such as 1.14.5", argument)
		}
	case "runningTasksCount":
		if !wholeNumber.MatchString(argument) {
			r.fail("%.100q is no number of tasks: write a whole number", argument)
		}
	case "registeredAt":
		if _, ok := moment(argument); !ok {
			r.fail("%.100q is no date: write 2018-06-18, 2018-06-18T22:28:28, 2018-06-18T22:28:28Z or 2018-06-18T22:28:28+00:00", argument)
		}
	}
}

// order compares a value with an argument, each as the subject means them. Equality of
// attributes and groups is that of the text.
func order(subject string, op operator, value, argument string) int {
	switch subject {
	case "agentVersion":
		return orderVersions(value, argument)
	case "runningTasksCount":
		return orderNumbers(value, argument)
	case "registeredAt":
		v, _ := moment(value)
		a, _ := moment(argument)
		return v.Compare(a)
	}
	if op != "==" && op != "!=" && decimal.MatchString(value) && decimal.MatchString(argument) {
		return orderNumbers(value, argument)
	}
	return strings.Compare(value, argument)
}

// ordered reports whether an order is what an operator asks for.
func ordered(order int, op operator) bool {
	switch op {
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	case "<":
		return order < 0
	default:
		return order <= 0
	}
}

// moment reads a time in one of the four forms that ECS documents; one without a zone is
// in UTC.
func moment(s string) (time.Time, bool) {
	if strings.ContainsAny(s, ".,") { // no fractions
		return time.Time{}, false
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// orderVersions compares part by part; parts that are missing are 0, and a preliminary
// version, such as 1.2.0-dev, comes before the one it leads to.
func orderVersions(a, b string) int {
	a, early, _ := strings.Cut(a, "-")
	b, otherEarly, _ := strings.Cut(b, "-")
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if c := cmp.Compare(part(as, i), part(bs, i)); c != 0 {
			return c
		}
	}
	switch {
	case early == otherEarly:
		return 0
	case early == "":
		return 1
	case otherEarly == "":
		return -1
	}
	return strings.Compare(early, otherEarly)
}

func part(version []string, i int) int {
	if i >= len(version) {
		return 0
	}
	n, _ := strconv.Atoi(version[i]) // up to nine digits
	return n
}

// orderNumbers compares decimal numbers exactly.
func orderNumbers(a, b string) int {
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	if !okX || !okY {
		return strings.Compare(a, b)
	}
	return x.Cmp(y)
}
