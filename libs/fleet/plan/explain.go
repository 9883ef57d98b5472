package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// refuse gives wishes a reason why nothing is launched for what is left of them.
func (d *draft) refuse(wishes []*wish, why fleet.Reason) {
	for _, x := range wishes {
		if x.unit != nil {
			r := why
			r.Subject = "headroom"
			r.Facts = append([]fleet.Fact{{Name: "unit", Value: x.unit.name}}, r.Facts...)
			d.note(r)
			continue
		}
		for _, w := range x.demands {
			if w.wanting() > 0 {
				w.reason = why
				w.reason.Subject = d.subject(w.group)
			}
		}
	}
}

// whyNot says why no offering may be launched for a wish: the constraint that none meets,
// the size that none has, or the capacity that none has now. A limit of a launch spec is for
// the caller to tell of.
func (d *draft) whyNot(x *wish, rooms map[fleet.LaunchSpecName]usage) (why fleet.Reason, limited bool) {
	m := d.market
	if len(m.offers) == 0 {
		return fleet.Because(fleet.ReasonNoMatch, "", "clause", "launch specs",
			"why", "no instance type passes the filters, has a price and is sold in the zone of a subnet with free addresses"), false
	}
	var until time.Time
	var held *fleet.Setback
	nearest, lack := -1, 0.0
	first := place.Refusal{}
	full, tooGood, foreign := false, false, false
	for i := range m.offers {
		o := &m.offers[i]
		r, ok := m.shelf.Eligible(i, x.task)
		if ok && !rooms[o.spec.Name].holds(o.typ) {
			full = true
			continue
		}
		if ok && o.foreign(x.task) {
			foreign = true
			continue
		}
		if ok && o.tooGood(x.task) {
			tooGood = true
			continue
		}
		if ok {
			if o.setback != nil && (held == nil || o.setback.Until.Before(held.Until)) {
				held = o.setback
			}
			if o.short != nil && (until.IsZero() || o.short.Until.Before(until)) {
				until = o.short.Until
			}
			continue
		}
		if _, allowed := x.task.AllowedOn(d.shelfNode(i)); !allowed || x.task.Needs.Fits(m.shelf.Free(i)) {
			if first.Kind == place.KindNone {
				first = r
			}
			continue
		}
		if l := shortfall(x.task.Needs, m.shelf.Free(i)); nearest < 0 || l < lack {
			nearest, lack = i, l
		}
	}
	switch {
	case held != nil:
		return setBack(held, ""), false
	case full:
		return fleet.Reason{}, true
	case !until.IsZero():
		return fleet.Because(fleet.ReasonShortage, "", "until", until.UTC().Format(time.RFC3339)), false
	case foreign:
		why = fleet.Because(fleet.ReasonNoMatch, "", "clause", "operatingSystem", "why", "only Windows instances hold it, and it does not ask for Windows (runtimePlatform)")
	case tooGood:
		why = fleet.Because(fleet.ReasonNoMatch, "", "clause", "instanceTypes.gpu", "why", "only types with GPUs hold it, and the policy keeps these for tasks that need one")
	case nearest >= 0:
		o := &m.offers[nearest]
		why = fleet.Because(fleet.ReasonTooLarge, "", "nearest", fmt.Sprintf("%s of launch spec %s", o.Type, o.spec.Name),
			"shortfall", x.task.Needs.Shortfall(m.shelf.Free(nearest)))
	default:
		clause := first.Clause
		if clause == "" {
			clause = string(first.Kind)
		}
		detail := first.Detail
		if m.unpriced && (x.task.AsksFor(osType) || x.task.AsksFor(osFamily)) {
			detail += "; what instance types cost with Windows is not known, no such price is built in: it has to be read from AWS"
		}
		why = fleet.Because(fleet.ReasonNoMatch, "", "clause", clause, "why", detail)
	}
	why.Considered = d.ruledOut(x)
	return why, false
}

