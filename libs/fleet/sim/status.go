package sim

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// plannedWork is what EC2 may plan for an instance, by the code of the event, in words.
var plannedWork = map[string]string{
	"instance-stop":       "The instance is running on degraded hardware and will be stopped",
	"instance-retirement": "The instance is running on degraded hardware",
	"instance-reboot":     "The instance is scheduled for a reboot",
	"system-reboot":       "The instance's host is scheduled for a reboot",
	"system-maintenance":  "The instance's host is scheduled for maintenance",
}

// PlanMaintenance lets EC2 plan an event for an instance, such as instance-retirement, and
// carry it out when so much time has passed: stops and retirements stop the instance (its
// root device is on EBS), reboots restart it.
func (w *World) PlanMaintenance(id fleet.InstanceID, code string, in time.Duration) error {
	m := w.instances[string(id)]
	if m == nil || !m.alive() {
		return fmt.Errorf("plan maintenance: there is no running instance %s", id)
	}
	words, ok := plannedWork[code]
	if !ok {
		return fmt.Errorf("plan maintenance: there is no event %q: name one of %v", code, sortedKeys(plannedWork))
	}
	e := StatusEvent{
		InstanceEventID: fmt.Sprintf("instance-event-%017x", w.hash("maintenance", m.id, code, strconv.Itoa(len(m.planned)))>>4),
		Code:            code, Description: words, NotBefore: Timestamp{w.now.Add(in)},
	}
	m.planned = append(slices.Clone(m.planned), e)
	w.in(in, maintenanceDue{m, e.InstanceEventID})
	return nil
}

// maintenanceDue is when a planned event of an instance comes.
type maintenanceDue struct {
	m  *instance
	id string
}

func (d maintenanceDue) happen(w *World) {
	at := slices.IndexFunc(d.m.planned, func(e StatusEvent) bool { return e.InstanceEventID == d.id })
	if at < 0 || !d.m.alive() {
		return
	}
	e := d.m.planned[at]
	switch e.Code {
	case "instance-stop", "instance-retirement":
		w.stop(d.m, StateReason{"Server.ScheduledStop", "Server.ScheduledStop: Stopped due to a scheduled retirement"})
	case "instance-reboot", "system-reboot":
		w.reboot(d.m)
	}
	d.m.planned = slices.Clone(d.m.planned)
	d.m.planned[at].Description = "[Completed] " + e.Description
}

// DescribeInstanceStatus tells how instances are and what EC2 has planned for them; without
// IncludeAllInstances, those that run only.
func (w *World) DescribeInstanceStatus(in *DescribeInstanceStatusInput) (*DescribeInstanceStatusOutput, error) {
	if len(in.InstanceIDs) > 0 && in.MaxResults > 0 {
		return nil, clientError("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	const mostIDs = 100
	if len(in.InstanceIDs) > mostIDs {
		return nil, clientError("InvalidParameterValue", "The request names %d instances; at most %d are allowed", len(in.InstanceIDs), mostIDs)
	}
	if err := checkFilters(in.Filters, (&InstanceStatus{}).filterValues); err != nil {
		return nil, err
	}
	page, next, err := w.pageOfInstances("status", in.InstanceIDs, nil, in.NextToken, in.MaxResults, func(m *instance) bool {
		if !in.IncludeAllInstances && w.shownState(m) != machineRunning {
			return false
		}
		s := w.statusOf(m)
		ok, _ := matchAll(in.Filters, s.filterValues)
		return ok
	})
	if err != nil {
		return nil, err
	}
	out := &DescribeInstanceStatusOutput{NextToken: next}
	for _, m := range page {
		out.InstanceStatuses = append(out.InstanceStatuses, w.statusOf(m))
	}
	return out, nil
}

// Impair lets the status checks of an instance fail from now on. Its agent goes on.
func (w *World) Impair(id fleet.InstanceID) error {
	m := w.instances[string(id)]
	if m == nil || !m.alive() {
		return fmt.Errorf("impair: there is no running instance %s", id)
	}
	m.failing = true
	return nil
}

// checksTake is how long the status checks of a new instance take.
const checksTake = 2 * time.Minute

func (w *World) statusOf(m *instance) InstanceStatus {
	s := InstanceStatus{InstanceID: m.id, AvailabilityZone: m.subnet.Zone, InstanceState: w.shownState(m).describe(), Events: m.planned}
	summary, detail := "not-applicable", ""
	switch {
	case s.InstanceState.Name != machineRunning.describe().Name:
	case m.failing || w.impaired(m):
		summary, detail = "impaired", "failed"
	case w.now.Before(m.since().Add(checksTake)):
		summary, detail = "initializing", "initializing"
	default:
		summary, detail = "ok", "passed"
	}
	s.InstanceStatus = StatusSummary{Status: summary}
	if detail != "" {
		s.InstanceStatus.Details = []StatusDetail{{"reachability", detail}}
	}
	s.SystemStatus = s.InstanceStatus
	return s
}

func (s *InstanceStatus) filterValues(name string) ([]string, bool) {
	events := func(value func(StatusEvent) string) ([]string, bool) {
		var list []string
		for _, e := range s.Events {
			list = append(list, value(e))
		}
		return list, true
	}
	switch name {
	case "availability-zone":
		return []string{s.AvailabilityZone}, true
	case "instance-state-name":
		return []string{s.InstanceState.Name}, true
	case "instance-state-code":
		return []string{strconv.Itoa(s.InstanceState.Code)}, true
	case "instance-status.status":
		return []string{s.InstanceStatus.Status}, true
	case "system-status.status":
		return []string{s.SystemStatus.Status}, true
	case "instance-status.reachability", "system-status.reachability":
		if len(s.InstanceStatus.Details) == 0 {
			return nil, true
		}
		return []string{s.InstanceStatus.Details[0].Status}, true
	case "event.code":
		return events(func(e StatusEvent) string { return e.Code })
	case "event.description":
		return events(func(e StatusEvent) string { return e.Description })
	case "event.instance-event-id":
		return events(func(e StatusEvent) string { return e.InstanceEventID })
	case "event.not-before":
		return events(func(e StatusEvent) string { return e.NotBefore.UTC().Format(isoMillis) })
	}
	return nil, false
}
