package cloud

import (
	"reflect"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// recorded is an event of CloudTrail about RunTask in the cluster prod.
func recorded(request, answer, more string) string {
	return event("aws.ecs", "AWS API Call via CloudTrail", ``, `{"eventSource":"ecs.amazonaws.com","eventName":"RunTask","eventID":"e1",
		"userIdentity":{"arn":"arn:aws:sts::1:assumed-role/batch/x"}`+more+`,"requestParameters":`+request+`,"responseElements":`+answer+`}`)
}

func TestReadRefusal(t *testing.T) {
	const definition = "arn:aws:ecs:us-east-1:1:task-definition/job:3"
	memory := int64(4096)
	for _, c := range []struct {
		name string
		body string
		want *Refusal // without Ask
	}{
		{
			"RunTask found no room for two of three",
			recorded(`{"cluster":"prod","taskDefinition":"job","count":3,"launchType":"EC2"}`,
				`{"tasks":[{"taskArn":"arn:aws:ecs:us-east-1:1:task/prod/t1","taskDefinitionArn":"`+definition+`"}],
				"failures":[{"arn":"arn:aws:ecs:us-east-1:1:container-instance/prod/c1","reason":"RESOURCE:MEMORY"},{"arn":"arn:aws:ecs:us-east-1:1:container-instance/prod/c2","reason":"RESOURCE:CPU"},{"arn":"c3","reason":"AGENT"}]}`, ""),
			&Refusal{ID: "e1", Refused: snapshot.Refused{TaskDefinition: definition, Group: "family:job", LaunchType: "EC2", Count: 2, Since: eventAt, Reason: "RESOURCE:MEMORY"}},
		},
		{
			"with all that RunTask takes",
			recorded(`{"cluster":"arn:aws:ecs:us-east-1:1:cluster/prod","taskDefinition":"job:3","group":"nightly","clientToken":"x",
				"overrides":{"cpu":"512","containerOverrides":[{"name":"a","memory":4096,"environment":"HIDDEN_DUE_TO_SECURITY_REASONS","resourceRequirements":[{"type":"GPU","value":"1"}]},{"name":"b","command":["x"]}]},
				"capacityProviderStrategy":[{"capacityProvider":"spot","weight":3},{"capacityProvider":"od","base":1,"weight":1}],
				"placementConstraints":[{"type":"memberOf","expression":"attribute:a == b"}],"placementStrategy":[{"type":"binpack","field":"memory"}],
				"networkConfiguration":{"awsvpcConfiguration":{"subnets":["subnet-a"]}}}`,
				`{"tasks":[],"failures":[{"reason":"MemberOf placement constraint unsatisfied."}]}`, ""),
			&Refusal{ID: "e1", Refused: snapshot.Refused{
				TaskDefinition: "job:3", Group: "nightly", CapacityProvider: "spot", Count: 1, Since: eventAt, Reason: "MemberOf placement constraint unsatisfied.",
				Overrides:   snapshot.Overrides{CPU: "512", Containers: []snapshot.ContainerOverride{{Name: "a", Memory: &memory, GPUs: "1"}}},
				Constraints: []snapshot.Constraint{{Type: "memberOf", Expression: "attribute:a == b"}},
				Placement:   []snapshot.PlacementRule{{Type: "binpack", Field: "memory"}}, Subnets: []string{"subnet-a"},
			}},
		},
		{
			"in an empty cluster, which ECS calls a wrong request",
			recorded(`{"cluster":"prod","taskDefinition":"job:3"}`, `null`, `,"errorCode":"InvalidParameterException","errorMessage":"No Container Instances were found in your cluster."`),
			&Refusal{ID: "e1", Refused: snapshot.Refused{TaskDefinition: "job:3", Group: "family:job", Count: 1, Since: eventAt, Reason: noInstances}},
		},
		{"RunTask that gave all", recorded(`{"cluster":"prod","taskDefinition":"job:3"}`, `{"tasks":[{}],"failures":[]}`, ""), nil},
		{"RunTask of what is not there", recorded(`{"cluster":"prod","taskDefinition":"job:3"}`, `{"tasks":[],"failures":[{"reason":"MISSING"}]}`, ""), nil},
		{"a wrong request", recorded(`{"cluster":"prod","taskDefinition":"job:3"}`, `null`, `,"errorMessage":"TaskDefinition is inactive"`), nil},
		{"a request of another form", recorded(`{"cluster":"prod","taskDefinition":7}`, `{"failures":[{"reason":"RESOURCE:CPU"}]}`, ""), nil},
		{
			"a task that waited for a capacity provider in vain",
			event("aws.ecs", "ECS Task State Change", ``, `{"clusterArn":"arn:aws:ecs:us-east-1:1:cluster/prod","taskArn":"arn:aws:ecs:us-east-1:1:task/prod/t1","taskDefinitionArn":"`+definition+`","group":"family:job","lastStatus":"STOPPED","stopCode":"TaskFailedToStart","stoppedReason":"TaskFailedToStart: RESOURCE:CPU","capacityProviderName":"asg","overrides":{"containerOverrides":[{"name":"a"}]},"attachments":[{"details":[{"name":"subnetId","value":"subnet-b"}]}]}`),
			&Refusal{ID: "t1", Refused: snapshot.Refused{TaskDefinition: definition, Group: "family:job", CapacityProvider: "asg", Count: 1, Since: eventAt, Subnets: []string{"subnet-b"}, Reason: "TaskFailedToStart: RESOURCE:CPU"}},
		},
		{
			"a task whose image cannot be pulled",
			event("aws.ecs", "ECS Task State Change", ``, `{"clusterArn":"arn:aws:ecs:us-east-1:1:cluster/prod","taskArn":"t1","taskDefinitionArn":"`+definition+`","group":"family:job","lastStatus":"STOPPED","stopCode":"TaskFailedToStart","stoppedReason":"CannotPullContainerError: gone"}`), nil,
		},
		{
			"a task of a service, which starts another by itself",
			event("aws.ecs", "ECS Task State Change", ``, `{"clusterArn":"arn:aws:ecs:us-east-1:1:cluster/prod","taskArn":"t1","taskDefinitionArn":"`+definition+`","group":"service:web","lastStatus":"STOPPED","stopCode":"TaskFailedToStart","stoppedReason":"RESOURCE:CPU"}`), nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := readEvent([]byte(c.body))
			if err != nil || e.Cluster != "prod" {
				t.Fatalf("cluster %q, %v", e.Cluster, err)
			}
			if e.Refusal == nil || c.want == nil {
				if e.Refusal != nil || c.want != nil {
					t.Fatalf("got %+v, want %+v", e.Refusal, c.want)
				}
				return
			}
			if e.Refusal.Ask == "" {
				t.Error("it does not say what was asked for")
			}
			c.want.Ask = e.Refusal.Ask
			if !reflect.DeepEqual(e.Refusal, c.want) {
				t.Errorf("got  %+v\nwant %+v", e.Refusal, c.want)
			}
		})
	}
}

