package snapshot_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

var (
	now     = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	nowRead = snapshot.Read{StartedAt: now.Add(-2 * time.Second), ReadAt: now, Complete: true}
)

const arnPrefix = "arn:aws:ecs:us-east-1:123456789012:"

func ciARN(id string) string   { return arnPrefix + "container-instance/prod/" + id }
func taskARN(id string) string { return arnPrefix + "task/prod/" + id }
func definitionARN(id string) string {
	return arnPrefix + "task-definition/" + id
}

// small is a cluster with one of most things: an instance with a service task and one that
// boots, a service that wants two.
func small() snapshot.Input {
	return snapshot.Input{
		Cluster: "prod", Account: "123456789012", Region: "us-east-1", Generation: 1,
		RestrictTags: []string{"neap.dev/restrict-scale-down"},
		ContainerInstances: snapshot.ContainerInstances{Read: nowRead, Instances: []snapshot.ContainerInstance{
			registered("c1", "i-1"),
		}},
		EC2: snapshot.EC2{Read: nowRead, Instances: []snapshot.EC2Instance{
			machine("i-1"), machine("i-2"),
		}},
		Services: snapshot.Services{Read: nowRead, Services: []snapshot.Service{{
			ARN: arnPrefix + "service/prod/web", Name: "web", Status: "ACTIVE", Scheduling: "REPLICA", Desired: 2,
			Deployments: []snapshot.Deployment{{ID: "ecs-svc/1", Status: "PRIMARY", TaskDefinition: definitionARN("web:7"), Desired: 2, Running: 1}},
		}}},
		Tasks: snapshot.Tasks{
			Read:        nowRead,
			Tasks:       []snapshot.Task{serviceTask("t1", "web", "web:7", "c1")},
			Definitions: []snapshot.TaskDefinition{{ARN: definitionARN("web:7"), CPU: "512", Memory: "1024", NetworkMode: "awsvpc"}},
		},
		Catalogue: snapshot.Catalogue{
			Read:   nowRead,
			Types:  []snapshot.InstanceType{{Name: "m7i.large", Architectures: []string{"x86_64"}, VCPUs: 2, MemoryMiB: 8192, MaxENIs: 3, TrunkTasks: 10}},
			Offers: []snapshot.Offer{{Type: "m7i.large", Zone: "us-east-1a"}, {Type: "m7i.large", Zone: "us-east-1b"}},
			Prices: []snapshot.Price{{Type: "m7i.large", OnDemand: fleet.USD(0.1008)}},
			Spot:   []snapshot.SpotPrice{{Type: "m7i.large", Zone: "us-east-1b", Spot: fleet.USD(0.04), At: now}},
		},
		Network: snapshot.Network{
			Read:    nowRead,
			Subnets: []snapshot.Subnet{{ID: "subnet-a", Zone: "us-east-1a", FreeAddresses: 200}},
			Images:  []snapshot.Image{{Parameter: "/ami", ID: "ami-1", Architecture: "x86_64"}},
		},
	}
}

func registered(id, machineID string) snapshot.ContainerInstance {
	return snapshot.ContainerInstance{
		ARN: ciARN(id), EC2InstanceID: machineID, Version: 3, Status: "ACTIVE", AgentConnected: true, RegisteredAt: now.Add(-time.Hour),
		Registered: []snapshot.Resource{{Name: "CPU", Integer: 2048}, {Name: "MEMORY", Integer: 7680}, {Name: "PORTS", Strings: []string{"22", "2375"}}},
		Remaining:  []snapshot.Resource{{Name: "CPU", Integer: 1536}, {Name: "MEMORY", Integer: 6656}, {Name: "PORTS", Strings: []string{"2375", "22", "8080"}}, {Name: "PORTS_UDP", Strings: []string{"53"}}},
		Attributes: []fleet.Attribute{{Name: "ecs.instance-type", Value: "m7i.large"}, {Name: "ecs.availability-zone", Value: "us-east-1a"}},
	}
}

func machine(id string) snapshot.EC2Instance {
	return snapshot.EC2Instance{
		ID: id, State: "running", Type: "m7i.large", Zone: "us-east-1a", Subnet: "subnet-a", Image: "ami-1", Architecture: "x86_64", LaunchedAt: now.Add(-time.Hour),
		Tags: []snapshot.Tag{{Key: fleet.TagOwner, Value: "neap"}, {Key: fleet.TagCluster, Value: "prod"}, {Key: fleet.TagAction, Value: "act"}},
	}
}

func serviceTask(id, service, definition, ci string) snapshot.Task {
	t := snapshot.Task{
		ARN: taskARN(id), Version: 1, TaskDefinition: definitionARN(definition), Group: "service:" + service, StartedBy: "ecs-svc/1",
		LaunchType: "EC2", LastStatus: "RUNNING", DesiredStatus: "RUNNING", CreatedAt: now.Add(-time.Minute),
	}
	if ci != "" {
		t.ContainerInstance = ciARN(ci)
	}
	return t
}

func assemble(t *testing.T, in snapshot.Input) fleet.Snapshot {
	t.Helper()
	snap := snapshot.Assemble(in)
	if err := snap.Validate(); err != nil {
		t.Fatalf("the snapshot is not valid: %v", err)
	}
	return snap
}

