package main

import (
	"fmt"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// setupSpot is a cluster that mostly runs on spot.
const setupSpot = `
cluster demo
task agent  cpu 128  memory 128
task web    cpu 512  memory 1024
task api    cpu 1024 memory 1536
task report cpu 512  memory 1024 tag neap.dev/restrict-scale-down=true constraint 'attribute:neap.dev/lifecycle == on-demand'
service agent task agent daemon
service web task web desired 20 min 100 max 200
service api task api desired 6 min 100 max 200
service report task report desired 1
`

// What the storm takes, in two gusts, and how soon an instance that goes has to be drained.
const (
	firstGust, secondGust = 4, 2
	recommended           = 3
	drainsWithin          = 45 * time.Second
)

// spotStormStory is what EC2 does to spot instances, and what is left of it in the end.
func spotStormStory() story {
	return story{
		name: "spot-storm", about: "EC2 recommends, then takes, many spot instances at once and has no others: replacement first where there is time, on-demand where there is no spot, spot again after",
		setup: setupSpot, policy: spotPolicy,
		chapters: []chapter{
			starts("A cluster that mostly runs on spot starts"),
			{
				title:  fmt.Sprintf("EC2 recommends to leave %d spot instances: there is time, so others take their place first", recommended),
				script: fmt.Sprintf("rebalance spot %d", recommended), within: 30 * time.Minute, explains: true,
				until:  []expectation{warnedAreGone(recommended), everythingRuns(), headroomKept(), eachStays()},
				always: []expectation{reportStays(), minimumsKept(), placesProven()},
			},
			{
				title:  fmt.Sprintf("A storm: EC2 takes %d spot instances within a minute, two minutes after it says so, and has no spot instance left", firstGust+secondGust),
				script: fmt.Sprintf("shortage * * spot\ninterrupt spot %d\nat 30s interrupt spot %d", firstGust, secondGust), within: 30 * time.Minute,
				until: []expectation{
					warnedAreGone(firstGust + secondGust), drainedAtOnce(), onDemandCame(), everythingRuns(), headroomKept(), placedWithin(3 * time.Minute),
				},
				always: []expectation{reportStays(), roomBounded(130)},
			},
			{
				title:  "EC2 has spot instances again, and web grows: what is launched is spot once more",
				script: "plenty * * spot\nat 7m service web desired 32", within: time.Hour,
				until:  []expectation{tasksWaited(), spotAgain(), everythingRuns(), headroomKept()},
				always: []expectation{reportStays(), minimumsKept()},
			},
		},
	}
}

// spotPolicy wants nearly everything on spot, by price alone: a pool that was short is as
// good as any when it has instances again.
func spotPolicy(p *fleet.Policy) {
	share := spotWanted
	p.ScaleDown.MinLifetime = fleet.Duration(2 * time.Minute)
	p.ScaleDown.StableFor, p.ScaleDown.Cooldown = fleet.Duration(30*time.Second), fleet.Duration(30*time.Second)
	p.LaunchSpecs[0].SpotPercentage, p.LaunchSpecs[0].Types.MaxVCPUs = &share, 2
	p.LaunchSpecs[0].Orientation = fleet.Cheapest
}

// spotWanted is the share of instances that the policy wants on spot, in percent.
const spotWanted = 80

// drainedAtOnce: whatever EC2 warned of took no tasks soon after.
func drainedAtOnce() expectation {
	return expectation{fmt.Sprintf("each of them was drained within %s of the warning, besides %s of this machine's time", drainsWithin, ownTime), func(o *observer) bool {
		for id, at := range o.past.warned {
			drained, ok := o.past.drained[id]
			if !ok || drained.Sub(at) > drainsWithin+o.ownTime() {
				return false
			}
		}
		return true
	}}
}

// onDemandCame: while there was no spot capacity on-demand instances were launched, no spot.
func onDemandCame() expectation {
	return expectation{"on-demand instances took their place", func(o *observer) bool {
		return o.past.launched[fleet.OnDemand] > 0 && o.past.launched[fleet.Spot] == 0
	}}
}

// roomBounded: the instances that take tasks have never more room than this percentage of
// what they had when the chapter began.
func roomBounded(percentage int64) expectation {
	return expectation{fmt.Sprintf("the instances that take tasks never have more than %d %% of the room from before", percentage), func(o *observer) bool {
		return o.room()*100 <= o.chapterRoom*percentage
	}}
}

// spotAgain: of what was launched in this chapter most is spot.
func spotAgain() expectation {
	return expectation{"most of what was launched is spot", func(o *observer) bool {
		return o.past.launched[fleet.Spot] > o.past.launched[fleet.OnDemand]
	}}
}
