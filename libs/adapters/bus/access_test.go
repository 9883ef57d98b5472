package bus_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/natsembed"
	"github.com/neap-project/neap/libs/fleet"
)

// guarded runs a server that lets in the users that are declared, and returns its URL and the
// files with their keys.
func guarded(t *testing.T, more string) (url string, seeds map[string]string) {
	t.Helper()
	dir, keys := t.TempDir(), map[string]string{}
	seeds = map[string]string{}
	for _, user := range append(bus.Users(), "stranger") {
		seed, err := bus.NewSeed()
		if err != nil {
			t.Fatal(err)
		}
		if keys[user], err = bus.PublicKey(seed); err != nil {
			t.Fatal(err)
		}
		seeds[user] = filepath.Join(dir, user+".nk")
		if err := os.WriteFile(seeds[user], []byte(seed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := bus.ServerConfig(bus.AccessOf(1), keys)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(file, []byte(text+more), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := natsembed.Start(natsembed.Options{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Config: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.URL(), seeds
}

func userConfig(url, user string, seeds map[string]string) bus.Config {
	return bus.Config{URL: url, NKeyFile: seeds[user], InboxPrefix: bus.InboxOf(user), ConnectTimeout: 5 * time.Second}
}

// refusals notes what a server refuses one connection.
type refusals struct {
	mu   sync.Mutex
	said string
}

func (r *refusals) note(_ *nats.Conn, _ *nats.Subscription, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said += err.Error() + "\n"
}

// of reports whether a publish to or a subscription of a subject was refused.
func (r *refusals) of(verb, subject string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(r.said, fmt.Sprintf(`%s to "%s"`, verb, subject))
}

// TestAccess asks a real server: every user, every subject that matters. The table says who may; it
// is written by hand, and not made from what is declared.
func TestAccess(t *testing.T) {
	url, seeds := guarded(t, "")
	if err := bus.Bootstrap(t.Context(), userConfig(url, bus.UserBootstrap, seeds), bus.BootstrapOptions{MaxBytes: 256 << 20}); err != nil {
		t.Fatal(err)
	}
	const everyone, readers, runners = "operator watcher planner actuator drainer", "operator planner actuator drainer", "actuator drainer"
	publish := map[string]string{
		"neap.v1.1.snapshot.web": "watcher", "neap.v1.1.plan.web": "planner", "neap.v1.1.outcome.web": runners, "neap.v1.1.quarantine.x": runners,
		"neap.v1.9.plan.web": "", "neap.v1.1.plan.web.more": "", "anything": "",
		"$KV.neap-1-ledger.web.a": runners, "$KV.neap-1-lease.plan.web": "planner", "$KV.neap-1-lease.watch.web": "watcher",
		"$KV.neap-1-lease.member.plan.x": "planner", "$KV.neap-1-lease.events": "watcher",
		"$KV.neap-control.pause": "operator bootstrap", "$KV.neap-control.pause.web": "operator", "$KV.neap-control.policy.web": "operator",
		"$KV.neap-control.protect.web.i-1": "operator", "$KV.neap-control.roll.web": "operator", "$KV.neap-control.generation": "bootstrap",
		"$O.neap-1-snapshots.C.x": "watcher", "$O.neap-1-snapshots.M.x": "watcher", "$O.neap-1-records.C.x": "planner", "$O.neap-1-records.M.x": "planner",
		"$JS.API.INFO": "bootstrap", "$JS.API.STREAM.LIST": "bootstrap", "$JS.API.STREAM.INFO.NEAP_1_PLAN": everyone + " bootstrap",
		"$JS.API.STREAM.CREATE.NEAP_1_PLAN": "bootstrap", "$JS.API.STREAM.UPDATE.NEAP_1_PLAN": "bootstrap", "$JS.API.STREAM.CREATE.OTHER": "",
		"$JS.API.STREAM.DELETE.NEAP_1_PLAN": "", "$JS.API.STREAM.PURGE.NEAP_1_OUTCOME": "", "$JS.API.STREAM.PURGE.KV_neap-control": "",
		"$JS.API.STREAM.MSG.DELETE.NEAP_1_OUTCOME": "", "$JS.API.STREAM.SNAPSHOT.NEAP_1_PLAN": "", "$JS.API.STREAM.RESTORE.NEAP_1_PLAN": "",
		"$JS.API.STREAM.MSG.GET.NEAP_1_PLAN": readers, "$JS.API.STREAM.MSG.GET.KV_neap-1-ledger": "operator " + runners,
		"$JS.API.DIRECT.GET.NEAP_1_SNAPSHOT.neap.v1.1.snapshot.web": "operator watcher planner",
		"$JS.API.CONSUMER.CREATE.NEAP_1_PLAN.x.neap.v1.1.plan.web":  readers + " bootstrap",
		"$JS.API.CONSUMER.CREATE.NEAP_1_PLAN.drainer":               "bootstrap", "$JS.API.CONSUMER.CREATE.NEAP_1_PLAN.drainer.neap.v1.1.plan.*": "bootstrap",
		"$JS.API.CONSUMER.DURABLE.CREATE.NEAP_1_PLAN.drainer": "", "$JS.API.CONSUMER.DELETE.NEAP_1_PLAN.drainer": "", "$JS.API.CONSUMER.DELETE.NEAP_1_PLAN.actuator": "",
		"$JS.API.CONSUMER.MSG.NEXT.NEAP_1_PLAN.drainer": "drainer", "$JS.API.CONSUMER.MSG.NEXT.NEAP_1_PLAN.actuator": "actuator",
		"$JS.ACK.NEAP_1_PLAN.drainer.1.1.1.1.1": "drainer", "$JS.ACK.NEAP_1_PLAN.actuator.1.1.1.1.1": "actuator",
		"$JS.API.CONSUMER.LEADER.STEPDOWN.NEAP_1_PLAN.drainer": "", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.NEAP_1_PLAN.drainer": "", "$SYS.REQ.SERVER.PING": "",
		"$SRV.STATS": "operator", "neap.planner.explain": "operator",
		"_INBOX_planner.x": "", "_INBOX_operator.x": "", // a reply goes to who has asked, and nobody writes into an inbox unasked
	}
	subscribe := map[string]string{
		">": "", "neap.v1.1.plan.*": "", "neap.v1.1.snapshot.web": "", "$KV.neap-control.>": "", "$JS.API.>": "", "$JS.EVENT.>": "", "$SYS.>": "", "_INBOX.>": "",
		"_INBOX_planner.x": "planner", "_INBOX_drainer.x": "drainer", "_INBOX_operator.>": "operator", "_INBOX_bootstrap.x": "bootstrap",
		"neap.planner.explain": "planner", "neap.drainer.x": "drainer", "$SRV.PING": "watcher planner actuator drainer", "$SRV.PING.planner": "planner",
		"$JS.API.STREAM.INFO.NEAP_1_PLAN": "",
	}
	for _, user := range bus.Users() {
		var refused refusals
		nkey, err := nats.NkeyOptionFromSeed(seeds[user])
		if err != nil {
			t.Fatal(err)
		}
		conn, err := nats.Connect(url, nkey, nats.ErrorHandler(refused.note), nats.CustomInboxPrefix(bus.InboxOf(user)))
		if err != nil {
			t.Fatalf("%s: %v", user, err)
		}
		defer conn.Close()
		for subject := range publish {
			if err := conn.Publish(subject, nil); err != nil {
				t.Fatal(err)
			}
		}
		for subject := range subscribe {
			if _, err := conn.SubscribeSync(subject); err != nil {
				t.Fatal(err)
			}
		}
		const last = "nobody.may.this"
		if err := conn.Publish(last, nil); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); !refused.of("Publish", last); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the server refuses nothing", user)
			}
		}
		for verb, table := range map[string]map[string]string{"Publish": publish, "Subscription": subscribe} {
			for subject, who := range table {
				want := strings.Contains(" "+who+" ", " "+user+" ")
				if got := !refused.of(verb, subject); got != want {
					t.Errorf("%s: %s to %s works: %t, want %t", user, strings.ToLower(verb), subject, got, want)
				}
			}
		}
	}
}

// TestAccessRefused: who is not known, and who may not what it asks, learns it at once and in
// words, and nothing is tried for ever.
func TestAccessRefused(t *testing.T) {
	url, seeds := guarded(t, "")
	if err := bus.Bootstrap(t.Context(), userConfig(url, bus.UserBootstrap, seeds), bus.BootstrapOptions{MaxBytes: 256 << 20}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  bus.Config
		says string
	}{
		"a stranger":      {userConfig(url, "stranger", seeds), "NATS_NKEY_FILE"},
		"nobody":          {bus.Config{URL: url, ConnectTimeout: 5 * time.Second}, "refuses the credentials"},
		"another's inbox": {bus.Config{URL: url, NKeyFile: seeds["planner"], InboxPrefix: "_INBOX", ConnectTimeout: 5 * time.Second}, "NATS refuses what this user asks"},
	} {
		began := time.Now()
		b, err := bus.Open(t.Context(), c.cfg)
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || time.Since(began) > 30*time.Second {
			t.Errorf("%s: after %s: %v", name, time.Since(began), err)
		}
	}
	if err := bus.Bootstrap(t.Context(), userConfig(url, bus.UserPlanner, seeds), bus.BootstrapOptions{}); err == nil {
		t.Error("a planner bootstraps")
	}
	b, err := bus.Open(t.Context(), userConfig(url, bus.UserDrainer, seeds))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.AppendPlan(t.Context(), planFor(t, "web", 1, "", "a"), 0); err == nil {
		t.Error("a drainer plans")
	}
	if err := b.Control().Pause(t.Context(), fleet.ClusterName(""), "somebody", "x"); err == nil {
		t.Error("a drainer presses the button")
	}
}
