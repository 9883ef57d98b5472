package pack

import (
	"cmp"
	"slices"

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
}

// bin is a number of equal instances, filled.
type bin struct {
	offering int
	items    []Held
	count    int
}

// Solve packs. It always returns a feasible solution: what cannot be packed is listed with
// the reason. The same problem has the same solution.
func Solve(p Problem) Solution {
	s := &solver{p: p, demand: make([]int, len(p.Items))}
	var unplaced []Unplaced
	s.fits = make([][]bool, len(p.Items))
	for i := range p.Items {
		why, ok := s.allow(i)
		switch {
		case p.Items[i].Count <= 0:
		case ok:
			s.demand[i] = p.Items[i].Count
		default:
			unplaced = append(unplaced, Unplaced{Item: i, Count: p.Items[i].Count, Why: why})
		}
	}
	s.index()
	s.dropDominated()
	s.components = s.split()
	s.worths = s.values()

	bins := s.portfolio(s.demand, 0)
	bins = s.polish(bins, 0)
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
	slices.SortFunc(unplaced, func(a, b Unplaced) int { return cmp.Or(cmp.Compare(a.Item, b.Item), cmp.Compare(a.Why, b.Why)) })
	return s.finish(bins, unplaced)
}

// allow notes which offerings hold the item, and says why none does.
func (s *solver) allow(i int) (Why, bool) {
	item := &s.p.Items[i]
	s.fits[i] = make([]bool, len(s.p.Offerings))
	why, ok := WhyNoOffering, false
	for o := range s.p.Offerings {
		off := &s.p.Offerings[o]
		if off.Price <= 0 || off.Capacity.Negative() || item.Allowed != nil && !item.Allowed[o] {
			continue
		}
		if item.Needs.Fits(off.Capacity) {
			s.fits[i][o], ok = true, true
		} else {
			why = WhyTooLarge
		}
	}
	return why, ok
}

// index numbers the keys, makes the conflicts mutual, and counts the zones.
func (s *solver) index() {
	numbers := map[string]int{}
	s.keys = make([][]int, len(s.p.Items))
	for i := range s.p.Items {
		for _, key := range s.p.Items[i].Keys {
			if _, ok := numbers[key]; !ok {
				numbers[key] = len(numbers)
			}
			s.keys[i] = append(s.keys[i], numbers[key])
		}
		if len(s.p.Items[i].Avoid) > 0 && s.conflicts == nil {
			s.conflicts = make([][]bool, len(s.p.Items))
			for j := range s.conflicts {
				s.conflicts[j] = make([]bool, len(s.p.Items))
			}
		}
		for _, j := range s.p.Items[i].Avoid {
			s.conflicts[i][j], s.conflicts[j][i] = true, true
		}
	}
	s.keyCount = len(numbers)
	if slices.ContainsFunc(s.p.Items, func(i Item) bool { return i.Spread != nil }) {
		zones := map[fleet.Zone]bool{}
		for o := range s.p.Offerings {
			zones[s.p.Offerings[o].Zone] = true
		}
		s.spread = len(zones)
	}
}

// dropDominated keeps the offerings that may be part of a cheapest solution: another that
// costs no more, has as much of everything and may hold the same items makes one needless.
func (s *solver) dropDominated() {
	order := make([]int, 0, len(s.p.Offerings))
	holds := make([]int, len(s.p.Offerings)) // how many items each may hold
	for o := range s.p.Offerings {
		for i := range s.p.Items {
			if s.demand[i] > 0 && s.fits[i][o] {
				holds[o]++
			}
		}
		if holds[o] > 0 {
			order = append(order, o)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &s.p.Offerings[a], &s.p.Offerings[b]
		return cmp.Or(
			cmp.Compare(x.Price, y.Price), cmp.Compare(holds[b], holds[a]),
			cmp.Compare(y.Capacity.MemoryMiB, x.Capacity.MemoryMiB), cmp.Compare(y.Capacity.CPUUnits, x.Capacity.CPUUnits),
			cmp.Compare(x.Name, y.Name))
	})
	for _, o := range order {
		if !slices.ContainsFunc(s.minimal, func(kept int) bool { return holds[kept] >= holds[o] && s.dominates(kept, o) }) {
			s.minimal = append(s.minimal, o)
		}
	}
}

// dominates assumes that a costs no more than b.
func (s *solver) dominates(a, b int) bool {
	if !s.p.Offerings[b].Capacity.Fits(s.p.Offerings[a].Capacity) {
		return false
	}
	for i := range s.p.Items {
		if s.demand[i] > 0 && s.fits[i][b] && !s.fits[i][a] {
			return false
		}
	}
	return true
}

// polish takes the bins that give the least for their price, empties them and packs what
// was in them again, as long as that saves money.
func (s *solver) polish(bins []bin, toll fleet.Price) []bin {
	const rounds = 6 // each must save; more than a few seldom do
	for range rounds {
		better := false
		for _, k := range [...]int{2, 3, 5, 8} { // small sets close gaps, larger ones mix types anew
			if again, ok := s.repack(bins, k, toll); ok {
				bins, better = again, true
			}
		}
		if !better {
			break
		}
	}
	return bins
}

