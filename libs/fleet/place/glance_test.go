package place

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

// tied is the nodes that are best for a task that glances, found the slow way.
func (c *Cluster) tied(k *known) []int {
	load := map[string]int{}
	value := func(i int) string {
		if len(k.task.fields) == 0 {
			return ""
		}
		return c.valueAt(i, k.task.fields)
	}
	var list []int
	for i := range c.nodes {
		if !c.nodes[i].gone {
			load[value(i)] += c.Count(i, k.task.Group)
		}
		if c.Admits(i, k.task) {
			list = append(list, i)
		}
	}
	keepLeast := func(of func(i int) int) {
		if len(list) > 0 {
			least := of(slices.MinFunc(list, func(i, j int) int { return of(i) - of(j) }))
			list = slices.DeleteFunc(list, func(i int) bool { return of(i) > least })
		}
	}
	keepLeast(func(i int) int { return load[value(i)] })
	if k.level {
		keepLeast(func(i int) int { return c.Count(i, k.task.Group) })
	}
	return list
}

// TestGlanceChoosesAsASurvey: without chance a glance chooses the node that a survey does,
// and with chance one of those that are tied, whatever happened to the cluster before.
func TestGlanceChoosesAsASurvey(t *testing.T) {
	decisions := 0
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 4))
		c, tasks := jumble(t, rng)
		var marks []Mark
		for step := range 60 {
			c.change(tasks, &marks, rng)
			task := tasks[rng.IntN(len(tasks))]
			k := c.know(task)
			if !k.quick {
				continue
			}
			tied := c.tied(k)
			if got, ok, decided := c.glance(k, nil); decided {
				decisions++
				if want, found := c.survey(k, nil); ok != found || ok && got != want {
					t.Fatalf("seed %d, step %d, %s: a glance chooses %d (%t), a survey %d (%t)", seed, step, task.Name, got, ok, want, found)
				}
			}
			if got, ok, decided := c.glance(k, rng); decided && (ok != (len(tied) > 0) || ok && !slices.Contains(tied, got)) {
				t.Fatalf("seed %d, step %d, %s: a glance draws %d (%t), tied are %v", seed, step, task.Name, got, ok, tied)
			}
		}
	}
	if decisions < 1000 {
		t.Errorf("only %d glances decided", decisions)
	}
}

// TestGlancesAreFair: each of the nodes that are tied is drawn about as often, whether a draw
// hits one soon or all that have room are listed.
func TestGlancesAreFair(t *testing.T) {
	for _, free := range []int{8, 80} {
		t.Run(fmt.Sprintf("%d of 160", free), func(t *testing.T) {
			task := compile(t, fleet.TaskGroup{Group: "service:web", Needs: fleet.Resources{CPUUnits: 1}})
			rng := rand.New(rand.NewPCG(1, 1))
			c := New()
			for i := range 160 {
				n := large(fmt.Sprintf("i-%03d", i), fleet.Zone(rune('a'+i%3)), nil)
				if i%(160/free) > 0 {
					n.Free = fleet.Resources{}
				}
				c.Add(n)
			}
			m := c.Mark()
			chosen := make([]int, 160)
			const each = 400
			for range each * free {
				c.PlaceEach(task, 1, rng, func(node int) { chosen[node]++ })
				c.Rollback(m)
			}
			for i, n := range chosen {
				if full := i%(160/free) > 0; full != (n == 0) || !full && (n < each*3/4 || n > each*5/4) {
					t.Errorf("node %d was chosen %d times, want about %d", i, n, each)
				}
			}
		})
	}
}
