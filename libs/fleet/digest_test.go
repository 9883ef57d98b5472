package fleet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// TestSnapshotIsWrittenAsJSON: the message of a snapshot is the bytes that encoding/json
// makes, whatever its fields hold. A field that is added and not written fails here.
func TestSnapshotIsWrittenAsJSON(t *testing.T) {
	check := func(s *fleet.Snapshot) {
		t.Helper()
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := fleet.WriteJSON(s, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%v: the message of\n%s\nis\n%s", err, want, &got)
		}
	}
	for seed := range uint64(500) {
		var s fleet.Snapshot
		fill(reflect.ValueOf(&s).Elem(), rand.New(rand.NewPCG(seed, 9)))
		check(&s)
	}
	s := exampleSnapshot()
	check(&s)
	s.Instances[0].Protected = "\"instances\":null <&>\u2028"
	check(&s)
	if message := must(fleet.Encode(&s)); !bytes.HasPrefix(message, []byte(`{"kind":"snapshot","version":1,"body":{"cluster":`)) {
		t.Errorf("the message is\n%s", message)
	}
	check(&fleet.Snapshot{})
	check(&fleet.Snapshot{Instances: []fleet.Instance{}, Tasks: []fleet.TaskCount{}})
}

// TestDigestSeesEveryField: whatever is changed in a snapshot, its digest changes, and is the
// old one again when the change is taken back. A field that is added and not hashed fails here.
func TestDigestSeesEveryField(t *testing.T) {
	for seed := range uint64(20) {
		var s fleet.Snapshot
		fill(reflect.ValueOf(&s).Elem(), rand.New(rand.NewPCG(seed, 9)))
		seen := map[string]string{must(s.Digest()): "nothing"}
		eachChange(reflect.ValueOf(&s).Elem(), "snapshot", func(what string) {
			digest := must(s.Digest())
			if before, ok := seen[digest]; ok {
				t.Fatalf("seed %d: after a change of %s the digest is that after a change of %s", seed, what, before)
			}
			seen[digest] = what
		})
		if seen[must(s.Digest())] != "nothing" {
			t.Fatalf("seed %d: the changes were not taken back", seed)
		}
	}
}

