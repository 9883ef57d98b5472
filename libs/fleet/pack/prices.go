package pack

import (
	"math"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// resources is the number of resources that have a price.
const resources = 4

func vector(r fleet.Resources) [resources]float64 {
	return [resources]float64{float64(r.CPUUnits), float64(r.MemoryMiB), float64(r.GPUs), float64(r.ENIs)}
}

// component is a set of items that compete for the same offerings, with the prices that a
// unit of each resource is worth to them.
//
// Not every item can use the cheapest unit: that of a small instance is of no use to a large
// task. So items are in classes by the cheapest offering that holds them, and the prices
// rise from class to class. An offering pays those of the highest class that it may hold.
type component struct {
	items     []int
	offerings []int
	class     []int                // by item in items
	highest   []int                // by offering in offerings: the class of what it may hold
	price     [][resources]float64 // by class
}

// mostClasses bounds the size of the linear program that finds the prices; more of them
// hardly raise the bound.
const mostClasses = 8

// split partitions the items: two belong together if an offering may hold both. Bounds of
// the parts add up, which is how a task that must be on-demand is not priced as spot.
func (s *solver) split() []component {
	root := make([]int, len(s.p.Items))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			root[i] = root[root[i]]
			i = root[i]
		}
		return i
	}
	for _, o := range s.minimal {
		first := -1
		for i := range s.p.Items {
			if s.demand[i] == 0 || !s.fits[i][o] {
				continue
			}
			if first < 0 {
				first = find(i)
			}
			root[max(first, find(i))] = min(first, find(i))
			first = find(first)
		}
	}
	var parts []component
	at := map[int]int{}
	for i := range s.p.Items {
		if s.demand[i] == 0 {
			continue
		}
		r := find(i)
		if _, ok := at[r]; !ok {
			at[r] = len(parts)
			parts = append(parts, component{})
		}
		parts[at[r]].items = append(parts[at[r]].items, i)
	}
	for c := range parts {
		part := &parts[c]
		for _, o := range s.minimal {
			if slices.ContainsFunc(part.items, func(i int) bool { return s.fits[i][o] }) {
				part.offerings = append(part.offerings, o)
			}
		}
		s.classify(part)
		s.resourcePrices(part)
	}
	return parts
}

// classify puts the items of a component into classes, about as many offerings apart.
func (s *solver) classify(part *component) {
	at := make([]int, len(s.p.Offerings)) // by offering: its place in the component
	for x, o := range part.offerings {
		at[o] = x
	}
	var firsts []int // of the items, each once
	for _, i := range part.items {
		firsts = append(firsts, at[s.cheapest(i)])
	}
	part.class = slices.Clone(firsts)
	slices.Sort(firsts)
	firsts = slices.Compact(firsts)
	n := min(len(firsts), mostClasses)
	for x, first := range part.class {
		place, _ := slices.BinarySearch(firsts, first)
		part.class[x] = place * n / len(firsts)
	}
	part.price = make([][resources]float64, n)
	part.highest = make([]int, len(part.offerings))
	for x, o := range part.offerings {
		for y, i := range part.items {
			if s.fits[i][o] {
				part.highest[x] = max(part.highest[x], part.class[y])
			}
		}
	}
}

// resourcePrices maximises the worth of the demand over prices under which no offering
// holds more worth than it costs. It is a linear program whose variables are, for each
// resource, by how much its price rises from each class to the next.
func (s *solver) resourcePrices(part *component) {
	var scale [resources]float64
	for _, o := range part.offerings {
		for r, n := range vector(s.p.Offerings[o].Capacity) {
			scale[r] = max(scale[r], n, 1)
		}
	}
	goal := make([]float64, len(part.price)*resources+1)
	for x, i := range part.items {
		for r, need := range vector(s.p.Items[i].Needs) {
			for class := range part.class[x] + 1 {
				goal[class*resources+r] += float64(need*float64(s.demand[i])) / scale[r]
			}
		}
	}
	rows := make([][]float64, len(part.offerings))
	for x, o := range part.offerings {
		rows[x] = make([]float64, len(goal))
		rows[x][len(goal)-1] = float64(s.p.Offerings[o].Price)
		for r, n := range vector(s.p.Offerings[o].Capacity) {
			for class := range part.highest[x] + 1 {
				rows[x][class*resources+r] = n / scale[r]
			}
		}
	}
	s.work += 8 * len(rows) * len(goal)
	rise := maximise(goal, rows)
	for class := range part.price {
		for r := range resources {
			part.price[class][r] = rise[class*resources+r] / scale[r]
			if class > 0 {
				part.price[class][r] += part.price[class-1][r]
			}
		}
	}
	s.valid(part)
}

