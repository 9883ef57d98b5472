package awssim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/neap-project/neap/libs/fleet/sim"
	"go.uber.org/goleak"
)

// TestThrottling: a burst is served, what comes next is refused in a way that the SDK knows
// for throttling, and virtual time makes good.
func TestThrottling(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{Throttle: true}), t.Context()
	throttled := retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}
	for _, c := range []struct {
		name   string
		burst  int
		call   func() error
		code   string
		status int
	}{
		{"ecs", 50, func() error {
			_, err := a.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{})
			return err
		}, "ThrottlingException", 400},
		{"ec2 unfiltered", 50, func() error {
			_, err := a.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
			return err
		}, "RequestLimitExceeded", 503},
		{"ec2 filtered", 100, func() error {
			_, err := a.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(5)})
			return err
		}, "RequestLimitExceeded", 503},
	} {
		for i := range c.burst {
			if err := c.call(); err != nil {
				t.Fatalf("%s: call %d: %v", c.name, i+1, err)
			}
		}
		err := c.call()
		var response *awshttp.ResponseError
		switch {
		case code(err) != c.code || throttled.IsErrorThrottle(err) != aws.TrueTernary:
			t.Errorf("%s: after the burst: %v, want %s", c.name, err, c.code)
		case !errors.As(err, &response) || response.HTTPStatusCode() != c.status:
			t.Errorf("%s: %v, want status %d", c.name, err, c.status)
		}
		a.advance(time.Second)
		if err := c.call(); err != nil {
			t.Errorf("%s: a second later: %v", c.name, err)
		}
	}
}

// TestQueue sends, receives, hides, shows and deletes a message.
func TestQueue(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	made := must(a.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("events")}))(a)
	if !strings.HasPrefix(*made.QueueUrl, a.url+"/") {
		t.Errorf("the queue is at %s, the server at %s", *made.QueueUrl, a.url)
	}
	found := must(a.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("events")}))(a)
	if *found.QueueUrl != *made.QueueUrl {
		t.Errorf("the queue is at %s, then at %s", *made.QueueUrl, *found.QueueUrl)
	}
	queue := made.QueueUrl
	must(a.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String(`{"a":"ü"}`)}))(a)
	receive := &sqs.ReceiveMessageInput{
		QueueUrl: queue, MaxNumberOfMessages: 10, VisibilityTimeout: 30,
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll},
	}
	got := must(a.sqs.ReceiveMessage(ctx, receive))(a)
	if len(got.Messages) != 1 || *got.Messages[0].Body != `{"a":"ü"}` || got.Messages[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Fatalf("received %+v", got.Messages)
	}
	if got = must(a.sqs.ReceiveMessage(ctx, receive))(a); len(got.Messages) != 0 {
		t.Errorf("a hidden message came again: %+v", got.Messages)
	}
	a.advance(31 * time.Second)
	if got = must(a.sqs.ReceiveMessage(ctx, receive))(a); len(got.Messages) != 1 {
		t.Fatalf("after its time-out: %+v", got.Messages)
	}
	deleted := must(a.sqs.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: queue, Entries: []sqstypes.DeleteMessageBatchRequestEntry{
		{Id: aws.String("0"), ReceiptHandle: got.Messages[0].ReceiptHandle},
	}}))(a)
	if len(deleted.Successful) != 1 || len(deleted.Failed) != 0 {
		t.Errorf("deleted %+v, failed %+v", deleted.Successful, deleted.Failed)
	}
	a.advance(time.Hour)
	if got = must(a.sqs.ReceiveMessage(ctx, receive))(a); len(got.Messages) != 0 {
		t.Errorf("a deleted message came again: %+v", got.Messages)
	}

	_, err := a.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(a.url + "/123456789012/none")})
	expect[*sqstypes.QueueDoesNotExist](t, err)
	if code(err) != "AWS.SimpleQueueService.NonExistentQueue" {
		t.Errorf("the code is %s, want the one that older clients know", code(err))
	}
}

