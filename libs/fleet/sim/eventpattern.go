package sim

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// condition says whether an event, or an object within one, is what a pattern asks for.
type condition func(object map[string]any) bool

// parsePattern reads an event pattern of EventBridge: exact values, prefix, suffix,
// equals-ignore-case, wildcard, anything-but, numeric, cidr, exists and $or.
func parsePattern(text string) (condition, error) {
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return nil, fmt.Errorf("the pattern is not a JSON object: %w", err)
	}
	return compilePattern(object)
}

// compilePattern makes a condition of an object of a pattern: all its fields must match.
func compilePattern(object map[string]any) (condition, error) {
	if len(object) == 0 {
		return nil, fmt.Errorf("Empty objects are not allowed") //nolint:staticcheck // words of AWS
	}
	var all []condition
	for _, name := range sortedKeys(object) {
		c, err := compileField(name, object[name])
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return func(event map[string]any) bool {
		return !slices.ContainsFunc(all, func(c condition) bool { return !c(event) })
	}, nil
}

func compileField(name string, value any) (condition, error) {
	if alternatives, ok := value.([]any); ok && name == "$or" {
		return compileOr(alternatives)
	}
	switch value := value.(type) {
	case map[string]any:
		inner, err := compilePattern(value)
		if err != nil {
			return nil, err
		}
		return func(event map[string]any) bool { return matchesObject(inner, event[name]) }, nil
	case []any:
		tests, err := compileTests(value)
		if err != nil {
			return nil, err
		}
		return func(event map[string]any) bool {
			found, present := event[name]
			return slices.ContainsFunc(tests, func(t valueTest) bool { return t.matches(found, present) })
		}, nil
	}
	return nil, fmt.Errorf("%q must be an object or an array", name)
}

func compileOr(alternatives []any) (condition, error) {
	var either []condition
	for _, a := range alternatives {
		object, ok := a.(map[string]any)
		if !ok {
			return nil, fmt.Errorf(`"$or" must be an array of objects`)
		}
		c, err := compilePattern(object)
		if err != nil {
			return nil, err
		}
		either = append(either, c)
	}
	if len(either) < 2 {
		return nil, fmt.Errorf(`"$or" must have at least two objects`)
	}
	return func(event map[string]any) bool {
		return slices.ContainsFunc(either, func(c condition) bool { return c(event) })
	}, nil
}

// matchesObject applies a condition to an object or to any object of a list. What is not
// there is like an object without fields.
func matchesObject(c condition, value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return c(value)
	case []any:
		return slices.ContainsFunc(value, func(v any) bool { return matchesObject(c, v) })
	}
	return c(nil)
}

// valueTest is one element of the list that a pattern has for a field.
type valueTest struct {
	absent bool           // matches where there is no such field
	test   func(any) bool // of a value; nil never matches
}

// matches applies a test to a value, or to any element of a list.
func (t valueTest) matches(value any, present bool) bool {
	switch list, isList := value.([]any); {
	case !present:
		return t.absent
	case t.test == nil:
		return false
	case isList:
		return slices.ContainsFunc(list, func(v any) bool { return t.matches(v, true) })
	default:
		return t.test(value)
	}
}

func compileTests(list []any) ([]valueTest, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("Empty arrays are not allowed") //nolint:staticcheck // words of AWS
	}
	var tests []valueTest
	for _, element := range list {
		t, err := compileTest(element)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	return tests, nil
}

// compileTest reads an exact value, or an object with one key that says how to compare.
func compileTest(element any) (valueTest, error) {
	object, ok := element.(map[string]any)
	if !ok {
		if _, list := element.([]any); list {
			return valueTest{}, fmt.Errorf("nested arrays are not allowed")
		}
		return valueTest{test: func(v any) bool { return v == element }}, nil
	}
	if len(object) != 1 {
		return valueTest{}, fmt.Errorf("Only one key allowed in match expression") //nolint:staticcheck // words of AWS
	}
	kind := sortedKeys(object)[0]
	value := object[kind]
	switch kind {
	case "exists":
		want, ok := value.(bool)
		if !ok {
			return valueTest{}, fmt.Errorf("exists match pattern must be either true or false")
		}
		if !want {
			return valueTest{absent: true}, nil
		}
		return valueTest{test: func(any) bool { return true }}, nil
	case "numeric":
		test, err := compileNumeric(value)
		return valueTest{test: test}, err
	case "cidr":
		text, _ := value.(string)
		block, err := netip.ParsePrefix(text)
		if err != nil {
			return valueTest{}, fmt.Errorf("Malformed CIDR, one '/' required") //nolint:staticcheck // words of AWS
		}
		return valueTest{test: func(v any) bool {
			text, _ := v.(string)
			address, err := netip.ParseAddr(text)
			return err == nil && block.Contains(address)
		}}, nil
	case "anything-but":
		test, err := compileAnythingBut(value)
		return valueTest{test: test}, err
	default:
		test, err := compileText(kind, value)
		return valueTest{test: test}, err
	}
}

