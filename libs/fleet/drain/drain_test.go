package drain_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/drain"
)

var at = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

func after(d time.Duration) time.Time { return at.Add(d) }

func drainAction() *fleet.Action {
	return &fleet.Action{
		ID: "a1", Kind: fleet.ActionDrain, Deadline: at.Add(10 * time.Minute),
		Drain: &fleet.Drain{
			Instance: "i-1", ContainerInstance: "c1", Tasks: []fleet.Carried{{What: "service:web web:7", Count: 1}},
			Timeout: fleet.Duration(15 * time.Minute), OnTimeout: fleet.TimeoutStop,
		},
	}
}

func view(status fleet.InstanceStatus, tasks ...drain.Task) drain.View {
	v := drain.View{
		Instance: "i-1", ContainerInstance: "c1", Ours: true, Status: status, AgentConnected: true, Tasks: tasks, Complete: true,
	}
	if status == fleet.StatusDraining {
		v.DrainTag = "a1"
	}
	return v
}

var (
	web     = drain.Task{ID: "t1", What: "service:web web:7"}
	agent   = drain.Task{ID: "t2", What: "service:agent agent:1", Daemon: true}
	stopped = drain.Task{ID: "t3", What: "service:web web:7", Stopping: true}
)

func seen(d time.Duration, v drain.View) drain.Viewed { return drain.Viewed{Now: after(d), View: v} }

func did(d time.Duration, e drain.Effect) drain.Did { return drain.Did{Now: after(d), What: e} }

func run(a *fleet.Action, events ...drain.Event) (drain.State, []string) {
	var s drain.State
	var names []string
	for _, e := range events {
		var effects []drain.Effect
		s, effects = drain.Step(a, s, e)
		for _, effect := range effects {
			if r, ok := effect.(drain.Report); ok {
				names = append(names, strings.TrimSpace("report "+string(r.Phase)+" "+r.Step+" "+string(r.Class)))
				continue
			}
			names = append(names, strings.TrimPrefix(fmt.Sprintf("%T%v", effect, effect), "drain."))
		}
	}
	return s, names
}

