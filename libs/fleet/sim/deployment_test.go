package sim

import (
	"strings"
	"testing"
	"time"
)

const deployed = "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large count 3\nat 1m service web task web desired 4 breaker rollback\n"

// TestChecklist04CircuitBreaker: a deployment whose tasks do not start fails after half
// the desired count, but from 3 to 200, or what the threshold says, and the service goes
// back to the last deployment that was completed.
func TestChecklist04CircuitBreaker(t *testing.T) {
	for how, story := range map[string]string{
		"pull":      "at 4m task web cpu 10 memory 10 fails pull\n",
		"start":     "at 4m task web cpu 10 memory 10 fails start\n",
		"exit":      "at 4m task web cpu 10 memory 10 fails exit\n",
		"arm64":     "at 4m task web cpu 10 memory 10 image-arch arm64\n",
		"unhealthy": "at 4m task web cpu 10 memory 10 health 5s retries 1 unhealthy-after 0s\n",
		"too large": "at 4m task web cpu 10 memory 900000\n",
	} {
		w := run(t, Config{EventQueues: []string{"events"}}, deployed+story+"at 4m service web task web\n", 25*time.Minute)
		s := described(t, w, "web")
		if !strings.HasSuffix(s.TaskDefinition, "web:1") || s.RunningCount != 4 || len(s.Deployments) != 1 || s.Deployments[0].RolloutState != "COMPLETED" {
			t.Errorf("%s: it runs %d of %s in %d deployments", how, s.RunningCount, s.TaskDefinition, len(s.Deployments))
		}
		events := told(t, w, "web")
		wants(t, events, ") deployment failed: tasks failed to start.", "rolling back to deployment "+s.Deployments[0].ID+".")
		if how == "too large" {
			wants(t, events, "could not launch 3 tasks for deployment ecs-svc/")
		}
		wants(t, received(t, w), "SERVICE_DEPLOYMENT_FAILED", "SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED")
		list := must(w.ListServiceDeployments(&ListServiceDeploymentsInput{Cluster: "web", Service: "web"}))(t).ServiceDeployments
		if len(list) != 2 || list[0].Status != "ROLLBACK_SUCCESSFUL" || list[1].Status != "SUCCESSFUL" {
			t.Fatalf("%s: service deployments %+v", how, list)
		}
		d := must(w.DescribeServiceDeployments(&DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{list[0].ServiceDeploymentArn, "none"}}))(t)
		if b := d.ServiceDeployments[0].DeploymentCircuitBreaker; b.Status != "TRIGGERED" || b.Threshold != 3 || b.FailureCount < 3 || len(d.Failures) != 1 {
			t.Errorf("%s: circuit breaker %+v", how, b)
		}
	}
}

func TestCircuitBreakerThresholds(t *testing.T) {
	config := func(kind string, value int) *ThresholdConfiguration { return &ThresholdConfiguration{kind, value} }
	for _, c := range []struct {
		desired, want int
		config        *ThresholdConfiguration
	}{
		{1, 3, nil},
		{25, 13, nil},
		{400, 200, nil},
		{800, 200, nil},
		{800, 400, config("UNBOUNDED_PERCENT", 50)},
		{1, 1, config("UNBOUNDED_PERCENT", 50)},
		{100, 20, config("BOUNDED_PERCENT", 20)},
		{100, 7, config("COUNT", 7)},
	} {
		s := &service{desired: c.desired, breaker: &DeploymentCircuitBreaker{Enable: true, ThresholdConfiguration: c.config}}
		if got := s.threshold(); got != c.want {
			t.Errorf("%d tasks, %+v: threshold %d, want %d", c.desired, c.config, got, c.want)
		}
	}
	w := run(t, Config{}, deployed, 3*time.Minute)
	for _, bad := range []*ThresholdConfiguration{config("SOME", 3), config("COUNT", 0)} {
		_, err := w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", DeploymentConfiguration: &DeploymentConfiguration{
			DeploymentCircuitBreaker: &DeploymentCircuitBreaker{Enable: true, ThresholdConfiguration: bad},
		}})
		failsWith(t, "bad threshold", err, codeInvalid)
	}
}

// TestChecklist04StartThrottle: tasks that never reach RUNNING are started again more and
// more seldom, up to 27 minutes; a new task definition ends that (service throttle
// logic). Tasks that end after they ran are not throttled.
func TestChecklist04StartThrottle(t *testing.T) {
	const story = "cluster web\ntask web cpu 10 memory 10 fails pull\nlaunch m7i.large\nat 3m service web task web desired 1\n"
	w := run(t, Config{Delays: MeasuredDelays(), EventQueues: []string{"events"}}, story, 3*time.Hour)
	before := w.Truth().History.ServiceTasksStarted
	if before < 8 || before > 14 {
		t.Errorf("%d tasks were started in 3 hours", before)
	}
	wants(t, told(t, w, "web"), "(service web) is unable to consistently start tasks successfully.")
	wants(t, received(t, w), "SERVICE_TASK_START_IMPAIRED")
	if n := described(t, w, "web").Deployments[0].FailedTasks; n != before {
		t.Errorf("%d of %d tasks failed", n, before)
	}
	stopped := must(w.ListTasks(&ListTasksInput{Cluster: "web", DesiredStatus: "STOPPED"}))(t).TaskArns
	task := must(w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: stopped[:1]}))(t).Tasks[0]
	if task.StopCode != "TaskFailedToStart" || !strings.HasPrefix(task.Containers[0].Reason, "CannotPullContainerError") {
		t.Errorf("stopped with %s, %s", task.StopCode, task.Containers[0].Reason)
	}
	must(w.RegisterTaskDefinition(&RegisterTaskDefinitionInput{Family: "web", ContainerDefinitions: []ContainerDefinition{{Name: "app", Image: "i", Memory: 10}}}))(t)
	must(w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", TaskDefinition: "web"}))(t)
	w.Advance(w.Now().Add(30 * time.Second))
	if n := described(t, w, "web").RunningCount; n != 1 {
		t.Errorf("%d tasks of the new task definition run", n)
	}
	w = run(t, Config{Delays: MeasuredDelays()}, strings.Replace(story, "pull", "exit", 1), time.Hour)
	if n := w.Truth().History.ServiceTasksStarted; n < 200 {
		t.Errorf("%d tasks that ended at once were started in an hour", n)
	}
}

