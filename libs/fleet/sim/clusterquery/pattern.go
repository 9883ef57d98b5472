package clusterquery

import (
	"errors"
	"unicode"
)

// mostSteps is how many steps one match may take. Patterns that people write take some
// hundred on the longest values; one that needs more backs up without end.
const mostSteps = 20_000

var errSteps = errors.New("it takes too many steps to match: nested repetitions try too many ways")

// pattern is a regular expression of Java.
type pattern struct {
	root   node
	groups int // including the whole
}

// node is a part of a pattern.
type node interface {
	// run matches from a place on and gives each place where that can end to next, in the
	// order of preference, until next accepts.
	run(m *match, at int, next func(int) bool) bool
}

// match is one attempt to match a value.
type match struct {
	text  []rune
	spans [][2]int // of groups; -1 as long as they have not matched
	left  int      // steps
}

// matches reports whether a pattern matches the whole value.
func (p *pattern) matches(value string) (bool, error) {
	m := &match{text: []rune(value), spans: make([][2]int, p.groups), left: mostSteps}
	for i := range m.spans {
		m.spans[i] = [2]int{-1, -1}
	}
	ok := p.root.run(m, 0, func(end int) bool { return end == len(m.text) })
	if m.left < 0 {
		return false, errSteps
	}
	return ok, nil
}

// step counts. After the last step nothing matches any more.
func (m *match) step() bool {
	m.left--
	return m.left >= 0
}

// nodes of patterns.
type (
	// one matches a single character.
	one struct{ accepts func(rune) bool }
	// chain matches one after the other.
	chain []node
	// choice matches the first that can.
	choice []node
	// group matches and remembers what.
	group struct {
		body  node
		index int
	}
	// repeat matches several times.
	repeat struct {
		body     node
		min, max int // max < 0: any number
		greed    greed
	}
	// atomic matches in the first way only.
	atomic struct{ body node }
	// look matches nothing, if what stands there matches, or does not.
	look struct {
		body     node
		behind   bool
		negative bool
		min, max int // the length of what stands behind
	}
	// reference matches what a group did.
	reference struct {
		index int
		same  func(a, b rune) bool
	}
	// edge matches nothing, at certain places.
	edge struct {
		here func(text []rune, at int) bool
	}
)

// greed is how a repetition takes: as much as it can, as little, or all without giving back.
type greed int

const (
	greedy greed = iota
	lazy
	possessive
)

func (n one) run(m *match, at int, next func(int) bool) bool {
	return m.step() && at < len(m.text) && n.accepts(m.text[at]) && next(at+1)
}

func (n chain) run(m *match, at int, next func(int) bool) bool {
	if len(n) == 0 {
		return next(at)
	}
	return n[0].run(m, at, func(end int) bool { return n[1:].run(m, end, next) })
}

func (n choice) run(m *match, at int, next func(int) bool) bool {
	for _, way := range n {
		if !m.step() {
			return false
		}
		if way.run(m, at, next) {
			return true
		}
	}
	return false
}

func (n group) run(m *match, at int, next func(int) bool) bool {
	before := m.spans[n.index]
	if n.body.run(m, at, func(end int) bool {
		inner := m.spans[n.index]
		m.spans[n.index] = [2]int{at, end}
		if next(end) {
			return true
		}
		m.spans[n.index] = inner
		return false
	}) {
		return true
	}
	m.spans[n.index] = before
	return false
}

func (n repeat) run(m *match, at int, next func(int) bool) bool {
	if n.greed == possessive {
		return atomic{repeat{n.body, n.min, n.max, greedy}}.run(m, at, next)
	}
	return n.from(m, at, 0, next)
}

// from goes on after a number of times.
func (n repeat) from(m *match, at, times int, next func(int) bool) bool {
	if !m.step() {
		return false
	}
	again := func() bool {
		if n.max >= 0 && times >= n.max {
			return false
		}
		return n.body.run(m, at, func(end int) bool {
			if end == at { // empty: as often as is asked for, but not for ever
				return next(end)
			}
			return n.from(m, end, times+1, next)
		})
	}
	if times < n.min {
		return again()
	}
	if n.greed == lazy {
		return next(at) || again()
	}
	return again() || next(at)
}

