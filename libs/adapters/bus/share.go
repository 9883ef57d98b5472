package bus

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/fleet"
)

// memberPrefix is where the replicas of a service make themselves known to one another.
const memberPrefix = "member."

// Duty is work that is to be done for each cluster by one of several replicas.
type Duty struct {
	Name     string              // of the work, the same in all replicas: "plan"
	Holder   string              // of this replica, unlike that of any other
	Clusters []fleet.ClusterName // to work for; none is every cluster that has a policy
	// Policy is told every policy of these clusters: those there are before any work
	// begins, and then each change, one at a time. It may be nil.
	Policy func(context.Context, PolicyChange)
	// Work is done for a cluster until its context ends, which it does when the cluster
	// falls to another replica.
	Work func(context.Context, fleet.ClusterName) error
}

// Share divides clusters among the replicas that share a duty, and does the work for those
// that fall to this one, each under the lease "<name>.<cluster key>". When replicas come
// and go, or policies do, work is handed over; otherwise a cluster stays where it is.
//
// It returns nil when ctx ends, or the first error of Work, after all work has returned.
// Like the leases it stands on it steers only: for a moment two may work for one cluster.
func (b *Bus) Share(ctx context.Context, d Duty) error {
	me, err := b.Lease(ctx, memberPrefix+d.Name+"."+memberKey(d.Holder), d.Holder)
	if err != nil {
		return fmt.Errorf("share the duty to %s: %w", d.Name, err)
	}
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &sharing{
		bus: b, duty: d, fail: cancel, mine: map[fleet.ClusterName]context.CancelFunc{},
		policies: map[fleet.ClusterName]uint64{}, known: make(chan struct{}), changed: make(chan struct{}, 1),
	}
	s.running.Go(func() { s.followPolicies(ctx) })
	err = me.Hold(ctx, func(ctx context.Context) error { return s.serve(ctx, me.renew) })
	failed := context.Cause(ctx)
	cancel(nil)
	s.running.Wait()
	switch {
	case outer.Err() != nil:
		return nil
	case failed != nil:
		return failed
	}
	return err
}

// sharing is one call of Share.
type sharing struct {
	bus     *Bus
	duty    Duty
	fail    context.CancelCauseFunc
	running sync.WaitGroup
	mine    map[fleet.ClusterName]context.CancelFunc // work in hand

	known   chan struct{} // closed when all policies have been seen once
	changed chan struct{} // a cluster has got a policy, or lost it

	mu       sync.Mutex
	policies map[fleet.ClusterName]uint64 // clusters that have a policy
}

// serve divides the clusters anew whenever something may have changed.
func (s *sharing) serve(ctx context.Context, every time.Duration) error {
	defer s.drop()
	select {
	case <-s.known:
	case <-ctx.Done():
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.divide(ctx); err != nil && ctx.Err() == nil { // keep what we have; look again
			s.bus.cfg.Log.WarnContext(ctx, "clusters could not be shared out", "duty", s.duty.Name, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
		case <-tick.C:
		}
	}
}

// divide begins and ends work so that it fits the clusters and replicas of now.
func (s *sharing) divide(ctx context.Context) error {
	members, err := s.bus.members(ctx, s.duty.Name)
	if err != nil {
		return err
	}
	wanted := map[fleet.ClusterName]bool{}
	for _, c := range s.clusters() {
		wanted[c] = chosen(c, members) == s.duty.Holder
	}
	for _, c := range slices.Sorted(maps.Keys(s.mine)) {
		if !wanted[c] {
			s.mine[c]()
			delete(s.mine, c)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(wanted)) {
		if _, busy := s.mine[c]; busy || !wanted[c] {
			continue
		}
		if err := s.begin(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// clusters are those that the duty is about at present.
func (s *sharing) clusters() []fleet.ClusterName {
	if len(s.duty.Clusters) > 0 {
		return s.duty.Clusters
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.policies))
}

// begin works for a cluster as soon as whoever did so before has stopped.
func (s *sharing) begin(ctx context.Context, cluster fleet.ClusterName) error {
	lease, err := s.bus.Lease(ctx, s.duty.Name+"."+cluster.Key(), s.duty.Holder)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mine[cluster] = cancel
	s.running.Go(func() {
		defer cancel()
		err := lease.Hold(ctx, func(ctx context.Context) error { return s.duty.Work(ctx, cluster) })
		if err != nil {
			s.fail(fmt.Errorf("%s %s: %w", s.duty.Name, cluster, err))
		}
	})
	return nil
}

// drop ends all work: this replica is a member no longer.
func (s *sharing) drop() {
	for _, cancel := range s.mine {
		cancel()
	}
	clear(s.mine)
}

// followPolicies keeps the list of clusters that have a policy, and tells the duty.
func (s *sharing) followPolicies(ctx context.Context) {
	heard := map[fleet.ClusterName]uint64{} // newest revision the duty was told of
	for first := true; ctx.Err() == nil; {
		err := watchPolicies(ctx, s.bus.control.kv, func(p *PolicyChange) error {
			switch {
			case p == nil && first:
				first = false
				close(s.known)
			case p != nil && heard[p.Cluster] != p.Revision:
				heard[p.Cluster] = p.Revision
				s.note(ctx, *p)
			}
			return nil
		})
		if ctx.Err() == nil {
			s.bus.cfg.Log.WarnContext(ctx, "waiting for policies", "duty", s.duty.Name, "error", err)
			sleep(ctx, time.Second)
		}
	}
}

func (s *sharing) note(ctx context.Context, p PolicyChange) {
	if len(s.duty.Clusters) > 0 && !slices.Contains(s.duty.Clusters, p.Cluster) {
		return
	}
	if s.duty.Policy != nil {
		s.duty.Policy(ctx, p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Removed {
		delete(s.policies, p.Cluster)
	} else {
		s.policies[p.Cluster] = p.Revision
	}
	select {
	case s.changed <- struct{}{}:
	default: // it is being looked at anyway
	}
}

// members lists the replicas that share a duty and are alive.
func (b *Bus) members(ctx context.Context, duty string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var holders []string
	err := watch(ctx, b.leases, memberPrefix+duty+".*", func(e jetstream.KeyValueEntry) error {
		if e == nil {
			return errStop
		}
		if e.Operation() == jetstream.KeyValuePut {
			holders = append(holders, string(e.Value()))
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("list the replicas that %s: %w", duty, err)
	}
	return holders, err
}

// chosen is the member with the highest rank for a cluster (rendezvous hashing): when one
// goes, only its own clusters move.
func chosen(cluster fleet.ClusterName, members []string) string {
	if len(members) == 0 {
		return ""
	}
	return slices.MaxFunc(members, func(x, y string) int {
		return cmp.Or(cmp.Compare(rank(cluster, x), rank(cluster, y)), strings.Compare(x, y))
	})
}

func rank(cluster fleet.ClusterName, member string) uint64 {
	sum := sha256.Sum256([]byte(string(cluster) + "\x00" + member))
	return binary.BigEndian.Uint64(sum[:8])
}

// memberKey makes any holder fit a key.
func memberKey(holder string) string {
	sum := sha256.Sum256([]byte(holder))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
