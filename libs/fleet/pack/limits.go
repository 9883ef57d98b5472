package pack

import (
	"cmp"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// fewer looks for a solution within the limit of instances, and says with what toll: each instance is charged a
// toll on top of its price, more and more, so that larger ones become the cheaper choice.
func (s *solver) fewer(bins []bin) (best []bin, charged fleet.Price) {
	var dearest fleet.Price
	for _, o := range s.minimal {
		dearest = max(dearest, s.p.Offerings[o].Price)
	}
	best = bins
	for toll := max(s.p.Offerings[s.minimal[0]].Price/4, 1); toll < 64*dearest; toll *= 2 {
		again := s.portfolio(s.demand, toll, 0)
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
	narrow.shelf = narrow.minimal
	of := make([]int, len(left))
	for i, n := range left {
		if s.p.Items[i].Later == tier && slices.ContainsFunc(narrow.minimal, func(o int) bool { return s.fits[i][o] }) {
			of[i] = n
		}
	}
	return narrow.portfolio(of, toll, 0)
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