func TestDrain(t *testing.T) {
	active, draining := fleet.StatusActive, fleet.StatusDraining
	begun := []drain.Event{drain.Tick{Now: at}, seen(0, view(active, web, agent)), did(0, drain.SetDraining{}), seen(time.Second, view(draining, web, agent))}
	begunNames := []string{"Look{}", "SetDraining{}", "report result drain", "Look{}"}
	out := view(draining)
	out.ContainerInstance, out.Status = "", fleet.StatusLaunching
	kept, keptDraining := view(active, web), view(draining, web)
	kept.Kept, keptDraining.Kept = "ann: I look at it", "ann: I look at it"
	protected := web
	protected.Protected = true

	tests := map[string]struct {
		events  []drain.Event
		phase   drain.Phase
		effects []string
		says    string
	}{
		"the plain case": {
			slices.Concat(begun, []drain.Event{
				drain.Tick{Now: after(6 * time.Second)},
				seen(6*time.Second, view(draining, stopped)),
				seen(20*time.Second, view(draining)), seen(25*time.Second, view(draining)), did(25*time.Second, drain.Deregister{}),
				seen(26*time.Second, out), did(27*time.Second, drain.Terminate{}),
				drain.Viewed{Now: after(40 * time.Second), Gone: true},
			}), drain.Done,
			slices.Concat(begunNames, []string{"Look{}", "Deregister{}", "report result deregister", "Look{}", "Terminate{}", "report result terminate", "report final done"}), "",
		},
		"empty once is not empty": {
			slices.Concat(begun, []drain.Event{seen(10*time.Second, view(draining)), seen(15*time.Second, view(draining, web)), seen(20*time.Second, view(draining))}),
			drain.Emptying, begunNames, "",
		},
		"an incomplete look does not count as empty": {
			slices.Concat(begun, []drain.Event{
				seen(10*time.Second, view(draining)), seen(15*time.Second, func() drain.View { v := view(draining); v.Complete = false; return v }()),
				seen(20*time.Second, view(draining)),
			}), drain.Emptying, begunNames, "",
		},
		"a task lands before the deregister": {
			slices.Concat(begun, []drain.Event{
				seen(10*time.Second, view(draining)), seen(15*time.Second, view(draining)),
				drain.Did{Now: after(15 * time.Second), What: drain.Deregister{}, Busy: true},
			}), drain.Emptying, slices.Concat(begunNames, []string{"Deregister{}", "report result deregister"}), "",
		},
		"a task came after the plan": {
			[]drain.Event{drain.Tick{Now: at}, seen(0, view(active, web, web))},
			drain.Rejected,
			[]string{"Look{}", "report final rejected stale"},
			"came after the plan",
		},
		"a protected task forbids it": {
			[]drain.Event{drain.Tick{Now: at}, seen(0, view(active, protected))},
			drain.Rejected,
			[]string{"Look{}", "report final rejected stale"},
			"protected",
		},
		"protection in the gap rolls it back": {
			[]drain.Event{
				drain.Tick{Now: at},
				seen(0, view(active, web)), did(0, drain.SetDraining{}), seen(time.Second, view(draining, protected)),
				did(time.Second, drain.SetActive{}), seen(2*time.Second, view(active, protected)),
			},
			drain.RolledBack,
			[]string{"Look{}", "SetDraining{}", "report result drain", "Look{}", "SetActive{}", "report result activate", "Look{}", "report final rolled-back stale"},
			"protected",
		},
		"another container instance": {
			[]drain.Event{drain.Tick{Now: at}, seen(0, func() drain.View { v := view(active); v.ContainerInstance = "c9"; return v }())},
			drain.Rejected,
			[]string{"Look{}", "report final rejected stale"},
			"is now container instance c9",
		},
		"not ours": {
			[]drain.Event{drain.Tick{Now: at}, seen(0, func() drain.View { v := view(active); v.Ours = false; return v }())},
			drain.Rejected,
			[]string{"Look{}", "report final rejected stale"},
			"not this installation's",
		},
		"a person drains it": {
			[]drain.Event{drain.Tick{Now: at}, seen(0, func() drain.View { v := view(draining); v.DrainTag = ""; return v }())},
			drain.Rejected,
			[]string{"Look{}", "report final rejected stale"},
			"somebody else",
		},
		"a person keeps it": {
			[]drain.Event{drain.Tick{Now: at}, seen(0, kept)}, drain.Rejected, []string{"Look{}", "report final rejected stale"}, "protected: ann",
		},
		"a person keeps it when it drains": {
			slices.Concat(begun, []drain.Event{seen(10*time.Second, keptDraining)}),
			drain.Restoring, slices.Concat(begunNames, []string{"SetActive{}"}), "",
		},
		"too late to begin": {
			[]drain.Event{drain.Tick{Now: after(11 * time.Minute)}}, drain.Rejected, []string{"report final rejected stale"}, "deadline",
		},
		"timeout: what is left is stopped": {
			slices.Concat(begun, []drain.Event{seen(16*time.Minute, view(draining, web, agent, stopped))}),
			drain.Emptying, slices.Concat(begunNames, []string{"StopTasks{[t1]}"}), "",
		},
		"timeout: the stop was held back": {
			slices.Concat(begun, []drain.Event{seen(16*time.Minute, view(draining, web)), drain.Tick{Now: after(17 * time.Minute)}, seen(17*time.Minute, view(draining, web, stopped))}),
			drain.Emptying, slices.Concat(begunNames, []string{"StopTasks{[t1]}", "Look{}", "StopTasks{[t1]}"}), "",
		},
		"timeout: stopped tasks that do not end": {
			slices.Concat(begun, []drain.Event{seen(16*time.Minute, view(draining, web)), seen(25*time.Minute, view(draining, stopped)), seen(27*time.Minute, view(draining, web)), did(27*time.Minute, drain.SetActive{}), seen(27*time.Minute, view(active, web))}),
			drain.RolledBack, slices.Concat(begunNames, []string{"StopTasks{[t1]}", "SetActive{}", "report result activate", "Look{}", "report final rolled-back timeout"}), "did not end",
		},
		"a person sets it active": {
			slices.Concat(begun, []drain.Event{seen(10*time.Second, view(active, web))}),
			drain.RolledBack, slices.Concat(begunNames, []string{"report final rolled-back stale"}), "active again",
		},
		"cancelled while it drains": {
			slices.Concat(begun, []drain.Event{drain.Cancel{Now: after(10 * time.Second), Why: "needed again"}, seen(10*time.Second, view(draining, web)), did(10*time.Second, drain.SetActive{}), seen(11*time.Second, view(active, web))}),
			drain.RolledBack, slices.Concat(begunNames, []string{"Look{}", "SetActive{}", "report result activate", "Look{}", "report final rolled-back stale"}), "needed again",
		},
		"cancelled before ECS drains it: the mark is taken off": {
			[]drain.Event{
				drain.Tick{Now: at},
				seen(0, view(active, web)),
				drain.Cancel{Now: at, Why: "needed again"},
				seen(0, view(active, web)),
				did(0, drain.SetActive{}), seen(time.Second, view(active, web)),
			},
			drain.RolledBack,
			[]string{"Look{}", "SetDraining{}", "Look{}", "SetActive{}", "report result activate", "Look{}", "report final rolled-back stale"},
			"needed again",
		},
		"somebody else's while it drains: hands off": {
			slices.Concat(begun, []drain.Event{seen(10*time.Second, func() drain.View { v := view(draining, web); v.Ours = false; return v }())}),
			drain.Failed, slices.Concat(begunNames, []string{"report final failed stale"}), "not this installation's",
		},
		"somebody else's when it is cancelled: hands off": {
			slices.Concat(begun, []drain.Event{drain.Cancel{Now: after(10 * time.Second)}, seen(10*time.Second, func() drain.View { v := view(draining, web); v.Ours = false; return v }())}),
			drain.Failed, slices.Concat(begunNames, []string{"Look{}", "report final failed stale"}), "not this installation's",
		},
		"cancelled after it left the cluster: only forward": {
			slices.Concat(begun, []drain.Event{
				seen(10*time.Second, view(draining)), seen(15*time.Second, view(draining)), did(15*time.Second, drain.Deregister{}),
				drain.Cancel{Now: after(16 * time.Second)},
				seen(16*time.Second, out),
			}), drain.Terminating, slices.Concat(begunNames, []string{"Deregister{}", "report result deregister", "Look{}", "Terminate{}"}), "",
		},
		"not found is not gone": {
			slices.Concat(begun, []drain.Event{
				drain.Viewed{Now: after(10 * time.Second), Missing: true}, drain.Viewed{Now: after(4 * time.Minute), Missing: true},
			}), drain.Emptying, begunNames, "",
		},
		"not found for long is gone": {
			slices.Concat(begun, []drain.Event{
				drain.Viewed{Now: after(10 * time.Second), Missing: true}, drain.Viewed{Now: after(6 * time.Minute), Missing: true},
			}), drain.Done, slices.Concat(begunNames, []string{"report final done"}), "",
		},
		"failures are tried again": {
			[]drain.Event{
				drain.Tick{Now: at},
				seen(0, view(active, web)),
				drain.Did{Now: at, What: drain.SetDraining{}, Class: fleet.FailureThrottled},
				drain.Tick{Now: at},
				drain.Tick{Now: after(time.Second)},
				seen(time.Second, view(active, web)),
			}, drain.Draining, []string{"Look{}", "SetDraining{}", "report result drain throttled", "Look{}", "SetDraining{}"}, "",
		},
	}
	for label, test := range tests {
		t.Run(label, func(t *testing.T) {
			s, effects := run(drainAction(), test.events...)
			if s.Phase != test.phase || !slices.Equal(effects, test.effects) || !strings.Contains(s.Message, test.says) {
				t.Errorf("got %s %q %q\nwant %s %q", s.Phase, s.Message, effects, test.phase, test.effects)
			}
		})
	}
}

