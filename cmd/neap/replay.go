package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/neap-project/neap/libs/adapters/policyfile"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim/dst"
)

type replayCmd struct {
	natsFlags
	Trace     string            `help:"Play a workload: CSV with columns id, cpu_units, memory_mib, arrival_s, departure_s and optionally service; - is standard input." placeholder:"FILE" xor:"what" required:""`
	Cluster   fleet.ClusterName `help:"Make the plans of this ECS cluster again, as the installation keeps them." placeholder:"NAME" xor:"what" required:""`
	Recording string            `help:"Make the plans of a file again that --save wrote; - is standard input." placeholder:"FILE" xor:"what" required:""`

	Policy string        `help:"With --trace: the policy to play it under." placeholder:"FILE" type:"existingfile" short:"p"`
	Seed   uint64        `help:"With --trace: seed of the simulated AWS: boot times, spot prices, placement ties." default:"1"`
	Beat   time.Duration `help:"With --trace: time between two looks at the cluster." default:"15s"`
	Plot   string        `help:"With --trace: also draw capacity, demand and cost over time as SVG." placeholder:"FILE"`

	Plan  fleet.PlanID  `help:"With --cluster: only this plan." placeholder:"ID"`
	Since time.Duration `help:"With --cluster: only plans of the last while, such as 24h." placeholder:"TIME"`
	Save  string        `help:"With --cluster: also write the plans and what they were made from to a file." placeholder:"FILE"`

	Output string `help:"How to print: table or json." enum:"table,json" default:"table" short:"o"`
}

// Help shows examples.
func (*replayCmd) Help() string {
	return `With --trace a recorded workload is played in virtual time through the whole system: the planner and the executors decide as they do in production, against a simulated ECS and EC2 with real instance types and prices. It says what it would have cost, beside the least that any instances for the same tasks would have cost, and how long tasks waited.

Arrivals and departures are seconds since the beginning of the trace; a task without a departure outlives it. Tasks of one service that are alike in size are an ECS service whose desired count follows them, spread over zones as is ECS's default; tasks without a service are one service for each size. Images, subnets and launch templates of the policy are replaced by those of the simulated AWS, which has x86_64 instances, and its dry run is ignored; everything else of it holds.

With --cluster or --recording plans are made again from what they were made from, which planners keep for a week, and compared byte by byte. The same version of the planner makes the same bytes; for plans of another version it shows what this one would decide otherwise. Nothing is changed.

Examples:

  neap replay --trace docs/examples/trace.csv --policy docs/examples/policy.yaml
  neap replay --trace trace.csv --policy policy.yaml --output json --plot trace.svg
  neap replay --cluster web --since 24h
  neap replay --cluster web --save web.plans    # to take home
  neap replay --recording web.plans --output json`
}

// replayReport is what came of a replay.
type replayReport struct {
	Trace         string             `json:"trace"`
	Tasks         int                `json:"tasks"`
	Hours         float64            `json:"hours"`
	Cost          float64            `json:"cost_usd"`
	Bound         float64            `json:"lower_bound_usd"` // of the cost
	Over          float64            `json:"cost_over_bound"` // as a share of the bound
	Waits         replayWaits        `json:"wait_seconds"`
	NeverRan      int                `json:"never_ran"` // departed, or the trace ended, before they ran
	Launches      int                `json:"launches"`  // instances
	Terminations  int                `json:"terminations"`
	Moved         int                `json:"tasks_moved"`
	InstanceHours map[string]float64 `json:"instance_hours"` // by type
	Violations    []dst.Violation    `json:"violations"`
	Seconds       float64            `json:"seconds"` // that the replay took
}

type replayWaits struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Run plays the trace, or makes plans again.
func (r *replayCmd) Run(ctx context.Context, c console) error {
	if r.Trace == "" {
		return r.replayPlans(ctx, c)
	}
	if r.Policy == "" {
		return fmt.Errorf("%w: --policy is missing: name the policy to play the trace under, such as docs/examples/policy.yaml", fleet.ErrInvalid)
	}
	if r.Beat < time.Second || r.Beat > 5*time.Minute {
		return fmt.Errorf("%w: --beat %s: write a time from 1s to 5m, such as 15s", fleet.ErrInvalid, r.Beat)
	}
	document, err := os.ReadFile(r.Policy)
	if err != nil {
		return err
	}
	pol, err := policyfile.Read(r.Policy, document)
	if err != nil {
		return err
	}
	tasks, err := r.read(c)
	if err != nil {
		return err
	}
	const seldom = 400 // little stays: collecting less often is faster
	defer debug.SetGCPercent(debug.SetGCPercent(seldom))
	began, shown := time.Now(), time.Now()
	got, err := dst.Play(dst.Trace{Tasks: tasks, Policy: pol, Seed: r.Seed, Beat: r.Beat, Progress: func(played, of time.Duration) bool {
		if time.Since(shown) > 5*time.Second {
			shown = time.Now()
			fmt.Fprintf(c.err, "%s of %s played\n", played, of)
		}
		return ctx.Err() == nil
	}})
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	report := reportOf(r.Trace, len(tasks), &got)
	report.Seconds = time.Since(began).Seconds()
	if r.Plot != "" {
		if err := writePlot(r.Plot, report, got.Samples); err != nil {
			return err
		}
	}
	if r.Output == "json" {
		err = writeJSON(c.out, report)
	} else {
		err = report.print(c.out)
	}
	if err == nil && len(report.Violations) > 0 {
		err = errExpectation
	}
	return err
}

