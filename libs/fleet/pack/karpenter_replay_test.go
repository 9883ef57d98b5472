package pack_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
)

// host is a node with its pods.
type host struct {
	node
	pods []pod
}

// cluster is what was placed so far, counted as the constraints of the benchmark do.
type cluster struct {
	hosts  []host
	inZone [podZones][podLabels]int // pods that have a label
	values [podZones][podLabels]int // pods with affinity to their value
}

// place puts a pod on a host, and says which constraint of the pod that breaks.
func (c *cluster) place(p pod, on int) error {
	h := &c.hosts[on]
	hasLabel := p.group == plain || p.group == zoneSpread || p.group == hostSpread
	self := 0
	if p.label == p.selector {
		self = 1
	}
	switch p.group {
	case zoneSpread:
		least := math.MaxInt
		for z := range podZones {
			least = min(least, c.inZone[z][p.selector])
		}
		if n := c.inZone[h.zone][p.selector] + self; n-least > 1 {
			return fmt.Errorf("zone %d has %d pods of label %d, another one %d", h.zone, n, p.selector, least)
		}
	case hostSpread:
		n := self
		for _, other := range h.pods {
			if other.group <= hostSpread && other.label == p.selector {
				n++
			}
		}
		if n > 1 { // a new host has none
			return fmt.Errorf("host %d has %d pods of label %d", on, n, p.selector)
		}
	case zoneAffinity:
		for z := range podZones {
			if z != h.zone && c.values[z][p.label] > 0 {
				return fmt.Errorf("value %d is in zones %d and %d", p.label, z, h.zone)
			}
		}
		c.values[h.zone][p.label]++
	case hostAntiAffinity:
		if slices.ContainsFunc(h.pods, func(other pod) bool { return other.group == hostAntiAffinity }) {
			return fmt.Errorf("host %d has two pods that exclude one another", on)
		}
	case plain, podGroups:
	}
	if hasLabel {
		c.inZone[h.zone][p.label]++
	}
	h.pods = append(h.pods, p)
	var cpu, mem int64
	for _, other := range h.pods {
		cpu, mem = cpu+other.cpu, mem+other.mem
	}
	if cpu+100 > 1000*h.vcpus || mem+10 > 2048*h.vcpus || int64(len(h.pods)) > 10*h.vcpus {
		return fmt.Errorf("host %d of %d vCPU is over-filled: %d milli-CPU, %d MiB, %d pods", on, h.vcpus, cpu, mem, len(h.pods))
	}
	return nil
}

// placeAll replays an answer pod by pod and checks every constraint of the benchmark.
func placeAll(pods []pod, of [][]int, nodes []node, s pack.Solution) error {
	var c cluster
	var cost fleet.Price
	hostOf, left := make([]int, len(pods)), slices.Clone(of)
	for i := range hostOf {
		hostOf[i] = -1
	}
	for _, inst := range s.Instances {
		for range inst.Count {
			for _, held := range inst.Items {
				if held.Count > len(left[held.Item]) {
					return fmt.Errorf("item %d is placed too often", held.Item)
				}
				for _, i := range left[held.Item][:held.Count] {
					hostOf[i] = len(c.hosts)
				}
				left[held.Item] = left[held.Item][held.Count:]
			}
			c.hosts = append(c.hosts, host{node: nodes[inst.Offering]})
			cost += nodes[inst.Offering].price()
		}
	}
	for _, i := range placingOrder(pods) {
		if hostOf[i] < 0 {
			return fmt.Errorf("pod %d is nowhere", i)
		}
		if err := c.place(pods[i], hostOf[i]); err != nil {
			return fmt.Errorf("pod %d: %w", i, err)
		}
	}
	if cost != s.Cost || len(c.hosts) < len(pods)/int(podGroups) {
		return fmt.Errorf("%d nodes cost %v, said to cost %v", len(c.hosts), cost, s.Cost)
	}
	return nil
}

