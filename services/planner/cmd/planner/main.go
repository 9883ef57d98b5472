// Command planner decides what to do about each cluster: it turns snapshots into plans.
// It holds no credentials of AWS.
package main

import (
	"context"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/services/planner"
)

func main() { service.Main("planner", run) }

func run(ctx context.Context, p *service.Process, cfg planner.Config) error {
	cfg.Bus.Log = p.Log
	b, err := bus.Open(ctx, cfg.Bus)
	if err != nil {
		return err
	}
	p.Defer(func(context.Context) error { b.Close(); return nil })
	p.Health.Check("nats", b.Ready)

	c, err := cache.Open(ctx, cfg.Cache, p.Log)
	if err != nil {
		return err
	}
	p.Defer(c.Close)
	p.Health.Report("redis", c.Ping)

	return planner.New(cfg, b, c, p).Run(ctx)
}
