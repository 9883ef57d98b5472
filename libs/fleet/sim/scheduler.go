package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet/place"
)

// reconcile is the moment when the service scheduler looks at a service.
type reconcile struct {
	s  *service
	at time.Time
}

// wake lets the scheduler look at a service after a time, at the pace it works at. It
// looks at most once per pace, whatever happens in between.
func (w *World) wake(s *service, after time.Duration) {
	at := w.now.Add(max(after, w.cfg.Delays.Reconcile))
	if s.status == statusInactive || !s.wakeAt.IsZero() && !at.Before(s.wakeAt) {
		return
	}
	s.wakeAt = at
	w.at(at, reconcile{s, at})
}

func (r reconcile) happen(w *World) {
	s := r.s
	if !s.wakeAt.Equal(r.at) {
		return // it was woken earlier
	}
	s.wakeAt = time.Time{}
	switch {
	case s.status != statusActive:
		w.finish(s)
	case s.scheduling == strategyDaemon:
		w.reconcileDaemon(s)
	default:
		w.reconcileReplica(s)
	}
}

// tally is what the scheduler sees of a service at one moment.
type tally struct {
	right   []*task // of the primary deployment, on instances that are to stay
	wrong   []*task // of older deployments, or on DRAINING instances
	healthy int
	// recheck is how long until the next running task counts as healthy; 0 is never.
	recheck time.Duration
}

func (w *World) tally(s *service) tally {
	var y tally
	for _, t := range s.active {
		if t.deployment.primary && t.host.status != statusDraining {
			y.right = append(y.right, t)
		} else {
			y.wrong = append(y.wrong, t)
		}
		if t.last != taskRunning {
			continue
		}
		wait := t.healthyAt(w).Sub(w.now)
		if wait <= 0 {
			y.healthy++
		} else if y.recheck == 0 || wait < y.recheck {
			y.recheck = wait
		}
	}
	return y
}

func (y *tally) total() int { return len(y.right) + len(y.wrong) }

// reconcileReplica takes one step towards the desired count: it stops what must go as far
// as the minimum allows, and starts what is missing as far as the maximum does.
func (w *World) reconcileReplica(s *service) {
	y := w.tally(s)
	low := (s.desired*s.minPercent + 99) / 100
	high := s.desired * s.maxPercent / 100
	stopped := w.stopWrong(s, &y, low)
	if excess := len(y.right) - s.desired; excess > 0 {
		stopped += w.scaleIn(s, y.right, excess)
	}
	missing := s.desired - len(y.right)
	room := high - (y.total() - stopped)
	if s.deployments[0].rollout != rolloutFailed && missing > 0 {
		w.start(s, min(missing, room))
	}
	if len(y.wrong) > 0 && missing > 0 && room <= 0 && stopped == 0 && y.recheck == 0 && y.healthy <= low {
		w.say(s, "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.")
	}
	if len(y.wrong) > 0 && y.recheck > 0 {
		w.wake(s, y.recheck)
	}
	w.settle(s)
}

// stopWrong stops tasks that are to go: those that do not run yet at once, the others as
// long as enough healthy ones remain.
func (w *World) stopWrong(s *service, y *tally, low int) (stopped int) {
	spare := y.healthy - low
	var ended []*task
	for _, t := range y.wrong {
		draining := t.host.status == statusDraining
		if t.protected(w.now) && (!draining || w.cfg.DrainHonoursProtection) {
			continue
		}
		if t.last == taskRunning {
			healthy := !w.now.Before(t.healthyAt(w))
			if spare < 0 || healthy && spare == 0 {
				continue
			}
			if healthy {
				spare--
			}
		}
		reason := fmt.Sprintf("Scaling activity initiated by (deployment %s)", s.deployments[0].id)
		if draining {
			reason = fmt.Sprintf("Task stopped because its container instance %s is draining", t.host.id)
		}
		w.stopTask(t, stopByScheduler, reason)
		ended = append(ended, t)
	}
	w.sayStopped(s, ended)
	return len(ended)
}

// scaleIn stops tasks of which there are too many.
func (w *World) scaleIn(s *service, from []*task, excess int) int {
	var ended []*task
	pick := w.newVictims(s, from)
	for range excess {
		t := pick.next()
		if t == nil {
			w.say(s, "was unable to scale in. Reason: The number of protected tasks are more than the desired count")
			break
		}
		w.stopTask(t, stopByScheduler, fmt.Sprintf("Scaling activity initiated by (deployment %s)", s.deployments[0].id))
		ended = append(ended, t)
	}
	w.sayStopped(s, ended)
	return len(ended)
}

