// Package drain is the life of a removal, as a state machine without side effects. It
// covers the three kinds of action of the drainer:
//
//	drain    planned ─▶ draining ─▶ emptying ─▶ deregistered ─▶ terminating ─▶ done
//	             │          └───────────┴─▶ restoring ─▶ rolled-back
//	             └─▶ rejected   (and failed, from anywhere, if it is somebody else's by now)
//	restore  planned ─▶ restoring ─▶ done
//	reap     planned ─▶ terminating ─▶ done
//
// [Step] takes the state and what happened and returns the next state and what to do. Its
// caller stores the state by compare-and-set before it performs the effects, reads the
// pause before each mutating one, and feeds what came of them back as events. Every effect
// may be performed twice: a crash at any point is repaired by stepping again.
//
// Three checks stand between a task and a wrong termination: a fresh look at every task
// before and right after the instance is set draining; two looks in a row that find no
// task in any state; and a deregister without force, which ECS refuses while a task runs.
// After it nothing runs there and the only way is forward. The exception is an instance whose
// agent is silent, where no task is ever seen to end: it is terminated once ECS has given up
// every task on it.
package drain

import (
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// Phase is where a removal is in its life.
type Phase string

// The phases of a removal.
const (
	Planned      Phase = "planned"
	Draining     Phase = "draining"     // being set DRAINING, and looked at again right after
	Emptying     Phase = "emptying"     // ECS moves the tasks
	Deregistered Phase = "deregistered" // being taken out of the cluster
	Terminating  Phase = "terminating"
	Restoring    Phase = "restoring" // being set ACTIVE again
	Done         Phase = "done"
	RolledBack   Phase = "rolled-back"
	Rejected     Phase = "rejected" // not begun: the world is no longer as planned
	Failed       Phase = "failed"   // left as it is: it is somebody else's now
)

// How long and how often.
const (
	// LookEvery is the pause between two looks at a draining instance, and the least time
	// between the two empty looks that make it empty.
	LookEvery = 5 * time.Second
	// StopGrace is how long stopped tasks may take to end: load balancers take 5 minutes by
	// default to deregister them before ECS stops their containers, which takes 30 s by
	// default and some minutes where people raised it.
	StopGrace = 10 * time.Minute
	// BelieveGone: EC2 says "not found" of instances it has merely not caught up with, so
	// it is believed only this long after the terminate call.
	BelieveGone = 5 * time.Minute
	// FirstWait and LongestWait bound the pause after a failure; it doubles.
	FirstWait   = time.Second
	LongestWait = 30 * time.Second
)

// State is how far a removal has got. It is stored in the LEDGER.
type State struct {
	Phase        Phase              `json:"phase"`
	NextAt       time.Time          `json:"nextAt,omitzero"` // nothing to do before
	Attempts     int                `json:"attempts,omitempty"`
	DrainingAt   time.Time          `json:"drainingAt,omitzero"`
	Verified     bool               `json:"verified,omitempty"`    // looked at since it is DRAINING
	EmptySince   time.Time          `json:"emptySince,omitzero"`   // first of the empty looks in a row
	StoppedAt    time.Time          `json:"stoppedAt,omitzero"`    // when the tasks that were left were stopped
	MissingSince time.Time          `json:"missingSince,omitzero"` // EC2 has not known it since
	TerminatedAt time.Time          `json:"terminatedAt,omitzero"`
	Undone       bool               `json:"undone,omitempty"` // set ACTIVE again, and the tag removed
	Class        fleet.FailureClass `json:"class,omitempty"`
	Message      string             `json:"message,omitempty"`
}

// Over reports whether nothing is left to do.
func (s *State) Over() bool {
	switch s.Phase {
	case Done, RolledBack, Rejected, Failed:
		return true
	default:
		return false
	}
}

// View is an instance as it is right now, read freshly for this removal.
type View struct {
	Instance          fleet.InstanceID
	ContainerInstance fleet.ContainerInstanceID // of the container instance that names Instance; empty if none does
	Ours              bool                      // owner and cluster tags are this installation's and this cluster's
	Status            fleet.InstanceStatus
	AgentConnected    bool
	TerminationLocked bool           // EC2's own termination protection
	Kept              string         // why a person wants it kept; empty if nobody does
	DrainTag          fleet.ActionID // tag fleet.TagDrain
	Tasks             []Task         // in every state that still holds the instance
	Complete          bool           // every task could be described
}

// Task is a task on the instance that has not ended.
type Task struct {
	ID         string
	What       string // as in fleet.Carried: "service:web web:7"
	Stopping   bool   // desired status STOPPED
	Daemon     bool
	Standalone bool
	Protected  bool
	Restricted bool
}

// Event is what happened. Now is always AWS server time.
type Event interface{ event() }

type (
	// Tick is the passing of time, and how a removal begins.
	Tick struct{ Now time.Time }
	// Viewed is the outcome of a [Look].
	Viewed struct {
		Now     time.Time
		View    View
		Gone    bool // EC2 says that it has ended
		Missing bool // EC2 does not know it, which may mean not yet, or not any more
		Class   fleet.FailureClass
		Message string
	}
	// Cancel is the planner's wish to undo the removal. It comes too late once the instance
	// has left the cluster.
	Cancel struct {
		Now time.Time
		Why string
	}
	// Did is the outcome of an effect that changes AWS.
	Did struct {
		Now     time.Time
		What    Effect
		Busy    bool // ECS refused to deregister: a task runs
		Class   fleet.FailureClass
		Message string
	}
)

func (Tick) event()   {}
func (Viewed) event() {}
func (Cancel) event() {}
func (Did) event()    {}

// Effect is something to do. All but [Look] and [Report] change AWS.
type Effect interface{ effect() }

type (
	// Look reads the instance and its tasks freshly.
	Look struct{}
	// SetDraining tags the instance as in hand and sets it DRAINING.
	SetDraining struct{}
	// SetActive sets it ACTIVE again and removes the tag.
	SetActive struct{}
	// StopTasks stops tasks that outlasted the timeout.
	StopTasks struct{ Tasks []string }
	// Deregister takes the instance out of the cluster, without force.
	Deregister struct{}
	// Terminate ends exactly this EC2 instance.
	Terminate struct{}
	// Report publishes an outcome.
	Report struct {
		Phase   fleet.OutcomePhase
		Step    string
		Class   fleet.FailureClass
		Message string
	}
)

func (Look) effect()        {}
func (SetDraining) effect() {}
func (SetActive) effect()   {}
func (StopTasks) effect()   {}
func (Deregister) effect()  {}
func (Terminate) effect()   {}
func (Report) effect()      {}

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
	case Viewed:
		return viewed(a, s, e)
	case Cancel:
		return cancel(s, e)
	case Did:
		return did(s, e)
	}
	return s, nil
}

