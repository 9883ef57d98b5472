package bus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when the tests' clusters were read first.
var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// planFor makes a sealed plan that follows another one.
func planFor(t testing.TB, cluster fleet.ClusterName, generation uint64, prev fleet.PlanID, by string) *fleet.Plan {
	t.Helper()
	p := &fleet.Plan{
		Cluster: cluster, Generation: generation, Prev: prev, MadeAt: start, MadeBy: by,
		Snapshot: "s", Policy: "p", Memory: "m", ReadStartedAt: start,
		Actions: []fleet.Action{{
			Kind: fleet.ActionReap, Deadline: start.Add(10 * time.Minute),
			Reason: fleet.Because(fleet.ReasonNoShow, "instance/i-1", "age", "9m", "timeout", "7m"),
			Reap:   &fleet.Reap{Instance: "i-1"},
		}},
	}
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	return p
}

// outcomeOf makes an outcome of a plan's first action.
func outcomeOf(p *fleet.Plan, phase fleet.OutcomePhase) *fleet.Outcome {
	return &fleet.Outcome{
		Cluster: p.Cluster, Generation: p.Generation, Plan: p.ID, Action: p.Actions[0].ID,
		Kind: p.Actions[0].Kind, Phase: phase, Step: "terminate", Attempt: 1, At: start, By: "drainer-0",
	}
}

// snapshotOf makes a view of a cluster with n instances, each with ten tasks.
func snapshotOf(cluster fleet.ClusterName, readAt time.Time, n int) *fleet.Snapshot {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	s := &fleet.Snapshot{
		Cluster: cluster, Region: "us-east-1", Generation: 1, ReadStartedAt: readAt, TakenAt: readAt.Add(time.Second),
		AttributeSets: [][]fleet.Attribute{{{Name: "ecs.os-type", Value: "linux"}}},
	}
	for _, name := range fleet.AllSections() {
		s.Sections = append(s.Sections, fleet.Section{Name: name, ReadAt: readAt, Complete: true})
	}
	for g := range max(n/10, 1) {
		s.TaskGroups = append(s.TaskGroups, fleet.TaskGroup{
			Group: fmt.Sprintf("service:web-%d", g), TaskDefinition: fmt.Sprintf("web-%d:%d", g, g%7+1),
			Needs: fleet.Resources{CPUUnits: 256, MemoryMiB: 512},
		})
	}
	for i := range n {
		s.Instances = append(s.Instances, fleet.Instance{
			ID: fleet.InstanceID(fmt.Sprintf("i-%017x", rng.Uint64())), ContainerInstance: fleet.ContainerInstanceID(fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64())),
			Status: fleet.StatusActive, Type: "m7i.2xlarge", Zone: "us-east-1a", Lifecycle: fleet.OnDemand, Architecture: fleet.X86,
			Owner: "neap", LaunchedAt: readAt.Add(-time.Hour), RegisteredAt: readAt.Add(-50 * time.Minute), AgentConnected: true,
			Registered: fleet.Resources{CPUUnits: 8192, MemoryMiB: 31000}, Remaining: fleet.Resources{CPUUnits: rng.Int64N(8192), MemoryMiB: rng.Int64N(31000)},
		})
		for range 10 {
			s.Tasks = append(s.Tasks, fleet.TaskCount{Instance: i, Group: rng.IntN(len(s.TaskGroups)), Running: 1 + rng.IntN(3)})
		}
	}
	s.Canonical()
	return s
}

// eventually polls until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the test has ended")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// background runs f until the test ends or stop is called, and waits for it.
func background(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f(ctx); err != nil {
			t.Errorf("in the background: %v", err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// box is a value that goroutines share.
type box[T any] struct {
	mu sync.Mutex
	v  []T
}

func (b *box[T]) add(v T) { b.mu.Lock(); defer b.mu.Unlock(); b.v = append(b.v, v) }

func (b *box[T]) all() []T { b.mu.Lock(); defer b.mu.Unlock(); return append([]T(nil), b.v...) }

func (b *box[T]) len() int { return len(b.all()) }

// appendPlan appends a plan that must be accepted.
func appendPlan(t testing.TB, b *bus.Bus, p *fleet.Plan, after uint64) uint64 {
	t.Helper()
	seq, err := b.AppendPlan(t.Context(), p, after)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// incompressible is text that does not get smaller.
func incompressible(n int) string {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[rng.IntN(64)]
	}
	return string(b)
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
