package sim

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// The settings of capacity providers that are switched on and off.
const (
	settingOn  = "ENABLED"
	settingOff = "DISABLED"
)

// provider is a capacity provider. One that the side door made has no group.
type provider struct {
	CapacityProvider
	group *group
	reservation
}

// managed reports whether ECS scales the group of the provider.
func (p *provider) managed() bool {
	return p.AutoScalingGroupProvider.ManagedScaling.Status == settingOn
}

// awaits reports whether tasks of a capacity provider wait when there is no room: only
// those of one with managed scaling.
func (w *World) awaits(name string) bool {
	p := w.provider(name)
	return p != nil && p.managed()
}

// provider finds a capacity provider by name or ARN.
func (w *World) provider(name string) *provider {
	for _, p := range w.providers {
		if p.Name == providerName(name) {
			return p
		}
	}
	return nil
}

// providerOf is the capacity provider that an instance registers with: that of its auto
// scaling group if the cluster has it by then.
func (w *World) providerOf(m *instance, c *cluster) string {
	if m.group == nil {
		return m.provider
	}
	for _, p := range w.providers {
		if p.group == m.group && slices.Contains(c.providers, p.Name) {
			return p.Name
		}
	}
	return ""
}

// clusterOf is the cluster that a capacity provider scales for; one with managed scaling
// has at most one.
func (w *World) clusterOf(p *provider) *cluster {
	for c := range w.clusterRoll.all {
		if slices.Contains(c.providers, p.Name) {
			return c
		}
	}
	return nil
}

// providerPattern are the names that capacity providers may have.
var providerPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// CreateCapacityProvider makes a capacity provider of an auto scaling group.
func (w *World) CreateCapacityProvider(in *CreateCapacityProviderInput) (*CreateCapacityProviderOutput, error) {
	lower := strings.ToLower(in.Name)
	switch {
	case !providerPattern.MatchString(in.Name):
		return nil, invalid("The specified capacity provider name is invalid. Up to 255 characters are allowed, including letters (upper and lowercase), numbers, underscores (_), and hyphens (-).")
	case strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "ecs") || strings.HasPrefix(lower, "fargate"):
		return nil, invalid("The specified capacity provider name is invalid. The name cannot be prefixed with \"aws\", \"ecs\" or \"fargate\".")
	case in.AutoScalingGroupProvider == nil:
		return nil, clientError(codeClient, "The simulated ECS has capacity providers of auto scaling groups only: give it an autoScalingGroupProvider.")
	}
	g := w.groupNamed(groupName(in.AutoScalingGroupProvider.AutoScalingGroupArn))
	if g == nil {
		return nil, clientError(codeClient, "The specified Auto Scaling group ARN is not valid. Specify a valid ARN and try again.")
	}
	settings := AutoScalingGroupProvider{
		AutoScalingGroupArn: g.arn, ManagedScaling: &ManagedScaling{Status: settingOff},
		ManagedTerminationProtection: settingOff, ManagedDraining: settingOn,
	}
	if err := settings.change(in.AutoScalingGroupProvider, g); err != nil {
		return nil, err
	}
	if old := w.provider(in.Name); old != nil {
		if old.group == g && sameProvider(old.AutoScalingGroupProvider, &settings) {
			return &CreateCapacityProviderOutput{CapacityProvider: old.CapacityProvider}, nil
		}
		return nil, clientError(codeClient, "The specified capacity provider already exists. To change the configuration of an existing capacity provider, update the capacity provider.")
	}
	for _, p := range w.providers {
		if p.group == g {
			return nil, clientError(codeClient, "The specified Auto Scaling group is already used by the capacity provider %s. Specify another Auto Scaling group and try again.", p.Name)
		}
	}
	p := &provider{group: g, CapacityProvider: CapacityProvider{
		CapacityProviderArn: w.arn("ecs", "capacity-provider/"+in.Name), Name: in.Name, Status: statusActive,
		AutoScalingGroupProvider: &settings, UpdateStatus: "CREATE_COMPLETE", Type: "EC2_AUTOSCALING", Tags: orEmpty(sortedTags(in.Tags)),
	}}
	w.providers = append(w.providers, p)
	setGroupTag(g, AutoScalingTag{Key: "AmazonECSManaged", PropagateAtLaunch: true})
	w.watch(p)
	return &CreateCapacityProviderOutput{CapacityProvider: p.CapacityProvider}, nil
}

func sameProvider(a, b *AutoScalingGroupProvider) bool {
	x, y := *a.ManagedScaling, *b.ManagedScaling
	return a.ManagedTerminationProtection == b.ManagedTerminationProtection && a.ManagedDraining == b.ManagedDraining &&
		x.Status == y.Status && x.TargetCapacity == y.TargetCapacity && x.warmUp() == y.warmUp() &&
		x.MinimumScalingStepSize == y.MinimumScalingStepSize && x.MaximumScalingStepSize == y.MaximumScalingStepSize
}

// What managed scaling has unless told.
const (
	usualTarget  = 100
	usualMinStep = 1
	usualMaxStep = 10000
	usualWarmUp  = 300 // seconds
)

