package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/fleet/sim/dst"
)

// noticed is a story in which something that must hold did not.
type noticed struct {
	Seed      uint64 `json:"seed"`
	Invariant string `json:"invariant"`
	What      string `json:"what"`
}

// errNoticed ends the playing of more stories.
var errNoticed = errors.New("noticed")

// play plays stories, one on each CPU at a time, until something is noticed. It returns the
// first by its seed of those that were under way, nil if nothing was.
func play(ctx context.Context, seeds int, length time.Duration) *noticed {
	const seldom = 400 // stories are short and leave little to collect
	defer debug.SetGCPercent(debug.SetGCPercent(seldom))
	var mu sync.Mutex
	var first *noticed
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for seed := range uint64(seeds) {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			found := playOne(seed, length)
			if found == nil {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if first == nil || found.Seed < first.Seed {
				first = found
			}
			return errNoticed
		})
	}
	_ = g.Wait() // what it returns is in first
	return first
}

// playOne plays one story. A panic is noticed as much as a violation: in production it is a
// process that ends.
func playOne(seed uint64, length time.Duration) (found *noticed) {
	defer func() {
		if r := recover(); r != nil {
			found = &noticed{seed, "panic", fmt.Sprint(r)}
		}
	}()
	r := dst.Run(dst.Config{Seed: seed, Duration: length})
	if len(r.Violations) == 0 {
		return nil
	}
	return &noticed{seed, r.Violations[0].Invariant, r.Violations[0].What}
}

// build builds this very program with the files laid over those of the repository.
func build(ctx context.Context, root, dir string, files map[string]string) (program string, err error) {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay.Replace)))
		if err := os.WriteFile(path, []byte(files[name]), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(root, name)] = path
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "mutant")
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", list, "-o", program, "./test/mutants")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return program, nil
}

// longest is how long all stories of one mutant may take: it may go round in circles.
const longest = 20 * time.Minute

// try builds Neap without a guard and plays stories with it. It returns what was noticed, nil
// if nothing was.
func (g *guard) try(ctx context.Context, root string, seeds int, length time.Duration) (*noticed, error) {
	files, err := g.apply(root)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program, err := build(ctx, root, dir, files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-play", "-seeds", fmt.Sprint(seeds), "-hours", fmt.Sprint(length.Hours()))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	text, errRead := io.ReadAll(out)
	if err := errors.Join(errRead, cmd.Wait()); err != nil {
		return nil, fmt.Errorf("%s: play: %w", g.name, err)
	}
	var found *noticed
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, fmt.Errorf("%s: play: %w", g.name, err)
	}
	return found, nil
}
