package sim

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/neap-project/neap/libs/fleet"
)

// catalogueCSV are real instance types with their shapes and prices; its head tells where
// they are from. "neap catalogue refresh" writes a new one.
//
//go:embed catalogue/types.csv
var catalogueCSV []byte

// CatalogueType is an instance type of EC2 as the catalogue has it.
type CatalogueType struct {
	Name         string      `json:"type"`
	VCPUs        int64       `json:"vcpus"`
	MemoryMiB    int64       `json:"memoryMiB"`
	Architecture string      `json:"architecture"` // x86_64 or arm64
	GPUs         int64       `json:"gpus"`
	GPUName      string      `json:"gpuName,omitempty"`
	GPUMemoryMiB int64       `json:"gpuMemoryMiB,omitempty"` // of each
	LocalGB      int64       `json:"localGB"`                // of disks that belong to the instance
	NetworkMbps  int64       `json:"networkMbps"`            // 0: not known
	Metal        bool        `json:"metal"`
	Burstable    bool        `json:"burstable"`
	Hypervisor   string      `json:"hypervisor,omitempty"` // nitro or xen; none for bare metal
	Previous     bool        `json:"previousGeneration"`   // EC2 would rather sell another
	ENIs         int64       `json:"enis"`                 // network interfaces
	TaskENIs     int64       `json:"taskENIs"`             // tasks in awsvpc mode
	TrunkTasks   int64       `json:"trunkTaskENIs"`        // the same with ENI trunking; 0: unsupported
	OnDemand     fleet.Price `json:"onDemand"`             // of Linux; 0: not known
	Spot         fleet.Price `json:"spot"`                 // the mean of the zones; 0: not known
	Interrupted  string      `json:"interrupted,omitempty"`
	Zones        []string    `json:"zones,omitempty"` // that sell it, as what follows the region in their names; none: not known
}

// catalogueColumn is a column of the file: how a field is written and read.
type catalogueColumn struct {
	name  string
	write func(*CatalogueType) string
	read  func(*CatalogueType, string) error
}

// catalogueColumns are the columns in their order.
var catalogueColumns = []catalogueColumn{
	textColumn("type", func(t *CatalogueType) *string { return &t.Name }),
	numberColumn("vcpus", func(t *CatalogueType) *int64 { return &t.VCPUs }),
	numberColumn("memory_mib", func(t *CatalogueType) *int64 { return &t.MemoryMiB }),
	textColumn("architecture", func(t *CatalogueType) *string { return &t.Architecture }, "x86_64", "arm64"),
	numberColumn("gpus", func(t *CatalogueType) *int64 { return &t.GPUs }),
	textColumn("gpu_name", func(t *CatalogueType) *string { return &t.GPUName }),
	numberColumn("gpu_memory_mib", func(t *CatalogueType) *int64 { return &t.GPUMemoryMiB }),
	numberColumn("local_gb", func(t *CatalogueType) *int64 { return &t.LocalGB }),
	numberColumn("network_mbps", func(t *CatalogueType) *int64 { return &t.NetworkMbps }),
	choiceColumn("metal", "false", "true", func(t *CatalogueType) *bool { return &t.Metal }),
	choiceColumn("burstable", "false", "true", func(t *CatalogueType) *bool { return &t.Burstable }),
	textColumn("hypervisor", func(t *CatalogueType) *string { return &t.Hypervisor }, "nitro", "xen", ""),
	choiceColumn("generation", "current", "previous", func(t *CatalogueType) *bool { return &t.Previous }),
	numberColumn("enis", func(t *CatalogueType) *int64 { return &t.ENIs }),
	numberColumn("task_enis", func(t *CatalogueType) *int64 { return &t.TaskENIs }),
	numberColumn("trunk_task_enis", func(t *CatalogueType) *int64 { return &t.TrunkTasks }),
	numberColumn("on_demand", func(t *CatalogueType) *int64 { return (*int64)(&t.OnDemand) }),
	numberColumn("spot", func(t *CatalogueType) *int64 { return (*int64)(&t.Spot) }),
	textColumn("interrupted", func(t *CatalogueType) *string { return &t.Interrupted }, "", "<5%", "5-10%", "10-15%", "15-20%", ">20%"),
	{
		"zones",
		func(t *CatalogueType) string { return strings.Join(t.Zones, " ") },
		func(t *CatalogueType, s string) error {
			t.Zones = append([]string(nil), strings.Fields(s)...)
			return nil
		},
	},
}

