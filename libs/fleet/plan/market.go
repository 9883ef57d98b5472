package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// market is what the policy allows to be launched: every launch spec × instance type ×
// zone × lifecycle, with what it registers, costs and carries.
type market struct {
	d        *draft
	offers   []offer
	shelf    *place.Cluster // node i is an empty instance of offer i, daemon tasks on board
	built    bool
	unpriced bool // a type was left out because its price with Windows is not known
	types    map[fleet.TypeName]*fleet.InstanceType
	learned  map[learnedKey][]fleet.Learned   // by reserved memory
	carried  map[learnedKey][]fleet.Attribute // capabilities by spec and image
	agents   map[fleet.ImageID]string         // versions
	blind    map[fleet.ImageID]bool           // images whose instances were seen not to register their GPUs
	setbacks []*fleet.Setback                 // by rank of the spec
	troubled map[fleet.OfferingKey]bool       // spot pools that show that they are short
	specs    map[fleet.LaunchSpecName]*owned
	total    usage
}

// offer is an offering of the market.
type offer struct {
	fleet.Offering
	spec    *fleet.LaunchSpec
	weighed fleet.Price // what it is compared by
	rank    int         // of the spec in the policy: the first is preferred at equal price
	typ     *fleet.InstanceType
	short   *fleet.Shortage // out of capacity, as far as is known
	dry     bool            // its pool was not asked, but there is no spot capacity in others either
	setback *fleet.Setback  // launches from its spec fail
	daemons []int           // task groups
}

// foreign offerings run Windows, and the task does not ask for that: ECS would start a Linux
// image there, which fails.
func (o *offer) foreign(t *place.Task) bool {
	return o.spec.Windows() && !t.AsksFor(osType) && !t.AsksFor(osFamily) && !t.AsksFor(fleet.AttributeLaunchSpec)
}

// tooGood offerings have GPUs that the task does not need, and the policy does not want
// them bought for such.
func (o *offer) tooGood(t *place.Task) bool {
	return o.typ.GPUs > 0 && t.Needs.GPUs == 0 && !o.spec.Types.GPU
}

type learnedKey struct {
	name  string // of a type, or of a spec
	image fleet.ImageID
}

// owned is what there is of a launch spec.
type owned struct {
	usage
	onDemand, spot int
}

// usage is what counts against the limits of the policy.
type usage struct {
	instances        int
	vcpus, memoryMiB int64
}

// add counts instances of a type.
func (u *usage) add(count int, vcpus, memoryMiB int64) {
	u.instances += count
	u.vcpus += int64(count) * vcpus
	u.memoryMiB += int64(count) * memoryMiB
}

func newMarket(d *draft) *market {
	m := &market{
		d: d, types: map[fleet.TypeName]*fleet.InstanceType{}, learned: map[learnedKey][]fleet.Learned{},
		carried: map[learnedKey][]fleet.Attribute{}, agents: map[fleet.ImageID]string{}, blind: map[fleet.ImageID]bool{},
		specs: map[fleet.LaunchSpecName]*owned{},
	}
	for i := range d.snap.Types {
		m.types[d.snap.Types[i].Name] = &d.snap.Types[i]
	}
	for _, l := range d.snap.Learned {
		key := learnedKey{string(l.Type), l.Image}
		m.learned[key] = append(m.learned[key], l)
		if t := m.types[l.Type]; t != nil && t.GPUs > 0 && l.Capacity.GPUs == 0 {
			m.blind[l.Image] = true
		}
	}
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		if inst.Status == fleet.StatusGone {
			continue
		}
		off := fleet.Offering{Type: inst.Type, Lifecycle: inst.Lifecycle, Capacity: inst.Registered}
		m.count(&off, inst.LaunchSpec)
	}
	return m
}

// count notes an instance that exists or is on its way.
func (m *market) count(off *fleet.Offering, spec fleet.LaunchSpecName) {
	vcpus, memory := off.Capacity.CPUUnits/1024, off.Capacity.MemoryMiB
	if t, ok := m.types[off.Type]; ok {
		vcpus, memory = t.VCPUs, t.MemoryMiB
	}
	m.total.add(1, vcpus, memory)
	if m.specs[spec] == nil {
		m.specs[spec] = &owned{}
	}
	m.specs[spec].add(1, vcpus, memory)
	if off.Lifecycle == fleet.Spot {
		m.specs[spec].spot++
	} else {
		m.specs[spec].onDemand++
	}
}

func (m *market) ownedBy(spec fleet.LaunchSpecName) owned {
	if o := m.specs[spec]; o != nil {
		return *o
	}
	return owned{}
}

