package sim

import "strings"

// samples is how many instances are tried by chance before placement looks at all of
// them: with one eligible instance in eight it misses once in twenty-five times.
const samples = 24

// placeTask chooses an instance for a task of a service and puts it there.
//
// A service that is spread ends on an instance that has none of its tasks, in the zone
// with fewest: whoever draws instances of that zone until one is eligible and empty of the
// service draws from exactly the ties among which placement leaves it to chance, without
// looking at the others. Where that finds none, placement decides.
func (w *World) placeTask(s *service, k *kind) (node int, ok bool) {
	placement := s.cluster.placement
	if spread, zones := s.spreads(); spread {
		from := s.cluster.emptiest(s, zones)
		total := 0
		for _, hosts := range from {
			total += len(hosts)
		}
		for range samples {
			if total <= samples { // looking at all of them costs no more
				break
			}
			h := pick(from, w.rng.IntN(total))
			if placement.Count(h.node, k.Group) > 0 {
				continue
			}
			if _, eligible := placement.Eligible(h.node, k.Task); eligible {
				placement.Put(h.node, k.Task, 1)
				return h.node, true
			}
		}
	}
	return placement.Place(k.Task, w.rng)
}

// spreads reports whether the strategy of a service leaves chance to decide among the
// instances that have none of its tasks, and whether it spreads over zones before.
func (s *service) spreads() (ok, zones bool) {
	if len(s.strategy) == 0 {
		return true, true
	}
	for i, r := range s.strategy {
		field := strings.ToLower(strings.TrimPrefix(r.Field, "attribute:"))
		switch {
		case r.Type == "spread" && field == "ecs.availability-zone" && i == 0:
			zones = true
		case r.Type == "spread" && (field == "instanceid" || field == "host"):
			return true, zones // nothing behind it can divide instances that have none
		default:
			return false, false
		}
	}
	return false, false
}

// emptiest are the instances of the zones with fewest tasks of a service.
func (c *cluster) emptiest(s *service, byZone bool) [][]*containerInstance {
	var from [][]*containerInstance
	least := -1
	for _, zone := range sortedKeys(c.inZone) {
		hosts := c.inZone[zone]
		n := s.inZone[zone]
		if len(hosts) == 0 {
			continue
		}
		if byZone && least >= 0 && n < least {
			from = from[:0]
		}
		if !byZone || least < 0 || n <= least {
			from, least = append(from, hosts), n
		}
	}
	return from
}

// pick is the i-th of several lists.
func pick(lists [][]*containerInstance, i int) *containerInstance {
	for _, l := range lists {
		if i < len(l) {
			return l[i]
		}
		i -= len(l)
	}
	panic("sim: picked behind the end")
}

// join notes an instance by its zone.
func (c *cluster) join(h *containerInstance) {
	zone := h.machine.subnet.Zone
	h.place = len(c.inZone[zone])
	c.inZone[zone] = append(c.inZone[zone], h)
}

// leave takes an instance out of its zone; the last one takes its place.
func (c *cluster) leave(h *containerInstance) {
	zone := h.machine.subnet.Zone
	hosts := c.inZone[zone]
	last := len(hosts) - 1
	hosts[h.place] = hosts[last]
	hosts[h.place].place = h.place
	c.inZone[zone] = hosts[:last]
}
