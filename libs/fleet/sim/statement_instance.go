package sim

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// readZone: zone ZONE down [for D] | zone ZONE up. A zone is lost, or returns:
// "at 5m zone us-east-1a down for 20m".
func readZone(words []string) (statement, error) {
	names, rest, err := subject(words, "ZONE", "down or up")
	if err != nil {
		return nil, err
	}
	o, err := parseOptions(rest, "for")
	if err != nil {
		return nil, err
	}
	zone, d := fleet.Zone(names[0]), o.duration("for", 0)
	switch names[1] {
	case "down":
		return func(w *World, _ *scene) error { return w.LoseZone(zone, d) }, o.err
	case "up":
		if o.has("for") {
			return nil, errors.New("up is for good: leave \"for\" out")
		}
		return func(w *World, _ *scene) error { return w.ReturnZone(zone) }, nil
	}
	return nil, fmt.Errorf("%.40q: write down or up behind the zone", names[1])
}

// readFlaps: flaps PER_HOUR. Agents lose their connection for a moment so many times per
// hour each; 0 ends it: "flaps 3".
func readFlaps(words []string) (statement, error) {
	perHour, err := oneNumber(words, "PER_HOUR")
	if err != nil {
		return nil, err
	}
	return func(w *World, _ *scene) error { return w.FlapAgents(perHour) }, nil
}

// readInterruptions: interruptions SCALE. EC2 takes spot instances by itself, so many times
// as often as the catalogue's interruption bands say; 0 ends it: "interruptions 100".
func readInterruptions(words []string) (statement, error) {
	scale, err := oneNumber(words, "SCALE")
	if err != nil {
		return nil, err
	}
	return func(w *World, _ *scene) error { return w.SetInterruptions(scale) }, nil
}

// oneNumber reads the only word of a statement.
func oneNumber(words []string, what string) (float64, error) {
	names, rest, err := subject(words, what)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseFloat(names[0], 64)
	if err != nil || !(n >= 0) || len(rest) > 0 {
		return 0, fmt.Errorf("%.40q is no number: write one from 0 up", names[0])
	}
	return n, nil
}

// readTrunks: trunks fail N. The next N trunk interfaces fail, and their instances end in
// REGISTRATION_FAILED: "trunks fail 1".
func readTrunks(words []string) (statement, error) {
	names, rest, err := subject(words, "fail", "N")
	if err != nil || names[0] != "fail" || len(rest) > 0 {
		return nil, errors.New("write: trunks fail N")
	}
	n, err := strconv.Atoi(names[1])
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%.40q is no number of trunk interfaces", names[1])
	}
	return func(w *World, _ *scene) error {
		w.FailTrunks(n)
		return nil
	}, nil
}

// readRestart: restart INSTANCES [set NAME=VALUE]…. Agents are restarted with other
// settings: "restart oldest set ECS_CONTAINER_STOP_TIMEOUT=2m".
func readRestart(words []string) (statement, error) {
	var settings []string
	for n := len(words); n > 2 && words[n-2] == "set"; n = len(words) {
		settings, words = append(settings, "set", words[n-1]), words[:n-2]
	}
	o, err := parseOptions(settings, "set")
	if err != nil {
		return nil, err
	}
	pairs := o.pairs("set")
	if o.err != nil {
		return nil, o.err
	}
	return chosen(words, func(w *World, id fleet.InstanceID) error { return w.RestartAgent(id, pairs) })
}

// readDeregister: deregister INSTANCES [force]. Container instances are deregistered, as a
// person would: "deregister oldest force".
func readDeregister(words []string) (statement, error) {
	force := len(words) > 1 && words[len(words)-1] == "force"
	if force {
		words = words[:len(words)-1]
	}
	return chosen(words, func(w *World, id fleet.InstanceID) error {
		h, err := w.registered(id)
		if err != nil {
			return err
		}
		_, err = w.DeregisterContainerInstance(&DeregisterContainerInstanceInput{
			Cluster: h.cluster.name, ContainerInstance: h.arn, Force: force,
		})
		return err
	})
}

// always is how long something lasts that nobody ends.
const always = 100 * 365 * 24 * time.Hour
