package javaregex

import (
	"fmt"
	"regexp"
	"strings"
)

// The bounds of what RE2 gets. Matching costs at most maxSteps for each character of a value,
// and a text of more than maxSpans takes long to compile.
const (
	maxRE2Steps = 4000
	maxRE2Spans = 5000
)

// translation is a pattern written for RE2, which takes linear time.
type translation struct {
	text  strings.Builder
	spans int
	plain bool // it holds for plain text only
	fails bool // RE2 has nothing like it
}

// translate writes a pattern for RE2, all of it or nothing: re is nil if RE2 lacks a
// construct, or the pattern is too large for it. Every set is written out, so that neither
// flags nor names of classes mean anything else than in Java.
func translate(tree *node) (re *regexp.Regexp, plain bool) {
	t := &translation{}
	if steps(tree) > maxRE2Steps {
		return nil, false
	}
	t.text.WriteString(`\A(?:`)
	t.write(tree)
	t.text.WriteString(`)\z`)
	if t.fails || t.spans > maxRE2Spans {
		return nil, false
	}
	re, err := regexp.Compile(t.text.String())
	if err != nil { // It has limits of its own.
		return nil, false
	}
	return re, t.plain
}

// steps is about the number of instructions of RE2's program, or more than maxRE2Steps.
func steps(n *node) int {
	total := 1
	for _, kid := range n.kids {
		total = min(total+steps(kid), maxRE2Steps+1)
	}
	if n.shape == repeat {
		total *= min(max(1, n.min+1, n.max), maxRE2Steps+1)
	}
	return min(total, maxRE2Steps+1)
}

func (t *translation) write(n *node) {
	if t.fails || t.spans > maxRE2Spans {
		return
	}
	switch n.shape {
	case oneOf:
		t.writeSet(n.set)
	case sequence:
		for _, kid := range n.kids {
			t.writeGroup(kid, kid.shape == choice)
		}
	case choice:
		for i, kid := range n.kids {
			if i > 0 {
				t.text.WriteByte('|')
			}
			t.write(kid)
		}
	case capture:
		t.writeGroup(n.kids[0], true)
	case repeat:
		t.writeRepeat(n)
	case assertion:
		t.writeAssertion(n.is)
	default:
		t.fails = true
	}
}

func (t *translation) writeGroup(n *node, grouped bool) {
	if !grouped {
		t.write(n)
		return
	}
	t.text.WriteString("(?:")
	t.write(n)
	t.text.WriteByte(')')
}

func (t *translation) writeRepeat(n *node) {
	t.fails = t.fails || n.greed == possessive
	t.writeGroup(n.kids[0], n.kids[0].shape != oneOf)
	switch {
	case n.max != unlimited:
		fmt.Fprintf(&t.text, "{%d,%d}", n.min, n.max)
	case n.min > 1:
		fmt.Fprintf(&t.text, "{%d,}", n.min)
	case n.min == 1:
		t.text.WriteByte('+')
	default:
		t.text.WriteByte('*')
	}
}

func (t *translation) writeAssertion(is condition) {
	switch is {
	case atStart:
		t.text.WriteString(`\A`)
	case atEnd:
		t.text.WriteString(`\z`)
	case atLastLine, atLastUnixLine, atLineEnd, atUnixLineEnd:
		t.plain = true
		t.text.WriteString(`\z`)
	case atWordEdge, atUnicodeWordEdge:
		t.plain = true
		t.text.WriteString(`\b`)
	case notAtWordEdge, notAtUnicodeWordEdge:
		t.plain = true
		t.text.WriteString(`\B`)
	default:
		t.fails = true
	}
}

// writeSet writes a set: a letter or digit as itself, else in numbers.
func (t *translation) writeSet(set runes) {
	t.spans += len(set)
	if len(set) == 1 && set[0].lo == set[0].hi && (isLetter(set[0].lo) || isDigit(set[0].lo)) {
		t.text.WriteRune(set[0].lo)
		return
	}
	if len(set) == 0 {
		set = everything
		t.text.WriteString("[^")
	} else {
		t.text.WriteByte('[')
	}
	for _, in := range set {
		fmt.Fprintf(&t.text, `\x{%x}-\x{%x}`, in.lo, in.hi)
	}
	t.text.WriteByte(']')
}
