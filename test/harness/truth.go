package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// EC2's states of an instance that is paid for.
var living = []string{"pending", "running"}

// Alive lists the instances that cost money.
func Alive(truth *sim.Truth) []sim.InstanceTruth {
	return slices.DeleteFunc(slices.Clone(truth.Instances), func(i sim.InstanceTruth) bool { return !slices.Contains(living, i.State) })
}

// harm lists what must never happen, whatever else does: an instance was ended with tasks on
// it, or a client token gave more instances than were asked for.
func harm(truth *sim.Truth) []string {
	var found []string
	for _, v := range truth.History.Violations {
		found = append(found, fmt.Sprintf("%s %s: %s", v.Kind, v.Instance, v.Detail))
	}
	for _, token := range Sorted(truth.History.Launches) {
		if l := truth.History.Launches[token]; l.Launched > l.Asked {
			found = append(found, fmt.Sprintf("client token %s gave %d instances, %d were asked for", token, l.Launched, l.Asked))
		}
	}
	return found
}

// AllRun holds when every task that a service wants runs.
func AllRun(truth *sim.Truth) string {
	for _, c := range truth.Clusters {
		for _, svc := range c.Services {
			if svc.Running != svc.Desired || svc.Pending > 0 || svc.Missing > 0 {
				return fmt.Sprintf("service %s of %s: %d desired, %d running, %d pending, %d missing", svc.Name, c.Name, svc.Desired, svc.Running, svc.Pending, svc.Missing)
			}
		}
	}
	if len(truth.Clusters) == 0 {
		return "there is no cluster"
	}
	return ""
}

// Settled holds when every instance that is paid for is an ACTIVE container instance with
// its agent connected: nothing boots, drains or lingers.
func Settled(truth *sim.Truth) string {
	for _, i := range Alive(truth) {
		if i.State != "running" || i.Status != "ACTIVE" || !i.Connected {
			return fmt.Sprintf("instance %s is %s, its container instance %q", i.ID, i.State, i.Status)
		}
	}
	return ""
}

// Instances holds when so many instances are paid for.
func Instances(want int) Condition {
	return func(truth *sim.Truth) string {
		if got := len(Alive(truth)); got != want {
			return fmt.Sprintf("%d instances are alive, not %d", got, want)
		}
		return ""
	}
}

// Room holds when whole units of headroom are free on ACTIVE instances.
func Room(unit fleet.HeadroomUnit) Condition {
	return func(truth *sim.Truth) string {
		free := 0
		for _, i := range Alive(truth) {
			if i.Status == "ACTIVE" && i.Connected {
				free += int(min(i.Remaining.CPUUnits/unit.CPUUnits, i.Remaining.MemoryMiB/unit.MemoryMiB))
			}
		}
		if free < unit.Count {
			return fmt.Sprintf("%d units of headroom are free, not %d", free, unit.Count)
		}
		return ""
	}
}

// Waited holds when ECS has found no room for a task more often than before.
func Waited(before *sim.Truth) Condition {
	return func(truth *sim.Truth) string {
		if truth.History.PlacementFailures == before.History.PlacementFailures {
			return "no task had to wait yet"
		}
		return ""
	}
}

// Untouched holds when nothing was launched, emptied or ended since.
func Untouched(before *sim.Truth) Condition {
	return func(truth *sim.Truth) string {
		was, is := before.History, truth.History
		if was.InstancesLaunched != is.InstancesLaunched || was.InstancesTerminated != is.InstancesTerminated {
			return fmt.Sprintf("%d instances were launched and %d ended", is.InstancesLaunched-was.InstancesLaunched, is.InstancesTerminated-was.InstancesTerminated)
		}
		for _, i := range Alive(truth) {
			if i.Status == "DRAINING" {
				return fmt.Sprintf("instance %s is being emptied", i.ID)
			}
		}
		return ""
	}
}