// change takes over the settings that are given, and checks them.
func (p *AutoScalingGroupProvider) change(to *AutoScalingGroupProvider, g *group) error {
	if m := to.ManagedScaling; m != nil {
		old := *p.ManagedScaling
		next := ManagedScaling{
			Status:                 cmp.Or(m.Status, old.Status, settingOff),
			TargetCapacity:         cmp.Or(m.TargetCapacity, old.TargetCapacity, usualTarget),
			MinimumScalingStepSize: cmp.Or(m.MinimumScalingStepSize, old.MinimumScalingStepSize, usualMinStep),
			MaximumScalingStepSize: cmp.Or(m.MaximumScalingStepSize, old.MaximumScalingStepSize, usualMaxStep),
			InstanceWarmupPeriod:   m.InstanceWarmupPeriod,
		}
		if next.InstanceWarmupPeriod == nil {
			warm := old.warmUp()
			next.InstanceWarmupPeriod = &warm
		}
		switch {
		case !onOrOff(next.Status):
			return invalid("Invalid managed scaling status %.40q: use ENABLED or DISABLED", next.Status)
		case next.TargetCapacity < 1 || next.TargetCapacity > 100:
			return invalid("The target capacity for managed scaling must be between 1 and 100: %d", next.TargetCapacity)
		case min(next.MinimumScalingStepSize, next.MaximumScalingStepSize) < 1 || max(next.MinimumScalingStepSize, next.MaximumScalingStepSize) > usualMaxStep:
			return invalid("The scaling step sizes must be between 1 and %d: %d and %d", usualMaxStep, next.MinimumScalingStepSize, next.MaximumScalingStepSize)
		case next.MinimumScalingStepSize > next.MaximumScalingStepSize:
			return invalid("The minimum scaling step size cannot be larger than the maximum scaling step size: %d and %d", next.MinimumScalingStepSize, next.MaximumScalingStepSize)
		case next.warmUp() < 0 || next.warmUp() > 10000:
			return invalid("The instance warmup period must be between 0 and 10000 seconds: %d", next.warmUp())
		}
		p.ManagedScaling = &next
	}
	p.ManagedTerminationProtection = cmp.Or(to.ManagedTerminationProtection, p.ManagedTerminationProtection)
	p.ManagedDraining = cmp.Or(to.ManagedDraining, p.ManagedDraining)
	switch {
	case !onOrOff(p.ManagedTerminationProtection) || !onOrOff(p.ManagedDraining):
		return invalid("Invalid managed termination protection or managed draining: use ENABLED or DISABLED")
	case p.ManagedTerminationProtection == settingOn && p.ManagedScaling.Status != settingOn:
		return invalid("The managed termination protection setting for the capacity provider is invalid. To enable managed termination protection for a capacity provider, managed scaling must be enabled.")
	case p.ManagedTerminationProtection == settingOn && g != nil && !g.protectNew:
		return invalid("The managed termination protection setting for the capacity provider is invalid. To enable managed termination protection for a capacity provider, the Auto Scaling group must have instance protection from scale in enabled.")
	}
	return nil
}

func onOrOff(text string) bool { return text == settingOn || text == settingOff }

// warmUp is the warm-up period in seconds.
func (m *ManagedScaling) warmUp() int {
	if m.InstanceWarmupPeriod == nil {
		return usualWarmUp
	}
	return *m.InstanceWarmupPeriod
}

// UpdateCapacityProvider changes the settings of a capacity provider.
func (w *World) UpdateCapacityProvider(in *UpdateCapacityProviderInput) (*UpdateCapacityProviderOutput, error) {
	p := w.provider(in.Name)
	if p == nil || p.Status != statusActive {
		return nil, clientError(codeClient, "The specified capacity provider does not exist. Specify a valid name or ARN and try again.")
	}
	if in.AutoScalingGroupProvider == nil {
		return nil, invalid("No updates specified for the capacity provider.")
	}
	settings := *p.AutoScalingGroupProvider
	if err := settings.change(in.AutoScalingGroupProvider, p.group); err != nil {
		return nil, err
	}
	if settings.ManagedScaling.Status == settingOn && !p.managed() && w.clustersOf(p) > 1 {
		return nil, invalid("The specified capacity provider is associated with more than one cluster. Managed scaling cannot be enabled.")
	}
	p.AutoScalingGroupProvider = &settings
	p.UpdateStatus = "UPDATE_COMPLETE"
	w.watch(p)
	return &UpdateCapacityProviderOutput{CapacityProvider: p.CapacityProvider}, nil
}

func (w *World) clustersOf(p *provider) (n int) {
	for c := range w.clusterRoll.all {
		if slices.Contains(c.providers, p.Name) {
			n++
		}
	}
	return n
}

