package cache

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/adapters/tlstest"
)

// F79: Redis away at the start, gone in between, back again.
func TestRedisComesAndGoes(t *testing.T) {
	server := cachetest.Start(t)
	server.Stop()
	c := open(t, Config{URL: server.URL})
	wantMiss[int](t, c, "a")
	if err := c.Ping(t.Context()); err == nil {
		t.Error("a dead Redis answers")
	}
	server.Restart()
	Set(t.Context(), c, "a", 1, time.Minute)
	wantHit(t, c, "a", 1)
	server.Stop()
	for range 2 * failuresToOpen {
		wantMiss[int](t, c, "a")
	}
	if s := c.breaker.State(); s != gobreaker.StateOpen {
		t.Errorf("the circuit is %s", s)
	}
	server.Restart()
	// Past the open circuit; only the client library itself looks but once a second.
	err := c.Ping(t.Context())
	for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); err = c.Ping(t.Context()) {
		<-time.After(50 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("back again, and not seen: %v", err)
	}
}

// F84: a Redis that takes calls and does not answer costs a few deadlines, then
// nothing.
func TestSlowRedisCostsLittle(t *testing.T) {
	server := cachetest.Start(t)
	c := open(t, Config{URL: server.URL, Timeout: 100 * time.Millisecond})
	server.Freeze()
	t.Cleanup(server.Thaw)
	begun := time.Now()
	for range 10_000 {
		Set(t.Context(), c, "a", 1, time.Minute)
		wantMiss[int](t, c, "a")
	}
	// Five deadlines make half a second; the rest is a loaded machine.
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("20,000 calls took %s", took)
	}
	v, err := Remember(t.Context(), c, "a", time.Minute, func(context.Context) (int, error) { return 2, nil })
	if v != 2 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
}

// A caller in a hurry is not held up to the cache's own deadline.
func TestCallersDeadlineWins(t *testing.T) {
	server := cachetest.Start(t)
	c := open(t, Config{URL: server.URL, Timeout: time.Minute})
	server.Freeze()
	t.Cleanup(server.Thaw)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, ok := Get[int](ctx, c, "a"); ok || time.Since(begun) > 10*time.Second {
		t.Errorf("got %t after %s", ok, time.Since(begun))
	}
}

