package dst

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// awsTimeout is how long an executor waits for one call.
const awsTimeout = 18 * time.Second

// call is one call of AWS: it takes a while, and may go wrong before or after AWS has done
// its part.
func call[T any](s *system, operation string, do func() (T, error)) (T, error) {
	var none T
	t := s.thread
	t.sleep(between(t.of.rng, 15*time.Millisecond, 150*time.Millisecond))
	changes := !strings.Contains(operation, ":Describe") && !strings.Contains(operation, ":List") && !strings.Contains(operation, ":Get") && !strings.Contains(operation, ":Receive")
	switch {
	case s.hit("F11"), changes && s.hit("F40"):
		return none, fmt.Errorf("%w: %s", fleet.ErrThrottled, operation)
	case s.hit("F49"):
		return none, fmt.Errorf("%w: %s", fleet.ErrDenied, operation)
	case strings.HasPrefix(operation, "ec2:") && s.hit("F86"):
		t.sleep(awsTimeout)
		return none, fmt.Errorf("%w: %s: no answer", fleet.ErrUnknown, operation)
	case operation == "ecs:UpdateContainerInstancesState" && s.hit("F65"), operation == "ec2:TerminateInstances" && s.hit("F60"), operation == "ecs:PutAttributes" && s.hit("F48"):
		return none, fmt.Errorf("%w: %s: 500", fleet.ErrUnknown, operation)
	}
	lost := changes && s.hit("F34")
	if lost && t.of.rng.IntN(2) == 0 { // the request was lost, not the answer
		t.sleep(awsTimeout)
		return none, fmt.Errorf("%w: %s: no answer", fleet.ErrUnknown, operation)
	}
	out, err := do()
	if lost {
		t.sleep(awsTimeout)
		return none, fmt.Errorf("%w: %s: no answer", fleet.ErrUnknown, operation)
	}
	t.sleep(between(t.of.rng, 5*time.Millisecond, 50*time.Millisecond))
	return out, kindOf(err)
}

// kindOf gives an answer of AWS the sentinel that the adapter would.
func kindOf(err error) error {
	var e *sim.Error
	if !errors.As(err, &e) {
		return err
	}
	kind := fleet.ErrInvalid
	switch {
	case e.Code == "InvalidInstanceID.NotFound":
		kind = fleet.ErrNotFound
	case strings.Contains(e.Code, "Capacity"):
		kind = fleet.ErrNoCapacity
	case strings.Contains(e.Code, "LimitExceeded"), strings.Contains(e.Code, "InsufficientFreeAddresses"):
		kind = fleet.ErrQuota
	case strings.Contains(e.Code, "Throttl"):
		kind = fleet.ErrThrottled
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// classOf is the class of an error, as the adapter would tell it.
func classOf(err error) fleet.FailureClass {
	switch {
	case err == nil:
		return fleet.FailureNone
	case errors.Is(err, fleet.ErrThrottled):
		return fleet.FailureThrottled
	case errors.Is(err, fleet.ErrNoCapacity):
		return fleet.FailureCapacity
	case errors.Is(err, fleet.ErrQuota):
		return fleet.FailureQuota
	case errors.Is(err, fleet.ErrDenied):
		return fleet.FailureDenied
	case errors.Is(err, fleet.ErrInvalid):
		return fleet.FailureInvalid
	case errors.Is(err, fleet.ErrNotFound), errors.Is(err, fleet.ErrConflict), errors.Is(err, fleet.ErrTasksRunning):
		return fleet.FailureStale
	}
	return fleet.FailureUnknown
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// mutate is a call that changes AWS for an action. What must hold when it is issued is
// checked at the moment at which AWS acts.
func mutate[T any](s *system, operation string, job execute.Job, id fleet.InstanceID, do func() (T, error)) (T, error) {
	if s.hit("F89") { // between the gate and the call
		s.thread.of.halt(between(s.thread.of.rng, 2*time.Second, 90*time.Second))
	}
	return call(s, operation, func() (T, error) {
		s.check.issue(operation, job, id)
		out, err := do()
		s.eye.changed()
		s.note("call %s %s %s by %s: %v", operation, job.Action.ID.Short(), id, s.thread.of.name(), err)
		return out, err
	})
}
