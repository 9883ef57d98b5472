package fleet

import (
	"encoding/json"
	"fmt"
	"time"
)

// Memory is what the planner knows of a cluster beside the snapshot: which actions are
// open, and what outcomes taught. It is folded from the PLAN and OUTCOME streams (see
// fleet/outcome), so every planner that read the same streams has the same memory.
type Memory struct {
	Generation uint64        `json:"generation"`
	Prev       PlanID        `json:"prev,omitempty"` // the last plan of the chain
	PrevReadAt time.Time     `json:"prevReadAt,omitzero"`
	Pause      Pause         `json:"pause,omitzero"`
	Open       []Open        `json:"open,omitempty"`      // in the order they were planned
	Shortages  []Shortage    `json:"shortages,omitempty"` // sorted by offering
	Drought    Drought       `json:"drought,omitzero"`    // of spot instances
	Setbacks   []Setback     `json:"setbacks,omitempty"`  // sorted by kind and what they are of
	Policy     string        `json:"policy,omitempty"`    // digest, of the last plan
	Idle       []Idle        `json:"idle,omitempty"`      // of the last plan, sorted by instance
	Unhealthy  []Unhealthy   `json:"unhealthy,omitempty"` // of the last plan, sorted by instance
	Demand     []DemandAge   `json:"demand,omitempty"`    // sorted by group and deployment
	Services   []SeenService `json:"services,omitempty"`  // of the last plan, sorted by service
	Saving     Saving        `json:"saving,omitzero"`     // of the last plan
	Replacing  Replacing     `json:"replacing,omitzero"`  // of the last plan
	LaunchedAt time.Time     `json:"launchedAt,omitzero"` // last launch that was planned
	RemovedAt  time.Time     `json:"removedAt,omitzero"`  // last removal that was planned
	Removed    []Removed     `json:"removed,omitempty"`   // removals of the last while, of our own will, in the order they were planned
	Roll       Roll          `json:"roll,omitzero"`       // that a person asks for
	Rolling    Rolling       `json:"rolling,omitzero"`    // of the last plan
	Census     Census        `json:"census,omitzero"`     // of the last plan
	Upheaval   Upheaval      `json:"upheaval,omitzero"`   // of the last plan

	// Effort is how long to look for cheaper instances. It is not remembered: whoever asks
	// for a plan chooses it, and the plan says it.
	Effort Effort `json:"effort,omitempty"`
}

// Effort is how long a plan looks for cheaper instances, counted in steps and not by a clock:
// it is an input like any other.
type Effort string

// The efforts. A plan that says none was made with the first.
const (
	EffortFast   Effort = ""       // for a plan that is needed now
	EffortNormal Effort = "normal" // for a second look at one that may not be the cheapest
	EffortHigh   Effort = "high"   // for who can wait for seconds
)

// String is for people.
func (e Effort) String() string {
	if e == EffortFast {
		return "fast"
	}
	return string(e)
}

// Removed is an instance whose removal was planned.
type Removed struct {
	Instance InstanceID `json:"instance"`
	Type     TypeName   `json:"type"`
	At       time.Time  `json:"at"`
}

// Pause is the red button of a cluster.
type Pause struct {
	By    string    `json:"by,omitempty"`
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// Paused reports whether the button is pressed.
func (p Pause) Paused() bool { return !p.Since.IsZero() }

// Open is an action that was planned and not closed yet.
type Open struct {
	Action    Action             `json:"action"`
	Plan      PlanID             `json:"plan"`
	PlannedAt time.Time          `json:"plannedAt"`
	Over      bool               `json:"over,omitempty"` // its executor wrote a final outcome
	Class     FailureClass       `json:"class,omitempty"`
	Message   string             `json:"message,omitempty"`
	OverAt    time.Time          `json:"overAt,omitzero"`
	Instances []LaunchedInstance `json:"instances,omitempty"` // that a launch gave
}

// Shortage is an offering that had no capacity, and until when it is not asked for again.
type Shortage struct {
	Offering OfferingKey `json:"offering"`
	Until    time.Time   `json:"until"`
	Strikes  int         `json:"strikes"` // in a row; each doubles the wait
}

// Drought is a want of spot instances whatever their type: plans in a row asked for some, each
// for others, and EC2 had none to give. To go on from pool to pool would leave tasks waiting
// for as many rounds as there are pools. One spot instance that is given ends it.
type Drought struct {
	Zone    Zone      `json:"zone,omitempty"` // the only one asked for; empty is everywhere
	Plan    PlanID    `json:"plan,omitempty"` // the last whose launches gave none
	At      time.Time `json:"at,omitzero"`    // of that
	Until   time.Time `json:"until,omitzero"` // on-demand instances take the place of spot, where the policy lets them
	Strikes int       `json:"strikes,omitempty"`
}

// Dries reports whether an offering is hit by the drought at an instant.
func (d *Drought) Dries(k OfferingKey, now time.Time) bool {
	return k.Lifecycle == Spot && now.Before(d.Until) && (d.Zone == "" || d.Zone == k.Zone)
}

// Setback is work that failed for a reason that trying again at once would not cure, and
// until when it is not tried again. One that succeeds ends it, and so does another policy.
type Setback struct {
	Kind    ActionKind   `json:"kind"`
	Of      string       `json:"of"` // as Action.Of
	Class   FailureClass `json:"class"`
	Message string       `json:"message,omitempty"`
	At      time.Time    `json:"at"` // of the last failure that counted
	Until   time.Time    `json:"until"`
	Strikes int          `json:"strikes"` // in a row; each doubles the wait
}

// Setback is the setback of a kind of work that holds at an instant, nil if there is none.
func (m *Memory) Setback(kind ActionKind, of string, now time.Time) *Setback {
	for i := range m.Setbacks {
		if s := &m.Setbacks[i]; s.Kind == kind && s.Of == of && now.Before(s.Until) {
			return s
		}
	}
	return nil
}

// DemandAge is how long a demand has been unmet, and what was tried for it.
type DemandAge struct {
	Group      string    `json:"group"`
	Deployment string    `json:"deployment,omitempty"`
	Since      time.Time `json:"since"`
	Desired    int       `json:"desired,omitempty"` // as UnmetDemand.Desired
	Armed      time.Time `json:"armed,omitzero"`    // as UnmetDemand.Armed
}

// Digest is the identity of the memory.
func (m *Memory) Digest() (string, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("digest of memory: %w", err)
	}
	return Digest(b), nil
}