func TestSmallCluster(t *testing.T) {
	snap := assemble(t, small())
	if problem, ok := snap.Incomplete(fleet.AllSections()...); !ok {
		t.Fatalf("incomplete: %s", problem)
	}
	if !snap.ReadStartedAt.Equal(now.Add(-2*time.Second)) || !snap.TakenAt.Equal(now) {
		t.Errorf("read %s to %s", snap.ReadStartedAt, snap.TakenAt)
	}
	want := fleet.Instance{
		ID: "i-1", ContainerInstance: "c1", Status: fleet.StatusActive, Type: "m7i.large", Zone: "us-east-1a", Subnet: "subnet-a",
		Lifecycle: fleet.OnDemand, Architecture: fleet.X86, Image: "ami-1", Owner: "neap", Action: "act",
		LaunchedAt: now.Add(-time.Hour), RegisteredAt: now.Add(-time.Hour), AgentConnected: true,
		Registered: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7680, ENIs: 2},
		Remaining:  fleet.Resources{CPUUnits: 1536, MemoryMiB: 6656, ENIs: 1},
		UsedPorts:  fleet.Ports{{Number: 22, Protocol: fleet.TCP}, {Number: 2375, Protocol: fleet.TCP}, {Number: 8080, Protocol: fleet.TCP}, {Number: 53, Protocol: fleet.UDP}},
	}
	if !reflect.DeepEqual(snap.Instances[0], want) {
		t.Errorf("instance\n got %+v\nwant %+v", snap.Instances[0], want)
	}
	if i := snap.Instances[1]; i.ID != "i-2" || i.Status != fleet.StatusLaunching || i.Attributes != fleet.NoIndex {
		t.Errorf("the instance that boots is %+v", i)
	}
	if got := snap.TaskGroups; len(got) != 1 || got[0].Needs != (fleet.Resources{CPUUnits: 512, MemoryMiB: 1024, ENIs: 1}) {
		t.Errorf("task groups %+v", got)
	}
	if got, want := snap.Tasks, []fleet.TaskCount{{Running: 1}}; !reflect.DeepEqual(got, want) {
		t.Errorf("tasks %+v", got)
	}
	if s := snap.Services[0]; s.MinHealthyPercent != 100 || s.MaxPercent != 200 || len(s.Deployments) != 1 || !s.Deployments[0].Primary {
		t.Errorf("service %+v", s)
	}
	wantType := fleet.InstanceType{
		Name: "m7i.large", Architectures: []fleet.Architecture{fleet.X86}, VCPUs: 2, MemoryMiB: 8192, MaxENIs: 3, TrunkTasks: 10, OnDemand: 100_800,
		Zones: []fleet.ZoneOffer{{Zone: "us-east-1a"}, {Zone: "us-east-1b", Spot: 40_000}},
	}
	if !reflect.DeepEqual(snap.Types, []fleet.InstanceType{wantType}) {
		t.Errorf("types %+v", snap.Types)
	}
	if want := []fleet.Learned{{Type: "m7i.large", Image: "ami-1", Capacity: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7680, ENIs: 2}, SeenAt: now.Add(-time.Hour)}}; !reflect.DeepEqual(snap.Learned, want) {
		t.Errorf("learned %+v", snap.Learned)
	}
}

