package execute

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// ErrCrash ends a turn in its middle: a test wants it.
var ErrCrash = errors.New("crash")

// errStopping ends a turn between two effects because the process is to stop.
var errStopping = errors.New("stopping")

// hand is one action during one turn.
type hand[S, E, F any] struct {
	*Core[S, E, F]
	entry  Entry  // as stored
	record Record // as it is to be stored
	state  S
}

// Drive drives an action as far as it goes now and decides when it gets its next turn. Only
// a crash is an error.
func (e *Core[S, E, F]) Drive(ctx context.Context, j *Turn[S]) error {
	e.mu.Lock()
	h := &hand[S, E, F]{Core: e, entry: j.entry, record: j.record, state: j.state}
	e.mu.Unlock()

	err := h.drive(e.means.Observer.WithTrace(ctx, h.record.Trace))
	retryAt := time.Time{}
	var held *heldError
	switch {
	case err == nil:
		j.failures, j.held = 0, ""
	case errors.Is(err, ErrCrash):
		return err
	case errors.Is(err, errStopping):
	case errors.Is(err, fleet.ErrConflict):
		h.refresh(ctx) // somebody else has it; what they wrote decides
	case errors.As(err, &held):
		retryAt = e.means.Now().Add(e.means.Tick)
		if why := err.Error(); why != j.held {
			j.held = why
			e.means.Observer.Held(ctx, &h.record, why)
		}
	default:
		j.failures++
		retryAt = e.means.Now().Add(min(FirstRetry<<min(j.failures-1, 10), LongestRetry))
		e.means.Observer.Failed(ctx, &h.record, err, j.failures, retryAt)
	}
	e.settle(j, retryAt)
	return nil
}

// drive steps the state machine with the time, then with what came of its effects, until
// nothing more happens.
func (h *hand[S, E, F]) drive(ctx context.Context) error {
	h.record.Owner = h.means.Owner
	if err := h.flush(ctx); err != nil || h.record.Finished() {
		return err
	}
	begun, now := h.trade.Progress(&h.state).Begun, h.trade.Now()
	events := []E{h.trade.Tick(now)}
	switch {
	case h.record.Closed != nil && !begun:
		return h.cancelled(ctx)
	case h.record.Closed != nil && !h.record.Cancelled:
		h.record.Cancelled = true
		events = []E{h.trade.Cancel(now, h.record.Closed.Evidence)}
	case !begun && !now.After(h.record.Action.Deadline):
		if err := h.mayBegin(ctx); err != nil {
			return err
		}
	}
	for n := 0; len(events) > 0; n++ {
		if n == mostTransitions {
			return fmt.Errorf("%w: action %s made %d steps in one turn", fleet.ErrInvalid, h.record.Action.ID.Short(), n)
		}
		more, err := h.step(ctx, events[0])
		if err != nil {
			return err
		}
		events = append(events[1:], more...)
	}
	return nil
}

