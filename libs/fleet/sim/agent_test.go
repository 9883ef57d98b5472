package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// TestChecklist08RegistrationDelays: the time from launch to registration is distributed
// by platform and type: half the Linux instances within 40 to 60 s and 95 % within
// two minutes, Bottlerocket 20 to 40 s, Windows 3 to 10 minutes, metal some minutes more.
func TestChecklist08RegistrationDelays(t *testing.T) {
	for _, c := range []struct {
		name, launch            string
		median, from95, until95 [2]time.Duration
	}{
		{name: "Linux", launch: "m7i.large", median: [2]time.Duration{40 * time.Second, 60 * time.Second}, from95: [2]time.Duration{90 * time.Second, 150 * time.Second}},
		{name: "Bottlerocket", launch: "m7i.large image bottlerocket", median: [2]time.Duration{20 * time.Second, 40 * time.Second}, from95: [2]time.Duration{40 * time.Second, 100 * time.Second}},
		{name: "Windows", launch: "m7i.large image windows", median: [2]time.Duration{3 * time.Minute, 10 * time.Minute}, from95: [2]time.Duration{6 * time.Minute, 20 * time.Minute}},
		{name: "metal", launch: "m7i.metal-24xl", median: [2]time.Duration{3 * time.Minute, 10 * time.Minute}, from95: [2]time.Duration{6 * time.Minute, 20 * time.Minute}},
	} {
		w := must(New(Config{Seed: 5, Delays: MeasuredDelays()}))(t)
		if strings.Contains(c.launch, "metal") && w.typeNamed[c.launch] == nil {
			c.launch = "c5.metal"
		}
		script := "cluster web\nlaunch " + c.launch + " count 100"
		if err := must(ParseScript(script))(t).Run(w); err != nil {
			t.Fatal(err)
		}
		w.Advance(w.Now().Add(2 * time.Hour))
		var took []time.Duration
		for _, h := range hostsOf(t, w, "web") {
			took = append(took, h.RegisteredAt.Sub(w.cfg.Start))
		}
		slices.Sort(took)
		if len(took) != 100 {
			t.Fatalf("%s: %d registered", c.name, len(took))
		}
		median, late := took[len(took)/2], took[len(took)*95/100]
		if median < c.median[0] || median > c.median[1] {
			t.Errorf("%s: half registered within %v, want %v", c.name, median, c.median)
		}
		if late < c.from95[0] || late > c.from95[1] {
			t.Errorf("%s: 95 %% registered within %v, want %v", c.name, late, c.from95)
		}
	}
}

// TestChecklist08TrunkingRegisters: with trunking an instance is REGISTERING until its trunk
// interface is attached, or ends in REGISTRATION_FAILED with a reason.
func TestChecklist08TrunkingRegisters(t *testing.T) {
	w := run(t, Config{Trunking: true}, "cluster web\nlaunch m7i.large count 2\ntrunks fail 1", 0)
	seen := map[string]bool{}
	for range 120 {
		w.Advance(w.Now().Add(time.Second))
		for _, h := range hostsOf(t, w, "web") {
			seen[h.Status] = true
		}
	}
	if !seen[statusRegistering] || !seen[statusFailed] || !seen[statusActive] {
		t.Errorf("statuses seen: %v", seen)
	}
	failed := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web", Status: statusFailed}))(t)
	if len(failed.ContainerInstanceArns) != 1 {
		t.Fatalf("failed %v", failed)
	}
	for _, h := range hostsOf(t, w, "web") {
		if h.Status == statusFailed && (h.StatusReason == "" || h.AgentConnected) {
			t.Errorf("failed instance %+v", h)
		}
		if h.Status == statusActive && (len(h.Attachments) != 1 || h.Attachments[0].Status != "ATTACHED") {
			t.Errorf("attachments %+v", h.Attachments)
		}
	}
	must(w.DeregisterContainerInstance(&DeregisterContainerInstanceInput{Cluster: "web", ContainerInstance: failed.ContainerInstanceArns[0]}))(t)
}

