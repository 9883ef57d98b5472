package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// PublishSnapshot stores the newest view of a cluster: compressed, in one message, or
// through the object store if it is larger than the configuration allows. A view that is
// older than the stored one is refused with [fleet.ErrConflict]; it is of no use.
func (b *Bus) PublishSnapshot(ctx context.Context, s *fleet.Snapshot) (err error) {
	what := func(err error) error { return wrap(err, "publish snapshot of %s", s.Cluster) }
	ctx, span := b.sending(ctx, telemetry.SpanSendSnapshot, kindSnapshot, s.Cluster)
	defer func() { span.end(err) }()
	if err := b.belongs(kindSnapshot, s.Generation); err != nil {
		return what(err)
	}
	encoded, err := fleet.Encode(s)
	if err != nil {
		return what(err)
	}
	const always = -1 // compress whatever the size
	msg := b.pack(ctx, kindSnapshot, s.Cluster, "", encoded, always)
	readAt := s.ReadStartedAt.UTC().Format(time.RFC3339Nano)
	msg.Header.Set(headerReadAt, readAt)
	// The content decides the ID: two watchers that saw the same store it once.
	msg.Header.Set(jetstream.MsgIDHeader, readAt+"."+msg.Header.Get(headerSHA256))
	span.carries(msg)
	if err := b.detach(ctx, s, msg); err != nil {
		return what(err)
	}
	return what(b.replaceSnapshot(ctx, s, msg))
}

// detach moves a payload that is too large for a message into the object store.
func (b *Bus) detach(ctx context.Context, s *fleet.Snapshot, msg *nats.Msg) error {
	if len(msg.Data) <= b.cfg.InlineBytes && int64(len(msg.Data)) <= b.conn.MaxPayload()-headerRoom {
		return nil
	}
	if len(msg.Data) > maxCompressed {
		return fmt.Errorf("%w: %d bytes compressed; readers take %d", fleet.ErrInvalid, len(msg.Data), maxCompressed)
	}
	// A name of its own for each: nothing that may be in use is ever overwritten.
	name := fmt.Sprintf("%s/%d/%s", s.Cluster.Key(), s.ReadStartedAt.UnixNano(), msg.Header.Get(headerSHA256))
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	if _, err := b.objects.Put(ctx, jetstream.ObjectMeta{Name: name}, bytes.NewReader(msg.Data)); err != nil {
		return fmt.Errorf("store object of %d bytes: %w", len(msg.Data), unsure(err))
	}
	msg.Header.Set(headerObject, name)
	msg.Data = nil
	return nil
}

// replaceSnapshot stores the message after the newest one, unless that is newer. The
// sequence this process last saw is tried first: as a rule it is still right.
func (b *Bus) replaceSnapshot(ctx context.Context, s *fleet.Snapshot, msg *nats.Msg) error {
	b.mu.Lock()
	after := b.published[s.Cluster]
	b.mu.Unlock()
	const tries = 3 // two watchers at most, for a short while
	var err error
	for range tries {
		var ack *jetstream.PubAck
		ack, err = b.publish(ctx, msg, jetstream.WithExpectLastSequencePerSubject(after))
		if err == nil {
			b.mu.Lock()
			b.published[s.Cluster] = ack.Sequence
			b.mu.Unlock()
			return nil
		}
		if !errors.Is(err, fleet.ErrConflict) {
			return err
		}
		newest, ok, err := last(ctx, b.snapshots, msg.Subject)
		if err != nil {
			return err
		}
		if readAt, known := readStarted(newest); ok && known && readAt.After(s.ReadStartedAt) {
			return fmt.Errorf("%w: a newer one is there: reading it began at %s, of this one at %s", fleet.ErrConflict,
				readAt.Format(time.RFC3339Nano), s.ReadStartedAt.UTC().Format(time.RFC3339Nano))
		}
		after = newest.seq
	}
	return err
}

func readStarted(m raw) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, m.header.Get(headerReadAt))
	return t, err == nil
}

// LatestSnapshot reads the newest view of a cluster and when NATS stored it.
// [fleet.ErrNotFound]: there is none, or it was too old to be kept.
func (b *Bus) LatestSnapshot(ctx context.Context, cluster fleet.ClusterName) (fleet.Snapshot, time.Time, error) {
	s, err := b.StoredSnapshot(ctx, cluster)
	return s.Value, s.At, err
}

// StoredSnapshot is LatestSnapshot with the span in which it was published.
func (b *Bus) StoredSnapshot(ctx context.Context, cluster fleet.ClusterName) (Stored[fleet.Snapshot], error) {
	m, ok, err := last(ctx, b.snapshots, subjectOf(b.generation, kindSnapshot, cluster))
	if err == nil && !ok {
		err = fmt.Errorf("%w: no watcher has published one in the last %s", fleet.ErrNotFound, snapshotAge)
	}
	if err != nil {
		return Stored[fleet.Snapshot]{}, wrap(err, "latest snapshot of %s", cluster)
	}
	s, err := unpack[fleet.Snapshot](ctx, b, m)
	return Stored[fleet.Snapshot]{Value: s, Seq: m.seq, At: m.at, Trace: traceOf(m.header)}, wrap(err, "latest snapshot of %s", cluster)
}

