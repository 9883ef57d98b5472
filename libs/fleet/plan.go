package fleet

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Plan is what was decided on one snapshot. The plans of a cluster form a chain: each is
// appended only if the one it was made after is still the last. A plan carries everything
// that is needed to execute it and to explain it.
type Plan struct {
	ID         PlanID      `json:"id"`
	Cluster    ClusterName `json:"cluster"`
	Generation uint64      `json:"generation"`
	Prev       PlanID      `json:"prev,omitempty"` // the plan it was made after; empty for the first
	MadeAt     time.Time   `json:"madeAt"`         // the snapshot's TakenAt
	MadeBy     string      `json:"madeBy"`         // version of the planner
	DryRun     bool        `json:"dryRun,omitempty"`

	// What it was made from: with these the plan can be made again, byte for byte.
	Snapshot      string    `json:"snapshot"` // digest
	ReadStartedAt time.Time `json:"readStartedAt"`
	Policy        string    `json:"policy"`           // digest
	Memory        string    `json:"memory"`           // digest
	Effort        Effort    `json:"effort,omitempty"` // part of that memory which no stream holds

	Actions   []Action      `json:"actions,omitempty"`
	Closures  []Closure     `json:"closures,omitempty"`
	Reasons   []Reason      `json:"reasons,omitempty"`   // what was looked at and not done, and why
	Idle      []Idle        `json:"idle,omitempty"`      // instances that could go, and since when
	Unhealthy []Unhealthy   `json:"unhealthy,omitempty"` // instances that do not work, and since when
	Saving    Saving        `json:"saving,omitzero"`     // since when the cluster could cost less on other instances
	Replacing Replacing     `json:"replacing,omitzero"`  // instances that give way to cheaper ones
	Rolling   Rolling       `json:"rolling,omitzero"`    // instances that give way to new ones of the same kind
	Census    Census        `json:"census,omitzero"`     // how much the view showed, or the last one that was whole
	Upheaval  Upheaval      `json:"upheaval,omitzero"`   // so much was gone at once that nothing is removed
	Demand    []UnmetDemand `json:"demand,omitempty"`    // what waits, and what became of it
	Services  []SeenService `json:"services,omitempty"`  // what the next plan has to know of them, sorted by service
	Summary   Summary       `json:"summary"`
	Trace     string        `json:"trace,omitempty"` // trace ID of the decision; data, never authority
}

// Summary is the plan in figures, for people, metrics and the console.
type Summary struct {
	Instances       int   `json:"instances"`
	Launching       int   `json:"launching"` // launched or planned, not registered yet
	Draining        int   `json:"draining"`
	Drifted         int   `json:"drifted,omitempty"` // not what their launch spec would launch now
	TasksRunning    int   `json:"tasksRunning"`
	TasksWaiting    int   `json:"tasksWaiting"`    // wanted and not placed
	TasksFitNow     int   `json:"tasksFitNow"`     // of these: fit on what is there or booting; ECS will place them
	TasksUnplaced   int   `json:"tasksUnplaced"`   // of these: no room was found or may be bought
	HeadroomWanted  int   `json:"headroomWanted"`  // units
	HeadroomPresent int   `json:"headroomPresent"` // units that exist, are booting or are planned
	Cost            Price `json:"cost"`            // of what runs and boots now
	CostAfter       Price `json:"costAfter"`       // when the plan is done
}

// ActionKind is what an action does.
type ActionKind string

// The kinds of action.
const (
	ActionLaunch  ActionKind = "launch"  // actuator: launch instances
	ActionDrain   ActionKind = "drain"   // drainer: empty an instance and terminate it
	ActionRestore ActionKind = "restore" // drainer: set a draining instance active again
	ActionReap    ActionKind = "reap"    // drainer: terminate an instance of ours that never registered or is left over
)

// Action is one thing to do. Exactly the field that its kind names is set.
type Action struct {
	ID       ActionID   `json:"id"`
	Kind     ActionKind `json:"kind"`
	Deadline time.Time  `json:"deadline"` // not begun by then: rejected
	Reason   Reason     `json:"reason"`

	Launch  *Launch  `json:"launch,omitempty"`
	Drain   *Drain   `json:"drain,omitempty"`
	Restore *Restore `json:"restore,omitempty"`
	Reap    *Reap    `json:"reap,omitempty"`
}

// Launch asks for instances. Any of the offerings will do: they were chosen so that each
// holds what the instance is for, hence EC2 may pick the one that has capacity.
type Launch struct {
	Spec      LaunchSpec `json:"spec"` // complete, as the policy had it
	Lifecycle Lifecycle  `json:"lifecycle"`
	Count     int        `json:"count"`
	Offerings []Offering `json:"offerings"`
	Replaces  bool       `json:"replaces,omitempty"` // instances that are there and cost more
	Boot      Duration   `json:"boot"`               // how long an instance may take to register
	For       []Carried  `json:"for"`                // what each instance is meant to hold
	Together  bool       `json:"together,omitempty"` // For is what all of them are to hold

	Left    Resources `json:"left,omitzero"`    // of the first offering, beside that
	Packing Packing   `json:"packing,omitzero"` // that the launch is part of; zero where nothing was packed
}

