package plan

import (
	"encoding/json"
	"fmt"

	"github.com/neap-project/neap/libs/fleet"
)

// Again makes a plan once more from its record, and returns both in their wire form, to be
// compared byte by byte. [fleet.ErrInvalid]: the record is not what the plan says that it was made
// from. [fleet.ErrVersion]: another version of the planner made it, which may well decide
// otherwise; both come back all the same.
func Again(p *fleet.Plan, r *fleet.Record) (was, is []byte, err error) {
	if err := belongs(p, r); err != nil {
		return nil, nil, err
	}
	again := Make(r.Snapshot, r.Policy, r.Memory)
	again.Trace = p.Trace // where it was made is no part of the decision
	if err := again.Seal(); err != nil {
		return nil, nil, err
	}
	if was, err = json.Marshal(p); err != nil {
		return nil, nil, fmt.Errorf("encode plan %s: %w", p.ID.Short(), err)
	}
	if is, err = json.Marshal(&again); err != nil {
		return nil, nil, fmt.Errorf("encode plan %s: %w", p.ID.Short(), err)
	}
	if p.MadeBy != Version {
		return was, is, fmt.Errorf("%w: plan %s was made by %q, this is %q", fleet.ErrVersion, p.ID.Short(), p.MadeBy, Version)
	}
	return was, is, nil
}

// belongs compares a record with what a plan says that it was made from.
func belongs(p *fleet.Plan, r *fleet.Record) error {
	if r.Plan != p.ID {
		return fmt.Errorf("%w: the record is of plan %s, not of %s", fleet.ErrInvalid, r.Plan.Short(), p.ID.Short())
	}
	snapshot := &r.Snapshot
	if !snapshot.IsCanonical() {
		snapshot = clone(snapshot)
		snapshot.Canonical()
	}
	policy := r.Policy.WithDefaults()
	for _, part := range []struct {
		what, want string
		digest     func() (string, error)
	}{{"snapshot", p.Snapshot, snapshot.Digest}, {"policy", p.Policy, policy.Digest}, {"memory", p.Memory, r.Memory.Digest}} {
		switch got, err := part.digest(); {
		case err != nil:
			return fmt.Errorf("%w: digest of the %s of plan %s: %w", fleet.ErrInvalid, part.what, p.ID.Short(), err)
		case got != part.want:
			return fmt.Errorf("%w: the %s of the record is not the one that plan %s was made from", fleet.ErrInvalid, part.what, p.ID.Short())
		}
	}
	return nil
}
