package sim

import (
	"fmt"
	"testing"
	"time"
)

// split counts the active and waiting tasks of a service by capacity provider.
func split(w *World, service string) map[string]int {
	counts := map[string]int{}
	s := w.clusters["web"].services[service]
	for _, t := range s.active {
		counts[t.provider]++
	}
	for _, t := range s.cluster.waitingOf(s) {
		counts[t.provider]++
	}
	return counts
}

// TestCapacityProviderStrategy: first the base, then by weight; a provider of weight 0 gets
// nothing (API reference of CapacityProviderStrategyItem: with weights 1 and 4, for every
// task on A four run on B). What runs is bound to its provider's instances.
func TestCapacityProviderStrategy(t *testing.T) {
	w := run(t, Config{Seed: 1}, `
cluster web
task web cpu 64 memory 64
group a type m7i.large max 9 desired 2
group b type m7i.large max 9 desired 2
group c type m7i.large max 9
provider a group a
provider b group b
provider c group c managed
at 2m service even task web desired 20 provider a:1 provider b:4
at 2m service base task web desired 12 provider a:1:2 provider b:1
at 2m service none task web desired 6 provider a:0 provider b:1
at 2m service wait task web desired 10 provider a:1 provider c:1
at 5m service even desired 40
`, 4*time.Minute)
	for service, want := range map[string]string{
		"even": "map[a:4 b:16]", "base": "map[a:7 b:5]", "none": "map[b:6]", "wait": "map[a:5 c:5]",
	} {
		if got := fmt.Sprint(split(w, service)); got != want {
			t.Errorf("service %s is split %s, want %s", service, got, want)
		}
	}
	w.Advance(w.cfg.Start.Add(8 * time.Minute))
	if got := fmt.Sprint(split(w, "even")); got != "map[a:8 b:32]" {
		t.Errorf("after scaling out service even is split %s", got)
	}
	for h := range w.clusters["web"].hostRoll.all {
		for _, task := range h.tasks {
			if task.provider != h.provider {
				t.Errorf("a task of provider %s is on an instance of %s", task.provider, h.provider)
			}
		}
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

// TestRunTaskStrategy: the tasks of one call are split by base and weight, and many calls
// for one task are split by weight, too. A full provider does not lend its tasks to others.
func TestRunTaskStrategy(t *testing.T) {
	w := run(t, Config{Seed: 1}, `
cluster web
task job cpu 16 memory 16
group a type m7i.large max 9 desired 2
group b type m7i.large max 9 desired 2
group c type m7i.large max 9
provider a group a
provider b group b
provider c group c
`, 2*time.Minute)
	byProvider := func(count int, strategy ...CapacityProviderStrategyItem) string {
		out := must(w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", Count: &count, CapacityProviderStrategy: strategy}))(t)
		counts := map[string]int{}
		for _, task := range out.Tasks {
			counts[task.CapacityProviderName]++
		}
		return fmt.Sprint(counts, len(out.Failures))
	}
	for _, c := range []struct {
		count    int
		strategy []CapacityProviderStrategyItem
		want     string
	}{
		{10, []CapacityProviderStrategyItem{{"a", 1, 0}, {"b", 4, 0}}, "map[a:2 b:8] 0"},
		{10, []CapacityProviderStrategyItem{{"a", 1, 6}, {"b", 1, 0}}, "map[a:8 b:2] 0"},
		{3, []CapacityProviderStrategyItem{{"a", 1, 6}, {"b", 1, 0}}, "map[a:3] 0"},
		{10, []CapacityProviderStrategyItem{{"a", 1, 0}, {"c", 1, 0}}, "map[a:5] 1"},
	} {
		if got := byProvider(c.count, c.strategy...); got != c.want {
			t.Errorf("%d tasks with %v: %s, want %s", c.count, c.strategy, got, c.want)
		}
	}
	ones := map[string]int{}
	for range 60 {
		ones[byProvider(1, CapacityProviderStrategyItem{"a", 1, 0}, CapacityProviderStrategyItem{"b", 1, 0})]++
	}
	if len(ones) != 2 || ones["map[a:1] 0"] < 15 || ones["map[b:1] 0"] < 15 {
		t.Errorf("60 runs of one task: %v", ones)
	}
}

// TestStrategyChecks: at most 20 items, one base, weights from 0 to 1000 of which one is
// not 0, and providers that the cluster has (API reference).
func TestStrategyChecks(t *testing.T) {
	w := run(t, Config{}, `
cluster web
task job cpu 16 memory 16
group a type m7i.large
group b type m7i.large
provider a group a
provider b group b
group c type m7i.large
`, time.Second)
	must(w.CreateCapacityProvider(&CreateCapacityProviderInput{Name: "c", AutoScalingGroupProvider: &AutoScalingGroupProvider{AutoScalingGroupArn: "c"}}))(t)
	for name, strategy := range map[string][]CapacityProviderStrategyItem{
		"too many":      make([]CapacityProviderStrategyItem, 21),
		"two bases":     {{"a", 1, 1}, {"b", 1, 1}},
		"all zero":      {{"a", 0, 0}, {"b", 0, 0}},
		"heavy":         {{"a", 1001, 0}},
		"negative":      {{"a", -1, 0}},
		"base":          {{"a", 1, 100001}},
		"unknown":       {{"x", 1, 0}},
		"not associate": {{"c", 1, 0}},
		"twice":         {{"a", 1, 0}, {"a", 1, 0}},
	} {
		_, err := w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", CapacityProviderStrategy: strategy})
		failsWith(t, "run with "+name, err, codeInvalid)
		one := 1
		_, err = w.CreateService(&CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "job", DesiredCount: &one, CapacityProviderStrategy: strategy})
		failsWith(t, "service with "+name, err, codeInvalid)
		_, err = w.PutClusterCapacityProviders(&PutClusterCapacityProvidersInput{Cluster: "web", CapacityProviders: []string{"a", "b"}, DefaultCapacityProviderStrategy: strategy})
		failsWith(t, "default with "+name, err, codeInvalid)
	}
	_, err := w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", LaunchType: "EC2", CapacityProviderStrategy: []CapacityProviderStrategyItem{{"a", 1, 0}}})
	failsWith(t, "launch type and strategy", err, codeInvalid)
}

// TestDefaultStrategy: the strategy of the cluster holds when neither a launch type nor a
// strategy is given; a launch type overrides it.
func TestDefaultStrategy(t *testing.T) {
	w := run(t, Config{}, `
cluster web
task job cpu 16 memory 16
group a type m7i.large desired 1
provider a group a
launch m7i.large
`, 2*time.Minute)
	must(w.PutClusterCapacityProviders(&PutClusterCapacityProvidersInput{
		Cluster: "web", CapacityProviders: []string{"a"}, DefaultCapacityProviderStrategy: []CapacityProviderStrategyItem{{"a", 1, 0}},
	}))(t)
	task := must(w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job"}))(t).Tasks[0]
	if task.CapacityProviderName != "a" || task.LaunchType != "" {
		t.Errorf("by default: provider %q, launch type %q", task.CapacityProviderName, task.LaunchType)
	}
	task = must(w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", LaunchType: "EC2"}))(t).Tasks[0]
	if task.CapacityProviderName != "" || task.LaunchType != "EC2" {
		t.Errorf("with a launch type: provider %q, launch type %q", task.CapacityProviderName, task.LaunchType)
	}
}
