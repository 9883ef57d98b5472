package plan

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/place"
)

// replaceWithin is how long a replacement may take: past it, what is still there stays as
// if nothing had been planned.
const replaceWithin = time.Hour

// fewDear instances may be replaced by one, even if they cannot all drain at once.
const fewDear = 8

// swap is a set of instances, and what could be launched in their place.
type swap struct {
	out           []drain
	in            []fresh
	before, after fleet.Price
	tasks         int
}

func (s *swap) gain() fleet.Price { return s.before - s.after }

// replaceDear looks for instances whose tasks would cost less on others that are yet to be
// launched, and plans those. Several may be replaced by one, one by several, on-demand by
// spot where the policy wants it. The instances drain once their successors have
// registered. It reports whether the instances that are merely idle should wait, because
// they are among what is replaced: their tasks would move twice.
//
// Compaction goes first where both are possible and not everything can drain at once: ECS
// would put the tasks of a drained instance on any that has room, be it dear or not. Idle
// instances are those that go now and those that may yet; such as no rehearsal finds room for
// hold nothing up.
//
// Complexity, n instances, o offerings: O(n log n + o) to see that there is nothing to gain;
// a search packs and rehearses O(log n) sets of instances.
func (d *draft) replaceDear(candidates, going []drain, unripe int) (wait bool) {
	known := d.mem.Saving
	d.out.Saving = known
	if d.noSwap = d.whyNoSearch(); d.noSwap != "" {
		return false
	}
	stable, cooldown := time.Duration(d.pol.ScaleDown.StableFor), time.Duration(d.pol.ScaleDown.Cooldown)
	list, at := d.dear(candidates), d.mayDrain()
	if len(list) == 0 || at <= 0 {
		d.noSwap = "as many instances drain as may at once"
		d.out.Saving = fleet.Saving{SearchedAt: d.now}
		return false
	}
	since := known.Since
	if since.IsZero() {
		since = d.now
	}
	d.out.Saving = fleet.Saving{Since: since}
	all := len(list) <= at
	switch long := d.now.Sub(since); {
	case long < stable || d.quietFor() < cooldown:
		d.noSwap = fmt.Sprintf("it could be for %s; the policy waits %s, and %s after a change", ago(long), ago(stable), ago(cooldown))
	case len(going)+unripe > 0 && !all:
		d.noSwap = "instances that are idle go first"
	}
	if d.noSwap != "" {
		return false
	}
	best := d.search(list, at)
	if best == nil || len(going)+unripe > 0 && !d.betterThanIdle(best, list, going) {
		d.out.Saving = fleet.Saving{SearchedAt: d.now}
		d.noSwap = fmt.Sprintf("no replacement that was looked at saves %d %% or more", d.pol.ScaleDown.ReplaceSavings)
		d.because(fleet.ReasonNoCheaper, "cluster", "threshold", d.pol.ScaleDown.ReplaceSavings, "looked", len(list), "wait", ago(stable))
		return false
	}
	d.swap(best)
	return true
}

// whyNoSearch says why no replacement is looked for now, "" if it may be.
func (d *draft) whyNoSearch() string {
	stable, age := time.Duration(d.pol.ScaleDown.StableFor), d.now.Sub(d.mem.Saving.SearchedAt)
	switch {
	case !*d.pol.ScaleDown.Replace:
		return "the policy replaces nothing (scaleDown.replace)"
	case d.noLaunch != nil:
		return d.noLaunch.String()
	case !d.replacing.IsZero():
		return "another replacement is under way"
	case d.changing():
		return "this plan adds instances"
	case d.trouble() != nil:
		return d.trouble().String()
	case d.closedHours() != nil:
		return d.closedHours().Fact("why")
	case age < stable:
		return fmt.Sprintf("none that saves enough was found %s ago; Neap looks again every %s", ago(age), ago(stable))
	}
	return ""
}

// betterThanIdle reports whether a replacement of all dear instances is to be preferred to
// removing those that are idle: it is if it would follow anyway, for then every task moves
// once and not twice.
func (d *draft) betterThanIdle(s *swap, list, going []drain) bool {
	var saved, total fleet.Price
	for _, c := range going {
		saved += d.market.priceOf(&d.snap.Instances[c.instance])
	}
	for _, c := range list {
		total += c.price
	}
	return len(s.out) == len(list) && s.gain()-saved >= d.threshold(total-saved)
}

