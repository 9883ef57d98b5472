package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// TestExplainInstance pins what a person is told of instances, one by one and in a table,
// and that a program gets the same.
func TestExplainInstance(t *testing.T) {
	snapshot, policy := shop(t)
	from := []string{"--snapshot", snapshot, "--policy", policy}
	ask := func(args ...string) string {
		t.Helper()
		out, errs, code := neap(t, append(append([]string{"explain", "instance"}, args...), from...)...)
		if code != 0 || errs != "" {
			t.Fatalf("%v: code %d: %s", args, code, errs)
		}
		return out
	}
	ids := []string{"i-48ed143b2b33f3093", "i-803d0130bfed1ffac", "i-8794345aadd410bd9"}
	compareGolden(t, "explain-instance.txt", strings.ReplaceAll(ask(ids...), policy, "policy.yaml"))
	compareGolden(t, "explain-instances.txt", strings.ReplaceAll(ask("--all"), policy, "policy.yaml"))

	var all, named struct {
		Cluster   fleet.ClusterName `json:"cluster"`
		Instances []map[string]any  `json:"instances"`
	}
	if err := json.Unmarshal([]byte(ask("--all", "-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(ask(append(ids, "-o", "json")...)), &named); err != nil {
		t.Fatal(err)
	}
	if len(all.Instances) != 5 || len(named.Instances) != len(ids) || named.Cluster != "shop" {
		t.Fatalf("%d of all and %d of the named instances are told of", len(all.Instances), len(named.Instances))
	}
	for i, inst := range named.Instances {
		reason, _ := inst["reason"].(map[string]any)
		saving, _ := inst["saving"].(float64)
		if inst["instance"] != ids[i] || inst["because"] == "" || inst["stage"] == "" || reason["code"] == "" || inst["savingPerMonth"] != plan.PerMonth(fleet.Price(saving)) {
			t.Errorf("something is missing, or the month has not 730 hours: %v", inst)
		}
	}
}

// TestExplainInstanceSwitchedOff: that scale-down is off is the reason of every instance, and
// what it costs is told all the same.
func TestExplainInstanceSwitchedOff(t *testing.T) {
	snapshot, policy := shop(t)
	document, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	off := strings.Replace(string(document), "scaleDown:\n  enabled: true", "scaleDown:\n  enabled: false", 1)
	if err := os.WriteFile(policy, []byte(off), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := neap(t, "explain", "instance", "i-48ed143b2b33f3093", "i-803d0130bfed1ffac", "--snapshot", snapshot, "--policy", policy)
	for _, want := range []string{
		"because scale-down is switched off in the policy", "next: scaleDown.enabled: true in the policy switches it on",
		"without that rule it would stay all the same: service:report report:1 is tagged", "the rule costs ≤ $23.07 a month",
	} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("code %d: it does not say %q: %s\n%s", code, want, errs, out)
		}
	}
}

// TestExplainInstanceRefuses: a question that cannot be answered says which one could be.
func TestExplainInstanceRefuses(t *testing.T) {
	snapshot, _ := shop(t)
	for says, args := range map[string][]string{
		`cluster shop has no instance "i-0"; it has i-48ed143b2b33f3093, i-8`: {"i-0", "--snapshot", snapshot},
		`say which instances, such as i-0123456789abcdef0, or --all`:          {"--snapshot", snapshot},
		`ID: say which instances`: {"i-0", "--all", "--snapshot", snapshot},
	} {
		if _, errs, code := neap(t, append([]string{"explain", "instance"}, args...)...); code == 0 || !strings.Contains(errs, says) {
			t.Errorf("%v: code %d, want it to say %q: %s", args, code, says, errs)
		}
	}
}
