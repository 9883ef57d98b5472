package pack_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/catalogue"
	"github.com/neap-project/neap/libs/fleet/pack"
)

// market are the x86 types of the families c, m and r, or of all families, at on-demand
// prices, up to a size in vCPUs, and those of other architectures if any are named.
func market(t testing.TB, families string, most int64, architectures ...string) []pack.Offering {
	t.Helper()
	table, err := catalogue.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	var offers []pack.Offering
	for _, c := range table.Types {
		if !slices.Contains(append(architectures, "x86_64"), c.Architecture) || c.GPUs > 0 || c.Metal || c.VCPUs > most || c.OnDemand == 0 || c.Burstable && families != "" ||
			families != "" && !strings.Contains(families, c.Name[:1]) {
			continue
		}
		offers = append(offers, pack.Offering{
			Name: c.Name, Group: "g", Zone: "a", VCPUs: c.VCPUs, Memory: c.MemoryMiB, Price: c.OnDemand,
			Capacity: fleet.Resources{CPUUnits: 1024 * c.VCPUs, MemoryMiB: c.MemoryMiB},
		})
	}
	return offers
}

// workload are tasks of some shapes: many small ones and a few giants, CPU and memory now
// correlated and now not, a few shapes much more frequent than the rest. Sizes are
// multiples of grain.
func workload(seed uint64, tasks, shapes int, grain int64) []pack.Item {
	rng := rand.New(rand.NewPCG(seed, 99))
	share := make([]float64, shapes)
	var sum float64
	for i := range share {
		share[i] = math.Pow(float64(i+1), -0.9)
		sum += share[i]
	}
	var items []pack.Item
	for i, left := 0, tasks; i < shapes; i++ {
		cpu := 64 * math.Exp2(6*rng.Float64())
		perUnit := math.Exp2(5*rng.Float64() - 1) // MiB
		if rng.IntN(3) == 0 {
			perUnit = 2 + 4*rng.Float64()
		}
		mem := cpu * perUnit
		if rng.IntN(20) == 0 {
			cpu, mem = 8*cpu, 4*mem
		}
		n := min(max(int(float64(tasks)*share[i]/sum), 1), left)
		if i == shapes-1 {
			n = left
		}
		left -= n
		round := func(v float64) int64 { return max(int64(v)/grain*grain, grain) }
		items = append(items, pack.Item{
			Name: fmt.Sprintf("s%04d", i), Count: n,
			Needs: fleet.Resources{CPUUnits: round(cpu), MemoryMiB: min(round(mem), 200_000)},
		})
	}
	return items
}

// gap is how far a solution is above its own bound, in percent.
func gap(s pack.Solution) float64 { return 100 * (float64(s.Cost)/float64(s.LowerBound) - 1) }

// TestGap holds the solver to how far above the bound that it proves it may be. Costs and
// bounds are the same on every machine, for effort is counted in steps.
func TestGap(t *testing.T) {
	cmr := market(t, "cmr", math.MaxInt64)
	for _, c := range []struct {
		name   string
		items  []pack.Item
		offers []pack.Offering
		effort pack.Effort
		most   float64 // percent
	}{
		{"1000 tasks, 90 shapes, fast", workload(1, 1000, 90, 64), cmr, pack.Fast, 3},
		{"1000 tasks, 90 shapes, normal", workload(1, 1000, 90, 64), cmr, pack.Normal, 1},
		{"100 tasks, 20 shapes, normal", workload(3, 100, 20, 64), cmr, pack.Normal, 1.5},
		{"100 tasks, 20 shapes, small types", workload(4, 100, 20, 64), market(t, "", 16), pack.Normal, 1.5},
		{"odd sizes, all types", workload(2, 1000, 90, 1), market(t, "", math.MaxInt64), pack.Normal, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := pack.Solve(pack.Problem{Items: c.items, Offerings: c.offers, Effort: c.effort})
			if len(s.Unplaced) > 0 {
				t.Fatalf("unplaced: %v", s.Unplaced)
			}
			t.Logf("%.2f %% above the bound", gap(s))
			if gap(s) > c.most {
				t.Errorf("%.2f %% above the bound, at most %.1f %% are allowed", gap(s), c.most)
			}
		})
	}
}

// TestOrderChangesNothing lists items and offerings in other orders.
func TestOrderChangesNothing(t *testing.T) {
	items, offers := workload(5, 200, 30, 64), market(t, "cmr", 32)
	want := pack.Solve(pack.Problem{Items: items, Offerings: offers})
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 1))
		p := pack.Problem{Items: slices.Clone(items), Offerings: slices.Clone(offers)}
		rng.Shuffle(len(p.Items), func(a, b int) { p.Items[a], p.Items[b] = p.Items[b], p.Items[a] })
		rng.Shuffle(len(p.Offerings), func(a, b int) { p.Offerings[a], p.Offerings[b] = p.Offerings[b], p.Offerings[a] })
		got := pack.Solve(p)
		if got.Cost != want.Cost || got.LowerBound != want.LowerBound || bought(offers, want) != bought(p.Offerings, got) {
			t.Fatalf("seed %d: another order costs %v (bound %v), not %v (%v)", seed, got.Cost, got.LowerBound, want.Cost, want.LowerBound)
		}
	}
}

// bought is what a solution buys, by name.
func bought(offers []pack.Offering, s pack.Solution) string {
	var list []string
	for _, i := range s.Instances {
		for range i.Count {
			list = append(list, offers[i.Offering].Name)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// BenchmarkSolve packs workloads at three sizes and reports how far the result is above
// the bound that was proved.
func BenchmarkSolve(b *testing.B) {
	cmr := market(b, "cmr", math.MaxInt64)
	more := market(b, "cmrixzd", math.MaxInt64, "arm64") // some 1,000
	for _, c := range []struct {
		tasks, shapes int
		offerings     []pack.Offering
		effort        pack.Effort
	}{
		{100, 20, cmr, pack.Normal},
		{1000, 90, cmr, pack.Fast},
		{1000, 90, cmr, pack.Normal},
		{1000, 90, cmr, pack.High},
		{10_000, 200, more, pack.Normal},
		{10_000, 200, more, pack.High},
		{100_000, 1000, more, pack.Fast},
	} {
		p := pack.Problem{Items: workload(1, c.tasks, c.shapes, 64), Offerings: c.offerings, Effort: c.effort}
		b.Run(fmt.Sprintf("tasks=%d/shapes=%d/effort=%d", c.tasks, c.shapes, c.effort), func(b *testing.B) {
			b.ReportAllocs()
			var s pack.Solution
			begin, times := processorTime(b), 0
			for b.Loop() {
				s = pack.Solve(p)
				times++
			}
			b.ReportMetric(1e3*(processorTime(b)-begin)/float64(times), "cpu-ms/op")
			b.ReportMetric(gap(s), "%over-bound")
			b.ReportMetric(float64(len(c.offerings)), "offerings")
		})
	}
}
