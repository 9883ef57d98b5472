package cloud

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// A standalone task that finds no room leaves nothing behind that a sweep could see: RunTask
// lists failures in its answer, and ECS goes on. Two events tell of it. CloudTrail records
// every call of RunTask with what was asked and answered, as "AWS API Call via CloudTrail"
// of source aws.ecs; and a task that waited for a capacity provider in vain stops with
// TaskFailedToStart.

// Refusal tells that ECS would not start standalone tasks for lack of room.
type Refusal struct {
	ID  string // of the event, which may come twice, or of the task
	Ask string // what was asked for and by whom: the same once more is most likely a retry
	snapshot.Refused
}

// mostRefused is how many tasks one call of RunTask can ask for.
const mostRefused = 10

// lacksRoom reports whether ECS gives a reason that another instance could do away with.
func lacksRoom(reason string) bool {
	reason = strings.TrimPrefix(reason, stopFailedToStart+": ")
	switch reason {
	case "AGENT", "ATTRIBUTE", "LOCATION", "EMPTY CAPACITY PROVIDER", "NO ACTIVE INSTANCES":
		return true
	}
	return strings.HasPrefix(reason, "RESOURCE:") || strings.Contains(reason, "placement constraint unsatisfied") ||
		strings.Contains(reason, noInstances)
}

const (
	// noInstances is how ECS refuses RunTask in an empty cluster: as an error of the request.
	noInstances = "No Container Instances were found in your cluster"
	// stopFailedToStart is the stop code of a task that never ran.
	stopFailedToStart = "TaskFailedToStart"
)

// eventTask is what a task event says of its task beyond its state.
type eventTask struct {
	Definition       string            `json:"taskDefinitionArn"`
	StopCode         string            `json:"stopCode"`
	StoppedReason    string            `json:"stoppedReason"`
	LaunchType       string            `json:"launchType"`
	CapacityProvider string            `json:"capacityProviderName"`
	StartedBy        string            `json:"startedBy"`
	CreatedAt        string            `json:"createdAt"`
	Overrides        eventOverrides    `json:"overrides"`
	Attachments      []eventAttachment `json:"attachments"`
}

type eventAttachment struct {
	Details []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"details"`
}

// eventOverrides are the overrides of a task in events, which spell them as the API does.
type eventOverrides struct {
	CPU        string `json:"cpu"`
	Memory     string `json:"memory"`
	Containers []struct {
		Name              string `json:"name"`
		CPU               *int64 `json:"cpu"`
		Memory            *int64 `json:"memory"`
		MemoryReservation *int64 `json:"memoryReservation"`
		Requirements      []struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"resourceRequirements"`
	} `json:"containerOverrides"`
}

// sizes keeps of the overrides what changes the size of a task.
func (o *eventOverrides) sizes() snapshot.Overrides {
	out := snapshot.Overrides{CPU: o.CPU, Memory: o.Memory}
	for _, c := range o.Containers {
		over := snapshot.ContainerOverride{Name: c.Name, CPU: c.CPU, Memory: c.Memory, MemoryReservation: c.MemoryReservation}
		for _, r := range c.Requirements {
			if r.Type == "GPU" {
				over.GPUs = r.Value
			}
		}
		if over.CPU != nil || over.Memory != nil || over.MemoryReservation != nil || over.GPUs != "" {
			out.Containers = append(out.Containers, over)
		}
	}
	return out
}

// refusal is the refusal that a stopped task is, nil if it is none.
func (m *message) refusal() *Refusal {
	d := &m.Detail
	if d.LastStatus != "STOPPED" || d.StopCode != stopFailedToStart || !lacksRoom(d.StoppedReason) || strings.HasPrefix(d.Group, "service:") {
		return nil
	}
	refused := m.standalone()
	refused.Count, refused.Since, refused.Reason = 1, m.Time.UTC(), d.StoppedReason
	return &Refusal{ID: lastPart(d.TaskARN), Ask: lastPart(d.TaskARN), Refused: refused}
}

// standalone is the task of an event as RunTask would be asked for it.
func (m *message) standalone() snapshot.Refused {
	d := &m.Detail
	out := snapshot.Refused{
		TaskDefinition: d.Definition, Group: cmp.Or(d.Group, familyGroup(d.Definition)),
		CapacityProvider: d.CapacityProvider, LaunchType: d.LaunchType, Overrides: d.Overrides.sizes(),
	}
	for _, a := range d.Attachments {
		for _, detail := range a.Details {
			if detail.Name == "subnetId" && detail.Value != "" {
				out.Subnets = append(out.Subnets, detail.Value)
			}
		}
	}
	return out
}

