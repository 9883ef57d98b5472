package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/test/harness"
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
	s.Apply(harness.Policy(nil))
	s.Up(1)
	s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)

	pour := func() {
		s.pour("snapshot", string(harness.Cluster), unknownKey, hostileKey)
		s.pour("outcome", string(harness.Cluster), unknownKey, hostileKey)
		s.pour("plan", unknownKey, hostileKey)
	}
	before := s.Truth()
	pour()
	s.Throughout(time.Minute, "nothing is done about garbage", harness.Untouched(before))
	s.Script(grow)
	s.Until("tasks wait for room", harness.Waited(before))
	pour()
	s.grown()
	s.Script(shrink)
	pour()
	s.Until("the cluster has shrunk, and every task runs", append(s.quiet(), harness.Instances(neededShrunk))...)
	s.Audit()
	s.allUp()
}

// TestBrokenChain writes on a cluster's chain of plans. What no release of Neap wrote is
// passed over. A message that says it is of Neap and cannot be read is another matter: what
// it decided is unknown, so nothing more is begun for that cluster, and the planner says why
// and what to do; no process ends. A new generation starts afresh from what is there.
func TestBrokenChain(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.Apply(harness.Policy(nil))
	s.Up(1)
	s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)
	s.Audit()

	s.publish("plan", stray, string(harness.Cluster))
	s.Script(grow)
	s.grown()
	s.Audit()

	before := s.Truth()
	s.publish("plan", damaged, string(harness.Cluster))
	s.Script(shrink)
	s.Says(s.Running["planner-1"], "neap bootstrap --generation 2")
	s.Throughout(2*time.Minute, "nothing is begun on a chain that is broken", harness.Untouched(before))
	s.allUp()

	s.Must("bootstrap", "--generation", "2")
	for _, name := range harness.Sorted(s.Running) {
		s.Running[name].Kill()
	}
	s.Up(1)
	s.Bus = bustest.Connect(t, bus.Config{URL: s.NATS})
	s.Throughout(2*time.Minute, "a new generation begins paused", harness.Untouched(before))
	s.Must("resume", "--all", "--why", "the world was looked at")
	s.Until("the cluster has shrunk, and every task runs", append(s.quiet(), harness.Instances(neededShrunk))...)
	s.Audit()
}

// allUp checks that no process has ended.
func (s *system) allUp() {
	s.T.Helper()
	for _, name := range harness.Sorted(s.Running) {
		if p := s.Running[name]; !p.Running() {
			s.T.Errorf("%s has ended\n%s", name, p.Tail())
		}
	}
}

// pour publishes malformed messages of one kind about clusters: without the headers of a
// message of Neap, and with them.
func (s *system) pour(kind string, keys ...string) {
	s.T.Helper()
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
	s.T.Helper()
	conn, err := nats.Connect(s.NATS)
	if err != nil {
		s.T.Fatal(err)
	}
	defer conn.Close()
	for _, key := range keys {
		for _, body := range []string{"", "not JSON", "{}", `{"kind":"` + kind + `","version":1,"body":{}}`, strings.Repeat("[", 10_000)} {
			msg := nats.NewMsg("neap.v1.1." + kind + "." + key)
			msg.Data = []byte(body)
			dress(key, msg)
			if err := conn.PublishMsg(msg); err != nil {
				s.T.Fatal(err)
			}
		}
	}
	if err := conn.Flush(); err != nil {
		s.T.Fatal(err)
	}
}
