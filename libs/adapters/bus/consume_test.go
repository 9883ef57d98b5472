package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/fleet"
)

// quickAck shortens the time after which a silent executor counts as dead.
func quickAck(t *testing.T, b *bus.Bus, wait time.Duration) {
	t.Helper()
	c, err := b.JetStream().Consumer(t.Context(), "NEAP_1_PLAN", bus.Actuator)
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	cfg.AckWait = wait
	if _, err := b.JetStream().UpdateConsumer(t.Context(), "NEAP_1_PLAN", cfg); err != nil {
		t.Fatal(err)
	}
}

// consumer reads the state of the actuator's durable consumer.
func consumer(t *testing.T, b *bus.Bus) *jetstream.ConsumerInfo {
	t.Helper()
	c, err := b.JetStream().Consumer(t.Context(), "NEAP_1_PLAN", bus.Actuator)
	if err != nil {
		t.Fatal(err)
	}
	return c.CachedInfo()
}

func settled(t *testing.T, b *bus.Bus) func() bool {
	return func() bool {
		info := consumer(t, b)
		return info.NumAckPending == 0 && info.NumPending == 0
	}
}

// Two replicas share the plans: every plan is handled, none twice.
func TestReplicasSharePlans(t *testing.T) {
	url := bustest.Start(t)
	var handled box[fleet.PlanID]
	for range 2 {
		b := bustest.Connect(t, bus.Config{URL: url})
		background(t, func(ctx context.Context) error {
			return b.ConsumePlans(ctx, bus.Actuator, func(_ context.Context, d bus.Delivery) error {
				if d.Attempt != 1 {
					t.Errorf("plan %s came a %d. time", d.Plan.ID, d.Attempt)
				}
				handled.add(d.Plan.ID)
				return nil
			})
		})
	}
	b := bustest.Connect(t, bus.Config{URL: url})
	want := map[fleet.PlanID]bool{}
	for i := range 50 {
		p := planFor(t, fleet.ClusterName(fmt.Sprint("web-", i)), 1, "", "a")
		appendPlan(t, b, p, 0)
		want[p.ID] = true
	}
	eventually(t, "50 plans", func() bool { return handled.len() >= 50 })
	eventually(t, "all acknowledged", settled(t, b))
	for _, id := range handled.all() {
		if !want[id] {
			t.Errorf("plan %s was handled twice, or never made", id)
		}
		delete(want, id)
	}
}

// An executor that dies with a plan in hand: the plan goes to another.
func TestRedeliveryAfterCrash(t *testing.T) {
	t.Parallel()
	url := bustest.Start(t)
	b := bustest.Connect(t, bus.Config{URL: url})
	quickAck(t, b, 500*time.Millisecond)
	appendPlan(t, b, planFor(t, "web", 1, "", "a"), 0)

	victim, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(victim)
	if err != nil {
		t.Fatal(err)
	}
	c, err := js.Consumer(t.Context(), "NEAP_1_PLAN", bus.Actuator)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	victim.Close()

	var attempts box[int]
	background(t, func(ctx context.Context) error {
		return b.ConsumePlans(ctx, bus.Actuator, func(_ context.Context, d bus.Delivery) error {
			attempts.add(d.Attempt)
			return nil
		})
	})
	eventually(t, "the redelivery", func() bool { return attempts.len() == 1 })
	if got := attempts.all()[0]; got != 2 {
		t.Errorf("attempt %d, want 2", got)
	}
}

// A handler that takes longer than the server waits keeps its plan.
func TestSlowHandlerKeepsItsPlan(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	const wait = 300 * time.Millisecond
	quickAck(t, b, wait)
	appendPlan(t, b, planFor(t, "web", 1, "", "a"), 0)
	var calls box[int]
	background(t, func(ctx context.Context) error {
		return b.ConsumePlans(ctx, bus.Actuator, func(_ context.Context, d bus.Delivery) error {
			calls.add(d.Attempt)
			<-time.After(4 * wait)
			return nil
		})
	})
	eventually(t, "the answer", func() bool { return calls.len() > 0 && settled(t, b)() })
	if calls.len() != 1 {
		t.Errorf("the plan was handed out %d times", calls.len())
	}
}

