package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Process is what a service gets from its frame.
type Process struct {
	Name   string
	Log    *slog.Logger // carries the service's name, and the trace of the context
	Tracer trace.Tracer
	Meter  metric.Meter
	Health *Health

	shared *shared
}

// shared is what the parts of one operating system process have in common.
type shared struct {
	cfg       Config
	handler   slog.Handler
	exporters *exporters
	board     *board
	addr      string

	mu      sync.Mutex
	closers []func(context.Context) error
}

// New builds a process: logs to out, telemetry, and the health endpoints, which
// listen when New returns. It also sets OpenTelemetry's globals, where
// instrumentation libraries look. The caller owes it a Stop.
func New(ctx context.Context, name string, cfg Config, out io.Writer) (*Process, error) {
	tel, err := newExporters(ctx, name, cfg)
	if err != nil {
		return nil, err
	}
	s := &shared{
		cfg:       cfg,
		handler:   newHandler(cfg, out),
		exporters: tel,
		board:     newBoard(name, cfg.StallAfter),
	}
	s.defers(tel.close)
	tracers := tel.tracers(name)
	p := s.part(name, "", tracers)
	tel.install(tracers, p.Log)
	if err := s.serveHealth(ctx); err != nil {
		return nil, errors.Join(err, p.Stop(ctx))
	}
	return p, nil
}

// Part makes the process of one service among several that run in this
// operating system process: a logger, a tracer and a health of its own, with
// exporters, endpoints and closers shared.
func (p *Process) Part(name string) *Process {
	return p.shared.part(name, name, p.shared.exporters.tracers(name))
}

func (s *shared) part(name, prefix string, tracers trace.TracerProvider) *Process {
	return &Process{
		Name:   name,
		Log:    slog.New(s.handler).With("service", name),
		Tracer: tracers.Tracer(scope(name)),
		Meter:  s.exporters.meters.Meter(scope(name)),
		Health: s.board.part(prefix),
		shared: s,
	}
}

func scope(name string) string { return "neap/" + name }

// HealthAddr is where the health endpoints listen, or empty.
func (p *Process) HealthAddr() string { return p.shared.addr }

// Defer registers what Stop has to close. The last registered is closed first.
func (p *Process) Defer(closer func(context.Context) error) { p.shared.defers(closer) }

func (s *shared) defers(closer func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, closer)
}

// Stop closes everything, in reverse order and even where some of it fails. It
// stops the parts with the whole; a second Stop does nothing.
func (p *Process) Stop(ctx context.Context) error {
	p.shared.mu.Lock()
	closers := p.shared.closers
	p.shared.closers = nil
	p.shared.mu.Unlock()

	var errs []error
	for _, closer := range slices.Backward(closers) {
		errs = append(errs, closer(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// serveHealth listens before it returns, so that an address in use is an error
// at the start and not a log line later.
func (s *shared) serveHealth(ctx context.Context) error {
	if s.cfg.HealthAddr == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.HealthAddr)
	if err != nil {
		return Invalid("HEALTH_ADDR", s.cfg.HealthAddr, fmt.Sprintf("%s; choose a free address", listenReason(err)))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.board.serveLive)
	mux.HandleFunc("GET /readyz", s.board.serveReady)
	mux.Handle("GET /metrics", s.exporters.metrics())
	server := &http.Server{
		Handler: mux,
		// Probes and scrapes take milliseconds; whoever needs longer is not one.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.handler, slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.addr = listener.Addr().String()
	s.defers(func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if err != nil {
			_ = server.Close()
		}
		if stopped := <-served; !errors.Is(stopped, http.ErrServerClosed) {
			return errors.Join(err, fmt.Errorf("serve health: %w", stopped))
		}
		return err
	})
	return nil
}

func listenReason(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return err.Error()
}
