package pack_test

import (
	"cmp"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
)

// The workload of Karpenter's own scheduling benchmark, created again pod by pod. All
// quantities are its own: 1,000 CPU units are one vCPU here, and not 1,024.
//
// Its constraints are about the order in which pods are placed: each must hold for a pod
// when that pod is placed, and says nothing of what comes later. A [pack.Problem] says what
// may be on an instance in the end. So a part of what Karpenter may choose is cut off
// beforehand, such that an order exists in which every constraint holds whatever Solve
// answers; placeAll replays that order and counts as Karpenter would. Cut off are:
//
//   - Zone spread: pods are dealt to zones in turn for each label, so that at no time the
//     zones differ by more than one pod of any label. A pod that does not count towards its
//     own constraint had more zones to choose from.
//   - Host spread: pods whose label counts towards their own constraint are at most one on
//     a host, though two of different labels would do. The others are on a host with such
//     whose label is before the selector, or with such whose label is after it, never both:
//     in that order no pod finds another that it counts. Mixtures could do in part.
//   - Host spread, too: pods are dealt to zones like those with zone spread, which count
//     them.
//   - Zone self-affinity: the zone of each value is chosen beforehand. All zones have the
//     same offerings on-demand at the same price.
//
// Pod slots are no resource of the problem: ten a vCPU never bind, as the least pod takes a
// tenth of a vCPU and the reserve is left out. The replay checks them.

const (
	podLabels = 7
	podZones  = 3
	nodeTypes = 400
)

// podGroup is what a pod is constrained by.
type podGroup int

const (
	plain podGroup = iota
	zoneSpread
	hostSpread
	zoneAffinity
	hostAntiAffinity
	podGroups
)

// pod is one of the benchmark. It counts pods whose label is its selector.
type pod struct {
	group           podGroup
	label, selector int
	cpu, mem        int64 // thousandths of a vCPU, MiB
}

// karpenterPods are the first n pods of the benchmark: a fifth of each group.
func karpenterPods(n int) []pod {
	return drawPods(n, []podGroup{plain, zoneSpread, hostSpread, zoneAffinity, hostAntiAffinity})
}

// drawPods draws n pods, as many of each group, one after the other from one stream: its
// numbers are those of the benchmark. What is left over is plain.
func drawPods(n int, groups []podGroup) []pod {
	rng := rand.New(rand.NewSource(42))
	var pods []pod
	for i := range n {
		p := pod{group: plain}
		if g := i / (n / len(groups)); g < len(groups) {
			p.group = groups[g]
		}
		if p.group != hostAntiAffinity {
			p.label = rng.Intn(podLabels)
		}
		if p.group == zoneSpread || p.group == hostSpread {
			p.selector = rng.Intn(podLabels)
		}
		p.cpu = [...]int64{100, 250, 500, 1000, 1500}[rng.Intn(5)]
		p.mem = [...]int64{100, 256, 512, 1024, 2048, 4096}[rng.Intn(6)]
		pods = append(pods, p)
	}
	return pods
}

// node is a type of the benchmark, of so many vCPUs, in a zone.
type node struct {
	vcpus int64
	zone  int
}

// price is 0.1 for a vCPU and 0.1 for 10^9 bytes of memory.
func (n node) price() fleet.Price {
	return fleet.USD(0.1*float64(n.vcpus) + 0.1*float64(2*n.vcpus<<30)/1e9)
}

// karpenterNodes are the offerings, and what they stand for: spot is not sold in the last
// zone.
func karpenterNodes() (offers []pack.Offering, nodes []node) {
	for i := range int64(nodeTypes) {
		for _, lifecycle := range []string{"on-demand", "spot"} {
			for zone := range podZones {
				if lifecycle == "spot" && zone == podZones-1 {
					continue
				}
				n := node{vcpus: i + 1, zone: zone}
				nodes = append(nodes, n)
				offers = append(offers, pack.Offering{
					Name: fmt.Sprintf("fake-it-%d test-zone-%d %s", i, zone+1, lifecycle), Group: "pool",
					Zone: fleet.Zone(fmt.Sprintf("test-zone-%d", zone+1)), VCPUs: n.vcpus, Memory: 2048 * n.vcpus, Price: n.price(),
					Capacity: fleet.Resources{CPUUnits: 1000*n.vcpus - 100, MemoryMiB: 2048*n.vcpus - 10},
				})
			}
		}
	}
	return offers, nodes
}

// podKind is what pods have in common that are one item.
type podKind struct {
	cpu, mem int64
	zone     int // −1 is any
	hostRule string
}

