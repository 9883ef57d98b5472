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

	SecondLook float64       `envconfig:"SECOND_LOOK" default:"0.03" desc:"share of the beat that a decision may take with a second, longer look for cheaper instances, 0.45s of 15s: tasks wait meanwhile; 0 never looks twice"`
	Records    bool          `envconfig:"RECORDS" default:"true" desc:"keep what each plan was made from for a week, so that neap replay can make it again"`
	Standing   time.Duration `envconfig:"STANDING" default:"1m" desc:"least time between two comparisons of what a cluster costs with the least it could cost; 0 never compares"`
}

// leastBeat keeps a slip of the pen from turning into a busy loop.
const leastBeat = 10 * time.Millisecond

// Validate refuses settings that the planner could not run with.
func (c Config) Validate() error {
	if c.Beat < leastBeat {
		return service.Invalid("BEAT", c.Beat, "use a duration of some seconds, such as 15s")
	}
	if !(c.SecondLook >= 0 && c.SecondLook <= 1) { // NaN is neither
		return service.Invalid("SECOND_LOOK", c.SecondLook, "use a share from 0 to 1, such as 0.25")
	}
	if c.Standing != 0 && c.Standing < time.Second {
		return service.Invalid("STANDING", c.Standing, "use a duration from 1s, such as 1m, or 0 to switch it off")
	}
	return nil
}
