// Command drainer empties and removes what plans let go. It cannot launch an instance.
package main

import (
	"context"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/services/drainer"
)

func main() { service.Main("drainer", run) }

func run(ctx context.Context, p *service.Process, cfg drainer.Config) error {
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
	return drainer.New(cfg, b, aws, p).Run(ctx)
}
