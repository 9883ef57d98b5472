package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a binary that runs, with a log of its own.
type process struct {
	name string // unlike that of any other process of the test
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// launch starts a binary. Both of its outputs go to one log; a process that is still there
// when the test ends is killed.
func launch(t *testing.T, name, binary string, env []string, args ...string) *process {
	t.Helper()
	log := filepath.Join(t.ArtifactDir(), name+".log")
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // the process has its own
	p := &process{name: name, log: log, done: make(chan struct{}), cmd: exec.Command(filepath.Join(bin, binary), args...)}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, f, f
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process with SIGKILL, as a crash or the kernel would, and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// stop asks the process to end, as platforms do, and returns its exit status and how long
// it took.
func (p *process) stop(t *testing.T) (status int, took time.Duration) {
	t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("signal %s: %v", p.name, err)
	}
	return p.exit(t, stopWithin), time.Since(began)
}

// exit waits for the process to end by itself and returns its exit status.
func (p *process) exit(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		t.Fatalf("%s has not ended within %s:\n%s", p.name, within, p.tail())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// output is all that the process has written.
func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// tail is the end of what the process has written, and how it ended if it has.
func (p *process) tail() string {
	const most = 25 // lines: what led to a failure is seldom further back
	lines := strings.Split(strings.TrimRight(p.output(), "\n"), "\n")
	state := "runs"
	if !p.running() {
		state = p.cmd.ProcessState.String()
	}
	return fmt.Sprintf("--- %s (%s), its log ends with\n%s\n", p.name, state, strings.Join(lines[max(0, len(lines)-most):], "\n"))
}

// poll calls look until it answers true, or fails the test with what says.
func poll(t *testing.T, within time.Duration, look func() bool, says func() string) {
	t.Helper()
	deadline := time.Now().Add(within)
	if last, ok := t.Deadline(); ok && last.Add(-reportTime).Before(deadline) {
		deadline = last.Add(-reportTime) // rather an explanation than a stack trace
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !look() {
		if time.Now().After(deadline) {
			t.Fatal(says())
		}
		<-tick.C
	}
}

// run runs a binary to its end and returns what it wrote and its exit status.
func run(t *testing.T, binary string, env []string, args ...string) (out, errOut string, status int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, binary), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s %q: %v", binary, args, err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// bare is an environment in which nothing of the machine shows.
func bare(vars ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.DevNull}, vars...)
}
