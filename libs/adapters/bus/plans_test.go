package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/fleet"
)

func TestPlansFormAChain(t *testing.T) {
	b := bustest.Open(t)
	if _, seq, ok, err := b.LastPlan(t.Context(), "web"); ok || seq != 0 || err != nil {
		t.Fatalf("before the first plan: seq %d, ok %t, %v", seq, ok, err)
	}
	first := planFor(t, "web", 1, "", "a")
	seq := appendPlan(t, b, first, 0)
	appendPlan(t, b, planFor(t, "other", 1, "", "a"), 0) // chains are apart

	again, err := b.AppendPlan(t.Context(), first, 0)
	if err != nil || again != seq {
		t.Errorf("appending the same plan again: seq %d, %v; want %d", again, err, seq)
	}
	if _, err := b.AppendPlan(t.Context(), planFor(t, "web", 1, "", "late"), 0); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("appending after a plan that is not the last: %v", err)
	}
	second := planFor(t, "web", 1, first.ID, "a")
	seq2 := appendPlan(t, b, second, seq)

	last, lastSeq, ok, err := b.LastPlan(t.Context(), "web")
	if err != nil || !ok || last.ID != second.ID || lastSeq != seq2 {
		t.Errorf("last plan %s at %d (%t, %v), want %s at %d", last.ID, lastSeq, ok, err, second.ID, seq2)
	}
	for from, want := range map[uint64]int{0: 2, seq + 1: 1, seq2 + 1: 0} {
		n := 0
		for s, err := range b.Plans(t.Context(), "web", from) {
			if err != nil {
				t.Fatal(err)
			}
			if s.Value.Cluster != "web" || s.Seq < from || s.At.IsZero() {
				t.Errorf("from %d: plan of %s at %d", from, s.Value.Cluster, s.Seq)
			}
			n++
		}
		if n != want {
			t.Errorf("%d plans from %d, want %d", n, from, want)
		}
	}
}

