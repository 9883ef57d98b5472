package sim

import (
	"testing"
	"time"
)

// TestChecklist05UnhealthyTasksAreReplaced: where the maximum allows, a task that fails
// its health checks is replaced before it is stopped, else after; a load balancer's
// verdict waits for the grace period (ECS Developer Guide, "unhealthy tasks").
func TestChecklist05UnhealthyTasksAreReplaced(t *testing.T) {
	for _, c := range []struct {
		task, service, reason string
		least                 int
	}{
		{"health 10s retries 2", "", "Task failed container health checks", 4},
		{"health 10s retries 2", "min 50 max 100", "Task failed container health checks", 3},
		{"", "balanced grace 30s", "Task failed ELB health checks in (target-group ", 4},
	} {
		w := run(t, Config{}, "cluster web\ntask web cpu 10 memory 10 "+c.task+"\nlaunch m7i.large count 2\nat 1m service web task web desired 4 "+c.service+"\nat 4m unhealthy web count 1", 4*time.Minute)
		least := 4
		for range 300 {
			w.Advance(w.Now().Add(time.Second))
			least = min(least, described(t, w, "web").RunningCount)
		}
		if s := described(t, w, "web"); s.RunningCount != 4 || least != c.least {
			t.Errorf("%s %s: %d tasks run, %d at least", c.task, c.service, s.RunningCount, least)
		}
		stopped := must(w.ListTasks(&ListTasksInput{Cluster: "web", ServiceName: "web", DesiredStatus: "STOPPED"}))(t).TaskArns
		if len(stopped) != 1 {
			t.Fatalf("%s %s: %d tasks were stopped", c.task, c.service, len(stopped))
		}
		task := must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: stopped}))(t).Tasks[0]
		wants(t, []string{task.StoppedReason}, c.reason)
		wants(t, told(t, w, "web"), " Amazon ECS replaced 1 tasks due to an unhealthy status.")
	}
}

// TestHealthStatus: what DescribeTasks shows of a container health check, from its
// interval, retries and start period.
func TestHealthStatus(t *testing.T) {
	start := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	check := (&HealthCheck{Interval: 10, Retries: 3, StartPeriod: 35}).probe()
	for _, c := range []struct {
		from, until, now int // -1 is never
		want             string
	}{
		{-1, -1, 9, healthUnknown},
		{-1, -1, 10, healthHealthy},
		{15, -1, 39, healthHealthy},
		{15, -1, 40, healthUnhealthy}, // the start period ended with the first success
		{0, -1, 59, healthUnknown},
		{0, -1, 60, healthUnhealthy}, // 40, 50 and 60 count
		{15, 35, 60, healthHealthy},
		{15, 55, 50, healthUnhealthy},
		{15, 55, 60, healthHealthy},
	} {
		var ill illness
		if c.from >= 0 {
			ill.from = at(c.from)
		}
		if c.until >= 0 {
			ill.until = at(c.until)
		}
		if got := check.status(start, ill, at(c.now)); got != c.want {
			t.Errorf("ill from %d to %d: %s at %d, want %s", c.from, c.until, got, c.now, c.want)
		}
	}
	w := run(t, Config{}, "cluster web\ntask web cpu 10 memory 10 health 10s\ntask plain cpu 10 memory 10\nlaunch m7i.large\nat 1m run web\nat 1m run plain", 90*time.Second)
	arns := must(w.ListTasks(&ListTasksInput{Cluster: "web"}))(t).TaskArns
	tasks := must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: arns}))(t).Tasks
	if tasks[0].HealthStatus != "HEALTHY" || tasks[0].Containers[0].HealthStatus != "HEALTHY" || tasks[1].HealthStatus != "UNKNOWN" {
		t.Errorf("%s, %s and %s", tasks[0].HealthStatus, tasks[0].Containers[0].HealthStatus, tasks[1].HealthStatus)
	}
}

// TestChecklist05DaemonConstraints: a daemon's task that no longer matches is stopped, and
// a lost one is replaced before other services can take its room.
func TestChecklist05DaemonConstraints(t *testing.T) {
	w := run(t, Config{EventQueues: []string{"events"}}, `
cluster web
task agent cpu 500 memory 100
task web cpu 500 memory 100
launch m7i.large attribute role=web
at 1m service agent task agent daemon constraint 'attribute:role == web'
at 2m service web task web desired 9 max 100 min 0
`, 4*time.Minute)
	if a, s := described(t, w, "agent"), described(t, w, "web"); a.RunningCount != 1 || s.RunningCount != 3 {
		t.Fatalf("%d agents and %d others run", a.RunningCount, s.RunningCount)
	}
	arns := must(w.ListTasks(&ListTasksInput{Cluster: "web", ServiceName: "agent"}))(t).TaskArns
	must(w.StopTask(&StopTaskInput{Cluster: "web", Task: arns[0]}))(t)
	w.Advance(w.Now().Add(time.Minute))
	if a, s := described(t, w, "agent"), described(t, w, "web"); a.RunningCount != 1 || s.RunningCount != 3 {
		t.Errorf("%d agents and %d others run", a.RunningCount, s.RunningCount)
	}
	host := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web"}))(t).ContainerInstanceArns[0]
	must(w.PutAttributes(&PutAttributesInput{Cluster: "web", Attributes: []Attribute{{Name: "role", Value: "db", TargetID: host}}}))(t)
	w.Advance(w.Now().Add(time.Minute))
	if a := described(t, w, "agent"); a.RunningCount != 0 || a.DesiredCount != 0 {
		t.Errorf("%d of %d agents run", a.RunningCount, a.DesiredCount)
	}
	wants(t, received(t, w), "SERVICE_DAEMON_PLACEMENT_CONSTRAINT_VIOLATED", "SERVICE_DESIRED_COUNT_UPDATED")
}
