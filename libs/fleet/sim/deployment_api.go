package sim

import (
	"cmp"
	"slices"
)

// ListServiceDeployments lists the deployments of a service, the newest first.
func (w *World) ListServiceDeployments(in *ListServiceDeploymentsInput) (*ListServiceDeploymentsOutput, error) {
	s, err := w.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	for _, status := range in.Status {
		if !slices.Contains(rolloutStates, status) {
			return nil, invalid("Invalid status %.40q", status)
		}
	}
	list := "service-deployments/" + s.arn
	after, limit, err := ecsPage(list, in.NextToken, in.MaxResults, 20, 100)
	if err != nil {
		return nil, err
	}
	var found []*rollout
	for i := range s.rollouts {
		r := &s.rollouts[len(s.rollouts)-1-i]
		if f := in.CreatedAt; f != nil && (!f.After.IsZero() && r.shown.CreatedAt.Before(f.After.Time) || !f.Before.IsZero() && r.shown.CreatedAt.After(f.Before.Time)) {
			continue
		}
		if len(in.Status) == 0 || slices.Contains(in.Status, r.shown.Status) {
			found = append(found, r)
		}
	}
	page, next := pageOf(found, after, limit)
	out := &ListServiceDeploymentsOutput{ServiceDeployments: []ServiceDeploymentBrief{}, NextToken: token(list, next)}
	for _, r := range page {
		out.ServiceDeployments = append(out.ServiceDeployments, ServiceDeploymentBrief{
			ServiceDeploymentArn: r.shown.ServiceDeploymentArn, ServiceArn: s.arn, ClusterArn: s.cluster.arn,
			StartedAt: r.shown.StartedAt, CreatedAt: r.shown.CreatedAt, FinishedAt: r.shown.FinishedAt,
			TargetServiceRevisionArn: r.shown.TargetServiceRevision.Arn, Status: r.shown.Status, StatusReason: r.shown.StatusReason,
		})
	}
	return out, nil
}

// rolloutStates are all states that a service deployment may have.
var rolloutStates = []string{
	"PENDING", rolledOut, rolloutStopped, "STOP_REQUESTED", rollingOut, "ROLLBACK_REQUESTED", rollingBack, rolledBack, rollbackFailed,
}

// mostRevisions is how many service deployments or revisions one call describes.
const mostRevisions = 20

// DescribeServiceDeployments describes up to 20 service deployments.
func (w *World) DescribeServiceDeployments(in *DescribeServiceDeploymentsInput) (*DescribeServiceDeploymentsOutput, error) {
	if n := len(in.ServiceDeploymentArns); n == 0 || n > mostRevisions {
		return nil, invalid("serviceDeploymentArns must have between 1 and %d items: %d", mostRevisions, n)
	}
	out := &DescribeServiceDeploymentsOutput{ServiceDeployments: []ServiceDeployment{}, Failures: []Failure{}}
	for _, arn := range in.ServiceDeploymentArns {
		if s, r := w.rolloutNamed(arn); r != nil {
			out.ServiceDeployments = append(out.ServiceDeployments, s.describeRollout(r))
		} else {
			out.Failures = append(out.Failures, Failure{Arn: arn, Reason: "MISSING"})
		}
	}
	return out, nil
}

// DescribeServiceRevisions describes up to 20 service revisions.
func (w *World) DescribeServiceRevisions(in *DescribeServiceRevisionsInput) (*DescribeServiceRevisionsOutput, error) {
	if n := len(in.ServiceRevisionArns); n == 0 || n > mostRevisions {
		return nil, invalid("serviceRevisionArns must have between 1 and %d items: %d", mostRevisions, n)
	}
	out := &DescribeServiceRevisionsOutput{ServiceRevisions: []ServiceRevision{}, Failures: []Failure{}}
	for _, arn := range in.ServiceRevisionArns {
		i := -1
		s := w.serviceOf("service-revision", arn)
		if s != nil {
			i = slices.IndexFunc(s.revisions, func(r ServiceRevision) bool { return r.ServiceRevisionArn == arn })
		}
		if i < 0 {
			out.Failures = append(out.Failures, Failure{Arn: arn, Reason: "MISSING"})
			continue
		}
		out.ServiceRevisions = append(out.ServiceRevisions, s.revisions[i])
	}
	return out, nil
}

// StopServiceDeployment goes back from a deployment that is under way to the last one
// that was completed.
func (w *World) StopServiceDeployment(in *StopServiceDeploymentInput) (*StopServiceDeploymentOutput, error) {
	s, r := w.rolloutNamed(in.ServiceDeploymentArn)
	if r == nil {
		return nil, clientError("ServiceDeploymentNotFoundException", "The service deployment was not found.")
	}
	if kind := cmp.Or(in.StopType, "ROLLBACK"); kind != "ROLLBACK" {
		return nil, invalid("Invalid stopType %.40q: the only value is ROLLBACK", kind)
	}
	if r.shown.Status != rollingOut {
		return nil, clientError(codeConflict, "The service deployment is %s and cannot be stopped.", r.shown.Status)
	}
	failed := s.deployments[0]
	if !w.rollBack(s, "Service deployment rolled back at the request of the user.") {
		return nil, clientError(codeConflict, "There is no service revision to roll back to.")
	}
	failed.rollout, failed.reason = rolloutFailed, "ECS deployment was stopped by the user."
	w.tellDeployment(s, failed, "SERVICE_DEPLOYMENT_FAILED", "ERROR")
	return &StopServiceDeploymentOutput{ServiceDeploymentArn: in.ServiceDeploymentArn}, nil
}