// TestChecklist08InstancesThatNeverRegister: a stuck boot, a missing instance profile and
// a crash of the agent leave a running EC2 instance that never registers.
func TestChecklist08InstancesThatNeverRegister(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    Config
		script string
	}{
		{"stuck boot", Config{}, "stall 1\n"},
		{"no instance profile", Config{RequireInstanceProfile: true}, ""},
		{"crash", Config{BootFailures: 1}, ""},
	} {
		w := run(t, c.cfg, "cluster web\n"+c.script+"launch m7i.large", time.Hour)
		if i := w.Truth().Instances[0]; i.State != "running" || i.Status != "" || i.Trouble == "" {
			t.Errorf("%s: %+v", c.name, i)
		}
	}
}

// TestChecklist08AgentRetriesRegistration: while ECS does not answer, an agent tries again
// after 3 s, then longer up to 192 s, for an hour.
func TestChecklist08AgentRetriesRegistration(t *testing.T) {
	for _, c := range []struct {
		down       time.Duration
		registered bool
	}{{10 * time.Minute, true}, {2 * time.Hour, false}} {
		w := must(New(Config{}))(t)
		if err := w.AddOutage(Outage{Target: "ecs:RegisterContainerInstance", Kind: TroubleError, Until: w.Now().Add(c.down)}); err != nil {
			t.Fatal(err)
		}
		must(w.CreateCluster(&CreateClusterInput{ClusterName: "web"}))(t)
		must(w.Launch(Fixture{Cluster: "web", Type: "m7i.large", Count: 1}))(t)
		w.Advance(w.Now().Add(c.down - time.Second))
		if n := len(hostsOf(t, w, "web")); n != 0 {
			t.Fatalf("%d registered while ECS was down", n)
		}
		calls := 0
		for _, o := range w.Outages() {
			calls = o.Calls
		}
		if c.registered && (calls < 7 || calls > 12) { // 3 6 12 24 48 96 192 192 s
			t.Errorf("the agent tried %d times in %v", calls, c.down)
		}
		w.Advance(w.Now().Add(5 * time.Minute))
		if n := len(hostsOf(t, w, "web")); (n == 1) != c.registered {
			t.Errorf("down for %v: %d registered", c.down, n)
		}
	}
}

// TestChecklist08AgentConnectedFlaps: agentConnected flaps several times per hour without
// anything else being wrong; tasks stay, the version rises.
func TestChecklist08AgentConnectedFlaps(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 100 memory 100\nlaunch m7i.large count 20\nflaps 6\nat 2m service web task web desired 40", 5*time.Minute)
	before := hostsOf(t, w, "web")
	flaps, away := 0, map[string]bool{}
	for range 3600 {
		w.Advance(w.Now().Add(time.Second))
		for h := range w.clusters["web"].hostRoll.all {
			if !h.connected && !away[h.id] {
				flaps++
			}
			away[h.id] = !h.connected
		}
	}
	if flaps < 60 || flaps > 200 {
		t.Errorf("%d flaps of 20 instances in an hour, about 120 were asked for", flaps)
	}
	if err := w.FlapAgents(0); err != nil {
		t.Fatal(err)
	}
	w.Advance(w.Now().Add(2 * time.Minute))
	for i, h := range hostsOf(t, w, "web") {
		if !h.AgentConnected || h.RunningTasksCount != before[i].RunningTasksCount || h.Version <= before[i].Version {
			t.Errorf("instance %+v, was %+v", h, before[i])
		}
	}
	if n := w.clusters["web"].running; n != 40 {
		t.Errorf("%d tasks", n)
	}
}

