package dst

import (
	"cmp"
	"container/heap"
	"iter"
	"time"
)

// event is something that falls due.
type event struct {
	at  time.Time
	seq uint64 // of events of one moment the older comes first
	do  func()
}

// agenda is a heap of events.
type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return cmp.Or(a[i].at.Compare(a[j].at), cmp.Compare(a[i].seq, a[j].seq)) < 0
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push is for package heap.
func (a *agenda) Push(x any) { *a = append(*a, x.(event)) }

// Pop is for package heap.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = event{}
	*a = (*a)[:last]
	return e
}

// kernel is the clock and what is to happen.
type kernel struct {
	now    time.Time
	seq    uint64
	agenda agenda
	moved  func(time.Time) // the clock goes on
	thread *thread         // that runs; nil between threads
}

// at lets something happen at a time, or now if that is past.
func (k *kernel) at(t time.Time, do func()) {
	if t.Before(k.now) {
		t = k.now
	}
	k.seq++
	heap.Push(&k.agenda, event{t, k.seq, do})
}

// after lets something happen after a while.
func (k *kernel) after(d time.Duration, do func()) { k.at(k.now.Add(d), do) }

// run lets time pass until an instant, or until stop says so.
func (k *kernel) run(until time.Time, stop func() bool) {
	for len(k.agenda) > 0 && !k.agenda[0].at.After(until) && !stop() {
		e := heap.Pop(&k.agenda).(event)
		if e.at.After(k.now) {
			k.now = e.at
			k.moved(e.at)
		}
		e.do()
	}
}

// thread is one line of execution of a replica. It runs until it sleeps, and nothing else
// runs meanwhile.
type thread struct {
	k     *kernel
	of    *replica
	next  func() (time.Duration, bool)
	stop  func()
	yield func(time.Duration) bool
	wakes uint64 // the wake-up that counts is the last one
	over  bool

	gateAt   time.Time // when it read the red button last
	lookedAt time.Time // when it read the tasks of an instance last
}

// killed unwinds a thread whose process has been killed.
type killed struct{}

// launch starts a thread of a replica, a moment later.
func (k *kernel) launch(of *replica, body func(*thread)) *thread {
	t := &thread{k: k, of: of}
	t.next, t.stop = iter.Pull(func(yield func(time.Duration) bool) {
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(killed); !ok {
					panic(r)
				}
			}
		}()
		t.yield = yield
		body(t)
	})
	of.threads = append(of.threads, t)
	t.wakeAfter(0)
	return t
}

// wakeAfter lets the thread go on after a while, whatever was arranged before.
func (t *thread) wakeAfter(d time.Duration) {
	t.wakes++
	wake := t.wakes
	t.k.after(d, func() {
		if wake == t.wakes {
			t.resume()
		}
	})
}

// resume lets the thread run until it sleeps again. One of a process that is stopped waits
// until that goes on.
func (t *thread) resume() {
	if t.over {
		return
	}
	if wait := t.of.stoppedUntil.Sub(t.k.now); wait > 0 {
		t.wakeAfter(wait)
		return
	}
	t.k.thread = t
	d, ok := t.next()
	t.k.thread = nil
	if !ok {
		t.over = true
		t.of.ended(t)
		return
	}
	t.wakeAfter(d)
}

// sleep lets others run.
func (t *thread) sleep(d time.Duration) {
	if !t.yield(d) {
		panic(killed{})
	}
}

// kill ends the thread where it is.
func (t *thread) kill() {
	if !t.over && t.k.thread != t {
		t.over = true
		t.stop()
	}
}
