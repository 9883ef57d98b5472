package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// hearing keeps what happens in the simulated AWS until the player takes it in. The world
// calls add in the middle of things, so it has a lock of its own.
type hearing struct {
	mu      sync.Mutex
	entries []sim.Entry
}

func (h *hearing) add(e sim.Entry) {
	switch e.Kind {
	case sim.EntryTask, sim.EntryHost, sim.EntrySpot, sim.EntryInstance:
	default:
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries = append(h.entries, e)
}

// take returns what was kept, and keeps it no longer.
func (h *hearing) take() []sim.Entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := h.entries
	h.entries = nil
	return taken
}

// chronicle is what the history of the simulated AWS adds up to. Where the player looks now
// and then, it has seen every moment.
type chronicle struct {
	tasks   map[string]string // group of each task that runs and is to go on running
	running map[string]int    // how many these are, by group

	// Of this chapter:
	floors   map[string]int // tasks that each group has to run
	short    string         // the first time that one ran fewer
	warned   map[fleet.InstanceID]time.Time
	drained  map[fleet.InstanceID]time.Time // since when an instance takes no tasks
	launched map[fleet.Lifecycle]int
}

// begin starts a chapter.
func (c *chronicle) begin() {
	c.floors, c.short = nil, ""
	c.warned, c.drained = map[fleet.InstanceID]time.Time{}, map[fleet.InstanceID]time.Time{}
	c.launched = map[fleet.Lifecycle]int{}
}

// hold sets how many tasks each group has to run from now on.
func (c *chronicle) hold(floors map[string]int) { c.floors = floors }

// fold takes in one thing that happened.
func (c *chronicle) fold(e *sim.Entry) {
	instance := fleet.InstanceID(e.ID)
	switch e.Kind {
	case sim.EntryTask:
		c.foldTask(e)
	case sim.EntrySpot:
		if _, again := c.warned[instance]; !again {
			c.warned[instance] = e.At
		}
	case sim.EntryHost:
		on := fleet.InstanceID(e.On)
		if _, again := c.drained[on]; !again && strings.HasPrefix(e.What, hostDraining) {
			c.drained[on] = e.At
		}
	case sim.EntryInstance:
		if e.What == "pending" {
			lifecycle := fleet.OnDemand
			if strings.HasSuffix(e.Why, string(fleet.Spot)) {
				lifecycle = fleet.Spot
			}
			c.launched[lifecycle]++
		}
	default: // the player does not hear of the rest
	}
}

// foldTask counts the tasks that run and that nobody has told to stop: one that is to stop
// serves no more.
func (c *chronicle) foldTask(e *sim.Entry) {
	if c.tasks == nil {
		c.tasks, c.running = map[string]string{}, map[string]int{}
	}
	_, ran := c.tasks[e.ID]
	runs := e.What == "RUNNING"
	switch {
	case runs && !ran:
		c.tasks[e.ID] = e.Group
		c.running[e.Group]++
	case ran && !runs:
		delete(c.tasks, e.ID)
		c.running[e.Group]--
		if floor := c.floors[e.Group]; c.short == "" && c.running[e.Group] < floor {
			c.short = fmt.Sprintf("%s: %d of %s run, the minimum is %d", e.At.UTC().Format(time.TimeOnly), c.running[e.Group], e.Group, floor)
		}
	}
}

// minimums are the tasks that each service has to run by its minimum healthy percent, by
// task group.
func minimums(w *sim.World) (map[string]int, error) {
	var names []string
	for _, c := range w.Truth().Clusters {
		for _, s := range c.Services {
			names = append(names, s.Name)
		}
	}
	out, err := w.DescribeServices(&sim.DescribeServicesInput{Cluster: string(clusterName), Services: names})
	if err != nil {
		return nil, err
	}
	floors := map[string]int{}
	for i := range out.Services {
		if s := &out.Services[i]; s.SchedulingStrategy == "REPLICA" {
			floors["service:"+s.ServiceName] = (s.DesiredCount*(*s.DeploymentConfiguration.MinimumHealthyPercent) + 99) / 100
		}
	}
	return floors, nil
}
