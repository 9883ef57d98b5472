package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// Truth is the true state of a world, and what was done to it: what tests compare
// promises with.
type Truth struct {
	Now          time.Time       `json:"now"`
	Clusters     []ClusterTruth  `json:"clusters"`
	Instances    []InstanceTruth `json:"instances"` // EC2 instances that are not forgotten, oldest first
	CostPerHour  fleet.Price     `json:"costPerHour"`
	History      History         `json:"history"`
	EventsQueued int             `json:"eventsQueued"`
}

// ClusterTruth is the true state of a cluster.
type ClusterTruth struct {
	Name     string         `json:"name"`
	Services []ServiceTruth `json:"services,omitempty"` // by name
	Tasks    map[string]int `json:"tasks,omitempty"`    // by last status
	Hosts    int            `json:"hosts"`              // container instances
}

// ServiceTruth is the true state of a service.
type ServiceTruth struct {
	Name    string `json:"name"`
	Desired int    `json:"desired"`
	Running int    `json:"running"`
	Pending int    `json:"pending"`
	// Missing are tasks that ECS would start if there were room.
	Missing int `json:"missing"`
}

// InstanceTruth is the true state of an EC2 instance and its container instance.
type InstanceTruth struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Zone      string          `json:"zone"`
	Lifecycle fleet.Lifecycle `json:"lifecycle"`
	State     string          `json:"state"`
	Price     fleet.Price     `json:"price"`
	Action    string          `json:"action,omitempty"`  // tag of the action that launched it
	Trouble   string          `json:"trouble,omitempty"` // why it has not registered
	Orphans   int             `json:"orphans,omitempty"` // tasks that run though ECS has forgotten them
	Cluster   string          `json:"cluster,omitempty"`
	Status    string          `json:"status,omitempty"` // of the container instance
	Connected bool            `json:"connected,omitempty"`
	Tasks     int             `json:"tasks,omitempty"`     // that have not ended
	Protected int             `json:"protected,omitempty"` // of them, with scale-in protection
	// Groups are the tasks that have not ended, by task group.
	Groups    map[string]int  `json:"groups,omitempty"`
	Remaining fleet.Resources `json:"remaining,omitzero"`
	Total     fleet.Resources `json:"total,omitzero"`
}

// History counts what happened since the beginning of the world.
type History struct {
	InstancesLaunched      int `json:"instancesLaunched"`
	InstancesTerminated    int `json:"instancesTerminated"` // by TerminateInstances
	InstancesInterrupted   int `json:"instancesInterrupted"`
	LateBoots              int `json:"lateBoots,omitempty"` // instances that shut down past their boot deadline
	ServiceTasksStarted    int `json:"serviceTasksStarted"`
	StandaloneTasksStarted int `json:"standaloneTasksStarted"`
	ServiceTasksStopped    int `json:"serviceTasksStopped"` // by StopTask
	PlacementFailures      int `json:"placementFailures"`
	RunTaskFailures        int `json:"runTaskFailures"`
	TokenReplays           int `json:"tokenReplays"` // requests answered from an earlier one
	EventsDropped          int `json:"eventsDropped"`

	// Launches are the instances launched and asked for, by client token.
	Launches map[string]Launch `json:"launches,omitempty"`
	// Violations are things that an autoscaler must never do.
	Violations []Violation `json:"violations,omitempty"`
}

// Launch is what came of one client token.
type Launch struct {
	Asked    int `json:"asked"`
	Launched int `json:"launched"`
}

// Violation is a harm that a call did.
type Violation struct {
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"` // terminated-with-tasks, deregistered-with-tasks
	Instance string    `json:"instance"`
	Detail   string    `json:"detail"`
}

// The kinds of violations.
const (
	ViolationTerminated   = "terminated-with-tasks"
	ViolationDeregistered = "deregistered-with-tasks"
)

func (h *History) launched(m *instance) {
	h.InstancesLaunched++
	if m.token != "" {
		h.note(m.token, Launch{Launched: 1})
	}
}

// asked notes how many instances a request with a client token asked for.
func (h *History) asked(token string, count int) {
	if token != "" {
		h.note(token, Launch{Asked: count})
	}
}

func (h *History) note(token string, l Launch) {
	if h.Launches == nil {
		h.Launches = map[string]Launch{}
	}
	sum := h.Launches[token]
	h.Launches[token] = Launch{sum.Asked + l.Asked, sum.Launched + l.Launched}
}

// terminated notes a termination that was asked for, before it is carried out.
func (h *History) terminated(w *World, m *instance) {
	h.InstancesTerminated++
	if m.host != nil && !m.host.abandoned() {
		h.violate(w, ViolationTerminated, m.host)
	}
}

// abandoned reports whether nobody wants anything of what a container instance holds: it
// holds nothing, or its agent is gone for good and ECS has told every task to stop.
func (h *containerInstance) abandoned() bool {
	return len(h.tasks) == 0 || !h.connected && !slices.ContainsFunc(h.tasks, func(t *task) bool { return !t.stopped })
}

// forced notes that a container instance was deregistered though tasks ran on it.
func (h *History) forced(w *World, host *containerInstance) {
	if host.machine.alive() {
		h.violate(w, ViolationDeregistered, host)
	}
}

