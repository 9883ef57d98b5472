package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/alicebob/miniredis/v2"
	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/natsembed"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/services/actuator"
	"github.com/neap-project/neap/services/drainer"
	"github.com/neap-project/neap/services/planner"
	"github.com/neap-project/neap/services/watcher"
)

// diskForStreams is what the streams of one small installation may take: a month of plans.
const diskForStreams = 1 << 30

// stack is the whole of Neap in one process: a real nats-server, Redis, and the four
// services, each as it runs by itself, with a connection of its own to the bus.
type stack struct {
	bus     *bus.Bus // for whoever looks on
	cache   *cache.Cache
	account *cloud.Account
	natsURL string
	redis   string // URL

	proc    *service.Process
	run     []func(context.Context) error // the services
	closers []func()
}

// stackConfig says what the one process differs in from four.
type stackConfig struct {
	dataDir      string // of JetStream
	natsURL      string // another NATS; empty embeds one
	natsListen   string // where the embedded one listens; empty is nowhere
	redisURL     string // another Redis; empty embeds one
	aws          cloud.Config
	installation string
	clusters     []fleet.ClusterName
	eventQueue   string
	beat         time.Duration
	tick         time.Duration // of the executors
	log          io.Writer
	frame        service.Config
}

// openStack starts what the services stand on and builds them. The caller owes it a close.
func openStack(ctx context.Context, cfg stackConfig) (_ *stack, err error) {
	s := &stack{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.proc, err = service.New(ctx, "neap", cfg.frame, cfg.log); err != nil {
		return nil, err
	}
	s.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cfg.frame.ShutdownTimeout)
		defer cancel()
		_ = s.proc.Stop(ctx) // its own log has said what failed
	})
	nats, err := s.openNATS(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if s.bus, err = s.connect(ctx, nats, "console"); err != nil {
		return nil, err
	}
	if cfg.redisURL, err = s.openRedis(cfg.redisURL); err != nil {
		return nil, err
	}
	s.redis = cfg.redisURL
	cached := cache.Config{URL: cfg.redisURL, Prefix: "neap:", Timeout: time.Second}
	if s.cache, err = cache.Open(ctx, cached, s.proc.Log); err != nil {
		return nil, err
	}
	s.onClose(func() { _ = s.cache.Close(context.Background()) })
	if s.account, err = cloud.Open(ctx, cfg.aws); err != nil {
		return nil, err
	}
	return s, s.build(ctx, cfg, nats, cached)
}

// openNATS embeds a server, or uses another, and sees to its streams.
func (s *stack) openNATS(ctx context.Context, cfg stackConfig) (bus.Config, error) {
	conf, err := service.Load[bus.Config]("")
	if err != nil {
		return conf, err
	}
	if cfg.natsURL != "" {
		conf.URL = cfg.natsURL
	} else {
		server, err := natsembed.Start(natsembed.Options{DataDir: filepath.Join(cfg.dataDir, "nats"), Listen: cfg.natsListen, Log: s.proc.Log})
		if err != nil {
			return conf, err
		}
		s.onClose(server.Close)
		conf = server.Config()
		s.natsURL = server.URL()
	}
	conf.Log = s.proc.Log
	if err := bus.Bootstrap(ctx, conf, bus.BootstrapOptions{By: who(), MaxBytes: diskForStreams}); err != nil {
		return conf, err
	}
	return conf, nil
}

func (s *stack) openRedis(url string) (string, error) {
	if url != "" {
		return url, nil
	}
	server, err := miniredis.Run()
	if err != nil {
		return "", fmt.Errorf("start embedded Redis: %w", err)
	}
	s.onClose(server.Close)
	return "redis://" + server.Addr(), nil
}

func (s *stack) connect(ctx context.Context, conf bus.Config, name string) (*bus.Bus, error) {
	conf.Name = "neap-" + name
	b, err := bus.Open(ctx, conf)
	if err != nil {
		return nil, err
	}
	s.onClose(b.Close)
	return b, nil
}

// build makes the four services, each with its own connection, as in production.
func (s *stack) build(ctx context.Context, cfg stackConfig, nats bus.Config, cached cache.Config) error {
	connections := map[string]*bus.Bus{}
	for _, name := range []string{"watcher", "planner", "actuator", "drainer"} {
		b, err := s.connect(ctx, nats, name)
		if err != nil {
			return err
		}
		connections[name] = b
	}
	plans, err := service.Load[planner.Config]("")
	if err != nil {
		return err
	}
	assigned := service.Assignment{Clusters: cfg.clusters}
	plans.Bus, plans.Cache, plans.Assignment, plans.Beat = nats, cached, assigned, cfg.beat
	work := executor.Config{Assignment: assigned, Installation: cfg.installation, Tick: cfg.tick, Concurrency: 16, StaleAfter: 30 * time.Second}
	s.run = []func(context.Context) error{
		watcher.New(watcher.Config{
			Bus: nats, Cache: cached, Assignment: assigned, Installation: cfg.installation,
			Beat: cfg.beat, EventQueue: cfg.eventQueue,
		}, connections["watcher"], s.cache, s.account, s.proc.Part("watcher")).Run,
		planner.New(plans, connections["planner"], s.cache, s.proc.Part("planner")).Run,
		actuator.New(actuator.Config{Bus: nats, Executor: work}, connections["actuator"], s.account, s.proc.Part("actuator")).Run,
		drainer.New(drainer.Config{Bus: nats, Executor: work}, connections["drainer"], s.account, s.proc.Part("drainer")).Run,
	}
	return nil
}

// serve runs the services until ctx ends or one of them fails.
func (s *stack) serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range s.run {
		g.Go(func() error { return run(ctx) })
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (s *stack) onClose(f func()) { s.closers = append(s.closers, f) }

// close stops what openStack started, the last first.
func (s *stack) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}
