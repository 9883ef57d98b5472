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

// component is a set of items that compete for the same offerings, with the price that a
// unit of each resource is worth to them.
type component struct {
	items     []int
	offerings []int
	price     [resources]float64
}

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
		part.price = s.resourcePrices(part)
	}
	return parts
}

// resourcePrices maximises the worth of the demand over prices under which no offering
// holds more worth than it costs. It is a linear program with one variable a resource.
func (s *solver) resourcePrices(part *component) [resources]float64 {
	var total, scale [resources]float64
	for _, i := range part.items {
		for r, need := range vector(s.p.Items[i].Needs) {
			total[r] += float64(need * float64(s.demand[i]))
		}
	}
	rows := make([][]float64, len(part.offerings))
	for j, o := range part.offerings {
		v := vector(s.p.Offerings[o].Capacity)
		rows[j] = append(v[:], float64(s.p.Offerings[o].Price))
		for r := range resources {
			scale[r] = max(scale[r], v[r])
		}
	}
	goal := make([]float64, resources+1)
	for r := range resources {
		if scale[r] == 0 {
			scale[r] = 1
		}
		goal[r] = total[r] / scale[r]
		for j := range rows {
			rows[j][r] /= scale[r]
		}
	}
	x := maximise(goal, rows)
	var price [resources]float64
	for r := range resources {
		price[r] = x[r] / scale[r]
	}
	return s.valid(price, part.offerings)
}

// valid scales prices down until no offering holds more worth than it costs, so that the
// bound holds whatever rounding did before.
func (s *solver) valid(price [resources]float64, offerings []int) [resources]float64 {
	ratio := 1.0
	for _, o := range offerings {
		if w := worth(price, s.p.Offerings[o].Capacity); w > 0 {
			ratio = min(ratio, float64(s.p.Offerings[o].Price)/w)
		}
	}
	for r := range price {
		price[r] *= ratio
	}
	return price
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
// start. Bland's rule keeps it from cycling.
func maximise(goal []float64, rows [][]float64) []float64 {
	const (
		tiny      = 1e-9
		mostSteps = 200 // four variables settle within some ten steps
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
	for range mostSteps {
		enter := -1
		for j := range n {
			if goal[j] > tiny && (enter < 0 || column[j] < column[enter]) {
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
			goal[enter] = 0 //nolint:gosec // enter is a column: it is not negative here
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
		for _, i := range part.items {
			for r, need := range vector(s.p.Items[i].Needs) {
				if total[r] > 0 {
					shared[i] += need / total[r]
				}
			}
			cheapest := float64(s.p.Offerings[s.cheapest(i)].Price)
			shared[i] += 1e-9
			priced[i] = worth(part.price, s.p.Items[i].Needs) + float64(cheapest*1e-6)
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
		for _, i := range part.items {
			if placed[i] == 0 {
				continue
			}
			value += float64(worth(part.price, s.p.Items[i].Needs) * float64(placed[i]))
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