// threshold is what a replacement of so much per hour has to save.
func (d *draft) threshold(price fleet.Price) fleet.Price {
	return price * fleet.Price(d.pol.ScaleDown.ReplaceSavings) / allPercent
}

// dear are the candidates that cost more than what is on them is worth, by the threshold at
// least: those first that cost most beyond it, the least utilized where that is equal. The
// worth of a task is what it would cost at the prices of the market if
// instances could be filled to the last byte, and so no replacement gains more.
func (d *draft) dear(candidates []drain) []drain {
	list := slices.DeleteFunc(d.losses(candidates), func(c drain) bool { return c.loss <= 0 || c.loss < d.threshold(c.price) })
	slices.SortStableFunc(list, func(a, b drain) int {
		return cmp.Or(cmp.Compare(b.loss, a.loss), cmp.Compare(a.utilization, b.utilization), cmp.Compare(a.instance, b.instance))
	})
	return list
}

// losses are the candidates that have a price, with what they cost beyond what is on them
// is worth.
func (d *draft) losses(candidates []drain) []drain {
	d.market.build()
	var total fleet.Resources
	needs := make([]fleet.Resources, len(candidates))
	for x := range candidates {
		for _, h := range d.held(candidates[x].instance) {
			needs[x] = needs[x].Add(h.task.Needs.Times(int64(h.count)))
		}
		total = total.Add(needs[x])
	}
	rates := pack.RatesFor(total, d.goods())
	prices := d.market.weighedPrices()
	var list []drain
	for x, c := range candidates {
		inst := &d.snap.Instances[c.instance]
		if d.states[c.instance] != active {
			continue
		}
		c.price = d.market.weighedPriceOf(inst, prices)
		c.loss = c.price - rates.Worth(needs[x])
		if c.price > 0 {
			list = append(list, c)
		}
	}
	return list
}

// search tries sets of dear instances, those first that cost most beyond their worth: all of
// them, as many as may drain at once, and halves of that; it returns the one that saves
// most of those that are worth it. Each is packed at least cost, and into instances of one
// type: see [draft.uniform].
func (d *draft) search(list []drain, at int) *swap {
	var best *swap
	for n := min(len(list), max(at, fewDear)); n > 0; n /= 2 {
		if s := d.swapFor(list[:n], nil); d.worthIt(s, best) && d.keepsMinimum(s) && d.withRoom(s, nil) && d.worthIt(s, best) {
			best = s
		}
		for _, only := range d.uniform(list[:n]) {
			if s := d.swapFor(list[:n], only); d.worthIt(s, best) && d.keepsMinimum(s) && d.withRoom(s, only) && d.worthIt(s, best) {
				best = s
			}
		}
	}
	return best
}

// worthIt reports whether a swap saves enough, and more than another.
func (d *draft) worthIt(s, than *swap) bool {
	return s != nil && s.gain() > 0 && s.gain() >= d.threshold(s.before) && (than == nil || s.gain() > than.gain())
}

// swapFor packs what is on a set of instances: on the others, as far as it fits, and into
// the market for the rest, or into the given offerings of it. It returns nil if that cannot be.
func (d *draft) swapFor(set []drain, only []bool) *swap {
	m := d.cluster.Mark()
	defer d.cluster.Rollback(m)
	s := &swap{out: set}
	for _, c := range set {
		d.cluster.Close(c.instance)
		s.before += c.price
	}
	homeless, kinds := d.vacate(set)
	for _, h := range kinds {
		if !h.headroom {
			s.tasks += homeless[h.task]
		}
	}
	d.cluster.Order(d.fullestFirst())
	for _, h := range kinds {
		homeless[h.task] -= d.cluster.FitUpTo(h.task, homeless[h.task], nowhere)
	}
	if !d.enlarge(s, d.wishesFor(homeless, kinds), only) {
		return nil
	}
	return s
}

