package watcher

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

var noon = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

// refusal is a refusal of n tasks of the definition job at a second after noon.
func refusal(id, ask string, n int, second float64) *cloud.Refusal {
	return &cloud.Refusal{ID: id, Ask: ask, Refused: snapshot.Refused{
		TaskDefinition: "job", Group: "family:job", Count: n, Since: after(second),
	}}
}

func after(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

// runs is a task of the definition job.
func runs(id string, second float64) snapshot.Task {
	return snapshot.Task{ARN: "task/web/" + id, TaskDefinition: "job", Group: "family:job", ContainerInstance: "c", CreatedAt: after(second)}
}

func TestRefusalsCount(t *testing.T) {
	for _, c := range []struct {
		name     string
		refusals []*cloud.Refusal
		started  []snapshot.Task // that events tell of
		tasks    []snapshot.Task // of the sweep
		at       float64         // seconds after noon
		want     int
	}{
		{"one", []*cloud.Refusal{refusal("e1", "a", 2, 0)}, nil, nil, 60, 2},
		{"the same event twice", []*cloud.Refusal{refusal("e1", "a", 2, 0), refusal("e1", "a", 2, 0)}, nil, nil, 60, 2},
		{"tried again and again", []*cloud.Refusal{refusal("e1", "a", 1, 0), refusal("e2", "a", 1, 10), refusal("e3", "a", 1, 20)}, nil, nil, 60, 1},
		{"many side by side", []*cloud.Refusal{refusal("e1", "a", 1, 0), refusal("e2", "a", 1, 0), refusal("e3", "a", 1, 1)}, nil, nil, 60, 3},
		{"events out of order", []*cloud.Refusal{refusal("e2", "a", 1, 10), refusal("e1", "a", 1, 0)}, nil, nil, 60, 1},
		{"different ones", []*cloud.Refusal{refusal("e1", "a", 1, 0), refusal("e2", "b", 2, 5)}, nil, nil, 60, 3},
		{"one has run out", []*cloud.Refusal{refusal("e1", "a", 1, 0), refusal("e2", "b", 2, 5)}, nil, nil, 602, 2},
		{"one is started", []*cloud.Refusal{refusal("e1", "a", 2, 0)}, nil, []snapshot.Task{runs("t1", 30)}, 60, 1},
		{"seen by an event and by the sweep, once", []*cloud.Refusal{refusal("e1", "a", 2, 0)}, []snapshot.Task{runs("t1", 30)}, []snapshot.Task{runs("t1", 30)}, 60, 1},
		{"started and ended before the sweep", []*cloud.Refusal{refusal("e1", "a", 2, 0)}, []snapshot.Task{runs("t1", 30), runs("t2", 31)}, nil, 60, 0},
		{"what ran before is no answer", []*cloud.Refusal{refusal("e1", "a", 2, 0)}, nil, []snapshot.Task{runs("t1", -30), runs("t2", 0.7)}, 60, 2},
		{"one task answers one", []*cloud.Refusal{refusal("e1", "a", 1, 0), refusal("e2", "b", 1, 5)}, nil, []snapshot.Task{runs("t1", 30)}, 60, 1},
		{"another task is no answer", []*cloud.Refusal{refusal("e1", "a", 1, 0)}, nil, []snapshot.Task{{ARN: "t1", TaskDefinition: "other", Group: "family:job", ContainerInstance: "c", CreatedAt: after(30)}}, 60, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRefusals()
			for _, refusal := range c.refusals {
				r.post(web, refusal)
			}
			for _, task := range c.started {
				r.started(web, task.ARN[len("task/web/"):], &snapshot.Refused{TaskDefinition: task.TaskDefinition, Group: task.Group}, task.CreatedAt)
			}
			var got int
			// A replica that has heard it itself, and one that finds it in the cache.
			for _, replica := range []*refusals{r, newRefusals()} {
				got = 0
				for _, refused := range replica.of(web, r.merged(web, nil), c.tasks, 10*time.Minute, after(c.at)) {
					got += refused.Count
				}
				if got != c.want {
					t.Errorf("%d tasks wait, want %d", got, c.want)
				}
			}
		})
	}
}

