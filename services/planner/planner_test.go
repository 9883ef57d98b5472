package planner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const web fleet.ClusterName = "web"

// at is when the first snapshot of each test was taken, by the clock of AWS.
var at = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// snapshotAt is a cluster without instances whose service wants tasks, taken some time
// after at.
func snapshotAt(after time.Duration, wanted int) fleet.Snapshot {
	now := at.Add(after)
	var sections []fleet.Section
	for _, name := range fleet.AllSections() {
		sections = append(sections, fleet.Section{Name: name, ReadAt: now, Complete: true})
	}
	return fleet.Snapshot{
		Cluster: web, Account: "123456789012", Region: "us-east-1", Generation: 1,
		ReadStartedAt: now.Add(-time.Second), TakenAt: now, Sections: sections,
		AttributeSets: [][]fleet.Attribute{}, Instances: []fleet.Instance{}, Tasks: []fleet.TaskCount{},
		TaskGroups: []fleet.TaskGroup{{
			Group: "service:web", TaskDefinition: "web:7", Needs: fleet.Resources{CPUUnits: 512, MemoryMiB: 1024}, Architecture: fleet.X86,
		}},
		Services: []fleet.Service{{
			Name: "web", Scheduling: fleet.Replica, Desired: wanted, MinHealthyPercent: 100, MaxPercent: 200, CreatedAt: at.Add(-time.Hour),
			Deployments: []fleet.Deployment{{ID: "d1", Primary: true, Group: 0, Desired: wanted, Rollout: fleet.RolloutInProgress, UpdatedAt: at.Add(-time.Hour)}},
		}},
		Types: []fleet.InstanceType{{
			Name: "m7i.large", Architectures: []fleet.Architecture{fleet.X86}, VCPUs: 2, MemoryMiB: 8192, MaxENIs: 3,
			OnDemand: fleet.USD(0.1008), Zones: []fleet.ZoneOffer{{Zone: "us-east-1a"}},
		}},
		Images:  []fleet.Image{{Parameter: "ami-1", ID: "ami-1", Architecture: fleet.X86}},
		Subnets: []fleet.Subnet{{ID: "subnet-a", Zone: "us-east-1a", FreeAddresses: 200}},
	}
}

func policy(dryRun bool) fleet.Policy {
	return fleet.Policy{
		DryRun: &dryRun, Limits: fleet.Limits{MaxInstances: 20},
		LaunchSpecs: []fleet.LaunchSpec{{Name: "default", Images: []string{"ami-1"}, Subnets: []fleet.SubnetID{"subnet-a"}}},
	}
}

// bench is a bus with a planner on it.
type bench struct {
	t   *testing.T
	url string
	bus *bus.Bus // the test's own
	log *record
}

func newBench(t *testing.T) *bench {
	url := bustest.Start(t)
	return &bench{t: t, url: url, bus: bustest.Connect(t, bus.Config{URL: url}), log: &record{}}
}

// planner makes one with a bus and a process of its own.
func (b *bench) planner(replica, redis string, clusters ...fleet.ClusterName) *Planner {
	b.t.Helper()
	proc, err := service.New(b.t.Context(), "planner", service.Config{LogFormat: "text", StallAfter: time.Minute}, b.log)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = proc.Stop(context.Background()) })
	c, err := cache.Open(b.t.Context(), cache.Config{URL: redis, Prefix: "neap:", Timeout: time.Second}, proc.Log)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close(context.Background()) })
	conn := bustest.Connect(b.t, bus.Config{URL: b.url, Log: proc.Log})
	return New(Config{Assignment: service.Assignment{Replica: replica, Clusters: clusters}, Beat: 100 * time.Millisecond}, conn, c, proc)
}

// run runs a planner until the returned function is called, or the test ends.
func (b *bench) run(p *Planner) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				b.t.Errorf("planner ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			b.t.Error("planner does not stop")
		}
	})
	b.t.Cleanup(stop)
	return stop
}

func (b *bench) apply(p fleet.Policy) {
	b.t.Helper()
	if _, err := b.bus.Control().ApplyPolicy(b.t.Context(), web, p, nil); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) publish(s fleet.Snapshot) {
	b.t.Helper()
	if err := b.bus.PublishSnapshot(b.t.Context(), &s); err != nil {
		b.t.Fatal(err)
	}
}

