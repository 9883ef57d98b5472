package bus

import (
	"context"
	"fmt"
	"iter"

	"github.com/neap-project/neap/libs/fleet"
)

// PublishOutcome stores an outcome. Its message ID is derived from its content, so a
// repetition within two minutes is stored once; readers bear later ones. An executor
// makes no mutating call before its intent was stored: on any error, do not call.
func (b *Bus) PublishOutcome(ctx context.Context, o *fleet.Outcome) error {
	if err := b.belongs(kindOutcome, o.Generation); err != nil {
		return fmt.Errorf("publish outcome of action %s: %w", o.Action.Short(), err)
	}
	encoded, err := fleet.Encode(o)
	if err != nil {
		return fmt.Errorf("publish outcome of action %s: %w", o.Action.Short(), err)
	}
	msg := b.pack(ctx, kindOutcome, o.Cluster, fleet.Digest(encoded), encoded, compressAbove)
	if _, err := b.publish(ctx, msg); err != nil {
		return fmt.Errorf("publish outcome of action %s: %w", o.Action.Short(), err)
	}
	return nil
}

// Outcomes yields the outcomes of a cluster in order, from a sequence to the newest at the
// time of the call. One that this build cannot read comes with its sequence and an error;
// an error with sequence 0 ends the iteration.
func (b *Bus) Outcomes(ctx context.Context, cluster fleet.ClusterName, from uint64) iter.Seq2[Stored[fleet.Outcome], error] {
	return history[fleet.Outcome](ctx, b, b.outcomes, subjectOf(b.generation, kindOutcome, cluster), from)
}

// WatchOutcomes calls f with every outcome of every cluster that is stored from now on. It
// returns nil when ctx ends, or the error of f.
func (b *Bus) WatchOutcomes(ctx context.Context, f func(context.Context, Stored[fleet.Outcome]) error) error {
	return follow(ctx, b, b.outcomes, kindOutcome, f)
}
