package cloud

import (
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

func spotLaunch() *fleet.Launch {
	return &fleet.Launch{
		Spec:      fleet.LaunchSpec{Name: "default", Attributes: map[string]string{"stack": "blue green"}, ReservedMemory: 256},
		Lifecycle: fleet.Spot, Boot: fleet.Duration(7 * time.Minute),
	}
}

const wantConfig = `ECS_CLUSTER=prod
ECS_INSTANCE_ATTRIBUTES={"neap.dev/launch-spec":"default","neap.dev/lifecycle":"spot","spotinst.io/container-instance-lifecycle":"spot","stack":"blue green"}
ECS_ENABLE_SPOT_INSTANCE_DRAINING=true
ECS_RESERVED_MEMORY=256
`

// TestBootScript runs the script in a real shell, with the metadata service and the power
// switch replaced by commands that say what they were asked.
func TestBootScript(t *testing.T) {
	launched := func(ago time.Duration) string {
		return `{"region": "us-east-1", "pendingTime" : "` + time.Now().UTC().Add(-ago).Format(time.RFC3339) + `"}`
	}
	for _, c := range []struct {
		name     string
		own      string
		document string // of the metadata service
		config   string
		off      bool
		out      string
	}{
		{"in time", "", launched(time.Minute), wantConfig, false, ""},
		{"too late", "", launched(8 * time.Minute), "", true, "too late to join"},
		{"no metadata service", "", "", wantConfig, false, ""},
		{"own script", "echo hello $((1+1)) `echo there`", launched(0), wantConfig, false, "hello 2 there"},
		{"own script of another shell that fails", "#!/bin/sh\necho one\nexit 3\n", launched(0), wantConfig, false, "user data ended with status 3"},
		{"own script with our words in it", "cat <<'EOF_'\nEOF_\necho done\n", launched(0), wantConfig, false, "done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			script, err := userData("prod", spotLaunch(), c.own)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			config := filepath.Join(dir, "ecs.config")
			for name, body := range map[string]string{
				"curl":     "case \"$*\" in *token) echo token;; *) cat \"$DOCUMENT\";; esac",
				"shutdown": "touch \"$OFF\"", "sleep": "kill $PPID",
			} {
				write(t, filepath.Join(dir, name), "#!/bin/sh\n"+body+"\n", 0o700)
			}
			write(t, filepath.Join(dir, "document"), c.document, 0o600)
			script = strings.NewReplacer("/etc/ecs/ecs.config", config, "/var/lib/neap", filepath.Join(dir, "lib")).Replace(script)
			cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "DOCUMENT="+filepath.Join(dir, "document"), "OFF="+filepath.Join(dir, "off"))
			out, err := cmd.CombinedOutput()
			if (err != nil) != c.off {
				t.Errorf("the script ended with %v: %s", err, out)
			}
			if !strings.Contains(string(out), c.out) {
				t.Errorf("it said %q, want %q", out, c.out)
			}
			got, err := os.ReadFile(config)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if string(got) != c.config {
				t.Errorf("configuration\n%s\nwant\n%s", got, c.config)
			}
			if _, err := os.Stat(filepath.Join(dir, "off")); (err == nil) != c.off {
				t.Errorf("powered off: %v, want %v", err == nil, c.off)
			}
		})
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestBottlerocketSettings(t *testing.T) {
	l := spotLaunch()
	l.Spec.Images = []string{"/aws/service/bottlerocket/aws-ecs-2/x86_64/latest/image_id"}
	got, err := userData("prod", l, "[settings.host-containers.admin]\nenabled = false\n")
	if err != nil {
		t.Fatal(err)
	}
	const want = `[settings.host-containers.admin]
enabled = false

[settings.ecs]
cluster = "prod"
enable-spot-instance-draining = true
reserved-memory = 256

[settings.ecs.instance-attributes]
"neap.dev/launch-spec" = "default"
"neap.dev/lifecycle" = "spot"
"spotinst.io/container-instance-lifecycle" = "spot"
"stack" = "blue green"
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestWindowsUserData: the owner's script first, with or without tags, then the guard, then
// the agent.
func TestWindowsUserData(t *testing.T) {
	l := spotLaunch()
	l.Spec.OperatingSystem, l.Boot = fleet.Windows, fleet.Duration(15*time.Minute)
	got, err := userData("prod", l, "<powershell>\nWrite-Host 'it''s me'\n</powershell>\n")
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, line := range []string{
		"<powershell>\n",
		"[Convert]::FromBase64String('" + base64.StdEncoding.EncodeToString([]byte("Write-Host 'it''s me'")) + "')",
		".TotalSeconds -gt 900)",
		`[Environment]::SetEnvironmentVariable('ECS_INSTANCE_ATTRIBUTES', '{"neap.dev/launch-spec":"default","neap.dev/lifecycle":"spot","spotinst.io/container-instance-lifecycle":"spot","stack":"blue green"}', 'Machine')` + "\n",
		"[Environment]::SetEnvironmentVariable('ECS_ENABLE_SPOT_INSTANCE_DRAINING', 'true', 'Machine')\n",
		"[Environment]::SetEnvironmentVariable('ECS_RESERVED_MEMORY', '256', 'Machine')\n",
		"Initialize-ECSAgent -Cluster 'prod' -EnableTaskIAMRole -EnableTaskENI\n</powershell>\n",
	} {
		i := strings.Index(got[at:], line)
		if i < 0 {
			t.Fatalf("%q is missing or out of order in\n%s", line, got)
		}
		at += i
	}
	plain, err := userData("prod", l, "Write-Host 'it''s me'")
	if err != nil || plain != got {
		t.Errorf("without tags: %v\n%s", err, plain)
	}
}

func TestUserDataRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*fleet.Launch) (own string)
		says  string
	}{
		{"attribute name", func(l *fleet.Launch) string { l.Spec.Attributes = map[string]string{"a b": "c"}; return "" }, `"a b"`},
		{"attribute value", func(l *fleet.Launch) string {
			l.Spec.Attributes = map[string]string{"a": "b\nECS_CLUSTER=other"}
			return ""
		}, `"a"`},
		{"no script", func(*fleet.Launch) string { return "MIME-Version: 1.0\n" }, "#!"},
		{"a shell script on Windows", func(l *fleet.Launch) string { l.Spec.OperatingSystem = fleet.Windows; return "#!/bin/bash\n" }, "no PowerShell"},
		{"a batch script on Windows", func(l *fleet.Launch) string { l.Spec.OperatingSystem = fleet.Windows; return "<script>dir</script>" }, "<script>"},
		{"a tag that is not closed", func(l *fleet.Launch) string { l.Spec.OperatingSystem = fleet.Windows; return "<powershell>dir" }, "</powershell>"},
		{"too long on Windows", func(l *fleet.Launch) string {
			l.Spec.OperatingSystem = fleet.Windows
			return strings.Repeat("x", mostUserData*3/4)
		}, "16384"},
		{"too long", func(*fleet.Launch) string { return strings.Repeat("x", mostUserData) }, "16384"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := spotLaunch()
			own := c.spoil(l)
			_, err := userData("prod", l, own)
			if !errors.Is(err, fleet.ErrInvalid) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "default") {
				t.Errorf("got %v; want an error that names the launch spec and %s", err, c.says)
			}
		})
	}
}
