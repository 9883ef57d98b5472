package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// The statuses that only container instances have.
const (
	statusRegistering = "REGISTERING"
	statusFailed      = "REGISTRATION_FAILED"
)

// Built-in attributes.
const (
	attributeArchitecture = "ecs.cpu-architecture"
	attributeTrunk        = "ecs.awsvpc-trunk-id"
	attributeOSType       = "ecs.os-type"
	attributeOSFamily     = "ecs.os-family"
)

// containerInstance is an EC2 instance as ECS knows it.
type containerInstance struct {
	seq       uint64
	id, arn   string
	cluster   *cluster
	machine   *instance
	status    string
	connected bool
	version   int64
	since     time.Time // registered at
	provider  string

	registered fleet.Resources // ENIs are the slots for tasks in awsvpc mode
	remaining  fleet.Resources
	builtin    map[string]string
	custom     map[string]string
	trunk      string
	all        []Attribute // every attribute by name, once somebody asked; nil after a change
	allOf      *Attribute  // the first of the attributes that allText is of
	allText    []byte      // attributes as JSON, once an event had them
	noted      string      // what history tells of it
	tags       []Tag

	node             int     // in the cluster's placement
	place            int     // among the instances of its zone
	tasks            []*task // that have not ended, in the order they came
	taskRoll         roll[*task]
	running, pending int

	// The agent's own account of the room: containers that are stopping still hold it.
	held  fleet.Resources
	queue []*task // waiting for that room, first come first served

	reserved     fleet.Ports     // that tasks cannot have
	stopTimeout  time.Duration   // of containers that have none of their own
	images       map[string]bool // that were pulled
	away         time.Time       // until when the agent stays disconnected
	late         []taskStep      // what it has done meanwhile, which ECS does not know
	statusReason string
}

func (h *containerInstance) order() uint64 { return h.seq }
func (h *containerInstance) gone() bool    { return h.status == statusInactive }

// register makes a container instance of an EC2 instance, as its agent asks.
func (w *World) register(m *instance, c *cluster, agent agentConfig) {
	id := w.hex("container-instance", 32)
	h := &containerInstance{
		seq: w.next(), id: id, arn: w.arn("ecs", "container-instance/"+c.name+"/"+id), cluster: c, machine: m,
		status: statusActive, connected: true, since: w.now, custom: agent.attributes, tags: agent.tagsOf(m), provider: w.providerOf(m, c),
		builtin: m.builtin(), registered: w.registers(m), reserved: m.reservedPorts(), stopTimeout: agent.stops(),
	}
	if w.settings[settingTrunking] == settingEnabled && m.trunks() {
		h.status, h.trunk = statusRegistering, "eni-"+w.hex("trunk", 17)
		h.registered.ENIs = m.kind.trunkTasks
		h.builtin["ecs.capability.task-eni-trunking"] = ""
		h.builtin["ecs.capability.branch-cni-plugin-version"] = "2024.09.0"
	}
	h.remaining = h.registered
	m.host = h
	c.hosts[id] = h
	c.hostRoll.add(h)
	h.node = c.placement.Add(h.placementNode())
	c.byNode[h.node] = h
	c.join(h)
	w.hostChanged(h)
	if h.status == statusRegistering {
		w.in(w.delay(w.cfg.Delays.Trunk, "trunk", id), hostReady{h})
		return
	}
	w.planFlap(h)
	w.ready(h)
}

// placementNode is the instance as placement sees it.
func (h *containerInstance) placementNode() place.Node {
	n := place.Node{
		ID: h.machine.id, Zone: fleet.Zone(h.machine.subnet.Zone), Attributes: h.attributeSet(),
		Total: h.registered, Free: h.registered, UsedPorts: h.reserved, Schedulable: h.schedulable(),
		CapacityProvider: h.provider, AgentVersion: agentVersion, RegisteredAt: h.since,
	}
	if h.trunk != "" {
		n.Own = []fleet.Attribute{{Name: attributeTrunk, Value: h.trunk}}
	}
	return n
}