// TestLongPolls: a poll waits for a message without keeping others from working, and ends
// by virtual time, or by the wall where virtual time stands still.
func TestLongPolls(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	queue := must(a.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("events")}))(a).QueueUrl
	poll := func(seconds int32) []sqstypes.Message {
		out, err := a.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: seconds})
		if err != nil {
			t.Error(err)
			return nil
		}
		return out.Messages
	}

	var polls sync.WaitGroup
	var got []sqstypes.Message
	polls.Go(func() { got = poll(20) })
	must(a.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("late")}))(a)
	polls.Wait()
	if len(got) != 1 || *got[0].Body != "late" {
		t.Errorf("the poll received %+v", got)
	}

	began := time.Now()
	if got = poll(1); len(got) != 0 || time.Since(began) < time.Second {
		t.Errorf("a poll of a second in a world that stands still ended after %v with %+v", time.Since(began), got)
	}

	a.server.SetSpeed(1000)
	began = time.Now()
	if got = poll(20); len(got) != 0 || time.Since(began) > 10*time.Second {
		t.Errorf("a poll of 20 virtual seconds at a speed of 1000 ended after %v with %+v", time.Since(began), got)
	}
}

// TestEvents: what happens in the world comes out of the queue as EventBridge words it.
func TestEvents(t *testing.T) {
	a, ctx := open(t, sim.Config{EventQueues: []string{"events"}}, Options{}), t.Context()
	template := a.cluster(ctx, "web")
	must(a.ec2.CreateFleet(ctx, fleet(template, a.subnet(ctx, "a"), 1, "m7i.large")))(a)
	a.advance(10 * time.Minute)
	queue := must(a.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("events")}))(a).QueueUrl
	seen := map[string]bool{}
	for {
		out := must(a.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10, VisibilityTimeout: 3600}))(a)
		if len(out.Messages) == 0 {
			break
		}
		for _, m := range out.Messages {
			var event struct {
				DetailType string          `json:"detail-type"`
				Source     string          `json:"source"`
				Time       time.Time       `json:"time"`
				Detail     json.RawMessage `json:"detail"`
			}
			if err := json.Unmarshal([]byte(*m.Body), &event); err != nil {
				t.Fatalf("%v in %s", err, *m.Body)
			}
			seen[event.Source+": "+event.DetailType] = true
		}
	}
	for _, want := range []string{"aws.ec2: EC2 Instance State-change Notification", "aws.ecs: ECS Container Instance State Change"} {
		if !seen[want] {
			t.Errorf("no %s among %v", want, seen)
		}
	}
}

