package sim

import (
	"slices"
	"time"
)

// Reads of EC2 may be behind: a new instance is not listed yet, a changed tag not shown, a
// state still the one before. How far, [Delays] say: Visible, Found, Tagged and Lag; each is
// drawn per instance and purpose, and none of them is on by default.

// Eventual is d with windows of eventual consistency in which real accounts have been seen:
// new instances that Describe operations or changes do not know for some seconds, tags and
// states that are late, and vCPUs that count after their instances have ended. AWS says that
// there are such windows but not how long they are.
func (d Delays) Eventual() Delays {
	d.Visible, d.Found, d.Tagged, d.Lag, d.QuotaLag = 4*time.Second, 3*time.Second, 3*time.Second, 2*time.Second, time.Minute
	return d
}

// past reports whether a window that began at a time is over.
func (w *World) past(began time.Time, window time.Duration, words ...string) bool {
	return window <= 0 || !w.now.Before(began.Add(w.delay(window, words...)))
}

// visible reports whether Describe operations know the instance already.
func (w *World) visible(m *instance) bool {
	return w.past(m.launched, w.cfg.Delays.Visible, "visible", m.id)
}

// known reports whether an operation that changes instances knows the instance already.
func (w *World) known(m *instance, operation string) bool {
	if w.cfg.Delays.Found <= 0 {
		return w.visible(m)
	}
	return w.past(m.launched, w.cfg.Delays.Found, "found", operation, m.id)
}

// turn changes the state of an instance and tells of it.
func (w *World) turn(m *instance, state machineState) {
	m.was, m.state, m.turned = w.shownState(m), state, w.now
	w.tellMachine(m)
}

// shownState is the state in which Describe operations show an instance.
func (w *World) shownState(m *instance) machineState {
	if m.turned.IsZero() || w.past(m.turned, w.cfg.Delays.Lag, "lag", m.id, m.state.describe().Name) {
		return m.state
	}
	return m.was
}

// shownTags are the tags that Describe operations show of an instance.
func (w *World) shownTags(m *instance) []Tag {
	if w.past(m.tagged, w.cfg.Delays.Tagged, "tagged", m.id) {
		return m.tags
	}
	return m.oldTags
}

// retag changes the tags of an instance.
func (w *World) retag(m *instance, tags []Tag) {
	if w.cfg.Delays.Tagged > 0 {
		m.oldTags, m.tagged = slices.Clone(w.shownTags(m)), w.now
	}
	m.tags = tags
}