// TestChecklist08AgentRestart: an agent that restarts registers under its ARN, where
// attributes are not applied again.
func TestChecklist08AgentRestart(t *testing.T) {
	w := run(t, Config{}, `
cluster web
launch m7i.large attribute stack=prod
at 2m restart oldest set 'ECS_INSTANCE_ATTRIBUTES={"stack":"test"}' set ECS_RESERVED_MEMORY=1000 set ECS_CONTAINER_STOP_TIMEOUT=90s
`, 119*time.Second)
	before := hostsOf(t, w, "web")[0]
	w.Advance(w.Now().Add(2 * time.Second))
	if hostsOf(t, w, "web")[0].AgentConnected {
		t.Error("the agent is connected while it restarts")
	}
	w.Advance(w.Now().Add(time.Minute))
	after := hostsOf(t, w, "web")[0]
	if after.ContainerInstanceArn != before.ContainerInstanceArn || !after.AgentConnected || after.Version <= before.Version {
		t.Errorf("after the restart %+v", after)
	}
	if !slices.Contains(after.Attributes, Attribute{Name: "stack", Value: "prod"}) || fmt.Sprint(after.RegisteredResources) != fmt.Sprint(before.RegisteredResources) {
		t.Errorf("attributes %v, resources %v", after.Attributes, after.RegisteredResources)
	}
	if got := w.clusters["web"].hostRoll.items[0].stopTimeout; got != 90*time.Second {
		t.Errorf("stop timeout %v", got)
	}
}

// TestChecklist08ForcedDeregistrationOfALiveInstance: tasks are orphaned, the service starts
// others, and the live agent registers anew under another ARN, if and when it is told to.
func TestChecklist08ForcedDeregistrationOfALiveInstance(t *testing.T) {
	for _, anew := range []time.Duration{0, 10 * time.Minute, None} {
		w := run(t, Config{RegisterAnew: anew}, `
cluster web
task web cpu 100 memory 100
launch m7i.large
at 1m service web task web desired 2
at 3m deregister oldest force
`, 4*time.Minute)
		if i := w.Truth().Instances[0]; i.State != "running" || i.Orphans != 2 || i.Status != "" {
			t.Errorf("after %v: %+v", anew, i)
		}
		if n := len(hostsOf(t, w, "web")); n != 0 {
			t.Errorf("%d container instances", n)
		}
		w.Advance(w.Now().Add(2 * time.Hour))
		if n := len(hostsOf(t, w, "web")); (n == 0) != (anew == None) {
			t.Errorf("anew %v: %d container instances", anew, n)
		}
	}
}