// valid scales prices down until no offering holds more worth than it costs, so that the
// bound holds whatever rounding did before.
func (s *solver) valid(part *component) {
	ratio := 1.0
	for x, o := range part.offerings {
		if w := worth(part.price[part.highest[x]], s.p.Offerings[o].Capacity); w > 0 {
			ratio = min(ratio, float64(s.p.Offerings[o].Price)/w)
		}
	}
	for class := range part.price {
		for r := range resources {
			part.price[class][r] *= ratio
		}
	}
}

// worth is the price of a vector. The conversions forbid fused operations, so that every
// machine computes the same.
func worth(price [resources]float64, v fleet.Resources) float64 {
	var sum float64
	for r, amount := range vector(v) {
		sum += float64(price[r] * amount)
	}
	return sum
}

// maximise solves max goal·x subject to rows·x ≤ right side (the last column), x ≥ 0, by
// the simplex method on a condensed tableau. Right sides are positive, so that x = 0 is a
// start.
func maximise(goal []float64, rows [][]float64) []float64 {
	const (
		tiny      = 1e-9
		mostSteps = 400 // as many as there are variables are usual
		cautious  = 200 // steps after which Bland's rule keeps it from cycling
	)
	n := len(goal) - 1
	column := make([]int, n) // variable of each column; slack j is n+j
	basis := make([]int, len(rows))
	for j := range column {
		column[j] = j
	}
	for i := range basis {
		basis[i] = n + i
	}
	for step := range mostSteps {
		enter := -1
		for j := range n {
			if goal[j] > tiny && (enter < 0 || step < cautious && goal[j] > goal[enter] || step >= cautious && column[j] < column[enter]) {
				enter = j
			}
		}
		if enter < 0 {
			break
		}
		leave, best := -1, math.Inf(1)
		for i, row := range rows {
			if row[enter] <= tiny {
				continue
			}
			if q := row[n] / row[enter]; q < best || q == best && basis[i] < basis[leave] {
				leave, best = i, q
			}
		}
		if leave < 0 { // nothing bounds it: no offering has any of the resource
			goal[enter] = 0
			continue
		}
		pivot(goal, rows, leave, enter)
		column[enter], basis[leave] = basis[leave], column[enter]
	}
	x := make([]float64, n)
	for i, v := range basis {
		if v < n {
			x[v] = max(rows[i][n], 0)
		}
	}
	return x
}

func pivot(goal []float64, rows [][]float64, leave, enter int) {
	row := rows[leave]
	p := row[enter]
	for j := range row {
		row[j] /= p
	}
	row[enter] = 1 / p
	reduce := func(other []float64) {
		f := other[enter]
		for j := range other {
			other[j] -= float64(f * row[j])
		}
		other[enter] = -float64(f * row[enter])
	}
	for i := range rows {
		if i != leave {
			reduce(rows[i])
		}
	}
	reduce(goal)
}

// values are the ways in which the portfolio values a task: by resource prices, and by its
// share of the whole demand. Every task is worth something, or it would never be packed.
func (s *solver) values() [][]float64 {
	priced, shared := make([]float64, len(s.p.Items)), make([]float64, len(s.p.Items))
	for _, part := range s.components {
		var total [resources]float64
		for _, i := range part.items {
			for r, need := range vector(s.p.Items[i].Needs) {
				total[r] += float64(need * float64(s.demand[i]))
			}
		}
		for x, i := range part.items {
			for r, need := range vector(s.p.Items[i].Needs) {
				if total[r] > 0 {
					shared[i] += need / total[r]
				}
			}
			cheapest := float64(s.p.Offerings[s.cheapest(i)].Price)
			shared[i] += 1e-9
			priced[i] = worth(part.price[part.class[x]], s.p.Items[i].Needs) + float64(cheapest*1e-6)
			if len(s.keys[i]) > 0 { // takes an instance, or nearly, whatever its size
				priced[i] = max(priced[i], cheapest/2)
			}
		}
	}
	return [][]float64{priced, shared}
}

// cheapest is the cheapest offering that holds the item.
func (s *solver) cheapest(i int) int {
	for _, o := range s.minimal {
		if s.fits[i][o] {
			return o
		}
	}
	panic("pack: an item that no offering holds was to be packed")
}

// bound is a price below which these counts of items cannot be packed.
func (s *solver) bound(placed []int) fleet.Price {
	var sum fleet.Price
	for _, part := range s.components {
		var value float64
		var least fleet.Price
		perKey := make([]int, s.keyCount)
		low := s.p.Offerings[part.offerings[0]].Price
		for x, i := range part.items {
			if placed[i] == 0 {
				continue
			}
			value += float64(worth(part.price[part.class[x]], s.p.Items[i].Needs) * float64(placed[i]))
			least = max(least, s.p.Offerings[s.cheapest(i)].Price)
			for _, key := range s.keys[i] {
				perKey[key] += placed[i]
				least = max(least, fleet.Price(perKey[key])*low)
			}
		}
		// A part in 10^9 covers what rounding may have added.
		sum += max(least, fleet.Price(value*(1-1e-9)))
	}
	return sum
}
