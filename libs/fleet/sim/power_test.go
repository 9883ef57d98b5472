package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// TestChecklist10StoppedInstancesStayRegistered: a stopped instance keeps its container
// instance, ACTIVE with agentConnected=false, and joins again when it starts; if it is
// terminated while it is stopped, a ghost stays.
func TestChecklist10StoppedInstancesStayRegistered(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 100 memory 100\nlaunch m7i.large\nservice web task web desired 1\nat 3m stop oldest", 5*time.Minute)
	host := func() ContainerInstance {
		arns := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web"}))(t).ContainerInstanceArns
		if len(arns) != 1 {
			t.Fatalf("container instances %v, want one", arns)
		}
		return must(w.DescribeContainerInstances(&DescribeContainerInstancesInput{Cluster: "web", ContainerInstances: arns}))(t).ContainerInstances[0]
	}
	state := func() string {
		return must(w.DescribeInstances(&DescribeInstancesInput{}))(t).Reservations[0].Instances[0].State.Name
	}
	if h := host(); h.Status != "ACTIVE" || h.AgentConnected || state() != "stopped" {
		t.Fatalf("%s, connected %v, EC2 says %s", h.Status, h.AgentConnected, state())
	}
	arn := host().ContainerInstanceArn
	if err := must(ParseScript("start stopped"))(t).Run(w); err != nil {
		t.Fatal(err)
	}
	w.Advance(w.Now().Add(5 * time.Minute))
	if h := host(); h.ContainerInstanceArn != arn || !h.AgentConnected || h.RunningTasksCount != 1 || state() != "running" {
		t.Errorf("after the start: %s connected %v, %d tasks, EC2 says %s", h.ContainerInstanceArn, h.AgentConnected, h.RunningTasksCount, state())
	}
	list := ids(w)
	must(w.StopInstances(&StopInstancesInput{InstanceIDs: list}))(t)
	w.Advance(w.Now().Add(2 * time.Minute))
	must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: list}))(t)
	w.Advance(w.Now().Add(5 * time.Minute))
	if h := host(); h.Status != "ACTIVE" || h.AgentConnected || state() != "terminated" {
		t.Errorf("%s, connected %v, EC2 says %s: want a ghost", h.Status, h.AgentConnected, state())
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

// TestRebootEndsTasks: the tasks of an instance end when it restarts.
func TestRebootEndsTasks(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 100 memory 100\nlaunch m7i.large\nservice web task web desired 2", 3*time.Minute)
	before := must(w.ListTasks(&ListTasksInput{Cluster: "web"}))(t).TaskArns
	must(w.RebootInstances(&RebootInstancesInput{InstanceIDs: ids(w)}))(t)
	w.Advance(w.Now().Add(5 * time.Minute))
	after := must(w.ListTasks(&ListTasksInput{Cluster: "web"}))(t).TaskArns
	if len(after) != 2 || slices.ContainsFunc(after, func(arn string) bool { return slices.Contains(before, arn) }) {
		t.Errorf("tasks %v before the reboot, %v after it", before, after)
	}
}

// TestStopRefuses: what cannot be stopped, started or changed.
func TestStopRefuses(t *testing.T) {
	w := run(t, Config{}, "cluster web\nlaunch m7i.large\nlaunch m7i.large lifecycle spot", time.Minute)
	list := ids(w)
	stop := func(id string) error { return second(w.StopInstances(&StopInstancesInput{InstanceIDs: []string{id}})) }
	failsWith(t, "spot", stop(list[1]), "UnsupportedOperation")
	modify := func(in ModifyInstanceAttributeInput) error {
		in.InstanceID = list[0]
		return second(w.ModifyInstanceAttribute(&in))
	}
	failsWith(t, "type of a running one", modify(ModifyInstanceAttributeInput{InstanceType: &AttributeText{"m7i.xlarge"}}), "IncorrectInstanceState")
	if err := modify(ModifyInstanceAttributeInput{DisableAPIStop: &AttributeBoolean{true}}); err != nil {
		t.Fatal(err)
	}
	failsWith(t, "protected", stop(list[0]), "OperationNotPermitted")
	must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: list}))(t)
	failsWith(t, "ending", stop(list[0]), "IncorrectInstanceState")
	failsWith(t, "start an ending one", second(w.StartInstances(&StartInstancesInput{InstanceIDs: list[:1]})), "IncorrectInstanceState")
	failsWith(t, "unknown", second(w.RebootInstances(&RebootInstancesInput{InstanceIDs: []string{"i-00000000"}})), "InvalidInstanceID.NotFound")
}

