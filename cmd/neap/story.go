package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// story is what the demo plays: a world to begin with, and chapters in which something
// happens and something is expected.
type story struct {
	name     string
	about    string
	setup    string // script of package sim
	chapters []chapter
}

// chapter changes the world and waits until what is expected holds.
type chapter struct {
	title  string
	script string
	within time.Duration // of the world's time, for all expectations together
	until  []expectation
	always []expectation // must hold all along
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
	settle := chapter{
		title: "Two services start on an empty cluster: their tasks wait, and capacity comes", within: 15 * time.Minute,
		until: []expectation{tasksWaited(), everythingRuns(), headroomKept()},
	}
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
		until: []expectation{interruptedIsGone(), everythingRuns(), headroomKept()},
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
		{name: "scale-down", about: "load falls and the cluster is packed tighter", setup: setupServices, chapters: []chapter{settle, out, down}},
	}
}

func storyNamed(name string) (story, error) {
	var names []string
	for _, s := range stories() {
		if s.name == name {
			return s, nil
		}
		names = append(names, s.name)
	}
	return story{}, fmt.Errorf("%w: --scenario %q is unknown; use one of %q", fleet.ErrInvalid, name, names)
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
	return expectation{fmt.Sprintf("no task was without a place for longer than %s", d), func(o *observer) bool { return o.waitedLongest <= d }}
}

func interruptedIsGone() expectation {
	return expectation{"the instance that EC2 wanted back has gone", func(o *observer) bool {
		return o.chapterVictim != "" && !o.alive(o.chapterVictim)
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
