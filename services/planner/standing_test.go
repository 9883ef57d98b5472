package planner

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// running are the first services of a crowd, each task on an instance of its own.
func running(services int, after time.Duration) (fleet.Snapshot, fleet.Policy) {
	s, p := crowd(1)
	s.Services, s.TaskGroups = s.Services[:services], s.TaskGroups[:services]
	now := at.Add(after)
	s.ReadStartedAt, s.TakenAt = now.Add(-time.Second), now
	for i := range s.Sections {
		s.Sections[i].ReadAt = now
	}
	for i := range s.Services {
		svc := &s.Services[i]
		for range svc.Desired {
			room := fleet.Resources{CPUUnits: 2048, MemoryMiB: 7600}
			s.Tasks = append(s.Tasks, fleet.TaskCount{Instance: len(s.Instances), Group: i, Running: 1})
			s.Instances = append(s.Instances, fleet.Instance{
				ID: fleet.InstanceID(fmt.Sprintf("i-%03d", len(s.Instances))), ContainerInstance: fleet.ContainerInstanceID(fmt.Sprintf("c-%03d", len(s.Instances))),
				Status: fleet.StatusActive, Type: "m7i.large", Zone: "us-east-1a", Lifecycle: fleet.OnDemand, Architecture: fleet.X86, AgentConnected: true,
				LaunchedAt: now.Add(-time.Hour), RegisteredAt: now.Add(-time.Hour), Attributes: fleet.NoIndex, Registered: room, Remaining: room.Sub(s.TaskGroups[i].Needs),
			})
		}
		svc.Deployments[0].Running = svc.Desired
	}
	s.Canonical()
	return s, p
}