// chain is every plan of the cluster.
func (b *bench) chain() []fleet.Plan {
	b.t.Helper()
	var plans []fleet.Plan
	for s, err := range b.bus.Plans(b.t.Context(), web, 0) {
		if err != nil {
			b.t.Fatal(err)
		}
		plans = append(plans, s.Value)
	}
	return plans
}

// await polls until ok, and fails the test with the log if that takes too long.
func (b *bench) await(what string, ok func() bool) {
	b.t.Helper()
	b.awaitFor(15*time.Second, what, ok)
}

func (b *bench) awaitFor(most time.Duration, what string, ok func() bool) {
	b.t.Helper()
	deadline := time.Now().Add(most)
	for !ok() {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain until %s\n%s", what, b.log)
		}
		rest(b.t.Context(), 10*time.Millisecond)
	}
}

func (b *bench) awaitPlans(n int) []fleet.Plan {
	b.t.Helper()
	var plans []fleet.Plan
	b.await(fmt.Sprintf("there are %d plans", n), func() bool { plans = b.chain(); return len(plans) >= n })
	if len(plans) > n {
		b.t.Fatalf("%d plans, want %d\n%s", len(plans), n, b.log)
	}
	return plans
}

// looked waits until the planner has looked at the snapshot that was published last.
func (b *bench) looked(p *Planner, s fleet.Snapshot) {
	b.t.Helper()
	b.await("the planner has looked at the newest snapshot", func() bool {
		d := p.desk(web)
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.looked.Equal(s.ReadStartedAt)
	})
}

// record is a log that can be read while it is written.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) count(message string) int {
	return strings.Count(r.String(), "msg="+message+" ") + strings.Count(r.String(), "msg=\""+message+"\"")
}

func launched(p *fleet.Plan) (n int) {
	for i := range p.Actions {
		if l := p.Actions[i].Launch; l != nil {
			n += l.Count
		}
	}
	return n
}

func TestPlansOnceForTasksThatWait(t *testing.T) {
	b := newBench(t)
	redis := cachetest.StartRedis(t)
	b.apply(policy(false))
	p := b.planner("one", redis)
	b.run(p)

	b.await("it waits for a snapshot", func() bool { return strings.Contains(b.log.String(), "no watcher has published one") })
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4}, TraceFlags: trace.FlagsSampled})
	first := snapshotAt(0, 3)
	if err := b.bus.PublishSnapshot(trace.ContextWithSpanContext(t.Context(), span), &first); err != nil {
		t.Fatal(err)
	}
	decided := b.awaitPlans(1)[0]
	if launched(&decided) == 0 || decided.DryRun || decided.Generation != 1 || decided.Prev != "" {
		t.Errorf("plan %+v launches nothing, or is not the first of generation 1", decided)
	}
	if want := span.TraceID().String(); decided.Trace != want {
		t.Errorf("trace %q, want the snapshot's, %q", decided.Trace, want)
	}
	c, err := cache.Open(t.Context(), cache.Config{URL: redis, Prefix: "neap:", Timeout: time.Second}, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	b.await("the plan is in the cache", func() bool {
		cached, ok := cache.Get[fleet.Plan](t.Context(), c, PlanKey(web))
		return ok && len(cached.Demand) > 0
	})

	for i := range 3 { // the tasks still wait while the instance boots
		s := snapshotAt(time.Duration(i+1)*time.Second, 3)
		b.publish(s)
		b.looked(p, s)
	}
	b.awaitPlans(1)
	if n := b.log.count("planned"); n != 1 {
		t.Errorf("\"planned\" is logged %d times, want once\n%s", n, b.log)
	}
	more := snapshotAt(time.Minute, 12)
	b.publish(more)
	plans := b.awaitPlans(2)
	if plans[1].Prev != plans[0].ID || launched(&plans[1]) == 0 {
		t.Errorf("second plan %+v does not follow the first, or launches nothing for 9 more tasks", plans[1])
	}
}

