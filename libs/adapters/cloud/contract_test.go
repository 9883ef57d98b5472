package cloud_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/cloud/awssim/awstest"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/drain"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

const parameter = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"

// open makes an account with a world in which a script was played.
func open(t *testing.T, script string) *awstest.Account {
	t.Helper()
	a := awstest.Open(t, sim.Config{Seed: 1, EventQueues: []string{"events"}})
	play(t, a, script)
	return a
}

func play(t *testing.T, a *awstest.Account, script string) {
	t.Helper()
	s, err := sim.ParseScript(script)
	if err != nil {
		t.Fatal(err)
	}
	a.World(func(w *sim.World) { err = s.Run(w) })
	if err != nil {
		t.Fatal(err)
	}
}

// sweep reads everything and assembles it.
func sweep(t *testing.T, a *awstest.Account) fleet.Snapshot {
	t.Helper()
	ctx, r := t.Context(), a.Reader(nil)
	in := snapshot.Input{Cluster: "prod", Region: a.Region(), Generation: 1}
	var errs [6]error
	in.ContainerInstances, errs[0] = r.ContainerInstances(ctx, "prod")
	in.EC2, errs[1] = r.EC2(ctx, "prod", in.ContainerInstances.Instances)
	in.Services, errs[2] = r.Services(ctx, "prod")
	in.Tasks, errs[3] = r.Tasks(ctx, "prod", in.Services.Services)
	in.Catalogue, errs[4] = r.Catalogue(ctx)
	in.Network, errs[5] = r.Network(ctx, subnets(t, a), []string{parameter})
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	snap := snapshot.Assemble(in)
	if err := snap.Validate(); err != nil {
		t.Fatal(err)
	}
	if problem, ok := snap.Incomplete(fleet.AllSections()...); !ok {
		t.Fatal(problem)
	}
	return snap
}

