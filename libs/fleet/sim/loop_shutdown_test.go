package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// TestLoopShutsDown lets random clusters live through a shutdown: soon after it begins none
// of our instances is left, until it ends none is launched, and soon after that every task
// runs again.
func TestLoopShutsDown(t *testing.T) {
	const (
		down    = 45 * time.Minute // time to drain, to stop what is left, and for drains that came in each other's way
		patient = time.Hour        // ECS retries slowly
	)
	wares := newShop(narrow)
	for seed := range stories(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLoop(t, seed, wares)
			if l.restricted {
				t.Skip("a service keeps its instances")
			}
			l.pol.Limits.MinInstances, l.pol.ScaleDown.MaxPercentage = 0, 100 // as they count in a shutdown
			l.pol.Drain.Timeout = fleet.Duration(5 * time.Minute)
			l.pol.Schedules.Shutdown = []fleet.WeekWindow{{From: "10:00", To: "13:00"}}
			clock := func(hour, minute int) time.Time {
				y, m, d := l.w.Now().UTC().Date()
				return time.Date(y, m, d, hour, minute, 0, 0, time.UTC)
			}
			l.until(clock(10, 0).Add(down))
			if n := l.owned(); n > 0 {
				l.fail("%s after the shutdown began %d instances live", down, n)
			}
			launched := l.w.Truth().History.InstancesLaunched
			l.until(clock(13, 0))
			if now := l.w.Truth().History.InstancesLaunched; now != launched || l.owned() > 0 {
				l.fail("in the shutdown %d instances were launched, and %d live", now-launched, l.owned())
			}
			l.until(clock(13, 0).Add(patient))
			if why := l.unsettled(); why != "" {
				l.fail("%s after the shutdown ended: %s", patient, why)
			}
			for _, harm := range l.w.Harm() {
				l.fail("harm: %s", harm)
			}
		})
	}
}

// until lets the story go on to an instant.
func (l *loop) until(end time.Time) {
	for l.w.Now().Before(end) && !l.t.Failed() {
		l.beat()
	}
}

// owned is how many instances of ours live.
func (l *loop) owned() int {
	n := 0
	for _, inst := range l.eye.look().Instances {
		if inst.Owner != "" && inst.Status != fleet.StatusGone {
			n++
		}
	}
	return n
}
