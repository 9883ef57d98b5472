package service

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/neap-project/neap/libs/adapters/tlstest"
)

// TestOTLPOverTLS: the collector is checked, and shown our certificate, the one of now.
func TestOTLPOverTLS(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := tlstest.NewAuthority(t, dir, "ca"), tlstest.NewAuthority(t, dir, "other-ca")
	serverCert, serverKey := ours.Issue(t, dir, "server", "127.0.0.1")
	cert, key := ours.Issue(t, dir, "client", "")
	var got atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(ours.File)
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()

	export := func(cfg Config) int64 {
		before := got.Load()
		cfg.OTLPEndpoint, cfg.TracesExporter, cfg.MetricsExporter, cfg.LogFormat = server.URL, "otlp", "none", "json"
		e, err := newExporters(t.Context(), "test", cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, span := e.tracers("test").Tracer("test").Start(t.Context(), "one")
		span.End()
		ctx, cancel := context.WithTimeout(t.Context(), otlpTimeout)
		defer cancel()
		_ = e.close(ctx)
		return got.Load() - before
	}
	good := Config{Sampler: "always_on", OTLPCertificate: ours.File, OTLPClientCertificate: cert, OTLPClientKey: key}
	if export(good) == 0 {
		t.Error("nothing arrives")
	}
	for name, change := range map[string]func(*Config){
		"another authority":     func(c *Config) { c.OTLPCertificate = theirs.File },
		"no client certificate": func(c *Config) { c.OTLPClientCertificate, c.OTLPClientKey = "", "" },
	} {
		cfg := good
		change(&cfg)
		if export(cfg) != 0 {
			t.Errorf("%s: it arrives", name)
		}
	}
	if err := (Config{OTLPCertificate: "/no/such"}).readableFiles(); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_CERTIFICATE") {
		t.Errorf("a file that is not there: %v", err)
	}
}
