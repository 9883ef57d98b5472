package e2e_test

import (
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/test/harness"
)

// TestDrainerKilledAtEachStep kills the drainer before and after each call of a drain, one
// after the other, while a second one is there to take over: nothing is lost or done twice.
func TestDrainerKilledAtEachStep(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld+"\n"+grow)
	s.Apply(harness.Policy(nil))
	s.Up(1)
	s.Start("drainer", 2)
	s.grown()
	first := func() { s.Script(shrink) }
	for _, step := range []string{"drain", "deregister", "terminate"} {
		for _, moment := range []string{step, harness.Answered(step)} {
			trap := s.Trap(moment, s.Running["drainer-1"], s.Running["drainer-2"])
			first()
			first = func() {}
			s.Caught(trap)
			s.Start("drainer", 1)
			s.Start("drainer", 2)
		}
	}
	s.Until("the cluster has shrunk, and every task runs", append(s.quiet(), harness.Instances(neededShrunk))...)
	s.Audit()
}

// TestDrainTimesOut drains an instance whose tasks ECS is kept from moving: past the timeout
// they are stopped and the instance goes, or it takes tasks again, as the policy says. Tasks
// take two minutes to stop, as they do behind a load balancer.
func TestDrainTimesOut(t *testing.T) {
	t.Parallel()
	steps := map[fleet.OnTimeout]string{fleet.TimeoutStop: "stop-tasks", fleet.TimeoutRestore: "activate"}
	for onTimeout, step := range steps {
		t.Run(string(onTimeout), func(t *testing.T) {
			t.Parallel()
			s := start(t, `
cluster web
task web cpu 512 memory 1024 stop-timeout 2m port 80
service web task web desired 3 balanced strategy spread:instanceId
`)
			s.Apply(harness.Policy(func(p *fleet.Policy) {
				p.Drain = fleet.DrainPolicy{Timeout: fleet.Duration(4 * time.Minute), OnTimeout: onTimeout}
			}))
			s.Up(1)
			s.Until("the port takes an instance for each task", append(s.quiet(), harness.Instances(3))...)

			s.Running["drainer-1"].Kill()
			s.Script("task web cpu 512 memory 1024 stop-timeout 2m\nservice web task web") // any port, so two will do
			s.Until("a drain of an instance with a task is planned", s.plansDrain, harness.AllRun)
			s.Script("service web min 99 max 100") // ECS may neither stop a task nor start one
			before := s.Truth()
			timeout := s.Trap(step)
			s.Start("drainer", 1)
			s.Caught(timeout)
			if onTimeout == fleet.TimeoutRestore {
				s.Until("the instance takes tasks again", harness.Settled, harness.AllRun)
				if ended := ends(before)(s.Truth()); ended == "" {
					t.Error("an instance was ended")
				}
			}
			s.Script("service web min 100 max 200")
			s.Until("the cluster has shrunk, and every task runs", append(s.quiet(), ends(before))...)
			s.Audit()
		})
	}
}

// TestProtectedBetweenPlanAndDrain protects every task once the drain is planned and before
// it begins: the drainer looks itself, and leaves the instance alone until it may go.
func TestProtectedBetweenPlanAndDrain(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld+"\n"+grow)
	s.Apply(harness.Policy(nil))
	s.Up(1)
	s.grown()

	s.Running["drainer-1"].Kill()
	s.Script(shrink)
	s.Until("a drain is planned", s.plansDrain)
	before := s.Truth()
	s.Script("protect web count 8 for 2h")
	s.Start("drainer", 1)
	s.Throughout(5*time.Minute, "no instance with a protected task ends", protectedRun)
	s.Until("what could go has gone", s.Ended, harness.AllRun)
	s.Script("unprotect web")
	s.Until("the cluster has shrunk, and every task runs", append(s.quiet(), harness.Instances(neededShrunk), ends(before))...)
	s.Audit()
}

// plansDrain holds when the last plan drains an instance.
func (s *system) plansDrain(*sim.Truth) string {
	for _, a := range s.LastPlan().Actions {
		if a.Kind == fleet.ActionDrain {
			return ""
		}
	}
	return "the last plan drains nothing"
}

// protectedRun holds while the eight protected tasks run.
func protectedRun(truth *sim.Truth) string {
	for _, c := range truth.Clusters {
		for _, svc := range c.Services {
			if svc.Running < 8 {
				return "a protected task was stopped"
			}
		}
	}
	return ""
}

// ends holds when instances were ended since.
func ends(before *sim.Truth) harness.Condition {
	return func(truth *sim.Truth) string {
		if truth.History.InstancesTerminated == before.History.InstancesTerminated {
			return "no instance was ended"
		}
		return ""
	}
}

// TestDeploymentDuringADrain deploys a service while an instance is being emptied.
func TestDeploymentDuringADrain(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld+"\n"+grow)
	s.Apply(harness.Policy(nil))
	s.Up(1)
	s.grown()
	trap := s.Trap("drain")
	s.Script(shrink)
	s.Caught(trap)
	s.Script("task web cpu 512 memory 1024\nservice web task web")
	s.Until("the deployment is over, and the cluster has shrunk", append(s.quiet(), harness.Instances(neededShrunk))...)
	s.Audit()
}

// TestUnhealthy takes the agent of an instance away for good: an instance is launched for its
// tasks, they run there, and it goes.
func TestUnhealthy(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.Apply(harness.Policy(func(p *fleet.Policy) { p.Unhealthy.After = fleet.Duration(2 * time.Minute) }))
	s.Up(1)
	before := s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)
	s.Script("disconnect oldest")
	s.Until("another has taken its place", append(s.quiet(), harness.Instances(neededSmall), ends(before))...)
	s.Audit()
}
