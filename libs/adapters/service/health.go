package service

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"
)

// checkTimeout bounds one readiness check. A dependency that needs longer to
// say that it is there is not there.
const checkTimeout = 2 * time.Second

// Health answers for one service: is it ready for work (/readyz), and is it
// still turning (/livez). It is safe for concurrent use.
type Health struct {
	part  string
	board *board
}

// Check registers something the service cannot work without. The service is
// ready only while run returns nil; run must respect its context.
func (h *Health) Check(name string, run func(context.Context) error) {
	h.board.addCheck(h.name(name), check{run: run, needed: true})
}

// Report registers something the service can do without, such as a cache.
// It is shown on /readyz but does not decide.
func (h *Health) Report(name string, run func(context.Context) error) {
	h.board.addCheck(h.name(name), check{run: run})
}

// Ready says that the service has started. Until then it is not ready whatever
// its checks say. Beat and Every imply it.
func (h *Health) Ready() { h.board.started(h.part) }

// Beat says that the service's own loop is alive. From the first Beat on it has
// to come again within STALL_AFTER or liveness fails. A service that loops by
// Every need not call it.
func (h *Health) Beat() {
	h.Ready()
	h.board.beat(h.name("main"), time.Now(), true)
}

func (h *Health) name(name string) string {
	if h.part == "" {
		return name
	}
	return h.part + "/" + name
}

// board gathers the health of all parts of a process.
type board struct {
	service    string
	stallAfter time.Duration

	mu       sync.Mutex
	starting map[string]bool // parts that have not called Ready
	stopping bool
	checks   map[string]check
	hearts   map[string]heart
}

type check struct {
	run    func(context.Context) error
	needed bool
}

// heart is one loop. While it rests between two turns it cannot be stuck.
type heart struct {
	beat time.Time
	busy bool
}

func newBoard(service string, stallAfter time.Duration) *board {
	return &board{
		service:    service,
		stallAfter: stallAfter,
		starting:   make(map[string]bool),
		checks:     make(map[string]check),
		hearts:     make(map[string]heart),
	}
}

func (b *board) part(name string) *Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starting[name] = true
	return &Health{part: name, board: b}
}

func (b *board) addCheck(name string, c check) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.checks[name] = c
}

func (b *board) started(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.starting, part)
}

func (b *board) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopping = true
}

func (b *board) beat(name string, now time.Time, busy bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hearts[name] = heart{beat: now, busy: busy}
}

func (b *board) endHeart(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.hearts, name)
}

// readiness is the body of /readyz.
type readiness struct {
	Service string            `json:"service"`
	Version string            `json:"version"`
	Ready   bool              `json:"ready"`
	State   string            `json:"state"` // starting, running or stopping
	Checks  map[string]result `json:"checks,omitempty"`
}

type result struct {
	OK     bool   `json:"ok"`
	Needed bool   `json:"needed"`
	Error  string `json:"error,omitempty"`
	Millis int64  `json:"millis"`
}

func (b *board) ready(ctx context.Context) readiness {
	b.mu.Lock()
	checks := maps.Clone(b.checks)
	state := "running"
	switch {
	case b.stopping:
		state = "stopping"
	case len(b.starting) > 0:
		state = "starting"
	}
	b.mu.Unlock()

	answer := readiness{
		Service: b.service,
		Version: Version(),
		Ready:   state == "running",
		State:   state,
		Checks:  runAll(ctx, checks),
	}
	for _, r := range answer.Checks {
		answer.Ready = answer.Ready && (r.OK || !r.Needed)
	}
	return answer
}

// runAll runs the checks side by side: the probe waits for the slowest, not for
// their sum.
func runAll(ctx context.Context, checks map[string]check) map[string]result {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var (
		group   sync.WaitGroup
		mu      sync.Mutex
		results = make(map[string]result, len(checks))
	)
	for name, c := range checks {
		group.Go(func() {
			r := c.result(ctx)
			mu.Lock()
			defer mu.Unlock()
			results[name] = r
		})
	}
	group.Wait()
	return results
}

func (c check) result(ctx context.Context) result {
	start := time.Now()
	err := c.run(ctx)
	r := result{OK: err == nil, Needed: c.needed, Millis: time.Since(start).Milliseconds()}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// liveness is the body of /livez.
type liveness struct {
	Service string           `json:"service"`
	Live    bool             `json:"live"`
	Loops   map[string]pulse `json:"loops,omitempty"`
}

type pulse struct {
	OK      bool    `json:"ok"`
	Busy    bool    `json:"busy"`
	Seconds float64 `json:"seconds_since_beat"`
	Error   string  `json:"error,omitempty"`
}

func (b *board) live(now time.Time) liveness {
	b.mu.Lock()
	defer b.mu.Unlock()
	answer := liveness{Service: b.service, Live: true, Loops: make(map[string]pulse, len(b.hearts))}
	for name, h := range b.hearts {
		age := now.Sub(h.beat)
		p := pulse{OK: !h.busy || age <= b.stallAfter, Busy: h.busy, Seconds: age.Seconds()}
		if !p.OK {
			p.Error = fmt.Sprintf("no beat for %s, limit %s", age.Round(time.Millisecond), b.stallAfter)
		}
		answer.Live = answer.Live && p.OK
		answer.Loops[name] = p
	}
	return answer
}

func (b *board) serveReady(w http.ResponseWriter, r *http.Request) {
	answer := b.ready(r.Context())
	reply(w, answer.Ready, answer)
}

func (b *board) serveLive(w http.ResponseWriter, _ *http.Request) {
	answer := b.live(time.Now())
	reply(w, answer.Live, answer)
}

func reply(w http.ResponseWriter, well bool, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !well {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body) // the prober went away; nothing to do
}
