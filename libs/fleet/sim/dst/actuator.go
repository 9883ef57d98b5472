package dst

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/action"
	"github.com/neap-project/neap/libs/fleet/execute"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// installation is the owner tag of what is launched.
const installation = "neap"

// actuator turns the effects of launches into calls.
type actuator struct{ s *system }

func (a *actuator) perform(ctx context.Context, job execute.Job, effect action.Effect) (action.Event, error) {
	s := a.s
	switch e := effect.(type) {
	case action.Freeze:
		return a.freeze(ctx, job)
	case action.Send:
		return a.send(job, e.Request)
	case action.Find:
		found, err := call(s, "ec2:DescribeInstances", func() ([]fleet.LaunchedInstance, error) {
			return s.launchedBy(job.Action.ID, job.Action.Launch.Lifecycle), nil
		})
		if s.hit("F10") {
			found = nil
		}
		return action.Found{Now: s.now, Instances: found, Complete: true}, err
	case action.Look:
		type both struct {
			registered []action.Registered
			gone       []fleet.InstanceID
		}
		got, err := call(s, "ecs:DescribeContainerInstances", func() (both, error) {
			registered, gone := s.look(e.Instances)
			return both{registered, gone}, nil
		})
		return action.Looked{Now: s.now, Registered: got.registered, Gone: got.gone}, err
	case action.Stamp:
		_, err := mutate(s, "ecs:PutAttributes", job, e.Instance, func() (*sim.PutAttributesOutput, error) {
			return s.world.PutAttributes(&sim.PutAttributesInput{Cluster: cluster, Attributes: []sim.Attribute{
				{Name: fleet.AttributeLaunchSpec, Value: string(job.Action.Launch.Spec.Name), TargetType: "container-instance", TargetID: string(e.ContainerInstance)},
			}})
		})
		return action.Stamped{Now: s.now, Instance: e.Instance}, err
	}
	panic(fmt.Sprintf("dst: effect %T is not performed", effect))
}

// freeze makes the request if the cluster may grow by so much.
func (a *actuator) freeze(ctx context.Context, job execute.Job) (action.Event, error) {
	s := a.s
	if !s.check.launching() && s.hit("F27") {
		s.lower(job.Action.Launch.Count)
	}
	s.check.actions[job.Action.ID].begunAt = s.now
	policy, _, err := control{s.bus}.Policy(ctx, cluster)
	if err != nil {
		return nil, err
	}
	live, err := call(s, "ec2:DescribeInstances", func() (int, error) { return s.owned(), nil })
	if err != nil {
		return nil, err
	}
	records, err := execute.Records(ctx, ledger{s.bus}, cluster, fleet.ActionLaunch)
	if err != nil {
		return nil, err
	}
	why, err := execute.BeyondLimit(job.Action.Launch.Count, live, policy.Limits.MaxInstances, records, job.Action.ID, s.now)
	if err != nil {
		return nil, err
	}
	if why != "" {
		return action.Frozen{Now: s.now, Class: fleet.FailureStale, Message: why}, nil
	}
	request, err := json.Marshal(a.request(job)) //nolint:gosec // a client token is no secret
	return action.Frozen{Now: s.now, Request: request, Class: classOf(err), Message: text(err)}, nil
}

// request is the launch with nothing left to decide.
func (a *actuator) request(job execute.Job) *sim.CreateFleetInput {
	l := job.Action.Launch
	config := sim.FleetLaunchTemplateConfig{LaunchTemplateSpecification: sim.LaunchTemplateSpecification{LaunchTemplateID: a.s.template(l), Version: "$Latest"}}
	for _, o := range l.Offerings {
		config.Overrides = append(config.Overrides, sim.FleetOverride{InstanceType: string(o.Type), SubnetID: string(o.Subnet), ImageID: string(o.ImageID)})
	}
	tags := []sim.Tag{
		{Key: fleet.TagOwner, Value: installation},
		{Key: fleet.TagCluster, Value: cluster},
		{Key: fleet.TagAction, Value: string(job.Action.ID)},
		{Key: fleet.TagPlan, Value: string(job.Plan)},
		{Key: fleet.TagLaunchSpec, Value: string(l.Spec.Name)},
		{Key: fleet.TagGeneration, Value: fmt.Sprint(job.Generation)},
	}
	return &sim.CreateFleetInput{
		Type: "instant", ClientToken: string(job.Action.ID), LaunchTemplateConfigs: []sim.FleetLaunchTemplateConfig{config},
		SpotOptions: sim.FleetOptions{AllocationStrategy: "price-capacity-optimized"}, OnDemandOptions: sim.FleetOptions{AllocationStrategy: "lowest-price"},
		TargetCapacitySpecification: sim.TargetCapacitySpecification{TotalTargetCapacity: l.Count, DefaultTargetCapacityType: string(l.Lifecycle)},
		TagSpecifications:           []sim.TagSpecification{{ResourceType: "instance", Tags: tags}},
	}
}

