package fleet_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

// TestFingerprint: it changes with each part of a launch spec that an instance keeps for
// life, names that part, and with nothing else.
func TestFingerprint(t *testing.T) {
	const mostOfTag = 256 // letters of a tag's value
	spec := fleet.LaunchSpec{Name: "default", UserData: "echo", SecurityGroups: []string{"sg-1"}, InstanceProfile: "ecs"}
	whole := must(spec.Fingerprint())
	for name, change := range map[string]func(*fleet.LaunchSpec){
		"user data":        func(l *fleet.LaunchSpec) { l.UserData = "echo 2" },
		"security groups":  func(l *fleet.LaunchSpec) { l.SecurityGroups = []string{"sg-1", "sg-2"} },
		"instance profile": func(l *fleet.LaunchSpec) { l.InstanceProfile = "" },
		"key pair":         func(l *fleet.LaunchSpec) { l.KeyName = "ops" },
		"attributes":       func(l *fleet.LaunchSpec) { l.Attributes = map[string]string{"a": "b"} },
		"reserved memory":  func(l *fleet.LaunchSpec) { l.ReservedMemory = 256 },
	} {
		other := spec
		change(&other)
		if got := fleet.Differences(whole, must(other.Fingerprint())); !slices.Equal(got, []string{name}) {
			t.Errorf("a change of %s shows as %q", name, got)
		}
	}
	other := spec
	other.Types.Allow, other.Images, other.Subnets = []string{"m7i.large"}, []string{"ami-1"}, []fleet.SubnetID{"subnet-1"}
	if got := must(other.Fingerprint()); got != whole {
		t.Errorf("%s is not %s, and nothing that an instance keeps has changed", got, whole)
	}
	if len(whole) > mostOfTag {
		t.Errorf("%d letters", len(whole))
	}
	if got := must((&fleet.LaunchSpec{Name: "bare"}).Fingerprint()); got == "" || fleet.Differences(got, whole) == nil {
		t.Errorf("a bare launch spec is %q: it looks like one that is not known", got)
	}
	if got := fleet.Differences("", whole); got != nil {
		t.Errorf("what is not known differs in %q", got)
	}
}

// TestFingerprintIsWhole: each field of a launch spec is part of the fingerprint, or is
// known not to be kept by an instance for life.
func TestFingerprintIsWhole(t *testing.T) {
	part := []string{"LaunchTemplate", "SecurityGroups", "InstanceProfile", "UserData", "KeyName", "BlockDevices", "Metadata", "Attributes", "ReservedMemory"}
	rest := []string{ // what instances are chosen by and how they go, not what they are; images are compared by themselves
		"Name", "Images", "OperatingSystem", "Subnets", "Tags", "Types", "PreferredTypes", "Orientation", "SpotPercentage", "SpotFallback",
		"MinInstances", "MaxInstances", "MaxVCPUs", "MaxMemoryGiB", "ENITrunking", "ScaleDown", "Drain",
	}
	of := reflect.TypeFor[fleet.LaunchSpec]()
	for i := range of.NumField() {
		if name := of.Field(i).Name; !slices.Contains(part, name) && !slices.Contains(rest, name) {
			t.Errorf("LaunchSpec.%s: say here whether an instance keeps it for life, and if so add it to the fingerprint", name)
		}
	}
}

// TestRollIsValidated: what is wrong is named.
func TestRollIsValidated(t *testing.T) {
	good := fleet.Roll{ID: "roll-1", By: "ann", StartedAt: at, RollPace: fleet.RollPace{}.WithDefaults()}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for says, spoil := range map[string]func(*fleet.Roll){
		"batchPercent":      func(r *fleet.Roll) { r.BatchPercent = 101 },
		"minHealthyPercent": func(r *fleet.Roll) { r.MinHealthyPercent = 0 },
		"roll: id":          func(r *fleet.Roll) { r.ID = "" },
		"use one of the two": func(r *fleet.Roll) {
			r.Instances, r.LaunchSpecs = []fleet.InstanceID{"i-1"}, []fleet.LaunchSpecName{"default"}
		},
		"not sorted":         func(r *fleet.Roll) { r.Instances = []fleet.InstanceID{"i-2", "i-1"} },
		"name at most 1000,": func(r *fleet.Roll) { r.Instances = make([]fleet.InstanceID, 1001) },
	} {
		r := good
		spoil(&r)
		if err := r.Validate(); !errors.Is(err, fleet.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}
