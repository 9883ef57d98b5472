package e2e_test

import (
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// TestScale lets load rise, burst and fall, under a policy such as people have: several
// families and sizes, half of it spot, a daemon on every instance.
func TestScale(t *testing.T) {
	t.Parallel()
	s := start(t, `
cluster web
task agent cpu 128 memory 128
task web   cpu 512 memory 1024
task api   cpu 1024 memory 2048
service agent task agent daemon
service web task web desired 6
service api task api desired 4
`)
	unit := fleet.HeadroomUnit{CPUUnits: 1024, MemoryMiB: 2048, Count: 2}
	s.apply(policy(func(p *fleet.Policy) {
		half := 50
		p.Headroom.Units = []fleet.HeadroomUnit{unit}
		p.LaunchSpecs[0].SpotPercentage = &half
		p.LaunchSpecs[0].Types = fleet.TypeFilter{Allow: []string{"m7i.*", "c7i.*", "r7i.*"}, MaxVCPUs: 8}
	}))
	s.up(1)
	quiet := []condition{allRun, room(unit), settled, s.ended}
	small := s.until("two services run on a cluster that was empty", quiet...)

	s.script("service web desired 40")
	s.until("tasks of web wait for room", waited(small))
	large := s.until("the cluster has grown, and every task runs", quiet...)
	if large.CostPerHour <= small.CostPerHour {
		t.Errorf("it cost %s, and %s with six times the load", small.CostPerHour, large.CostPerHour)
	}

	s.script("service api desired 6")
	burst := s.until("a burst runs", allRun)
	if n := burst.History.PlacementFailures - large.History.PlacementFailures; n > 0 {
		t.Errorf("tasks of the burst found no room %d times: it had to land on headroom", n)
	}
	s.until("the headroom is there again", quiet...)

	s.script("service web desired 8\nservice api desired 4")
	s.until("the cluster has shrunk", append(quiet, costs(large.CostPerHour*65/100))...)
	s.audit()
}

// costs holds when the world costs so much an hour or less.
func costs(most fleet.Price) condition {
	return func(truth *sim.Truth) string {
		if truth.CostPerHour > most {
			return "it costs " + truth.CostPerHour.String() + " an hour, more than " + most.String()
		}
		return ""
	}
}
