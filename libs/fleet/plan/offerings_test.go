package plan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// marketplace is a random world in which many launch specs, types and limits differ.
func marketplace(rng *rand.Rand) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for i := range 3 + rng.IntN(12) {
		vcpus := 2 << rng.IntN(4)
		price := float64(vcpus) * (0.04 + 0.02*rng.Float64())
		options := []string{"", " arch=arm64", " burstable", " gpu=1", " disk=100", " mbps=5000"}[rng.IntN(6)]
		family := []string{"m6i", "m7i", "c7i", "r7i", "m7g", "t3", "g5"}[rng.IntN(7)]
		say("type %s.x%d %d %d %.4f %.4f%s zones=%s", family, i, vcpus, vcpus*(1+rng.IntN(8)), price, price*(0.3+0.6*rng.Float64()), options, []string{"a", "b", "a,b"}[rng.IntN(3)])
	}
	for i := range 1 + rng.IntN(3) {
		say(`spec s%d "{'images':['ami-1','ami-arm64'],'spotPercentage':%d,'orientation':'%s','maxInstances':%d,'maxVCPUs':%d,'maxMemoryGiB':%d,'preferredTypes':[%s],'instanceTypes':{%s}}"`, i,
			[]int{0, 40, 100}[rng.IntN(3)], []fleet.Orientation{fleet.Cheapest, fleet.CostOriented, fleet.Balanced, fleet.AvailabilityFirst}[rng.IntN(4)],
			rng.IntN(2)*(1+rng.IntN(5)), rng.IntN(2)*(2+rng.IntN(40)), rng.IntN(2)*(4+rng.IntN(200)), []string{"", "'m7i.*'"}[rng.IntN(2)],
			[]string{"", "'families':['m*','c7i']", "'minGeneration':7", "'categories':['general','memory'],'burstable':true", "'architectures':['x86_64','arm64']", "'localDisks':'required'", "'maxPrice':0.3", "'minNetworkGbps':5"}[rng.IntN(8)])
	}
	for i := range 1 + rng.IntN(6) {
		name := fmt.Sprintf("w%d", i)
		desired := rng.IntN(20)
		say("service %s desired=%d cpu=%d mem=%d failed=%d%s", name, desired, 128<<rng.IntN(4), 256<<rng.IntN(4), rng.IntN(2)*rng.IntN(9),
			[]string{"", " distinct", " port=80", " arch=arm64", " eni=1", ` memberOf="attribute:neap.dev/lifecycle==on-demand"`, ` memberOf="attribute:spotinst.io/container-instance-lifecycle==spot"`}[rng.IntN(7)])
		say("seen %s desired=%d grown=%d failed=%d crashed=%d%s", name, rng.IntN(20), rng.IntN(10), rng.IntN(5), rng.IntN(5), []string{"", " room"}[rng.IntN(2)])
		if rng.IntN(4) == 0 {
			say("wanted %s for=%dm", name, rng.IntN(200))
		}
	}
	say(`policy "{'limits':{'maxInstances':%d,'maxVCPUs':%d,'launchBurst':1000},'headroom':{'automaticPercentage':%d},'scaleUp':{'surge':'%s'}}"`,
		1+rng.IntN(40), rng.IntN(2)*(4+rng.IntN(100)), rng.IntN(60), []fleet.Surge{fleet.SurgeFull, fleet.SurgeProgress}[rng.IntN(2)])
	return b.String()
}

