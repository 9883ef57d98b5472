package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// How plans are handed to executors.
const (
	heartbeats  = 3                // within the time after which a silent executor counts as dead
	handlers    = 32               // plans in hand in one process; replicas share the rest of maxAckPending
	fetchWait   = 30 * time.Second // of one request for the next plan; the answer comes at once when there is one
	maxFailures = 8                // then a plan that keeps failing goes into quarantine
	holdFor     = 30 * time.Second // until a plan is tried again that waits for something else
	// maxDeliveries sets a plan aside that no handler ever answers for: one that kills its
	// executor would otherwise kill the next, for ever. A plan on hold gets there after
	// most of an hour, when its actions have long expired.
	maxDeliveries = 100
)

// ConsumePlans hands the plans of all clusters to f, shared with every other process that
// uses the same durable consumer ([Actuator] or [Drainer]). It returns nil when ctx ends
// and all handlers have returned.
//
// Handlers run concurrently, also for one cluster, and one plan may be with two of them:
// what they do must bear it. While f runs, the delivery is kept alive. What f returns
// decides:
//
//	nil                                      acknowledged, not delivered again
//	fleet.ErrInvalid                         copied to the quarantine, not delivered again
//	ErrPaused, ErrVersion, ErrThrottled,     held: delivered again after half a minute,
//	ErrUnknown, ErrDenied, ErrUnavailable    as often as it takes
//	ctx has ended                            delivered to another process at once
//	anything else                            delivered again after 1 s, 2 s, 4 s … 1 min; the eighth failure is the last
func (b *Bus) ConsumePlans(ctx context.Context, durable string, f func(context.Context, Delivery) error) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	cons, err := b.plans.Consumer(call, durable)
	cancel()
	if err != nil {
		return fmt.Errorf("consume plans as %q: %w; run \"neap bootstrap\"", durable, translate(err))
	}
	e := executor{bus: b, name: durable, beat: cons.CachedInfo().Config.AckWait / heartbeats, f: f}
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, handlers)
	for wait := time.Second; ; {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		msg, err := next(ctx, cons)
		if ctx.Err() != nil {
			b.giveBack(msg)
			return nil
		}
		if msg == nil {
			<-slots
			if errors.Is(translate(err), ErrTopology) {
				return fmt.Errorf("consume plans as %q: %w", durable, translate(err))
			}
			if err != nil { // NATS is away; the connection restores itself
				b.cfg.Log.WarnContext(ctx, "waiting for plans", "consumer", durable, "error", err)
				sleep(ctx, wait)
				wait = min(2*wait, 30*time.Second)
			}
			continue
		}
		wait = time.Second
		running.Go(func() {
			defer func() { <-slots }()
			e.handle(ctx, msg)
		})
	}
}

// PlanLag is how many plans the processes of a durable consumer have not answered for: those
// that wait, and those that one of them has in hand.
func (b *Bus) PlanLag(ctx context.Context, durable string) (int, error) {
	const longest = time.Second // whoever asks is measuring, and waits
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	cons, err := b.plans.Consumer(ctx, durable)
	if err != nil {
		return 0, fmt.Errorf("lag of consumer %q: %w", durable, translate(err))
	}
	info := cons.CachedInfo()
	return int(info.NumPending) + info.NumAckPending, nil
}

// next waits for one message. It asks for one at a time, only when there is a free hand:
// what is fetched in advance would wait here while another replica is idle.
func next(ctx context.Context, cons jetstream.Consumer) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	batch, err := cons.Fetch(1, jetstream.FetchContext(ctx))
	if err != nil {
		return nil, err
	}
	for msg := range batch.Messages() {
		return msg, nil
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
		return nil, err
	}
	return nil, nil
}

// giveBack returns a message that nobody has looked at.
func (b *Bus) giveBack(msg jetstream.Msg) {
	if msg != nil {
		b.answered(context.Background(), msg, msg.Nak())
	}
}

// executor is one call of ConsumePlans.
type executor struct {
	bus  *Bus
	name string        // of the durable consumer
	beat time.Duration // between two signs of life
	f    func(context.Context, Delivery) error
}

// handle takes one delivery through decode, handler and answer.
func (e *executor) handle(ctx context.Context, msg jetstream.Msg) {
	b := e.bus
	m, meta, err := rawFrom(msg)
	if err != nil {
		b.answered(ctx, msg, msg.Term())
		return
	}
	ctx = withTrace(ctx, m.header)
	attempt := int(min(meta.NumDelivered, 1<<31-1))
	switch err := e.execute(ctx, msg, m, attempt); {
	case err == nil:
		b.answered(ctx, msg, b.ack(ctx, msg))
	case ctx.Err() != nil:
		b.giveBack(msg)
	case errors.Is(err, fleet.ErrInvalid):
		e.reject(ctx, msg, m, err)
	case held(err):
		b.answered(ctx, msg, msg.NakWithDelay(b.jitter(holdFor)))
	case attempt >= maxFailures:
		e.reject(ctx, msg, m, fmt.Errorf("failed %d times: %w", attempt, err))
	default:
		b.cfg.Log.WarnContext(ctx, "plan was not handled, will be tried again", "consumer", e.name, "sequence", m.seq, "attempt", attempt, "error", err)
		b.answered(ctx, msg, msg.NakWithDelay(b.jitter(backoff(attempt))))
	}
}

