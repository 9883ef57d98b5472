package plan_test

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// catalogue is the size of what a launch spec may choose from: some 130 types in three
// zones, on-demand and spot.
func catalogue() []fleet.InstanceType {
	var types []fleet.InstanceType
	for f, family := range []string{"c6i", "c6a", "c7i", "c7a", "m6i", "m6a", "m7i", "m7a", "r6i", "r6a", "r7i", "r7a", "i4i", "m5", "c5", "r5"} {
		perCPU := map[byte]int64{'c': 2, 'm': 4, 'r': 8, 'i': 8}[family[0]]
		for s, size := range []string{"large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"} {
			v := []int64{2, 4, 8, 16, 32, 48, 64, 96}[s]
			price := float64(v) * (0.040 + 0.0025*float64(perCPU) + 0.0007*float64(f))
			t := fleet.InstanceType{
				Name: fleet.TypeName(family + "." + size), Architectures: []fleet.Architecture{fleet.X86}, VCPUs: v, MemoryMiB: v * perCPU * 1024,
				MaxENIs: 3 + int64(s), OnDemand: fleet.USD(price),
			}
			for z, zone := range []fleet.Zone{"a", "b", "c"} {
				t.Zones = append(t.Zones, fleet.ZoneOffer{Zone: zone, Spot: fleet.USD(price * (0.3 + 0.02*float64(z)))})
			}
			types = append(types, t)
		}
	}
	return types
}

// A shape says what a large cluster is like.
type shape struct {
	instances int
	waiting   int  // tasks, of 25 services
	half      int  // every so many instances is half empty; 0 is none
	spare     int  // instances in a hundred that hold nothing, for the headroom
	leaving   int  // every so many instances drains; 0 is none
	ripe      bool // every instance has been idle for long enough to go, if nothing keeps it
	small     int  // tasks need so many times less, and all instances are as many times emptier; 0 is 1
}

