package clusterquery

import (
	"errors"
	"strings"
	"testing"
)

// TestPatternsMatchAsInJava holds what java.util.regex says, by its documentation.
func TestPatternsMatchAsInJava(t *testing.T) {
	for _, c := range []struct {
		pattern    string
		yes, other []string // values that match whole, and that do not
	}{
		{`g2.*`, []string{"g2.2xlarge", "g2"}, []string{"xg2", "g3.large"}},
		{`t2`, []string{"t2"}, []string{"t2.micro", "at2"}},
		{`(c5|m5)\.x?large`, []string{"c5.large", "m5.xlarge"}, []string{"c5xlarge", "r5.large"}},
		{`a|ab`, []string{"a", "ab"}, []string{"abb", ""}},
		{`[a-c&&[^b]]`, []string{"a", "c"}, []string{"b", "d"}},
		{`[a-z&&def]+`, []string{"def"}, []string{"a", "z"}},
		{`[^a&&b]`, []string{"a", "b", "c"}, nil},
		{`[ab[x-z]]+`, []string{"abz"}, []string{"c"}},
		{`[]a]+`, []string{"]a"}, []string{"b"}},
		{`[a-]+`, []string{"a-"}, []string{"b"}},
		{`[\d\-x]+`, []string{"1-x"}, []string{"y"}},
		{`a{2}{3}`, []string{"aa"}, []string{"aaaaaa"}},
		{`a{2,3}`, []string{"aa", "aaa"}, []string{"a", "aaaa"}},
		{`a{2,}?b`, []string{"aab", "aaaab"}, []string{"ab"}},
		{`a*+a`, nil, []string{"a", "aaa"}},
		{`.*+x`, nil, []string{"ax"}},
		{`(?>a|ab)c`, []string{"ac"}, []string{"abc"}},
		{`(?!prod).*`, []string{"dev", "a-prod"}, []string{"prod", "prod-1"}},
		{`.*(?<!metal)`, []string{"c5.large"}, []string{"c5.metal"}},
		{`.*(?<=\.metal|xlarge)`, []string{"c5.metal", "m5.2xlarge"}, []string{"c5.large"}},
		{`(.)(.)\2\1`, []string{"abba"}, []string{"abab"}},
		{`(?<x>[a-z]+)-\k<x>`, []string{"ab-ab"}, []string{"ab-ba"}},
		{`(a)\11`, []string{"aa1"}, []string{"aa"}},
		{`\1(a)`, nil, []string{"a", "aa"}},
		{`(?i)T3\.Large`, []string{"t3.large"}, []string{"t3_large"}},
		{`(?i:T)3`, []string{"t3", "T3"}, nil},
		{`(?i)a(?-i)b`, []string{"Ab"}, []string{"AB"}},
		{`((?i)a)b`, []string{"Ab"}, []string{"AB"}},
		{`(?i)é`, []string{"é"}, []string{"É"}},
		{`(?iu)é`, []string{"É"}, nil},
		{`(?i)[a-c]+`, []string{"ABC"}, []string{"D"}},
		{`(?x) a b # letters`, []string{"ab"}, []string{"a b"}},
		{`.`, []string{"x", "é"}, []string{"\n", "\u2028", "xy"}},
		{`(?s).`, []string{"\n"}, nil},
		{`(?d).`, []string{"\r"}, []string{"\n"}},
		{`a$\n`, []string{"a\n"}, []string{"a"}},
		{`a\Z\r\n`, []string{"a\r\n"}, nil},
		{`a\z\n`, nil, []string{"a\n"}},
		{`(?m)a$\n^b`, []string{"a\nb"}, nil},
		{`a$\n^b`, nil, []string{"a\nb"}},
		{`\Qa.b*\E+`, []string{"a.b*", "a.b***"}, []string{"axb*"}},
		{`\Q(\E`, []string{"("}, nil},
		{`\Q(a`, []string{"(a"}, nil},
		{`[\Q]^\E]`, []string{"]", "^"}, []string{"Q"}},
		{`\x41\u0042\x{43}\0104\cA`, []string{"ABCD\x01"}, nil},
		{`\t\n\r\f\a\e`, []string{"\t\n\r\f\a\x1b"}, nil},
		{`\p{Lower}\p{Upper}\p{Digit}\P{Punct}`, []string{"aB1x"}, []string{"aB1."}},
		{`\p{L}\pN\p{IsGreek}\p{script=Latin}`, []string{"é5λz"}, []string{"é5zz"}},
		{`\w+\s\h\S\W\D`, []string{"a_1 \tx-y"}, nil},
		{`\bab\b`, []string{"ab"}, nil},
		{`a\Bb`, []string{"ab"}, nil},
		{`\R`, []string{"\r\n", "\n", "\v"}, []string{"\n\n"}},
		{`(a*)*`, []string{"", "aaa"}, []string{"b"}},
		{`(a|b*)*c`, []string{"ababc", "c"}, nil},
		{`(){1000000000}x`, []string{"x"}, nil},
		{`{3}`, nil, nil},
		{`]}`, []string{"]}"}, nil},
		{``, []string{""}, []string{"a"}},
		{`(|a)+`, []string{"", "aa"}, nil},
		{`(?=.*\d)(?=.*[a-z]).{3}`, []string{"a1b"}, []string{"abc", "123"}},
		{`(?:(a)|b)*\1`, []string{"aba"}, []string{"bb"}},
		{`\.\-\_\/`, []string{".-_/"}, nil},
	} {
		p, err := compile(c.pattern)
		if err != nil {
			if len(c.yes)+len(c.other) > 0 {
				t.Errorf("%s: %v", c.pattern, err)
			}
			continue
		}
		for _, v := range c.yes {
			if ok, err := p.matches(v); !ok || err != nil {
				t.Errorf("%s does not match %q (%v)", c.pattern, v, err)
			}
		}
		for _, v := range c.other {
			if ok, err := p.matches(v); ok || err != nil {
				t.Errorf("%s matches %q (%v)", c.pattern, v, err)
			}
		}
	}
}

