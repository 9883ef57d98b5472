package sim

import (
	"fmt"
	"slices"
	"strconv"
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
	sick    []*task // that would be right, but for their health
	healthy int
	fit     int // healthy ones among the right
	// recheck is how long until the next running task counts as healthy; 0 is never.
	recheck time.Duration
}

func (w *World) tally(s *service) tally {
	y := tally{right: make([]*task, 0, len(s.active))}
	for _, t := range s.active {
		right := t.deployment.primary && t.host.status != statusDraining
		switch {
		case !right:
			y.wrong = append(y.wrong, t)
		case t.unfit(w):
			y.sick = append(y.sick, t)
		default:
			y.right = append(y.right, t)
		}
		if t.last != taskRunning {
			continue
		}
		if t.healthy(w) {
			y.healthy++
			if right {
				y.fit++
			}
		} else if wait := t.healthyAt(w).Sub(w.now); wait > 0 && (y.recheck == 0 || wait < y.recheck) {
			y.recheck = wait
		}
	}
	return y
}

func (y *tally) total() int { return len(y.right) + len(y.wrong) + len(y.sick) }

// reconcileReplica takes one step towards the desired count: it stops what must go as far
// as the minimum allows, and starts what is missing as far as the maximum does.
func (w *World) reconcileReplica(s *service) {
	y := w.tally(s)
	d := s.deployments[0]
	if y.fit > 0 {
		s.mend(d)
	}
	low, high := s.bounds()
	w.keepRebalancing(s, &y)
	stopped := w.stopWrong(s, &y, low)
	stopped += w.stopSick(s, &y, high-(y.total()-stopped))
	if s.deployments[0] != d {
		return // the circuit breaker went back to another, which begins afresh
	}
	waiting := w.trimWaiting(s, len(y.right))
	if excess := len(y.right) - s.desired - s.rebalances.surge; excess > 0 {
		stopped += w.scaleIn(s, y.right, excess)
	}
	missing := s.desired - len(y.right) - waiting
	room := high - (y.total() + waiting - stopped)
	if d.rollout != rolloutFailed && missing > 0 {
		w.start(s, min(missing, room), len(y.sick))
	}
	stuck := len(y.wrong) > 0 && missing > 0 && room <= 0 && stopped == 0 && y.recheck == 0 && y.healthy <= low
	if stuck {
		w.say(s, "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.")
	} else {
		s.forget("was unable to stop or start tasks")
	}
	if y.recheck > 0 && (len(y.wrong) > 0 || d.failed > 0 || s.rebalances.surge > 0) {
		w.wake(s, y.recheck)
	}
	if s.deployments[0] == d {
		w.settle(s)
		w.rebalance(s, &y)
	}
}

// bounds are the fewest healthy tasks that a service may have and the most tasks: the
// minimum is rounded up, the maximum down.
func (s *service) bounds() (low, high int) {
	return (s.desired*s.minPercent + 99) / 100, s.desired * s.maxPercent / 100
}

// stopSick stops tasks that are unhealthy once others are healthy in their place. Where
// there is no room to start those first, one after the other is stopped instead.
func (w *World) stopSick(s *service, y *tally, room int) int {
	if len(y.sick) == 0 {
		return 0
	}
	n := min(y.fit+len(y.sick)-s.desired, len(y.sick))
	if n <= 0 && room <= 0 && len(y.right) == y.fit {
		n = 1
	}
	d := s.deployments[0]
	var ended []*task
	for _, t := range y.sick[:max(n, 0)] {
		if t.targetFailing(w) {
			b := t.service.balancers[0]
			w.say(s, fmt.Sprintf("(task %s) (port %d) is unhealthy in (target-group %s) due to (reason Health checks failed).", t.id, b.ContainerPort, b.TargetGroupArn))
		}
		w.stopTask(t, stopByScheduler, t.whyUnfit(w))
		ended = append(ended, t)
		d.failed++
	}
	w.sayStopped(s, ended)
	w.breakCircuit(s)
	return len(ended)
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
		if t.last == taskRunning && !t.unfit(w) {
			healthy := t.healthy(w)
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
		t := pick.next(s)
		if t == nil {
			w.say(s, fmt.Sprintf("was unable to reach steady state because task set (%s) was unable to scale in. Reason: The number of protected tasks are more than the desired count of tasks.", s.deployments[0].id))
			break
		}
		w.stopTask(t, stopByScheduler, fmt.Sprintf("Scaling activity initiated by (deployment %s)", s.deployments[0].id))
		ended = append(ended, t)
	}
	w.sayStopped(s, ended)
	return len(ended)
}

