package sim

import (
	"testing"
	"time"
)

// TestImpair: the status checks of one instance fail while its agent goes on.
func TestImpair(t *testing.T) {
	w := run(t, Config{}, "cluster web\nlaunch m7i.large count 2\nat 5m impair oldest", 6*time.Minute)
	for _, check := range []string{"instance-status.status", "system-status.status"} {
		in := &DescribeInstanceStatusInput{Filters: []Filter{{Name: check, Values: []string{"impaired"}}}}
		out := must(w.DescribeInstanceStatus(in))(t)
		if len(out.InstanceStatuses) != 1 {
			t.Errorf("%s is impaired of %+v, want one", check, out.InstanceStatuses)
		}
	}
	for _, h := range hostsOf(t, w, "web") {
		if !h.AgentConnected {
			t.Errorf("the agent of %s is gone", h.Ec2InstanceID)
		}
	}
	if err := w.Impair("i-0123456789abcdef0"); err == nil {
		t.Error("an instance that is not there was impaired")
	}
}

// TestTerminateOfASilentInstance: to end an instance whose agent is away does harm as long as
// ECS wants a task on it.
func TestTerminateOfASilentInstance(t *testing.T) {
	for script, harm := range map[string]int{
		"at 3m disconnect oldest":                     1,
		"at 3m disconnect oldest\nat 3m drain oldest": 0,
	} {
		w := run(t, Config{}, "cluster web\ntask web cpu 1 memory 1\nlaunch m7i.large count 2\nservice web task web desired 4\n"+script, 20*time.Minute)
		for _, h := range hostsOf(t, w, "web") {
			if h.AgentConnected {
				continue
			}
			must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: []string{h.Ec2InstanceID}}))(t)
		}
		if got := w.Harm(); len(got) != harm {
			t.Errorf("%s: harm %v, want %d", script, got, harm)
		}
	}
}
