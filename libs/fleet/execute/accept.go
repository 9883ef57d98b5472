package execute

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// Accept takes a delivered plan into the ledger. When it returns nil the plan is
// acknowledged: all of it that is of this trade is recorded.
func (e *Core[S, E, F]) Accept(ctx context.Context, p *fleet.Plan) error {
	switch {
	case p.DryRun:
		return nil
	case !e.means.Serves(p.Cluster):
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
	e.means.Nudge()
	return nil
}

// record creates the record of an action, claimed, unless there is one.
func (e *Core[S, E, F]) record(ctx context.Context, p *fleet.Plan, a *fleet.Action) error {
	var state S
	r := Record{Cluster: p.Cluster, Plan: p.ID, PlannedAt: p.MadeAt, Action: *a, Trace: e.means.Observer.Trace(ctx), Owner: e.means.Owner}
	value, err := encode(&r, &state)
	if err != nil {
		return err
	}
	entry := Entry{Cluster: p.Cluster, Action: a.ID, Value: value}
	entry.Revision, err = e.means.Ledger.Create(ctx, p.Cluster, a.ID, value)
	switch {
	case errors.Is(err, fleet.ErrConflict):
		return nil // delivered before
	case err != nil:
		return err // written or not: the next delivery finds out
	}
	e.Observe(entry)
	e.means.Observer.Accepted(ctx, p, a)
	return nil
}

// close ends an earlier action that has not begun: a later plan has no use for it. One that
// has begun goes on to its own end, or is undone if the plan says so and its trade can.
func (e *Core[S, E, F]) close(ctx context.Context, p *fleet.Plan, c *fleet.Closure) error {
	const tries = 5 // against an owner that writes the record at the same time
	var err error
	for range tries {
		var entry Entry
		entry, err = e.means.Ledger.Get(ctx, p.Cluster, c.Action)
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
		if entry, err = put(ctx, e.means.Ledger, entry, value); err == nil {
			e.Observe(entry)
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
func (e *Core[S, E, F]) bury(ctx context.Context, p *fleet.Plan, c *fleet.Closure) error {
	var state S
	r := Record{Cluster: p.Cluster, Plan: p.ID, PlannedAt: p.MadeAt, Action: fleet.Action{ID: c.Action}, Closed: c}
	value, err := encode(&r, &state)
	if err != nil {
		return err
	}
	_, err = e.means.Ledger.Create(ctx, p.Cluster, c.Action, value)
	return err
}

// undoes reports whether a closure undoes an action that has begun.
func (e *Core[S, E, F]) undoes(c *fleet.Closure) bool {
	return e.trade.Cancel != nil && (c.Verdict == fleet.VerdictCancelled || c.Verdict == fleet.VerdictExpired)
}
