package fleet_test

import (
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

func TestCopies(t *testing.T) {
	room := fleet.Resources{CPUUnits: 2048, MemoryMiB: 4096, ENIs: 2}
	for _, test := range []struct {
		name  string
		needs fleet.Resources
		want  int64
	}{
		{"bound by CPU", fleet.Resources{CPUUnits: 1024, MemoryMiB: 1}, 2},
		{"bound by memory", fleet.Resources{CPUUnits: 1, MemoryMiB: 1400}, 2},
		{"bound by ENI", fleet.Resources{ENIs: 1}, 2},
		{"no GPU there", fleet.Resources{GPUs: 1}, 0},
		{"needs nothing", fleet.Resources{}, 100},
		{"too large", fleet.Resources{CPUUnits: 4096}, 0},
	} {
		if got := test.needs.Copies(room, 100); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
	overfull := fleet.Resources{CPUUnits: -1, MemoryMiB: 4096}
	if got := (fleet.Resources{MemoryMiB: 1}).Copies(overfull, 100); got != 0 {
		t.Errorf("an overfull instance takes nothing, got %d", got)
	}
}

func TestShortfall(t *testing.T) {
	needs := fleet.Resources{CPUUnits: 512, MemoryMiB: 4096, GPUs: 1}
	got := needs.Shortfall(fleet.Resources{CPUUnits: 1024, MemoryMiB: 3072})
	if want := "memory: needs 4096 MiB, 3072 free; GPU: needs 1 GPUs, 0 free"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := needs.Shortfall(needs); got != "" {
		t.Errorf("it fits exactly, got %q", got)
	}
}

func TestPorts(t *testing.T) {
	tcp := func(n uint16) fleet.Port { return fleet.Port{Number: n, Protocol: fleet.TCP} }
	udp := func(n uint16) fleet.Port { return fleet.Port{Number: n, Protocol: fleet.UDP} }
	used := fleet.NewPorts(udp(53), tcp(80), tcp(22), tcp(80))
	if len(used) != 3 {
		t.Errorf("a set holds each port once: %v", used)
	}
	if port, ok := used.Conflict(fleet.NewPorts(tcp(53), tcp(80))); !ok || port != tcp(80) {
		t.Errorf("conflict: got %v, %v", port, ok)
	}
	if _, ok := used.Conflict(fleet.NewPorts(tcp(53))); ok {
		t.Error("tcp/53 does not collide with udp/53")
	}
	if left := used.Union(fleet.NewPorts(tcp(90))).Without(fleet.NewPorts(tcp(90))); len(left) != 3 {
		t.Errorf("union and difference: %v", left)
	}
}

func TestPriceRounds(t *testing.T) {
	if p := fleet.USD(0.1008); p != 100_800 || p.String() != "$0.1008/h" {
		t.Errorf("got %d %s", p, p)
	}
	if p := fleet.USD(-0.1008); p != -100_800 {
		t.Errorf("got %d", p)
	}
}
