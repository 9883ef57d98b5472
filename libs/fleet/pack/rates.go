package pack

import "github.com/neap-project/neap/libs/fleet"

// Rates are prices of the resources of an instance, by unit, at which no offering holds
// more worth than it costs. What a set of tasks needs is worth, at any such rates, at most
// what the instances cost that hold it.
type Rates [resources]float64

// RatesFor are the rates at which a total is worth most. They solve a linear program with
// one variable for each resource and one row for each offering.
//
// Complexity, o offerings: O(o) for each of some ten steps of the simplex method.
func RatesFor(total fleet.Resources, offerings []Offering) Rates {
	if len(offerings) == 0 {
		return Rates{}
	}
	s := &solver{p: Problem{Items: []Item{{Needs: total, Count: 1}}, Offerings: offerings}, demand: []int{1}}
	part := component{
		items: []int{0}, class: []int{0}, price: make([][resources]float64, 1),
		offerings: make([]int, len(offerings)), highest: make([]int, len(offerings)),
	}
	for o := range offerings {
		part.offerings[o] = o
	}
	s.resourcePrices(&part)
	return part.price[0]
}

// Worth is what an amount of resources is worth at the rates.
func (r Rates) Worth(x fleet.Resources) fleet.Price { return fleet.Price(worth(r, x)) }
