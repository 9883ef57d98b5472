package sim

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/fleet/place"
)

// The limits of RunTask and StartTask.
const (
	mostRunTasks     = 10 // tasks of one call
	mostStartTasks   = 10 // container instances of one call
	mostOverrides    = 8192
	longestStartedBy = 128
)

// RunTask starts standalone tasks. They are placed at once or not at all, and never tried
// again: what finds no instance is in the failures, one for each instance that was
// considered. Only tasks of a capacity provider with managed scaling wait for room.
//
// CloudTrail records the call, whatever comes of it.
func (w *World) RunTask(in *RunTaskInput) (*RunTaskOutput, error) {
	out, err := w.runTask(in)
	w.tellCall("RunTask", in, out, err)
	return out, err
}

func (w *World) runTask(in *RunTaskInput) (*RunTaskOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	var done RunTaskOutput
	body, err := bodyOf(in)
	if err != nil {
		return nil, err
	}
	if found, err := w.repeated("RunTask", in.ClientToken, body, &done); err != nil || found {
		return &done, err
	}
	d, err := w.activeDefinition(in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	count := 1
	if in.Count != nil {
		count = *in.Count
	}
	if err := w.checkRun(c, in, count); err != nil {
		return nil, err
	}
	spec := taskSpec{
		definition: d, startedBy: in.StartedBy, overrides: in.Overrides, subnets: in.NetworkConfiguration, tags: sortedTags(in.Tags),
	}
	if in.PropagateTags == "TASK_DEFINITION" {
		spec.tags = sortedTags(append(spec.tags, d.tags...))
	}
	strategy := in.CapacityProviderStrategy
	if len(strategy) == 0 && in.LaunchType == "" {
		strategy = c.strategy
	}
	kinds, err := w.standaloneKinds(c, d, in, strategy)
	if err != nil {
		return nil, err
	}
	waits := func(k *kind) bool { return w.awaits(k.CapacityProvider) }
	switch {
	case len(strategy) == 0 && len(c.hosts) == 0:
		return nil, invalid("No Container Instances were found in your cluster.")
	case slices.ContainsFunc(kinds, waits) && len(c.waiting)+count > mostWaiting:
		return nil, clientError(codeClient, "Tasks provisioning capacity limit exceeded.")
	}
	out := &RunTaskOutput{Tasks: []Task{}, Failures: []Failure{}}
	full := map[*kind]bool{}
	for _, i := range w.shares(strategy, count, c.name, d.TaskDefinitionArn, in.ClientToken, strconv.FormatUint(w.ids, 10)) {
		spec.kind, spec.provider, spec.launchType = kinds[i], kinds[i].CapacityProvider, ""
		if spec.provider == "" {
			spec.launchType = "EC2"
		}
		t, failures := w.runOne(c, spec, full)
		out.Failures = append(out.Failures, failures...)
		if t != nil {
			out.Tasks = append(out.Tasks, t.describe(w, true))
		}
	}
	w.remember("RunTask", in.ClientToken, body, out)
	return out, nil
}

// checkRun refuses what ECS would refuse.
func (w *World) checkRun(c *cluster, in *RunTaskInput, count int) error {
	switch {
	case count < 1 || count > mostRunTasks:
		return invalid("Count must be between 1 and %d: %d", mostRunTasks, count)
	case in.LaunchType != "" && in.LaunchType != "EC2":
		return clientError("UnsupportedFeatureException", "The simulated ECS runs tasks on EC2 only, not on %.40s.", in.LaunchType)
	case in.LaunchType != "" && len(in.CapacityProviderStrategy) > 0:
		return invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if err := checkStandalone(in.Group, in.StartedBy, in.PropagateTags, in.Tags, in.Overrides); err != nil {
		return err
	}
	if err := checkConstraints(in.PlacementConstraints, true); err != nil {
		return err
	}
	if err := checkStrategy(in.PlacementStrategy); err != nil {
		return err
	}
	return w.checkProviders(c, in.CapacityProviderStrategy)
}

// checkStandalone checks what RunTask and StartTask have in common.
func checkStandalone(group, startedBy, propagate string, tags []Tag, o *TaskOverride) error {
	switch {
	case strings.HasPrefix(group, "service:"):
		return invalid("Group cannot start with service:")
	case len(startedBy) > longestStartedBy:
		return invalid("startedBy is longer than %d characters", longestStartedBy)
	case propagate != "" && propagate != "TASK_DEFINITION" && propagate != "NONE":
		return invalid("Invalid propagateTags %.40q: a task takes its tags from TASK_DEFINITION only", propagate)
	case len(tags) > mostTags:
		return invalid("Tags can have at most %d items.", mostTags)
	}
	if err := checkOverrides(o); err != nil {
		return err
	}
	if text, err := json.Marshal(o); err == nil && o != nil && len(text) > mostOverrides {
		return invalid("Container Overrides length must be at most %d", mostOverrides)
	}
	return nil
}

// standaloneKinds is what is to be placed: one kind for each item of the strategy, or one
// that is bound to no capacity provider.
func (w *World) standaloneKinds(c *cluster, d *taskDefinition, in *RunTaskInput, strategy []CapacityProviderStrategyItem) ([]*kind, error) {
	r := request{
		Group: cmp.Or(in.Group, "family:"+d.Family), Overrides: in.Overrides, Constraints: in.PlacementConstraints,
		Strategy: in.PlacementStrategy, Network: in.NetworkConfiguration, Standalone: true,
	}
	if len(strategy) == 0 {
		k, err := w.kindOf(c, d, r)
		return []*kind{k}, err
	}
	var kinds []*kind
	for _, item := range strategy {
		r.Provider = providerName(item.CapacityProvider)
		k, err := w.kindOf(c, d, r)
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, k)
	}
	return kinds, nil
}

// runOne starts one task, lets it wait, or says why it fails; full are the kinds for which
// that was said already: none of the others would find room either.
func (w *World) runOne(c *cluster, spec taskSpec, full map[*kind]bool) (*task, []Failure) {
	if !full[spec.kind] {
		if node, ok := c.placement.Place(spec.kind.Task, w.rng); ok {
			return w.newTask(c, c.byNode[node], spec), nil
		}
	}
	if w.awaits(spec.provider) {
		full[spec.kind] = true
		return w.await(c, spec), nil
	}
	if full[spec.kind] {
		return nil, nil
	}
	full[spec.kind] = true
	w.seen.RunTaskFailures++
	return nil, w.failures(c, spec.kind)
}

// failures says of each instance that was considered why it does not take a task.
func (w *World) failures(c *cluster, k *kind) []Failure {
	if name := k.CapacityProvider; name != "" {
		if why := c.lacks(name); why != "" {
			return []Failure{{Arn: w.arn("ecs", "capacity-provider/"+name), Reason: why}}
		}
	}
	const enough = 100 // an answer, not a dump of the cluster
	var list []Failure
	for h := range c.hostRoll.all {
		if len(list) == enough {
			break
		}
		if k.CapacityProvider != "" && h.provider != k.CapacityProvider {
			continue
		}
		if f, failed := c.failure(h, k); failed {
			list = append(list, f)
		}
	}
	return list
}

// failure says why an instance does not take a task.
func (c *cluster) failure(h *containerInstance, k *kind) (Failure, bool) {
	refusal, ok := c.placement.Eligible(h.node, k.Task)
	switch {
	case ok:
		return Failure{}, false
	case refusal.Kind == place.KindAgent && h.status != statusActive:
		return Failure{Arn: h.arn, Reason: statusInactive}, true
	}
	return Failure{Arn: h.arn, Reason: reasonOf(refusal), Detail: refusal.Detail}, true
}

// lacks says in ECS's words that no instance of a capacity provider can take any task; it
// is empty if one can.
func (c *cluster) lacks(provider string) string {
	why := "EMPTY CAPACITY PROVIDER"
	for h := range c.hostRoll.all {
		if h.provider != provider {
			continue
		}
		if h.status == statusActive {
			return ""
		}
		why = "NO ACTIVE INSTANCES"
	}
	return why
}

// StartTask starts a standalone task on each of the named container instances. There is no
// placement: a strategy does not apply, and an instance that cannot take the task is among
// the failures.
func (w *World) StartTask(in *StartTaskInput) (*StartTaskOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	switch n := len(in.ContainerInstances); {
	case n == 0:
		return nil, invalid("Container instances cannot be empty.")
	case n > mostStartTasks:
		return nil, invalid("Container instances cannot be more than %d: %d", mostStartTasks, n)
	}
	d, err := w.activeDefinition(in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	if err := checkStandalone(in.Group, in.StartedBy, in.PropagateTags, in.Tags, in.Overrides); err != nil {
		return nil, err
	}
	k, err := w.kindOf(c, d, request{
		Group: cmp.Or(in.Group, "family:"+d.Family), Overrides: in.Overrides, Network: in.NetworkConfiguration, Standalone: true,
	})
	if err != nil {
		return nil, err
	}
	spec := taskSpec{
		kind: k, definition: d, startedBy: in.StartedBy, launchType: "EC2",
		overrides: in.Overrides, subnets: in.NetworkConfiguration, tags: sortedTags(in.Tags),
	}
	if in.PropagateTags == "TASK_DEFINITION" {
		spec.tags = sortedTags(append(spec.tags, d.tags...))
	}
	out := &StartTaskOutput{Tasks: []Task{}, Failures: []Failure{}}
	for _, name := range in.ContainerInstances {
		h := w.host(c, name)
		switch {
		case h == nil:
			out.Failures = append(out.Failures, w.missingHost(c, name))
			continue
		case h.status != statusActive:
			out.Failures = append(out.Failures, Failure{Arn: h.arn, Reason: statusInactive})
			continue
		}
		if f, failed := c.failure(h, k); failed {
			out.Failures = append(out.Failures, f)
			continue
		}
		c.placement.Put(h.node, k.Task, 1)
		out.Tasks = append(out.Tasks, w.newTask(c, h, spec).describe(w, true))
	}
	return out, nil
}
