package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Entry is one thing that happened in a world.
type Entry struct {
	// Number counts the entries of a world that is recorded, from 1.
	Number  uint64    `json:"n"`
	At      time.Time `json:"at"`
	Kind    EntryKind `json:"kind"`
	ID      string    `json:"id,omitempty"`      // what it happened to
	Cluster string    `json:"cluster,omitempty"` // that it is in
	On      string    `json:"on,omitempty"`      // the EC2 instance that it is on
	Group   string    `json:"group,omitempty"`   // of a task
	What    string    `json:"what"`              // what it is now, or what was done
	Why     string    `json:"why,omitempty"`     // a reason, or the error that came of it
}

// EntryKind says what an entry is about.
type EntryKind string

// The kinds of entries.
const (
	EntryCall       EntryKind = "call"               // somebody called an operation that changes something
	EntryStatement  EntryKind = "statement"          // a statement of a script is carried out; with a reason, it could not be
	EntryInstance   EntryKind = "instance"           // an EC2 instance changed its state
	EntryHost       EntryKind = "container-instance" // one changed its status or its agent's connection
	EntryTask       EntryKind = "task"               // a task changed its last or desired status
	EntryService    EntryKind = "service"            // the scheduler said something of a service
	EntryDeployment EntryKind = "deployment"         // a deployment began, ended or failed
	EntrySpot       EntryKind = "spot"               // EC2 warned of an interruption or a rebalance
)

// String is the entry for people.
func (e *Entry) String() string {
	words := []string{e.At.UTC().Format("2006-01-02 15:04:05.000"), string(e.Kind)}
	for _, w := range []string{e.Cluster, e.Group, e.ID} {
		if w != "" {
			words = append(words, w)
		}
	}
	line := strings.Join(words, " ")
	if e.On != "" {
		line += " on " + e.On
	}
	if line += ": " + e.What; e.Why != "" {
		line += " (" + e.Why + ")"
	}
	return line
}

// Line is the entry as a line of JSON, with its end.
func (e *Entry) Line() []byte {
	line, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("sim: entry %d: %v", e.Number, err)) // it is strings, a time and a number
	}
	return append(line, '\n')
}

// Record calls a function with everything that happens from now on, in the order in which it
// happens; nil ends that. It is called in the middle of things: it must not use the world.
// One seed and the same calls give the same entries, byte for byte. Nothing else changes,
// and nothing is kept; without Record nothing is made.
func (w *World) Record(to func(Entry)) { w.record = to }

// Called notes that somebody called an operation that changes something: with a face the
// world does not see that. It does nothing unless the world is recorded.
func (w *World) Called(operation string, in any, err error) {
	if w.record == nil {
		return
	}
	e := Entry{Kind: EntryCall, ID: operation}
	if text, bad := json.Marshal(in); bad == nil {
		e.What = string(text)
	}
	if err != nil {
		e.Why = err.Error()
	}
	w.note(e)
}

// note adds an entry to the history. Callers look first whether there is anybody to tell.
func (w *World) note(e Entry) {
	w.recorded++
	e.Number, e.At = w.recorded, w.now
	w.record(e)
}

func (w *World) noteTask(t *task) {
	if w.record == nil {
		return
	}
	e := Entry{Kind: EntryTask, ID: t.id, Cluster: t.cluster.name, Group: t.group(), What: t.last.String()}
	if t.host != nil {
		e.On = t.host.machine.id
	}
	if t.stopped {
		e.Why = t.stopReason
		if t.last != taskStopped {
			e.What += ", to be stopped"
		}
	}
	w.note(e)
}

// noteHost notes a container instance if more has changed than what is left on it.
func (w *World) noteHost(h *containerInstance) {
	what := h.status
	if !h.connected && h.status != statusInactive {
		what += ", agent disconnected"
	}
	if what == h.noted {
		return
	}
	h.noted = what
	if w.record != nil {
		w.note(Entry{Kind: EntryHost, ID: h.id, Cluster: h.cluster.name, On: h.machine.id, What: what})
	}
}

func (w *World) noteMachine(m *instance) {
	if w.record == nil {
		return
	}
	e := Entry{Kind: EntryInstance, ID: m.id, What: m.state.describe().Name}
	if m.state == machinePending {
		e.Why = m.kind.name + " " + m.subnet.Zone + " " + lifecycleName(m.spot)
	} else if !m.alive() {
		e.Why = m.why.Code
	}
	w.note(e)
}

// noteService notes what the scheduler says of a service.
func (w *World) noteService(s *service, kind EntryKind, what, why string) {
	if w.record != nil {
		w.note(Entry{Kind: kind, ID: s.name, Cluster: s.cluster.name, What: what, Why: why})
	}
}

// carryOut does what a step of a script says.
func (w *World) carryOut(st *step, c *scene) error {
	if w.record != nil {
		w.note(Entry{Kind: EntryStatement, Cluster: string(c.cluster), What: quoted(st.words)})
	}
	err := st.do(w, c)
	if w.record != nil && err != nil {
		w.note(Entry{Kind: EntryStatement, Cluster: string(c.cluster), What: quoted(st.words), Why: err.Error()})
	}
	return err
}

// quoted writes words as a script has them.
func quoted(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch {
		case !strings.ContainsAny(w, " \t\n\r#'\"") && w != "":
			b.WriteString(w)
		case !strings.Contains(w, "'"):
			b.WriteString("'" + w + "'")
		default:
			b.WriteString(`"` + w + `"`)
		}
	}
	return b.String()
}