func TestServiceDeployments(t *testing.T) {
	w := run(t, Config{}, deployed+"at 4m task web cpu 20 memory 10\nat 4m service web task web\n", 4*time.Minute+10*time.Second)
	s := described(t, w, "web")
	if len(s.CurrentServiceRevisions) != 2 || s.CurrentServiceDeployment == "" {
		t.Fatalf("revisions %+v, deployment %q", s.CurrentServiceRevisions, s.CurrentServiceDeployment)
	}
	d := must(w.DescribeServiceDeployments(&DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{s.CurrentServiceDeployment}}))(t).ServiceDeployments[0]
	if d.Status != "IN_PROGRESS" || d.TargetServiceRevision.RequestedTaskCount != 4 || len(d.SourceServiceRevisions) != 1 || d.SourceServiceRevisions[0].RunningTaskCount != 4 {
		t.Errorf("service deployment %+v", d)
	}
	r := must(w.DescribeServiceRevisions(&DescribeServiceRevisionsInput{ServiceRevisionArns: []string{d.TargetServiceRevision.Arn, d.SourceServiceRevisions[0].Arn, "none"}}))(t)
	if len(r.ServiceRevisions) != 2 || !strings.HasSuffix(r.ServiceRevisions[0].TaskDefinition, "web:2") || len(r.Failures) != 1 {
		t.Errorf("service revisions %+v", r)
	}
	must(w.StopServiceDeployment(&StopServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn, StopType: "ROLLBACK"}))(t)
	w.Advance(w.Now().Add(3 * time.Minute))
	if s := described(t, w, "web"); !strings.HasSuffix(s.TaskDefinition, "web:1") || s.RunningCount != 4 || len(s.Deployments) != 1 {
		t.Errorf("it runs %d of %s in %d deployments", s.RunningCount, s.TaskDefinition, len(s.Deployments))
	}
	list := must(w.ListServiceDeployments(&ListServiceDeploymentsInput{Cluster: "web", Service: "web", Status: []string{"ROLLBACK_SUCCESSFUL"}}))(t).ServiceDeployments
	if len(list) != 1 {
		t.Errorf("service deployments %+v", list)
	}
	_, err := w.StopServiceDeployment(&StopServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn})
	failsWith(t, "stop what is over", err, codeConflict)
	_, err = w.StopServiceDeployment(&StopServiceDeploymentInput{ServiceDeploymentArn: "none"})
	failsWith(t, "stop nothing", err, "ServiceDeploymentNotFoundException")
	_, err = w.DescribeServiceRevisions(&DescribeServiceRevisionsInput{})
	failsWith(t, "describe nothing", err, codeInvalid)
}

// TestUpdateServiceDeploys: which changes begin a deployment, by the ECS API.
func TestUpdateServiceDeploys(t *testing.T) {
	yes, grace, three := true, 30, 3
	for _, c := range []struct {
		name string
		in   UpdateServiceInput
		want int
	}{
		{"count", UpdateServiceInput{DesiredCount: &three}, 1},
		{"constraints", UpdateServiceInput{PlacementConstraints: &[]PlacementConstraint{{Type: "distinctInstance"}}}, 1},
		{"strategy", UpdateServiceInput{PlacementStrategy: &[]PlacementStrategy{{"spread", "attribute:ecs.availability-zone"}}}, 1},
		{"tags", UpdateServiceInput{EnableECSManagedTags: &yes, PropagateTags: "SERVICE"}, 1},
		{"force", UpdateServiceInput{ForceNewDeployment: true}, 2},
		{"balancers", UpdateServiceInput{LoadBalancers: &[]LoadBalancer{{TargetGroupArn: "arn", ContainerName: "app", ContainerPort: 80}}, HealthCheckGracePeriodSeconds: &grace}, 2},
	} {
		w := run(t, Config{}, deployed, 3*time.Minute)
		c.in.Cluster, c.in.Service = "web", "web"
		if got := must(w.UpdateService(&c.in))(t).Service; len(got.Deployments) != c.want {
			t.Errorf("%s: %d deployments, want %d", c.name, len(got.Deployments), c.want)
		}
		w.Advance(w.Now().Add(5 * time.Minute))
		if s := described(t, w, "web"); s.RunningCount != s.DesiredCount && c.name != "constraints" {
			t.Errorf("%s: %d of %d tasks run", c.name, s.RunningCount, s.DesiredCount)
		}
	}
	w := run(t, Config{}, deployed, 3*time.Minute)
	_, err := w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", HealthCheckGracePeriodSeconds: &grace})
	failsWith(t, "grace without a load balancer", err, codeInvalid)
	_, err = w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", PropagateTags: "SOME"})
	failsWith(t, "propagate", err, codeInvalid)
	_, err = w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", DeploymentController: &DeploymentController{Type: "CODE_DEPLOY"}})
	failsWith(t, "controller", err, "UnsupportedFeatureException")
}
