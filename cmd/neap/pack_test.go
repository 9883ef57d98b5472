package main

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	exampleTasks = "../../docs/examples/tasks.csv"
	exampleTypes = "../../docs/examples/types.csv"
)

// tables writes the two tables of a test and returns the flags that name them.
func tables(t *testing.T, tasks, types string) []string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"pack"}
	for _, f := range [...]struct{ name, content string }{{"tasks", tasks}, {"types", types}} {
		path := filepath.Join(dir, f.name+".csv")
		if err := os.WriteFile(path, []byte(f.content), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--"+f.name, path)
	}
	return args
}

const (
	fewTasks = "id,cpu_units,memory_mib\na,512,1024\nb,1024,2048\n"
	fewTypes = "name,vcpus,memory_mib,price_per_hour\nsmall,2,4096,0.1\nlarge,8,16384,0.36\n"
)

// packed is the JSON form, as a reader of it would declare it.
type packed struct {
	Cost       float64 `json:"cost_per_hour"`
	LowerBound float64 `json:"lower_bound_per_hour"`
	Gap        float64
	Instances  []struct {
		Type  string
		Count int
	}
	Unplaced []struct {
		ID        string
		Count     int
		Why       string
		Nearest   string
		Shortfall string
	}
	Elapsed    *float64 `json:"elapsed_ms"`
	Placements []struct {
		ID       string
		Number   int
		Instance string
		Type     string
	}
}

func decodePacked(t *testing.T, out string) packed {
	t.Helper()
	var p packed
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || p.Elapsed == nil {
		t.Fatalf("%v:\n%.2000s", err, out)
	}
	return p
}

// TestPackExamples pins what a person sees of the example files in every form.
func TestPackExamples(t *testing.T) {
	svg := filepath.Join(t.TempDir(), "packing.svg")
	for name, args := range map[string][]string{
		"pack.txt":            {"--svg", svg},
		"pack.json":           {"-o", "json"},
		"pack.csv":            {"-o", "csv"},
		"pack-placements.csv": {"-o", "csv", "--placements"},
	} {
		out, errs, code := neap(t, append([]string{"pack", "--tasks", exampleTasks, "--types", exampleTypes}, args...)...)
		if code != 0 || errs != "" {
			t.Fatalf("%s: code %d: %s", name, code, errs)
		}
		out = regexp.MustCompile(`"elapsed_ms": [0-9.]+`).ReplaceAllString(out, `"elapsed_ms": 0`)
		out = regexp.MustCompile(`in [0-9.]+ m?s at`).ReplaceAllString(out, `in 0 ms at`)
		compareGolden(t, name, out)
	}
	picture, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "pack.svg", string(picture))
	wellFormed(t, picture)
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s changed; read it, then run with -update\ngot:\n%.3000s", name, got)
	}
}

func wellFormed(t *testing.T, document []byte) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(string(document))); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the picture is not well-formed: %v", err)
		}
	}
}

