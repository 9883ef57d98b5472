package cloud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/drain"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// Drainer is the face of an account that empties instances and ends them. It cannot launch.
// Its calls have a lane of the rate limits of their own.
type Drainer struct {
	account     *Account
	readEC2     drainerReadEC2
	changeEC2   drainerChangeEC2
	readECS     drainerReadECS
	changeECS   drainerChangeECS
	definitions definitionReader
	services    serviceStore
}

// Drainer makes the face that drains and terminates.
func (a *Account) Drainer() *Drainer {
	return &Drainer{
		account: a, readEC2: a.readEC2, changeEC2: a.changeEC2, readECS: a.readECS, changeECS: a.changeECS,
		definitions: definitionReader{ecs: a.readECS, own: a.definitions},
	}
}

// Target is the instance that a removal is about, and what makes it ours.
type Target struct {
	Cluster           fleet.ClusterName
	Installation      string
	Instance          fleet.InstanceID
	ContainerInstance fleet.ContainerInstanceID // as planned; empty if it never registered
	RestrictTags      []string                  // of the policy
}

// View reads an instance and its tasks freshly. The result is what the state machine of
// package drain wants to know: the view, or that EC2 has ended the instance (Gone), or does
// not know it (Missing). Now, Class and Message are set, too: an error is in both.
func (d *Drainer) View(ctx context.Context, t Target) (drain.Viewed, error) {
	viewed, err := d.view(forDrain(ctx), t)
	viewed.Now = d.account.Now()
	if err != nil {
		err = fmt.Errorf("look at %s of %s: %w", t.Instance, t.Cluster, err)
		viewed.Class, viewed.Message = Class(err), err.Error()
	}
	return viewed, err
}

func (d *Drainer) view(ctx context.Context, t Target) (drain.Viewed, error) {
	v := drain.Viewed{View: drain.View{Instance: t.Instance}}
	found, err := describeInstances(ctx, d.readEC2, ec2types.Filter{Name: aws.String("instance-id"), Values: []string{string(t.Instance)}})
	if err != nil {
		return v, err
	}
	ci, err := d.containerInstance(ctx, t)
	if err != nil {
		return v, err
	}
	if ci != nil {
		v.View.ContainerInstance = fleet.ContainerInstanceID(lastPart(ci.ARN))
		v.View.Status, v.View.AgentConnected = statusOf(ci.Status), ci.AgentConnected
	} else {
		v.View.Status = fleet.StatusLaunching // EC2 has it, ECS does not
	}
	if v.Missing = len(found) == 0; v.Missing {
		return v, nil
	}
	machine := ec2Instance(&found[0])
	v.Gone = hasEnded(machine.State)
	v.View.Ours = tagOf(machine.Tags, fleet.TagOwner) == t.Installation && t.Installation != "" &&
		tagOf(machine.Tags, fleet.TagCluster) == string(t.Cluster)
	v.View.DrainTag = fleet.ActionID(tagOf(machine.Tags, fleet.TagDrain))
	if v.Gone {
		v.View.Status = fleet.StatusGone
		return v, nil
	}
	if v.View.Status == fleet.StatusActive { // later it is too late to matter
		v.View.TerminationLocked = d.terminationLocked(ctx, t.Instance)
	}
	if ci == nil {
		v.View.Complete = true // an instance that is in no cluster has no tasks
		return v, nil
	}
	v.View.Tasks, err = d.tasks(ctx, t, ci.ARN)
	v.View.Complete = err == nil
	return v, err
}

// containerInstance finds the container instance of a target: the planned one if it still
// names the EC2 instance, else whichever does now, or none.
func (d *Drainer) containerInstance(ctx context.Context, t Target) (*snapshot.ContainerInstance, error) {
	ids := []string{string(t.ContainerInstance)}
	if t.ContainerInstance != "" {
		if ci, err := d.pick(ctx, t, ids); ci != nil || err != nil {
			return ci, err
		}
	}
	ids, err := listContainerInstances(ctx, d.readECS, t.Cluster, "ec2InstanceId == "+string(t.Instance))
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return d.pick(ctx, t, ids)
}

