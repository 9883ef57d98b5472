package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

func testConfig() Config {
	return Config{HealthAddr: "127.0.0.1:0", StallAfter: time.Minute, ShutdownTimeout: 5 * time.Second}
}

func start(t *testing.T, cfg Config, out io.Writer) *Process {
	t.Helper()
	p, err := New(t.Context(), "test", cfg, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func get(t *testing.T, p *Process, path string, body any) int {
	t.Helper()
	answer, err := http.Get("http://" + p.HealthAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into, ok := body.(*string); ok {
		*into = string(text)
	} else if err := json.Unmarshal(text, body); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return answer.StatusCode
}

func TestReadiness(t *testing.T) {
	p := start(t, testConfig(), io.Discard)
	var nats, redis error
	p.Health.Check("nats", func(context.Context) error { return nats })
	p.Health.Report("redis", func(context.Context) error { return redis })

	want := func(step string, code int, state string, ready bool) readiness {
		t.Helper()
		var got readiness
		if status := get(t, p, "/readyz", &got); status != code || got.State != state || got.Ready != ready {
			t.Errorf("%s: %d %+v", step, status, got)
		}
		return got
	}
	want("before the first turn", 503, "starting", false)
	p.Health.Ready()
	want("all well", 200, "running", true)

	redis = errors.New("no route")
	got := want("without the cache", 200, "running", true)
	if r := got.Checks["redis"]; r.OK || r.Needed || r.Error != "no route" {
		t.Errorf("redis is reported as %+v", r)
	}
	nats = errors.New("no servers")
	got = want("without the bus", 503, "running", false)
	if r := got.Checks["nats"]; r.OK || !r.Needed || r.Error != "no servers" {
		t.Errorf("nats is reported as %+v", r)
	}
	nats = nil
	want("well again", 200, "running", true)
	p.shared.board.stop()
	want("told to stop", 503, "stopping", false)
}

func TestReadinessWaitsForEachPart(t *testing.T) {
	p := start(t, testConfig(), io.Discard)
	watcher, planner := p.Part("watcher"), p.Part("planner")
	planner.Health.Check("bus", func(context.Context) error { return nil })
	var got readiness
	for _, part := range []*Process{p, watcher} {
		part.Health.Ready()
		if get(t, p, "/readyz", &got) != 503 {
			t.Errorf("ready though planner is not: %+v", got)
		}
	}
	planner.Health.Ready()
	if get(t, p, "/readyz", &got) != 200 || !got.Checks["planner/bus"].OK {
		t.Errorf("got %+v", got)
	}
}

func TestHungCheckEndsByItsDeadline(t *testing.T) {
	p := start(t, testConfig(), io.Discard)
	p.Health.Ready()
	p.Health.Check("slow", func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	var got readiness
	if get(t, p, "/readyz", &got) != 503 || got.Checks["slow"].Error != context.DeadlineExceeded.Error() {
		t.Errorf("got %+v", got)
	}
}

func TestLiveness(t *testing.T) {
	cfg := testConfig()
	cfg.StallAfter = time.Nanosecond
	p := start(t, cfg, io.Discard)
	var got liveness
	if get(t, p, "/livez", &got) != 200 || !got.Live {
		t.Errorf("before the first beat: %+v", got)
	}
	p.Health.Beat()
	if get(t, p, "/livez", &got) != 503 || got.Live || got.Loops["main"].OK {
		t.Errorf("stalled: %+v", got)
	}
}

func TestMetrics(t *testing.T) {
	p := start(t, testConfig(), io.Discard)
	launches, err := p.Meter.Int64Counter("neap.launches")
	if err != nil {
		t.Fatal(err)
	}
	launches.Add(t.Context(), 3)
	ctx, cancel := context.WithCancel(t.Context())
	_ = p.Every(ctx, "plan", time.Hour, nil, func(context.Context) error {
		cancel()
		return nil
	})
	var body string
	if code := get(t, p, "/metrics", &body); code != 200 {
		t.Fatalf("status %d", code)
	}
	for _, want := range []string{
		"neap_launches_total{", `otel_scope_name="neap/test"`, `neap_loop_duration_seconds_count{loop="plan"`,
		`target_info{`, `service_name="neap-test"`, "go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

func TestHealthAddrInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := testConfig()
	cfg.HealthAddr = taken.Addr().String()
	_, err = New(t.Context(), "test", cfg, io.Discard)
	want := `HEALTH_ADDR is "` + cfg.HealthAddr + `": address already in use; choose a free address`
	if fault := faults(err); len(fault) != 1 || fault[0].Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestHealthOff(t *testing.T) {
	cfg := testConfig()
	cfg.HealthAddr = ""
	if p := start(t, cfg, io.Discard); p.HealthAddr() != "" {
		t.Errorf("listens at %s", p.HealthAddr())
	}
}

func TestStopClosesInReverseAndGoesOn(t *testing.T) {
	p, err := New(t.Context(), "test", testConfig(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var closed []string
	note := func(name string, err error) func(context.Context) error {
		return func(context.Context) error {
			closed = append(closed, name)
			return err
		}
	}
	p.Defer(note("bus", nil))
	p.Part("planner").Defer(note("cache", errors.New("torn")))
	p.Defer(note("cloud", nil))
	if err := p.Stop(t.Context()); text(err) != "close: torn" {
		t.Errorf("got %v", err)
	}
	if want := []string{"cloud", "cache", "bus"}; !slices.Equal(closed, want) {
		t.Errorf("closed %v, want %v", closed, want)
	}
	if err := p.Stop(t.Context()); err != nil || len(closed) != 3 {
		t.Errorf("a second Stop did something: %v %v", err, closed)
	}
}

func TestLogsLeadToTheTrace(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		cfg := testConfig()
		cfg.LogFormat = format
		p := start(t, cfg, &out)
		ctx, span := p.Part("planner").Tracer.Start(t.Context(), "plan")
		p.Part("planner").Log.With("cluster", "web").InfoContext(ctx, "planned")
		p.Log.Debug("not at this level")
		span.End()
		line := out.String()
		for _, want := range []string{"planned", "planner", "web", span.SpanContext().TraceID().String(), span.SpanContext().SpanID().String()} {
			if !strings.Contains(line, want) {
				t.Errorf("%s: no %s in %s", format, want, line)
			}
		}
		if strings.Contains(line, "not at this level") {
			t.Errorf("%s: debug is logged at info", format)
		}
	}
}

// Without an exporter nothing is sent, but a trace passes through whole.
func TestTraceFlowsWithoutAnExporter(t *testing.T) {
	p := start(t, testConfig(), io.Discard)
	carrier := propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	ctx := otel.GetTextMapPropagator().Extract(t.Context(), carrier)
	ctx, span := p.Tracer.Start(ctx, "plan")
	defer span.End()
	if got := span.SpanContext().TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace is %s", got)
	}
	out := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, out)
	want := "00-0af7651916cd43dd8448eb211c80319c-" + span.SpanContext().SpanID().String() + "-01"
	if out["traceparent"] != want {
		t.Errorf("passed on %q, want %q", out["traceparent"], want)
	}
}

// collector is what an OpenTelemetry collector looks like to an exporter.
type collector struct {
	*httptest.Server
	mu     sync.Mutex
	bodies map[string]string // by path
	header http.Header
}

func newCollector(t *testing.T) *collector {
	c := &collector{bodies: make(map[string]string)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bodies[r.URL.Path] += string(body)
		c.header = r.Header
	}))
	t.Cleanup(c.Close)
	return c
}

func TestExport(t *testing.T) {
	c := newCollector(t)
	cfg := testConfig()
	cfg.OTLPEndpoint = c.URL + "/"
	cfg.OTLPHeaders = NewSecret("Authorization=Bearer%20" + "token, x-tenant=a")
	p, err := New(t.Context(), "demo", cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := p.Part("watcher").Tracer.Start(t.Context(), "snapshot")
	_, child := p.Part("planner").Tracer.Start(ctx, "make-plan")
	child.End()
	span.End()
	launches, _ := p.Meter.Int64Counter("neap.launches")
	launches.Add(ctx, 1)
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The wire format is protobuf, in which texts stand as they are.
	for path, texts := range map[string][]string{
		"/v1/traces":  {"neap-watcher", "snapshot", "neap-planner", "make-plan", "service.version"},
		"/v1/metrics": {"neap-demo", "neap.launches"},
	} {
		for _, want := range texts {
			if !strings.Contains(c.bodies[path], want) {
				t.Errorf("no %s in what %s got", want, path)
			}
		}
	}
	if c.header.Get("Authorization") != "Bearer token" || c.header.Get("X-Tenant") != "a" {
		t.Errorf("headers are %v", c.header)
	}
}

func TestExportersCanBeTurnedOff(t *testing.T) {
	tests := map[string]struct {
		cfg             Config
		traces, metrics string
	}{
		"no endpoint": {Config{}, "", ""},
		"base":        {Config{OTLPEndpoint: "http://c:4318"}, "http://c:4318/v1/traces", "http://c:4318/v1/metrics"},
		"base path":   {Config{OTLPEndpoint: "http://c/otlp/"}, "http://c/otlp/v1/traces", "http://c/otlp/v1/metrics"},
		"own":         {Config{OTLPEndpoint: "http://c", OTLPTracesEndpoint: "http://t/x"}, "http://t/x", "http://c/v1/metrics"},
		"only own":    {Config{OTLPTracesEndpoint: "http://t/x"}, "http://t/x", ""},
		"no metrics":  {Config{OTLPEndpoint: "http://c", MetricsExporter: "none"}, "http://c/v1/traces", ""},
		"no traces":   {Config{OTLPEndpoint: "http://c", TracesExporter: "none"}, "", "http://c/v1/metrics"},
	}
	for name, test := range tests {
		if got := test.cfg.tracesURL(); got != test.traces {
			t.Errorf("%s: traces to %q, want %q", name, got, test.traces)
		}
		if got := test.cfg.metricsURL(); got != test.metrics {
			t.Errorf("%s: metrics to %q, want %q", name, got, test.metrics)
		}
	}
}

// A collector that is down must hold up neither work nor the end.
func TestStopWithADeadCollector(t *testing.T) {
	cfg := testConfig()
	cfg.OTLPEndpoint = "http://127.0.0.1:1"
	p, err := New(t.Context(), "test", cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer.Start(t.Context(), "plan")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := p.Stop(ctx); err == nil {
		t.Error("lost spans went unmentioned")
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("stop took %s", took)
	}
}
