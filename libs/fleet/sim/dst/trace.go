package dst

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/plan"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// TraceTask is a task of a recorded workload.
type TraceTask struct {
	ID        string
	Service   string // tasks of a service that are of one size are alike; "" is like a service of its own
	CPUUnits  int64
	MemoryMiB int64
	Arrives   time.Duration // since the beginning of the trace
	Departs   time.Duration // 0: it outlives the trace
}

// Trace is a workload to be played through the whole of Neap, with nothing going wrong.
type Trace struct {
	Tasks    []TraceTask
	Policy   fleet.Policy // its cluster, images, subnets and launch templates are those of the simulated AWS
	Seed     uint64
	Beat     time.Duration                       // between two looks at the cluster; default 15 s
	Progress func(played, of time.Duration) bool // called now and then; false ends it; nil is nobody
}

// Bounds of a trace: beyond them it is taken for a mistake.
const (
	mostServices = 2000
	mostLength   = 31 * 24 * time.Hour
)

// Sample is how a cluster was at one time of a trace.
type Sample struct {
	At              time.Duration
	Wanted, Running fleet.Resources // of tasks
	Capacity        fleet.Resources // of instances that take tasks
	CostPerHour     fleet.Price
	BoundPerHour    fleet.Price
}

// Replayed is what came of a trace.
type Replayed struct {
	Length     time.Duration
	Cost       float64 // US dollars
	Bound      float64 // of the cost: what the least instances for what ran and waited, and for the headroom that was there, would have cost
	Waits      []time.Duration
	NeverRan   int // tasks that departed before they had run, or were waiting in the end
	Moved      int // starts of tasks beyond the first: after drains and interruptions
	Launched   int
	Terminated int
	HoursBy    map[string]float64 // instance hours by type
	Samples    []Sample
	Violations []Violation
}

// Two clocks of a replay: what is summed up is looked at each minute, and packed anew, for
// the bound, each ten.
const (
	sampleEvery = time.Minute
	boundEvery  = 10 * time.Minute
	traceBeat   = 15 * time.Second
	traceGrace  = time.Minute // at the end of a trace that nothing departs from
)

// Play plays a trace. Each service of the trace is an ECS service for each size of task in
// it, whose desired count follows arrivals and departures. A task has waited from its arrival
// until a task of its service starts that was not there before, first come first served; that
// a task which was moved waits again is not counted as waiting, but as moved.
//
// Complexity, t tasks, m minutes: that of a simulated cluster, O(t + m·cluster) at the least,
// and a packing each ten minutes.
func Play(tr Trace) (Replayed, error) {
	pol, err := tr.policy()
	if err != nil {
		return Replayed{}, err
	}
	p := &player{trace: tr, services: map[string]*played{}, out: Replayed{HoursBy: map[string]float64{}}}
	length, err := p.arrange()
	if err != nil {
		return Replayed{}, err
	}
	p.s = newSystem(Config{Seed: tr.Seed, Duration: length, Replicas: 1, Beat: cmp.Or(tr.Beat, traceBeat), Faults: []string{}})
	s := p.s
	pol.place(s)
	s.bus.policy, s.saw = pol.Policy, p.saw
	p.start = s.now
	for _, r := range s.replicas {
		s.after(between(r.rng, 0, 5*time.Second), r.start)
	}
	p.begin()
	s.at(p.start.Add(time.Minute), s.minutely)
	s.after(0, p.sample)
	p.play(length)
	for _, r := range s.replicas {
		for _, t := range r.threads {
			t.kill()
		}
	}
	return p.result(length), nil
}

// localPolicy is the policy of a trace made fit for the simulated AWS.
type localPolicy struct{ fleet.Policy }

func (tr *Trace) policy() (localPolicy, error) {
	p, no := tr.Policy, false
	p.Cluster, p.DryRun = cluster, &no
	p.LaunchSpecs = slices.Clone(p.LaunchSpecs)
	for i := range p.LaunchSpecs {
		spec := &p.LaunchSpecs[i]
		spec.Images, spec.LaunchTemplate, spec.Subnets = []string{imageParameter}, nil, []fleet.SubnetID{"subnet-0"}
	}
	p = p.WithDefaults()
	if err := p.Validate(); err != nil {
		return localPolicy{}, err
	}
	return localPolicy{p}, nil
}

