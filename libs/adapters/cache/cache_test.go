package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
	"go.uber.org/goleak"

	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type task struct {
	Name  string
	CPU   int64
	Ports []int             `json:"ports,omitempty"`
	Tags  map[string]string `json:"tags,omitempty"`
	Next  *task             `json:"next,omitempty"`
	Since time.Time
}

func webTask() task {
	return task{Name: "web", CPU: 256, Ports: []int{80, 443}, Tags: map[string]string{"a": "ü\n\"b"}, Next: &task{Name: "side"}, Since: time.Unix(1e9, 5).UTC()}
}

// open connects with patience: these tests are about answers, and a loaded
// machine is slow.
func open(t *testing.T, cfg Config) *Cache {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "neap:"
	}
	c, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// backend is a Redis, seen by the cache and by a stranger who meddles with it.
type backend struct {
	*Cache
	stranger *redis.Client
	pass     func(time.Duration) // lets time pass for keys
}

func backends(t *testing.T, test func(t *testing.T, b backend)) {
	t.Run("miniredis", func(t *testing.T) {
		server := miniredis.RunT(t)
		test(t, newBackend(t, "redis://"+server.Addr(), server.FastForward))
	})
	t.Run("redis-server", func(t *testing.T) {
		url := cachetest.StartRedis(t)
		test(t, newBackend(t, url, func(d time.Duration) { <-time.After(d) }))
	})
}

func newBackend(t *testing.T, url string, pass func(time.Duration)) backend {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	stranger := redis.NewClient(options)
	t.Cleanup(func() { _ = stranger.Close() })
	return backend{open(t, Config{URL: url}), stranger, pass}
}

func (b backend) meddle(t *testing.T, cmd ...any) string {
	t.Helper()
	answer, err := b.stranger.Do(t.Context(), cmd...).Result()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	return fmt.Sprint(answer)
}

func wantMiss[T any](t *testing.T, c *Cache, key string) {
	t.Helper()
	if v, ok := Get[T](t.Context(), c, key); ok {
		t.Errorf("%s holds %+v, want a miss", key, v)
	}
}

func wantHit[T any](t *testing.T, c *Cache, key string, want T) {
	t.Helper()
	if v, ok := Get[T](t.Context(), c, key); !ok || !reflect.DeepEqual(v, want) {
		t.Errorf("%s holds %+v, %t, want %+v", key, v, ok, want)
	}
}

