package sim

import "cmp"

// saveLaunches saves what EC2 keeps of launches: quotas, pools, fleets and commitments.
func saveLaunches(a *archive, w *World) {
	counts := func(name string, m *map[quotaClass]int64) {
		dict(a, name, m, quotaClass.compare, func(a *archive, c *quotaClass, n *int64) {
			c.fields(a)
			val(a, "vcpus", n)
		})
	}
	counts("vcpus", &w.vcpus)
	counts("quotas", &w.quotas)
	dict(a, "pools", &w.pools, offering.compare, func(a *archive, o *offering, n *int) {
		o.fields(a)
		val(a, "instances", n)
	})
	parts(a, "fleets", &w.fleets)
	val(a, "reserved", &w.reserved)
	parts(a, "savingsPlans", &w.plans)
	if a.mode == reading {
		w.vcpus, w.quotas, w.pools = orMap(w.vcpus), orMap(w.quotas), orMap(w.pools)
	}
}

func (c *quotaClass) fields(a *archive) {
	val(a, "family", &c.family)
	val(a, "spot", &c.spot)
}

func (c quotaClass) compare(d quotaClass) int {
	order := cmp.Compare(c.family, d.family)
	switch {
	case order != 0 || c.spot == d.spot:
		return order
	case d.spot:
		return -1
	}
	return 1
}

func (f *fleetRecord) fields(a *archive) {
	val(a, "id", &f.id)
	val(a, "made", &f.made)
	val(a, "deleted", &f.deleted)
	val(a, "request", &f.in)
	val(a, "answer", &f.out)
}

func (p *savingsPlan) fields(a *archive) {
	val(a, "id", &p.id)
	val(a, "family", &p.family)
	val(a, "commitment", &p.commitment)
	val(a, "start", &p.start)
	val(a, "end", &p.end)
}
