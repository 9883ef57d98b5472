package sim

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// The ports that agents keep from tasks unless told otherwise.
var (
	linuxPorts   = []uint16{22, 2375, 2376, 51678, 51679}
	windowsPorts = []uint16{53, 135, 139, 445, 2375, 2376, 3389, 5985, 5986, 51678, 51679}
)

// reservedPorts are the ports that tasks cannot have on an instance.
func (m *instance) reservedPorts() fleet.Ports {
	a := &m.agent
	list := slices.Clone(a.ports)
	if !a.portsSet[0] {
		usual := linuxPorts
		if m.image.platform() == platformWindows {
			usual = windowsPorts
		}
		for _, n := range usual {
			list = append(list, fleet.Port{Number: n, Protocol: fleet.TCP})
		}
	}
	return fleet.NewPorts(list...)
}

// trunks reports whether an instance can have a trunk interface.
func (m *instance) trunks() bool {
	return m.kind.trunkTasks > 0 && m.image.platform() != platformWindows && m.agent.has(offENI)
}

// tagsOf are the tags that the agent gives the container instance: its own, and those of
// the EC2 instance if it is to propagate them.
func (a *agentConfig) tagsOf(m *instance) []Tag {
	if !a.ec2Tags {
		return a.tags
	}
	tags := sortedTags(slices.DeleteFunc(slices.Clone(m.tags), func(t Tag) bool { return len(t.Key) > 4 && t.Key[:4] == "aws:" }))
	for _, t := range a.tags {
		setTag(&tags, t)
	}
	return tags
}

// stops is how long the agent lets containers stop that do not say how long.
func (a *agentConfig) stops() time.Duration {
	if a.stopTimeout > 0 {
		return a.stopTimeout
	}
	return defaultStopTimeout
}

// agentRefused is why ECS does not serve an agent that wants to register: an outage that
// hits agents, too.
func (w *World) agentRefused(*instance) error {
	return w.refuses("RegisterContainerInstance")
}

// refuses is what an outage does to a call that an agent makes.
func (w *World) refuses(operation string) error {
	switch t := w.Trouble("ecs", operation); t.Kind {
	case TroubleError, TroubleReset, TroubleHang:
		return fmt.Errorf("%s: %s %d %s", operation, t.Kind, t.Status, t.Code)
	default:
		return nil
	}
}

// pull is how long the images of a task take to be pulled: longer where one of them was
// never pulled before.
func (w *World) pull(t *task) time.Duration {
	h, usual := t.host, w.cfg.Delays.Pull
	for i := range t.definition.ContainerDefinitions {
		image := t.definition.ContainerDefinitions[i].Image
		if h.images[image] {
			continue
		}
		if h.images == nil {
			h.images = map[string]bool{}
		}
		h.images[image], usual = true, w.cfg.Delays.PullFirst
	}
	return w.delay(usual, "pull", t.id)
}

// awaitsAgent reports whether a step in the life of a task is the doing of an agent that
// ECS cannot hear now. It is told when the agent is back.
func (w *World) awaitsAgent(s taskStep) bool {
	h := s.t.host
	if h == nil || h.connected || h.status == statusInactive {
		return false
	}
	switch s.t.last {
	case taskDeprovisioning, taskStopped:
		return false
	default:
		h.late = append(h.late, s)
		return true
	}
}

// unheard reports whether an agent cannot be told to stop a task now.
func (h *containerInstance) unheard() bool { return !h.connected && h.status != statusInactive }

// catchUp tells ECS what an agent has done while it was disconnected, and tells the agent
// which tasks to stop.
func (w *World) catchUp(h *containerInstance) {
	late := h.late
	h.late = nil
	for _, e := range late {
		e.happen(w)
	}
	for _, t := range slices.Clone(h.tasks) {
		if t.stopped && t.last < taskDeactivating {
			w.obeyStop(t)
		}
	}
}

// obeyStop lets the agent stop a task whose desired status is STOPPED.
func (w *World) obeyStop(t *task) {
	if t.admitted {
		w.stopContainers(t)
		return
	}
	w.dequeue(t)
	w.containersEnded(t)
}

// stopTimeout is how long the containers of a task may take to stop before they are killed.
func (t *task) stopTimeout() time.Duration {
	if t.definition.usualStop {
		return max(t.definition.stopTimeout, t.host.stopTimeout)
	}
	return t.definition.stopTimeout
}

