package sim

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestEventPatterns(t *testing.T) {
	const event = `{"version":"0","source":"aws.ecs","detail-type":"ECS Task State Change","account":"123456789012","resources":["arn:a","arn:b"],
		"detail":{"clusterArn":"arn:aws:ecs:us-east-1:123456789012:cluster/web","lastStatus":"RUNNING","version":3,"group":"service:api","empty":"","nothing":null,
		"flag":true,"ip":"10.0.3.7","containers":[{"name":"app","exitCode":0},{"name":"log","exitCode":1}]}}`
	for _, c := range []struct {
		pattern string
		want    bool
	}{
		{`{"source":["aws.ecs"]}`, true},
		{`{"source":["aws.ec2","aws.ecs"]}`, true},
		{`{"source":["aws.ec2"]}`, false},
		{`{"source":["aws.ecs"],"detail-type":["ECS Service Action"]}`, false},
		{`{"source":[{"prefix":"aws."}]}`, true},
		{`{"source":[{"prefix":"AWS."}]}`, false},
		{`{"source":[{"prefix":{"equals-ignore-case":"AWS."}}]}`, true},
		{`{"source":[{"suffix":".ecs"}]}`, true},
		{`{"source":[{"suffix":".ec2"}]}`, false},
		{`{"source":[{"equals-ignore-case":"AWS.ECS"}]}`, true},
		{`{"source":[{"wildcard":"aws.*"}]}`, true},
		{`{"detail":{"clusterArn":[{"wildcard":"arn:*:cluster/w*b"}]}}`, true},
		{`{"detail":{"clusterArn":[{"wildcard":"arn:*:cluster/w*c"}]}}`, false},
		{`{"source":[{"anything-but":"aws.ec2"}]}`, true},
		{`{"source":[{"anything-but":["aws.ec2","aws.ecs"]}]}`, false},
		{`{"source":[{"anything-but":{"prefix":"aws."}}]}`, false},
		{`{"source":[{"anything-but":{"suffix":[".ec2",".s3"]}}]}`, true},
		{`{"source":[{"anything-but":{"equals-ignore-case":"AWS.ECS"}}]}`, false},
		{`{"detail":{"version":[3]}}`, true},
		{`{"detail":{"version":["3"]}}`, false},
		{`{"detail":{"version":[{"anything-but":3}]}}`, false},
		{`{"detail":{"version":[{"numeric":[">",2]}]}}`, true},
		{`{"detail":{"version":[{"numeric":[">",2,"<=",3]}]}}`, true},
		{`{"detail":{"version":[{"numeric":[">=",0,"<",3]}]}}`, false},
		{`{"detail":{"version":[{"numeric":["=",3.0]}]}}`, true},
		{`{"detail":{"lastStatus":[{"numeric":["=",3]}]}}`, false},
		{`{"detail":{"lastStatus":[{"exists":true}]}}`, true},
		{`{"detail":{"stoppedReason":[{"exists":false}]}}`, true},
		{`{"detail":{"lastStatus":[{"exists":false}]}}`, false},
		{`{"nowhere":{"x":[{"exists":false}]}}`, true},
		{`{"detail":{"stoppedReason":["x"]}}`, false},
		{`{"detail":{"empty":[""]}}`, true},
		{`{"detail":{"nothing":[null]}}`, true},
		{`{"detail":{"flag":[true]}}`, true},
		{`{"detail":{"flag":["true"]}}`, false},
		{`{"detail":{"ip":[{"cidr":"10.0.0.0/16"}]}}`, true},
		{`{"detail":{"ip":[{"cidr":"10.1.0.0/16"}]}}`, false},
		{`{"resources":["arn:b"]}`, true},
		{`{"resources":["arn:c"]}`, false},
		{`{"resources":[{"anything-but":"arn:a"}]}`, true}, // one of them is something else
		{`{"detail":{"containers":{"name":["log"],"exitCode":[1]}}}`, true},
		{`{"detail":{"containers":{"name":["app"],"exitCode":[1]}}}`, false}, // not of the same container
		{`{"$or":[{"source":["x"]},{"detail":{"lastStatus":["RUNNING"]}}]}`, true},
		{`{"$or":[{"source":["x"]},{"account":["y"]}]}`, false},
		{`{"detail":{"group":[{"prefix":"family:"},{"suffix":":api"}]}}`, true},
	} {
		w := must(New(Config{}))(t)
		out, err := w.TestEventPattern(&TestEventPatternInput{EventPattern: c.pattern, Event: event})
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		} else if out.Result != c.want {
			t.Errorf("%s matches: %v, want %v", c.pattern, out.Result, c.want)
		}
	}
}

