package pack

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// zonePremium is how much more a zone may cost, in percent, and still be taken to spread
// tasks: zones at one price on-demand, nearly so on spot.
const zonePremium = 1

// finish turns bins into instances: zones are balanced, alternatives named, equal ones
// counted together.
func (s *solver) finish(bins []bin, unplaced []Unplaced) Solution {
	sol := Solution{Unplaced: unplaced}
	z := zones{opened: map[fleet.Zone]int{}, load: make([]map[fleet.Zone]int, len(s.p.Items))}
	for i := range s.p.Items {
		if s.p.Items[i].Spread != nil {
			z.load[i] = maps.Clone(s.p.Items[i].Spread)
		}
	}
	at := map[string]int{}
	placed := make([]int, len(s.p.Items))
	for _, b := range bins {
		slices.SortFunc(b.items, func(x, y Held) int { return cmp.Compare(x.Item, y.Item) })
		options := s.options(b)
		for range b.count {
			chosen := s.balance(options, b.items, &z)
			sol.Cost += s.p.Offerings[chosen].Price
			key := fmt.Sprint(chosen, b.items)
			if i, ok := at[key]; ok {
				sol.Instances[i].Count++
			} else {
				at[key] = len(sol.Instances)
				sol.Instances = append(sol.Instances, Instance{Offering: chosen, Alternatives: s.alternatives(chosen, options), Items: b.items, Count: 1})
			}
		}
		for _, h := range b.items {
			placed[h.Item] += h.Count * b.count
		}
	}
	sol.LowerBound = s.bound(placed)
	if slices.Equal(placed, s.demand) {
		sol.LowerBound = max(sol.LowerBound, fleet.Price(s.proven*(1-1e-9)))
	}
	return sol
}

// options are all offerings that hold what is in a bin, and cost little more than the
// cheapest, which comes first.
func (s *solver) options(b bin) []int {
	needs := s.needs(b.items)
	lowest := s.p.Offerings[b.offering].Price
	var options []int
	for o := range s.p.Offerings {
		off := &s.p.Offerings[o]
		if off.Price <= lowest+lowest*maxPremium/100 && s.noLarger(off, &s.p.Offerings[b.offering]) && s.holds(o, b.items, needs) {
			options = append(options, o)
		}
	}
	slices.SortFunc(options, func(x, y int) int {
		return cmp.Or(cmp.Compare(s.p.Offerings[x].Price, s.p.Offerings[y].Price), cmp.Compare(s.p.Offerings[x].Name, s.p.Offerings[y].Name))
	})
	return options
}

// noLarger reports whether an offering counts no more against the limits than another.
func (s *solver) noLarger(a, b *Offering) bool {
	return (s.p.Limits.VCPUs == 0 || a.VCPUs <= b.VCPUs) && (s.p.Limits.MemoryMiB == 0 || a.Memory <= b.Memory)
}

// zones is how tasks and instances are spread so far.
type zones struct {
	load   []map[fleet.Zone]int // by item
	opened map[fleet.Zone]int
}

// balance chooses among the options that cost the same the one in the zone that has the
// fewest of the tasks in the bin.
func (s *solver) balance(options []int, items []Held, z *zones) int {
	chosen, chosenLoad := -1, 0
	lowest := s.p.Offerings[options[0]].Price
	for _, o := range options {
		off := &s.p.Offerings[o]
		if off.Price > lowest+lowest*zonePremium/100 {
			break
		}
		load := 0
		for _, h := range items {
			load += z.load[h.Item][off.Zone] * h.Count
		}
		if chosen < 0 || load < chosenLoad ||
			load == chosenLoad && z.opened[off.Zone] < z.opened[s.p.Offerings[chosen].Zone] {
			chosen, chosenLoad = o, load
		}
	}
	zone := s.p.Offerings[chosen].Zone
	z.opened[zone]++
	for _, h := range items {
		if z.load[h.Item] != nil {
			z.load[h.Item][zone] += h.Count
		}
	}
	return chosen
}

// alternatives orders the other options of the same group by preference: the zone that
// was chosen first, then by price.
func (s *solver) alternatives(chosen int, options []int) []int {
	var same, other []int
	for _, o := range options {
		switch {
		case o == chosen || s.p.Offerings[o].Group != s.p.Offerings[chosen].Group:
		case s.p.Offerings[o].Zone == s.p.Offerings[chosen].Zone:
			same = append(same, o)
		default:
			other = append(other, o)
		}
	}
	all := append(same, other...)
	return all[:min(len(all), mostAlternatives)]
}

// Hold finds the cheapest offering that holds these items on one instance, and those that
// do nearly as well: what Solve would choose for a bin that it had filled so.
func Hold(p Problem, items []Held) (chosen int, alternatives []int, ok bool) {
	s := &solver{p: p}
	s.fits = make([][]bool, len(p.Items))
	for i := range p.Items {
		s.fits[i] = make([]bool, len(p.Offerings))
	}
	for _, h := range items {
		s.allow(h.Item)
	}
	needs, cheapest := s.needs(items), -1
	for o := range p.Offerings {
		if s.holds(o, items, needs) && (cheapest < 0 || p.Offerings[o].Price < p.Offerings[cheapest].Price) {
			cheapest = o
		}
	}
	if cheapest < 0 {
		return 0, nil, false
	}
	options := s.options(bin{offering: cheapest, items: items})
	return options[0], s.alternatives(options[0], options), true
}
