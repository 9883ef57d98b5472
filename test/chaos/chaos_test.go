package chaos_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/test/harness"
)

var (
	seed = flag.Uint64("seed", 1, "of the order of faults; 0 takes a random one")
	long = flag.Duration("for", 75*time.Second, "how long the storm lasts")
)

func TestMain(m *testing.M) { harness.Main(m, natsServer) }

// replicas of each service.
const replicas = 2

// leastKills is how many processes a storm kills at least, however short it is.
const leastKills = 20

// The load at first, and what it has to come to in the end.
const (
	most  = "service web desired 34\nservice api desired 8"
	least = "service web desired 2\nservice api desired 1"
	world = `
cluster web
task web cpu 512 memory 1024
task api cpu 1024 memory 2048
service web task web desired 8
service api task api desired 2
`
)

// storm is an installation to which things happen.
type storm struct {
	*harness.System
	rand *rand.Rand

	redis *cachetest.Server
	nats  []*node
	links map[string]*link // by name

	hit    map[string]*blow // what is under a fault, by its name
	counts map[string]int   // of the faults so far
}

// blow is a fault that has begun.
type blow struct {
	until time.Time
	undo  func()
}

// TestStorm is the storm.
func TestStorm(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d, for %s", *seed, *long)
	s := raise(t)
	s.Apply(harness.Policy(func(p *fleet.Policy) {
		half := 50
		p.LaunchSpecs[0].SpotPercentage = &half
	}))
	for _, name := range s.processes() {
		s.restart(name)
	}
	calm := s.Until("the cluster runs", s.rest()...)

	began := time.Now()
	for deadline := began.Add(*long); time.Now().Before(deadline) || s.counts["kill"] < leastKills; {
		s.turn()
	}
	stormed := s.Truth().History
	s.T.Logf("%d kills, %d instances launched, %d ended; faults: %s", s.counts["kill"], stormed.InstancesLaunched, stormed.InstancesTerminated, counted(s.counts))
	s.heal()
	healed := time.Now()
	for _, load := range []string{most, least} {
		s.Script(load)
		s.Until("everything is at rest again", append(s.rest(), roomy)...)
		s.T.Logf("at rest %s after the storm", time.Since(healed).Round(100*time.Millisecond))
	}
	changed := stormed.InstancesLaunched - calm.History.InstancesLaunched + stormed.InstancesTerminated - calm.History.InstancesTerminated
	if changed == 0 {
		t.Errorf("nothing was launched or ended in the storm: it left no room for anything to go wrong\n%s", s.Report(s.Truth()))
	}
	s.Audit()
}

// raise starts what the services stand on, and lays their links.
func raise(t *testing.T) *storm {
	t.Helper()
	s := &storm{
		rand: rand.New(rand.NewPCG(*seed, 0)),
		nats: natsCluster(t), redis: cachetest.Start(t),
		links: map[string]*link{}, hit: map[string]*blow{}, counts: map[string]int{},
	}
	var addrs []string
	for _, n := range s.nats {
		addrs = append(addrs, n.addr)
	}
	s.System = harness.StartOn(t, world, harness.Ground{NATS: urls(addrs), Redis: s.redis.URL, Replicas: nodes})
	return s
}

// processes lists the replicas of all services.
func (s *storm) processes() []string {
	var all []string
	for _, service := range harness.Services {
		for n := range replicas {
			all = append(all, fmt.Sprint(service, "-", n+1))
		}
	}
	return all
}

// restart starts a replica, which finds all others through links of its own.
func (s *storm) restart(name string) {
	service, number, _ := strings.Cut(name, "-")
	var n int
	if _, err := fmt.Sscan(number, &n); err != nil {
		s.T.Fatal(err)
	}
	var addrs []string
	for _, node := range s.nats {
		addrs = append(addrs, node.addr)
	}
	aws := s.through(name, "aws", host(s.T, s.AWSURL))[0]
	s.Start(service, n,
		"NATS_URL="+urls(s.through(name, "nats", addrs...)),
		"REDIS_URL=redis://"+s.through(name, "redis", s.redis.Addr)[0]+"/0",
		"AWS_ENDPOINT_URL=http://"+aws,
		"EVENT_QUEUE_URL=http://"+aws+"/"+harness.Account+"/"+harness.Queue,
	)
}

// through lays the link of a process to a thing unless it is there, and returns the
// addresses at its near end.
func (s *storm) through(process, to string, addrs ...string) []string {
	name := process + " to " + to
	if s.links[name] == nil {
		s.links[name], _ = proxied(s.T, name, addrs...)
	}
	var near []string
	for _, p := range s.links[name].proxies {
		near = append(near, p.Listen)
	}
	return near
}

// roomy holds when no instance is there that everything would fit without: the load and the
// headroom fill all instances but one, or two where the large tasks leave gaps.
func roomy(truth *sim.Truth) string {
	free, empty := 0, 0
	for _, i := range harness.Alive(truth) {
		free += int(min(i.Remaining.CPUUnits/512, i.Remaining.MemoryMiB/1024))
		if i.Tasks == 0 {
			empty++
		}
	}
	if free > 2+2*4 {
		return fmt.Sprintf("room for %d tasks of web is free, on %d empty instances and others", free, empty)
	}
	return ""
}

// rest lists what holds when nothing is left to do.
func (s *storm) rest() []harness.Condition {
	alive := func(*sim.Truth) string { s.supervise(); return "" }
	return []harness.Condition{alive, harness.AllRun, harness.Settled, harness.Room(fleet.HeadroomUnit{CPUUnits: 512, MemoryMiB: 1024, Count: 2}), s.Ended}
}

// counted lists faults with their numbers.
func counted(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}