func TestBadEventPatterns(t *testing.T) {
	w := must(New(Config{}))(t)
	for _, pattern := range []string{
		``, `x`, `[]`, `{}`, `{"source":"aws.ecs"}`, `{"source":[]}`, `{"detail":{}}`, `{"source":[["x"]]}`, `{"source":[{"prefix":1}]}`,
		`{"source":[{"prefix":"a","suffix":"b"}]}`, `{"source":[{"like":"a"}]}`, `{"source":[{"numeric":[">"]}]}`, `{"source":[{"numeric":["~",1]}]}`,
		`{"source":[{"numeric":[">","1"]}]}`, `{"source":[{"exists":"yes"}]}`, `{"source":[{"cidr":"10.0.0.0"}]}`, `{"source":[{"anything-but":[]}]}`,
		`{"source":[{"anything-but":{"like":"x"}}]}`, `{"$or":[{"source":["x"]}]}`, `{"$or":["x","y"]}`,
	} {
		_, err := w.TestEventPattern(&TestEventPatternInput{EventPattern: pattern, Event: "{}"})
		failsWith(t, pattern, err, "InvalidEventPatternException")
	}
}

// TestRulesSendEvents sets up what a user sets up on AWS: a queue, a rule, a target.
func TestRulesSendEvents(t *testing.T) {
	w := must(New(Config{}))(t)
	for _, q := range []string{"web", "spot"} {
		must(w.CreateQueue(&CreateQueueInput{QueueName: q}))(t)
	}
	rule := func(name, pattern, queue string) {
		t.Helper()
		must(w.PutRule(&PutRuleInput{Name: name, EventPattern: pattern}))(t)
		must(w.PutTargets(&PutTargetsInput{Rule: name, Targets: []EventTarget{{ID: "queue", Arn: "arn:aws:sqs:us-east-1:123456789012:" + queue}}}))(t)
	}
	rule("web", `{"source":["aws.ecs"],"detail":{"clusterArn":["arn:aws:ecs:us-east-1:123456789012:cluster/web"]}}`, "web")
	rule("spot", `{"detail-type":["EC2 Spot Instance Interruption Warning","EC2 Instance Rebalance Recommendation"]}`, "spot")
	script := "cluster other\nlaunch m7i.large\ncluster web\ntask a cpu 1 memory 1\nlaunch m7i.large lifecycle spot\nat 2m service a task a desired 2\nat 4m rebalance spot\nat 5m interrupt spot"
	if err := must(ParseScript(script))(t).Run(w); err != nil {
		t.Fatal(err)
	}
	w.Advance(w.Now().Add(10 * time.Minute))
	seen := map[string]int{}
	for _, e := range drainQueue(t, w, "web") {
		seen[e.DetailType]++
		if e.Source != "aws.ecs" || !strings.Contains(string(e.Detail), "cluster/web") {
			t.Errorf("the rule of web sent %s %s %s", e.Source, e.DetailType, e.Detail)
		}
	}
	if seen["ECS Task State Change"] < 4 || seen["ECS Container Instance State Change"] == 0 {
		t.Errorf("web got %v", seen)
	}
	if got := drainQueue(t, w, "spot"); len(got) != 2 || got[0].DetailType != "EC2 Instance Rebalance Recommendation" {
		t.Errorf("spot got %+v", got)
	}

	must(w.PutEvents(&PutEventsInput{Entries: []PutEventsEntry{{Source: "me", DetailType: "EC2 Instance Rebalance Recommendation", Detail: `{"a":1}`}}}))(t)
	w.Advance(w.Now().Add(time.Minute))
	if got := drainQueue(t, w, "spot"); len(got) != 1 || string(got[0].Detail) != `{"a":1}` || got[0].Source != "me" {
		t.Errorf("own events: %+v", got)
	}
	must(w.DisableRule(&RuleNameInput{Name: "spot"}))(t)
	must(w.PutEvents(&PutEventsInput{Entries: []PutEventsEntry{{Source: "me", DetailType: "EC2 Instance Rebalance Recommendation", Detail: `{}`}}}))(t)
	w.Advance(w.Now().Add(time.Minute))
	if got := drainQueue(t, w, "spot"); len(got) != 0 {
		t.Errorf("a disabled rule sent %+v", got)
	}
}

