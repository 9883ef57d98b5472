package e2e_test

import (
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// TestDrainerKilledAtEachStep kills the drainer before and after each call of a drain, one
// after the other, while a second one is there to take over: nothing is lost or done twice.
func TestDrainerKilledAtEachStep(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld+"\n"+grow)
	s.apply(policy(nil))
	s.up(1)
	s.start("drainer", 2)
	s.grown()
	first := func() { s.script(shrink) }
	for _, step := range []string{"drain", "deregister", "terminate"} {
		for _, moment := range []string{step, answered(step)} {
			trap := s.trap(moment, s.running["drainer-1"], s.running["drainer-2"])
			first()
			first = func() {}
			s.caught(trap)
			s.start("drainer", 1)
			s.start("drainer", 2)
		}
	}
	s.until("the cluster has shrunk, and every task runs", append(s.quiet(), instances(neededShrunk))...)
	s.audit()
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
			s.apply(policy(func(p *fleet.Policy) {
				p.Drain = fleet.DrainPolicy{Timeout: fleet.Duration(4 * time.Minute), OnTimeout: onTimeout}
			}))
			s.up(1)
			s.until("the port takes an instance for each task", append(s.quiet(), instances(3))...)

			s.running["drainer-1"].kill()
			s.script("task web cpu 512 memory 1024 stop-timeout 2m\nservice web task web") // any port, so two will do
			s.until("a drain of an instance with a task is planned", s.plansDrain, allRun)
			s.script("service web min 99 max 100") // ECS may neither stop a task nor start one
			before := s.truth()
			timeout := s.trap(step)
			s.start("drainer", 1)
			s.caught(timeout)
			if onTimeout == fleet.TimeoutRestore {
				s.until("the instance takes tasks again", settled, allRun)
				if ended := ends(before)(s.truth()); ended == "" {
					t.Error("an instance was ended")
				}
			}
			s.script("service web min 100 max 200")
			s.until("the cluster has shrunk, and every task runs", append(s.quiet(), ends(before))...)
			s.audit()
		})
	}
}

// TestProtectedBetweenPlanAndDrain protects every task once the drain is planned and before
// it begins: the drainer looks itself, and leaves the instance alone until it may go.
func TestProtectedBetweenPlanAndDrain(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld+"\n"+grow)
	s.apply(policy(nil))
	s.up(1)
	s.grown()

	s.running["drainer-1"].kill()
	s.script(shrink)
	s.until("a drain is planned", s.plansDrain)
	before := s.truth()
	s.script("protect web count 8 for 2h")
	s.start("drainer", 1)
	s.throughout(5*time.Minute, "no instance with a protected task ends", protectedRun)
	s.until("what could go has gone", s.ended, allRun)
	s.script("unprotect web")
	s.until("the cluster has shrunk, and every task runs", append(s.quiet(), instances(neededShrunk), ends(before))...)
	s.audit()
}

// plansDrain holds when the last plan drains an instance.
func (s *system) plansDrain(*sim.Truth) string {
	for _, a := range s.lastPlan().Actions {
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
func ends(before *sim.Truth) condition {
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
	s.apply(policy(nil))
	s.up(1)
	s.grown()
	trap := s.trap("drain")
	s.script(shrink)
	s.caught(trap)
	s.script("task web cpu 512 memory 1024\nservice web task web")
	s.until("the deployment is over, and the cluster has shrunk", append(s.quiet(), instances(neededShrunk))...)
	s.audit()
}

// TestUnhealthy takes the agent of an instance away for good: an instance is launched for its
// tasks, they run there, and it goes.
func TestUnhealthy(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.apply(policy(func(p *fleet.Policy) { p.Unhealthy.After = fleet.Duration(2 * time.Minute) }))
	s.up(1)
	before := s.until("a small cluster runs", append(s.quiet(), instances(neededSmall))...)
	s.script("disconnect oldest")
	s.until("another has taken its place", append(s.quiet(), instances(neededSmall), ends(before))...)
	s.audit()
}