// TestInstances changes one thing of the small cluster at a time and says what becomes of
// its instances, as "id status" of each.
func TestInstances(t *testing.T) {
	for _, c := range []struct {
		name       string
		change     func(*snapshot.Input)
		want       string
		incomplete string // section, if any
	}{
		{"as it is", func(*snapshot.Input) {}, "i-1 active, i-2 launching", ""},
		{"draining", func(in *snapshot.Input) { in.ContainerInstances.Instances[0].Status = "DRAINING" }, "i-1 draining, i-2 launching", ""},
		{"a trunk is being attached", func(in *snapshot.Input) { in.ContainerInstances.Instances[0].Status = "REGISTERING" }, "i-1 registering, i-2 launching", ""},
		{"it could not register", func(in *snapshot.Input) { in.ContainerInstances.Instances[0].Status = "REGISTRATION_FAILED" }, "i-1 registering, i-2 launching", ""},
		{"a status of a later ECS", func(in *snapshot.Input) { in.ContainerInstances.Instances[0].Status = "NAPPING" }, "i-1 registering, i-2 launching", "instances"},
		{"the machine has ended", func(in *snapshot.Input) { in.EC2.Instances[0].State = "shutting-down" }, "i-1 gone, i-2 launching", ""},
		{"EC2 has forgotten it and its agent is away", func(in *snapshot.Input) {
			in.EC2.Instances = in.EC2.Instances[1:]
			in.ContainerInstances.Instances[0].AgentConnected = false
		}, "i-1 gone, i-2 launching", ""},
		{"EC2 does not list a living one", func(in *snapshot.Input) { in.EC2.Instances = in.EC2.Instances[1:] }, "i-1 active, i-2 launching", "ec2"},
		{"EC2 was not read whole", func(in *snapshot.Input) {
			in.EC2.Instances = nil
			in.EC2.Fail("a page is missing")
			in.ContainerInstances.Instances[0].AgentConnected = false
		}, "i-1 active", "ec2"},
		{"inactive is no container instance", func(in *snapshot.Input) { in.ContainerInstances.Instances[0].Status = "INACTIVE"; in.Tasks.Tasks = nil }, "i-1 launching, i-2 launching", ""},
		{"a launch that ended before it joined", func(in *snapshot.Input) { in.EC2.Instances[1].State = "terminated" }, "i-1 active", ""},
		{"a machine of another cluster", func(in *snapshot.Input) { in.EC2.Instances[1].Tags[1].Value = "stage" }, "i-1 active", ""},
		{"an external instance", func(in *snapshot.Input) {
			in.ContainerInstances.Instances = append(in.ContainerInstances.Instances, snapshot.ContainerInstance{ARN: ciARN("x"), EC2InstanceID: "mi-9", Status: "ACTIVE"})
		}, "i-1 active, i-2 launching", ""},
		{"one that ECS manages itself", func(in *snapshot.Input) {
			in.ContainerInstances.CapacityProviders = []snapshot.CapacityProvider{{Name: "ecs", ManagedInstances: true}}
			in.ContainerInstances.Instances[0].CapacityProvider = "ecs"
			in.EC2.Instances = in.EC2.Instances[1:]
		}, "i-2 launching", ""},
		{"registered twice: the later counts", func(in *snapshot.Input) {
			again := registered("c2", "i-1")
			again.RegisteredAt, again.Status = now, "DRAINING"
			in.ContainerInstances.Instances = append(in.ContainerInstances.Instances, again)
		}, "i-1 draining, i-2 launching", ""},
		{"seen twice: the higher version counts", func(in *snapshot.Input) {
			stale := registered("c1", "i-1")
			stale.Version, stale.Status = 2, "DRAINING"
			in.ContainerInstances.Instances = append(in.ContainerInstances.Instances, stale)
		}, "i-1 active, i-2 launching", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := small()
			c.change(&in)
			snap := assemble(t, in)
			var got []string
			for _, i := range snap.Instances {
				got = append(got, string(i.ID)+" "+string(i.Status))
			}
			if text := strings.Join(got, ", "); text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
			checkIncomplete(t, &snap, c.incomplete)
		})
	}
}

// checkIncomplete checks that exactly the sections named are incomplete, and say why.
func checkIncomplete(t *testing.T, snap *fleet.Snapshot, want string) {
	t.Helper()
	var got []string
	for _, s := range snap.Sections {
		if !s.Complete {
			got = append(got, string(s.Name))
			if s.Problem == "" {
				t.Errorf("section %s is incomplete and does not say why", s.Name)
			}
		}
	}
	if text := strings.Join(got, " "); text != want {
		t.Errorf("incomplete are %q, want %q: %+v", text, want, snap.Sections)
	}
}

