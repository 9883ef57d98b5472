package sim

import (
	"testing"
	"time"
)

const managedCluster = `
cluster web
task web cpu 1024 memory 1024
group web type m7i.large max 100
provider asg group web managed
service web task web desired 0 provider asg
`

// groupSize is how many instances of a group count, and how many of them have tasks.
func groupSize(w *World, name string) (count, busy int) {
	for _, m := range w.groupNamed(name).counted() {
		count++
		if m.busy() {
			busy++
		}
	}
	return count, busy
}

// TestManagedScaleOut follows ECS cluster auto scaling from nothing (ECS Developer Guide,
// "Amazon ECS cluster auto scaling"): tasks wait in PROVISIONING, the first step launches
// exactly 2 instances whatever is needed, the next waits for the warm-up period of 300 s.
func TestManagedScaleOut(t *testing.T) {
	w := run(t, Config{Seed: 2}, managedCluster+`
at 10s service web desired 12
`, 50*time.Second)
	s := w.clusters["web"].services["web"]
	if n := len(w.clusters["web"].waiting); n != 12 || s.pending != 12 || s.running != 0 {
		t.Fatalf("%d tasks wait, the service has %d pending, %d running", n, s.pending, s.running)
	}
	w.Advance(w.cfg.Start.Add(3 * time.Minute))
	if count, _ := groupSize(w, "web"); count != 2 {
		t.Fatalf("after the first step there are %d instances, want 2", count)
	}
	if percent, ok := w.Reservation("asg"); !ok || percent < 200 {
		t.Errorf("reservation %v %v, want at least 200", percent, ok)
	}
	w.Advance(w.cfg.Start.Add(5 * time.Minute))
	if count, busy := groupSize(w, "web"); count != 2 || busy != 2 || s.running != 4 {
		t.Fatalf("within the warm-up: %d instances, %d with tasks, %d tasks run", count, busy, s.running)
	}
	w.Advance(w.cfg.Start.Add(10 * time.Minute))
	if count, busy := groupSize(w, "web"); count != 6 || busy != 6 || s.running != 12 {
		t.Fatalf("after the second step: %d instances, %d with tasks, %d tasks run", count, busy, s.running)
	}
	if percent, _ := w.Reservation("asg"); percent != 100 {
		t.Errorf("reservation %v, want 100", percent)
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

// TestManagedScaleIn: the low alarm needs 15 datapoints of a minute; then the group loses
// at most half of its instances a step (AWS's announcement of 2022-09-16, benchmark 334 to
// 34 instances in 10 minutes), and no instance with tasks, which are never moved.
func TestManagedScaleIn(t *testing.T) {
	w := run(t, Config{Seed: 3}, `
cluster web
task web cpu 1024 memory 1024
group web type m7i.large max 100 desired 40 protected
provider asg group web managed protected
service web task web desired 80 provider asg
at 10m service web desired 8
`, 10*time.Minute)
	if count, busy := groupSize(w, "web"); count != 40 || busy != 40 {
		t.Fatalf("%d instances, %d with tasks", count, busy)
	}
	w.Advance(w.cfg.Start.Add(24 * time.Minute))
	count, left := groupSize(w, "web")
	if count != 40 {
		t.Fatalf("before 15 datapoints there are %d instances", count)
	}
	w.Advance(w.cfg.Start.Add(28 * time.Minute))
	if count, _ := groupSize(w, "web"); count > 20 || count < 10 {
		t.Fatalf("after the first steps there are %d instances", count)
	}
	w.Advance(w.cfg.Start.Add(45 * time.Minute))
	if count, busy := groupSize(w, "web"); count != left || busy != left {
		t.Errorf("%d instances, %d with tasks, want the %d that had tasks", count, busy, left)
	}
	if n := w.clusters["web"].services["web"].running; n != 8 {
		t.Errorf("%d tasks run", n)
	}
}

// TestManagedScalingIsSaved: a world that is saved while its tasks wait and its group grows
// goes on as it would have.
func TestManagedScalingIsSaved(t *testing.T) {
	for _, at := range []time.Duration{30 * time.Second, 150 * time.Second, 8 * time.Minute, 31 * time.Minute} {
		w := run(t, Config{Seed: 5}, managedCluster+`
at 10s service web desired 12
at 12m service web desired 1
at 13m capacity web 9
`, at)
		loaded := reload(t, w)
		end := w.cfg.Start.Add(50 * time.Minute)
		w.Advance(end)
		loaded.Advance(end)
		compareWorlds(t, at.String(), w, loaded)
	}
}
