package sim

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestQueueAttributes sets attributes of a queue, by themselves and when it is made.
func TestQueueAttributes(t *testing.T) {
	w := must(New(Config{}))(t)
	create := func(name string, a Attributes) (string, error) {
		out, err := w.CreateQueue(&CreateQueueInput{QueueName: name, Attributes: a})
		if err != nil {
			return "", err
		}
		return out.QueueURL, nil
	}
	url := must(create("q", Attributes{"DelaySeconds": "5", "VisibilityTimeout": "60"}))(t)
	if again := must(create("q", Attributes{"DelaySeconds": "5"}))(t); again != url {
		t.Errorf("the same queue is at %s and at %s", url, again)
	}
	_, err := create("q", Attributes{"DelaySeconds": "6"})
	failsWith(t, "made again with another delay", err, "QueueNameExists")
	w.Advance(w.Now().Add(time.Hour))
	set := func(name, value string) error {
		_, err := w.SetQueueAttributes(&SetQueueAttributesInput{QueueURL: url, Attributes: Attributes{name: value}})
		return err
	}
	for _, c := range []struct{ name, value, code string }{
		{"VisibilityTimeout", "43200", ""},
		{"VisibilityTimeout", "43201", "InvalidAttributeValue"},
		{"MessageRetentionPeriod", "59", "InvalidAttributeValue"},
		{"MessageRetentionPeriod", "1209600", ""},
		{"ReceiveMessageWaitTimeSeconds", "20", ""},
		{"ReceiveMessageWaitTimeSeconds", "21", "InvalidAttributeValue"},
		{"DelaySeconds", "901", "InvalidAttributeValue"},
		{"DelaySeconds", "x", "InvalidAttributeValue"},
		{"MaximumMessageSize", "1024", ""},
		{"MaximumMessageSize", "1023", "InvalidAttributeValue"},
		{"Policy", `{"Version":"2012-10-17"}`, ""},
		{"FifoQueue", "true", "InvalidAttributeName"},
		{"Nonsense", "1", "InvalidAttributeName"},
		{"RedrivePolicy", "x", "InvalidParameterValue"},
		{"RedrivePolicy", `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:none","maxReceiveCount":3}`, "InvalidParameterValue"},
	} {
		if err := set(c.name, c.value); c.code == "" && err != nil {
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		} else if c.code != "" {
			failsWith(t, c.name+"="+c.value, err, c.code)
		}
	}
	got := must(w.GetQueueAttributes(&GetQueueAttributesInput{QueueURL: url, AttributeNames: []string{"All"}}))(t).Attributes
	for name, want := range map[string]string{ //neap:unordered each stands alone
		"VisibilityTimeout": "43200", "MessageRetentionPeriod": "1209600", "ReceiveMessageWaitTimeSeconds": "20", "DelaySeconds": "5",
		"MaximumMessageSize": "1024", "Policy": `{"Version":"2012-10-17"}`, "CreatedTimestamp": "1767603600", "LastModifiedTimestamp": "1767607200",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if d := w.Patience(&ReceiveMessageInput{QueueURL: url}); d != 20*time.Second {
		t.Errorf("a reception waits %v, want what the queue says", d)
	}
}

// TestDeadLetters: a message that was received as often as the redrive policy allows goes
// to the dead-letter queue.
func TestDeadLetters(t *testing.T) {
	w := must(New(Config{}))(t)
	must(w.CreateQueue(&CreateQueueInput{QueueName: "dead"}))(t)
	url := must(w.CreateQueue(&CreateQueueInput{QueueName: "q", Attributes: Attributes{
		"VisibilityTimeout": "10", "RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":"2"}`,
	}}))(t).QueueURL
	must(w.SendMessage(&SendMessageInput{QueueURL: url, MessageBody: "poison"}))(t)
	receive := func(queue string) []Message {
		return must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: queue, AttributeNames: []string{"All"}}))(t).Messages
	}
	for i := range 2 {
		if got := receive("q"); len(got) != 1 || got[0].Attributes["ApproximateReceiveCount"] != strconv.Itoa(i+1) {
			t.Fatalf("reception %d: %+v", i+1, got)
		}
		w.Advance(w.Now().Add(10 * time.Second))
	}
	if got := receive("q"); len(got) != 0 {
		t.Errorf("a third time: %+v", got)
	}
	got := receive("dead")
	if len(got) != 1 || got[0].Body != "poison" || got[0].Attributes["DeadLetterQueueSourceArn"] != "arn:aws:sqs:us-east-1:123456789012:q" {
		t.Errorf("dead letters %+v", got)
	}
	if sources := must(w.ListDeadLetterSourceQueues(&QueueInput{QueueURL: "dead"}))(t).QueueURLs; len(sources) != 1 || sources[0] != url {
		t.Errorf("sources %v", sources)
	}
}

func TestQueueBatches(t *testing.T) {
	w := must(New(Config{}))(t)
	must(w.CreateQueue(&CreateQueueInput{QueueName: "q"}))(t)
	long := strings.Repeat("x", mostMessageSize)
	sent := must(w.SendMessageBatch(&SendMessageBatchInput{QueueURL: "q", Entries: []SendMessageBatchEntry{
		{ID: "a", MessageBody: "1", MessageAttributes: MessageAttributes{"kind": {DataType: "String", StringValue: "test"}}}, {ID: "b"}, {ID: "c", MessageBody: "3"},
	}}))(t)
	if len(sent.Successful) != 2 || len(sent.Failed) != 1 || sent.Failed[0].ID != "b" || sent.Failed[0].Code != "MissingParameter" {
		t.Fatalf("sent %+v", sent)
	}
	entries := func(ids ...string) *SendMessageBatchInput {
		in := &SendMessageBatchInput{QueueURL: "q"}
		for _, id := range ids {
			in.Entries = append(in.Entries, SendMessageBatchEntry{ID: id, MessageBody: "x"})
		}
		return in
	}
	for _, c := range []struct {
		code string
		in   *SendMessageBatchInput
	}{
		{"EmptyBatchRequest", entries()},
		{"TooManyEntriesInBatchRequest", entries(strings.Split("abcdefghijk", "")...)},
		{"BatchEntryIdsNotDistinct", entries("a", "a")},
		{"InvalidBatchEntryId", entries("a b")},
		{"BatchRequestTooLong", &SendMessageBatchInput{QueueURL: "q", Entries: []SendMessageBatchEntry{{ID: "a", MessageBody: long}, {ID: "b", MessageBody: "x"}}}},
	} {
		_, err := w.SendMessageBatch(c.in)
		failsWith(t, c.code, err, c.code)
	}
	got := must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: "q", MaxNumberOfMessages: 10, MessageAttributeNames: []string{"ki.*", "kind"}}))(t).Messages
	if len(got) != 2 || got[0].MessageAttributes["kind"].StringValue != "test" || got[0].MD5OfMessageAttributes != sent.Successful[0].MD5OfMessageAttributes || got[0].MD5OfMessageAttributes == "" {
		t.Fatalf("received %+v", got)
	}
	changed := must(w.ChangeMessageVisibilityBatch(&ChangeMessageVisibilityBatchInput{QueueURL: "q", Entries: []ChangeMessageVisibilityEntry{
		{ID: "a", ReceiptHandle: got[0].ReceiptHandle}, {ID: "b", ReceiptHandle: "bad", VisibilityTimeout: 1}, {ID: "c", ReceiptHandle: got[1].ReceiptHandle, VisibilityTimeout: -1},
	}}))(t)
	if len(changed.Successful) != 1 || len(changed.Failed) != 2 || changed.Failed[0].Code != "ReceiptHandleIsInvalid" || changed.Failed[1].Code != "InvalidParameterValue" {
		t.Errorf("changed %+v", changed)
	}
	if again := must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: "q"}))(t).Messages; len(again) != 1 || again[0].Body != got[0].Body {
		t.Errorf("shown again: %+v", again)
	}
}

func TestQueueAdministration(t *testing.T) {
	w := must(New(Config{}))(t)
	for _, name := range []string{"b", "a-2", "a-1"} {
		must(w.CreateQueue(&CreateQueueInput{QueueName: name, Tags: QueueTags{"team": "x"}}))(t)
	}
	one, zero := 1, 0
	page := must(w.ListQueues(&ListQueuesInput{QueueNamePrefix: "a", MaxResults: &one}))(t)
	rest := must(w.ListQueues(&ListQueuesInput{QueueNamePrefix: "a", MaxResults: &one, NextToken: page.NextToken}))(t)
	if len(page.QueueURLs) != 1 || !strings.HasSuffix(page.QueueURLs[0], "/a-1") || !strings.HasSuffix(rest.QueueURLs[0], "/a-2") || rest.NextToken != "" {
		t.Errorf("pages %+v, %+v", page, rest)
	}
	_, err := w.ListQueues(&ListQueuesInput{MaxResults: &zero})
	failsWith(t, "no results", err, "InvalidParameterValue")
	_, err = w.ListQueues(&ListQueuesInput{NextToken: "x"})
	failsWith(t, "token", err, "InvalidParameterValue")
	must(w.TagQueue(&TagQueueInput{QueueURL: "b", Tags: QueueTags{"env": "prod"}}))(t)
	must(w.UntagQueue(&UntagQueueInput{QueueURL: "b", TagKeys: []string{"team"}}))(t)
	if tags := must(w.ListQueueTags(&QueueInput{QueueURL: "b"}))(t).Tags; len(tags) != 1 || tags["env"] != "prod" {
		t.Errorf("tags %v", tags)
	}
	delay := 30
	must(w.SendMessage(&SendMessageInput{QueueURL: "b", MessageBody: "x"}))(t)
	must(w.SendMessage(&SendMessageInput{QueueURL: "b", MessageBody: "late", DelaySeconds: &delay}))(t)
	must(w.PurgeQueue(&QueueInput{QueueURL: "b"}))(t)
	_, err = w.PurgeQueue(&QueueInput{QueueURL: "b"})
	failsWith(t, "purged again", err, "PurgeQueueInProgress")
	if got := must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: "b"}))(t).Messages; len(got) != 0 {
		t.Errorf("a purged queue has %+v", got)
	}
	must(w.DeleteQueue(&QueueInput{QueueURL: "b"}))(t)
	must(w.CreateQueue(&CreateQueueInput{QueueName: "b"}))(t)
	w.Advance(w.Now().Add(time.Minute))
	if got := must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: "b"}))(t).Messages; len(got) != 0 {
		t.Errorf("a message to a deleted queue came to the next of its name: %+v", got)
	}
	_, err = w.GetQueueURL(&GetQueueURLInput{QueueName: "none"})
	failsWith(t, "no such queue", err, "QueueDoesNotExist")
	_, err = w.DeleteQueue(&QueueInput{QueueURL: "https://sqs.us-east-1.amazonaws.com/999999999999/b"})
	failsWith(t, "queue of another account", err, "QueueDoesNotExist")
}