func TestPausedPlansNothing(t *testing.T) {
	b := newBench(t)
	b.apply(policy(false))
	control := b.bus.Control()
	if err := control.Pause(t.Context(), web, "ann", "maintenance"); err != nil {
		t.Fatal(err)
	}
	p := b.planner("one", "")
	b.run(p)
	s := snapshotAt(0, 3)
	b.publish(s)
	b.looked(p, s)
	b.awaitPlans(0)
	if err := control.Resume(t.Context(), web, "ann", "done"); err != nil {
		t.Fatal(err)
	}
	b.awaitPlans(1) // on the beat: nothing new is to be seen
}

func TestWithoutPolicyNothingIsPlanned(t *testing.T) {
	b := newBench(t)
	redis := cachetest.StartRedis(t)
	b.run(b.planner("one", redis, web))
	b.publish(snapshotAt(0, 3))
	b.await("it says that there is no policy", func() bool { return strings.Contains(b.log.String(), "neap policy apply") })
	b.awaitPlans(0)
	b.apply(policy(false))
	b.awaitPlans(1)
	if n := b.log.count("holding: no plans are made"); n != 1 {
		t.Errorf("it says %d times that it holds, want once\n%s", n, b.log)
	}
}

func TestBadPolicyKeepsTheLastGoodOne(t *testing.T) {
	b := newBench(t)
	b.apply(policy(false))
	bad := policy(false)
	bad.Limits.MaxInstances = -1
	if _, err := b.bus.Control().ApplyPolicy(t.Context(), web, bad, nil); !errors.Is(err, fleet.ErrInvalid) {
		t.Fatalf("a bad policy is answered with %v, want ErrInvalid", err)
	}
	p := b.planner("one", "")
	b.run(p)
	b.await("the policy is known", func() bool { _, ok := p.desk(web).lastGoodPolicy(); return ok })
	// One that a newer release has written cannot be read by this one.
	p.notePolicy(t.Context(), bus.PolicyChange{PolicyRevision: bus.PolicyRevision{Cluster: web, Revision: 9}, Err: fleet.ErrInvalid})
	b.publish(snapshotAt(0, 3))
	b.awaitPlans(1)
	if b.log.count("policy refused, the last good one is kept") != 1 {
		t.Errorf("the log does not say that a policy was refused\n%s", b.log)
	}
}

func TestRestartedPlannerRemembers(t *testing.T) {
	b := newBench(t)
	b.apply(policy(false))
	stop := b.run(b.planner("one", ""))
	b.publish(snapshotAt(0, 3))
	first := b.awaitPlans(1)[0]
	stop()

	p := b.planner("two", "")
	b.run(p)
	s := snapshotAt(time.Second, 3)
	b.publish(s)
	b.looked(p, s)
	b.awaitPlans(1) // what the first planner has launched is on its way

	action := first.Actions[0]
	final := fleet.Outcome{
		Cluster: web, Generation: 1, Plan: first.ID, Action: action.ID, Kind: action.Kind, Phase: fleet.PhaseFinal, Step: "launch",
		At: at.Add(2 * time.Second), By: "actuator", Class: fleet.FailureCapacity, Message: "none left",
	}
	if err := b.bus.PublishOutcome(t.Context(), &final); err != nil {
		t.Fatal(err)
	}
	b.publish(snapshotAt(3*time.Second, 3))
	second := b.awaitPlans(2)[1]
	if len(second.Closures) != 1 || second.Closures[0].Action != action.ID {
		t.Errorf("closures %+v, want one of the launch that failed", second.Closures)
	}
}

func TestLostRaceIsPlannedAgain(t *testing.T) {
	b := newBench(t)
	b.apply(policy(false))
	p := b.planner("one", "")
	var foreign fleet.Plan
	var once sync.Once
	p.make = func(s fleet.Snapshot, pol fleet.Policy, mem fleet.Memory) fleet.Plan {
		once.Do(func() { // another planner is quicker by a hair
			foreign = plan.Make(s, pol, mem)
			if _, err := b.bus.AppendPlan(t.Context(), &foreign, 0); err != nil {
				t.Error(err)
			}
			pol.Limits.MinInstances = 5 // so that ours would be another one
		})
		return plan.Make(s, pol, mem)
	}
	b.run(p)
	s := snapshotAt(0, 3)
	b.publish(s)
	b.looked(p, s)
	if plans := b.awaitPlans(1); plans[0].ID != foreign.ID {
		t.Errorf("the chain holds %s, want the foreign plan %s alone: it has launched for these tasks", plans[0].ID, foreign.ID)
	}
}

