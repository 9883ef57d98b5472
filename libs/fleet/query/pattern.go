package query

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// ErrUnsupported marks an expression that ECS may well accept and this package
// cannot evaluate: its pattern uses something of java.util.regex that RE2 does
// not have, or is too large. Whoever needs the answer has to ask ECS for it.
var ErrUnsupported = errors.New("java pattern construct not supported yet")

// maxPatternSize bounds the program of one pattern, which {n} can make far
// longer than the expression: matching costs at most this times the length of a
// value, some ten milliseconds for the 128 characters of an attribute. A pattern
// without {n} stays below it, because an expression has 2000 characters.
const maxPatternSize = 4000

// patternError is what is wrong with a pattern, and where in it.
type patternError struct {
	at    int // bytes into the pattern
	found string
	want  string
	cause error // ErrUnsupported or nil
}

// compilePattern compiles a pattern of java.util.regex to match whole values.
// It is RE2, so matching takes linear time; what RE2 lacks, or reads otherwise
// than Java does, is refused by name.
func compilePattern(pattern string) (*regexp.Regexp, *patternError) {
	if construct, at := findForeign(pattern); construct != "" {
		return nil, &patternError{at, construct, "a pattern without it", ErrUnsupported}
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, explainPattern(pattern, err)
	}
	if size(tree) > maxPatternSize {
		want := fmt.Sprintf("at most %d steps", maxPatternSize)
		return nil, &patternError{0, "a pattern that repeats too much", want, ErrUnsupported}
	}
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, explainPattern(pattern, err)
	}
	names := re.SubexpNames()
	for i, name := range names {
		if name != "" && slices.Contains(names[:i], name) {
			return nil, &patternError{0, fmt.Sprintf("two groups named %q", name), "names that differ", nil}
		}
	}
	return re, nil
}

// explainPattern tells a pattern RE2 has no word for from a malformed one.
func explainPattern(pattern string, err error) *patternError {
	problem := &patternError{found: fmt.Sprintf("pattern %q", pattern), want: "a regular expression"}
	var bad *syntax.Error
	if !errors.As(err, &bad) {
		return problem
	}
	problem.at = max(0, strings.Index(pattern, bad.Expr))
	problem.found = fmt.Sprintf("%s %q", bad.Code, bad.Expr)
	switch bad.Code {
	case syntax.ErrInvalidEscape, syntax.ErrInvalidPerlOp, syntax.ErrLarge,
		syntax.ErrInvalidRepeatSize, syntax.ErrNestingDepth:
		problem.cause = ErrUnsupported
	case syntax.ErrInvalidCharRange:
		if strings.HasPrefix(strings.ToLower(bad.Expr), `\p`) {
			problem.cause = ErrUnsupported // a class of Java's
		}
	}
	if bad.Code == syntax.ErrInvalidRepeatOp && strings.HasSuffix(strings.TrimSuffix(bad.Expr, "?"), "}") {
		problem.cause = ErrUnsupported // Java takes a{2}{3}
	}
	if bad.Code == syntax.ErrMissingRepeatArgument && strings.HasPrefix(bad.Expr, "{") {
		problem.cause = ErrUnsupported // nor does Java need something before {2}
	}
	if problem.cause != nil {
		problem.want = "a pattern without it"
	}
	return problem
}

// size is about the number of instructions re compiles to.
func size(re *syntax.Regexp) int {
	steps := 1
	if re.Op == syntax.OpLiteral {
		steps = len(re.Rune)
	}
	for _, sub := range re.Sub {
		steps += size(sub)
	}
	if re.Op == syntax.OpRepeat {
		steps *= max(1, re.Min+1, re.Max) // {2,} keeps one more for the rest
	}
	return steps
}

// findForeign finds the first construct of java.util.regex that RE2 lacks or
// reads differently: it names it and says where it is, or returns "".
func findForeign(pattern string) (construct string, at int) {
	for i := 0; i < len(pattern); {
		rest := pattern[i:]
		name, length := "", 1
		switch rest[0] {
		case '\\':
			name, length = foreignEscape(rest)
		case '[':
			name, length = foreignClass(rest)
		case '(':
			name = foreignGroup(rest)
		case '*', '+', '?', '{':
			name, length = foreignRepeat(rest)
		}
		if name != "" {
			return name, i
		}
		i += length
	}
	return "", 0
}