// DeleteCapacityProvider deletes a capacity provider that no cluster has.
func (w *World) DeleteCapacityProvider(in *DeleteCapacityProviderInput) (*DeleteCapacityProviderOutput, error) {
	p := w.provider(in.CapacityProvider)
	switch {
	case p == nil:
		return nil, clientError(codeClient, "The specified capacity provider does not exist. Specify a valid name or ARN and try again.")
	case w.clustersOf(p) > 0:
		return nil, clientError(codeClient, "The specified capacity provider is in use and cannot be removed.")
	}
	w.providers = slices.DeleteFunc(w.providers, func(other *provider) bool { return other == p })
	p.Status, p.UpdateStatus = statusInactive, "DELETE_COMPLETE"
	return &DeleteCapacityProviderOutput{CapacityProvider: p.CapacityProvider}, nil
}

// PutClusterCapacityProviders sets which capacity providers a cluster has, and its default
// strategy. One that tasks or services still use cannot be taken away.
func (w *World) PutClusterCapacityProviders(in *PutClusterCapacityProvidersInput) (*PutClusterCapacityProvidersOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	names, err := w.associable(c, in.CapacityProviders)
	if err != nil {
		return nil, err
	}
	for _, name := range c.providers {
		if !slices.Contains(names, name) && c.uses(name) {
			return nil, clientError("ResourceInUseException", "The specified capacity provider is in use and cannot be removed.")
		}
	}
	before := c.providers
	c.providers = names
	if err := w.checkProviders(c, in.DefaultCapacityProviderStrategy); err != nil {
		c.providers = before
		return nil, err
	}
	c.strategy = slices.Clone(in.DefaultCapacityProviderStrategy)
	for _, name := range names {
		w.watch(w.provider(name))
	}
	return &PutClusterCapacityProvidersOutput{Cluster: c.describe(true, true)}, nil
}

// associable are the names of capacity providers that a cluster may have.
func (w *World) associable(c *cluster, given []string) ([]string, error) {
	if len(given) > mostStrategyItems {
		return nil, invalid("The specified capacity providers cannot be more than %d: %d", mostStrategyItems, len(given))
	}
	names := []string{}
	for _, name := range given {
		p := w.provider(name)
		switch {
		case p == nil || p.Status != statusActive:
			return nil, invalid("The specified capacity provider '%.255s' was not found.", name)
		case p.managed() && w.clusterOf(p) != nil && w.clusterOf(p) != c:
			return nil, invalid("The specified capacity provider '%.255s' is already associated with another cluster: one with managed scaling can have one cluster only.", name)
		}
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names, nil
}

// uses reports whether a service or a task of the cluster is bound to a capacity provider.
func (c *cluster) uses(name string) bool {
	for s := range c.serviceRoll.all {
		for _, item := range s.providers {
			if providerName(item.CapacityProvider) == name {
				return true
			}
		}
	}
	for t := range c.taskRoll.all {
		if t.provider == name && t.last != taskStopped {
			return true
		}
	}
	return false
}

// DescribeCapacityProviders describes the capacity providers of the account.
func (w *World) DescribeCapacityProviders(in *DescribeCapacityProvidersInput) (*DescribeCapacityProvidersOutput, error) {
	after, limit, err := ecsPage("capacity-providers", in.NextToken, in.MaxResults, 10, 10)
	if err != nil {
		return nil, err
	}
	const most = 100 // names in one call
	if len(in.CapacityProviders) > most {
		return nil, invalid("Capacity providers cannot be more than %d: %d", most, len(in.CapacityProviders))
	}
	out := &DescribeCapacityProvidersOutput{CapacityProviders: []CapacityProvider{}, Failures: []Failure{}}
	all := w.providers
	if len(in.CapacityProviders) > 0 {
		all, limit = nil, most // those that are named come at once
		for _, name := range in.CapacityProviders {
			if p := w.provider(name); p != nil {
				all = append(all, p)
			} else {
				out.Failures = append(out.Failures, Failure{Arn: w.arn("ecs", "capacity-provider/"+lastPart(name)), Reason: "MISSING"})
			}
		}
	}
	page, next := pageOf(all, after, limit)
	for _, p := range page {
		described := p.CapacityProvider
		if !slices.Contains(in.Include, "TAGS") {
			described.Tags = []Tag{}
		}
		out.CapacityProviders = append(out.CapacityProviders, described)
	}
	out.NextToken = token("capacity-providers", next)
	return out, nil
}

// AddCapacityProvider makes a capacity provider of an auto scaling group, which the world
// does not scale. Instances join it by [Fixture], whatever the cluster.
func (w *World) AddCapacityProvider(name string) {
	if w.provider(name) != nil {
		return
	}
	w.providers = append(w.providers, &provider{CapacityProvider: CapacityProvider{
		CapacityProviderArn: w.arn("ecs", "capacity-provider/"+name), Name: name, Status: statusActive, Tags: []Tag{},
		Type: "EC2_AUTOSCALING",
		AutoScalingGroupProvider: &AutoScalingGroupProvider{
			AutoScalingGroupArn: w.arn("autoscaling", "autoScalingGroup:"+w.uuid("group")+":autoScalingGroupName/"+name),
			ManagedScaling:      &ManagedScaling{Status: settingOff}, ManagedTerminationProtection: settingOff, ManagedDraining: settingOff,
		},
	}})
}
