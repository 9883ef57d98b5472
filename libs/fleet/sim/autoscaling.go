package sim

import (
	"cmp"
	"slices"
	"strings"
)

// The error code of Auto Scaling for what is wrong with a request.
const codeValidation = "ValidationError"

func notValid(format string, args ...any) *Error {
	return clientError(codeValidation, format, args...)
}

// groupName is the name in the ARN of a group, or the text itself.
func groupName(arn string) string {
	_, name, found := strings.Cut(arn, ":autoScalingGroupName/")
	if !found {
		return arn
	}
	return name
}

func (w *World) groupNamed(name string) *group {
	for _, g := range w.groups {
		if g.name == name {
			return g
		}
	}
	return nil
}

// groupOf finds a group for an operation.
func (w *World) groupOf(name string) (*group, error) {
	if name == "" {
		return nil, notValid("1 validation error detected: Value null at 'autoScalingGroupName' failed to satisfy constraint: Member must not be null")
	}
	g := w.groupNamed(name)
	if g == nil {
		return nil, notValid("AutoScalingGroup name not found - AutoScalingGroup %.255s not found", name)
	}
	return g, nil
}

// CreateAutoScalingGroup makes an auto scaling group, which launches its desired capacity.
func (w *World) CreateAutoScalingGroup(in *CreateAutoScalingGroupInput) (*AutoScalingDone, error) {
	const longest = 255
	switch {
	case in.AutoScalingGroupName == "" || len(in.AutoScalingGroupName) > longest:
		return nil, notValid("1 validation error detected: Value at 'autoScalingGroupName' failed to satisfy constraint: Member must have length between 1 and %d", longest)
	case in.MinSize == nil || in.MaxSize == nil:
		return nil, notValid("1 validation error detected: Value null at 'minSize' or 'maxSize' failed to satisfy constraint: Member must not be null")
	case w.groupNamed(in.AutoScalingGroupName) != nil:
		return nil, clientError("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", in.AutoScalingGroupName)
	}
	g := &group{
		name: in.AutoScalingGroupName, created: w.now, least: *in.MinSize, most: *in.MaxSize, desired: *in.MinSize,
		cooldown: 300, grace: in.HealthCheckGracePeriod, protectNew: in.NewInstancesProtectedFromScaleIn, rebalance: in.CapacityRebalance,
	}
	if in.DefaultCooldown != nil {
		g.cooldown = *in.DefaultCooldown
	}
	if in.DesiredCapacity != nil {
		g.desired = *in.DesiredCapacity
	}
	if err := g.checkSize(); err != nil {
		return nil, err
	}
	if (in.LaunchTemplate == nil) == (in.MixedInstancesPolicy == nil) {
		return nil, notValid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	if err := w.setSource(g, in.LaunchTemplate, in.MixedInstancesPolicy); err != nil {
		return nil, err
	}
	if err := w.setSubnets(g, in.VPCZoneIdentifier, in.AvailabilityZones.Member); err != nil {
		return nil, err
	}
	for _, t := range in.Tags.Member {
		if t.Key == "" || strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, notValid("Invalid tag key %.130q: it must not be empty or begin with aws:", t.Key)
		}
		setGroupTag(g, t)
	}
	g.seq, g.arn = w.next(), w.arn("autoscaling", "autoScalingGroup:"+w.uuid("group")+":autoScalingGroupName/"+g.name)
	w.groups = append(w.groups, g)
	w.groupReacts(g)
	return &AutoScalingDone{}, nil
}

func setGroupTag(g *group, t AutoScalingTag) {
	t.ResourceID, t.ResourceType = g.name, "auto-scaling-group"
	i := slices.IndexFunc(g.tags, func(other AutoScalingTag) bool { return other.Key == t.Key })
	if i >= 0 {
		g.tags[i] = t
		return
	}
	g.tags = append(g.tags, t)
	slices.SortFunc(g.tags, func(a, b AutoScalingTag) int { return cmp.Compare(a.Key, b.Key) })
}

