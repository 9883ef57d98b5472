package cloud

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestSync: a process that has called AWS of late asks nothing more, and a refusal tells the
// time as well as an answer.
func TestSync(t *testing.T) {
	date := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		rw.Header().Set("Date", date.Format(http.TimeFormat))
		rw.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	a := (&wire{Server: server}).account(t)
	for range 3 {
		if err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if now := a.Now(); now.Before(date) || now.Sub(date) > time.Minute {
		t.Errorf("now is %s, AWS said %s", now, date)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("AWS was asked %d times for its time", n)
	}
	server.Close()
	if err := (&wire{Server: server}).account(t).Sync(t.Context()); err == nil {
		t.Error("the time is known without an answer")
	}
}

// TestKnown: what AWS said is known for some seconds.
func TestKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		if c.known(time.Now()) {
			t.Error("it is known before any answer")
		}
		c.observe(time.Now().Add(time.Hour), time.Now())
		if !c.known(time.Now()) {
			t.Error("it is not known after an answer")
		}
		time.Sleep(clockAge)
		if c.known(time.Now()) {
			t.Errorf("it is still known after %s", clockAge)
		}
	})
}

// TestSpeed: between answers the clock keeps up with a simulated AWS that is in a hurry.
func TestSpeed(t *testing.T) {
	for words, want := range map[string]time.Duration{
		"": time.Second, "40": 40 * time.Second, "0.5": time.Second / 2,
		"0": time.Second, "-1": time.Second, "NaN": time.Second, "1e300": time.Second, "fast": time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			var c clock
			server := time.Now().Add(time.Hour)
			c.observe(server, time.Now())
			c.setSpeed(words)
			time.Sleep(time.Second)
			if got := c.now().Sub(server); got != want {
				t.Errorf("speed %q: it went on by %s in a second, not by %s", words, got, want)
			}
		})
	}
}
