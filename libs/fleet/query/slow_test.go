package query

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The slow evaluator is the language said a second time, to hold the fast one
// against: it makes an expression and its meaning together, never parses, and
// shares no code with the package. A world is what its meanings are about.
type world struct {
	attributes map[string]string
	groups     []string
	connected  bool
	version    []int // none if nil
	id         string
	registered int64 // Unix seconds, none if 0
	running    int64
}

func (w *world) subject() *Subject {
	s := &Subject{
		Attribute:      func(name string) (string, bool) { v, ok := w.attributes[name]; return v, ok },
		HasGroup:       func(match func(string) bool) bool { return slices.ContainsFunc(w.groups, match) },
		AgentConnected: w.connected,
		EC2InstanceID:  w.id,
		RunningTasks:   w.running,
	}
	if w.version != nil {
		s.AgentVersion = dots(w.version)
	}
	if w.registered != 0 {
		s.RegisteredAt = time.Unix(w.registered, 123_456_789)
	}
	return s
}

func dots(numbers []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", "."), "[]")
}

// meaning is an expression with its text. tight texts can follow not, and the
// others can too in parentheses; loose ones have an or on the outside.
type meaning struct {
	text       string
	tight      bool
	loose      bool
	true       func(*world) bool
	attributes []string
	usesTasks  bool
}

// dice are the random choices of one case.
type dice struct{ *rand.Rand }

func (d dice) one(of ...string) string { return of[d.IntN(len(of))] }
func (d dice) gap() string             { return d.one("", " ", "  ", "\n") }

var (
	someTexts  = []string{"1", "2", "10", "-3", "1.5", "x", "y", "x y", "prod", "service:a", "family:b", "é"}
	someNames  = []string{"a", "b", "ecs.instance-type", "c/d_e"}
	someGroups = []string{"service:a", "family:b", "x"}
	someIDs    = []string{"i-1", "i-2", ""}
)

func (d dice) world() *world {
	w := &world{attributes: map[string]string{}, connected: d.IntN(2) == 0, id: d.one(someIDs...), running: d.Int64N(4)}
	for _, name := range someNames {
		switch d.IntN(4) {
		case 0:
		case 1:
			w.attributes[name] = ""
		default:
			w.attributes[name] = d.one(someTexts...)
		}
	}
	for range d.IntN(4) {
		w.groups = append(w.groups, d.one(someGroups...))
	}
	if d.IntN(4) > 0 {
		w.version = d.version()
	}
	if d.IntN(4) > 0 {
		w.registered = d.instant()
	}
	return w
}

func (d dice) version() []int {
	numbers := []int{d.IntN(2)}
	for range d.IntN(3) {
		numbers = append(numbers, d.IntN(3)*5)
	}
	return numbers
}

// instant is one of few, on both sides of a midnight.
func (d dice) instant() int64 {
	return time.Date(2018, 6, 18, 0, 0, 0, 0, time.UTC).Unix() + d.Int64N(5)*6*3600
}

func (d dice) expression(depth int) meaning {
	if depth == 0 || d.IntN(4) == 0 {
		return d.predicate()
	}
	if d.IntN(3) == 0 {
		return d.negation(depth)
	}
	return d.chain(depth)
}

func (d dice) negation(depth int) meaning {
	inner := d.expression(depth - 1)
	text := "(" + d.gap() + inner.text + d.gap() + ")"
	switch {
	case d.IntN(3) == 0 && inner.tight:
		text = d.one("!", "not ", "! ") + inner.text
	default:
		text = d.one("!", "not", "not ") + text
	}
	return meaning{
		text: text, tight: true, attributes: inner.attributes, usesTasks: inner.usesTasks,
		true: func(w *world) bool { return !inner.true(w) },
	}
}

func (d dice) chain(depth int) meaning {
	isOr := d.IntN(2) == 0
	m := meaning{loose: isOr}
	var parts []meaning
	for i := range 2 + d.IntN(3) {
		part := d.expression(depth - 1)
		text := part.text
		if (part.loose && !isOr) || d.IntN(4) == 0 {
			text = d.gap() + "(" + d.gap() + text + d.gap() + ")"
		}
		if i > 0 && isOr {
			m.text += d.one(" or ", " || ", " ||", "\tor\n")
		} else if i > 0 {
			m.text += d.one(" and ", " && ", " &&", "\tand\n")
		}
		m.text += text
		m.attributes = append(m.attributes, part.attributes...)
		m.usesTasks = m.usesTasks || part.usesTasks
		parts = append(parts, part)
	}
	m.true = func(w *world) bool {
		count := 0
		for _, part := range parts {
			if part.true(w) {
				count++
			}
		}
		return count == len(parts) || (isOr && count > 0)
	}
	return m
}

