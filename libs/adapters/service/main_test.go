package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is also the service under test: started again with
// NEAP_TEST_SERVICE set it calls Main as a real main function would.
func TestMain(m *testing.M) {
	if behaviour := os.Getenv("NEAP_TEST_SERVICE"); behaviour != "" {
		Main("tested", behaviours[behaviour])
	}
	goleak.VerifyTestMain(m)
}

type testedConfig struct {
	Beat  time.Duration `envconfig:"BEAT" default:"15s" desc:"time between two turns"`
	Token Secret        `envconfig:"TOKEN" required:"true" desc:"what the bus wants to see"`
}

var behaviours = map[string]func(context.Context, *Process, testedConfig) error{
	"graceful": func(ctx context.Context, p *Process, cfg testedConfig) error {
		p.Defer(func(context.Context) error { fmt.Println("closed first opened"); return nil })
		p.Defer(func(context.Context) error { fmt.Println("closed last opened"); return nil })
		err := p.Every(ctx, "test", cfg.Beat, nil, func(context.Context) error {
			fmt.Println("turning at", p.HealthAddr())
			return nil
		})
		fmt.Println("run returned")
		return err
	},
	"cancelled": func(ctx context.Context, _ *Process, _ testedConfig) error {
		fmt.Println("turning")
		<-ctx.Done()
		return fmt.Errorf("receive: %w", ctx.Err())
	},
	"stubborn": func(ctx context.Context, p *Process, _ testedConfig) error {
		p.Defer(func(context.Context) error { fmt.Println("closed"); return nil })
		fmt.Println("turning")
		<-ctx.Done()
		fmt.Println("asked to stop")
		select {}
	},
	"failing":     func(context.Context, *Process, testedConfig) error { return errors.New("open bus: no servers") },
	"panicking":   func(context.Context, *Process, testedConfig) error { panic("overfilled") },
	"misdirected": func(context.Context, *Process, testedConfig) error { return Invalid("URL", "x", "use y") },
	"done":        func(context.Context, *Process, testedConfig) error { return nil },
}

// child is one run of the tested service.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *bufio.Reader
	errOut bytes.Buffer
}

func run(t *testing.T, behaviour string, env []string, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(self, args...)}
	c.cmd.Env = append([]string{
		"NEAP_TEST_SERVICE=" + behaviour, "HEALTH_ADDR=127.0.0.1:0", "TOKEN=hush", "SHUTDOWN_TIMEOUT=5s",
		// Under -race and -cover the runtime would dawdle, or talk, at the exit.
		"GORACE=atexit_sleep_ms=0", "GOCOVERDIR=" + t.TempDir(),
	}, env...)
	c.cmd.Stderr = &c.errOut
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return c
}

func (c *child) line() string {
	c.t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%v after %q; stderr:\n%s", err, line, &c.errOut)
	}
	return strings.TrimSpace(line)
}

func (c *child) signal(sig os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
}

// end waits for the exit and returns the rest of the output.
func (c *child) end(status int) string {
	c.t.Helper()
	rest, err := io.ReadAll(c.out)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = c.cmd.Wait()
	if got := c.cmd.ProcessState.ExitCode(); got != status {
		c.t.Errorf("exit status %d, want %d; stderr:\n%s", got, status, &c.errOut)
	}
	if strings.Contains(c.errOut.String(), "hush") {
		c.t.Errorf("a secret is told:\n%s", &c.errOut)
	}
	return string(rest)
}

func TestMainStopsGracefully(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		c := run(t, "graceful", nil)
		addr, ok := strings.CutPrefix(c.line(), "turning at ")
		if !ok {
			t.Fatal("the loop did not turn")
		}
		answer, err := http.Get("http://" + addr + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("not ready: %s", answer.Status)
		}
		// The same program answers for container health checks.
		if body := run(t, "graceful", []string{"HEALTH_ADDR=" + addr}, "--health").end(0); !strings.Contains(body, `"ready":true`) {
			t.Errorf("--health says %s", body)
		}
		c.signal(sig)
		if got, want := c.end(0), "run returned\nclosed last opened\nclosed first opened\n"; got != want {
			t.Errorf("%v: got %q, want %q", sig, got, want)
		}
		for _, line := range logged(t, &c.errOut) {
			if line["level"] != "INFO" || line["service"] != "tested" {
				t.Errorf("logged %v", line)
			}
		}
	}
}