// build expands the launch specs, once, when something has to be launched or explained.
func (m *market) build() {
	if m.built {
		return
	}
	m.built = true
	m.findTrouble()
	m.shelf = place.New()
	for rank := range m.d.pol.LaunchSpecs {
		spec := &m.d.pol.LaunchSpecs[rank]
		m.setbacks = append(m.setbacks, m.d.setback(fleet.ActionLaunch, string(spec.Name)))
		subnets := m.subnets(spec)
		for t := range m.d.snap.Types {
			typ := &m.d.snap.Types[t]
			image, arch, ok := m.admits(spec, typ)
			if !ok {
				continue
			}
			for _, zone := range typ.Zones {
				subnet, ok := subnets[zone.Zone]
				if !ok {
					continue
				}
				base := m.offering(spec, typ, subnet, image, arch)
				onDemand, spot := typ.OnDemand, zone.Spot
				if spec.Windows() {
					onDemand, spot = typ.Windows, zone.Windows
					m.unpriced = m.unpriced || onDemand <= 0
				}
				m.offer(rank, typ, base, fleet.OnDemand, onDemand)
				if *spec.SpotPercentage > 0 {
					m.offer(rank, typ, base, fleet.Spot, spot)
				}
			}
		}
	}
}

// offer puts an offering on the shelf. A price that is not known is no price.
func (m *market) offer(rank int, typ *fleet.InstanceType, off fleet.Offering, lifecycle fleet.Lifecycle, price fleet.Price) {
	if price <= 0 {
		return
	}
	spec := &m.d.pol.LaunchSpecs[rank]
	off.Lifecycle, off.Price = lifecycle, price
	o := offer{Offering: off, spec: spec, rank: rank, typ: typ, setback: m.setbacks[rank]}
	o.weighed = m.weigh(&o)
	i, found := slices.BinarySearchFunc(m.d.mem.Shortages, off.Key(), func(s fleet.Shortage, k fleet.OfferingKey) int {
		return cmp.Or(cmp.Compare(s.Offering.Type, k.Type), cmp.Compare(s.Offering.Zone, k.Zone), cmp.Compare(s.Offering.Lifecycle, k.Lifecycle))
	})
	if found && m.d.now.Before(m.d.mem.Shortages[i].Until) {
		o.short = &m.d.mem.Shortages[i]
	}
	o.dry = m.d.mem.Drought.Dries(off.Key(), m.d.now)
	node := m.shelf.Add(place.Node{
		Zone: off.Zone, Attributes: m.attributesOf(&off, spec), Total: off.Capacity, Free: off.Capacity,
		Schedulable: true, RegisteredAt: m.d.now, AgentVersion: m.agentVersion(off.ImageID),
	})
	for _, g := range m.d.daemons {
		if t := m.d.tasks[g]; m.shelf.Admits(node, t) {
			m.shelf.Put(node, t, 1)
			o.daemons = append(o.daemons, g)
		}
	}
	m.offers = append(m.offers, o)
}

// subnets chooses one subnet of the spec for each zone: the one with the most addresses
// left. A subnet without any is no choice.
func (m *market) subnets(spec *fleet.LaunchSpec) map[fleet.Zone]fleet.Subnet {
	chosen := map[fleet.Zone]fleet.Subnet{}
	for _, s := range m.d.snap.Subnets {
		if !slices.Contains(spec.Subnets, s.ID) || s.FreeAddresses <= 0 {
			continue
		}
		if best, ok := chosen[s.Zone]; !ok || s.FreeAddresses > best.FreeAddresses {
			chosen[s.Zone] = s
		}
	}
	return chosen
}

// admits applies the type filter, and finds the image that runs on the type.
func (m *market) admits(spec *fleet.LaunchSpec, t *fleet.InstanceType) (image fleet.Image, arch fleet.Architecture, ok bool) {
	if !TypeAllowed(&spec.Types, t) {
		return fleet.Image{}, "", false
	}
	for _, arch := range spec.Types.Architectures {
		if !slices.Contains(t.Architectures, arch) || spec.Windows() && arch != fleet.X86 { // there is no other Windows for ECS
			continue
		}
		if len(spec.Images) == 0 { // the launch template names one
			return fleet.Image{}, arch, true
		}
		for _, parameter := range spec.Images {
			if image := m.image(parameter); image.Architecture == arch {
				return image, arch, true
			}
		}
	}
	return fleet.Image{}, "", false
}

// image is what an image parameter stands for. One that was not resolved is taken at its
// word: the launch resolves it.
func (m *market) image(parameter string) fleet.Image {
	for _, image := range m.d.snap.Images {
		if image.Parameter == parameter {
			if image.Architecture == "" {
				image.Architecture = guessArchitecture(parameter)
			}
			return image
		}
	}
	image := fleet.Image{Parameter: parameter, Architecture: guessArchitecture(parameter)}
	if strings.HasPrefix(parameter, "ami-") {
		image.ID = fleet.ImageID(parameter)
	}
	return image
}

// guessArchitecture reads the architecture from a public parameter name: those of arm64
// images say so, all others are x86_64.
func guessArchitecture(parameter string) fleet.Architecture {
	if strings.Contains(parameter, "arm64") {
		return fleet.ARM
	}
	return fleet.X86
}

func (m *market) offering(spec *fleet.LaunchSpec, t *fleet.InstanceType, subnet fleet.Subnet, image fleet.Image, arch fleet.Architecture) fleet.Offering {
	return fleet.Offering{
		LaunchSpec: spec.Name, Type: t.Name, Zone: subnet.Zone, Subnet: subnet.ID,
		Image: image.Parameter, ImageID: image.ID, Architecture: arch,
		Capacity: m.capacity(spec, t, image, arch),
	}
}

