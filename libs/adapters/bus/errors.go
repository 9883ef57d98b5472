package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/fleet"
)

var (
	// ErrTopology means: streams or buckets are missing. Nothing works until somebody runs the
	// bootstrap step.
	ErrTopology = errors.New("the streams of Neap are missing")
	// ErrGeneration means: the generation this process belongs to has ended. It must restart.
	ErrGeneration = errors.New("the generation has ended")
	// ErrBackwards means: a stream holds less than this process has already seen, so state was
	// lost. Freeze; a new generation is due.
	ErrBackwards = errors.New("the stream went backwards")
	// ErrForeign means: no release of Neap wrote the message, it carries none of our headers.
	// It says nothing, and is passed over. It is [fleet.ErrInvalid] as well.
	ErrForeign = errors.New("not a message of Neap")
	// ErrUnavailable means: JetStream does not answer: no leader, no quorum, or the stream is
	// gone. What was sent was not stored.
	ErrUnavailable = errors.New("JetStream does not answer")
)

// Error codes of the server that the client library has no name for.
const (
	codeInsufficientResources = 10023 // the account's or the server's storage is used up
	codeInsufficientStorage   = 10047 // the same, on creation
	codeStoreFailed           = 10077 // a limit of a stream that discards the new is reached
	codeStreamSealed          = 10109 // the stream belongs to an ended generation
	codeHeaderTooLarge        = 10097 // more than 64 KiB of headers
	codeMessageTooLarge       = 10054 // for the stream
	codeNotClustered          = 10074 // replicas asked of a single server
	codeNoPeers               = 10005 // more replicas asked than there are servers
)

// sentinels pairs what NATS says with what callers of this package ask for.
var sentinels = []struct{ from, to error }{
	{jetstream.ErrKeyNotFound, fleet.ErrNotFound},
	{jetstream.ErrKeyDeleted, fleet.ErrNotFound},
	{jetstream.ErrMsgNotFound, fleet.ErrNotFound},
	{jetstream.ErrObjectNotFound, fleet.ErrNotFound},
	{jetstream.ErrKeyExists, fleet.ErrConflict},
	{jetstream.ErrKeyRevisionMismatch, fleet.ErrConflict},
	{jetstream.ErrStreamNotFound, ErrTopology},
	{jetstream.ErrBucketNotFound, ErrTopology},
	{jetstream.ErrConsumerNotFound, ErrTopology},
	{jetstream.ErrConsumerDeleted, ErrTopology},
	{jetstream.ErrNoStreamResponse, ErrUnavailable},
	{nats.ErrNoResponders, ErrUnavailable},
	{nats.ErrMaxPayload, fleet.ErrInvalid},
	{jetstream.ErrInvalidKey, fleet.ErrInvalid},
	{nats.ErrPermissionViolation, fleet.ErrDenied},
	{nats.ErrAuthorization, fleet.ErrDenied},
	{nats.ErrAuthExpired, fleet.ErrDenied},
	{nats.ErrAuthRevoked, fleet.ErrDenied},
	{nats.ErrAccountAuthExpired, fleet.ErrDenied},
}

// codes does the same by error code, for what has no variable.
var codes = map[jetstream.ErrorCode]error{
	jetstream.JSErrCodeStreamWrongLastSequence:         fleet.ErrConflict,
	jetstream.JSErrCodeStreamWrongLastSequenceConstant: fleet.ErrConflict,
	codeInsufficientResources:                          fleet.ErrQuota,
	codeInsufficientStorage:                            fleet.ErrQuota,
	codeStoreFailed:                                    fleet.ErrQuota,
	codeStreamSealed:                                   ErrGeneration,
	codeHeaderTooLarge:                                 fleet.ErrInvalid,
	codeMessageTooLarge:                                fleet.ErrInvalid,
}

// translate adds the sentinel that fits to an error of NATS; others stay as they are.
func translate(err error) error {
	if to := sentinelOf(err); to != nil {
		return fmt.Errorf("%w: %w", to, err)
	}
	return err
}

func sentinelOf(err error) error {
	if err == nil {
		return nil
	}
	// Codes first: several errors of the client library share one code and match by it.
	var api *jetstream.APIError
	if errors.As(err, &api) {
		if to, ok := codes[api.ErrorCode]; ok {
			return to
		}
	}
	for _, s := range sentinels {
		if errors.Is(err, s.from) {
			return s.to
		}
	}
	return nil
}

// unsure is translate for writes: what has no other name may have been stored or not.
func unsure(err error) error {
	if err == nil {
		return nil
	}
	if sentinelOf(err) != nil {
		return translate(err)
	}
	return fmt.Errorf("%w: %w", fleet.ErrUnknown, err)
}

// silent is translate for reads that say whether NATS is there: no answer is an answer.
func silent(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return translate(err)
}

// ended reports whether the caller has had enough: that is how watches are stopped, and
// no error.
func ended(ctx context.Context) bool { return ctx.Err() != nil }
