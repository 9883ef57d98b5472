package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/neap-project/neap/libs/fleet"
)

// wire is an AWS endpoint that gives the same answer to everything and remembers what it
// was asked.
type wire struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string // operation: body
}

// answering starts a wire; answer returns status and body for an operation.
func answering(t *testing.T, answer func(operation string) (status int, body string)) *wire {
	t.Helper()
	w := &wire{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read request: %v", err)
		}
		operation := r.Header.Get("X-Amz-Target")
		operation = operation[strings.LastIndexByte(operation, '.')+1:]
		rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if operation == "" {
			operation = strings.TrimPrefix(strings.SplitN(string(body), "&", 2)[0], "Action=")
			rw.Header().Set("Content-Type", "text/xml")
		}
		w.mu.Lock()
		w.requests = append(w.requests, operation+": "+string(body))
		w.mu.Unlock()
		status, text := answer(operation)
		rw.Header().Set("X-Amzn-Requestid", "req-1")
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, text)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *wire) account(t *testing.T) *Account {
	t.Helper()
	a, err := Open(t.Context(), Config{Region: "us-east-1", Endpoint: w.URL, Unsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// bareEnvironment hides every source of region and credentials.
func bareEnvironment(t *testing.T) {
	t.Helper()
	nowhere := t.TempDir()
	for name, value := range map[string]string{
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
		"AWS_CONFIG_FILE": nowhere + "/config", "AWS_SHARED_CREDENTIALS_FILE": nowhere + "/credentials",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
	} {
		t.Setenv(name, value)
	}
}

func TestOpenNamesWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		kind error
		says string
	}{
		{"no region", Config{Unsigned: true}, fleet.ErrInvalid, "AWS_REGION"},
		{"no credentials", Config{Region: "us-east-1"}, fleet.ErrDenied, "AWS_ACCESS_KEY_ID"},
		{"no share", Config{Region: "us-east-1", Unsigned: true, Share: -1}, fleet.ErrInvalid, "share"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bareEnvironment(t)
			_, err := Open(t.Context(), c.cfg)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v; want %v that names %s", err, c.kind, c.says)
			}
		})
	}
}

func TestErrorsOverTheWire(t *testing.T) {
	ecsError := func(status int, code string) (int, string) {
		return status, fmt.Sprintf(`{"__type":%q,"message":"Found running tasks on the instance."}`, code)
	}
	ec2Error := func(status int, code string) (int, string) {
		return status, fmt.Sprintf(`<Response><Errors><Error><Code>%s</Code><Message>because</Message></Error></Errors><RequestID>req-1</RequestID></Response>`, code)
	}
	readCluster := func(a *Account) error {
		_, err := a.Reader(nil).Cluster(t.Context(), "prod")
		return err
	}
	terminate := func(a *Account) error { return a.Drainer().Terminate(t.Context(), "i-1") }
	deregister := func(a *Account) error { return a.Drainer().Deregister(t.Context(), "prod", "c1") }
	type answer func(int, string) (int, string)
	for _, c := range []struct {
		name   string
		answer answer
		status int
		code   string
		do     func(*Account) error
		kind   error
		class  fleet.FailureClass
		calls  int
	}{
		{"no such cluster", ecsError, 400, "ClusterNotFoundException", readCluster, fleet.ErrNotFound, fleet.FailureStale, 1},
		{"denied", ecsError, 400, "AccessDeniedException", readCluster, fleet.ErrDenied, fleet.FailureDenied, 1},
		{"a read is repeated when throttled", ecsError, 400, "ThrottlingException", readCluster, fleet.ErrThrottled, fleet.FailureThrottled, readAttempts},
		{"a read is repeated on a fault of ECS", ecsError, 500, "ServerException", readCluster, fleet.ErrUnknown, fleet.FailureUnknown, readAttempts},
		{"a change is not repeated when throttled", ec2Error, 503, "RequestLimitExceeded", terminate, fleet.ErrThrottled, fleet.FailureThrottled, 1},
		{"a change is not repeated on a fault", ec2Error, 500, "InternalError", terminate, fleet.ErrUnknown, fleet.FailureUnknown, 1},
		{"no such instance", ec2Error, 400, "InvalidInstanceID.NotFound", terminate, fleet.ErrNotFound, fleet.FailureStale, 1},
		{"a wrong request", ec2Error, 400, "InvalidInstanceID.Malformed", terminate, fleet.ErrInvalid, fleet.FailureInvalid, 1},
		{"tasks run", ecsError, 400, "InvalidParameterException", deregister, fleet.ErrTasksRunning, fleet.FailureStale, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := answering(t, func(string) (int, string) { return c.answer(c.status, c.code) })
			err := c.do(w.account(t))
			if !errors.Is(err, c.kind) {
				t.Errorf("got %v, want %v", err, c.kind)
			}
			if got := Class(err); got != c.class {
				t.Errorf("class %q, want %q", got, c.class)
			}
			if !strings.Contains(err.Error(), "request req-1") {
				t.Errorf("%v does not name the request", err)
			}
			if len(w.requests) != c.calls {
				t.Errorf("%d calls, want %d", len(w.requests), c.calls)
			}
		})
	}
}

