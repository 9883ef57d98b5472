package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// machineState is the state of an EC2 instance.
type machineState int

// The states of EC2 instances that the world knows, with EC2's codes.
const (
	machinePending      machineState = 0
	machineRunning      machineState = 16
	machineShuttingDown machineState = 32
	machineTerminated   machineState = 48
)

func (s machineState) describe() InstanceState {
	names := map[machineState]string{
		machinePending: "pending", machineRunning: "running", machineShuttingDown: "shutting-down", machineTerminated: "terminated",
	}
	return InstanceState{Code: int(s), Name: names[s]}
}

// instance is an EC2 instance.
type instance struct {
	seq         uint64
	id          string
	reservation string
	kind        *instanceType
	subnet      *subnet
	image       *image
	spot        bool
	state       machineState
	launched    time.Time
	ended       time.Time
	forgotten   bool
	why         StateReason

	ip        string
	userData  string // decoded
	token     string // client token of its launch
	profile   *IamInstanceProfile
	groups    []string
	keyName   string
	threads   int
	provider  string // capacity provider of its auto scaling group
	protected bool   // against termination by the API
	tags      []Tag

	host    *containerInstance
	agent   agentConfig
	notice  time.Time // when it was told of its interruption
	stalled bool      // its agent does not come up
}

func (m *instance) order() uint64 { return m.seq }
func (m *instance) gone() bool    { return m.forgotten }