func TestTimeoutRestores(t *testing.T) {
	a := drainAction()
	a.Drain.OnTimeout = fleet.TimeoutRestore
	s, effects := run(a, drain.Tick{Now: at}, seen(0, view(fleet.StatusActive, web)), did(0, drain.SetDraining{}),
		seen(time.Second, view(fleet.StatusDraining, web)), seen(16*time.Minute, view(fleet.StatusDraining, web)))
	if s.Phase != drain.Restoring || effects[len(effects)-1] != "SetActive{}" {
		t.Errorf("got %+v %q", s, effects)
	}
}

func TestInvoluntaryAsksLess(t *testing.T) {
	a := drainAction()
	a.Drain.Involuntary, a.Drain.Timeout = true, fleet.Duration(90*time.Second)
	v := view(fleet.StatusDraining, drain.Task{ID: "t9", What: "family:batch batch:1", Standalone: true, Protected: true})
	v.DrainTag, v.AgentConnected = "", false // the agent drained it by itself and hangs
	s, effects := run(a, drain.Tick{Now: at}, seen(0, v), did(0, drain.SetDraining{}), seen(time.Second, v), seen(2*time.Minute, v))
	want := []string{"Look{}", "SetDraining{}", "report result drain", "Look{}", "StopTasks{[t9]}"}
	if s.Phase != drain.Emptying || !slices.Equal(effects, want) {
		t.Errorf("got %s %q", s.Phase, effects)
	}
}

