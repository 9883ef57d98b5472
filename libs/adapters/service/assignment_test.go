package service_test

import (
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

func TestAssignment(t *testing.T) {
	all := []fleet.ClusterName{"web", "*"}
	for name, test := range map[string]struct {
		clusters []fleet.ClusterName
		named    int
		serves   bool // batch
	}{
		"none is all":    {nil, 0, true},
		"a star is all":  {all, 0, true},
		"named":          {[]fleet.ClusterName{"web", "batch"}, 2, true},
		"not among them": {[]fleet.ClusterName{"web"}, 1, false},
	} {
		a := service.Assignment{Clusters: test.clusters}
		if len(a.Named()) != test.named || a.Serves("batch") != test.serves || a.Validate() != nil {
			t.Errorf("%s: named %v, serves %v, %v", name, a.Named(), a.Serves("batch"), a.Validate())
		}
	}
	bad := service.Assignment{Clusters: []fleet.ClusterName{"*", "a.>"}}
	if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), "NEAP_CLUSTERS") {
		t.Errorf("a name that cannot be: %v", err)
	}
	if (service.Assignment{}).Name() == "" || (service.Assignment{Replica: "a"}).Name() != "a" {
		t.Error("a replica has the name it was given, or one of its own")
	}
}
