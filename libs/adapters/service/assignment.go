package service

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// Assignment is what a replica of a service is told of its part in the work.
type Assignment struct {
	Clusters []fleet.ClusterName `envconfig:"NEAP_CLUSTERS" desc:"ECS clusters to serve, comma separated; * or empty is every cluster that has a policy"`
	Replica  string              `envconfig:"NEAP_REPLICA" desc:"name of this replica, unlike that of any other; default host and process ID"`
}

// everyCluster among the clusters stands for every one that has a policy.
const everyCluster fleet.ClusterName = "*"

// Validate refuses names that no ECS cluster can have.
func (a Assignment) Validate() error {
	var errs []error
	for _, name := range a.Clusters {
		if name != everyCluster && name.Validate() != nil {
			errs = append(errs, Invalid("NEAP_CLUSTERS", name, "use names of ECS clusters, comma separated, or * for all that have a policy"))
		}
	}
	return errors.Join(errs...)
}

// Named are the clusters that were named; none means every one that has a policy.
func (a Assignment) Named() []fleet.ClusterName {
	if slices.Contains(a.Clusters, everyCluster) {
		return nil
	}
	return a.Clusters
}

// Serves reports whether a cluster is among those to serve.
func (a Assignment) Serves(cluster fleet.ClusterName) bool {
	named := a.Named()
	return len(named) == 0 || slices.Contains(named, cluster)
}

// Name is the name of this replica.
func (a Assignment) Name() string {
	host, err := os.Hostname()
	if err != nil {
		host = "replica"
	}
	return cmp.Or(a.Replica, fmt.Sprintf("%s-%d", host, os.Getpid()))
}
