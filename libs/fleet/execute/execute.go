// Package execute is how actions of plans are carried out, whatever carries them out: what
// the actuator and the drainer have in common, without a connection, a clock or a log. What
// differs, a state machine and the calls it asks for, is a [Trade]; what is outside, the
// ledger, the red button, the outcomes and the time, are [Means]. So the services and a
// simulation of them run the same code.
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
//   - A claim that its owner has let lie for [Means].StaleAfter after it was due passes to
//     another replica. Two owners at once are harmless: one loses the next compare-and-set.
package execute

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

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

// How long things may take.
const (
	// FirstRetry and LongestRetry bound the pause of an action whose turn failed.
	FirstRetry   = time.Second
	LongestRetry = 30 * time.Second
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

// Entry is one record of the ledger.
type Entry struct {
	Cluster  fleet.ClusterName
	Action   fleet.ActionID
	Value    []byte
	Revision uint64 // for Update; grows with every change
	At       time.Time
}

// Decode reads the record as JSON.
func (e Entry) Decode(into any) error {
	d := json.NewDecoder(bytes.NewReader(e.Value))
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: ledger record of action %s: %w", fleet.ErrInvalid, e.Action.Short(), err)
	}
	return nil
}

// Ledger is the record of how far executors got, read from the leader and changed by
// compare-and-set. Errors: [fleet.ErrNotFound], [fleet.ErrConflict], and [fleet.ErrUnknown]
// where it may have been written.
type Ledger interface {
	Get(context.Context, fleet.ClusterName, fleet.ActionID) (Entry, error)
	Create(ctx context.Context, cluster fleet.ClusterName, id fleet.ActionID, value []byte) (uint64, error)
	Update(ctx context.Context, cluster fleet.ClusterName, id fleet.ActionID, value []byte, revision uint64) (uint64, error)
	List(context.Context, fleet.ClusterName) ([]Entry, error)
}

// Control is what people have set: policies, the red button, the current generation.
type Control interface {
	Policy(context.Context, fleet.ClusterName) (fleet.Policy, uint64, error)
	Paused(context.Context, fleet.ClusterName) (fleet.Pause, error)
	Generation(context.Context) (uint64, error)
}

// Outcomes is where what happened is told.
type Outcomes interface {
	PublishOutcome(context.Context, *fleet.Outcome) error
}

// Observer is told what happens, for logs, metrics and traces. Nothing depends on it.
type Observer interface {
	Accepted(context.Context, *fleet.Plan, *fleet.Action)
	Unreadable(Entry, error)
	Held(ctx context.Context, r *Record, why string)
	Failed(ctx context.Context, r *Record, err error, failures int, retryAt time.Time)
	NotRead(context.Context, *Record, error)
	Told(context.Context, *Record, *fleet.Outcome)
	Begin(ctx context.Context, r *Record, step string) (context.Context, func(error)) // of a span, and its end

	Trace(context.Context) string                                 // the span of a context, in the form of W3C
	WithTrace(ctx context.Context, parent string) context.Context // continues it
	TraceID(parent string) string
}

// Means are what is outside of an executor.
type Means struct {
	Generation uint64 // that this process was started in
	Ledger     Ledger
	Control    Control
	Outcomes   Outcomes
	Observer   Observer
	Now        func() time.Time             // the local clock, which paces turns and nothing else
	Serves     func(fleet.ClusterName) bool // whether this process looks after a cluster
	Nudge      func()                       // something may be due
	Owner      string                       // unique to this run
	By         string                       // service and replica, for people
	Tick       time.Duration                // pause of an action that is held
	StaleAfter time.Duration                // a claim that was let lie for so long is taken over
	Crash      func(Point) error            // for tests; may be nil
}

// Core drives the actions of a trade. Make one with [New].
type Core[S, E, F any] struct {
	trade Trade[S, E, F]
	means Means

	mu   sync.Mutex
	jobs map[key]*Turn[S] // every unfinished action of the ledger
}

// key identifies an action within a generation.
type key struct {
	cluster fleet.ClusterName
	action  fleet.ActionID
}

// New makes a core with nothing in hand.
func New[S, E, F any](means Means, trade Trade[S, E, F]) *Core[S, E, F] {
	return &Core[S, E, F]{trade: trade, means: means, jobs: map[key]*Turn[S]{}}
}
