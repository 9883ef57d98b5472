package planner

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// goodEnough is by how much the instances of a plan may cost more than they must, as far as
// is proven, before a second look is taken. Below half a per cent there is next to nothing to
// gain, and what is there is often a gap of the proof.
const goodEnough = 0.005

// stop is why a decision did not look longer for cheaper instances.
type stop string

// Why it did not.
const (
	stopNothing  stop = "nothing-packed" // it launches nothing
	stopGood     stop = "good-enough"    // the first look is proven to be nearly the cheapest
	stopOff      stop = "off"            // SECOND_LOOK is 0
	stopTime     stop = "no-time"        // a second look would take longer than its share of the beat
	stopLate     stop = "too-late"       // the second look was not ready within its share of the beat
	stopCheaper  stop = "cheaper"        // the second look was taken
	stopNoBetter stop = "no-better"      // the second look found nothing cheaper
)

// look decides, and decides again with more effort if that may save something and there is
// time. Effort is an input of a plan, which the plan names: whichever is taken can be made
// again, byte for byte. The clock only chooses between the two.
func (p *Planner) look(ctx context.Context, d *desk, snap fleet.Snapshot, policy fleet.Policy, mem fleet.Memory) fleet.Plan {
	span := trace.SpanFromContext(ctx)
	started := time.Now()
	decided := p.make(snap, policy, mem)
	tell(span, "first", &decided)
	left := time.Duration(p.cfg.SecondLook*float64(p.cfg.Beat)) - time.Since(d.began)
	d.stop = p.stopAfter(&decided, time.Since(started), left)
	if d.stop == "" {
		mem.Effort = fleet.EffortNormal
		second, ok := p.lookAgain(ctx, d, snap, policy, mem, left)
		switch {
		case !ok:
			d.stop = stopLate
		case plan.Cheaper(snap, policy, mem, &second, &decided):
			tell(span, "second", &second)
			decided, d.stop = second, stopCheaper
		default:
			tell(span, "second", &second)
			d.stop = stopNoBetter
		}
	}
	span.SetAttributes(telemetry.AttrStop.String(string(d.stop)), telemetry.AttrPlanEffort.String(decided.Effort.String()))
	if d.stop != stopNothing {
		p.meter.looks.Add(ctx, 1, metric.WithAttributes(attribute.String(telemetry.LabelCluster, string(d.cluster)), attribute.String(telemetry.LabelStop, string(d.stop))))
	}
	return decided
}

// stopAfter says why the first look, which took so long, is the last; "" if it is not.
func (p *Planner) stopAfter(first *fleet.Plan, took, left time.Duration) stop {
	packing := plan.PackingOf(first)
	switch {
	case packing.IsZero():
		return stopNothing
	case packing.Bound > 0 && packing.Gap() <= goodEnough:
		return stopGood
	case p.cfg.SecondLook == 0:
		return stopOff
	case took > left: // a second look takes at least as long
		return stopTime
	}
	return ""
}

// lookAgain decides with the effort that mem says, unless that takes longer than the time
// that is left: tasks wait. Packing cannot be interrupted, but its steps are counted, so what
// is not waited for ends by itself; until then the cluster is not looked at again so.
func (p *Planner) lookAgain(ctx context.Context, d *desk, snap fleet.Snapshot, policy fleet.Policy, mem fleet.Memory, left time.Duration) (second fleet.Plan, ok bool) {
	select {
	case d.busy <- struct{}{}:
	default:
		return second, false
	}
	ready := make(chan fleet.Plan, 1)
	d.looking.Go(func() {
		again := p.make(snap, policy, mem)
		<-d.busy
		ready <- again
	})
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case second = <-ready:
		return second, true
	case <-timer.C:
	case <-ctx.Done():
	}
	return second, false
}

// tell puts what a look found into the trace.
func tell(span trace.Span, which string, p *fleet.Plan) {
	packing := plan.PackingOf(p)
	span.SetAttributes(telemetry.AttrLook(which, "effort").String(p.Effort.String()), telemetry.AttrLook(which, "cost").Float64(packing.Cost.USD()),
		telemetry.AttrLook(which, "bound").Float64(packing.Bound.USD()), telemetry.AttrLook(which, "gap").Float64(packing.Gap()))
}

// packedWords says in the log how good the choice of instances is; nothing where none is made.
func packedWords(p *fleet.Plan, why stop) slog.Attr {
	packing := plan.PackingOf(p)
	if packing.IsZero() {
		return slog.Attr{}
	}
	return slog.Group("packing", "cost", packing.Cost.String(), "bound", packing.Bound.String(), "gap", packing.Gap(),
		"effort", p.Effort.String(), "stop", string(why))
}