// TestChecklist03StopsWaitForTheAgent is the agent's side of checklist item 3: a task whose
// agent is disconnected is not placed anew there, stays in its last status when it is told
// to stop, and stops when the agent is back.
func TestChecklist03StopsWaitForTheAgent(t *testing.T) {
	w := run(t, Config{}, `
cluster web
task job cpu 1024 memory 1000
launch m7i.large
at 1m run job
at 2m disconnect oldest for 10m
`, 2*time.Minute+time.Second)
	arn := must(w.ListTasks(&ListTasksInput{Cluster: "web"}))(t).TaskArns[0]
	must(w.StopTask(&StopTaskInput{Cluster: "web", Task: arn}))(t)
	describe := func() Task {
		return must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: []string{arn}}))(t).Tasks[0]
	}
	w.Advance(w.Now().Add(9 * time.Minute))
	if got := describe(); got.LastStatus != "RUNNING" || got.DesiredStatus != desiredStopped || got.Connectivity != "DISCONNECTED" {
		t.Errorf("while disconnected: %s, desired %s, %s", got.LastStatus, got.DesiredStatus, got.Connectivity)
	}
	if out := must(w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job"}))(t); len(out.Failures) != 1 || out.Failures[0].Reason != "AGENT" {
		t.Errorf("a task was placed on a disconnected agent: %+v", out)
	}
	// ECS takes the room for free though the containers run on
	if got := resource(hostsOf(t, w, "web")[0].RemainingResources, "CPU").IntegerValue; got != 2048 {
		t.Errorf("%d CPU units remain", got)
	}
	w.Advance(w.Now().Add(2 * time.Minute))
	if got := describe(); got.LastStatus != "STOPPED" {
		t.Errorf("after the agent came back: %s", got.LastStatus)
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

// TestChecklist03WhatEndsUnheardIsToldLater: a container that ends while the agent is
// disconnected runs on for ECS until it hears of it.
func TestChecklist03WhatEndsUnheardIsToldLater(t *testing.T) {
	w := run(t, Config{}, `
cluster web
task job cpu 100 memory 100 run-for 1m
launch m7i.large
at 1m run job count 3
at 90s disconnect oldest for 5m
`, 6*time.Minute)
	if n := w.clusters["web"].running; n != 3 {
		t.Errorf("%d tasks run for ECS", n)
	}
	w.Advance(w.Now().Add(time.Minute))
	if n := w.clusters["web"].running; n != 0 {
		t.Errorf("%d tasks run after the agent has told", n)
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

// TestChecklist03FirstPullIsSlower: an image that was pulled before is there.
func TestChecklist03FirstPullIsSlower(t *testing.T) {
	delays := FastDelays()
	delays.PullFirst = time.Minute
	w := run(t, Config{Delays: delays}, "cluster web\ntask job cpu 100 memory 100\nlaunch m7i.large\nat 60s run job\nat 4m run job", 6*time.Minute)
	var took []time.Duration
	for task := range w.clusters["web"].taskRoll.all {
		took = append(took, task.pullStoppedAt.Sub(task.pullStartedAt))
	}
	if len(took) != 2 || took[0] < 30*time.Second || took[1] > 10*time.Second {
		t.Errorf("pulls took %v", took)
	}
}

// TestStopTimeouts: containers are killed at their own stop timeout, or at the agent's.
func TestStopTimeouts(t *testing.T) {
	delays := FastDelays()
	delays.Stop = time.Hour
	for _, c := range []struct {
		task, launch string
		want         time.Duration
	}{
		{"", "", 30 * time.Second},
		{"stop-timeout 10s", "", 10 * time.Second},
		{"stop-timeout 2m", "", 2 * time.Minute},
		{"", "set ECS_CONTAINER_STOP_TIMEOUT=90s", 90 * time.Second},
		{"stop-timeout 10s", "set ECS_CONTAINER_STOP_TIMEOUT=90s", 10 * time.Second},
	} {
		w := run(t, Config{Delays: delays}, fmt.Sprintf("cluster web\ntask job cpu 100 memory 100 %s\nlaunch m7i.large %s\nat 60s run job", c.task, c.launch), 2*time.Minute)
		arn := must(w.ListTasks(&ListTasksInput{Cluster: "web"}))(t).TaskArns[0]
		must(w.StopTask(&StopTaskInput{Cluster: "web", Task: arn}))(t)
		at := w.Now()
		w.Advance(at.Add(time.Hour))
		got := must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: []string{arn}}))(t).Tasks[0]
		if took := got.StoppedAt.Sub(at); took != c.want || *got.Containers[0].ExitCode != 137 {
			t.Errorf("%+v: stopped after %v with exit code %d", c, took, *got.Containers[0].ExitCode)
		}
	}
}

// TestChecklist10Ghosts: terminating an instance whose agent is disconnected leaves a
// container instance that is ACTIVE and disconnected until it is deregistered; one whose
// agent is connected goes by itself.
func TestChecklist10Ghosts(t *testing.T) {
	w := run(t, Config{}, `
cluster web
task web cpu 100 memory 100
launch m7i.large count 2
at 60s service web task web desired 2
at 90s disconnect oldest
at 2m terminate oldest 2
`, 10*time.Minute)
	left := hostsOf(t, w, "web")
	if len(left) != 1 || left[0].Status != statusActive || left[0].AgentConnected {
		t.Fatalf("left %+v", left)
	}
	if left[0].RunningTasksCount != 1 {
		t.Errorf("the ghost has %d tasks", left[0].RunningTasksCount)
	}
	in := &DeregisterContainerInstanceInput{Cluster: "web", ContainerInstance: left[0].ContainerInstanceArn}
	_, err := w.DeregisterContainerInstance(in)
	failsWith(t, "without force", err, codeInvalid)
	in.Force = true
	if out := must(w.DeregisterContainerInstance(in))(t); out.ContainerInstance.Status != statusInactive {
		t.Errorf("deregistered %+v", out)
	}
	described := &DescribeContainerInstancesInput{Cluster: "web", ContainerInstances: []string{left[0].ContainerInstanceArn}}
	if out := must(w.DescribeContainerInstances(described))(t); len(out.ContainerInstances) != 1 || out.ContainerInstances[0].Status != statusInactive {
		t.Errorf("just deregistered: %+v", out)
	}
	w.Advance(w.Now().Add(2 * time.Hour))
	if out := must(w.DescribeContainerInstances(described))(t); len(out.Failures) != 1 || out.Failures[0].Reason != "MISSING" {
		t.Errorf("long deregistered: %+v", out)
	}
	if i := w.Truth().Instances; len(i) != 0 {
		t.Errorf("instances %+v", i)
	}
}

