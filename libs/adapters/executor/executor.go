// Package executor carries out the actions of plans. It is what the actuator and the
// drainer have in common; what differs, a state machine and the calls it asks for, is a
// [Trade].
//
// An action goes from the PLAN stream into the LEDGER, and is driven from there by
// whichever replica has claimed it until its state machine is over:
//
//	plan ─▶ record (create) ─▶ plan acknowledged
//	record ─▶ step ─▶ state stored (compare-and-set) ─▶ effects ─▶ what came of them ─▶ step …
//
// What is promised, whatever crashes or is delivered twice:
//
//   - No effect is performed before the state that asked for it is stored. A compare-and-set
//     that is lost means that somebody else has the action: it is dropped at once.
//   - Before each call that changes AWS: the pause and the generation are read, the intent
//     is published, the record is written once more, and the pause is read again. Any
//     error on the way means that the call is not made.
//   - What a state machine reports is stored together with its state and published until
//     it has been: no outcome is lost between the two.
//   - A claim that its owner has let lie for [Config].StaleAfter after it was due passes to
//     another replica. Two owners at once are harmless: one loses the next compare-and-set.
package executor

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

// Config is what every executor can be told.
type Config struct {
	Assignment service.Assignment

	Installation string        `envconfig:"NEAP_INSTALLATION" default:"neap" desc:"owner tag of the instances that this installation launches and removes"`
	Tick         time.Duration `envconfig:"EXECUTOR_TICK" default:"1s" desc:"time between two looks at which actions are due"`
	Concurrency  int           `envconfig:"EXECUTOR_CONCURRENCY" default:"16" desc:"actions in hand at once"`
	StaleAfter   time.Duration `envconfig:"EXECUTOR_STALE_AFTER" default:"30s" desc:"an action that its owner has let lie for this long is taken over by another replica"`

	// Crash is for tests. It is called at every point where a crash would matter; an error
	// ends Run there and then, with nothing tidied up.
	Crash func(Point) error `ignored:"true" json:"-"`
}

// Point is a place in the life of an action where a crash would matter.
type Point string

// The points, in the order in which an action comes to them.
const (
	PointRecorded  Point = "recorded"  // the record is created, the plan is not acknowledged
	PointStored    Point = "stored"    // a state is stored, its effects are not performed
	PointIntent    Point = "intent"    // the intent is published, the call is not made
	PointCalled    Point = "called"    // the call was answered, the answer is not stored
	PointPublished Point = "published" // reports are published, but still stored as to be published
)

// Validate says which setting no executor could run with.
func (c Config) Validate() error {
	var errs []error
	if c.Installation == "" {
		errs = append(errs, service.Invalid("NEAP_INSTALLATION", c.Installation, "use a name, such as neap"))
	}
	if c.Tick <= 0 {
		errs = append(errs, service.Invalid("EXECUTOR_TICK", c.Tick, "use a duration above zero, such as 1s"))
	}
	if c.Concurrency < 1 || c.Concurrency > mostConcurrency {
		errs = append(errs, service.Invalid("EXECUTOR_CONCURRENCY", c.Concurrency, fmt.Sprintf("use a number from 1 to %d", mostConcurrency)))
	}
	if c.StaleAfter <= 0 {
		errs = append(errs, service.Invalid("EXECUTOR_STALE_AFTER", c.StaleAfter, "use a duration above zero, such as 30s"))
	}
	return errors.Join(errs...)
}

// mostConcurrency bounds the calls of one process; AWS's own limits are far below it.
const mostConcurrency = 1000

// How long things may take.
const (
	// callTimeout bounds one effect. It is below StaleAfter's default, so that an owner
	// that waits for AWS is not taken for dead, and below the time that a process has to
	// stop, so that a call in hand is finished and its answer stored.
	callTimeout = 18 * time.Second
	// releaseTimeout bounds giving the claims back when the process stops.
	releaseTimeout = 5 * time.Second
	// firstRetry and longestRetry bound the pause of an action whose turn failed.
	firstRetry   = time.Second
	longestRetry = 30 * time.Second
	// mostTransitions bounds one turn; no action needs a tenth of it.
	mostTransitions = 64
)

// Trade is what one kind of executor does: S is the state of its actions, E what happens to
// them, F the effects its state machine asks for. All functions must be safe for
// concurrent use.
type Trade[S, E, F any] struct {
	Name  string // of the service and of its durable consumer of plans
	Kinds []fleet.ActionKind

	Now      func() time.Time            // the server time of AWS
	Sync     func(context.Context) error // makes sure that Now is known; called often, nil if it always is
	Tick     func(now time.Time) E
	Step     func(a *fleet.Action, s S, e E) (S, []F) // pure
	Cancel   func(now time.Time, why string) E        // a plan undoes what has begun; nil if that cannot be
	Progress func(*S) Progress
	Describe func(F) Effect

	// Perform does an effect and returns what came of it. What failed is an event too; an
	// error means that nothing can be said, and the action is tried again later.
	Perform func(ctx context.Context, job Job, effect F) (E, error)
}

