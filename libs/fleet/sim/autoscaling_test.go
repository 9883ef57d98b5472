package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

func describeGroup(t *testing.T, w *World, name string) AutoScalingGroup {
	t.Helper()
	list := must(w.DescribeAutoScalingGroups(&DescribeAutoScalingGroupsInput{AutoScalingGroupNames: Members[string]{[]string{name}}}))(t).AutoScalingGroups.Member
	if len(list) != 1 {
		t.Fatalf("%d groups are named %s", len(list), name)
	}
	return list[0]
}

// states counts the instances of a group by lifecycle state.
func states(g AutoScalingGroup) string {
	counts := map[string]int{}
	for _, i := range g.Instances.Member {
		counts[i.LifecycleState]++
	}
	return fmt.Sprint(counts)
}

// TestAutoScalingGroupKeepsItsCapacity: a group spreads over zones, tags its instances,
// replaces what ends and grows and shrinks with its desired capacity.
func TestAutoScalingGroupKeepsItsCapacity(t *testing.T) {
	w := run(t, Config{Seed: 1}, `
cluster web
group web type m7i.large min 1 max 8 desired 3 tag team=x
at 5m capacity web 6
at 10m capacity web 2
`, 2*time.Minute)
	g := describeGroup(t, w, "web")
	if states(g) != "map[InService:3]" || len(g.AvailabilityZones.Member) != 3 || g.MinSize != 1 || g.MaxSize != 8 || g.DesiredCapacity != 3 {
		t.Fatalf("the group is %+v", g)
	}
	zones := map[string]int{}
	for _, i := range g.Instances.Member {
		zones[i.AvailabilityZone]++
		tags := fmt.Sprint(w.instances[i.InstanceID].tags)
		if !strings.Contains(tags, "{aws:autoscaling:groupName web}") || !strings.Contains(tags, "{team x}") {
			t.Errorf("tags %s", tags)
		}
	}
	if len(zones) != 3 {
		t.Errorf("zones %v", zones)
	}
	if hosts := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web"}))(t).ContainerInstanceArns; len(hosts) != 3 {
		t.Errorf("%d instances registered", len(hosts))
	}
	lost := g.Instances.Member[0].InstanceID
	must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: []string{lost}}))(t)
	w.Advance(w.cfg.Start.Add(5 * time.Minute))
	if g := describeGroup(t, w, "web"); states(g) != "map[InService:3]" {
		t.Errorf("after one was terminated: %s", states(g))
	}
	w.Advance(w.cfg.Start.Add(7 * time.Minute))
	if g := describeGroup(t, w, "web"); states(g) != "map[InService:6]" {
		t.Errorf("after growing: %s", states(g))
	}
	w.Advance(w.cfg.Start.Add(13 * time.Minute))
	if g := describeGroup(t, w, "web"); states(g) != "map[InService:2]" {
		t.Errorf("after shrinking: %s", states(g))
	}
	activities := must(w.DescribeScalingActivities(&DescribeScalingActivitiesInput{AutoScalingGroupName: "web", MaxRecords: 100}))(t).Activities.Member
	text := ""
	for _, a := range activities {
		text += a.Description + " " + a.Cause + "\n"
	}
	for _, want := range []string{"Launching a new EC2 instance: i-", "Terminating EC2 instance: " + lost, "EC2 health check", "selected for termination"} {
		if !strings.Contains(text, want) {
			t.Errorf("activities do not tell %q:\n%s", want, text)
		}
	}
}

// TestAutoScalingShortage: what a zone does not give is launched in another; what none
// gives is a failed activity, and is tried again.
func TestAutoScalingShortage(t *testing.T) {
	w := run(t, Config{Seed: 1}, `
cluster web
shortage m7i.large us-east-1a left 0
group web type m7i.large max 9 desired 3
at 5m shortage m7i.large * left 0
at 5m capacity web 5
at 10m plenty m7i.large *
`, 3*time.Minute)
	g := describeGroup(t, w, "web")
	if states(g) != "map[InService:3]" {
		t.Fatalf("beside a shortage: %s", states(g))
	}
	for _, i := range g.Instances.Member {
		if i.AvailabilityZone == "us-east-1a" {
			t.Errorf("an instance in the zone without capacity")
		}
	}
	w.Advance(w.cfg.Start.Add(9 * time.Minute))
	last := must(w.DescribeScalingActivities(&DescribeScalingActivitiesInput{AutoScalingGroupName: "web"}))(t).Activities.Member[0]
	if last.StatusCode != "Failed" || !strings.Contains(last.StatusMessage, "do not have sufficient m7i.large capacity") {
		t.Errorf("the last activity is %+v", last)
	}
	w.Advance(w.cfg.Start.Add(13 * time.Minute))
	if g := describeGroup(t, w, "web"); states(g) != "map[InService:5]" {
		t.Errorf("after the shortage: %s", states(g))
	}
}

