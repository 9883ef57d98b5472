package sim

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestChecklist02PageSizes: how much each list gives per page and each describe takes per
// call.
func TestChecklist02PageSizes(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 1 memory 1\nlaunch m7i.24xlarge count 3\nat 1m run web count 250", 3*time.Minute)
	for i := range 105 {
		must(w.RegisterTaskDefinition(&RegisterTaskDefinitionInput{Family: fmt.Sprintf("f%d", i), ContainerDefinitions: []ContainerDefinition{{Name: "app", Image: "i", Memory: 1}}}))(t)
		must(w.CreateCluster(&CreateClusterInput{ClusterName: fmt.Sprintf("c%d", i)}))(t)
		zero := 0
		must(w.CreateService(&CreateServiceInput{Cluster: "web", ServiceName: fmt.Sprintf("s%d", i), TaskDefinition: "web", DesiredCount: &zero}))(t)
	}
	must(w.Launch(Fixture{Cluster: "c1", Type: "m7i.large", Count: 120}))(t)
	w.Advance(w.Now().Add(2 * time.Minute))
	for _, c := range []struct {
		name        string
		usual, most int
		call        func(maxResults int, token string) (int, string, error)
	}{
		{"ListContainerInstances", 100, 100, func(n int, tok string) (int, string, error) {
			out, err := w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "c1", MaxResults: n, NextToken: tok})
			if err != nil {
				return 0, "", err
			}
			return len(out.ContainerInstanceArns), out.NextToken, nil
		}},
		{"ListTasks", 100, 100, func(n int, tok string) (int, string, error) {
			out, err := w.ListTasks(&ListTasksInput{Cluster: "web", MaxResults: n, NextToken: tok})
			if err != nil {
				return 0, "", err
			}
			return len(out.TaskArns), out.NextToken, nil
		}},
		{"ListServices", 10, 100, func(n int, tok string) (int, string, error) {
			out, err := w.ListServices(&ListServicesInput{Cluster: "web", MaxResults: n, NextToken: tok})
			if err != nil {
				return 0, "", err
			}
			return len(out.ServiceArns), out.NextToken, nil
		}},
		{"ListClusters", 100, 100, func(n int, tok string) (int, string, error) {
			out, err := w.ListClusters(&ListClustersInput{MaxResults: n, NextToken: tok})
			if err != nil {
				return 0, "", err
			}
			return len(out.ClusterArns), out.NextToken, nil
		}},
		{"ListAttributes", 100, 100, func(n int, tok string) (int, string, error) {
			out, err := w.ListAttributes(&ListAttributesInput{Cluster: "c1", TargetType: "container-instance", AttributeName: "ecs.instance-type", MaxResults: n, NextToken: tok})
			if err != nil {
				return 0, "", err
			}
			return len(out.Attributes), out.NextToken, nil
		}},
		{"ListTaskDefinitions", 100, 100, func(n int, tok string) (int, string, error) {
			out, err := w.ListTaskDefinitions(&ListTaskDefinitionsInput{MaxResults: n, NextToken: tok})
			if err != nil {
				return 0, "", err
			}
			return len(out.TaskDefinitionArns), out.NextToken, nil
		}},
		{"ListTaskDefinitionFamilies", 100, 100, func(n int, tok string) (int, string, error) {
			out, err := w.ListTaskDefinitionFamilies(&ListTaskDefinitionFamiliesInput{MaxResults: n, NextToken: tok})
			if err != nil {
				return 0, "", err
			}
			return len(out.Families), out.NextToken, nil
		}},
	} {
		n, next, err := c.call(0, "")
		if err != nil || n != c.usual || next == "" {
			t.Errorf("%s gives %d (%v), want pages of %d", c.name, n, err, c.usual)
		}
		if n, _, err := c.call(c.most, ""); err != nil || n != c.most {
			t.Errorf("%s gives %d of %d (%v)", c.name, n, c.most, err)
		}
		_, _, err = c.call(c.most+1, "")
		failsWith(t, c.name+" of more than the most", err, codeInvalid)
		_, _, err = c.call(0, "nonsense")
		failsWith(t, c.name+" of a bad token", err, codeInvalid)
		if rest, _, err := c.call(c.usual, next); err != nil || rest == 0 {
			t.Errorf("%s gives %d on its second page (%v)", c.name, rest, err)
		}
	}
}

