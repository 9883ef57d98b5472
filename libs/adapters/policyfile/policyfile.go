// Package policyfile reads and writes policies as people keep them: YAML documents.
//
// Reading is strict. An unknown key, a key that stands twice or a value of the wrong type
// is an error with line and column, and an unknown key comes with the key that was
// probably meant. A document is small and has no aliases, so none can blow up.
package policyfile

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/neap-project/neap/libs/fleet"
)

// maxSize is far above any policy: 100 launch specs with full user data stay below it.
const maxSize = 1 << 20

// Read reads one policy, fills in the defaults and validates it. name is the file's name,
// for messages. The error is [fleet.ErrInvalid] and lists every problem found.
func Read(name string, document []byte) (fleet.Policy, error) {
	var none, p fleet.Policy
	if len(document) > maxSize {
		return none, fmt.Errorf("%w: %s: %d bytes; a policy has at most %d", fleet.ErrInvalid, name, len(document), maxSize)
	}
	file, err := parser.ParseBytes(document, 0)
	if err != nil {
		return none, explain(name, err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return none, fmt.Errorf("%w: %s: holds %d YAML documents; a policy is exactly one", fleet.ErrInvalid, name, documents(file))
	}
	if alias := findAlias(file.Docs[0].Body); alias != nil {
		return none, fmt.Errorf("%w: %s: aliases are not supported; write the value out", fleet.ErrInvalid, position(name, alias))
	}
	if err := yaml.NodeToValue(file.Docs[0].Body, &p, yaml.Strict(), yaml.UseJSONUnmarshaler()); err != nil {
		return none, explain(name, err)
	}
	p = p.WithDefaults()
	if err := p.Validate(); err != nil {
		return none, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// Write writes a policy as YAML, in the order of its fields.
func Write(p *fleet.Policy) ([]byte, error) {
	b, err := yaml.MarshalWithOptions(p, yaml.UseJSONMarshaler(), yaml.IndentSequence(false), yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		return nil, fmt.Errorf("write policy: %w", err)
	}
	return b, nil
}

func documents(file *ast.File) int {
	n := 0
	for _, doc := range file.Docs {
		if doc.Body != nil {
			n++
		}
	}
	return n
}

// aliasFinder visits nodes until it meets an alias or a merge key.
type aliasFinder struct{ found *token.Token }

// Visit implements [ast.Visitor].
func (f *aliasFinder) Visit(n ast.Node) ast.Visitor {
	if f.found != nil {
		return nil
	}
	if n.Type() == ast.AliasType || n.Type() == ast.MergeKeyType {
		f.found = n.GetToken()
		return nil
	}
	return f
}

func findAlias(body ast.Node) *token.Token {
	var f aliasFinder
	ast.Walk(&f, body)
	return f.found
}

// explain turns an error of the YAML library into one line that says where and what.
func explain(name string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) {
		return fmt.Errorf("%w: %s: %w", fleet.ErrInvalid, name, err)
	}
	message := at.GetMessage()
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		key := strings.Trim(strings.TrimPrefix(message, "unknown field "), `"`)
		message = fmt.Sprintf("unknown key %q", key)
		if meant := nearest(key); meant != "" {
			message += fmt.Sprintf("; did you mean %q?", meant)
		} else {
			message += "; neap policy schema lists the keys there are"
		}
	}
	return fmt.Errorf("%w: %s: %s", fleet.ErrInvalid, position(name, at.GetToken()), message)
}

func position(name string, t *token.Token) string {
	if t == nil || t.Position == nil {
		return name
	}
	return fmt.Sprintf("%s:%d:%d", name, t.Position.Line, t.Position.Column)
}

// nearest returns the key of a policy that is fewest edits from a wrong one, or "" if none
// is close enough to be meant.
func nearest(wrong string) string {
	best, least := "", len(wrong)/3+2 // a third of the letters may be wrong, and one
	for _, key := range keys() {
		if d := edits(strings.ToLower(wrong), strings.ToLower(key)); d < least {
			best, least = key, d
		}
	}
	return best
}

// keys lists every key that a policy may hold, sorted.
func keys() []string {
	var list []string
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for f := range t.Fields() {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); !f.Anonymous {
				list = append(list, name)
			}
			visit(f.Type)
		}
	}
	visit(reflect.TypeFor[fleet.Policy]())
	slices.Sort(list)
	return slices.Compact(list)
}

// edits is the Levenshtein distance of two short strings, in O(len(a)·len(b)).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