// TestSilentAgent: nobody answers for the tasks of an instance whose agent is away. It is
// terminated with them once ECS has told all of them to stop, and a grace later, no sooner.
func TestSilentAgent(t *testing.T) {
	silent := func(status fleet.InstanceStatus, tasks ...drain.Task) drain.View {
		v := view(status, tasks...)
		v.AgentConnected = false
		return v
	}
	draining := fleet.StatusDraining
	begun := []drain.Event{
		drain.Tick{Now: at},
		seen(0, silent(fleet.StatusActive, web, agent)), did(0, drain.SetDraining{}),
		seen(time.Second, silent(draining, web, agent)),
	}
	begunNames := []string{"Look{}", "SetDraining{}", "report result drain", "Look{}"}
	protected := web
	protected.Protected = true
	tests := map[string]struct {
		events  []drain.Event
		phase   drain.Phase
		effects []string
	}{
		"ECS has given up all of it": {
			[]drain.Event{seen(time.Minute, silent(draining, stopped, agent)), seen(10*time.Minute, silent(draining, stopped, agent)), seen(11*time.Minute, silent(draining, stopped, agent))},
			drain.Terminating,
			[]string{"Terminate{}"},
		},
		"and the agent is back within the grace": {
			[]drain.Event{seen(time.Minute, silent(draining, stopped)), seen(5*time.Minute, view(draining, stopped))},
			drain.Emptying, nil,
		},
		"a task of it is wanted until it is stopped": {
			[]drain.Event{seen(14*time.Minute, silent(draining, web)), seen(16*time.Minute, silent(draining, web)), seen(17*time.Minute, silent(draining, stopped)), seen(26*time.Minute, silent(draining, stopped))},
			drain.Terminating,
			[]string{"StopTasks{[t1]}", "Terminate{}"},
		},
		"a task of it is protected": {
			[]drain.Event{seen(time.Minute, silent(draining, protected))}, drain.Restoring, []string{"SetActive{}"},
		},
		"not every task could be read": {
			[]drain.Event{seen(time.Minute, silent(draining, stopped)), seen(12*time.Minute, func() drain.View { v := silent(draining, stopped); v.Complete = false; return v }())},
			drain.Emptying, nil,
		},
	}
	for label, test := range tests {
		t.Run(label, func(t *testing.T) {
			a := drainAction()
			a.Drain.Unhealthy = true
			s, effects := run(a, slices.Concat(begun, test.events)...)
			if want := slices.Concat(begunNames, test.effects); s.Phase != test.phase || !slices.Equal(effects, want) {
				t.Errorf("got %s %q %q\nwant %s %q", s.Phase, s.Message, effects, test.phase, want)
			}
		})
	}
	impaired := drainAction()
	impaired.Drain.Unhealthy = true
	for a, look := range map[*fleet.Action]func(fleet.InstanceStatus, ...drain.Task) drain.View{
		drainAction(): silent, // its agent went away while it drained
		impaired:      view,   // its agent answers
	} {
		s, effects := run(a, drain.Tick{Now: at}, seen(0, view(fleet.StatusActive, web)), did(0, drain.SetDraining{}),
			seen(time.Second, look(draining, web)), seen(time.Minute, look(draining, stopped)), seen(12*time.Minute, look(draining, stopped)))
		if s.Phase != drain.Emptying || !slices.Equal(effects, begunNames) {
			t.Errorf("it was not waited for the tasks: %s %q", s.Phase, effects)
		}
	}
	s, _ := run(drainAction(), drain.Tick{Now: at}, seen(0, silent(fleet.StatusActive, web)))
	if s.Phase != drain.Rejected {
		t.Errorf("an instance that is to go for another reason: %+v", s)
	}
}