// cached opens the cache that planners write to.
func (b *bench) cached(redis string) *cache.Cache {
	b.t.Helper()
	c, err := cache.Open(b.t.Context(), cache.Config{URL: redis, Prefix: "neap:", Timeout: time.Second}, slog.Default())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// gauges are the standing that the planner's metrics show.
func gauges(p *Planner) (st fleet.Standing, ok bool) {
	p.readings(func(_ fleet.ClusterName, r reading) {
		if r.standing != nil {
			st, ok = *r.standing, true
		}
	})
	return st, ok
}

// TestStandingIsShown: in the cache and the metrics, as long as something is known.
func TestStandingIsShown(t *testing.T) {
	s, pol := running(6, 0)
	b := newBench(t)
	b.apply(pol)
	redis := cachetest.StartRedis(t)
	p := b.planner("one", redis)
	p.cfg.Standing = time.Millisecond
	stop := b.run(p)
	b.publish(s)
	c := b.cached(redis)
	var got fleet.Standing
	b.await("the standing is in the cache", func() (ok bool) {
		got, ok = cache.Get[fleet.Standing](t.Context(), c, StandingKey(web))
		return ok
	})
	want := plan.Standing(s, pol, fleet.Memory{Generation: 1}, pack.Solve)
	if got.Cost != want.Cost || got.Tasks != want.Tasks || got.Bound < want.Bound || got.Bound > want.Anew || got.Problem != "" {
		t.Errorf("cached %+v, want about %+v", got, want)
	}
	if shown, ok := gauges(p); !ok || shown.Bound < got.Bound || shown.Cost != got.Cost {
		t.Errorf("metrics show %+v, want %+v", shown, got)
	}
	if err := b.bus.Control().RemovePolicy(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	b.await("nothing is shown without a policy", func() bool { _, ok := gauges(p); return !ok })
	stop()
}

// TestOneReplicaShowsTheStanding: the one that has the lease.
func TestOneReplicaShowsTheStanding(t *testing.T) {
	_, pol := running(1, 0)
	b := newBench(t)
	b.apply(pol)
	planners, caches := make([]*Planner, 2), make([]*cache.Cache, 2)
	stops := make([]func(), 2)
	for i := range planners {
		redis := cachetest.StartRedis(t) // of its own, to see who writes
		planners[i], caches[i] = b.planner(fmt.Sprintf("planner-%d", i), redis), b.cached(redis)
		planners[i].cfg.Standing = time.Millisecond
		stops[i] = b.run(planners[i])
	}
	shows := func(i int, s fleet.Snapshot) bool {
		st, ok := cache.Get[fleet.Standing](t.Context(), caches[i], StandingKey(web))
		return ok && st.At.Equal(s.TakenAt)
	}
	holder, alone := -1, 0
	for round := 0; alone < 3; round++ { // until both have found one another the cluster may change hands
		if round == 20 {
			t.Fatalf("both show the standing\n%s", b.log)
		}
		s, _ := running(1, time.Duration(round)*time.Second)
		b.publish(s)
		was := holder
		b.await("one of them shows it", func() bool {
			holder = slices.IndexFunc([]int{0, 1}, func(i int) bool { return shows(i, s) })
			return holder >= 0
		})
		other := 1 - holder
		if _, ok := gauges(planners[other]); ok || shows(other, s) || holder != was {
			alone = 0
			continue
		}
		alone++
	}
	stops[holder]()
	if _, ok := gauges(planners[holder]); ok {
		t.Error("a planner that was stopped shows a standing")
	}
}

// TestStandingGivesWay: what is more urgent comes first, and a longer look that proves less
// takes nothing back.
func TestStandingGivesWay(t *testing.T) {
	s, pol := running(6, 0)
	b := newBench(t)
	p := b.planner("one", "")
	d := p.desk(web)
	d.open()
	q := &question{view: view{snapshot: s}, policy: pol, memory: fleet.Memory{Generation: 1}}
	var efforts []pack.Effort
	var bound fleet.Price
	solve := func(problem pack.Problem) pack.Solution {
		efforts = append(efforts, problem.Effort)
		solution := pack.Solve(problem)
		solution.Cost *= 2 // never close enough
		if problem.Effort != pack.Fast {
			solution.LowerBound /= 2
		} else {
			bound = solution.LowerBound
		}
		return solution
	}
	p.findStanding(t.Context(), d, q, d.rings, solve)
	if want := []pack.Effort{pack.Fast, pack.Normal}; !slices.Equal(efforts, want) {
		t.Errorf("efforts %v, want %v", efforts, want)
	}
	if st, _ := gauges(p); st.Bound != bound || st.Effort != fleet.EffortNormal {
		t.Errorf("bound %s of effort %s, want the better one, %s", st.Bound, st.Effort, bound)
	}
	efforts = nil
	woken := d.rings
	d.put(view{snapshot: s})
	p.findStanding(t.Context(), d, q, woken, solve)
	if want := []pack.Effort{pack.Fast}; !slices.Equal(efforts, want) {
		t.Errorf("efforts %v after a wake, want %v", efforts, want)
	}
	if err := p.hold(t.Context(), d, fleet.Because(fleet.ReasonStale, "cluster")); err != nil {
		t.Fatal(err)
	}
	if _, ok := gauges(p); ok {
		t.Error("a standing is shown although nothing is known of the cluster any more")
	}
	leased, cancel := context.WithCancel(t.Context())
	p.findStanding(leased, d, q, d.rings, func(problem pack.Problem) pack.Solution {
		cancel() // the lease is lost while it packs
		return pack.Solve(problem)
	})
	if _, ok := gauges(p); ok {
		t.Error("a standing is shown although the lease is gone")
	}
}

// TestStandingDelaysNoTurn: plans are made while it waits, and one is found at a time.
func TestStandingDelaysNoTurn(t *testing.T) {
	s, pol := running(6, 0)
	b := newBench(t)
	b.apply(pol)
	p := b.planner("one", "")
	p.cfg.Standing = time.Millisecond
	p.slot <- struct{}{} // somebody else's takes for ever
	b.run(p)
	b.publish(s)
	b.looked(p, s)
	next, _ := running(1, time.Second)
	b.publish(next)
	b.looked(p, next)
	if _, ok := gauges(p); ok {
		t.Error("two standings were found at once")
	}
}
