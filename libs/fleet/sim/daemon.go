package sim

import (
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet/place"
)

// reconcileDaemon keeps one task on every instance that may have one.
func (w *World) reconcileDaemon(s *service) {
	primary := s.deployments[0]
	s.desired = 0
	for h := range s.cluster.hostRoll.all {
		if !h.schedulable() {
			continue
		}
		node, _ := s.cluster.placement.Node(h.node)
		if _, ok := primary.kind.AllowedOn(&node); ok {
			s.desired++
		}
	}
	low := (s.desired*s.minPercent + 99) / 100
	for _, t := range slices.Clone(s.active) {
		old := !t.deployment.primary && (t.last != taskRunning || s.running-1 >= low)
		if old || t.host.status == statusDraining && t.host.daemonsOnly() {
			w.stopTask(t, stopByScheduler, fmt.Sprintf("Scaling activity initiated by (deployment %s)", primary.id))
		}
	}
	for h := range s.cluster.hostRoll.all {
		if h.schedulable() {
			w.placeDaemon(s, h)
		}
	}
	w.settle(s)
}

// daemonsOnly reports whether only tasks of daemon services are left on an instance.
func (h *containerInstance) daemonsOnly() bool {
	return !slices.ContainsFunc(h.tasks, func(t *task) bool {
		return t.service == nil || t.service.scheduling != strategyDaemon
	})
}

// placeDaemon starts the daemon's task on an instance that has none and may have one.
func (w *World) placeDaemon(s *service, h *containerInstance) {
	d := s.deployments[0]
	if s.onHost[h] != nil || !h.schedulable() {
		return
	}
	refusal, ok := s.cluster.placement.Eligible(h.node, d.kind.Task)
	if !ok {
		if !refusal.Permanent() && refusal.Kind != place.KindConstraint {
			text, _ := w.whyNot(s.cluster, d.kind)
			w.say(s, text)
		}
		return
	}
	s.cluster.placement.Put(h.node, d.kind.Task, 1)
	t := w.newTask(s.cluster, h, s.spec(d))
	s.onHost[h] = t
	w.say(s, "has started 1 tasks:"+taskList([]*task{t})+".")
}
