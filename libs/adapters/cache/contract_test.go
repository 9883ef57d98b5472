package cache

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim/dst"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// shelf is what the contracts ask of a cache: of the real one, and of the one that the
// simulation plays with.
type shelf interface {
	remember(id fleet.InstanceID)
	remembered(id fleet.InstanceID) bool
	flush(t *testing.T)
	poison(t *testing.T)
	stop(t *testing.T)
}

// contracts are what Neap relies on: that a cache gives what was put into it or nothing, and
// never an error or something else.
var contracts = map[string]func(*testing.T, shelf){
	"what was put is there": func(t *testing.T, s shelf) {
		s.remember("i-1")
		if !s.remembered("i-1") || s.remembered("i-2") {
			t.Errorf("i-1 %t, i-2 %t", s.remembered("i-1"), s.remembered("i-2"))
		}
	},
	"after a flush nothing is": func(t *testing.T, s shelf) {
		s.remember("i-1")
		s.flush(t)
		if s.remembered("i-1") {
			t.Error("it is there after a flush")
		}
		s.remember("i-1")
		if !s.remembered("i-1") {
			t.Error("after a flush nothing is kept any more")
		}
	},
	"a value that was spoiled is none": func(t *testing.T, s shelf) {
		s.remember("i-1")
		s.poison(t)
		if s.remembered("i-1") {
			t.Error("it is read though it was spoiled")
		}
	},
	"one that is down has nothing and takes nothing": func(t *testing.T, s shelf) {
		s.remember("i-1")
		s.stop(t)
		s.remember("i-2")
		if s.remembered("i-1") || s.remembered("i-2") {
			t.Errorf("i-1 %t, i-2 %t, though it is down", s.remembered("i-1"), s.remembered("i-2"))
		}
	},
}

// TestContracts asks the same of the simulated cache and of a real redis-server.
func TestContracts(t *testing.T) {
	for name, open := range map[string]func(*testing.T) shelf{"simulated": openSimulated, "redis-server": openServer} {
		t.Run(name, func(t *testing.T) {
			for name, check := range contracts {
				t.Run(name, func(t *testing.T) { check(t, open(t)) })
			}
		})
	}
}

// simulated is the cache of package dst.
type simulated struct{ *dst.Alone }

func openSimulated(*testing.T) shelf { return simulated{dst.NewAlone(1)} }

func (s simulated) remember(id fleet.InstanceID) {
	s.As("watcher", func(p *dst.Process) { p.Remember(snapshot.Notice{Instance: id}) })
}

func (s simulated) remembered(id fleet.InstanceID) (yes bool) {
	s.As("watcher", func(p *dst.Process) { yes = p.Remembered(id) })
	return yes
}

func (s simulated) flush(*testing.T)  { s.Flush() }
func (s simulated) poison(*testing.T) { s.Fault("F83", time.Minute) }
func (s simulated) stop(*testing.T)   { s.Fault("F79", time.Minute) }

// actual is a real redis-server. Notices lie in it as those of the watcher do: all in one value.
type actual struct {
	*Cache
	server *cachetest.Server
}

func openServer(t *testing.T) shelf {
	server := cachetest.Start(t)
	return actual{open(t, Config{URL: server.URL}), server}
}

func (s actual) notices() map[fleet.InstanceID]fleet.Notice {
	v, _ := Get[map[fleet.InstanceID]fleet.Notice](context.Background(), s.Cache, "notices")
	return v
}

func (s actual) remember(id fleet.InstanceID) {
	all := s.notices()
	if all == nil {
		all = map[fleet.InstanceID]fleet.Notice{}
	}
	all[id] = fleet.Notice{Kind: fleet.NoticeInterruption}
	Set(context.Background(), s.Cache, "notices", all, time.Hour)
}

func (s actual) remembered(id fleet.InstanceID) bool {
	_, yes := s.notices()[id]
	return yes
}

func (s actual) flush(t *testing.T) {
	s.raw(t, func(c *redis.Client) error { return c.FlushAll(t.Context()).Err() })
}

func (s actual) poison(t *testing.T) {
	s.raw(t, func(c *redis.Client) error { return c.SetRange(t.Context(), "neap:notices", 12, "spoiled").Err() })
}

func (s actual) stop(*testing.T) { s.server.Stop() }

// raw does something to the server behind the back of the cache.
func (s actual) raw(t *testing.T, do func(*redis.Client) error) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.server.Addr})
	defer c.Close()
	if err := do(c); err != nil {
		t.Fatal(err)
	}
}
