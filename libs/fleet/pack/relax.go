package pack

import "slices"

// multipliers are prices of the resources of one bin.
type multipliers [resources]float64

func (m *multipliers) worth(v *size, dims int) float64 {
	var sum float64
	for r, n := range v[:dims] {
		sum += float64(m[r] * float64(n))
	}
	return sum
}

// relax solves the linear relaxation of a bounded knapsack, max Σ value·n with Σ size·n ≤
// room and 0 ≤ n ≤ most. It returns prices of the resources under which
// prices·room + Σ most·max(0, value − prices·size) is an upper bound of the knapsack: the
// least there is if the steps suffice, and valid in any case. It takes O(loads) a step and
// few steps for each resource.
func relax(loads []load, room *size, dims int) multipliers {
	const mostSteps = 64 // some ten are usual; a cycle of degenerate ones ends here
	x := relaxation{loads: loads, room: room, dims: dims, full: make([]bool, len(loads)), basic: make([]bool, len(loads))}
	for r := range dims {
		x.inverse[r][r], x.basis[r], x.level[r] = 1, slackOf(r), float64(room[r])
	}
	for range mostSteps {
		if !x.improve() {
			break
		}
	}
	for r := range x.price[:dims] {
		x.price[r] = max(x.price[r], 0)
	}
	return x.price
}

// relaxation is the state of the simplex method for bounded variables: one row for each
// resource, loads at 0, at their upper bound, or basic.
type relaxation struct {
	loads []load
	room  *size
	dims  int

	inverse [resources][resources]float64
	basis   [resources]int     // a load, or the slack of a resource
	level   [resources]float64 // of what is basic
	price   multipliers
	full    []bool // loads at the upper bound
	basic   []bool
}

// slackOf is how the basis names the slack of a resource.
func slackOf(r int) int { return -1 - r }

// improve lets the load that gains most enter or leave its bound, or a slack enter whose
// resource has a price below zero. It answers false at the optimum.
func (x *relaxation) improve() bool {
	enter, gain := -1, 0.0
	for j := range x.loads {
		if x.basic[j] {
			continue
		}
		l := &x.loads[j]
		g := l.value - x.price.worth(&l.size, x.dims)
		if x.full[j] {
			g = -g
		}
		const tiny = 1e-9 // of its value
		if all := float64(g * float64(l.most)); g > float64(tiny*l.value) && all > gain {
			enter, gain = j, all
		}
	}
	if enter >= 0 {
		x.enterLoad(enter)
		return true
	}
	for r := range x.dims {
		if x.price[r] < 0 && !slices.Contains(x.basis[:x.dims], slackOf(r)) {
			return x.enterSlack(r)
		}
	}
	return false
}

// enterLoad raises a load from 0, or lowers it from its upper bound, as far as it goes.
func (x *relaxation) enterLoad(j int) {
	l := &x.loads[j]
	sign := 1.0
	if x.full[j] {
		sign = -1
	}
	var column [resources]float64
	for r := range column[:x.dims] {
		for k, n := range l.size[:x.dims] {
			column[r] += float64(sign * x.inverse[r][k] * float64(n))
		}
	}
	leave, toFull, step := x.leaving(&column, float64(l.most))
	if leave < 0 {
		x.full[j] = !x.full[j] // from bound to bound
		return
	}
	level := step
	if x.full[j] {
		level = float64(l.most) - step
		for r := range column[:x.dims] {
			column[r] = -column[r]
		}
	}
	x.full[j] = false
	x.pivot(leave, toFull, &column, j, level)
	x.basic[j] = true
}

func (x *relaxation) enterSlack(r int) bool {
	var column [resources]float64
	for k := range column[:x.dims] {
		column[k] = x.inverse[k][r]
	}
	leave, toFull, step := x.leaving(&column, float64(x.room[r])+1)
	if leave < 0 {
		return false
	}
	x.pivot(leave, toFull, &column, slackOf(r), step)
	return true
}

// leaving takes the step that a column allows, and says which row it takes to a bound: to
// the upper one if toFull. No row is −1: then the step is most.
func (x *relaxation) leaving(column *[resources]float64, most float64) (leave int, toFull bool, step float64) {
	const tiny = 1e-12
	leave, step = -1, most
	for r, c := range column[:x.dims] {
		switch {
		case c > tiny:
			if q := max(x.level[r], 0) / c; q < step {
				leave, toFull, step = r, false, q
			}
		case c < -tiny && x.basis[r] >= 0:
			if q := max(float64(x.loads[x.basis[r]].most)-x.level[r], 0) / -c; q < step {
				leave, toFull, step = r, true, q
			}
		}
	}
	for r, c := range column[:x.dims] {
		x.level[r] -= float64(c * step)
	}
	return leave, toFull, step
}

// pivot puts what enters in the place of what leaves, and computes the prices anew.
func (x *relaxation) pivot(leave int, toFull bool, column *[resources]float64, enter int, level float64) {
	if out := x.basis[leave]; out >= 0 {
		x.basic[out], x.full[out] = false, toFull
	}
	x.basis[leave], x.level[leave] = enter, level
	row := &x.inverse[leave]
	for k := range row[:x.dims] {
		row[k] /= column[leave]
	}
	for r := range x.inverse[:x.dims] {
		if r == leave {
			continue
		}
		for k := range row[:x.dims] {
			x.inverse[r][k] -= float64(column[r] * row[k])
		}
	}
	x.price = multipliers{}
	for r, b := range x.basis[:x.dims] {
		if b < 0 {
			continue
		}
		for k := range x.price[:x.dims] {
			x.price[k] += float64(x.loads[b].value * x.inverse[r][k])
		}
	}
}
