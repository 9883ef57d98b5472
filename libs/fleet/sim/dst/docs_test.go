package dst

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table of faults in docs/reliability.md")

const page = "../../../../docs/reliability.md"

// faultNumbers is how many faults the list has.
const faultNumbers = 92

// elsewhere says of the faults that are not injected here why not, and what stands for them.
var elsewhere = map[string]string{
	"F9":  "always so: the simulated EC2 lists ended instances for an hour, then forgets them",
	"F13": "size, not order: a story has 30 instances; test/load and the benchmarks have thousands",
	"F15": "an adapter's: task definitions are read once per story here",
	"F17": "a matter of one plan: package plan",
	"F22": "S15: one plan in forty is made again and compared",
	"F23": "a matter of one plan: the scripts of package plan",
	"F24": "the simulated ECS places by the rules that the planner rehearses; the scripts of package plan have the rest",
	"F25": "a matter of many plans without faults: the stories of package sim that come to rest",
	"F26": "a plan takes no virtual time that its size decides",
	"F32": "F53 and F89: the first worker still runs when the second begins",
	"F41": "cannot come about: the request is frozen; F34 and F35 send it again",
	"F42": "F86 and F34 outlast the horizon: then it is found by its tag",
	"F43": "a matter of one outcome: packages outcome and plan",
	"F45": "one cluster per story; package drain refuses what is not ours",
	"F54": "comes about by F55, F56 and short drain timeouts; counted as the transitions of a drain",
	"F57": "stories have services with a minimum of 50 and 100 per cent; counted as transitions of a drain",
	"F59": "always so: the simulated ECS has every transitional state",
	"F61": "IDs are never used again in the simulated AWS; package drain compares both",
	"F66": "always so: plans drain several instances at once; S3",
	"F67": "every story has a daemon service",
	"F68": "no group in the stories; package plan leaves them alone",
	"F73": "F21: a generation ends; going backwards is the bus adapter's",
	"F75": "an adapter's: the messages of the stories are values, not bytes",
	"F78": "an adapter's: permissions of NATS",
	"F81": "F80 loses more than that",
	"F82": "F83: what a cache says may be anything",
	"F84": "the cache answers within a deadline: a slow one is one that is down, F79",
	"F87": "wire formats: their golden files",
	"F88": "one installation per story; package drain refuses what is not ours",
	"F90": "no memory or processor is simulated",
	"F91": "time zones: package fleet",
	"F92": "hostile text: the fuzz targets",
}

// faultTable says of each fault of the list where it is injected.
func faultTable() string {
	what := map[string]string{}
	for _, f := range Faults() {
		what[f.ID] = f.What
	}
	var b strings.Builder
	b.WriteString("| fault | in the simulation |\n|---|---|\n")
	for n := 1; n <= faultNumbers; n++ {
		id := fmt.Sprintf("F%d", n)
		if w := what[id]; w != "" {
			fmt.Fprintf(&b, "| %s | injected: %s |\n", id, w)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s |\n", id, elsewhere[id])
	}
	return b.String()
}

// TestEveryFaultIsAccountedFor: each fault of the list is injected or it is said why not, and
// the page says the same.
func TestEveryFaultIsAccountedFor(t *testing.T) {
	injected := map[string]bool{}
	for _, f := range Faults() {
		injected[f.ID] = true
	}
	for n := 1; n <= faultNumbers; n++ {
		if id := fmt.Sprintf("F%d", n); injected[id] == (elsewhere[id] != "") {
			t.Errorf("%s: injected %t, and elsewhere %q", id, injected[id], elsewhere[id])
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- faults -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(text), begin)
	table, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s: the table of faults stands between %q and %q", page, begin, end)
	}
	if table == faultTable() {
		return
	}
	if !*update {
		t.Fatalf("%s is behind the code: go test ./sim/dst -run TestEveryFault -update", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+faultTable()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRedisDecidesNothing (S16): with and without a cache the same calls are made.
func TestRedisDecidesNothing(t *testing.T) {
	for seed := range uint64(5) {
		cfg := Config{Seed: seed, Replicas: 1, Faults: []string{"F20", "F55", "F62"}, Duration: shortStory}
		with := Run(cfg)
		cfg.Faults = append(cfg.Faults, "F79", "F80", "F83")
		without := Run(cfg)
		if a, b := changes(with.History), changes(without.History); a != b {
			t.Errorf("seed %d: other calls without Redis:\n%s", seed, firstDifference([]byte(a), []byte(b)))
		}
	}
}
