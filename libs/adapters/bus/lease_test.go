package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/fleet"
)

// shortLease is long enough that a busy machine does not miss three renewals.
const shortLease = 3 * time.Second

// shortLeases is a server whose leases expire soon.
func shortLeases(t *testing.T) string {
	t.Helper()
	url := bustest.Bare(t)
	err := bus.Bootstrap(t.Context(), bus.Config{URL: url}, bus.BootstrapOptions{MaxBytes: bustest.MaxBytes, LeaseTTL: shortLease})
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func lease(t *testing.T, b *bus.Bus, holder string) *bus.Lease {
	t.Helper()
	l, err := b.Lease(t.Context(), "plan.web", holder)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// hold runs until its context ends and notes when it began and ended.
func hold(who string, log *box[string]) func(context.Context) error {
	return func(ctx context.Context) error {
		log.add(who + " began")
		<-ctx.Done()
		log.add(who + " ended")
		return nil
	}
}

// One works while the other waits, for longer than a lease lasts by itself; when the first is told
// to stop, the second takes over at once.
func TestLeaseHandOver(t *testing.T) {
	t.Parallel()
	url := shortLeases(t)
	a, b := bustest.Connect(t, bus.Config{URL: url}), bustest.Connect(t, bus.Config{URL: url})
	var log box[string]
	first := lease(t, a, "a")
	stop := background(t, func(ctx context.Context) error { return first.Hold(ctx, hold("a", &log)) })
	eventually(t, "a to begin", func() bool { return log.len() == 1 })
	second := lease(t, b, "b")
	background(t, func(ctx context.Context) error { return second.Hold(ctx, hold("b", &log)) })

	<-time.After(shortLease * 4 / 3)
	if got := log.all(); len(got) != 1 {
		t.Fatalf("while a holds the lease: %v", got)
	}
	if holder, err := second.Holder(t.Context()); err != nil || holder != "a" {
		t.Errorf("held by %q, %v", holder, err)
	}
	stop()
	eventually(t, "b to begin", func() bool { return log.len() == 3 })
	if got := log.all(); got[1] != "a ended" || got[2] != "b began" {
		t.Errorf("%v", got)
	}
}

// A holder that is cut off stops by itself, and the lease goes to another when it expires.
func TestLeaseExpires(t *testing.T) {
	t.Parallel()
	url := shortLeases(t)
	a, b := bustest.Connect(t, bus.Config{URL: url}), bustest.Connect(t, bus.Config{URL: url})
	var log box[string]
	first, second := lease(t, a, "a"), lease(t, b, "b")
	stop := background(t, func(ctx context.Context) error { return first.Hold(ctx, hold("a", &log)) })
	eventually(t, "a to begin", func() bool { return log.len() == 1 })
	background(t, func(ctx context.Context) error { return second.Hold(ctx, hold("b", &log)) })
	a.Close()
	eventually(t, "a to give up and b to take over", func() bool { return log.len() == 3 })
	stop()
}

// A lease that somebody else has taken ends the work.
func TestLeaseStolen(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, bus.Config{URL: shortLeases(t)})
	var log box[string]
	l := lease(t, b, "a")
	background(t, func(ctx context.Context) error { return l.Hold(ctx, hold("a", &log)) })
	eventually(t, "a to begin", func() bool { return log.len() == 1 })
	kv, err := b.JetStream().KeyValue(t.Context(), "neap-1-lease")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "plan.web", "thief"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a to end, and to begin again when the thief's lease is over", func() bool { return log.len() >= 3 })
	if got := log.all(); got[1] != "a ended" || got[2] != "a began" {
		t.Errorf("%v", got)
	}
}

// Work that ends by itself gives the lease back and its result on.
func TestLeaseReturned(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t) // a lease of 15 s: without a release the second turn would not come in time
	over := errors.New("over")
	for range 2 {
		if err := lease(t, b, "a").Hold(t.Context(), func(context.Context) error { return over }); !errors.Is(err, over) {
			t.Fatalf("%v", err)
		}
	}
	if holder, err := lease(t, b, "a").Holder(t.Context()); err != nil || holder != "" {
		t.Errorf("held by %q, %v", holder, err)
	}
	for _, bad := range []string{"", "a..b", "a.*", "a b"} {
		if _, err := b.Lease(t.Context(), bad, "a"); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("lease %q: %v", bad, err)
		}
	}
}

