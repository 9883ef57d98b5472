package drainer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/cloud/awssim/awstest"
	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/adapters/executor/executortest"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/services/drainer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	agentImage  = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended"
	silentImage = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64" // no ECS agent in it
	webTask     = "service:web web:1"
)

// room is a cluster in a simulated account, with a stage to plan on.
type room struct {
	*executortest.Stage
	aws *awstest.Account
}

// open makes a cluster whose service web wants a number of tasks, of which two fit on an
// m7i.large, and that many instances.
func open(t *testing.T, tasks, instances int) *room {
	r := &room{Stage: executortest.New(t, executortest.Policy()), aws: awstest.Open(t, sim.Config{Seed: 1})}
	r.world(func(w *sim.World) error {
		_, err := w.CreateCluster(&sim.CreateClusterInput{ClusterName: string(executortest.Cluster)})
		return err
	})
	r.aws.Play()
	for range instances {
		r.launch(agentImage)
	}
	r.Eventually("the instances have registered", func() bool { return len(r.hosts()) == instances })
	r.world(func(w *sim.World) error {
		_, err := w.RegisterTaskDefinition(&sim.RegisterTaskDefinitionInput{
			Family: "web", ContainerDefinitions: []sim.ContainerDefinition{{Name: "web", Image: "web", CPU: 1024, Memory: 1024}},
		})
		return err
	})
	r.world(func(w *sim.World) error {
		_, err := w.CreateService(&sim.CreateServiceInput{
			Cluster: string(executortest.Cluster), ServiceName: "web", TaskDefinition: "web", DesiredCount: &tasks, LaunchType: "EC2",
			PlacementStrategy: []sim.PlacementStrategy{{Type: "spread", Field: "instanceId"}},
		})
		return err
	})
	r.Eventually("the tasks run", func() bool { return len(r.tasks("")) == tasks })
	return r
}

func (r *room) world(f func(*sim.World) error) {
	r.Helper()
	r.aws.World(func(w *sim.World) {
		if err := f(w); err != nil {
			r.Fatal(err)
		}
	})
}

// launch launches an instance of ours, as the actuator would.
func (r *room) launch(image string) fleet.InstanceID {
	r.Helper()
	spec := executortest.Policy().WithDefaults().LaunchSpecs[0]
	a := fleet.Action{
		ID: fleet.NewActionID(1, executortest.Cluster, "", len(r.aws.Calls("CreateFleet")), nil), Kind: fleet.ActionLaunch, Deadline: r.aws.Server.Now().Add(10 * time.Minute),
		Launch: &fleet.Launch{Spec: spec, Lifecycle: fleet.OnDemand, Count: 1, Boot: fleet.Duration(7 * time.Minute), Offerings: []fleet.Offering{{
			LaunchSpec: spec.Name, Type: "m7i.large", Zone: "us-east-1a", Subnet: "subnet-000000000000000a0", Lifecycle: fleet.OnDemand,
			Image: image, Architecture: fleet.X86,
		}}},
	}
	l := r.aws.Launcher()
	request, err := l.Freeze(r.Context(), cloud.Order{Cluster: executortest.Cluster, Installation: "neap", Generation: 1, Plan: "p", Action: &a})
	if err != nil {
		r.Fatal(err)
	}
	launched, _, _, err := l.Launch(r.Context(), request)
	if err != nil || len(launched) != 1 {
		r.Fatalf("launched %v: %v", launched, err)
	}
	return launched[0].ID
}

// hosts are the container instances, by EC2 instance.
func (r *room) hosts() map[fleet.InstanceID]sim.ContainerInstance {
	r.Helper()
	hosts := map[fleet.InstanceID]sim.ContainerInstance{}
	r.world(func(w *sim.World) error {
		list, err := w.ListContainerInstances(&sim.ListContainerInstancesInput{Cluster: string(executortest.Cluster)})
		if err != nil || len(list.ContainerInstanceArns) == 0 {
			return err
		}
		out, err := w.DescribeContainerInstances(&sim.DescribeContainerInstancesInput{Cluster: string(executortest.Cluster), ContainerInstances: list.ContainerInstanceArns})
		if err != nil {
			return err
		}
		for _, h := range out.ContainerInstances {
			hosts[fleet.InstanceID(h.Ec2InstanceID)] = h
		}
		return nil
	})
	return hosts
}

