package dst

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// everyStep is what a crash has to be tried at: what an executor does with a plan and with an
// action, and what a planner does with what it decided.
var everyStep = []string{
	"planner planned", "planner appended",
	"actuator received", "actuator recorded", "actuator stored", "actuator intent", "actuator called", "actuator published", "actuator accepted",
	"drainer received", "drainer recorded", "drainer stored", "drainer intent", "drainer called", "drainer published", "drainer accepted",
}

// stepStory is a short life of a small cluster, in which nothing goes wrong by itself:
// launches and drains.
func stepStory(replicas int) Config {
	return Config{Seed: 5, Duration: 40 * time.Minute, Faults: []string{}, Tasks: 16, Replicas: replicas}
}

// TestCrashAtEachStep lets the process die that takes a step, for each step of a story: what
// must hold does, and all comes to rest. At full length another replica takes over, and each
// pair of steps is tried, too.
func TestCrashAtEachStep(t *testing.T) {
	all := []int{1}
	if !testing.Short() {
		all = append(all, 2)
	}
	for _, replicas := range all {
		t.Run(fmt.Sprintf("replicas=%d", replicas), func(t *testing.T) {
			t.Parallel()
			whole := Run(stepStory(replicas))
			if len(whole.Violations) > 0 {
				t.Fatalf("without a crash:\n%s", strings.Join(whole.Story(30), "\n"))
			}
			for _, want := range everyStep {
				if !slices.Contains(whole.Steps, want) {
					t.Errorf("the story has no step %q", want)
				}
			}
			t.Logf("%d steps, %d launched, %d ended", len(whole.Steps), whole.Launched, whole.Terminated)
			for k := range whole.Steps {
				crash(t, replicas, whole.Steps, k)
			}
			if testing.Short() {
				return
			}
			for k := range whole.Steps {
				for j := range k {
					crash(t, replicas, whole.Steps, j, k)
				}
			}
		})
	}
}

func crash(t *testing.T, replicas int, steps []string, at ...int) {
	t.Helper()
	cfg := stepStory(replicas)
	cfg.CrashAt = at
	if r := Run(cfg); len(r.Violations) > 0 {
		t.Errorf("crash at %v, the first in %q: %v\n%s", at, steps[at[0]], r.Violations[0], strings.Join(r.Story(30), "\n"))
	}
}
