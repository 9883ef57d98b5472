package clusterquery

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// flags of a pattern, as (?i) sets them.
type flags int

const (
	ignoreCase  flags = 1 << iota // i
	multiline                     // m
	dotAll                        // s
	comments                      // x
	unicodeCase                   // u
	unixLines                     // d
	unicodeSets                   // U
)

func (f flags) has(flag flags) bool { return f&flag != 0 }

var flagNamed = map[rune]flags{
	'i': ignoreCase, 'm': multiline, 's': dotAll, 'x': comments, 'u': unicodeCase, 'd': unixLines, 'U': unicodeSets | unicodeCase,
}

// compiler reads a pattern.
type compiler struct {
	text    []rune
	at      int
	flags   flags
	groups  int
	named   map[string]int
	depth   int
	quoting bool // between \Q and \E
	err     error
}

// compile reads a pattern in the syntax of java.util.regex.
func compile(text string) (*pattern, error) {
	c := &compiler{text: []rune(text), groups: 1, named: map[string]int{}}
	root := c.choice()
	if c.err == nil && c.at < len(c.text) {
		c.fail("unmatched closing ')'")
	}
	if c.err != nil {
		return nil, c.err
	}
	return &pattern{root: root, groups: c.groups}, nil
}

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s near index %d", fmt.Sprintf(format, args...), min(c.at, len(c.text)))
	}
	c.at = len(c.text)
}

// theEnd is what is read after the last character.
const theEnd = rune(-1)

// peek is the next character; with the flag x, after white space and comments.
func (c *compiler) peek() rune {
	for c.flags.has(comments) && !c.quoting && c.at < len(c.text) {
		switch r := c.text[c.at]; {
		case r == ' ' || r >= '\t' && r <= '\r':
			c.at++
		case r == '#':
			for c.at < len(c.text) && !isLineEnd(c.text[c.at]) {
				c.at++
			}
		default:
			return r
		}
	}
	if c.at >= len(c.text) {
		return theEnd
	}
	return c.text[c.at]
}

// raw takes the next character as it is.
func (c *compiler) raw() rune {
	if c.at >= len(c.text) {
		c.fail("unexpected end")
		return theEnd
	}
	c.at++
	return c.text[c.at-1]
}

func (c *compiler) take(text string) bool {
	if !strings.HasPrefix(string(c.text[c.at:]), text) {
		return false
	}
	c.at += len([]rune(text))
	return true
}

func (c *compiler) choice() node {
	if c.depth++; c.depth > deepest {
		c.fail("groups nest deeper than %d", deepest)
	}
	defer func() { c.depth-- }()
	ways := choice{c.chain()}
	for c.peek() == '|' {
		c.at++
		ways = append(ways, c.chain())
	}
	if len(ways) == 1 {
		return ways[0]
	}
	return ways
}

func (c *compiler) chain() node {
	parts := chain{}
	for c.err == nil {
		if next := c.peek(); !c.quoting && (next == theEnd || next == '|' || next == ')') {
			break
		}
		part := c.atom()
		if part == nil {
			continue
		}
		parts = append(parts, c.repetition(part))
	}
	return parts
}

// atom reads what a quantifier applies to; nil for what leaves nothing, such as flags.
func (c *compiler) atom() node {
	if c.quoting {
		return c.quoted()
	}
	switch next := c.peek(); next {
	case '(':
		c.at++
		return c.parenthesis()
	case '[':
		c.at++
		return one{c.class()}
	case '.':
		c.at++
		return c.dot()
	case '^':
		c.at++
		if c.flags.has(multiline) {
			return edge{lineStart}
		}
		return edge{func(_ []rune, at int) bool { return at == 0 }}
	case '$':
		c.at++
		if c.flags.has(multiline) {
			return edge{lineEnd}
		}
		return edge{lastLineEnd}
	case '*', '+', '?':
		c.fail("dangling meta character '%c'", next)
		return nil
	case '{': // Java: a repetition of nothing
		return chain{}
	case '\\':
		c.at++
		return c.escape()
	default:
		return c.letter(c.raw())
	}
}

// quoted reads a character between \Q and \E; without \E all are to the end.
func (c *compiler) quoted() node {
	if c.take(`\E`) || c.at >= len(c.text) {
		c.quoting = false
		return nil
	}
	letter := c.letter(c.raw())
	c.quoting = !c.take(`\E`) // a quantifier after it is for the last character
	return letter
}

