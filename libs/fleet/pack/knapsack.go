package pack

import "math"

// size is what a task needs or a bin offers, in the resources that matter to a problem.
type size [resources]int32

func (a *size) fits(room *size, dims int) bool {
	for r := range dims {
		if a[r] > room[r] {
			return false
		}
	}
	return true
}

// copies is how many of a fit into a room, at most limit.
func (a *size) copies(room *size, dims, limit int) int {
	n := int32(min(limit, math.MaxInt32))
	for r := range dims {
		if a[r] > 0 {
			n = min(n, room[r]/a[r])
		}
	}
	return int(max(n, 0))
}

// load is an item as one bin sees it.
type load struct {
	item  int
	size  size
	most  int // copies in one bin: the demand, or 1
	value float64
}

// ceiling is an upper bound of what the loads from each on add to a bin, for any room:
// price·room + rest[first load].
type ceiling struct {
	price multipliers
	rest  []float64 // Σ most·max(0, value − price·size) over the loads from each on
}

// ceilings are several of them; the lowest counts.
type ceilings struct {
	dims  int
	list  []ceiling
	spare []float64
}

// mostCeilings bounds the ceilings of one bin: each costs a multiplication for every
// resource of every choice.
const mostCeilings = 8

func (c *ceilings) add(price multipliers, loads []load) *ceiling {
	if len(c.list) == mostCeilings { // the first two are for the whole bin and stay
		c.list = append(c.list[:2], c.list[3:]...)
	}
	n := len(loads) + 1
	if len(c.spare) < n {
		c.spare = make([]float64, n*mostCeilings)
	}
	rest := c.spare[:n:n]
	c.spare = c.spare[n:]
	rest[n-1] = 0
	for j := n - 2; j >= 0; j-- {
		rest[j] = rest[j+1]
		if gain := loads[j].value - price.worth(&loads[j].size, c.dims); gain > 0 {
			rest[j] += float64(gain * float64(loads[j].most))
		}
	}
	c.list = append(c.list, ceiling{price, rest})
	return &c.list[len(c.list)-1]
}

// of is the most that loads[from:] can add to a bin with this room.
func (c *ceilings) of(room *size, from int) float64 {
	best := math.Inf(1)
	if c.dims == 2 { // nearly always: CPU and memory
		x, y := float64(room[0]), float64(room[1])
		for i := range c.list {
			l := &c.list[i]
			if b := float64(l.price[0]*x) + float64(l.price[1]*y) + l.rest[from]; b < best {
				best = b
			}
		}
		return best
	}
	for i := range c.list {
		best = min(best, c.list[i].price.worth(room, c.dims)+c.list[i].rest[from])
	}
	return best
}

// tightenEvery is after how many loads prices of room are looked for anew.
const tightenEvery = 3

// choice is a partial filling of a bin, as a link in a chain of choices.
type choice struct {
	value float64
	room  size
	bound float64 // value and the most that can still come
	load  int32   // taken last; -1 at the beginning
	count int32
	from  int32 // index in the trail of the choice before
}

// filling is what a bin holds, and its worth.
type filling struct {
	items []Held
	value float64
}

// mostFillings is how many fillings of one bin are returned: the best, and those that were
// the best before it was found.
const mostFillings = 3

// knapsack finds fillings of one bin. Its buffers are used again and again.
type knapsack struct {
	dims  int
	clash func(a, b int) bool // whether two items exclude one another; nil if none do
	work  int                 // choices looked at, ever
	buf   []load              // for the caller

	loads    []load
	width    int
	quick    bool
	top      *ceilings
	trail    []choice
	now, new []choice
	better   []int32 // in the trail: each the best so far
	best     float64
	cut      float64 // no more is looked for than exceeds it
	dropped  float64 // the greatest bound of what was dropped for lack of width
}

// fill finds the most valuable filling by dynamic programming over the loads, largest
// first, keeping at most width partial fillings: those that may still become the best, less
// those that another one dominates. It returns the best fillings, and an upper bound of the
// value of any. Fillings that do not exceed floor are not looked for: the bound is floor at
// least. A quick search tries some numbers of each load only, and proves nothing.
//
// It takes O(loads · width · (copies · ceilings + width)).
func (k *knapsack) fill(room size, loads []load, width int, floor float64, quick bool, top *ceilings) ([]filling, float64) {
	k.loads, k.width, k.quick, k.top = loads, width, quick, top
	k.trail, k.better = k.trail[:0], k.better[:0]
	k.best, k.cut, k.dropped = 0, floor, floor
	k.now = append(k.now[:0], choice{room: room, load: -1, from: -1, bound: top.of(&room, 0)})
	for j := range loads {
		k.new = k.new[:0]
		for i := range k.now {
			if c := &k.now[i]; c.bound > k.cut {
				k.branch(c, j)
			}
		}
		k.now, k.new = k.new, k.now
		if !quick && len(k.now) > 2 && j%tightenEvery == 1 && j+2 < len(loads) {
			k.tighten(j + 1)
		}
	}
	bound := top.of(&room, 0)
	if !quick {
		bound = min(bound, max(k.dropped, k.best))
	}
	return k.fillings(), bound
}

