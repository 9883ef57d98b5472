package place

import "github.com/neap-project/neap/libs/fleet"

// rooms is a tree over nodes in some order: every vertex knows the most that is free on any
// of the leaves below it, so that parts without room are passed over. To set a leaf and to
// find the first with room take O(log n) as a rule.
type rooms struct {
	base int // position of the first leaf; a power of two
	most []space
}

// space is the most that any of some nodes has free: in each resource by itself, and of CPU
// and memory together, for one node may have much of this and another much of that.
type space struct {
	fleet.Resources
	both [len(balances)]int64 // the smaller of memory and of CPU times a balance
}

// balances are MiB for each CPU unit. A node holds something only if the smaller of its
// memory and its CPU times a balance is no less than that of what it holds, and where the
// balance is that of what it is to hold, this says it all. Instances and tasks have mostly
// one to eight.
var balances = [...]int64{1, 2, 4, 8}

func spaceOf(r fleet.Resources) space {
	s := space{Resources: r}
	for x, b := range balances {
		s.both[x] = min(b*r.CPUUnits, r.MemoryMiB)
	}
	return s
}

// holds reports whether there may be a node among them that holds so much.
func (s *space) holds(want *space) bool {
	for x := range want.both {
		if want.both[x] > s.both[x] {
			return false
		}
	}
	return want.CPUUnits <= s.CPUUnits && want.MemoryMiB <= s.MemoryMiB && want.GPUs <= s.GPUs && want.ENIs <= s.ENIs
}

func larger(a, b *space) space {
	s := space{Resources: most(a.Resources, b.Resources)}
	for x := range s.both {
		s.both[x] = max(a.both[x], b.both[x])
	}
	return s
}

// none is the room of a node that takes nothing: less than any need, zero included.
var none = fleet.Resources{CPUUnits: -1, MemoryMiB: -1, GPUs: -1, ENIs: -1}

// newRooms builds a tree of n leaves, O(n).
func newRooms(n int, leaf func(int) space) rooms {
	r := rooms{base: 1}
	for r.base < n {
		r.base *= 2
	}
	r.most = make([]space, 2*r.base)
	for i := range n {
		r.most[r.base+i] = leaf(i)
	}
	closed := spaceOf(none)
	for v := r.base + n; v < len(r.most); v++ {
		r.most[v] = closed
	}
	for v := r.base - 1; v >= 1; v-- {
		r.most[v] = larger(&r.most[2*v], &r.most[2*v+1])
	}
	return r
}

// set follows a change of a leaf.
func (r *rooms) set(leaf int, s space) {
	v := r.base + leaf
	r.most[v] = s
	for v /= 2; v >= 1; v /= 2 {
		m := larger(&r.most[2*v], &r.most[2*v+1])
		if m == r.most[v] {
			return
		}
		r.most[v] = m
	}
}

// holds reports whether there may be a leaf with room for so much.
func (r *rooms) holds(want *space) bool { return r.most[1].holds(want) }

// each calls yield for the leaves that have room, in order, until it returns false.
func (r *rooms) each(want *space, yield func(leaf int) bool) {
	for v := 1; ; {
		switch {
		case !r.most[v].holds(want):
		case v < r.base:
			v *= 2
			continue
		case !yield(v - r.base):
			return
		}
		for v&1 == 1 { // the last below its parent
			if v >>= 1; v <= 1 {
				return
			}
		}
		v++
	}
}
