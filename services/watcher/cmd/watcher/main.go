// Command watcher sweeps ECS and EC2 and publishes what it sees as snapshots. It changes
// nothing.
package main

import (
	"context"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/services/watcher"
)

func main() { service.Main("watcher", run) }

func run(ctx context.Context, p *service.Process, cfg watcher.Config) error {
	cfg.Bus.Log = p.Log
	b, err := bus.Open(ctx, cfg.Bus)
	if err != nil {
		return err
	}
	p.Defer(func(context.Context) error { b.Close(); return nil })
	p.Health.Check("nats", b.Ready)

	aws, err := cloud.Open(ctx, cfg.AWS)
	if err != nil {
		return err
	}

	c, err := cache.Open(ctx, cfg.Cache, p.Log)
	if err != nil {
		return err
	}
	p.Defer(c.Close)
	p.Health.Report("redis", c.Ping)

	return watcher.New(cfg, b, c, aws, p).Run(ctx)
}
