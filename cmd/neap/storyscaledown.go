package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// setupPools is a cluster of two pools. What runs in one has no room in the other, so that
// an instance that is kept in vain costs its price.
const setupPools = `
cluster demo
task agent    cpu 128  memory 128
task web      cpu 512  memory 1024 constraint 'attribute:pool == web'
task api      cpu 1024 memory 1536 constraint 'attribute:pool == web'
task checkout cpu 512  memory 1024 constraint 'attribute:pool == web'
task report   cpu 512  memory 1024 constraint 'attribute:pool == web' tag neap.dev/restrict-scale-down=true
task batch    cpu 1536 memory 2560 constraint 'attribute:pool == batch'
service agent task agent daemon
service web task web desired 24 min 100 max 200
service api task api desired 6 min 100 max 200
service checkout task checkout desired 3 min 100 max 200
service report task report desired 1
service batch task batch desired 3 min 100 max 200
`

// loadFalls halves the load while checkout is being deployed: its new tasks take their time
// to become healthy.
const loadFalls = `
protect api count 1 for 4h
service web desired 12
service api desired 3
service batch desired 1
task checkout cpu 512 memory 1024 constraint 'attribute:pool == web' health 120s
at 45s service checkout task checkout
`

// scaleDownStory is the other half of the bill: what goes, what stays, and why.
func scaleDownStory() story {
	return story{
		name: "scale-down", about: "load falls by half: what is removed, what stays and why, what each rule costs, and what lifting it saves",
		setup: setupPools, policy: poolsPolicy,
		chapters: []chapter{
			starts("A crowded cluster of two pools starts"),
			{
				title:  "Load falls by half. checkout is being deployed, ECS protects a task of api, and somebody looks at two instances",
				script: loadFalls, people: protectBatch, within: time.Hour, explains: true,
				until: []expectation{
					everythingRuns(), cheaper(75), headroomKept(), keptFor("a deployment in flight", fleet.ReasonDeploying, ""),
					eachStays(), keptFor("a person (neap protect)", fleet.ReasonProtected, "the instance"),
					keptFor("ECS task scale-in protection", fleet.ReasonProtected, "api"), keptFor("the tag of report", fleet.ReasonRestricted, ""),
				},
				always: []expectation{reportStays(), fewDrain(), minimumsKept(), placesProven()},
			},
			{
				title:  "The protections are lifted: the cluster packs tighter",
				script: "unprotect api", people: unprotectAll, within: time.Hour, explains: true,
				until:  []expectation{everythingRuns(), cheaper(95), headroomKept(), eachStays()},
				always: []expectation{reportStays(), fewDrain(), minimumsKept(), placesProven()},
			},
		},
	}
}

// poolsPolicy has a launch spec for each pool and moves a tenth of the cluster at once at
// most, as the default is.
func poolsPolicy(p *fleet.Policy) {
	p.ScaleDown = fleet.ScaleDown{
		MaxPercentage: fewPercentage, StableFor: fleet.Duration(30 * time.Second), Cooldown: fleet.Duration(20 * time.Second), MinLifetime: fleet.Duration(2 * time.Minute),
	}
	p.LaunchSpecs[0].Attributes = map[string]string{"pool": "web"}
	p.LaunchSpecs[0].Types.MaxVCPUs = 2
	none := 0
	p.LaunchSpecs = append(p.LaunchSpecs, fleet.LaunchSpec{Name: "batch", Attributes: map[string]string{"pool": "batch"}, SpotPercentage: &none})
	for i := range p.Headroom.Units {
		p.Headroom.Units[i].LaunchSpec = p.LaunchSpecs[0].Name
	}
}

// fewPercentage is the share of the cluster that may drain at once.
const fewPercentage = 10

// protectBatch protects two of the three instances of the batch pool: of one task that is
// left, at least one of them has nothing.
func protectBatch(ctx context.Context, p *player) error {
	var ids []fleet.InstanceID
	p.locked(func(o *observer) {
		for i := range o.scene.instances {
			if inst := &o.scene.instances[i]; o.runs(inst, "batch") {
				ids = append(ids, inst.id)
			}
		}
	})
	if len(ids) < 2 {
		return fmt.Errorf("the pool of batch has %d instances, not two to protect", len(ids))
	}
	slices.Sort(ids)
	for _, id := range ids[:2] {
		why := bus.Protection{By: "ann", Why: "looking at its disk", At: time.Now()}
		if err := p.bus.Control().Protect(ctx, clusterName, id, why); err != nil {
			return err
		}
		p.person("neap protect %s --why '%s'", clipID(id), why.Why)
	}
	return nil
}

// unprotectAll lifts the protection of all instances.
func unprotectAll(ctx context.Context, p *player) error {
	list, err := protections(ctx, p.bus, clusterName)
	if err != nil {
		return err
	}
	for _, one := range list {
		if err := p.bus.Control().Unprotect(ctx, clusterName, one.Instance); err != nil {
			return err
		}
		p.person("neap unprotect %s", clipID(one.Instance))
	}
	return nil
}

// eachStays: nothing is left to be done, and each instance says what keeps it.
func eachStays() expectation {
	return expectation{"each instance that is left names what keeps it, and none waits to go", func(o *observer) bool {
		return len(o.stays) == o.instancesAlive() && !slices.ContainsFunc(o.stays, func(s instanceExplained) bool {
			return s.Stage != plan.StageStays || passes(s.Reason.Code)
		})
	}}
}

// passes reports whether a rule that keeps an instance ends by itself within minutes.
func passes(code fleet.ReasonCode) bool {
	return slices.Contains([]fleet.ReasonCode{
		fleet.ReasonYoung, fleet.ReasonAwaited, fleet.ReasonDeploying, fleet.ReasonSuccessor, fleet.ReasonStale, fleet.ReasonIncomplete, fleet.ReasonSetback,
	}, code)
}

// keptFor: at some time of the chapter an instance was kept for a reason, about a thing.
func keptFor(words string, code fleet.ReasonCode, what string) expectation {
	return expectation{"an instance was kept for " + words, func(o *observer) bool {
		return slices.ContainsFunc(o.chapterStays, func(s instanceExplained) bool {
			return s.Reason.Code == code && (what == "" || strings.Contains(s.Reason.Fact("what"), what))
		})
	}}
}

// fewDrain: no more drain at once than the policy allows.
func fewDrain() expectation {
	return expectation{fmt.Sprintf("never did more than %d %% of the instances drain at once, or one", fewPercentage), func(o *observer) bool {
		draining, all := 0, 0
		for i := range o.truth.Instances {
			switch inst := &o.truth.Instances[i]; {
			case !lives(inst):
			case inst.Status == hostDraining:
				draining++
				all++
			case inst.Status == hostActive:
				all++
			}
		}
		return draining <= max(1, all*fewPercentage/100)
	}}
}