// anyHost is one of the container instances.
func (r *room) anyHost() (fleet.InstanceID, fleet.ContainerInstanceID) {
	r.Helper()
	for id, h := range r.hosts() {
		return id, fleet.ContainerInstanceID(last(h.ContainerInstanceArn))
	}
	r.Fatal("no container instance")
	return "", ""
}

// tasks are the running tasks of the cluster, or of one container instance.
func (r *room) tasks(on fleet.ContainerInstanceID) []sim.Task {
	r.Helper()
	var tasks []sim.Task
	r.world(func(w *sim.World) error {
		list, err := w.ListTasks(&sim.ListTasksInput{Cluster: string(executortest.Cluster), ContainerInstance: string(on)})
		if err != nil || len(list.TaskArns) == 0 {
			return err
		}
		out, err := w.DescribeTasks(&sim.DescribeTasksInput{Cluster: string(executortest.Cluster), Tasks: list.TaskArns})
		if err != nil {
			return err
		}
		for _, task := range out.Tasks {
			if task.LastStatus == "RUNNING" {
				tasks = append(tasks, task)
			}
		}
		return nil
	})
	return tasks
}

func last(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// start runs a drainer, changed by the edits.
func (r *room) start(edits ...func(*executor.Config)) (stop func() error) {
	r.Helper()
	cfg := drainer.Config{Executor: executortest.Config()}
	for _, edit := range edits {
		edit(&cfg.Executor)
	}
	return r.Start(func(ctx context.Context, p *service.Process) error {
		return drainer.New(cfg, r.Bus, r.aws.Account, p).Run(ctx)
	})
}

// drain is the removal of an instance with the tasks that are on it now.
func (r *room) drain(id fleet.InstanceID, ci fleet.ContainerInstanceID) fleet.Action {
	r.Helper()
	d := &fleet.Drain{Instance: id, ContainerInstance: ci, Timeout: fleet.Duration(6 * time.Hour), OnTimeout: fleet.TimeoutStop}
	if n := len(r.tasks(ci)); n > 0 {
		d.Tasks = []fleet.Carried{{What: webTask, Count: n}}
	}
	return fleet.Action{Kind: fleet.ActionDrain, Drain: d}
}

func (r *room) plan(actions ...fleet.Action) fleet.Plan {
	r.Helper()
	return r.Plan(r.Context(), r.aws.Server.Now(), fleet.Plan{Actions: actions})
}

// calls are those that change something, in order.
func (r *room) calls() []string {
	var names []string
	for _, c := range r.aws.Calls("CreateTags", "DeleteTags", "UpdateContainerInstancesState", "StopTask", "DeregisterContainerInstance", "TerminateInstances") {
		if c.Operation == "UpdateContainerInstancesState" {
			c.Operation = "DRAINING"
			if strings.Contains(c.Body, "ACTIVE") {
				c.Operation = "ACTIVE"
			}
		}
		names = append(names, c.Operation)
	}
	return names
}

func (r *room) state(id fleet.InstanceID) (state string) {
	r.aws.World(func(w *sim.World) {
		for _, i := range w.Truth().Instances {
			if i.ID == string(id) {
				state = i.State
			}
		}
	})
	return state
}

// unharmed checks that nothing was removed with tasks on it.
func (r *room) unharmed() {
	r.Helper()
	r.aws.World(func(w *sim.World) {
		for _, v := range w.Truth().History.Violations {
			r.Errorf("harm was done: %+v", v)
		}
	})
}

// kept checks that an instance takes tasks as if nothing had happened.
func (r *room) kept(id fleet.InstanceID) {
	r.Helper()
	if status := r.hosts()[id].Status; status != "ACTIVE" {
		r.Errorf("%s is %q, want it active", id, status)
	}
	if slices.Contains(r.calls(), "TerminateInstances") {
		r.Error("an instance was terminated")
	}
	r.unharmed()
}

func TestDrain(t *testing.T) {
	r := open(t, 2, 2)
	r.start()
	id, ci := r.anyHost()
	end := r.Finished(r.plan(r.drain(id, ci)))
	if end.Step != "done" || end.Class != fleet.FailureNone {
		t.Errorf("ended as %+v, want it done", end)
	}
	if want := []string{"CreateTags", "DRAINING", "CreateTags", "DeregisterContainerInstance", "TerminateInstances"}; !slices.Equal(slices.Compact(r.calls()), want) {
		t.Errorf("called %v, want %v", r.calls(), want)
	}
	if state := r.state(id); state != "shutting-down" && state != "terminated" {
		t.Errorf("the instance is %s", state)
	}
	r.unharmed()
	r.Eventually("both tasks run elsewhere", func() bool { return len(r.tasks("")) == 2 })
}

func TestReplicasDrainOnce(t *testing.T) {
	r := open(t, 2, 2)
	for range 3 {
		r.start(func(cfg *executor.Config) { cfg.StaleAfter = time.Hour })
	}
	id, ci := r.anyHost()
	r.Finished(r.plan(r.drain(id, ci)))
	if calls := r.aws.Calls("UpdateContainerInstancesState", "DeregisterContainerInstance"); len(calls) != 2 {
		t.Errorf("called %v, want one of each", r.calls())
	}
	r.unharmed()
}

// TestCrashAnywhere crashes at every point, early and late in the drain, then lets another
// replica go on.
func TestCrashAnywhere(t *testing.T) {
	crashes := map[executor.Point][]int{
		executor.PointRecorded: {1}, executor.PointStored: {1, 3, 6, 9}, executor.PointIntent: {1, 2, 3},
		executor.PointCalled: {1, 2, 3}, executor.PointPublished: {1, 2, 3},
	}
	for point, times := range crashes {
		for _, nth := range times {
			t.Run(fmt.Sprintf("%s %d", point, nth), func(t *testing.T) {
				r := open(t, 1, 2)
				crash, crashed := executortest.CrashAt(point, nth)
				stop := r.start(func(cfg *executor.Config) { cfg.Crash = crash })
				id, ci := r.anyHost()
				p := r.plan(r.drain(id, ci))
				r.Crashed(crashed, stop)
				r.start()
				if end := r.Finished(p); end.Step != "done" || end.Class != fleet.FailureNone {
					t.Errorf("ended as %+v, want it done", end)
				}
				r.unharmed()
				r.Eventually("the task runs elsewhere", func() bool { return len(r.tasks("")) == 1 })
			})
		}
	}
}

// TestCrashWhenTimeIsUp crashes before and after each of the calls that follow a timeout, in
// either way that a drain may go on then. The first call is that of the drain, the second the
// stop or the undoing, and after a stop the third is the deregistration.
func TestCrashWhenTimeIsUp(t *testing.T) {
	ends := map[fleet.OnTimeout]string{fleet.TimeoutStop: "done", fleet.TimeoutRestore: "rolled-back"}
	for _, test := range []struct {
		onTimeout fleet.OnTimeout
		point     executor.Point
		nth       int
	}{
		{fleet.TimeoutStop, executor.PointIntent, 2},
		{fleet.TimeoutStop, executor.PointCalled, 2},
		{fleet.TimeoutStop, executor.PointCalled, 3},
		{fleet.TimeoutRestore, executor.PointIntent, 2},
		{fleet.TimeoutRestore, executor.PointCalled, 2},
	} {
		t.Run(fmt.Sprintf("%s %s %d", test.onTimeout, test.point, test.nth), func(t *testing.T) {
			r := open(t, 1, 1)
			crash, crashed := executortest.CrashAt(test.point, test.nth)
			stop := r.start(func(cfg *executor.Config) { cfg.Crash = crash })
			id, ci := r.anyHost()
			a := r.drain(id, ci)
			a.Drain.Timeout, a.Drain.OnTimeout = fleet.Duration(2*time.Minute), test.onTimeout
			p := r.plan(a)
			r.Crashed(crashed, stop)
			r.start()
			if end := r.Finished(p); end.Step != ends[test.onTimeout] {
				t.Errorf("ended as %+v, want it %s", end, ends[test.onTimeout])
			}
			if test.onTimeout == fleet.TimeoutRestore {
				r.kept(id)
			}
			r.unharmed()
		})
	}
}

func TestRefused(t *testing.T) {
	tests := map[string]struct {
		before func(*room, fleet.InstanceID, fleet.ContainerInstanceID)
		edit   func(*fleet.Drain)
		says   string
	}{
		"a protected task": {
			before: func(r *room, _ fleet.InstanceID, ci fleet.ContainerInstanceID) { r.protect(ci) },
			says:   "protected from scale-in",
		},
		"a task that came after the plan": {
			edit: func(d *fleet.Drain) { d.Tasks = nil },
			says: "after the plan",
		},
		"an instance that a person keeps": {
			before: func(r *room, id fleet.InstanceID, _ fleet.ContainerInstanceID) {
				if err := r.Bus.Control().Protect(r.Context(), executortest.Cluster, id, bus.Protection{By: "ann", Why: "I look at it"}); err != nil {
					r.Fatal(err)
				}
			},
			says: "ann: I look at it",
		},
		"another container instance": {
			edit: func(d *fleet.Drain) { d.ContainerInstance = "0123456789abcdef0123456789abcdef" },
			says: "planned was 0123",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := open(t, 2, 2)
			id, ci := r.anyHost()
			a := r.drain(id, ci)
			if test.before != nil {
				test.before(r, id, ci)
			}
			if test.edit != nil {
				test.edit(a.Drain)
			}
			r.start()
			end := r.Finished(r.plan(a))
			if end.Step != "rejected" || !strings.Contains(end.Message, test.says) {
				t.Errorf("ended as %+v, want it rejected: %s", end, test.says)
			}
			if calls := r.calls(); len(calls) > 0 {
				t.Errorf("called %v for a drain that was refused", calls)
			}
		})
	}
}

