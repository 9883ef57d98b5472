package sim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Bounds of task definitions.
const (
	mostContainers      = 10       // of a task definition
	mostDefinitionBytes = 64 << 10 // of a task definition
	leastTaskCPU        = 128      // units of a task that says how much
	mostTaskCPU         = 196608   // the same, 192 vCPU
	mostTags            = 50       // of anything in ECS
	mostOfAnything      = 1 << 30  // is more than any instance has, and little enough to add up
)

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
	case len(in.Tags) > mostTags:
		return invalid("The number of tags exceeds the limit of %d.", mostTags)
	}
	if text, err := json.Marshal(in); err != nil || len(text) > mostDefinitionBytes {
		return clientError(codeClient, "Actual length: '%d'. Max allowed length is '%d' bytes.", len(text), mostDefinitionBytes)
	}
	if err := checkModes(in); err != nil {
		return err
	}
	names := map[string]bool{}
	for i := range in.ContainerDefinitions {
		c := &in.ContainerDefinitions[i]
		if names[c.Name] {
			return clientError(codeClient, "Container names must be unique: %q", c.Name)
		}
		names[c.Name] = true
		if err := checkContainer(in, c); err != nil {
			return err
		}
	}
	if err := checkTogether(in); err != nil {
		return err
	}
	return checkConstraints(in.PlacementConstraints, false)
}

// checkModes refuses modes, platforms and compatibilities that ECS does not know, or that
// this simulated ECS, which has EC2 instances alone, cannot serve.
func checkModes(in *RegisterTaskDefinitionInput) error {
	switch in.NetworkMode {
	case "", networkBridge, networkHost, networkAwsvpc, "none":
	default:
		return clientError(codeClient, "Invalid network mode %q: use bridge, host, awsvpc or none", in.NetworkMode)
	}
	if !slices.Contains([]string{"", "host", "task"}, in.PidMode) || !slices.Contains([]string{"", "host", "task", "none"}, in.IpcMode) {
		return clientError(codeClient, "Invalid pidMode %.40q or ipcMode %.40q", in.PidMode, in.IpcMode)
	}
	for _, c := range in.RequiresCompatibilities {
		if !slices.Contains([]string{"EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"}, c) {
			return clientError(codeClient, "Invalid compatibility %.40q: use EC2", c)
		}
	}
	p := in.RuntimePlatform
	if p == nil {
		return nil
	}
	if !slices.Contains([]string{"", "X86_64", "ARM64"}, p.CPUArchitecture) {
		return clientError(codeClient, "Invalid 'cpuArchitecture' %.40q: use X86_64 or ARM64", p.CPUArchitecture)
	}
	if f := p.OperatingSystemFamily; f != "" && f != "LINUX" && !strings.HasPrefix(f, "WINDOWS_SERVER_") {
		return clientError(codeClient, "Invalid 'operatingSystemFamily' %.40q: use LINUX or a WINDOWS_SERVER", f)
	}
	return nil
}

// checkContainer refuses a container that ECS would refuse.
func checkContainer(in *RegisterTaskDefinitionInput, c *ContainerDefinition) error {
	switch {
	case c.Name == "":
		return clientError(codeClient, "Container.name should not be null or empty.")
	case !namePattern.MatchString(c.Name):
		return clientError(codeClient, "Container.name contains invalid characters.")
	case c.Image == "":
		return clientError(codeClient, "Container.image should not be null or empty.")
	case strings.ContainsAny(c.Image, " \t\n"):
		return clientError(codeClient, "Container.image contains invalid characters.")
	case in.Memory == "" && c.Memory == 0 && c.MemoryReservation == 0:
		return clientError(codeClient, "Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", c.Name)
	case !sized(c.CPU, c.Memory, c.MemoryReservation, int64(c.StopTimeout)):
		return clientError(codeClient, "Invalid setting for container '%s'. 'cpu', 'memory', 'memoryReservation' and 'stopTimeout' must be between 0 and %d.", c.Name, mostOfAnything)
	case !gpusKnown(c.ResourceRequirements):
		return clientError(codeClient, "Invalid setting for container '%s'. A resource requirement is a number of GPUs.", c.Name)
	case c.Memory > 0 && c.MemoryReservation > c.Memory:
		return clientError(codeClient, "Invalid setting for container '%s'. The 'memory' value must be greater than or equal to 'memoryReservation'.", c.Name)
	}
	if l := c.LogConfiguration; l != nil {
		if err := checkLogs(l); err != nil {
			return err
		}
	}
	return checkPorts(in.NetworkMode, c)
}

func checkLogs(l *LogConfiguration) error {
	if !slices.Contains(usualDrivers[platformLinux], l.LogDriver) {
		return clientError(codeClient, "Invalid log driver %.40q: use %s", l.LogDriver, strings.Join(usualDrivers[platformLinux], ", "))
	}
	if l.LogDriver == "awslogs" && (l.Options["awslogs-region"] == "" || l.Options["awslogs-group"] == "") {
		return clientError(codeClient, "Log driver awslogs requires options: awslogs-region, awslogs-group")
	}
	return nil
}

