package bus

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
)

// Ledger is the record of how far the executors got with each action, read from the
// leader and changed by compare-and-set. What a record holds is the executors' affair.
type Ledger struct{ kv jetstream.KeyValue }

// Entry is one record of the ledger.
type Entry = execute.Entry

// Get reads a record. [fleet.ErrNotFound]: nobody has begun the action.
func (l *Ledger) Get(ctx context.Context, cluster fleet.ClusterName, id fleet.ActionID) (Entry, error) {
	key, err := ledgerKey(cluster, id)
	if err != nil {
		return Entry{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e, err := l.kv.Get(ctx, key)
	if err != nil {
		return Entry{}, fmt.Errorf("ledger record of action %s: %w", id.Short(), translate(err))
	}
	return Entry{Cluster: cluster, Action: id, Value: e.Value(), Revision: e.Revision(), At: e.Created()}, nil
}

// Create writes the first record of an action and returns its revision.
// [fleet.ErrConflict]: there is one. [fleet.ErrUnknown]: it may have been written; read.
func (l *Ledger) Create(ctx context.Context, cluster fleet.ClusterName, id fleet.ActionID, value []byte) (uint64, error) {
	key, err := ledgerKey(cluster, id)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	revision, err := l.kv.Create(ctx, key, value)
	return revision, wrap(unsure(err), "create ledger record of action %s", id.Short())
}

// Update replaces the record if its revision is still the given one, and returns the new
// revision. [fleet.ErrConflict]: somebody else changed it. [fleet.ErrUnknown]: it may have
// been written; read.
func (l *Ledger) Update(ctx context.Context, cluster fleet.ClusterName, id fleet.ActionID, value []byte, revision uint64) (uint64, error) {
	key, err := ledgerKey(cluster, id)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	revision, err = l.kv.Update(ctx, key, value, revision)
	return revision, wrap(unsure(err), "update ledger record of action %s", id.Short())
}

// List reads all records of a cluster, oldest change first.
func (l *Ledger) List(ctx context.Context, cluster fleet.ClusterName) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	var entries []Entry
	err := watch(ctx, l.kv, cluster.Key()+".*", func(e jetstream.KeyValueEntry) error {
		if e == nil {
			return errStop
		}
		if entry, ok := entryOf(e); ok {
			entries = append(entries, entry)
		}
		return nil
	})
	return entries, wrap(err, "list the ledger of %s", cluster)
}

// Watch calls f with every record of a cluster ("" is all clusters), at first and whenever
// one changes. It returns nil when ctx ends, or the error of f.
func (l *Ledger) Watch(ctx context.Context, cluster fleet.ClusterName, f func(context.Context, Entry) error) error {
	keys := "*.*"
	if cluster != "" {
		keys = cluster.Key() + ".*"
	}
	err := watch(ctx, l.kv, keys, func(e jetstream.KeyValueEntry) error {
		if e == nil {
			return nil
		}
		if entry, ok := entryOf(e); ok {
			return f(ctx, entry)
		}
		return nil
	})
	if ended(ctx) {
		return nil
	}
	return err
}

var actionPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func ledgerKey(cluster fleet.ClusterName, id fleet.ActionID) (string, error) {
	if err := cluster.Validate(); err != nil {
		return "", err
	}
	if !actionPattern.MatchString(string(id)) {
		return "", fmt.Errorf("%w: action ID %.80q: use the one that Plan.Seal made", fleet.ErrInvalid, id)
	}
	return cluster.Key() + "." + string(id), nil
}

// entryOf reads an entry; deletion markers and foreign keys are none.
func entryOf(e jetstream.KeyValueEntry) (Entry, bool) {
	key, id, ok := strings.Cut(e.Key(), ".")
	cluster, err := fleet.ClusterFromKey(key)
	if !ok || err != nil || e.Operation() != jetstream.KeyValuePut {
		return Entry{}, false
	}
	return Entry{Cluster: cluster, Action: fleet.ActionID(id), Value: e.Value(), Revision: e.Revision(), At: e.Created()}, true
}

// watch calls f with the entries that match, then once with nil, then with every change,
// until f fails or ctx ends. errStop from f ends it without an error.
func watch(ctx context.Context, kv jetstream.KeyValue, keys string, f func(jetstream.KeyValueEntry) error, opts ...jetstream.WatchOpt) error {
	w, err := kv.Watch(ctx, keys, opts...)
	if err != nil {
		return translate(err)
	}
	// The connection may be gone, and then the position on the server expires by itself.
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-w.Updates():
			if !ok {
				return fmt.Errorf("%w: the watch of bucket %s ended", ErrUnavailable, kv.Bucket())
			}
			if err := f(e); err != nil {
				if errors.Is(err, errStop) {
					return nil
				}
				return err
			}
		}
	}
}