// What of its nominal memory an instance does not register, at most, before one of the
// type was seen: measured over the published registrations of Nitro types.
const (
	lostMiB         = 220 // firmware and kernel, whatever the size
	lostPerThousand = 45  // page tables and the like
	lostGravitonMiB = 64  // contiguous memory area of arm64 kernels
)

// capacity is what an instance registers: as one of the type and image did, else by a
// formula that errs on the small side.
func (m *market) capacity(spec *fleet.LaunchSpec, t *fleet.InstanceType, image fleet.Image, arch fleet.Architecture) fleet.Resources {
	enis := max(t.MaxENIs-1, 0) // the primary one is the instance's own
	if spec.ENITrunking && t.TrunkTasks > 0 {
		enis = t.TrunkTasks
	}
	if seen, ok := m.seen(t.Name, image.ID, spec.ReservedMemory); ok {
		seen.ENIs = enis // a setting of the account, not of the image
		return seen
	}
	memory := t.MemoryMiB - lostMiB - t.MemoryMiB*lostPerThousand/1000 - spec.ReservedMemory
	if arch == fleet.ARM {
		memory -= lostGravitonMiB
	}
	gpus := t.GPUs
	if m.blind[image.ID] || withoutDriver(image.Parameter) {
		gpus = 0
	}
	return fleet.Resources{CPUUnits: t.VCPUs * 1024, MemoryMiB: max(memory, 0), GPUs: gpus, ENIs: enis}
}

// withoutDriver reports whether a public parameter names an image whose agent sees no GPUs:
// those of images that have a driver say so. Of other images it is seen when one registers.
func withoutDriver(parameter string) bool {
	return strings.HasPrefix(parameter, "/aws/service/") && !strings.Contains(parameter, "/gpu/") && !strings.Contains(parameter, "-nvidia")
}

// seen is what instances of a type and image registered whose agents keep as much memory
// for the system; else what others registered, with the difference taken off.
func (m *market) seen(name fleet.TypeName, image fleet.ImageID, reserved int64) (fleet.Resources, bool) {
	known := m.learned[learnedKey{string(name), image}]
	var best fleet.Resources
	for i, l := range known {
		l.Capacity.MemoryMiB = max(l.Capacity.MemoryMiB+l.ReservedMemory-reserved, 0)
		if l.ReservedMemory == reserved {
			return l.Capacity, true
		}
		if i == 0 || l.Capacity.MemoryMiB < best.MemoryMiB {
			best = l.Capacity
		}
	}
	return best, len(known) > 0
}

// offeringOf is the offering that an instance which has not registered was made from.
func (m *market) offeringOf(inst *fleet.Instance) (fleet.Offering, *fleet.LaunchSpec, bool) {
	t, ok := m.types[inst.Type]
	if !ok {
		return fleet.Offering{}, nil, false
	}
	spec, ok := m.d.pol.Spec(inst.LaunchSpec)
	if !ok {
		spec = &fleet.LaunchSpec{Name: inst.LaunchSpec}
	}
	arch := inst.Architecture
	if arch == "" && len(t.Architectures) > 0 {
		arch = t.Architectures[0]
	}
	off := m.offering(spec, t, fleet.Subnet{ID: inst.Subnet, Zone: inst.Zone}, fleet.Image{ID: inst.Image}, arch)
	off.Lifecycle, off.Price = inst.Lifecycle, m.priceOf(inst)
	return off, spec, true
}

// weighedPrices are the prices by which the offerings of the market are compared.
func (m *market) weighedPrices() map[fleet.OfferingKey]fleet.Price {
	prices := make(map[fleet.OfferingKey]fleet.Price, len(m.offers))
	for i := range m.offers {
		prices[m.offers[i].Key()] = m.offers[i].weighed
	}
	return prices
}

// weighedPriceOf is what an instance counts as where it is compared with offerings: as the
// same one if that could be launched now, else what it costs.
func (m *market) weighedPriceOf(inst *fleet.Instance, prices map[fleet.OfferingKey]fleet.Price) fleet.Price {
	if p, ok := prices[fleet.OfferingKey{Type: inst.Type, Zone: inst.Zone, Lifecycle: inst.Lifecycle}]; ok {
		return p
	}
	return m.priceOf(inst)
}

// priceOf is what an instance costs, as far as the catalogue knows.
func (m *market) priceOf(inst *fleet.Instance) fleet.Price {
	t, ok := m.types[inst.Type]
	if !ok {
		return 0
	}
	spec, known := m.d.pol.Spec(inst.LaunchSpec)
	windows := m.runsWindows(inst) || known && spec.Windows()
	if inst.Lifecycle == fleet.Spot {
		for _, z := range t.Zones {
			price := z.Spot
			if windows {
				price = z.Windows
			}
			if z.Zone == inst.Zone && price > 0 {
				return price
			}
		}
	}
	if windows && t.Windows > 0 {
		return t.Windows
	}
	return t.OnDemand
}