// vacate takes everything that has to leave off a set of instances, and returns how many
// of each kind that is, and the kinds, largest first.
func (d *draft) vacate(set []drain) (map[*place.Task]int, []heldTask) {
	homeless := map[*place.Task]int{}
	var kinds []heldTask
	for _, c := range set {
		for _, h := range d.held(c.instance) {
			d.cluster.Take(c.instance, h.task, h.count)
			if homeless[h.task] == 0 {
				kinds = append(kinds, h)
			}
			homeless[h.task] += h.count
		}
	}
	slices.SortStableFunc(kinds, compareHeld)
	return homeless, kinds
}

// wishesFor are wishes for what is homeless. They are counted already: whatever becomes of
// them, the tasks run.
func (d *draft) wishesFor(homeless map[*place.Task]int, kinds []heldTask) []*wish {
	var wishes []*wish
	for _, h := range kinds {
		if homeless[h.task] == 0 {
			continue
		}
		x := &wish{task: h.task, group: h.task.Index, count: homeless[h.task], extra: true}
		if h.headroom {
			x.group, x.unit = fleet.NoIndex, d.unitOf(h.task)
		}
		wishes = append(wishes, x)
	}
	return wishes
}

// enlarge adds instances for more tasks to a swap, of the given offerings if there are any, but
// for tasks that may not run on these. It reports whether that can be, and be within every limit.
func (d *draft) enlarge(s *swap, open []*wish, only []bool) bool {
	p := pack.Problem{Offerings: d.goods()}
	rooms := d.rooms()
	for _, x := range open {
		allowed := d.market.allowed(x.task, rooms)
		if !slices.Contains(allowed, true) {
			return false
		}
		allowed = both(allowed, only)
		p.Items = append(p.Items, d.item(x, allowed))
	}
	d.keepApart(&p, open)
	var ok bool
	if p.Limits, ok = d.limits(); !ok && len(open) > 0 {
		return false
	}
	solution := pack.Solve(p)
	if len(solution.Unplaced) > 0 {
		return false
	}
	s.in = merge(append(s.in, d.mixLifecycles(p, open, d.unpack(p, solution, open))...))
	if _, cut := d.within(s.in); cut {
		return false
	}
	s.after = 0
	count, bytes := 0, 0
	for i := range s.in {
		f := &s.in[i]
		f.later = forSaving
		o := &d.market.offers[f.offer]
		s.after += o.weighed * fleet.Price(f.count)
		count += f.count
		bytes += launchBytes + len(o.spec.UserData)
	}
	return count <= d.launchBurst() && bytes <= mostBytes
}

// merge makes one launch of those of equal instances: they are many, each for another
// mixture of tasks, and ECS mixes these anew anyway.
func merge(list []fresh) []fresh {
	var merged []fresh
	for _, f := range list {
		for _, l := range f.loads {
			f.together = append(f.together, load{wish: l.wish, count: l.count * f.count})
		}
		f.loads = nil
		i := slices.IndexFunc(merged, func(m fresh) bool { return m.offer == f.offer })
		if i < 0 {
			merged = append(merged, f)
			continue
		}
		m := &merged[i]
		m.count += f.count
		m.together = append(m.together, f.together...)
		m.alternatives = slices.DeleteFunc(m.alternatives, func(o int) bool { return !slices.Contains(f.alternatives, o) })
	}
	return merged
}

// lacks rehearses a swap: with the new instances there and the old ones draining, ECS has
// to find a place for every task, and the headroom has to stay. It returns what at worst
// would be left over.
func (d *draft) lacks(s *swap) []*wish {
	m := d.cluster.Mark()
	defer d.cluster.Rollback(m)
	for i := range s.in {
		for range s.in[i].count {
			d.cluster.Open(d.addFresh(&s.in[i]))
		}
	}
	for _, c := range s.out {
		d.cluster.Close(c.instance)
	}
	d.liftHeadroom()
	homeless, kinds := d.vacate(s.out)
	var short map[*place.Task]int
	worst := fleet.Price(0)
	for seed := range uint64(rehearsals) {
		again := d.cluster.Mark()
		left := d.leftOver(homeless, kinds, rand.New(rand.NewPCG(seed, uint64(len(kinds)))))
		d.cluster.Rollback(again)
		var size fleet.Price
		for _, h := range kinds {
			size += fleet.Price(left[h.task]) * fleet.Price(sizeOf(h.task))
		}
		if size > worst {
			short, worst = left, size
		}
	}
	for _, u := range d.units {
		if short[u.task] > 0 {
			kinds = append(kinds, heldTask{task: u.task, headroom: true})
		}
	}
	return d.wishesFor(short, kinds)
}

