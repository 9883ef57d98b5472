package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/singleflight"

	"github.com/neap-project/neap/libs/adapters/telemetry"
)

const (
	// failuresToOpen in a row, and Redis is taken for gone. One may be a lost
	// connection, a handful is not.
	failuresToOpen = 5
	// openFor is how long nobody then waits for it.
	openFor = 30 * time.Second
)

// Cache is a connection to Redis, or to nothing at all. It is safe for
// concurrent use, and a nil *Cache works like Off.
type Cache struct {
	client   *redis.Client // nil when off
	breaker  *gobreaker.CircuitBreaker[struct{}]
	prefix   string
	timeout  time.Duration
	log      *slog.Logger
	requests metric.Int64Counter
	flights  singleflight.Group
	unhook   chan struct{}
}

// Off returns a cache that holds nothing: every read is a miss. Remember still
// lets concurrent callers share one load.
func Off() *Cache { return new(Cache) }

// Open connects to Redis in the background; a Redis that is away is not an
// error, only a wrong Config is. With an empty URL the cache is off.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Cache, error) {
	if cfg.URL == "" {
		return Off(), nil
	}
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	if _, err := cfg.files().Client(""); err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	takeOverLog(log)
	c := &Cache{
		client:  redis.NewClient(options),
		prefix:  cfg.Prefix,
		timeout: cfg.Timeout,
		log:     log,
		unhook:  make(chan struct{}),
	}
	c.breaker = c.newBreaker()
	if err := c.instrument(); err != nil {
		return nil, errors.Join(fmt.Errorf("instrument cache: %w", err), c.Close(ctx))
	}
	if err := c.Ping(ctx); err != nil {
		log.WarnContext(ctx, "cache not there yet, running without it", "err", err)
	}
	return c, nil
}

// Ping tells whether Redis answers, past the circuit breaker: it is for health
// reports, and they want the truth. A cache that is off is well.
func (c *Cache) Ping(ctx context.Context) error {
	if c.off() {
		return nil
	}
	// Time for a connection as well: it may be the first one.
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := c.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// Close ends the connections. What is called afterwards misses.
func (c *Cache) Close(context.Context) error {
	if c.off() {
		return nil
	}
	close(c.unhook)
	if err := c.client.Close(); err != nil {
		return fmt.Errorf("close cache: %w", err)
	}
	return nil
}

func (c *Cache) off() bool { return c == nil || c.client == nil }

func (c *Cache) newBreaker() *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        "cache",
		Timeout:     openFor,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= failuresToOpen },
		IsExcluded:  func(err error) bool { return errors.Is(err, errAbandoned) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			c.log.Warn("cache circuit", "from", from.String(), "to", to.String())
		},
	})
}

// instrument traces commands by name, never with their arguments, and counts
// connections and requests.
func (c *Cache) instrument() error {
	err := redisotel.InstrumentTracing(c.client,
		redisotel.WithDBStatement(false), redisotel.WithCallerEnabled(false), redisotel.WithDialFilter(true))
	if err != nil {
		return err
	}
	err = redisotel.InstrumentMetrics(c.client,
		redisotel.WithSemConvCompliantMetrics(true), redisotel.WithCloseChan(c.unhook))
	if err != nil {
		return err
	}
	c.requests = telemetry.CacheRequests.Counter(otel.Meter("neap/cache"))
	return nil
}

// errAbandoned marks a call the caller itself gave up: that says nothing about
// Redis.
var errAbandoned = errors.New("caller gave up")

// do makes one round trip within the deadline, if the circuit lets it.
func (c *Cache) do(ctx context.Context, call func(context.Context) error) error {
	_, err := c.breaker.Execute(func() (struct{}, error) {
		within, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		err := call(within)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", errAbandoned, err)
		}
		return struct{}{}, err
	})
	return err
}

// refusal tells whether Redis itself is well but would not do what it was told:
// a foreign value under our key, no memory left, a replica. It is a miss for
// this key and no reason to open the circuit.
func refusal(err error) bool {
	for _, prefix := range []string{"WRONGTYPE", "OOM", "READONLY", "MISCONF"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// Results of a request, as the metric names them.
const (
	hit     = "hit"
	miss    = "miss"
	stale   = "stale"   // a value of another version, or a damaged one
	stored  = "stored"  // a write that was taken
	failed  = "error"   // Redis did not answer, or refused
	skipped = "skipped" // the circuit is open: Redis was not asked
)

func (c *Cache) count(ctx context.Context, operation, result string, n int) {
	if n > 0 {
		c.requests.Add(ctx, int64(n), metric.WithAttributes(
			attribute.String(telemetry.LabelOperation, operation), attribute.String(telemetry.LabelResult, result)))
	}
}

// unanswered names why a round trip brought nothing.
func unanswered(err error) string {
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return skipped
	}
	return failed
}

// takeOverLog turns the client library's own lines, which would break up a JSON
// log, into debug records. The library has one logger for all clients.
func takeOverLog(log *slog.Logger) {
	once.Do(func() { redis.SetLogger(debugLog{log}) })
}

var once sync.Once

type debugLog struct{ *slog.Logger }

func (l debugLog) Printf(ctx context.Context, format string, args ...any) {
	l.DebugContext(ctx, "redis client", "says", fmt.Sprintf(format, args...))
}
