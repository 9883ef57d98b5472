// Package actuator carries out the launches of plans. What a launch goes through is decided
// by package action, how an action is driven by package executor; here the effects of the
// one become calls of AWS. It cannot end an instance.
package actuator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/action"
)

// launcher sends a launch, as bytes that are made once.
type launcher interface {
	Freeze(context.Context, cloud.Order) ([]byte, error)
	Launch(ctx context.Context, frozen []byte) ([]fleet.LaunchedInstance, []fleet.OfferingFailure, string, error)
}

// finder tells what a launch has led to.
type finder interface {
	FindByAction(context.Context, fleet.ActionID) ([]fleet.LaunchedInstance, error)
	CountOwned(ctx context.Context, cluster fleet.ClusterName, installation string) (int, error)
	Look(context.Context, fleet.ClusterName, []fleet.InstanceID, []fleet.Attribute) ([]action.Registered, []fleet.InstanceID, error)
}

// stamper puts attributes on what has registered.
type stamper interface {
	PutAttributes(context.Context, fleet.ClusterName, fleet.ContainerInstanceID, []fleet.Attribute) error
}

// Actuator is the service. Make one with [New].
type Actuator struct {
	installation string
	bus          *bus.Bus
	launcher     launcher
	finder       finder
	stamper      stamper
	now          func() time.Time
	engine       *executor.Engine[action.State, action.Event, action.Effect]
}

// New makes an actuator that uses nothing of the account but its launching face.
func New(cfg Config, b *bus.Bus, aws *cloud.Account, p *service.Process) *Actuator {
	face := aws.Launcher()
	a := &Actuator{
		installation: cfg.Executor.Installation, bus: b,
		launcher: face, finder: face, stamper: face, now: aws.Now,
	}
	a.engine = executor.New(p, b, cfg.Executor, executor.Trade[action.State, action.Event, action.Effect]{
		Name:     bus.Actuator,
		Kinds:    []fleet.ActionKind{fleet.ActionLaunch},
		Now:      aws.Now,
		Sync:     aws.Sync,
		Tick:     func(now time.Time) action.Event { return action.Tick{Now: now} },
		Step:     action.Step,
		Progress: progress,
		Describe: describe,
		Perform:  a.perform,
	})
	return a
}

// Run carries out launches until ctx ends.
func (a *Actuator) Run(ctx context.Context) error { return a.engine.Run(ctx) }

func progress(s *action.State) executor.Progress {
	return executor.Progress{Begun: s.Phase != "" && s.Phase != action.Planned, Phase: string(cmp.Or(s.Phase, action.Planned)), NextAt: s.NextAt}
}

func describe(effect action.Effect) executor.Effect {
	switch e := effect.(type) {
	case action.Send:
		return executor.Effect{Changes: "launch"}
	case action.Stamp:
		return executor.Effect{Changes: "stamp"}
	case action.Report:
		return executor.Effect{Report: &fleet.Outcome{
			Phase: e.Phase, Step: e.Step, Class: e.Class, Message: e.Message,
			RequestID: e.RequestID, Instances: e.Instances, Failures: e.Failures,
		}}
	}
	return executor.Effect{}
}

// perform turns an effect into a call and its answer into an event.
func (a *Actuator) perform(ctx context.Context, job executor.Job, effect action.Effect) (action.Event, error) {
	switch e := effect.(type) {
	case action.Freeze:
		return a.freeze(ctx, job)
	case action.Send:
		return a.send(ctx, e)
	case action.Find:
		found, err := a.finder.FindByAction(ctx, job.Action.ID)
		if err != nil {
			return nil, err
		}
		return action.Found{Now: a.now(), Instances: found, Complete: true}, nil
	case action.Look:
		registered, gone, err := a.finder.Look(ctx, job.Cluster, e.Instances, cloud.Attributes(job.Action.Launch))
		if err != nil {
			return nil, err
		}
		return action.Looked{Now: a.now(), Registered: registered, Gone: gone}, nil
	case action.Stamp:
		if err := a.stamper.PutAttributes(ctx, job.Cluster, e.ContainerInstance, cloud.Attributes(job.Action.Launch)); err != nil {
			return nil, err
		}
		return action.Stamped{Now: a.now(), Instance: e.Instance}, nil
	}
	panic(fmt.Sprintf("actuator: effect %T is not performed", effect))
}

// freeze makes the request if the cluster may grow by so much.
func (a *Actuator) freeze(ctx context.Context, job executor.Job) (action.Event, error) {
	why, err := a.beyondLimit(ctx, job)
	if err != nil {
		return nil, err
	}
	if why != "" {
		return action.Frozen{Now: a.now(), Class: fleet.FailureStale, Message: why}, nil
	}
	request, err := a.launcher.Freeze(ctx, cloud.Order{
		Cluster: job.Cluster, Installation: a.installation, Generation: job.Generation,
		Plan: job.Plan, Trace: job.Trace, Action: job.Action,
	})
	return action.Frozen{Now: a.now(), Request: request, Class: cloud.Class(err), Message: text(err)}, nil
}

// send sends the frozen request. A build that cannot read it leaves it to a newer one.
func (a *Actuator) send(ctx context.Context, e action.Send) (action.Event, error) {
	instances, failures, requestID, err := a.launcher.Launch(ctx, e.Request)
	if errors.Is(err, fleet.ErrVersion) {
		return nil, executor.Held("%v", err)
	}
	return action.Sent{
		Now: a.now(), Instances: instances, Failures: failures,
		Class: cloud.Class(err), Message: text(err), RequestID: requestID,
	}, nil
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
