package awssim

import (
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	calls := charge{bucket: "calls", quota: quota{burst: 2, perSecond: 0.5}}
	items := charge{bucket: "items", quota: quota{burst: 10, perSecond: 1}, tokens: func(in any) float64 { return float64(in.(int)) }}
	both := []charge{calls, items}
	l := limiter{buckets: map[string]*bucket{}}
	now := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		after time.Duration
		items int
		want  bool
	}{
		{0, 8, true},
		{0, 8, false}, // the items are gone: the call must not be charged either
		{0, 2, true},
		{0, 0, false}, // now the calls are gone
		{time.Second, 0, false},
		{time.Second, 0, true},
		{0, -5, false},
		{time.Hour, 11, false}, // more than the bucket ever holds
		{0, 10, true},
	} {
		now = now.Add(c.after)
		if got := l.allow(both, c.items, now); got != c.want {
			t.Errorf("step %d: %d items allowed: %v, want %v", i, c.items, got, c.want)
		}
	}
}

func TestClock(t *testing.T) {
	wall := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	start := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	c := clock{wall: func() time.Time { return wall }, base: start, since: wall, speed: 60}
	check := func(want time.Duration) {
		t.Helper()
		if got := c.now().Sub(start); got != want {
			t.Errorf("%v of virtual time have passed, want %v", got, want)
		}
	}
	check(0)
	wall = wall.Add(time.Second)
	check(time.Minute)
	c.setSpeed(1)
	check(time.Minute)
	wall = wall.Add(time.Second)
	check(61 * time.Second)
	c.jump(time.Hour)
	check(time.Hour + 61*time.Second)
	c.setSpeed(0)
	wall = wall.Add(time.Hour)
	check(time.Hour + 61*time.Second)
	c.setSpeed(MaxSpeed)
	wall = wall.Add(200 * 365 * 24 * time.Hour)
	if c.now().Before(start) {
		t.Error("time wrapped")
	}
}
