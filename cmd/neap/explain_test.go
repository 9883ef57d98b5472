package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/policyfile"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// shop saves the cluster of the test data with a policy and returns both files.
func shop(t *testing.T) (snapshot, policy string) {
	t.Helper()
	dir := t.TempDir()
	snapshot, policy = filepath.Join(dir, "shop.json"), filepath.Join(dir, "policy.yaml")
	if _, errs, code := neap(t, "plan", "--aws-json", "testdata/aws-json", "--save", snapshot, "--save-policy", policy); code != 0 {
		t.Fatal(errs)
	}
	return snapshot, policy
}

// TestExplainOffline pins what a person is told of a service that is launched for, of one
// that nothing can hold, and of a launch.
func TestExplainOffline(t *testing.T) {
	snapshot, policy := shop(t)
	from := []string{"--snapshot", snapshot, "--policy", policy}
	for name, args := range map[string][]string{
		"explain-search.txt": {"explain", "service", "search"},
		"explain-train.txt":  {"explain", "service", "service/train"},
		"explain-web.txt":    {"explain", "service", "web"},
		"explain-launch.txt": {"explain", "launch", "last"},
	} {
		out, errs, code := neap(t, append(args, from...)...)
		if code != 0 || errs != "" {
			t.Fatalf("%s: code %d: %s", name, code, errs)
		}
		compareGolden(t, name, strings.ReplaceAll(out, policy, "policy.yaml"))
	}
	out, _, code := neap(t, append([]string{"explain", "service", "train", "-o", "json"}, from...)...)
	var got serviceExplained
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
		t.Fatalf("code %d, %v: %s", code, err, out)
	}
	if len(got.Demand) != 1 || got.Demand[0].Reason.Code != fleet.ReasonTooLarge || len(got.Demand[0].Reason.Considered) == 0 {
		t.Errorf("the demand does not say what rules offerings out: %+v", got.Demand)
	}
	told := 0
	for _, r := range got.Groups[0].RuledOut {
		told += r.Instances
	}
	if told+got.Groups[0].Eligible != got.Groups[0].Instances {
		t.Errorf("%d instances refuse, %d would take it, there are %d", told, got.Groups[0].Eligible, got.Groups[0].Instances)
	}
	for says, args := range map[string][]string{
		`cluster shop has no service "nope"; it has agent, report, search`: append([]string{"explain", "service", "nope"}, from...),
		`no launch "zz" in cluster shop; there are `:                       append([]string{"explain", "launch", "zz"}, from...),
		`no launch of Neap in cluster shop gave instance i-0`:              append([]string{"explain", "launch", "i-0"}, from...),
		`it goes with --snapshot`:                                          {"explain", "service", "web", "--policy", policy},
		`no-such.json: no such file`:                                       {"explain", "service", "web", "--snapshot", "no-such.json"},
	} {
		if _, errs, code := neap(t, args...); code == 0 || !strings.Contains(errs, says) {
			t.Errorf("%v: code %d, want it to say %q: %s", args, code, says, errs)
		}
	}
}

// TestExplainInstallation reads snapshot, policy, plans and outcomes from NATS: a launch
// that is under way, what came of it, and the service that it is for.
func TestExplainInstallation(t *testing.T) {
	snapshot, policy := shop(t)
	document, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policyfile.Read(policy, document)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := fleet.Decode[fleet.Snapshot](b)
	if err != nil {
		t.Fatal(err)
	}
	url := bustest.Start(t)
	conn := bustest.Connect(t, bus.Config{URL: url})
	ask := func(args ...string) (string, string, int) { return neap(t, append(args, "--nats-url", url)...) }
	if _, errs, code := ask("explain", "service", "search"); code != exitFailed || !strings.Contains(errs, "no cluster has a policy") {
		t.Errorf("code %d: %s", code, errs)
	}
	if _, err := conn.Control().ApplyPolicy(t.Context(), snap.Cluster, pol, document); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := ask("explain", "service", "search"); code != exitFailed || !strings.Contains(errs, "no watcher has published") {
		t.Errorf("code %d: %s", code, errs)
	}
	if err := conn.Control().Resume(t.Context(), bus.AllClusters, "test", "begin"); err != nil {
		t.Fatal(err)
	}
	if err := conn.PublishSnapshot(t.Context(), &snap); err != nil {
		t.Fatal(err)
	}
	act := false
	pol.DryRun = &act
	decided := plan.Make(snap, pol, fleet.Memory{Generation: conn.Generation()})
	if _, err := conn.AppendPlan(t.Context(), &decided, 0); err != nil {
		t.Fatal(err)
	}
	var launched fleet.Action
	for _, a := range decided.Actions {
		if a.Launch != nil && launched.ID == "" {
			launched = a
		}
	}
	o := fleet.Outcome{
		Cluster: snap.Cluster, Generation: conn.Generation(), Plan: decided.ID, Action: launched.ID, Kind: fleet.ActionLaunch, Of: launched.Of(),
		Phase: fleet.PhaseResult, Step: "launch", Attempt: 1, At: snap.TakenAt.Add(time.Second), By: "actuator/1",
		Instances: []fleet.LaunchedInstance{{ID: "i-0abc", Type: "m7i.xlarge", Zone: "us-east-1a", Lifecycle: fleet.OnDemand}},
	}
	if err := conn.PublishOutcome(t.Context(), &o); err != nil {
		t.Fatal(err)
	}

	for _, id := range []string{string(launched.ID), launched.ID.Short(), "i-0abc"} {
		out, errs, code := neap(t, "explain", "launch", "--nats-url", url, "--", id) // an ID may begin with a dash
		for _, want := range []string{"launch " + launched.ID.Short() + ", under way", "because ", "each holds", "waste: ", "bound: ", "chosen: the least cost", "WHAT CAME OF IT", "i-0abc m7i.xlarge us-east-1a"} {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("%s: code %d: it does not say %q: %s\n%s", id, code, want, errs, out)
			}
		}
	}
	out, errs, code := ask("explain", "instance", "--all", "-o", "json")
	var stay instancesExplained
	if err := json.Unmarshal([]byte(out), &stay); err != nil || code != 0 || len(stay.Instances) != len(snap.Instances) || !strings.HasPrefix(stay.Policy, "in force") {
		t.Errorf("code %d, %v: %s%s", code, err, errs, out)
	}
	out, errs, code = ask("explain", "service", "search", "--cluster", string(snap.Cluster), "-o", "json")
	var got serviceExplained
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
		t.Fatalf("code %d, %v: %s%s", code, err, errs, out)
	}
	if len(got.Launches) == 0 || got.Launches[0].ID != launched.ID || got.Launches[0].State != "under way" {
		t.Errorf("the launch that is under way is not told of: %s", out)
	}
	if len(got.Demand) != 1 || got.Demand[0].FitNow == 0 {
		t.Errorf("what is booting is not counted on: %+v", got.Demand)
	}
}
