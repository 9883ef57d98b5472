package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The values of availabilityZoneRebalancing.
const (
	rebalancingOn  = "ENABLED"
	rebalancingOff = "DISABLED"
)

// rebalances is where the balancing of a service over its zones stands. ECS acts once the
// service is in a steady state: it starts tasks in the zones with fewest, waits until they
// are healthy, and then stops as many in the zones with most. It launches no instances.
type rebalances struct {
	underWay bool
	surge    int       // tasks above the desired count that it started
	tryAt    time.Time // not before
	wait     time.Duration
}

// zoneField reports whether the field of a strategy is the availability zone.
func zoneField(field string) bool {
	return strings.TrimPrefix(field, "attribute:") == "ecs.availability-zone"
}

// rebalancable says why a service cannot be balanced over its zones; "" is that it can.
func (s *service) rebalancable() string {
	const not = "Availability Zone Rebalancing does not support "
	names := func(c PlacementConstraint) bool { return strings.Contains(c.Expression, "ecs.availability-zone") }
	classic := func(b LoadBalancer) bool { return b.LoadBalancerName != "" }
	switch {
	case s.scheduling == strategyDaemon:
		return not + "DAEMON services"
	case s.launchType == "EXTERNAL":
		return not + "the EXTERNAL launch type."
	case s.maxPercent <= 100:
		return not + "maximumPercent <= 100 % as deployment configuration."
	case len(s.strategy) > 0 && (s.strategy[0].Type != "spread" || !zoneField(s.strategy[0].Field)):
		return not + "placement strategies whose first rule is not spread over attribute:ecs.availability-zone."
	case slices.ContainsFunc(s.balancers, classic):
		return not + "Classic Load Balancers."
	case slices.ContainsFunc(s.constraints, names) || slices.ContainsFunc(s.definition.PlacementConstraints, names):
		return not + "placement constraints with attribute:ecs.availability-zone."
	}
	return ""
}

// setRebalancing takes over what a request says of balancing. A new service that leaves it
// open is balanced if it can be; one that exists keeps what it has.
func (s *service) setRebalancing(wanted string) error {
	why := s.rebalancable()
	switch wanted {
	case "":
		if s.rebalancing == "" {
			s.rebalancing = rebalancingOff
			if why == "" && len(s.deployments) == 0 {
				s.rebalancing = rebalancingOn
			}
		}
	case rebalancingOn, rebalancingOff:
		s.rebalancing = wanted
	default:
		return invalid("availabilityZoneRebalancing should be one of [ENABLED,DISABLED]")
	}
	if s.rebalancing == rebalancingOn && why != "" {
		return invalid("%s", why)
	}
	return nil
}

// zoneCount is how many tasks of a service are in a zone.
type zoneCount struct {
	zone          string
	tasks, target int
}

// imbalance is the zones that a service may run in, those with most tasks first, with how
// many it should have in each: the desired count by the number of zones, and one more for
// as many zones as it takes. What is in other zones stays there and counts for nothing.
func (w *World) imbalance(s *service) (zones []zoneCount, moves int) {
	left := s.desired
	for _, zone := range sortedKeys(s.cluster.inZone) {
		switch {
		case w.opensIn(s, zone):
			zones = append(zones, zoneCount{zone: zone, tasks: s.inZone[zone]})
		default:
			left -= s.inZone[zone]
		}
	}
	if len(zones) < 2 || left <= 0 {
		return nil, 0
	}
	slices.SortStableFunc(zones, func(a, b zoneCount) int { return cmp.Compare(b.tasks, a.tasks) })
	for i := range zones {
		zones[i].target = left / len(zones)
		if i < left%len(zones) {
			zones[i].target++
		}
		moves += max(zones[i].target-zones[i].tasks, 0)
	}
	return zones, moves
}

// opensIn reports whether an ACTIVE instance in a zone may have tasks of a service, though
// it may be full.
func (w *World) opensIn(s *service, zone string) bool {
	for _, h := range s.cluster.inZone[zone] {
		if !h.schedulable() {
			continue
		}
		node, _ := s.cluster.placement.Node(h.node)
		if _, ok := s.deployments[0].kind.AllowedOn(&node); ok {
			return true
		}
	}
	return false
}

