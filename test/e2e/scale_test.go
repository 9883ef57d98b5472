package e2e_test

import (
	"encoding/json"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/test/harness"
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
	s.Apply(harness.Policy(func(p *fleet.Policy) {
		half := 50
		p.Headroom.Units = []fleet.HeadroomUnit{unit}
		p.LaunchSpecs[0].SpotPercentage = &half
		p.LaunchSpecs[0].Types = fleet.TypeFilter{Allow: []string{"m7i.*", "c7i.*", "r7i.*"}, MaxVCPUs: 8}
	}))
	s.Up(1)
	quiet := []harness.Condition{harness.AllRun, harness.Room(unit), harness.Settled, s.Ended}
	small := s.Until("two harness.Services run on a cluster that was empty", quiet...)

	s.Script("service web desired 40")
	s.Until("tasks of web wait for room", harness.Waited(small))
	large := s.Until("the cluster has grown, and every task runs", quiet...)
	if large.CostPerHour <= small.CostPerHour {
		t.Errorf("it cost %s, and %s with six times the load", small.CostPerHour, large.CostPerHour)
	}

	s.Script("service api desired 6")
	burst := s.Until("a burst runs", harness.AllRun)
	if n := burst.History.PlacementFailures - large.History.PlacementFailures; n > 0 {
		t.Errorf("tasks of the burst found no room %d times: it had to land on headroom", n)
	}
	s.Until("the headroom is there again", quiet...)

	s.Script("service web desired 8\nservice api desired 4")
	s.Until("the cluster has shrunk", append(quiet, costs(large.CostPerHour*65/100))...)
	s.Audit()
	replayed(t, s)
}

// replayed has neap make every plan again, from the streams and from a file.
func replayed(t *testing.T, s *system) {
	t.Helper()
	file := s.File("web.plans", "")
	for _, from := range [][]string{{"--cluster", string(harness.Cluster), "--save", file}, {"--recording", file}} {
		out := s.Must(append([]string{"replay", "--output", "json"}, from...)...)
		var got struct{ Plans, Same, Different, Skipped int }
		if err := json.Unmarshal([]byte(out), &got); err != nil || got.Plans < 4 || got.Same != got.Plans {
			t.Errorf("%v: %v\n%s", from, err, out)
		}
	}
}

// costs holds when the world costs so much an hour or less.
func costs(most fleet.Price) harness.Condition {
	return func(truth *sim.Truth) string {
		if truth.CostPerHour > most {
			return "it costs " + truth.CostPerHour.String() + " an hour, more than " + most.String()
		}
		return ""
	}
}
