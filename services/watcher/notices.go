package watcher

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// strangerKept is how long a notice is kept whose instance no sweep has shown: it may be
// one that has yet to appear, or none of ours.
const strangerKept = 30 * time.Minute

// notices are the warnings of EC2 that it is going to take an instance. Each is kept until
// the instance is gone: EC2 says it once and cannot be asked.
type notices struct {
	mu     sync.Mutex
	posted map[fleet.InstanceID]posted
}

type posted struct {
	fleet.Notice
	since   time.Time         // local
	cluster fleet.ClusterName // that the instance was seen in; empty: none yet
}

// post takes a notice in and reports whether it is news. An interruption replaces a mere
// recommendation, never the other way round.
func (n *notices) post(id fleet.InstanceID, notice fleet.Notice, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	known, ok := n.posted[id]
	if ok && (known.Kind == notice.Kind || known.Kind == fleet.NoticeInterruption) {
		return false
	}
	n.posted[id] = posted{Notice: notice, since: now, cluster: known.cluster}
	return true
}

// merge posts what another replica has heard.
func (n *notices) merge(heard map[fleet.InstanceID]fleet.Notice, now time.Time) {
	for id, notice := range heard {
		n.post(id, notice, now)
	}
}

// all returns every notice that is kept.
func (n *notices) all() map[fleet.InstanceID]fleet.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[fleet.InstanceID]fleet.Notice, len(n.posted))
	for id, p := range n.posted {
		all[id] = p.Notice
	}
	return all
}

// of returns the notices for the instances of a cluster, those that another replica has
// heard included, and forgets those whose instance is gone.
func (n *notices) of(cluster fleet.ClusterName, seen snapshot.EC2, heard map[fleet.InstanceID]fleet.Notice) []snapshot.Notice {
	living := make(map[fleet.InstanceID]bool, len(seen.Instances))
	for i := range seen.Instances {
		if seen.Instances[i].State != "terminated" {
			living[fleet.InstanceID(seen.Instances[i].ID)] = true
		}
	}
	now := time.Now()
	for id, notice := range heard {
		if living[id] {
			n.post(id, notice, now)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []snapshot.Notice
	for _, id := range slices.Sorted(maps.Keys(n.posted)) {
		p := n.posted[id]
		switch {
		case living[id]:
			p.cluster = cluster
			n.posted[id] = p
			out = append(out, snapshot.Notice{Instance: id, Kind: p.Kind, At: p.At})
		case p.cluster == cluster && seen.Complete, p.cluster == "" && now.Sub(p.since) > strangerKept:
			delete(n.posted, id)
		}
	}
	return out
}
