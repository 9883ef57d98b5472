// Package executortest gives tests of executors a stage: a bus of their own with a policy
// and a chain of plans, processes to run on it, and a look into ledger and audit.
package executortest

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

// Cluster is the cluster that all plans of a stage are about.
const Cluster fleet.ClusterName = "web"

// patience bounds what Eventually waits for; nothing here takes a tenth of it.
const patience = 30 * time.Second

// deadline of the actions of a plan, unless it says otherwise. Where virtual time flies,
// minutes of it may pass while a busy machine does something else.
const deadline = 6 * time.Hour

// Stage is a bus with a policy, and the last plan of its chain. It belongs to one test.
type Stage struct {
	testing.TB
	Bus  *bus.Bus
	last fleet.PlanID
	seq  uint64
}

// New sets a stage on which the policy of Cluster is in force.
func New(t testing.TB, policy fleet.Policy) *Stage {
	t.Helper()
	s := &Stage{TB: t, Bus: bustest.Open(t)}
	s.Apply(policy)
	return s
}

// Policy is one that allows changes and up to ten instances.
func Policy() fleet.Policy {
	live := false
	return fleet.Policy{
		DryRun: &live, Limits: fleet.Limits{MaxInstances: 10},
		LaunchSpecs: []fleet.LaunchSpec{{
			Name: "default", Images: []string{"ami-1"}, Subnets: []fleet.SubnetID{"subnet-a"},
			SecurityGroups: []string{"sg-1"}, InstanceProfile: "ecs",
		}},
	}
}

// Apply makes a policy the one of Cluster.
func (s *Stage) Apply(policy fleet.Policy) {
	s.Helper()
	if _, err := s.Bus.Control().ApplyPolicy(s.Context(), Cluster, policy, nil); err != nil {
		s.Fatal(err)
	}
}

// Plan completes a plan made at a time, appends it to the chain and returns it. The trace of
// ctx becomes that of the plan.
func (s *Stage) Plan(ctx context.Context, now time.Time, p fleet.Plan) fleet.Plan {
	s.Helper()
	p.Cluster, p.Generation, p.Prev = Cluster, s.Bus.Generation(), s.last
	p.MadeAt, p.ReadStartedAt, p.MadeBy = now.UTC(), now.UTC(), "test"
	for i := range p.Actions {
		if p.Actions[i].Deadline.IsZero() {
			p.Actions[i].Deadline = now.UTC().Add(deadline)
		}
	}
	if err := p.Seal(); err != nil {
		s.Fatal(err)
	}
	seq, err := s.Bus.AppendPlan(ctx, &p, s.seq)
	if err != nil {
		s.Fatal(err)
	}
	s.last, s.seq = p.ID, seq
	return p
}

// Start runs a service until stop is called, which returns what it returned. At the end of
// the test it is stopped in any case.
func (s *Stage) Start(run func(context.Context, *service.Process) error) (stop func() error) {
	s.Helper()
	p, err := service.New(s.Context(), "test", service.Config{StallAfter: time.Minute, ShutdownTimeout: time.Second}, io.Discard)
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, p) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return errors.Join(err, p.Stop(context.Background()))
		case <-time.After(patience):
			s.Errorf("the service still runs %s after it was told to stop", patience)
			return nil
		}
	})
	s.Cleanup(func() { _ = stop() })
	return stop
}

// Config is that of an executor in a hurry.
func Config() executor.Config {
	return executor.Config{Installation: "neap", Tick: 20 * time.Millisecond, Concurrency: 4, StaleAfter: 200 * time.Millisecond}
}

// Outcomes are those of an action, in order.
func (s *Stage) Outcomes(a fleet.ActionID) []fleet.Outcome {
	s.Helper()
	var list []fleet.Outcome
	for o, err := range s.Bus.Outcomes(s.Context(), Cluster, 0) {
		if err != nil {
			s.Fatal(err)
		}
		if o.Value.Action == a {
			list = append(list, o.Value)
		}
	}
	return list
}

// Record reads the ledger; ok is false if there is no record of the action.
func (s *Stage) Record(a fleet.ActionID) (r executor.Record, ok bool) {
	s.Helper()
	entry, err := s.Bus.Ledger().Get(s.Context(), Cluster, a)
	if errors.Is(err, fleet.ErrNotFound) {
		return r, false
	}
	if err == nil {
		err = entry.Decode(&r)
	}
	if err != nil {
		s.Fatal(err)
	}
	return r, true
}

// Recorded waits until an action is in the ledger.
func (s *Stage) Recorded(a fleet.ActionID) {
	s.Helper()
	s.Eventually("the action is in the ledger", func() bool { _, ok := s.Record(a); return ok })
}

// Finished waits until all actions of a plan are over and returns how the first one ended.
func (s *Stage) Finished(p fleet.Plan) fleet.Outcome {
	s.Helper()
	for i := range p.Actions {
		s.Eventually("the action is over", func() bool {
			r, ok := s.Record(p.Actions[i].ID)
			return ok && r.Finished()
		})
	}
	r, _ := s.Record(p.Actions[0].ID)
	return *r.End
}

// Eventually waits until something holds, and fails the test if it never does.
func (s *Stage) Eventually(what string, holds func() bool) {
	s.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			s.Fatalf("never happened: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// Crashed waits until a process has crashed as [CrashAt] arranged, and fails the test if it
// never does.
func (s *Stage) Crashed(crashed <-chan struct{}, stop func() error) {
	s.Helper()
	select {
	case <-crashed:
	case <-time.After(patience):
		s.Fatal("it never came to the point where it is to crash")
	}
	if err := stop(); err == nil {
		s.Fatal("it went on over the crash")
	}
}

// CrashAt makes a crash for [executor.Config].Crash: the nth time that the process comes to
// a point. crashed is closed then.
func CrashAt(point executor.Point, nth int) (crash func(executor.Point) error, crashed <-chan struct{}) {
	var mu sync.Mutex
	passed, done := 0, make(chan struct{})
	return func(p executor.Point) error {
		mu.Lock()
		defer mu.Unlock()
		if p != point {
			return nil
		}
		if passed++; passed != nth {
			return nil
		}
		close(done)
		return errors.New("for the test")
	}, done
}
