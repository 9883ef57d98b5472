package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/neap-project/neap/libs/adapters/cloud/awssim"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

type awsCmd struct {
	Listen     string   `help:"Address to serve on; port 0 is any free one." default:"127.0.0.1:4566" placeholder:"HOST:PORT"`
	Speed      float64  `help:"Seconds of simulated time in one real second." default:"1"`
	Seed       uint64   `help:"Seed of everything that is left to chance." default:"1"`
	Region     string   `help:"Region to simulate." default:"us-east-1"`
	Throttle   bool     `help:"Apply the published API rate limits."`
	EventQueue []string `help:"Name of an SQS queue that gets every event of ECS and EC2." placeholder:"NAME"`
	Measured   bool     `help:"Let services back off after failed placements as long as ECS does (minutes) rather than seconds."`
	Script     string   `help:"File with statements to run: load, shortages, interruptions." placeholder:"FILE" type:"existingfile"`
	Verbose    bool     `help:"Log each call that changes something." short:"v"`
}

// Help shows examples.
func (*awsCmd) Help() string {
	return `Point any AWS client at it:

  neap aws --listen 127.0.0.1:4566 &
  export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  aws ecs create-cluster --cluster-name web

It has subnets, images, instance types and prices, and no cluster. Paths under /_neap/ read the
true state, run script statements and change the speed of time:

  curl -s http://127.0.0.1:4566/_neap/state
  curl -s http://127.0.0.1:4566/_neap/time -d '{"speed": 60}'`
}

// Run serves the simulated AWS until it is stopped.
func (a *awsCmd) Run(ctx context.Context, c console) error {
	listener, err := net.Listen("tcp", a.Listen)
	if err != nil {
		return fmt.Errorf("%w: --listen %s: %w; choose another port, or 0 for any free one", fleet.ErrInvalid, a.Listen, err)
	}
	defer func() { _ = listener.Close() }() // Serve has closed it already, as a rule
	base := "http://" + listener.Addr().String()

	delays := sim.FastDelays()
	if a.Measured {
		delays = sim.MeasuredDelays()
	}
	world, err := sim.New(sim.Config{Seed: a.Seed, Region: a.Region, Endpoint: base, EventQueues: a.EventQueue, Delays: delays})
	if err != nil {
		return fmt.Errorf("%w: %w", fleet.ErrInvalid, err)
	}
	if err := runScriptFile(world, a.Script); err != nil {
		return err
	}
	options := awssim.Options{Speed: a.Speed, Throttle: a.Throttle}
	if a.Verbose {
		options.Log = slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	fmt.Fprintf(c.out, "simulated AWS, region %s, at %s, %g times real time; stop with ctrl-C\n", a.Region, base, a.Speed)
	fmt.Fprintf(c.out, "export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any\n", base, a.Region)
	for _, name := range a.EventQueue {
		queue, err := world.GetQueueURL(&sim.GetQueueURLInput{QueueName: name})
		if err != nil {
			return fmt.Errorf("queue %s: %w", name, err)
		}
		fmt.Fprintf(c.out, "export EVENT_QUEUE_URL=%s\n", queue.QueueURL)
	}
	return awssim.New(world, options).Serve(ctx, listener)
}

func runScriptFile(world *sim.World, file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return fmt.Errorf("%w: read script: %w", fleet.ErrInvalid, err)
	}
	script, err := sim.ParseScript(string(text))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", fleet.ErrInvalid, file, err)
	}
	return script.Run(world)
}
