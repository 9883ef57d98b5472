package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func one(change func(*RegisterTaskDefinitionInput)) *RegisterTaskDefinitionInput {
	in := &RegisterTaskDefinitionInput{Family: "web", ContainerDefinitions: []ContainerDefinition{{Name: "app", Image: "nginx:1", Memory: 512}}}
	if change != nil {
		change(in)
	}
	return in
}

// app changes the container of a task definition.
func app(change func(*ContainerDefinition)) func(*RegisterTaskDefinitionInput) {
	return func(in *RegisterTaskDefinitionInput) { change(&in.ContainerDefinitions[0]) }
}

func TestTaskDefinitionsThatECSRefuses(t *testing.T) {
	no := false
	for _, c := range []struct {
		name   string
		change func(*RegisterTaskDefinitionInput)
		want   string // in the message
	}{
		{"no family", func(in *RegisterTaskDefinitionInput) { in.Family = "" }, "Family should not be null or empty."},
		{"bad family", func(in *RegisterTaskDefinitionInput) { in.Family = "a b" }, "Family contains invalid characters."},
		{"no container", func(in *RegisterTaskDefinitionInput) { in.ContainerDefinitions = nil }, "Container list cannot be empty."},
		{"11 containers", func(in *RegisterTaskDefinitionInput) { in.ContainerDefinitions = make([]ContainerDefinition, 11) }, "at most 10"},
		{"64 KB", app(func(c *ContainerDefinition) { c.Command = []string{strings.Repeat("x", 65<<10)} }), "Max allowed length is '65536'"},
		{"no memory", app(func(c *ContainerDefinition) { c.Memory = 0 }), "Invalid setting for container 'app'. At least one of 'memory' or 'memoryReservation' must be specified."},
		{"reservation above memory", app(func(c *ContainerDefinition) { c.MemoryReservation = 600 }), "Invalid setting for container 'app'."},
		{"more than the task", func(in *RegisterTaskDefinitionInput) { in.Memory = "256" }, "The 'memory' setting for container 'app' is greater than for the task."},
		{"more CPU than the task", func(in *RegisterTaskDefinitionInput) {
			in.CPU, in.ContainerDefinitions[0].CPU = "1 vCPU", 1025
		}, "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'."},
		{"less than 128 CPU units", func(in *RegisterTaskDefinitionInput) { in.CPU = "127" }, "Invalid 'cpu' setting for task."},
		{"more than 192 vCPU", func(in *RegisterTaskDefinitionInput) { in.CPU = "193 vCPU" }, "Invalid 'cpu' setting for task."},
		{"nonsense memory", func(in *RegisterTaskDefinitionInput) { in.Memory = "much" }, "Invalid 'memory' setting for task."},
		{"host mode, other port", func(in *RegisterTaskDefinitionInput) {
			in.NetworkMode, in.ContainerDefinitions[0].PortMappings = "host", []PortMapping{{ContainerPort: 80, HostPort: 8080}}
		}, "When networkMode=host, the host ports and container ports in port mappings must match."},
		{"awsvpc, other port", func(in *RegisterTaskDefinitionInput) {
			in.NetworkMode, in.ContainerDefinitions[0].PortMappings = "awsvpc", []PortMapping{{ContainerPort: 80, HostPort: 8080}}
		}, "When networkMode=awsvpc, the host ports and container ports in port mappings must match."},
		{"awslogs without options", app(func(c *ContainerDefinition) { c.LogConfiguration = &LogConfiguration{LogDriver: "awslogs"} }), "Log driver awslogs requires options: awslogs-region, awslogs-group"},
		{"unknown volume", app(func(c *ContainerDefinition) { c.MountPoints = []MountPoint{{SourceVolume: "data"}} }), "Unknown volume 'data'."},
		{"nothing essential", app(func(c *ContainerDefinition) { c.Essential = &no }), "At least one container"},
		{"distinctInstance", func(in *RegisterTaskDefinitionInput) {
			in.PlacementConstraints = []PlacementConstraint{{Type: "distinctInstance"}}
		}, "distinctInstance"},
		{"platform", func(in *RegisterTaskDefinitionInput) {
			in.RuntimePlatform = &RuntimePlatform{CPUArchitecture: "riscv"}
		}, "cpuArchitecture"},
	} {
		w := must(New(Config{}))(t)
		_, err := w.RegisterTaskDefinition(one(c.change))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// TestTaskDefinitionIsNormalised: what is registered is not what is described.
func TestTaskDefinitionIsNormalised(t *testing.T) {
	w := must(New(Config{}))(t)
	in := one(app(func(c *ContainerDefinition) { c.PortMappings = []PortMapping{{ContainerPort: 80}} }))
	in.CPU, in.Memory, in.NetworkMode, in.Tags = "1 vCPU", "1 GB", "host", []Tag{{"b", "2"}, {"a", "1"}}
	must(w.RegisterTaskDefinition(in))(t)
	out := must(w.DescribeTaskDefinition(&DescribeTaskDefinitionInput{TaskDefinition: "web:1", Include: []string{"TAGS"}}))(t)
	d := out.TaskDefinition
	c := d.ContainerDefinitions[0]
	if d.CPU != "1024" || d.Memory != "1024" || d.Revision != 1 || d.Status != statusActive || !*c.Essential || c.PortMappings[0] != (PortMapping{ContainerPort: 80, HostPort: 80, Protocol: "tcp"}) {
		t.Errorf("described %+v", d)
	}
	if fmt.Sprint(out.Tags) != "[{a 1} {b 2}]" {
		t.Errorf("tags %v", out.Tags)
	}
	if out := must(w.DescribeTaskDefinition(&DescribeTaskDefinitionInput{TaskDefinition: "web"}))(t); len(out.Tags) != 0 {
		t.Errorf("tags %v that nobody asked for", out.Tags)
	}
}

// TestRequiresAttributes: which attributes a task definition asks for, and that the
// agents of Linux register every one of them but those of Windows.
func TestRequiresAttributes(t *testing.T) {
	w := must(New(Config{}))(t)
	has := (&instance{kind: w.typeNamed["m7i.large"], image: w.images[0], subnet: w.subnets[0]}).builtin()
	const secret, parameter = "arn:aws:secretsmanager:us-east-1:1:secret:x", "arn:aws:ssm:us-east-1:1:parameter/x"
	for _, c := range []struct {
		name   string
		change func(*RegisterTaskDefinitionInput)
		want   string // besides the API of Docker
	}{
		{"nothing", nil, ""},
		{"awsvpc", func(in *RegisterTaskDefinitionInput) { in.NetworkMode = "awsvpc" }, "ecs.capability.task-eni"},
		{"role", func(in *RegisterTaskDefinitionInput) { in.TaskRoleArn = "r" }, "com.amazonaws.ecs.capability.task-iam-role"},
		{"role in host mode", func(in *RegisterTaskDefinitionInput) { in.TaskRoleArn, in.NetworkMode = "r", "host" }, "com.amazonaws.ecs.capability.task-iam-role com.amazonaws.ecs.capability.task-iam-role-network-host"},
		{"task size", func(in *RegisterTaskDefinitionInput) { in.CPU = "256" }, "ecs.capability.task-cpu-mem-limit"},
		{"large task", func(in *RegisterTaskDefinitionInput) { in.CPU = "16 vCPU" }, "ecs.capability.increased-task-cpu-limit ecs.capability.task-cpu-mem-limit"},
		{"pid mode", func(in *RegisterTaskDefinitionInput) { in.PidMode = "task" }, "ecs.capability.pid-ipc-namespace-sharing"},
		{"ECR", func(in *RegisterTaskDefinitionInput) {
			in.ExecutionRoleArn, in.ContainerDefinitions[0].Image = "r", "1.dkr.ecr.us-east-1.amazonaws.com/x"
		}, "com.amazonaws.ecs.capability.ecr-auth ecs.capability.execution-role-ecr-pull"},
		{"logs", func(in *RegisterTaskDefinitionInput) {
			in.ExecutionRoleArn = "r"
			in.ContainerDefinitions[0].LogConfiguration = &LogConfiguration{LogDriver: "awslogs", Options: map[string]string{"awslogs-group": "g", "awslogs-region": "r"}, SecretOptions: []Secret{{"x", parameter}}}
		}, "com.amazonaws.ecs.capability.logging-driver.awslogs ecs.capability.execution-role-awslogs ecs.capability.secrets.ssm.bootstrap.log-driver"},
		{"secrets", app(func(c *ContainerDefinition) { c.Secrets = []Secret{{"a", secret}, {"b", parameter}} }), "ecs.capability.secrets.asm.environment-variables ecs.capability.secrets.ssm.environment-variables"},
		{"EFS", func(in *RegisterTaskDefinitionInput) {
			in.Volumes = []TaskVolume{{Name: "v", EFSVolumeConfiguration: &EFSVolumeConfiguration{FileSystemID: "fs", TransitEncryption: "ENABLED"}}}
		}, "ecs.capability.efs ecs.capability.efsAuth"},
		{"EBS", func(in *RegisterTaskDefinitionInput) {
			in.Volumes = []TaskVolume{{Name: "v", ConfiguredAtLaunch: true}}
		}, "ecs.capability.storage.ebs-task-volume-attach"},
		{"private registry", app(func(c *ContainerDefinition) { c.RepositoryCredentials = &RepositoryCredentials{secret} }), "ecs.capability.private-registry-authentication.secretsmanager"},
		{"health check", app(func(c *ContainerDefinition) { c.HealthCheck = &HealthCheck{Command: []string{"CMD", "true"}} }), "ecs.capability.container-health-check"},
		{"order", app(func(c *ContainerDefinition) { c.StartTimeout = 10 }), "ecs.capability.container-ordering"},
		{"privileged", app(func(c *ContainerDefinition) { c.Privileged = true }), "com.amazonaws.ecs.capability.privileged-container"},
		{"environment file", app(func(c *ContainerDefinition) { c.EnvironmentFiles = []EnvironmentFile{{"arn", "s3"}} }), "ecs.capability.env-files.s3"},
		{"FireLens", app(func(c *ContainerDefinition) {
			c.Firelens = &FirelensConfiguration{Type: "fluentbit", Options: map[string]string{"config-file-type": "s3"}}
		}), "ecs.capability.firelens.fluentbit ecs.capability.firelens.options.config.s3"},
		{"port range", app(func(c *ContainerDefinition) { c.PortMappings = []PortMapping{{ContainerPortRange: "8000-8010"}} }), "ecs.capability.network.container-port-range"},
		{"restarts", app(func(c *ContainerDefinition) { c.RestartPolicy = &ContainerRestartPolicy{Enabled: true} }), "ecs.capability.container-restart-policy"},
		{"gMSA", app(func(c *ContainerDefinition) { c.CredentialSpecs = []string{"credentialspec:arn"} }), "ecs.capability.gmsa"},
	} {
		in := one(c.change)
		in.Family = strings.ReplaceAll(c.name, " ", "-")
		out := must(w.RegisterTaskDefinition(in))(t)
		var got []string
		for _, a := range out.TaskDefinition.RequiresAttributes {
			if !strings.Contains(a.Name, "docker-remote-api") {
				got = append(got, a.Name)
			}
			if _, registered := has[a.Name]; !registered && !strings.Contains(a.Name, "gmsa") {
				t.Errorf("%s: no agent registers %s", c.name, a.Name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s requires %v, want %s", c.name, got, c.want)
		}
	}
}

func TestTaskDefinitionLife(t *testing.T) {
	w := must(New(Config{}))(t)
	for range 3 {
		must(w.RegisterTaskDefinition(one(nil)))(t)
	}
	must(w.RegisterTaskDefinition(one(func(in *RegisterTaskDefinitionInput) { in.Family = "api" })))(t)
	_, err := w.DeregisterTaskDefinition(&DeregisterTaskDefinitionInput{TaskDefinition: "web"})
	failsWith(t, "no revision", err, codeInvalid)
	gone := must(w.DeregisterTaskDefinition(&DeregisterTaskDefinitionInput{TaskDefinition: "web:3"}))(t)
	if gone.TaskDefinition.Status != statusInactive || gone.TaskDefinition.DeregisteredAt.IsZero() {
		t.Errorf("deregistered %+v", gone.TaskDefinition)
	}
	if out := must(w.DescribeTaskDefinition(&DescribeTaskDefinitionInput{TaskDefinition: "web"}))(t); out.TaskDefinition.Revision != 2 {
		t.Errorf("the latest active revision is %d", out.TaskDefinition.Revision)
	}
	deleted := must(w.DeleteTaskDefinitions(&DeleteTaskDefinitionsInput{TaskDefinitions: []string{"web:3", "web:1", "web:9"}}))(t)
	if len(deleted.TaskDefinitions) != 1 || deleted.TaskDefinitions[0].Status != statusDeleting || len(deleted.Failures) != 2 {
		t.Errorf("deleted %+v", deleted)
	}
	list := func(status, sort string) string {
		out := must(w.ListTaskDefinitions(&ListTaskDefinitionsInput{FamilyPrefix: "web", Status: status, Sort: sort}))(t)
		var names []string
		for _, arn := range out.TaskDefinitionArns {
			names = append(names, lastPart(arn))
		}
		return strings.Join(names, " ")
	}
	if got := list("", "DESC"); got != "web:2 web:1" {
		t.Errorf("active %s", got)
	}
	if got := list(statusDeleting, ""); got != "web:3" {
		t.Errorf("deleting %s", got)
	}
	_, err = w.ListTaskDefinitions(&ListTaskDefinitionsInput{Status: "GONE"})
	failsWith(t, "unknown status", err, codeInvalid)
	must(w.DeregisterTaskDefinition(&DeregisterTaskDefinitionInput{TaskDefinition: "api:1"}))(t)
	for status, want := range map[string]string{"": "[api web]", "ALL": "[api web]", "ACTIVE": "[web]", "INACTIVE": "[api]"} { //neap:unordered independent
		if out := must(w.ListTaskDefinitionFamilies(&ListTaskDefinitionFamiliesInput{Status: status}))(t); fmt.Sprint(out.Families) != want {
			t.Errorf("%s families %v, want %s", status, out.Families, want)
		}
	}
	if out := must(w.ListTaskDefinitionFamilies(&ListTaskDefinitionFamiliesInput{FamilyPrefix: "we"}))(t); !slices.Equal(out.Families, []string{"web"}) {
		t.Errorf("families %v", out.Families)
	}
	must(w.CreateCluster(&CreateClusterInput{ClusterName: "c"}))(t)
	_, err = w.RunTask(&RunTaskInput{Cluster: "c", TaskDefinition: "web:3"})
	failsWith(t, "run a deleted definition", err, codeClient)
}
