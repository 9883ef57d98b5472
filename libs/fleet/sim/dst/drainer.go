package dst

import (
	"context"
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

func (d *drainer) perform(ctx context.Context, job execute.Job, effect drain.Effect) (drain.Event, error) {
	if _, ok := effect.(drain.Look); ok {
		if phase := d.s.check.actions[job.Action.ID].phase; (phase == "" || phase == "planned") && d.s.hit("F58") {
			d.s.disturb(job)
		}
		return d.view(job), nil
	}
	id, _ := drain.Target(job.Action)
	err := drain.Change(ctx, calls{d.s, job, id}, cluster, job.Action, effect)
	return did(d.s.now, effect, err), nil
}

// calls are the calls of AWS for an action.
type calls struct {
	s   *system
	job execute.Job
	id  fleet.InstanceID
}

// TagDrain marks an instance.
func (c calls) TagDrain(_ context.Context, id fleet.InstanceID, drain fleet.ActionID) error {
	_, err := mutate(c.s, "ec2:CreateTags", c.job, id, func() (*sim.CreateTagsOutput, error) {
		return c.s.world.CreateTags(&sim.CreateTagsInput{Resources: []string{string(id)}, Tags: []sim.Tag{{Key: fleet.TagDrain, Value: string(drain)}}})
	})
	return err
}

// Untag takes the mark off.
func (c calls) Untag(_ context.Context, id fleet.InstanceID) error {
	_, err := mutate(c.s, "ec2:DeleteTags", c.job, id, func() (*sim.DeleteTagsOutput, error) {
		return c.s.world.DeleteTags(&sim.DeleteTagsInput{Resources: []string{string(id)}, Tags: []sim.Tag{{Key: fleet.TagDrain}}})
	})
	return err
}

// SetDraining lets ECS empty it.
func (c calls) SetDraining(_ context.Context, _ fleet.ClusterName, ci fleet.ContainerInstanceID) error {
	return c.setState(ci, "DRAINING")
}

// SetActive lets ECS use it again.
func (c calls) SetActive(_ context.Context, _ fleet.ClusterName, ci fleet.ContainerInstanceID) error {
	return c.setState(ci, "ACTIVE")
}

func (c calls) setState(ci fleet.ContainerInstanceID, status string) error {
	if status == "DRAINING" && c.s.hit("F58") {
		c.s.land(ci)
	}
	out, err := mutate(c.s, "ecs:UpdateContainerInstancesState", c.job, c.id, func() (*sim.UpdateContainerInstancesStateOutput, error) {
		return c.s.world.UpdateContainerInstancesState(&sim.UpdateContainerInstancesStateInput{Cluster: cluster, ContainerInstances: []string{string(ci)}, Status: status})
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

// StopTask stops a task; one that has ended is no error.
func (c calls) StopTask(_ context.Context, _ fleet.ClusterName, task, why string) error {
	_, err := mutate(c.s, "ecs:StopTask", c.job, c.id, func() (*sim.StopTaskOutput, error) {
		c.s.check.stopping(c.job, task)
		return c.s.world.StopTask(&sim.StopTaskInput{Cluster: cluster, Task: task, Reason: why})
	})
	if err != nil && strings.Contains(err.Error(), "task was not found") {
		return nil
	}
	return err
}

// Deregister takes it out of the cluster if nothing runs on it.
func (c calls) Deregister(_ context.Context, _ fleet.ClusterName, ci fleet.ContainerInstanceID) error {
	if c.s.hit("F58") {
		c.s.land(ci)
	}
	_, err := mutate(c.s, "ecs:DeregisterContainerInstance", c.job, c.id, func() (*sim.DeregisterContainerInstanceOutput, error) {
		return c.s.world.DeregisterContainerInstance(&sim.DeregisterContainerInstanceInput{Cluster: cluster, ContainerInstance: string(ci)})
	})
	if err == nil {
		return nil
	}
	switch words := strings.ToLower(err.Error()); {
	case strings.Contains(words, "not found"), strings.Contains(words, "inactive"):
		return nil
	case strings.Contains(words, "running tasks"), strings.Contains(words, "tasks running"):
		return fmt.Errorf("%w: %w", fleet.ErrTasksRunning, err)
	}
	return err
}

// Terminate ends it.
func (c calls) Terminate(_ context.Context, id fleet.InstanceID) error {
	_, err := mutate(c.s, "ec2:TerminateInstances", c.job, id, func() (*sim.TerminateInstancesOutput, error) {
		return c.s.world.TerminateInstances(&sim.TerminateInstancesInput{InstanceIDs: []string{string(id)}})
	})
	return err
}

// view reads an instance and its tasks freshly.
func (d *drainer) view(job execute.Job) drain.Viewed {
	s := d.s
	id, _ := drain.Target(job.Action)
	kept := s.bus.protected[id]
	machines, err := call(s, "ec2:DescribeInstances", func() ([]snapshot.EC2Instance, error) { return s.eye.machine(id), nil })
	if err != nil {
		return drain.Viewed{Now: s.now, Class: classOf(err), Message: text(err)}
	}
	if s.hit("F10") {
		machines = nil // EC2 does not know it
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
	s.thread.lookedAt = s.now
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
	if v.View.Status == fleet.StatusDraining && s.hit("F10") { // ECS knows nothing of what it holds
		v.View.Tasks = nil
	}
	if s.hit("F6") || s.torn { // the first page could not be read
		s.torn, v.View.Complete = false, false
		v.View.Tasks = v.View.Tasks[(len(v.View.Tasks)+1)/2:]
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
