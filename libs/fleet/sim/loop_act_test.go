package sim_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/drain"
	"github.com/neap-project/neap/libs/fleet/outcome"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// hand carries out actions: launches at once, removals step by step.
type hand struct {
	t         *testing.T
	w         *sim.World
	cluster   string
	eye       *eye
	templates map[string]string // by spec and lifecycle
	removals  map[fleet.ActionID]*removal
	told      []fleet.Outcome
}

// removal is a drain, a restore or a reap under way.
type removal struct {
	plan   fleet.PlanID
	action fleet.Action
	state  drain.State
}

func newHand(t *testing.T, w *sim.World, cluster string, e *eye) *hand {
	return &hand{t: t, w: w, cluster: cluster, eye: e, templates: map[string]string{}, removals: map[fleet.ActionID]*removal{}}
}

// take begins an action.
func (h *hand) take(p *fleet.Plan, a *fleet.Action) {
	if a.Launch != nil {
		h.launch(p, a)
		return
	}
	if a.Restore != nil {
		if r := h.removals[a.Restore.Drain]; r != nil {
			h.step(r, drain.Cancel{Now: h.w.Now(), Why: "the room is needed"})
		}
	}
	h.removals[a.ID] = &removal{plan: p.ID, action: *a}
}

// launch asks for a fleet, from a template that joins the cluster.
func (h *hand) launch(p *fleet.Plan, a *fleet.Action) {
	l := a.Launch
	key := string(l.Spec.Name) + " " + string(l.Lifecycle)
	if h.templates[key] == "" {
		out := must(h.w.CreateLaunchTemplate(&sim.CreateLaunchTemplateInput{
			LaunchTemplateName: strings.ReplaceAll(key, " ", "-"), LaunchTemplateData: sim.RequestLaunchTemplateData{UserData: h.userData(l)},
		}))(h.t)
		h.templates[key] = out.LaunchTemplate.LaunchTemplateID
	}
	config := sim.FleetLaunchTemplateConfig{LaunchTemplateSpecification: sim.LaunchTemplateSpecification{LaunchTemplateID: h.templates[key], Version: "$Latest"}}
	for _, o := range l.Offerings {
		config.Overrides = append(config.Overrides, sim.FleetOverride{InstanceType: string(o.Type), SubnetID: string(o.Subnet), ImageID: string(o.ImageID)})
	}
	in := &sim.CreateFleetInput{
		Type: "instant", ClientToken: string(a.ID), LaunchTemplateConfigs: []sim.FleetLaunchTemplateConfig{config},
		SpotOptions: sim.FleetOptions{AllocationStrategy: "price-capacity-optimized"}, OnDemandOptions: sim.FleetOptions{AllocationStrategy: "lowest-price"},
		TargetCapacitySpecification: sim.TargetCapacitySpecification{TotalTargetCapacity: l.Count, DefaultTargetCapacityType: string(l.Lifecycle)},
		TagSpecifications: []sim.TagSpecification{{ResourceType: "instance", Tags: []sim.Tag{
			{Key: fleet.TagOwner, Value: "neap"},
			{Key: fleet.TagCluster, Value: h.cluster},
			{Key: fleet.TagAction, Value: string(a.ID)},
			{Key: fleet.TagLaunchSpec, Value: string(l.Spec.Name)},
		}}},
	}
	o := fleet.Outcome{
		Cluster: p.Cluster, Generation: p.Generation, Plan: p.ID, Action: a.ID, Kind: a.Kind, Phase: fleet.PhaseFinal, Step: "launch", At: h.w.Now(),
	}
	out, err := h.w.CreateFleet(in)
	if err != nil {
		o.Class, o.Message = fleet.FailureInvalid, err.Error()
		h.t.Errorf("launch %s: %v", a.ID, err)
	} else {
		for _, made := range out.Instances {
			over := made.LaunchTemplateAndOverrides.Overrides
			for _, id := range made.InstanceIDs {
				o.Instances = append(o.Instances, fleet.LaunchedInstance{
					ID: fleet.InstanceID(id), Type: fleet.TypeName(made.InstanceType), Zone: fleet.Zone(over.AvailabilityZone), Lifecycle: l.Lifecycle,
				})
			}
		}
		for _, failed := range out.Errors {
			over := failed.LaunchTemplateAndOverrides.Overrides
			for _, offering := range l.Offerings {
				if string(offering.Type) == over.InstanceType && string(offering.Subnet) == over.SubnetID {
					class := fleet.FailureCapacity
					if failed.ErrorCode == "InsufficientFreeAddressesInSubnet" {
						class = fleet.FailureQuota
					}
					o.Failures = append(o.Failures, fleet.OfferingFailure{Offering: offering.Key(), Class: class, Code: failed.ErrorCode})
				}
			}
		}
		if len(o.Instances) == 0 {
			o.Class, o.Message = fleet.FailureCapacity, "no offering has capacity"
		}
	}
	h.told = append(h.told, o)
}