func (w *World) sayStopped(s *service, ended []*task) {
	if len(ended) == 0 {
		return
	}
	ran := slices.DeleteFunc(slices.Clone(ended), func(t *task) bool { return t.startedAt.IsZero() })
	if n := len(ran); n > 0 {
		w.say(s, fmt.Sprintf("has stopped %d running tasks:%s.", n, taskList(ran)))
		for _, b := range s.balancers {
			w.say(s, fmt.Sprintf("deregistered %d targets in (target-group %s)", n, b.TargetGroupArn))
		}
		if len(s.balancers) > 0 {
			w.say(s, fmt.Sprintf("has begun draining connections on %d tasks.", n))
		}
	}
	if n := len(ended) - len(ran); n > 0 {
		w.say(s, fmt.Sprintf("stopped %d pending tasks.", n))
	}
	w.tellService(s, "INFO", "TASKS_STOPPED", "")
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

// start places up to count tasks, unless the scheduler is backing off. So many of them are
// in the place of unhealthy ones.
func (w *World) start(s *service, count, unhealthy int) {
	if count <= 0 {
		return
	}
	if wait := s.nextTry.Sub(w.now); wait > 0 {
		w.wake(s, wait)
		return
	}
	if w.schedulerThrottled() {
		w.sayThrottled(s)
		w.wake(s, w.cfg.Delays.RetryShort)
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
	begun, failed := w.beginAll(s, d, count)
	s.launched += len(begun)
	if len(begun) > 0 {
		s.attempts, s.backoff = 0, 0
		s.forget("unable to place", "provisioning capacity limit") // it may be said again
		text := fmt.Sprintf("has started %d tasks:%s.", len(begun), taskList(begun))
		if n := min(unhealthy, len(begun)); n > 0 {
			text += fmt.Sprintf(" Amazon ECS replaced %d tasks due to an unhealthy status.", n)
		}
		w.say(s, text)
	}
	if failed != nil {
		w.refused(s, failed)
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
func (w *World) refused(s *service, k *kind) {
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
	wait += time.Duration(delays.RetrySpread * float64(wait) * w.chance("retry", s.arn, d.id, strconv.Itoa(d.failed))).Truncate(time.Millisecond)
	s.nextTry = w.now.Add(wait)
	w.wake(s, wait)
	text, reason := w.whyNot(s.cluster, k)
	w.say(s, text)
	w.tellService(s, "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", reason)
	w.breakCircuit(s)
}

// settle ends deployments that have nothing left, and says when all is as it should be.
func (w *World) settle(s *service) {
	primary := s.deployments[0]
	s.deployments = slices.DeleteFunc(s.deployments, func(d *deployment) bool {
		return !d.primary && d.running+d.pending == 0
	})
	steady := len(s.deployments) == 1 && primary.running == s.desired && primary.pending == 0 && len(s.active) == s.desired &&
		!slices.ContainsFunc(s.active, func(t *task) bool { return t.host.status == statusDraining || t.checked() && !t.healthy(w) })
	if !steady {
		s.steady = false
		return
	}
	if s.steady {
		return
	}
	s.steady = true
	if !s.rebalances.underWay {
		s.rebalances.tryAt = w.now.Add(w.cfg.Delays.Rebalance)
	}
	w.say(s, "has reached a steady state.")
	w.tellService(s, "INFO", "SERVICE_STEADY_STATE", "")
	if primary.rollout == rolloutInProgress {
		w.completed(s, primary)
	}
}

// sameEventAfter is how long ECS keeps quiet about the same cause.
const sameEventAfter = 6 * time.Hour

// mostEvents is how many events of a service ECS keeps.
const mostEvents = 100

// routine is how events begin that tell of something that was done, again and again: the
// others tell of a cause that lasts.
var routine = []string{"has ", "(", "stopped ", "deregistered ", "registered ", "rolling back ", "is AZ balanced "}

// say adds an event to the service, and reports whether it did: the same words about a
// cause are not said again until the cause is gone or hours have passed.
func (w *World) say(s *service, text string) bool {
	if last, said := s.told[text]; said && w.now.Sub(last) < sameEventAfter {
		return false
	}
	if text == "stopped AZ Rebalancing." || !slices.ContainsFunc(routine, func(word string) bool { return strings.HasPrefix(text, word) }) {
		s.told[text] = w.now
	}
	w.noteService(s, EntryService, text, "")
	s.events = append(s.events, ServiceEvent{
		ID: w.uuid("event"), CreatedAt: Timestamp{w.now}, Message: "(service " + s.name + ") " + text,
	})
	if len(s.events) > mostEvents {
		s.events = slices.Clone(s.events[len(s.events)-mostEvents:])
	}
	return true
}

// forget notes that a cause is gone: events with any of these words may be said again.
func (s *service) forget(words ...string) {
	for text := range s.told { //neap:unordered each is judged by itself
		if slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) }) {
			delete(s.told, text)
		}
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
