package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// rollCmd groups what has to do with rolls.
type rollCmd struct {
	Start  rollStartCmd  `cmd:"" help:"Begin to replace instances."`
	Status rollStatusCmd `cmd:"" help:"Show how far a roll is and what it waits for."`
	Stop   rollStopCmd   `cmd:"" help:"Stop; what has begun to drain goes on, nothing is undone."`
	Resume rollResumeCmd `cmd:"" help:"Go on after a stop, or after a failure."`
}

// Help shows examples.
func (*rollCmd) Help() string {
	return "A roll replaces the instances that are there when it starts. Of each batch, what its tasks need is launched first, from the launch specs as they are now; the old instances drain once that has registered. While a batch is under way nothing else is removed. Protected tasks and instances, and standalone tasks, are waited for.\n\nExamples:\n  neap roll start --why 'new image'\n  neap roll status\n  neap roll stop\n  neap roll resume"
}

// rollFlags are what all commands about rolls share.
type rollFlags struct {
	natsFlags
	Cluster fleet.ClusterName `help:"ECS cluster; needed where the installation serves several." placeholder:"NAME"`
	Output  string            `help:"How to print: text or json." enum:"text,json" default:"text" short:"o"`
}

// about calls f with the cluster that is meant.
func (r *rollFlags) about(ctx context.Context, f func(context.Context, *bus.Bus, fleet.ClusterName) error) error {
	return r.with(ctx, func(ctx context.Context, b *bus.Bus) error {
		cluster, err := clusterOr(ctx, b, r.Cluster)
		if err != nil {
			return err
		}
		return f(ctx, b, cluster)
	})
}

// show prints how the roll of a cluster is.
func (r *rollFlags) show(ctx context.Context, c console, b *bus.Bus, cluster fleet.ClusterName) error {
	s, drifted, err := rollOf(ctx, b, cluster)
	if err != nil {
		return err
	}
	if r.Output == "json" {
		return writeJSON(c.out, map[string]any{"cluster": cluster, "roll": s, "drifted": drifted})
	}
	if s == nil {
		fmt.Fprintf(c.out, "cluster %s: nothing is rolled\n", cluster)
	} else {
		fmt.Fprintf(c.out, "cluster %s: roll %s\n", cluster, s)
	}
	_, err = fmt.Fprintf(c.out, "drifted: %s\n", count(drifted, "instance"))
	return err
}

type rollStartCmd struct {
	rollFlags
	LaunchSpec      []fleet.LaunchSpecName `name:"launch-spec" help:"Only instances of these launch specs." placeholder:"NAME"`
	Instances       []fleet.InstanceID     `help:"Only these instances." placeholder:"ID"`
	Drifted         bool                   `help:"Only instances that are not what their launch spec would launch now."`
	BatchPercent    int                    `name:"batch-percent" help:"Share of the instances replaced at a time, at least one." default:"20" placeholder:"PERCENT"`
	MinHealthy      int                    `name:"min-healthy-percent" help:"Share of the instances, replaced ones counted, that neither drain nor are out of order; one may always drain." default:"50" placeholder:"PERCENT"`
	RespectRestrict bool                   `name:"respect-restrict" help:"Keep what restrict tags and launch specs with scaleDown.restrict keep."`
	Why             string                 `help:"Reason, for the record and for your colleagues." placeholder:"TEXT"`
}

// Help shows examples.
func (*rollStartCmd) Help() string {
	return "Examples:\n  neap roll start --cluster web --why 'new image'    # all instances that are there now\n  neap roll start --drifted\n  neap roll start --launch-spec default,gpu --batch-percent 10 --min-healthy-percent 90\n  neap roll start --instances i-0123456789abcdef0,i-0fedcba9876543210 --respect-restrict"
}

// Run begins a roll.
func (r *rollStartCmd) Run(ctx context.Context, c console) error {
	roll := fleet.Roll{
		By: who(), Why: r.Why, StartedAt: time.Now().UTC(), LaunchSpecs: r.LaunchSpec, Instances: slices.Compact(slices.Sorted(slices.Values(r.Instances))), Drifted: r.Drifted,
		RollPace: fleet.RollPace{BatchPercent: r.BatchPercent, MinHealthyPercent: r.MinHealthy}, RespectRestrict: r.RespectRestrict,
	}
	roll.ID = "roll-" + roll.StartedAt.Format("20060102T150405")
	if err := roll.Validate(); err != nil {
		return err
	}
	return r.about(ctx, func(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName) error {
		before, _, err := rollOf(ctx, b, cluster)
		if err != nil {
			return err
		}
		if before != nil && before.State == fleet.RollRunning && before.Roll.By != rolledByPolicy {
			return fmt.Errorf("%w: roll %s is running; stop it first with: neap roll stop --cluster %s", fleet.ErrConflict, before, cluster)
		}
		if err := r.begin(ctx, b, cluster, &roll); err != nil {
			return err
		}
		return r.show(ctx, c, b, cluster)
	})
}

// rolledByPolicy is who asks for the rolls of a policy.
const rolledByPolicy = "policy"

