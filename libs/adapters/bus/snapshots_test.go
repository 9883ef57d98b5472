package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/fleet"
)

func digest(t testing.TB, s *fleet.Snapshot) string {
	t.Helper()
	d, err := s.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Whatever the size and the threshold, what is published is what is read.
func TestSnapshotSizes(t *testing.T) {
	url := bustest.Start(t)
	for n, inline := range []int{bus.ObjectsOnly, 256 << 10, math.MaxInt} {
		b := bustest.Connect(t, bus.Config{URL: url, InlineBytes: inline})
		for i, instances := range []int{0, 200, 5000} {
			if testing.Short() && instances > 200 {
				continue
			}
			s := snapshotOf(fleet.ClusterName(fmt.Sprintf("c%d-%d", n, i)), start, instances)
			if err := b.PublishSnapshot(t.Context(), s); err != nil {
				t.Fatalf("threshold %d, %d instances: %v", inline, instances, err)
			}
			got, stored, err := b.LatestSnapshot(t.Context(), s.Cluster)
			if err != nil || digest(t, &got) != digest(t, s) || time.Since(stored) > time.Minute {
				t.Errorf("threshold %d, %d instances: another snapshot came back (%v)", inline, instances, err)
			}
			object := messageOf(t, b, s.Cluster).Header.Get("Neap-Object") != ""
			if want := inline == bus.ObjectsOnly; instances == 0 && object != want {
				t.Errorf("threshold %d: stored as an object: %t, want %t", inline, object, want)
			}
		}
	}
}

func messageOf(t testing.TB, b *bus.Bus, cluster fleet.ClusterName) *nats.Msg {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), "NEAP_1_SNAPSHOT")
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(t.Context(), "neap.v1.1.snapshot."+cluster.Key())
	if err != nil {
		t.Fatal(err)
	}
	return &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
}

// A threshold above what the server takes is no reason to fail.
func TestSnapshotLargerThanAnyMessage(t *testing.T) {
	b := bustest.Connect(t, bus.Config{URL: bustest.Start(t), InlineBytes: math.MaxInt})
	s := snapshotOf("web", start, 3)
	s.Services = []fleet.Service{{Name: "web", Scheduling: fleet.Replica, LastEvent: incompressible(3 << 20), MaxPercent: 200, MinHealthyPercent: 100}}
	if err := b.PublishSnapshot(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if m := messageOf(t, b, "web"); m.Header.Get("Neap-Object") == "" || len(m.Data) != 0 {
		t.Errorf("%d bytes in the message", len(m.Data))
	}
	if _, _, err := b.LatestSnapshot(t.Context(), "web"); err != nil {
		t.Error(err)
	}
}

func TestSnapshotThatIsMissing(t *testing.T) {
	b := bustest.Open(t)
	if _, _, err := b.LatestSnapshot(t.Context(), "web"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("%v", err)
	}
	s := snapshotOf("web", start, 1)
	s.Generation = 2
	if err := b.PublishSnapshot(t.Context(), s); !errors.Is(err, fleet.ErrInvalid) || !strings.Contains(err.Error(), "generation") {
		t.Errorf("of another generation: %v", err)
	}
}

// Two watchers of one cluster: the one that read earlier does not overwrite the later.
func TestOlderSnapshotIsRefused(t *testing.T) {
	url := bustest.Start(t)
	fast, slow := bustest.Connect(t, bus.Config{URL: url}), bustest.Connect(t, bus.Config{URL: url})
	newer := snapshotOf("web", start.Add(time.Minute), 2)
	for _, step := range []struct {
		by   *bus.Bus
		what *fleet.Snapshot
		want error
	}{
		{fast, newer, nil},
		{slow, snapshotOf("web", start, 1), fleet.ErrConflict},
		{slow, newer, nil}, // the same again
		{slow, snapshotOf("web", start.Add(2*time.Minute), 3), nil},
		{fast, snapshotOf("web", start.Add(90*time.Second), 4), fleet.ErrConflict},
		{fast, snapshotOf("web", start.Add(3*time.Minute), 5), nil},
	} {
		if err := step.by.PublishSnapshot(t.Context(), step.what); !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.what.ReadStartedAt, err, step.want)
		}
	}
	got, _, err := fast.LatestSnapshot(t.Context(), "web")
	if err != nil || len(got.Instances) != 5 {
		t.Errorf("%d instances, %v", len(got.Instances), err)
	}
}

