package sim

import "time"

// happening is something that falls due. It finds out by itself whether it still applies:
// nothing is ever taken out of the queue.
type happening interface{ happen(w *World) }

// due is a happening and its time. Those of the same time happen in the order in which
// they were put in.
type due struct {
	at   time.Time
	turn uint64
	what happening
}

func (d *due) before(e *due) bool {
	if c := d.at.Compare(e.at); c != 0 {
		return c < 0
	}
	return d.turn < e.turn
}

// queue is a binary heap of what falls due.
type queue struct {
	heap []due
	turn uint64
}

func (q *queue) push(at time.Time, what happening) {
	q.turn++
	q.heap = append(q.heap, due{at: at, turn: q.turn, what: what})
	for i := len(q.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.heap[i].before(&q.heap[parent]) {
			return
		}
		q.heap[i], q.heap[parent] = q.heap[parent], q.heap[i]
		i = parent
	}
}

func (q *queue) pop() due {
	first := q.heap[0]
	last := len(q.heap) - 1
	q.heap[0], q.heap[last] = q.heap[last], due{}
	q.heap = q.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if q.heap[child].before(&q.heap[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		q.heap[i], q.heap[least] = q.heap[least], q.heap[i]
		i = least
	}
}

// in lets something happen after a time; at once is the next moment of the same time.
func (w *World) in(d time.Duration, what happening) { w.queue.push(w.now.Add(max(d, 0)), what) }

// at lets something happen at a time, or now if that has passed.
func (w *World) at(when time.Time, what happening) {
	if when.Before(w.now) {
		when = w.now
	}
	w.queue.push(when, what)
}
