package plan

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// attributesOf are the attributes that an instance of an offering is going to carry: the
// built-in ones of ECS, those of the launch spec, those Neap adds, and the capabilities of
// its image and agent.
func (m *market) attributesOf(off *fleet.Offering, spec *fleet.LaunchSpec) *place.Attributes {
	attributes := slices.Clone(m.capabilities(spec, off.ImageID))
	add := func(name, value string) { attributes = append(attributes, fleet.Attribute{Name: name, Value: value}) }
	add("ecs.availability-zone", string(off.Zone))
	add("ecs.instance-type", string(off.Type))
	m.addSystem(add, spec, off)
	add("ecs.cpu-architecture", string(off.Architecture))
	add("ecs.subnet-id", string(off.Subnet))
	if off.ImageID != "" {
		add("ecs.ami-id", string(off.ImageID))
	}
	if i := slices.IndexFunc(m.d.snap.Subnets, func(s fleet.Subnet) bool { return s.ID == off.Subnet }); i >= 0 && m.d.snap.Subnets[i].VPC != "" {
		add("ecs.vpc-id", m.d.snap.Subnets[i].VPC)
	}
	if t := m.types[off.Type]; spec.ENITrunking && t != nil && t.TrunkTasks > 0 {
		add("ecs.awsvpc-trunk-id", "")
		add("ecs.capability.task-eni-trunking", "")
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Attributes)) {
		add(name, spec.Attributes[name])
	}
	add(fleet.AttributeLaunchSpec, string(spec.Name))
	add(fleet.AttributeLifecycle, string(off.Lifecycle))
	alias := "od"
	if off.Lifecycle == fleet.Spot {
		alias = "spot"
	}
	add(fleet.AttributeLifecycleAlias, alias)
	return place.NewAttributes(attributes...)
}

// addSystem adds the attributes of the operating system. The family of Windows is known only
// of images that are named as AWS names them.
func (m *market) addSystem(add func(name, value string), spec *fleet.LaunchSpec, off *fleet.Offering) {
	if !spec.Windows() {
		add(osType, "linux")
		add(osFamily, "LINUX")
		return
	}
	add(osType, "windows")
	if family := m.familyOf(off); family != "" {
		add(osFamily, family)
	}
}

// The attributes of the operating system.
const (
	osType   = "ecs.os-type"
	osFamily = "ecs.os-family"
)

// familyOf is the family of Windows that the image of an offering runs, as far as its name
// tells.
func (m *market) familyOf(off *fleet.Offering) string {
	for _, image := range m.d.snap.Images {
		if image.OSFamily != "" && (image.Parameter == off.Image || off.ImageID != "" && image.ID == off.ImageID) {
			return image.OSFamily
		}
	}
	return fleet.WindowsFamily(off.Image)
}

// runsWindows reports whether an instance says that it runs Windows.
func (m *market) runsWindows(inst *fleet.Instance) bool {
	return inst.Attributes != fleet.NoIndex &&
		slices.Contains(m.d.snap.AttributeSets[inst.Attributes], fleet.Attribute{Name: osType, Value: "windows"})
}

// capabilities are what instances of the same launch spec and image were seen to carry,
// all of them; else the capabilities that all instances of the image have, or all of the
// cluster that run the same operating system; else the list that the agent of an ECS-optimized image registers.
func (m *market) capabilities(spec *fleet.LaunchSpec, image fleet.ImageID) []fleet.Attribute {
	key := learnedKey{string(spec.Name), image}
	if known, ok := m.carried[key]; ok {
		return known
	}
	known, ok := m.shared(func(inst *fleet.Instance) bool {
		return inst.LaunchSpec == spec.Name && (image == "" || inst.Image == image)
	})
	notCapability := func(a fleet.Attribute) bool { return !isCapability(a.Name) }
	if !ok && image != "" {
		known, ok = m.shared(func(inst *fleet.Instance) bool { return inst.Image == image })
		known = slices.DeleteFunc(known, notCapability)
	}
	if !ok {
		known, ok = m.shared(func(inst *fleet.Instance) bool { return m.runsWindows(inst) == spec.Windows() })
		known = slices.DeleteFunc(known, notCapability)
	}
	if !ok || len(known) == 0 {
		known = bootstrap
		if spec.Windows() {
			known = bootstrapWindows
		}
	}
	m.carried[key] = known
	return known
}

// shared is the intersection of the attributes of the registered instances that qualify.
// What is built in depends on the offering, and what Neap adds is added anyway.
func (m *market) shared(qualifies func(*fleet.Instance) bool) ([]fleet.Attribute, bool) {
	var known []fleet.Attribute
	done := map[int]bool{}
	for i := range m.d.snap.Instances {
		inst := &m.d.snap.Instances[i]
		if inst.Attributes == fleet.NoIndex || done[inst.Attributes] || !qualifies(inst) {
			continue
		}
		set := m.d.snap.AttributeSets[inst.Attributes]
		if len(done) == 0 {
			known = slices.DeleteFunc(slices.Clone(set), func(a fleet.Attribute) bool { return isBuiltIn(a.Name) })
		} else {
			known = slices.DeleteFunc(known, func(a fleet.Attribute) bool { return !slices.Contains(set, a) })
		}
		done[inst.Attributes] = true
	}
	return known, len(done) > 0
}

