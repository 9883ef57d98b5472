package pack

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
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

// mostGreedy is how many steps greedy rules may take before no more of them are tried: where
// each takes long, column generation finds more in the same time.
const mostGreedy = 6e6

// portfolio packs a demand by several greedy rules and returns the cheapest result, or the
// first that costs no more than enough. Each instance costs toll more than its price.
func (s *solver) portfolio(demand []int, toll fleet.Price, enough float64) []bin {
	var best []bin
	lowest := fleet.Price(-1)
	try := func(worth []float64, first []int, slack float64) {
		bins := s.construct(demand, rule{worth, slack}, first, toll)
		s.learn(bins)
		s.downsize(bins)
		if c := s.cost(bins, toll); lowest < 0 || c < lowest || c == lowest && s.neater(bins, best) {
			best, lowest = bins, c
		}
	}
	for _, worth := range s.worths {
		try(worth, nil, 0)
	}
	for _, slack := range balances {
		try(s.worths[0], nil, slack)
	}
	// A single type throughout is sometimes best, where tasks tile it exactly.
	const mostSingles = 24 // spread over the sizes; each costs as much as a rule
	const few = 24         // instances, of which at equal cost one more or less counts
	step := max(len(s.minimal)/mostSingles, 1)
	s.learning = false // too many patterns slow the master down
	for i := 0; i < len(s.minimal) && s.work < mostGreedy && (float64(lowest) > enough || instances(best) <= few); i += step {
		try(s.worths[0], s.minimal[i:i+1], 0)
	}
	return best
}

// chance packs greedily with worths that are off by chance, so that tasks of nearly the
// same worth come in another order, until the cost is enough.
func (s *solver) chance(tries int, enough float64) []bin {
	const off = 0.2 // of the worth, up or down
	var best []bin
	rng := rand.New(rand.NewPCG(3, 4))
	worth := make([]float64, len(s.demand))
	for n := range tries {
		if s.work > mostGreedy {
			break
		}
		for i := range worth {
			worth[i] = float64(s.worths[0][i] * (1 + float64(2*off*(rng.Float64()-0.5))))
		}
		bins := s.construct(s.demand, rule{worth, balances[n%len(balances)]}, nil, 0)
		s.downsize(bins)
		if best == nil || s.cost(bins, 0) < s.cost(best, 0) {
			best = bins
		}
		if float64(s.cost(best, 0)) <= enough {
			break
		}
	}
	return best
}

// learn puts the contents of bins among the patterns that column generation begins with.
func (s *solver) learn(bins []bin) {
	if !s.learning {
		return
	}
	for _, b := range bins {
		s.pool = append(s.pool, pattern{offering: b.offering, price: float64(s.p.Offerings[b.offering].Price), items: b.items})
	}
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
func (s *solver) construct(demand []int, by rule, first []int, toll fleet.Price) []bin {
	left := slices.Clone(demand)
	var order []int
	for i, n := range left {
		if n > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(by.worth[b], by.worth[a]) })
	var bins []bin
	if len(first) > 0 {
		bins, order = s.buy(bins, first, order, left, by, toll)
	}
	bins, _ = s.buy(bins, s.shelf, order, left, by, toll)
	return bins
}

func (s *solver) buy(bins []bin, offerings, order, left []int, by rule, toll fleet.Price) ([]bin, []int) {
	var queue quotes
	for _, o := range offerings {
		if b, ok := s.stuff(o, order, left, by, toll); ok {
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
			again, ok := s.stuff(b.offering, order, left, by, toll)
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

// rule is how a bin is filled: the worth of each item, and how far the shares of resources
// left may drift apart; 0 is as far as they like.
type rule struct {
	worth []float64
	slack float64
}

// balances are the drifts that the portfolio tries: tight enough for the room to be used
// up in all resources at once, loose enough to place large items.
var balances = [...]float64{0.05, 0.1, 0.2, 0.4}

// stuff fills one bin: the most valuable items first, those that leave its resources in
// balance before others.
func (s *solver) stuff(o int, order, left []int, by rule, toll fleet.Price) (quote, bool) {
	room := s.rooms[o]
	b := quote{offering: o}
	if by.slack > 0 {
		s.blend(o, order, left, by.slack, &room, &b)
	}
	blended := len(b.items)
	for _, i := range order {
		if !s.fits[i][o] {
			continue
		}
		limit, at := left[i], -1
		for x := range blended {
			if b.items[x].Item == i {
				at = x
				limit -= b.items[x].Count
			}
		}
		if at >= 0 && s.once[i] {
			continue
		}
		n := s.copies(i, &room, limit)
		if n == 0 || s.knap.clash != nil && s.clashes(&b, i) {
			continue
		}
		for r := range s.dims {
			room[r] -= s.sizes[i][r] * int32(n)
		}
		if at >= 0 {
			b.items[at].Count += n
			continue
		}
		b.items = append(b.items, Held{i, n})
	}
	s.work += 4 * len(order)
	slices.SortFunc(b.items, func(a, c Held) int { return cmp.Compare(a.Item, c.Item) })
	for _, h := range b.items {
		b.rate += float64(by.worth[h.Item] * float64(h.Count))
	}
	b.rate /= float64(s.p.Offerings[o].Price + toll)
	return b, len(b.items) > 0
}

func (s *solver) clashes(b *quote, i int) bool {
	return slices.ContainsFunc(b.items, func(h Held) bool { return h.Item != i && s.clash(h.Item, i) })
}

// blend is the first pass over a bin: it takes no more of an item than keeps the shares of
// the resources that are left within slack of each other, or brings them closer.
func (s *solver) blend(o int, order, left []int, slack float64, room *size, b *quote) {
	var share multipliers // of one unit in the bin; 0 if the resource is worth nothing
	for r := range s.dims {
		if s.rooms[o][r] > 0 && s.scarce[o][r] {
			share[r] = 1 / float64(s.rooms[o][r])
		}
	}
	drift := 0.0
	for _, i := range order {
		if !s.fits[i][o] {
			continue
		}
		n := s.copies(i, room, left[i])
		if n == 0 || s.knap.clash != nil && s.clashes(b, i) {
			continue
		}
		var after float64
		for n > 0 {
			after = s.drift(room, &s.sizes[i], n, &share)
			if after <= slack || after <= drift || len(b.items) == 0 && n == 1 {
				break
			}
			n /= 2
		}
		if n == 0 {
			continue
		}
		drift = after
		for r := range s.dims {
			room[r] -= s.sizes[i][r] * int32(n)
		}
		b.items = append(b.items, Held{i, n})
	}
	s.work += 8 * len(order)
}

// drift is how far apart the shares of the resources are that n of a size leave.
func (s *solver) drift(room, of *size, n int, share *multipliers) float64 {
	low, high := 1.0, 0.0
	for r := range s.dims {
		if share[r] > 0 {
			f := float64(float64(room[r]-of[r]*int32(n)) * share[r])
			low, high = min(low, f), max(high, f)
		}
	}
	return max(high-low, 0)
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
