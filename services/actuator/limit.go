package actuator

import (
	"context"

	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
)

// beyondLimit says why a launch would exceed the cluster's maximum: see
// [execute.BeyondLimit].
func (a *Actuator) beyondLimit(ctx context.Context, job executor.Job) (string, error) {
	policy, _, err := a.bus.Control().Policy(ctx, job.Cluster)
	if err != nil {
		return "", err
	}
	live, err := a.finder.CountOwned(ctx, job.Cluster, a.installation)
	if err != nil {
		return "", err
	}
	records, err := executor.Records(ctx, a.bus, job.Cluster, fleet.ActionLaunch)
	if err != nil {
		return "", err
	}
	return execute.BeyondLimit(job.Action.Launch.Count, live, policy.Limits.MaxInstances, records, job.Action.ID, a.now())
}
