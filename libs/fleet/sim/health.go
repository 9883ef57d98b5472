package sim

import (
	"cmp"
	"fmt"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// The health of a task as ECS shows it.
const (
	healthHealthy   = "HEALTHY"
	healthUnhealthy = "UNHEALTHY"
	healthUnknown   = "UNKNOWN"
)

// The defaults of a container health check.
const (
	usualProbeInterval = 30 * time.Second
	usualProbeRetries  = 3
)

// probe is a container health check: Docker runs it every interval after the start, and
// so many failures in a row make the container UNHEALTHY. Failures in the start period do
// not count until it has succeeded once.
type probe struct {
	interval, startPeriod time.Duration
	retries               int
}

func (c *HealthCheck) probe() probe {
	return probe{
		interval:    cmp.Or(time.Duration(c.Interval)*time.Second, usualProbeInterval),
		startPeriod: time.Duration(c.StartPeriod) * time.Second,
		retries:     cmp.Or(c.Retries, usualProbeRetries),
	}
}

// probes are the health checks of the essential containers: the others do not count.
func (d *taskDefinition) probes() []probe {
	if !d.health {
		return nil
	}
	var list []probe
	for i := range d.ContainerDefinitions {
		if c := &d.ContainerDefinitions[i]; c.HealthCheck != nil && (c.Essential == nil || *c.Essential) {
			list = append(list, c.HealthCheck.probe())
		}
	}
	return list
}

// illness is a time in which the containers of a task fail every health check: of
// Docker's and of a load balancer.
type illness struct{ from, until time.Time }

func (i illness) at(when time.Time) bool {
	return !i.from.IsZero() && !when.Before(i.from) && (i.until.IsZero() || when.Before(i.until))
}

// runs is the first of the checks that run at started, started + interval, … at or after
// a time; the one at the start itself is not run.
func (p probe) runs(started, after time.Time) time.Time {
	n := max(1, int64((after.Sub(started)+p.interval-1)/p.interval))
	return started.Add(time.Duration(n) * p.interval)
}

// fails is when the check makes a container UNHEALTHY that is ill; never is zero.
func (p probe) fails(started time.Time, ill illness) time.Time {
	if ill.from.IsZero() {
		return time.Time{}
	}
	first := p.runs(started, ill.from)
	if first.Equal(started.Add(p.interval)) { // it has never succeeded
		first = p.runs(started, later(ill.from, started.Add(p.startPeriod)))
	}
	at := first.Add(time.Duration(p.retries-1) * p.interval)
	if !ill.at(at) {
		return time.Time{}
	}
	return at
}

// status is what the check says of a container at a time.
func (p probe) status(started time.Time, ill illness, now time.Time) string {
	fails := p.fails(started, ill)
	switch {
	case started.IsZero() || now.Before(started.Add(p.interval)):
		return healthUnknown
	case !fails.IsZero() && !now.Before(fails) && (ill.until.IsZero() || now.Before(p.runs(started, ill.until))):
		return healthUnhealthy
	case ill.at(started.Add(p.interval)) && (ill.until.IsZero() || now.Before(p.runs(started, ill.until))):
		return healthUnknown // it has never succeeded
	}
	return healthHealthy
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// health is the health status of a task: UNHEALTHY if any essential container is, HEALTHY
// if all are that have a health check, and UNKNOWN if none has.
func (t *task) health(now time.Time) string {
	probes := t.definition.probes()
	status := healthUnknown
	for i, p := range probes {
		switch s := p.status(t.startedAt, t.ill, now); {
		case s == healthUnhealthy:
			return s
		case i == 0 || s == healthUnknown:
			status = s
		}
	}
	return status
}

// checked reports whether anybody checks the health of the task: its containers' health
// checks or a load balancer.
func (t *task) checked() bool { return t.balanced() || len(t.definition.probes()) > 0 }

// healthyAt is when a running task that is well counts towards the minimum healthy
// percent: when its containers' health checks have passed and the load balancer's, or
// without either, 40 s after it runs.
func (t *task) healthyAt(w *World) time.Time {
	var wait time.Duration
	for _, p := range t.definition.probes() {
		wait = max(wait, p.interval)
	}
	if t.balanced() {
		wait = max(wait, w.cfg.Delays.TargetHealthy)
	}
	if wait == 0 {
		wait = w.cfg.Delays.Healthy
	}
	return t.startedAt.Add(wait)
}

// healthy reports whether a running task counts towards the minimum healthy percent.
func (t *task) healthy(w *World) bool {
	if w.now.Before(t.healthyAt(w)) {
		return false
	}
	return t.ill.from.IsZero() || !t.checked() || !t.failing(w) && (!t.ill.at(t.healthyAt(w)) || !t.ill.at(w.now))
}

// failing reports whether a check has found the task unhealthy.
func (t *task) failing(w *World) bool {
	if t.ill.from.IsZero() || t.last != taskRunning {
		return false
	}
	return t.health(w.now) == healthUnhealthy || t.targetFailing(w)
}

// targetFailing reports whether a load balancer has found the task unhealthy.
func (t *task) targetFailing(w *World) bool {
	at := later(t.ill.from, t.startedAt).Add(w.cfg.Delays.TargetUnhealthy)
	return t.balanced() && t.ill.at(at) && !w.now.Before(at) && (t.ill.until.IsZero() || w.now.Before(t.ill.until.Add(w.cfg.Delays.TargetHealthy)))
}

// unfit reports whether the service scheduler replaces a task because of its health. It
// looks away until the grace period of the service is over.
func (t *task) unfit(w *World) bool {
	return !t.ill.from.IsZero() && t.failing(w) && !w.now.Before(t.graceEnds())
}

func (t *task) graceEnds() time.Time {
	return t.startedAt.Add(time.Duration(t.service.grace) * time.Second)
}

// checkHealth lets the scheduler and those who listen learn what the checks of a task find
// once it runs.
func (w *World) checkHealth(t *task) {
	if t.checked() {
		w.at(t.healthyAt(w), healthDue{t})
	}
	if t.falls != nil {
		w.sicken(t, w.now.Add(*t.falls), time.Time{})
	}
}

// sicken lets a task fail its health checks from a time on, and until another if that is
// not zero.
func (w *World) sicken(t *task, from, until time.Time) {
	t.ill = illness{from, until}
	due := func(at time.Time) {
		if !at.IsZero() {
			w.at(at, healthDue{t})
			if t.service != nil && at.Before(t.graceEnds()) {
				w.at(t.graceEnds(), healthDue{t})
			}
		}
	}
	for _, p := range t.definition.probes() {
		due(p.fails(t.startedAt, t.ill))
		if !until.IsZero() {
			due(p.runs(t.startedAt, until))
		}
	}
	if t.balanced() {
		due(later(from, t.startedAt).Add(w.cfg.Delays.TargetUnhealthy))
		if !until.IsZero() {
			due(until.Add(w.cfg.Delays.TargetHealthy))
		}
	}
}

// healthDue is when a check of a task may find something else than before.
type healthDue struct{ t *task }

func (e healthDue) happen(w *World) {
	t := e.t
	if t.stopped || t.last != taskRunning {
		return
	}
	if t.definition.health {
		t.changed(w)
	}
	if t.service != nil {
		w.wake(t.service, 0)
	}
}

// whyUnfit is the reason with which an unhealthy task is stopped.
func (t *task) whyUnfit(w *World) string {
	if t.health(w.now) == healthUnhealthy {
		return "Task failed container health checks"
	}
	return fmt.Sprintf("Task failed ELB health checks in (target-group %s)", t.service.balancers[0].TargetGroupArn)
}

// SickenTasks lets running tasks of a service, the oldest first, fail their health checks:
// all of them if count is below 0; until they are replaced if d is 0.
func (w *World) SickenTasks(cluster fleet.ClusterName, name fleet.ServiceName, count int, d time.Duration) (int, error) {
	s, err := w.service(string(cluster), string(name))
	if err != nil {
		return 0, fmt.Errorf("sicken: %w", err)
	}
	var until time.Time
	if d > 0 {
		until = w.now.Add(d)
	}
	done := 0
	for _, t := range s.active {
		if done == count {
			break
		}
		if t.last != taskRunning || t.ill.at(w.now) {
			continue
		}
		if !t.checked() {
			return done, fmt.Errorf("sicken: nobody checks the health of service %s: give its task a health check, or the service a load balancer", name)
		}
		w.sicken(t, w.now, until)
		done++
	}
	return done, nil
}
