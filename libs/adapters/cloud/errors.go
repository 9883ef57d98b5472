package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/neap-project/neap/libs/fleet"
)

// kinds translates the error codes of AWS. A code that is missing here is judged by its
// HTTP status: 5xx is an unknown result, 4xx a wrong request.
var kinds = map[string]error{
	"InsufficientInstanceCapacity":         fleet.ErrNoCapacity,
	"InsufficientHostCapacity":             fleet.ErrNoCapacity,
	"InsufficientReservedInstanceCapacity": fleet.ErrNoCapacity,
	"InsufficientCapacity":                 fleet.ErrNoCapacity,
	"InsufficientCapacityOnHost":           fleet.ErrNoCapacity,
	"UnfulfillableCapacity":                fleet.ErrNoCapacity,
	"ReservationCapacityExceeded":          fleet.ErrNoCapacity,

	"MaxSpotInstanceCountExceeded":        fleet.ErrQuota,
	"MaxSpotFleetRequestCountExceeded":    fleet.ErrQuota,
	"MaxFleetCountExceeded":               fleet.ErrQuota,
	"VcpuLimitExceeded":                   fleet.ErrQuota,
	"InstanceLimitExceeded":               fleet.ErrQuota,
	"SpotMaxPriceTooLow":                  fleet.ErrQuota,
	"InsufficientFreeAddressesInSubnet":   fleet.ErrQuota,
	"InsufficientAddressCapacity":         fleet.ErrQuota,
	"VolumeLimitExceeded":                 fleet.ErrQuota,
	"MaxIOPSLimitExceeded":                fleet.ErrQuota,
	"VersionLimitExceeded":                fleet.ErrQuota,
	"LaunchTemplateLimitExceeded":         fleet.ErrQuota,
	"NetworkInterfaceLimitExceeded":       fleet.ErrQuota,
	"AttributeLimitExceededException":     fleet.ErrQuota,
	"LimitExceededException":              fleet.ErrQuota,
	"ResourceCountExceeded":               fleet.ErrQuota,
	"RequestResourceCountExceeded":        fleet.ErrThrottled,
	"RequestLimitExceeded":                fleet.ErrThrottled,
	"EC2ThrottledException":               fleet.ErrThrottled,
	"ThrottlingException":                 fleet.ErrThrottled,
	"Throttling":                          fleet.ErrThrottled,
	"ThrottledException":                  fleet.ErrThrottled,
	"RequestThrottled":                    fleet.ErrThrottled,
	"RequestThrottledException":           fleet.ErrThrottled,
	"TooManyRequestsException":            fleet.ErrThrottled,
	"SlowDown":                            fleet.ErrThrottled,
	"AccessDenied":                        fleet.ErrDenied,
	"AccessDeniedException":               fleet.ErrDenied,
	"UnauthorizedOperation":               fleet.ErrDenied,
	"AuthFailure":                         fleet.ErrDenied,
	"ExpiredToken":                        fleet.ErrDenied,
	"ExpiredTokenException":               fleet.ErrDenied,
	"RequestExpired":                      fleet.ErrDenied,
	"UnrecognizedClientException":         fleet.ErrDenied,
	"InvalidClientTokenId":                fleet.ErrDenied,
	"InvalidSignatureException":           fleet.ErrDenied,
	"SignatureDoesNotMatch":               fleet.ErrDenied,
	"MissingAuthenticationToken":          fleet.ErrDenied,
	"MissingAuthenticationTokenException": fleet.ErrDenied,
	"OptInRequired":                       fleet.ErrDenied,
	"Blocked":                             fleet.ErrDenied,
	"BlockedException":                    fleet.ErrDenied,
	"PendingVerification":                 fleet.ErrDenied,
	"KMSAccessDeniedException":            fleet.ErrDenied,
	"KmsAccessDeniedException":            fleet.ErrDenied,
	"KmsThrottled":                        fleet.ErrThrottled,

	"AuthFailure.ServiceLinkedRoleCreationNotPermitted": fleet.ErrDenied,

	"ClusterNotFoundException":                         fleet.ErrNotFound,
	"ServiceNotFoundException":                         fleet.ErrNotFound,
	"ResourceNotFoundException":                        fleet.ErrNotFound,
	"TargetNotFoundException":                          fleet.ErrNotFound,
	"InvalidInstanceID.NotFound":                       fleet.ErrNotFound,
	"ParameterNotFound":                                fleet.ErrNotFound,
	"QueueDoesNotExist":                                fleet.ErrNotFound,
	"AWS.SimpleQueueService.NonExistentQueue":          fleet.ErrNotFound,
	"ConflictException":                                fleet.ErrConflict,
	"UpdateInProgressException":                        fleet.ErrConflict,
	"IncorrectInstanceState":                           fleet.ErrConflict,
	"IncorrectState":                                   fleet.ErrConflict,
	"OperationNotPermitted":                            fleet.ErrConflict, // termination protection
	"InvalidLaunchTemplateName.AlreadyExistsException": fleet.ErrConflict,
}

