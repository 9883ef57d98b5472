package dst

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// replica is one process of a service.
type replica struct {
	s       *system
	service string
	number  int
	rng     *rand.Rand // of its latencies
	main    func(*replica)

	up           bool
	run          int    // counts its lives
	generation   uint64 // that it was started in
	threads      []*thread
	stoppedUntil time.Time            // SIGSTOP
	stops        []stop               // all of its life
	skew         time.Duration        // of its local clock
	observe      func(fleet.ActionID) // of executors: a record has changed
	wake         *thread              // that waits for news
}

func (r *replica) name() string { return fmt.Sprintf("%s-%d", r.service, r.number) }

// owner is unique to one life.
func (r *replica) owner() string { return fmt.Sprintf("%s/%d", r.name(), r.run) }

// now is the local clock of its host.
func (r *replica) now() time.Time { return r.s.now.Add(r.skew) }

// start begins a life.
func (r *replica) start() {
	if r.up {
		return
	}
	r.up, r.generation = true, r.s.bus.generation
	r.run++
	r.s.note("start %s", r.owner())
	r.main(r)
}

// crash ends a life there and then; its supervisor starts it again.
func (r *replica) crash(down time.Duration) {
	if !r.up {
		return
	}
	r.s.note("crash %s", r.owner())
	r.up, r.observe, r.wake, r.stops, r.stoppedUntil = false, nil, nil, nil, time.Time{}
	for _, t := range r.threads {
		t.kill()
	}
	r.threads = nil
	r.s.after(down, r.start)
}

// halt is SIGSTOP, and SIGCONT after a while.
func (r *replica) halt(d time.Duration) {
	if r.up && r.stoppedUntil.Before(r.s.now.Add(d)) {
		r.s.note("stop %s for %s", r.owner(), d)
		r.stoppedUntil = r.s.now.Add(d)
		r.stops = append(r.stops, stop{r.s.now, r.stoppedUntil})
	}
}

// stop is a while in which a process does not run.
type stop struct{ from, until time.Time }

// ranSince is for how long it has run since an instant: what it was stopped for does not
// count, for it cannot know of that. Stops follow or overlap one another.
func (r *replica) ranSince(t time.Time) time.Duration {
	ran := r.s.now.Sub(t)
	for _, s := range r.stops {
		if s.from.After(t) {
			t = s.from
		}
		if s.until.After(t) {
			until := s.until
			if until.After(r.s.now) {
				until = r.s.now
			}
			ran -= max(until.Sub(t), 0)
			t = until
		}
	}
	return ran
}

// stopped reports whether it does not run.
func (r *replica) stopped() bool { return !r.up || r.stoppedUntil.After(r.s.now) }

// ended forgets a thread.
func (r *replica) ended(t *thread) {
	r.threads = slices.DeleteFunc(r.threads, func(other *thread) bool { return other == t })
}

// spawn starts a thread of this life.
func (r *replica) spawn(body func(*thread)) *thread { return r.s.launch(r, body) }

// between draws a duration.
func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

// pick draws one of a list.
func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }
