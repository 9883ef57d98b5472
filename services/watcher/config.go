package watcher

import (
	"errors"
	"net/url"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/service"
)

// Config holds what the watcher can be told. Region, endpoint and credentials of AWS are
// found as the AWS CLI finds them: AWS_REGION, AWS_ENDPOINT_URL, AWS_PROFILE and so on.
type Config struct {
	Bus        bus.Config
	Cache      cache.Config
	AWS        cloud.Config
	Assignment service.Assignment

	Installation string        `envconfig:"NEAP_INSTALLATION" default:"neap" desc:"owner tag of the instances of this installation"`
	Beat         time.Duration `envconfig:"BEAT" default:"15s" desc:"longest time between two sweeps of a cluster; events bring one forward"`
	EventQueue   string        `envconfig:"EVENT_QUEUE_URL" desc:"URL of an SQS queue that EventBridge fills with events of ECS and EC2, and with CloudTrail's of RunTask, without which standalone tasks that find no room are not launched for; empty works on the beat alone"`
}

// leastBeat keeps a slip of the pen from turning into a busy loop.
const leastBeat = 10 * time.Millisecond

// Validate refuses settings that the watcher could not run with.
func (c Config) Validate() error {
	var errs []error
	refuse := func(variable string, value any, remedy string) {
		errs = append(errs, service.Invalid(variable, value, remedy))
	}
	if c.Installation == "" {
		refuse("NEAP_INSTALLATION", c.Installation, "name the installation, such as neap: it is the owner tag of its instances")
	}
	if c.Beat < leastBeat {
		refuse("BEAT", c.Beat, "use a duration of some seconds, such as 15s")
	}
	if u, err := url.Parse(c.EventQueue); c.EventQueue != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		refuse("EVENT_QUEUE_URL", c.EventQueue, "use the queue's URL, such as https://sqs.us-east-1.amazonaws.com/123456789012/neap")
	}
	return errors.Join(errs...)
}
