package fleet_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGoldenWireForm pins the bytes of each message: a change of them is a change of the
// protocol, and the files of earlier releases must stay readable.
func TestGoldenWireForm(t *testing.T) {
	snap := exampleSnapshot()
	snap.Canonical()
	plan, outcome := examplePlan(), exampleOutcome()
	golden(t, "snapshot", &snap)
	golden(t, "plan", &plan)
	golden(t, "outcome", &outcome)
}

func golden[T fleet.Message](t *testing.T, name string, message *T) {
	t.Helper()
	got, err := fleet.Encode(message)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "wire", name+".v1.json")
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, got, "", "  "); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, pretty.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pretty.Bytes(), want) {
		t.Errorf("%s: wire form changed; if that is meant, raise WireVersion or run with -update\ngot:\n%s", name, pretty.Bytes())
	}
	back, err := fleet.Decode[T](want)
	if err != nil {
		t.Fatalf("%s: decode golden file: %v", name, err)
	}
	if !reflect.DeepEqual(&back, message) {
		t.Errorf("%s: decoded differs:\n%+v\n%+v", name, &back, message)
	}
}

func TestDecodeRefuses(t *testing.T) {
	plan := examplePlan()
	good, err := fleet.Encode(&plan)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		message string
		want    error
		says    string
	}{
		"empty":           {"", fleet.ErrInvalid, "EOF"},
		"no JSON":         {"hello", fleet.ErrInvalid, "invalid character"},
		"another kind":    {strings.Replace(string(good), `"plan"`, `"snapshot"`, 1), fleet.ErrInvalid, `is a "snapshot"`},
		"newer version":   {strings.Replace(string(good), `"version":1`, `"version":2`, 1), fleet.ErrVersion, "upgrade"},
		"tampered":        {strings.Replace(string(good), `"count":1`, `"count":9`, 1), fleet.ErrInvalid, "changed after it was made"},
		"unknown kind":    {strings.Replace(string(good), `"kind":"drain"`, `"kind":"erase"`, 1), fleet.ErrInvalid, `"erase" is unknown`},
		"trailing":        {string(good) + "{}", fleet.ErrInvalid, "more follows"},
		"wrong type":      {strings.Replace(string(good), `"generation":1`, `"generation":"x"`, 1), fleet.ErrInvalid, "generation"},
		"hostile cluster": {strings.Replace(string(good), `"cluster":"web"`, `"cluster":"web.>"`, 1), fleet.ErrInvalid, "web.>"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := fleet.Decode[fleet.Plan]([]byte(test.message))
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %v saying %q", err, test.want, test.says)
			}
		})
	}
}

// TestDecodeToleratesNewFields: a newer writer of the same version may add fields.
func TestDecodeToleratesNewFields(t *testing.T) {
	outcome := exampleOutcome()
	b, err := fleet.Encode(&outcome)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte(`"step":`), []byte(`"newField":{"x":1},"step":`), 1)
	if _, err := fleet.Decode[fleet.Outcome](b); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	snap, plan, outcome := exampleSnapshot(), examplePlan(), exampleOutcome()
	for _, b := range [][]byte{must(fleet.Encode(&snap)), must(fleet.Encode(&plan)), must(fleet.Encode(&outcome))} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := fleet.Decode[fleet.Snapshot](b); err == nil {
			s.Canonical() // what is valid can be put in order
		}
		if p, err := fleet.Decode[fleet.Plan](b); err == nil && !p.Sealed() {
			t.Error("accepted a plan that is not sealed")
		}
		_, _ = fleet.Decode[fleet.Outcome](b)
	})
}

// TestCanonicalForgetsOrder: however the tables were filled, the bytes are the same.
func TestCanonicalForgetsOrder(t *testing.T) {
	want := exampleSnapshot()
	want.Canonical()
	wantDigest := must(want.Digest())
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		s := exampleSnapshot()
		shuffleInstances(rng, &s)
		rng.Shuffle(len(s.Sections), func(i, j int) { s.Sections[i], s.Sections[j] = s.Sections[j], s.Sections[i] })
		rng.Shuffle(len(s.Tasks), func(i, j int) { s.Tasks[i], s.Tasks[j] = s.Tasks[j], s.Tasks[i] })
		rng.Shuffle(len(s.Subnets), func(i, j int) { s.Subnets[i], s.Subnets[j] = s.Subnets[j], s.Subnets[i] })
		if err := s.Validate(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		s.Canonical()
		if got := must(s.Digest()); got != wantDigest {
			t.Fatalf("seed %d: digest differs:\n%+v\n%+v", seed, s, want)
		}
	}
}

// shuffleInstances permutes the instances and keeps what refers to them true.
func shuffleInstances(rng *rand.Rand, s *fleet.Snapshot) {
	order := rng.Perm(len(s.Instances))
	shuffled := make([]fleet.Instance, len(order))
	for from, to := range order {
		shuffled[to] = s.Instances[from]
	}
	s.Instances = shuffled
	for i := range s.Tasks {
		s.Tasks[i].Instance = order[s.Tasks[i].Instance]
	}
}

func TestSealIsStable(t *testing.T) {
	a, b := examplePlan(), examplePlan()
	if a.ID != b.ID || !a.Sealed() {
		t.Errorf("the same plan sealed twice: %s and %s", a.ID, b.ID)
	}
	seen := map[fleet.ActionID]bool{}
	for _, action := range a.Actions {
		if len(action.ID) > 64 || seen[action.ID] {
			t.Errorf("action ID %q: longer than a client token may be, or not unique", action.ID)
		}
		seen[action.ID] = true
	}
	b.Prev = "another"
	if err := b.Seal(); err != nil {
		t.Fatal(err)
	}
	if b.Actions[0].ID == a.Actions[0].ID {
		t.Error("equal actions of different plans share an ID, hence a client token")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
