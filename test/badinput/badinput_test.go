package badinput_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/policyfile"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/query"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// inputs are the list: each names what is fed, and to whom. Those that come with a view of a
// cluster spoil a good one; the others check by themselves.
var inputs = []struct {
	name  string
	spoil func(*snapshot.Input)
	holds func(*testing.T, *seen) // what must be so beside what always must; may be nil
	check func(*testing.T)
}{
	{name: "B1 empty lists", spoil: func(in *snapshot.Input) {
		in.ContainerInstances.Instances, in.EC2.Instances, in.Services.Services, in.Tasks.Tasks, in.Tasks.Definitions = nil, nil, nil, nil, nil
	}, holds: nothingIsDone},
	{name: "B1 an empty ID in a list", spoil: func(in *snapshot.Input) {
		in.EC2.Instances = append(in.EC2.Instances, machine(""))
		in.ContainerInstances.Instances = append(in.ContainerInstances.Instances, snapshot.ContainerInstance{Status: "ACTIVE"})
	}, holds: nothingIsRemoved},
	{name: "B2 everything stands twice", spoil: func(in *snapshot.Input) {
		in.ContainerInstances.Instances = append(in.ContainerInstances.Instances, in.ContainerInstances.Instances...)
		in.EC2.Instances = append(in.EC2.Instances, in.EC2.Instances...)
		in.Tasks.Tasks = append(in.Tasks.Tasks, in.Tasks.Tasks...)
	}, holds: func(t *testing.T, s *seen) {
		if s.valid == nil && (len(s.snap.Instances) != 2 || running(s) != 1) {
			t.Errorf("%d instances, %d tasks run", len(s.snap.Instances), running(s))
		}
	}},
	{name: "B3 a task on an instance that is not listed", spoil: func(in *snapshot.Input) {
		in.Tasks.Tasks[0].ContainerInstance = arn("container-instance/prod/nowhere")
	}, holds: incomplete},
	{name: "B4 more remains than was registered", spoil: func(in *snapshot.Input) { in.ContainerInstances.Instances[0].Remaining[0].Integer = 4096 }},
	{name: "B4 less than nothing remains", spoil: func(in *snapshot.Input) { in.ContainerInstances.Instances[0].Remaining[0].Integer = -4096 }, holds: nothingIsRemoved},
	{name: "B4 more than anything has", spoil: func(in *snapshot.Input) {
		in.ContainerInstances.Instances[0].Remaining[0].Integer, in.ContainerInstances.Instances[0].Registered[1].Integer = math.MaxInt64, math.MaxInt64
	}, holds: refused},
	{name: "B5 a task that needs nothing", spoil: func(in *snapshot.Input) { in.Tasks.Definitions[0].CPU, in.Tasks.Definitions[0].Memory = "0", "0" }},
	{name: "B6 a task larger than any type", spoil: func(in *snapshot.Input) { in.Tasks.Definitions[0].CPU = "1048576" }, holds: nothingIsLaunched},
	{name: "B7 a port beyond all, and one twice", spoil: func(in *snapshot.Input) {
		in.Tasks.Definitions[0].Containers = []snapshot.Container{{Name: "a", Ports: []snapshot.PortMapping{{HostPort: 70_000}, {HostPort: -1}, {HostPort: 80}, {HostPort: 80}, {Range: "9-1"}, {Range: "1-99999999999999999999"}}}}
	}},
	{name: "B7 no dynamic port is left", spoil: func(in *snapshot.Input) {
		var used []string
		for p := range 1 << 16 {
			used = append(used, fmt.Sprint(p))
		}
		in.ContainerInstances.Instances[0].Remaining[2].Strings = used
	}},
	{name: "B8 more GPUs and interfaces than there are", spoil: func(in *snapshot.Input) {
		in.Tasks.Definitions[0].Containers = []snapshot.Container{{Name: "a", GPUs: "9999999999"}, {Name: "b", GPUs: "ALL"}, {Name: "c", GPUs: "-1"}}
		in.Tasks.Definitions[0].NetworkMode = "awsvpc"
		in.Catalogue.Types[0].MaxENIs = 0
	}, holds: nothingIsLaunched},
	{name: "B9 expressions", check: expressions},
	{name: "B9 an expression of a service that nobody understands", spoil: func(in *snapshot.Input) {
		in.Services.Services[0].Constraints = []snapshot.Constraint{{Type: "memberOf", Expression: "attribute:x =~ (((\xff"}, {Type: "oneOf"}}
	}, holds: nothingIsLaunched},
	{name: "B10 an attribute that is empty is there", spoil: func(in *snapshot.Input) {
		in.Services.Services[0].Constraints = []snapshot.Constraint{{Type: "memberOf", Expression: "attribute:stack exists"}}
		in.ContainerInstances.Instances[0].Attributes = append(in.ContainerInstances.Instances[0].Attributes, fleet.Attribute{Name: "stack"})
	}, holds: fits(1)},
	{name: "B10 an attribute that is missing is not", spoil: func(in *snapshot.Input) {
		in.Services.Services[0].Constraints = []snapshot.Constraint{{Type: "memberOf", Expression: "attribute:stack exists"}}
	}, holds: fits(0)},
	{name: "B11 hostile tags and names", spoil: func(in *snapshot.Input) {
		for _, text := range hostile {
			in.EC2.Instances[0].Tags = append(in.EC2.Instances[0].Tags, snapshot.Tag{Key: text, Value: text})
			in.Services.Services[0].LastEvent += text
		}
		in.Protections = []snapshot.Protection{{Instance: "i-1", Why: strings.Join(hostile, "")}}
	}, holds: nothingIsRemoved},
	{name: "B12 names that would be subjects", check: subjects},
	{name: "B13 ARNs of another partition, account and region", spoil: func(in *snapshot.Input) {
		in.ContainerInstances.Instances[0].ARN = "arn:aws-cn:ecs:cn-north-1:999999999999:container-instance/other/c1"
		in.Tasks.Definitions[0].ARN = "arn"
		in.Services.Services[0].ARN = ":::::"
	}, holds: nothingIsRemoved},
	{name: "B14 times in the future", spoil: at(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)), holds: nothingIsRemoved},
	{name: "B14 times before all", spoil: at(time.Unix(0, 0)), holds: nothingIsRemoved},
	{name: "B14 times that no message can hold", spoil: at(time.Date(12_000, 1, 1, 0, 0, 0, 0, time.UTC)), holds: nothingIsRemoved},
	{name: "B15 less than nothing is desired", spoil: desired(-1), holds: nothingIsLaunched},
	{name: "B15 a million is desired", spoil: desired(1_000_000), holds: func(t *testing.T, s *seen) {
		if n := launched(s); n > 10 {
			t.Errorf("%d instances are launched at once", n)
		}
	}},
	{name: "B16 a version that goes backwards", spoil: func(in *snapshot.Input) {
		old := in.Tasks.Tasks[0]
		old.Version, old.LastStatus = -3, "PENDING"
		in.Tasks.Tasks = append(in.Tasks.Tasks, old)
	}, holds: func(t *testing.T, s *seen) {
		if running(s) != 1 {
			t.Errorf("%d tasks run", running(s))
		}
	}},
	{name: "B17 a price of nothing", spoil: price(0), holds: nothingIsLaunched},
	{name: "B17 a price below nothing", spoil: price(-1), holds: nothingIsLaunched},
	{name: "B17 a price that is no number", spoil: price(math.NaN()), holds: nothingIsFree},
	{name: "B18 a type that nobody knows", spoil: func(in *snapshot.Input) { in.EC2.Instances[0].Type = "z99.colossal" }, holds: nothingIsRemoved},
	{name: "B18 only burstable and metal ones are sold", spoil: func(in *snapshot.Input) {
		in.Catalogue.Types[0].Burstable, in.Catalogue.Types[0].Metal = true, true
	}, holds: nothingIsLaunched},
	{name: "B19 an image of another architecture", spoil: func(in *snapshot.Input) { in.Network.Images[0].Architecture = "arm64" }, holds: nothingIsLaunched},
	{name: "B20 a subnet without addresses", spoil: func(in *snapshot.Input) { in.Network.Subnets[0].FreeAddresses = 0 }, holds: nothingIsLaunched},
	{name: "B20 a subnet with less than none", spoil: func(in *snapshot.Input) { in.Network.Subnets[0].FreeAddresses = -5 }, holds: nothingIsLaunched},
	{name: "B21 policies", check: policies},
	{name: "B22 views that are cut short, too large or of another content", check: blobs},
	{name: "B23 unknown fields, and nesting without end", check: nesting},
	{name: "B24 headers that are missing, repeated or endless", check: headers},
	{name: "B25 a trace that is none", check: traces},
	{name: "B26 tokens", check: tokens},
	{name: "B27 events of strangers", check: events},
}

