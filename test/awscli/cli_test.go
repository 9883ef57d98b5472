package awscli_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// document is the page about the simulated AWS.
const document = "../../docs/simulated-aws.md"

// usualAddress is where documents let the simulated AWS listen. Each test has another.
const usualAddress = "127.0.0.1:4566"

// TestDocument runs the commands of docs/simulated-aws.md as printed.
func TestDocument(t *testing.T) {
	t.Parallel()
	play(t, document)
}

// TestTranscripts runs what the AWS CLI is known to do with the simulated AWS.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".md"), func(t *testing.T) {
			t.Parallel()
			play(t, file)
		})
	}
}

// play runs a transcript and compares what it prints with what it shows.
func play(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := readTranscript(string(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	address := freeAddress(t)
	output := shell(t, strings.ReplaceAll(tr.program(), usualAddress, address))
	output = strings.ReplaceAll(output, address, usualAddress)
	if client.first {
		output = strings.ReplaceAll(output, "exit status 255", "exit status 254")
	}
	ended := tr.take(output)
	for i := range tr.steps {
		s := &tr.steps[i]
		switch {
		case i > ended:
			continue
		case i == ended:
			t.Errorf("%s:%d: the commands did not come to an end\n%s\nprinted\n%s", file, s.line, s.commands, s.really)
		case s.status != "0":
			t.Errorf("%s:%d: exit status %s\n%s\nprinted\n%s", file, s.line, s.status, s.commands, s.really)
		case s.shows && !s.matches() && !*update:
			t.Errorf("%s:%d: other output than shown; read it, then run with -update\n%s\nprinted\n%s\nshown\n%s",
				file, s.line, s.commands, strings.TrimSpace(s.really), s.printed)
		}
	}
	if *update && ended == len(tr.steps) {
		if err := os.WriteFile(file, []byte(tr.updated()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// longest is how long a transcript may take: many times what it does on a busy machine.
const longest = 4 * time.Minute

// shell runs a program in an environment in which nothing of the machine shows, and returns
// all that it printed. Whatever it started ends with it.
func shell(t *testing.T, program string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	home := t.TempDir()
	// Timestamps as the second version of the CLI prints them; the first prints what it got.
	config := filepath.Join(home, "config")
	if err := os.WriteFile(config, []byte("[default]\ncli_timestamp_format = iso8601\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.ArtifactDir(), "output.txt")
	output, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = output.Close() }() // read again below
	cmd := exec.Command("bash", "-c", program)
	cmd.Dir = home
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = []string{
		"PATH=" + tools + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"HOME=" + home, "AWS_CONFIG_FILE=" + config, "LC_ALL=C.UTF-8", "AWS_PAGER=", "COLUMNS=120",
		"AWS_DEFAULT_REGION=us-east-1", // the first version of the CLI reads no AWS_REGION
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with a group of its own, all of it can be ended
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // it may have ended
	defer end()
	defer context.AfterFunc(ctx, end)()
	_ = cmd.Wait() // how each step ended is in what it printed
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// freeAddress is an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // for neap to listen
	return l.Addr().String()
}
