package sim

import (
	"fmt"
	"slices"
	"strings"
)

// The states of a service deployment.
const (
	rollingOut        = "IN_PROGRESS"
	rolledOut         = "SUCCESSFUL"
	rolloutStopped    = "STOPPED"
	rollingBack       = "ROLLBACK_IN_PROGRESS"
	rolledBack        = "ROLLBACK_SUCCESSFUL"
	rollbackFailed    = "ROLLBACK_FAILED"
	breakerTriggered  = "TRIGGERED"
	breakerMonitoring = "MONITORING"
	breakerComplete   = "MONITORING_COMPLETE"
	breakerDisabled   = "DISABLED"
)

// mostRollouts is how many service deployments and revisions of a service are remembered.
// ECS forgets them after 90 days.
const mostRollouts = 50

// rollout is a service deployment as it is told, but for the counts of its revisions.
type rollout struct {
	shown      ServiceDeployment
	deployment string // that it brings
}

func (r *rollout) over() bool { return r.shown.Status != rollingOut && r.shown.Status != rollingBack }

// current is the service deployment that is under way, or the last one.
func (s *service) current() *rollout { return &s.rollouts[len(s.rollouts)-1] }

// revise notes the revision that the service is now.
func (w *World) revise(s *service) string {
	s.revised++
	path := s.cluster.name + "/" + s.name + "/"
	r := ServiceRevision{
		ServiceRevisionArn: w.arn("ecs", "service-revision/"+path+w.digits(19, "service revision", s.arn, fmt.Sprint(s.revised))),
		ServiceArn:         s.arn, ClusterArn: s.cluster.arn, TaskDefinition: s.definition.TaskDefinitionArn,
		CapacityProviderStrategy: s.providers, LaunchType: s.launchType, LoadBalancers: slices.Clone(s.balancers),
		NetworkConfiguration: s.network, ContainerImages: []ContainerImage{}, CreatedAt: Timestamp{w.now},
	}
	for i := range s.definition.ContainerDefinitions {
		c := &s.definition.ContainerDefinitions[i]
		r.ContainerImages = append(r.ContainerImages, ContainerImage{ContainerName: c.Name, Image: c.Image})
	}
	s.revisions = lastOf(append(s.revisions, r), mostRollouts)
	return r.ServiceRevisionArn
}

// digits is n decimal digits that belong to the words.
func (w *World) digits(n int, words ...string) string {
	h := w.hash(words...)
	return fmt.Sprintf("%020d%020d", h, mix(h))[20-n/2 : 20-n/2+n]
}

// lastOf are the last n items of a list.
func lastOf[T any](list []T, n int) []T {
	if len(list) > n {
		return slices.Clone(list[len(list)-n:])
	}
	return list
}

// rollOut begins a service deployment: it brings a deployment in the place of others. One
// that was under way is stopped.
func (w *World) rollOut(s *service, d *deployment, instead []*deployment) {
	if len(s.rollouts) > 0 && !s.current().over() {
		w.endRollout(s, rolloutStopped, "The service deployment was replaced by a newer one.")
	}
	id := w.digits(21, "service deployment", s.arn, fmt.Sprint(s.revised))
	now := Timestamp{w.now}
	r := rollout{deployment: d.id, shown: ServiceDeployment{
		ServiceDeploymentArn: w.arn("ecs", "service-deployment/"+s.cluster.name+"/"+s.name+"/"+id),
		ServiceArn:           s.arn, ClusterArn: s.cluster.arn, CreatedAt: now, StartedAt: now, UpdatedAt: now,
		SourceServiceRevisions: []ServiceCurrentRevision{}, TargetServiceRevision: ServiceCurrentRevision{Arn: d.revision},
		Status: rollingOut, DeploymentConfiguration: s.deploymentConfiguration(),
		DeploymentCircuitBreaker: &ServiceDeploymentCircuitBreaker{Status: breakerDisabled},
	}}
	if s.breaks() {
		r.shown.DeploymentCircuitBreaker = &ServiceDeploymentCircuitBreaker{Status: breakerMonitoring, Threshold: s.threshold()}
	}
	for _, old := range instead {
		r.shown.SourceServiceRevisions = append(r.shown.SourceServiceRevisions, ServiceCurrentRevision{Arn: old.revision})
	}
	s.rollouts = lastOf(append(s.rollouts, r), mostRollouts)
}

