package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// Exit statuses of a service.
const (
	exitOK     = 0
	exitError  = 1 // it ran, and failed
	exitConfig = 2 // it could not start as it was told to
)

// Main is all of a service's main function. It loads Config and the service's
// own C from the environment, calls run, and exits: 0 if run returned nil or
// stopped when told to, 1 if it failed, 2 if the configuration was refused.
//
// SIGINT or SIGTERM cancels run's context. run then has four fifths of
// SHUTDOWN_TIMEOUT to return; what was registered with Defer gets the rest. A
// second signal ends the process at once.
func Main[C any](name string, run func(context.Context, *Process, C) error) {
	os.Exit(command(name, run, os.Args[1:], os.Stdout, os.Stderr))
}

func command[C any](name string, run func(context.Context, *Process, C) error, args []string, out, errOut io.Writer) int {
	if len(args) > 0 {
		return answer[C](name, args, out, errOut)
	}
	common, errCommon := Load[Config]("")
	cfg, errOwn := Load[C]("")
	if err := errors.Join(errCommon, errOwn); err != nil {
		return refuse(name, err, errOut)
	}
	p, err := New(context.Background(), name, common, errOut)
	if err != nil {
		return refuse(name, err, errOut)
	}
	p.Log.Info("starting", "version", Version(), "revision", Revision(), "health", p.HealthAddr())
	return p.Run(func(ctx context.Context) error { return run(ctx, p, cfg) })
}

// answer serves the questions a service answers instead of running.
func answer[C any](name string, args []string, out, errOut io.Writer) int {
	switch args[0] {
	case "--help", "-help", "-h", "help":
		fmt.Fprint(out, help[C](name))
		return exitOK
	case "--version", "-version", "version":
		fmt.Fprintln(out, versionLine(name))
		return exitOK
	case "--health", "-health":
		return probe(name, out, errOut)
	default:
		fmt.Fprintf(errOut, "%s: unknown argument %q: settings are environment variables, see %s --help\n", name, args[0], name)
		return exitConfig
	}
}

// refuse writes one line for each fault, since they are read by people.
func refuse(name string, err error, errOut io.Writer) int {
	for _, fault := range faults(err) {
		fmt.Fprintf(errOut, "%s: %v\n", name, fault)
	}
	return exitStatus(err)
}

func exitStatus(err error) int {
	if _, ok := errors.AsType[*ConfigError](err); ok {
		return exitConfig
	}
	if err != nil {
		return exitError
	}
	return exitOK
}

// Run is Main for a process that New built: it runs until run ends or a signal
// comes, closes everything, and returns the exit status.
func (p *Process) Run(run func(context.Context) error) (status int) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	ended := make(chan struct{})
	defer close(ended)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	go p.obey(signals, ended, cancel)

	err := p.await(ctx, run)
	if err != nil {
		p.Log.Error("stopped", "err", err)
	} else {
		p.Log.Info("stopped")
	}
	p.shared.board.stop()
	closing, done := context.WithTimeout(context.Background(), p.shared.cfg.ShutdownTimeout/5)
	defer done()
	if errClose := p.Stop(closing); errClose != nil {
		p.Log.Error("closed", "err", errClose)
		err = errors.Join(err, errClose)
	}
	return exitStatus(err)
}

// obey asks run to stop at the first signal and leaves at the second.
func (p *Process) obey(signals <-chan os.Signal, ended <-chan struct{}, cancel context.CancelCauseFunc) {
	select {
	case sig := <-signals:
		p.shared.board.stop()
		p.Log.Info("stopping", "signal", sig.String(), "within", p.shared.cfg.ShutdownTimeout)
		cancel(fmt.Errorf("signal: %s", sig))
	case <-ended:
		return
	}
	select {
	case sig := <-signals:
		p.Log.Error("stopped at once: second signal", "signal", sig.String())
		os.Exit(exitError)
	case <-ended:
	}
}

// await returns what run returns, or gives up on it when ctx is done and the
// time to stop has passed.
func (p *Process) await(ctx context.Context, run func(context.Context) error) error {
	result := make(chan error, 1)
	go func() {
		err := guarded(ctx, run)
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil // it was told to
		}
		result <- err
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	grace := p.shared.cfg.ShutdownTimeout * 4 / 5
	select {
	case err := <-result:
		return err
	case <-time.After(grace):
		return fmt.Errorf("still busy %s after %w", grace, context.Cause(ctx))
	}
}

// guarded turns a panic into an error, so that it is logged like one, telemetry
// is sent, and the exit status does not say "configuration".
func guarded(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if bug := recover(); bug != nil {
			err = fmt.Errorf("panic: %v\n%s", bug, debug.Stack())
		}
	}()
	return run(ctx)
}

// probe asks the running process for its readiness: the health command of
// container images that hold nothing but the service.
func probe(name string, out, errOut io.Writer) int {
	cfg, err := Load[Config]("")
	if err != nil {
		return refuse(name, err, errOut)
	}
	host, port, err := net.SplitHostPort(cfg.HealthAddr)
	if err != nil {
		return refuse(name, Invalid("HEALTH_ADDR", cfg.HealthAddr, "set it: there is no endpoint to ask"), errOut)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	client := http.Client{Timeout: 2 * checkTimeout}
	answer, err := client.Get("http://" + net.JoinHostPort(host, port) + "/readyz")
	if err != nil {
		return refuse(name, fmt.Errorf("ask for health: %w", err), errOut)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(out, answer.Body)
	if answer.StatusCode != http.StatusOK {
		return exitError
	}
	return exitOK
}

func help[C any](name string) string {
	own, common := new(C), new(Config)
	return fmt.Sprintf(`Usage: %[1]s [--help | --version | --health]

  --help      show this text
  --version   show the version
  --health    ask the running %[1]s whether it is ready; exit 0 if so

%[1]s is set up by environment variables. Any NAME may be given as NAME_FILE
instead, the path of a file that holds the value: use it for secrets.

Settings of %[1]s:
%[2]s
Settings of every service:
%[3]s
OpenTelemetry's other variables (OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER,
OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_BSP_* and so on) have their usual meaning.

Exit status: 0 stopped as told, 1 failed, 2 configuration refused.
`, name, table(own), table(common))
}

// table lists a Config's variables, one a line.
func table(cfg any) string {
	vars, err := variablesOf("", cfg)
	if err != nil {
		panic(fmt.Sprintf("service: %T is not a Config: %v", cfg, err))
	}
	if len(vars) == 0 {
		return "  (none)\n"
	}
	text := new(strings.Builder)
	w := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  VARIABLE\tDEFAULT\tMEANING")
	for _, v := range vars {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", v.name(), v.defaultText(), v.Get("desc"))
	}
	_ = w.Flush()
	return text.String()
}
