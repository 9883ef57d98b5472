package awssim

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// call is one request, as far as it can be read without knowing the operation.
type call struct {
	service   *service
	operation string
	form      url.Values // of a query
	body      []byte     // of a JSON request
	base      string     // address that the client asked: http://127.0.0.1:4566
}

// service is one service of AWS.
type service struct {
	name     string // the SigV4 signing name
	target   string // prefix of X-Amz-Target; empty for a query service
	version  string // of the API of a query service, by which it is found
	protocol protocol

	unknownAction      string // codes that differ from service to service
	throttled          apiError
	internal           string
	invalid            string // of a request that does not satisfy the API model
	worldRequires      bool   // the world says what a request must have
	badSignature       string
	badSignatureStatus int

	operations map[string]*operation
}

// operation is one operation of a service.
type operation struct {
	input   func() any
	run     func(*request, any) (any, error)
	charges func(*call, any) []charge
	reads   bool

	// patience and empty are set for an operation that may wait for an answer: how long it
	// is told to, and whether an answer is not worth returning yet.
	patience func(world *sim.World, in any) time.Duration
	empty    func(out any) bool
}

// request is what an operation may use beside its input. It is valid while the operation
// runs.
type request struct {
	world *sim.World
	base  string // address that the client asked
}

// act makes an operation of a method of the world.
func act[In, Out any](f func(*sim.World, *In) (*Out, error), charges ...charge) *operation {
	return perform(func(r *request, in *In) (*Out, error) { return f(r.world, in) }, charges...)
}

// read makes an operation, which changes nothing, of a method of the world.
func read[In, Out any](f func(*sim.World, *In) (*Out, error), charges ...charge) *operation {
	op := act(f, charges...)
	op.reads = true
	return op
}

// perform makes an operation of a function.
func perform[In, Out any](f func(*request, *In) (*Out, error), charges ...charge) *operation {
	return &operation{
		input: func() any { return new(In) },
		run: func(r *request, in any) (any, error) {
			out, err := f(r, in.(*In))
			if err != nil {
				return nil, err // not a typed nil in out
			}
			return out, nil
		},
		charges: func(*call, any) []charge { return charges },
	}
}

// lookup finds an operation by its name.
func (s *service) lookup(name string) (*operation, *apiError) {
	if op := s.operations[name]; op != nil {
		return op, nil
	}
	if s.target == "" {
		return nil, fault(s.unknownAction, "The action %s is not valid for this web service.", clip(name))
	}
	return nil, fault(s.unknownAction, "The operation %s is not known.", clip(name))
}

// maxBody is more than any request of the simulated services needs (a task definition has
// 64 KiB, an SQS message 1 MiB), and little enough to read at once.
const maxBody = 4 << 20

// readCall finds out which operation of which service a request wants. The call always has
// a service, so that an error can be written in its protocol.
func readCall(w http.ResponseWriter, r *http.Request) (*call, *apiError) {
	c := &call{service: queryServices[0], base: "http://" + r.Host}
	if r.TLS != nil {
		c.base = "https://" + r.Host
	}
	target := r.Header.Get("X-Amz-Target")
	if target != "" {
		c.service = frontDoor
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return c, &apiError{code: "RequestEntityTooLarge", message: "The request is larger than this server accepts.", status: http.StatusRequestEntityTooLarge}
	case err != nil:
		return c, fault("IncompleteBody", "The body ended before it was complete.")
	case target == "" && c.readPath(r, body):
		return c, nil
	case target != "" && !isJSON(r):
		c.service = closedDoor
		return c, &apiError{code: "UnknownOperationException", status: http.StatusNotFound}
	case target != "":
		return c, c.readTarget(target, body)
	default:
		return c, c.readForm(r, body)
	}
}

// isJSON says whether a request is one that a service which speaks JSON looks at.
func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && r.Method == http.MethodPost && (kind == contentJSON10 || kind == contentJSON11)
}

func (c *call) readTarget(target string, body []byte) *apiError {
	prefix, name, _ := strings.Cut(target, ".")
	for _, s := range jsonServices {
		if s.target == prefix {
			c.service, c.operation, c.body = s, name, body
			return nil
		}
	}
	return fault("UnknownOperationException", "The target %s is not known.", clip(target))
}

func (c *call) readForm(r *http.Request, body []byte) *apiError {
	form := r.URL.Query()
	if r.Method == http.MethodPost {
		posted, err := url.ParseQuery(string(body))
		if err != nil {
			return fault("MalformedQueryString", "The query string contains a syntax error: %s", clip(err.Error()))
		}
		for name, values := range posted {
			form[name] = values
		}
	}
	for _, s := range queryServices {
		if s.version == form.Get("Version") {
			c.service = s
		}
	}
	c.operation, c.form = form.Get("Action"), form
	if c.service.name == "sqs" && !form.Has("QueueUrl") && len(r.URL.Path) > 1 {
		form.Set("QueueUrl", c.base+r.URL.Path) // older clients name the queue by where they post to
	}
	if c.operation == "" {
		return fault("MissingAction", "The request must contain the parameter Action.")
	}
	return nil
}