func TestRuleOperations(t *testing.T) {
	w := must(New(Config{}))(t)
	put := func(name string) error {
		_, err := w.PutRule(&PutRuleInput{Name: name, EventPattern: `{"source":["a"]}`, Description: "of " + name})
		return err
	}
	for _, name := range []string{"b", "a-2", "a-1"} {
		if err := put(name); err != nil {
			t.Fatal(err)
		}
	}
	page := must(w.ListRules(&ListRulesInput{NamePrefix: "a", Limit: 1}))(t)
	rest := must(w.ListRules(&ListRulesInput{NamePrefix: "a", Limit: 1, NextToken: page.NextToken}))(t)
	if len(page.Rules) != 1 || page.Rules[0].Name != "a-1" || rest.Rules[0].Name != "a-2" || rest.NextToken != "" {
		t.Errorf("pages %+v, %+v", page, rest)
	}
	_, err := w.ListRules(&ListRulesInput{NextToken: "x"})
	failsWith(t, "token", err, "ValidationException")
	failsWith(t, "name", put("with space"), "ValidationException")
	_, err = w.PutRule(&PutRuleInput{Name: "x"})
	failsWith(t, "neither pattern nor schedule", err, "ValidationException")
	_, err = w.PutRule(&PutRuleInput{Name: "x", EventPattern: "{}", EventBusName: "other"})
	failsWith(t, "bus", err, "ResourceNotFoundException")
	_, err = w.DescribeRule(&RuleNameInput{Name: "none"})
	failsWith(t, "describe", err, "ResourceNotFoundException")
	if r := must(w.DescribeRule(&RuleNameInput{Name: "b"}))(t); r.State != "ENABLED" || r.Arn != "arn:aws:events:us-east-1:123456789012:rule/b" || r.Description != "of b" {
		t.Errorf("rule %+v", r)
	}
	target := EventTarget{ID: "q", Arn: "arn:aws:sqs:us-east-1:123456789012:q"}
	for name, bad := range map[string]EventTarget{ //neap:unordered each stands alone
		"no id": {Arn: target.Arn}, "no arn": {ID: "q"}, "not an arn": {ID: "q", Arn: "q"}, "path": {ID: "q", Arn: target.Arn, InputPath: "$.detail"}, "input": {ID: "q", Arn: target.Arn, Input: "{"},
	} {
		_, err := w.PutTargets(&PutTargetsInput{Rule: "b", Targets: []EventTarget{bad}})
		failsWith(t, name, err, "ValidationException")
	}
	must(w.PutTargets(&PutTargetsInput{Rule: "b", Targets: []EventTarget{target}}))(t)
	_, err = w.DeleteRule(&RuleNameInput{Name: "b"})
	failsWith(t, "delete with targets", err, "ValidationException")
	if got := must(w.ListTargetsByRule(&ListTargetsByRuleInput{Rule: "b"}))(t).Targets; len(got) != 1 || got[0].ID != "q" {
		t.Errorf("targets %+v", got)
	}
	out := must(w.RemoveTargets(&RemoveTargetsInput{Rule: "b", IDs: []string{"q", "other"}}))(t)
	if out.FailedEntryCount != 1 || out.FailedEntries[0].TargetID != "other" {
		t.Errorf("removed %+v", out)
	}
	must(w.DeleteRule(&RuleNameInput{Name: "b"}))(t)
	must(w.DeleteRule(&RuleNameInput{Name: "b"}))(t) // once more does no harm
	bad := must(w.PutEvents(&PutEventsInput{Entries: []PutEventsEntry{
		{DetailType: "x", Detail: "{}"}, {Source: "aws.ecs", DetailType: "x", Detail: "{}"}, {Source: "me", Detail: "{}"}, {Source: "me", DetailType: "x", Detail: "[]"}, {Source: "me", DetailType: "x", Detail: "{}"},
	}}))(t)
	if bad.FailedEntryCount != 4 || bad.Entries[1].ErrorCode != "NotAuthorizedForSourceException" || bad.Entries[3].ErrorCode != "MalformedDetail" || bad.Entries[4].EventID == "" {
		t.Errorf("events %+v", bad)
	}
}