func TestMainCancelledIsNoFailure(t *testing.T) {
	c := run(t, "cancelled", nil)
	c.line()
	c.signal(syscall.SIGTERM)
	c.end(0)
}

func TestMainGivesUpOnAStubbornRun(t *testing.T) {
	c := run(t, "stubborn", []string{"SHUTDOWN_TIMEOUT=500ms"})
	c.line()
	c.signal(syscall.SIGTERM)
	if got := c.end(1); got != "asked to stop\nclosed\n" {
		t.Errorf("got %q", got)
	}
	if want := "still busy 400ms after signal: terminated"; !strings.Contains(c.errOut.String(), want) {
		t.Errorf("no %q in\n%s", want, &c.errOut)
	}
}

func TestMainSecondSignalEndsAtOnce(t *testing.T) {
	c := run(t, "stubborn", []string{"SHUTDOWN_TIMEOUT=1h"})
	c.line()
	c.signal(syscall.SIGTERM)
	c.line()
	c.signal(syscall.SIGINT)
	if got := c.end(1); got != "" {
		t.Errorf("got %q: it took its time to close", got)
	}
	if !strings.Contains(c.errOut.String(), "stopped at once: second signal") {
		t.Errorf("logged\n%s", &c.errOut)
	}
}

func TestMainFailures(t *testing.T) {
	tests := map[string]struct {
		status int
		err    string
	}{
		"failing":     {1, "open bus: no servers"},
		"panicking":   {1, "panic: overfilled"},
		"misdirected": {2, `URL is "x": use y`},
	}
	for behaviour, test := range tests {
		c := run(t, behaviour, nil)
		c.end(test.status)
		lines := logged(t, &c.errOut)
		last := lines[len(lines)-1]
		if got := fmt.Sprint(last["err"]); last["msg"] != "stopped" || !strings.HasPrefix(got, test.err) {
			t.Errorf("%s: logged %v", behaviour, last)
		}
	}
	run(t, "done", nil).end(0)
}

func TestMainRefusesBadConfig(t *testing.T) {
	c := run(t, "done", []string{"TOKEN=", "LOG_FORMAT=xml", "STALL_AFTER=soon"})
	c.end(2)
	want := `tested: STALL_AFTER is "soon": use a number with a unit, such as 30s or 5m (liveness fails when a loop is stuck in one turn for longer than this)
tested: TOKEN is missing: set it, or TOKEN_FILE (what the bus wants to see)
`
	if got := c.errOut.String(); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

func TestMainAnswersQuestions(t *testing.T) {
	help := run(t, "done", nil, "--help").end(0)
	for _, want := range []string{
		"Usage: tested ", "Settings of tested:\n  VARIABLE  DEFAULT   MEANING\n  BEAT      15s       time between two turns\n  TOKEN     required  what the bus wants to see\n",
		"  LOG_FORMAT ", "  SHUTDOWN_TIMEOUT ", "  OTEL_EXPORTER_OTLP_ENDPOINT ", "_FILE",
	} {
		if !strings.Contains(help, want) {
			t.Errorf("no %q in\n%s", want, help)
		}
	}
	if got := run(t, "done", nil, "-h").end(0); got != help {
		t.Error("-h and --help differ")
	}
	if got := run(t, "done", nil, "--version").end(0); !strings.HasPrefix(got, "tested devel (revision ") {
		t.Errorf("version is %q", got)
	}
	c := run(t, "done", nil, "--dry-run")
	c.end(2)
	if got, want := c.errOut.String(), "tested: unknown argument \"--dry-run\": settings are environment variables, see tested --help\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	run(t, "done", []string{"HEALTH_ADDR=127.0.0.1:1"}, "--health").end(1)
	run(t, "done", []string{"HEALTH_ADDR="}, "--health").end(2)
}

// What the logs hold has to be JSON to the last line, whatever happens.
func TestMainLogsOnlyJSON(t *testing.T) {
	c := run(t, "panicking", nil)
	c.end(1)
	for line := range strings.Lines(c.errOut.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}