// place gives the launch specs the subnets of the world.
func (p *localPolicy) place(s *system) {
	var all []fleet.SubnetID
	for _, sub := range must(s.world.DescribeSubnets(&sim.DescribeSubnetsInput{})).Subnets {
		all = append(all, fleet.SubnetID(sub.SubnetID))
	}
	for i := range p.LaunchSpecs {
		p.LaunchSpecs[i].Subnets = all
	}
}

// player plays a trace.
type player struct {
	s        *system
	trace    Trace
	start    time.Time
	services map[string]*played // by name in ECS
	names    []string           // of services, in the order of their first task
	moves    []move
	running  map[string]*played // tasks that run, by ID
	bound    fleet.Price
	out      Replayed
}

// played is an ECS service of a trace.
type played struct {
	name     string
	size     fleet.Resources
	desired  int
	running  int
	arrivals int
	queue    []waiting // that have not run, in the order of arrival
}

// waiting is an arrival that has not been served.
type waiting struct {
	task  int // index in the trace
	since time.Time
}

// move is an arrival or a departure.
type move struct {
	at      time.Duration
	task    int
	departs bool
	of      *played
}

// arrange sorts out services, arrivals and departures, and says how long all of it takes.
func (p *player) arrange() (length time.Duration, err error) {
	byKey := map[string]*played{}
	for i := range p.trace.Tasks {
		t := &p.trace.Tasks[i]
		key := fmt.Sprintf("%s\x00%d\x00%d", t.Service, t.CPUUnits, t.MemoryMiB)
		svc := byKey[key]
		if svc == nil {
			svc = &played{name: p.nameFor(t), size: fleet.Resources{CPUUnits: t.CPUUnits, MemoryMiB: t.MemoryMiB}}
			byKey[key], p.services[svc.name] = svc, svc
			p.names = append(p.names, svc.name)
		}
		p.moves = append(p.moves, move{at: t.Arrives, task: i, of: svc})
		length = max(length, t.Arrives+traceGrace, t.Departs)
		if t.Departs > 0 {
			p.moves = append(p.moves, move{at: t.Departs, task: i, departs: true, of: svc})
		}
	}
	switch {
	case len(p.trace.Tasks) == 0:
		return 0, fmt.Errorf("%w: the trace has no tasks", fleet.ErrInvalid)
	case len(p.names) > mostServices:
		return 0, fmt.Errorf("%w: %d services and sizes of task; at most %d: round sizes up to fewer", fleet.ErrInvalid, len(p.names), mostServices)
	case length > mostLength:
		return 0, fmt.Errorf("%w: the trace takes %s; at most %s: times are seconds since its beginning", fleet.ErrInvalid, length, mostLength)
	}
	slices.SortStableFunc(p.moves, func(a, b move) int { return cmp.Compare(a.at, b.at) })
	return length, nil
}

// nameFor is a name that ECS takes for the service of a task, and no other has.
func (p *player) nameFor(t *TraceTask) string {
	const most = 200 // letters; ECS takes 255
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, cmp.Or(t.Service, "tasks"))
	name = fmt.Sprintf("%s-%dx%d", name[:min(len(name), most)], t.CPUUnits, t.MemoryMiB)
	for base, n := name, 2; p.services[name] != nil; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

// begin makes the cluster and its services, and arranges for what is to happen.
func (p *player) begin() {
	s := p.s
	p.running = map[string]*played{}
	s.script("cluster %s", cluster)
	for _, name := range p.names {
		size := p.services[name].size
		s.script("task %s cpu %d memory %d", name, size.CPUUnits, size.MemoryMiB)
		s.script("service %s task %s desired 0 min 100 max 200", name, name)
	}
	p.next(0)
}

// next arranges for the moves of the next moment, from number i on.
func (p *player) next(i int) {
	if i >= len(p.moves) {
		return
	}
	at := p.moves[i].at
	p.s.at(p.start.Add(at), func() {
		changed := map[*played]bool{}
		var order []*played
		for ; i < len(p.moves) && p.moves[i].at == at; i++ {
			m := &p.moves[i]
			m.of.turn(m, p)
			if !changed[m.of] {
				changed[m.of] = true
				order = append(order, m.of)
			}
		}
		for _, svc := range order {
			p.s.script("service %s desired %d", svc.name, svc.desired)
		}
		p.next(i)
	})
}

