package place

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

func compile(t testing.TB, g fleet.TaskGroup) *Task {
	t.Helper()
	task, err := Compile(&g)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// large is a node that would hold two of nearly anything below.
func large(id string, zone fleet.Zone, attributes *Attributes) Node {
	room := fleet.Resources{CPUUnits: 2048, MemoryMiB: 4000, ENIs: 2}
	return Node{ID: id, Zone: zone, Attributes: attributes, Total: room, Free: room, Schedulable: true}
}

func TestEligible(t *testing.T) {
	needs := fleet.Resources{CPUUnits: 512, MemoryMiB: 1024}
	x86 := NewAttributes(fleet.Attribute{Name: "ecs.cpu-architecture", Value: "x86_64"}, fleet.Attribute{Name: "stack", Value: "prod"}, fleet.Attribute{Name: "ssd"})
	port80 := fleet.NewPorts(fleet.Port{Number: 80, Protocol: fleet.TCP})
	for _, tc := range []struct {
		name  string
		group fleet.TaskGroup
		node  func(*Node)
		held  *fleet.TaskGroup
		want  string // of the refusal; "" is eligible
	}{
		{name: "fits", group: fleet.TaskGroup{Needs: needs}},
		{name: "closed", group: fleet.TaskGroup{Needs: needs}, node: func(n *Node) { n.Schedulable = false }, want: "AGENT"},
		{name: "CPU", group: fleet.TaskGroup{Needs: fleet.Resources{CPUUnits: 4096}}, want: "CPU: CPU: needs 4096 units, 2048 free"},
		{name: "memory", group: fleet.TaskGroup{Needs: fleet.Resources{MemoryMiB: 4001}}, want: "MEMORY: memory: needs 4001 MiB, 4000 free"},
		{name: "GPU", group: fleet.TaskGroup{Needs: fleet.Resources{GPUs: 1}}, want: "GPU"},
		{name: "ENI", group: fleet.TaskGroup{Needs: fleet.Resources{ENIs: 1}}, node: func(n *Node) { n.Free.ENIs = 0 }, want: "ENI: ENI: needs 1 slots, 0 free"},
		{name: "no ENI asked of a node that owes one", group: fleet.TaskGroup{Needs: needs}, node: func(n *Node) { n.Free.ENIs = -1 }},
		{name: "port taken", group: fleet.TaskGroup{Ports: port80}, node: func(n *Node) { n.UsedPorts = port80 }, want: "PORT: host port tcp/80 is taken"},
		{name: "port of the other protocol", group: fleet.TaskGroup{Ports: port80}, node: func(n *Node) { n.UsedPorts = fleet.NewPorts(fleet.Port{Number: 80, Protocol: fleet.UDP}) }},
		{name: "capacity provider", group: fleet.TaskGroup{CapacityProvider: "cp"}, want: "PROVIDER: needs capacity provider cp, the instance has none"},
		{name: "its capacity provider", group: fleet.TaskGroup{CapacityProvider: "cp"}, node: func(n *Node) { n.CapacityProvider = "cp" }},
		{name: "no provider asked", group: fleet.TaskGroup{}, node: func(n *Node) { n.CapacityProvider = "cp" }},
		{name: "required attribute", group: fleet.TaskGroup{RequiredAttributes: []fleet.Attribute{{Name: "ecs.capability.efs"}}}, want: "ATTRIBUTE: lacks ecs.capability.efs"},
		{name: "required name only", group: fleet.TaskGroup{RequiredAttributes: []fleet.Attribute{{Name: "ssd"}}}},
		{name: "required value", group: fleet.TaskGroup{RequiredAttributes: []fleet.Attribute{{Name: "stack", Value: "dev"}}}, want: "ATTRIBUTE: needs stack = dev, the instance has prod"},
		{name: "architecture", group: fleet.TaskGroup{Architecture: fleet.ARM}, want: "ATTRIBUTE: needs ecs.cpu-architecture = arm64, the instance has x86_64"},
		{name: "architecture unknown", group: fleet.TaskGroup{Architecture: fleet.ARM}, node: func(n *Node) { n.Attributes = nil }},
		{name: "zone of its subnets", group: fleet.TaskGroup{Zones: []fleet.Zone{"b", "c"}}, want: "LOCATION: its subnets are in b, c, the instance is in a"},
		{name: "memberOf", group: fleet.TaskGroup{Constraints: []string{"attribute:stack == dev"}}, want: "CONSTRAINT attribute:stack == dev"},
		{name: "memberOf built-in zone", group: fleet.TaskGroup{Constraints: []string{"attribute:ecs.availability-zone in [a, b]"}}},
		{name: "memberOf own attribute", group: fleet.TaskGroup{Constraints: []string{"attribute:rack == 7"}}, node: func(n *Node) { n.Own = []fleet.Attribute{{Name: "rack", Value: "7"}} }},
		{name: "memberOf instance ID", group: fleet.TaskGroup{Constraints: []string{"ec2InstanceId == i-2"}}, want: "CONSTRAINT ec2InstanceId == i-2"},
		{name: "anti-affinity", group: fleet.TaskGroup{Constraints: []string{"not(task:group == service:db)"}}, held: &fleet.TaskGroup{Group: "service:db"}, want: "CONSTRAINT"},
		{name: "affinity", group: fleet.TaskGroup{Constraints: []string{"task:group == service:db"}}, held: &fleet.TaskGroup{Group: "service:db"}},
		{name: "distinct over definitions", group: fleet.TaskGroup{Group: "service:web", TaskDefinition: "web:2", Distinct: true}, held: &fleet.TaskGroup{Group: "service:web", TaskDefinition: "web:1"}, want: "DISTINCT: a task of service:web is on it already"},
		{name: "distinct, others there", group: fleet.TaskGroup{Group: "service:web", Distinct: true}, held: &fleet.TaskGroup{Group: "service:db"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := large("i-1", "a", x86)
			n.RegisteredAt = time.Unix(0, 0)
			if tc.node != nil {
				tc.node(&n)
			}
			c := New()
			c.Add(n)
			if tc.held != nil {
				c.Put(0, compile(t, *tc.held), 1)
			}
			task := compile(t, tc.group)
			r, ok := c.Eligible(0, task)
			if ok != (tc.want == "") || !ok && !strings.HasPrefix(r.String(), tc.want) {
				t.Errorf("Eligible = %q, %t; want %q", r, ok, tc.want)
			}
			if _, placed := c.Place(task, nil); placed != ok {
				t.Errorf("Place = %t, Eligible = %t", placed, ok)
			}
		})
	}
}

func TestCompileRefusesNoncense(t *testing.T) {
	for name, g := range map[string]fleet.TaskGroup{
		"expression": {Constraints: []string{"attribute:stack =="}},
		"strategy":   {Strategy: []fleet.Strategy{{Type: "tidy", Field: "cpu"}}},
		"binpack":    {Strategy: []fleet.Strategy{{Type: fleet.StrategyBinpack, Field: "disk"}}},
	} {
		task, err := Compile(&g)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		c := New()
		c.Add(large("i-1", "a", nil))
		if _, ok := c.Place(task, nil); ok {
			t.Errorf("%s: a task that was not understood was placed", name)
		}
		if r, ok := c.Eligible(0, task); ok || r.Kind != KindConstraint {
			t.Errorf("%s: Eligible = %v, %t", name, r, ok)
		}
	}
}

func TestStrategies(t *testing.T) {
	spread := func(field string) fleet.Strategy { return fleet.Strategy{Type: fleet.StrategySpread, Field: field} }
	pack := func(field string) fleet.Strategy { return fleet.Strategy{Type: fleet.StrategyBinpack, Field: field} }
	zone, host := spread("attribute:ecs.availability-zone"), spread("instanceId")
	for _, tc := range []struct {
		name     string
		strategy []fleet.Strategy
		rounds   int
		want     string
	}{
		{"default: zones, then fewest of the service", nil, 6, "i-1 i-4 i-2 i-5 i-3 i-4"},
		{"zones then hosts is the same", []fleet.Strategy{zone, host}, 6, "i-1 i-4 i-2 i-5 i-3 i-4"},
		{"hosts", []fleet.Strategy{host}, 6, "i-1 i-2 i-3 i-4 i-5 i-1"},
		{"binpack memory", []fleet.Strategy{pack("memory")}, 5, "i-5 i-5 i-1 i-1 i-2"},
		{"binpack CPU", []fleet.Strategy{pack("cpu")}, 5, "i-3 i-1 i-1 i-2 i-2"},
		{"zones then binpack", []fleet.Strategy{zone, pack("memory")}, 5, "i-5 i-1 i-5 i-1 i-2"},
		{"binpack then zones", []fleet.Strategy{pack("memory"), zone}, 4, "i-5 i-5 i-1 i-1"},
		{"a full zone is skipped", []fleet.Strategy{zone}, 10, "i-1 i-4 i-1 i-4 i-2 i-5 i-2 i-5 i-3 none"},
		{"random without chance", []fleet.Strategy{{Type: fleet.StrategyRandom}}, 3, "i-1 i-1 i-2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := New()
			for i, zone := range []fleet.Zone{"a", "a", "a", "b", "b"} {
				n := large(fmt.Sprintf("i-%d", i+1), zone, nil)
				switch i {
				case 2:
					n.Free.CPUUnits = 1024 // room for one
				case 4:
					n.Free.MemoryMiB = 3000 // room for two
				}
				c.Add(n)
			}
			task := compile(t, fleet.TaskGroup{Group: "service:web", Needs: fleet.Resources{CPUUnits: 1024, MemoryMiB: 1500}, Strategy: tc.strategy})
			var got []string
			for range tc.rounds {
				i, ok := c.Place(task, nil)
				if !ok {
					got = append(got, "none")
					continue
				}
				n, _ := c.Node(i)
				got = append(got, n.ID)
			}
			if s := strings.Join(got, " "); s != tc.want {
				t.Errorf("placed on %s\n      want %s", s, tc.want)
			}
		})
	}
}

