package awssim

import (
	"encoding"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// node is a place in the tree that the dotted names of a query span: Filter.1.Value.2.
type node struct {
	value    string
	set      bool
	children map[string]*node
}

// Bounds of a query: no request of AWS comes near them, and none within them is costly.
const (
	maxQueryDepth      = 16
	maxQueryParameters = 20_000
)

// decodeQuery reads the parameters of a query into the struct that into points to. A field
// has the name of its query tag or, without one, its own; members of lists are numbered.
// Parameters that the struct does not have are ignored.
func decodeQuery(form url.Values, into any) *apiError {
	root, err := queryTree(form)
	if err != nil {
		return err
	}
	return queryInto(reflect.ValueOf(into).Elem(), root, "")
}

// queryTree orders the parameters of a query by their dotted names.
func queryTree(form url.Values) (*node, *apiError) {
	if len(form) > maxQueryParameters {
		return nil, fault("MalformedQueryString", "The request has %d parameters; at most %d are allowed.", len(form), maxQueryParameters)
	}
	root := &node{}
	for name, values := range form {
		parts := strings.Split(name, ".")
		if len(parts) > maxQueryDepth {
			return nil, fault("MalformedQueryString", "The parameter %s is nested too deeply.", clip(name))
		}
		at := root
		for _, part := range parts {
			at = at.child(part)
		}
		if len(values) > 0 {
			at.value, at.set = values[0], true
		}
	}
	return root, nil
}

// child returns the node below n of that name, made if it is not there.
func (n *node) child(name string) *node {
	if c := n.children[name]; c != nil {
		return c
	}
	if n.children == nil {
		n.children = map[string]*node{}
	}
	c := &node{}
	n.children[name] = c
	return c
}

func queryInto(v reflect.Value, n *node, path string) *apiError {
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := text.UnmarshalText([]byte(n.value)); err != nil {
			return invalidParameter(path, n.value, err.Error())
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := queryInto(p.Elem(), n, path); err != nil {
			return err
		}
		v.Set(p)
		return nil
	case reflect.Struct:
		return queryStruct(v, n, path)
	case reflect.Map:
		return queryMap(v, n, path)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return queryBytes(v, n, path)
		}
		return querySlice(v, n, path)
	default:
		return queryScalar(v, n, path)
	}
}

func queryStruct(v reflect.Value, n *node, path string) *apiError {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		name := f.Tag.Get("query")
		if name == "" {
			name = f.Name
		}
		if child := n.children[name]; child != nil {
			if err := queryInto(v.Field(i), child, joinPath(path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// queryMap reads a map: its numbered entries have a Name, or a Key, and a Value.
func queryMap(v reflect.Value, n *node, path string) *apiError {
	m := reflect.MakeMap(v.Type())
	for _, number := range slices.Sorted(maps.Keys(n.children)) {
		entry := n.children[number]
		name := entry.children["Name"]
		if name == nil {
			name = entry.children["Key"]
		}
		if name == nil || name.value == "" {
			return fault("MissingParameter", "The request must contain the parameter %s.", clip(joinPath(joinPath(path, number), "Name")))
		}
		value := reflect.New(v.Type().Elem()).Elem()
		if child := entry.children["Value"]; child != nil {
			if err := queryInto(value, child, joinPath(joinPath(path, number), "Value")); err != nil {
				return err
			}
		}
		m.SetMapIndex(reflect.ValueOf(name.value).Convert(v.Type().Key()), value)
	}
	v.Set(m)
	return nil
}

// queryBytes reads bytes, which a query has as base64.
func queryBytes(v reflect.Value, n *node, path string) *apiError {
	b, err := base64.StdEncoding.DecodeString(n.value)
	if err != nil {
		return invalidParameter(path, n.value, "Expected base64.")
	}
	v.SetBytes(b)
	return nil
}

// querySlice reads a list: its members are numbered, gaps are allowed.
func querySlice(v reflect.Value, n *node, path string) *apiError {
	numbers := make([]int, 0, len(n.children))
	for key := range n.children {
		number, err := strconv.Atoi(key)
		if err != nil || number < 0 || strconv.Itoa(number) != key {
			return fault("InvalidParameterValue", "The parameter %s is not recognized: members of a list are numbered from 1.", clip(joinPath(path, key)))
		}
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	s := reflect.MakeSlice(v.Type(), len(numbers), len(numbers))
	for i, number := range numbers {
		key := strconv.Itoa(number)
		if err := queryInto(s.Index(i), n.children[key], joinPath(path, key)); err != nil {
			return err
		}
	}
	v.Set(s)
	return nil
}

func queryScalar(v reflect.Value, n *node, path string) *apiError {
	if !n.set {
		return fault("InvalidParameterValue", "The parameter %s is a value, not a structure.", clip(path))
	}
	var err error
	switch {
	case v.Kind() == reflect.String:
		v.SetString(n.value)
	case v.Kind() == reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(n.value)
		v.SetBool(b)
	case v.CanInt():
		var i int64
		i, err = strconv.ParseInt(n.value, 10, v.Type().Bits())
		v.SetInt(i)
	case v.CanFloat():
		var f float64
		f, err = strconv.ParseFloat(n.value, v.Type().Bits())
		v.SetFloat(f)
	default:
		err = fmt.Errorf("a %s has no form in a query", v.Kind())
	}
	if err != nil {
		return invalidParameter(path, n.value, "Expected "+v.Kind().String()+".")
	}
	return nil
}

func invalidParameter(path, value, why string) *apiError {
	return fault("InvalidParameterValue", "Value (%s) for parameter %s is invalid. %s", clip(value), clip(path), clip(why))
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