// large is a cluster of some twenty tasks an instance and two services for every five:
// 5,000 instances, 100,000 tasks, 2,000 services. It is full but for what its shape says.
func large(c shape) (fleet.Snapshot, fleet.Policy) {
	n := c.instances
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	no := false
	pol := fleet.Policy{
		APIVersion: fleet.PolicyAPIVersion, DryRun: &no, Limits: fleet.Limits{MaxInstances: 10 * n, LaunchBurst: n},
		LaunchSpecs: []fleet.LaunchSpec{{Name: "default", Images: []string{"ami-1"}, Subnets: []fleet.SubnetID{"subnet-a", "subnet-b", "subnet-c"}}},
		Headroom:    fleet.Headroom{Percentage: 5},
	}
	s := fleet.Snapshot{Cluster: "prod", Region: "eu-west-1", Generation: 1, ReadStartedAt: noon.Add(-5 * time.Second), TakenAt: noon, Types: catalogue()}
	for _, name := range fleet.AllSections() {
		s.Sections = append(s.Sections, fleet.Section{Name: name, ReadAt: noon, Complete: true})
	}
	for _, zone := range []string{"a", "b", "c"} {
		s.Subnets = append(s.Subnets, fleet.Subnet{ID: fleet.SubnetID("subnet-" + zone), Zone: fleet.Zone(zone), VPC: "vpc-1", FreeAddresses: 8000})
		s.AttributeSets = append(s.AttributeSets, []fleet.Attribute{{Name: "ecs.availability-zone", Value: zone}, {Name: "ecs.instance-type", Value: "m7i.4xlarge"}, {Name: "ecs.capability.task-eni"}})
	}
	small := int64(max(c.small, 1))
	groups := max(2*n/5, 30)
	for g := range groups {
		name := fmt.Sprintf("s%04d", g)
		s.TaskGroups = append(s.TaskGroups, fleet.TaskGroup{
			Group: "service:" + name, TaskDefinition: name + ":1", Distinct: g%20 == 7,
			Needs: fleet.Resources{CPUUnits: 192 << rng.IntN(4) / small, MemoryMiB: int64(512+128*rng.IntN(8)) << rng.IntN(3) / small},
		})
		if g%10 == 3 {
			s.TaskGroups[g].Constraints = []string{"attribute:ecs.instance-type =~ m7i.*"}
		}
	}
	running := make([]int, groups)
	for i := range n {
		inst := fleet.Instance{
			ID: fleet.InstanceID(fmt.Sprintf("i-%05d", i)), ContainerInstance: fleet.ContainerInstanceID(fmt.Sprintf("ci-%05d", i)), Status: fleet.StatusActive,
			Type: "m7i.4xlarge", Zone: fleet.Zone([]string{"a", "b", "c"}[i%3]), Lifecycle: fleet.OnDemand, Architecture: fleet.X86, Image: "ami-1",
			Owner: "neap", LaunchSpec: "default", LaunchedAt: noon.Add(-time.Hour), RegisteredAt: noon.Add(-time.Hour), AgentConnected: true, Attributes: i % 3,
			Registered: fleet.Resources{CPUUnits: 16384, MemoryMiB: 62367, ENIs: 7},
		}
		inst.Remaining = inst.Registered
		if c.leaving > 0 && i%c.leaving == 0 {
			inst.Status = fleet.StatusDraining
		}
		full := 0.97 / float64(small)
		if c.half > 0 && i%c.half == 0 {
			full = 0.4
		}
		if i*c.spare/100 < (i+1)*c.spare/100 {
			full = 0
		}
		for range 200 {
			g := rng.IntN(groups)
			needs := s.TaskGroups[g].Needs
			used := inst.Registered.Sub(inst.Remaining).Add(needs)
			if float64(used.CPUUnits) > full*16384 || float64(used.MemoryMiB) > full*62367 {
				break
			}
			if k := len(s.Tasks); k > 0 && s.Tasks[k-1].Instance == i && s.Tasks[k-1].Group >= g {
				continue // one entry a group, ascending: no task twice where it must not be
			}
			s.Tasks = append(s.Tasks, fleet.TaskCount{Instance: i, Group: g, Running: 1})
			inst.Remaining = inst.Remaining.Sub(needs)
			running[g]++
		}
		for g := range groups { // fill up in order
			needs := s.TaskGroups[(g+i)%groups].Needs
			used := inst.Registered.Sub(inst.Remaining).Add(needs)
			if float64(used.CPUUnits) > full*16384 || float64(used.MemoryMiB) > full*62367 {
				break
			}
			s.Tasks = append(s.Tasks, fleet.TaskCount{Instance: i, Group: (g + i) % groups, Running: 1})
			inst.Remaining = inst.Remaining.Sub(needs)
			running[(g+i)%groups]++
		}
		s.Instances = append(s.Instances, inst)
	}
	for g := range groups {
		missing := 0
		if g < 25 {
			missing = c.waiting / 25
		}
		s.Services = append(s.Services, fleet.Service{
			Name: fleet.ServiceName(s.TaskGroups[g].Group[len("service:"):]), Scheduling: fleet.Replica, Desired: running[g] + missing, MinHealthyPercent: 100, MaxPercent: 200,
			Deployments: []fleet.Deployment{{ID: fmt.Sprintf("d-%d", g), Primary: true, Group: g, Desired: running[g] + missing, Running: running[g], Rollout: fleet.RolloutCompleted}},
		})
	}
	s.Canonical() // as a watcher publishes it
	return s, pol
}

var sizes = []int{500, 1500, 5000}

// BenchmarkMake plans for clusters with little room in which tasks wait, and for clusters
// with nothing waiting of which a tenth is half empty: all of that could go.
func BenchmarkMake(b *testing.B) {
	for _, waiting := range []int{500, 10_000} {
		for _, n := range sizes {
			benchmarkMake(b, fmt.Sprintf("waiting=%d/instances=%d", waiting, n), shape{instances: n, waiting: waiting, spare: 4})
		}
	}
	for _, n := range sizes {
		benchmarkMake(b, fmt.Sprintf("halfempty/instances=%d", n), shape{instances: n, half: 10})
	}
}

