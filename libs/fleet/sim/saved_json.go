package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// jsonMember is a member of a JSON object.
type jsonMember struct {
	name string
	text []byte
	used bool
}

var errNotJSON = errors.New("the file is cut off or damaged")

// splitObject splits a JSON object into its members. The text must be valid JSON.
func splitObject(text []byte) ([]jsonMember, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, fmt.Errorf("%.20q is no object", text)
	}
	var list []jsonMember
	for i := 1; i < len(text); {
		switch text[i] {
		case ' ', '\t', '\n', '\r', ',', '}':
			i++
			continue
		}
		end := skipValue(text, i)
		if end <= i || end >= len(text) {
			return nil, errNotJSON
		}
		name, err := readString(text[i:end])
		if err != nil {
			return nil, err
		}
		for i = end; i < len(text) && text[i] != ':'; i++ {
		}
		for i++; i < len(text) && isSpace(text[i]); i++ {
		}
		if end = skipValue(text, i); end <= i {
			return nil, errNotJSON
		}
		list = append(list, jsonMember{name: name, text: text[i:end]})
		i = end
	}
	return list, nil
}

// splitArray splits a JSON array into its items. The text must be valid JSON.
func splitArray(text []byte) ([][]byte, error) {
	if len(text) == 0 || text[0] != '[' {
		return nil, fmt.Errorf("%.20q is no list", text)
	}
	var list [][]byte
	for i := 1; i < len(text)-1; {
		if isSpace(text[i]) || text[i] == ',' {
			i++
			continue
		}
		end := skipValue(text, i)
		if end <= i {
			return nil, errNotJSON
		}
		list = append(list, text[i:end])
		i = end
	}
	return list, nil
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// skipValue is where the value that begins at i ends.
func skipValue(text []byte, i int) int {
	depth := 0
	for ; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(text))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 { // behind a number or a word
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// firstKey reads the key of an entity, which is its first member as a rule.
func firstKey(text []byte) (string, error) {
	members, err := splitObject(text)
	if err != nil {
		return "", err
	}
	for _, m := range members {
		if m.name == "key" {
			return readString(m.text)
		}
	}
	return "", errors.New("key is missing")
}

// readString reads a JSON string.
func readString(text []byte) (string, error) {
	plain := len(text) >= 2 && text[0] == '"'
	for _, b := range text[min(1, len(text)):max(len(text)-1, min(1, len(text)))] {
		if b == '\\' || b < ' ' || b >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		return string(text[1 : len(text)-1]), nil
	}
	var s string
	if json.Unmarshal(text, &s) != nil {
		return "", fmt.Errorf("%.40q is no string", text)
	}
	return s, nil
}

// appendString writes a JSON string.
func appendString(out []byte, s string) []byte {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b >= 0x7f || b == '"' || b == '\\' {
			text, err := json.Marshal(s)
			if err != nil {
				panic(fmt.Sprintf("sim: a string has no form in JSON: %v", err)) // every string has one
			}
			return append(out, text...)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"')
}

// appendValue writes a value, but nothing for the zero of its type. The types that are
// most frequent do without reflection.
func appendValue(out []byte, field any) ([]byte, error) {
	switch f := field.(type) {
	case *string:
		if *f == "" {
			return out, nil
		}
		return appendString(out, *f), nil
	case *bool:
		if !*f {
			return out, nil
		}
		return append(out, "true"...), nil
	case *int:
		if *f == 0 {
			return out, nil
		}
		return strconv.AppendInt(out, int64(*f), 10), nil
	case *int64:
		if *f == 0 {
			return out, nil
		}
		return strconv.AppendInt(out, *f, 10), nil
	case *uint64:
		if *f == 0 {
			return out, nil
		}
		return strconv.AppendUint(out, *f, 10), nil
	case *time.Duration:
		if *f == 0 {
			return out, nil
		}
		return strconv.AppendInt(out, int64(*f), 10), nil
	case *time.Time:
		if f.IsZero() {
			return out, nil
		}
		return append(f.AppendFormat(append(out, '"'), time.RFC3339Nano), '"'), nil
	}
	if reflect.ValueOf(field).Elem().IsZero() {
		return out, nil
	}
	text, err := json.Marshal(field)
	if err != nil {
		return out, fmt.Errorf("%T has no form in JSON: %w", field, err)
	}
	return append(out, text...), nil
}
