package main

import (
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// entries are tasks of web that start, and one that is told to stop.
func entries(from time.Time) []sim.Entry {
	at := func(seconds int) time.Time { return from.Add(time.Duration(seconds) * time.Second) }
	return []sim.Entry{
		{At: at(0), Kind: sim.EntryTask, ID: "a", Group: "service:web", What: "RUNNING"},
		{At: at(1), Kind: sim.EntryTask, ID: "b", Group: "service:web", What: "RUNNING"},
		{At: at(1), Kind: sim.EntryTask, ID: "b", Group: "service:web", What: "RUNNING"},
		{At: at(2), Kind: sim.EntryTask, ID: "b", Group: "service:web", What: "RUNNING, to be stopped"},
		{At: at(3), Kind: sim.EntryTask, ID: "b", Group: "service:web", What: "STOPPED"},
		{At: at(4), Kind: sim.EntryTask, ID: "c", Group: "service:web", What: "RUNNING"},
	}
}

// A service is short from the moment a task is told to stop, even if another takes its place
// before anybody looks.
func TestChronicleMissesNoMoment(t *testing.T) {
	for floor, want := range map[int]string{1: "", 2: "15:09:28: 1 of service:web run, the minimum is 2"} {
		var c chronicle
		c.begin()
		c.hold(map[string]int{"service:web": floor})
		for _, e := range entries(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)) {
			c.fold(&e)
		}
		if c.short != want {
			t.Errorf("floor %d: got %q, want %q", floor, c.short, want)
		}
	}
}

// The first word counts: EC2 may warn twice, and a drained instance loses its agent later.
func TestChronicleKeepsTheFirstWord(t *testing.T) {
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	var c chronicle
	c.begin()
	for i, e := range []sim.Entry{
		{Kind: sim.EntrySpot, ID: "i-1", What: "EC2 Spot Instance Interruption Warning"},
		{Kind: sim.EntryHost, ID: "ci", On: "i-1", What: "ACTIVE"},
		{Kind: sim.EntryHost, ID: "ci", On: "i-1", What: "DRAINING"},
		{Kind: sim.EntrySpot, ID: "i-1", What: "EC2 Spot Instance Interruption Warning"},
		{Kind: sim.EntryHost, ID: "ci", On: "i-1", What: "DRAINING, agent disconnected"},
		{Kind: sim.EntryInstance, ID: "i-2", What: "pending", Why: "c7i.large us-east-1a on-demand"},
		{Kind: sim.EntryInstance, ID: "i-2", What: "running"},
		{Kind: sim.EntryInstance, ID: "i-3", What: "pending", Why: "c7i.large us-east-1a spot"},
	} {
		e.At = noon.Add(time.Duration(i) * time.Second)
		c.fold(&e)
	}
	if !c.warned["i-1"].Equal(noon) || !c.drained["i-1"].Equal(noon.Add(2*time.Second)) {
		t.Errorf("warned %v, drained %v", c.warned, c.drained)
	}
	if c.launched[fleet.OnDemand] != 1 || c.launched[fleet.Spot] != 1 {
		t.Errorf("launched %v", c.launched)
	}
}
