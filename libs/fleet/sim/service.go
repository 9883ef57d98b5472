package sim

import (
	"cmp"
	"slices"
	"time"
)

// The scheduling strategies of services.
const (
	strategyReplica = "REPLICA"
	strategyDaemon  = "DAEMON"
)

// service is an ECS service.
type service struct {
	seq       uint64
	name, arn string
	cluster   *cluster
	status    string
	createdAt time.Time

	desired     int
	definition  *taskDefinition
	constraints []PlacementConstraint
	strategy    []PlacementStrategy
	network     *NetworkConfiguration
	balancers   []LoadBalancer
	scheduling  string
	controller  string
	launchType  string
	providers   []CapacityProviderStrategyItem
	rebalancing string
	grace       int
	execute     bool
	minPercent  int
	maxPercent  int
	breaker     *DeploymentCircuitBreaker
	managedTags bool
	propagate   string
	tags        []Tag

	deployments      []*deployment // the PRIMARY one first
	events           []ServiceEvent
	running, pending int

	active   []*task // that should be running, in the order they came
	taskRoll roll[*task]
	onHost   map[*containerInstance]*task // of a daemon service
	inZone   map[string]int               // active tasks

	scheduler
	rebalances rebalances

	rollouts  []rollout         // service deployments, the newest last
	revisions []ServiceRevision // the newest last
	revised   int               // revisions so far
	completed *deployment       // the last one that was completed; nil is none
}

// scheduler is where the service scheduler stands with a service.
type scheduler struct {
	wakeAt   time.Time // when it looks at the service next; zero is not at all
	attempts int       // placements that failed in a row
	backoff  time.Duration
	nextTry  time.Time // no placement before
	told     map[string]time.Time
	steady   bool
	launched int // tasks started in the present minute
	minute   time.Time
	failures int           // tasks in a row that did not reach RUNNING
	throttle time.Duration // how long it waits for that
}

// deployment is one deployment of a service.
type deployment struct {
	id         string
	definition *taskDefinition
	kind       *kind
	primary    bool
	createdAt  time.Time
	updatedAt  time.Time
	rollout    string
	reason     string
	revision   string // its ARN

	running, pending, failed int
}

// The states of a rollout.
const (
	rolloutInProgress = "IN_PROGRESS"
	rolloutCompleted  = "COMPLETED"
	rolloutFailed     = "FAILED"
)

func (s *service) order() uint64 { return s.seq }
func (s *service) gone() bool    { return s.status == statusInactive }

// CreateService makes a service and its first deployment.
func (w *World) CreateService(in *CreateServiceInput) (*CreateServiceOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	s := &service{
		name: in.ServiceName, cluster: c, status: statusActive, createdAt: w.now,
		constraints: slices.Clone(in.PlacementConstraints), strategy: slices.Clone(in.PlacementStrategy),
		network: in.NetworkConfiguration, balancers: slices.Clone(in.LoadBalancers),
		scheduling: cmp.Or(in.SchedulingStrategy, strategyReplica), controller: "ECS",
		launchType: in.LaunchType, providers: slices.Clone(in.CapacityProviderStrategy),
		grace: in.HealthCheckGracePeriodSeconds, execute: in.EnableExecuteCommand,
		minPercent: 100, maxPercent: 200, managedTags: in.EnableECSManagedTags, propagate: in.PropagateTags,
		tags: sortedTags(in.Tags), onHost: map[*containerInstance]*task{}, inZone: map[string]int{},
		scheduler: scheduler{told: map[string]time.Time{}},
	}
	if s.definition, err = w.activeDefinition(in.TaskDefinition); err != nil {
		return nil, err
	}
	if err := s.configure(in); err != nil {
		return nil, err
	}
	if old := c.services[s.name]; old != nil {
		if old.status == statusDraining {
			return nil, invalid("Unable to Start a service that is still Draining.")
		}
		if in.ClientToken != "" && old.sameAs(s) {
			return &CreateServiceOutput{Service: old.describe(true)}, nil
		}
		return nil, invalid("Creation of service was not idempotent.")
	}
	if err := w.checkProviders(c, s.providers); err != nil {
		return nil, err
	}
	kind, err := w.kindOf(c, s.definition, s.request())
	if err != nil {
		return nil, err
	}
	s.seq, s.arn = w.next(), w.arn("ecs", "service/"+c.name+"/"+s.name)
	c.services[s.name] = s
	c.serviceRoll.add(s)
	if s.scheduling == strategyDaemon {
		c.daemons = append(c.daemons, s)
	}
	w.deploy(s, kind)
	return &CreateServiceOutput{Service: s.describe(true)}, nil
}

