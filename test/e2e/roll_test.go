package e2e_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/test/harness"
)

// TestRoll changes what instances are launched with, and has those that are there replaced:
// stopped and resumed in the middle, and with the drainer killed.
func TestRoll(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld+"service web desired 8\n")
	s.Apply(harness.Policy(nil))
	s.Up(1)
	before := s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededShrunk))...)
	if r := s.rolls(); r.Roll != nil || r.Drifted != 0 {
		t.Errorf("before any roll: %+v", r)
	}

	s.Apply(harness.Policy(func(p *fleet.Policy) { p.LaunchSpecs[0].UserData = "echo hello" }))
	s.Until("drift is seen", func(*sim.Truth) string {
		if r := s.rolls(); r.Drifted != neededShrunk {
			return "neap roll status counts " + string(s.mustJSON(r))
		}
		return ""
	})
	s.Throughout(3*time.Minute, "drift alone is not acted on", harness.Untouched(before))

	s.killed("drain", []string{"drainer"}, func() { s.Must("roll", "start", "--drifted", "--batch-percent", "34", "--why", "new user data") })
	s.Must("roll", "stop")
	stopped := s.Until("what had begun has ended", harness.AllRun, harness.Settled, s.Ended)
	s.Throughout(3*time.Minute, "a roll that is stopped replaces nothing", noMoreEnded(stopped))
	if r := s.rolls(); r.Roll == nil || r.Roll.State != fleet.RollStopped || r.Drifted == 0 {
		t.Errorf("the roll is stopped: %s", s.mustJSON(r))
	}
	s.Must("roll", "resume")
	s.Until("every instance is a new one", append(s.quiet(), harness.Instances(neededShrunk), replaced(before))...)
	s.Until("the roll is completed", func(*sim.Truth) string {
		if r := s.rolls(); r.Roll == nil || r.Roll.State != fleet.RollCompleted || r.Drifted != 0 {
			return string(s.mustJSON(r))
		}
		return ""
	})
	s.Audit()
}

// replaced holds when none of the instances of then lives.
func replaced(then *sim.Truth) harness.Condition {
	return func(truth *sim.Truth) string {
		for _, old := range harness.Alive(then) {
			if slices.ContainsFunc(harness.Alive(truth), func(i sim.InstanceTruth) bool { return i.ID == old.ID }) {
				return old.ID + " is still there"
			}
		}
		return ""
	}
}

type rollsShown struct {
	Roll *struct {
		ID    string
		State fleet.RollState
		Left  int
		Why   string
	}
	Drifted int
}

// rolls is what neap roll status shows.
func (s *system) rolls() (r rollsShown) {
	s.T.Helper()
	if err := json.Unmarshal([]byte(s.Must("roll", "status", "-o", "json")), &r); err != nil {
		s.T.Fatal(err)
	}
	return r
}

func (s *system) mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		s.T.Fatal(err)
	}
	return b
}
