package plan_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// removalWorlds is how many random clusters the properties of removals are tried on, in a
// short run too: a plan of one takes half a millisecond.
const removalWorlds = 10_000

// emptied is a random cluster after its load has fallen: three to seven instances with room
// between their tasks, and whatever may forbid to remove one.
type emptied struct {
	rng      *rand.Rand
	text     strings.Builder
	services []emptiedService
}

type emptiedService struct {
	name, flags   string
	cpu, mem, gpu int
	alone         bool // one an instance
	zone          string
	run           int
}

func (w *emptied) say(format string, args ...any) { fmt.Fprintf(&w.text, format+"\n", args...) }
func (w *emptied) flip(n int) bool                { return w.rng.IntN(n) == 0 }

func emptiedWorld(rng *rand.Rand) string {
	w := &emptied{rng: rng}
	for _, text := range shop {
		w.say("type %s", text)
	}
	w.say("type g5.xlarge 4 16 1.0060 0.4000 enis=4 gpu=2")
	w.say("spec default")
	w.say(`spec still "{'scaleDown':{'restrict':true}}"`)
	for i := range 1 + rng.IntN(5) {
		w.services = append(w.services, w.service(i))
	}
	daemon := w.flip(3)
	var instances []string
	for i := range 3 + rng.IntN(5) {
		instances = append(instances, w.instance(i, daemon))
	}
	for _, s := range w.services {
		if strings.Contains(s.flags, "standalone") {
			w.say("group %s cpu=%d mem=%d%s", s.name, s.cpu, s.mem, s.flags)
			continue
		}
		w.say("service %s desired=%d cpu=%d mem=%d gpu=%d%s", s.name, s.run, s.cpu, s.mem, s.gpu, s.flags)
	}
	if daemon {
		w.say("service agent daemon cpu=512 mem=512")
	}
	for i, text := range instances {
		w.say("%s", text)
		w.say("idle i-%d for=10m", i)
	}
	w.policies()
	return w.text.String()
}

func (w *emptied) service(i int) emptiedService {
	s := emptiedService{name: fmt.Sprintf("s%d", i), cpu: 256 << w.rng.IntN(3), mem: 512 << w.rng.IntN(4)}
	switch w.rng.IntN(12) {
	case 0:
		s.flags, s.alone = " distinct", true
	case 1, 2:
		s.flags, s.alone = " port=8080", true // the same for all that have one
	case 3:
		s.zone = []string{"a", "b"}[w.rng.IntN(2)]
		s.flags = fmt.Sprintf(` memberOf="attribute:ecs.availability-zone == %s"`, s.zone)
	case 4:
		s.zone = []string{"a", "b"}[w.rng.IntN(2)]
		s.flags = " zones=" + s.zone
	case 5:
		s.gpu = 1
	case 6:
		s.flags = " restricted"
	case 7:
		s.flags = " standalone"
	case 8:
		s.flags = " strategy=binpack:memory"
	case 9:
		s.flags = " strategy=spread:instanceId"
	}
	return s
}

// instance fills one with a few tasks, as far as they fit.
func (w *emptied) instance(i int, daemon bool) string {
	name, cpu, mem, gpu := "m7i.large", 2048, 7604, 0
	switch w.rng.IntN(4) {
	case 0:
		name, cpu, mem = "m7i.xlarge", 4096, 15427
	case 1:
		name, cpu, mem, gpu = "g5.xlarge", 4096, 15427, 2
	}
	zone := []string{"a", "b"}[w.rng.IntN(2)]
	var tasks []string
	if daemon && !w.flip(4) {
		tasks, cpu, mem = append(tasks, "agent*1"), cpu-512, mem-512
	}
	port := false
	for j := range w.services {
		s := &w.services[j]
		if s.zone != "" && s.zone != zone || strings.Contains(s.flags, "port=") && port {
			continue
		}
		n := w.rng.IntN(3)
		if s.alone {
			n = min(n, 1)
		}
		for n > 0 && (cpu < n*s.cpu || mem < n*s.mem || gpu < n*s.gpu) {
			n--
		}
		if n == 0 || w.flip(2) {
			continue
		}
		port = port || strings.Contains(s.flags, "port=")
		cpu, mem, gpu, s.run = cpu-n*s.cpu, mem-n*s.mem, gpu-n*s.gpu, s.run+n
		text := fmt.Sprintf("%s*%d", s.name, n)
		if s.flags == "" && w.flip(10) {
			text += "!1"
		}
		tasks = append(tasks, text)
	}
	mark := ""
	switch w.rng.IntN(16) {
	case 0:
		mark = " not-ours"
	case 1:
		mark = " protected=debugging"
	case 2, 3:
		mark = " spec=still"
	}
	return fmt.Sprintf("instance i-%d %s zone=%s tasks=%s%s", i, name, zone, strings.Join(tasks, ","), mark)
}

