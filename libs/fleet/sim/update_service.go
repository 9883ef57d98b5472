package sim

import (
	"cmp"
	"reflect"
	"slices"
)

// deploy begins a new deployment.
func (w *World) deploy(s *service, k *kind) {
	d := &deployment{
		id: "ecs-svc/" + w.hex("deployment", 19), definition: s.definition, kind: k, primary: true,
		createdAt: w.now, updatedAt: w.now, rollout: rolloutInProgress,
	}
	d.reason = "ECS deployment " + d.id + " in progress."
	d.revision = w.revise(s)
	for _, old := range s.deployments {
		old.primary = false
		old.updatedAt = w.now
	}
	w.rollOut(s, d, s.deployments)
	s.deployments = append([]*deployment{d}, s.deployments...)
	w.restart(s)
	w.tellDeployment(s, d, "SERVICE_DEPLOYMENT_IN_PROGRESS", "INFO")
}

// UpdateService changes a service. A new task definition, network or load balancer, or
// ForceNewDeployment, begins a new deployment; nothing else does, and rules for placement
// are for tasks that start from now on.
func (w *World) UpdateService(in *UpdateServiceInput) (*UpdateServiceOutput, error) {
	s, err := w.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if s.status != statusActive {
		return nil, clientError(codeNotActive, "Service was not ACTIVE.")
	}
	next, err := w.updated(s, in)
	if err != nil {
		return nil, err
	}
	kind, err := w.kindOf(s.cluster, next.definition, next.request())
	if err != nil {
		return nil, err
	}
	grown := next.desired > s.desired
	deploys := in.ForceNewDeployment || next.definition != s.deployments[0].definition ||
		!reflect.DeepEqual(next.network, s.network) || !slices.Equal(next.balancers, s.balancers)
	*s = *next
	switch {
	case deploys:
		w.deploy(s, kind)
	default:
		d := s.deployments[0]
		d.kind, d.updatedAt = kind, w.now
		if grown && s.throttle == 0 { // the scheduler tries at once, but where it backed off it does so again
			s.nextTry = w.now
		}
		s.steady = false
		w.wake(s, 0)
	}
	return &UpdateServiceOutput{Service: s.describe(true)}, nil
}

// updated is a service as an update would make it, or why it would not.
func (w *World) updated(s *service, in *UpdateServiceInput) (*service, error) {
	next := *s
	if in.TaskDefinition != "" {
		d, err := w.activeDefinition(in.TaskDefinition)
		if err != nil {
			return nil, err
		}
		next.definition = d
	}
	if in.DesiredCount != nil {
		if s.scheduling == strategyDaemon {
			return nil, invalid("The daemon scheduling strategy does not support a desired count for services. Remove a desired count value and try again.")
		}
		next.desired = *in.DesiredCount
	}
	if c := in.DeploymentController; c != nil && c.Type != "" && c.Type != s.controller {
		return nil, clientError("UnsupportedFeatureException", "The simulated ECS deploys by itself only, not by %.40s.", c.Type)
	}
	next.take(in)
	if in.CapacityProviderStrategy != nil {
		next.providers, next.launchType = slices.Clone(in.CapacityProviderStrategy), ""
		if len(next.providers) == 0 {
			next.launchType = "EC2"
		}
		if err := w.checkProviders(s.cluster, next.providers); err != nil {
			return nil, err
		}
	}
	if err := next.bound(in.DeploymentConfiguration); err != nil {
		return nil, err
	}
	return &next, next.checkRules(in.AvailabilityZoneRebalancing)
}

// take takes over the fields of a request that are there.
func (s *service) take(in *UpdateServiceInput) {
	if in.PlacementConstraints != nil {
		s.constraints = slices.Clone(*in.PlacementConstraints)
	}
	if in.PlacementStrategy != nil {
		s.strategy = slices.Clone(*in.PlacementStrategy)
	}
	if in.NetworkConfiguration != nil {
		s.network = in.NetworkConfiguration
	}
	if in.LoadBalancers != nil {
		s.balancers = slices.Clone(*in.LoadBalancers)
	}
	if in.HealthCheckGracePeriodSeconds != nil {
		s.grace = *in.HealthCheckGracePeriodSeconds
	}
	if in.EnableECSManagedTags != nil {
		s.managedTags = *in.EnableECSManagedTags
	}
	if in.EnableExecuteCommand != nil {
		s.execute = *in.EnableExecuteCommand
	}
	s.propagate = cmp.Or(in.PropagateTags, s.propagate)
}
