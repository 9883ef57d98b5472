package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// format names the layout of a stored value: one line that vouches for the
// JSON below it.
const format = "neap1"

// maxValue bounds what is written: the largest thing kept is a snapshot's
// detail, a few MiB; more than this is a mistake that would evict all else.
const maxValue = 16 << 20

// encode makes the stored form of a value.
func encode[T any](key string, v T) ([]byte, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(content) > maxValue {
		return nil, fmt.Errorf("%d bytes, at most %d are kept", len(content), maxValue)
	}
	return append(seal(key, shapeOf(reflect.TypeFor[T]()), content), content...), nil
}

// decode is the reverse. It trusts nothing: ok only if the same shape was
// stored under the same key and not a bit has changed since.
func decode[T any](key string, stored []byte) (v T, ok bool) {
	end := bytes.IndexByte(stored, '\n') + 1
	content := stored[end:]
	if end == 0 || !bytes.Equal(stored[:end], seal(key, shapeOf(reflect.TypeFor[T]()), content)) {
		return v, false
	}
	if err := json.Unmarshal(content, &v); err != nil {
		var zero T // Unmarshal may have begun to fill it
		return zero, false
	}
	return v, true
}

func seal(key, shape string, content []byte) []byte {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %s", len(key), key)
	sum.Write(content)
	// Half of the hash is plenty against accidents.
	return fmt.Appendf(nil, "%s %s %x\n", format, shape, sum.Sum(nil)[:16])
}

var shapes sync.Map // reflect.Type to string

// shapeOf is the schema version of a type: a hash of how it looks in JSON.
// Nobody has to remember to raise it.
func shapeOf(t reflect.Type) string {
	if known, ok := shapes.Load(t); ok {
		return known.(string)
	}
	var text strings.Builder
	describe(&text, t, make(map[reflect.Type]bool))
	shape := fmt.Sprintf("%x", sha256.Sum256([]byte(text.String())))[:12]
	shapes.Store(t, shape)
	return shape
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// describe writes what decides a type's JSON: names, kinds and tags. A type
// that writes its own JSON stands for itself by name.
func describe(w *strings.Builder, t reflect.Type, above map[reflect.Type]bool) {
	pointer := reflect.PointerTo(t)
	if above[t] || pointer.Implements(jsonMarshaler) || pointer.Implements(textMarshaler) {
		fmt.Fprintf(w, "%s.%s", t.PkgPath(), t.Name())
		return
	}
	above[t] = true
	defer delete(above, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		fmt.Fprintf(w, "%s(", t.Kind())
		describe(w, t.Elem(), above)
		w.WriteString(")")
	case reflect.Map:
		w.WriteString("map(")
		describe(w, t.Key(), above)
		w.WriteString(" ")
		describe(w, t.Elem(), above)
		w.WriteString(")")
	case reflect.Struct:
		w.WriteString("{")
		for f := range fieldsOf(t) {
			fmt.Fprintf(w, "%s %q ", f.Name, f.Tag.Get("json"))
			describe(w, f.Type, above)
			w.WriteString(";")
		}
		w.WriteString("}")
	default:
		w.WriteString(t.Kind().String())
	}
}

// fieldsOf yields the fields JSON may look at: exported ones, and embedded
// structs, whose exported fields shine through.
func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if f := t.Field(i); (f.IsExported() || f.Anonymous) && !yield(f) {
				return
			}
		}
	}
}