// TestDrainingStates: only ACTIVE and DRAINING turn into each other, at most 10 per call,
// and what cannot is a failure of its own.
func TestDrainingStates(t *testing.T) {
	w := run(t, Config{Trunking: true}, "cluster web\ntrunks fail 1\nlaunch m7i.large\nat 3m launch m7i.large count 2", 6*time.Minute)
	var failed, active []string
	for _, h := range hostsOf(t, w, "web") {
		if h.Status == statusFailed {
			failed = append(failed, h.ContainerInstanceArn)
		} else {
			active = append(active, h.ContainerInstanceArn)
		}
	}
	in := &UpdateContainerInstancesStateInput{Cluster: "web", ContainerInstances: append(slices.Concat(failed, active), "nowhere"), Status: statusDraining}
	out := must(w.UpdateContainerInstancesState(in))(t)
	if len(out.ContainerInstances) != 2 || len(out.Failures) != 2 || out.Failures[0].Reason != statusFailed || out.Failures[1].Reason != "MISSING" {
		t.Errorf("drained %+v", out)
	}
	in.ContainerInstances, in.Status = active, statusActive
	if out := must(w.UpdateContainerInstancesState(in))(t); out.ContainerInstances[0].Status != statusActive {
		t.Errorf("back %+v", out)
	}
	in.Status = "REGISTERING"
	_, err := w.UpdateContainerInstancesState(in)
	failsWith(t, "other status", err, codeInvalid)
	in.Status, in.ContainerInstances = statusActive, make([]string, 11)
	_, err = w.UpdateContainerInstancesState(in)
	failsWith(t, "11 instances", err, codeInvalid)
}

// TestSpotInterruptionsByThemselves: the catalogue's interruption bands, sped up. The
// tasks that are left at the end have the stop code SpotInterruption.
func TestSpotInterruptionsByThemselves(t *testing.T) {
	w := run(t, Config{SpotInterruptions: 200, EventQueues: []string{"events"}}, `
cluster web
task job cpu 100 memory 100
launch m7i.large count 20 lifecycle spot
launch m7i.large count 2
at 2m run job count 60
`, 12*time.Hour)
	truth := w.Truth()
	if n := truth.History.InstancesInterrupted; n < 3 || n > 20 {
		t.Errorf("%d of 20 interrupted", n)
	}
	out := must(w.GetQueueURL(&GetQueueURLInput{QueueName: "events"}))(t)
	warnings, recommendations, bySpot := 0, 0, 0
	for _, e := range drainQueue(t, w, out.QueueURL) {
		switch e.DetailType {
		case "EC2 Spot Instance Interruption Warning":
			warnings++
		case "EC2 Instance Rebalance Recommendation":
			recommendations++
		case "ECS Task State Change":
			if strings.Contains(string(e.Detail), `"stopCode":"SpotInterruption"`) {
				bySpot++
			}
		}
	}
	if warnings != truth.History.InstancesInterrupted || recommendations == 0 || bySpot == 0 {
		t.Errorf("%d warnings, %d recommendations, %d events of tasks that were stopped", warnings, recommendations, bySpot)
	}
	if err := w.SetInterruptions(0); err != nil {
		t.Fatal(err)
	}
	before := w.Truth().History.InstancesInterrupted
	w.Advance(w.Now().Add(24 * time.Hour))
	if after := w.Truth().History.InstancesInterrupted; after != before {
		t.Errorf("%d interrupted after the end", after-before)
	}
}

