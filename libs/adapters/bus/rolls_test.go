package bus_test

import (
	"errors"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/fleet"
)

// TestRoll: a roll is kept for whoever asks, with whether it is stopped and since when
// failures count.
func TestRoll(t *testing.T) {
	c, ctx := bustest.Open(t).Control(), t.Context()
	began := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	roll := fleet.Roll{ID: "roll-1", By: "ann", StartedAt: began, Total: 4, RollPace: fleet.RollPace{}.WithDefaults()}
	if got, err := c.Roll(ctx, "web"); err != nil || got.ID != "" || !got.Stopped.IsZero() {
		t.Errorf("before any: %+v, %v", got, err)
	}
	if err := c.StartRoll(ctx, "web", roll); err != nil {
		t.Fatal(err)
	}
	if got, err := c.StopRoll(ctx, "web"); err != nil || got.Stopped.IsZero() {
		t.Errorf("stopped: %+v, %v", got, err)
	}
	got, err := c.Roll(ctx, "web")
	if err != nil || got.ID != roll.ID || got.Stopped.IsZero() || got.Batch() != 1 || !got.StartedAt.Equal(began) {
		t.Errorf("read again: %+v, %v", got, err)
	}
	later := began.Add(time.Hour)
	if got, err := c.ResumeRoll(ctx, "web", later); err != nil || !got.Stopped.IsZero() || !got.Resumed.Equal(later) {
		t.Errorf("resumed: %+v, %v", got, err)
	}
	roll.ID, roll.Stopped = "roll-2", later
	if err := c.StartRoll(ctx, "web", roll); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Roll(ctx, "web"); err != nil || got.ID != "roll-2" || !got.Stopped.IsZero() || !got.Resumed.IsZero() {
		t.Errorf("a new one begins anew: %+v, %v", got, err)
	}
	if got, err := c.Roll(ctx, "other"); err != nil || got.ID != "" {
		t.Errorf("of another cluster: %+v, %v", got, err)
	}
	for what, spoil := range map[string]func(*fleet.Roll){
		"batch":  func(r *fleet.Roll) { r.BatchPercent = 0 },
		"no one": func(r *fleet.Roll) { r.By = "" },
	} {
		bad := roll
		spoil(&bad)
		if err := c.StartRoll(ctx, "web", bad); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.Roll(ctx, "a.>"); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("hostile cluster name: %v", err)
	}
}

// TestRollThatCannotBeRead counts as stopped: nothing is replaced on a guess.
func TestRollThatCannotBeRead(t *testing.T) {
	b := bustest.Open(t)
	kv, err := b.JetStream().KeyValue(t.Context(), "neap-control")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "roll.web", []byte(`{"batchPercent":"many"}`)); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Control().Roll(t.Context(), "web"); err != nil || got.Stopped.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}