// object fetches what is too large for a message.
func object(ctx context.Context, from jetstream.ObjectStore, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	info, err := from.GetInfo(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("look up object %.80q: %w", name, translate(err))
	}
	if info.Size > maxCompressed {
		return nil, fmt.Errorf("%w: object of %d bytes; at most %d", fleet.ErrInvalid, info.Size, maxCompressed)
	}
	data, err := from.GetBytes(ctx, name)
	if errors.Is(err, jetstream.ErrDigestMismatch) {
		return nil, fmt.Errorf("%w: object %.80q: %w", fleet.ErrInvalid, name, err)
	}
	return data, wrap(translate(err), "fetch object %.80q", name)
}

// WatchSnapshots calls f with the newest snapshot of each cluster, at first and whenever
// a newer one comes. While f is busy with a cluster, the ones that come meanwhile are
// skipped but for the newest. f runs concurrently for different clusters, never for the
// same. It returns nil when ctx ends, or the first error of f.
func (b *Bus) WatchSnapshots(ctx context.Context, f func(ctx context.Context, s fleet.Snapshot, stored time.Time) error) error {
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	inbox := newInbox()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				m, ok := inbox.take(ctx)
				if !ok {
					return
				}
				if err := b.deliverSnapshot(ctx, inbox, m, f); err != nil {
					cancel(err)
				}
				inbox.done(m.subject)
			}
		})
	}
	err := b.read(ctx, b.snapshots, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subjectPrefix(b.generation, kindSnapshot) + "*"}, InactiveThreshold: idleReader,
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	}, func(m raw, _ uint64) error {
		inbox.put(m)
		return nil
	})
	switch {
	case outer.Err() != nil:
		err = nil
	case ctx.Err() != nil:
		err = context.Cause(ctx) // what f returned
	}
	cancel(nil)
	workers.Wait()
	return err
}

// deliverSnapshot decodes one message and calls f, unless it is older than what f has
// seen of the cluster already.
func (b *Bus) deliverSnapshot(ctx context.Context, in *inbox, m raw, f func(context.Context, fleet.Snapshot, time.Time) error) error {
	s, err := unpack[fleet.Snapshot](ctx, b, m)
	if err != nil {
		if ctx.Err() == nil {
			b.cfg.Log.WarnContext(ctx, "skipped a message", "kind", kindSnapshot, "sequence", m.seq, "error", err)
		}
		return nil
	}
	if !in.newer(m.subject, s.ReadStartedAt) {
		return nil
	}
	return f(withTrace(ctx, m.header), s, m.at)
}

// inbox holds the newest message of each subject that nobody has taken yet.
type inbox struct {
	mu      sync.Mutex
	waiting map[string]raw
	order   []string // subjects with something waiting that nobody is busy with
	busy    map[string]bool
	seen    map[string]time.Time // read start of the newest snapshot that was handed over
	wake    chan struct{}
}

func newInbox() *inbox {
	return &inbox{waiting: map[string]raw{}, busy: map[string]bool{}, seen: map[string]time.Time{}, wake: make(chan struct{}, 1)}
}

// put replaces what waits for the message's subject.
func (in *inbox) put(m raw) {
	in.mu.Lock()
	defer in.mu.Unlock()
	_, queued := in.waiting[m.subject]
	in.waiting[m.subject] = m
	if !queued && !in.busy[m.subject] {
		in.order = append(in.order, m.subject)
		in.signal()
	}
}

// take waits for a message of a subject that nobody is busy with.
func (in *inbox) take(ctx context.Context) (raw, bool) {
	for ctx.Err() == nil {
		if m, ok := in.pop(); ok {
			return m, true
		}
		select {
		case <-in.wake:
		case <-ctx.Done():
		}
	}
	return raw{}, false
}

func (in *inbox) pop() (raw, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.order) == 0 {
		return raw{}, false
	}
	subject := in.order[0]
	in.order = in.order[1:]
	m := in.waiting[subject]
	delete(in.waiting, subject)
	in.busy[subject] = true
	if len(in.order) > 0 {
		in.signal() // there is work for another worker too
	}
	return m, true
}

// done says that nobody is busy with the subject any more.
func (in *inbox) done(subject string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.busy, subject)
	if _, ok := in.waiting[subject]; ok {
		in.order = append(in.order, subject)
		in.signal()
	}
}

// newer notes a snapshot's read start and reports whether it is not older than the last.
func (in *inbox) newer(subject string, readAt time.Time) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if readAt.Before(in.seen[subject]) {
		return false
	}
	in.seen[subject] = readAt
	return true
}

func (in *inbox) signal() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}
