package snapshot

import (
	"slices"
	"strconv"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// addTypes joins types, zones and prices. A type that nobody sells, or whose size is not
// known, is no candidate and is left out.
func (a *assembly) addTypes() {
	prices := make(map[string]Price, len(a.in.Catalogue.Prices))
	for _, p := range a.in.Catalogue.Prices {
		// A type may stand twice in the price list while a price changes. The higher one
		// holds: to expect a saving that is none would be the worse mistake.
		known := prices[p.Type]
		prices[p.Type] = Price{OnDemand: max(known.OnDemand, p.OnDemand), Windows: max(known.Windows, p.Windows)}
	}
	spot := newestSpot(a.in.Catalogue.Spot)
	zones := make(map[string][]fleet.ZoneOffer, len(a.in.Catalogue.Types))
	for _, o := range a.in.Catalogue.Offers {
		offer := fleet.ZoneOffer{Zone: fleet.Zone(o.Zone), Spot: max(spot[pool{o, false}].Spot, 0), Windows: max(spot[pool{o, true}].Spot, 0)}
		if o.Zone != "" && !slices.Contains(zones[o.Type], offer) {
			zones[o.Type] = append(zones[o.Type], offer)
		}
	}
	for _, t := range a.in.Catalogue.Types {
		name := fleet.TypeName(t.Name)
		if _, twice := a.types[name]; twice || t.VCPUs <= 0 || t.MemoryMiB <= 0 || t.GPUs < 0 || t.MaxENIs < 0 || len(zones[t.Name]) == 0 {
			continue
		}
		a.types[name] = len(a.snap.Types)
		a.snap.Types = append(a.snap.Types, fleet.InstanceType{
			Name: name, Architectures: architectures(t.Architectures),
			VCPUs: t.VCPUs, MemoryMiB: t.MemoryMiB, GPUs: t.GPUs,
			MaxENIs: t.MaxENIs, TrunkTasks: max(t.TrunkTasks, 0),
			Burstable: t.Burstable, Metal: t.Metal, DiskGiB: max(t.DiskGiB, 0), NetworkMbps: max(t.NetworkMbps, 0),
			OnDemand: prices[t.Name].OnDemand, Windows: prices[t.Name].Windows, Zones: zones[t.Name],
		})
	}
	if a.in.Catalogue.Complete && len(a.snap.Types) == 0 {
		a.fail(fleet.SectionCatalogue, "no instance type that is sold in any zone")
	}
}

// pool is what has a spot price of its own.
type pool struct {
	Offer
	windows bool
}

// newestSpot keeps the newest price of each pool.
func newestSpot(history []SpotPrice) map[pool]SpotPrice {
	newest := make(map[pool]SpotPrice, len(history))
	for _, p := range history {
		key := pool{Offer{p.Type, p.Zone}, p.Windows}
		known, ok := newest[key]
		if !ok || p.At.After(known.At) || (p.At.Equal(known.At) && p.Spot > known.Spot) {
			newest[key] = p
		}
	}
	return newest
}

func architectures(names []string) []fleet.Architecture {
	known := []fleet.Architecture{}
	for _, name := range names {
		if arch := architecture(name); arch != "" && !slices.Contains(known, arch) {
			known = append(known, arch)
		}
	}
	return known
}

// architecture reads the spellings of EC2 (x86_64, arm64) and ECS (X86_64, ARM64). Others
// (i386, x86_64_mac) run no ECS agent.
func architecture(name string) fleet.Architecture {
	switch name {
	case "x86_64", "X86_64":
		return fleet.X86
	case "arm64", "ARM64":
		return fleet.ARM
	}
	return ""
}

// addNetwork copies subnets and images.
func (a *assembly) addNetwork() {
	for _, s := range a.in.Network.Subnets {
		if _, twice := a.zones[s.ID]; twice || s.ID == "" {
			continue
		}
		a.zones[s.ID] = fleet.Zone(s.Zone)
		a.snap.Subnets = append(a.snap.Subnets, fleet.Subnet{
			ID: fleet.SubnetID(s.ID), Zone: fleet.Zone(s.Zone), VPC: s.VPC, FreeAddresses: max(s.FreeAddresses, 0),
		})
	}
	for _, i := range a.in.Network.Images {
		image := fleet.Image{Parameter: i.Parameter, ID: fleet.ImageID(i.ID), Architecture: architecture(i.Architecture), OSFamily: i.OSFamily}
		if !slices.Contains(a.snap.Images, image) {
			a.snap.Images = append(a.snap.Images, image)
		}
	}
}

// learnedFor is how long what instances registered is believed after the last registration.
const learnedFor = 60 * 24 * time.Hour

// learn notes the least CPU, memory and GPUs that instances of each type and image were
// seen to register, by the memory that their agents keep for the system. What was learned
// before is kept for so long as its image is in use: with another image it is learned anew,
// for another kernel leaves another rest. Interface slots are never registered: they follow
// from the type and from what is seen now.
func (a *assembly) learn() {
	type key struct {
		Type     fleet.TypeName
		Image    fleet.ImageID
		Reserved int64
	}
	inUse := map[fleet.ImageID]bool{}
	for _, image := range a.snap.Images {
		inUse[image.ID] = true
	}
	reserved := a.reservedMemory()
	learned := map[key]int{}
	note := func(l fleet.Learned) {
		i, ok := learned[key{l.Type, l.Image, l.ReservedMemory}]
		if !ok {
			learned[key{l.Type, l.Image, l.ReservedMemory}] = len(a.snap.Learned)
			a.snap.Learned = append(a.snap.Learned, l)
			return
		}
		known := &a.snap.Learned[i]
		known.Capacity, known.SeenAt = least(known.Capacity, l.Capacity), later(known.SeenAt, l.SeenAt)
	}
	for i := range a.snap.Instances {
		inst := &a.snap.Instances[i]
		inUse[inst.Image] = true
		seen := inst.Status == fleet.StatusActive || inst.Status == fleet.StatusDraining
		if seen && inst.Type != "" && inst.Image != "" && inst.Registered.CPUUnits > 0 && inst.Registered.MemoryMiB > 0 {
			note(fleet.Learned{Type: inst.Type, Image: inst.Image, ReservedMemory: reserved[inst.ID], Capacity: inst.Registered, SeenAt: inst.RegisteredAt})
		}
	}
	now := a.in.ContainerInstances.ReadAt
	for _, l := range a.in.Learned {
		l.Capacity.ENIs = a.slots(l.Type, untrunked)
		// A network section without images was not read: then nothing is known to be unused.
		if (inUse[l.Image] || len(a.snap.Images) == 0) && (l.SeenAt.IsZero() || now.Sub(l.SeenAt) < learnedFor) {
			note(l)
		}
	}
}

// reservedMemory is what the agents of instances keep for the system, as the tag of their
// launch says; 0 where there is none.
func (a *assembly) reservedMemory() map[fleet.InstanceID]int64 {
	const most = 1 << 30 // MiB: beyond any instance
	reserved := map[fleet.InstanceID]int64{}
	for i := range a.in.EC2.Instances {
		m := &a.in.EC2.Instances[i]
		for _, t := range m.Tags {
			if n, err := strconv.ParseInt(t.Value, 10, 64); t.Key == fleet.TagReserved && err == nil && n > 0 && n < most {
				reserved[fleet.InstanceID(m.ID)] = n
			}
		}
	}
	return reserved
}

func least(a, b fleet.Resources) fleet.Resources {
	return fleet.Resources{
		CPUUnits: min(a.CPUUnits, b.CPUUnits), MemoryMiB: min(a.MemoryMiB, b.MemoryMiB),
		GPUs: min(a.GPUs, b.GPUs), ENIs: min(a.ENIs, b.ENIs),
	}
}

// notices returns the notice to act on for each instance: an interruption before a mere
// rebalance recommendation, of several the first, for its two minutes run from then.
func notices(in []Notice) map[fleet.InstanceID]fleet.Notice {
	byInstance := make(map[fleet.InstanceID]fleet.Notice, len(in))
	for _, n := range in {
		notice := fleet.Notice{Kind: n.Kind, At: n.At}
		known, ok := byInstance[n.Instance]
		if !ok || graver(notice, known) {
			byInstance[n.Instance] = notice
		}
	}
	return byInstance
}

func graver(a, b fleet.Notice) bool {
	if a.Kind != b.Kind {
		return a.Kind == fleet.NoticeInterruption
	}
	return a.At.Before(b.At)
}

// firstOf is the earlier of two times, where the zero time is none.
func firstOf(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