// turn lets a task arrive or depart.
func (v *played) turn(m *move, p *player) {
	if !m.departs {
		v.desired++
		v.arrivals++
		v.queue = append(v.queue, waiting{m.task, p.s.now})
		return
	}
	v.desired--
	if i := slices.IndexFunc(v.queue, func(w waiting) bool { return w.task == m.task }); i >= 0 {
		v.queue = slices.Delete(v.queue, i, i+1)
		p.out.NeverRan++
	}
}

// saw takes in what happened to a task.
func (p *player) saw(e sim.Entry) {
	if e.Kind != sim.EntryTask {
		return
	}
	svc := p.services[strings.TrimPrefix(e.Group, "service:")]
	if svc == nil {
		return
	}
	switch before, runs := p.running[e.ID], e.What == "RUNNING"; {
	case runs && before == nil:
		p.running[e.ID] = svc
		svc.running++
		served := 0
		for len(svc.queue) > 0 && svc.running > svc.desired-len(svc.queue) {
			p.out.Waits = append(p.out.Waits, e.At.Sub(svc.queue[0].since))
			svc.queue = svc.queue[1:]
			served++
		}
		if served == 0 {
			p.out.Moved++
		}
	case !runs && before != nil:
		delete(p.running, e.ID)
		svc.running--
	}
}

// sample sums up the last minute.
func (p *player) sample() {
	s := p.s
	truth := s.world.Truth()
	at := s.now.Sub(p.start)
	if at%boundEvery == 0 || p.bound == 0 {
		p.bound = p.leastCost()
	}
	one := Sample{At: at, CostPerHour: truth.CostPerHour, BoundPerHour: min(p.bound, truth.CostPerHour)}
	for _, name := range p.names {
		svc := p.services[name]
		one.Wanted = one.Wanted.Add(svc.size.Times(int64(svc.desired)))
		one.Running = one.Running.Add(svc.size.Times(int64(svc.running)))
	}
	for i := range truth.Instances {
		inst := &truth.Instances[i]
		if slices.Contains(ended, inst.State) {
			continue
		}
		p.out.HoursBy[inst.Type] += sampleEvery.Hours()
		if inst.Status == "ACTIVE" {
			one.Capacity = one.Capacity.Add(inst.Total)
		}
	}
	p.out.Cost += one.CostPerHour.USD() * sampleEvery.Hours()
	p.out.Bound += one.BoundPerHour.USD() * sampleEvery.Hours()
	p.out.Samples = append(p.out.Samples, one)
	s.after(sampleEvery, p.sample)
}

// leastCost is the least that any cluster for the same tasks costs.
func (p *player) leastCost() fleet.Price {
	views := p.s.bus.snapshots
	if len(views) == 0 {
		return 0
	}
	st := plan.Standing(views[len(views)-1].value, p.s.bus.policy, fleet.Memory{Generation: p.s.bus.generation}, pack.Solve)
	if st.Problem != "" {
		return 0
	}
	return st.Bound
}

// play lets time pass, and says how far it is.
func (p *player) play(length time.Duration) {
	const step = 30 * time.Minute
	for at := time.Duration(0); at < length; {
		at = min(at+step, length)
		p.s.run(p.start.Add(at), func() bool { return false })
		if p.trace.Progress != nil && !p.trace.Progress(at, length) {
			return
		}
	}
	p.s.check.regularly()
}

func (p *player) result(length time.Duration) Replayed {
	r := p.out
	r.Length, r.Violations = length, p.s.check.violations
	for _, name := range p.names {
		r.NeverRan += len(p.services[name].queue)
	}
	history := p.s.world.Truth().History
	r.Launched, r.Terminated = history.InstancesLaunched, history.InstancesTerminated
	slices.Sort(r.Waits)
	return r
}

// Wait is a percentile of the waits, from 0 to 100, by the nearest rank; 0 without any.
func (r *Replayed) Wait(percentile float64) time.Duration {
	if len(r.Waits) == 0 {
		return 0
	}
	rank := int(math.Ceil(percentile / 100 * float64(len(r.Waits))))
	return r.Waits[max(rank-1, 0)]
}
