package catalogue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// column is a column of the file: how a field is written and read.
type column struct {
	name  string
	write func(*Type) string
	read  func(*Type, string) error
}

// columns are the columns in their order.
var columns = []column{
	textColumn("type", func(t *Type) *string { return &t.Name }),
	numberColumn("vcpus", func(t *Type) *int64 { return &t.VCPUs }),
	numberColumn("memory_mib", func(t *Type) *int64 { return &t.MemoryMiB }),
	textColumn("architecture", func(t *Type) *string { return &t.Architecture }, "x86_64", "arm64"),
	numberColumn("gpus", func(t *Type) *int64 { return &t.GPUs }),
	textColumn("gpu_name", func(t *Type) *string { return &t.GPUName }),
	numberColumn("gpu_memory_mib", func(t *Type) *int64 { return &t.GPUMemoryMiB }),
	numberColumn("local_gb", func(t *Type) *int64 { return &t.LocalGB }),
	numberColumn("network_mbps", func(t *Type) *int64 { return &t.NetworkMbps }),
	choiceColumn("metal", "false", "true", func(t *Type) *bool { return &t.Metal }),
	choiceColumn("burstable", "false", "true", func(t *Type) *bool { return &t.Burstable }),
	textColumn("hypervisor", func(t *Type) *string { return &t.Hypervisor }, "nitro", "xen", ""),
	choiceColumn("generation", "current", "previous", func(t *Type) *bool { return &t.Previous }),
	numberColumn("enis", func(t *Type) *int64 { return &t.ENIs }),
	numberColumn("task_enis", func(t *Type) *int64 { return &t.TaskENIs }),
	numberColumn("trunk_task_enis", func(t *Type) *int64 { return &t.TrunkTasks }),
	numberColumn("on_demand", func(t *Type) *int64 { return (*int64)(&t.OnDemand) }),
	numberColumn("spot", func(t *Type) *int64 { return (*int64)(&t.Spot) }),
	textColumn("interrupted", func(t *Type) *string { return &t.Interrupted }, "", "<5%", "5-10%", "10-15%", "15-20%", ">20%"),
	{
		"zones",
		func(t *Type) string { return strings.Join(t.Zones, " ") },
		func(t *Type, s string) error {
			t.Zones = append([]string(nil), strings.Fields(s)...)
			return nil
		},
	},
}

func textColumn(name string, field func(*Type) *string, choices ...string) column {
	return column{
		name,
		func(t *Type) string { return *field(t) },
		func(t *Type, s string) error {
			if *field(t) = s; len(choices) > 0 && !slices.Contains(choices, s) {
				return fmt.Errorf("%s %q is none of %q", name, s, choices)
			}
			return nil
		},
	}
}

func numberColumn(name string, field func(*Type) *int64) column {
	return column{
		name,
		func(t *Type) string { return strconv.FormatInt(*field(t), 10) },
		func(t *Type, s string) error {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < 0 {
				return fmt.Errorf("%s %q is no number of 0 or more", name, s)
			}
			*field(t) = n
			return nil
		},
	}
}

func choiceColumn(name, no, yes string, field func(*Type) *bool) column {
	return column{
		name,
		func(t *Type) string {
			if *field(t) {
				return yes
			}
			return no
		},
		func(t *Type, s string) error {
			if *field(t) = s == yes; s != yes && s != no {
				return fmt.Errorf("%s %q is neither %s nor %s", name, s, no, yes)
			}
			return nil
		},
	}
}