func (s *solver) repack(bins []bin, k int, toll fleet.Price) ([]bin, bool) {
	if instances(bins) < 2 {
		return bins, false
	}
	worth := s.worths[0]
	order := make([]int, len(bins))
	for i := range order {
		order[i] = i
	}
	rate := func(b *bin) float64 {
		var sum float64
		for _, h := range b.items {
			sum += float64(worth[h.Item] * float64(h.Count))
		}
		return sum / float64(s.p.Offerings[b.offering].Price)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rate(&bins[a]), rate(&bins[b])) })
	demand := make([]int, len(s.p.Items))
	kept := slices.Clone(bins)
	var before fleet.Price
	for _, i := range order {
		n := min(k, kept[i].count)
		if n == 0 {
			break
		}
		k -= n
		kept[i].count -= n
		before += fleet.Price(n) * (s.p.Offerings[kept[i].offering].Price + toll)
		for _, h := range kept[i].items {
			demand[h.Item] += n * h.Count
		}
	}
	again := s.portfolio(demand, toll)
	if s.cost(again, toll) >= before {
		return bins, false
	}
	kept = slices.DeleteFunc(kept, func(b bin) bool { return b.count == 0 })
	return append(kept, again...), true
}

// fewer looks for a solution within the limit of instances, and says with what toll: each instance is charged a
// toll on top of its price, more and more, so that larger ones become the cheaper choice.
func (s *solver) fewer(bins []bin) (best []bin, charged fleet.Price) {
	var dearest fleet.Price
	for _, o := range s.minimal {
		dearest = max(dearest, s.p.Offerings[o].Price)
	}
	best = bins
	for toll := max(s.p.Offerings[s.minimal[0]].Price/4, 1); toll < 64*dearest; toll *= 2 {
		again := s.polish(s.portfolio(s.demand, toll), toll)
		if instances(again) < instances(best) {
			best, charged = again, toll
		}
		if instances(best) <= s.p.Limits.Instances {
			break
		}
	}
	return best, charged
}

// usage is what counts against the limits.
type usage struct{ instances, vcpus, memory int64 }

func (s *solver) usage(bins []bin) usage {
	var u usage
	for i := range bins {
		n, off := int64(bins[i].count), &s.p.Offerings[bins[i].offering]
		u.instances, u.vcpus, u.memory = u.instances+n, u.vcpus+n*off.VCPUs, u.memory+n*off.Memory
	}
	return u
}

func (s *solver) within(bins []bin) bool {
	u, lim := s.usage(bins), s.p.Limits
	return (lim.Instances == 0 || u.instances <= int64(lim.Instances)) &&
		(lim.VCPUs == 0 || u.vcpus <= lim.VCPUs) && (lim.MemoryMiB == 0 || u.memory <= lim.MemoryMiB)
}

// trim packs anew within the limits: the most important items first, each time with the
// offerings that the limits still have room for. It returns what is left out, by item.
func (s *solver) trim(toll fleet.Price) (kept []bin, left []int) {
	left = slices.Clone(s.demand)
	var tiers []int
	for i := range s.p.Items {
		tiers = append(tiers, s.p.Items[i].Later)
	}
	slices.Sort(tiers)
	for _, tier := range slices.Compact(tiers) {
		for {
			more := s.accept(kept, s.portfolioOf(tier, left, kept, toll))
			if len(more) == 0 {
				break
			}
			for _, b := range more {
				for _, h := range b.items {
					left[h.Item] -= h.Count * b.count
				}
			}
			kept = append(kept, more...)
		}
	}
	return kept, left
}

// portfolioOf packs what is left of a tier into offerings that are within the limits.
func (s *solver) portfolioOf(tier int, left []int, kept []bin, toll fleet.Price) []bin {
	narrow := *s
	narrow.minimal = nil
	for _, o := range s.minimal {
		if s.within(append(slices.Clip(kept), bin{offering: o, count: 1})) {
			narrow.minimal = append(narrow.minimal, o)
		}
	}
	of := make([]int, len(left))
	for i, n := range left {
		if s.p.Items[i].Later == tier && slices.ContainsFunc(narrow.minimal, func(o int) bool { return s.fits[i][o] }) {
			of[i] = n
		}
	}
	return narrow.portfolio(of, toll)
}

// accept takes as many of the bins as the limits allow, the most valuable first.
func (s *solver) accept(kept, bins []bin) []bin {
	worth := func(b *bin) float64 {
		var sum float64
		for _, h := range b.items {
			sum += float64(s.worths[0][h.Item] * float64(h.Count))
		}
		return sum
	}
	slices.SortStableFunc(bins, func(a, b bin) int {
		return cmp.Or(cmp.Compare(worth(&b), worth(&a)), cmp.Compare(a.offering, b.offering))
	})
	u, lim := s.usage(kept), s.p.Limits
	room := func(limit, used, each int64) int64 {
		if limit == 0 || each == 0 {
			return 1 << 40
		}
		return max(limit-used, 0) / each
	}
	var taken []bin
	for _, b := range bins {
		off := &s.p.Offerings[b.offering]
		n := min(int64(b.count), room(int64(lim.Instances), u.instances, 1), room(lim.VCPUs, u.vcpus, off.VCPUs), room(lim.MemoryMiB, u.memory, off.Memory))
		if b.count = int(n); n > 0 {
			u = usage{u.instances + n, u.vcpus + n*off.VCPUs, u.memory + n*off.Memory}
			taken = append(taken, b)
		}
	}
	return taken
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
