package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSimulate plays two short stories and reads the report.
func TestSimulate(t *testing.T) {
	out, errOut, code := neap(t, "simulate", "--seeds", "2", "--hours", "2", "--faults", "F34,f62", "--output", "json")
	var report struct {
		Seeds    int            `json:"seeds"`
		Broken   *int           `json:"violations"`
		Injected map[string]int `json:"faults_injected"`
		Failures []any          `json:"failures"`
		Plans    int            `json:"plans"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, out, errOut)
	}
	if report.Seeds != 2 || report.Broken == nil || *report.Broken != 0 || len(report.Failures) != 0 || report.Plans == 0 {
		t.Errorf("report %s", out)
	}
	if len(report.Injected) != 2 || report.Injected["F34"] == 0 {
		t.Errorf("injected %v, asked for F34 and F62", report.Injected)
	}
}

// TestSimulateTable shows what people get.
func TestSimulateTable(t *testing.T) {
	out, errOut, code := neap(t, "simulate", "--seeds", "1", "--hours", "2", "--faults", "F28")
	for _, want := range []string{"FAULT", "F28", "pause is pressed", "TRANSITION", "launch planned→calling", "0 violations"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("exit code %d, no %q in\n%s%s", code, want, out, errOut)
		}
	}
}

// TestSimulateRefuses names what is wrong and what would be right.
func TestSimulateRefuses(t *testing.T) {
	for _, c := range []struct{ flag, value, want string }{
		{"--seeds", "0", "at least one"},
		{"--hours", "1", "from 2 to 1000"},
		{"--replicas", "0", "from 1 to 16"},
		{"--beat", "1ms", "such as 15s"},
		{"--jobs", "-1", "above 0"},
		{"--faults", "F34,F93", "there is no fault \"F93\""},
	} {
		if _, errOut, code := neap(t, "simulate", c.flag+"="+c.value); code != exitInput || !strings.Contains(errOut, c.want) {
			t.Errorf("%s %s: exit code %d, %q; want %d and %q", c.flag, c.value, code, errOut, exitInput, c.want)
		}
	}
}
