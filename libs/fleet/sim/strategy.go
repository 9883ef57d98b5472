package sim

import "slices"

// The limits of a capacity provider strategy.
const (
	mostStrategyItems = 20
	mostWeight        = 1000
	mostBase          = 100000
)

// checkProviders refuses a capacity provider strategy that ECS would refuse in a cluster.
func (w *World) checkProviders(c *cluster, strategy []CapacityProviderStrategyItem) error {
	if len(strategy) > mostStrategyItems {
		return invalid("The specified capacity provider strategy cannot contain more than %d capacity providers. Specify a capacity provider strategy with fewer capacity providers and try again.", mostStrategyItems)
	}
	bases, heavy := 0, 0
	seen := map[string]bool{}
	for _, item := range strategy {
		name := item.CapacityProvider
		p := w.provider(name)
		switch {
		case p == nil || p.Status != statusActive:
			return invalid("The specified capacity provider '%.255s' was not found.", name)
		case c != nil && p.group != nil && !slices.Contains(c.providers, p.Name):
			return invalid("The specified capacity provider '%.255s' is not associated with the cluster. Associate it and try again.", name)
		case seen[p.Name]:
			return invalid("The specified capacity provider strategy cannot contain a capacity provider more than once: '%.255s'.", name)
		case item.Weight < 0 || item.Weight > mostWeight:
			return invalid("The weight of a capacity provider must be between 0 and %d: %d", mostWeight, item.Weight)
		case item.Base < 0 || item.Base > mostBase:
			return invalid("The base of a capacity provider must be between 0 and %d: %d", mostBase, item.Base)
		}
		seen[p.Name] = true
		if item.Base > 0 {
			bases++
		}
		if item.Weight > 0 {
			heavy++
		}
	}
	switch {
	case bases > 1:
		return invalid("The specified capacity provider strategy cannot contain more than one capacity provider with a base value greater than 0.")
	case len(strategy) > 0 && heavy == 0:
		return invalid("The specified capacity provider strategy must contain at least one capacity provider with a weight greater than 0.")
	}
	return nil
}

// heaviest is the capacity provider of a strategy with the largest weight.
func heaviest(strategy []CapacityProviderStrategyItem) string {
	best := CapacityProviderStrategyItem{Weight: -1}
	for _, item := range strategy {
		if item.Weight > best.Weight {
			best = item
		}
	}
	return providerName(best.CapacityProvider)
}

// providerName is the name of a capacity provider that may be given by its ARN.
func providerName(name string) string { return lastPart(name) }

// chooser chooses the capacity provider of each new task of a deployment: first the base,
// then so that the tasks above the base stand to each other as the weights do. It is
// chosen before placement, and whether there is room does not matter (ECS Developer Guide,
// "Cluster auto scaling", step 1 of the managed scale-out). A provider of weight 0 gets
// nothing, not even its base.
type chooser struct {
	strategy []CapacityProviderStrategyItem
	kinds    []*kind
	count    []int
}

// newChooser looks at what the deployment has already.
func (w *World) newChooser(s *service, d *deployment) *chooser {
	if len(s.providers) < 2 {
		return &chooser{kinds: []*kind{d.kind}}
	}
	c := &chooser{strategy: s.providers, count: make([]int, len(s.providers))}
	for _, item := range s.providers {
		r := s.request()
		r.Provider = providerName(item.CapacityProvider)
		k, err := w.kindOf(s.cluster, d.definition, r)
		if err != nil {
			k = d.kind // cannot be: what it is made of was checked with the deployment
		}
		c.kinds = append(c.kinds, k)
	}
	for _, list := range [][]*task{s.active, s.cluster.waiting} {
		for _, t := range list {
			if t.deployment != d {
				continue
			}
			for i, k := range c.kinds {
				if t.provider == k.CapacityProvider {
					c.count[i]++
				}
			}
		}
	}
	return c
}

// single reports whether there is nothing to choose.
func (c *chooser) single() bool { return len(c.kinds) == 1 }

// next is the kind of the next task, bound to its provider.
func (c *chooser) next() *kind {
	if c.single() {
		return c.kinds[0]
	}
	best := -1
	for i, item := range c.strategy {
		if item.Weight == 0 {
			continue
		}
		if c.count[i] < item.Base {
			best = i
			break
		}
		if best < 0 || c.above(i, 1)*c.strategy[best].Weight < c.above(best, 1)*item.Weight {
			best = i
		}
	}
	c.count[best]++
	return c.kinds[best]
}

// above is how many tasks above its base a provider would have with more of them.
func (c *chooser) above(i, more int) int { return c.count[i] + more - c.strategy[i].Base }

// shares splits the tasks of one RunTask over a strategy: which item each of them is bound
// to. What does not come out even is decided by chance in proportion to the weights, so
// that many calls for one task are split, too.
func (w *World) shares(strategy []CapacityProviderStrategyItem, count int, words ...string) []int {
	if len(strategy) == 0 {
		return make([]int, count)
	}
	var list []int
	total := 0
	for i, item := range strategy {
		if item.Weight == 0 {
			continue
		}
		total += item.Weight
		for range min(item.Base, count-len(list)) {
			list = append(list, i)
		}
	}
	rest := count - len(list)
	start := w.chance(append([]string{"capacity provider strategy"}, words...)...)
	for n := range rest {
		at := min((float64(n)+start)/float64(rest)*float64(total), float64(total)-0.5)
		for i, item := range strategy {
			if at -= float64(item.Weight); at < 0 && item.Weight > 0 {
				list = append(list, i)
				break
			}
		}
	}
	return list
}
