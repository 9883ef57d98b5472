package pack

import "math"

// pattern is a filled bin: what one instance of an offering holds.
type pattern struct {
	offering int
	price    float64
	items    []Held // ascending by item
}

// worth is what a pattern holds by the worth of each item.
func (p *pattern) worth(of []float64) float64 {
	var sum float64
	for _, h := range p.items {
		sum += float64(of[h.Item] * float64(h.Count))
	}
	return sum
}

// master is the linear program of column generation: buy fractions of patterns at the
// least price so that they hold the demand. It is solved by the revised simplex method
// with an explicit inverse; rows are the items with demand, columns the patterns known so
// far and one surplus for each row. An iteration takes O(rows² + entries of all patterns).
type master struct {
	rows     []int // items
	row      []int // by item: its row, or -1
	need     []float64
	patterns []pattern

	basis []int       // by position: pattern, or −1−row for a surplus
	inv   [][]float64 // inv[row][position]: the inverse, by columns
	level []float64   // by position: how much of it is bought
	dual  []float64   // by row: what one more task costs
	work  int
	hot   []int
}

// newMaster makes the program over the items with demand. start holds one pattern for each
// of them that holds only this item.
func newMaster(demand []int, start func(item int) pattern) *master {
	m := &master{row: make([]int, len(demand))}
	for i, n := range demand {
		m.row[i] = -1
		if n > 0 {
			m.row[i] = len(m.rows)
			m.rows = append(m.rows, i)
			m.need = append(m.need, float64(n))
		}
	}
	n := len(m.rows)
	m.basis, m.level, m.dual = make([]int, n), make([]float64, n), make([]float64, n)
	m.inv = make([][]float64, n)
	flat := make([]float64, n*n)
	for r, i := range m.rows {
		m.inv[r] = flat[r*n : (r+1)*n]
		p := start(i)
		copies := float64(p.items[0].Count)
		m.basis[r] = m.add(p)
		m.inv[r][r] = 1 / copies
		m.level[r] = m.need[r] / copies
		m.dual[r] = p.price / copies
	}
	return m
}

func (m *master) add(p pattern) int {
	m.patterns = append(m.patterns, p)
	return len(m.patterns) - 1
}

// cost is the price of the present solution.
func (m *master) cost() float64 {
	var sum float64
	for k, c := range m.basis {
		if c >= 0 {
			sum += float64(m.patterns[c].price * m.level[k])
		}
	}
	return sum
}

// excess is by how much the worth of a pattern exceeds its price.
func (m *master) excess(p *pattern) float64 {
	sum := -p.price
	for _, h := range p.items {
		sum += float64(m.dual[m.row[h.Item]] * float64(h.Count))
	}
	return sum
}

// optimise pivots until no pattern is worth more than it costs.
func (m *master) optimise() {
	n := len(m.rows)
	w := make([]float64, n)
	m.hot = m.hot[:0]
	for range 50*n + 200 {
		enter, gain := m.best()
		if enter == math.MaxInt {
			for j := range m.patterns {
				p := &m.patterns[j]
				m.work += len(p.items)
				if m.excess(p) > 1e-9*p.price {
					m.hot = append(m.hot, j)
				}
			}
			enter, gain = m.best()
		}
		for r := range m.dual { // a surplus gains if a task has a price below zero
			if m.dual[r] < -1e-9 && (enter == math.MaxInt || -m.dual[r]*m.need[r] > gain) {
				enter, gain = -1-r, math.Inf(1)
			}
		}
		if enter == math.MaxInt {
			return
		}
		m.column(enter, w)
		leave, step := -1, math.Inf(1)
		for k := range w {
			if w[k] > 1e-9 {
				if q := max(m.level[k], 0) / w[k]; q < step-1e-12 || q <= step+1e-12 && leave >= 0 && w[k] > w[leave] {
					leave, step = k, q
				}
			}
		}
		if leave < 0 {
			return // cannot be: prices are positive
		}
		m.pivot(enter, leave, step, w)
	}
}

// best is the pattern worth most more than it costs, of those that were when last all were
// looked at.
func (m *master) best() (enter int, gain float64) {
	enter = math.MaxInt
	hot := m.hot[:0]
	for _, j := range m.hot {
		p := &m.patterns[j]
		m.work += len(p.items)
		e := m.excess(p) / p.price
		if e <= 1e-9 {
			continue
		}
		hot = append(hot, j)
		if e > gain {
			enter, gain = j, e
		}
	}
	m.hot = hot
	return enter, gain
}

// column is the entering column in terms of the basis.
func (m *master) column(enter int, w []float64) {
	clear(w)
	if enter < 0 {
		for k, v := range m.inv[-1-enter] {
			w[k] = -v
		}
		return
	}
	for _, h := range m.patterns[enter].items {
		c := float64(h.Count)
		for k, v := range m.inv[m.row[h.Item]] {
			w[k] += float64(c * v)
		}
		m.work += len(w)
	}
}

func (m *master) pivot(enter, leave int, step float64, w []float64) {
	for k := range m.level {
		m.level[k] -= float64(w[k] * step)
	}
	m.level[leave], m.basis[leave] = step, enter
	var gain float64
	if enter >= 0 {
		gain = m.excess(&m.patterns[enter])
	} else {
		gain = -m.dual[-1-enter]
	}
	for r := range m.inv {
		col := m.inv[r]
		t := col[leave]
		if t == 0 {
			continue
		}
		t /= w[leave]
		for k, v := range w {
			col[k] -= float64(v * t)
		}
		m.work += len(w)
		col[leave] = t
		m.dual[r] -= float64(gain * t)
	}
}
