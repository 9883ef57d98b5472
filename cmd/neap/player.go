package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cloud/awssim"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// player plays a story and shows it.
type player struct {
	demo    *demoCmd
	console console
	tale    story
	server  *awssim.Server
	bus     *bus.Bus
	heard   hearing

	explained time.Time // when the reading of the view began that was explained last

	mu       sync.Mutex // guards what follows: watchers and the player meet here
	observer observer
	printed  int // events that have been printed
	costPeak fleet.Price
	busiest  *frame
	busy     int // tasks waiting in the busiest frame
	results  []result
	screen   *screen
}

// play runs the chapters and returns what came of it.
func (p *player) play(ctx context.Context) (*demoResult, error) {
	if !p.demo.Headless && p.demo.Output == "text" {
		if s, ok := openScreen(p.console.out); ok {
			p.screen = s
			defer s.close()
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.follow(ctx) })
	g.Go(func() error { return p.show(ctx) })
	start := p.server.Now()
	p.server.World(func(w *sim.World) { w.Record(p.heard.add) })
	err := p.chapters(ctx)
	cancel()
	if watchErr := ignoreCancelled(g.Wait()); err == nil {
		err = watchErr
	}
	if err != nil {
		return nil, err
	}
	p.look()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print()
	return p.sum(start), p.writePicture()
}

// follow takes in what travels on the bus.
func (p *player) follow(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return p.bus.WatchSnapshots(ctx, func(_ context.Context, s fleet.Snapshot, _ time.Time) error {
			p.locked(func(o *observer) { o.seeSnapshot(&s) })
			return nil
		})
	})
	g.Go(func() error {
		return p.bus.WatchPlans(ctx, func(_ context.Context, s bus.Stored[fleet.Plan]) error {
			p.locked(func(o *observer) { o.seePlan(&s.Value) })
			return nil
		})
	})
	g.Go(func() error {
		return p.bus.WatchOutcomes(ctx, func(_ context.Context, s bus.Stored[fleet.Outcome]) error {
			p.locked(func(o *observer) { o.seeOutcome(&s.Value) })
			return nil
		})
	})
	return g.Wait()
}

func (p *player) locked(f func(*observer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.observer)
}

// person tells what somebody does.
func (p *player) person(format string, args ...any) {
	now := p.server.Now()
	p.locked(func(o *observer) { o.note(now, eventPerson, format, args...) })
}

// look takes in the true state of the world.
func (p *player) look() {
	var truth sim.Truth
	p.server.World(func(w *sim.World) { truth = w.Truth() })
	entries := p.heard.take()
	p.locked(func(o *observer) {
		o.seeTruth(truth)
		o.hear(entries)
		p.costPeak = max(p.costPeak, truth.CostPerHour)
		if waiting := o.waitingNow(); p.demo.SVG != "" && len(o.scene.instances) > 0 && waiting >= p.busy {
			p.busy, p.busiest = waiting, o.scene.draw(frameWidth)
		}
	})
}

// show draws, or prints what is new.
func (p *player) show(ctx context.Context) error {
	t := time.NewTicker(drawEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		p.mu.Lock()
		if p.screen != nil {
			p.screen.draw(&p.observer.scene)
		} else {
			p.print()
		}
		p.mu.Unlock()
	}
}

// print prints the events that have not been printed yet. The caller holds the lock.
func (p *player) print() {
	if p.screen != nil || p.demo.Output == "json" {
		return
	}
	for _, e := range p.observer.events[p.printed:] {
		fmt.Fprintln(p.console.out, e.String())
	}
	p.printed = len(p.observer.events)
}

// chapters plays them one after the other.
func (p *player) chapters(ctx context.Context) error {
	for i, chapter := range p.tale.chapters {
		p.look()
		p.locked(func(o *observer) { o.begin(i+1, len(p.tale.chapters), chapter.title) })
		var err error
		var floors map[string]int
		p.server.World(func(w *sim.World) {
			if err = runScript(w, "cluster "+string(clusterName)+"\n"+chapter.script); err == nil {
				floors, err = minimums(w)
			}
		})
		if err == nil && chapter.people != nil {
			err = chapter.people(ctx, p)
		}
		if err != nil {
			return fmt.Errorf("chapter %d: %w", i+1, err)
		}
		p.locked(func(o *observer) { o.past.hold(floors) })
		if err := p.await(ctx, &chapter); err != nil {
			return err
		}
	}
	return nil
}

