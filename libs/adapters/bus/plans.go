package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/adapters/telemetry"
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
func (b *Bus) AppendPlan(ctx context.Context, p *fleet.Plan, after uint64) (_ uint64, err error) {
	ctx, span := b.sending(ctx, telemetry.SpanSendPlan, kindPlan, p.Cluster,
		telemetry.AttrPlan.String(string(p.ID)), telemetry.AttrActions.Int(len(p.Actions)))
	defer func() { span.end(err) }()
	if err := b.belongs(kindPlan, p.Generation); err != nil {
		return 0, fmt.Errorf("append plan %s of %s: %w", p.ID.Short(), p.Cluster, err)
	}
	encoded, err := fleet.Encode(p)
	if err != nil {
		return 0, fmt.Errorf("append plan %s of %s: %w", p.ID.Short(), p.Cluster, err)
	}
	msg := b.pack(ctx, kindPlan, p.Cluster, string(p.ID), encoded, compressAbove)
	span.carries(msg)
	seq, err := b.appendPlan(ctx, p, msg, after)
	if err != nil {
		return 0, fmt.Errorf("append plan %s of %s after %d: %w", p.ID.Short(), p.Cluster, after, err)
	}
	b.saw(p.Cluster, tail{plan: seq, end: seq})
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
		newest, t, readErr := b.lastPlan(look, p.Cluster)
		cancel()
		switch {
		case readErr != nil:
			return 0, fmt.Errorf("%w: %w; then %w", fleet.ErrUnknown, err, readErr)
		case t.plan > 0 && newest.ID == p.ID:
			return t.plan, nil
		case errors.Is(err, fleet.ErrConflict) || t.end != after:
			return 0, fmt.Errorf("%w: the chain has moved to %d; its last plan is %q", fleet.ErrConflict, t.end, newest.ID.Short())
		case ctx.Err() != nil:
			return 0, err
		}
	}
	return 0, err
}

// LastPlan reads the newest plan of a cluster from the leader, and the sequence at which
// its chain ends: the one to append after. That is the plan's own, unless a stranger has
// written behind it: what no release of Neap wrote is passed over. Without any plan ok is
// false, and the sequence 0 if there is nothing at all. A message of ours that cannot be
// read is an error: what it decided is not known. [ErrBackwards]: the stream holds less
// than this process has seen before.
func (b *Bus) LastPlan(ctx context.Context, cluster fleet.ClusterName) (p fleet.Plan, seq uint64, ok bool, err error) {
	p, t, err := b.lastPlan(ctx, cluster)
	return p, t.end, t.plan > 0, wrap(err, "last plan of %s", cluster)
}

// tail is where a chain ends: the sequence of its last plan, and of the last message on its
// subject. They differ when a stranger has written behind the plan.
type tail struct{ plan, end uint64 }

// lastPlan reads the newest plan of a cluster and where its chain ends.
func (b *Bus) lastPlan(ctx context.Context, cluster fleet.ClusterName) (fleet.Plan, tail, error) {
	m, ok, err := last(ctx, b.plans, subjectOf(b.generation, kindPlan, cluster))
	if err == nil {
		err = b.notBackwards(ctx, cluster, m.seq)
	}
	if err != nil || !ok {
		return fleet.Plan{}, tail{}, err
	}
	t := tail{plan: m.seq, end: m.seq}
	if foreign(m) {
		if m, t, err = b.passOver(ctx, cluster, m.seq); err != nil || t.plan == 0 {
			return fleet.Plan{}, t, err
		}
	}
	p, err := unpack[fleet.Plan](ctx, b, m)
	if err == nil {
		b.saw(cluster, t)
	}
	return p, t, err
}

// passOver finds the last plan before the foreign messages at the end of a chain. It looks
// at headers only, from where this process knew the chain to end, and keeps how far it got:
// however many there are, each is looked at once.
func (b *Bus) passOver(ctx context.Context, cluster fleet.ClusterName, end uint64) (raw, tail, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	subject := subjectOf(b.generation, kindPlan, cluster)
	t, strangers := b.known(cluster), 0
	if t.end < end {
		err := b.read(ctx, b.plans, jetstream.OrderedConsumerConfig{
			FilterSubjects: []string{subject}, InactiveThreshold: idleReader, HeadersOnly: true,
			DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: t.end + 1,
		}, func(m raw, _ uint64) error {
			t.end = m.seq
			if foreign(m) {
				strangers++
			} else {
				t.plan = m.seq
			}
			if m.seq >= end {
				return errStop
			}
			return nil
		})
		b.saw(cluster, t)
		if !errors.Is(err, errStop) {
			return raw{}, tail{end: end}, fmt.Errorf("pass over what no release of Neap wrote on %s: %w", subject, silent(err))
		}
		b.cfg.Log.WarnContext(ctx, "passed over messages that no release of Neap wrote; somebody else may publish on our subjects",
			"subject", subject, "messages", strangers, "until", t.end, "last_plan", t.plan)
	}
	if t.plan == 0 {
		return raw{}, t, nil
	}
	m, err := b.plans.GetMsg(ctx, t.plan)
	if errors.Is(err, jetstream.ErrMsgNotFound) { // expired, as a chain of its own would have
		return raw{}, tail{end: t.end}, nil
	}
	if err != nil {
		return raw{}, t, fmt.Errorf("read plan %d: %w", t.plan, silent(err))
	}
	return rawOf(m), t, nil
}

// notBackwards checks a cluster's newest sequence against what this process knows. Plans
// may have expired since, but the stream's own sequence never falls.
func (b *Bus) notBackwards(ctx context.Context, cluster fleet.ClusterName, seq uint64) error {
	seen := b.known(cluster).end
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

// known is the end of a chain as far as this process has seen it.
func (b *Bus) known(cluster fleet.ClusterName) tail {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[cluster]
}

func (b *Bus) saw(cluster fleet.ClusterName, t tail) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.end > b.seen[cluster].end {
		b.seen[cluster] = t
	}
}

// Plans yields the plans of a cluster in order, from a sequence to the newest at the time
// of the call. A plan that this build cannot read comes with its sequence and an error; an
// error with sequence 0 ends the iteration. [ErrForeign] is no plan and no gap in the chain.
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
