package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"github.com/neap-project/neap/libs/adapters/cloud/awssim"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

type awsCmd struct {
	Serve awsServeCmd `cmd:"" default:"withargs" help:"Serve it until it is stopped; what neap aws does without another word."`
	Play  awsPlayCmd  `cmd:"" help:"Play a script to its end without serving, and print what happened."`
}

type awsServeCmd struct {
	Listen     string   `help:"Address to serve on; port 0 is any free one." default:"127.0.0.1:4566" placeholder:"HOST:PORT"`
	Speed      float64  `help:"Seconds of simulated time in one real second; 0 lets time stand still until it is told to go on." default:"1"`
	Seed       uint64   `help:"Seed of everything that is left to chance." default:"1"`
	Region     string   `help:"Region to simulate." default:"us-east-1"`
	Throttle   bool     `help:"Apply the published API rate limits."`
	EventQueue []string `help:"Name of an SQS queue that gets every event of ECS and EC2." placeholder:"NAME"`
	Measured   bool     `help:"Let services back off after failed placements as long as ECS does (minutes) rather than seconds."`
	Eventual   bool     `help:"Let reads of EC2 be behind: new instances, changed tags and states show some seconds late, as in real accounts."`
	Script     string   `help:"File with statements to run: load, shortages, interruptions." placeholder:"FILE" type:"existingfile"`
	Verbose    bool     `help:"Log each call that changes something." short:"v"`

	State     string        `help:"File that holds the world: loaded at the start if it is there, saved at the end and every so often." placeholder:"FILE" type:"path"`
	SaveEvery time.Duration `help:"How often the file of --state is saved while it serves." default:"1m"`
	History   string        `help:"File that gets what happens as lines of JSON, behind what it holds; GET /_neap/history then has the newest." placeholder:"FILE" type:"path"`
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
  curl -s http://127.0.0.1:4566/_neap/time -d '{"speed": 60}'

neap aws serve --help lists all flags. Keep a world for tomorrow, or play a story without serving; one seed gives one history:

  neap aws --state world.json
  neap aws play story.txt --seed 7 --hours 2`
}

// Run serves the simulated AWS until it is stopped.
func (a *awsServeCmd) Run(ctx context.Context, c console) (err error) {
	if !(a.Speed >= 0 && a.Speed <= awssim.MaxSpeed) {
		return fmt.Errorf("%w: --speed %v: use a number from 0, a standstill, to %v", fleet.ErrInvalid, a.Speed, awssim.MaxSpeed)
	}
	listener, err := net.Listen("tcp", a.Listen)
	if err != nil {
		return fmt.Errorf("%w: --listen %s: %w; choose another port, or 0 for any free one", fleet.ErrInvalid, a.Listen, err)
	}
	defer func() { _ = listener.Close() }() // Serve has closed it already, as a rule
	base := "http://" + reachable(listener.Addr())

	world, err := a.world(base, c)
	if err != nil {
		return err
	}
	options := awssim.Options{Speed: a.Speed, Throttle: a.Throttle}
	if a.History != "" {
		file, err := openHistory(a.History)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // what it could not write it has told before
		options.History, options.HistoryTo = keptHistory, file
	}
	pace := fmt.Sprintf("%g times real time", a.Speed)
	if a.Speed == 0 {
		options.Speed, pace = awssim.Frozen, "time stands still"
	}
	if a.Verbose {
		options.Log = slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	fmt.Fprintf(c.out, "simulated AWS, region %s, at %s, %s; stop with ctrl-C\n", world.Region(), base, pace)
	fmt.Fprintf(c.out, "export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any\n", base, world.Region())
	for _, name := range a.EventQueue {
		queue, err := world.GetQueueURL(&sim.GetQueueURLInput{QueueName: name})
		if err != nil {
			return fmt.Errorf("queue %s: %w", name, err)
		}
		fmt.Fprintf(c.out, "export EVENT_QUEUE_URL=%s/%s/%s\n", base, world.Account(), path.Base(queue.QueueURL))
	}
	server := awssim.New(world, options)
	if a.State == "" {
		return server.Serve(ctx, listener)
	}
	keeper := newKeeper(server, a.State, a.SaveEvery, c.err)
	defer func() { err = cmp.Or(err, keeper.stop()) }()
	return server.Serve(ctx, listener)
}

// world makes the world to serve, or loads it.
func (a *awsServeCmd) world(base string, c console) (*sim.World, error) {
	if a.SaveEvery <= 0 {
		return nil, fmt.Errorf("%w: --save-every %v: use a time above 0, such as 1m", fleet.ErrInvalid, a.SaveEvery)
	}
	if world, err := loadState(a.State); err != nil || world != nil {
		if err == nil {
			fmt.Fprintf(c.out, "loaded %s: it is %s there; its own seed, region and story go on, --seed, --region and --script are for new worlds\n",
				a.State, world.Now().UTC().Format(time.DateTime))
		}
		return world, err
	}
	delays := sim.FastDelays()
	if a.Measured {
		delays = sim.MeasuredDelays()
	}
	if a.Eventual {
		delays = delays.Eventual()
	}
	world, err := sim.New(sim.Config{Seed: a.Seed, Region: a.Region, Endpoint: base, EventQueues: a.EventQueue, Delays: delays})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fleet.ErrInvalid, err)
	}
	return world, runScriptFile(world, a.Script)
}

// reachable is an address by which clients on this machine reach a listener.
func reachable(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return a.String()
}

func runScriptFile(world *sim.World, file string) error {
	if file == "" {
		return nil
	}
	script, err := readScriptFile(file)
	if err != nil {
		return err
	}
	return script.Run(world)
}

func readScriptFile(file string) (*sim.Script, error) {
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, fmt.Errorf("%w: read script: %w", fleet.ErrInvalid, err)
	}
	script, err := sim.ParseScript(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", fleet.ErrInvalid, file, err)
	}
	return script, nil
}
