package watcher

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
	"github.com/neap-project/neap/libs/adapters/cloud/awssim/awstest"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

func TestMain(m *testing.M) {
	// The AWS SDK reads profiles and asks for credentials where it finds any.
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultTransport.(*http.Transport).CloseIdleConnections() }))
}

const web fleet.ClusterName = "web"

const image = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"

// bench is a bus, and a simulated account with the cluster web: a service that wants three
// tasks, and one instance.
type bench struct {
	t        *testing.T
	url      string
	bus      *bus.Bus // the test's own
	aws      *awstest.Account
	queue    string
	instance fleet.InstanceID
	log      *record
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, url: bustest.Start(t), log: &record{}}
	b.bus = bustest.Connect(t, bus.Config{URL: b.url})
	b.aws = awstest.Open(t, sim.Config{Seed: 1, EventQueues: []string{"neap-events"}})
	b.aws.World(func(w *sim.World) {
		queue, err := w.GetQueueURL(&sim.GetQueueURLInput{QueueName: "neap-events"})
		b.must(err)
		b.queue = queue.QueueURL
		_, err = w.CreateCluster(&sim.CreateClusterInput{ClusterName: string(web)})
		b.must(err)
		_, err = w.RegisterTaskDefinition(&sim.RegisterTaskDefinitionInput{
			Family:               "app",
			ContainerDefinitions: []sim.ContainerDefinition{{Name: "app", Image: "app:1", CPU: 256, Memory: 512}},
		})
		b.must(err)
		_, err = w.CreateService(&sim.CreateServiceInput{
			Cluster: string(web), ServiceName: "api", TaskDefinition: "app", DesiredCount: new(3), LaunchType: "EC2",
		})
		b.must(err)
		ami, err := w.GetParameter(&sim.GetParameterInput{Name: image})
		b.must(err)
		launched, err := w.RunInstances(&sim.RunInstancesInput{
			ImageID: ami.Parameter.Value, InstanceType: "m7i.large", MinCount: 1, MaxCount: 1, SubnetID: b.subnet(w),
			UserData: base64.StdEncoding.EncodeToString([]byte("#!/bin/bash\necho ECS_CLUSTER=web >> /etc/ecs/ecs.config\n")),
		})
		b.must(err)
		b.instance = fleet.InstanceID(launched.Instances[0].InstanceID)
	})
	b.aws.Server.Advance(30 * time.Minute) // boot, and the longest wait of the service scheduler
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) subnet(w *sim.World) string {
	b.t.Helper()
	out, err := w.DescribeSubnets(&sim.DescribeSubnetsInput{})
	b.must(err)
	return out.Subnets[0].SubnetID
}

func (b *bench) apply(clusters ...fleet.ClusterName) {
	b.t.Helper()
	var subnet string
	b.aws.World(func(w *sim.World) { subnet = b.subnet(w) })
	for _, name := range clusters {
		_, err := b.bus.Control().ApplyPolicy(b.t.Context(), name, fleet.Policy{
			Limits:      fleet.Limits{MaxInstances: 20},
			LaunchSpecs: []fleet.LaunchSpec{{Name: "default", Images: []string{image}, Subnets: []fleet.SubnetID{fleet.SubnetID(subnet)}}},
		}, nil)
		b.must(err)
	}
}

// want changes what the service wants.
func (b *bench) want(n int) {
	b.t.Helper()
	b.aws.World(func(w *sim.World) {
		_, err := w.UpdateService(&sim.UpdateServiceInput{Cluster: string(web), Service: "api", DesiredCount: &n})
		b.must(err)
	})
	b.aws.Server.Advance(10 * time.Second)
}

