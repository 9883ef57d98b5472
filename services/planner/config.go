package planner

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

// Config holds what the planner can be told.
type Config struct {
	Bus   bus.Config
	Cache cache.Config

	Clusters []fleet.ClusterName `envconfig:"NEAP_CLUSTERS" desc:"clusters to plan for, comma separated; * or empty is every cluster that has a policy"`
	Replica  string              `envconfig:"NEAP_REPLICA" desc:"name of this replica, unlike that of any other; default host and process ID"`
	Beat     time.Duration       `envconfig:"BEAT" default:"15s" desc:"longest time between two looks at a cluster; a new snapshot is looked at when it comes"`
}

// everyCluster stands for every cluster that has a policy.
const everyCluster = "*"

// leastBeat keeps a slip of the pen from turning into a busy loop.
const leastBeat = 10 * time.Millisecond

// Validate refuses settings that the planner could not run with.
func (c Config) Validate() error {
	var errs []error
	for _, name := range c.named() {
		if name.Validate() != nil {
			errs = append(errs, service.Invalid("NEAP_CLUSTERS", name, "use names of ECS clusters, comma separated, or * for all that have a policy"))
		}
	}
	if c.Beat < leastBeat {
		errs = append(errs, service.Invalid("BEAT", c.Beat, "use a duration of some seconds, such as 15s"))
	}
	return errors.Join(errs...)
}

// named are the clusters the planner was told; none means all that have a policy.
func (c Config) named() []fleet.ClusterName {
	if slices.Contains(c.Clusters, everyCluster) {
		return nil
	}
	return c.Clusters
}

func (c Config) withDefaults() Config {
	host, err := os.Hostname()
	if err != nil {
		host = "planner"
	}
	c.Replica = cmp.Or(c.Replica, fmt.Sprintf("%s-%d", host, os.Getpid()))
	return c
}