func subnets(t *testing.T, a *awstest.Account) (ids []string) {
	t.Helper()
	a.World(func(w *sim.World) {
		out, err := w.DescribeSubnets(&sim.DescribeSubnetsInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out.Subnets {
			ids = append(ids, s.SubnetID)
		}
	})
	return ids
}

// TestReaderSeesTheCluster compares what a sweep sees with what the script has made.
func TestReaderSeesTheCluster(t *testing.T) {
	a := open(t, `
		cluster prod
		task web cpu 512 memory 1024 port 8080
		task agent cpu 64 memory 128
		task job cpu 256 memory 512
		launch m5.large count 3
		launch c5.large lifecycle spot attribute stack=blue`)
	a.Server.Advance(5 * time.Minute)
	play(t, a, `
		cluster prod
		service web task web desired 3 distinct constraint 'attribute:ecs.instance-type == m5.large'
		service agent task agent daemon tag neap.dev/restrict-scale-down=true
		run job count 1`)
	a.Server.Advance(2 * time.Minute)
	play(t, a, "cluster prod\nprotect web count 2\nservice web desired 5")
	a.Server.Advance(time.Second)

	snap := sweep(t, a)
	active, protected, spot := 0, 0, 0
	for _, i := range snap.Instances {
		if i.Status == fleet.StatusActive && i.AgentConnected && i.Registered.MemoryMiB > 0 && i.Image != "" && i.Subnet != "" {
			active++
		}
		if i.Lifecycle == fleet.Spot {
			spot++
		}
	}
	running := map[string]int{}
	for _, c := range snap.Tasks {
		running[snap.TaskGroups[c.Group].Group] += c.Running
		protected += c.Protected
	}
	if active != 4 || spot != 1 || protected != 2 {
		t.Errorf("%d active instances, %d on spot, %d protected tasks; want 4, 1 and 2", active, spot, protected)
	}
	if running["service:web"] != 3 || running["service:agent"] != 4 || running["family:job"] != 1 {
		t.Errorf("tasks %v", running)
	}
	web := group(t, &snap, "service:web")
	if !web.Distinct || len(web.Constraints) != 1 || web.Needs.CPUUnits != 512 || len(web.Ports) != 1 || web.Unsized {
		t.Errorf("web %+v", web)
	}
	if agent := group(t, &snap, "service:agent"); !agent.Daemon || agent.Restricted {
		t.Errorf("agent %+v: no restrict tag was named", agent)
	}
	if job := group(t, &snap, "family:job"); !job.Standalone {
		t.Errorf("job %+v", job)
	}
	for _, s := range snap.Services {
		if d := s.Deployments[0]; s.Name == "web" && (d.Desired != 5 || d.Running != 3) {
			t.Errorf("deployment %+v: 5 are wanted and 3 run", d)
		}
	}
	if len(snap.Images) != 1 || !strings.HasPrefix(string(snap.Images[0].ID), "ami-") || snap.Images[0].Architecture != fleet.X86 {
		t.Errorf("images %+v", snap.Images)
	}
	i := slices.IndexFunc(snap.Types, func(x fleet.InstanceType) bool { return x.Name == "m5.large" })
	if i < 0 || snap.Types[i].OnDemand <= 0 || snap.Types[i].MaxENIs != 3 || snap.Types[i].TrunkTasks != 10 || len(snap.Types[i].Zones) < 2 || snap.Types[i].Zones[0].Spot <= 0 {
		t.Errorf("m5.large %+v", snap.Types[max(i, 0)])
	}
	if !snap.TakenAt.Equal(a.Now().Truncate(time.Second)) && a.Now().Sub(snap.TakenAt).Abs() > time.Minute {
		t.Errorf("taken at %s, AWS has %s", snap.TakenAt, a.Server.Now())
	}
}

func group(t *testing.T, snap *fleet.Snapshot, name string) *fleet.TaskGroup {
	t.Helper()
	i := slices.IndexFunc(snap.TaskGroups, func(g fleet.TaskGroup) bool { return g.Group == name })
	if i < 0 {
		t.Fatalf("no task group %s in %+v", name, snap.TaskGroups)
	}
	return &snap.TaskGroups[i]
}

func TestReaderOfNoCluster(t *testing.T) {
	a := open(t, "cluster prod")
	section, err := a.Reader(nil).ContainerInstances(t.Context(), "stage")
	if !errors.Is(err, fleet.ErrNotFound) || section.Complete || !strings.Contains(section.Problem, "stage") {
		t.Errorf("%+v, %v", section.Read, err)
	}
}

// TestReaderManyPages: more instances, tasks and services than fit one page of any call.
func TestReaderManyPages(t *testing.T) {
	script := "cluster prod\ntask web cpu 16 memory 16\nlaunch m5.24xlarge count 2\n"
	a := open(t, script+"launch m5.large count 120")
	a.Server.Advance(10 * time.Minute)
	play(t, a, "cluster prod\nservice s1 task web desired 130\nservice s2 task web desired 130")
	more := "cluster prod\n"
	for i := range 22 {
		more += "service idle" + string(rune('a'+i)) + " task web desired 0\n"
	}
	play(t, a, more)
	a.Server.Advance(5 * time.Minute)
	snap := sweep(t, a)
	tasks := 0
	for _, c := range snap.Tasks {
		tasks += c.Running
	}
	if len(snap.Instances) != 122 || len(snap.Services) != 24 || tasks != 260 {
		t.Errorf("%d instances, %d services, %d tasks; want 122, 24 and 260", len(snap.Instances), len(snap.Services), tasks)
	}
}

// order is a launch of n instances of the given types in the first subnet.
func order(t *testing.T, a *awstest.Account, n int, types ...fleet.TypeName) cloud.Order {
	t.Helper()
	snap := sweep(t, a)
	launch := &fleet.Launch{
		Spec: fleet.LaunchSpec{
			Name: "default", Images: []string{parameter}, Subnets: []fleet.SubnetID{snap.Subnets[0].ID},
			SecurityGroups: []string{"sg-1"}, InstanceProfile: "ecsInstanceRole",
			Attributes: map[string]string{"stack": "blue"}, Tags: map[string]string{"team": "shop", fleet.TagOwner: "thief"},
		},
		Lifecycle: fleet.OnDemand, Count: n, Boot: fleet.Duration(7 * time.Minute),
	}
	for _, name := range types {
		launch.Offerings = append(launch.Offerings, fleet.Offering{
			LaunchSpec: "default", Type: name, Zone: snap.Subnets[0].Zone, Subnet: snap.Subnets[0].ID, Lifecycle: fleet.OnDemand, Image: parameter,
		})
	}
	return cloud.Order{
		Cluster: "prod", Installation: "neap", Generation: 1, Plan: "plan-1",
		Action: &fleet.Action{ID: "action-1", Kind: fleet.ActionLaunch, Deadline: a.Server.Now().Add(10 * time.Minute), Launch: launch},
	}
}

// TestLaunch follows a launch from frozen bytes to registered instances.
func TestLaunch(t *testing.T) {
	a := open(t, "cluster prod")
	ctx, l := t.Context(), a.Launcher()
	o := order(t, a, 2, "m5.large", "c5.large")
	frozen := freeze(t, l, o)
	if again := freeze(t, l, o); !bytes.Equal(frozen, again) {
		t.Errorf("frozen twice, the launch differs:\n%s\n%s", frozen, again)
	}
	launched, failures, requestID, err := l.Launch(ctx, frozen)
	if err != nil || len(launched) != 2 || len(failures) != 0 || requestID == "" {
		t.Fatalf("launched %+v, failures %+v, request %q, %v", launched, failures, requestID, err)
	}
	for _, i := range launched {
		if i.ID == "" || i.Type != "m5.large" || i.Zone != o.Action.Launch.Offerings[0].Zone || i.Subnet != o.Action.Launch.Offerings[0].Subnet || i.Lifecycle != fleet.OnDemand {
			t.Errorf("launched %+v, which is not the first offering", i)
		}
	}
	again, _, _, err := l.Launch(ctx, frozen)
	if err != nil || !sameIDs(launched, again) {
		t.Errorf("the same bytes sent again gave %+v, %v; first %+v", again, err, launched)
	}
	found, err := l.FindByAction(ctx, "action-1")
	if err != nil || !sameIDs(launched, found) {
		t.Errorf("found %+v, %v", found, err)
	}
	if n, err := l.CountOwned(ctx, "prod", "neap"); err != nil || n != 2 {
		t.Errorf("%d owned, %v: a tag of the launch spec must not hide whose they are", n, err)
	}
	a.Server.Advance(5 * time.Minute)
	ids := []fleet.InstanceID{launched[0].ID, launched[1].ID}
	registered, gone, err := l.Look(ctx, "prod", ids, cloud.Attributes(o.Action.Launch))
	if err != nil || len(gone) != 0 || len(registered) != 2 || !registered[0].Attributes || !registered[1].Attributes {
		t.Fatalf("registered %+v, gone %v, %v: user data gives them their attributes", registered, gone, err)
	}
	more := []fleet.Attribute{{Name: "late", Value: "yes"}}
	if err := l.PutAttributes(ctx, "prod", registered[0].ContainerInstance, more); err != nil {
		t.Fatal(err)
	}
	registered, _, err = l.Look(ctx, "prod", ids, more)
	if err != nil || len(registered) != 2 || registered[0].Attributes == registered[1].Attributes {
		t.Errorf("one of %+v has the late attribute, %v", registered, err)
	}
	play(t, a, "cluster prod\nterminate "+string(ids[0]))
	a.Server.Advance(5 * time.Minute)
	if _, gone, err = l.Look(ctx, "prod", ids, nil); err != nil || !slices.Equal(gone, ids[:1]) {
		t.Errorf("gone %v, %v", gone, err)
	}
}

func freeze(t *testing.T, l *cloud.Launcher, o cloud.Order) []byte {
	t.Helper()
	frozen, err := l.Freeze(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return frozen
}

func sameIDs(a, b []fleet.LaunchedInstance) bool {
	ids := func(list []fleet.LaunchedInstance) (out []string) {
		for _, i := range list {
			out = append(out, string(i.ID))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(ids(a), ids(b))
}

func TestLaunchOnAShortage(t *testing.T) {
	a := open(t, "cluster prod\nshortage m5.large * left 1\nshortage c5.large *")
	o := order(t, a, 3, "m5.large", "c5.large")
	launched, failures, _, err := a.Launcher().Launch(t.Context(), freeze(t, a.Launcher(), o))
	if err != nil || len(launched) != 1 || len(failures) == 0 {
		t.Fatalf("launched %+v, failures %+v, %v", launched, failures, err)
	}
	for _, f := range failures {
		if f.Class != fleet.FailureCapacity || f.Offering.Type == "" || f.Offering.Zone != o.Action.Launch.Offerings[0].Zone || f.Offering.Lifecycle != fleet.OnDemand {
			t.Errorf("failure %+v", f)
		}
	}
}

// TestLaunchFromTheOwnersTemplate: its fields hold, its user data runs, and it is not changed.
func TestLaunchFromTheOwnersTemplate(t *testing.T) {
	a := open(t, "cluster prod")
	a.World(func(w *sim.World) {
		_, err := w.CreateLaunchTemplate(&sim.CreateLaunchTemplateInput{LaunchTemplateName: "base", LaunchTemplateData: sim.RequestLaunchTemplateData{
			InstanceType: "t3.nano", KeyName: "ops", UserData: "IyEvYmluL2Jhc2gKZWNobyBoZWxsbwo=", // #!/bin/bash, echo hello
		}})
		if err != nil {
			t.Fatal(err)
		}
	})
	o := order(t, a, 1, "m5.large")
	o.Action.Launch.Spec.LaunchTemplate = &fleet.LaunchTemplate{Name: "base"}
	launched, failures, _, err := a.Launcher().Launch(t.Context(), freeze(t, a.Launcher(), o))
	if err != nil || len(launched) != 1 || launched[0].Type != "m5.large" {
		t.Fatalf("launched %+v, failures %+v, %v", launched, failures, err)
	}
	a.Server.Advance(5 * time.Minute)
	registered, _, err := a.Launcher().Look(t.Context(), "prod", []fleet.InstanceID{launched[0].ID}, cloud.Attributes(o.Action.Launch))
	if err != nil || len(registered) != 1 || !registered[0].Attributes {
		t.Errorf("registered %+v, %v", registered, err)
	}
	made := a.Calls("CreateLaunchTemplate")
	if len(made) != 1 || !strings.Contains(made[0].Body, "KeyName=ops") || strings.Contains(made[0].Body, "t3.nano") {
		t.Errorf("templates made: %+v", made)
	}
	o.Action.Launch.Spec.LaunchTemplate = &fleet.LaunchTemplate{Name: "none"}
	if _, err := a.Launcher().Freeze(t.Context(), o); !errors.Is(err, fleet.ErrInvalid) || !strings.Contains(err.Error(), "none") {
		t.Errorf("a template that is not there: %v", err)
	}
}

func TestLaunchRefusesWhatItDidNotFreeze(t *testing.T) {
	a := open(t, "cluster prod")
	for _, frozen := range []string{"", "{}", `{"format":3}`, `{"format":2,"token":"x"}`, `{"format":1,"extra":true}`} {
		if _, _, _, err := a.Launcher().Launch(t.Context(), []byte(frozen)); !errors.Is(err, fleet.ErrInvalid) && !errors.Is(err, fleet.ErrVersion) {
			t.Errorf("%q: %v", frozen, err)
		}
	}
	if calls := a.Calls("CreateFleet", "CreateLaunchTemplate"); len(calls) != 0 {
		t.Errorf("AWS was asked: %+v", calls)
	}
}

// TestLostAnswer: AWS launched and the answer got lost. The result is unknown, the call is
// not repeated by itself, and the same bytes find out.
func TestLostAnswer(t *testing.T) {
	a := open(t, "cluster prod")
	l := a.Launcher()
	frozen := freeze(t, l, order(t, a, 2, "m5.large"))
	a.Lose("CreateFleet", 1)
	if _, _, _, err := l.Launch(t.Context(), frozen); !errors.Is(err, fleet.ErrUnknown) {
		t.Fatalf("got %v", err)
	}
	if n := len(a.Calls("CreateFleet")); n != 1 {
		t.Fatalf("%d calls", n)
	}
	launched, _, _, err := l.Launch(t.Context(), frozen)
	if n, countErr := l.CountOwned(t.Context(), "prod", "neap"); err != nil || countErr != nil || len(launched) != 2 || n != 2 {
		t.Errorf("launched %d, there are %d, %v, %v", len(launched), n, err, countErr)
	}
}

// TestDrain follows an instance from the first look to its end.
func TestDrain(t *testing.T) {
	a := open(t, "cluster prod\ntask web cpu 256 memory 256\ntask agent cpu 64 memory 64\ntask job cpu 64 memory 64")
	ctx, l, d := t.Context(), a.Launcher(), a.Drainer()
	launched, _, _, err := l.Launch(ctx, freeze(t, l, order(t, a, 1, "m5.large")))
	if err != nil {
		t.Fatal(err)
	}
	a.Server.Advance(5 * time.Minute)
	play(t, a, "cluster prod\nservice web task web desired 2 min 0\nservice agent task agent daemon\nrun job count 1 for 3m")
	a.Server.Advance(time.Minute)
	play(t, a, "cluster prod\nprotect web count 1")

	target := cloud.Target{Cluster: "prod", Installation: "neap", Instance: launched[0].ID}
	viewed := view(t, d, target)
	v := viewed.View
	if viewed.Gone || viewed.Missing || !v.Ours || !v.Complete || v.Status != fleet.StatusActive || !v.AgentConnected || v.ContainerInstance == "" || viewed.Now.IsZero() {
		t.Fatalf("viewed %+v", viewed)
	}
	if got := tasksOf(&v); got != "family:job job:1 standalone, service:agent agent:1 daemon, service:web web:1, service:web web:1 protected" {
		t.Errorf("tasks %s", got)
	}
	target.ContainerInstance = v.ContainerInstance
	if stranger := view(t, d, cloud.Target{Cluster: "prod", Installation: "other", Instance: target.Instance}); stranger.View.Ours {
		t.Error("an instance is another installation's as well")
	}

	ok(t, d.TagDrain(ctx, target.Instance, "drain-1"))
	ok(t, d.SetDraining(ctx, "prod", target.ContainerInstance))
	ok(t, d.SetDraining(ctx, "prod", target.ContainerInstance)) // twice is fine
	if v := view(t, d, target).View; v.Status != fleet.StatusDraining || v.DrainTag != "drain-1" {
		t.Errorf("viewed %+v", v)
	}
	if err := d.Deregister(ctx, "prod", target.ContainerInstance); !errors.Is(err, fleet.ErrTasksRunning) {
		t.Errorf("deregister with tasks on it: %v", err)
	}
	ok(t, d.SetActive(ctx, "prod", target.ContainerInstance))
	ok(t, d.Untag(ctx, target.Instance))
	if v := view(t, d, target).View; v.Status != fleet.StatusActive || v.DrainTag != "" {
		t.Errorf("viewed %+v", v)
	}

	ok(t, d.SetDraining(ctx, "prod", target.ContainerInstance))
	for _, task := range view(t, d, target).View.Tasks {
		ok(t, d.StopTask(ctx, "prod", task.ID, "drained"))
	}
	a.Server.Advance(10 * time.Minute)
	if v := view(t, d, target).View; len(v.Tasks) != 0 || !v.Complete {
		t.Fatalf("not empty: %+v", v)
	}
	ok(t, d.Deregister(ctx, "prod", target.ContainerInstance))
	ok(t, d.Deregister(ctx, "prod", target.ContainerInstance)) // twice is fine
	if v := view(t, d, target).View; v.ContainerInstance != "" || !v.Complete || v.Status != fleet.StatusLaunching {
		t.Errorf("it has left the cluster: %+v", v)
	}
	ok(t, d.Terminate(ctx, target.Instance))
	ok(t, d.Terminate(ctx, target.Instance)) // twice is fine
	if ended, err := d.Ended(ctx, target.Instance); err != nil || !ended {
		t.Errorf("ended %v, %v", ended, err)
	}
	if viewed := view(t, d, target); !viewed.Gone || viewed.View.Status != fleet.StatusGone {
		t.Errorf("viewed %+v", viewed)
	}
	if viewed := view(t, d, cloud.Target{Cluster: "prod", Installation: "neap", Instance: "i-00000000000000000"}); !viewed.Missing {
		t.Errorf("viewed %+v", viewed)
	}
}

func view(t *testing.T, d *cloud.Drainer, target cloud.Target) drain.Viewed {
	t.Helper()
	viewed, err := d.View(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	return viewed
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func tasksOf(v *drain.View) string {
	var tasks []string
	for _, task := range v.Tasks {
		text := task.What
		for name, set := range map[string]bool{" daemon": task.Daemon, " protected": task.Protected, " standalone": task.Standalone, " stopping": task.Stopping, " restricted": task.Restricted} {
			if set {
				text += name
			}
		}
		tasks = append(tasks, text)
	}
	slices.Sort(tasks)
	return strings.Join(tasks, ", ")
}

func TestRestrictedTasks(t *testing.T) {
	const tag = "neap.dev/restrict-scale-down"
	a := open(t, "cluster prod\ntask web cpu 64 memory 64\ntask db cpu 64 memory 64 tag "+tag+"=true\nlaunch m5.large")
	a.Server.Advance(5 * time.Minute)
	play(t, a, "cluster prod\nservice web task web desired 1 tag "+tag+"=true\nservice db task db desired 1\nservice free task web desired 1")
	a.Server.Advance(2 * time.Minute)
	target := cloud.Target{Cluster: "prod", Installation: "neap", Instance: sweep(t, a).Instances[0].ID, RestrictTags: []string{tag}}
	v := view(t, a.Drainer(), target).View
	if got := tasksOf(&v); got != "service:db db:1 restricted, service:free web:1, service:web web:1 restricted" {
		t.Errorf("tasks %s", got)
	}
}

// TestEventsArrive: an interruption reaches the handler with the instance it is about.
func TestEventsArrive(t *testing.T) {
	a := open(t, "cluster prod\nlaunch m5.large lifecycle spot")
	a.Server.Advance(5 * time.Minute)
	play(t, a, "cluster prod\ninterrupt spot")
	a.Server.Advance(time.Second)
	var url string
	a.World(func(w *sim.World) {
		out, err := w.GetQueueURL(&sim.GetQueueURLInput{QueueName: "events"})
		if err != nil {
			t.Fatal(err)
		}
		url = out.QueueURL
	})
	want := sweep(t, a).Instances[0].ID
	for range 100 {
		noticed := false
		err := a.Reader(nil).Events(t.Context(), url, func(_ context.Context, events []cloud.Event) error {
			for _, e := range events {
				notice, is := e.Notice()
				noticed = noticed || is && notice.Kind == fleet.NoticeInterruption && e.Instance == want
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if noticed {
			return
		}
	}
	t.Error("no interruption of the instance was told")
}
