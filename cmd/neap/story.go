package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// story is what the demo plays: a world to begin with, and chapters in which something
// happens and something is expected.
type story struct {
	name     string
	about    string
	setup    string              // script of package sim
	policy   func(*fleet.Policy) // what its policy differs in from that of the demo; nil is nothing
	chapters []chapter
}

// chapter changes the world and waits until what is expected holds.
type chapter struct {
	title    string
	script   string
	people   func(context.Context, *player) error // what people do as soon as the script has run; nil is nothing
	within   time.Duration                        // of the world's time, for all expectations together
	until    []expectation
	always   []expectation // must hold all along
	explains bool          // ask on every view why each instance is still here, and tell it at the end
}

// expectation is a sentence about the cluster that holds or does not.
type expectation struct {
	words string
	holds func(*observer) bool
}

// clusterName is the cluster of every story.
const clusterName fleet.ClusterName = "demo"

// setupServices is the world that stories begin with. The daemon runs on every instance;
// report may only run on on-demand ones and is tagged to keep its own.
const setupServices = `
cluster demo
task agent  cpu 128 memory 128
task web    cpu 512 memory 1024
task api    cpu 1024 memory 2048
task report cpu 512 memory 2048 tag neap.dev/restrict-scale-down=true constraint 'attribute:neap.dev/lifecycle == on-demand'
service agent task agent daemon
service web task web desired 6
service api task api desired 4
service report task report desired 1
`

// stories lists what the demo can play, the default first.
func stories() []story {
	settle := starts("Two services start on an empty cluster: their tasks wait, and capacity comes")
	out := chapter{
		title: "web scales out from 6 to 40 tasks", script: "service web desired 40", within: 15 * time.Minute,
		until: []expectation{tasksWaited(), everythingRuns(), headroomKept()},
	}
	burst := chapter{
		title: "A burst of api lands on headroom: no instance has to boot first", script: "service api desired 6", within: 10 * time.Minute,
		until: []expectation{everythingRuns(), placedWithin(45 * time.Second), headroomKept()},
	}
	spot := chapter{
		title: "EC2 takes a spot instance back; it is drained and replaced", script: "interrupt spot", within: 15 * time.Minute,
		until: []expectation{warnedAreGone(1), everythingRuns(), headroomKept()},
	}
	down := chapter{
		title: "Load falls to a quarter: the cluster is packed tighter, and report is left alone", script: "service web desired 10\nservice api desired 3", within: time.Hour,
		until:  []expectation{everythingRuns(), cheaper(70), headroomKept()},
		always: []expectation{reportStays()},
	}
	return []story{
		{
			name: "tour", about: "everything Neap does, in five chapters", setup: setupServices,
			chapters: []chapter{settle, out, burst, spot, down},
		},
		{name: "scale-out", about: "tasks wait and capacity comes", setup: setupServices, chapters: []chapter{settle, out}},
		{name: "headroom", about: "a burst lands on room that was kept free", setup: setupServices, chapters: []chapter{settle, burst}},
		{name: "spot", about: "an interruption, with no other change", setup: setupServices, chapters: []chapter{settle, out, spot}},
		scaleDownStory(),
		spotStormStory(),
	}
}

// starts is the first chapter: tasks wait, and capacity comes.
func starts(title string) chapter {
	return chapter{title: title, within: 15 * time.Minute, until: []expectation{tasksWaited(), everythingRuns(), headroomKept()}}
}

func storyNamed(name string) (story, error) {
	var names []string
	for _, s := range stories() {
		if s.name == name {
			return s, nil
		}
		names = append(names, s.name)
	}
	return story{}, fmt.Errorf("%w: --scenario %q is unknown; use one of %s (neap demo --list tells what each shows)", fleet.ErrInvalid, name, strings.Join(names, ", "))
}

func tasksWaited() expectation {
	return expectation{"tasks had to wait for room", func(o *observer) bool { return o.chapterWaitingMax > 0 }}
}

func everythingRuns() expectation {
	return expectation{"every task runs and none waits", func(o *observer) bool { return o.allRunning() }}
}

func headroomKept() expectation {
	return expectation{"the headroom that the policy wants is free", func(o *observer) bool {
		// An older view may show room that tasks have taken since.
		fresh := !o.runningSince.IsZero() && o.seenAt.After(o.runningSince)
		have, want := o.scene.headroom()
		return fresh && have >= want
	}}
}

// placedWithin: the longest that tasks were without a place in this chapter.
func placedWithin(d time.Duration) expectation {
	return expectation{fmt.Sprintf("no task was without a place for longer than %s, besides %s of this machine's time", d, ownTime), func(o *observer) bool {
		return o.waitedLongest <= d+o.ownTime()
	}}
}

// warnedAreGone: EC2 has warned of so many instances, and none of them lives any more.
func warnedAreGone(n int) expectation {
	words := "the instance that EC2 wanted back has gone"
	if n > 1 {
		words = fmt.Sprintf("the %d instances that EC2 warned of have gone", n)
	}
	return expectation{words, func(o *observer) bool {
		for id := range o.past.warned {
			if o.alive(id) {
				return false
			}
		}
		return len(o.past.warned) == n
	}}
}

// minimumsKept is read off the history of the simulated AWS, in which no moment is missed.
func minimumsKept() expectation {
	return expectation{"no service ran fewer tasks than its minimum healthy percent wants", func(o *observer) bool { return o.past.short == "" }}
}

// placesProven is read off the history of the simulated AWS as well.
func placesProven() expectation {
	return expectation{"every task that had to move had a place: ECS found one each time, and none was stopped by force", func(o *observer) bool {
		was, is := &o.chapterHistory, &o.truth.History
		return is.PlacementFailures == was.PlacementFailures && is.ServiceTasksStopped == was.ServiceTasksStopped
	}}
}

// cheaper: what the cluster costs is at most this percentage of its cost when the chapter
// began, and nothing drains any more.
func cheaper(percentage int) expectation {
	return expectation{fmt.Sprintf("the cluster costs at most %d %% of what it did", percentage), func(o *observer) bool {
		draining := slices.ContainsFunc(o.scene.instances, func(i sceneInstance) bool { return i.status != fleet.StatusActive })
		return !draining && o.scene.cost*100 <= o.chapterCost*fleet.Price(percentage)
	}}
}

func reportStays() expectation {
	return expectation{"report, which is tagged to keep its instance, is left alone", func(o *observer) bool {
		return o.chapterReport == "" || cmp.Or(o.reportHost(), o.chapterReport) == o.chapterReport
	}}
}