// karpenterProblem is the benchmark as a problem, and the pods of each item.
func karpenterProblem(pods []pod) (p pack.Problem, of [][]int, nodes []node) {
	p.Offerings, nodes = karpenterNodes()
	inZone := make([][]bool, podZones)
	for z := range inZone {
		for _, n := range nodes {
			inZone[z] = append(inZone[z], n.zone == z)
		}
	}
	zones := dealZones(pods)
	at := map[podKind]int{}
	for i, pod := range pods {
		kind := podKind{pod.cpu, pod.mem, zones[i], hostRule(pod)}
		x, known := at[kind]
		if !known {
			x = len(p.Items)
			at[kind] = x
			item := pack.Item{Name: fmt.Sprint(kind), Needs: fleet.Resources{CPUUnits: pod.cpu, MemoryMiB: pod.mem}}
			if kind.zone >= 0 {
				item.Allowed = inZone[kind.zone]
			}
			if kind.hostRule == "self" || kind.hostRule == "nginx" {
				item.Keys = []string{kind.hostRule}
			}
			p.Items, of = append(p.Items, item), append(of, nil)
		}
		p.Items[x].Count++
		of[x] = append(of[x], i)
	}
	var after []int
	for x := range p.Items {
		if hostRule(pods[of[x][0]]) == "after" {
			after = append(after, x)
		}
	}
	for x := range p.Items {
		if hostRule(pods[of[x][0]]) == "before" {
			p.Items[x].Avoid = after
		}
	}
	return p, of, nodes
}

// hostRule says with what a pod may share a host: for host spread, whether its own label is
// before, after or equal to the one that it counts.
func hostRule(p pod) string {
	switch {
	case p.group == hostAntiAffinity:
		return "nginx"
	case p.group != hostSpread:
		return ""
	case p.label < p.selector:
		return "before"
	case p.label > p.selector:
		return "after"
	}
	return "self"
}

// dealZones chooses the zones of pods that are constrained by zone or counted by such: in
// turn for each label.
func dealZones(pods []pod) []int {
	zones := make([]int, len(pods))
	next := make([]int, podLabels)
	for i := range zones {
		zones[i] = -1
	}
	for _, i := range placingOrder(pods) {
		switch pod := pods[i]; pod.group {
		case hostSpread, zoneSpread:
			zones[i] = next[pod.label]
			next[pod.label] = (next[pod.label] + 1) % podZones
		case zoneAffinity:
			zones[i] = pod.label % podZones
		case plain, hostAntiAffinity, podGroups:
		}
	}
	return zones
}

// placingOrder is one in which every constraint can hold: pods that count others on their
// host come before those they count, and plain pods, which nothing constrains, come last.
func placingOrder(pods []pod) []int {
	rank := func(p pod) (group, label int) {
		switch hostRule(p) {
		case "self":
			return 0, 0
		case "before":
			return 1, p.label
		case "after":
			return 2, -p.label
		}
		return 3 + []int{3, 0, 0, 1, 2}[p.group], 0
	}
	order := make([]int, len(pods))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, i := rank(pods[a])
		y, j := rank(pods[b])
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(i, j))
	})
	return order
}

// TestKarpenterPods compares totals with those that were read off the benchmark itself.
func TestKarpenterPods(t *testing.T) {
	for _, c := range []struct {
		n, cpu int
		gib    string
	}{{1000, 663_350, "1309.7"}, {5000, 3_309_000, "6550.8"}} {
		var cpu, mem int64
		groups := [podGroups]int{}
		for _, p := range karpenterPods(c.n) {
			cpu, mem = cpu+p.cpu, mem+p.mem
			groups[p.group]++
		}
		if gib := fmt.Sprintf("%.1f", float64(mem)/1024); int(cpu) != c.cpu || gib != c.gib {
			t.Errorf("%d pods: %d milli-CPU and %s GiB, want %d and %s", c.n, cpu, gib, c.cpu, c.gib)
		}
		for g, n := range groups {
			if n != c.n/int(podGroups) {
				t.Errorf("%d pods: %d of group %d", c.n, n, g)
			}
		}
	}
	if rest := karpenterPods(52); rest[51].group != plain || rest[49].group != hostAntiAffinity {
		t.Error("what is left over is not plain")
	}
}

// TestKarpenterWorkload packs the benchmark and replays the answer under its constraints.
func TestKarpenterWorkload(t *testing.T) {
	for _, c := range []struct {
		n         int
		karpenter fleet.Price // what its own scheduler pays
	}{{1000, fleet.USD(341.8)}, {5000, fleet.USD(1734.9)}} {
		pods := karpenterPods(c.n)
		p, of, nodes := karpenterProblem(pods)
		s := pack.Solve(p)
		if err := placeAll(pods, of, nodes, s); err != nil {
			t.Fatalf("%d pods: %v", c.n, err)
		}
		t.Logf("%d pods: %v on %d nodes, %.1f %% above the bound", c.n, s.Cost, nodeCount(s), gap(s))
		if s.Cost > c.karpenter*8/10 {
			t.Errorf("%d pods cost %v; Karpenter pays %v, and at most 80 %% of that are allowed", c.n, s.Cost, c.karpenter)
		}
	}
}

// BenchmarkKarpenter packs the benchmark at three sizes. Karpenter takes 4.3, 4.9 and
// 5.7 ms of processor time a pod.
func BenchmarkKarpenter(b *testing.B) {
	for _, n := range []int{1000, 5000, 10_000} {
		pods := karpenterPods(n)
		p, of, nodes := karpenterProblem(pods)
		b.Run(fmt.Sprintf("tasks=%d/types=%d/effort=%d", n, nodeTypes, p.Effort), func(b *testing.B) {
			s := measure(b, p)
			if err := placeAll(pods, of, nodes, s); err != nil {
				b.Fatal(err)
			}
		})
	}
}