// checkSize refuses sizes that do not go together.
func (g *group) checkSize() error {
	const most = 10000
	switch {
	case g.least < 0 || g.most > most:
		return notValid("Min bound must not be negative and max bound not above %d: %d, %d", most, g.least, g.most)
	case g.least > g.most:
		return notValid("Max bound, %d, must be greater than or equal to min bound, %d", g.most, g.least)
	case g.desired < g.least:
		return notValid("Desired capacity:%d must be between the specified min size:%d and max size:%d", g.desired, g.least, g.most)
	case g.desired > g.most:
		return notValid("Desired capacity:%d must be between the specified min size:%d and max size:%d", g.desired, g.least, g.most)
	}
	return nil
}

// setSource takes over what the group launches from, and checks it.
func (w *World) setSource(g *group, single *AutoScalingTemplate, mixed *MixedInstancesPolicy) error {
	switch {
	case single != nil:
		g.template, g.mixed = single, nil
	case mixed != nil:
		if mixed.LaunchTemplate == nil || mixed.LaunchTemplate.LaunchTemplateSpecification == nil {
			return notValid("You must specify a launch template for the mixed instances policy.")
		}
		for _, o := range mixed.LaunchTemplate.Overrides.Member {
			switch {
			case w.typeNamed[o.InstanceType] == nil:
				return notValid("The specified instance type is not valid: %.100q", o.InstanceType)
			case o.WeightedCapacity != "" && o.WeightedCapacity != "1":
				return notValid("The simulated Auto Scaling does not weigh types: leave WeightedCapacity of %s out.", o.InstanceType)
			}
		}
		if d := mixed.InstancesDistribution; d != nil {
			if p := d.OnDemandPercentageAboveBaseCapacity; d.OnDemandBaseCapacity < 0 || p != nil && (*p < 0 || *p > 100) {
				return notValid("Invalid instances distribution: the base must not be negative and the percentage above it between 0 and 100.")
			}
		}
		g.mixed, g.template = mixed, nil
	default:
		return nil
	}
	spec := g.launches()
	t, err := w.template(LaunchTemplateSpecification(spec))
	if err != nil {
		return notValid("You must use a valid fully-formed launch template. %s", groupText(err))
	}
	v, err := t.version(spec.Version)
	if err != nil {
		return notValid("You must use a valid fully-formed launch template. %s", groupText(err))
	}
	if name := v.LaunchTemplateData.InstanceType; name == "" && len(w.typesOf(g)) == 0 || name != "" && w.typeNamed[name] == nil {
		return notValid("You must use a valid fully-formed launch template. The instance type %.100q is not known: name one in the launch template or in the overrides.", name)
	}
	return nil
}

func groupText(err error) string {
	_, text, _ := strings.Cut(err.Error(), ": ")
	return text
}

// launches is the launch template of a group.
func (g *group) launches() AutoScalingTemplate {
	if g.mixed != nil {
		return *g.mixed.LaunchTemplate.LaunchTemplateSpecification
	}
	return *g.template
}