// When a process is told to stop, what it has in hand goes to another at once.
func TestStopHandsOver(t *testing.T) {
	url := bustest.Start(t)
	leaving := bustest.Connect(t, bus.Config{URL: url})
	appendPlan(t, leaving, planFor(t, "web", 1, "", "a"), 0)
	var began box[bool]
	stop := background(t, func(ctx context.Context) error {
		return leaving.ConsumePlans(ctx, bus.Actuator, func(ctx context.Context, _ bus.Delivery) error {
			began.add(true)
			<-ctx.Done()
			return ctx.Err()
		})
	})
	eventually(t, "the first handler", func() bool { return began.len() == 1 })
	stop()
	staying := bustest.Connect(t, bus.Config{URL: url})
	var attempts box[int]
	background(t, func(ctx context.Context) error {
		return staying.ConsumePlans(ctx, bus.Actuator, func(_ context.Context, d bus.Delivery) error {
			attempts.add(d.Attempt)
			return nil
		})
	})
	eventually(t, "the hand-over", func() bool { return attempts.len() == 1 })
}

// quarantined reads what is in quarantine.
func quarantined(t *testing.T, b *bus.Bus) []*jetstream.RawStreamMsg {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), "NEAP_1_QUARANTINE")
	if err != nil {
		t.Fatal(err)
	}
	var all []*jetstream.RawStreamMsg
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// Poison is set aside with its headers, and does not hold up what comes after it.
func TestPoisonGoesToQuarantine(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	b.SetPace(0.001)
	poison := nats.NewMsg("neap.v1.1.plan.web")
	poison.Data = []byte("{{{ not a plan")
	poison.Header.Set("Neap-Version", "1")
	poison.Header.Set("X-Sender", "somebody")
	poison.Header.Set(jetstream.MsgIDHeader, "poison-1")
	poison.Header.Set("Nats-Trace-Dest", "attacker.inbox")
	spy, err := b.Conn().SubscribeSync("attacker.inbox")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.JetStream().PublishMsg(t.Context(), poison); err != nil {
		t.Fatal(err)
	}
	// The server reports on what the sender itself published; on nothing that we do.
	eventually(t, "the report", func() bool { n, _, _ := spy.Pending(); return n > 0 })
	already, _, _ := spy.Pending()
	failing, fine := planFor(t, "web", 1, "", "failing"), planFor(t, "other", 1, "", "fine")
	appendPlan(t, b, failing, 1)
	appendPlan(t, b, fine, 0)

	var attempts box[int]
	var handled box[fleet.PlanID]
	stop := background(t, func(ctx context.Context) error {
		return b.ConsumePlans(ctx, bus.Actuator, func(_ context.Context, d bus.Delivery) error {
			if d.Plan.ID == failing.ID {
				attempts.add(d.Attempt)
				return errors.New("it just\nwill not\tdo")
			}
			handled.add(d.Plan.ID)
			return nil
		})
	})
	eventually(t, "both in quarantine", func() bool { return len(quarantined(t, b)) == 2 })
	eventually(t, "everything answered", settled(t, b))
	stop()
	if handled.len() != 1 || handled.all()[0] != fine.ID {
		t.Errorf("handled %v, want %s", handled.all(), fine.ID)
	}
	if attempts.len() != bus.MaxFailures {
		t.Errorf("the failing plan was tried %d times, want %d", attempts.len(), bus.MaxFailures)
	}
	for _, m := range quarantined(t, b) {
		if m.Subject != "neap.v1.1.quarantine.plan.web" || m.Header.Get("Neap-Quarantine-Consumer") != bus.Actuator ||
			m.Header.Get("Neap-Quarantine-Stream") != "NEAP_1_PLAN" || m.Header.Get("Neap-Quarantine-Reason") == "" {
			t.Errorf("in quarantine: %s %v", m.Subject, m.Header)
		}
		if m.Header.Get("X-Sender") == "" {
			continue
		}
		if string(m.Data) != string(poison.Data) || m.Header.Get("Neap-Original-Nats-Msg-Id") != "poison-1" {
			t.Errorf("the poison was changed: %q %v", m.Data, m.Header)
		}
	}
	if now, _, _ := spy.Pending(); now != already {
		t.Errorf("the copy made the server report to where the sender wanted: %d messages", now-already)
	}
	// The log itself still holds the original.
	s, err := b.JetStream().Stream(t.Context(), "NEAP_1_PLAN")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetMsg(t.Context(), 1); err != nil || string(m.Data) != string(poison.Data) {
		t.Errorf("the log lost the original: %v", err)
	}
}

