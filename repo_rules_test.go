package neap_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"
)

// rule is one promise that the whole repository keeps. check returns what
// breaks it, one line each.
type rule struct {
	name  string
	why   string
	check func(*tree) []string
}

var rules = []rule{
	{"core-imports", "the core imports the standard library and itself, so that it needs nothing but Go", coreImports},
	{"core-pure", "same input, same bytes: the core has no network, clock, goroutine, log or global randomness", corePure},
	{"core-order", "core packages build on one another in one direction: fleet, query, place and pack, plan; sim is on top", coreOrder},
	{"core-map-range", "the order of a map differs each run; sort the keys, or say on the line above //neap:unordered and why it cannot matter", coreMapRange},
	{"sim-users", "only tests and the demonstration run on the simulated world", simUsers},
	{"services-apart", "services share messages, not code", servicesApart},
	{"clients", "third-party clients are imported in one place each, below libs/adapters", clientsInPlace},
	{"planner-no-aws", "the planner decides and cannot act: it has no way to call AWS", plannerNoAWS},
	{"main-short", "main.go only wires: 40 lines at most", mainShort},
	{"package-doc", "every package says what it hides", packageDoc},
	{"exported-doc", "every exported name in libs/ says what it promises", exportedDoc},
	{"checklist", "the page about the simulated AWS names a test for each behaviour that it promises, and every test of the checklist", checklist},
	{"no-machine", "files name neither the machine they were written on nor a package registry", noMachine},
}

func coreImports(t *tree) (found []string) {
	for _, f := range t.in("libs/fleet") {
		f.eachImport(func(p string, spec *ast.ImportSpec) {
			if !standard(p) && !below(p, core) {
				found = append(found, t.at(spec, "imports %s", p))
			}
			if p == "C" {
				found = append(found, t.at(spec, "uses cgo"))
			}
		})
	}
	return found
}

// impureImports reach outside the process, or draw chance that no seed repeats.
var impureImports = []string{"net", "os", "log", "syscall", "plugin", "math/rand", "crypto/rand", "hash/maphash", "io/ioutil"}

// impureNames are what the core leaves out of packages it may import.
var impureNames = map[string][]string{
	"time":    {"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTicker", "NewTimer", "Local"},
	"context": {"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause", "AfterFunc"},
	"fmt":     {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
}

// seededNames are what math/rand/v2 offers besides the functions that draw
// from its global source.
var seededNames = []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf"}

func corePure(t *tree) (found []string) {
	for _, f := range t.in("libs/fleet") {
		if f.test {
			continue
		}
		f.eachImport(func(p string, spec *ast.ImportSpec) {
			impure := slices.ContainsFunc(impureImports, func(dir string) bool {
				return below(p, dir) && p != "math/rand/v2" && p != "net/netip" // which reads addresses and calls nobody
			})
			if impure {
				found = append(found, t.at(spec, "imports %s", p))
			}
			if spec.Name != nil && spec.Name.Name == "." {
				found = append(found, t.at(spec, "imports %s with a dot, which hides where a name is from", p))
			}
		})
		ast.Inspect(f.File, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				found = append(found, t.at(g, "starts a goroutine"))
			}
			if call, ok := n.(*ast.CallExpr); ok {
				if id, ok := call.Fun.(*ast.Ident); ok && id.Obj == nil && (id.Name == "print" || id.Name == "println") {
					found = append(found, t.at(call, "prints"))
				}
			}
			p, name := f.member(n)
			global := p == "math/rand/v2" && !slices.Contains(seededNames, name)
			if global || slices.Contains(impureNames[p], name) {
				found = append(found, t.at(n, "uses %s.%s", p, name))
			}
			return true
		})
	}
	return found
}

// coreRank orders the packages of the core. A package imports only those of a
// lower rank; packages that are not named are between pack and plan and may
// import one another.
var coreRank = map[string]int{"": 0, "query": 1, "place": 2, "pack": 2, "plan": 4, "sim": 5}

const otherRank = 3

// corePackage returns the first folder below the core, "" for the core's own
// package.
func corePackage(importPath string) (name string, rank int) {
	name, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(importPath, core), "/"), "/")
	rank, ok := coreRank[name]
	if !ok {
		rank = otherRank
	}
	return name, rank
}

func coreOrder(t *tree) (found []string) {
	for _, f := range t.in("libs/fleet") {
		if f.test {
			continue
		}
		name, rank := corePackage(f.importPath())
		f.eachImport(func(p string, spec *ast.ImportSpec) {
			if !below(p, core) {
				return
			}
			imported, importedRank := corePackage(p)
			if imported == name || importedRank < rank || importedRank == rank && rank == otherRank {
				return
			}
			found = append(found, t.at(spec, "fleet/%s imports fleet/%s", name, imported))
		})
	}
	return found
}

const unordered = "//neap:unordered"