// step makes one transition: the new state is stored, then what it asks for is done.
func (h *hand[S, E, F]) step(ctx context.Context, event E) ([]E, error) {
	state, effects := h.trade.Step(&h.record.Action, h.state, event)
	h.state = state
	var calls []F
	for _, effect := range effects {
		if report := h.trade.Describe(effect).Report; report != nil {
			h.report(*report)
		} else {
			calls = append(calls, effect)
		}
	}
	if err := h.store(ctx); err != nil {
		return nil, err
	}
	if err := h.point(PointStored); err != nil {
		return nil, err
	}
	if err := h.flush(ctx); err != nil {
		return nil, err
	}
	var events []E
	for _, call := range calls {
		event, err := h.perform(ctx, call)
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

// perform does one effect, behind the gate if it changes AWS. An effect that has begun is
// finished even when the process is to stop.
func (h *hand[S, E, F]) perform(ctx context.Context, effect F) (E, error) {
	var none E
	if ctx.Err() != nil {
		return none, errStopping
	}
	name := h.trade.Describe(effect).Changes
	if name == "" {
		return h.call(ctx, effect)
	}
	ctx, end := h.means.Observer.Begin(ctx, &h.record, name)
	if err := h.gate(ctx, name); err != nil {
		end(err)
		return none, err
	}
	event, err := h.call(ctx, effect)
	end(err)
	if err != nil {
		return none, err
	}
	return event, h.point(PointCalled)
}

func (h *hand[S, E, F]) call(ctx context.Context, effect F) (E, error) {
	return h.trade.Perform(context.WithoutCancel(ctx), h.job(), effect)
}

func (h *hand[S, E, F]) job() Job {
	return Job{
		Cluster: h.record.Cluster, Generation: h.means.Generation, Plan: h.record.Plan,
		Action: &h.record.Action, Trace: h.means.Observer.TraceID(h.record.Trace),
	}
}

// store writes the record by compare-and-set if it differs from what is stored.
func (h *hand[S, E, F]) store(ctx context.Context) error {
	value, err := encode(&h.record, &h.state)
	if err != nil {
		return err
	}
	if bytes.Equal(value, h.entry.Value) {
		return nil
	}
	entry, err := put(context.WithoutCancel(ctx), h.means.Ledger, h.entry, value)
	if err != nil {
		return err
	}
	h.entry = entry
	h.Observe(entry)
	return nil
}

// refresh reads the record anew after a compare-and-set was lost.
func (h *hand[S, E, F]) refresh(ctx context.Context) {
	entry, err := h.means.Ledger.Get(context.WithoutCancel(ctx), h.record.Cluster, h.record.Action.ID)
	if err != nil {
		h.means.Observer.NotRead(ctx, &h.record, err)
		return
	}
	h.Observe(entry)
}

// report notes an outcome to be stored with the state and published after.
func (h *hand[S, E, F]) report(o fleet.Outcome) {
	o = h.outcome(o)
	h.record.Outbox = append(slices.Clone(h.record.Outbox), o) // jobs share the old one
	if o.Phase == fleet.PhaseFinal {
		h.record.End = &o
	}
}

// outcome fills in what all outcomes of the action have.
func (h *hand[S, E, F]) outcome(o fleet.Outcome) fleet.Outcome {
	o.Cluster, o.Generation = h.record.Cluster, h.means.Generation
	o.Plan, o.Action, o.Kind, o.Of = h.record.Plan, h.record.Action.ID, h.record.Action.Kind, h.record.Action.Of()
	o.Attempt, o.At, o.By = h.record.Calls, h.trade.Now(), h.means.By
	return o
}

// flush publishes what is stored as to be published, then stores that it has been. A crash
// in between publishes it twice, which readers bear.
func (h *hand[S, E, F]) flush(ctx context.Context) error {
	if len(h.record.Outbox) == 0 {
		return nil
	}
	for i := range h.record.Outbox {
		if err := h.means.Outcomes.PublishOutcome(context.WithoutCancel(ctx), &h.record.Outbox[i]); err != nil {
			return err
		}
	}
	if err := h.point(PointPublished); err != nil {
		return err
	}
	for i := range h.record.Outbox {
		h.means.Observer.Told(ctx, &h.record, &h.record.Outbox[i])
	}
	h.record.Outbox = nil
	if h.record.Finished() {
		h.record.slim()
	}
	return h.store(ctx)
}

// cancelled ends an action that a plan closed before it had begun.
func (h *hand[S, E, F]) cancelled(ctx context.Context) error {
	c := h.record.Closed
	h.report(fleet.Outcome{
		Phase: fleet.PhaseFinal, Step: string(c.Verdict), Class: fleet.FailureStale,
		Message: "closed by a plan before it had begun: " + c.Evidence,
	})
	if err := h.store(ctx); err != nil {
		return err
	}
	return h.flush(ctx)
}

// point is where a test may crash the process.
func (e *Core[S, E, F]) point(p Point) error {
	if e.means.Crash == nil {
		return nil
	}
	if err := e.means.Crash(p); err != nil {
		return fmt.Errorf("%w at %s: %w", ErrCrash, p, err)
	}
	return nil
}
