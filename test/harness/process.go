package harness

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

// Process is a binary that runs, with a log of its own.
type Process struct {
	Name string // unlike that of any other process of the test
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// Launch starts a binary. Both of its outputs go to one log; a process that is still there
// when the test ends is killed.
func Launch(t *testing.T, name, binary string, env []string, args ...string) *Process {
	t.Helper()
	log := filepath.Join(t.ArtifactDir(), name+".log")
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // the process has its own
	p := &Process{Name: name, log: log, done: make(chan struct{}), cmd: exec.Command(filepath.Join(bin, binary), args...)}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, f, f
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	return p
}

// Kill ends the process with SIGKILL, as a crash or the kernel would, and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop asks the process to end, as platforms do, and returns its exit status and how long
// it took.
func (p *Process) Stop(t *testing.T) (status int, took time.Duration) {
	t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("signal %s: %v", p.Name, err)
	}
	return p.Exit(t, stopWithin), time.Since(began)
}

// Exit waits for the process to end by itself and returns its exit status.
func (p *Process) Exit(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		t.Fatalf("%s has not ended within %s:\n%s", p.Name, within, p.Tail())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Running says whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Output is all that the process has written.
func (p *Process) Output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Tail is the end of what the process has written, and how it ended if it has.
func (p *Process) Tail() string {
	const most = 25 // lines: what led to a failure is seldom further back
	lines := strings.Split(strings.TrimRight(p.Output(), "\n"), "\n")
	state := "runs"
	if !p.Running() {
		state = p.cmd.ProcessState.String()
	}
	return fmt.Sprintf("--- %s (%s), its log ends with\n%s\n", p.Name, state, strings.Join(lines[max(0, len(lines)-most):], "\n"))
}

// Poll calls look until it answers true, or fails the test with what says.
func Poll(t *testing.T, within time.Duration, look func() bool, says func() string) {
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

// Run runs a binary to its end and returns what it wrote and its exit status.
func Run(t *testing.T, binary string, env []string, args ...string) (out, errOut string, status int) {
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

// Bare is an environment in which nothing of the machine shows.
func Bare(vars ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.DevNull}, vars...)
}
