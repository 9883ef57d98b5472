package planner

import (
	"slices"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// TestCapacityAndSavings: what is registered, free and asked for, the tasks that are missing
// included, and what spot instances save.
func TestCapacityAndSavings(t *testing.T) {
	s, _ := running(1, 0)
	spot := &s.Types[slices.IndexFunc(s.Types, func(t fleet.InstanceType) bool { return t.Name == s.Instances[0].Type })]
	spot.Zones = []fleet.ZoneOffer{{Zone: s.Instances[0].Zone, Spot: spot.OnDemand / 4}}
	before := capacityOf(&s)
	if before.registered.IsZero() || before.registered == before.free || savingsOf(&s) != 0 {
		t.Fatalf("capacity %+v, savings %s", before, savingsOf(&s))
	}
	needs, tasks := s.TaskGroups[0].Needs, int64(len(s.Instances))
	if before.requested != needs.Times(tasks) {
		t.Errorf("%s are requested for %d tasks of %s", before.requested, tasks, needs)
	}
	s.Services[0].Deployments[0].Desired += 4
	s.Instances[0].Lifecycle = fleet.Spot
	s.Instances[1].Status = fleet.StatusDraining
	after := capacityOf(&s)
	if after.requested != needs.Times(tasks+4) || after.registered != before.registered.Sub(s.Instances[1].Registered) {
		t.Errorf("capacity is %+v", after)
	}
	if want := spot.OnDemand - spot.OnDemand/4; savingsOf(&s) != want {
		t.Errorf("savings are %s, want %s", savingsOf(&s), want)
	}
}

// TestWaitingFor: every waiting task counts once, for the reason that it waits.
func TestWaitingFor(t *testing.T) {
	got := waitingFor([]fleet.UnmetDemand{
		{Count: 9, FitNow: 2, Launched: 3, Unplaced: 4, Reason: fleet.Reason{Code: fleet.ReasonLimit}},
		{Count: 5, Launched: 5, Reason: fleet.Reason{Code: fleet.ReasonDemand}},
		{Count: 1, FitNow: 1, Reason: fleet.Reason{Code: fleet.ReasonBooting}},
	})
	want := map[fleet.ReasonCode]int{fleet.ReasonFitsNow: 2, fleet.ReasonDemand: 8, fleet.ReasonLimit: 4, fleet.ReasonBooting: 1}
	for code, n := range got {
		if want[code] != n {
			t.Errorf("%d tasks wait for %q, want %d", n, code, want[code])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if none := waitingFor(nil); len(none) != 1 || none[fleet.ReasonDemand] != 0 {
		t.Errorf("nothing waits: %v", none)
	}
}

// TestWaits: tasks that were placed have waited since the first of them was seen; tasks that
// are no longer wanted have not run.
func TestWaits(t *testing.T) {
	var w waits
	turn := func(after time.Duration, running, waiting int) []waited {
		s := snapshotAt(after, running+waiting)
		s.Instances = []fleet.Instance{{ID: "i-1"}}
		s.Tasks = []fleet.TaskCount{{Instance: 0, Group: 0, Running: running}}
		p := fleet.Plan{}
		if waiting > 0 {
			p.Demand = []fleet.UnmetDemand{{Group: "service:web", Count: waiting, Since: at}}
		}
		return w.ran(&s, &p)
	}
	for _, step := range []struct {
		after            time.Duration
		running, waiting int
		want             []waited
	}{
		{0, 2, 6, nil},
		{30 * time.Second, 2, 6, nil},
		{time.Minute, 6, 2, []waited{{4, time.Minute}}},
		{2 * time.Minute, 6, 0, nil}, // nobody wants them any more
		{3 * time.Minute, 9, 0, nil}, // placed at once
	} {
		if got := turn(step.after, step.running, step.waiting); !slices.Equal(got, step.want) {
			t.Errorf("after %s: %v, want %v", step.after, got, step.want)
		}
	}
}
