package plan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// unrest is what a reference that looks at instances and tasks alone cannot follow: what
// comes and goes, what waits, and headroom.
var unrest = regexp.MustCompile(` notice=\S+| status=draining drain=d9|(?m)^service agent .*$|^policy .*headroom.*$`)

// crowded writes a script of a cluster in which nothing comes or goes and nothing waits.
func crowded(t *testing.T, seed uint64) *script {
	t.Helper()
	s, err := read(unrest.ReplaceAllString(randomWorld(rand.New(rand.NewPCG(seed, 7))), ""))
	if err != nil {
		t.Fatal(err)
	}
	s.pol.Headroom = fleet.Headroom{}
	for i := range s.snap.Services {
		svc := &s.snap.Services[i]
		svc.Desired = svc.Deployments[0].Running
		svc.Deployments[0].Desired = svc.Desired
	}
	return s
}

// TestWhyStayIsTrue: on crowded clusters each instance has one reason, it is that of the
// plan, and a reference that shares no code with the planner finds it true.
func TestWhyStayIsTrue(t *testing.T) {
	seen := map[fleet.ReasonCode]int{}
	joint, heuristic := 0, 0
	for seed := range uint64(2000) {
		s := crowded(t, seed)
		p := s.make()
		stays := plan.WhyStay(s.snap, s.pol, s.mem)
		if len(stays) != len(s.snap.Instances) {
			t.Fatalf("seed %d: %d instances, %d are told of", seed, len(s.snap.Instances), len(stays))
		}
		for i := range stays {
			seen[stays[i].Reason.Code]++
			lie := s.check(&p, &stays[i])
			if strings.Contains(stays[i].Reason.Fact("why"), "with the rest") || len(stays[i].Before) > 0 {
				joint++
			}
			if lie == packsElsewhere {
				heuristic++
				continue
			}
			if lie != "" {
				t.Fatalf("seed %d: %s: %s\n%+v\n%s", seed, stays[i].Reason, lie, stays[i], s.render(&p))
			}
		}
	}
	if mostMisses := joint / 20; joint < 500 || heuristic > mostMisses {
		t.Errorf("of %d sets of tasks that are said to fit nowhere, a search through all ways to place them places %d", joint, heuristic)
	}
	t.Logf("%d sets of tasks, %d of which a search places; %v", joint, heuristic, seen)
	for _, code := range []fleet.ReasonCode{fleet.ReasonUnfit, fleet.ReasonNotOurs, fleet.ReasonYoung, fleet.ReasonUnstable, fleet.ReasonBudget, fleet.ReasonIdle} {
		if seen[code] < 20 {
			t.Errorf("only %d instances stayed because of %s: the worlds show too little", seen[code], code)
		}
	}
}

// packsElsewhere is what may be so now and then: tasks are moved largest first, and not in
// every way that is conceivable.
const packsElsewhere = "all that has to move fits elsewhere"

// check says what is not true of why an instance stays, "" if all is.
func (s *script) check(p *fleet.Plan, stay *plan.Stay) string {
	i := slices.IndexFunc(s.snap.Instances, func(inst fleet.Instance) bool { return inst.ID == stay.Instance })
	inst := &s.snap.Instances[i]
	ref := newReference(s)
	ref.open[i] = false
	alone := ref.fit(s.tasksOn(i))
	drains := 0
	for x := range p.Actions {
		if id, _ := p.Actions[x].Target(); id == inst.ID && (stay.Stage != plan.StageLeaving || stay.Reason.Code != p.Actions[x].Reason.Code) {
			return "the plan acts on it"
		}
		if p.Actions[x].Drain != nil {
			drains++
		}
	}
	for _, r := range p.Reasons {
		if r.Subject == "instance/"+string(inst.ID) && r.Code != stay.Reason.Code {
			return "the plan says: " + r.String()
		}
	}
	switch stay.Stage {
	case plan.StageLeaving, plan.StageWaits:
		if !alone || stay.Saving != stay.Price {
			return "its tasks have no room elsewhere, or it saves another sum than its price"
		}
	case plan.StageStays, plan.StageComing:
	}
	switch idle := s.mem.Idle; stay.Reason.Code {
	case fleet.ReasonUnfit:
		return s.checkUnfit(ref, i, stay)
	case fleet.ReasonNotOurs:
		if inst.Owner != "" || stay.Otherwise == nil && (!alone || stay.Saving != stay.Price) || stay.Otherwise != nil && stay.Saving != 0 {
			return "it is ours, or would stay without the rule"
		}
	case fleet.ReasonYoung:
		if noon.Sub(inst.LaunchedAt) >= 10*time.Minute {
			return "it is old"
		}
	case fleet.ReasonUnstable:
		if slices.ContainsFunc(idle, func(x fleet.Idle) bool { return x.Instance == inst.ID && noon.Sub(x.Since) >= 5*time.Minute }) {
			return "it has been idle for long enough"
		}
	case fleet.ReasonBudget:
		if fmt.Sprint(drains) != stay.Reason.Fact("allowed") {
			return fmt.Sprintf("%d instances drain", drains)
		}
	case fleet.ReasonIdle, fleet.ReasonEmpty, fleet.ReasonLimit:
	default:
		return "no such rule was laid down"
	}
	return ""
}

