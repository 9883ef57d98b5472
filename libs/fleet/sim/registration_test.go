package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// hostsOf are the container instances of a cluster as DescribeContainerInstances shows
// them, in the order of registration.
func hostsOf(t *testing.T, w *World, cluster string) []ContainerInstance {
	t.Helper()
	listed := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: cluster}))(t)
	if len(listed.ContainerInstanceArns) == 0 {
		return nil
	}
	return must(w.DescribeContainerInstances(&DescribeContainerInstancesInput{
		Cluster: cluster, ContainerInstances: listed.ContainerInstanceArns, Include: []string{"TAGS", "CONTAINER_INSTANCE_HEALTH"},
	}))(t).ContainerInstances
}

// resource is a registered or remaining resource by name.
func resource(list []Resource, name string) Resource {
	for _, r := range list {
		if r.Name == name {
			return r
		}
	}
	return Resource{}
}

// TestRegisteredMemory compares what instances register with the published observations.
func TestRegisteredMemory(t *testing.T) {
	const old, newer = "amazon-linux-2/", "amazon-linux-2023/"
	w := must(New(Config{}))(t)
	for _, c := range []struct {
		name       string
		nominal    int64
		registered int64
		image      string
	}{
		{"t2.micro", 1024, 993, old},
		{"t2.medium", 4096, 3952, old},
		{"t2.large", 8192, 7984, old},
		{"m4.large", 8192, 7985, old},
		{"m4.16xlarge", 262144, 257953, old},
		{"c4.8xlarge", 61440, 60385, old},
		{"r4.large", 15616, 15292, old},
		{"r4.16xlarge", 499712, 491809, old},
		{"t3.small", 2048, 1901, old},
		{"t3.medium", 4096, 3884, old},
		{"t3.medium", 4096, 3828, newer},
		{"m5.large", 8192, 7680, newer},
		{"m5.xlarge", 16384, 15576, newer},
		{"m5.2xlarge", 32768, 31368, newer},
		{"m5.4xlarge", 65536, 62950, newer},
		{"m5.12xlarge", 196608, 189283, newer},
		{"m5.24xlarge", 393216, 378652, newer},
		{"c5.large", 4096, 3704, newer},
		{"c5.xlarge", 8192, 7624, newer},
		{"c5.2xlarge", 16384, 15463, newer},
		{"c5.4xlarge", 32768, 31142, newer},
		{"c5.9xlarge", 73728, 70341, newer},
		{"c5.18xlarge", 147456, 140768, newer},
		{"g4dn.xlarge", 16384, 15731, newer},
		{"inf1.xlarge", 8192, 7667, newer},
		{"m6i.large", 8192, 7820, newer},
		{"m6i.2xlarge", 32768, 31632, newer},
		{"m4.large", 8192, 8191, "windows"},
	} {
		image := w.images[slices.IndexFunc(w.images, func(i *image) bool { return strings.Contains(strings.ToLower(i.parameter), c.image) })]
		kind := w.typeNamed[c.name]
		if kind == nil || kind.memory != c.nominal {
			t.Errorf("%s of %d MiB is not in the catalogue", c.name, c.nominal)
			continue
		}
		got := w.registers(&instance{kind: kind, image: image}).MemoryMiB
		const tolerance = 0.012 // of the nominal memory
		if off := float64(got-c.registered) / float64(c.nominal); off > tolerance || off < -tolerance {
			t.Errorf("%s with %s registers %d MiB, %d were published: off by %.1f %%", c.name, c.image, got, c.registered, off*100)
		}
		if prior := c.nominal - 220 - c.nominal*45/1000; got < prior {
			t.Errorf("%s with %s registers %d MiB, less than the bound %d", c.name, c.image, got, prior)
		}
	}
}

// TestMemoryDiffersBetweenImages: a newer image keeps a little more or less, so that
// what was learned of one image is not true of the next.
func TestMemoryDiffersBetweenImages(t *testing.T) {
	w := must(New(Config{}))(t)
	seen := map[int64]bool{}
	for range 5 {
		if _, err := w.AddImage("/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended"); err != nil {
			t.Fatal(err)
		}
		seen[w.registers(&instance{kind: w.typeNamed["m7i.large"], image: w.images[len(w.images)-1]}).MemoryMiB] = true
	}
	if len(seen) < 3 {
		t.Errorf("five images register %v", seen)
	}
}