func (c *compiler) dot() node {
	switch {
	case c.flags.has(dotAll):
		return one{func(rune) bool { return true }}
	case c.flags.has(unixLines):
		return one{func(r rune) bool { return r != '\n' }}
	}
	return one{func(r rune) bool { return !isLineEnd(r) }}
}

func (c *compiler) letter(r rune) node {
	same := sameLetter(c.flags)
	return one{func(x rune) bool { return same(r, x) }}
}

// repetition reads the quantifier of a part, if there is one.
func (c *compiler) repetition(body node) node {
	if c.quoting {
		return body
	}
	n := repeat{body: body, max: -1}
	switch c.peek() {
	case '?':
		n.max = 1
	case '*':
	case '+':
		n.min = 1
	case '{':
		c.at++
		if !c.bounds(&n) {
			return body
		}
	default:
		return body
	}
	c.at++
	switch c.peek() {
	case '?':
		n.greed = lazy
		c.at++
	case '+':
		n.greed = possessive
		c.at++
	}
	return n
}

// bounds reads the numbers of {2}, {2,} or {2,3}.
func (c *compiler) bounds(n *repeat) bool {
	least, ok := c.number()
	if !ok {
		c.fail("illegal repetition")
		return false
	}
	n.min, n.max = least, least
	if c.peek() == ',' {
		c.at++
		n.max = -1
		if c.peek() != '}' {
			if n.max, ok = c.number(); !ok || n.max < n.min {
				c.fail("illegal repetition range")
				return false
			}
		}
	}
	if c.peek() != '}' {
		c.fail("unclosed counted closure")
		return false
	}
	return true
}

func (c *compiler) number() (int, bool) {
	start := c.at
	for c.at < len(c.text) && c.text[c.at] >= '0' && c.text[c.at] <= '9' {
		c.at++
	}
	n, err := strconv.ParseInt(string(c.text[start:c.at]), 10, 32)
	return int(n), err == nil
}

// parenthesis reads a group after its "(".
func (c *compiler) parenthesis() node {
	before := c.flags
	if !c.take("?") {
		index := c.groups
		c.groups++
		return group{c.closed(before), index}
	}
	switch {
	case c.take(":"):
		return c.closed(before)
	case c.take(">"):
		return atomic{c.closed(before)}
	case c.take("="):
		return look{body: c.closed(before)}
	case c.take("!"):
		return look{body: c.closed(before), negative: true}
	case c.take("<="):
		return c.behind(look{body: c.closed(before), behind: true})
	case c.take("<!"):
		return c.behind(look{body: c.closed(before), behind: true, negative: true})
	case c.take("<"):
		name := c.groupName()
		if _, again := c.named[name]; again {
			c.fail("named capturing group <%s> is already defined", name)
		}
		index := c.groups
		c.groups++
		c.named[name] = index
		return group{c.closed(before), index}
	}
	return c.inlineFlags(before)
}

// closed reads the inside of a group, whose flags end with it.
func (c *compiler) closed(before flags) node {
	body := c.choice()
	if c.err == nil && c.peek() != ')' {
		c.fail("unclosed group")
	}
	if c.err == nil {
		c.at++
	}
	c.flags = before
	return body
}

func (c *compiler) behind(n look) node {
	if n.min, n.max = width(n.body); n.max == endless {
		c.fail("look-behind group does not have an obvious maximum length")
	}
	return n
}

// inlineFlags reads (?i) or (?i-s:…) after the question mark.
func (c *compiler) inlineFlags(before flags) node {
	on := true
	for c.err == nil {
		switch r := c.raw(); {
		case r == '-' && on:
			on = false
		case r == ')':
			return nil
		case r == ':':
			return c.closed(before)
		case flagNamed[r] == 0:
			c.fail("unknown inline modifier or group (?%c", r)
		case on:
			c.flags |= flagNamed[r]
		default:
			c.flags &^= flagNamed[r]
		}
	}
	return nil
}

func (c *compiler) groupName() string {
	start := c.at
	for c.at < len(c.text) && c.text[c.at] < unicode.MaxASCII && isWordCharacter(c.text[c.at]) && c.text[c.at] != '_' {
		c.at++
	}
	name := string(c.text[start:c.at])
	if name == "" || name[0] <= '9' {
		c.fail("a group name starts with a letter and has letters and digits")
		return ""
	}
	if !c.take(">") {
		c.fail("named capturing group is missing trailing '>'")
	}
	return name
}

