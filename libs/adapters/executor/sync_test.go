package executor_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/adapters/executor/executortest"
	"github.com/neap-project/neap/libs/adapters/service"
)

// TestNothingBeginsBeforeTheTimeIsKnown: by a clock that AWS has not set an action would be
// taken for late, or a drain for one that has lasted too long.
func TestNothingBeginsBeforeTheTimeIsKnown(t *testing.T) {
	s, tower := executortest.New(t, executortest.Policy()), &tower{}
	var known atomic.Bool
	var asked atomic.Int64
	s.Start(func(ctx context.Context, p *service.Process) error {
		trade := tower.trade()
		trade.Sync = func(context.Context) error {
			asked.Add(1)
			if !known.Load() {
				return errors.New("AWS does not answer")
			}
			return nil
		}
		return executor.New(p, s.Bus, executortest.Config(), trade).Run(ctx)
	})
	p := plan(s, nil, "i-1")
	s.Recorded(p.Actions[0].ID)
	s.Eventually("the time is asked for", func() bool { return asked.Load() > 0 })
	if heard := tower.strokes(); len(heard) > 0 {
		t.Errorf("heard %v while nobody knew the time", heard)
	}
	known.Store(true)
	s.Finished(p)
}
