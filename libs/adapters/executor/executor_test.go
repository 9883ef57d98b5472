package executor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/adapters/executor/executortest"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const rings = 3 // of each bell

// The trade of these tests rings bells: an action is done when its bell has rung three
// times. A bell counts how often it was rung, and which strokes.
type (
	ringing struct {
		Rung int  `json:"rung"`
		Over bool `json:"over"`
	}
	event struct {
		rung   int // 0 is a tick
		undone bool
	}
	effect struct {
		stroke int
		report *fleet.Outcome
	}
	tower struct {
		mu    sync.Mutex
		heard []string // "bell stroke", in order
		ring  func(ctx context.Context, stroke int) error
	}
)

func (t *tower) trade() executor.Trade[ringing, event, effect] {
	return executor.Trade[ringing, event, effect]{
		Name: bus.Drainer, Kinds: []fleet.ActionKind{fleet.ActionRestore},
		Now:  time.Now,
		Tick: func(time.Time) event { return event{} },
		Step: func(_ *fleet.Action, s ringing, e event) (ringing, []effect) {
			if s.Over {
				return s, nil
			}
			if e.undone {
				s.Over = true
				return s, []effect{{report: &fleet.Outcome{Phase: fleet.PhaseFinal, Step: "undone", Class: fleet.FailureStale}}}
			}
			s.Rung = max(s.Rung, e.rung)
			if s.Rung == rings {
				s.Over = true
				return s, []effect{{report: &fleet.Outcome{Phase: fleet.PhaseFinal, Step: "done"}}}
			}
			return s, []effect{{stroke: s.Rung + 1}}
		},
		Cancel:   func(time.Time, string) event { return event{undone: true} },
		Progress: func(s *ringing) executor.Progress { return executor.Progress{Begun: s.Rung > 0, Phase: "ringing"} },
		Describe: func(f effect) executor.Effect {
			if f.report != nil {
				return executor.Effect{Report: f.report}
			}
			return executor.Effect{Changes: "ring"}
		},
		Perform: t.perform,
	}
}

func (t *tower) perform(ctx context.Context, job executor.Job, f effect) (event, error) {
	if t.ring != nil {
		if err := t.ring(ctx, f.stroke); err != nil {
			return event{}, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = append(t.heard, fmt.Sprintf("%s %d", job.Action.Restore.Instance, f.stroke))
	return event{rung: f.stroke}, nil
}

func (t *tower) strokes() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.heard)
}

// plan makes a plan that has a bell rung for each name.
func plan(s *executortest.Stage, edit func(*fleet.Plan), bells ...fleet.InstanceID) fleet.Plan {
	s.Helper()
	var p fleet.Plan
	for _, bell := range bells {
		p.Actions = append(p.Actions, fleet.Action{
			Kind: fleet.ActionRestore, Restore: &fleet.Restore{Instance: bell, ContainerInstance: "ci"},
		})
	}
	if edit != nil {
		edit(&p)
	}
	return s.Plan(s.Context(), time.Now(), p)
}

// start runs an engine until stop is called, which returns what Run returned.
func start(s *executortest.Stage, t *tower, cfg executor.Config) (stop func() error) {
	s.Helper()
	return s.Start(func(ctx context.Context, p *service.Process) error {
		return executor.New(p, s.Bus, cfg, t.trade()).Run(ctx)
	})
}

// steps are outcomes in short: "phase step".
func steps(outcomes []fleet.Outcome) []string {
	var list []string
	for _, o := range outcomes {
		list = append(list, string(o.Phase)+" "+o.Step)
	}
	return list
}

