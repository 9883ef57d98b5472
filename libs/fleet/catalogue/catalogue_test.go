package catalogue

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// TestCatalogueIsBroad: the catalogue has several hundred real types of all kinds, with
// shapes and prices that can be right.
func TestCatalogueIsBroad(t *testing.T) {
	table, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	types := table.Types
	if len(types) < 1000 {
		t.Errorf("only %d types", len(types))
	}
	if table.Region != "us-east-1" || !strings.HasPrefix(table.Date, "2026-") || len(table.Sources) < 2 {
		t.Errorf("region %q, date %q, sources %q", table.Region, table.Date, table.Sources)
	}
	families := map[string]bool{}
	for i, typ := range types {
		family, _, _ := strings.Cut(typ.Name, ".")
		families[family] = true
		switch {
		case i > 0 && types[i-1].Name >= typ.Name:
			t.Errorf("%s is out of order", typ.Name)
		case typ.VCPUs < 1 || typ.MemoryMiB < 500 || typ.ENIs < 1 || typ.TaskENIs < 0 || typ.TaskENIs >= typ.ENIs:
			t.Errorf("%s has an impossible shape: %+v", typ.Name, typ)
		case typ.OnDemand <= 0 || typ.Spot < 0 || typ.Spot > typ.OnDemand:
			t.Errorf("%s costs %d, spot %d", typ.Name, typ.OnDemand, typ.Spot)
		case (typ.GPUs > 0) != (typ.GPUName != "") || (typ.GPUs > 0) != (typ.GPUMemoryMiB > 0):
			t.Errorf("%s has %d GPUs %q of %d MiB", typ.Name, typ.GPUs, typ.GPUName, typ.GPUMemoryMiB)
		case typ.Metal != (typ.Hypervisor == ""):
			t.Errorf("%s: metal %v, hypervisor %q", typ.Name, typ.Metal, typ.Hypervisor)
		}
	}
	for _, family := range strings.Fields("a1 c3 c4 c5 c5d c6gd c7g c8g d2 d3 g4dn g5 g6e h1 hpc7g i3 i4i inf1 inf2 m1 m4 m5 m6idn m7i-flex m8g p3 p4d p5 r4 r7iz t2 t3 t4g trn1 u7i-12tb vt1 x1 x2idn z1d") {
		if !families[family] {
			t.Errorf("family %s is missing", family)
		}
	}
}

// TestCatalogueFile: what is written can be read, and bad files have errors that say where.
func TestCatalogueFile(t *testing.T) {
	table, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	if err := table.Write(&written); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written.Bytes(), file) {
		t.Error("the table that is built in is not as Write writes it")
	}
	types := table.Types[:2]
	types[0].Zones = []string{"a", "c"}
	table.Types, table.Date = types, "2026-07-31"
	written.Reset()
	if err := table.Write(&written); err != nil {
		t.Fatal(err)
	}
	text := written.String()
	again, err := Read(&written)
	if err != nil || !reflect.DeepEqual(again, table) {
		t.Errorf("read again: %v\n%+v\n%+v", err, again, table)
	}
	if whole, err := Embedded(); err != nil || len(whole.Types[0].Zones) > 0 {
		t.Errorf("a caller has changed the table that is built in: %v", err)
	}
	for old, change := range map[string]struct{ to, want string }{
		"vcpus,":      {"cpus,", "column vcpus is missing"},
		types[0].Name: {"a1", `"a1" is no FAMILY.SIZE`},
		",arm64,":     {",mips,", `architecture "mips" is none of`},
		",nitro,":     {",kvm,", `hypervisor "kvm"`},
		",previous,":  {",next,", `generation "next"`},
		",false,":     {",no,", `metal "no"`},
		",0,":         {",-1,", `"-1" is no number`},
		"a c":         {"a c,d", "wrong number of fields"},
		"us-east-1, ": {"us-east-1 of ", "the first line is not"},
	} {
		bad := strings.Replace(text, old, change.to, 1)
		if _, err := Read(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s for %s: %v, want it to say %s", change.to, old, err, change.want)
		}
	}
	if _, err := Read(strings.NewReader("# Instance types of EC2 in us-east-1, 2026-07\n")); err == nil {
		t.Error("an empty file was read")
	}
}
