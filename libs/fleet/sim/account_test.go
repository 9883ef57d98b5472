package sim

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	w := must(New(Config{}))(t)
	calls := Limit{"calls", 2, 0.5}
	items := Limit{"items", 10, 1}
	if !w.Charge(Charge{calls, 100}) {
		t.Error("a call is throttled while limits are off")
	}
	w.SetThrottling(true)
	for i, c := range []struct {
		after time.Duration
		items float64
		want  bool
	}{
		{0, 8, true},
		{0, 8, false}, // the items are gone: the call must not be charged either
		{0, 2, true},
		{0, 0, false}, // now the calls are gone
		{time.Second, 0, false},
		{time.Second, 0, true},
		{0, -5, false},
		{time.Hour, 11, false}, // more than the bucket ever holds
		{0, 10, true},
	} {
		w.Advance(w.Now().Add(c.after))
		if got := w.Charge(Charge{calls, 1}, Charge{items, c.items}); got != c.want {
			t.Errorf("step %d: %v items allowed: %v, want %v", i, c.items, got, c.want)
		}
	}
	want := []Level{{"calls", 2, 0.5, 1, 3}, {"items", 10, 1, 0, 2}}
	if got := w.Levels(); !slices.Equal(got, want) {
		t.Errorf("levels %+v, want %+v", got, want)
	}
}

// TestScaledLimits: a person gives the account less, or more, than AWS publishes, for a
// service or a bucket, while it runs.
func TestScaledLimits(t *testing.T) {
	w := must(New(Config{}))(t)
	reads, writes := Limit{"ecs service read", 100, 20}, Limit{"ecs service modify", 50, 5}
	burst := func(l Limit) (n int) {
		for w.Charge(Charge{l, 1}) {
			n++
		}
		return n
	}
	for _, c := range []struct {
		script       string
		reads, write int
	}{
		{"throttle on", 100, 50},
		{"throttle ecs 50%", 50, 25},
		{"throttle 'ecs service read' 10%", 10, 25},
		{"throttle ecs* 0.2", 20, 10},
		{"throttle ecs* 0%", 0, 0},
		{"throttle * 200%", 200, 100},
	} {
		w.Advance(w.Now().Add(time.Hour))
		if err := must(ParseScript(c.script))(t).Run(w); err != nil {
			t.Fatal(err)
		}
		w.Advance(w.Now().Add(time.Hour))
		if r, m := burst(reads), burst(writes); r != c.reads || m != c.write {
			t.Errorf("%s: %d reads and %d changes pass, want %d and %d", c.script, r, m, c.reads, c.write)
		}
	}
	if err := must(ParseScript("throttle off"))(t).Run(w); err != nil {
		t.Fatal(err)
	}
	if w.Throttling() || !w.Charge(Charge{reads, 1}) {
		t.Error("a call is throttled after the limits were turned off")
	}
}

// TestSchedulerIsThrottled: callers that use up the account's bucket hold up ECS's own
// service scheduler, which says so and goes on when the bucket has refilled.
func TestSchedulerIsThrottled(t *testing.T) {
	w := run(t, Config{EventQueues: []string{"events"}}, "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large\nthrottle 'ecs cluster resource modify' 1%", 5*time.Minute)
	for w.Charge(Charge{schedulerLimit, 1}) {
	}
	if err := must(ParseScript("service web task web desired 3"))(t).Run(w); err != nil {
		t.Fatal(err)
	}
	w.Advance(w.Now().Add(time.Second))
	describe := func() Service {
		return must(w.DescribeServices(&DescribeServicesInput{Cluster: "web", Services: []string{"web"}}))(t).Services[0]
	}
	s := describe()
	if s.PendingCount+s.RunningCount != 0 || len(s.Events) == 0 || !strings.Contains(s.Events[0].Message, "operations are being throttled. Will try again later.") {
		t.Errorf("%d pending, %d running, events %+v", s.PendingCount, s.RunningCount, s.Events)
	}
	w.Advance(w.Now().Add(5 * time.Minute))
	if s = describe(); s.RunningCount != 3 {
		t.Errorf("%d tasks run after the bucket has refilled", s.RunningCount)
	}
	if !slices.ContainsFunc(drainQueue(t, w, "events"), func(e event) bool { return strings.Contains(string(e.Detail), "ECS_OPERATION_THROTTLED") }) {
		t.Error("no event ECS_OPERATION_THROTTLED")
	}
}

