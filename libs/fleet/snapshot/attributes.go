package snapshot

import (
	"cmp"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// manySets is how many distinct sets of attributes are fewer than it takes to look for the
// attributes that make them distinct: types × zones × launch specs of a usual cluster.
const manySets = 200

// attributeSets interns the attributes of instances: thousands of instances share a few
// sets, once the attributes that differ on every one of them are taken out.
type attributeSets struct {
	table [][]fleet.Attribute
	of    []int               // index into table, by instance
	own   [][]fleet.Attribute // what is kept with the instance, by instance

	index    map[string]int
	ownNames map[string]bool
}

func internAttributes(instances []*ContainerInstance) *attributeSets {
	s := &attributeSets{ownNames: map[string]bool{attributeTrunk: true}}
	s.internAll(instances)
	if len(s.table) > manySets && s.findOwn(len(instances)) {
		s.internAll(instances)
	}
	return s
}

func (s *attributeSets) internAll(instances []*ContainerInstance) {
	s.table, s.index = nil, map[string]int{}
	s.of, s.own = make([]int, len(instances)), make([][]fleet.Attribute, len(instances))
	for i, ci := range instances {
		s.of[i], s.own[i] = s.intern(ci.Attributes)
	}
}

// findOwn finds the attributes that have another value on every few instances, such as a
// host name that a user has put there. It reports whether there are any.
func (s *attributeSets) findOwn(instances int) (found bool) {
	values := map[string]map[string]bool{}
	for _, set := range s.table {
		for _, attr := range set {
			if values[attr.Name] == nil {
				values[attr.Name] = map[string]bool{}
			}
			values[attr.Name][attr.Value] = true
		}
	}
	const few = 4                        // instances that share a value; below it interning costs more than it saves
	for name, distinct := range values { //neap:unordered fills a set
		if len(distinct) > instances/few {
			s.ownNames[name], found = true, true
		}
	}
	return found
}

// intern returns the index of the shared attributes, and the instance's own.
func (s *attributeSets) intern(attributes []fleet.Attribute) (set int, own []fleet.Attribute) {
	shared := make([]fleet.Attribute, 0, len(attributes))
	for _, attr := range attributes {
		if s.ownNames[attr.Name] {
			own = append(own, attr)
		} else {
			shared = append(shared, attr)
		}
	}
	slices.SortFunc(shared, func(a, b fleet.Attribute) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	shared = slices.Compact(shared)
	var key strings.Builder
	const usual = 48 // bytes of a name and value
	key.Grow(usual * len(shared))
	for _, attr := range shared {
		key.WriteString(attr.Name)
		key.WriteByte(0)
		key.WriteString(attr.Value)
		key.WriteByte(0)
	}
	i, ok := s.index[key.String()]
	if !ok {
		i = len(s.table)
		s.index[key.String()] = i
		s.table = append(s.table, shared)
	}
	return i, own
}
