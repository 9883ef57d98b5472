package service

import (
	"strings"
	"testing"
)

// FuzzHeaders: headers for the collector are read or refused; a name is never empty.
func FuzzHeaders(f *testing.F) {
	for _, list := range []string{"a=b", "a=b,c=%20d", "=b", "a", "a=%zz", ",,,", "a=b=c", "a=\x00\n", strings.Repeat("k=v,", 1<<10)} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		headers, err := parseHeaders(list)
		if _, empty := headers[""]; empty || err != nil && headers != nil {
			t.Errorf("%q: %q, %v", list, headers, err)
		}
	})
}
