package sim

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/catalogue"
)

// instanceType is an EC2 instance type.
type instanceType struct {
	name             string
	vcpus, memory    int64
	arm              bool
	gpus, gpuMemory  int64
	gpuName          string
	localGB, mbps    int64
	metal, burstable bool
	enis, taskENIs   int64
	trunkTasks       int64
	onDemand, spot   int64 // millionths of USD per hour
	interruptedOften float64
	sold             []string // letters of the zones that sell it in reality; none: not known
	zones            []string // of the world that sell it
	compute          bool
	xen, previous    bool
}

// usualSpotShare is what spot costs of the on-demand price where no spot price is known:
// about the mean of the types for which it is.
const usualSpotShare = 0.38

// stock puts the catalogue on sale in the zones of the world.
func (w *World) stock() error {
	c, err := catalogue.Embedded()
	if err != nil {
		return err
	}
	w.typeNamed = make(map[string]*instanceType, len(c.Types))
	w.types = make([]*instanceType, len(c.Types))
	all := make([]instanceType, len(c.Types))
	for i := range c.Types {
		all[i] = newType(&c.Types[i])
		t := &all[i]
		for _, z := range w.cfg.Zones {
			if len(w.cfg.Zones) == 1 || t.soldIn(z.Name) {
				t.zones = append(t.zones, z.Name)
			}
		}
		if len(t.zones) == 0 { // a region sells a type somewhere
			t.zones = []string{w.cfg.Zones[0].Name}
		}
		w.types[i], w.typeNamed[t.name] = t, t
	}
	return nil
}

func newType(c *catalogue.Type) instanceType {
	t := instanceType{
		name: c.Name, vcpus: c.VCPUs, memory: c.MemoryMiB, arm: c.Architecture == "arm64",
		gpus: c.GPUs, gpuName: c.GPUName, gpuMemory: c.GPUMemoryMiB, localGB: c.LocalGB, mbps: c.NetworkMbps,
		metal: c.Metal, burstable: c.Burstable, xen: c.Hypervisor == "xen", previous: c.Previous,
		enis: c.ENIs, taskENIs: c.TaskENIs, trunkTasks: c.TrunkTasks,
		onDemand: int64(c.OnDemand), spot: int64(c.Spot), sold: c.Zones,
	}
	if t.spot == 0 {
		t.spot = int64(float64(t.onDemand) * usualSpotShare)
	}
	t.interruptedOften = map[string]float64{"": 0.1, "<5%": 0.03, "5-10%": 0.08, "10-15%": 0.13, "15-20%": 0.18, ">20%": 0.25}[c.Interrupted]
	t.compute = strings.HasPrefix(t.name, "c")
	return t
}

// soldIn reports whether a zone sells the type. The newest and the special families are
// missing in some zones of every real region; which, does not depend on the seed.
func (t *instanceType) soldIn(zone string) bool {
	if len(t.sold) > 0 {
		return slices.ContainsFunc(t.sold, func(letter string) bool { return strings.HasSuffix(zone, letter) })
	}
	newest := strings.ContainsAny(t.name[1:2], "89")
	if !newest && t.gpus == 0 && t.localGB == 0 && !t.metal {
		return true
	}
	const share = 8 // one in so many is missing
	h := fnv.New32a()
	h.Write([]byte(t.name + zone))
	return mix(uint64(h.Sum32()))%share != 0
}

// architecture is the CPU architecture as ECS spells it.
func (t *instanceType) architecture() string {
	if t.arm {
		return string(fleet.ARM)
	}
	return string(fleet.X86)
}

// priceStep is how long a spot price stands. Real ones change a few times a day.
const priceStep = 4 * time.Hour

// spotPrice is the spot price of a type in a zone at a time, in millionths of USD per
// hour: the mean of the type, a little dearer or cheaper by zone and by time, and never
// above the on-demand price.
func (w *World) spotPrice(t *instanceType, zone string, at time.Time) int64 {
	if set, ok := w.prices[offering{t.name, zone, true}]; ok {
		return set
	}
	step := strconv.FormatInt(at.UnixNano()/int64(priceStep), 10)
	price := float64(t.spot) * (0.94 + 0.12*w.chance("price", t.name, zone)) * (0.97 + 0.06*w.chance("price", t.name, zone, step))
	return min(int64(price)/100*100, t.onDemand) // EC2 gives four decimals
}

// dollars writes a price as AWS does.
func dollars(millionths int64) string {
	return strconv.FormatFloat(float64(millionths)/1e6, 'f', 6, 64)
}
