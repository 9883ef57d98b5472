package sim

import (
	"cmp"
	"maps"
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
	stopTimeout time.Duration // of its slowest container
	health      bool          // a container has a health check
}

const (
	mostContainers     = 10               // of a task definition
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
	cpu, cpuOK := units(in.CPU, "vcpu")
	memory, memoryOK := units(in.Memory, "gb")
	if !cpuOK || !memoryOK {
		return nil, clientError(codeClient, "Invalid 'cpu' or 'memory' setting for task. CPU %q, memory %q", in.CPU, in.Memory)
	}
	f := w.families[in.Family]
	if f == nil {
		f = &family{name: in.Family}
		w.families[in.Family] = f
	}
	d := &taskDefinition{tags: sortedTags(in.Tags), stopTimeout: defaultStopTimeout}
	d.TaskDefinition = TaskDefinition{
		TaskDefinitionArn: w.arn("ecs", "task-definition/"+in.Family+":"+strconv.Itoa(len(f.revisions)+1)),
		Family:            in.Family, Revision: len(f.revisions) + 1, Status: statusActive,
		ContainerDefinitions: slices.Clone(in.ContainerDefinitions),
		CPU:                  cpu, Memory: memory, NetworkMode: cmp.Or(in.NetworkMode, networkBridge),
		TaskRoleArn: in.TaskRoleArn, ExecutionRoleArn: in.ExecutionRoleArn,
		PlacementConstraints: orEmpty(slices.Clone(in.PlacementConstraints)),
		Compatibilities:      []string{"EC2"}, RequiresCompatibilities: in.RequiresCompatibilities,
		RuntimePlatform: in.RuntimePlatform, RegisteredAt: Timestamp{w.now},
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
		for j := range c.PortMappings {
			p := &c.PortMappings[j]
			p.Protocol = cmp.Or(p.Protocol, "tcp")
			if d.NetworkMode != networkBridge && p.HostPort == 0 {
				p.HostPort = p.ContainerPort
			}
		}
		if stop := time.Duration(c.StopTimeout) * time.Second; stop > d.stopTimeout {
			d.stopTimeout = stop
		}
		d.health = d.health || c.HealthCheck != nil
	}
}

// checkDefinition refuses what ECS would refuse.
func checkDefinition(in *RegisterTaskDefinitionInput) error {
	switch {
	case in.Family == "":
		return clientError(codeClient, "Family should not be null or empty.")
	case !namePattern.MatchString(in.Family):
		return clientError(codeClient, "Family contains invalid characters.")
	case len(in.ContainerDefinitions) == 0:
		return clientError(codeClient, "Container list cannot be empty.")
	case len(in.ContainerDefinitions) > mostContainers:
		return clientError(codeClient, "Too many containers: %d. A task definition has at most %d.", len(in.ContainerDefinitions), mostContainers)
	}
	switch in.NetworkMode {
	case "", networkBridge, networkHost, networkAwsvpc, "none":
	default:
		return clientError(codeClient, "Invalid network mode %q: use bridge, host, awsvpc or none", in.NetworkMode)
	}
	names := map[string]bool{}
	for _, c := range in.ContainerDefinitions {
		switch {
		case c.Name == "":
			return clientError(codeClient, "Container.name should not be null or empty.")
		case names[c.Name]:
			return clientError(codeClient, "Container names must be unique: %q", c.Name)
		case c.Image == "":
			return clientError(codeClient, "Container.image should not be null or empty.")
		case in.Memory == "" && c.Memory == 0 && c.MemoryReservation == 0:
			return clientError(codeClient, "Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", c.Name)
		case !sized(c.CPU, c.Memory, c.MemoryReservation, int64(c.StopTimeout)):
			return clientError(codeClient, "Invalid setting for container '%s'. 'cpu', 'memory', 'memoryReservation' and 'stopTimeout' must be between 0 and %d.", c.Name, mostOfAnything)
		case !gpusKnown(c.ResourceRequirements):
			return clientError(codeClient, "Invalid setting for container '%s'. A resource requirement is a number of GPUs.", c.Name)
		case c.Memory > 0 && c.MemoryReservation > c.Memory:
			return clientError(codeClient, "Invalid setting for container '%s'. The 'memory' value must be greater than or equal to 'memoryReservation'.", c.Name)
		}
		names[c.Name] = true
		for _, p := range c.PortMappings {
			if p.Protocol != "" && p.Protocol != "tcp" && p.Protocol != "udp" {
				return clientError(codeClient, "Invalid port mapping for container '%s': the protocol is tcp or udp.", c.Name)
			}
			if p.HostPort < 0 || p.HostPort > 65535 || p.ContainerPort < 0 || p.ContainerPort > 65535 {
				return clientError(codeClient, "Invalid port mapping for container '%s': ports are 0 to 65535.", c.Name)
			}
		}
	}
	return checkConstraints(in.PlacementConstraints, false)
}

