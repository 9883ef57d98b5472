package cloud

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

func policies(t *testing.T, scope PermissionScope) map[string]PolicyDocument {
	t.Helper()
	all, err := Policies(scope)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func actions(p *PolicyDocument) (all []string) {
	for i := range p.Statement {
		all = append(all, p.Statement[i].Action...)
	}
	return all
}

// TestPoliciesSplit: who launches cannot end an instance, who ends cannot launch, who looks
// changes nothing, and who decides has no policy.
func TestPoliciesSplit(t *testing.T) {
	all := policies(t, PermissionScope{})
	if len(all) != 3 {
		t.Errorf("%d policies, want those of watcher, actuator and drainer", len(all))
	}
	for service, changes := range map[string][]string{
		"watcher":  {"sqs:DeleteMessage"},
		"actuator": {"ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:CreateTags", "ec2:RunInstances", "ecs:PutAttributes", "iam:PassRole"},
		"drainer": {
			"ec2:CreateTags", "ec2:DeleteTags", "ec2:TerminateInstances",
			"ecs:DeregisterContainerInstance", "ecs:StopTask", "ecs:UpdateContainerInstancesState",
		},
	} {
		p := all[service]
		got := slices.DeleteFunc(actions(&p), func(action string) bool {
			_, verb, _ := strings.Cut(action, ":")
			return strings.HasPrefix(verb, "Describe") || strings.HasPrefix(verb, "List") || strings.HasPrefix(verb, "Get") || strings.HasPrefix(verb, "Receive")
		})
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, changes) {
			t.Errorf("the %s may change by %q, want %q", service, got, changes)
		}
	}
}

// TestPoliciesNarrow: whatever changes something is bound to the cluster or to our tags.
func TestPoliciesNarrow(t *testing.T) {
	for service, p := range policies(t, PermissionScope{Clusters: []string{"web"}, Installation: "prod", Account: "123456789012", Region: "eu-west-1"}) {
		for i := range p.Statement {
			s := &p.Statement[i]
			text, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			reads := strings.HasPrefix(s.Sid, "Read") || s.Sid == "LaunchWith" || s.Sid == "HearEvents" || s.Sid == "PassNodeRole"
			if cluster := strings.Contains(string(text), "cluster/web") || strings.Contains(string(text), `"`+fleet.TagCluster) || strings.Contains(string(text), "/"+fleet.TagCluster+`":["web"]`); !reads && !cluster {
				t.Errorf("%s: %s is not bound to the cluster: %s", service, s.Sid, text)
			}
			if slices.ContainsFunc(s.Action, func(a string) bool { return strings.Contains(a, "*") }) {
				t.Errorf("%s: %s allows by pattern: %q", service, s.Sid, s.Action)
			}
		}
	}
}

// TestPoliciesFit: IAM takes managed policies of so many characters, without white space.
func TestPoliciesFit(t *testing.T) {
	const most = 6144
	for service, p := range policies(t, PermissionScope{Clusters: []string{"production-web", "production-batch", "staging"}, Account: "123456789012"}) {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > most {
			t.Errorf("the policy of the %s has %d characters, IAM takes %d", service, len(text), most)
		}
	}
}

// TestPolicyOfUnknownOperation: a call that is added without its permission is found here,
// not in an account.
func TestPolicyOfUnknownOperation(t *testing.T) {
	_, err := policyOf([]string{"ecs:DeleteCluster"}, PermissionScope{}.rules())
	if err == nil || !strings.Contains(err.Error(), "ecs:DeleteCluster") {
		t.Errorf("err = %v, want one that names the operation", err)
	}
	if got := operationsOf(reflect.TypeFor[Drainer]()); !slices.Contains(got, "ec2:TerminateInstances") || !slices.Contains(got, "ecs:DescribeTaskDefinition") {
		t.Errorf("operations of the drainer: %q", got)
	}
}
