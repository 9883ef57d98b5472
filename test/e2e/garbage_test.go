package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/fleet"
)

// Clusters that garbage is about, beside the one of the tests.
const (
	unknownKey = "nobody" // of a cluster that nobody knows
	hostileKey = "=zz"    // of no cluster
)

// TestGarbage puts messages on the subjects of Neap that no release has sent, as a stranger
// with access to NATS might: nothing stops, and nothing is done that they might mean.
func TestGarbage(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.apply(policy(nil))
	s.up(1)
	s.until("a small cluster runs", append(s.quiet(), instances(neededSmall))...)

	pour := func() {
		s.pour("snapshot", string(cluster), unknownKey, hostileKey)
		s.pour("outcome", string(cluster), unknownKey, hostileKey)
		s.pour("plan", unknownKey, hostileKey)
	}
	before := s.truth()
	pour()
	s.throughout(time.Minute, "nothing is done about garbage", untouched(before))
	s.script(grow)
	s.until("tasks wait for room", waited(before))
	pour()
	s.grown()
	s.script(shrink)
	pour()
	s.until("the cluster has shrunk, and every task runs", append(s.quiet(), instances(neededShrunk))...)
	s.audit()
	s.allUp()
}

// TestBrokenChain writes on a cluster's chain of plans. What no release of Neap wrote is
// passed over. A message that says it is of Neap and cannot be read is another matter: what
// it decided is unknown, so nothing more is begun for that cluster, and the planner says why
// and what to do; no process ends. A new generation starts afresh from what is there.
func TestBrokenChain(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.apply(policy(nil))
	s.up(1)
	s.until("a small cluster runs", append(s.quiet(), instances(neededSmall))...)
	s.audit()

	s.publish("plan", stray, string(cluster))
	s.script(grow)
	s.grown()
	s.audit()

	before := s.truth()
	s.publish("plan", damaged, string(cluster))
	s.script(shrink)
	s.says(s.running["planner-1"], "neap bootstrap --generation 2")
	s.throughout(2*time.Minute, "nothing is begun on a chain that is broken", untouched(before))
	s.allUp()

	s.must("bootstrap", "--generation", "2")
	for _, name := range sorted(s.running) {
		s.running[name].kill()
	}
	s.up(1)
	s.bus = bustest.Connect(t, bus.Config{URL: s.nats})
	s.throughout(2*time.Minute, "a new generation begins paused", untouched(before))
	s.must("resume", "--all", "--why", "the world was looked at")
	s.until("the cluster has shrunk, and every task runs", append(s.quiet(), instances(neededShrunk))...)
	s.audit()
}

// allUp checks that no process has ended.
func (s *system) allUp() {
	s.t.Helper()
	for _, name := range sorted(s.running) {
		if p := s.running[name]; !p.running() {
			s.t.Errorf("%s has ended\n%s", name, p.tail())
		}
	}
}

// pour publishes malformed messages of one kind about clusters: without the headers of a
// message of Neap, and with them.
func (s *system) pour(kind string, keys ...string) {
	s.t.Helper()
	s.publish(kind, stray, keys...)
	s.publish(kind, damaged, keys...)
}

// stray is a message that no release of Neap wrote; damaged is one that says it is of Neap.
func stray(string, *nats.Msg) {}

func damaged(key string, msg *nats.Msg) {
	msg.Header.Set("Neap-Version", "1")
	msg.Header.Set("Neap-Generation", "1")
	msg.Header.Set("Neap-Cluster", key)
	msg.Header.Set("Neap-Sha256", fleet.Digest(msg.Data))
}

func (s *system) publish(kind string, dress func(key string, msg *nats.Msg), keys ...string) {
	s.t.Helper()
	conn, err := nats.Connect(s.nats)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	for _, key := range keys {
		for _, body := range []string{"", "not JSON", "{}", `{"kind":"` + kind + `","version":1,"body":{}}`, strings.Repeat("[", 10_000)} {
			msg := nats.NewMsg("neap.v1.1." + kind + "." + key)
			msg.Data = []byte(body)
			dress(key, msg)
			if err := conn.PublishMsg(msg); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	if err := conn.Flush(); err != nil {
		s.t.Fatal(err)
	}
}