// Ended holds when no executor has anything left to do.
func (s *System) Ended(*sim.Truth) string {
	for _, kind := range []fleet.ActionKind{fleet.ActionLaunch, fleet.ActionDrain, fleet.ActionRestore, fleet.ActionReap} {
		records, err := executor.Records(s.T.Context(), s.Bus, Cluster, kind)
		if err != nil {
			return err.Error()
		}
		for i := range records {
			if r := &records[i]; !r.Finished() {
				return fmt.Sprintf("%s %s has not ended: %s", kind, r.Action.ID.Short(), r.State)
			}
		}
	}
	return ""
}

// Audit checks the whole history: the plans are one chain; each client token is that of one
// launch of one plan, and gave no more than the plan wanted; each plan can be made again, byte for
// byte; each instance that is paid for belongs to the cluster.
func (s *System) Audit() {
	s.T.Helper()
	truth := s.Truth() // first: the world goes on, and what was launched by now is planned by now
	var prev fleet.PlanID
	for stored, err := range s.Bus.Plans(s.T.Context(), Cluster, 0) {
		if errors.Is(err, bus.ErrForeign) {
			continue // a stranger's: see TestBrokenChain
		}
		if err != nil {
			s.T.Fatalf("plan %d: %v", stored.Seq, err)
		}
		p := &stored.Value
		if p.Prev != prev || !p.Sealed() {
			s.T.Errorf("plan %s follows %s in the chain, and says it was made after %q", p.ID.Short(), prev.Short(), p.Prev.Short())
		}
		prev = p.ID
		s.again(p)
		for i := range p.Actions {
			if l := p.Actions[i].Launch; l != nil {
				s.planned[string(p.Actions[i].ID)] = l.Count
			}
		}
	}
	s.permitted()
	for _, token := range Sorted(truth.History.Launches) {
		if l := truth.History.Launches[token]; l.Asked != s.planned[token] || l.Launched > s.planned[token] {
			s.T.Errorf("client token %s: %d instances planned, %d asked for, %d launched", token, s.planned[token], l.Asked, l.Launched)
		}
	}
	for _, i := range Alive(truth) {
		if i.Action != "" && i.Cluster != string(Cluster) {
			s.T.Errorf("instance %s was launched and is in no cluster", i.ID)
		}
	}
	if s.T.Failed() {
		s.T.Log(s.Report(truth))
	}
}

// again makes a plan again from what it was made from, if its planner lived to keep that.
func (s *System) again(p *fleet.Plan) {
	record, err := s.Bus.Record(s.T.Context(), Cluster, p.ID)
	if errors.Is(err, fleet.ErrNotFound) {
		return
	}
	if err != nil {
		s.T.Errorf("%v", err)
		return
	}
	if was, is, err := plan.Again(p, &record); err != nil || !bytes.Equal(was, is) {
		s.T.Errorf("plan %s, made again from what it was made from, is another (%v):\n%s\n%s", p.ID.Short(), err, was, is)
	}
}

// story is the truth without what seldom matters.
func story(truth *sim.Truth) string {
	if truth == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- the world at %s, %s/h\n", truth.Now.Format("15:04:05"), truth.CostPerHour)
	for _, c := range truth.Clusters {
		fmt.Fprintf(&b, "cluster %s: tasks %v\n", c.Name, c.Tasks)
		for _, svc := range c.Services {
			fmt.Fprintf(&b, "  service %s: %d desired, %d running, %d pending, %d missing\n", svc.Name, svc.Desired, svc.Running, svc.Pending, svc.Missing)
		}
	}
	for _, i := range truth.Instances {
		fmt.Fprintf(&b, "  %s %s %s %s: %s %q connected=%t tasks=%d free=%v\n", i.ID, i.Type, i.Zone, i.Lifecycle, i.State, i.Status, i.Connected, i.Tasks, i.Remaining)
	}
	history, err := json.Marshal(truth.History)
	fmt.Fprintf(&b, "history %s %v\n", history, err)
	return b.String()
}

// Sorted lists the keys of a map in order.
func Sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
