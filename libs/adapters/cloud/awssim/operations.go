package awssim

import (
	"maps"
	"slices"
)

// Operations are the names of the operations that a [Server] answers, sorted, by the
// signing name of their service: ecs, ec2, ssm, …
func Operations() map[string][]string {
	all := map[string][]string{}
	for _, s := range services() {
		all[s.name] = slices.Sorted(maps.Keys(s.operations))
	}
	return all
}

// services are all that are simulated, whatever their protocol.
func services() []*service { return slices.Concat(jsonServices, queryServices, restServices) }
