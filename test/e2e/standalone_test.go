package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/test/harness"
)

// TestARefusedStandaloneTask: RunTask is refused for lack of CPU and leaves nothing behind
// but what CloudTrail records of it; Neap hears of that through the rule that its
// documentation asks for, launches, and who asks again is served.
func TestARefusedStandaloneTask(t *testing.T) {
	t.Parallel()
	s := start(t, `
cluster web
task web cpu 512 memory 1024
task job cpu 1792 memory 1024
service web task web desired 2
`)
	s.events("PutRule", `{"Name":"calls","EventPattern":"{\"source\":[\"aws.ecs\"],\"detail-type\":[\"AWS API Call via CloudTrail\"],\"detail\":{\"eventName\":[\"RunTask\"]}}"}`)
	s.events("PutTargets", `{"Rule":"calls","Targets":[{"Id":"neap","Arn":"arn:aws:sqs:us-east-1:`+harness.Account+`:`+harness.Queue+`"}]}`)
	s.Apply(harness.Policy(nil))
	s.Up(1)
	before := s.Until("the service runs", harness.AllRun, harness.Settled, s.Ended, harness.Instances(1))
	s.Script("run job")
	after := s.Until("a task was refused, and an instance more is there", harness.Settled, func(truth *sim.Truth) string {
		switch {
		case truth.History.RunTaskFailures == before.History.RunTaskFailures:
			return "no task was refused"
		case len(harness.Alive(truth)) <= len(harness.Alive(before)):
			return "no instance more is there"
		}
		return ""
	})
	s.Script("run job")
	s.Until("it finds room when it is asked for again", func(truth *sim.Truth) string {
		if truth.History.RunTaskFailures > after.History.RunTaskFailures {
			t.Fatal("the task was refused again")
		}
		return ""
	})
	s.Audit()
}

// events calls an operation of EventBridge as a client of AWS would.
func (s *system) events(operation, body string) {
	s.T.Helper()
	r, err := http.NewRequestWithContext(s.T.Context(), http.MethodPost, s.AWSURL, strings.NewReader(body))
	if err != nil {
		s.T.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AWSEvents."+operation)
	r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=any/"+time.Now().UTC().Format("20060102")+"/us-east-1/events/aws4_request, SignedHeaders=host, Signature=any")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(answer.Body)
		s.T.Fatalf("%s: %s: %s", operation, answer.Status, why)
	}
}
