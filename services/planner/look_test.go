package planner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// crowd is a cluster of services of all sizes that have no room yet, and a market to choose
// from.
func crowd(seed uint64) (fleet.Snapshot, fleet.Policy) {
	rng := rand.New(rand.NewPCG(seed, 11))
	s := snapshotAt(0, 0)
	s.TaskGroups, s.Services = nil, nil
	for i := range 6 + rng.IntN(8) {
		name, n := fmt.Sprintf("s%02d", i), 1+rng.IntN(9)
		s.TaskGroups = append(s.TaskGroups, fleet.TaskGroup{
			Group: "service:" + name, TaskDefinition: name + ":1", Architecture: fleet.X86,
			Needs: fleet.Resources{CPUUnits: int64(64 + rng.IntN(1500)), MemoryMiB: int64(128 + rng.IntN(6000))},
		})
		s.Services = append(s.Services, fleet.Service{
			Name: fleet.ServiceName(name), Scheduling: fleet.Replica, Desired: n, MinHealthyPercent: 100, MaxPercent: 200,
			Deployments: []fleet.Deployment{{ID: "d" + name, Primary: true, Group: i, Desired: n, Rollout: fleet.RolloutCompleted}},
		})
	}
	s.Types = nil
	for _, f := range []struct {
		family fleet.TypeName
		gib    int64
		price  float64
	}{{"c7i", 2, 0.0446}, {"m7i", 4, 0.0504}, {"r7i", 8, 0.0661}} {
		for size, vcpus := range map[fleet.TypeName]int64{"large": 2, "xlarge": 4, "2xlarge": 8} {
			s.Types = append(s.Types, fleet.InstanceType{
				Name: f.family + "." + size, Architectures: []fleet.Architecture{fleet.X86}, VCPUs: vcpus, MemoryMiB: 1024 * f.gib * vcpus, MaxENIs: 4,
				OnDemand: fleet.USD(f.price * float64(vcpus)), Zones: []fleet.ZoneOffer{{Zone: "us-east-1a"}},
			})
		}
	}
	s.Canonical()
	p := policy(false)
	p.Limits = fleet.Limits{MaxInstances: 100, LaunchBurst: 100}
	return s, p
}

// improvable is a crowd for which more effort finds something cheaper, with both plans.
func improvable(t *testing.T) (s fleet.Snapshot, pol fleet.Policy, fast, normal fleet.Plan) {
	t.Helper()
	for seed := range uint64(200) {
		s, pol = crowd(seed)
		mem := fleet.Memory{Generation: 1}
		fast = plan.Make(s, pol, mem)
		mem.Effort = fleet.EffortNormal
		normal = plan.Make(s, pol, mem)
		if gap := plan.PackingOf(&fast); gap.Gap() > goodEnough && plan.Cheaper(s, pol, mem, &normal, &fast) {
			return s, pol, fast, normal
		}
	}
	t.Fatal("more effort never finds anything cheaper")
	return s, pol, fast, normal
}

// TestSecondLook: of a plan that may not be the cheapest a cheaper one is appended, and it can
// be made again, byte for byte, from what it says it was made of.
func TestSecondLook(t *testing.T) {
	s, pol, fast, normal := improvable(t)
	b := newBench(t)
	b.apply(pol)
	p := b.planner("one", "")
	p.cfg.Beat, p.cfg.SecondLook, p.cfg.Records = time.Minute, 1, true
	spans := &spanRecord{}
	p.proc.Tracer = spans
	b.run(p)
	b.publish(s)
	got := b.awaitPlans(1)[0]
	if got.Effort != fleet.EffortNormal || got.Summary.CostAfter != normal.Summary.CostAfter || got.Summary.CostAfter >= fast.Summary.CostAfter {
		t.Errorf("effort %s for %s, want normal for %s instead of %s\n%s", got.Effort, got.Summary.CostAfter, normal.Summary.CostAfter, fast.Summary.CostAfter, b.log)
	}
	b.await("the log says so", func() bool { return strings.Contains(b.log.String(), "packing.stop=cheaper") })

	var from fleet.Record
	b.await("what it was made from is kept", func() bool {
		var err error
		from, err = b.bus.Record(t.Context(), web, got.ID)
		return err == nil
	})
	was, is, err := plan.Again(&got, &from)
	if err != nil || !bytes.Equal(was, is) {
		t.Errorf("made again:\n%s\nrecorded:\n%s\n%v", is, was, err)
	}
	other := from
	other.Memory.LaunchedAt = other.Snapshot.TakenAt
	if _, _, err := plan.Again(&got, &other); !errors.Is(err, fleet.ErrInvalid) || !strings.Contains(err.Error(), "memory") {
		t.Errorf("with another memory: %v", err)
	}
	first, second := plan.PackingOf(&fast), plan.PackingOf(&normal)
	for key, want := range map[attribute.Key]any{
		"neap.plan.stop": "cheaper", "neap.plan.effort": "normal",
		"neap.plan.first.effort": "fast", "neap.plan.first.cost": first.Cost.USD(), "neap.plan.first.bound": first.Bound.USD(), "neap.plan.first.gap": first.Gap(),
		"neap.plan.second.effort": "normal", "neap.plan.second.cost": second.Cost.USD(), "neap.plan.second.bound": second.Bound.USD(), "neap.plan.second.gap": second.Gap(),
	} {
		if got := spans.value(key); got != want {
			t.Errorf("span: %s is %v, want %v", key, got, want)
		}
	}
}

