package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// scene is a cluster at one instant, as the demo shows it.
type scene struct {
	now       time.Time
	speed     float64
	chapter   int
	chapters  int
	title     string
	services  []string // in the order of their colours
	instances []sceneInstance
	waiting   []int // tasks without a place, by service
	units     []fleet.HeadroomUnit
	cost      fleet.Price
	log       []event
}

// sceneInstance is an instance with what it holds.
type sceneInstance struct {
	id        fleet.InstanceID
	typ       fleet.TypeName
	zone      fleet.Zone
	lifecycle fleet.Lifecycle
	status    fleet.InstanceStatus
	launched  time.Time
	total     fleet.Resources
	used      fleet.Resources
	tasks     []sceneTasks
	marked    bool // holds a protected task
}

type sceneTasks struct {
	service int
	count   int
	needs   fleet.Resources // of one task
}

// What the picture measures, in characters.
const (
	widestBar   = 36
	slimmestBar = 10
	mostBars    = 18 // more do not fit a screen; the rest is counted
	logLines    = 9
	frameWidth  = 118
	barColumn   = 46
	noteWidth   = 23 // right of the bar: "12 tasks  protected"
)

// draw makes a frame of the scene, as wide as there is room for.
func (s *scene) draw(width int) *frame {
	f := &frame{width: min(width, frameWidth)}
	f.bar = min(max(f.width-barColumn-noteWidth, slimmestBar), widestBar)
	s.drawHead(f)
	s.drawInstances(f)
	s.drawWaiting(f)
	f.line()
	for _, e := range s.log[max(0, len(s.log)-logLines):] {
		f.line()
		f.put(faint, "  %s  ", e.Time.UTC().Format("15:04:05"))
		f.put(e.tint(), "%-8s ", e.Kind)
		f.put(plain, "%s", e.Reason)
	}
	return f
}

func (s *scene) drawHead(f *frame) {
	f.line()
	f.put(strong, " Neap ")
	f.put(faint, " %s, %g× real time  ", s.now.UTC().Format("15:04:05"), s.speed)
	running := 0
	for i := range s.instances {
		for _, t := range s.instances[i].tasks {
			running += t.count
		}
	}
	have, want := s.headroom()
	f.put(plain, "%s · %s · ", count(len(s.instances), "instance"), count(running, "task"))
	f.put(spareOr(have < want), "headroom %d/%d", have, want)
	f.put(plain, " · ")
	f.put(strong, "%s", s.cost)
	f.line()
	f.line()
	f.put(strong, " %d/%d  %s", s.chapter, s.chapters, s.title)
	f.line()
}

func spareOr(missing bool) tint {
	if missing {
		return warning
	}
	return spare
}

// headroom counts the whole units that are free, of those that are wanted.
func (s *scene) headroom() (have, want int) {
	for _, u := range s.units {
		want += u.Count
		left := u.Count
		for i := range s.instances {
			left -= s.instances[i].unitsFree(u, left)
		}
		have += u.Count - left
	}
	return have, want
}

func (i *sceneInstance) unitsFree(u fleet.HeadroomUnit, most int) int {
	if i.status != fleet.StatusActive {
		return 0
	}
	return int(u.Needs().Copies(i.total.Sub(i.used), int64(most)))
}

func (s *scene) drawInstances(f *frame) {
	order := slices.Clone(s.instances)
	slices.SortStableFunc(order, func(a, b sceneInstance) int { return a.launched.Compare(b.launched) })
	left := make([]int, len(s.units))
	for i, u := range s.units {
		left[i] = u.Count
	}
	for i := range order[:min(len(order), mostBars)] {
		inst := &order[i]
		f.line()
		f.put(faint, " %-12s ", clipID(inst.id))
		f.put(plain, "%-13s ", inst.typ)
		f.put(faint, "%-3s %-10s", zoneLetter(inst.zone), inst.lifecycle)
		f.tab(barColumn)
		s.drawBar(f, inst, left)
		f.tab(barColumn + f.bar + 3)
		s.drawNote(f, inst)
	}
	if n := len(order) - mostBars; n > 0 {
		f.line()
		f.put(faint, " … and %s more", count(n, "instance"))
	}
}

