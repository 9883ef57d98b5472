package sim

import (
	"regexp"
	"strings"
)

var instanceIDPattern = regexp.MustCompile(`^i-([0-9a-f]{8}|[0-9a-f]{17})$`)

// mostInstances is the most instances that one call may name.
const mostInstances = 1000

// named finds the instances that a call names. One that is no ID, or that the operation
// does not know, fails it for all; the error names each of them.
func (w *World) named(operation string, ids []string) ([]*instance, error) {
	var malformed, unknown []string
	list := make([]*instance, 0, len(ids))
	for _, id := range ids {
		m := w.instances[id]
		switch {
		case !instanceIDPattern.MatchString(id):
			malformed = append(malformed, clip(id))
		case m == nil, operation == "" && !w.visible(m), operation != "" && !w.known(m, operation):
			unknown = append(unknown, id)
		default:
			list = append(list, m)
		}
	}
	switch {
	case len(malformed) == 1:
		return nil, clientError("InvalidInstanceID.Malformed", "Invalid id: %q (expecting \"i-...\")", malformed[0])
	case len(malformed) > 1:
		return nil, clientError("InvalidInstanceID.Malformed", "Invalid ids: %q (expecting \"i-...\")", strings.Join(malformed, ", "))
	case len(unknown) == 1:
		return nil, clientError("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", unknown[0])
	case len(unknown) > 1:
		return nil, clientError("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(unknown, ", "))
	}
	return list, nil
}

// changed is [World.named] for an operation that changes instances, which must name some.
func (w *World) changed(operation string, ids []string) ([]*instance, error) {
	if len(ids) == 0 {
		return nil, clientError("InvalidParameterCombination", "No instances specified")
	}
	if len(ids) > mostInstances {
		return nil, clientError("InvalidParameterValue", "The request names %d instances; at most %d are allowed", len(ids), mostInstances)
	}
	return w.named(operation, ids)
}

// TerminateInstances ends instances. One unknown ID fails the call; a protected instance
// fails it for its zone, while those of other zones end.
func (w *World) TerminateInstances(in *TerminateInstancesInput) (*TerminateInstancesOutput, error) {
	list, err := w.changed("TerminateInstances", in.InstanceIDs)
	if err != nil {
		return nil, err
	}
	guarded := map[string]string{} // zone → a protected instance in it
	for _, m := range list {
		if m.protected && !m.ending() && guarded[m.subnet.Zone] == "" {
			guarded[m.subnet.Zone] = m.id
		}
	}
	if in.DryRun {
		return nil, dryRun()
	}
	out := &TerminateInstancesOutput{}
	var refused error
	for _, m := range list {
		if by, ok := guarded[m.subnet.Zone]; ok {
			if refused == nil {
				refused = clientError("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", by)
			}
			continue
		}
		before := m.state
		if !m.ending() {
			w.seen.terminated(w, m)
			w.terminate(m, StateReason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"})
		}
		out.TerminatingInstances = append(out.TerminatingInstances, change(m, before))
	}
	if refused != nil {
		return nil, refused
	}
	return out, nil
}

// change is what an operation did to the state of an instance.
func change(m *instance, before machineState) InstanceStateChange {
	return InstanceStateChange{InstanceID: m.id, CurrentState: m.state.describe(), PreviousState: before.describe()}
}