// escape reads an escape outside a class, after its backslash.
func (c *compiler) escape() node {
	if c.at >= len(c.text) {
		c.fail("a backslash at the end escapes nothing")
		return nil
	}
	if set, ok := c.classEscape(); ok {
		return one{set}
	}
	switch r := c.text[c.at]; {
	case r == 'Q':
		c.at++
		c.quoting = true
		return nil
	case r == 'R':
		c.at++
		return lineBreak()
	case strings.ContainsRune("AbBGzZ", r):
		c.at++
		return edge{edgeNamed[r]}
	case r >= '1' && r <= '9':
		return c.backReference()
	case r == 'k':
		c.at++
		if !c.take("<") {
			c.fail(`\k is not followed by '<' for a named capturing group`)
			return nil
		}
		name := c.groupName()
		index, ok := c.named[name]
		if !ok {
			c.fail("named capturing group <%s> does not exist", name)
		}
		return reference{index, sameLetter(c.flags)}
	}
	r, ok := c.characterEscape()
	if !ok {
		return nil
	}
	return c.letter(r)
}

var edgeNamed = map[rune]func([]rune, int) bool{
	'A': func(_ []rune, at int) bool { return at == 0 },
	'G': func(_ []rune, at int) bool { return at == 0 },
	'z': func(text []rune, at int) bool { return at == len(text) },
	'Z': lastLineEnd,
	'b': wordEdge,
	'B': func(text []rune, at int) bool { return !wordEdge(text, at) },
}

// lineBreak is \R.
func lineBreak() node {
	is := func(want rune) node { return one{func(r rune) bool { return r == want }} }
	single := one{func(r rune) bool { return isLineEnd(r) || r == '\v' || r == '\f' }}
	return atomic{choice{chain{is('\r'), is('\n')}, single}}
}

// backReference reads \1: as many digits as give a group that there is.
func (c *compiler) backReference() node {
	index := int(c.raw() - '0')
	for c.at < len(c.text) && c.text[c.at] >= '0' && c.text[c.at] <= '9' {
		longer := index*10 + int(c.text[c.at]-'0')
		if longer >= c.groups {
			break
		}
		index = longer
		c.at++
	}
	return reference{index, sameLetter(c.flags)}
}

// characterEscape reads an escape that stands for one character.
func (c *compiler) characterEscape() (rune, bool) {
	r := c.raw()
	switch r {
	case 't':
		return '\t', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 'f':
		return '\f', true
	case 'a':
		return '\a', true
	case 'e':
		return 0x1b, true
	case '0':
		return c.octal()
	case 'x':
		if c.take("{") {
			return c.hexUntil('}')
		}
		return c.hex(2)
	case 'u':
		return c.hex(4)
	case 'c':
		return c.raw() ^ 0x40, c.err == nil
	case theEnd:
		return 0, false
	}
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '1' && r <= '9' {
		c.fail("illegal/unsupported escape sequence \\%c", r)
		return 0, false
	}
	return r, true
}

func (c *compiler) octal() (rune, bool) {
	const most = 0o377
	value, digits := rune(0), 0
	for digits < 3 && c.at < len(c.text) && c.text[c.at] >= '0' && c.text[c.at] <= '7' && value*8+c.text[c.at]-'0' <= most {
		value = value*8 + c.text[c.at] - '0'
		c.at++
		digits++
	}
	if digits == 0 {
		c.fail("illegal octal escape sequence")
	}
	return value, c.err == nil
}

func (c *compiler) hex(digits int) (rune, bool) {
	if c.at+digits > len(c.text) {
		c.fail("illegal hexadecimal escape sequence")
		return 0, false
	}
	n, err := strconv.ParseUint(string(c.text[c.at:c.at+digits]), 16, 32)
	if err != nil {
		c.fail("illegal hexadecimal escape sequence")
		return 0, false
	}
	c.at += digits
	return rune(n), true
}

func (c *compiler) hexUntil(closing rune) (rune, bool) {
	start := c.at
	for c.at < len(c.text) && c.text[c.at] != closing {
		c.at++
	}
	n, err := strconv.ParseUint(string(c.text[start:c.at]), 16, 32)
	if err != nil || n > unicode.MaxRune || c.at >= len(c.text) {
		c.fail("illegal hexadecimal escape sequence")
		return 0, false
	}
	c.at++
	return rune(n), true
}
