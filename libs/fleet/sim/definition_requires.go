package sim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// requires are the attributes that an instance must carry for this definition. ECS works
// them out at registration; which feature asks for which attribute follows the names under
// which agents register them.
func (d *taskDefinition) requires() []Attribute {
	names := map[string]bool{}
	add := func(condition bool, attributes ...string) {
		for _, a := range attributes {
			names[a] = names[a] || condition
		}
	}
	api := func(minor string, condition bool) { add(condition, oldCapability+"docker-remote-api.1."+minor) }
	add(d.NetworkMode == networkAwsvpc, newCapability+"task-eni")
	add(d.TaskRoleArn != "", oldCapability+"task-iam-role")
	add(d.TaskRoleArn != "" && d.NetworkMode == networkHost, oldCapability+"task-iam-role-network-host")
	add(d.CPU != "" || d.Memory != "", newCapability+"task-cpu-mem-limit")
	cpu, _ := strconv.ParseInt(d.CPU, 10, 64)
	add(cpu > oldMostTaskCPU, newCapability+"increased-task-cpu-limit")
	add(d.PidMode != "" || d.IpcMode != "", newCapability+"pid-ipc-namespace-sharing")
	add(d.ProxyConfiguration != nil, newCapability+"aws-appmesh")
	add(d.EnableFaultInjection, newCapability+"fault-injection")
	api("18", true)
	for i := range d.Volumes {
		v := &d.Volumes[i]
		efs := v.EFSVolumeConfiguration
		add(efs != nil, newCapability+"efs")
		api("25", efs != nil)
		add(efs != nil && (efs.AuthorizationConfig != nil || efs.TransitEncryption == "ENABLED"), newCapability+"efsAuth")
		add(v.FSxWindowsFileServer != nil, newCapability+"fsxWindowsFileServer")
		add(v.ConfiguredAtLaunch, newCapability+"storage.ebs-task-volume-attach")
		if v.DockerVolume != nil {
			add(true, newCapability+"docker-plugin."+orLocal(v.DockerVolume.Driver))
		}
	}
	for i := range d.ContainerDefinitions {
		d.containerRequires(&d.ContainerDefinitions[i], add)
		api("21", d.ContainerDefinitions[i].MemoryReservation > 0)
	}
	var list []Attribute
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] {
			list = append(list, Attribute{Name: name})
		}
	}
	return list
}

// oldMostTaskCPU is how much CPU a task could ask for before agents were told of more.
const oldMostTaskCPU = 10240

func orLocal(driver string) string {
	if driver == "" {
		return "local"
	}
	return driver
}

// containerRequires adds what one container asks for.
func (d *taskDefinition) containerRequires(c *ContainerDefinition, add func(bool, ...string)) {
	role := d.ExecutionRoleArn != ""
	ecr := strings.Contains(c.Image, ".dkr.ecr.")
	add(ecr, oldCapability+"ecr-auth")
	add(ecr && role, newCapability+"execution-role-ecr-pull")
	add(c.RepositoryCredentials != nil, newCapability+"private-registry-authentication.secretsmanager")
	add(c.HealthCheck != nil, newCapability+"container-health-check", oldCapability+"docker-remote-api.1.24")
	add(len(c.DependsOn) > 0 || c.StartTimeout > 0, newCapability+"container-ordering")
	add(c.Privileged, oldCapability+"privileged-container")
	add(len(c.EnvironmentFiles) > 0, newCapability+"env-files.s3")
	add(c.RestartPolicy != nil && c.RestartPolicy.Enabled, newCapability+"container-restart-policy")
	for _, s := range c.Secrets {
		add(true, newCapability+"secrets."+keptBy(s)+".environment-variables")
	}
	for _, p := range c.PortMappings {
		add(p.ContainerPortRange != "", newCapability+"network.container-port-range")
	}
	if f := c.Firelens; f != nil {
		add(true, newCapability+"firelens."+f.Type)
		if kind := f.Options["config-file-type"]; kind != "" {
			add(true, newCapability+"firelens.options.config."+kind)
		}
	}
	if l := c.LogConfiguration; l != nil {
		add(true, oldCapability+"logging-driver."+l.LogDriver)
		add(l.LogDriver == "awslogs" && role, newCapability+"execution-role-awslogs")
		for _, s := range l.SecretOptions {
			add(true, newCapability+"secrets."+keptBy(s)+".bootstrap.log-driver")
		}
	}
	for _, spec := range c.CredentialSpecs {
		add(strings.HasPrefix(spec, "credentialspecdomainless:"), newCapability+"gmsa-domainless")
		add(strings.HasPrefix(spec, "credentialspec:"), newCapability+"gmsa")
	}
}

// keptBy is who keeps a secret: Secrets Manager or the parameter store of SSM.
func keptBy(s Secret) string {
	if strings.Contains(s.ValueFrom, ":secretsmanager:") {
		return "asm"
	}
	return "ssm"
}
