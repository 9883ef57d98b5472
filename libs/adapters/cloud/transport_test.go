package cloud

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// fragileBody fails like that of the SDK: once closed, it can no longer be read.
type fragileBody struct {
	io.Reader
	closed bool
}

func (b *fragileBody) Close() error { b.closed = true; return nil }

func (b *fragileBody) Read(p []byte) (int, error) {
	if b.closed {
		return 0, errors.New("read after close")
	}
	return b.Reader.Read(p)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBodiesAreWholeBeforeTheyAreSent(t *testing.T) {
	original := &fragileBody{Reader: strings.NewReader("Action=CreateFleet")}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", original)
	if err != nil {
		t.Fatal(err)
	}
	sent := ""
	next := roundTrip(func(r *http.Request) (*http.Response, error) {
		if !original.closed {
			t.Error("the SDK's own body is still in use")
		}
		b, err := io.ReadAll(r.Body)
		sent = string(b)
		return &http.Response{}, err
	})
	resp, err := (wholeBodies{next}).RoundTrip(r)
	if err != nil || sent != "Action=CreateFleet" {
		t.Errorf("sent %q, %v", sent, err)
	}
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
}
