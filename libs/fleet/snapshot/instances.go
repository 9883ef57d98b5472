package snapshot

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// Attributes of container instances that the assembly reads (reference of ECS: "Amazon ECS
// container instance attributes").
const (
	attributeType         = "ecs.instance-type"
	attributeZone         = "ecs.availability-zone"
	attributeSubnet       = "ecs.subnet-id"
	attributeImage        = "ecs.ami-id"
	attributeArchitecture = "ecs.cpu-architecture"
	attributeExternal     = "ecs.capability.external"
	attributeTrunk        = "ecs.awsvpc-trunk-id"
)

// tagAutoScalingGroup is put on an instance by the auto scaling group that launched it.
const tagAutoScalingGroup = "aws:autoscaling:groupName"

// addInstances joins container instances with EC2 instances by the EC2 instance ID.
func (a *assembly) addInstances() {
	machines := make(map[string]*EC2Instance, len(a.in.EC2.Instances))
	for i := range a.in.EC2.Instances {
		machines[a.in.EC2.Instances[i].ID] = &a.in.EC2.Instances[i]
	}
	notice := notices(a.in.Notices)
	registered := a.chooseRegistrations()
	sets := internAttributes(registered)
	for i, ci := range registered {
		machine := machines[ci.EC2InstanceID]
		inst := a.joined(ci, machine)
		inst.Attributes, inst.OwnAttributes = sets.of[i], sets.own[i]
		inst.Notice = notice[inst.ID]
		a.instances[last(ci.ARN)] = len(a.snap.Instances)
		a.snap.Instances = append(a.snap.Instances, inst)
		delete(machines, ci.EC2InstanceID)
	}
	a.pointGhosts()
	a.snap.AttributeSets = append(a.snap.AttributeSets, sets.table...)
	for _, id := range slices.Sorted(maps.Keys(machines)) {
		if inst, ok := a.launching(machines[id]); ok {
			inst.Notice = notice[inst.ID]
			a.snap.Instances = append(a.snap.Instances, inst)
		}
	}
	a.protect()
	a.impair()
	a.interfaces = make([]int64, len(a.snap.Instances))
	a.gpus = make([]int64, len(a.snap.Instances))
}

// chooseRegistrations returns the container instances that count, one for each EC2
// instance, sorted by it. The same one read twice counts with its higher version; of
// several registrations of one machine the latest counts, for an agent that lost its state
// registers anew and leaves a ghost.
func (a *assembly) chooseRegistrations() []*ContainerInstance {
	best := make(map[string]*ContainerInstance, len(a.in.ContainerInstances.Instances))
	for i := range a.in.ContainerInstances.Instances {
		ci := &a.in.ContainerInstances.Instances[i]
		switch {
		case a.foreign(ci):
			a.passedOver[last(ci.ARN)] = true
			continue
		case ci.Status == "INACTIVE":
			continue
		case ci.EC2InstanceID == "":
			a.fail(fleet.SectionInstances, "container instance %s names no EC2 instance", last(ci.ARN))
			continue
		}
		known := best[ci.EC2InstanceID]
		if known == nil || registrationOrder(ci, known) > 0 {
			best[ci.EC2InstanceID] = ci
		}
	}
	chosen := make([]*ContainerInstance, 0, len(best))
	for _, id := range slices.Sorted(maps.Keys(best)) {
		chosen = append(chosen, best[id])
	}
	return chosen
}

func registrationOrder(a, b *ContainerInstance) int {
	if a.ARN == b.ARN {
		return cmp.Compare(a.Version, b.Version)
	}
	return cmp.Or(a.RegisteredAt.Compare(b.RegisteredAt), cmp.Compare(a.ARN, b.ARN))
}

// foreign reports whether a container instance is external or managed by ECS itself.
func (a *assembly) foreign(ci *ContainerInstance) bool {
	if strings.HasPrefix(ci.EC2InstanceID, "mi-") || a.elsewhere("", ci.CapacityProvider) {
		return true
	}
	_, external := attributeOf(ci.Attributes, attributeExternal)
	return external
}

// pointGhosts lets the tasks of an earlier registration count on the machine itself.
func (a *assembly) pointGhosts() {
	byMachine := make(map[fleet.InstanceID]int, len(a.snap.Instances))
	for i := range a.snap.Instances {
		byMachine[a.snap.Instances[i].ID] = i
	}
	for i := range a.in.ContainerInstances.Instances {
		ci := &a.in.ContainerInstances.Instances[i]
		if at, ok := byMachine[fleet.InstanceID(ci.EC2InstanceID)]; ok && ci.EC2InstanceID != "" {
			a.instances[last(ci.ARN)] = at
		}
	}
}

