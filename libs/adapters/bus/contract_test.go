package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim/dst"
)

// party is what the contracts ask of a bus: of the real one, and of the one that the
// simulation plays on. Names are those of processes.
type party interface {
	create(as string, id fleet.ActionID) (uint64, error)
	update(as string, id fleet.ActionID, value string, revision uint64) (uint64, error)
	get(as string, id fleet.ActionID) (string, error)
	append(as string, p *fleet.Plan, after uint64) (uint64, error)
	last(as string) (fleet.PlanID, uint64)
	publish(as string, o *fleet.Outcome) error
	outcomes(as string) int
	deliver(as string) uint64 // 0 is none
	ack(as string, seq uint64)
	silence(as string) // it is not heard of for so long that it counts as dead
	lose(t *testing.T)
}

// contracts are the habits of JetStream that the protocol is built on, by the number of the
// measurement that found them (annex A of the reliability reference).
var contracts = []struct {
	name  string
	check func(*testing.T, party)
}{
	{"E4 a record is created once", func(t *testing.T, p party) {
		won := race(func(n int) error { _, err := p.create(fmt.Sprint(n), "a1"); return err })
		oneWinner(t, won)
	}},
	{"E5 a record is changed over what was read only", func(t *testing.T, p party) {
		first, err := p.create("a", "a1")
		must(t, err)
		second, err := p.update("a", "a1", "two", first)
		must(t, err)
		if second <= first {
			t.Errorf("revision %d follows %d", second, first)
		}
		if _, err := p.update("b", "a1", "three", first); !errors.Is(err, fleet.ErrConflict) {
			t.Errorf("over an old revision: %v", err)
		}
		if got, err := p.get("b", "a1"); got != "two" || err != nil {
			t.Errorf("there is %q, %v", got, err)
		}
	}},
	{"a record that is not there is neither read nor changed", func(t *testing.T, p party) {
		if _, err := p.get("a", "a1"); !errors.Is(err, fleet.ErrNotFound) {
			t.Errorf("get: %v", err)
		}
		if _, err := p.update("a", "a1", "two", 1); !errors.Is(err, fleet.ErrConflict) {
			t.Errorf("update: %v", err)
		}
	}},
	{"E8 of plans that follow the same one, one is appended", func(t *testing.T, p party) {
		plans := make([]*fleet.Plan, racers)
		for n := range plans {
			plans[n] = planFor(t, "web", 1, "", fmt.Sprint(n))
		}
		won := race(func(n int) error { _, err := p.append(fmt.Sprint(n), plans[n], 0); return err })
		if id, _ := p.last("0"); id != plans[oneWinner(t, won)].ID {
			t.Errorf("the last plan is %s, and another was told that it had won", id)
		}
	}},
	{"an append that is made again is the same one", func(t *testing.T, p party) {
		plan := planFor(t, "web", 1, "", "a")
		seq, err := p.append("a", plan, 0)
		must(t, err)
		again, err := p.append("a", plan, 0)
		if id, at := p.last("a"); again != seq || err != nil || id != plan.ID || at != seq {
			t.Errorf("sequence %d, %v, then %d; the last is %s at %d", seq, err, again, id, at)
		}
	}},
	{"E14 what was lost keeps those out who knew it, though the sequences begin anew", func(t *testing.T, p party) {
		first := planFor(t, "web", 1, "", "a")
		seq, err := p.append("old", first, 0)
		must(t, err)
		revision, err := p.create("old", "a1")
		must(t, err)
		p.lose(t)
		if again, err := p.append("new", planFor(t, "web", 2, "", "b"), 0); again != seq || err != nil {
			t.Errorf("the first plan of the new generation: sequence %d, %v", again, err)
		}
		if _, err := p.append("old", planFor(t, "web", 1, first.ID, "zombie"), seq); err == nil {
			t.Error("a process of the old generation appended a plan")
		}
		if _, err := p.update("old", "a1", "two", revision); err == nil {
			t.Error("a process of the old generation changed a record")
		}
		if err := p.publish("old", outcomeOf(first, fleet.PhaseIntent)); err == nil {
			t.Error("a process of the old generation stored an intent")
		}
	}},
	{"E1 an outcome that is stored twice is there once or twice", func(t *testing.T, p party) {
		plan := planFor(t, "web", 1, "", "a")
		_, err := p.append("a", plan, 0)
		must(t, err)
		for range 2 {
			must(t, p.publish("a", outcomeOf(plan, fleet.PhaseIntent)))
		}
		if n := p.outcomes("b"); n != 1 && n != 2 {
			t.Errorf("%d outcomes", n)
		}
	}},
	{"a plan is in one hand at a time", func(t *testing.T, p party) {
		seq, err := p.append("a", planFor(t, "web", 1, "", "a"), 0)
		must(t, err)
		if got := p.deliver("one"); got != seq {
			t.Errorf("delivered %d", got)
		}
		if got := p.deliver("two"); got != 0 {
			t.Errorf("delivered %d a second time", got)
		}
	}},
	{"E3 a late acknowledgement counts while another has the plan in hand", func(t *testing.T, p party) {
		seq, err := p.append("a", planFor(t, "web", 1, "", "a"), 0)
		must(t, err)
		p.deliver("one")
		p.silence("one")
		if got := p.deliver("two"); got != seq {
			t.Fatalf("after a silence %d is delivered", got)
		}
		p.ack("one", seq)
		p.silence("two")
		if got := p.deliver("three"); got != 0 {
			t.Errorf("%d is delivered though it was acknowledged", got)
		}
	}},
	{"E9 a plan is delivered as often as it takes", func(t *testing.T, p party) {
		seq, err := p.append("a", planFor(t, "web", 1, "", "a"), 0)
		must(t, err)
		const rounds = 8
		for n := range rounds {
			name := fmt.Sprint(n)
			if got := p.deliver(name); got != seq {
				t.Fatalf("delivery %d is of %d", n+1, got)
			}
			p.silence(name)
		}
	}},
	{"E16 what is acknowledged stays in the chain", func(t *testing.T, p party) {
		plan := planFor(t, "web", 1, "", "a")
		seq, err := p.append("a", plan, 0)
		must(t, err)
		p.deliver("one")
		p.ack("one", seq)
		if id, at := p.last("b"); id != plan.ID || at != seq {
			t.Errorf("the last plan is %q at %d", id, at)
		}
		if got := p.deliver("two"); got != 0 {
			t.Errorf("%d is delivered again", got)
		}
	}},
}

