package awssim

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// apiError is an error as a client of AWS sees it: the code that it switches on, the
// words for a person, and the HTTP status.
type apiError struct {
	code    string
	message string
	status  int
}

// fault is an error of the caller.
func fault(code, format string, args ...any) *apiError {
	return &apiError{code: code, message: fmt.Sprintf(format, args...), status: http.StatusBadRequest}
}

// statuses are the HTTP statuses of the error codes that have one of their own; all others
// are 400 or, where the service is at fault, 500.
var statuses = map[string]int{
	"AuthFailure":                 http.StatusUnauthorized,
	"DryRunOperation":             http.StatusPreconditionFailed,
	"EC2ThrottledException":       http.StatusServiceUnavailable,
	"RequestLimitExceeded":        http.StatusServiceUnavailable,
	"RequestThrottled":            http.StatusForbidden,
	"ServiceUnavailable":          http.StatusServiceUnavailable,
	"ServiceUnavailableException": http.StatusServiceUnavailable,
	"UnauthorizedOperation":       http.StatusForbidden,
	"Unavailable":                 http.StatusServiceUnavailable,
}

// asAPIError makes an answer out of an error of the world. What the world did not name is
// an error of the service: that is what a bug of AWS looks like from outside, too.
func asAPIError(s *service, err error) *apiError {
	var known *apiError
	if errors.As(err, &known) {
		return known
	}
	var world *sim.Error
	if !errors.As(err, &world) {
		return &apiError{code: s.internal, message: err.Error(), status: http.StatusInternalServerError}
	}
	status, ok := statuses[world.Code]
	switch {
	case ok:
	case world.Fault == sim.FaultServer:
		status = http.StatusInternalServerError
	default:
		status = http.StatusBadRequest
	}
	return &apiError{code: world.Code, message: world.Message, status: status}
}

// Error is for logs and people: "ClusterNotFoundException: Cluster not found."
func (e *apiError) Error() string { return e.code + ": " + e.message }

// clip keeps what a caller sent from filling an error message.
func clip(s string) string {
	const enough = 80 // a longer value is not recognised sooner
	if len(s) <= enough {
		return s
	}
	return s[:enough] + "…"
}