// world is a random cluster with random tasks.
func world(rng *rand.Rand, nodes int) (*Cluster, []*Task) {
	c := New()
	var sets []*Attributes
	for _, stack := range []string{"prod", "dev"} {
		for _, rack := range []string{"1", "2"} {
			sets = append(sets, NewAttributes(fleet.Attribute{Name: "stack", Value: stack}, fleet.Attribute{Name: "rack", Value: rack}))
		}
	}
	for i := range nodes {
		room := fleet.Resources{CPUUnits: int64(1+rng.IntN(8)) * 512, MemoryMiB: int64(1+rng.IntN(8)) * 1024, ENIs: int64(rng.IntN(4))}
		n := Node{ID: fmt.Sprintf("i-%03d", (i*37)%nodes), Zone: fleet.Zone([]string{"a", "b", "c"}[rng.IntN(3)]), Total: room, Free: room, Schedulable: rng.IntN(10) > 0}
		if rng.IntN(5) > 0 {
			n.Attributes = sets[rng.IntN(len(sets))]
		}
		if rng.IntN(5) == 0 {
			n.Own = []fleet.Attribute{{Name: "rack", Value: "9"}}
		}
		c.Add(n)
	}
	strategies := []fleet.Strategy{
		{Type: fleet.StrategySpread, Field: "attribute:ecs.availability-zone"},
		{Type: fleet.StrategySpread, Field: "attribute:rack"},
		{Type: fleet.StrategySpread, Field: "instanceId"},
		{Type: fleet.StrategyBinpack, Field: "memory"},
		{Type: fleet.StrategyBinpack, Field: "cpu"},
	}
	constraints := []string{"attribute:stack == prod", "attribute:rack != 1", "not(task:group == service:g0)", "runningTasksCount < 4", "ec2InstanceId !~ i-00.*"}
	var tasks []*Task
	for j := range 8 {
		g := fleet.TaskGroup{
			Group: fmt.Sprintf("service:g%d", j/2), TaskDefinition: fmt.Sprintf("d:%d", j),
			Needs:    fleet.Resources{CPUUnits: int64(rng.IntN(4)) * 128, MemoryMiB: int64(1+rng.IntN(4)) * 256, ENIs: int64(rng.IntN(2))},
			Distinct: rng.IntN(4) == 0,
		}
		if rng.IntN(4) == 0 {
			g.Ports = fleet.NewPorts(fleet.Port{Number: 80 + uint16(rng.IntN(2)), Protocol: fleet.TCP})
		}
		if rng.IntN(2) == 0 {
			g.Constraints = []string{constraints[rng.IntN(len(constraints))]}
		}
		for range rng.IntN(4) {
			g.Strategy = append(g.Strategy, strategies[rng.IntN(len(strategies))])
		}
		task, err := Compile(&g)
		if err != nil {
			panic(err)
		}
		tasks = append(tasks, task)
	}
	return c, tasks
}

