package planner

import (
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/service"
)

// Config holds what the planner can be told.
type Config struct {
	Bus        bus.Config
	Cache      cache.Config
	Assignment service.Assignment

	Beat time.Duration `envconfig:"BEAT" default:"15s" desc:"longest time between two looks at a cluster; a new snapshot is looked at when it comes"`
}

// leastBeat keeps a slip of the pen from turning into a busy loop.
const leastBeat = 10 * time.Millisecond

// Validate refuses settings that the planner could not run with.
func (c Config) Validate() error {
	if c.Beat < leastBeat {
		return service.Invalid("BEAT", c.Beat, "use a duration of some seconds, such as 15s")
	}
	return nil
}
