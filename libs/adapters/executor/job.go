package executor

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/adapters/bus"
)

// job is an unfinished action as this process knows it.
type job[S any] struct {
	entry  bus.Entry // the newest that was read or written
	record Record
	state  S

	busy     bool      // a turn is under way
	dueSince time.Time // local: since when it is due at this revision
	retryAt  time.Time // local: no turn before
	failures int       // of turns, in a row
	held     string    // why its turn was held last, so that it is logged once
}

// observe takes in a record that was read or written. Older ones change nothing.
func (e *Engine[S, E, F]) observe(entry bus.Entry) {
	r, state, err := decode[S](entry)
	ours := slices.Contains(e.trade.Kinds, r.Action.Kind)
	if err == nil && !ours {
		return
	}
	if err != nil {
		if r.Action.Kind != "" && !ours {
			return // the other trade says so
		}
		e.process.Log.Error("unreadable record in the ledger", "cluster", entry.Cluster, "action", entry.Action.Short(), "err", err)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	k := key{entry.Cluster, entry.Action}
	j, known := e.jobs[k]
	if known && entry.Revision <= j.entry.Revision {
		return
	}
	if !known {
		if r.Finished() {
			return
		}
		j = &job[S]{}
		e.jobs[k] = j
	}
	j.entry, j.record, j.state, j.dueSince = entry, r, state, time.Time{}
	if r.Finished() && !j.busy {
		delete(e.jobs, k)
	}
}

// due picks the actions to give a turn now, oldest plan first, and marks them busy.
func (e *Engine[S, E, F]) due(now, server time.Time) []*job[S] {
	e.mu.Lock()
	defer e.mu.Unlock()
	var due []*job[S]
	for _, j := range e.jobs {
		if e.isDue(j, now, server) {
			due = append(due, j)
		}
	}
	slices.SortFunc(due, func(a, b *job[S]) int {
		return cmp.Or(a.record.PlannedAt.Compare(b.record.PlannedAt), cmp.Compare(a.entry.Action, b.entry.Action))
	})
	for _, j := range due {
		j.busy = true
	}
	return due
}

func (e *Engine[S, E, F]) isDue(j *job[S], now, server time.Time) bool {
	urgent := len(j.record.Outbox) > 0 || j.record.Closed != nil && !j.record.Cancelled
	switch {
	case j.busy, now.Before(j.retryAt), !e.cfg.Assignment.Serves(j.record.Cluster):
		return false
	case !urgent && server.Before(e.trade.Progress(&j.state).NextAt):
		return false
	case j.record.Owner == e.owner, j.record.Owner == "":
		return true
	}
	if j.dueSince.IsZero() {
		j.dueSince = now
	}
	return now.Sub(j.dueSince) >= e.cfg.StaleAfter
}

// putBack returns a job that got no turn.
func (e *Engine[S, E, F]) putBack(j *job[S]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.busy = false
}

// settle ends a turn: the job is free for the next one, no sooner than retryAt.
func (e *Engine[S, E, F]) settle(j *job[S], retryAt time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.busy, j.retryAt = false, retryAt
	if j.record.Finished() {
		delete(e.jobs, key{j.entry.Cluster, j.entry.Action})
	}
	e.nudge()
}

// release gives the claims back, so that another replica need not wait for them to become
// stale. What cannot be released in time will.
func (e *Engine[S, E, F]) release() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	var g errgroup.Group
	g.SetLimit(e.cfg.Concurrency)
	for _, j := range e.jobs {
		if j.record.Owner != e.owner {
			continue
		}
		j.record.Owner = ""
		value, err := encode(&j.record, &j.state)
		if err != nil {
			continue
		}
		g.Go(func() error {
			_, err := put(ctx, e.bus.Ledger(), j.entry, value)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		e.process.Log.Warn("claims were not all released; they become stale", "err", err)
	}
}
