package sim_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// TestScaleUp lets random clusters of every kind grow, while nothing is removed. In the end
// no task may wait for capacity but those that no allowed offering can hold or that a limit
// is in the way of, and the plan must say just that of them. What was launched must be
// needed, and once all is at rest nothing more is launched.
func TestScaleUp(t *testing.T) {
	shop := newShop(broad)
	seen := map[fleet.ReasonCode]int{}
	idle, plans := map[int]int{}, map[int]int{}
	for seed := range stories(1000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newWide(t, seed, shop)
			for range 2 {
				plans[l.growWide()]++
				if t.Failed() {
					return
				}
			}
			for code, n := range l.blocked {
				seen[code] += n
			}
			if l.plain() {
				idle[l.checkIdle()]++
			}
			l.checkHarm()
		})
	}
	t.Logf("tasks that nothing can hold, by the reason that the plan gives: %v", seen)
	t.Logf("instances that hold nothing in the end, where all are for tasks that stay: %v", idle)
	t.Logf("growths by how many plans launched for them: %v", plans)
}

// mostPlans is how many plans may launch for one growth: the burst limit cuts a launch in two
// or three, standalone tasks are asked for ten at a time, and headroom moves with what ECS
// moves. Where the policy lets deployments go task by task there may be one for each.
const mostPlans = 8

// newWide is a story in a wide world.
func newWide(t *testing.T, seed uint64, s *shop) *loop {
	l := &loop{t: t, rng: rand.New(rand.NewPCG(seed, 11))}
	l.cfg = wideConfig(l, seed)
	l.w = must(sim.New(l.cfg))(t)
	l.widePolicy()
	l.wideWorld()
	l.eye = newEye(t, l.w, "web", s)
	l.arm = newHand(t, l.w, "web", l.eye)
	l.mem = fleet.Memory{Generation: 1}
	return l
}

// growWide asks for more, lets things happen that happen then, and waits until everything
// runs that can. It returns how many plans launched for it, if offerings have capacity.
func (l *loop) growWide() (plans int) {
	r := l.rng
	short := r.IntN(4) == 0
	if short {
		l.run("shortage %s %s %s left %d for %dm", pick(r, "c7i.*", "m7i.*", "*.large", "*"), pick(r, "*", "us-east-1a"), pick(r, "spot", "*"), r.IntN(3), 2+r.IntN(10))
	}
	for _, n := range l.needs {
		switch {
		case n.desired < n.highest:
			n.desired += r.IntN(n.highest-n.desired) + 1
			if !n.standalone {
				l.run("service %s desired %d", n.name, n.desired)
			}
		}
		if !n.standalone && r.IntN(6) == 0 { // a deployment in the middle
			if n.cpu < 3000 {
				n.cpu, n.memory = pick[int64](r, 64, 256, 512, 1024), pick[int64](r, 256, 512, 1024)
			}
			n.deployed = true
			l.run("%s cpu %d memory %d", n.task, n.cpu, n.memory)
			l.run("service %s task %s", n.name, n.name)
		}
	}
	const (
		patience = 100 * time.Minute
		still    = 4 * time.Minute // ECS balances zones after one
	)
	start, most := l.w.Now(), l.moreThanNeeded()
	before := l.lastDone
	l.quiet, l.calm = false, time.Time{}
	for l.w.Now().Sub(start) < patience && !l.t.Failed() && (l.calm.IsZero() || l.w.Now().Sub(l.calm) < still) {
		l.ask()
		l.beat()
		l.quiet = true // the first look may have come before ECS began
		if l.lastDone != before && !short {
			plans, before = plans+1, l.lastDone
		}
	}
	if l.calm.IsZero() && !l.t.Failed() {
		l.fail("%s after services grew: %s", l.w.Now().Sub(start), l.unsettled())
	}
	if n := l.w.Truth().History.InstancesLaunched; n > most {
		l.fail("%d instances were launched, and %d tasks and units of headroom asked for", n, most)
	}
	step := l.pol.ScaleUp.Surge == fleet.SurgeProgress && slices.ContainsFunc(l.needs, func(n *need) bool { return n.deployed })
	if plans > mostPlans && !step {
		l.fail("launches came in %d plans", plans)
	}
	return plans
}

