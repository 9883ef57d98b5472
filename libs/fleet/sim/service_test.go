package sim

import (
	"strings"
	"testing"
	"time"
)

func TestSpreadOverZonesAndInstances(t *testing.T) {
	w := run(t, Config{Seed: 3}, `
cluster web
task web cpu 100 memory 100
launch m7i.large count 20 zone us-east-1a
launch m7i.large count 20 zone us-east-1b
launch m7i.large count 20 zone us-east-1c
at 2m service web task web desired 50
at 5m service web desired 90
at 8m service web desired 31
`, 4*time.Minute)
	s := w.clusters["web"].services["web"]
	check := func(tasks, mostOnHost int) {
		t.Helper()
		zones, hosts := map[string]int{}, map[string]int{}
		for _, task := range s.active {
			zones[task.host.machine.subnet.Zone]++
			hosts[task.host.id]++
			if hosts[task.host.id] > mostOnHost {
				t.Errorf("an instance has %d tasks", hosts[task.host.id])
			}
		}
		for zone, n := range zones {
			if n < tasks/3 || n > (tasks+2)/3 || n != s.inZone[zone] {
				t.Errorf("%s has %d of %d tasks, counted as %d", zone, n, tasks, s.inZone[zone])
			}
		}
	}
	check(50, 1)
	w.Advance(w.Now().Add(3 * time.Minute))
	check(90, 2)
	w.Advance(w.Now().Add(3 * time.Minute))
	check(31, 1)
}

func TestBinpackFillsAndEmptiesOneInstance(t *testing.T) {
	w := run(t, Config{}, `
cluster web
task web cpu 256 memory 256
launch m7i.large count 4
at 2m service web task web desired 12 strategy binpack:cpu
at 5m service web desired 8
`, 4*time.Minute)
	count := func() (used int) {
		for h := range w.clusters["web"].hostRoll.all {
			if len(h.tasks) > 0 {
				used++
			}
		}
		return used
	}
	if used := count(); used != 2 {
		t.Errorf("12 tasks use %d instances, 2 hold them", used)
	}
	w.Advance(w.Now().Add(4 * time.Minute))
	if used := count(); used != 1 {
		t.Errorf("8 tasks use %d instances, 1 holds them", used)
	}
}

func TestDrainingStopsDaemonsLast(t *testing.T) {
	w := run(t, Config{Zones: []Zone{{Name: "us-east-1a"}}}, `
cluster web
task agent cpu 10 memory 10
task web cpu 10 memory 10
service agent task agent daemon
launch m7i.large count 2
at 2m service web task web desired 2
at 4m drain oldest
`, 4*time.Minute+2*time.Second)
	c := w.clusters["web"]
	var draining *containerInstance
	for h := range c.hostRoll.all {
		if h.status == statusDraining {
			draining = h
		}
	}
	for range 200 {
		w.Advance(w.Now().Add(time.Second))
		others := 0
		agent := false
		for _, task := range draining.tasks {
			if task.service.name == "agent" {
				agent = !task.stopped
			} else {
				others++
			}
		}
		if others > 0 && !agent {
			t.Fatal("the daemon was stopped before the others had ended")
		}
	}
	if len(draining.tasks) != 0 {
		t.Errorf("%d tasks are left", len(draining.tasks))
	}
	if s := c.services["agent"]; s.desired != 1 || s.running != 1 {
		t.Errorf("the daemon has %d of %d", s.running, s.desired)
	}
}

func TestProtectedTaskAndDrainingByConfig(t *testing.T) {
	const story = "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large count 2\nat 1m service web task web desired 1\nat 3m protect web\nat 4m drain oldest 2\nat 5m launch m7i.large"
	for honours, want := range map[bool]int{true: 1, false: 0} {
		w := run(t, Config{DrainHonoursProtection: honours}, story, 10*time.Minute)
		left := 0
		for h := range w.clusters["web"].hostRoll.all {
			if h.status == statusDraining {
				left += len(h.tasks)
			}
		}
		if left != want {
			t.Errorf("honours %v: %d tasks are left on what drains, want %d", honours, left, want)
		}
	}
}

func TestWakeOnRegister(t *testing.T) {
	const story = "cluster web\ntask web cpu 10 memory 10\nservice web task web desired 1\nat 2m launch m7i.large"
	for wake, want := range map[bool]int{true: 1, false: 0} {
		w := run(t, Config{Delays: MeasuredDelays(), WakeOnRegister: wake}, story, 4*time.Minute)
		if got := w.clusters["web"].running; got != want {
			t.Errorf("wake %v: %d tasks run after four minutes, want %d", wake, got, want)
		}
	}
}