// execute decodes a plan and calls the handler.
func (e *executor) execute(ctx context.Context, msg jetstream.Msg, m raw, attempt int) error {
	if attempt > maxDeliveries {
		return fmt.Errorf("%w: delivered %d times and never answered for", fleet.ErrInvalid, attempt-1)
	}
	plan, err := unpack[fleet.Plan](ctx, e.bus, m)
	if err != nil {
		return err
	}
	return e.bus.alive(ctx, msg, e.beat, func() error {
		return e.f(ctx, Delivery{Plan: plan, Seq: m.seq, At: m.at, Attempt: attempt})
	})
}

// held are errors that say nothing about the plan: it waits until they are over.
func held(err error) bool {
	for _, e := range []error{
		fleet.ErrPaused, fleet.ErrVersion, fleet.ErrThrottled, fleet.ErrUnknown, fleet.ErrDenied,
		ErrUnavailable, ErrGeneration, ErrTopology,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// backoff doubles from a second to a minute.
func backoff(attempt int) time.Duration {
	return min(time.Second<<min(attempt-1, 6), time.Minute)
}

// jitter spreads a delay by half to either side.
func (b *Bus) jitter(d time.Duration) time.Duration {
	d = time.Duration(float64(d) * b.pace)
	return d/2 + rand.N(d)
}

// alive runs f and tells the server every so often that the delivery is in good hands.
func (b *Bus) alive(ctx context.Context, msg jetstream.Msg, every time.Duration, f func() error) error {
	stop := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() {
		beat := time.NewTicker(every)
		defer beat.Stop()
		for {
			select {
			case <-stop:
				return
			case <-beat.C:
				b.answered(ctx, msg, msg.InProgress())
			}
		}
	})
	defer beating.Wait()
	defer close(stop)
	return f()
}

// ack waits for the server to confirm, so that what was handled is not handled again.
func (b *Bus) ack(ctx context.Context, msg jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	return msg.DoubleAck(ctx)
}

// answered logs an answer that did not get through: the plan comes again, which is safe.
func (b *Bus) answered(ctx context.Context, msg jetstream.Msg, err error) {
	if err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		b.cfg.Log.WarnContext(ctx, "answer to a delivery was not sent", "subject", msg.Subject(), "error", err)
	}
}

// reject puts a message into quarantine, then ends its delivery; if it cannot be put there
// it stays where it is.
func (e *executor) reject(ctx context.Context, msg jetstream.Msg, m raw, reason error) {
	ctx = context.WithoutCancel(ctx)
	b := e.bus
	if err := b.quarantine(ctx, m, e.name, reason); err != nil {
		b.cfg.Log.ErrorContext(ctx, "message could not be put into quarantine", "subject", m.subject, "sequence", m.seq, "reason", reason, "error", err)
		b.answered(ctx, msg, msg.NakWithDelay(b.jitter(holdFor)))
		return
	}
	b.answered(ctx, msg, msg.TermWithReason(clip(reason.Error())))
}

// quarantine copies a message to the quarantine stream with its headers. Those that the
// server would act upon are kept under another name. Of one that is too large for that the
// copy says only where it is.
func (b *Bus) quarantine(ctx context.Context, m raw, consumer string, reason error) error {
	_, rest, _ := strings.Cut(m.subject, fmt.Sprintf("neap.v1.%d.", b.generation))
	copied := nats.NewMsg(subjectPrefix(b.generation, kindQuarantine) + rest)
	copied.Data = m.data
	for name, values := range m.header {
		if strings.HasPrefix(strings.ToLower(name), "nats-") {
			name = "Neap-Original-" + name
		}
		copied.Header[name] = values
	}
	strip(copied.Header)
	b.label(copied.Header, m, consumer, reason)
	_, err := b.publish(ctx, copied)
	if errors.Is(err, fleet.ErrInvalid) { // too large with our headers; the log has the original
		copied.Data, copied.Header = nil, nats.Header{}
		b.label(copied.Header, m, consumer, reason)
		copied.Header.Set(headerCut, fmt.Sprintf("%d bytes", len(m.data)))
		_, err = b.publish(ctx, copied)
	}
	if err != nil {
		return fmt.Errorf("quarantine message %d on %s: %w", m.seq, m.subject, err)
	}
	b.quarantined.Add(ctx, 1, metric.WithAttributes(attribute.String(telemetry.LabelConsumer, consumer)))
	b.cfg.Log.ErrorContext(ctx, "message put into quarantine", "subject", m.subject, "sequence", m.seq, "consumer", consumer, "reason", reason)
	return nil
}

// label says on a copy for the quarantine where it comes from, and why it is there.
func (b *Bus) label(h nats.Header, m raw, consumer string, reason error) {
	h.Set(headerReason, clip(reason.Error()))
	h.Set(headerSequence, strconv.FormatUint(m.seq, 10))
	h.Set(headerStream, b.plans.CachedInfo().Config.Name)
	h.Set(headerConsumer, consumer)
	h.Set(jetstream.MsgIDHeader, fmt.Sprintf("%s.%d.%s", m.subject, m.seq, consumer))
}

// clip makes a reason fit a header: one line, not too long.
func clip(s string) string {
	const most = 500
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return s[:min(len(s), most)]
}

// sleep waits, or returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