// TestSecondLookIsNotWaitedFor longer than its share of the beat: tasks wait.
func TestSecondLookIsNotWaitedFor(t *testing.T) {
	s, pol, fast, _ := improvable(t)
	b := newBench(t)
	p := b.planner("one", "")
	p.cfg.Beat, p.cfg.SecondLook = 20*time.Second, 0.1
	release := make(chan struct{})
	longer := 0
	p.make = func(s fleet.Snapshot, pol fleet.Policy, mem fleet.Memory) fleet.Plan {
		if mem.Effort != fleet.EffortFast {
			longer++
			<-release
		}
		return plan.Make(s, pol, mem)
	}
	d := p.desk(web)
	for range 2 { // the second finds the first still busy
		d.began = time.Now()
		decided := p.look(t.Context(), d, s, pol, fleet.Memory{Generation: 1})
		if took := time.Since(d.began); d.stop != stopLate || decided.ID != fast.ID || took > 10*time.Second {
			t.Errorf("stop %q after %s with effort %s, want %q", d.stop, took, decided.Effort, stopLate)
		}
	}
	close(release)
	d.looking.Wait()
	if longer != 1 {
		t.Errorf("looked a second time %d times at once", longer)
	}
	d.began = time.Now().Add(-time.Minute)
	if p.look(t.Context(), d, s, pol, fleet.Memory{Generation: 1}); d.stop != stopTime {
		t.Errorf("stop %q, want %q: the turn has taken its share", d.stop, stopTime)
	}
}

func TestStops(t *testing.T) {
	packed := func(cost, bound fleet.Price) *fleet.Plan {
		return &fleet.Plan{Actions: []fleet.Action{{Launch: &fleet.Launch{Packing: fleet.Packing{Cost: cost, Bound: bound}}}}}
	}
	for name, c := range map[string]struct {
		first      *fleet.Plan
		share      float64
		took, left time.Duration
		want       stop
	}{
		"nothing to launch":     {&fleet.Plan{}, 1, 0, time.Second, stopNothing},
		"below half a per cent": {packed(1004, 1000), 1, 0, time.Second, stopGood},
		"switched off":          {packed(1006, 1000), 0, 0, time.Second, stopOff},
		"too long already":      {packed(1006, 1000), 1, time.Second, time.Second - 1, stopTime},
		"worth another look":    {packed(1006, 1000), 1, time.Second, time.Second, ""},
		"nothing is proven":     {packed(1006, 0), 1, 0, time.Second, ""},
		"time, and no excess":   {packed(1000, 1000), 1, 0, time.Second, stopGood},
	} {
		p := &Planner{cfg: Config{SecondLook: c.share}}
		if got := p.stopAfter(c.first, c.took, c.left); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// spanRecord is a tracer that keeps what spans said first under each key.
type spanRecord struct {
	noop.Tracer
	mu   sync.Mutex
	said map[attribute.Key]any
}

func (r *spanRecord) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	s := &recordedSpan{Span: trace.SpanFromContext(ctx), record: r}
	return trace.ContextWithSpan(ctx, s), s
}

func (r *spanRecord) value(key attribute.Key) any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said[key]
}

type recordedSpan struct {
	trace.Span
	record *spanRecord
}

func (s *recordedSpan) SetAttributes(list ...attribute.KeyValue) {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	if s.record.said == nil {
		s.record.said = map[attribute.Key]any{}
	}
	for _, a := range list {
		if _, told := s.record.said[a.Key]; !told {
			s.record.said[a.Key] = a.Value.AsInterface()
		}
	}
}