// tag is the value of a tag, or "".
func (m *instance) tag(key string) string {
	for _, t := range m.tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

// alive reports whether the instance is there and paid for.
func (m *instance) alive() bool { return m.state == machinePending || m.state == machineRunning }

// subnet is a subnet with the addresses that are left.
type subnet struct {
	Subnet
	free int
	used uint32 // addresses ever given out
}

func (w *World) addSubnets() {
	for _, s := range w.cfg.Subnets {
		w.subnets = append(w.subnets, &subnet{Subnet: s, free: s.FreeAddresses})
	}
}

func (w *World) subnet(id string) *subnet {
	for _, s := range w.subnets {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// address is the next address of a subnet. A world that runs for long uses them again.
func (w *World) address(s *subnet) string {
	s.used++
	base, size, err := parseCIDR(s.CIDR)
	if err != nil {
		panic(fmt.Sprintf("sim: %v", err)) // New has checked it
	}
	const kept = 4 // AWS keeps the first four and the last
	n := base + kept + (s.used-1)%max(size-kept-1, 1)
	return fmt.Sprintf("%d.%d.%d.%d", n>>24, n>>16&255, n>>8&255, n&255)
}

// parseCIDR reads a block of IPv4 addresses: its first address and how many there are.
func parseCIDR(text string) (base, size uint32, err error) {
	var a, b, c, d, bits uint32
	_, err = fmt.Sscanf(text, "%d.%d.%d.%d/%d", &a, &b, &c, &d, &bits)
	const fewest, most = 16, 28 // the block sizes that a subnet may have
	if err != nil || max(a, b, c, d) > 255 || bits < fewest || bits > most {
		return 0, 0, fmt.Errorf("CIDR %q: write it like 10.0.16.0/20, from /%d to /%d", text, fewest, most)
	}
	size = 1 << (32 - bits)
	return (a<<24 | b<<16 | c<<8 | d) &^ (size - 1), size, nil
}

// launch makes one instance, checked before.
func (w *World) launch(reservation, token string, o candidate) *instance {
	m := &instance{
		seq: w.next(), id: "i-" + w.hex("instance", 17), reservation: reservation, token: token,
		kind: o.kind, subnet: o.subnet, image: o.image, spot: o.spot, launched: w.now, ip: w.address(o.subnet),
		userData: o.userData, profile: o.profile, groups: o.groups, keyName: o.keyName, threads: o.threads,
		protected: o.protected, tags: sortedTags(o.tags),
	}
	if w.stalls > 0 {
		m.stalled = true
		w.stalls--
	}
	o.subnet.free--
	w.instances[m.id] = m
	w.instanceRoll.add(m)
	w.seen.launched(m)
	w.vcpus[m.spot] += m.kind.vcpus
	w.tellMachine(m)
	w.in(w.delay(w.cfg.Delays.Pending, "pending", m.id), machineStarted{m})
	return m
}

// machineStarted ends pending.
type machineStarted struct{ m *instance }

func (e machineStarted) happen(w *World) {
	m := e.m
	if m.state != machinePending {
		return
	}
	m.state = machineRunning
	w.tellMachine(m)
	m.agent = parseUserData(m.userData)
	if m.agent.cluster == "" || !m.image.agent || m.stalled {
		return
	}
	w.in(w.delay(w.cfg.Delays.Register, "register", m.id), agentStarted{m, firstRetry})
}

// agentStarted is an attempt of the agent to register.
type agentStarted struct {
	m     *instance
	retry time.Duration
}

// The agent tries again after 3 s, then longer, up to 192 s, for an hour.
const (
	firstRetry = 3 * time.Second
	lastRetry  = 192 * time.Second
	retryFor   = time.Hour
)

func (e agentStarted) happen(w *World) {
	m := e.m
	if m.state != machineRunning || m.host != nil || m.stalled {
		return
	}
	if m.tooLate(w.now) {
		w.seen.LateBoots++
		w.terminate(m, StateReason{"Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown"})
		return
	}
	c, err := w.cluster(m.agent.cluster)
	if err != nil {
		if w.now.Sub(m.launched) < retryFor {
			w.in(e.retry, agentStarted{m, min(2*e.retry, lastRetry)})
		}
		return
	}
	w.register(m, c, m.agent)
}

// tooLate reports whether the user data tells the instance to shut down instead of joining.
func (m *instance) tooLate(now time.Time) bool {
	a := &m.agent
	return !a.deadline.IsZero() && now.After(a.deadline) || a.bootWithin > 0 && now.Sub(m.launched) > a.bootWithin
}

// terminate begins the end of an instance. Its agent is gone soon; ECS deregisters it if
// the agent was connected, else a ghost of it stays registered.
func (w *World) terminate(m *instance, why StateReason) {
	if !m.alive() {
		return
	}
	m.state, m.why, m.ended = machineShuttingDown, why, w.now
	w.tellMachine(m)
	if h := m.host; h != nil && h.connected {
		w.in(w.delay(w.cfg.Delays.Disconnect, "disconnect", m.id), agentLost{h})
	}
	w.in(w.delay(w.cfg.Delays.Terminate, "terminate", m.id), machineEnded{m, m.host != nil && m.host.connected})
}

// agentLost is when ECS sees that the agent of a terminating instance is gone.
type agentLost struct{ h *containerInstance }

func (e agentLost) happen(w *World) { w.setConnected(e.h, false) }

// machineEnded ends shutting-down.
type machineEnded struct {
	m         *instance
	connected bool // the agent was when the end began
}

func (e machineEnded) happen(w *World) {
	m := e.m
	m.state = machineTerminated
	m.subnet.free++
	w.vcpus[m.spot] -= m.kind.vcpus
	w.tellMachine(m)
	w.in(w.cfg.Delays.Linger, machineForgotten{m})
	if m.host != nil && e.connected {
		code := stopByTermination
		if !m.notice.IsZero() {
			code = stopBySpot
		}
		w.deregister(m.host, code, fmt.Sprintf("Host EC2 (instance %s) terminated.", m.id))
	}
}

// machineForgotten is when EC2 no longer lists a terminated instance.
type machineForgotten struct{ m *instance }

func (e machineForgotten) happen(w *World) {
	e.m.forgotten = true
	delete(w.instances, e.m.id)
	w.instanceRoll.bury()
}

// visible reports whether DescribeInstances knows the instance already.
func (w *World) visible(m *instance) bool { return !w.now.Before(m.launched.Add(w.cfg.Delays.Visible)) }

// describe is the instance as DescribeInstances shows it.
func (m *instance) describe() Instance {
	out := Instance{
		InstanceID: m.id, ImageID: m.image.ImageID, State: m.state.describe(), KeyName: m.keyName,
		InstanceType: m.kind.name, LaunchTime: Timestamp{m.launched},
		Placement: Placement{AvailabilityZone: m.subnet.Zone, Tenancy: "default"}, Architecture: m.image.Architecture,
		ClientToken: m.token, Tags: slices.Clone(m.tags), IamInstanceProfile: m.profile, PlatformDetails: "Linux/UNIX",
		CPUOptions: CPUOptions{CoreCount: int(m.kind.cores()), ThreadsPerCore: cmp.Or(m.threads, int(m.kind.threads()))},
	}
	if m.spot {
		out.InstanceLifecycle, out.SpotInstanceRequestID = "spot", "sir-"+m.id[2:10]
	}
	if m.alive() {
		out.SubnetID, out.VpcID, out.PrivateIPAddress = m.subnet.ID, m.subnet.VPC, m.ip
		out.PrivateDNSName = "ip-" + dashed(m.ip) + ".ec2.internal"
		for _, g := range m.groups {
			out.SecurityGroups = append(out.SecurityGroups, GroupIdentifier{GroupID: g, GroupName: g})
		}
		return out
	}
	out.StateReason = &m.why
	out.StateTransitionReason = fmt.Sprintf("User initiated (%s)", m.ended.Format("2006-01-02 15:04:05 MST"))
	return out
}

func dashed(ip string) string {
	b := []byte(ip)
	for i := range b {
		if b[i] == '.' {
			b[i] = '-'
		}
	}
	return string(b)
}

// threads is how many threads a core has: one on Graviton and on small AMD sizes.
func (t *instanceType) threads() int64 {
	if t.arm || t.vcpus == 1 {
		return 1
	}
	return 2
}

func (t *instanceType) cores() int64 { return t.vcpus / t.threads() }