// TestTasks changes one thing and says what is counted: "group definition overrides:
// running/pending/stopping/protected" on instances, then what waits.
func TestTasks(t *testing.T) {
	standalone := func(id, ci string) snapshot.Task {
		s := serviceTask(id, "", "web:7", ci)
		s.Group, s.StartedBy = "family:web", "cron"
		return s
	}
	for _, c := range []struct {
		name       string
		change     func(*snapshot.Input)
		want       string
		incomplete string
	}{
		{"as it is", func(*snapshot.Input) {}, "service:web web:7: 1/0/0/0", ""},
		{"pending, protected", func(in *snapshot.Input) {
			in.Tasks.Tasks[0].LastStatus, in.Tasks.Tasks[0].Protected = "PENDING", true
		}, "service:web web:7: 1/1/0/1", ""},
		{"stopping", func(in *snapshot.Input) { in.Tasks.Tasks[0].DesiredStatus = "STOPPED" }, "service:web web:7: 0/0/1/0", ""},
		{"stopped", func(in *snapshot.Input) {
			in.Tasks.Tasks[0].DesiredStatus, in.Tasks.Tasks[0].LastStatus = "STOPPED", "STOPPED"
		}, "", ""},
		{"waits for capacity", func(in *snapshot.Input) {
			in.Tasks.Tasks[0].ContainerInstance, in.Tasks.Tasks[0].LastStatus = "", "PROVISIONING"
		}, "waiting service:web web:7: 1", ""},
		{"standalone", func(in *snapshot.Input) { in.Tasks.Tasks[0] = standalone("t1", "c1") }, "family:web web:7 standalone: 1/0/0/0", ""},
		{"overridden", func(in *snapshot.Input) {
			s := standalone("t1", "c1")
			s.Overrides = snapshot.Overrides{CPU: "1 vCPU"}
			in.Tasks.Tasks[0] = s
		}, "family:web web:7 cpu=1 vCPU standalone: 1/0/0/0", ""},
		{"on another capacity provider than most", func(in *snapshot.Input) { in.Tasks.Tasks[0].CapacityProvider = "spot" }, "service:web web:7 capacityProvider=spot: 1/0/0/0", ""},
		{"tagged itself", func(in *snapshot.Input) {
			in.Tasks.Tasks[0].Tags = []snapshot.Tag{{Key: "neap.dev/restrict-scale-down", Value: "True"}}
		}, "service:web web:7 restricted=true restricted: 1/0/0/0", ""},
		{"its own tag has the last word", func(in *snapshot.Input) {
			in.Services.Services[0].Tags = []snapshot.Tag{{Key: "neap.dev/restrict-scale-down", Value: "true"}}
			in.Tasks.Tasks[0].Tags = []snapshot.Tag{{Key: "neap.dev/restrict-scale-down", Value: "false"}}
		}, "service:web web:7 restricted=false: 1/0/0/0", ""},
		{"the definition is tagged", func(in *snapshot.Input) {
			in.Tasks.Definitions[0].Tags = []snapshot.Tag{{Key: "neap.dev/restrict-scale-down", Value: "true"}}
		}, "service:web web:7 restricted: 1/0/0/0", ""},
		{"by any of the names that the policy gives", func(in *snapshot.Input) {
			in.RestrictTags = []string{"acme.io/keep", "spotinst.io/restrict-scale-down"}
			in.Tasks.Definitions[0].Tags = []snapshot.Tag{{Key: "spotinst.io/restrict-scale-down", Value: "true"}}
		}, "service:web web:7 restricted: 1/0/0/0", ""},
		{"and by no other", func(in *snapshot.Input) {
			in.RestrictTags = []string{"acme.io/keep"}
			in.Tasks.Definitions[0].Tags = []snapshot.Tag{{Key: "neap.dev/restrict-scale-down", Value: "true"}}
		}, "service:web web:7: 1/0/0/0", ""},
		{"Fargate is left out", func(in *snapshot.Input) { in.Tasks.Tasks[0].LaunchType = "FARGATE" }, "", ""},
		{"on an unknown instance", func(in *snapshot.Input) { in.Tasks.Tasks[0].ContainerInstance = ciARN("c9") }, "", "tasks"},
		{"stopping with an instance that has gone", func(in *snapshot.Input) {
			in.Tasks.Tasks[0].ContainerInstance, in.Tasks.Tasks[0].DesiredStatus = ciARN("c9"), "STOPPED"
		}, "", ""},
		{"of an unknown service", func(in *snapshot.Input) { in.Tasks.Tasks[0].Group = "service:new" }, "service:new web:7: 1/0/0/0", "services"},
		{"of an unknown definition", func(in *snapshot.Input) {
			in.Tasks.Definitions = nil
			in.Tasks.Tasks[0].CPU, in.Tasks.Tasks[0].Memory = "512", "1024"
		}, "service:web web:7 task.cpu=512 task.memory=1024 unsized: 1/0/0/0", "tasks"},
		{"seen twice: the higher version counts", func(in *snapshot.Input) {
			late := in.Tasks.Tasks[0]
			late.Version, late.DesiredStatus = 2, "STOPPED"
			in.Tasks.Tasks = append(in.Tasks.Tasks, late)
		}, "service:web web:7: 0/0/1/0", ""},
		{"on an earlier registration of the machine", func(in *snapshot.Input) {
			again := registered("c2", "i-1")
			again.RegisteredAt = now
			in.ContainerInstances.Instances = append(in.ContainerInstances.Instances, again)
		}, "service:web web:7: 1/0/0/0", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := small()
			c.change(&in)
			snap := assemble(t, in)
			if got := describeTasks(&snap); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			checkIncomplete(t, &snap, c.incomplete)
		})
	}
}

func describeTasks(snap *fleet.Snapshot) string {
	name := func(i int) string {
		g := &snap.TaskGroups[i]
		text := strings.TrimSpace(g.Group + " " + g.TaskDefinition + " " + g.Overrides)
		for _, flag := range []struct {
			set  bool
			name string
		}{{g.Standalone, " standalone"}, {g.Restricted, " restricted"}, {g.Unsized, " unsized"}} {
			if flag.set {
				text += flag.name
			}
		}
		return text
	}
	var parts []string
	for _, c := range snap.Tasks {
		parts = append(parts, fmt.Sprintf("%s: %d/%d/%d/%d", name(c.Group), c.Running, c.Pending, c.Stopping, c.Protected))
	}
	for _, w := range snap.Waiting {
		parts = append(parts, fmt.Sprintf("waiting %s: %d", name(w.Group), w.Count))
	}
	return strings.Join(parts, "; ")
}

