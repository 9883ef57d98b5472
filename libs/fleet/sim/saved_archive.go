package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// archive goes through the fields of the things of a world, one method for both ways: what
// is written when a world is saved is what is read when it is loaded.
//
// A thing says what its fields are in a method fields(*archive), with the functions of this
// file: val for a value, ref and its neighbours for a thing that others point to as well,
// part for a thing that belongs to it alone, and derived for what follows from the rest. A
// field that is named in none of them fails TestEveryFieldIsSaved.
type archive struct {
	mode  archiveMode
	world *World
	err   error
	where []string // the objects around, for errors

	tables     []*table
	table      map[reflect.Type]*table
	found      []entity // of all tables, in the order they were found
	happenings []savedHappening

	out []byte // what has been written

	members []jsonMember // of the object being read
	next    int          // the member that is expected next
	used    int
	rebuild []func() error
	words   map[string]string // strings that came before

	visit func(name string, field any) // of a listing
}

// archiveMode is what an archive does with the fields it is shown.
type archiveMode int

const (
	collecting archiveMode = iota // finds every thing that is referred to
	writing
	reading
	listing // tells a test which fields there are
)

// saved is a thing with fields.
type saved interface{ fields(a *archive) }

func newArchive(mode archiveMode, w *World) *archive {
	a := &archive{
		mode: mode, world: w, tables: savedTables(), table: map[reflect.Type]*table{}, happenings: savedHappenings(), words: map[string]string{},
	}
	for _, t := range a.tables {
		a.table[t.typ] = t
	}
	return a
}

// fail notes the first error, with where it was found.
func (a *archive) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf("%s: %w", strings.Join(a.where, ": "), fmt.Errorf(format, args...))
	}
}

// check fails the reading unless a condition holds.
func (a *archive) check(holds bool, format string, args ...any) {
	if a.mode == reading && !holds {
		a.fail(format, args...)
	}
}

// after has something done once every field of the world has been read.
func (a *archive) after(do func() error) {
	if a.mode == reading {
		a.rebuild = append(a.rebuild, do)
	}
}

// derived names fields that are not saved, and why they need not be: most follow from what
// is saved and are made anew in an after.
func (a *archive) derived(_ string, fields ...any) {
	if a.mode == listing {
		for _, f := range fields {
			a.visit(derivedName, f)
		}
	}
}

// Names that a listing gives to fields without one.
const (
	derivedName = "(derived)"
	inlineName  = "(inline)"
)

// member finds the text of a field that is being read; ok is false if it is not there.
func (a *archive) member(name string) (text []byte, ok bool) {
	for i := range a.members { // fields come in the order of writing, as a rule
		m := &a.members[(a.next+i)%len(a.members)]
		if m.name == name && !m.used {
			a.next = (a.next + i + 1) % len(a.members)
			a.used++
			m.used = true
			return m.text, true
		}
	}
	return nil, false
}

// name begins a member of the object that is being written.
func (a *archive) name(name string) {
	if last := a.out[len(a.out)-1]; last != '{' && last != '[' {
		a.out = append(a.out, ',')
	}
	a.out = append(appendString(a.out, name), ':')
}

// object writes or reads the fields of a thing as an object.
func (a *archive) object(s func(*archive), text []byte) {
	switch a.mode {
	case writing:
		a.out = append(a.out, '{')
		s(a)
		a.out = append(a.out, '}')
	case reading:
		before, next, used := a.members, a.next, a.used
		a.members, a.next, a.used = nil, 0, 0
		var err error
		if a.members, err = splitObject(text); err != nil {
			a.fail("%w", err)
		}
		if a.err == nil {
			s(a)
		}
		if a.err == nil && a.used < len(a.members) {
			i := slices.IndexFunc(a.members, func(m jsonMember) bool { return !m.used })
			a.fail("field %.40q is not known: the file is of another version, or was changed", a.members[i].name)
		}
		a.members, a.next, a.used = before, next, used
	case collecting, listing:
		s(a)
	}
}

// consistent has a thing checked, before anything follows from it.
func (a *archive) consistent(check func() error) {
	where := strings.Join(a.where, ": ")
	a.after(func() error {
		if err := check(); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		return nil
	})
}

// in notes where the archive is while something is done.
func (a *archive) in(name string, do func()) {
	if a.err != nil {
		return
	}
	a.where = append(a.where, name)
	do()
	a.where = a.where[:len(a.where)-1]
}

// val is a field that is saved by its value, as JSON; its zero is left out.
func val[T any](a *archive, name string, field *T) {
	switch a.mode {
	case writing:
		at := len(a.out)
		a.name(name)
		before := len(a.out)
		var err error
		if a.out, err = appendValue(a.out, field); err != nil {
			a.in(name, func() { a.fail("%w", err) })
		}
		if len(a.out) == before { // nothing to say
			a.out = a.out[:at]
		}
	case reading:
		text, ok := a.member(name)
		if !ok || a.err != nil {
			return
		}
		if err := a.readValue(text, field); err != nil {
			a.in(name, func() { a.fail("%w", err) })
		}
	case listing:
		a.visit(name, field)
	case collecting:
	}
}

