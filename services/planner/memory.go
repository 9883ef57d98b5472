package planner

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/outcome"
)

// history is what the memory of a cluster is folded from.
type history interface {
	LastPlan(context.Context, fleet.ClusterName) (p fleet.Plan, seq uint64, ok bool, err error)
	Plans(ctx context.Context, cluster fleet.ClusterName, from uint64) iter.Seq2[bus.Stored[fleet.Plan], error]
	Outcomes(ctx context.Context, cluster fleet.ClusterName, from uint64) iter.Seq2[bus.Stored[fleet.Outcome], error]
}

// recollection is the memory of one cluster and how far in the streams it reaches. The
// zero value remembers nothing.
type recollection struct {
	mem        fleet.Memory
	last       fleet.Plan // of the chain
	planSeq    uint64     // where the chain ends
	outcomeSeq uint64

	// noticed is the latest plan that changed nothing and so was not appended: since when
	// an instance is idle or a task waits must not be forgotten with it.
	noticed *fleet.Plan
}

// forget makes the next refresh fold the streams from the start. What was noticed stays:
// it is dated.
func (r *recollection) forget() { *r = recollection{noticed: r.noticed} }

// refresh folds what the streams hold that is not remembered yet. Plans that somebody else
// appended change what earlier outcomes meant: then everything is folded anew.
func (r *recollection) refresh(ctx context.Context, h history, cluster fleet.ClusterName) error {
	last, seq, _, err := h.LastPlan(ctx, cluster)
	if err != nil {
		return err
	}
	if seq != r.planSeq {
		r.forget()
	}
	plans := func(func(bus.Stored[fleet.Plan], error) bool) {}
	if seq != r.planSeq {
		plans = h.Plans(ctx, cluster, 0)
	}
	if err := r.fold(plans, h.Outcomes(ctx, cluster, r.outcomeSeq+1)); err != nil {
		r.forget() // half of it is worse than none
		return err
	}
	if r.planSeq < seq {
		return fmt.Errorf("%w: read the chain up to %d, its last plan is %d", bus.ErrUnavailable, r.planSeq, seq)
	}
	if r.planSeq == seq {
		r.last = last
	}
	return nil
}

// clockSkew is by how much the servers that store plans and outcomes may disagree. A plan
// that was stored that much later than an outcome is folded before it all the same: to
// forget what an action gave is worse than to remember it twice.
const clockSkew = 5 * time.Second

// fold merges plans and outcomes in the order in which they were stored.
func (r *recollection) fold(plans iter.Seq2[bus.Stored[fleet.Plan], error], outcomes iter.Seq2[bus.Stored[fleet.Outcome], error]) error {
	nextPlan, stopPlans := iter.Pull2(plans)
	defer stopPlans()
	nextOutcome, stopOutcomes := iter.Pull2(outcomes)
	defer stopOutcomes()
	p, errPlan, morePlans := nextPlan()
	o, errOutcome, moreOutcomes := nextOutcome()
	for morePlans || moreOutcomes {
		if morePlans && (!moreOutcomes || !p.At.After(o.At.Add(clockSkew))) {
			switch {
			case errors.Is(errPlan, bus.ErrForeign): // decided nothing
			case errPlan != nil:
				return fmt.Errorf("plan %d: %w", p.Seq, errPlan) // a chain with a gap is none
			default:
				r.mem = outcome.Remember(r.mem, &p.Value)
			}
			r.planSeq = p.Seq
			p, errPlan, morePlans = nextPlan()
			continue
		}
		switch {
		case errOutcome != nil && o.Seq == 0:
			return fmt.Errorf("outcomes: %w", errOutcome)
		case errOutcome == nil:
			r.mem = outcome.Fold(r.mem, &o.Value)
		}
		// An outcome that cannot be read teaches nothing; its action is closed by what the
		// snapshots show.
		r.outcomeSeq = o.Seq
		o, errOutcome, moreOutcomes = nextOutcome()
	}
	return nil
}

// at is the memory to decide with.
func (r *recollection) at(generation uint64, pause fleet.Pause) fleet.Memory {
	mem := r.mem
	mem.Generation, mem.Pause = generation, pause
	if n := r.noticed; n != nil && !n.ReadStartedAt.Before(mem.PrevReadAt) {
		mem = outcome.Notice(mem, n)
	}
	return mem
}

// adds reports whether a plan belongs into the chain, see [fleet.Plan.Adds]. A dry run is never
// executed and so would be planned again on each snapshot; one that proposes what
// the last one did adds nothing.
func (r *recollection) adds(p *fleet.Plan) bool {
	if !p.DryRun {
		return p.Adds(&r.last.Rolling, &r.last.Upheaval)
	}
	proposed := ""
	if r.last.DryRun {
		proposed = proposal(&r.last)
	}
	return len(p.Closures) > 0 || proposal(p) != proposed
}

// proposal is what a plan would do, without what differs from beat to beat.
func proposal(p *fleet.Plan) string {
	var lines []string
	for i := range p.Actions {
		a := &p.Actions[i]
		target, _ := a.Target()
		line := fmt.Sprintf("%s %s %s", a.Kind, target, a.Reason.Code)
		if l := a.Launch; l != nil {
			line += fmt.Sprintf(" %d %s %s", l.Count, l.Spec.Name, l.Lifecycle)
			for _, o := range l.Offerings {
				line += " " + o.Key().String()
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// notice keeps what a plan saw that was not appended.
func (r *recollection) notice(p *fleet.Plan) { r.noticed = p }

// remember folds a plan that was appended.
func (r *recollection) remember(p *fleet.Plan, seq uint64) {
	r.mem, r.last, r.planSeq, r.noticed = outcome.Remember(r.mem, p), *p, seq, nil
}
