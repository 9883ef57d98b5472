package sim

import (
	"testing"

	"github.com/neap-project/neap/libs/fleet/catalogue"
)

// TestKnownZonesHold: a type whose zones the catalogue knows is sold in no other.
func TestKnownZonesHold(t *testing.T) {
	if w := newType(&catalogue.Type{Name: "m8g.large", Zones: []string{"a", "c"}}); w.soldIn("us-east-1b") || !w.soldIn("us-east-1c") {
		t.Error("zones that are known do not hold")
	}
}
