package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// behave takes over the options of the statement task that say what its container does:
//
//	fails pull|start|exit     it never starts, or ends at once
//	image-arch x86_64|arm64   what the image is built for; it ends at once elsewhere
//	health INTERVAL           it has a health check that runs so often
//	retries N                 failures in a row that make it unhealthy
//	start-period TIME         failures in it do not count
//	unhealthy-after TIME      so long after its start it fails its checks
//
// Example: task web cpu 256 memory 512 health 10s retries 2 unhealthy-after 5m
func (c *ContainerDefinition) behave(o *options) error {
	set := func(name, value string) { c.Environment = append(c.Environment, KeyValue{name, value}) }
	if how := o.text("fails", ""); how != "" {
		if !slices.Contains([]string{failPull, failStart, failExit}, how) {
			return fmt.Errorf("fails %.40q: write pull, start or exit", how)
		}
		set(envFail, how)
	}
	if arch := o.text("image-arch", ""); arch != "" {
		if arch != "x86_64" && arch != "arm64" {
			return fmt.Errorf("image-arch %.40q: write x86_64 or arm64", arch)
		}
		set(envArchitecture, arch)
	}
	if o.has("unhealthy-after") {
		set(envUnhealthyAfter, o.duration("unhealthy-after", 0).String())
	}
	if o.has("health") {
		c.HealthCheck = &HealthCheck{
			Command: []string{"CMD-SHELL", "true"}, Interval: int(o.duration("health", 0) / time.Second),
			Retries: o.int("retries", 0), StartPeriod: int(o.duration("start-period", 0) / time.Second),
		}
	}
	return nil
}

// care takes over the options of the statement service that say how it is deployed and kept;
// force is read by the statement itself:
//
//	balanced                  it is behind a load balancer
//	grace TIME                unhealthy tasks are left alone for so long after their start
//	breaker, rollback         deployment circuit breaker, and whether it rolls back
//	threshold TYPE:VALUE      of the circuit breaker, such as COUNT:5
//	rebalancing on|off        over the availability zones
//	force                     a new deployment begins, whatever changes
//
// Example: service web task web desired 6 balanced grace 1m breaker rollback
func (in *CreateServiceInput) care(o *options) error {
	if o.has("balanced") {
		in.LoadBalancers = []LoadBalancer{{
			TargetGroupArn: "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/" + in.ServiceName + "/0123456789abcdef", ContainerName: "app", ContainerPort: 80,
		}}
	}
	in.HealthCheckGracePeriodSeconds = int(o.duration("grace", 0) / time.Second)
	if o.has("breaker") || o.has("rollback") || o.has("threshold") {
		breaker := &DeploymentCircuitBreaker{Enable: true, Rollback: o.has("rollback")}
		if text := o.text("threshold", ""); text != "" {
			kind, number, _ := strings.Cut(text, ":")
			value, err := strconv.Atoi(number)
			if err != nil {
				return fmt.Errorf("threshold %.40q: write it like COUNT:5 or BOUNDED_PERCENT:50", text)
			}
			breaker.ThresholdConfiguration = &ThresholdConfiguration{Type: kind, Value: value}
		}
		if in.DeploymentConfiguration == nil {
			in.DeploymentConfiguration = &DeploymentConfiguration{}
		}
		in.DeploymentConfiguration.DeploymentCircuitBreaker = breaker
	}
	switch word := o.text("rebalancing", ""); word {
	case "":
	case "on":
		in.AvailabilityZoneRebalancing = rebalancingOn
	case "off":
		in.AvailabilityZoneRebalancing = rebalancingOff
	default:
		return fmt.Errorf("rebalancing %.40q: write on or off", word)
	}
	return nil
}

// readUnhealthy reads: unhealthy SERVICE [count N] [for TIME]. Running tasks of the
// service, the oldest first and all unless told, fail their health checks, for a time or
// until they are replaced.
//
// Example: at 5m unhealthy web count 2
func readUnhealthy(words []string) (statement, error) {
	name, o, err := named(words, "SERVICE", "count", "for")
	if err != nil {
		return nil, err
	}
	count, d := o.int("count", -1), o.duration("for", 0)
	return func(w *World, c *scene) error {
		_, err := w.SickenTasks(c.cluster, fleet.ServiceName(name), count, d)
		return err
	}, o.err
}