// protect gives the tasks on a container instance scale-in protection.
func (r *room) protect(ci fleet.ContainerInstanceID) {
	r.Helper()
	var arns []string
	for _, task := range r.tasks(ci) {
		arns = append(arns, task.TaskArn)
	}
	r.world(func(w *sim.World) error {
		_, err := w.UpdateTaskProtection(&sim.UpdateTaskProtectionInput{Cluster: string(executortest.Cluster), Tasks: arns, ProtectionEnabled: true})
		return err
	})
}

// stuck begins to drain the only instance, whose tasks have nowhere to go.
func (r *room) stuck(edit func(*fleet.Drain)) (p fleet.Plan, id fleet.InstanceID, ci fleet.ContainerInstanceID) {
	r.Helper()
	id, ci = r.anyHost()
	a := r.drain(id, ci)
	if edit != nil {
		edit(a.Drain)
	}
	p = r.plan(a)
	r.Eventually("the instance is draining", func() bool { return r.hosts()[id].Status == "DRAINING" })
	return p, id, ci
}

func TestProtectedWhileItDrains(t *testing.T) {
	r := open(t, 1, 1)
	r.start()
	p, id, ci := r.stuck(nil)
	r.protect(ci)
	if end := r.Finished(p); end.Step != "rolled-back" || !strings.Contains(end.Message, "protected") {
		t.Errorf("ended as %+v, want it rolled back for the protected task", end)
	}
	r.kept(id)
	if len(r.tasks(ci)) != 1 {
		t.Error("the protected task is gone")
	}
}

