package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/aws/amazon-vpc-resource-controller-k8s/pkg/aws/vpc"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// TestOnePageFails: what was read is kept, the section is incomplete and says why.
func TestOnePageFails(t *testing.T) {
	var mu sync.Mutex
	described := 0
	w := answering(t, func(operation string) (int, string) {
		switch operation {
		case "ListServices":
			var arns []string
			for i := range 15 { // two batches
				arns = append(arns, fmt.Sprintf(`"arn:aws:ecs:us-east-1:1:service/prod/s%02d"`, i))
			}
			return 200, `{"serviceArns":[` + strings.Join(arns, ",") + `]}`
		case "DescribeServices":
			mu.Lock()
			defer mu.Unlock()
			if described++; described == 1 {
				return 400, `{"__type":"AccessDeniedException","message":"not these"}`
			}
			return 200, `{"services":[{"serviceName":"a"},{"serviceName":"b"},{"serviceName":"c"},{"serviceName":"d"},{"serviceName":"e"},{"serviceName":"f"},{"serviceName":"g"},{"serviceName":"h"},{"serviceName":"i"},{"serviceName":"j"}],"failures":[]}`
		}
		return 400, ""
	})
	got, err := w.account(t).Reader(nil).Services(t.Context(), "prod")
	if !errors.Is(err, fleet.ErrDenied) || got.Complete || !strings.Contains(got.Problem, "not these") {
		t.Errorf("%+v, %v", got.Read, err)
	}
	if len(got.Services) != 10 {
		t.Errorf("%d services were kept of the batch that could be read", len(got.Services))
	}
}

// TestMissingIsLookedForTwice: what a list names and a description misses is asked for once
// more, then it has gone. Any other failure leaves the section incomplete.
func TestMissingIsLookedForTwice(t *testing.T) {
	for _, c := range []struct {
		name     string
		answers  []string // of DescribeServices, in order
		services int
		complete bool
	}{
		{"it has gone", []string{
			`{"services":[{"serviceName":"a"}],"failures":[{"arn":"s/b","reason":"MISSING"}]}`,
			`{"services":[],"failures":[{"arn":"s/b","reason":"MISSING"}]}`,
		}, 1, true},
		{"it is there after all", []string{
			`{"services":[{"serviceName":"a"}],"failures":[{"arn":"s/b","reason":"MISSING"}]}`,
			`{"services":[{"serviceName":"b"}],"failures":[]}`,
		}, 2, true},
		{"another failure", []string{`{"services":[{"serviceName":"a"}],"failures":[{"arn":"s/b","reason":"SPILLED"}]}`}, 1, false},
		{"one is passed over in silence", []string{`{"services":[{"serviceName":"a"}],"failures":[]}`}, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			next := 0
			w := answering(t, func(operation string) (int, string) {
				if operation == "ListServices" {
					return 200, `{"serviceArns":["s/a","s/b"]}`
				}
				mu.Lock()
				defer mu.Unlock()
				next++
				return 200, c.answers[min(next, len(c.answers))-1]
			})
			got, err := w.account(t).Reader(nil).Services(t.Context(), "prod")
			if len(got.Services) != c.services || got.Complete != c.complete || (err == nil) != c.complete {
				t.Errorf("%d services, %+v, %v", len(got.Services), got.Read, err)
			}
			if next != len(c.answers) {
				t.Errorf("asked %d times, want %d", next, len(c.answers))
			}
		})
	}
}

// shelf is a cache that other processes share.
type shelf struct {
	mu   sync.Mutex
	kept map[string]snapshot.TaskDefinition
}

func (s *shelf) Definitions(_ context.Context, arns []string) map[string]snapshot.TaskDefinition {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]snapshot.TaskDefinition{}
	for _, arn := range arns {
		if d, ok := s.kept[arn]; ok {
			found[arn] = d
		}
	}
	return found
}

func (s *shelf) KeepDefinitions(_ context.Context, found map[string]snapshot.TaskDefinition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.kept, found)
}