// TestMaintenance: DescribeInstanceStatus tells of planned events, which then happen.
func TestMaintenance(t *testing.T) {
	w := run(t, Config{}, "cluster web\nlaunch m7i.large count 2\nat 5m maintenance instance-retirement in 10m oldest 1", 6*time.Minute)
	planned := &DescribeInstanceStatusInput{Filters: []Filter{{"event.code", []string{"instance-*"}}}}
	out := must(w.DescribeInstanceStatus(planned))(t)
	if len(out.InstanceStatuses) != 1 || out.InstanceStatuses[0].Events[0].NotBefore.Time != w.cfg.Start.Add(15*time.Minute) {
		t.Fatalf("planned %+v", out.InstanceStatuses)
	}
	if s := out.InstanceStatuses[0]; s.InstanceStatus.Status != "ok" || s.InstanceState.Name != "running" {
		t.Errorf("status %+v", s)
	}
	w.Advance(w.Now().Add(10 * time.Minute))
	if n := len(must(w.DescribeInstanceStatus(&DescribeInstanceStatusInput{}))(t).InstanceStatuses); n != 1 {
		t.Errorf("%d instances run, 1 expected", n)
	}
	all := must(w.DescribeInstanceStatus(&DescribeInstanceStatusInput{IncludeAllInstances: true}))(t).InstanceStatuses
	stopped := slices.DeleteFunc(slices.Clone(all), func(s InstanceStatus) bool { return s.InstanceState.Name != "stopped" })
	if len(all) != 2 || len(stopped) != 1 || !strings.HasPrefix(stopped[0].Events[0].Description, "[Completed]") {
		t.Errorf("all of them: %+v", all)
	}
}

// TestQuotasByClass: each class of instance types has a vCPU quota of its own, by
// lifecycle, in which ended instances count for a moment.
func TestQuotasByClass(t *testing.T) {
	w := run(t, Config{Delays: Delays{QuotaLag: time.Minute}}, "cluster web\nquota G/VT on-demand 4\nquota standard * 8\nlaunch g5.xlarge\nlaunch m7i.xlarge count 2\nlaunch m7i.xlarge count 2 lifecycle spot", time.Minute)
	launch := func(typ fleet.TypeName, l fleet.Lifecycle) error {
		return second(w.Launch(Fixture{Cluster: "web", Type: typ, Count: 1, Lifecycle: l}))
	}
	for _, c := range []struct {
		typ  fleet.TypeName
		l    fleet.Lifecycle
		want string
	}{
		{"g5.xlarge", fleet.OnDemand, "VcpuLimitExceeded"},
		{"g5.xlarge", fleet.Spot, ""},
		{"c7i.large", fleet.OnDemand, "current vCPU limit of 8 allows"},
		{"t3.large", fleet.Spot, "MaxSpotInstanceCountExceeded"},
	} {
		if err := launch(c.typ, c.l); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("one more %s %s: %v, want %q", c.typ, c.l, err, c.want)
		}
	}
	must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: ids(w)[:1]}))(t)
	w.Advance(w.Now().Add(50 * time.Second))
	if err := launch("g5.xlarge", fleet.OnDemand); err == nil && w.instances[ids(w)[0]].state == machineTerminated {
		t.Error("an instance that has just ended no longer counts")
	}
	w.Advance(w.Now().Add(3 * time.Minute))
	if err := launch("g5.xlarge", fleet.OnDemand); err != nil {
		t.Error(err)
	}
	if got := quotaClassOf("im4gn.large") + quotaClassOf("inf2.xlarge") + quotaClassOf("p5.48xlarge") + quotaClassOf("trn1.2xlarge") + quotaClassOf("x2gd.large"); got != "StandardInfPTrnX" {
		t.Errorf("classes %s", got)
	}
	if err := w.SetQuota("Standards", "", 1); err == nil {
		t.Error("a class that is none has a quota")
	}
}