func (w *emptied) policies() {
	w.say(`policy "{'scaleDown':{'replace':%t,'maxPercentage':%d}}"`, w.flip(3), []int{10, 50, 100}[w.rng.IntN(3)])
	if w.flip(2) {
		w.say(`policy "{'headroom':{'units':[{'cpuUnits':512,'memoryMiB':1024,'count':%d}]}}"`, 1+w.rng.IntN(6))
	}
	if w.flip(3) {
		w.say(`policy "{'limits':{'minInstances':%d}}"`, 1+w.rng.IntN(4))
	}
	w.say("dear for=10m")
}

// emptiedWorlds plans random clusters, and the cluster that a replacement has made of one.
func emptiedWorlds(t *testing.T, check func(t *testing.T, s *script, p *fleet.Plan)) {
	t.Helper()
	for seed := range uint64(removalWorlds) {
		text := emptiedWorld(rand.New(rand.NewPCG(seed, 8)))
		s, err := read(text)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		p := s.make()
		check(t, s, &p)
		if len(p.Replacing.Instances) > 0 && !t.Failed() {
			after := *s
			after.snap = s.execute(&p)
			after.mem = fleet.Memory{Generation: 1, LaunchedAt: noon.Add(-time.Minute), Replacing: p.Replacing, Idle: p.Idle}
			s, p = &after, after.make()
			check(t, s, &p)
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s\n%s", seed, text, s.render(&p))
		}
	}
}

// drained are the indices of the instances that a plan drains by its own will.
func (s *script) drained(p *fleet.Plan) []int {
	var list []int
	for i := range p.Actions {
		if d := p.Actions[i].Drain; d != nil && !d.Involuntary {
			list = append(list, slices.IndexFunc(s.snap.Instances, func(inst fleet.Instance) bool { return inst.ID == d.Instance }))
		}
	}
	return list
}

// movable lists the task group of each task on an instance that has to find a place
// elsewhere when the instance goes.
func (s *script) movable(i int) []int {
	var tasks []int
	for _, tc := range s.snap.Tasks {
		if tc.Instance == i && !s.snap.TaskGroups[tc.Group].Daemon {
			tasks = append(tasks, slices.Repeat([]int{tc.Group}, tc.Running)...)
		}
	}
	return tasks
}

// withRoomKept is a reference in which the daemon tasks that have yet to start have theirs,
// and the number of the group that stands for a unit of headroom.
func withRoomKept(s *script) (r *reference, unit int) {
	copied := *s
	copied.snap.TaskGroups = slices.Clone(s.snap.TaskGroups)
	unit = len(copied.snap.TaskGroups)
	if units := s.pol.Headroom.Units; len(units) > 0 {
		copied.snap.TaskGroups = append(copied.snap.TaskGroups, fleet.TaskGroup{Group: "headroom", Needs: units[0].Needs()})
	}
	r = newReference(&copied)
	for g := range s.snap.TaskGroups {
		group := &s.snap.TaskGroups[g]
		for i := range r.free {
			if group.Daemon && r.held[i][group.Group] == 0 && group.Needs.Fits(r.free[i]) {
				r.free[i] = r.free[i].Sub(group.Needs)
			}
		}
	}
	return r, unit
}

// canGo reports whether the reference finds a place for all that is on some instances on
// the others, beside the headroom that the cluster has.
func (s *script) canGo(set []int, present int) bool {
	r, unit := withRoomKept(s)
	var tasks []int
	for _, i := range set {
		r.open[i] = false
		tasks = append(tasks, s.movable(i)...)
	}
	size := func(g int) int64 { return r.s.snap.TaskGroups[g].Needs.MemoryMiB }
	slices.SortStableFunc(tasks, func(a, b int) int { return int(size(b) - size(a)) })
	return r.fit(append(tasks, slices.Repeat([]int{unit}, present)...))
}

