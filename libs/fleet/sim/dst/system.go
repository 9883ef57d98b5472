package dst

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// cluster is the one that is played.
const cluster = "web"

// Config is what to play.
type Config struct {
	Seed     uint64
	Duration time.Duration // default 6 h; things go wrong in the first half of it
	Replicas int           // of each service; default 2
	Beat     time.Duration // of watchers and planners; default 30 s: half of the work is done in beats
	Faults   []string      // IDs of those to inject; nil is all, empty none
	Tasks    int           // that run at most, about; default enough for 30 instances
	CrashAt  []int         // steps of [Result.Steps], by number, at which the process that takes it dies
}

// Result is what came of it.
type Result struct {
	Seed        uint64
	Violations  []Violation
	Faults      map[string]int // injected, by ID
	Active      []string       // IDs of the faults that this seed arranges for
	Transitions map[string]int // taken, such as "drain planned→draining"
	Steps       []string       // taken, at which a crash would matter, such as "drainer intent"
	Plans       int
	Calls       int // that changed AWS
	Launched    int
	Terminated  int
	History     []byte // what happened, one line each
}

// Violation is something that must hold and did not.
type Violation struct {
	Invariant string    `json:"invariant"`
	At        time.Time `json:"at"`
	What      string    `json:"what"`
}

// system is everything that is played.
type system struct {
	kernel
	cfg      Config
	world    *sim.World
	eye      *eye
	bus      *bus
	cache    *cache
	check    *check
	replicas []*replica
	faults   map[string]*fault
	active   []string // IDs of those that are arranged for
	story    *story
	events   *events
	torn     bool            // the next view of an instance lacks a page
	steps    []string        // taken so far
	saw      func(sim.Entry) // told of everything that happens in the world; nil is nobody

	templates map[string]string
	spots     []snapshot.SpotPrice
	spotsAt   time.Time
	history   bytes.Buffer
}

// Run plays one seed.
func Run(cfg Config) Result {
	s := newSystem(cfg)
	start := s.now
	for _, r := range s.replicas {
		s.after(between(r.rng, 0, 5*time.Second), r.start)
	}
	s.story.begin()
	s.schedule(start.Add(s.cfg.Duration / 2))
	s.at(start.Add(s.cfg.Duration/2), s.heal)
	s.at(start.Add(time.Minute), s.check.regularly)
	s.at(start.Add(time.Minute), s.minutely)
	violated := func() bool { return len(s.check.violations) > 0 }
	s.run(start.Add(s.cfg.Duration), violated)
	if !violated() {
		s.settle(violated)
	}
	for _, r := range s.replicas { // threads end with the story
		for _, t := range r.threads {
			t.kill()
		}
	}
	return s.result()
}

// inMotion is how long what has begun may go on when the story ends: the cluster is packed
// tighter to the last, and the longest drain that a story's policy allows takes 15 minutes.
const inMotion = 30 * time.Minute

// settle plays on to a moment at which all is at rest, and says what is not if there is none.
func (s *system) settle(violated func() bool) {
	s.check.regularly()
	for last := s.now.Add(inMotion); !violated() && s.now.Before(last) && len(s.check.unrest()) > 0; {
		s.run(s.now.Add(s.cfg.Beat), violated)
	}
	if !violated() {
		s.check.atRest()
	}
}

func newSystem(cfg Config) *system {
	if cfg.Duration == 0 {
		cfg.Duration = 6 * time.Hour
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = 2
	}
	if cfg.Beat == 0 {
		cfg.Beat = 30 * time.Second
	}
	if cfg.Tasks == 0 {
		cfg.Tasks = 110
	}
	s := &system{cfg: cfg, templates: map[string]string{}}
	s.world = must(sim.New(sim.Config{Seed: cfg.Seed}))
	s.now = s.world.Now()
	s.moved = s.world.Advance
	s.eye, s.events = newEye(s.world), &events{s: s}
	s.world.Record(func(e sim.Entry) {
		s.eye.changed()
		s.events.happened(e)
		if s.saw != nil {
			s.saw(e)
		}
	})
	s.bus, s.cache, s.check = newBus(s), &cache{s: s, notices: map[fleet.InstanceID]snapshot.Notice{}}, newCheck(s)
	s.faults = newFaults(cfg)
	s.story = newStory(s)
	s.bus.policy = s.story.policy()
	mains := []struct {
		name string
		main func(*replica)
	}{{watcherName, runWatcher}, {plannerName, runPlanner}, {actuatorName, runActuator}, {drainerName, runDrainer}}
	for _, m := range mains {
		for n := range cfg.Replicas {
			s.replicas = append(s.replicas, &replica{s: s, service: m.name, number: n + 1, main: m.main, rng: s.dice(m.name, uint64(n))})
		}
	}
	return s
}