// uneven reports at a glance whether a service may be out of balance: that is so often
// false that more need seldom be asked.
func (s *service) uneven() bool {
	least, most := -1, 0
	for zone, hosts := range s.cluster.inZone { //neap:unordered the least and the most
		if len(hosts) == 0 {
			continue
		}
		n := s.inZone[zone]
		most = max(most, n)
		if least < 0 || n < least {
			least = n
		}
	}
	return most-least > 1
}

// rebalance takes one step towards a service that is balanced over its zones.
func (w *World) rebalance(s *service, y *tally) {
	switch {
	case s.rebalances.surge > 0:
		w.finishSurge(s, y)
	case s.rebalancing != rebalancingOn || !s.steady:
	case !s.uneven():
		w.balanced(s)
	case w.now.Before(s.rebalances.tryAt):
		w.wake(s, s.rebalances.tryAt.Sub(w.now))
	default:
		w.surge(s)
	}
}

// surge starts tasks in the zones that have too few.
func (w *World) surge(s *service) {
	zones, moves := w.imbalance(s)
	if moves == 0 {
		w.balanced(s)
		s.rebalances.tryAt = w.now.Add(unevenCheck)
		w.wake(s, unevenCheck)
		return
	}
	room := min(moves, s.desired*s.maxPercent/100-s.desired)
	if room <= 0 {
		return
	}
	if !s.rebalances.underWay {
		s.rebalances.underWay = true
		if w.say(s, "is not AZ balanced with "+zoneWords(zones)+". AZ Rebalancing in progress.") {
			w.tellService(s, "INFO", "SERVICE_REBALANCING_STARTED", "")
		}
	}
	w.startEmptiest(s, zones, room)
	if s.rebalances.surge == 0 {
		w.stopRebalancing(s)
		return
	}
	s.steady = false
	s.launched += s.rebalances.surge
}

// startEmptiest starts up to room tasks, each in the zone that has fewest, and tells of them
// by zone.
func (w *World) startEmptiest(s *service, zones []zoneCount, room int) {
	begun := map[string][]*task{}
	full := map[string]bool{}
	for s.rebalances.surge < room {
		to := -1
		for i, z := range zones {
			n := z.tasks + len(begun[z.zone])
			if n < z.target && !full[z.zone] && (to < 0 || n <= zones[to].tasks+len(begun[zones[to].zone])) {
				to = i
			}
		}
		if to < 0 {
			break
		}
		zone := zones[to].zone
		t := w.startIn(s, zone)
		if t == nil {
			full[zone] = true
			w.say(s, "is unable to place a task in "+zone+" because no container instance met all of its requirements.")
			w.tellService(s, "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", "")
			continue
		}
		begun[zone] = append(begun[zone], t)
		s.rebalances.surge++
	}
	for _, zone := range sortedKeys(begun) {
		w.say(s, fmt.Sprintf("has started %d tasks in %s to AZ Rebalance:%s.", len(begun[zone]), zone, taskList(begun[zone])))
		w.tellService(s, "INFO", "TASKS_STARTED", "")
	}
}

// unevenCheck is how often ECS looks whether a zone has opened to a service that is not
// spread over all of them.
const unevenCheck = 15 * time.Minute

// startIn starts a task of a service on an instance of a zone, by the service's strategy.
func (w *World) startIn(s *service, zone string) *task {
	d := s.deployments[0]
	r := s.request()
	r.Constraints = append(slices.Clone(r.Constraints), PlacementConstraint{Type: "memberOf", Expression: "attribute:ecs.availability-zone == " + zone})
	k, err := w.kindOf(s.cluster, d.definition, r)
	if err != nil {
		return nil
	}
	node, ok := s.cluster.placement.Place(k.Task, w.rng)
	if !ok {
		return nil
	}
	s.cluster.placement.Take(node, k.Task, 1) // it is one of the others but for where it was to go
	s.cluster.placement.Put(node, d.kind.Task, 1)
	return w.newTask(s.cluster, s.cluster.byNode[node], s.spec(d))
}

