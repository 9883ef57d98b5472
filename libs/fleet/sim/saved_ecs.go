package sim

import (
	"cmp"
	"fmt"

	"github.com/neap-project/neap/libs/fleet/place"
)

// savedTables are the entities of a file, in the order in which they stand there.
func savedTables() []*table {
	return []*table{
		tableOf[*subnet]("subnets", "subnet"),
		tableOf[*image]("images", "image"),
		tableOf[*instance]("instances", "instance"),
		tableOf[*messageQueue]("queues", "queue"),
		tableOf[*taskDefinition]("taskDefinitions", "task definition"),
		tableOf[*kind]("kinds", "kind"),
		tableOf[*cluster]("clusters", "cluster"),
		tableOf[*service]("services", "service"),
		tableOf[*deployment]("deployments", "deployment"),
		tableOf[*containerInstance]("containerInstances", "container instance"),
		tableOf[*task]("tasks", "task"),
		tableOf[*scene]("scenes", "scene"),
		tableOf[*group]("groups", "auto scaling group"),
		tableOf[*provider]("providers", "capacity provider"),
	}
}

func (c *cluster) savedKey() string { return fmt.Sprintf("%s#%d", c.name, c.seq) }

func (c *cluster) fields(a *archive) {
	a.consistent(c.consistent)
	val(a, "seq", &c.seq)
	val(a, "name", &c.name)
	val(a, "status", &c.status)
	val(a, "tags", &c.tags)
	val(a, "settings", &c.settings)
	val(a, "providers", &c.providers)
	val(a, "strategy", &c.strategy)
	refMap(a, "services", &c.services)
	refs(a, "daemons", &c.daemons)
	refMap(a, "hosts", &c.hosts)
	refMap(a, "past", &c.past)
	val(a, "running", &c.running)
	val(a, "pending", &c.pending)
	refMap(a, "kinds", &c.kinds)
	refMap(a, "tasks", &c.tasks)
	refs(a, "waiting", &c.waiting)
	val(a, "looking", &c.looking)
	savePlacement(a, c)
	a.derived("made of name", &c.arn)
	a.derived("what is not gone of the maps, by seq", &c.serviceRoll, &c.hostRoll, &c.taskRoll)
	a.derived("made of the container instances", &c.byNode, &c.inZone, &c.attributeSet)
	a.after(func() error {
		c.arn = a.world.arn("ecs", "cluster/"+c.name)
		c.serviceRoll = rollOf(c.services)
		c.hostRoll = rollOf(c.hosts)
		c.taskRoll = rollOf(c.tasks)
		for _, t := range c.taskRoll.items {
			if t.host != nil {
				t.host.taskRoll.add(t)
			}
			if t.service != nil {
				t.service.taskRoll.add(t)
			}
		}
		return nil
	})
}

func (d *taskDefinition) savedKey() string { return fmt.Sprintf("%s:%d", d.Family, d.Revision) }

func (d *taskDefinition) fields(a *archive) {
	val(a, "definition", &d.TaskDefinition)
	val(a, "tags", &d.tags)
	val(a, "stopTimeout", &d.stopTimeout)
	val(a, "usualStop", &d.usualStop)
	val(a, "health", &d.health)
}

func (f *family) fields(a *archive) {
	val(a, "name", &f.name)
	refs(a, "revisions", &f.revisions)
}

func (k *kind) savedKey() string { return "" }

func (k *kind) fields(a *archive) {
	val(a, "group", &k.group)
	val(a, "needs", &k.needs)
	val(a, "ports", &k.ports)
	a.derived("compiled from group", &k.Task)
	if a.mode != reading {
		return
	}
	var err error
	if k.Task, err = place.Compile(&k.group); err != nil {
		a.fail("%w", err)
	}
}

func (s *service) savedKey() string { return fmt.Sprintf("%s#%d", s.name, s.seq) }

