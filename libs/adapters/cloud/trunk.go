package cloud

import (
	"slices"
	"strings"

	"github.com/aws/amazon-vpc-resource-controller-k8s/pkg/aws/vpc"
)

// notTrunkable are families and types that ECS's documentation calls unsupported for ENI
// trunking although the VPC knows branch interfaces for them (ECS Developer Guide,
// "Supported instances for increased Amazon ECS container network interfaces").
var notTrunkable = []string{
	"c5n", "d3", "d3en", "g3", "g3s", "g4dn", "i3", "i3en", "inf1", "m5dn", "m5n", "m5zn", "mac1", "p3",
	"r5b", "r5dn", "r5n", "u-12tb1", "u-6tb1", "u-9tb1", "z1d",
	"a1.metal", "c5.metal", "c5a.8xlarge", "c5ad.8xlarge", "c5d.metal", "m5.metal", "p3dn.24xlarge",
	"r5.8xlarge", "r5.metal", "r5d.metal",
}

// trunkedTasks are types for which ECS's own table differs from what follows from the VPC's
// limits.
var trunkedTasks = map[string]int64{
	"i4i.16xlarge": 248, "i4i.32xlarge": 498, "i4i.metal": 498, "trn1n.32xlarge": 242,
}

// interfaceLimits returns how many network interfaces an instance of a type takes, and how
// many tasks in awsvpc mode it holds with ENI trunking, which is in no API: 0 if that is
// unsupported or unknown.
//
// The VPC's table counts branch interfaces that remain when all regular ones are in use;
// ECS uses only two of those, the instance's own and the trunk.
func interfaceLimits(name string, maxENIs int64) (interfaces, trunkTasks int64) {
	if name == "p5.48xlarge" {
		maxENIs = 2 // its other interfaces are on cards that ECS does not attach to: one task
	}
	if n, ok := trunkedTasks[name]; ok {
		return maxENIs, n
	}
	family, _, _ := strings.Cut(name, ".")
	limits := vpc.Limits[name]
	if limits == nil || !limits.IsTrunkingCompatible || slices.Contains(notTrunkable, family) || slices.Contains(notTrunkable, name) {
		return maxENIs, 0
	}
	const ownAndTrunk = 2
	return maxENIs, int64(max(limits.BranchInterface+limits.Interface-ownAndTrunk, 0))
}
