package dst

import (
	"slices"
	"strings"
)

// Shrink finds fewer faults with which a seed still breaks the same invariant: it leaves out
// half of them, then each, as long as that goes. It plays the seed up to about twice as often
// as there are faults. The result is that of the last story that fails, with its faults.
func Shrink(cfg Config, failed Result) (Config, Result) {
	if len(failed.Violations) == 0 {
		return cfg, failed
	}
	want := failed.Violations[0].Invariant
	cfg.Faults = slices.Clone(failed.Active)
	if cfg.Faults == nil {
		cfg.Faults = []string{}
	}
	for size := max(len(cfg.Faults)/2, 1); size > 0; size /= 2 {
		for at := 0; at < len(cfg.Faults); {
			fewer := cfg
			fewer.Faults = slices.Delete(slices.Clone(cfg.Faults), at, min(at+size, len(cfg.Faults)))
			r := Run(fewer)
			if len(r.Violations) > 0 && r.Violations[0].Invariant == want {
				cfg, failed = fewer, r
				continue
			}
			at += size
		}
	}
	return cfg, failed
}

// Story is the history for people: its last lines, without what hits by the way.
func (r *Result) Story(most int) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(string(r.History)), "\n") {
		if !strings.Contains(line, " hit by ") && !strings.Contains(line, " held ") {
			lines = append(lines, line)
		}
	}
	return lines[max(len(lines)-most, 0):]
}