// TestServe: a server that serves moves its world by itself, at its speed, and leaves
// nothing behind when it is told to stop, not even a poll.
func TestServe(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	world := newWorld(t)
	start := world.Now()
	if _, err := world.CreateQueue(&sim.CreateQueueInput{QueueName: "events"}); err != nil {
		t.Fatal(err)
	}
	server := New(world, Options{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(ctx, listener); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() { // a poll of a virtual time that takes 20 s of the wall
		body := `{"QueueUrl":"http://` + listener.Addr().String() + `/123456789012/events","WaitTimeSeconds":20}`
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String(), strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("X-Amz-Target", targetSQS+"ReceiveMessage")
		request.Header.Set("Content-Type", contentJSON10)
		request.Header.Set("X-Amz-Date", "20260105T090000Z")
		request.Header.Set("Authorization", authorization("sqs"))
		request.Close = true
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for moved := time.Duration(0); moved < 100*time.Millisecond; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("the world has moved by %v only", moved)
		}
		server.mu.Lock() // World would move it, too
		moved = world.Now().Sub(start)
		server.mu.Unlock()
	}
	stop()
	running.Wait()
	if time.Now().After(deadline) {
		t.Error("the poll kept the server from stopping")
	}
}

// side talks to the side door.
func (a *account) side(method, path, body string) (int, string) {
	a.Helper()
	request, err := http.NewRequestWithContext(a.Context(), method, a.url+sidePrefix+path, strings.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		a.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		a.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// script runs statements through the side door.
func (a *account) script(text string) {
	a.Helper()
	if status, answer := a.side(http.MethodPost, "script", text); status != http.StatusOK {
		a.Fatalf("script: %d %s", status, answer)
	}
}

func TestSideDoor(t *testing.T) {
	a := open(t, sim.Config{}, Options{})
	a.cluster(t.Context(), "web")
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "", "", 200, `POST /_neap/script`},
		{"GET", "healthz", "", 200, `{"ok":true}`},
		{"GET", "operations", "", 200, `"ssm":["GetParameter"`},
		{"GET", "time", "", 200, `{"now":"2026-01-05T09:00:00Z","speed":0}`},
		{"POST", "time", `{"advance":"5m"}`, 200, `{"now":"2026-01-05T09:05:00Z","speed":0}`},
		{"GET", "state", "", 200, `web`},
		{"POST", "script", "make me a sandwich", 400, `{"error":`},
		{"POST", "time", `{"advance":"-5m"}`, 400, `advance \"-5m\": it must be a time like`},
		{"POST", "time", `{"advance":"5 minutes"}`, 400, `it must be a time like`},
		{"POST", "time", `{"speed":-1}`, 400, `speed -1: it must be from 0`},
		{"POST", "time", `{"speed":1e9}`, 400, `speed 1e+09: it must be from 0`},
		{"POST", "time", `{"sped":1}`, 400, `unknown field`},
		{"POST", "time", ``, 400, `read the body`},
		{"GET", "nowhere", "", 404, `no such path`},
		{"DELETE", "state", "", 404, `no such path`},
		{"POST", "time", `{"speed":3600}`, 200, `"speed":3600`},
	} {
		status, body := a.side(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %s: %d %s, want %d with %s", c.method, c.path, c.body, status, body, c.status, c.want)
		}
	}
}

// TestSpotIsTaken: a person interrupts an instance by the side door, and EC2 takes it.
func TestSpotIsTaken(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	request := fleet(a.cluster(ctx, "web"), a.subnet(ctx, "a"), 1, "m7i.large")
	request.TargetCapacitySpecification.DefaultTargetCapacityType = ec2types.DefaultTargetCapacityTypeSpot
	request.SpotOptions = &ec2types.SpotOptionsRequest{AllocationStrategy: ec2types.SpotAllocationStrategyPriceCapacityOptimized}
	launched := must(a.ec2.CreateFleet(ctx, request))(a)
	if len(launched.Instances) != 1 || launched.Instances[0].Lifecycle != ec2types.InstanceLifecycleSpot {
		t.Fatalf("launched %+v, errors %+v", launched.Instances, launched.Errors)
	}
	id := launched.Instances[0].InstanceIds[0]
	a.advance(5 * time.Minute)
	a.script("interrupt " + id + "\n")
	a.advance(5 * time.Minute)
	gone := a.instances(&ec2.DescribeInstancesInput{InstanceIds: []string{id}})[id]
	if gone.State.Name != ec2types.InstanceStateNameTerminated || gone.InstanceLifecycle != ec2types.InstanceLifecycleTypeSpot {
		t.Errorf("the instance is %+v", gone)
	}
}

// TestServeStopsBesideASilentConnection: clients open connections ahead of need, and one on
// which nothing was ever asked must not turn a stop into a failure.
func TestServeStopsBesideASilentConnection(t *testing.T) {
	world, err := sim.New(sim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- New(world, Options{}).Serve(ctx, listener) }()
	silent, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	// An answer on another connection shows that the silent one, which came first, is known.
	resp, err := http.Get("http://" + listener.Addr().String() + "/_neap/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cancel()
	if err := <-served; err != nil {
		t.Errorf("stopped with %v", err)
	}
}
