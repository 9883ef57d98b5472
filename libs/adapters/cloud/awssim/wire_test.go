package awssim

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/neap-project/neap/libs/fleet/sim"
)

type wireShape struct {
	Name    string
	Count   int
	Ratio   float64
	Flag    bool
	Maybe   *int
	At      sim.Timestamp
	Inner   wireInner
	List    []string    `query:"Item"`
	Structs []wireInner `query:"Struct"`
}

type wireInner struct {
	Key    string
	Values []string `query:"Value"`
}

func TestDecodeQuery(t *testing.T) {
	seven := 7
	for _, c := range []struct {
		query string
		want  wireShape
		code  string // of the error
	}{
		{query: "Name=a%20b&Count=-3&Ratio=0.5&Flag=true&Maybe=7", want: wireShape{Name: "a b", Count: -3, Ratio: 0.5, Flag: true, Maybe: &seven}},
		{query: "Item.1=a&Item.2=b&Item.10=c", want: wireShape{List: []string{"a", "b", "c"}}},
		{query: "Item.3=late", want: wireShape{List: []string{"late"}}},
		{query: "Struct.2.Key=y&Struct.1.Key=x&Struct.1.Value.1=1&Struct.1.Value.2=2", want: wireShape{
			Structs: []wireInner{{Key: "x", Values: []string{"1", "2"}}, {Key: "y"}},
		}},
		{query: "Inner.Key=k", want: wireShape{Inner: wireInner{Key: "k"}}},
		{query: "At=2026-01-05T09:00:00Z", want: wireShape{At: sim.Timestamp{Time: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)}}},
		{query: "Unknown.1.Thing=x&Version=1"},
		{query: "Name=&Item.1=", want: wireShape{List: []string{""}}},
		{query: "Count=many", code: "InvalidParameterValue"},
		{query: "Count=99999999999999999999", code: "InvalidParameterValue"},
		{query: "Flag=perhaps", code: "InvalidParameterValue"},
		{query: "At=yesterday", code: "InvalidParameterValue"},
		{query: "Item.first=a", code: "InvalidParameterValue"},
		{query: "Item.-1=a", code: "InvalidParameterValue"},
		{query: "Item.01=a", code: "InvalidParameterValue"},
		{query: "Name.1=a", code: "InvalidParameterValue"},
		{query: strings.Repeat("a.", 40) + "b=1", code: "MalformedQueryString"},
	} {
		form, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		var got wireShape
		switch err := decodeQuery(form, &got); {
		case c.code != "":
			if err == nil || err.code != c.code {
				t.Errorf("%s: error %v, want %s", c.query, err, c.code)
			}
		case err != nil:
			t.Errorf("%s: %v", c.query, err)
		default:
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.query, diff)
			}
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	for _, c := range []struct{ body, message string }{
		{body: ``},
		{body: ` {} `},
		{body: `{"cluster":"web","count":3,"noSuchMember":[1,2]}`},
		{body: `{"cluster":null}`},
		{body: `[]`, message: "must be a JSON object"},
		{body: `"web"`, message: "must be a JSON object"},
		{body: `{`, message: "cannot be read"},
		{body: `{} {}`, message: "cannot be read"},
		{body: `{"cluster":5}`, message: "NUMBER_VALUE can not be converted to a String"},
		{body: `{"count":"3"}`, message: "STRING_VALUE can not be converted to a Number"},
		{body: `{"count":3.5}`, message: "NUMBER_VALUE can not be converted to a Number"},
		{body: `{"tags":"x"}`, message: "STRING_VALUE can not be converted to a List"},
		{body: `{"cluster":{}}`, message: "Start of structure or map found where not expected."},
	} {
		var in sim.RunTaskInput
		err := decodeJSON([]byte(c.body), &in)
		switch {
		case c.message == "" && err != nil:
			t.Errorf("%s: %v", c.body, err)
		case c.message != "" && err == nil:
			t.Errorf("%s: accepted, want %q", c.body, c.message)
		case c.message != "" && (err.code != "SerializationException" || !strings.Contains(err.message, c.message)):
			t.Errorf("%s: %v, want SerializationException with %q", c.body, err, c.message)
		}
	}
}

func TestEncodeJSON(t *testing.T) {
	zero := 0
	got, err := encodeJSON(&sim.DescribeTasksOutput{Tasks: []sim.Task{{
		TaskArn: `arn:"quoted"<&>`, CreatedAt: sim.Timestamp{Time: time.UnixMilli(1767603600500)},
		Containers: []sim.Container{{Name: "app", ExitCode: &zero}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(got, &tree); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	task := tree["tasks"].([]any)[0].(map[string]any)
	for name, want := range map[string]any{
		"taskArn": `arn:"quoted"<&>`, "createdAt": 1767603600.5, "attachments": []any{}, "version": 0.0,
	} {
		if !reflect.DeepEqual(task[name], want) {
			t.Errorf("%s is %#v, want %#v", name, task[name], want)
		}
	}
	if _, there := task["startedAt"]; there {
		t.Error("startedAt of a task that has not started is in the answer")
	}
	if exit := task["containers"].([]any)[0].(map[string]any)["exitCode"]; exit != 0.0 {
		t.Errorf("exitCode is %v, want 0", exit)
	}
	if failures, ok := tree["failures"].([]any); !ok || len(failures) != 0 {
		t.Errorf("failures is %#v, want an empty list", tree["failures"])
	}
}

// TestEncodeJSONLikePackageJSON compares with the library, which is right in everything
// but lists that are nil.
func TestEncodeJSONLikePackageJSON(t *testing.T) {
	values := []any{
		&sim.GetQueueAttributesOutput{Attributes: map[string]string{"b": "2", "a": "<1>"}},
		&sim.Service{
			ServiceArn: "arn", LoadBalancers: []sim.LoadBalancer{}, Deployments: []sim.Deployment{{ID: "d"}}, Events: []sim.ServiceEvent{},
			PlacementConstraints: []sim.PlacementConstraint{}, PlacementStrategy: []sim.PlacementStrategy{},
			DeploymentConfiguration: &sim.DeploymentConfiguration{},
		},
		&sim.Resource{Name: "CPU", Type: "INTEGER", IntegerValue: 2048},
		&sim.TagResourceOutput{},
	}
	for _, v := range values {
		got, err := encodeJSON(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var gotTree, wantTree any
		if err := json.Unmarshal(got, &gotTree); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		if err := json.Unmarshal(want, &wantTree); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantTree, gotTree); diff != "" {
			t.Errorf("%T (-package json +here):\n%s", v, diff)
		}
	}
}
