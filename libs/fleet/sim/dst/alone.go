package dst

import (
	"context"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// Alone is the simulated bus and cache without anybody at work on them, to be held against
// the real ones: what they promise, tests ask of both. No fault happens unless [Alone.Fault]
// says so.
type Alone struct {
	s         *system
	processes map[string]*replica
}

// NewAlone makes a bus and a cache with nothing in them.
func NewAlone(seed uint64) *Alone {
	s := newSystem(Config{Seed: seed})
	for _, f := range s.faults { //neap:unordered each by itself
		f.chance = 1
	}
	return &Alone{s, map[string]*replica{}}
}

// As does something as a process of that name, which lives on in its generation until it dies.
// It returns when that is done; time passes as it takes.
func (a *Alone) As(name string, do func(*Process)) {
	s := a.s
	r := a.processes[name]
	if r == nil || !r.up {
		r = &replica{s: s, service: name, up: true, run: len(a.processes), generation: s.bus.generation, rng: s.dice(name, 0)}
		a.processes[name] = r
	}
	done := false
	r.spawn(func(*thread) {
		do(&Process{s.bus, s.cache})
		done = true
	})
	s.run(s.now.Add(time.Hour), func() bool { return done })
}

// Die ends a process without a word; one of the same name is another.
func (a *Alone) Die(name string) { a.processes[name].up = false }

// Pass lets time pass.
func (a *Alone) Pass(d time.Duration) { a.As("clock", func(*Process) { a.s.thread.sleep(d) }) }

// Lose loses all streams: a new generation begins.
func (a *Alone) Lose() { a.s.bus.lose() }

// Flush empties the cache.
func (a *Alone) Flush() { clear(a.s.cache.notices) }

// Fault lets a fault of [Faults] hit all that it may, for a while.
func (a *Alone) Fault(id string, lasts time.Duration) { a.s.faults[id].until = a.s.now.Add(lasts) }

// AckWait is how long a delivery may go without a sign of life.
func (a *Alone) AckWait() time.Duration { return ackWait }

// Process is the bus and the cache as one process has them.
type Process struct {
	bus   *bus
	cache *cache
}

// Ledger is the records of the actions.
func (p *Process) Ledger() execute.Ledger { return ledger{p.bus} }

// AppendPlan adds a plan if the chain still ends at a sequence.
func (p *Process) AppendPlan(plan *fleet.Plan, after uint64) (uint64, error) {
	return p.bus.appendPlan(plan, after)
}

// LastPlan is the last plan of the chain and its sequence; empty if there is none.
func (p *Process) LastPlan() (fleet.PlanID, uint64) {
	n := len(p.bus.plans)
	if n == 0 {
		return "", 0
	}
	return p.bus.plans[n-1].value.ID, p.bus.plans[n-1].seq
}

// PublishOutcome stores an outcome.
func (p *Process) PublishOutcome(o *fleet.Outcome) error {
	return p.bus.PublishOutcome(context.Background(), o)
}

// Outcomes is how many outcomes are stored.
func (p *Process) Outcomes() int { return len(p.bus.outcomes) }

// Deliver hands out a plan of the actuator's that nobody has in hand; 0 is none.
func (p *Process) Deliver() uint64 {
	seq, _ := p.bus.durables[actuatorName].next()
	return seq
}

// Ack acknowledges a delivery.
func (p *Process) Ack(seq uint64) { p.bus.durables[actuatorName].ack(seq) }

// Remember puts a notice into the cache.
func (p *Process) Remember(n snapshot.Notice) { p.cache.put(n) }

// Remembered reports whether the cache has a notice of an instance.
func (p *Process) Remembered(id fleet.InstanceID) bool {
	_, ok := p.cache.get()[id]
	return ok
}
