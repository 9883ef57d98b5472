package sim

import (
	"fmt"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// LoseZone takes an availability zone away for a while; 0 is until [World.ReturnZone].
// Nothing can be launched there, the agents there are disconnected, and EC2 calls the
// instances impaired. ECS goes on counting their tasks: it does not know better.
func (w *World) LoseZone(zone fleet.Zone, d time.Duration) error {
	name := string(zone)
	if !w.cfg.hasZone(name) {
		return fmt.Errorf("lose zone %q: it is not one of the world's zones", name)
	}
	until := w.now.Add(always)
	if d > 0 {
		until = w.now.Add(d)
		w.in(d, zoneBack{name})
	}
	if w.zonesDown == nil {
		w.zonesDown = map[string]time.Time{}
	}
	w.zonesDown[name] = until
	for m := range w.instanceRoll.all {
		if m.subnet.Zone == name && m.host != nil && m.host.connected {
			w.in(w.delay(w.cfg.Delays.Disconnect, "zone lost", m.id), zoneCut{m.host})
		}
	}
	return nil
}

// ReturnZone gives a zone back that was lost.
func (w *World) ReturnZone(zone fleet.Zone) error {
	name := string(zone)
	if !w.zoneIsDown(name) {
		return fmt.Errorf("return zone %q: it is not down", name)
	}
	delete(w.zonesDown, name)
	for m := range w.instanceRoll.all {
		if m.subnet.Zone != name || !m.alive() {
			continue
		}
		if w.chance("zone loss", m.id) < w.cfg.ZoneLossTakes {
			w.terminate(m, StateReason{"Server.InternalError", "Server.InternalError: Internal error on the host of the instance"})
		} else if m.host != nil {
			w.in(w.delay(w.cfg.Delays.Reconnect, "zone returned", m.id), agentBack{m.host})
		}
	}
	return nil
}

// zoneIsDown reports whether a zone is lost.
func (w *World) zoneIsDown(zone string) bool {
	until, down := w.zonesDown[zone]
	return down && w.now.Before(until)
}

// zoneState is the state of a zone as DescribeAvailabilityZones tells it.
func (w *World) zoneState(zone string) string {
	if w.zoneIsDown(zone) {
		return "impaired"
	}
	return "available"
}

// impaired reports whether an instance is in a zone that is lost.
func (w *World) impaired(m *instance) bool {
	return m.state == machineRunning && w.zoneIsDown(m.subnet.Zone)
}

// zoneCut is when ECS sees that an agent in a lost zone is gone.
type zoneCut struct{ h *containerInstance }

func (e zoneCut) happen(w *World) {
	if w.zoneIsDown(e.h.machine.subnet.Zone) {
		w.setConnected(e.h, false)
	}
}

// zoneBack is when a lost zone returns by itself.
type zoneBack struct{ zone string }

func (e zoneBack) happen(w *World) {
	until, down := w.zonesDown[e.zone]
	if !down || w.now.Before(until) {
		return // it came back before, or was lost for longer
	}
	w.zonesDown[e.zone] = w.now.Add(time.Nanosecond) // so that it is down for the return
	if err := w.ReturnZone(fleet.Zone(e.zone)); err != nil {
		panic(fmt.Sprintf("sim: %v", err)) // it was checked above
	}
}

// zoneUnavailable is what EC2 answers for instances in a lost zone that are asked for by
// their IDs.
func zoneUnavailable() *Error {
	return &Error{Code: "Unavailable", Message: "The server is overloaded and can't handle the request.", Fault: FaultServer}
}
