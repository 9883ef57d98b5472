package e2e_test

import (
	"testing"

	"github.com/neap-project/neap/test/harness"
)

// TestStop ends each service with SIGTERM, as a platform does when it moves or upgrades it:
// when there is nothing to do, and when a launch or the emptying of an instance is under
// way. It ends soon and well, and its successor carries on.
func TestStop(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.Apply(harness.Policy(nil))
	s.Up(1)
	s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)
	s.restarted()

	launch := s.Trap("launch")
	s.Script(grow)
	s.Caught(launch)
	s.restarted()
	s.grown()

	drain := s.Trap("drain")
	s.Script(shrink)
	s.Caught(drain)
	s.restarted()
	s.Until("the cluster has shrunk, and every task runs", append(s.quiet(), harness.Instances(neededShrunk))...)
	s.Audit()

	if status, took := s.AWS.Stop(t); status != 0 {
		t.Errorf("neap aws: exit status %d after %s\n%s", status, took, s.AWS.Tail())
	}
}

// restarted stops each service and starts it again.
func (s *system) restarted() {
	s.T.Helper()
	for _, name := range harness.Services {
		p := s.Running[name+"-1"]
		status, took := p.Stop(s.T)
		if status != 0 {
			s.T.Errorf("%s: exit status %d, %s after SIGTERM\n%s", p.Name, status, took, p.Tail())
		}
		s.Start(name, 1)
	}
}
