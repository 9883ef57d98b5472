package neap_test

import (
	"flag"
	"fmt"
	"go/ast"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/adapters/cloud/awssim"
	"github.com/neap-project/neap/libs/fleet/sim"
)

var update = flag.Bool("update", false, "rewrite what docs/simulated-aws.md takes from the code")

// simulatedAWS is the page about the simulated AWS.
const simulatedAWS = "docs/simulated-aws.md"

var (
	testName      = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	checklistTest = regexp.MustCompile(`^TestChecklist([0-9]{2})`)
)

// checklistItems is how many items the checklist of the simulation has.
const checklistItems = 12

// checklist compares the table of the simulated behaviours with the tests that show them.
func checklist(t *tree) (found []string) {
	page, there := t.texts[simulatedAWS]
	if !there {
		return nil
	}
	tests := map[string]ast.Node{}
	for _, f := range t.files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				tests[fn.Name.Name] = fn
			}
		}
	}
	named := map[string]bool{}
	items := map[string]bool{}
	for number, line := range strings.Split(string(page), "\n") {
		for _, m := range testName.FindAllStringSubmatch(line, -1) {
			named[m[1]] = true
			if tests[m[1]] == nil {
				found = append(found, fmt.Sprintf("%s:%d: there is no test %s", simulatedAWS, number+1, m[1]))
			}
			if item := checklistTest.FindStringSubmatch(m[1]); item != nil {
				items[item[1]] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		if checklistTest.MatchString(name) && !named[name] {
			found = append(found, t.at(tests[name], "%s is not in the checklist of %s", name, simulatedAWS))
		}
	}
	for n := 1; n <= checklistItems; n++ {
		if item := fmt.Sprintf("%02d", n); !items[item] {
			found = append(found, fmt.Sprintf("%s: no test shows item %s of the checklist", simulatedAWS, item))
		}
	}
	return found
}

// TestSimulatedAWSPage: what the page takes from the code is what the code says.
func TestSimulatedAWSPage(t *testing.T) {
	text, err := os.ReadFile(simulatedAWS)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, part := range []struct{ name, want string }{
		{"operations", operationsTable()},
		{"language", languageBlock(t)},
	} {
		begin, end := "<!-- "+part.name+": from the code, by go test . -update -->\n", "<!-- /"+part.name+" -->"
		head, rest, ok := strings.Cut(page, begin)
		shown, tail, closed := strings.Cut(rest, end)
		switch {
		case !ok || !closed:
			t.Errorf("%s has no part between %q and %q", simulatedAWS, begin, end)
		case *update:
			page = head + begin + part.want + end + tail
		case shown != part.want:
			t.Errorf("%s: %s differ from the code: run go test . -update", simulatedAWS, part.name)
		}
	}
	if *update {
		if err := os.WriteFile(simulatedAWS, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// operationsTable lists the operations that are simulated.
func operationsTable() string {
	var b strings.Builder
	b.WriteString("| service | operations |\n|---|---|\n")
	all := awssim.Operations()
	for _, service := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "| %s | %s |\n", service, strings.Join(all[service], ", "))
	}
	return b.String()
}

// languageBlock is the reference of the script language: what the comment of sim.Script
// holds of it.
func languageBlock(t *testing.T) string {
	t.Helper()
	const file = "libs/fleet/sim/script.go"
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := newTree(map[string][]byte{file: source})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range repo.files[0].Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Doc == nil || g.Specs[0].(*ast.TypeSpec).Name.Name != "Script" {
			continue
		}
		for line := range strings.Lines(g.Doc.Text()) {
			if syntax, ok := strings.CutPrefix(line, "\t"); ok {
				lines = append(lines, syntax)
			}
		}
		break
	}
	if len(lines) == 0 {
		t.Fatalf("%s: the comment of Script lists no statements", file)
	}
	return "\n```text\n" + strings.Join(lines, "") + "```\n\n"
}

// TestStatementExamples runs the scripts that the page shows, and misses none of the
// statements among them, nor in the list of them.
func TestStatementExamples(t *testing.T) {
	page, err := os.ReadFile(simulatedAWS)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```neap\n(.*?)```").FindAllSubmatch(page, -1) {
		text := string(block[1])
		world, err := sim.New(sim.Config{})
		if err != nil {
			t.Fatal(err)
		}
		script, err := sim.ParseScript(text)
		if err != nil {
			t.Errorf("%v in the example\n%s", err, text)
			continue
		}
		if err := script.Run(world); err != nil {
			t.Errorf("%v in the example\n%s", err, text)
		}
		world.Advance(world.Now().Add(script.Length()))
		for _, err := range world.ScriptErrors() {
			t.Errorf("%v in the example\n%s", err, text)
		}
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			if len(words) > 2 && words[0] == "at" {
				words = words[2:]
			}
			if len(words) > 0 {
				shown[words[0]] = true
			}
		}
	}
	language := languageBlock(t)
	for _, name := range sim.Statements() {
		if !shown[name] {
			t.Errorf("%s shows no example of the statement %q", simulatedAWS, name)
		}
		if !strings.Contains(language, "\n"+name+" ") {
			t.Errorf("the comment of sim.Script does not list the statement %q", name)
		}
	}
}

// TestSideDoorPaths: the page names every path beside those of AWS.
func TestSideDoorPaths(t *testing.T) {
	page, err := os.ReadFile(simulatedAWS)
	if err != nil {
		t.Fatal(err)
	}
	world, err := sim.New(sim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	awssim.New(world, awssim.Options{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/_neap/", http.NoBody))
	paths := regexp.MustCompile(`/_neap/\S+`).FindAllString(answer.Body.String(), -1)
	if len(paths) == 0 {
		t.Fatalf("no paths are listed: %s", answer.Body)
	}
	for _, path := range paths {
		if !strings.Contains(string(page), "`"+path+"`") {
			t.Errorf("%s does not name %s", simulatedAWS, path)
		}
	}
}
