package sim

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// Fixture is a number of like instances that somebody launches by hand.
type Fixture struct {
	Cluster    fleet.ClusterName
	Type       fleet.TypeName
	Zone       fleet.Zone // default the first
	Lifecycle  fleet.Lifecycle
	Count      int
	Attributes map[string]string
	Tags       map[string]string
	// Image is the SSM parameter of an image without /image_id, or al2, bottlerocket or
	// windows; default the image of Amazon Linux 2023 for the type.
	Image string
	// Settings are settings of the agent, such as ECS_RESERVED_MEMORY, beside those that
	// join the cluster.
	Settings map[string]string
	// CapacityProvider is whose auto scaling group launches them; see
	// [World.AddCapacityProvider].
	CapacityProvider string
}

// Launch launches instances that join a cluster, with the ECS image for their
// architecture: a cluster that was there before anybody scaled it.
func (w *World) Launch(f Fixture) ([]fleet.InstanceID, error) {
	t := w.typeNamed[string(f.Type)]
	if t == nil {
		return nil, fmt.Errorf("launch: there is no instance type %q", f.Type)
	}
	parameter := f.parameter(t)
	in := &RunInstancesInput{
		ImageID: "resolve:ssm:" + parameter + "/image_id", InstanceType: string(f.Type), MinCount: f.Count, MaxCount: f.Count,
		Placement: Placement{AvailabilityZone: cmp.Or(string(f.Zone), w.cfg.Zones[0].Name)},
		UserData:  base64.StdEncoding.EncodeToString([]byte(f.userData(parameter))),
	}
	if f.Lifecycle == fleet.Spot {
		in.InstanceMarketOptions.MarketType = "spot"
	}
	var tags []Tag
	for _, k := range sortedKeys(f.Tags) {
		tags = append(tags, Tag{k, f.Tags[k]})
	}
	in.TagSpecifications = []TagSpecification{{ResourceType: "instance", Tags: tags}}
	out, err := w.RunInstances(in)
	if err != nil {
		return nil, fmt.Errorf("launch %d %s: %w", f.Count, f.Type, err)
	}
	var ids []fleet.InstanceID
	for _, i := range out.Instances {
		w.instances[i.InstanceID].provider = f.CapacityProvider
		ids = append(ids, fleet.InstanceID(i.InstanceID))
	}
	return ids, nil
}

// parameter is the SSM parameter of the image for a type.
func (f *Fixture) parameter(t *instanceType) string {
	const ecs, bottlerocket = "/aws/service/ecs/optimized-ami/", "/aws/service/bottlerocket/aws-ecs-2"
	switch {
	case f.Image == "windows":
		return windowsImage
	case f.Image == "bottlerocket" && t.arm:
		return bottlerocket + "/arm64/latest"
	case f.Image == "bottlerocket" && t.gpus > 0:
		return bottlerocket + "-nvidia/x86_64/latest"
	case f.Image == "bottlerocket":
		return bottlerocket + "/x86_64/latest"
	case f.Image != "" && f.Image != "al2":
		return f.Image
	}
	system := "amazon-linux-2023"
	if f.Image == "al2" {
		system = "amazon-linux-2"
	}
	switch {
	case t.arm:
		system += "/arm64"
	case t.gpus > 0:
		system += "/gpu"
	}
	return ecs + system + "/recommended"
}

// userData is what joins the cluster, in the words of the image.
func (f *Fixture) userData(parameter string) string {
	attributes := "{"
	for i, k := range sortedKeys(f.Attributes) {
		attributes += fmt.Sprintf("%s%q:%q", []string{"", ","}[min(i, 1)], k, f.Attributes[k])
	}
	attributes += "}"
	settings := map[string]string{"ECS_CLUSTER": string(f.Cluster), "ECS_ENABLE_SPOT_INSTANCE_DRAINING": "true", "ECS_INSTANCE_ATTRIBUTES": attributes}
	maps.Copy(settings, f.Settings)
	var b strings.Builder
	switch (&image{parameter: parameter}).platform() {
	case platformBottlerocket:
		fmt.Fprintf(&b, "[settings.ecs]\ncluster = %q\nenable-spot-instance-draining = true\n", f.Cluster)
		if memory := f.Settings["ECS_RESERVED_MEMORY"]; memory != "" {
			fmt.Fprintf(&b, "reserved-memory = %s\n", memory)
		}
		b.WriteString("[settings.ecs.instance-attributes]\n")
		for _, k := range sortedKeys(f.Attributes) {
			fmt.Fprintf(&b, "%q = %q\n", k, f.Attributes[k])
		}
	case platformWindows:
		b.WriteString("<powershell>\n")
		for _, k := range sortedKeys(settings) {
			fmt.Fprintf(&b, "[Environment]::SetEnvironmentVariable(\"%s\", '%s', \"Machine\")\n", k, settings[k])
		}
		fmt.Fprintf(&b, "Initialize-ECSAgent -Cluster '%s' -EnableTaskIAMRole -EnableTaskENI\n</powershell>\n", f.Cluster)
	case platformLinux:
		b.WriteString("#!/bin/bash\ncat <<'EOF' >> /etc/ecs/ecs.config\n")
		for _, k := range sortedKeys(settings) {
			fmt.Fprintf(&b, "%s=%s\n", k, settings[k])
		}
		b.WriteString("EOF\n")
	}
	return b.String()
}
