package dst

import (
	"math/rand/v2"
	"slices"
	"time"
)

// fault is one of the list of faults, and how it is injected.
type fault struct {
	id, what string
	every    time.Duration // on the average
	// lasts and chance are those of a window in which a fault may hit what passes by.
	lasts  time.Duration
	chance float64
	// inject is for those that happen by themselves; nil opens a window.
	inject func(*system, *fault) bool

	rng   *rand.Rand
	until time.Time
	count int
}

// newFaults are those that a configuration wants.
func newFaults(cfg Config) map[string]*fault {
	all := map[string]*fault{}
	for i := range faultList {
		f := faultList[i]
		if cfg.Faults != nil && !slices.Contains(cfg.Faults, f.id) {
			continue
		}
		f.rng = diceOf(cfg.Seed, f.id, 0)
		all[f.id] = &f
	}
	return all
}

// schedule arranges the faults until they end. In each story some do not happen, so that
// others are seen by themselves.
func (s *system) schedule(end time.Time) {
	for _, id := range sorted(s.faults) {
		f := s.faults[id]
		spared := f.rng.IntN(3) == 0 // drawn in any case: the rest of its chance stays the same
		if f.every == 0 || s.cfg.Faults == nil && spared {
			continue
		}
		s.active = append(s.active, id)
		for t := s.now; ; {
			t = t.Add(time.Duration((0.1 + f.rng.ExpFloat64()) * float64(f.every)))
			if !t.Before(end) {
				break
			}
			s.at(t, func() { s.strike(f) })
		}
	}
}

// strike injects a fault.
func (s *system) strike(f *fault) {
	if f.inject == nil {
		f.until = s.now.Add(f.lasts/4 + time.Duration(f.rng.Int64N(int64(f.lasts))))
		s.note("fault %s until %s: %s", f.id, f.until.UTC().Format(time.TimeOnly), f.what)
		return
	}
	if f.inject(s, f) {
		s.note("fault %s: %s", f.id, f.what)
		f.count++
	}
}

// open reports whether the window of a fault is open.
func (s *system) open(id string) bool {
	f := s.faults[id]
	return f != nil && s.now.Before(f.until)
}

// hit reports whether a fault hits what is just happening, and counts it.
func (s *system) hit(id string) bool {
	f := s.faults[id]
	if !s.open(id) || f.rng.Float64() >= f.chance {
		return false
	}
	f.count++
	s.note("hit by %s", id)
	return true
}

// count counts a fault that came about by itself.
func (s *system) count(id string) {
	if f := s.faults[id]; f != nil {
		f.count++
	}
}

func (s *system) injected() map[string]int {
	counts := map[string]int{}
	for _, id := range sorted(s.faults) {
		counts[id] = s.faults[id].count
	}
	return counts
}

// longLook is long enough for a planner to see that somebody looks.
const longLook = 2 * time.Minute

// heal ends all faults: from now on everything must come to rest.
func (s *system) heal() {
	s.note("healed")
	s.check.healedAt = s.now
	for _, id := range sorted(s.faults) {
		s.faults[id].until = time.Time{}
	}
	s.story.over = true
	clear(s.bus.cut)
	clear(s.bus.protected)
	s.limit(mostInstances)
	s.reclaim()
	s.press(true) // a person looks whether all is well, as what is missed at once may ask for
	s.after(longLook, func() { s.press(false) })
	for _, r := range s.replicas {
		r.skew, r.stoppedUntil = 0, time.Time{}
		r.start()
	}
	for _, line := range []string{"plenty * *", "stall 0", "flaps 0", "consistency strong", "quota * on-demand 0", "quota * spot 0", "finish job"} {
		s.script("%s", line)
	}
	for i := range s.story.services {
		l := &s.story.services[i]
		s.script("unprotect %s", l.name)
		s.story.desire(l, min(l.desired, l.most))
	}
}

// Fault is a fault that can be injected.
type Fault struct {
	ID   string `json:"id"`
	What string `json:"what"`
}

// Faults are all that can be injected, in the order of their numbers.
func Faults() []Fault {
	var list []Fault
	for i := range faultList {
		list = append(list, Fault{faultList[i].id, faultList[i].what})
	}
	return list
}
