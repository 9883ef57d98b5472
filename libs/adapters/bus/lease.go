package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/fleet"
)

// Lease shares out work: of all holders of one name, one at a time works. It steers and
// protects nothing: two may work at once for a moment, when one is suspended or cut off.
// What they do must bear that.
type Lease struct {
	bus    *Bus
	name   string
	holder string
	ttl    time.Duration
	renew  time.Duration
}

var leasePattern = regexp.MustCompile(`^[A-Za-z0-9_=-]+(\.[A-Za-z0-9_=-]+)*$`)

// Lease prepares to hold the lease of that name, such as "plan."+cluster.Key(). holder
// must be unique to this process: the name of its pod, or host and process ID.
func (b *Bus) Lease(ctx context.Context, name, holder string) (*Lease, error) {
	if !leasePattern.MatchString(name) || holder == "" {
		return nil, fmt.Errorf("%w: lease %.80q of holder %.80q: use letters, digits, '-', '_', '=' and single dots, and name the holder", fleet.ErrInvalid, name, holder)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	status, err := b.leases.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("lease %s: %w", name, translate(err))
	}
	// A lease is lost after three renewals that did not get through.
	return &Lease{bus: b, name: name, holder: holder, ttl: status.TTL(), renew: status.TTL() / 3}, nil
}

// Holder reads who holds the lease; "" is nobody.
func (l *Lease) Holder(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e, err := l.bus.leases.Get(ctx, l.name)
	if errors.Is(translate(err), fleet.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("lease %s: %w", l.name, translate(err))
	}
	return string(e.Value()), nil
}

// Hold waits until the lease is free, takes it and runs f. The context of f ends when the
// lease is lost; then Hold waits for f to return, and for the lease again. When f returns
// by itself the lease is released, at once free for the next, and Hold returns what f
// returned. When ctx ends Hold returns nil.
func (l *Lease) Hold(ctx context.Context, f func(context.Context) error) error {
	for {
		revision, err := l.acquire(ctx)
		if ctx.Err() != nil {
			if err == nil {
				l.release(ctx, revision)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("lease %s: %w", l.name, err)
		}
		lost, err := l.run(ctx, revision, f)
		if ended(ctx) {
			return nil
		}
		if !lost {
			return err
		}
		l.bus.cfg.Log.WarnContext(ctx, "lost a lease", "lease", l.name, "holder", l.holder)
	}
}

// acquire waits until the lease could be taken, and returns its revision. It ends for ctx
// alone, and for errors that stay.
func (l *Lease) acquire(ctx context.Context) (uint64, error) {
	for {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		revision, err := l.bus.leases.Create(call, l.name, []byte(l.holder))
		cancel()
		switch err = unsure(err); {
		case err == nil || ctx.Err() != nil:
			return revision, err
		case errors.Is(err, fleet.ErrInvalid), errors.Is(err, fleet.ErrDenied), errors.Is(err, ErrTopology), errors.Is(err, ErrGeneration):
			return 0, err
		}
		l.await(ctx)
	}
}

// await returns when the lease was released, or when it is time to look again.
func (l *Lease) await(ctx context.Context) {
	released, forget := l.bus.releases.of(l.name)
	defer forget()
	t := time.NewTimer(l.renew/2 + rand.N(l.renew))
	defer t.Stop()
	select {
	case <-released:
	case <-t.C:
	case <-ctx.Done():
	}
}

// run calls f while it keeps the lease. lost says that it went to somebody else, or may
// have, before f returned.
func (l *Lease) run(ctx context.Context, revision uint64, f func(context.Context) error) (lost bool, err error) {
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(work) }()
	renewed := time.Now()
	tick := time.NewTicker(l.renew)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			l.release(ctx, revision)
			return false, err
		case <-ctx.Done():
			err := <-done
			l.release(ctx, revision)
			return false, err
		case <-tick.C:
		}
		began := time.Now()
		next, err := l.renewal(ctx, revision, renewed)
		if err == nil {
			revision, renewed = next, began
			continue
		}
		if errors.Is(err, fleet.ErrConflict) || time.Since(renewed) >= l.ttl-l.renew {
			cancel()
			err := <-done
			// Should it still be ours, nobody need wait for it to expire.
			l.release(ctx, revision)
			return true, err
		}
	}
}

// renewal prolongs the lease. Whether a renewal got through that had no answer is found
// out by reading.
func (l *Lease) renewal(ctx context.Context, revision uint64, renewed time.Time) (uint64, error) {
	ctx, cancel := context.WithDeadline(ctx, renewed.Add(l.ttl-l.renew/2))
	defer cancel()
	next, err := l.bus.leases.Update(ctx, l.name, []byte(l.holder), revision)
	if err == nil {
		return next, nil
	}
	e, readErr := l.bus.leases.Get(ctx, l.name)
	if readErr == nil && string(e.Value()) == l.holder && e.Revision() > revision {
		return e.Revision(), nil
	}
	return 0, unsure(err)
}

// release gives the lease back if it is still ours. If that fails it expires.
func (l *Lease) release(ctx context.Context, revision uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	err := l.bus.leases.Delete(ctx, l.name, jetstream.LastRevision(revision))
	if err != nil && !errors.Is(translate(err), fleet.ErrConflict) && !strings.Contains(err.Error(), "closed") {
		l.bus.cfg.Log.InfoContext(ctx, "a lease was not given back and will expire", "lease", l.name, "error", err)
	}
}

// releases tells those who wait for a lease that it is free, so that work changes hands at
// once. One watch serves all leases of a process, from the first that waits.
type releases struct {
	kv      jetstream.KeyValue
	once    sync.Once
	start   func() // begins the watch, which no call's context may end
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	waiting map[string]map[chan struct{}]bool
}

func newReleases(kv jetstream.KeyValue) *releases {
	r := &releases{kv: kv, waiting: map[string]map[chan struct{}]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.start = func() { r.running.Go(func() { r.watch(ctx) }) }
	return r
}

// of returns a channel that receives when the lease is released; forget ends that.
func (r *releases) of(name string) (released <-chan struct{}, forget func()) {
	r.once.Do(r.start)
	c := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[name] == nil {
		r.waiting[name] = map[chan struct{}]bool{}
	}
	r.waiting[name][c] = true
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting[name], c)
		if len(r.waiting[name]) == 0 {
			delete(r.waiting, name)
		}
	}
}

// watch wakes the waiting until close. While NATS is away nobody is woken; they look again
// by themselves.
func (r *releases) watch(ctx context.Context) {
	for ctx.Err() == nil {
		_ = watch(ctx, r.kv, ">", func(e jetstream.KeyValueEntry) error {
			if e != nil && e.Operation() != jetstream.KeyValuePut {
				r.wake(e.Key())
			}
			return nil
		}, jetstream.UpdatesOnly(), jetstream.MetaOnly())
		sleep(ctx, time.Second)
	}
}

func (r *releases) wake(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.waiting[name] {
		select {
		case c <- struct{}{}:
		default: // it has been woken already
		}
	}
}

func (r *releases) close() {
	r.cancel()
	r.once.Do(func() {}) // nobody may start it any more
	r.running.Wait()
}
