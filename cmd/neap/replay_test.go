package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const exampleTrace, examplePolicy = "../../docs/examples/trace.csv", "../../docs/examples/policy.yaml"

// TestReplay plays the example, and reads the report and the picture.
func TestReplay(t *testing.T) {
	plot := filepath.Join(t.TempDir(), "trace.svg")
	out, errOut, code := neap(t, "replay", "--trace", exampleTrace, "--policy", examplePolicy, "--beat", "30s", "--output", "json", "--plot", plot)
	var got replayReport
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
		t.Fatalf("code %d, %v\n%s%s", code, err, out, errOut)
	}
	hours := 0.0
	for _, h := range got.InstanceHours {
		hours += h
	}
	if got.Tasks != 350 || got.Cost < got.Bound || got.Bound <= 0 || got.Over <= 0 || hours < 8 || got.Launches == 0 || got.Terminations == 0 {
		t.Errorf("%+v", got)
	}
	if w := got.Waits; w.P50 > w.P99 || w.P99 > w.Max || w.Max == 0 {
		t.Errorf("waits %+v", w)
	}
	svg, err := os.ReadFile(plot)
	if err != nil {
		t.Fatal(err)
	}
	for d, curves := xml.NewDecoder(strings.NewReader(string(svg))), 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if curves != 8 {
				t.Errorf("the picture has %d curves", curves)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			curves++
		}
	}
}

// TestReplayTable shows what people get, from standard input.
func TestReplayTable(t *testing.T) {
	trace := "id,cpu_units,memory_mib,arrival_s,departure_s,service\na,512,1024,0,1800,web\nb,512,1024,60.5,,web\n"
	out, errOut, code := neapWith(t.Context(), trace, "replay", "--trace", "-", "--policy", examplePolicy)
	for _, want := range []string{"2 tasks over 0.5 hours", "lower bound", "tasks waited", "instance hours", "launched"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("code %d, does not say %q\n%s%s", code, want, out, errOut)
		}
	}
}

// TestReplayRefuses: file, line, column, value and remedy.
func TestReplayRefuses(t *testing.T) {
	const header = "id,cpu_units,memory_mib,arrival_s,departure_s\n"
	for trace, says := range map[string]string{
		"":                            "the table is empty",
		"id,cpu_units\n":              "column memory_mib is missing",
		header:                        "no tasks below the header",
		header + "a,0,1,0,\n":         `:2: cpu_units: "0": use at least 1`,
		header + "a,1,1,-1,\n":        `:2: arrival_s: "-1": use seconds since the beginning`,
		header + "a,1,1,NaN,\n":       `:2: arrival_s: "NaN"`,
		header + "a,1,1,5,5\n":        `:2: departure_s: "5": it is not after arrival_s`,
		header + "a,1,1,0,\na,1,1,0,": `:3: id: "a": line 2 has it as well`,
		header + ",1,1,0,\n":          ":2: id:",
		header + "a,1,1\n":            "3 fields where the header has 5",
		header + "a,1,1,1e9,\n":       "from 0 to",
	} {
		if _, errOut, code := neapWith(t.Context(), trace, "replay", "--trace", "-", "--policy", examplePolicy); code != exitInput || !strings.Contains(errOut, says) {
			t.Errorf("%q: code %d, %q does not say %q", trace, code, errOut, says)
		}
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--trace", "none.csv", "--policy", examplePolicy}, "none.csv"},
		{[]string{"--trace", exampleTrace, "--policy", "none.yaml"}, "none.yaml"},
		{[]string{"--trace", exampleTrace, "--policy", examplePolicy, "--beat", "1h"}, "such as 15s"},
	} {
		if _, errOut, code := neap(t, append([]string{"replay"}, c.args...)...); code != exitInput || !strings.Contains(errOut, c.says) {
			t.Errorf("%v: code %d, %q does not say %q", c.args, code, errOut, c.says)
		}
	}
}
