package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// crowdOfClusters are many small clusters on one bus.
type crowdOfClusters struct {
	*bench
	names []fleet.ClusterName
}

// manyClusters are a thousand, or fewer in a short run: under the race detector they take a while.
func manyClusters(t *testing.T) *crowdOfClusters {
	t.Helper()
	n := 1000
	if testing.Short() {
		n = 40
	}
	c := &crowdOfClusters{bench: newBench(t)}
	for i := range n {
		name := fleet.ClusterName(fmt.Sprintf("small-%04d", i))
		c.names = append(c.names, name)
		p := policy(false)
		p.Cluster = name
		if _, err := c.bus.Control().ApplyPolicy(t.Context(), name, p, nil); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// wave publishes a snapshot of each cluster, in which so many tasks have no room.
func (c *crowdOfClusters) wave(after time.Duration, tasks int) {
	for _, name := range c.names {
		s := snapshotAt(after, tasks)
		s.Cluster = name
		c.publish(s)
	}
}

// planned waits until each cluster has launched for so many waves, an instance for each.
func (c *crowdOfClusters) planned(waves int) {
	c.t.Helper()
	c.awaitFor(handover, fmt.Sprintf("the launches of wave %d", waves), func() bool {
		for _, name := range c.names {
			if p, _, ok, err := c.bus.LastPlan(c.t.Context(), name); err != nil || !ok || p.Summary.Launching < waves {
				return false
			}
		}
		return true
	})
	for _, name := range c.names {
		launched, plans := 0, 0
		for s, err := range c.bus.Plans(c.t.Context(), name, 0) {
			if err != nil {
				c.t.Fatal(err)
			}
			plans++
			for _, a := range s.Value.Actions {
				if a.Launch != nil {
					launched += a.Launch.Count
				}
			}
		}
		if launched != waves || plans != waves {
			c.t.Fatalf("cluster %s: %d plans launch %d instances, want %d and %d", name, plans, launched, waves, waves)
		}
	}
}

// handover is more than it takes all clusters to change hands on a busy machine: the lifetime of
// a lease, twice.
const handover = time.Minute

// shared waits until each cluster is planned for by exactly one of the planners, and each of these
// has about as many as the others.
func (c *crowdOfClusters) shared(planners ...*Planner) {
	c.t.Helper()
	var held []int
	began := time.Now()
	c.awaitFor(handover, fmt.Sprintf("%d planners share the clusters", len(planners)), func() bool {
		held = held[:0]
		total := 0
		for _, p := range planners {
			n := 0
			p.mu.Lock()
			for _, d := range p.desks {
				d.mu.Lock()
				if d.held {
					n++
				}
				d.mu.Unlock()
			}
			p.mu.Unlock()
			held = append(held, n)
			total += n
		}
		if total != len(c.names) {
			return false
		}
		for _, n := range held { // rendezvous hashing deviates by chance
			if fair := len(c.names) / len(planners); n < fair/2 || n > 2*fair {
				return false
			}
		}
		return true
	})
	c.t.Logf("clusters by planner: %v, after %s", held, time.Since(began).Round(100*time.Millisecond))
}

// TestManyClusters spreads many small clusters over one, two and four planners, and back: each
// cluster is planned for by one of them, and nobody plans twice.
func TestManyClusters(t *testing.T) {
	t.Parallel()
	c := manyClusters(t)
	var planners []*Planner
	var stops []func()
	start := func(n int) {
		for len(planners) < n {
			p := c.planner(fmt.Sprintf("planner-%d", len(planners)), "")
			p.cfg.Beat = 5 * time.Second
			planners, stops = append(planners, p), append(stops, c.run(p))
		}
		c.shared(planners...)
	}
	const one = 4 // tasks that fill an instance
	for wave, replicas := range []int{1, 2, 4} {
		start(replicas)
		c.wave(time.Duration(wave)*15*time.Second, one*(wave+1))
		c.planned(wave + 1)
	}
	for _, stop := range stops[1:] {
		stop()
	}
	c.shared(planners[0])
	c.wave(time.Minute, 4*one)
	c.planned(4)
}
