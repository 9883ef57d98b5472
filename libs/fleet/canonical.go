package fleet

import (
	"cmp"
	"slices"
	"strings"
)

// Canonical puts every table of the snapshot into its defined order, rewriting the indices
// that refer to it, so that two watchers that saw the same cluster produce the same bytes.
// The snapshot must be valid (see [Snapshot.Validate]). It takes O(n log n), and O(n) if
// the snapshot is canonical already (see [Snapshot.IsCanonical]).
func (s *Snapshot) Canonical() {
	if s.IsCanonical() {
		return
	}
	slices.SortFunc(s.Sections, compareSections)
	for _, set := range s.AttributeSets {
		slices.SortFunc(set, compareAttributes)
	}
	sets := sortTable(s.AttributeSets, compareSets)
	instances := sortTable(s.Instances, compareInstances)
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
	slices.SortFunc(s.Tasks, compareCounts)
	for i := range s.Waiting {
		s.Waiting[i].Group = groups[s.Waiting[i].Group]
	}
	slices.SortFunc(s.Waiting, compareWaiting)
	for i := range s.Services {
		svc := &s.Services[i]
		for j := range svc.Deployments {
			svc.Deployments[j].Group = groups[svc.Deployments[j].Group]
		}
		slices.SortFunc(svc.Deployments, compareDeployments)
	}
	slices.SortFunc(s.Services, compareServices)
	for i := range s.Types {
		slices.Sort(s.Types[i].Architectures)
		slices.SortFunc(s.Types[i].Zones, compareZones)
	}
	slices.SortFunc(s.Types, compareTypes)
	slices.SortFunc(s.Learned, compareLearned)
	slices.SortFunc(s.Images, compareImages)
	slices.SortFunc(s.Subnets, compareSubnets)
}

// IsCanonical reports whether every table is in its defined order: [Snapshot.Canonical]
// would change nothing. It reads and does not write, and takes O(n).
func (s *Snapshot) IsCanonical() bool {
	return slices.IsSortedFunc(s.Sections, compareSections) &&
		allSorted(s.AttributeSets, func(set *[]Attribute) bool { return slices.IsSortedFunc(*set, compareAttributes) }) &&
		slices.IsSortedFunc(s.AttributeSets, compareSets) &&
		slices.IsSortedFunc(s.Instances, compareInstances) &&
		allSorted(s.Instances, func(i *Instance) bool { return slices.IsSortedFunc(i.OwnAttributes, compareAttributes) }) &&
		slices.IsSortedFunc(s.TaskGroups, compareGroups) &&
		slices.IsSortedFunc(s.Tasks, compareCounts) &&
		slices.IsSortedFunc(s.Waiting, compareWaiting) &&
		allSorted(s.Services, func(svc *Service) bool { return slices.IsSortedFunc(svc.Deployments, compareDeployments) }) &&
		slices.IsSortedFunc(s.Services, compareServices) &&
		allSorted(s.Types, func(t *InstanceType) bool {
			return slices.IsSorted(t.Architectures) && slices.IsSortedFunc(t.Zones, compareZones)
		}) &&
		slices.IsSortedFunc(s.Types, compareTypes) &&
		slices.IsSortedFunc(s.Learned, compareLearned) &&
		slices.IsSortedFunc(s.Images, compareImages) &&
		slices.IsSortedFunc(s.Subnets, compareSubnets)
}

// allSorted reports whether the lists within every row of a table are sorted.
func allSorted[T any](table []T, sorted func(*T) bool) bool {
	for i := range table {
		if !sorted(&table[i]) {
			return false
		}
	}
	return true
}

func compareSections(a, b Section) int       { return cmp.Compare(a.Name, b.Name) }
func compareSets(a, b []Attribute) int       { return slices.CompareFunc(a, b, compareAttributes) }
func compareDeployments(a, b Deployment) int { return cmp.Compare(a.ID, b.ID) }
func compareServices(a, b Service) int       { return cmp.Compare(a.Name, b.Name) }
func compareZones(a, b ZoneOffer) int        { return cmp.Compare(a.Zone, b.Zone) }
func compareTypes(a, b InstanceType) int     { return cmp.Compare(a.Name, b.Name) }
func compareImages(a, b Image) int           { return cmp.Compare(a.Parameter, b.Parameter) }
func compareSubnets(a, b Subnet) int         { return cmp.Compare(a.ID, b.ID) }

func compareInstances(a, b Instance) int {
	return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.ContainerInstance, b.ContainerInstance))
}

func compareCounts(a, b TaskCount) int {
	return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Group, b.Group))
}

func compareWaiting(a, b Waiting) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), compareBools(a.Refused, b.Refused), a.Since.Compare(b.Since))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func compareLearned(a, b Learned) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Image, b.Image), cmp.Compare(a.ReservedMemory, b.ReservedMemory))
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