// checkUnfit looks whether a task really fits on no other instance, with those gone that go
// before: the one that is named and, where it is the last of many to be moved, all together.
func (s *script) checkUnfit(ref *reference, i int, stay *plan.Stay) string {
	var before []int // their tasks are on others
	for _, id := range stay.Before {
		k := slices.IndexFunc(s.snap.Instances, func(inst fleet.Instance) bool { return inst.ID == id })
		before = append(before, s.tasksOn(k)...)
		ref.open[k] = false
	}
	why := stay.Reason.Fact("why")
	name := stay.Reason.Fact("task")
	group := slices.IndexFunc(s.snap.TaskGroups, func(g fleet.TaskGroup) bool { return g.Group+" "+g.TaskDefinition == name })
	if !slices.Contains(append(before, s.tasksOn(i)...), group) {
		return "no such task is on it"
	}
	switch {
	case strings.HasPrefix(why, "in a rehearsal"): // what ECS does by chance no search can tell
		return ""
	case len(stay.Before) > 0, strings.HasPrefix(why, "with the rest"):
		if ref.fit(append(before, s.tasksOn(i)...)) && ref.steps < mostSteps {
			return packsElsewhere
		}
	case ref.fit([]int{group}):
		return "it fits elsewhere"
	}
	return ""
}

// tasksOn lists the groups of the tasks on an instance, one for each task.
func (s *script) tasksOn(i int) []int {
	var list []int
	for _, tc := range s.snap.Tasks {
		if tc.Instance == i {
			list = append(list, slices.Repeat([]int{tc.Group}, tc.Running)...)
		}
	}
	return list
}

// TestWhyStayOfMany: in a cluster of which a plan tells no more than the first thousand, and
// the first hundred in full, each instance has its own answer all the same.
func TestWhyStayOfMany(t *testing.T) {
	snap, pol := large(shape{instances: 1200})
	for _, stay := range plan.WhyStay(snap, pol, fleet.Memory{Generation: 1}) {
		if stay.Stage == plan.StageStays && stay.Reason.Code != fleet.ReasonKeepHeadroom && !strings.Contains(stay.Reason.Fact("why"), "the nearest, i-") {
			t.Errorf("%s: %s %s", stay.Instance, stay.Reason.Code, stay.Reason)
		}
	}
}

