package pack

import (
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// Warm solves problems that follow one another and differ little, as those of a planner do
// from tick to tick: it keeps the instances that it bought, other patterns that were good,
// and what each task was worth. That spares most of the search, and what was found once is
// not lost. The zero value is ready; it is not for concurrent use.
//
// What it keeps says what tasks and offerings are, not where a problem lists them. So all
// may change between two calls: a pattern whose offering is gone or too small now is
// dropped, one whose price changed is priced anew, and the bound is proved anew from the
// worths that were kept. An unchanged problem costs no more than before.
//
// A solution depends on the problems before it. What must be the same when it is replayed
// is solved by [Solve].
type Warm struct {
	bins     []keptBin // of the last solution
	patterns []keptBin // others, the most recent last
	worth    map[string]float64
}

// mostKept bounds the patterns that are kept. A master of some hundred shapes has as many
// in its basis; more would slow it down without lowering its cost.
const mostKept = 2000

// keptBin is a bin by what its offering and its content are.
type keptBin struct {
	offering offeringKey
	items    []keptItem
	count    int
}

type offeringKey struct {
	name string
	zone fleet.Zone
}

type keptItem struct {
	what  string
	count int
}

// Solve packs the items like the function Solve, and no dearer than what it packed for the
// same problem before.
func (w *Warm) Solve(p Problem) Solution { return solve(p, w) }

// identify says what each shape is. An item with conflicts has them with items that it
// knows by place: there its name stands for them.
func (s *solver) identify(of *solver, members [][]int) {
	s.names = make([]string, len(members))
	for x, list := range members {
		item := &of.p.Items[list[0]]
		s.names[x] = fmt.Sprint(item.Needs)
		if len(item.Keys) > 0 || s.conflicts != nil && slices.Contains(s.conflicts[x], true) {
			s.names[x] += fmt.Sprintf(" %q %q", item.Name, item.Keys)
		}
	}
}

// recall takes over what is of use from earlier problems: patterns, worths with the bound
// that they prove now, and the earlier solution as far as it still serves. It takes
// O(kept patterns · their items), and a search for the bound if the one at hand is not
// good enough.
func (s *solver) recall(w *Warm, bins []bin, e *effort) []bin {
	index := map[string][]int{} // shapes that are the same but for what may hold them
	for x, name := range s.names {
		if s.demand[x] > 0 {
			index[name] = append(index[name], x)
		}
	}
	offerings := map[offeringKey]int{}
	for _, o := range s.minimal {
		offerings[offeringKey{s.p.Offerings[o].Name, s.p.Offerings[o].Zone}] = o
	}
	for i := range w.patterns {
		if b, ok := s.revive(&w.patterns[i], index, offerings); ok {
			s.pool = append(s.pool, s.pattern(&b))
		}
	}
	left := slices.Clone(s.demand)
	var again []bin
	for i := range w.bins {
		b, ok := s.revive(&w.bins[i], index, offerings)
		if !ok {
			continue
		}
		s.pool = append(s.pool, s.pattern(&b))
		for _, h := range b.items {
			b.count = min(b.count, left[h.Item]/h.Count)
		}
		if b.count == 0 {
			continue
		}
		for _, h := range b.items {
			left[h.Item] -= b.count * h.Count
		}
		again = append(again, b)
	}
	if anything(left) {
		again = append(again, s.portfolio(left, 0, 0)...)
	}
	s.downsize(again)
	if s.cost(again, 0) <= s.cost(bins, 0) {
		bins = again
	}
	s.remember(w, e, float64(s.cost(bins, 0)))
	return bins
}

// remember takes over worths, and proves the bound that they give for the present demand
// and prices, unless a cost is near enough to the one that is proved already.
func (s *solver) remember(w *Warm, e *effort, cost float64) {
	if len(w.worth) == 0 {
		return
	}
	s.kept = slices.Clone(s.floor)
	var total float64
	for i, n := range s.demand {
		if v, ok := w.worth[s.names[i]]; ok && n > 0 {
			s.kept[i] = v
		}
		total += float64(s.kept[i] * float64(n))
	}
	s.worth = slices.Clone(s.kept)
	if cost <= s.proven*(1+e.refine) {
		return
	}
	s.until = s.work + e.steps/2
	found, ratio := s.price(s.demand, s.kept, pricing{width: 16, widest: e.search.widest, enough: 1, total: total})
	s.pool = append(s.pool, found...)
	s.keptBound = total / max(ratio, 1)
	s.proven = max(s.proven, s.keptBound)
}

// revive puts a kept bin into terms of the present problem, if it is still allowed to be.
func (s *solver) revive(k *keptBin, index map[string][]int, offerings map[offeringKey]int) (bin, bool) {
	o, ok := offerings[k.offering]
	if !ok {
		return bin{}, false
	}
	b := bin{offering: o, count: k.count}
	room := s.rooms[o]
	for _, h := range k.items {
		at := slices.IndexFunc(index[h.what], func(i int) bool { return s.fits[i][o] })
		if at < 0 {
			return bin{}, false
		}
		i := index[h.what][at]
		if s.copies(i, &room, h.count) < h.count || slices.ContainsFunc(b.items, func(x Held) bool { return x.Item == i || s.clash(x.Item, i) }) {
			return bin{}, false
		}
		for r := range s.dims {
			room[r] -= s.sizes[i][r] * int32(h.count)
		}
		b.items = append(b.items, Held{i, h.count})
	}
	slices.SortFunc(b.items, func(a, c Held) int { return a.Item - c.Item })
	return b, true
}

func (s *solver) pattern(b *bin) pattern {
	return pattern{offering: b.offering, price: float64(s.p.Offerings[b.offering].Price), items: b.items}
}

// keep notes what may serve the next problem.
func (w *Warm) keep(s *solver, bins []bin) {
	w.bins = w.bins[:0]
	for i := range bins {
		w.bins = append(w.bins, s.abstract(&bins[i]))
	}
	for i := range s.basis {
		w.patterns = append(w.patterns, s.abstract(&bin{offering: s.basis[i].offering, items: s.basis[i].items}))
	}
	w.patterns = slices.Clone(w.patterns[max(len(w.patterns)-mostKept, 0):])
	if s.worth == nil {
		return
	}
	w.worth = make(map[string]float64, len(s.names))
	for i, name := range s.names {
		w.worth[name] = max(w.worth[name], s.worth[i])
	}
}

// abstract says what is in a bin in terms that outlive the problem.
func (s *solver) abstract(b *bin) keptBin {
	off := &s.p.Offerings[b.offering]
	k := keptBin{offering: offeringKey{off.Name, off.Zone}, count: b.count}
	for _, h := range b.items {
		k.items = append(k.items, keptItem{s.names[h.Item], h.Count})
	}
	return k
}