// explain asks why each instance is still here, as neap explain instance --all does, if
// there is a view that it was not asked about.
func (p *player) explain(ctx context.Context) error {
	var seenAt time.Time
	p.locked(func(o *observer) { seenAt = o.seenAt })
	if !seenAt.After(p.explained) {
		return nil
	}
	evidence, err := (&evidenceFlags{Cluster: clusterName}).fromBus(ctx, p.bus)
	if err != nil {
		return err
	}
	told, err := evidence.instances(nil)
	if err != nil {
		return err
	}
	p.explained = seenAt
	p.locked(func(o *observer) { o.seeStays(told) })
	return nil
}

// await looks until everything that the chapter expects holds at once, or its time is up.
func (p *player) await(ctx context.Context, c *chapter) error {
	deadline := p.server.Now().Add(c.within)
	broken := make([]bool, len(c.always))
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		p.look()
		if c.explains {
			if err := p.explain(ctx); err != nil {
				return err
			}
		}
		p.mu.Lock()
		all := true
		for _, e := range c.until {
			all = all && e.holds(&p.observer)
		}
		for i, e := range c.always {
			broken[i] = broken[i] || !e.holds(&p.observer)
		}
		if over := p.observer.truth.Now.After(deadline); all || over {
			if c.explains {
				p.observer.tellStays()
			}
			p.judge(c, broken)
			p.mu.Unlock()
			return nil
		}
		p.mu.Unlock()
	}
}

// judge notes which expectations of a chapter held. The caller holds the lock.
func (p *player) judge(c *chapter, broken []bool) {
	verdict := func(words string, held bool) {
		kind := eventExpect
		if !held {
			kind = eventFailed
		}
		p.observer.note(p.observer.truth.Now, kind, "%s", words)
		p.results = append(p.results, result{Chapter: c.title, Expect: words, Held: held})
	}
	for _, e := range c.until {
		verdict(e.words, e.holds(&p.observer))
	}
	for i, e := range c.always {
		verdict(e.words, !broken[i])
	}
}

// throughout stands for all chapters.
const throughout = "Throughout"

// sum makes the result. The caller holds the lock.
func (p *player) sum(start time.Time) *demoResult {
	o := &p.observer
	harm := o.truth.History.Violations
	p.results = append(p.results, result{Chapter: throughout, Expect: "no instance was terminated while a task ran on it", Held: len(harm) == 0})
	doubled := false
	for token := range o.truth.History.Launches {
		l := o.truth.History.Launches[token]
		doubled = doubled || l.Launched > l.Asked
	}
	p.results = append(p.results, result{Chapter: throughout, Expect: "no launch was made twice", Held: !doubled})
	out := &demoResult{
		OK: true, Scenario: p.tale.name, Seed: p.demo.Seed, Speed: p.demo.Speed,
		SimulatedTime:   o.truth.Now.Sub(start).Round(time.Second).String(),
		TasksPendingMax: o.waitingMax, TasksPendingEnd: o.waitingNow(),
		InstancesPeak: o.instancePeak, InstancesEnd: o.instancesAlive(), CostPerHourPeak: p.costPeak.USD(), CostPerHourEnd: o.truth.CostPerHour.USD(),
		Expectations: p.results, Events: o.events,
	}
	for _, r := range p.results {
		out.OK = out.OK && r.Held
	}
	return out
}

// writePicture writes the busiest moment as SVG, if that was asked for.
func (p *player) writePicture() error {
	if p.demo.SVG == "" {
		return nil
	}
	if p.busiest == nil {
		return fmt.Errorf("--svg: nothing was seen to draw")
	}
	if err := os.WriteFile(filepath.Clean(p.demo.SVG), []byte(p.busiest.svg()), 0o600); err != nil {
		return fmt.Errorf("--svg: %w", err)
	}
	return nil
}
