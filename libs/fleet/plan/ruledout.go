package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// ruledOut tells clause by clause what rules the offerings of the market out for a wish:
// each clause with the number of offerings and the cheapest of them, the commonest first.
func (d *draft) ruledOut(x *wish) []fleet.Ruling {
	var all tally
	for i := range d.market.offers {
		r, ok := d.market.shelf.Eligible(i, x.task)
		if ok {
			continue
		}
		all.add(cmp.Or(r.Clause, string(r.Kind)), i, d.market.offers[i].Price.USD(), r)
	}
	var rulings []fleet.Ruling
	for _, r := range all.commonest() {
		o := &d.market.offers[r.first]
		candidate := fmt.Sprintf("%s of launch spec %s", o.Key(), o.spec.Name)
		if r.count > 1 {
			candidate = fmt.Sprintf("%d offerings, such as %s", r.count, candidate)
		}
		rulings = append(rulings, fleet.Ruling{Candidate: candidate, Verdict: r.verdict(), Cost: o.Price})
	}
	return rulings
}

// tally counts candidates by what rules them out. Adding takes O(1).
type tally struct {
	list []ruled
	at   map[string]int // in the list
}

// ruled are candidates that the same clause rules out.
type ruled struct {
	by      string
	count   int
	first   int // of the candidates, by rank
	rank    float64
	refusal place.Refusal // of that one
}

func (t *tally) add(by string, candidate int, rank float64, r place.Refusal) {
	if t.at == nil {
		t.at = map[string]int{}
	}
	k, known := t.at[by]
	if !known {
		k = len(t.list)
		t.at[by] = k
		t.list = append(t.list, ruled{by: by, first: candidate, rank: rank, refusal: r})
	}
	x := &t.list[k]
	x.count++
	if rank < x.rank {
		x.first, x.rank, x.refusal = candidate, rank, r
	}
}

// commonest are the clauses that rule most candidates out.
func (t *tally) commonest() []ruled {
	const most = 6 // enough to see what is in the way, short enough to read
	slices.SortStableFunc(t.list, func(a, b ruled) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.by, b.by))
	})
	return t.list[:min(len(t.list), most)]
}

// verdict puts the refusal into words.
func (r *ruled) verdict() string {
	switch r.refusal.Kind {
	case place.KindAgent, place.KindCPU, place.KindMemory, place.KindGPU, place.KindENI:
		return r.refusal.Detail // it says what it is about
	default:
		return r.refusal.String()
	}
}

// leftBy is what each instance has left beside what it is to hold.
func (d *draft) leftBy(f *fresh) fleet.Resources {
	if len(f.together) > 0 {
		return fleet.Resources{}
	}
	left := d.market.shelf.Free(f.offer) // daemon tasks are on board
	for _, l := range f.loads {
		left = left.Sub(l.wish.task.Needs.Times(int64(l.count)))
	}
	return left
}
