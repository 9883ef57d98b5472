package fleet_test

import (
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

func TestVolumesOfALaunchSpec(t *testing.T) {
	no := false
	for _, c := range []struct {
		name   string
		volume fleet.BlockDevice
		says   string // empty: it is allowed
	}{
		{"a root that grows", fleet.BlockDevice{Device: "/dev/xvda", SizeGiB: 30, PerVCPUGiB: 10, PerMemoryGiB: 1}, ""},
		{"as the image has it", fleet.BlockDevice{Device: "/dev/xvda", Type: "gp3", IOPS: 6000, ThroughputMiB: 250}, ""},
		{"of a snapshot", fleet.BlockDevice{Device: "xvdb", Snapshot: "snap-1", Keep: true}, ""},
		{"fast", fleet.BlockDevice{Device: "/dev/sdf", SizeGiB: 500, Type: "io2", IOPS: 20_000}, ""},
		{"no name", fleet.BlockDevice{SizeGiB: 30}, `device: ""; write a device name such as /dev/xvda`},
		{"another name", fleet.BlockDevice{Device: "C:\\"}, "write a device name"},
		{"negative", fleet.BlockDevice{Device: "/dev/xvda", SizeGiB: -1}, "sizeGiB -1"},
		{"beyond EBS", fleet.BlockDevice{Device: "/dev/xvda", SizeGiB: 70_000}, "0 to 65536"},
		{"grows from nothing", fleet.BlockDevice{Device: "/dev/xvda", PerVCPUGiB: 10}, "set the size to start from"},
		{"unknown type", fleet.BlockDevice{Device: "/dev/xvda", Type: "gp4"}, `"gp4" is unknown`},
		{"IOPS of what has none", fleet.BlockDevice{Device: "/dev/xvda", Type: "gp2", IOPS: 3000}, "iops: 3000 of type gp2"},
		{"io2 without IOPS", fleet.BlockDevice{Device: "/dev/xvda", Type: "io2"}, "needs a number"},
		{"throughput of another type", fleet.BlockDevice{Device: "/dev/xvda", Type: "io2", IOPS: 100, ThroughputMiB: 250}, "with gp3"},
		{"a key for what is not encrypted", fleet.BlockDevice{Device: "/dev/xvda", Encrypted: &no, KMSKey: "k"}, "leave one of them out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := examplePolicy()
			p.LaunchSpecs[0].BlockDevices = []fleet.BlockDevice{c.volume}
			p = p.WithDefaults()
			if batch, _ := p.Spec("batch"); len(batch.BlockDevices) != 1 {
				t.Error("it is not inherited")
			}
			if err := p.Validate(); c.says != "" {
				wantInvalid(t, err, c.says)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	p := examplePolicy().WithDefaults()
	p.LaunchSpecs[0].BlockDevices = []fleet.BlockDevice{{Device: "/dev/xvda"}, {Device: "/dev/xvda"}}
	wantInvalid(t, p.Validate(), `"/dev/xvda" stands twice`)
}

func TestVolumeSizes(t *testing.T) {
	b := fleet.BlockDevice{SizeGiB: 50, PerVCPUGiB: 20, PerMemoryGiB: 2}
	for _, c := range []struct {
		capacity fleet.Resources
		want     int64
	}{
		{fleet.Resources{}, 50},
		{fleet.Resources{CPUUnits: 2048}, 90}, // the example of the reference product
		{fleet.Resources{CPUUnits: 2048, MemoryMiB: 7680}, 106},
		{fleet.Resources{CPUUnits: 1, MemoryMiB: 1}, 72},
	} {
		if got := b.SizeFor(c.capacity); got != c.want {
			t.Errorf("%v: %d GiB, want %d", c.capacity, got, c.want)
		}
	}
}

// TestLaunchSpecsOfWindows: the operating system follows from the images, and what is
// written for the other one is not taken over.
func TestLaunchSpecsOfWindows(t *testing.T) {
	const windows, linux = "/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-ECS_Optimized/image_id", "/aws/service/ecs/optimized-ami/x"
	p := fleet.Policy{LaunchSpecs: []fleet.LaunchSpec{
		{Name: "linux", Images: []string{linux}, Subnets: []fleet.SubnetID{"subnet-1"}, UserData: "#!/bin/sh", ENITrunking: true, ReservedMemory: 256, BlockDevices: []fleet.BlockDevice{{Device: "/dev/xvda"}}},
		{Name: "windows", Images: []string{windows}},
		{Name: "by-id", Images: []string{"ami-1"}, OperatingSystem: fleet.Windows},
		{Name: "more"},
	}}.WithDefaults()
	for i, want := range []bool{false, true, true, false} {
		l := &p.LaunchSpecs[i]
		if l.Windows() != want || len(l.Subnets) != 1 || (l.UserData == "") != want || (len(l.BlockDevices) == 0) != want || l.ENITrunking == want || (l.ReservedMemory == 0) != want {
			t.Errorf("%+v", l)
		}
	}
	if !p.HasWindows() || time.Duration(p.Boot.WindowsTimeout) != 15*time.Minute {
		t.Errorf("%+v", p.Boot)
	}
	for name, want := range map[string]string{
		windows: "WINDOWS_SERVER_2022_CORE", "Windows_Server-2019-English-Full-ECS_Optimized-2026.01.02": "WINDOWS_SERVER_2019_FULL", linux: "", "": "", "Windows_Server-2022": "",
	} {
		if got := fleet.WindowsFamily(name); got != want {
			t.Errorf("%s is of the family %q, want %q", name, got, want)
		}
	}
}

func TestMetadataAndStandaloneInPolicies(t *testing.T) {
	for says, spoil := range map[string]func(*fleet.Policy){
		`metadata.tokens: "never" is unknown`: func(p *fleet.Policy) { p.LaunchSpecs[0].Metadata.Tokens = "never" },
		"metadata.hopLimit: 65; use 1 to 64":  func(p *fleet.Policy) { p.LaunchSpecs[0].Metadata.HopLimit = 65 },
		`images[0]: "/aws/service/ami-windows-latest/x" is a Windows image, and operatingSystem is linux`: func(p *fleet.Policy) {
			p.LaunchSpecs[0].Images = []string{"/aws/service/ami-windows-latest/x"}
		},
		`images[0]: "/aws/service/ecs/x" is no Windows image`: func(p *fleet.Policy) {
			p.LaunchSpecs[0].Images, p.LaunchSpecs[0].OperatingSystem = []string{"/aws/service/ecs/x"}, fleet.Windows
		},
		`operatingSystem: "macos" is unknown`: func(p *fleet.Policy) { p.LaunchSpecs[0].OperatingSystem = "macos" },
		"eniTrunking: true; ECS has no trunk interfaces on Windows": func(p *fleet.Policy) {
			p.LaunchSpecs[0].OperatingSystem, p.LaunchSpecs[0].Images, p.LaunchSpecs[0].ENITrunking = fleet.Windows, nil, true
		},
		"boot.windowsTimeout: 10s; use 1m0s to 1h":         func(p *fleet.Policy) { p.Boot.WindowsTimeout = fleet.Duration(10 * time.Second) },
		"scaleUp.standaloneFor: 1s; use 1m0s to 24h0m0s":   func(p *fleet.Policy) { p.ScaleUp.StandaloneFor = fleet.Duration(time.Second) },
		"scaleUp.standaloneFor: 48h0m0s; use 1m0s to 24h0": func(p *fleet.Policy) { p.ScaleUp.StandaloneFor = fleet.Duration(48 * time.Hour) },
	} {
		p := examplePolicy().WithDefaults()
		spoil(&p)
		wantInvalid(t, p.Validate(), says)
	}
	if p := examplePolicy().WithDefaults(); time.Duration(p.ScaleUp.StandaloneFor) != 10*time.Minute {
		t.Errorf("standalone tasks are waited for %s", time.Duration(p.ScaleUp.StandaloneFor))
	}
}
