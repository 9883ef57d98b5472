package fleet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Canonical puts every table of the snapshot into its defined order, rewriting the indices
// that refer to it, so that two watchers that saw the same cluster produce the same bytes.
// The snapshot must be valid (see [Snapshot.Validate]). It takes O(n log n).
func (s *Snapshot) Canonical() {
	slices.SortFunc(s.Sections, func(a, b Section) int { return cmp.Compare(a.Name, b.Name) })
	for _, set := range s.AttributeSets {
		slices.SortFunc(set, compareAttributes)
	}
	sets := sortTable(s.AttributeSets, func(a, b []Attribute) int { return slices.CompareFunc(a, b, compareAttributes) })
	instances := sortTable(s.Instances, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.ContainerInstance, b.ContainerInstance))
	})
	groups := sortTable(s.TaskGroups, compareGroups)
	for i := range s.Instances {
		inst := &s.Instances[i]
		if inst.Attributes != NoIndex {
			inst.Attributes = sets[inst.Attributes]
		}
		slices.SortFunc(inst.OwnAttributes, compareAttributes)
	}
	for i := range s.Tasks {
		s.Tasks[i].Instance = instances[s.Tasks[i].Instance]
		s.Tasks[i].Group = groups[s.Tasks[i].Group]
	}
	slices.SortFunc(s.Tasks, func(a, b TaskCount) int {
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Group, b.Group))
	})
	for i := range s.Waiting {
		s.Waiting[i].Group = groups[s.Waiting[i].Group]
	}
	slices.SortFunc(s.Waiting, func(a, b Waiting) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), a.Since.Compare(b.Since))
	})
	for i := range s.Services {
		svc := &s.Services[i]
		for j := range svc.Deployments {
			svc.Deployments[j].Group = groups[svc.Deployments[j].Group]
		}
		slices.SortFunc(svc.Deployments, func(a, b Deployment) int { return cmp.Compare(a.ID, b.ID) })
	}
	slices.SortFunc(s.Services, func(a, b Service) int { return cmp.Compare(a.Name, b.Name) })
	for i := range s.Types {
		slices.Sort(s.Types[i].Architectures)
		slices.SortFunc(s.Types[i].Zones, func(a, b ZoneOffer) int { return cmp.Compare(a.Zone, b.Zone) })
	}
	slices.SortFunc(s.Types, func(a, b InstanceType) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Learned, func(a, b Learned) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Image, b.Image))
	})
	slices.SortFunc(s.Images, func(a, b Image) int { return cmp.Compare(a.Parameter, b.Parameter) })
	slices.SortFunc(s.Subnets, func(a, b Subnet) int { return cmp.Compare(a.ID, b.ID) })
}

func compareAttributes(a, b Attribute) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
}

func compareGroups(a, b TaskGroup) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.TaskDefinition, b.TaskDefinition), cmp.Compare(a.Overrides, b.Overrides))
}

// sortTable sorts a table in place and returns the new index of each former one.
func sortTable[T any](table []T, compare func(a, b T) int) []int {
	order := make([]int, len(table))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return compare(table[i], table[j]) })
	sorted := make([]T, len(table))
	moved := make([]int, len(table))
	for to, from := range order {
		sorted[to], moved[from] = table[from], to
	}
	copy(table, sorted)
	return moved
}

// Digest is the identity of a canonical snapshot: the hash of its wire form.
func (s *Snapshot) Digest() (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("digest of snapshot of %s: %w", s.Cluster, err)
	}
	return Digest(b), nil
}

// Incomplete returns the first section that is missing or not complete, and why; ok is
// true if all of the named ones are complete.
func (s *Snapshot) Incomplete(names ...SectionName) (problem string, ok bool) {
	for _, name := range names {
		i := slices.IndexFunc(s.Sections, func(sec Section) bool { return sec.Name == name })
		if i < 0 {
			return string(name) + " was not read", false
		}
		if !s.Sections[i].Complete {
			return strings.TrimSpace(string(name) + " is incomplete: " + s.Sections[i].Problem), false
		}
	}
	return "", true
}

// AllSections lists every section, for callers that need a whole view.
func AllSections() []SectionName {
	return []SectionName{SectionInstances, SectionEC2, SectionServices, SectionTasks, SectionCatalogue, SectionNetwork}
}
