package sim

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// StopTask sets the desired status of a task to STOPPED.
func (w *World) StopTask(in *StopTaskInput) (*StopTaskOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	t := c.tasks[lastPart(in.Task)]
	if t == nil || !c.owns(in.Task) {
		return nil, invalid("The referenced task was not found.")
	}
	if !t.stopped && t.service != nil {
		w.seen.ServiceTasksStopped++
	}
	w.stopTask(t, stopByUser, cmp.Or(in.Reason, "Task stopped by user"))
	return &StopTaskOutput{Task: t.describe(w, true)}, nil
}

// ListTasks lists tasks by desired status, RUNNING unless told, and one more filter.
func (w *World) ListTasks(in *ListTasksInput) (*ListTasksOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	desired := cmp.Or(in.DesiredStatus, desiredRunning)
	switch desired {
	case desiredRunning, desiredStopped:
	case "PENDING": // accepted by ECS, and never the desired status of a task
		return &ListTasksOutput{TaskArns: []string{}}, nil
	default:
		return nil, invalid("Invalid desiredStatus %.40q: use RUNNING or STOPPED", in.DesiredStatus)
	}
	if in.StartedBy != "" && in.Family+in.ServiceName+in.ContainerInstance+in.LaunchType != "" {
		return nil, invalid("startedBy must be the only filter: leave family, serviceName, containerInstance and launchType out")
	}
	from := &c.taskRoll
	if in.ContainerInstance != "" {
		h := w.host(c, in.ContainerInstance)
		if h == nil {
			return nil, invalid("The specified container instance was not found: %.100s", in.ContainerInstance)
		}
		from = &h.taskRoll
	}
	if in.ServiceName != "" {
		s := c.services[lastPart(in.ServiceName)]
		if s == nil {
			return nil, clientError(codeServiceNotFound, "Service not found.")
		}
		from = &s.taskRoll
	}
	list := strings.Join([]string{"tasks", c.name, in.ContainerInstance, in.ServiceName, in.Family, in.StartedBy, desired}, "/")
	after, limit, err := ecsPage(list, in.NextToken, in.MaxResults, 100, 100)
	if err != nil {
		return nil, err
	}
	page, next := from.page(after, limit, func(t *task) bool {
		return t.stopped == (desired == desiredStopped) &&
			(in.Family == "" || t.definition.Family == in.Family) &&
			(in.StartedBy == "" || t.startedBy == in.StartedBy) &&
			(in.LaunchType == "" || t.launchType == in.LaunchType)
	})
	out := &ListTasksOutput{TaskArns: []string{}, NextToken: token(list, next)}
	for _, t := range page {
		out.TaskArns = append(out.TaskArns, t.arn)
	}
	return out, nil
}

// DescribeTasks describes up to 100 tasks.
func (w *World) DescribeTasks(in *DescribeTasksInput) (*DescribeTasksOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Tasks) == 0 {
		return nil, invalid("Tasks cannot be empty.")
	}
	if len(in.Tasks) > 100 {
		return nil, invalid("Tasks cannot be more than 100: %d", len(in.Tasks))
	}
	out := &DescribeTasksOutput{Tasks: []Task{}, Failures: []Failure{}}
	for _, name := range in.Tasks {
		t := c.tasks[lastPart(name)]
		if t == nil || !c.owns(name) {
			out.Failures = append(out.Failures, w.missingTask(c, name))
			continue
		}
		out.Tasks = append(out.Tasks, t.describe(w, slices.Contains(in.Include, "TAGS")))
	}
	return out, nil
}

func (w *World) missingTask(c *cluster, name string) Failure {
	return Failure{Arn: w.arn("ecs", "task/"+c.name+"/"+lastPart(name)), Reason: "MISSING"}
}

// The bounds of task protection, in minutes.
const (
	usualProtection = 120
	mostProtection  = 2880
)

// UpdateTaskProtection protects tasks of services from scale-in and deployments.
func (w *World) UpdateTaskProtection(in *UpdateTaskProtectionInput) (*UpdateTaskProtectionOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Tasks) == 0 || len(in.Tasks) > 10 {
		return nil, invalid("Tasks must be between 1 and 10: %d", len(in.Tasks))
	}
	minutes := usualProtection
	if in.ExpiresInMinutes != nil {
		minutes = *in.ExpiresInMinutes
	}
	if minutes < 1 || minutes > mostProtection {
		return nil, invalid("expiresInMinutes must be between 1 and %d: %d", mostProtection, minutes)
	}
	out := &UpdateTaskProtectionOutput{ProtectedTasks: []ProtectedTask{}, Failures: []Failure{}}
	for _, name := range in.Tasks {
		t := c.tasks[lastPart(name)]
		switch {
		case t == nil || !c.owns(name):
			out.Failures = append(out.Failures, w.missingTask(c, name))
		case t.service == nil:
			out.Failures = append(out.Failures, Failure{Arn: t.arn, Reason: "TASK_NOT_VALID", Detail: "only tasks of services can be protected"})
		case t.stopped:
			out.Failures = append(out.Failures, Failure{Arn: t.arn, Reason: "TASK_NOT_VALID", Detail: "the task is stopping"})
		default:
			w.protect(t, in.ProtectionEnabled, time.Duration(minutes)*time.Minute)
			out.ProtectedTasks = append(out.ProtectedTasks, t.protection(w.now))
		}
	}
	return out, nil
}

func (w *World) protect(t *task, on bool, d time.Duration) {
	t.protectedUntil = time.Time{}
	if on {
		t.protectedUntil = w.now.Add(d)
		w.at(t.protectedUntil, protectionEnds{t})
	} else {
		w.wake(t.service, 0)
	}
}

// protectionEnds is when what protection held back may go.
type protectionEnds struct{ t *task }

func (e protectionEnds) happen(w *World) {
	if !e.t.stopped {
		w.wake(e.t.service, 0)
	}
}

func (t *task) protection(now time.Time) ProtectedTask {
	if !t.protected(now) {
		return ProtectedTask{TaskArn: t.arn}
	}
	return ProtectedTask{TaskArn: t.arn, ProtectionEnabled: true, ExpirationDate: Timestamp{t.protectedUntil}}
}

// GetTaskProtection tells the protection of up to 100 tasks.
func (w *World) GetTaskProtection(in *GetTaskProtectionInput) (*GetTaskProtectionOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Tasks) > 100 {
		return nil, invalid("Tasks cannot be more than 100: %d", len(in.Tasks))
	}
	out := &GetTaskProtectionOutput{ProtectedTasks: []ProtectedTask{}, Failures: []Failure{}}
	for _, name := range in.Tasks {
		switch t := c.tasks[lastPart(name)]; {
		case t == nil || !c.owns(name):
			out.Failures = append(out.Failures, w.missingTask(c, name))
		case t.service == nil:
			out.Failures = append(out.Failures, Failure{Arn: t.arn, Reason: "TASK_NOT_VALID", Detail: "only tasks of services can be protected"})
		default:
			out.ProtectedTasks = append(out.ProtectedTasks, t.protection(w.now))
		}
	}
	return out, nil
}