func TestRestore(t *testing.T) {
	a := &fleet.Action{ID: "a2", Kind: fleet.ActionRestore, Deadline: after(10 * time.Minute), Restore: &fleet.Restore{Instance: "i-1", ContainerInstance: "c1"}}
	s, effects := run(a, drain.Tick{Now: at}, seen(0, view(fleet.StatusDraining, web)), did(0, drain.SetActive{}), seen(0, view(fleet.StatusActive, web)))
	want := []string{"Look{}", "SetActive{}", "report result activate", "Look{}", "report final done"}
	if s.Phase != drain.Done || !slices.Equal(effects, want) {
		t.Errorf("got %s %q", s.Phase, effects)
	}
}

func TestReap(t *testing.T) {
	a := &fleet.Action{ID: "a3", Kind: fleet.ActionReap, Deadline: after(10 * time.Minute), Reap: &fleet.Reap{Instance: "i-1"}}
	lost := view(fleet.StatusLaunching)
	lost.ContainerInstance = ""
	s, effects := run(a, drain.Tick{Now: at}, seen(0, lost), did(0, drain.Terminate{}), drain.Viewed{Now: after(10 * time.Second), Gone: true})
	if want := []string{"Look{}", "Terminate{}", "report result terminate", "report final done"}; s.Phase != drain.Done || !slices.Equal(effects, want) {
		t.Errorf("got %s %q", s.Phase, effects)
	}
	if s, _ := run(a, drain.Tick{Now: at}, seen(0, view(fleet.StatusActive))); s.Phase != drain.Rejected {
		t.Errorf("it has registered after all: %+v", s)
	}
}

// TestNeverTerminatesWithTasks: whatever is seen in whatever order, a voluntary drain asks
// for Terminate only after a deregister that ECS accepted, and for that only after two
// complete empty looks in a row.
func TestNeverTerminatesWithTasks(t *testing.T) {
	for seed := range uint64(5_000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		a, now := drainAction(), at
		var s drain.State
		emptyLooks, left := 0, false
		for range 80 {
			now = now.Add(time.Duration(rng.IntN(20)) * time.Second)
			e := randomEvent(rng, now, left)
			if v, ok := e.(drain.Viewed); ok && v.Class == "" && !v.Missing {
				if v.View.Complete && len(v.View.Tasks) == 0 {
					emptyLooks++
				} else {
					emptyLooks = 0
				}
			}
			if d, ok := e.(drain.Did); ok && d.Class == "" && !d.Busy && s.Phase == drain.Emptying {
				_, left = d.What.(drain.Deregister)
			}
			var effects []drain.Effect
			s, effects = drain.Step(a, s, e)
			for _, effect := range effects {
				switch effect.(type) {
				case drain.Terminate:
					if !left {
						t.Fatalf("seed %d: terminate before a deregister that worked", seed)
					}
				case drain.Deregister:
					if emptyLooks < 2 {
						t.Fatalf("seed %d: deregister after %d empty looks", seed, emptyLooks)
					}
				}
			}
		}
	}
}

func randomEvent(rng *rand.Rand, now time.Time, left bool) drain.Event {
	var class fleet.FailureClass
	if rng.IntN(6) == 0 {
		class = fleet.FailureUnknown
	}
	v := view(fleet.StatusDraining)
	for range rng.IntN(3) {
		v.Tasks = append(v.Tasks, []drain.Task{web, agent, stopped}[rng.IntN(3)])
	}
	v.Complete = rng.IntN(8) != 0
	if rng.IntN(5) == 0 {
		v.Status, v.DrainTag = fleet.StatusActive, ""
	}
	if left {
		v.ContainerInstance, v.Status, v.Tasks = "", fleet.StatusLaunching, nil
	}
	effects := []drain.Effect{drain.SetDraining{}, drain.SetActive{}, drain.Terminate{}}
	switch rng.IntN(7) {
	case 0:
		return drain.Did{Now: now, What: effects[rng.IntN(len(effects))], Class: class}
	case 1:
		return drain.Did{Now: now, What: drain.Deregister{}, Busy: rng.IntN(2) == 0, Class: class}
	case 2:
		return drain.Tick{Now: now}
	case 3:
		if rng.IntN(10) == 0 {
			return drain.Viewed{Now: now, Missing: true}
		}
		return drain.Tick{Now: now}
	default:
		return drain.Viewed{Now: now, View: v, Class: class}
	}
}