func TestTimeoutStopsTasks(t *testing.T) {
	r := open(t, 2, 1)
	r.start()
	p, id, _ := r.stuck(func(d *fleet.Drain) { d.Timeout = fleet.Duration(2 * time.Minute) })
	if end := r.Finished(p); end.Step != "done" {
		t.Errorf("ended as %+v, want it done", end)
	}
	calls := slices.Compact(r.calls())
	if want := []string{"CreateTags", "DRAINING", "CreateTags", "StopTask", "DeregisterContainerInstance", "TerminateInstances"}; !slices.Equal(calls, want) {
		t.Errorf("called %v, want %v", calls, want)
	}
	if state := r.state(id); state == "running" {
		t.Error("the instance still runs")
	}
	r.unharmed()
}

func TestTimeoutRestores(t *testing.T) {
	r := open(t, 2, 1)
	r.start()
	p, id, ci := r.stuck(func(d *fleet.Drain) {
		d.Timeout, d.OnTimeout = fleet.Duration(2*time.Minute), fleet.TimeoutRestore
	})
	if end := r.Finished(p); end.Step != "rolled-back" || end.Class != fleet.FailureTimeout {
		t.Errorf("ended as %+v, want it rolled back for its timeout", end)
	}
	r.kept(id)
	if len(r.tasks(ci)) != 2 {
		t.Errorf("%d tasks run, want both where they were", len(r.tasks(ci)))
	}
}

