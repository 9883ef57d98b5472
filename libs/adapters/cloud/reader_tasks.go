package cloud

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// Tasks reads all tasks of a cluster that have not ended, whether they are protected, and
// the definitions that they and the services refer to.
func (r *Reader) Tasks(ctx context.Context, cluster fleet.ClusterName, services []snapshot.Service) (snapshot.Tasks, error) {
	s := r.begin()
	out := snapshot.Tasks{}
	var err error
	out.Tasks, err = r.tasks(ctx, cluster, "")
	s.note(err)
	out.Definitions, err = r.definitions.read(ctx, definitionsOf(services, out.Tasks))
	s.note(err)
	out.Read, err = s.end()
	return out, err
}

// TasksOn reads the tasks of some container instances anew, with the definitions they refer
// to: those whose version has moved since a sweep.
func (r *Reader) TasksOn(ctx context.Context, cluster fleet.ClusterName, containerInstances []string) (snapshot.Tasks, error) {
	s := r.begin()
	out := snapshot.Tasks{}
	var err error
	for _, arn := range containerInstances {
		found, err := r.tasks(ctx, cluster, arn)
		s.note(err)
		out.Tasks = append(out.Tasks, found...)
	}
	out.Definitions, err = r.definitions.read(ctx, definitionsOf(nil, out.Tasks))
	s.note(err)
	out.Read, err = s.end()
	return out, err
}

func definitionsOf(services []snapshot.Service, tasks []snapshot.Task) []string {
	var arns []string
	for i := range services {
		for _, d := range slices.Concat(services[i].Deployments, services[i].TaskSets) {
			arns = append(arns, d.TaskDefinition)
		}
	}
	for i := range tasks {
		arns = append(arns, tasks[i].TaskDefinition)
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

func (r *Reader) tasks(ctx context.Context, cluster fleet.ClusterName, containerInstance string) ([]snapshot.Task, error) {
	living, err := livingTasks(ctx, r.ecs, cluster, containerInstance)
	found := convert(living, task)
	if protectErr := markProtected(ctx, r.ecs, cluster, found, r.account.Now()); err == nil {
		err = protectErr
	}
	return found, err
}

// livingTasks describes all tasks that have not ended, of one container instance or of the
// whole cluster.
func livingTasks(ctx context.Context, api clusterReads, cluster fleet.ClusterName, containerInstance string) ([]ecstypes.Task, error) {
	arns, err := listTasks(ctx, api, cluster, containerInstance)
	found, describeErr := describe(ctx, "tasks of "+string(cluster), arns, ecsPage, func(ctx context.Context, batch []string) ([]ecstypes.Task, []ecstypes.Failure, error) {
		out, err := call(ctx, api.DescribeTasks, &ecs.DescribeTasksInput{
			Cluster: aws.String(string(cluster)), Tasks: batch, Include: []ecstypes.TaskField{ecstypes.TaskFieldTags},
		})
		if err != nil {
			return nil, nil, err
		}
		return out.Tasks, out.Failures, nil
	})
	if err == nil {
		err = describeErr
	}
	living := slices.DeleteFunc(found, func(t ecstypes.Task) bool {
		return text(t.LastStatus) == "STOPPED" || text(t.LastStatus) == "DELETED"
	})
	return living, err
}

// listTasks lists the tasks that should run, then those that should stop: a task that
// moves from one to the other in between is in both lists rather than in none.
func listTasks(ctx context.Context, api clusterReads, cluster fleet.ClusterName, containerInstance string) ([]string, error) {
	var arns []string
	for _, desired := range []ecstypes.DesiredStatus{ecstypes.DesiredStatusRunning, ecstypes.DesiredStatusStopped} {
		in := &ecs.ListTasksInput{Cluster: aws.String(string(cluster)), DesiredStatus: desired, MaxResults: aws.Int32(ecsPage)}
		if containerInstance != "" {
			in.ContainerInstance = &containerInstance
		}
		for {
			out, err := call(ctx, api.ListTasks, in)
			if err != nil {
				return distinct(arns), fmt.Errorf("list tasks of %s with desired status %s: %w", cluster, desired, err)
			}
			arns = append(arns, out.TaskArns...)
			if in.NextToken = out.NextToken; text(in.NextToken) == "" {
				break
			}
		}
	}
	return distinct(arns), nil
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// markProtected asks which of the service tasks that should run are protected from
// scale-in. Standalone tasks cannot be.
func markProtected(ctx context.Context, api clusterReads, cluster fleet.ClusterName, tasks []snapshot.Task, now time.Time) error {
	index := map[string]int{}
	var arns []string
	for i := range tasks {
		if t := &tasks[i]; strings.HasPrefix(t.Group, "service:") && t.DesiredStatus == "RUNNING" && t.ContainerInstance != "" {
			index[t.ARN] = i
			arns = append(arns, t.ARN)
		}
	}
	var mu sync.Mutex
	var first error
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	var g errgroup.Group
	g.SetLimit(together)
	for batch := range slices.Chunk(arns, ecsPage) {
		g.Go(func() error {
			out, err := call(ctx, api.GetTaskProtection, &ecs.GetTaskProtectionInput{Cluster: aws.String(string(cluster)), Tasks: batch})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				note(fmt.Errorf("read the protection of %d tasks of %s: %w", len(batch), cluster, err))
				return nil
			}
			for _, p := range out.ProtectedTasks {
				if i, asked := index[text(p.TaskArn)]; asked {
					tasks[i].Protected = p.ProtectionEnabled && (p.ExpirationDate == nil || p.ExpirationDate.After(now))
				}
			}
			for _, f := range out.Failures {
				// A task that has ended meanwhile, or is of a kind that cannot be protected, is not.
				if reason := text(f.Reason); reason != "MISSING" && reason != "TASK_NOT_VALID" {
					note(fmt.Errorf("read the protection of task %s: %w: %s %s", text(f.Arn), fleet.ErrUnknown, reason, text(f.Detail)))
				}
			}
			return nil
		})
	}
	_ = g.Wait() // the error is in first: one failed batch must not stop the others
	return first
}
