package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/neap-project/neap/libs/fleet"
)

// Endpoint is a question that a process answers on request, beside ping, info and stats.
type Endpoint struct {
	Name string
	// Answer returns the reply, or an error that is sent instead.
	Answer func(ctx context.Context, request []byte) ([]byte, error)
}

// Peer is a process that has announced itself.
type Peer struct {
	Name      string // of the service: watcher, planner, …
	ID        string // of the process, new at each start
	Version   string
	Metadata  map[string]string
	Started   time.Time
	RoundTrip time.Duration
	Endpoints []PeerEndpoint
}

// PeerEndpoint is what an endpoint has done so far.
type PeerEndpoint struct {
	Name      string
	Subject   string
	Requests  int
	Errors    int
	LastError string
}

// Metadata of a Peer: which replica of its service it is, and of which generation.
const (
	MetaReplica    = "replica"
	MetaGeneration = "generation"
)

// endpointTimeout bounds one answer.
const endpointTimeout = 30 * time.Second

// Announce makes this process known by the name of its service, so that [Bus.Discover]
// finds it, and serves its endpoints on neap.<name>.<endpoint>, one of the replicas
// answering each request. It lasts until ctx ends or the returned function is called.
func (b *Bus) Announce(ctx context.Context, name, version, replica string, endpoints ...Endpoint) (stop func(), err error) {
	service, err := micro.AddService(b.conn, micro.Config{
		Name: name, Version: semantic(version), Description: "Neap " + name,
		Metadata: map[string]string{MetaReplica: replica, MetaGeneration: fmt.Sprint(b.generation), "version": version},
	})
	if err != nil {
		return nil, fmt.Errorf("announce %s: %w", name, err)
	}
	group := service.AddGroup("neap." + name)
	for _, e := range endpoints {
		handler := micro.HandlerFunc(func(r micro.Request) { answer(ctx, r, e) })
		if err := group.AddEndpoint(e.Name, handler); err != nil {
			return nil, errors.Join(fmt.Errorf("announce %s: endpoint %s: %w", name, e.Name, err), service.Stop())
		}
	}
	end := func() {
		// The only error is a connection that is gone, and then so is the announcement.
		_ = service.Stop()
	}
	unhook := context.AfterFunc(ctx, end)
	return func() {
		if unhook() {
			end()
		}
	}, nil
}

func answer(ctx context.Context, r micro.Request, e Endpoint) {
	ctx, cancel := context.WithTimeout(withTrace(ctx, nats.Header(r.Headers())), endpointTimeout)
	defer cancel()
	reply, err := e.Answer(ctx, r.Data())
	if err != nil {
		// If it does not get through the asker runs into its own deadline.
		_ = r.Error(errorCode(err), clip(err.Error()), nil)
		return
	}
	_ = r.Respond(reply)
}

// errorCode borrows the codes of HTTP, as others who use NATS services do.
func errorCode(err error) string {
	switch {
	case errors.Is(err, fleet.ErrInvalid):
		return "400"
	case errors.Is(err, fleet.ErrNotFound):
		return "404"
	}
	return "500"
}

// Ask sends a request to one process of a service and returns its answer.
// [fleet.ErrNotFound]: no process of that name, or none with that endpoint, is running.
func (b *Bus) Ask(ctx context.Context, name, endpoint string, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, endpointTimeout)
	defer cancel()
	msg := nats.NewMsg("neap." + name + "." + endpoint)
	msg.Data = request
	inject(ctx, msg.Header)
	reply, err := b.conn.RequestMsgWithContext(ctx, msg)
	if errors.Is(err, nats.ErrNoResponders) {
		return nil, fmt.Errorf("%w: no %s answers %q; start one", fleet.ErrNotFound, name, endpoint)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", name, endpoint, translate(err))
	}
	if why := reply.Header.Get(micro.ErrorHeader); why != "" {
		return nil, fmt.Errorf("ask %s for %s: %s", name, endpoint, why)
	}
	return reply.Data, nil
}

// Discovery waits for answers until none has come for a while.
const (
	discoverQuiet = 250 * time.Millisecond
	discoverMost  = 2 * time.Second
)

// Discover asks every process that has announced itself how it fares, and returns the
// answers, sorted by name and replica. It takes a quarter of a second after the last.
func (b *Bus) Discover(ctx context.Context) ([]Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, discoverMost)
	defer cancel()
	inbox := b.conn.NewInbox()
	replies, err := b.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("discover services: %w", translate(err))
	}
	defer func() { _ = replies.Unsubscribe() }()
	subject, err := micro.ControlSubject(micro.StatsVerb, "", "")
	if err != nil {
		return nil, fmt.Errorf("discover services: %w", err)
	}
	asked := time.Now()
	if err := b.conn.PublishRequest(subject, inbox, nil); err != nil {
		return nil, fmt.Errorf("discover services: %w", translate(err))
	}
	var peers []Peer
	for {
		quiet, done := context.WithTimeout(ctx, discoverQuiet)
		msg, err := replies.NextMsgWithContext(quiet)
		done()
		if err != nil {
			break // silence: that was everybody
		}
		var stats micro.Stats
		if json.Unmarshal(msg.Data, &stats) != nil || stats.Metadata[MetaGeneration] == "" {
			continue // not one of ours
		}
		peers = append(peers, peerOf(stats, time.Since(asked)))
	}
	slices.SortFunc(peers, func(x, y Peer) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Metadata[MetaReplica], y.Metadata[MetaReplica]), cmp.Compare(x.ID, y.ID))
	})
	if err := b.conn.LastError(); len(peers) == 0 && err != nil && !b.conn.IsConnected() {
		return nil, fmt.Errorf("discover services: %w", translate(err))
	}
	return peers, nil
}

func peerOf(s micro.Stats, trip time.Duration) Peer {
	p := Peer{
		Name: s.Name, ID: s.ID, Version: cmp.Or(s.Metadata["version"], s.Version), Metadata: s.Metadata,
		Started: s.Started, RoundTrip: trip,
	}
	for _, e := range s.Endpoints {
		if e == nil {
			continue
		}
		p.Endpoints = append(p.Endpoints, PeerEndpoint{
			Name: e.Name, Subject: e.Subject, Requests: e.NumRequests, Errors: e.NumErrors, LastError: e.LastError,
		})
	}
	return p
}

var semanticPattern = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$`)

// semantic turns the version of any build into one that NATS accepts; the true one is in
// the metadata.
func semantic(version string) string {
	core, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	core, _, _ = strings.Cut(core, "+")
	if semanticPattern.MatchString(core) {
		return core
	}
	return "0.0.0"
}