// send sends exactly the bytes that were frozen.
func (a *actuator) send(job execute.Job, request []byte) (action.Event, error) {
	s, l := a.s, job.Action.Launch
	var in sim.CreateFleetInput
	if err := json.Unmarshal(request, &in); err != nil {
		return nil, err
	}
	out, err := mutate(s, "ec2:CreateFleet", job, "", func() (*sim.CreateFleetOutput, error) { return s.world.CreateFleet(&in) })
	if err != nil && strings.Contains(err.Error(), "IdempotentParameterMismatch") {
		s.check.violate("S1", "launch %s was sent with one token and other bytes", job.Action.ID.Short())
	}
	sent := action.Sent{Now: s.now, Class: classOf(err), Message: text(err)}
	if err != nil {
		return sent, nil //nolint:nilerr // the event says it
	}
	for _, made := range out.Instances {
		over := made.LaunchTemplateAndOverrides.Overrides
		for _, id := range made.InstanceIDs {
			sent.Instances = append(sent.Instances, fleet.LaunchedInstance{
				ID: fleet.InstanceID(id), Type: fleet.TypeName(made.InstanceType), Zone: fleet.Zone(over.AvailabilityZone), Lifecycle: l.Lifecycle,
			})
		}
	}
	if len(sent.Instances) < l.Count {
		s.count("F37")
	}
	for _, failed := range out.Errors {
		over := failed.LaunchTemplateAndOverrides.Overrides
		for _, o := range l.Offerings {
			if string(o.Type) == over.InstanceType && string(o.Subnet) == over.SubnetID {
				class := fleet.FailureCapacity
				if strings.Contains(failed.ErrorCode, "LimitExceeded") || strings.Contains(failed.ErrorCode, "Addresses") {
					class = fleet.FailureQuota
				}
				sent.Failures = append(sent.Failures, fleet.OfferingFailure{Offering: o.Key(), Class: class, Code: failed.ErrorCode})
			}
		}
	}
	return sent, nil
}

// template makes the launch template of a launch, once.
func (s *system) template(l *fleet.Launch) string {
	key, data := string(l.Spec.Name)+"-"+string(l.Lifecycle), userData(l)
	if s.open("F48") { // an image that does not heed them: the attributes are left to PutAttributes
		key, data = key+"-bare", bareUserData
	}
	if s.templates[key] == "" {
		out := must(s.world.CreateLaunchTemplate(&sim.CreateLaunchTemplateInput{
			LaunchTemplateName: key, LaunchTemplateData: sim.RequestLaunchTemplateData{UserData: data},
		}))
		s.templates[key] = out.LaunchTemplate.LaunchTemplateID
	}
	return s.templates[key]
}

// bareUserData has an instance join the cluster, and no more.
var bareUserData = base64.StdEncoding.EncodeToString([]byte("#!/bin/bash\necho ECS_CLUSTER=" + cluster + " >> /etc/ecs/ecs.config\n"))

func userData(l *fleet.Launch) string {
	alias := map[fleet.Lifecycle]string{fleet.Spot: "spot", fleet.OnDemand: "od"}[l.Lifecycle]
	values := map[string]string{fleet.AttributeLifecycle: string(l.Lifecycle), fleet.AttributeLaunchSpec: string(l.Spec.Name), fleet.AttributeLifecycleAlias: alias}
	maps.Copy(values, l.Spec.Attributes)
	text := "#!/bin/bash\ncat <<'EOF' >> /etc/ecs/ecs.config\nECS_CLUSTER=" + cluster + "\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n" +
		"ECS_INSTANCE_ATTRIBUTES=" + string(must(json.Marshal(values))) + "\nEOF\n"
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// launchedBy are the instances that carry the tag of an action, as EC2 shows them.
func (s *system) launchedBy(id fleet.ActionID, lifecycle fleet.Lifecycle) []fleet.LaunchedInstance {
	var found []fleet.LaunchedInstance
	for _, m := range s.eye.machines() {
		if tagOf(m.Tags, fleet.TagAction) == string(id) {
			found = append(found, fleet.LaunchedInstance{ID: fleet.InstanceID(m.ID), Type: fleet.TypeName(m.Type), Zone: fleet.Zone(m.Zone), Lifecycle: lifecycle})
		}
	}
	return found
}

// owned counts the instances of the installation that have not ended, as EC2 shows them.
func (s *system) owned() int {
	n := 0
	for _, m := range s.eye.machines() {
		if tagOf(m.Tags, fleet.TagOwner) == installation && !slices.Contains(ended, m.State) {
			n++
		}
	}
	return n
}

var ended = []string{"shutting-down", "terminated"}

// look tells which instances have joined the cluster and which have ended.
func (s *system) look(ids []fleet.InstanceID) (registered []action.Registered, gone []fleet.InstanceID) {
	for _, ci := range s.eye.containerInstances() {
		if slices.Contains(ids, fleet.InstanceID(ci.EC2InstanceID)) && (ci.Status == "ACTIVE" || ci.Status == "DRAINING") {
			has := slices.ContainsFunc(ci.Attributes, func(a fleet.Attribute) bool { return a.Name == fleet.AttributeLaunchSpec })
			registered = append(registered, action.Registered{
				Instance: fleet.InstanceID(ci.EC2InstanceID), ContainerInstance: fleet.ContainerInstanceID(lastOf(ci.ARN)), Attributes: has,
			})
		}
	}
	for _, m := range s.eye.machines() {
		if slices.Contains(ids, fleet.InstanceID(m.ID)) && slices.Contains(ended, m.State) {
			gone = append(gone, fleet.InstanceID(m.ID))
		}
	}
	return registered, gone
}
