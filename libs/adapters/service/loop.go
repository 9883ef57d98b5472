package service

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/neap-project/neap/libs/adapters/telemetry"
)

const (
	// firstRetry is how soon a failed turn is tried again: most faults are one
	// lost connection.
	firstRetry = time.Second
	// longestRetry is the ceiling for loops that beat faster than this. A slower
	// loop backs off to its beat.
	longestRetry = 30 * time.Second
)

// Every calls turn at once, then on each beat or wake, whichever comes first,
// one turn at a time. It returns nil when ctx is done.
//
// An error is logged here, once per failed turn. After failures the next turn
// waits 1 s, 2 s, 4 s … up to 30 s or the beat, if that is longer, each less up
// to half of it by chance so that replicas do not retry in step; a wake does
// not shorten the wait. Liveness fails if a turn takes longer than STALL_AFTER.
func (p *Process) Every(ctx context.Context, name string, beat time.Duration, wake <-chan struct{}, turn func(context.Context) error) error {
	l := loop{p: p, name: name, beat: beat, wake: wake, turn: turn}
	l.took = telemetry.LoopDuration.Histogram(p.Meter)
	return l.run(ctx)
}

type loop struct {
	p        *Process
	name     string
	beat     time.Duration
	wake     <-chan struct{}
	turn     func(context.Context) error
	took     metric.Float64Histogram
	failures int // in a row
}

func (l *loop) run(ctx context.Context) error {
	defer l.p.Health.board.endHeart(l.p.Health.name(l.name))
	for ctx.Err() == nil {
		started := time.Now()
		err := l.once(ctx)
		if err == nil {
			l.recovered(ctx)
			l.rest(ctx, time.Until(started.Add(l.beat)), l.wake)
			continue
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			break // it was told to stop, and did
		}
		l.failures++
		retry := backoff(l.failures, l.beat)
		l.p.Log.ErrorContext(ctx, "loop turn", "loop", l.name, "err", err, "failures", l.failures, "retry_in", retry)
		l.rest(ctx, retry, nil)
	}
	return nil
}

func (l *loop) once(ctx context.Context) error {
	health := l.p.Health
	health.Ready()
	started := time.Now()
	health.board.beat(health.name(l.name), started, true)
	err := l.turn(ctx)
	now := time.Now()
	health.board.beat(health.name(l.name), now, false)
	result := "ok"
	if err != nil {
		result = "error"
	}
	l.took.Record(ctx, now.Sub(started).Seconds(), metric.WithAttributes(
		attribute.String(telemetry.LabelLoop, l.name), attribute.String(telemetry.LabelResult, result)))
	return err
}

func (l *loop) recovered(ctx context.Context) {
	if l.failures > 0 {
		l.p.Log.InfoContext(ctx, "loop recovered", "loop", l.name, "failures", l.failures)
		l.failures = 0
	}
}

// rest waits for the time to pass, a wake or the end.
func (l *loop) rest(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case _, open := <-wake:
			if open {
				return
			}
			wake = nil // a closed channel would wake us for ever
		}
	}
}

func backoff(failures int, beat time.Duration) time.Duration {
	ceiling := max(longestRetry, beat)
	wait := ceiling
	// 2^20 s is beyond any ceiling; shifting further would overflow.
	if failures <= 20 {
		wait = min(firstRetry<<(failures-1), ceiling)
	}
	return wait - rand.N(wait/2+1)
}
