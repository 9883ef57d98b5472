package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// Deadlines of single calls.
const (
	dialTimeout = 2 * time.Second  // a server on the same network answers in milliseconds
	callTimeout = 5 * time.Second  // an election takes up to 4 s; longer is an outage
	blobTimeout = 30 * time.Second // of a snapshot of the largest cluster, over a slow disk
)

// Bus is a connection to the streams of one generation. It is safe for concurrent use.
type Bus struct {
	cfg  Config
	conn *nats.Conn
	js   jetstream.JetStream

	generation uint64
	plans      jetstream.Stream
	snapshots  jetstream.Stream
	outcomes   jetstream.Stream
	objects    jetstream.ObjectStore
	records    jetstream.ObjectStore // nil if there is none yet
	leases     jetstream.KeyValue
	releases   *releases
	ledger     Ledger
	control    Control

	quarantined metric.Int64Counter

	pace      float64 // of redeliveries; 1 but in tests
	mu        sync.Mutex
	seen      map[fleet.ClusterName]tail   // where each chain ends, as far as this process knows
	published map[fleet.ClusterName]uint64 // sequence of the newest snapshot this process knows
}

// Open connects and binds to the current generation. It waits for a server until ctx ends
// or cfg.ConnectTimeout is over. It creates nothing: if [Bootstrap] was not run the error
// is [ErrTopology] and says so.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	cfg = cfg.withDefaults()
	conn, js, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	b := &Bus{cfg: cfg, conn: conn, js: js, pace: 1, seen: map[fleet.ClusterName]tail{}, published: map[fleet.ClusterName]uint64{}}
	b.quarantined = telemetry.BusQuarantined.Counter(otel.Meter("neap/bus"))
	if err := b.bind(ctx); err != nil {
		// A request on a subject that is not allowed goes unanswered; why is told beside it.
		if last := conn.LastError(); errors.Is(last, nats.ErrPermissionViolation) {
			err = fmt.Errorf("%w: NATS refuses what this user asks: %w", fleet.ErrDenied, last)
		}
		conn.Close()
		return nil, fmt.Errorf("open the bus at %s: %w", cfg, err)
	}
	return b, nil
}

// connect dials until it succeeds, is refused for good, or time is up.
func connect(ctx context.Context, cfg Config) (*nats.Conn, jetstream.JetStream, error) {
	if err := cfg.Validate(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		conn, err := nats.Connect(cfg.URL, cfg.options()...)
		if err == nil {
			js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(callTimeout))
			if err != nil {
				conn.Close()
				return nil, nil, fmt.Errorf("connect to NATS at %s: %w", cfg, err)
			}
			return conn, js, nil
		}
		if err := refused(cfg, err); err != nil {
			return nil, nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("connect to NATS at %s (NATS_URL): %w; start a nats-server with JetStream there, or set NATS_URL to where it runs", cfg, err)
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// refused says why another try to connect would not help.
func refused(cfg Config, err error) error {
	switch {
	case errors.Is(translate(err), fleet.ErrDenied):
		return fmt.Errorf("%w: NATS at %s refuses the credentials: %w; check NATS_NKEY_FILE, NATS_CREDS_FILE or the user in NATS_URL", fleet.ErrDenied, cfg, err)
	case errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("%w: NATS at %s: %w; use tls:// in NATS_URL and set NATS_CA_FILE", fleet.ErrInvalid, cfg, err)
	}
	return nil
}

// bind looks up the current generation and everything that belongs to it.
func (b *Bus) bind(ctx context.Context) error {
	control, err := b.js.KeyValue(ctx, controlBucket)
	if err != nil {
		return missing(controlBucket, err)
	}
	b.control = Control{kv: control, bus: b}
	if b.generation, err = b.control.Generation(ctx); err != nil {
		return err
	}
	for _, s := range []struct {
		kind string
		into *jetstream.Stream
	}{{kindPlan, &b.plans}, {kindOutcome, &b.outcomes}, {kindSnapshot, &b.snapshots}} {
		name := streamName(b.generation, s.kind)
		if *s.into, err = b.js.Stream(ctx, name); err != nil {
			return missing(name, err)
		}
	}
	ledger, err := b.js.KeyValue(ctx, ledgerBucket(b.generation))
	if err != nil {
		return missing(ledgerBucket(b.generation), err)
	}
	b.ledger = Ledger{kv: ledger}
	if b.leases, err = b.js.KeyValue(ctx, leaseBucket(b.generation)); err != nil {
		return missing(leaseBucket(b.generation), err)
	}
	b.releases = newReleases(b.leases)
	if b.objects, err = b.js.ObjectStore(ctx, objectBucket(b.generation)); err != nil {
		return missing(objectBucket(b.generation), err)
	}
	b.records, err = b.js.ObjectStore(ctx, recordBucket(b.generation))
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil // an installation that was bootstrapped by an earlier release works without
	}
	return wrap(err, "bind %s", recordBucket(b.generation))
}

// missing explains why a stream or bucket could not be bound.
func missing(name string, err error) error {
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrBucketNotFound):
		return fmt.Errorf("%w: there is no %s; run \"neap bootstrap\" once, or install the Helm chart, which does", ErrTopology, name)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%w: %w; start nats-server with JetStream (-js), and enable it for this account", ErrUnavailable, err)
	}
	return fmt.Errorf("bind %s: %w", name, translate(err))
}

// Close ends the connection. Nothing is lost by it: every write was confirmed when its
// call returned.
func (b *Bus) Close() {
	b.releases.close()
	b.conn.Close()
}

// Generation is the generation this bus was opened for; it never changes. See
// [Control.Generation] for the current one.
func (b *Bus) Generation() uint64 { return b.generation }

// Ready reports whether the bus can do its work: connected, JetStream answers, and the
// generation is still the one it was opened for.
func (b *Bus) Ready(ctx context.Context) error {
	if status := b.conn.Status(); status != nats.CONNECTED {
		return fmt.Errorf("%w: the connection to %s is %s", ErrUnavailable, b.cfg, status)
	}
	current, err := b.control.Generation(ctx)
	if err != nil {
		return err
	}
	if current != b.generation {
		return fmt.Errorf("%w: this process belongs to generation %d and %d is current; restart it", ErrGeneration, b.generation, current)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := b.plans.Info(ctx); err != nil {
		return missing(streamName(b.generation, kindPlan), err)
	}
	return nil
}

// Ledger is the record of how far the executors got with each action.
func (b *Bus) Ledger() *Ledger { return &b.ledger }

// Control is the red button, the policies and the current generation.
func (b *Bus) Control() *Control { return &b.control }

// Outlive looks every so often whether the generation that this process belongs to has
// ended, and returns [ErrGeneration] once it has: what the process could still do is of no
// use to anybody. It returns nil when ctx ends.
func (b *Bus) Outlive(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := b.Ready(ctx); errors.Is(err, ErrGeneration) {
			return err
		}
	}
}