// endRollout ends the service deployment that is under way.
func (w *World) endRollout(s *service, status, reason string) {
	r := &s.current().shown
	r.Status, r.StatusReason, r.FinishedAt, r.UpdatedAt = status, reason, Timestamp{w.now}, Timestamp{w.now}
	if status == rolloutStopped {
		r.StoppedAt = r.FinishedAt
	}
	if r.DeploymentCircuitBreaker.Status == breakerMonitoring {
		r.DeploymentCircuitBreaker.Status = breakerComplete
		r.DeploymentCircuitBreaker.FailureCount = s.deployments[0].failed
	}
}

// completed notes that the primary deployment is all that is left of the service.
func (w *World) completed(s *service, d *deployment) {
	d.rollout, d.reason, d.updatedAt = rolloutCompleted, "ECS deployment "+d.id+" completed.", w.now
	s.completed = d
	if r := s.current(); !r.over() {
		status := rolledOut
		if r.shown.Status == rollingBack {
			status = rolledBack
		}
		w.endRollout(s, status, "")
	}
	w.say(s, "(deployment "+d.id+") deployment completed.")
	w.tellDeployment(s, d, "SERVICE_DEPLOYMENT_COMPLETED", "INFO")
}

// The kinds of thresholds of a circuit breaker.
const (
	thresholdCount     = "COUNT"
	thresholdBounded   = "BOUNDED_PERCENT"
	thresholdUnbounded = "UNBOUNDED_PERCENT"
)

func (s *service) breaks() bool { return s.breaker != nil && s.breaker.Enable }

// threshold is how many failures in a row fail a deployment: half of the desired count,
// but from 3 to 200, unless the service says otherwise.
func (s *service) threshold() int {
	kind, value := thresholdBounded, 50
	if c := s.breaker.ThresholdConfiguration; c != nil {
		kind, value = c.Type, c.Value
	}
	share := (s.desired*value + 99) / 100
	switch kind {
	case thresholdCount:
		return value
	case thresholdUnbounded:
		return max(share, 1)
	default:
		return min(max(share, 3), 200)
	}
}

// checkBreaker refuses a circuit breaker that ECS would refuse.
func checkBreaker(b *DeploymentCircuitBreaker) error {
	if b == nil || b.ThresholdConfiguration == nil {
		return nil
	}
	const most = 10000
	switch c := b.ThresholdConfiguration; {
	case c.Type != thresholdCount && c.Type != thresholdBounded && c.Type != thresholdUnbounded:
		return invalid("Invalid type %.40q of thresholdConfiguration: use COUNT, BOUNDED_PERCENT or UNBOUNDED_PERCENT", c.Type)
	case c.Value < 1 || c.Value > most:
		return invalid("Invalid value %d of thresholdConfiguration: use 1 to %d", c.Value, most)
	}
	return nil
}

// mend sets the failures of a deployment to 0 once a task of it is healthy.
func (s *service) mend(d *deployment) {
	if s.breaker == nil || s.breaker.ResetOnHealthyTask == nil || *s.breaker.ResetOnHealthyTask {
		d.failed = 0
	}
}

// breakCircuit fails a deployment that cannot start its tasks, if that is switched on: it
// starts no more. With rollback the service goes back to the last deployment that was
// completed.
func (w *World) breakCircuit(s *service) {
	d := s.deployments[0]
	if !s.breaks() || d.failed < s.threshold() || d.rollout != rolloutInProgress {
		return
	}
	if s.attempts > 0 {
		w.say(s, fmt.Sprintf("could not launch %d tasks for deployment %s.", d.failed, d.id))
	}
	d.rollout, d.reason, d.updatedAt = rolloutFailed, "ECS deployment circuit breaker: tasks failed to start.", w.now
	w.say(s, fmt.Sprintf("(deployment %s) deployment failed: tasks failed to start.", d.id))
	w.tellDeployment(s, d, "SERVICE_DEPLOYMENT_FAILED", "ERROR")
	r := s.current()
	r.shown.DeploymentCircuitBreaker.Status, r.shown.DeploymentCircuitBreaker.FailureCount = breakerTriggered, d.failed
	switch {
	case r.shown.Status == rollingBack:
		w.endRollout(s, rollbackFailed, "Service deployment rolled back because the circuit breaker threshold was exceeded.")
	case !s.breaker.Rollback || !w.rollBack(s, "Service deployment rolled back because the circuit breaker threshold was exceeded."):
		w.endRollout(s, rolloutStopped, "Service deployment stopped because the circuit breaker threshold was exceeded.")
	default:
		s.deployments[0].reason = "ECS deployment circuit breaker: rolling back to deploymentId " + s.deployments[0].id + "."
	}
}

