package e2e_test

import (
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/test/harness"
)

// TestWindows: beside a Linux service there is one whose runtime platform is Windows. It is
// served from a launch spec with Windows images, and nothing of Linux is launched for there.
func TestWindows(t *testing.T) {
	t.Parallel()
	s := start(t, `
cluster web
task web  cpu 512 memory 1024 os LINUX
task iis  cpu 1024 memory 2048 os WINDOWS_SERVER_2022_CORE
service web task web desired 3
service iis task iis desired 3
`)
	s.Apply(harness.Policy(func(p *fleet.Policy) {
		p.LaunchSpecs = append(p.LaunchSpecs, fleet.LaunchSpec{
			Name: "windows", Images: []string{"/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-ECS_Optimized/image_id"},
			UserData: "Write-Host 'hello'", Attributes: map[string]string{"stack": "legacy"},
		})
	}))
	s.Up(1)
	truth := s.Until("both harness.Services run", harness.AllRun, harness.Settled, s.Ended)
	linux, windows := groupsOf(truth)
	if linux["service:iis"] > 0 || windows["service:web"] > 0 || windows["service:iis"] != 3 || linux["service:web"] != 3 {
		t.Errorf("on Linux run %v, on Windows %v", linux, windows)
	}
	s.Audit()
}

// groupsOf counts the tasks on instances that cost what the type costs with Linux, and those
// on dearer ones.
func groupsOf(truth *sim.Truth) (linux, windows map[string]int) {
	linux, windows = map[string]int{}, map[string]int{}
	cheapest := fleet.Price(0)
	for _, i := range harness.Alive(truth) {
		if cheapest == 0 || i.Price < cheapest {
			cheapest = i.Price
		}
	}
	for _, i := range harness.Alive(truth) {
		on := linux
		if i.Price > cheapest {
			on = windows
		}
		for group, n := range i.Groups {
			on[group] += n
		}
	}
	return linux, windows
}
