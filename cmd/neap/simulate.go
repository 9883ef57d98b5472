package main

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim/dst"
)

type simulateCmd struct {
	Seeds     int           `help:"How many stories to play." default:"100"`
	FirstSeed uint64        `help:"Seed of the first one; the others follow." default:"0"`
	Hours     float64       `help:"How long each lasts, in simulated hours; things go wrong in the first half." default:"6"`
	Faults    string        `help:"What goes wrong: all, none, or the numbers of faults, such as F34,F77." default:"all"`
	Replicas  int           `help:"Replicas of each service." default:"2"`
	Beat      time.Duration `help:"Time between two looks at the cluster." default:"30s"`
	Jobs      int           `help:"Stories that are played at once; default one for each CPU." default:"0"`
	Output    string        `help:"How to print: table or json." enum:"table,json" default:"table" short:"o"`
}

// Help shows examples.
func (*simulateCmd) Help() string {
	return `Neap's own decisions are played against a simulated AWS, NATS and Redis, with several replicas of each service and everything that can go wrong, in virtual time. A story that breaks what must hold is shrunk to the faults that it takes, and printed with the command that plays it again. docs/reliability.md explains the faults and the invariants.

Examples:

  neap simulate                                             100 stories of 6 hours
  neap simulate --seeds 1000 --output json                  1,000 of them, as JSON
  neap simulate --seeds 1 --first-seed 17 --faults F34,F77  one story, with two faults only`
}

// mostShrunk is how many failing stories are shrunk: each takes as long as dozens of stories.
const mostShrunk = 3

// storyLines is how much of a story is printed.
const storyLines = 60

// enoughSeeds is from how many seeds on every fault must have been injected.
const enoughSeeds = 50

// simulation is the report.
type simulation struct {
	Seeds       int               `json:"seeds"`
	FirstSeed   uint64            `json:"first_seed"`
	Hours       float64           `json:"hours"` // of each
	Violations  int               `json:"violations"`
	Injected    map[string]int    `json:"faults_injected"`
	Never       []string          `json:"faults_never_injected,omitempty"`
	Transitions map[string]int    `json:"transitions"`
	Plans       int               `json:"plans"`
	Calls       int               `json:"calls"`
	Launched    int               `json:"instances_launched"`
	Seconds     float64           `json:"seconds"`
	Failures    []simulationStory `json:"failures"`
}

// simulationStory is a seed that failed.
type simulationStory struct {
	Seed      uint64   `json:"seed"`
	Invariant string   `json:"invariant"`
	What      string   `json:"what"`
	Faults    []string `json:"faults,omitempty"` // that it takes
	Story     []string `json:"story,omitempty"`
	Replay    string   `json:"replay"`
}

// Run plays the stories.
func (s *simulateCmd) Run(ctx context.Context, c console) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	const seldom = 400 // stories are short and leave little: collecting less often is a fifth faster
	defer debug.SetGCPercent(debug.SetGCPercent(seldom))
	began := time.Now()
	report, failed, err := s.play(ctx, c, cfg)
	if err != nil {
		return err
	}
	for i, f := range failed {
		report.Failures = append(report.Failures, s.tell(cfg, f, i < mostShrunk))
	}
	report.Seconds = time.Since(began).Seconds()
	if cfg.Faults == nil && s.Seeds >= enoughSeeds {
		for _, f := range dst.Faults() {
			if report.Injected[f.ID] == 0 {
				report.Never = append(report.Never, f.ID)
			}
		}
	}
	if s.Output == "json" {
		err = writeJSON(c.out, report)
	} else {
		err = report.print(c)
	}
	if err == nil && (len(report.Failures) > 0 || len(report.Never) > 0) {
		err = errExpectation
	}
	return err
}

// config checks what was asked for.
func (s *simulateCmd) config() (dst.Config, error) {
	cfg := dst.Config{Duration: time.Duration(s.Hours * float64(time.Hour)), Replicas: s.Replicas, Beat: s.Beat}
	switch {
	case s.Seeds < 1:
		return cfg, fmt.Errorf("%w: --seeds %d: play at least one", fleet.ErrInvalid, s.Seeds)
	case s.Hours < 2 || s.Hours > 1000:
		return cfg, fmt.Errorf("%w: --hours %g: write a number from 2 to 1000; what goes wrong ends after half of them, and then it takes a while until all is at rest", fleet.ErrInvalid, s.Hours)
	case s.Replicas < 1 || s.Replicas > 16:
		return cfg, fmt.Errorf("%w: --replicas %d: write a number from 1 to 16", fleet.ErrInvalid, s.Replicas)
	case s.Beat < time.Second || s.Beat > 5*time.Minute:
		return cfg, fmt.Errorf("%w: --beat %s: write a time from 1s to 5m, such as 15s", fleet.ErrInvalid, s.Beat)
	case s.Jobs < 0:
		return cfg, fmt.Errorf("%w: --jobs %d: write a number above 0", fleet.ErrInvalid, s.Jobs)
	case s.Faults == "all":
		return cfg, nil
	case s.Faults == "none":
		cfg.Faults = []string{}
		return cfg, nil
	}
	var known []string
	for _, f := range dst.Faults() {
		known = append(known, f.ID)
	}
	for id := range strings.SplitSeq(s.Faults, ",") {
		id = strings.ToUpper(strings.TrimSpace(id))
		if !slices.Contains(known, id) {
			return cfg, fmt.Errorf("%w: --faults: there is no fault %q; use all, none, or some of %s", fleet.ErrInvalid, id, strings.Join(known, ","))
		}
		cfg.Faults = append(cfg.Faults, id)
	}
	return cfg, nil
}

