package sim

import "fmt"

// consistent reports what in a loaded world contradicts itself. What a world that was saved
// never has it must not have after somebody changed its file, for nothing looks again.
func (w *World) consistent() error {
	for _, name := range sortedKeys(w.clusters) {
		c := w.clusters[name]
		if c.name != name {
			return fmt.Errorf("clusters: %s stands there as %s", c.name, name)
		}
	}
	for _, id := range sortedKeys(w.instances) {
		if m := w.instances[id]; m.id != id || m.host != nil && m.host.machine != m {
			return fmt.Errorf("instance %s: its id or host is that of another", id)
		}
	}
	return nil
}

// consistent reports what of a cluster contradicts itself.
func (c *cluster) consistent() error {
	for _, name := range sortedKeys(c.services) {
		if s := c.services[name]; s.name != name || s.cluster != c {
			return fmt.Errorf("services: %s is of another cluster or name", name)
		}
	}
	for _, id := range sortedKeys(c.tasks) {
		t := c.tasks[id]
		switch {
		case t.id != id || t.cluster != c:
			return fmt.Errorf("tasks: %s is of another cluster or id", id)
		case t.host != nil && t.host.cluster != c || t.service != nil && t.service.cluster != c:
			return fmt.Errorf("task %s: its host or service is of another cluster", id)
		}
	}
	for _, set := range []map[string]*containerInstance{c.hosts, c.past} {
		for _, id := range sortedKeys(set) {
			if h := set[id]; h.id != id || h.cluster != c {
				return fmt.Errorf("container instances: %s is of another cluster or id", id)
			}
		}
	}
	return nil
}

// consistent reports what of a service contradicts itself.
func (s *service) consistent() error {
	for _, t := range s.active {
		if t.service != s || t.host == nil || t.stopped {
			return fmt.Errorf("active: task %s is not one of its tasks that should run somewhere", t.id)
		}
	}
	return nil
}

// consistent reports what of a container instance contradicts itself.
func (h *containerInstance) consistent() error {
	for _, list := range [][]*task{h.tasks, h.queue} {
		for _, t := range list {
			if t.host != h || t.last == taskStopped {
				return fmt.Errorf("tasks: task %s is not one of its tasks that have not ended", t.id)
			}
		}
	}
	return nil
}
