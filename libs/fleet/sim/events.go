package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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

	written string // once somebody asked for it
}

// isoTime is a time as events write it: ISO 8601, where the API has epoch seconds.
type isoTime struct{ time.Time }

// MarshalJSON writes the time as ISO 8601.
func (t isoTime) MarshalJSON() ([]byte, error) {
	text := make([]byte, 0, len(isoMillis)+2)
	return append(t.UTC().AppendFormat(append(text, '"'), isoMillis), '"'), nil
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

// heard says whether anybody could get an event.
func (w *World) heard() bool { return len(w.subscribed)+len(w.rules) > 0 }

// newEnvelope makes an event of this moment.
func (w *World) newEnvelope(detailType, source string, resources []string, detail any) *envelope {
	return &envelope{
		Version: "0", ID: w.uuid("event"), DetailType: detailType, Source: source, Account: w.cfg.Account,
		Time: w.now.UTC().Format("2006-01-02T15:04:05Z"), Region: w.cfg.Region, Resources: resources, Detail: detail,
	}
}

// text is the event as JSON. It is written when somebody asks, for most events are of a
// queue that few read, and then kept.
func (e *envelope) text() string {
	if e.written == "" {
		e.written = e.write()
		e.Resources, e.Detail = nil, nil
	}
	return e.written
}

// peek is text for whoever only looks: it is not kept.
func (e *envelope) peek() string {
	if e.written == "" {
		return e.write()
	}
	return e.written
}

func (e *envelope) write() string {
	own := *e
	host, isHost := e.Detail.(hostDetail)
	if isHost {
		host.Attributes = []Attribute{}
		own.Detail = host
	}
	text, err := json.Marshal(&own)
	if err != nil {
		panic(fmt.Sprintf("sim: event %s: %v", e.DetailType, err)) // only our own types are in it
	}
	if isHost { // its attributes are most of the event, and the same in all of them
		const empty = `"attributes":[]`
		if before, after, found := bytes.Cut(text, []byte(empty)); found {
			attributes := host.of.attributesText(e.Detail.(hostDetail).Attributes)
			var b strings.Builder
			b.Grow(len(text) + len(attributes))
			b.Write(before)
			b.WriteString(`"attributes":`)
			b.Write(attributes)
			b.Write(after)
			return b.String()
		}
	}
	return string(text)
}

// attributesText is attributes of a container instance as JSON, from which it is made
// once.
func (h *containerInstance) attributesText(list []Attribute) []byte {
	if len(list) > 0 && h.allOf == &list[0] {
		return h.allText
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(fmt.Sprintf("sim: attributes of %s: %v", h.id, err)) // they are strings
	}
	if len(list) > 0 {
		h.allOf, h.allText = &list[0], text
	}
	return text
}

// tell delivers an event to the queues that asked for it and to those of the rules that
// match it, a moment later. Events of the same moment may change places on their way.
func (w *World) tell(cluster *cluster, detailType, source string, resources []string, detail any) {
	if !w.heard() {
		return
	}
	var event *envelope
	for i := range w.subscribed {
		s := &w.subscribed[i]
		if cluster != nil && len(s.clusters) > 0 && !slices.Contains(s.clusters, cluster.name) {
			continue
		}
		if event == nil {
			event = w.newEnvelope(detailType, source, resources, detail)
			w.deliver(s.queue, classOf(source), &message{id: event.ID, event: event})
			continue
		}
		w.deliver(s.queue, classOf(source), &message{id: w.uuid("event"), event: event})
	}
	if len(w.rules) == 0 {
		return
	}
	if event == nil {
		event = w.newEnvelope(detailType, source, resources, detail)
	}
	w.applyRules(event)
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
	w.noteTask(t)
	if !w.heard() {
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

	of *containerInstance
}

// tellHost is the event of a change of a container instance.
func (w *World) tellHost(h *containerInstance) {
	w.noteHost(h)
	if !w.heard() {
		return
	}
	w.tell(h.cluster, "ECS Container Instance State Change", "aws.ecs", []string{h.arn}, hostDetail{
		ContainerInstance: h.describe(false), ClusterArn: h.cluster.arn, RegisteredAt: isoTime{h.since}, UpdatedAt: isoTime{w.now}, of: h,
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
	w.noteService(s, EntryDeployment, name+" "+d.id, d.reason)
	w.tell(s.cluster, "ECS Deployment State Change", "aws.ecs", []string{s.arn}, map[string]any{
		"eventType": level, "eventName": name, "deploymentId": d.id, "updatedAt": w.now.UTC().Format(isoMillis),
		"reason": d.reason, "clusterArn": s.cluster.arn,
	})
}

// tellMachine is a change of state of an EC2 instance.
func (w *World) tellMachine(m *instance) {
	w.noteMachine(m)
	w.tell(nil, "EC2 Instance State-change Notification", "aws.ec2", []string{w.arn("ec2", "instance/"+m.id)},
		map[string]string{"instance-id": m.id, "state": m.state.describe().Name})
}

// tellSpot is a warning about a spot instance. Its resource ARN is malformed in real
// events, too.
func (w *World) tellSpot(m *instance, detailType string, detail map[string]string) {
	if w.record != nil {
		w.note(Entry{Kind: EntrySpot, ID: m.id, What: detailType})
	}
	w.tell(nil, detailType, "aws.ec2", []string{"arn:aws:ec2:" + m.subnet.Zone + ":instance/" + m.id}, detail)
}
