// Package natsembed runs the real nats-server within this process: for the one-process
// mode, and for tests. It is the same server, on the same storage, as the one that runs
// by itself.
package natsembed

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
)

// Options of an embedded server.
type Options struct {
	DataDir string // where JetStream stores; it is created if missing
	Listen  string // host:port for others to connect to, port 0 for any free one; empty listens nowhere
	Name    string // of the server; default neap
	// MaxBytes is the most that JetStream may store; 0 is three quarters of the free disk.
	MaxBytes int64
	// Config is a configuration file of nats-server, for what the fields here do not say: users, TLS.
	Config string
	Log    *slog.Logger // nil discards what the server says
}

// startTimeout is generous: a large store is read back at start.
const startTimeout = 30 * time.Second

// Server is a running server.
type Server struct{ server *server.Server }

// Start runs a server and waits until it takes connections. Every write is synced to disk
// before it is confirmed. Close stops it.
func Start(o Options) (*Server, error) {
	if o.DataDir == "" {
		return nil, fmt.Errorf("%w: the embedded NATS server has no data directory: name one", fleet.ErrInvalid)
	}
	opts := &server.Options{}
	if o.Config != "" {
		var err error
		if opts, err = server.ProcessConfigFile(o.Config); err != nil {
			return nil, fmt.Errorf("%w: configuration of NATS in %s: %w", fleet.ErrInvalid, o.Config, err)
		}
	}
	opts.ServerName, opts.JetStream, opts.StoreDir, opts.SyncAlways = o.Name, true, o.DataDir, true
	opts.JetStreamMaxStore, opts.NoSigs, opts.DontListen = o.MaxBytes, true, o.Listen == ""
	if opts.ServerName == "" {
		opts.ServerName = "neap"
	}
	if o.Listen != "" {
		if err := listenOn(opts, o.Listen); err != nil {
			return nil, err
		}
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("start NATS in %s: %w", o.DataDir, err)
	}
	log := &logger{log: o.Log}
	if o.Log == nil {
		log.log = slog.New(slog.DiscardHandler)
	}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if !s.ReadyForConnections(startTimeout) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("start NATS in %s on %q: %w", o.DataDir, o.Listen, log.reason())
	}
	return &Server{server: s}, nil
}

// listenOn sets the address, after a look whether it is free: the server would only say
// that it did not come up.
func listenOn(opts *server.Options, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%w: NATS listen address %q: use host:port, such as 127.0.0.1:4222", fleet.ErrInvalid, address)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("%w: NATS listen address %q: port %q is no number from 0 to 65535", fleet.ErrInvalid, address, port)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for NATS on %s: %w; choose another address, or stop what holds it", address, err)
	}
	if err := l.Close(); err != nil {
		return fmt.Errorf("listen for NATS on %s: %w", address, err)
	}
	opts.Host, opts.Port = host, int(number)
	if number == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return nil
}

// Config connects to the server: within the process.
func (s *Server) Config() bus.Config {
	return bus.Config{URL: s.URL(), Server: s.server}
}

// URL is where others connect to; the loopback's if the server listens nowhere.
func (s *Server) URL() string { return s.server.ClientURL() }

// Close stops the server and waits until its files are closed.
func (s *Server) Close() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// logger passes on what the server says and remembers the last thing that went wrong.
type logger struct {
	log *slog.Logger
	mu  sync.Mutex
	bad string
}

// reason is why the server did not come up, as far as it said.
func (l *logger) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bad == "" {
		return fmt.Errorf("it did not come up within %s", startTimeout)
	}
	return errors.New(l.bad)
}

func (l *logger) remember(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bad = text
}

// Noticef implements server.Logger.
func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }

// Warnf implements server.Logger.
func (l *logger) Warnf(format string, v ...any) { l.log.Warn(fmt.Sprintf(format, v...)) }

// Errorf implements server.Logger.
func (l *logger) Errorf(format string, v ...any) {
	l.remember(fmt.Sprintf(format, v...))
	l.log.Error(fmt.Sprintf(format, v...))
}

// Fatalf implements server.Logger. It does not end the process: Start returns the error.
func (l *logger) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

// Debugf implements server.Logger. Nobody asks for these.
func (l *logger) Debugf(string, ...any) {}

// Tracef implements server.Logger. Nobody asks for these.
func (l *logger) Tracef(string, ...any) {}