// drawBar fills the bar with the instance's tasks by their largest share of any resource,
// then with the headroom it carries.
func (s *scene) drawBar(f *frame, inst *sceneInstance, left []int) {
	if inst.status == fleet.StatusLaunching || inst.status == fleet.StatusRegistering {
		f.put(faint, "%s", strings.Repeat("·", f.bar))
		return
	}
	drawn := 0
	fill := func(t tint, r string, amount fleet.Resources) {
		cells := min(f.bar-drawn, share(amount, inst.total, int64(f.bar)))
		f.put(t, "%s", strings.Repeat(r, max(cells, 0)))
		drawn += max(cells, 0)
	}
	for _, t := range inst.tasks {
		fill(taskTint(t.service), "█", t.needs.Times(int64(t.count)))
	}
	for i, u := range s.units {
		n := inst.unitsFree(u, left[i])
		left[i] -= n
		fill(spare, "▒", u.Needs().Times(int64(n)))
	}
	f.put(faint, "%s", strings.Repeat("░", f.bar-drawn))
}

// share is how many cells of a bar an amount takes: by the resource it takes most of, and
// at least one.
func share(amount, total fleet.Resources, bar int64) int {
	most := int64(0)
	for _, d := range [...][2]int64{{amount.CPUUnits, total.CPUUnits}, {amount.MemoryMiB, total.MemoryMiB}, {amount.GPUs, total.GPUs}} {
		if d[1] > 0 {
			most = max(most, (d[0]*bar+d[1]/2)/d[1])
		}
	}
	if most == 0 && !amount.IsZero() {
		return 1
	}
	return int(most)
}

func (s *scene) drawNote(f *frame, inst *sceneInstance) {
	switch inst.status {
	case fleet.StatusLaunching, fleet.StatusRegistering:
		f.put(warning, "booting")
	case fleet.StatusDraining:
		f.put(bad, "draining")
	case fleet.StatusDeregistering, fleet.StatusGone:
		f.put(faint, "leaving")
	case fleet.StatusActive:
		n := 0
		for _, t := range inst.tasks {
			n += t.count
		}
		f.put(plain, "%s", count(n, "task"))
	}
	if inst.marked {
		f.put(warning, "  protected")
	}
}

func (s *scene) drawWaiting(f *frame) {
	f.line()
	f.line()
	for i, name := range s.services {
		f.put(taskTint(i), " █")
		f.put(plain, " %s ", name)
	}
	f.put(spare, " ▒")
	f.put(plain, " headroom   ")
	total := 0
	for i, n := range s.waiting {
		if n > 0 {
			total += n
			f.put(warning, "%s", strings.Repeat("■", min(n, 30)))
			f.put(warning, " %d of %s wait  ", n, s.services[i])
		}
	}
	if total == 0 {
		f.put(good, "nothing waits")
	}
}

// event is one thing that happened, in words.
type event struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
}

// The kinds of event beside those of actions.
const (
	eventChapter = "story"
	eventExpect  = "expect"
	eventFailed  = "failed"
	eventResult  = "result"
	eventStays   = "stays"
	eventAWS     = "aws"    // EC2 says something
	eventPerson  = "person" // somebody uses neap
)

func (e *event) tint() tint {
	switch e.Kind {
	case eventChapter:
		return strong
	case eventExpect:
		return good
	case eventFailed:
		return bad
	case string(fleet.ActionLaunch):
		return good
	case string(fleet.ActionDrain), string(fleet.ActionReap), string(fleet.ActionRestore):
		return warning
	}
	return faint
}

func (e *event) String() string {
	return fmt.Sprintf("%s  %-8s %s", e.Time.UTC().Format("15:04:05"), e.Kind, e.Reason)
}

func clipID(id fleet.InstanceID) string {
	const shown = 11
	if len(id) > shown {
		return string(id[:shown])
	}
	return string(id)
}

// zoneLetter is the end of a zone's name: "1a" of us-east-1a.
func zoneLetter(z fleet.Zone) string {
	parts := strings.Split(string(z), "-")
	return cmp.Or(parts[len(parts)-1], "?")
}
