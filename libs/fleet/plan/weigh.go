package plan

import (
	"cmp"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
)

// weight is what an orientation means, in percent; see [fleet.Orientation].
type weight struct {
	risk    fleet.Price // of the price, for a pool that is sure to be in short supply
	premium fleet.Price // that an alternative may cost beyond the offering that was chosen
}

var weights = map[fleet.Orientation]weight{
	fleet.Cheapest:          {risk: 0, premium: 0},
	fleet.CostOriented:      {risk: 25, premium: 2},
	fleet.Balanced:          {risk: 100, premium: 5},
	fleet.AvailabilityFirst: {risk: 400, premium: 25},
}

// dispreferred is what a type that is not preferred counts, in percent of its price: then a
// preferred one is taken unless the other saves more than a fifth.
const dispreferred = 125

// mostAlternatives bounds the offerings of one launch: past this number further ones hardly
// add to the chance of capacity, and each is carried through every message about it.
const mostAlternatives = 20

// weigh is the price by which an offering is compared: what it costs, what an interruption
// is likely to cost, and what the policy prefers.
func (m *market) weigh(o *offer) fleet.Price {
	price := o.Price
	if w := weights[o.spec.Orientation]; o.Lifecycle == fleet.Spot && w.risk > 0 {
		price += o.Price * w.risk / allPercent * m.risk(o) / thousand
	}
	if preferred := o.spec.PreferredTypes; len(preferred) > 0 && !matches(preferred, string(o.Type)) {
		price = price * dispreferred / allPercent
	}
	return price
}

const thousand = 1000

// risk is how short in supply a spot pool is, in thousandths: the share of the on-demand
// price that it costs, and all of it if AWS takes instances of it back or had none to give
// a short while ago.
func (m *market) risk(o *offer) fleet.Price {
	if m.troubled[o.Key()] || o.typ.OnDemand <= 0 {
		return thousand
	}
	onDemand := o.typ.OnDemand
	if o.spec.Windows() && o.typ.Windows > 0 {
		onDemand = o.typ.Windows
	}
	return min(o.Price*thousand/onDemand, thousand)
}

// findTrouble looks which spot pools show that they are short.
func (m *market) findTrouble() {
	m.troubled = map[fleet.OfferingKey]bool{}
	for i := range m.d.snap.Instances {
		if inst := &m.d.snap.Instances[i]; inst.Notice.Kind != "" && inst.Lifecycle == fleet.Spot {
			m.troubled[fleet.OfferingKey{Type: inst.Type, Zone: inst.Zone, Lifecycle: fleet.Spot}] = true
		}
	}
	for _, s := range m.d.mem.Shortages {
		if s.Offering.Lifecycle == fleet.Spot {
			m.troubled[s.Offering] = true
		}
	}
}

// nearEqual lists the offerings that hold the same as the chosen one and cost little more,
// as the orientation of the launch spec has it: those of the same zone first, then by
// price. EC2 may pick any of them.
func (d *draft) nearEqual(p pack.Problem, chosen int, items []pack.Held) []int {
	off := &p.Offerings[chosen]
	var needs fleet.Resources
	for _, h := range items {
		needs = needs.Add(p.Items[h.Item].Needs.Times(int64(h.Count)))
	}
	spec := d.market.offers[chosen].spec
	premium := weights[spec.Orientation].premium
	limits := &d.pol.Limits
	byVCPUs, byMemory := limits.MaxVCPUs+spec.MaxVCPUs > 0, limits.MaxMemoryGiB+spec.MaxMemoryGiB > 0
	var list []int
	for j := range p.Offerings {
		o := &p.Offerings[j]
		if j == chosen || o.Group != off.Group || o.Price > off.Price+off.Price*premium/allPercent || !needs.Fits(o.Capacity) {
			continue
		}
		if byVCPUs && o.VCPUs > off.VCPUs || byMemory && o.Memory > off.Memory {
			continue // within the limits with the one that was chosen, not with any
		}
		if !slices.ContainsFunc(items, func(h pack.Held) bool {
			allowed := p.Items[h.Item].Allowed
			return allowed != nil && !allowed[j]
		}) {
			list = append(list, j)
		}
	}
	elsewhere := func(j int) int {
		if p.Offerings[j].Zone == off.Zone {
			return 0
		}
		return 1
	}
	slices.SortFunc(list, func(x, y int) int {
		return cmp.Or(cmp.Compare(elsewhere(x), elsewhere(y)), cmp.Compare(p.Offerings[x].Price, p.Offerings[y].Price), cmp.Compare(p.Offerings[x].Name, p.Offerings[y].Name))
	})
	return list[:min(len(list), mostAlternatives)]
}
