package javaregex

import "fmt"

// class reads a class in brackets.
func (p *parser) class() runes {
	start := p.pos
	p.enter(start)
	p.pos++
	negated := p.raw() == '^' && !p.tokens[p.pos].quoted
	if negated {
		p.pos++
	}
	set := p.members(start)
	p.pos++ // the bracket
	p.depth--
	if negated {
		return set.not()
	}
	return set
}

// members reads what is in a class, up to its closing bracket. One that comes first of all
// is itself.
func (p *parser) members(start int) runes {
	var read members
	for begun := false; ; begun = true {
		switch r := p.peek(); {
		case r == end:
			p.fail(p.pos, "", fmt.Sprintf(`a "]" for the "[" at %d`, p.tokens[start].at+1))
		case r == ']' && begun:
			return setOf(read.set...)
		case r == '[':
			read.add(p.class())
		case r == '&' && p.isIntersection():
			p.pos += len("&&")
			p.intersect(start, &read, begun)
		default:
			read.add(p.interval())
		}
	}
}

// members are what was read of a class.
type members struct {
	set  runes // in no order: joining once is faster than joining each
	last runes // what an intersection with nothing is one with; nil if Java forgot
	rest bool  // there is more than single characters of Latin-1
}

// add joins more. Java keeps single characters of Latin-1 apart.
func (m *members) add(more runes) {
	m.set = append(m.set, more...)
	isLatin := len(more) > 0 && more[0].lo == more[0].hi && more[0].lo <= 0xff
	switch {
	case !isLatin:
		m.last, m.rest = more, true
	case m.rest:
		m.last = nil
	default:
		m.last = m.set
	}
}

func (p *parser) isIntersection() bool {
	return p.pos+1 < len(p.tokens) && p.tokens[p.pos+1].r == '&' && !p.tokens[p.pos+1].quoted
}

// intersect reads what follows "&&": classes, and then members up to the bracket. Where nothing follows, Java intersects with what it read last.
func (p *parser) intersect(start int, left *members, begun bool) {
	var right runes
	found := false
	for r := p.peek(); r != ']' && r != '&'; r = p.peek() {
		switch r {
		case end:
			p.fail(p.pos, "", fmt.Sprintf(`a "]" for the "[" at %d`, p.tokens[start].at+1))
		case '[':
			right = right.or(p.class())
		default:
			p.enter(p.pos)
			right = right.or(p.members(start))
			p.depth--
		}
		found = true
	}
	if !found {
		right = left.last
	}
	switch {
	case !found && !begun:
		p.fail(p.pos, `"&&" with nothing on either side`, "characters")
	case !found && left.last == nil: // Java takes it, and crashes when it matches
		p.refuse(p.pos, `"&&" with nothing after it`, "characters")
	}
	if begun {
		right = setOf(left.set...).and(right)
	}
	*left = members{set: right, last: right, rest: true}
}

// interval reads one character, a class by an escape, or from one character to another.
func (p *parser) interval() runes {
	start := p.pos
	if p.peek() == '\\' {
		if set, ok := p.classEscape(); ok {
			return set
		}
	}
	lo := p.member()
	if p.peek() != '-' || p.pos+1 >= len(p.tokens) {
		return p.single(lo)
	}
	if next := p.tokens[p.pos+1]; !next.quoted && (next.r == '[' || next.r == ']') {
		return p.single(lo)
	}
	p.pos++
	if p.peek() == '\\' {
		if _, ok := p.classEscape(); ok {
			p.fail(start, "range "+p.text(start), "one character at its end")
		}
	}
	hi := p.member()
	if hi < lo {
		p.fail(start, "range "+p.text(start), "the smaller character first")
	}
	return p.folded(runes{{lo, hi}})
}

// member reads one character of a class.
func (p *parser) member() rune {
	if p.peek() == '\\' {
		return p.character(true)
	}
	r := p.raw()
	if r == end {
		p.fail(p.pos, "", "a character")
	}
	p.pos++
	return r
}

// folded adds the other cases of what is in a range, as the flags say.
func (p *parser) folded(set runes) runes {
	switch {
	case p.flags&ignoreCase == 0:
		return set
	case p.flags&unicodeCase == 0:
		return set.foldASCII()
	default:
		return set.foldUnicode()
	}
}
