package awssim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// TestLifeOfACluster is what an autoscaler does from the first task that fits nowhere to
// the last instance, all through the SDK.
func TestLifeOfACluster(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	web := aws.String("web")
	template := a.cluster(ctx, "web")
	a.definition(ctx, "app")
	must(a.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: web, ServiceName: aws.String("api"), TaskDefinition: aws.String("app"), DesiredCount: aws.Int32(3),
		LaunchType:        ecstypes.LaunchTypeEc2,
		PlacementStrategy: []ecstypes.PlacementStrategy{{Type: ecstypes.PlacementStrategyTypeBinpack, Field: aws.String("memory")}},
		Tags:              []ecstypes.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
	}))(a)

	a.advance(time.Minute)
	service := a.service(ctx, "web", "api")
	if service.RunningCount != 0 || service.DesiredCount != 3 || len(service.Events) == 0 ||
		!strings.Contains(*service.Events[0].Message, "was unable to place a task") {
		t.Fatalf("without instances the service has %d running, events %v", service.RunningCount, service.Events)
	}
	if len(service.Deployments) != 1 || *service.Deployments[0].Status != "PRIMARY" || service.Deployments[0].DesiredCount != 3 {
		t.Errorf("deployments %+v", service.Deployments)
	}
	if len(service.Tags) != 1 || *service.Tags[0].Key != "team" {
		t.Errorf("tags %v, want team=a", service.Tags)
	}

	launched := must(a.ec2.CreateFleet(ctx, fleet(template, a.subnet(ctx, "a"), 1, "m7i.large")))(a)
	if len(launched.Instances) != 1 || len(launched.Instances[0].InstanceIds) != 1 {
		t.Fatalf("fleet launched %+v, errors %+v", launched.Instances, launched.Errors)
	}
	id := launched.Instances[0].InstanceIds[0]
	a.advance(30 * time.Minute) // boot, and the longest wait of the service scheduler
	if service = a.service(ctx, "web", "api"); service.RunningCount != 3 {
		t.Fatalf("%d of 3 tasks run; %s", service.RunningCount, *service.Events[0].Message)
	}

	arn := a.joined(ctx, "web", id)
	tasks := a.tasksOn(ctx, "web", arn)
	if len(tasks) != 3 {
		t.Fatalf("%d tasks on the instance, want 3", len(tasks))
	}
	must(a.ecs.PutAttributes(ctx, &ecs.PutAttributesInput{Cluster: web, Attributes: []ecstypes.Attribute{
		{Name: aws.String("tier"), Value: aws.String("gold"), TargetId: &arn, TargetType: ecstypes.TargetTypeContainerInstance},
	}}))(a)
	for filter, want := range map[string]int{"attribute:tier == gold and attribute:stack == blue": 1, "attribute:tier == silver": 0, "ec2InstanceId in [" + id + "]": 1} {
		found := must(a.ecs.ListContainerInstances(ctx, &ecs.ListContainerInstancesInput{Cluster: web, Filter: &filter}))(a)
		if len(found.ContainerInstanceArns) != want {
			t.Errorf("filter %s finds %d, want %d", filter, len(found.ContainerInstanceArns), want)
		}
	}
	a.empty(t, arn, id)
}

