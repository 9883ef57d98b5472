package action_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/action"
)

var at = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

func launch() *fleet.Action {
	return &fleet.Action{
		ID: "a1", Kind: fleet.ActionLaunch, Deadline: at.Add(10 * time.Minute),
		Launch: &fleet.Launch{Count: 2, Boot: fleet.Duration(7 * time.Minute)},
	}
}

func instances(ids ...fleet.InstanceID) []fleet.LaunchedInstance {
	var list []fleet.LaunchedInstance
	for _, id := range ids {
		list = append(list, fleet.LaunchedInstance{ID: id, Type: "m7i.large"})
	}
	return list
}

// run steps through events and returns the last state with all effects, by name.
func run(a *fleet.Action, s action.State, events ...action.Event) (action.State, []string) {
	var names []string
	for _, e := range events {
		var effects []action.Effect
		s, effects = action.Step(a, s, e)
		for _, effect := range effects {
			names = append(names, name(effect))
		}
	}
	return s, names
}

func name(e action.Effect) string {
	switch e := e.(type) {
	case action.Send:
		return "send " + string(e.Request)
	case action.Look:
		return fmt.Sprint("look ", e.Instances)
	case action.Stamp:
		return "stamp " + string(e.Instance)
	case action.Report:
		return "report " + string(e.Phase) + " " + string(e.Class)
	}
	return fmt.Sprintf("%T", e)[len("action."):]
}

func after(d time.Duration) time.Time { return at.Add(d) }

func TestLaunch(t *testing.T) {
	minute := time.Minute
	tests := map[string]struct {
		events  []action.Event
		phase   action.Phase
		effects []string
	}{
		"the plain case": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Sent{Now: at, Instances: instances("i-1", "i-2")},
				action.Tick{Now: at},
				action.Looked{Now: after(minute), Registered: []action.Registered{{Instance: "i-1", Attributes: true}, {Instance: "i-2"}}},
				action.Stamped{Now: after(minute), Instance: "i-2"},
			},
			action.Done,
			[]string{"Freeze", "send R", "report result ", "look [i-1 i-2]", "stamp i-2", "report final "},
		},
		"too late to begin": {
			[]action.Event{action.Tick{Now: after(11 * minute)}},
			action.Rejected,
			[]string{"report final stale"},
		},
		"a request that cannot be made": {
			[]action.Event{action.Tick{Now: at}, action.Frozen{Now: at, Class: fleet.FailureInvalid, Message: "no such image"}},
			action.Failed,
			[]string{"Freeze", "report final invalid"},
		},
		"no capacity is definitive": {
			[]action.Event{action.Tick{Now: at}, action.Frozen{Now: at, Request: []byte("R")}, action.Sent{Now: at, Class: fleet.FailureCapacity}, action.Tick{Now: after(minute)}},
			action.Failed,
			[]string{"Freeze", "send R", "report result capacity", "report final capacity"},
		},
		"an answer without instances is no capacity": {
			[]action.Event{action.Tick{Now: at}, action.Frozen{Now: at, Request: []byte("R")}, action.Sent{Now: at}},
			action.Failed,
			[]string{"Freeze", "send R", "report result ", "report final capacity"},
		},
		"partial success is success": {
			[]action.Event{action.Tick{Now: at}, action.Frozen{Now: at, Request: []byte("R")}, action.Sent{Now: at, Instances: instances("i-1"), Class: fleet.FailureCapacity}},
			action.Settling,
			[]string{"Freeze", "send R", "report result capacity"},
		},
		"no answer: the same bytes again": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Sent{Now: at, Class: fleet.FailureUnknown},
				action.Tick{Now: at},
				action.Tick{Now: after(time.Second)},
				action.Sent{Now: after(time.Second), Instances: instances("i-1")},
			},
			action.Settling,
			[]string{"Freeze", "send R", "report result unknown", "send R", "report result "},
		},
		"no answer, then access is denied: what the first may have given is looked for": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Sent{Now: at, Class: fleet.FailureUnknown},
				action.Tick{Now: after(time.Second)},
				action.Sent{Now: after(time.Second), Class: fleet.FailureDenied},
				action.Found{Now: after(minute), Instances: instances("i-1"), Complete: true},
			},
			action.Settling,
			[]string{"Freeze", "send R", "report result unknown", "send R", "report result denied", "Find", "report result "},
		},
		"a crash, then access is denied: the same": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Tick{Now: after(minute)},
				action.Sent{Now: after(minute), Class: fleet.FailureDenied},
			},
			action.Resolving,
			[]string{"Freeze", "send R", "send R", "report result denied", "Find"},
		},
		"denied at once is definitive": {
			[]action.Event{action.Tick{Now: at}, action.Frozen{Now: at, Request: []byte("R")}, action.Sent{Now: at, Class: fleet.FailureDenied}},
			action.Failed,
			[]string{"Freeze", "send R", "report result denied", "report final denied"},
		},
		"no answer, then no capacity: EC2 would have given what it gave": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Sent{Now: at, Class: fleet.FailureUnknown},
				action.Tick{Now: after(time.Second)},
				action.Sent{Now: after(time.Second), Class: fleet.FailureCapacity},
			},
			action.Failed,
			[]string{"Freeze", "send R", "report result unknown", "send R", "report result capacity", "report final capacity"},
		},
		"registered without attributes when its time is over: nothing is called any more": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Sent{Now: at, Instances: instances("i-1")},
				action.Looked{Now: after(9 * minute), Registered: []action.Registered{{Instance: "i-1"}}},
			},
			action.Done,
			[]string{"Freeze", "send R", "report result ", "report final timeout"},
		},
		"no answer for long: never sent again, found by tag": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Sent{Now: at, Class: fleet.FailureUnknown},
				action.Tick{Now: after(5 * minute)},
				action.Found{Now: after(5 * minute), Complete: true},
				action.Tick{Now: after(6 * minute)},
				action.Found{Now: after(6 * minute), Instances: instances("i-1"), Complete: true},
			},
			action.Settling,
			[]string{"Freeze", "send R", "report result unknown", "Find", "Find", "report result "},
		},
		"absent only after three whole answers over ten minutes": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Sent{Now: at, Class: fleet.FailureUnknown},
				action.Tick{Now: after(5 * minute)},
				action.Found{Now: after(5 * minute), Complete: true},
				action.Found{Now: after(6 * minute)},
				action.Found{Now: after(7 * minute), Complete: true},
				action.Found{Now: after(14 * minute), Complete: true},
				action.Found{Now: after(15 * minute), Complete: true},
			},
			action.Failed,
			[]string{"Freeze", "send R", "report result unknown", "Find", "report final unknown"},
		},
		"one never registers": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Sent{Now: at, Instances: instances("i-1", "i-2")},
				action.Looked{Now: after(minute), Registered: []action.Registered{{Instance: "i-1", Attributes: true}}},
				action.Tick{Now: after(9 * minute)},
			},
			action.Done,
			[]string{"Freeze", "send R", "report result ", "report final timeout"},
		},
		"one is gone before it registers": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Sent{Now: at, Instances: instances("i-1")},
				action.Looked{Now: after(minute), Gone: []fleet.InstanceID{"i-1"}},
			},
			action.Done,
			[]string{"Freeze", "send R", "report result ", "report final "},
		},
		"a late second answer changes nothing": {
			[]action.Event{
				action.Tick{Now: at},
				action.Frozen{Now: at, Request: []byte("R")},
				action.Sent{Now: at, Instances: instances("i-1")},
				action.Sent{Now: at, Class: fleet.FailureUnknown},
				action.Frozen{Now: at, Request: []byte("S")},
			},
			action.Settling,
			[]string{"Freeze", "send R", "report result "},
		},
	}
	for label, test := range tests {
		t.Run(label, func(t *testing.T) {
			s, effects := run(launch(), action.State{}, test.events...)
			if s.Phase != test.phase || !slices.Equal(effects, test.effects) {
				t.Errorf("got %s %q\nwant %s %q", s.Phase, effects, test.phase, test.effects)
			}
		})
	}
}

