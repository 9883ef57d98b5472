package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/telemetry"
)

const (
	rulesFile     = "../../deploy/prometheus/neap.rules.yaml"
	dashboardFile = "../../deploy/grafana/neap.json"
)

// TestMetricsAreEmitted: in an hour of a cluster that grows, shrinks and meets trouble, every
// metric that is declared is there, no other, and no label holds one of many.
func TestMetricsAreEmitted(t *testing.T) {
	for _, name := range []string{"NATS_URL", "REDIS_URL", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "any")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "any")
	t.Setenv("HEALTH_ADDR", "127.0.0.1:0")
	t.Setenv("STANDING", "1s")
	cloud := start(t, "aws", "--listen", "127.0.0.1:0", "--speed", "40", "--event-queue", "events")
	base := address(t, cloud, `http://127\.0\.0\.1:[0-9]+`)
	queue := address(t, cloud, `http://\S+/events`)
	post(t, base+"/_neap/script", "cluster web\ntask web cpu 512 memory 1024\nservice web task web desired 9\n")
	up := start(t, "up", "--data-dir", t.TempDir(), "--nats-listen", "127.0.0.1:0", "--policy", hastyPolicy(t), "--event-queue", queue,
		"--cluster", "web", "--cluster", "ghost", // which has no policy
		"--aws-endpoint", base, "--region", "us-east-1", "--beat", "200ms", "--tick", "50ms")
	nats, metrics := address(t, up, `nats://127\.0\.0\.1:[0-9]+`), address(t, up, `http://\S+/metrics`)
	within(t, time.Minute, "all tasks run", up, func() bool { return running(t, base) == 9 })
	bustest.Publish(t, nats, "neap.v1.1.plan.web") // no plan, and not of Neap
	post(t, base+"/_neap/script", "cluster web\nservice web desired 2\noutage ecs:ListServices error AccessDeniedException for 3m\n")

	var found map[string]*dto.MetricFamily
	missing := []string{"everything"}
	within(t, 90*time.Second, "every metric is there", up, func() bool {
		found, missing = scrape(t, metrics), nil
		for _, m := range telemetry.All() {
			if found[family(m)] == nil {
				missing = append(missing, m.Name)
			}
		}
		if len(missing) > 0 {
			t.Log("missing:", missing)
		}
		return len(missing) == 0
	})
	wantDeclared(t, found)
}

// hastyPolicy removes what is idle within seconds of the simulated time.
func hastyPolicy(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	document := `
cluster: web
dryRun: false
limits: {maxInstances: 10}
headroom: {units: [{cpuUnits: 512, memoryMiB: 1024, count: 1}]}
scaleDown: {stableFor: 30s, cooldown: 30s, minLifetime: 1m, maxPercentage: 50}
launchSpecs:
- name: default
  images: [/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id]
  subnets: [subnet-000000000000000a0, subnet-000000000000000a1]
  instanceTypes: {allow: [m7i.large]}
`
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// family is the name of the metric family that Prometheus has for a metric.
func family(m *telemetry.Metric) string { return strings.TrimSuffix(m.Series()[0], "_bucket") }

func scrape(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	p := expfmt.NewTextParser(model.LegacyValidation)
	found, err := p.TextToMetricFamilies(strings.NewReader(string(fetch(t, r))))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// manyOf finds what is one of many: instances, hashes, UUIDs, times.
var manyOf = regexp.MustCompile(`i-[0-9a-f]{8}|[0-9a-f]{12}|[0-9a-f]{8}-[0-9a-f]{4}|[0-9]{2}:[0-9]{2}:`)

// wantDeclared: what is emitted is declared, by name, kind and labels.
func wantDeclared(t *testing.T, found map[string]*dto.MetricFamily) {
	t.Helper()
	declared := map[string]*telemetry.Metric{}
	for _, m := range telemetry.All() {
		declared[family(m)] = m
	}
	for name, of := range found {
		if !strings.HasPrefix(name, "neap_") {
			continue
		}
		m := declared[name]
		if m == nil {
			t.Errorf("%s is emitted and not declared", name)
			continue
		}
		if kind := strings.ToLower(of.GetType().String()); kind != string(m.Kind) {
			t.Errorf("%s is a %s, declared as a %s", name, kind, m.Kind)
		}
		const most = 100 // series of two clusters
		if len(of.GetMetric()) > most {
			t.Errorf("%s has %d series", name, len(of.GetMetric()))
		}
		for _, series := range of.GetMetric() {
			for _, label := range series.GetLabel() {
				if key := label.GetName(); !strings.HasPrefix(key, "otel_scope_") && !slices.Contains(m.Labels, key) {
					t.Errorf("%s has a label %s, which is not declared", name, key)
				}
				if manyOf.MatchString(label.GetValue()) {
					t.Errorf("%s{%s=%q}: a label holds one of many", name, label.GetName(), label.GetValue())
				}
			}
		}
	}
}

// TestRulesAndDashboardUseDeclaredMetrics: Prometheus can read them, and every metric in them
// is one that Neap emits, with labels that it has.
func TestRulesAndDashboardUseDeclaredMetrics(t *testing.T) {
	queries := map[string]string{} // by where they stand
	for _, rule := range readRules(t) {
		queries["alert "+rule.Alert] = rule.Expr
	}
	for where, query := range dashboardQueries(t) {
		queries[where] = query
	}
	if len(queries) < 40 {
		t.Fatalf("only %d queries were found", len(queries))
	}
	used := map[string]bool{}
	for where, query := range queries {
		wantDeclaredIn(t, where, query, used)
	}
	for _, m := range telemetry.All() {
		if !slices.ContainsFunc(m.Series(), func(name string) bool { return used[name] }) && m != telemetry.StandingRatio {
			t.Errorf("nobody looks at %s", m.Name)
		}
	}
}

// rule is an alert rule, with all the keys that Prometheus knows of one.
type rule struct {
	Alert, Expr   string
	For           model.Duration
	KeepFiringFor model.Duration `yaml:"keep_firing_for"`
	Labels        map[string]string
	Annotations   map[string]string
}

// readRules reads the file of rules as strictly as Prometheus does.
func readRules(t *testing.T) []rule {
	t.Helper()
	document, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name     string
			Interval model.Duration
			Rules    []rule
		}
	}
	if err := yaml.UnmarshalWithOptions(document, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	var rules []rule
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	for i := range rules {
		r := &rules[i]
		if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
			t.Errorf("rule %+v has no name, severity or summary", r)
		}
	}
	return rules
}

