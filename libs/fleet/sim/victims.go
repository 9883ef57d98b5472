package sim

import (
	"cmp"
	pile "container/heap" // heap is a word of the tests
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// victims chooses tasks to stop when there are too many (ECS Developer Guide, "scale-in"):
//
//   - a service that packs first gives up the task whose instance has most left then;
//   - a service that spreads by an explicit strategy keeps its zones balanced, and chance
//     decides within a zone; a random one leaves it all to chance;
//   - a service without a strategy gives up a task from the zone with most of its tasks,
//     there from the instance with most.
//
// Tasks that do not run yet go before those that do, and protected ones never.
type victims struct {
	zones []*victimZone
	rule  victimRule
}

type victimRule int

const (
	mostOnHost victimRule = iota // no strategy
	byChance                     // spread, random
	mostLeft                     // binpack
)

// victimZone is the tasks of one zone, or of all if zones do not matter.
type victimZone struct {
	count  int // tasks of the service, protected ones included
	groups victimHeap
}

// victimGroup is the tasks of one instance, or one task where chance decides.
type victimGroup struct {
	tasks []*task // the next to go is last
	count int     // tasks of the service on the instance
	key   int64
	tie   uint64
}

func (w *World) newVictims(s *service, from []*task) *victims {
	v := &victims{}
	zonal := true
	if len(s.strategy) > 0 {
		switch v.rule = byChance; s.strategy[0].Type {
		case "binpack":
			v.rule, zonal = mostLeft, false
		case "random":
			zonal = false
		}
	}
	zones := map[string]*victimZone{}
	groups := map[string]*victimGroup{}
	for _, t := range from {
		zone, name := "", t.host.id
		if zonal {
			zone = t.host.machine.subnet.Zone
		}
		if zones[zone] == nil {
			zones[zone] = &victimZone{}
			v.zones = append(v.zones, zones[zone])
		}
		zones[zone].count++
		if v.rule == byChance {
			name = t.id
		}
		g := groups[name]
		if g == nil {
			g = &victimGroup{tie: w.hash("victim", t.id)}
			groups[name] = g
			zones[zone].groups = append(zones[zone].groups, g)
		}
		g.count++
		if !t.protected(w.now) {
			g.tasks = append(g.tasks, t)
		}
	}
	for _, z := range v.zones {
		z.groups = slices.DeleteFunc(z.groups, func(g *victimGroup) bool { return len(g.tasks) == 0 })
		for _, g := range z.groups {
			slices.SortFunc(g.tasks, func(a, b *task) int {
				return cmp.Or(compareBool(a.last < taskRunning, b.last < taskRunning), cmp.Compare(a.seq, b.seq))
			})
			g.key = v.key(s, g)
		}
		pile.Init(&z.groups)
	}
	return v
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// pendingFirst is more than any other key.
const pendingFirst = 1 << 50

// key is how much a group wants to be the next.
func (v *victims) key(s *service, g *victimGroup) int64 {
	t := g.tasks[len(g.tasks)-1]
	key := int64(g.count)
	switch v.rule {
	case byChance:
		key = 0
	case mostLeft:
		key = v.size(s, t.host.remaining.Add(t.kind.needs))
	case mostOnHost:
	}
	if t.last < taskRunning {
		key += pendingFirst
	}
	return key
}

// size is what the service packs by.
func (v *victims) size(s *service, r fleet.Resources) int64 {
	if strings.EqualFold(s.strategy[0].Field, "memory") {
		return r.MemoryMiB
	}
	return r.CPUUnits
}

// next is the next task to stop, or nil if the others are protected.
func (v *victims) next(s *service) *task {
	var from *victimZone
	for _, z := range v.zones {
		if len(z.groups) > 0 && (from == nil || z.count > from.count || z.count == from.count && z.groups.before(z.groups[0], from.groups[0])) {
			from = z
		}
	}
	if from == nil {
		return nil
	}
	g := from.groups[0]
	last := len(g.tasks) - 1
	t := g.tasks[last]
	g.tasks = g.tasks[:last]
	from.count--
	g.count--
	if last == 0 {
		pile.Pop(&from.groups)
		return t
	}
	g.key = v.key(s, g)
	if v.rule == mostLeft { // t is about to give its room back
		g.key += v.size(s, t.kind.needs)
	}
	pile.Fix(&from.groups, 0)
	return t
}

// victimHeap has the group that is next in front.
type victimHeap []*victimGroup

func (h victimHeap) before(a, b *victimGroup) bool {
	if a.key != b.key {
		return a.key > b.key
	}
	return a.tie > b.tie
}

func (h victimHeap) Len() int           { return len(h) }
func (h victimHeap) Less(i, j int) bool { return h.before(h[i], h[j]) }
func (h victimHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push adds a group.
func (h *victimHeap) Push(g any) { *h = append(*h, g.(*victimGroup)) }

// Pop takes the last group.
func (h *victimHeap) Pop() any {
	old := *h
	g := old[len(old)-1]
	*h = old[:len(old)-1]
	return g
}

// protectedWords says how many of the tasks are under protection.
func protectedWords(w *World, tasks []*task) string {
	n := 0
	for _, t := range tasks {
		if t.protected(w.now) {
			n++
		}
	}
	return "(reason " + strconv.Itoa(n) + " tasks under protection)"
}