// textTests compare texts.
var textTests = map[string]func(value, wanted string) bool{
	"prefix":             strings.HasPrefix,
	"suffix":             strings.HasSuffix,
	"equals-ignore-case": strings.EqualFold,
	"wildcard":           func(value, wanted string) bool { return wildcard(wanted, value) },
}

// wildcard is glob, in which ? is a letter like any other.
func wildcard(pattern, value string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == value
	}
	last := len(parts) - 1
	rest, begins := strings.CutPrefix(value, parts[0])
	if !begins {
		return false
	}
	for _, part := range parts[1:last] {
		_, behind, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = behind
	}
	return strings.HasSuffix(rest, parts[last])
}

// compileText reads a comparison of texts: {"prefix": "a"}, {"prefix": {"equals-ignore-case": "a"}}.
func compileText(kind string, value any) (func(any) bool, error) {
	compare := textTests[kind]
	if compare == nil {
		return nil, fmt.Errorf("Unrecognized match type %s", clip(kind)) //nolint:staticcheck // words of AWS
	}
	fold := func(s string) string { return s }
	if inner, ok := value.(map[string]any); ok && len(inner) == 1 && (kind == "prefix" || kind == "suffix") {
		value, fold = inner["equals-ignore-case"], strings.ToLower
	}
	wanted, ok := value.(string)
	if !ok {
		return nil, fmt.Errorf("%s match pattern must be a string", kind)
	}
	wanted = fold(wanted)
	return func(v any) bool {
		text, ok := v.(string)
		return ok && compare(fold(text), wanted)
	}, nil
}

// compileAnythingBut reads a value, a list, or a comparison of texts that must not match.
func compileAnythingBut(value any) (func(any) bool, error) {
	var refused []func(any) bool
	switch value := value.(type) {
	case map[string]any:
		if len(value) != 1 {
			return nil, fmt.Errorf("Only one key allowed in match expression") //nolint:staticcheck // words of AWS
		}
		kind := sortedKeys(value)[0]
		list, ok := value[kind].([]any)
		if !ok {
			list = []any{value[kind]}
		}
		for _, v := range list {
			test, err := compileText(kind, v)
			if err != nil {
				return nil, err
			}
			refused = append(refused, test)
		}
	case []any:
		if len(value) == 0 {
			return nil, fmt.Errorf("Empty arrays are not allowed") //nolint:staticcheck // words of AWS
		}
		refused = append(refused, func(v any) bool { return slices.Contains(value, v) })
	default:
		refused = append(refused, func(v any) bool { return v == value })
	}
	return func(v any) bool {
		return !slices.ContainsFunc(refused, func(test func(any) bool) bool { return test(v) })
	}, nil
}

// compileNumeric reads pairs of comparisons and numbers: [">", 0, "<=", 5].
func compileNumeric(value any) (func(any) bool, error) {
	list, ok := value.([]any)
	if !ok || len(list) != 2 && len(list) != 4 {
		return nil, fmt.Errorf("Invalid member in numeric match: write one or two comparisons") //nolint:staticcheck // words of AWS
	}
	var tests []func(float64) bool
	for i := 0; i < len(list); i += 2 {
		operator, _ := list[i].(string)
		bound, ok := list[i+1].(float64)
		compare := map[string]func(float64) bool{
			"=": func(v float64) bool { return v == bound }, "<": func(v float64) bool { return v < bound },
			"<=": func(v float64) bool { return v <= bound }, ">": func(v float64) bool { return v > bound },
			">=": func(v float64) bool { return v >= bound },
		}[operator]
		if !ok || compare == nil {
			return nil, fmt.Errorf("Value of %s must be numeric", clip(operator)) //nolint:staticcheck // words of AWS
		}
		tests = append(tests, compare)
	}
	return func(v any) bool {
		number, ok := v.(float64)
		return ok && !slices.ContainsFunc(tests, func(test func(float64) bool) bool { return !test(number) })
	}, nil
}
