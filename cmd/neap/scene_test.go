package main

import (
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

func exampleScene() *scene {
	size := fleet.Resources{CPUUnits: 4096, MemoryMiB: 8192}
	task := fleet.Resources{CPUUnits: 1024, MemoryMiB: 1024}
	return &scene{
		now: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), speed: 6, chapter: 1, chapters: 2, title: "web scales out",
		services: []string{"web"}, waiting: []int{3}, cost: fleet.USD(0.5),
		units: []fleet.HeadroomUnit{{CPUUnits: 1024, MemoryMiB: 1024, Count: 1}},
		instances: []sceneInstance{
			{id: "i-0123456789abcdef0", typ: "c7i.xlarge", zone: "us-east-1a", lifecycle: fleet.Spot, status: fleet.StatusActive, total: size, used: task.Times(2), tasks: []sceneTasks{{service: 0, count: 2, needs: task}}, marked: true},
			{id: "i-2", typ: "c7i.xlarge", zone: "us-east-1b", lifecycle: fleet.OnDemand, status: fleet.StatusLaunching},
			{id: "i-3", typ: "c7i.xlarge", zone: "us-east-1b", lifecycle: fleet.OnDemand, status: fleet.StatusDraining, total: size},
		},
		log: []event{{Time: time.Unix(0, 0), Kind: "launch", Reason: "3 of web\x1b[31m fit nowhere"}},
	}
}

func text(f *frame) string {
	var b strings.Builder
	for _, row := range f.rows {
		for _, c := range row {
			b.WriteRune(c.r)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestSceneShowsWhatMatters(t *testing.T) {
	for _, width := range []int{200, 118, 80} {
		got := text(exampleScene().draw(width))
		for _, want := range []string{"headroom 1/1", "$0.5000/h", "1/2  web scales out", "2 tasks  protected", "booting", "draining", "3 of web wait", "▒", "launch"} {
			if !strings.Contains(got, want) {
				t.Errorf("width %d: %q is missing:\n%s", width, want, got)
			}
		}
		for line := range strings.Lines(got) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > width {
				t.Errorf("width %d: a line of %d characters", width, n)
			}
		}
		if strings.Contains(got, "\x1b") {
			t.Error("text from outside reaches the terminal raw")
		}
	}
	half := strings.Count(text(exampleScene().draw(118)), "█") - 1 // one is in the legend
	if half != widestBar/2 {
		t.Errorf("tasks of half an instance fill %d of %d characters", half, widestBar)
	}
}

func TestSVGIsWellFormed(t *testing.T) {
	got := exampleScene().draw(frameWidth).svg()
	if !strings.HasPrefix(got, "<svg") || !strings.HasSuffix(got, "</svg>\n") || strings.Count(got, "<text") != strings.Count(got, "</text>") {
		t.Errorf("no picture:\n%s", got)
	}
}