func tick(a *fleet.Action, s State, e Tick) (State, []Effect) {
	if e.Now.Before(s.NextAt) {
		return s, nil
	}
	if s.Phase == Planned && e.Now.After(a.Deadline) {
		return end(s, Rejected, fleet.FailureStale, "not begun by its deadline "+a.Deadline.UTC().Format(time.RFC3339))
	}
	return s, []Effect{Look{}}
}

func cancel(s State, e Cancel) (State, []Effect) {
	switch s.Phase {
	case Planned:
		return end(s, Rejected, fleet.FailureStale, e.Why)
	case Draining, Emptying:
		s.Phase, s.Class, s.Message, s.NextAt = Restoring, fleet.FailureStale, e.Why, time.Time{}
		return s, []Effect{Look{}} // it may be active, or somebody else's by now
	default:
		return s, nil
	}
}

// viewed decides on what is true now; there is no step that acts on an older look.
func viewed(a *fleet.Action, s State, e Viewed) (State, []Effect) {
	if e.Class != fleet.FailureNone {
		return later(s, e.Now, e.Class, e.Message), nil
	}
	if e.Missing {
		if s.MissingSince.IsZero() {
			s.MissingSince = e.Now
		}
		if e.Now.Sub(s.MissingSince) < BelieveGone {
			s.NextAt = e.Now.Add(LookEvery)
			return s, nil
		}
		e.Gone = true
	} else {
		s.MissingSince = time.Time{}
	}
	if s.Phase != Planned && !e.Gone && !e.View.Ours {
		return end(s, Failed, fleet.FailureStale, "the instance is not this installation's any more")
	}
	switch s.Phase {
	case Planned:
		return begin(a, s, e)
	case Draining:
		return draining(a, s, e)
	case Emptying:
		return emptying(a, s, e)
	case Deregistered:
		return deregistered(s, e)
	case Terminating:
		return terminating(s, e)
	case Restoring:
		return restoring(a, s, e)
	default:
		return s, nil
	}
}

