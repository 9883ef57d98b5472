package sim

import (
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// agentVersion is the version of the agents in all simulated images.
const agentVersion = "1.88.0"

// The prefixes of capability attributes: old ones and new ones.
const (
	oldCapability = "com.amazonaws.ecs.capability."
	newCapability = "ecs.capability."
)

// capabilities are the attributes that the agents of Linux register whatever they are
// told, in the version that the simulated images carry.
var capabilities = func() []string {
	list := []string{
		oldCapability + "ecr-auth",
		"ecs.capability.increased-task-cpu-limit", "ecs.capability.execution-role-ecr-pull", "ecs.capability.execution-role-awslogs",
		"ecs.capability.container-health-check", "ecs.capability.container-ordering", "ecs.capability.ecr-endpoint",
		"ecs.capability.private-registry-authentication.secretsmanager", "ecs.capability.secrets.ssm.environment-variables",
		"ecs.capability.secrets.asm.environment-variables", "ecs.capability.secrets.ssm.bootstrap.log-driver",
		"ecs.capability.secrets.asm.bootstrap.log-driver", "ecs.capability.full-sync", "ecs.capability.env-files.s3",
		"ecs.capability.docker-plugin.local", "ecs.capability.execute-command", "ecs.capability.network.container-port-range",
		"ecs.capability.container-restart-policy", "ecs.capability.storage.ebs-task-volume-attach", "ecs.capability.ipv6-only",
	}
	return slices.Clip(list)
}()

// linuxCapabilities are those that only the agents of Linux register.
var linuxCapabilities = []string{
	oldCapability + "apparmor", "ecs.capability.task-cpu-mem-limit", "ecs.capability.pid-ipc-namespace-sharing",
	"ecs.capability.aws-appmesh", "ecs.capability.firelens.fluentd", "ecs.capability.firelens.fluentbit",
	"ecs.capability.firelens.options.config.file", "ecs.capability.firelens.options.config.s3", "ecs.capability.efs",
	"ecs.capability.efsAuth", "ecs.capability.service-connect-v1", "ecs.capability.fault-injection",
}

// windowsCapabilities are those that only the agents of Windows register.
var windowsCapabilities = []string{
	"ecs.capability.gmsa", "ecs.capability.gmsa-domainless", "ecs.capability.fsxWindowsFileServer",
}

// usualDrivers are the log drivers that agents have unless told otherwise.
var usualDrivers = map[platform][]string{
	platformLinux:        {"json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "awsfirelens", "none"},
	platformBottlerocket: {"json-file", "awslogs", "none", "journald"},
	platformWindows:      {"json-file", "awslogs"},
}

// can are the capability attributes that the agent of an instance registers, with their
// values.
func (m *instance) can() map[string]string {
	p, a := m.image.platform(), &m.agent
	has := map[string]string{}
	add := func(on bool, names ...string) {
		for _, name := range names {
			if on {
				has[name] = ""
			}
		}
	}
	add(true, capabilities...)
	add(p == platformWindows, windowsCapabilities...)
	add(p != platformWindows, linuxCapabilities...)
	add(a.has(offPrivileged), oldCapability+offPrivileged)
	add(a.has(offTaskRole), oldCapability+offTaskRole)
	add(a.has(offTaskRole) && a.has(offHostRole), oldCapability+offHostRole)
	if a.has(offENI) {
		add(true, newCapability+"task-eni", newCapability+"task-eni-block-instance-metadata")
		has[newCapability+"cni-plugin-version"] = "2024.09.0"
	}
	if m.gpus() > 0 {
		has[newCapability+"nvidia-driver-version.550.163.01"] = ""
	}
	// Versions of Docker's API. The agent of Windows registers those below 1.24 as well,
	// though it speaks 1.24 then.
	const oldest, newest = 17, 44
	for minor := oldest; minor <= newest; minor++ {
		has[oldCapability+"docker-remote-api.1."+strconv.Itoa(minor)] = ""
	}
	drivers := a.drivers
	if drivers == nil {
		drivers = usualDrivers[p]
	}
	for _, d := range drivers {
		has[oldCapability+"logging-driver."+d] = ""
	}
	return has
}

// builtin are the attributes that ECS and the agent give an instance at registration.
func (m *instance) builtin() map[string]string {
	all := m.can()
	all["ecs.ami-id"], all["ecs.availability-zone"] = m.image.ImageID, m.subnet.Zone
	all["ecs.instance-type"], all[attributeArchitecture] = m.kind.name, m.kind.architecture()
	all["ecs.vpc-id"], all["ecs.subnet-id"] = m.subnet.VPC, m.subnet.ID
	all[attributeOSType], all[attributeOSFamily] = "linux", "LINUX"
	if m.image.platform() == platformWindows {
		all[attributeOSType], all[attributeOSFamily] = "windows", m.image.windowsFamily()
	}
	return all
}

// windowsFamily is the OS family of a Windows image, such as WINDOWS_SERVER_2022_CORE.
func (i *image) windowsFamily() string {
	name := i.parameter[strings.LastIndexByte(i.parameter, '/')+1:] // Windows_Server-2022-English-Core-ECS_Optimized
	parts := strings.Split(name, "-")
	const release, edition = 1, 3
	if len(parts) <= edition {
		return "WINDOWS_SERVER_2022_CORE"
	}
	return "WINDOWS_SERVER_" + parts[release] + "_" + strings.ToUpper(parts[edition])
}

// gpus are the GPUs that the agent sees: none without a driver in the image.
func (m *instance) gpus() int64 {
	if !m.image.hasGPUDriver() || !m.agent.has(offGPU) {
		return 0
	}
	return m.kind.gpus
}

// registers is what an instance registers with ECS: its threads, its memory as the
// operating system sees it, its GPUs, and slots for tasks in awsvpc mode.
func (w *World) registers(m *instance) fleet.Resources {
	r := m.kind.registers(m.threads)
	kept := w.kernelMemory(m.image) + m.agent.reservedMemory
	r.MemoryMiB, r.GPUs = max(m.kind.visibleMemory(m.image.platform())-kept, 0), m.gpus()
	if !m.agent.has(offENI) {
		r.ENIs = 0
	}
	return r
}

// registers is what instances of the type register with the usual image; 0 threads per
// core are as many as it has.
func (t *instanceType) registers(threadsPerCore int) fleet.Resources {
	const cpuUnits = 1024 // of a thread
	vcpus := t.vcpus
	if threadsPerCore == 1 && t.threads() > 1 {
		vcpus = max(vcpus/t.threads(), 1)
	}
	return fleet.Resources{
		CPUUnits: vcpus * cpuUnits, MemoryMiB: t.visibleMemory(platformLinux) - kernelGrowth, GPUs: t.gpus, ENIs: t.taskENIs,
	}
}

// visibleMemory is the memory in MiB that the oldest kernel of a platform leaves of what a
// type has, fitted to the published registrations.
//
// Xen keeps 80 MiB and 1.6 % (small types less). With the newer kernel Nitro keeps 216 MiB
// and 3.65 %, of compute types 4.35 %; of burstable ones 138 MiB and 3.2 %, of the 6th
// generation 117 MiB and 3.1 %. What newer generations keep was not published: they get the
// general line, the harder case. Graviton keeps 64 MiB more for contiguous allocation,
// Windows nothing.
func (t *instanceType) visibleMemory(p platform) int64 {
	family, _, _ := strings.Cut(t.name, ".")
	if p == platformWindows {
		return t.memory - 1
	}
	fixed, share := int64(216), int64(365) // MiB, and parts of ten thousand
	switch {
	case t.xen:
		const small = 350 // of ten thousand: what types under 4 GiB keep in all
		return t.memory - min(80+t.memory/64, t.memory*small/10000)
	case t.burstable:
		fixed, share = 138, 317
	case len(family) > 1 && family[1] == '6':
		fixed, share = 117, 311
	case t.compute:
		share = 435
	}
	if t.arm {
		fixed += 64
	}
	return max(t.memory-fixed-t.memory*share/10000, t.memory/2) + kernelGrowth
}

// kernelGrowth is how many MiB the kernel of Amazon Linux 2023 keeps beyond that of Amazon
// Linux 2: t3.medium registered 3884 MiB, later 3828.
const kernelGrowth = 56

// kernelMemory is how many MiB the kernel of an image keeps beyond the oldest one. Images
// that are published later differ a little, so that what was learned of one is wrong for
// the next.
func (w *World) kernelMemory(i *image) int64 {
	if i.platform() == platformWindows {
		return 0
	}
	kept := int64(kernelGrowth)
	if strings.Contains(i.parameter, "/amazon-linux-2/") {
		kept = 0
	}
	for _, first := range w.images {
		if first.parameter == i.parameter {
			if first != i {
				const span, more = 48, 8 // MiB: from 40 less to 8 more
				kept += more - int64(w.hash("kernel", i.Name)%(span+1))
			}
			break
		}
	}
	return kept
}
