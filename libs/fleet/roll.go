package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Roll replaces the instances of a cluster, or some of them, by new ones, a batch at a time:
// capacity first, then the drains. What is left of it are the instances that were launched
// before it began, so a crash loses nothing of it.
type Roll struct {
	ID          string           `json:"id,omitempty"` // empty: there is none; Stopped may still be set
	By          string           `json:"by,omitempty"`
	Why         string           `json:"why,omitempty"`
	StartedAt   time.Time        `json:"startedAt,omitzero"` // instances launched later are not of it
	LaunchSpecs []LaunchSpecName `json:"launchSpecs,omitempty"`
	Instances   []InstanceID     `json:"instances,omitempty"` // sorted; neither these nor specs: the whole cluster
	Drifted     bool             `json:"drifted,omitempty"`   // only those that are not what their launch spec would launch now
	Total       int              `json:"total,omitempty"`     // instances when it began
	RollPace
	RespectRestrict bool      `json:"respectRestrict,omitempty"` // keep what restrict tags and restricted launch specs keep
	Stopped         time.Time `json:"stopped,omitzero"`          // since when nothing is rolled, by the policy neither; zero is not
	Resumed         time.Time `json:"resumed,omitzero"`          // a failure until then, by the clock of AWS, is forgiven
}

// RollPace is how fast a roll goes.
type RollPace struct {
	BatchPercent      int `json:"batchPercent,omitempty" desc:"share of its instances that a roll replaces at a time, and always at least one; default 20"`
	MinHealthyPercent int `json:"minHealthyPercent,omitempty" desc:"share of its instances, those that are replaced counted, that neither drain nor are out of order; one may always drain; default 50"`
}

// WithDefaults fills in what is not set.
func (p RollPace) WithDefaults() RollPace {
	p.BatchPercent = or(p.BatchPercent, defaultRollBatch)
	p.MinHealthyPercent = or(p.MinHealthyPercent, defaultRollHealthy)
	return p
}

// The pace of a roll, as in the reference product: five batches, half of one in motion.
const (
	defaultRollBatch   = 20
	defaultRollHealthy = 50
)

// Batch is how many instances one batch has: O(1).
func (r *Roll) Batch() int { return max(r.Total*r.BatchPercent/percent, 1) }

// MayLack is how many instances of the roll may drain or be out of order at once.
func (r *Roll) MayLack() int { return max(r.Total*(percent-r.MinHealthyPercent)/percent, 1) }

const percent = 100

// Covers reports whether an instance is of the roll and still to be replaced; whether it has
// drifted is for the planner to say.
func (r *Roll) Covers(inst *Instance) bool {
	if r.ID == "" || inst.Owner == "" || inst.Status == StatusGone || !inst.LaunchedAt.Before(r.StartedAt) {
		return false
	}
	if len(r.Instances) > 0 {
		_, found := slices.BinarySearch(r.Instances, inst.ID)
		return found
	}
	return len(r.LaunchSpecs) == 0 || slices.Contains(r.LaunchSpecs, inst.LaunchSpec)
}

// Validate says what is wrong with a roll that a person asks for.
func (r *Roll) Validate() error {
	var bad problems
	if r.BatchPercent < 1 || r.BatchPercent > percent {
		bad.add("batchPercent", "%d; use 1 to 100, 20 is usual", r.BatchPercent)
	}
	if r.MinHealthyPercent < 1 || r.MinHealthyPercent > percent {
		bad.add("minHealthyPercent", "%d; use 1 to 100, 50 is usual", r.MinHealthyPercent)
	}
	if r.ID == "" || r.By == "" || r.StartedAt.IsZero() {
		bad.add("roll", "id %q, by %q, started at %s: say which it is, who asks for it and when", clip(r.ID), clip(r.By), r.StartedAt)
	}
	if len(r.LaunchSpecs) > 0 && len(r.Instances) > 0 {
		bad.add("instances", "given, and launch specs too; use one of the two")
	}
	if !slices.IsSorted(r.Instances) {
		bad.add("instances", "not sorted")
	}
	const most = 1000 // a roll is part of plans, which have to fit a message
	if len(r.Instances) > most {
		bad.add("instances", "%d; name at most %d, or roll launch specs", len(r.Instances), most)
	}
	return bad.err()
}

