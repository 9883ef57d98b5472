// Command actuator launches what plans ask for. It cannot end an instance.
package main

import (
	"context"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/services/actuator"
)

func main() { service.Main("actuator", run) }

func run(ctx context.Context, p *service.Process, cfg actuator.Config) error {
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
	return actuator.New(cfg, b, aws, p).Run(ctx)
}
