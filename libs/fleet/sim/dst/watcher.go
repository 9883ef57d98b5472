package dst

import (
	"maps"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// watcher is one life of a watcher.
type watcher struct {
	s       *system
	r       *replica
	notices map[fleet.InstanceID]snapshot.Notice
	learned []fleet.Learned
}

func runWatcher(r *replica) {
	w := &watcher{s: r.s, r: r, notices: map[fleet.InstanceID]snapshot.Notice{}}
	r.spawn(func(t *thread) {
		for {
			t.sleep(r.s.cfg.Beat - time.Second + between(r.rng, 0, 2*time.Second))
			if r.s.bus.holds("watch") {
				w.sweep()
			}
		}
	})
	r.spawn(func(t *thread) {
		for {
			r.s.events.wait(t)
			w.hear()
		}
	})
	r.spawn(func(t *thread) { r.s.outlive(t) })
}

// hear takes in what EventBridge has to say, and shares it with the other replicas.
func (w *watcher) hear() {
	heard, err := call(w.s, "sqs:ReceiveMessage", func() ([]snapshot.Notice, error) { return w.s.events.receive(), nil })
	if err != nil {
		return
	}
	for _, n := range heard {
		if w.notices[n.Instance].Kind != fleet.NoticeInterruption {
			w.notices[n.Instance] = n
			w.s.cache.put(n)
		}
	}
	if len(heard) > 0 && w.s.bus.holds("watch") {
		w.sweep()
	}
}

// section reads one section; what cannot be read whole is marked so. It reports whether a
// page of it is missing.
func section[T any](w *watcher, operation string, into *T, read func() T, mark func(*T) *snapshot.Read) (torn bool) {
	started := w.s.now
	got, err := call(w.s, operation, func() (T, error) { return read(), nil })
	if err != nil {
		*mark(into) = snapshot.Read{StartedAt: started, ReadAt: w.s.now, Problem: err.Error()}
		return false
	}
	*into = got
	*mark(into) = snapshot.Read{StartedAt: started, ReadAt: w.s.now, Complete: true}
	if w.s.hit("F6") {
		*mark(into) = snapshot.Read{StartedAt: started, ReadAt: w.s.now, Problem: "a page could not be read"}
		torn = true
	}
	if w.s.hit("F7") { // the next section is read much later
		w.s.thread.sleep(between(w.r.rng, time.Second, 20*time.Second))
	}
	return torn
}

// sweep reads the cluster and publishes what it saw.
func (w *watcher) sweep() {
	s, e := w.s, w.s.eye
	in := snapshot.Input{
		Cluster: cluster, Account: s.world.Account(), Region: s.world.Region(), Generation: w.r.generation,
		RestrictTags: s.bus.policy.Attributes.RestrictTags, Learned: w.learned, Catalogue: e.catalogue,
	}
	w.read(&in)
	now := s.now
	in.Network = snapshot.Network{Read: snapshot.Read{StartedAt: now, ReadAt: now, Complete: true}, Subnets: e.subnets(), Images: e.images}
	in.Catalogue.Read = snapshot.Read{StartedAt: now, ReadAt: now, Complete: !s.hit("F16")}
	in.Catalogue.Spot = s.spot()
	in.Notices = w.known()
	for _, id := range sorted(s.bus.protected) {
		in.Protections = append(in.Protections, snapshot.Protection{Instance: id, Why: s.bus.protected[id]})
	}
	maimed := s.hit("F10") && w.maim(&in)
	snap := snapshot.Assemble(in)
	if !in.ContainerInstances.Complete || !in.EC2.Complete || !in.Services.Complete || !in.Tasks.Complete {
		s.check.partial[snap.ReadStartedAt] = true
	}
	if maimed {
		s.check.maimed[snap.ReadStartedAt], s.check.maimedAt = true, s.now
	} else {
		w.learned = snap.Learned
	}
	if s.hit("F4") {
		s.thread.sleep(between(w.r.rng, 20*time.Second, 5*time.Minute))
	}
	if err := s.bus.publishSnapshot(&snap); err == nil {
		s.check.saw(&snap)
	}
}

// read reads the sections that change quickly, one after the other. Of one that is torn some
// pages are there, as many as were read before the one that failed.
func (w *watcher) read(in *snapshot.Input) {
	s, e := w.s, w.s.eye
	if section(w, "ecs:DescribeContainerInstances", &in.ContainerInstances, func() snapshot.ContainerInstances {
		return snapshot.ContainerInstances{Instances: e.containerInstances()}
	}, func(v *snapshot.ContainerInstances) *snapshot.Read { return &v.Read }) {
		shorten(&in.ContainerInstances.Instances)
	}
	if s.hit("F1") {
		s.after(0, func() { w.r.crash(3 * time.Second) })
		s.thread.sleep(time.Hour)
	}
	if section(w, "ec2:DescribeInstances", &in.EC2, func() snapshot.EC2 { return snapshot.EC2{Instances: e.machines()} }, func(v *snapshot.EC2) *snapshot.Read { return &v.Read }) {
		shorten(&in.EC2.Instances)
	}
	if section(w, "ecs:DescribeServices", &in.Services, func() snapshot.Services { return snapshot.Services{Services: e.services()} }, func(v *snapshot.Services) *snapshot.Read { return &v.Read }) {
		shorten(&in.Services.Services)
	}
	if section(w, "ecs:DescribeTasks", &in.Tasks, e.allTasks, func(v *snapshot.Tasks) *snapshot.Read { return &v.Read }) {
		shorten(&in.Tasks.Tasks)
	}
}

// maim takes two fifths out of one section, and reports whether that is enough to be noticed.
func (w *watcher) maim(in *snapshot.Input) bool {
	switch w.r.rng.IntN(5) {
	case 4:
		hideOne(in)
		return false

	case 0:
		return shorten(&in.ContainerInstances.Instances)
	case 1:
		return shorten(&in.EC2.Instances)
	case 2:
		return shorten(&in.Services.Services)
	default:
		return shorten(&in.Tasks.Tasks)
	}
}

// hideOne hides an instance with all that runs on it: it looks as if it had never registered.
func hideOne(in *snapshot.Input) {
	list := in.ContainerInstances.Instances
	if len(list) == 0 {
		return
	}
	hidden := list[0].ARN
	in.ContainerInstances.Instances = list[1:]
	in.Tasks.Tasks = slices.DeleteFunc(slices.Clone(in.Tasks.Tasks), func(t snapshot.Task) bool { return t.ContainerInstance == hidden })
}

func shorten[T any](list *[]T) bool {
	keep := len(*list) * 3 / 5
	lost := len(*list) - keep
	*list = (*list)[:keep:keep]
	const few = 6 // some of what is lost was leaving, or was not counted
	return lost > few
}

// known are the notices that this replica heard and those that others shared.
func (w *watcher) known() []snapshot.Notice {
	all := maps.Clone(w.s.cache.get())
	if all == nil {
		all = map[fleet.InstanceID]snapshot.Notice{}
	}
	maps.Copy(all, w.notices)
	maps.DeleteFunc(all, func(_ fleet.InstanceID, n snapshot.Notice) bool { return w.s.now.Sub(n.At) > time.Hour })
	var list []snapshot.Notice
	for _, id := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[id])
	}
	return list
}

// cache is Redis: what is in it may be gone at any time, and nothing to do with changes may
// depend on it.
type cache struct {
	s       *system
	notices map[fleet.InstanceID]snapshot.Notice
}

func (c *cache) put(n snapshot.Notice) {
	if !c.s.hit("F79") {
		c.notices[n.Instance] = n
	}
}

func (c *cache) get() map[fleet.InstanceID]snapshot.Notice {
	if c.s.hit("F79") || c.s.hit("F83") {
		return nil
	}
	return c.notices
}