// The newest of each cluster comes first; while the handler is busy, backlog is skipped;
// what is older than what was seen, or unreadable, never arrives.
func TestWatchSnapshots(t *testing.T) {
	b := bustest.Open(t)
	publish := func(cluster fleet.ClusterName, at time.Duration) {
		t.Helper()
		if err := b.PublishSnapshot(t.Context(), snapshotOf(cluster, start.Add(at), 1)); err != nil {
			t.Fatal(err)
		}
	}
	publish("web", 1*time.Second)
	publish("web", 2*time.Second)
	publish("batch", 5*time.Second)

	var web, batch box[time.Duration]
	busy, release := make(chan struct{}, 1), make(chan struct{})
	background(t, func(ctx context.Context) error {
		return b.WatchSnapshots(ctx, func(_ context.Context, s fleet.Snapshot, _ time.Time) error {
			at := s.ReadStartedAt.Sub(start)
			if s.Cluster == "batch" {
				batch.add(at)
				return nil
			}
			web.add(at)
			if web.len() == 1 {
				busy <- struct{}{}
				<-release
			}
			return nil
		})
	})
	<-busy
	old := messageOf(t, b, "web")
	for i := 3; i <= 20; i++ {
		publish("web", time.Duration(i)*time.Second)
	}
	for _, m := range []*nats.Msg{old, {Subject: "neap.v1.1.snapshot.web", Data: []byte("garbage")}} {
		m.Header.Del("Nats-Msg-Id")
		for k := range m.Header {
			if strings.HasPrefix(k, "Nats-") {
				m.Header.Del(k)
			}
		}
		if _, err := b.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	publish("batch", 6*time.Second) // and others need not wait
	eventually(t, "the other cluster", func() bool { return batch.len() == 2 })
	close(release)
	publish("web", 30*time.Second)
	eventually(t, "the newest", func() bool { all := web.all(); return all[len(all)-1] == 30*time.Second })
	seen := web.all()
	if seen[0] != 2*time.Second || len(seen) > 5 {
		t.Errorf("saw %v: want the newest at first, and the backlog skipped", seen)
	}
	for i := 1; i < len(seen); i++ {
		if seen[i] < seen[i-1] {
			t.Errorf("saw %v: an older one after a newer", seen)
		}
	}
}

func TestWatchSnapshotsEndsWithTheHandlersError(t *testing.T) {
	b := bustest.Open(t)
	if err := b.PublishSnapshot(t.Context(), snapshotOf("web", start, 1)); err != nil {
		t.Fatal(err)
	}
	stop := fmt.Errorf("enough: %w", context.DeadlineExceeded)
	err := b.WatchSnapshots(t.Context(), func(context.Context, fleet.Snapshot, time.Time) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

func TestDecompressIsBounded(t *testing.T) {
	zeros := make([]byte, 32<<20)
	for name, b := range map[string][]byte{
		"bomb":          bus.Compress(zeros),
		"two frames":    append(bus.Compress([]byte("one")), bus.Compress(zeros[:1<<20])...),
		"cut off":       bus.Compress(zeros[:1000])[:10],
		"no frame":      []byte("plain text"),
		"empty":         nil,
		"too long":      make([]byte, bus.MaxCompressed+1),
		"skippable":     {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4},
		"size missing":  {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x01, 0x00, 0x00},
		"size too much": {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x01, 0x00, 0x00},
	} {
		if out, err := bus.Decompress(b); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
	text := []byte(strings.Repeat("a cluster of equals ", 10_000))
	if out, err := bus.Decompress(bus.Compress(text)); err != nil || string(out) != string(text) {
		t.Errorf("uniform text: %v", err)
	}
}

func FuzzDecompress(f *testing.F) {
	f.Add(bus.Compress([]byte("seed")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := bus.Decompress(b); err == nil && len(out) > bus.MaxExpanded {
			t.Errorf("%d bytes", len(out))
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	for _, instances := range []int{50, 500, 5000} {
		s := snapshotOf("web", start, instances)
		bench := bustest.Open(b)
		b.Run(fmt.Sprintf("publish/%d", instances), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.ReadStartedAt = s.ReadStartedAt.Add(time.Millisecond)
				s.TakenAt = s.ReadStartedAt
				if err := bench.PublishSnapshot(b.Context(), s); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(messageOf(b, bench, "web").Data)), "inline-bytes")
		})
		b.Run(fmt.Sprintf("latest/%d", instances), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := bench.LatestSnapshot(b.Context(), "web"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