// rollBack makes the last completed deployment the primary one again, unless there is
// none.
func (w *World) rollBack(s *service, why string) bool {
	back, failed := s.completed, s.deployments[0]
	if back == nil || back == failed {
		return false
	}
	i := slices.IndexFunc(s.revisions, func(r ServiceRevision) bool { return r.ServiceRevisionArn == back.revision })
	if i >= 0 {
		s.network, s.balancers = s.revisions[i].NetworkConfiguration, slices.Clone(s.revisions[i].LoadBalancers)
	}
	s.definition = back.definition
	s.deployments = slices.DeleteFunc(s.deployments, func(d *deployment) bool { return d == back })
	s.deployments = append([]*deployment{back}, s.deployments...)
	failed.primary, back.primary = false, true
	back.rollout, back.failed, back.updatedAt = rolloutInProgress, 0, w.now
	back.reason = "ECS deployment " + back.id + " in progress."
	r := &s.current().shown
	r.Status, r.StatusReason, r.UpdatedAt = rollingBack, why, Timestamp{w.now}
	r.Rollback = &ServiceDeploymentRollback{Reason: why, StartedAt: Timestamp{w.now}, ServiceRevisionArn: back.revision}
	w.say(s, fmt.Sprintf("rolling back to deployment %s.", back.id))
	w.restart(s)
	w.tellDeployment(s, back, "SERVICE_DEPLOYMENT_IN_PROGRESS", "INFO")
	return true
}

// restart lets the scheduler begin a deployment afresh, whatever kept it back.
func (w *World) restart(s *service) {
	s.attempts, s.backoff, s.nextTry, s.steady = 0, 0, w.now, false
	s.failures, s.throttle = 0, 0
	clear(s.told)
	w.wake(s, 0)
}

// progress is how far a revision has got that a deployment brings.
func (s *service) progress(arn string) ServiceCurrentRevision {
	out := ServiceCurrentRevision{Arn: arn}
	for _, d := range s.deployments {
		if d.revision == arn {
			out.RunningTaskCount += d.running
			out.PendingTaskCount += d.pending
			out.RequestedTaskCount += d.running + d.pending
			if d.primary {
				out.RequestedTaskCount = s.desired
			}
		}
	}
	return out
}

// describeRollout is a service deployment as DescribeServiceDeployments shows it.
func (s *service) describeRollout(r *rollout) ServiceDeployment {
	out := r.shown
	out.TargetServiceRevision = s.progress(out.TargetServiceRevision.Arn)
	out.SourceServiceRevisions = slices.Clone(out.SourceServiceRevisions)
	for i := range out.SourceServiceRevisions {
		out.SourceServiceRevisions[i] = s.progress(out.SourceServiceRevisions[i].Arn)
	}
	if b := *out.DeploymentCircuitBreaker; b.Status == breakerMonitoring {
		b.FailureCount = s.deployments[0].failed
		out.DeploymentCircuitBreaker = &b
	}
	return out
}

// serviceOf finds the service that an ARN of a revision or deployment belongs to.
func (w *World) serviceOf(kind, arn string) *service {
	parts := strings.Split(arn, "/")
	const places = 4 // arn:aws:ecs:…:kind, cluster, service, ID
	if len(parts) != places || !strings.HasSuffix(parts[0], ":"+kind) {
		return nil
	}
	c := w.clusters[parts[1]]
	if c == nil {
		return nil
	}
	return c.services[parts[2]]
}

// rolloutNamed finds a service deployment by its ARN.
func (w *World) rolloutNamed(arn string) (*service, *rollout) {
	s := w.serviceOf("service-deployment", arn)
	if s == nil {
		return nil, nil
	}
	for i := range s.rollouts {
		if s.rollouts[i].shown.ServiceDeploymentArn == arn {
			return s, &s.rollouts[i]
		}
	}
	return nil, nil
}
