package fleet_test

import (
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

func TestStandingWords(t *testing.T) {
	for want, st := range map[string]fleet.Standing{
		"it costs $0.2016/h, and no cluster for its 4 tasks costs less than $0.1008/h under the policy: at most 100.0 % above the least": {
			Cost: fleet.USD(0.2016), Bound: fleet.USD(0.1008), Tasks: 4,
		},
		"it costs $3.0000/h, and no cluster for its 9 tasks costs less than $2.0000/h under the policy: at most 50.0 % above the least " +
			"(2 units of headroom counted; 1 waiting tasks without room not counted; 3 tasks that no offering holds only in the cost; " +
			"5 instances without a known price not counted; $0.5000/h of it on instances that Neap may not remove)": {
			Cost: fleet.USD(3), Bound: fleet.USD(2), Tasks: 9, Headroom: 2, NoRoom: 1, NoOffering: 3, Unpriced: 5, Kept: fleet.USD(0.5),
		},
		"it costs $1.0000/h, and nothing runs on it that could be packed elsewhere": {Cost: fleet.USD(1)},
		"no bound is known: tasks is incomplete":                                    {Cost: fleet.USD(1), Problem: "tasks is incomplete"},
	} {
		if got := st.String(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if st := (fleet.Standing{Cost: 3, Bound: 2}); st.Ratio() != 1.5 {
		t.Errorf("ratio %v, want 1.5", st.Ratio())
	}
	if st := (fleet.Standing{Cost: 3}); st.Ratio() != 0 {
		t.Errorf("ratio %v without a bound, want 0", st.Ratio())
	}
}

// TestPlanSaysItsEffort: it travels with the plan, is sealed with it, and one that this build
// does not know is refused.
func TestPlanSaysItsEffort(t *testing.T) {
	p := examplePlan()
	fast := p.ID
	p.Effort = fleet.EffortNormal
	if err := p.Seal(); err != nil || p.ID == fast {
		t.Fatalf("%v, ID %s: the effort is not sealed", err, p.ID)
	}
	back, err := fleet.Decode[fleet.Plan](must(fleet.Encode(&p)))
	if err != nil || back.Effort != fleet.EffortNormal {
		t.Errorf("effort %q came back, %v", back.Effort, err)
	}
	p.Effort = "odd"
	wantInvalid(t, p.Validate(), `effort: "odd" is unknown`)

	var mem fleet.Memory
	none := must(mem.Digest())
	mem.Effort = fleet.EffortNormal
	if must(mem.Digest()) == none {
		t.Error("memories of different effort have one digest")
	}
}

func TestPackingGap(t *testing.T) {
	for p, want := range map[fleet.Packing]float64{{Cost: 3, Bound: 2}: 0.5, {Cost: 2, Bound: 2}: 0, {Cost: 3}: 0} {
		if got := p.Gap(); got != want {
			t.Errorf("%+v: gap %v, want %v", p, got, want)
		}
	}
}