// Packing is how good the choice of instances is that a launch is part of, in prices as the
// policy weighs them and before its spot share moves some of them to on-demand: no choice of
// instances for the same tasks costs less than the bound.
type Packing struct {
	Cost  Price `json:"cost"`
	Bound Price `json:"bound"`
}

// Gap is by what part the cost is above the bound: 0.01 is one per cent. It is 0 where
// nothing was packed.
func (p Packing) Gap() float64 {
	if p.Bound <= 0 {
		return 0
	}
	return p.Cost.USD()/p.Bound.USD() - 1
}

// IsZero reports whether nothing was packed.
func (p Packing) IsZero() bool { return p == Packing{} }

// Offering is something EC2 sells: a launch spec × instance type × zone × lifecycle, with
// the capacity that it will register.
type Offering struct {
	LaunchSpec   LaunchSpecName `json:"launchSpec"`
	Type         TypeName       `json:"type"`
	Zone         Zone           `json:"zone"`
	Subnet       SubnetID       `json:"subnet"`
	Lifecycle    Lifecycle      `json:"lifecycle"`
	Image        string         `json:"image"` // as the policy names it; ID or SSM parameter
	ImageID      ImageID        `json:"imageID,omitempty"`
	Architecture Architecture   `json:"architecture"`
	Capacity     Resources      `json:"capacity"`
	Price        Price          `json:"price"`
}

// Key identifies what can be short of capacity: type, zone and lifecycle.
func (o *Offering) Key() OfferingKey { return OfferingKey{o.Type, o.Zone, o.Lifecycle} }

// OfferingKey is an EC2 capacity pool.
type OfferingKey struct {
	Type      TypeName  `json:"type"`
	Zone      Zone      `json:"zone"`
	Lifecycle Lifecycle `json:"lifecycle"`
}

// String is for people: "m7i.large us-east-1a spot".
func (k OfferingKey) String() string {
	return string(k.Type) + " " + string(k.Zone) + " " + string(k.Lifecycle)
}

// Carried is a number of like tasks (or headroom units) that an instance is to hold.
type Carried struct {
	What  string `json:"what"` // "service:web web:7", "headroom", "daemon service:agent agent:1"
	Count int    `json:"count"`
}

// Drain empties one instance and terminates it.
type Drain struct {
	Instance          InstanceID          `json:"instance"`
	ContainerInstance ContainerInstanceID `json:"containerInstance"`
	Type              TypeName            `json:"type,omitempty"`        // of the instance: what goes is not launched again at once
	Involuntary       bool                `json:"involuntary,omitempty"` // AWS is taking it: no room need be proven
	Unhealthy         bool                `json:"unhealthy,omitempty"`   // it does not work: its agent need not answer
	Tasks             []Carried           `json:"tasks,omitempty"`       // what the plan found room for; any other task forbids the drain
	Timeout           Duration            `json:"timeout"`
	OnTimeout         OnTimeout           `json:"onTimeout"`
	StandaloneTasks   bool                `json:"standaloneTasks,omitempty"` // the policy allows losing them
	RestrictedTasks   bool                `json:"restrictedTasks,omitempty"` // a roll moves those too that a tag keeps
}

// Restore sets a draining instance active again.
type Restore struct {
	Instance          InstanceID          `json:"instance"`
	ContainerInstance ContainerInstanceID `json:"containerInstance"`
	Drain             ActionID            `json:"drain,omitempty"` // the drain it undoes
}

// Reap terminates an instance of ours that is of no use.
type Reap struct {
	Instance InstanceID `json:"instance"`
	Launch   ActionID   `json:"launch,omitempty"` // the launch that made it
}

// Target is the instance that the action removes or restores, if it has one.
func (a *Action) Target() (InstanceID, bool) {
	switch {
	case a.Drain != nil:
		return a.Drain.Instance, true
	case a.Restore != nil:
		return a.Restore.Instance, true
	case a.Reap != nil:
		return a.Reap.Instance, true
	}
	return "", false
}

// Of is what the action works on: the name of a launch's launch spec, else the instance.
func (a *Action) Of() string {
	if a.Launch != nil {
		return string(a.Launch.Spec.Name)
	}
	id, _ := a.Target()
	return string(id)
}

// Closure ends an earlier action, with the evidence. From then on it counts for nothing.
type Closure struct {
	Action   ActionID `json:"action"`
	Verdict  Verdict  `json:"verdict"`
	Evidence string   `json:"evidence"`
}

