package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// DerivePolicy makes a policy for a cluster that has none, from what runs in it: one launch
// spec with the image, the subnets and the instance families in use, and room to grow to
// twice the size. It is a dry run, made to show what Neap would do; a person who likes it
// adds what cannot be seen from outside, such as the instance profile.
func DerivePolicy(snap fleet.Snapshot) fleet.Policy {
	s := clone(&snap)
	s.Canonical()
	const (
		leastMax = 10 // a small cluster may grow to
		growth   = 2  // times its size: room for a bad day, and an end to a runaway
	)
	live, spot := 0, 0
	var types, subnets, images, architectures []string
	filter := fleet.TypeFilter{}
	known := map[fleet.TypeName]*fleet.InstanceType{}
	for i := range s.Types {
		known[s.Types[i].Name] = &s.Types[i]
	}
	for i := range s.Instances {
		inst := &s.Instances[i]
		if inst.Status == fleet.StatusGone {
			continue
		}
		live++
		if inst.Lifecycle == fleet.Spot {
			spot++
		}
		types = append(types, family(inst.Type))
		subnets = append(subnets, string(inst.Subnet))
		architectures = append(architectures, string(inst.Architecture))
		images = append(images, string(inst.Architecture)+" "+string(inst.Image))
		if t := known[inst.Type]; t != nil {
			filter.Burstable = filter.Burstable || t.Burstable
			filter.Metal = filter.Metal || t.Metal
			filter.GPU = filter.GPU || t.GPUs > 0
		}
	}
	filter.Allow = distinct(types)
	for _, a := range distinct(architectures) {
		filter.Architectures = append(filter.Architectures, fleet.Architecture(a))
	}
	spec := fleet.LaunchSpec{Name: "default", Types: filter, Images: commonImages(images)}
	for _, id := range distinct(subnets) {
		spec.Subnets = append(spec.Subnets, fleet.SubnetID(id))
	}
	if len(spec.Subnets) == 0 { // nothing runs: all that were seen
		for _, sub := range s.Subnets {
			spec.Subnets = append(spec.Subnets, sub.ID)
		}
	}
	if live > 0 {
		percent := spot * allPercent / live
		spec.SpotPercentage = &percent
	}
	dry := true
	return fleet.Policy{
		APIVersion: fleet.PolicyAPIVersion, Cluster: s.Cluster, DryRun: &dry,
		Limits:      fleet.Limits{MaxInstances: max(leastMax, growth*live)},
		LaunchSpecs: []fleet.LaunchSpec{spec},
	}.WithDefaults()
}

// family is the pattern of the instance family of a type: "m7i.*".
func family(t fleet.TypeName) string {
	name, _, ok := strings.Cut(string(t), ".")
	if !ok {
		return string(t)
	}
	return name + ".*"
}

// distinct sorts names and drops empty ones and those that come again.
func distinct(names []string) []string {
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
}

// commonImages is the image in most use for each architecture.
func commonImages(pairs []string) []string {
	counts := map[string]int{}
	for _, p := range pairs {
		counts[p]++
	}
	best := map[string]string{}
	for _, p := range slices.Sorted(maps.Keys(counts)) {
		arch, image, _ := strings.Cut(p, " ")
		if image != "" && (best[arch] == "" || counts[p] > counts[arch+" "+best[arch]]) {
			best[arch] = image
		}
	}
	var images []string
	for _, arch := range slices.Sorted(maps.Keys(best)) {
		images = append(images, best[arch])
	}
	return slices.Compact(images)
}

// Adopt returns a snapshot in which every instance that has no owner belongs to a launch
// spec of the policy: what a plan would look like if Neap ran the cluster.
func Adopt(snap fleet.Snapshot, pol fleet.Policy) fleet.Snapshot {
	s := *clone(&snap)
	for i := range s.Instances {
		if inst := &s.Instances[i]; inst.Owner == "" && len(pol.LaunchSpecs) > 0 {
			inst.Owner, inst.LaunchSpec = "neap", pol.LaunchSpecs[0].Name
		}
	}
	return s
}
