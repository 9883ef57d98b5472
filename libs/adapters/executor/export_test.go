package executor

import (
	"context"

	"github.com/neap-project/neap/libs/adapters/bus"
)

// Accept lets tests deliver plans in an order of their own.
func (e *Engine[S, E, F]) Accept(ctx context.Context, d bus.Delivery) error { return e.accept(ctx, d) }
