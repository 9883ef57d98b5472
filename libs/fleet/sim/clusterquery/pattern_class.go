package clusterquery

import (
	"strings"
	"unicode"
)

// set tells the characters of a class.
type set func(rune) bool

func (s set) not() set { return func(r rune) bool { return !s(r) } }

func (s set) or(other set) set { return func(r rune) bool { return s(r) || other(r) } }

func (s set) and(other set) set { return func(r rune) bool { return s(r) && other(r) } }

func oneOf(characters string) set {
	return func(r rune) bool { return strings.ContainsRune(characters, r) }
}

func between(a, b rune) set { return func(r rune) bool { return r >= a && r <= b } }

// class reads a class after its "[".
func (c *compiler) class() func(rune) bool {
	if c.depth++; c.depth > deepest {
		c.fail("classes nest deeper than %d", deepest)
	}
	defer func() { c.depth-- }()
	negative := c.peek() == '^'
	if negative {
		c.at++
	}
	whole := c.operand(true)
	for c.err == nil && c.take("&&") {
		right := c.operand(whole == nil)
		switch {
		case whole == nil:
			whole = right
		case right != nil:
			whole = whole.and(right)
		}
	}
	switch {
	case c.err != nil:
	case c.peek() != ']':
		c.fail("unclosed character class")
	case whole == nil:
		c.fail("bad class syntax")
	}
	if c.err != nil {
		return func(rune) bool { return false }
	}
	c.at++
	if negative {
		return whole.not()
	}
	return whole
}

// operand reads the members of a class up to "]" or "&&"; nil if there are none. A "]" that
// is first is a member.
func (c *compiler) operand(first bool) set {
	var members set
	add := func(s set) {
		if members == nil {
			members = s
		} else {
			members = members.or(s)
		}
	}
	for c.err == nil {
		switch r := c.peek(); {
		case r == theEnd:
			return members
		case r == ']' && (members != nil || !first):
			return members
		case r == '&' && strings.HasPrefix(string(c.text[c.at:]), "&&"):
			return members
		case r == '[':
			c.at++
			add(c.class())
		default:
			add(c.members())
		}
	}
	return members
}

// members reads one character, a range, or an escape that stands for several.
func (c *compiler) members() set {
	if c.take(`\Q`) {
		return c.quotedMembers()
	}
	if c.text[c.at] == '\\' {
		c.at++
		if s, ok := c.classEscape(); ok {
			return s
		}
		c.at--
	}
	low, ok := c.member()
	if !ok {
		return nil
	}
	rest := c.text[c.at:]
	if c.peek() != '-' || len(rest) < 2 || rest[1] == ']' || rest[1] == '[' {
		return c.ranged(low, low)
	}
	c.at++
	high, ok := c.member()
	if ok && high < low {
		c.fail("illegal character range")
	}
	return c.ranged(low, high)
}

func (c *compiler) member() (rune, bool) {
	if c.peek() == '\\' {
		c.at++
		return c.characterEscape()
	}
	return c.raw(), c.err == nil
}

// ranged is a range, in both cases of the letters where the flags say so.
func (c *compiler) ranged(low, high rune) set {
	in := between(low, high)
	switch {
	case !c.flags.has(ignoreCase):
		return in
	case c.flags.has(unicodeCase):
		return func(r rune) bool {
			return in(r) || in(unicode.ToUpper(r)) || in(unicode.ToLower(r)) || in(unicode.ToLower(unicode.ToUpper(r)))
		}
	}
	return func(r rune) bool {
		return in(r) || r < unicode.MaxASCII && (in(unicode.ToUpper(r)) || in(unicode.ToLower(r)))
	}
}

// quotedMembers reads \Q…\E in a class.
func (c *compiler) quotedMembers() set {
	members := set(func(rune) bool { return false })
	for c.err == nil && !c.take(`\E`) {
		r := c.raw()
		members = members.or(c.ranged(r, r))
	}
	return members
}

