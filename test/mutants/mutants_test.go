package main

import (
	"context"
	"regexp"
	"testing"
	"time"
)

func listed(t *testing.T) []guard {
	t.Helper()
	guards, err := parseGuards(guardsText)
	if err != nil {
		t.Fatal(err)
	}
	return guards
}

// TestGuardsApply: the list says what stands in the files now.
func TestGuardsApply(t *testing.T) {
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	const least = 40
	guards := listed(t)
	if len(guards) < least {
		t.Errorf("%d guards, want at least %d", len(guards), least)
	}
	names := map[string]bool{}
	for i := range guards {
		g := &guards[i]
		if _, err := g.apply(root); err != nil {
			t.Error(err)
		}
		if names[g.name] || len(g.breaks) == 0 {
			t.Errorf("%s: named twice, or it breaks nothing", g.name)
		}
		names[g.name] = true
	}
}

// TestCaught takes two guards out, whose absence soon shows. `make mutants` takes out all.
func TestCaught(t *testing.T) {
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	soon := regexp.MustCompile("^(the intent is published before the call|no more leave at once than the policy allows)$")
	tried := 0
	for _, g := range listed(t) {
		if !soon.MatchString(g.name) {
			continue
		}
		tried++
		const seeds = 40
		found, err := g.try(context.Background(), root, seeds, 3*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(g.name, g.verdict(found))
		if found == nil || found.Invariant != g.breaks[0] {
			t.Errorf("%s: %s", g.name, g.verdict(found))
		}
	}
	if tried != 2 {
		t.Errorf("%d guards were tried, want 2: guards.txt has others now", tried)
	}
}

// TestParseGuards: mistakes in the list are said.
func TestParseGuards(t *testing.T) {
	for _, bad := range []string{"file x\n", "guard a\n-old\n", "guard a\nfile x\n+new\n", "guard a\nsomething else\n"} {
		if _, err := parseGuards(bad); err == nil {
			t.Errorf("%q is read without an error", bad)
		}
	}
	got, err := parseGuards("# why\nguard a b\nbreaks S1 L2\nfile x.go\n-\told\n-\tlines\n+\tnew\n-more\n+\n\nguard c\nfile y.go\n-z\n")
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if e := got[0].edits; len(e) != 2 || e[0].old != "\told\n\tlines" || e[0].new != "\tnew" || e[1].old != "more" || e[1].new != "" {
		t.Errorf("edits %q", e)
	}
}
