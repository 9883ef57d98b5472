// Package awstest gives tests an AWS account of their own: a simulated world behind HTTP,
// the real adapter in front of it, and a line between the two on which calls are noted and
// answers can get lost.
package awstest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/cloud/awssim"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// Account is a simulated AWS account that ends with its test.
type Account struct {
	*cloud.Account
	Server *awssim.Server

	t      testing.TB
	mu     sync.Mutex
	calls  []Call
	lose   map[string]int
	before map[string]func()
}

// Call is a request that reached AWS.
type Call struct {
	Operation string // "CreateFleet"
	Body      string
}

// Open makes a world and an account in front of it. Time stands still but for
// [Account.Play].
func Open(t testing.TB, config sim.Config) *Account {
	t.Helper()
	world, err := sim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	a := &Account{Server: awssim.New(world, awssim.Options{Speed: awssim.Frozen}), t: t, lose: map[string]int{}, before: map[string]func(){}}
	listener := httptest.NewServer(a)
	t.Cleanup(listener.Close)
	a.Account, err = cloud.Open(t.Context(), cloud.Config{
		Region: world.Region(), Endpoint: listener.URL, Unsigned: true,
		Share: 1000, // tests do not wait for rate limits
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// World lets f use the world while nobody else does.
func (a *Account) World(f func(*sim.World)) { a.Server.World(f) }

// Play lets time pass, 100 times as fast as on the wall, until the test ends. The account's
// clock keeps up, as it does in a process that sweeps the cluster.
func (a *Account) Play() {
	ctx, cancel := context.WithCancel(context.Background())
	var playing sync.WaitGroup
	playing.Go(func() {
		beat := time.NewTicker(10 * time.Millisecond)
		defer beat.Stop()
		reader := a.Reader(nil)
		for ctx.Err() == nil {
			a.Server.Advance(time.Second)
			// Only the date of the answer matters, and an error has one too.
			_, _ = reader.Cluster(ctx, "any")
			select {
			case <-beat.C:
			case <-ctx.Done():
			}
		}
	})
	a.t.Cleanup(func() { cancel(); playing.Wait() })
}

// Lose makes the answers of the next n calls of an operation get lost: AWS does what was
// asked and the caller never hears of it.
func (a *Account) Lose(operation string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lose[operation] = n
}

// Before runs f once, when the next call of an operation has arrived and AWS has not done
// it yet.
func (a *Account) Before(operation string, f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before[operation] = f
}

// Calls are the requests of the given operations so far, in order.
func (a *Account) Calls(operations ...string) []Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	var calls []Call
	for _, c := range a.calls {
		for _, operation := range operations {
			if c.Operation == operation {
				calls = append(calls, c)
			}
		}
	}
	return calls
}

// ServeHTTP is the line.
func (a *Account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	call := Call{Operation: operation(r, body), Body: string(body)}
	a.mu.Lock()
	a.calls = append(a.calls, call)
	lost := a.lose[call.Operation] > 0
	if lost {
		a.lose[call.Operation]--
	}
	before := a.before[call.Operation]
	delete(a.before, call.Operation)
	a.mu.Unlock()
	if before != nil {
		before()
	}
	if lost {
		a.Server.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	a.Server.ServeHTTP(w, r)
}

// operation reads the name of the operation as each of AWS's protocols gives it.
func operation(r *http.Request, body []byte) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return target[strings.LastIndexByte(target, '.')+1:]
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return form.Get("Action")
}
