package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// Assemble joins what AWS answered into the snapshot of one cluster, in canonical order.
//
// What refers to something that is not in the input marks a section incomplete and is
// named in its problem: reads that are torn apart by time look like that, and so do faults
// of AWS. What runs on Fargate, on external instances or on instances that ECS manages
// itself is left out: it needs no capacity from Neap.
func Assemble(in Input) fleet.Snapshot {
	a := newAssembly(&in)
	a.addTypes()
	a.addNetwork()
	a.addInstances()
	a.addServices()
	a.addTasks()
	a.addRefused()
	a.countInterfaces()
	a.learn()
	a.addSections()
	a.snap.Canonical()
	return a.snap
}

// assembly is a snapshot in the making, with the indices that the joins need.
type assembly struct {
	in   *Input
	snap fleet.Snapshot

	providers   map[string]*CapacityProvider // by name
	instances   map[string]int               // index into snap.Instances, by the ID of a container instance
	passedOver  map[string]bool              // container instances that are none of our business, by ID
	types       map[fleet.TypeName]int       // index into snap.Types
	zones       map[string]fleet.Zone        // of subnets
	definitions map[string]*definition       // by ARN
	services    map[fleet.ServiceName]*service
	groups      map[groupKey]int             // index into snap.TaskGroups
	bases       map[groupKey]fleet.TaskGroup // of groups that only variants of are there
	allGPUs     map[int]bool                 // groups whose tasks take every GPU
	interfaces  []int64                      // that awsvpc tasks hold, by instance
	gpus        []int64                      // that tasks hold, by instance

	problems map[fleet.SectionName]*problems
}

func newAssembly(in *Input) *assembly {
	a := &assembly{
		in:          in,
		providers:   make(map[string]*CapacityProvider, len(in.ContainerInstances.CapacityProviders)),
		instances:   make(map[string]int, len(in.ContainerInstances.Instances)),
		passedOver:  map[string]bool{},
		types:       make(map[fleet.TypeName]int, len(in.Catalogue.Types)),
		zones:       make(map[string]fleet.Zone, len(in.Network.Subnets)),
		definitions: make(map[string]*definition, len(in.Tasks.Definitions)),
		services:    make(map[fleet.ServiceName]*service, len(in.Services.Services)),
		groups:      map[groupKey]int{},
		bases:       map[groupKey]fleet.TaskGroup{},
		allGPUs:     map[int]bool{},
		problems:    map[fleet.SectionName]*problems{},
	}
	a.snap = fleet.Snapshot{
		Cluster: in.Cluster, Account: in.Account, Region: in.Region, Generation: in.Generation,
		AttributeSets: [][]fleet.Attribute{}, Instances: []fleet.Instance{}, TaskGroups: []fleet.TaskGroup{},
		Tasks: []fleet.TaskCount{}, Services: []fleet.Service{}, Types: []fleet.InstanceType{}, Subnets: []fleet.Subnet{},
	}
	for i := range in.ContainerInstances.CapacityProviders {
		p := &in.ContainerInstances.CapacityProviders[i]
		a.providers[p.Name] = p
	}
	for i := range in.Tasks.Definitions {
		a.definitions[in.Tasks.Definitions[i].ARN] = &definition{TaskDefinition: &in.Tasks.Definitions[i]}
	}
	return a
}

// problems counts what is wrong with a section and keeps the first by name, so that the
// order of the input does not matter.
type problems struct {
	count int
	first string
}

// fail notes that a section is incomplete.
func (a *assembly) fail(section fleet.SectionName, format string, args ...any) {
	p := a.problems[section]
	if p == nil {
		p = &problems{}
		a.problems[section] = p
	}
	problem := fmt.Sprintf(format, args...)
	if p.count == 0 || problem < p.first {
		p.first = problem
	}
	p.count++
}

// addSections writes down when each section was read and whether all of it was, and from
// these the times of the snapshot. The catalogue and the network change slowly and are
// read far less often than the rest: they do not make a snapshot old.
func (a *assembly) addSections() {
	a.snap.Sections = make([]fleet.Section, 0, len(fleet.AllSections()))
	for _, name := range fleet.AllSections() {
		read, slow := a.read(name)
		section := fleet.Section{Name: name, ReadAt: read.ReadAt, Complete: read.Complete, Problem: read.Problem}
		if p := a.problems[name]; p != nil {
			section.Complete = false
			if section.Problem == "" {
				section.Problem = p.String()
			}
		}
		if !section.Complete && section.Problem == "" {
			section.Problem = "it was not read"
		}
		a.snap.Sections = append(a.snap.Sections, section)
		a.snap.TakenAt = later(a.snap.TakenAt, read.ReadAt)
		if !slow && !read.StartedAt.IsZero() &&
			(a.snap.ReadStartedAt.IsZero() || read.StartedAt.Before(a.snap.ReadStartedAt)) {
			a.snap.ReadStartedAt = read.StartedAt
		}
	}
}

// read returns how a section was read, and whether it is one that changes slowly.
func (a *assembly) read(name fleet.SectionName) (read Read, slow bool) {
	switch name {
	case fleet.SectionInstances:
		return a.in.ContainerInstances.Read, false
	case fleet.SectionEC2:
		return a.in.EC2.Read, false
	case fleet.SectionServices:
		return a.in.Services.Read, false
	case fleet.SectionTasks:
		return a.in.Tasks.Read, false
	case fleet.SectionCatalogue:
		return a.in.Catalogue.Read, true
	case fleet.SectionNetwork:
		return a.in.Network.Read, true
	}
	panic("snapshot: no section " + string(name))
}

// String names the first problem and how many more there are.
func (p *problems) String() string {
	if p.count == 1 {
		return p.first
	}
	return fmt.Sprintf("%s (and %d more)", p.first, p.count-1)
}

// restricted reports what the tags of one resource say about removal: whether any of the
// policy's restrict tags is there, and whether one of them is true.
func (a *assembly) restricted(tags []Tag) (set, yes bool) {
	for _, t := range tags {
		if slices.Contains(a.in.RestrictTags, t.Key) {
			set = true
			yes = yes || strings.EqualFold(strings.TrimSpace(t.Value), "true")
		}
	}
	return set, yes
}

// elsewhere reports whether a launch type or capacity provider means that ECS itself, or
// somebody's own hardware, provides the capacity.
func (a *assembly) elsewhere(launchType, provider string) bool {
	switch launchType {
	case "FARGATE", "EXTERNAL", "MANAGED_INSTANCES":
		return true
	}
	switch provider {
	case "FARGATE", "FARGATE_SPOT":
		return true
	}
	p := a.providers[provider]
	return p != nil && p.ManagedInstances
}

// last returns the last part of an ARN: the ID of a container instance or task, the name
// of a service, family and revision of a task definition.
func last(arn string) string {
	return arn[strings.LastIndexByte(arn, '/')+1:]
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