func (w *World) sayStopped(s *service, ended []*task) {
	if len(ended) > 0 {
		w.say(s, fmt.Sprintf("has stopped %d running tasks:%s.", len(ended), taskList(ended)))
	}
}

// taskList is tasks as events name them: " (task 1) (task 2)".
func taskList(tasks []*task) string {
	var b strings.Builder
	for _, t := range tasks {
		b.WriteString(" (task " + t.id + ")")
	}
	return b.String()
}

// launchesPerMinute is ECS's quota of task launches of one service on EC2.
const launchesPerMinute = 500

// start places up to count tasks, unless the scheduler is backing off.
func (w *World) start(s *service, count int) {
	if count <= 0 {
		return
	}
	if wait := s.nextTry.Sub(w.now); wait > 0 {
		w.wake(s, wait)
		return
	}
	if minute := w.now.Truncate(time.Minute); !minute.Equal(s.minute) {
		s.minute, s.launched = minute, 0
	}
	if s.launched+count > launchesPerMinute {
		count = launchesPerMinute - s.launched
		w.wake(s, s.minute.Add(time.Minute).Sub(w.now))
	}
	d := s.deployments[0]
	var begun []*task
	for range count {
		node, ok := w.placeTask(s, d.kind)
		if !ok {
			break
		}
		begun = append(begun, w.newTask(s.cluster, s.cluster.byNode[node], s.spec(d)))
	}
	s.launched += len(begun)
	if len(begun) > 0 {
		s.attempts, s.backoff = 0, 0
		clear(s.told) // what was said of failures may be said again
		w.say(s, fmt.Sprintf("has started %d tasks:%s.", len(begun), taskList(begun)))
	}
	if len(begun) < count {
		w.refused(s)
	}
}

// spec is what a new task of a deployment is made of.
func (s *service) spec(d *deployment) taskSpec {
	spec := taskSpec{
		kind: d.kind, definition: d.definition, service: s, deployment: d, startedBy: d.id,
		launchType: s.launchType, provider: d.kind.CapacityProvider, subnets: s.network,
	}
	switch s.propagate {
	case "SERVICE":
		spec.tags = slices.Clone(s.tags)
	case "TASK_DEFINITION":
		spec.tags = slices.Clone(d.definition.tags)
	}
	return spec
}

// refused notes that a placement failed, says so and backs off: a few attempts in quick
// succession, then longer and longer waits. New capacity does not end a wait.
func (w *World) refused(s *service) {
	d := s.deployments[0]
	s.attempts++
	d.failed++
	w.seen.PlacementFailures++
	delays := &w.cfg.Delays
	wait := delays.RetryShort
	if s.attempts >= delays.RetryAttempts {
		s.backoff = min(max(2*s.backoff, delays.RetryLong), delays.RetryMax)
		wait = s.backoff
	}
	s.nextTry = w.now.Add(wait)
	w.wake(s, wait)
	text, reason := w.whyNot(s.cluster, d.kind)
	w.say(s, text)
	w.tellService(s, "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", reason)
	w.breakCircuit(s)
}

// breakCircuit fails a deployment that cannot start its tasks, if that is switched on.
func (w *World) breakCircuit(s *service) {
	d := s.deployments[0]
	threshold := min(max((s.desired+1)/2, 3), 200)
	if s.breaker == nil || !s.breaker.Enable || d.failed < threshold || d.rollout != rolloutInProgress {
		return
	}
	d.rollout, d.reason = rolloutFailed, "ECS deployment circuit breaker: tasks failed to start."
	w.say(s, fmt.Sprintf("deployment %s deployment failed: tasks failed to start.", d.id))
	w.tellDeployment(s, d, "SERVICE_DEPLOYMENT_FAILED", "ERROR")
	if !s.breaker.Rollback || len(s.deployments) < 2 {
		return
	}
	back := s.deployments[1]
	w.say(s, fmt.Sprintf("rolling back to deployment %s.", back.id))
	s.definition = back.definition
	w.deploy(s, back.kind)
	s.deployments[0].reason = "ECS deployment circuit breaker: rolling back to deploymentId " + back.id + "."
}

