package awssim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet/sim"
)

const (
	targetECS = "AmazonEC2ContainerServiceV20141113."
	targetSQS = "AmazonSQS."
)

// authorization is a well formed header for a service.
func authorization(service string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260105/us-east-1/" + service +
		"/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef"
}

// raw sends a request as no SDK would.
type raw struct {
	method, path, target, authorization, body string
	contentType                               string // usually that of the protocol
}

func (q raw) send(h http.Handler) *http.Response {
	method, path := q.method, q.path
	if method == "" {
		method = http.MethodPost
	}
	if path == "" {
		path = "/"
	}
	r := httptest.NewRequest(method, path, strings.NewReader(q.body))
	if q.target != "" {
		r.Header.Set("X-Amz-Target", q.target)
		r.Header.Set("Content-Type", contentJSON11)
	}
	if q.contentType != "" {
		r.Header.Set("Content-Type", q.contentType)
	}
	if q.authorization != "" {
		r.Header.Set("Authorization", q.authorization)
		r.Header.Set("X-Amz-Date", "20260105T090000Z")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func newWorld(t testing.TB) *sim.World {
	t.Helper()
	world, err := sim.New(sim.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return world
}

// TestRefusals shows what a client gets that is not one, or that asks for what is not there:
// the status, the code, and the body in the protocol that it speaks.
func TestRefusals(t *testing.T) {
	server := New(newWorld(t), Options{Speed: Frozen, Latency: -1})
	const ec2Error = "<Response><Errors><Error><Code>"
	for _, c := range []struct {
		name    string
		request raw
		status  int
		want    string // in the body
	}{
		{"no action", raw{authorization: authorization("ec2")}, 400, ec2Error + "MissingAction<"},
		{"no signature, JSON", raw{target: targetECS + "ListClusters", body: "{}"}, 400, `"__type":"MissingAuthenticationTokenException"`},
		{"no signature, EC2", raw{body: "Action=DescribeInstances&Version=2016-11-15"}, 403, ec2Error + "MissingAuthenticationToken<"},
		{"no signature, STS", raw{body: "Action=GetCallerIdentity&Version=2011-06-15"}, 403, "<Error><Type>Sender</Type><Code>MissingAuthenticationToken<"},
		{"other algorithm", raw{target: targetECS + "ListClusters", authorization: "Basic dXNlcjpwYXNz"}, 400, `"__type":"IncompleteSignatureException"`},
		{"half a signature", raw{body: "Action=DescribeInstances", authorization: "AWS4-HMAC-SHA256 Credential=A/20260105/us-east-1/ec2/aws4_request"}, 400, ec2Error + "IncompleteSignature<"},
		{"no scope", raw{target: targetSQS + "ReceiveMessage", authorization: "AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host, Signature=00"}, 400, `"__type":"com.amazonaws.sqs#IncompleteSignatureException"`},
		{"not pairs", raw{target: targetECS + "ListClusters", authorization: "AWS4-HMAC-SHA256 nonsense"}, 400, "not a valid key=value pair"},
		{"service that is not simulated", raw{target: "TrentService.ListKeys", authorization: authorization("kms")}, 501, `"__type":"ServiceNotSimulated","message":"kms is not simulated here; these services are: `},
		{"scope of another service", raw{target: targetECS + "ListClusters", authorization: authorization("sqs")}, 400, `"__type":"InvalidSignatureException","message":"Credential should be scoped to correct service: 'ecs'."`},
		{"scope of another service, EC2", raw{body: "Action=DescribeInstances", authorization: authorization("ecs")}, 401, ec2Error + "AuthFailure<"},
		{"unknown target", raw{target: "DynamoDB_20120810.PutItem", authorization: authorization("ecs")}, 400, `"__type":"UnknownOperationException"`},
		{"target without operation", raw{target: "AmazonSSM", authorization: authorization("ssm")}, 400, `"__type":"UnknownOperationException"`},
		{"unknown operation", raw{target: targetECS + "MakeCoffee", authorization: authorization("ecs")}, 400, `"__type":"UnknownOperationException"`},
		{"unknown action", raw{body: "Action=Make%3CCoffee&Version=2016-11-15", authorization: authorization("ec2")}, 400, ec2Error + "InvalidAction</Code><Message>The action Make&lt;Coffee is not valid"},
		{"body that is no JSON", raw{target: targetECS + "ListClusters", authorization: authorization("ecs"), body: "Action=1"}, 400, `"__type":"SerializationException"`},
		{"body of wrong types", raw{target: targetECS + "ListClusters", authorization: authorization("ecs"), body: `{"maxResults":"ten"}`}, 400, "STRING_VALUE can not be converted to a Number"},
		{"body that is no form", raw{body: "Action=%zz", authorization: authorization("ec2")}, 400, ec2Error + "MalformedQueryString<"},
		{"parameter of a wrong type", raw{body: "Action=DescribeInstances&MaxResults=ten", authorization: authorization("ec2")}, 400, "Value (ten) for parameter MaxResults is invalid."},
		{"dry run of a read", raw{body: "Action=DescribeAvailabilityZones&DryRun=true", authorization: authorization("ec2")}, 412, ec2Error + "DryRunOperation<"},
		{"body without end", raw{target: targetECS + "ListClusters", authorization: authorization("ecs"), body: strings.Repeat(" ", maxBody+1)}, 413, `"__type":"RequestEntityTooLarge"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			response := c.request.send(server)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != c.status || !strings.Contains(string(body), c.want) {
				t.Errorf("%d %s\nwant %d with %s", response.StatusCode, body, c.status, c.want)
			}
			if response.Header.Get("X-Amzn-RequestId") == "" {
				t.Error("the answer has no request ID")
			}
			if got := response.Header.Get("Date"); got != "Mon, 05 Jan 2026 09:00:00 GMT" {
				t.Errorf("the date is %q, want that of the world", got)
			}
		})
	}
}

// TestCallerIdentity asks who it is, as credential chains do, in both ways that they do.
func TestCallerIdentity(t *testing.T) {
	server := New(newWorld(t), Options{Speed: Frozen, Latency: -1})
	for _, request := range []raw{
		{body: "Action=GetCallerIdentity&Version=2011-06-15", authorization: authorization("sts")},
		{method: http.MethodGet, path: "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential=AKID%2F20260105%2Fus-east-1%2Fsts%2Faws4_request"},
	} {
		response := request.send(server)
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK || !strings.Contains(string(body), "<GetCallerIdentityResult><UserId>AIDASIMULATEDUSER0000</UserId><Account>123456789012</Account>") {
			t.Errorf("%d %s", response.StatusCode, body)
		}
	}
}

// TestRequestIDs: no two requests share one.
func TestRequestIDs(t *testing.T) {
	server := New(newWorld(t), Options{Speed: Frozen, Latency: -1})
	seen := map[string]bool{}
	for range 100 {
		response := raw{target: targetECS + "ListClusters", authorization: authorization("ecs")}.send(server)
		response.Body.Close()
		id := response.Header.Get("X-Amzn-RequestId")
		if seen[id] || len(id) != 36 {
			t.Fatalf("request ID %q: not new, or not of the right form", id)
		}
		seen[id] = true
	}
}

// FuzzRequest sends anything at all to every operation: the server answers with something
// that a client of the protocol can read, and never panics.
func FuzzRequest(f *testing.F) {
	f.Add("ecs", "DescribeServices", `{"cluster":"web","services":["api"],"include":["TAGS"]}`)
	f.Add("ecs", "UpdateService", `{"cluster":"web","service":"api","desiredCount":2147483647,"placementStrategy":[{"type":"spread","field":"attribute:"}]}`)
	f.Add("ecs", "RegisterTaskDefinition", `{"family":"x","networkMode":"awsvpc","cpu":"1 vCPU","memory":"-1","containerDefinitions":[{"name":"a","memory":1,"portMappings":[{"hostPort":70000}]}]}`)
	f.Add("ecs", "CreateService", `{"cluster":"web","desiredCount":-1,"deploymentConfiguration":{"maximumPercent":null}}`)
	f.Add("ecs", "RunTask", `{"overrides":{"containerOverrides":[null]},"placementConstraints":[{"type":"memberOf","expression":"attribute:x =~ ("}]}`)
	f.Add("ecs", "ListContainerInstances", `{"filter":"not","maxResults":9223372036854775807,"nextToken":"%%"}`)
	f.Add("sqs", "ReceiveMessage", `{"QueueUrl":"://","MaxNumberOfMessages":-1}`)
	f.Add("sqs", "CreateQueue", `{"QueueName":"q","Attributes":{"VisibilityTimeout":"x"}}`)
	f.Add("ssm", "GetParameters", `{"Names":["/aws/service","",null]}`)
	f.Add("pricing", "GetProducts", `{"Filters":[{"Type":"TERM_MATCH"}],"MaxResults":-5}`)
	f.Add("ec2", "CreateFleet", "LaunchTemplateConfigs.1.Overrides.7.InstanceType=m7i.large&TargetCapacitySpecification.TotalTargetCapacity=-1&Type=instant")
	f.Add("ec2", "RunInstances", "MinCount=9223372036854775807&MaxCount=-1&UserData=%FF&TagSpecification.1.Tag.1.Key=")
	f.Add("ec2", "DescribeInstances", "Filter.1.Name=tag:&Filter.1.Value.1=[*&MaxResults=5&NextToken=AAAA")
	f.Add("sts", "GetCallerIdentity", "a..b=1&=2&.=3")
	services := map[string]*service{}
	for _, s := range append(append([]*service{}, jsonServices...), queryServices...) {
		services[s.name] = s
	}
	f.Fuzz(func(t *testing.T, name, operation, body string) {
		server := New(livelyWorld(t), Options{Speed: Frozen, Latency: -1})
		request := raw{authorization: authorization(name), body: body}
		s := services[name]
		switch {
		case s == nil || operation == "" || strings.ContainsAny(operation, "\r\n\x00"):
			return
		case s.target != "":
			request.target = s.target + "." + operation
		case name == "sts":
			request.body += "&Version=" + stsVersion
			fallthrough
		default:
			request.body += "&Action=" + operation
		}
		// A poll must not hold the fuzzer up.
		if strings.Contains(body, "WaitTimeSeconds") {
			return
		}
		response := request.send(server)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode >= http.StatusInternalServerError && strings.Contains(string(text), "encode the answer") {
			t.Errorf("%d %s", response.StatusCode, text)
		}
		if s.target != "" && !json.Valid(text) {
			t.Errorf("the answer is not JSON: %s", text)
		}
	})
}

// livelyWorld has a cluster with a service, an instance, tasks and a queue of events.
func livelyWorld(t testing.TB) *sim.World {
	t.Helper()
	world, err := sim.New(sim.Config{Seed: 1, EventQueues: []string{"q"}})
	if err != nil {
		t.Fatal(err)
	}
	script, err := sim.ParseScript("cluster web\nlaunch m7i.large\ntask app cpu 256 memory 256\nservice api task app desired 3\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := script.Run(world); err != nil {
		t.Fatal(err)
	}
	world.Advance(world.Now().Add(10 * time.Minute))
	return world
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add(`{"cluster":"web","tasks":["a"],"networkConfiguration":{"awsvpcConfiguration":{"subnets":[]}}}`)
	f.Add(`{"a":{"a":{"a":[[[[]]]]}}}`)
	f.Fuzz(func(_ *testing.T, body string) {
		_ = decodeJSON([]byte(body), &sim.CreateServiceInput{})
		_ = decodeJSON([]byte(body), &sim.RegisterTaskDefinitionInput{})
	})
}
