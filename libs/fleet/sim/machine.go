package sim

import (
	"fmt"
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
	machineStopping     machineState = 64
	machineStopped      machineState = 80
)

func (s machineState) describe() InstanceState {
	names := map[machineState]string{
		machinePending: "pending", machineRunning: "running", machineShuttingDown: "shutting-down", machineTerminated: "terminated",
		machineStopping: "stopping", machineStopped: "stopped",
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
	started     time.Time // again, after it was stopped
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
	provider  string // capacity provider that the side door gave it
	group     *group // its auto scaling group
	protected bool   // against termination by the API
	held      bool   // protected against stopping by the API
	tags      []Tag
	request   string // what its launch is remembered as, if it had a client token

	was     machineState // before the state that it has since it turned
	turned  time.Time
	oldTags []Tag // before tags, which it has since it was tagged
	tagged  time.Time

	occupies      bool // its quota and its pool
	metadata      MetadataOptions
	monitored     bool
	ebsOptimized  bool
	volumes       []BlockDeviceMapping
	volumeTags    []Tag
	interfaceTags []Tag
	planned       []StatusEvent // what EC2 has planned for it

	host    *containerInstance
	agent   agentConfig
	notice  time.Time // when it was told of its interruption
	stalled bool      // its agent does not come up
	failing bool      // EC2's status checks of it fail
	joins   time.Time // since when its agent tries to register, in vain
	trouble string    // why it has not registered
	orphans int       // tasks that ECS no longer knows and nobody stopped
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

// alive reports whether the instance runs and is paid for.
func (m *instance) alive() bool { return m.state == machinePending || m.state == machineRunning }

// ending reports whether the instance has ended or is about to.
func (m *instance) ending() bool {
	return m.state == machineShuttingDown || m.state == machineTerminated
}

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
		protected: o.protected, tags: sortedTags(o.tags), tagged: w.now,
	}
	o.hang(m)
	if w.stalls > 0 {
		m.stalled = true
		w.stalls--
	}
	o.subnet.free--
	w.instances[m.id] = m
	w.instanceRoll.add(m)
	w.seen.launched(m)
	w.occupy(m)
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
	w.turn(m, machineRunning)
	w.boot(m)
	if m.host != nil {
		w.in(w.bootDelay(m), tasksGone{m.host})
	}
}

// terminate begins the end of an instance. Its agent is gone soon; ECS deregisters it if
// the agent was connected, else a ghost of it stays registered.
func (w *World) terminate(m *instance, why StateReason) {
	if m.ending() {
		return
	}
	m.why, m.ended = why, w.now
	w.turn(m, machineShuttingDown)
	w.memberEnds(m)
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
	w.turn(m, machineTerminated)
	m.subnet.free++
	w.vacate(m)
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
	w.expire(e.m)
	delete(w.instances, e.m.id)
	w.instanceRoll.bury()
}

// threads is how many threads a core has: one on Graviton and on small AMD sizes.
func (t *instanceType) threads() int64 {
	if t.arm || t.vcpus == 1 {
		return 1
	}
	return 2
}

func (t *instanceType) cores() int64 { return t.vcpus / t.threads() }
