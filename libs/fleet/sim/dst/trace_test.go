package dst

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// tracePolicy allows one type, with a scale-down that does not wait for long.
func tracePolicy() fleet.Policy {
	return fleet.Policy{
		Limits:    fleet.Limits{MaxInstances: 400},
		ScaleDown: fleet.ScaleDown{StableFor: fleet.Duration(2 * time.Minute), Cooldown: fleet.Duration(time.Minute), MinLifetime: fleet.Duration(5 * time.Minute)},
		LaunchSpecs: []fleet.LaunchSpec{{
			Name: "default", Images: []string{imageParameter}, Subnets: []fleet.SubnetID{"subnet-1"}, Types: fleet.TypeFilter{Allow: []string{"m7i.large"}},
		}},
	}
}

// TestPlay plays a wave that comes and goes: every task runs, what is launched is no more
// than it needs, and it is gone after.
func TestPlay(t *testing.T) {
	const tasks, perInstance = 40, 4
	var trace []TraceTask
	for i := range tasks {
		trace = append(trace, TraceTask{ID: fmt.Sprint(i), CPUUnits: 512, MemoryMiB: 1024, Arrives: 10 * time.Minute, Departs: time.Hour})
	}
	trace = append(trace, TraceTask{ID: "late", CPUUnits: 512, MemoryMiB: 1024, Arrives: 3 * time.Hour, Departs: 3*time.Hour + time.Second})
	play := func() Replayed {
		r, err := Play(Trace{Tasks: trace, Policy: tracePolicy(), Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := play()
	if len(r.Violations) > 0 {
		t.Errorf("%v", r.Violations)
	}
	if len(r.Waits) != tasks || r.NeverRan != 1 {
		t.Errorf("%d tasks ran and %d never did; of %d one departs at once", len(r.Waits), r.NeverRan, len(trace))
	}
	if r.Wait(0) < 30*time.Second || r.Wait(100) > 10*time.Minute || r.Wait(50) > r.Wait(99) {
		t.Errorf("tasks waited %s to %s, on an empty cluster", r.Wait(0), r.Wait(100))
	}
	if least := tasks / perInstance; r.Launched < least || r.Launched > least+2 || r.Terminated < least {
		t.Errorf("%d instances launched, %d terminated; %d hold all tasks", r.Launched, r.Terminated, least)
	}
	if r.Bound <= 0 || r.Cost < r.Bound || r.Cost > 3*r.Bound {
		t.Errorf("it cost $%.2f, at least $%.2f", r.Cost, r.Bound)
	}
	hours := 0.0
	for _, h := range r.HoursBy {
		hours += h
	}
	if len(r.HoursBy) != 1 || hours < r.HoursBy["m7i.large"] || hours < tasks/perInstance*0.8 {
		t.Errorf("instance hours %v", r.HoursBy)
	}
	peak, last := Sample{}, r.Samples[len(r.Samples)-1]
	for _, s := range r.Samples {
		if s.Running.CPUUnits > peak.Running.CPUUnits {
			peak = s
		}
	}
	if peak.Running.CPUUnits != 512*tasks || peak.Capacity.CPUUnits < peak.Running.CPUUnits || last.Capacity.CPUUnits >= peak.Capacity.CPUUnits/2 {
		t.Errorf("at the peak %+v, in the end %+v", peak, last)
	}
	if again := play(); !reflect.DeepEqual(r, again) {
		t.Error("played again it is another story")
	}
}

// TestPlayCountsMoves: load falls, what is left is packed tighter, and what moved for that
// did not wait as an arrival does.
func TestPlayCountsMoves(t *testing.T) {
	var trace []TraceTask
	for i := range 40 {
		one := TraceTask{ID: fmt.Sprint(i), CPUUnits: 512, MemoryMiB: 1024, Service: []string{"a", "b/ü"}[i%2], Arrives: time.Minute}
		if i%5 > 0 {
			one.Departs = 30 * time.Minute
		}
		trace = append(trace, one)
	}
	trace = append(trace, TraceTask{ID: "end", CPUUnits: 256, MemoryMiB: 512, Arrives: 2 * time.Hour})
	r, err := Play(Trace{Tasks: trace, Policy: tracePolicy()})
	if err != nil {
		t.Fatal(err)
	}
	if r.Moved == 0 || len(r.Waits) < 40 || len(r.Waits) > 41 || r.Wait(100) > 10*time.Minute {
		t.Errorf("%d tasks moved; %d waited, at most %s", r.Moved, len(r.Waits), r.Wait(100))
	}
}

// TestPlayRefuses names what is wrong.
func TestPlayRefuses(t *testing.T) {
	one := TraceTask{ID: "1", CPUUnits: 512, MemoryMiB: 1024}
	far := one
	far.Arrives = 1000 * time.Hour
	var many []TraceTask
	for i := range int64(mostServices + 1) {
		many = append(many, TraceTask{ID: fmt.Sprint(i), CPUUnits: 1 + i, MemoryMiB: 1})
	}
	for says, trace := range map[string]Trace{
		"no tasks":            {Policy: tracePolicy()},
		"the trace takes":     {Policy: tracePolicy(), Tasks: []TraceTask{far}},
		"round sizes up":      {Policy: tracePolicy(), Tasks: many},
		"limits.maxInstances": {Policy: fleet.Policy{LaunchSpecs: tracePolicy().LaunchSpecs}, Tasks: []TraceTask{one}},
	} {
		if _, err := Play(trace); !errors.Is(err, fleet.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}

// BenchmarkPlay plays a day in which tasks of an hour each arrive at random, collecting
// garbage as seldom as neap replay does.
func BenchmarkPlay(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	for _, tasks := range []int{1000, 3000, 10_000} {
		b.Run(fmt.Sprintf("tasks=%d", tasks), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			const day = 24 * time.Hour
			var trace []TraceTask
			for i := range tasks {
				t := TraceTask{ID: fmt.Sprint(i), CPUUnits: 256 << rng.IntN(4), Arrives: time.Duration(rng.Int64N(int64(day))).Truncate(time.Second)}
				t.MemoryMiB = t.CPUUnits << rng.IntN(3)
				t.Departs = min(t.Arrives+time.Minute+time.Duration(rng.ExpFloat64()*float64(time.Hour)).Truncate(time.Second), day)
				trace = append(trace, t)
			}
			pol := tracePolicy()
			pol.LaunchSpecs[0].Types.Allow = []string{"m7i.*", "c7i.*", "r7i.*"}
			for b.Loop() {
				r, err := Play(Trace{Tasks: trace, Policy: pol, Seed: 1})
				if err != nil || len(r.Violations) > 0 {
					b.Fatal(err, r.Violations)
				}
				b.ReportMetric(100*(r.Cost/r.Bound-1), "%over")
				b.ReportMetric(r.Wait(99).Seconds(), "p99-s")
				b.ReportMetric(float64(r.Moved), "moved")
			}
		})
	}
}