// TestWhyStayBeyondAPlan: what does not fit in one plan waits for the next, and is told so.
func TestWhyStayBeyondAPlan(t *testing.T) {
	var text strings.Builder
	for i := range 450 {
		fmt.Fprintf(&text, "instance i-%03d m7i.large\nidle i-%03d\n", i, i)
	}
	s, err := read(text.String() + `policy "{'scaleDown':{'maxPercentage':50}}"`)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	for _, stay := range plan.WhyStay(s.snap, s.pol, s.mem) {
		told[fmt.Sprintf("%s %s", stay.Stage, stay.Reason.Fact("limit"))]++
	}
	want := map[string]int{"leaving ": 200, "waits 200 actions in a plan": 25, "waits scaleDown.maxPercentage = 50": 225}
	if !maps.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// TestWhyStay reads as the specification: what is told of an instance at each turn of its
// life, and what the rule costs.
func TestWhyStay(t *testing.T) {
	const (
		large = fleet.Price(100_800)
		part  = fleet.Price(-1) // of the price: what packing its tasks anew could save at most
		three = "service web desired=3 cpu=1280 mem=5000\ninstance i-2 m7i.large tasks=web*1\ninstance i-3 m7i.large tasks=web*1\n"
		swap  = "dear for=6m\npolicy \"{'scaleDown':{'replace':true,'maxPercentage':100}}\""
		two   = "service web desired=2 cpu=1024 mem=1024\ninstance i-1 m7i.large tasks=web*1\ninstance i-2 m7i.large tasks=web*1\n"
	)
	for name, c := range map[string]struct {
		script string
		stage  plan.Stage
		saving fleet.Price
		says   []string // in the reason, the next step and the rest, in this order
	}{
		"a task that fits nowhere, and what rules each of the others out": {
			"service big desired=1 cpu=2048 mem=4096\nservice web desired=1 cpu=1024 mem=6000\nservice db desired=1 port=5432 mem=256\n" +
				"instance i-1 m7i.large tasks=big*1\ninstance i-2 m7i.large tasks=web*1\ninstance i-3 c7i.large tasks=db*1",
			plan.StageStays, part,
			[]string{"big:1 fits nowhere else", "[{i-2 m7i.large CPU: needs 2048 units, 1024 free", "{i-3 c7i.large memory: needs 4096 MiB, 3"},
		},
		"a port that is taken where there is room": {
			"service db desired=2 cpu=128 mem=256 port=5432\ninstance i-1 m7i.large tasks=db*1\ninstance i-2 m7i.large tasks=db*1",
			plan.StageStays, large,
			[]string{"host port tcp/5432 is taken"},
		},
		"those that go first take the room": {
			"service web desired=5 cpu=1024 mem=1024\ninstance i-0 m7i.large tasks=web*1\ninstance i-1 m7i.large tasks=web*1\ninstance i-3 m7i.xlarge tasks=web*3\nidle i-0",
			plan.StageStays, 0,
			[]string{"with the rest of what is on it moved", "[i-0]"},
		},
		"headroom": {
			two + "policy \"{'headroom':{'units':[{'cpuUnits':1024,'memoryMiB':1024,'count':1}]}}\"",
			plan.StageStays, large,
			[]string{"without it 1 of 1 headroom units would be missing"},
		},
		"empty, and the minimum keeps it": {
			"service web desired=0\ninstance i-1 m7i.large\nidle i-1\npolicy \"{'limits':{'minInstances':1}}\"",
			plan.StageStays, large,
			[]string{"limits.minInstances = 1", "no replacement"},
		},
		"the clock": {
			two + "idle i-1 for=2m", plan.StageWaits, large, []string{"could go, but only for 2m0s", "it may go from 2026-03-14T12:03:00Z"},
		},
		"the cooldown": {
			two + "idle i-1\nchanged launched=1m", plan.StageWaits, large, []string{"the cluster changed 1m0s ago"},
		},
		"the hours": {
			two + "idle i-1\npolicy \"{'scaleDown':{'windows':[{'days':['sun'],'from':'02:00','to':'04:00'}]}}\"",
			plan.StageWaits, large,
			[]string{"outside of the maintenance windows"},
		},
		"the budget": {
			"service web desired=3 cpu=512 mem=512\ninstance i-1 m7i.large tasks=web*2\ninstance i-2 m7i.large tasks=web*1\ninstance i-3 m7i.large\nidle i-1\nidle i-2\nidle i-3",
			plan.StageStays, 0,
			[]string{"fits nowhere else", "[i-3 i-2]"},
		},
		"the minimum": {
			two + "idle i-1\npolicy \"{'limits':{'minInstances':2}}\"", plan.StageStays, large, []string{"limits.minInstances = 2"},
		},
		"a person": {
			strings.Replace(two, "large tasks", "large protected=mine tasks", 1), plan.StageStays, large, []string{"the instance is protected: mine", "neap unprotect"},
		},
		"a protected task": {
			strings.Replace(two, "web*1", "web*1!1", 1), plan.StageStays, large, []string{"web:1 is protected: task scale-in protection"},
		},
		"scale-down is off, and it could go": {
			two + "idle i-1\npolicy \"{'scaleDown':{'enabled':false}}\"", plan.StageStays, large, []string{"switched off", "scaleDown.enabled: true"},
		},
		"paused, and it could not go": {
			"service web desired=4 cpu=1024 mem=1024\ninstance i-1 m7i.large tasks=web*2\ninstance i-2 m7i.large tasks=web*2\npause by=ann why=audit",
			plan.StageStays, part,
			[]string{"paused by ann: audit", "neap resume", "otherwise service:web web:1 fits nowhere else"},
		},
		"drained now": {
			two + "idle i-1", plan.StageLeaving, large, []string{"tasks all fit elsewhere", "this plan drains it", "those left at about 2026-03-14T12:15:00Z are stopped"},
		},
		"would be drained now": {
			two + "idle i-1\npolicy \"{'dryRun':true}\"", plan.StageLeaving, large, []string{"nothing: the policy is a dry run; else this plan drains it"},
		},
		"being drained": {
			strings.Replace(two, "large tasks", "large status=draining drain=d-1 tasks", 1) + "open drain d-1 on=i-1 age=3m",
			plan.StageLeaving, large,
			[]string{"is being drained for 3m0s", "2026-03-14T12:12:00Z"},
		},
		"drained by another": {
			strings.Replace(two, "large tasks", "large status=draining not-ours tasks", 1), plan.StageLeaving, large, []string{"no open action of Neap"},
		},
		"booting": {
			"service web desired=0\ninstance i-1 m7i.large booting age=1m", plan.StageComing, 0, []string{"launched 1m0s ago", "7m0s"},
		},
		"about to be taken": {
			strings.Replace(two, "large tasks", "large spot notice=spot-interruption tasks", 1), plan.StageLeaving, 40_000, []string{"spot-interruption notice", "this plan drains it"},
		},
		"dear, and replacement is off": {
			"service web desired=2 cpu=1500 mem=1024\ninstance i-1 m7i.2xlarge tasks=web*1\ninstance i-2 c7i.large tasks=web*1",
			plan.StageStays, part,
			[]string{"fits nowhere else", "instead: the policy replaces nothing (scaleDown.replace)"},
		},
		"replaced by this plan": {
			three + "instance i-1 m7i.large tasks=web*1\n" + swap, plan.StageStays, part, []string{"fits nowhere else", "instead: its replacement is on its way"},
		},
		"idle, and a replacement of all comes first": {
			three + "instance i-1 m7i.large\ninstance i-4 m7i.large tasks=web*1\nidle i-1\n" + swap,
			plan.StageWaits, large,
			[]string{"4 instances are being replaced by cheaper ones"},
		},
		"a cheaper one boots": {
			"service web desired=2 cpu=900 mem=1500\ninstance i-1 r7i.large tasks=web*2\nopen launch a1 type=c7i.large age=1m replaces over gave=i-9\nreplacing i-1\n" +
				"policy \"{'scaleDown':{'replace':true}}\"",
			plan.StageStays, part,
			[]string{"there is no other instance", "instead: its replacement is on its way"},
		},
		"searched in vain": {
			"type m7i.large 2 8 0.1008 0.04 enis=3\nservice web desired=1 cpu=1000 mem=3500\ninstance i-1 m7i.large tasks=web*1\ndear searched=1m\n" +
				"policy \"{'scaleDown':{'replace':true}}\"",
			plan.StageStays, part,
			[]string{"there is no other instance", "instead: none that saves enough was found 1m0s ago"},
		},
		"not dear enough": {
			"service web desired=2 cpu=2000 mem=3300\ninstance i-1 c7i.large tasks=web*1\ninstance i-2 c7i.large tasks=web*1\npolicy \"{'scaleDown':{'replace':true,'replaceSavings':50}}\"",
			plan.StageStays, part,
			[]string{"fits nowhere else", "instead: the policy wants to save 50 % at least"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := read(c.script)
			if err != nil {
				t.Fatal(err)
			}
			pol := s.pol.WithDefaults()
			s.mem.Policy, _ = pol.Digest()
			got := plan.WhyStay(s.snap, s.pol, s.mem, "i-1", "i-unknown")
			if len(got) != 1 || got[0].Instance != "i-1" {
				t.Fatalf("of i-1 is told %+v", got)
			}
			stay := &got[0]
			text := fmt.Sprint(stay.Reason, "\n", stay.Next, "\n", stay.Reason.Considered, "\n", stay.Before)
			if stay.Otherwise != nil {
				text += "\notherwise " + stay.Otherwise.String()
			}
			if stay.Replacement == nil {
				text += "\nno replacement"
			} else {
				text += "\ninstead: " + stay.Replacement.Why
			}
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if c.saving == part && stay.Saving > 0 && stay.Saving < stay.Price {
				c.saving = stay.Saving
			}
			if stay.Stage != c.stage || stay.Saving != c.saving || t.Failed() {
				t.Errorf("it %s and saves %d, want %s and %d:\n%s", stay.Stage, stay.Saving, c.stage, c.saving, text)
			}
		})
	}
}
