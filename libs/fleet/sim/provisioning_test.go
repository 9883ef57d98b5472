package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestChecklist06ProvisioningQueue: tasks wait in PROVISIONING without a container instance
// only for capacity providers with managed scaling: they count
// as pending, are placed when capacity comes, and are at most 500 per cluster.
func TestChecklist06ProvisioningQueue(t *testing.T) {
	w := run(t, Config{Seed: 1}, `
cluster web
task web cpu 512 memory 512
task job cpu 512 memory 512
group web type m7i.large max 10
provider asg group web managed step-max 1
group fixed type m7i.large max 10
provider plain group fixed
service web task web desired 3 provider asg
service stuck task web desired 3 provider plain
run job count 2 provider asg
`, 30*time.Second)
	list := must(w.ListTasks(&ListTasksInput{Cluster: "web"}))(t).TaskArns
	if len(list) != 5 {
		t.Fatalf("%d tasks exist, want 3 of the service and 2 standalone", len(list))
	}
	for _, task := range must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: list}))(t).Tasks {
		if task.LastStatus != "PROVISIONING" || task.DesiredStatus != "RUNNING" || task.ContainerInstanceArn != "" || task.CapacityProviderName != "asg" || task.LaunchType != "" {
			t.Errorf("a waiting task is %+v", task)
		}
	}
	services := must(w.DescribeServices(&DescribeServicesInput{Cluster: "web", Services: []string{"web", "stuck"}}))(t).Services
	if s := services[0]; s.PendingCount != 3 || s.RunningCount != 0 || s.Deployments[0].PendingCount != 3 {
		t.Errorf("the service has %d pending, %d running", s.PendingCount, s.RunningCount)
	}
	if s := services[1]; s.PendingCount != 0 || s.Events[0].Message == "" || !strings.Contains(s.Events[len(s.Events)-1].Message, "was unable to place a task") {
		t.Errorf("without managed scaling: %d pending, events %v", s.PendingCount, s.Events)
	}
	clusters := must(w.DescribeClusters(&DescribeClustersInput{Clusters: []string{"web"}}))(t).Clusters
	if clusters[0].PendingTasksCount != 5 {
		t.Errorf("the cluster has %d pending tasks", clusters[0].PendingTasksCount)
	}
	out := must(w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", CapacityProviderStrategy: []CapacityProviderStrategyItem{{"plain", 1, 0}}}))(t)
	if len(out.Tasks) != 0 || len(out.Failures) != 1 || out.Failures[0].Reason != "EMPTY CAPACITY PROVIDER" {
		t.Errorf("a run without managed scaling gives %+v", out)
	}
	w.Advance(w.cfg.Start.Add(6 * time.Minute))
	tasks := must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: list}))(t).Tasks
	for _, task := range tasks {
		if task.LastStatus != "RUNNING" || task.ContainerInstanceArn == "" {
			t.Errorf("once there is capacity a task is %s on %q", task.LastStatus, task.ContainerInstanceArn)
		}
	}
	hosts := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web"}))(t).ContainerInstanceArns
	for _, h := range must(w.DescribeContainerInstances(&DescribeContainerInstancesInput{Cluster: "web", ContainerInstances: hosts}))(t).ContainerInstances {
		if h.CapacityProviderName != "asg" {
			t.Errorf("instance %s has capacity provider %q", h.Ec2InstanceID, h.CapacityProviderName)
		}
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

// TestChecklist06ProvisioningExpires: a task in PROVISIONING stops after 10 to 30 minutes
// with TaskFailedToStart and the reasons of the developer guide, "Amazon ECS API failure
// reasons". A task too large for the smallest type never scales.
func TestChecklist06ProvisioningExpires(t *testing.T) {
	w := run(t, Config{Seed: 1}, `
cluster web
task job cpu 512 memory 512
task huge cpu 4096 memory 512
group web type m7i.large max 0
provider asg group web managed
group one type m7i.large max 5 desired 1 min 1
provider small group one managed
at 2m run huge provider small
run job provider asg
`, 9*time.Minute)
	c := w.clusters["web"]
	if len(c.waiting) != 2 {
		t.Fatalf("after 9 minutes %d tasks wait", len(c.waiting))
	}
	w.Advance(w.cfg.Start.Add(33 * time.Minute))
	if len(c.waiting) != 0 {
		t.Fatalf("after 31 minutes %d tasks wait", len(c.waiting))
	}
	if count, _ := groupSize(w, "one"); count != 1 {
		t.Errorf("a task that fits no type scaled its group to %d", count)
	}
	list := must(w.ListTasks(&ListTasksInput{Cluster: "web", DesiredStatus: "STOPPED"}))(t).TaskArns
	reasons := map[string]string{}
	for _, task := range must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: list}))(t).Tasks {
		reasons[task.CapacityProviderName] = task.StopCode + " " + task.StoppedReason
	}
	if got, want := fmt.Sprint(reasons), "map[asg:TaskFailedToStart TaskFailedToStart: EMPTY CAPACITY PROVIDER small:TaskFailedToStart TaskFailedToStart: RESOURCE:CPU]"; got != want {
		t.Errorf("stopped with %s, want %s", got, want)
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

// TestChecklist06ProvisioningLimit: at most 500 tasks of a cluster are in PROVISIONING; a
// service says so in its events, RunTask answers ClientException.
func TestChecklist06ProvisioningLimit(t *testing.T) {
	w := run(t, Config{Seed: 1}, `
cluster web
task web cpu 512 memory 512
group web type m7i.large max 0
provider asg group web managed
service a task web desired 300 provider asg
service b task web desired 300 provider asg
`, time.Minute)
	if n := len(w.clusters["web"].waiting); n != 500 {
		t.Errorf("%d tasks wait", n)
	}
	b := must(w.DescribeServices(&DescribeServicesInput{Cluster: "web", Services: []string{"b"}}))(t).Services[0]
	if text := fmt.Sprint(b.Events); !strings.Contains(text, "(service b) was unable to place tasks in your cluster because the tasks provisioning capacity limit was exceeded.") {
		t.Errorf("events %s", text)
	}
	_, err := w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "web", CapacityProviderStrategy: []CapacityProviderStrategyItem{{"asg", 1, 0}}})
	failsWith(t, "run at the limit", err, codeClient)
	must(w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "a", DesiredCount: new(int)}))(t)
	w.Advance(w.now.Add(time.Minute))
	if n := len(w.clusters["web"].waiting); n != 300 {
		t.Errorf("after a service of 300 went %d tasks wait", n)
	}
	must(w.DeleteService(&DeleteServiceInput{Cluster: "web", Service: "b", Force: true}))(t)
	w.Advance(w.now.Add(time.Minute))
	if n := len(w.clusters["web"].waiting); n != 0 {
		t.Errorf("after both services went %d tasks wait", n)
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

// TestProvisioningIsNotForLaunchTypes: a task with a launch type never waits and never
// scales a capacity provider (ECS Developer Guide, managed scale-out, step 1).
func TestProvisioningIsNotForLaunchTypes(t *testing.T) {
	w := run(t, Config{Seed: 1}, `
cluster web
task web cpu 512 memory 512
group web type m7i.large max 5
provider asg group web managed
service web task web desired 2
`, 10*time.Minute)
	if count, _ := groupSize(w, "web"); count != 0 || len(w.clusters["web"].waiting) != 0 {
		t.Errorf("%d instances, %d tasks wait", count, len(w.clusters["web"].waiting))
	}
}
