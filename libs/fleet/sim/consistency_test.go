package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestChecklist07EventualConsistency: after a launch, reads by ID and lists may not know an
// instance yet, tags and states are late, each by a time of its own, and
// InvalidInstanceID.NotFound does not mean gone.
func TestChecklist07EventualConsistency(t *testing.T) {
	cfg := Config{Seed: 7, Delays: FastDelays().Eventual()}
	w := run(t, cfg, "cluster web\nlaunch m7i.large count 20 tag team=a", 0)
	list := ids(w)
	described := func() int {
		n := 0
		for _, r := range must(w.DescribeInstances(&DescribeInstancesInput{Filters: []Filter{{"tag:team", []string{"a"}}}}))(t).Reservations {
			n += len(r.Instances)
		}
		return n
	}
	if n := described(); n != 0 {
		t.Errorf("%d instances are listed at once", n)
	}
	for what, err := range map[string]error{
		"describe":  second(w.DescribeInstances(&DescribeInstancesInput{InstanceIDs: list[:1]})),
		"tag":       second(w.CreateTags(&CreateTagsInput{Resources: list[:1], Tags: []Tag{{"a", "b"}}})),
		"terminate": second(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: list[:1]})),
	} {
		failsWith(t, what+" at once", err, "InvalidInstanceID.NotFound")
	}
	var seen []int
	for range 8 {
		w.Advance(w.Now().Add(time.Second))
		seen = append(seen, described())
	}
	if seen[0] == 20 || seen[len(seen)-1] != 20 {
		t.Errorf("listed after each second: %v, want all of them in the end and not at the beginning", seen)
	}
	spread := false
	for _, n := range seen {
		spread = spread || n > 0 && n < 20
	}
	if !spread {
		t.Errorf("listed after each second: %v, want some before others", seen)
	}
	w.Advance(w.Now().Add(time.Minute))
	must(w.CreateTags(&CreateTagsInput{Resources: list, Tags: []Tag{{"team", "b"}}}))(t)
	if n := described(); n != 20 {
		t.Errorf("%d instances have the tag they had, 20 expected just after it changed", n)
	}
	must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: list}))(t)
	states := func() string {
		out := must(w.DescribeInstances(&DescribeInstancesInput{InstanceIDs: list[:1]}))(t)
		return out.Reservations[0].Instances[0].State.Name
	}
	if got := states(); got != "running" {
		t.Errorf("state %s just after TerminateInstances, running expected", got)
	}
	w.Advance(w.Now().Add(5 * time.Second))
	if got := states(); got != "shutting-down" || described() != 0 {
		t.Errorf("state %s, %d instances with the tag that changed", got, described())
	}
}

func second[T any](_ T, err error) error { return err }

// TestChecklist07TerminatedLinger: terminated instances stay listed for about an hour.
func TestChecklist07TerminatedLinger(t *testing.T) {
	w := run(t, Config{}, "cluster web\nlaunch m7i.large\nat 2m terminate oldest", 30*time.Minute)
	list := ids(w)
	out := must(w.DescribeInstances(&DescribeInstancesInput{Filters: []Filter{{"instance-state-name", []string{"terminated"}}}}))(t)
	if len(out.Reservations) != 1 || out.Reservations[0].Instances[0].StateReason.Code != "Client.UserInitiatedShutdown" {
		t.Fatalf("terminated: %+v", out.Reservations)
	}
	w.Advance(w.Now().Add(time.Hour))
	_, err := w.DescribeInstances(&DescribeInstancesInput{InstanceIDs: list})
	failsWith(t, "an hour later", err, "InvalidInstanceID.NotFound")
}

// TestChecklist07ClientTokens: a token gives the same answer to the same request, refuses
// another one, is zonal for RunInstances, and is forgotten a day after its instances ended.
func TestChecklist07ClientTokens(t *testing.T) {
	w := must(New(Config{}))(t)
	in := RunInstancesInput{ImageID: al2023, InstanceType: "m7i.large", MinCount: 1, MaxCount: 2, ClientToken: "t", SubnetID: w.subnets[0].ID}
	first := must(w.RunInstances(&in))(t)
	if again := must(w.RunInstances(&in))(t); again.ReservationID != first.ReservationID || len(w.instances) != 2 {
		t.Errorf("the same request: %s, %d instances", again.ReservationID, len(w.instances))
	}
	other := in
	other.MaxCount = 3
	_, err := w.RunInstances(&other)
	failsWith(t, "other parameters", err, "IdempotentParameterMismatch")
	byZone := in
	byZone.SubnetID, byZone.Placement.AvailabilityZone = "", w.subnets[0].Zone
	_, err = w.RunInstances(&byZone)
	failsWith(t, "the same zone by its name", err, "IdempotentParameterMismatch")
	elsewhere := in
	elsewhere.SubnetID = w.subnets[1].ID
	if out := must(w.RunInstances(&elsewhere))(t); out.ReservationID == first.ReservationID {
		t.Error("the same token in another zone gave the same launch")
	}
	must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: ids(w)}))(t)
	w.Advance(w.Now().Add(23 * time.Hour))
	if again := must(w.RunInstances(&in))(t); again.ReservationID != first.ReservationID {
		t.Error("a token is forgotten less than a day after its instances ended")
	}
	w.Advance(w.Now().Add(2 * time.Hour))
	if again := must(w.RunInstances(&in))(t); again.ReservationID == first.ReservationID {
		t.Error("a token is remembered more than a day after its instances ended")
	}
}

// TestTerminateRefuses: all IDs that are wrong are named, one fails all, and a protected
// instance fails its zone alone.
func TestTerminateRefuses(t *testing.T) {
	w := run(t, Config{}, "cluster web\nlaunch m7i.large\nlaunch m7i.large zone us-east-1b", time.Minute)
	list := ids(w)
	end := func(ids ...string) error {
		return second(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: ids}))
	}
	err := end(list[0], "i-1", "web")
	failsWith(t, "malformed", err, "InvalidInstanceID.Malformed")
	if !strings.Contains(err.Error(), "i-1, web") {
		t.Errorf("%v does not name both", err)
	}
	err = end(list[0], "i-00000000", "i-00000000000000001")
	failsWith(t, "unknown", err, "InvalidInstanceID.NotFound")
	if !strings.Contains(err.Error(), "The instance IDs 'i-00000000, i-00000000000000001' do not exist") {
		t.Errorf("%v does not name both", err)
	}
	failsWith(t, "none", end(), "InvalidParameterCombination")
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprintf("i-%08x", i)
	}
	failsWith(t, "too many", end(many...), "InvalidParameterValue")
	must(w.ModifyInstanceAttribute(&ModifyInstanceAttributeInput{InstanceID: list[0], DisableAPITermination: &AttributeBoolean{true}}))(t)
	failsWith(t, "protected", end(list...), "OperationNotPermitted")
	if a, b := w.instances[list[0]].state, w.instances[list[1]].state; a != machineRunning || b != machineShuttingDown {
		t.Errorf("states %v and %v: the protected one runs, the one in the other zone ends", a.describe(), b.describe())
	}
	must(w.ModifyInstanceAttribute(&ModifyInstanceAttributeInput{InstanceID: list[0], Attribute: "disableApiTermination", Value: "false"}))(t)
	if err := end(list[0]); err != nil {
		t.Error(err)
	}
}
