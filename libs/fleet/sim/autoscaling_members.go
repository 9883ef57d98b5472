package sim

import (
	"fmt"
	"slices"
)

// TerminateInstanceInAutoScalingGroup ends an instance of a group, which replaces it or
// becomes smaller.
func (w *World) TerminateInstanceInAutoScalingGroup(in *TerminateInstanceInAutoScalingGroupInput) (*TerminateInstanceInAutoScalingGroupOutput, error) {
	g, m := w.memberNamed(in.InstanceID)
	switch {
	case in.ShouldDecrementDesiredCapacity == nil:
		return nil, notValid("1 validation error detected: Value null at 'shouldDecrementDesiredCapacity' failed to satisfy constraint: Member must not be null")
	case m == nil:
		return nil, notValid("Instance Id not found - No managed instance found for instance ID: %.100s", in.InstanceID)
	case m.leaving:
		return nil, clientError("ScalingActivityInProgress", "The instance %s is being terminated already.", in.InstanceID)
	}
	words := "an instance was taken out of service in response to a user request."
	if *in.ShouldDecrementDesiredCapacity {
		if g.desired-1 < g.least {
			return nil, notValid("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.least)
		}
		g.desired--
		words = fmt.Sprintf("instance %s was taken out of service in response to a user request, shrinking the capacity from %d to %d.", in.InstanceID, g.desired+1, g.desired)
	}
	activity := w.depart(g, m, w.cause(words))
	activity.StatusCode, activity.Progress, activity.EndTime = "InProgress", 0, nil
	w.groupReacts(g)
	return &TerminateInstanceInAutoScalingGroupOutput{Activity: activity}, nil
}

func (w *World) memberNamed(id string) (*group, *groupMember) {
	if m := w.instances[id]; m != nil && m.group != nil {
		return m.group, m.group.member(id)
	}
	return nil, nil
}

// mostAttached is how many instances one call attaches, detaches or protects.
const mostAttached = 20

// AttachInstances makes running instances members of a group, whose desired capacity grows
// by them.
func (w *World) AttachInstances(in *AttachInstancesInput) (*AutoScalingDone, error) {
	g, err := w.groupOf(in.AutoScalingGroupName)
	ids := in.InstanceIDs.Member
	switch {
	case err != nil:
		return nil, err
	case len(ids) == 0 || len(ids) > mostAttached:
		return nil, notValid("At most %d instances can be attached in one call, and at least 1: %d", mostAttached, len(ids))
	case g.desired+len(ids) > g.most:
		return nil, notValid("AutoScalingGroup %s: desired capacity %d plus %d instances to be attached exceeds the max size %d.", g.name, g.desired, len(ids), g.most)
	}
	zones := g.describe(w).AvailabilityZones.Member
	for _, id := range ids {
		m := w.instances[id]
		switch {
		case m == nil:
			return nil, notValid("Invalid Instance ID(s): [%.100s] specified", id)
		case m.group != nil:
			return nil, notValid("Instance %s is already part of AutoScalingGroup:%s.", id, m.group.name)
		case m.state != machineRunning:
			return nil, notValid("Instance %s is not in correct state: it must be running.", id)
		case !slices.Contains(zones, m.subnet.Zone):
			return nil, notValid("The availability zone %s of instance %s is not in the group.", m.subnet.Zone, id)
		}
	}
	for _, id := range ids {
		w.enrol(g, w.instances[id], g.protectNew)
		w.act(g, "Attaching an existing EC2 instance: "+id, w.cause("an instance was attached in response to a user request, increasing the capacity."), "")
	}
	g.desired += len(ids)
	return &AutoScalingDone{}, nil
}

// DetachInstances takes instances out of a group, which run on. Without
// ShouldDecrementDesiredCapacity they are replaced.
func (w *World) DetachInstances(in *DetachInstancesInput) (*DetachInstancesOutput, error) {
	g, err := w.groupOf(in.AutoScalingGroupName)
	ids := in.InstanceIDs.Member
	switch {
	case err != nil:
		return nil, err
	case in.ShouldDecrementDesiredCapacity == nil:
		return nil, notValid("1 validation error detected: Value null at 'shouldDecrementDesiredCapacity' failed to satisfy constraint: Member must not be null")
	case len(ids) > mostAttached:
		return nil, notValid("At most %d instances can be detached in one call: %d", mostAttached, len(ids))
	case *in.ShouldDecrementDesiredCapacity && g.desired-len(ids) < g.least:
		return nil, notValid("Currently, desiredSize equals %d and minSize %d. Detaching %d instances without replacement will violate group's min size constraint.", g.desired, g.least, len(ids))
	}
	for _, id := range ids {
		if m := g.member(id); m == nil || m.leaving {
			return nil, notValid("The instance %.100s is not part of Auto Scaling group %s.", id, g.name)
		}
	}
	out := &DetachInstancesOutput{}
	for _, id := range ids {
		w.instances[id].group = nil
		g.members = slices.DeleteFunc(g.members, func(m *groupMember) bool { return m.machine.id == id })
		out.Activities.Member = append(out.Activities.Member, w.act(g, "Detaching EC2 instance: "+id, w.cause("instance "+id+" was detached in response to a user request."), ""))
	}
	if *in.ShouldDecrementDesiredCapacity {
		g.desired -= len(ids)
	}
	w.groupReacts(g)
	return out, nil
}

// SetInstanceProtection sets whether scale-in may choose instances.
func (w *World) SetInstanceProtection(in *SetInstanceProtectionInput) (*AutoScalingDone, error) {
	g, err := w.groupOf(in.AutoScalingGroupName)
	switch {
	case err != nil:
		return nil, err
	case in.ProtectedFromScaleIn == nil:
		return nil, notValid("1 validation error detected: Value null at 'protectedFromScaleIn' failed to satisfy constraint: Member must not be null")
	case len(in.InstanceIDs.Member) == 0 || len(in.InstanceIDs.Member) > 50:
		return nil, notValid("Name between 1 and 50 instances: %d", len(in.InstanceIDs.Member))
	}
	for _, id := range in.InstanceIDs.Member {
		if g.member(id) == nil {
			return nil, notValid("The instance %.100s is not part of Auto Scaling group %s.", id, g.name)
		}
	}
	for _, id := range in.InstanceIDs.Member {
		g.member(id).protected = *in.ProtectedFromScaleIn
	}
	w.groupReacts(g)
	return &AutoScalingDone{}, nil
}
