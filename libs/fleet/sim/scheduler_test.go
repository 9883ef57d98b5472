package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// told are the events of a service, the oldest first, without IDs of tasks.
func told(t *testing.T, w *World, name string) []string {
	t.Helper()
	var list []string
	for _, e := range described(t, w, name).Events {
		list = append([]string{e.Message}, list...)
	}
	return list
}

func described(t *testing.T, w *World, name string) Service {
	t.Helper()
	return must(w.DescribeServices(&DescribeServicesInput{Cluster: "web", Services: []string{name}}))(t).Services[0]
}

// count is how many of the texts hold a word.
func count(texts []string, word string) (n int) {
	for _, text := range texts {
		if strings.Contains(text, word) {
			n++
		}
	}
	return n
}

// wants fails the test if a text does not hold a word.
func wants(t *testing.T, texts []string, words ...string) {
	t.Helper()
	for _, word := range words {
		if count(texts, word) == 0 {
			t.Errorf("nothing says %q in:\n%s", word, strings.Join(texts, "\n"))
		}
	}
}

// received are the bodies of the events of the queue.
func received(t *testing.T, w *World) []string {
	t.Helper()
	url := must(w.GetQueueURL(&GetQueueURLInput{QueueName: "events"}))(t).QueueURL
	var bodies []string
	for {
		out := must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: url, MaxNumberOfMessages: 10}))(t)
		if len(out.Messages) == 0 {
			return bodies
		}
		for _, m := range out.Messages {
			bodies = append(bodies, m.Body)
		}
	}
}

// TestChecklist04RetryCadence: a service that finds no room tries three times in about
// 50 s, waits 5 minutes, then longer up to 15; all parameters, and chance belongs to the
// seed.
func TestChecklist04RetryCadence(t *testing.T) {
	attempts := func(cfg Config) (at []time.Duration) {
		w := run(t, cfg, "cluster web\ntask web cpu 10 memory 10\nservice web task web desired 1", 0)
		seen := 0
		for w.Now().Sub(w.cfg.Start) < 2*time.Hour {
			w.Advance(w.Now().Add(time.Second))
			if n := w.Truth().History.PlacementFailures; n > seen {
				seen, at = n, append(at, w.Now().Sub(w.cfg.Start))
			}
		}
		return at
	}
	got := fmt.Sprint(attempts(Config{Delays: MeasuredDelays()})[:6])
	if want := "[1s 26s 51s 5m51s 15m51s 30m51s]"; got != want {
		t.Errorf("attempts at %s, want %s", got, want)
	}
	spread := MeasuredDelays()
	spread.RetrySpread = 0.5
	one, same, other := attempts(Config{Seed: 1, Delays: spread}), attempts(Config{Seed: 1, Delays: spread}), attempts(Config{Seed: 2, Delays: spread})
	if fmt.Sprint(one) != fmt.Sprint(same) || fmt.Sprint(one) == fmt.Sprint(other) {
		t.Errorf("seed 1: %v and %v, seed 2: %v", one, same, other)
	}
	if wait := one[1] - one[0]; wait < 25*time.Second || wait > 38*time.Second {
		t.Errorf("the first wait is %v", wait)
	}
}

// TestChecklist04LaunchesPerMinute: a service starts at most 500 tasks a minute.
func TestChecklist04LaunchesPerMinute(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 1 memory 1\nlaunch m7i.2xlarge count 3\nat 3m service web task web desired 1200", 3*time.Minute)
	var counts []int
	for range 3 {
		w.Advance(w.Now().Add(59 * time.Second))
		counts = append(counts, w.Truth().History.ServiceTasksStarted)
		w.Advance(w.Now().Add(time.Second))
	}
	if fmt.Sprint(counts) != "[500 1000 1200]" {
		t.Errorf("tasks started by minute: %v", counts)
	}
}

// TestChecklist04EventSuppression: ECS says the same words about a cause again only once
// the cause was gone or 6 hours have passed, and keeps 100 events.
func TestChecklist04EventSuppression(t *testing.T) {
	const words = "was unable to place a task because no container instance met all of its requirements. Reason: No Container Instances were found in your cluster."
	w := run(t, Config{}, "cluster web\ntask web cpu 10 memory 10\nservice web task web desired 1", 5*time.Hour)
	if n := count(told(t, w, "web"), words); n != 1 {
		t.Errorf("said %d times in 5 hours", n)
	}
	w.Advance(w.Now().Add(2 * time.Hour))
	if n := count(told(t, w, "web"), words); n != 2 {
		t.Errorf("said %d times in 7 hours", n)
	}
	must(w.Launch(Fixture{Cluster: "web", Type: "m7i.large", Count: 1}))(t)
	w.Advance(w.Now().Add(5 * time.Minute))
	ids := w.ActiveInstances("web", 1)
	must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: []string{string(ids[0])}}))(t)
	w.Advance(w.Now().Add(5 * time.Minute))
	if n := count(told(t, w, "web"), words); n != 3 {
		t.Errorf("said %d times once the cause had gone and come", n)
	}
	for i := range 120 {
		desired := i % 2
		must(w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", ForceNewDeployment: true, DesiredCount: &desired}))(t)
		w.Advance(w.Now().Add(10 * time.Second))
	}
	if n := len(told(t, w, "web")); n > 100 {
		t.Errorf("%d events are kept", n)
	}
}

