package badinput_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/policyfile"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/query"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// stored is a message as a release of Neap has written it, to be spoiled.
type stored struct {
	bus *bus.Bus
	js  jetstream.JetStream
	msg *jetstream.RawStreamMsg
}

// storeView publishes a view on a bus of its own and reads the message behind it.
func storeView(t *testing.T) *stored {
	t.Helper()
	url := bustest.Start(t)
	s := &stored{bus: bustest.Connect(t, bus.Config{URL: url})}
	view := snapshot.Assemble(good())
	if err := s.bus.PublishSnapshot(t.Context(), &view); err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if s.js, err = jetstream.New(conn); err != nil {
		t.Fatal(err)
	}
	stream, err := s.js.Stream(t.Context(), "NEAP_1_SNAPSHOT")
	if err != nil {
		t.Fatal(err)
	}
	if s.msg, err = stream.GetLastMsgForSubject(t.Context(), "neap.v1.1.snapshot.prod"); err != nil {
		t.Fatal(err)
	}
	return s
}

// spoil stores the message again, changed, and reads it as a planner does.
func (s *stored) spoil(t *testing.T, change func(*nats.Msg)) error {
	t.Helper()
	msg := &nats.Msg{Subject: s.msg.Subject, Header: nats.Header{}, Data: append([]byte(nil), s.msg.Data...)}
	for name, values := range s.msg.Header {
		if !strings.HasPrefix(name, "Nats-") {
			msg.Header[name] = append([]string(nil), values...)
		}
	}
	change(msg)
	if _, err := s.js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.bus.LatestSnapshot(t.Context(), "prod")
	return err
}

func blobs(t *testing.T) {
	s := storeView(t)
	if err := s.spoil(t, func(*nats.Msg) {}); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	// A frame that says it holds a terabyte: magic, a descriptor with eight bytes of size.
	endless := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0}
	for name, change := range map[string]func(*nats.Msg){
		"cut short":       func(m *nats.Msg) { m.Data = m.Data[:len(m.Data)/2] },
		"empty":           func(m *nats.Msg) { m.Data = nil },
		"a bit flipped":   func(m *nats.Msg) { m.Data[len(m.Data)/2] ^= 1 },
		"another digest":  func(m *nats.Msg) { m.Header.Set("Neap-Sha256", fleet.Digest([]byte("x"))) },
		"no end":          func(m *nats.Msg) { m.Data = endless; m.Header.Set("Neap-Sha256", fleet.Digest(endless)) },
		"in no such blob": func(m *nats.Msg) { m.Header.Set("Neap-Object", "../../etc/passwd"); m.Data = nil },
	} {
		if err := s.spoil(t, change); !errors.Is(err, fleet.ErrInvalid) && !errors.Is(err, fleet.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func headers(t *testing.T) {
	s := storeView(t)
	for _, name := range []string{"Neap-Version", "Neap-Generation", "Neap-Sha256", "Content-Encoding"} {
		for how, change := range map[string]func(*nats.Msg){
			"missing":  func(m *nats.Msg) { m.Header.Del(name) },
			"repeated": func(m *nats.Msg) { m.Header[name] = []string{"0", m.Header.Get(name)} },
			"endless":  func(m *nats.Msg) { m.Header.Set(name, strings.Repeat("9", 60<<10)) },
		} {
			if err := s.spoil(t, change); err == nil {
				t.Errorf("%s %s: the view is taken for a good one", name, how)
			}
		}
	}
}

func traces(t *testing.T) {
	s := storeView(t)
	for _, value := range []string{"", "00", "00-" + strings.Repeat("0", 32) + "-" + strings.Repeat("0", 16) + "-01", "ff-zz-zz-zz", strings.Repeat("-", 40<<10), "00-\x7f"} {
		err := s.spoil(t, func(m *nats.Msg) {
			m.Header.Set("traceparent", value)
			m.Header.Set("tracestate", strings.Repeat("a=b,", 4<<10))
		})
		if err != nil {
			t.Errorf("a trace of %d bytes spoils the view: %v", len(value), err)
		}
	}
}

func nesting(t *testing.T) {
	view := snapshot.Assemble(good())
	message, err := fleet.Encode(&view)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(message), `"body":{`, `"later":{"x":[1]},"body":{"newField":{"y":null},`, 1)
	if _, err := fleet.Decode[fleet.Snapshot]([]byte(newer)); err != nil {
		t.Errorf("fields of a newer release: %v", err)
	}
	for _, open := range []string{"[", `{"a":`} {
		const deep = 200_000
		endless := strings.Replace(string(message), `"body":{`, `"body":{"newField":`+strings.Repeat(open, deep)+",", 1)
		if _, err := fleet.Decode[fleet.Snapshot]([]byte(endless)); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%d times %q: %.100v", deep, open, err)
		}
	}
}

// tokens: nobody logs in to Neap, so no decoder takes a token for anything.
func tokens(t *testing.T) {
	for _, token := range []string{
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImV4cCI6MX0.", "Bearer eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJvdGhlciJ9.c2ln", "eyJhbGciOiJub25lIn0.eyJleHAiOjI1MzQwMjMwMDc5OX0.",
	} {
		if _, err := fleet.Decode[fleet.Plan]([]byte(token)); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("a plan: %v", err)
		}
		if _, err := policyfile.Read("policy.yaml", []byte(token)); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("a policy: %v", err)
		}
		if _, err := query.Parse(token); err == nil {
			t.Error("an expression")
		}
	}
}

// events: what EventBridge did not send is dropped, and what it sent is a hint that carries no
// authority: a foreign instance, twice, two weeks late.
func events(t *testing.T) {
	const warning = `{"source":"aws.ec2","detail-type":"EC2 Spot Instance Interruption Warning","time":%q,"detail":{"instance-id":"i-foreign","instance-action":"terminate"}}`
	late := fmt.Sprintf(warning, now.AddDate(0, 0, -14).Format(time.RFC3339))
	bodies := []string{
		late, late, strings.Replace(late, "aws.ec2", "my.app", 1), "hello", "", `{"Message":"{\"Message\":\"{}\"}"}`, strings.Repeat("[", 100_000),
		fmt.Sprintf(warning, "the day after tomorrow"), `{"source":"aws.ec2","detail-type":"EC2 Spot Instance Interruption Warning","detail":{"instance-id":["i-1"]}}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ReceiveMessage") {
			fmt.Fprint(w, `{"Successful":[],"Failed":[]}`)
			return
		}
		var list []string
		for n, body := range bodies {
			list = append(list, fmt.Sprintf(`{"MessageId":"%d","ReceiptHandle":"r%d","Body":%q}`, n, n, body))
		}
		fmt.Fprintf(w, `{"Messages":[%s]}`, strings.Join(list, ","))
	}))
	defer server.Close()
	account, err := cloud.Open(t.Context(), cloud.Config{Region: "us-east-1", Endpoint: server.URL, Unsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	var heard []cloud.Event
	err = account.Reader(nil).Events(t.Context(), server.URL+"/1/queue", func(_ context.Context, list []cloud.Event) error {
		heard = append(heard, list...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	view := good()
	for _, e := range heard {
		if e.Instance != "i-foreign" {
			t.Errorf("heard %+v", e)
		}
		view.Notices = append(view.Notices, snapshot.Notice{Instance: e.Instance, Kind: fleet.NoticeInterruption, At: e.At})
	}
	if len(heard) != 2 {
		t.Errorf("%d events are heard, want the two that EventBridge could have sent", len(heard))
	}
	nothingIsRemoved(t, see(t, view))
}
