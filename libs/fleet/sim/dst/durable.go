package dst

import (
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// ackWait is how long a delivery may go without a sign of life.
const ackWait = 30 * time.Second

// durable is a consumer of plans that the replicas of a service share.
type durable struct {
	b        *bus
	done     map[uint64]bool // acknowledged
	floor    uint64          // all up to here are
	inHand   map[uint64]*delivery
	waiting  []*thread
	attempts map[uint64]int
}

// delivery is a plan in the hands of a process.
type delivery struct {
	to      *replica
	life    int
	expires time.Time
}

func newDurable(b *bus) *durable {
	return &durable{b: b, done: map[uint64]bool{}, inHand: map[uint64]*delivery{}, attempts: map[uint64]int{}}
}

// alive tells the server that a delivery is in good hands, as its process does every few
// seconds while it runs.
func (d *durable) alive(in *delivery) bool {
	if in.to != nil && in.to.run == in.life && !in.to.stopped() {
		in.expires = d.b.s.now.Add(ackWait)
	}
	return in.expires.After(d.b.s.now)
}

// news wakes those who wait for a plan.
func (d *durable) news() {
	for _, t := range d.waiting {
		if !t.over {
			t.wakeAfter(between(t.of.rng, time.Millisecond, 10*time.Millisecond))
		}
	}
	d.waiting = nil
}

// next delivers a plan that nobody has in hand.
func (d *durable) next() (seq uint64, p *fleet.Plan) {
	if d.b.s.hit("F72") {
		return 0, nil // the consumer is slow
	}
	for seq := d.floor + 1; seq <= uint64(len(d.b.plans)); seq++ {
		if d.done[seq] {
			if seq == d.floor+1 {
				d.floor = seq
			}
			continue
		}
		if in := d.inHand[seq]; in != nil && d.alive(in) {
			continue
		}
		t := d.b.s.thread
		d.inHand[seq] = &delivery{t.of, t.of.run, d.b.s.now.Add(ackWait)}
		if d.attempts[seq]++; d.attempts[seq] > 1 {
			d.b.s.count("F31")
		}
		return seq, &d.b.plans[seq-1].value
	}
	return 0, nil
}

// ack ends a delivery, or all of them: a late one is as good as any.
func (d *durable) ack(seq uint64) {
	if d.b.reach() != nil {
		return
	}
	d.done[seq] = true
	delete(d.inHand, seq)
}

// later gives a plan back for a while.
func (d *durable) later(seq uint64, wait time.Duration) {
	d.inHand[seq] = &delivery{expires: d.b.s.now.Add(wait)}
}

// forget is a server that has forgotten some acknowledgements: what was acknowledged last is
// delivered again.
func (d *durable) forget(n int) {
	for seq := uint64(len(d.b.plans)); seq > 0 && n > 0; seq-- {
		if d.done[seq] {
			delete(d.done, seq)
			d.floor = min(d.floor, seq-1)
			n--
		}
	}
	d.news()
}