// empty drains an instance, finds that it cannot be deregistered while tasks run, and takes
// it away when they do not.
func (a *account) empty(t *testing.T, arn, id string) {
	ctx, web := t.Context(), aws.String("web")
	_, err := a.ecs.DeregisterContainerInstance(ctx, &ecs.DeregisterContainerInstanceInput{Cluster: web, ContainerInstance: &arn})
	var refused *ecstypes.InvalidParameterException
	if !errors.As(err, &refused) {
		t.Errorf("deregister with tasks: %v, want InvalidParameterException", err)
	}
	must(a.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: web, Service: aws.String("api"), DesiredCount: aws.Int32(0)}))(a)
	drained := must(a.ecs.UpdateContainerInstancesState(ctx, &ecs.UpdateContainerInstancesStateInput{
		Cluster: web, ContainerInstances: []string{arn, "0123456789abcdef0123456789abcdef"}, Status: ecstypes.ContainerInstanceStatusDraining,
	}))(a)
	if len(drained.ContainerInstances) != 1 || *drained.ContainerInstances[0].Status != "DRAINING" || len(drained.Failures) != 1 || *drained.Failures[0].Reason != "MISSING" {
		t.Errorf("drained %+v, failures %+v", drained.ContainerInstances, drained.Failures)
	}
	a.advance(10 * time.Minute)
	if left := a.tasksOn(ctx, "web", arn); len(left) != 0 {
		t.Fatalf("%d tasks are left on the drained instance", len(left))
	}
	must(a.ecs.DeregisterContainerInstance(ctx, &ecs.DeregisterContainerInstanceInput{Cluster: web, ContainerInstance: &arn}))(a)
	ended := must(a.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(a)
	if len(ended.TerminatingInstances) != 1 || ended.TerminatingInstances[0].CurrentState.Name != ec2types.InstanceStateNameShuttingDown {
		t.Errorf("terminate: %+v", ended.TerminatingInstances)
	}
	a.advance(5 * time.Minute)
	seen := must(a.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}}))(a)
	if len(seen.Reservations) != 1 || seen.Reservations[0].Instances[0].State.Name != ec2types.InstanceStateNameTerminated {
		t.Errorf("after termination: %+v", seen.Reservations)
	}
}

// TestStandaloneTasks runs, protects (in vain), describes and stops tasks that no service
// looks after.
func TestStandaloneTasks(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	web := aws.String("web")
	template := a.cluster(ctx, "web")
	a.definition(ctx, "job")
	run := &ecs.RunTaskInput{Cluster: web, TaskDefinition: aws.String("job"), Count: aws.Int32(5), StartedBy: aws.String("cron")}
	_, err := a.ecs.RunTask(ctx, run)
	expect[*ecstypes.InvalidParameterException](t, err) // No Container Instances were found in your cluster.
	must(a.ec2.CreateFleet(ctx, fleet(template, a.subnet(ctx, "b"), 1, "m7i.large")))(a)
	a.advance(10 * time.Minute)
	started := must(a.ecs.RunTask(ctx, run))(a)
	if len(started.Tasks) != 4 || len(started.Failures) != 1 || *started.Failures[0].Reason != "RESOURCE:CPU" {
		t.Fatalf("started %d of 5 tasks, of which 4 fit: %+v", len(started.Tasks), started.Failures)
	}
	a.advance(2 * time.Minute)
	byStarter := must(a.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: web, StartedBy: aws.String("cron")}))(a)
	described := must(a.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: web, Tasks: append(byStarter.TaskArns, "0123456789abcdef0123456789abcdef")}))(a)
	if len(described.Tasks) != 4 || len(described.Failures) != 1 || *described.Failures[0].Reason != "MISSING" {
		t.Fatalf("described %d tasks, failures %+v", len(described.Tasks), described.Failures)
	}
	task := described.Tasks[0]
	if *task.LastStatus != "RUNNING" || *task.Group != "family:job" || task.StartedAt == nil || task.StoppedAt != nil || task.CreatedAt.After(*task.StartedAt) {
		t.Errorf("task %+v", task)
	}
	protection := must(a.ecs.GetTaskProtection(ctx, &ecs.GetTaskProtectionInput{Cluster: web, Tasks: byStarter.TaskArns}))(a)
	if len(protection.ProtectedTasks)+len(protection.Failures) != 4 {
		t.Errorf("protection %+v, failures %+v", protection.ProtectedTasks, protection.Failures)
	}
	must(a.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: web, Task: task.TaskArn, Reason: aws.String("enough")}))(a)
	a.advance(2 * time.Minute)
	stopped := must(a.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: web, DesiredStatus: ecstypes.DesiredStatusStopped}))(a)
	if !slices.Equal(stopped.TaskArns, []string{*task.TaskArn}) {
		t.Errorf("stopped tasks %v, want %s", stopped.TaskArns, *task.TaskArn)
	}
}

