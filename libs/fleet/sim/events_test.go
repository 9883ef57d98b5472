package sim

import (
	"encoding/json"
	"testing"
	"time"
)

// event is an event as a reader of a queue sees it.
type event struct {
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Detail     json.RawMessage `json:"detail"`
}

// drainQueue receives and deletes everything in a queue.
func drainQueue(t *testing.T, w *World, queue string) []event {
	t.Helper()
	var events []event
	for {
		out := must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: queue, MaxNumberOfMessages: 10}))(t)
		if len(out.Messages) == 0 {
			return events
		}
		in := &DeleteMessageBatchInput{QueueURL: queue}
		for _, m := range out.Messages {
			var e event
			if err := json.Unmarshal([]byte(m.Body), &e); err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
			in.Entries = append(in.Entries, DeleteMessageBatchEntry{m.MessageID, m.ReceiptHandle})
		}
		if deleted := must(w.DeleteMessageBatch(in))(t); len(deleted.Failed) > 0 {
			t.Fatalf("not deleted: %+v", deleted.Failed)
		}
	}
}

func TestEventsTellWhatHappens(t *testing.T) {
	w := run(t, Config{EventQueues: []string{"events"}}, "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large lifecycle spot\nat 60s service web task web desired 2\nat 100s service web desired 1\nat 2m rebalance spot\nat 3m interrupt spot", 10*time.Minute)
	kinds := map[string]int{}
	statuses := map[string]bool{}
	versions := map[string]int64{}
	for _, e := range drainQueue(t, w, "events") {
		kinds[e.DetailType]++
		var d struct {
			TaskArn    string
			LastStatus string
			ClusterArn string
			Version    int64
			CreatedAt  string
			InstanceID string `json:"instance-id"`
			Action     string `json:"instance-action"`
		}
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			t.Fatalf("%s: %v", e.DetailType, err)
		}
		switch e.DetailType {
		case "ECS Task State Change":
			statuses[d.LastStatus] = true
			versions[d.TaskArn] = max(versions[d.TaskArn], d.Version)
			if _, err := time.Parse(time.RFC3339, d.CreatedAt); err != nil {
				t.Errorf("createdAt %q is not ISO 8601", d.CreatedAt)
			}
			if d.ClusterArn != "arn:aws:ecs:us-east-1:123456789012:cluster/web" {
				t.Errorf("cluster %s", d.ClusterArn)
			}
		case "EC2 Spot Instance Interruption Warning":
			if d.InstanceID == "" || d.Action != "terminate" || e.Source != "aws.ec2" {
				t.Errorf("warning %s", e.Detail)
			}
		}
	}
	for _, kind := range []string{
		"ECS Task State Change", "ECS Container Instance State Change", "ECS Service Action", "ECS Deployment State Change",
		"EC2 Instance State-change Notification", "EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation",
	} {
		if kinds[kind] == 0 {
			t.Errorf("no %s", kind)
		}
	}
	for _, s := range []string{"PENDING", "RUNNING", "STOPPING", "STOPPED"} {
		if !statuses[s] {
			t.Errorf("no task was seen %s", s)
		}
	}
	for arn, v := range versions {
		if v < 3 {
			t.Errorf("the version of %s is %d", arn, v)
		}
	}
}

