package sim

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// TestCatalogueIsBroad: the catalogue has several hundred real types of all kinds, with
// shapes and prices that can be right.
func TestCatalogueIsBroad(t *testing.T) {
	types, head, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	if len(types) < 1000 {
		t.Errorf("only %d types", len(types))
	}
	if text := strings.Join(head, " "); !strings.Contains(text, "us-east-1") || !strings.Contains(text, "2026") {
		t.Errorf("the head does not tell region and date: %s", text)
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
	types, head, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := WriteCatalogue(&file, head, types); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file.Bytes(), catalogueCSV) {
		t.Error("the catalogue that is built in is not as WriteCatalogue writes it")
	}
	types[0].Zones = []string{"a", "c"}
	file.Reset()
	if err := WriteCatalogue(&file, head, types[:2]); err != nil {
		t.Fatal(err)
	}
	text := file.String()
	again, headAgain, err := ReadCatalogue(&file)
	if err != nil || !reflect.DeepEqual(headAgain, head) || !reflect.DeepEqual(again[0], types[0]) || len(again) != 2 {
		t.Errorf("read again: %v\n%+v\n%+v", err, again, headAgain)
	}
	if w := newType(&again[0]); w.soldIn("us-east-1b") || !w.soldIn("us-east-1c") {
		t.Error("zones that are known do not hold")
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
	} {
		bad := strings.Replace(text, old, change.to, 1)
		if _, _, err := ReadCatalogue(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s for %s: %v, want it to say %s", change.to, old, err, change.want)
		}
	}
	if _, _, err := ReadCatalogue(strings.NewReader("# head\n")); err == nil {
		t.Error("an empty file was read")
	}
}