// begin checks a roll against the newest view of the cluster and asks for it. By the clock of
// AWS it starts when that view was taken.
func (r *rollStartCmd) begin(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName, roll *fleet.Roll) error {
	snap, _, err := b.LatestSnapshot(ctx, cluster)
	if err != nil {
		return err
	}
	pol, _, err := b.Control().Policy(ctx, cluster)
	if err != nil {
		return err
	}
	for _, name := range roll.LaunchSpecs {
		if _, known := pol.Spec(name); !known && !slices.ContainsFunc(snap.Instances, func(i fleet.Instance) bool { return i.LaunchSpec == name }) {
			return fmt.Errorf("%w: --launch-spec %s: neither the policy of %s nor an instance has it", fleet.ErrInvalid, name, cluster)
		}
	}
	roll.StartedAt = snap.TakenAt
	left := plan.RollLeft(snap, pol, *roll)
	for _, id := range roll.Instances {
		if _, covered := slices.BinarySearch(left, id); !covered && !roll.Drifted {
			return fmt.Errorf("%w: --instances %s: cluster %s has no such instance that Neap launched", fleet.ErrInvalid, id, cluster)
		}
	}
	if roll.Total = len(left); roll.Total == 0 {
		return fmt.Errorf("%w: %s: no instance of cluster %s that Neap launched is of it: there is nothing to replace", fleet.ErrInvalid, roll.Scope(), cluster)
	}
	return b.Control().StartRoll(ctx, cluster, *roll)
}

type rollStatusCmd struct{ rollFlags }

// Help shows examples.
func (*rollStatusCmd) Help() string {
	return "Examples:\n  neap roll status\n  neap roll status --cluster web --output json"
}

// Run shows a roll.
func (r *rollStatusCmd) Run(ctx context.Context, c console) error {
	return r.about(ctx, func(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName) error {
		return r.show(ctx, c, b, cluster)
	})
}

type rollStopCmd struct{ rollFlags }

// Help shows examples.
func (*rollStopCmd) Help() string {
	return "Rolls that the policy asks for are stopped as well. What is draining goes on to its end; \"neap pause\" stops that too.\n\nExamples:\n  neap roll stop\n  neap roll stop --cluster web"
}

// Run stops a roll.
func (r *rollStopCmd) Run(ctx context.Context, c console) error {
	return r.about(ctx, func(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName) error {
		if _, err := b.Control().StopRoll(ctx, cluster); err != nil {
			return err
		}
		return r.show(ctx, c, b, cluster)
	})
}

type rollResumeCmd struct{ rollFlags }

// Help shows examples.
func (*rollResumeCmd) Help() string {
	return "A roll that has failed begins its batch anew.\n\nExamples:\n  neap roll resume\n  neap roll resume --cluster web"
}

// Run resumes a roll.
func (r *rollResumeCmd) Run(ctx context.Context, c console) error {
	return r.about(ctx, func(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName) error {
		snap, _, err := b.LatestSnapshot(ctx, cluster)
		if err != nil {
			return err
		}
		if _, err := b.Control().ResumeRoll(ctx, cluster, snap.TakenAt); err != nil {
			return err
		}
		return r.show(ctx, c, b, cluster)
	})
}

// rollStatus is a roll for people and for other programs.
type rollStatus struct {
	fleet.Rolling
	Remaining []fleet.InstanceID `json:"remaining,omitempty"` // still to be replaced
}

// rollOf says how the roll of a cluster is, and how many instances have drifted. What is
// left of it shows in the newest snapshot; what became of it the last plan says. It is nil if
// there is none.
func rollOf(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName) (*rollStatus, int, error) {
	own, err := b.Control().Roll(ctx, cluster)
	if err != nil {
		return nil, 0, err
	}
	snap, _, err := b.LatestSnapshot(ctx, cluster)
	if err != nil {
		return nil, 0, err
	}
	pol, _, err := b.Control().Policy(ctx, cluster)
	if err != nil {
		return nil, 0, err
	}
	last, _, _, err := b.LastPlan(ctx, cluster)
	if err != nil {
		return nil, 0, err
	}
	everything := fleet.Roll{ID: "drift", Drifted: true, StartedAt: snap.TakenAt.Add(time.Hour)}
	drifted := len(plan.RollLeft(snap, pol, everything))
	s := &rollStatus{Rolling: fleet.Rolling{Roll: own, State: fleet.RollRunning}}
	if own.ID == "" || last.Rolling.Roll.ID == own.ID || len(plan.RollLeft(snap, pol, own)) == 0 && last.Rolling.State == fleet.RollRunning {
		s.Rolling = last.Rolling
	}
	if s.Roll.ID == "" {
		return nil, drifted, nil
	}
	s.Remaining = plan.RollLeft(snap, pol, s.Roll)
	s.Left = len(s.Remaining)
	switch {
	case s.Left == 0:
		s.State, s.Batch, s.Why = fleet.RollCompleted, nil, ""
	case !own.Stopped.IsZero():
		s.State, s.Batch, s.Why = fleet.RollStopped, nil, ""
	case s.State == fleet.RollStopped, s.State == fleet.RollFailed && !own.Resumed.Before(s.Since):
		s.State, s.Why = fleet.RollRunning, "" // resumed: the planner is about to see it
	}
	return s, drifted, nil
}

// String is the roll for people, in one line.
func (s *rollStatus) String() string {
	text := fmt.Sprintf("%s of %s, by %s: %s, %d of %d replaced", s.Roll.ID, s.Roll.Scope(), s.Roll.By, s.State, max(s.Roll.Total-s.Left, 0), s.Roll.Total)
	if s.Roll.Why != "" {
		text += " (" + s.Roll.Why + ")"
	}
	if len(s.Batch) > 0 && s.State == fleet.RollRunning {
		ids := make([]string, 0, len(s.Batch))
		for _, id := range s.Batch {
			ids = append(ids, string(id))
		}
		text += "; now " + strings.Join(ids, ", ")
	}
	if s.Why != "" {
		text += "; " + s.Why
	}
	return text
}
