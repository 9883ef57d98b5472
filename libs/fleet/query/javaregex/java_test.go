package javaregex

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestAsJava holds every answer of Java's that is recorded in testdata/java.txt against the
// pattern as it is matched and, where that is RE2, against the matcher that backs up as well.
func TestAsJava(t *testing.T) {
	lines, linear, gaveUp, refused := 0, 0, 0, 0
	f, err := os.Open("testdata/java.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for scan := bufio.NewScanner(f); scan.Scan(); lines++ {
		words := strings.Split(scan.Text(), "\t")
		pattern := unquoted(t, words[0])
		compiled, problem := Compile(pattern)
		switch {
		case problem != nil && errors.Is(problem, ErrUnsupported):
			refused++
			continue
		case (problem != nil) != (words[1] == "error"):
			t.Errorf("%q: %v, but Java says %s", pattern, problem, words[1])
			continue
		case problem != nil:
			continue
		case compiled.re != nil:
			linear++
		}
		gaveUp += checkAnswers(t, pattern, compiled, words[1:])
	}
	if gaveUp > lines/1000 || refused > lines/20 {
		t.Errorf("gave up %d times and refused %d in %d patterns", gaveUp, refused, lines)
	}
	if lines < 1000 || linear < lines/6 {
		t.Errorf("%d patterns, %d of them by RE2: too few to test anything", lines, linear)
	}
}

// checkAnswers tells how often no answer was found within the steps.
func checkAnswers(t *testing.T, pattern string, compiled *Pattern, words []string) (gaveUp int) {
	t.Helper()
	tree, p, _ := parse(pattern)
	program := assemble(tree, p.groups)
	for _, word := range words {
		value, want := unquoted(t, word[1:]), No
		if word[0] == '+' {
			want = Yes
		}
		switch got := compiled.Match(value); got {
		case want:
		case GaveUp:
			gaveUp++
		default:
			t.Errorf("%q on %q: %v, but Java says %v (RE2: %v)", pattern, value, got, want, compiled.re)
		}
		if got, known := program.match(value, MaxSteps); known && got != (want == Yes) {
			t.Errorf("%q on %q by backing up: %v, but Java says %v", pattern, value, got, want)
		}
	}
	return gaveUp
}

func unquoted(t *testing.T, text string) string {
	t.Helper()
	plain, err := strconv.Unquote(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return plain
}