// TestZoneLoss: nothing launches in a lost zone, its agents are disconnected while ECS goes
// on counting their tasks, EC2 may fail calls that name its instances, and agents
// come back with the zone.
func TestZoneLoss(t *testing.T) {
	w := run(t, Config{ZoneLossFailsDescribe: true}, `
cluster web
task web cpu 100 memory 100
launch m7i.large count 2 zone us-east-1a
launch m7i.large count 2 zone us-east-1b
at 1m service web task web desired 4
at 5m zone us-east-1a down for 20m
`, 6*time.Minute)
	lost, connected := 0, 0
	var inLost string
	for _, h := range hostsOf(t, w, "web") {
		if h.AgentConnected {
			connected++
			continue
		}
		lost++
		inLost = h.Ec2InstanceID
		if h.Status != statusActive || h.RunningTasksCount != 1 || h.HealthStatus.OverallStatus != "IMPAIRED" {
			t.Errorf("lost instance %+v", h)
		}
	}
	if lost != 2 || connected != 2 {
		t.Fatalf("%d lost, %d connected", lost, connected)
	}
	_, err := w.Launch(Fixture{Cluster: "web", Type: "m7i.large", Zone: "us-east-1a", Count: 1})
	failsWith(t, "launch in a lost zone", err, "InsufficientInstanceCapacity")
	_, err = w.DescribeInstances(&DescribeInstancesInput{InstanceIDs: []string{inLost}})
	failsWith(t, "describe", err, "Unavailable")
	if out := must(w.DescribeInstances(&DescribeInstancesInput{}))(t); len(out.Reservations) == 0 {
		t.Error("nothing is described without IDs")
	}
	zones := must(w.DescribeAvailabilityZones(&DescribeAvailabilityZonesInput{}))(t)
	if zones.AvailabilityZones[0].State != "impaired" || zones.AvailabilityZones[1].State != "available" {
		t.Errorf("zones %+v", zones)
	}
	w.Advance(w.Now().Add(21 * time.Minute))
	for _, h := range hostsOf(t, w, "web") {
		if !h.AgentConnected || h.RunningTasksCount != 1 {
			t.Errorf("after the return %+v", h)
		}
	}
	must(w.Launch(Fixture{Cluster: "web", Type: "m7i.large", Zone: "us-east-1a", Count: 1}))(t)
	if err := w.LoseZone("us-west-9z", 0); err == nil {
		t.Error("a zone was lost that is not there")
	}
}

// TestZoneLossTakesInstances: some instances do not come back, and leave ghosts.
func TestZoneLossTakesInstances(t *testing.T) {
	w := run(t, Config{ZoneLossTakes: 0.5}, "cluster web\nlaunch m7i.large count 40\nat 5m zone us-east-1a down\nat 10m zone us-east-1a up\n", 20*time.Minute)
	running, ghosts := 0, 0
	for m := range w.instanceRoll.all {
		if m.alive() {
			running++
		} else if m.host != nil && !m.host.connected {
			ghosts++
		}
	}
	if running < 10 || running > 30 || ghosts != 40-running {
		t.Errorf("%d of 40 run, %d ghosts", running, ghosts)
	}
	for _, text := range []string{"zone us-east-1a sideways", "zone us-east-1a", "zone us-east-1a up for 5m", "flaps often", "interruptions -1", "trunks break 1", "restart oldest set X", "zone us-east-1a down for ever"} {
		if _, err := ParseScript(text); err == nil {
			t.Errorf("%q was understood", text)
		}
	}
	if err := w.ReturnZone(fleet.Zone("us-east-1a")); err == nil {
		t.Error("a zone returned that was not down")
	}
}
