package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// recordingOf writes a recording of plans of the example cluster, each changed before it is sealed.
func recordingOf(t *testing.T, changes ...func(*fleet.Plan, *fleet.Record)) string {
	t.Helper()
	in, _, err := cloud.ReadDir("testdata/aws-json")
	if err != nil {
		t.Fatal(err)
	}
	snap, err := finished(in)
	if err != nil {
		t.Fatal(err)
	}
	snap.Generation = 1
	var file bytes.Buffer
	for _, change := range changes {
		record := fleet.Record{Cluster: snap.Cluster, Generation: 1, Snapshot: snap, Policy: plan.DerivePolicy(snap), Memory: fleet.Memory{Generation: 1}}
		made := plan.Make(record.Snapshot, record.Policy, record.Memory)
		change(&made, &record)
		if err := made.Seal(); err != nil {
			t.Fatal(err)
		}
		record.Plan = made.ID
		var line recorded
		if line.Plan, err = fleet.Encode(&made); err != nil {
			t.Fatal(err)
		}
		if line.Record, err = fleet.Encode(&record); err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(&file).Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "web.plans")
	if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestReplayRecording: a plan is the same, or it is told why not.
func TestReplayRecording(t *testing.T) {
	asMade := func(*fleet.Plan, *fleet.Record) {}
	file := recordingOf(t, asMade, func(_ *fleet.Plan, r *fleet.Record) { r.Memory.LaunchedAt = time.Unix(1e9, 0).UTC() },
		func(p *fleet.Plan, _ *fleet.Record) { p.MadeBy, p.Summary.Instances = "plan/0", 99 })
	out, errs, code := neap(t, "replay", "--recording", file, "--output", "json")
	var got chainReport
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || got.Plans != 3 || got.Same != 1 || got.Skipped != 2 {
		t.Errorf("code %d, %v\n%s%s", code, err, out, errs)
	}
	out, _, _ = neap(t, "replay", "--recording", file)
	for _, want := range []string{"the same, to the byte", "the memory of the record is not the one", "another version decides otherwise, from byte"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}

	other := recordingOf(t, asMade, func(p *fleet.Plan, _ *fleet.Record) { p.Summary.Instances = 99 })
	out, _, code = neap(t, "replay", "--recording", other)
	if code != 1 || !strings.Contains(out, "DIFFERENT") || !strings.Contains(out, "1 the same, 1 different") {
		t.Errorf("a planner that decides otherwise: code %d\n%s", code, out)
	}
}

// TestReplayRecordingRefuses: what is not a recording, and flags that say nothing.
func TestReplayRecordingRefuses(t *testing.T) {
	for input, says := range map[string]string{
		"":                     "is empty; make one with neap replay --cluster",
		"{":                    "plan 1",
		`{"plan":{"kind":"x"}`: "plan 1",
		`{"plan":{}}`:          `the message is a ""`,
	} {
		_, errs, code := neapWith(t.Context(), input, "replay", "--recording", "-")
		if code == 0 || !strings.Contains(errs, says) {
			t.Errorf("%q: code %d, does not say %q: %s", input, code, says, errs)
		}
	}
	if _, errs, code := neap(t, "replay"); code == 0 || !strings.Contains(errs, "--recording") {
		t.Errorf("no flags: code %d, %s", code, errs)
	}
	if _, errs, code := neap(t, "replay", "--trace", "x.csv"); code == 0 || !strings.Contains(errs, "--policy is missing") {
		t.Errorf("no policy: code %d, %s", code, errs)
	}
}