// TestPatternsThatJavaRefuses: each has an error that says why.
func TestPatternsThatJavaRefuses(t *testing.T) {
	for pattern, want := range map[string]string{
		`*a`: "dangling", `a**`: "dangling", `+`: "dangling", `(`: "unclosed group", `a)`: "unmatched", `[a`: "unclosed character class",
		`[`: "unclosed", `[]`: "unclosed", `a{`: "illegal repetition", `a{x}`: "illegal repetition", `{a}`: "illegal repetition", `a{2`: "unclosed counted",
		`a{3,2}`: "range", `a{99999999999}`: "illegal repetition", `\`: "backslash", `\y`: "illegal/unsupported", `\xZ1`: "hexadecimal",
		`\08`: "octal", `\x{110000}`: "hexadecimal", `(?<=a*)b`: "look-behind", `(?<=a+|b)`: "look-behind", `(?z)`: "modifier", `(?<1a>x)`: "name",
		`(?<a>x)(?<a>y)`: "already", `\k<b>`: "does not exist", `\p{Klingon}`: "unknown character property", `[z-a]`: "range", `[\b]`: "illegal",
		`(?`: "unexpected end", strings.Repeat("(", 500): "deeper", strings.Repeat("[", 500): "deeper",
	} {
		if _, err := compile(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want it to say %q", pattern, err, want)
		}
	}
}

// TestPatternsEnd: one that tries without end is given up, in a bounded number of steps.
func TestPatternsEnd(t *testing.T) {
	for _, pattern := range []string{`(a+)+b`, `(a|a)*b`, `(a*)*b`, `(?=(a+)+b)a`, `(.*)*\1\1x`} {
		p, err := compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := p.matches(strings.Repeat("a", 128)); ok || !errors.Is(err, errSteps) {
			t.Errorf("%s: %v, %v", pattern, ok, err)
		}
	}
}
