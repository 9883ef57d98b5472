package pack

import (
	"github.com/neap-project/neap/libs/fleet"
)

// solver is a problem on the way to its solution.
type solver struct {
	p          Problem
	fits       [][]bool // by item and offering: allowed, and large enough for one
	minimal    []int    // offerings worth looking at: not dominated, cheapest first
	demand     []int    // by item, what can be packed at all
	conflicts  [][]bool // by item and item; nil if there are none
	keys       [][]int  // by item: its keys as numbers
	keyCount   int
	spread     int // zones to spread over; 0 if nothing is to be spread
	components []component
	worths     [][]float64 // ways to value a task, one value per item each

	dims   int           // resources that matter
	sizes  []size        // by item
	rooms  []size        // by offering
	orders [][]int       // by offering: the items that it may hold, largest first
	once   []bool        // by item: at most one in a bin
	prices []multipliers // by offering: of its room, when it was looked at last
	knap   knapsack
	pool   []pattern // that were found so far
	proven float64   // no packing of the whole demand costs less
	floor  []float64 // by item: the worth of its needs at the resource prices
	worth  []float64 // by item: what one more costs
	work   int       // steps taken, of about 2 ns each
	until  int       // steps at which the search ends
}

// bin is a number of equal instances, filled.
type bin struct {
	offering int
	items    []Held
	count    int
}

// Solve packs. It always returns a feasible solution: what cannot be packed is listed with
// the reason. The same problem has the same solution, in whatever order its items and
// offerings are listed.
func Solve(p Problem) Solution {
	c := canonical(p)
	s := &solver{p: c.p}
	unplaced := s.prepare()
	bins := s.pack()
	var toll fleet.Price
	if s.p.Limits.Instances > 0 && instances(bins) > s.p.Limits.Instances {
		bins, toll = s.fewer(bins)
	}
	if !s.within(bins) {
		var left []int
		bins, left = s.trim(toll)
		for i, n := range left {
			if n > 0 {
				unplaced = append(unplaced, Unplaced{Item: i, Count: n, Why: WhyLimit})
			}
		}
	}
	return c.restore(s.finish(bins, unplaced))
}

// prepare finds out which items can be packed at all, and makes what the search needs.
func (s *solver) prepare() []Unplaced {
	var unplaced []Unplaced
	s.demand = make([]int, len(s.p.Items))
	s.fits = make([][]bool, len(s.p.Items))
	for i := range s.p.Items {
		why, ok := s.allow(i)
		switch n := s.p.Items[i].Count; {
		case n <= 0:
		case ok:
			s.demand[i] = n
		default:
			unplaced = append(unplaced, Unplaced{Item: i, Count: n, Why: why})
		}
	}
	s.index()
	s.dropDominated()
	s.components = s.split()
	s.worths = s.values()
	s.measure()
	return unplaced
}

// pack packs the demand as cheaply as the effort allows, limits apart.
func (s *solver) pack() []bin {
	merged, members := s.shapes()
	t := s
	if len(members) < len(s.p.Items) {
		t = &solver{p: merged}
		t.prepare()
		t.spread = s.spread
	}
	e := &efforts[min(int(s.p.Effort), len(efforts)-1)]
	bins := t.portfolio(t.demand, 0)
	if better := t.generated(e); better != nil && t.cost(better, 0) < t.cost(bins, 0) {
		bins = better
	}
	bins = t.refine(bins, e.refine)
	s.proven = t.proven
	return s.expand(bins, members)
}

func (s *solver) cost(bins []bin, toll fleet.Price) fleet.Price {
	var sum fleet.Price
	for i := range bins {
		sum += fleet.Price(bins[i].count) * (s.p.Offerings[bins[i].offering].Price + toll)
	}
	return sum
}

func instances(bins []bin) int {
	n := 0
	for i := range bins {
		n += bins[i].count
	}
	return n
}

// effort is what a solution may cost in steps, and how it is looked for.
type effort struct {
	search search
	dive   search
	items  int     // most in one master; more are packed in parts
	steps  int     // after which nothing new is begun
	refine float64 // how far above the bound it is good enough
}

var efforts = [...]effort{
	Fast:   {search: search{100, 200, 0.02, true}, dive: search{4, 16, 1e-3, false}, items: 150, steps: 24e6, refine: 0.025},
	Normal: {search: search{300, 400, 0.004, true}, dive: search{10, 16, 1e-4, false}, items: 400, steps: 600e6, refine: 0.002},
	High:   {search: search{1000, 800, 0.001, true}, dive: search{10, 16, 1e-4, false}, items: 1000, steps: 3000e6, refine: 0.0005},
}
