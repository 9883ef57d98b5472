package sim

import (
	"cmp"
	"encoding/base64"
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

// InterruptSpot warns a spot instance that EC2 is going to take it, and takes it when the
// warning has run out. If its agent is told to, it sets the instance to DRAINING.
func (w *World) InterruptSpot(id fleet.InstanceID) error {
	m, err := w.spotInstance(id)
	if err != nil {
		return fmt.Errorf("interrupt: %w", err)
	}
	if !m.notice.IsZero() {
		return fmt.Errorf("interrupt: instance %s has had its warning at %s", id, m.notice.Format(time.RFC3339))
	}
	m.notice = w.now
	w.seen.InstancesInterrupted++
	w.tellSpot(m, "EC2 Spot Instance Interruption Warning", map[string]string{"instance-id": m.id, "instance-action": "terminate"})
	if m.agent.drainOnSpot {
		w.in(time.Second, spotDrain{m}) // the agent asks every second
	}
	w.in(w.cfg.Delays.SpotWarning, spotTaken{m})
	return nil
}

// RebalanceSpot tells that a spot instance is at an elevated risk. Nothing else happens.
func (w *World) RebalanceSpot(id fleet.InstanceID) error {
	m, err := w.spotInstance(id)
	if err != nil {
		return fmt.Errorf("rebalance: %w", err)
	}
	w.tellSpot(m, "EC2 Instance Rebalance Recommendation", map[string]string{"instance-id": m.id})
	return nil
}

func (w *World) spotInstance(id fleet.InstanceID) (*instance, error) {
	m := w.instances[string(id)]
	switch {
	case m == nil || !m.alive():
		return nil, fmt.Errorf("there is no running instance %s", id)
	case !m.spot:
		return nil, fmt.Errorf("instance %s is on-demand, name a spot instance", id)
	}
	return m, nil
}

// spotDrain is when the agent of an interrupted instance sets it to DRAINING.
type spotDrain struct{ m *instance }

func (e spotDrain) happen(w *World) {
	if h := e.m.host; h != nil && h.connected && h.status == statusActive {
		w.setDraining(h)
	}
}

// spotTaken is when EC2 takes an interrupted instance.
type spotTaken struct{ m *instance }

func (e spotTaken) happen(w *World) {
	w.terminate(e.m, StateReason{"Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination"})
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

// Disconnect takes the agent of an instance away for a while; 0 is for good.
func (w *World) Disconnect(id fleet.InstanceID, d time.Duration) error {
	m := w.instances[string(id)]
	if m == nil || m.host == nil {
		return fmt.Errorf("disconnect: there is no registered instance %s", id)
	}
	w.setConnected(m.host, false)
	if d > 0 {
		w.in(d, agentBack{m.host})
	}
	return nil
}

// agentBack is when a disconnected agent is connected again, if its machine still runs.
type agentBack struct{ h *containerInstance }

func (e agentBack) happen(w *World) {
	if e.h.machine.state == machineRunning {
		w.setConnected(e.h, true)
	}
}

// StallBoots lets the agents of the next n launches never come up.
func (w *World) StallBoots(n int) { w.stalls = n }

// FaultEvents loses and doubles a share of the events until a time.
func (w *World) FaultEvents(drop, duplicate float64, until time.Time) error {
	if !(drop >= 0 && drop <= 1 && duplicate >= 0 && duplicate <= 1) {
		return fmt.Errorf("event faults: drop %v and duplicate %v must be from 0 to 1", drop, duplicate)
	}
	w.faults = eventFaults{drop: drop, duplicate: duplicate, until: until}
	return nil
}

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

// Fixture is a number of like instances that somebody launches by hand.
type Fixture struct {
	Cluster    fleet.ClusterName
	Type       fleet.TypeName
	Zone       fleet.Zone // default the first
	Lifecycle  fleet.Lifecycle
	Count      int
	Attributes map[string]string
	Tags       map[string]string
	// CapacityProvider is whose auto scaling group launches them; see
	// [World.AddCapacityProvider].
	CapacityProvider string
}

// Launch launches instances that join a cluster, with the ECS image for their
// architecture: a cluster that was there before anybody scaled it.
func (w *World) Launch(f Fixture) ([]fleet.InstanceID, error) {
	t := w.typeNamed[string(f.Type)]
	if t == nil {
		return nil, fmt.Errorf("launch: there is no instance type %q", f.Type)
	}
	parameter := "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
	if t.arm {
		parameter = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"
	}
	attributes := "{"
	for i, k := range sortedKeys(f.Attributes) {
		attributes += fmt.Sprintf("%s%q:%q", []string{"", ","}[min(i, 1)], k, f.Attributes[k])
	}
	userData := "#!/bin/bash\ncat <<'EOF' >> /etc/ecs/ecs.config\nECS_CLUSTER=" + string(f.Cluster) +
		"\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\nECS_INSTANCE_ATTRIBUTES=" + attributes + "}\nEOF\n"
	in := &RunInstancesInput{
		ImageID: parameter, InstanceType: string(f.Type), MinCount: f.Count, MaxCount: f.Count,
		Placement: Placement{AvailabilityZone: cmp.Or(string(f.Zone), w.cfg.Zones[0].Name)},
		UserData:  base64.StdEncoding.EncodeToString([]byte(userData)),
	}
	if f.Lifecycle == fleet.Spot {
		in.InstanceMarketOptions.MarketType = "spot"
	}
	var tags []Tag
	for _, k := range sortedKeys(f.Tags) {
		tags = append(tags, Tag{k, f.Tags[k]})
	}
	in.TagSpecifications = []TagSpecification{{ResourceType: "instance", Tags: tags}}
	out, err := w.RunInstances(in)
	if err != nil {
		return nil, fmt.Errorf("launch %d %s: %w", f.Count, f.Type, err)
	}
	var ids []fleet.InstanceID
	for _, i := range out.Instances {
		w.instances[i.InstanceID].provider = f.CapacityProvider
		ids = append(ids, fleet.InstanceID(i.InstanceID))
	}
	return ids, nil
}