// TestAutoScalingMixed: several types, a base of on-demand and a share of spot above it.
func TestAutoScalingMixed(t *testing.T) {
	w := run(t, Config{Seed: 1}, `
cluster web
group web type m7i.large type m6i.large max 20 desired 12 spot 50
shortage m7i.large * on-demand left 2
`, 3*time.Minute)
	counts := map[string]int{}
	for _, m := range w.groupNamed("web").counted() {
		counts[m.machine.kind.name+" "+lifecycleName(m.machine.spot)]++
	}
	if counts["m7i.large on-demand"]+counts["m6i.large on-demand"] != 6 || counts["m7i.large spot"]+counts["m6i.large spot"] != 6 {
		t.Errorf("launched %v", counts)
	}
	if counts["m7i.large on-demand"] == 0 { // the first override has priority
		t.Errorf("launched %v", counts)
	}
}

// TestAutoScalingInstances terminates, protects, detaches and attaches single instances.
func TestAutoScalingInstances(t *testing.T) {
	w := run(t, Config{Seed: 1}, `
cluster web
group web type m7i.large min 1 max 5 desired 3
`, 2*time.Minute)
	ids := []string{}
	for _, i := range describeGroup(t, w, "web").Instances.Member {
		ids = append(ids, i.InstanceID)
	}
	yes, no := true, false
	out := must(w.TerminateInstanceInAutoScalingGroup(&TerminateInstanceInAutoScalingGroupInput{InstanceID: ids[0], ShouldDecrementDesiredCapacity: &yes}))(t)
	if out.Activity.StatusCode != "InProgress" || describeGroup(t, w, "web").DesiredCapacity != 2 {
		t.Errorf("terminated with %+v", out.Activity)
	}
	w.Advance(w.now.Add(2 * time.Minute))
	if g := describeGroup(t, w, "web"); states(g) != "map[InService:2]" {
		t.Errorf("after a decrement: %s", states(g))
	}
	must(w.TerminateInstanceInAutoScalingGroup(&TerminateInstanceInAutoScalingGroupInput{InstanceID: ids[1], ShouldDecrementDesiredCapacity: &no}))(t)
	w.Advance(w.now.Add(2 * time.Minute))
	if g := describeGroup(t, w, "web"); states(g) != "map[InService:2]" {
		t.Errorf("after a replacement: %s", states(g))
	}
	must(w.SetInstanceProtection(&SetInstanceProtectionInput{AutoScalingGroupName: "web", InstanceIDs: Members[string]{ids[2:]}, ProtectedFromScaleIn: &yes}))(t)
	one := 1
	must(w.SetDesiredCapacity(&SetDesiredCapacityInput{AutoScalingGroupName: "web", DesiredCapacity: &one}))(t)
	w.Advance(w.now.Add(2 * time.Minute))
	if g := describeGroup(t, w, "web"); len(g.Instances.Member) != 1 || g.Instances.Member[0].InstanceID != ids[2] || !g.Instances.Member[0].ProtectedFromScaleIn {
		t.Errorf("scale-in left %+v", g.Instances.Member)
	}
	_, err := w.DetachInstances(&DetachInstancesInput{AutoScalingGroupName: "web", InstanceIDs: Members[string]{ids[2:]}, ShouldDecrementDesiredCapacity: &yes})
	failsWith(t, "detach below the minimum", err, codeValidation)
	must(w.DetachInstances(&DetachInstancesInput{AutoScalingGroupName: "web", InstanceIDs: Members[string]{ids[2:]}, ShouldDecrementDesiredCapacity: &no}))(t)
	w.Advance(w.now.Add(2 * time.Minute))
	if m := w.instances[ids[2]]; m.state != machineRunning || states(describeGroup(t, w, "web")) != "map[InService:1]" {
		t.Errorf("detached: %v, group %s", m.state, states(describeGroup(t, w, "web")))
	}
	must(w.AttachInstances(&AttachInstancesInput{AutoScalingGroupName: "web", InstanceIDs: Members[string]{ids[2:]}}))(t)
	if g := describeGroup(t, w, "web"); g.DesiredCapacity != 2 || states(g) != "map[InService:2]" {
		t.Errorf("attached: %+v", g)
	}
	listed := must(w.DescribeAutoScalingInstances(&DescribeAutoScalingInstancesInput{InstanceIDs: Members[string]{ids[2:]}}))(t).AutoScalingInstances.Member
	if len(listed) != 1 || listed[0].AutoScalingGroupName != "web" || listed[0].HealthStatus != "HEALTHY" {
		t.Errorf("listed %+v", listed)
	}
	_, err = w.DeleteAutoScalingGroup(&DeleteAutoScalingGroupInput{AutoScalingGroupName: "web"})
	failsWith(t, "delete with instances", err, "ResourceInUse")
	must(w.DeleteAutoScalingGroup(&DeleteAutoScalingGroupInput{AutoScalingGroupName: "web", ForceDelete: true}))(t)
	w.Advance(w.now.Add(2 * time.Minute))
	if list := must(w.DescribeAutoScalingGroups(&DescribeAutoScalingGroupsInput{}))(t).AutoScalingGroups.Member; len(list) != 0 {
		t.Errorf("groups left: %v", list)
	}
}