// BenchmarkMakeNothing plans for clusters in which there is nothing to do: all tasks run,
// the headroom is there, and nothing has been idle for long enough to go.
func BenchmarkMakeNothing(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		p := benchmarkMake(b, fmt.Sprintf("instances=%d", n), shape{instances: n, spare: 7})
		if len(p.Actions) > 0 {
			b.Fatalf("%d instances: %d actions, such as %s", n, len(p.Actions), p.Actions[0].Reason)
		}
	}
}

// BenchmarkMakeRipe plans for clusters in which instances have been idle for long enough to
// go, as many as may go at once and more: a fifth of them half empty, and all of them after
// the load fell by half.
func BenchmarkMakeRipe(b *testing.B) {
	for _, c := range []struct {
		name string
		shape
	}{{"halfempty", shape{half: 5, ripe: true}}, {"fallen", shape{small: 2, ripe: true}}} {
		for _, n := range sizes {
			c.instances = n
			p := benchmarkMake(b, fmt.Sprintf("%s/instances=%d", c.name, n), c.shape)
			if drains := len(p.Actions); p.ID != "" && drains < min(n/10, 200) {
				b.Fatalf("%s, %d instances: %d drains", c.name, n, drains)
			}
		}
	}
}

// BenchmarkMakeMoves plans for clusters of which a tenth drains: their tasks need room.
func BenchmarkMakeMoves(b *testing.B) {
	for _, n := range sizes {
		benchmarkMake(b, fmt.Sprintf("instances=%d", n), shape{instances: n, leaving: 10, spare: 20})
	}
}

// benchmarkMake makes one plan again and again, and returns it. Beside time and what was
// allocated it reports the processor time, which says more than the clock where others are
// at work too, and the most memory that the process held after a plan, the snapshot
// included.
func benchmarkMake(b *testing.B, name string, c shape) (p fleet.Plan) {
	snap, pol := large(c)
	tasks, launched, drained := 0, 0, 0
	mem := fleet.Memory{Generation: 1}
	for i := range snap.Instances {
		if c.ripe {
			mem.Idle = append(mem.Idle, fleet.Idle{Instance: snap.Instances[i].ID, Since: noon.Add(-time.Hour)})
		}
	}
	for i := range snap.Tasks {
		tasks += snap.Tasks[i].Running
	}
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		debug.FreeOSMemory() // what other benchmarks left
		var held uint64
		before := processor(b)
		for b.Loop() {
			p = plan.Make(snap, pol, mem)
			held = max(held, memoryHeld())
		}
		b.ReportMetric((processor(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/op")
		launched, drained = 0, 0
		for _, a := range p.Actions {
			if a.Launch != nil {
				launched += a.Launch.Count
			}
			if a.Drain != nil {
				drained++
			}
		}
		b.ReportMetric(float64(held)/(1<<20), "MiB")
		b.ReportMetric(float64(launched), "launched")
		b.ReportMetric(float64(drained), "drained")
		b.ReportMetric(float64(len(p.Idle)), "idle")
		b.ReportMetric(float64(tasks), "tasks")
		b.ReportMetric(float64(c.instances), "instances")
	})
	return p
}

// processor is the time that all cores have given to this process.
func processor(b testing.TB) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// memoryHeld is what the runtime has from the operating system and has not given back.
func memoryHeld() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// BenchmarkPlace puts 500 tasks of 25 services on a cluster by their strategies.
func BenchmarkPlace(b *testing.B) {
	for _, n := range sizes {
		snap, _ := large(shape{instances: n, half: 10})
		b.Run(fmt.Sprintf("tasks=500/instances=%d", n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				c, tasks, err := place.FromSnapshot(&snap)
				if err != nil {
					b.Fatal(err)
				}
				m := c.Mark()
				b.StartTimer()
				for g := range 25 {
					c.PlaceUpTo(tasks[g], 20, nil)
				}
				c.Rollback(m)
			}
		})
	}
}