// Scope is what is rolled, for people.
func (r *Roll) Scope() string {
	var what string
	switch {
	case len(r.Instances) > 0:
		what = fmt.Sprintf("%d named instances", len(r.Instances))
	case len(r.LaunchSpecs) > 0:
		names := make([]string, len(r.LaunchSpecs))
		for i, n := range r.LaunchSpecs {
			names[i] = string(n)
		}
		what = "launch specs " + strings.Join(names, ", ")
	default:
		what = "the whole cluster"
	}
	if r.Drifted {
		what += ", drifted instances only"
	}
	return what
}

// RollState is how a roll does.
type RollState string

// The states of a roll.
const (
	RollRunning   RollState = "running"
	RollStopped   RollState = "stopped"
	RollCompleted RollState = "completed"
	RollFailed    RollState = "failed"
)

// Rolling is a roll as a plan left it.
type Rolling struct {
	Roll  Roll         `json:"roll"`
	State RollState    `json:"state,omitempty"`
	Why   string       `json:"why,omitempty"`   // it failed, or waits
	Left  int          `json:"left,omitempty"`  // instances that are still to be replaced
	Batch []InstanceID `json:"batch,omitempty"` // what is being replaced now, sorted
	Since time.Time    `json:"since,omitzero"`  // of the batch, or of the failure
}

// IsZero reports whether there is no roll.
func (r Rolling) IsZero() bool { return r.Roll.ID == "" }

// Turned reports whether a roll got to another state or another batch: that must not be
// forgotten.
func (r *Rolling) Turned(from *Rolling) bool {
	return r.Roll.ID != from.Roll.ID || r.State != from.State || !slices.Equal(r.Batch, from.Batch)
}

// Rolls says what is rolled without anybody asking for it.
type Rolls struct {
	Drift           DriftPolicy `json:"drift,omitempty" desc:"instances that are not what their launch spec would launch now (another image, launch template, user data, security group, instance profile …): report (default) or auto (replace them)"`
	RollPace        `yaml:",inline"`
	RespectRestrict bool         `json:"respectRestrict,omitempty" desc:"keep what restrict tags and launch specs with scaleDown.restrict keep; default false: a roll replaces these too"`
	Windows         []WeekWindow `json:"windows,omitempty" desc:"times of the week at which drifted instances are replaced; empty is always"`
	Schedule        []RollWindow `json:"schedule,omitempty" desc:"times of the week at which instances are replaced that are older than the window, drifted or not"`
}

// RollWindow is a time of the week at which a roll begins, and by whose end it is over or
// goes on the next time.
type RollWindow struct {
	WeekWindow  `yaml:",inline"`
	LaunchSpecs []LaunchSpecName `json:"launchSpecs,omitempty" desc:"replace instances of these only; empty is all"`
}

// Began is when the window that holds at an instant began; ok is false if it does not hold.
// Where clocks are changed within the window that is an hour off.
func (w *WeekWindow) Began(now time.Time) (began time.Time, ok bool) {
	since, ok := w.since(now)
	return now.Truncate(time.Minute).Add(-time.Duration(since) * time.Minute), ok
}

// DriftPolicy is what becomes of drifted instances.
type DriftPolicy string

// What may become of drifted instances.
const (
	DriftReport DriftPolicy = "report"
	DriftAuto   DriftPolicy = "auto"
)

func (r *Rolls) validate(bad *problems, pol *Policy) {
	oneOf(bad, "rolls.drift", r.Drift, DriftReport, DriftAuto)
	if v := r.BatchPercent; v < 1 || v > percent {
		bad.add("rolls.batchPercent", "%d; use 1 to 100, 20 is usual", v)
	}
	if v := r.MinHealthyPercent; v < 1 || v > percent {
		bad.add("rolls.minHealthyPercent", "%d; use 1 to 100, 50 is usual", v)
	}
	validWindows(bad, "rolls.windows", r.Windows)
	for i := range r.Schedule {
		w, at := &r.Schedule[i], fmt.Sprintf("rolls.schedule[%d]", i)
		w.validate(bad, at)
		for _, name := range w.LaunchSpecs {
			if _, ok := pol.Spec(name); !ok {
				bad.add(at+".launchSpecs", "%q is no launch spec of this policy", clip(string(name)))
			}
		}
	}
}