// turn looks at one view without a loop around it.
func (b *bench) turn(p *Planner, v view) {
	b.t.Helper()
	d := p.desk(web)
	d.open()
	pol := policy(false).WithDefaults()
	d.policy, d.view = &pol, &v
	if err := p.turn(b.t.Context(), d); err != nil {
		b.t.Fatal(err)
	}
}

func TestStaleSnapshots(t *testing.T) {
	b := newBench(t)
	p := b.planner("one", "")
	var now time.Time
	var decided fleet.Plan
	p.make = func(s fleet.Snapshot, pol fleet.Policy, mem fleet.Memory) fleet.Plan {
		now, decided = s.TakenAt, plan.Make(s, pol, mem)
		return decided
	}
	for _, c := range []struct {
		age  time.Duration
		want time.Duration // that the instant of decision moves by; negative: no decision
	}{
		{time.Second, 0},
		{90 * time.Second, 90 * time.Second},
		{4 * time.Minute, -1},
	} {
		now = time.Time{}
		b.turn(p, view{snapshot: snapshotAt(0, 0), stored: time.Now().Add(-c.age)})
		moved := now.Sub(at)
		if c.want < 0 && !now.IsZero() || c.want >= 0 && (moved < c.want || moved > c.want+time.Second) {
			t.Errorf("a snapshot that is %s old is planned on as of %s later, want %s", c.age, moved, c.want)
		}
		stale := slices.ContainsFunc(decided.Reasons, func(r fleet.Reason) bool { return r.Code == fleet.ReasonStale })
		if !now.IsZero() && stale != (c.want > 0) {
			t.Errorf("a snapshot that is %s old: reasons %v", c.age, decided.Reasons)
		}
	}
}

func TestSnapshotOlderThanTheLastPlanIsIgnored(t *testing.T) {
	b := newBench(t)
	p := b.planner("one", "")
	b.turn(p, view{snapshot: snapshotAt(time.Minute, 3), stored: time.Now()})
	b.awaitPlans(1)
	p.make = func(fleet.Snapshot, fleet.Policy, fleet.Memory) fleet.Plan {
		t.Error("planned on a snapshot that is older than the last plan's")
		return fleet.Plan{}
	}
	b.turn(p, view{snapshot: snapshotAt(0, 30), stored: time.Now()})
}

func TestDryRunIsAppendedWhenItsProposalChanges(t *testing.T) {
	b := newBench(t)
	b.apply(policy(true))
	p := b.planner("one", "")
	b.run(p)
	for i := range 3 {
		s := snapshotAt(time.Duration(i)*time.Second, 3)
		b.publish(s)
		b.looked(p, s)
	}
	if first := b.awaitPlans(1)[0]; !first.DryRun || launched(&first) == 0 {
		t.Errorf("plan %+v is no dry run that proposes a launch", first)
	}
	b.publish(snapshotAt(10*time.Second, 40))
	b.awaitPlans(2)
	none := snapshotAt(20*time.Second, 0)
	b.publish(none)
	if last := b.awaitPlans(3)[2]; launched(&last) != 0 {
		t.Errorf("plan %+v launches for nobody", last)
	}
	b.looked(p, none)
	b.awaitPlans(3)
}

func TestTwoPlannersDoNotDoubleALaunch(t *testing.T) {
	b := newBench(t)
	b.apply(policy(false))
	one, two := b.planner("one", ""), b.planner("two", "")
	b.run(one)
	stopTwo := b.run(two)
	for i := range 5 {
		b.publish(snapshotAt(time.Duration(i)*time.Second, 3))
		if i == 2 {
			b.awaitPlans(1)
			stopTwo()
		}
	}
	last := snapshotAt(time.Minute, 3)
	b.publish(last)
	b.looked(one, last)
	b.awaitPlans(1)
}

