package sim

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim/clusterquery"
)

// host finds a container instance by ID or ARN, also one that is INACTIVE since shortly.
func (w *World) host(c *cluster, name string) *containerInstance {
	if !c.owns(name) {
		return nil
	}
	if h := c.hosts[lastPart(name)]; h != nil {
		return h
	}
	return c.past[lastPart(name)]
}

// ListContainerInstances lists container instances that are not INACTIVE, by status and by
// a cluster query.
func (w *World) ListContainerInstances(in *ListContainerInstancesInput) (*ListContainerInstancesOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	switch in.Status {
	case "", statusActive, statusDraining, statusRegistering, "DEREGISTERING", "REGISTRATION_FAILED":
	default:
		return nil, invalid("Invalid status %.40q: use ACTIVE, DRAINING, REGISTERING, DEREGISTERING or REGISTRATION_FAILED", in.Status)
	}
	var endless error // a pattern that takes too many steps
	matches := func(*containerInstance) bool { return true }
	if in.Filter != "" {
		filter, err := clusterquery.Parse(in.Filter)
		if err != nil {
			return nil, invalid("Invalid filter: %v", err)
		}
		matches = func(h *containerInstance) bool {
			selected, err := filter.Matches(h.filtered())
			endless = cmp.Or(endless, err)
			return selected && endless == nil
		}
	}
	list := "container-instances/" + c.name + "/" + in.Status + "/" + in.Filter
	after, limit, err := ecsPage(list, in.NextToken, in.MaxResults, 100, 100)
	if err != nil {
		return nil, err
	}
	page, next := c.hostRoll.page(after, limit, func(h *containerInstance) bool {
		return (in.Status == "" || in.Status == h.status) && endless == nil && matches(h)
	})
	if endless != nil {
		return nil, invalid("Invalid filter: %v", endless)
	}
	out := &ListContainerInstancesOutput{ContainerInstanceArns: []string{}, NextToken: token(list, next)}
	for _, h := range page {
		out.ContainerInstanceArns = append(out.ContainerInstanceArns, h.arn)
	}
	return out, nil
}

// filtered is the instance as the filter of a list sees it.
func (h *containerInstance) filtered() *clusterquery.Instance {
	return &clusterquery.Instance{
		Attribute: h.attribute,
		Groups: func(yield func(string) bool) {
			for _, t := range h.tasks {
				if !t.stopped && !yield(t.group()) {
					return
				}
			}
		},
		AgentConnected: h.connected, AgentVersion: agentVersion, EC2InstanceID: h.machine.id,
		RegisteredAt: h.since, RunningTasks: h.running,
	}
}

func (h *containerInstance) attribute(name string) (string, bool) {
	if name == attributeTrunk {
		return h.trunk, h.trunk != ""
	}
	if v, ok := h.custom[name]; ok {
		return v, true
	}
	v, ok := h.builtin[name]
	return v, ok
}

// DescribeContainerInstances describes up to 100 container instances.
func (w *World) DescribeContainerInstances(in *DescribeContainerInstancesInput) (*DescribeContainerInstancesOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.ContainerInstances) == 0 {
		return nil, invalid("Container instances cannot be empty.")
	}
	if len(in.ContainerInstances) > 100 {
		return nil, invalid("Container instances cannot be more than 100: %d", len(in.ContainerInstances))
	}
	out := &DescribeContainerInstancesOutput{ContainerInstances: []ContainerInstance{}, Failures: []Failure{}}
	for _, name := range in.ContainerInstances {
		h := w.host(c, name)
		if h == nil {
			out.Failures = append(out.Failures, w.missingHost(c, name))
			continue
		}
		described := h.describe(slices.Contains(in.Include, "TAGS"))
		if slices.Contains(in.Include, "CONTAINER_INSTANCE_HEALTH") {
			described.HealthStatus = h.health(w)
		}
		out.ContainerInstances = append(out.ContainerInstances, described)
	}
	return out, nil
}

func (w *World) missingHost(c *cluster, name string) Failure {
	return Failure{Arn: w.arn("ecs", "container-instance/"+c.name+"/"+lastPart(name)), Reason: "MISSING"}
}

