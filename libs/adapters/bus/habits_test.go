package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/bus/natsembed"
)

// habits are what nats-server does that one would not expect, and that decided how Neap uses
// it. A release of the server in which one of them is different is a reason to look at the
// protocol again. The numbers are those of the measurements (annex A of the reliability
// reference).
var habits = []struct {
	name  string
	check func(*testing.T, jetstream.JetStream)
}{
	{"E2 the window of duplicates does not slide", func(t *testing.T, js jetstream.JetStream) {
		stream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Duplicates: time.Second})
		accepted := 0
		for range 4 { // 450 ms apart: within a second of the one before, not of the first
			ack, err := js.Publish(t.Context(), "s", nil, jetstream.WithMsgID("same"))
			must(t, err)
			if !ack.Duplicate {
				accepted++
			}
			time.Sleep(450 * time.Millisecond)
		}
		if accepted != 2 {
			t.Errorf("accepted %d times, want twice", accepted)
		}
	}},
	{"E5 the time to live of a bucket is renewed by a write", func(t *testing.T, js jetstream.JetStream) {
		kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "lease", TTL: time.Second})
		must(t, err)
		revision, err := kv.Create(t.Context(), "k", []byte("1"))
		must(t, err)
		time.Sleep(700 * time.Millisecond)
		next, err := kv.Update(t.Context(), "k", []byte("2"), revision)
		must(t, err)
		time.Sleep(700 * time.Millisecond)
		if _, err := kv.Get(t.Context(), "k"); err != nil || next <= revision {
			t.Errorf("after a renewal: %v, revision %d after %d", err, next, revision)
		}
		eventually(t, "the lease expires", func() bool {
			_, err := kv.Get(t.Context(), "k")
			return errors.Is(err, jetstream.ErrKeyNotFound)
		})
		if _, err := kv.Update(t.Context(), "k", []byte("3"), next); err == nil {
			t.Error("an expired lease was renewed")
		}
	}},
	{"E9 what is delivered too often is delivered to nobody, and stays", func(t *testing.T, js jetstream.JetStream) {
		s := stream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		c, err := s.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 50 * time.Millisecond, MaxDeliver: 2})
		must(t, err)
		_, err = js.Publish(t.Context(), "s", nil)
		must(t, err)
		deliveries := 0
		for range 4 {
			batch, err := c.Fetch(1, jetstream.FetchMaxWait(200*time.Millisecond))
			must(t, err)
			for range batch.Messages() {
				deliveries++
			}
		}
		info, err := s.Info(t.Context())
		must(t, err)
		if deliveries != 2 || info.State.Msgs != 1 {
			t.Errorf("%d deliveries, %d messages: want 2 and 1", deliveries, info.State.Msgs)
		}
	}},
	{"E11 a full stream refuses, if it is told to", func(t *testing.T, js jetstream.JetStream) {
		stream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, MaxMsgs: 1, Discard: jetstream.DiscardNew})
		_, err := js.Publish(t.Context(), "s", nil)
		must(t, err)
		const full = 10077
		var refused *jetstream.APIError
		if _, err = js.Publish(t.Context(), "s", nil); !errors.As(err, &refused) || refused.ErrorCode != full {
			t.Errorf("a second message: %v", err)
		}
	}},
	{"E12 a message above a megabyte is refused", func(t *testing.T, js jetstream.JetStream) {
		stream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		if _, err := js.Publish(t.Context(), "s", make([]byte, 1<<20+1)); !errors.Is(err, nats.ErrMaxPayload) {
			t.Errorf("a megabyte and a byte: %v", err)
		}
	}},
	{"E13 a stream that is made anew grants what an old expectation asks for", func(t *testing.T, js jetstream.JetStream) {
		cfg := jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}
		for range 2 {
			stream(t, js, cfg)
			_, err := js.Publish(t.Context(), "s", nil, jetstream.WithExpectLastSequencePerSubject(0))
			must(t, err)
			if _, err := js.Publish(t.Context(), "s", nil, jetstream.WithExpectLastSequencePerSubject(1)); err != nil {
				t.Errorf("the zombie is refused: %v", err)
			}
			must(t, js.DeleteStream(t.Context(), "S"))
		}
	}},
	{"E17 a stream that denies deletion and purge can be deleted", func(t *testing.T, js jetstream.JetStream) {
		s := stream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, DenyDelete: true, DenyPurge: true})
		_, err := js.Publish(t.Context(), "s", nil)
		must(t, err)
		if s.Purge(t.Context()) == nil || s.DeleteMsg(t.Context(), 1) == nil {
			t.Error("it was purged, or a message of it deleted")
		}
		must(t, js.DeleteStream(t.Context(), "S"))
	}},
}

// TestHabits asks nats-server whether it still behaves as was measured.
func TestHabits(t *testing.T) {
	for _, h := range habits {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			conn, err := nats.Connect(bustest.Bare(t))
			must(t, err)
			defer conn.Close()
			js, err := jetstream.New(conn)
			must(t, err)
			h.check(t, js)
		})
	}
}

func stream(t *testing.T, js jetstream.JetStream, cfg jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	s, err := js.CreateStream(t.Context(), cfg)
	must(t, err)
	return s
}

// TestDuplicatesAcrossRestart (E1): a work queue forgets what it has seen when its server is
// started again, and takes it a second time; a stream with limits does not. Neap has no work
// queue.
func TestDuplicatesAcrossRestart(t *testing.T) {
	dir := t.TempDir()
	duplicate := map[string]bool{}
	for life := range 2 {
		s, err := natsembed.Start(natsembed.Options{DataDir: dir, Listen: "127.0.0.1:0"})
		must(t, err)
		conn, err := nats.Connect(s.URL())
		must(t, err)
		js, err := jetstream.New(conn)
		must(t, err)
		for name, retention := range map[string]jetstream.RetentionPolicy{"limits": jetstream.LimitsPolicy, "queue": jetstream.WorkQueuePolicy} {
			if life == 0 {
				stream(t, js, jetstream.StreamConfig{Name: strings.ToUpper(name), Subjects: []string{name}, Retention: retention, Duplicates: time.Hour})
			}
			ack, err := js.Publish(t.Context(), name, nil, jetstream.WithMsgID("same"))
			must(t, err)
			duplicate[name] = ack.Duplicate
			if life == 0 && retention == jetstream.WorkQueuePolicy {
				take(t, js, strings.ToUpper(name))
			}
		}
		conn.Close()
		s.Close()
	}
	if !duplicate["limits"] || duplicate["queue"] {
		t.Errorf("after a restart taken for a duplicate: %v, want that of the stream with limits only", duplicate)
	}
}

// take consumes the one message of a stream.
func take(t *testing.T, js jetstream.JetStream, name string) {
	t.Helper()
	c, err := js.CreateConsumer(t.Context(), name, jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	batch, err := c.Fetch(1, jetstream.FetchContext(ctx))
	must(t, err)
	for msg := range batch.Messages() {
		must(t, msg.DoubleAck(ctx))
	}
}
