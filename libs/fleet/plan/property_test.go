package plan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// randomWorld writes a script: a cluster that ECS could have made, with tasks that wait.
func randomWorld(rng *rand.Rand) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	flip := func(n int) bool { return rng.IntN(n) == 0 }
	if flip(3) {
		say(`spec default "{'spotPercentage':%d}"`, []int{50, 100}[rng.IntN(2)])
	}
	type service struct {
		name, flags string
		cpu, mem    int
		alone       bool // one an instance
		eni, run    int
	}
	var services []service
	for i := range 1 + rng.IntN(5) {
		s := service{name: fmt.Sprintf("s%d", i), cpu: 128 << rng.IntN(4), mem: 256 << rng.IntN(4)}
		switch rng.IntN(8) {
		case 0:
			s.flags, s.alone = " distinct", true
		case 1:
			s.flags, s.alone = fmt.Sprintf(" port=%d", 8000+i), true
		case 2:
			s.flags = fmt.Sprintf(` memberOf="attribute:ecs.availability-zone == %s"`, []string{"a", "b"}[rng.IntN(2)])
		case 3:
			s.flags, s.eni = " eni=1", 1
		case 4:
			s.flags = fmt.Sprintf(` memberOf="not(task:group == service:s%d)"`, rng.IntN(5))
		case 5:
			s.flags = []string{" strategy=binpack:memory", " strategy=spread:instanceId", " strategy=binpack:cpu"}[rng.IntN(3)]
		}
		services = append(services, s)
	}
	var instances []string
	for i := range rng.IntN(8) {
		name, cpu, mem := "m7i.large", 2048, 7604
		if flip(3) {
			name, cpu, mem = "m7i.xlarge", 4096, 15427
		}
		zone := []string{"a", "b"}[rng.IntN(2)]
		var tasks []string
		eni := 2
		for j := range services {
			s := &services[j]
			if strings.Contains(s.flags, "availability-zone") && !strings.HasSuffix(s.flags, zone+`"`) || strings.Contains(s.flags, "not(") {
				continue
			}
			n := rng.IntN(4)
			if s.alone {
				n = min(n, 1)
			}
			for n > 0 && (cpu < n*s.cpu || mem < n*s.mem || eni < n*s.eni) {
				n--
			}
			if n > 0 {
				cpu, mem, eni, s.run = cpu-n*s.cpu, mem-n*s.mem, eni-n*s.eni, s.run+n
				tasks = append(tasks, fmt.Sprintf("%s*%d", s.name, n))
			}
		}
		instances = append(instances, fmt.Sprintf("instance i-%d %s zone=%s age=%dm tasks=%s%s", i, name, zone, 5+rng.IntN(60), strings.Join(tasks, ","),
			[]string{"", "", "", "", " not-ours", " notice=spot-interruption", " notice=rebalance", " status=draining drain=d9"}[rng.IntN(8)]))
	}
	for _, s := range services {
		say("service %s desired=%d cpu=%d mem=%d%s", s.name, s.run+rng.IntN(2)*rng.IntN(8), s.cpu, s.mem, s.flags)
	}
	if flip(3) {
		say("service agent daemon cpu=64 mem=128")
	}
	for i, text := range instances {
		say("%s", text)
		if flip(2) {
			say("idle i-%d for=%dm", i, rng.IntN(12))
		}
	}
	if flip(3) {
		say(`policy "{'headroom':{'units':[{'cpuUnits':512,'memoryMiB':1024,'count':%d}]},'scaleDown':{'maxPercentage':50}}"`, 1+rng.IntN(4))
	}
	if flip(5) {
		say(`policy "{'limits':{'maxInstances':%d}}"`, 1+rng.IntN(8))
	}
	say(`policy "{'limits':{'launchBurst':1000}}"`)
	return b.String()
}

