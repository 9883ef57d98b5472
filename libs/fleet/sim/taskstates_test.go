package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// follow advances until a task has stopped and returns the last statuses it showed.
func follow(t *testing.T, w *World, arn string, act func(status string)) []string {
	t.Helper()
	var seen []string
	for range 4000 {
		task := must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: []string{arn}}))(t).Tasks[0]
		if len(seen) == 0 || seen[len(seen)-1] != task.LastStatus {
			seen = append(seen, task.LastStatus)
			act(task.LastStatus)
		}
		if task.LastStatus == "STOPPED" {
			return seen
		}
		w.Advance(w.now.Add(100 * time.Millisecond))
	}
	t.Fatalf("task %s does not stop: %v", arn, seen)
	return nil
}

// TestChecklist03TaskStates: a task goes through the statuses of the developer guide, "Task
// lifecycle", each with a delay: PROVISIONING and DEPROVISIONING in awsvpc
// mode, ACTIVATING and DEACTIVATING behind a load balancer.
func TestChecklist03TaskStates(t *testing.T) {
	w := run(t, Config{Seed: 1}, standaloneCluster, 2*time.Minute)
	subnet := &NetworkConfiguration{AwsvpcConfiguration: &AwsvpcConfiguration{Subnets: []string{w.cfg.Subnets[0].ID}}}
	stop := func(arn string) func(string) {
		return func(status string) {
			if status == "RUNNING" {
				must(w.StopTask(&StopTaskInput{Cluster: "web", Task: arn, Reason: "enough"}))(t)
			}
		}
	}
	bridge := runJob(t, w, RunTaskInput{TaskDefinition: "job"}).Tasks[0].TaskArn
	if got := fmt.Sprint(follow(t, w, bridge, stop(bridge))); got != "[PENDING RUNNING STOPPING STOPPED]" {
		t.Errorf("in bridge mode: %s", got)
	}
	task := must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: []string{bridge}}))(t).Tasks[0]
	if task.StopCode != "UserInitiated" || task.StoppedReason != "enough" || task.StoppingAt.IsZero() || task.StoppedAt.Before(task.StoppingAt.Time) || task.DesiredStatus != "STOPPED" {
		t.Errorf("stopped as %+v", task)
	}
	ip := runJob(t, w, RunTaskInput{TaskDefinition: "ip", NetworkConfiguration: subnet}).Tasks[0].TaskArn
	if got := fmt.Sprint(follow(t, w, ip, stop(ip))); got != "[PROVISIONING PENDING RUNNING STOPPING DEPROVISIONING STOPPED]" {
		t.Errorf("in awsvpc mode: %s", got)
	}
	one := 1
	must(w.CreateService(&CreateServiceInput{
		Cluster: "web", ServiceName: "balanced", TaskDefinition: "ip", DesiredCount: &one, NetworkConfiguration: subnet, LaunchType: "EC2",
		LoadBalancers: []LoadBalancer{{TargetGroupArn: "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/x/1", ContainerName: "app", ContainerPort: 80}},
	}))(t)
	w.Advance(w.now.Add(2 * time.Second))
	behind := must(w.ListTasks(&ListTasksInput{Cluster: "web", ServiceName: "balanced"}))(t).TaskArns[0]
	if got := fmt.Sprint(follow(t, w, behind, stop(behind))); got != "[PROVISIONING PENDING ACTIVATING RUNNING DEACTIVATING STOPPING DEPROVISIONING STOPPED]" {
		t.Errorf("behind a load balancer: %s", got)
	}
	w.Advance(w.now.Add(59 * time.Minute)) // stopped tasks stay describable for an hour
	for _, arn := range []string{ip, behind} {
		if out := must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: []string{arn}}))(t); len(out.Tasks) != 1 {
			t.Errorf("after 59 minutes: %+v", out.Failures)
		}
	}
	w.Advance(w.now.Add(3 * time.Minute))
	if out := must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: []string{ip}}))(t); len(out.Failures) != 1 {
		t.Errorf("after 62 minutes it is still described")
	}
}