func TestContract(t *testing.T) {
	contract := map[string]func(*testing.T, backend){
		"what was set is got": func(t *testing.T, b backend) {
			wantMiss[task](t, b.Cache, "a")
			Set(t.Context(), b.Cache, "a", webTask(), time.Minute)
			got, ok := Get[task](t.Context(), b.Cache, "a")
			if !ok || got.Next.Name != "side" || got.Tags["a"] != "ü\n\"b" || !got.Since.Equal(time.Unix(1e9, 5)) {
				t.Errorf("got %+v, %t", got, ok)
			}
			if keys := b.meddle(t, "KEYS", "*"); keys != "[neap:a]" {
				t.Errorf("keys are %s", keys)
			}
		},
		"nothing is something": func(t *testing.T, b backend) {
			Set(t.Context(), b.Cache, "text", "", time.Minute)
			Set(t.Context(), b.Cache, "list", []int(nil), time.Minute)
			Set(t.Context(), b.Cache, "pointer", (*task)(nil), time.Minute)
			wantHit(t, b.Cache, "text", "")
			wantHit(t, b.Cache, "list", []int(nil))
			wantHit(t, b.Cache, "pointer", (*task)(nil))
		},
		"it ends": func(t *testing.T, b backend) {
			Set(t.Context(), b.Cache, "a", 1, 50*time.Millisecond)
			b.pass(100 * time.Millisecond)
			wantMiss[int](t, b.Cache, "a")
			Set(t.Context(), b.Cache, "b", 1, 0)
			Set(t.Context(), b.Cache, "b", 1, -time.Second)
			wantMiss[int](t, b.Cache, "b")
			Set(t.Context(), b.Cache, "c", 1, time.Minute)
			if ttl := b.meddle(t, "TTL", "neap:c"); ttl != "60" && ttl != "59" {
				t.Errorf("ends in %s s", ttl)
			}
		},
		"another shape is a miss": func(t *testing.T, b backend) {
			type next struct {
				Name string
				CPU  int64
			}
			Set(t.Context(), b.Cache, "a", next{"web", 1}, time.Minute)
			wantMiss[task](t, b.Cache, "a")
			wantMiss[any](t, b.Cache, "a")
			wantHit(t, b.Cache, "a", next{"web", 1})
		},
		"poison is a miss": func(t *testing.T, b backend) {
			Set(t.Context(), b.Cache, "a", webTask(), time.Minute)
			good := b.meddle(t, "GET", "neap:a")
			for name, bad := range map[string]string{
				"empty": "", "newline": "\n", "JSON": `{"Name":"web"}`, "header": good[:strings.Index(good, "\n")+1],
				"torn": good[:len(good)-1], "longer": good + " ", "changed": strings.Replace(good, "256", "255", 1),
				"format": strings.Replace(good, "neap1", "neap2", 1), "binary": "\x00\xff\n\x00",
			} {
				b.meddle(t, "SET", "neap:bad", bad)
				b.meddle(t, "SET", "neap:a", bad)
				if v, ok := Get[task](t.Context(), b.Cache, "a"); ok || v.Name != "" {
					t.Errorf("%s: got %+v, %t", name, v, ok)
				}
			}
			b.meddle(t, "SET", "neap:other", good)
			wantMiss[task](t, b.Cache, "other")
			b.meddle(t, "SET", "neap:a", good)
			wantHit(t, b.Cache, "a", webTask())
		},
		"a foreign value does not open the circuit": func(t *testing.T, b backend) {
			b.meddle(t, "RPUSH", "neap:list", "x")
			Set(t.Context(), b.Cache, "a", 1, time.Minute)
			for range 3 * failuresToOpen {
				wantMiss[int](t, b.Cache, "list")
			}
			got := GetMany[int](t.Context(), b.Cache, []string{"list", "a", "none"})
			if len(got) != 1 || got["a"] != 1 {
				t.Errorf("got %v", got)
			}
			Set(t.Context(), b.Cache, "list", 2, time.Minute)
			wantHit(t, b.Cache, "list", 2)
		},
		"many at once": func(t *testing.T, b backend) {
			values, keys := make(map[string]task), []string{"none", "neither"}
			for i := range 2*batch + 1 {
				key := fmt.Sprint("k", i)
				keys = append(keys, key)
				values[key] = task{CPU: int64(i)}
			}
			SetMany(t.Context(), b.Cache, values, time.Minute)
			got := GetMany[task](t.Context(), b.Cache, keys)
			if len(got) != len(values) {
				t.Errorf("got %d of %d", len(got), len(values))
			}
			for key, v := range got {
				if v.CPU != values[key].CPU {
					t.Errorf("%s is %+v, want %+v", key, v, values[key])
				}
			}
			if got := GetMany[task](t.Context(), b.Cache, nil); len(got) != 0 {
				t.Errorf("no keys brought %v", got)
			}
			SetMany(t.Context(), b.Cache, map[string]task(nil), time.Minute)
		},
		"remembered": func(t *testing.T, b backend) {
			loads := 0
			load := func(context.Context) (task, error) { loads++; return webTask(), nil }
			for range 3 {
				v, err := Remember(t.Context(), b.Cache, "a", time.Minute, load)
				if err != nil || v.Name != "web" {
					t.Fatalf("got %+v, %v", v, err)
				}
			}
			if loads != 1 {
				t.Errorf("loaded %d times", loads)
			}
			wantHit(t, b.Cache, "a", webTask())
		},
		"an error is not remembered": func(t *testing.T, b backend) {
			torn := errors.New("throttled")
			_, err := Remember(t.Context(), b.Cache, "a", time.Minute, func(context.Context) (int, error) { return 7, torn })
			if !errors.Is(err, torn) {
				t.Errorf("got %v", err)
			}
			wantMiss[int](t, b.Cache, "a")
		},
		"what cannot be written is dropped": func(t *testing.T, b backend) {
			SetMany(t.Context(), b.Cache, map[string]any{"bad": func() {}, "good": "x"}, time.Minute)
			wantMiss[any](t, b.Cache, "bad")
			wantHit[any](t, b.Cache, "good", "x")
			Set(t.Context(), b.Cache, "huge", strings.Repeat("x", maxValue), time.Minute)
			wantMiss[string](t, b.Cache, "huge")
		},
		"ping": func(t *testing.T, b backend) {
			if err := b.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		},
	}
	backends(t, func(t *testing.T, b backend) {
		for name, clause := range contract {
			t.Run(name, func(t *testing.T) {
				b.meddle(t, "FLUSHALL") // which is a fault of its own: F80
				clause(t, b)
			})
		}
	})
}