// settle ends deployments that have nothing left, and says when all is as it should be.
func (w *World) settle(s *service) {
	primary := s.deployments[0]
	s.deployments = slices.DeleteFunc(s.deployments, func(d *deployment) bool {
		return !d.primary && d.running+d.pending == 0
	})
	steady := len(s.deployments) == 1 && primary.running == s.desired && primary.pending == 0 && len(s.active) == s.desired &&
		!slices.ContainsFunc(s.active, func(t *task) bool { return t.host.status == statusDraining })
	if !steady {
		s.steady = false
		return
	}
	if s.steady {
		return
	}
	s.steady = true
	w.say(s, "has reached a steady state.")
	w.tellService(s, "INFO", "SERVICE_STEADY_STATE", "")
	if primary.rollout == rolloutInProgress {
		primary.rollout, primary.reason, primary.updatedAt = rolloutCompleted, "ECS deployment "+primary.id+" completed.", w.now
		w.say(s, "(deployment "+primary.id+") deployment completed.")
		w.tellDeployment(s, primary, "SERVICE_DEPLOYMENT_COMPLETED", "INFO")
	}
}

// sameEventAfter is how long ECS keeps quiet about the same cause.
const sameEventAfter = 6 * time.Hour

// mostEvents is how many events of a service ECS keeps.
const mostEvents = 100

// say adds an event to the service. The same words are not said again until something
// was started in between or hours have passed.
func (w *World) say(s *service, text string) {
	if last, said := s.told[text]; said && w.now.Sub(last) < sameEventAfter {
		return
	}
	if !strings.HasPrefix(text, "has ") {
		s.told[text] = w.now
	}
	s.events = append(s.events, ServiceEvent{
		ID: w.uuid("event"), CreatedAt: Timestamp{w.now}, Message: "(service " + s.name + ") " + text,
	})
	if len(s.events) > mostEvents {
		s.events = slices.Clone(s.events[len(s.events)-mostEvents:])
	}
}

const moreInformation = " For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."

// whyNot says in ECS's words why no instance takes a task: the text of the service event,
// and the reason of the failure.
func (w *World) whyNot(c *cluster, k *kind) (text, reason string) {
	text = "was unable to place a task because no container instance met all of its requirements."
	if len(c.hosts) == 0 {
		return text + " Reason: No Container Instances were found in your cluster." + moreInformation, "NO ACTIVE INSTANCES"
	}
	closest, refusal := c.closest(k)
	words := map[place.Kind]string{
		place.KindCPU:       "has insufficient CPU units available.",
		place.KindMemory:    "has insufficient memory available.",
		place.KindPort:      "is already using a port required by your task.",
		place.KindAttribute: "is missing an attribute required by your task.",
	}[refusal.Kind]
	reason = reasonOf(refusal)
	if words == "" {
		words = fmt.Sprintf("encountered error %q.", reason)
	}
	return fmt.Sprintf("%s The closest matching (container-instance %s) %s%s", text, closest.id, words, moreInformation), reason
}

// closest is the instance that passes most filters, and what refuses it.
func (c *cluster) closest(k *kind) (best *containerInstance, why place.Refusal) {
	rank := -1
	for h := range c.hostRoll.all {
		refusal, _ := c.placement.Eligible(h.node, k.Task)
		if r := slices.Index(refusalOrder, refusal.Kind); r > rank {
			best, why, rank = h, refusal, r
		}
	}
	return best, why
}

// refusalOrder is from the farthest from a match to the nearest.
var refusalOrder = []place.Kind{
	place.KindNone, place.KindAgent, place.KindProvider, place.KindAttribute, place.KindLocation, place.KindConstraint,
	place.KindDistinct, place.KindGPU, place.KindENI, place.KindPort, place.KindMemory, place.KindCPU,
}

// reasonOf is a refusal as RunTask and the ECS events name it.
func reasonOf(r place.Refusal) string {
	switch r.Kind {
	case place.KindCPU, place.KindMemory, place.KindGPU, place.KindENI:
		return "RESOURCE:" + string(r.Kind)
	case place.KindPort:
		return "RESOURCE:PORTS"
	case place.KindConstraint:
		return "MemberOf placement constraint unsatisfied."
	case place.KindDistinct:
		return "DistinctInstance placement constraint unsatisfied."
	case place.KindProvider:
		return "EMPTY CAPACITY PROVIDER"
	default:
		return string(r.Kind)
	}
}
