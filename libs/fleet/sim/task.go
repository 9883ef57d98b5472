package sim

import (
	"slices"
	"strconv"
	"time"
)

// taskStatus is the last known status of a task.
type taskStatus int

// The statuses in the order in which a task goes through them.
const (
	taskProvisioning taskStatus = iota
	taskPending
	taskActivating
	taskRunning
	taskDeactivating
	taskStopping
	taskDeprovisioning
	taskStopped
)

var taskStatusNames = [...]string{"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"}

func (s taskStatus) String() string { return taskStatusNames[s] }

// The desired statuses of a task.
const (
	desiredRunning = "RUNNING"
	desiredStopped = "STOPPED"
)

// Why tasks stop.
const (
	stopFailedToStart = "TaskFailedToStart"
	stopExited        = "EssentialContainerExited"
	stopByUser        = "UserInitiated"
	stopByScheduler   = "ServiceSchedulerInitiated"
	stopBySpot        = "SpotInterruption"
	stopByTermination = "TerminationNotice"
)

// task is an ECS task.
type task struct {
	// What a scheduler reads of every task of a service stands together: where there are
	// 100,000 of them, how much memory a look touches is what it costs.
	deployment *deployment
	host       *containerInstance
	definition *taskDefinition
	service    *service // nil of a standalone task
	last       taskStatus
	stopped    bool // desired status is STOPPED
	admitted   bool // the agent has taken its resources
	forgotten  bool // no longer describable
	startedAt  time.Time
	ill        illness

	seq     uint64
	id, arn string
	cluster *cluster
	kind    *kind
	version int64
	step    uint64 // counts the steps it was set to take; an older one no longer applies

	createdAt, stoppingAt, endedAt, stoppedAt time.Time
	pullStartedAt, pullStoppedAt              time.Time
	protectedUntil                            time.Time

	startedBy, launchType, provider string
	overrides                       *TaskOverride
	subnets                         *NetworkConfiguration
	tags                            []Tag
	stopCode, stopReason            string
	exitCode                        *int
	runFor                          time.Duration // ends by itself after that; 0 runs on
	exitWith                        int
	network                         *taskInterface

	fails     string         // how it fails by itself, see envFail
	imageArch string         // what its image is built for; "" is anything
	failure   string         // what its container says of that
	falls     *time.Duration // after its start it falls ill; nil is never
}

// taskInterface is the network interface of a task in awsvpc mode.
type taskInterface struct {
	attachment, id, ip string
	subnet             *subnet
}

func (t *task) order() uint64 { return t.seq }
func (t *task) gone() bool    { return t.forgotten }

// group is the task group of ECS.
func (t *task) group() string { return t.kind.Group }

// protected reports whether scale-in protection covers the task.
func (t *task) protected(now time.Time) bool { return now.Before(t.protectedUntil) }

// balanced reports whether the task is behind a load balancer.
func (t *task) balanced() bool { return t.service != nil && len(t.service.balancers) > 0 }

// Environment variables of a container that tell the world what the container does, for
// it runs nothing: how long until it ends by itself, and its exit code then.
const (
	envRunFor   = "SIM_RUN_FOR"   // a duration such as 90s
	envExitCode = "SIM_EXIT_CODE" // default 0
)

// taskSpec is what a new task is made of.
type taskSpec struct {
	kind       *kind
	definition *taskDefinition
	service    *service
	deployment *deployment
	startedBy  string
	launchType string
	provider   string
	overrides  *TaskOverride
	subnets    *NetworkConfiguration
	tags       []Tag
}

// newTask makes a task on an instance on which placement has put it already.
func (w *World) newTask(c *cluster, host *containerInstance, spec taskSpec) *task {
	t := w.makeTask(c, spec)
	if t.service != nil {
		w.seen.ServiceTasksStarted++
	} else {
		w.seen.StandaloneTasksStarted++
	}
	w.seat(t, host)
	return t
}