// TestRemovals checks on random clusters what must hold of whatever a plan drains, and of
// what it says of the instances that stay.
func TestRemovals(t *testing.T) {
	var seen removalsSeen
	emptiedWorlds(t, func(t *testing.T, s *script, p *fleet.Plan) {
		set := s.drained(p)
		s.fitsElsewhere(t, p, set)
		s.keepsTheRules(t, p, set)
		s.undoes(t, p, set)
		s.staysForAReason(t, p, &seen)
		for _, i := range set {
			seen.drains++
			seen.loaded += min(len(s.movable(i)), 1)
		}
		if len(set) > 0 && len(s.mem.Replacing.Instances) > 0 {
			seen.replaced++
		}
	})
	t.Logf("%d drains, %d of them of instances with tasks; %d plans drain what has successors", seen.drains, seen.loaded, seen.replaced)
	t.Logf("%d instances stay for their tasks or the headroom; the reference could empty %d of them (%.1f %%), %d beside headroom",
		seen.stay, seen.missed, 100*float64(seen.missed)/float64(max(seen.stay, 1)), seen.beside)
	if seen.loaded < removalWorlds/10 || seen.replaced < removalWorlds/100 {
		t.Errorf("the worlds show too little: %+v", seen)
	}
}

// removalsSeen counts what the random clusters have shown.
type removalsSeen struct {
	drains, loaded, replaced int
	stay                     int // for a task or for headroom
	missed                   int // of these, what an exhaustive search could empty: a greedy one misses some
	beside                   int // of these, in clusters with headroom
}

// fitsElsewhere checks that an exhaustive search places the tasks of what drains on the
// other instances, jointly, with the room for headroom and daemon tasks kept.
func (s *script) fitsElsewhere(t *testing.T, p *fleet.Plan, set []int) {
	t.Helper()
	if len(set) > 0 && !s.canGo(set, p.Summary.HeadroomPresent) {
		t.Errorf("%v drain, and what is on them does not fit elsewhere with %d units of headroom", set, p.Summary.HeadroomPresent)
	}
}

// keepsTheRules checks budgets, minimums and protection, and that empty instances go before
// others.
func (s *script) keepsTheRules(t *testing.T, p *fleet.Plan, set []int) {
	t.Helper()
	pol := s.pol.WithDefaults()
	all := len(s.snap.Instances)
	if most := max(all*pol.ScaleDown.MaxPercentage/100, 1); len(set) > most {
		t.Errorf("%d of %d drain at once, and %d may", len(set), all, most)
	}
	if len(set) > 0 && all-len(set) < pol.Limits.MinInstances {
		t.Errorf("%d of %d drain, and %d must stay", len(set), all, pol.Limits.MinInstances)
	}
	for _, i := range set {
		if why := s.pinned(i); why != "" {
			t.Errorf("%s drains, although %s", s.snap.Instances[i].ID, why)
		}
	}
	s.emptiesFirst(t, p, set)
}

// pinned says what forbids to remove an instance.
func (s *script) pinned(i int) string {
	inst := &s.snap.Instances[i]
	switch {
	case inst.Owner == "":
		return "it is not ours"
	case inst.Protected != "":
		return "a person protects it"
	case inst.LaunchSpec == "still" && len(s.movable(i)) > 0:
		return "its launch spec lets only empty instances go"
	}
	for _, tc := range s.snap.Tasks {
		g := &s.snap.TaskGroups[tc.Group]
		restricted := slices.ContainsFunc(s.snap.Services, func(svc fleet.Service) bool {
			return svc.Restricted && "service:"+string(svc.Name) == g.Group
		})
		if tc.Instance == i && (tc.Protected > 0 || g.Standalone || restricted) {
			return g.Group + " runs there, which is protected, standalone or restricted"
		}
	}
	return ""
}

// emptiesFirst checks that no empty instance waits for a budget that one with tasks uses.
func (s *script) emptiesFirst(t *testing.T, p *fleet.Plan, set []int) {
	t.Helper()
	if !slices.ContainsFunc(set, func(i int) bool { return len(s.movable(i)) > 0 }) || len(p.Replacing.Instances) > 0 {
		return // the predecessors in a replacement go before all others
	}
	for _, r := range p.Reasons {
		for i := range s.snap.Instances {
			if r.Code == fleet.ReasonBudget && r.Subject == "instance/"+string(s.snap.Instances[i].ID) && s.vacant(i) {
				t.Errorf("%s is empty and waits for one with tasks", s.snap.Instances[i].ID)
			}
		}
	}
}