// TestMarketplace: whatever launch specs, types and limits there are, each offering of each
// launch passes the filter of its launch spec and costs little more than the first, no
// architecture comes unasked, no limit is exceeded, everything that waits is answered, and
// the order of the input does not matter.
func TestMarketplace(t *testing.T) {
	launches := 0
	for seed := range uint64(600) {
		text := marketplace(rand.New(rand.NewPCG(seed, 11)))
		s, err := read(text)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		p := s.make()
		if err := p.Validate(); err != nil {
			t.Errorf("not valid: %v", err)
		}
		types := map[fleet.TypeName]*fleet.InstanceType{}
		for i := range s.snap.Types {
			types[s.snap.Types[i].Name] = &s.snap.Types[i]
		}
		pol := s.pol.WithDefaults()
		used := map[fleet.LaunchSpecName][3]int64{}
		for i := range p.Actions {
			if l := p.Actions[i].Launch; l != nil {
				launches++
				s.checkOfferings(t, l, types)
				u, vcpus, memory := used[l.Spec.Name], int64(0), int64(0)
				for _, o := range l.Offerings { // EC2 may pick any
					vcpus, memory = max(vcpus, types[o.Type].VCPUs), max(memory, types[o.Type].MemoryMiB)
				}
				used[l.Spec.Name] = [3]int64{u[0] + int64(l.Count), u[1] + int64(l.Count)*vcpus, u[2] + int64(l.Count)*memory}
			}
		}
		checkLimits(t, &pol, used)
		for _, d := range p.Demand {
			if d.FitNow+d.Launched+d.Unplaced != d.Count || d.Reason.Code == "" {
				t.Errorf("demand %+v does not add up", d)
			}
		}
		want, _ := json.Marshal(p)
		if got, _ := json.Marshal(plan.Make(shuffle(s.snap, rand.New(rand.NewPCG(seed, 12))), s.pol, s.mem)); !bytes.Equal(got, want) {
			t.Error("shuffled, the plan is another")
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s\n%s", seed, text, s.render(&p))
		}
	}
	if launches < 500 {
		t.Errorf("only %d launches were seen: the worlds show too little", launches)
	}
}

func (s *script) checkOfferings(t *testing.T, l *fleet.Launch, types map[fleet.TypeName]*fleet.InstanceType) {
	t.Helper()
	for _, o := range l.Offerings {
		if !plan.TypeAllowed(&l.Spec.Types, types[o.Type]) {
			t.Errorf("%s does not pass the filter %+v", o.Type, l.Spec.Types)
		}
		const most = 1.25 * 1.25 * 5 // the largest premium, for a type that is not preferred, in a pool at full risk
		if o.Price.USD() > l.Offerings[0].Price.USD()*most || o.Lifecycle != l.Lifecycle {
			t.Errorf("%s at %s beside %s at %s", o.Key(), o.Price, l.Offerings[0].Key(), l.Offerings[0].Price)
		}
		for _, c := range l.For {
			for i := range s.snap.TaskGroups {
				g := &s.snap.TaskGroups[i]
				if c.What == g.Group+" "+g.TaskDefinition && g.Architecture != "" && g.Architecture != o.Architecture {
					t.Errorf("%s is to hold %s, which runs on %s", o.Type, c.What, g.Architecture)
				}
			}
		}
	}
}

func checkLimits(t *testing.T, pol *fleet.Policy, used map[fleet.LaunchSpecName][3]int64) {
	t.Helper()
	var all [3]int64
	exceeds := func(what string, used, limit int64) {
		if limit > 0 && used > limit {
			t.Errorf("%s: %d, of %d", what, used, limit)
		}
	}
	for i := range pol.LaunchSpecs {
		spec := &pol.LaunchSpecs[i]
		u := used[spec.Name]
		all = [3]int64{all[0] + u[0], all[1] + u[1], all[2] + u[2]}
		exceeds("instances of "+string(spec.Name), u[0], int64(spec.MaxInstances))
		exceeds("vCPUs of "+string(spec.Name), u[1], spec.MaxVCPUs)
		exceeds("memory of "+string(spec.Name), u[2], spec.MaxMemoryGiB*1024)
	}
	exceeds("instances", all[0], int64(pol.Limits.MaxInstances))
	exceeds("vCPUs", all[1], pol.Limits.MaxVCPUs)
	exceeds("memory", all[2], pol.Limits.MaxMemoryGiB*1024)
}
