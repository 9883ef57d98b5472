// Package drainer empties instances and ends them, restores those that are needed after
// all, and reaps those that never joined. What a removal goes through is decided by package
// drain, how an action is driven by package executor; here the effects of the one become
// calls of AWS. It cannot launch an instance.
package drainer

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/drain"
)

// viewer looks at an instance and its tasks.
type viewer interface {
	View(context.Context, cloud.Target) (drain.Viewed, error)
}

// Drainer is the service. Make one with [New].
type Drainer struct {
	installation string
	control      *bus.Control
	viewer       viewer
	calls        drain.Calls
	now          func() time.Time
	engine       *executor.Engine[drain.State, drain.Event, drain.Effect]
}

// New makes a drainer that uses nothing of the account but its draining face.
func New(cfg Config, b *bus.Bus, aws *cloud.Account, p *service.Process) *Drainer {
	face := aws.Drainer()
	d := &Drainer{
		installation: cfg.Executor.Installation, control: b.Control(),
		viewer: face, calls: face, now: aws.Now,
	}
	d.engine = executor.New(p, b, cfg.Executor, executor.Trade[drain.State, drain.Event, drain.Effect]{
		Name:     bus.Drainer,
		Kinds:    []fleet.ActionKind{fleet.ActionDrain, fleet.ActionRestore, fleet.ActionReap},
		Now:      aws.Now,
		Sync:     aws.Sync,
		Tick:     func(now time.Time) drain.Event { return drain.Tick{Now: now} },
		Step:     drain.Step,
		Cancel:   func(now time.Time, why string) drain.Event { return drain.Cancel{Now: now, Why: why} },
		Progress: progress,
		Describe: describe,
		Perform:  d.perform,
	})
	return d
}

// Run carries out removals until ctx ends.
func (d *Drainer) Run(ctx context.Context) error { return d.engine.Run(ctx) }

func progress(s *drain.State) executor.Progress {
	return executor.Progress{Begun: s.Phase != "" && s.Phase != drain.Planned, Phase: string(cmp.Or(s.Phase, drain.Planned)), NextAt: s.NextAt}
}

func describe(effect drain.Effect) executor.Effect {
	switch e := effect.(type) {
	case drain.Look:
		return executor.Effect{}
	case drain.Report:
		return executor.Effect{Report: &fleet.Outcome{Phase: e.Phase, Step: e.Step, Class: e.Class, Message: e.Message}}
	}
	return executor.Effect{Changes: drain.StepName(effect)}
}

// perform turns an effect into calls and their answers into an event.
func (d *Drainer) perform(ctx context.Context, job executor.Job, effect drain.Effect) (drain.Event, error) {
	if _, ok := effect.(drain.Look); ok {
		return d.look(ctx, job)
	}
	err := drain.Change(ctx, d.calls, job.Cluster, job.Action, effect)
	did := drain.Did{Now: d.now(), What: effect}
	switch {
	case errors.Is(err, fleet.ErrTasksRunning):
		did.Busy, did.Message = true, err.Error()
	case err != nil:
		did.Class, did.Message = cloud.Class(err), err.Error()
	}
	return did, nil
}

// look reads the instance freshly, and whether a person keeps it.
func (d *Drainer) look(ctx context.Context, job executor.Job) (drain.Event, error) {
	policy, _, err := d.control.Policy(ctx, job.Cluster)
	if errors.Is(err, fleet.ErrNotFound) { // removed since: what has begun is brought to its end
		policy, err = fleet.Policy{}.WithDefaults(), nil
	}
	if err != nil {
		return nil, err
	}
	kept, err := d.control.Protected(ctx, job.Cluster)
	if err != nil {
		return nil, err
	}
	instance, containerInstance := drain.Target(job.Action)
	viewed, err := d.viewer.View(ctx, cloud.Target{
		Cluster: job.Cluster, Installation: d.installation, Instance: instance,
		ContainerInstance: containerInstance, RestrictTags: policy.Attributes.RestrictTags,
	})
	if err == nil {
		viewed.View.Kept = kept[instance]
	}
	return viewed, nil // an error is in it
}
