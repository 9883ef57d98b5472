package sim

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// catalogueCSV are real instance types with their shapes and prices; its head tells where
// they are from.
//
//go:embed catalogue/types.csv
var catalogueCSV []byte

// instanceType is an EC2 instance type.
type instanceType struct {
	name              string
	vcpus, memory     int64
	arm               bool
	gpus, gpuMemory   int64
	gpuName           string
	localGB, mbps     int64
	metal, burstable  bool
	enis, taskENIs    int64
	trunkTasks        int64
	onDemand, spot    int64 // millionths of USD per hour
	interruptedOften  float64
	zones             []string // that sell it
	compute, graviton bool
}

// usualSpotShare is what spot costs of the on-demand price where no spot price is known:
// about the mean of the types for which it is.
const usualSpotShare = 0.38

// stock reads the catalogue.
func (w *World) stock() error {
	r := csv.NewReader(bytes.NewReader(catalogueCSV))
	r.Comment = '#'
	header, err := r.Read()
	if err != nil {
		return fmt.Errorf("read catalogue: %w", err)
	}
	w.typeNamed = map[string]*instanceType{}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read catalogue: %w", err)
		}
		row := map[string]string{}
		for i, name := range header {
			row[name] = fields[i]
		}
		t, err := parseType(row)
		if err != nil {
			return fmt.Errorf("read catalogue: %s: %w", row["type"], err)
		}
		for _, z := range w.cfg.Zones {
			if len(w.cfg.Zones) == 1 || t.soldIn(z.Name) {
				t.zones = append(t.zones, z.Name)
			}
		}
		w.types = append(w.types, t)
		w.typeNamed[t.name] = t
	}
}

func parseType(row map[string]string) (*instanceType, error) {
	t := &instanceType{
		name: row["type"], arm: row["architecture"] == "arm64", gpuName: row["gpu_name"],
		metal: row["metal"] == "true", burstable: row["burstable"] == "true",
	}
	for _, f := range []struct {
		to   *int64
		name string
	}{
		{&t.vcpus, "vcpus"},
		{&t.memory, "memory_mib"},
		{&t.gpus, "gpus"},
		{&t.gpuMemory, "gpu_memory_mib"},
		{&t.localGB, "local_gb"},
		{&t.mbps, "network_mbps"},
		{&t.enis, "enis"},
		{&t.taskENIs, "task_enis"},
		{&t.trunkTasks, "trunk_task_enis"},
		{&t.onDemand, "on_demand"},
		{&t.spot, "spot"},
	} {
		n, err := strconv.ParseInt(row[f.name], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s %q is no number", f.name, row[f.name])
		}
		*f.to = n
	}
	if t.spot == 0 {
		t.spot = int64(float64(t.onDemand) * usualSpotShare)
	}
	t.interruptedOften = map[string]float64{"": 0.1, "<5%": 0.03, "5-10%": 0.08, "10-15%": 0.13, "15-20%": 0.18, ">20%": 0.25}[row["interrupted"]]
	t.compute, t.graviton = strings.HasPrefix(t.name, "c"), t.arm
	return t, nil
}

// soldIn reports whether a zone sells the type. The newest and the special families are
// missing in some zones of every real region; which, does not depend on the seed.
func (t *instanceType) soldIn(zone string) bool {
	newest := strings.HasPrefix(t.name[1:], "8")
	if !newest && t.gpus == 0 && t.localGB == 0 && !t.metal {
		return true
	}
	const share = 8 // one in so many is missing
	h := fnv.New32a()
	h.Write([]byte(t.name + zone))
	return mix(uint64(h.Sum32()))%share != 0
}

// architecture is the CPU architecture as ECS spells it.
func (t *instanceType) architecture() string {
	if t.arm {
		return string(fleet.ARM)
	}
	return string(fleet.X86)
}

// registers is what an instance of the type registers with ECS: all vCPUs, and memory less
// what kernel and firmware keep, fitted to published observations of Nitro instances.
func (t *instanceType) registers(threadsPerCore int) fleet.Resources {
	const fixedMiB, armMiB = 216, 64 // arm64 keeps 64 MiB more for contiguous allocation
	share := int64(365)              // of ten thousand: general purpose and memory types
	if t.compute {
		share = 435
	}
	memory := t.memory - fixedMiB - t.memory*share/10000
	if t.arm {
		memory -= armMiB
	}
	if memory <= 0 { // nano and micro types: what is left there is small but not nothing
		memory = t.memory * 3 / 4
	}
	vcpus := t.vcpus
	if threadsPerCore == 1 && !t.arm {
		vcpus = max(vcpus/2, 1)
	}
	return fleet.Resources{CPUUnits: vcpus * 1024, MemoryMiB: memory, GPUs: t.gpus, ENIs: t.taskENIs}
}

// priceStep is how long a spot price stands. Real ones change a few times a day.
const priceStep = 4 * time.Hour

// spotPrice is the spot price of a type in a zone at a time, in millionths of USD per
// hour: the mean of the type, a little dearer or cheaper by zone and by time, and never
// above the on-demand price.
func (w *World) spotPrice(t *instanceType, zone string, at time.Time) int64 {
	if set, ok := w.prices[offering{t.name, zone, true}]; ok {
		return set
	}
	step := strconv.FormatInt(at.UnixNano()/int64(priceStep), 10)
	price := float64(t.spot) * (0.94 + 0.12*w.chance("price", t.name, zone)) * (0.97 + 0.06*w.chance("price", t.name, zone, step))
	return min(int64(price)/100*100, t.onDemand) // EC2 gives four decimals
}

// dollars writes a price as AWS does.
func dollars(millionths int64) string {
	return strconv.FormatFloat(float64(millionths)/1e6, 'f', 6, 64)
}