// joined makes the instance of a container instance and its machine, which is nil if EC2
// did not list it.
func (a *assembly) joined(ci *ContainerInstance, machine *EC2Instance) fleet.Instance {
	inst := a.fromMachine(machine)
	inst.ID = fleet.InstanceID(ci.EC2InstanceID)
	inst.ContainerInstance = fleet.ContainerInstanceID(last(ci.ARN))
	inst.Status = a.status(ci, machine)
	inst.CapacityProvider = ci.CapacityProvider
	inst.AgentConnected = ci.AgentConnected && (machine == nil || !stopped(machine.State))
	inst.AgentVersion = ci.AgentVersion
	inst.RegisteredAt = ci.RegisteredAt
	fromAttributes(&inst, ci.Attributes)
	if p := a.providers[ci.CapacityProvider]; p != nil && inst.AutoScalingGroup == "" {
		inst.AutoScalingGroup = p.AutoScalingGroup
	}
	inst.Registered = quantities(ci.Registered)
	inst.Remaining = quantities(ci.Remaining)
	inst.UsedPorts = usedPorts(ci.Remaining)
	_, trunked := attributeOf(ci.Attributes, attributeTrunk)
	inst.Registered.ENIs = a.slots(inst.Type, trunking(trunked))
	return inst
}

// fromAttributes fills in from the built-in attributes what EC2 did not say.
func fromAttributes(inst *fleet.Instance, attributes []fleet.Attribute) {
	fill := func(field *string, name string) {
		if *field == "" {
			*field, _ = attributeOf(attributes, name)
		}
	}
	fill((*string)(&inst.Type), attributeType)
	fill((*string)(&inst.Zone), attributeZone)
	fill((*string)(&inst.Subnet), attributeSubnet)
	fill((*string)(&inst.Image), attributeImage)
	if inst.Architecture == "" {
		arch, _ := attributeOf(attributes, attributeArchitecture)
		inst.Architecture = architecture(arch)
	}
	lifecycle, _ := attributeOf(attributes, fleet.AttributeLifecycle)
	if inst.Lifecycle == "" {
		inst.Lifecycle = fleet.OnDemand
		if lifecycle == string(fleet.Spot) {
			inst.Lifecycle = fleet.Spot
		}
	}
	if inst.LaunchSpec == "" && inst.Owner != "" {
		fill((*string)(&inst.LaunchSpec), fleet.AttributeLaunchSpec)
	}
}

// fromMachine takes over what EC2 says of an instance. All of it is empty for nil.
func (a *assembly) fromMachine(m *EC2Instance) fleet.Instance {
	inst := fleet.Instance{Attributes: fleet.NoIndex}
	if m == nil {
		return inst
	}
	inst.ID = fleet.InstanceID(m.ID)
	inst.Type, inst.Zone, inst.Subnet = fleet.TypeName(m.Type), fleet.Zone(m.Zone), fleet.SubnetID(m.Subnet)
	inst.Image, inst.Architecture = fleet.ImageID(m.Image), architecture(m.Architecture)
	inst.LaunchedAt = m.LaunchedAt
	inst.Lifecycle = fleet.OnDemand // also scheduled instances and capacity blocks: EC2 takes none of them away
	if m.Lifecycle == "spot" {
		inst.Lifecycle = fleet.Spot
	}
	for _, t := range m.Tags {
		switch t.Key {
		case tagAutoScalingGroup:
			inst.AutoScalingGroup = t.Value
		case fleet.TagOwner:
			inst.Owner = t.Value
		case fleet.TagLaunchSpec:
			inst.LaunchSpec = fleet.LaunchSpecName(t.Value)
		case fleet.TagAction:
			inst.Action = fleet.ActionID(t.Value)
		case fleet.TagDrain:
			inst.Drain = fleet.ActionID(t.Value)
		case fleet.TagSpec:
			inst.Spec = t.Value
		}
	}
	return inst
}

// launching makes the instance of a machine that has no container instance, if it is one
// of the cluster and lives.
func (a *assembly) launching(m *EC2Instance) (fleet.Instance, bool) {
	cluster := slices.IndexFunc(m.Tags, func(t Tag) bool { return t.Key == fleet.TagCluster && t.Value == string(a.in.Cluster) })
	if cluster < 0 || m.ID == "" || (m.State != "pending" && m.State != "running") {
		return fleet.Instance{}, false
	}
	inst := a.fromMachine(m)
	inst.Status = fleet.StatusLaunching
	return inst, true
}