func TestServices(t *testing.T) {
	for _, c := range []struct {
		name       string
		change     func(*snapshot.Service, *snapshot.Input)
		want       string // "name scheduling desired min-max [deployment group]…" of each
		incomplete string
	}{
		{"as it is", func(*snapshot.Service, *snapshot.Input) {}, "web replica 2 100-200 [1 web:7 2 primary]", ""},
		{"daemon", func(s *snapshot.Service, _ *snapshot.Input) { s.Scheduling = "DAEMON" }, "web daemon 2 0-100 [1 web:7 2 primary]", ""},
		{"other percentages", func(s *snapshot.Service, _ *snapshot.Input) {
			s.MinHealthyPercent, s.MaxPercent = new(int), new(int)
			*s.MaxPercent = 150
		}, "web replica 2 0-150 [1 web:7 2 primary]", ""},
		{"percentages that its controller ignores", func(s *snapshot.Service, _ *snapshot.Input) {
			s.Controller, s.MinHealthyPercent = "CODE_DEPLOY", new(int)
			s.TaskSets, s.Deployments = []snapshot.Deployment{{ID: "ts-1", Status: "PRIMARY", TaskDefinition: definitionARN("web:7"), Desired: 2}}, nil
		}, "web replica 2 100-200 [ts-1 web:7 2 primary]", ""},
		{"two deployments", func(s *snapshot.Service, in *snapshot.Input) {
			in.Tasks.Definitions = append(in.Tasks.Definitions, snapshot.TaskDefinition{ARN: definitionARN("web:6")})
			s.Deployments = append(s.Deployments,
				snapshot.Deployment{ID: "ecs-svc/0", Status: "ACTIVE", TaskDefinition: definitionARN("web:6")},
				snapshot.Deployment{ID: "ecs-svc/x", Status: "INACTIVE", TaskDefinition: definitionARN("web:5")})
		}, "web replica 2 100-200 [0 web:6 0] [1 web:7 2 primary]", ""},
		{"being deleted", func(s *snapshot.Service, _ *snapshot.Input) { s.Status = "DRAINING" }, "web replica 0 100-200 [1 web:7 0 primary]", ""},
		{"deleted", func(s *snapshot.Service, in *snapshot.Input) { s.Status = "INACTIVE"; in.Tasks.Tasks = nil }, "", ""},
		{"Fargate", func(s *snapshot.Service, in *snapshot.Input) {
			s.LaunchType = "FARGATE"
			in.Tasks.Tasks[0].LaunchType = "FARGATE"
		}, "", ""},
		{"Fargate by capacity provider", func(s *snapshot.Service, in *snapshot.Input) {
			s.Strategy = []snapshot.ProviderStrategy{{Provider: "FARGATE_SPOT", Weight: 1}}
			in.Tasks.Tasks[0].CapacityProvider = "FARGATE_SPOT"
		}, "", ""},
		{"unknown definition", func(s *snapshot.Service, _ *snapshot.Input) { s.Deployments[0].TaskDefinition = definitionARN("web:8") }, "web replica 2 100-200 [1 web:8 2 primary]", "tasks"},
		{"unknown subnet", func(s *snapshot.Service, _ *snapshot.Input) { s.Subnets = []string{"subnet-z"} }, "web replica 2 100-200 [1 web:7 2 primary]", "network"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := small()
			c.change(&in.Services.Services[0], &in)
			snap := assemble(t, in)
			var got []string
			for _, s := range snap.Services {
				text := fmt.Sprintf("%s %s %d %d-%d", s.Name, s.Scheduling, s.Desired, s.MinHealthyPercent, s.MaxPercent)
				for _, d := range s.Deployments {
					text += fmt.Sprintf(" [%s %s %d", strings.TrimPrefix(d.ID, "ecs-svc/"), snap.TaskGroups[d.Group].TaskDefinition, d.Desired)
					if d.Primary {
						text += " primary"
					}
					text += "]"
				}
				got = append(got, text)
			}
			if text := strings.Join(got, "; "); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
			checkIncomplete(t, &snap, c.incomplete)
		})
	}
}

