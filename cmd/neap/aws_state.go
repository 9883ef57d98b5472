package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/adapters/cloud/awssim"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// keptHistory is how many entries GET /_neap/history can look back: some hours of a busy
// cluster, in some dozen megabytes.
const keptHistory = 100_000

// loadState loads a world from a file; without a file there is none.
func loadState(file string) (*sim.World, error) {
	if file == "" {
		return nil, nil
	}
	from, err := os.Open(filepath.Clean(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: --state: %w", fleet.ErrInvalid, err)
	}
	defer func() { _ = from.Close() }() // it was only read
	world, err := sim.Load(bufio.NewReader(from))
	if err != nil {
		return nil, fmt.Errorf("%w: --state %s: %w", fleet.ErrInvalid, file, err)
	}
	return world, nil
}

// saver is what has a world to save.
type saver interface{ Save(to io.Writer) error }

// saveState replaces a file by the world as it is, at once: whoever looks sees the old or
// the new one.
func saveState(world saver, file string) (err error) {
	to, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("save --state: %w", err)
	}
	defer func() {
		if err != nil {
			_ = to.Close()
			_ = os.Remove(to.Name()) // the error says enough
			err = fmt.Errorf("save --state %s: %w", file, err)
		}
	}()
	if err := world.Save(to); err != nil {
		return err
	}
	if err := cmp.Or(to.Sync(), to.Close()); err != nil {
		return err
	}
	return os.Rename(to.Name(), file)
}

// keeper saves a world every so often.
type keeper struct {
	server  *awssim.Server
	file    string
	stopped chan struct{}
	running sync.WaitGroup
}

func newKeeper(server *awssim.Server, file string, every time.Duration, errs io.Writer) *keeper {
	k := &keeper{server: server, file: file, stopped: make(chan struct{})}
	k.running.Go(func() {
		beat := time.NewTicker(every)
		defer beat.Stop()
		for {
			select {
			case <-k.stopped:
				return
			case <-beat.C:
				if err := saveState(server, file); err != nil {
					fmt.Fprintf(errs, "neap: %v\n", err)
				}
			}
		}
	})
	return k
}

// stop saves for the last time.
func (k *keeper) stop() error {
	close(k.stopped)
	k.running.Wait()
	return saveState(k.server, k.file)
}

// openHistory opens a file to write the history behind what is in it.
func openHistory(file string) (*os.File, error) {
	to, err := os.OpenFile(filepath.Clean(file), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // for others to read: nothing in it is secret
	if err != nil {
		return nil, fmt.Errorf("%w: --history: %w", fleet.ErrInvalid, err)
	}
	return to, nil
}
