package sim

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

// TestScripts plays each story of testdata: a script, with lines "look at T…" for when to
// look at the world, and behind "----" what is seen then.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			story, want, _ := strings.Cut(string(text), "----\n")
			got := play(t, story)
			if *update {
				if err := os.WriteFile(file, []byte(story+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("seen:\n%s\nexpected:\n%s", got, want)
			}
		})
	}
}

// play runs a story and returns what is seen.
func play(t *testing.T, story string) string {
	t.Helper()
	w, script, looks := stage(t, story, 1)
	return watch(t, w, script, looks, func(w *World) *World { return w })
}

// stage makes the world of a story, and tells when to look at it.
func stage(t *testing.T, story string, seed uint64) (*World, *Script, []time.Duration) {
	t.Helper()
	var script strings.Builder
	var looks []time.Duration
	cfg := Config{Seed: seed}
	for line := range strings.Lines(story) {
		words := strings.Fields(line)
		switch {
		case len(words) > 2 && words[0] == "look" && words[1] == "at":
			for _, word := range words[2:] {
				d, err := time.ParseDuration(word)
				if err != nil {
					t.Fatal(err)
				}
				looks = append(looks, d)
			}
			script.WriteString("#")
		case len(words) == 2 && words[0] == "world":
			switch words[1] {
			case "trunking":
				cfg.Trunking = true
			case "one-zone":
				cfg.Zones = []Zone{{Name: "us-east-1a"}}
			case "measured":
				cfg.Delays = MeasuredDelays()
			default:
				t.Fatalf("unknown world %q", words[1])
			}
			script.WriteString("#")
		}
		script.WriteString(line)
	}
	return must(New(cfg))(t), must(ParseScript(script.String()))(t), looks
}

// watch runs a script and returns what is seen; between looks the world may be replaced.
func watch(t *testing.T, w *World, script *Script, looks []time.Duration, next func(*World) *World) string {
	t.Helper()
	if err := script.Run(w); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, d := range looks {
		w = next(w)
		w.Advance(w.cfg.Start.Add(d))
		fmt.Fprintf(&out, "%v\n", d)
		look(&out, w)
		if err := w.Check(); err != nil {
			t.Errorf("%v: %v", d, err)
		}
	}
	for _, err := range w.ScriptErrors() {
		fmt.Fprintf(&out, "script error: %v\n", err)
	}
	for _, harm := range w.Harm() {
		fmt.Fprintf(&out, "harm: %s\n", harm)
	}
	return out.String()
}

// look writes what is to be seen of a world; IDs are numbered in the order of making.
func look(out *strings.Builder, w *World) {
	names := map[string]string{}
	number := 0
	for _, m := range w.instanceRoll.items {
		number++
		names[m.id] = fmt.Sprintf("#%d", number)
	}
	for c := range w.clusterRoll.all {
		for h := range c.hostRoll.all {
			names[h.id] = names[h.machine.id]
		}
		for _, s := range c.byName() {
			fmt.Fprintf(out, "  service %s: desired %d, running %d, pending %d\n", s.name, s.desired, s.running, s.pending)
			for i := max(len(s.events)-3, 0); i < len(s.events); i++ {
				e := s.events[i]
				text, _, _ := strings.Cut(e.Message, " For more information")
				if before, tasks, found := strings.Cut(text, ":"); found && strings.Contains(tasks, "(task") {
					text = before // task IDs say nothing
				}
				for id, name := range names {
					text = strings.ReplaceAll(text, id, name)
				}
				for _, d := range s.deployments {
					text = strings.ReplaceAll(text, d.id, "DEPLOYMENT")
				}
				fmt.Fprintf(out, "    %v %s\n", e.CreatedAt.Sub(w.cfg.Start), text)
			}
		}
		for t := range c.taskRoll.all {
			if t.service == nil {
				fmt.Fprintf(out, "  standalone %s on %s: %s\n", t.group(), where(names, t), t.last)
			}
		}
	}
	for m := range w.instanceRoll.all {
		fmt.Fprintf(out, "  %s %s %s %s %s", names[m.id], m.kind.name, m.subnet.Zone, lifecycleName(m.spot), m.state.describe().Name)
		if h := m.host; h != nil {
			fmt.Fprintf(out, ", %s", h.status)
			if !h.connected {
				out.WriteString(" disconnected")
			}
			fmt.Fprintf(out, ", %d tasks, left %v", len(h.tasks), h.remaining)
		}
		out.WriteString("\n")
	}
}

// where is the number of the instance of a task, or what it waits for.
func where(names map[string]string, t *task) string {
	if t.host == nil {
		return "no instance"
	}
	return names[t.host.machine.id]
}

// must returns a function that fails the test on an error and else gives the value.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestParseScriptErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"make me a sandwich", `script line 1: "make" is no statement: use advance, capacity, cluster, `},
		{"\nat 5 service web desired 1", `script line 2: "5" is no time: write it like 90s, 5m or 1h30m`},
		{"at 5m", `script line 1: write "at TIME statement"`},
		{"service web desird 3", `script line 1: service: "desird" is not understood here: use task, desired, `},
		{"service web desired", "script line 1: service: desired needs a value"},
		{"service web desired many", `script line 1: service: desired "many" is no number`},
		{"task web cpu 256", "script line 1: task: give it memory"},
		{"task web memory 5 port 99999", `script line 1: task: port "99999"`},
		{"task 'web", "script line 1: the quote ' is not closed"},
		{"shortage m7i.large", "script line 1: shortage: write TYPE ZONE behind it"},
		{"shortage m7i.large us-east-1a sport", `script line 1: shortage: "sport" is not understood here: use left, for`},
		{"plenty m7i.large us-east-1a spot x", `script line 1: plenty: "x" is too much`},
		{"price m7i.large us-east-1a cheap", `script line 1: price: "cheap" is no price`},
		{"interrupt spot some", `script line 1: interrupt: "some" is no number of instances`},
		{"interrupt web", "script line 1: interrupt: write spot"},
		{"launch m7i.large lifecycle free", `script line 1: launch: "free" is no lifecycle`},
		{"launch m7i.large tag x", `script line 1: launch: tag "x": write it KEY=VALUE`},
		{"delete web", "script line 1: delete: write: delete service NAME"},
		{"stall some", `script line 1: stall: "some" is no number of launches`},
		{"cluster", "script line 1: cluster: write NAME behind it"},
	} {
		_, err := ParseScript(c.text)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %s", c.text, err, c.want)
		}
	}
}

func TestScriptErrorsWhenRun(t *testing.T) {
	w := must(New(Config{}))(t)
	s := must(ParseScript("cluster web\nat 5s interrupt spot 1\nservice web desired 3"))(t)
	if err := s.Run(w); err == nil || !strings.Contains(err.Error(), "line 3: there is no service web: give it a task") {
		t.Errorf("error %v", err)
	}
	w.Advance(w.Now().Add(time.Minute))
	if errs := w.ScriptErrors(); len(errs) != 1 || !strings.Contains(errs[0].Error(), "line 2: there is no spot instance that runs") {
		t.Errorf("script errors %v", errs)
	}
	if s.Length() != 5*time.Second {
		t.Errorf("length %v", s.Length())
	}
}