func textColumn(name string, field func(*CatalogueType) *string, choices ...string) catalogueColumn {
	return catalogueColumn{
		name,
		func(t *CatalogueType) string { return *field(t) },
		func(t *CatalogueType, s string) error {
			if *field(t) = s; len(choices) > 0 && !slices.Contains(choices, s) {
				return fmt.Errorf("%s %q is none of %q", name, s, choices)
			}
			return nil
		},
	}
}

func numberColumn(name string, field func(*CatalogueType) *int64) catalogueColumn {
	return catalogueColumn{
		name,
		func(t *CatalogueType) string { return strconv.FormatInt(*field(t), 10) },
		func(t *CatalogueType, s string) error {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < 0 {
				return fmt.Errorf("%s %q is no number of 0 or more", name, s)
			}
			*field(t) = n
			return nil
		},
	}
}

func choiceColumn(name, no, yes string, field func(*CatalogueType) *bool) catalogueColumn {
	return catalogueColumn{
		name,
		func(t *CatalogueType) string {
			if *field(t) {
				return yes
			}
			return no
		},
		func(t *CatalogueType, s string) error {
			if *field(t) = s == yes; s != yes && s != no {
				return fmt.Errorf("%s %q is neither %s nor %s", name, s, no, yes)
			}
			return nil
		},
	}
}

// embeddedCatalogue is read once, for all worlds.
var embeddedCatalogue = sync.OnceValues(func() (catalogue, error) {
	types, head, err := ReadCatalogue(bytes.NewReader(catalogueCSV))
	return catalogue{types, head}, err
})

type catalogue struct {
	types []CatalogueType
	head  []string
}

// Catalogue are the instance types that are built into the program, by name, and the lines
// that tell where they are from. The caller may change what it gets.
func Catalogue() (types []CatalogueType, head []string, err error) {
	c, err := embeddedCatalogue()
	return slices.Clone(c.types), slices.Clone(c.head), err
}

// ReadCatalogue reads a catalogue that [WriteCatalogue] has written. An error names the
// type and the column.
func ReadCatalogue(from io.Reader) (types []CatalogueType, head []string, err error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, nil, fmt.Errorf("read catalogue: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		words, isHead := strings.CutPrefix(line, "# ")
		if !isHead {
			break
		}
		head = append(head, strings.TrimSpace(words))
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment = '#'
	names, err := r.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("read catalogue: %w", err)
	}
	for _, column := range catalogueColumns {
		if !slices.Contains(names, column.name) {
			return nil, nil, fmt.Errorf("read catalogue: the column %s is missing", column.name)
		}
	}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return types, head, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read catalogue: %w", err)
		}
		t := CatalogueType{}
		for _, column := range catalogueColumns {
			if err := column.read(&t, fields[slices.Index(names, column.name)]); err != nil {
				return nil, nil, fmt.Errorf("read catalogue: %s: %w", fields[0], err)
			}
		}
		if family, size, _ := strings.Cut(t.Name, "."); len(family) < 2 || size == "" {
			return nil, nil, fmt.Errorf("read catalogue: the type %q is no FAMILY.SIZE such as t3.large", t.Name)
		}
		types = append(types, t)
	}
}

// WriteCatalogue writes a catalogue as a file that [ReadCatalogue] reads and that can be
// built into the program. The lines of the head tell where the types are from, and when.
func WriteCatalogue(to io.Writer, head []string, types []CatalogueType) error {
	out := bufio.NewWriter(to)
	for _, line := range head {
		fmt.Fprintln(out, "#", line)
	}
	w := csv.NewWriter(out)
	fields := make([]string, len(catalogueColumns))
	for i, column := range catalogueColumns {
		fields[i] = column.name
	}
	_ = w.Write(fields) // Flush tells
	for _, t := range types {
		for i, column := range catalogueColumns {
			fields[i] = column.write(&t)
		}
		_ = w.Write(fields)
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("write catalogue: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write catalogue: %w", err)
	}
	return nil
}