// TestSilentAgent removes an instance whose agent is gone: ECS starts its task elsewhere, and
// the instance is terminated though the task on it is never seen to end.
func TestSilentAgent(t *testing.T) {
	r := open(t, 1, 2)
	r.start()
	on := r.tasks("")[0].ContainerInstanceArn
	var id fleet.InstanceID
	for instance, h := range r.hosts() {
		if h.ContainerInstanceArn == on {
			id = instance
		}
	}
	a := r.drain(id, fleet.ContainerInstanceID(last(on)))
	a.Drain.Unhealthy = true
	r.world(func(w *sim.World) error { return w.Disconnect(id, 0) })
	if end := r.Finished(r.plan(a)); end.Step != "done" {
		t.Errorf("ended as %+v, want it done", end)
	}
	if want := []string{"CreateTags", "DRAINING", "CreateTags", "TerminateInstances"}; !slices.Equal(slices.Compact(r.calls()), want) {
		t.Errorf("called %v, want %v", r.calls(), want)
	}
	r.unharmed()
	r.Eventually("the task runs elsewhere", func() bool {
		return slices.ContainsFunc(r.tasks(""), func(task sim.Task) bool { return task.ContainerInstanceArn != on })
	})
}

// TestTaskAtTheLastMoment starts a task on the instance when the deregister call is on its
// way already: ECS refuses it, and so the instance stays.
func TestTaskAtTheLastMoment(t *testing.T) {
	r := open(t, 0, 1)
	id, ci := r.anyHost()
	r.aws.Before("DeregisterContainerInstance", func() {
		one := 1
		r.world(func(w *sim.World) error {
			_, err := w.UpdateContainerInstancesState(&sim.UpdateContainerInstancesStateInput{Cluster: string(executortest.Cluster), ContainerInstances: []string{string(ci)}, Status: "ACTIVE"})
			return err
		})
		r.world(func(w *sim.World) error {
			_, err := w.RunTask(&sim.RunTaskInput{Cluster: string(executortest.Cluster), TaskDefinition: "web", Count: &one, LaunchType: "EC2"})
			return err
		})
		r.Eventually("the task runs", func() bool { return len(r.tasks(ci)) == 1 })
	})
	r.start()
	if end := r.Finished(r.plan(r.drain(id, ci))); end.Step != "rolled-back" {
		t.Errorf("ended as %+v, want it rolled back", end)
	}
	r.kept(id)
	if len(r.tasks(ci)) != 1 {
		t.Error("the task is gone")
	}
}

func TestLostAnswers(t *testing.T) {
	r := open(t, 1, 2)
	for _, operation := range []string{"CreateTags", "UpdateContainerInstancesState", "DeregisterContainerInstance", "TerminateInstances"} {
		r.aws.Lose(operation, 1)
	}
	r.start()
	id, ci := r.anyHost()
	if end := r.Finished(r.plan(r.drain(id, ci))); end.Step != "done" {
		t.Errorf("ended as %+v, want it done", end)
	}
	r.unharmed()
}