// finishSurge stops as many tasks in the fullest zones as were started in the others, once
// all of the service are healthy.
func (w *World) finishSurge(s *service, y *tally) {
	if y.fit < len(y.right) {
		return
	}
	zones, _ := w.imbalance(s)
	left := s.rebalances.surge
	for _, z := range zones {
		from := slices.DeleteFunc(slices.Clone(y.right), func(t *task) bool { return t.host.machine.subnet.Zone != z.zone })
		pick := w.newVictims(s, from)
		var ended []*task
		for left > 0 && z.tasks-len(ended) > z.target {
			t := pick.next(s)
			if t == nil {
				w.say(s, fmt.Sprintf("was unable to AZ Rebalance because (taskSet %s) was unable to scale in due to %s.", s.deployments[0].id, protectedWords(w, from)))
				break
			}
			w.stopTask(t, stopByScheduler, fmt.Sprintf("Scaling activity initiated by (deployment %s)", s.deployments[0].id))
			ended = append(ended, t)
			left--
		}
		if len(ended) > 0 {
			w.say(s, fmt.Sprintf("has stopped %d running tasks in %s due to AZ rebalancing:%s.", len(ended), z.zone, taskList(ended)))
			w.tellService(s, "INFO", "TASKS_STOPPED", "")
		}
	}
	s.rebalances.surge = 0
	if left > 0 {
		w.stopRebalancing(s)
	}
}

// keepRebalancing gives up balancing a service that something else happens to: what it
// started is then too much.
func (w *World) keepRebalancing(s *service, y *tally) {
	if !s.rebalances.underWay {
		return
	}
	s.rebalances.surge = min(s.rebalances.surge, max(len(y.right)-s.desired, 0))
	if s.rebalancing != rebalancingOn || len(s.deployments) > 1 || s.deployments[0].rollout != rolloutCompleted || len(y.wrong)+len(y.sick) > 0 {
		w.stopRebalancing(s)
	}
}

// stopRebalancing gives up for a while.
func (w *World) stopRebalancing(s *service) {
	r := &s.rebalances
	r.underWay, r.surge = false, 0
	r.wait = min(max(2*r.wait, w.cfg.Delays.RetryLong), w.cfg.Delays.RetryMax)
	wait := max(r.wait, w.cfg.Delays.Rebalance)
	r.tryAt = w.now.Add(wait)
	w.wake(s, wait)
	if w.say(s, "stopped AZ Rebalancing.") {
		w.tellService(s, "INFO", "SERVICE_REBALANCING_STOPPED", "")
	}
}

// balanced notes that a service is balanced, and says so if it was not.
func (w *World) balanced(s *service) {
	if s.rebalances.underWay {
		zones, _ := w.imbalance(s)
		s.forget("AZ Rebalanc", "is not AZ balanced", "is unable to place a task in")
		w.say(s, "is AZ balanced with "+zoneWords(zones)+".")
		w.tellService(s, "INFO", "SERVICE_REBALANCING_COMPLETED", "")
	}
	s.rebalances = rebalances{tryAt: s.rebalances.tryAt}
}

// zoneWords are the zones as events name them: "2 tasks in us-east-1a, 1 tasks in us-east-1b".
func zoneWords(zones []zoneCount) string {
	var words []string
	for _, z := range zones {
		words = append(words, fmt.Sprintf("%d tasks in %s", z.tasks, z.zone))
	}
	return strings.Join(words, ", ")
}

// zoneOpened lets the services of a cluster be balanced over a zone that had no instance.
func (w *World) zoneOpened(h *containerInstance) {
	if len(h.cluster.inZone[h.machine.subnet.Zone]) > 1 {
		return
	}
	for s := range h.cluster.serviceRoll.all {
		if s.rebalancing == rebalancingOn {
			w.wake(s, 0)
		}
	}
}