func (h *containerInstance) describe(withTags bool) ContainerInstance {
	out := ContainerInstance{
		ContainerInstanceArn: h.arn, Ec2InstanceID: h.machine.id, CapacityProviderName: h.provider, Version: h.version,
		VersionInfo: VersionInfo{AgentVersion: agentVersion, AgentHash: "ff1b2c3d", DockerVersion: "DockerVersion: 25.0.8"},
		Status:      h.status, StatusReason: h.statusReason, AgentConnected: h.connected, RunningTasksCount: h.running, PendingTasksCount: h.pending,
		RegisteredAt: Timestamp{h.since}, Attachments: []Attachment{}, Tags: []Tag{}, Attributes: h.attributes(),
		RegisteredResources: h.resources(h.registered, nil),
	}
	var used fleet.Ports
	for _, t := range h.tasks {
		if !t.stopped {
			used = used.Union(t.kind.ports)
		}
	}
	out.RemainingResources = h.resources(h.remaining, used)
	if h.trunk != "" {
		out.Attachments = append(out.Attachments, Attachment{
			ID: h.trunk, Type: "eni-trunk", Status: "ATTACHED", Details: []KeyValue{{"networkInterfaceId", h.trunk}},
		})
	}
	if withTags {
		out.Tags = orEmpty(slices.Clone(h.tags))
	}
	return out
}

// attributes are all attributes by name. The caller must not change them.
func (h *containerInstance) attributes() []Attribute {
	if h.all != nil {
		return h.all
	}
	all := maps.Clone(h.builtin)
	maps.Copy(all, h.custom)
	if h.trunk != "" {
		all[attributeTrunk] = h.trunk
	}
	list := make([]Attribute, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, Attribute{Name: name, Value: all[name]})
	}
	h.all = list
	return list
}

// resources lists quantities as ECS does. Network interfaces are not among them.
func (h *containerInstance) resources(r fleet.Resources, used fleet.Ports) []Resource {
	tcp, udp := []string{}, []string{}
	used = used.Union(h.reserved)
	for _, p := range used {
		if p.Protocol == fleet.UDP {
			udp = append(udp, strconv.Itoa(int(p.Number)))
		} else {
			tcp = append(tcp, strconv.Itoa(int(p.Number)))
		}
	}
	list := []Resource{
		{Name: "CPU", Type: "INTEGER", IntegerValue: r.CPUUnits},
		{Name: "MEMORY", Type: "INTEGER", IntegerValue: r.MemoryMiB},
		{Name: "PORTS", Type: "STRINGSET", StringSetValue: tcp},
		{Name: "PORTS_UDP", Type: "STRINGSET", StringSetValue: udp},
	}
	if h.registered.GPUs > 0 {
		ids := []string{}
		for i := range r.GPUs {
			ids = append(ids, "GPU-"+h.id[:8]+"-"+strconv.FormatInt(i, 10))
		}
		list = append(list, Resource{Name: "GPU", Type: "STRINGSET", StringSetValue: ids})
	}
	return list
}

// UpdateContainerInstancesState sets up to 10 container instances ACTIVE or DRAINING.
func (w *World) UpdateContainerInstancesState(in *UpdateContainerInstancesStateInput) (*UpdateContainerInstancesStateOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if in.Status != statusActive && in.Status != statusDraining {
		return nil, invalid("Container instance status should be one of [ACTIVE, DRAINING]")
	}
	if len(in.ContainerInstances) == 0 || len(in.ContainerInstances) > 10 {
		return nil, invalid("instanceIds can have at most 10 items: %d", len(in.ContainerInstances))
	}
	out := &UpdateContainerInstancesStateOutput{ContainerInstances: []ContainerInstance{}, Failures: []Failure{}}
	for _, name := range in.ContainerInstances {
		h := w.host(c, name)
		switch {
		case h == nil:
			out.Failures = append(out.Failures, w.missingHost(c, name))
			continue
		case h.status != statusActive && h.status != statusDraining:
			out.Failures = append(out.Failures, Failure{Arn: h.arn, Reason: h.status, Detail: "the container instance is neither ACTIVE nor DRAINING"})
			continue
		case h.status == in.Status:
		case in.Status == statusDraining:
			w.setDraining(h)
		default:
			w.setActive(h)
		}
		out.ContainerInstances = append(out.ContainerInstances, h.describe(true))
	}
	return out, nil
}

