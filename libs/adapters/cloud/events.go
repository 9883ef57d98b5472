package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

const (
	// pollFor is how long an empty queue keeps a poll waiting: the longest that SQS allows,
	// which makes for the fewest calls.
	pollFor = 20 * time.Second
	// pollBatch is the most messages that SQS hands out at once.
	pollBatch = 10
	// largestEvent is far above any event of EventBridge, which limits them to 256 KiB.
	largestEvent = 1 << 20
)

// EventKind is what an event is about.
type EventKind string

// The events that the watcher can use, by their detail type in EventBridge.
const (
	EventInterruption      EventKind = "spot-interruption"  // EC2 Spot Instance Interruption Warning
	EventRebalance         EventKind = "rebalance"          // EC2 Instance Rebalance Recommendation
	EventInstanceState     EventKind = "instance-state"     // EC2 Instance State-change Notification
	EventTask              EventKind = "task"               // ECS Task State Change
	EventContainerInstance EventKind = "container-instance" // ECS Container Instance State Change
	EventService           EventKind = "service"            // ECS Service Action, ECS Deployment State Change
	EventCall              EventKind = "call"               // AWS API Call via CloudTrail, of ECS
)

var eventKinds = map[string]EventKind{
	"EC2 Spot Instance Interruption Warning": EventInterruption,
	"EC2 Instance Rebalance Recommendation":  EventRebalance,
	"EC2 Instance State-change Notification": EventInstanceState,
	"ECS Task State Change":                  EventTask,
	"ECS Container Instance State Change":    EventContainerInstance,
	"ECS Service Action":                     EventService,
	"ECS Deployment State Change":            EventService,
	"AWS API Call via CloudTrail":            EventCall,
}

// Event is a hint that something has changed. It may come twice, late, out of order, or
// never; a sweep tells what is so. Fields that its kind does not have are empty.
type Event struct {
	Kind              EventKind
	At                time.Time
	Cluster           fleet.ClusterName // of events of ECS
	Instance          fleet.InstanceID
	ContainerInstance fleet.ContainerInstanceID
	Service           fleet.ServiceName
	Task              string // ID
	State             string // of the instance or container instance, or the last status of the task
	Name              string // of a service event: SERVICE_TASK_PLACEMENT_FAILURE, …; or the call
	Version           int64  // of the task or container instance: the higher one is newer

	Refusal *Refusal          // of standalone tasks, if the event tells of one
	Started *snapshot.Refused // the standalone task that the event is about, if it has an instance
	Created time.Time         // when that task was created
}

// Notice returns the notice that the event is, if it is one.
func (e *Event) Notice() (notice fleet.Notice, ok bool) {
	switch e.Kind {
	case EventInterruption:
		return fleet.Notice{Kind: fleet.NoticeInterruption, At: e.At}, true
	case EventRebalance:
		return fleet.Notice{Kind: fleet.NoticeRebalance, At: e.At}, true
	default:
		return fleet.Notice{}, false
	}
}

// Events waits for messages on the event queue, hands what they say to handle, and deletes
// them if handle returns no error; else they come again. It returns after one poll, which
// may have brought nothing. Messages that are no event of ECS or EC2 are counted and
// deleted: whatever is wrong with them will not get better.
func (r *Reader) Events(ctx context.Context, queueURL string, handle func(context.Context, []Event) error) error {
	out, err := call(ctx, r.sqs.ReceiveMessage, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(queueURL), MaxNumberOfMessages: pollBatch, WaitTimeSeconds: int32(pollFor / time.Second),
	})
	if err != nil {
		return fmt.Errorf("poll event queue: %w", err)
	}
	if len(out.Messages) == 0 {
		return nil
	}
	var events []Event
	for i := range out.Messages {
		e, err := readEvent([]byte(text(out.Messages[i].Body)))
		kind := string(e.Kind)
		if err != nil {
			kind = "dropped"
		} else {
			events = append(events, e)
		}
		r.account.instruments.events.Add(ctx, 1, metric.WithAttributes(attribute.String(telemetry.LabelKind, kind)))
	}
	if len(events) > 0 {
		if err := handle(ctx, events); err != nil {
			return fmt.Errorf("handle %d events: %w", len(events), err)
		}
	}
	return r.deleteMessages(ctx, queueURL, out.Messages)
}

func (r *Reader) deleteMessages(ctx context.Context, queueURL string, messages []sqstypes.Message) error {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(queueURL)}
	for i := range messages {
		in.Entries = append(in.Entries, sqstypes.DeleteMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: messages[i].ReceiptHandle,
		})
	}
	// Messages that stay in the queue come again, which does no harm.
	if _, err := call(ctx, r.sqs.DeleteMessageBatch, in); err != nil {
		return fmt.Errorf("delete %d handled messages: %w", len(messages), err)
	}
	return nil
}