func TestEventFaultsAndClusters(t *testing.T) {
	w := must(New(Config{}))(t)
	for _, q := range []string{"web", "all"} {
		must(w.CreateQueue(&CreateQueueInput{QueueName: q}))(t)
	}
	if err := w.Subscribe("web", "web"); err != nil {
		t.Fatal(err)
	}
	if err := w.Subscribe("all"); err != nil {
		t.Fatal(err)
	}
	if err := w.Subscribe("nothing"); err == nil {
		t.Error("subscribed a queue that is not there")
	}
	if err := must(ParseScript("cluster other\ntask a cpu 1 memory 1\nlaunch m7i.large\nservice a task a desired 5"))(t).Run(w); err != nil {
		t.Fatal(err)
	}
	w.Advance(w.Now().Add(3 * time.Minute))
	for _, e := range drainQueue(t, w, "web") {
		if e.Source == "aws.ecs" {
			t.Errorf("the queue of web got %s of another cluster", e.DetailType)
		}
	}
	normal := len(drainQueue(t, w, "all"))
	if err := w.FaultEvents(1, 0, w.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_ = w.SetDesired("other", "a", 8)
	w.Advance(w.Now().Add(30 * time.Second))
	if n := len(drainQueue(t, w, "all")); n != 0 || w.Truth().History.EventsDropped == 0 || normal == 0 {
		t.Errorf("%d events came through, %d were dropped, %d before", n, w.Truth().History.EventsDropped, normal)
	}
	if err := w.FaultEvents(2, 0, w.Now()); err == nil {
		t.Error("a share of 2 is accepted")
	}
}

func TestQueueVisibility(t *testing.T) {
	w := must(New(Config{}))(t)
	url := must(w.CreateQueue(&CreateQueueInput{QueueName: "q", Attributes: map[string]string{"VisibilityTimeout": "10"}}))(t).QueueURL
	must(w.SendMessage(&SendMessageInput{QueueURL: url, MessageBody: "hello"}))(t)
	delay := 60
	must(w.SendMessage(&SendMessageInput{QueueURL: url, MessageBody: "later", DelaySeconds: &delay}))(t)
	receive := func() []Message {
		return must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: url, MaxNumberOfMessages: 10, AttributeNames: []string{"All"}}))(t).Messages
	}
	first := receive()
	if len(first) != 1 || first[0].Body != "hello" || first[0].Attributes["ApproximateReceiveCount"] != "1" || first[0].MD5OfBody != "5d41402abc4b2a76b9719d911017c592" {
		t.Fatalf("received %+v", first)
	}
	if got := receive(); len(got) != 0 {
		t.Errorf("a hidden message was received: %+v", got)
	}
	w.Advance(w.Now().Add(10 * time.Second))
	again := receive()
	if len(again) != 1 || again[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("received %+v", again)
	}
	must(w.ChangeMessageVisibility(&ChangeMessageVisibilityInput{QueueURL: url, ReceiptHandle: again[0].ReceiptHandle, VisibilityTimeout: 30}))(t)
	w.Advance(w.Now().Add(20 * time.Second))
	if got := receive(); len(got) != 0 {
		t.Errorf("a message that was hidden for longer was received: %+v", got)
	}
	must(w.DeleteMessage(&DeleteMessageInput{QueueURL: url, ReceiptHandle: again[0].ReceiptHandle}))(t)
	w.Advance(w.Now().Add(time.Minute))
	if got := receive(); len(got) != 1 || got[0].Body != "later" {
		t.Errorf("received %+v", got)
	}
	attributes := must(w.GetQueueAttributes(&GetQueueAttributesInput{QueueURL: url, AttributeNames: []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "QueueArn"}}))(t).Attributes
	if attributes["ApproximateNumberOfMessages"] != "0" || attributes["ApproximateNumberOfMessagesNotVisible"] != "1" || attributes["QueueArn"] != "arn:aws:sqs:us-east-1:123456789012:q" {
		t.Errorf("attributes %v", attributes)
	}
	_, err := w.ReceiveMessage(&ReceiveMessageInput{QueueURL: url, MaxNumberOfMessages: 11})
	failsWith(t, "11 messages", err, "InvalidParameterValue")
	_, err = w.DeleteMessage(&DeleteMessageInput{QueueURL: url, ReceiptHandle: "x"})
	failsWith(t, "bad receipt", err, "ReceiptHandleIsInvalid")
	_, err = w.SendMessage(&SendMessageInput{QueueURL: "none", MessageBody: "x"})
	failsWith(t, "no queue", err, "QueueDoesNotExist")
}

func TestQueueKeepsNoMoreThanItCan(t *testing.T) {
	w := must(New(Config{}))(t)
	must(w.CreateQueue(&CreateQueueInput{QueueName: "q"}))(t)
	for range mostKept + 10 {
		must(w.SendMessage(&SendMessageInput{QueueURL: "q", MessageBody: "x"}))(t)
	}
	if n := len(w.queues[0].ready); n != mostKept {
		t.Errorf("%d messages are kept", n)
	}
	w.Advance(w.Now().Add(5 * 24 * time.Hour))
	if out := must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: "q"}))(t); len(out.Messages) != 0 {
		t.Error("a message outlived its retention")
	}
}
