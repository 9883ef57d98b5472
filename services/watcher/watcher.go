// Package watcher sees: it sweeps ECS and EC2 for each cluster whose lease it holds, on a
// beat and at once when an event says that something changed, and publishes what it saw as
// a snapshot. How the answers of AWS become a snapshot is [snapshot.Assemble].
//
// Redis holds what is slow to read again and what people ask for; the watcher works
// without. store.go lists the keys.
package watcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// Watcher watches clusters. Run does the work.
type Watcher struct {
	cfg       Config
	bus       *bus.Bus
	store     *store
	account   *cloud.Account
	reader    *cloud.Reader
	proc      *service.Process
	meter     meter
	catalogue *catalogue
	notices   *notices
	refusals  *refusals

	mu    sync.Mutex
	sites map[fleet.ClusterName]*site
}

// New builds a watcher of one account on a bus that is open. The cache may be off.
func New(cfg Config, b *bus.Bus, c *cache.Cache, account *cloud.Account, proc *service.Process) *Watcher {
	shelf := &store{cache: c}
	reader := account.Reader(shelf)
	w := &Watcher{
		cfg: cfg, bus: b, store: shelf, account: account, reader: reader, proc: proc, meter: newMeter(proc),
		notices: &notices{posted: map[fleet.InstanceID]posted{}}, refusals: newRefusals(),
		sites: map[fleet.ClusterName]*site{},
	}
	w.catalogue = newCatalogue(w)
	return w
}

// Run watches until ctx ends; then it returns nil. Any other end is an error that a restart
// may cure.
func (w *Watcher) Run(ctx context.Context) error {
	stop, err := w.bus.Announce(ctx, w.proc.Name, service.Version(), w.cfg.Assignment.Name())
	if err != nil {
		return err
	}
	defer stop()
	w.proc.Health.Ready()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return w.proc.Every(ctx, "catalogue", catalogueBeat, nil, w.catalogue.refresh)
	})
	g.Go(func() error { return w.bus.Outlive(ctx, w.cfg.Beat) })
	g.Go(func() error { return w.listen(ctx) })
	g.Go(func() error {
		return w.bus.Share(ctx, bus.Duty{Name: "watch", Holder: w.cfg.Assignment.Name(), Clusters: w.cfg.Assignment.Named(), Policy: w.notePolicy, Work: w.serve})
	})
	return g.Wait()
}

// serve watches one cluster while its lease is held.
func (w *Watcher) serve(ctx context.Context, cluster fleet.ClusterName) error {
	s := w.site(cluster)
	s.open(w.store.learned(ctx, cluster))
	defer s.close()
	w.catalogue.first(ctx)
	w.proc.Log.InfoContext(ctx, "watching a cluster", "cluster", cluster)
	return w.proc.Every(ctx, "watch "+string(cluster), w.cfg.Beat, s.wake, func(ctx context.Context) error { return w.turn(ctx, s) })
}

// turn sweeps a cluster once and publishes what it saw.
func (w *Watcher) turn(ctx context.Context, s *site) (err error) {
	ctx, span := telemetry.SpanSnapshot.Start(ctx, w.proc.Tracer, trace.WithAttributes(telemetry.AttrCluster.String(string(s.cluster))))
	started := time.Now()
	result := "published"
	defer func() {
		if err != nil {
			result = "error"
			span.SetStatus(codes.Error, err.Error())
		}
		w.meter.swept(ctx, s.cluster, result, time.Since(started))
		span.End()
	}()

	in, err := w.sweep(ctx, s)
	if errors.Is(err, fleet.ErrNotFound) {
		result = "no-cluster"
		if s.changed("cluster", "missing") {
			w.proc.Log.ErrorContext(ctx, "nothing to watch: correct NEAP_CLUSTERS, or remove the policy", "cluster", s.cluster, "err", err)
		}
		return nil // the others go on, and this one may yet be created
	}
	if err != nil {
		return err
	}
	if s.changed("cluster", "") {
		w.proc.Log.InfoContext(ctx, "the cluster is there now", "cluster", s.cluster)
	}
	snap := snapshot.Assemble(in)
	if !s.newer(&snap) {
		result = "outdated"
		return nil // the clock of AWS stepped back: what was published is as good as this
	}
	err = w.bus.PublishSnapshot(ctx, &snap)
	if errors.Is(err, fleet.ErrConflict) {
		result = "outdated"
		return nil // another watcher, which holds the lease by now, was quicker
	}
	if err != nil {
		return err
	}
	s.keep(&snap)
	w.judge(ctx, s, &snap)
	w.store.keep(ctx, s, &snap, in.Tasks.Tasks)
	return nil
}

// judge says which sections are not whole, once when that changes.
func (w *Watcher) judge(ctx context.Context, s *site, snap *fleet.Snapshot) {
	for _, section := range snap.Sections {
		state := "" // not the problem: its text has request IDs, and would be news on each beat
		if !section.Complete {
			state = "incomplete"
			w.meter.incomplete(ctx, s.cluster, section.Name)
		}
		switch news := s.changed("section "+string(section.Name), state); {
		case news && !section.Complete:
			w.proc.Log.WarnContext(ctx, "snapshot is incomplete", "cluster", s.cluster, "section", section.Name, "problem", section.Problem)
		case news:
			w.proc.Log.InfoContext(ctx, "snapshot is complete again", "cluster", s.cluster, "section", section.Name)
		}
	}
}

// listen takes events from the queue, if there is one. Of all replicas one listens: it
// wakes its own clusters at once, and leaves notices for the others in the cache.
func (w *Watcher) listen(ctx context.Context) error {
	if w.cfg.EventQueue == "" {
		return nil
	}
	lease, err := w.bus.Lease(ctx, "events", w.cfg.Assignment.Name())
	if err != nil {
		return fmt.Errorf("listen to events: %w", err)
	}
	return lease.Hold(ctx, func(ctx context.Context) error {
		w.notices.merge(w.store.notices(ctx), time.Now())
		w.refusals.listen()
		const atOnce = time.Millisecond // a poll waits by itself until there is something
		return w.proc.Every(ctx, "events", atOnce, nil, func(ctx context.Context) error {
			return w.reader.Events(ctx, w.cfg.EventQueue, w.hear)
		})
	})
}

// hear wakes the clusters that events are about. Events are hints: what they say is looked
// up, but for notices and for refusals of standalone tasks, which nobody can ask for.
func (w *Watcher) hear(ctx context.Context, events []cloud.Event) error {
	posted := false
	var unheard error
	for i := range events {
		e := &events[i]
		if notice, ok := e.Notice(); ok && e.Instance != "" {
			posted = w.notices.post(e.Instance, notice, time.Now()) || posted
		}
		if err := w.hearRefusal(ctx, e); err != nil {
			unheard = err
		}
		for _, s := range w.held() {
			if e.Cluster == s.cluster || e.Cluster == "" && s.knows(e.Instance) {
				s.poke(w.gap())
			}
		}
	}
	if posted {
		w.store.keepNotices(ctx, w.notices.all())
	}
	return unheard
}

// gap is the least time between two sweeps: a burst of events is one change, and sweeping
// on every event of a busy cluster would use up the rate limits that the beat needs.
func (w *Watcher) gap() time.Duration { return min(time.Second, w.cfg.Beat/4) }
