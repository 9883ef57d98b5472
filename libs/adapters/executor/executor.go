// Package executor carries out the actions of plans. It is what the actuator and the
// drainer have in common; what differs, a state machine and the calls it asks for, is a
// [Trade].
//
// How an action is driven, and what is promised whatever crashes, is package execute; here
// it is connected: plans are consumed, the ledger is followed, due actions get their turns
// from a few hands, and what happens is logged, counted and traced.
package executor

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/codes"
	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
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
)

// Trade is what one kind of executor does.
type Trade[S, E, F any] = execute.Trade[S, E, F]

// Progress is what the executor must know of a state.
type Progress = execute.Progress

// Effect is what the executor must know of an effect.
type Effect = execute.Effect

// Job is an action in hand.
type Job = execute.Job

// Record is how far an action has got, as the ledger holds it.
type Record = execute.Record

// Point is a place in the life of an action where a crash would matter.
type Point = execute.Point

// The points at which a test may crash an executor.
const (
	PointRecorded  = execute.PointRecorded
	PointStored    = execute.PointStored
	PointIntent    = execute.PointIntent
	PointCalled    = execute.PointCalled
	PointPublished = execute.PointPublished
)

// Held makes an error for [Trade].Perform: the effect must wait, and nothing failed.
func Held(format string, args ...any) error { return execute.Held(format, args...) }

// Records reads the records of a cluster that are of a kind and not finished.
func Records(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName, kind fleet.ActionKind) ([]Record, error) {
	return execute.Records(ctx, b.Ledger(), cluster, kind)
}

// Engine drives the actions of a trade. Make one with [New].
type Engine[S, E, F any] struct {
	core    *execute.Core[S, E, F]
	trade   Trade[S, E, F]
	cfg     Config
	bus     *bus.Bus
	process *service.Process
	wake    chan struct{}
	crash   chan error // see Config.Crash
}

// New makes an engine; it does nothing until [Engine.Run].
func New[S, E, F any](p *service.Process, b *bus.Bus, cfg Config, trade Trade[S, E, F]) *Engine[S, E, F] {
	perform := trade.Perform
	trade.Perform = func(ctx context.Context, job Job, effect F) (E, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return perform(ctx, job, effect)
	}
	e := &Engine[S, E, F]{trade: trade, cfg: cfg, bus: b, process: p, wake: make(chan struct{}, 1), crash: make(chan error, 1)}
	e.core = execute.New(execute.Means{
		Generation: b.Generation(), Ledger: b.Ledger(), Control: b.Control(), Outcomes: b, Observer: newObserver(p),
		Now: time.Now, Serves: cfg.Assignment.Serves, Nudge: e.nudge,
		// Unique to this run: a process that was restarted must not take its predecessor,
		// which may still be at it, for itself.
		Owner: trade.Name + "/" + cfg.Assignment.Name() + "/" + rand.Text(),
		By:    trade.Name + "/" + cfg.Assignment.Name(),
		Tick:  cfg.Tick, StaleAfter: cfg.StaleAfter, Crash: e.point,
	}, trade)
	return e
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
	for wait := execute.FirstRetry; ctx.Err() == nil; wait = min(2*wait, execute.LongestRetry) {
		err := e.bus.Ledger().Watch(ctx, "", func(_ context.Context, entry bus.Entry) error {
			e.core.Observe(entry)
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
			for _, j := range e.core.Due(time.Now(), e.trade.Now()) {
				if !hands.TryGo(func() error { return e.core.Drive(ctx, j) }) {
					e.core.PutBack(j) // all hands are busy; the first that is free wakes us
				}
			}
			return nil
		})
	})
	return hands.Wait()
}

// sync makes sure that the time of AWS is known if there is anything to judge by it.
func (e *Engine[S, E, F]) sync(ctx context.Context) error {
	if e.trade.Sync == nil || e.core.Idle() {
		return nil
	}
	return e.trade.Sync(ctx)
}

// accept takes a delivered plan into the ledger.
func (e *Engine[S, E, F]) accept(ctx context.Context, d bus.Delivery) error {
	ctx, span := d.Processing(ctx, e.process.Tracer, e.trade.Name)
	defer span.End()
	err := e.core.Accept(ctx, &d.Plan)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

// release gives the claims back, so that another replica need not wait for them to become
// stale. What cannot be released in time will.
func (e *Engine[S, E, F]) release() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(e.cfg.Concurrency)
	for _, claim := range e.core.Claims() {
		g.Go(func() error { return e.core.Release(ctx, claim) })
	}
	if err := g.Wait(); err != nil {
		e.process.Log.Warn("claims were not all released; they become stale", "err", err)
	}
}

// point is where a test may crash the process.
func (e *Engine[S, E, F]) point(p Point) error {
	if e.cfg.Crash == nil {
		return nil
	}
	err := e.cfg.Crash(p)
	if err == nil {
		return nil
	}
	select {
	case e.crash <- fmt.Errorf("%w at %s: %w", execute.ErrCrash, p, err):
	default: // it is crashing already
	}
	return err
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
