package awssim

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// decodeJSON reads the body of an awsJson request into the struct that into points to. It
// ignores members that the struct does not have, as AWS does, and answers wrong types with
// SerializationException. An empty body is an empty object.
func decodeJSON(body []byte, into any) *apiError {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	if body[0] != '{' {
		return fault("SerializationException", "Unexpected token: the body must be a JSON object.")
	}
	err := json.Unmarshal(body, into)
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mismatch):
		return fault("SerializationException", "%s: %s", clip(mismatch.Field), mismatched(mismatch))
	default:
		return fault("SerializationException", "The body cannot be read: %s", clip(err.Error()))
	}
}

// mismatched words a wrong type as AWS does: NUMBER_VALUE can not be converted to a String.
func mismatched(m *json.UnmarshalTypeError) string {
	got, _, _ := strings.Cut(m.Value, " ") // "number 1.5" is a number
	switch got {
	case "object", "array":
		return "Start of structure or map found where not expected."
	case "bool":
		got = "boolean"
	}
	want := "Structure"
	switch {
	case m.Type.Kind() == reflect.String:
		want = "String"
	case m.Type.Kind() == reflect.Bool:
		want = "Boolean"
	case m.Type.ConvertibleTo(reflect.TypeFor[float64]()):
		want = "Number"
	case m.Type.Kind() == reflect.Slice:
		want = "List"
	}
	return strings.ToUpper(got) + "_VALUE can not be converted to a " + want
}

// encodeJSON writes an answer by the json tags of its fields. It differs from package json
// in one thing: a list that is nil is written [], as AWS writes it, and not null, which
// clients trip over.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := writeJSON(&b, reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func writeJSON(b *bytes.Buffer, v reflect.Value) error {
	switch {
	case v.Type().Implements(reflect.TypeFor[json.Marshaler]()):
		return writeLeaf(b, v)
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return writeJSON(b, v.Elem())
	case v.Kind() == reflect.Struct:
		return writeStruct(b, v)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		return writeList(b, v)
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		return writeMap(b, v)
	default:
		return writeLeaf(b, v)
	}
}

func writeLeaf(b *bytes.Buffer, v reflect.Value) error {
	text, err := json.Marshal(v.Interface())
	b.Write(text)
	return err
}

func writeStruct(b *bytes.Buffer, v reflect.Value) error {
	b.WriteByte('{')
	first := true
	for _, f := range jsonFields(v.Type()) {
		value := v.Field(f.index)
		if f.omit && isUnset(value) {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteString(f.quoted)
		if err := writeJSON(b, value); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func writeList(b *bytes.Buffer, v reflect.Value) error {
	b.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := writeJSON(b, v.Index(i)); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func writeMap(b *bytes.Buffer, v reflect.Value) error {
	byKey := make(map[string]reflect.Value, v.Len())
	for _, key := range v.MapKeys() {
		byKey[key.String()] = v.MapIndex(key)
	}
	b.WriteByte('{')
	for i, key := range slices.Sorted(maps.Keys(byKey)) {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := writeLeaf(b, reflect.ValueOf(key)); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := writeJSON(b, byKey[key]); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// isUnset is what omitempty and omitzero together leave out.
func isUnset(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

// jsonField is one field of a struct as its json tag has it.
type jsonField struct {
	index  int
	quoted string // "name":
	omit   bool
}

var jsonFieldsOf sync.Map // reflect.Type → []jsonField

// jsonFields lists the fields of a struct that go over the wire.
func jsonFields(t reflect.Type) []jsonField {
	if cached, ok := jsonFieldsOf.Load(t); ok {
		return cached.([]jsonField)
	}
	var fields []jsonField
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields = append(fields, jsonField{index: i, quoted: `"` + name + `":`, omit: strings.Contains(options, "omit")})
	}
	cached, _ := jsonFieldsOf.LoadOrStore(t, fields)
	return cached.([]jsonField)
}