func TestWhatAnInstanceRegisters(t *testing.T) {
	w := run(t, Config{}, `
cluster web
launch m7i.large set ECS_RESERVED_MEMORY=256 set 'ECS_RESERVED_PORTS=[22,8080]' set 'ECS_RESERVED_PORTS_UDP=[53]' set 'ECS_CONTAINER_INSTANCE_TAGS={"a":"b"}' set ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=ec2_instance tag a=ec2 tag team=x attribute stack=prod
launch g4dn.xlarge
launch m7g.large image bottlerocket attribute stack=prod
`, 3*time.Minute)
	h := hostsOf(t, w, "web")
	if len(h) != 3 {
		t.Fatalf("%d registered", len(h))
	}
	byType := map[string]ContainerInstance{}
	for _, i := range h {
		for _, a := range i.Attributes {
			if a.Name == "ecs.instance-type" {
				byType[a.Value] = i
			}
		}
	}
	m7i, gpu, arm := byType["m7i.large"], byType["g4dn.xlarge"], byType["m7g.large"]
	if got := resource(m7i.RegisteredResources, "CPU").IntegerValue; got != 2048 {
		t.Errorf("CPU %d", got)
	}
	if got := resource(m7i.RegisteredResources, "MEMORY").IntegerValue; got != 7677-256 {
		t.Errorf("memory %d", got)
	}
	if got := resource(m7i.RemainingResources, "PORTS").StringSetValue; fmt.Sprint(got) != "[22 8080]" {
		t.Errorf("ports %v", got)
	}
	if got := resource(m7i.RemainingResources, "PORTS_UDP").StringSetValue; fmt.Sprint(got) != "[53]" {
		t.Errorf("UDP ports %v", got)
	}
	if fmt.Sprint(m7i.Tags) != "[{a b} {team x}]" {
		t.Errorf("tags %v: its own count before those of the instance", m7i.Tags)
	}
	if got := resource(gpu.RegisteredResources, "GPU"); got.Type != "STRINGSET" || len(got.StringSetValue) != 1 {
		t.Errorf("GPU %+v", got)
	}
	for _, r := range m7i.RegisteredResources {
		if r.Name == "ENI" {
			t.Error("network interfaces are reported")
		}
	}
	if !slices.Contains(arm.Attributes, Attribute{Name: "stack", Value: "prod"}) || !slices.Contains(arm.Attributes, Attribute{Name: "ecs.cpu-architecture", Value: "arm64"}) {
		t.Errorf("attributes %v", arm.Attributes)
	}
	if m7i.HealthStatus.OverallStatus != "OK" {
		t.Errorf("health %+v", m7i.HealthStatus)
	}
	// a port that the agent keeps is not to be had
	must(w.RegisterTaskDefinition(&RegisterTaskDefinitionInput{Family: "p", ContainerDefinitions: []ContainerDefinition{{Name: "app", Image: "i", Memory: 10, PortMappings: []PortMapping{{ContainerPort: 8080, HostPort: 8080}}}}}))(t)
	out := must(w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "p", PlacementConstraints: []PlacementConstraint{{Type: "memberOf", Expression: "attribute:ecs.instance-type == m7i.large"}}}))(t)
	if !slices.ContainsFunc(out.Failures, func(f Failure) bool { return f.Reason == "RESOURCE:PORTS" }) {
		t.Errorf("failures %+v", out.Failures)
	}
}

func TestCapabilitiesByPlatform(t *testing.T) {
	w := run(t, Config{Trunking: true}, `
cluster web
launch m7i.large
launch m7i.large image bottlerocket
launch m7i.large image windows
launch m7i.large set ECS_ENABLE_TASK_ENI=false set ECS_DISABLE_PRIVILEGED=true
`, 15*time.Minute)
	var got []string
	for _, h := range w.clusters["web"].hostRoll.items {
		line := h.builtin[attributeOSFamily]
		for _, a := range []string{
			"ecs.capability.task-eni", "ecs.capability.task-eni-trunking", "com.amazonaws.ecs.capability.privileged-container",
			"com.amazonaws.ecs.capability.logging-driver.splunk", "ecs.capability.gmsa", "ecs.capability.efs",
		} {
			if _, has := h.builtin[a]; has {
				line += " " + a[strings.LastIndexByte(a, '.')+1:]
			}
		}
		got = append(got, line+" "+h.status)
	}
	slices.Sort(got)
	want := []string{
		"LINUX splunk efs ACTIVE",
		"LINUX task-eni task-eni-trunking privileged-container efs ACTIVE",
		"LINUX task-eni task-eni-trunking privileged-container splunk efs ACTIVE",
		"WINDOWS_SERVER_2022_CORE task-eni gmsa ACTIVE",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRuntimePlatform: a Windows task goes to Windows, an ARM64 task to Graviton.
func TestRuntimePlatform(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		w := run(t, Config{PlatformIgnored: ignored}, "cluster web\nlaunch m7i.large", 2*time.Minute)
		must(w.RegisterTaskDefinition(&RegisterTaskDefinitionInput{
			Family: "win", ContainerDefinitions: []ContainerDefinition{{Name: "app", Image: "i", Memory: 10}},
			RuntimePlatform: &RuntimePlatform{OperatingSystemFamily: "WINDOWS_SERVER_2022_CORE"},
		}))(t)
		out := must(w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "win"}))(t)
		if placed := len(out.Tasks) == 1; placed != ignored {
			t.Errorf("ignored %v: %+v", ignored, out.Failures)
		}
	}
}

// TestThreadsPerCore: the CPU an instance registers is its threads.
func TestThreadsPerCore(t *testing.T) {
	w := must(New(Config{}))(t)
	for threads, want := range map[int]int64{0: 8192, 1: 4096, 2: 8192} { //neap:unordered independent
		if got := w.registers(&instance{kind: w.typeNamed["m7i.2xlarge"], image: w.images[0], threads: threads}); got.CPUUnits != want {
			t.Errorf("%d threads per core: %d CPU units, want %d", threads, got.CPUUnits, want)
		}
	}
	if r := w.registers(&instance{kind: w.typeNamed["g4dn.xlarge"], image: w.images[0]}); r.GPUs != 0 {
		t.Errorf("an image without a driver registers %d GPUs", r.GPUs)
	}
}