// TestRules checks that a group has the rules of its service and of its definition.
func TestRules(t *testing.T) {
	in := small()
	in.Network.Subnets = append(in.Network.Subnets, snapshot.Subnet{ID: "subnet-b", Zone: "us-east-1b"})
	s := &in.Services.Services[0]
	s.Subnets = []string{"subnet-b", "subnet-a"}
	s.Constraints = []snapshot.Constraint{{Type: "distinctInstance"}, {Type: "memberOf", Expression: "attribute:x == y"}}
	s.Placement = []snapshot.PlacementRule{{Type: "spread", Field: "attribute:ecs.availability-zone"}, {Type: "binpack", Field: "MEMORY"}}
	s.Strategy = []snapshot.ProviderStrategy{{Provider: "od", Base: 1}, {Provider: "spot", Weight: 3}}
	d := &in.Tasks.Definitions[0]
	d.Constraints = []snapshot.Constraint{{Type: "memberOf", Expression: "attribute:a == b"}}
	d.RequiresAttributes = []fleet.Attribute{{Name: "ecs.capability.task-eni"}}
	d.CPUArchitecture, d.OSFamily = "ARM64", "WINDOWS_SERVER_2022_CORE"
	in.Tasks.Tasks = nil
	want := fleet.TaskGroup{
		Group: "service:web", TaskDefinition: "web:7", Needs: fleet.Resources{CPUUnits: 512, MemoryMiB: 1024, ENIs: 1},
		Constraints: []string{"attribute:a == b", "attribute:x == y"}, Distinct: true,
		RequiredAttributes: []fleet.Attribute{{Name: "ecs.capability.task-eni"}, {Name: "ecs.os-family", Value: "WINDOWS_SERVER_2022_CORE"}, {Name: "ecs.os-type", Value: "windows"}},
		Architecture:       fleet.ARM, Zones: []fleet.Zone{"us-east-1a", "us-east-1b"}, CapacityProvider: "spot",
		Strategy: []fleet.Strategy{{Type: fleet.StrategySpread, Field: "attribute:ecs.availability-zone"}, {Type: fleet.StrategyBinpack, Field: "MEMORY"}},
	}
	if got := assemble(t, in).TaskGroups; !reflect.DeepEqual(got, []fleet.TaskGroup{want}) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestNeeds(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	two := []snapshot.Container{
		{Name: "app", CPU: 256, Memory: 1000, MemoryReservation: 300, GPUs: "1", Ports: []snapshot.PortMapping{{ContainerPort: 80, HostPort: 8080}, {ContainerPort: 81}}},
		{Name: "log", CPU: 64, Memory: 100, Ports: []snapshot.PortMapping{{ContainerPort: 53, HostPort: 53, Protocol: "udp"}}},
	}
	for _, c := range []struct {
		name       string
		definition snapshot.TaskDefinition
		overrides  snapshot.Overrides
		want       fleet.Resources
		ports      string
		unsized    bool
	}{
		{"the task's own size wins", snapshot.TaskDefinition{CPU: "1024", Memory: "2048", Containers: two}, snapshot.Overrides{}, fleet.Resources{CPUUnits: 1024, MemoryMiB: 2048, GPUs: 1}, "[tcp/8080 udp/53]", false},
		{"containers add up, soft limits first", snapshot.TaskDefinition{Containers: two}, snapshot.Overrides{}, fleet.Resources{CPUUnits: 320, MemoryMiB: 400, GPUs: 1}, "[tcp/8080 udp/53]", false},
		{"awsvpc takes an interface and no host port", snapshot.TaskDefinition{NetworkMode: "awsvpc", Containers: two}, snapshot.Overrides{}, fleet.Resources{CPUUnits: 320, MemoryMiB: 400, GPUs: 1, ENIs: 1}, "[]", false},
		{"host mode takes every port", snapshot.TaskDefinition{NetworkMode: "host", Containers: two}, snapshot.Overrides{}, fleet.Resources{CPUUnits: 320, MemoryMiB: 400, GPUs: 1}, "[tcp/81 tcp/8080 udp/53]", false},
		{"a range in host mode", snapshot.TaskDefinition{NetworkMode: "host", Containers: []snapshot.Container{{Ports: []snapshot.PortMapping{{Range: "90-92"}}}}}, snapshot.Overrides{}, fleet.Resources{}, "[tcp/90 tcp/91 tcp/92]", false},
		{"a range in bridge mode is found at start", snapshot.TaskDefinition{Containers: []snapshot.Container{{Ports: []snapshot.PortMapping{{Range: "90-92"}}}}}, snapshot.Overrides{}, fleet.Resources{}, "[]", false},
		{"the task's size is overridden", snapshot.TaskDefinition{CPU: "1024", Memory: "2048"}, snapshot.Overrides{CPU: "0.5 vCPU", Memory: "4GB"}, fleet.Resources{CPUUnits: 512, MemoryMiB: 4096}, "[]", false},
		{"a container is overridden", snapshot.TaskDefinition{Containers: two}, snapshot.Overrides{Containers: []snapshot.ContainerOverride{{Name: "app", CPU: n(512), MemoryReservation: n(0), Memory: n(900), GPUs: "2"}}}, fleet.Resources{CPUUnits: 576, MemoryMiB: 1000, GPUs: 2}, "[tcp/8080 udp/53]", false},
		{"all GPUs is no number", snapshot.TaskDefinition{Containers: []snapshot.Container{{GPUs: "ALL"}}}, snapshot.Overrides{}, fleet.Resources{}, "[]", true},
		{"nonsense", snapshot.TaskDefinition{CPU: "much", Memory: "-1"}, snapshot.Overrides{}, fleet.Resources{}, "[]", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := small()
			c.definition.ARN = definitionARN("job:1")
			in.Tasks.Definitions = append(in.Tasks.Definitions, c.definition)
			task := serviceTask("t9", "", "job:1", "c1")
			task.Group, task.Overrides = "family:job", c.overrides
			in.Tasks.Tasks = append(in.Tasks.Tasks, task)
			snap := assemble(t, in)
			g := snap.TaskGroups[0]
			if g.Group != "family:job" || g.Needs != c.want || g.Unsized != c.unsized || fmt.Sprint(g.Ports) != c.ports {
				t.Errorf("got %+v, ports %v, unsized %v", g.Needs, g.Ports, g.Unsized)
			}
		})
	}
}

func TestInterfacesAndGPUs(t *testing.T) {
	in := small()
	ci := &in.ContainerInstances.Instances[0]
	ci.Attributes = append(ci.Attributes, fleet.Attribute{Name: "ecs.awsvpc-trunk-id", Value: "eni-1"})
	ci.Registered = append(ci.Registered, snapshot.Resource{Name: "GPU", Strings: []string{"g-1", "g-2", "g-3"}})
	in.Tasks.Definitions[0].Containers = []snapshot.Container{{GPUs: "1"}}
	stopping := serviceTask("t2", "web", "web:7", "c1")
	stopping.DesiredStatus, stopping.LastStatus = "STOPPED", "DEPROVISIONING"
	in.Tasks.Tasks = append(in.Tasks.Tasks, stopping)
	i := assemble(t, in).Instances[0]
	if i.Registered.ENIs != 10 || i.Remaining.ENIs != 8 {
		t.Errorf("%d of %d interface slots are left: with a trunk there are 10, and a stopping task still holds its own", i.Remaining.ENIs, i.Registered.ENIs)
	}
	if i.Registered.GPUs != 3 || i.Remaining.GPUs != 2 {
		t.Errorf("%d of %d GPUs are left: a stopping task holds none for the scheduler", i.Remaining.GPUs, i.Registered.GPUs)
	}
	if want := []fleet.Attribute{{Name: "ecs.awsvpc-trunk-id", Value: "eni-1"}}; !reflect.DeepEqual(i.OwnAttributes, want) {
		t.Errorf("own attributes %v", i.OwnAttributes)
	}
}

