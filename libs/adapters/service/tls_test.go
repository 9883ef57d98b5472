package service

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestTLSFiles(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what we want
	server.StartTLS()
	defer server.Close()
	ca := write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	addr := server.Listener.Addr().String()

	trusting, err := TLSFiles{CA: ca}.Client("example.com")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", addr, trusting)
	if err != nil {
		t.Fatal(err)
	}
	if v := conn.ConnectionState().Version; v != tls.VersionTLS13 {
		t.Errorf("spoke TLS %x", v)
	}
	conn.Close()

	for name, files := range map[string]TLSFiles{"system authorities": {}, "another name": {CA: ca}} {
		cfg, err := files.Client(map[bool]string{true: "example.com", false: "other.test"}[files.Empty()])
		if err != nil {
			t.Fatal(err)
		}
		if conn, err := tls.Dial("tcp", addr, cfg); err == nil {
			conn.Close()
			t.Errorf("%s: connected", name)
		}
	}
}

func TestTLSFilesErrors(t *testing.T) {
	empty := write(t, "nothing")
	tests := map[string]struct {
		files TLSFiles
		want  string
	}{
		"no CA":     {TLSFiles{CA: "/no/such"}, "read CA: open /no/such"},
		"bad CA":    {TLSFiles{CA: empty}, "no PEM certificate in it"},
		"no key":    {TLSFiles{Cert: empty}, "needs its key"},
		"bad pair":  {TLSFiles{Cert: empty, Key: empty}, "read client certificate"},
		"nothing":   {TLSFiles{}, ""},
		"not there": {TLSFiles{Cert: "/no/such", Key: empty}, os.ErrNotExist.Error()[:4]},
	}
	for name, test := range tests {
		_, err := test.files.Client("x")
		if (err == nil) != (test.want == "") || !strings.Contains(text(err), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}
