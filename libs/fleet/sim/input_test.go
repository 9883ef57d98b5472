package sim

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzOperations sends what a wire may send: any JSON to any operation. Nothing may panic,
// and every error must be one of AWS's.
func FuzzOperations(f *testing.F) {
	f.Add(uint8(0), `{}`)
	f.Add(uint8(1), `{"cluster":"web","tasks":["x"],"serviceName":"s","desiredCount":-5,"taskDefinition":"web:0"}`)
	f.Add(uint8(2), `{"family":"a","containerDefinitions":[{"name":"c","image":"i","memory":9223372036854775807,"cpu":-1}]}`)
	f.Add(uint8(3), `{"Type":"instant","LaunchTemplateConfigs":[{"Overrides":[{"WeightedCapacity":1e-300}]}],"TargetCapacitySpecification":{"TotalTargetCapacity":5}}`)
	f.Add(uint8(4), `{"QueueUrl":"events","MaxNumberOfMessages":-1,"ReceiptHandle":"events."}`)
	f.Add(uint8(5), `{"cluster":"web","taskDefinition":"web","overrides":{"cpu":"-1","containerOverrides":[{"name":"app","memory":-10}]}}`)
	f.Fuzz(func(t *testing.T, pick uint8, body string) {
		w := run(t, Config{EventQueues: []string{"events"}}, "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.large\nservice web task web desired 2", 2*time.Minute)
		value := reflect.ValueOf(w)
		for i := range value.NumMethod() {
			operation := value.Type().Method(i)
			if operation.Type.NumIn() != 2 || !strings.HasSuffix(operation.Type.In(1).String(), operation.Name+"Input") {
				continue
			}
			if int(pick)%4 != i%4 { // a few operations each time
				continue
			}
			in := reflect.New(operation.Type.In(1).Elem())
			if json.Unmarshal([]byte(body), in.Interface()) != nil {
				continue
			}
			out := operation.Func.Call([]reflect.Value{value, in})
			if err, _ := out[1].Interface().(error); err != nil {
				if known := (*Error)(nil); !errors.As(err, &known) {
					t.Errorf("%s: error %v of type %T", operation.Name, err, err)
				}
			}
		}
		w.Advance(w.Now().Add(5 * time.Minute))
		if err := w.Check(); err != nil {
			t.Error(err)
		}
	})
}

// FuzzTexts reads what people write: scripts and user data.
func FuzzTexts(f *testing.F) {
	f.Add("at 5m interrupt spot 1\nservice web task web desired 3 'a b'")
	f.Add("ECS_INSTANCE_ATTRIBUTES={\"a\":1}\n[settings.ecs]\ncluster = \"")
	f.Fuzz(func(t *testing.T, text string) {
		parseUserData(text)
		if s, err := ParseScript(text); err == nil {
			w := must(New(Config{}))(t)
			_ = s.Run(w)
			w.Advance(w.Now().Add(time.Minute))
		}
	})
}

func TestCapacityProviderBindsTasks(t *testing.T) {
	w := must(New(Config{}))(t)
	w.AddCapacityProvider("asg")
	must(w.CreateCluster(&CreateClusterInput{ClusterName: "web", CapacityProviders: []string{"asg"}}))(t)
	must(w.RegisterTaskDefinition(&RegisterTaskDefinitionInput{Family: "web", ContainerDefinitions: []ContainerDefinition{{Name: "app", Image: "i", Memory: 10}}}))(t)
	must(w.Launch(Fixture{Cluster: "web", Type: "m7i.large", Count: 1}))(t)
	two := 2
	in := &CreateServiceInput{Cluster: "web", ServiceName: "web", TaskDefinition: "web", DesiredCount: &two, CapacityProviderStrategy: []CapacityProviderStrategyItem{{"none", 1, 0}}}
	_, err := w.CreateService(in)
	failsWith(t, "unknown provider", err, codeInvalid)
	in.CapacityProviderStrategy[0].CapacityProvider = "asg"
	must(w.CreateService(in))(t)
	w.Advance(w.Now().Add(2 * time.Minute))
	if n := w.clusters["web"].running; n != 0 {
		t.Errorf("%d tasks run on an instance of no provider", n)
	}
	must(w.Launch(Fixture{Cluster: "web", Type: "m7i.large", Count: 1, CapacityProvider: "asg"}))(t)
	w.Advance(w.Now().Add(4 * time.Minute))
	if n := w.clusters["web"].running; n != 2 {
		t.Errorf("%d of 2 tasks run", n)
	}
	out := must(w.DescribeCapacityProviders(&DescribeCapacityProvidersInput{CapacityProviders: []string{"asg", "none"}}))(t)
	if len(out.CapacityProviders) != 1 || len(out.Failures) != 1 {
		t.Errorf("providers %+v", out)
	}
}
