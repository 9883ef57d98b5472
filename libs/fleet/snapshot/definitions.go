package snapshot

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// definition is a task definition with what follows from it alone.
type definition struct {
	*TaskDefinition
	plain *reservation // without overrides, once it was asked for
}

// reservation is what ECS subtracts from an instance for a task.
type reservation struct {
	needs   fleet.Resources
	ports   fleet.Ports
	allGPUs bool   // it takes every GPU of its instance, however many these are
	problem string // why the size is not known
}

// reserves computes what a task of the definition reserves. It follows the agent's own
// mirror of the scheduler: the task's size if it has one, else the sum of its containers,
// of which each counts with its soft memory limit if it has one.
func (d *definition) reserves(o *Overrides) reservation {
	if o.empty() {
		if d.plain == nil {
			r := d.compute(&Overrides{})
			d.plain = &r
		}
		return *d.plain
	}
	return d.compute(o)
}

func (d *definition) compute(o *Overrides) reservation {
	var r reservation
	for i := range d.Containers {
		r.addContainer(overridden(d.Containers[i], o), d.NetworkMode)
	}
	r.addTaskSize("cpu", cmp.Or(o.CPU, d.CPU), cpuUnits, &r.needs.CPUUnits)
	r.addTaskSize("memory", cmp.Or(o.Memory, d.Memory), memoryMiB, &r.needs.MemoryMiB)
	if d.NetworkMode == "awsvpc" {
		r.needs.ENIs = 1
		r.ports = nil // every task has addresses of its own
	}
	r.ports = fleet.NewPorts(r.ports...)
	return r
}

func overridden(c Container, o *Overrides) Container {
	set := func(field, value *int64) {
		if value != nil {
			*field = *value
		}
	}
	for _, over := range o.Containers {
		if over.Name == c.Name {
			set(&c.CPU, over.CPU)
			set(&c.Memory, over.Memory)
			set(&c.MemoryReservation, over.MemoryReservation)
			c.GPUs = cmp.Or(over.GPUs, c.GPUs)
		}
	}
	return c
}

func (r *reservation) addContainer(c Container, mode string) {
	r.needs.CPUUnits += max(c.CPU, 0)
	if c.MemoryReservation > 0 {
		r.needs.MemoryMiB += c.MemoryReservation
	} else {
		r.needs.MemoryMiB += max(c.Memory, 0)
	}
	switch n, err := strconv.ParseInt(c.GPUs, 10, 64); {
	case c.GPUs == "":
	case c.GPUs == "ALL":
		r.allGPUs, r.problem = true, "it takes all GPUs of its instance"
	case err != nil || n < 0:
		r.problem = fmt.Sprintf("container %s asks for %q GPUs", c.Name, c.GPUs)
	default:
		r.needs.GPUs += n
	}
	for _, m := range c.Ports {
		r.addPorts(m, mode)
	}
}

// addPorts reserves the host ports of a mapping. In bridge mode only a host port that is
// named is reserved, the others are found when the task starts; in host mode the
// container's port is the host's.
func (r *reservation) addPorts(m PortMapping, mode string) {
	first, end := m.HostPort, m.HostPort
	if mode == "host" {
		first = cmp.Or(m.HostPort, m.ContainerPort)
		end = first
		if from, to, ok := strings.Cut(m.Range, "-"); ok && first == 0 {
			first, _ = strconv.Atoi(from)
			end, _ = strconv.Atoi(to)
		}
	}
	protocol := fleet.TCP
	if m.Protocol == string(fleet.UDP) {
		protocol = fleet.UDP
	}
	const highest = 65_535
	for port := max(first, 1); port <= min(end, highest); port++ {
		r.ports = append(r.ports, fleet.Port{Number: uint16(port), Protocol: protocol})
	}
}

// addTaskSize replaces the sum of the containers by the size of the task, if it has one.
func (r *reservation) addTaskSize(field, text string, parse func(string) (int64, bool), size *int64) {
	if text == "" {
		return
	}
	n, ok := parse(text)
	if !ok {
		r.problem = fmt.Sprintf("its %s is %q", field, text)
		return
	}
	*size = n
}

func (o *Overrides) empty() bool { return o.CPU == "" && o.Memory == "" && len(o.Containers) == 0 }

// String is the canonical text of what is overridden, empty for nothing.
func (o *Overrides) String() string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	number := func(name string, value *int64) {
		if value != nil {
			add(name, strconv.FormatInt(*value, 10))
		}
	}
	add("cpu", o.CPU)
	add("memory", o.Memory)
	for _, c := range o.Containers {
		number(c.Name+".cpu", c.CPU)
		number(c.Name+".memory", c.Memory)
		number(c.Name+".memoryReservation", c.MemoryReservation)
		add(c.Name+".gpus", c.GPUs)
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// cpuUnits reads the CPU size of a task: "512", or "0.5 vCPU" as RunTask also takes it.
func cpuUnits(text string) (int64, bool) { return size(text, "vcpu", 1024) }

// memoryMiB reads the memory size of a task: "2048", or "2 GB".
func memoryMiB(text string) (int64, bool) { return size(text, "gb", 1024) }

func size(text, unit string, perUnit float64) (int64, bool) {
	number := strings.ToLower(strings.TrimSpace(text))
	number, hasUnit := strings.CutSuffix(number, unit)
	if !hasUnit {
		n, err := strconv.ParseInt(number, 10, 64)
		return n, err == nil && n >= 0
	}
	const most = 1 << 30 // units: far beyond any machine, far below overflow
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(n >= 0 && n*perUnit <= most) {
		return 0, false
	}
	return int64(n * perUnit), true
}

// required returns the attributes that an instance must carry for the task. A Windows task
// runs on Windows only, and on the family that its container images are for.
func (d *definition) required() []fleet.Attribute {
	attributes := slices.Clone(d.RequiresAttributes)
	if strings.HasPrefix(d.OSFamily, "WINDOWS") {
		attributes = append(attributes, fleet.Attribute{Name: "ecs.os-type", Value: "windows"}, fleet.Attribute{Name: "ecs.os-family", Value: d.OSFamily})
	}
	slices.SortFunc(attributes, func(a, b fleet.Attribute) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(attributes)
}