// status is where a registered instance is in its life. ECS says so, but does not notice
// that a machine has ended while its agent was not connected.
func (a *assembly) status(ci *ContainerInstance, machine *EC2Instance) fleet.InstanceStatus {
	switch {
	case machine == nil && (ci.AgentConnected || !a.in.EC2.Complete):
		a.fail(fleet.SectionEC2, "EC2 did not list %s, which is a container instance of the cluster", ci.EC2InstanceID)
	case machine == nil || ended(machine.State):
		return fleet.StatusGone
	}
	switch ci.Status {
	case "ACTIVE":
		return fleet.StatusActive
	case "DRAINING":
		return fleet.StatusDraining
	case "DEREGISTERING":
		return fleet.StatusDeregistering
	case "REGISTERING", "REGISTRATION_FAILED": // the latter never becomes active: it runs into the boot timeout
		return fleet.StatusRegistering
	}
	a.fail(fleet.SectionInstances, "container instance %s has the unknown status %q", last(ci.ARN), ci.Status)
	return fleet.StatusRegistering // of the statuses that offer no room, the one that costs nothing
}

func ended(state string) bool   { return state == "shutting-down" || state == "terminated" }
func stopped(state string) bool { return state == "stopping" || state == "stopped" }

// protect notes which instances a person has told Neap to keep.
func (a *assembly) protect() {
	why := make(map[fleet.InstanceID]string, len(a.in.Protections))
	for _, p := range a.in.Protections {
		why[p.Instance] = max(why[p.Instance], cmp.Or(p.Why, "told to keep it"))
	}
	for i := range a.snap.Instances {
		a.snap.Instances[i].Protected = why[a.snap.Instances[i].ID]
	}
}

// impair notes of which instances EC2's status checks fail.
func (a *assembly) impair() {
	impaired := make(map[fleet.InstanceID]bool, len(a.in.Impaired))
	for _, id := range a.in.Impaired {
		impaired[fleet.InstanceID(id)] = true
	}
	for i := range a.snap.Instances {
		a.snap.Instances[i].Impaired = impaired[a.snap.Instances[i].ID]
	}
}

// trunking says whether an instance has a trunk interface for tasks in awsvpc mode.
type trunking bool

const (
	trunked   trunking = true
	untrunked trunking = false
)

// slots is how many tasks in awsvpc mode an instance of a type holds: one for each
// interface beside its own, or as many branches as its trunk takes. It is 0 for a type that
// is not in the catalogue: then no such task is expected to fit.
func (a *assembly) slots(name fleet.TypeName, trunk trunking) int64 {
	i, ok := a.types[name]
	if !ok {
		return 0
	}
	t := &a.snap.Types[i]
	if trunk == trunked && t.TrunkTasks > 0 {
		return t.TrunkTasks
	}
	return max(t.MaxENIs-1, 0)
}

// countInterfaces subtracts what tasks hold and ECS does not tell: network interfaces are
// in no remaining resource, and its GPUs are named, not counted.
func (a *assembly) countInterfaces() {
	for i := range a.snap.Instances {
		inst := &a.snap.Instances[i]
		inst.Remaining.ENIs = max(inst.Registered.ENIs-a.interfaces[i], 0)
		inst.Remaining.GPUs = max(inst.Registered.GPUs-a.gpus[i], 0)
	}
}

// quantities adds up the countable resources of a list.
func quantities(list []Resource) fleet.Resources {
	var r fleet.Resources
	for _, res := range list {
		switch res.Name {
		case "CPU":
			r.CPUUnits = max(res.Integer, 0)
		case "MEMORY":
			r.MemoryMiB = max(res.Integer, 0)
		case "GPU":
			r.GPUs = max(res.Integer, int64(len(res.Strings)))
		}
	}
	return r
}

// agentPorts are reserved on every Linux instance: SSH, Docker and the ECS agent itself.
// ECS lists them among the ports in use; they stand in for a list that is missing.
var agentPorts = fleet.NewPorts(
	fleet.Port{Number: 22, Protocol: fleet.TCP},
	fleet.Port{Number: 2375, Protocol: fleet.TCP},
	fleet.Port{Number: 2376, Protocol: fleet.TCP},
	fleet.Port{Number: 51678, Protocol: fleet.TCP},
	fleet.Port{Number: 51679, Protocol: fleet.TCP},
)

// usedPorts reads the ports in use, those that the agent reserves included.
func usedPorts(remaining []Resource) fleet.Ports {
	var ports []fleet.Port
	listed := false
	for _, res := range remaining {
		var protocol fleet.Protocol
		switch res.Name {
		case "PORTS":
			protocol, listed = fleet.TCP, true
		case "PORTS_UDP":
			protocol = fleet.UDP
		default:
			continue
		}
		for _, text := range res.Strings {
			if n, err := strconv.ParseUint(text, 10, 16); err == nil && n > 0 {
				ports = append(ports, fleet.Port{Number: uint16(n), Protocol: protocol})
			}
		}
	}
	if !listed {
		ports = append(ports, agentPorts...)
	}
	return fleet.NewPorts(ports...)
}

func attributeOf(attributes []fleet.Attribute, name string) (value string, ok bool) {
	for _, attr := range attributes {
		if attr.Name == name {
			return attr.Value, true
		}
	}
	return "", false
}
