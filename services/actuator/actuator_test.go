package actuator_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/neap-project/neap/libs/adapters/cloud/awssim/awstest"
	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/adapters/executor/executortest"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/services/actuator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a cluster in a simulated account, with a stage to plan on.
type room struct {
	*executortest.Stage
	aws *awstest.Account
}

func open(t *testing.T) *room {
	r := &room{Stage: executortest.New(t, executortest.Policy()), aws: awstest.Open(t, sim.Config{Seed: 1})}
	r.aws.World(func(w *sim.World) {
		if _, err := w.CreateCluster(&sim.CreateClusterInput{ClusterName: string(executortest.Cluster)}); err != nil {
			t.Fatal(err)
		}
	})
	r.aws.Play()
	return r
}

// start runs an actuator, changed by the edits.
func (r *room) start(edits ...func(*executor.Config)) (stop func() error) {
	r.Helper()
	cfg := actuator.Config{Executor: executortest.Config()}
	for _, edit := range edits {
		edit(&cfg.Executor)
	}
	return r.Start(func(ctx context.Context, p *service.Process) error {
		return actuator.New(cfg, r.Bus, r.aws.Account, p).Run(ctx)
	})
}

// alone is for replicas that are all alive: nothing is taken over.
func alone(cfg *executor.Config) { cfg.StaleAfter = time.Hour }

// launch is a launch of a number of instances of types that cost the same to the test.
func launch(count int, types ...fleet.TypeName) fleet.Action {
	spec := executortest.Policy().WithDefaults().LaunchSpecs[0]
	spec.Attributes = map[string]string{"stack": "web"}
	l := &fleet.Launch{Spec: spec, Lifecycle: fleet.OnDemand, Count: count, Boot: fleet.Duration(time.Hour)}
	for _, typ := range types {
		l.Offerings = append(l.Offerings, fleet.Offering{
			LaunchSpec: spec.Name, Type: typ, Zone: "us-east-1a", Subnet: "subnet-000000000000000a0", Lifecycle: fleet.OnDemand,
			Image: "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended", Architecture: fleet.X86,
		})
	}
	return fleet.Action{
		Kind: fleet.ActionLaunch, Launch: l,
		Reason: fleet.Because(fleet.ReasonDemand, "service/web", "tasks", count, "for", "service web"),
	}
}

func (r *room) plan(actions ...fleet.Action) fleet.Plan {
	r.Helper()
	return r.Plan(r.Context(), r.aws.Server.Now(), fleet.Plan{Actions: actions})
}

func (r *room) truth() (t sim.Truth) {
	r.aws.World(func(w *sim.World) { t = w.Truth() })
	return t
}

// mustHaveLaunched checks what the world knows against what was asked for.
func (r *room) mustHaveLaunched(count int, p fleet.Plan) {
	r.Helper()
	truth := r.truth()
	if truth.History.InstancesLaunched != count {
		r.Errorf("%d instances were launched, want %d", truth.History.InstancesLaunched, count)
	}
	for _, a := range p.Actions {
		if got := truth.History.Launches[string(a.ID)]; got.Launched > a.Launch.Count {
			r.Errorf("action %s launched %d instances, want %d at most", a.ID.Short(), got.Launched, a.Launch.Count)
		}
	}
	bodies := map[string]bool{}
	for _, c := range r.aws.Calls("CreateFleet") {
		bodies[c.Body] = true
	}
	if len(bodies) > len(p.Actions) {
		r.Errorf("%d different requests for %d actions: a launch is one request for ever", len(bodies), len(p.Actions))
	}
}

func TestLaunch(t *testing.T) {
	r := open(t)
	r.start()
	p := r.plan(launch(2, "m7i.large"))
	end := r.Finished(p)
	if end.Step != "done" || end.Class != fleet.FailureNone || len(end.Instances) != 2 {
		t.Errorf("ended as %+v, want it done with two instances", end)
	}
	r.mustHaveLaunched(2, p)
	for _, inst := range r.truth().Instances {
		if inst.Status != "ACTIVE" || inst.Action != string(p.Actions[0].ID) {
			t.Errorf("%+v, want it active in the cluster and tagged with its action", inst)
		}
	}
	r.aws.World(func(w *sim.World) {
		out, err := w.ListAttributes(&sim.ListAttributesInput{Cluster: string(executortest.Cluster), TargetType: "container-instance", AttributeName: "stack", AttributeValue: "web"})
		if err != nil || len(out.Attributes) != 2 {
			t.Errorf("%d instances carry the attribute of the launch spec (%v), want 2", len(out.Attributes), err)
		}
	})
	var steps []string
	for _, o := range r.Outcomes(p.Actions[0].ID) {
		steps = append(steps, string(o.Phase)+" "+o.Step)
	}
	if want := []string{"intent launch", "result launch", "final done"}; !slices.Equal(steps, want) {
		t.Errorf("outcomes %v, want %v", steps, want)
	}
}

func TestReplicasLaunchOnce(t *testing.T) {
	r := open(t)
	for range 3 {
		r.start(alone)
	}
	p := r.plan(launch(1, "m7i.large"), launch(2, "m7i.xlarge"), launch(3, "c7i.large"))
	r.Finished(p)
	r.mustHaveLaunched(6, p)
	if calls := r.aws.Calls("CreateFleet"); len(calls) != 3 {
		t.Errorf("%d calls, want one for each action", len(calls))
	}
}

