// Command genconstraints writes the constraints that AWS's public API models put on
// requests as the text that package awssim embeds: which members are required, how long
// texts and lists may be, what values there are.
//
//	go run ./genconstraints -models DIR > constraints.txt
//
// DIR is the folder data of botocore, whose service-2.json(.gz) files are the models.
package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sources are the models to read, and the beginnings of the names of the operations to
// take from them; none is all.
var sources = []struct {
	service, folder string
	operations      []string
}{
	{"ecs", "ecs/2014-11-13", nil},
	{"ssm", "ssm/2014-11-06", []string{"GetParameter"}},
	{"pricing", "pricing/2017-10-15", nil},
	{"events", "events/2015-10-07", []string{"PutRule", "DescribeRule", "EnableRule", "DisableRule", "DeleteRule", "ListRules", "PutTargets", "RemoveTargets", "ListTargetsByRule", "TestEventPattern", "PutEvents"}},
}

// model is what is read of a model.
type model struct {
	Operations map[string]struct {
		Input *struct{ Shape string }
	}
	Shapes map[string]*shape
}

// shape is a type of a model.
type shape struct {
	Type     string
	Required []string
	Members  map[string]struct{ Shape string }
	Member   struct{ Shape string }
	Enum     []string
	Min, Max *float64
}

func main() {
	models := flag.String("models", "", "folder data of botocore")
	flag.Parse()
	if err := run(os.Stdout, *models); err != nil {
		log.Fatal(err)
	}
}

func run(to io.Writer, models string) error {
	out := bufio.NewWriter(to)
	fmt.Fprintln(out, "# The constraints of requests, from the API models of AWS (botocore, Apache-2.0); written by genconstraints.")
	fmt.Fprintln(out, "# SERVICE OPERATION MEMBER required | length MIN MAX | range MIN MAX | enum VALUES; [] is each item of a list, - is no bound.")
	for _, s := range sources {
		m, err := read(filepath.Join(models, s.folder, "service-2.json"))
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(m.Operations)) {
			wanted := len(s.operations) == 0 || slices.ContainsFunc(s.operations, func(begin string) bool { return strings.HasPrefix(name, begin) })
			if input := m.Operations[name].Input; wanted && input != nil {
				m.write(out, s.service+" "+name+" ", "", input.Shape, nil)
			}
		}
	}
	return out.Flush()
}

// read reads a model, which may be compressed.
func read(file string) (*model, error) {
	var m model
	text, err := os.ReadFile(filepath.Clean(file))
	if err == nil {
		return &m, json.Unmarshal(text, &m)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.Open(filepath.Clean(file + ".gz"))
	if err != nil {
		return nil, fmt.Errorf("%w; -models is the folder data of botocore", err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &m, json.NewDecoder(unzipped).Decode(&m)
}

// write writes the constraints of a member and of those within it.
func (m *model) write(out io.Writer, begin, path, name string, above []string) {
	if slices.Contains(above, name) {
		return // a type that contains itself
	}
	above = append(slices.Clone(above), name)
	s := m.Shapes[name]
	switch {
	case len(s.Enum) > 0:
		fmt.Fprintf(out, "%s%s enum %s\n", begin, path, strings.Join(s.Enum, " "))
	case s.Min == nil && s.Max == nil || path == "":
	case s.Type == "integer" || s.Type == "long" || s.Type == "float" || s.Type == "double":
		fmt.Fprintf(out, "%s%s range %s %s\n", begin, path, bound(s.Min), bound(s.Max))
	default:
		fmt.Fprintf(out, "%s%s length %s %s\n", begin, path, bound(s.Min), bound(s.Max))
	}
	if path != "" {
		path += "."
	}
	for _, member := range s.Required {
		fmt.Fprintf(out, "%s%s%s required\n", begin, path, member)
	}
	for _, member := range slices.Sorted(maps.Keys(s.Members)) {
		m.write(out, begin, path+member, s.Members[member].Shape, above)
	}
	if s.Type == "list" {
		m.write(out, begin, strings.TrimSuffix(path, ".")+"[]", s.Member.Shape, above)
	}
}

func bound(b *float64) string {
	if b == nil {
		return "-"
	}
	return fmt.Sprint(int64(*b))
}