// newestAgent is the version of the agent in the images that AWS published last when the
// list of capabilities below was made: what an image has of which no instance was seen yet.
const newestAgent = "1.106.0"

// agentVersion is the version of the agent that instances of an image are going to run: that
// of the instance which registered last, for agents of older ones may have been updated.
func (m *market) agentVersion(image fleet.ImageID) string {
	if known, ok := m.agents[image]; ok {
		return known
	}
	version, at := newestAgent, time.Time{}
	for i := range m.d.snap.Instances {
		inst := &m.d.snap.Instances[i]
		if inst.Image == image && inst.AgentVersion != "" && inst.RegisteredAt.After(at) {
			version, at = inst.AgentVersion, inst.RegisteredAt
		}
	}
	m.agents[image] = version
	return version
}

func isCapability(name string) bool {
	return strings.HasPrefix(name, "ecs.capability.") || strings.HasPrefix(name, "com.amazonaws.ecs.capability.")
}

func isBuiltIn(name string) bool {
	switch name {
	case "ecs.capability.task-eni-trunking", fleet.AttributeLaunchSpec, fleet.AttributeLifecycle, fleet.AttributeLifecycleAlias:
		return true
	}
	return strings.HasPrefix(name, "ecs.") && !isCapability(name)
}

// bootstrap is what the agent of a current ECS-optimized Linux image registers, for a
// cluster in which none was seen yet. Leaving one out costs a launch that waits for a
// person; naming one too many costs an instance that its task cannot use.
var bootstrap = func() []fleet.Attribute {
	var list []fleet.Attribute
	for _, name := range []string{
		"privileged-container", "ecr-auth", "task-iam-role", "task-iam-role-network-host",
		"docker-remote-api.1.17", "docker-remote-api.1.18", "docker-remote-api.1.19", "docker-remote-api.1.20",
		"docker-remote-api.1.21", "docker-remote-api.1.22", "docker-remote-api.1.23", "docker-remote-api.1.24",
		"docker-remote-api.1.25", "docker-remote-api.1.26", "docker-remote-api.1.27", "docker-remote-api.1.28",
		"docker-remote-api.1.29", "docker-remote-api.1.30", "docker-remote-api.1.31", "docker-remote-api.1.32",
		"docker-remote-api.1.44",
		"logging-driver.json-file", "logging-driver.syslog", "logging-driver.journald", "logging-driver.gelf",
		"logging-driver.fluentd", "logging-driver.awslogs", "logging-driver.none", "logging-driver.awsfirelens",
	} {
		list = append(list, fleet.Attribute{Name: "com.amazonaws.ecs.capability." + name})
	}
	for _, name := range []string{
		"task-cpu-mem-limit", "increased-task-cpu-limit", "task-eni", "task-eni-block-instance-metadata", "cni-plugin-version",
		"docker-plugin.local", "execution-role-ecr-pull", "execution-role-awslogs", "ecr-endpoint", "container-health-check",
		"container-ordering", "private-registry-authentication.secretsmanager", "secrets.ssm.environment-variables",
		"secrets.ssm.bootstrap.log-driver", "secrets.asm.environment-variables", "secrets.asm.bootstrap.log-driver",
		"pid-ipc-namespace-sharing", "aws-appmesh", "firelens.fluentd", "firelens.fluentbit", "firelens.options.config.file",
		"firelens.options.config.s3", "full-sync", "efs", "efsAuth", "env-files.s3", "execute-command", "service-connect-v1",
		"storage.ebs-task-volume-attach", "network.container-port-range", "container-restart-policy",
	} {
		list = append(list, fleet.Attribute{Name: "ecs.capability." + name})
	}
	return list
}()

// bootstrapWindows is the same for Windows: it has no privileged containers, and its agent
// knows two log drivers.
var bootstrapWindows = func() []fleet.Attribute {
	lacking := []string{
		"privileged-container", "task-iam-role-network-host", "task-cpu-mem-limit", "pid-ipc-namespace-sharing", "aws-appmesh",
		"efs", "efsAuth", "service-connect-v1",
	}
	list := slices.DeleteFunc(slices.Clone(bootstrap), func(a fleet.Attribute) bool {
		name := strings.TrimPrefix(strings.TrimPrefix(a.Name, "com.amazonaws."), "ecs.capability.")
		driver, isDriver := strings.CutPrefix(name, "logging-driver.")
		return slices.Contains(lacking, name) || strings.HasPrefix(name, "firelens.") ||
			isDriver && driver != "json-file" && driver != "awslogs"
	})
	for _, name := range []string{"gmsa", "gmsa-domainless", "fsxWindowsFileServer"} {
		list = append(list, fleet.Attribute{Name: "ecs.capability." + name})
	}
	return list
}()
