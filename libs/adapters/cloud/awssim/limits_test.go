package awssim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// ask sends a call of an operation as a client would: JSON or a query, as the service
// speaks; "sqs query" is SQS as it once was.
func ask(server http.Handler, name, operation, body string) (status int, text string, header http.Header) {
	signed, byQuery := strings.CutSuffix(name, " query")
	request := raw{authorization: authorization(signed), body: body}
	for _, s := range jsonServices {
		if s.name == name && !byQuery {
			request.target = s.target + "." + operation
		}
	}
	if request.target == "" {
		for _, s := range queryServices {
			if s.name == signed {
				request.body = "Action=" + operation + "&Version=" + s.version + "&" + body
			}
		}
	}
	response := request.send(server)
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error(), response.Header
	}
	return response.StatusCode, string(b), response.Header
}

// one is a call that takes one token from a bucket.
type one struct{ service, operation, body string }

// published are the rate limits that AWS publishes, by the operations that share them.
var published = []struct {
	name      string
	burst     int
	perSecond float64
	code      string
	status    int
	calls     []one
}{
	{"ecs cluster resource read", 100, 20, "ThrottlingException", 400, []one{
		{"ecs", "ListContainerInstances", "{}"}, {"ecs", "DescribeContainerInstances", "{}"}, {"ecs", "ListTasks", "{}"}, {"ecs", "DescribeTasks", "{}"}, {"ecs", "ListAttributes", `{"targetType":"container-instance"}`},
	}},
	{"ecs cluster resource modify", 100, 40, "ThrottlingException", 400, []one{
		{"ecs", "UpdateContainerInstancesState", "{}"}, {"ecs", "StopTask", "{}"}, {"ecs", "RunTask", "{}"}, {"ecs", "DeregisterContainerInstance", "{}"}, {"ecs", "PutAttributes", "{}"}, {"ecs", "DeleteAttributes", "{}"},
	}},
	{"ecs service read", 100, 20, "ThrottlingException", 400, []one{{"ecs", "ListServices", "{}"}, {"ecs", "DescribeServices", "{}"}}},
	{"ecs service modify", 50, 5, "ThrottlingException", 400, []one{{"ecs", "UpdateService", "{}"}}},
	{"ecs task definition read", 50, 20, "ThrottlingException", 400, []one{{"ecs", "DescribeTaskDefinition", "{}"}, {"ecs", "ListTaskDefinitions", "{}"}}},
	{"ecs cluster read", 50, 20, "ThrottlingException", 400, []one{{"ecs", "DescribeClusters", "{}"}}},
	{"ecs capacity provider read", 50, 20, "ThrottlingException", 400, []one{{"ecs", "DescribeCapacityProviders", "{}"}}},
	{"ecs tag read", 50, 20, "ThrottlingException", 400, []one{{"ecs", "ListTagsForResource", "{}"}}},
	{"ecs settings read", 50, 20, "ThrottlingException", 400, []one{{"ecs", "ListAccountSettings", "{}"}}},
	{"ecs task protection read", 200, 80, "ThrottlingException", 400, []one{{"ecs", "GetTaskProtection", "{}"}}},
	{"ecs task protection modify", 200, 80, "ThrottlingException", 400, []one{{"ecs", "UpdateTaskProtection", "{}"}}},
	{"ecs tag modify", 20, 10, "ThrottlingException", 400, []one{{"ecs", "TagResource", "{}"}}},
	{"ec2 reads", 100, 20, "RequestLimitExceeded", 503, []one{{"ec2", "DescribeSubnets", ""}}},
	{"ec2 reads of another operation", 100, 20, "RequestLimitExceeded", 503, []one{{"ec2", "DescribeInstanceTypes", ""}}},
	{"ec2 reads of pages", 100, 20, "RequestLimitExceeded", 503, []one{{"ec2", "DescribeInstances", "MaxResults=5"}, {"ec2", "DescribeInstances", "Filter.1.Name=vpc-id&Filter.1.Value.1=x"}}},
	{"ec2 reads of everything", 50, 10, "RequestLimitExceeded", 503, []one{{"ec2", "DescribeInstances", ""}}},
	{"ec2 changes", 50, 5, "RequestLimitExceeded", 503, []one{{"ec2", "CreateFleet", "LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateName=x&TargetCapacitySpecification.TotalTargetCapacity=0"}}},
	{"ec2 launches", 5, 2, "RequestLimitExceeded", 503, []one{{"ec2", "RunInstances", "MinCount=1&MaxCount=1"}}},
	{"ec2 terminations", 100, 5, "RequestLimitExceeded", 503, []one{{"ec2", "TerminateInstances", "InstanceId.1=i-1"}}},
	{"ec2 tags", 100, 10, "RequestLimitExceeded", 503, []one{{"ec2", "CreateTags", "ResourceId.1=i-1&Tag.1.Key=a&Tag.1.Value=b"}}},
	{"ec2 launched instances", 10, 2, "RequestLimitExceeded", 503, []one{{"ec2", "CreateFleet", "LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateName=x&TargetCapacitySpecification.TotalTargetCapacity=100"}}},
	{"ec2 terminated instances", 20, 20, "RequestLimitExceeded", 503, []one{{"ec2", "TerminateInstances", instances(50)}}},
	{"ssm", 40, 40, "ThrottlingException", 400, []one{{"ssm", "GetParameter", `{"Name":"/x"}`}, {"ssm", "GetParameters", `{"Names":["/x"]}`}}},
	{"pricing", 10, 10, "ThrottlingException", 400, []one{{"pricing", "GetProducts", `{"ServiceCode":"AmazonEC2"}`}}},
}

