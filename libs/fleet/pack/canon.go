package pack

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// canon is a problem in an order of its own, so that the order in which somebody happens
// to list items and offerings changes nothing.
type canon struct {
	p         Problem
	items     []int // by place: the index in the problem that was given
	offerings []int
}

func canonical(p Problem) canon {
	c := canon{p: p, items: order(len(p.Items)), offerings: order(len(p.Offerings))}
	slices.SortStableFunc(c.items, func(a, b int) int {
		x, y := &p.Items[a], &p.Items[b]
		return cmp.Or(compareNeeds(y.Needs, x.Needs), cmp.Compare(x.Name, y.Name), cmp.Compare(y.Count, x.Count))
	})
	slices.SortStableFunc(c.offerings, func(a, b int) int {
		x, y := &p.Offerings[a], &p.Offerings[b]
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Zone, y.Zone), cmp.Compare(x.Price, y.Price))
	})
	place := make([]int, len(p.Items)) // by index: its place
	for at, i := range c.items {
		place[i] = at
	}
	c.p.Items, c.p.Offerings = make([]Item, len(p.Items)), make([]Offering, len(p.Offerings))
	for at, o := range c.offerings {
		c.p.Offerings[at] = p.Offerings[o]
	}
	for at, i := range c.items {
		item := p.Items[i]
		if item.Allowed != nil {
			item.Allowed = make([]bool, len(p.Offerings))
			for x, o := range c.offerings {
				item.Allowed[x] = o < len(p.Items[i].Allowed) && p.Items[i].Allowed[o]
			}
		}
		if len(item.Avoid) > 0 {
			item.Avoid = slices.Clone(item.Avoid)
			for x, j := range item.Avoid {
				item.Avoid[x] = place[j]
			}
			slices.Sort(item.Avoid)
		}
		c.p.Items[at] = item
	}
	return c
}

// restore puts a solution into terms of the problem that was given.
func (c *canon) restore(s Solution) Solution {
	for x := range s.Instances {
		inst := &s.Instances[x]
		inst.Offering = c.offerings[inst.Offering]
		for a := range inst.Alternatives {
			inst.Alternatives[a] = c.offerings[inst.Alternatives[a]]
		}
		items := make([]Held, len(inst.Items))
		for h, held := range inst.Items {
			items[h] = Held{Item: c.items[held.Item], Count: held.Count}
		}
		slices.SortFunc(items, func(a, b Held) int { return cmp.Compare(a.Item, b.Item) })
		inst.Items = items
	}
	for x := range s.Unplaced {
		s.Unplaced[x].Item = c.items[s.Unplaced[x].Item]
	}
	slices.SortFunc(s.Unplaced, func(a, b Unplaced) int { return cmp.Or(cmp.Compare(a.Item, b.Item), cmp.Compare(a.Why, b.Why)) })
	return s
}

func order(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func compareNeeds(a, b fleet.Resources) int {
	return cmp.Or(cmp.Compare(a.CPUUnits, b.CPUUnits), cmp.Compare(a.MemoryMiB, b.MemoryMiB),
		cmp.Compare(a.GPUs, b.GPUs), cmp.Compare(a.ENIs, b.ENIs))
}

// shapes merges items that the same offerings hold in the same number: what is packed are
// shapes, however many services have tasks of one. It returns the merged problem, and for
// each of its items those that it stands for.
func (s *solver) shapes(p Problem) (Problem, [][]int) {
	avoided := make([]bool, len(p.Items))
	for i := range p.Items {
		for _, j := range p.Items[i].Avoid {
			avoided[i], avoided[j] = true, true
		}
	}
	merged := Problem{Offerings: p.Offerings, Effort: p.Effort}
	var members [][]int
	at := map[string]int{}
	place := make([]int, len(p.Items))
	for i := range p.Items {
		item := p.Items[i]
		key := fmt.Sprint("alone ", i)
		if len(item.Keys) == 0 && !avoided[i] {
			key = fmt.Sprint(item.Needs) + bits(item.Allowed)
		}
		x, ok := at[key]
		if !ok {
			x = len(merged.Items)
			at[key] = x
			item.Count = 0
			merged.Items = append(merged.Items, item)
			members = append(members, nil)
		}
		place[i] = x
		merged.Items[x].Count += s.demand[i]
		members[x] = append(members[x], i)
	}
	for x := range merged.Items {
		if avoid := merged.Items[x].Avoid; len(avoid) > 0 {
			merged.Items[x].Avoid = slices.Clone(avoid)
			for a, j := range avoid {
				merged.Items[x].Avoid[a] = place[j]
			}
		}
	}
	return merged, members
}

// bits writes a list of flags so that equal lists give equal texts.
func bits(flags []bool) string {
	text := make([]byte, (len(flags)+7)/8)
	for i, set := range flags {
		if set {
			text[i/8] |= 1 << (i % 8)
		}
	}
	return string(text)
}

// expand says of which items the shapes in bins are: the first come first.
func (s *solver) expand(bins []bin, members [][]int) []bin {
	left := slices.Clone(s.demand)
	var all []bin
	for _, b := range bins {
		for b.count > 0 {
			var items []Held
			taken := map[int]int{}
			for _, h := range b.items {
				need := h.Count
				for _, i := range members[h.Item] {
					if n := min(need, left[i]-taken[i]); n > 0 {
						items = append(items, Held{Item: i, Count: n})
						taken[i] += n
						need -= n
					}
				}
			}
			times := b.count
			for _, h := range items {
				times = min(times, left[h.Item]/h.Count)
			}
			for _, h := range items {
				left[h.Item] -= times * h.Count
			}
			all = append(all, bin{offering: b.offering, items: items, count: times})
			b.count -= times
		}
	}
	return all
}