func TestEndsWithItsGeneration(t *testing.T) {
	b := newBench(t)
	b.apply(policy(false))
	ended := make(chan error, 1)
	p := b.planner("one", "")
	go func() { ended <- p.Run(t.Context()) }()
	b.publish(snapshotAt(0, 3))
	b.awaitPlans(1)
	if err := bus.Bootstrap(t.Context(), bus.Config{URL: b.url}, bus.BootstrapOptions{Generation: 2, MaxBytes: bustest.MaxBytes}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, bus.ErrGeneration) {
			t.Errorf("ended with %v, want ErrGeneration", err)
		}
	case <-time.After(15 * time.Second):
		t.Error("a planner of the generation before goes on")
	}
}

// failed publishes that a launch has failed, as its actuator would.
func (b *bench) failed(p *fleet.Plan, a *fleet.Action, after time.Duration, class fleet.FailureClass) {
	b.t.Helper()
	err := b.bus.PublishOutcome(b.t.Context(), &fleet.Outcome{
		Cluster: web, Generation: 1, Plan: p.ID, Action: a.ID, Kind: a.Kind, Of: a.Of(), Phase: fleet.PhaseFinal, Step: "failed",
		At: at.Add(after), By: "actuator", Class: class, Message: "not authorized",
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestLaunchesThatFailAreNotPlannedOnEverySnapshot: nobody can delete what the chain holds.
func TestLaunchesThatFailAreNotPlannedOnEverySnapshot(t *testing.T) {
	b := newBench(t)
	p := b.planner("one", "")
	launches := 0
	for i := range 120 { // two minutes, with a snapshot every second
		after := time.Duration(i) * time.Second
		b.turn(p, view{snapshot: snapshotAt(after, 3), stored: time.Now()})
		plans := b.chain()
		last := &plans[len(plans)-1]
		if a := last.Actions; len(a) > 0 && last.MadeAt.Equal(at.Add(after)) {
			launches++
			b.failed(last, &a[0], after, fleet.FailureDenied)
		}
	}
	if launches != 3 { // at once, after 30 s, after another minute
		t.Errorf("%d launches in two minutes, want 3", launches)
	}
	if n := len(b.chain()); n > 2*launches {
		t.Errorf("%d plans for %d launches, want one that launches and one that closes for each", n, launches)
	}
}

// TestStrangersDoNotStopPlanning, but damage to what Neap itself wrote does: then the
// planner says what to do.
func TestStrangersDoNotStopPlanning(t *testing.T) {
	b := newBench(t)
	p := b.planner("one", "")
	subject := "neap.v1.1.plan." + web.Key()
	bustest.Publish(t, b.url, subject)
	b.turn(p, view{snapshot: snapshotAt(0, 3), stored: time.Now()})
	bustest.Publish(t, b.url, subject, "X-Sender", "somebody")
	b.turn(p, view{snapshot: snapshotAt(time.Minute, 30), stored: time.Now()})
	last, _, ok, err := b.bus.LastPlan(t.Context(), web)
	if err != nil || !ok || last.Prev == "" || launched(&last) == 0 {
		t.Fatalf("last plan %+v (%t, %v), want a second one that launches", last, ok, err)
	}
	for version, want := range map[string]string{"1": "damaged", "9": "newer release"} {
		bustest.Publish(t, b.url, subject, "Neap-Version", version)
		d := p.desk(web)
		d.open()
		err = p.turn(t.Context(), d)
		if err == nil || !strings.Contains(err.Error(), "neap bootstrap --generation 2") || !strings.Contains(err.Error(), want) {
			t.Errorf("version %s: %v, want the remedy", version, err)
		}
	}
}

func TestConfig(t *testing.T) {
	good := Config{Beat: time.Second}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // part of the error; empty: none
	}{
		"good":    {func(*Config) {}, ""},
		"no beat": {func(c *Config) { c.Beat = 0 }, "BEAT"},

		"all of the beat":    {func(c *Config) { c.SecondLook = 1 }, ""},
		"more than the beat": {func(c *Config) { c.SecondLook = 1.1 }, "SECOND_LOOK"},
		"no share":           {func(c *Config) { c.SecondLook = math.NaN() }, "SECOND_LOOK"},
		"standing is off":    {func(c *Config) { c.Standing = 0 }, ""},
		"standing always":    {func(c *Config) { c.Standing = time.Millisecond }, "STANDING"},
	} {
		cfg := good
		c.change(&cfg)
		if err := cfg.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
