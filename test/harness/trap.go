package harness

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
	set []*Trap
}

// Answered names for a trap the moment when the outcome of a step is known.
func Answered(step string) string { return step + " answered" }

// Trap waits for an intent or an answer and then kills.
type Trap struct {
	step    string // of the intent: launch, drain, terminate …; or what answered says
	victims []*Process
	sprung  chan struct{}
}

// watch follows the outcomes of the installation for the traps until the test ends.
func (s *System) watch() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Bus.WatchOutcomes(ctx, func(_ context.Context, o bus.Stored[fleet.Outcome]) error {
			switch o.Value.Phase {
			case fleet.PhaseIntent:
				s.traps.spring(o.Value.Step)
			case fleet.PhaseResult:
				s.traps.spring(Answered(o.Value.Step))
			case fleet.PhaseFinal:
			}
			return nil
		})
	}()
	s.T.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.T.Errorf("watch outcomes: %v", err)
		}
	})
}

// Trap kills the processes at the next intent of that step, or at its answer.
func (s *System) Trap(step string, victims ...*Process) *Trap {
	t := &Trap{step: step, victims: victims, sprung: make(chan struct{})}
	s.traps.mu.Lock()
	defer s.traps.mu.Unlock()
	s.traps.set = append(s.traps.set, t)
	return t
}

func (t *traps) spring(step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set = slices.DeleteFunc(t.set, func(one *Trap) bool {
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

// Caught waits until a trap has killed its victims.
func (s *System) Caught(t *Trap) {
	s.T.Helper()
	began := time.Now()
	Poll(s.T, Patience, func() bool {
		select {
		case <-t.sprung:
			return true
		default:
			return false
		}
	}, func() string {
		return fmt.Sprintf("nobody was about to %s\n%s", t.step, s.Report(s.Truth()))
	})
	for _, p := range t.victims {
		<-p.done
		s.T.Logf("%s was killed when it came to %s (after %s)", p.Name, t.step, time.Since(began).Round(100*time.Millisecond))
	}
}
