package javaregex

import (
	"unicode"
	"unicode/utf8"
)

// again takes what a group captured before. A group that has captured nothing, or that there
// is none of, does not match.
func (m *matcher) again(i *instruction, at int) (place int, ok bool) {
	if i.register >= perGroup*m.program.groups || m.registers[i.register] < 0 {
		return 0, false
	}
	captured := m.text[m.registers[i.register]:m.registers[i.register+1]]
	for _, want := range captured {
		r, size := m.after(at)
		if size == 0 || !sameRune(r, want, i.fold) {
			return 0, false
		}
		m.steps--
		at += size
	}
	return at, true
}

func sameRune(a, b rune, by folding) bool {
	switch by {
	case exact:
		return a == b
	case foldingASCII:
		return a == b || a < 0x80 && b < 0x80 && isLetter(a) && a|0x20 == b|0x20
	default:
		return fold(a) == fold(b)
	}
}

// holds tells whether a condition holds at a place.
func (m *matcher) holds(is condition, at int) bool {
	switch is {
	case atStart:
		return at == 0
	case atEnd:
		return at == len(m.text)
	case atLastLine:
		return at == len(m.text) || m.endsLine(at) && at+m.terminator(at) == len(m.text)
	case atLastUnixLine:
		return m.text[at:] == "" || m.text[at:] == "\n"
	case atLineStart:
		before, _ := m.before(at)
		return at < len(m.text) && (at == 0 || isTerminator(before) && !m.insideBreak(at))
	case atLineEnd:
		return at == len(m.text) || m.endsLine(at)
	case atUnixLineStart:
		return at < len(m.text) && (at == 0 || m.text[at-1] == '\n')
	case atUnixLineEnd:
		return at == len(m.text) || m.text[at] == '\n'
	case atWordEdge:
		return m.isEdge(at, isWord)
	case notAtWordEdge:
		return !m.isEdge(at, isWord)
	case atUnicodeWordEdge:
		return m.isEdge(at, isUnicodeWord)
	default: // notAtUnicodeWordEdge
		return !m.isEdge(at, isUnicodeWord)
	}
}

// insideBreak tells whether a place is between \r and \n.
func (m *matcher) insideBreak(at int) bool {
	return at > 0 && at < len(m.text) && m.text[at-1] == '\r' && m.text[at] == '\n'
}

func (m *matcher) endsLine(at int) bool {
	r, size := m.after(at)
	return size > 0 && isTerminator(r) && !m.insideBreak(at)
}

// terminator is the length of the line terminator at a place.
func (m *matcher) terminator(at int) int {
	_, size := m.after(at)
	if m.insideBreak(at + 1) {
		size++
	}
	return size
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// isUnicodeWord tells whether r is in \w with the flag U.
func isUnicodeWord(r rune) bool {
	return isWord(r) || unicode.IsOneOf([]*unicode.RangeTable{
		unicode.M, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control,
	}, r)
}

// isEdge tells whether there is a word on one side of a place only.
func (m *matcher) isEdge(at int, word func(rune) bool) bool {
	left, right := false, false
	if r, size := m.before(at); size > 0 {
		left = word(r) || m.marks(r, at-size)
	}
	if r, size := m.after(at); size > 0 {
		right = word(r) || m.marks(r, at)
	}
	return left != right
}

// marks tells whether r, at a place, is a mark on a letter or digit before it: it belongs to
// the word then.
func (m *matcher) marks(r rune, at int) bool {
	for unicode.Is(unicode.Mn, r) {
		m.steps--
		var size int
		if r, size = m.before(at); size == 0 {
			return false
		}
		at -= size
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return true
		}
	}
	return false
}

// isPlain tells whether a text is ASCII without a line terminator, of which RE2 and Java have
// the same notion of words and lines.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c >= utf8.RuneSelf || c == '\n' || c == '\r' {
			return false
		}
	}
	return true
}
