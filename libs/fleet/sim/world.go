package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"
)

// World is a simulated AWS account in one region. Make one with [New].
type World struct {
	cfg   Config
	now   time.Time
	queue queue
	ids   uint64 // things made so far

	source *rand.PCG // of rng: its state is part of the world's
	rng    *rand.Rand

	// ECS
	clusters    map[string]*cluster
	clusterRoll roll[*cluster]
	families    map[string]*family
	providers   []*provider
	groups      []*group
	settings    map[string]string

	// EC2
	instances    map[string]*instance
	instanceRoll roll[*instance]
	templates    []*template
	subnets      []*subnet
	types        []*instanceType // by name
	typeNamed    map[string]*instanceType
	images       []*image // by parameter
	launches     map[string]launchRecord
	shortages    map[offering]shortage
	prices       map[offering]int64   // spot prices that were set by hand
	vcpus        map[quotaClass]int64 // that count towards quotas
	quotas       map[quotaClass]int64 // vCPUs that a class may have, where it was set
	pools        map[offering]int     // instances that fill the capacity pool of an offering
	fleets       []*fleetRecord
	reserved     []ReservedInstances
	plans        []*savingsPlan
	stalls       int                  // launches to come whose agents will not come up
	zonesDown    map[string]time.Time // until when zones are lost

	// Agents
	flapsPerHour      float64 // per agent
	flapRound         int     // counts how often that was set
	trunkFailures     int     // trunk interfaces to come that fail
	interruptions     float64 // times as often as the catalogue says
	interruptionRound int     // counts how often that was set

	// SQS
	queues     []*messageQueue
	subscribed []subscription
	faults     EventFaults
	rules      []*rule // by name

	// The account
	limits  limits
	outages []Outage // the oldest first

	seen         History
	record       func(Entry) // of everything that happens; nil is off
	recorded     uint64
	advancing    bool // time passes, and what falls due happens
	scriptErrors []error
}

// New makes an empty world: subnets, images and a catalogue, but no cluster. It reports
// what is wrong with the configuration, by field, value and remedy.
func New(cfg Config) (*World, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("make world: %w", err)
	}
	w := &World{
		cfg: cfg, now: cfg.Start,
		source:   rand.NewPCG(cfg.Seed, mix(cfg.Seed)),
		clusters: map[string]*cluster{}, families: map[string]*family{}, settings: map[string]string{},
		instances: map[string]*instance{}, launches: map[string]launchRecord{},
		shortages: map[offering]shortage{}, prices: map[offering]int64{}, vcpus: map[quotaClass]int64{},
		quotas: map[quotaClass]int64{}, pools: map[offering]int{},
	}
	w.rng = rand.New(w.source)
	w.flapsPerHour, w.interruptions = cfg.AgentFlaps, cfg.SpotInterruptions
	if cfg.Trunking {
		w.settings[settingTrunking] = settingEnabled
	}
	if err := w.stock(); err != nil {
		return nil, fmt.Errorf("make world: %w", err)
	}
	w.addSubnets()
	w.addImages()
	for _, name := range cfg.EventQueues {
		out, err := w.CreateQueue(&CreateQueueInput{QueueName: name})
		if err != nil {
			return nil, fmt.Errorf("make world: event queue: %w", err)
		}
		if err := w.Subscribe(out.QueueURL); err != nil {
			return nil, fmt.Errorf("make world: %w", err)
		}
	}
	return w, nil
}

// Now is the virtual time.
func (w *World) Now() time.Time { return w.now }

// Advance runs everything that falls due until the given time, in order, and sets the
// time to it. A time in the past does nothing. With n things to come each costs O(log n)
// beside what it does, which for a step of a task does not depend on the size of the world,
// and for a look at a service grows with its own tasks.
func (w *World) Advance(to time.Time) {
	w.advancing = true
	for len(w.queue.heap) > 0 && !w.queue.heap[0].at.After(to) {
		next := w.queue.pop()
		w.now = next.at
		next.what.happen(w)
	}
	w.advancing = false
	if to.After(w.now) {
		w.now = to
	}
}

