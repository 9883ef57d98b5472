package pack

import (
	"cmp"
	"math"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

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

// thin leaves out offerings that hardly differ in size from a smaller one and hold the same
// tasks at the same price for each resource, where there are many: a market with a size for
// each vCPU has them. Bins come down to the size that they need in the end.
//
// Complexity, n items, m offerings that are not dominated: O(n·m + m·k), k kinds of them.
func (s *solver) thin() []int {
	const (
		many = 300  // a real market has fewer, and its sizes double
		step = 1.08 // between two sizes
		same = 0.01 // difference of prices for a resource
	)
	if len(s.minimal) <= many {
		return s.minimal
	}
	type kind struct {
		holds string
		zone  fleet.Zone
	}
	last := map[kind][]int{} // of each kind, the largest of each mixture so far
	var shelf []int
	for _, o := range s.minimal {
		off := &s.p.Offerings[o]
		holds := make([]byte, (len(s.p.Items)+7)/8)
		for i := range s.p.Items {
			if s.fits[i][o] {
				holds[i/8] |= 1 << (i % 8)
			}
		}
		k := kind{string(holds), off.Zone}
		at := slices.IndexFunc(last[k], func(p int) bool { return alike(vector(s.p.Offerings[p].Capacity), s.p.Offerings[p].Price, off, same) })
		switch {
		case at < 0:
			last[k] = append(last[k], o)
		case float64(off.Price) < float64(step*float64(s.p.Offerings[last[k][at]].Price)):
			continue
		default:
			last[k][at] = o
		}
		shelf = append(shelf, o)
	}
	return shelf
}

// alike reports whether an offering has as much of each resource for its price as another.
func alike(have [resources]float64, price fleet.Price, off *Offering, within float64) bool {
	scale := float64(off.Price) / float64(price)
	for r, n := range vector(off.Capacity) {
		if math.Abs(n-have[r]*scale) > within*n+1 {
			return false
		}
	}
	return true
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

// order lists the items that an offering may hold, those first that take the largest share
// of it. It is made when it is asked for: greedy rules do without.
func (s *solver) order(o int) []int {
	if s.orders[o] != nil {
		return s.orders[o]
	}
	order := make([]int, 0, len(s.p.Items))
	share := make([]float64, len(s.p.Items))
	for i := range s.p.Items {
		if s.demand[i] == 0 || !s.fits[i][o] {
			continue
		}
		order = append(order, i)
		for r := range s.dims {
			share[i] += float64(s.sizes[i][r]) / float64(max(s.rooms[o][r], 1))
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(share[b], share[a]) })
	s.orders[o] = order
	return order
}

// measure brings items and offerings into the form that the inner loops work on.
func (s *solver) measure() {
	var used [resources]bool
	for i := range s.p.Items {
		for r, n := range vector(s.p.Items[i].Needs) {
			used[r] = used[r] || n > 0 && s.demand[i] > 0
		}
	}
	var place [resources]int // of a resource that matters
	for r, at := 0, 0; r < resources; r++ {
		if place[r] = at; used[r] {
			at++
		}
	}
	pick := func(v [resources]float64) (out size) {
		s.dims = 0
		for r := range resources {
			if used[r] {
				out[s.dims] = int32(min(v[r], math.MaxInt32))
				s.dims++
			}
		}
		return out
	}
	s.sizes, s.once = make([]size, len(s.p.Items)), make([]bool, len(s.p.Items))
	for i := range s.p.Items {
		s.sizes[i] = pick(vector(s.p.Items[i].Needs))
		s.once[i] = len(s.keys[i]) > 0 || s.conflicts != nil && s.conflicts[i][i]
	}
	s.rooms, s.prices = make([]size, len(s.p.Offerings)), make([]multipliers, len(s.p.Offerings))
	s.orders = make([][]int, len(s.p.Offerings))
	for _, o := range s.minimal {
		s.rooms[o] = pick(vector(s.p.Offerings[o].Capacity))
	}
	s.scarce = make([][resources]bool, len(s.p.Offerings))
	for _, part := range s.components {
		for x, o := range part.offerings {
			for r, price := range part.price[part.highest[x]] {
				if used[r] && price > 0 {
					s.scarce[o][place[r]] = true
				}
			}
		}
	}
	s.floor = make([]float64, len(s.p.Items))
	for _, part := range s.components {
		for x, i := range part.items {
			s.floor[i] = worth(part.price[part.class[x]], s.p.Items[i].Needs)
		}
	}
	s.knap.dims = s.dims
	if s.conflicts != nil || s.keyCount > 0 {
		s.knap.clash = s.clash
	}
}
