package fleet_test

import (
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// at is a fixed instant, for every test wants the same one.
var at = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// exampleSnapshot uses every table and most fields.
func exampleSnapshot() fleet.Snapshot {
	var sections []fleet.Section
	for _, name := range fleet.AllSections() {
		sections = append(sections, fleet.Section{Name: name, ReadAt: at, Complete: true})
	}
	return fleet.Snapshot{
		Cluster: "web", Account: "123456789012", Region: "us-east-1", Generation: 1,
		ReadStartedAt: at.Add(-2 * time.Second), TakenAt: at, Sections: sections,
		AttributeSets: [][]fleet.Attribute{
			{{Name: "ecs.instance-type", Value: "m7i.large"}, {Name: "ecs.availability-zone", Value: "us-east-1b"}},
			{{Name: "ecs.instance-type", Value: "m7i.large"}, {Name: "ecs.availability-zone", Value: "us-east-1a"}, {Name: "ecs.capability.task-eni"}},
		},
		Instances: []fleet.Instance{
			{
				ID: "i-2", ContainerInstance: "c2", Status: fleet.StatusActive, Type: "m7i.large", Zone: "us-east-1b",
				Lifecycle: fleet.Spot, Architecture: fleet.X86, Owner: "neap", LaunchSpec: "default", Action: "a1",
				LaunchedAt: at.Add(-time.Hour), RegisteredAt: at.Add(-time.Hour + time.Minute), AgentConnected: true, Attributes: 0,
				Registered: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7680, ENIs: 2}, Remaining: fleet.Resources{CPUUnits: 1536, MemoryMiB: 6656, ENIs: 2},
				UsedPorts: fleet.NewPorts(fleet.Port{Number: 8080, Protocol: fleet.TCP}, fleet.Port{Number: 22, Protocol: fleet.TCP}),
				Notice:    fleet.Notice{Kind: fleet.NoticeRebalance, At: at.Add(-time.Minute)},
			},
			{
				ID: "i-1", ContainerInstance: "c1", Status: fleet.StatusDraining, Type: "m7i.large", Zone: "us-east-1a",
				Lifecycle: fleet.OnDemand, Attributes: 1, Registered: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7680, ENIs: 2},
				Remaining:     fleet.Resources{CPUUnits: 2048, MemoryMiB: 7680, ENIs: 2},
				OwnAttributes: []fleet.Attribute{{Name: "ecs.awsvpc-trunk-id", Value: "eni-1"}},
			},
			{ID: "i-3", Status: fleet.StatusLaunching, Type: "c7i.xlarge", Zone: "us-east-1a", Lifecycle: fleet.Spot, Attributes: fleet.NoIndex, LaunchedAt: at},
		},
		TaskGroups: []fleet.TaskGroup{
			{
				Group: "service:web", TaskDefinition: "web:7", Needs: fleet.Resources{CPUUnits: 512, MemoryMiB: 1024},
				Ports: fleet.NewPorts(fleet.Port{Number: 8080, Protocol: fleet.TCP}), Distinct: true,
				Constraints: []string{"attribute:ecs.instance-type =~ m7i.*"}, Strategy: []fleet.Strategy{{Type: fleet.StrategyBinpack, Field: "memory"}},
			},
			{Group: "family:migrate", TaskDefinition: "migrate:1", Needs: fleet.Resources{CPUUnits: 256, MemoryMiB: 512}, Standalone: true},
		},
		Tasks:   []fleet.TaskCount{{Instance: 0, Group: 0, Running: 1}, {Instance: 1, Group: 1, Stopping: 1, Protected: 1}},
		Waiting: []fleet.Waiting{{Group: 0, Count: 2, Since: at}},
		Services: []fleet.Service{{
			Name: "web", Scheduling: fleet.Replica, Desired: 3, MinHealthyPercent: 100, MaxPercent: 200, CreatedAt: at.Add(-time.Hour),
			Deployments: []fleet.Deployment{{ID: "d1", Primary: true, Group: 0, Desired: 3, Running: 1, Rollout: fleet.RolloutInProgress}},
		}},
		Types: []fleet.InstanceType{{
			Name: "m7i.large", Architectures: []fleet.Architecture{fleet.X86}, VCPUs: 2, MemoryMiB: 8192, MaxENIs: 3, TrunkTasks: 9,
			OnDemand: fleet.USD(0.1008), Zones: []fleet.ZoneOffer{{Zone: "us-east-1b", Spot: fleet.USD(0.0411)}, {Zone: "us-east-1a"}},
		}},
		Learned: []fleet.Learned{{Type: "m7i.large", Image: "ami-1", Capacity: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7680, ENIs: 2}}},
		Images:  []fleet.Image{{Parameter: "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id", ID: "ami-1", Architecture: fleet.X86}},
		Subnets: []fleet.Subnet{{ID: "subnet-b", Zone: "us-east-1b", FreeAddresses: 200}, {ID: "subnet-a", Zone: "us-east-1a", VPC: "vpc-1", FreeAddresses: 250}},
	}
}

