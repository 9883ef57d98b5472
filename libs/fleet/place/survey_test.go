package place

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

// jumble is a cluster of some random nodes, and tasks of every kind.
func jumble(t *testing.T, rng *rand.Rand) (*Cluster, []*Task) {
	racks := []*Attributes{NewAttributes(fleet.Attribute{Name: "rack", Value: "1"}), NewAttributes(fleet.Attribute{Name: "rack", Value: "2"}), nil}
	c := New()
	for i := range 1 + rng.IntN(40) {
		n := large(fmt.Sprintf("i-%02d", (i*7)%41), []fleet.Zone{"a", "b", "c"}[rng.IntN(3)], racks[rng.IntN(3)])
		if rng.IntN(6) == 0 {
			n.Own = []fleet.Attribute{{Name: "rack", Value: "3"}}
		}
		n.Schedulable = rng.IntN(8) > 0
		c.Add(n)
	}
	zone := fleet.Strategy{Type: fleet.StrategySpread, Field: "attribute:ecs.availability-zone"}
	rack := fleet.Strategy{Type: fleet.StrategySpread, Field: "attribute:rack"}
	pack := fleet.Strategy{Type: fleet.StrategyBinpack, Field: "memory"}
	var tasks []*Task
	for g := range 12 {
		group := fleet.TaskGroup{Group: fmt.Sprintf("service:s%d", g/2), TaskDefinition: fmt.Sprint(g), Needs: fleet.Resources{CPUUnits: 64 << rng.IntN(5), MemoryMiB: 64 << rng.IntN(5)}}
		group.Strategy = [][]fleet.Strategy{nil, {zone}, {zone, rack}, {zone, rack, pack}, {pack}, {{Type: fleet.StrategySpread, Field: "instanceId"}}, {zone, {Type: fleet.StrategyRandom}, pack}}[rng.IntN(7)]
		switch rng.IntN(8) {
		case 0:
			group.Distinct = true
		case 1:
			group.Ports = fleet.NewPorts(fleet.Port{Number: uint16(80 + g), Protocol: fleet.TCP})
		case 2:
			group.Constraints = []string{"attribute:rack in [1, 3]"}
		case 3:
			group.Constraints = []string{"not(task:group == service:s1)"}
		case 4:
			group.Constraints = []string{"task:group == service:s1"}
		case 5:
			group.Zones = []fleet.Zone{"a", "b"}
		}
		tasks = append(tasks, compile(t, group))
	}
	return c, tasks
}

// change does something to a cluster.
func (c *Cluster) change(tasks []*Task, marks *[]Mark, rng *rand.Rand) {
	i, task := rng.IntN(len(c.nodes)), tasks[rng.IntN(len(tasks))]
	switch rng.IntN(12) {
	case 0:
		c.Open(i)
	case 1:
		c.Close(i)
	case 2:
		c.Reserve(i, fleet.Resources{CPUUnits: int64(rng.IntN(400) - 200), MemoryMiB: 50})
	case 3:
		*marks = append(*marks, c.Mark())
	case 4:
		if n := len(*marks); n > 0 {
			c.Rollback((*marks)[n-1])
			*marks = (*marks)[:n-1]
		}
	case 5:
		if c.Count(i, task.Group) > 0 {
			for _, h := range slices.Clone(c.nodes[i].held) {
				c.Take(i, h.task, 1)
			}
		}
	case 6:
		if rng.IntN(6) == 0 {
			c.Remove(i)
		}
	default:
		if c.Admits(i, task) {
			c.Put(i, task, 1)
		}
	}
}

// TestSurveyChoosesAsTheIndex: a survey and an index choose the same node with the same
// chance, whatever happened to the cluster before.
func TestSurveyChoosesAsTheIndex(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c, tasks := jumble(t, rng)
		var marks []Mark
		for step := range 60 {
			c.change(tasks, &marks, rng)
			task := tasks[rng.IntN(len(tasks))]
			if !indexable(task.chain) {
				continue
			}
			k := c.know(task)
			for chance := range uint64(3) {
				var a, b *rand.Rand
				if chance > 0 {
					a, b = rand.New(rand.NewPCG(chance, 2)), rand.New(rand.NewPCG(chance, 2))
				}
				x, okX := c.survey(k, a)
				y, okY := c.indexed(k, b)
				if okX != okY || okX && x != y {
					t.Fatalf("seed %d, step %d, %s: a survey chooses %d (%t), the index %d (%t)", seed, step, task.Name, x, okX, y, okY)
				}
			}
		}
	}
}

// TestFitIsTheFirstThatIsEligible: Fit, FitUpTo and Fits agree with a walk over the nodes in
// order, whatever happened to the cluster before and whatever was remembered.
func TestFitIsTheFirstThatIsEligible(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 3))
		c, tasks := jumble(t, rng)
		order := rng.Perm(len(c.nodes))
		c.Order(order)
		var marks []Mark
		first := func(task *Task, except int) int {
			return slices.IndexFunc(order, func(i int) bool { return i != except && c.Admits(i, task) })
		}
		for step := range 80 {
			c.change(tasks, &marks, rng)
			task, closed := tasks[rng.IntN(len(tasks))], rng.IntN(len(c.nodes))
			if got, want := c.Fits(task, closed), first(task, closed) >= 0; got != want {
				t.Fatalf("seed %d, step %d: Fits(%s, %d) = %t", seed, step, task.Name, closed, got)
			}
			if c.FitsNowhere(task) && first(task, -1) >= 0 {
				t.Fatalf("seed %d, step %d: %s is said to fit nowhere", seed, step, task.Name)
			}
			m := c.Mark()
			var want, got []int
			count := rng.IntN(12)
			for range count {
				at := first(task, -1)
				if at < 0 {
					break
				}
				want = append(want, order[at])
				c.Put(order[at], task, 1)
			}
			c.Rollback(m)
			n := c.FitUpTo(task, count, func(node, count int) {
				for range count {
					got = append(got, node)
				}
			})
			if n != len(want) || !slices.Equal(got, want) {
				t.Fatalf("seed %d, step %d: FitUpTo(%s, %d) = %d on %v, one by one on %v", seed, step, task.Name, count, n, got, want)
			}
			if rng.IntN(3) > 0 {
				c.Rollback(m)
			}
		}
	}
}
