package planner

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// standingShare is how many times as long as it took to find a standing none is looked for
// again: so a cluster takes a twentieth of a core for it, however large it is.
const standingShare = 20

// standingAge is how long a standing is kept for people: if none follows for so long, nobody
// looks at the cluster any more.
const standingAge = 10 * time.Minute

// closeEnough is how near to the bound the cheapest cluster that was found has to be for the
// bound to be called settled: more effort could hardly raise it.
const closeEnough = 1.001

// question is what the standing of a cluster is to be found for: what the latest turn that
// ended well has decided on.
type question struct {
	view   view
	policy fleet.Policy
	memory fleet.Memory
}

// solver packs. It may keep what it found from one call to the next, for nothing that it
// finds has to be found again by somebody else.
type solver func(pack.Problem) pack.Solution

// newSolver makes the solver of one cluster.
func newSolver() solver { return new(pack.Warm).Solve }

// ask leaves a question for followStanding. One that was not taken yet is out of date.
func (d *desk) ask(q question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held {
		d.question = &q
	}
	select {
	case d.asks <- struct{}{}:
	default:
	}
}

// answer takes the question, with the count of wakes until now.
func (d *desk) answer() (q *question, rings int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, d.question = d.question, nil
	return q, d.rings
}

// woken reports whether the planner has been woken since: something newer is to be decided.
func (d *desk) woken(rings int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rings != rings
}

// forgetStanding takes back what is shown: nothing is known of the cluster any more.
func (d *desk) forgetStanding() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.question, d.standing = nil, nil
}

// followStanding finds out what the cluster costs beside the least it could cost, between the
// turns and beside them, until ctx ends. It decides nothing and delays no turn.
func (p *Planner) followStanding(ctx context.Context, d *desk) {
	if p.cfg.Standing == 0 {
		return
	}
	solve := newSolver()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.asks:
		}
		q, rings := d.answer()
		if q == nil {
			continue
		}
		started := time.Now()
		p.findStanding(ctx, d, q, rings, solve)
		rest(ctx, max(p.cfg.Standing, standingShare*time.Since(started)))
	}
}

// findStanding shows a quick answer first, then a better one unless the planner was woken: the
// turn that follows asks anew. Each packing is bounded in steps, and one cluster is packed at a
// time.
func (p *Planner) findStanding(ctx context.Context, d *desk, q *question, rings int, solve solver) {
	var best fleet.Price // bound: each effort proves its own
	for _, effort := range [...]fleet.Effort{fleet.EffortFast, fleet.EffortNormal} {
		select {
		case p.slot <- struct{}{}:
		case <-ctx.Done():
			return
		}
		mem := q.memory
		mem.Effort = effort
		st := p.stand(ctx, q, mem, solve)
		<-p.slot
		if ctx.Err() != nil {
			return // whoever has the lease now shows its own
		}
		st.Bound = max(st.Bound, best)
		best = st.Bound
		p.showStanding(ctx, d, &st)
		if d.woken(rings) || st.Bound <= 0 || st.Anew.USD() <= st.Bound.USD()*closeEnough {
			return
		}
	}
}

// stand finds one standing, with a span of its own.
func (p *Planner) stand(ctx context.Context, q *question, mem fleet.Memory, solve solver) fleet.Standing {
	_, span := telemetry.SpanStanding.Start(trace.ContextWithRemoteSpanContext(ctx, q.view.trace), p.proc.Tracer,
		trace.WithAttributes(telemetry.AttrCluster.String(string(q.view.snapshot.Cluster))))
	defer span.End()
	st := plan.Standing(q.view.snapshot, q.policy, mem, solve)
	span.SetAttributes(telemetry.AttrStanding("effort").String(st.Effort.String()), telemetry.AttrStanding("cost").Float64(st.Cost.USD()),
		telemetry.AttrStanding("bound").Float64(st.Bound.USD()), telemetry.AttrStanding("ratio").Float64(st.Ratio()))
	return st
}

// showStanding keeps a standing for people and metrics.
func (p *Planner) showStanding(ctx context.Context, d *desk, st *fleet.Standing) {
	d.mu.Lock()
	d.standing = st
	d.mu.Unlock()
	cache.Set(ctx, p.cache, StandingKey(d.cluster), *st, max(standingAge, 2*p.cfg.Standing))
}
