package javaregex

import (
	"fmt"
	"unicode"
	"unicode/utf16"
)

// escape reads a backslash and what it means outside of a class.
func (p *parser) escape() *node {
	start := p.pos
	p.pos++
	r := p.raw()
	p.pos++
	if '1' <= r && r <= '9' {
		return p.reference(int(r - '0'))
	}
	switch r {
	case 'k':
		return p.namedReference(start)
	case 'b':
		return p.edge(start)
	case 'B':
		return p.unicodeOr(notAtUnicodeWordEdge, notAtWordEdge)
	case 'A', 'G': // a match of the whole value starts where the last one ended
		return &node{shape: assertion, is: atStart}
	case 'z':
		return &node{shape: assertion, is: atEnd}
	case 'Z':
		if p.flags&unixLines != 0 {
			return &node{shape: assertion, is: atLastUnixLine}
		}
		return &node{shape: assertion, is: atLastLine}
	case 'R':
		return &node{shape: lineBreak}
	case 'X':
		p.refuse(start, `a grapheme cluster, "\\X"`, "a pattern without it")
	}
	p.pos = start
	if set, ok := p.classEscape(); ok {
		return &node{shape: oneOf, set: set}
	}
	return p.one(p.character(false))
}

func (p *parser) unicodeOr(wide, narrow condition) *node {
	if p.flags&unicodeClass != 0 {
		return &node{shape: assertion, is: wide}
	}
	return &node{shape: assertion, is: narrow}
}

// edge reads what follows \b.
func (p *parser) edge(start int) *node {
	if p.peek() != '{' || p.pos+1 >= len(p.tokens) || p.tokens[p.pos+1].r != 'g' { // maybe a repetition
		return p.unicodeOr(atUnicodeWordEdge, atWordEdge)
	}
	if p.pos+2 < len(p.tokens) && p.tokens[p.pos+2].r == '}' {
		p.refuse(start, `the edge of a grapheme cluster, "\\b{g}"`, "a pattern without it")
	}
	p.pos++
	p.fail(start, "escape "+p.text(start), `\b or \b{g}`)
	return nil
}

// reference reads the further digits of a backreference: those that make the number of a
// group that has begun before it.
func (p *parser) reference(number int) *node {
	for isDigit(p.peek()) {
		longer := number*10 + int(p.raw()-'0')
		if longer > p.groups {
			break
		}
		number = longer
		p.pos++
	}
	return p.referenceTo(number)
}

func (p *parser) referenceTo(number int) *node {
	n := &node{shape: back, number: number}
	switch {
	case p.flags&ignoreCase == 0:
	case p.flags&unicodeCase == 0:
		n.fold = foldingASCII
	default:
		n.fold = foldingUnicode
	}
	return n
}

func (p *parser) namedReference(start int) *node {
	if p.raw() != '<' {
		p.fail(start, `escape "\\k"`, `\k<NAME>`)
	}
	p.pos++
	name := p.name()
	number, ok := p.names[name]
	if !ok {
		p.fail(start, fmt.Sprintf("a reference to group %q", name), "the name of a group before it")
	}
	return p.referenceTo(number)
}

// classEscape reads an escape that stands for several characters. If it is not one, it reads
// nothing.
func (p *parser) classEscape() (set runes, ok bool) {
	if p.pos+1 >= len(p.tokens) {
		return nil, false
	}
	r := p.tokens[p.pos+1].r
	switch r {
	case 'd', 'D', 'h', 'H', 's', 'S', 'v', 'V', 'w', 'W':
		p.pos += 2
		set = p.shorthand(unicode.ToLower(r))
	case 'p', 'P':
		set = p.property()
	default:
		return nil, false
	}
	if unicode.IsUpper(r) {
		return set.not(), true
	}
	return set, true
}

