package cloud_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// TestVolumesGrowWithTheType: the launch template has the volumes, and the overrides of the
// fleet request the size of those that grow.
func TestVolumesGrowWithTheType(t *testing.T) {
	a := open(t, "cluster prod")
	o := order(t, a, 1, "m5.large", "m5.xlarge")
	encrypted := true
	o.Action.Launch.Spec.BlockDevices = []fleet.BlockDevice{
		{Device: "/dev/xvda", SizeGiB: 30, PerVCPUGiB: 10, PerMemoryGiB: 1, Type: "gp3", IOPS: 4000, ThroughputMiB: 250, Encrypted: &encrypted},
		{Device: "/dev/xvdb", SizeGiB: 8, Snapshot: "snap-1", KMSKey: "alias/disk", Keep: true},
	}
	o.Action.Launch.Spec.Metadata = fleet.MetadataOptions{HopLimit: 1, Tags: true}
	capacity := []fleet.Resources{{CPUUnits: 2048, MemoryMiB: 7680}, {CPUUnits: 4096, MemoryMiB: 15_700}}
	for i := range o.Action.Launch.Offerings {
		o.Action.Launch.Offerings[i].Capacity = capacity[i]
	}
	frozen := freeze(t, a.Launcher(), o)
	if !bytes.Contains(frozen, []byte(`"format":2`)) {
		t.Errorf("a build that knows no volumes would take it for its own: %s", frozen)
	}
	launched, failures, _, err := a.Launcher().Launch(t.Context(), frozen)
	if err != nil || len(launched) != 1 {
		t.Fatalf("launched %+v, failures %+v, %v", launched, failures, err)
	}
	template, fleetRequest := a.Calls("CreateLaunchTemplate"), a.Calls("CreateFleet")
	if len(template) != 1 || len(fleetRequest) != 1 {
		t.Fatalf("%d templates, %d fleets", len(template), len(fleetRequest))
	}
	form := func(body string) url.Values {
		v, err := url.ParseQuery(body)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, want := range map[string]string{
		"BlockDeviceMapping.1.DeviceName":              "/dev/xvda",
		"BlockDeviceMapping.1.Ebs.VolumeSize":          "30",
		"BlockDeviceMapping.1.Ebs.VolumeType":          "gp3",
		"BlockDeviceMapping.1.Ebs.Iops":                "4000",
		"BlockDeviceMapping.1.Ebs.Throughput":          "250",
		"BlockDeviceMapping.1.Ebs.Encrypted":           "true",
		"BlockDeviceMapping.1.Ebs.DeleteOnTermination": "true",
		"BlockDeviceMapping.2.Ebs.SnapshotId":          "snap-1",
		"BlockDeviceMapping.2.Ebs.KmsKeyId":            "alias/disk",
		"BlockDeviceMapping.2.Ebs.Encrypted":           "true",
		"BlockDeviceMapping.2.Ebs.DeleteOnTermination": "false",
		"MetadataOptions.HttpTokens":                   "required",
		"MetadataOptions.HttpPutResponseHopLimit":      "1",
		"MetadataOptions.InstanceMetadataTags":         "enabled",
	} {
		if got := form(template[0].Body).Get("LaunchTemplateData." + name); got != want {
			t.Errorf("template: %s is %q, want %q", name, got, want)
		}
	}
	asked := form(fleetRequest[0].Body)
	var sizes []string
	for _, prefix := range []string{"LaunchTemplateConfigs.1.Overrides.1.", "LaunchTemplateConfigs.1.Overrides.2."} {
		for name := range asked {
			if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, "VolumeSize") {
				sizes = append(sizes, asked.Get(prefix+"InstanceType")+" "+asked.Get(name))
			}
		}
	}
	if got, want := strings.Join(sizes, ", "), "m5.large 58, m5.xlarge 86"; got != want {
		t.Errorf("sizes %s, want %s: 30, 10 for each vCPU, 1 for each GiB", got, want)
	}
}

// TestLaunchWithoutVolumesIsAsBefore: an older build can send it.
func TestLaunchWithoutVolumesIsAsBefore(t *testing.T) {
	a := open(t, "cluster prod")
	frozen := freeze(t, a.Launcher(), order(t, a, 1, "m5.large"))
	if !bytes.Contains(frozen, []byte(`"format":1`)) || bytes.Contains(frozen, []byte("volumes")) {
		t.Errorf("frozen %s", frozen)
	}
}

// TestReservedMemoryIsATag: what the instance registers is learned by it.
func TestReservedMemoryIsATag(t *testing.T) {
	a := open(t, "cluster prod")
	o := order(t, a, 1, "m5.large")
	o.Action.Launch.Spec.ReservedMemory = 512
	if _, _, _, err := a.Launcher().Launch(t.Context(), freeze(t, a.Launcher(), o)); err != nil {
		t.Fatal(err)
	}
	a.Server.Advance(5 * time.Minute)
	for _, l := range sweep(t, a).Learned {
		if l.Type == "m5.large" && l.ReservedMemory == 512 && l.Capacity.MemoryMiB > 0 && !l.SeenAt.IsZero() {
			return
		}
	}
	t.Errorf("learned %+v, want it for agents that keep 512 MiB", sweep(t, a).Learned)
}
