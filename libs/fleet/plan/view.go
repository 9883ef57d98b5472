package plan

import (
	"fmt"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// lookAround finds out what may be done at all on this view. Launching needs to know what
// exists and what is wanted; removing needs to know everything. Doubt means no.
func (d *draft) lookAround() {
	const cluster = "cluster"
	if p := d.mem.Pause; p.Paused() {
		r := fleet.Because(fleet.ReasonPaused, cluster, "by", p.By, "why", p.Why, "since", p.Since.UTC().Format(time.RFC3339))
		d.forbid(&r, &r)
		return
	}
	if d.snap.ReadStartedAt.Before(d.mem.PrevReadAt) {
		r := fleet.Because(fleet.ReasonStale, cluster, "age", "older than the last plan's, "+d.mem.PrevReadAt.Sub(d.snap.ReadStartedAt).String(), "limit", "0s")
		d.forbid(&r, &r)
		return
	}
	if problem, ok := d.snap.Incomplete(fleet.SectionInstances, fleet.SectionEC2, fleet.SectionServices, fleet.SectionTasks, fleet.SectionCatalogue); !ok {
		r := fleet.Because(fleet.ReasonIncomplete, cluster, "problem", problem)
		d.forbid(&r, &r)
		return
	}
	if age := d.age(); age > staleRemove {
		r := fleet.Because(fleet.ReasonStale, cluster, "age", age.Truncate(time.Second), "limit", staleRemove)
		d.forbid(nil, &r)
		if age > staleLaunch {
			d.forbid(&r, nil)
		}
	}
	if problem, ok := d.snap.Incomplete(fleet.AllSections()...); !ok {
		r := fleet.Because(fleet.ReasonIncomplete, cluster, "problem", problem)
		d.forbid(nil, &r)
	}
	if !*d.pol.ScaleDown.Enabled {
		r := fleet.Because(fleet.ReasonDisabled, cluster)
		d.forbid(nil, &r)
	}
}

// forbid keeps the first reason of each kind: it is the one to fix.
func (d *draft) forbid(launch, remove *fleet.Reason) {
	if launch != nil && d.noLaunch == nil {
		d.noLaunch = launch
	}
	if remove != nil && d.noRemove == nil {
		d.noRemove = remove
	}
}

// setback is why some work is not tried again yet, nil if it may be. What was tried under
// another policy says nothing: what was wrong may be mended.
func (d *draft) setback(kind fleet.ActionKind, of string) *fleet.Setback {
	if len(d.mem.Setbacks) == 0 {
		return nil
	}
	if digest, err := d.policyDigest(); err != nil || digest != d.mem.Policy {
		return nil
	}
	return d.mem.Setback(kind, of, d.now)
}

// policyDigest is the digest of the policy, made once: setbacks are asked for of every
// instance.
func (d *draft) policyDigest() (string, error) {
	var err error
	if d.policy == "" {
		d.policy, err = d.pol.Digest()
	}
	return d.policy, err
}

// setBack puts a setback into words.
func setBack(s *fleet.Setback, subject string) fleet.Reason {
	what := string(s.Kind)
	if s.Kind == fleet.ActionLaunch {
		what = "launching from " + s.Of
	}
	return fleet.Because(fleet.ReasonSetback, subject, "what", what, "times", s.Strikes,
		"why", fmt.Sprintf("%s: %s", s.Class, s.Message), "until", s.Until.UTC().Format(time.RFC3339))
}

// age is how old the oldest part of the view is that changes by the second. Types, prices
// and subnets may be hours old, and tasks are swept over minutes in the largest clusters.
func (d *draft) age() time.Duration {
	var age time.Duration
	for _, s := range d.snap.Sections {
		switch s.Name {
		case fleet.SectionInstances, fleet.SectionEC2, fleet.SectionServices:
			if !s.ReadAt.IsZero() {
				age = max(age, d.now.Sub(s.ReadAt))
			}
		case fleet.SectionTasks, fleet.SectionCatalogue, fleet.SectionNetwork:
		}
	}
	return age
}

// complete reports whether the instances of the cluster were seen, all of them.
func (d *draft) complete() bool {
	_, ok := d.snap.Incomplete(fleet.SectionInstances, fleet.SectionEC2)
	return ok
}

// ago is a duration for people: whole seconds, or minutes if it is long.
func ago(v time.Duration) string {
	if v >= time.Hour {
		return fmt.Sprintf("%dh%02dm", int(v.Hours()), int(v.Minutes())%60)
	}
	return v.Truncate(time.Second).String()
}