func TestEachBellRingsThreeTimes(t *testing.T) {
	s, tower := executortest.New(t, executortest.Policy()), &tower{}
	stop := start(s, tower, executortest.Config())
	p := plan(s, nil, "i-1", "i-2")
	s.Finished(p)
	if err := stop(); err != nil {
		t.Error(err)
	}
	heard := slices.Sorted(slices.Values(tower.strokes()))
	if want := []string{"i-1 1", "i-1 2", "i-1 3", "i-2 1", "i-2 2", "i-2 3"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	want := []string{"intent ring", "intent ring", "intent ring", "final done"}
	if got := steps(s.Outcomes(p.Actions[0].ID)); !slices.Equal(got, want) {
		t.Errorf("outcomes %v, want %v", got, want)
	}
	if r, _ := s.Record(p.Actions[0].ID); r.Action.Restore != nil || len(r.State) > 0 || r.End == nil {
		t.Errorf("a finished record is slim and says how it ended: %+v", r)
	}
}

func TestReplicasShareAndDoNotDouble(t *testing.T) {
	s, tower := executortest.New(t, executortest.Policy()), &tower{}
	var bells []fleet.InstanceID
	for i := range 20 {
		bells = append(bells, fleet.InstanceID(fmt.Sprintf("i-%d", i)))
	}
	cfg := executortest.Config()
	cfg.StaleAfter = time.Minute // both are alive: nothing is taken over
	start(s, tower, cfg)
	start(s, tower, cfg)
	p := plan(s, nil, bells...)
	s.Finished(p)
	if heard := tower.strokes(); len(heard) != rings*len(bells) {
		t.Errorf("%d strokes, want %d: %v", len(heard), rings*len(bells), heard)
	}
}

// TestCrashAnywhere crashes once at every point where it matters, then lets another
// replica go on. The stroke that was under way may be repeated; no other is.
func TestCrashAnywhere(t *testing.T) {
	points := []executor.Point{executor.PointRecorded, executor.PointStored, executor.PointIntent, executor.PointCalled, executor.PointPublished}
	for _, point := range points {
		times := rings // it comes to each point with every stroke
		if point == executor.PointRecorded || point == executor.PointPublished {
			times = 1
		}
		for nth := range times {
			t.Run(fmt.Sprintf("%s %d", point, nth+1), func(t *testing.T) {
				s, tower := executortest.New(t, executortest.Policy()), &tower{}
				cfg := executortest.Config()
				var crashed <-chan struct{}
				cfg.Crash, crashed = executortest.CrashAt(point, nth+1)
				first := start(s, tower, cfg)
				p := plan(s, nil, "i-1")
				s.Crashed(crashed, first)
				start(s, tower, executortest.Config())
				s.Finished(p)
				heard := slices.Compact(tower.strokes())
				if want := []string{"i-1 1", "i-1 2", "i-1 3"}; !slices.Equal(heard, want) {
					t.Errorf("heard %v, want %v", heard, want)
				}
				if extra := len(tower.strokes()) - rings; extra > 1 || extra == 1 && point != executor.PointCalled {
					t.Errorf("%d strokes more than needed after a crash at %s", extra, point)
				}
				if got := steps(s.Outcomes(p.Actions[0].ID)); got[len(got)-1] != "final done" {
					t.Errorf("outcomes %v, the last must be final", got)
				}
			})
		}
	}
}

func TestPauseStopsCalls(t *testing.T) {
	s, tower := executortest.New(t, executortest.Policy()), &tower{}
	control := s.Bus.Control()
	if err := control.Pause(t.Context(), executortest.Cluster, "a person", "to look"); err != nil {
		t.Fatal(err)
	}
	start(s, tower, executortest.Config())
	p := plan(s, nil, "i-1")
	s.Recorded(p.Actions[0].ID)
	if heard := tower.strokes(); len(heard) > 0 {
		t.Errorf("heard %v while paused", heard)
	}
	if err := control.Resume(t.Context(), executortest.Cluster, "a person", "seen enough"); err != nil {
		t.Fatal(err)
	}
	s.Finished(p)
}

// TestPauseAtTheLastMoment presses the button when the intent is published already: the
// call is still not made.
func TestPauseAtTheLastMoment(t *testing.T) {
	s, tower := executortest.New(t, executortest.Policy()), &tower{}
	control := s.Bus.Control()
	cfg, pressed := executortest.Config(), make(chan struct{}, 100)
	cfg.Crash = func(p executor.Point) error {
		if p == executor.PointIntent && len(pressed) == 0 {
			pressed <- struct{}{}
			return control.Pause(context.Background(), bus.AllClusters, "a person", "stop")
		}
		return nil
	}
	start(s, tower, cfg)
	p := plan(s, nil, "i-1")
	s.Eventually("the button is pressed", func() bool { return len(pressed) > 0 })
	s.Eventually("the record shows the try", func() bool { r, _ := s.Record(p.Actions[0].ID); return r.Calls == 1 })
	if heard := tower.strokes(); len(heard) > 0 {
		t.Errorf("heard %v after the pause", heard)
	}
	if err := control.Resume(t.Context(), bus.AllClusters, "a person", "go on"); err != nil {
		t.Fatal(err)
	}
	s.Finished(p)
}

func TestDryRun(t *testing.T) {
	s, tower := executortest.New(t, executortest.Policy()), &tower{}
	start(s, tower, executortest.Config())
	shown := plan(s, func(p *fleet.Plan) { p.DryRun = true }, "i-1")
	policy := executortest.Policy()
	*policy.DryRun = true
	s.Apply(policy)
	held := plan(s, nil, "i-2")
	s.Recorded(held.Actions[0].ID)
	if _, ok := s.Record(shown.Actions[0].ID); ok {
		t.Error("the action of a dry-run plan is in the ledger")
	}
	*policy.DryRun = false
	s.Apply(policy)
	s.Finished(held)
	if heard := tower.strokes(); slices.Contains(heard, "i-1 1") {
		t.Errorf("heard %v: the plan in dry run was executed", heard)
	}
}

func TestClosure(t *testing.T) {
	s, tower := executortest.New(t, executortest.Policy()), &tower{}
	if err := s.Bus.Control().Pause(t.Context(), executortest.Cluster, "a person", "to look"); err != nil {
		t.Fatal(err)
	}
	start(s, tower, executortest.Config())
	first := plan(s, nil, "i-1")
	s.Recorded(first.Actions[0].ID)
	plan(s, func(p *fleet.Plan) {
		p.Closures = []fleet.Closure{{Action: first.Actions[0].ID, Verdict: fleet.VerdictCancelled, Evidence: "no longer needed"}}
	})
	s.Finished(first)
	r, _ := s.Record(first.Actions[0].ID)
	if r.End.Class != fleet.FailureStale || !strings.Contains(r.End.Message, "no longer needed") {
		t.Errorf("ended as %+v, want it closed", r.End)
	}
	if heard := tower.strokes(); len(heard) > 0 {
		t.Errorf("heard %v of a closed action", heard)
	}
}

// TestClosureBeforeItsAction: a plan that is delivered after the one that closes its action
// begins nothing.
func TestClosureBeforeItsAction(t *testing.T) {
	s, tower := executortest.New(t, executortest.Policy()), &tower{}
	first := plan(s, nil, "i-1", "i-2")
	closing := plan(s, func(p *fleet.Plan) {
		p.Closures = []fleet.Closure{{Action: first.Actions[0].ID, Verdict: fleet.VerdictExpired, Evidence: "too late"}}
	})
	stop := s.Start(func(ctx context.Context, p *service.Process) error {
		e := executor.New(p, s.Bus, executortest.Config(), tower.trade())
		for _, p := range []fleet.Plan{closing, first} { // the other way round
			if err := e.Accept(ctx, bus.Delivery{Plan: p}); err != nil {
				return err
			}
		}
		return nil
	})
	s.Recorded(first.Actions[1].ID)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r, known := s.Record(first.Actions[0].ID)
	if !known || r.Closed == nil || r.Action.Kind != "" {
		t.Errorf("the closed action was recorded as one to do: %+v", r)
	}
	if r, known := s.Record(first.Actions[1].ID); !known || r.Action.Kind == "" {
		t.Errorf("the other action was not recorded: %+v", r)
	}
}

// TestUndo closes an action while its second stroke is under way: there is no third.
func TestUndo(t *testing.T) {
	s := executortest.New(t, executortest.Policy())
	calling, answer, once := make(chan struct{}), make(chan struct{}), sync.Once{}
	tower := &tower{ring: func(_ context.Context, stroke int) error {
		if stroke == 2 { // of i-1, which is the first to come to it
			once.Do(func() { close(calling); <-answer })
		}
		return nil
	}}
	start(s, tower, executortest.Config())
	first := plan(s, nil, "i-1")
	<-calling
	plan(s, func(p *fleet.Plan) {
		p.Actions = append(p.Actions, fleet.Action{
			Kind: fleet.ActionRestore, Restore: &fleet.Restore{Instance: "i-2", ContainerInstance: "ci", Drain: first.Actions[0].ID},
		})
	})
	s.Eventually("the closure is recorded", func() bool { r, _ := s.Record(first.Actions[0].ID); return r.Closed != nil })
	close(answer)
	if end := s.Finished(first); end.Step != "undone" {
		t.Errorf("ended as %+v, want it undone", end)
	}
	if heard := tower.strokes(); slices.Contains(heard, "i-1 3") {
		t.Errorf("heard %v, want no third stroke of i-1", heard)
	}
}

// TestTrace follows the trace of a plan into the outcomes of its actions.
func TestTrace(t *testing.T) {
	s, tower := executortest.New(t, executortest.Policy()), &tower{}
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4}, TraceFlags: trace.FlagsSampled})
	start(s, tower, executortest.Config())
	ctx := trace.ContextWithSpanContext(t.Context(), parent)
	p := s.Plan(ctx, time.Now(), fleet.Plan{Actions: []fleet.Action{
		{Kind: fleet.ActionRestore, Restore: &fleet.Restore{Instance: "i-1", ContainerInstance: "ci"}},
	}})
	s.Finished(p)
	outcomes := 0
	for o, err := range s.Bus.Outcomes(t.Context(), executortest.Cluster, 0) {
		if err != nil {
			t.Fatal(err)
		}
		outcomes++
		if o.Trace.TraceID() != parent.TraceID() {
			t.Errorf("outcome %s %s is in trace %s, want that of the plan", o.Value.Phase, o.Value.Step, o.Trace.TraceID())
		}
	}
	if outcomes == 0 {
		t.Error("no outcome was published")
	}
}