// attributeSet is the attributes that may be the same on other instances, shared.
func (h *containerInstance) attributeSet() *place.Attributes {
	var list []fleet.Attribute
	var key strings.Builder
	for _, set := range []map[string]string{h.builtin, h.custom} {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			list = append(list, fleet.Attribute{Name: name, Value: set[name]})
			fmt.Fprintf(&key, "%s=%s\n", name, set[name])
		}
	}
	shared := h.cluster.attributeSet[key.String()]
	if shared == nil {
		shared = place.NewAttributes(list...)
		h.cluster.attributeSet[key.String()] = shared
	}
	return shared
}

func (h *containerInstance) schedulable() bool { return h.status == statusActive && h.connected }

// hostReady ends REGISTERING: the trunk interface is attached.
type hostReady struct{ h *containerInstance }

func (r hostReady) happen(w *World) {
	h := r.h
	switch {
	case h.status != statusRegistering:
		return
	case !h.connected:
		w.in(w.cfg.Delays.Reconnect, r) // the agent has yet to confirm it
		return
	case w.trunkFailures > 0:
		w.trunkFailures--
		h.status, h.connected = statusFailed, false
		h.statusReason = "The trunk network interface " + h.trunk + " could not be attached to the instance."
		w.hostChanged(h)
		return
	}
	h.status = statusActive
	w.hostChanged(h)
	w.planFlap(h)
	w.ready(h)
}

// ready lets tasks come: those of daemon services first, for which ECS keeps room.
func (w *World) ready(h *containerInstance) {
	w.reopen(h)
	w.zoneOpened(h)
	for _, s := range h.cluster.daemons {
		w.wake(s, 0)
		w.placeDaemon(s, h)
	}
	if w.cfg.WakeOnRegister {
		for s := range h.cluster.serviceRoll.all {
			s.nextTry = w.now
			w.wake(s, 0)
		}
	}
}

// reopen tells placement whether the instance takes tasks now.
func (w *World) reopen(h *containerInstance) {
	if h.schedulable() {
		h.cluster.placement.Open(h.node)
	} else {
		h.cluster.placement.Close(h.node)
	}
}

// hostChanged notes a change of the instance that ECS would report.
func (w *World) hostChanged(h *containerInstance) {
	h.version++
	w.tellHost(h)
}

// free gives the room of a task back to placement. A network interface stays attached
// until the task has ended.
func (h *containerInstance) free(t *task) {
	back := t.kind.needs
	if h.status != statusInactive {
		h.cluster.placement.Take(h.node, t.kind.Task, 1)
		h.cluster.placement.Reserve(h.node, fleet.Resources{ENIs: back.ENIs})
	}
	back.ENIs = 0
	h.remaining = h.remaining.Add(back)
}

// enqueue gives a task to the agent, which starts it once it has room.
func (w *World) enqueue(t *task) {
	t.host.queue = append(t.host.queue, t)
	w.admit(t.host)
}

// dequeue takes a task from the agent that it has not started.
func (w *World) dequeue(t *task) {
	h := t.host
	before := len(h.queue)
	h.queue = slices.DeleteFunc(h.queue, func(other *task) bool { return other == t })
	if len(h.queue) < before {
		w.admit(h)
	}
}

// admit starts queued tasks in order, as far as containers that have not ended leave room.
func (w *World) admit(h *containerInstance) {
	for len(h.queue) > 0 && h.connected {
		t := h.queue[0]
		need := t.kind.needs
		need.ENIs = 0
		if !need.Fits(h.registered.Sub(h.held)) {
			return
		}
		h.queue = h.queue[1:]
		h.held = h.held.Add(need)
		t.admitted, t.pullStartedAt = true, w.now
		w.stepIn(t, w.pull(t))
	}
}

// release gives the agent back what a task held.
func (w *World) release(t *task) {
	if !t.admitted {
		return
	}
	t.admitted = false
	held := t.kind.needs
	held.ENIs = 0
	t.host.held = t.host.held.Sub(held)
	w.admit(t.host)
}