// shorthand is the class that a small letter stands for.
func (p *parser) shorthand(letter rune) runes {
	wide := p.flags&unicodeClass != 0
	switch {
	case letter == 'h':
		return setOf(span{'\t', '\t'}, span{' ', ' '}, span{0xa0, 0xa0}, span{0x1680, 0x1680}, span{0x180e, 0x180e},
			span{0x2000, 0x200a}, span{0x202f, 0x202f}, span{0x205f, 0x205f}, span{0x3000, 0x3000})
	case letter == 'v':
		return setOf(span{'\n', '\r'}, span{0x85, 0x85}, span{0x2028, 0x2029})
	case letter == 'd' && wide:
		return p.setNamed("IsDigit")
	case letter == 'd':
		return runes{{'0', '9'}}
	case letter == 's' && wide:
		return p.setNamed("IsWhite_Space")
	case letter == 's':
		return setOf(span{'\t', '\r'}, span{' ', ' '})
	case wide:
		return p.setNamed("IsWord")
	default:
		return setOf(span{'0', '9'}, span{'A', 'Z'}, span{'_', '_'}, span{'a', 'z'})
	}
}

// simple are the escapes of one letter that stand for one character.
var simple = map[rune]rune{'a': '\a', 'e': 0x1b, 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// character reads an escape that stands for one character.
func (p *parser) character(inClass bool) rune {
	start := p.pos
	p.pos++
	r := p.raw()
	if r == end {
		p.fail(p.pos, "", `a character after the last "\\"`)
	}
	p.pos++
	if plain, ok := simple[r]; ok {
		return plain
	}
	switch {
	case r == '0':
		return p.octal(start)
	case r == 'c':
		if r = p.raw(); r == end {
			p.fail(p.pos, "", `a character after "\\c"`)
		}
		p.pos++
		return r ^ 0x40
	case r == 'x' && p.raw() == '{':
		return p.braced(start)
	case r == 'x':
		return p.hex(start, 2)
	case r == 'u':
		return p.utf16(start)
	case r == 'N' && p.raw() == '{':
		p.refuse(start, `a character by its name, "\\N{"`, "its number")
	case isLetter(r), inClass && isDigit(r):
		p.fail(start, "escape "+p.text(start), "one that Java has")
	}
	return r
}

// octal reads \0n, \0nn, or \0mnn up to \0377.
func (p *parser) octal(start int) rune {
	value, digits := rune(0), 0
	for ; digits < 3; digits++ {
		digit := p.raw() - '0'
		if digit < 0 || digit > 7 || value*8+digit > 0o377 {
			break
		}
		value = value*8 + digit
		p.pos++
	}
	if digits == 0 {
		p.fail(start, `escape "\\0"`, "an octal number after it")
	}
	return value
}

// hex reads a number of so many hexadecimal digits.
func (p *parser) hex(start, digits int) rune {
	value := rune(0)
	for range digits {
		digit, ok := hexDigit(p.raw())
		if !ok {
			p.fail(start, "escape "+p.text(start), fmt.Sprintf("%d hexadecimal digits in it", digits))
		}
		value = value<<4 + digit
		p.pos++
	}
	return value
}

func hexDigit(r rune) (rune, bool) {
	switch {
	case isDigit(r):
		return r - '0', true
	case isLetter(r) && r|0x20 <= 'f':
		return r | 0x20 - 'a' + 10, true
	default:
		return 0, false
	}
}

// braced reads the rest of \x{...}.
func (p *parser) braced(start int) rune {
	p.pos++
	value, digits := rune(0), 0
	for ; ; digits++ {
		digit, ok := hexDigit(p.raw())
		if !ok {
			break
		}
		if value = value<<4 + digit; value > unicode.MaxRune {
			p.fail(start, "escape "+p.text(start), "at most 10FFFF")
		}
		p.pos++
	}
	if digits == 0 || p.raw() != '}' {
		p.fail(start, "escape "+p.text(start), "hexadecimal digits and } in it")
	}
	p.pos++
	return value
}

// utf16 reads the rest of \uXXXX, and the second half of a pair if there is one.
func (p *parser) utf16(start int) rune {
	first := p.hex(start, 4)
	if !utf16.IsSurrogate(first) || p.pos+6 > len(p.tokens) || p.raw() != '\\' || p.tokens[p.pos+1].r != 'u' {
		return first
	}
	second := p.pos
	p.pos += len(`\u`)
	if pair := utf16.DecodeRune(first, p.hex(second, 4)); pair != unicode.ReplacementChar {
		return pair
	}
	p.pos = second
	return first
}