// TestCrashAnywhere crashes at every point, then lets another replica go on.
func TestCrashAnywhere(t *testing.T) {
	crashes := []struct {
		point executor.Point
		times int // how often a launch comes to it before it is sent and after
	}{{executor.PointRecorded, 1}, {executor.PointStored, 3}, {executor.PointIntent, 1}, {executor.PointCalled, 1}, {executor.PointPublished, 2}}
	for _, c := range crashes {
		for nth := range c.times {
			t.Run(fmt.Sprintf("%s %d", c.point, nth+1), func(t *testing.T) {
				r := open(t)
				crash, crashed := executortest.CrashAt(c.point, nth+1)
				stop := r.start(func(cfg *executor.Config) { cfg.Crash = crash })
				p := r.plan(launch(1, "m7i.large"))
				r.Crashed(crashed, stop)
				r.start()
				if end := r.Finished(p); end.Step != "done" {
					t.Errorf("ended as %+v, want it done", end)
				}
				r.mustHaveLaunched(1, p)
			})
		}
	}
}

func TestLostAnswerIsAskedForAgain(t *testing.T) {
	r := open(t)
	r.aws.Lose("CreateFleet", 2)
	r.start()
	p := r.plan(launch(2, "m7i.large"))
	if end := r.Finished(p); end.Step != "done" || len(end.Instances) != 2 {
		t.Errorf("ended as %+v, want it done with two instances", end)
	}
	r.mustHaveLaunched(2, p)
	if calls := r.aws.Calls("CreateFleet"); len(calls) != 3 {
		t.Errorf("%d calls, want two that got no answer and one that did", len(calls))
	}
	var unknown int
	for _, o := range r.Outcomes(p.Actions[0].ID) {
		if o.Class == fleet.FailureUnknown {
			unknown++
		}
	}
	if unknown != 2 {
		t.Errorf("%d results are reported as unknown, want 2", unknown)
	}
}

// TestNoAnswerAtAll loses every answer: the instances are found by their tag.
func TestNoAnswerAtAll(t *testing.T) {
	r := open(t)
	r.aws.Lose("CreateFleet", 1000)
	r.start()
	p := r.plan(launch(1, "m7i.large"))
	if end := r.Finished(p); end.Step != "done" || len(end.Instances) != 1 {
		t.Errorf("ended as %+v, want the instance that was launched", end)
	}
	r.mustHaveLaunched(1, p)
}

func TestNoCapacity(t *testing.T) {
	r := open(t)
	r.aws.World(func(w *sim.World) {
		if err := w.SetShortage("m7i.large", "us-east-1a", fleet.OnDemand, 0, w.Now().Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	})
	r.start()
	p := r.plan(launch(1, "m7i.large"))
	if end := r.Finished(p); end.Class != fleet.FailureCapacity {
		t.Errorf("ended as %+v, want it failed for capacity", end)
	}
	var short []fleet.OfferingFailure
	for _, o := range r.Outcomes(p.Actions[0].ID) {
		short = append(short, o.Failures...)
	}
	want := fleet.OfferingKey{Type: "m7i.large", Zone: "us-east-1a", Lifecycle: fleet.OnDemand}
	if len(short) == 0 || short[0].Offering != want || short[0].Class != fleet.FailureCapacity {
		t.Errorf("failures %+v, want %s short of capacity", short, want)
	}
}

func TestPauseStopsLaunches(t *testing.T) {
	r := open(t)
	control := r.Bus.Control()
	if err := control.Pause(t.Context(), executortest.Cluster, "a person", "to look"); err != nil {
		t.Fatal(err)
	}
	r.start()
	a := launch(1, "m7i.large")
	late := r.aws.Server.Now().Add(10 * time.Minute).UTC()
	a.Deadline = late
	p := r.plan(a)
	r.Recorded(p.Actions[0].ID)
	r.Eventually("the deadline is past", func() bool { return r.aws.Server.Now().After(late) })
	if end := r.Finished(p); end.Step != "rejected" || end.Class != fleet.FailureStale {
		t.Errorf("ended as %+v, want it rejected: its time came and went while Neap was paused", end)
	}
	if calls := r.aws.Calls("CreateFleet", "CreateLaunchTemplate"); len(calls) > 0 {
		t.Errorf("%d calls while paused", len(calls))
	}
}

func TestLimit(t *testing.T) {
	r := open(t)
	policy := executortest.Policy()
	policy.Limits.MaxInstances = 3
	r.Apply(policy)
	r.start(alone)
	r.start(alone)
	first := r.plan(launch(2, "m7i.large"))
	r.Finished(first)
	second := r.plan(launch(2, "m7i.large"), launch(1, "c7i.large"))
	if end := r.Finished(second); end.Class != fleet.FailureStale || !strings.Contains(end.Message, "maxInstances = 3") {
		t.Errorf("ended as %+v, want it refused by the limit", end)
	}
	if n := r.truth().History.InstancesLaunched; n != 3 {
		t.Errorf("%d instances were launched, want the 3 that the limit allows", n)
	}
}

// TestLimitHoldsForLaunchesOnTheirWay plans two launches at once of which only one fits.
func TestLimitHoldsForLaunchesOnTheirWay(t *testing.T) {
	r := open(t)
	policy := executortest.Policy()
	policy.Limits.MaxInstances = 3
	r.Apply(policy)
	r.start(alone)
	r.start(alone)
	r.Finished(r.plan(launch(2, "m7i.large"), launch(2, "c7i.large")))
	if n := r.truth().History.InstancesLaunched; n != 2 {
		t.Errorf("%d instances were launched, want 2: both launches together exceed the limit", n)
	}
}
