package sim

import (
	"fmt"
	"strconv"
	"time"
)

// EventClass tells events apart by what EventBridge promises about them.
type EventClass string

// The classes of events.
const (
	EventsBestEffort EventClass = "best-effort" // those of EC2, which AWS may lose
	EventsDurable    EventClass = "durable"     // those of ECS, which come at least once
	EventsAll        EventClass = "all"
)

// classOf is the class of the events of a source.
func classOf(source string) EventClass {
	if source == "aws.ec2" {
		return EventsBestEffort
	}
	return EventsDurable
}

// EventFaults are what goes wrong with events until a time.
type EventFaults struct {
	Drop      float64 // share that is lost
	Duplicate float64 // share that comes twice
	// Reorder is how much later than usual an event may come: up to that, by chance.
	Reorder time.Duration
	// Of is the class of events that Drop is about; empty is those of best effort, the only
	// ones that AWS loses. Duplicates and disorder hit all events.
	Of    EventClass
	Until time.Time
}

// SetEventFaults replaces what goes wrong with events.
func (w *World) SetEventFaults(f EventFaults) error {
	if !(f.Drop >= 0 && f.Drop <= 1 && f.Duplicate >= 0 && f.Duplicate <= 1) {
		return fmt.Errorf("event faults: drop %v and duplicate %v must be from 0 to 1", f.Drop, f.Duplicate)
	}
	if f.Reorder < 0 {
		return fmt.Errorf("event faults: reorder %v: write a time from 0 up", f.Reorder)
	}
	if f.Of == "" {
		f.Of = EventsBestEffort
	}
	w.faults = f
	return nil
}

// FaultEvents loses and doubles a share of all events until a time: more than AWS does,
// which does not lose those of ECS.
func (w *World) FaultEvents(drop, duplicate float64, until time.Time) error {
	return w.SetEventFaults(EventFaults{Drop: drop, Duplicate: duplicate, Of: EventsAll, Until: until})
}

// deliver puts an event into a queue a moment later, if the faults let it.
func (w *World) deliver(q *messageQueue, class EventClass, m *message) {
	id := m.id
	copies, reorder := 1, time.Duration(0)
	if f := &w.faults; w.now.Before(f.Until) {
		if (f.Of == EventsAll || f.Of == class) && w.chance("drop", id) < f.Drop {
			w.seen.EventsDropped++
			return
		}
		if w.chance("duplicate", id) < f.Duplicate {
			copies = 2
		}
		reorder = f.Reorder
	}
	for i := range copies {
		number := strconv.Itoa(i)
		late := w.delay(w.cfg.Delays.Event, "event", id, number)
		if reorder > 0 {
			late += time.Duration(float64(reorder) * w.chance("reorder", id, number)).Truncate(time.Millisecond)
		}
		q.delayed++
		own := *m // each copy is a message of its own
		w.in(late, arrival{q, &own})
	}
}
