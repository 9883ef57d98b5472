package plan

import (
	"path"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// TypeAllowed reports whether a type passes every condition of a filter, architecture
// apart: what runs on a type depends on the images too. What is not known of a type does
// not pass a condition on it.
func TypeAllowed(f *fleet.TypeFilter, t *fleet.InstanceType) bool {
	name, family := string(t.Name), t.Name.Family()
	switch {
	case len(f.Allow) > 0 && !matches(f.Allow, name), matches(f.Deny, name):
		return false
	case len(f.Families) > 0 && !matches(f.Families, family), matches(f.DenyFamilies, family):
		return false
	case len(f.Categories) > 0 && !slices.Contains(f.Categories, t.Name.Category()):
		return false
	case len(f.Generations) > 0 && !slices.Contains(f.Generations, t.Name.Generation()), t.Name.Generation() < f.MinGeneration:
		return false
	case t.Burstable && !f.Burstable, t.Metal && !f.Metal:
		return false
	}
	return sizeAllowed(f, t) && priceAllowed(f, t.OnDemand)
}

// matches compares names with patterns, upper and lower case alike.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(strings.ToLower(pattern), name)
		return ok && err == nil
	})
}

func sizeAllowed(f *fleet.TypeFilter, t *fleet.InstanceType) bool {
	const mib, mbps = 1024, 1000 // of a GiB, of a Gbit/s
	for _, bound := range [...]struct{ have, least, most int64 }{
		{t.VCPUs, f.MinVCPUs, f.MaxVCPUs},
		{t.MemoryMiB, f.MinMemoryGiB * mib, f.MaxMemoryGiB * mib},
		{t.GPUs, f.MinGPUs, f.MaxGPUs},
		{t.MaxENIs, f.MinENIs, 0},
		{t.DiskGiB, f.MinDiskGiB, 0},
		{t.NetworkMbps, f.MinNetwork * mbps, f.MaxNetwork * mbps},
	} {
		if bound.have < bound.least || bound.most > 0 && bound.have > bound.most {
			return false
		}
	}
	switch {
	case f.MaxNetwork > 0 && t.NetworkMbps == 0: // not known
		return false
	case f.LocalDisks == fleet.DisksRequired:
		return t.DiskGiB > 0
	case f.LocalDisks == fleet.DisksExcluded:
		return t.DiskGiB == 0
	}
	return true
}

func priceAllowed(f *fleet.TypeFilter, onDemand fleet.Price) bool {
	if f.MinPrice == 0 && f.MaxPrice == 0 {
		return true
	}
	return onDemand > 0 && onDemand >= fleet.USD(f.MinPrice) && (f.MaxPrice == 0 || onDemand <= fleet.USD(f.MaxPrice))
}
