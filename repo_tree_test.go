package neap_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	module = "github.com/neap-project/neap"
	core   = module + "/libs/fleet"
)

// tree is a repository in memory: the real one, or a few lines made to break a
// rule.
type tree struct {
	fset  *token.FileSet
	texts map[string][]byte // every file by its path from the root
	files []*goFile         // the Go files, in order of path
	pkgs  map[string]*types.Package
	info  *types.Info
}

// goFile is one parsed Go file.
type goFile struct {
	*ast.File
	path    string // from the root of the repository
	dir     string
	test    bool
	imports map[string]*ast.ImportSpec // by the path imported
}

// newTree parses the Go files among files.
func newTree(files map[string][]byte) (*tree, error) {
	t := &tree{fset: token.NewFileSet(), texts: files}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata/") {
			continue
		}
		parsed, err := parser.ParseFile(t.fset, name, files[name], parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
		f := &goFile{
			File: parsed, path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
			imports: map[string]*ast.ImportSpec{},
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, fmt.Errorf("import in %s: %w", name, err)
			}
			f.imports[imported] = spec
		}
		t.files = append(t.files, f)
	}
	return t, nil
}

// in returns the Go files below a folder.
func (t *tree) in(folder string) []*goFile {
	var files []*goFile
	for _, f := range t.files {
		if f.within(folder) {
			files = append(files, f)
		}
	}
	return files
}

// at renders a finding with its position.
func (t *tree) at(n ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s: %s", t.fset.Position(n.Pos()), fmt.Sprintf(format, args...))
}

// within says whether the file lies in one of the folders or below.
func (f *goFile) within(folders ...string) bool {
	for _, folder := range folders {
		if below(f.dir, folder) {
			return true
		}
	}
	return false
}

// importPath is the path by which others import the file's package.
func (f *goFile) importPath() string {
	if f.dir == "." {
		return module
	}
	return module + "/" + f.dir
}

// eachImport calls report for every import in order of path.
func (f *goFile) eachImport(report func(imported string, spec *ast.ImportSpec)) {
	for _, p := range slices.Sorted(maps.Keys(f.imports)) {
		report(p, f.imports[p])
	}
}

// member returns the import path and the name if n is a selector such as
// time.Now, whatever the file calls the package.
func (f *goFile) member(n ast.Node) (imported, name string) {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	id, ok := sel.X.(*ast.Ident)
	if !ok || id.Obj != nil { // Obj: a local variable hides the package
		return "", ""
	}
	for p, spec := range f.imports {
		local := path.Base(p)
		if version := strings.TrimPrefix(local, "v"); version != local && strings.Trim(version, "0123456789") == "" {
			local = path.Base(path.Dir(p)) // math/rand/v2 is called rand
		}
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == id.Name {
			return p, sel.Sel.Name
		}
	}
	return "", ""
}

// below says whether an import path or folder is dir or lies below it.
func below(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// standard says whether a path is of the standard library: its first element
// has no dot.
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// typeCheck finds the types in the non-test files of the core, once.
func (t *tree) typeCheck() error {
	if t.info != nil {
		return nil
	}
	t.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	t.pkgs = map[string]*types.Package{}
	c := &coreImporter{tree: t, std: importer.ForCompiler(t.fset, "gc", nil)}
	for _, f := range t.in("libs/fleet") {
		if f.test {
			continue
		}
		if _, err := c.Import(f.importPath()); err != nil {
			return err
		}
	}
	return nil
}

// coreImporter checks the packages of the core from the tree and takes the
// standard library from the toolchain.
type coreImporter struct {
	tree *tree
	std  types.Importer
}

// Import implements types.Importer.
func (c *coreImporter) Import(p string) (*types.Package, error) {
	if !below(p, core) {
		return c.std.Import(p)
	}
	if pkg, ok := c.tree.pkgs[p]; ok {
		if pkg == nil {
			return nil, fmt.Errorf("import cycle through %s", p)
		}
		return pkg, nil
	}
	c.tree.pkgs[p] = nil
	var files []*ast.File
	for _, f := range c.tree.files {
		if f.importPath() == p && !f.test {
			files = append(files, f.File)
		}
	}
	config := types.Config{Importer: c}
	pkg, err := config.Check(p, c.tree.fset, files, c.tree.info)
	if err != nil {
		return nil, err
	}
	c.tree.pkgs[p] = pkg
	return pkg, nil
}
