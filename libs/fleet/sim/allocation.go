package sim

import (
	"cmp"
	"math"
	"slices"
)

// The allocation strategies of fleets.
const (
	lowestPrice              = "lowest-price"
	diversified              = "diversified"
	capacityOptimized        = "capacity-optimized"
	capacityOptimizedByOrder = "capacity-optimized-prioritized"
	priceCapacityOptimized   = "price-capacity-optimized"
	prioritized              = "prioritized"
)

var (
	spotStrategies     = []string{lowestPrice, diversified, capacityOptimized, capacityOptimizedByOrder, priceCapacityOptimized}
	onDemandStrategies = []string{lowestPrice, prioritized}
)

// rank puts offerings in the order in which an allocation strategy tries them for so much
// capacity; what it does not tell apart stays in the order of the request. How EC2 weighs
// capacity is not published: here a pool counts as deep if it holds the whole request, and
// pools whose depths are within a factor of two count as alike.
func (w *World) rank(list []candidate, strategy string, target float64) {
	type key [2]float64
	keys := make(map[*candidate]key, len(list))
	for i := range list {
		o := &list[i]
		depth, price := float64(w.depth(o))*o.weight, float64(o.price)/o.weight
		shallow := 0.0
		if depth < target {
			shallow = 1
		}
		band := -math.Floor(math.Log2(depth + 1))
		switch strategy {
		case priceCapacityOptimized:
			// Cheap among the deep pools: an often interrupted one must be a good deal cheaper.
			keys[o] = key{shallow, price * (1 + 2*w.interrupted(o))}
		case capacityOptimized:
			keys[o] = key{-depth}
		case capacityOptimizedByOrder:
			keys[o] = key{band, o.order()}
		case prioritized:
			keys[o] = key{o.order()}
		case diversified:
			keys[o] = key{0}
		default:
			keys[o] = key{price}
		}
	}
	sorted := make([]*candidate, len(list))
	for i := range list {
		sorted[i] = &list[i]
	}
	slices.SortStableFunc(sorted, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(keys[a][0], keys[b][0]), cmp.Compare(keys[a][1], keys[b][1]))
	})
	ranked := make([]candidate, len(list))
	for i, o := range sorted {
		ranked[i] = *o
	}
	copy(list, ranked)
}

// order is the priority of an offering, the lowest first; those without come last.
func (o *candidate) order() float64 {
	if o.priority < 0 {
		return math.MaxFloat64
	}
	return o.priority
}

// interrupted is how often spot instances of an offering are taken, as EC2 would know.
func (w *World) interrupted(o *candidate) float64 {
	return o.kind.interruptedOften * (0.8 + 0.4*w.chance("interrupted", o.kind.name, o.subnet.Zone))
}

// allotment is how many instances of each offering a fleet means to launch.
type allotment struct {
	list   []candidate
	share  []int
	filled float64 // capacity
	failed []FleetError
}

// groups are the sets of offerings of which a fleet may use one, the best first: all of
// them, or those of each instance type, zone, or both.
func groups(list []candidate, options FleetOptions) [][]candidate {
	if !options.SingleInstanceType && !options.SingleAvailabilityZone {
		return [][]candidate{list}
	}
	place := map[[2]string]int{}
	var sets [][]candidate
	for _, o := range list {
		var k [2]string
		if options.SingleInstanceType {
			k[0] = o.kind.name
		}
		if options.SingleAvailabilityZone {
			k[1] = o.subnet.Zone
		}
		i, found := place[k]
		if !found {
			i = len(sets)
			place[k], sets = i, append(sets, nil)
		}
		sets[i] = append(sets[i], o)
	}
	return sets
}

// allot finds what a fleet launches of offerings in their order, as far as there is
// capacity, and what each that was tried is short of.
func (f *fleetLaunch) allot(list []candidate, target float64, options FleetOptions) allotment {
	a := allotment{list: list, share: make([]int, len(list))}
	booked, budget := newBooking(), f.budget(options)
	short := make([]bool, len(list))
	give := func(i int, capacity float64) {
		o := &list[i]
		want := min(int(math.Ceil(capacity/o.weight-0.001)), mostFleetCapacity)
		if want <= 0 || short[i] {
			return
		}
		got, why := f.w.capacity(o, want, booked)
		if price := float64(o.price); budget >= 0 && price > 0 && float64(got)*price > budget {
			got = int(budget / price)
			why = clientError("InvalidFleetConfiguration", "The maximum total price of the fleet does not allow more instances.")
		}
		if budget >= 0 {
			budget -= float64(got) * float64(o.price)
		}
		booked.add(o, got)
		a.share[i] += got
		a.filled += float64(got) * o.weight
		if got < want {
			short[i] = true
			a.failed = append(a.failed, failure(o, why))
		}
	}
	pools := 1
	switch {
	case options.AllocationStrategy == diversified:
		pools = len(list)
	case cmp.Or(options.AllocationStrategy, lowestPrice) == lowestPrice:
		pools = max(options.InstancePoolsToUseCount, 1)
	}
	for i := range min(pools, len(list)) { // evenly; a single pool gets it all
		left := target - a.filled
		give(i, left/float64(min(pools, len(list))-i))
	}
	for i := 0; i < len(list) && target-a.filled > 0.001; i++ {
		give(i, target-a.filled)
	}
	return a
}

// budget is what the instances of one lifecycle may cost per hour; below 0 is anything.
func (f *fleetLaunch) budget(options FleetOptions) float64 {
	limit, err := readPriceLimit("MaxTotalPrice", options.MaxTotalPrice)
	if err != nil || limit == 0 {
		return -1
	}
	return float64(limit)
}
