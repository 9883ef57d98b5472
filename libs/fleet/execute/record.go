package execute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// Record is how far an action has got, as the ledger holds it.
type Record struct {
	Cluster   fleet.ClusterName `json:"cluster"`
	Plan      fleet.PlanID      `json:"plan"`
	PlannedAt time.Time         `json:"plannedAt"`
	Action    fleet.Action      `json:"action"` // once it is finished only what identifies it
	Trace     string            `json:"trace,omitempty"`

	Owner  string          `json:"owner,omitempty"` // who drives it; empty is nobody
	Calls  int             `json:"calls,omitempty"` // times a call was about to be made
	State  json.RawMessage `json:"state,omitempty"` // of the trade's state machine
	Outbox []fleet.Outcome `json:"outbox,omitempty"`

	Closed    *fleet.Closure `json:"closed,omitempty"`    // a later plan wants it ended or undone
	Cancelled bool           `json:"cancelled,omitempty"` // and its state machine has been told
	End       *fleet.Outcome `json:"end,omitempty"`       // its final outcome
}

// Finished reports whether nothing is left to do for the action.
func (r *Record) Finished() bool { return r.End != nil && len(r.Outbox) == 0 }

// slim drops what a finished action no longer needs. Its record stays for a month, so that
// a plan delivered late finds it done; thousands of them must fit into the bucket.
func (r *Record) slim() {
	a := &r.Action
	r.Action = fleet.Action{ID: a.ID, Kind: a.Kind, Deadline: a.Deadline}
	r.Owner, r.State = "", nil
}

// Records reads the records of a cluster that are of a kind and not finished.
func Records(ctx context.Context, l Ledger, cluster fleet.ClusterName, kind fleet.ActionKind) ([]Record, error) {
	entries, err := l.List(ctx, cluster)
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, entry := range entries {
		var r Record
		if err := entry.Decode(&r); err != nil {
			return nil, err
		}
		if r.Action.Kind == kind && !r.Finished() {
			records = append(records, r)
		}
	}
	return records, nil
}

// encode writes a record with a state.
func encode[S any](r *Record, state *S) ([]byte, error) {
	if !r.Finished() {
		var err error
		if r.State, err = json.Marshal(state); err != nil {
			return nil, fmt.Errorf("state of action %s: %w", r.Action.ID.Short(), err)
		}
	}
	value, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("ledger record of action %s: %w", r.Action.ID.Short(), err)
	}
	return value, nil
}

// decode reads a record and its state.
func decode[S any](entry Entry) (r Record, state S, err error) {
	if err := entry.Decode(&r); err != nil {
		return r, state, err
	}
	if len(r.State) > 0 {
		if err := json.Unmarshal(r.State, &state); err != nil {
			return r, state, fmt.Errorf("%w: state of action %s: %w", fleet.ErrInvalid, entry.Action.Short(), err)
		}
	}
	if r.Cluster != entry.Cluster || r.Action.ID != entry.Action {
		return r, state, fmt.Errorf("%w: the ledger record of action %s is about another: %s of %s", fleet.ErrInvalid, entry.Action.Short(), r.Action.ID.Short(), r.Cluster)
	}
	return r, state, nil
}

// put writes a record by compare-and-set. If the answer is lost the ledger itself tells
// whether it was written.
func put(ctx context.Context, l Ledger, entry Entry, value []byte) (Entry, error) {
	revision, err := l.Update(ctx, entry.Cluster, entry.Action, value, entry.Revision)
	if errors.Is(err, fleet.ErrUnknown) {
		now, errGet := l.Get(ctx, entry.Cluster, entry.Action)
		switch {
		case errGet != nil:
			return entry, errors.Join(err, errGet)
		case string(now.Value) != string(value):
			return entry, fmt.Errorf("%w: somebody else changed the record of action %s", fleet.ErrConflict, entry.Action.Short())
		}
		return now, nil
	}
	if err != nil {
		return entry, err
	}
	entry.Value, entry.Revision = value, revision
	return entry, nil
}
