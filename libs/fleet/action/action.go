// Package action is the life of a launch, as a state machine without side effects.
//
//	planned ─▶ calling ─▶ settling ─▶ done
//	   │          │  ▲
//	   │          ▼  │ (found by tag)
//	   │       resolving ─▶ failed
//	   └─▶ rejected
//
// [Step] takes the state and what happened and returns the next state and what to do. Its
// caller stores the state by compare-and-set before it performs the effects, reads the
// pause before each mutating one, and feeds what came of them back as events. So a crash
// at any point is repaired by stepping again from the stored state: the launch request is
// frozen once, sent as the same bytes with the same client token ever after, and EC2 gives
// the same instances for it.
package action

import (
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// Phase is where a launch is in its life.
type Phase string

// The phases of a launch.
const (
	Planned   Phase = "planned"   // nothing was sent yet
	Calling   Phase = "calling"   // the frozen request was sent, or may have been
	Resolving Phase = "resolving" // no answer for long: look for instances by their tag
	Settling  Phase = "settling"  // EC2 gave instances; they are to register
	Done      Phase = "done"
	Failed    Phase = "failed"
	Rejected  Phase = "rejected" // not begun: too late
)

// How long and how often.
const (
	// ReplayFor is how long the same request is sent again. EC2 documents no horizon for
	// client tokens; within minutes they are exact.
	ReplayFor = 5 * time.Minute
	// FirstWait and LongestWait bound the pause between two sends; it doubles.
	FirstWait   = time.Second
	LongestWait = 30 * time.Second
	// FindEvery is the pause between two searches by tag.
	FindEvery = 30 * time.Second
	// AbsentAfter: EC2's describe calls are eventually consistent, so "none" is believed
	// only after several complete empty answers over this long.
	AbsentAfter   = 10 * time.Minute
	absentAnswers = 3
	// LookEvery is the pause between two looks at whether instances have registered.
	LookEvery = 5 * time.Second
	// settleGrace: what has not registered this long after the boot timeout is the
	// planner's to reap; the launch itself is over.
	settleGrace = time.Minute
)

// State is how far a launch has got. It is stored in the LEDGER.
type State struct {
	Phase       Phase                    `json:"phase"`
	Request     []byte                   `json:"request,omitempty"` // frozen: exactly the bytes that are sent
	FirstCall   time.Time                `json:"firstCall,omitzero"`
	Sends       int                      `json:"sends,omitempty"` // of the request; before each the state is stored
	Attempts    int                      `json:"attempts,omitempty"`
	NextAt      time.Time                `json:"nextAt,omitzero"` // nothing to do before
	Absent      int                      `json:"absent,omitempty"`
	AbsentSince time.Time                `json:"absentSince,omitzero"`
	LaunchedAt  time.Time                `json:"launchedAt,omitzero"`
	Instances   []fleet.LaunchedInstance `json:"instances,omitempty"`
	Settled     []fleet.InstanceID       `json:"settled,omitempty"` // registered with their attributes, or gone
	Class       fleet.FailureClass       `json:"class,omitempty"`
	Message     string                   `json:"message,omitempty"`
}

// Over reports whether nothing is left to do.
func (s *State) Over() bool {
	return s.Phase == Done || s.Phase == Failed || s.Phase == Rejected
}

// Event is what happened. Now is always AWS server time.
type Event interface{ happened() time.Time }

// Tick is the passing of time, and how a launch begins.
type Tick struct{ Now time.Time }

// Frozen is the outcome of a [Freeze].
type Frozen struct {
	Now     time.Time
	Request []byte
	Class   fleet.FailureClass // when the request could not be made
	Message string
}

// Sent is the outcome of a [Send].
type Sent struct {
	Now       time.Time
	Instances []fleet.LaunchedInstance
	Failures  []fleet.OfferingFailure
	Class     fleet.FailureClass
	Message   string
	RequestID string
}

// Found is the outcome of a [Find].
type Found struct {
	Now       time.Time
	Instances []fleet.LaunchedInstance
	Complete  bool // the listing was whole
}

// Looked is the outcome of a [Look]: what became of instances that are to register.
type Looked struct {
	Now        time.Time
	Registered []Registered
	Gone       []fleet.InstanceID // EC2 has ended them
}

// Registered is an instance that has joined the cluster.
type Registered struct {
	Instance          fleet.InstanceID
	ContainerInstance fleet.ContainerInstanceID
	Attributes        bool // it carries the attributes it should
}

// Stamped is the outcome of a [Stamp] that worked.
type Stamped struct {
	Now      time.Time
	Instance fleet.InstanceID
}

func (e Tick) happened() time.Time    { return e.Now }
func (e Frozen) happened() time.Time  { return e.Now }
func (e Sent) happened() time.Time    { return e.Now }
func (e Found) happened() time.Time   { return e.Now }
func (e Looked) happened() time.Time  { return e.Now }
func (e Stamped) happened() time.Time { return e.Now }

// Effect is something to do. Those that change AWS are [Send] and [Stamp].
type Effect interface{ effect() }

type (
	// Freeze makes the bytes of the launch request, from the action alone.
	Freeze struct{}
	// Send sends the frozen request.
	Send struct{ Request []byte }
	// Find searches EC2 for instances with the action's tag.
	Find struct{}
	// Look asks ECS and EC2 what became of instances.
	Look struct{ Instances []fleet.InstanceID }
	// Stamp puts the launch spec's attributes on a container instance that lacks them.
	Stamp struct {
		Instance          fleet.InstanceID
		ContainerInstance fleet.ContainerInstanceID
	}
	// Report publishes an outcome.
	Report struct {
		Phase     fleet.OutcomePhase
		Step      string
		Class     fleet.FailureClass
		Message   string
		RequestID string
		Instances []fleet.LaunchedInstance
		Failures  []fleet.OfferingFailure
	}
)

func (Freeze) effect() {}
func (Send) effect()   {}
func (Find) effect()   {}
func (Look) effect()   {}
func (Stamp) effect()  {}
func (Report) effect() {}

// Step is the state machine. It is a pure function of its arguments; an event that does
// not belong to the phase changes nothing, for every answer may come late or twice.
func Step(a *fleet.Action, s State, e Event) (State, []Effect) {
	if s.Over() {
		return s, nil
	}
	if s.Phase == "" {
		s.Phase = Planned
	}
	switch e := e.(type) {
	case Tick:
		return tick(a, s, e)
	case Frozen:
		return frozen(s, e)
	case Sent:
		return sent(s, e)
	case Found:
		return found(s, e)
	case Looked:
		return looked(a, s, e)
	case Stamped:
		return stamped(a, s, e)
	}
	return s, nil
}

func tick(a *fleet.Action, s State, e Tick) (State, []Effect) {
	if e.Now.Before(s.NextAt) {
		return s, nil
	}
	switch s.Phase {
	case Planned:
		if e.Now.After(a.Deadline) {
			return end(s, Rejected, fleet.FailureStale, "not begun by its deadline "+a.Deadline.UTC().Format(time.RFC3339))
		}
		return s, []Effect{Freeze{}}
	case Calling:
		if e.Now.Sub(s.FirstCall) >= ReplayFor {
			s.Phase = Resolving
			return s, []Effect{Find{}}
		}
		s.Sends++
		return s, []Effect{Send{s.Request}}
	case Resolving:
		return s, []Effect{Find{}}
	case Settling:
		return settle(a, s, e.Now, true)
	default:
		return s, nil
	}
}

func frozen(s State, e Frozen) (State, []Effect) {
	if s.Phase != Planned {
		return s, nil
	}
	switch e.Class {
	case fleet.FailureNone:
	case fleet.FailureUnknown, fleet.FailureThrottled:
		s.Attempts++
		s.NextAt = e.Now.Add(backoff(s.Attempts)) // nothing was sent: try to make it again
		return s, nil
	default:
		return end(s, Failed, e.Class, e.Message)
	}
	s.Phase, s.Request, s.FirstCall, s.Sends, s.Attempts, s.NextAt = Calling, e.Request, e.Now, 1, 0, time.Time{}
	return s, []Effect{Send{s.Request}}
}

func sent(s State, e Sent) (State, []Effect) {
	if s.Phase != Calling && s.Phase != Resolving {
		return s, nil
	}
	s.Attempts++
	result := Report{
		Phase: fleet.PhaseResult, Step: "launch", Class: e.Class, Message: e.Message,
		RequestID: e.RequestID, Instances: e.Instances, Failures: e.Failures,
	}
	switch {
	case len(e.Instances) > 0:
		return launched(s, e.Now, e.Instances), []Effect{result}
	case e.Class == fleet.FailureUnknown || e.Class == fleet.FailureThrottled:
		s.NextAt = e.Now.Add(backoff(s.Attempts))
		return s, []Effect{result}
	case s.Phase == Resolving:
		return s, []Effect{result} // it is being looked for already
	case s.Sends > 1 && !answersForAll(e.Class):
		s.Phase, s.NextAt = Resolving, time.Time{}
		return s, []Effect{result, Find{}}
	case e.Class == fleet.FailureNone:
		e.Class, e.Message = fleet.FailureCapacity, "EC2 had none of the offerings"
	}
	s, effects := end(s, Failed, e.Class, e.Message)
	return s, append([]Effect{result}, effects...)
}

// answersForAll reports whether a refusal says what came of the same request when it was sent
// before. EC2 looks up the client token before it looks for capacity; who may call, and whether
// the request is valid, it may ask before that.
func answersForAll(c fleet.FailureClass) bool {
	return c == fleet.FailureNone || c == fleet.FailureCapacity || c == fleet.FailureQuota
}

func found(s State, e Found) (State, []Effect) {
	if s.Phase != Resolving {
		return s, nil
	}
	if len(e.Instances) > 0 {
		report := Report{Phase: fleet.PhaseResult, Step: "find", Instances: e.Instances, Message: "found by tag"}
		return launched(s, e.Now, e.Instances), []Effect{report}
	}
	s.NextAt = e.Now.Add(FindEvery)
	if !e.Complete {
		return s, nil
	}
	if s.Absent == 0 {
		s.AbsentSince = e.Now
	}
	s.Absent++
	if s.Absent >= absentAnswers && e.Now.Sub(s.AbsentSince) >= AbsentAfter {
		return end(s, Failed, fleet.FailureUnknown, "no answer to the launch, and no instance carries its tag")
	}
	return s, nil
}

func launched(s State, now time.Time, instances []fleet.LaunchedInstance) State {
	s.Phase, s.Instances, s.LaunchedAt, s.NextAt = Settling, instances, now, time.Time{}
	s.Class, s.Message = fleet.FailureNone, ""
	return s
}

func looked(a *fleet.Action, s State, e Looked) (State, []Effect) {
	if s.Phase != Settling {
		return s, nil
	}
	var stamps []Effect
	for _, r := range e.Registered {
		if r.Attributes {
			s.Settled = settled(s.Settled, r.Instance)
		} else if !slices.Contains(s.Settled, r.Instance) {
			stamps = append(stamps, Stamp{r.Instance, r.ContainerInstance})
		}
	}
	for _, id := range e.Gone {
		s.Settled = settled(s.Settled, id)
	}
	s.NextAt = e.Now.Add(LookEvery)
	s, effects := settle(a, s, e.Now, false)
	if s.Over() { // what is over calls nothing any more
		return s, effects
	}
	return s, append(stamps, effects...)
}

func stamped(a *fleet.Action, s State, e Stamped) (State, []Effect) {
	if s.Phase != Settling {
		return s, nil
	}
	s.Settled = settled(s.Settled, e.Instance)
	return settle(a, s, e.Now, false)
}

// settle ends the launch when every instance has registered or gone, or had its time;
// otherwise it looks again if asked to.
func settle(a *fleet.Action, s State, now time.Time, look bool) (State, []Effect) {
	var missing []fleet.InstanceID
	for _, inst := range s.Instances {
		if !slices.Contains(s.Settled, inst.ID) {
			missing = append(missing, inst.ID)
		}
	}
	switch {
	case len(missing) == 0:
		return end(s, Done, fleet.FailureNone, "")
	case now.After(s.LaunchedAt.Add(time.Duration(a.Launch.Boot) + settleGrace)):
		return end(s, Done, fleet.FailureTimeout, "did not register in time: "+join(missing))
	case look:
		return s, []Effect{Look{missing}}
	}
	return s, nil
}

func end(s State, phase Phase, class fleet.FailureClass, message string) (State, []Effect) {
	s.Phase, s.Class, s.Message = phase, class, message
	s.NextAt = time.Time{}
	return s, []Effect{Report{Phase: fleet.PhaseFinal, Step: string(phase), Class: class, Message: message, Instances: s.Instances}}
}

func settled(have []fleet.InstanceID, id fleet.InstanceID) []fleet.InstanceID {
	if slices.Contains(have, id) {
		return have
	}
	return append(slices.Clone(have), id)
}

func backoff(attempts int) time.Duration {
	return min(FirstWait<<min(attempts-1, 10), LongestWait)
}

func join(ids []fleet.InstanceID) string {
	var text string
	for i, id := range ids {
		if i > 0 {
			text += ", "
		}
		text += string(id)
	}
	return text
}
