package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// recorded is a plan as its chain holds it, with what it was made from. A recording is a file of
// such lines.
type recorded struct {
	Plan   json.RawMessage `json:"plan"`             // in its wire form
	Record json.RawMessage `json:"record,omitempty"` // in its wire form; none was kept without
	Why    string          `json:"why,omitempty"`    // there is none
}

// comparison is what came of making a plan again.
type comparison string

const (
	sameBytes    comparison = "same"       // to the byte
	otherBytes   comparison = "different"  // by the same version of the planner, which must not be
	otherVersion comparison = "version"    // another version made it, and decides otherwise
	noRecord     comparison = "no-record"  // what it was made from is not kept, or no longer
	badRecord    comparison = "bad-record" // what was kept is not what it was made from
)

// planAgain is one plan of a replay.
type planAgain struct {
	Plan       fleet.PlanID `json:"plan"`
	MadeAt     time.Time    `json:"made_at"`
	MadeBy     string       `json:"made_by"`
	Actions    int          `json:"actions"`
	Comparison comparison   `json:"result"`
	Detail     string       `json:"detail,omitempty"` // where the bytes part, or why nothing was compared
}

// chainReport is what came of replaying a chain of plans.
type chainReport struct {
	Planner   string      `json:"planner"` // the version that made them again
	Plans     int         `json:"plans"`
	Same      int         `json:"same"`
	Different int         `json:"different"`
	Skipped   int         `json:"skipped"`
	Made      []planAgain `json:"made"`
}

// replayPlans makes the recorded plans again and compares them.
func (r *replayCmd) replayPlans(ctx context.Context, c console) error {
	var save io.Writer
	if r.Save != "" {
		f, err := os.Create(filepath.Clean(r.Save))
		if err != nil {
			return fmt.Errorf("%w: --save: %w", fleet.ErrInvalid, err)
		}
		defer func() { _ = f.Close() }()
		save = f
	}
	report := chainReport{Planner: plan.Version, Made: []planAgain{}}
	each := func(line *recorded) error {
		if save != nil {
			if err := json.NewEncoder(save).Encode(line); err != nil {
				return fmt.Errorf("--save %s: %w", r.Save, err)
			}
		}
		made, err := line.again()
		if err != nil {
			return err
		}
		report.add(&made)
		return ctx.Err()
	}
	var err error
	if r.Recording != "" {
		err = r.eachOfFile(c, each)
	} else {
		err = r.eachOfChain(ctx, each)
	}
	if err != nil {
		return err
	}
	if r.Output == "json" {
		err = writeJSON(c.out, report)
	} else {
		err = report.print(c.out)
	}
	if err == nil && report.Different > 0 {
		err = errExpectation
	}
	return err
}

// longestReplay bounds the reading of a chain: a month of plans.
const longestReplay = 10 * time.Minute

// eachOfChain calls f with the plans of a cluster that the installation keeps.
func (r *replayCmd) eachOfChain(ctx context.Context, f func(*recorded) error) error {
	return r.within(ctx, longestReplay, func(ctx context.Context, b *bus.Bus) error {
		found := false
		for stored, err := range b.Plans(ctx, r.Cluster, 0) {
			if err != nil && !errors.Is(err, bus.ErrForeign) {
				return fmt.Errorf("plan %d of %s: %w", stored.Seq, r.Cluster, err)
			}
			if err != nil || !r.wants(&stored) {
				continue
			}
			found = true
			line, err := recordedOf(ctx, b, &stored.Value)
			if err != nil {
				return err
			}
			if err := f(line); err != nil {
				return err
			}
		}
		if !found {
			return fmt.Errorf("%w: cluster %q has no such plan in the PLAN stream; neap status lists clusters and their last plan", fleet.ErrNotFound, r.Cluster)
		}
		return nil
	})
}

// wants reports whether a plan is among those that were asked for.
func (r *replayCmd) wants(p *bus.Stored[fleet.Plan]) bool {
	return (r.Plan == "" || p.Value.ID.Short() == r.Plan.Short()) && (r.Since <= 0 || time.Since(p.At) <= r.Since)
}