func TestStopFinishesTheCallAndGivesTheClaimBack(t *testing.T) {
	s := executortest.New(t, executortest.Policy())
	calling, answer := make(chan struct{}), make(chan struct{})
	slow := &tower{ring: func(ctx context.Context, _ int) error {
		close(calling)
		<-answer
		return ctx.Err()
	}}
	stop := start(s, slow, executortest.Config())
	p := plan(s, nil, "i-1")
	<-calling
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	close(answer)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	r, _ := s.Record(p.Actions[0].ID)
	if r.Owner != "" || !strings.Contains(string(r.State), `"rung":1`) {
		t.Errorf("left behind %+v with state %s, want one stroke and no owner", r, r.State)
	}
	if heard := slow.strokes(); len(heard) != 1 {
		t.Errorf("heard %v, want the one stroke that was under way", heard)
	}
	cfg := executortest.Config()
	cfg.StaleAfter = time.Hour // a released claim is free at once
	start(s, &tower{}, cfg)
	s.Finished(p)
}

func TestConfig(t *testing.T) {
	tests := map[string]struct {
		spoil func(*executor.Config)
		says  string
	}{
		"no installation": {func(c *executor.Config) { c.Installation = "" }, "NEAP_INSTALLATION"},
		"no tick":         {func(c *executor.Config) { c.Tick = 0 }, "EXECUTOR_TICK"},
		"nobody at work":  {func(c *executor.Config) { c.Concurrency = 0 }, "EXECUTOR_CONCURRENCY"},
		"stale at once":   {func(c *executor.Config) { c.StaleAfter = 0 }, "EXECUTOR_STALE_AFTER"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := executortest.Config()
			if err := cfg.Validate(); err != nil {
				t.Fatalf("the example itself: %v", err)
			}
			test.spoil(&cfg)
			if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want a complaint about %s", err, test.says)
			}
		})
	}
}

