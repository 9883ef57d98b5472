package awssim

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

//go:generate sh -c "go run ./genconstraints -models $BOTOCORE/data > constraints.txt"

// constraintsText says what the API models require of requests; its head tells how.
//
//go:embed constraints.txt
var constraintsText string

// constraint is something that a member of a request must satisfy.
type constraint struct {
	path  []string // names of members; [] is each item of a list
	check func(value any, present bool) (why string, ok bool)
	null  bool // tells of a missing member
}

// constraintsOf are the constraints of each operation: "ecs RunTask".
var constraintsOf = sync.OnceValue(func() map[string][]constraint {
	all := map[string][]constraint{}
	for line := range strings.Lines(constraintsText) {
		words := strings.Fields(line)
		if words[0] == "#" {
			continue
		}
		c := constraint{path: strings.Split(strings.ReplaceAll(words[2], "[]", ".[]"), ".")}
		switch values := words[4:]; words[3] {
		case "required":
			c.null = true
			c.check = func(_ any, present bool) (string, bool) { return "Member must not be null", present }
		case "enum":
			c.check = func(v any, present bool) (string, bool) {
				text, isText := v.(string)
				return "Member must satisfy enum value set: [" + strings.Join(values, ", ") + "]", !present || !isText || slices.Contains(values, text)
			}
		case "length":
			c.check = bounded("Member must have length", values, lengthOf)
		case "range":
			c.check = bounded("Member must have value", values, numberOf)
		}
		operation := words[0] + " " + words[1]
		all[operation] = append(all[operation], c)
	}
	return all
})

// bounded checks that a measure of a value is within bounds; "-" is none.
func bounded(what string, bounds []string, measure func(any) (float64, bool)) func(any, bool) (string, bool) {
	least, noLeast := strconv.ParseFloat(bounds[0], 64)
	most, noMost := strconv.ParseFloat(bounds[1], 64)
	return func(v any, present bool) (string, bool) {
		n, ok := measure(v)
		switch {
		case !present || !ok:
			return "", true // another type is a serialization error
		case noLeast == nil && n < least:
			return what + " greater than or equal to " + bounds[0], false
		case noMost == nil && n > most:
			return what + " less than or equal to " + bounds[1], false
		}
		return "", true
	}
}

func lengthOf(v any) (float64, bool) {
	switch v := v.(type) {
	case string:
		return float64(utf8.RuneCountInString(v)), true
	case []any:
		return float64(len(v)), true
	case map[string]any:
		return float64(len(v)), true
	}
	return 0, false
}

func numberOf(v any) (float64, bool) {
	number, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := number.Float64()
	return f, err == nil
}

// checkConstraints refuses a request in JSON that does not satisfy the API model, in the
// words with which AWS's services do. Of ECS the members that a request must have are left
// to the world, which knows ECS's own words.
func checkConstraints(s *service, operation string, body []byte) *apiError {
	constraints := constraintsOf()[s.name+" "+operation]
	if len(constraints) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var request any
	if len(bytes.TrimSpace(body)) == 0 {
		request = map[string]any{}
	} else if decoder.Decode(&request) != nil {
		return nil //nolint:nilerr // decoding into the input words it
	}
	var wrong []string
	for _, c := range constraints {
		if s.worldRequires && c.null && len(c.path) == 1 {
			continue
		}
		c.apply(request, c.path, "", &wrong)
	}
	if len(wrong) == 0 {
		return nil
	}
	plural := ""
	if len(wrong) > 1 {
		plural = "s"
	}
	const most = 10 // more than that says no more
	text := fmt.Sprintf("%d validation error%s detected: %s", len(wrong), plural, strings.Join(wrong[:min(len(wrong), most)], "; "))
	return fault(s.invalid, "%s", text)
}

// apply checks the values at a path below a value.
func (c *constraint) apply(value any, path []string, at string, wrong *[]string) {
	switch name, rest := path[0], path[1:]; name {
	case "[]":
		list, _ := value.([]any)
		for i, item := range list {
			c.applyTo(item, item != nil, rest, at+"."+strconv.Itoa(i+1)+".member", wrong)
		}
	default:
		object, ok := value.(map[string]any)
		if !ok {
			return
		}
		member := object[name]
		c.applyTo(member, member != nil, rest, joinPath(at, lowerFirst(name)), wrong)
	}
}

func (c *constraint) applyTo(value any, present bool, rest []string, at string, wrong *[]string) {
	if len(rest) > 0 {
		c.apply(value, rest, at, wrong)
		return
	}
	if why, ok := c.check(value, present); !ok {
		*wrong = append(*wrong, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", worded(value), at, why))
	}
}

// worded is a value as AWS quotes it: null, 'text', '[a, b]'.
func worded(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case []any:
		var items []string
		for _, item := range v[:min(len(v), 3)] {
			items = append(items, fmt.Sprint(item))
		}
		return "'" + clip("["+strings.Join(items, ", ")+"]") + "'"
	default:
		return "'" + clip(fmt.Sprint(v)) + "'"
	}
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
