package awssim

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// TestQueueByQuery drives SQS with the query protocol, as clients did before it spoke JSON:
// the bodies are those of the time.
func TestQueueByQuery(t *testing.T) {
	a := open(t, sim.Config{}, Options{})
	call := func(operation, body string, wants ...string) string {
		t.Helper()
		status, text, header := ask(a.server, "sqs query", operation, body)
		if status != http.StatusOK || header.Get("Content-Type") != contentXML {
			t.Fatalf("%s: %d %s %s", operation, status, header.Get("Content-Type"), text)
		}
		for _, want := range append(wants, "<"+operation+`Response xmlns="http://queue.amazonaws.com/doc/2012-11-05/">`, "<ResponseMetadata><RequestId>"+header.Get("X-Amzn-RequestId")) {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s in %s", operation, want, text)
			}
		}
		return text
	}
	between := func(text, begin, end string) string {
		_, text, _ = strings.Cut(text, begin)
		text, _, _ = strings.Cut(text, end)
		return text
	}
	made := call("CreateQueue", "QueueName=q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=60&Tag.1.Key=team&Tag.1.Value=x", "<CreateQueueResult><QueueUrl>http://")
	queue := "QueueUrl=" + url.QueryEscape(between(made, "<QueueUrl>", "</QueueUrl>"))
	call("ListQueues", "QueueNamePrefix=q", "/123456789012/q</QueueUrl></ListQueuesResult>")
	call("GetQueueUrl", "QueueName=q", "/123456789012/q</QueueUrl></GetQueueUrlResult>")
	call("ListQueueTags", queue, "<Tag><Key>team</Key><Value>x</Value></Tag>")
	call("GetQueueAttributes", queue+"&AttributeName.1=All", "<Attribute><Name>VisibilityTimeout</Name><Value>60</Value></Attribute>")
	call("SetQueueAttributes", queue+"&Attribute.1.Name=DelaySeconds&Attribute.1.Value=0")
	call("SendMessage", queue+"&MessageBody=a%3Cb&MessageAttribute.1.Name=kind&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=test", "<MD5OfMessageBody>", "<MessageId>", "<MD5OfMessageAttributes>")
	call("SendMessageBatch", queue+"&SendMessageBatchRequestEntry.1.Id=one&SendMessageBatchRequestEntry.1.MessageBody=b&SendMessageBatchRequestEntry.2.Id=two",
		"<SendMessageBatchResultEntry><Id>one</Id>", "<BatchResultErrorEntry><Id>two</Id><SenderFault>true</SenderFault><Code>MissingParameter</Code>")
	got := call("ReceiveMessage", queue+"&MaxNumberOfMessages=10&AttributeName.1=ApproximateReceiveCount&MessageAttributeName.1=All",
		"<Body>a&lt;b</Body>", "<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>",
		"<MessageAttribute><Name>kind</Name><Value><DataType>String</DataType><StringValue>test</StringValue></Value></MessageAttribute>")
	receipt := url.QueryEscape(between(got, "<ReceiptHandle>", "</ReceiptHandle>"))
	call("ChangeMessageVisibility", queue+"&VisibilityTimeout=5&ReceiptHandle="+receipt)
	call("ChangeMessageVisibilityBatch", queue+"&ChangeMessageVisibilityBatchRequestEntry.1.Id=one&ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout=9&ChangeMessageVisibilityBatchRequestEntry.1.ReceiptHandle="+receipt,
		"<ChangeMessageVisibilityBatchResultEntry><Id>one</Id></ChangeMessageVisibilityBatchResultEntry>")
	call("DeleteMessageBatch", queue+"&DeleteMessageBatchRequestEntry.1.Id=one&DeleteMessageBatchRequestEntry.1.ReceiptHandle="+receipt,
		"<DeleteMessageBatchResultEntry><Id>one</Id></DeleteMessageBatchResultEntry>")
	call("PurgeQueue", queue)
	call("DeleteQueue", queue)

	status, text, _ := ask(a.server, "sqs query", "ReceiveMessage", queue)
	const gone = "<Error><Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>The specified queue does not exist.</Message></Error>"
	if status != http.StatusBadRequest || !strings.Contains(text, gone) {
		t.Errorf("a queue that is gone: %d %s", status, text)
	}
}

// TestQueueByItsPath: older clients post to the queue itself.
func TestQueueByItsPath(t *testing.T) {
	a := open(t, sim.Config{}, Options{})
	ask(a.server, "sqs query", "CreateQueue", "QueueName=q")
	response := raw{path: "/123456789012/q", authorization: authorization("sqs"), body: "Action=SendMessage&Version=2012-11-05&MessageBody=x"}.send(a.server)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("posted to the path of the queue: %s", response.Status)
	}
}

// TestQueueWaits: a poll that does not say how long it waits waits as long as the queue says.
func TestQueueWaits(t *testing.T) {
	a := open(t, sim.Config{}, Options{})
	ask(a.server, "sqs", "CreateQueue", `{"QueueName":"q","Attributes":{"ReceiveMessageWaitTimeSeconds":"1"}}`)
	began := time.Now()
	status, text, _ := ask(a.server, "sqs", "ReceiveMessage", `{"QueueUrl":"http://x/123456789012/q"}`)
	if took := time.Since(began); status != http.StatusOK || took < time.Second {
		t.Errorf("%d %s after %v", status, text, took)
	}
}

// TestRuleOverHTTP sets up a rule and a queue as a user of AWS does.
func TestRuleOverHTTP(t *testing.T) {
	a := open(t, sim.Config{}, Options{})
	for _, c := range []struct{ service, operation, body, want string }{
		{"sqs", "CreateQueue", `{"QueueName":"q"}`, `"QueueUrl"`},
		{"events", "PutRule", `{"Name":"r","EventPattern":"{\"source\":[\"aws.ecs\"]}"}`, `"RuleArn":"arn:aws:events:us-east-1:123456789012:rule/r"`},
		{"events", "PutTargets", `{"Rule":"r","Targets":[{"Id":"q","Arn":"arn:aws:sqs:us-east-1:123456789012:q"}]}`, `"FailedEntryCount":0,"FailedEntries":[]`},
		{"events", "ListRules", `{}`, `"Name":"r"`},
		{"events", "ListTargetsByRule", `{"Rule":"r"}`, `"Id":"q"`},
		{"events", "DescribeRule", `{"Name":"r"}`, `"State":"ENABLED"`},
	} {
		if status, text, _ := ask(a.server, c.service, c.operation, c.body); status != http.StatusOK || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s, want %s", c.operation, status, text, c.want)
		}
	}
	a.script("cluster web\nlaunch m7i.large\n")
	a.advance(5 * time.Minute)
	_, text, _ := ask(a.server, "sqs", "ReceiveMessage", `{"QueueUrl":"http://x/123456789012/q","MaxNumberOfMessages":10}`)
	if !strings.Contains(text, `ECS Container Instance State Change`) {
		t.Errorf("received %s", text)
	}
}