// failure is an answer of AWS that is an error. It unwraps to one of fleet's errors; the
// code of AWS is in its text, for people.
type failure struct {
	kind      error
	code      string
	message   string
	requestID string
}

// Error says what kind of error it is and what AWS called it.
func (f *failure) Error() string {
	text := fmt.Sprintf("%v: %s: %s", f.kind, f.code, f.message)
	if f.requestID != "" {
		text += " (request " + f.requestID + ")"
	}
	return text
}

// Unwrap returns the kind.
func (f *failure) Unwrap() error { return f.kind }

// translate turns an error of the SDK into one of fleet's. What has no answer of AWS in it,
// a timeout or a broken connection, leaves the result of the call unknown.
func translate(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{fleet.ErrThrottled, fleet.ErrDenied} {
		if errors.Is(err, known) {
			return innermost(err)
		}
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%w: %w", fleet.ErrUnknown, innermost(err))
	}
	f := &failure{code: api.ErrorCode(), message: api.ErrorMessage()}
	status := 0
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		f.requestID, status = response.ServiceRequestID(), response.HTTPStatusCode()
	}
	f.kind = kindOf(f.code, status)
	return f
}

func kindOf(code string, status int) error {
	kind, ok := kinds[code]
	switch {
	case ok:
		return kind
	case strings.HasSuffix(code, ".NotFound") || strings.HasSuffix(code, ".Malformed"):
		return fleet.ErrInvalid // a template, image, subnet or group that the policy names
	case status == http.StatusTooManyRequests:
		return fleet.ErrThrottled
	case status >= http.StatusInternalServerError:
		return fleet.ErrUnknown
	}
	return fleet.ErrInvalid
}

// innermost drops the SDK's own wrapping ("operation error ECS: …"), which repeats what the
// caller says better.
func innermost(err error) error {
	var op *smithy.OperationError
	if errors.As(err, &op) {
		return op.Unwrap()
	}
	return err
}

// hasCode reports whether an error is AWS's answer of that code.
func hasCode(err error, code string) bool {
	var f *failure
	return errors.As(err, &f) && f.code == code
}

// as gives an answer of AWS another kind, for a caller that knows better what it means.
func as(kind, err error) error {
	var f *failure
	if !errors.As(err, &f) {
		return fmt.Errorf("%w: %w", kind, err)
	}
	better := *f
	better.kind = kind
	return &better
}

// requestIDOf returns AWS's request ID of an error, if it has one.
func requestIDOf(err error) string {
	var f *failure
	if errors.As(err, &f) {
		return f.requestID
	}
	return ""
}

// classes pairs fleet's errors with the class of failure that outcomes carry.
var classes = []struct {
	err   error
	class fleet.FailureClass
}{
	{fleet.ErrThrottled, fleet.FailureThrottled},
	{fleet.ErrNoCapacity, fleet.FailureCapacity},
	{fleet.ErrQuota, fleet.FailureQuota},
	{fleet.ErrDenied, fleet.FailureDenied},
	{fleet.ErrInvalid, fleet.FailureInvalid},
	{fleet.ErrNotFound, fleet.FailureStale},
	{fleet.ErrConflict, fleet.FailureStale},
	{fleet.ErrTasksRunning, fleet.FailureStale},
	{fleet.ErrUnknown, fleet.FailureUnknown},
	{context.DeadlineExceeded, fleet.FailureUnknown},
	{context.Canceled, fleet.FailureUnknown},
}

// Class is the class of failure of an error that this package returned, for outcomes: none
// for nil, unknown for what it does not know.
func Class(err error) fleet.FailureClass {
	if err == nil {
		return fleet.FailureNone
	}
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.class
		}
	}
	return fleet.FailureUnknown
}

// classOfCode is the class of an error that a fleet request lists for one offering. There
// some codes mean that the zone does not sell the type, or not with this image, which is a
// shortage that will not end soon.
func classOfCode(code string) fleet.FailureClass {
	switch code {
	case "Unsupported", "UnsupportedOperation", "InvalidParameterCombination":
		return fleet.FailureCapacity
	}
	return Class(kindOf(code, http.StatusBadRequest))
}