func (d dice) predicate() meaning {
	switch d.IntN(8) {
	case 0:
		return d.versionPredicate()
	case 1:
		return d.datePredicate()
	case 2:
		n := d.Int64N(4)
		text, holds := d.order()
		return meaning{
			text: "runningTasksCount" + text + d.one("", "0", "+") + strconv.FormatInt(n, 10), tight: true, usesTasks: true,
			true: func(w *world) bool { return holds(int(w.running - n)) },
		}
	case 3:
		return d.textPredicate("ec2InstanceId", []string{"i-1", "i-2", "i-3"}, false,
			func(w *world) []string { return []string{w.id} })
	case 4:
		return d.textPredicate("agentConnected", []string{"true", "false"}, false,
			func(w *world) []string { return []string{strconv.FormatBool(w.connected)} })
	case 5:
		m := d.textPredicate("task:group", someGroups, true, func(w *world) []string { return w.groups })
		m.usesTasks = true
		return m
	default:
		name := d.one(someNames...)
		m := d.textPredicate("attribute:"+name, someTexts, true, func(w *world) []string {
			if value, ok := w.attributes[name]; ok {
				return []string{value}
			}
			return nil
		})
		m.attributes = []string{name}
		return m
	}
}

func (d dice) versionPredicate() meaning {
	want := d.version()
	text, holds := d.order()
	return meaning{text: "agentVersion" + text + dots(want), tight: true, true: func(w *world) bool {
		if w.version == nil {
			return false
		}
		for i := range 3 {
			have, need := 0, 0
			if i < len(w.version) {
				have = w.version[i]
			}
			if i < len(want) {
				need = want[i]
			}
			if have != need {
				return holds(have - need)
			}
		}
		return holds(0)
	}}
}

func (d dice) datePredicate() meaning {
	want := d.instant()
	at := time.Unix(want, 0).UTC()
	form := d.one("2006-01-02T15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05-07:00")
	if want%86400 == 0 && d.IntN(2) == 0 {
		form = "2006-01-02"
	}
	if form == "2006-01-02T15:04:05-07:00" {
		at = at.In(time.FixedZone("", (d.IntN(20)-10)*1800))
	}
	text, holds := d.order()
	return meaning{text: "registeredAt" + text + d.quote(at.Format(form)), tight: true, true: func(w *world) bool {
		return w.registered != 0 && holds(int(w.registered-want))
	}}
}

// order is one of the six comparisons, as text and as a judge of a difference.
func (d dice) order() (string, func(int) bool) {
	signs := map[string]string{
		"equals": "==", "not_equals": "!=", "greater_than": ">",
		"greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<=",
	}
	word := d.one("equals", "not_equals", "greater_than", "greater_than_equal", "less_than", "less_than_equal")
	text := " " + word + " "
	if d.IntN(2) == 0 {
		text = d.gap() + signs[word] + d.gap()
	}
	return text, func(difference int) bool {
		switch {
		case difference < 0:
			return strings.HasPrefix(word, "less") || word == "not_equals"
		case difference > 0:
			return strings.HasPrefix(word, "greater") || word == "not_equals"
		default:
			return word == "equals" || strings.HasSuffix(word, "than_equal")
		}
	}
}

// quote writes a value in one of the ways it can be written.
func (d dice) quote(value string) string {
	if strings.ContainsAny(value, " ()[]|'\",&") || d.IntN(2) == 0 {
		return d.one("'"+value+"'", `"`+value+`"`)
	}
	return value
}

// textPredicate is a predicate on a set of texts. With full it may be any of
// the twelve operators, else those without an order and exists.
func (d dice) textPredicate(field string, domain []string, full bool, set func(*world) []string) meaning {
	negative := d.IntN(2) == 0
	pick := func(plain, sign, negated, negatedSign string) string {
		if negative {
			plain, sign = negated, negatedSign
		}
		if d.IntN(2) == 0 {
			return d.gap() + sign + d.gap()
		}
		return " " + plain + " "
	}
	var text string
	var one func(value string) bool // before negation
	kinds := 3
	if full {
		kinds = 5
	}
	switch d.IntN(kinds) {
	case 0:
		want := d.one(domain...)
		text = pick("equals", "==", "not_equals", "!=") + d.quote(want)
		one = func(value string) bool { return value == want }
	case 1:
		list, quoted := []string{}, []string{}
		for range 1 + d.IntN(3) {
			list = append(list, d.one(domain...))
			quoted = append(quoted, d.gap()+d.quote(list[len(list)-1])+d.gap())
		}
		text = pick("in", " in", "not_in", "!in") + "[" + strings.Join(quoted, ",") + "]"
		one = func(value string) bool { return slices.Index(list, value) >= 0 }
	case 2:
		p := d.pattern(2, domain)
		if d.IntN(3) == 0 {
			p = either(p, d.pattern(1, domain)) // without parentheses around
		}
		if d.IntN(2) == 0 {
			p.text += "(?=)" // true anywhere, but beyond RE2
		}
		text = pick("matches", "=~", "not_matches", "!~") + d.quotePattern(p.text)
		one = func(value string) bool { return slices.Contains(p.ends(value), "") }
	case 3:
		sign, holds := d.order()
		want := d.one(domain...)
		text, negative = sign+d.quote(want), false
		one = func(value string) bool { return holds(d.compare(strings.TrimSpace(sign), value, want)) }
	default:
		text = strings.TrimRight(pick("exists", " exists", "not_exists", "!exists"), " \n") + d.gap()
		return meaning{text: field + text, tight: true, true: func(w *world) bool { return (len(set(w)) == 0) == negative }}
	}
	return meaning{text: field + text, tight: true, true: func(w *world) bool {
		for _, value := range set(w) {
			if one(value) != negative {
				return true
			}
		}
		return false
	}}
}