func (d *Drainer) pick(ctx context.Context, t Target, ids []string) (*snapshot.ContainerInstance, error) {
	found, err := describeContainerInstances(ctx, d.readECS, t.Cluster, ids)
	if err != nil {
		return nil, err
	}
	for _, ci := range convert(found, containerInstance) {
		if ci.EC2InstanceID == string(t.Instance) && ci.Status != "INACTIVE" {
			return &ci, nil
		}
	}
	return nil, nil
}

func statusOf(status string) fleet.InstanceStatus {
	switch status {
	case "ACTIVE":
		return fleet.StatusActive
	case "DRAINING":
		return fleet.StatusDraining
	case "DEREGISTERING":
		return fleet.StatusDeregistering
	}
	return fleet.StatusRegistering
}

func tagOf(tags []snapshot.Tag, key string) string {
	for _, t := range tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

// terminationLocked reads EC2's termination protection. If it cannot be read, terminating
// will tell.
func (d *Drainer) terminationLocked(ctx context.Context, id fleet.InstanceID) bool {
	out, err := call(ctx, d.readEC2.DescribeInstanceAttribute, &ec2.DescribeInstanceAttributeInput{
		InstanceId: aws.String(string(id)), Attribute: ec2types.InstanceAttributeNameDisableApiTermination,
	})
	return err == nil && out.DisableApiTermination != nil && out.DisableApiTermination.Value != nil && *out.DisableApiTermination.Value
}

// tasks reads every task that holds the instance, whatever its state.
func (d *Drainer) tasks(ctx context.Context, t Target, containerInstance string) ([]drain.Task, error) {
	living, err := livingTasks(ctx, d.readECS, t.Cluster, containerInstance)
	if err != nil {
		return nil, err
	}
	found := convert(living, task)
	if err := markProtected(ctx, d.readECS, t.Cluster, found, d.account.Now()); err != nil {
		return nil, err
	}
	services, err := d.servicesOf(ctx, t, found)
	if err != nil {
		return nil, err
	}
	restricted, err := d.restrictedDefinitions(ctx, t, found)
	if err != nil {
		return nil, err
	}
	tasks := make([]drain.Task, 0, len(found))
	for i := range found {
		f := &found[i]
		service, ofService := strings.CutPrefix(f.Group, "service:")
		out := drain.Task{
			ID: lastPart(f.ARN), What: f.Group + " " + lastPart(f.TaskDefinition), Stopping: f.DesiredStatus == "STOPPED",
			Standalone: !ofService, Daemon: services[service].daemon, Protected: f.Protected,
			Restricted: services[service].restricted(t.RestrictTags) || restricted[f.TaskDefinition],
		}
		if set, yes := restriction(f.Tags, t.RestrictTags); set {
			out.Restricted = yes // the task's own tag has the last word
		}
		tasks = append(tasks, out)
	}
	slices.SortFunc(tasks, func(a, b drain.Task) int { return strings.Compare(a.ID, b.ID) })
	return tasks, nil
}

// restriction reads a tag that keeps an instance, by the names that the policy gives it.
func restriction(tags []snapshot.Tag, names []string) (set, yes bool) {
	for _, t := range tags {
		if slices.Contains(names, t.Key) {
			set = true
			yes = yes || strings.EqualFold(strings.TrimSpace(t.Value), "true")
		}
	}
	return set, yes
}

func (d *Drainer) restrictedDefinitions(ctx context.Context, t Target, tasks []snapshot.Task) (map[string]bool, error) {
	found, err := d.definitions.read(ctx, definitionsOf(nil, tasks))
	if err != nil {
		return nil, err
	}
	restricted := map[string]bool{}
	for i := range found {
		_, restricted[found[i].ARN] = restriction(found[i].Tags, t.RestrictTags)
	}
	return restricted, nil
}

// aboutService is what a drain needs to know of a service.
type aboutService struct {
	daemon bool
	tags   []snapshot.Tag
	readAt time.Time // local
}

func (s aboutService) restricted(names []string) bool {
	_, yes := restriction(s.tags, names)
	return yes
}

// serviceStore remembers services for a little while: every drain looks every few seconds,
// and on the instances of a cluster the same services run.
type serviceStore struct {
	mu     sync.Mutex
	byName map[[2]string]aboutService // cluster and service
}

// serviceMemory is how long a service is remembered: a tag put on it now is seen within it.
const serviceMemory = 30 * time.Second

func (d *Drainer) servicesOf(ctx context.Context, t Target, tasks []snapshot.Task) (map[string]aboutService, error) {
	known := map[string]aboutService{}
	var unknown []string
	d.services.mu.Lock()
	for i := range tasks {
		name, ofService := strings.CutPrefix(tasks[i].Group, "service:")
		if !ofService {
			continue
		}
		about, ok := d.services.byName[[2]string{string(t.Cluster), name}]
		if ok && time.Since(about.readAt) < serviceMemory {
			known[name] = about
		} else {
			unknown = append(unknown, name)
		}
	}
	d.services.mu.Unlock()
	found, err := describeServices(ctx, d.readECS, t.Cluster, distinct(unknown))
	if err != nil {
		return nil, err
	}
	d.services.mu.Lock()
	defer d.services.mu.Unlock()
	if d.services.byName == nil || len(d.services.byName) > mostDefinitions {
		d.services.byName = map[[2]string]aboutService{}
	}
	for i := range found {
		s := service(&found[i])
		about := aboutService{daemon: s.Scheduling == "DAEMON", tags: s.Tags, readAt: time.Now()}
		known[s.Name] = about
		d.services.byName[[2]string{string(t.Cluster), s.Name}] = about
	}
	return known, nil
}

// SetDraining sets a container instance DRAINING: ECS begins to move its tasks.
func (d *Drainer) SetDraining(ctx context.Context, cluster fleet.ClusterName, id fleet.ContainerInstanceID) error {
	return d.setState(forDrain(ctx), cluster, id, ecstypes.ContainerInstanceStatusDraining)
}

// SetActive sets a container instance ACTIVE again.
func (d *Drainer) SetActive(ctx context.Context, cluster fleet.ClusterName, id fleet.ContainerInstanceID) error {
	return d.setState(forDrain(ctx), cluster, id, ecstypes.ContainerInstanceStatusActive)
}

func (d *Drainer) setState(ctx context.Context, cluster fleet.ClusterName, id fleet.ContainerInstanceID, status ecstypes.ContainerInstanceStatus) error {
	if id == "" {
		return fmt.Errorf("%w: set a container instance of %s %s: it has no ID", fleet.ErrInvalid, cluster, status)
	}
	out, err := call(ctx, d.changeECS.UpdateContainerInstancesState, &ecs.UpdateContainerInstancesStateInput{
		Cluster: aws.String(string(cluster)), ContainerInstances: []string{string(id)}, Status: status,
	})
	if err == nil && len(out.Failures) > 0 {
		f := &out.Failures[0]
		kind := fleet.ErrConflict // in a state that cannot become the other
		if text(f.Reason) == "MISSING" {
			kind = fleet.ErrNotFound
		}
		err = fmt.Errorf("%w: %s %s", kind, text(f.Reason), text(f.Detail))
	}
	if err != nil {
		return fmt.Errorf("set container instance %s of %s %s: %w", id, cluster, status, err)
	}
	return nil
}

// TagDrain marks an instance as in the hands of a drain.
func (d *Drainer) TagDrain(ctx context.Context, id fleet.InstanceID, drain fleet.ActionID) error {
	if id == "" || drain == "" {
		return fmt.Errorf("%w: mark instance %q as in hand of drain %q: needs both", fleet.ErrInvalid, id, drain)
	}
	_, err := call(forDrain(ctx), d.changeEC2.CreateTags, &ec2.CreateTagsInput{
		Resources: []string{string(id)}, Tags: []ec2types.Tag{{Key: aws.String(fleet.TagDrain), Value: aws.String(string(drain))}},
	})
	if err != nil {
		return fmt.Errorf("mark %s as in hand of drain %s: %w", id, drain.Short(), err)
	}
	return nil
}

// Untag removes the mark of [Drainer.TagDrain].
func (d *Drainer) Untag(ctx context.Context, id fleet.InstanceID) error {
	if id == "" {
		return fmt.Errorf("%w: remove the drain mark of an instance: it has no ID", fleet.ErrInvalid)
	}
	_, err := call(forDrain(ctx), d.changeEC2.DeleteTags, &ec2.DeleteTagsInput{
		Resources: []string{string(id)}, Tags: []ec2types.Tag{{Key: aws.String(fleet.TagDrain)}},
	})
	if err != nil {
		return fmt.Errorf("remove the drain mark of %s: %w", id, err)
	}
	return nil
}

// StopTask stops one task, by its ID; why ends up as its stopped reason. One that has ended
// already is no error.
func (d *Drainer) StopTask(ctx context.Context, cluster fleet.ClusterName, task, why string) error {
	const longestReason = 255 // ECS refuses more
	_, err := call(forDrain(ctx), d.changeECS.StopTask, &ecs.StopTaskInput{
		Cluster: aws.String(string(cluster)), Task: aws.String(task), Reason: aws.String(why[:min(len(why), longestReason)]),
	})
	if err != nil && !errors.Is(err, fleet.ErrNotFound) && !says(err, "task was not found") {
		return fmt.Errorf("stop task %s of %s: %w", task, cluster, err)
	}
	return nil
}

// Deregister takes a container instance out of its cluster, never with force: if a task
// runs on it, ECS refuses and the error is fleet.ErrTasksRunning. One that has left already
// is no error.
func (d *Drainer) Deregister(ctx context.Context, cluster fleet.ClusterName, id fleet.ContainerInstanceID) error {
	if id == "" {
		return fmt.Errorf("%w: deregister a container instance of %s: it has no ID", fleet.ErrInvalid, cluster)
	}
	_, err := call(forDrain(ctx), d.changeECS.DeregisterContainerInstance, &ecs.DeregisterContainerInstanceInput{
		Cluster: aws.String(string(cluster)), ContainerInstance: aws.String(string(id)), Force: aws.Bool(false),
	})
	switch {
	case err == nil, errors.Is(err, fleet.ErrNotFound), says(err, "not found"), says(err, "inactive"):
		return nil
	case says(err, "running tasks"), says(err, "tasks running"):
		err = as(fleet.ErrTasksRunning, err)
	}
	return fmt.Errorf("deregister container instance %s of %s: %w", id, cluster, err)
}

// says reports whether ECS answered with these words. It has no code of its own for some
// answers: InvalidParameterException and ClientException stand for many.
func says(err error, words string) bool {
	var f *failure
	return errors.As(err, &f) && (f.code == "InvalidParameterException" || f.code == "ClientException") &&
		strings.Contains(strings.ToLower(f.message), words)
}

// Terminate ends exactly one EC2 instance. It may be called again.
func (d *Drainer) Terminate(ctx context.Context, id fleet.InstanceID) error {
	if !strings.HasPrefix(string(id), "i-") {
		return fmt.Errorf("%w: terminate instance %q: that is no instance ID", fleet.ErrInvalid, id)
	}
	_, err := call(forDrain(ctx), d.changeEC2.TerminateInstances, &ec2.TerminateInstancesInput{InstanceIds: []string{string(id)}})
	if err != nil {
		return fmt.Errorf("terminate %s: %w", id, err)
	}
	return nil
}

// Ended reports whether EC2 has ended an instance or is about to. An instance that EC2 does
// not know is fleet.ErrNotFound: it may not show it yet, or not any more.
func (d *Drainer) Ended(ctx context.Context, id fleet.InstanceID) (bool, error) {
	found, err := describeInstances(forDrain(ctx), d.readEC2, ec2types.Filter{Name: aws.String("instance-id"), Values: []string{string(id)}})
	if err == nil && len(found) == 0 {
		err = fleet.ErrNotFound
	}
	if err != nil {
		return false, fmt.Errorf("look whether %s has ended: %w", id, err)
	}
	return hasEnded(ec2Instance(&found[0]).State), nil
}
