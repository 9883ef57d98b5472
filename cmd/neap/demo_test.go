package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shortStories are those that are played where tests are to be short: the tour has the chapters
// of the others, and the tests below play headroom and scale-down.
var shortStories = []string{"tour", "spot-storm"}

// TestDemo plays every story through the real bus, the real SDK and the real services.
func TestDemo(t *testing.T) {
	t.Setenv("REDIS_URL", "")
	t.Setenv("NATS_URL", "")
	for _, s := range stories() {
		if testing.Short() && !slices.Contains(shortStories, s.name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			picture := filepath.Join(t.TempDir(), "demo.svg")
			out, errs, code := neap(t, "demo", "--scenario", s.name, "--headless", "--output", "json", "--speed", "45", "--svg", picture)
			var got demoResult
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("code %d: %v\n%s%s", code, err, out, errs)
			}
			if code != 0 || !got.OK {
				t.Fatalf("code %d\n%s", code, out)
			}
			if got.TasksPendingMax == 0 || got.TasksPendingEnd != 0 || got.InstancesPeak < got.InstancesEnd || got.CostPerHourEnd <= 0 {
				t.Errorf("figures make no sense: %+v", got)
			}
			for _, e := range got.Events {
				if e.Time.IsZero() || e.Kind == "" || e.Reason == "" || strings.Contains(e.Reason, "{") {
					t.Errorf("event without words: %+v", e)
				}
			}
			svg, err := os.ReadFile(picture)
			if err != nil || !strings.HasPrefix(string(svg), "<svg") {
				t.Errorf("no picture: %v", err)
			}
		})
	}
}

func TestDemoPrintsEvents(t *testing.T) {
	out, errs, code := neap(t, "demo", "--scenario", "headroom", "--headless", "--speed", "30")
	if code != 0 {
		t.Fatalf("code %d: %s%s", code, out, errs)
	}
	for _, want := range []string{"story    Two services start", "launch ", "fit on no instance", "Everything that was expected held", "✓ no launch was made twice"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
}

// TestDemoExplainsWhatStays: a scale-down ends with one line for each instance that is left,
// and names each rule that the story has.
func TestDemoExplainsWhatStays(t *testing.T) {
	out, errs, code := neap(t, "demo", "--scenario", "scale-down", "--headless", "--speed", "40", "--seed", "3")
	if code != 0 {
		t.Fatalf("code %d: %s%s", code, out, errs)
	}
	for _, want := range []string{
		"person   neap protect i-", "person   neap unprotect i-", "the instance is protected: ann: looking at its disk",
		"is tagged neap.dev/restrict-scale-down", "costs ≤ $", "✓ an instance was kept for a deployment in flight",
		"✓ no service ran fewer tasks than its minimum healthy percent wants", "the cluster cost $",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
}

func TestDemoList(t *testing.T) {
	out, errs, code := neap(t, "demo", "--list")
	if code != 0 {
		t.Fatalf("code %d: %s%s", code, out, errs)
	}
	for _, s := range stories() {
		if !strings.Contains(out, s.name) || !strings.Contains(out, s.about) {
			t.Errorf("does not tell of %s:\n%s", s.name, out)
		}
	}
	out, _, code = neap(t, "demo", "--list", "--output", "json")
	if code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("code %d: no JSON: %s", code, out)
	}
	_, errs, code = neap(t, "demo", "--scenario", "strom")
	if code == 0 || !strings.Contains(errs, "spot-storm") || !strings.Contains(errs, "--list") {
		t.Errorf("code %d: the error does not help: %s", code, errs)
	}
}

// TestDemoStops: ctrl-C ends it within a moment, and says so by its exit code.
func TestDemoStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(2*time.Second, cancel).Stop()
	started := time.Now()
	_, errs, code := neapWith(ctx, "", "demo", "--headless", "--speed", "5")
	if code != exitFailed || !strings.Contains(errs, "stopped") {
		t.Errorf("code %d: %s", code, errs)
	}
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("took %s to stop", took)
	}
}
