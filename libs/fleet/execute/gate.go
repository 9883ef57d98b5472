package execute

import (
	"context"
	"errors"
	"fmt"

	"github.com/neap-project/neap/libs/fleet"
)

// heldError says why an action must wait. It is no failure: the action is tried again on
// the next tick.
type heldError struct{ why string }

func (e *heldError) Error() string { return e.why }

// Held makes an error for [Trade].Perform: the effect must wait, and nothing failed.
func Held(format string, args ...any) error { return &heldError{fmt.Sprintf(format, args...)} }

// mayBegin decides whether an action may begin: the policy allows changes and nobody has
// paused. One that has begun goes on when the policy turns to dry run, for half a drain
// would be worse.
func (h *hand[S, E, F]) mayBegin(ctx context.Context) error {
	policy, _, err := h.means.Control.Policy(ctx, h.record.Cluster)
	if errors.Is(err, fleet.ErrNotFound) {
		return Held("cluster %s has no policy any more", h.record.Cluster)
	}
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	if policy.DryRun == nil || *policy.DryRun {
		return Held("the policy of %s is in dry run", h.record.Cluster)
	}
	return h.allowed(ctx)
}

// gate is passed right before a call that changes AWS. Doubt means no call.
func (h *hand[S, E, F]) gate(ctx context.Context, step string) error {
	if err := h.allowed(ctx); err != nil {
		return err
	}
	h.record.Calls++
	intent := h.outcome(fleet.Outcome{Phase: fleet.PhaseIntent, Step: step})
	if err := h.means.Outcomes.PublishOutcome(ctx, &intent); err != nil {
		return err
	}
	if err := h.point(PointIntent); err != nil {
		return err
	}
	// Calls has changed, so this is a write, and it proves three things: the action is
	// still ours, no plan has closed it, and the ledger has a quorum.
	if err := h.store(ctx); err != nil {
		return err
	}
	return h.allowed(ctx)
}

// allowed reads the red button and the current generation, both from the leader.
func (h *hand[S, E, F]) allowed(ctx context.Context) error {
	if ctx.Err() != nil {
		return errStopping
	}
	control := h.means.Control
	pause, err := control.Paused(ctx, h.record.Cluster)
	if err != nil {
		return err
	}
	if pause.Paused() {
		return Held("paused by %s: %s", pause.By, pause.Why)
	}
	generation, err := control.Generation(ctx)
	if err != nil {
		return err
	}
	if generation != h.means.Generation {
		return Held("generation %d has ended, %d is current: restart this process", h.means.Generation, generation)
	}
	return nil
}
