package telemetry_test

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/adapters/telemetry"
)

var update = flag.Bool("update", false, "rewrite the pages")

// TestPages keeps docs/metrics.md and docs/traces.md true.
func TestPages(t *testing.T) {
	for file, got := range map[string][]byte{
		"../../../docs/metrics.md": telemetry.MetricsPage(),
		"../../../docs/traces.md":  telemetry.TracesPage(),
	} {
		if *update {
			if err := os.WriteFile(file, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is out of date; run this test with -update", file)
		}
	}
}

// TestDeclarations: names are of one style and there once; every label is explained.
func TestDeclarations(t *testing.T) {
	name := regexp.MustCompile(`^neap\.[a-z]+([._][a-z]+)*$`)
	page := string(telemetry.MetricsPage())
	seen := map[string]bool{}
	for _, m := range telemetry.All() {
		if !name.MatchString(m.Name) || m.Help == "" || m.From == "" {
			t.Errorf("%+v: it has no proper name, help or service", m)
		}
		for _, series := range m.Series() {
			if seen[series] {
				t.Errorf("%s is there twice", series)
			}
			seen[series] = true
		}
		for _, label := range m.Labels {
			if !regexp.MustCompile("(?m)^\\| `" + label + "` \\| .+ \\|$").MatchString(page) {
				t.Errorf("%s: the label %s is not explained", m.Name, label)
			}
		}
	}
	if !slices.Contains(telemetry.Cost.Series(), "neap_cost_USD_per_hour") || len(telemetry.PlanDuration.Series()) != 3 {
		t.Errorf("series are %v and %v", telemetry.Cost.Series(), telemetry.PlanDuration.Series())
	}
}

// TestSpanDeclarations: every attribute of a span is explained, and the page shows them all.
func TestSpanDeclarations(t *testing.T) {
	page := string(telemetry.TracesPage())
	for _, s := range telemetry.Spans() {
		if s.Help == "" || s.From == "" || s.Under == "" || len(s.Attributes) == 0 {
			t.Errorf("%+v says too little", s)
		}
		for _, key := range s.Attributes {
			if !strings.Contains(page, "\n| `"+string(key)+"` | ") {
				t.Errorf("span %s: the attribute %s is not explained", s.Name, key)
			}
		}
	}
}

// TestCollectorSampling: the collector decides by an attribute that spans have.
func TestCollectorSampling(t *testing.T) {
	text, err := os.ReadFile("../../../deploy/otel/sampling.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "{key: "+string(telemetry.AttrActions)+",") {
		t.Errorf("no policy for %s", telemetry.AttrActions)
	}
}
