package cloud

import (
	"slices"
	"testing"

	"github.com/aws/amazon-vpc-resource-controller-k8s/pkg/aws/vpc"

	"github.com/neap-project/neap/libs/fleet/catalogue"
)

// TestCatalogueAgreesWithInterfaceLibrary: the table that is built in has the network
// interfaces that AWS's library has, for every type, and ECS's own limits for tasks.
func TestCatalogueAgreesWithInterfaceLibrary(t *testing.T) {
	table, err := catalogue.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	types, trunked := table.Types, 0
	for _, c := range types {
		limits := vpc.Limits[c.Name]
		if limits == nil {
			t.Errorf("%s is not in the library", c.Name)
			continue
		}
		if c.ENIs != int64(limits.Interface) {
			t.Errorf("%s: %d interfaces, the library says %d", c.Name, c.ENIs, limits.Interface)
		}
		usable, trunk := interfaceLimits(c.Name, c.ENIs)
		if c.TaskENIs != usable-1 || c.TrunkTasks != trunk {
			t.Errorf("%s: %d tasks, %d trunked; should be %d and %d", c.Name, c.TaskENIs, c.TrunkTasks, usable-1, trunk)
		}
		if trunk > 0 {
			trunked++
		}
	}
	if trunked < 800 {
		t.Errorf("only %d types hold tasks with trunking", trunked)
	}
	// Where ECS's documentation differs from what follows from the library, and the default by size and its exceptions.
	for name, want := range map[string]struct{ tasks, trunked int64 }{
		"p5.48xlarge": {1, -1}, "i4i.16xlarge": {-1, 248}, "i4i.32xlarge": {-1, 498}, "i4i.metal": {-1, 498}, "trn1n.32xlarge": {-1, 242},
		"c5n.large": {2, 0}, "g4dn.xlarge": {-1, 0}, "i3.large": {-1, 0}, "i3en.24xlarge": {14, 0}, "inf1.xlarge": {-1, 0}, "m5dn.large": {-1, 0},
		"z1d.large": {-1, 0}, "c5.metal": {14, 0}, "c5a.8xlarge": {-1, 0}, "r5.8xlarge": {-1, 0}, "p3dn.24xlarge": {-1, 0}, "a1.metal": {-1, 0},
		"t2.large": {-1, 0}, "t3.large": {2, 0}, "t3a.large": {-1, 0}, "t4g.large": {-1, 0}, "c4.large": {-1, 0}, "m4.large": {-1, 0}, "x1.16xlarge": {-1, 0},
		"c5.large": {2, 10}, "m5.xlarge": {3, 20}, "m5.2xlarge": {3, 40}, "m5.4xlarge": {7, 60}, "c5.18xlarge": {14, 120}, "m6g.medium": {1, 4},
		"c6a.8xlarge": {-1, 90}, "m7i.12xlarge": {-1, 120}, "c7i-flex.large": {-1, 4}, "i7ie.large": {-1, 20}, "i4i.xlarge": {-1, 8}, "g4ad.xlarge": {-1, 12},
		"g5.xlarge": {-1, 6}, "x2iedn.xlarge": {-1, 13}, "x2iezn.2xlarge": {-1, 64}, "x2gd.medium": {-1, 10}, "trn1.2xlarge": {-1, 19}, "a1.medium": {-1, 10},
	} {
		i := slices.IndexFunc(types, func(c catalogue.Type) bool { return c.Name == name })
		if i < 0 {
			t.Errorf("%s is missing", name)
			continue
		}
		if c := types[i]; want.tasks >= 0 && c.TaskENIs != want.tasks || want.trunked >= 0 && c.TrunkTasks != want.trunked {
			t.Errorf("%s: %d tasks, %d trunked; should be %+v (-1: any)", name, c.TaskENIs, c.TrunkTasks, want)
		}
	}
}
