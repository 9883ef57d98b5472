package bus_test

import (
	"context"
	"encoding/json"
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

func TestRedButton(t *testing.T) {
	url := bustest.Start(t)
	person, service := bustest.Connect(t, bus.Config{URL: url}), bustest.Connect(t, bus.Config{URL: url})
	c := person.Control()
	for _, step := range []struct {
		what    string
		do      func() error
		web     bool
		batch   bool
		because string
	}{
		{"at first", func() error { return nil }, false, false, ""},
		{"pause web", func() error { return c.Pause(t.Context(), "web", "ann", "odd launches") }, true, false, "odd launches"},
		{"pause all", func() error { return c.Pause(t.Context(), bus.AllClusters, "bob", "outage") }, true, true, "outage"},
		{"resume web", func() error { return c.Resume(t.Context(), "web", "ann", "understood") }, true, true, "outage"},
		{"resume all", func() error { return c.Resume(t.Context(), bus.AllClusters, "bob", "over") }, false, false, ""},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		for cluster, want := range map[fleet.ClusterName]bool{"web": step.web, "batch": step.batch} {
			pause, err := service.Control().Paused(t.Context(), cluster)
			if err != nil || pause.Paused() != want || pause.Why != step.because && cluster == "web" {
				t.Errorf("%s: %s is paused: %+v, %v; want %t", step.what, cluster, pause, err, want)
			}
		}
	}
	for name, err := range map[string]error{
		"no reason": c.Pause(t.Context(), "web", "ann", ""),
		"no name":   c.Resume(t.Context(), "web", "", "why not"),
		"hostile":   c.Pause(t.Context(), "web.*", "ann", "x"),
	} {
		if !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without the bucket, or with its state gone, nobody may believe that all is well.
func TestControlThatIsLost(t *testing.T) {
	url := bustest.Start(t)
	b := bustest.Connect(t, bus.Config{URL: url})
	appendPlan(t, b, planFor(t, "web", 1, "", "a"), 0)
	if err := b.JetStream().DeleteStream(t.Context(), "KV_neap-control"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Control().Paused(t.Context(), "web"); !errors.Is(err, bus.ErrTopology) {
		t.Errorf("without the bucket: %v", err)
	}
	if err := b.Ready(t.Context()); !errors.Is(err, bus.ErrTopology) {
		t.Errorf("ready without the bucket: %v", err)
	}
	if _, err := bus.Open(t.Context(), bus.Config{URL: url}); !errors.Is(err, bus.ErrTopology) {
		t.Errorf("open without the bucket: %v", err)
	}
	if err := bus.Bootstrap(t.Context(), bus.Config{URL: url}, bus.BootstrapOptions{MaxBytes: bustest.MaxBytes}); err != nil {
		t.Fatal(err)
	}
	again := bustest.Connect(t, bus.Config{URL: url})
	if pause, err := again.Control().Paused(t.Context(), "web"); err != nil || !pause.Paused() || again.Generation() != 1 {
		t.Errorf("after the bucket was made anew: %+v, %v, generation %d; want paused", pause, err, again.Generation())
	}
	kv, err := b.JetStream().KeyValue(t.Context(), "neap-control")
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Purge(t.Context(), "pause"); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Control().Paused(t.Context(), "web"); err == nil {
		t.Error("the button's state is gone and the cluster counts as running")
	}
	if _, err := kv.PutString(t.Context(), "pause", "{"); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Control().Paused(t.Context(), "web"); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("unreadable button: %v", err)
	}
}

func policy(most int) fleet.Policy {
	return fleet.Policy{
		APIVersion: fleet.PolicyAPIVersion, Limits: fleet.Limits{MaxInstances: most},
		LaunchSpecs: []fleet.LaunchSpec{{
			Name: "default", Images: []string{"ami-0123456789abcdef0"}, Subnets: []fleet.SubnetID{"subnet-1"},
			SecurityGroups: []string{"sg-1"}, InstanceProfile: "ecsInstanceRole",
		}},
	}
}

func TestPolicies(t *testing.T) {
	b := bustest.Open(t)
	c := b.Control()
	if _, _, err := c.Policy(t.Context(), "web"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("no policy: %v", err)
	}
	var changes box[bus.PolicyChange]
	background(t, func(ctx context.Context) error {
		return c.WatchPolicies(ctx, func(_ context.Context, p bus.PolicyChange) error { changes.add(p); return nil })
	})
	for i, max := range []int{10, 20, 30} {
		source := fmt.Appendf(nil, "# %d\nlimits: {maxInstances: %d}\n", i, max)
		if _, err := c.ApplyPolicy(t.Context(), "web", policy(max), source); err != nil {
			t.Fatal(err)
		}
	}
	wrong, foreign := policy(0), policy(5)
	foreign.Cluster = "batch"
	for name, p := range map[string]fleet.Policy{"no maximum": wrong, "for another cluster": foreign} {
		if _, err := c.ApplyPolicy(t.Context(), "web", p, nil); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, revision, err := c.Policy(t.Context(), "web")
	if err != nil || got.Limits.MaxInstances != 30 || revision == 0 || got.Drain.OnTimeout != fleet.TimeoutStop {
		t.Errorf("policy at %d: %+v, %v; want the last good one with its defaults", revision, got.Limits, err)
	}
	source, err := c.PolicySource(t.Context(), "web")
	if err != nil || !strings.HasPrefix(string(source.Source), "# 2") {
		t.Errorf("source %q, %v", source.Source, err)
	}
	history, err := c.PolicyHistory(t.Context(), "web")
	if err != nil || len(history) != 3 || history[0].Policy.Limits.MaxInstances != 10 || history[2].Revision != revision {
		t.Errorf("history of %d revisions, %v", len(history), err)
	}
	if _, err := c.ApplyPolicy(t.Context(), "batch", policy(1), nil); err != nil {
		t.Fatal(err)
	}
	kv, err := b.JetStream().KeyValue(t.Context(), "neap-control")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "policy.broken", `{"policy":{"limits":{"maxInstances":"many"}}}`); err != nil {
		t.Fatal(err)
	}
	if names, err := c.Clusters(t.Context()); err != nil || fmt.Sprint(names) != "[batch broken web]" {
		t.Errorf("clusters %v, %v", names, err)
	}
	if err := c.RemovePolicy(t.Context(), "batch"); err != nil {
		t.Fatal(err)
	}
	if names, err := c.Clusters(t.Context()); err != nil || fmt.Sprint(names) != "[broken web]" {
		t.Errorf("clusters %v, %v", names, err)
	}
	eventually(t, "the watcher", func() bool { return changes.len() >= 3 && changes.all()[changes.len()-1].Removed })
	all := changes.all()
	if last := all[len(all)-1]; last.Cluster != "batch" {
		t.Errorf("removed %s", last.Cluster)
	}
	broken := 0
	for _, p := range all {
		if p.Err != nil {
			broken++
			if p.Cluster != "broken" || !errors.Is(p.Err, fleet.ErrInvalid) {
				t.Errorf("%s: %v", p.Cluster, p.Err)
			}
		}
	}
	if broken != 1 {
		t.Errorf("%d unreadable policies reported", broken)
	}
}

func TestProtect(t *testing.T) {
	c := bustest.Open(t).Control()
	if err := c.Protect(t.Context(), "web", "i-1", bus.Protection{By: "ann", Why: "debugging"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Protect(t.Context(), "webx", "i-2", bus.Protection{By: "ann", Why: "debugging"}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Protected(t.Context(), "web")
	if err != nil || len(got) != 1 || got["i-1"] != "ann: debugging" {
		t.Errorf("%v, %v", got, err)
	}
	for range 2 {
		if err := c.Unprotect(t.Context(), "web", "i-1"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.Protected(t.Context(), "web"); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if err := c.Protect(t.Context(), "web", "i-1.>", bus.Protection{By: "ann", Why: "x"}); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("hostile instance ID: %v", err)
	}
}

// TestProtectUntil: a protection ends by itself, and one that is over before it begins is
// refused.
func TestProtectUntil(t *testing.T) {
	c := bustest.Open(t).Control()
	soon := time.Now().Add(time.Second)
	if err := c.Protect(t.Context(), "web", "i-1", bus.Protection{By: "ann", Why: "debugging", Until: soon}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Protected(t.Context(), "web")
	if want := "ann: debugging, until " + soon.UTC().Format(time.RFC3339); err != nil || got["i-1"] != want {
		t.Errorf("%v, %v; want %q", got, err, want)
	}
	for time.Now().Before(soon.Add(time.Minute)) {
		if got, err = c.Protected(t.Context(), "web"); err != nil || len(got) == 0 {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	if err != nil || len(got) != 0 || time.Now().Before(soon) {
		t.Errorf("at %s: %v, %v", time.Now(), got, err)
	}
	if err := c.Protect(t.Context(), "web", "i-1", bus.Protection{By: "ann", Why: "x", Until: time.Now()}); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("over already: %v", err)
	}
}

func TestLedger(t *testing.T) {
	url := bustest.Start(t)
	b := bustest.Connect(t, bus.Config{URL: url})
	l := b.Ledger()
	id := planFor(t, "web", 1, "", "a").Actions[0].ID
	if _, err := l.Get(t.Context(), "web", id); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("nothing there: %v", err)
	}
	revision, err := l.Create(t.Context(), "web", id, []byte(`{"state":"claimed"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Create(t.Context(), "web", id, []byte(`{}`)); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("created twice: %v", err)
	}
	second, err := l.Update(t.Context(), "web", id, []byte(`{"state":"calling"}`), revision)
	if err != nil || second <= revision {
		t.Fatalf("revision %d after %d: %v", second, revision, err)
	}
	if _, err := l.Update(t.Context(), "web", id, []byte(`{}`), revision); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("updated from an old revision: %v", err)
	}
	e, err := l.Get(t.Context(), "web", id)
	var record struct{ State string }
	if err != nil || e.Revision != second || e.Decode(&record) != nil || record.State != "calling" {
		t.Errorf("%+v %+v, %v", e, record, err)
	}
	if _, err := l.Create(t.Context(), "webx", id, []byte(`[`)); err != nil {
		t.Fatal(err)
	}
	list, err := l.List(t.Context(), "web")
	if err != nil || len(list) != 1 || list[0].Action != id || list[0].Cluster != "web" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := l.List(t.Context(), "nobody"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if e, err := l.Get(t.Context(), "webx", id); err != nil || !errors.Is(e.Decode(&record), fleet.ErrInvalid) {
		t.Errorf("broken JSON was decoded: %v", err)
	}
	for _, bad := range []fleet.ActionID{"", "a.b", ">", "a b"} {
		if _, err := l.Create(t.Context(), "web", bad, nil); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("action %q: %v", bad, err)
		}
	}
	var seen box[uint64]
	background(t, func(ctx context.Context) error {
		return l.Watch(ctx, "", func(_ context.Context, e bus.Entry) error { seen.add(e.Revision); return nil })
	})
	eventually(t, "both records", func() bool { return seen.len() == 2 })
	third, err := l.Update(t.Context(), "web", id, []byte(`{}`), second)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change", func() bool { all := seen.all(); return all[len(all)-1] == third })
}

// Of eight workers that claim an action from the same revision, one gets it.
func TestLedgerContention(t *testing.T) {
	b := bustest.Open(t)
	id := planFor(t, "web", 1, "", "a").Actions[0].ID
	revision := uint64(0)
	for round := range 30 {
		var won box[uint64]
		var all sync.WaitGroup
		for worker := range 8 {
			value, err := json.Marshal(map[string]int{"worker": worker})
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				var next uint64
				var err error
				if round == 0 {
					next, err = b.Ledger().Create(t.Context(), "web", id, value)
				} else {
					next, err = b.Ledger().Update(t.Context(), "web", id, value, revision)
				}
				switch {
				case err == nil:
					won.add(next)
				case !errors.Is(err, fleet.ErrConflict):
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		all.Wait()
		if won.len() != 1 {
			t.Fatalf("round %d: %d winners", round, won.len())
		}
		revision = won.all()[0]
	}
}