// TestContracts asks the same of the simulated bus and of a real nats-server: what one of
// them grants and the other does not is a mistake of the simulation.
func TestContracts(t *testing.T) {
	for name, open := range map[string]func(*testing.T) party{"simulated": openSimulated, "nats-server": openServer} {
		t.Run(name, func(t *testing.T) {
			for _, c := range contracts {
				t.Run(c.name, func(t *testing.T) { c.check(t, open(t)) })
			}
		})
	}
}

// racers is how many processes want the same at once.
const racers = 8

// race lets all of them try at once.
func race(try func(int) error) []error {
	errs := make([]error, racers)
	var all sync.WaitGroup
	for n := range errs {
		all.Go(func() { errs[n] = try(n) })
	}
	all.Wait()
	return errs
}

// oneWinner checks that one has won and all others were told so.
func oneWinner(t *testing.T, errs []error) int {
	t.Helper()
	winner := -1
	for n, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("%d and %d have both won", winner, n)
		case err == nil:
			winner = n
		case !errors.Is(err, fleet.ErrConflict):
			t.Errorf("%d: %v", n, err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody has won")
	}
	return winner
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// simulated is the bus of package dst. It is in one goroutine: of those who race one comes first.
type simulated struct {
	mu sync.Mutex
	*dst.Alone
}

func openSimulated(*testing.T) party { return &simulated{Alone: dst.NewAlone(1)} }

func (s *simulated) as(name string, do func(*dst.Process)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.As(name, do)
}

func (s *simulated) create(as string, id fleet.ActionID) (revision uint64, err error) {
	s.as(as, func(p *dst.Process) {
		revision, err = p.Ledger().Create(context.Background(), "web", id, []byte("one"))
	})
	return revision, err
}

func (s *simulated) update(as string, id fleet.ActionID, value string, revision uint64) (next uint64, err error) {
	s.as(as, func(p *dst.Process) {
		next, err = p.Ledger().Update(context.Background(), "web", id, []byte(value), revision)
	})
	return next, err
}

func (s *simulated) get(as string, id fleet.ActionID) (value string, err error) {
	s.as(as, func(p *dst.Process) {
		entry, errGet := p.Ledger().Get(context.Background(), "web", id)
		value, err = string(entry.Value), errGet
	})
	return value, err
}

func (s *simulated) append(as string, plan *fleet.Plan, after uint64) (seq uint64, err error) {
	s.as(as, func(p *dst.Process) { seq, err = p.AppendPlan(plan, after) })
	return seq, err
}

func (s *simulated) last(as string) (id fleet.PlanID, seq uint64) {
	s.as(as, func(p *dst.Process) { id, seq = p.LastPlan() })
	return id, seq
}

func (s *simulated) publish(as string, o *fleet.Outcome) (err error) {
	s.as(as, func(p *dst.Process) { err = p.PublishOutcome(o) })
	return err
}

func (s *simulated) outcomes(as string) (n int) {
	s.as(as, func(p *dst.Process) { n = p.Outcomes() })
	return n
}

func (s *simulated) deliver(as string) (seq uint64) {
	s.as(as, func(p *dst.Process) { seq = p.Deliver() })
	return seq
}

func (s *simulated) ack(as string, seq uint64) { s.as(as, func(p *dst.Process) { p.Ack(seq) }) }

func (s *simulated) silence(as string) {
	s.Die(as)
	s.Pass(s.AckWait() + time.Second)
}

func (s *simulated) lose(*testing.T) { s.Lose() }

// actual is a real nats-server, with a connection for each process.
type actual struct {
	t   *testing.T
	url string

	mu        sync.Mutex
	processes map[string]*bus.Bus
	inHand    map[string]jetstream.Msg
}

// impatient is how long a delivery may go without a sign of life in these tests.
const impatient = 200 * time.Millisecond

func openServer(t *testing.T) party {
	s := &actual{t: t, url: bustest.Start(t), processes: map[string]*bus.Bus{}, inHand: map[string]jetstream.Msg{}}
	quickAck(t, s.as("setup"), impatient)
	return s
}

func (s *actual) as(name string) *bus.Bus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.processes[name] == nil {
		s.processes[name] = bustest.Connect(s.t, bus.Config{URL: s.url})
	}
	return s.processes[name]
}