var (
	digits     = between('0', '9')
	lowers     = between('a', 'z')
	uppers     = between('A', 'Z')
	letters    = lowers.or(uppers)
	spaces     = oneOf(" \t\n\v\f\r")
	horizontal = set(func(r rune) bool {
		return r == ' ' || r == '\t' || r == 0xa0 || r == 0x1680 || r == 0x180e || r >= 0x2000 && r <= 0x200a || r == 0x202f || r == 0x205f || r == 0x3000
	})
	vertical    = oneOf("\n\v\f\r\u0085\u2028\u2029")
	punctuation = oneOf("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
)

// classEscape reads an escape that stands for a class, after its backslash; it is not ok,
// and nothing is read, for another.
func (c *compiler) classEscape() (set, bool) {
	if c.at >= len(c.text) {
		return nil, false
	}
	var s set
	r := c.text[c.at]
	switch unicode.ToLower(r) {
	case 'd':
		s = c.either(digits, unicode.IsDigit)
	case 'w':
		s = c.either(isWordCharacter, func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) })
	case 's':
		s = c.either(spaces, unicode.IsSpace)
	case 'h':
		s = horizontal
	case 'v':
		s = vertical
	case 'p':
		c.at++
		s = c.property()
		if unicode.IsUpper(r) {
			return s.not(), true
		}
		return s, true
	default:
		return nil, false
	}
	c.at++
	if unicode.IsUpper(r) {
		return s.not(), true
	}
	return s, true
}

// either chooses by the flag U.
func (c *compiler) either(ascii, all set) set {
	if c.flags.has(unicodeSets) {
		return all
	}
	return ascii
}

// asciiProperties are the POSIX classes.
var asciiProperties = map[string]set{
	"Lower": lowers, "Upper": uppers, "ASCII": between(0, 0x7f), "Alpha": letters, "Digit": digits, "Alnum": letters.or(digits),
	"Punct": punctuation, "Graph": between(0x21, 0x7e), "Print": between(0x20, 0x7e), "Blank": oneOf(" \t"),
	"Cntrl": between(0, 0x1f).or(between(0x7f, 0x7f)), "XDigit": digits.or(between('a', 'f')).or(between('A', 'F')), "Space": spaces,
	"javaLowerCase": unicode.IsLower, "javaUpperCase": unicode.IsUpper, "javaWhitespace": unicode.IsSpace, "javaDigit": unicode.IsDigit,
	"javaLetter": unicode.IsLetter, "javaLetterOrDigit": set(unicode.IsLetter).or(unicode.IsDigit), "javaAlphabetic": unicode.IsLetter,
	"L1": between(0, 0xff), "all": func(rune) bool { return true },
	"IsAlphabetic": unicode.IsLetter, "IsLetter": unicode.IsLetter, "IsLowercase": unicode.IsLower, "IsUppercase": unicode.IsUpper,
	"IsDigit": unicode.IsDigit, "IsPunctuation": set(func(r rune) bool { return unicode.In(r, unicode.P) }), "IsWhite_Space": unicode.IsSpace,
	"IsControl": unicode.IsControl, "IsTitlecase": unicode.IsTitle, "IsIdeographic": set(func(r rune) bool { return unicode.Is(unicode.Ideographic, r) }),
	"LC": set(func(r rune) bool { return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt) }),
}

// property reads the name of \p and finds its characters.
func (c *compiler) property() set {
	name := ""
	if c.take("{") {
		start := c.at
		for c.at < len(c.text) && c.text[c.at] != '}' {
			c.at++
		}
		name = string(c.text[start:c.at])
		if !c.take("}") {
			c.fail("unclosed character family")
		}
	} else if r := c.raw(); r != theEnd {
		name = string(r)
	}
	if c.flags.has(ignoreCase) { // a class of one case has the letters of both
		switch name {
		case "Lower", "Upper":
			return letters
		case "Lu", "Ll", "Lt":
			name = "LC"
		}
	}
	if s, ok := asciiProperties[name]; ok {
		return s
	}
	for _, prefix := range []string{"script=", "sc=", "general_category=", "gc=", "Is", ""} {
		rest, found := strings.CutPrefix(name, prefix)
		if !found {
			continue
		}
		if table := unicode.Categories[rest]; table != nil {
			return func(r rune) bool { return unicode.Is(table, r) }
		}
		if table := unicode.Scripts[rest]; table != nil && prefix != "" {
			return func(r rune) bool { return unicode.Is(table, r) }
		}
	}
	c.fail("unknown character property name {%s}", name)
	return func(rune) bool { return false }
}
