package execute

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// Turn is an unfinished action as this process knows it, to be given its turn.
type Turn[S any] struct {
	entry  Entry // the newest that was read or written
	record Record
	state  S

	busy     bool      // a turn is under way
	dueSince time.Time // local: since when it is due at this revision
	retryAt  time.Time // local: no turn before
	failures int       // of turns, in a row
	held     string    // why its turn was held last, so that it is logged once
}

// Observe takes in a record that was read or written. Older ones change nothing.
func (e *Core[S, E, F]) Observe(entry Entry) {
	k := key{entry.Cluster, entry.Action}
	if e.knows(k, entry.Revision) {
		return // its own writes come back to it
	}
	r, state, err := decode[S](entry)
	ours := slices.Contains(e.trade.Kinds, r.Action.Kind)
	if err == nil && !ours {
		return
	}
	if err != nil {
		if r.Action.Kind != "" && !ours {
			return // the other trade says so
		}
		e.means.Observer.Unreadable(entry, err)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	j, known := e.jobs[k]
	if known && entry.Revision <= j.entry.Revision {
		return
	}
	if !known {
		if r.Finished() {
			return
		}
		j = &Turn[S]{}
		e.jobs[k] = j
	}
	j.entry, j.record, j.state, j.dueSince = entry, r, state, time.Time{}
	if r.Finished() && !j.busy {
		delete(e.jobs, k)
	}
}

// knows reports whether the record is known at a revision or a later one.
func (e *Core[S, E, F]) knows(k key, revision uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	j, known := e.jobs[k]
	return known && revision <= j.entry.Revision
}

// Due picks the actions to give a turn now, oldest plan first, and marks them busy.
func (e *Core[S, E, F]) Due(now, server time.Time) []*Turn[S] {
	e.mu.Lock()
	defer e.mu.Unlock()
	var due []*Turn[S]
	//neap:unordered they are sorted below
	for _, j := range e.jobs {
		if e.isDue(j, now, server) {
			due = append(due, j)
		}
	}
	slices.SortFunc(due, func(a, b *Turn[S]) int {
		return cmp.Or(a.record.PlannedAt.Compare(b.record.PlannedAt), cmp.Compare(a.entry.Action, b.entry.Action))
	})
	for _, j := range due {
		j.busy = true
	}
	return due
}

func (e *Core[S, E, F]) isDue(j *Turn[S], now, server time.Time) bool {
	urgent := len(j.record.Outbox) > 0 || j.record.Closed != nil && !j.record.Cancelled
	switch {
	case j.busy, now.Before(j.retryAt), !e.means.Serves(j.record.Cluster):
		return false
	case !urgent && server.Before(e.trade.Progress(&j.state).NextAt):
		return false
	case j.record.Owner == e.means.Owner, j.record.Owner == "":
		return true
	}
	if j.dueSince.IsZero() {
		j.dueSince = now
	}
	return now.Sub(j.dueSince) >= e.means.StaleAfter
}

// PutBack returns a job that got no turn.
func (e *Core[S, E, F]) PutBack(j *Turn[S]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.busy = false
}

// settle ends a turn: the job is free for the next one, no sooner than retryAt.
func (e *Core[S, E, F]) settle(j *Turn[S], retryAt time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.busy, j.retryAt = false, retryAt
	if j.record.Finished() {
		delete(e.jobs, key{j.entry.Cluster, j.entry.Action})
	}
	e.means.Nudge()
}

// Claim is a claim to be given back: the record as it is and as it is to be without an
// owner.
type Claim struct {
	entry Entry
	value []byte
}

// Claims are the claims of this process, so that another replica need not wait for them to
// become stale. It takes time linear in the actions in hand.
func (e *Core[S, E, F]) Claims() []Claim {
	e.mu.Lock()
	defer e.mu.Unlock()
	var claims []Claim
	//neap:unordered each is given back by itself
	for _, j := range e.jobs {
		if j.record.Owner != e.means.Owner {
			continue
		}
		j.record.Owner = ""
		if value, err := encode(&j.record, &j.state); err == nil {
			claims = append(claims, Claim{j.entry, value})
		}
	}
	return claims
}

// Release gives a claim back. What cannot be given back becomes stale.
func (e *Core[S, E, F]) Release(ctx context.Context, c Claim) error {
	_, err := put(ctx, e.means.Ledger, c.entry, c.value)
	return err
}

// Idle reports whether there is no action in hand.
func (e *Core[S, E, F]) Idle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.jobs) == 0
}

// Stage is a phase of the actions of a kind on a cluster.
type Stage struct {
	Cluster fleet.ClusterName
	Kind    fleet.ActionKind
	Phase   string
}

// Open counts the actions that are under way.
func (e *Core[S, E, F]) Open() map[Stage]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	count := map[Stage]int{}
	//neap:unordered each is counted by itself
	for _, j := range e.jobs {
		count[Stage{j.record.Cluster, j.record.Action.Kind, e.trade.Progress(&j.state).Phase}]++
	}
	return count
}
