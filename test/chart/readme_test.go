package chart_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the chart's README.md anew")

const chart = "../../deploy/helm/neap/"

var valueLine = regexp.MustCompile(`^( *)([A-Za-z]+):(.*)$`)

// TestReadme: the chart's page lists every value with its default and what its comment says.
func TestReadme(t *testing.T) {
	values, err := os.ReadFile(chart + "values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(chart + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin = "| value | default | meaning |\n| --- | --- | --- |\n"
	head, table, ok := strings.Cut(string(page), begin)
	if !ok {
		t.Fatalf("the page has no table:\n%s", page)
	}
	want := tableOf(string(values))
	if *update {
		if err := os.WriteFile(chart+"README.md", []byte(head+begin+want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want {
		t.Errorf("the page does not list the values as they are; run go test ./test/chart -update\ngot:\n%s\nwant:\n%s", table, want)
	}
}

// tableOf lists the values of a file in which a comment that begins with "-- " tells of the next one.
// The services have the same values, which are listed once.
func tableOf(values string) string {
	var table strings.Builder
	var path, comment []string
	for line := range strings.Lines(values) {
		text := strings.TrimSpace(line)
		if about, ok := strings.CutPrefix(text, "# -- "); ok {
			comment = []string{about}
			continue
		}
		if more, ok := strings.CutPrefix(text, "# "); ok && len(comment) > 0 {
			comment = append(comment, more)
			continue
		}
		m := valueLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			comment = nil
			continue
		}
		path = append(path[:len(m[1])/2], m[2])
		value, about := strings.TrimSpace(m[3]), strings.Join(comment, " ")
		comment = nil
		name := strings.Join(path, ".")
		if path[0] == "services" && len(path) > 1 {
			if path[1] != "watcher" {
				continue
			}
			name = strings.Replace(name, "watcher", "SERVICE", 1)
		}
		if value != "" {
			fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", name, value, about)
		}
	}
	return table.String()
}
