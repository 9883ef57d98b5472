package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// inZones are the running tasks of a service by zone.
func inZones(t *testing.T, w *World, name string) map[string]int {
	t.Helper()
	arns := must(w.ListTasks(&ListTasksInput{Cluster: "web", ServiceName: name}))(t).TaskArns
	zones := map[string]int{}
	if len(arns) == 0 {
		return zones
	}
	for _, task := range must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: arns}))(t).Tasks {
		if task.LastStatus == "RUNNING" {
			zones[task.AvailabilityZone[len(task.AvailabilityZone)-1:]]++
		}
	}
	return zones
}

const lopsided = `
cluster web
task web cpu 10 memory 10
launch m7i.large count 2 zone us-east-1a
at 1m service web task web desired 7 %s
at 4m launch m7i.large zone us-east-1b
at 4m launch m7i.large zone us-east-1c
`

// TestChecklist11AvailabilityZoneRebalancing: an eligible service is balanced by default
// once it is steady: ECS starts tasks in the emptiest zones, waits until they are healthy,
// then stops as many in the fullest, never falling below the desired count.
func TestChecklist11AvailabilityZoneRebalancing(t *testing.T) {
	w := run(t, Config{EventQueues: []string{"events"}}, fmt.Sprintf(lopsided, ""), 4*time.Minute)
	if got := described(t, w, "web").AvailabilityZoneRebalancing; got != "ENABLED" {
		t.Fatalf("it is %s", got)
	}
	var events []string
	for range 10 * 60 {
		w.Advance(w.Now().Add(time.Second))
		events = append(events, received(t, w)...)
		if s := described(t, w, "web"); s.RunningCount < 7 || s.RunningCount+s.PendingCount > 14 || s.DesiredCount != 7 {
			t.Fatalf("%d of %d tasks run, %d pending", s.RunningCount, s.DesiredCount, s.PendingCount)
		}
	}
	if got := fmt.Sprint(inZones(t, w, "web")); got != "map[a:3 b:2 c:2]" {
		t.Errorf("tasks by zone: %s", got)
	}
	wants(t, told(t, w, "web"), "(service web) is not AZ balanced with 7 tasks in us-east-1a, 0 tasks in us-east-1", ". AZ Rebalancing in progress.",
		" to AZ Rebalance: (task ", " running tasks in us-east-1a due to AZ rebalancing: (task ",
		"(service web) is AZ balanced with 3 tasks in us-east-1a, 2 tasks in us-east-1b, 2 tasks in us-east-1c.")
	wants(t, events, "SERVICE_REBALANCING_STARTED", "TASKS_STARTED", "TASKS_STOPPED", "SERVICE_REBALANCING_COMPLETED")
}

// TestChecklist11RebalancingLaunchesNothing: a zone without room stays short, is told of,
// and is tried again; the service keeps its tasks.
func TestChecklist11RebalancingLaunchesNothing(t *testing.T) {
	w := run(t, Config{}, `
cluster web
task web cpu 3000 memory 10
launch m7i.2xlarge count 2 zone us-east-1a
at 1m service web task web desired 4
at 4m launch m7i.large zone us-east-1b
`, 30*time.Minute)
	if got := fmt.Sprint(inZones(t, w, "web")); got != "map[a:4]" {
		t.Errorf("tasks by zone: %s", got)
	}
	events := told(t, w, "web")
	wants(t, events, "is unable to place a task in us-east-1b because no container instance met all of its requirements.", "stopped AZ Rebalancing.")
	if n := count(events, "stopped AZ Rebalancing."); n != 1 {
		t.Errorf("that it stopped is told %d times", n)
	}
	must(w.Launch(Fixture{Cluster: "web", Type: "m7i.2xlarge", Zone: "us-east-1b", Count: 1}))(t)
	w.Advance(w.Now().Add(10 * time.Minute))
	if got := fmt.Sprint(inZones(t, w, "web")); got != "map[a:2 b:2]" {
		t.Errorf("tasks by zone once there is room: %s", got)
	}
}

// TestChecklist11RebalancingEligibility: who is balanced, who is not by default, and who
// cannot be.
func TestChecklist11RebalancingEligibility(t *testing.T) {
	for _, c := range []struct{ options, byDefault, refusal string }{
		{"", "ENABLED", ""},
		{"strategy spread:attribute:ecs.availability-zone strategy binpack:cpu", "ENABLED", ""},
		{"strategy spread:instanceId", "DISABLED", "first rule is not spread"},
		{"strategy binpack:cpu", "DISABLED", "first rule is not spread"},
		{"min 50 max 100", "DISABLED", "Availability Zone Rebalancing does not support maximumPercent <= 100 % as deployment configuration."},
		{"constraint 'attribute:ecs.availability-zone == us-east-1a'", "DISABLED", "placement constraints with attribute:ecs.availability-zone"},
	} {
		w := run(t, Config{}, "cluster web\ntask web cpu 10 memory 10\nservice web task web desired 0 "+c.options, time.Second)
		if got := described(t, w, "web").AvailabilityZoneRebalancing; got != c.byDefault {
			t.Errorf("%q: %s by default, want %s", c.options, got, c.byDefault)
		}
		_, err := w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", AvailabilityZoneRebalancing: "ENABLED"})
		if (err == nil) != (c.refusal == "") || err != nil && !strings.Contains(err.Error(), c.refusal) {
			t.Errorf("%q: enabling it: %v, want %q", c.options, err, c.refusal)
		}
	}
	w := run(t, Config{}, "cluster web\ntask web cpu 10 memory 10\nservice web task web daemon", time.Second)
	_, err := w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", AvailabilityZoneRebalancing: "ENABLED"})
	failsWith(t, "a daemon", err, codeInvalid)
	_, err = w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", AvailabilityZoneRebalancing: "MAYBE"})
	failsWith(t, "no value", err, codeInvalid)
	w = run(t, Config{}, fmt.Sprintf(lopsided, "rebalancing off"), 20*time.Minute)
	if got := fmt.Sprint(inZones(t, w, "web")); got != "map[a:7]" {
		t.Errorf("switched off, tasks by zone: %s", got)
	}
}

// TestChecklist11RebalancingGivesWay: a deployment ends the balancing that is under way,
// and protected tasks keep it from being done.
func TestChecklist11RebalancingGivesWay(t *testing.T) {
	w := run(t, Config{}, fmt.Sprintf(lopsided, "")+"at 5m service web force\n", 5*time.Minute+2*time.Second)
	wants(t, told(t, w, "web"), "stopped AZ Rebalancing.")
	w.Advance(w.Now().Add(10 * time.Minute))
	if s := described(t, w, "web"); s.RunningCount != 7 || len(s.Deployments) != 1 || len(inZones(t, w, "web")) != 3 {
		t.Errorf("%d tasks run in %d deployments, by zone %v", s.RunningCount, len(s.Deployments), inZones(t, w, "web"))
	}
	w = run(t, Config{}, fmt.Sprintf(lopsided, "")+"at 3m protect web count 7 for 1h\n", 20*time.Minute)
	wants(t, told(t, w, "web"), "was unable to AZ Rebalance because (taskSet ", " was unable to scale in due to (reason ", " tasks under protection)")
	if s := described(t, w, "web"); s.RunningCount != 7 {
		t.Errorf("%d tasks run", s.RunningCount)
	}
}
