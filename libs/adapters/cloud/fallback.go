package cloud

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"

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

// fallbackTypes are common instance types with prices of one region at one time. They stand
// in where a catalogue is not given, so that a plan can be tried out: never for a launch.
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