// moreThanNeeded is more instances than anything that is asked for could take one each.
func (l *loop) moreThanNeeded() int {
	n := l.pol.Limits.MinInstances + 10 // not ours
	for _, x := range l.needs {
		n += 3 * x.highest // twice that while deployed
	}
	for _, u := range l.pol.Headroom.Units {
		n += u.Count
	}
	return n + n*(l.pol.Headroom.Percentage+l.pol.Headroom.AutomaticPercentage)/100
}

// ask asks for standalone tasks as who runs them does: again and again until they run. What
// is refused is heard of by events.
func (l *loop) ask() {
	l.eye.refused = nil
	for _, n := range l.needs {
		if !n.standalone || n.desired == n.started {
			continue
		}
		missing := min(n.desired-n.started, 10)
		if l.w.Now().Sub(n.asked) >= time.Minute {
			n.asked = l.w.Now()
			out, err := l.w.RunTask(&sim.RunTaskInput{Cluster: "web", TaskDefinition: n.name, Count: &missing})
			if err == nil { // else there is no instance at all
				n.started += len(out.Tasks)
			}
		}
		if missing := min(n.desired-n.started, 10); missing > 0 {
			definition := must(l.w.DescribeTaskDefinition(&sim.DescribeTaskDefinitionInput{TaskDefinition: n.name}))(l.t).TaskDefinition.TaskDefinitionArn
			l.eye.define(definition)
			l.eye.refused = append(l.eye.refused, snapshot.Refused{
				TaskDefinition: definition, Group: "family:" + n.name, LaunchType: "EC2", Count: missing, Since: l.w.Now(),
			})
		}
	}
}

// waits says what waits that should not; "" if everything runs that can, and the plan says
// of the rest rightly what is in its way.
func (l *loop) waits() string {
	l.blocked = map[fleet.ReasonCode]int{}
	services := map[string]sim.ServiceTruth{}
	for _, s := range l.w.Truth().Clusters[0].Services {
		services[s.Name] = s
	}
	for _, n := range l.needs {
		running, group := n.started, "family:"+n.name
		if !n.standalone {
			running, group = services[n.name].Running, "service:"+n.name
		}
		if running >= n.desired && (n.standalone || l.deployed(n.name)) {
			continue
		}
		if why := l.excused(n, group); why != "" {
			return fmt.Sprintf("%s runs %d of %d tasks: %s", n.name, running, n.desired, why)
		}
	}
	return ""
}

// deployed reports whether nothing is left to do of the deployments of a service. One that
// may neither start a task first nor stop one is never done.
func (l *loop) deployed(name string) bool {
	i := slices.IndexFunc(l.snap.Services, func(s fleet.Service) bool { return string(s.Name) == name })
	if i < 0 || len(l.snap.Services[i].Deployments) == 1 {
		return true
	}
	s := &l.snap.Services[i]
	return s.Desired*s.MaxPercent/100 <= s.Desired && (s.Desired*s.MinHealthyPercent+99)/100 >= s.Desired
}