// configure checks a new service and fills in what its request leaves open.
func (s *service) configure(in *CreateServiceInput) error {
	if !namePattern.MatchString(s.name) {
		return invalid("Service name must match ^[a-zA-Z0-9\\-_]{1,255}$: %.100q", s.name)
	}
	switch s.launchType {
	case "", "EC2":
	default:
		return clientError("UnsupportedFeatureException", "The simulated ECS runs tasks on EC2 only, not on %.40s.", s.launchType)
	}
	if len(s.providers) > 0 && s.launchType != "" {
		return invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if in.DeploymentController != nil && in.DeploymentController.Type != "" {
		s.controller = in.DeploymentController.Type
	}
	if s.controller != "ECS" {
		return clientError("UnsupportedFeatureException", "The simulated ECS deploys by itself only, not by %.40s.", s.controller)
	}
	switch s.scheduling {
	case strategyReplica:
		if in.DesiredCount == nil {
			return invalid("DesiredCount must be specified for services with the REPLICA scheduling strategy.")
		}
		s.desired = *in.DesiredCount
	case strategyDaemon:
		if in.DesiredCount != nil && *in.DesiredCount != 0 {
			return invalid("The daemon scheduling strategy does not support a desired count for services. Remove a desired count value and try again.")
		}
		if len(s.strategy) > 0 {
			return invalid("The daemon scheduling strategy does not support placement strategies.")
		}
		s.minPercent, s.maxPercent = 0, 100
	default:
		return invalid("Invalid scheduling strategy %.40q: use REPLICA or DAEMON", s.scheduling)
	}
	if s.launchType == "" && len(s.providers) == 0 {
		s.launchType = "EC2"
		if len(s.cluster.strategy) > 0 {
			s.launchType, s.providers = "", slices.Clone(s.cluster.strategy)
		}
	}
	if err := s.bound(in.DeploymentConfiguration); err != nil {
		return err
	}
	return s.checkRules(in.AvailabilityZoneRebalancing)
}

// checkRules checks what a new or changed service says of placement, health and tags.
func (s *service) checkRules(rebalancing string) error {
	if err := checkConstraints(s.constraints, true); err != nil {
		return err
	}
	if err := checkStrategy(s.strategy); err != nil {
		return err
	}
	const longestGrace = 1<<31 - 1 // seconds
	switch {
	case s.grace < 0 || s.grace > longestGrace:
		return invalid("Health check grace period must be between 0 and %d seconds: %d", longestGrace, s.grace)
	case s.grace > 0 && len(s.balancers) == 0:
		return invalid("Health check grace period is only valid for services configured to use load balancers")
	case !slices.Contains([]string{"", "NONE", "SERVICE", "TASK_DEFINITION"}, s.propagate):
		return invalid("propagateTags should be one of [TASK_DEFINITION,SERVICE,NONE]")
	}
	for _, b := range s.balancers {
		if b.ContainerName != "" && !slices.ContainsFunc(s.definition.ContainerDefinitions, func(c ContainerDefinition) bool { return c.Name == b.ContainerName }) {
			return invalid("The container %.255s does not exist in the task definition.", b.ContainerName)
		}
	}
	if s.scheduling == strategyDaemon && len(s.strategy) > 0 {
		return invalid("The daemon scheduling strategy does not support placement strategies.")
	}
	return s.setRebalancing(rebalancing)
}

// bound takes over a deployment configuration and checks the result.
func (s *service) bound(d *DeploymentConfiguration) error {
	const mostTasks = 5000 // of one service
	if d != nil {
		if d.MinimumHealthyPercent != nil {
			s.minPercent = *d.MinimumHealthyPercent
		}
		if d.MaximumPercent != nil {
			s.maxPercent = *d.MaximumPercent
		}
		if d.DeploymentCircuitBreaker != nil {
			s.breaker = d.DeploymentCircuitBreaker
		}
		if err := checkBreaker(s.breaker); err != nil {
			return err
		}
	}
	switch {
	case s.desired < 0 || s.desired > mostTasks:
		return invalid("Invalid desired count %d: use 0 to %d", s.desired, mostTasks)
	case s.minPercent < 0 || s.minPercent > 200:
		return invalid("Invalid minimumHealthyPercent %d: use 0 to 100", s.minPercent)
	case s.maxPercent < 100 || s.maxPercent > 200:
		return invalid("maximumPercent must be between 100 and 200: %d", s.maxPercent)
	case s.scheduling == strategyDaemon && s.maxPercent != 100:
		return invalid("The daemon scheduling strategy does not support values above 100%% for maximumPercent")
	case s.minPercent >= 100 && s.maxPercent == 100:
		return invalid("The minimumHealthyPercent must be less than 100%% if the maximumPercent is 100%%.")
	}
	return nil
}

// sameAs reports whether a repeated creation asks for the same service.
func (s *service) sameAs(o *service) bool {
	return s.definition == o.definition && s.scheduling == o.scheduling && s.launchType == o.launchType
}

// request is what decides where tasks of the service may be placed.
func (s *service) request() request {
	r := request{Group: "service:" + s.name, Constraints: s.constraints, Strategy: s.strategy, Network: s.network}
	if best := heaviest(s.providers); best != "" {
		r.Provider = best
	}
	return r
}

// DeleteService ends a service: its tasks are stopped, and it is DRAINING until they have.
func (w *World) DeleteService(in *DeleteServiceInput) (*DeleteServiceOutput, error) {
	s, err := w.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if s.status != statusActive {
		return nil, clientError(codeNotActive, "Service was not ACTIVE.")
	}
	if s.desired > 0 && !in.Force {
		return nil, invalid("The service cannot be stopped while it is scaled above 0.")
	}
	s.status, s.desired = statusDraining, 0
	s.cluster.daemons = slices.DeleteFunc(s.cluster.daemons, func(d *service) bool { return d == s })
	for _, t := range slices.Clone(s.active) {
		w.stopTask(t, stopByScheduler, "Scaling activity initiated by ("+s.deployments[0].id+")")
	}
	w.stopAllWaiting(s, "Scaling activity initiated by ("+s.deployments[0].id+")")
	w.wake(s, 0)
	return &DeleteServiceOutput{Service: s.describe(true)}, nil
}

// finish makes a deleted service INACTIVE once its last task has ended.
func (w *World) finish(s *service) {
	for t := range s.taskRoll.all {
		if t.last != taskStopped {
			w.wake(s, time.Second)
			return
		}
	}
	s.status = statusInactive
	delete(s.cluster.services, s.name)
	s.cluster.serviceRoll.bury()
}

// ListServices lists the services of a cluster.
func (w *World) ListServices(in *ListServicesInput) (*ListServicesOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	list := "services/" + c.name
	after, limit, err := ecsPage(list, in.NextToken, in.MaxResults, 10, 100)
	if err != nil {
		return nil, err
	}
	page, next := c.serviceRoll.page(after, limit, func(s *service) bool {
		return (in.LaunchType == "" || in.LaunchType == s.launchType) && (in.SchedulingStrategy == "" || in.SchedulingStrategy == s.scheduling)
	})
	out := &ListServicesOutput{ServiceArns: []string{}, NextToken: token(list, next)}
	for _, s := range page {
		out.ServiceArns = append(out.ServiceArns, s.arn)
	}
	return out, nil
}

// DescribeServices describes up to 10 services.
func (w *World) DescribeServices(in *DescribeServicesInput) (*DescribeServicesOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Services) == 0 {
		return nil, invalid("Services cannot be empty.")
	}
	if len(in.Services) > 10 {
		return nil, invalid("Services cannot be more than 10: %d", len(in.Services))
	}
	out := &DescribeServicesOutput{Services: []Service{}, Failures: []Failure{}}
	for _, name := range in.Services {
		s := c.services[lastPart(name)]
		if s == nil || !c.owns(name) {
			out.Failures = append(out.Failures, Failure{Arn: w.arn("ecs", "service/"+c.name+"/"+lastPart(name)), Reason: "MISSING"})
			continue
		}
		out.Services = append(out.Services, s.describe(slices.Contains(in.Include, "TAGS")))
	}
	return out, nil
}