// setSubnets takes over the subnets: named ones, or the first of each named zone.
func (w *World) setSubnets(g *group, list string, zones []string) error {
	var ids []string
	for id := range strings.SplitSeq(list, ",") {
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		if w.subnet(id) == nil {
			return notValid("The subnet ID '%.100s' does not exist", id)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		for _, z := range zones {
			s := w.subnetIn(z)
			if s == nil {
				return notValid("Invalid availability zone: [%.100s]", z)
			}
			ids = append(ids, s.ID)
		}
	}
	if len(ids) == 0 {
		return notValid("At least one Availability Zone or VPC Subnet is required.")
	}
	g.subnets = ids
	return nil
}

// UpdateAutoScalingGroup changes a group. Instances that it has stay as they are.
func (w *World) UpdateAutoScalingGroup(in *UpdateAutoScalingGroupInput) (*AutoScalingDone, error) {
	g, err := w.groupOf(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	next := *g
	for _, f := range []struct{ to, from *int }{
		{&next.least, in.MinSize}, {&next.most, in.MaxSize}, {&next.cooldown, in.DefaultCooldown},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	next.desired = min(max(next.desired, next.least), max(next.most, 0)) // follows its bounds unless it is given
	if in.DesiredCapacity != nil {
		next.desired = *in.DesiredCapacity
	}
	if in.NewInstancesProtectedFromScaleIn != nil {
		next.protectNew = *in.NewInstancesProtectedFromScaleIn
	}
	if err := next.checkSize(); err != nil {
		return nil, err
	}
	if err := w.setSource(&next, in.LaunchTemplate, in.MixedInstancesPolicy); err != nil {
		return nil, err
	}
	if in.VPCZoneIdentifier != "" {
		if err := w.setSubnets(&next, in.VPCZoneIdentifier, nil); err != nil {
			return nil, err
		}
	}
	*g = next
	g.retryAt = w.now
	w.groupReacts(g)
	return &AutoScalingDone{}, nil
}

// SetDesiredCapacity sets how many instances a group keeps.
func (w *World) SetDesiredCapacity(in *SetDesiredCapacityInput) (*AutoScalingDone, error) {
	g, err := w.groupOf(in.AutoScalingGroupName)
	switch {
	case err != nil:
		return nil, err
	case in.DesiredCapacity == nil:
		return nil, notValid("1 validation error detected: Value null at 'desiredCapacity' failed to satisfy constraint: Member must not be null")
	case *in.DesiredCapacity > g.most:
		return nil, notValid("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", *in.DesiredCapacity, g.most)
	case *in.DesiredCapacity < g.least:
		return nil, notValid("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", *in.DesiredCapacity, g.least)
	}
	g.desired, g.retryAt = *in.DesiredCapacity, w.now
	w.groupReacts(g)
	return &AutoScalingDone{}, nil
}

// DeleteAutoScalingGroup deletes a group. One that has instances is deleted with
// ForceDelete only, which ends them.
func (w *World) DeleteAutoScalingGroup(in *DeleteAutoScalingGroupInput) (*AutoScalingDone, error) {
	g, err := w.groupOf(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if !in.ForceDelete {
		switch {
		case len(g.counted()) > 0 || g.desired > 0:
			return nil, clientError("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
		case len(g.members) > 0:
			return nil, clientError("ScalingActivityInProgress", "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")
		}
	}
	g.deleting, g.least, g.desired = true, 0, 0
	for _, m := range g.counted() {
		m.leaving = true
		w.endMember(m)
	}
	w.wakeGroup(g, 0)
	return &AutoScalingDone{}, nil
}

// describe is the group as DescribeAutoScalingGroups shows it.
func (g *group) describe(w *World) AutoScalingGroup {
	out := AutoScalingGroup{
		AutoScalingGroupName: g.name, AutoScalingGroupARN: g.arn, LaunchTemplate: g.template, MixedInstancesPolicy: g.mixed,
		MinSize: g.least, MaxSize: g.most, DesiredCapacity: g.desired, DefaultCooldown: g.cooldown,
		HealthCheckType: "EC2", HealthCheckGracePeriod: g.grace, CreatedTime: Timestamp{g.created},
		VPCZoneIdentifier: strings.Join(g.subnets, ","), Tags: Members[AutoScalingTag]{slices.Clone(g.tags)},
		TerminationPolicies: Members[string]{[]string{"Default"}}, NewInstancesProtectedFromScaleIn: g.protectNew,
		ServiceLinkedRoleARN: "arn:aws:iam::" + w.cfg.Account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
		CapacityRebalance:    g.rebalance,
	}
	if g.deleting {
		out.Status = "Delete in progress"
	}
	for _, id := range g.subnets {
		if zone := w.subnet(id).Zone; !slices.Contains(out.AvailabilityZones.Member, zone) {
			out.AvailabilityZones.Member = append(out.AvailabilityZones.Member, zone)
		}
	}
	for _, m := range g.members {
		out.Instances.Member = append(out.Instances.Member, g.describeMember(m))
	}
	return out
}

func (g *group) describeMember(m *groupMember) AutoScalingInstance {
	spec := g.launches()
	out := AutoScalingInstance{
		InstanceID: m.machine.id, InstanceType: m.machine.kind.name, AvailabilityZone: m.machine.subnet.Zone,
		LifecycleState: m.state(), HealthStatus: "Healthy", LaunchTemplate: &spec, ProtectedFromScaleIn: m.protected,
	}
	if !m.machine.alive() {
		out.HealthStatus = "Unhealthy"
	}
	return out
}

// groupPage checks the paging of an Auto Scaling operation.
func groupPage(list, tok string, wanted, usual, most int) (after uint64, limit int, err error) {
	after, ok := placeIn(list, tok)
	switch {
	case !ok:
		return 0, 0, clientError("InvalidNextToken", "The token '%.100s' is invalid.", tok)
	case wanted < 0 || wanted > most:
		return 0, 0, notValid("1 validation error detected: Value '%d' at 'maxRecords' failed to satisfy constraint: Member must have value less than or equal to %d", wanted, most)
	}
	return after, cmp.Or(wanted, usual), nil
}

// DescribeAutoScalingGroups describes groups by name and tags. An unknown name is left out.
func (w *World) DescribeAutoScalingGroups(in *DescribeAutoScalingGroupsInput) (*DescribeAutoScalingGroupsOutput, error) {
	after, limit, err := groupPage("groups", in.NextToken, in.MaxRecords, 50, 100)
	if err != nil {
		return nil, err
	}
	var all []*group
	for _, g := range w.groups {
		if len(in.AutoScalingGroupNames.Member) > 0 && !slices.Contains(in.AutoScalingGroupNames.Member, g.name) {
			continue
		}
		ok, err := g.matches(in.Filters.Member)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, g)
		}
	}
	page, next := pageOf(all, after, limit)
	out := &DescribeAutoScalingGroupsOutput{NextToken: token("groups", next)}
	for _, g := range page {
		out.AutoScalingGroups.Member = append(out.AutoScalingGroups.Member, g.describe(w))
	}
	return out, nil
}

// matches reports whether a group passes all filters.
func (g *group) matches(filters []AutoScalingFilter) (bool, error) {
	for _, f := range filters {
		key, byKey := strings.CutPrefix(f.Name, "tag:")
		if !byKey && f.Name != "tag-key" && f.Name != "tag-value" {
			return false, notValid("Filter type %.100s is not correct. Allowed Filter types are: tag-key tag-value tag:<key>", f.Name)
		}
		if !slices.ContainsFunc(g.tags, func(t AutoScalingTag) bool {
			switch {
			case byKey:
				return t.Key == key && slices.Contains(f.Values.Member, t.Value)
			case f.Name == "tag-key":
				return slices.Contains(f.Values.Member, t.Key)
			default:
				return slices.Contains(f.Values.Member, t.Value)
			}
		}) {
			return false, nil
		}
	}
	return true, nil
}

// DescribeAutoScalingInstances describes instances that are in groups.
func (w *World) DescribeAutoScalingInstances(in *DescribeAutoScalingInstancesInput) (*DescribeAutoScalingInstancesOutput, error) {
	after, limit, err := groupPage("group-instances", in.NextToken, in.MaxRecords, 50, 50)
	if err != nil {
		return nil, err
	}
	asked := map[string]bool{}
	for _, id := range in.InstanceIDs.Member {
		asked[id] = true
	}
	var all []AutoScalingInstance
	for _, g := range w.groups {
		for _, m := range g.members {
			if len(asked) > 0 && !asked[m.machine.id] {
				continue
			}
			described := g.describeMember(m)
			described.AutoScalingGroupName, described.HealthStatus = g.name, strings.ToUpper(described.HealthStatus)
			all = append(all, described)
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeAutoScalingInstancesOutput{
		AutoScalingInstances: Members[AutoScalingInstance]{page}, NextToken: token("group-instances", next),
	}, nil
}

// DescribeScalingActivities tells what Auto Scaling did, the newest first.
func (w *World) DescribeScalingActivities(in *DescribeScalingActivitiesInput) (*DescribeScalingActivitiesOutput, error) {
	list := "activities/" + in.AutoScalingGroupName
	after, limit, err := groupPage(list, in.NextToken, in.MaxRecords, 100, 100)
	if err != nil {
		return nil, err
	}
	if in.AutoScalingGroupName != "" {
		if _, err := w.groupOf(in.AutoScalingGroupName); err != nil {
			return nil, err
		}
	}
	var all []ScalingActivity
	for _, g := range w.groups {
		if in.AutoScalingGroupName != "" && g.name != in.AutoScalingGroupName {
			continue
		}
		for _, a := range slices.Backward(g.activities) {
			if len(in.ActivityIDs.Member) == 0 || slices.Contains(in.ActivityIDs.Member, a.ActivityID) {
				all = append(all, a)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b ScalingActivity) int { return b.StartTime.Compare(a.StartTime.Time) })
	page, next := pageOf(all, after, limit)
	return &DescribeScalingActivitiesOutput{Activities: Members[ScalingActivity]{page}, NextToken: token(list, next)}, nil
}