// What says nothing about the plan does not count against it.
func TestHeldPlansAreNotQuarantined(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	b.SetPace(0.0005)
	appendPlan(t, b, planFor(t, "web", 1, "", "a"), 0)
	var attempts box[int]
	background(t, func(ctx context.Context) error {
		return b.ConsumePlans(ctx, bus.Actuator, func(_ context.Context, d bus.Delivery) error {
			attempts.add(d.Attempt)
			if d.Attempt <= 2*bus.MaxFailures {
				return fmt.Errorf("terminate i-1: %w", fleet.ErrPaused)
			}
			return nil
		})
	})
	eventually(t, "the end of the pause", func() bool { return attempts.len() > 2*bus.MaxFailures })
	eventually(t, "the answer", settled(t, b))
	if n := len(quarantined(t, b)); n != 0 {
		t.Errorf("%d messages in quarantine", n)
	}
}

func TestConsumeWithoutConsumer(t *testing.T) {
	b := bustest.Open(t)
	err := b.ConsumePlans(t.Context(), "stranger", func(context.Context, bus.Delivery) error { return nil })
	if !errors.Is(err, bus.ErrTopology) {
		t.Errorf("%v", err)
	}
}

func TestOutcomes(t *testing.T) {
	b := bustest.Open(t)
	p := planFor(t, "web", 1, "", "a")
	var watched box[fleet.OutcomePhase]
	ready := make(chan struct{})
	background(t, func(ctx context.Context) error {
		return b.WatchOutcomes(ctx, func(_ context.Context, o bus.Stored[fleet.Outcome]) error {
			if watched.add(o.Value.Phase); watched.len() == 1 {
				close(ready)
			}
			return nil
		})
	})
	// The watch begins some time: a first outcome tells when.
	eventually(t, "the watch", func() bool {
		o := outcomeOf(p, fleet.PhaseIntent)
		o.Cluster, o.Message = "probe", fmt.Sprint(time.Now().UnixNano())
		if err := b.PublishOutcome(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ready:
			return true
		case <-time.After(20 * time.Millisecond):
			return false
		}
	})
	for _, phase := range []fleet.OutcomePhase{fleet.PhaseIntent, fleet.PhaseIntent, fleet.PhaseResult, fleet.PhaseFinal} {
		if err := b.PublishOutcome(t.Context(), outcomeOf(p, phase)); err != nil {
			t.Fatal(err)
		}
	}
	var phases []fleet.OutcomePhase
	for o, err := range b.Outcomes(t.Context(), "web", 0) {
		if err != nil {
			t.Fatal(err)
		}
		phases = append(phases, o.Value.Phase)
	}
	if fmt.Sprint(phases) != "[intent result final]" {
		t.Errorf("outcomes %v: the repeated intent must be stored once", phases)
	}
	eventually(t, "the watcher to see the last", func() bool {
		seen := watched.all()
		return seen[len(seen)-1] == fleet.PhaseFinal
	})
	bad := outcomeOf(p, "halfway")
	if err := b.PublishOutcome(t.Context(), bad); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("an outcome of no known phase: %v", err)
	}
}

// A stranger's message may be so large that a copy with our own headers is too large for the
// server. Were it tried for ever, enough of them would leave no room for any plan in hand.
func TestPoisonTooLargeToCopy(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	b.SetPace(0.001)
	most := int(b.Conn().MaxPayload())
	body := nats.NewMsg("neap.v1.1.plan.web")
	body.Data = make([]byte, most)
	header := nats.NewMsg("neap.v1.1.plan.web")
	header.Header.Set("X-Large", incompressible(64<<10-200)) // the server's limit
	for _, msg := range []*nats.Msg{body, header} {
		if _, err := b.JetStream().PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	background(t, func(ctx context.Context) error {
		return b.ConsumePlans(ctx, bus.Actuator, func(context.Context, bus.Delivery) error { return nil })
	})
	eventually(t, "everything answered", settled(t, b))
	copies := quarantined(t, b)
	if len(copies) != 2 {
		t.Fatalf("%d messages in quarantine, want 2", len(copies))
	}
	for _, m := range copies {
		if m.Header.Get("Neap-Quarantine-Sequence") == "" || m.Header.Get("Neap-Quarantine-Cut") == "" || m.Header.Get("Neap-Quarantine-Reason") == "" {
			t.Errorf("the copy does not say where the original is: %v", m.Header)
		}
	}
}
