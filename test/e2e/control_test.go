package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/test/harness"
)

// TestPause presses the red button while tasks wait and while an instance is being emptied:
// nothing is changed until somebody lets go of it, and then everything goes on.
func TestPause(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.Apply(harness.Policy(nil))
	s.Up(1)
	s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)

	s.Must("pause", "--cluster", string(harness.Cluster), "--why", "a migration")
	paused := s.Truth()
	s.Script(grow)
	s.Until("tasks wait for room", harness.Waited(paused))
	s.Throughout(3*time.Minute, "nothing is launched or emptied during the pause", harness.Untouched(paused))
	if out := s.Must("status"); !strings.Contains(out, "a migration") {
		t.Errorf("neap status does not say that the cluster is paused and why:\n%s", out)
	}
	s.Must("resume", "--cluster", string(harness.Cluster), "--why", "it is over")
	s.grown()

	s.Script(shrink)
	s.Until("instances are being emptied", draining)
	s.Must("pause", "--all", "--why", "an incident")
	stopped := s.Truth()
	s.Throughout(3*time.Minute, "no instance ends during the pause", noMoreEnded(stopped))
	s.Must("resume", "--all", "--why", "the incident is over")
	s.Until("the cluster has shrunk, and every task runs", append(s.quiet(), harness.Instances(neededShrunk))...)
	s.Audit()
}

// TestDryRun lets tasks wait under a policy that is in dry run: the plan says what would be
// done, and nothing is. When the policy says so it is done.
func TestDryRun(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	dry := harness.Policy(func(p *fleet.Policy) { *p.DryRun = true })
	s.Apply(dry)
	s.Up(1)
	before := s.Truth()
	s.Until("tasks wait for room", harness.Waited(before))
	s.Throughout(3*time.Minute, "nothing is launched in dry run", harness.Untouched(before))
	s.Until("a plan explains which launch the dry run keeps back", func(*sim.Truth) string { // not each does: a view may be stale
		plan := s.LastPlan()
		if !plan.DryRun || len(plan.Actions) == 0 || plan.Actions[0].Launch == nil {
			return "the last plan does not:\n" + s.Decisions()
		}
		return ""
	})
	if out := s.Must("status"); !strings.Contains(out, "dry run") {
		t.Errorf("neap status does not say that the policy is in dry run:\n%s", out)
	}

	s.Apply(harness.Policy(nil))
	s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)

	before = s.Truth()
	s.Apply(dry)
	s.Script("service web desired 1")
	s.Throughout(5*time.Minute, "nothing is emptied in dry run", harness.Untouched(before))
	s.Audit()
}

// draining holds when a container instance is being emptied.
func draining(truth *sim.Truth) string {
	for _, i := range harness.Alive(truth) {
		if i.Status == "DRAINING" {
			return ""
		}
	}
	return "no instance is being emptied"
}

// noMoreEnded holds as long as no instance was ended since.
func noMoreEnded(before *sim.Truth) harness.Condition {
	return func(truth *sim.Truth) string {
		if truth.History.InstancesTerminated > before.History.InstancesTerminated {
			return "an instance was ended"
		}
		return ""
	}
}