// hostile are texts that do harm where they are not quoted.
var hostile = []string{
	strings.Repeat("k", 128), strings.Repeat("v", 256), "\x00\x1b[2J\x7f", "<script>alert(1)</script>", "{{.Secret}}${HOME}$(reboot)",
	"line\nlevel=ERROR msg=forged", "\u202eevil", "\xff\xfe", "neap.v1.*.>",
}

// TestBadInput feeds the whole list.
func TestBadInput(t *testing.T) {
	numbers := map[string]bool{}
	for _, in := range inputs {
		number, _, _ := strings.Cut(in.name, " ")
		numbers[number] = true
		t.Run(in.name, func(t *testing.T) {
			if in.check != nil {
				in.check(t)
				return
			}
			view := good()
			in.spoil(&view)
			s := see(t, view)
			if in.holds != nil {
				in.holds(t, s)
			}
		})
	}
	const last = 27
	for n := 1; n <= last; n++ {
		if number := fmt.Sprintf("B%d", n); !numbers[number] {
			t.Errorf("%s is not fed to anybody", number)
		}
	}
}

func nothingIsDone(t *testing.T, s *seen) {
	t.Helper()
	nothingIsLaunched(t, s)
	nothingIsRemoved(t, s)
}

func nothingIsLaunched(t *testing.T, s *seen) {
	t.Helper()
	if n := launched(s); n != 0 {
		t.Errorf("%d instances are launched", n)
	}
}