// DeregisterContainerInstance ends a container instance. Without Force it is refused
// while any task on it has not ended.
func (w *World) DeregisterContainerInstance(in *DeregisterContainerInstanceInput) (*DeregisterContainerInstanceOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	h := w.host(c, in.ContainerInstance)
	if h == nil || h.status == statusInactive {
		return nil, invalid("Referenced container instance %.100s not found.", lastPart(in.ContainerInstance))
	}
	if len(h.tasks) > 0 && !in.Force {
		return nil, invalid("Found running tasks on the instance.")
	}
	if len(h.tasks) > 0 {
		w.seen.forced(w, h)
	}
	w.deregister(h, stopByUser, "Container instance "+h.id+" deregistration forced by user")
	return &DeregisterContainerInstanceOutput{ContainerInstance: h.describe(true)}, nil
}

// The most custom attributes of one container instance, and of one call.
const mostAttributes = 10

var (
	attributeName  = regexp.MustCompile(`^[A-Za-z0-9_./\\-]{1,128}$`)
	attributeValue = regexp.MustCompile(`^[A-Za-z0-9_./\\@: -]{0,128}$`)
)

// validAttribute reports whether ECS takes a custom attribute.
func validAttribute(name, value string) bool {
	return attributeName.MatchString(name) && attributeValue.MatchString(value) && strings.TrimSpace(value) == value
}

// PutAttributes sets custom attributes of container instances.
func (w *World) PutAttributes(in *PutAttributesInput) (*PutAttributesOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Attributes) == 0 || len(in.Attributes) > mostAttributes {
		return nil, invalid("attributes must have between 1 and %d items: %d", mostAttributes, len(in.Attributes))
	}
	if err := w.checkAttributes(c, in.Attributes); err != nil {
		return nil, err
	}
	for _, a := range in.Attributes {
		h, err := w.target(c, a)
		if err != nil {
			return nil, err
		}
		h.custom = maps.Clone(h.custom)
		if h.custom == nil {
			h.custom = map[string]string{}
		}
		h.custom[a.Name] = a.Value
		w.attributesChanged(h)
	}
	return &PutAttributesOutput{Attributes: in.Attributes}, nil
}

// checkAttributes refuses attributes that ECS would refuse, before any of them is set.
func (w *World) checkAttributes(c *cluster, attributes []Attribute) error {
	names := map[*containerInstance]map[string]bool{} // custom ones, as they would be
	for _, a := range attributes {
		h, err := w.target(c, a)
		if err != nil {
			return err
		}
		if !validAttribute(a.Name, a.Value) {
			return invalid("Invalid attribute %.130q = %.130q", a.Name, a.Value)
		}
		if _, builtin := h.builtin[a.Name]; builtin || strings.HasPrefix(a.Name, "ecs.") || strings.HasPrefix(a.Name, "com.amazonaws.ecs.") {
			return invalid("The attribute %s is reserved.", a.Name)
		}
		if names[h] == nil {
			names[h] = map[string]bool{}
			for name := range h.custom { //neap:unordered a set
				names[h][name] = true
			}
		}
		if names[h][a.Name] = true; len(names[h]) > mostAttributes {
			return clientError(codeAttributeLimit, "The number of custom attributes per resource exceeds %d.", mostAttributes)
		}
	}
	return nil
}

// target finds the container instance that an attribute is about.
func (w *World) target(c *cluster, a Attribute) (*containerInstance, error) {
	if t := cmp.Or(a.TargetType, "container-instance"); t != "container-instance" {
		return nil, invalid("Invalid targetType %.40q: use container-instance", a.TargetType)
	}
	h := w.host(c, a.TargetID)
	if h == nil || h.status == statusInactive {
		return nil, clientError(codeTargetNotFound, "The specified target wasn't found: %.100s", a.TargetID)
	}
	return h, nil
}

func (w *World) attributesChanged(h *containerInstance) {
	h.all = nil
	h.cluster.placement.SetAttributes(h.node, h.attributeSet())
	w.hostChanged(h)
	for _, s := range h.cluster.daemons {
		w.wake(s, 0)
	}
}

