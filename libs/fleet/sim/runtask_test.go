package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const standaloneCluster = `
cluster web
task job cpu 256 memory 256
task long cpu 256 memory 256 stop-timeout 90s
task big cpu 1500 memory 256
task gpu cpu 16 memory 16 gpu 1
task port cpu 16 memory 16 port 8080
task ip cpu 16 memory 16 network awsvpc
task far cpu 16 memory 16 constraint 'attribute:stack == prod'
task arm cpu 16 memory 16 arch arm64
launch m7i.large count 1 zone us-east-1a
`

func runJob(t *testing.T, w *World, in RunTaskInput) *RunTaskOutput {
	t.Helper()
	in.Cluster = "web"
	return must(w.RunTask(&in))(t)
}

// TestRunTaskFailures: what finds no instance is in the failures with the reasons of the
// developer guide, "Amazon ECS API failure reasons", and is never tried again.
func TestRunTaskFailures(t *testing.T) {
	w := run(t, Config{Seed: 1}, standaloneCluster, 2*time.Minute)
	runJob(t, w, RunTaskInput{TaskDefinition: "port"})
	runJob(t, w, RunTaskInput{TaskDefinition: "big"})
	far := &NetworkConfiguration{AwsvpcConfiguration: &AwsvpcConfiguration{Subnets: []string{w.cfg.Subnets[1].ID}}}
	distinct := []PlacementConstraint{{Type: "distinctInstance"}}
	runJob(t, w, RunTaskInput{TaskDefinition: "job", Group: "solo"})
	for reason, in := range map[string]RunTaskInput{
		"RESOURCE:CPU":    {TaskDefinition: "big"},
		"RESOURCE:MEMORY": {TaskDefinition: "job", Overrides: &TaskOverride{Memory: "9000"}},
		"RESOURCE:GPU":    {TaskDefinition: "gpu"},
		"RESOURCE:PORTS":  {TaskDefinition: "port"},
		"LOCATION":        {TaskDefinition: "ip", NetworkConfiguration: far},
		"MemberOf placement constraint unsatisfied.":         {TaskDefinition: "far"},
		"DistinctInstance placement constraint unsatisfied.": {TaskDefinition: "job", Group: "solo", PlacementConstraints: distinct},
		"ATTRIBUTE": {TaskDefinition: "arm"},
	} {
		out := runJob(t, w, in)
		if len(out.Tasks) != 0 || len(out.Failures) != 1 || out.Failures[0].Reason != reason || !strings.Contains(out.Failures[0].Arn, ":container-instance/web/") {
			t.Errorf("%s: want %s, got %d tasks and failures %+v", in.TaskDefinition, reason, len(out.Tasks), out.Failures)
		}
	}
	host := w.ActiveInstances("web", 1)[0]
	if err := w.Disconnect(host, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if out := runJob(t, w, RunTaskInput{TaskDefinition: "job"}); len(out.Failures) != 1 || out.Failures[0].Reason != "AGENT" {
		t.Errorf("disconnected: %+v", out)
	}
	before := w.Truth().History.StandaloneTasksStarted
	w.Advance(w.now.Add(10 * time.Minute))
	if after := w.Truth().History.StandaloneTasksStarted; after != before {
		t.Errorf("%d failed runs were tried again", after-before)
	}
	if err := w.Drain(host); err != nil {
		t.Fatal(err)
	}
	if out := runJob(t, w, RunTaskInput{TaskDefinition: "job"}); len(out.Failures) != 1 || out.Failures[0].Reason != "INACTIVE" {
		t.Errorf("draining: %+v", out)
	}
	empty := run(t, Config{}, "cluster web\ntask job cpu 1 memory 4", 0)
	_, err := empty.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job"})
	failsWith(t, "an empty cluster", err, codeInvalid)
}

// TestRunTaskRequest: at most 10 tasks, a client token makes a repetition harmless and
// refuses other parameters (ConflictException), overrides change what a task takes, and a
// group of a service cannot be chosen.
func TestRunTaskRequest(t *testing.T) {
	w := run(t, Config{Seed: 1}, standaloneCluster, 2*time.Minute)
	count := func(n int) *int { return &n }
	for name, in := range map[string]RunTaskInput{
		"no tasks":       {TaskDefinition: "job", Count: count(0)},
		"too many":       {TaskDefinition: "job", Count: count(11)},
		"a service's":    {TaskDefinition: "job", Group: "service:web"},
		"started by":     {TaskDefinition: "job", StartedBy: strings.Repeat("x", 129)},
		"propagate":      {TaskDefinition: "job", PropagateTags: "SERVICE"},
		"long overrides": {TaskDefinition: "job", Overrides: &TaskOverride{ContainerOverrides: []ContainerOverride{{Name: "app", Environment: []KeyValue{{"x", strings.Repeat("y", 8200)}}}}}},
	} {
		in.Cluster = "web"
		_, err := w.RunTask(&in)
		failsWith(t, name, err, codeInvalid)
	}
	first := runJob(t, w, RunTaskInput{TaskDefinition: "job", Count: count(2), ClientToken: "once", StartedBy: "me"})
	again := runJob(t, w, RunTaskInput{TaskDefinition: "job", Count: count(2), ClientToken: "once", StartedBy: "me"})
	if len(first.Tasks) != 2 || first.Tasks[0].TaskArn != again.Tasks[0].TaskArn || first.Tasks[1].TaskArn != again.Tasks[1].TaskArn {
		t.Errorf("repeated: %v and %v", first.Tasks, again.Tasks)
	}
	_, err := w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", Count: count(3), ClientToken: "once", StartedBy: "me"})
	failsWith(t, "the token with another count", err, codeConflict)

	cpu, memory := int64(300), int64(700)
	host := w.ActiveInstances("web", 1)[0]
	before := w.instances[string(host)].host.remaining
	out := runJob(t, w, RunTaskInput{TaskDefinition: "job", Overrides: &TaskOverride{ContainerOverrides: []ContainerOverride{{Name: "app", CPU: &cpu, Memory: &memory}}}})
	after := w.instances[string(host)].host.remaining
	if took := before.Sub(after); took.CPUUnits != 300 || took.MemoryMiB != 700 || out.Tasks[0].CPU != "300" || out.Tasks[0].Memory != "700" {
		t.Errorf("an overridden task takes %v and is shown with %s and %s", took, out.Tasks[0].CPU, out.Tasks[0].Memory)
	}
	if g := first.Tasks[0].Group; g != "family:job" {
		t.Errorf("group %q", g)
	}
}

// TestStartTask puts a task on each named instance, at most 10, without placement.
func TestStartTask(t *testing.T) {
	w := run(t, Config{Seed: 1}, standaloneCluster+"launch m7i.large count 2 zone us-east-1b\n", 2*time.Minute)
	hosts := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web"}))(t).ContainerInstanceArns
	out := must(w.StartTask(&StartTaskInput{Cluster: "web", TaskDefinition: "big", ContainerInstances: append(hosts, "missing"), StartedBy: "me", Group: "batch"}))(t)
	if len(out.Tasks) != 3 || len(out.Failures) != 1 || out.Failures[0].Reason != "MISSING" {
		t.Fatalf("started %d with failures %v", len(out.Tasks), out.Failures)
	}
	for i, task := range out.Tasks {
		if task.ContainerInstanceArn != hosts[i] || task.Group != "batch" || task.StartedBy != "me" || task.LaunchType != "EC2" {
			t.Errorf("started %+v", task)
		}
	}
	ids := w.ActiveInstances("web", 2)
	if err := w.Drain(ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.Disconnect(ids[1], 0); err != nil {
		t.Fatal(err)
	}
	out = must(w.StartTask(&StartTaskInput{Cluster: "web", TaskDefinition: "big", ContainerInstances: hosts}))(t)
	var reasons []string
	for _, f := range out.Failures {
		reasons = append(reasons, f.Reason)
	}
	if fmt.Sprint(reasons) != "[INACTIVE AGENT RESOURCE:CPU]" {
		t.Errorf("failures %v", reasons)
	}
	_, err := w.StartTask(&StartTaskInput{Cluster: "web", TaskDefinition: "job", ContainerInstances: make([]string, 11)})
	failsWith(t, "11 instances", err, codeInvalid)
	_, err = w.StartTask(&StartTaskInput{Cluster: "web", TaskDefinition: "job"})
	failsWith(t, "no instance", err, codeInvalid)
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

// TestListTasksFilters: desired status RUNNING unless told, family, service, instance and
// launch type; startedBy is the only filter when it is one (API reference).
func TestListTasksFilters(t *testing.T) {
	w := run(t, Config{Seed: 1}, standaloneCluster+`
group g type m7i.large desired 1
provider asg group g
launch c7i.large zone us-east-1b
at 2m service web task job desired 2
`, 3*time.Minute)
	one := runJob(t, w, RunTaskInput{TaskDefinition: "port", StartedBy: "me"}).Tasks[0]
	bound := runJob(t, w, RunTaskInput{TaskDefinition: "long", CapacityProviderStrategy: []CapacityProviderStrategyItem{{"asg", 1, 0}}}).Tasks[0]
	dead := runJob(t, w, RunTaskInput{TaskDefinition: "job"}).Tasks[0]
	must(w.StopTask(&StopTaskInput{Cluster: "web", Task: dead.TaskArn}))(t)
	list := func(in ListTasksInput) []string {
		in.Cluster = "web"
		return must(w.ListTasks(&in))(t).TaskArns
	}
	if n := len(list(ListTasksInput{})); n != 4 {
		t.Errorf("%d tasks are to run", n)
	}
	for name, c := range map[string]struct {
		in   ListTasksInput
		want []string
	}{
		"started by":  {ListTasksInput{StartedBy: "me"}, []string{one.TaskArn}},
		"stopped":     {ListTasksInput{DesiredStatus: "STOPPED"}, []string{dead.TaskArn}},
		"pending":     {ListTasksInput{DesiredStatus: "PENDING"}, nil},
		"family":      {ListTasksInput{Family: "port"}, []string{one.TaskArn}},
		"instance":    {ListTasksInput{ContainerInstance: bound.ContainerInstanceArn, Family: "long"}, []string{bound.TaskArn}},
		"other type":  {ListTasksInput{LaunchType: "FARGATE"}, nil},
		"both filter": {ListTasksInput{Family: "long", ContainerInstance: bound.ContainerInstanceArn, DesiredStatus: "RUNNING"}, []string{bound.TaskArn}},
	} {
		if got := list(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := list(ListTasksInput{ServiceName: "web"}); len(got) != 2 {
		t.Errorf("of the service %v", got)
	}
	if got := list(ListTasksInput{LaunchType: "EC2"}); len(got) != 3 || slices.Contains(got, bound.TaskArn) {
		t.Errorf("of launch type EC2 %v", got)
	}
	_, err := w.ListTasks(&ListTasksInput{Cluster: "web", StartedBy: "me", Family: "job"})
	failsWith(t, "startedBy and family", err, codeInvalid)
	_, err = w.ListTasks(&ListTasksInput{Cluster: "web", MaxResults: 101})
	failsWith(t, "101 results", err, codeInvalid)
	described := must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: []string{one.TaskArn, "none"}}))(t)
	if len(described.Tasks) != 1 || len(described.Failures) != 1 || described.Failures[0].Reason != "MISSING" {
		t.Errorf("described %+v", described)
	}
	_, err = w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: make([]string, 101)})
	failsWith(t, "101 tasks", err, codeInvalid)
}
