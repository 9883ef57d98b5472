package dst

import (
	"context"
	"errors"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/action"
	"github.com/neap-project/neap/libs/fleet/drain"
	"github.com/neap-project/neap/libs/fleet/execute"
)

// The services.
const (
	watcherName  = "watcher"
	plannerName  = "planner"
	actuatorName = "actuator"
	drainerName  = "drainer"
)

// observer writes what matters into the history.
type observer struct{ s *system }

// Held notes why an action waits.
func (o observer) Held(_ context.Context, r *execute.Record, why string) {
	o.s.note("held %s %s: %s", r.Action.Kind, r.Action.ID.Short(), why)
}

// Failed notes that a turn failed.
func (o observer) Failed(_ context.Context, r *execute.Record, err error, failures int, _ time.Time) {
	o.s.note("turn %s %s failed %d times: %v", r.Action.Kind, r.Action.ID.Short(), failures, err)
}

func (observer) Accepted(context.Context, *fleet.Plan, *fleet.Action)    {}
func (observer) Unreadable(execute.Entry, error)                         {}
func (observer) NotRead(context.Context, *execute.Record, error)         {}
func (observer) Told(context.Context, *execute.Record, *fleet.Outcome)   {}
func (observer) Trace(context.Context) string                            { return "" }
func (observer) WithTrace(ctx context.Context, _ string) context.Context { return ctx }
func (observer) TraceID(string) string                                   { return "" }
func (observer) Begin(ctx context.Context, _ *execute.Record, _ string) (context.Context, func(error)) {
	return ctx, func(error) {}
}

// means are what a replica of an executor works with.
func means(r *replica, nudge func()) execute.Means {
	s := r.s
	return execute.Means{
		Generation: r.generation, Ledger: ledger{s.bus}, Control: control{s.bus}, Outcomes: s.bus, Observer: observer{s},
		Now: r.now, Serves: func(fleet.ClusterName) bool { return true }, Nudge: nudge,
		Owner: r.owner(), By: r.name(), Tick: time.Second, StaleAfter: 30 * time.Second,
		Crash: func(p execute.Point) error { return s.crashPoint(r, p) },
	}
}

// hands is how many actions a replica drives at once.
const hands = 16

// runExecutor is one life of an executor of a trade.
func runExecutor[S, E, F any](r *replica, trade execute.Trade[S, E, F]) {
	s := r.s
	var worker *thread
	nudge := func() {
		if worker != nil && !worker.over && s.thread != worker {
			worker.wakeAfter(0)
		}
	}
	core := execute.New(means(r, nudge), trade)
	see := func(id fleet.ActionID) {
		if entry, there := s.bus.ledger[id]; there && s.check.kindOf(id, trade.Kinds) {
			core.Observe(entry)
			nudge()
		}
	}
	r.observe = see
	for _, entry := range s.bus.records() {
		see(entry.Action)
	}
	r.spawn(func(t *thread) { consume(t, trade.Name, core.Accept) })
	worker = r.spawn(func(t *thread) {
		busy := 0
		for {
			for _, turn := range core.Due(r.now(), s.now) {
				if busy >= hands {
					core.PutBack(turn)
					continue
				}
				busy++
				r.spawn(func(*thread) {
					defer func() { busy-- }()
					_ = core.Drive(context.Background(), turn)
				})
			}
			if core.Idle() {
				t.sleep(30 * time.Second)
			} else {
				t.sleep(time.Second)
			}
		}
	})
	r.spawn(func(t *thread) { s.outlive(t) })
}

// consume takes plans into the ledger.
func consume(t *thread, name string, accept func(context.Context, *fleet.Plan) error) {
	b := t.of.s.bus
	for {
		d := b.durables[name]
		seq, p := uint64(0), (*fleet.Plan)(nil)
		if b.reach() == nil {
			seq, p = d.next()
		}
		if p == nil {
			d.waiting = append(d.waiting, t)
			t.sleep(30 * time.Second)
			continue
		}
		t.of.s.step(t.of, "received")
		if err := accept(context.Background(), p); err != nil {
			d.later(seq, between(t.of.rng, time.Second, 30*time.Second))
			continue
		}
		t.of.s.step(t.of, "accepted")
		d.ack(seq)
	}
}

func runActuator(r *replica) {
	a := &actuator{r.s}
	runExecutor(r, execute.Trade[action.State, action.Event, action.Effect]{
		Name: actuatorName, Kinds: []fleet.ActionKind{fleet.ActionLaunch}, Now: func() time.Time { return r.s.now },
		Tick: func(now time.Time) action.Event { return action.Tick{Now: now} }, Step: action.Step,
		Progress: func(s *action.State) execute.Progress {
			return execute.Progress{Begun: s.Phase != "" && s.Phase != action.Planned, NextAt: s.NextAt}
		},
		Describe: describeLaunch, Perform: a.perform,
	})
}

func describeLaunch(effect action.Effect) execute.Effect {
	switch e := effect.(type) {
	case action.Send:
		return execute.Effect{Changes: "launch"}
	case action.Stamp:
		return execute.Effect{Changes: "stamp"}
	case action.Report:
		return execute.Effect{Report: &fleet.Outcome{
			Phase: e.Phase, Step: e.Step, Class: e.Class, Message: e.Message, RequestID: e.RequestID, Instances: e.Instances, Failures: e.Failures,
		}}
	}
	return execute.Effect{}
}

func runDrainer(r *replica) {
	d := &drainer{r.s}
	runExecutor(r, execute.Trade[drain.State, drain.Event, drain.Effect]{
		Name: drainerName, Kinds: []fleet.ActionKind{fleet.ActionDrain, fleet.ActionRestore, fleet.ActionReap},
		Now: func() time.Time { return r.s.now }, Tick: func(now time.Time) drain.Event { return drain.Tick{Now: now} },
		Step: drain.Step, Cancel: func(now time.Time, why string) drain.Event { return drain.Cancel{Now: now, Why: why} },
		Progress: func(s *drain.State) execute.Progress {
			return execute.Progress{Begun: s.Phase != "" && s.Phase != drain.Planned, NextAt: s.NextAt}
		},
		Describe: describeDrain, Perform: d.perform,
	})
}

func describeDrain(effect drain.Effect) execute.Effect {
	switch e := effect.(type) {
	case drain.Look:
		return execute.Effect{}
	case drain.Report:
		return execute.Effect{Report: &fleet.Outcome{Phase: e.Phase, Step: e.Step, Class: e.Class, Message: e.Message}}
	}
	return execute.Effect{Changes: drain.StepName(effect)}
}

// did is what came of a change that a drain asked for.
func did(now time.Time, effect drain.Effect, err error) drain.Event {
	d := drain.Did{Now: now, What: effect}
	switch {
	case errors.Is(err, fleet.ErrTasksRunning):
		d.Busy, d.Message = true, err.Error()
	case err != nil:
		d.Class, d.Message = classOf(err), err.Error()
	}
	return d
}
