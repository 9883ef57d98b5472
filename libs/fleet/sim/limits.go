package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limit is one token bucket of the published API rate limits: so many calls at once, and so
// many more each second. It belongs to the account and region: all callers share it.
type Limit struct {
	Bucket    string // "ecs service read": the service comes first
	Burst     float64
	PerSecond float64
}

// Charge is what one call takes out of one bucket.
type Charge struct {
	Limit
	Tokens float64
}

// Level is how full a bucket is.
type Level struct {
	Bucket    string  `json:"bucket"`
	Burst     float64 `json:"burst"`     // as scaled
	PerSecond float64 `json:"perSecond"` // as scaled
	Tokens    float64 `json:"tokens"`
	Throttled int     `json:"throttled"` // calls that it refused
}

// limits are the rate limits of the account.
type limits struct {
	on      bool
	scales  []limitScale // the last one that matches counts
	buckets []*bucket    // by name
}

// limitScale makes buckets larger or smaller than AWS publishes, as Service Quotas can.
type limitScale struct {
	target string
	share  float64
}

// bucket is a bucket that somebody has drawn from. It refills in virtual time.
type bucket struct {
	limit   Limit // as published
	tokens  float64
	at      time.Time
	refused int
}

// SetThrottling turns the rate limits on or off. Buckets that refilled meanwhile are full.
func (w *World) SetThrottling(on bool) { w.limits.on = on }

// Throttling says whether the rate limits are on.
func (w *World) Throttling() bool { return w.limits.on }

// ScaleLimits gives buckets a share of their published burst and rate; 1 is as published,
// 0 lets nothing pass. The target is a service ("ecs"), the name of a bucket or its
// beginning ("ecs cluster"), or a pattern with *.
func (w *World) ScaleLimits(target string, share float64) error {
	const most = 1000 // beyond that there is no limit left that anybody could notice
	if !(share >= 0 && share <= most) {
		return fmt.Errorf("scale limits of %s: %v is no share: write one from 0%% to %d%%", target, share, most*100)
	}
	if target == "" {
		return errors.New("scale limits: name a service, a bucket or *")
	}
	l := &w.limits
	l.scales = slices.DeleteFunc(l.scales, func(s limitScale) bool { return s.target == target })
	l.scales = append(l.scales, limitScale{target, share})
	for _, b := range l.buckets {
		b.tokens = min(b.tokens, l.scaled(b.limit).Burst)
	}
	return nil
}

// scaled is a limit as the account has it now.
func (l *limits) scaled(limit Limit) Limit {
	for _, s := range slices.Backward(l.scales) {
		if glob(s.target, limit.Bucket) || strings.HasPrefix(limit.Bucket, s.target+" ") {
			limit.Burst *= s.share
			limit.PerSecond *= s.share
			return limit
		}
	}
	return limit
}

// Charge takes what a call costs from all its buckets, which are all different, or nothing
// at all. The answer false means that the call is throttled.
func (w *World) Charge(charges ...Charge) bool {
	if !w.limits.on {
		return true
	}
	for _, c := range charges {
		if b := w.limits.bucket(c.Limit, w.now); b.tokens+rounding < c.cost() {
			b.refused++
			return false
		}
	}
	for _, c := range charges {
		b := w.limits.bucket(c.Limit, w.now)
		b.tokens = max(0, b.tokens-c.cost())
	}
	return true
}

// rounding is what adding up small refills may lose.
const rounding = 1e-9

// cost is what a call takes: a call about less than nothing takes nothing.
func (c Charge) cost() float64 { return max(c.Tokens, 0) }

// bucket is the bucket of a limit, made if nobody has drawn from it, with what time has
// given back.
func (l *limits) bucket(limit Limit, now time.Time) *bucket {
	i, found := slices.BinarySearchFunc(l.buckets, limit.Bucket, func(b *bucket, name string) int {
		return strings.Compare(b.limit.Bucket, name)
	})
	scaled := l.scaled(limit)
	if !found {
		b := &bucket{limit: limit, tokens: scaled.Burst, at: now}
		l.buckets = slices.Insert(l.buckets, i, b)
		return b
	}
	b := l.buckets[i]
	b.limit = limit
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(scaled.Burst, b.tokens+passed.Seconds()*scaled.PerSecond)
		b.at = now
	}
	return b
}

// Levels are the buckets that somebody has drawn from, by name, as they are now.
func (w *World) Levels() []Level {
	levels := []Level{}
	for _, b := range w.limits.buckets {
		w.limits.bucket(b.limit, w.now)
		scaled := w.limits.scaled(b.limit)
		levels = append(levels, Level{
			Bucket: scaled.Bucket, Burst: scaled.Burst, PerSecond: scaled.PerSecond, Tokens: b.tokens, Throttled: b.refused,
		})
	}
	return levels
}

// schedulerLimit is the bucket whose want holds up ECS's own scheduler of services. ECS says
// that the limits of the account can throttle it, not which of them; this is that of RunTask.
var schedulerLimit = Limit{Bucket: "ecs cluster resource modify", Burst: 100, PerSecond: 40}

// schedulerThrottled says that the callers of the account have left ECS's own scheduler of
// services nothing to work with. The scheduler itself takes nothing.
func (w *World) schedulerThrottled() bool {
	return w.limits.on && w.limits.bucket(schedulerLimit, w.now).tokens < 1
}

// sayThrottled tells that a service waits for the limits of the account.
func (w *World) sayThrottled(s *service) {
	w.say(s, "operations are being throttled. Will try again later.")
	w.tellService(s, "ERROR", "ECS_OPERATION_THROTTLED", "")
}
