package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// envelope is an event as EventBridge delivers it; it is the body of an SQS message.
type envelope struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     any      `json:"detail"`
}

// isoTime is a time as events write it: ISO 8601, where the API has epoch seconds.
type isoTime struct{ time.Time }

// MarshalJSON writes the time as ISO 8601.
func (t isoTime) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, t.UTC().Format(isoMillis)), nil
}

// subscription lets a queue get events.
type subscription struct {
	queue    *messageQueue
	clusters []string // names; none is all, and everything of EC2
}

// Subscribe lets a queue get every event of the account, or those of the named clusters:
// it stands for the EventBridge rule that a real account has.
func (w *World) Subscribe(queueURL string, clusters ...string) error {
	q, err := w.queueAt(queueURL)
	if err != nil {
		return err
	}
	w.subscribed = append(w.subscribed, subscription{q, clusters})
	return nil
}

// eventFaults are what goes wrong with events.
type eventFaults struct {
	drop, duplicate float64
	until           time.Time
}

// tell delivers an event to the queues that asked for it, a moment later. Events of the
// same moment may change places on their way.
func (w *World) tell(cluster *cluster, detailType, source string, resources []string, detail any) {
	if len(w.subscribed) == 0 {
		return
	}
	body := ""
	for i := range w.subscribed {
		s := &w.subscribed[i]
		if cluster != nil && len(s.clusters) > 0 && !slices.Contains(s.clusters, cluster.name) {
			continue
		}
		id := w.uuid("event")
		if body == "" {
			text, err := json.Marshal(envelope{
				Version: "0", ID: id, DetailType: detailType, Source: source, Account: w.cfg.Account,
				Time: w.now.UTC().Format("2006-01-02T15:04:05Z"), Region: w.cfg.Region, Resources: resources, Detail: detail,
			})
			if err != nil {
				panic(fmt.Sprintf("sim: event %s: %v", detailType, err)) // only our own types are in it
			}
			body = string(text)
		}
		w.deliver(s.queue, id, body)
	}
}

func (w *World) deliver(q *messageQueue, id, body string) {
	copies := 1
	if w.now.Before(w.faults.until) {
		if w.chance("drop", id) < w.faults.drop {
			w.seen.EventsDropped++
			return
		}
		if w.chance("duplicate", id) < w.faults.duplicate {
			copies = 2
		}
	}
	for i := range copies {
		q.delayed++
		w.in(w.delay(w.cfg.Delays.Event, "event", id, strconv.Itoa(i)), arrival{q, &message{id: id, body: body}})
	}
}

// taskDetail is a task in an event. Its times shadow those of the API.
type taskDetail struct {
	Task
	CreatedAt          isoTime `json:"createdAt"`
	UpdatedAt          isoTime `json:"updatedAt"`
	ConnectivityAt     isoTime `json:"connectivityAt,omitzero"`
	PullStartedAt      isoTime `json:"pullStartedAt,omitzero"`
	PullStoppedAt      isoTime `json:"pullStoppedAt,omitzero"`
	ExecutionStoppedAt isoTime `json:"executionStoppedAt,omitzero"`
	StartedAt          isoTime `json:"startedAt,omitzero"`
	StoppingAt         isoTime `json:"stoppingAt,omitzero"`
	StoppedAt          isoTime `json:"stoppedAt,omitzero"`
}

// tellTask is the event of a change of a task.
func (w *World) tellTask(t *task) {
	if len(w.subscribed) == 0 {
		return
	}
	d := t.describe(w, false)
	w.tell(t.cluster, "ECS Task State Change", "aws.ecs", []string{t.arn}, taskDetail{
		Task: d, CreatedAt: isoTime(d.CreatedAt), UpdatedAt: isoTime{w.now}, ConnectivityAt: isoTime(d.ConnectivityAt),
		PullStartedAt: isoTime(d.PullStartedAt), PullStoppedAt: isoTime(d.PullStoppedAt), StartedAt: isoTime(d.StartedAt),
		ExecutionStoppedAt: isoTime(d.ExecutionStoppedAt), StoppingAt: isoTime(d.StoppingAt), StoppedAt: isoTime(d.StoppedAt),
	})
}

// hostDetail is a container instance in an event.
type hostDetail struct {
	ContainerInstance
	AccountType  string  `json:"accountType,omitempty"`
	ClusterArn   string  `json:"clusterArn"`
	RegisteredAt isoTime `json:"registeredAt"`
	UpdatedAt    isoTime `json:"updatedAt"`
}

// tellHost is the event of a change of a container instance.
func (w *World) tellHost(h *containerInstance) {
	if len(w.subscribed) == 0 {
		return
	}
	w.tell(h.cluster, "ECS Container Instance State Change", "aws.ecs", []string{h.arn}, hostDetail{
		ContainerInstance: h.describe(false), ClusterArn: h.cluster.arn, RegisteredAt: isoTime{h.since}, UpdatedAt: isoTime{w.now},
	})
}

// tellService is an action of the service scheduler.
func (w *World) tellService(s *service, level, name, reason string) {
	detail := map[string]any{
		"eventType": level, "eventName": name, "clusterArn": s.cluster.arn, "createdAt": w.now.UTC().Format(isoMillis),
	}
	if reason != "" {
		detail["reason"] = reason
	}
	w.tell(s.cluster, "ECS Service Action", "aws.ecs", []string{s.arn}, detail)
}

// tellDeployment is a step of a deployment.
func (w *World) tellDeployment(s *service, d *deployment, name, level string) {
	w.tell(s.cluster, "ECS Deployment State Change", "aws.ecs", []string{s.arn}, map[string]any{
		"eventType": level, "eventName": name, "deploymentId": d.id, "updatedAt": w.now.UTC().Format(isoMillis),
		"reason": d.reason, "clusterArn": s.cluster.arn,
	})
}

// tellMachine is a change of state of an EC2 instance.
func (w *World) tellMachine(m *instance) {
	w.tell(nil, "EC2 Instance State-change Notification", "aws.ec2", []string{w.arn("ec2", "instance/"+m.id)},
		map[string]string{"instance-id": m.id, "state": m.state.describe().Name})
}

// tellSpot is a warning about a spot instance. Its resource ARN is malformed in real
// events, too.
func (w *World) tellSpot(m *instance, detailType string, detail map[string]string) {
	w.tell(nil, detailType, "aws.ec2", []string{"arn:aws:ec2:" + m.subnet.Zone + ":instance/" + m.id}, detail)
}