func (s *service) fields(a *archive) {
	a.consistent(s.consistent)
	val(a, "seq", &s.seq)
	val(a, "name", &s.name)
	ref(a, "cluster", &s.cluster)
	val(a, "status", &s.status)
	val(a, "createdAt", &s.createdAt)
	val(a, "desired", &s.desired)
	ref(a, "definition", &s.definition)
	val(a, "constraints", &s.constraints)
	val(a, "strategy", &s.strategy)
	val(a, "network", &s.network)
	val(a, "balancers", &s.balancers)
	val(a, "scheduling", &s.scheduling)
	val(a, "controller", &s.controller)
	val(a, "launchType", &s.launchType)
	val(a, "providers", &s.providers)
	val(a, "rebalancing", &s.rebalancing)
	val(a, "grace", &s.grace)
	val(a, "execute", &s.execute)
	val(a, "minPercent", &s.minPercent)
	val(a, "maxPercent", &s.maxPercent)
	val(a, "breaker", &s.breaker)
	val(a, "managedTags", &s.managedTags)
	val(a, "propagate", &s.propagate)
	val(a, "tags", &s.tags)
	refs(a, "deployments", &s.deployments)
	val(a, "events", &s.events)
	val(a, "running", &s.running)
	val(a, "pending", &s.pending)
	refs(a, "active", &s.active)
	dict(a, "onHost", &s.onHost, func(x, y *containerInstance) int { return cmp.Compare(x.seq, y.seq) },
		func(a *archive, h **containerInstance, t **task) {
			ref(a, "host", h)
			ref(a, "task", t)
		})
	val(a, "inZone", &s.inZone)
	inline(a, &s.scheduler)
	part(a, "rebalances", &s.rebalances)
	each(a, "rollouts", &s.rollouts, func(a *archive, r *rollout) { r.fields(a) })
	val(a, "revisions", &s.revisions)
	val(a, "revised", &s.revised)
	maybe(a, "completed", &s.completed)
	a.derived("made of the names", &s.arn)
	a.derived("its tasks that are not forgotten, by seq", &s.taskRoll)
	a.check(len(s.deployments) > 0, "deployments is empty: a service has one at least")
	if a.mode == reading {
		s.inZone, s.told = orMap(s.inZone), orMap(s.told)
		a.after(func() error {
			s.arn = a.world.arn("ecs", "service/"+s.cluster.name+"/"+s.name)
			return nil
		})
	}
}

func (s *scheduler) fields(a *archive) {
	val(a, "wakeAt", &s.wakeAt)
	val(a, "attempts", &s.attempts)
	val(a, "backoff", &s.backoff)
	val(a, "nextTry", &s.nextTry)
	val(a, "told", &s.told)
	val(a, "steady", &s.steady)
	val(a, "launched", &s.launched)
	val(a, "minute", &s.minute)
	val(a, "failures", &s.failures)
	val(a, "throttle", &s.throttle)
}

func (r *rebalances) fields(a *archive) {
	val(a, "underWay", &r.underWay)
	val(a, "surge", &r.surge)
	val(a, "tryAt", &r.tryAt)
	val(a, "wait", &r.wait)
}

func (r *rollout) fields(a *archive) {
	val(a, "shown", &r.shown)
	val(a, "deployment", &r.deployment)
}

func (i *illness) fields(a *archive) {
	val(a, "from", &i.from)
	val(a, "until", &i.until)
}

func (d *deployment) savedKey() string { return d.id }

func (d *deployment) fields(a *archive) {
	val(a, "id", &d.id)
	ref(a, "definition", &d.definition)
	ref(a, "kind", &d.kind)
	val(a, "primary", &d.primary)
	val(a, "createdAt", &d.createdAt)
	val(a, "updatedAt", &d.updatedAt)
	val(a, "rollout", &d.rollout)
	val(a, "reason", &d.reason)
	val(a, "running", &d.running)
	val(a, "pending", &d.pending)
	val(a, "failed", &d.failed)
	val(a, "revision", &d.revision)
}

func (h *containerInstance) savedKey() string { return h.id }