// TestOpenActionsAreMeasured: actions under way show by the phase they are in, and plans that
// nobody has answered for as lag.
func TestOpenActionsAreMeasured(t *testing.T) {
	s := executortest.New(t, executortest.Policy())
	reader := metric.NewManualReader()
	hold := make(chan struct{})
	bells := &tower{ring: func(ctx context.Context, _ int) error {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return nil
	}}
	stop := s.Start(func(ctx context.Context, p *service.Process) error {
		p.Meter = metric.NewMeterProvider(metric.WithReader(reader)).Meter("test")
		return executor.New(p, s.Bus, executortest.Config(), bells.trade()).Run(ctx)
	})
	p := plan(s, nil, "i-1", "i-2")
	want := "{cluster web, kind restore, phase ringing} 2; {consumer drainer} 0"
	got := ""
	for deadline := time.Now().Add(10 * time.Second); got != want && time.Now().Before(deadline); {
		<-time.After(20 * time.Millisecond)
		got = gauges(t, reader)
	}
	if got != want {
		t.Errorf("measured %s, want %s", got, want)
	}
	close(hold)
	s.Finished(p)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// gauges are the values of all gauges as text.
func gauges(t *testing.T, reader metric.Reader) string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			data, ok := m.Data.(metricdata.Gauge[float64])
			if !ok {
				continue
			}
			for _, point := range data.DataPoints {
				var labels []string
				for _, label := range point.Attributes.ToSlice() {
					labels = append(labels, string(label.Key)+" "+label.Value.String())
				}
				texts = append(texts, fmt.Sprintf("{%s} %v", strings.Join(labels, ", "), point.Value))
			}
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, "; ")
}