// excused says why what the plan says of a need that is not met is not true; "" if it is.
func (l *loop) excused(n *need, group string) string {
	i := slices.IndexFunc(l.last.Demand, func(d fleet.UnmetDemand) bool { return d.Group == group && d.Unplaced > 0 })
	if i < 0 {
		j := slices.IndexFunc(l.last.Demand, func(d fleet.UnmetDemand) bool { return d.Group == group })
		if j < 0 {
			return "the plan says nothing of it"
		}
		return "the plan says: " + l.last.Demand[j].Reason.String()
	}
	d := &l.last.Demand[i]
	holders := l.holders(n)
	switch d.Reason.Code {
	case fleet.ReasonForeignCP:
		if n.provider == "" {
			return "no capacity provider has it, and the plan says: " + d.Reason.String()
		}
	case fleet.ReasonTooLarge, fleet.ReasonNoMatch:
		if len(holders) > 0 {
			return fmt.Sprintf("%s could hold it, and the plan says: %s", holders[0], d.Reason)
		}
		if d.Reason.Code == fleet.ReasonTooLarge && (d.Reason.Fact("nearest") == "" || d.Reason.Fact("shortfall") == "") {
			return fmt.Sprintf("the plan names no nearest offering: %+v", d.Reason)
		}
	case fleet.ReasonLimit:
		if len(holders) == 0 {
			return "nothing could hold it, and the plan says: " + d.Reason.String()
		}
		if why := l.limitHolds(&d.Reason); why != "" {
			return why
		}
	default:
		return "the plan says: " + d.Reason.String()
	}
	l.blocked[d.Reason.Code]++
	return ""
}

// limitHolds says why a limit that the plan names is not in the way; "" if it is: what there
// is leaves less of it than the largest instance takes.
func (l *loop) limitHolds(r *fleet.Reason) string {
	name := r.Fact("limit")
	value, err := strconv.ParseInt(r.Fact("value"), 10, 64)
	if err != nil {
		return fmt.Sprintf("the plan names no limit: %s", r)
	}
	types := map[string]*fleet.InstanceType{}
	for i := range l.snap.Types {
		types[string(l.snap.Types[i].Name)] = &l.snap.Types[i]
	}
	var have, largest int64
	count := func(t *fleet.InstanceType) (n int64) {
		switch {
		case strings.HasSuffix(name, "maxInstances"):
			return 1
		case strings.HasSuffix(name, "maxVCPUs"):
			return t.VCPUs
		default:
			return t.MemoryMiB
		}
	}
	if strings.HasSuffix(name, "maxMemoryGiB") {
		value *= 1024
	}
	for i := range l.snap.Instances {
		inst := &l.snap.Instances[i]
		if spec := "launchSpecs." + string(inst.LaunchSpec) + "."; inst.Status != fleet.StatusGone && (strings.HasPrefix(name, spec) || strings.HasPrefix(name, "limits.")) {
			have += count(types[string(inst.Type)])
		}
	}
	for _, t := range types {
		largest = max(largest, count(t))
	}
	if have+largest <= value {
		return fmt.Sprintf("there are %d, and the plan says: %s", have, r)
	}
	return ""
}

// plain reports whether nothing was asked for but tasks that stay as they are: then every
// instance is for some of these.
func (l *loop) plain() bool {
	h := &l.pol.Headroom
	return len(h.Units) == 0 && h.Percentage == 0 && h.AutomaticPercentage == 0 && l.pol.Limits.MinInstances == 0 &&
		!slices.ContainsFunc(l.needs, func(n *need) bool { return n.deployed })
}

// checkIdle returns how many of the instances that were launched hold nothing but daemon tasks.
// There may be some: what strategies could waste at worst is launched for beforehand, and ECS
// may place better. Most must be used.
func (l *loop) checkIdle() int {
	idle, launched := 0, 0
	for _, i := range l.w.Truth().Instances {
		if i.Action == "" || i.Status != "ACTIVE" {
			continue
		}
		launched++
		if i.Tasks == i.Groups["service:agent"] {
			idle++
		}
	}
	if idle > 1+launched/5 {
		l.fail("%d of %d instances hold nothing", idle, launched)
	}
	return idle
}

// checkHarm checks that nothing was done that must never be, and that the world is whole.
func (l *loop) checkHarm() {
	for _, harm := range l.w.Harm() {
		l.fail("harm: %s", harm)
	}
	if err := l.w.Check(); err != nil {
		l.fail("the world is broken: %v", err)
	}
}