func nothingIsRemoved(t *testing.T, s *seen) {
	t.Helper()
	for _, a := range s.plan.Actions {
		if a.Drain != nil || a.Reap != nil {
			t.Errorf("%s is planned: %s", a.Kind, a.Reason.String())
		}
	}
}

func nothingIsFree(t *testing.T, s *seen) {
	t.Helper()
	for _, a := range s.plan.Actions {
		if a.Launch != nil && a.Launch.Offerings[0].Price <= 0 {
			t.Errorf("launched at a price of %v", a.Launch.Offerings[0].Price)
		}
	}
}

func incomplete(t *testing.T, s *seen) {
	t.Helper()
	if _, whole := s.snap.Incomplete(fleet.AllSections()...); whole {
		t.Error("the view says that it is whole")
	}
	nothingIsRemoved(t, s)
}

func refused(t *testing.T, s *seen) {
	t.Helper()
	if s.valid == nil {
		t.Error("the view was taken for a good one")
	}
}

func fits(n int) func(*testing.T, *seen) {
	return func(t *testing.T, s *seen) {
		t.Helper()
		if len(s.plan.Demand) != 1 || s.plan.Demand[0].FitNow != n {
			t.Errorf("demand %+v, want one of which %d fit now", s.plan.Demand, n)
		}
	}
}