// message is an event of EventBridge. Its own version is "0" always; detail has the
// resource's.
type message struct {
	ID         string    `json:"id"`
	Source     string    `json:"source"`
	DetailType string    `json:"detail-type"`
	Time       time.Time `json:"time"`
	Resources  []string  `json:"resources"`
	Detail     struct {
		InstanceID           string `json:"instance-id"`
		State                string `json:"state"`
		ClusterARN           string `json:"clusterArn"`
		ContainerInstanceARN string `json:"containerInstanceArn"`
		EC2InstanceID        string `json:"ec2InstanceId"`
		Status               string `json:"status"`
		TaskARN              string `json:"taskArn"`
		Group                string `json:"group"`
		LastStatus           string `json:"lastStatus"`
		EventName            string `json:"eventName"`
		Version              int64  `json:"version"`
		eventTask

		// Of a call that CloudTrail recorded.
		EventID      string          `json:"eventID"`
		ErrorMessage string          `json:"errorMessage"`
		Request      json.RawMessage `json:"requestParameters"`
		Response     json.RawMessage `json:"responseElements"`
		Identity     struct {
			ARN string `json:"arn"`
		} `json:"userIdentity"`
	} `json:"detail"`
	// SNS wraps the event if a topic stands between.
	Message string `json:"Message"`
}

func readEvent(body []byte) (Event, error) {
	if len(body) > largestEvent {
		return Event{}, fmt.Errorf("%w: event of %d bytes", fleet.ErrInvalid, len(body))
	}
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return Event{}, fmt.Errorf("%w: event: %w", fleet.ErrInvalid, err)
	}
	if m.DetailType == "" && m.Message != "" {
		inner := m.Message
		m = message{}
		if err := json.Unmarshal([]byte(inner), &m); err != nil {
			return Event{}, fmt.Errorf("%w: event within a notification: %w", fleet.ErrInvalid, err)
		}
	}
	kind, known := eventKinds[m.DetailType]
	source := "aws.ecs"
	if strings.HasPrefix(m.DetailType, "EC2 ") {
		source = "aws.ec2"
	}
	if !known || m.Source != source {
		return Event{}, fmt.Errorf("%w: event %q of %q is none that Neap reads", fleet.ErrInvalid, m.DetailType, m.Source)
	}
	return m.event(kind)
}

func (m *message) event(kind EventKind) (Event, error) {
	d := &m.Detail
	e := Event{
		Kind: kind, At: m.Time.UTC(), Cluster: fleet.ClusterName(lastPart(d.ClusterARN)),
		Instance:          fleet.InstanceID(d.InstanceID),
		ContainerInstance: fleet.ContainerInstanceID(lastPart(d.ContainerInstanceARN)),
		Task:              lastPart(d.TaskARN), State: d.State, Name: d.EventName, Version: d.Version,
	}
	switch kind {
	case EventTask:
		e.State = d.LastStatus
		if name, ok := strings.CutPrefix(d.Group, "service:"); ok {
			e.Service = fleet.ServiceName(name)
		} else if d.ContainerInstanceARN != "" && d.LastStatus != "STOPPED" && d.Definition != "" {
			started := m.standalone()
			e.Started, e.Created = &started, readTime(d.CreatedAt)
		}
		e.Refusal = m.refusal()
	case EventContainerInstance:
		e.Instance, e.State = fleet.InstanceID(d.EC2InstanceID), d.Status
	case EventService:
		if len(m.Resources) > 0 {
			e.Service = fleet.ServiceName(lastPart(m.Resources[0]))
			e.Cluster = clusterOfService(m.Resources[0], e.Cluster)
		}
	case EventCall:
		e.Cluster, e.Refusal = m.clusterOfCall(), m.calledRefusal()
	default: // of EC2: the instance and its state are where they are looked for
	}
	if e.Instance == "" && e.Cluster == "" {
		return e, fmt.Errorf("%w: event %q names neither an instance nor a cluster", fleet.ErrInvalid, m.DetailType)
	}
	return e, nil
}

// clusterOfService reads the cluster from the ARN of a service, for deployment events name
// it nowhere else: arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME.
func clusterOfService(arn string, otherwise fleet.ClusterName) fleet.ClusterName {
	const parts = 3
	if p := strings.Split(arn, "/"); len(p) == parts && otherwise == "" {
		return fleet.ClusterName(p[1])
	}
	return otherwise
}

// lastPart is the ID in an ARN.
func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
