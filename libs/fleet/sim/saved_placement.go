package sim

import (
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// savedNode is a node of the placement of a cluster: a container instance, or one that is
// no longer there. What is gone keeps its number, and chance goes by numbers.
type savedNode struct {
	host       *containerInstance
	id         string
	zone       fleet.Zone
	provider   string
	attributes int // index into the sets
}

func (n *savedNode) fields(a *archive) {
	maybe(a, "host", &n.host)
	val(a, "id", &n.id)
	val(a, "zone", &n.zone)
	val(a, "provider", &n.provider)
	val(a, "attributes", &n.attributes)
}

// savedScans is how often placement has looked at every node for a kind of task, which
// decides how it looks the next time.
type savedScans struct {
	kind  *kind
	count int
}

func (s *savedScans) fields(a *archive) {
	ref(a, "kind", &s.kind)
	val(a, "count", &s.count)
}

// savePlacement saves the numbers of the nodes of a cluster, from which the rest follows.
func savePlacement(a *archive, c *cluster) {
	if a.mode == listing {
		a.visit("nodes", &c.placement)
		return
	}
	var nodes []savedNode
	var sets [][]fleet.Attribute
	var scans []savedScans
	if a.mode != reading {
		nodes, sets, scans = c.savedPlacement()
	}
	each(a, "nodes", &nodes, func(a *archive, n *savedNode) { n.fields(a) })
	val(a, "attributeSets", &sets)
	each(a, "scans", &scans, func(a *archive, s *savedScans) { s.fields(a) })
	a.after(func() error {
		if err := c.placeAgain(nodes, sets, scans); err != nil {
			return fmt.Errorf("cluster %s: %w", c.name, err)
		}
		return nil
	})
}

// savedPlacement is what must be known to make the placement of a cluster again.
func (c *cluster) savedPlacement() (nodes []savedNode, sets [][]fleet.Attribute, scans []savedScans) {
	index, byWords := map[*place.Attributes]int{}, map[string]int{}
	for i := range c.placement.Len() {
		node, there := c.placement.Node(i)
		if there {
			nodes = append(nodes, savedNode{host: c.byNode[i]})
			continue
		}
		at, known := index[node.Attributes]
		if !known {
			words := fmt.Sprint(node.Attributes.All())
			if at, known = byWords[words]; !known {
				at = len(sets)
				byWords[words] = at
				sets = append(sets, node.Attributes.All())
			}
			index[node.Attributes] = at
		}
		nodes = append(nodes, savedNode{id: node.ID, zone: node.Zone, provider: node.CapacityProvider, attributes: at})
	}
	for _, name := range sortedKeys(c.kinds) {
		if n := c.placement.Scans(c.kinds[name].Task); n > 0 {
			scans = append(scans, savedScans{c.kinds[name], n})
		}
	}
	return nodes, sets, scans
}

// placeAgain makes the placement of a cluster, and what else is kept of its instances.
func (c *cluster) placeAgain(nodes []savedNode, sets [][]fleet.Attribute, scans []savedScans) error {
	c.placement, c.byNode = place.New(), map[int]*containerInstance{}
	c.inZone, c.attributeSet = map[string][]*containerInstance{}, map[string]*place.Attributes{}
	shared := make([]*place.Attributes, len(sets))
	for i, set := range sets {
		shared[i] = place.NewAttributes(set...)
	}
	for i, n := range nodes {
		h := n.host
		switch {
		case h == nil && (n.attributes < 0 || n.attributes >= len(shared)):
			return fmt.Errorf("nodes[%d]: attributes: there is no set %d of %d", i, n.attributes, len(shared))
		case h == nil:
			c.placement.Remove(c.placement.Add(place.Node{
				ID: n.id, Zone: n.zone, CapacityProvider: n.provider, AgentVersion: agentVersion, Attributes: shared[n.attributes],
			}))
			continue
		case h.node != i || c.hosts[h.id] != h || h.cluster != c:
			return fmt.Errorf("nodes[%d]: container instance %s is not the node of that number", i, h.id)
		}
		c.byNode[c.placement.Add(h.placementNode())] = h
		c.putTasks(h)
	}
	if len(c.byNode) != len(c.hosts) {
		return fmt.Errorf("nodes: there are %d, and %d container instances", len(c.byNode), len(c.hosts))
	}
	for _, s := range scans {
		c.placement.SetScans(s.kind.Task, s.count)
	}
	for _, h := range rollOf(c.hosts).items {
		zone := h.machine.subnet.Zone
		c.inZone[zone] = append(c.inZone[zone], h)
	}
	for _, zone := range sortedKeys(c.inZone) {
		slices.SortFunc(c.inZone[zone], func(x, y *containerInstance) int { return x.place - y.place })
		for i, h := range c.inZone[zone] {
			if h.place != i {
				return fmt.Errorf("container instance %s: place is %d of zone %s, expected %d", h.id, h.place, zone, i)
			}
		}
	}
	return nil
}
