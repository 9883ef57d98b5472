package dst

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// few are the seeds that are played where tests are to be short.
const (
	few  = 100
	many = 1000
)

// TestSeeds plays stories with every fault: nothing that must hold may break, and in the end
// all is at rest. A seed that fails is shrunk to the faults that it takes.
func TestSeeds(t *testing.T) {
	n, d := uint64(many), 6*time.Hour
	if testing.Short() {
		n, d = few, 2*time.Hour
	}
	const shares = 4
	results := make([][]Result, shares)
	t.Run("all", func(t *testing.T) {
		for share := range uint64(shares) {
			t.Run(fmt.Sprint(share), func(t *testing.T) {
				t.Parallel()
				for seed := share; seed < n; seed += shares {
					cfg := Config{Seed: seed, Duration: d}
					r := Run(cfg)
					if len(r.Violations) > 0 {
						small, shrunk := Shrink(cfg, r)
						t.Errorf("seed %d, faults %s:\n%s", seed, strings.Join(small.Faults, ","), strings.Join(shrunk.Story(40), "\n"))
					}
					r.History = nil
					results[share] = append(results[share], r)
				}
			})
		}
	})
	injected := map[string]int{}
	for _, share := range results {
		for i := range share {
			for id, count := range share[i].Faults {
				injected[id] += count
			}
		}
	}
	for _, f := range Faults() {
		if injected[f.ID] == 0 {
			t.Errorf("%s (%s) was never injected", f.ID, f.What)
		}
	}
}

// TestNothingGoesWrong: without faults everything holds, too.
func TestNothingGoesWrong(t *testing.T) {
	for seed := range uint64(5) {
		r := Run(Config{Seed: seed, Duration: 2 * time.Hour, Faults: []string{}})
		if len(r.Violations) > 0 {
			t.Errorf("seed %d:\n%s", seed, strings.Join(r.Story(30), "\n"))
		}
		if r.Launched == 0 {
			t.Errorf("seed %d: nothing was launched", seed)
		}
	}
}

// TestSameSeedSameHistory: a seed that fails can be played again.
func TestSameSeedSameHistory(t *testing.T) {
	for seed := range uint64(3) {
		cfg := Config{Seed: seed, Duration: 3 * time.Hour}
		one, two := Run(cfg), Run(cfg)
		if !bytes.Equal(one.History, two.History) {
			t.Errorf("seed %d: two histories:\n%s", seed, firstDifference(one.History, two.History))
		}
		cfg.Faults = one.Active // as the command to play it again names them
		if again := Run(cfg); !bytes.Equal(one.History, again.History) {
			t.Errorf("seed %d: another history with its faults named:\n%s", seed, firstDifference(one.History, again.History))
		}
	}
}

func firstDifference(a, b []byte) string {
	left, right := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(left), len(right)) {
		if !bytes.Equal(left[i], right[i]) {
			return fmt.Sprintf("line %d\n%s\n%s", i+1, left[i], right[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(left), len(right))
}

// shortStory is long enough for most things to happen.
const shortStory = 2 * time.Hour

// changes are the calls of a history that change AWS.
func changes(history []byte) string {
	var calls []string
	for line := range strings.SplitSeq(string(history), "\n") {
		if _, what, ok := strings.Cut(line, " call "); ok {
			calls = append(calls, what)
		}
	}
	return strings.Join(calls, "\n")
}
