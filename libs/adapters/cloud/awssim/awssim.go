package awssim

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// Options of a [Server]. The zero value runs in real time and throttles nobody.
type Options struct {
	// Speed is how many seconds of virtual time pass in one of wall time. 0 is 1; [Frozen]
	// stands still until [Server.Advance]; what is above [MaxSpeed] is [MaxSpeed].
	Speed float64

	// Throttle turns the published rate limits of the APIs on. They refill in virtual time.
	Throttle bool

	// Latency is the least wall time that a call takes; 0 is 2 ms, below zero is none. AWS
	// never answers at once, and clients rely on that: the AWS SDK for Go loses long answers
	// that are there before it has finished looking after its request.
	Latency time.Duration

	// Clock is the wall clock; nil is time.Now.
	Clock func() time.Time

	// Log receives one record for each call that changes something, at level debug; nil is
	// silence.
	Log *slog.Logger

	// History is how many of the newest entries of the world's history are kept for
	// GET /_neap/history; 0 is none.
	History int

	// HistoryTo gets every entry of the history as a line of JSON; nil is nowhere.
	HistoryTo io.Writer
}

// Server answers the requests of AWS clients from one simulated world. It is an
// [http.Handler], safe for concurrent use; while it serves, nobody else may touch the world
// but through [Server.World].
type Server struct {
	log     *slog.Logger
	latency time.Duration
	side    http.Handler

	mu       sync.Mutex
	world    *sim.World
	clock    clock
	past     map[string]pastAnswer // of reads, while an outage wants old answers
	requests uint64
	history  history
	moved    time.Duration // by which loads moved virtual time
	changed  chan struct{} // closed and replaced whenever the world may have changed
}

// New returns a server over a world, whose time becomes the server's virtual time. Call
// [Server.Run] beside it, or [Server.Serve], if things should happen while no request
// comes in.
func New(world *sim.World, options Options) *Server {
	s := &Server{
		log:     options.Log,
		latency: options.Latency,
		world:   world,
		changed: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.latency == 0 {
		s.latency = usualLatency
	}
	wall := options.Clock
	if wall == nil {
		wall = time.Now
	}
	s.clock = clock{wall: wall, base: world.Now(), since: wall(), speed: usableSpeed(options.Speed)}
	s.side = s.sideDoor()
	s.history = newHistory(&options)
	s.history.attach(world)
	if options.Throttle {
		world.SetThrottling(true)
	}
	return s
}

// usualLatency is a fraction of what AWS takes, and many times what a client needs to get
// ready for an answer.
const usualLatency = 2 * time.Millisecond

func usableSpeed(speed float64) float64 {
	switch {
	case speed == 0:
		return 1
	case speed > 0: // not a NaN
		return min(speed, MaxSpeed)
	default:
		return 0
	}
}

// World lets f use the world, moved to the present, while no request does. If f advances
// the world, the clock of the server follows.
func (s *Server) World(f func(*sim.World)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	f(s.world)
	if ahead := s.world.Now().Sub(s.clock.now()); ahead > 0 {
		s.clock.jump(ahead)
	}
	s.announce()
}

// Now is the virtual time.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.now()
}

// Speed is how many seconds of virtual time pass in one of wall time; 0 is a standstill.
func (s *Server) Speed() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.speed
}

// SetSpeed changes the speed of time from now on; 0 and [Frozen] stop it, and what is above
// [MaxSpeed] is [MaxSpeed].
func (s *Server) SetSpeed(speed float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	if speed != 0 {
		speed = usableSpeed(speed)
	}
	s.clock.setSpeed(speed)
	s.announce()
}

// Advance jumps ahead: when it returns, the world has lived through d. A d that is not
// positive does nothing.
func (s *Server) Advance(d time.Duration) {
	if d <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.jump(d)
	s.catchUp()
	s.announce()
}

// catchUp moves the world to the present. The lock is held.
func (s *Server) catchUp() { s.world.Advance(s.clock.now()) }

// lived is a time that passes as virtual time does but that no load moves: what waits is
// measured in it.
func (s *Server) lived() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.now().Add(-s.moved)
}

