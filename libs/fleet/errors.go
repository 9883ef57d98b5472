package fleet

import "errors"

// A sentinel for each thing that a caller does differently. Adapters translate the codes
// of AWS, NATS and Redis into these; no code string passes an adapter.
var (
	// ErrInvalid: the input is wrong and will stay wrong. Do not retry.
	ErrInvalid = errors.New("invalid")
	// ErrVersion: a message of a wire version that this build cannot read. Hold.
	ErrVersion = errors.New("unknown wire version")
	// ErrNoCapacity: EC2 has no such instance in that zone now. Use another offering.
	ErrNoCapacity = errors.New("no capacity")
	// ErrQuota: a limit of the account or subnet is reached. Back off for longer, tell a person.
	ErrQuota = errors.New("quota reached")
	// ErrThrottled: too many calls. Back off, the same request may be sent again.
	ErrThrottled = errors.New("throttled")
	// ErrDenied: credentials are missing, expired or not allowed. Stop and tell a person.
	ErrDenied = errors.New("access denied")
	// ErrNotFound: the thing is not there, or not visible yet.
	ErrNotFound = errors.New("not found")
	// ErrConflict: somebody else was first (a compare-and-set lost, a cluster is in use).
	ErrConflict = errors.New("conflict")
	// ErrTasksRunning: ECS refuses to deregister an instance that still runs tasks.
	ErrTasksRunning = errors.New("tasks still run on the instance")
	// ErrUnknown: the call may or may not have had its effect. Send the same bytes again.
	ErrUnknown = errors.New("result unknown")
	// ErrPaused: a person has stopped Neap for this cluster.
	ErrPaused = errors.New("paused")
)
