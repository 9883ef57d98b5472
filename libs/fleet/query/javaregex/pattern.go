// Package javaregex compiles and matches the regular expressions of java.util.regex, which
// ECS reads patterns with. Source: the documentation of java.util.regex.Pattern, Java 17, and
// how its Matcher.matches answered (testdata/README.md).
//
// A pattern is read into a tree of sets of characters, whatever its flags and classes were
// called. Where the tree is regular it is written out for RE2, which takes linear time. What
// RE2 lacks, such as lookaround, backreferences and possessive quantifiers, is matched as
// Java does: by trying and backing up, in Java's order, and within a number of steps.
//
// Lookbehind without a limit, which Java 8 refuses and Java 17 takes in part, is refused too.
// Left out are grapheme clusters (\X, \b{g}), characters by name (\N{...}) and mirrored
// characters (\p{IsMirrored}), whose tables Go lacks.
package javaregex

import (
	"errors"
	"fmt"
	"regexp"
	"unicode/utf8"
)

// ErrUnsupported marks a pattern that Java accepts and this package cannot match.
var ErrUnsupported = errors.New("java pattern construct not supported")

const (
	// MaxSteps bounds the work of one match that backs up: about a millisecond. Java has no
	// such bound, so whoever reaches it does not know what Java would say.
	MaxSteps = 100_000
	// maxLength bounds a pattern, in characters: it is that of an expression.
	maxLength = 2000
)

// Error is what is wrong with a pattern.
type Error struct {
	At          int // bytes into the pattern
	Found       string
	Want        string
	Unsupported bool // Java takes it
}

func (e *Error) Error() string {
	return fmt.Sprintf("pattern at byte %d: found %s, expected %s", e.At+1, e.Found, e.Want)
}

// Is tells errors.Is that an unsupported pattern is ErrUnsupported.
func (e *Error) Is(target error) bool { return e.Unsupported && target == ErrUnsupported }

// Verdict is the answer to whether a value matches.
type Verdict uint8

// GaveUp is when a match took MaxSteps without an answer.
const (
	No Verdict = iota
	Yes
	GaveUp
)

// Pattern is a compiled pattern. It never changes: many goroutines may match it at once.
type Pattern struct {
	re      *regexp.Regexp // nil if RE2 lacks something
	plain   bool           // re is right on plain values only
	program *program       // nil if re is right on all values
}

// Compile reads a pattern, in time linear in its length plus, for each class in it, the number
// of that class's spans.
func Compile(pattern string) (*Pattern, *Error) {
	if n := utf8.RuneCountInString(pattern); n > maxLength {
		return nil, &Error{0, fmt.Sprintf("%d characters", n), fmt.Sprintf("at most %d", maxLength), true}
	}
	tree, p, problem := parse(pattern)
	if problem != nil {
		return nil, problem
	}
	compiled := &Pattern{}
	compiled.re, compiled.plain = translate(tree)
	if compiled.re == nil || compiled.plain {
		compiled.program = assemble(tree, p.groups)
	}
	return compiled, nil
}

// Match tells whether the pattern matches all of value, in time linear in value or, if Linear
// is false, at most MaxSteps.
func (p *Pattern) Match(value string) Verdict {
	if p.program == nil || p.re != nil && isPlain(value) {
		if p.re.MatchString(value) {
			return Yes
		}
		return No
	}
	matched, known := p.program.match(value, MaxSteps)
	switch {
	case !known:
		return GaveUp
	case matched:
		return Yes
	default:
		return No
	}
}

// Linear tells that Match takes linear time and never gives up.
func (p *Pattern) Linear() bool { return p.program == nil }