// Next is when the next thing falls due; ok is false if nothing will happen by itself.
func (w *World) Next() (at time.Time, ok bool) {
	if len(w.queue.heap) == 0 {
		return time.Time{}, false
	}
	return w.queue.heap[0].at, true
}

// Region is the region the world simulates.
func (w *World) Region() string { return w.cfg.Region }

// Account is the account the world simulates.
func (w *World) Account() string { return w.cfg.Account }

// arn is the ARN of a resource of the account: arn("ecs", "cluster/web").
func (w *World) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + w.cfg.Region + ":" + w.cfg.Account + ":" + resource
}

// next counts the things of the world, so that lists have an order.
func (w *World) next() uint64 {
	w.ids++
	return w.ids
}

// Config says what world to make. The zero value of each field means its default.
type Config struct {
	Seed     uint64
	Start    time.Time // virtual time at the beginning; default 2026-01-05T09:00:00Z
	Region   string    // default us-east-1
	Account  string    // default 123456789012
	Zones    []Zone    // default the first three of the region
	Subnets  []Subnet  // default one per zone, all in one VPC
	Delays   Delays    // default [FastDelays]; every field that is 0 is filled in from it
	Trunking bool      // account setting awsvpcTrunking is enabled
	Endpoint string    // base of queue URLs; default that of the region
	// EventQueues are queues that exist from the beginning and get every event.
	EventQueues []string
	// ExactScalingSteps lets managed scaling grow a group of several types or zones by its
	// minimum scaling step and nothing else. The API reference says that of it, the
	// developer guide computes the step for such groups, too; default no, which is faster.
	ExactScalingSteps bool
	// WakeOnRegister lets a service that backed off try again when an instance registers.
	// Whether ECS does so is not documented; default no.
	WakeOnRegister bool
	// DrainHonoursProtection lets DRAINING leave tasks with scale-in protection alone.
	// Whether ECS does so is not documented; default no, which is the harder case.
	DrainHonoursProtection bool
	// RequireInstanceProfile keeps agents from registering on instances without an instance
	// profile, as they get no credentials there; default no.
	RequireInstanceProfile bool
	// PlatformIgnored lets ECS place tasks without regard to their runtimePlatform. Whether
	// it regards it on EC2 is not documented; default no.
	PlatformIgnored bool
	// BootFailures is the share of launches whose agent never comes up; default none.
	BootFailures float64
	// RegisterAnew is after which time a live agent whose instance was deregistered by force
	// registers again, under another ARN. Whether and when agents do is not documented;
	// default one hour, which is when they ask ECS again. [None] is never.
	RegisterAnew time.Duration
	// AgentFlaps is how often per hour each agent loses its connection; default never. See
	// [World.FlapAgents].
	AgentFlaps float64
	// SpotInterruptions lets EC2 take spot instances by itself; default never. See
	// [World.SetInterruptions].
	SpotInterruptions float64
	// ZoneLossTakes is the share of the instances of a lost zone that do not come back with
	// it; default none.
	ZoneLossTakes float64
	// ZoneLossFailsDescribe lets DescribeInstances fail as a whole when it names an instance
	// of a lost zone, which EC2 is documented to do at times; default no.
	ZoneLossFailsDescribe bool
	// VCPUQuota bounds the vCPUs of running instances of each class of types, such as
	// Standard or G/VT, by lifecycle; 0 is no bound. [World.SetQuota] bounds one class.
	VCPUQuota struct{ OnDemand, Spot int64 }
	// FinitePools lets offerings run out of capacity when as many instances run as their
	// pools have: some thousand vCPUs of a type in a zone, by the seed. Default no.
	FinitePools bool
	// SecurityGroups are the IDs of the groups that exist beside the default one. If there
	// are none, every ID that looks like one is taken for a group.
	SecurityGroups []string
}

// Zone is an availability zone of the simulated region.
type Zone struct {
	Name string // "us-east-1a"
	ID   string // "use1-az1"; default made from the name
}

// Subnet is a subnet of the simulated account.
type Subnet struct {
	ID            string
	VPC           string // default vpc-0a1b2c3d4e5f60718
	Zone          string
	CIDR          string // default 10.0.16·n.0/20
	FreeAddresses int    // before anything is launched; default what the CIDR leaves
	Tags          []Tag
}

