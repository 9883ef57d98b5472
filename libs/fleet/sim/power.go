package sim

import (
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// StopInstances stops instances: they keep their place, address and container instance,
// whose agent is no longer connected. Spot instances of one-time requests cannot be stopped.
func (w *World) StopInstances(in *StopInstancesInput) (*StopInstancesOutput, error) {
	list, err := w.changed("StopInstances", in.InstanceIDs)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		switch {
		case m.spot:
			return nil, clientError("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.", m.id)
		case m.ending():
			return nil, clientError("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be stopped.", m.id)
		case m.held && m.alive():
			return nil, clientError("OperationNotPermitted", "The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", m.id)
		}
	}
	if in.DryRun {
		return nil, dryRun()
	}
	out := &StopInstancesOutput{}
	for _, m := range list {
		before := m.state
		w.stop(m, StateReason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"})
		out.StoppingInstances = append(out.StoppingInstances, change(m, before))
	}
	return out, nil
}

// stop begins to stop a running instance.
func (w *World) stop(m *instance, why StateReason) {
	if !m.alive() {
		return
	}
	m.why, m.ended = why, w.now
	w.turn(m, machineStopping)
	if h := m.host; h != nil && h.connected {
		w.in(w.delay(w.cfg.Delays.Disconnect, "disconnect", m.id), agentLost{h})
	}
	w.in(w.delay(w.cfg.Delays.Halt, "halt", m.id), machineHalted{m})
}

// machineHalted ends stopping.
type machineHalted struct{ m *instance }

func (e machineHalted) happen(w *World) {
	if e.m.state != machineStopping {
		return
	}
	w.turn(e.m, machineStopped)
	w.vacate(e.m)
}

// StartInstances starts stopped instances, if there is room for them where they are.
func (w *World) StartInstances(in *StartInstancesInput) (*StartInstancesOutput, error) {
	list, err := w.changed("StartInstances", in.InstanceIDs)
	if err != nil {
		return nil, err
	}
	booked := newBooking()
	for _, m := range list {
		if m.alive() {
			continue
		}
		if m.state != machineStopped {
			return nil, clientError("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", m.id)
		}
		o := candidate{kind: m.kind, subnet: m.subnet}
		booked.addresses[m.subnet]-- // it has its own
		if got, why := w.capacity(&o, 1, booked); got < 1 {
			return nil, why
		}
		booked.add(&o, 1)
	}
	if in.DryRun {
		return nil, dryRun()
	}
	out := &StartInstancesOutput{}
	for _, m := range list {
		before := m.state
		if m.state == machineStopped {
			m.started, m.why = w.now, StateReason{}
			w.occupy(m)
			w.turn(m, machinePending)
			w.in(w.delay(w.cfg.Delays.Pending, "start", m.id), machineStarted{m})
		}
		out.StartingInstances = append(out.StartingInstances, change(m, before))
	}
	return out, nil
}

// RebootInstances restarts instances: their agents are gone for a while, and the tasks that
// ran on them have ended when they are back.
func (w *World) RebootInstances(in *RebootInstancesInput) (*RebootInstancesOutput, error) {
	list, err := w.changed("RebootInstances", in.InstanceIDs)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		if m.ending() {
			return nil, clientError("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be rebooted.", m.id)
		}
	}
	if in.DryRun {
		return nil, dryRun()
	}
	for _, m := range list {
		w.reboot(m)
	}
	return &RebootInstancesOutput{Return: true}, nil
}

// reboot restarts a running instance; another one is left alone.
func (w *World) reboot(m *instance) {
	if h := m.host; m.state == machineRunning && h != nil {
		w.setConnected(h, false)
		back := w.delay(w.cfg.Delays.Halt, "reboot", m.id) + w.bootDelay(m)
		w.in(back, agentBack{h})
		w.in(back, tasksGone{h})
	}
}

// tasksGone is when an agent comes back after its instance restarted: the containers that
// it knew have ended.
type tasksGone struct{ h *containerInstance }

func (e tasksGone) happen(w *World) {
	if e.h.machine.state != machineRunning {
		return
	}
	for _, t := range slices.Clone(e.h.tasks) {
		w.lose(t, stopExited, "Essential container in task exited")
	}
}

// ModifyInstanceAttribute changes one attribute of an instance.
func (w *World) ModifyInstanceAttribute(in *ModifyInstanceAttributeInput) (*ModifyInstanceAttributeOutput, error) {
	list, err := w.changed("ModifyInstanceAttribute", []string{in.InstanceID})
	if err != nil {
		return nil, err
	}
	m, ask := list[0], *in
	if err := ask.byName(); err != nil {
		return nil, err
	}
	var kind *instanceType
	var userData string
	if ask.InstanceType != nil || ask.UserData != nil {
		if m.state != machineStopped {
			return nil, clientError("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", m.id)
		}
	}
	if ask.InstanceType != nil {
		if kind = w.typeNamed[ask.InstanceType.Value]; kind == nil || kind.arm != m.kind.arm || !slices.Contains(kind.zones, m.subnet.Zone) {
			return nil, clientError("InvalidInstanceAttributeValue", "The instance type '%s' does not exist, or does not fit the instance", clip(ask.InstanceType.Value))
		}
	}
	if ask.UserData != nil {
		if userData, err = decodeUserData(ask.UserData.Value); err != nil {
			return nil, err
		}
	}
	groups, err := w.securityGroups(ask.Groups, nil)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	if ask.DisableAPITermination != nil {
		m.protected = ask.DisableAPITermination.Value
	}
	if ask.DisableAPIStop != nil {
		m.held = ask.DisableAPIStop.Value
	}
	if kind != nil {
		m.kind = kind
	}
	if ask.UserData != nil {
		m.userData = userData
	}
	if len(ask.Groups) > 0 {
		m.groups = groups
	}
	return &ModifyInstanceAttributeOutput{Return: true}, nil
}