// TestChecklist02BatchSizes: how many things a call may name, and that what is not
// there is a failure of its own, not of the call.
func TestChecklist02BatchSizes(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 1 memory 1\nlaunch m7i.large\nat 1m service web task web desired 1", 2*time.Minute)
	names := func(n int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("%032x", i)
		}
		return list
	}
	for _, c := range []struct {
		name string
		most int
		call func(names []string) ([]Failure, error)
	}{
		{"DescribeContainerInstances", 100, func(names []string) ([]Failure, error) {
			out, err := w.DescribeContainerInstances(&DescribeContainerInstancesInput{Cluster: "web", ContainerInstances: names})
			if err != nil {
				return nil, err
			}
			return out.Failures, nil
		}},
		{"DescribeTasks", 100, func(names []string) ([]Failure, error) {
			out, err := w.DescribeTasks(&DescribeTasksInput{Cluster: "web", Tasks: names})
			if err != nil {
				return nil, err
			}
			return out.Failures, nil
		}},
		{"DescribeServices", 10, func(names []string) ([]Failure, error) {
			out, err := w.DescribeServices(&DescribeServicesInput{Cluster: "web", Services: names})
			if err != nil {
				return nil, err
			}
			return out.Failures, nil
		}},
		{"DescribeClusters", 100, func(names []string) ([]Failure, error) {
			out, err := w.DescribeClusters(&DescribeClustersInput{Clusters: names})
			if err != nil {
				return nil, err
			}
			return out.Failures, nil
		}},
		{"GetTaskProtection", 100, func(names []string) ([]Failure, error) {
			out, err := w.GetTaskProtection(&GetTaskProtectionInput{Cluster: "web", Tasks: names})
			if err != nil {
				return nil, err
			}
			return out.Failures, nil
		}},
		{"UpdateTaskProtection", 10, func(names []string) ([]Failure, error) {
			out, err := w.UpdateTaskProtection(&UpdateTaskProtectionInput{Cluster: "web", Tasks: names, ProtectionEnabled: true})
			if err != nil {
				return nil, err
			}
			return out.Failures, nil
		}},
		{"UpdateContainerInstancesState", 10, func(names []string) ([]Failure, error) {
			out, err := w.UpdateContainerInstancesState(&UpdateContainerInstancesStateInput{Cluster: "web", ContainerInstances: names, Status: statusDraining})
			if err != nil {
				return nil, err
			}
			return out.Failures, nil
		}},
		{"DeleteTaskDefinitions", 10, func(names []string) ([]Failure, error) {
			out, err := w.DeleteTaskDefinitions(&DeleteTaskDefinitionsInput{TaskDefinitions: names})
			if err != nil {
				return nil, err
			}
			return out.Failures, nil
		}},
	} {
		failures, err := c.call(names(c.most))
		if err != nil || len(failures) != c.most {
			t.Errorf("%s of %d that are not there: %d failures, %v", c.name, c.most, len(failures), err)
			continue
		}
		if f := failures[0]; !strings.HasPrefix(f.Arn, "arn:aws:ecs:us-east-1:123456789012:") || f.Reason != "MISSING" && f.Reason != "TASK_NOT_VALID" {
			t.Errorf("%s: failure %+v", c.name, f)
		}
		var refused *Error
		if _, err := c.call(names(c.most + 1)); !errors.As(err, &refused) || refused.Fault != FaultClient {
			t.Errorf("%s of %d: error %v", c.name, c.most+1, err)
		}
		if _, err := w.DescribeTasks(&DescribeTasksInput{Cluster: "nowhere", Tasks: names(1)}); err == nil {
			t.Error("a cluster that is not there was described")
		}
	}
}