// compare orders two texts; equality, unlike order, knows no numbers.
func (dice) compare(sign, a, b string) int {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	isEquality := slices.Contains([]string{"==", "!=", "equals", "not_equals"}, sign)
	if errX == nil && errY == nil && !isEquality {
		return int(10 * (x - y))
	}
	return strings.Compare(a, b)
}

// slowPattern is a pattern with its meaning: what can be left of a value after
// the pattern took a prefix of it.
type slowPattern struct {
	text string
	ends func(value string) []string
}

func (d dice) pattern(depth int, domain []string) slowPattern {
	if depth == 0 || d.IntN(3) == 0 {
		return d.atom(domain)
	}
	a, b := d.pattern(depth-1, domain), d.pattern(depth-1, domain)
	switch d.IntN(3) {
	case 0:
		p := either(a, b)
		return slowPattern{"(" + p.text + ")", p.ends}
	case 1:
		return slowPattern{a.text + b.text, func(value string) []string {
			var rests []string
			for _, rest := range a.ends(value) {
				rests = append(rests, b.ends(rest)...)
			}
			return rests
		}}
	default:
		return slowPattern{"(" + a.text + ")*", func(value string) []string {
			rests := []string{value}
			for i := 0; i < len(rests); i++ {
				for _, rest := range a.ends(rests[i]) {
					if !slices.Contains(rests, rest) {
						rests = append(rests, rest)
					}
				}
			}
			return rests
		}}
	}
}

func either(a, b slowPattern) slowPattern {
	return slowPattern{a.text + "|" + b.text, func(value string) []string {
		return append(a.ends(value), b.ends(value)...)
	}}
}

func (d dice) atom(domain []string) slowPattern {
	switch d.IntN(4) {
	case 0:
		return slowPattern{".*", func(value string) []string {
			rests := []string{""}
			for i := range value { // at the runes
				rests = append(rests, value[i:])
			}
			return rests
		}}
	case 1:
		return slowPattern{"[a-p1:]", func(value string) []string {
			if value != "" && strings.Contains("abcdefghijklmnop1:", value[:1]) {
				return []string{value[1:]}
			}
			return nil
		}}
	default:
		text := d.one(domain...)
		return slowPattern{strings.ReplaceAll(text, ".", `\.`), func(value string) []string {
			if rest, ok := strings.CutPrefix(value, text); ok {
				return []string{rest}
			}
			return nil
		}}
	}
}

// quotePattern leaves the quotes away where the pattern ends without them.
func (d dice) quotePattern(text string) string {
	if strings.Contains(text, " ") || d.IntN(2) == 0 {
		return d.one("'"+text+"'", `"`+text+`"`)
	}
	return text
}

// TestAgainstSlow holds the package against the slow evaluator.
func TestAgainstSlow(t *testing.T) {
	const cases, worlds = 10_000, 4
	matched := 0
	for seed := range uint64(cases) {
		d := dice{rand.New(rand.NewPCG(seed, 2018))}
		slow := d.expression(3)
		if len(slow.text) > maxLength {
			t.Fatalf("seed %d: the case is too long", seed)
		}
		e, err := Parse(slow.text)
		if err != nil {
			t.Fatalf("seed %d: %q: %v", seed, slow.text, err)
		}
		roundTrip(t, slow.text)
		checkMentions(t, seed, e, slow)
		for range worlds {
			w := d.world()
			on, want := w.subject(), slow.true(w)
			if got := e.Match(on); got != want {
				t.Fatalf("seed %d: %s is %v, want %v on %+v", seed, e, got, want, w)
			}
			checkExplain(t, e, on)
			if want {
				matched++
				checkEqualities(t, seed, e, w)
			}
		}
	}
	if matched < cases*worlds/5 || matched > cases*worlds*4/5 {
		t.Errorf("%d of %d match: the cases are too much alike to test anything", matched, cases*worlds)
	}
}

func checkMentions(t *testing.T, seed uint64, e *Expr, slow meaning) {
	t.Helper()
	slices.Sort(slow.attributes)
	if got, want := e.Attributes(), slices.Compact(slow.attributes); !slices.Equal(got, want) {
		t.Fatalf("seed %d: %s: Attributes are %v, want %v", seed, e, got, want)
	}
	if e.UsesTasks() != slow.usesTasks {
		t.Fatalf("seed %d: %s: UsesTasks is %v", seed, e, e.UsesTasks())
	}
}

// checkEqualities checks that a world that matches breaks no equality.
func checkEqualities(t *testing.T, seed uint64, e *Expr, w *world) {
	t.Helper()
	for _, required := range e.Equalities() {
		if value, ok := w.attributes[required.Name]; !ok || !slices.Contains(required.Values, value) {
			t.Fatalf("seed %d: %s matches %v, which breaks %v", seed, e, w.attributes, required)
		}
	}
}