// dice is chance for one purpose: what is drawn for another does not change it.
func (s *system) dice(purpose string, n uint64) *rand.Rand { return diceOf(s.cfg.Seed, purpose, n) }

func diceOf(seed uint64, purpose string, n uint64) *rand.Rand {
	h := uint64(14695981039346656037)
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h+n))
}

// note writes a line of the history.
func (s *system) note(format string, args ...any) {
	s.history.WriteString(s.now.UTC().Format("15:04:05.000 "))
	fmt.Fprintf(&s.history, format, args...)
	s.history.WriteByte('\n')
}

func (s *system) result() Result {
	truth := s.world.Truth()
	return Result{
		Seed: s.cfg.Seed, Violations: s.check.violations, Faults: s.injected(), Active: s.active, Transitions: s.check.transitions, Steps: s.steps, Plans: s.check.plans,
		Calls: s.check.calls, Launched: truth.History.InstancesLaunched, Terminated: truth.History.InstancesTerminated, History: s.history.Bytes(),
	}
}

// outlive ends a life whose generation has ended.
func (s *system) outlive(t *thread) {
	for {
		t.sleep(s.cfg.Beat)
		if t.of.generation != s.bus.generation {
			s.die(t.of)
		}
	}
}

// die ends the life of the process whose thread runs.
func (s *system) die(r *replica) {
	s.after(0, func() { r.crash(between(r.rng, time.Second, 20*time.Second)) })
	s.thread.sleep(time.Hour)
}

// step notes a step at which a crash would matter, and lets the process die there if the
// configuration says so.
func (s *system) step(r *replica, what string) {
	s.steps = append(s.steps, r.service+" "+what)
	if slices.Contains(s.cfg.CrashAt, len(s.steps)-1) {
		s.note("%s dies at step %d, %s", r.owner(), len(s.steps)-1, what)
		s.die(r)
	}
}

// crashPoint is where a crash would matter.
func (s *system) crashPoint(r *replica, p execute.Point) error {
	s.step(r, string(p))
	if s.hit("F53") {
		r.halt(between(r.rng, 25*time.Second, 3*time.Minute))
	}
	if r.service == drainerName && p == execute.PointCalled && s.hit("F21") {
		s.faults["F21"].until = s.now // once
		s.bus.lose()
	}
	if r.service == drainerName {
		if s.hit("F52") {
			s.die(r)
		}
		return nil
	}
	switch {
	case p == execute.PointIntent && s.hit("F33"), p == execute.PointCalled && s.hit("F35"), p == execute.PointRecorded && s.hit("F36"):
		s.die(r)
	}
	return nil
}

// spot are the spot prices, read every ten minutes.
func (s *system) spot() []snapshot.SpotPrice {
	if s.spotsAt.IsZero() || s.now.Sub(s.spotsAt) >= 10*time.Minute {
		s.spots, s.spotsAt = s.eye.readSpot(), s.now
	}
	return s.spots
}

// script carries out a statement of the world's own language.
func (s *system) script(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.note("world: %s", line)
	defer s.eye.changed()
	if err := must(sim.ParseScript(line)).Run(s.world); err != nil {
		s.note("world: %v", err)
	}
}

// land starts a standalone task on an instance.
func (s *system) land(ci fleet.ContainerInstanceID) {
	s.check.protectedAt = s.now
	out, err := s.world.StartTask(&sim.StartTaskInput{Cluster: cluster, TaskDefinition: "job", ContainerInstances: []string{string(ci)}})
	if err != nil {
		s.note("world: no job starts on %s: %v", ci, err)
		return
	}
	s.note("world: a job starts on %s: %d tasks", ci, len(out.Tasks))
	s.eye.changed()
	s.after(10*time.Minute, func() { s.script("finish job count 1") })
}

// minutely looks anew once in a while: some things end by themselves, such as protections.
func (s *system) minutely() {
	s.eye.changed()
	s.check.calm()
	s.after(time.Minute, s.minutely)
}
