package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// full is a world whose cluster is full of running tasks: 20 for each instance, in
// services of 50 tasks.
func full(t testing.TB, instances int) *World {
	t.Helper()
	w := must(New(Config{Seed: 7}))(t)
	must(w.CreateCluster(&CreateClusterInput{ClusterName: "web"}))(t)
	zones := w.cfg.Zones
	for i, z := range zones {
		n := instances / len(zones)
		if i < instances%len(zones) {
			n++
		}
		must(w.Launch(Fixture{Cluster: "web", Type: "m7i.2xlarge", Zone: fleet.Zone(z.Name), Count: n, Lifecycle: fleet.Spot}))(t)
	}
	w.Advance(w.Now().Add(2 * time.Minute))
	must(w.RegisterTaskDefinition(&RegisterTaskDefinitionInput{Family: "web", ContainerDefinitions: []ContainerDefinition{
		{Name: "app", Image: "web", CPU: 384, Memory: 1024},
	}}))(t)
	const each = 50
	for i := range instances * 20 / each {
		n := each
		must(w.CreateService(&CreateServiceInput{Cluster: "web", ServiceName: fmt.Sprintf("s%d", i), TaskDefinition: "web", DesiredCount: &n}))(t)
	}
	w.Advance(w.Now().Add(3 * time.Minute))
	if c := w.clusters["web"]; c.running != instances*20 {
		t.Fatalf("%d tasks run, %d expected", c.running, instances*20)
	}
	return w
}

// BenchmarkAdvance lets a minute pass in which one task of a thousand is stopped each
// second, and replaced.
func BenchmarkAdvance(b *testing.B) {
	for _, instances := range []int{200, 1000, 5000} {
		b.Run(fmt.Sprint(instances), func(b *testing.B) {
			w := full(b, instances)
			c := w.clusters["web"]
			b.ResetTimer()
			for b.Loop() {
				for range 60 {
					for i := 0; i < len(c.taskRoll.items); i += 1000 {
						w.stopTask(c.taskRoll.items[w.rng.IntN(len(c.taskRoll.items))], stopByUser, "churn")
					}
					w.Advance(w.Now().Add(time.Second))
				}
			}
		})
	}
}

// BenchmarkFill makes a cluster and fills it with tasks.
func BenchmarkFill(b *testing.B) {
	for _, instances := range []int{200, 1000, 5000} {
		b.Run(fmt.Sprint(instances), func(b *testing.B) {
			for b.Loop() {
				full(b, instances)
			}
		})
	}
}