// byName reads an attribute that is given by its name and value.
func (in *ModifyInstanceAttributeInput) byName() error {
	switch in.Attribute {
	case "":
	case "disableApiTermination":
		in.DisableAPITermination = &AttributeBoolean{in.Value == "true"}
	case "disableApiStop":
		in.DisableAPIStop = &AttributeBoolean{in.Value == "true"}
	case "instanceType":
		in.InstanceType = &AttributeText{in.Value}
	case "userData":
		in.UserData = &AttributeText{in.Value}
	default:
		return clientError("InvalidParameterValue", "The simulated EC2 does not change the attribute %q", clip(in.Attribute))
	}
	return nil
}

// ModifyInstanceMetadataOptions changes how an instance may read its metadata.
func (w *World) ModifyInstanceMetadataOptions(in *ModifyInstanceMetadataOptionsInput) (*ModifyInstanceMetadataOptionsOutput, error) {
	list, err := w.changed("ModifyInstanceMetadataOptions", []string{in.InstanceID})
	if err != nil {
		return nil, err
	}
	m, next := list[0], MetadataOptions{
		HTTPTokens: in.HTTPTokens, HTTPPutResponseHopLimit: in.HTTPPutResponseHopLimit, HTTPEndpoint: in.HTTPEndpoint,
		HTTPProtocolIPv6: in.HTTPProtocolIPv6, InstanceMetadataTags: in.InstanceMetadataTags,
	}
	if m.ending() {
		return nil, clientError("IncorrectInstanceState", "The instance '%s' is not in a valid state for this operation", m.id)
	}
	if err := next.check(); err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	m.metadata = next.over(m.metadata)
	return &ModifyInstanceMetadataOptionsOutput{InstanceID: m.id, InstanceMetadataOptions: m.metadata.over(usualMetadata)}, nil
}

// usualMetadata are the options of instances of images that ask for IMDSv2, as those for
// ECS do.
var usualMetadata = MetadataOptions{
	State: "applied", HTTPTokens: "required", HTTPPutResponseHopLimit: 2, HTTPEndpoint: "enabled", HTTPProtocolIPv6: "disabled", InstanceMetadataTags: "disabled",
}

func (o MetadataOptions) check() error {
	const mostHops = 64
	switches := []string{"", "enabled", "disabled"}
	switch {
	case !slices.Contains([]string{"", "optional", "required"}, o.HTTPTokens):
		return clientError("InvalidParameterValue", "Value (%s) for parameter HttpTokens is invalid. Valid values: optional, required", clip(o.HTTPTokens))
	case !slices.Contains(switches, o.HTTPEndpoint), !slices.Contains(switches, o.HTTPProtocolIPv6), !slices.Contains(switches, o.InstanceMetadataTags):
		return clientError("InvalidParameterValue", "HttpEndpoint, HttpProtocolIpv6 and InstanceMetadataTags must be enabled or disabled")
	case o.HTTPPutResponseHopLimit < 0 || o.HTTPPutResponseHopLimit > mostHops:
		return clientError("InvalidParameterValue", "Value (%d) for parameter HttpPutResponseHopLimit is invalid. Expecting a value between 1 and %d.", o.HTTPPutResponseHopLimit, mostHops)
	}
	return nil
}

// over is o with what it leaves open taken from usual.
func (o MetadataOptions) over(usual MetadataOptions) MetadataOptions {
	for _, f := range []struct{ to, from *string }{
		{&usual.HTTPTokens, &o.HTTPTokens},
		{&usual.HTTPEndpoint, &o.HTTPEndpoint},
		{&usual.HTTPProtocolIPv6, &o.HTTPProtocolIPv6},
		{&usual.InstanceMetadataTags, &o.InstanceMetadataTags},
	} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	if o.HTTPPutResponseHopLimit > 0 {
		usual.HTTPPutResponseHopLimit = o.HTTPPutResponseHopLimit
	}
	return usual
}

// StopInstance stops an instance as a person would with the console.
func (w *World) StopInstance(id fleet.InstanceID) error {
	if _, err := w.StopInstances(&StopInstancesInput{InstanceIDs: []string{string(id)}}); err != nil {
		return fmt.Errorf("stop instance: %w", err)
	}
	return nil
}

// StartInstance starts a stopped instance as a person would with the console.
func (w *World) StartInstance(id fleet.InstanceID) error {
	if _, err := w.StartInstances(&StartInstancesInput{InstanceIDs: []string{string(id)}}); err != nil {
		return fmt.Errorf("start instance: %w", err)
	}
	return nil
}