// mostOfAnything is more than any instance has, and little enough to add up.
const mostOfAnything = 1 << 30

func sized(quantities ...int64) bool {
	for _, q := range quantities {
		if q < 0 || q > mostOfAnything {
			return false
		}
	}
	return true
}

func gpusKnown(requirements []ResourceRequirement) bool {
	for _, r := range requirements {
		const most = 1000
		if n, err := strconv.Atoi(r.Value); r.Type != "GPU" || err != nil || n < 1 || n > most {
			return false
		}
	}
	return true
}

// checkOverrides refuses sizes that no task can have, and normalises those of the task.
func checkOverrides(o *TaskOverride) error {
	if o == nil {
		return nil
	}
	cpu, cpuOK := units(o.CPU, "vcpu")
	memory, memoryOK := units(o.Memory, "gb")
	if !cpuOK || !memoryOK {
		return invalid("Invalid 'cpu' or 'memory' override. CPU %.40q, memory %.40q", o.CPU, o.Memory)
	}
	o.CPU, o.Memory = cpu, memory
	for _, c := range o.ContainerOverrides {
		for _, q := range []*int64{c.CPU, c.Memory, c.MemoryReservation} {
			if q != nil && !sized(*q) {
				return invalid("Invalid override of container %.40q: %d", c.Name, *q)
			}
		}
		if !gpusKnown(c.ResourceRequirements) {
			return invalid("Invalid override of container %.40q: a resource requirement is a number of GPUs", c.Name)
		}
	}
	return nil
}

// units reads a quantity that is written as a number or with a unit: "1024", "1 vCPU",
// "0.5GB". An absent one is "".
func units(text, unit string) (string, bool) {
	if text == "" {
		return "", true
	}
	s := strings.ToLower(strings.TrimSpace(text))
	scale := 1.0
	if number, found := strings.CutSuffix(s, unit); found {
		s, scale = strings.TrimSpace(number), 1024 // of CPU units as of MiB
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v*scale > 0 && v*scale <= mostOfAnything) {
		return "", false
	}
	return strconv.FormatInt(int64(v*scale), 10), true
}

// requires are the attributes that an instance must carry for this definition.
func (d *taskDefinition) requires() []Attribute {
	names := map[string]bool{"com.amazonaws.ecs.capability.docker-remote-api.1.18": true}
	add := func(condition bool, attributes ...string) {
		for _, a := range attributes {
			names[a] = names[a] || condition
		}
	}
	add(d.NetworkMode == networkAwsvpc, "ecs.capability.task-eni")
	add(d.TaskRoleArn != "", "com.amazonaws.ecs.capability.task-iam-role")
	add(d.TaskRoleArn != "" && d.NetworkMode == networkHost, "com.amazonaws.ecs.capability.task-iam-role-network-host")
	add(d.CPU != "" || d.Memory != "", "ecs.capability.task-cpu-mem-limit")
	add(d.health, "ecs.capability.container-health-check")
	for _, c := range d.ContainerDefinitions {
		ecr := strings.Contains(c.Image, ".dkr.ecr.")
		add(ecr, "com.amazonaws.ecs.capability.ecr-auth")
		add(ecr && d.ExecutionRoleArn != "", "ecs.capability.execution-role-ecr-pull")
		if c.LogConfiguration != nil {
			add(true, "com.amazonaws.ecs.capability.logging-driver."+c.LogConfiguration.LogDriver)
			add(c.LogConfiguration.LogDriver == "awslogs" && d.ExecutionRoleArn != "", "ecs.capability.execution-role-awslogs")
		}
	}
	var list []Attribute
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] {
			list = append(list, Attribute{Name: name})
		}
	}
	return list
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
	d.Status = statusInactive
	return &DeregisterTaskDefinitionOutput{TaskDefinition: d.TaskDefinition}, nil
}

// ListTaskDefinitions lists revisions by family and revision.
func (w *World) ListTaskDefinitions(in *ListTaskDefinitionsInput) (*ListTaskDefinitionsOutput, error) {
	after, limit, err := ecsPage("task-definitions", in.NextToken, in.MaxResults, 100, 100)
	if err != nil {
		return nil, err
	}
	status := cmp.Or(in.Status, statusActive)
	var arns []string
	for _, name := range slices.Sorted(maps.Keys(w.families)) {
		if in.FamilyPrefix != "" && in.FamilyPrefix != name {
			continue
		}
		for _, d := range w.families[name].revisions {
			if d.Status == status {
				arns = append(arns, d.TaskDefinitionArn)
			}
		}
	}
	if in.Sort == "DESC" {
		slices.Reverse(arns)
	}
	page, next := pageOf(arns, after, limit)
	return &ListTaskDefinitionsOutput{TaskDefinitionArns: orEmpty(page), NextToken: token("task-definitions", next)}, nil
}