// vacant instances have no task at all, not even of a daemon service.
func (s *script) vacant(i int) bool {
	return !slices.ContainsFunc(s.snap.Tasks, func(tc fleet.TaskCount) bool { return tc.Instance == i })
}

// undoes checks that drains that nobody has in hand are undone, all of them, and that the
// cluster is what it was then; and that drains whose tasks have lost their place are undone
// and nothing is launched for them.
func (s *script) undoes(t *testing.T, p *fleet.Plan, set []int) {
	t.Helper()
	if len(set) == 0 {
		return
	}
	before, _ := json.Marshal(s.snap)
	draining := *s
	draining.snap = s.execute(p)
	for i := range p.Actions {
		if d := p.Actions[i].Drain; d != nil {
			at := slices.IndexFunc(s.snap.Instances, func(inst fleet.Instance) bool { return inst.ID == d.Instance })
			draining.snap.Instances[at].Drain = p.Actions[i].ID
		}
	}
	forgotten := plan.Make(draining.snap, s.pol, fleet.Memory{Generation: 1})
	if after, _ := json.Marshal(draining.execute(&forgotten)); string(after) != string(before) {
		t.Errorf("undoing forgotten drains makes another cluster:\n%s", s.render(&forgotten))
	}
	draining.loseRoom(t, p, set)
}

// loseRoom fills what does not drain with other tasks, so that what drains is needed.
func (s *script) loseRoom(t *testing.T, p *fleet.Plan, set []int) {
	t.Helper()
	full := s.snap
	full.Instances = slices.Clone(s.snap.Instances)
	homeless := false
	for i := range full.Instances {
		if slices.Contains(set, i) {
			homeless = homeless || len(s.movable(i)) > 0
			continue
		}
		full.Instances[i].Remaining = fleet.Resources{}
	}
	mem := fleet.Memory{Generation: 1}
	for i := range p.Actions {
		if p.Actions[i].Drain != nil {
			mem.Open = append(mem.Open, fleet.Open{Action: p.Actions[i], Plan: p.ID, PlannedAt: noon})
		}
	}
	again := plan.Make(full, s.pol, mem)
	restores := 0
	for i := range again.Actions {
		a := &again.Actions[i]
		if a.Restore != nil {
			restores++
		}
		if a.Launch != nil && a.Reason.Code != fleet.ReasonHeadroom {
			t.Errorf("launches although drains can be undone:\n%s", s.render(&again))
		}
	}
	if homeless && restores == 0 {
		t.Errorf("tasks of draining instances have no place, and no drain is undone:\n%s", s.render(&again))
	}
}

// staysForAReason checks that a task that is said to fit nowhere else by itself fits nowhere
// else. Where headroom is kept the planner leaves each unit where it put it while it looks,
// and so that is only counted there.
func (s *script) staysForAReason(t *testing.T, p *fleet.Plan, seen *removalsSeen) {
	t.Helper()
	going := make([]int, 0, len(p.Idle))
	for _, x := range p.Idle {
		going = append(going, slices.IndexFunc(s.snap.Instances, func(inst fleet.Instance) bool { return inst.ID == x.Instance }))
	}
	for _, r := range p.Reasons {
		at := slices.IndexFunc(s.snap.Instances, func(inst fleet.Instance) bool { return r.Subject == "instance/"+string(inst.ID) })
		if at < 0 || r.Code != fleet.ReasonUnfit && r.Code != fleet.ReasonKeepHeadroom || slices.Contains(going, at) {
			continue
		}
		seen.stay++
		if s.canGo(append(slices.Clone(going), at), p.Summary.HeadroomPresent) {
			seen.missed++
			seen.beside += min(p.Summary.HeadroomPresent, 1)
		}
		if why := r.Fact("why"); len(going)+p.Summary.HeadroomPresent == 0 && r.Code == fleet.ReasonUnfit && !strings.HasPrefix(why, "with the rest") && !strings.HasPrefix(why, "in a rehearsal") {
			s.fitsNowhere(t, at, r.Fact("task"))
		}
	}
}

// fitsNowhere checks that one task of an instance fits on no other.
func (s *script) fitsNowhere(t *testing.T, at int, task string) {
	t.Helper()
	r, _ := withRoomKept(s)
	r.open[at] = false
	for g := range s.snap.TaskGroups {
		if group := &s.snap.TaskGroups[g]; group.Group+" "+group.TaskDefinition == task && r.fit([]int{g}) {
			t.Errorf("%s is said to stay for %s, which fits elsewhere", s.snap.Instances[at].ID, task)
		}
	}
}
