package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
)

type packCmd struct {
	Tasks      string `help:"Tasks to place: CSV with columns id, cpu_units, memory_mib and optionally gpus, count; - is standard input." required:"" placeholder:"FILE"`
	Types      string `help:"Instance types to buy: CSV with columns name, vcpus, memory_mib, price_per_hour and optionally gpus; - is standard input." required:"" placeholder:"FILE"`
	Effort     string `help:"How hard to look for a cheaper packing: fast, normal or high." enum:"fast,normal,high" default:"normal"`
	Output     string `help:"How to print: table, json or csv." enum:"table,json,csv" default:"table" short:"o"`
	Placements bool   `help:"Also print the instance of every task."`
	SVG        string `name:"svg" help:"Also draw the packing: instances as boxes, tasks as tiles." placeholder:"FILE"`
}

// Help shows examples and says what the columns and the exit codes mean.
func (*packCmd) Help() string {
	return `Finds the cheapest set of instances that holds all tasks, with a proof of how far from the cheapest
possible it can be at most: no packing costs less than the lower bound.

A type has 1,024 CPU units per vCPU and its memory as given: take off yourself what the operating
system and daemon tasks need. Prices are US dollars per hour, to a millionth. A row with a count
stands for so many tasks of that size. Columns may be in any order; others are ignored. The same
files give the same packing, whatever the order of their rows.

A task that is larger than every type is not placed: it is listed with the nearest type and what that
lacks, cost and bound are of the other tasks, and the exit code is 1. Exit code 2 means that the
input is wrong and nothing was packed.

Examples:
  neap pack --tasks docs/examples/tasks.csv --types docs/examples/types.csv
  neap pack --tasks tasks.csv --types types.csv --effort high --svg packing.svg
  neap pack --tasks tasks.csv --types types.csv -o json --placements
  generate-tasks | neap pack --tasks - --types types.csv -o csv`
}

// Run packs and shows the result.
func (p *packCmd) Run(ctx context.Context, c console) error {
	if p.Tasks == "-" && p.Types == "-" {
		return fmt.Errorf("%w: --tasks - --types -: only one of them can be read from standard input", fleet.ErrInvalid)
	}
	var types []sizedType
	var tasks *workload
	err := c.open("--types", p.Types, func(name string, r io.Reader) (err error) {
		types, err = readTypes(name, r, c.err)
		return err
	})
	if err != nil {
		return err
	}
	err = c.open("--tasks", p.Tasks, func(name string, r io.Reader) (err error) {
		tasks, err = readTasks(ctx, name, r, c.err)
		return err
	})
	if err != nil {
		return err
	}
	s := sizing{tasks: tasks, types: types, effort: p.Effort}
	if err := s.solve(ctx, c.err); err != nil {
		return err
	}
	if p.SVG != "" {
		if err := writeFile(p.SVG, s.draw); err != nil {
			return fmt.Errorf("--svg: %w", err)
		}
	}
	if err := s.print(c.out, p.Output, p.Placements); err != nil {
		return err
	}
	if n := s.left(); n > 0 {
		fmt.Fprintf(c.err, "neap: %s not placed: larger than every type\n", count(n, "task"))
		return errExpectation
	}
	return nil
}

// open calls f with a file, or with standard input for "-", and the name of it for errors.
func (c console) open(flag, file string, f func(name string, r io.Reader) error) error {
	if file == "-" {
		return f("standard input", c.in)
	}
	r, err := os.Open(filepath.Clean(file))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", fleet.ErrInvalid, flag, err)
	}
	defer r.Close()
	return f(file, r)
}

// writeFile writes a file, the whole of it or an error.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(filepath.Clean(name))
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// efforts are the words for how hard to look.
var efforts = map[string]pack.Effort{"fast": pack.Fast, "normal": pack.Normal, "high": pack.High}

// sizing is a packing on its way from two tables to an answer.
type sizing struct {
	tasks  *workload
	types  []sizedType
	effort string

	items     []shape // what the solver packs: the sizes of the tasks, or fewer
	to        []int32 // by size of the tasks: its item
	solution  pack.Solution
	elapsed   time.Duration // of the solver alone
	stretches [][]stretch   // by shape: on which instances its tasks are
	first     []int         // by entry of solution.Instances: the number of its first instance
	names     []string      // by instance
}

// stretch is a number of tasks of one shape on one instance.
type stretch struct {
	instance int32
	count    int32
}

// problem is the sizing as the solver takes it: shapes with counts, whatever the rows.
func (s *sizing) problem() pack.Problem {
	p := pack.Problem{Effort: efforts[s.effort]}
	for _, shape := range s.items {
		p.Items = append(p.Items, pack.Item{Name: shape.needs.String(), Needs: shape.needs, Count: shape.count})
	}
	for i := range s.types {
		t := &s.types[i]
		p.Offerings = append(p.Offerings, pack.Offering{
			Name: t.name, Group: t.name, Capacity: t.capacity, VCPUs: t.vcpus, Memory: t.capacity.MemoryMiB, Price: t.price,
		})
	}
	return p
}

// How often a person who waits hears of it.
const patience = 3 * time.Second

