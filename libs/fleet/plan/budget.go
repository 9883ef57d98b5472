package plan

import (
	"fmt"

	"github.com/neap-project/neap/libs/fleet"
)

// spare is how many instances may go before there are fewer than the policy keeps.
type spare struct {
	instances int
	specs     map[fleet.LaunchSpecName]int // of those that keep some
}

// spareInstances counts what is more than the minimum, of the cluster and of each launch
// spec.
func (d *draft) spareInstances() *spare {
	have, specs := 0, map[fleet.LaunchSpecName]int{}
	for i, s := range d.states {
		if s == active || s == away {
			have++
			specs[d.snap.Instances[i].LaunchSpec]++
		}
	}
	left := &spare{instances: max(have-d.minInstances(), 0), specs: map[fleet.LaunchSpecName]int{}}
	for i := range d.pol.LaunchSpecs {
		if spec := &d.pol.LaunchSpecs[i]; spec.MinInstances > 0 {
			left.specs[spec.Name] = max(specs[spec.Name]-spec.MinInstances, 0)
		}
	}
	return left
}

// keeps says which minimum keeps one more instance of a launch spec from going.
func (s *spare) keeps(d *draft, name fleet.LaunchSpecName) (field string, least int, yes bool) {
	if s.instances == 0 {
		return "limits.minInstances", d.minInstances(), true
	}
	if left, limited := s.specs[name]; limited && left == 0 {
		spec, _ := d.pol.Spec(name)
		return "launchSpecs." + string(name) + ".minInstances", spec.MinInstances, true
	}
	return "", 0, false
}

// take notes that an instance goes.
func (s *spare) take(name fleet.LaunchSpecName) {
	s.instances--
	if _, limited := s.specs[name]; limited {
		s.specs[name]--
	}
}

// keepsMinimum reports whether each minimum still holds when a replacement is done.
func (d *draft) keepsMinimum(s *swap) bool {
	left := d.spareInstances()
	for i := range s.in {
		spec := d.market.offers[s.in[i].offer].spec.Name
		left.instances += s.in[i].count
		if _, limited := left.specs[spec]; limited {
			left.specs[spec] += s.in[i].count
		}
	}
	for _, c := range s.out {
		spec := d.snap.Instances[c.instance].LaunchSpec
		if _, _, kept := left.keeps(d, spec); kept {
			return false
		}
		left.take(spec)
	}
	return true
}

// budget is how many instances of a launch spec may begin to drain now.
type budget struct {
	field string // of the policy that says so
	value int
	left  int
}

// specBudgets are the budgets of the launch specs that have one.
func (d *draft) specBudgets() map[fleet.LaunchSpecName]budget {
	size, draining := map[fleet.LaunchSpecName]int{}, map[fleet.LaunchSpecName]int{}
	for i, s := range d.states {
		inst := &d.snap.Instances[i]
		switch s {
		case leaving:
			if inst.Notice.Kind == "" {
				draining[inst.LaunchSpec]++
			}
			size[inst.LaunchSpec]++
		case active, away, noticed:
			if d.goesUnwell(i) {
				draining[inst.LaunchSpec]++
			}
			size[inst.LaunchSpec]++
		case gone, bootingUp, late:
		}
	}
	budgets := map[fleet.LaunchSpecName]budget{}
	for i := range d.pol.LaunchSpecs {
		spec := &d.pol.LaunchSpecs[i]
		field := "launchSpecs." + string(spec.Name) + ".scaleDown."
		if p := spec.ScaleDown.MaxPercentage; p > 0 {
			budgets[spec.Name] = budget{field + "maxPercentage", p, max(size[spec.Name]*p/allPercent, 1) - draining[spec.Name]}
		}
		if n := spec.ScaleDown.MaxInstances; n > 0 {
			if b, both := budgets[spec.Name]; !both || n-draining[spec.Name] < b.left {
				budgets[spec.Name] = budget{field + "maxInstances", n, n - draining[spec.Name]}
			}
		}
	}
	return budgets
}

// affordable picks drains, in order, that the budgets of their launch specs allow beside
// those that are decided, and returns the others as well.
func (d *draft) affordable(list, decided []drain, most int, budgets map[fleet.LaunchSpecName]budget) (picked, rest []drain) {
	used := map[fleet.LaunchSpecName]int{}
	for _, c := range decided {
		used[d.snap.Instances[c.instance].LaunchSpec]++
	}
	for _, c := range list {
		spec := d.snap.Instances[c.instance].LaunchSpec
		if b, limited := budgets[spec]; len(picked) == most || limited && used[spec] >= b.left {
			rest = append(rest, c)
			continue
		}
		used[spec]++
		picked = append(picked, c)
	}
	return picked, rest
}

// overBudget says which budget each of the drains waits for that are not in this plan.
func (d *draft) overBudget(rest, works, ripe []drain, allowed int, budgets map[fleet.LaunchSpecName]budget) {
	used, wanted := map[fleet.LaunchSpecName]int{}, map[fleet.LaunchSpecName]int{}
	for _, c := range works {
		used[d.snap.Instances[c.instance].LaunchSpec]++
	}
	for _, c := range ripe {
		wanted[d.snap.Instances[c.instance].LaunchSpec]++
	}
	for _, c := range rest {
		inst := &d.snap.Instances[c.instance]
		field, value, most, of := "scaleDown.maxPercentage", d.pol.ScaleDown.MaxPercentage, allowed, len(ripe)
		if b, limited := budgets[inst.LaunchSpec]; limited && used[inst.LaunchSpec] >= b.left {
			field, value, most, of = b.field, b.value, b.left, wanted[inst.LaunchSpec]
		}
		d.because(fleet.ReasonBudget, instanceSubject(inst), "limit", fmt.Sprintf("%s = %d", field, value), "allowed", max(most, 0), "wanted", of)
	}
}
