package sim

import (
	"fmt"
	"strconv"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// InterruptSpot warns a spot instance that EC2 is going to take it, and takes it when the
// warning has run out. If its agent is told to, it sets the instance to DRAINING.
func (w *World) InterruptSpot(id fleet.InstanceID) error {
	m, err := w.spotInstance(id)
	if err != nil {
		return fmt.Errorf("interrupt: %w", err)
	}
	if !m.notice.IsZero() {
		return fmt.Errorf("interrupt: instance %s has had its warning at %s", id, m.notice.Format(time.RFC3339))
	}
	m.notice = w.now
	w.seen.InstancesInterrupted++
	w.tellSpot(m, "EC2 Spot Instance Interruption Warning", map[string]string{"instance-id": m.id, "instance-action": "terminate"})
	if m.agent.drainOnSpot {
		w.in(time.Second, spotDrain{m}) // the agent asks every second
	}
	w.in(w.cfg.Delays.SpotWarning, spotTaken{m})
	return nil
}

// RebalanceSpot tells that a spot instance is at an elevated risk. Nothing else happens.
func (w *World) RebalanceSpot(id fleet.InstanceID) error {
	m, err := w.spotInstance(id)
	if err != nil {
		return fmt.Errorf("rebalance: %w", err)
	}
	w.tellSpot(m, "EC2 Instance Rebalance Recommendation", map[string]string{"instance-id": m.id})
	return nil
}

func (w *World) spotInstance(id fleet.InstanceID) (*instance, error) {
	m := w.instances[string(id)]
	switch {
	case m == nil || !m.alive():
		return nil, fmt.Errorf("there is no running instance %s", id)
	case !m.spot:
		return nil, fmt.Errorf("instance %s is on-demand, name a spot instance", id)
	}
	return m, nil
}

// spotDrain is when the agent of an interrupted instance sets it to DRAINING. It asks ECS
// every second until it is heard.
type spotDrain struct{ m *instance }

func (e spotDrain) happen(w *World) {
	h := e.m.host
	switch {
	case !e.m.alive() || h != nil && h.status != statusActive && h.status != statusRegistering:
	case h == nil || !h.connected || h.status == statusRegistering || w.refuses("UpdateContainerInstancesState") != nil:
		w.in(time.Second, e)
	default:
		w.setDraining(h)
	}
}

// spotTaken is when EC2 takes an interrupted instance.
type spotTaken struct{ m *instance }

func (e spotTaken) happen(w *World) {
	w.terminate(e.m, StateReason{"Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination"})
}

// SetInterruptions lets EC2 take spot instances by itself, so many times as often as the
// interruption band of their type in the catalogue says; 0 ends it.
func (w *World) SetInterruptions(scale float64) error {
	const most = 1e6
	if !(scale >= 0 && scale <= most) {
		return fmt.Errorf("interruptions %v times as often: write a number from 0 to %g", scale, most)
	}
	w.interruptions = scale
	w.interruptionRound++
	for m := range w.instanceRoll.all {
		if m.alive() {
			w.planInterruption(m)
		}
	}
	return nil
}

// interruption is when EC2 needs the capacity of a spot instance.
type interruption struct {
	m     *instance
	round int
	only  bool // it is but at an elevated risk
}

// planInterruption lets a spot instance be interrupted one day. The catalogue says which
// share of a type's instances is interrupted within a month.
func (w *World) planInterruption(m *instance) {
	if !m.spot || w.interruptions <= 0 || m.kind.interruptedOften <= 0 {
		return
	}
	const month = 30 * 24 * time.Hour
	mean := time.Duration(float64(month) / m.kind.interruptedOften / w.interruptions)
	round := strconv.Itoa(w.interruptionRound)
	after := w.exponential(mean, "interruption", m.id, round)
	w.in(after, interruption{m, w.interruptionRound, false})
	// A recommendation comes before most interruptions, as the warning does or earlier.
	const recommended, early = 0.7, 10 * time.Minute
	if w.chance("recommended", m.id, round) < recommended {
		ahead := time.Duration(float64(early) * w.chance("ahead", m.id, round)).Truncate(time.Millisecond)
		w.in(after-ahead, interruption{m, w.interruptionRound, true})
	}
}

func (e interruption) happen(w *World) {
	m := e.m
	if e.round != w.interruptionRound || !m.alive() || !m.notice.IsZero() {
		return
	}
	do := w.InterruptSpot
	if e.only {
		do = w.RebalanceSpot
	}
	if err := do(fleet.InstanceID(m.id)); err != nil {
		panic(fmt.Sprintf("sim: %v", err)) // it was checked above
	}
}
