package sim

import (
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet/place"
)

// reconcileDaemon keeps one task on every instance that may have one.
func (w *World) reconcileDaemon(s *service) {
	primary := s.deployments[0]
	w.countDaemons(s)
	y := w.tally(s)
	if y.fit > 0 {
		s.mend(primary)
	}
	low, _ := s.bounds()
	var ended []*task
	stop := func(t *task, reason string) {
		if t.last == taskRunning && t.healthy(w) {
			y.healthy--
		}
		w.stopTask(t, stopByScheduler, reason)
		ended = append(ended, t)
	}
	scaling := fmt.Sprintf("Scaling activity initiated by (deployment %s)", primary.id)
	violated := false
	for _, t := range slices.Clone(s.active) {
		old := !t.deployment.primary && (t.last != taskRunning || !t.healthy(w) || y.healthy-1 >= low)
		switch {
		case t.host.status == statusDraining:
			if t.host.daemonsOnly() {
				stop(t, scaling)
			}
		case t.unfit(w):
			primary.failed++
			stop(t, t.whyUnfit(w))
		case !w.mayStay(s, t):
			violated = true
			stop(t, "Task no longer satisfies the placement constraints of its service")
		case old:
			stop(t, scaling)
		}
	}
	if violated {
		w.tellService(s, "ERROR", "SERVICE_DAEMON_PLACEMENT_CONSTRAINT_VIOLATED", "")
	}
	w.sayStopped(s, ended)
	w.breakCircuit(s)
	for h := range s.cluster.hostRoll.all {
		if h.schedulable() {
			w.placeDaemon(s, h)
		}
	}
	if wait := s.nextTry.Sub(w.now); wait > 0 {
		w.wake(s, wait)
	}
	if y.recheck > 0 && (len(y.wrong) > 0 || primary.failed > 0) {
		w.wake(s, y.recheck)
	}
	w.settle(s)
}

// countDaemons sets the desired count to the number of instances that may have a task.
func (w *World) countDaemons(s *service) {
	before := s.desired
	s.desired = 0
	for h := range s.cluster.hostRoll.all {
		if h.schedulable() && s.mayRunOn(h) {
			s.desired++
		}
	}
	if s.desired != before {
		w.tellService(s, "INFO", "SERVICE_DESIRED_COUNT_UPDATED", "")
	}
}

// mayRunOn reports whether the rules of a service allow its tasks on an instance, full or
// not.
func (s *service) mayRunOn(h *containerInstance) bool {
	node, _ := s.cluster.placement.Node(h.node)
	_, ok := s.deployments[0].kind.AllowedOn(&node)
	return ok
}

// mayStay reports whether the instance of a daemon's task still matches the constraints:
// ECS checks them again for daemons alone.
func (w *World) mayStay(s *service, t *task) bool {
	return !t.deployment.primary || !t.host.schedulable() || s.mayRunOn(t.host)
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
	if s.onHost[h] != nil || !h.schedulable() || s.status != statusActive || w.now.Before(s.nextTry) || d.rollout == rolloutFailed {
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

// daemonDue is when a daemon's task on an instance is replaced: at once, before any other
// service can take its room, for ECS keeps that for it.
type daemonDue struct {
	s *service
	h *containerInstance
}

func (e daemonDue) happen(w *World) { w.placeDaemon(e.s, e.h) }
