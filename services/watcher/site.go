package watcher

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// site is one cluster as the watcher knows it.
type site struct {
	cluster fleet.ClusterName
	wake    chan struct{}

	mu        sync.Mutex
	held      bool                      // the lease is ours
	policy    fleet.Policy              // none: nothing is wanted
	instances map[fleet.InstanceID]bool // of the last snapshot
	poked     *time.Timer               // of a sweep that an event has brought forward
	swept     time.Time
	said      map[string]string // by topic, what was logged last

	// Of the one turn at a time.
	account      string
	published    time.Time // start of the read that was published last
	learned      []fleet.Learned
	protections  []snapshot.Protection
	impaired     []string
	impairedDue  time.Time
	network      snapshot.Network
	networkNames string
	networkRead  time.Time
	networkDue   time.Time
	detail       map[string]string // digests of what was written to the cache for people
}

// site returns the site of a cluster, which is made when it is first asked for.
func (w *Watcher) site(cluster fleet.ClusterName) *site {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sites[cluster]
	if s == nil {
		s = &site{cluster: cluster, wake: make(chan struct{}, 1), said: map[string]string{}, detail: map[string]string{}}
		w.sites[cluster] = s
	}
	return s
}

// held lists the sites whose lease is ours.
func (w *Watcher) held() []*site {
	w.mu.Lock()
	defer w.mu.Unlock()
	var held []*site
	for _, s := range w.sites {
		if s.isHeld() {
			held = append(held, s)
		}
	}
	return held
}

// knowsCluster reports whether a cluster has a site: it has a policy, or we were told to
// watch it.
func (w *Watcher) knowsCluster(name fleet.ClusterName) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sites[name] != nil
}

// wantsWindows reports whether the policy of any cluster launches Windows.
func (w *Watcher) wantsWindows() bool {
	w.mu.Lock()
	sites := slices.Collect(maps.Values(w.sites))
	w.mu.Unlock()
	return slices.ContainsFunc(sites, func(s *site) bool { return systemOf(s.lastGoodPolicy()) == fleet.Windows })
}

func (w *Watcher) ringAll() {
	for _, s := range w.held() {
		s.ring()
	}
}

// notePolicy keeps the last good policy of a cluster: it says what to read of the network.
// One that cannot be read is the planner's to report.
func (w *Watcher) notePolicy(_ context.Context, change bus.PolicyChange) {
	if change.Err != nil {
		return
	}
	s := w.site(change.Cluster)
	s.mu.Lock()
	s.policy = change.Policy // none, if it was removed
	s.mu.Unlock()
	s.ring()
}

func (s *site) open(learned []fleet.Learned) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
	if len(learned) > 0 {
		s.learned = learned
	}
}

func (s *site) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.instances = false, nil
	if s.poked != nil {
		s.poked.Stop()
		s.poked = nil
	}
	clear(s.said)
	clear(s.detail)
}

func (s *site) isHeld() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

func (s *site) lastGoodPolicy() fleet.Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy.WithDefaults()
}

// knows reports whether an instance was in the last snapshot.
func (s *site) knows(id fleet.InstanceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.instances[id]
}

// ring asks for a sweep, once for any number of reasons.
func (s *site) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// settle is how long the first event of a burst waits for the others.
const settle = 50 * time.Millisecond

// poke asks for a sweep soon, though not within gap of the last.
func (s *site) poke(gap time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.held || s.poked != nil {
		return
	}
	s.poked = time.AfterFunc(max(min(settle, gap), gap-time.Since(s.swept)), func() {
		s.mu.Lock()
		s.poked = nil
		s.mu.Unlock()
		s.ring()
	})
}

// changed notes what is being said on a topic and reports whether it is news.
func (s *site) changed(topic, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said[topic] == text {
		return false
	}
	s.said[topic] = text
	return true
}

// newer reports whether a snapshot may be published: it was not read before the last one.
func (s *site) newer(snap *fleet.Snapshot) bool { return !snap.ReadStartedAt.Before(s.published) }

// keep remembers what the next sweep needs of a snapshot that was published.
func (s *site) keep(snap *fleet.Snapshot) {
	s.published, s.learned = snap.ReadStartedAt, snap.Learned
	instances := make(map[fleet.InstanceID]bool, len(snap.Instances))
	for i := range snap.Instances {
		instances[snap.Instances[i].ID] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instances, s.swept = instances, time.Now()
}