// TestPlace places pods by hand.
func TestPlace(t *testing.T) {
	at := func(zones ...int) *cluster {
		var c cluster
		for _, z := range zones {
			c.hosts = append(c.hosts, host{node: node{vcpus: 1, zone: z}})
		}
		return &c
	}
	small := func(g podGroup, label, selector int) pod {
		return pod{group: g, label: label, selector: selector, cpu: 100, mem: 100}
	}
	full := pod{group: hostAntiAffinity, cpu: 900, mem: 2038}
	larger := full
	larger.mem++
	for _, c := range []struct {
		name  string
		zones []int // of hosts
		pods  []pod // each on the host of its place in on
		on    []int
		fails bool // at the last
	}{
		{"plain pods go anywhere", []int{0}, []pod{small(plain, 1, 0), small(plain, 1, 0)}, []int{0, 0}, false},
		{"full", []int{0}, []pod{full}, []int{0}, false},
		{"over-full", []int{0}, []pod{larger}, []int{0}, true},
		{"zone: one of its own", []int{0, 1}, []pod{small(zoneSpread, 1, 1), small(zoneSpread, 1, 1)}, []int{0, 1}, false},
		{"zone: two of its own", []int{0, 1}, []pod{small(zoneSpread, 1, 1), small(zoneSpread, 1, 1)}, []int{0, 0}, true},
		{"zone: one of others is there", []int{0}, []pod{small(plain, 2, 0), small(zoneSpread, 1, 2)}, []int{0, 0}, false},
		{"zone: two of others are there", []int{0}, []pod{small(plain, 2, 0), small(plain, 2, 0), small(zoneSpread, 1, 2)}, []int{0, 0, 0}, true},
		{"host: two of its own", []int{0}, []pod{small(hostSpread, 1, 1), small(hostSpread, 1, 1)}, []int{0, 0}, true},
		{"host: a plain pod counts", []int{0}, []pod{small(plain, 1, 0), small(hostSpread, 1, 1)}, []int{0, 0}, true},
		{"host: one of others", []int{0}, []pod{small(plain, 2, 0), small(hostSpread, 1, 2)}, []int{0, 0}, false},
		{"host: two of others", []int{0}, []pod{small(plain, 2, 0), small(plain, 2, 0), small(hostSpread, 1, 2)}, []int{0, 0, 0}, true},
		{"host: affinity pods have no label", []int{0}, []pod{small(zoneAffinity, 1, 0), small(hostSpread, 1, 1)}, []int{0, 0}, false},
		{"affinity: same zone", []int{0, 0}, []pod{small(zoneAffinity, 1, 0), small(zoneAffinity, 1, 0)}, []int{0, 1}, false},
		{"affinity: another zone", []int{0, 1}, []pod{small(zoneAffinity, 1, 0), small(zoneAffinity, 1, 0)}, []int{0, 1}, true},
		{"anti-affinity", []int{0}, []pod{small(hostAntiAffinity, 0, 0), small(hostAntiAffinity, 0, 0)}, []int{0, 0}, true},
	} {
		cl := at(c.zones...)
		for i, p := range c.pods {
			if err := cl.place(p, c.on[i]); (err != nil) != (c.fails && i == len(c.pods)-1) {
				t.Errorf("%s: pod %d: %v", c.name, i, err)
			}
		}
	}
}

// TestReplayFindsWhatIsBroken leaves out each rule of the problem in turn: the replay must
// notice.
func TestReplayFindsWhatIsBroken(t *testing.T) {
	pods := karpenterPods(1000)
	for _, c := range []struct {
		name  string
		spoil func(*pack.Problem)
	}{
		{"no zones", func(p *pack.Problem) {
			for i := range p.Items {
				p.Items[i].Allowed = nil
			}
		}},
		{"no keys", func(p *pack.Problem) {
			for i := range p.Items {
				p.Items[i].Keys = nil
			}
		}},
		{"nothing reserved", func(p *pack.Problem) {
			for o := range p.Offerings {
				p.Offerings[o].Capacity.CPUUnits += 100
			}
		}},
		{"pods forgotten", func(p *pack.Problem) { p.Items[0].Count-- }},
	} {
		p, of, nodes := karpenterProblem(pods)
		c.spoil(&p)
		if err := placeAll(pods, of, nodes, pack.Solve(p)); err == nil {
			t.Errorf("%s: the replay finds nothing wrong", c.name)
		}
	}
}