// dashboardQueries are the queries of the dashboard's panels, with its variables filled in.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	document, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(document, &dashboard); err != nil {
		t.Fatal(err)
	}
	queries, ids := map[string]string{}, map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have ID %d", p.ID)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			queries["panel "+p.Title+" "+target.RefID] = strings.NewReplacer("$__rate_interval", "5m", "$cluster", ".*").Replace(target.Expr)
		}
	}
	return queries
}

// wantDeclaredIn checks one query and notes which series it uses.
func wantDeclaredIn(t *testing.T, where, query string, used map[string]bool) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		used[selector.Name] = true
		i := slices.IndexFunc(telemetry.All(), func(m *telemetry.Metric) bool { return slices.Contains(m.Series(), selector.Name) })
		if i < 0 {
			t.Errorf("%s: there is no metric %s", where, selector.Name)
			return nil
		}
		for _, matcher := range selector.LabelMatchers {
			if matcher.Name != model.MetricNameLabel && !slices.Contains(telemetry.All()[i].Labels, matcher.Name) {
				t.Errorf("%s: %s has no label %s", where, selector.Name, matcher.Name)
			}
		}
		return nil
	})
}

const (
	operationsFile = "../../docs/operations.md"
	runbooks       = "https://github.com/neap-project/neap/blob/main/docs/operations.md#"
)

// TestRunbooks: every alert leads to a part of the operations page.
func TestRunbooks(t *testing.T) {
	page := readPage(t)
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		anchors[strings.ReplaceAll(strings.ToLower(heading[1]), " ", "-")] = true
	}
	for _, r := range readRules(t) {
		anchor, ok := strings.CutPrefix(r.Annotations["runbook_url"], runbooks)
		if !ok || !anchors[anchor] {
			t.Errorf("alert %s: no such runbook: %q", r.Alert, r.Annotations["runbook_url"])
		}
	}
	for _, link := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(page, -1) {
		if !anchors[link[1]] {
			t.Errorf("%s: no part is called #%s", operationsFile, link[1])
		}
	}
}

// TestOperationsPage: what the page tells to type exists, and so do the metrics and settings
// that it names.
func TestOperationsPage(t *testing.T) {
	page := readPage(t)
	typed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)(?:^|`)neap ((?:policy |explain )?[a-z]+)").FindAllStringSubmatch(page, -1) {
		typed[m[1]] = true
	}
	for command := range typed {
		if _, errs, code := neap(t, append(strings.Fields(command), "--help")...); code != 0 {
			t.Errorf("there is no command neap %s: %s", command, errs)
		}
	}
	for _, flag := range regexp.MustCompile("`neap ([a-z]+) (--[a-z]+)").FindAllStringSubmatch(page, -1) {
		if out, _, _ := neap(t, flag[1], "--help"); !strings.Contains(out, flag[2]) {
			t.Errorf("neap %s has no flag %s", flag[1], flag[2])
		}
	}
	for _, name := range regexp.MustCompile(`neap_[a-z_]+`).FindAllString(page, -1) {
		if !slices.ContainsFunc(telemetry.All(), func(m *telemetry.Metric) bool { return family(m) == name || slices.Contains(m.Series(), name) }) {
			t.Errorf("there is no metric %s", name)
		}
	}
	if len(typed) < 8 {
		t.Errorf("only %d commands were found", len(typed))
	}
}

func readPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(operationsFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}
