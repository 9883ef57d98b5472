package pack

import (
	"cmp"
	"container/heap"
	"math"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// quote is an offering with the bin of it that was filled last.
type quote struct {
	offering int
	rate     float64 // worth per price
	items    []Held
}

type quotes []quote

func (o quotes) Len() int { return len(o) }
func (o quotes) Less(a, b int) bool {
	return o[a].rate > o[b].rate || o[a].rate == o[b].rate && o[a].offering < o[b].offering
}
func (o quotes) Swap(a, b int) { o[a], o[b] = o[b], o[a] }
func (o *quotes) Push(x any)   { *o = append(*o, x.(quote)) }
func (o *quotes) Pop() any {
	last := (*o)[len(*o)-1]
	*o = (*o)[:len(*o)-1]
	return last
}

// portfolio packs a demand by several greedy rules and returns the cheapest result. Each
// instance costs toll more than its price.
func (s *solver) portfolio(demand []int, toll fleet.Price) []bin {
	var best []bin
	lowest := fleet.Price(-1)
	try := func(worth []float64, first []int) {
		bins := s.construct(demand, worth, first, toll)
		s.downsize(bins)
		if c := s.cost(bins, toll); lowest < 0 || c < lowest || c == lowest && s.neater(bins, best) {
			best, lowest = bins, c
		}
	}
	for _, worth := range s.worths {
		try(worth, nil)
	}
	// A single type throughout is sometimes best, where tasks tile it exactly.
	const mostSingles = 24 // spread over the sizes; each costs as much as a rule
	step := max(len(s.minimal)/mostSingles, 1)
	for i := 0; i < len(s.minimal); i += step {
		try(s.worths[0], s.minimal[i:i+1])
	}
	return best
}

// neater prefers, at equal cost, fewer instances; but as many as there are zones if tasks
// are to be spread over them.
func (s *solver) neater(a, b []bin) bool {
	x, y := instances(a), instances(b)
	if u, v := min(x, s.spread), min(y, s.spread); u != v {
		return u > v
	}
	return x < y
}

// construct packs greedily: it fills one bin of each offering with the most valuable tasks
// first, buys the one with the most worth per price as often as the demand allows, and so
// on. A bin is filled anew only when it comes to be the best and no longer fits what is
// left. The offerings in first, if any, are used while they hold anything. It takes
// O(items) for each bin that is filled.
func (s *solver) construct(demand []int, worth []float64, first []int, toll fleet.Price) []bin {
	left := slices.Clone(demand)
	var order []int
	for i, n := range left {
		if n > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(worth[b], worth[a]) })
	var bins []bin
	if len(first) > 0 {
		bins, order = s.buy(bins, first, order, left, worth, toll)
	}
	bins, _ = s.buy(bins, s.minimal, order, left, worth, toll)
	return bins
}

func (s *solver) buy(bins []bin, offerings, order, left []int, worth []float64, toll fleet.Price) ([]bin, []int) {
	var queue quotes
	for _, o := range offerings {
		if b, ok := s.stuff(o, order, left, worth, toll); ok {
			queue = append(queue, b)
		}
	}
	heap.Init(&queue)
	for len(queue) > 0 {
		b := &queue[0]
		n := math.MaxInt
		for _, h := range b.items {
			n = min(n, left[h.Item]/h.Count)
		}
		if n == 0 {
			again, ok := s.stuff(b.offering, order, left, worth, toll)
			if !ok {
				heap.Pop(&queue)
				continue
			}
			*b = again
			heap.Fix(&queue, 0)
			continue
		}
		gone := false
		for _, h := range b.items {
			left[h.Item] -= n * h.Count
			gone = gone || left[h.Item] == 0
		}
		if gone {
			order = slices.DeleteFunc(order, func(i int) bool { return left[i] == 0 })
		}
		bins = append(bins, bin{offering: b.offering, items: b.items, count: n})
	}
	return bins, order
}

// stuff fills one bin.
func (s *solver) stuff(o int, order, left []int, worth []float64, toll fleet.Price) (quote, bool) {
	room := s.rooms[o]
	b := quote{offering: o}
	for _, i := range order {
		if !s.fits[i][o] {
			continue
		}
		n := s.copies(i, &room, left[i])
		if n == 0 || s.knap.clash != nil && slices.ContainsFunc(b.items, func(h Held) bool { return s.clash(h.Item, i) }) {
			continue
		}
		for r := range s.dims {
			room[r] -= s.sizes[i][r] * int32(n)
		}
		b.items = append(b.items, Held{i, n})
		b.rate += float64(worth[i] * float64(n))
	}
	s.work += 4 * len(order)
	slices.SortFunc(b.items, func(a, c Held) int { return cmp.Compare(a.Item, c.Item) })
	b.rate /= float64(s.p.Offerings[o].Price + toll)
	return b, len(b.items) > 0
}

// downsize gives each bin the cheapest offering that holds what is in it.
func (s *solver) downsize(bins []bin) {
	for b := range bins {
		needs := s.needs(bins[b].items)
		for _, o := range s.minimal {
			if s.holds(o, bins[b].items, needs) {
				bins[b].offering = o
				break
			}
		}
	}
}

func (s *solver) needs(items []Held) fleet.Resources {
	var sum fleet.Resources
	for _, h := range items {
		sum = sum.Add(s.p.Items[h.Item].Needs.Times(int64(h.Count)))
	}
	return sum
}

func (s *solver) holds(o int, items []Held, needs fleet.Resources) bool {
	if !needs.Fits(s.p.Offerings[o].Capacity) {
		return false
	}
	for _, h := range items {
		if !s.fits[h.Item][o] {
			return false
		}
	}
	return true
}
