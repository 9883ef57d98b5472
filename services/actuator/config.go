package actuator

import (
	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/executor"
)

// Config holds what the actuator can be told. AWS is found by the usual variables of its SDK.
type Config struct {
	Bus      bus.Config
	AWS      cloud.Config
	Executor executor.Config
}