// TestChecklist09EventsComeTwiceAndInAnyOrder: events of ECS are durable, carry versions
// that rise with each change of a thing, and may come twice and out of order; those of EC2
// may get lost as well.
func TestChecklist09EventsComeTwiceAndInAnyOrder(t *testing.T) {
	story := "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large count 2 lifecycle spot\nat 60s service web task web desired 20\nat 4m rebalance spot 2\nat 5m service web desired 0\n"
	type told struct {
		versions   map[string][]int64 // in the order of arrival, by ARN
		ids        map[string]int
		bestEffort int
		durable    int
	}
	listen := func(faults string) told {
		w := run(t, Config{Seed: 3, EventQueues: []string{"events"}}, faults+"\n"+story, 15*time.Minute)
		got := told{versions: map[string][]int64{}, ids: map[string]int{}}
		for {
			out := must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: "events", MaxNumberOfMessages: 10}))(t)
			if len(out.Messages) == 0 {
				return got
			}
			for _, m := range out.Messages {
				var e struct {
					Version, ID, Source string
					Detail              struct {
						TaskArn, ContainerInstanceArn string
						Version                       int64
					}
				}
				if err := json.Unmarshal([]byte(m.Body), &e); err != nil || e.Version != "0" {
					t.Fatalf("%v: %s", err, m.Body)
				}
				got.ids[e.ID]++
				if e.Source == "aws.ec2" {
					got.bestEffort++
					continue
				}
				got.durable++
				arn := e.Detail.TaskArn
				if arn == "" {
					arn = e.Detail.ContainerInstanceArn
				}
				if e.Detail.Version > 0 {
					got.versions[arn] = append(got.versions[arn], e.Detail.Version)
				}
			}
		}
	}
	backward := func(got told) (n int) {
		for _, versions := range got.versions { //neap:unordered a sum
			for i := range versions[1:] {
				if versions[i+1] < versions[i] {
					n++
				}
			}
		}
		return n
	}
	twice := func(got told) (n int) {
		for _, times := range got.ids { //neap:unordered a sum
			n += times - 1
		}
		return n
	}

	calm := listen("")
	if twice(calm) != 0 || calm.bestEffort == 0 {
		t.Errorf("without faults %d events came twice, %d of EC2 came", twice(calm), calm.bestEffort)
	}
	for arn, versions := range calm.versions { //neap:unordered each stands alone
		seen := map[int64]bool{}
		for _, v := range versions {
			if seen[v] {
				t.Errorf("version %d of %s was told of two changes", v, arn)
			}
			seen[v] = true
		}
	}
	doubled := listen("events duplicate 50%")
	if n := twice(doubled); n < calm.durable/4 {
		t.Errorf("%d events came twice of %d, half were to", n, calm.durable)
	}
	mixed := listen("events reorder 60s")
	if before, after := backward(calm), backward(mixed); after <= before || len(mixed.ids) != len(calm.ids) {
		t.Errorf("%d events came behind a later one, %d without disorder; %d events, %d without", after, before, len(mixed.ids), len(calm.ids))
	}
	lossy := listen("events drop 100%")
	if lossy.bestEffort != 0 || lossy.durable != calm.durable {
		t.Errorf("with losses %d events of EC2 and %d of ECS came, want none and %d", lossy.bestEffort, lossy.durable, calm.durable)
	}
	if all := listen("events drop 100% of all"); all.bestEffort+all.durable != 0 {
		t.Errorf("%d events came, all were to be lost", all.bestEffort+all.durable)
	}
}
