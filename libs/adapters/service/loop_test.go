package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// quiet is a Process without an endpoint: its time may be virtual.
func quiet(t *testing.T, out io.Writer) *Process {
	t.Helper()
	p, err := New(t.Context(), "test", Config{StallAfter: time.Minute, ShutdownTimeout: time.Second}, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// diary notes when turns happened, and answers as told.
type diary struct {
	start time.Time
	turns []time.Duration
}

func (d *diary) note() { d.turns = append(d.turns, time.Since(d.start)) }

func (d *diary) want(t *testing.T, want ...time.Duration) {
	t.Helper()
	if !slices.Equal(d.turns, want) {
		t.Errorf("turns at %v, want %v", d.turns, want)
	}
}

func TestEveryRunsAtOnceThenOnBeatOrWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, wake := quiet(t, io.Discard), diary{start: time.Now()}, make(chan struct{}, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		time.AfterFunc(12*time.Second, func() { wake <- struct{}{} })
		err := p.Every(ctx, "test", 10*time.Second, wake, func(context.Context) error {
			d.note()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		d.want(t, 0, 10*time.Second, 12*time.Second, 22*time.Second, 32*time.Second)
	})
}

// The beat is from start to start, and a turn that takes longer is followed at
// once, not by all the beats it missed.
func TestEverySlowTurnsDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := quiet(t, io.Discard), diary{start: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		_ = p.Every(ctx, "test", 10*time.Second, nil, func(context.Context) error {
			d.note()
			if len(d.turns) == 1 {
				time.Sleep(35 * time.Second)
			} else {
				time.Sleep(3 * time.Second)
			}
			return nil
		})
		d.want(t, 0, 35*time.Second, 45*time.Second, 55*time.Second)
	})
}

func TestEveryBacksOffAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p, d := quiet(t, &log), diary{start: time.Now()}
		wake := make(chan struct{}) // a busy bus, which must not defeat the back-off
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var busy sync.WaitGroup
		busy.Go(func() {
			for ctx.Err() == nil {
				select {
				case wake <- struct{}{}:
				case <-ctx.Done():
				}
			}
		})
		_ = p.Every(ctx, "test", 5*time.Second, wake, func(context.Context) error {
			d.note()
			switch n := len(d.turns); {
			case n <= 10:
				return errors.New("no answer")
			case n == 12:
				cancel()
			}
			return nil
		})
		busy.Wait()

		for i := 1; i <= 10; i++ {
			longest := min(time.Second<<(i-1), 30*time.Second)
			if wait := d.turns[i] - d.turns[i-1]; wait < longest/2 || wait > longest {
				t.Errorf("after failure %d it waited %s, want %s to %s", i, wait, longest/2, longest)
			}
		}
		if d.turns[11] != d.turns[10] {
			t.Errorf("a wake waited %s after recovery", d.turns[11]-d.turns[10])
		}
		lines := logged(t, &log)
		if n := count(lines, "loop turn"); n != 10 {
			t.Errorf("logged %d failures, want each of 10 once", n)
		}
		if n := count(lines, "loop recovered"); n != 1 {
			t.Errorf("logged %d recoveries, want 1", n)
		}
		if first := lines[0]; first["err"] != "no answer" || first["loop"] != "test" || first["failures"] != 1.0 || first["service"] != "test" {
			t.Errorf("logged %v", first)
		}
	})
}

func TestBackoffNeverOverflows(t *testing.T) {
	for failures := 1; failures < 200; failures++ {
		for _, beat := range []time.Duration{time.Millisecond, time.Minute, time.Hour} {
			if wait := backoff(failures, beat); wait < firstRetry/2 || wait > max(beat, longestRetry) {
				t.Fatalf("failure %d at beat %s waits %s", failures, beat, wait)
			}
		}
	}
}

func TestEveryStopsQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := quiet(t, &log)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := p.Every(ctx, "test", time.Minute, nil, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if err != nil || log.Len() > 0 {
			t.Errorf("err %v, log %s", err, &log)
		}
	})
}

func TestEverySurvivesAClosedWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, wake := quiet(t, io.Discard), diary{start: time.Now()}, make(chan struct{})
		close(wake)
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		_ = p.Every(ctx, "test", 10*time.Second, wake, func(context.Context) error {
			d.note()
			return nil
		})
		d.want(t, 0, 10*time.Second, 20*time.Second)
	})
}

func TestLivenessSeesAStuckLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quiet(t, io.Discard) // STALL_AFTER is a minute
		ctx, cancel := context.WithCancel(t.Context())
		var loops sync.WaitGroup
		loops.Go(func() {
			_ = p.Every(ctx, "slow", time.Hour, nil, func(context.Context) error { return nil })
		})
		stuck := make(chan struct{})
		loops.Go(func() {
			_ = p.Every(ctx, "stuck", time.Hour, nil, func(context.Context) error {
				<-stuck
				return nil
			})
		})
		time.Sleep(time.Minute)
		if l := p.Health.board.live(time.Now()); !l.Live {
			t.Errorf("dead too early: %+v", l)
		}
		time.Sleep(time.Second)
		l := p.Health.board.live(time.Now())
		if l.Live || l.Loops["stuck"].OK || !l.Loops["slow"].OK {
			t.Errorf("a stuck loop went unseen, or a resting one was blamed: %+v", l)
		}
		if want := "no beat for 1m1s, limit 1m0s"; l.Loops["stuck"].Error != want {
			t.Errorf("error is %q, want %q", l.Loops["stuck"].Error, want)
		}
		close(stuck)
		synctest.Wait()
		if l := p.Health.board.live(time.Now()); !l.Live {
			t.Errorf("still dead: %+v", l)
		}
		cancel()
		loops.Wait()
		if l := p.Health.board.live(time.Now().Add(time.Hour)); !l.Live || len(l.Loops) > 0 {
			t.Errorf("a loop that ended is still watched: %+v", l)
		}
	})
}

func TestBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quiet(t, io.Discard)
		part := p.Part("planner")
		time.Sleep(time.Hour)
		if l := p.Health.board.live(time.Now()); !l.Live {
			t.Errorf("dead before the first beat: %+v", l)
		}
		part.Health.Beat()
		time.Sleep(time.Minute)
		if l := p.Health.board.live(time.Now()); !l.Live {
			t.Errorf("dead within the limit: %+v", l)
		}
		time.Sleep(time.Second)
		if l := p.Health.board.live(time.Now()); l.Live || l.Loops["planner/main"].OK {
			t.Errorf("alive without a beat: %+v", l)
		}
		part.Health.Beat()
		if l := p.Health.board.live(time.Now()); !l.Live {
			t.Errorf("dead after a beat: %+v", l)
		}
	})
}

func logged(t *testing.T, out io.Reader) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for d := json.NewDecoder(out); ; {
		line := make(map[string]any)
		switch err := d.Decode(&line); {
		case errors.Is(err, io.EOF):
			return lines
		case err != nil:
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
}

func count(lines []map[string]any, message string) int {
	n := 0
	for _, line := range lines {
		if strings.EqualFold(line["msg"].(string), message) {
			n++
		}
	}
	return n
}
