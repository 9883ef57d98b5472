package snapshot_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// job is a refusal of standalone tasks of the definition job:1.
func job(change func(*snapshot.Refused)) snapshot.Refused {
	r := snapshot.Refused{TaskDefinition: definitionARN("job:1"), Group: "family:job", Count: 2, Since: now.Add(-time.Minute)}
	if change != nil {
		change(&r)
	}
	return r
}

func TestRefusedTasksWait(t *testing.T) {
	grow := int64(2048)
	for _, c := range []struct {
		name    string
		refused []snapshot.Refused
		change  func(*snapshot.Input)
		want    string // as describeTasks has it
	}{
		{"nothing", nil, nil, ""},
		{"two", []snapshot.Refused{job(nil)}, nil, "waiting family:job job:1 standalone: 2"},
		{"asked for by several", []snapshot.Refused{job(nil), job(nil)}, nil, "waiting family:job job:1 standalone: 4"},
		{
			"beside one that runs, which is of their group",
			[]snapshot.Refused{job(nil)},
			func(in *snapshot.Input) {
				in.Tasks.Tasks = append(in.Tasks.Tasks, snapshot.Task{
					ARN: taskARN("t2"), TaskDefinition: definitionARN("job:1"), Group: "family:job", LaunchType: "EC2",
					LastStatus: "RUNNING", DesiredStatus: "RUNNING", ContainerInstance: ciARN("c1"),
				})
			},
			"family:job job:1 standalone: 1/0/0/0; waiting family:job job:1 standalone: 2",
		},
		{
			"of another size and with constraints",
			[]snapshot.Refused{job(func(r *snapshot.Refused) {
				r.Overrides.Containers = []snapshot.ContainerOverride{{Name: "c", Memory: &grow}}
				r.Constraints = []snapshot.Constraint{{Type: "memberOf", Expression: "attribute:stack == blue"}, {Type: "distinctInstance"}}
			})},
			nil,
			"waiting family:job job:1 c.memory=2048 memberOf=attribute:stack == blue distinctInstance=yes standalone: 2",
		},
		{"on Fargate", []snapshot.Refused{job(func(r *snapshot.Refused) { r.LaunchType = "FARGATE" })}, nil, ""},
		{"of a service, which wants them anyway", []snapshot.Refused{job(func(r *snapshot.Refused) { r.Group = "service:web" })}, nil, ""},
		{"of a definition that was not read", []snapshot.Refused{job(func(r *snapshot.Refused) { r.TaskDefinition = definitionARN("gone:1") })}, nil, ""},
		{"none at all", []snapshot.Refused{job(func(r *snapshot.Refused) { r.Count = -1 })}, nil, ""},
		{"far too many", []snapshot.Refused{job(func(r *snapshot.Refused) { r.Count = 1 << 40 })}, nil, "waiting family:job job:1 standalone: 10000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := small()
			in.Tasks.Tasks = nil
			in.Tasks.Definitions = append(in.Tasks.Definitions, snapshot.TaskDefinition{
				ARN: definitionARN("job:1"), Containers: []snapshot.Container{{Name: "c", CPU: 256, Memory: 512}},
			})
			in.Refused = c.refused
			if c.change != nil {
				c.change(&in)
			}
			snap := assemble(t, in)
			if got := describeTasks(&snap); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if problem, ok := snap.Incomplete(fleet.AllSections()...); !ok {
				t.Errorf("a hint made the view incomplete: %s", problem)
			}
			for _, w := range snap.Waiting {
				if !w.Refused || w.Since.IsZero() && c.refused[0].Count > 0 {
					t.Errorf("%+v, want it refused, and since when", w)
				}
			}
			slices.Reverse(in.Refused)
			if again := assemble(t, in); !reflect.DeepEqual(again, snap) {
				t.Error("the order of refusals changes the snapshot")
			}
		})
	}
}

func TestRefusedTasksKeepWhatTheyWereAskedWith(t *testing.T) {
	in := small()
	in.Tasks.Definitions = append(in.Tasks.Definitions, snapshot.TaskDefinition{
		ARN: definitionARN("job:1"), CPU: "256", Memory: "512", Constraints: []snapshot.Constraint{{Type: "memberOf", Expression: "attribute:a exists"}},
	})
	in.Refused = []snapshot.Refused{job(func(r *snapshot.Refused) {
		r.Overrides.CPU, r.CapacityProvider, r.Subnets = "1 vCPU", "asg", []string{"subnet-a", "subnet-unknown"}
		r.Constraints = []snapshot.Constraint{{Type: "memberOf", Expression: "attribute:b exists"}}
		r.Placement = []snapshot.PlacementRule{{Type: "binpack", Field: "memory"}}
	})}
	snap := assemble(t, in)
	g := snap.TaskGroups[snap.Waiting[0].Group]
	want := fleet.TaskGroup{
		Group: "family:job", TaskDefinition: "job:1", Overrides: g.Overrides, Standalone: true,
		Needs: fleet.Resources{CPUUnits: 1024, MemoryMiB: 512}, Constraints: []string{"attribute:a exists", "attribute:b exists"},
		CapacityProvider: "asg", Zones: []fleet.Zone{"us-east-1a"}, Strategy: []fleet.Strategy{{Type: fleet.StrategyBinpack, Field: "memory"}},
	}
	if !reflect.DeepEqual(g, want) {
		t.Errorf("got  %+v\nwant %+v", g, want)
	}
}

func TestReservedMemoryIsLearnedApart(t *testing.T) {
	in := small()
	in.EC2.Instances[0].Tags = append(in.EC2.Instances[0].Tags, snapshot.Tag{Key: fleet.TagReserved, Value: "256"})
	in.EC2.Instances[1].Tags = append(in.EC2.Instances[1].Tags, snapshot.Tag{Key: fleet.TagReserved, Value: "plenty"})
	in.ContainerInstances.Instances = append(in.ContainerInstances.Instances, registered("c2", "i-2"))
	snap := assemble(t, in)
	var got []int64
	for _, l := range snap.Learned {
		got = append(got, l.ReservedMemory)
	}
	if !slices.Equal(got, []int64{0, 256}) {
		t.Errorf("learned %+v, want it by the memory that is kept for the system", snap.Learned)
	}
}