// TestChecklist05DrainVectors: what the rounding of the minimum up and the maximum down
// does to draining (API reference, DeploymentConfiguration).
func TestChecklist05DrainVectors(t *testing.T) {
	for _, c := range []struct {
		desired, low, high int
		want               string
	}{
		{1, 100, 200, "start first"},
		{1, 50, 100, "deadlock"},
		{1, 0, 100, "stop first"},
		{1, 100, 150, "deadlock"},
		{2, 75, 100, "deadlock"},
		{3, 100, 125, "deadlock"},
		{4, 100, 125, "start first"},
	} {
		story := fmt.Sprintf("cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large\nat 1m service web task web desired %d min %d max %d\nat 4m launch m7i.large\nat 6m drain oldest", c.desired, c.low, c.high)
		w := run(t, Config{Zones: []Zone{{Name: "us-east-1a"}}}, story, 6*time.Minute)
		least, most := c.desired, c.desired
		for range 600 {
			w.Advance(w.Now().Add(time.Second))
			s := described(t, w, "web")
			least, most = min(least, s.RunningCount), max(most, s.RunningCount+s.PendingCount)
		}
		got := "deadlock"
		switch {
		case most > c.desired && least == c.desired:
			got = "start first"
		case least < c.desired && most == c.desired:
			got = "stop first"
		case most != c.desired || least != c.desired:
			got = fmt.Sprintf("%d to %d tasks", least, most)
		}
		if got != c.want {
			t.Errorf("%d tasks, %d to %d percent: %s, want %s", c.desired, c.low, c.high, got, c.want)
		}
		stuck := count(told(t, w, "web"), "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.")
		if (stuck == 1) != (c.want == "deadlock") {
			t.Errorf("%d tasks, %d to %d percent: the deadlock was told %d times", c.desired, c.low, c.high, stuck)
		}
	}
}

// TestChecklist05FortySeconds: a task without any health check counts as healthy 40 s
// after it runs, one with a container health check once that has passed.
func TestChecklist05FortySeconds(t *testing.T) {
	for health, want := range map[string]time.Duration{"": 40 * time.Second, "health 10s": 10 * time.Second, "health 70s": 70 * time.Second} {
		story := "cluster web\ntask web cpu 10 memory 10 " + health + "\nlaunch m7i.large\nat 1m service web task web desired 1\nat 4m launch m7i.large\nat 6m drain oldest"
		w := run(t, Config{Zones: []Zone{{Name: "us-east-1a"}}}, story, 6*time.Minute)
		var second, gone time.Time
		for gone.IsZero() && w.Now().Sub(w.cfg.Start) < 10*time.Minute {
			w.Advance(w.Now().Add(100 * time.Millisecond))
			switch n := described(t, w, "web").RunningCount; {
			case n == 2 && second.IsZero():
				second = w.Now()
			case n == 1 && !second.IsZero():
				gone = w.Now()
			}
		}
		if took := gone.Sub(second); took < want || took > want+2*time.Second {
			t.Errorf("%q: the old task went %v after its replacement ran, want %v", health, took, want)
		}
	}
}

// TestChecklist05PendingTasksGoAtOnce: DRAINING stops tasks of services that do not run
// yet, whatever the minimum.
func TestChecklist05PendingTasksGoAtOnce(t *testing.T) {
	d := FastDelays()
	d.Pull, d.PullFirst = 10*time.Minute, 10*time.Minute
	w := run(t, Config{Zones: []Zone{{Name: "us-east-1a"}}, Delays: d}, "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large\nat 1m service web task web desired 4\nat 2m drain oldest", 2*time.Minute+2*time.Second)
	if s := described(t, w, "web"); s.PendingCount != 0 || s.RunningCount != 0 {
		t.Errorf("%d pending, %d running", s.PendingCount, s.RunningCount)
	}
	wants(t, told(t, w, "web"), "stopped 4 pending tasks.")
}
