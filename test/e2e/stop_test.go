package e2e_test

import "testing"

// TestStop ends each service with SIGTERM, as a platform does when it moves or upgrades it:
// when there is nothing to do, and when a launch or the emptying of an instance is under
// way. It ends soon and well, and its successor carries on.
func TestStop(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.apply(policy(nil))
	s.up(1)
	s.until("a small cluster runs", append(s.quiet(), instances(neededSmall))...)
	s.restarted()

	launch := s.trap("launch")
	s.script(grow)
	s.caught(launch)
	s.restarted()
	s.grown()

	drain := s.trap("drain")
	s.script(shrink)
	s.caught(drain)
	s.restarted()
	s.until("the cluster has shrunk, and every task runs", append(s.quiet(), instances(neededShrunk))...)
	s.audit()

	if status, took := s.aws.stop(t); status != 0 {
		t.Errorf("neap aws: exit status %d after %s\n%s", status, took, s.aws.tail())
	}
}

// restarted stops each service and starts it again.
func (s *system) restarted() {
	s.t.Helper()
	for _, name := range services {
		p := s.running[name+"-1"]
		status, took := p.stop(s.t)
		if status != 0 {
			s.t.Errorf("%s: exit status %d, %s after SIGTERM\n%s", p.name, status, took, p.tail())
		}
		s.start(name, 1)
	}
}