// begin checks that the world is still as planned.
func begin(a *fleet.Action, s State, e Viewed) (State, []Effect) {
	switch a.Kind {
	case fleet.ActionRestore:
		if !e.Gone && (!e.View.Ours || e.View.ContainerInstance != a.Restore.ContainerInstance) {
			return end(s, Rejected, fleet.FailureStale, "the instance is not this cluster's to restore")
		}
		s.Phase = Restoring
		return restoring(a, s, e)
	case fleet.ActionReap:
		return beginReap(a, s, e)
	case fleet.ActionDrain, fleet.ActionLaunch:
	}
	if e.Gone {
		return end(s, Done, fleet.FailureNone, "the instance is gone already")
	}
	if why := refuse(a, &e.View); why != "" {
		return end(s, Rejected, fleet.FailureStale, why)
	}
	s.Phase = Draining
	return s, []Effect{SetDraining{}}
}

func beginReap(a *fleet.Action, s State, e Viewed) (State, []Effect) {
	v := &e.View
	switch {
	case e.Gone:
		return end(s, Done, fleet.FailureNone, "the instance is gone already")
	case !v.Ours || v.Instance != a.Reap.Instance:
		return end(s, Rejected, fleet.FailureStale, "the instance is not this cluster's to remove")
	case v.ContainerInstance != "":
		return end(s, Rejected, fleet.FailureStale, "the instance has registered after all")
	case v.Kept != "":
		return end(s, Rejected, fleet.FailureStale, "the instance is protected: "+v.Kept)
	case v.TerminationLocked:
		return end(s, Rejected, fleet.FailureStale, "EC2 termination protection is on")
	}
	s.Phase = Terminating
	return s, []Effect{Terminate{}}
}

// draining: the instance is being set DRAINING. Once ECS says so, one more look decides
// whether it stays so.
func draining(a *fleet.Action, s State, e Viewed) (State, []Effect) {
	switch {
	case e.Gone:
		return end(s, Done, fleet.FailureNone, "the instance ended while it drained")
	case e.View.Status != fleet.StatusDraining:
		if why := refuse(a, &e.View); why != "" {
			return rollBack(s, fleet.FailureStale, why)
		}
		return s, []Effect{SetDraining{}}
	}
	if why := mustStop(a, &e.View); why != "" {
		return rollBack(s, fleet.FailureStale, why)
	}
	s.Phase = Emptying
	if s.DrainingAt.IsZero() {
		s.DrainingAt = e.Now
	}
	s.NextAt = e.Now.Add(LookEvery)
	return s, nil
}

// emptying: wait for two empty looks in a row; past the timeout, stop what is left or
// give up, as the policy says.
func emptying(a *fleet.Action, s State, e Viewed) (State, []Effect) {
	v := &e.View
	s.NextAt = e.Now.Add(LookEvery)
	switch {
	case e.Gone:
		return end(s, Done, fleet.FailureNone, "the instance ended while it drained")
	case v.ContainerInstance == "" && v.Complete: // it was taken out: by us before a crash, or by somebody else
		s.Phase, s.NextAt = Deregistered, time.Time{}
		return deregistered(s, e)
	case v.Status != fleet.StatusDraining:
		return end(s, RolledBack, fleet.FailureStale, "somebody set the instance active again")
	case !v.Complete:
		s.EmptySince = time.Time{}
		return s, nil
	case len(v.Tasks) == 0:
		if s.EmptySince.IsZero() {
			s.EmptySince = e.Now
			return s, nil
		}
		if e.Now.Sub(s.EmptySince) < LookEvery {
			return s, nil
		}
		s.NextAt = time.Time{}
		return s, []Effect{Deregister{}}
	}
	s.EmptySince = time.Time{}
	if why := mustStop(a, v); why != "" && s.StoppedAt.IsZero() {
		return rollBack(s, fleet.FailureStale, why)
	}
	return overdue(a, s, e)
}