// branch adds every number of a load that fits to a partial filling.
func (k *knapsack) branch(c *choice, j int) {
	const few = 3 // up to so many are all tried
	l := &k.loads[j]
	most := l.size.copies(&c.room, k.dims, l.most)
	if most > 0 && k.clash != nil && k.excluded(c, l.item) {
		most = 0
	}
	at := int32(-1)
	for n := 0; n <= most; n++ {
		if k.quick && most > few && n != 0 && n != most/2 && n < most-1 {
			continue
		}
		k.work++
		d := *c
		if n > 0 {
			if at < 0 {
				at = int32(len(k.trail))
				k.trail = append(k.trail, *c)
			}
			for r := range k.dims {
				d.room[r] -= l.size[r] * int32(n)
			}
			d.value += float64(l.value * float64(n))
			d.load, d.count, d.from = int32(j), int32(n), at
		}
		d.bound = d.value + k.top.of(&d.room, j+1)
		if d.bound <= k.cut {
			continue
		}
		if d.value > k.best {
			k.best = d.value
			k.better = append(k.better, int32(len(k.trail)))
			k.trail = append(k.trail, d)
			k.cut = max(k.cut, k.best)
		}
		k.keep(&d)
	}
}

// fillings are the best filling and those before it.
func (k *knapsack) fillings() []filling {
	var list []filling
	for x := len(k.better) - 1; x >= 0 && len(list) < mostFillings; x-- {
		c := &k.trail[k.better[x]]
		f := filling{value: c.value}
		for ; c.load >= 0; c = &k.trail[c.from] {
			f.items = append(f.items, Held{Item: k.loads[c.load].item, Count: int(c.count)})
		}
		list = append(list, f)
	}
	return list
}

// tighten finds prices of room that suit the most promising choice, and applies them to
// all.
func (k *knapsack) tighten(from int) {
	const gain = 8 // it must close a part in so many of what the bound exceeds the cut by
	c := &k.now[0]
	price := relax(k.loads[from:], &c.room, k.dims)
	k.work += len(k.loads) - from
	ceil := k.top.add(price, k.loads)
	if b := c.value + ceil.price.worth(&c.room, k.dims) + ceil.rest[from]; b > c.bound-(c.bound-k.cut)/gain {
		k.top.list = k.top.list[:len(k.top.list)-1]
		return
	}
	for i := range k.now {
		d := &k.now[i]
		d.bound = min(d.bound, d.value+ceil.price.worth(&d.room, k.dims)+ceil.rest[from])
	}
}

// keep puts a choice among the most promising ones, which stand in order, unless another
// dominates it.
func (k *knapsack) keep(d *choice) {
	width := k.width
	if len(k.new) == width && d.bound <= k.new[width-1].bound {
		k.dropped = max(k.dropped, d.bound)
		return
	}
	at := len(k.new)
	for at > 0 && (d.bound > k.new[at-1].bound || d.bound == k.new[at-1].bound && d.value > k.new[at-1].value) {
		at--
	}
	if k.clash == nil {
		for x := range at {
			if c := &k.new[x]; c.value >= d.value && d.room.fits(&c.room, k.dims) {
				return
			}
		}
	}
	if len(k.new) == width {
		k.dropped = max(k.dropped, k.new[width-1].bound)
		k.new = k.new[:width-1]
	}
	k.work += (len(k.new) - at) / 8 // moving eight costs about as much as looking at one
	k.new = append(k.new, choice{})
	copy(k.new[at+1:], k.new[at:])
	k.new[at] = *d
}

// excluded reports whether something in a partial filling excludes an item.
func (k *knapsack) excluded(c *choice, item int) bool {
	for at := *c; at.load >= 0; at = k.trail[at.from] {
		if k.clash(k.loads[at.load].item, item) {
			return true
		}
	}
	return false
}
