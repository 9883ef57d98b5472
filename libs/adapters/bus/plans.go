package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/fleet"
)

// appendTries bounds how often an append whose result is unknown is sent again. The same
// bytes with the same expectation can be stored only once.
const appendTries = 3

// lookTimeout bounds the look at the chain after that: a process that is told to stop has
// half a minute for everything.
const lookTimeout = 2 * time.Second

// AppendPlan adds a sealed plan to its cluster's chain if the last plan of the chain is
// still the one at sequence after (0: there is none yet). It returns the plan's sequence.
//
// [fleet.ErrConflict]: somebody else appended first; read again, plan again.
// [fleet.ErrUnknown]: NATS did not answer; the next LastPlan tells. A plan that turns out
// to be stored already counts as appended, so the call may be repeated.
func (b *Bus) AppendPlan(ctx context.Context, p *fleet.Plan, after uint64) (uint64, error) {
	if err := b.belongs(kindPlan, p.Generation); err != nil {
		return 0, fmt.Errorf("append plan %s of %s: %w", p.ID.Short(), p.Cluster, err)
	}
	encoded, err := fleet.Encode(p)
	if err != nil {
		return 0, fmt.Errorf("append plan %s of %s: %w", p.ID.Short(), p.Cluster, err)
	}
	msg := b.pack(ctx, kindPlan, p.Cluster, string(p.ID), encoded, compressAbove)
	seq, err := b.appendPlan(ctx, p, msg, after)
	if err != nil {
		return 0, fmt.Errorf("append plan %s of %s after %d: %w", p.ID.Short(), p.Cluster, after, err)
	}
	b.saw(p.Cluster, seq)
	return seq, nil
}

func (b *Bus) appendPlan(ctx context.Context, p *fleet.Plan, msg *nats.Msg, after uint64) (uint64, error) {
	var err error
	for range appendTries {
		var ack *jetstream.PubAck
		ack, err = b.publish(ctx, msg, jetstream.WithExpectLastSequencePerSubject(after))
		if err == nil {
			return ack.Sequence, nil
		}
		if !errors.Is(err, fleet.ErrConflict) && !errors.Is(err, fleet.ErrUnknown) {
			return 0, err
		}
		// Lost or unknown: the chain itself knows. It is asked even when the caller has
		// given up, for a committed plan must not be taken for a lost one.
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
		newest, seq, ok, readErr := b.LastPlan(look, p.Cluster)
		cancel()
		switch {
		case readErr != nil:
			return 0, fmt.Errorf("%w: %w; then %w", fleet.ErrUnknown, err, readErr)
		case ok && newest.ID == p.ID:
			return seq, nil
		case errors.Is(err, fleet.ErrConflict) || seq != after:
			return 0, fmt.Errorf("%w: the chain has moved to %s at %d", fleet.ErrConflict, newest.ID.Short(), seq)
		case ctx.Err() != nil:
			return 0, err
		}
	}
	return 0, err
}

// LastPlan reads the newest plan of a cluster and its sequence, from the leader. Without
// any plan ok is false and the sequence 0. [ErrBackwards]: the stream holds less than this
// process has seen before.
func (b *Bus) LastPlan(ctx context.Context, cluster fleet.ClusterName) (p fleet.Plan, seq uint64, ok bool, err error) {
	m, ok, err := last(ctx, b.plans, subjectOf(b.generation, kindPlan, cluster))
	if err == nil {
		err = b.notBackwards(ctx, cluster, m.seq)
	}
	if err != nil || !ok {
		return fleet.Plan{}, 0, false, wrap(err, "last plan of %s", cluster)
	}
	p, err = unpack[fleet.Plan](ctx, b, m)
	if err != nil {
		return fleet.Plan{}, m.seq, true, wrap(err, "last plan of %s", cluster)
	}
	b.saw(cluster, m.seq)
	return p, m.seq, true, nil
}

// notBackwards checks a cluster's newest sequence against what this process knows. Plans
// may have expired since, but the stream's own sequence never falls.
func (b *Bus) notBackwards(ctx context.Context, cluster fleet.ClusterName, seq uint64) error {
	b.mu.Lock()
	seen := b.seen[cluster]
	b.mu.Unlock()
	if seq >= seen {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	info, err := b.plans.Info(ctx)
	if err != nil {
		return translate(err)
	}
	if seq == 0 && info.State.LastSeq >= seen {
		return nil
	}
	return fmt.Errorf("%w: plan %d of %s was there and the newest is %d; stop, and begin a new generation with \"neap bootstrap --generation %d\"",
		ErrBackwards, seen, cluster, seq, b.generation+1)
}

func (b *Bus) saw(cluster fleet.ClusterName, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[cluster] = max(b.seen[cluster], seq)
}

// Plans yields the plans of a cluster in order, from a sequence to the newest at the time
// of the call. A plan that this build cannot read comes with its sequence and an error; an
// error with sequence 0 ends the iteration.
func (b *Bus) Plans(ctx context.Context, cluster fleet.ClusterName, from uint64) iter.Seq2[Stored[fleet.Plan], error] {
	return history[fleet.Plan](ctx, b, b.plans, subjectOf(b.generation, kindPlan, cluster), from)
}

// WatchPlans calls f with every plan of every cluster that is appended from now on, for
// those who look on. It returns nil when ctx ends, or the error of f. Executors use
// [Bus.ConsumePlans].
func (b *Bus) WatchPlans(ctx context.Context, f func(context.Context, Stored[fleet.Plan]) error) error {
	return follow(ctx, b, b.plans, kindPlan, f)
}

// Delivery is a plan handed to an executor.
type Delivery struct {
	Plan    fleet.Plan
	Seq     uint64
	At      time.Time // when NATS stored it
	Attempt int       // 1 on the first delivery, counted over all replicas
}

// wrap adds what was being done to an error; nil stays nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