// eachChange changes one thing after the other, and takes it back.
func eachChange(v reflect.Value, name string, changed func(what string)) {
	try := func(other reflect.Value) {
		was := reflect.New(v.Type()).Elem()
		was.Set(v)
		v.Set(other.Convert(v.Type()))
		changed(name)
		v.Set(was)
	}
	if moment, ok := v.Interface().(time.Time); ok {
		try(reflect.ValueOf(moment.Add(time.Nanosecond)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			eachChange(v.Field(i), name+"."+v.Type().Field(i).Name, changed)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachChange(v.Index(i), fmt.Sprintf("%s[%d]", name, i), changed)
		}
		longer := reflect.MakeSlice(v.Type(), v.Len()+1, v.Len()+1)
		reflect.Copy(longer, v)
		try(longer)
	case reflect.String:
		try(reflect.ValueOf(v.String() + "x"))
	case reflect.Bool:
		try(reflect.ValueOf(!v.Bool()))
	case reflect.Int, reflect.Int64:
		try(reflect.ValueOf(v.Int() + 1))
	default:
		try(reflect.ValueOf(v.Uint() ^ 1))
	}
}

// fill sets every field that can be set, now and then to nothing, to text that needs
// escapes or to numbers below zero.
func fill(v reflect.Value, rng *rand.Rand) {
	empty := rng.IntN(4) == 0
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		if !empty {
			*x = at.Add(time.Duration(rng.Int64N(1e15))).In([]*time.Location{time.UTC, time.FixedZone("", 3600*rng.IntN(9))}[rng.IntN(2)])
		}
		return
	case *string:
		if !empty {
			*x = []string{"web", "a b", `"`, `\`, "<x>&", "\n", "\x01", "é", "\u2028", "\xff", "\x7f"}[rng.IntN(11)] + "z"
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), rng)
		}
	case reflect.Slice:
		n := rng.IntN(4)
		if empty {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), rng)
		}
	case reflect.String:
		if !empty {
			v.SetString([]string{"neap", "x/y", "<"}[rng.IntN(3)])
		}
	case reflect.Bool:
		v.SetBool(!empty)
	case reflect.Int, reflect.Int64:
		if !empty {
			v.SetInt(rng.Int64N(1e12) - 1e11)
		}
	case reflect.Uint16, reflect.Uint64:
		if !empty {
			v.SetUint(rng.Uint64N(1 << 16))
		}
	default:
		panic("a snapshot has a field of type " + v.Type().String() + ", and this test does not know how to fill it")
	}
}

// TestCanonicalIsRecognised: a snapshot is canonical if and only if Canonical changes
// nothing.
func TestCanonicalIsRecognised(t *testing.T) {
	s := exampleSnapshot()
	if s.IsCanonical() {
		t.Error("the example is taken for canonical")
	}
	s.Canonical()
	if !s.IsCanonical() {
		t.Error("what was made canonical is not")
	}
	twice := func(s *fleet.Snapshot) { // two of everything, to be out of order
		s.Types = append(s.Types, s.Types[0])
		s.Learned = append(s.Learned, s.Learned[0])
		s.Images = append(s.Images, s.Images[0])
		s.Waiting = append(s.Waiting, s.Waiting[0])
		s.Services = append(s.Services, s.Services[0])
	}
	spoils := map[string]func(*fleet.Snapshot){
		"sections": func(s *fleet.Snapshot) { s.Sections[0], s.Sections[1] = s.Sections[1], s.Sections[0] },
		"sets": func(s *fleet.Snapshot) {
			s.AttributeSets[0], s.AttributeSets[1] = s.AttributeSets[1], s.AttributeSets[0]
		},
		"attributes":  func(s *fleet.Snapshot) { a := s.AttributeSets[0]; a[0], a[1] = a[1], a[0] },
		"instances":   func(s *fleet.Snapshot) { s.Instances[0].ID = "z" },
		"own":         func(s *fleet.Snapshot) { s.Instances[0].OwnAttributes = []fleet.Attribute{{Name: "b"}, {Name: "a"}} },
		"groups":      func(s *fleet.Snapshot) { s.TaskGroups[0].Group = "z" },
		"tasks":       func(s *fleet.Snapshot) { s.Tasks[0].Instance = 2 },
		"waiting":     func(s *fleet.Snapshot) { s.Waiting[0].Group = 9 },
		"services":    func(s *fleet.Snapshot) { s.Services[0].Name = "z" },
		"deployments": func(s *fleet.Snapshot) { s.Services[0].Deployments = []fleet.Deployment{{ID: "b"}, {ID: "a"}} },
		"types":       func(s *fleet.Snapshot) { s.Types[0].Name = "z" },
		"zones":       func(s *fleet.Snapshot) { z := s.Types[0].Zones; z[0], z[1] = z[1], z[0] },
		"learned":     func(s *fleet.Snapshot) { s.Learned[0].Type = "z" },
		"images":      func(s *fleet.Snapshot) { s.Images[0].Parameter = strings.Repeat("z", 9) },
		"subnets":     func(s *fleet.Snapshot) { s.Subnets[0].ID = "z" },
		"architectures": func(s *fleet.Snapshot) {
			s.Types[0].Architectures = []fleet.Architecture{fleet.X86, fleet.ARM}
		},
	}
	for name, spoil := range spoils { //neap:unordered each stands alone
		s := exampleSnapshot()
		twice(&s)
		s.Canonical()
		if !s.IsCanonical() {
			t.Fatal("what was made canonical is not")
		}
		spoil(&s)
		if s.IsCanonical() {
			t.Errorf("%s out of order are taken for canonical", name)
		}
	}
}