// attach gives a task its network interface and an address of its subnet.
func (w *World) attach(t *task) {
	zone := t.host.machine.subnet.Zone
	var in *subnet
	if n := t.subnets; n != nil && n.AwsvpcConfiguration != nil {
		for _, id := range n.AwsvpcConfiguration.Subnets {
			if s := w.subnet(id); s != nil && s.Zone == zone && (in == nil || s.free > in.free) {
				in = s
			}
		}
	}
	in = cmp.Or(in, t.host.machine.subnet)
	in.free--
	t.network = &taskInterface{attachment: w.uuid("attachment"), id: "eni-" + w.hex("eni", 17), ip: w.address(in), subnet: in}
}

// detach takes the network interface away: its slot is free again.
func (w *World) detach(t *task) {
	if t.network == nil {
		return
	}
	t.network.subnet.free++
	h := t.host
	slot := fleet.Resources{ENIs: t.kind.needs.ENIs}
	h.remaining = h.remaining.Add(slot)
	if h.status != statusInactive {
		h.cluster.placement.Release(h.node, slot)
	}
}

// setConnected changes whether the agent is connected.
func (w *World) setConnected(h *containerInstance, connected bool) {
	if h.connected == connected || h.status == statusInactive {
		return
	}
	h.connected = connected
	w.reopen(h)
	w.hostChanged(h)
	if connected {
		w.catchUp(h)
		w.admit(h)
		w.ready(h)
	}
}

// setDraining sets an active instance to DRAINING. Tasks of services are replaced by
// their schedulers; standalone tasks stay.
func (w *World) setDraining(h *containerInstance) {
	h.status = statusDraining
	w.reopen(h)
	w.hostChanged(h)
	w.wakeServicesOn(h)
}

// setActive takes DRAINING back.
func (w *World) setActive(h *containerInstance) {
	h.status = statusActive
	w.hostChanged(h)
	w.ready(h)
	w.wakeServicesOn(h)
}

func (w *World) wakeServicesOn(h *containerInstance) {
	for _, t := range h.tasks {
		if t.service != nil {
			w.wake(t.service, 0)
		}
	}
	w.wakeDaemons(h.cluster)
}

func (w *World) wakeDaemons(c *cluster) {
	for _, s := range c.daemons {
		w.wake(s, 0)
	}
}

// deregister ends a container instance. Its tasks must have ended or are lost.
func (w *World) deregister(h *containerInstance, code, reason string) {
	if h.status == statusInactive {
		return
	}
	w.orphan(h)
	for _, t := range slices.Clone(h.tasks) {
		w.lose(t, code, reason)
	}
	h.status, h.connected, h.late = statusInactive, false, nil
	h.machine.host = nil
	c := h.cluster
	c.placement.Remove(h.node)
	delete(c.byNode, h.node)
	c.leave(h)
	c.hostRoll.bury()
	delete(c.hosts, h.id)
	c.past[h.id] = h
	w.in(w.cfg.Delays.Linger, hostForgotten{h})
	w.hostChanged(h)
	w.wakeDaemons(c)
	w.compact(c)
}

// hostForgotten is when an INACTIVE container instance is no longer described.
type hostForgotten struct{ h *containerInstance }

func (f hostForgotten) happen(w *World) { delete(f.h.cluster.past, f.h.id) }

// compact makes the placement anew when most of its nodes are of the past.
func (w *World) compact(c *cluster) {
	const few = 64 // below that it is not worth it
	if c.placement.Len() < 2*len(c.hosts)+few {
		return
	}
	c.placement = place.New()
	clear(c.byNode)
	for h := range c.hostRoll.all {
		h.node = c.placement.Add(h.placementNode())
		c.byNode[h.node] = h
		c.putTasks(h)
	}
}

// putTasks puts the tasks of an instance on its node, which is new. Of a stopped one only
// the network interface is still there.
func (c *cluster) putTasks(h *containerInstance) {
	for _, t := range h.tasks {
		switch {
		case !t.stopped:
			c.placement.Put(h.node, t.kind.Task, 1)
		case t.network != nil:
			c.placement.Reserve(h.node, fleet.Resources{ENIs: t.kind.needs.ENIs})
		}
	}
}
