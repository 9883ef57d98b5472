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
	const most = 6 // enough to see what is in the way, short enough to read
	type ruled struct {
		by       string
		count    int
		cheapest int
		refusal  place.Refusal
	}
	var list []ruled
	at := map[string]int{}
	for i := range d.market.offers {
		r, ok := d.market.shelf.Eligible(i, x.task)
		if ok {
			continue
		}
		by := cmp.Or(r.Clause, string(r.Kind))
		k, known := at[by]
		if !known {
			k = len(list)
			at[by] = k
			list = append(list, ruled{by: by, cheapest: i, refusal: r})
		}
		list[k].count++
		if d.market.offers[i].Price < d.market.offers[list[k].cheapest].Price {
			list[k].cheapest, list[k].refusal = i, r
		}
	}
	slices.SortStableFunc(list, func(a, b ruled) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.by, b.by))
	})
	var rulings []fleet.Ruling
	for _, r := range list[:min(len(list), most)] {
		o := &d.market.offers[r.cheapest]
		candidate := fmt.Sprintf("%s of launch spec %s", o.Key(), o.spec.Name)
		if r.count > 1 {
			candidate = fmt.Sprintf("%d offerings, such as %s", r.count, candidate)
		}
		verdict := r.refusal.String()
		switch r.refusal.Kind {
		case place.KindCPU, place.KindMemory, place.KindGPU, place.KindENI:
			verdict = r.refusal.Detail // it names the resource
		default:
		}
		rulings = append(rulings, fleet.Ruling{Candidate: candidate, Verdict: verdict, Cost: o.Price})
	}
	return rulings
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
