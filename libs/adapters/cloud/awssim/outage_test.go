package awssim

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// patient lets the SDK try a call so many times, without waiting long in between.
func patient(attempts int) func(*retry.StandardOptions) {
	return func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.MaxBackoff = time.Millisecond
		o.RateLimiter = ratelimit.None // not what is tested
	}
}

// TestOutageErrors: calls fail with the codes and statuses of an outage, for as long as it
// lasts, and the others do not.
func TestOutageErrors(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	describe := func() error { _, err := a.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{}); return err }
	subnets := func() error { _, err := a.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{}); return err }
	queues := func() error { _, err := a.sqs.ListQueues(ctx, &sqs.ListQueuesInput{}); return err }
	for _, c := range []struct {
		script string
		call   func() error
		code   string
		status int
	}{
		{"outage ecs error 500 for 1m", describe, "ServerException", 500},
		{"outage ecs:DescribeClusters error 503 for 1m", describe, "ServiceUnavailableException", 503},
		{"outage ecs:Describe* error 400 for 1m", describe, "ThrottlingException", 400},
		{"outage ecs error AccessDeniedException for 1m", describe, "AccessDeniedException", 400},
		{"outage ec2 error 500 for 1m", subnets, "InternalError", 500},
		{"outage ec2 error 503 for 1m", subnets, "Unavailable", 503},
		{"outage ec2 error RequestLimitExceeded for 1m", subnets, "RequestLimitExceeded", 503},
		{"outage * error UnauthorizedOperation/403 for 1m", subnets, "UnauthorizedOperation", 403},
		{"outage sqs error 500 for 1m", queues, "InternalError", 500},
		{"outage sqs error RequestThrottled for 1m", queues, "RequestThrottled", 403},
	} {
		a.script(c.script + "\n")
		err := c.call()
		var response *awshttp.ResponseError
		if code(err) != c.code || !errors.As(err, &response) || response.HTTPStatusCode() != c.status {
			t.Errorf("%s: %v, want %s with status %d", c.script, err, c.code, c.status)
		}
		a.advance(time.Minute)
		if err := c.call(); err != nil {
			t.Errorf("%s: after its end: %v", c.script, err)
		}
	}
}

// TestRetriesOutliveAnOutage: with half of the calls failing in every way there is, the
// SDK's retries get all of them done.
func TestRetriesOutliveAnOutage(t *testing.T) {
	for _, kind := range []string{"error 500", "error 503", "reset", "lost"} {
		a, ctx := open(t, sim.Config{}, Options{}), t.Context()
		a.script("cluster web\noutage ecs:DescribeClusters " + kind + " share 50%\n")
		for i := range 20 {
			out, err := a.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{"web"}}, func(o *ecs.Options) {
				o.RetryMaxAttempts, o.Retryer = 0, retry.NewStandard(patient(20))
			})
			if err != nil || len(out.Clusters) != 1 {
				t.Fatalf("%s: call %d: %v", kind, i+1, err)
			}
		}
		_, body := a.side(http.MethodGet, "outages", "")
		var outages []sim.Outage
		if err := json.Unmarshal([]byte(body), &outages); err != nil {
			t.Fatal(err)
		}
		if len(outages) != 1 || outages[0].Hits < 5 || outages[0].Calls != 20+outages[0].Hits {
			t.Errorf("%s: outages %s", kind, body)
		}
	}
}

// TestTruncatedAnswers: an answer that breaks off in the middle is an error, not half of an
// answer.
func TestTruncatedAnswers(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	a.script("outage * truncated\n")
	if out, err := a.ecs.ListClusters(ctx, &ecs.ListClustersInput{}); err == nil {
		t.Errorf("ECS answered %+v", out)
	}
	if out, err := a.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{}); err == nil {
		t.Errorf("EC2 answered %+v", out)
	}
}

// TestLostAnswerLaunchesOnce: EC2 launches and the answer gets lost; the retry with the same
// client token gets the answer of the first try, and nothing is launched twice.
func TestLostAnswerLaunchesOnce(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	request := fleet(a.cluster(ctx, "web"), a.subnet(ctx, "a"), 3, "m7i.large")
	request.ClientToken = aws.String("launch-once")
	a.script("outage ec2:CreateFleet lost\n")
	if _, err := a.ec2.CreateFleet(ctx, request); err == nil {
		t.Fatal("the answer of a call came that was to be lost")
	}
	running := a.instances(&ec2.DescribeInstancesInput{})
	a.script("restore ec2:CreateFleet\n")
	out := must(a.ec2.CreateFleet(ctx, request))(a)
	again := a.instances(&ec2.DescribeInstancesInput{})
	if len(running) != 3 || len(again) != 3 {
		t.Errorf("%d instances after the lost answer, %d after the retry, want 3", len(running), len(again))
	}
	for _, set := range out.Instances {
		for _, id := range set.InstanceIds {
			if _, known := running[id]; !known {
				t.Errorf("the retry tells of %s, which the first try did not launch", id)
			}
		}
	}
}

// TestHangingCallsEndWithTheClient: no answer comes, and the client's deadline ends it.
func TestHangingCallsEndWithTheClient(t *testing.T) {
	a := open(t, sim.Config{}, Options{})
	a.script("outage ecs hang\n")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := a.ecs.ListClusters(ctx, &ecs.ListClustersInput{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call that hangs ended with %v", err)
	}
}

// TestSlowAnswers: an answer takes as long as it is told to, by the wall.
func TestSlowAnswers(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	a.script("slow ecs:ListClusters 60ms\n")
	began := time.Now()
	must(a.ecs.ListClusters(ctx, &ecs.ListClustersInput{}))(a)
	if took := time.Since(began); took < 60*time.Millisecond {
		t.Errorf("the answer took %v", took)
	}
}

// TestStaleReads: a read is answered as it was up to some time ago, not longer, with a
// request ID of its own.
func TestStaleReads(t *testing.T) {
	a := open(t, sim.Config{}, Options{})
	count := func() int {
		status, text, _ := ask(a.server, "ecs", "ListClusters", "{}")
		if status != http.StatusOK {
			t.Fatal(text)
		}
		return strings.Count(text, "arn:aws:ecs")
	}
	a.script("outage ecs:ListClusters stale 30s\ncluster one\n")
	if n := count(); n != 1 {
		t.Errorf("the first read sees %d clusters", n)
	}
	a.script("cluster two\n")
	a.advance(30 * time.Second)
	if n := count(); n != 1 {
		t.Errorf("a read 30 s later sees %d clusters, want those of then", n)
	}
	a.advance(time.Second)
	if n := count(); n != 2 {
		t.Errorf("a read 31 s later sees %d clusters, want those of now", n)
	}
}
