package sim

import (
	"encoding/json"
	"testing"
	"time"
)

// TestCloudTrailTellsOfRunTask: a rule that asks for calls gets each RunTask with what was
// asked and answered, or the error; a queue that is merely subscribed gets none.
func TestCloudTrailTellsOfRunTask(t *testing.T) {
	w := must(New(Config{EventQueues: []string{"all"}}))(t)
	must(w.CreateQueue(&CreateQueueInput{QueueName: "calls"}))(t)
	must(w.PutRule(&PutRuleInput{Name: "calls", EventPattern: `{"source":["aws.ecs"],"detail-type":["AWS API Call via CloudTrail"],"detail":{"eventName":["RunTask"]}}`}))(t)
	must(w.PutTargets(&PutTargetsInput{Rule: "calls", Targets: []EventTarget{{ID: "q", Arn: "arn:aws:sqs:us-east-1:123456789012:calls"}}}))(t)
	if err := must(ParseScript("cluster web\ntask job cpu 1024 memory 512\nlaunch m7i.large"))(t).Run(w); err != nil {
		t.Fatal(err)
	}
	ask := func(count int) error {
		_, err := w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", Count: &count, StartedBy: "cron"})
		return err
	}
	if err := ask(1); err == nil {
		t.Error("a task was started in an empty cluster")
	}
	w.Advance(w.Now().Add(10 * time.Minute))
	if err := ask(3); err != nil { // two find room
		t.Fatal(err)
	}
	w.Advance(w.Now().Add(time.Minute))
	type call struct {
		EventName, EventTime, ErrorCode, ErrorMessage, EventID string
		RequestParameters                                      map[string]any
		ResponseElements                                       *struct {
			Tasks    []struct{ TaskDefinitionArn string }
			Failures []Failure
		}
	}
	var calls []call
	for _, e := range drainQueue(t, w, "calls") {
		var c call
		if err := json.Unmarshal(e.Detail, &c); err != nil || e.Source != "aws.ecs" || e.DetailType != "AWS API Call via CloudTrail" {
			t.Fatalf("%v: %+v", err, e)
		}
		calls = append(calls, c)
	}
	if len(calls) != 2 {
		t.Fatalf("%d calls are told of, want 2: %+v", len(calls), calls)
	}
	if c := calls[0]; c.ErrorCode != "InvalidParameterException" || c.ErrorMessage != "No Container Instances were found in your cluster." || c.ResponseElements != nil {
		t.Errorf("the first call: %+v", c)
	}
	second := calls[1]
	if r := second.ResponseElements; second.ErrorCode != "" || r == nil || len(r.Tasks) != 2 || len(r.Failures) != 1 || r.Failures[0].Reason != "RESOURCE:CPU" {
		t.Errorf("the second call: %+v", second)
	}
	if p := second.RequestParameters; p["count"] != 3.0 || p["cluster"] != "web" || p["startedBy"] != "cron" || p["group"] != nil {
		t.Errorf("it asked for %v", p)
	}
	for _, e := range drainQueue(t, w, "all") {
		if e.DetailType == "AWS API Call via CloudTrail" {
			t.Errorf("a queue that no rule sends calls to got %+v", e)
		}
	}
}
