// Package bustest gives tests a bus of their own: the real nats-server within the test's
// process, in a temporary directory, bootstrapped.
package bustest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/natsembed"
)

// Start runs a bootstrapped server that ends with the test, and returns its URL.
func Start(t testing.TB) string {
	t.Helper()
	url := Bare(t)
	if err := bus.Bootstrap(t.Context(), bus.Config{URL: url}, bus.BootstrapOptions{MaxBytes: MaxBytes}); err != nil {
		t.Fatal(err)
	}
	return url
}

// MaxBytes is the disk a test's streams may take.
const MaxBytes = 256 << 20

// Bare runs a server that nobody has bootstrapped, and returns its URL.
func Bare(t testing.TB) string {
	t.Helper()
	s, err := natsembed.Start(natsembed.Options{DataDir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.URL()
}

// Open connects to a server of its own for this test.
func Open(t testing.TB) *bus.Bus {
	t.Helper()
	return Connect(t, bus.Config{URL: Start(t)})
}

// Publish sends an empty message with headers, which come in pairs of name and value, as
// anybody might who can reach the server. It returns once the stream of the subject, if it
// has one, holds the message.
func Publish(t testing.TB, url, subject string, headers ...string) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	msg := nats.NewMsg(subject)
	for i := 0; i < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	if _, err := conn.RequestMsg(msg, 10*time.Second); err != nil && !errors.Is(err, nats.ErrNoResponders) {
		t.Fatal(err)
	}
}

// Connect opens a bus that is closed when the test ends. Unless cfg has a log, what the
// bus would log is dropped.
func Connect(t testing.TB, cfg bus.Config) *bus.Bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b, err := bus.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}
