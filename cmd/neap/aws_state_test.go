package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const playedStory = `cluster web
task web cpu 256 memory 512
launch m7i.large count 3 lifecycle spot
service web task web desired 6
at 10m interrupt spot 1
at 20m service web desired 12
`

// TestPlayTwice plays a script twice with one seed and once with another.
func TestPlayTwice(t *testing.T) {
	file := filepath.Join(t.TempDir(), "story.txt")
	if err := os.WriteFile(file, []byte(playedStory), 0o644); err != nil {
		t.Fatal(err)
	}
	play := func(args ...string) string {
		out, errs, code := neap(t, append([]string{"aws", "play", file}, args...)...)
		if code != 0 {
			t.Fatalf("code %d: %s", code, errs)
		}
		return out
	}
	first := play("--seed", "7", "-o", "json")
	if again := play("--seed", "7", "-o", "json"); again != first || strings.Count(first, "\n") < 40 {
		t.Errorf("the same seed gave another history, or little:\n%s", first)
	}
	if other := play("--seed", "8", "-o", "json"); other == first {
		t.Error("another seed gave the same history")
	}
	if text := play("--hours", "0.5"); !strings.Contains(text, "09:10:00.000 statement web: interrupt spot 1\n") {
		t.Errorf("in words:\n%s", text)
	}
	if _, errs, code := neap(t, "aws", "play", file, "--hours=-1"); code != exitInput || !strings.Contains(errs, "--hours -1: use a number from 0") {
		t.Errorf("code %d: %s", code, errs)
	}
}

// TestStateOutlivesTheProcess serves a world from a file that is not there, stops, and
// serves it again; and refuses a file that is damaged.
func TestStateOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	state, history, script := filepath.Join(dir, "world.json"), filepath.Join(dir, "history"), filepath.Join(dir, "story.txt")
	if err := os.WriteFile(script, []byte(playedStory), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := neap(t, "aws", "play", script, "--state", state); code != 0 {
		t.Fatalf("code %d: %s", code, errs)
	}
	before, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("serve", func(t *testing.T) { // its end stops the server
		out := start(t, "aws", "--listen", "127.0.0.1:0", "--speed", "600", "--state", state, "--save-every", "50ms", "--history", history)
		within(t, 20*time.Second, "a start from the file", out, func() bool { return strings.Contains(out.String(), "loaded "+state) })
		within(t, 20*time.Second, "a newer file", out, func() bool {
			text, err := os.ReadFile(state)
			return err == nil && !bytes.Equal(text, before)
		})
	})
	if _, err := os.Stat(history); err != nil {
		t.Errorf("history: %v", err)
	}
	text, err := os.ReadFile(state)
	if err != nil || !strings.HasPrefix(string(text), `{"format":"neap-simulated-aws"`) {
		t.Fatalf("state: %v: %.100s", err, text)
	}
	if left, _ := filepath.Glob(state + ".*"); len(left) > 0 {
		t.Errorf("files were left behind: %v", left)
	}
	if err := os.WriteFile(state, text[:len(text)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := neap(t, "aws", "--listen", "127.0.0.1:0", "--state", state); code != exitInput || !strings.Contains(errs, "cut off") {
		t.Errorf("code %d: %s", code, errs)
	}
}
