package dst

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
)

// errAway: the bus does not answer, or not to this process.
var errAway = errors.New("the bus is away")

// busTimeout is how long a client waits for an answer.
const busTimeout = 5 * time.Second

// bus is JetStream with its habits, for one cluster: a log of plans with compare-and-set, a
// ledger, outcomes that may be there twice, snapshots of which the newest counts, leases that
// steer work and protect nothing, and durable consumers that deliver at least once. Its
// streams may be lost: then a new generation begins, and processes of the old one have
// nowhere to go.
type bus struct {
	s          *system
	generation uint64
	plans      []stored[fleet.Plan]
	outcomes   []stored[fleet.Outcome]
	ledger     map[fleet.ActionID]execute.Entry
	revision   uint64
	snapshots  []stored[fleet.Snapshot] // the newest two
	leases     map[string]lease
	durables   map[string]*durable

	policy    fleet.Policy
	pause     fleet.Pause
	protected map[fleet.InstanceID]string

	cut map[string]time.Time // replicas that do not reach it, until when
}

// stored is a message with its place in its stream.
type stored[T any] struct {
	value T
	seq   uint64
	at    time.Time
}

type lease struct {
	holder string
	until  time.Time
}

func newBus(s *system) *bus {
	b := &bus{s: s, generation: 1, protected: map[fleet.InstanceID]string{}, cut: map[string]time.Time{}}
	b.empty()
	return b
}

// empty makes the streams and buckets of a generation.
func (b *bus) empty() {
	b.plans, b.outcomes, b.snapshots = nil, nil, nil
	b.ledger, b.leases = map[fleet.ActionID]execute.Entry{}, map[string]lease{}
	b.durables = map[string]*durable{actuatorName: newDurable(b), drainerName: newDurable(b)}
}

// lose is the loss of all streams, and what a bootstrap does about it.
func (b *bus) lose() {
	b.generation++
	b.empty()
	b.s.note("bus: generation %d begins", b.generation)
}

// reach is the way of a request to the bus.
func (b *bus) reach() error {
	t := b.s.thread
	t.sleep(between(t.of.rng, time.Millisecond, 6*time.Millisecond))
	if b.cut[t.of.name()].After(b.s.now) || b.s.hit("F71") {
		t.sleep(busTimeout)
		return errAway
	}
	if t.of.generation != b.generation {
		return errAway // no stream answers for that subject
	}
	if b.s.hit("F70") {
		t.sleep(busTimeout)
		return fmt.Errorf("%w: no answer from the bus", fleet.ErrUnknown) // and it has not seen the request
	}
	return nil
}

// answer is the way back. An answer may be lost: then nobody knows.
func (b *bus) answer(lost string) error {
	t := b.s.thread
	if b.s.hit(lost) {
		t.sleep(busTimeout)
		return fmt.Errorf("%w: no answer from the bus", fleet.ErrUnknown)
	}
	t.sleep(between(t.of.rng, time.Millisecond, 4*time.Millisecond))
	return nil
}

// ledger is the bucket of records, for one process.
type ledger struct{ b *bus }

// Get reads a record from the leader.
func (l ledger) Get(_ context.Context, _ fleet.ClusterName, id fleet.ActionID) (execute.Entry, error) {
	if err := l.b.reach(); err != nil {
		return execute.Entry{}, err
	}
	entry, ok := l.b.ledger[id]
	if !ok {
		return entry, fleet.ErrNotFound
	}
	return entry, nil
}

// Create writes the first record of an action.
func (l ledger) Create(_ context.Context, cluster fleet.ClusterName, id fleet.ActionID, value []byte) (uint64, error) {
	if err := l.b.reach(); err != nil {
		return 0, err
	}
	if _, there := l.b.ledger[id]; there {
		return 0, fleet.ErrConflict
	}
	return l.b.write(execute.Entry{Cluster: cluster, Action: id, Value: value})
}

// Update writes a record if its revision is still the same.
func (l ledger) Update(_ context.Context, _ fleet.ClusterName, id fleet.ActionID, value []byte, revision uint64) (uint64, error) {
	if err := l.b.reach(); err != nil {
		return 0, err
	}
	entry, there := l.b.ledger[id]
	if !there || entry.Revision != revision {
		l.b.s.note("ledger: conflict on %s by %s: revision %d, not %d", id.Short(), l.b.s.thread.of.name(), entry.Revision, revision)
		return 0, fleet.ErrConflict
	}
	entry.Value = value
	return l.b.write(entry)
}

// List reads all records.
func (l ledger) List(context.Context, fleet.ClusterName) ([]execute.Entry, error) {
	if err := l.b.reach(); err != nil {
		return nil, err
	}
	return l.b.records(), nil
}

// records are all records by action.
func (b *bus) records() []execute.Entry {
	var list []execute.Entry
	for _, id := range slices.Sorted(maps.Keys(b.ledger)) {
		list = append(list, b.ledger[id])
	}
	return list
}