// TestAutoScalingErrors gives the codes of Auto Scaling.
func TestAutoScalingErrors(t *testing.T) {
	w := run(t, Config{}, "cluster web\ngroup web type m7i.large min 1 max 3", time.Second)
	zero, one, four := 0, 1, 4
	spec := &AutoScalingTemplate{LaunchTemplateName: "group-web"}
	zones := Members[string]{[]string{"us-east-1a"}}
	for name, in := range map[string]*CreateAutoScalingGroupInput{
		"no sizes":     {AutoScalingGroupName: "x", LaunchTemplate: spec, AvailabilityZones: zones},
		"no template":  {AutoScalingGroupName: "x", MinSize: &zero, MaxSize: &one, AvailabilityZones: zones},
		"bad template": {AutoScalingGroupName: "x", MinSize: &zero, MaxSize: &one, AvailabilityZones: zones, LaunchTemplate: &AutoScalingTemplate{LaunchTemplateName: "none"}},
		"no zone":      {AutoScalingGroupName: "x", MinSize: &zero, MaxSize: &one, LaunchTemplate: spec},
		"bad subnet":   {AutoScalingGroupName: "x", MinSize: &zero, MaxSize: &one, LaunchTemplate: spec, VPCZoneIdentifier: "subnet-1"},
		"min over max": {AutoScalingGroupName: "x", MinSize: &four, MaxSize: &one, LaunchTemplate: spec, AvailabilityZones: zones},
		"desired":      {AutoScalingGroupName: "x", MinSize: &zero, MaxSize: &one, DesiredCapacity: &four, LaunchTemplate: spec, AvailabilityZones: zones},
	} {
		_, err := w.CreateAutoScalingGroup(in)
		failsWith(t, name, err, codeValidation)
	}
	_, err := w.CreateAutoScalingGroup(&CreateAutoScalingGroupInput{AutoScalingGroupName: "web", MinSize: &zero, MaxSize: &one, LaunchTemplate: spec, AvailabilityZones: zones})
	failsWith(t, "the same name", err, "AlreadyExists")
	_, err = w.SetDesiredCapacity(&SetDesiredCapacityInput{AutoScalingGroupName: "none", DesiredCapacity: &one})
	failsWith(t, "unknown group", err, codeValidation)
	_, err = w.SetDesiredCapacity(&SetDesiredCapacityInput{AutoScalingGroupName: "web", DesiredCapacity: &four})
	failsWith(t, "above the maximum", err, codeValidation)
	_, err = w.SetDesiredCapacity(&SetDesiredCapacityInput{AutoScalingGroupName: "web", DesiredCapacity: &zero})
	failsWith(t, "below the minimum", err, codeValidation)
	_, err = w.DescribeAutoScalingGroups(&DescribeAutoScalingGroupsInput{NextToken: "x"})
	failsWith(t, "bad token", err, "InvalidNextToken")
}

// TestManagedDraining: an instance that its group ends drains first, up to 48 h; without
// managed draining its tasks go with it (ECS Developer Guide, "Safely stop workloads").
func TestManagedDraining(t *testing.T) {
	for _, option := range []string{"", " undrained"} {
		w := run(t, Config{Seed: 1}, `
cluster web
task job cpu 64 memory 64
group web type m7i.large max 2 desired 2
provider asg group web`+option+`
at 2m run job count 6 for 10m provider asg
at 4m capacity web 0
`, 5*time.Minute)
		c := w.clusters["web"]
		running := 0
		for task := range c.taskRoll.all {
			if task.last == taskRunning {
				running++
			}
		}
		if option == "" {
			if g := describeGroup(t, w, "web"); running != 6 || states(g) != "map[Terminating:Wait:2]" {
				t.Errorf("draining: %d tasks run, %s", running, states(g))
			}
			w.Advance(w.cfg.Start.Add(15 * time.Minute))
		} else if running != 0 {
			t.Errorf("without draining %d tasks run", running)
		}
		if ids := w.ActiveInstances(fleet.ClusterName("web"), -1); len(ids) != 0 {
			t.Errorf("left %v", ids)
		}
	}
}
