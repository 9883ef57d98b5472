package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// seal puts a world into an envelope, as Save does.
func seal(world []byte) []byte {
	sum := sha256.Sum256(world)
	return fmt.Appendf(nil, "{\"format\":%q,\"version\":%d,\n\"world\":%s,\n\"checksum\":\"sha256:%s\"}\n", savedFormat, savedVersion, world, hex.EncodeToString(sum[:]))
}

// unseal is the world in an envelope.
func unseal(t testing.TB, file []byte) []byte { return must(openEnvelope(file))(t) }

// small is a world with a few of many things.
func small(t testing.TB) *World {
	t.Helper()
	w := must(New(Config{Seed: 5, EventQueues: []string{"events"}}))(t)
	b := newBustle(t, w, 5)
	b.begin()
	for range 12 {
		b.step()
	}
	for range 200 { // what is left of the events is enough
		b.readEvents()
	}
	return w
}

// TestLoadExplains loads files with mistakes; the error says where each is and what to do.
func TestLoadExplains(t *testing.T) {
	file := save(t, small(t))
	if again := seal(unseal(t, file)); !bytes.Equal(again, file) {
		t.Fatal("the envelope is not what it was")
	}
	damaged := func(old, other string) []byte {
		world := unseal(t, file)
		if !bytes.Contains(world, []byte(old)) {
			t.Fatalf("the world lacks %s", old)
		}
		return seal(bytes.Replace(world, []byte(old), []byte(other), 1))
	}
	find := func(pattern string) string {
		found := regexp.MustCompile(pattern).FindString(string(file))
		if found == "" {
			t.Fatalf("the world lacks %s", pattern)
		}
		return found
	}
	host := find(`"host":"[0-9a-f]{32}"`)
	happening := find(`"is":"task-step"`)
	for _, c := range []struct {
		name, want string
		file       []byte
	}{
		{"empty", "the file is empty: start without it, or use a copy", []byte(" \n")},
		{"cut off", "the file is cut off or no saved world: unexpected end of JSON input; use a copy of it", file[:len(file)/3]},
		{"no world", `format is "", expected "neap-simulated-aws": this is no saved world`, []byte("{}")},
		{"newer", "version is 2, this program reads version 1: load the file with the release that wrote it", bytes.Replace(file, []byte(`"version":1`), []byte(`"version":2`), 1)},
		{"changed", "the file was damaged or changed; use a copy of it", bytes.Replace(file, []byte("us-east-1a"), []byte("us-east-1d"), 1)},
		{"no account", "world: account is missing", seal([]byte("{}"))},
		{"no object", `world: "7" is no object`, seal([]byte("7"))},
		{"dangling", `host: there is no container instance "none" in the file`, damaged(host, `"host":"none"`)},
		{"missing", "task is missing", damaged(find(`"is":"task-step","task":"[0-9a-f]+"`), `"is":"task-step"`)},
		{"unknown field", `field "colour" is not known: the file is of another version, or was changed`, damaged(`"now":`, `"colour":1,"now":`)},
		{"wrong type", "ids: ", damaged(find(`"ids":[0-9]+`), `"ids":"many"`)},
		{"unknown type", `the catalogue has no instance type "m99.huge"`, damaged(find(`"reservation":"[^"]+","type":"[^"]+"`), `"reservation":"r-1","type":"m99.huge"`)},
		{"unknown status", "last is no status of a task: 88", damaged(find(`"last":3`), `"last":88`)},
		{"unknown happening", `is: "tea-time" is no happening that this program knows`, damaged(happening, `"is":"tea-time"`)},
		{"twice", "comes twice", damaged(`"subnets":[{"key"`, `"subnets":[{"key":"`+find(`subnet-[0-9a-f]+`)+`"},{"key"`)},
		{"contradiction", "the file contradicts itself: ", damaged(find(`"running":[0-9]+`), `"running":7777`)},
		{"config", `config: region "Atlantis": write it like us-east-1`, damaged(`"Region":"us-east-1"`, `"Region":"Atlantis"`)},
		{"statement", `statement: "sing" is no statement`, damaged(`["service","web","desired","9"]`, `["sing"]`)},
		{"chance", "chance: ", damaged(find(`"chance":"[^"]+"`), `"chance":"AA=="`)},
	} {
		_, err := Load(bytes.NewReader(c.file))
		if err == nil || !strings.HasPrefix(err.Error(), "load world: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", c.name, err, c.want)
		}
	}
}

// value is a JSON value, as somebody may damage it.
var value = regexp.MustCompile(`"[^"\\]*"|-?[0-9]+|true|\[\]|\{\}`)

// TestLoadSurvivesDamage damages files at random, with a checksum that is right again. What
// is loaded all the same must not make the world fall over.
func TestLoadSurvivesDamage(t *testing.T) {
	world := unseal(t, save(t, small(t)))
	places := value.FindAllIndex(world, -1)
	loaded := 0
	for seed := range stories(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		at, other := places[r.IntN(len(places))], places[r.IntN(len(places))]
		with := pickOne(r, `""`, "0", "-1", "9223372036854775807", "[]", "{}", "null", "true", string(world[other[0]:other[1]]))
		text := slices.Concat(world[:at[0]], []byte(with), world[at[1]:])
		if outlives(t, seal(text), fmt.Sprint("seed ", seed)) {
			loaded++
		}
	}
	t.Logf("%d damaged worlds were loaded", loaded)
}

// outlives loads a file; if that works the world must go on.
func outlives(t *testing.T, file []byte, what string) (loaded bool) {
	t.Helper()
	step := "load"
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: %s: panic: %v", what, step, p)
			panic(p)
		}
	}()
	w, err := Load(bytes.NewReader(file))
	if err != nil {
		return false
	}
	step = "read"
	_ = w.Truth()
	step = "advance"
	w.Advance(w.Now().Add(10 * time.Minute))
	step = "save"
	var out bytes.Buffer
	_ = w.Save(&out)
	return true
}

// FuzzLoad loads whatever comes, within an envelope that is right.
func FuzzLoad(f *testing.F) {
	w := must(New(Config{Seed: 1}))(f)
	f.Add(unseal(f, save(f, w)))
	if err := must(ParseScript("cluster web\nlaunch m7i.large\ntask web cpu 64 memory 64\nadvance 2m\nservice web task web desired 2\nadvance 5s\nat 5m drain oldest"))(f).Run(w); err != nil {
		f.Fatal(err)
	}
	f.Add(unseal(f, save(f, w)))
	f.Add([]byte(`{"account":{}}`))
	f.Fuzz(func(t *testing.T, world []byte) { outlives(t, seal(world), "fuzz") })
}
