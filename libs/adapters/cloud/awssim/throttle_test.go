package awssim

import (
	"testing"
	"time"
)

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