// coreMapRange reports what hands out the entries of a map in its own order: a
// range over it, and maps.Keys, Values or All unless they are sorted at once or
// collected into a map.
func coreMapRange(t *tree) (found []string) {
	if err := t.typeCheck(); err != nil {
		return []string{fmt.Sprintf("the core does not type-check: %v", err)}
	}
	for _, f := range t.in("libs/fleet") {
		if f.test {
			continue
		}
		excused := map[int]bool{} // lines that a reason covers
		for _, group := range f.Comments {
			for _, c := range group.List {
				why, ok := strings.CutPrefix(c.Text, unordered)
				if !ok {
					continue
				}
				if strings.TrimSpace(why) == "" {
					found = append(found, t.at(c, "%s without a reason", unordered))
				}
				line := t.fset.Position(c.Pos()).Line
				excused[line], excused[line+1] = true, true
			}
		}
		report := func(n ast.Node, what string) {
			if !excused[t.fset.Position(n.Pos()).Line] {
				found = append(found, t.at(n, "%s", what))
			}
		}
		harmless := map[ast.Expr]bool{} // calls whose order is chosen by the call around them
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.RangeStmt:
				onlyCounts := n.Key == nil && n.Value == nil
				if !onlyCounts && isMap(t.info.TypeOf(n.X)) {
					report(n, "ranges over a map")
				}
			case *ast.CallExpr:
				if p, name := f.member(callee(n)); takesAnyOrder(p, name) {
					for _, arg := range n.Args {
						harmless[arg] = true
					}
				}
				p, name := f.member(callee(n))
				if p == "maps" && slices.Contains([]string{"Keys", "Values", "All"}, name) && !harmless[n] {
					report(n, "uses maps."+name+" in the order of the map")
				}
			}
			return true
		})
	}
	return found
}

// callee returns the function a call names, without its type arguments.
func callee(call *ast.CallExpr) ast.Expr {
	switch fun := call.Fun.(type) {
	case *ast.IndexExpr:
		return fun.X
	case *ast.IndexListExpr:
		return fun.X
	}
	return call.Fun
}

// takesAnyOrder names the functions whose result does not depend on the order
// of the sequence they are given.
func takesAnyOrder(p, name string) bool {
	switch p {
	case "slices":
		return slices.Contains([]string{"Sorted", "SortedFunc", "SortedStableFunc"}, name)
	case "maps":
		return slices.Contains([]string{"Collect", "Insert"}, name)
	}
	return false
}

// isMap says whether a type is a map, or a type parameter that can be one.
func isMap(typ types.Type) bool {
	if typ == nil {
		return false
	}
	param, ok := types.Unalias(typ).(*types.TypeParam)
	if !ok {
		_, ok := typ.Underlying().(*types.Map)
		return ok
	}
	constraint, ok := param.Constraint().Underlying().(*types.Interface)
	if !ok {
		return false
	}
	for embedded := range constraint.EmbeddedTypes() {
		if union, ok := embedded.(*types.Union); ok {
			for term := range union.Terms() {
				if isMap(term.Type()) {
					return true
				}
			}
		} else if isMap(embedded) {
			return true
		}
	}
	return false
}

func simUsers(t *tree) (found []string) {
	for _, f := range t.files {
		if f.test || f.within("libs/fleet/sim", "libs/adapters/cloud/awssim", "cmd", "test") {
			continue
		}
		f.eachImport(func(p string, spec *ast.ImportSpec) {
			if below(p, core+"/sim") {
				found = append(found, t.at(spec, "imports the simulated world"))
			}
		})
	}
	return found
}

func servicesApart(t *tree) (found []string) {
	for _, f := range t.in("services") {
		own := strings.Split(f.dir+"/", "/")[1]
		f.eachImport(func(p string, spec *ast.ImportSpec) {
			rest, ok := strings.CutPrefix(p, module+"/services/")
			if other, _, _ := strings.Cut(rest, "/"); ok && other != own {
				found = append(found, t.at(spec, "services/%s imports services/%s", own, other))
			}
		})
	}
	return found
}

// clients says where each third-party client may be imported, the first match
// counting. Tests of the whole system, in test/, may use any.
var clients = []struct {
	prefix  string
	folders []string
}{
	{"github.com/nats-io/nats-server", []string{"libs/adapters/bus", "cmd"}},
	{"github.com/nats-io", []string{"libs/adapters/bus"}},
	{"github.com/aws", []string{"libs/adapters/cloud"}},
	{"go.opentelemetry.io/contrib/instrumentation/github.com/aws", []string{"libs/adapters/cloud"}},
	{"github.com/alicebob/miniredis", []string{"libs/adapters/cache", "cmd"}},
	{"github.com/redis", []string{"libs/adapters/cache"}},
}

func clientsInPlace(t *tree) (found []string) {
	for _, f := range t.files {
		if f.within("test") {
			continue
		}
		f.eachImport(func(p string, spec *ast.ImportSpec) {
			for _, c := range clients {
				if !below(p, c.prefix) {
					continue
				}
				if !f.within(c.folders...) {
					found = append(found, t.at(spec, "imports %s, which belongs in %s", p, strings.Join(c.folders, " or ")))
				}
				return
			}
		})
	}
	return found
}

