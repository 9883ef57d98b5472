package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// errSurvivors: some guards can be taken out and nobody notices.
var errSurvivors = errors.New("not caught: the checker or the stories of libs/fleet/sim/dst lack something")

// options are those of the command line.
type options struct {
	seeds  int
	length time.Duration
	only   *regexp.Regexp
	play   bool
}

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	seeds := flags.Int("seeds", 200, "stories to play without a guard, at most")
	hours := flags.Float64("hours", 3, "how long each story lasts, in simulated hours")
	only := flags.String("only", "", "only the guards whose name matches this regular expression")
	playing := flags.Bool("play", false, "play the stories with the code as it is, and print what is noticed as JSON")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return options{}, fmt.Errorf("-only: %w", err)
	}
	return options{*seeds, time.Duration(*hours * float64(time.Hour)), match, *playing}, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.play {
		return json.NewEncoder(out).Encode(play(ctx, o.seeds, o.length))
	}
	guards, err := parseGuards(guardsText)
	if err != nil {
		return err
	}
	root, err := repository()
	if err != nil {
		return err
	}
	guards = slices.DeleteFunc(guards, func(g guard) bool { return !o.only.MatchString(g.name) })
	fmt.Fprintf(out, "with every guard, %d stories of %s: ", o.seeds, o.length)
	if found := play(ctx, o.seeds, o.length); found != nil {
		fmt.Fprintln(out, found)
		return fmt.Errorf("seed %d breaks %s with every guard in place: mend that first", found.Seed, found.Invariant)
	}
	fmt.Fprintln(out, "nothing is noticed")
	return tryAll(ctx, root, guards, o, out)
}

// tryAll takes out each guard and prints who notices.
func tryAll(ctx context.Context, root string, guards []guard, o options, out io.Writer) error {
	var survivors []string
	for i := range guards {
		g := &guards[i]
		began := time.Now()
		found, err := g.try(ctx, root, o.seeds, o.length)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%2d/%d %-46s %s (%.0f s)\n", i+1, len(guards), g.name, g.verdict(found), time.Since(began).Seconds())
		if found == nil {
			survivors = append(survivors, g.name)
		}
	}
	fmt.Fprintf(out, "%d of %d are caught\n", len(guards)-len(survivors), len(guards))
	if len(survivors) > 0 {
		return fmt.Errorf("%w: %s", errSurvivors, strings.Join(survivors, "; "))
	}
	return nil
}

// verdict says who noticed that a guard is missing.
func (g *guard) verdict(found *noticed) string {
	if found == nil {
		return "NOT CAUGHT, expected " + strings.Join(g.breaks, " or ")
	}
	text := fmt.Sprintf("%-4s seed %-3d %s", found.Invariant, found.Seed, found.What)
	if !slices.Contains(g.breaks, found.Invariant) {
		text += ", expected " + strings.Join(g.breaks, " or ")
	}
	return text
}

// repository is the folder that has the workspace, above the one this runs in.
func repository() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.work")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.work here or above: run this inside of the repository")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