// play plays all stories, some at once, and says how far it is.
func (s *simulateCmd) play(ctx context.Context, c console, cfg dst.Config) (*simulation, []dst.Result, error) {
	report := &simulation{Seeds: s.Seeds, FirstSeed: s.FirstSeed, Hours: s.Hours, Injected: map[string]int{}, Transitions: map[string]int{}, Failures: []simulationStory{}}
	var mu sync.Mutex
	var failed []dst.Result
	done, shown := 0, time.Now()
	g, ctx := errgroup.WithContext(ctx)
	jobs := s.Jobs
	if jobs == 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	g.SetLimit(jobs)
	for i := range s.Seeds {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			one := cfg
			one.Seed = s.FirstSeed + uint64(i)
			r := dst.Run(one)
			r.History = nil
			mu.Lock()
			defer mu.Unlock()
			report.add(&r)
			if len(r.Violations) > 0 {
				failed = append(failed, r)
			}
			if done++; time.Since(shown) > 5*time.Second {
				shown = time.Now()
				fmt.Fprintf(c.err, "%d of %d stories, %d failed\n", done, s.Seeds, len(failed))
			}
			return nil
		})
	}
	err := g.Wait()
	slices.SortFunc(failed, func(a, b dst.Result) int { return int(a.Seed) - int(b.Seed) })
	return report, failed, err
}

func (r *simulation) add(one *dst.Result) {
	r.Violations += len(one.Violations)
	r.Plans += one.Plans
	r.Calls += one.Calls
	r.Launched += one.Launched
	for id, n := range one.Faults {
		r.Injected[id] += n
	}
	for name, n := range one.Transitions {
		r.Transitions[name] += n
	}
}

// tell makes the story of a failure, the shortest that is found if it is to be shrunk.
func (s *simulateCmd) tell(cfg dst.Config, failed dst.Result, shrink bool) simulationStory {
	cfg.Seed = failed.Seed
	if shrink {
		cfg, failed = dst.Shrink(cfg, failed)
	} else if cfg.Faults == nil {
		cfg.Faults = failed.Active
	}
	faults := "none"
	if len(cfg.Faults) > 0 {
		faults = strings.Join(cfg.Faults, ",")
	}
	if len(failed.History) == 0 && shrink {
		failed = dst.Run(cfg)
	}
	story := simulationStory{
		Seed: cfg.Seed, Invariant: failed.Violations[0].Invariant, What: failed.Violations[0].What, Faults: cfg.Faults,
		Replay: fmt.Sprintf("neap simulate --seeds 1 --first-seed %d --hours %g --replicas %d --beat %s --faults %s", cfg.Seed, s.Hours, s.Replicas, s.Beat, faults),
	}
	if shrink {
		story.Story = failed.Story(storyLines)
	}
	return story
}

// print shows the report as tables.
func (r *simulation) print(c console) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FAULT\tINJECTED\tWHAT")
	for _, f := range dst.Faults() {
		if n, asked := r.Injected[f.ID]; asked {
			fmt.Fprintf(w, "%s\t%d\t%s\n", f.ID, n, f.What)
		}
	}
	fmt.Fprintln(w, "\nTRANSITION\tTAKEN")
	for _, name := range slices.Sorted(maps.Keys(r.Transitions)) {
		fmt.Fprintf(w, "%s\t%d\n", name, r.Transitions[name])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := range r.Failures {
		f := &r.Failures[i]
		fmt.Fprintf(c.out, "\nseed %d breaks %s: %s\n", f.Seed, f.Invariant, f.What)
		for _, line := range f.Story {
			fmt.Fprintln(c.out, "  "+line)
		}
		fmt.Fprintf(c.out, "play it again:  %s\n", f.Replay)
	}
	if len(r.Never) > 0 {
		fmt.Fprintf(c.out, "\nnever injected: %s\n", strings.Join(r.Never, ", "))
	}
	_, err := fmt.Fprintf(c.out, "\n%d stories of %g hours in %.0f s: %d plans, %d calls, %d instances launched; %d violations\n",
		r.Seeds, r.Hours, r.Seconds, r.Plans, r.Calls, r.Launched, r.Violations)
	return err
}