// service finds a service that is not INACTIVE.
func (w *World) service(clusterName, name string) (*service, error) {
	c, err := w.cluster(clusterName)
	if err != nil {
		return nil, err
	}
	if s := c.services[lastPart(name)]; s != nil && c.owns(name) {
		return s, nil
	}
	return nil, clientError(codeServiceNotFound, "Service not found.")
}

func (s *service) describe(withTags bool) Service {
	out := Service{
		ServiceArn: s.arn, ServiceName: s.name, ClusterArn: s.cluster.arn, LoadBalancers: orEmpty(s.balancers),
		Status: s.status, DesiredCount: s.desired, RunningCount: s.running, PendingCount: s.pending,
		LaunchType: s.launchType, CapacityProviderStrategy: s.providers, TaskDefinition: s.definition.TaskDefinitionArn,
		DeploymentConfiguration: s.deploymentConfiguration(), EnableExecuteCommand: s.execute,
		Deployments: []Deployment{}, CreatedAt: Timestamp{s.createdAt}, Events: slices.Clone(s.events),
		PlacementConstraints: orEmpty(s.constraints), PlacementStrategy: orEmpty(s.strategy),
		NetworkConfiguration: s.network, HealthCheckGracePeriodSeconds: s.grace, SchedulingStrategy: s.scheduling,
		DeploymentController: &DeploymentController{Type: s.controller}, AvailabilityZoneRebalancing: cmp.Or(s.rebalancing, rebalancingOff),
		EnableECSManagedTags: s.managedTags, PropagateTags: cmp.Or(s.propagate, "NONE"),
	}
	slices.Reverse(out.Events) // the newest first
	out.Events = orEmpty(out.Events)
	for _, d := range s.deployments {
		out.Deployments = append(out.Deployments, s.describeDeployment(d))
		out.CurrentServiceRevisions = append(out.CurrentServiceRevisions, s.progress(d.revision))
	}
	if len(s.rollouts) > 0 && !s.current().over() {
		out.CurrentServiceDeployment = s.current().shown.ServiceDeploymentArn
	}
	if withTags {
		out.Tags = orEmpty(slices.Clone(s.tags))
	}
	return out
}

func (s *service) deploymentConfiguration() *DeploymentConfiguration {
	minimum, maximum := s.minPercent, s.maxPercent
	return &DeploymentConfiguration{DeploymentCircuitBreaker: s.breaker, MaximumPercent: &maximum, MinimumHealthyPercent: &minimum}
}

func (s *service) describeDeployment(d *deployment) Deployment {
	out := Deployment{
		ID: d.id, Status: "ACTIVE", TaskDefinition: d.definition.TaskDefinitionArn, DesiredCount: d.running + d.pending,
		PendingCount: d.pending, RunningCount: d.running, FailedTasks: d.failed, CreatedAt: Timestamp{d.createdAt},
		UpdatedAt: Timestamp{d.updatedAt}, CapacityProviderStrategy: s.providers, LaunchType: s.launchType,
		NetworkConfiguration: s.network, RolloutState: d.rollout, RolloutStateReason: d.reason,
	}
	if d.primary {
		out.Status, out.DesiredCount = "PRIMARY", s.desired
	}
	return out
}
