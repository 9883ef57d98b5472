package javaregex

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// flags are the inline flags of a pattern, (?i) and its like.
type flags uint8

const (
	ignoreCase   flags = 1 << iota // i
	unixLines                      // d: only \n ends a line
	multiline                      // m
	dotAll                         // s
	unicodeCase                    // u: case beyond ASCII
	comments                       // x
	canonical                      // c: not in Java's documentation, and without effect within a pattern
	unicodeClass                   // U: \w, \d, \s, \b and POSIX classes beyond ASCII
)

// flagOf is the flag a letter stands for, or 0.
func flagOf(letter rune) flags {
	switch letter {
	case 'i':
		return ignoreCase
	case 'c':
		return canonical
	case 'd':
		return unixLines
	case 'm':
		return multiline
	case 's':
		return dotAll
	case 'u':
		return unicodeCase
	case 'x':
		return comments
	case 'U':
		return unicodeClass | unicodeCase
	default:
		return 0
	}
}

// token is a character of a pattern. One between \Q and \E is quoted: it stands for itself.
type token struct {
	r      rune
	quoted bool
	at     int // bytes into the pattern
}

// end is the token behind the last.
const end rune = -1

// tokens takes a pattern apart. Java, too, resolves \Q and \E before all else.
func tokens(pattern string) []token {
	var list []token
	quoted := false
	for at := 0; at < len(pattern); {
		r, size := utf8.DecodeRuneInString(pattern[at:])
		rest := pattern[at:]
		switch {
		case quoted && strings.HasPrefix(rest, `\E`):
			quoted, size = false, len(`\E`)
		case !quoted && strings.HasPrefix(rest, `\Q`):
			quoted, size = true, len(`\Q`)
		default:
			list = append(list, token{r, quoted, at})
			if r == '\\' && !quoted && size < len(rest) {
				at += size
				r, size = utf8.DecodeRuneInString(pattern[at:])
				list = append(list, token{r, false, at})
			}
		}
		at += size
	}
	return list
}

// parser reads a pattern by recursive descent. A malformed pattern ends it by a panic with
// an *Error, which parse catches: errors come from deep below, and rarely.
type parser struct {
	pattern string
	tokens  []token
	pos     int
	depth   int
	flags   flags
	groups  int
	names   map[string]int
	sets    map[string]runes // classes by name, as some are large
}

// parse reads a pattern. Its time is linear in the pattern's length, but for the classes in
// it, each of which adds the number of its spans.
func parse(pattern string) (tree *node, p *parser, problem *Error) {
	p = &parser{
		pattern: pattern, tokens: tokens(pattern),
		names: map[string]int{}, sets: map[string]runes{},
	}
	defer func() {
		if problem = caught(recover()); problem != nil {
			tree = nil
		}
	}()
	tree = p.expression()
	if p.peek() == ')' {
		p.fail(p.pos, `")"`, `a "(" before it`)
	}
	return tree, p, nil
}

// caught is the error a parser ended by. Any other panic goes on.
func caught(panicked any) *Error {
	if panicked == nil {
		return nil
	}
	problem, ok := panicked.(*Error)
	if !ok {
		panic(panicked)
	}
	return problem
}

// fail ends the parser: at token i it found one thing and expected another.
func (p *parser) fail(i int, found, want string) {
	at := len(p.pattern)
	if i < len(p.tokens) {
		at = p.tokens[i].at
	} else {
		found = "the end of the pattern"
	}
	panic(&Error{At: at, Found: found, Want: want})
}

// refuse ends the parser at what Java takes and this package does not.
func (p *parser) refuse(i int, found, want string) {
	panic(&Error{At: p.tokens[min(i, len(p.tokens)-1)].at, Found: found, Want: want, Unsupported: true})
}

// text quotes the tokens from start to before the current one.
func (p *parser) text(start int) string {
	from, to := len(p.pattern), len(p.pattern)
	if start < len(p.tokens) {
		from = p.tokens[start].at
	}
	if p.pos < len(p.tokens) {
		to = p.tokens[p.pos].at
	}
	return fmt.Sprintf("%q", p.pattern[from:max(from, to)])
}

// raw is the current character as it is, even white space and comments.
func (p *parser) raw() rune {
	if p.pos >= len(p.tokens) {
		return end
	}
	return p.tokens[p.pos].r
}

// peek is the current character, if it has a meaning; end if there is none, and literal if
// it is quoted. With the flag x it skips white space and comments.
func (p *parser) peek() rune {
	for p.flags&comments != 0 && p.pos < len(p.tokens) && !p.tokens[p.pos].quoted {
		switch r := p.raw(); {
		case isSpace(r):
			p.pos++
		case r == '#':
			for p.pos < len(p.tokens) && !p.endsLine(p.raw()) {
				p.pos++
			}
		default:
			return r
		}
	}
	if p.pos < len(p.tokens) && p.tokens[p.pos].quoted {
		return literal
	}
	return p.raw()
}

