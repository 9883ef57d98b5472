package policyfile_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/policyfile"
	"github.com/neap-project/neap/libs/fleet"
)

const small = `
limits:
  maxInstances: 20
launchSpecs:
- name: default
  images: [ami-1]
  subnets: [subnet-a]
`

func TestRead(t *testing.T) {
	p, err := policyfile.Read("policy.yaml", []byte(small+`
  spotPercentage: 0
  userData: |
    #!/bin/bash
    echo hello
drain: {timeout: 90s}
dryRun: false
`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Limits.MaxInstances != 20 || time.Duration(p.Drain.Timeout) != 90*time.Second || *p.DryRun || p.ScaleDown.MaxPercentage != 10 {
		t.Errorf("got %+v", p)
	}
	if want := "#!/bin/bash\necho hello\n"; p.LaunchSpecs[0].UserData != want {
		t.Errorf("user data %q", p.LaunchSpecs[0].UserData)
	}
}

func TestReadRefuses(t *testing.T) {
	tests := map[string]struct{ document, says string }{
		"unknown key":        {small + "limts: {}\n", `policy.yaml:8:1: unknown key "limts"; did you mean "limits"?`},
		"unknown nested key": {strings.Replace(small, "images", "imags", 1), `policy.yaml:6:3: unknown key "imags"; did you mean "images"?`},
		"nothing like it":    {small + "colour: blue\n", `unknown key "colour"; neap policy schema lists`},
		"wrong type":         {strings.Replace(small, "20", "many", 1), "policy.yaml:3:17"},
		"key twice":          {small + "limits: {maxInstances: 3}\n", "policy.yaml:8:1"},
		"no YAML":            {"limits: [", "policy.yaml"},
		"empty":              {"", "holds 0 YAML documents"},
		"two documents":      {small + "---\n" + small, "holds 2 YAML documents"},
		"alias":              {"limits: &a {maxInstances: 3}\nheadroom: *a\n", "policy.yaml:2:11: aliases"},
		"bad duration":       {small + "drain: {timeout: 15}\n", "in quotes with a unit"},
		"bad value":          {strings.Replace(small, "20", "0", 1), "limits.maxInstances: 0; set"},
		"no subnet":          {strings.Replace(small, "  subnets: [subnet-a]\n", "", 1), "launchSpecs[0].subnets: none"},
		"too large":          {small + "#" + strings.Repeat("x", 1<<20), "at most"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := policyfile.Read("policy.yaml", []byte(test.document))
			if !errors.Is(err, fleet.ErrInvalid) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an invalid one saying %q", err, test.says)
			}
		})
	}
}

func TestWriteAndReadAgain(t *testing.T) {
	p, err := policyfile.Read("policy.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	document, err := policyfile.Write(&p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := policyfile.Read("again.yaml", document)
	if err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	if !reflect.DeepEqual(p, again) {
		t.Errorf("got %+v\nwant %+v\n%s", again, p, document)
	}
}

// TestWindows: the fields of a time of the week stand among those of what holds then, are
// read strictly, written and described.
func TestWindows(t *testing.T) {
	const document = small + `headroom:
  schedule:
  - {days: [mon], from: "07:45", to: "18:00", timeZone: Europe/Berlin, percentage: 20}
schedules:
  shutdown:
  - {days: [fri], from: "20:00", to: "07:00", toDay: mon}
`
	p, err := policyfile.Read("policy.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Headroom.Schedule[0]; w.TimeZone != "Europe/Berlin" || w.From != "07:45" || *w.Percentage != 20 {
		t.Errorf("read %+v", w)
	}
	written, err := policyfile.Write(&p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := policyfile.Read("again.yaml", written)
	if err != nil || !reflect.DeepEqual(p, again) {
		t.Errorf("%v: got %+v\nwant %+v\n%s", err, again, p, written)
	}
	_, err = policyfile.Read("policy.yaml", []byte(strings.Replace(document, "timeZone", "timezone", 1)))
	if err == nil || !strings.Contains(err.Error(), `unknown key "timezone"; did you mean "timeZone"?`) {
		t.Errorf("a misspelt key: %v", err)
	}
	schema, err := policyfile.Schema()
	if err != nil || strings.Contains(string(schema), "WeekWindow") || !strings.Contains(string(schema), "with its daylight saving time") {
		t.Errorf("the schema does not describe the fields of a window: %v", err)
	}
}

func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../../docs/examples/policy*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no example policies: %v", err)
	}
	for _, file := range files {
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := policyfile.Read(filepath.Base(file), document); err != nil {
			t.Error(err)
		}
	}
}

func TestSchema(t *testing.T) {
	b, err := policyfile.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct {
			Description string
			Properties  map[string]struct{ Description, Type string }
			Items       struct {
				Properties map[string]struct{ Description string }
			}
		}
		AdditionalProperties bool
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"limits.maxInstances": schema.Properties["limits"].Properties["maxInstances"].Description,
		"drain.timeout":       schema.Properties["drain"].Properties["timeout"].Description,
		"launchSpecs.subnets": schema.Properties["launchSpecs"].Items.Properties["subnets"].Description,
	} {
		if text == "" {
			t.Errorf("%s has no description", name)
		}
	}
	if got := schema.Properties["drain"].Properties["timeout"].Type; got != "string" {
		t.Errorf("a duration is a %q", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("limits: &a {maxInstances: 3}\nheadroom: *a\n"))
	f.Add([]byte("{{{{[[[["))
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := policyfile.Read("fuzz.yaml", document)
		if err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			t.Errorf("read an invalid policy: %v", err)
		}
	})
}

var update = flag.Bool("update", false, "rewrite the golden files")

// TestReference keeps docs/policy.md true.
func TestReference(t *testing.T) {
	const file = "../../../docs/policy.md"
	got := policyfile.Reference()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("docs/policy.md is out of date; run this test with -update")
	}
	if strings.Contains(string(got), "|  |") {
		t.Error("a field has no description")
	}
}
