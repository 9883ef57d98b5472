package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// quotaClass is what EC2 has one vCPU quota for: the types of some families, with a
// lifecycle.
type quotaClass struct {
	family string
	spot   bool
}

// standardClass is the class of the families whose names begin with one of standardLetters.
const (
	standardClass   = "Standard"
	standardLetters = "acdhimrtz"
)

// quotaClasses are the classes with a quota of their own, by the letters at the beginning
// of the names of their types.
var quotaClasses = map[string]string{
	"f": "F", "g": "G/VT", "gr": "G/VT", "vt": "G/VT", "p": "P", "x": "X", "inf": "Inf", "trn": "Trn", "dl": "DL",
	"hpc": "HPC", "u": "High Memory", "mac": "Mac",
}

// QuotaClasses are the names of the classes of instance types that have vCPU quotas.
func QuotaClasses() []string {
	return []string{standardClass, "F", "G/VT", "P", "X", "Inf", "Trn", "DL", "HPC", "High Memory", "Mac"}
}

// quotaClassOf is the class of a type: that of g5.xlarge is G/VT.
func quotaClassOf(typeName string) string {
	end := strings.IndexFunc(typeName, func(r rune) bool { return r < 'a' || r > 'z' })
	letters := typeName[:max(end, 0)]
	if class, ok := quotaClasses[letters]; ok {
		return class
	}
	return standardClass // im4gn, is4gen and whatever comes: their first letters are
}

// SetQuota bounds the vCPUs of running instances of a class, such as Standard or G/VT, and a
// lifecycle ("" is both); 0 is no bound. The class "*" is every class.
func (w *World) SetQuota(class string, lifecycle fleet.Lifecycle, vcpus int64) error {
	classes := QuotaClasses()
	if class != "*" {
		at := slices.IndexFunc(classes, func(c string) bool { return strings.EqualFold(c, class) })
		if at < 0 {
			return fmt.Errorf("set quota: there is no class %q of instance types: name one of %s, or *", class, strings.Join(classes, ", "))
		}
		classes = classes[at : at+1]
	}
	if vcpus < 0 {
		return fmt.Errorf("set quota of %s to %d vCPUs: write 0 for no bound, or a number above it", class, vcpus)
	}
	for _, c := range classes {
		if lifecycle != fleet.OnDemand {
			w.quotas[quotaClass{c, true}] = vcpus
		}
		if lifecycle != fleet.Spot {
			w.quotas[quotaClass{c, false}] = vcpus
		}
	}
	return nil
}

// quota is how many vCPUs a class may have; 0 is no bound.
func (w *World) quota(class quotaClass) int64 {
	if set, ok := w.quotas[class]; ok {
		return set
	}
	if class.spot {
		return w.cfg.VCPUQuota.Spot
	}
	return w.cfg.VCPUQuota.OnDemand
}

func (t *instanceType) quotaClass(spot bool) quotaClass {
	return quotaClass{quotaClassOf(t.name), spot}
}

// occupy notes that an instance runs: it counts towards a quota and fills its pool.
func (w *World) occupy(m *instance) {
	w.vcpus[m.kind.quotaClass(m.spot)] += m.kind.vcpus
	w.pools[m.offering()]++
	m.occupies = true
}

// vacate notes that an instance has ended or stopped. Its pool has it back at once, the
// quota forgets it a moment later.
func (w *World) vacate(m *instance) {
	if !m.occupies {
		return
	}
	m.occupies = false
	if w.pools[m.offering()]--; w.pools[m.offering()] == 0 {
		delete(w.pools, m.offering())
	}
	freed := quotaFreed{m.kind.quotaClass(m.spot), m.kind.vcpus}
	if w.cfg.Delays.QuotaLag <= 0 {
		freed.happen(w)
		return
	}
	w.in(w.delay(w.cfg.Delays.QuotaLag, "quota", m.id), freed)
}

// quotaFreed is when an instance that has ended no longer counts towards its quota.
type quotaFreed struct {
	class quotaClass
	vcpus int64
}

func (e quotaFreed) happen(w *World) { w.vcpus[e.class] -= e.vcpus }

func (m *instance) offering() offering { return offering{m.kind.name, m.subnet.Zone, m.spot} }

// pool is how many instances the capacity pool of an offering has in all. The world makes
// it up from its seed: larger types and often interrupted ones have shallower pools, and
// each zone differs.
func (w *World) pool(t *instanceType, zone string, spot bool) int {
	const (
		vcpusOfPool  = 40_000 // in a zone, shared by the sizes of a family
		fewest, most = 4, 4000
		onDemandPart = 4 // what of it is kept for spot is one part in so many
	)
	depth := vcpusOfPool / float64(max(t.vcpus, 1)) * (0.2 + 1.6*w.chance("pool", t.name, zone))
	if spot {
		depth = depth / onDemandPart * (1 - 2*t.interruptedOften)
	}
	return min(max(int(depth), fewest), most)
}

// depth is how many instances an offering has left, as EC2 knows it.
func (w *World) depth(o *candidate) int {
	left := w.pool(o.kind, o.subnet.Zone, o.spot) - w.pools[o.offering()]
	if s, short := w.shortages[o.offering()]; short && w.now.Before(s.until) {
		left = min(left, s.left)
	}
	return max(left, 0)
}