// TestPackBadInput: the place, the field, the value and the remedy; nothing is packed.
func TestPackBadInput(t *testing.T) {
	const tasksHead, typesHead = "id,cpu_units,memory_mib,gpus,count\n", "name,vcpus,memory_mib,price_per_hour,gpus\n"
	typ := func(row string) []string { return []string{fewTasks, typesHead + row + "\n"} }
	task := func(row string) []string { return []string{tasksHead + row + "\n", fewTypes} }
	for label, test := range map[string]struct {
		tables []string
		says   string
	}{
		"no CPU":               {task("a,0,512,,"), `tasks.csv:2: cpu_units: "0": use at least 1`},
		"negative memory":      {task("a,1,-512,,"), `tasks.csv:2: memory_mib: "-512": use at least 1`},
		"no number":            {task("a,many,512,,"), `tasks.csv:2: cpu_units: "many": use a whole number`},
		"half a unit":          {task("a,0.5,512,,"), `cpu_units: "0.5": use a whole number`},
		"NaN":                  {task("a,NaN,512,,"), `cpu_units: "NaN": use a whole number`},
		"overflow":             {task("a,99999999999999999999,512,,"), `cpu_units: "99999999999999999999": use at most 1073741824`},
		"infinite":             {task("a,1,Inf,,"), `memory_mib: "Inf": use at most`},
		"negative overflow":    {task("a,-99999999999999999999,512,,"), `use at least 1`},
		"negative GPUs":        {task("a,1,512,-1,"), `gpus: "-1": use at least 0`},
		"no tasks of a row":    {task("a,1,512,,0"), `count: "0": use at least 1`},
		"too many tasks":       {task("a,1,512,,9999999\nb,1,512,,2"), `tasks.csv:3: more than 10000000 tasks`},
		"no ID":                {task(" ,1,512,,"), `tasks.csv:2: id: ""`},
		"ID twice":             {task("a,1,512,,\nb,1,512,,\na,2,512,,"), `tasks.csv:4: id: "a": row 1 has it as well`},
		"ragged":               {task("a,1,512"), `tasks.csv:2: 3 fields where the header has 5`},
		"ragged after quotes":  {task("\"a\nb\",1,512,,\nc,1"), `tasks.csv:4: 2 fields`},
		"bare quote":           {task("a\"b,1,512,,"), `tasks.csv:2: column 2: bare "`},
		"no rows":              {[]string{tasksHead, fewTypes}, `tasks.csv: there are no tasks below the header`},
		"empty":                {[]string{"", fewTypes}, `tasks.csv: the table is empty; begin it with the columns id,cpu_units,memory_mib`},
		"column missing":       {[]string{"id,cpu,memory_mib\na,1,1\n", fewTypes}, `tasks.csv:1: column cpu_units is missing; the columns are "id,cpu,memory_mib"`},
		"column twice":         {[]string{"id,cpu_units,memory_mib,ID\na,1,1,b\n", fewTypes}, `column id is there twice`},
		"semicolons":           {[]string{"id;cpu_units;memory_mib\na;1;1\n", fewTypes}, `separated by commas`},
		"UTF-16":               {[]string{"\xff\xfei\x00d\x00", fewTypes}, `save it as UTF-8`},
		"price of nothing":     {typ("m,2,4096,0,"), `types.csv:2: price_per_hour: "0": use a price above 0`},
		"negative price":       {typ("m,2,4096,-0.1,"), `price_per_hour: "-0.1": use a price above 0`},
		"price is NaN":         {typ("m,2,4096,NaN,"), `price_per_hour: "NaN": use a number of US dollars`},
		"price is infinite":    {typ("m,2,4096,Inf,"), `use at most 100000 dollars`},
		"price overflows":      {typ("m,2,4096,1e999,"), `use at most 100000 dollars`},
		"price with a sign":    {typ("m,2,4096,$0.10,"), `price_per_hour: "$0.10": use a number of US dollars`},
		"price below a unit":   {typ("m,2,4096,0.0000001,"), `rounds to nothing`},
		"no price":             {typ("m,2,4096,,"), `price_per_hour: "": use a number`},
		"type without CPU":     {typ("m,0,4096,0.1,"), `vcpus: "0": use at least 1`},
		"type without memory":  {typ("m,2,0,0.1,"), `memory_mib: "0": use at least 1`},
		"type of overflow":     {typ("m,9223372036854775807,4096,0.1,"), `vcpus: "9223372036854775807": use at most 1048576`},
		"type without a name":  {typ(",2,4096,0.1,"), `types.csv:2: name: ""`},
		"type twice":           {typ("m,2,4096,0.1,\nm,4,4096,0.2,"), `types.csv:3: name: "m": line 2 has it as well`},
		"no types":             {[]string{fewTasks, typesHead}, `types.csv: there are no types below the header`},
		"types without prices": {[]string{fewTasks, "name,vcpus,memory_mib\nm,2,4096\n"}, `types.csv:1: column price_per_hour is missing`},
	} {
		t.Run(label, func(t *testing.T) {
			out, errs, code := neap(t, tables(t, test.tables[0], test.tables[1])...)
			if code != exitInput || out != "" || !strings.Contains(errs, test.says) {
				t.Errorf("code %d, want %d, saying %q\n%s%s", code, exitInput, test.says, out, errs)
			}
		})
	}
	good := slices.Clip(tables(t, fewTasks, fewTypes))
	for says, args := range map[string][]string{
		"--effort must be one of":            append(good, "--effort", "extreme"),
		"--output must be one of":            append(good, "-o", "xml"),
		"missing flags: --tasks=FILE":        {"pack", "--types", exampleTypes},
		"--tasks: open none.csv: no such":    {"pack", "--tasks", "none.csv", "--types", exampleTypes},
		"only one of them can be read":       {"pack", "--tasks", "-", "--types", "-"},
		"--svg: open " + t.TempDir() + "/no": append(good, "--svg", t.TempDir()+"/no/such.svg"),
	} {
		_, errs, code := neap(t, args...)
		if says, _, _ = strings.Cut(says, "/"); code == 0 || !strings.Contains(errs, says) {
			t.Errorf("%v: code %d, want it to say %q: %s", args, code, says, errs)
		}
	}
}