// orphan counts the tasks that go on running on an instance that ECS deregisters, where
// nobody watches them, and lets its agent register anew one day.
func (w *World) orphan(h *containerInstance) {
	m := h.machine
	if m.state != machineRunning || h.status == statusFailed {
		return
	}
	for _, t := range h.tasks {
		if t.admitted {
			m.orphans++
		}
	}
	if w.cfg.RegisterAnew > None {
		w.in(w.cfg.RegisterAnew, agentStarted{m, firstRetry})
	}
}

// Disconnect takes the agent of an instance away for a while; 0 is for good.
func (w *World) Disconnect(id fleet.InstanceID, d time.Duration) error {
	h, err := w.registered(id)
	if err != nil {
		return fmt.Errorf("disconnect: %w", err)
	}
	if d == 0 {
		d = always
	} else {
		w.in(d, agentBack{h})
	}
	h.away = w.now.Add(d)
	w.setConnected(h, false)
	return nil
}

// registered is the container instance of an EC2 instance.
func (w *World) registered(id fleet.InstanceID) (*containerInstance, error) {
	m := w.instances[string(id)]
	if m == nil || m.host == nil {
		return nil, fmt.Errorf("there is no registered instance %s", id)
	}
	return m.host, nil
}

// agentBack is when a disconnected agent is connected again, if nothing else keeps it.
type agentBack struct{ h *containerInstance }

func (e agentBack) happen(w *World) {
	h := e.h
	if h.machine.state != machineRunning || w.now.Before(h.away) || w.zoneIsDown(h.machine.subnet.Zone) || h.status == statusFailed {
		return
	}
	w.setConnected(h, true)
}

// RestartAgent restarts the agent of an instance with other settings, such as
// ECS_RESERVED_MEMORY. It registers again under the same ARN, where settings that belong to
// the first registration (its attributes, resources and tags) have no effect.
func (w *World) RestartAgent(id fleet.InstanceID, settings map[string]string) error {
	h, err := w.registered(id)
	if err != nil {
		return fmt.Errorf("restart agent: %w", err)
	}
	a := &h.machine.agent
	for _, name := range sortedKeys(settings) {
		a.set(name, settings[name])
	}
	if a.broken != "" {
		h.machine.trouble = a.broken
		h.away = w.now.Add(always)
	} else {
		h.away = w.now
		w.in(w.delay(w.cfg.Delays.Reconnect, "restart", h.id, strconv.FormatInt(h.version, 10)), agentBack{h})
	}
	h.stopTimeout = a.stops()
	w.setConnected(h, false)
	return nil
}

// FlapAgents lets each agent lose its connection so many times per hour on average, for
// a few seconds up to a minute; 0 ends it. ECS says several times per hour is normal.
func (w *World) FlapAgents(perHour float64) error {
	const most = 3600
	if !(perHour >= 0 && perHour <= most) {
		return fmt.Errorf("flap agents %v times per hour: write a number from 0 to %d", perHour, most)
	}
	w.flapsPerHour = perHour
	w.flapRound++
	for c := range w.clusterRoll.all {
		for h := range c.hostRoll.all {
			w.planFlap(h)
		}
	}
	return nil
}

// agentFlap is when an agent loses its connection for a moment.
type agentFlap struct {
	h     *containerInstance
	round int
}

// planFlap lets an agent lose its connection one day, if agents do.
func (w *World) planFlap(h *containerInstance) {
	if w.flapsPerHour <= 0 || h.status == statusInactive || h.status == statusRegistering {
		return
	}
	mean := time.Duration(float64(time.Hour) / w.flapsPerHour)
	w.in(w.exponential(mean, "flap", h.id, strconv.FormatInt(w.now.UnixNano(), 10)), agentFlap{h, w.flapRound})
}

func (e agentFlap) happen(w *World) {
	h := e.h
	if e.round != w.flapRound || h.status == statusInactive || h.machine.state != machineRunning {
		return
	}
	w.planFlap(h)
	if !h.connected {
		return
	}
	const usual = 20 * time.Second
	d := w.delay(usual, "flapped", h.id, strconv.FormatInt(w.now.UnixNano(), 10))
	h.away = w.now.Add(d)
	w.setConnected(h, false)
	w.in(d, agentBack{h})
}

// FailTrunks lets the next n trunk interfaces fail, so that their instances end in
// REGISTRATION_FAILED.
func (w *World) FailTrunks(n int) { w.trunkFailures = n }
