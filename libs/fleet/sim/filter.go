package sim

import "strings"

// matchAll reports whether a thing passes all filters of an EC2 operation. value gives the
// values of the thing for a filter name; ok is false if EC2 has no such filter.
func matchAll(filters []Filter, value func(name string) (values []string, ok bool)) (bool, error) {
	for _, f := range filters {
		values, known := value(f.Name)
		if !known {
			return false, clientError("InvalidParameterValue", "The filter '%s' is invalid", clip(f.Name))
		}
		if !anyMatch(f.Values, values) {
			return false, nil
		}
	}
	return true, nil
}

// checkFilters refuses filters that an operation does not have, before there is anything to
// try them on, and more values than EC2 takes.
func checkFilters(filters []Filter, value func(name string) (values []string, ok bool)) error {
	const mostValues = 200
	for _, f := range filters {
		if _, known := value(f.Name); !known {
			return clientError("InvalidParameterValue", "The filter '%s' is invalid", clip(f.Name))
		}
		if len(f.Values) > mostValues {
			return clientError("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", mostValues)
		}
	}
	return nil
}

func anyMatch(patterns, values []string) bool {
	for _, p := range patterns {
		for _, v := range values {
			if glob(p, v) {
				return true
			}
		}
	}
	return false
}

// glob matches a value with a pattern of EC2: * is any text, ? any one character.
func glob(pattern, value string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == value
	}
	p, v, star, resume := 0, 0, -1, 0
	for v < len(value) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, v
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == value[v]):
			p++
			v++
		case star >= 0:
			resume++
			p, v = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// tagValues are the values of a thing for the filters that every tagged thing has.
func tagValues(tags []Tag, filter string) ([]string, bool) {
	var values []string
	if key, ok := strings.CutPrefix(filter, "tag:"); ok {
		for _, t := range tags {
			if t.Key == key {
				values = append(values, t.Value)
			}
		}
		return values, true
	}
	switch filter {
	case "tag-key":
		for _, t := range tags {
			values = append(values, t.Key)
		}
		return values, true
	case "tag-value":
		for _, t := range tags {
			values = append(values, t.Value)
		}
		return values, true
	}
	return nil, false
}
