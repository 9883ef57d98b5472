package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/test/harness"
)

// A load whose need of instances is known exactly: four tasks of web fill an instance.
const (
	smallWorld = `
cluster web
task web cpu 512 memory 1024
service web task web desired 4
`
	grow   = "service web desired 24"
	shrink = "service web desired 8"

	neededSmall  = 2 // for 4 tasks and 2 units of headroom
	neededGrown  = 7 // for 24 and 2
	neededShrunk = 3 // for 8 and 2
)

// quiet lists what holds when nothing is left to do.
func (s *system) quiet() []harness.Condition {
	return []harness.Condition{harness.AllRun, harness.Settled, harness.Room(fleet.HeadroomUnit{CPUUnits: 512, MemoryMiB: 1024, Count: 2}), s.Ended}
}

// grown waits until the grown load runs, on as many instances as it needs and no more.
func (s *system) grown() {
	s.T.Helper()
	truth := s.Until("every task runs on the grown cluster", s.quiet()...)
	if got := truth.History.InstancesLaunched; got != neededGrown {
		s.T.Errorf("%d instances were launched in all, %d are needed\n%s", got, neededGrown, s.Report(truth))
	}
}

// TestKilled kills each service, and all of them at once, right when a launch, the emptying
// of an instance and its end are about to happen, and starts it again.
func TestKilled(t *testing.T) {
	t.Parallel()
	victims := map[string][]string{
		"watcher": {"watcher"}, "planner": {"planner"}, "actuator": {"actuator"}, "drainer": {"drainer"}, "all": harness.Services,
	}
	for _, name := range harness.Sorted(victims) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, smallWorld)
			s.Apply(harness.Policy(nil))
			s.Up(1)
			s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)

			s.killed("launch", victims[name], func() { s.Script(grow) })
			s.grown()
			s.killed("drain", victims[name], func() { s.Script(shrink) })
			s.killed("terminate", victims[name], func() {})
			s.Until("the cluster has shrunk, and every task runs", append(s.quiet(), harness.Instances(neededShrunk))...)
			s.Audit()
		})
	}
}

// killed does something, kills services when it has led to the intent to take a step, and
// starts them again.
func (s *system) killed(step string, names []string, do func()) {
	s.T.Helper()
	var victims []*harness.Process
	for _, name := range names {
		victims = append(victims, s.Running[name+"-1"])
	}
	trap := s.Trap(step, victims...)
	do()
	s.Caught(trap)
	for _, name := range names {
		s.Start(name, 1)
	}
}

// TestKilledAtTheAnswer kills the actuator as soon as EC2 has launched something, again and
// again: the answer is on its way, and mostly not yet stored. Its successor has to find out
// what was launched, not launch it once more.
func TestKilledAtTheAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.Apply(harness.Policy(nil))
	s.Up(1)
	s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)
	for _, load := range []struct{ tasks, instances int }{{12, 4}, {20, 6}, {28, 8}} { // two units of headroom on top
		before := s.Truth().History.InstancesLaunched
		s.Script(fmt.Sprintf("service web desired %d", load.tasks))
		deadline := time.Now().Add(harness.Patience)
		for s.Truth().History.InstancesLaunched == before { // without a pause: it is a matter of milliseconds
			if time.Now().After(deadline) {
				t.Fatalf("nothing was launched for %d tasks\n%s", load.tasks, s.Report(s.Truth()))
			}
		}
		s.Running["actuator-1"].Kill()
		s.Start("actuator", 1)
		truth := s.Until(fmt.Sprintf("%d tasks run", load.tasks), append(s.quiet(), harness.Instances(load.instances))...)
		if got := truth.History.InstancesLaunched; got != load.instances {
			t.Errorf("%d instances were launched in all, %d are needed\n%s", got, load.instances, s.Report(truth))
		}
		t.Logf("EC2 answered %d requests from earlier ones so far", truth.History.TokenReplays)
	}
	s.Audit()
}

// TestReplicas runs two replicas of each service; in the middle of it one of each dies, and
// the other carries on.
func TestReplicas(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.Apply(harness.Policy(nil))
	s.Up(2)
	s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)

	s.Script(grow)
	s.grown()

	var victims []*harness.Process
	for _, name := range harness.Services {
		victims = append(victims, s.Running[name+"-1"])
	}
	trap := s.Trap("drain", victims...)
	s.Script(shrink)
	s.Caught(trap)
	s.Until("the cluster has shrunk, and every task runs", append(s.quiet(), harness.Instances(neededShrunk))...)

	s.Script("service web desired 12")
	truth := s.Until("the cluster has grown again", append(s.quiet(), harness.Instances(4))...)
	if got := truth.History.InstancesLaunched; got != neededGrown+1 {
		t.Errorf("%d instances were launched in all, %d are needed", got, neededGrown+1)
	}
	s.Audit()
}

// TestScaleOut runs one, two and four replicas of each service while load rises and falls, and
// then one again: whoever joins or leaves, no instance is launched twice, and nothing waits for
// a lease to expire.
func TestScaleOut(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.Apply(harness.Policy(nil))
	s.Up(1)
	s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)

	s.Script(grow)
	s.replicas(1, 2) // in the middle of it
	s.grown()
	s.Script(shrink)
	s.replicas(2, 4)
	s.Until("the cluster has shrunk, and every task runs", append(s.quiet(), harness.Instances(neededShrunk))...)

	s.Script("service web desired 12")
	for replica := 4; replica > 1; replica-- { // the newest go first, as with a Deployment
		for _, name := range harness.Services {
			if status, took := s.Running[fmt.Sprintf("%s-%d", name, replica)].Stop(t); status != 0 {
				t.Errorf("%s-%d ends with status %d after %s", name, replica, status, took)
			}
		}
	}
	truth := s.Until("the cluster has grown again", append(s.quiet(), harness.Instances(4))...)
	if got := truth.History.InstancesLaunched; got != neededGrown+1 {
		t.Errorf("%d instances were launched in all, %d are needed", got, neededGrown+1)
	}
	s.Audit()
}

// replicas starts further replicas of each service.
func (s *system) replicas(have, want int) {
	for replica := have + 1; replica <= want; replica++ {
		for _, name := range harness.Services {
			s.Start(name, replica)
		}
	}
}