// overdue decides what follows when tasks are left after the timeout.
func overdue(a *fleet.Action, s State, e Viewed) (State, []Effect) {
	timeout := time.Duration(a.Drain.Timeout)
	var left []string
	for _, t := range e.View.Tasks {
		if !t.Stopping && !t.Daemon {
			left = append(left, t.ID)
		}
	}
	stopping := !s.StoppedAt.IsZero()
	if a.Drain.Unhealthy && givenUp(&e.View) {
		return silent(s, e)
	}
	switch {
	case stopping && e.Now.Sub(s.StoppedAt) >= StopGrace && !a.Drain.Involuntary:
		return rollBack(s, fleet.FailureTimeout, "stopped tasks did not end within "+StopGrace.String())
	case stopping && mustStop(a, &e.View) != "":
		return s, nil // what is stopping ends; nothing else is stopped
	case stopping: // below: the call was held back, or lost in a crash
	case e.Now.Sub(s.DrainingAt) < timeout:
		return s, nil
	case a.Drain.OnTimeout == fleet.TimeoutRestore && !a.Drain.Involuntary:
		return rollBack(s, fleet.FailureTimeout, "not empty within "+timeout.String())
	default:
		s.StoppedAt = e.Now
	}
	if len(left) == 0 {
		return s, nil // what is left is stopping, or ECS stops it: give it the grace
	}
	return s, []Effect{StopTasks{left}}
}

// givenUp reports whether ECS wants nothing any more of what an instance with a silent agent
// holds: it has told every task to stop, and has started others where it wanted them.
func givenUp(v *View) bool {
	return !v.AgentConnected && !slices.ContainsFunc(v.Tasks, func(t Task) bool { return !t.Stopping && !t.Daemon })
}

// silent is what becomes of such an instance: nobody answers for its tasks, so they never end
// and ECS would refuse to deregister it for ever. Past the grace that stopped tasks have, it
// is terminated with them.
func silent(s State, e Viewed) (State, []Effect) {
	switch {
	case s.StoppedAt.IsZero():
		s.StoppedAt = e.Now
	case e.Now.Sub(s.StoppedAt) >= StopGrace:
		s.Phase, s.NextAt = Terminating, time.Time{}
		return s, []Effect{Terminate{}}
	}
	return s, nil
}

func deregistered(s State, e Viewed) (State, []Effect) {
	if e.Gone {
		return end(s, Done, fleet.FailureNone, "")
	}
	if e.View.ContainerInstance != "" && e.View.Status == fleet.StatusDraining {
		s.Phase = Emptying // the deregister did not happen, or the agent came back
		return s, []Effect{Look{}}
	}
	s.Phase = Terminating
	return s, []Effect{Terminate{}}
}

func terminating(s State, e Viewed) (State, []Effect) {
	if e.Gone {
		return end(s, Done, fleet.FailureNone, "")
	}
	s.NextAt = e.Now.Add(LookEvery)
	return s, []Effect{Terminate{}} // idempotent
}

func restoring(a *fleet.Action, s State, e Viewed) (State, []Effect) {
	over := RolledBack
	if a.Kind == fleet.ActionRestore {
		over = Done
	}
	switch {
	case e.Gone:
		return end(s, over, s.Class, "the instance is gone")
	case e.View.Status == fleet.StatusDraining, a.Kind == fleet.ActionDrain && !s.Undone:
		s.NextAt = e.Now.Add(LookEvery)
		return s, []Effect{SetActive{}}
	}
	return end(s, over, s.Class, s.Message)
}

