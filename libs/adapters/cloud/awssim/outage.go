package awssim

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// hangFor is longer than any client waits for an answer.
const hangFor = 10 * time.Minute

// trouble asks the world what outage hits a call.
func (s *Server) trouble(c *call) sim.Trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	return s.world.Trouble(c.service.name, c.operation)
}

// attempt carries out a call as far as the trouble with it lets it.
func (s *Server) attempt(ctx context.Context, c *call, requestID string, t sim.Trouble) ([]byte, *apiError) {
	sleep(ctx, t.Delay)
	switch t.Kind {
	case sim.TroubleError:
		return nil, c.service.outage(t)
	case sim.TroubleHang:
		sleep(ctx, hangFor)
		return nil, nil
	case sim.TroubleReset:
		return nil, nil
	default: // these answer, late, wrongly or in vain
	}
	if body, ok := s.recall(c, requestID, t); ok {
		return body, nil
	}
	body, err := s.perform(ctx, c, requestID)
	if err == nil {
		s.remember(c, requestID, body)
	}
	return body, err
}

// sleep waits by the wall clock, but not for a client that has gone.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// outage is the error of a call that an outage hit.
func (s *service) outage(t sim.Trouble) *apiError {
	code, status := t.Code, t.Status
	if code == "" {
		switch status {
		case 0, http.StatusInternalServerError:
			code = s.internal
		case http.StatusServiceUnavailable:
			code = s.unavailable()
		case http.StatusTooManyRequests, s.throttled.status:
			code = s.throttled.code
		case http.StatusForbidden:
			code = "AccessDeniedException"
		default:
			code = s.internal
		}
	}
	if status == 0 {
		status = s.statusOf(code)
	}
	message := "Service Unavailable. Please try again later."
	if code == s.throttled.code {
		message = s.throttled.message
	}
	return &apiError{code: code, message: message, status: status}
}

// unavailable is the code with which a service says that it is down.
func (s *service) unavailable() string {
	switch {
	case s.target != "":
		return "ServiceUnavailableException"
	case s.name == "ec2":
		return "Unavailable"
	default:
		return "ServiceUnavailable"
	}
}

// statusOf is the HTTP status of an error code.
func (s *service) statusOf(code string) int {
	switch status, known := statuses[code]; {
	case known:
		return status
	case code == s.throttled.code:
		return s.throttled.status
	case strings.HasPrefix(code, "Internal"), strings.HasPrefix(code, "Server"):
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

// hangsUp says whether a client of a call in trouble gets no answer at all.
func hangsUp(kind sim.TroubleKind) bool {
	return kind == sim.TroubleReset || kind == sim.TroubleHang || kind == sim.TroubleLost
}

// hangUp resets the connection.
func hangUp(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: this resets the stream
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a close is then a reset
	}
	_ = connection.Close() // it is to break
}

// truncated breaks off in the middle of an answer.
type truncated struct {
	http.ResponseWriter
	status int
}

// WriteHeader waits for the body, whose length the header tells.
func (t *truncated) WriteHeader(status int) { t.status = status }

// Write announces all of the body, writes half of it, and ends the connection.
func (t *truncated) Write(body []byte) (int, error) {
	t.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if t.status != 0 {
		t.ResponseWriter.WriteHeader(t.status)
	}
	_, _ = t.ResponseWriter.Write(body[:len(body)/2])
	_ = http.NewResponseController(t.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// pastAnswer is what a read was answered some time ago.
type pastAnswer struct {
	body      []byte
	requestID string
	at        time.Time // virtual
}

// mostPast bounds the memory for answers of the past.
const mostPast = 10_000

// key tells a call from others that ask something else.
func (c *call) key() string {
	return c.service.name + " " + c.operation + " " + string(c.body) + c.form.Encode()
}

// recall finds the answer that the same read had not too long ago, if the call is to be
// answered from the past.
func (s *Server) recall(c *call, requestID string, t sim.Trouble) ([]byte, bool) {
	if t.Kind != sim.TroubleStale {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	past, ok := s.past[c.key()]
	if !ok || s.clock.now().Sub(past.at) > t.Age {
		return nil, false
	}
	return bytes.ReplaceAll(past.body, []byte(past.requestID), []byte(requestID)), true
}

// remember keeps the answer of a read while some reads are to be answered from the past.
func (s *Server) remember(c *call, requestID string, body []byte) {
	op := c.service.operations[c.operation]
	if op == nil || !op.reads || op.empty != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.world.ReadsStale() {
		s.past = nil
		return
	}
	if s.past == nil || len(s.past) >= mostPast {
		s.past = map[string]pastAnswer{}
	}
	s.past[c.key()] = pastAnswer{body, requestID, s.clock.now()}
}