func TestOffIsAllMisses(t *testing.T) {
	byConfig := open(t, Config{})
	for name, c := range map[string]*Cache{"off": Off(), "nil": nil, "no URL": byConfig} {
		t.Run(name, func(t *testing.T) {
			Set(t.Context(), c, "a", 1, time.Minute)
			wantMiss[int](t, c, "a")
			if got := GetMany[int](t.Context(), c, []string{"a"}); got == nil || len(got) != 0 {
				t.Errorf("got %v", got)
			}
			v, err := Remember(t.Context(), c, "a", time.Minute, func(context.Context) (int, error) { return 2, nil })
			if v != 2 || err != nil {
				t.Errorf("got %d, %v", v, err)
			}
			if err := errors.Join(c.Ping(t.Context()), c.Close(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRememberSharesOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Off()
		var loads atomic.Int32
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() {
				v, err := Remember(t.Context(), c, "a", time.Minute, func(context.Context) (string, error) {
					loads.Add(1)
					time.Sleep(time.Second)
					return "v", nil
				})
				if v != "v" || err != nil {
					t.Errorf("got %q, %v", v, err)
				}
			})
		}
		synctest.Wait()
		// Another type under the same key is another load.
		callers.Go(func() {
			if v, err := Remember(t.Context(), c, "a", time.Minute, func(context.Context) (int, error) { return 1, nil }); v != 1 || err != nil {
				t.Errorf("got %d, %v", v, err)
			}
		})
		callers.Wait()
		if n := loads.Load(); n != 1 {
			t.Errorf("loaded %d times", n)
		}
	})
}

// The caller who happens to lead may give up; those who wait with it have not.
func TestRememberOutlivesItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Off()
		var loads atomic.Int32
		load := func(ctx context.Context) (string, error) {
			loads.Add(1)
			select {
			case <-time.After(time.Second):
				return "v", nil
			case <-ctx.Done():
				return "", fmt.Errorf("describe: %w", ctx.Err())
			}
		}
		var callers sync.WaitGroup
		leader, cancel := context.WithCancel(t.Context())
		callers.Go(func() {
			if _, err := Remember(leader, c, "a", time.Minute, load); err == nil || err.Error() != "describe: context canceled" {
				t.Errorf("the leader got %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			callers.Go(func() {
				if v, err := Remember(t.Context(), c, "a", time.Minute, load); v != "v" || err != nil {
					t.Errorf("a follower got %q, %v", v, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		callers.Wait()
		if n := loads.Load(); n != 2 {
			t.Errorf("loaded %d times, want once for the leader and once for all others", n)
		}
	})
}

// A load that runs into its own deadline fails for all who wait, once.
func TestRememberSharesTheLoadsOwnTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Off()
		var loads atomic.Int32
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				_, err := Remember(t.Context(), c, "a", time.Minute, func(context.Context) (int, error) {
					loads.Add(1)
					time.Sleep(time.Second)
					return 0, context.DeadlineExceeded
				})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		}
		callers.Wait()
		if n := loads.Load(); n != 1 {
			t.Errorf("loaded %d times", n)
		}
	})
}

func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &Cache{timeout: 100 * time.Millisecond, log: slog.New(slog.NewTextHandler(&log, nil))}
		c.breaker = c.newBreaker()
		calls, slow := 0, true
		call := func(ctx context.Context) error {
			calls++
			if slow {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		ask := func() (time.Duration, error) {
			begun := time.Now()
			err := c.do(t.Context(), call)
			return time.Since(begun), err
		}
		for range failuresToOpen {
			if took, err := ask(); err == nil || took != c.timeout {
				t.Errorf("closed: %v after %s", err, took)
			}
		}
		for range 1000 {
			if took, err := ask(); !errors.Is(err, gobreaker.ErrOpenState) || took != 0 || unanswered(err) != skipped {
				t.Fatalf("open: %v after %s", err, took)
			}
		}
		time.Sleep(openFor + time.Millisecond)
		if took, _ := ask(); took != c.timeout || calls != failuresToOpen+1 {
			t.Errorf("half open: one call should have tried, took %s, %d calls", took, calls)
		}
		if took, _ := ask(); took != 0 {
			t.Errorf("open again: took %s", took)
		}
		time.Sleep(openFor + time.Millisecond)
		slow = false
		for range 10 {
			if _, err := ask(); err != nil {
				t.Errorf("closed again: %v", err)
			}
		}
		if n := strings.Count(log.String(), "to=open"); n != 2 {
			t.Errorf("logged %d openings:\n%s", n, &log)
		}
	})
}

// Callers who give up say nothing about Redis.
func TestCircuitIgnoresCallersWhoGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Cache{timeout: time.Second, log: slog.New(slog.DiscardHandler)}
		c.breaker = c.newBreaker()
		for range 10 * failuresToOpen {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_ = c.do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			cancel()
		}
		if s := c.breaker.State(); s != gobreaker.StateClosed {
			t.Errorf("the circuit is %s", s)
		}
	})
}
