package javaregex

import (
	"errors"
	"strings"
	"testing"
)

// TestLimits: what would take too long or nest too deep has an answer all the same.
func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		name, pattern, value string
		want                 Verdict
	}{
		{"counts are not written out", `(?:(?:ab){1000}){1000}`, "ab", No},
		{"a count without end", `(?:a{2147483647}){2147483647}`, "a", No},
		{"large counts match", `(?:(?:ab){100}){100}`, strings.Repeat("ab", 10_000), Yes},
		{"RE2 is linear", `(a*)*b`, strings.Repeat("a", 10_000), No},
		{"backing up ends", `(a*)*(?!x)b`, strings.Repeat("a", 10_000), GaveUp},
		{"rounds of nothing end", `(?:(?=a)|){1000000}+a`, "a", Yes},
		{"a reference that doubles ends", `(a)(\1\1)(\2\2)(\3\3)(\4\4)*+b`, strings.Repeat("a", 50_000), No},
		{"lookbehind over a long value", `(?:.(?<=b.{0,2000000000}))*`, strings.Repeat("a", 10_000), No},
		{"200 levels", strings.Repeat("(", 200) + "a" + strings.Repeat(")", 200), "a", Yes},
		{"large classes", strings.Repeat(`(?U)\w`, 300), "a", No},
		{"the longest pattern", strings.Repeat("a", maxLength), strings.Repeat("a", maxLength), Yes},
	} {
		p, problem := Compile(tc.pattern)
		if problem != nil {
			t.Errorf("%s: %v", tc.name, problem)
		} else if got := p.Match(tc.value); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	for _, pattern := range []string{
		strings.Repeat("a", maxLength+1), strings.Repeat("(?:", 201) + strings.Repeat(")", 201), strings.Repeat("[", 500),
	} {
		if _, problem := Compile(pattern); problem == nil || !errors.Is(problem, ErrUnsupported) {
			t.Errorf("%.10q...: %v, want a limit", pattern, problem)
		}
	}
}

// TestEngines: RE2 gets what it can do, and only that.
func TestEngines(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		re2     bool
	}{
		{`m7g\..*`, true},
		{`(p[2,3]|g[4,5]).*`, true},
		{`(?i)[a-z&&[^b]]+`, true},
		{`\p{javaLowerCase}\Q*\E\h?`, true},
		{`(?<size>large)`, true},
		{`^m5\b.*$`, true},
		{`(?!a).*`, false},
		{`(a)\1`, false},
		{`a++`, false},
		{`(?>a)`, false},
		{`(?m)^a`, false},
		{`a{4000}`, false},
	} {
		p, problem := Compile(tc.pattern)
		if problem != nil {
			t.Fatalf("%s: %v", tc.pattern, problem)
		}
		if (p.re != nil) != tc.re2 {
			t.Errorf("%s is for RE2: %v", tc.pattern, p.re != nil)
		}
	}
}

// FuzzCompile checks that no pattern panics or runs on, and that RE2 and the matcher that
// backs up answer alike.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`(?<n>a|b)*+\k<n>`, `[a-z&&[^b]]\p{IsGreek}`, `(?x) a # b`, `(?<!a{2,3})\R$`, `\Qa\E{2}?`, `(?iu)\x{212a}`, `(?d)(?m)^.$`,
	} {
		f.Add(seed, "ab\r\n")
	}
	f.Fuzz(func(t *testing.T, pattern, value string) {
		p, problem := Compile(pattern)
		if problem != nil {
			if problem.At < 0 || problem.At > len(pattern) || problem.Found == "" || problem.Want == "" {
				t.Fatalf("%q: %#v", pattern, problem)
			}
			return
		}
		got := p.Match(value)
		tree, read, _ := parse(pattern)
		if matched, known := assemble(tree, read.groups).match(value, MaxSteps); known && matched != (got == Yes) {
			t.Fatalf("%q on %q: %v, but by backing up %v", pattern, value, got, matched)
		}
	})
}

// TestCaptures: what a group holds after backing up is what Java 17 says it holds.
func TestCaptures(t *testing.T) {
	for _, tc := range []struct {
		pattern, value string
		want           Verdict
	}{
		{`([ab]c)*[ab]c\1`, "acbcac", Yes},
		{`([ab]c)*[ab]c\1`, "acbcbc", No},
		{`(?:([ab])c)*[ab]c\1`, "acbcb", Yes},
		{`(?:([ab])c)*[ab]c\1`, "acbca", No},
		{`(a\1?){3}`, "aaaaaa", Yes},
		{`(?:(?=(a))ax|a\1)`, "aa", Yes},
	} {
		p, problem := Compile(tc.pattern)
		if problem != nil {
			t.Fatalf("%s: %v", tc.pattern, problem)
		}
		if got := p.Match(tc.value); got != tc.want {
			t.Errorf("%s on %q: %v, want %v", tc.pattern, tc.value, got, tc.want)
		}
	}
}
