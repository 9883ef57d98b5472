package sim

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestChecklist12ListContainerInstancesFilter: the filter of ListContainerInstances
// understands the examples of ECS's documentation, on registered instances and their tasks
// (ECS Developer Guide, "Cluster query language").
func TestChecklist12ListContainerInstancesFilter(t *testing.T) {
	w := filterWorld(t)
	all := selected(t, w, "")
	if len(all) != 3 {
		t.Fatalf("%d instances", len(all))
	}
	described, err := w.DescribeContainerInstances(&DescribeContainerInstancesInput{Cluster: "web", ContainerInstances: all})
	if err != nil {
		t.Fatal(err)
	}
	byType := map[string]*ContainerInstance{}
	for i := range described.ContainerInstances {
		c := &described.ContainerInstances[i]
		for _, a := range c.Attributes {
			if a.Name == "ecs.instance-type" {
				byType[a.Value] = c
			}
		}
	}
	stack := byType["c5.large"]
	if _, err := w.PutAttributes(&PutAttributesInput{Cluster: "web", Attributes: []Attribute{
		{Name: "stack", Value: "prod", TargetID: stack.ContainerInstanceArn}, {Name: "bare", TargetID: stack.ContainerInstanceArn},
	}}); err != nil {
		t.Fatal(err)
	}
	busy := byType["m5.large"].Ec2InstanceID // the task runs on the only one it may
	for filter, want := range map[string]string{
		"attribute:ecs.instance-type == c5.large":                                               "c5.large",
		"attribute:ecs.availability-zone in [us-east-1a, us-east-1b]":                           "c5.large m5.large t3.large",
		"attribute:ecs.instance-type =~ m5.* and attribute:ecs.availability-zone != us-east-1d": "m5.large",
		"attribute:ecs.instance-type =~ (c[5,6]|t3).*":                                          "c5.large t3.large",
		"attribute:ecs.instance-type =~ '(?!t)(.)5\\..*+'":                                      "c5.large m5.large",
		"task:group == service:production":                                                      "m5.large",
		"not(task:group == service:production)":                                                 "c5.large t3.large",
		"task:group != service:production":                                                      "",
		"runningTasksCount == 1":                                                                "m5.large",
		"runningTasksCount < 1 and attribute:ecs.os-type == linux":                              "c5.large t3.large",
		"agentVersion < 1.14.5":                                                                 "",
		"agentVersion >= 1.14.5":                                                                "c5.large m5.large t3.large",
		"registeredAt < 2018-02-13":                                                             "",
		"registeredAt > 2018-06-18T22:28:28+00:00":                                              "c5.large m5.large t3.large",
		"ec2InstanceId in ['" + busy + "', 'i-wxyx7890']":                                       "m5.large",
		"agentConnected == true":                                                                "c5.large m5.large t3.large",
		"attribute:stack == prod":                                                               "c5.large",
		"attribute:stack != prod":                                                               "",
		"attribute:stack !exists":                                                               "m5.large t3.large",
		"not(attribute:stack == prod)":                                                          "m5.large t3.large",
		"attribute:bare exists":                                                                 "c5.large",
		"attribute:bare == x":                                                                   "",
		"attribute:ecs.cpu-architecture == x86_64 && !(attribute:stack exists || task:group exists)": "t3.large",
	} {
		var got []string
		for _, arn := range selected(t, w, filter) {
			for typ, c := range byType {
				if c.ContainerInstanceArn == arn {
					got = append(got, typ)
				}
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", filter, got, want)
		}
	}
	for filter, want := range map[string]string{
		"attribute:stack = prod": "use ==", "agentConnected > true": "not valid for agentConnected", "(attribute:a exists": `")" is missing`,
		"attribute:stack =~ *": "dangling", "attribute:a == " + strings.Repeat("b", 2000): "at most 2000",
	} {
		_, err := w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web", Filter: filter})
		failsWith(t, filter, err, "InvalidParameterException")
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.50s: %v, want it to say %q", filter, err, want)
		}
	}
}

func selected(t *testing.T, w *World, filter string) []string {
	t.Helper()
	out, err := w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web", Filter: filter})
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	return out.ContainerInstanceArns
}

// filterWorld has a cluster of three instances, and a service with a task on the m5.large.
func filterWorld(t *testing.T) *World {
	t.Helper()
	return run(t, Config{Seed: 12}, `
cluster web
task web cpu 256 memory 256 constraint "attribute:ecs.instance-type == m5.large"
launch c5.large
launch m5.large
launch t3.large
at 60s service production task web desired 1
`, 10*time.Minute)
}
