package sim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// family is the revisions of a task definition; revision n is at index n-1.
type family struct {
	name      string
	revisions []*taskDefinition
}

// taskDefinition is a revision and what follows from it.
type taskDefinition struct {
	TaskDefinition
	tags        []Tag
	stopTimeout time.Duration // of the slowest container that has one of its own
	usualStop   bool          // a container has none: the agent's counts
	health      bool          // a container has a health check
}

const (
	defaultStopTimeout = 30 * time.Second // of a container, unless it says otherwise
	networkAwsvpc      = "awsvpc"
	networkHost        = "host"
	networkBridge      = "bridge"
)

// RegisterTaskDefinition makes the next revision of a family.
func (w *World) RegisterTaskDefinition(in *RegisterTaskDefinitionInput) (*RegisterTaskDefinitionOutput, error) {
	if err := checkDefinition(in); err != nil {
		return nil, err
	}
	cpu, _ := units(in.CPU, "vcpu")
	memory, _ := units(in.Memory, "gb")
	f := w.families[in.Family]
	if f == nil {
		f = &family{name: in.Family}
		w.families[in.Family] = f
	}
	d := &taskDefinition{tags: sortedTags(in.Tags)}
	d.TaskDefinition = TaskDefinition{
		TaskDefinitionArn: w.arn("ecs", "task-definition/"+in.Family+":"+strconv.Itoa(len(f.revisions)+1)),
		Family:            in.Family, Revision: len(f.revisions) + 1, Status: statusActive,
		ContainerDefinitions: slices.Clone(in.ContainerDefinitions),
		CPU:                  cpu, Memory: memory, NetworkMode: cmp.Or(in.NetworkMode, networkBridge),
		TaskRoleArn: in.TaskRoleArn, ExecutionRoleArn: in.ExecutionRoleArn,
		PlacementConstraints: orEmpty(slices.Clone(in.PlacementConstraints)),
		Compatibilities:      []string{"EC2"}, RequiresCompatibilities: in.RequiresCompatibilities,
		RuntimePlatform: in.RuntimePlatform, RegisteredAt: Timestamp{w.now}, Volumes: orEmpty(slices.Clone(in.Volumes)),
		PidMode: in.PidMode, IpcMode: in.IpcMode, ProxyConfiguration: in.ProxyConfiguration, EnableFaultInjection: in.EnableFaultInjection,
		RegisteredBy: "arn:aws:iam::" + w.cfg.Account + ":root",
	}
	d.complete()
	d.RequiresAttributes = d.requires()
	f.revisions = append(f.revisions, d)
	return &RegisterTaskDefinitionOutput{TaskDefinition: d.TaskDefinition, Tags: d.tags}, nil
}

// complete fills in what ECS fills in at registration.
func (d *taskDefinition) complete() {
	essential := true
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		if c.Essential == nil {
			c.Essential = &essential
		}
		c.PortMappings, c.Environment = orEmpty(slices.Clone(c.PortMappings)), orEmpty(c.Environment)
		c.MountPoints, c.VolumesFrom, c.SystemControls = orEmpty(c.MountPoints), orEmpty(c.VolumesFrom), orEmpty(c.SystemControls)
		for j := range c.PortMappings {
			p := &c.PortMappings[j]
			p.Protocol = cmp.Or(p.Protocol, "tcp")
			if d.NetworkMode != networkBridge && p.HostPort == 0 {
				p.HostPort = p.ContainerPort
			}
		}
		d.stopTimeout = max(d.stopTimeout, time.Duration(c.StopTimeout)*time.Second)
		d.usualStop = d.usualStop || c.StopTimeout == 0
		d.health = d.health || c.HealthCheck != nil
	}
}