// TestOutagesHitAShare: an outage hits the calls that it is about, as many as it says, the
// same in every run, and ends.
func TestOutagesHitAShare(t *testing.T) {
	history := func() (hits []int, w *World) {
		w = must(New(Config{Seed: 7}))(t)
		if err := must(ParseScript("outage ecs:Describe* error 500 share 30% for 10m"))(t).Run(w); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			if w.Trouble("ecs", "ListTasks").Kind != "" || w.Trouble("ec2", "DescribeInstances").Kind != "" {
				t.Fatal("the outage hits other operations")
			}
			if trouble := w.Trouble("ecs", "DescribeTasks"); trouble.Kind == TroubleError && trouble.Status == 500 {
				hits = append(hits, i)
			}
		}
		return hits, w
	}
	hits, w := history()
	if again, _ := history(); !slices.Equal(hits, again) {
		t.Error("the same seed hits other calls")
	}
	if n := len(hits); n < 250 || n > 350 {
		t.Errorf("%d of 1000 calls are hit, want 30 %%", n)
	}
	if o := w.Outages(); len(o) != 1 || o[0].Calls != 1000 || o[0].Hits != len(hits) {
		t.Errorf("outages %+v", o)
	}
	w.Advance(w.Now().Add(10 * time.Minute))
	if trouble := w.Trouble("ecs", "DescribeTasks"); trouble.Kind != "" || len(w.Outages()) != 0 {
		t.Errorf("after its end: %+v, outages %+v", trouble, w.Outages())
	}
}

func TestOutagesByTargetAndKind(t *testing.T) {
	w := must(New(Config{}))(t)
	script := "outage ec2 lost\noutage ecs:StopTask error ServerException/500\nslow ecs 10ms\nslow ecs:StopTask 5ms\noutage ecs:ListTasks stale 30s\noutage sqs error RequestThrottled"
	if err := must(ParseScript(script))(t).Run(w); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		service, operation string
		want               Trouble
	}{
		{"ec2", "CreateFleet", Trouble{Kind: TroubleLost}},
		{"ecs", "StopTask", Trouble{Kind: TroubleError, Code: "ServerException", Status: 500, Delay: 15 * time.Millisecond}},
		{"ecs", "ListTasks", Trouble{Kind: TroubleStale, Age: 30 * time.Second, Delay: 10 * time.Millisecond}},
		{"sqs", "SendMessage", Trouble{Kind: TroubleError, Code: "RequestThrottled"}},
		{"ssm", "GetParameters", Trouble{}},
	} {
		if got := w.Trouble(c.service, c.operation); got != c.want {
			t.Errorf("%s:%s: %+v, want %+v", c.service, c.operation, got, c.want)
		}
	}
	if !w.ReadsStale() {
		t.Error("no read is answered from the past")
	}
	w.EndOutages("ecs:ListTasks")
	if w.ReadsStale() || len(w.Outages()) != 5 {
		t.Errorf("left %+v", w.Outages())
	}
	if w.EndOutages("*"); len(w.Outages()) != 0 {
		t.Errorf("left %+v", w.Outages())
	}
}

// TestSlowCalls: half of the calls take no longer than the median, 99 % no longer than the
// 99th percentile, give or take.
func TestSlowCalls(t *testing.T) {
	w := must(New(Config{}))(t)
	if err := must(ParseScript("slow ecs 100ms p99 2s"))(t).Run(w); err != nil {
		t.Fatal(err)
	}
	var delays []time.Duration
	for range 10_000 {
		delays = append(delays, w.Trouble("ecs", "ListTasks").Delay)
	}
	slices.Sort(delays)
	near := func(got, want time.Duration) bool { return got > want*8/10 && got < want*12/10 }
	if !near(delays[5000], 100*time.Millisecond) || !near(delays[9900], 2*time.Second) {
		t.Errorf("median %v, 99 %% %v", delays[5000], delays[9900])
	}
}

func TestAccountStatementErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"throttle", "throttle: write on, off, or a service"},
		{"throttle ecs half", `throttle: "half" is no share`},
		{"outage ecs", "outage: say what happens to the calls"},
		{"outage ecs reset hang", "outage: reset and hang at once"},
		{"outage ecs error Bad/many", `outage: error "Bad/many": write a status`},
		{"outage ecs error 500 share 120%", `outage: share "120%" is no share of something`},
		{"outage ecs explode", `outage: "explode" is not understood here: use error, reset`},
		{"slow ecs", "slow: write TARGET MEDIAN behind it"},
		{"slow ecs fast", `slow: "fast" is no time`},
		{"restore", "restore: write TARGET behind it"},
		{"events of everything", `events: of "everything": write best-effort, durable or all`},
	} {
		_, err := ParseScript(c.text)
		if err == nil || !strings.HasPrefix(err.Error(), "script line 1: "+c.want) {
			t.Errorf("%q: error %v, want %s", c.text, err, c.want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"outage ecs error 200", "status 200 is not one of an error"},
		{"outage ecs stale 0s", "stale needs a time above 0"},
		{"slow ecs 2s p99 1s", "cannot be faster than half of them"},
		{"throttle ecs 9999999%", "is no share"},
	} {
		err := must(ParseScript(c.text))(t).Run(must(New(Config{}))(t))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %s", c.text, err, c.want)
		}
	}
}
