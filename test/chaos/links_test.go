package chaos_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// link is the way of one process to one thing: a proxy for each address of it.
type link struct {
	name    string // such as planner-1 to nats
	proxies []*toxiproxy.Proxy
}

// proxied lays a link and returns the addresses at which the process finds the thing.
func proxied(t *testing.T, name string, addrs ...string) (l *link, at []string) {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l = &link{name: name}
	for n, addr := range addrs {
		p := toxiproxy.NewProxy(server, fmt.Sprint(name, " ", n), "127.0.0.1:0", addr)
		if err := p.Start(); err != nil {
			t.Fatalf("proxy %s: %v", name, err)
		}
		t.Cleanup(p.Stop)
		l.proxies, at = append(l.proxies, p), append(at, p.Listen)
	}
	return l, at
}

// cut refuses and breaks all connections, until it is undone.
func (l *link) cut(t *testing.T) (undo func()) {
	for _, p := range l.proxies {
		p.Stop()
	}
	return func() {
		for _, p := range l.proxies {
			if err := p.Start(); err != nil {
				t.Errorf("mend the link %s: %v", l.name, err)
			}
		}
	}
}

// The ways in which a link can be bad, as toxics of toxiproxy.
const (
	slow    = `{"name": "slow", "type": "latency", "attributes": {"latency": 1500, "jitter": 1000}}`
	narrow  = `{"name": "narrow", "type": "bandwidth", "attributes": {"rate": 1}}` // KiB/s
	reset   = `{"name": "reset", "type": "reset_peer", "attributes": {"timeout": 100}}`
	mute    = `{"name": "mute", "type": "timeout", "attributes": {"timeout": 0}}`                       // answers never come
	deaf    = `{"name": "deaf", "type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}` // requests never arrive
	mangled = `{"name": "mangled", "type": "slicer", "attributes": {"average_size": 16, "size_variation": 8, "delay": 200}}`
)

// spoil makes the link bad in one of these ways, until it is undone.
func (l *link) spoil(t *testing.T, toxic string) (undo func()) {
	for _, p := range l.proxies {
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Errorf("spoil the link %s: %v", l.name, err)
		}
	}
	return func() {
		for _, p := range l.proxies {
			p.Toxics.ResetToxics(context.Background())
		}
	}
}

// host is the host and port of a URL.
func host(t *testing.T, of string) string {
	t.Helper()
	u, err := url.Parse(of)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
