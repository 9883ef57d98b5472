package cloud

import (
	"slices"

	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// fillCatalogue makes up for files of the catalogue that were not given.
func (r *dirReader) fillCatalogue() {
	c := &r.in.Catalogue
	known := EmbeddedCatalogue()
	if r.missing("instance-types.json") {
		c.Types = append(c.Types, known.Types...)
	}
	zones := r.zones()
	if r.missing("offerings.json") {
		for i := range c.Types {
			for _, zone := range zones {
				c.Offers = append(c.Offers, snapshot.Offer{Type: c.Types[i].Name, Zone: zone})
			}
		}
	}
	if r.missing("prices.json") {
		c.Prices = append(c.Prices, known.Prices...)
	}
	if !r.missing("spot-prices.json") {
		return
	}
	for i := range known.Types {
		name := known.Types[i].Name
		if known.spot[name] == 0 {
			continue
		}
		for _, zone := range zones {
			c.Spot = append(c.Spot, snapshot.SpotPrice{Type: name, Zone: zone, Spot: known.spot[name]})
		}
	}
}

// zones are those that anything of the cluster is in.
func (r *dirReader) zones() []string {
	var zones []string
	for _, s := range r.in.Network.Subnets {
		zones = append(zones, s.Zone)
	}
	for i := range r.in.EC2.Instances {
		zones = append(zones, r.in.EC2.Instances[i].Zone)
	}
	return wanted(zones)
}

// fillNetwork makes up for files of the network that were not given.
func (r *dirReader) fillNetwork() {
	n := &r.in.Network
	if r.missing("subnets.json") {
		const assumedFree = 250 // as in an empty /24
		for i := range r.in.EC2.Instances {
			inst := &r.in.EC2.Instances[i]
			given := inst.Subnet == "" || slices.ContainsFunc(n.Subnets, func(s snapshot.Subnet) bool { return s.ID == inst.Subnet })
			if !given {
				n.Subnets = append(n.Subnets, snapshot.Subnet{ID: inst.Subnet, Zone: inst.Zone, VPC: inst.VPC, FreeAddresses: assumedFree})
			}
		}
	}
	r.missing("parameters.json")
	// What images.json says of an architecture is better than the name of a parameter.
	for i := range n.Images {
		for _, other := range n.Images {
			if other.Parameter == n.Images[i].ID && other.Architecture != "" {
				n.Images[i].Architecture = other.Architecture
			}
		}
	}
}

// missing reports whether an optional file was not given, and warns of what is done without.
func (r *dirReader) missing(name string) bool {
	if r.read[name] {
		return false
	}
	for _, f := range Files() {
		if f.Name == name {
			r.warn("%s is missing: %s. It is written by: %s", f.Name, f.Optional, f.Command)
		}
	}
	return true
}