// TestChecklist03StoppingFreesRoomAtOnce: a task whose desired status is STOPPED is free
// for placement though its containers run on until the stop timeout; the agent lets the
// next tasks wait in PENDING and starts them first come, first served (// roadmap #575, agent #2267, the agent's host resource manager).
func TestChecklist03StoppingFreesRoomAtOnce(t *testing.T) {
	w := run(t, Config{Seed: 1, Delays: Delays{Stop: 5 * time.Minute}}, standaloneCluster, 2*time.Minute)
	full := &TaskOverride{CPU: "2048"}
	half := &TaskOverride{CPU: "1024"}
	old := runJob(t, w, RunTaskInput{TaskDefinition: "long", Overrides: full}).Tasks[0]
	w.Advance(w.now.Add(30 * time.Second))
	remaining := func() (cpu int64) {
		h := must(w.DescribeContainerInstances(&DescribeContainerInstancesInput{Cluster: "web", ContainerInstances: []string{old.ContainerInstanceArn}}))(t).ContainerInstances[0]
		for _, r := range h.RemainingResources {
			if r.Name == "CPU" {
				cpu = r.IntegerValue
			}
		}
		return cpu
	}
	if cpu := remaining(); cpu != 0 {
		t.Fatalf("a full instance has %d units left", cpu)
	}
	must(w.StopTask(&StopTaskInput{Cluster: "web", Task: old.TaskArn}))(t)
	if cpu := remaining(); cpu != 2048 {
		t.Fatalf("while it stops %d units are left", cpu)
	}
	first := runJob(t, w, RunTaskInput{TaskDefinition: "job", Overrides: half}).Tasks[0]
	second := runJob(t, w, RunTaskInput{TaskDefinition: "job", Overrides: half}).Tasks[0]
	w.Advance(w.now.Add(80 * time.Second)) // the stop timeout is 90 s
	status := func(arn string) Task {
		return must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: []string{arn}}))(t).Tasks[0]
	}
	if a, b, c := status(old.TaskArn), status(first.TaskArn), status(second.TaskArn); a.LastStatus != "STOPPING" || b.LastStatus != "PENDING" || c.LastStatus != "PENDING" {
		t.Errorf("before the stop timeout: %s, %s, %s", a.LastStatus, b.LastStatus, c.LastStatus)
	}
	w.Advance(w.now.Add(30 * time.Second))
	a, b, c := status(old.TaskArn), status(first.TaskArn), status(second.TaskArn)
	if a.LastStatus != "STOPPED" || b.LastStatus != "RUNNING" || c.LastStatus != "RUNNING" {
		t.Errorf("after the stop timeout: %s, %s, %s", a.LastStatus, b.LastStatus, c.LastStatus)
	}
	if code := a.Containers[0].ExitCode; code == nil || *code != 137 {
		t.Errorf("containers that were killed have exit code %v", code)
	}
	if b.PullStartedAt.After(c.PullStartedAt.Time) || b.PullStartedAt.Before(a.ExecutionStoppedAt.Time) {
		t.Errorf("pulls at %v and %v, stopped at %v", b.PullStartedAt, c.PullStartedAt, a.ExecutionStoppedAt)
	}
}

// TestChecklist03RemainingResources is a property: at any time what remains of an instance
// is what it registered less its tasks whose desired status is RUNNING, and what a waiting
// task needs is taken from nobody.
func TestChecklist03RemainingResources(t *testing.T) {
	for seed := range uint64(4) {
		w := run(t, Config{Seed: seed}, busy+`
task lazy cpu 200 memory 300 stop-timeout 60s
group g type m7i.large max 5
provider asg group g managed
at 2m service lazy task lazy desired 9 provider asg
at 6m run lazy count 7 provider asg
at 14m service lazy desired 2
`, 0)
		for range 160 {
			w.Advance(w.now.Add(7 * time.Second))
			if err := remainingHolds(t, w); err != nil {
				t.Fatalf("seed %d, %v: %v", seed, w.now.Sub(w.cfg.Start), err)
			}
		}
	}
}

