package dst

import (
	"bytes"
	"testing"
	"time"
)

// TestNothingGoesWrong: without faults everything holds.
func TestNothingGoesWrong(t *testing.T) {
	for seed := range uint64(5) {
		began := time.Now()
		r := Run(Config{Seed: seed, Duration: 3 * time.Hour, Faults: []string{}})
		t.Logf("seed %d: %d plans, %d calls, %d launched, %d terminated in %s; %v", seed, r.Plans, r.Calls, r.Launched, r.Terminated, time.Since(began), r.Transitions)
		if len(r.Violations) > 0 {
			lines := bytes.Split(r.History, []byte("\n"))
			t.Errorf("seed %d: %v\n%s", seed, r.Violations, bytes.Join(lines[max(len(lines)-30, 0):], []byte("\n")))
		}
	}
}
