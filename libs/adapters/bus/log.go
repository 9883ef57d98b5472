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

// idleReader is how long the server keeps the position of a reader that went away.
const idleReader = 30 * time.Second

// last reads the newest message on a subject. On streams without direct reads it comes
// from the leader.
func last(ctx context.Context, s jetstream.Stream, subject string) (raw, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return raw{}, false, nil
	}
	if err != nil {
		return raw{}, false, fmt.Errorf("read the last message on %s: %w", subject, translate(err))
	}
	return rawOf(m), true, nil
}

// history yields the messages on a subject from a sequence to the newest at the time of
// the call. A message that cannot be read is yielded with its sequence and the error, and
// the next one follows; an error without a sequence ends it.
func history[T fleet.Message](ctx context.Context, b *Bus, s jetstream.Stream, subject string, from uint64) iter.Seq2[Stored[T], error] {
	return func(yield func(Stored[T], error) bool) {
		newest, ok, err := last(ctx, s, subject)
		if err != nil {
			yield(Stored[T]{}, err)
			return
		}
		if !ok || newest.seq < from {
			return
		}
		err = b.read(ctx, s, jetstream.OrderedConsumerConfig{
			FilterSubjects: []string{subject}, InactiveThreshold: idleReader,
			DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1),
		}, func(m raw, behind uint64) error {
			v, err := unpack[T](ctx, b, m)
			if !yield(Stored[T]{Value: v, Seq: m.seq, At: m.at, Trace: traceOf(m.header)}, err) || m.seq >= newest.seq || behind == 0 {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Stored[T]{}, err)
		}
	}
}

// follow calls f with every message that is stored from now on, until ctx ends (then the
// result is nil) or f fails. What cannot be read is logged and skipped.
func follow[T fleet.Message](ctx context.Context, b *Bus, s jetstream.Stream, kind string, f func(context.Context, Stored[T]) error) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	info, err := s.Info(call)
	cancel()
	if err != nil {
		return fmt.Errorf("watch %ss: %w", kind, translate(err))
	}
	err = b.read(ctx, s, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subjectPrefix(b.generation, kind) + "*"}, InactiveThreshold: idleReader,
		// By sequence, not "new": so nothing is missed if the connection breaks at once.
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: info.State.LastSeq + 1,
	}, func(m raw, _ uint64) error {
		v, err := unpack[T](ctx, b, m)
		if err != nil {
			b.cfg.Log.WarnContext(ctx, "skipped a message", "kind", kind, "sequence", m.seq, "error", err)
			return nil
		}
		return f(withTrace(ctx, m.header), Stored[T]{Value: v, Seq: m.seq, At: m.at, Trace: traceOf(m.header)})
	})
	if ended(ctx) {
		return nil
	}
	return err
}

// errStop ends a read from within.
var errStop = errors.New("stop")

// read calls f with the messages of a stream in order and how many are left behind each,
// until f returns an error, which is returned, or ctx ends. Breaks of the connection are
// bridged without loss.
func (b *Bus) read(ctx context.Context, s jetstream.Stream, cfg jetstream.OrderedConsumerConfig, f func(m raw, behind uint64) error) error {
	name := s.CachedInfo().Config.Name
	cons, err := s.OrderedConsumer(ctx, cfg)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, translate(err))
	}
	defer b.forget(cons)
	messages, err := cons.Messages(jetstream.PullMaxMessages(readAhead))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, translate(err))
	}
	defer messages.Stop()
	// A reader that is waiting for NATS to come back is woken by Stop alone.
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, translate(err))
		}
		m, meta, err := rawFrom(msg)
		if err != nil {
			return err
		}
		if err := f(m, meta.NumPending); err != nil {
			return err
		}
	}
}

// readAhead is how many messages a reader asks for at once: at 256 KiB each, 16 MiB.
const readAhead = 64

// forget deletes a reader's position on the server; left alone it would expire.
func (b *Bus) forget(cons jetstream.Consumer) {
	info := cons.CachedInfo()
	if info == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// Nothing depends on it: the server drops idle positions by itself.
	_ = b.js.DeleteConsumer(ctx, info.Stream, info.Name)
}

// publish stores a message and returns its sequence.
func (b *Bus) publish(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if room := b.conn.MaxPayload() - headerRoom; int64(len(msg.Data)) > room {
		return nil, fmt.Errorf("%w: a message of %d bytes; the server takes %d", fleet.ErrInvalid, len(msg.Data), room)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ack, err := b.js.PublishMsg(ctx, msg, opts...)
	return ack, unsure(err)
}