// remainingHolds compares the remaining resources that ECS shows with its list of tasks.
func remainingHolds(t *testing.T, w *World) error {
	hosts := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web"}))(t).ContainerInstanceArns
	if len(hosts) == 0 {
		return nil
	}
	left := map[string]fleet.Resources{}
	shown := map[string]fleet.Resources{}
	amount := func(list []Resource) (r fleet.Resources) {
		for _, x := range list {
			switch x.Name {
			case "CPU":
				r.CPUUnits = x.IntegerValue
			case "MEMORY":
				r.MemoryMiB = x.IntegerValue
			}
		}
		return r
	}
	for _, h := range must(w.DescribeContainerInstances(&DescribeContainerInstancesInput{Cluster: "web", ContainerInstances: hosts}))(t).ContainerInstances {
		left[h.ContainerInstanceArn], shown[h.ContainerInstanceArn] = amount(h.RegisteredResources), amount(h.RemainingResources)
	}
	tasks := must(w.ListTasks(&ListTasksInput{Cluster: "web"}))(t).TaskArns
	for chunk := range slices.Chunk(tasks, 100) {
		for _, task := range must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: chunk}))(t).Tasks {
			if task.ContainerInstanceArn == "" {
				continue
			}
			var need fleet.Resources
			if _, err := fmt.Sscan(task.CPU+" "+task.Memory, &need.CPUUnits, &need.MemoryMiB); err != nil {
				return err
			}
			left[task.ContainerInstanceArn] = left[task.ContainerInstanceArn].Sub(need)
		}
	}
	for _, arn := range hosts {
		if left[arn] != shown[arn] {
			return fmt.Errorf("instance %s shows %v, its tasks leave %v", arn, shown[arn], left[arn])
		}
	}
	return w.Check()
}

// TestTaskProtection: only tasks of services, 1 to 2880 minutes, 120 unless told, 10 a call
// to change and 100 to read; it protects from scale-in until it expires, not from StopTask.
func TestTaskProtection(t *testing.T) {
	w := run(t, Config{Seed: 1}, standaloneCluster+"at 2m service web task job desired 3\n", 4*time.Minute)
	solo := runJob(t, w, RunTaskInput{TaskDefinition: "job"}).Tasks[0].TaskArn
	tasks := must(w.ListTasks(&ListTasksInput{Cluster: "web", ServiceName: "web"}))(t).TaskArns
	minutes := func(n int) *int { return &n }
	protect := func(n *int, arns ...string) (*UpdateTaskProtectionOutput, error) {
		return w.UpdateTaskProtection(&UpdateTaskProtectionInput{Cluster: "web", Tasks: arns, ProtectionEnabled: true, ExpiresInMinutes: n})
	}
	for _, n := range []int{0, 2881} {
		_, err := protect(minutes(n), tasks[0])
		failsWith(t, fmt.Sprint(n, " minutes"), err, codeInvalid)
	}
	_, err := protect(nil, make([]string, 11)...)
	failsWith(t, "11 tasks", err, codeInvalid)
	_, err = w.GetTaskProtection(&GetTaskProtectionInput{Cluster: "web", Tasks: make([]string, 101)})
	failsWith(t, "101 tasks", err, codeInvalid)

	out := must(protect(nil, tasks[0], solo, "none"))(t)
	if len(out.ProtectedTasks) != 1 || !out.ProtectedTasks[0].ExpirationDate.Equal(w.now.Add(2*time.Hour)) {
		t.Errorf("protected %+v", out.ProtectedTasks)
	}
	if f := out.Failures; len(f) != 2 || f[0].Reason != "TASK_NOT_VALID" || f[1].Reason != "MISSING" {
		t.Errorf("failures %+v", f)
	}
	must(protect(minutes(10), tasks[1]))(t)
	must(w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", DesiredCount: minutes(0)}))(t)
	running := func() []string {
		w.Advance(w.now.Add(time.Minute))
		return must(w.ListTasks(&ListTasksInput{Cluster: "web", ServiceName: "web"}))(t).TaskArns
	}
	if left := running(); !slices.Equal(left, tasks[:2]) {
		t.Errorf("scale-in left %v, want the protected %v", left, tasks[:2])
	}
	w.Advance(w.now.Add(10 * time.Minute))
	if left := running(); !slices.Equal(left, tasks[:1]) {
		t.Errorf("after one protection expired %v are left, want %v", left, tasks[:1])
	}
	got := must(w.GetTaskProtection(&GetTaskProtectionInput{Cluster: "web", Tasks: tasks[:1]}))(t).ProtectedTasks
	if len(got) != 1 || !got[0].ProtectionEnabled {
		t.Errorf("protection %+v", got)
	}
	must(w.StopTask(&StopTaskInput{Cluster: "web", Task: tasks[0]}))(t)
	if left := running(); len(left) != 0 {
		t.Errorf("StopTask left %v", left)
	}
}