// TestDefinitionsAreReadOnce: a definition is asked for once by all processes together, and
// one that cannot be read does not keep the others back.
func TestDefinitionsAreReadOnce(t *testing.T) {
	w := answering(t, func(string) (int, string) { return 200, "" })
	var mu sync.Mutex
	asked := map[string]int{}
	w.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var in struct {
			TaskDefinition string `json:"taskDefinition"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Errorf("request: %v", err)
		}
		mu.Lock()
		asked[in.TaskDefinition]++
		mu.Unlock()
		rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if strings.Contains(in.TaskDefinition, "bad") {
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(rw, `{"__type":"ClientException","message":"Unable to describe task definition."}`)
			return
		}
		fmt.Fprintf(rw, `{"taskDefinition":{"taskDefinitionArn":%q}}`, in.TaskDefinition)
	})
	shared := &shelf{kept: map[string]snapshot.TaskDefinition{}}
	first, second := w.account(t).Reader(shared), w.account(t).Reader(shared)
	arns := []string{"arn:td/web:1", "arn:td/bad:1", "arn:td/web:2", "arn:td/web:1"}
	for _, r := range []*Reader{first, first, second} {
		got, err := r.definitions.read(t.Context(), arns)
		if len(got) != 2 || got[0].ARN != "arn:td/web:1" || got[1].ARN != "arn:td/web:2" || !errors.Is(err, fleet.ErrInvalid) {
			t.Fatalf("read %+v, %v", got, err)
		}
	}
	if asked["arn:td/web:1"] != 1 || asked["arn:td/web:2"] != 1 || asked["arn:td/bad:1"] != 3 {
		t.Errorf("asked %v", asked)
	}
}

func TestInterfaceLimits(t *testing.T) {
	for _, c := range []struct {
		name       string
		enis       int64
		wantENIs   int64
		trunkTasks int64
	}{
		{"m5.large", 3, 3, 10},
		{"c7i.8xlarge", 8, 8, 90},
		{"m7i-flex.large", 3, 3, 4},
		{"i7ie.large", 3, 3, 20},
		{"g5.xlarge", 4, 4, 6},
		{"i4i.16xlarge", 8, 8, 248},
		{"t3.medium", 3, 3, 0},
		{"c5n.large", 3, 3, 0},
		{"m5.metal", 15, 15, 0},
		{"p5.48xlarge", 64, 2, 182},
		{"x99.large", 3, 3, 0},
	} {
		enis, trunk := interfaceLimits(c.name, c.enis)
		if enis != c.wantENIs || trunk != c.trunkTasks {
			t.Errorf("%s: %d interfaces and %d tasks with a trunk, want %d and %d", c.name, enis, trunk, c.wantENIs, c.trunkTasks)
		}
	}
	if len(vpc.Limits) < 800 {
		t.Errorf("the table of the VPC has %d types", len(vpc.Limits))
	}
}

// TestWindowsPrices: the price list has Windows twice, with its licence and without.
func TestWindowsPrices(t *testing.T) {
	item := func(license string) []byte {
		return []byte(`{"product":{"attributes":{"instanceType":"m5.large","operatingSystem":"Windows","licenseModel":"` + license +
			`"}},"terms":{"OnDemand":{"a":{"priceDimensions":{"b":{"unit":"Hrs","pricePerUnit":{"USD":"0.188"}}}}}}}`)
	}
	if got, ok := product(item("No License required")); !ok || (got != snapshot.Price{Type: "m5.large", Windows: 188_000}) {
		t.Errorf("with the licence: %+v, %v", got, ok)
	}
	if got, ok := product(item("Bring your own license")); ok {
		t.Errorf("without: %+v", got)
	}
}

func TestProduct(t *testing.T) {
	item := func(unit, usd string) string {
		return `{"product":{"attributes":{"instanceType":"m5.large"}},"terms":{"OnDemand":{"a":{"priceDimensions":{"b":{"unit":"` + unit + `","pricePerUnit":{"USD":"` + usd + `"}}}}}}}`
	}
	for _, c := range []struct {
		item string
		want fleet.Price
	}{
		{item("Hrs", "0.0960000000"), 96_000},
		{item("Hrs", "0.0000000000"), 0},
		{item("Hrs", "NaN"), 0},
		{item("Hrs", "-1"), 0},
		{item("Hrs", "1e300"), 0},
		{item("Quantity", "5"), 0},
		{`{"product":{}}`, 0},
		{`[]`, 0},
		{``, 0},
	} {
		got, ok := product([]byte(c.item))
		if ok != (c.want > 0) || (ok && got != snapshot.Price{Type: "m5.large", OnDemand: c.want}) {
			t.Errorf("%s: %+v, %v", c.item, got, ok)
		}
	}
}

// TestEmbeddedCatalogue: the built-in table is what a reader would read.
func TestEmbeddedCatalogue(t *testing.T) {
	e := EmbeddedCatalogue()
	if len(e.Types) < 1000 || len(e.Prices) != len(e.Types) || len(e.spot) < 500 || e.Region == "" || e.Date == "" {
		t.Fatalf("%d types, %d prices, %d spot prices of %s of %s", len(e.Types), len(e.Prices), len(e.spot), e.Region, e.Date)
	}
	for i, known := range e.Types {
		if known.VCPUs <= 0 || known.MemoryMiB <= 0 || e.Prices[i].OnDemand <= 0 || e.Prices[i].Type != known.Name || known.MaxENIs <= 0 {
			t.Errorf("%+v %+v", known, e.Prices[i])
		}
		switch known.Name {
		case "c5d.large": // with all that the planner's filters ask for
			if want := (snapshot.InstanceType{
				Name: "c5d.large", Architectures: []string{"x86_64"}, VCPUs: 2, MemoryMiB: 4096, MaxENIs: 3, TrunkTasks: 10, DiskGiB: 50, NetworkMbps: 750,
			}); !reflect.DeepEqual(known, want) {
				t.Errorf("%+v, want %+v", known, want)
			}
		case "p5.48xlarge": // ECS attaches to one of its cards
			if known.MaxENIs != 2 || known.GPUs != 8 {
				t.Errorf("%+v", known)
			}
		}
	}
}