func (h *History) violate(w *World, kind string, host *containerInstance) {
	words := fmt.Sprintf("%d tasks had not ended:", len(host.tasks))
	for _, t := range host.tasks {
		words += fmt.Sprintf(" %s %s %s", t.group(), t.id[:8], t.last)
	}
	h.Violations = append(h.Violations, Violation{At: w.now, Kind: kind, Instance: host.machine.id, Detail: words})
}

// Truth is the true state now. It takes time in proportion to what there is.
func (w *World) Truth() Truth {
	t := Truth{Now: w.now, History: w.seen}
	t.History.Launches = maps.Clone(w.seen.Launches)
	t.History.Violations = slices.Clone(w.seen.Violations)
	for c := range w.clusterRoll.all {
		t.Clusters = append(t.Clusters, w.clusterTruth(c))
	}
	for m := range w.instanceRoll.all {
		i := w.instanceTruth(m)
		if m.alive() {
			t.CostPerHour += i.Price
		}
		t.Instances = append(t.Instances, i)
	}
	for _, q := range w.queues {
		t.EventsQueued += len(q.ready) + len(q.hidden) + q.delayed
	}
	return t
}

func (w *World) clusterTruth(c *cluster) ClusterTruth {
	out := ClusterTruth{Name: c.name, Hosts: len(c.hosts), Tasks: map[string]int{}}
	for t := range c.taskRoll.all {
		out.Tasks[t.last.String()]++
	}
	for _, s := range c.byName() {
		out.Services = append(out.Services, ServiceTruth{
			Name: s.name, Desired: s.desired, Running: s.running, Pending: s.pending, Missing: max(s.desired-len(s.active), 0),
		})
	}
	return out
}

func (w *World) instanceTruth(m *instance) InstanceTruth {
	out := InstanceTruth{
		ID: m.id, Type: m.kind.name, Zone: m.subnet.Zone, Lifecycle: fleet.OnDemand, State: m.state.describe().Name,
		Price: fleet.Price(m.kind.onDemand), Action: m.tag(fleet.TagAction), Trouble: m.trouble, Orphans: m.orphans,
	}
	if m.spot {
		out.Lifecycle, out.Price = fleet.Spot, fleet.Price(w.spotPrice(m.kind, m.subnet.Zone, w.now))
	}
	out.Price = fleet.Price(m.kind.withLicence(int64(out.Price), m.image.platform() == platformWindows))
	h := m.host
	if h == nil {
		return out
	}
	out.Cluster, out.Status, out.Connected = h.cluster.name, h.status, h.connected
	out.Tasks, out.Remaining, out.Total = len(h.tasks), h.remaining, h.registered
	for _, t := range h.tasks {
		if out.Groups == nil {
			out.Groups = map[string]int{}
		}
		out.Groups[t.group()]++
		if t.protected(w.now) {
			out.Protected++
		}
	}
	return out
}

// Check returns the first of the world's invariants that does not hold. A failure is a
// mistake of the simulation, not of who uses it.
func (w *World) Check() error {
	for c := range w.clusterRoll.all {
		running, pending := 0, 0
		for h := range c.hostRoll.all {
			if err := w.checkHost(h); err != nil {
				return fmt.Errorf("cluster %s: %w", c.name, err)
			}
			running += h.running
			pending += h.pending
		}
		if running != c.running || pending+len(c.waiting) != c.pending {
			return fmt.Errorf("cluster %s counts %d running and %d pending tasks, its instances %d and %d", c.name, c.running, c.pending, running, pending)
		}
	}
	return nil
}

// checkHost checks that what an instance has left is what it registered less its tasks.
func (w *World) checkHost(h *containerInstance) error {
	left := h.registered
	for _, t := range h.tasks {
		need := t.kind.needs
		if t.stopped { // only its network interface is still there
			need = fleet.Resources{ENIs: need.ENIs}
		}
		left = left.Sub(need)
	}
	if left != h.remaining {
		return fmt.Errorf("instance %s has %v left by its tasks, %v by its count", h.machine.id, left, h.remaining)
	}
	if free := h.cluster.placement.Free(h.node); free != h.remaining {
		return fmt.Errorf("instance %s has %v left, placement thinks %v", h.machine.id, h.remaining, free)
	}
	if left.Negative() {
		return fmt.Errorf("instance %s is overfilled: %v left", h.machine.id, left)
	}
	if h.held.CPUUnits > h.registered.CPUUnits || h.held.MemoryMiB > h.registered.MemoryMiB {
		return fmt.Errorf("the agent of %s holds %v of %v", h.machine.id, h.held, h.registered)
	}
	return nil
}

// Harm returns what an autoscaler did that it must never do: an instance was ended with
// tasks on it, or a client token gave more instances than were asked for.
func (w *World) Harm() []string {
	var harm []string
	for _, v := range w.seen.Violations {
		harm = append(harm, fmt.Sprintf("%s: %s %s: %s", v.At.Format(time.RFC3339), v.Instance, v.Kind, v.Detail))
	}
	for _, token := range sortedKeys(w.seen.Launches) {
		if l := w.seen.Launches[token]; l.Launched > l.Asked {
			harm = append(harm, fmt.Sprintf("client token %s gave %d instances, %d were asked for", token, l.Launched, l.Asked))
		}
	}
	return harm
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