// needs is what ECS subtracts from an instance for a task, and the host ports it takes.
func (d *taskDefinition) needs(o *TaskOverride) (fleet.Resources, fleet.Ports) {
	var need fleet.Resources
	var ports []fleet.Port
	for i := range d.ContainerDefinitions {
		c := d.ContainerDefinitions[i].overridden(o)
		need.CPUUnits += c.CPU
		need.MemoryMiB += cmp.Or(c.MemoryReservation, c.Memory)
		for _, r := range c.ResourceRequirements {
			if n, err := strconv.ParseInt(r.Value, 10, 64); r.Type == "GPU" && err == nil {
				need.GPUs += n
			}
		}
		for _, p := range c.PortMappings {
			if p.HostPort > 0 && d.NetworkMode != networkAwsvpc {
				ports = append(ports, fleet.Port{Number: uint16(p.HostPort), Protocol: fleet.Protocol(p.Protocol)})
			}
		}
	}
	if v, err := strconv.ParseInt(taskSize(d.CPU, o, func(o *TaskOverride) string { return o.CPU }), 10, 64); err == nil {
		need.CPUUnits = v
	}
	if v, err := strconv.ParseInt(taskSize(d.Memory, o, func(o *TaskOverride) string { return o.Memory }), 10, 64); err == nil {
		need.MemoryMiB = v
	}
	if d.NetworkMode == networkAwsvpc {
		need.ENIs = 1
	}
	return need, fleet.NewPorts(ports...)
}

// taskSize is a size of the task definition, or what an override makes of it.
func taskSize(own string, o *TaskOverride, of func(*TaskOverride) string) string {
	if o != nil && of(o) != "" {
		return of(o)
	}
	return own
}

// overridden is a container as an override changes it.
func (c ContainerDefinition) overridden(o *TaskOverride) ContainerDefinition {
	if o == nil {
		return c
	}
	for _, over := range o.ContainerOverrides {
		if over.Name != c.Name {
			continue
		}
		for _, f := range []struct{ to, from *int64 }{{&c.CPU, over.CPU}, {&c.Memory, over.Memory}, {&c.MemoryReservation, over.MemoryReservation}} {
			if f.from != nil {
				*f.to = *f.from
			}
		}
		if over.ResourceRequirements != nil {
			c.ResourceRequirements = over.ResourceRequirements
		}
		c.Environment = append(slices.Clone(c.Environment), over.Environment...)
	}
	return c
}

// definition finds a task definition by family, family:revision or ARN; without a
// revision it is the latest active one.
func (w *World) definition(name string) (*taskDefinition, error) {
	name = lastPart(name)
	base, number, exact := strings.Cut(name, ":")
	f := w.families[base]
	if f == nil {
		return nil, clientError(codeClient, "Unable to describe task definition.")
	}
	if exact {
		revision, err := strconv.Atoi(number)
		if err != nil || revision < 1 || revision > len(f.revisions) {
			return nil, clientError(codeClient, "Unable to describe task definition.")
		}
		return f.revisions[revision-1], nil
	}
	for _, d := range slices.Backward(f.revisions) {
		if d.Status == statusActive {
			return d, nil
		}
	}
	return nil, clientError(codeClient, "Unable to describe task definition.")
}

// activeDefinition is definition for operations that start tasks.
func (w *World) activeDefinition(name string) (*taskDefinition, error) {
	d, err := w.definition(name)
	if err != nil {
		return nil, clientError(codeClient, "TaskDefinition not found.")
	}
	if d.Status != statusActive {
		return nil, clientError(codeClient, "TaskDefinition is inactive")
	}
	return d, nil
}

// DescribeTaskDefinition describes one revision.
func (w *World) DescribeTaskDefinition(in *DescribeTaskDefinitionInput) (*DescribeTaskDefinitionOutput, error) {
	d, err := w.definition(in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	out := &DescribeTaskDefinitionOutput{TaskDefinition: d.TaskDefinition}
	if slices.Contains(in.Include, "TAGS") {
		out.Tags = slices.Clone(d.tags)
	}
	return out, nil
}

// DeregisterTaskDefinition makes a revision inactive; tasks and services keep it.
func (w *World) DeregisterTaskDefinition(in *DeregisterTaskDefinitionInput) (*DeregisterTaskDefinitionOutput, error) {
	if !strings.Contains(lastPart(in.TaskDefinition), ":") {
		return nil, invalid("Unexpected number of separators: name the revision, as in family:1")
	}
	d, err := w.definition(in.TaskDefinition)
	if err != nil {
		return nil, clientError(codeClient, "The specified task definition does not exist.")
	}
	if d.Status == statusActive {
		d.Status, d.DeregisteredAt = statusInactive, Timestamp{w.now}
	}
	return &DeregisterTaskDefinitionOutput{TaskDefinition: d.TaskDefinition}, nil
}
