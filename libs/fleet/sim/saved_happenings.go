package sim

import (
	"reflect"
	"slices"
	"time"
)

// savedHappening is the saved form of a type of happening.
type savedHappening struct {
	name  string // in the file
	typ   reflect.Type
	write func(*archive, happening)
	read  func(*archive) happening
	list  func(*archive) any // shows the fields of an empty one, for tests, and returns it
}

// happens is the saved form of a happening with these fields.
func happens[H happening](name string, fields func(*archive, *H)) savedHappening {
	return savedHappening{
		name: name, typ: reflect.TypeFor[H](),
		write: func(a *archive, h happening) {
			own := h.(H)
			fields(a, &own)
		},
		read: func(a *archive) happening {
			var own H
			fields(a, &own)
			return own
		},
		list: func(a *archive) any {
			own := new(H)
			fields(a, own)
			return own
		},
	}
}

// savedHappenings are all types of happenings. One that is missing here fails
// TestEveryHappeningIsSaved, and the saving of a world in which it is to come.
func savedHappenings() []savedHappening {
	return append([]savedHappening{
		happens("agent-back", func(a *archive, e *agentBack) { ref(a, "host", &e.h) }),
		happens("agent-flap", func(a *archive, e *agentFlap) {
			ref(a, "host", &e.h)
			val(a, "round", &e.round)
		}),
		happens("agent-lost", func(a *archive, e *agentLost) { ref(a, "host", &e.h) }),
		happens("agent-started", func(a *archive, e *agentStarted) {
			ref(a, "instance", &e.m)
			val(a, "retry", &e.retry)
		}),
		happens("arrival", func(a *archive, e *arrival) {
			ref(a, "queue", &e.q)
			optional(a, "message", &e.m)
			a.check(e.m != nil, "message is missing")
		}),
		happens("host-forgotten", func(a *archive, e *hostForgotten) { ref(a, "host", &e.h) }),
		happens("host-ready", func(a *archive, e *hostReady) { ref(a, "host", &e.h) }),
		happens("machine-ended", func(a *archive, e *machineEnded) {
			ref(a, "instance", &e.m)
			val(a, "connected", &e.connected)
		}),
		happens("machine-forgotten", func(a *archive, e *machineForgotten) { ref(a, "instance", &e.m) }),
		happens("machine-halted", func(a *archive, e *machineHalted) { ref(a, "instance", &e.m) }),
		happens("maintenance-due", func(a *archive, e *maintenanceDue) {
			ref(a, "instance", &e.m)
			val(a, "event", &e.id)
		}),
		happens("quota-freed", func(a *archive, e *quotaFreed) {
			inline(a, &e.class)
			val(a, "vcpus", &e.vcpus)
		}),
		happens("tasks-gone", func(a *archive, e *tasksGone) { ref(a, "host", &e.h) }),
		happens("machine-started", func(a *archive, e *machineStarted) { ref(a, "instance", &e.m) }),
		happens("reconcile", func(a *archive, e *reconcile) {
			ref(a, "service", &e.s)
			val(a, "at", &e.at)
		}),
		happens("interruption", func(a *archive, e *interruption) {
			ref(a, "instance", &e.m)
			val(a, "round", &e.round)
			val(a, "only", &e.only)
		}),
		happens("zone-back", func(a *archive, e *zoneBack) { val(a, "zone", &e.zone) }),
		happens("zone-cut", func(a *archive, e *zoneCut) { ref(a, "host", &e.h) }),
		happens("spot-drain", func(a *archive, e *spotDrain) { ref(a, "instance", &e.m) }),
		happens("spot-taken", func(a *archive, e *spotTaken) { ref(a, "instance", &e.m) }),
		happens("statement", func(a *archive, e *scripted) {
			inline(a, &e.step)
			ref(a, "scene", &e.c)
		}),
		happens("daemon-due", func(a *archive, e *daemonDue) {
			ref(a, "service", &e.s)
			ref(a, "host", &e.h)
		}),
		happens("health-due", func(a *archive, e *healthDue) { ref(a, "task", &e.t) }),
		happens("task-step", func(a *archive, e *taskStep) { e.fields(a) }),
	}, groupHappenings()...)
}

func (s *step) fields(a *archive) {
	val(a, "line", &s.line)
	val(a, "after", &s.after)
	val(a, "statement", &s.words)
	a.derived("read from statement", &s.do)
	if a.mode != reading {
		return
	}
	if len(s.words) == 0 {
		a.fail("statement is missing")
		return
	}
	var err error
	if s.do, err = parseStatement(s.words); err != nil {
		a.fail("statement: %w", err)
	}
}

func (s *scene) savedKey() string { return "" }

func (s *scene) fields(a *archive) { val(a, "cluster", &s.cluster) }

// fields of the queue: what is to come, in order.
func (q *queue) fields(a *archive) {
	val(a, "turn", &q.turn)
	if a.mode == listing {
		a.visit("happenings", &q.heap)
		return
	}
	list := slices.Clone(q.heap)
	slices.SortFunc(list, func(d, e due) int {
		if d.before(&e) {
			return -1
		}
		return 1
	})
	each(a, "happenings", &list, func(a *archive, d *due) { d.fields(a) })
	if a.mode == reading {
		q.heap = list // a sorted list is a heap
		a.check(slices.IsSortedFunc(list, func(d, e due) int {
			if d.before(&e) {
				return -1
			}
			return 1
		}), "happenings are not in the order of their times and turns")
		a.check(len(list) == 0 || list[len(list)-1].turn <= q.turn, "turn is less than that of a happening")
	}
}

func (d *due) fields(a *archive) {
	val(a, "at", &d.at)
	val(a, "turn", &d.turn)
	var is string
	if a.mode == writing || a.mode == collecting {
		i := slices.IndexFunc(a.happenings, func(s savedHappening) bool { return s.typ == reflect.TypeOf(d.what) })
		if i < 0 {
			a.fail("%T has no saved form: add it to savedHappenings", d.what)
			return
		}
		is = a.happenings[i].name
		val(a, "is", &is)
		a.happenings[i].write(a, d.what)
		return
	}
	if a.mode == listing {
		a.visit("what", &d.what)
		return
	}
	val(a, "is", &is)
	i := slices.IndexFunc(a.happenings, func(s savedHappening) bool { return s.name == is })
	if i < 0 {
		a.fail("is: %.40q is no happening that this program knows", is)
		return
	}
	if d.what = a.happenings[i].read(a); d.at.Before(a.world.now) {
		a.fail("at: %v has passed", d.at.Format(time.RFC3339))
	}
}
