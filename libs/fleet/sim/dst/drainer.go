package dst

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/drain"
	"github.com/neap-project/neap/libs/fleet/execute"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// drainer turns the effects of removals into calls.
type drainer struct{ s *system }

func (d *drainer) perform(_ context.Context, job execute.Job, effect drain.Effect) (drain.Event, error) {
	if _, ok := effect.(drain.Look); ok {
		return d.view(job), nil
	}
	err := d.change(job, effect)
	return did(d.s.now, effect, err), nil
}

// target is what an action is about.
func target(a *fleet.Action) (fleet.InstanceID, fleet.ContainerInstanceID) {
	switch {
	case a.Drain != nil:
		return a.Drain.Instance, a.Drain.ContainerInstance
	case a.Restore != nil:
		return a.Restore.Instance, a.Restore.ContainerInstance
	}
	id, _ := a.Target()
	return id, ""
}

func (d *drainer) change(job execute.Job, effect drain.Effect) error {
	s := d.s
	id, ci := target(job.Action)
	switch e := effect.(type) {
	case drain.SetDraining:
		if _, err := mutate(s, "ec2:CreateTags", job, id, func() (*sim.CreateTagsOutput, error) {
			return s.world.CreateTags(&sim.CreateTagsInput{Resources: []string{string(id)}, Tags: []sim.Tag{{Key: fleet.TagDrain, Value: string(job.Action.ID)}}})
		}); err != nil {
			return err
		}
		return d.setState(job, id, ci, "DRAINING")
	case drain.SetActive:
		if err := d.setState(job, id, ci, "ACTIVE"); err != nil {
			return err
		}
		_, err := mutate(s, "ec2:DeleteTags", job, id, func() (*sim.DeleteTagsOutput, error) {
			return s.world.DeleteTags(&sim.DeleteTagsInput{Resources: []string{string(id)}, Tags: []sim.Tag{{Key: fleet.TagDrain}}})
		})
		return err
	case drain.StopTasks:
		var errs []error
		for _, task := range e.Tasks {
			_, err := mutate(s, "ecs:StopTask", job, id, func() (*sim.StopTaskOutput, error) {
				return s.world.StopTask(&sim.StopTaskInput{Cluster: cluster, Task: task, Reason: "drain"})
			})
			if err != nil && !strings.Contains(err.Error(), "task was not found") {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	case drain.Deregister:
		return d.deregister(job, id, ci)
	case drain.Terminate:
		_, err := mutate(s, "ec2:TerminateInstances", job, id, func() (*sim.TerminateInstancesOutput, error) {
			return s.world.TerminateInstances(&sim.TerminateInstancesInput{InstanceIDs: []string{string(id)}})
		})
		return err
	}
	panic(fmt.Sprintf("dst: effect %T is not performed", effect))
}

func (d *drainer) setState(job execute.Job, id fleet.InstanceID, ci fleet.ContainerInstanceID, status string) error {
	out, err := mutate(d.s, "ecs:UpdateContainerInstancesState", job, id, func() (*sim.UpdateContainerInstancesStateOutput, error) {
		return d.s.world.UpdateContainerInstancesState(&sim.UpdateContainerInstancesStateInput{Cluster: cluster, ContainerInstances: []string{string(ci)}, Status: status})
	})
	if err == nil && len(out.Failures) > 0 {
		kind := fleet.ErrConflict
		if out.Failures[0].Reason == "MISSING" {
			kind = fleet.ErrNotFound
		}
		return fmt.Errorf("%w: %s", kind, out.Failures[0].Reason)
	}
	return err
}

func (d *drainer) deregister(job execute.Job, id fleet.InstanceID, ci fleet.ContainerInstanceID) error {
	_, err := mutate(d.s, "ecs:DeregisterContainerInstance", job, id, func() (*sim.DeregisterContainerInstanceOutput, error) {
		return d.s.world.DeregisterContainerInstance(&sim.DeregisterContainerInstanceInput{Cluster: cluster, ContainerInstance: string(ci)})
	})
	if err == nil {
		return nil
	}
	switch words := strings.ToLower(err.Error()); {
	case strings.Contains(words, "not found"), strings.Contains(words, "inactive"):
		return nil
	case strings.Contains(words, "running tasks"), strings.Contains(words, "tasks running"):
		d.s.count("F58")
		return fmt.Errorf("%w: %w", fleet.ErrTasksRunning, err)
	}
	return err
}

// view reads an instance and its tasks freshly.
func (d *drainer) view(job execute.Job) drain.Viewed {
	s := d.s
	id, _ := target(job.Action)
	kept := s.bus.protected[id]
	machines, err := call(s, "ec2:DescribeInstances", func() ([]snapshot.EC2Instance, error) { return s.eye.machine(id), nil })
	if err != nil {
		return drain.Viewed{Now: s.now, Class: classOf(err), Message: text(err)}
	}
	v := drain.Viewed{View: drain.View{Instance: id, Status: fleet.StatusLaunching, Kept: kept}, Missing: len(machines) == 0}
	if !v.Missing {
		v.Gone = slices.Contains(ended, machines[0].State)
		v.View.Ours = tagOf(machines[0].Tags, fleet.TagOwner) == installation && tagOf(machines[0].Tags, fleet.TagCluster) == cluster
		v.View.DrainTag = fleet.ActionID(tagOf(machines[0].Tags, fleet.TagDrain))
	}
	if v.Missing || v.Gone {
		v.Now = s.now
		return v
	}
	_, err = call(s, "ecs:DescribeTasks", func() (bool, error) { d.viewTasks(&v); return true, nil })
	v.Now, v.Class, v.Message = s.now, classOf(err), text(err)
	return v
}

// viewTasks adds what ECS knows of an instance.
func (d *drainer) viewTasks(v *drain.Viewed) {
	s := d.s
	ci := s.eye.containerInstance(v.View.Instance)
	v.View.Complete = true
	if ci == nil {
		return
	}
	v.View.ContainerInstance, v.View.AgentConnected = fleet.ContainerInstanceID(lastOf(ci.ARN)), ci.AgentConnected
	v.View.Status = fleet.InstanceStatus(strings.ToLower(ci.Status))
	for _, t := range s.eye.tasksOn(ci.ARN) {
		service, ofService := strings.CutPrefix(t.Group, "service:")
		v.View.Tasks = append(v.View.Tasks, drain.Task{
			ID: t.ARN, What: t.Group + " " + lastOf(t.TaskDefinition), Stopping: t.DesiredStatus == "STOPPED",
			Daemon: service == daemonName, Standalone: !ofService, Protected: t.Protected,
		})
	}
	if s.hit("F6") {
		v.View.Complete = false
	}
}

func tagOf(tags []snapshot.Tag, key string) string {
	for _, t := range tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}
