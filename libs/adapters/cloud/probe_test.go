package cloud_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// TestPermissionsChangeNothing: with an instance of our own in the cluster every operation that
// a service needs is tried, all are allowed, and the world is as it was.
func TestPermissionsChangeNothing(t *testing.T) {
	account := open(t, "cluster prod\nlaunch m7i.large tag neap.dev/owner=neap\nadvance 5m\n")
	look := func() (truth sim.Truth) {
		account.World(func(w *sim.World) { truth = w.Truth() })
		return truth
	}
	before := look()
	for _, service := range []string{"watcher", "actuator", "drainer"} {
		for _, p := range account.Permissions(t.Context(), service, "prod", "neap", "") {
			if p.Err != nil || p.Service != service {
				t.Errorf("%+v is refused", p)
			}
		}
	}
	if after := look(); !reflect.DeepEqual(before.Instances, after.Instances) || !reflect.DeepEqual(before.History, after.History) {
		t.Errorf("the world has changed:\n%+v\n%+v", before, after)
	}
	if who, err := account.Identity(t.Context()); err != nil || !strings.HasPrefix(who, "arn:aws:") {
		t.Errorf("identity %q, %v", who, err)
	}
}

// TestPermissionsRefused: what AWS refuses is named, and only that.
func TestPermissionsRefused(t *testing.T) {
	account := open(t, "cluster prod\noutage ecs:StopTask error AccessDeniedException\noutage ec2:TerminateInstances error UnauthorizedOperation\n")
	var refused []string
	for _, p := range account.Permissions(t.Context(), "drainer", "prod", "neap", "") {
		if errors.Is(p.Err, fleet.ErrDenied) {
			refused = append(refused, p.Action)
		} else if p.Err != nil {
			t.Errorf("%+v", p)
		}
	}
	if slices.Sort(refused); !slices.Equal(refused, []string{"ec2:TerminateInstances", "ecs:StopTask"}) {
		t.Errorf("refused are %v", refused)
	}
}
