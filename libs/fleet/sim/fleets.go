package sim

import (
	"fmt"
	"regexp"
	"slices"
)

// fleetRecord is an instant fleet that was made.
type fleetRecord struct {
	id      string
	made    Timestamp
	deleted bool
	in      CreateFleetInput
	out     CreateFleetOutput
}

// mostFleets is how many fleets are kept whose instances have all gone: EC2 forgets them,
// too, but does not say when.
const mostFleets = 1000

// keepFleet remembers a fleet.
func (w *World) keepFleet(in *CreateFleetInput, out *CreateFleetOutput) {
	if len(w.fleets)%mostFleets == mostFleets-1 {
		w.fleets = slices.DeleteFunc(w.fleets, func(f *fleetRecord) bool { return len(w.membersOf(f)) == 0 })
	}
	w.fleets = append(w.fleets, &fleetRecord{id: out.FleetID, made: Timestamp{w.now}, in: *in, out: *out})
}

func (w *World) fleet(id string) *fleetRecord {
	for _, f := range w.fleets {
		if f.id == id {
			return f
		}
	}
	return nil
}

// membersOf are the instances of a fleet that EC2 still knows.
func (w *World) membersOf(f *fleetRecord) []*instance {
	var list []*instance
	for _, i := range f.out.Instances {
		for _, id := range i.InstanceIDs {
			if m := w.instances[id]; m != nil {
				list = append(list, m)
			}
		}
	}
	return list
}

var fleetIDPattern = regexp.MustCompile(`^fleet-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// DeleteFleets deletes fleets. With an instant fleet its instances end, too: it cannot be
// deleted without them.
func (w *World) DeleteFleets(in *DeleteFleetsInput) (*DeleteFleetsOutput, error) {
	const most = 25 // instant fleets in one call
	if len(in.FleetIDs) == 0 || len(in.FleetIDs) > most {
		return nil, clientError("InvalidParameterValue", "Name between 1 and %d instant fleets: %d", most, len(in.FleetIDs))
	}
	if in.DryRun {
		return nil, dryRun()
	}
	out := &DeleteFleetsOutput{}
	for _, id := range in.FleetIDs {
		f := w.fleet(id)
		why := CodeWords{}
		switch {
		case !fleetIDPattern.MatchString(id):
			why = CodeWords{"fleetIdMalformed", fmt.Sprintf("The fleet ID '%s' is malformed", clip(id))}
		case f == nil:
			why = CodeWords{"fleetIdDoesNotExist", fmt.Sprintf("The fleet ID '%s' does not exist", id)}
		case f.deleted:
			why = CodeWords{"fleetNotInDeletableState", fmt.Sprintf("The fleet '%s' is not in a state in which it can be deleted", id)}
		case !in.TerminateInstances:
			why = CodeWords{"unexpectedError", "An instant fleet cannot be deleted without terminating its instances: specify TerminateInstances"}
		}
		if why.Code != "" {
			out.Unsuccessful = append(out.Unsuccessful, FleetDeletionError{FleetID: id, Error: why})
			continue
		}
		f.deleted = true
		for _, m := range w.membersOf(f) {
			if !m.ending() {
				w.seen.terminated(w, m)
				w.terminate(m, StateReason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"})
			}
		}
		out.Successful = append(out.Successful, FleetDeletion{CurrentFleetState: "deleted_terminating", PreviousFleetState: "active", FleetID: id})
	}
	return out, nil
}

// fleetState is how a fleet is called: deleted ones while their instances end, too.
func (w *World) fleetState(f *fleetRecord) string {
	if !f.deleted {
		return "active"
	}
	if slices.ContainsFunc(w.membersOf(f), func(m *instance) bool { return m.state != machineTerminated }) {
		return "deleted_terminating"
	}
	return "deleted"
}

// DescribeFleets describes fleets. Instant ones are described only when they are named.
func (w *World) DescribeFleets(in *DescribeFleetsInput) (*DescribeFleetsOutput, error) {
	after, limit, err := ec2Page("fleets", in.NextToken, in.MaxResults, 1, mostInstances)
	if err != nil {
		return nil, err
	}
	if err := checkFilters(in.Filters, (&FleetData{}).filterValues); err != nil {
		return nil, err
	}
	var all []FleetData
	for _, id := range in.FleetIDs {
		f := w.fleet(id)
		if f == nil {
			return nil, clientError("InvalidFleetId.NotFound", "The fleet ID '%s' does not exist", clip(id))
		}
		data := w.describeFleet(f)
		if ok, _ := matchAll(in.Filters, data.filterValues); ok {
			all = append(all, data)
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeFleetsOutput{Fleets: page, NextToken: token("fleets", next)}, nil
}

func (w *World) describeFleet(f *fleetRecord) FleetData {
	data := FleetData{
		FleetID: f.id, FleetState: w.fleetState(f), ClientToken: f.in.ClientToken, CreateTime: f.made, Type: f.in.Type,
		LaunchTemplateConfigs: f.in.LaunchTemplateConfigs, TargetCapacitySpecification: f.in.TargetCapacitySpecification,
		SpotOptions: f.in.SpotOptions, OnDemandOptions: f.in.OnDemandOptions, Errors: f.out.Errors, Instances: f.out.Instances,
		Tags: sortedTags(tagsFor(f.in.TagSpecifications, "fleet")),
	}
	for _, i := range f.out.Instances {
		weight := 1.0
		if o := i.LaunchTemplateAndOverrides.Overrides; o.WeightedCapacity != nil {
			weight = *o.WeightedCapacity
		}
		data.FulfilledCapacity += weight * float64(len(i.InstanceIDs))
		if i.Lifecycle == lifecycleName(false) {
			data.FulfilledOnDemandCapacity += weight * float64(len(i.InstanceIDs))
		}
	}
	return data
}

func (f *FleetData) filterValues(name string) ([]string, bool) {
	switch name {
	case "fleet-state":
		return []string{f.FleetState}, true
	case "type":
		return []string{f.Type}, true
	case "activity-status", "excess-capacity-termination-policy", "replace-unhealthy-instances":
		return nil, true
	}
	return tagValues(f.Tags, name)
}

// DescribeFleetInstances lists the running instances of a fleet. EC2 does not do so for
// instant fleets, and neither does the simulated one.
func (w *World) DescribeFleetInstances(in *DescribeFleetInstancesInput) (*DescribeFleetInstancesOutput, error) {
	f := w.fleet(in.FleetID)
	switch {
	case in.FleetID == "":
		return nil, clientError("MissingParameter", "The request must contain the parameter FleetId")
	case f == nil:
		return nil, clientError("InvalidFleetId.NotFound", "The fleet ID '%s' does not exist", clip(in.FleetID))
	}
	return nil, clientError("UnsupportedOperation", "The operation DescribeFleetInstances is not supported for fleets of type instant: use DescribeFleets")
}
