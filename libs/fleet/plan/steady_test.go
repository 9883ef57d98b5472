package plan_test

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	ec2 "github.com/neap-project/neap/libs/fleet/catalogue"
	"github.com/neap-project/neap/libs/fleet/outcome"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/place"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// town is a cluster that does at once what plans say: instances register a minute after
// their launch, and what leaves an instance is placed as ECS places it. Nothing is asked of
// it beside, so what becomes of its cost is the doing of the plans alone.
type town struct {
	snap  fleet.Snapshot
	pol   fleet.Policy
	mem   fleet.Memory
	rng   *rand.Rand
	types map[fleet.TypeName]*fleet.InstanceType

	tasks    []map[int]int // by instance: tasks of each group
	rounds   int           // plans that changed something
	moved    int           // tasks
	launched int
	drained  int
	took     time.Duration
	homeless int         // tasks that found no place at once
	planned  bool        // tasks go where the plan meant them to, not where ECS would put them
	waiting  map[int]int // these, by group, until they do
}

// townTypes are the c, m and r types of generations 5 to 8 for x86_64, neither bare metal
// nor larger than 16 vCPUs: those of the capped runs in the comparison with Karpenter.
func townTypes(tb testing.TB) []fleet.InstanceType {
	tb.Helper()
	table, err := ec2.Embedded()
	if err != nil {
		tb.Fatal(err)
	}
	var list []fleet.InstanceType
	for _, t := range table.Types {
		const most = 16
		if t.Architecture != string(fleet.X86) || t.Metal || t.VCPUs > most || t.OnDemand <= 0 || t.GPUs > 0 ||
			!slices.Contains([]byte("cmr"), t.Name[0]) || t.Name[1] < '5' || t.Name[1] > '8' {
			continue
		}
		list = append(list, fleet.InstanceType{
			Name: fleet.TypeName(t.Name), Architectures: []fleet.Architecture{fleet.X86}, VCPUs: t.VCPUs, MemoryMiB: t.MemoryMiB, MaxENIs: 4, OnDemand: t.OnDemand,
			Zones: []fleet.ZoneOffer{{Zone: "a"}, {Zone: "b"}, {Zone: "c"}},
		})
	}
	slices.SortFunc(list, func(a, b fleet.InstanceType) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// newTown is a town without instances, with a service for each shape of a task.
func newTown(tb testing.TB, shapes []fleet.Resources, strategy []fleet.Strategy) *town {
	tb.Helper()
	no := false
	w := &town{rng: rand.New(rand.NewPCG(42, 1)), types: map[fleet.TypeName]*fleet.InstanceType{}, waiting: map[int]int{}}
	w.pol = fleet.Policy{
		APIVersion: fleet.PolicyAPIVersion, DryRun: &no, Limits: fleet.Limits{MaxInstances: 100_000, LaunchBurst: 10_000},
		LaunchSpecs: []fleet.LaunchSpec{{Name: "default", Images: []string{"ami-1"}, Subnets: []fleet.SubnetID{"subnet-a", "subnet-b", "subnet-c"}}},
	}
	s := &w.snap
	*s = fleet.Snapshot{Cluster: "town", Region: "us-east-1", Generation: 1, Types: townTypes(tb), Images: []fleet.Image{{Parameter: "ami-1", ID: "ami-1", Architecture: fleet.X86}}}
	for i := range s.Types {
		t := &s.Types[i]
		w.types[t.Name] = t
		s.Learned = append(s.Learned, fleet.Learned{Type: t.Name, Image: "ami-1", Capacity: room(t)})
	}
	for _, zone := range []string{"a", "b", "c"} {
		s.Subnets = append(s.Subnets, fleet.Subnet{ID: fleet.SubnetID("subnet-" + zone), Zone: fleet.Zone(zone), VPC: "vpc-1", FreeAddresses: 60_000})
		s.AttributeSets = append(s.AttributeSets, []fleet.Attribute{{Name: "ecs.availability-zone", Value: zone}})
	}
	for g, needs := range shapes {
		name := fmt.Sprintf("s%03d", g)
		s.TaskGroups = append(s.TaskGroups, fleet.TaskGroup{Group: "service:" + name, TaskDefinition: name + ":1", Needs: needs, Strategy: strategy})
	}
	return w
}

// room is what an instance of a type offers: all that it has, a CPU unit being a thousandth
// of a vCPU here, as in the comparison.
func room(t *fleet.InstanceType) fleet.Resources {
	return fleet.Resources{CPUUnits: t.VCPUs * 1000, MemoryMiB: t.MemoryMiB, ENIs: t.MaxENIs - 1}
}

// add adds an instance that has been there for so long.
func (w *town) add(name fleet.TypeName, zone fleet.Zone, action fleet.ActionID, age time.Duration) int {
	i := len(w.snap.Instances)
	id := fmt.Sprintf("i-%05d", w.launched+i)
	for slices.ContainsFunc(w.snap.Instances, func(x fleet.Instance) bool { return string(x.ID) == id }) {
		id += "x"
	}
	t := w.types[name]
	w.snap.Instances = append(w.snap.Instances, fleet.Instance{
		ID: fleet.InstanceID(id), ContainerInstance: fleet.ContainerInstanceID("c" + id), Status: fleet.StatusActive, Type: name, Zone: zone,
		Lifecycle: fleet.OnDemand, Architecture: fleet.X86, Image: "ami-1", Owner: "neap", LaunchSpec: "default", Action: action,
		LaunchedAt: w.snap.TakenAt.Add(-age), RegisteredAt: w.snap.TakenAt.Add(-age), AgentConnected: true,
		Attributes: int(zone[0] - 'a'), Registered: room(t), Remaining: room(t),
	})
	w.tasks = append(w.tasks, map[int]int{})
	return i
}

// run puts a task on an instance.
func (w *town) run(i, g, n int) {
	w.tasks[i][g] += n
	w.snap.Instances[i].Remaining = w.snap.Instances[i].Remaining.Sub(w.snap.TaskGroups[g].Needs.Times(int64(n)))
}

// look brings the tables of the snapshot up to date, as of now.
func (w *town) look(now time.Time) {
	s := &w.snap
	s.TakenAt, s.ReadStartedAt = now, now
	s.Sections, s.Tasks, s.Services = nil, nil, nil
	for _, name := range fleet.AllSections() {
		s.Sections = append(s.Sections, fleet.Section{Name: name, ReadAt: now, Complete: true})
	}
	running := make([]int, len(s.TaskGroups))
	for i := range s.Instances {
		for g := range s.TaskGroups {
			if n := w.tasks[i][g]; n > 0 {
				s.Tasks = append(s.Tasks, fleet.TaskCount{Instance: i, Group: g, Running: n})
				running[g] += n
			}
		}
	}
	for g := range s.TaskGroups {
		wanted := running[g] + w.waiting[g]
		s.Services = append(s.Services, fleet.Service{
			Name: fleet.ServiceName(s.TaskGroups[g].Group[len("service:"):]), Scheduling: fleet.Replica, Desired: wanted, MinHealthyPercent: 100, MaxPercent: 200,
			Deployments: []fleet.Deployment{{ID: fmt.Sprintf("d-%d", g), Primary: true, Group: g, Desired: wanted, Running: running[g], Rollout: fleet.RolloutCompleted}},
		})
	}
}

// live makes a plan and does what it says. It reports whether that was anything.
func (w *town) live(tb testing.TB, now time.Time) bool {
	w.look(now)
	began := processor(tb)
	p := plan.Make(w.snap, w.pol, w.mem)
	w.took += processor(tb) - began
	w.mem = outcome.Remember(w.mem, &p)
	drains := map[fleet.InstanceID]bool{}
	for _, a := range p.Actions {
		o := fleet.Outcome{Cluster: "town", Generation: 1, Plan: p.ID, Action: a.ID, Kind: a.Kind, Of: a.Of(), Phase: fleet.PhaseFinal, At: now}
		switch {
		case a.Launch != nil:
			off := &a.Launch.Offerings[0]
			for range a.Launch.Count {
				i := w.add(off.Type, off.Zone, a.ID, 0)
				w.launched++
				o.Instances = append(o.Instances, fleet.LaunchedInstance{ID: w.snap.Instances[i].ID, Type: off.Type, Zone: off.Zone, Lifecycle: off.Lifecycle})
			}
		case a.Drain != nil:
			drains[a.Drain.Instance] = true
		default:
			tb.Fatalf("a plan wants to %s", a.Kind)
		}
		w.mem = outcome.Fold(w.mem, &o)
	}
	w.drain(tb, drains)
	if len(p.Actions) > 0 {
		w.rounds++
	}
	return len(p.Actions) > 0
}

// drain has ECS move what is on instances, and takes them away.
func (w *town) drain(tb testing.TB, drains map[fleet.InstanceID]bool) {
	if len(drains) == 0 && len(w.waiting) == 0 {
		return
	}
	w.look(w.snap.TakenAt)
	c, tasks, err := place.FromSnapshot(&w.snap)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range w.snap.Instances {
		if drains[w.snap.Instances[i].ID] {
			c.Close(i)
		}
	}
	for g := range tasks {
		for w.waiting[g] > 0 {
			to, ok := c.Place(tasks[g], w.rng)
			if !ok {
				break
			}
			w.run(to, g, 1)
			if w.waiting[g]--; w.waiting[g] == 0 {
				delete(w.waiting, g)
			}
		}
	}
	order := make([]int, len(tasks)) // the largest shapes were listed last
	for x := range order {
		order[x] = len(tasks) - 1 - x
	}
	for _, g := range order {
		for i := range w.snap.Instances {
			if !drains[w.snap.Instances[i].ID] {
				continue
			}
			for range w.tasks[i][g] {
				to, ok := w.place(c, tasks[g], g)
				if !ok {
					w.homeless++
					w.waiting[g]++
					continue
				}
				w.run(to, g, 1)
				w.moved++
			}
		}
	}
	var kept []fleet.Instance
	var tasksOn []map[int]int
	for i := range w.snap.Instances {
		if drains[w.snap.Instances[i].ID] {
			w.drained++
			continue
		}
		kept = append(kept, w.snap.Instances[i])
		tasksOn = append(tasksOn, w.tasks[i])
	}
	w.snap.Instances, w.tasks = kept, tasksOn
}

// place puts a task where ECS would, or where the plan meant it to go.
func (w *town) place(c *place.Cluster, t *place.Task, g int) (int, bool) {
	if !w.planned {
		return c.Place(t, w.rng)
	}
	best, least := -1, math.Inf(1)
	for i := range w.snap.Instances { // the one that it fills best, new ones first
		if !c.Takes(i) || !c.Admits(i, t) {
			continue
		}
		inst := &w.snap.Instances[i]
		left := c.Free(i).Sub(t.Needs)
		waste := math.Max(float64(left.CPUUnits)/float64(inst.Registered.CPUUnits), float64(left.MemoryMiB)/float64(inst.Registered.MemoryMiB))
		if inst.Action == "" {
			waste++
		}
		if waste < least {
			best, least = i, waste
		}
	}
	if best >= 0 {
		c.Put(best, t, 1)
	}
	return best, best >= 0
}

func (w *town) cost() (sum fleet.Price) {
	for i := range w.snap.Instances {
		sum += w.types[w.snap.Instances[i].Type].OnDemand
	}
	return sum
}

// bounds are the least that any instances cost which hold the tasks: by the fractions of
// them that the totals need, which is how rivals are measured, and as the packing proves.
func (w *town) bounds() (fractional, proven fleet.Price, tasks int) {
	var total fleet.Resources
	p := pack.Problem{Effort: pack.High}
	for i := range w.snap.Types {
		t := &w.snap.Types[i]
		p.Offerings = append(p.Offerings, pack.Offering{Name: string(t.Name), Capacity: room(t), Price: t.OnDemand})
	}
	for g := range w.snap.TaskGroups {
		n := 0
		for i := range w.tasks {
			n += w.tasks[i][g]
		}
		tasks += n
		needs := w.snap.TaskGroups[g].Needs
		total = total.Add(needs.Times(int64(n)))
		p.Items = append(p.Items, pack.Item{Name: w.snap.TaskGroups[g].Group, Needs: needs, Count: n})
	}
	return pack.RatesFor(total, p.Offerings).Worth(total), pack.Solve(p).LowerBound, tasks
}

// settle lives from minute to minute until nothing has been planned for a while.
func (w *town) settle(tb testing.TB) (minutes int) {
	const calm, most = 30, 3000
	now, quiet := noon, 0
	for quiet < calm {
		if minutes++; minutes > most {
			tb.Fatalf("not settled after %d minutes: %d rounds", minutes, w.rounds)
		}
		now = now.Add(time.Minute)
		if quiet++; w.live(tb, now) {
			quiet = 0
		}
	}
	return minutes - calm
}

// halfEmpty is the cluster on which Karpenter's consolidation was measured: types and
// fillings at random, the shapes of tasks those of its benchmark.
func halfEmpty(tb testing.TB, n int, strategy []fleet.Strategy) *town {
	var shapes []fleet.Resources
	for _, cpu := range []int64{100, 250, 500, 1000, 1500} {
		for _, mem := range []int64{100, 256, 512, 1024, 2048, 4096} {
			shapes = append(shapes, fleet.Resources{CPUUnits: cpu, MemoryMiB: mem})
		}
	}
	w := newTown(tb, shapes, strategy)
	w.snap.TakenAt = noon
	for i := range n {
		types := []fleet.TypeName{"m5.xlarge", "m5.2xlarge", "c5.2xlarge", "r5.xlarge", "m5.4xlarge"}
		at := w.add(types[w.rng.IntN(len(types))], fleet.Zone("abc"[i%3:i%3+1]), "", time.Hour)
		inst := &w.snap.Instances[at]
		fill := 0.1 + 0.8*w.rng.Float64()
		for {
			g := w.rng.IntN(len(shapes))
			left := inst.Remaining.Sub(shapes[g])
			share := max(1-float64(left.CPUUnits)/float64(inst.Registered.CPUUnits), 1-float64(left.MemoryMiB)/float64(inst.Registered.MemoryMiB))
			if share > fill {
				break
			}
			w.run(at, g, 1)
		}
	}
	return w
}

// fallen is a cluster of real types that was full of tasks of real shapes, until the load
// fell by half: every second task ended, wherever it was. Shapes and how often each occurs are
// those of Google's ClusterData2011, as package pack keeps them.
func fallen(tb testing.TB, n int, strategy []fleet.Strategy) *town {
	tb.Helper()
	file, err := os.Open("../pack/testdata/google2011.csv")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	var shapes []fleet.Resources
	var drawn []int // each shape as often as it occurs
	for _, row := range rows[1:] {
		needs := fleet.Resources{CPUUnits: int64(number(row[1])), MemoryMiB: int64(number(row[2]))}
		if needs.CPUUnits > 4000 || needs.MemoryMiB > 8192 {
			continue // more than the smallest instance has
		}
		g := slices.Index(shapes, needs)
		if g < 0 {
			g, shapes = len(shapes), append(shapes, needs)
		}
		drawn = append(drawn, slices.Repeat([]int{g}, number(row[3]))...)
	}
	w := newTown(tb, shapes, strategy)
	w.snap.TakenAt = noon
	types := []fleet.TypeName{"m5.xlarge", "m6i.2xlarge", "m7i.xlarge", "c5.4xlarge", "c6i.2xlarge", "r5.2xlarge", "r6i.xlarge", "m5.4xlarge"}
	for i := range n {
		at := w.add(types[w.rng.IntN(len(types))], fleet.Zone("abc"[i%3:i%3+1]), "", time.Hour)
		for misses := 0; misses < 20; { // by then it is full
			g := drawn[w.rng.IntN(len(drawn))]
			if !shapes[g].Fits(w.snap.Instances[at].Remaining) {
				misses++
				continue
			}
			w.run(at, g, 1)
		}
		for g := range shapes {
			for range w.tasks[at][g] {
				if w.rng.IntN(2) == 0 {
					w.run(at, g, -1)
				}
			}
		}
	}
	return w
}

// BenchmarkConsolidate plays two clusters until nothing more is planned, with all instances
// free to drain at once and with a tenth of them: the half-empty one of Karpenter, and one of
// which the load fell by half. It reports the cost over the bound, and how often a task moved.
func BenchmarkConsolidate(b *testing.B) {
	binpack := []fleet.Strategy{{Type: fleet.StrategyBinpack, Field: "cpu"}}
	for _, c := range []struct {
		name      string
		begin     func(testing.TB, int, []fleet.Strategy) *town
		instances int
	}{{"halfempty", halfEmpty, 300}, {"fallen", fallen, 500}} {
		for _, s := range []struct {
			name     string
			strategy []fleet.Strategy
		}{{"binpack", binpack}, {"random", nil}, {"planned", nil}} {
			for _, share := range []int{100, 10} {
				b.Run(fmt.Sprintf("%s/strategy=%s/atonce=%d/instances=%d", c.name, s.name, share, c.instances), func(b *testing.B) {
					for b.Loop() {
						w := c.begin(b, c.instances, s.strategy)
						w.planned = s.name == "planned"
						consolidate(b, w, share)
					}
				})
			}
		}
	}
}

// consolidate lives in a town until nothing more is planned, and reports what became of it.
func consolidate(b *testing.B, w *town, share int) {
	b.Helper()
	yes := true
	w.pol.ScaleDown.MaxPercentage, w.pol.ScaleDown.Replace = share, &yes
	before := w.cost()
	fractional, proven, tasks := w.bounds()
	minutes := w.settle(b)
	over := func(bound fleet.Price) float64 { return 100 * (w.cost().USD()/bound.USD() - 1) }
	b.ReportMetric(math.Round(before.USD()*1000)/1000, "$/h-before")
	b.ReportMetric(w.cost().USD(), "$/h-after")
	b.ReportMetric(over(fractional), "%over-fractional")
	b.ReportMetric(over(proven), "%over-bound")
	b.ReportMetric(float64(tasks), "tasks")
	b.ReportMetric(float64(w.moved)/float64(tasks), "moves/task")
	b.ReportMetric(float64(w.rounds), "rounds")
	b.ReportMetric(float64(w.drained), "drained")
	b.ReportMetric(float64(w.launched), "launched")
	b.ReportMetric(float64(w.homeless), "waited")
	b.ReportMetric(float64(minutes), "minutes")
	b.ReportMetric(w.took.Seconds(), "cpu-s")
}
