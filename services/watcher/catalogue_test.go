package watcher

import (
	"slices"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// TestPricesOfWindows: they are read when a policy launches Windows, and not before.
func TestPricesOfWindows(t *testing.T) {
	b := newBench(t)
	b.apply(web)
	w := b.watcher("")
	b.run(w)
	s := b.awaitSnapshot("all of the cluster is seen", whole)
	priced := func(typ fleet.InstanceType) bool { return typ.Windows > 0 }
	if slices.ContainsFunc(s.Types, priced) {
		t.Error("prices of Windows were read that nobody needs")
	}
	for _, c := range b.aws.Calls("GetProducts", "DescribeSpotPriceHistory") {
		if strings.Contains(c.Body, "Windows") {
			t.Errorf("%s was called for prices of Windows", c.Operation)
		}
	}
	var subnet string
	b.aws.World(func(w *sim.World) { subnet = b.subnet(w) })
	_, err := b.bus.Control().ApplyPolicy(t.Context(), web, fleet.Policy{
		Limits: fleet.Limits{MaxInstances: 20},
		LaunchSpecs: []fleet.LaunchSpec{
			{Name: "default", Images: []string{image}, Subnets: []fleet.SubnetID{fleet.SubnetID(subnet)}},
			{Name: "windows", Images: []string{"/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-ECS_Optimized/image_id"}},
		},
	}, nil)
	b.must(err)
	s = b.awaitSnapshot("prices of Windows are known, on demand and on spot, which come one after the other", func(s *fleet.Snapshot) bool {
		return whole(s) && slices.ContainsFunc(s.Types, func(typ fleet.InstanceType) bool {
			return priced(typ) && slices.ContainsFunc(typ.Zones, func(z fleet.ZoneOffer) bool { return z.Windows > 0 })
		})
	})
	for _, typ := range s.Types {
		if slices.Contains(typ.Architectures, fleet.ARM) == (typ.Windows > typ.OnDemand) {
			t.Errorf("%s of %v costs %s, with Windows %s", typ.Name, typ.Architectures, typ.OnDemand, typ.Windows)
		}
		for _, z := range typ.Zones {
			if typ.Windows > 0 && z.Windows <= z.Spot {
				t.Errorf("spot %s in %s costs %s, with Windows %s", typ.Name, z.Zone, z.Spot, z.Windows)
			}
		}
	}
}
