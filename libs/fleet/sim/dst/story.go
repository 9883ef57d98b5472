package dst

import (
	"math/rand/v2"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// daemonName is the service that has a task on every instance.
const daemonName = "agent"

// mostInstances is the limit of a policy while nobody lowers it.
const mostInstances = 40

// story is what the users of the cluster do.
type story struct {
	s        *system
	rng      *rand.Rand
	services []load
	over     bool // the faults have ended: nothing changes any more
}

// load is a service that grows and shrinks.
type load struct {
	name    string
	most    int
	desired int
	cpu     int // of a task
	memory  int
	wanted  []want // what was desired lately
}

// want is a number of tasks that was desired from an instant on.
type want struct {
	at time.Time
	n  int
}

func newStory(s *system) *story {
	st := &story{s: s, rng: s.dice("story", 0)}
	return st
}

// policy is one that may be asked of anybody.
func (st *story) policy() fleet.Policy {
	r, no := st.rng, false
	spot := pick(r, 0, 30, 60, 100)
	spec := fleet.LaunchSpec{Name: "default", Images: []string{imageParameter}, SpotPercentage: &spot}
	for _, s := range must(st.s.world.DescribeSubnets(&sim.DescribeSubnetsInput{})).Subnets {
		spec.Subnets = append(spec.Subnets, fleet.SubnetID(s.SubnetID))
	}
	minutes := func(n ...int) fleet.Duration { return fleet.Duration(pick(r, n...)) * fleet.Duration(time.Minute) }
	p := fleet.Policy{
		Cluster: cluster, DryRun: &no, LaunchSpecs: []fleet.LaunchSpec{spec},
		Limits:    fleet.Limits{MaxInstances: mostInstances, MinInstances: pick(r, 0, 1, 3)},
		ScaleDown: fleet.ScaleDown{MaxPercentage: pick(r, 10, 20, 34), StableFor: minutes(2, 3, 5), Cooldown: minutes(1, 2, 5), MinLifetime: minutes(5, 10)},
		Drain:     fleet.DrainPolicy{Timeout: minutes(3, 5, 15), OnTimeout: pick(r, fleet.TimeoutStop, fleet.TimeoutRestore)},
	}
	if r.IntN(2) == 0 {
		p.Headroom.Units = []fleet.HeadroomUnit{{CPUUnits: 512, MemoryMiB: 1024, Count: 1 + r.IntN(3)}}
	}
	p = p.WithDefaults()
	if err := p.Validate(); err != nil {
		panic(err)
	}
	return p
}

// begin makes the cluster and lets its users begin.
func (st *story) begin() {
	s, r := st.s, st.rng
	s.script("cluster %s", cluster)
	s.script("task %s cpu 64 memory 64", daemonName)
	s.script("service %s task %s daemon", daemonName, daemonName)
	n := 2 + r.IntN(4)
	for i := range n {
		l := load{name: string(rune('a' + i)), most: s.cfg.Tasks / n}
		line := pick(r, "", " min 50 max 150", " min 0 max 100", " min 100 max 200")
		line += pick(r, "", " strategy spread:attribute:ecs.availability-zone", " strategy binpack:memory")
		l.desired = r.IntN(l.most + 1)
		l.cpu, l.memory = pick(r, 256, 512, 1024), pick(r, 512, 1024, 2048)
		s.script("task %s cpu %d memory %d", l.name, l.cpu, l.memory)
		s.script("service %s task %s desired %d%s", l.name, l.name, l.desired, line)
		st.services = append(st.services, l)
	}
	s.script("task job cpu 512 memory 512")
	st.later()
}

// later arranges for the next change.
func (st *story) later() {
	st.s.after(between(st.rng, 2*time.Minute, 20*time.Minute), func() {
		if !st.over {
			st.scale()
			st.later()
		}
	})
}

// scale changes what a service wants.
func (st *story) scale() {
	l := &st.services[st.rng.IntN(len(st.services))]
	st.desire(l, st.rng.IntN(l.most+1))
}

// wantedLately is the most that was desired within a while.
func (l *load) wantedLately(since time.Time) int {
	most := l.desired
	for i := len(l.wanted) - 1; i >= 0 && l.wanted[i].at.After(since); i-- {
		most = max(most, l.wanted[i].n)
	}
	return most
}

func (st *story) desire(l *load, n int) {
	l.wanted = append(l.wanted, want{st.s.now, l.desired})
	l.desired = n
	st.s.script("service %s desired %d", l.name, n)
}