// launchReason says what instances are launched for.
func (d *draft) launchReason(f *fresh) fleet.Reason {
	var r fleet.Reason
	var names []string
	tasks, moved, wanted, missing := 0, 0, 0, 0
	for _, l := range f.loads {
		switch {
		case l.wish.unit != nil:
			wanted += l.wish.unit.wanted
			missing += l.wish.unit.wanted - l.wish.unit.present
		case l.wish.group != fleet.NoIndex:
			tasks += l.count * f.count
			names = append(names, d.nameOf(l.wish.group))
			if len(l.wish.demands) > 0 && l.wish.demands[0].from != fleet.NoIndex {
				moved += l.count * f.count
			}
		}
	}
	switch {
	case f.why.Code != "":
		r = f.why
	case tasks == 0:
		r = fleet.Because(fleet.ReasonHeadroom, "headroom", "missing", missing, "wanted", wanted)
	case moved == tasks:
		r = fleet.Because(fleet.ReasonReplace, "cluster", "tasks", tasks, "for", enumerate(names))
	default:
		r = fleet.Because(fleet.ReasonDemand, d.subject(f.loads[0].wish.group), "tasks", tasks, "for", enumerate(names))
	}
	r.Considered = d.considered(f)
	r.Cost = d.market.offers[f.offer].Price * fleet.Price(f.count)
	return r
}

// enumerate lists names for people: the first few, and how many more.
func enumerate(names []string) string {
	const most = 3 // a reason is one line
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// considered lists the offering that was chosen and the next best ones, cheapest first,
// one per type and lifecycle, with what ruled them out.
func (d *draft) considered(f *fresh) []fleet.Ruling {
	const most = 6 // enough to see the choice, short enough to read
	if len(f.together) > 0 {
		return nil // each of the instances was chosen for another mixture of tasks
	}
	order := make([]int, len(d.market.offers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(d.market.offers[a].Price, d.market.offers[b].Price) })
	var rulings []fleet.Ruling
	seen := map[string]bool{}
	note := func(o *offer, verdict string) {
		key := fmt.Sprintf("%s %s", o.Type, o.Lifecycle)
		if !seen[key] {
			seen[key] = true
			rulings = append(rulings, fleet.Ruling{Candidate: key, Verdict: verdict, Cost: o.Price})
		}
	}
	note(&d.market.offers[f.offer], "chosen: the least cost for what it holds")
	for _, i := range order {
		if len(rulings) == most {
			break
		}
		if verdict := d.rule(f, i); verdict != "" {
			note(&d.market.offers[i], verdict)
		}
	}
	return rulings
}

// rule says why an offering was not chosen for what an instance is to hold; "" is a reason
// not worth telling.
func (d *draft) rule(f *fresh, i int) string {
	o, chosen := &d.market.offers[i], &d.market.offers[f.offer]
	var needs fleet.Resources
	for _, l := range f.loads {
		if _, ok := l.wish.task.AllowedOn(d.shelfNode(i)); !ok {
			return ""
		}
		needs = needs.Add(l.wish.task.Needs.Times(int64(l.count)))
	}
	switch room := d.market.shelf.Free(i); {
	case !needs.Fits(room):
		if o.Price < chosen.Price {
			return "" // all that are smaller are too small: not news
		}
		return "too small: " + needs.Shortfall(room)
	case o.setback != nil:
		return "launches from its launch spec fail; the next try is at " + o.setback.Until.UTC().Format(time.TimeOnly)
	case o.short != nil:
		return "short of capacity until " + o.short.Until.UTC().Format(time.TimeOnly)
	case o.dry && chosen.Lifecycle != o.Lifecycle:
		return "not asked until " + d.mem.Drought.Until.UTC().Format(time.TimeOnly) + ": other spot pools had no capacity"
	case o.Price > chosen.Price:
		return "holds it and costs more"
	case o.Lifecycle != chosen.Lifecycle:
		return fmt.Sprintf("holds it; the policy wants %s here", chosen.Lifecycle)
	case o.spec == chosen.spec && o.weighed-o.Price > chosen.weighed-chosen.Price && o.Lifecycle == fleet.Spot:
		return "holds it; its pool is in short supply"
	case o.spec == chosen.spec && o.weighed > chosen.weighed:
		return "holds it; another type is preferred"
	default:
		return "holds it"
	}
}

func (d *draft) shelfNode(i int) *place.Node {
	n, _ := d.market.shelf.Node(i)
	return &n
}