// TestECSErrors: the SDK recognises the exceptions by their types.
func TestECSErrors(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	a.cluster(ctx, "web")
	web, nowhere := aws.String("web"), aws.String("nowhere")

	_, err := a.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: nowhere})
	expect[*ecstypes.ClusterNotFoundException](t, err)
	_, err = a.ecs.RunTask(ctx, &ecs.RunTaskInput{Cluster: nowhere, TaskDefinition: aws.String("x")})
	expect[*ecstypes.ClusterNotFoundException](t, err)
	_, err = a.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: web, Service: aws.String("none"), DesiredCount: aws.Int32(1)})
	expect[*ecstypes.ServiceNotFoundException](t, err)
	_, err = a.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("none")})
	expect[*ecstypes.ClientException](t, err)
	_, err = a.ecs.ListContainerInstances(ctx, &ecs.ListContainerInstancesInput{Cluster: web, Filter: aws.String("attribute:x ==")})
	expect[*ecstypes.InvalidParameterException](t, err)
	_, err = a.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: web, Services: make([]string, 11)})
	expect[*ecstypes.InvalidParameterException](t, err)
	_, err = a.ecs.ExecuteCommand(ctx, &ecs.ExecuteCommandInput{Task: aws.String("x"), Command: aws.String("sh"), Interactive: true})
	if got := code(err); got != "UnknownOperationException" {
		t.Errorf("an operation that is not there: %s", got)
	}

	missing := must(a.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{"web", "nowhere"}}))(a)
	if len(missing.Clusters) != 1 || len(missing.Failures) != 1 || *missing.Failures[0].Reason != "MISSING" {
		t.Errorf("clusters %v, failures %v", missing.Clusters, missing.Failures)
	}
}

// expect checks that an error is an exception of the SDK, of the right type.
func expect[E error](t *testing.T, err error) {
	t.Helper()
	var want E
	if !errors.As(err, &want) {
		t.Errorf("got %v, want a %T", err, want)
	}
}

// TestECSPages reads lists through the paginators of the SDK.
func TestECSPages(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	a.cluster(ctx, "web")
	a.definition(ctx, "app")
	const services = 25
	for i := range services {
		must(a.ecs.CreateService(ctx, &ecs.CreateServiceInput{
			Cluster: aws.String("web"), ServiceName: aws.String(fmt.Sprintf("s%02d", i)), TaskDefinition: aws.String("app"), DesiredCount: aws.Int32(0),
		}))(a)
	}
	for _, size := range []int32{0, 1, 100} {
		in := &ecs.ListServicesInput{Cluster: aws.String("web")}
		perPage := 10 // what ECS gives unless told
		if size > 0 {
			in.MaxResults, perPage = &size, int(size)
		}
		seen, pages := map[string]bool{}, 0
		for p := ecs.NewListServicesPaginator(a.ecs, in); p.HasMorePages(); pages++ {
			for _, arn := range must(p.NextPage(ctx))(a).ServiceArns {
				seen[arn] = true
			}
		}
		if len(seen) != services || pages != (services+perPage-1)/perPage {
			t.Errorf("pages of %d: %d services on %d pages", size, len(seen), pages)
		}
	}
	_, err := a.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: aws.String("web"), NextToken: aws.String("forged")})
	expect[*ecstypes.InvalidParameterException](t, err)
}

// TestClockOfTheWorld: a client learns virtual time from any answer, and the SDK makes
// nothing of a clock that differs from its own.
func TestClockOfTheWorld(t *testing.T) {
	start := time.Date(2031, 7, 1, 12, 0, 0, 0, time.UTC)
	a, ctx := open(t, sim.Config{Start: start}, Options{}), t.Context()
	for _, want := range []time.Time{start, start.Add(time.Hour)} {
		out := must(a.ecs.ListClusters(ctx, &ecs.ListClustersInput{}))(a)
		if got, ok := awsmiddleware.GetServerTime(out.ResultMetadata); !ok || !got.Equal(want) {
			t.Errorf("the SDK says %v, want %v", got, want)
		}
		a.advance(time.Hour)
	}
}
