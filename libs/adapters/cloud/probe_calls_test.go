package cloud

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

// TestPermissionsAreThoseOfTheFaces: every call that a face may make is tried, no other, and a
// refusal of each is seen.
func TestPermissionsAreThoseOfTheFaces(t *testing.T) {
	w := answering(t, func(string) (int, string) { return 400, `{"__type":"AccessDeniedException","message":"no"}` })
	a, err := Open(t.Context(), Config{Region: "us-east-1", Endpoint: w.URL, Unsigned: true, Share: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for service, faces := range map[string]map[string][]reflect.Type{
		"watcher": {
			"ecs": {reflect.TypeFor[readerECS]()}, "ec2": {reflect.TypeFor[readerEC2]()}, "ssm": {reflect.TypeFor[parameters]()},
			"pricing": {reflect.TypeFor[priceList]()}, "sqs": {reflect.TypeFor[eventQueue]()},
		},
		"actuator": {
			"ecs": {reflect.TypeFor[instanceReads](), reflect.TypeFor[launcherChangeECS]()},
			"ec2": {reflect.TypeFor[launcherReadEC2](), reflect.TypeFor[launcherChangeEC2]()}, "ssm": {reflect.TypeFor[parameters]()},
		},
		"drainer": {
			"ecs": {reflect.TypeFor[drainerReadECS](), reflect.TypeFor[drainerChangeECS]()},
			"ec2": {reflect.TypeFor[drainerReadEC2](), reflect.TypeFor[drainerChangeEC2]()},
		},
	} {
		var want, got []string
		for prefix, types := range faces {
			for _, face := range types {
				for m := range face.Methods() {
					if m.Name != "DeleteMessageBatch" { // nothing can be deleted that was not received
						want = append(want, prefix+":"+m.Name)
					}
				}
			}
		}
		for _, p := range a.Permissions(t.Context(), service, "prod", "neap", w.URL+"/1/queue") {
			got = append(got, p.Action)
			if !errors.Is(p.Err, fleet.ErrDenied) && p.Action[:3] != "ec2" { // the answer is in the protocol of the others
				t.Errorf("%s: a refusal of %s is taken for %v", service, p.Action, p.Err)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: tried are\n%v, its faces are\n%v", service, got, want)
		}
	}
}