// Eight planners append to one chain at the same time: each round has one winner, and the
// chain that comes out is unbroken.
func TestOneWinnerPerRound(t *testing.T) {
	url := bustest.Start(t)
	const planners, rounds = 8, 40
	var buses []*bus.Bus
	for range planners {
		buses = append(buses, bustest.Connect(t, bus.Config{URL: url}))
	}
	var prev fleet.PlanID
	var after uint64
	for round := range rounds {
		var winners box[*fleet.Plan]
		var all sync.WaitGroup
		for i, b := range buses {
			p := planFor(t, "web", 1, prev, fmt.Sprint(round, i))
			all.Go(func() {
				_, err := b.AppendPlan(t.Context(), p, after)
				switch {
				case err == nil:
					winners.add(p)
				case !errors.Is(err, fleet.ErrConflict):
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		all.Wait()
		last, seq, _, err := buses[0].LastPlan(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		if w := winners.all(); len(w) != 1 || w[0].ID != last.ID {
			t.Fatalf("round %d: %d winners, last is %s", round, len(w), last.ID)
		}
		prev, after = last.ID, seq
	}
	var chain fleet.PlanID
	for s, err := range buses[1].Plans(t.Context(), "web", 0) {
		if err != nil || s.Value.Prev != chain {
			t.Fatalf("plan %d follows %q, want %q (%v)", s.Seq, s.Value.Prev, chain, err)
		}
		chain = s.Value.ID
	}
	if chain != prev {
		t.Errorf("the chain ends with %s, want %s", chain, prev)
	}
}

// A stream that is lost and made again hands out old sequences a second time. Neither a
// process of the old generation nor one that knew more may then append.
func TestLostStream(t *testing.T) {
	url := bustest.Start(t)
	zombie := bustest.Connect(t, bus.Config{URL: url})
	p := planFor(t, "web", 1, "", "a")
	seq := appendPlan(t, zombie, p, 0)
	next := planFor(t, "web", 1, p.ID, "zombie")

	if err := zombie.JetStream().DeleteStream(t.Context(), "NEAP_1_PLAN"); err != nil {
		t.Fatal(err)
	}
	if _, err := zombie.AppendPlan(t.Context(), next, seq); !errors.Is(err, bus.ErrUnavailable) {
		t.Errorf("append to a stream that is gone: %v", err)
	}
	if err := zombie.Ready(t.Context()); !errors.Is(err, bus.ErrTopology) {
		t.Errorf("ready without a PLAN stream: %v", err)
	}
	err := bus.Bootstrap(t.Context(), bus.Config{URL: url}, bus.BootstrapOptions{MaxBytes: bustest.MaxBytes})
	if !errors.Is(err, fleet.ErrConflict) || !strings.Contains(err.Error(), "--generation 2") {
		t.Fatalf("bootstrap makes a lost stream anew: %v", err)
	}
	err = bus.Bootstrap(t.Context(), bus.Config{URL: url}, bus.BootstrapOptions{MaxBytes: bustest.MaxBytes, Generation: 2})
	if err != nil {
		t.Fatal(err)
	}
	fresh := bustest.Connect(t, bus.Config{URL: url})
	if fresh.Generation() != 2 {
		t.Fatalf("generation %d", fresh.Generation())
	}
	// The new stream's sequence is what the zombie expects: only the subject keeps it out.
	if got := appendPlan(t, fresh, planFor(t, "web", 2, "", "b"), 0); got != seq {
		t.Fatalf("the first plan of the new generation has sequence %d", got)
	}
	if _, err := zombie.AppendPlan(t.Context(), next, seq); err == nil {
		t.Error("a process of the old generation appended a plan")
	}
	if err := zombie.Ready(t.Context()); !errors.Is(err, bus.ErrGeneration) {
		t.Errorf("ready in an ended generation: %v", err)
	}
	if pause, err := fresh.Control().Paused(t.Context(), "web"); err != nil || !pause.Paused() {
		t.Errorf("a new generation must start paused: %+v, %v", pause, err)
	}
	if _, err := fresh.AppendPlan(t.Context(), planFor(t, "web", 1, "", "b"), 0); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("append a plan of another generation: %v", err)
	}
}

// The same within one generation, as if somebody restored an old backup by hand.
func TestStreamGoesBackwards(t *testing.T) {
	b := bustest.Open(t)
	first := planFor(t, "web", 1, "", "a")
	seq := appendPlan(t, b, first, 0)
	appendPlan(t, b, planFor(t, "web", 1, first.ID, "a"), seq)
	s, err := b.JetStream().Stream(t.Context(), "NEAP_1_PLAN")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	if err := b.JetStream().DeleteStream(t.Context(), cfg.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := b.JetStream().CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"empty", "shorter"} {
		if _, _, _, err := b.LastPlan(t.Context(), "web"); !errors.Is(err, bus.ErrBackwards) {
			t.Errorf("%s stream: %v", what, err)
		}
		other := bustest.Connect(t, bus.Config{URL: b.Conn().ConnectedUrl()})
		if what == "empty" {
			appendPlan(t, other, first, 0)
		}
	}
}

// Sealing ends a generation whose streams are all still there.
func TestNewGenerationSealsTheOld(t *testing.T) {
	url := bustest.Start(t)
	old := bustest.Connect(t, bus.Config{URL: url})
	p := planFor(t, "web", 1, "", "a")
	seq := appendPlan(t, old, p, 0)
	revision, err := old.Ledger().Create(t.Context(), "web", p.Actions[0].ID, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds everything done
		err := bus.Bootstrap(t.Context(), bus.Config{URL: url}, bus.BootstrapOptions{MaxBytes: bustest.MaxBytes, Generation: 2})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := old.AppendPlan(t.Context(), planFor(t, "web", 1, p.ID, "b"), seq); !errors.Is(err, bus.ErrGeneration) {
		t.Errorf("append: %v", err)
	}
	if _, err := old.Ledger().Update(t.Context(), "web", p.Actions[0].ID, []byte(`{}`), revision); !errors.Is(err, bus.ErrGeneration) {
		t.Errorf("update of the ledger: %v", err)
	}
	if err := old.PublishOutcome(t.Context(), outcomeOf(p, fleet.PhaseIntent)); !errors.Is(err, bus.ErrGeneration) {
		t.Errorf("outcome: %v", err)
	}
	err = bus.Bootstrap(t.Context(), bus.Config{URL: url}, bus.BootstrapOptions{Generation: 1})
	if !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("back to generation 1: %v", err)
	}
}

func TestAppendRefusesWhatIsWrong(t *testing.T) {
	b := bustest.Open(t)
	for name, change := range map[string]func(*fleet.Plan){
		"changed after sealing": func(p *fleet.Plan) { p.MadeBy = "somebody else" },
		"another generation":    func(p *fleet.Plan) { p.Generation = 7 },
		"hostile cluster name":  func(p *fleet.Plan) { p.Cluster = "web.>" },
		"too large": func(p *fleet.Plan) {
			p.Actions[0].Reason.Subject = incompressible(2 << 20)
			if err := p.Seal(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		p := planFor(t, "web", 1, "", "a")
		change(p)
		if _, err := b.AppendPlan(t.Context(), p, 0); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A plan above the size of a message travels compressed.
func TestLargePlan(t *testing.T) {
	b := bustest.Open(t)
	p := planFor(t, "web", 1, "", "a")
	p.Actions[0].Reason.Subject = strings.Repeat("subnet-0123456789abcdef0 ", 100_000)
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	appendPlan(t, b, p, 0)
	got, _, ok, err := b.LastPlan(t.Context(), "web")
	if err != nil || !ok || got.ID != p.ID {
		t.Errorf("read back %s (%t, %v)", got.ID.Short(), ok, err)
	}
}

func TestTraceTravels(t *testing.T) {
	b := bustest.Open(t)
	sent := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, TraceFlags: trace.FlagsSampled,
	})
	ctx := trace.ContextWithSpanContext(t.Context(), sent)
	p := planFor(t, "web", 1, "", "a")
	if _, err := b.AppendPlan(ctx, p, 0); err != nil {
		t.Fatal(err)
	}
	for s, err := range b.Plans(t.Context(), "web", 0) {
		if err != nil || s.Trace.TraceID() != sent.TraceID() {
			t.Errorf("trace %s, %v", s.Trace.TraceID(), err)
		}
	}
	var got box[trace.SpanContext]
	stop := background(t, func(ctx context.Context) error {
		return b.ConsumePlans(ctx, bus.Actuator, func(ctx context.Context, _ bus.Delivery) error {
			got.add(trace.SpanContextFromContext(ctx))
			return nil
		})
	})
	eventually(t, "the plan", func() bool { return got.len() == 1 })
	stop()
	if s := got.all()[0]; s.TraceID() != sent.TraceID() || s.SpanID() != sent.SpanID() || !s.IsRemote() || !s.IsSampled() {
		t.Errorf("received %+v, sent %+v", s, sent)
	}
}

// What no honest sender would publish is refused by the reader, with a reason.
func TestUnreadablePlans(t *testing.T) {
	b := bustest.Open(t)
	good := planFor(t, "web", 1, "", "a")
	seq := appendPlan(t, b, good, 0)
	m, err := b.JetStream().Stream(t.Context(), "NEAP_1_PLAN")
	if err != nil {
		t.Fatal(err)
	}
	original, err := m.GetMsg(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		change func(*nats.Msg)
		want   error
	}{
		"empty version":         {func(m *nats.Msg) { m.Header.Set("Neap-Version", "") }, fleet.ErrInvalid},
		"checksum":              {func(m *nats.Msg) { m.Data[len(m.Data)-2] ^= 1 }, fleet.ErrInvalid},
		"newer version":         {func(m *nats.Msg) { m.Header.Set("Neap-Version", "9") }, fleet.ErrVersion},
		"another generation":    {func(m *nats.Msg) { m.Header.Set("Neap-Generation", "2") }, fleet.ErrInvalid},
		"subject of another":    {func(m *nats.Msg) { m.Subject = "neap.v1.1.plan.victim" }, fleet.ErrInvalid},
		"key not canonical":     {func(m *nats.Msg) { m.Subject = "neap.v1.1.plan.=77eb" }, fleet.ErrInvalid},
		"unknown encoding":      {func(m *nats.Msg) { m.Header.Set("Content-Encoding", "br") }, fleet.ErrInvalid},
		"not what it claims":    {func(m *nats.Msg) { m.Header.Set("Content-Encoding", "zstd") }, fleet.ErrInvalid},
		"object that is not":    {func(m *nats.Msg) { m.Header.Set("Neap-Object", "nowhere") }, fleet.ErrNotFound},
		"endless header":        {func(m *nats.Msg) { m.Header.Set("Neap-Version", strings.Repeat("9", 32<<10)) }, fleet.ErrVersion},
		"checksum of something": {func(m *nats.Msg) { m.Header.Set("Neap-Sha256", fleet.Digest([]byte("x"))) }, fleet.ErrInvalid},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			msg := &nats.Msg{Subject: original.Subject, Header: nats.Header{}, Data: append([]byte(nil), original.Data...)}
			for k, v := range original.Header {
				if !strings.HasPrefix(k, "Nats-") {
					msg.Header[k] = v
				}
			}
			c.change(msg)
			ack, err := b.JetStream().PublishMsg(t.Context(), msg)
			if err != nil {
				t.Fatal(err)
			}
			cluster, _ := strings.CutPrefix(msg.Subject, "neap.v1.1.plan.")
			if cluster == "=77eb" {
				return // no cluster's reader looks there; see the consumer's test
			}
			for s, err := range b.Plans(t.Context(), fleet.ClusterName(cluster), ack.Sequence) {
				if s.Seq != ack.Sequence || !errors.Is(err, c.want) {
					t.Errorf("at %d: %v, want %v", s.Seq, err, c.want)
				}
			}
			if _, _, ok, err := b.LastPlan(t.Context(), fleet.ClusterName(cluster)); !ok || !errors.Is(err, c.want) {
				t.Errorf("last plan: %t, %v, want %v", ok, err, c.want)
			}
		})
	}
}

// stray publishes what no release of Neap wrote on a cluster's PLAN subject.
func stray(t *testing.T, b *bus.Bus, cluster string) uint64 {
	t.Helper()
	msg := nats.NewMsg("neap.v1.1.plan." + cluster)
	msg.Data = []byte("hello?")
	msg.Header.Set("X-Sender", "somebody")
	ack, err := b.JetStream().PublishMsg(t.Context(), msg)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// Whoever can publish on our subjects must not be able to stop a cluster by accident: what
// no release of Neap wrote is passed over, and the chain goes on behind it.
func TestForeignMessagesArePassedOver(t *testing.T) {
	b := bustest.Open(t)
	end := func(b *bus.Bus, want fleet.PlanID, at uint64) {
		t.Helper()
		p, seq, ok, err := b.LastPlan(t.Context(), "web")
		if err != nil || ok != (want != "") || p.ID != want || seq != at {
			t.Fatalf("last plan %q, the chain ends at %d (%t, %v), want %q, %d", p.ID.Short(), seq, ok, err, want.Short(), at)
		}
	}
	at := stray(t, b, "web")
	end(b, "", at)
	first := planFor(t, "web", 1, "", "a")
	if _, err := b.AppendPlan(t.Context(), first, 0); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("append before the foreign message: %v", err)
	}
	own := appendPlan(t, b, first, at)
	end(b, first.ID, own)
	for range 3 {
		at = stray(t, b, "web")
		stray(t, b, "other")
		end(b, first.ID, at)
		end(b, first.ID, at) // known by now
		end(bustest.Connect(t, bus.Config{URL: b.Conn().ConnectedUrl()}), first.ID, at)
	}
	if seq, err := b.AppendPlan(t.Context(), first, own); err != nil || seq != own {
		t.Errorf("the same plan again, behind foreign messages: %d, %v, want %d", seq, err, own)
	}
	if _, err := b.AppendPlan(t.Context(), planFor(t, "web", 1, first.ID, "a"), own); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("append after the last plan instead of the end: %v", err)
	}
	second := planFor(t, "web", 1, first.ID, "a")
	end(b, first.ID, at)
	at = appendPlan(t, b, second, at)
	end(b, second.ID, at)

	plans, strangers := 0, 0
	for _, err := range b.Plans(t.Context(), "web", 0) {
		switch {
		case err == nil:
			plans++
		case errors.Is(err, bus.ErrForeign) && errors.Is(err, fleet.ErrInvalid):
			strangers++
		default:
			t.Error(err)
		}
	}
	if plans != 2 || strangers != 4 {
		t.Errorf("the chain has %d plans and %d foreign messages, want 2 and 4", plans, strangers)
	}
}

// A message that says it is ours is one, however damaged, and wherever in the chain: what
// it decided is not known, so nothing may be appended as if it were not there.
func TestForeignMessagesHideNoDamage(t *testing.T) {
	b := bustest.Open(t)
	appendPlan(t, b, planFor(t, "web", 1, "", "a"), 0)
	for version, want := range map[string]error{"1": fleet.ErrInvalid, "9": fleet.ErrVersion} {
		msg := nats.NewMsg("neap.v1.1.plan.web")
		msg.Header.Set("Neap-Version", version)
		if _, err := b.JetStream().PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, _, ok, err := b.LastPlan(t.Context(), "web"); !ok || !errors.Is(err, want) || errors.Is(err, bus.ErrForeign) {
				t.Errorf("a message of version %s that is damaged: %t, %v, want %v", version, ok, err, want)
			}
			stray(t, b, "web")
		}
	}
}