func (s *actual) create(as string, id fleet.ActionID) (uint64, error) {
	return s.as(as).Ledger().Create(s.t.Context(), "web", id, []byte("one"))
}

func (s *actual) update(as string, id fleet.ActionID, value string, revision uint64) (uint64, error) {
	return s.as(as).Ledger().Update(s.t.Context(), "web", id, []byte(value), revision)
}

func (s *actual) get(as string, id fleet.ActionID) (string, error) {
	entry, err := s.as(as).Ledger().Get(s.t.Context(), "web", id)
	return string(entry.Value), err
}

func (s *actual) append(as string, p *fleet.Plan, after uint64) (uint64, error) {
	return s.as(as).AppendPlan(s.t.Context(), p, after)
}

func (s *actual) last(as string) (fleet.PlanID, uint64) {
	p, seq, _, err := s.as(as).LastPlan(s.t.Context(), "web")
	must(s.t, err)
	return p.ID, seq
}

func (s *actual) publish(as string, o *fleet.Outcome) error {
	return s.as(as).PublishOutcome(s.t.Context(), o)
}

func (s *actual) outcomes(as string) (n int) {
	for _, err := range s.as(as).Outcomes(s.t.Context(), "web", 1) {
		must(s.t, err)
		n++
	}
	return n
}

func (s *actual) deliver(as string) uint64 {
	c, err := s.as(as).JetStream().Consumer(s.t.Context(), "NEAP_1_PLAN", bus.Actuator)
	must(s.t, err)
	batch, err := c.Fetch(1, jetstream.FetchMaxWait(impatient/2))
	must(s.t, err)
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		must(s.t, err)
		s.inHand[as] = msg
		return meta.Sequence.Stream
	}
	return 0
}

func (s *actual) ack(as string, _ uint64) { must(s.t, s.inHand[as].DoubleAck(s.t.Context())) }

func (s *actual) silence(string) { time.Sleep(2 * impatient) }

func (s *actual) lose(t *testing.T) {
	must(t, s.as("setup").JetStream().DeleteStream(t.Context(), "NEAP_1_PLAN"))
	must(t, bus.Bootstrap(t.Context(), bus.Config{URL: s.url}, bus.BootstrapOptions{MaxBytes: bustest.MaxBytes, Generation: 2}))
}