func TestCircuitBreakerRollsBack(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large\nservice web task web desired 2", 3*time.Minute)
	breaker := &DeploymentConfiguration{DeploymentCircuitBreaker: &DeploymentCircuitBreaker{Enable: true, Rollback: true}}
	must(w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", DeploymentConfiguration: breaker}))(t)
	must(w.RegisterTaskDefinition(&RegisterTaskDefinitionInput{Family: "web", ContainerDefinitions: []ContainerDefinition{{Name: "app", Image: "i", Memory: 100_000}}}))(t)
	must(w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", TaskDefinition: "web"}))(t)
	w.Advance(w.Now().Add(10 * time.Minute))
	s := must(w.DescribeServices(&DescribeServicesInput{Cluster: "web", Services: []string{"web"}}))(t).Services[0]
	if !strings.HasSuffix(s.TaskDefinition, "web:1") || s.RunningCount != 2 || len(s.Deployments) != 1 {
		t.Errorf("service runs %d of %s in %d deployments", s.RunningCount, s.TaskDefinition, len(s.Deployments))
	}
}

func TestServiceErrors(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 10 memory 10\ntask eni cpu 10 memory 10 network awsvpc\nservice there task web desired 0", time.Second)
	one, minus, half, full := 1, -1, 50, 100
	for _, c := range []struct {
		name, code string
		in         CreateServiceInput
	}{
		{"no cluster", codeClusterNotFound, CreateServiceInput{Cluster: "none", ServiceName: "s", TaskDefinition: "web", DesiredCount: &one}},
		{"no definition", codeClient, CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "none", DesiredCount: &one}},
		{"no count", codeInvalid, CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "web"}},
		{"negative count", codeInvalid, CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "web", DesiredCount: &minus}},
		{"bad name", codeInvalid, CreateServiceInput{Cluster: "web", ServiceName: "a b", TaskDefinition: "web", DesiredCount: &one}},
		{"Fargate", "UnsupportedFeatureException", CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "web", DesiredCount: &one, LaunchType: "FARGATE"}},
		{"no subnets", codeInvalid, CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "eni", DesiredCount: &one}},
		{"daemon with a count", codeInvalid, CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "web", DesiredCount: &one, SchedulingStrategy: "DAEMON"}},
		{"100 and 100", codeInvalid, CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "web", DesiredCount: &one, DeploymentConfiguration: &DeploymentConfiguration{MinimumHealthyPercent: &full, MaximumPercent: &full}}},
		{"max 50", codeInvalid, CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "web", DesiredCount: &one, DeploymentConfiguration: &DeploymentConfiguration{MaximumPercent: &half}}},
		{"bad expression", codeInvalid, CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "web", DesiredCount: &one, PlacementConstraints: []PlacementConstraint{{"memberOf", "attribute:x ~~ y"}}}},
		{"bad strategy", codeInvalid, CreateServiceInput{Cluster: "web", ServiceName: "s", TaskDefinition: "web", DesiredCount: &one, PlacementStrategy: []PlacementStrategy{{"binpack", "disk"}}}},
		{"there already", codeInvalid, CreateServiceInput{Cluster: "web", ServiceName: "there", TaskDefinition: "web", DesiredCount: &one}},
	} {
		_, err := w.CreateService(&c.in)
		failsWith(t, c.name, err, c.code)
	}
	_, err := w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "none"})
	failsWith(t, "update nothing", err, codeServiceNotFound)
	must(w.DeleteService(&DeleteServiceInput{Cluster: "web", Service: "there"}))(t)
	_, err = w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "there"})
	failsWith(t, "update what is deleted", err, codeNotActive)
	w.Advance(w.Now().Add(time.Minute))
	out := must(w.DescribeServices(&DescribeServicesInput{Cluster: "web", Services: []string{"there"}}))(t)
	if len(out.Failures) != 1 || out.Failures[0].Reason != "MISSING" {
		t.Errorf("described %+v", out)
	}
	_, err = w.DescribeServices(&DescribeServicesInput{Cluster: "web", Services: make([]string, 11)})
	failsWith(t, "11 services", err, codeInvalid)
}

