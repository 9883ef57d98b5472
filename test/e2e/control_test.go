package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// TestPause presses the red button while tasks wait and while an instance is being emptied:
// nothing is changed until somebody lets go of it, and then everything goes on.
func TestPause(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.apply(policy(nil))
	s.up(1)
	s.until("a small cluster runs", append(s.quiet(), instances(neededSmall))...)

	s.must("pause", "--cluster", string(cluster), "--why", "a migration")
	paused := s.truth()
	s.script(grow)
	s.until("tasks wait for room", waited(paused))
	s.throughout(3*time.Minute, "nothing is launched or emptied during the pause", untouched(paused))
	if out := s.must("status"); !strings.Contains(out, "a migration") {
		t.Errorf("neap status does not say that the cluster is paused and why:\n%s", out)
	}
	s.must("resume", "--cluster", string(cluster), "--why", "it is over")
	s.grown()

	s.script(shrink)
	s.until("instances are being emptied", draining)
	s.must("pause", "--all", "--why", "an incident")
	stopped := s.truth()
	s.throughout(3*time.Minute, "no instance ends during the pause", noMoreEnded(stopped))
	s.must("resume", "--all", "--why", "the incident is over")
	s.until("the cluster has shrunk, and every task runs", append(s.quiet(), instances(neededShrunk))...)
	s.audit()
}

// TestDryRun lets tasks wait under a policy that is in dry run: the plan says what would be
// done, and nothing is. When the policy says so it is done.
func TestDryRun(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	dry := policy(func(p *fleet.Policy) { *p.DryRun = true })
	s.apply(dry)
	s.up(1)
	before := s.truth()
	s.until("tasks wait for room", waited(before))
	s.throughout(3*time.Minute, "nothing is launched in dry run", untouched(before))
	s.until("a plan explains which launch the dry run keeps back", func(*sim.Truth) string { // not each does: a view may be stale
		plan := s.lastPlan()
		if !plan.DryRun || len(plan.Actions) == 0 || plan.Actions[0].Launch == nil {
			return "the last plan does not:\n" + s.decisions()
		}
		return ""
	})
	if out := s.must("status"); !strings.Contains(out, "dry run") {
		t.Errorf("neap status does not say that the policy is in dry run:\n%s", out)
	}

	s.apply(policy(nil))
	s.until("a small cluster runs", append(s.quiet(), instances(neededSmall))...)

	before = s.truth()
	s.apply(dry)
	s.script("service web desired 1")
	s.throughout(5*time.Minute, "nothing is emptied in dry run", untouched(before))
	s.audit()
}

// draining holds when a container instance is being emptied.
func draining(truth *sim.Truth) string {
	for _, i := range alive(truth) {
		if i.Status == "DRAINING" {
			return ""
		}
	}
	return "no instance is being emptied"
}

// noMoreEnded holds as long as no instance was ended since.
func noMoreEnded(before *sim.Truth) condition {
	return func(truth *sim.Truth) string {
		if truth.History.InstancesTerminated > before.History.InstancesTerminated {
			return "an instance was ended"
		}
		return ""
	}
}
