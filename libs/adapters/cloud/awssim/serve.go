package awssim

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// advanceBeat is how often Run moves the world: often enough that a person sees it move
// and that an event reaches a waiting poll without a noticeable delay.
const advanceBeat = 20 * time.Millisecond

// Run keeps the world moving while no request does, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	beat := time.NewTicker(advanceBeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			s.flushHistory()
			return nil
		case <-beat.C:
			s.World(func(*sim.World) {})
			s.flushHistory()
		}
	}
}

const (
	headerTimeout = 10 * time.Second // a client that is slower is not one
	stopTimeout   = 2 * time.Second  // every call but a poll takes milliseconds, and polls end with ctx
)

// Serve answers on a listener, which it closes, and keeps the world moving, until ctx ends.
// Then it finishes the requests under way, as far as they do not take long, and returns nil.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { _ = s.Run(ctx) }) // ends with ctx, and has no other error
	served := make(chan error, 1)
	running.Go(func() { served <- server.Serve(listener) })

	select {
	case err := <-served:
		return fmt.Errorf("serve the simulated AWS on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		// Whoever is still there has had the time. As a rule it is a connection that a client
		// opened ahead of need: Shutdown takes it for busy for five seconds.
		_ = server.Close()
	}
	return nil
}