// familyGroup is the task group of a standalone task that is given none.
func familyGroup(definition string) string {
	family, _, _ := strings.Cut(lastPart(definition), ":")
	return "family:" + family
}

// runTask is what CloudTrail records of a call of RunTask.
type runTask struct {
	Cluster        string         `json:"cluster"`
	TaskDefinition string         `json:"taskDefinition"`
	Count          *int           `json:"count"`
	Group          string         `json:"group"`
	LaunchType     string         `json:"launchType"`
	StartedBy      string         `json:"startedBy"`
	Overrides      eventOverrides `json:"overrides"`
	Providers      []struct {
		Provider string `json:"capacityProvider"`
		Base     int    `json:"base"`
		Weight   int    `json:"weight"`
	} `json:"capacityProviderStrategy"`
	Constraints []snapshot.Constraint    `json:"placementConstraints"`
	Placement   []snapshot.PlacementRule `json:"placementStrategy"`
	Network     struct {
		AWSVPC struct {
			Subnets []string `json:"subnets"`
		} `json:"awsvpcConfiguration"`
	} `json:"networkConfiguration"`
}

// answer is what CloudTrail records of its answer.
type answer struct {
	Tasks []struct {
		Definition string `json:"taskDefinitionArn"`
	} `json:"tasks"`
	Failures []struct {
		Reason string `json:"reason"`
	} `json:"failures"`
}

// calledRefusal is the refusal that a recorded call of RunTask met with, nil if it is none.
// ECS lists a failure for each instance that it looked at, so what is missing is what was
// asked for and not given.
func (m *message) calledRefusal() *Refusal {
	d := &m.Detail
	if d.EventName != "RunTask" {
		return nil
	}
	var in runTask
	var out answer
	if json.Unmarshal(d.Request, &in) != nil || in.TaskDefinition == "" || len(d.Response) > 0 && json.Unmarshal(d.Response, &out) != nil {
		return nil
	}
	var why string
	for _, f := range out.Failures {
		if lacksRoom(f.Reason) {
			why = f.Reason
			break
		}
	}
	if why == "" && lacksRoom(d.ErrorMessage) {
		why = noInstances
	}
	missing := 1
	if in.Count != nil {
		missing = min(*in.Count, mostRefused)
	}
	missing -= len(out.Tasks)
	if why == "" || missing <= 0 {
		return nil
	}
	refused := snapshot.Refused{
		TaskDefinition: in.TaskDefinition, Group: cmp.Or(in.Group, familyGroup(in.TaskDefinition)), LaunchType: in.LaunchType,
		Overrides: in.Overrides.sizes(), Constraints: in.Constraints, Placement: in.Placement, Subnets: in.Network.AWSVPC.Subnets,
		Count: missing, Since: m.Time.UTC(), Reason: why,
	}
	if len(out.Tasks) > 0 {
		refused.TaskDefinition = cmp.Or(out.Tasks[0].Definition, in.TaskDefinition)
	}
	heaviest := -1
	for _, p := range in.Providers {
		if p.Weight+p.Base > heaviest {
			heaviest, refused.CapacityProvider = p.Weight+p.Base, p.Provider
		}
	}
	return &Refusal{ID: cmp.Or(d.EventID, m.ID), Ask: m.ask(), Refused: refused}
}

// ask is the identity of what a call asked for: the whole request but its client token, and
// who made it.
func (m *message) ask() string {
	var request map[string]any
	if json.Unmarshal(m.Detail.Request, &request) != nil {
		return m.ID
	}
	delete(request, "clientToken") // of the SDK's own making, new on each call
	b, err := json.Marshal(request)
	if err != nil {
		return m.ID
	}
	return fleet.Digest(append([]byte(m.Detail.Identity.ARN+"\x00"), b...))
}

// clusterOfCall is the cluster that a recorded call names: by name or ARN, or the default
// one; "" if it is none of a cluster.
func (m *message) clusterOfCall() fleet.ClusterName {
	var request *struct {
		Cluster string `json:"cluster"`
	}
	if json.Unmarshal(m.Detail.Request, &request) != nil || request == nil {
		return ""
	}
	return fleet.ClusterName(cmp.Or(lastPart(request.Cluster), "default"))
}

// readTime reads a time of the detail of an event; what is none is the zero time.
func readTime(text string) time.Time {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC()
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < 1e11 {
		return time.UnixMilli(int64(seconds * 1000)).UTC()
	}
	return time.Time{}
}
