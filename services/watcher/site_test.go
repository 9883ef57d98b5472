package watcher

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

func newSite(swept time.Time) *site {
	return &site{cluster: web, wake: make(chan struct{}, 1), held: true, swept: swept, said: map[string]string{}, detail: map[string]string{}}
}

// TestABurstOfEventsIsOneSweep: however many events come, the cluster is swept once, soon,
// and not within the gap of the sweep before.
func TestABurstOfEventsIsOneSweep(t *testing.T) {
	for _, c := range []struct {
		name string
		ago  time.Duration // since the last sweep
		want time.Duration // until the next one
	}{
		{"after a while", time.Minute, settle},
		{"just after a sweep", 100 * time.Millisecond, 900 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(time.Now().Add(-c.ago))
			began := time.Now()
			for range 500 {
				s.poke(time.Second)
			}
			<-s.wake
			if took := time.Since(began); took != c.want {
				t.Errorf("%s: swept after %s, want %s", c.name, took, c.want)
			}
			time.Sleep(time.Minute)
			select {
			case <-s.wake:
				t.Errorf("%s: swept a second time for the same burst", c.name)
			default:
			}
		})
	}
}

func TestNoEventWakesASiteThatIsNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(time.Time{})
		s.poke(time.Second)
		s.close()
		s.poke(time.Second)
		time.Sleep(time.Minute)
		if len(s.wake) != 0 {
			t.Error("an event woke a site whose lease is gone")
		}
	})
}

func TestNeverOlderThanBefore(t *testing.T) {
	s := newSite(time.Time{})
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	s.keep(&fleet.Snapshot{ReadStartedAt: now})
	if s.newer(&fleet.Snapshot{ReadStartedAt: now.Add(-time.Second)}) {
		t.Error("a snapshot that was read before the last one would be published")
	}
	if !s.newer(&fleet.Snapshot{ReadStartedAt: now}) {
		t.Error("a snapshot that was read in the same second would not be published")
	}
}

func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now()
		rebalance := fleet.Notice{Kind: fleet.NoticeRebalance, At: at}
		interruption := fleet.Notice{Kind: fleet.NoticeInterruption, At: at.Add(time.Minute)}
		living := func(ids ...string) snapshot.EC2 {
			e := snapshot.EC2{Read: snapshot.Read{Complete: true}}
			for _, id := range ids {
				e.Instances = append(e.Instances, snapshot.EC2Instance{ID: id, State: "running"})
			}
			return e
		}
		n := &notices{posted: map[fleet.InstanceID]posted{}}
		want := func(when string, got []snapshot.Notice, ids ...fleet.InstanceID) {
			t.Helper()
			var have []fleet.InstanceID
			for _, g := range got {
				have = append(have, g.Instance)
			}
			if !reflect.DeepEqual(have, ids) {
				t.Errorf("%s: notices for %v, want %v", when, have, ids)
			}
		}
		if !n.post("i-1", rebalance, at) || n.post("i-1", rebalance, at) {
			t.Error("the first notice is news, the same again is none")
		}
		if !n.post("i-1", interruption, at) || n.post("i-1", rebalance, at) {
			t.Error("an interruption is graver than a recommendation, not the other way round")
		}
		n.post("i-2", rebalance, at)
		want("both are there", n.of(web, living("i-1", "i-2"), nil), "i-1", "i-2")
		want("another cluster", n.of("other", living("i-9"), nil))
		want("from another replica", n.of("other", living("i-9"), map[fleet.InstanceID]fleet.Notice{"i-9": rebalance, "i-8": rebalance}), "i-9")
		partly := living("i-1")
		partly.Complete = false
		want("i-2 was not read", n.of(web, partly, nil), "i-1")
		want("it is there after all", n.of(web, living("i-1", "i-2"), nil), "i-1", "i-2")
		want("i-2 is gone", n.of(web, living("i-1"), nil), "i-1")
		want("and stays forgotten", n.of(web, living("i-1", "i-2"), nil), "i-1")

		n.post("i-7", interruption, time.Now()) // of an instance that nobody knows
		time.Sleep(strangerKept / 2)
		n.of(web, living("i-1"), nil)
		if _, ok := n.all()["i-7"]; !ok {
			t.Error("the notice of an instance that may yet appear is forgotten")
		}
		time.Sleep(strangerKept)
		n.of(web, living("i-1"), nil)
		if _, ok := n.all()["i-7"]; ok {
			t.Error("the notice of a stranger is kept for ever")
		}
	})
}

func TestDisown(t *testing.T) {
	tags := func(owner string) []snapshot.Tag {
		return []snapshot.Tag{{Key: fleet.TagOwner, Value: owner}, {Key: fleet.TagCluster, Value: "web"}, {Key: fleet.TagAction, Value: "a"}}
	}
	instances := []snapshot.EC2Instance{{ID: "i-1", Tags: tags("neap")}, {ID: "i-2", Tags: tags("staging")}, {ID: "i-3"}}
	disown(instances, "neap")
	if len(instances[0].Tags) != 3 {
		t.Errorf("our own instance lost tags: %v", instances[0].Tags)
	}
	if want := []snapshot.Tag{{Key: fleet.TagCluster, Value: "web"}}; !reflect.DeepEqual(instances[1].Tags, want) {
		t.Errorf("another installation's instance keeps %v, want %v: it is in the cluster and not ours", instances[1].Tags, want)
	}
}

// TestDetailIsWrittenWhenItChanges, and again before what was written expires.
func TestDetailIsWrittenWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(time.Time{})
		if !s.news("k", 1) || s.news("k", 1) || !s.news("k", 2) {
			t.Error("a value is news when it is new or another one")
		}
		time.Sleep(detailKept / 3)
		if !s.news("k", 2) {
			t.Error("a value that does not change would expire")
		}
	})
}
