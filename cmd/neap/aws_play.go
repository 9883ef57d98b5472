package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

type awsPlayCmd struct {
	Script     string   `arg:"" help:"File with statements: load, shortages, interruptions." placeholder:"SCRIPT" type:"existingfile"`
	Seed       uint64   `help:"Seed of everything that is left to chance." default:"1"`
	Region     string   `help:"Region to simulate." default:"us-east-1"`
	Hours      float64  `help:"Hours of simulated time to play; 0 is until an hour after the last statement." default:"0"`
	EventQueue []string `help:"Name of an SQS queue that gets every event of ECS and EC2." placeholder:"NAME"`
	Measured   bool     `help:"Let services back off after failed placements as long as ECS does (minutes) rather than seconds."`
	Output     string   `help:"How to print what happened: a line of text each, or lines of JSON." enum:"text,json" default:"text" short:"o"`
	State      string   `help:"File to save the world to at the end, for neap aws --state." placeholder:"FILE" type:"path"`
}

// Help shows examples.
func (*awsPlayCmd) Help() string {
	return `The same script and seed print the same bytes every time:

  neap aws play story.txt --seed 7 -o json > one
  neap aws play story.txt --seed 7 -o json > two
  cmp one two`
}

// longestPlay bounds --hours: a year, beyond which a typing error is likelier than a wish.
const longestPlay = 366 * 24

// Run plays the script.
func (a *awsPlayCmd) Run(c console) error {
	if !(a.Hours >= 0 && a.Hours <= longestPlay) {
		return fmt.Errorf("%w: --hours %v: use a number from 0 to %d", fleet.ErrInvalid, a.Hours, longestPlay)
	}
	delays := sim.FastDelays()
	if a.Measured {
		delays = sim.MeasuredDelays()
	}
	world, err := sim.New(sim.Config{Seed: a.Seed, Region: a.Region, EventQueues: a.EventQueue, Delays: delays})
	if err != nil {
		return fmt.Errorf("%w: %w", fleet.ErrInvalid, err)
	}
	out := bufio.NewWriter(c.out)
	world.Record(func(e sim.Entry) {
		if a.Output == "json" {
			_, _ = out.Write(e.Line()) // Flush has the error
			return
		}
		_, _ = out.WriteString(e.String() + "\n")
	})
	script, err := readScriptFile(a.Script)
	if err != nil {
		return err
	}
	start := world.Now()
	if err := script.Run(world); err != nil {
		return cmp.Or(out.Flush(), fmt.Errorf("%w: %s: %w", fleet.ErrInvalid, a.Script, err))
	}
	length := script.Length() + time.Hour
	if a.Hours > 0 {
		length = time.Duration(a.Hours * float64(time.Hour))
	}
	world.Advance(start.Add(length))
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print what happened: %w", err)
	}
	if a.State != "" {
		if err := saveState(world, a.State); err != nil {
			return err
		}
	}
	return errors.Join(world.ScriptErrors()...)
}
