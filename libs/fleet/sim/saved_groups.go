package sim

import "fmt"

// savedKey numbers capacity providers: one that was deleted may be referred to by a
// datapoint to come, and its name used again.
func (p *provider) savedKey() string { return "" }

func (p *provider) fields(a *archive) {
	val(a, "provider", &p.CapacityProvider)
	maybe(a, "group", &p.group)
	inline(a, &p.reservation)
	settings := p.AutoScalingGroupProvider
	a.check(settings != nil && settings.ManagedScaling != nil, "provider has no auto scaling group with managed scaling settings")
}

func (r *reservation) fields(a *archive) {
	val(a, "ticking", &r.ticking)
	val(a, "percent", &r.percent)
	val(a, "low", &r.low)
}

func (g *group) savedKey() string { return fmt.Sprintf("%s#%d", g.name, g.seq) }

func (g *group) fields(a *archive) {
	val(a, "seq", &g.seq)
	val(a, "name", &g.name)
	val(a, "arn", &g.arn)
	val(a, "created", &g.created)
	val(a, "template", &g.template)
	val(a, "mixed", &g.mixed)
	val(a, "subnets", &g.subnets)
	val(a, "tags", &g.tags)
	val(a, "least", &g.least)
	val(a, "most", &g.most)
	val(a, "desired", &g.desired)
	val(a, "cooldown", &g.cooldown)
	val(a, "grace", &g.grace)
	val(a, "protectNew", &g.protectNew)
	val(a, "rebalance", &g.rebalance)
	val(a, "deleting", &g.deleting)
	parts(a, "members", &g.members)
	val(a, "activities", &g.activities)
	val(a, "wakeAt", &g.wakeAt)
	val(a, "retryAt", &g.retryAt)
	a.check(g.template != nil || g.mixed != nil && g.mixed.LaunchTemplate != nil && g.mixed.LaunchTemplate.LaunchTemplateSpecification != nil,
		"group %q launches from no template", g.name)
	a.after(func() error {
		for _, id := range g.subnets {
			if a.world.subnet(id) == nil {
				return fmt.Errorf("auto scaling group %s: subnets: there is no subnet %q", g.name, id)
			}
		}
		return nil
	})
}

func (m *groupMember) fields(a *archive) {
	ref(a, "instance", &m.machine)
	val(a, "protected", &m.protected)
	val(a, "leaving", &m.leaving)
	val(a, "patience", &m.patience)
}

// groupHappenings are what is to come of auto scaling groups, capacity providers and tasks
// that wait for capacity.
func groupHappenings() []savedHappening {
	return []savedHappening{
		happens("group-look", func(a *archive, e *groupLook) {
			ref(a, "group", &e.g)
			val(a, "at", &e.at)
		}),
		happens("datapoint", func(a *archive, e *datapoint) { ref(a, "provider", &e.p) }),
		happens("scale-out", func(a *archive, e *scaleOut) {
			ref(a, "provider", &e.p)
			val(a, "wanted", &e.wanted)
		}),
		happens("scale-in", func(a *archive, e *scaleIn) {
			ref(a, "provider", &e.p)
			val(a, "wanted", &e.wanted)
		}),
		happens("room-look", func(a *archive, e *roomLook) { ref(a, "cluster", &e.c) }),
		happens("waited-too-long", func(a *archive, e *waitedTooLong) { ref(a, "task", &e.t) }),
		happens("protection-ends", func(a *archive, e *protectionEnds) { ref(a, "task", &e.t) }),
	}
}
