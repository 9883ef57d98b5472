package query

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet/query/javaregex"
)

// field is the left side of a predicate. The guide calls it the subject.
type field uint8

const (
	attribute field = iota
	taskGroup
	agentConnected
	agentVersion
	ec2InstanceID
	registeredAt
	runningTasksCount
)

// attributePrefix comes before the name of an attribute.
const attributePrefix = "attribute:"

// fields gives each field its name in the language and the operators the guide
// allows it. The guide restricts neither attribute nor task:group.
var fields = [...]struct {
	name string
	ops  []op
}{
	attribute:         {attributePrefix, everyOp},
	taskGroup:         {"task:group", everyOp},
	agentConnected:    {"agentConnected", textOps},
	agentVersion:      {"agentVersion", orderOps},
	ec2InstanceID:     {"ec2InstanceId", textOps},
	registeredAt:      {"registeredAt", orderOps},
	runningTasksCount: {"runningTasksCount", orderOps},
}

// op is an operator, however it was spelled.
type op uint8

const (
	equal op = iota
	notEqual
	greater
	greaterEqual
	less
	lessEqual
	exists
	notExists
	in
	notIn
	matches
	notMatches
)

var (
	everyOp  = []op{equal, notEqual, greater, greaterEqual, less, lessEqual, exists, notExists, in, notIn, matches, notMatches}
	textOps  = []op{equal, notEqual, in, notIn, matches, notMatches}
	orderOps = []op{equal, notEqual, greater, greaterEqual, less, lessEqual}
)

// spellings are the two ways to write each operator. The first is canonical.
var spellings = [...]struct{ symbol, word string }{
	equal:        {"==", "equals"},
	notEqual:     {"!=", "not_equals"},
	greater:      {">", "greater_than"},
	greaterEqual: {">=", "greater_than_equal"},
	less:         {"<", "less_than"},
	lessEqual:    {"<=", "less_than_equal"},
	exists:       {"exists", "exists"},
	notExists:    {"!exists", "not_exists"},
	in:           {"in", "in"},
	notIn:        {"!in", "not_in"},
	matches:      {"=~", "matches"},
	notMatches:   {"!~", "not_matches"},
}

// takesList, takesPattern and takesNothing say what follows the operator; the
// others take one literal.
func (o op) takesList() bool    { return o == in || o == notIn }
func (o op) takesPattern() bool { return o == matches || o == notMatches }
func (o op) takesNothing() bool { return o == exists || o == notExists }

// ordered tells whether o is satisfied by a comparison with result c.
func (o op) ordered(c int) bool {
	switch o {
	case equal:
		return c == 0
	case notEqual:
		return c != 0
	case greater:
		return c > 0
	case greaterEqual:
		return c >= 0
	case less:
		return c < 0
	default:
		return c <= 0
	}
}

// predicate is one "subject operator argument". The last three are the operator
// and argument in the form Match needs; which of them counts depends on field.
type predicate struct {
	field  field
	name   string // of an attribute
	op     op
	values []string // as written, without quotes

	// test is the operator and argument applied to one text. It is made once, at
	// Parse, so that handing it to a Subject does not allocate.
	test func(value string) bool
	// gaveUp is true of a text that took a pattern too many steps; test is false
	// of it. It is nil if no text does.
	gaveUp  func(value string) bool
	instant time.Time
	count   int64
}

// judge tells whether p holds, if that can be told.
func (p *predicate) judge(s *Subject) verdict {
	switch {
	case p.holds(s):
		return yes
	case p.gaveUp == nil:
		return no
	case p.field == attribute:
		if value, ok := s.attribute(p.name); ok && p.gaveUp(value) {
			return unknown
		}
	case p.field == taskGroup && s.hasGroup(p.gaveUp), p.field == ec2InstanceID && p.gaveUp(s.EC2InstanceID):
		return unknown
	}
	return no
}

func (p *predicate) holds(s *Subject) bool {
	switch p.field {
	case attribute:
		value, ok := s.attribute(p.name)
		if p.op == notExists {
			return !ok
		}
		return ok && p.test(value)
	case taskGroup:
		return s.hasGroup(p.test) != (p.op == notExists)
	case agentConnected:
		return p.test(strconv.FormatBool(s.AgentConnected))
	case agentVersion:
		return isVersion(s.AgentVersion) && p.op.ordered(compareVersions(s.AgentVersion, p.values[0]))
	case ec2InstanceID:
		return p.test(s.EC2InstanceID)
	case registeredAt:
		return !s.RegisteredAt.IsZero() && p.op.ordered(s.RegisteredAt.Truncate(time.Second).Compare(p.instant))
	default: // runningTasksCount
		return p.op.ordered(cmp.Compare(s.RunningTasks, p.count))
	}
}

// textTest makes the test of a predicate on text, but for patterns. Lists are short, as expressions are, so they are searched in order.
func textTest(o op, values []string) func(string) bool {
	switch o {
	case exists, notExists:
		return func(string) bool { return true }
	case in:
		return func(value string) bool { return slices.Contains(values, value) }
	case notIn:
		return func(value string) bool { return !slices.Contains(values, value) }
	case equal:
		want := values[0]
		return func(value string) bool { return value == want }
	case notEqual:
		want := values[0]
		return func(value string) bool { return value != want }
	default:
		return orderTest(o, values[0])
	}
}

