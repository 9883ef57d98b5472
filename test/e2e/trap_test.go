package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
)

// traps kill processes at moments that matter: between the word that a call is about to be
// made and the call, or while it is under way.
type traps struct {
	mu  sync.Mutex
	set []*trap
}

// answered names for a trap the moment when the outcome of a step is known.
func answered(step string) string { return step + " answered" }

// trap waits for an intent or an answer and then kills.
type trap struct {
	step    string // of the intent: launch, drain, terminate …; or what answered says
	victims []*process
	sprung  chan struct{}
}

// watch follows the outcomes of the installation for the traps until the test ends.
func (s *system) watch() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.bus.WatchOutcomes(ctx, func(_ context.Context, o bus.Stored[fleet.Outcome]) error {
			switch o.Value.Phase {
			case fleet.PhaseIntent:
				s.traps.spring(o.Value.Step)
			case fleet.PhaseResult:
				s.traps.spring(answered(o.Value.Step))
			case fleet.PhaseFinal:
			}
			return nil
		})
	}()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Errorf("watch outcomes: %v", err)
		}
	})
}

// trap kills the processes at the next intent of that step, or at its answer.
func (s *system) trap(step string, victims ...*process) *trap {
	t := &trap{step: step, victims: victims, sprung: make(chan struct{})}
	s.traps.mu.Lock()
	defer s.traps.mu.Unlock()
	s.traps.set = append(s.traps.set, t)
	return t
}

func (t *traps) spring(step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set = slices.DeleteFunc(t.set, func(one *trap) bool {
		if one.step != step {
			return false
		}
		for _, p := range one.victims {
			_ = p.cmd.Process.Kill() // at once: the call is on its way
		}
		close(one.sprung)
		return true
	})
}

// caught waits until a trap has killed its victims.
func (s *system) caught(t *trap) {
	s.t.Helper()
	began := time.Now()
	poll(s.t, patience, func() bool {
		select {
		case <-t.sprung:
			return true
		default:
			return false
		}
	}, func() string {
		return fmt.Sprintf("nobody was about to %s\n%s", t.step, s.report(s.truth()))
	})
	for _, p := range t.victims {
		<-p.done
		s.t.Logf("%s was killed when it came to %s (after %s)", p.name, t.step, time.Since(began).Round(100*time.Millisecond))
	}
}
