package sim

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"
)

// platform is what an image runs: it decides how user data is read, how long the agent
// takes to come up, and what it registers.
type platform int

const (
	platformLinux platform = iota // Amazon Linux
	platformBottlerocket
	platformWindows
)

func (i *image) platform() platform {
	switch {
	case strings.HasPrefix(i.parameter, "/aws/service/bottlerocket/"):
		return platformBottlerocket
	case strings.HasPrefix(i.parameter, "/aws/service/ami-windows-latest/"):
		return platformWindows
	}
	return platformLinux
}

// hasGPUDriver reports whether the agent of the image sees GPUs.
func (i *image) hasGPUDriver() bool {
	return strings.Contains(i.parameter, "/gpu/") || strings.Contains(i.parameter, "-nvidia")
}

// boot is what happens on an instance that has just started: it reads its user data and
// brings up its agent, if anything lets it.
func (w *World) boot(m *instance) {
	if h := m.host; h != nil { // it was stopped: its agent registers under the ARN it has
		w.in(w.bootDelay(m), agentBack{h})
		return
	}
	w.planInterruption(m)
	m.agent = readUserData(m.image.platform(), m.userData)
	if m.trouble = w.bootTrouble(m); m.trouble != "" {
		return
	}
	w.in(w.bootDelay(m), agentStarted{m, firstRetry})
}

// bootTrouble says why the agent of an instance will never register, or "".
func (w *World) bootTrouble(m *instance) string {
	switch {
	case m.stalled:
		return "its boot is stuck"
	case !m.image.agent && !m.agent.installs:
		return "there is no ECS agent in its image " + m.image.ImageID
	case m.agent.broken != "":
		return m.agent.broken
	case w.cfg.RequireInstanceProfile && m.profile == nil:
		return "it has no instance profile: the agent gets no credentials"
	case w.cfg.BootFailures > 0 && w.chance("boot failure", m.id) < w.cfg.BootFailures:
		return "its agent crashed"
	}
	return ""
}

// bootDelay is how long the agent takes to register after its instance has started.
func (w *World) bootDelay(m *instance) time.Duration {
	d := &w.cfg.Delays
	usual := d.Register
	switch m.image.platform() {
	case platformBottlerocket:
		usual = d.RegisterBottlerocket
	case platformWindows:
		usual = d.RegisterWindows
	case platformLinux:
	}
	if m.kind.metal {
		usual += d.RegisterMetal
	}
	if d.RegisterTail <= 0 {
		return w.delay(usual, "register", m.id)
	}
	return w.longTailed(usual, d.RegisterTail, "register", m.id)
}

// longTailed is a time whose logarithm is normally distributed: half the times are below
// the median, and some take far longer.
func (w *World) longTailed(median time.Duration, sigma float64, words ...string) time.Duration {
	const least, most = 1e-9, 3 // of the uniform number; deviations that are believed
	u := max(w.chance(append(words, "radius")...), least)
	normal := math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*w.chance(append(words, "angle")...))
	normal = min(max(normal, -most), most)
	return time.Duration(float64(median) * math.Exp(sigma*normal)).Truncate(time.Millisecond)
}

// exponential is the time to the next thing that happens at random, once in mean.
func (w *World) exponential(mean time.Duration, words ...string) time.Duration {
	const longest = 20 // means: beyond that is never
	u := 1 - w.chance(words...)
	return time.Duration(float64(mean) * min(-math.Log(u), longest)).Truncate(time.Millisecond)
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
	c, err := w.joining(m)
	if err == nil {
		m.trouble, m.joins = "", time.Time{}
		w.register(m, c, m.agent)
		return
	}
	if m.joins.IsZero() {
		m.joins = w.now
	}
	m.trouble = fmt.Sprintf("its agent cannot register: %v", err)
	if w.now.Sub(m.joins) < retryFor {
		w.in(e.retry, agentStarted{m, min(2*e.retry, lastRetry)})
	}
}

// joining is the cluster that the agent of an instance may register with now. Without
// ECS_CLUSTER it is the one named default; the instance's role may not make that.
func (w *World) joining(m *instance) (*cluster, error) {
	if w.zoneIsDown(m.subnet.Zone) {
		return nil, fmt.Errorf("zone %s is down", m.subnet.Zone)
	}
	if err := w.agentRefused(m); err != nil {
		return nil, err
	}
	return w.cluster(cmp.Or(m.agent.cluster, "default"))
}

// tooLate reports whether the user data tells the instance to shut down instead of joining.
func (m *instance) tooLate(now time.Time) bool {
	a := &m.agent
	return !a.deadline.IsZero() && now.After(a.deadline) || a.bootWithin > 0 && now.Sub(m.launched) > a.bootWithin
}
