package cloud

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// TestReadDir reads the same cluster as both versions of the AWS CLI print it.
func TestReadDir(t *testing.T) {
	in, warnings, err := ReadDir("testdata/cli-v2")
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 0 {
		t.Errorf("warnings %q", warnings)
	}
	in.RestrictTags = []string{"neap.dev/restrict-scale-down"}
	snap := snapshot.Assemble(in)
	if err := snap.Validate(); err != nil {
		t.Fatal(err)
	}
	if problem, ok := snap.Incomplete(fleet.AllSections()...); !ok {
		t.Error(problem)
	}
	if snap.Cluster != "shop" || snap.Region != "eu-west-1" || snap.Account != "123456789012" || !snap.TakenAt.Equal(time.Date(2026, 10, 1, 11, 10, 0, 0, time.UTC)) {
		t.Errorf("cluster %s, region %s, account %s, taken at %s", snap.Cluster, snap.Region, snap.Account, snap.TakenAt)
	}
	inst := snap.Instances[0]
	if inst.Status != fleet.StatusActive || inst.Lifecycle != fleet.Spot || inst.Remaining != (fleet.Resources{CPUUnits: 1024, MemoryMiB: 5632, ENIs: 2}) || inst.AgentVersion != "1.97.1" {
		t.Errorf("instance %+v", inst)
	}
	if want := time.Date(2026, 10, 1, 11, 0, 5, 123_000_000, time.UTC); !inst.RegisteredAt.Equal(want) {
		t.Errorf("registered at %s, want %s", inst.RegisteredAt, want)
	}
	report, web := snap.TaskGroups[0], snap.TaskGroups[1]
	if !report.Standalone || !report.Restricted || report.Needs.MemoryMiB != 2048 || report.Overrides != "main.memory=2048" {
		t.Errorf("report %+v", report)
	}
	if web.Needs != (fleet.Resources{CPUUnits: 512, MemoryMiB: 1024}) || len(web.Ports) != 1 || len(web.RequiredAttributes) != 1 {
		t.Errorf("web %+v", web)
	}
	if s := snap.Services[0]; s.Desired != 5 || s.MinHealthyPercent != 50 || !strings.Contains(s.LastEvent, "unable to place") || s.Deployments[0].Rollout != fleet.RolloutInProgress {
		t.Errorf("service %+v", s)
	}
	if c := snap.Tasks[1]; c.Running != 1 || c.Protected != 1 {
		t.Errorf("tasks %+v", snap.Tasks)
	}
	wantType := fleet.InstanceType{
		Name: "m5.large", Architectures: []fleet.Architecture{fleet.X86}, VCPUs: 2, MemoryMiB: 8192, MaxENIs: 3, TrunkTasks: 10,
		OnDemand: 107_000, Zones: []fleet.ZoneOffer{{Zone: "eu-west-1b", Spot: 41_200}},
	}
	if !reflect.DeepEqual(snap.Types, []fleet.InstanceType{wantType}) {
		t.Errorf("types %+v", snap.Types)
	}
	if want := []fleet.Image{{Parameter: "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended", ID: "ami-0123456789abcdef0", Architecture: fleet.X86}}; !reflect.DeepEqual(snap.Images, want) {
		t.Errorf("images %+v", snap.Images)
	}
	b, err := json.Marshal(in)
	if err != nil || strings.Contains(string(b), "hunter2") {
		t.Errorf("an environment variable was read, or %v", err)
	}

	old, _, err := ReadDir("testdata/cli-v1")
	if err != nil {
		t.Fatal(err)
	}
	old.RestrictTags = in.RestrictTags
	if again := snapshot.Assemble(old); !reflect.DeepEqual(again, snap) {
		t.Errorf("version 1 of the CLI gives another snapshot:\n%+v\n%+v", again, snap)
	}
}

func TestReadDirWithLittle(t *testing.T) {
	dir := folder(t, map[string]string{
		"container-instances.json": file(t, "container-instances.json"), "instances.json": file(t, "instances.json"),
		"services.json": "\xef\xbb\xbf" + file(t, "services.json"), "notes.txt": "mine", "README.md": "hello",
	})
	in, warnings, err := ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(warnings, "\n")
	for _, say := range []string{"notes.txt", "tasks.json", "task-definitions.json", "subnets.json", "spot-prices.json", "aws ecs describe-tasks"} {
		if !strings.Contains(text, say) {
			t.Errorf("no warning of %s in\n%s", say, text)
		}
	}
	if strings.Contains(text, "README.md") {
		t.Errorf("a warning of the README in\n%s", text)
	}
	snap := snapshot.Assemble(in)
	if err := snap.Validate(); err != nil {
		t.Fatal(err)
	}
	if _, ok := snap.Incomplete(fleet.SectionInstances, fleet.SectionEC2, fleet.SectionServices, fleet.SectionCatalogue); !ok {
		t.Errorf("sections %+v", snap.Sections)
	}
	for _, name := range []fleet.SectionName{fleet.SectionTasks, fleet.SectionNetwork} {
		if _, ok := snap.Incomplete(name); ok {
			t.Errorf("section %s is complete", name)
		}
	}
	if len(snap.Types) < 100 || snap.Types[0].OnDemand <= 0 || len(snap.Subnets) != 1 || snap.Subnets[0].Zone != "eu-west-1b" {
		t.Errorf("%d types, subnets %+v", len(snap.Types), snap.Subnets)
	}
}

func TestReadDirRefuses(t *testing.T) {
	other := strings.ReplaceAll(file(t, "services.json"), "service/shop/", "service/other/")
	for _, c := range []struct {
		name  string
		files map[string]string
		says  []string
	}{
		{"nothing in it", map[string]string{}, []string{"container-instances.json"}},
		{"broken JSON", map[string]string{"services.json": "{\n\"services\": [\n  {]\n"}, []string{"services.json:3"}},
		{"a table", map[string]string{"tasks.json": "------\n| DescribeTasks |\n"}, []string{"tasks.json:1", "--output json"}},
		{"another type", map[string]string{"instances.json": `{"Reservations": [{"Instances": [{"InstanceId": 7}]}]}`}, []string{"instances.json:1", "InstanceId"}},
		{"a list", map[string]string{"tasks.json": "\n\n[]"}, []string{"tasks.json:3"}},
		{"two clusters", map[string]string{"clusters.json": file(t, "clusters.json"), "services.json": other}, []string{"shop", "other"}},
		{"no cluster", map[string]string{"instances.json": file(t, "instances.json")}, []string{"clusters.json", "describe-clusters"}},
		{"no date", map[string]string{"date.txt": "yesterday"}, []string{"date.txt", "date -u"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := ReadDir(folder(t, c.files))
			if !errors.Is(err, fleet.ErrInvalid) {
				t.Fatalf("got %v", err)
			}
			for _, say := range c.says {
				if !strings.Contains(err.Error(), say) {
					t.Errorf("%v does not name %s", err, say)
				}
			}
		})
	}
	if _, _, err := ReadDir(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/cli-v2", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(dir, name), content, 0o600)
	}
	return dir
}