// foreignEscape judges the escape rest begins with and says how long it is.
func foreignEscape(rest string) (name string, length int) {
	switch {
	case len(rest) == 1:
		return "", 1
	case '1' <= rest[1] && rest[1] <= '9':
		return fmt.Sprintf("backreference %q", rest[:2]), 2
	case rest[1] == 'k':
		return `backreference "\\k"`, 2
	case rest[1] == '0' || rest[1] == 'v': // octal reaches further in Java, and \v is a class
		return fmt.Sprintf("escape %q", rest[:2]), 2
	case strings.HasPrefix(rest, `\p{`) || strings.HasPrefix(rest, `\P{`):
		return foreignProperty(rest)
	case rest[1] == 'Q' && !strings.Contains(rest, `\E`): // would quote our anchor
		return `"\\Q" without "\\E"`, 2
	case rest[1] == 'Q':
		return "", through(rest, `\E`)
	case strings.HasPrefix(rest, `\x{`):
		return "", through(rest, "}")
	default:
		return "", 2
	}
}

// foreignProperty judges the class by name that rest begins with. Categories are named alike
// in both; RE2 knows scripts by names that Java does not, and none of Java's others.
func foreignProperty(rest string) (name string, length int) {
	length = through(rest, "}")
	const category = len(`\p{Lu}`)
	if length <= category {
		return "", length
	}
	return fmt.Sprintf("class %q", rest[:length]), length
}

// foreignClass judges the character class rest begins with. Java has classes
// within classes and intersections of them, which RE2 takes for characters.
func foreignClass(rest string) (name string, length int) {
	i := len("[")
	if strings.HasPrefix(rest[i:], "^") {
		i++
	}
	if strings.HasPrefix(rest[i:], "]") { // first of all, it is itself
		i++
	}
	for i < len(rest) {
		switch {
		case rest[i] == ']':
			return "", i + 1
		case rest[i] == '[':
			return `class within a class "["`, i
		case strings.HasPrefix(rest[i:], "&&"):
			return `class intersection "&&"`, i
		case rest[i] == '\\':
			name, length := foreignEscape(rest[i:])
			if name != "" {
				return name, i
			}
			i += length
		default:
			i++
		}
	}
	return "", i
}

// foreignGroup judges the group rest begins with.
func foreignGroup(rest string) string {
	for _, g := range [...]struct{ open, name string }{
		{"(?=", "lookahead"},
		{"(?!", "lookahead"},
		{"(?<=", "lookbehind"},
		{"(?<!", "lookbehind"},
		{"(?>", "atomic group"},
	} {
		if strings.HasPrefix(rest, g.open) {
			return fmt.Sprintf("%s %q", g.name, g.open)
		}
	}
	flags, ok := strings.CutPrefix(rest, "(?")
	if !ok {
		return ""
	}
	if end := strings.IndexAny(flags, ":)<"); end >= 0 {
		flags = flags[:end]
	}
	if i := strings.IndexAny(flags, "duxUP"); i >= 0 { // U means something else in RE2, and P is RE2's own
		return fmt.Sprintf("flag %q", flags[i:i+1])
	}
	return ""
}

// counted is a quantifier with numbers.
var counted = regexp.MustCompile(`^\{[0-9]+(,[0-9]*)?\}`)

// foreignRepeat judges the quantifier rest begins with. A brace without numbers, which RE2
// takes for itself, is an error in Java.
func foreignRepeat(rest string) (name string, length int) {
	length = 1
	if rest[0] == '{' {
		if length = len(counted.FindString(rest)); length == 0 {
			return `brace "{" without numbers`, 1
		}
	}
	if strings.HasPrefix(rest[length:], "+") {
		return fmt.Sprintf("possessive quantifier %q", rest[:length+1]), length
	}
	return "", length
}

// through is the length of rest up to and including end, or all of it.
func through(rest, end string) int {
	if i := strings.Index(rest, end); i >= 0 {
		return i + len(end)
	}
	return len(rest)
}
