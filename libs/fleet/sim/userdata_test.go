package sim

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// TestParseUserData reads user data as the machine would: here-documents, echo and
// MIME messages on Amazon Linux, TOML on Bottlerocket, PowerShell on Windows.
func TestParseUserData(t *testing.T) {
	at := time.Date(2026, 1, 5, 9, 5, 0, 0, time.UTC)
	const shell = "#!/bin/bash\n"
	windows := []string{offPrivileged, offHostRole}
	for _, c := range []struct {
		name     string
		platform platform
		text     string
		want     agentConfig
	}{
		{
			"here-document", platformLinux, shell + "cat <<'EOF_' >> /etc/ecs/ecs.config\nECS_CLUSTER=web\nECS_INSTANCE_ATTRIBUTES={\"a\":\"b\"}\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\nECS_RESERVED_MEMORY=256\nEOF_\n",
			agentConfig{cluster: "web", attributes: map[string]string{"a": "b"}, drainOnSpot: true, reservedMemory: 256},
		},
		{"echo", platformLinux, shell + "echo ECS_CLUSTER=web >> /etc/ecs/ecs.config", agentConfig{cluster: "web"}},
		{"quoted echo", platformLinux, shell + "echo \"ECS_CLUSTER=web\" >> /etc/ecs/ecs.config;", agentConfig{cluster: "web"}},
		{"quoted value", platformLinux, "#!/bin/bash\r\nECS_CLUSTER='web'\r\n", agentConfig{cluster: "web"}},
		{"comment", platformLinux, shell + "# ECS_CLUSTER=web", agentConfig{}},
		{"no script", platformLinux, "ECS_CLUSTER=web", agentConfig{}}, // cloud-init does not run it
		{"settings of Bottlerocket on Amazon Linux", platformLinux, "[settings.ecs]\ncluster = \"web\"", agentConfig{}},
		{"mime", platformLinux, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"x\"\n\n--x\nContent-Type: text/x-shellscript\n\n#!/bin/sh\ncat >> /etc/ecs/ecs.config <<EOF\nECS_CLUSTER=web\nEOF\n--x--", agentConfig{cluster: "web"}},
		{"deadline", platformLinux, shell + "# neap.dev/boot-deadline=2026-01-05T09:05:00Z\nECS_CLUSTER=web", agentConfig{cluster: "web", deadline: at}},
		{"deadline in epoch seconds", platformLinux, fmt.Sprintf(shell+"BOOT_DEADLINE=%d\nECS_CLUSTER=web", at.Unix()), agentConfig{cluster: "web", deadline: at}},
		{"boot guard", platformLinux, shell + "if [ -n \"$launched\" ] && [ $(( $(date +%s) - $(date -d \"$launched\" +%s) )) -gt 420 ]; then\nECS_CLUSTER=web", agentConfig{cluster: "web", bootWithin: 7 * time.Minute}},
		{"tags", platformLinux, shell + `ECS_CONTAINER_INSTANCE_TAGS={"k":"v","a":"b"}` + "\nECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=ec2_instance", agentConfig{tags: []Tag{{"a", "b"}, {"k", "v"}}, ec2Tags: true}},
		{
			"ports", platformLinux, shell + "ECS_RESERVED_PORTS=[22, 9100]\nECS_RESERVED_PORTS_UDP=[53]",
			agentConfig{ports: fleet.NewPorts(fleet.Port{Number: 22, Protocol: fleet.TCP}, fleet.Port{Number: 9100, Protocol: fleet.TCP}, fleet.Port{Number: 53, Protocol: fleet.UDP}), portsSet: [2]bool{true, true}},
		},
		{"switches", platformLinux, shell + "ECS_ENABLE_TASK_ENI=false\nECS_DISABLE_PRIVILEGED=true\nECS_CONTAINER_STOP_TIMEOUT=2m\nECS_AVAILABLE_LOGGING_DRIVERS=[\"awslogs\"]", agentConfig{off: []string{offENI, offPrivileged}, stopTimeout: 2 * time.Minute, drivers: []string{"awslogs"}}},
		{"memory that is no number", platformLinux, shell + "ECS_RESERVED_MEMORY=much", agentConfig{}},
		{
			"bottlerocket", platformBottlerocket, "[settings.ecs]\ncluster = \"web\"\nreserved-memory = 10\nenable-spot-instance-draining = true\n[settings.ecs.instance-attributes]\n\"neap.dev/lifecycle\" = \"spot\"\n[settings.host-containers.admin]\nenabled = true\n",
			agentConfig{cluster: "web", reservedMemory: 10, drainOnSpot: true, attributes: map[string]string{"neap.dev/lifecycle": "spot"}},
		},
		{"dotted keys", platformBottlerocket, "settings.ecs.cluster = 'web'\n[settings]\necs.instance-attributes = { a = \"b\", \"c/d\" = \"e\" }", agentConfig{cluster: "web", attributes: map[string]string{"a": "b", "c/d": "e"}}},
		{"a script on Bottlerocket", platformBottlerocket, shell + "echo ECS_CLUSTER=web >> /etc/ecs/ecs.config", agentConfig{broken: "it does not boot: its user data is not the settings of Bottlerocket in TOML"}},
		{
			"windows", platformWindows, "<powershell>\n[Environment]::SetEnvironmentVariable(\"ECS_INSTANCE_ATTRIBUTES\", '{\"a\":\"b\"}', \"Machine\")\n[Environment]::SetEnvironmentVariable(\"ECS_ENABLE_SPOT_INSTANCE_DRAINING\", $TRUE, \"Machine\")\nInitialize-ECSAgent -Cluster 'web' -EnableTaskIAMRole -EnableTaskENI -LoggingDrivers '[\"json-file\"]'\n</powershell>",
			agentConfig{cluster: "web", attributes: map[string]string{"a": "b"}, drainOnSpot: true, off: windows, drivers: []string{"json-file"}},
		},
		{
			"boot guard on Windows", platformWindows, "<powershell>\nif ($launched -and ((Get-Date).ToUniversalTime() - ([DateTime]$launched).ToUniversalTime()).TotalSeconds -gt 900) {\n  Stop-Computer -Force\n}\nInitialize-ECSAgent -Cluster 'web' -EnableTaskIAMRole -EnableTaskENI\n</powershell>",
			agentConfig{cluster: "web", off: windows, bootWithin: 15 * time.Minute},
		},
	} {
		got := readUserData(c.platform, c.text)
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestAgentsThatDoNotStart(t *testing.T) {
	tooMany := "{"
	for i := range 11 {
		tooMany += fmt.Sprintf("%s\"a%d\":\"b\"", strings.Repeat(",", min(i, 1)), i)
	}
	for _, c := range []struct {
		name, image, data string
		want              string
	}{
		{"no agent in the image", "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", "#!/bin/bash\necho ECS_CLUSTER=web >> /etc/ecs/ecs.config", "there is no ECS agent in its image"},
		{"attributes that are no JSON", "", "#!/bin/bash\nECS_CLUSTER=web\nECS_INSTANCE_ATTRIBUTES={a:b}", "Invalid format for ECS_INSTANCE_ATTRIBUTES"},
		{"too many attributes", "", "#!/bin/bash\nECS_CLUSTER=web\nECS_INSTANCE_ATTRIBUTES=" + tooMany + "}", "ECS refuses 11 custom attributes"},
		{"bad attribute", "", "#!/bin/bash\nECS_CLUSTER=web\nECS_INSTANCE_ATTRIBUTES={\"a b\":\"c\"}", `ECS refuses the attribute "a b"`},
		{"no cluster of that name", "", "#!/bin/bash\nECS_CLUSTER=wbe", "Cluster not found"},
		{"no cluster named, no default one", "", "#!/bin/bash\necho hello", "Cluster not found"},
		{"no initialization", windowsImage, "<powershell>\nWrite-Host hello\n</powershell>", "does not call Initialize-ECSAgent"},
	} {
		w := must(New(Config{}))(t)
		must(w.CreateCluster(&CreateClusterInput{ClusterName: "web"}))(t)
		image := al2023
		if c.image != "" {
			image = "resolve:ssm:" + c.image
			if strings.Contains(c.image, "ecs") || strings.Contains(c.image, "ECS") {
				image += "/image_id"
			}
		}
		must(w.RunInstances(&RunInstancesInput{ImageID: image, InstanceType: "m7i.large", MinCount: 1, MaxCount: 1, UserData: base64.StdEncoding.EncodeToString([]byte(c.data))}))(t)
		w.Advance(w.Now().Add(30 * time.Minute))
		if got := w.Truth().Instances[0]; !strings.Contains(got.Trouble, c.want) || got.Status != "" {
			t.Errorf("%s: status %q, trouble %q, want %q", c.name, got.Status, got.Trouble, c.want)
		}
	}
}

func TestBootDeadline(t *testing.T) {
	w := must(New(Config{}))(t)
	must(w.CreateCluster(&CreateClusterInput{ClusterName: "web"}))(t)
	late := "#!/bin/sh\nECS_CLUSTER=web\nBOOT_DEADLINE=" + w.Now().Add(10*time.Second).Format(time.RFC3339)
	must(w.RunInstances(&RunInstancesInput{ImageID: al2023, InstanceType: "m7i.large", MinCount: 1, MaxCount: 1, UserData: base64.StdEncoding.EncodeToString([]byte(late))}))(t)
	w.Advance(w.Now().Add(5 * time.Minute))
	if got := w.Truth(); got.History.LateBoots != 1 || got.Instances[0].State != "terminated" || got.Clusters[0].Hosts != 0 {
		t.Errorf("truth %+v", got)
	}
}