func at(when time.Time) func(*snapshot.Input) {
	return func(in *snapshot.Input) {
		in.ContainerInstances.Instances[0].RegisteredAt, in.EC2.Instances[1].LaunchedAt, in.EC2.Instances[0].LaunchedAt = when, when, when
		in.Tasks.Tasks[0].CreatedAt, in.Services.Services[0].CreatedAt, in.Services.Services[0].Deployments[0].UpdatedAt = when, when, when
		in.EC2.Instances = in.EC2.Instances[:1] // one that boots is reaped when it is late, and that is right
	}
}

func desired(n int) func(*snapshot.Input) {
	return func(in *snapshot.Input) {
		in.Services.Services[0].Desired, in.Services.Services[0].Deployments[0].Desired = n, n
	}
}

func price(usd float64) func(*snapshot.Input) {
	return func(in *snapshot.Input) {
		in.Catalogue.Prices[0].OnDemand = fleet.USD(usd)
		in.Catalogue.Spot = nil
		in.Services.Services[0].Desired, in.Services.Services[0].Deployments[0].Desired = 40, 40
	}
}

// expressions are read or refused, and quickly.
func expressions(t *testing.T) {
	for name, text := range map[string]string{
		"unbalanced": "(attribute:a == b", "closed too often": "attribute:a == b))", "a megabyte": strings.Repeat("attribute:a == b or ", 1<<20/20),
		"deep": strings.Repeat("(", 10_000) + "attribute:a == b" + strings.Repeat(")", 10_000), "deep without an end": strings.Repeat("not(", 10_000),
		"not UTF-8": "attribute:\xff == \xfe", "a pattern that explodes": "attribute:a =~ (a+)+$", "nothing": "", "an attribute of no name": "attribute: == x",
	} {
		began := time.Now()
		e, err := query.Parse(text)
		if long := time.Since(began); long > time.Second {
			t.Errorf("%s: took %s", name, long)
		}
		if err == nil && name != "a pattern that explodes" && name != "not UTF-8" {
			t.Errorf("%s is read as %s", name, e)
		}
	}
}

// subjects: no name becomes a wildcard or a token of its own.
func subjects(t *testing.T) {
	for _, name := range []fleet.ClusterName{"a.b", "*", ">", "a b", "", "a\nb", "neap.v1.>", "é", fleet.ClusterName(strings.Repeat("x", 256))} {
		if err := name.Validate(); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%.20q: %v", name, err)
		}
		if key := name.Key(); strings.ContainsAny(key, ".*> \n\t") {
			t.Errorf("%.20q has the key %q", name, key)
		}
	}
}

// policies are refused with their place and what to do.
func policies(t *testing.T) {
	const fine = "limits:\n  maxInstances: 20\nlaunchSpecs:\n- name: default\n  images: [ami-1]\n  subnets: [subnet-a]\n"
	if _, err := policyfile.Read("policy.yaml", []byte(fine)); err != nil {
		t.Fatal(err)
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	for name, text := range map[string]string{
		"an unknown key": fine + "limts: {}\n", "a key twice": fine + "limits: {maxInstances: 3}\n", "another type": strings.Replace(fine, "20", "many", 1),
		"a bomb": bomb + fine, "a minimum above the maximum": strings.Replace(fine, "20", "20\n  minInstances: 30", 1),
		"no per cent": fine + "scaleDown: {maxPercentage: -1}\n", "101 per cent": fine + "scaleDown: {maxPercentage: 101}\n",
		"two of one name": fine + "- name: default\n  images: [ami-1]\n  subnets: [subnet-a]\n", "no limit": strings.Replace(fine, "20", "0", 1),
		"the 25th hour": fine + "scaleDown: {windows: [{days: [mon], from: \"25:00\", to: \"26:00\"}]}\n", "not UTF-8": fine + "cluster: \"\xff\"\n",
	} {
		began := time.Now()
		if _, err := policyfile.Read("policy.yaml", []byte(text)); !errors.Is(err, fleet.ErrInvalid) || !strings.Contains(err.Error(), "policy.yaml") {
			t.Errorf("%s: %v", name, err)
		}
		if long := time.Since(began); long > 5*time.Second {
			t.Errorf("%s: took %s", name, long)
		}
	}
}
