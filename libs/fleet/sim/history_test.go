package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// recorded is the history of a world from now on, as lines of JSON.
func recorded(w *World) *bytes.Buffer {
	var out bytes.Buffer
	w.Record(func(e Entry) { out.Write(e.Line()) })
	return &out
}

// eachStory calls do for each story of testdata.
func eachStory(t *testing.T, do func(t *testing.T, story, want string)) {
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
			do(t, story, want)
		})
	}
}

// TestOneSeedOneHistory plays every story twice: the same seed gives the same bytes,
// another seed others.
func TestOneSeedOneHistory(t *testing.T) {
	eachStory(t, func(t *testing.T, story, _ string) {
		tell := func(seed uint64) string {
			w, script, _ := stage(t, story, seed)
			out := recorded(w)
			if err := script.Run(w); err != nil {
				t.Fatal(err)
			}
			w.Advance(w.Now().Add(script.Length() + time.Hour))
			return out.String()
		}
		first := tell(1)
		compareText(t, "the same story again", first, tell(1))
		if first == tell(2) {
			t.Error("another seed gave the same history")
		}
		if strings.Count(first, "\n") < 10 {
			t.Errorf("hardly anything happened:\n%s", first)
		}
	})
}

// TestStoriesOutliveSaving plays every story in a world that is saved and loaded before each
// look: what is seen is what is expected of it.
func TestStoriesOutliveSaving(t *testing.T) {
	eachStory(t, func(t *testing.T, story, want string) {
		w, script, looks := stage(t, story, 1)
		numbered := func(seen string) string { return instanceNumber.ReplaceAllString(seen, "#") } // forgotten ones have one
		got := watch(t, w, script, looks, func(w *World) *World { return reload(t, w) })
		compareText(t, "seen", numbered(want), numbered(got))
	})
}

var instanceNumber = regexp.MustCompile(`#[0-9]+`)

// TestBusyHistory keeps worlds busy: the same calls give the same history twice, recorded
// or not, with a pause in a file or without.
func TestBusyHistory(t *testing.T) {
	bustle := func(record, pause bool) (history, calls string) {
		w := must(New(Config{Seed: 3, EventQueues: []string{"events"}}))(t)
		out := &bytes.Buffer{}
		if record {
			out = recorded(w)
		}
		b := newBustle(t, w, 3)
		b.begin()
		for i := range 300 {
			b.step()
			if pause && i == 150 {
				loaded := reload(t, b.w)
				if record {
					loaded.Record(w.record)
				}
				b.w = loaded
			}
		}
		return out.String(), b.log.String()
	}
	history, calls := bustle(true, false)
	again, sameCalls := bustle(true, false)
	compareText(t, "the history", history, again)
	compareText(t, "the answers", calls, sameCalls)
	_, quiet := bustle(false, false)
	compareText(t, "the answers without a record", calls, quiet)
	paused, after := bustle(true, true)
	compareText(t, "the history with a pause", history, paused)
	compareText(t, "the answers with a pause", calls, after)
}

// TestHistoryTells looks at the entries of a small story.
func TestHistoryTells(t *testing.T) {
	w := must(New(Config{Seed: 1}))(t)
	out := recorded(w)
	s := must(ParseScript("cluster web\nlaunch m7i.large lifecycle spot\nadvance 2m\ntask web cpu 64 memory 64\nservice web task web desired 1\nat 1m interrupt spot\nat 2m interrupt spot"))(t)
	if err := s.Run(w); err != nil {
		t.Fatal(err)
	}
	w.Called("ecs:DeleteCluster", &DeleteClusterInput{Cluster: "none"}, clientError(codeClusterNotFound, "Cluster not found."))
	w.Advance(w.Now().Add(10 * time.Minute))
	last := Entry{}
	kinds := map[EntryKind]int{}
	for line := range strings.Lines(out.String()) {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if e.Number != last.Number+1 || e.At.Before(last.At) || e.What == "" {
			t.Errorf("%s behind %v", line, last)
		}
		last = e
		kinds[e.Kind]++
	}
	for _, k := range []EntryKind{EntryCall, EntryStatement, EntryInstance, EntryHost, EntryTask, EntryService, EntryDeployment, EntrySpot} {
		if kinds[k] == 0 {
			t.Errorf("no entry of kind %s", k)
		}
	}
	for _, want := range []string{
		`"kind":"statement","cluster":"web","what":"interrupt spot","why":"there is no spot instance that runs"`,
		`"kind":"call","id":"ecs:DeleteCluster","what":"{\"cluster\":\"none\"}","why":"ClusterNotFoundException: Cluster not found."`,
		`"what":"shutting-down","why":"Server.SpotInstanceTermination"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the history lacks %s:\n%s", want, out)
		}
	}
	e := Entry{At: w.Now(), Kind: EntryTask, ID: "t", Cluster: "web", On: "i-1", Group: "service:web", What: "RUNNING", Why: "because"}
	if got, want := e.String(), fmt.Sprintf("%s task web service:web t on i-1: RUNNING (because)", w.Now().Format("2006-01-02 15:04:05.000")); got != want {
		t.Errorf("for people: %s, want %s", got, want)
	}
	w.Record(nil)
	length := out.Len()
	w.Advance(w.Now().Add(time.Hour))
	if out.Len() != length {
		t.Error("a history that was ended goes on")
	}
}

// TestAdvanceStatement lets time pass in a script, and not where time passes already.
func TestAdvanceStatement(t *testing.T) {
	w := must(New(Config{}))(t)
	start := w.Now()
	s := must(ParseScript("cluster web\nadvance 90s\nat 1m advance 5m"))(t)
	if err := s.Run(w); err != nil {
		t.Fatal(err)
	}
	if got := w.Now().Sub(start); got != 90*time.Second || s.Length() != 150*time.Second {
		t.Errorf("%v passed, the script takes %v", got, s.Length())
	}
	w.Advance(w.Now().Add(time.Hour))
	if errs := w.ScriptErrors(); len(errs) != 1 || !strings.Contains(errs[0].Error(), `time passes already: write it without "at"`) {
		t.Errorf("script errors %v", errs)
	}
	for _, text := range []string{"advance", "advance soon", "advance 5m 6m"} {
		if _, err := ParseScript(text); err == nil || !strings.Contains(err.Error(), "script line 1: advance: ") {
			t.Errorf("%s: error %v", text, err)
		}
	}
}
