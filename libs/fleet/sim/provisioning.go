package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet/place"
)

// mostWaiting is how many tasks of a cluster wait for capacity at most: the quota "tasks
// in the PROVISIONING state per cluster" of ECS.
const mostWaiting = 500

// begin starts a task of a deployment, which its capacity provider is chosen for. With
// managed scaling a task that finds no room waits for it; else, or when too many wait
// already, there is no task.
func (w *World) begin(s *service, d *deployment, k *kind) *task {
	spec := s.spec(d)
	spec.kind, spec.provider = k, k.CapacityProvider
	if node, ok := w.placeTask(s, k); ok {
		return w.newTask(s.cluster, s.cluster.byNode[node], spec)
	}
	if !w.awaits(k.CapacityProvider) {
		return nil
	}
	if len(s.cluster.waiting) >= mostWaiting {
		w.say(s, "was unable to place tasks in your cluster because the tasks provisioning capacity limit was exceeded.")
		return nil
	}
	return w.await(s.cluster, spec)
}

// beginAll starts up to count tasks of a deployment, split over the capacity providers of
// its service. A provider that has no room keeps its share, which fails: tasks are bound
// to their provider before they are placed. It returns what failed last, if anything did.
func (w *World) beginAll(s *service, d *deployment, count int) (begun []*task, failed *kind) {
	choose := w.newChooser(s, d)
	full := map[*kind]bool{}
	for range count {
		k := choose.next()
		if full[k] {
			continue
		}
		t := w.begin(s, d, k)
		if t == nil {
			full[k], failed = true, k
			if choose.single() {
				break
			}
			continue
		}
		begun = append(begun, t)
	}
	return begun, failed
}

// await makes a task that waits for capacity in PROVISIONING, without an instance.
func (w *World) await(c *cluster, spec taskSpec) *task {
	t := w.makeTask(c, spec)
	t.last = taskProvisioning
	c.waiting = append(c.waiting, t)
	t.count(1)
	t.changed(w)
	w.in(w.delay(w.cfg.Delays.Waiting, "waiting", t.id), waitedTooLong{t})
	w.lookForRoom(c)
	return t
}

// lookForRoom lets ECS try soon to place the tasks that wait for capacity.
func (w *World) lookForRoom(c *cluster) {
	if !c.looking && len(c.waiting) > 0 {
		c.looking = true
		w.in(w.cfg.Delays.Reconcile, roomLook{c})
	}
}

// roomLook is when ECS tries to place the tasks that wait for capacity, the oldest first.
// It looks again and again while there are any; a kind of task that was refused once is
// not tried again in the same look.
type roomLook struct{ c *cluster }

func (e roomLook) happen(w *World) {
	c := e.c
	c.looking = false
	refused := map[*kind]bool{}
	left := make([]*task, 0, len(c.waiting))
	for _, t := range c.waiting {
		if refused[t.kind] || !w.placeWaiting(t) {
			refused[t.kind] = true
			left = append(left, t)
		}
	}
	c.waiting = left
	w.lookForRoom(c)
}

// placeWaiting places a task that waits for capacity, if there is room.
func (w *World) placeWaiting(t *task) bool {
	var node int
	var ok bool
	if t.service != nil {
		node, ok = w.placeTask(t.service, t.kind)
	} else {
		node, ok = t.cluster.placement.Place(t.kind.Task, w.rng)
	}
	if !ok {
		return false
	}
	t.count(-1)
	t.last = taskPending
	if t.service != nil {
		w.seen.ServiceTasksStarted++
		w.wake(t.service, 0)
	} else {
		w.seen.StandaloneTasksStarted++
	}
	w.seat(t, t.cluster.byNode[node])
	return true
}

// waitedTooLong is when ECS gives up on a task that waits for capacity: after 10 to 30
// minutes.
type waitedTooLong struct{ t *task }

func (e waitedTooLong) happen(w *World) {
	t := e.t
	if t.host != nil || t.stopped {
		return
	}
	reason := stopFailedToStart + ": " + w.whyWaiting(t)
	w.stopTask(t, stopFailedToStart, reason)
	if s := t.service; s != nil {
		w.say(s, "was unable to place a task. Reason: "+reason+".")
		w.tellService(s, "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", w.whyWaiting(t))
		w.breakCircuit(s)
	}
}

// whyWaiting says in ECS's words why a task that is bound to a capacity provider finds no
// room.
func (w *World) whyWaiting(t *task) string {
	if why := t.cluster.lacks(t.provider); why != "" {
		return why
	}
	_, refusal := t.cluster.closest(t.kind)
	if refusal.Kind == place.KindConstraint {
		return "MemberOf placement constraint unsatisfied"
	}
	return reasonOf(refusal)
}

// stopWaiting ends a task that has no instance.
func (w *World) stopWaiting(t *task, code, reason string) {
	t.count(-1)
	t.stopped, t.last = true, taskStopped
	t.stopCode, t.stopReason, t.stoppingAt, t.stoppedAt = code, reason, w.now, w.now
	c := t.cluster
	c.waiting = slices.DeleteFunc(slices.Clone(c.waiting), func(other *task) bool { return other == t })
	if t.service != nil {
		if code == stopFailedToStart {
			t.deployment.failed++
		}
		w.wake(t.service, 0)
	}
	t.changed(w)
	w.stepIn(t, w.cfg.Delays.StoppedTask)
}

// waitingOf are the tasks of a service that wait for capacity, the oldest first.
func (c *cluster) waitingOf(s *service) []*task {
	var list []*task
	for _, t := range c.waiting {
		if t.service == s {
			list = append(list, t)
		}
	}
	return list
}

// trimWaiting stops the tasks of a service that wait for capacity and are not wanted any
// more: those of older deployments, and, the newest first, those above the desired count.
// It returns how many still wait. They go before any task that has an instance.
func (w *World) trimWaiting(s *service, placed int) (waiting int) {
	if len(s.cluster.waiting) == 0 {
		return 0
	}
	var ended []*task
	reason := fmt.Sprintf("Scaling activity initiated by (deployment %s)", s.deployments[0].id)
	for _, t := range s.cluster.waitingOf(s) {
		if t.deployment.primary && placed+waiting < s.desired {
			waiting++
			continue
		}
		w.stopTask(t, stopByScheduler, reason)
		ended = append(ended, t)
	}
	w.sayStopped(s, ended)
	return waiting
}

// stopAllWaiting ends the tasks of a deleted service that wait for capacity.
func (w *World) stopAllWaiting(s *service, reason string) {
	for _, t := range s.cluster.waitingOf(s) {
		w.stopTask(t, stopByScheduler, reason)
	}
}

// usualWait is how long a task waits for capacity, give or take half: ECS gives up after
// 10 to 30 minutes.
const usualWait = 20 * time.Minute