// watcher makes one with a bus and a process of its own.
func (b *bench) watcher(redis string, change ...func(*Config)) *Watcher {
	b.t.Helper()
	proc, err := service.New(b.t.Context(), "watcher", service.Config{LogFormat: "text", StallAfter: time.Minute}, b.log)
	b.must(err)
	b.t.Cleanup(func() { _ = proc.Stop(context.Background()) })
	c, err := cache.Open(b.t.Context(), cache.Config{URL: redis, Prefix: "neap:", Timeout: time.Second}, proc.Log)
	b.must(err)
	b.t.Cleanup(func() { _ = c.Close(context.Background()) })
	conn := bustest.Connect(b.t, bus.Config{URL: b.url, Log: proc.Log})
	cfg := Config{Installation: "neap", Assignment: service.Assignment{Replica: fmt.Sprintf("%s-%p", b.t.Name(), conn)}, Beat: 100 * time.Millisecond}
	for _, f := range change {
		f(&cfg)
	}
	return New(cfg, conn, c, b.aws.Account, proc)
}

// run runs a watcher until the returned function is called, or the test ends.
func (b *bench) run(w *Watcher) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				b.t.Errorf("watcher ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			b.t.Error("watcher does not stop")
		}
	})
	b.t.Cleanup(stop)
	return stop
}

// await polls until ok, and fails the test with the log if that takes too long.
func (b *bench) await(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			b.t.Fatalf("waited in vain until %s\n%s", what, b.log)
		}
	}
}

// awaitSnapshot waits for a snapshot of the cluster web that is as wanted.
func (b *bench) awaitSnapshot(what string, ok func(*fleet.Snapshot) bool) fleet.Snapshot {
	b.t.Helper()
	var s fleet.Snapshot
	b.await(what, func() bool {
		var err error
		s, _, err = b.bus.LatestSnapshot(b.t.Context(), web)
		if err != nil && !errors.Is(err, fleet.ErrNotFound) {
			b.t.Fatal(err)
		}
		return err == nil && ok(&s)
	})
	return s
}

func whole(s *fleet.Snapshot) bool {
	_, ok := s.Incomplete(fleet.AllSections()...)
	return ok
}