func worlds(t *testing.T, seeds int, check func(t *testing.T, s *script, p *fleet.Plan)) {
	t.Helper()
	for seed := range uint64(seeds) {
		text := randomWorld(rand.New(rand.NewPCG(seed, 5)))
		s, err := read(text)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		p := s.make()
		check(t, s, &p)
		if t.Failed() {
			t.Fatalf("seed %d:\n%s\n%s", seed, text, s.render(&p))
		}
	}
}

// TestSamePlanWhateverTheOrder: the same input makes the same bytes, in whatever order the
// tables of the snapshot come.
func TestSamePlanWhateverTheOrder(t *testing.T) {
	worlds(t, 300, func(t *testing.T, s *script, p *fleet.Plan) {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
		want, _ := json.Marshal(p)
		for i := range uint64(2) {
			again := plan.Make(shuffle(s.snap, rand.New(rand.NewPCG(i, 6))), s.pol, s.mem)
			if got, _ := json.Marshal(again); !bytes.Equal(got, want) {
				t.Errorf("shuffled, the plan is another:\n%s", s.render(&again))
			}
		}
	})
}

// shuffle puts the tables of a snapshot into another order.
func shuffle(snap fleet.Snapshot, rng *rand.Rand) fleet.Snapshot {
	s := snap
	var instances, groups []int
	s.Instances, instances = permute(snap.Instances, rng)
	s.TaskGroups, groups = permute(snap.TaskGroups, rng)
	s.Services, _ = permute(snap.Services, rng)
	s.Types, _ = permute(snap.Types, rng)
	s.Subnets, _ = permute(snap.Subnets, rng)
	s.Sections, _ = permute(snap.Sections, rng)
	s.Tasks, _ = permute(snap.Tasks, rng)
	s.Waiting, _ = permute(snap.Waiting, rng)
	for i := range s.Tasks {
		s.Tasks[i].Instance, s.Tasks[i].Group = instances[s.Tasks[i].Instance], groups[s.Tasks[i].Group]
	}
	for i := range s.Waiting {
		s.Waiting[i].Group = groups[s.Waiting[i].Group]
	}
	for i := range s.Services {
		s.Services[i].Deployments = slices.Clone(s.Services[i].Deployments)
		for j := range s.Services[i].Deployments {
			s.Services[i].Deployments[j].Group = groups[s.Services[i].Deployments[j].Group]
		}
	}
	return s
}

func permute[T any](table []T, rng *rand.Rand) (shuffled []T, to []int) {
	to = rng.Perm(len(table))
	if table == nil {
		return nil, to
	}
	shuffled = make([]T, len(table))
	for i, j := range to {
		shuffled[j] = table[i]
	}
	return shuffled, to
}

// TestLaunchesHoldWhatTheyAreFor: any offering of a launch holds all that each of its
// instances is meant to hold.
func TestLaunchesHoldWhatTheyAreFor(t *testing.T) {
	worlds(t, 500, func(t *testing.T, s *script, p *fleet.Plan) {
		total := 0
		for i := range p.Actions {
			l := p.Actions[i].Launch
			if l == nil {
				continue
			}
			total += l.Count
			var needs fleet.Resources
			for _, c := range l.For {
				needs = needs.Add(s.needsOf(c.What).Times(int64(c.Count)))
			}
			for _, o := range l.Offerings {
				if !needs.Fits(o.Capacity) {
					t.Errorf("%s is to hold %v and has %v", o.Key(), needs, o.Capacity)
				}
			}
		}
		if total > 0 && len(s.snap.Instances)+total > s.pol.Limits.MaxInstances {
			t.Errorf("%d instances and %d launched, of %d", len(s.snap.Instances), total, s.pol.Limits.MaxInstances)
		}
	})
}

func (s *script) needsOf(what string) fleet.Resources {
	if what == "headroom" {
		return s.pol.Headroom.Units[0].Needs()
	}
	for i := range s.snap.TaskGroups {
		g := &s.snap.TaskGroups[i]
		if strings.TrimPrefix(what, "daemon ") == g.Group+" "+g.TaskDefinition {
			return g.Needs
		}
	}
	panic("nothing is called " + what)
}

