package drain_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/drain"
)

// account notes the calls, and lets something happen before one of them.
type account struct {
	drain.Calls
	marked, draining bool
	calls            []string
	before           map[string]func()
	fails            func(call string, nth int) bool
}

func (a *account) call(name string) error {
	if do := a.before[name]; do != nil {
		do()
	}
	a.calls = append(a.calls, name)
	if a.fails != nil && a.fails(name, len(a.calls)) {
		return fleet.ErrThrottled
	}
	return nil
}

func (a *account) TagDrain(context.Context, fleet.InstanceID, fleet.ActionID) error {
	defer func() { a.marked = true }()
	return a.call("mark")
}

func (a *account) Untag(context.Context, fleet.InstanceID) error {
	defer func() { a.marked = false }()
	return a.call("unmark")
}

func (a *account) SetDraining(context.Context, fleet.ClusterName, fleet.ContainerInstanceID) error {
	defer func() { a.draining = true }()
	return a.call("drain")
}

func (a *account) SetActive(context.Context, fleet.ClusterName, fleet.ContainerInstanceID) error {
	defer func() { a.draining = false }()
	return a.call("activate")
}

// TestAnInstanceDrainsWithItsMark: a process that was stopped between the mark and the call
// wakes when another has long undone the drain. What it leaves draining must carry the mark,
// for without it the planner takes it for a person's and never restores it.
func TestAnInstanceDrainsWithItsMark(t *testing.T) {
	act := fleet.Action{ID: "a", Kind: fleet.ActionDrain, Drain: &fleet.Drain{Instance: "i-1", ContainerInstance: "ci-1"}}
	a := &account{}
	a.before = map[string]func(){"drain": func() {
		if err := drain.Change(t.Context(), a, "web", &act, drain.SetActive{}); err != nil {
			t.Fatal(err)
		}
	}}
	if err := drain.Change(t.Context(), a, "web", &act, drain.SetDraining{}); err != nil {
		t.Fatal(err)
	}
	if !a.draining || !a.marked {
		t.Errorf("draining %t, marked %t after %v", a.draining, a.marked, a.calls)
	}
	if want := []string{"mark", "activate", "unmark", "drain", "mark"}; !slices.Equal(a.calls, want) {
		t.Errorf("calls %v, want %v", a.calls, want)
	}
}

// TestWhatCannotBeMarkedIsSetActive: nobody else would undo it.
func TestWhatCannotBeMarkedIsSetActive(t *testing.T) {
	act := fleet.Action{ID: "a", Kind: fleet.ActionDrain, Drain: &fleet.Drain{Instance: "i-1", ContainerInstance: "ci-1"}}
	a := &account{fails: func(call string, nth int) bool { return call == "mark" && nth > 1 }}
	err := drain.Change(t.Context(), a, "web", &act, drain.SetDraining{})
	if !errors.Is(err, fleet.ErrThrottled) || a.draining {
		t.Errorf("%v, draining %t after %v", err, a.draining, a.calls)
	}
}