// awsAmong returns the packages that can call AWS.
func awsAmong(paths []string) []string {
	var aws []string
	for _, p := range paths {
		if below(p, "github.com/aws") || below(p, module+"/libs/adapters/cloud") {
			aws = append(aws, p)
		}
	}
	return aws
}

// plannerNoAWS follows the imports of the planner through our own packages, so
// that the chain can be shown. TestPlannerReachesNoAWS follows the others.
func plannerNoAWS(t *tree) (found []string) {
	imports := map[string][]string{}
	for _, f := range t.files {
		if !f.test {
			from := f.importPath()
			imports[from] = slices.AppendSeq(imports[from], maps.Keys(f.imports))
		}
	}
	via := map[string]string{} // each package reached, with a chain that reaches it
	var queue []string
	for _, p := range slices.Sorted(maps.Keys(imports)) {
		if below(p, module+"/services/planner") {
			via[p] = p
			queue = append(queue, p)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		from := queue[0]
		if len(awsAmong([]string{from})) > 0 {
			found = append(found, via[from])
			continue
		}
		slices.Sort(imports[from])
		for _, p := range imports[from] {
			if via[p] == "" {
				via[p] = via[from] + " -> " + p
				queue = append(queue, p)
			}
		}
	}
	return found
}

func mainShort(t *tree) (found []string) {
	const most = 40
	for _, f := range t.in("services") {
		isMain, _ := path.Match("services/*/cmd/*/main.go", f.path)
		if lines := bytes.Count(t.texts[f.path], []byte("\n")); isMain && lines > most {
			found = append(found, fmt.Sprintf("%s: %d lines", f.path, lines))
		}
	}
	return found
}

func packageDoc(t *tree) (found []string) {
	files := map[string]int{}
	documented := map[string]bool{}
	for _, f := range t.files {
		if f.test {
			continue
		}
		files[f.dir]++
		start := "Package " + f.Name.Name + " "
		if f.Name.Name == "main" {
			start = ""
		}
		if doc := strings.ReplaceAll(f.Doc.Text(), "\n", " "); doc != "" && strings.HasPrefix(doc, start) {
			documented[f.dir] = true
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(files)) {
		if !documented[dir] {
			found = append(found, fmt.Sprintf("%s: no comment that starts with \"Package %s\"", dir, path.Base(dir)))
		}
	}
	return found
}

// wellKnown methods promise what everyone knows; golint asks no comment of them
// either.
var wellKnown = []string{"Error", "Read", "ServeHTTP", "String", "Unwrap", "Write"}

func exportedDoc(t *tree) (found []string) {
	for _, f := range t.in("libs") {
		if f.test || f.Name.Name == "main" {
			continue
		}
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				known := d.Recv != nil && slices.Contains(wellKnown, d.Name.Name)
				if d.Name.IsExported() && exportedReceiver(d) && !known && d.Doc.Text() == "" {
					found = append(found, t.at(d, "%s has no comment", d.Name.Name))
				}
			case *ast.GenDecl:
				found = append(found, undocumented(t, d)...)
			}
		}
	}
	return found
}

// undocumented reports the exported names of a declaration that have no comment
// of their own nor share the group's.
func undocumented(t *tree, d *ast.GenDecl) (found []string) {
	if d.Tok == token.IMPORT {
		return nil
	}
	for _, spec := range d.Specs {
		var names []*ast.Ident
		var docs []*ast.CommentGroup
		switch s := spec.(type) {
		case *ast.TypeSpec:
			names, docs = []*ast.Ident{s.Name}, []*ast.CommentGroup{s.Doc, s.Comment}
			if !d.Lparen.IsValid() {
				docs = append(docs, d.Doc) // a group's comment does not tell its types apart
			}
		case *ast.ValueSpec:
			names, docs = s.Names, []*ast.CommentGroup{s.Doc, s.Comment, d.Doc}
		}
		for _, name := range names {
			if name.IsExported() && !slices.ContainsFunc(docs, func(c *ast.CommentGroup) bool { return c.Text() != "" }) {
				found = append(found, t.at(name, "%s has no comment", name.Name))
			}
		}
	}
	return found
}

// exportedReceiver says whether a function is no method, or one of an exported
// type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// machineWords are put together here, so that this file does not break the rule.
var machineWords = []string{
	"/wo" + "rk/",
	"/ro" + "ot/go",
	"proxy.go" + "lang.org",
	"sum.go" + "lang.org",
	"goproxy" + ".io",
	"goproxy" + ".cn",
	"registry.npm" + "js.org",
	"deb.deb" + "ian.org",
	"security.deb" + "ian.org",
	"files.python" + "hosted.org",
}

func noMachine(t *tree) (found []string) {
	for _, name := range slices.Sorted(maps.Keys(t.texts)) {
		text := t.texts[name]
		if bytes.IndexByte(text, 0) >= 0 {
			continue // not text
		}
		for _, word := range machineWords {
			if at := bytes.Index(text, []byte(word)); at >= 0 {
				line := 1 + bytes.Count(text[:at], []byte("\n"))
				found = append(found, fmt.Sprintf("%s:%d: %q", name, line, word))
			}
		}
	}
	return found
}