func TestBrokenConnectionIsUnknown(t *testing.T) {
	w := answering(t, func(string) (int, string) { return 200, "" })
	a := w.account(t)
	w.Close()
	err := a.Drainer().Terminate(t.Context(), "i-1")
	if !errors.Is(err, fleet.ErrUnknown) || Class(err) != fleet.FailureUnknown {
		t.Errorf("got %v", err)
	}
}

func TestNowIsTheServers(t *testing.T) {
	date := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	var answers atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Date", date.Add(time.Duration(answers.Add(1))*time.Hour).Format(http.TimeFormat))
		rw.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	a := (&wire{Server: server}).account(t)
	for i := range 3 {
		if err := a.Drainer().Terminate(t.Context(), "i-1"); err == nil {
			t.Fatal("an error was expected")
		}
		at := date.Add(time.Duration(i+1) * time.Hour)
		if now := a.Now(); now.Before(at) || now.Sub(at) > time.Minute {
			t.Errorf("now is %s after an answer of %s", now, at)
		}
	}
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		start := time.Now()
		if !c.now().Equal(start) {
			t.Errorf("before any answer it is %s", c.now())
		}
		server := start.Add(10 * time.Minute)
		c.observe(server, time.Now())
		time.Sleep(900 * time.Millisecond)
		c.observe(server, time.Now()) // the same second still
		if got := c.now().Sub(server); got != 900*time.Millisecond {
			t.Errorf("within one second of the server it went on by %s", got)
		}
		c.observe(server.Add(time.Hour), time.Now())
		c.observe(server.Add(time.Hour-30*time.Second), time.Now()) // an answer that was overtaken
		if got := c.now(); got.Before(server.Add(time.Hour)) {
			t.Errorf("it ran backwards to %s", got)
		}
		c.observe(server, time.Now()) // an hour back: it was wrong
		if got := c.now(); !got.Equal(server) {
			t.Errorf("a clock that was wrong was not set right: %s", got)
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := newLimits(DefaultShare, (&clock{}).pace)
		l := limits.lane(clusterRead)
		if l != limits.lane(clusterRead) {
			t.Error("each caller has a bucket of its own")
		}
		start, calls := time.Now(), 0
		for time.Since(start) < 100*time.Second {
			if err := l.wait(context.Background()); err != nil {
				t.Fatal(err)
			}
			calls++
		}
		allowed := DefaultShare * (clusterRead.burst + 100*clusterRead.rate)
		if float64(calls) > allowed+1 {
			t.Errorf("%d calls in 100 s, our share is %.0f", calls, allowed)
		}
		// The common lane is empty now: a sweep waits, a drain does not.
		begun := time.Now()
		for range 3 {
			if err := l.wait(forDrain(context.Background())); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(begun); waited > 0 {
			t.Errorf("a drain waited %s behind a sweep", waited)
		}
	})
}

// TestLimitsFollowThePaceOfTheServer: tokens refill in AWS's time, also where that is
// simulated and runs faster than ours.
func TestLimitsFollowThePaceOfTheServer(t *testing.T) {
	c := &clock{}
	limits := newLimits(1, c.pace)
	l := limits.lane(clusterRead)
	common, drains := l.common.Limit(), l.drains.Limit()
	for words, want := range map[string]float64{"30": 30, "": 1, "0.5": 0.5} {
		c.setSpeed(words)
		l.follow(limits.pace())
		if l.common.Limit() != common*rate.Limit(want) || l.drains.Limit() != drains*rate.Limit(want) {
			t.Errorf("at speed %q: %v and %v, want %v times %v and %v", words, l.common.Limit(), l.drains.Limit(), want, common, drains)
		}
	}
}

func TestThrottlingHalvesTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(1, (&clock{}).pace).lane(clusterRead)
		full := l.common.Limit()
		time.Sleep(time.Second)
		for range 5 { // one burst is one reason
			l.throttled(time.Now())
		}
		if got := l.common.Limit(); got != full/2 {
			t.Errorf("after a burst of throttled calls the rate is %v of %v", got, full)
		}
		for range 10 {
			time.Sleep(recoverEvery)
			l.throttled(time.Now())
		}
		if got := l.common.Limit(); got != full*leastRate {
			t.Errorf("the least rate is %v of %v", got, full)
		}
		for range 30 {
			time.Sleep(recoverEvery)
			l.answered(time.Now())
		}
		if got := l.common.Limit(); got != full {
			t.Errorf("half a minute later the rate is %v of %v", got, full)
		}
	})
}

// TestWaitingTooLongIsNotUnknown: a call that was never sent leaves no doubt.
func TestWaitingTooLongIsNotUnknown(t *testing.T) {
	w := answering(t, func(string) (int, string) { return 400, `` })
	a, err := Open(t.Context(), Config{Region: "us-east-1", Endpoint: w.URL, Unsigned: true, Share: 0.0001})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_ = a.Drainer().Terminate(ctx, "i-1")
	_ = a.Drainer().Terminate(ctx, "i-1")
	err = a.Drainer().Terminate(ctx, "i-1")
	if !errors.Is(err, fleet.ErrThrottled) || len(w.requests) != 2 {
		t.Errorf("after %d calls: %v", len(w.requests), err)
	}
}