// solve runs the solver and tells a person who waits that it is at work. The solver does
// not stop half-way: when ctx ends it is left behind, and the process with it.
func (s *sizing) solve(ctx context.Context, progress io.Writer) error {
	started := time.Now()
	s.coarsen()
	p := s.problem()
	if n := len(s.tasks.shapes); n > len(p.Items) {
		fmt.Fprintf(progress, "note: tasks of %d sizes are packed as of %d, each as large as the largest that it stands for\n", n, len(p.Items))
	}
	done := make(chan pack.Solution, 1)
	go func() {
		solution := pack.Solve(p)
		if len(p.Items) < len(s.tasks.shapes) {
			solution.LowerBound = min(s.ground(), solution.Cost) // that of the larger sizes would be too high
		}
		done <- solution
	}()
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case s.solution = <-done:
			s.elapsed = time.Since(started)
			s.number()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			fmt.Fprintf(progress, "packing %s of %s into %s for %s …\n",
				count(s.tasks.tasks, "task"), count(len(p.Items), "size"), count(len(p.Offerings), "type"), time.Since(started).Round(time.Second))
		}
	}
}

// number gives every instance its name and every shape its places.
func (s *sizing) number() {
	s.stretches = make([][]stretch, len(s.items))
	ofType := make([]int, len(s.types))
	for _, inst := range s.solution.Instances {
		s.first = append(s.first, len(s.names))
		for range inst.Count {
			for _, h := range inst.Items {
				s.stretches[h.Item] = append(s.stretches[h.Item], stretch{instance: int32(len(s.names)), count: int32(h.Count)})
			}
			ofType[inst.Offering]++
			s.names = append(s.names, fmt.Sprintf("%s/%d", s.types[inst.Offering].name, ofType[inst.Offering]))
		}
	}
}

// placed is a number of tasks of one row on one instance.
type placed struct {
	row      int
	instance int
	count    int
}

// placements calls yield for each row and instance that go together, in the order of the
// rows; what is not placed is not there.
func (s *sizing) placements(yield func(placed) bool) {
	next := make([]int, len(s.stretches))    // by shape: the stretch to take from
	taken := make([]int32, len(s.stretches)) // of that stretch
	for row := range s.tasks.rows {
		r := &s.tasks.rows[row]
		left, item := r.count, s.to[r.shape]
		for list := s.stretches[item]; left > 0 && next[item] < len(list); {
			from := &list[next[item]]
			n := min(left, from.count-taken[item])
			if !yield(placed{row: row, instance: int(from.instance), count: int(n)}) {
				return
			}
			left -= n
			if taken[item] += n; taken[item] == from.count {
				next[item]++
				taken[item] = 0
			}
		}
	}
}

// unplaced is a row of tasks, or what is left of it, without a place.
type unplaced struct {
	ID        string   `json:"id"`
	Count     int      `json:"count"`
	Why       pack.Why `json:"why"`
	Nearest   string   `json:"nearest,omitempty"`
	Shortfall string   `json:"shortfall,omitempty"`
}

// left is how many tasks are not placed.
func (s *sizing) left() int {
	n := 0
	for _, u := range s.solution.Unplaced {
		n += u.Count
	}
	return n
}

// leftOver lists the rows that are not placed, in their order. Tasks of a shape share
// their fate but for limits, of which there are none here.
func (s *sizing) leftOver() []unplaced {
	list := []unplaced{}
	reasons := make([]*unplaced, len(s.items))
	for _, u := range s.solution.Unplaced {
		needs := s.items[u.Item].needs
		reasons[u.Item] = &unplaced{Why: u.Why}
		if t := s.nearest(needs); t != nil {
			reasons[u.Item].Nearest, reasons[u.Item].Shortfall = t.name, shortfall(needs, t.capacity)
		}
	}
	for row := range s.tasks.rows {
		r := &s.tasks.rows[row]
		if why := reasons[s.to[r.shape]]; why != nil {
			u := *why
			u.ID, u.Count = s.tasks.ids.at(row), int(r.count)
			list = append(list, u)
		}
	}
	return list
}

// nearest is the type that lacks the least share of a need, of what it lacks most of; the
// cheapest of equals.
func (s *sizing) nearest(needs fleet.Resources) *sizedType {
	var best *sizedType
	least := 0.0
	for i := range s.types {
		t := &s.types[i]
		lack := max(lacking(needs.CPUUnits, t.capacity.CPUUnits), lacking(needs.MemoryMiB, t.capacity.MemoryMiB), lacking(needs.GPUs, t.capacity.GPUs))
		if best == nil || lack < least || lack == least && t.price < best.price {
			best, least = t, lack
		}
	}
	return best
}

func lacking(need, have int64) float64 {
	if need <= have {
		return 0
	}
	return float64(need-have) / float64(need)
}

// gap is by how much the packing may exceed the cheapest one at most, as a fraction.
func (s *sizing) gap() float64 {
	if s.solution.LowerBound <= 0 {
		return 0 // nothing was placed, so nothing could be cheaper
	}
	return s.solution.Cost.USD()/s.solution.LowerBound.USD() - 1
}
