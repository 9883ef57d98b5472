package bus_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/bus/natsembed"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

func TestOpenSaysWhatIsMissing(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nobody.Addr().String()
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	missing, text := filepath.Join(t.TempDir(), "missing.pem"), filepath.Join(t.TempDir(), "text.pem")
	if err := os.WriteFile(text, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  bus.Config
		want error // nil is a setting that is wrong
		says []string
	}{
		"no server":        {bus.Config{URL: "nats://user:secret@" + address, ConnectTimeout: 300 * time.Millisecond}, nats.ErrNoServers, []string{"NATS_URL", address, "start a nats-server"}},
		"no topology":      {bus.Config{URL: bustest.Bare(t)}, bus.ErrTopology, []string{"neap-control", "neap bootstrap"}},
		"another protocol": {bus.Config{URL: "http://user:secret@127.0.0.1"}, nil, []string{"NATS_URL", "nats://"}},
		"no URL":           {bus.Config{URL: "nats://user:secret@[::1"}, nil, []string{"NATS_URL", "nats://"}},
		"no host":          {bus.Config{URL: "nats://"}, nil, []string{"NATS_URL"}},
		"half a key pair":  {bus.Config{CertFile: "c.pem"}, nil, []string{"NATS_KEY_FILE"}},
		"the other half":   {bus.Config{KeyFile: "k.pem"}, nil, []string{"NATS_CERT_FILE"}},
		"wild inbox":       {bus.Config{InboxPrefix: "a.>"}, nil, []string{"NATS_INBOX_PREFIX"}},
		"no size":          {bus.Config{InlineBytes: -2}, nil, []string{"SNAPSHOT_INLINE_BYTES"}},
		"no time":          {bus.Config{ConnectTimeout: -time.Second}, nil, []string{"NATS_CONNECT_TIMEOUT"}},
		"no credentials":   {bus.Config{CredsFile: missing}, nil, []string{"NATS_CREDS_FILE", missing, "no such file"}},
		"no authority":     {bus.Config{CAFile: missing}, nil, []string{"NATS_CA_FILE", missing}},
		"a folder":         {bus.Config{CAFile: t.TempDir()}, nil, []string{"NATS_CA_FILE", "is a directory"}},
		"not PEM":          {bus.Config{CAFile: text}, nil, []string{"NATS_CA_FILE", text, "PEM"}},
		"no pair":          {bus.Config{CertFile: missing, KeyFile: missing}, nil, []string{"NATS_CERT_FILE", "NATS_KEY_FILE", missing}},
		"not a pair":       {bus.Config{CertFile: text, KeyFile: text}, nil, []string{"NATS_CERT_FILE", text, "PEM"}},
	} {
		b, err := bus.Open(t.Context(), c.cfg)
		if err == nil {
			b.Close()
		}
		_, setting := errors.AsType[*service.ConfigError](err)
		if c.want == nil && !setting || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
			continue
		}
		for _, word := range c.says {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", name, err, word)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}

// Open waits for a server that comes up a little later.
func TestOpenWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if _, err := natsembed.Start(natsembed.Options{DataDir: dir, Listen: address}); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("a port in use: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- bus.Bootstrap(t.Context(), bus.Config{URL: "nats://" + address}, bus.BootstrapOptions{MaxBytes: bustest.MaxBytes})
	}()
	<-time.After(150 * time.Millisecond) // at least one try fails
	s, err := natsembed.Start(natsembed.Options{DataDir: dir, Listen: address})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Everything that was confirmed is there after a restart; a connection survives it.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := natsembed.Start(natsembed.Options{DataDir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	url := s.URL()
	if err := bus.Bootstrap(t.Context(), bus.Config{URL: url}, bus.BootstrapOptions{MaxBytes: bustest.MaxBytes}); err != nil {
		t.Fatal(err)
	}
	b := bustest.Connect(t, bus.Config{URL: url})
	p := planFor(t, "web", 1, "", "a")
	seq := appendPlan(t, b, p, 0)
	s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	if err := b.Ready(ctx); !errors.Is(err, bus.ErrUnavailable) {
		t.Errorf("ready without a server: %v", err)
	}
	cancel()
	next := planFor(t, "web", 1, p.ID, "a")
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	if _, err := b.AppendPlan(ctx, next, seq); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("append without a server: %v", err)
	}
	cancel()
	s, err = natsembed.Start(natsembed.Options{DataDir: dir, Listen: strings.TrimPrefix(url, "nats://")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	eventually(t, "the connection", func() bool { return b.Ready(t.Context()) == nil })
	// The publish that was sent into the void may have been kept by the client and stored
	// since; the chain tells, and sending it again is harmless.
	if _, err := b.AppendPlan(t.Context(), next, seq); err != nil {
		t.Errorf("the same append again: %v", err)
	}
	if last, _, _, err := b.LastPlan(t.Context(), "web"); err != nil || last.ID != next.ID {
		t.Errorf("last plan %s, %v", last.ID, err)
	}
}

func TestInProcess(t *testing.T) {
	s, err := natsembed.Start(natsembed.Options{DataDir: filepath.Join(t.TempDir(), "new")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := bus.Bootstrap(t.Context(), s.Config(), bus.BootstrapOptions{MaxBytes: bustest.MaxBytes, Paused: "first look", By: "ann"}); err != nil {
		t.Fatal(err)
	}
	b := bustest.Connect(t, s.Config())
	appendPlan(t, b, planFor(t, "web", 1, "", "a"), 0)
	if p, err := b.Control().Paused(t.Context(), "web"); err != nil || p.By != "ann" || p.Why != "first look" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := natsembed.Start(natsembed.Options{}); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("without a directory: %v", err)
	}
	if _, err := natsembed.Start(natsembed.Options{DataDir: t.TempDir(), Listen: "nowhere"}); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("without a port: %v", err)
	}
}

func TestBootstrapTwiceChangesNothing(t *testing.T) {
	url := bustest.Start(t)
	b := bustest.Connect(t, bus.Config{URL: url})
	if err := b.Control().Pause(t.Context(), bus.AllClusters, "ann", "testing"); err != nil {
		t.Fatal(err)
	}
	before := streams(t, b)
	for _, o := range []bus.BootstrapOptions{{}, {MaxBytes: bustest.MaxBytes}, {Generation: 1}} {
		if err := bus.Bootstrap(t.Context(), bus.Config{URL: url}, o); err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
	}
	if after := streams(t, b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if p, err := b.Control().Paused(t.Context(), "web"); err != nil || p.Why != "testing" {
		t.Errorf("bootstrap let go of the red button: %+v, %v", p, err)
	}
}

func streams(t *testing.T, b *bus.Bus) string {
	t.Helper()
	var all []string
	list := b.JetStream().ListStreams(t.Context())
	for info := range list.Info() {
		all = append(all, strings.TrimSpace(strings.Join([]string{info.Config.Name, info.Config.MaxAge.String(), jsonOf(t, info.Config)}, " ")))
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func TestBootstrapChangesLimitsUpwardsOnly(t *testing.T) {
	url := bustest.Start(t)
	b := bustest.Connect(t, bus.Config{URL: url})
	run := func(o bus.BootstrapOptions) error { return bus.Bootstrap(t.Context(), bus.Config{URL: url}, o) }
	if err := run(bus.BootstrapOptions{MaxBytes: 2 * bustest.MaxBytes}); err != nil {
		t.Fatal(err)
	}
	s, err := b.JetStream().Stream(t.Context(), "NEAP_1_PLAN")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.CachedInfo().Config.MaxBytes, int64(2*bustest.MaxBytes/100*30); got != want {
		t.Errorf("max bytes %d, want %d", got, want)
	}
	for name, o := range map[string]bus.BootstrapOptions{
		"less disk":     {MaxBytes: bustest.MaxBytes},
		"shorter lease": {LeaseTTL: 2 * time.Second},
	} {
		if err := run(o); !errors.Is(err, fleet.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]bus.BootstrapOptions{
		"too many replicas": {Replicas: 9}, "negative": {MaxBytes: -1}, "hasty lease": {LeaseTTL: time.Millisecond},
	} {
		if err := run(o); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := s.CachedInfo().Config
	cfg.AllowDirect = true // somebody wants faster reads
	if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := run(bus.BootstrapOptions{}); !errors.Is(err, fleet.ErrConflict) || !strings.Contains(err.Error(), "direct reads of NEAP_1_PLAN") {
		t.Errorf("a changed stream: %v", err)
	}
}

func TestBootstrapExplains(t *testing.T) {
	url := bustest.Bare(t)
	for name, c := range map[string]struct {
		o    bus.BootstrapOptions
		says string
	}{
		"replicas of one server": {bus.BootstrapOptions{Replicas: 3}, "fewer replicas"},
		"larger than the disk":   {bus.BootstrapOptions{MaxBytes: 1 << 60}, "--max-bytes"},
	} {
		err := bus.Bootstrap(t.Context(), bus.Config{URL: url}, c.o)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What a run left half done, the next one completes.
	if err := bus.Bootstrap(t.Context(), bus.Config{URL: url}, bus.BootstrapOptions{MaxBytes: bustest.MaxBytes}); err != nil {
		t.Error(err)
	}
}

// The nature of each stream, on the server: what the action protocol relies on.
func TestTopology(t *testing.T) {
	b := bustest.Open(t)
	for name, want := range map[string]struct {
		discard             jetstream.DiscardPolicy
		denyDelete, noPurge bool
		direct              bool
	}{
		"NEAP_1_PLAN":          {jetstream.DiscardNew, true, true, false},
		"NEAP_1_OUTCOME":       {jetstream.DiscardNew, true, true, false},
		"NEAP_1_SNAPSHOT":      {jetstream.DiscardOld, false, false, true},
		"NEAP_1_QUARANTINE":    {jetstream.DiscardOld, true, false, false},
		"KV_neap-1-ledger":     {jetstream.DiscardNew, true, false, false},
		"KV_neap-1-lease":      {jetstream.DiscardNew, true, false, false},
		"KV_neap-control":      {jetstream.DiscardNew, true, false, false},
		"OBJ_neap-1-snapshots": {jetstream.DiscardNew, false, false, true},
		"OBJ_neap-1-records":   {jetstream.DiscardOld, false, false, true},
	} {
		s, err := b.JetStream().Stream(t.Context(), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c := s.CachedInfo().Config
		if c.Retention != jetstream.LimitsPolicy || c.Storage != jetstream.FileStorage || c.MaxBytes <= 0 ||
			c.Discard != want.discard || c.DenyDelete != want.denyDelete || c.DenyPurge != want.noPurge || c.AllowDirect != want.direct {
			t.Errorf("%s: %+v", name, c)
		}
	}
	info := consumer(t, b)
	if c := info.Config; c.MaxDeliver != -1 || c.MaxAckPending != 256 || c.AckWait != 30*time.Second || c.AckPolicy != jetstream.AckExplicitPolicy {
		t.Errorf("consumer %+v", c)
	}
	// A full PLAN stream refuses instead of forgetting.
	s, err := b.JetStream().Stream(t.Context(), "NEAP_1_PLAN")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context()); err == nil {
		t.Error("plans were purged")
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = 1
	if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	first := planFor(t, "web", 1, "", "a")
	seq := appendPlan(t, b, first, 0)
	if _, err := b.AppendPlan(t.Context(), planFor(t, "web", 1, first.ID, "a"), seq); !errors.Is(err, fleet.ErrQuota) {
		t.Errorf("append to a full stream: %v", err)
	}
}

func TestAnnounceAndDiscover(t *testing.T) {
	t.Parallel()
	url := bustest.Start(t)
	b := bustest.Connect(t, bus.Config{URL: url})
	if peers, err := b.Discover(t.Context()); err != nil || len(peers) != 0 {
		t.Errorf("nobody is there: %v, %v", peers, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	echo := bus.Endpoint{Name: "echo", Answer: func(_ context.Context, q []byte) ([]byte, error) {
		if len(q) == 0 {
			return nil, errors.New("nothing\nto say")
		}
		return q, nil
	}}
	for _, replica := range []string{"planner-1", "planner-0"} {
		if _, err := b.Announce(ctx, "planner", "v1.2.3-4-gabcdef", replica, echo); err != nil {
			t.Fatal(err)
		}
	}
	stop, err := b.Announce(ctx, "watcher", "dev", "watcher-0")
	if err != nil {
		t.Fatal(err)
	}
	other := bustest.Connect(t, bus.Config{URL: url})
	if got, err := other.Ask(t.Context(), "planner", "echo", []byte("hello")); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := other.Ask(t.Context(), "planner", "echo", nil); err == nil || !strings.Contains(err.Error(), "nothing to say") {
		t.Errorf("%v", err)
	}
	if _, err := other.Ask(t.Context(), "planner", "sing", nil); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("%v", err)
	}
	peers, err := other.Discover(t.Context())
	if err != nil || len(peers) != 3 {
		t.Fatalf("%+v, %v", peers, err)
	}
	if p := peers[0]; p.Name != "planner" || p.Metadata[bus.MetaReplica] != "planner-0" || p.Version != "v1.2.3-4-gabcdef" || len(p.Endpoints) != 1 {
		t.Errorf("%+v", p)
	}
	requests, failures := 0, 0
	for _, p := range peers[:2] {
		requests += p.Endpoints[0].Requests
		failures += p.Endpoints[0].Errors
	}
	if requests != 2 || failures != 1 {
		t.Errorf("%d requests, %d failed", requests, failures)
	}
	stop()
	eventually(t, "one to leave", func() bool { peers, err := other.Discover(t.Context()); return err == nil && len(peers) == 2 })
	cancel()
	eventually(t, "all to leave", func() bool { peers, err := other.Discover(t.Context()); return err == nil && len(peers) == 0 })
	if _, err := b.Announce(t.Context(), "no.dots", "1", "x"); err == nil {
		t.Error("a name with a dot was taken")
	}
}

// Wrong credentials are no reason to wait.
func TestOpenRefused(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: "token", NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not come up")
	}
	_, err = bus.Open(t.Context(), bus.Config{URL: s.ClientURL()})
	if !errors.Is(err, fleet.ErrDenied) || !strings.Contains(err.Error(), "NATS_CREDS_FILE") {
		t.Errorf("without credentials: %v", err)
	}
	_, err = bus.Open(t.Context(), bus.Config{URL: strings.Replace(s.ClientURL(), "nats://", "nats://token@", 1)})
	if !errors.Is(err, bus.ErrUnavailable) || !strings.Contains(err.Error(), "JetStream (-js)") {
		t.Errorf("a server without JetStream: %v", err)
	}
}