// TestPackTolerates: what spreadsheets and other programs make of a table.
func TestPackTolerates(t *testing.T) {
	want, _, _ := neap(t, append(tables(t, fewTasks, fewTypes), "-o", "csv", "--placements")...)
	for label, pair := range map[string][]string{
		"another order":        {"memory_mib,id,cpu_units\n1024,a,512\n2048,b,1024\n", "price_per_hour,vcpus,name,memory_mib\n0.1,2,small,4096\n0.36,8,large,16384\n"},
		"byte order mark":      {"\ufeff" + fewTasks, "\ufeff" + fewTypes},
		"CRLF":                 {strings.ReplaceAll(fewTasks, "\n", "\r\n"), strings.ReplaceAll(fewTypes, "\n", "\r\n")},
		"space and capitals":   {"ID, CPU_Units, Memory_MiB\na, 512, 1024\nb , 1024 , 2048\n", fewTypes},
		"whole floats":         {"id,cpu_units,memory_mib\na,512.0,1024.0\nb,1024.0,2.048e3\n", fewTypes},
		"blank lines":          {"id,cpu_units,memory_mib\n\na,512,1024\n\nb,1024,2048\n\n", fewTypes},
		"further columns":      {"id,team,cpu_units,memory_mib\na,x,512,1024\nb,y,1024,2048\n", strings.NewReplacer("name", "family,name", "small", "s,small", "large", "l,large").Replace(fewTypes)},
		"empty optional cells": {"id,cpu_units,memory_mib,gpus,count\na,512,1024,,\nb,1024,2048,,\n", fewTypes},
		"no newline at end":    {strings.TrimSpace(fewTasks), strings.TrimSpace(fewTypes)},
	} {
		out, errs, code := neap(t, append(tables(t, pair[0], pair[1]), "-o", "csv", "--placements")...)
		if code != 0 || out != want {
			t.Errorf("%s: code %d: %s\ngot:\n%s\nwant:\n%s", label, code, errs, out, want)
		}
		if ignores := strings.Contains(errs, "these columns are ignored: team"); ignores != (label == "further columns") {
			t.Errorf("%s: says %q", label, errs)
		}
	}
	args := tables(t, "", fewTypes)
	out, errs, code := neapWith(t.Context(), fewTasks, append([]string{"pack", "--tasks", "-", "-o", "csv", "--placements"}, args[3:]...)...)
	if code != 0 || out != want {
		t.Errorf("standard input: code %d: %s\n%s", code, errs, out)
	}
}

