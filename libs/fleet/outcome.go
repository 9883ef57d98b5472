package fleet

import "time"

// Outcome is what came of one step of an action: the intent before a mutating call, the
// result after it. Outcomes are the audit log and what the planner learns from.
type Outcome struct {
	Cluster    ClusterName  `json:"cluster"`
	Generation uint64       `json:"generation"`
	Plan       PlanID       `json:"plan"`
	Action     ActionID     `json:"action"`
	Kind       ActionKind   `json:"kind"`
	Of         string       `json:"of,omitempty"` // as Action.Of
	Phase      OutcomePhase `json:"phase"`
	Step       string       `json:"step"` // the step of the state machine: "launch", "drain", "deregister", …
	Attempt    int          `json:"attempt"`
	At         time.Time    `json:"at"`
	By         string       `json:"by"` // service and replica

	Class     FailureClass       `json:"class,omitempty"` // of a result that failed
	Message   string             `json:"message,omitempty"`
	RequestID string             `json:"requestID,omitempty"` // of AWS
	Instances []LaunchedInstance `json:"instances,omitempty"` // of a launch; or the one that was drained
	Failures  []OfferingFailure  `json:"failures,omitempty"`  // of a launch: which offerings had none
}

// OutcomePhase says on which side of the step the outcome was written.
type OutcomePhase string

// The phases of an outcome: intent before a mutating call, result after it, and final
// when the action is over.
const (
	PhaseIntent OutcomePhase = "intent"
	PhaseResult OutcomePhase = "result"
	PhaseFinal  OutcomePhase = "final"
)

// FailureClass says what kind of failure it was, hence what to do about it.
type FailureClass string

// The classes of failure; see reference sentinel errors of the same meaning.
const (
	FailureNone      FailureClass = ""
	FailureUnknown   FailureClass = "unknown"   // send the same bytes again
	FailureThrottled FailureClass = "throttled" // the same, slower
	FailureCapacity  FailureClass = "capacity"  // another offering
	FailureQuota     FailureClass = "quota"     // back off, tell a person
	FailureInvalid   FailureClass = "invalid"   // the launch spec is wrong
	FailureDenied    FailureClass = "denied"    // the credentials are wrong
	FailureStale     FailureClass = "stale"     // the world is no longer as planned
	FailureTimeout   FailureClass = "timeout"   // it took too long and was undone
)

// LaunchedInstance is an instance that EC2 gave out.
type LaunchedInstance struct {
	ID        InstanceID `json:"id"`
	Type      TypeName   `json:"type,omitempty"`
	Zone      Zone       `json:"zone,omitempty"`
	Subnet    SubnetID   `json:"subnet,omitempty"`
	Lifecycle Lifecycle  `json:"lifecycle,omitempty"`
}

// OfferingFailure is an offering that EC2 could not give out.
type OfferingFailure struct {
	Offering OfferingKey  `json:"offering"`
	Class    FailureClass `json:"class"`
	Code     string       `json:"code,omitempty"` // of EC2, for people
	Message  string       `json:"message,omitempty"`
}