// makeTask makes a task that is nowhere yet and counts for nothing.
func (w *World) makeTask(c *cluster, spec taskSpec) *task {
	id := w.hex("task", 32)
	t := &task{
		seq: w.next(), id: id, arn: w.arn("ecs", "task/"+c.name+"/"+id), cluster: c,
		definition: spec.definition, kind: spec.kind, service: spec.service, deployment: spec.deployment,
		createdAt: w.now, startedBy: spec.startedBy, launchType: spec.launchType,
		provider: spec.provider, overrides: spec.overrides, subnets: spec.subnets, tags: spec.tags, last: taskPending,
	}
	for i := range t.definition.ContainerDefinitions {
		t.obey(t.definition.ContainerDefinitions[i].overridden(t.overrides).Environment)
	}
	c.tasks[id] = t
	c.taskRoll.add(t)
	if t.service != nil {
		t.service.taskRoll.add(t)
	}
	return t
}

// seat gives a task the instance on which placement has put it.
func (w *World) seat(t *task, host *containerInstance) {
	t.host = host
	host.tasks = append(host.tasks, t)
	host.taskRoll.add(t)
	host.remaining = host.remaining.Sub(t.kind.needs)
	if s := t.service; s != nil {
		s.active = append(s.active, t)
		s.inZone[host.machine.subnet.Zone]++
	}
	if t.definition.NetworkMode == networkAwsvpc {
		t.last = taskProvisioning
		w.attach(t)
	}
	t.count(1)
	t.changed(w)
	w.hostChanged(host)
	if t.last == taskProvisioning {
		w.stepIn(t, w.delay(w.cfg.Delays.Provision, "provision", t.id))
	} else {
		w.enqueue(t)
	}
}

// obey reads what the environment says the container does.
func (t *task) obey(environment []KeyValue) {
	for _, e := range environment {
		switch e.Name {
		case envRunFor:
			if d, err := time.ParseDuration(e.Value); err == nil && d > 0 {
				t.runFor = d
			}
		case envExitCode:
			if n, err := strconv.Atoi(e.Value); err == nil {
				t.exitWith = n
			}
		default:
			t.suffer(e.Name, e.Value)
		}
	}
}

// count adds the task to (or with -1 takes it from) the counts that ECS shows: of tasks
// that should run, those that do and those that do not yet.
func (t *task) count(n int) {
	if t.stopped || t.last > taskRunning {
		return
	}
	counts := []struct{ running, pending *int }{
		{&t.cluster.running, &t.cluster.pending},
	}
	if t.host != nil { // else it waits for capacity
		counts = append(counts, struct{ running, pending *int }{&t.host.running, &t.host.pending})
	}
	if t.service != nil {
		counts = append(counts, struct{ running, pending *int }{&t.service.running, &t.service.pending},
			struct{ running, pending *int }{&t.deployment.running, &t.deployment.pending})
	}
	for _, c := range counts {
		if t.last == taskRunning {
			*c.running += n
		} else {
			*c.pending += n
		}
	}
}

// changed notes a change that ECS would report.
func (t *task) changed(w *World) {
	t.version++
	w.tellTask(t)
}

// become sets the last status and tells about it.
func (w *World) become(t *task, s taskStatus) {
	t.count(-1)
	t.last = s
	t.count(1)
	t.changed(w)
	if t.service != nil {
		w.wake(t.service, 0)
	}
}

// taskStep is the next step in the life of a task.
type taskStep struct {
	t    *task
	step uint64
}

func (w *World) stepIn(t *task, d time.Duration) {
	t.step++
	w.in(d, taskStep{t, t.step})
}

func (s taskStep) happen(w *World) {
	t := s.t
	if t.step != s.step || w.awaitsAgent(s) {
		return
	}
	switch t.last {
	case taskProvisioning:
		w.become(t, taskPending)
		w.enqueue(t)
	case taskPending:
		t.pullStoppedAt = w.now
		if w.failsToStart(t) {
			return
		}
		if t.balanced() {
			w.become(t, taskActivating)
			w.stepIn(t, w.delay(w.cfg.Delays.Activate, "activate", t.id))
			return
		}
		w.run(t)
	case taskActivating:
		w.run(t)
	case taskRunning:
		t.exitCode = &t.exitWith
		w.stopTask(t, stopExited, "Essential container in task exited")
	case taskDeactivating:
		w.stopContainers(t)
	case taskStopping:
		w.containersEnded(t)
	case taskDeprovisioning:
		w.end(t)
	case taskStopped:
		t.forgotten = true
		delete(t.cluster.tasks, t.id)
		t.cluster.taskRoll.bury()
		if t.host != nil {
			t.host.taskRoll.bury()
		}
		if t.service != nil {
			t.service.taskRoll.bury()
		}
	}
}

