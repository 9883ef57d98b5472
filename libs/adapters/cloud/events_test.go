package cloud

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

var eventAt = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

func event(source, detailType, resources, detail string) string {
	return fmt.Sprintf(`{"version":"0","id":"1","source":%q,"detail-type":%q,"account":"123456789012","time":"2026-10-01T12:00:00Z","region":"us-east-1","resources":[%s],"detail":%s}`, source, detailType, resources, detail)
}

func TestReadEvent(t *testing.T) {
	for _, c := range []struct {
		name string
		body string
		want Event // zero: refused
	}{
		{
			"spot interruption",
			event("aws.ec2", "EC2 Spot Instance Interruption Warning", `"arn:aws:ec2:us-east-1a:instance/i-1"`, `{"instance-id":"i-1","instance-action":"terminate"}`),
			Event{Kind: EventInterruption, At: eventAt, Instance: "i-1"},
		},
		{
			"rebalance",
			event("aws.ec2", "EC2 Instance Rebalance Recommendation", ``, `{"instance-id":"i-1"}`),
			Event{Kind: EventRebalance, At: eventAt, Instance: "i-1"},
		},
		{
			"instance state",
			event("aws.ec2", "EC2 Instance State-change Notification", ``, `{"instance-id":"i-1","state":"terminated"}`),
			Event{Kind: EventInstanceState, At: eventAt, Instance: "i-1", State: "terminated"},
		},
		{
			"task",
			event("aws.ecs", "ECS Task State Change", ``, `{"clusterArn":"arn:aws:ecs:us-east-1:1:cluster/prod","taskArn":"arn:aws:ecs:us-east-1:1:task/prod/t1","containerInstanceArn":"arn:aws:ecs:us-east-1:1:container-instance/prod/c1","group":"service:web","lastStatus":"RUNNING","version":4,"createdAt":"2026-10-01T11:59:00Z"}`),
			Event{Kind: EventTask, At: eventAt, Cluster: "prod", Task: "t1", ContainerInstance: "c1", Service: "web", State: "RUNNING", Version: 4},
		},
		{
			"container instance",
			event("aws.ecs", "ECS Container Instance State Change", ``, `{"clusterArn":"arn:aws:ecs:us-east-1:1:cluster/prod","containerInstanceArn":"arn:aws:ecs:us-east-1:1:container-instance/prod/c1","ec2InstanceId":"i-1","status":"DRAINING","version":9}`),
			Event{Kind: EventContainerInstance, At: eventAt, Cluster: "prod", ContainerInstance: "c1", Instance: "i-1", State: "DRAINING", Version: 9},
		},
		{
			"service",
			event("aws.ecs", "ECS Service Action", `"arn:aws:ecs:us-east-1:1:service/prod/web"`, `{"eventType":"ERROR","eventName":"SERVICE_TASK_PLACEMENT_FAILURE","clusterArn":"arn:aws:ecs:us-east-1:1:cluster/prod"}`),
			Event{Kind: EventService, At: eventAt, Cluster: "prod", Service: "web", Name: "SERVICE_TASK_PLACEMENT_FAILURE"},
		},
		{
			"deployment, which names its cluster in the resource alone",
			event("aws.ecs", "ECS Deployment State Change", `"arn:aws:ecs:us-east-1:1:service/prod/web"`, `{"eventName":"SERVICE_DEPLOYMENT_IN_PROGRESS","deploymentId":"ecs-svc/1"}`),
			Event{Kind: EventService, At: eventAt, Cluster: "prod", Service: "web", Name: "SERVICE_DEPLOYMENT_IN_PROGRESS"},
		},
		{
			"through SNS",
			`{"Type":"Notification","Message":` + fmt.Sprintf("%q", event("aws.ec2", "EC2 Instance Rebalance Recommendation", ``, `{"instance-id":"i-1"}`)) + `}`,
			Event{Kind: EventRebalance, At: eventAt, Instance: "i-1"},
		},
		{"of another source", event("my.app", "EC2 Spot Instance Interruption Warning", ``, `{"instance-id":"i-1"}`), Event{}},
		{"of another kind", event("aws.ec2", "EBS Volume Notification", ``, `{}`), Event{}},
		{"a call that names no cluster", event("aws.ecs", "AWS API Call via CloudTrail", ``, `{"eventName":"RunTask","requestParameters":null}`), Event{}},
		{
			"a call that tells of a change", event("aws.ecs", "AWS API Call via CloudTrail", ``, `{"eventName":"UpdateService","requestParameters":{"cluster":"arn:aws:ecs:us-east-1:1:cluster/prod","service":"web"}}`),
			Event{Kind: EventCall, At: eventAt, Cluster: "prod", Name: "UpdateService"},
		},
		{"about nothing", event("aws.ec2", "EC2 Instance State-change Notification", ``, `{}`), Event{}},
		{"detail of another form", event("aws.ec2", "EC2 Instance State-change Notification", ``, `"i-1"`), Event{}},
		{"no JSON", "hello", Event{}},
		{"nothing", "", Event{}},
		{"huge", strings.Repeat(" ", largestEvent+1), Event{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readEvent([]byte(c.body))
			if refused := c.want == (Event{}); refused != (err != nil) {
				t.Fatalf("got %+v, %v", got, err)
			} else if refused {
				if !errors.Is(err, fleet.ErrInvalid) {
					t.Errorf("refused as %v", err)
				}
				return
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func FuzzReadEvent(f *testing.F) {
	f.Add(event("aws.ec2", "EC2 Instance State-change Notification", ``, `{"instance-id":"i-1","state":"running"}`))
	f.Add(`{"Message":"{}"}`)
	f.Fuzz(func(t *testing.T, body string) {
		if e, err := readEvent([]byte(body)); err == nil && e.Instance == "" && e.Cluster == "" {
			t.Errorf("event about nothing: %+v", e)
		}
	})
}

func TestEventsAreDeletedWhenHandled(t *testing.T) {
	good := event("aws.ec2", "EC2 Instance Rebalance Recommendation", ``, `{"instance-id":"i-1"}`)
	for _, c := range []struct {
		name    string
		handled error
		deleted bool
	}{
		{"handled", nil, true},
		{"not handled", errors.New("busy"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := answering(t, func(operation string) (int, string) {
				if operation == "ReceiveMessage" {
					return 200, fmt.Sprintf(`{"Messages":[{"MessageId":"1","ReceiptHandle":"r1","Body":%q},{"MessageId":"2","ReceiptHandle":"r2","Body":"poison"}]}`, good)
				}
				return 200, `{"Successful":[],"Failed":[]}`
			})
			var got []Event
			err := w.account(t).Reader(nil).Events(t.Context(), w.URL+"/1/queue", func(_ context.Context, events []Event) error {
				got = append(got, events...)
				return c.handled
			})
			if !errors.Is(err, c.handled) {
				t.Errorf("got %v", err)
			}
			if len(got) != 1 || got[0].Instance != "i-1" {
				t.Errorf("handed on %+v", got)
			}
			last := w.requests[len(w.requests)-1]
			if deleted := strings.HasPrefix(last, "DeleteMessageBatch"); deleted != c.deleted {
				t.Errorf("the last call was %s", last)
			} else if deleted && (!strings.Contains(last, "r1") || !strings.Contains(last, "r2")) {
				t.Errorf("not both were deleted: %s", last)
			}
		})
	}
}
