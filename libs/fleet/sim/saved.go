package sim

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
)

// The envelope of a saved world. A file is one JSON object:
//
//	{
//	  "format": "neap-simulated-aws",
//	  "version": 1,
//	  "world": { … },
//	  "checksum": "sha256:…"          of the bytes of world
//	}
//
// "world" has the configuration, the time and what the account holds in "account", what is
// to come, in order, in "account.queue.happenings", and a list for each type of thing that
// others refer to: "instances", "clusters", "services", "tasks" and so on, each with a "key"
// by which the others name it. What follows from the rest is not in the file.
//
// The version changes when a program could not read the files of the one before.
const (
	savedFormat  = "neap-simulated-aws"
	savedVersion = 1
)

// checksumName is how the checksum tells its function.
const checksumName = "sha256:"

// Save writes the world as it is, for [Load]. The history of the loaded world goes on as
// that of this one would: the same calls give the same answers, byte for byte. Saving
// changes nothing. It takes time in proportion to what there is.
func (w *World) Save(to io.Writer) error {
	a := newArchive(collecting, w)
	a.where = []string{"save world"}
	w.fields(a)
	for i := 0; i < len(a.found) && a.err == nil; i++ { // things found on the way are looked into as well
		a.found[i].fields(a)
	}
	if a.err != nil {
		return a.err
	}
	out := bufio.NewWriterSize(to, 1<<16)
	fmt.Fprintf(out, "{\"format\":%q,\"version\":%d,\n\"world\":", savedFormat, savedVersion)
	sum := sha256.New()
	both := io.MultiWriter(out, sum)
	var err error
	a.mode, a.out = writing, []byte("{")
	flush := func() {
		const enough = 1 << 15 // bytes at a time
		if len(a.out) > enough && err == nil {
			last := len(a.out) - 1 // the next name wants to see what came before it
			_, err = both.Write(a.out[:last])
			a.out[0] = a.out[last]
			a.out = a.out[:1]
		}
	}
	a.name("account")
	a.object(w.fields, nil)
	for _, t := range a.tables {
		t.write(a, flush)
	}
	if a.err != nil {
		return a.err
	}
	a.out = append(a.out, '}')
	if err == nil {
		_, err = both.Write(a.out)
	}
	fmt.Fprintf(out, ",\n\"checksum\":\"%s%s\"}\n", checksumName, hex.EncodeToString(sum.Sum(nil)))
	if err = cmp.Or(err, out.Flush()); err != nil {
		return fmt.Errorf("save world: %w", err)
	}
	return nil
}

// Load reads a world that [World.Save] wrote. What is wrong with a file is told by where
// it stands and what would be right.
func Load(from io.Reader) (*World, error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("load world: %w", err)
	}
	world, err := openEnvelope(text)
	if err != nil {
		return nil, fmt.Errorf("load world: %w", err)
	}
	w, err := loadWorld(world)
	if err != nil {
		return nil, fmt.Errorf("load world: %w", err)
	}
	return w, nil
}

// openEnvelope checks the envelope of a file and returns its world.
func openEnvelope(text []byte) ([]byte, error) {
	var e struct {
		Format   string          `json:"format"`
		Version  int             `json:"version"`
		World    json.RawMessage `json:"world"`
		Checksum string          `json:"checksum"`
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("the file is empty: start without it, or use a copy")
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("the file is cut off or no saved world: %w; use a copy of it", err)
	}
	if e.Format != savedFormat {
		return nil, fmt.Errorf("format is %.40q, expected %q: this is no saved world", e.Format, savedFormat)
	}
	if e.Version != savedVersion {
		return nil, fmt.Errorf("version is %d, this program reads version %d: load the file with the release that wrote it", e.Version, savedVersion)
	}
	sum := sha256.Sum256(e.World)
	if want := checksumName + hex.EncodeToString(sum[:]); e.Checksum != want {
		return nil, fmt.Errorf("checksum is %.80q, the world has %s: the file was damaged or changed; use a copy of it", e.Checksum, want)
	}
	return e.World, nil
}

// loadWorld reads a world: first the keys of all things, then their fields, then what
// follows from them.
func loadWorld(text []byte) (*World, error) {
	w := &World{}
	a := newArchive(reading, w)
	a.where = []string{"world"}
	a.object(func(a *archive) {
		account, ok := a.member("account")
		if !ok {
			a.fail("account is missing")
			return
		}
		texts := map[*table][][]byte{}
		for _, t := range a.tables {
			texts[t] = t.make(a)
		}
		if a.err == nil {
			a.in("account", func() { a.object(w.fields, account) })
		}
		for _, t := range a.tables {
			if a.err == nil {
				t.read(a, texts[t])
			}
		}
	}, text)
	if a.err != nil {
		return nil, a.err
	}
	for _, do := range a.rebuild {
		if err := do(); err != nil {
			return nil, err
		}
	}
	if err := w.Check(); err != nil {
		return nil, fmt.Errorf("the file contradicts itself: %w", err)
	}
	return w, nil
}

