// Package cachetest starts real Redis servers for tests.
package cachetest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// StartRedis starts a real redis-server on a free port and returns its URL. It
// ends with the test.
func StartRedis(t testing.TB) string {
	t.Helper()
	return Start(t).URL
}

// Server is one redis-server process. Its data lives in a folder of the test.
type Server struct {
	URL  string // redis://127.0.0.1:port/0
	Addr string

	t    testing.TB
	args []string
	cmd  *exec.Cmd
	log  string
}

// Start starts a redis-server with more arguments, such as "--maxmemory", "2mb".
// Without redis-server on PATH a test under -short is skipped, and any other
// fails: what was tested against a stand-in only was not tested.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if testing.Short() {
			t.Skip("redis-server is not on PATH; skipped because of -short")
		}
		t.Fatal("redis-server is not on PATH: install it (apt-get install redis-server, brew install redis) or run with -short")
	}
	dir := t.TempDir()
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	s := &Server{
		URL:  "redis://" + addr + "/0",
		Addr: addr,
		t:    t,
		log:  filepath.Join(dir, "redis.log"),
		args: append([]string{
			"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--logfile", filepath.Join(dir, "redis.log"),
			"--save", "", "--appendonly", "no", "--daemonize", "no",
		}, args...),
	}
	s.Restart()
	t.Cleanup(s.Stop)
	return s
}

// Restart starts the server again after Stop, at the same address and empty.
func (s *Server) Restart() {
	s.t.Helper()
	_ = os.Remove(s.log) // what it says there has to be news
	s.cmd = exec.Command("redis-server", s.args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	// Its own log proves that it is this server that is up, not a stranger who
	// was quicker to take the port. A loaded machine may need seconds for it.
	deadline := time.After(20 * time.Second)
	for tick := time.Tick(10 * time.Millisecond); ; {
		log, _ := os.ReadFile(s.log)
		if bytes.Contains(log, []byte("Ready to accept connections")) {
			return
		}
		select {
		case <-tick:
		case <-deadline:
			s.Stop()
			s.t.Fatalf("redis-server at %s does not come up:\n%s", s.Addr, log)
		}
	}
}

// Stop ends the server at once, as a crash would. It may be called twice.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Freeze makes the server hang: it still takes connections and answers nothing.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal redis-server: %v", err)
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer listener.Close()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
}
