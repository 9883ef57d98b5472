package dst

import (
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// events is the queue in which EventBridge puts what EC2 warns of. Events may be lost, come
// twice, and late.
type events struct {
	s       *system
	queue   []snapshot.Notice
	waiting []*thread
}

// happened hears what happens in the world, in the middle of it.
func (e *events) happened(entry sim.Entry) {
	if entry.Kind != sim.EntrySpot {
		return
	}
	kind := fleet.NoticeInterruption
	if strings.Contains(entry.What, "rebalance") {
		kind = fleet.NoticeRebalance
	}
	n := snapshot.Notice{Instance: fleet.InstanceID(entry.ID), Kind: kind, At: entry.At}
	late, copies := time.Second, 1
	if e.s.hit("F12") {
		late, copies = 40*time.Second, int(n.At.UnixNano()/int64(time.Millisecond)%3) // none, one or two
	}
	for range copies {
		e.s.after(late, func() { e.put(n) })
	}
}

func (e *events) put(n snapshot.Notice) {
	e.queue = append(e.queue, n)
	for _, t := range e.waiting {
		if !t.over {
			t.wakeAfter(time.Millisecond)
		}
	}
	e.waiting = nil
}

// wait lets a watcher wait for messages, as long as SQS lets it.
func (e *events) wait(t *thread) {
	if len(e.queue) == 0 {
		e.waiting = append(e.waiting, t)
	}
	const longPoll = 20 * time.Second
	t.sleep(longPoll)
}

// receive takes the messages out of the queue.
func (e *events) receive() []snapshot.Notice {
	got := e.queue
	e.queue = nil
	return got
}