func desired(n int) func(*fleet.Snapshot) bool {
	return func(s *fleet.Snapshot) bool { return len(s.Services) == 1 && s.Services[0].Desired == n }
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

func (r *record) count(text string) int { return strings.Count(r.String(), text) }

func TestClusterBecomesSnapshot(t *testing.T) {
	b := newBench(t)
	redis := cachetest.StartRedis(t)
	b.apply(web)
	w := b.watcher(redis)
	stop := b.run(w)
	s := b.awaitSnapshot("all of the cluster is seen", whole)
	if s.Generation != 1 || s.Region != "us-east-1" || s.Account != "123456789012" {
		t.Errorf("snapshot of generation %d, region %q, account %q", s.Generation, s.Region, s.Account)
	}
	if len(s.Types) < 100 || len(s.Subnets) != 1 || len(s.Images) != 1 || len(s.Learned) != 1 {
		t.Errorf("%d types, %d subnets, %d images, %d learned; want many and one of each", len(s.Types), len(s.Subnets), len(s.Images), len(s.Learned))
	}
	if len(s.Instances) != 1 || s.Instances[0].ID != b.instance || s.Instances[0].Status != fleet.StatusActive {
		t.Fatalf("instances %+v, want %s, active", s.Instances, b.instance)
	}
	if len(s.Tasks) != 1 || s.Tasks[0].Running != 3 {
		t.Errorf("tasks %+v, want three on the instance", s.Tasks)
	}

	c, err := cache.Open(t.Context(), cache.Config{URL: redis, Prefix: "neap:", Timeout: time.Second}, w.proc.Log)
	b.must(err)
	defer c.Close(t.Context())
	b.await("people find the summary and the tasks", func() bool {
		sum, ok := cache.Get[Summary](t.Context(), c, SummaryKey(web))
		tasks, ok2 := cache.Get[[]snapshot.Task](t.Context(), c, TasksKey(web, s.Instances[0].ContainerInstance))
		return ok && ok2 && sum.TasksRunning == 3 && sum.TasksDesired == 3 && len(tasks) == 3
	})

	b.want(5)
	later := b.awaitSnapshot("the change is seen", desired(5))
	if !later.ReadStartedAt.After(s.ReadStartedAt) && !later.ReadStartedAt.Equal(s.ReadStartedAt) {
		t.Errorf("the newer snapshot was read at %s, the one before at %s", later.ReadStartedAt, s.ReadStartedAt)
	}

	// Another process finds in the cache what is slow to read.
	stop()
	const slow = "DescribeInstanceTypes"
	before := len(b.aws.Calls(slow))
	b.run(b.watcher(redis))
	b.want(6)
	b.awaitSnapshot("the new watcher sees all", func(s *fleet.Snapshot) bool { return whole(s) && desired(6)(s) })
	if after := len(b.aws.Calls(slow)); after != before {
		t.Errorf("the restarted watcher called %s %d times, want 0", slow, after-before)
	}
}

func TestWorksWithoutRedis(t *testing.T) {
	b := newBench(t)
	b.apply(web)
	redis := cachetest.Start(t)
	redis.Stop()
	b.run(b.watcher(redis.URL))
	b.awaitSnapshot("all of the cluster is seen", whole)
}

func TestAClusterThatDoesNotExistHoldsNobodyUp(t *testing.T) {
	b := newBench(t)
	b.run(b.watcher("", func(c *Config) { c.Assignment.Clusters = []fleet.ClusterName{"nope", web} }))
	b.await("the log tells of the missing cluster", func() bool { return b.log.count("cluster=nope err=") > 0 })
	for n := range 3 {
		b.want(10 + n)
		b.awaitSnapshot("the other cluster is watched", desired(10+n))
	}
	if n := b.log.count("nothing to watch"); n != 1 {
		t.Errorf("the missing cluster is reported %d times, want once\n%s", n, b.log)
	}
	if _, _, err := b.bus.LatestSnapshot(t.Context(), "nope"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("snapshot of a cluster that does not exist: %v, want ErrNotFound", err)
	}
	b.aws.World(func(w *sim.World) {
		_, err := w.CreateCluster(&sim.CreateClusterInput{ClusterName: "nope"})
		b.must(err)
	})
	b.await("the new cluster is watched", func() bool {
		_, _, err := b.bus.LatestSnapshot(t.Context(), "nope")
		return err == nil
	})
}

func TestASectionThatCannotBeReadIsPublishedAsSuch(t *testing.T) {
	b := newBench(t)
	b.apply(web)
	const always = 1 << 30
	b.aws.Lose("DescribeServices", always)
	b.run(b.watcher(""))
	s := b.awaitSnapshot("a snapshot without services is published", func(s *fleet.Snapshot) bool { return len(s.Instances) == 1 })
	if problem, ok := s.Incomplete(fleet.SectionServices); ok {
		t.Error("a section of which no answer came is complete")
	} else if !strings.Contains(problem, "describe") {
		t.Errorf("problem %q does not say what was being read", problem)
	}
	b.aws.Lose("DescribeServices", 0)
	b.awaitSnapshot("all is seen again", whole)
	b.await("the log says so", func() bool { return b.log.count("snapshot is complete again") > 0 })
	if n := b.log.count("msg=\"snapshot is incomplete\" service=watcher cluster=web section=services"); n != 1 {
		t.Errorf("the gap is logged %d times, want once\n%s", n, b.log)
	}
}

// slow makes a watcher that would sweep again only after the test.
func slow(queue string) func(*Config) {
	return func(c *Config) { c.Beat, c.EventQueue = time.Hour, queue }
}

func TestAnEventBringsTheSweepForward(t *testing.T) {
	b := newBench(t)
	b.apply(web)
	b.run(b.watcher("", slow(b.queue)))
	b.awaitSnapshot("all of the cluster is seen", whole)
	b.want(4)                                 // ECS places the fourth task, and says so
	b.awaitSnapshot("it is seen", desired(4)) // not on the beat
	b.aws.Server.Advance(30 * time.Second)    // the task starts
	b.awaitSnapshot("it runs", func(s *fleet.Snapshot) bool { return len(s.Tasks) == 1 && s.Tasks[0].Running == 4 })
}

// send puts an event into the queue, as EventBridge would.
func (b *bench) send(detailType, source, detail string) {
	b.t.Helper()
	body := fmt.Sprintf(`{"version":"0","detail-type":%q,"source":%q,"time":%q,"resources":[],"detail":%s}`,
		detailType, source, b.aws.Server.Now().UTC().Format(time.RFC3339), detail)
	b.aws.World(func(w *sim.World) {
		_, err := w.SendMessage(&sim.SendMessageInput{QueueURL: b.queue, MessageBody: body})
		b.must(err)
	})
}

func TestANoticeIsKeptUntilTheInstanceIsGone(t *testing.T) {
	b := newBench(t)
	b.apply(web)
	redis := cachetest.StartRedis(t)
	stop := b.run(b.watcher(redis, slow(b.queue)))
	b.awaitSnapshot("all of the cluster is seen", whole)
	interrupted := func(s *fleet.Snapshot) bool {
		return len(s.Instances) == 1 && s.Instances[0].Notice.Kind == fleet.NoticeInterruption
	}
	b.send("EC2 Spot Instance Interruption Warning", "aws.ec2", `{"instance-id":"i-0ffffffffffffffff","instance-action":"terminate"}`) // not ours
	b.send("EC2 Spot Instance Interruption Warning", "aws.ec2", fmt.Sprintf(`{"instance-id":%q,"instance-action":"terminate"}`, b.instance))
	b.awaitSnapshot("the notice is seen", interrupted)

	stop()
	b.run(b.watcher(redis)) // the event was deleted; the notice is in the cache
	b.want(4)
	b.awaitSnapshot("a restarted watcher knows the notice", func(s *fleet.Snapshot) bool { return desired(4)(s) && interrupted(s) })
}

func TestAProtectedInstanceIsMarked(t *testing.T) {
	b := newBench(t)
	b.apply(web)
	b.must(b.bus.Control().Protect(t.Context(), web, b.instance, bus.Protection{By: "ann", Why: "debugging"}))
	b.run(b.watcher(""))
	b.awaitSnapshot("the instance is protected", func(s *fleet.Snapshot) bool {
		return len(s.Instances) == 1 && strings.Contains(s.Instances[0].Protected, "debugging")
	})
}

func TestAnInstanceThatFailsItsStatusChecksIsMarked(t *testing.T) {
	b := newBench(t)
	b.apply(web)
	b.aws.World(func(w *sim.World) { b.must(w.Impair(b.instance)) })
	b.run(b.watcher(""))
	b.awaitSnapshot("the instance is impaired", func(s *fleet.Snapshot) bool {
		return len(s.Instances) == 1 && s.Instances[0].Impaired && s.Instances[0].AgentConnected
	})
}

func TestConfig(t *testing.T) {
	good := Config{Installation: "neap", Beat: time.Second}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // part of the error; empty: none
	}{
		"good":            {func(*Config) {}, ""},
		"a queue":         {func(c *Config) { c.EventQueue = "https://sqs.us-east-1.amazonaws.com/1/q" }, ""},
		"no installation": {func(c *Config) { c.Installation = "" }, "NEAP_INSTALLATION"},
		"no beat":         {func(c *Config) { c.Beat = -time.Second }, "BEAT"},
		"a queue's name":  {func(c *Config) { c.EventQueue = "neap-events" }, "EVENT_QUEUE_URL"},
	} {
		cfg := good
		c.change(&cfg)
		if err := cfg.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
