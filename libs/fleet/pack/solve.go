package pack

import (
	"cmp"
	"maps"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// solver is a problem on the way to its solution.
type solver struct {
	p          Problem
	fits       [][]bool // by item and offering: allowed, and large enough for one
	minimal    []int    // offerings worth looking at: not dominated, cheapest first
	shelf      []int    // those that greedy rules look at: of sizes that hardly differ, one
	demand     []int    // by item, what can be packed at all
	conflicts  [][]bool // by item and item; nil if there are none
	keys       [][]int  // by item: its keys as numbers
	keyCount   int
	spread     int // zones to spread over; 0 if nothing is to be spread
	components []component
	worths     [][]float64 // ways to value a task, one value per item each

	dims      int           // resources that matter
	sizes     []size        // by item
	rooms     []size        // by offering
	orders    [][]int       // by offering: the items that it may hold, largest first
	once      []bool        // by item: at most one in a bin
	prices    []multipliers // by offering: of its room, when it was looked at last
	knap      knapsack
	pool      []pattern         // that were found so far
	learning  bool              // greedy packings go to the pool
	proven    float64           // no packing of the whole demand costs less
	scarce    [][resources]bool // by offering: resources that have a price
	floor     []float64         // by item: the worth of its needs at the resource prices
	worth     []float64         // by item: what one more costs
	kept      []float64         // by item: its worth in problems before this one; nil if there are none
	keptBound float64           // that these worths prove
	names     []string          // by item: what it is, if anything is to be kept
	basis     []pattern         // that the masters of the whole demand bought
	work      int               // steps taken, of about 2 ns each
	until     int               // steps at which the search ends
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
func Solve(p Problem) Solution { return solve(p, nil) }

func solve(p Problem, w *Warm) Solution {
	c := canonical(p)
	s := &solver{p: c.p}
	unplaced := s.prepare()
	bins := s.pack(w)
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
	sol := c.restore(s.finish(bins, unplaced))
	sol.Steps = s.work
	return sol
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
	s.shelf = s.thin()
	s.components = s.split()
	s.worths = s.values()
	s.measure()
	return unplaced
}

// pack packs the demand as cheaply as the effort allows, limits apart. A greater effort
// goes through the lesser ones first, so that it never finds less.
func (s *solver) pack(w *Warm) []bin {
	merged, members := s.shapes(s.lend())
	t := &solver{p: merged, spread: s.spread}
	t.prepare()
	t.spread = s.spread
	most := min(int(s.p.Effort), len(efforts)-1)
	bins := t.begin()
	level := 0
	if w != nil {
		t.identify(s, members)
		bins, level = t.recall(w, bins, &efforts[most]), most
		defer func() { w.keep(t, bins) }()
	}
	for ; level <= most; level++ {
		if float64(t.cost(bins, 0)) <= t.proven*(1+efforts[most].refine) {
			break
		}
		bins = t.improve(bins, level)
	}
	s.proven, s.work = t.proven, s.work+t.work
	return s.expand(bins, members)
}

// begin packs greedily, and keeps what it finds for column generation.
func (s *solver) begin() []bin {
	s.proven = float64(s.bound(s.demand))
	s.learning = true
	bins := s.portfolio(s.demand, 0, s.proven*(1+efforts[Fast].refine))
	s.learning = false
	return bins
}

// improve does what an effort does beyond the lesser ones.
func (s *solver) improve(bins []bin, level int) []bin {
	e := &efforts[level]
	good := s.proven * (1 + e.refine)
	better := func(other []bin) {
		if other != nil && s.cost(other, 0) < s.cost(bins, 0) {
			bins = other
		}
	}
	better(s.chance(e.tries, good))
	if float64(s.cost(bins, 0)) <= good || level == int(Fast) && len(s.wanted()) > e.items {
		return bins // packed in parts and in haste, many shapes come out no cheaper
	}
	better(s.generated(e))
	return s.refine(bins, e.refine, uint64(level))
}

// lend writes the keys that most tasks hold as resources that no task needs: a task takes
// one, and an instance has one. That is what a key says, and a resource has a price: in the
// bound, in the worth of a task and in the search for patterns. Besides, tasks that differ
// in nothing are then one shape. It takes O(items · keys + offerings).
func (s *solver) lend() Problem {
	const share = 0.02 // of all tasks: a key held by fewer hardly matters to the price
	p := s.p
	free := []func(*fleet.Resources) *int64{
		func(r *fleet.Resources) *int64 { return &r.ENIs },
		func(r *fleet.Resources) *int64 { return &r.GPUs },
	}
	var total int
	held := map[string]int{}
	for i := range p.Items {
		total += s.demand[i]
		for _, key := range p.Items[i].Keys {
			held[key] += s.demand[i]
		}
		free = slices.DeleteFunc(free, func(of func(*fleet.Resources) *int64) bool { return *of(&p.Items[i].Needs) > 0 })
	}
	keys := slices.SortedFunc(maps.Keys(held), func(a, b string) int { return cmp.Or(cmp.Compare(held[b], held[a]), cmp.Compare(a, b)) })
	keys = keys[:min(len(keys), len(free))]
	keys = slices.DeleteFunc(keys, func(key string) bool { return float64(held[key]) < share*float64(total) })
	if len(keys) == 0 {
		return p
	}
	p.Items, p.Offerings = slices.Clone(p.Items), slices.Clone(p.Offerings)
	for x, key := range keys {
		for o := range p.Offerings {
			*free[x](&p.Offerings[o].Capacity) = 1
		}
		for i := range p.Items {
			if item := &p.Items[i]; slices.Contains(item.Keys, key) {
				*free[x](&item.Needs) = 1
				item.Keys = slices.DeleteFunc(slices.Clone(item.Keys), func(k string) bool { return k == key })
			}
		}
	}
	return p
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
	tries  int     // greedy packings by chance
	items  int     // most in one master; more are packed in parts
	steps  int     // after which nothing new is begun
	refine float64 // how far above the bound it is good enough
}

var efforts = [...]effort{
	Fast:   {search: search{100, 200, 0.02, true}, dive: search{4, 16, 1e-3, false}, tries: 8, items: 250, steps: 40e6, refine: 0.025},
	Normal: {search: search{300, 400, 0.004, true}, dive: search{10, 16, 1e-4, false}, tries: 30, items: 400, steps: 600e6, refine: 0.008},
	High:   {search: search{1000, 800, 0.001, true}, dive: search{10, 16, 1e-4, false}, tries: 30, items: 1000, steps: 3000e6, refine: 0.0005},
}