func TestRestoreUndoesADrain(t *testing.T) {
	r := open(t, 2, 1)
	r.start()
	p, id, ci := r.stuck(nil)
	restore := r.plan(fleet.Action{Kind: fleet.ActionRestore, Restore: &fleet.Restore{Instance: id, ContainerInstance: ci, Drain: p.Actions[0].ID}})
	if end := r.Finished(p); end.Step != "rolled-back" {
		t.Errorf("the drain ended as %+v, want it rolled back", end)
	}
	if end := r.Finished(restore); end.Step != "done" {
		t.Errorf("the restore ended as %+v, want it done", end)
	}
	r.kept(id)
}

// TestRestoreOfAForgottenDrain restores an instance that drains while nobody is at it.
func TestRestoreOfAForgottenDrain(t *testing.T) {
	r := open(t, 2, 1)
	id, ci := r.anyHost()
	d := r.aws.Drainer()
	if err := d.TagDrain(t.Context(), id, "long-forgotten"); err != nil {
		t.Fatal(err)
	}
	if err := d.SetDraining(t.Context(), executortest.Cluster, ci); err != nil {
		t.Fatal(err)
	}
	r.start()
	end := r.Finished(r.plan(fleet.Action{Kind: fleet.ActionRestore, Restore: &fleet.Restore{Instance: id, ContainerInstance: ci}}))
	if end.Step != "done" {
		t.Errorf("ended as %+v, want it done", end)
	}
	r.kept(id)
	if !slices.Contains(r.calls(), "DeleteTags") {
		t.Error("the mark of the drain is still on the instance")
	}
}

func TestReap(t *testing.T) {
	r := open(t, 0, 1)
	silent := r.launch(silentImage)
	registered, _ := r.anyHost()
	r.start()
	reap := func(id fleet.InstanceID) fleet.Action {
		return fleet.Action{Kind: fleet.ActionReap, Reap: &fleet.Reap{Instance: id}}
	}
	if end := r.Finished(r.plan(reap(registered))); end.Step != "rejected" || !strings.Contains(end.Message, "registered") {
		t.Errorf("ended as %+v, want it rejected: the instance is in the cluster", end)
	}
	if end := r.Finished(r.plan(reap(silent))); end.Step != "done" {
		t.Errorf("ended as %+v, want it done", end)
	}
	if calls := slices.Compact(r.calls()); !slices.Equal(calls, []string{"TerminateInstances"}) {
		t.Errorf("called %v, want the termination alone", calls)
	}
	if state := r.state(registered); state != "running" {
		t.Errorf("the registered instance is %s", state)
	}
}

func TestPauseStopsDrains(t *testing.T) {
	r := open(t, 2, 1)
	r.start()
	p, id, _ := r.stuck(func(d *fleet.Drain) { d.Timeout = fleet.Duration(2 * time.Minute) })
	const begun = 3 // calls: the mark, DRAINING, the mark once more
	r.Eventually("the drain has begun", func() bool { return len(r.calls()) >= begun })
	if err := r.Bus.Control().Pause(t.Context(), executortest.Cluster, "a person", "to look"); err != nil {
		t.Fatal(err)
	}
	calls := len(r.calls())
	timeout := r.aws.Server.Now().Add(5 * time.Minute)
	r.Eventually("the timeout is past", func() bool { return r.aws.Server.Now().After(timeout) })
	if after := len(r.calls()); after != calls {
		t.Errorf("called %v while paused", r.calls()[calls:])
	}
	if err := r.Bus.Control().Resume(t.Context(), executortest.Cluster, "a person", "seen enough"); err != nil {
		t.Fatal(err)
	}
	r.Finished(p)
	r.unharmed()
	if state := r.state(id); state == "" {
		t.Error("the instance is unknown")
	}
}