// instances are parameters that name so many instances.
func instances(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "&InstanceId.%d=i-%017x", i+1, i)
	}
	return b.String()[1:]
}

// tokens is how much a call of one of the published limits takes.
var tokens = map[string]float64{"ec2 launched instances": 100, "ec2 terminated instances": 50}

// TestChecklist01EveryBucket: each published bucket of ECS and EC2 holds just
// its burst, shared by all the operations of it and all callers, refills at just its rate in
// virtual time, and refuses with the code and status of its service.
func TestChecklist01EveryBucket(t *testing.T) {
	for _, c := range published {
		t.Run(c.name, func(t *testing.T) {
			server := New(newWorld(t), Options{Speed: Frozen, Latency: -1, Throttle: true})
			number := 0
			throttled := func() bool {
				call := c.calls[number%len(c.calls)]
				number++
				status, text, header := ask(server, call.service, call.operation, call.body)
				if !strings.Contains(text, c.code) {
					return false
				}
				if status != c.status || header.Get("X-Amzn-RequestId") == "" {
					t.Fatalf("throttled with %d %s", status, text)
				}
				return true
			}
			for i := range c.burst {
				if throttled() {
					t.Fatalf("call %d is throttled, %d are to pass", i+1, c.burst)
				}
			}
			if !throttled() {
				t.Fatalf("call %d passes", c.burst+1)
			}
			cost := max(tokens[c.name], 1)
			whole := time.Duration(cost / c.perSecond * float64(time.Second))
			server.Advance(whole - time.Millisecond)
			if !throttled() {
				t.Errorf("%v are enough for another call, want %v", whole-time.Millisecond, whole)
			}
			server.Advance(time.Millisecond)
			if throttled() {
				t.Errorf("%v are not enough for another call", whole)
			}
			if !throttled() {
				t.Errorf("%v are enough for two calls", whole)
			}
		})
	}
}

// TestLimitsAreToldAndChanged: the side door tells how full the buckets are, and a script
// scales them while the server runs.
func TestLimitsAreToldAndChanged(t *testing.T) {
	a := open(t, sim.Config{}, Options{})
	a.script("throttle ecs 10%\n")
	for i := range 12 {
		status, text, _ := ask(a.server, "ecs", "ListServices", "{}")
		if limited := strings.Contains(text, "ThrottlingException"); limited != (i >= 10) {
			t.Fatalf("call %d: %d %s", i+1, status, text)
		}
	}
	_, body := a.side(http.MethodGet, "limits", "")
	var limits struct {
		Throttling bool
		Buckets    []sim.Level
	}
	if err := json.Unmarshal([]byte(body), &limits); err != nil {
		t.Fatal(err)
	}
	want := sim.Level{Bucket: "ecs service read", Burst: 10, PerSecond: 2, Tokens: 0, Throttled: 2}
	if !limits.Throttling || len(limits.Buckets) != 1 || limits.Buckets[0] != want {
		t.Errorf("limits %s, want %+v", body, want)
	}
	a.script("throttle off\n")
	if status, text, _ := ask(a.server, "ecs", "ListServices", "{}"); strings.Contains(text, "ThrottlingException") {
		t.Errorf("after they were turned off: %d %s", status, text)
	}
}
