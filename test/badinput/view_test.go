package badinput_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

var now = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

func arn(what string) string { return "arn:aws:ecs:us-east-1:123456789012:" + what }

func machine(id string) snapshot.EC2Instance {
	return snapshot.EC2Instance{
		ID: id, State: "running", Type: "m7i.large", Zone: "us-east-1a", Subnet: "subnet-a", Image: "ami-1", Architecture: "x86_64", LaunchedAt: now.Add(-time.Minute),
		Tags: []snapshot.Tag{{Key: fleet.TagOwner, Value: "neap"}, {Key: fleet.TagCluster, Value: "prod"}, {Key: fleet.TagAction, Value: "act"}},
	}
}

// good is what AWS says of a small cluster: an instance with a task, one that boots, and a
// service that wants two.
func good() snapshot.Input {
	read := snapshot.Read{StartedAt: now.Add(-2 * time.Second), ReadAt: now, Complete: true}
	return snapshot.Input{
		Cluster: "prod", Account: "123456789012", Region: "us-east-1", Generation: 1,
		ContainerInstances: snapshot.ContainerInstances{Read: read, Instances: []snapshot.ContainerInstance{{
			ARN: arn("container-instance/prod/c1"), EC2InstanceID: "i-1", Version: 3, Status: "ACTIVE", AgentConnected: true, RegisteredAt: now.Add(-time.Hour),
			Registered: []snapshot.Resource{{Name: "CPU", Integer: 2048}, {Name: "MEMORY", Integer: 7680}},
			Remaining:  []snapshot.Resource{{Name: "CPU", Integer: 1536}, {Name: "MEMORY", Integer: 6656}, {Name: "PORTS", Strings: []string{"22"}}},
			Attributes: []fleet.Attribute{{Name: "ecs.instance-type", Value: "m7i.large"}, {Name: "ecs.availability-zone", Value: "us-east-1a"}},
		}}},
		EC2: snapshot.EC2{Read: read, Instances: []snapshot.EC2Instance{machine("i-1"), machine("i-2")}},
		Services: snapshot.Services{Read: read, Services: []snapshot.Service{{
			ARN: arn("service/prod/web"), Name: "web", Status: "ACTIVE", Scheduling: "REPLICA", Desired: 2,
			Deployments: []snapshot.Deployment{{ID: "ecs-svc/1", Status: "PRIMARY", TaskDefinition: arn("task-definition/web:7"), Desired: 2, Running: 1}},
		}}},
		Tasks: snapshot.Tasks{
			Read: read,
			Tasks: []snapshot.Task{{
				ARN: arn("task/prod/t1"), Version: 5, TaskDefinition: arn("task-definition/web:7"), Group: "service:web", StartedBy: "ecs-svc/1", LaunchType: "EC2",
				ContainerInstance: arn("container-instance/prod/c1"), LastStatus: "RUNNING", DesiredStatus: "RUNNING", CreatedAt: now.Add(-time.Hour),
			}},
			Definitions: []snapshot.TaskDefinition{{ARN: arn("task-definition/web:7"), CPU: "512", Memory: "1024", NetworkMode: "bridge"}},
		},
		Catalogue: snapshot.Catalogue{
			Read:   read,
			Types:  []snapshot.InstanceType{{Name: "m7i.large", Architectures: []string{"x86_64"}, VCPUs: 2, MemoryMiB: 8192, MaxENIs: 3}},
			Offers: []snapshot.Offer{{Type: "m7i.large", Zone: "us-east-1a"}},
			Prices: []snapshot.Price{{Type: "m7i.large", OnDemand: fleet.USD(0.1008)}},
		},
		Network: snapshot.Network{
			Read:    read,
			Subnets: []snapshot.Subnet{{ID: "subnet-a", Zone: "us-east-1a", FreeAddresses: 200}},
			Images:  []snapshot.Image{{Parameter: "ami-1", ID: "ami-1", Architecture: "x86_64"}},
		},
	}
}

func policy() fleet.Policy {
	run := false
	return fleet.Policy{
		Cluster: "prod", DryRun: &run, Limits: fleet.Limits{MaxInstances: 20},
		LaunchSpecs: []fleet.LaunchSpec{{Name: "default", Images: []string{"ami-1"}, Subnets: []fleet.SubnetID{"subnet-a"}, SpotPercentage: new(int)}},
	}.WithDefaults()
}

// seen is what becomes of a view.
type seen struct {
	snap  fleet.Snapshot // as the planner receives it
	valid error          // why the watcher cannot send it
	plan  fleet.Plan     // empty if it cannot
}

// see takes a view from the watcher to the planner: it is joined, sent, read and planned on.
// What is sent must be readable, and what is planned must be sent.
func see(t *testing.T, in snapshot.Input) *seen {
	t.Helper()
	s := &seen{snap: snapshot.Assemble(in)}
	message, err := fleet.Encode(&s.snap)
	if err != nil {
		if !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("the view is refused with %v", err)
		}
		s.valid = err
		return s
	}
	if s.snap, err = fleet.Decode[fleet.Snapshot](message); err != nil {
		t.Fatalf("what was sent cannot be read: %v", err)
	}
	s.plan = plan.Make(s.snap, policy(), fleet.Memory{Generation: 1})
	if _, err := fleet.Encode(&s.plan); err != nil {
		t.Errorf("the plan cannot be sent: %v", err)
	}
	return s
}

func running(s *seen) (n int) {
	for _, tc := range s.snap.Tasks {
		n += tc.Running
	}
	return n
}

func launched(s *seen) (n int) {
	for _, a := range s.plan.Actions {
		if a.Launch != nil {
			n += a.Launch.Count
		}
	}
	return n
}

// TestGoodView: what the inputs spoil is good, and wants something.
func TestGoodView(t *testing.T) {
	if s := see(t, good()); s.valid != nil || running(s) != 1 || len(s.plan.Demand) != 1 {
		t.Errorf("%v, %d tasks run, demand %+v", s.valid, running(s), s.plan.Demand)
	}
}

// FuzzView spoils views further.
func FuzzView(f *testing.F) {
	for _, in := range inputs {
		if in.spoil == nil {
			continue
		}
		view := good()
		in.spoil(&view)
		if text, err := json.Marshal(view); err == nil { // a year beyond 9999 cannot be written
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var in snapshot.Input
		if json.Unmarshal(text, &in) == nil {
			see(t, in)
		}
	})
}