func (n atomic) run(m *match, at int, next func(int) bool) bool {
	before := append([][2]int(nil), m.spans...)
	stop := -1
	if !n.body.run(m, at, func(end int) bool { stop = end; return true }) {
		return false
	}
	if next(stop) {
		return true
	}
	copy(m.spans, before)
	return false
}

func (n look) run(m *match, at int, next func(int) bool) bool {
	before := append([][2]int(nil), m.spans...)
	found := n.found(m, at)
	if m.left < 0 {
		return false
	}
	if n.negative {
		copy(m.spans, before)
	}
	if found != n.negative && next(at) {
		return true
	}
	copy(m.spans, before)
	return false
}

func (n look) found(m *match, at int) bool {
	if !n.behind {
		return n.body.run(m, at, func(int) bool { return true })
	}
	for length := n.min; length <= min(n.max, at); length++ {
		if n.body.run(m, at-length, func(end int) bool { return end == at }) {
			return true
		}
	}
	return false
}

func (n reference) run(m *match, at int, next func(int) bool) bool {
	if n.index >= len(m.spans) || m.spans[n.index][0] < 0 || !m.step() {
		return false
	}
	said := m.text[m.spans[n.index][0]:m.spans[n.index][1]]
	if at+len(said) > len(m.text) {
		return false
	}
	for i, c := range said {
		if !n.same(c, m.text[at+i]) {
			return false
		}
	}
	return next(at + len(said))
}

func (n edge) run(m *match, at int, next func(int) bool) bool {
	return m.step() && n.here(m.text, at) && next(at)
}

// endless is a length without a limit.
const endless = int(^uint(0) >> 1)

// width is the least and the greatest length of what a node matches.
func width(n node) (least, most int) {
	switch n := n.(type) {
	case one:
		return 1, 1
	case chain:
		for _, part := range n {
			l, h := width(part)
			least, most = sum(least, l), sum(most, h)
		}
		return least, most
	case choice:
		least = endless
		for _, way := range n {
			l, h := width(way)
			least, most = min(least, l), max(most, h)
		}
		return least, most
	case group:
		return width(n.body)
	case atomic:
		return width(n.body)
	case repeat:
		l, h := width(n.body)
		if n.max < 0 {
			return product(l, n.min), endless
		}
		return product(l, n.min), product(h, n.max)
	case reference:
		return 0, endless
	}
	return 0, 0
}

func sum(a, b int) int {
	if a > endless-b {
		return endless
	}
	return a + b
}

func product(a, b int) int {
	if a != 0 && b > endless/a {
		return endless
	}
	return a * b
}

// Line ends as Java knows them.
func isLineEnd(c rune) bool {
	return c == '\n' || c == '\r' || c == '\u0085' || c == '\u2028' || c == '\u2029'
}

func isWordCharacter(c rune) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// wordEdge is \b.
func wordEdge(text []rune, at int) bool {
	return (at > 0 && isWordCharacter(text[at-1])) != (at < len(text) && isWordCharacter(text[at]))
}

// lastLineEnd reports whether a place is the end, or before the line end that is last: $.
func lastLineEnd(text []rune, at int) bool {
	switch len(text) - at {
	case 0:
		return true
	case 1:
		return isLineEnd(text[at]) && (text[at] != '\n' || at == 0 || text[at-1] != '\r')
	case 2:
		return text[at] == '\r' && text[at+1] == '\n'
	}
	return false
}

// lineStart and lineEnd are ^ and $ with the flag m.
func lineStart(text []rune, at int) bool {
	if at == 0 {
		return true
	}
	return at < len(text) && isLineEnd(text[at-1]) && (text[at-1] != '\r' || text[at] != '\n')
}

func lineEnd(text []rune, at int) bool {
	return at == len(text) || isLineEnd(text[at]) && (text[at] != '\n' || at == 0 || text[at-1] != '\r')
}

// sameLetter compares without regard to case: of ASCII, or of all letters.
func sameLetter(flags flags) func(a, b rune) bool {
	switch {
	case !flags.has(ignoreCase):
		return func(a, b rune) bool { return a == b }
	case flags.has(unicodeCase):
		return func(a, b rune) bool {
			return a == b || unicode.ToLower(unicode.ToUpper(a)) == unicode.ToLower(unicode.ToUpper(b))
		}
	}
	return func(a, b rune) bool { return a == b || asciiLower(a) == asciiLower(b) }
}

func asciiLower(c rune) rune {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