// run lets the containers of a task run.
func (w *World) run(t *task) {
	t.startedAt = w.now
	w.become(t, taskRunning)
	if t.service != nil {
		w.reached(t.service)
	}
	w.hostChanged(t.host)
	w.checkHealth(t)
	if d := t.ends(); d > 0 {
		w.stepIn(t, d)
	}
}

// stopTask sets the desired status to STOPPED. What the task reserved is free for
// placement from now on, though its containers may run on for a while.
func (w *World) stopTask(t *task, code, reason string) {
	if t.stopped {
		return
	}
	if t.host == nil {
		w.stopWaiting(t, code, reason)
		return
	}
	t.count(-1)
	t.stopped = true
	t.stopCode, t.stopReason, t.stoppingAt = code, reason, w.now
	t.host.free(t)
	if s := t.service; s != nil {
		s.active = slices.DeleteFunc(s.active, func(other *task) bool { return other == t })
		s.inZone[t.host.machine.subnet.Zone]--
		if s.onHost[t.host] == t {
			delete(s.onHost, t.host)
		}
		w.ended(t, code)
		w.wake(s, 0)
	}
	switch {
	case t.last == taskRunning && t.balanced() && code != stopExited:
		t.last = taskDeactivating
		w.stepIn(t, w.delay(w.cfg.Delays.Deactivate, "deactivate", t.id))
		t.changed(w)
	case t.host.unheard() && t.exitCode == nil:
		t.step++ // what it would have done next; the agent is told to stop it once it is back
		w.dequeue(t)
		t.changed(w)
	default:
		w.obeyStop(t)
	}
	w.hostChanged(t.host)
}

// stopContainers sends SIGTERM, and SIGKILL at the stop timeout.
func (w *World) stopContainers(t *task) {
	t.last = taskStopping
	t.changed(w)
	took := min(w.delay(w.cfg.Delays.Stop, "stop", t.id), t.stopTimeout())
	if t.exitCode != nil {
		took = 0 // they have ended by themselves
	}
	w.stepIn(t, took)
}

// containersEnded gives the agent its room back.
func (w *World) containersEnded(t *task) {
	t.endedAt = w.now
	if t.exitCode == nil && !t.startedAt.IsZero() {
		killed := 137 // 128 + SIGKILL
		if t.stopTimeout() > w.cfg.Delays.Stop {
			killed = 0
		}
		t.exitCode = &killed
	}
	w.release(t)
	if t.network != nil {
		t.last = taskDeprovisioning
		t.changed(w)
		w.stepIn(t, w.delay(w.cfg.Delays.Deprovision, "deprovision", t.id))
		return
	}
	w.end(t)
}

// end is the end of a task; it stays describable for a while.
func (w *World) end(t *task) {
	w.detach(t)
	t.last, t.stoppedAt = taskStopped, w.now
	t.changed(w)
	h := t.host
	h.tasks = slices.DeleteFunc(h.tasks, func(other *task) bool { return other == t })
	w.stepIn(t, w.cfg.Delays.StoppedTask)
	if h.status == statusDraining {
		w.wakeDaemons(t.cluster)
	}
	w.hostChanged(h)
}

// lose ends a task whose instance is gone, without any of the steps between.
func (w *World) lose(t *task, code, reason string) {
	if t.last == taskStopped {
		return
	}
	w.stopTask(t, code, reason)
	if t.last == taskStopped {
		return
	}
	w.release(t)
	t.endedAt = w.now
	w.end(t)
}