func TestNoticesProtectionsLearned(t *testing.T) {
	in := small()
	in.Impaired = []string{"i-1", "i-9"}
	in.Notices = []snapshot.Notice{
		{Instance: "i-1", Kind: fleet.NoticeRebalance, At: now.Add(-time.Minute)},
		{Instance: "i-1", Kind: fleet.NoticeInterruption, At: now},
		{Instance: "i-1", Kind: fleet.NoticeInterruption, At: now.Add(-time.Second)},
	}
	in.Protections = []snapshot.Protection{{Instance: "i-2", Why: "debugging"}}
	in.Learned = []fleet.Learned{
		{Type: "m7i.large", Image: "ami-1", Capacity: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7600}},
		{Type: "m7i.large", Image: "ami-0", Capacity: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7500}}, // of an image that is no longer used
		{Type: "m7i.large", Image: "ami-1", Capacity: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7400}, SeenAt: now.Add(-61 * 24 * time.Hour)},
		{Type: "m7i.large", Image: "ami-1", ReservedMemory: 256, Capacity: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7344}, SeenAt: now.Add(-59 * 24 * time.Hour)},
	}
	snap := assemble(t, in)
	if n := snap.Instances[0].Notice; n.Kind != fleet.NoticeInterruption || !n.At.Equal(now.Add(-time.Second)) {
		t.Errorf("notice %+v", n)
	}
	if !snap.Instances[0].Impaired || snap.Instances[1].Impaired {
		t.Errorf("impaired: %t %t, want the first alone", snap.Instances[0].Impaired, snap.Instances[1].Impaired)
	}
	if why := snap.Instances[1].Protected; why != "debugging" {
		t.Errorf("protected %q", why)
	}
	want := []fleet.Learned{
		{Type: "m7i.large", Image: "ami-1", Capacity: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7600, ENIs: 2}, SeenAt: now.Add(-time.Hour)},
		{Type: "m7i.large", Image: "ami-1", ReservedMemory: 256, Capacity: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7344, ENIs: 2}, SeenAt: now.Add(-59 * 24 * time.Hour)},
	}
	if !reflect.DeepEqual(snap.Learned, want) {
		t.Errorf("learned %+v", snap.Learned)
	}
}

// TestOwnAttributes: an attribute that differs on every instance must not defeat interning.
func TestOwnAttributes(t *testing.T) {
	in := large(rand.New(rand.NewPCG(1, 1)), 1000, 10)
	for i := range in.ContainerInstances.Instances {
		ci := &in.ContainerInstances.Instances[i]
		ci.Attributes = append(ci.Attributes, fleet.Attribute{Name: "hostname", Value: fmt.Sprint("host-", i)})
	}
	snap := assemble(t, in)
	if n := len(snap.AttributeSets); n > 20 {
		t.Errorf("%d attribute sets", n)
	}
	for _, i := range snap.Instances {
		if len(i.OwnAttributes) != 1 {
			t.Fatalf("%s has %d own attributes", i.ID, len(i.OwnAttributes))
		}
	}
}

// TestOrderDoesNotMatter: watchers read pages in any order, and publish the same bytes.
func TestOrderDoesNotMatter(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 7))
		in := large(rng, 1+rng.IntN(40), rng.IntN(300))
		breakSome(rng, &in)
		want, err := json.Marshal(snapshot.Assemble(in))
		if err != nil {
			t.Fatal(err)
		}
		shuffle(rng, &in)
		snap := assemble(t, in)
		got, err := json.Marshal(snap)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Fatalf("seed %d: another order of the input gives another snapshot:\n%s\n%s", seed, want, got)
		}
		checkConserved(t, seed, &in, &snap)
	}
}

// checkConserved: every living task is counted once, or the snapshot says that it is
// incomplete.
func checkConserved(t *testing.T, seed uint64, in *snapshot.Input, snap *fleet.Snapshot) {
	t.Helper()
	living := 0
	for i := range in.Tasks.Tasks {
		if in.Tasks.Tasks[i].LastStatus != "STOPPED" {
			living++
		}
	}
	counted := 0
	for _, c := range snap.Tasks {
		counted += c.Running + c.Stopping
	}
	for _, w := range snap.Waiting {
		counted += w.Count
	}
	if _, complete := snap.Incomplete(fleet.SectionTasks); complete && counted != living {
		t.Errorf("seed %d: %d of %d tasks are counted and the section is complete", seed, counted, living)
	}
}