// mostPorts is how many host ports the tasks on an instance can reserve.
const mostPorts = 100

func checkPorts(mode string, c *ContainerDefinition) error {
	taken := map[string]bool{}
	for _, p := range c.PortMappings {
		if p.Protocol != "" && p.Protocol != "tcp" && p.Protocol != "udp" {
			return clientError(codeClient, "Invalid port mapping for container '%s': the protocol is tcp or udp.", c.Name)
		}
		if p.HostPort < 0 || p.HostPort > 65535 || p.ContainerPort < 0 || p.ContainerPort > 65535 {
			return clientError(codeClient, "Invalid port mapping for container '%s': ports are 0 to 65535.", c.Name)
		}
		if p.ContainerPort == 0 && p.ContainerPortRange == "" {
			return clientError(codeClient, "Container.portMappings.containerPort should not be null.")
		}
		differs := p.HostPort != 0 && p.HostPort != p.ContainerPort
		if differs && (mode == networkAwsvpc || mode == networkHost) {
			return clientError(codeClient, "When networkMode=%s, the host ports and container ports in port mappings must match.", mode)
		}
		if p.HostPort == 0 {
			continue
		}
		key := strconv.Itoa(p.HostPort) + p.Protocol
		if taken[key] {
			return clientError(codeClient, "Invalid port mapping for container '%s': the host port %d is mapped twice.", c.Name, p.HostPort)
		}
		taken[key] = true
	}
	if len(taken) > mostPorts {
		return clientError(codeClient, "Invalid port mapping for container '%s': more than %d host ports.", c.Name, mostPorts)
	}
	return nil
}

// checkTogether refuses containers that do not go together or do not fit in their task.
func checkTogether(in *RegisterTaskDefinitionInput) error {
	taskCPU, cpuOK := units(in.CPU, "vcpu")
	taskMemory, memoryOK := units(in.Memory, "gb")
	cpu, _ := strconv.ParseInt(taskCPU, 10, 64)
	memory, _ := strconv.ParseInt(taskMemory, 10, 64)
	if !cpuOK || in.CPU != "" && (cpu < leastTaskCPU || cpu > mostTaskCPU) {
		return clientError(codeClient, "Invalid 'cpu' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.")
	}
	if !memoryOK {
		return clientError(codeClient, "Invalid 'memory' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.")
	}
	var sumCPU, sumReserved int64
	essential := false
	for i := range in.ContainerDefinitions {
		c := &in.ContainerDefinitions[i]
		sumCPU += c.CPU
		sumReserved += c.MemoryReservation
		essential = essential || c.Essential == nil || *c.Essential
		if memory > 0 && max(c.Memory, c.MemoryReservation) > memory {
			return clientError(codeClient, "The 'memory' setting for container '%s' is greater than for the task.", c.Name)
		}
	}
	switch {
	case cpu > 0 && sumCPU > cpu:
		return clientError(codeClient, "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.")
	case memory > 0 && sumReserved > memory:
		return clientError(codeClient, "The sum of all container 'memoryReservation' values cannot be greater than the value of the task 'memory'.")
	case !essential:
		return clientError(codeClient, "At least one container of a task definition must be essential.")
	}
	return checkReferences(in)
}

// checkReferences refuses containers that name volumes or containers that are not there.
func checkReferences(in *RegisterTaskDefinitionInput) error {
	volumes, containers := map[string]bool{}, map[string]*ContainerDefinition{}
	for _, v := range in.Volumes {
		if v.Name == "" || volumes[v.Name] {
			return clientError(codeClient, "Volume names must be set and unique: %q", v.Name)
		}
		volumes[v.Name] = true
	}
	for i := range in.ContainerDefinitions {
		containers[in.ContainerDefinitions[i].Name] = &in.ContainerDefinitions[i]
	}
	for _, c := range in.ContainerDefinitions {
		for _, m := range c.MountPoints {
			if !volumes[m.SourceVolume] {
				return clientError(codeClient, "Unknown volume '%s'.", m.SourceVolume)
			}
		}
		for _, d := range c.DependsOn {
			other := containers[d.ContainerName]
			switch {
			case other == nil || d.ContainerName == c.Name:
				return clientError(codeClient, "Invalid dependency of container '%s' on '%s'.", c.Name, d.ContainerName)
			case !slices.Contains([]string{"START", "COMPLETE", "SUCCESS", "HEALTHY"}, d.Condition):
				return clientError(codeClient, "Invalid dependency condition %.40q: use START, COMPLETE, SUCCESS or HEALTHY", d.Condition)
			case (d.Condition == "SUCCESS" || d.Condition == "COMPLETE") && (other.Essential == nil || *other.Essential):
				return clientError(codeClient, "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container")
			case d.Condition == "HEALTHY" && other.HealthCheck == nil:
				return clientError(codeClient, "Container '%s' has no health check that '%s' could wait for.", other.Name, c.Name)
			}
		}
	}
	return nil
}

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