// TestPackUnplaced: tasks that fit no type are told one by one, and the exit code says so.
func TestPackUnplaced(t *testing.T) {
	args := tables(t, "id,cpu_units,memory_mib,gpus,count\na,512,1024,,\nhuge,1024,65536,,3\nvision,1024,1024,1,\n", fewTypes)
	out, errs, code := neap(t, append(args, "-o", "json", "--placements")...)
	got := decodePacked(t, out)
	if code != exitFailed || !strings.Contains(errs, "4 tasks not placed: larger than every type") {
		t.Errorf("code %d: %s", code, errs)
	}
	if len(got.Unplaced) != 2 || len(got.Placements) != 1 || got.Cost != 0.1 {
		t.Fatalf("%s", out)
	}
	if u := got.Unplaced[0]; u.ID != "huge" || u.Count != 3 || u.Why != "too-large" || u.Nearest != "large" || u.Shortfall != "memory: needs 65536 MiB, 16384 in all" {
		t.Errorf("%+v", u)
	}
	if u := got.Unplaced[1]; u.ID != "vision" || u.Shortfall != "GPU: needs 1 GPUs, 0 in all" {
		t.Errorf("%+v", u)
	}
	out, _, _ = neap(t, args...)
	for _, want := range []string{"NOT PLACED", "huge", "too-large", "1 task of 3 sizes packed into 1 instance of 1 type"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table does not say %q:\n%s", want, out)
		}
	}
	out, _, code = neap(t, append(tables(t, "id,cpu_units,memory_mib\nhuge,1024,65536\n", fewTypes), "-o", "json", "--svg", filepath.Join(t.TempDir(), "x.svg"))...)
	if got := decodePacked(t, out); code != exitFailed || got.Cost != 0 || got.Gap != 0 || len(got.Instances) != 0 {
		t.Errorf("code %d: %s", code, out)
	}
}

// TestPackHolds: whatever the table, no instance is over-filled, every task is somewhere or
// told of, the sums are right, the bound is below the cost, and order does not matter.
func TestPackHolds(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 4))
		sizes := 1 + rng.IntN(40)
		if seed%20 == 19 {
			sizes = 3 * mostSizes // more than the solver is given
		}
		var rows []string
		type size struct{ cpu, memory, count int }
		tasks := map[string]size{}
		for i := range sizes {
			s := size{1 + rng.IntN(9000), 1 + rng.IntN(40_000), 1 + rng.IntN(5)}
			id := fmt.Sprintf("task-%d", i)
			tasks[id] = s
			rows = append(rows, fmt.Sprintf("%s,%d,%d,%d\n", id, s.cpu, s.memory, s.count))
		}
		types, err := os.ReadFile(exampleTypes)
		if err != nil {
			t.Fatal(err)
		}
		const head = "id,cpu_units,memory_mib,count\n"
		args := []string{"--effort", "fast", "-o", "json", "--placements"}
		out, errs, code := neap(t, append(tables(t, head+strings.Join(rows, ""), string(types)), args...)...)
		if code != 0 {
			t.Fatalf("seed %d: code %d: %s", seed, code, errs)
		}
		got := decodePacked(t, out)
		room, price := exampleRooms(t, string(types))
		used, left := map[string][2]int{}, map[string]int{}
		cost := 0.0
		for _, i := range got.Instances {
			cost += float64(i.Count) * price[i.Type]
		}
		for _, p := range got.Placements {
			left[p.ID]++
			u := used[p.Instance]
			used[p.Instance] = [2]int{u[0] + tasks[p.ID].cpu, u[1] + tasks[p.ID].memory}
			if r := room[p.Type]; used[p.Instance][0] > r[0] || used[p.Instance][1] > r[1] {
				t.Fatalf("seed %d: %s is over-filled", seed, p.Instance)
			}
		}
		for id, s := range tasks {
			if left[id] != s.count {
				t.Fatalf("seed %d: %d of %d tasks %s are placed", seed, left[id], s.count, id)
			}
		}
		if got.LowerBound > got.Cost || got.LowerBound <= 0 || got.Gap < 0 || cost-got.Cost > 1e-6 || got.Cost-cost > 1e-6 {
			t.Fatalf("seed %d: cost %v (sum of prices %v), bound %v, gap %v", seed, got.Cost, cost, got.LowerBound, got.Gap)
		}
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		out, _, _ = neap(t, append(tables(t, head+strings.Join(rows, ""), string(types)), args...)...)
		if again := decodePacked(t, out); again.Cost != got.Cost || again.LowerBound != got.LowerBound {
			t.Fatalf("seed %d: another order of the rows costs %v, not %v", seed, again.Cost, got.Cost)
		}
	}
}

