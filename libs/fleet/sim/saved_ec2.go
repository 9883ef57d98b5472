package sim

import (
	"cmp"
	"fmt"
)

func (s *subnet) savedKey() string { return s.ID }

func (s *subnet) fields(a *archive) {
	val(a, "subnet", &s.Subnet)
	val(a, "free", &s.free)
	val(a, "used", &s.used)
	if a.mode == reading {
		_, _, err := parseCIDR(s.CIDR)
		a.check(err == nil, "%v", err)
	}
}

func (i *image) savedKey() string { return i.ImageID }

func (i *image) fields(a *archive) {
	val(a, "image", &i.Image)
	val(a, "parameter", &i.parameter)
	val(a, "agent", &i.agent)
}

// typeRef is a field that is an instance type. The file names it; what it is stands in the
// catalogue of the program.
func typeRef(a *archive, name string, field **instanceType) {
	if a.mode == listing {
		a.visit(name, field)
		return
	}
	var typ string
	if *field != nil {
		typ = (*field).name
	}
	val(a, name, &typ)
	if a.mode == reading {
		*field = a.world.typeNamed[typ]
		a.check(*field != nil, "%s: the catalogue has no instance type %.80q: load the file with the release that wrote it", name, typ)
	}
}

func (m *instance) savedKey() string { return m.id }

func (m *instance) fields(a *archive) {
	val(a, "seq", &m.seq)
	val(a, "id", &m.id)
	val(a, "reservation", &m.reservation)
	typeRef(a, "type", &m.kind)
	ref(a, "subnet", &m.subnet)
	ref(a, "image", &m.image)
	val(a, "spot", &m.spot)
	val(a, "state", &m.state)
	val(a, "launched", &m.launched)
	val(a, "started", &m.started)
	val(a, "ended", &m.ended)
	val(a, "forgotten", &m.forgotten)
	val(a, "why", &m.why)
	val(a, "ip", &m.ip)
	text(a, "userData", &m.userData)
	val(a, "token", &m.token)
	val(a, "profile", &m.profile)
	val(a, "groups", &m.groups)
	val(a, "keyName", &m.keyName)
	val(a, "threads", &m.threads)
	val(a, "provider", &m.provider)
	maybe(a, "group", &m.group)
	val(a, "protected", &m.protected)
	val(a, "held", &m.held)
	val(a, "tags", &m.tags)
	val(a, "request", &m.request)
	val(a, "was", &m.was)
	val(a, "turned", &m.turned)
	val(a, "oldTags", &m.oldTags)
	val(a, "tagged", &m.tagged)
	val(a, "occupies", &m.occupies)
	val(a, "metadata", &m.metadata)
	val(a, "monitored", &m.monitored)
	val(a, "ebsOptimized", &m.ebsOptimized)
	val(a, "volumes", &m.volumes)
	val(a, "volumeTags", &m.volumeTags)
	val(a, "interfaceTags", &m.interfaceTags)
	val(a, "planned", &m.planned)
	maybe(a, "host", &m.host)
	part(a, "agent", &m.agent)
	val(a, "notice", &m.notice)
	val(a, "stalled", &m.stalled)
	val(a, "failing", &m.failing)
	val(a, "joins", &m.joins)
	val(a, "trouble", &m.trouble)
	val(a, "orphans", &m.orphans)
	a.check(m.state.describe().Name != "", "state is no state of an instance: %d", m.state)
}

func (g *agentConfig) fields(a *archive) {
	val(a, "cluster", &g.cluster)
	val(a, "attributes", &g.attributes)
	val(a, "tags", &g.tags)
	val(a, "reservedMemory", &g.reservedMemory)
	val(a, "drainOnSpot", &g.drainOnSpot)
	val(a, "ec2Tags", &g.ec2Tags)
	val(a, "ports", &g.ports)
	val(a, "portsSet", &g.portsSet)
	val(a, "stopTimeout", &g.stopTimeout)
	val(a, "off", &g.off)
	val(a, "drivers", &g.drivers)
	val(a, "installs", &g.installs)
	val(a, "broken", &g.broken)
	val(a, "deadline", &g.deadline)
	val(a, "bootWithin", &g.bootWithin)
}

func (t *template) fields(a *archive) {
	val(a, "template", &t.LaunchTemplate)
	val(a, "versions", &t.versions)
	_, err := t.version("$Default")
	a.check(err == nil && len(t.versions) > 0 && t.LatestVersionNumber == t.versions[len(t.versions)-1].VersionNumber,
		"versions: there are %d, the latest is %d, the default %d", len(t.versions), t.LatestVersionNumber, t.DefaultVersionNumber)
}

func (r *launchRecord) fields(a *archive) {
	val(a, "body", &r.body)
	val(a, "out", &r.out)
	val(a, "left", &r.left)
	val(a, "until", &r.until)
}

func (o *offering) fields(a *archive) {
	val(a, "type", &o.kind)
	val(a, "zone", &o.zone)
	val(a, "spot", &o.spot)
}

func (o offering) compare(p offering) int {
	return cmp.Or(cmp.Compare(o.kind, p.kind), cmp.Compare(o.zone, p.zone), cmp.Compare(fmt.Sprint(o.spot), fmt.Sprint(p.spot)))
}

func (s *shortage) fields(a *archive) {
	val(a, "left", &s.left)
	val(a, "until", &s.until)
}

func (q *messageQueue) savedKey() string { return q.name }

func (q *messageQueue) fields(a *archive) {
	val(a, "name", &q.name)
	val(a, "url", &q.url)
	val(a, "createdAt", &q.createdAt)
	val(a, "visibility", &q.visibility)
	val(a, "modifiedAt", &q.modifiedAt)
	val(a, "purgedAt", &q.purgedAt)
	val(a, "retention", &q.retention)
	val(a, "delay", &q.delay)
	val(a, "wait", &q.wait)
	val(a, "mostSize", &q.mostSize)
	part(a, "redrive", &q.redrive)
	val(a, "kept", &q.kept)
	val(a, "tags", &q.tags)
	parts(a, "ready", &q.ready)
	parts(a, "hidden", &q.hidden)
	val(a, "delayed", &q.delayed)
	val(a, "lost", &q.lost)
	val(a, "deleted", &q.deleted)
}

func (m *message) fields(a *archive) {
	val(a, "id", &m.id)
	if a.mode == writing && m.event != nil {
		body := m.event.peek()
		val(a, "body", &body)
	} else {
		val(a, "body", &m.body)
	}
	a.derived("what body is written from", &m.event)
	val(a, "attributes", &m.attributes)
	val(a, "trace", &m.trace)
	val(a, "source", &m.source)
	val(a, "sentAt", &m.sentAt)
	val(a, "visibleAt", &m.visibleAt)
	val(a, "firstAt", &m.firstAt)
	val(a, "received", &m.received)
	val(a, "handle", &m.handle)
	val(a, "deleted", &m.deleted)
}

func (s *subscription) fields(a *archive) {
	ref(a, "queue", &s.queue)
	val(a, "clusters", &s.clusters)
}