// literal is what peek says of a quoted character.
const literal rune = -2

func isSpace(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }

func (p *parser) endsLine(r rune) bool {
	return r == '\n' || p.flags&unixLines == 0 && isTerminator(r)
}

// isTerminator tells whether Java takes r for the end of a line.
func isTerminator(r rune) bool {
	return r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029'
}

// take skips r if it comes next.
func (p *parser) take(r rune) bool {
	if p.peek() != r {
		return false
	}
	p.pos++
	return true
}

// expression reads alternatives up to a closing parenthesis or the end.
func (p *parser) expression() *node {
	kids := []*node{p.sequence()}
	for p.take('|') {
		kids = append(kids, p.sequence())
	}
	if len(kids) == 1 {
		return kids[0]
	}
	return &node{shape: choice, kids: kids}
}

func (p *parser) sequence() *node {
	n := &node{shape: sequence}
	for {
		switch r := p.peek(); r {
		case end, '|', ')':
			return n
		case '*', '+', '?':
			p.fail(p.pos, fmt.Sprintf("dangling %q", r), "something to repeat before it")
		case '{': // repeats nothing
			n.kids = append(n.kids, p.repeated(&node{shape: sequence}))
		case '(':
			if kid := p.group(); kid != nil {
				n.kids = append(n.kids, p.repeated(kid))
			}
		default:
			n.kids = append(n.kids, p.repeated(p.atom()))
		}
	}
}

// atom reads what is neither a group nor a repetition.
func (p *parser) atom() *node {
	switch r := p.peek(); r {
	case '[':
		return &node{shape: oneOf, set: p.class()}
	case '\\':
		return p.escape()
	case '.':
		p.pos++
		return &node{shape: oneOf, set: p.dot()}
	case '^':
		p.pos++
		return p.choose(atStart, atLineStart, atUnixLineStart)
	case '$':
		p.pos++
		if p.flags&(multiline|unixLines) == unixLines {
			return &node{shape: assertion, is: atLastUnixLine}
		}
		return p.choose(atLastLine, atLineEnd, atUnixLineEnd)
	default:
		r = p.raw()
		p.pos++
		return p.one(r)
	}
}

// choose is the assertion of plain, or of lines or unix with the flags for it.
func (p *parser) choose(plain, lines, unix condition) *node {
	switch {
	case p.flags&multiline == 0:
		return &node{shape: assertion, is: plain}
	case p.flags&unixLines == 0:
		return &node{shape: assertion, is: lines}
	default:
		return &node{shape: assertion, is: unix}
	}
}

func (p *parser) dot() runes {
	switch {
	case p.flags&dotAll != 0:
		return everything
	case p.flags&unixLines != 0:
		return setOfRunes('\n').not()
	default:
		return setOfRunes('\n', '\r', '\u0085', '\u2028', '\u2029').not()
	}
}

// one matches the character r, in the cases that the flags say.
func (p *parser) one(r rune) *node { return &node{shape: oneOf, set: p.single(r)} }

func (p *parser) single(r rune) runes {
	switch {
	case p.flags&ignoreCase == 0:
		return setOfRunes(r)
	case p.flags&unicodeCase == 0:
		return setOfRunes(r).foldASCII()
	default:
		return sameFold(r)
	}
}

// repeated reads the quantifier after n, if there is one.
func (p *parser) repeated(n *node) *node {
	counts := &node{shape: repeat, kids: []*node{n}, max: unlimited}
	switch p.peek() {
	case '*':
	case '+':
		counts.min = 1
	case '?':
		counts.max = 1
	case '{':
		p.counts(counts)
	default:
		return n
	}
	p.pos++
	switch {
	case p.take('?'):
		counts.greed = lazy
	case p.take('+'):
		counts.greed = possessive
	}
	return counts
}

// counts reads the numbers after "{" and stops before "}".
func (p *parser) counts(n *node) {
	start := p.pos
	if p.pos++; !isDigit(p.raw()) {
		p.fail(p.pos, fmt.Sprintf("%q after {", p.raw()), "a number")
	}
	n.min = p.count(start)
	n.max = n.min
	if p.take(',') {
		n.max = unlimited
		if isDigit(p.raw()) {
			n.max = p.count(start)
		}
	}
	if p.peek() != '}' {
		p.fail(p.pos, fmt.Sprintf("%q in a counted repetition", p.raw()), "}")
	}
	if n.max != unlimited && n.max < n.min {
		p.fail(start, "a repetition from more to fewer", "the smaller number first")
	}
}

// count reads a number that an integer of Java's can hold.
func (p *parser) count(start int) int {
	n := 0
	for ; isDigit(p.raw()); p.pos++ {
		if n = n*10 + int(p.raw()-'0'); n > most {
			p.fail(start, "a repetition too often", fmt.Sprintf("at most %d times", most))
		}
	}
	p.peek()
	return n
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isLetter(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' && r < 0x80 }
