package cache

import (
	"reflect"
	"testing"
	"time"
)

func TestDecodeRefusesEveryFlippedBit(t *testing.T) {
	stored, err := encode("neap:a", webTask())
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := decode[task]("neap:a", stored); !ok || v.Name != "web" {
		t.Fatalf("got %+v, %t", v, ok)
	}
	for i := range stored {
		for bit := range 8 {
			stored[i] ^= 1 << bit
			if v, ok := decode[task]("neap:a", stored); ok {
				t.Fatalf("bit %d of byte %d flipped, and it was taken: %+v", bit, i, v)
			}
			stored[i] ^= 1 << bit
		}
	}
}

func FuzzDecode(f *testing.F) {
	stored, _ := encode("k", webTask())
	f.Add(stored)
	f.Add([]byte("neap1 \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Nobody without the hash gets in; whatever comes, nothing may panic.
		if _, ok := decode[task]("k", b); ok && string(b) != string(stored) {
			t.Errorf("took %q", b)
		}
	})
}

type plain struct {
	A int
	b int // not in the JSON, so not in the shape
}

type ring struct {
	Next *ring
	All  map[string][]ring
}

type embedded struct{ plain }

type text struct{}

func (*text) MarshalText() ([]byte, error) { return nil, nil }

func TestShape(t *testing.T) {
	type samePlain struct{ A int }
	type renamed struct {
		A int `json:"a"`
	}
	shape := func(v any) string { return shapeOf(reflect.TypeOf(v)) }
	if shape(plain{b: 1}) != shape(samePlain{}) {
		t.Error("a type's own name, and what JSON does not show, are no part of its shape")
	}
	different := map[string]any{
		"struct": plain{}, "tag": renamed{}, "kind": struct{ A int64 }{}, "name": struct{ B int }{},
		"more": struct{ A, B int }{}, "order": struct{ B, A int }{}, "pointer": &plain{}, "slice": []plain{}, "map": map[string]plain{},
		"int map": map[int]plain{}, "ring": ring{}, "embedded": embedded{}, "time": time.Time{}, "duration": time.Duration(0),
		"text": text{}, "empty": struct{}{}, "string": "",
	}
	seen := make(map[string]string)
	for name, v := range different {
		if other, ok := seen[shape(v)]; ok {
			t.Errorf("%s and %s look alike", name, other)
		}
		seen[shape(v)] = name
	}
}