// did moves on after an effect.
func did(s State, e Did) (State, []Effect) {
	step := StepName(e.What)
	result := Report{Phase: fleet.PhaseResult, Step: step, Class: e.Class, Message: e.Message}
	if e.Class != fleet.FailureNone {
		return later(s, e.Now, e.Class, e.Message), []Effect{result}
	}
	s.Attempts = 0
	switch e.What.(type) {
	case SetDraining:
		if s.Phase == Draining {
			s.DrainingAt = e.Now
			return s, []Effect{result, Look{}}
		}
	case SetActive:
		if s.Phase == Restoring {
			s.NextAt, s.Undone = time.Time{}, true
			return s, []Effect{result, Look{}}
		}
	case Deregister:
		if s.Phase == Emptying && e.Busy {
			s.EmptySince = time.Time{}
			s.NextAt = e.Now.Add(LookEvery)
		} else if s.Phase == Emptying {
			s.Phase = Deregistered
			return s, []Effect{result, Look{}}
		}
	case Terminate:
		if s.Phase == Terminating && s.TerminatedAt.IsZero() {
			s.TerminatedAt = e.Now
		}
		s.NextAt = e.Now.Add(LookEvery)
	}
	return s, []Effect{result}
}

// StepName is what outcomes call the step of an effect that changes AWS.
func StepName(e Effect) string {
	switch e.(type) {
	case SetDraining:
		return "drain"
	case SetActive:
		return "activate"
	case StopTasks:
		return "stop-tasks"
	case Deregister:
		return "deregister"
	case Terminate:
		return "terminate"
	}
	return "look"
}

// refuse says why a removal that has not begun must not begin; "" if it may.
func refuse(a *fleet.Action, v *View) string {
	d := a.Drain
	switch {
	case v.Instance != d.Instance || v.ContainerInstance != d.ContainerInstance:
		return "the instance is now container instance " + string(v.ContainerInstance) + ", planned was " + string(d.ContainerInstance)
	case !v.Ours:
		return "the instance is not this installation's to remove"
	case v.Status == fleet.StatusDraining && v.DrainTag != "" && v.DrainTag != a.ID:
		return "another drain has it in hand: " + v.DrainTag.Short()
	case v.Status == fleet.StatusDraining && v.DrainTag == "" && !d.Involuntary:
		return "somebody else is draining it"
	case v.Status != fleet.StatusActive && v.Status != fleet.StatusDraining:
		return "it is " + string(v.Status)
	case d.Involuntary:
		return ""
	case !v.AgentConnected && !d.Unhealthy:
		return "its agent is not connected"
	case v.TerminationLocked:
		return "EC2 termination protection is on"
	case !v.Complete:
		return "not every task on it could be read"
	}
	return mustStop(a, v)
}

// mustStop says why a voluntary removal must not go on: a person wants the instance kept,
// a task on it would be lost, or the plan did not find room for one.
func mustStop(a *fleet.Action, v *View) string {
	d := a.Drain
	if d.Involuntary {
		return ""
	}
	if v.Kept != "" {
		return "the instance is protected: " + v.Kept
	}
	planned := make(map[string]int, len(d.Tasks))
	for _, c := range d.Tasks {
		planned[c.What] += c.Count
	}
	for _, t := range v.Tasks {
		switch {
		case t.Stopping || t.Daemon:
			continue
		case t.Protected:
			return "task " + t.What + " is protected from scale-in"
		case t.Restricted && !d.RestrictedTasks:
			return "task " + t.What + " is tagged to keep its instance"
		case t.Standalone && !d.StandaloneTasks:
			return "standalone task " + t.What + " would be lost"
		}
		if planned[t.What]--; planned[t.What] < 0 {
			return "task " + t.What + " came after the plan was made"
		}
	}
	return ""
}

func rollBack(s State, class fleet.FailureClass, why string) (State, []Effect) {
	s.Phase, s.Class, s.Message, s.NextAt = Restoring, class, why, time.Time{}
	return s, []Effect{SetActive{}}
}

// later tries again after a pause that doubles. A removal never gives up by itself once
// it has begun: the instance would be left draining.
func later(s State, now time.Time, class fleet.FailureClass, message string) State {
	s.Attempts++
	s.NextAt = now.Add(min(FirstWait<<min(s.Attempts-1, 10), LongestWait))
	if s.Phase != Restoring {
		s.Class, s.Message = class, message
	}
	return s
}

func end(s State, phase Phase, class fleet.FailureClass, message string) (State, []Effect) {
	s.Phase, s.Class, s.Message, s.NextAt = phase, class, message, time.Time{}
	return s, []Effect{Report{Phase: fleet.PhaseFinal, Step: string(phase), Class: class, Message: message}}
}
