package javaregex

import "fmt"

// maxNesting bounds the depth of recursion. People nest three or four deep; Java's own limit
// is its stack.
const maxNesting = 200

// group reads a group, or flags that hold for the rest of the group around them, for which it
// returns nil.
func (p *parser) group() *node {
	start, outer := p.pos, p.flags
	p.enter(start)
	n := p.groupAt(start)
	p.depth--
	if n != nil {
		p.flags = outer
	}
	return n
}

func (p *parser) groupAt(start int) *node {
	p.pos++
	if p.peek() != '?' {
		p.groups++
		return p.rest(start, &node{shape: capture, number: p.groups})
	}
	p.pos++
	switch r := p.raw(); r {
	case ':':
		p.pos++
		return p.rest(start, nil)
	case '=', '!':
		p.pos++
		return p.rest(start, &node{shape: look, negate: r == '!'})
	case '>':
		p.pos++
		return p.rest(start, &node{shape: atomic})
	case '<':
		p.pos++
		return p.named(start)
	default:
		p.inlineFlags(start)
		if p.raw() == ')' {
			p.pos++
			return nil
		}
		p.pos++
		return p.rest(start, nil)
	}
}

// enter counts the depth of recursion.
func (p *parser) enter(start int) {
	if p.depth++; p.depth > maxNesting {
		p.refuse(start, "a pattern that nests too deep", fmt.Sprintf("at most %d levels", maxNesting))
	}
}

// rest reads what is in a group and its end, into around if that is given.
func (p *parser) rest(start int, around *node) *node {
	inner := p.expression()
	if !p.take(')') {
		p.fail(len(p.tokens), "", fmt.Sprintf(`a ")" for the "(" at %d`, p.tokens[start].at+1))
	}
	if around == nil {
		return inner
	}
	around.kids = []*node{inner}
	if around.behind && !inner.measure().bounded {
		p.refuse(start, "lookbehind that may be of any length", "one of limited length")
	}
	return around
}

// named reads what begins with "(?<".
func (p *parser) named(start int) *node {
	if r := p.raw(); r == '=' || r == '!' {
		p.pos++
		return p.rest(start, &node{shape: look, behind: true, negate: r == '!'})
	}
	name := p.name()
	if _, ok := p.names[name]; ok {
		p.fail(start, fmt.Sprintf("two groups named %q", name), "names that differ")
	}
	p.groups++
	p.names[name] = p.groups
	return p.rest(start, &node{shape: capture, number: p.groups})
}

// name reads the name of a group and the ">" after it.
func (p *parser) name() string {
	if !isLetter(p.raw()) {
		p.fail(p.pos, fmt.Sprintf("%q", p.raw()), "a letter, to begin the name of a group")
	}
	start := p.pos
	for isLetter(p.raw()) || isDigit(p.raw()) {
		p.pos++
	}
	if p.raw() != '>' {
		p.fail(p.pos, fmt.Sprintf("%q in the name of a group", p.raw()), "letters, digits and then >")
	}
	name := p.pattern[p.tokens[start].at:p.tokens[p.pos].at]
	p.pos++
	return name
}

// inlineFlags reads flags up to the ":" or ")" after them.
func (p *parser) inlineFlags(start int) {
	off := false
	for ; ; p.pos++ {
		r := p.peek()
		flag := flagOf(r)
		switch {
		case r == ')' || r == ':':
			return
		case r == '-' && !off:
			off = true
		case flag == 0:
			if r == end {
				p.fail(p.pos, "", "a flag, : or )")
			}
			p.pos++
			p.fail(start, "unknown group or flag "+p.text(start), "one of (?: (?= (?! (?<= (?<! (?> (?<NAME> or flags of dimsuxU")
		case off:
			p.flags &^= flag
		default:
			p.flags |= flag
		}
	}
}