func (h *hand) userData(l *fleet.Launch) string {
	alias := map[fleet.Lifecycle]string{fleet.Spot: "spot", fleet.OnDemand: "od"}[l.Lifecycle]
	values := map[string]string{fleet.AttributeLifecycle: string(l.Lifecycle), fleet.AttributeLaunchSpec: string(l.Spec.Name), fleet.AttributeLifecycleAlias: alias}
	maps.Copy(values, l.Spec.Attributes)
	text := "#!/bin/bash\ncat <<'EOF' >> /etc/ecs/ecs.config\nECS_CLUSTER=" + h.cluster + "\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n" +
		"ECS_INSTANCE_ATTRIBUTES=" + string(must(json.Marshal(values))(h.t)) + "\nEOF\n"
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// work moves every removal on as far as it goes now.
func (h *hand) work() {
	for _, id := range sorted(h.removals) {
		r := h.removals[id]
		h.step(r, drain.Tick{Now: h.w.Now()})
		if r.state.Over() {
			delete(h.removals, id)
		}
	}
}

// step feeds an event to a removal and performs what comes of it.
func (h *hand) step(r *removal, e drain.Event) {
	events := []drain.Event{e}
	for n := 0; len(events) > 0; n++ {
		if n > 100 {
			h.t.Fatalf("removal %s goes round in circles: %+v", r.action.ID, r.state)
		}
		var effects []drain.Effect
		r.state, effects = drain.Step(&r.action, r.state, events[0])
		events = events[1:]
		for _, effect := range effects {
			if next := h.perform(r, effect); next != nil {
				events = append(events, next)
			}
		}
	}
}

func (h *hand) perform(r *removal, effect drain.Effect) drain.Event {
	id, _ := r.action.Target()
	ci := h.containerInstance(id)
	done := drain.Did{Now: h.w.Now(), What: effect}
	var err error
	switch effect := effect.(type) {
	case drain.Look:
		return h.view(id)
	case drain.Report:
		h.told = append(h.told, fleet.Outcome{
			Cluster: fleet.ClusterName(h.cluster), Generation: 1, Plan: r.plan, Action: r.action.ID, Kind: r.action.Kind, Phase: effect.Phase,
			Step: effect.Step, At: h.w.Now(), Class: effect.Class, Message: effect.Message,
		})
		return nil
	case drain.SetDraining:
		must(h.w.CreateTags(&sim.CreateTagsInput{Resources: []string{string(id)}, Tags: []sim.Tag{{Key: fleet.TagDrain, Value: string(r.action.ID)}}}))(h.t)
		_, err = h.w.UpdateContainerInstancesState(&sim.UpdateContainerInstancesStateInput{Cluster: h.cluster, ContainerInstances: []string{ci.ContainerInstanceArn}, Status: "DRAINING"})
	case drain.SetActive:
		_, err = h.w.UpdateContainerInstancesState(&sim.UpdateContainerInstancesStateInput{Cluster: h.cluster, ContainerInstances: []string{ci.ContainerInstanceArn}, Status: "ACTIVE"})
		must(h.w.DeleteTags(&sim.DeleteTagsInput{Resources: []string{string(id)}, Tags: []sim.Tag{{Key: fleet.TagDrain}}}))(h.t)
	case drain.StopTasks:
		for _, task := range effect.Tasks {
			_, e := h.w.StopTask(&sim.StopTaskInput{Cluster: h.cluster, Task: task, Reason: "drain"})
			err = errors.Join(err, e)
		}
	case drain.Deregister:
		_, err = h.w.DeregisterContainerInstance(&sim.DeregisterContainerInstanceInput{Cluster: h.cluster, ContainerInstance: ci.ContainerInstanceArn})
		if known := (*sim.Error)(nil); errors.As(err, &known) && known.Code == "InvalidParameterException" {
			done.Busy, err = true, nil
		}
	case drain.Terminate:
		_, err = h.w.TerminateInstances(&sim.TerminateInstancesInput{InstanceIDs: []string{string(id)}})
	}
	if err != nil {
		done.Class, done.Message = fleet.FailureUnknown, err.Error()
	}
	return done
}

// containerInstance finds the container instance of a machine; without one it is empty.
func (h *hand) containerInstance(id fleet.InstanceID) sim.ContainerInstance {
	list := must(h.w.ListContainerInstances(&sim.ListContainerInstancesInput{Cluster: h.cluster, Filter: "ec2InstanceId == " + string(id)}))(h.t)
	if len(list.ContainerInstanceArns) == 0 {
		return sim.ContainerInstance{}
	}
	return must(h.w.DescribeContainerInstances(&sim.DescribeContainerInstancesInput{Cluster: h.cluster, ContainerInstances: list.ContainerInstanceArns}))(h.t).ContainerInstances[0]
}

// view reads an instance and its tasks freshly.
func (h *hand) view(id fleet.InstanceID) drain.Viewed {
	v := drain.Viewed{Now: h.w.Now(), View: drain.View{Instance: id, Status: fleet.StatusLaunching, Complete: true}}
	out, err := h.w.DescribeInstances(&sim.DescribeInstancesInput{InstanceIDs: []string{string(id)}})
	if err != nil {
		v.Missing = true
		return v
	}
	machine := out.Reservations[0].Instances[0]
	v.Gone = machine.State.Name == "shutting-down" || machine.State.Name == "terminated"
	for _, tag := range machine.Tags {
		switch tag.Key {
		case fleet.TagOwner:
			v.View.Ours = tag.Value == "neap"
		case fleet.TagDrain:
			v.View.DrainTag = fleet.ActionID(tag.Value)
		}
	}
	ci := h.containerInstance(id)
	if ci.ContainerInstanceArn == "" || v.Gone {
		return v
	}
	v.View.ContainerInstance = fleet.ContainerInstanceID(lastOf(ci.ContainerInstanceArn))
	v.View.Status, v.View.AgentConnected = fleet.InstanceStatus(strings.ToLower(ci.Status)), ci.AgentConnected
	daemons := h.daemons()
	for _, desired := range []string{"RUNNING", "STOPPED"} {
		list := must(h.w.ListTasks(&sim.ListTasksInput{Cluster: h.cluster, ContainerInstance: ci.ContainerInstanceArn, DesiredStatus: desired}))(h.t)
		if len(list.TaskArns) == 0 {
			continue
		}
		for _, t := range h.eye.tasks(list.TaskArns) {
			service, ofService := strings.CutPrefix(t.Group, "service:")
			v.View.Tasks = append(v.View.Tasks, drain.Task{
				ID: t.ARN, What: t.Group + " " + lastOf(t.TaskDefinition), Stopping: t.DesiredStatus == "STOPPED", Daemon: daemons[service],
				Standalone: !ofService, Protected: t.Protected,
			})
		}
	}
	return v
}

func (h *hand) daemons() map[string]bool {
	daemons := map[string]bool{}
	list := must(h.w.ListServices(&sim.ListServicesInput{Cluster: h.cluster, SchedulingStrategy: "DAEMON", MaxResults: 100}))(h.t)
	for _, arn := range list.ServiceArns {
		daemons[lastOf(arn)] = true
	}
	return daemons
}

// fold tells the memory what was done since it was asked last.
func (h *hand) fold(mem fleet.Memory) fleet.Memory {
	for i := range h.told {
		mem = outcome.Fold(mem, &h.told[i])
	}
	h.told = nil
	return mem
}

func lastOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// sorted are the keys of a map in order.
func sorted[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