// read reads the trace.
func (r *replayCmd) read(c console) ([]dst.TraceTask, error) {
	if r.Trace == "-" {
		return readTrace("standard input", c.in, c.err)
	}
	f, err := os.Open(filepath.Clean(r.Trace))
	if err != nil {
		return nil, fmt.Errorf("%w: --trace: %w", fleet.ErrInvalid, err)
	}
	defer func() { _ = f.Close() }()
	return readTrace(r.Trace, f, c.err)
}

// mostArrivals is how many tasks a trace may have.
const mostArrivals = 1_000_000

// readTrace reads a workload.
func readTrace(name string, in io.Reader, notes io.Writer) ([]dst.TraceTask, error) {
	s, err := newSheet(name, in, notes, []string{"id", "cpu_units", "memory_mib", "arrival_s", "departure_s"}, []string{"service"})
	if err != nil {
		return nil, err
	}
	var tasks []dst.TraceTask
	lines := map[string]int{}
	for {
		more, err := s.next()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		t, err := s.traceTask()
		if err != nil {
			return nil, err
		}
		if line, twice := lines[t.ID]; twice {
			return nil, s.wrong("id", "line %d has it as well; give each task an id of its own", line)
		}
		if len(tasks) == mostArrivals {
			return nil, fmt.Errorf("%w: %s:%d: more than %d tasks; play a part of the trace", fleet.ErrInvalid, name, s.line, mostArrivals)
		}
		lines[t.ID] = s.line
		tasks = append(tasks, t)
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("%w: %s: there are no tasks below the header; add at least one row", fleet.ErrInvalid, name)
	}
	return tasks, nil
}

// traceTask reads a row of a trace.
func (s *sheet) traceTask() (t dst.TraceTask, err error) {
	if t.ID = strings.Clone(s.field("id")); t.ID == "" {
		return t, s.wrong("id", "every task needs one")
	}
	t.Service = strings.Clone(s.field("service"))
	if t.CPUUnits, err = s.whole("cpu_units", 1, mostUnits); err != nil {
		return t, err
	}
	if t.MemoryMiB, err = s.whole("memory_mib", 1, mostUnits); err != nil {
		return t, err
	}
	if t.Arrives, err = s.moment("arrival_s"); err != nil {
		return t, err
	}
	if s.field("departure_s") == "" {
		return t, nil
	}
	if t.Departs, err = s.moment("departure_s"); err == nil && t.Departs <= t.Arrives {
		err = s.wrong("departure_s", "it is not after arrival_s; leave it empty if the task outlives the trace")
	}
	return t, err
}

// moment reads seconds since the beginning.
func (s *sheet) moment(column string) (time.Duration, error) {
	const most = 31 * 24 * 3600
	f, err := strconv.ParseFloat(s.field(column), 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > most {
		return 0, s.wrong(column, "use seconds since the beginning of the trace, from 0 to %d", most)
	}
	return time.Duration(f * float64(time.Second)), nil
}

func reportOf(trace string, tasks int, got *dst.Replayed) *replayReport {
	r := &replayReport{
		Trace: trace, Tasks: tasks, Hours: got.Length.Hours(), Cost: cents(got.Cost), Bound: cents(got.Bound),
		Waits:    replayWaits{got.Wait(50).Seconds(), got.Wait(99).Seconds(), got.Wait(100).Seconds()},
		NeverRan: got.NeverRan, Launches: got.Launched, Terminations: got.Terminated, Moved: got.Moved,
		InstanceHours: map[string]float64{}, Violations: append([]dst.Violation{}, got.Violations...),
	}
	if got.Bound > 0 {
		r.Over = math.Round((got.Cost/got.Bound-1)*1e4) / 1e4
	}
	for name, hours := range got.HoursBy {
		r.InstanceHours[name] = cents(hours)
	}
	return r
}

// cents rounds to hundredths.
func cents(v float64) float64 { return math.Round(v*100) / 100 }

// print shows the report to people.
func (r *replayReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s over %.1f hours, played in %.1f s\n", r.Trace, count(r.Tasks, "task"), r.Hours, r.Seconds)
	fmt.Fprintf(w, "cost\t$%.2f\n", r.Cost)
	fmt.Fprintf(w, "lower bound\t$%.2f\t(no instances for the same tasks and headroom cost less at any time; the cost is %.1f %% above)\n", r.Bound, r.Over*100)
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)).Round(time.Second) }
	fmt.Fprintf(w, "tasks waited\tp50 %s, p99 %s, at most %s\n", seconds(r.Waits.P50), seconds(r.Waits.P99), seconds(r.Waits.Max))
	if r.NeverRan > 0 {
		fmt.Fprintf(w, "never ran\t%s, departed before there was room or were still waiting\n", count(r.NeverRan, "task"))
	}
	fmt.Fprintf(w, "instances\t%d launched, %d terminated\n", r.Launches, r.Terminations)
	fmt.Fprintf(w, "tasks moved\t%d\n", r.Moved)
	types := slices.Sorted(maps.Keys(r.InstanceHours))
	slices.SortStableFunc(types, func(a, b string) int { return cmp.Compare(r.InstanceHours[b], r.InstanceHours[a]) })
	for i, name := range types {
		label := ""
		if i == 0 {
			label = "instance hours"
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f\n", label, name, r.InstanceHours[name])
	}
	for _, v := range r.Violations {
		fmt.Fprintf(w, "VIOLATION\t%s at %s: %s\n", v.Invariant, v.At.UTC().Format(time.RFC3339), v.What)
	}
	return w.Flush()
}