// text is a field that holds bytes of any kind.
func text(a *archive, name string, field *string) {
	if a.mode == listing {
		a.visit(name, field)
		return
	}
	b := []byte(*field)
	if val(a, name, &b); a.mode == reading {
		*field = string(b)
	}
}

// part is a field that is a thing which nobody else refers to.
func part[T any, P interface {
	*T
	saved
}](a *archive, name string, field *T) {
	do := func() { a.object(P(field).fields, nil) }
	switch a.mode {
	case writing:
		a.name(name)
	case reading:
		text, ok := a.member(name)
		if !ok {
			a.fail("%s is missing", name)
			return
		}
		do = func() { a.object(P(field).fields, text) }
	case listing:
		a.visit(name, field)
		return
	case collecting:
	}
	a.in(name, do)
}

// inline is a field whose own fields stand beside it.
func inline[T any, P interface {
	*T
	saved
}](a *archive, field *T) {
	if a.mode == listing {
		a.visit(inlineName, field)
	}
	P(field).fields(a)
}

// optional is a field that may point to a thing which nobody else points to.
func optional[T any, P interface {
	*T
	saved
}](a *archive, name string, field **T) {
	switch a.mode {
	case writing, collecting:
		if *field != nil {
			part[T, P](a, name, *field)
		}
	case reading:
		if slices.ContainsFunc(a.members, func(m jsonMember) bool { return m.name == name }) {
			*field = new(T)
			part[T, P](a, name, *field)
		}
	case listing:
		a.visit(name, field)
	}
}

// each is a list of things with fields that nobody else refers to.
func each[T any](a *archive, name string, list *[]T, fields func(*archive, *T)) {
	switch a.mode {
	case writing, collecting:
		if len(*list) == 0 {
			return
		}
		if a.mode == writing {
			a.name(name)
			a.out = append(a.out, '[')
		}
		for i := range *list {
			a.in(name+"["+strconv.Itoa(i)+"]", func() {
				if a.mode == writing && i > 0 {
					a.out = append(a.out, ',')
				}
				a.object(func(a *archive) { fields(a, &(*list)[i]) }, nil)
			})
		}
		if a.mode == writing {
			a.out = append(a.out, ']')
		}
	case reading:
		text, ok := a.member(name)
		if !ok {
			return
		}
		items, err := splitArray(text)
		if err != nil {
			a.in(name, func() { a.fail("%w", err) })
			return
		}
		*list = make([]T, len(items))
		for i, item := range items {
			a.in(name+"["+strconv.Itoa(i)+"]", func() { a.object(func(a *archive) { fields(a, &(*list)[i]) }, item) })
		}
	case listing:
		a.visit(name, list)
	}
}

// parts is a list of pointers to things that nobody else refers to.
func parts[T any, P interface {
	*T
	saved
}](a *archive, name string, list *[]*T) {
	if a.mode == listing {
		a.visit(name, list)
		return
	}
	each(a, name, list, func(a *archive, p **T) {
		if *p == nil {
			*p = new(T)
		}
		P(*p).fields(a)
	})
}

// dict is a map whose keys and values are written as a list of objects, by key.
func dict[K comparable, V any](a *archive, name string, m *map[K]V, compare func(x, y K) int, fields func(*archive, *K, *V)) {
	if a.mode == listing {
		a.visit(name, m)
		return
	}
	type pair struct {
		k K
		v V
	}
	var list []pair
	//neap:unordered sorted below
	for k, v := range *m {
		list = append(list, pair{k, v})
	}
	slices.SortFunc(list, func(x, y pair) int { return compare(x.k, y.k) })
	each(a, name, &list, func(a *archive, p *pair) { fields(a, &p.k, &p.v) })
	if a.mode == reading {
		*m = make(map[K]V, len(list))
		for _, p := range list {
			(*m)[p.k] = p.v
		}
		a.check(len(*m) == len(list), "%s: a key comes twice", name)
	}
}

// readValue reads a value. Strings that came before are shared.
func (a *archive) readValue(text []byte, field any) error {
	switch f := field.(type) {
	case *string:
		s, err := readString(text)
		if err != nil {
			return err
		}
		const most = 1 << 14 // distinct strings to remember: names come again, IDs do not
		if known, ok := a.words[s]; ok {
			s = known
		} else if len(a.words) < most {
			a.words[s] = s
		}
		*f = s
		return nil
	case *int64:
		n, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			return fmt.Errorf("%.40q is no number", text)
		}
		*f = n
		return nil
	}
	if err := json.Unmarshal(text, field); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return fmt.Errorf("%s is no %s", wrong.Value, wrong.Type)
		}
		return err
	}
	return nil
}