func (s *script) constraintsOf(what string) []string {
	for i := range s.snap.TaskGroups {
		if g := &s.snap.TaskGroups[i]; what == g.Group+" "+g.TaskDefinition {
			return g.Constraints
		}
	}
	return nil
}

// TestEverythingIsAnswered: each demand is placed, launched for, or refused with a reason;
// each instance that stays has a reason why.
func TestEverythingIsAnswered(t *testing.T) {
	worlds(t, 500, func(t *testing.T, s *script, p *fleet.Plan) {
		for _, d := range p.Demand {
			if d.FitNow+d.Launched+d.Unplaced != d.Count || d.Reason.Code == "" || d.Unplaced < 0 {
				t.Errorf("demand %+v does not add up", d)
			}
		}
		for i := range s.snap.Instances {
			inst := &s.snap.Instances[i]
			acted := slices.ContainsFunc(p.Actions, func(a fleet.Action) bool { id, ok := a.Target(); return ok && id == inst.ID })
			subject := "instance/" + string(inst.ID)
			reasons := 0
			for _, r := range p.Reasons {
				if r.Subject == subject {
					reasons++
				}
			}
			if acted && reasons > 0 || !acted && reasons != 1 && inst.Status == fleet.StatusActive {
				t.Errorf("%s: acted on: %t, %d reasons to keep it", inst.ID, acted, reasons)
			}
		}
	})
}

// TestDrainedTasksFitElsewhere: what is on drained instances fits on the others, jointly,
// as a slow search that knows nothing of the planner finds out.
func TestDrainedTasksFitElsewhere(t *testing.T) {
	drains := 0
	worlds(t, 1500, func(t *testing.T, s *script, p *fleet.Plan) {
		var tasks []int
		ref := newReference(s)
		for i := range p.Actions {
			if d := p.Actions[i].Drain; d != nil && !d.Involuntary {
				drains++
				at := slices.IndexFunc(s.snap.Instances, func(inst fleet.Instance) bool { return inst.ID == d.Instance })
				ref.open[at] = false
				for _, tc := range s.snap.Tasks {
					if tc.Instance == at && !s.snap.TaskGroups[tc.Group].Daemon {
						for range tc.Running {
							tasks = append(tasks, tc.Group)
						}
					}
				}
			}
		}
		slices.SortFunc(tasks, func(a, b int) int {
			return int(s.snap.TaskGroups[b].Needs.MemoryMiB - s.snap.TaskGroups[a].Needs.MemoryMiB)
		})
		if !ref.fit(tasks) {
			t.Errorf("%d tasks of drained instances do not fit elsewhere", len(tasks))
		}
	})
	if drains < 100 {
		t.Errorf("only %d drains were seen: the worlds show too little", drains)
	}
}

// reference is a second opinion on where tasks fit: by exhaustive search, with a predicate
// of its own that knows what the random worlds contain.
type reference struct {
	s     *script
	open  []bool
	free  []fleet.Resources
	held  []map[string]int
	steps int
}

// mostSteps is when the search gives up and takes the planner's word.
const mostSteps = 200_000

func newReference(s *script) *reference {
	r := &reference{s: s}
	for i := range s.snap.Instances {
		inst := &s.snap.Instances[i]
		r.open = append(r.open, inst.Status == fleet.StatusActive && inst.AgentConnected && inst.Notice.Kind == "")
		r.free = append(r.free, inst.Remaining)
		r.held = append(r.held, map[string]int{})
	}
	for _, tc := range s.snap.Tasks {
		r.held[tc.Instance][s.snap.TaskGroups[tc.Group].Group] += tc.Running
	}
	return r
}

