package cloud

import (
	"fmt"
	"sync"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/catalogue"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// Embedded is the catalogue that is part of the program, as a [Reader] would read it in the
// region and at the time that it is from.
type Embedded struct {
	Date   string // of the prices: a month or a day
	Region string // of the prices
	Types  []snapshot.InstanceType
	Prices []snapshot.Price
	spot   map[string]fleet.Price // means over the zones
}

// EmbeddedCatalogue returns the embedded catalogue. It stands in for what could never be
// read: that the prices of another region differ matters less than that nothing is launched.
// Callers must not change what it returns.
var EmbeddedCatalogue = sync.OnceValue(func() Embedded {
	table, err := catalogue.Embedded()
	if err != nil {
		panic(fmt.Sprintf("cloud: embedded catalogue: %v", err))
	}
	e := Embedded{Date: table.Date, Region: table.Region, spot: map[string]fleet.Price{}}
	for i := range table.Types {
		t := &table.Types[i]
		e.Types = append(e.Types, snapshot.InstanceType{
			Name: t.Name, Architectures: []string{t.Architecture}, VCPUs: t.VCPUs, MemoryMiB: t.MemoryMiB, GPUs: t.GPUs,
			MaxENIs: t.TaskENIs + 1, TrunkTasks: t.TrunkTasks, // one interface is the instance's own
			Burstable: t.Burstable, Metal: t.Metal, DiskGiB: t.LocalGB, NetworkMbps: t.NetworkMbps,
		})
		e.Prices = append(e.Prices, snapshot.Price{Type: t.Name, OnDemand: t.OnDemand})
		if t.Spot > 0 {
			e.spot[t.Name] = t.Spot
		}
	}
	return e
})