// F83: a full Redis refuses writes and still reads.
func TestFullRedisStillReads(t *testing.T) {
	c := open(t, Config{URL: cachetest.Start(t, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction").URL})
	Set(t.Context(), c, "small", "x", time.Minute)
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
		Set(t.Context(), c, key, strings.Repeat("x", 1<<20), time.Minute)
	}
	wantMiss[string](t, c, "l")
	wantHit(t, c, "small", "x")
	if s := c.breaker.State(); s != gobreaker.StateClosed {
		t.Errorf("the circuit is %s", s)
	}
}

// C7: the cache lives with the least rights, and can do nothing beyond.
func TestLeastRights(t *testing.T) {
	server := cachetest.Start(t,
		"--user", "default", "off",
		"--user", "planner", "on", ">hush", "~neap:*", "resetchannels", "-@all", "+get", "+set", "+ping", "+hello", "+auth",
	)
	url := strings.Replace(server.URL, "redis://", "redis://planner@", 1)
	c := open(t, Config{URL: url, Password: service.NewSecret("hush")})
	Set(t.Context(), c, "a", webTask(), time.Minute)
	wantHit(t, c, "a", webTask())
	SetMany(t.Context(), c, map[string]int{"b": 1, "c": 2}, time.Minute)
	if got := GetMany[int](t.Context(), c, []string{"b", "c"}); len(got) != 2 {
		t.Errorf("got %v", got)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	for _, forbidden := range [][]any{
		{"FLUSHALL"}, {"KEYS", "*"}, {"CONFIG", "GET", "*"}, {"EVAL", "return 1", 0}, {"GET", "other:a"}, {"SET", "other:a", 1}, {"DEL", "neap:a"},
	} {
		if err := c.client.Do(t.Context(), forbidden...).Err(); !redis.HasErrorPrefix(err, "NOPERM") {
			t.Errorf("%v: %v, want NOPERM", forbidden, err)
		}
	}
	for name, cfg := range map[string]Config{
		"wrong password": {URL: url, Password: service.NewSecret("guess")},
		"default user":   {URL: server.URL},
	} {
		if err := open(t, cfg).Ping(t.Context()); err == nil {
			t.Errorf("%s: let in", name)
		} else if strings.Contains(err.Error(), "guess") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
}

// C6: names and authorities are checked, certificates may change under way.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := tlstest.NewAuthority(t, dir, "ca"), tlstest.NewAuthority(t, dir, "other-ca")
	serverCert, serverKey := ours.Issue(t, dir, "server", "127.0.0.1")
	cert, key := ours.Issue(t, dir, "client", "")
	strangerCert, strangerKey := theirs.Issue(t, dir, "stranger", "")
	// Only redis-server built with TLS takes these; distributions build it so.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(addr)
	server := cachetest.Start(t, "--port", "0", "--tls-port", port, "--tls-cert-file", serverCert, "--tls-key-file", serverKey,
		"--tls-ca-cert-file", ours.File, "--tls-auth-clients", "yes", "--tls-protocols", "TLSv1.3")

	good := Config{URL: "rediss://" + addr, CAFile: ours.File, CertFile: cert, KeyFile: key}
	c := open(t, good)
	Set(t.Context(), c, "a", 1, time.Minute)
	wantHit(t, c, "a", 1)

	for name, change := range map[string]func(*Config){
		"plaintext":             func(c *Config) { *c = Config{URL: "redis://" + addr} },
		"another authority":     func(c *Config) { c.CAFile = theirs.File },
		"system authorities":    func(c *Config) { c.CAFile = "" },
		"another name":          func(c *Config) { c.URL = strings.Replace(c.URL, "127.0.0.1", "localhost", 1) },
		"no client certificate": func(c *Config) { c.CertFile, c.KeyFile = "", "" },
		"stranger":              func(c *Config) { c.CertFile, c.KeyFile = strangerCert, strangerKey },
	} {
		cfg := good
		change(&cfg)
		if err := open(t, cfg).Ping(t.Context()); err == nil {
			t.Errorf("%s: connected", name)
		}
	}

	// Everything is rotated, under the names the running client knows.
	renewed := tlstest.NewAuthority(t, dir, "ca")
	renewed.Issue(t, dir, "server", "127.0.0.1")
	renewed.Issue(t, dir, "client", "")
	server.Stop()
	server.Restart()
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("after rotation: %v", err)
	}
}

func TestOpenRefusesMissingCertificates(t *testing.T) {
	_, err := Open(t.Context(), Config{URL: "rediss://h", CAFile: "/no/such", Timeout: time.Second}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "/no/such") {
		t.Errorf("got %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		want string
	}{
		"off":           {map[string]string{}, ""},
		"plain":         {map[string]string{"REDIS_URL": "redis://h:1/2"}, ""},
		"user":          {map[string]string{"REDIS_URL": "rediss://planner@h", "REDIS_PASSWORD": "hush"}, ""},
		"no URL":        {map[string]string{"REDIS_URL": "hush\x7f"}, `REDIS_URL is "[not a URL]": use redis://host:6379/0`},
		"scheme":        {map[string]string{"REDIS_URL": "http://h"}, `REDIS_URL is "http://h": redis: invalid URL scheme: http; use redis://host:6379/0`},
		"password":      {map[string]string{"REDIS_URL": "redis://u:hush@h"}, `REDIS_URL is "redis://u:xxxxx@h": keep the password out of it; use REDIS_PASSWORD_FILE`},
		"unchecked TLS": {map[string]string{"REDIS_URL": "rediss://h?skip_verify=true"}, `REDIS_URL is "rediss://h?skip_verify=true": remove skip_verify; set REDIS_TLS_CA_FILE to trust a private authority`},
		"needless TLS":  {map[string]string{"REDIS_URL": "redis://h", "REDIS_TLS_CA_FILE": "/ca"}, `REDIS_URL is "redis://h": use rediss:// since REDIS_TLS_*_FILE are set`},
		"half a pair":   {map[string]string{"REDIS_URL": "rediss://h", "REDIS_TLS_CERT_FILE": "/c"}, `REDIS_TLS_CERT_FILE is "/c": set it and REDIS_TLS_KEY_FILE together, or neither`},
		"timeout":       {map[string]string{"REDIS_URL": "redis://h", "REDIS_TIMEOUT": "0s"}, `REDIS_TIMEOUT is "0s": use a duration above zero, such as 100ms`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			_, err := service.Load[Config]("")
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("\ngot  %s\nwant %s", got, test.want)
			}
		})
	}
}

// One span for a round trip, one count for a value, and never a value in either.
func TestTelemetry(t *testing.T) {
	spans, reader := tracetest.NewSpanRecorder(), metric.NewManualReader()
	tracers, meters := otel.GetTracerProvider(), otel.GetMeterProvider()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	t.Cleanup(func() {
		otel.SetTracerProvider(tracers)
		otel.SetMeterProvider(meters)
	})
	server := cachetest.Start(t)
	c := open(t, Config{URL: server.URL})
	Set(t.Context(), c, "a", "canary", time.Minute)
	Get[string](t.Context(), c, "a")
	Get[int](t.Context(), c, "a")
	GetMany[string](t.Context(), c, []string{"a", "b", "c"})
	server.Stop()
	for range failuresToOpen + 2 {
		Get[string](t.Context(), c, "a")
	}

	pipelines := 0
	for _, s := range spans.Ended() {
		for _, a := range s.Attributes() {
			if strings.Contains(a.Value.String(), "canary") || strings.Contains(a.Value.String(), "neap:a") {
				t.Errorf("span %s tells %v", s.Name(), a)
			}
		}
		if strings.HasPrefix(s.Name(), "redis.pipeline") {
			pipelines++
		}
	}
	if pipelines != 4+failuresToOpen {
		t.Errorf("%d round trips were traced, want %d", pipelines, 4+failuresToOpen)
	}
	got := requests(t, reader)
	for label, want := range map[string]int64{
		"set stored": 1, "get hit": 2, "get stale": 1, "get miss": 2, "get error": failuresToOpen, "get skipped": 2,
	} {
		if got[label] != want {
			t.Errorf("%s counted %d times, want %d", label, got[label], want)
		}
	}
}

func requests(t *testing.T, reader metric.Reader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int64)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if m.Name != "neap.cache.requests" || !ok {
				continue
			}
			for _, point := range sum.DataPoints {
				operation, _ := point.Attributes.Value("operation")
				result, _ := point.Attributes.Value("result")
				counts[operation.AsString()+" "+result.AsString()] = point.Value
			}
		}
	}
	return counts
}