// describe is the task as DescribeTasks shows it.
func (t *task) describe(w *World, withTags bool) Task {
	out := Task{
		TaskArn: t.arn, ClusterArn: t.cluster.arn, TaskDefinitionArn: t.definition.TaskDefinitionArn,
		CapacityProviderName: t.provider, LaunchType: t.launchType, LastStatus: t.last.String(),
		DesiredStatus: desiredRunning, HealthStatus: "UNKNOWN",
		CPU: strconv.FormatInt(t.kind.needs.CPUUnits, 10), Memory: strconv.FormatInt(t.kind.needs.MemoryMiB, 10),
		StartedBy: t.startedBy, Version: t.version, StoppedReason: t.stopReason, StopCode: t.stopCode,
		PullStartedAt: Timestamp{t.pullStartedAt}, PullStoppedAt: Timestamp{t.pullStoppedAt},
		ExecutionStoppedAt: Timestamp{t.endedAt}, CreatedAt: Timestamp{t.createdAt}, StartedAt: Timestamp{t.startedAt},
		StoppingAt: Timestamp{t.stoppingAt}, StoppedAt: Timestamp{t.stoppedAt}, Group: t.group(),
		Attachments: []Attachment{}, Tags: []Tag{}, Overrides: &TaskOverride{ContainerOverrides: []ContainerOverride{}},
	}
	if t.stopped {
		out.DesiredStatus = desiredStopped
	}
	if t.overrides != nil {
		out.Overrides = t.overrides
	}
	if h := t.host; h != nil {
		out.ContainerInstanceArn, out.AvailabilityZone = h.arn, h.machine.subnet.Zone
		out.Connectivity, out.ConnectivityAt = "CONNECTED", Timestamp{t.createdAt}
		if !h.connected {
			out.Connectivity = "DISCONNECTED"
		}
		out.Attributes = []Attribute{{Name: attributeArchitecture, Value: h.machine.kind.architecture()}}
	}
	if t.definition.health && !t.startedAt.IsZero() && t.host.connected {
		out.HealthStatus = t.health(w.now)
	}
	if n := t.network; n != nil {
		out.Attachments = append(out.Attachments, n.describe(t.last))
	}
	if withTags {
		out.Tags = orEmpty(slices.Clone(t.tags))
	}
	out.Containers = t.containers(w.now)
	return out
}

// containers describes the containers of the task; all of them do as the task does.
func (t *task) containers(now time.Time) []Container {
	status := "PENDING"
	switch {
	case t.last == taskStopped || t.last == taskDeprovisioning:
		status = "STOPPED"
	case t.last >= taskActivating:
		status = "RUNNING"
	}
	list := make([]Container, 0, len(t.definition.ContainerDefinitions))
	for i := range t.definition.ContainerDefinitions {
		c := t.definition.ContainerDefinitions[i].overridden(t.overrides)
		list = append(list, Container{
			ContainerArn: t.arn + "/" + strconv.Itoa(i), TaskArn: t.arn, Name: c.Name, Image: c.Image,
			LastStatus: status, ExitCode: t.exitCode, HealthStatus: "UNKNOWN",
			CPU: strconv.FormatInt(c.CPU, 10), Memory: numberOrNone(c.Memory), MemoryReservation: numberOrNone(c.MemoryReservation),
			Reason: t.failure,
		})
		if check := c.HealthCheck; check != nil && !t.startedAt.IsZero() {
			list[i].HealthStatus = check.probe().status(t.startedAt, t.ill, now)
		}
	}
	return list
}

// numberOrNone writes a number, or nothing for 0.
func numberOrNone(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func (n *taskInterface) describe(last taskStatus) Attachment {
	status := "ATTACHED"
	switch last {
	case taskProvisioning:
		status = "ATTACHING"
	case taskStopped:
		status = "DELETED"
	default:
	}
	return Attachment{ID: n.attachment, Type: "ElasticNetworkInterface", Status: status, Details: []KeyValue{
		{"subnetId", n.subnet.ID}, {"networkInterfaceId", n.id}, {"privateIPv4Address", n.ip},
	}}
}