// Verdict is how an action ended.
type Verdict string

// How an action may end.
const (
	VerdictDone      Verdict = "done"
	VerdictFailed    Verdict = "failed"
	VerdictExpired   Verdict = "expired"
	VerdictCancelled Verdict = "cancelled"
)

// Idle is an instance whose tasks all fit elsewhere, and since when that has held.
type Idle struct {
	Instance InstanceID `json:"instance"`
	Since    time.Time  `json:"since"`
}

// Unhealthy is an instance whose agent is not connected or whose EC2 status checks fail, and
// since when that has held.
type Unhealthy struct {
	Instance InstanceID `json:"instance"`
	Since    time.Time  `json:"since"`
}

// Saving is what is known of whether the tasks of a cluster would cost less on other
// instances: since when it has looked so, or when a closer look found nothing.
type Saving struct {
	Since      time.Time `json:"since,omitzero"`
	SearchedAt time.Time `json:"searchedAt,omitzero"`
}

// Replacing is a replacement that is under way: its launches were planned, and these
// instances drain once what was launched for them has registered.
type Replacing struct {
	Since     time.Time    `json:"since,omitzero"`
	Instances []InstanceID `json:"instances,omitempty"` // sorted
}

// IsZero reports whether nothing is being replaced.
func (r Replacing) IsZero() bool { return len(r.Instances) == 0 }

// SeenService is what is remembered of a service from plan to plan: how it scales out, and
// whether its tasks fail for another reason than a want of room.
type SeenService struct {
	Service  ServiceName `json:"service"`
	Desired  int         `json:"desired"`           // its desired count when it was last seen
	Grown    int         `json:"grown,omitempty"`   // tasks by which it scaled out, halved once a day
	HalvedAt time.Time   `json:"halvedAt,omitzero"` // when that was done last

	Deployment string `json:"deployment,omitempty"` // its primary, while tasks of it fail
	Failed     int    `json:"failed,omitempty"`     // tasks of it that failed, as ECS counts them
	Crashed    int    `json:"crashed,omitempty"`    // of these: had room
	HadRoom    bool   `json:"hadRoom,omitempty"`    // every task of it that was missing had room when it was last seen
}

// UnmetDemand is what a service wants and does not have.
type UnmetDemand struct {
	Group      string    `json:"group"`
	Deployment string    `json:"deployment,omitempty"`
	Count      int       `json:"count"`
	Since      time.Time `json:"since"`
	Desired    int       `json:"desired,omitempty"`  // of the service: a change of it is an update
	Armed      time.Time `json:"armed,omitzero"`     // since when launches could have helped it; zero is Since
	FitNow     int       `json:"fitNow,omitempty"`   // fit on what is there or booting
	Launched   int       `json:"launched,omitempty"` // carried by launches of this plan
	Unplaced   int       `json:"unplaced,omitempty"` // nothing can be bought for these now
	Reason     Reason    `json:"reason,omitzero"`
}

// Seal sets the IDs of the plan and of its actions from their content. The plan must be
// complete otherwise.
func (p *Plan) Seal() error {
	p.ID = ""
	for i := range p.Actions {
		p.Actions[i].ID = ""
		content, err := json.Marshal(p.Actions[i])
		if err != nil {
			return fmt.Errorf("seal action %d of plan for %s: %w", i, p.Cluster, err)
		}
		p.Actions[i].ID = NewActionID(p.Generation, p.Cluster, p.Prev, i, content)
	}
	content, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("seal plan for %s: %w", p.Cluster, err)
	}
	p.ID = PlanID(Digest(content))
	return nil
}

// Sealed reports whether the IDs of the plan fit its content: whether it is what its
// maker made.
func (p *Plan) Sealed() bool {
	again := *p
	again.Actions = slices.Clone(p.Actions)
	if again.Seal() != nil || again.ID != p.ID {
		return false
	}
	for i := range p.Actions {
		if p.Actions[i].ID != again.Actions[i].ID {
			return false
		}
	}
	return true
}

// Action returns the action of that ID.
func (p *Plan) Action(id ActionID) (*Action, bool) {
	for i := range p.Actions {
		if p.Actions[i].ID == id {
			return &p.Actions[i], true
		}
	}
	return nil, false
}

// Adds reports whether the plan belongs into the chain: it changes something, or a roll or an
// upheaval has got to another state, which the next planner has to know.
func (p *Plan) Adds(rolling *Rolling, upheaval *Upheaval) bool {
	return !p.Empty() || p.Rolling.Turned(rolling) || p.Upheaval.Turned(upheaval)
}

// Empty reports whether the plan changes nothing: neither actions nor closures.
func (p *Plan) Empty() bool { return len(p.Actions) == 0 && len(p.Closures) == 0 }
