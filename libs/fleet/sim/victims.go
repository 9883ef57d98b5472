package sim

import (
	"slices"
	"strings"
)

// victims chooses tasks to stop when there are too many.
type victims struct {
	s      *service
	left   []*task
	byZone map[string]int
	byHost map[*containerInstance]int
	pack   string // the field of a binpack strategy that comes first
}

func (w *World) newVictims(s *service, from []*task) *victims {
	v := &victims{s: s, byZone: map[string]int{}, byHost: map[*containerInstance]int{}}
	if len(s.strategy) > 0 && s.strategy[0].Type == "binpack" {
		v.pack = strings.ToLower(s.strategy[0].Field)
	}
	for _, t := range from {
		v.byZone[t.host.machine.subnet.Zone]++
		v.byHost[t.host]++
		if !t.protected(w.now) {
			v.left = append(v.left, t)
		}
	}
	return v
}

// next is the task whose stop leaves the service spread best: from the zone with most of
// its tasks, then the instance with most, then the newest. A service that packs gives up
// the task on the instance that has most left.
func (v *victims) next() *task {
	if len(v.left) == 0 {
		return nil
	}
	best := 0
	for i := 1; i < len(v.left); i++ {
		if v.before(v.left[i], v.left[best]) {
			best = i
		}
	}
	t := v.left[best]
	v.left = slices.Delete(v.left, best, best+1)
	v.byZone[t.host.machine.subnet.Zone]--
	v.byHost[t.host]--
	return t
}

func (v *victims) before(a, b *task) bool {
	switch v.pack {
	case "cpu":
		if x, y := a.host.remaining.CPUUnits, b.host.remaining.CPUUnits; x != y {
			return x > y
		}
	case "memory":
		if x, y := a.host.remaining.MemoryMiB, b.host.remaining.MemoryMiB; x != y {
			return x > y
		}
	}
	if x, y := v.byZone[a.host.machine.subnet.Zone], v.byZone[b.host.machine.subnet.Zone]; x != y {
		return x > y
	}
	if x, y := v.byHost[a.host], v.byHost[b.host]; x != y {
		return x > y
	}
	return a.seq > b.seq
}
