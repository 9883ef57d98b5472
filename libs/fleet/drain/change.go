package drain

import (
	"context"
	"errors"
	"fmt"

	"github.com/neap-project/neap/libs/fleet"
)

// Calls are the calls of AWS that a removal makes. Each may be made again. Deregister is
// without force: ECS refuses it while a task runs, and the error is [fleet.ErrTasksRunning].
type Calls interface {
	TagDrain(context.Context, fleet.InstanceID, fleet.ActionID) error // marks an instance as in the hands of a drain
	Untag(context.Context, fleet.InstanceID) error
	SetDraining(context.Context, fleet.ClusterName, fleet.ContainerInstanceID) error // ECS moves tasks away from it
	SetActive(context.Context, fleet.ClusterName, fleet.ContainerInstanceID) error   // ECS uses it again
	StopTask(ctx context.Context, cluster fleet.ClusterName, task, why string) error
	Deregister(context.Context, fleet.ClusterName, fleet.ContainerInstanceID) error
	Terminate(context.Context, fleet.InstanceID) error
}

// Change makes the calls of an effect that changes AWS.
func Change(ctx context.Context, calls Calls, cluster fleet.ClusterName, a *fleet.Action, effect Effect) error {
	instance, containerInstance := Target(a)
	switch e := effect.(type) {
	case SetDraining:
		return setDraining(ctx, calls, cluster, a)
	case SetActive:
		if err := calls.SetActive(ctx, cluster, containerInstance); err != nil {
			return err
		}
		return calls.Untag(ctx, instance)
	case StopTasks:
		why := "neap: its instance is being removed and it outlasted the drain timeout"
		var errs []error
		for _, task := range e.Tasks {
			errs = append(errs, calls.StopTask(ctx, cluster, task, why))
		}
		return errors.Join(errs...)
	case Deregister:
		return calls.Deregister(ctx, cluster, containerInstance)
	case Terminate:
		return calls.Terminate(ctx, instance)
	}
	panic(fmt.Sprintf("drain: effect %T changes nothing", effect))
}

// setDraining marks the instance first: whoever finds it draining must find out why. It marks
// it once more at last: if this process was stopped in between, another may have undone the
// drain and taken the mark off, and an instance that drains without it is left alone for
// ever, as a person's. If it cannot be marked it is set active again.
func setDraining(ctx context.Context, calls Calls, cluster fleet.ClusterName, a *fleet.Action) error {
	instance, containerInstance := Target(a)
	if err := calls.TagDrain(ctx, instance, a.ID); err != nil {
		return err
	}
	if err := calls.SetDraining(ctx, cluster, containerInstance); err != nil {
		return err
	}
	if err := calls.TagDrain(ctx, instance, a.ID); err != nil {
		return errors.Join(err, calls.SetActive(ctx, cluster, containerInstance))
	}
	return nil
}

// Target is what an action is about; a reap has no container instance.
func Target(a *fleet.Action) (fleet.InstanceID, fleet.ContainerInstanceID) {
	switch {
	case a.Drain != nil:
		return a.Drain.Instance, a.Drain.ContainerInstance
	case a.Restore != nil:
		return a.Restore.Instance, a.Restore.ContainerInstance
	}
	instance, _ := a.Target()
	return instance, ""
}