func examplePolicy() fleet.Policy {
	return fleet.Policy{
		Limits: fleet.Limits{MaxInstances: 50},
		Headroom: fleet.Headroom{Units: []fleet.HeadroomUnit{
			{CPUUnits: 1024, MemoryMiB: 2048, Count: 2},
		}},
		LaunchSpecs: []fleet.LaunchSpec{
			{Name: "default", Images: []string{"ami-1"}, Subnets: []fleet.SubnetID{"subnet-a", "subnet-b"}},
			{Name: "batch", Attributes: map[string]string{"stack": "batch"}},
		},
	}
}

func examplePlan() fleet.Plan {
	pol := examplePolicy().WithDefaults()
	p := fleet.Plan{
		Cluster: "web", Generation: 1, Prev: "0123456789abcdef", MadeAt: at, MadeBy: "v0.1.0",
		Snapshot: fleet.Digest([]byte("s")), ReadStartedAt: at.Add(-2 * time.Second), Policy: fleet.Digest([]byte("p")), Memory: fleet.Digest([]byte("m")),
		Actions: []fleet.Action{
			{
				Kind: fleet.ActionLaunch, Deadline: at.Add(10 * time.Minute),
				Reason: fleet.Because(fleet.ReasonDemand, "service/web", "tasks", 2, "for", "service web"),
				Launch: &fleet.Launch{
					Spec: pol.LaunchSpecs[0], Lifecycle: fleet.OnDemand, Count: 1, Boot: fleet.Duration(7 * time.Minute),
					Offerings: []fleet.Offering{{
						LaunchSpec: "default", Type: "m7i.large", Zone: "us-east-1a", Subnet: "subnet-a", Lifecycle: fleet.OnDemand, Image: "ami-1", ImageID: "ami-1",
						Architecture: fleet.X86, Capacity: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7680, ENIs: 2}, Price: fleet.USD(0.1008),
					}},
					For:  []fleet.Carried{{What: "service:web web:7", Count: 2}},
					Left: fleet.Resources{CPUUnits: 1024, MemoryMiB: 5632, ENIs: 2}, Packing: fleet.Packing{Cost: fleet.USD(0.1008), Bound: fleet.USD(0.0893)},
				},
			},
			{
				Kind: fleet.ActionDrain, Deadline: at.Add(10 * time.Minute), Reason: fleet.Because(fleet.ReasonEmpty, "instance/i-2", "for", "6m"),
				Drain: &fleet.Drain{Instance: "i-2", ContainerInstance: "c2", Timeout: fleet.Duration(15 * time.Minute), OnTimeout: fleet.TimeoutStop},
			},
		},
		Closures: []fleet.Closure{{Action: "a0", Verdict: fleet.VerdictDone, Evidence: "i-1 registered"}},
		Summary:  fleet.Summary{Instances: 2, TasksWaiting: 2, Cost: fleet.USD(0.2), CostAfter: fleet.USD(0.3)},
	}
	if err := p.Seal(); err != nil {
		panic(err)
	}
	return p
}

func exampleOutcome() fleet.Outcome {
	return fleet.Outcome{
		Cluster: "web", Generation: 1, Plan: "p1", Action: "a1", Kind: fleet.ActionLaunch, Phase: fleet.PhaseResult, Step: "launch", Attempt: 1,
		At: at, By: "actuator/1", RequestID: "r-1",
		Instances: []fleet.LaunchedInstance{{ID: "i-9", Type: "m7i.large", Zone: "us-east-1a", Lifecycle: fleet.Spot}},
		Failures: []fleet.OfferingFailure{{
			Offering: fleet.OfferingKey{Type: "c7i.large", Zone: "us-east-1a", Lifecycle: fleet.Spot}, Class: fleet.FailureCapacity, Code: "InsufficientInstanceCapacity",
		}},
	}
}