func TestAttributesFiltersAndTags(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large attribute stack=prod\nlaunch t3.large\nat 1m service web task web desired 1 constraint 'attribute:stack == prod'", 3*time.Minute)
	list := func(filter string) int {
		return len(must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web", Filter: filter}))(t).ContainerInstanceArns)
	}
	for filter, want := range map[string]int{
		"": 2, "attribute:stack == prod": 1, "attribute:ecs.instance-type =~ t3.*": 1, "task:group == service:web": 1,
		"runningTasksCount == 0": 1, "attribute:stack != prod": 0, "agentConnected == true": 2,
	} {
		if got := list(filter); got != want {
			t.Errorf("%q lists %d, want %d", filter, got, want)
		}
	}
	_, err := w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web", Filter: "what"})
	failsWith(t, "bad filter", err, codeInvalid)
	arn := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web", Filter: "attribute:stack !exists"}))(t).ContainerInstanceArns[0]
	must(w.PutAttributes(&PutAttributesInput{Cluster: "web", Attributes: []Attribute{{Name: "stack", Value: "prod", TargetID: arn}}}))(t)
	if list("attribute:stack == prod") != 2 {
		t.Error("an attribute that was put is not there")
	}
	listed := must(w.ListAttributes(&ListAttributesInput{Cluster: "web", TargetType: "container-instance", AttributeName: "stack"}))(t)
	if len(listed.Attributes) != 2 {
		t.Errorf("attributes %+v", listed)
	}
	for i := range 10 {
		_, err = w.PutAttributes(&PutAttributesInput{Cluster: "web", Attributes: []Attribute{{Name: "n" + string(rune('0'+i)), TargetID: arn}}})
	}
	failsWith(t, "11 attributes", err, codeAttributeLimit)
	_, err = w.PutAttributes(&PutAttributesInput{Cluster: "web", Attributes: []Attribute{{Name: "ecs.ami-id", Value: "x", TargetID: arn}}})
	failsWith(t, "a reserved attribute", err, codeInvalid)
	_, err = w.PutAttributes(&PutAttributesInput{Cluster: "web", Attributes: []Attribute{{Name: "x", Value: "y", TargetID: "none"}}})
	failsWith(t, "no target", err, codeTargetNotFound)
	must(w.DeleteAttributes(&DeleteAttributesInput{Cluster: "web", Attributes: []Attribute{{Name: "stack", TargetID: arn}}}))(t)
	if list("attribute:stack == prod") != 1 {
		t.Error("a deleted attribute is still there")
	}
	for _, resource := range []string{arn, "arn:aws:ecs:us-east-1:123456789012:service/web/web", "arn:aws:ecs:us-east-1:123456789012:cluster/web", "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1"} {
		must(w.TagResource(&TagResourceInput{ResourceArn: resource, Tags: []Tag{{"b", "2"}, {"a", "1"}}}))(t)
		must(w.UntagResource(&UntagResourceInput{ResourceArn: resource, TagKeys: []string{"b"}}))(t)
		if got := must(w.ListTagsForResource(&ListTagsForResourceInput{ResourceArn: resource}))(t).Tags; len(got) != 1 || got[0] != (Tag{"a", "1"}) {
			t.Errorf("tags of %s: %v", resource, got)
		}
	}
	_, err = w.TagResource(&TagResourceInput{ResourceArn: "arn:aws:ecs:us-east-1:123456789012:service/web/none"})
	failsWith(t, "tag nothing", err, codeNotFound)
}

func TestClusterOperations(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large\nservice web task web desired 1", 2*time.Minute)
	out := must(w.DescribeClusters(&DescribeClustersInput{Clusters: []string{"web", "none"}, Include: []string{"STATISTICS"}}))(t)
	if len(out.Failures) != 1 || out.Clusters[0].RunningTasksCount != 1 || out.Clusters[0].ActiveServicesCount != 1 || out.Clusters[0].RegisteredContainerInstancesCount != 1 {
		t.Errorf("clusters %+v", out)
	}
	_, err := w.DeleteCluster(&DeleteClusterInput{Cluster: "web"})
	failsWith(t, "delete a full one", err, "ClusterContainsContainerInstancesException")
	must(w.CreateCluster(&CreateClusterInput{}))(t)
	must(w.DeleteCluster(&DeleteClusterInput{}))(t)
	if listed := must(w.ListClusters(&ListClustersInput{}))(t); len(listed.ClusterArns) != 1 {
		t.Errorf("clusters %v", listed.ClusterArns)
	}
	_, err = w.CreateCluster(&CreateClusterInput{ClusterName: "a b"})
	failsWith(t, "bad name", err, codeInvalid)
	settings := must(w.ListAccountSettings(&ListAccountSettingsInput{Name: settingTrunking, EffectiveSettings: true}))(t)
	if len(settings.Settings) != 1 || settings.Settings[0].Value != "disabled" {
		t.Errorf("settings %+v", settings)
	}
	must(w.PutAccountSetting(&PutAccountSettingInput{Name: settingTrunking, Value: "on"}))(t)
	settings = must(w.ListAccountSettings(&ListAccountSettingsInput{}))(t)
	if len(settings.Settings) != 1 || settings.Settings[0].Value != "enabled" {
		t.Errorf("settings %+v", settings)
	}
}