// write stores a record and tells those who watch.
func (b *bus) write(entry execute.Entry) (uint64, error) {
	b.revision++
	entry.Revision, entry.At = b.revision, b.s.now
	b.ledger[entry.Action] = entry
	b.s.check.transition(entry)
	for _, r := range b.s.replicas {
		if r.observe == nil || r.generation != b.generation {
			continue
		}
		lag := between(r.rng, time.Millisecond, 20*time.Millisecond)
		if b.s.hit("F72") {
			lag += 40 * time.Second
		}
		life, generation := r.run, b.generation
		b.s.after(lag, func() {
			if r.up && r.run == life && b.generation == generation {
				r.observe(entry.Action)
			}
		})
	}
	return entry.Revision, b.answer("F70")
}

// control is the bucket of what people set.
type control struct{ b *bus }

// Policy reads the policy.
func (c control) Policy(context.Context, fleet.ClusterName) (fleet.Policy, uint64, error) {
	if err := c.b.reach(); err != nil {
		return fleet.Policy{}, 0, err
	}
	return c.b.policy, 1, nil
}

// Paused reads the red button.
func (c control) Paused(context.Context, fleet.ClusterName) (fleet.Pause, error) {
	if err := c.b.reach(); err != nil {
		return fleet.Pause{}, err
	}
	c.b.s.thread.gateAt = c.b.s.now
	return c.b.pause, nil
}

// Generation reads which generation is current.
func (c control) Generation(context.Context) (uint64, error) {
	if err := c.b.reach(); err != nil {
		return 0, err
	}
	return c.b.generation, nil
}

// PublishOutcome stores an outcome. Nothing here forgets duplicates: JetStream may.
func (b *bus) PublishOutcome(_ context.Context, o *fleet.Outcome) error {
	if err := b.reach(); err != nil {
		return err
	}
	copies := 1
	if b.s.hit("F69") {
		copies = 2
	}
	for range copies {
		b.outcomes = append(b.outcomes, stored[fleet.Outcome]{*o, uint64(len(b.outcomes) + 1), b.s.now})
	}
	b.s.check.outcome(o)
	return b.answer("F70")
}

// appendPlan adds a plan if the chain still ends where its maker thinks.
func (b *bus) appendPlan(p *fleet.Plan, after uint64) (uint64, error) {
	if err := b.reach(); err != nil {
		return 0, err
	}
	end := uint64(len(b.plans))
	if end != after {
		if end > 0 && b.plans[end-1].value.ID == p.ID {
			return end, nil // sent before
		}
		return 0, fleet.ErrConflict
	}
	b.plans = append(b.plans, stored[fleet.Plan]{*p, end + 1, b.s.now})
	b.s.check.committed(p)
	for _, name := range []string{actuatorName, drainerName} {
		b.durables[name].news()
	}
	return end + 1, b.answer("F19")
}

// publishSnapshot stores a snapshot. Its parts come first, the message that names them last.
func (b *bus) publishSnapshot(snap *fleet.Snapshot) error {
	if err := b.reach(); err != nil {
		return err
	}
	if t := b.s.thread; b.s.hit("F2") {
		b.s.after(0, func() { t.of.crash(2 * time.Second) })
		t.sleep(time.Hour)
	}
	b.snapshots = append(b.snapshots[max(len(b.snapshots)-1, 0):], stored[fleet.Snapshot]{*snap, 0, b.s.now})
	for _, r := range b.s.replicas {
		if r.service == plannerName && r.wake != nil && r.generation == b.generation {
			r.wake.wakeAfter(between(r.rng, 2*time.Millisecond, 10*time.Millisecond))
		}
	}
	return b.answer("F70")
}

// latest reads the newest snapshot, or an older one from a replica that lags.
func (b *bus) latest() (stored[fleet.Snapshot], error) {
	if err := b.reach(); err != nil {
		return stored[fleet.Snapshot]{}, err
	}
	n := len(b.snapshots)
	if n == 0 {
		return stored[fleet.Snapshot]{}, fleet.ErrNotFound
	}
	if n > 1 && b.s.hit("F5") {
		return b.snapshots[0], nil
	}
	return b.snapshots[n-1], nil
}

// leaseTTL is how long a lease lasts that is not renewed.
const leaseTTL = 15 * time.Second

// holds takes or renews a lease.
func (b *bus) holds(duty string) bool {
	if b.reach() != nil {
		return false
	}
	if b.s.hit("F3") || b.s.hit("F76") {
		return true // two hold it
	}
	name := b.s.thread.of.owner()
	l, now := b.leases[duty], b.s.now
	if l.holder != name && l.until.After(now) {
		return false
	}
	b.leases[duty] = lease{name, now.Add(leaseTTL)}
	return b.answer("F70") == nil
}
