package planner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
)

// desk is what the planner has before it of one cluster.
type desk struct {
	cluster fleet.ClusterName
	wake    chan struct{}

	mu     sync.Mutex
	held   bool // the lease is ours
	policy *fleet.Policy
	view   *view
	latest *figures          // of the latest plan
	said   map[string]string // by topic, what was logged last
	looked time.Time         // read start of the snapshot of the last turn that ended well

	question *question       // what the standing is to be found for next
	standing *fleet.Standing // the latest
	asks     chan struct{}   // there is a question
	rings    int             // how often the planner was woken

	// Of the one turn at a time.
	memory recollection
	asked  bool      // the bus had no snapshot when the lease became ours
	began  time.Time // when the turn did
	stop   stop      // why the latest decision looked no longer

	waits waits

	looking sync.WaitGroup
	busy    chan struct{} // holds what looks a second time
}

// view is a snapshot, when NATS stored it and in which span it was published.
type view struct {
	snapshot fleet.Snapshot
	stored   time.Time
	trace    trace.SpanContext
}

// desk returns the desk of a cluster, which is made when it is first asked for.
func (p *Planner) desk(cluster fleet.ClusterName) *desk {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.desks[cluster]
	if d == nil {
		d = &desk{cluster: cluster, wake: make(chan struct{}, 1), asks: make(chan struct{}, 1), busy: make(chan struct{}, 1), said: map[string]string{}}
		p.desks[cluster] = d
	}
	return d
}

// open begins to take snapshots in: the lease is ours.
func (d *desk) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held, d.asked = true, false
	d.memory.forget() // others may have planned meanwhile
}

// close lets go of everything that costs memory; whoever holds the lease has it now.
func (d *desk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held, d.view, d.latest, d.question, d.standing = false, nil, nil, nil, nil
	clear(d.said)
}

// put takes a snapshot in, unless a newer one is there, and wakes the planner.
func (d *desk) put(v view) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.held || d.view != nil && v.snapshot.ReadStartedAt.Before(d.view.snapshot.ReadStartedAt) {
		return
	}
	d.view = &v
	d.ring()
}

// ring wakes the planner, once for any number of reasons. The desk must be locked.
func (d *desk) ring() {
	d.rings++
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// done notes that a snapshot was looked at.
func (d *desk) done(v view) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looked = v.snapshot.ReadStartedAt
}

func (d *desk) lastGoodPolicy() (fleet.Policy, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.policy == nil {
		return fleet.Policy{}, false
	}
	return *d.policy, true
}

// changed notes what is being said on a topic and reports whether it is news.
func (d *desk) changed(topic, text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.said[topic] == text {
		return false
	}
	d.said[topic] = text
	return true
}

// notePolicy keeps the last good policy of a cluster.
func (p *Planner) notePolicy(ctx context.Context, change bus.PolicyChange) {
	d := p.desk(change.Cluster)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case change.Removed:
		d.policy = nil
		p.proc.Log.InfoContext(ctx, "policy removed", "cluster", change.Cluster, "revision", change.Revision)
	case change.Err != nil:
		p.proc.Log.ErrorContext(ctx, "policy refused, the last good one is kept", "cluster", change.Cluster,
			"revision", change.Revision, "kept", d.policy != nil, "err", change.Err)
		return
	default:
		d.policy = &change.Policy
		p.proc.Log.InfoContext(ctx, "policy taken over", "cluster", change.Cluster, "revision", change.Revision, "dry_run", *change.Policy.DryRun)
	}
	d.ring()
}

// followSnapshots puts the newest snapshot of each cluster on its desk until ctx ends,
// across whatever breaks the reading off.
func (p *Planner) followSnapshots(ctx context.Context) error {
	for wait := time.Second; ctx.Err() == nil; wait = min(2*wait, longestWait) {
		err := p.bus.WatchSnapshots(ctx, func(ctx context.Context, s fleet.Snapshot, stored time.Time) error {
			p.desk(s.Cluster).put(view{snapshot: s, stored: stored, trace: trace.SpanContextFromContext(ctx)})
			return nil
		})
		if errors.Is(err, bus.ErrTopology) || errors.Is(err, fleet.ErrDenied) {
			return err
		}
		if ctx.Err() == nil {
			p.proc.Log.WarnContext(ctx, "waiting for snapshots", "err", err)
			rest(ctx, wait)
		}
	}
	return nil
}

// newest is the newest snapshot of the cluster. When the lease is new it is read: it may
// have been published before the lease was ours. From then on snapshots come by themselves.
func (p *Planner) newest(ctx context.Context, d *desk) (view, error) {
	if v, ok := d.current(); ok {
		return v, nil
	}
	if d.asked {
		return view{}, fmt.Errorf("%w: no snapshot of %s has come yet", fleet.ErrNotFound, d.cluster)
	}
	s, err := p.bus.StoredSnapshot(ctx, d.cluster)
	if err != nil {
		d.asked = errors.Is(err, fleet.ErrNotFound)
		return view{}, err
	}
	v := view{snapshot: s.Value, stored: s.At, trace: s.Trace}
	d.put(v)
	return v, nil
}

func (d *desk) current() (view, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.view == nil {
		return view{}, false
	}
	return *d.view, true
}
