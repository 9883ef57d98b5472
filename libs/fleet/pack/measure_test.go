package pack_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/catalogue"
	"github.com/neap-project/neap/libs/fleet/pack"
)

// measure solves a problem as often as the benchmark wants, and reports what it took and
// how good it is.
func measure(b *testing.B, p pack.Problem) pack.Solution {
	b.Helper()
	b.ReportAllocs()
	var s pack.Solution
	before := processorTime(b)
	for b.Loop() {
		s = pack.Solve(p)
	}
	spent := (processorTime(b) - before) / float64(b.N)
	if len(s.Unplaced) > 0 {
		b.Fatalf("unplaced: %v", s.Unplaced)
	}
	b.ReportMetric(1e3*spent, "cpu-ms/op")
	b.ReportMetric(1e3*spent/float64(taskCount(p)), "cpu-ms/task")
	b.ReportMetric(s.Cost.USD(), "$/h")
	b.ReportMetric(float64(nodeCount(s)), "nodes")
	b.ReportMetric(gap(s), "%over-bound")
	return s
}

// processorTime is what this process has used so far, in seconds: on a busy machine the
// clock says little.
func processorTime(t testing.TB) float64 {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func taskCount(p pack.Problem) int {
	n := 0
	for i := range p.Items {
		n += p.Items[i].Count
	}
	return n
}

func nodeCount(s pack.Solution) int {
	n := 0
	for i := range s.Instances {
		n += s.Instances[i].Count
	}
	return n
}

// typeList is a choice of x86 types without bare metal, and how they are counted.
type typeList struct {
	families      string // first letters; empty is all
	oldest        int    // generation
	newest        int
	mostVCPUs     int64
	unitsPerVCPU  int64
	reservedUnits int64
	reservedMiB   int64
	zones         int // 0 is one
}

// offerings are the types of the list at on-demand prices, in each zone.
func (l typeList) offerings(t testing.TB) []pack.Offering {
	t.Helper()
	table, err := catalogue.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	var offers []pack.Offering
	for _, c := range table.Types {
		if !l.has(c) {
			continue
		}
		for z := range max(l.zones, 1) {
			offers = append(offers, pack.Offering{
				Name: fmt.Sprintf("%s %d", c.Name, z), Group: "g", Zone: zoneName(z), VCPUs: c.VCPUs, Memory: c.MemoryMiB, Price: c.OnDemand,
				Capacity: fleet.Resources{CPUUnits: l.unitsPerVCPU*c.VCPUs - l.reservedUnits, MemoryMiB: c.MemoryMiB - l.reservedMiB},
			})
		}
	}
	return offers
}

func (l typeList) has(c catalogue.Type) bool {
	if c.Architecture != "x86_64" || c.Metal || c.OnDemand == 0 || c.VCPUs > l.mostVCPUs {
		return false
	}
	if l.families == "" {
		return true
	}
	family, _, _ := strings.Cut(c.Name, ".")
	at := strings.IndexAny(family, "0123456789")
	if at != 1 || !strings.Contains(l.families, family[:1]) {
		return false
	}
	generation, err := strconv.Atoi(family[1:2])
	return err == nil && generation >= l.oldest && generation <= l.newest
}

func zoneName(z int) fleet.Zone { return fleet.Zone(rune('a' + z)) }

// fractionalBound is the least that CPU and memory of all tasks cost if instances could be
// bought in parts and tasks cut: the bound that reference figures of other schedulers are
// given over. A linear program with two rows has an optimum with two types at most, so all
// pairs are tried: O(offerings²).
func fractionalBound(p pack.Problem) float64 {
	var cpu, mem float64
	for _, item := range p.Items {
		cpu += float64(item.Needs.CPUUnits) * float64(item.Count)
		mem += float64(item.Needs.MemoryMiB) * float64(item.Count)
	}
	best := math.Inf(1)
	for i, a := range p.Offerings {
		ac, am := float64(a.Capacity.CPUUnits), float64(a.Capacity.MemoryMiB)
		best = min(best, a.Price.USD()*max(cpu/ac, mem/am))
		for _, b := range p.Offerings[:i] {
			bc, bm := float64(b.Capacity.CPUUnits), float64(b.Capacity.MemoryMiB)
			det := ac*bm - bc*am
			x, y := (cpu*bm-bc*mem)/det, (ac*mem-cpu*am)/det
			if det != 0 && x >= 0 && y >= 0 {
				best = min(best, x*a.Price.USD()+y*b.Price.USD())
			}
		}
	}
	return best
}
