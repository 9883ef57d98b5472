package sim

import "fmt"

// Fault says whose mistake an error is.
type Fault string

// The faults AWS tells apart.
const (
	FaultClient Fault = "client" // HTTP 4xx: the request is wrong
	FaultServer Fault = "server" // HTTP 5xx: AWS cannot serve it now
)

// Error is an error as AWS answers it: a code that clients switch on, and a message.
type Error struct {
	Code    string
	Message string
	Fault   Fault
}

// Error is for people: "ClusterNotFoundException: Cluster not found."
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// clientError is an error of the caller.
func clientError(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Fault: FaultClient}
}

// The error codes of ECS that are used in more than one place.
const (
	codeInvalid         = "InvalidParameterException"
	codeClient          = "ClientException"
	codeClusterNotFound = "ClusterNotFoundException"
	codeServiceNotFound = "ServiceNotFoundException"
	codeNotActive       = "ServiceNotActiveException"
	codeNotFound        = "ResourceNotFoundException"
	codeTargetNotFound  = "TargetNotFoundException"
	codeAttributeLimit  = "AttributeLimitExceededException"
	codeConflict        = "ConflictException"
)

// invalid is ECS's InvalidParameterException.
func invalid(format string, args ...any) *Error { return clientError(codeInvalid, format, args...) }