// Progress is what the executor must know of a state.
type Progress struct {
	Begun  bool      // something may have changed: a closure no longer ends the action
	Phase  string    // of the state machine, for people
	NextAt time.Time // nothing to do before; server time of AWS
}

// Effect is what the executor must know of an effect.
type Effect struct {
	// Changes is the name of the step if the effect changes AWS: the gate is passed and an
	// intent published before it.
	Changes string
	// Report is the outcome to publish, if that is all the effect is. Its identity, time and
	// author are filled in.
	Report *fleet.Outcome
}

// Job is an action in hand.
type Job struct {
	Cluster    fleet.ClusterName
	Generation uint64
	Plan       fleet.PlanID
	Action     *fleet.Action // not to be changed
	Trace      string        // trace ID of the decision; empty if it was not traced
}

// Engine drives the actions of a trade. Make one with [New].
type Engine[S, E, F any] struct {
	trade   Trade[S, E, F]
	cfg     Config
	bus     *bus.Bus
	process *service.Process
	meters  *meters
	owner   string
	wake    chan struct{}
	crash   chan error // see Config.Crash

	mu   sync.Mutex
	jobs map[key]*job[S] // every unfinished action of the ledger
}

// key identifies an action within a generation.
type key struct {
	cluster fleet.ClusterName
	action  fleet.ActionID
}

// New makes an engine; it does nothing until [Engine.Run].
func New[S, E, F any](p *service.Process, b *bus.Bus, cfg Config, trade Trade[S, E, F]) *Engine[S, E, F] {
	return &Engine[S, E, F]{
		trade: trade, cfg: cfg, bus: b, process: p,
		meters: newMeters(p.Meter),
		// Unique to this run: a process that was restarted must not take its predecessor,
		// which may still be at it, for itself.
		owner: trade.Name + "/" + cfg.Assignment.Name() + "/" + rand.Text(),
		wake:  make(chan struct{}, 1),
		crash: make(chan error, 1),
		jobs:  map[key]*job[S]{},
	}
}

// Run announces the service, takes in plans and drives actions until ctx ends; then it
// finishes the calls in hand, gives its claims back and returns nil.
func (e *Engine[S, E, F]) Run(ctx context.Context) error {
	stop, err := e.bus.Announce(ctx, e.trade.Name, service.Version(), e.cfg.Assignment.Name())
	if err != nil {
		return err
	}
	defer stop()
	defer e.measure()()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.bus.ConsumePlans(ctx, e.trade.Name, e.accept) })
	g.Go(func() error { return e.follow(ctx) })
	g.Go(func() error { return e.work(ctx) })
	g.Go(func() error {
		select {
		case err := <-e.crash:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	err = g.Wait()
	select {
	case crash := <-e.crash: // ctx ended in the same moment
		err = cmp.Or(err, crash)
	default:
	}
	if err != nil {
		return fmt.Errorf("%s: %w", e.trade.Name, err)
	}
	e.release()
	return nil
}

// follow keeps the jobs in step with the ledger. After an outage it reads all of it again.
func (e *Engine[S, E, F]) follow(ctx context.Context) error {
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, longestRetry) {
		err := e.bus.Ledger().Watch(ctx, "", func(_ context.Context, entry bus.Entry) error {
			e.observe(entry)
			return nil
		})
		if err == nil {
			return nil // ctx has ended
		}
		if errors.Is(err, bus.ErrTopology) || errors.Is(err, fleet.ErrDenied) {
			return fmt.Errorf("watch the ledger: %w", err)
		}
		e.process.Log.WarnContext(ctx, "waiting for the ledger", "err", err, "retry_in", wait)
		pause(ctx, wait)
	}
	return nil
}

// work gives every due action a turn, on each tick and whenever something wakes it.
func (e *Engine[S, E, F]) work(ctx context.Context) error {
	hands, ctx := errgroup.WithContext(ctx)
	hands.SetLimit(e.cfg.Concurrency + 1) // and the loop itself
	hands.Go(func() error {
		return e.process.Every(ctx, "drive", e.cfg.Tick, e.wake, func(ctx context.Context) error {
			if err := e.sync(ctx); err != nil {
				return err // what is due, and what is too late, cannot be told
			}
			for _, j := range e.due(time.Now(), e.trade.Now()) {
				if !hands.TryGo(func() error { return e.turn(ctx, j) }) {
					e.putBack(j) // all hands are busy; the first that is free wakes us
				}
			}
			return nil
		})
	})
	return hands.Wait()
}

// sync makes sure that the time of AWS is known if there is anything to judge by it.
func (e *Engine[S, E, F]) sync(ctx context.Context) error {
	e.mu.Lock()
	idle := len(e.jobs) == 0
	e.mu.Unlock()
	if idle || e.trade.Sync == nil {
		return nil
	}
	return e.trade.Sync(ctx)
}

// nudge wakes the loop.
func (e *Engine[S, E, F]) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