// large makes a cluster of n instances with tasks of some services and standalone ones.
func large(rng *rand.Rand, instances, tasks int) snapshot.Input {
	in := small()
	in.ContainerInstances.Instances, in.EC2.Instances, in.Tasks.Tasks = nil, nil, nil
	for i := range instances {
		ci := registered(fmt.Sprint("c", i), fmt.Sprintf("i-%05d", i))
		ci.Attributes = slices.Clone(ci.Attributes)
		ci.Attributes[1].Value = "us-east-1" + string(rune('a'+i%3))
		for c := range 45 { // as many as an agent registers
			ci.Attributes = append(ci.Attributes, fleet.Attribute{Name: fmt.Sprint("ecs.capability.number-", c)})
		}
		in.ContainerInstances.Instances = append(in.ContainerInstances.Instances, ci)
		in.EC2.Instances = append(in.EC2.Instances, machine(ci.EC2InstanceID))
	}
	services := 1 + tasks/50
	in.Services.Services, in.Tasks.Definitions = nil, nil
	for i := range services {
		name, arn := fmt.Sprint("svc", i), definitionARN(fmt.Sprintf("svc%d:%d", i, 1+i%5))
		in.Tasks.Definitions = append(in.Tasks.Definitions, snapshot.TaskDefinition{ARN: arn, Containers: []snapshot.Container{{Name: "app", CPU: int64(64 * (1 + i%8)), Memory: int64(128 * (1 + i%4))}}})
		in.Services.Services = append(in.Services.Services, snapshot.Service{
			ARN: arnPrefix + "service/prod/" + name, Name: name, Status: "ACTIVE", Desired: 50,
			Deployments: []snapshot.Deployment{{ID: "ecs-svc/" + name, Status: "PRIMARY", TaskDefinition: arn, Desired: 50}},
		})
	}
	for i := range tasks {
		s := &in.Services.Services[rng.IntN(services)]
		task := serviceTask(fmt.Sprintf("t%06d", i), s.Name, "", fmt.Sprint("c", rng.IntN(instances)))
		task.TaskDefinition = s.Deployments[0].TaskDefinition
		in.Tasks.Tasks = append(in.Tasks.Tasks, task)
	}
	return in
}

// breakSome makes some tasks standalone, waiting, stopping, overridden or lost.
func breakSome(rng *rand.Rand, in *snapshot.Input) {
	for i := range in.Tasks.Tasks {
		t := &in.Tasks.Tasks[i]
		switch rng.IntN(20) {
		case 0:
			t.Group = "family:job"
		case 1:
			t.ContainerInstance, t.LastStatus = "", "PROVISIONING"
		case 2:
			t.DesiredStatus = "STOPPED"
		case 3:
			t.Group, t.Overrides = "family:job", snapshot.Overrides{CPU: "128"}
		case 4:
			t.DesiredStatus, t.LastStatus = "STOPPED", "STOPPED"
		}
	}
	if rng.IntN(3) == 0 {
		in.EC2.Instances = in.EC2.Instances[:rng.IntN(len(in.EC2.Instances)+1)]
	}
	if n := len(in.Tasks.Tasks); n > 0 && rng.IntN(3) == 0 {
		in.Tasks.Tasks[rng.IntN(n)].ContainerInstance = ciARN("lost")
		in.Tasks.Tasks[rng.IntN(n)].Group = "service:lost"
		in.Tasks.Tasks[rng.IntN(n)].TaskDefinition = definitionARN("lost:1")
	}
}

func shuffle(rng *rand.Rand, in *snapshot.Input) {
	for _, list := range []struct {
		n    int
		swap func(i, j int)
	}{
		{len(in.ContainerInstances.Instances), reflect.Swapper(in.ContainerInstances.Instances)},
		{len(in.EC2.Instances), reflect.Swapper(in.EC2.Instances)},
		{len(in.Services.Services), reflect.Swapper(in.Services.Services)},
		{len(in.Tasks.Tasks), reflect.Swapper(in.Tasks.Tasks)},
		{len(in.Tasks.Definitions), reflect.Swapper(in.Tasks.Definitions)},
		{len(in.Catalogue.Types), reflect.Swapper(in.Catalogue.Types)},
		{len(in.Catalogue.Offers), reflect.Swapper(in.Catalogue.Offers)},
		{len(in.Catalogue.Spot), reflect.Swapper(in.Catalogue.Spot)},
	} {
		rng.Shuffle(list.n, list.swap)
	}
	for i := range in.ContainerInstances.Instances {
		attributes := in.ContainerInstances.Instances[i].Attributes
		rng.Shuffle(len(attributes), reflect.Swapper(attributes))
	}
}

func BenchmarkAssemble(b *testing.B) {
	for _, size := range []struct{ instances, tasks int }{{50, 1_000}, {500, 10_000}, {5_000, 100_000}} {
		b.Run(fmt.Sprintf("instances=%d/tasks=%d", size.instances, size.tasks), func(b *testing.B) {
			in := large(rand.New(rand.NewPCG(1, 2)), size.instances, size.tasks)
			b.ReportAllocs()
			for b.Loop() {
				snapshot.Assemble(in)
			}
		})
	}
}