// state is all that may be observed of a cluster.
func state(c *Cluster) string {
	var b strings.Builder
	for i := range c.Len() {
		n, there := c.Node(i)
		var on []string
		c.Held(i, func(t *Task, count int) bool {
			on = append(on, fmt.Sprintf("%s×%d", t.Name, count))
			return true
		})
		slices.Sort(on)
		fmt.Fprintln(&b, n.ID, there, n.Schedulable, n.Free, n.UsedPorts, on)
	}
	return b.String()
}

// TestIndexChoosesAsScan places the same tasks with and without an index, while the
// cluster changes under it.
func TestIndexChoosesAsScan(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c, tasks := world(rng, 40)
		for step := range 300 {
			task := tasks[rng.IntN(len(tasks))]
			switch rng.IntN(12) {
			case 0:
				c.Close(rng.IntN(c.Len()))
			case 1:
				c.Open(rng.IntN(c.Len()))
			case 2:
				c.Add(large(fmt.Sprintf("i-9%02d", step), "a", nil))
			case 3:
				if rng.IntN(10) == 0 {
					c.Remove(rng.IntN(c.Len()))
				}
			case 4:
				m := c.Mark()
				before := state(c)
				c.PlaceUpTo(task, 3, nil)
				c.Remove(0)
				c.Add(large("i-x", "b", nil))
				c.Rollback(m)
				if after := state(c); after != before {
					t.Fatalf("seed %d: rolled back to\n%s\nbefore\n%s", seed, after, before)
				}
			}
			want, wantOK := c.scan(c.know(task), nil)
			if indexable(task.chain) {
				got, ok := c.indexed(c.know(task), nil)
				if ok != wantOK || ok && got != want {
					t.Fatalf("seed %d step %d: %s %v: indexed chose %d %t, scan %d %t", seed, step, task.Name, task.chain, got, ok, want, wantOK)
				}
			}
			_, eligible := c.Eligible(want, task)
			if wantOK != eligible && wantOK {
				t.Fatalf("seed %d: scan chose a node that is not eligible", seed)
			}
			c.Place(task, rng)
		}
		for i := range c.Len() {
			if n, _ := c.Node(i); n.Free.Negative() {
				t.Fatalf("seed %d: node %s is over-filled: %v", seed, n.ID, n.Free)
			}
		}
	}
}