// announce wakes whoever waits for the world to change. The lock is held.
func (s *Server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// ServeHTTP answers one request of an AWS client or of the side door.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, sidePrefix) {
		s.side.ServeHTTP(w, r)
		return
	}
	earliest := time.NewTimer(s.latency)
	defer earliest.Stop()
	requestID := s.nextRequestID()
	if name, foreign := foreignService(r); foreign {
		w.Header().Set("Date", s.Now().UTC().Format(http.TimeFormat))
		refuseForeign(w, r, requestID, name)
		return
	}
	c, err := readCall(w, r)
	if err == nil {
		err = checkCredential(c.service, r)
	}
	var body []byte
	var trouble sim.Trouble
	if err == nil {
		trouble = s.trouble(c)
		body, err = s.attempt(r.Context(), c, requestID, trouble)
	}
	if hangsUp(trouble.Kind) {
		hangUp(w)
		return
	}
	select {
	case <-earliest.C:
	case <-r.Context().Done():
	}
	// Clients take their clock from the date of an answer; Neap's carry it on at its speed.
	w.Header().Set("Date", s.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Neap-Clock-Speed", strconv.FormatFloat(s.Speed(), 'g', -1, 64))
	if err != nil {
		c.service.protocol.refuse(w, requestID, err)
		return
	}
	if trouble.Kind == sim.TroubleTruncated {
		w = &truncated{ResponseWriter: w}
	}
	c.service.protocol.answer(w, requestID, body)
}

// nextRequestID numbers the requests in the form that AWS gives its IDs.
func (s *Server) nextRequestID() string {
	s.mu.Lock()
	s.requests++
	n := s.requests
	s.mu.Unlock()
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("request"), n))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// perform carries out a call: it finds the operation, reads its input, charges the rate
// limits, and asks the world, again and again while the call is one that waits, there is
// nothing to say yet, and time is left.
func (s *Server) perform(ctx context.Context, c *call, requestID string) ([]byte, *apiError) {
	op, err := c.service.lookup(c.operation)
	if err != nil {
		return nil, err
	}
	in := op.input()
	if err := c.service.protocol.decode(c, in); err != nil {
		return nil, err
	}
	if err := s.checkIdentifiers(c); err != nil {
		return nil, err
	}
	if !s.allowed(c, op, in) {
		return nil, &c.service.throttled
	}
	answer, wait, err := s.ask(c, requestID, op, in)
	if err != nil || !wait {
		return answer, err
	}
	s.mu.Lock()
	patience := op.patience(s.world, in)
	s.mu.Unlock()
	deadline := s.lived().Add(patience)
	// Where virtual time creeps or stands still, a poll ends by the wall: a client gives up
	// on a server that never answers.
	wall := time.NewTimer(patience)
	defer wall.Stop()
	for wait && s.awaitChange(ctx, wall.C, deadline) {
		if answer, wait, err = s.ask(c, requestID, op, in); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// allowed charges a call to the rate limits of the account.
func (s *Server) allowed(c *call, op *operation, in any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	return !s.world.Throttling() || s.world.Charge(due(c.operation, op.charges(c, in), in)...)
}

// ask lets the world answer a call once. The answer is encoded while the world stands
// still, for it may share memory with it. The second result says that it is worth waiting
// for a better one.
func (s *Server) ask(c *call, requestID string, op *operation, in any) ([]byte, bool, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	if !op.reads && c.form.Get("DryRun") == "true" && !triesItself(in) {
		return nil, false, errDryRun
	}
	out, err := op.run(&request{world: s.world, base: c.base}, in)
	if !op.reads {
		s.world.Called(c.service.name+":"+c.operation, in, err)
		s.log.Debug("called", "service", c.service.name, "operation", c.operation, "at", s.world.Now(), "error", err)
		s.announce()
	}
	if err == nil && op.reads && c.form.Get("DryRun") == "true" {
		err = errDryRun
	}
	if err != nil {
		return nil, false, asAPIError(c.service, err)
	}
	body, err := c.service.protocol.encode(c, requestID, out)
	if err != nil {
		return nil, false, asAPIError(c.service, fmt.Errorf("encode the answer of %s: %w", c.operation, err))
	}
	return body, op.empty != nil && op.empty(out), nil
}

// errDryRun is how EC2 says that it would have done what was asked.
var errDryRun = &apiError{"DryRunOperation", "Request would have succeeded, but DryRun flag is set.", http.StatusPreconditionFailed}

// triesItself reports whether the world looks at the rest of a request in a dry run: it does
// for launches. Of other changes only the permission is checked, which everybody has.
func triesItself(in any) bool {
	v := reflect.Indirect(reflect.ValueOf(in))
	return v.Kind() == reflect.Struct && v.FieldByName("DryRun").IsValid()
}

// awaitChange waits until the world may have changed. It answers false when it is time to
// stop: virtual time or the wall has reached the deadline, or the client has gone.
func (s *Server) awaitChange(ctx context.Context, wall <-chan time.Time, deadline time.Time) bool {
	s.mu.Lock()
	changed := s.changed
	left := deadline.Sub(s.clock.now().Add(-s.moved))
	pause := s.clock.wait(left)
	s.mu.Unlock()
	if left <= 0 {
		return false
	}
	// A server that nobody runs must move the world by itself.
	beat := time.NewTimer(min(pause, advanceBeat))
	defer beat.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wall:
		return false
	case <-changed:
		return true
	case <-beat.C:
		return true
	}
}