func exampleRooms(t *testing.T, types string) (room map[string][2]int, price map[string]float64) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(types)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	room, price = map[string][2]int{}, map[string]float64{}
	for _, r := range rows[1:] {
		vcpus, _ := strconv.Atoi(r[1])
		memory, _ := strconv.Atoi(r[2])
		room[r[0]] = [2]int{1024 * vcpus, memory}
		price[r[0]], _ = strconv.ParseFloat(r[3], 64)
	}
	return room, price
}

// TestPackMillionRows: a large table takes seconds, and every row keeps its identity.
func TestPackMillionRows(t *testing.T) {
	rows := 1_000_000
	if testing.Short() {
		rows = 50_000
	}
	var b strings.Builder
	b.WriteString("id,cpu_units,memory_mib\n")
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range rows {
		fmt.Fprintf(&b, "task-%d,%d,%d\n", i, 128*(1+rng.IntN(16)), 256*(1+rng.IntN(16)))
	}
	dir := t.TempDir()
	svg := filepath.Join(dir, "large.svg")
	out, errs, code := neapWith(t.Context(), b.String(), "pack", "--tasks", "-", "--types", exampleTypes, "--effort", "fast", "-o", "csv", "--placements", "--svg", svg)
	if code != 0 || strings.Count(out, "\n") != rows+1 {
		t.Fatalf("code %d, %d lines: %s", code, strings.Count(out, "\n"), errs)
	}
	picture, err := os.ReadFile(svg)
	if err != nil || len(picture) > 8<<20 {
		t.Errorf("a picture of %d bytes: %v", len(picture), err)
	}
	wellFormed(t, picture)
}

// TestPackHostileNames: what is in a table stays text in every form.
func TestPackHostileNames(t *testing.T) {
	svg := filepath.Join(t.TempDir(), "x.svg")
	args := tables(t, "id,cpu_units,memory_mib\n\"</text><script>\x1b[2J\",512,1024\n", "name,vcpus,memory_mib,price_per_hour\n\"<b>&\x07\xff\",2,4096,0.1\n")
	for _, form := range []string{"table", "json", "csv"} {
		out, errs, code := neap(t, append(args, "-o", form, "--placements", "--svg", svg)...)
		if code != 0 || form == "table" && strings.ContainsAny(out, "\x1b\x07") {
			t.Errorf("%s: code %d: %s\n%q", form, code, errs, out)
		}
	}
	picture, err := os.ReadFile(svg)
	if err != nil || strings.Contains(string(picture), "<b>") {
		t.Errorf("%v: %s", err, picture)
	}
	wellFormed(t, picture)
}

func TestIDTable(t *testing.T) {
	ids := newIDTable()
	for i := range 5000 {
		if at, fresh := ids.add(strconv.Itoa(i % 3000)); at != i%3000 || fresh != (i < 3000) {
			t.Fatalf("%d: number %d, fresh %v", i, at, fresh)
		}
	}
	if ids.at(0) != "0" || ids.at(2999) != "2999" {
		t.Errorf("%q, %q", ids.at(0), ids.at(2999))
	}
}

func TestPackHelp(t *testing.T) {
	for _, command := range [][]string{{"pack"}, {"explain", "service"}, {"explain", "launch"}} {
		out, errs, code := neap(t, append(command, "--help")...)
		if code != 0 || errs != "" || !strings.Contains(out, "Examples:\n\n    neap "+strings.Join(command, " ")+" ") {
			t.Errorf("%v: code %d\n%s%s", command, code, out, errs)
		}
	}
}
