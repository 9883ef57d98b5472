package awssim

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet/sim"
)

const (
	here = "arn:aws:ecs:us-east-1:123456789012:"
	long = `"` // closed by quoted
)

// quoted is a text of n letters in JSON.
func quoted(n int) string { return long + strings.Repeat("x", n) + long }

// list is a list of n texts in JSON.
func list(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(`"x",`, n), ",") + "]" }

// TestBadInput sends what is wrong in every way a request can be, to every service: the
// code and the status are AWS's, and nothing of it reaches the world.
func TestBadInput(t *testing.T) {
	const invalid, client, serialization, validation = "InvalidParameterException", "ClientException", "SerializationException", "ValidationException"
	server := New(livelyWorld(t), Options{Speed: Frozen, Latency: -1})
	for _, c := range []struct {
		service, operation, body string
		status                   int
		code, words              string
	}{
		// Operations that are not there.
		{"ecs", "LaunchRocket", `{}`, 400, "UnknownOperationException", ""},
		{"ecs", "", `{}`, 400, "UnknownOperationException", ""},
		{"ecs", "describeclusters", `{}`, 400, "UnknownOperationException", ""},
		{"ssm", "LaunchRocket", `{}`, 400, "UnknownOperationException", ""},
		{"pricing", "LaunchRocket", `{}`, 400, "UnknownOperationException", ""},
		{"events", "LaunchRocket", `{}`, 400, "UnknownOperationException", ""},
		{"sqs", "LaunchRocket", `{}`, 400, "UnknownOperationException", ""},
		{"ec2", "LaunchRocket", "", 400, "InvalidAction", ""},
		{"sqs query", "LaunchRocket", "", 400, "InvalidAction", ""},
		{"sts", "LaunchRocket", "", 400, "InvalidAction", ""},
		// Bodies that cannot be read.
		{"ecs", "ListClusters", `{"maxResults":`, 400, serialization, ""},
		{"ecs", "ListClusters", `[]`, 400, serialization, ""},
		{"ecs", "ListClusters", `null`, 400, serialization, ""},
		{"ecs", "ListClusters", `"x"`, 400, serialization, ""},
		{"ecs", "ListClusters", `{"maxResults":1}}`, 400, serialization, ""},
		{"ecs", "ListClusters", "\x00\x01", 400, serialization, ""},
		{"ssm", "GetParameters", `{]`, 400, serialization, ""},
		{"sqs", "ReceiveMessage", `{'QueueUrl'}`, 400, serialization, ""},
		// Wrong types.
		{"ecs", "ListClusters", `{"maxResults":"ten"}`, 400, serialization, "STRING_VALUE can not be converted to a Number"},
		{"ecs", "ListServices", `{"cluster":7}`, 400, serialization, "NUMBER_VALUE can not be converted to a String"},
		{"ecs", "ListServices", `{"cluster":true}`, 400, serialization, "BOOLEAN_VALUE can not be converted to a String"},
		{"ecs", "ListServices", `{"cluster":{}}`, 400, serialization, ""},
		{"ecs", "DescribeServices", `{"services":"api"}`, 400, serialization, "STRING_VALUE can not be converted to a List"},
		{"ecs", "DescribeServices", `{"services":[1]}`, 400, serialization, ""},
		{"ecs", "UpdateService", `{"service":"api","desiredCount":1.5}`, 400, serialization, ""},
		{"ecs", "UpdateService", `{"service":"api","desiredCount":99999999999999999999}`, 400, serialization, ""},
		{"ssm", "GetParameter", `{"Name":["x"]}`, 400, serialization, ""},
		{"sqs", "SendMessage", `{"QueueUrl":"q","MessageBody":{}}`, 400, serialization, ""},
		{"pricing", "GetProducts", `{"Filters":{}}`, 400, serialization, ""},
		{"ec2", "DescribeInstances", "MaxResults=ten", 400, "InvalidParameterValue", ""},
		{"ec2", "TerminateInstances", "InstanceId=i-1", 400, "", ""},
		// What a request must have.
		{"ecs", "DescribeTasks", `{"cluster":"web"}`, 400, invalid, "Tasks cannot be empty."},
		{"ecs", "DescribeServices", `{"cluster":"web"}`, 400, invalid, "Services cannot be empty."},
		{"ecs", "DescribeContainerInstances", `{"cluster":"web"}`, 400, invalid, ""},
		{"ecs", "DescribeTaskDefinition", `{}`, 400, client, ""},
		{"ecs", "RegisterTaskDefinition", `{}`, 400, client, ""},
		{"ecs", "CreateService", `{"cluster":"web"}`, 400, "", ""},
		{"ecs", "RunTask", `{"cluster":"web"}`, 400, "", ""},
		{"ecs", "StopTask", `{"cluster":"web"}`, 400, "", ""},
		{"ecs", "DeregisterContainerInstance", `{"cluster":"web"}`, 400, "", ""},
		{"ecs", "CreateService", `{"cluster":"web","serviceName":"x","taskDefinition":"app","networkConfiguration":{"awsvpcConfiguration":{}}}`, 400, invalid, "Value null at 'networkConfiguration.awsvpcConfiguration.subnets' failed to satisfy constraint: Member must not be null"},
		{"ssm", "GetParameter", `{}`, 400, validation, "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{"ssm", "GetParameters", ``, 400, validation, "Value null at 'names'"},
		{"pricing", "GetProducts", `{}`, 400, invalid, "Value null at 'serviceCode'"},
		{"sqs", "CreateQueue", `{}`, 400, "MissingParameter", "The request must contain the parameter QueueName."},
		{"sqs", "SendMessage", `{"QueueUrl":"http://x/123456789012/q"}`, 400, "MissingParameter", "The request must contain the parameter MessageBody."},
		{"sqs", "ReceiveMessage", `{}`, 400, "MissingParameter", "The request must contain the parameter QueueUrl."},
		{"sqs query", "CreateQueue", "", 400, "MissingParameter", "The request must contain the parameter QueueName."},
		{"events", "PutRule", `{}`, 400, validation, "Value null at 'name'"},
		{"events", "PutTargets", `{"Rule":"r","Targets":[{"Id":"a"}]}`, 400, validation, "Value null at 'targets.1.member.arn'"},
		{"ec2", "RunInstances", "", 400, "MissingParameter", ""},
		{"ec2", "TerminateInstances", "", 400, "MissingParameter", ""},
		// ARNs of other things and places.
		{"ecs", "ListServices", `{"cluster":"arn:aws:ecs"}`, 400, invalid, "Invalid identifier"},
		{"ecs", "ListServices", `{"cluster":"arn:aws:ecs:eu-west-1:123456789012:cluster/web"}`, 400, invalid, "Identifier is for eu-west-1."},
		{"ecs", "ListServices", `{"cluster":"arn:aws:ecs:us-east-1:999999999999:cluster/web"}`, 400, invalid, "Identifier is for 999999999999. Your accountId is 123456789012"},
		{"ecs", "ListServices", `{"cluster":"` + here + `service/web/api"}`, 400, invalid, "Unexpected resource type service"},
		{"ecs", "ListServices", `{"cluster":"` + here + `cluster/a/b/c"}`, 400, invalid, "Unexpected number of separators"},
		{"ecs", "DescribeTasks", `{"cluster":"web","tasks":["` + here + `task/other/0123456789abcdef0123456789abcdef"]}`, 400, invalid, "Identifier is for other. Your cluster is web"},
		{"ecs", "DescribeServices", `{"cluster":"web","services":["arn:aws:ec2:us-east-1:123456789012:instance/i-1"]}`, 400, invalid, "Invalid identifier"},
		{"ecs", "ListServices", `{"cluster":"nowhere"}`, 400, "ClusterNotFoundException", "Cluster not found."},
		{"sqs", "ReceiveMessage", `{"QueueUrl":"http://x/999999999999/q"}`, 400, "QueueDoesNotExist", ""},
		{"events", "PutTargets", `{"Rule":"none","Targets":[{"Id":"a","Arn":"arn:x"}]}`, 400, "ResourceNotFoundException", ""},
		// Too much.
		{"ecs", "DescribeServices", `{"cluster":"web","services":` + list(11) + `}`, 400, invalid, ""},
		{"ecs", "DescribeTasks", `{"cluster":"web","tasks":` + list(101) + `}`, 400, invalid, ""},
		{"ecs", "DescribeContainerInstances", `{"cluster":"web","containerInstances":` + list(101) + `}`, 400, invalid, ""},
		{"ecs", "UpdateContainerInstancesState", `{"cluster":"web","status":"DRAINING","containerInstances":` + list(11) + `}`, 400, invalid, ""},
		{"ecs", "ListTasks", `{"cluster":"web","maxResults":101}`, 400, invalid, ""},
		{"ecs", "ListTasks", `{"cluster":"web","maxResults":-1}`, 400, invalid, ""},
		{"ecs", "CreateCluster", `{"clusterName":` + quoted(256) + `}`, 400, invalid, ""},
		{"ecs", "CreateCluster", `{"clusterName":"x","tags":[{"key":` + quoted(129) + `,"value":"x"}]}`, 400, invalid, "Member must have length less than or equal to 128"},
		{"ecs", "CreateService", `{"serviceName":"x","capacityProviderStrategy":[{"capacityProvider":"x","weight":1001}]}`, 400, invalid, "Value '1001' at 'capacityProviderStrategy.1.member.weight' failed to satisfy constraint: Member must have value less than or equal to 1000"},
		{"ssm", "GetParameters", `{"Names":` + list(11) + `}`, 400, validation, "at 'names' failed to satisfy constraint: Member must have length less than or equal to 10"},
		{"ssm", "GetParameters", `{"Names":[]}`, 400, validation, "Member must have length greater than or equal to 1"},
		{"pricing", "GetProducts", `{"ServiceCode":"AmazonEC2","MaxResults":101}`, 400, invalid, ""},
		{"sqs", "ReceiveMessage", `{"QueueUrl":"http://x/123456789012/q","MaxNumberOfMessages":11}`, 400, "InvalidParameterValue", ""},
		{"sqs", "ReceiveMessage", `{"QueueUrl":"http://x/123456789012/q","WaitTimeSeconds":21}`, 400, "InvalidParameterValue", ""},
		{"sqs", "CreateQueue", `{"QueueName":` + quoted(81) + `}`, 400, "InvalidParameterValue", ""},
		{"sqs", "SendMessage", `{"QueueUrl":"http://x/123456789012/q","MessageBody":` + quoted(1<<20+1) + `}`, 400, "InvalidParameterValue", "Message must be shorter than"},
		{"sqs", "DeleteMessageBatch", `{"QueueUrl":"http://x/123456789012/q","Entries":[]}`, 400, "EmptyBatchRequest", ""},
		{"sqs", "DeleteMessage", `{"QueueUrl":"http://x/123456789012/q","ReceiptHandle":"x"}`, 400, "ReceiptHandleIsInvalid", ""},
		{"ec2", "DescribeInstances", "MaxResults=2", 400, "InvalidParameterValue", ""},
		{"ec2", "TerminateInstances", instances(1001), 400, "", ""},
		// Values that are not among those there are.
		{"ecs", "CreateService", `{"serviceName":"x","launchType":"MOON"}`, 400, invalid, "Value 'MOON' at 'launchType' failed to satisfy constraint: Member must satisfy enum value set: [EC2, FARGATE, EXTERNAL"},
		{"ecs", "CreateService", `{"serviceName":"x","placementStrategy":[{"type":"tetris"}],"schedulingStrategy":"NEVER"}`, 400, invalid, "2 validation errors detected: Value 'tetris' at 'placementStrategy.1.member.type'"},
		{"ecs", "UpdateContainerInstancesState", `{"cluster":"web","containerInstances":["x"],"status":"RESTING"}`, 400, invalid, ""},
		{"ecs", "ListTasks", `{"cluster":"web","desiredStatus":"ASLEEP"}`, 400, invalid, "Value 'ASLEEP' at 'desiredStatus'"},
		{"ecs", "ListContainerInstances", `{"cluster":"web","status":"ASLEEP"}`, 400, invalid, ""},
		{"ecs", "RegisterTaskDefinition", `{"family":"x","networkMode":"telepathy","containerDefinitions":[]}`, 400, invalid, "at 'networkMode'"},
		{"sqs", "GetQueueAttributes", `{"QueueUrl":"http://x/123456789012/q","AttributeNames":["Colour"]}`, 400, "InvalidAttributeName", "Unknown Attribute Colour."},
		{"events", "PutRule", `{"Name":"r","EventPattern":"{}","State":"SLEEPY"}`, 400, validation, "at 'state'"},
		{"events", "PutRule", `{"Name":"r","EventPattern":"{\"source\":\"aws.ecs\"}"}`, 400, "InvalidEventPatternException", `\"source\" must be an object or an array`},
		// Tokens of no page.
		{"ecs", "ListTasks", `{"cluster":"web","nextToken":"%%%"}`, 400, invalid, ""},
		{"ecs", "ListServices", `{"cluster":"web","nextToken":"dGFza3M6MQ"}`, 400, invalid, ""},
		{"ec2", "DescribeInstances", "NextToken=x&MaxResults=5", 400, "", ""},
		{"pricing", "GetProducts", `{"ServiceCode":"AmazonEC2","NextToken":"x"}`, 400, "InvalidNextTokenException", ""},
		{"sqs", "ListQueues", `{"NextToken":"x"}`, 400, "InvalidParameterValue", ""},
		{"events", "ListRules", `{"NextToken":"x"}`, 400, validation, ""},
	} {
		status, text, header := ask(server, c.service, c.operation, c.body)
		shown := c.service + " " + c.operation + " " + clip(c.body)
		if status != c.status || !strings.Contains(text, c.words) {
			t.Errorf("%s: %d %s, want %d with %s", shown, status, text, c.status, c.words)
		}
		if got := errorCode(text); c.code != "" && got != c.code {
			t.Errorf("%s: %s in %s, want %s", shown, got, text, c.code)
		}
		if header.Get("X-Amzn-RequestId") == "" {
			t.Errorf("%s: no request ID", shown)
		}
		if query := header.Get("X-Amzn-Query-Error"); (c.service == "sqs") != strings.HasSuffix(query, ";Sender") {
			t.Errorf("%s: X-Amzn-Query-Error is %q", shown, query)
		}
	}
	server.World(func(w *sim.World) {
		if n := len(w.Truth().Clusters); n != 1 {
			t.Errorf("there are %d clusters", n)
		}
	})
}

// errorCode is the code in the body of an error, without its namespace.
func errorCode(text string) string {
	var body struct {
		Type string `json:"__type"`
	}
	if err := json.Unmarshal([]byte(text), &body); err == nil {
		return body.Type[strings.LastIndexByte(body.Type, '#')+1:]
	}
	_, code, _ := strings.Cut(text, "<Code>")
	code, _, _ = strings.Cut(code, "</Code>")
	return code
}

// TestRequestsInNoProtocol: what a service that speaks JSON does not take for a request of
// its own gets no JSON back, as with AWS.
func TestRequestsInNoProtocol(t *testing.T) {
	server := New(newWorld(t), Options{Speed: Frozen, Latency: -1})
	for name, request := range map[string]raw{ //neap:unordered each stands alone
		"plain text":  {target: targetECS + "ListClusters", authorization: authorization("ecs"), body: "{}", contentType: "text/plain"},
		"plain JSON":  {target: targetECS + "ListClusters", authorization: authorization("ecs"), body: "{}", contentType: "application/json"},
		"a form":      {target: targetSQS + "ListQueues", authorization: authorization("sqs"), body: "{}", contentType: "application/x-www-form-urlencoded"},
		"GET":         {method: http.MethodGet, target: targetECS + "ListClusters", authorization: authorization("ecs")},
		"DELETE":      {method: http.MethodDelete, target: targetECS + "ListClusters", authorization: authorization("ecs")},
		"not a media": {target: targetECS + "ListClusters", authorization: authorization("ecs"), contentType: ";;"},
	} {
		response := request.send(server)
		body := make([]byte, 100)
		n, _ := response.Body.Read(body)
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound || strings.TrimSpace(string(body[:n])) != "<UnknownOperationException/>" || response.Header.Get("X-Amzn-RequestId") == "" {
			t.Errorf("%s: %d %s", name, response.StatusCode, body[:n])
		}
	}
	ok := raw{target: targetECS + "ListClusters", authorization: authorization("ecs"), body: "{}", contentType: "application/x-amz-json-1.1; charset=utf-8"}.send(server)
	defer ok.Body.Close()
	if ok.StatusCode != http.StatusOK {
		t.Errorf("with a character set: %s", ok.Status)
	}
}
