package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
)

// accept takes a delivered plan into the ledger. When it returns nil the plan is
// acknowledged: all of it that is of this trade is recorded.
func (e *Engine[S, E, F]) accept(ctx context.Context, d bus.Delivery) (err error) {
	ctx, span := d.Processing(ctx, e.process.Tracer, e.trade.Name)
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	p := &d.Plan
	switch {
	case p.DryRun:
		return nil
	case !e.cfg.Assignment.Serves(p.Cluster):
		return fmt.Errorf("%w: cluster %s is not among NEAP_CLUSTERS of this %s", fleet.ErrPaused, p.Cluster, e.trade.Name)
	}
	for i := range p.Closures {
		if err := e.close(ctx, p, &p.Closures[i]); err != nil {
			return err
		}
	}
	for i := range p.Actions {
		a := &p.Actions[i]
		if !slices.Contains(e.trade.Kinds, a.Kind) {
			continue
		}
		if r := a.Restore; r != nil && r.Drain != "" { // or the drain would begin again
			undone := fleet.Closure{Action: r.Drain, Verdict: fleet.VerdictCancelled, Evidence: a.Reason.String()}
			if err := e.close(ctx, p, &undone); err != nil {
				return err
			}
		}
		if err := e.record(ctx, p, a); err != nil {
			return err
		}
	}
	if err := e.point(PointRecorded); err != nil {
		return err
	}
	e.nudge()
	return nil
}

// record creates the record of an action, claimed, unless there is one.
func (e *Engine[S, E, F]) record(ctx context.Context, p *fleet.Plan, a *fleet.Action) error {
	var state S
	r := Record{Cluster: p.Cluster, Plan: p.ID, PlannedAt: p.MadeAt, Action: *a, Trace: traceParent(ctx), Owner: e.owner}
	value, err := encode(&r, &state)
	if err != nil {
		return err
	}
	entry := bus.Entry{Cluster: p.Cluster, Action: a.ID, Value: value}
	entry.Revision, err = e.bus.Ledger().Create(ctx, p.Cluster, a.ID, value)
	switch {
	case errors.Is(err, fleet.ErrConflict):
		return nil // delivered before
	case err != nil:
		return err // written or not: the next delivery finds out
	}
	e.observe(entry)
	e.process.Log.InfoContext(ctx, "accepted", "cluster", p.Cluster, "plan", p.ID.Short(), "action", a.ID.Short(), "kind", a.Kind, "reason", a.Reason.String())
	return nil
}

// close ends an earlier action that has not begun: a later plan has no use for it. One that
// has begun goes on to its own end, or is undone if the plan says so and its trade can.
func (e *Engine[S, E, F]) close(ctx context.Context, p *fleet.Plan, c *fleet.Closure) error {
	const tries = 5 // against an owner that writes the record at the same time
	var err error
	for range tries {
		var entry bus.Entry
		entry, err = e.bus.Ledger().Get(ctx, p.Cluster, c.Action)
		if errors.Is(err, fleet.ErrNotFound) {
			if err = e.bury(ctx, p, c); errors.Is(err, fleet.ErrConflict) {
				continue // recorded at this very moment
			}
			return err
		}
		if err != nil {
			return err
		}
		r, state, errDecode := decode[S](entry)
		if errDecode != nil || !slices.Contains(e.trade.Kinds, r.Action.Kind) {
			return nil //nolint:nilerr // of another trade, or nobody can read it: then nobody drives it either
		}
		if r.End != nil || r.Closed != nil || e.trade.Progress(&state).Begun && !e.undoes(c) {
			return nil
		}
		r.Closed = c
		value, errEncode := encode(&r, &state)
		if errEncode != nil {
			return errEncode
		}
		if entry, err = put(ctx, e.bus.Ledger(), entry, value); err == nil {
			e.observe(entry)
			return nil
		}
		if !errors.Is(err, fleet.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("close action %s: %w", c.Action.Short(), err)
}

// bury records an action that was closed before anybody recorded it: plans may be delivered
// out of order, and the older one must not begin what the newer one has ended.
func (e *Engine[S, E, F]) bury(ctx context.Context, p *fleet.Plan, c *fleet.Closure) error {
	var state S
	r := Record{Cluster: p.Cluster, Plan: p.ID, PlannedAt: p.MadeAt, Action: fleet.Action{ID: c.Action}, Closed: c}
	value, err := encode(&r, &state)
	if err != nil {
		return err
	}
	_, err = e.bus.Ledger().Create(ctx, p.Cluster, c.Action, value)
	return err
}

// undoes reports whether a closure undoes an action that has begun.
func (e *Engine[S, E, F]) undoes(c *fleet.Closure) bool {
	return e.trade.Cancel != nil && (c.Verdict == fleet.VerdictCancelled || c.Verdict == fleet.VerdictExpired)
}

// traceParent is the span in which a plan was made, in the form of W3C; empty if there is
// none.
func traceParent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

// withTrace continues the trace of a plan.
func withTrace(ctx context.Context, parent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
}