// leftOver places tasks as ECS does, in an order and with ties left to chance, and returns
// which of them, and which units of headroom, find no place then.
func (d *draft) leftOver(homeless map[*place.Task]int, kinds []heldTask, rng *rand.Rand) map[*place.Task]int {
	left := map[*place.Task]int{}
	for _, x := range rng.Perm(len(kinds)) {
		t := kinds[x].task
		if n := homeless[t] - d.cluster.PlaceUpTo(t, homeless[t], rng); n > 0 {
			left[t] = n
		}
	}
	d.cluster.Order(d.fullestFirst())
	for _, u := range d.units {
		if n := len(u.put) - d.cluster.FitUpTo(u.task, len(u.put), nowhere); n > 0 {
			left[u.task] = n
		}
	}
	return left
}

// swap launches what takes the place of dear instances, and remembers these.
func (d *draft) swap(s *swap) {
	launches := 0
	for i := range s.in {
		launches += s.in[i].count
	}
	why := fleet.Because(fleet.ReasonCheaper, "cluster", "instances", len(s.out), "before", s.before, "launches", launches,
		"after", s.after, "share", fmt.Sprintf("%.0f", 100*float64(s.gain())/float64(s.before)), "tasks", s.tasks)
	for i := range s.in {
		s.in[i].why = why
	}
	d.commit(s.in)
	r := fleet.Replacing{Since: d.now}
	for _, c := range s.out {
		r.Instances = append(r.Instances, d.snap.Instances[c.instance].ID)
	}
	slices.Sort(r.Instances)
	d.replacing = r
	d.out.Saving = fleet.Saving{}
}

// carryReplacing takes over a replacement that an earlier plan began: what is left of it.
func (d *draft) carryReplacing() {
	r := d.mem.Replacing
	if d.now.Sub(r.Since) > replaceWithin {
		return
	}
	there := map[fleet.InstanceID]bool{}
	for i := range d.snap.Instances {
		if d.states[i] != gone && d.states[i] != leaving {
			there[d.snap.Instances[i].ID] = true
		}
	}
	for _, id := range r.Instances {
		if there[id] {
			d.replacing.Instances = append(d.replacing.Instances, id)
		}
	}
	if len(d.replacing.Instances) > 0 {
		d.replacing.Since = r.Since
	}
}

// successorsBoot reports whether a launch of a replacement is still under way.
func (d *draft) successorsBoot() bool {
	closed := map[fleet.ActionID]bool{}
	for _, c := range d.out.Closures {
		closed[c.Action] = true
	}
	return slices.ContainsFunc(d.mem.Open, func(o fleet.Open) bool {
		return o.Action.Launch != nil && o.Action.Launch.Replaces && !closed[o.Action.ID]
	})
}

// markReplaced marks the candidates whose successors are there, and puts them first: they
// wait for nothing.
func (d *draft) markReplaced(candidates []drain) {
	if d.replacing.IsZero() || d.successorsBoot() {
		return
	}
	for x := range candidates {
		id := d.snap.Instances[candidates[x].instance].ID
		_, candidates[x].replaced = slices.BinarySearch(d.replacing.Instances, id)
	}
	slices.SortStableFunc(candidates, func(a, b drain) int {
		switch {
		case a.replaced == b.replaced:
			return 0
		case a.replaced:
			return -1
		default:
			return 1
		}
	})
}

// dropReplacing forgets a replacement of which nothing can go although its successors are
// there: the world has changed since.
func (d *draft) dropReplacing(idle []drain) {
	if d.replacing.IsZero() || d.successorsBoot() || slices.ContainsFunc(idle, func(c drain) bool { return c.replaced }) {
		return
	}
	d.replacing = fleet.Replacing{}
}