func TestWhatWasAnsweredMayBeRefusedAnew(t *testing.T) {
	r := newRefusals()
	r.post(web, refusal("e1", "a", 3, 0))
	for i := range 3 {
		r.started(web, fmt.Sprint("t", i), &snapshot.Refused{TaskDefinition: "job", Group: "family:job"}, after(30))
	}
	if left := r.of(web, nil, nil, time.Hour, after(60)); len(left) != 0 {
		t.Fatalf("%+v are left", left)
	}
	r.post(web, refusal("e2", "a", 1, 120)) // as every night
	left := r.of(web, nil, []snapshot.Task{runs("t1", 30)}, time.Hour, after(130))
	if len(left) != 1 || left[0].Count != 1 || !left[0].Since.Equal(after(120)) {
		t.Errorf("%+v wait, want one since then", left)
	}
}

// TestANewListenerGoesOnWhereTheLastOneEnded: what it leaves in the cache is all of it.
func TestANewListenerGoesOnWhereTheLastOneEnded(t *testing.T) {
	old, now := newRefusals(), newRefusals()
	old.post(web, refusal("e1", "a", 1, 0))
	for range 2 { // the second time it listens already
		now.takeOver(web, func() map[string]*ask { return old.merged(web, nil) })
		now.post(web, refusal("e2", "b", 2, 5))
		old.post(web, refusal("e3", "c", 4, 5))
	}
	if n := len(now.merged(web, nil)); n != 2 {
		t.Errorf("%d asks are known, want that of the one before and its own", n)
	}
	now.listen()
	now.takeOver(web, func() map[string]*ask { return old.merged(web, nil) })
	if n := len(now.merged(web, nil)); n != 3 {
		t.Errorf("%d asks are known after it has lost and won the lease, want all 3", n)
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	r := newRefusals()
	for i := range 3 * mostAsks {
		for n := range 2 * mostSeen {
			r.post(web, refusal(fmt.Sprint(i, n), fmt.Sprint(i), 1, float64(i)))
		}
	}
	if n := len(r.asks[web]); n > mostAsks {
		t.Errorf("%d asks are remembered, want %d at most", n, mostAsks)
	}
	for _, a := range r.asks[web] {
		if len(a.Seen) > mostSeen {
			t.Fatalf("%d events of one ask are remembered, want %d at most", len(a.Seen), mostSeen)
		}
	}
}

// refuse sends what CloudTrail tells of a call of RunTask that found no room.
func (b *bench) refuse(id, cluster, definition string, count int) {
	b.t.Helper()
	b.send("AWS API Call via CloudTrail", "aws.ecs", fmt.Sprintf(
		`{"eventName":"RunTask","eventID":%q,"requestParameters":{"cluster":%q,"taskDefinition":%q,"count":%d},"responseElements":{"tasks":[],"failures":[{"reason":"RESOURCE:MEMORY"}]}}`,
		id, cluster, definition, count))
}

// waits is the number of refused tasks that a snapshot counts.
func waits(n int) func(*fleet.Snapshot) bool {
	return func(s *fleet.Snapshot) bool {
		have := 0
		for _, w := range s.Waiting {
			if w.Refused && s.TaskGroups[w.Group].Group == "family:app" && s.TaskGroups[w.Group].Needs.MemoryMiB == 512 {
				have += w.Count
			}
		}
		return have == n
	}
}

func TestARefusedTaskIsDemandUntilItRuns(t *testing.T) {
	b := newBench(t)
	b.apply(web)
	redis := cachetest.StartRedis(t)
	stop := b.run(b.watcher(redis, slow(b.queue)))
	b.awaitSnapshot("all of the cluster is seen", whole)
	b.refuse("e1", "elsewhere", "app", 1) // a cluster that is none of ours
	b.refuse("e2", "web", "nothing", 1)   // a task definition that is not there
	b.refuse("e3", "web", "app", 4)       // by family: the newest revision
	b.refuse("e3", "web", "app", 4)
	s := b.awaitSnapshot("it waits", waits(4))
	if problem, ok := s.Incomplete(fleet.AllSections()...); !ok {
		t.Errorf("incomplete: %s", problem)
	}
	stop()
	// The events were deleted; what they told is in the cache. It sweeps on the beat, for the
	// poll that was given up may have taken the next events with it.
	b.run(b.watcher(redis, func(c *Config) { c.EventQueue = b.queue }))
	b.want(4)
	b.awaitSnapshot("a restarted watcher knows of it", func(s *fleet.Snapshot) bool { return desired(4)(s) && waits(4)(s) })

	b.aws.Server.Advance(10 * time.Second)
	b.runTask(3)
	b.awaitSnapshot("three are answered", waits(1))
	b.aws.Server.Advance(11 * time.Minute) // the default of scaleUp.standaloneFor
	b.want(5)
	b.awaitSnapshot("the fourth is not waited for any longer", func(s *fleet.Snapshot) bool { return desired(5)(s) && waits(0)(s) })
}

// runTask runs standalone tasks of the definition app.
func (b *bench) runTask(n int) {
	b.t.Helper()
	b.aws.World(func(w *sim.World) {
		out, err := w.RunTask(&sim.RunTaskInput{Cluster: string(web), TaskDefinition: "app", Count: &n, LaunchType: "EC2"})
		b.must(err)
		if len(out.Tasks) != n {
			b.t.Fatalf("%d tasks were started, want %d: %+v", len(out.Tasks), n, out.Failures)
		}
	})
}

// TestTheEmbeddedCatalogueStandsIn: where a part was never read there is one to go on with,
// and the snapshot says so; what was read once stays.
func TestTheEmbeddedCatalogueStandsIn(t *testing.T) {
	b := newBench(t)
	b.apply(web)
	const always = 1 << 30
	b.aws.Lose("DescribeInstanceTypes", always)
	b.aws.Lose("GetProducts", always)
	b.run(b.watcher(""))
	s := b.awaitSnapshot("all of the cluster is seen", whole)
	section := s.Sections[slices.IndexFunc(s.Sections, func(sec fleet.Section) bool { return sec.Name == fleet.SectionCatalogue })]
	for _, want := range []string{"types: embedded ones of 2026-07", "prices: embedded ones of us-east-1", "describe instance types"} {
		if !strings.Contains(section.Problem, want) {
			t.Errorf("problem %q does not say %q", section.Problem, want)
		}
	}
	if len(s.Types) < 100 || s.Types[0].OnDemand == 0 || s.Types[0].MaxENIs == 0 {
		t.Errorf("%d types, the first %+v", len(s.Types), s.Types)
	}
	if n := b.log.count("part of the catalogue not read"); n != 2 {
		t.Errorf("the gap is logged %d times, want once for each part\n%s", n, b.log)
	}
}

// TestReplicasShareTheCatalogue: of two at once and one later, one reads each part.
func TestReplicasShareTheCatalogue(t *testing.T) {
	b := newBench(t)
	b.apply(web)
	redis := cachetest.StartRedis(t)
	b.run(b.watcher(redis))
	b.awaitSnapshot("all of the cluster is seen", whole)
	calls := func() int {
		return len(b.aws.Calls("DescribeInstanceTypes", "DescribeInstanceTypeOfferings", "DescribeSpotPriceHistory", "GetProducts"))
	}
	before := calls()
	second := b.watcher(redis)
	b.must(second.catalogue.refresh(t.Context()))
	if now := calls(); now != before {
		t.Errorf("the second replica made %d calls, want none", now-before)
	}
	if got := second.catalogue.current(nil, fleet.Linux); !got.Complete || got.Problem != "" || len(got.Types) < 100 || len(got.Spot) < 100 || len(got.Prices) < 100 {
		t.Errorf("the second replica has %d types, %d prices, %d spot prices, problem %q", len(got.Types), len(got.Prices), len(got.Spot), got.Problem)
	}
	second.catalogue.types.due = time.Time{}
	second.catalogue.types.kept.Read = time.Now().Add(-listEvery)
	b.must(second.catalogue.refresh(t.Context()))
	if now := calls(); now != before {
		t.Errorf("the second replica made %d calls for what the first has read meanwhile, want none", now-before)
	}
	b.aws.Lose("DescribeInstanceTypes", 1<<30)
	third := b.watcher("") // without a cache: reads all but what is lost
	b.must(third.catalogue.refresh(t.Context()))
	third.catalogue.types = second.catalogue.types
	third.catalogue.types.read, third.catalogue.types.due = third.reader.Types, time.Time{}
	b.must(third.catalogue.refresh(t.Context()))
	if got := third.catalogue.current(nil, fleet.Linux); !got.Complete || len(got.Types) < 100 || !strings.Contains(got.Problem, "types: those of 2") {
		t.Errorf("%d types, complete %t, problem %q: want the last good ones, and that it is said", len(got.Types), got.Complete, got.Problem)
	}
}