// TestFitFindsTheFirst compares the tree of free room with a walk along the order.
func TestFitFindsTheFirst(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 2))
		c, tasks := world(rng, 33)
		order := rng.Perm(33)[:20]
		c.Order(order)
		for range 200 {
			task := tasks[rng.IntN(len(tasks))]
			want := slices.IndexFunc(order, func(i int) bool { _, ok := c.Eligible(i, task); return ok })
			m := c.Mark()
			got, ok := c.Fit(task)
			if ok != (want >= 0) || ok && got != order[want] {
				t.Fatalf("seed %d: Fit = %d %t, want place %d of %v", seed, got, ok, want, order)
			}
			if rng.IntN(3) == 0 {
				c.Rollback(m)
			}
			if i := rng.IntN(c.Len()); rng.IntN(5) == 0 {
				c.Close(i)
			} else if rng.IntN(5) == 0 {
				c.Open(i)
			}
		}
	}
}

// TestTiesAreFair: with chance, each of several equal nodes is chosen about as often.
func TestTiesAreFair(t *testing.T) {
	task := compile(t, fleet.TaskGroup{Group: "service:web", Needs: fleet.Resources{CPUUnits: 1}})
	rng := rand.New(rand.NewPCG(1, 1))
	c := New()
	for i := range 5 {
		c.Add(large(fmt.Sprintf("i-%d", i), fleet.Zone(rune('a'+i%2)), nil))
	}
	m := c.Mark()
	var chosen [5]int
	for range 5000 {
		i, _ := c.Place(task, rng)
		chosen[i]++
		c.Rollback(m)
	}
	for i, n := range chosen {
		if n < 850 || n > 1150 {
			t.Errorf("node %d was chosen %d times of 5000, want about 1000", i, n)
		}
	}
}