func (h *containerInstance) fields(a *archive) {
	a.consistent(h.consistent)
	val(a, "seq", &h.seq)
	val(a, "id", &h.id)
	ref(a, "cluster", &h.cluster)
	ref(a, "machine", &h.machine)
	val(a, "status", &h.status)
	val(a, "connected", &h.connected)
	val(a, "version", &h.version)
	val(a, "since", &h.since)
	val(a, "provider", &h.provider)
	val(a, "registered", &h.registered)
	val(a, "remaining", &h.remaining)
	val(a, "builtin", &h.builtin)
	val(a, "custom", &h.custom)
	val(a, "trunk", &h.trunk)
	val(a, "tags", &h.tags)
	val(a, "node", &h.node)
	val(a, "place", &h.place)
	refs(a, "tasks", &h.tasks)
	val(a, "running", &h.running)
	val(a, "pending", &h.pending)
	val(a, "held", &h.held)
	refs(a, "queue", &h.queue)
	val(a, "reserved", &h.reserved)
	val(a, "stopTimeout", &h.stopTimeout)
	val(a, "images", &h.images)
	val(a, "away", &h.away)
	each(a, "late", &h.late, func(a *archive, s *taskStep) { s.fields(a) })
	val(a, "statusReason", &h.statusReason)
	a.derived("made of the names", &h.arn)
	a.derived("made of builtin, custom and trunk when asked for", &h.all, &h.allOf, &h.allText)
	a.derived("its tasks that are not forgotten, by seq", &h.taskRoll)
	val(a, "noted", &h.noted)
	a.after(func() error {
		h.arn = a.world.arn("ecs", "container-instance/"+h.cluster.name+"/"+h.id)
		return nil
	})
}

func (s *taskStep) fields(a *archive) {
	ref(a, "task", &s.t)
	val(a, "step", &s.step)
}

func (t *task) savedKey() string { return t.id }

func (t *task) fields(a *archive) {
	val(a, "seq", &t.seq)
	val(a, "id", &t.id)
	ref(a, "cluster", &t.cluster)
	ref(a, "definition", &t.definition)
	ref(a, "kind", &t.kind)
	maybe(a, "service", &t.service)
	maybe(a, "deployment", &t.deployment)
	maybe(a, "host", &t.host)
	val(a, "last", &t.last)
	val(a, "stopped", &t.stopped)
	val(a, "admitted", &t.admitted)
	val(a, "forgotten", &t.forgotten)
	val(a, "version", &t.version)
	val(a, "step", &t.step)
	val(a, "createdAt", &t.createdAt)
	val(a, "startedAt", &t.startedAt)
	val(a, "stoppingAt", &t.stoppingAt)
	val(a, "endedAt", &t.endedAt)
	val(a, "stoppedAt", &t.stoppedAt)
	val(a, "pullStartedAt", &t.pullStartedAt)
	val(a, "pullStoppedAt", &t.pullStoppedAt)
	val(a, "protectedUntil", &t.protectedUntil)
	val(a, "startedBy", &t.startedBy)
	val(a, "launchType", &t.launchType)
	val(a, "provider", &t.provider)
	val(a, "overrides", &t.overrides)
	val(a, "subnets", &t.subnets)
	val(a, "tags", &t.tags)
	val(a, "stopCode", &t.stopCode)
	val(a, "stopReason", &t.stopReason)
	val(a, "fails", &t.fails)
	val(a, "imageArch", &t.imageArch)
	val(a, "failure", &t.failure)
	val(a, "falls", &t.falls)
	part(a, "ill", &t.ill)
	val(a, "exitCode", &t.exitCode)
	val(a, "runFor", &t.runFor)
	val(a, "exitWith", &t.exitWith)
	optional(a, "network", &t.network)
	a.derived("made of the names", &t.arn)
	a.check(t.last >= 0 && int(t.last) < len(taskStatusNames), "last is no status of a task: %d", t.last)
	a.check((t.service == nil) == (t.deployment == nil), "a task of a service has a deployment, and no other has")
	a.after(func() error {
		t.arn = a.world.arn("ecs", "task/"+t.cluster.name+"/"+t.id)
		return nil
	})
}

func (n *taskInterface) fields(a *archive) {
	val(a, "attachment", &n.attachment)
	val(a, "id", &n.id)
	val(a, "ip", &n.ip)
	ref(a, "subnet", &n.subnet)
}