func (r *reference) fit(tasks []int) bool {
	if len(tasks) == 0 {
		return true
	}
	if r.steps++; r.steps > mostSteps {
		return true
	}
	g := &r.s.snap.TaskGroups[tasks[0]]
	for i := range r.open {
		if !r.open[i] || !g.Needs.Fits(r.free[i]) || !r.allows(i, g) {
			continue
		}
		r.free[i] = r.free[i].Sub(g.Needs)
		r.held[i][g.Group]++
		if r.fit(tasks[1:]) {
			return true
		}
		r.free[i] = r.free[i].Add(g.Needs)
		r.held[i][g.Group]--
	}
	return false
}

func (r *reference) allows(i int, g *fleet.TaskGroup) bool {
	if g.Distinct && r.held[i][g.Group] > 0 || len(g.Zones) > 0 && !slices.Contains(g.Zones, r.s.snap.Instances[i].Zone) {
		return false
	}
	for j := range r.s.snap.TaskGroups { // no port twice
		if other := &r.s.snap.TaskGroups[j]; r.held[i][other.Group] > 0 && slices.ContainsFunc(g.Ports, func(p fleet.Port) bool { return slices.Contains(other.Ports, p) }) {
			return false
		}
	}
	for _, c := range g.Constraints {
		if zone, ok := strings.CutPrefix(c, "attribute:ecs.availability-zone == "); ok && zone != string(r.s.snap.Instances[i].Zone) {
			return false
		}
		if group, ok := strings.CutPrefix(c, "not(task:group == "); ok && r.held[i][strings.TrimSuffix(group, ")")] > 0 {
			return false
		}
	}
	return true
}

// TestOnePlanIsEnough: when the plan is executed, no task is left that could be placed:
// the next plan launches nothing more.
func TestOnePlanIsEnough(t *testing.T) {
	worlds(t, 500, func(t *testing.T, s *script, p *fleet.Plan) {
		next := s.execute(p)
		again := plan.Make(next, s.pol, fleet.Memory{Generation: 1, LaunchedAt: noon})
		for i := range again.Actions {
			// Where ECS spreads tasks, what is left free is less use as headroom than was planned.
			// Which of two services that shun each other takes an empty instance is up to ECS.
			shy := func(c fleet.Carried) bool { return len(s.constraintsOf(c.What)) > 0 }
			if a := &again.Actions[i]; a.Launch != nil && a.Reason.Code != fleet.ReasonHeadroom && !slices.ContainsFunc(a.Launch.For, shy) {
				t.Errorf("after the plan there is still something to launch:\n%s", s.render(&again))
				return
			}
		}
	})
}

// execute is the cluster when a plan is done, but for the tasks: ECS has yet to move them.
func (s *script) execute(p *fleet.Plan) fleet.Snapshot {
	next := s.snap
	next.Instances = slices.Clone(s.snap.Instances)
	for i := range p.Actions {
		a := &p.Actions[i]
		if id, ok := a.Target(); ok {
			at := slices.IndexFunc(next.Instances, func(inst fleet.Instance) bool { return inst.ID == id })
			switch a.Kind {
			case fleet.ActionDrain:
				next.Instances[at].Status = fleet.StatusDraining
			case fleet.ActionRestore:
				next.Instances[at].Status = fleet.StatusActive
				next.Instances[at].Drain = ""
			case fleet.ActionLaunch, fleet.ActionReap:
			}
			continue
		}
		for n := range a.Launch.Count {
			o := &a.Launch.Offerings[0]
			next.Instances = append(next.Instances, fleet.Instance{
				ID: fleet.InstanceID(fmt.Sprintf("i-new-%d-%d", i, n)), ContainerInstance: "ci", Status: fleet.StatusActive, Type: o.Type, Zone: o.Zone, Subnet: o.Subnet,
				Lifecycle: o.Lifecycle, Architecture: o.Architecture, Image: o.ImageID, Owner: "neap", LaunchSpec: o.LaunchSpec, Action: a.ID,
				LaunchedAt: noon.Add(-time.Minute), RegisteredAt: noon, AgentConnected: true, Attributes: fleet.NoIndex, Registered: o.Capacity, Remaining: o.Capacity,
			})
		}
	}
	return next
}