// TestAskIsTheSameWhenItIsAskedAgain: a retry has another client token, and nothing else.
func TestAskIsTheSameWhenItIsAskedAgain(t *testing.T) {
	ask := func(request string) string {
		e, err := readEvent([]byte(recorded(request, `{"failures":[{"reason":"RESOURCE:CPU"}]}`, "")))
		if err != nil || e.Refusal == nil {
			t.Fatalf("%+v, %v", e, err)
		}
		return e.Refusal.Ask
	}
	first := ask(`{"cluster":"prod","taskDefinition":"job:3","clientToken":"a","overrides":{"containerOverrides":[{"name":"a","command":["1"]}]}}`)
	again := ask(`{"clientToken":"b","taskDefinition":"job:3","cluster":"prod","overrides":{"containerOverrides":[{"command":["1"],"name":"a"}]}}`)
	other := ask(`{"cluster":"prod","taskDefinition":"job:3","overrides":{"containerOverrides":[{"name":"a","command":["2"]}]}}`)
	if first != again {
		t.Error("a retry counts as something else")
	}
	if first == other {
		t.Error("another command counts as a retry")
	}
}

func TestReadStartedStandaloneTask(t *testing.T) {
	body := event("aws.ecs", "ECS Task State Change", ``, `{"clusterArn":"arn:aws:ecs:us-east-1:1:cluster/prod","taskArn":"arn:aws:ecs:us-east-1:1:task/prod/t1","containerInstanceArn":"arn:aws:ecs:us-east-1:1:container-instance/prod/c1","taskDefinitionArn":"d","group":"family:job","lastStatus":"PENDING","createdAt":"2026-10-01T11:59:00.5Z","overrides":{"containerOverrides":[{"name":"a"}]}}`)
	e, err := readEvent([]byte(body))
	if err != nil || e.Started == nil || e.Started.Group != "family:job" || !e.Created.Equal(time.Date(2026, 10, 1, 11, 59, 0, 5e8, time.UTC)) || len(e.Started.Overrides.Containers) > 0 {
		t.Errorf("got %+v, %v", e, err)
	}
}
