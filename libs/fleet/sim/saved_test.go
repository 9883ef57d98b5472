package sim

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestSavedWorldGoesOn saves busy worlds at random moments and loads them: what is loaded
// must answer everything as the original does, go on as it does, and be saved to the same
// bytes.
func TestSavedWorldGoesOn(t *testing.T) {
	for seed := range stories(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cfg := Config{Seed: seed, EventQueues: []string{"events"}, WakeOnRegister: seed%3 == 0}
			if seed%4 == 0 {
				cfg.Trunking = true
			}
			w := must(New(cfg))(t)
			b := newBustle(t, w, seed)
			b.begin()
			for range b.rng.IntN(150) {
				b.step()
			}
			loaded := reload(t, w)
			c := b.onto(loaded)
			compareWorlds(t, "once loaded", w, loaded)
			b.log.Reset()
			for range 120 {
				b.step()
				c.step()
			}
			compareText(t, "calls", b.log.String(), c.log.String())
			compareWorlds(t, "in the end", w, loaded)
		})
	}
}

// stories is how many stories a property is tried on: as many as are asked for, fewer if
// tests are to be short.
func stories(n uint64) uint64 {
	if testing.Short() {
		return n / 4
	}
	return n
}

// reload is a world after it was saved and loaded.
func reload(t testing.TB, w *World) *World {
	t.Helper()
	return must(Load(bytes.NewReader(save(t, w))))(t)
}

func save(t testing.TB, w *World) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := w.Save(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func compareWorlds(t *testing.T, when string, w, loaded *World) {
	t.Helper()
	compareText(t, when+": the saved form", string(save(t, w)), string(save(t, loaded)))
	compareText(t, when+": what can be read", everything(t, w), everything(t, loaded))
}

// compareText shows where two texts part.
func compareText(t *testing.T, what, a, b string) {
	t.Helper()
	if a == b {
		return
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(i-200, 0)
	t.Fatalf("%s: byte %d differs:\n%s\n\nloaded:\n%s", what, i, a[from:min(i+300, len(a))], b[from:min(i+300, len(b))])
}

// TestEveryFieldIsSaved walks all types of which the state of a world is made. Each field of
// theirs must be shown to an archive: saved, or named as derived.
func TestEveryFieldIsSaved(t *testing.T) {
	walk := &fieldWalk{t: t, seen: map[reflect.Type]bool{}}
	walk.typ(reflect.TypeFor[World](), "World")
	for _, h := range savedHappenings() {
		walk.shown(h.typ, h.name, func(a *archive) any { return h.list(a) })
	}
	if len(walk.seen) < 30 {
		t.Errorf("only %d types were looked into", len(walk.seen))
	}
}

// fieldWalk looks for fields that are not saved.
type fieldWalk struct {
	t    *testing.T
	seen map[reflect.Type]bool
}

var (
	savedType   = reflect.TypeFor[saved]()
	knownOpaque = map[string]string{ // types that have a saved form of their own
		"rand.PCG":      "by MarshalBinary",
		"place.Cluster": "made again by placeAgain",
	}
)

// typ looks into a type that a field has.
func (f *fieldWalk) typ(typ reflect.Type, path string) {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		f.typ(typ.Elem(), path)
		return
	case reflect.Map:
		f.typ(typ.Key(), path)
		f.typ(typ.Elem(), path)
		return
	case reflect.Struct:
	default:
		return
	}
	if f.seen[typ] || knownOpaque[typ.String()] != "" || strings.HasPrefix(typ.Name(), "roll[") {
		return
	}
	f.seen[typ] = true
	switch {
	case reflect.PointerTo(typ).Implements(savedType):
		f.shown(typ, path, func(a *archive) any {
			v := reflect.New(typ).Interface()
			v.(saved).fields(a)
			return v
		})
	case typ == reflect.TypeFor[instanceType](): // the catalogue, which is not state
	default:
		f.plain(typ, path)
	}
}

// plain checks a type that is saved as JSON: each field must have a form there.
func (f *fieldWalk) plain(typ reflect.Type, path string) {
	if reflect.PointerTo(typ).Implements(reflect.TypeFor[interface{ MarshalJSON() ([]byte, error) }]()) {
		return
	}
	for i := range typ.NumField() {
		field := typ.Field(i)
		if !field.IsExported() || field.Tag.Get("json") == "-" || field.Type.Kind() == reflect.Func {
			f.t.Errorf("%s: field %s of %v is not saved: %v is saved as JSON, which leaves it out. Give %v a method fields, in the file saved_….go of its subject, and name it there",
				path, field.Name, typ, typ, typ)
			continue
		}
		f.typ(field.Type, path+"."+field.Name)
	}
}

// shown checks that a type shows all its fields to an archive.
func (f *fieldWalk) shown(typ reflect.Type, path string, show func(*archive) any) {
	type place struct {
		at  uintptr
		typ reflect.Type
	}
	places := map[place]string{}
	names := map[string]bool{}
	a := newArchive(listing, nil)
	a.visit = func(name string, field any) {
		v := reflect.ValueOf(field)
		places[place{v.Pointer(), v.Type().Elem()}] = name
		if names[name] && name != derivedName && name != inlineName {
			f.t.Errorf("%v saves two fields by the name %s", typ, name)
		}
		names[name] = true
	}
	thing := show(a)
	if a.err != nil {
		f.t.Errorf("%v: %v", typ, a.err)
	}
	base := reflect.ValueOf(thing).Pointer()
	for i := range typ.NumField() {
		field := typ.Field(i)
		switch name, ok := places[place{base + field.Offset, field.Type}]; {
		case !ok:
			f.t.Errorf("%s: field %s of %v is not saved: name it in the method fields of %v, in the file saved_….go of its subject: with val, ref or their like if it is state, in derived with the reason if it follows from the rest",
				path, field.Name, typ, typ)
		case name != derivedName:
			f.typ(field.Type, path+"."+field.Name)
		}
	}
}

// TestEveryHappeningIsSaved looks for types that happen in the source.
func TestEveryHappeningIsSaved(t *testing.T) {
	known := map[string]bool{}
	for _, h := range savedHappenings() {
		if known[h.name] {
			t.Errorf("two happenings are saved as %s", h.name)
		}
		known[h.name] = true
		known["type "+h.typ.Name()] = true
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			m, ok := d.(*ast.FuncDecl)
			if !ok || m.Name.Name != "happen" || m.Recv == nil {
				continue
			}
			found++
			receiver := m.Recv.List[0].Type
			if star, ok := receiver.(*ast.StarExpr); ok {
				receiver = star.X
			}
			if typ := receiver.(*ast.Ident).Name; !known["type "+typ] {
				t.Errorf("%s: %s happens and has no saved form: add it to savedHappenings, with its fields", name, typ)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d types that happen were found", found)
	}
}
