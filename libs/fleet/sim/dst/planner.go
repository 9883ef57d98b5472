package dst

import (
	"context"
	"errors"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/outcome"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// How old a snapshot may be when it is planned on, as the planner has it.
const (
	staleForRemoval = time.Minute
	staleForAll     = 3 * time.Minute
	clockSkew       = 5 * time.Second
	appendTries     = 3
)

// planner is one life of a planner.
type planner struct {
	s          *system
	r          *replica
	mem        fleet.Memory
	planSeq    uint64
	outcomeSeq int
	noticed    *fleet.Plan
	planned    time.Time // read start of the snapshot that was planned on last
}

func runPlanner(r *replica) {
	p := &planner{s: r.s, r: r}
	r.wake = r.spawn(func(t *thread) {
		for {
			t.sleep(r.s.cfg.Beat)
			if r.s.bus.holds("plan") {
				p.turn()
			}
		}
	})
	r.spawn(func(t *thread) { r.s.outlive(t) })
}

// forget makes the next refresh fold the streams from the start.
func (p *planner) forget() {
	*p = planner{s: p.s, r: p.r, noticed: p.noticed, planned: p.planned}
}

// refresh folds what the streams hold, in the order in which it was stored.
func (p *planner) refresh() error {
	b := p.s.bus
	if err := b.reach(); err != nil {
		return err
	}
	seq := uint64(len(b.plans))
	next := uint64(len(b.plans))
	if seq != p.planSeq {
		p.forget()
		next = 0
	}
	for next < seq || p.outcomeSeq < len(b.outcomes) {
		if next < seq && (p.outcomeSeq >= len(b.outcomes) || !b.plans[next].at.After(b.outcomes[p.outcomeSeq].at.Add(clockSkew))) {
			p.mem = outcome.Remember(p.mem, &b.plans[next].value)
			next++
			continue
		}
		p.mem = outcome.Fold(p.mem, &b.outcomes[p.outcomeSeq].value)
		p.outcomeSeq++
	}
	p.planSeq = seq
	return nil
}

// turn plans on the newest snapshot.
func (p *planner) turn() {
	v, err := p.s.bus.latest()
	if err != nil || p.r.now().Sub(v.at) > staleForAll || v.value.ReadStartedAt.Equal(p.planned) {
		return
	}
	for range appendTries {
		err := p.plan(v)
		if err == nil {
			p.planned = v.value.ReadStartedAt
		}
		if !errors.Is(err, fleet.ErrConflict) {
			return
		}
		p.s.count("F18")
		p.forget()
		p.s.thread.sleep(between(p.r.rng, 50*time.Millisecond, 500*time.Millisecond))
	}
}

// plan decides on one snapshot and appends what was decided if it changes anything.
func (p *planner) plan(v stored[fleet.Snapshot]) error {
	pause, err := control{p.s.bus}.Paused(context.Background(), cluster)
	if err != nil {
		return err
	}
	if err := p.refresh(); err != nil {
		return err
	}
	mem := p.mem
	mem.Generation, mem.Pause = p.r.generation, pause
	if n := p.noticed; n != nil && !n.ReadStartedAt.Before(mem.PrevReadAt) {
		mem = outcome.Notice(mem, n)
	}
	if v.value.ReadStartedAt.Before(mem.PrevReadAt) {
		return nil
	}
	snap := v.value
	if age := p.r.now().Sub(v.at); age > staleForRemoval {
		snap.TakenAt = snap.TakenAt.Add(age)
	}
	policy := p.s.bus.policy
	decided := plan.Make(snap, policy, mem)
	if err := decided.Seal(); err != nil {
		return err
	}
	p.s.thread.sleep(between(p.r.rng, 5*time.Millisecond, 80*time.Millisecond))
	p.s.check.decided()
	if !decided.Adds(&p.mem.Rolling, &p.mem.Upheaval) {
		p.noticed = &decided
		return nil
	}
	p.s.step(p.r, "planned")
	p.s.check.deciding(&decided, basis{&snap, policy, mem, p.r.now().Sub(v.at)})
	seq, err := p.s.bus.appendPlan(&decided, p.planSeq)
	if errors.Is(err, fleet.ErrUnknown) {
		seq, err = p.s.bus.appendPlan(&decided, p.planSeq) // the same bytes with the same expectation
	}
	if err != nil {
		return err
	}
	p.s.step(p.r, "appended")
	p.mem, p.planSeq, p.noticed = outcome.Remember(p.mem, &decided), seq, nil
	return nil
}
