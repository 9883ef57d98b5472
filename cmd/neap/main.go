// Command neap is the one binary a person types: it plays the demo, serves the simulated
// AWS, runs all services in one process, plans once without changing anything, and
// operates an installation.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

// Exit codes.
const (
	exitFailed = 1 // it was tried and did not work
	exitInput  = 2 // what was asked for is wrong; nothing was tried
)

// cli is every command with its flags.
type cli struct {
	Demo      demoCmd      `cmd:"" help:"Watch a simulated cluster being scaled, everything in this process."`
	Plan      planCmd      `cmd:"" help:"Decide once for a cluster and explain it; changes nothing."`
	Pack      packCmd      `cmd:"" help:"Find the cheapest instances for a table of tasks, with a proof of how near to the cheapest; needs no cluster."`
	Explain   explainCmd   `cmd:"" help:"Explain why tasks of a service wait, or what a launch is for."`
	Up        upCmd        `cmd:"" help:"Run Neap on this machine, all services in one process, against AWS."`
	AWS       awsCmd       `cmd:"" name:"aws" help:"Serve the simulated AWS alone, for any AWS client."`
	Catalogue catalogueCmd `cmd:"" help:"Show the built-in instance types and prices, or read new ones from AWS."`
	Policy    policyCmd    `cmd:"" help:"Check, apply and read policies."`
	Pause     pauseCmd     `cmd:"" help:"Stop all changes at once, for a cluster or for all."`
	Resume    resumeCmd    `cmd:"" help:"Undo a pause."`
	Protect   protectCmd   `cmd:"" help:"Keep an instance, for a while or until you say otherwise; without one list those that are kept."`
	Unprotect unprotectCmd `cmd:"" help:"Undo protect."`
	Simulate  simulateCmd  `cmd:"" help:"Play Neap against everything that can go wrong, in virtual time, and check what must hold."`
	Replay    replayCmd    `cmd:"" help:"Play a recorded workload through the whole system in virtual time: cost, waits, moves."`
	Roll      rollCmd      `cmd:"" help:"Replace instances by new ones of the same kind, a batch at a time; show, stop and resume that."`
	Status    statusCmd    `cmd:"" help:"Show what runs, what it sees and what it decided last."`
	Doctor    doctorCmd    `cmd:"" help:"Check connections, permissions and policies, and say what to fix; changes nothing."`

	Access    accessCmd    `cmd:"" help:"Users of NATS and Redis: one for each service, with the least it needs."`
	IAM       iamCmd       `cmd:"" name:"iam" help:"Print the least that each service must be allowed in AWS."`
	Bootstrap bootstrapCmd `cmd:"" help:"Create the streams and buckets of Neap in NATS; may be run any number of times."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// console is where a command talks to.
type console struct {
	out, err io.Writer
	in       io.Reader
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], console{out: os.Stdout, err: os.Stderr, in: os.Stdin})
	stop()
	os.Exit(code)
}

// run parses and runs one command and returns the exit code.
func run(ctx context.Context, args []string, c console) int {
	var commands cli
	ended := -1
	parser, err := kong.New(&commands,
		kong.Name("neap"),
		kong.Description("Neap scales Amazon ECS clusters on EC2: it finds tasks that cannot be placed, launches the cheapest instances that hold them, and packs the cluster tighter.\n\nStart with:  neap demo\nThen try it on a cluster of yours, read-only:  neap plan --cluster NAME"),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(c.out, c.err),
		kong.Exit(func(code int) { ended = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(c),
	)
	if err != nil {
		fmt.Fprintln(c.err, "neap:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if ended >= 0 { // --help has been answered
		return ended
	}
	if err != nil {
		fmt.Fprintf(c.err, "neap: %v\n", err)
		fmt.Fprintln(c.err, "neap --help lists the commands; neap COMMAND --help explains one with examples")
		return exitInput
	}
	err = parsed.Run()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errExpectation):
		return exitFailed // it has been shown already
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(c.err, "neap: stopped")
		return exitFailed
	}
	fmt.Fprintf(c.err, "neap: %v\n", err)
	if errors.Is(err, fleet.ErrInvalid) {
		return exitInput
	}
	return exitFailed
}

// errExpectation: the command ran, and its result, which it has shown, is a failure.
var errExpectation = errors.New("an expectation did not hold")

type versionCmd struct {
	Output string `help:"How to print: text or json." enum:"text,json" default:"text" short:"o"`
}

// Run prints the version.
func (v *versionCmd) Run(c console) error {
	if v.Output == "json" {
		return writeJSON(c.out, map[string]string{"version": service.Version(), "revision": service.Revision()})
	}
	_, err := fmt.Fprintf(c.out, "neap %s (%s)\n", service.Version(), service.Revision())
	return err
}
