package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Resources is what a task reserves or an instance offers: whole numbers in the units of
// ECS. Host ports, which are not a quantity, are in [Ports].
type Resources struct {
	CPUUnits  int64 `json:"cpuUnits"`  // 1,024 units are one vCPU
	MemoryMiB int64 `json:"memoryMiB"` // MiB
	GPUs      int64 `json:"gpus,omitempty"`
	ENIs      int64 `json:"enis,omitempty"` // network interface slots for tasks in awsvpc mode
}

// Add returns r + s.
func (r Resources) Add(s Resources) Resources {
	return Resources{r.CPUUnits + s.CPUUnits, r.MemoryMiB + s.MemoryMiB, r.GPUs + s.GPUs, r.ENIs + s.ENIs}
}

// Sub returns r − s; the result may be negative.
func (r Resources) Sub(s Resources) Resources {
	return Resources{r.CPUUnits - s.CPUUnits, r.MemoryMiB - s.MemoryMiB, r.GPUs - s.GPUs, r.ENIs - s.ENIs}
}

// Times returns r added up n times.
func (r Resources) Times(n int64) Resources {
	return Resources{r.CPUUnits * n, r.MemoryMiB * n, r.GPUs * n, r.ENIs * n}
}

// Fits reports whether r is within room in every dimension.
func (r Resources) Fits(room Resources) bool {
	return r.CPUUnits <= room.CPUUnits && r.MemoryMiB <= room.MemoryMiB && r.GPUs <= room.GPUs && r.ENIs <= room.ENIs
}

// Copies is how many times r fits into room: 0 if not at all, and most if r is zero in
// every dimension.
func (r Resources) Copies(room Resources, most int64) int64 {
	n := most
	for _, d := range [...][2]int64{
		{r.CPUUnits, room.CPUUnits}, {r.MemoryMiB, room.MemoryMiB}, {r.GPUs, room.GPUs}, {r.ENIs, room.ENIs},
	} {
		switch {
		case d[0] > 0:
			n = min(n, max(d[1], 0)/d[0])
		case d[1] < 0:
			return 0
		}
	}
	return n
}

// IsZero reports whether every dimension is zero.
func (r Resources) IsZero() bool { return r == Resources{} }

// Negative reports whether any dimension is below zero.
func (r Resources) Negative() bool {
	return r.CPUUnits < 0 || r.MemoryMiB < 0 || r.GPUs < 0 || r.ENIs < 0
}

// String is for people: "0.5 vCPU, 1.0 GiB, 1 GPU".
func (r Resources) String() string {
	parts := []string{
		strconv.FormatFloat(float64(r.CPUUnits)/1024, 'g', 4, 64) + " vCPU",
		strconv.FormatFloat(float64(r.MemoryMiB)/1024, 'g', 4, 64) + " GiB",
	}
	if r.GPUs != 0 {
		parts = append(parts, fmt.Sprintf("%d GPU", r.GPUs))
	}
	if r.ENIs != 0 {
		parts = append(parts, fmt.Sprintf("%d ENI", r.ENIs))
	}
	return strings.Join(parts, ", ")
}

// Shortfall names each dimension in which r exceeds room, and by how much: "memory: needs
// 4096 MiB, 3072 free". It is empty when r fits.
func (r Resources) Shortfall(room Resources) string {
	var parts []string
	for _, d := range [...]struct {
		name, unit string
		need, free int64
	}{
		{"CPU", "units", r.CPUUnits, room.CPUUnits},
		{"memory", "MiB", r.MemoryMiB, room.MemoryMiB},
		{"GPU", "GPUs", r.GPUs, room.GPUs},
		{"ENI", "slots", r.ENIs, room.ENIs},
	} {
		if d.need > d.free {
			parts = append(parts, fmt.Sprintf("%s: needs %d %s, %d free", d.name, d.need, d.unit, max(d.free, 0)))
		}
	}
	return strings.Join(parts, "; ")
}

// Port is a host port with its protocol.
type Port struct {
	Number   uint16   `json:"number"`
	Protocol Protocol `json:"protocol"`
}

// Protocol is the transport protocol of a host port.
type Protocol string

// The protocols for which ECS counts host ports.
const (
	TCP Protocol = "tcp"
	UDP Protocol = "udp"
)

// Ports is a set of host ports, sorted by protocol and number.
type Ports []Port

// NewPorts returns the set of the given ports in canonical order.
func NewPorts(ports ...Port) Ports {
	if len(ports) == 0 {
		return nil
	}
	set := slices.Clone(ports)
	slices.SortFunc(set, comparePorts)
	return slices.Compact(set)
}

func comparePorts(a, b Port) int {
	return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Number, b.Number))
}

// Conflict returns a port that both sets hold, if there is one. Both are sorted, so this
// takes O(len(p)+len(q)).
func (p Ports) Conflict(q Ports) (Port, bool) {
	for i, j := 0, 0; i < len(p) && j < len(q); {
		switch c := comparePorts(p[i], q[j]); {
		case c == 0:
			return p[i], true
		case c < 0:
			i++
		default:
			j++
		}
	}
	return Port{}, false
}

// Union returns the ports of both sets.
func (p Ports) Union(q Ports) Ports {
	if len(q) == 0 {
		return p
	}
	return NewPorts(append(slices.Clone(p), q...)...)
}

// Without returns the ports of p that q does not hold.
func (p Ports) Without(q Ports) Ports {
	var left Ports
	for _, port := range p {
		if _, found := slices.BinarySearchFunc(q, port, comparePorts); !found {
			left = append(left, port)
		}
	}
	return left
}

// String is for people: "tcp/80".
func (p Port) String() string { return fmt.Sprintf("%s/%d", p.Protocol, p.Number) }

// Price is what an instance costs in millionths of a US dollar per hour: whole numbers,
// so that sums do not depend on their order.
type Price int64

// USD converts dollars per hour; it rounds to the nearest millionth.
func USD(perHour float64) Price {
	if perHour < 0 {
		return Price(perHour*1e6 - 0.5)
	}
	return Price(perHour*1e6 + 0.5)
}

// USD is the price in dollars per hour.
func (p Price) USD() float64 { return float64(p) / 1e6 }

// String is for people: "$0.0960/h".
func (p Price) String() string { return fmt.Sprintf("$%.4f/h", p.USD()) }