// recordedOf is a plan with its record, if that is still kept.
func recordedOf(ctx context.Context, b *bus.Bus, p *fleet.Plan) (*recorded, error) {
	line := &recorded{}
	var err error
	if line.Plan, err = fleet.Encode(p); err != nil {
		return nil, err
	}
	record, err := b.Record(ctx, p.Cluster, p.ID)
	switch {
	case errors.Is(err, fleet.ErrNotFound), errors.Is(err, fleet.ErrInvalid), errors.Is(err, fleet.ErrVersion):
		line.Why = err.Error()
		return line, nil
	case err != nil:
		return nil, err
	}
	line.Record, err = fleet.Encode(&record)
	return line, err
}

// eachOfFile calls f with the plans of a recording.
func (r *replayCmd) eachOfFile(c console, f func(*recorded) error) error {
	in := c.in
	if r.Recording != "-" {
		file, err := os.Open(filepath.Clean(r.Recording))
		if err != nil {
			return fmt.Errorf("%w: --recording: %w", fleet.ErrInvalid, err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	lines := json.NewDecoder(bufio.NewReader(in))
	for n := 1; ; n++ {
		var line recorded
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF) && n > 1:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: --recording %s is empty; make one with neap replay --cluster NAME --save FILE", fleet.ErrInvalid, r.Recording)
		case err != nil:
			return fmt.Errorf("%w: --recording %s, plan %d: %w; make one with neap replay --cluster NAME --save FILE", fleet.ErrInvalid, r.Recording, n, err)
		}
		if err := f(&line); err != nil {
			return fmt.Errorf("--recording %s, plan %d: %w", r.Recording, n, err)
		}
	}
}

// again makes the plan again and compares.
func (l *recorded) again() (planAgain, error) {
	p, err := fleet.Decode[fleet.Plan](l.Plan)
	if err != nil {
		return planAgain{}, err
	}
	made := planAgain{Plan: p.ID, MadeAt: p.MadeAt, MadeBy: p.MadeBy, Actions: len(p.Actions), Comparison: noRecord, Detail: l.Why}
	if l.Record == nil {
		return made, nil
	}
	record, err := fleet.Decode[fleet.Record](l.Record)
	if err != nil {
		made.Comparison, made.Detail = badRecord, err.Error()
		return made, nil //nolint:nilerr // the report tells it
	}
	was, is, err := plan.Again(&p, &record)
	switch {
	case errors.Is(err, fleet.ErrInvalid):
		made.Comparison, made.Detail = badRecord, err.Error()
	case err != nil && !errors.Is(err, fleet.ErrVersion):
		return made, err
	case bytes.Equal(was, is):
		made.Comparison, made.Detail = sameBytes, ""
	case err != nil:
		made.Comparison, made.Detail = otherVersion, parting(was, is)
	default:
		made.Comparison, made.Detail = otherBytes, parting(was, is)
	}
	return made, nil
}

// parting shows where two texts part.
func parting(was, is []byte) string {
	at := 0
	for at < len(was) && at < len(is) && was[at] == is[at] {
		at++
	}
	const around = 60
	from := max(at-around/2, 0)
	clip := func(b []byte) []byte { return b[min(from, len(b)):min(at+around, len(b))] }
	return fmt.Sprintf("from byte %d: …%s… became …%s…", at, clip(was), clip(is))
}

func (r *chainReport) add(made *planAgain) {
	r.Plans++
	switch made.Comparison {
	case sameBytes:
		r.Same++
	case otherBytes:
		r.Different++
	case otherVersion, noRecord, badRecord:
		r.Skipped++
	}
	r.Made = append(r.Made, *made)
}

// print shows the report to people.
func (r *chainReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLAN\tMADE AT\tBY\tACTIONS\tMADE AGAIN")
	for i := range r.Made {
		made := &r.Made[i]
		text := map[comparison]string{
			sameBytes: "the same, to the byte", otherBytes: "DIFFERENT " + made.Detail, otherVersion: "another version decides otherwise, " + made.Detail,
			noRecord: "not made: " + made.Detail, badRecord: "not made: " + made.Detail,
		}[made.Comparison]
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", made.Plan.Short(), made.MadeAt.UTC().Format(time.RFC3339), made.MadeBy, made.Actions, text)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s by planner %s: %d the same, %d different, %d not compared\n", count(r.Plans, "plan"), r.Planner, r.Same, r.Different, r.Skipped)
	return err
}
