package cloud

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"sync"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

//go:embed fallback.csv
var fallbackCSV []byte

// fallbackType is a row of the embedded catalogue.
type fallbackType struct {
	snapshot.InstanceType
	onDemand, spot fleet.Price
}

// Embedded is the catalogue that is part of the program: common instance types with their
// on-demand prices in one region at one time.
type Embedded struct {
	Date   string // of the prices: a month
	Region string // of the prices
	Types  []snapshot.InstanceType
	Prices []snapshot.Price
}

// What the first line of fallback.csv says.
const (
	embeddedDate   = "2026-07"
	embeddedRegion = "us-east-1"
)

// EmbeddedCatalogue returns the embedded catalogue. It stands in for what could never be
// read: that the prices of another region differ matters less than that nothing is launched.
// Callers must not change what it returns.
var EmbeddedCatalogue = sync.OnceValue(func() Embedded {
	e := Embedded{Date: embeddedDate, Region: embeddedRegion}
	for _, t := range fallbackTypes() {
		e.Types = append(e.Types, t.InstanceType)
		e.Prices = append(e.Prices, snapshot.Price{Type: t.Name, OnDemand: t.onDemand})
	}
	return e
})

// fallbackTypes are common instance types with prices of one region at one time. They stand
// in where a catalogue is not given, so that a plan can be tried out, and until one was read.
func fallbackTypes() []fallbackType {
	reader := csv.NewReader(bytes.NewReader(fallbackCSV))
	reader.Comment = '#'
	rows, err := reader.ReadAll()
	if err != nil {
		panic(fmt.Sprintf("cloud: embedded catalogue: %v", err))
	}
	types := make([]fallbackType, 0, len(rows))
	for _, row := range rows[1:] {
		number := func(column int) int64 {
			n, err := strconv.ParseInt(row[column], 10, 64)
			if err != nil {
				panic(fmt.Sprintf("cloud: embedded catalogue: %s: %v", row[0], err))
			}
			return n
		}
		t := fallbackType{
			InstanceType: snapshot.InstanceType{
				Name: row[0], VCPUs: number(1), MemoryMiB: number(2), Architectures: []string{row[3]}, GPUs: number(4),
				Metal: row[5] == "true", Burstable: row[6] == "true",
			},
			onDemand: fleet.Price(number(8)), spot: fleet.Price(number(9)),
		}
		t.MaxENIs, t.TrunkTasks = interfaceLimits(t.Name, number(7))
		types = append(types, t)
	}
	return types
}
