// Package catalogue is the table of the instance types of EC2 that is built into Neap: real
// types with their shapes, network interfaces and prices, as one region sold them at one
// time. The simulated AWS sells them, and they stand in where nothing could be read of what
// a real region sells.
package catalogue

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/neap-project/neap/libs/fleet"
)

// file is the table that is built in. "neap catalogue refresh" writes a new one.
//
//go:embed types.csv
var file []byte

// A Table are the instance types that a region sold at a time.
type Table struct {
	Region  string
	Date    string   // of the on-demand prices: a month or a day, 2026-07 or 2026-07-31
	Sources []string // lines that tell where the rows are from
	Types   []Type   // by name
}

// A Type is an instance type of EC2.
type Type struct {
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

// embedded is read once.
var embedded = sync.OnceValues(func() (Table, error) { return Read(bytes.NewReader(file)) })

// Embedded is the table that is built into the program. The caller may change its rows.
func Embedded() (Table, error) {
	t, err := embedded()
	t.Types = slices.Clone(t.Types)
	return t, err
}

// title is the first line of a file, with region and date.
var title = regexp.MustCompile(`^Instance types of EC2 in ([a-z0-9-]+), ([0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)$`)

// Title is the first line of the file of the table.
func (t *Table) Title() string { return "Instance types of EC2 in " + t.Region + ", " + t.Date }

// Read reads a table that [Table.Write] has written, in time linear in its size. An error
// names the type and the column.
func Read(from io.Reader) (Table, error) {
	t := Table{}
	text, err := io.ReadAll(from)
	if err != nil {
		return t, fmt.Errorf("read catalogue: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		words, isHead := strings.CutPrefix(line, "# ")
		if !isHead {
			break
		}
		t.Sources = append(t.Sources, strings.TrimSpace(words))
	}
	if len(t.Sources) == 0 || !title.MatchString(t.Sources[0]) {
		return t, errors.New("read catalogue: the first line is not of the form # Instance types of EC2 in us-east-1, 2026-07")
	}
	words := title.FindStringSubmatch(t.Sources[0])
	t.Region, t.Date, t.Sources = words[1], words[2], t.Sources[1:]
	t.Types, err = readRows(text)
	return t, err
}

// readRows reads the rows below the head.
func readRows(text []byte) ([]Type, error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment = '#'
	names, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	place := make([]int, len(columns))
	for i, column := range columns {
		if place[i] = slices.Index(names, column.name); place[i] < 0 {
			return nil, fmt.Errorf("read catalogue: the column %s is missing", column.name)
		}
	}
	var types []Type
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return types, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read catalogue: %w", err)
		}
		t := Type{}
		for i, column := range columns {
			if err := column.read(&t, fields[place[i]]); err != nil {
				return nil, fmt.Errorf("read catalogue: %s: %w", fields[0], err)
			}
		}
		if family, size, _ := strings.Cut(t.Name, "."); len(family) < 2 || size == "" {
			return nil, fmt.Errorf("read catalogue: the type %q is no FAMILY.SIZE such as t3.large", t.Name)
		}
		types = append(types, t)
	}
}

// Write writes a table as a file that [Read] reads and that can be built into the program.
func (t *Table) Write(to io.Writer) error {
	out := bufio.NewWriter(to)
	fmt.Fprintln(out, "#", t.Title())
	for _, line := range t.Sources {
		fmt.Fprintln(out, "#", line)
	}
	w := csv.NewWriter(out)
	fields := make([]string, len(columns))
	for i, column := range columns {
		fields[i] = column.name
	}
	_ = w.Write(fields) // Flush tells
	for i := range t.Types {
		for k, column := range columns {
			fields[k] = column.write(&t.Types[i])
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