// DeleteAttributes deletes custom attributes of container instances.
func (w *World) DeleteAttributes(in *DeleteAttributesInput) (*DeleteAttributesOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Attributes) == 0 {
		return nil, invalid("attributes cannot be empty.")
	}
	for _, a := range in.Attributes {
		if _, err := w.target(c, a); err != nil {
			return nil, err
		}
	}
	for _, a := range in.Attributes {
		h, err := w.target(c, a)
		if err != nil {
			return nil, err
		}
		if value, has := h.custom[a.Name]; !has || a.Value != "" && a.Value != value {
			continue
		}
		h.custom = maps.Clone(h.custom)
		delete(h.custom, a.Name)
		w.attributesChanged(h)
	}
	return &DeleteAttributesOutput{Attributes: orEmpty(in.Attributes)}, nil
}

// ListAttributes lists attributes of container instances by name and value.
func (w *World) ListAttributes(in *ListAttributesInput) (*ListAttributesOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if in.TargetType != "container-instance" {
		return nil, invalid("Invalid targetType %.40q: use container-instance", in.TargetType)
	}
	list := "attributes/" + c.name + "/" + in.AttributeName
	after, limit, err := ecsPage(list, in.NextToken, in.MaxResults, 100, 100)
	if err != nil {
		return nil, err
	}
	var all []Attribute
	for h := range c.hostRoll.all {
		for _, a := range h.attributes() {
			if in.AttributeName != "" && in.AttributeName != a.Name || in.AttributeValue != "" && in.AttributeValue != a.Value {
				continue
			}
			a.TargetID = h.arn
			all = append(all, a)
		}
	}
	page, next := pageOf(all, after, limit)
	return &ListAttributesOutput{Attributes: orEmpty(page), NextToken: token(list, next)}, nil
}

// TagResource adds tags to a cluster, service, task, container instance or task
// definition.
func (w *World) TagResource(in *TagResourceInput) (*TagResourceOutput, error) {
	tags, err := w.tagsOf(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		setTag(tags, t)
	}
	return &TagResourceOutput{}, nil
}

// UntagResource deletes tags.
func (w *World) UntagResource(in *UntagResourceInput) (*UntagResourceOutput, error) {
	tags, err := w.tagsOf(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	*tags = slices.DeleteFunc(slices.Clone(*tags), func(t Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
	return &UntagResourceOutput{}, nil
}

// ListTagsForResource lists the tags of a resource.
func (w *World) ListTagsForResource(in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	tags, err := w.tagsOf(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &ListTagsForResourceOutput{Tags: orEmpty(slices.Clone(*tags))}, nil
}

// sortedTags is a copy of tags by key.
func sortedTags(tags []Tag) []Tag {
	list := slices.Clone(tags)
	slices.SortStableFunc(list, func(a, b Tag) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// setTag adds a tag or changes its value; tags are sorted by key.
func setTag(tags *[]Tag, t Tag) {
	list := slices.Clone(*tags)
	i, found := slices.BinarySearchFunc(list, t.Key, func(x Tag, key string) int { return cmp.Compare(x.Key, key) })
	if found {
		list[i] = t
	} else {
		list = slices.Insert(list, i, t)
	}
	*tags = list
}

// tagsOf finds the tags of an ECS resource by its ARN.
func (w *World) tagsOf(arn string) (*[]Tag, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[2] != "ecs" {
		return nil, invalid("Invalid resource ARN: %.200s", arn)
	}
	names := strings.Split(parts[5], "/")
	var c *cluster
	if len(names) > 1 {
		c = w.clusters[names[1]]
	}
	switch {
	case names[0] == "task-definition" && len(names) == 2:
		if d, err := w.definition(names[1]); err == nil {
			return &d.tags, nil
		}
	case c == nil:
	case names[0] == "cluster":
		return &c.tags, nil
	case len(names) < 3:
		return nil, invalid("Long arn format must be used for tagging operations")
	case names[0] == "service" && c.services[names[2]] != nil:
		return &c.services[names[2]].tags, nil
	case names[0] == "task" && c.tasks[names[2]] != nil:
		return &c.tasks[names[2]].tags, nil
	case names[0] == "container-instance" && c.hosts[names[2]] != nil:
		return &c.hosts[names[2]].tags, nil
	}
	return nil, clientError(codeNotFound, "The specified resource is not found: %.200s", arn)
}