// fields of a world: the account and what it holds.
func (w *World) fields(a *archive) {
	a.consistent(w.consistent)
	val(a, "config", &w.cfg)
	val(a, "now", &w.now)
	if a.mode == reading {
		w.prepare(a)
	}
	val(a, "ids", &w.ids)
	saveChance(a, w)
	refMap(a, "clusters", &w.clusters)
	dict(a, "families", &w.families, cmp.Compare[string], func(a *archive, name *string, f **family) {
		val(a, "key", name)
		if *f == nil {
			*f = &family{}
		}
		(*f).fields(a)
	})
	refs(a, "providers", &w.providers)
	refs(a, "groups", &w.groups)
	val(a, "settings", &w.settings)
	refMap(a, "instances", &w.instances)
	parts(a, "templates", &w.templates)
	refs(a, "subnets", &w.subnets)
	refs(a, "images", &w.images)
	dict(a, "launches", &w.launches, cmp.Compare[string], func(a *archive, name *string, r *launchRecord) {
		val(a, "request", name)
		r.fields(a)
	})
	dict(a, "shortages", &w.shortages, offering.compare, func(a *archive, o *offering, s *shortage) {
		o.fields(a)
		s.fields(a)
	})
	dict(a, "prices", &w.prices, offering.compare, func(a *archive, o *offering, price *int64) {
		o.fields(a)
		val(a, "price", price)
	})
	saveLaunches(a, w)
	val(a, "stalls", &w.stalls)
	val(a, "zonesDown", &w.zonesDown)
	val(a, "flapsPerHour", &w.flapsPerHour)
	val(a, "flapRound", &w.flapRound)
	val(a, "trunkFailures", &w.trunkFailures)
	val(a, "interruptions", &w.interruptions)
	val(a, "interruptionRound", &w.interruptionRound)
	refs(a, "queues", &w.queues)
	each(a, "subscribed", &w.subscribed, func(a *archive, s *subscription) { s.fields(a) })
	val(a, "faults", &w.faults)
	saveAccount(a, w)
	val(a, "seen", &w.seen)
	val(a, "recorded", &w.recorded)
	a.derived("whoever loads a world decides whether it is recorded", &w.record)
	a.derived("a world is saved between two things that happen", &w.advancing)
	saveErrors(a, w)
	part(a, "queue", &w.queue)
	a.derived("what is not gone of the maps, by seq", &w.clusterRoll, &w.instanceRoll)
	a.derived("the catalogue of the program", &w.types, &w.typeNamed)
	if a.mode == reading {
		w.settings = orMap(w.settings)
		a.after(func() error {
			w.clusterRoll = rollOf(w.clusters)
			w.instanceRoll = rollOf(w.instances)
			return nil
		})
	}
}

// prepare checks the configuration and makes what depends on it alone.
func (w *World) prepare(a *archive) {
	var err error
	if w.cfg, err = w.cfg.withDefaults(); err == nil {
		err = w.stock()
	}
	if err != nil {
		a.in("config", func() { a.fail("%w", err) })
	}
}

// saveChance saves where the random generator is.
func saveChance(a *archive, w *World) {
	a.derived("a view of source", &w.rng)
	if a.mode == listing {
		a.visit("chance", &w.source)
		return
	}
	var state []byte
	if a.mode == writing {
		var err error
		if state, err = w.source.MarshalBinary(); err != nil {
			a.fail("chance: %w", err)
		}
	}
	val(a, "chance", &state)
	if a.mode == reading {
		w.source = &rand.PCG{}
		if err := w.source.UnmarshalBinary(state); err != nil {
			a.fail("chance: %w", err)
		}
		w.rng = rand.New(w.source)
	}
}

// saveErrors saves what scripts could not do.
func saveErrors(a *archive, w *World) {
	if a.mode == listing {
		a.visit("scriptErrors", &w.scriptErrors)
		return
	}
	var list []string
	for _, err := range w.scriptErrors {
		list = append(list, err.Error())
	}
	val(a, "scriptErrors", &list)
	if a.mode == reading {
		for _, words := range list {
			w.scriptErrors = append(w.scriptErrors, errors.New(words))
		}
	}
}

// orMap is a map that may be written to.
func orMap[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}

// rollOf is a roll of the things of a map that are to be listed.
func rollOf[K comparable, T listed](m map[K]T) roll[T] {
	list := slices.SortedFunc(maps.Values(m), func(x, y T) int { return cmp.Compare(x.order(), y.order()) })
	return roll[T]{items: slices.DeleteFunc(list, func(item T) bool { return item.gone() })}
}