// Three replicas divide thirty clusters; one leaves, and the others take over its share
// and keep their own.
func TestShare(t *testing.T) {
	t.Parallel()
	url := shortLeases(t)
	var clusters []fleet.ClusterName
	for i := range 30 {
		clusters = append(clusters, fleet.ClusterName(fmt.Sprint("c-", i)))
	}
	var mu sync.Mutex
	at := map[fleet.ClusterName]map[string]bool{}
	moves := map[fleet.ClusterName]int{}
	var leave [3]func()
	for i := range leave {
		b := bustest.Connect(t, bus.Config{URL: url})
		name := fmt.Sprintf("planner.%d", i) // any text will do
		leave[i] = background(t, func(ctx context.Context) error {
			return b.Share(ctx, bus.Duty{Name: "plan", Holder: name, Clusters: clusters, Work: func(ctx context.Context, c fleet.ClusterName) error {
				mu.Lock()
				if at[c] == nil {
					at[c] = map[string]bool{}
				}
				at[c][name] = true
				moves[c]++
				if len(at[c]) > 1 {
					t.Errorf("%s is with %v", c, at[c])
				}
				mu.Unlock()
				<-ctx.Done()
				mu.Lock()
				defer mu.Unlock()
				delete(at[c], name)
				return nil
			}})
		})
	}
	shares := func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		n := map[string]int{}
		for _, holders := range at {
			for h := range holders {
				n[h]++
				n["all"]++
			}
		}
		return n
	}
	eventually(t, "each cluster to be where it belongs", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range clusters {
			if !at[c][bus.Chosen(c, []string{"planner.0", "planner.1", "planner.2"})] {
				return false
			}
		}
		return true
	})
	before := shares()
	mu.Lock()
	clear(moves)
	mu.Unlock()
	leave[1]()
	eventually(t, "the others to take over", func() bool { s := shares(); return s["all"] == 30 && len(s) == 3 })
	mu.Lock()
	defer mu.Unlock()
	if len(moves) != before["planner.1"] {
		t.Errorf("%d clusters moved, %d had to", len(moves), before["planner.1"])
	}
}

// Without a list of clusters it is those that have a policy; the policy is known before
// the work begins, and work ends when the policy goes.
func TestShareFollowsPolicies(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, bus.Config{URL: shortLeases(t)})
	if _, err := b.Control().ApplyPolicy(t.Context(), "web", policy(10), nil); err != nil {
		t.Fatal(err)
	}
	var log box[string]
	background(t, func(ctx context.Context) error {
		return b.Share(ctx, bus.Duty{
			Name: "watch", Holder: "w-0",
			Policy: func(_ context.Context, p bus.PolicyChange) {
				log.add(fmt.Sprintf("%s %d %t", p.Cluster, p.Policy.Limits.MaxInstances, p.Removed))
			},
			Work: func(ctx context.Context, c fleet.ClusterName) error { return hold(string(c), &log)(ctx) },
		})
	})
	says := func(words ...string) func() bool {
		return func() bool { return strings.Join(log.all(), ", ") == strings.Join(words, ", ") }
	}
	steps := []string{"web 10 false", "web began"}
	eventually(t, strings.Join(steps, ", "), says(steps...))
	if _, err := b.Control().ApplyPolicy(t.Context(), "web", policy(20), nil); err != nil {
		t.Fatal(err)
	}
	steps = append(steps, "web 20 false")
	eventually(t, strings.Join(steps, ", "), says(steps...))
	if err := b.Control().RemovePolicy(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	steps = append(steps, "web 0 true", "web ended")
	eventually(t, strings.Join(steps, ", "), says(steps...))
}

func TestShareEndsWithAnError(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, bus.Config{URL: shortLeases(t)})
	broken := errors.New("broken")
	err := b.Share(t.Context(), bus.Duty{
		Name: "watch", Holder: "w-0", Clusters: []fleet.ClusterName{"web", "batch"},
		Work: func(ctx context.Context, c fleet.ClusterName) error {
			if c == "web" {
				return broken
			}
			<-ctx.Done()
			return nil
		},
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "watch web") {
		t.Errorf("%v", err)
	}
}
