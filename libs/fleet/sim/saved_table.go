package sim

import (
	"cmp"
	"reflect"
	"strconv"
)

// entity is a thing that others refer to, by a key of its own.
type entity interface {
	saved
	// savedKey tells it from the others of its table; "" has it numbered.
	savedKey() string
}

// table is all entities of a type in a file.
type table struct {
	name  string
	one   string // what one of them is called in an error
	typ   reflect.Type
	list  []entity
	keys  map[entity]string
	byKey map[string]entity
}

// tableOf makes an empty table for entities of a type.
func tableOf[E entity](name, one string) *table {
	return &table{name: name, one: one, typ: reflect.TypeFor[E](), keys: map[entity]string{}, byKey: map[string]entity{}}
}

// ref is a field that refers to an entity, which must be there.
func ref[E entity](a *archive, name string, field *E) {
	a.reference(name, field, func() (string, bool) { return key(a, *field) }, func(text string) { *field = lookup[E](a, name, text) })
	var none E
	a.check(a.err != nil || any(*field) != any(none), "%s is missing", name)
}

// maybe is a field that refers to an entity or to none.
func maybe[E entity](a *archive, name string, field *E) {
	a.reference(name, field, func() (string, bool) { return key(a, *field) }, func(text string) { *field = lookup[E](a, name, text) })
}

// reference writes the key of an entity, or reads it and looks the entity up.
func (a *archive) reference(name string, field any, key func() (string, bool), set func(string)) {
	switch a.mode {
	case writing:
		if k, ok := key(); ok {
			a.name(name)
			a.out = appendString(a.out, k)
		}
	case reading:
		var k string
		if val(a, name, &k); k != "" {
			set(k)
		}
	case collecting:
		key()
	case listing:
		a.visit(name, field)
	}
}

// key is the key of an entity, which is put into its table.
func key[E entity](a *archive, e E) (string, bool) {
	var none E
	if any(e) == any(none) {
		return "", false
	}
	t := a.table[reflect.TypeFor[E]()]
	k, known := t.keys[e]
	if !known {
		if k = e.savedKey(); k == "" {
			k = strconv.Itoa(len(t.list) + 1)
		}
		if t.byKey[k] != nil {
			a.fail("there are two %s with the key %s", t.name, k)
		}
		t.keys[e], t.byKey[k] = k, e
		t.list = append(t.list, e)
		a.found = append(a.found, e)
	}
	return k, true
}

// lookup finds the entity of a key.
func lookup[E entity](a *archive, name, key string) E {
	t := a.table[reflect.TypeFor[E]()]
	e, ok := t.byKey[key].(E)
	if !ok {
		a.in(name, func() { a.fail("there is no %s %.80q in the file", t.one, key) })
	}
	return e
}

// refs is a list of entities.
func refs[E entity](a *archive, name string, list *[]E) {
	switch a.mode {
	case collecting:
		for _, e := range *list {
			key(a, e)
		}
	case writing:
		if len(*list) == 0 {
			return
		}
		a.name(name)
		a.out = append(a.out, '[')
		for i, e := range *list {
			if i > 0 {
				a.out = append(a.out, ',')
			}
			k, _ := key(a, e)
			a.out = appendString(a.out, k)
		}
		a.out = append(a.out, ']')
	case reading:
		var keys []string
		if val(a, name, &keys); len(keys) == 0 {
			return
		}
		*list = make([]E, len(keys))
		for i, k := range keys {
			(*list)[i] = lookup[E](a, name, k)
		}
	case listing:
		a.visit(name, list)
	}
}

// refMap is a map of entities by a name.
func refMap[E entity](a *archive, name string, m *map[string]E) {
	dict(a, name, m, cmp.Compare[string], func(a *archive, k *string, e *E) {
		val(a, "name", k)
		ref(a, "is", e)
	})
}

// write writes the entities of a table, each with its key.
func (t *table) write(a *archive, flush func()) {
	a.name(t.name)
	a.out = append(a.out, '[')
	for i, e := range t.list {
		if i > 0 {
			a.out = append(a.out, ',')
		}
		k := t.keys[e]
		a.in(t.one+" "+k, func() {
			a.object(func(a *archive) {
				val(a, "key", &k)
				e.fields(a)
			}, nil)
		})
		flush()
	}
	a.out = append(a.out, ']')
}

// make reads the keys of the entities of a table, so that they can be referred to.
func (t *table) make(a *archive) (texts [][]byte) {
	text, ok := a.member(t.name)
	if !ok {
		return nil
	}
	a.in(t.name, func() {
		var err error
		if texts, err = splitArray(text); err != nil {
			a.fail("%w", err)
			return
		}
		for i, item := range texts {
			k, err := firstKey(item)
			switch {
			case err != nil:
				a.fail("item %d: %w", i, err)
				return
			case t.byKey[k] != nil:
				a.fail("item %d: the key %.80q comes twice", i, k)
				return
			}
			e := reflect.New(t.typ.Elem()).Interface().(entity)
			t.list, t.byKey[k] = append(t.list, e), e
		}
	})
	return texts
}

// read reads the fields of the entities of a table.
func (t *table) read(a *archive, texts [][]byte) {
	for i, e := range t.list {
		a.in(t.one, func() {
			a.object(func(a *archive) {
				var k string
				val(a, "key", &k)
				a.where[len(a.where)-1] += " " + k[:min(len(k), 80)]
				e.fields(a)
			}, texts[i])
		})
		if a.err != nil {
			return
		}
	}
}
