package awssim

import (
	"math"
	"time"
)

// Frozen is the speed of a server whose time stands still until [Server.Advance].
const Frozen float64 = -1

// MaxSpeed is the fastest that virtual time can run: a day in less than nine seconds.
const MaxSpeed float64 = 10_000

// clock maps wall time to virtual time: virtual = base + (wall − since) × speed.
type clock struct {
	wall  func() time.Time
	base  time.Time // virtual time at since
	since time.Time
	speed float64 // never negative
}

// now is the virtual time.
func (c *clock) now() time.Time {
	passed := float64(c.wall().Sub(c.since)) * c.speed
	// Past this the world is older than a duration can say: time stops instead of wrapping.
	if passed > math.MaxInt64/2 {
		passed = math.MaxInt64 / 2
	}
	return c.base.Add(time.Duration(passed))
}

// setSpeed changes the speed from now on.
func (c *clock) setSpeed(speed float64) {
	c.base, c.since = c.now(), c.wall()
	c.speed = speed
}

// jump moves virtual time forward at once.
func (c *clock) jump(d time.Duration) {
	c.base, c.since = c.now().Add(d), c.wall()
}

// wait is how long the wall takes until virtual time d has passed; the longest duration
// if it never will.
func (c *clock) wait(d time.Duration) time.Duration {
	if c.speed == 0 {
		return math.MaxInt64
	}
	wall := float64(d) / c.speed
	if wall >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(wall)
}
