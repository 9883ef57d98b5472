package bus_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/natsembed"
	"github.com/neap-project/neap/libs/adapters/tlstest"
)

// TestTLS: names and authorities are checked on both sides, and certificates may change under way.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := tlstest.NewAuthority(t, dir, "ca"), tlstest.NewAuthority(t, dir, "other-ca")
	serverCert, serverKey := ours.Issue(t, dir, "server", "127.0.0.1")
	cert, key := ours.Issue(t, dir, "client", "")
	strangerCert, strangerKey := theirs.Issue(t, dir, "stranger", "")
	lateCert, lateKey := ours.Expired(t, dir, "late", "")
	config := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true, min_version: \"1.3\" }\n", serverCert, serverKey, ours.File)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	options := natsembed.Options{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Config: config}
	server, err := natsembed.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	options.Listen = strings.TrimPrefix(strings.TrimPrefix(server.URL(), "tls://"), "nats://")
	good := bus.Config{URL: "tls://" + options.Listen, CAFile: ours.File, CertFile: cert, KeyFile: key, ConnectTimeout: 3 * time.Second}
	if err := bus.Bootstrap(t.Context(), good, bus.BootstrapOptions{MaxBytes: 256 << 20}); err != nil {
		t.Fatal(err)
	}
	b, err := bus.Open(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()

	for name, c := range map[string]struct {
		change func(*bus.Config)
		says   string
	}{
		"system authorities":    {func(c *bus.Config) { c.CAFile = "" }, "unknown authority"},
		"another authority":     {func(c *bus.Config) { c.CAFile = theirs.File }, "unknown authority"},
		"another name":          {func(c *bus.Config) { c.URL = strings.Replace(c.URL, "127.0.0.1", "localhost", 1) }, "localhost"},
		"no client certificate": {func(c *bus.Config) { c.CertFile, c.KeyFile = "", "" }, "tls"},
		"a stranger":            {func(c *bus.Config) { c.CertFile, c.KeyFile = strangerCert, strangerKey }, "tls"},
		"out of date":           {func(c *bus.Config) { c.CertFile, c.KeyFile = lateCert, lateKey }, "tls"},
		"plaintext":             {func(c *bus.Config) { *c = bus.Config{URL: "nats://" + options.Listen, ConnectTimeout: time.Second} }, ""},
	} {
		cfg := good
		cfg.ConnectTimeout = time.Second
		c.change(&cfg)
		began := time.Now()
		other, err := bus.Open(t.Context(), cfg)
		if err == nil {
			other.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || time.Since(began) > 15*time.Second {
			t.Errorf("%s: after %s: %v, want %q", name, time.Since(began).Round(time.Millisecond), err, c.says)
		}
	}

	// Everything is rotated, under the names that the connected client knows.
	renewed := tlstest.NewAuthority(t, dir, "ca")
	renewed.Issue(t, dir, "server", "127.0.0.1")
	renewed.Issue(t, dir, "client", "")
	server.Close()
	if server, err = natsembed.Start(options); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := b.Ready(t.Context())
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after rotation: %v", err)
		}
	}
}