// patternTests make the test of a predicate with a pattern, and the test whether
// it gave up.
func patternTests(o op, pattern *javaregex.Pattern) (test, gaveUp func(string) bool) {
	want := javaregex.Yes
	if o == notMatches {
		want = javaregex.No
	}
	test = func(value string) bool { return pattern.Match(value) == want }
	if !pattern.Linear() {
		gaveUp = func(value string) bool { return pattern.Match(value) == javaregex.GaveUp }
	}
	return test, gaveUp
}

// orderTest compares as numbers if both sides are decimal, else as text. The
// guide does not say which; numbers are what an attribute with < is used for.
func orderTest(o op, want string) func(string) bool {
	wantNumber, numeric := decimal(want)
	return func(value string) bool {
		if number, ok := decimal(value); ok && numeric {
			return o.ordered(cmp.Compare(number, wantNumber))
		}
		return o.ordered(strings.Compare(value, want))
	}
}

// decimal reads digits with at most one sign and one point. It looks before it
// parses because a failed ParseFloat allocates, and because "inf" is a name.
func decimal(text string) (float64, bool) {
	digits, points := 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case isDigit(c):
			digits++
		case c == '.' && points == 0:
			points++
		case c == '-' && i == 0:
		default:
			return 0, false
		}
	}
	if digits == 0 {
		return 0, false
	}
	number, err := strconv.ParseFloat(text, 64)
	return number, err == nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isVersion tells whether text is numbers with dots between and, optionally, a
// dash and a pre-release name: 1.86.3, 1.0.0-dev.
func isVersion(text string) bool {
	numbers, name, dash := strings.Cut(text, "-")
	if dash && name == "" {
		return false
	}
	after := byte('.')
	for i := range len(numbers) {
		c := numbers[i]
		if !isDigit(c) && (c != '.' || after == '.') {
			return false
		}
		after = c
	}
	return isDigit(after)
}

// compareVersions orders two versions number by number. A missing number is
// zero, and a pre-release comes before its release.
func compareVersions(a, b string) int {
	a, aName, _ := strings.Cut(a, "-")
	b, bName, _ := strings.Cut(b, "-")
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := compareDigits(x, y); c != 0 {
			return c
		}
	}
	if aName == "" || bName == "" {
		return cmp.Compare(len(bName), len(aName))
	}
	return strings.Compare(aName, bName)
}

// compareDigits orders two runs of digits as numbers of any length.
func compareDigits(x, y string) int {
	x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y))
}

// instantForms are the date formats the guide lists. Without a zone it is UTC.
var instantForms = [...]string{time.RFC3339, "2006-01-02T15:04:05", time.DateOnly}

// parseInstant reads a date in one of instantForms and no other.
func parseInstant(text string) (time.Time, bool) {
	if strings.ContainsAny(text, ".,") { // time.Parse would take a fraction
		return time.Time{}, false
	}
	for _, form := range instantForms {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// fact says what s is in the field of p, for people.
func (p *predicate) fact(s *Subject) string {
	name, value, absent := fields[p.field].name, "", "unknown"
	switch p.field {
	case attribute:
		name, absent = p.name, "not set"
		var ok bool
		if value, ok = s.attribute(p.name); ok {
			absent = "set without a value"
		}
	case taskGroup:
		if value = groups(s); value == "" {
			return "no task is running"
		}
	case agentConnected:
		value = strconv.FormatBool(s.AgentConnected)
	case agentVersion:
		value = s.AgentVersion
	case ec2InstanceID:
		value, absent = s.EC2InstanceID, "not given yet"
	case registeredAt:
		if !s.RegisteredAt.IsZero() {
			value = s.RegisteredAt.UTC().Format(time.RFC3339)
		}
	case runningTasksCount:
		value = strconv.FormatInt(s.RunningTasks, 10)
	}
	fact := name + " is " + cmp.Or(value, absent)
	if p.judge(s) == unknown {
		fact += fmt.Sprintf(", where the pattern %s took more than %d steps", p.values[0], javaregex.MaxSteps)
	}
	return fact
}

// write appends the canonical form of p.
func (p *predicate) write(b *strings.Builder) {
	b.WriteString(fields[p.field].name)
	b.WriteString(p.name)
	b.WriteByte(' ')
	b.WriteString(spellings[p.op].symbol)
	switch {
	case p.op.takesNothing():
	case p.op.takesList():
		b.WriteString(" [")
		for i, value := range p.values {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quoted(value))
		}
		b.WriteByte(']')
	default:
		b.WriteByte(' ')
		b.WriteString(quoted(p.values[0]))
	}
}

// quoted is value as a literal: bare if it can be. No value holds both kinds of
// quote, because no literal can.
func quoted(value string) string {
	for i := range len(value) {
		if !isBare(value[i]) {
			if strings.Contains(value, "'") {
				return `"` + value + `"`
			}
			return "'" + value + "'"
		}
	}
	return value
}
