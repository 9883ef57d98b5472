package sim

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// readQuota: quota CLASS LIFECYCLE VCPUS. Bounds the vCPUs of running instances of a class
// of types (Standard, G/VT, …, * is every class); 0 is no bound: "quota Standard spot 64".
func readQuota(words []string) (statement, error) {
	names, rest, err := subject(words, "CLASS", "LIFECYCLE", "VCPUS")
	if err != nil {
		return nil, err
	}
	l, err := lifecycle(names[1])
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(names[2], 10, 64)
	if err != nil || n < 0 || len(rest) > 0 {
		return nil, fmt.Errorf("%.40q is no number of vCPUs: write one from 0 on", names[2])
	}
	return func(w *World, _ *scene) error { return w.SetQuota(names[0], l, n) }, nil
}

// readMaintenance: maintenance CODE in D INSTANCES. EC2 plans an event for instances and
// carries it out when D has passed: "maintenance instance-retirement in 1h oldest 2".
func readMaintenance(words []string) (statement, error) {
	names, rest, err := subject(words, "CODE", "in", "D")
	if err != nil {
		return nil, err
	}
	if plannedWork[names[0]] == "" || names[1] != "in" {
		return nil, fmt.Errorf("%.40q: write a code of %v, then: in 1h", names[0], sortedKeys(plannedWork))
	}
	d, err := duration(names[2])
	if err != nil {
		return nil, err
	}
	return chosen(rest, func(w *World, id fleet.InstanceID) error { return w.PlanMaintenance(id, names[0], d) })
}

// readReserve: reserve TYPE [count N] [zone ZONE]. The account owns reserved instances for
// a year from now: "reserve m7i.large count 10".
func readReserve(words []string) (statement, error) {
	name, o, err := named(words, "TYPE", "count", "zone")
	if err != nil {
		return nil, err
	}
	count, zone := o.int("count", 1), fleet.Zone(o.text("zone", ""))
	return func(w *World, _ *scene) error {
		_, err := w.Reserve(fleet.TypeName(name), zone, count)
		return err
	}, o.err
}

// readSavingsPlan: savings-plan USD [family FAMILY]. The account owns a savings plan of so
// much per hour for a year from now: "savings-plan 2.5 family m7i".
func readSavingsPlan(words []string) (statement, error) {
	name, o, err := named(words, "USD", "family")
	if err != nil {
		return nil, err
	}
	usd, err := strconv.ParseFloat(name, 64)
	const most = 1e6 // USD per hour
	if err != nil || !(usd > 0 && usd <= most) {
		return nil, fmt.Errorf("%.40q is no commitment: write USD per hour such as 2.5", name)
	}
	family := o.text("family", "")
	return func(w *World, _ *scene) error {
		_, err := w.OwnSavingsPlan(family, fleet.USD(usd))
		return err
	}, o.err
}

// readStop: stop INSTANCES. Instances are stopped as a person would: "stop oldest 1".
func readStop(words []string) (statement, error) { return chosen(words, (*World).StopInstance) }

// readReboot: reboot INSTANCES. Instances restart; their tasks end: "reboot oldest 1".
func readReboot(words []string) (statement, error) {
	return chosen(words, func(w *World, id fleet.InstanceID) error {
		_, err := w.RebootInstances(&RebootInstancesInput{InstanceIDs: []string{string(id)}})
		return err
	})
}

// readStart: start ID | start stopped [N]. Stopped instances start again, the oldest first:
// "at 10m start stopped".
func readStart(words []string) (statement, error) {
	if len(words) == 1 && instanceIDPattern.MatchString(words[0]) {
		return func(w *World, _ *scene) error { return w.StartInstance(fleet.InstanceID(words[0])) }, nil
	}
	count := 1
	if len(words) == 2 {
		n, err := strconv.Atoi(words[1])
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%.40q is no number of instances", words[1])
		}
		count = n
	}
	if len(words) == 0 || len(words) > 2 || words[0] != "stopped" {
		return nil, errors.New("write stopped and perhaps a number, or the ID of an instance")
	}
	return func(w *World, _ *scene) error {
		list := w.stopped(count)
		if len(list) == 0 {
			return errors.New("there is no stopped instance")
		}
		for _, id := range list {
			if err := w.StartInstance(id); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// stopped are up to n stopped instances, the oldest first.
func (w *World) stopped(n int) []fleet.InstanceID {
	var list []fleet.InstanceID
	for m := range w.instanceRoll.all {
		if m.state == machineStopped && len(list) < n {
			list = append(list, fleet.InstanceID(m.id))
		}
	}
	return list
}

// readConsistency: consistency eventual | consistency strong | consistency D. Reads of EC2
// are behind as real ones are seen to be, not at all, or by D: "consistency 5s".
func readConsistency(words []string) (statement, error) {
	names, rest, err := subject(words, "eventual, strong or a time")
	if err != nil || len(rest) > 0 {
		return nil, errors.New("write: consistency eventual, consistency strong, or a time such as consistency 5s")
	}
	var d time.Duration
	if names[0] != "eventual" && names[0] != "strong" {
		if d, err = duration(names[0]); err != nil {
			return nil, err
		}
	}
	return func(w *World, _ *scene) error {
		if names[0] == "eventual" {
			w.cfg.Delays = w.cfg.Delays.Eventual()
			return nil
		}
		w.cfg.Delays.Visible, w.cfg.Delays.Found, w.cfg.Delays.Tagged, w.cfg.Delays.Lag = d, d, d, d
		return nil
	}, nil
}
