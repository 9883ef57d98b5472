package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// SetShortage leaves offerings only so many instances until a time. Type and zone may be
// patterns with *; an empty lifecycle is both.
func (w *World) SetShortage(typ, zone string, lifecycle fleet.Lifecycle, left int, until time.Time) error {
	return w.eachOffering(typ, zone, lifecycle, func(o offering) { w.shortages[o] = shortage{left: left, until: until} })
}

// EndShortage gives offerings their capacity back.
func (w *World) EndShortage(typ, zone string, lifecycle fleet.Lifecycle) error {
	return w.eachOffering(typ, zone, lifecycle, func(o offering) { delete(w.shortages, o) })
}

// SetSpotPrice fixes the spot price of offerings; 0 lets it find its own way again.
func (w *World) SetSpotPrice(typ, zone string, price fleet.Price) error {
	return w.eachOffering(typ, zone, fleet.Spot, func(o offering) {
		if price == 0 {
			delete(w.prices, o)
			return
		}
		w.prices[o] = int64(price)
	})
}

// eachOffering calls do for each offering that type, zone and lifecycle name.
func (w *World) eachOffering(typ, zone string, lifecycle fleet.Lifecycle, do func(offering)) error {
	found := false
	for _, t := range w.types {
		if !glob(typ, t.name) {
			continue
		}
		for _, z := range t.zones {
			if !glob(zone, z) {
				continue
			}
			found = true
			if lifecycle != fleet.OnDemand {
				do(offering{t.name, z, true})
			}
			if lifecycle != fleet.Spot {
				do(offering{t.name, z, false})
			}
		}
	}
	if !found {
		return fmt.Errorf("no offering of type %q in zone %q: name a type and zone of the world, or patterns such as m7i.* and *", typ, zone)
	}
	return nil
}

// SpotInstances are up to n running spot instances that have no interruption warning, the
// oldest first; n below 0 is all.
func (w *World) SpotInstances(n int) []fleet.InstanceID {
	var ids []fleet.InstanceID
	for m := range w.instanceRoll.all {
		if len(ids) == n {
			break
		}
		if m.spot && m.state == machineRunning && m.notice.IsZero() {
			ids = append(ids, fleet.InstanceID(m.id))
		}
	}
	return ids
}

// ActiveInstances are up to n ACTIVE container instances of a cluster, the oldest first; n
// below 0 is all.
func (w *World) ActiveInstances(name fleet.ClusterName, n int) []fleet.InstanceID {
	c, err := w.cluster(string(name))
	if err != nil {
		return nil
	}
	var ids []fleet.InstanceID
	for h := range c.hostRoll.all {
		if len(ids) == n {
			break
		}
		if h.status == statusActive {
			ids = append(ids, fleet.InstanceID(h.machine.id))
		}
	}
	return ids
}

// Drain sets the container instance of an EC2 instance to DRAINING.
func (w *World) Drain(id fleet.InstanceID) error {
	m := w.instances[string(id)]
	if m == nil || m.host == nil || m.host.status != statusActive {
		return fmt.Errorf("drain: instance %s is not ACTIVE in a cluster", id)
	}
	w.setDraining(m.host)
	return nil
}

// SetDesired sets the desired count of a service, as its owner would.
func (w *World) SetDesired(cluster fleet.ClusterName, service fleet.ServiceName, n int) error {
	_, err := w.UpdateService(&UpdateServiceInput{Cluster: string(cluster), Service: string(service), DesiredCount: &n})
	if err != nil {
		return fmt.Errorf("set service %s to %d tasks: %w", service, n, err)
	}
	return nil
}

// ProtectTasks gives scale-in protection to n tasks of a service that run and have none,
// the oldest first, and returns how many there were.
func (w *World) ProtectTasks(cluster fleet.ClusterName, service fleet.ServiceName, n int, d time.Duration) (int, error) {
	s, err := w.service(string(cluster), string(service))
	if err != nil {
		return 0, fmt.Errorf("protect tasks of %s: %w", service, err)
	}
	done := 0
	for _, t := range s.active {
		if done < n && t.last == taskRunning && !t.protected(w.now) {
			w.protect(t, true, d)
			done++
		}
	}
	return done, nil
}

// UnprotectTasks takes scale-in protection off all tasks of a service.
func (w *World) UnprotectTasks(cluster fleet.ClusterName, service fleet.ServiceName) error {
	s, err := w.service(string(cluster), string(service))
	if err != nil {
		return fmt.Errorf("unprotect tasks of %s: %w", service, err)
	}
	for _, t := range s.active {
		w.protect(t, false, 0)
	}
	return nil
}

// FinishTasks lets the containers of up to n running standalone tasks of a family end by
// themselves, the oldest first, and returns how many did; n below 0 is all.
func (w *World) FinishTasks(cluster fleet.ClusterName, family string, n int) (int, error) {
	c, err := w.cluster(string(cluster))
	if err != nil {
		return 0, fmt.Errorf("finish tasks of %s: %w", family, err)
	}
	done := 0
	for t := range c.taskRoll.all {
		if done != n && t.service == nil && t.definition.Family == family && t.last == taskRunning && !t.stopped {
			t.exitCode = &t.exitWith
			w.stopTask(t, stopExited, "Essential container in task exited")
			done++
		}
	}
	return done, nil
}

// StallBoots lets the agents of the next n launches never come up.
func (w *World) StallBoots(n int) { w.stalls = n }

// AddImage publishes a newer image under an SSM parameter, as AWS does every few weeks,
// and returns its ID. The parameter is named without "/image_id".
func (w *World) AddImage(parameter string) (fleet.ImageID, error) {
	for _, i := range slices.Backward(w.images) {
		if i.parameter == parameter {
			next := w.newImage(parameter, fmt.Sprintf("%s-%d", i.Name, len(w.images)), i.Architecture, i.agent)
			next.CreationDate = Timestamp{w.now}
			w.images = append(w.images, next)
			return fleet.ImageID(next.ImageID), nil
		}
	}
	return "", fmt.Errorf("add image: there is no image parameter %q", parameter)
}