// TestOneRequestForEver: whatever happens in whatever order, only one request is ever
// sent, only within the replay time, and a launch that is over stays over.
func TestOneRequestForEver(t *testing.T) {
	for seed := range uint64(2_000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		a, s, now := launch(), action.State{}, at
		sent, over := "", false
		for range 60 {
			now = now.Add(time.Duration(rng.IntN(90)) * time.Second)
			var effects []action.Effect
			s, effects = action.Step(a, s, randomEvent(rng, now))
			if over && len(effects) > 0 {
				t.Fatalf("seed %d: %v after the end", seed, effects)
			}
			over = s.Over()
			for _, e := range effects {
				send, ok := e.(action.Send)
				if !ok {
					continue
				}
				if sent != "" && sent != string(send.Request) {
					t.Fatalf("seed %d: sent %q after %q", seed, send.Request, sent)
				}
				if sent = string(send.Request); now.Sub(s.FirstCall) > action.ReplayFor {
					t.Fatalf("seed %d: sent %s after the first call", seed, now.Sub(s.FirstCall))
				}
			}
		}
	}
}

func randomEvent(rng *rand.Rand, now time.Time) action.Event {
	classes := []fleet.FailureClass{fleet.FailureNone, fleet.FailureUnknown, fleet.FailureUnknown, fleet.FailureThrottled, fleet.FailureCapacity}
	class := classes[rng.IntN(len(classes))]
	switch rng.IntN(8) {
	case 0:
		return action.Frozen{Now: now, Request: fmt.Append(nil, "R", rng.IntN(5)), Class: class}
	case 1:
		return action.Sent{Now: now, Class: class}
	case 2:
		return action.Found{Now: now, Complete: rng.IntN(2) == 0}
	case 3:
		return action.Looked{Now: now, Registered: []action.Registered{{Instance: "i-1", Attributes: rng.IntN(2) == 0}}}
	case 4:
		return action.Sent{Now: now, Instances: instances("i-1", "i-2")}
	default:
		return action.Tick{Now: now}
	}
}

// TestEveryLaunchEnds: with ticks and no further trouble, each launch is over in bounded time.
func TestEveryLaunchEnds(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 2))
		a, s, now := launch(), action.State{}, at
		for range rng.IntN(20) {
			now = now.Add(time.Duration(rng.IntN(40)) * time.Second)
			s, _ = action.Step(a, s, randomEvent(rng, now))
		}
		healed := now
		for !s.Over() {
			now = now.Add(time.Second)
			if now.Sub(healed) > 40*time.Minute {
				t.Fatalf("seed %d: still %+v", seed, s)
			}
			var effects []action.Effect
			s, effects = action.Step(a, s, action.Tick{Now: now})
			for len(effects) > 0 {
				effect := effects[0]
				effects = effects[1:]
				var more []action.Effect
				switch e := effect.(type) {
				case action.Freeze:
					s, more = action.Step(a, s, action.Frozen{Now: now, Request: []byte("R")})
				case action.Send:
					s, more = action.Step(a, s, action.Sent{Now: now, Instances: instances("i-1")})
				case action.Find:
					s, more = action.Step(a, s, action.Found{Now: now, Complete: true})
				case action.Look:
					s, more = action.Step(a, s, action.Looked{Now: now, Gone: e.Instances})
				}
				effects = append(effects, more...)
			}
		}
	}
}