const (
	defaultRegion  = "us-east-1"
	defaultAccount = "123456789012"
	defaultVPC     = "vpc-0a1b2c3d4e5f60718"
)

// defaultStart is a Monday morning, when load is rising.
var defaultStart = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

var (
	regionPattern  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
)

func (c Config) withDefaults() (Config, error) {
	if c.Start.IsZero() {
		c.Start = defaultStart
	}
	c.Start = c.Start.UTC()
	if c.Region == "" {
		c.Region = defaultRegion
	}
	if c.Account == "" {
		c.Account = defaultAccount
	}
	if c.Endpoint == "" {
		c.Endpoint = "https://sqs." + c.Region + ".amazonaws.com"
	}
	c.Endpoint = strings.TrimSuffix(c.Endpoint, "/")
	if !regionPattern.MatchString(c.Region) {
		return c, fmt.Errorf("region %q: write it like us-east-1", c.Region)
	}
	if !accountPattern.MatchString(c.Account) {
		return c, fmt.Errorf("account %q: write 12 digits", c.Account)
	}
	if len(c.Zones) == 0 {
		for _, letter := range "abc" {
			c.Zones = append(c.Zones, Zone{Name: c.Region + string(letter)})
		}
	}
	for i := range c.Zones {
		if c.Zones[i].Name == "" {
			return c, errors.New("zone without a name: write it like us-east-1a")
		}
		if c.Zones[i].ID == "" {
			c.Zones[i].ID = zoneID(c.Region, i)
		}
	}
	if len(c.Subnets) == 0 {
		for i, z := range c.Zones {
			c.Subnets = append(c.Subnets, Subnet{ID: fmt.Sprintf("subnet-%017x", 0xa0+i), Zone: z.Name})
		}
	}
	c.Delays = c.Delays.withDefaults()
	if err := c.completeAgents(); err != nil {
		return c, err
	}
	return c, c.completeSubnets()
}

// completeAgents fills in what is left open about agents and checks it.
func (c *Config) completeAgents() error {
	if c.RegisterAnew == 0 {
		c.RegisterAnew = time.Hour
	}
	for _, f := range []struct {
		name  string
		value float64
		most  float64
	}{
		{"boot failures", c.BootFailures, 1},
		{"agent flaps", c.AgentFlaps, 3600},
		{"spot interruptions", c.SpotInterruptions, 1e6},
		{"zone loss takes", c.ZoneLossTakes, 1},
	} {
		if !(f.value >= 0 && f.value <= f.most) {
			return fmt.Errorf("%s %v: write a number from 0 to %v", f.name, f.value, f.most)
		}
	}
	return nil
}

// completeSubnets fills in what the subnets leave open and checks them.
func (c *Config) completeSubnets() error {
	known := map[string]bool{}
	for i := range c.Subnets {
		s := &c.Subnets[i]
		switch {
		case s.ID == "" || known[s.ID]:
			return fmt.Errorf("subnet %q: give each subnet an ID of its own", s.ID)
		case !c.hasZone(s.Zone):
			return fmt.Errorf("subnet %s: zone %q is not one of the world's zones", s.ID, s.Zone)
		}
		known[s.ID] = true
		if s.VPC == "" {
			s.VPC = defaultVPC
		}
		if s.CIDR == "" {
			s.CIDR = fmt.Sprintf("10.%d.%d.0/20", i/16, i%16*16)
		}
		_, size, err := parseCIDR(s.CIDR)
		if err != nil {
			return fmt.Errorf("subnet %s: %w", s.ID, err)
		}
		if s.FreeAddresses == 0 {
			s.FreeAddresses = int(size) - 5 // that AWS keeps
		}
	}
	return nil
}

func (c *Config) hasZone(name string) bool {
	for _, z := range c.Zones {
		if z.Name == name {
			return true
		}
	}
	return false
}

// zoneID makes an ID as AWS does: us-east-1 and 0 make use1-az1.
func zoneID(region string, index int) string {
	parts := strings.Split(region, "-")
	short := parts[0]
	for _, p := range parts[1:] {
		short += p[:1]
	}
	return fmt.Sprintf("%s-az%d", short, index+1)
}
