package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// Bounds of what is read: beyond them a table is taken for a mistake, and within them no
// sum of sizes or prices overflows.
const (
	mostTasks  = 10_000_000
	mostTypes  = 100_000
	mostUnits  = 1 << 30 // CPU units, MiB: a million vCPUs, a PiB
	mostVCPUs  = mostUnits / unitsPerVCPU
	mostGPUs   = 1 << 20
	mostPrice  = 100_000 // dollars per hour; the dearest EC2 type costs a few hundred
	mostHeader = 1000    // columns

	unitsPerVCPU = 1024
)

// sheet reads a CSV table row by row.
type sheet struct {
	name    string // for errors
	r       *csv.Reader
	columns []string // as the header has them
	at      map[string]int
	row     []string
	line    int
}

// newSheet reads the header of a table. Columns that are neither required nor optional are
// ignored, and that is said, for a misspelt one would be ignored as well.
func newSheet(name string, r io.Reader, notes io.Writer, required, optional []string) (*sheet, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	mark, _ := b.Peek(3)
	switch {
	case bytes.Equal(mark, []byte("\xef\xbb\xbf")):
		_, _ = b.Discard(len(mark)) // what was peeked is there
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		return nil, fmt.Errorf("%w: %s:1: the text is UTF-16; save it as UTF-8", fleet.ErrInvalid, name)
	}
	s := &sheet{name: name, r: csv.NewReader(b), at: map[string]int{}}
	s.r.ReuseRecord = true
	s.r.FieldsPerRecord = -1 // ragged rows are told in our words
	s.r.TrimLeadingSpace = true
	header, err := s.r.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %s: the table is empty; begin it with the columns %s", fleet.ErrInvalid, name, strings.Join(required, ","))
	}
	if err != nil {
		return nil, s.broken(err)
	}
	if len(header) > mostHeader {
		return nil, fmt.Errorf("%w: %s:1: %d columns; at most %d", fleet.ErrInvalid, name, len(header), mostHeader)
	}
	var ignored []string
	for i, column := range header {
		column = strings.ToLower(strings.TrimSpace(column))
		s.columns = append(s.columns, column)
		if !slices.Contains(required, column) && !slices.Contains(optional, column) {
			ignored = append(ignored, column)
			continue
		}
		if _, twice := s.at[column]; twice {
			return nil, fmt.Errorf("%w: %s:1: column %s is there twice; remove or rename one", fleet.ErrInvalid, name, column)
		}
		s.at[column] = i
	}
	for _, column := range required {
		if _, ok := s.at[column]; !ok {
			return nil, fmt.Errorf("%w: %s:1: column %s is missing; the columns are %.200q, separated by commas: add or rename one",
				fleet.ErrInvalid, name, column, strings.Join(s.columns, ","))
		}
	}
	if len(ignored) > 0 {
		fmt.Fprintf(notes, "note: %s: these columns are ignored: %.200s\n", name, strings.Map(printable, strings.Join(ignored, ", ")))
	}
	return s, nil
}

// next reads a row and reports whether there was one.
func (s *sheet) next() (bool, error) {
	row, err := s.r.Read()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, s.broken(err)
	}
	s.row = row
	s.line, _ = s.r.FieldPos(0)
	if len(row) != len(s.columns) {
		return false, fmt.Errorf("%w: %s:%d: %s where the header has %d; fill in or remove some",
			fleet.ErrInvalid, s.name, s.line, count(len(row), "field"), len(s.columns))
	}
	return true, nil
}

// broken is what the reader of the table says, with its place.
func (s *sheet) broken(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("%w: %s:%d: column %d: %w; put quotes around a whole field and double those within", fleet.ErrInvalid, s.name, p.Line, p.Column, p.Err)
	}
	return fmt.Errorf("read %s: %w", s.name, err)
}

// wrong says what is wrong with a field of the row.
func (s *sheet) wrong(column, format string, args ...any) error {
	return fmt.Errorf("%w: %s:%d: %s: %.80q: %s", fleet.ErrInvalid, s.name, s.line, column, s.field(column), fmt.Sprintf(format, args...))
}

// field is a field of the row without the space around it; "" without such a column.
func (s *sheet) field(column string) string {
	i, ok := s.at[column]
	if !ok {
		return ""
	}
	return strings.TrimSpace(s.row[i])
}

// whole reads a whole number. An empty field of an optional column is the value that it
// has otherwise.
func (s *sheet) whole(column string, least, most int64, otherwise ...int64) (int64, error) {
	text := s.field(column)
	if text == "" && len(otherwise) > 0 {
		return otherwise[0], nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f, bad := strconv.ParseFloat(text, 64) // some programs write 512 as 512.0
		switch {
		case errors.Is(err, strconv.ErrRange), bad != nil && errors.Is(bad, strconv.ErrRange), math.Abs(f) > 1<<53:
			n = most + 1
			if strings.HasPrefix(text, "-") {
				n = -1
			}
		case bad != nil, math.IsNaN(f), f != math.Trunc(f):
			return 0, s.wrong(column, "use a whole number from %d to %d", least, most)
		default:
			n = int64(f)
		}
	}
	switch {
	case n < least:
		return 0, s.wrong(column, "use at least %d", least)
	case n > most:
		return 0, s.wrong(column, "use at most %d", most)
	}
	return n, nil
}

// price reads dollars per hour.
func (s *sheet) price(column string) (fleet.Price, error) {
	f, err := strconv.ParseFloat(s.field(column), 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), math.IsNaN(f):
		return 0, s.wrong(column, "use a number of US dollars per hour, such as 0.0960")
	case f <= 0:
		return 0, s.wrong(column, "use a price above 0; leave a type out whose price is not known")
	case f > mostPrice:
		return 0, s.wrong(column, "use at most %d dollars per hour", mostPrice)
	}
	p := fleet.USD(f)
	if p == 0 {
		return 0, s.wrong(column, "it is less than half a millionth of a dollar, which rounds to nothing; use at least 0.000001")
	}
	return p, nil
}

// sizedType is an instance type of the table.
type sizedType struct {
	name     string
	vcpus    int64
	capacity fleet.Resources
	price    fleet.Price
}

// readTypes reads the table of instance types, sorted by name.
func readTypes(name string, r io.Reader, notes io.Writer) ([]sizedType, error) {
	s, err := newSheet(name, r, notes, []string{"name", "vcpus", "memory_mib", "price_per_hour"}, []string{"gpus"})
	if err != nil {
		return nil, err
	}
	var types []sizedType
	lines := map[string]int{}
	for {
		more, err := s.next()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		t, err := s.typ()
		if err != nil {
			return nil, err
		}
		if line, twice := lines[t.name]; twice {
			return nil, s.wrong("name", "line %d has it as well; give each type one row", line)
		}
		if len(types) == mostTypes {
			return nil, fmt.Errorf("%w: %s:%d: more than %d types; leave out those that you would not buy", fleet.ErrInvalid, name, s.line, mostTypes)
		}
		lines[t.name] = s.line
		types = append(types, t)
	}
	if len(types) == 0 {
		return nil, fmt.Errorf("%w: %s: there are no types below the header; add at least one row", fleet.ErrInvalid, name)
	}
	slices.SortFunc(types, func(a, b sizedType) int { return cmp.Compare(a.name, b.name) })
	return types, nil
}

func (s *sheet) typ() (t sizedType, err error) {
	if t.name = strings.Clone(s.field("name")); t.name == "" {
		return t, s.wrong("name", "give each type a name")
	}
	if t.vcpus, err = s.whole("vcpus", 1, mostVCPUs); err != nil {
		return t, err
	}
	t.capacity.CPUUnits = t.vcpus * unitsPerVCPU
	if t.capacity.MemoryMiB, err = s.whole("memory_mib", 1, mostUnits); err != nil {
		return t, err
	}
	if t.capacity.GPUs, err = s.whole("gpus", 0, mostGPUs, 0); err != nil {
		return t, err
	}
	t.price, err = s.price("price_per_hour")
	return t, err
}

// workload is the table of tasks: rows, each with its identity, and the few shapes they
// come in.
type workload struct {
	ids    idTable
	rows   []taskRow
	shapes []shape
	tasks  int
}

type taskRow struct{ shape, count int32 }

type shape struct {
	needs fleet.Resources
	count int
}

// readTasks reads the table of tasks. It takes some thirty bytes a row, the ID apart.
func readTasks(ctx context.Context, name string, r io.Reader, notes io.Writer) (*workload, error) {
	s, err := newSheet(name, r, notes, []string{"id", "cpu_units", "memory_mib"}, []string{"gpus", "count"})
	if err != nil {
		return nil, err
	}
	w := &workload{ids: newIDTable()}
	known := map[fleet.Resources]int32{}
	const often = 2_000_000 // rows: a second or two
	for {
		more, err := s.next()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		needs, n, err := s.task()
		if err != nil {
			return nil, err
		}
		if w.tasks += int(n); w.tasks > mostTasks {
			return nil, fmt.Errorf("%w: %s:%d: more than %d tasks; pack them in parts", fleet.ErrInvalid, name, s.line, mostTasks)
		}
		if row, fresh := w.ids.add(s.field("id")); !fresh {
			return nil, s.wrong("id", "row %d has it as well; give each row its own ID, and like tasks a count", row+1)
		}
		i, ok := known[needs]
		if !ok {
			i = int32(len(w.shapes))
			known[needs] = i
			w.shapes = append(w.shapes, shape{needs: needs})
		}
		w.shapes[i].count += int(n)
		w.rows = append(w.rows, taskRow{shape: i, count: int32(n)})
		if len(w.rows)%often == 0 {
			fmt.Fprintf(notes, "reading %s: %d rows …\n", name, len(w.rows))
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	if len(w.rows) == 0 {
		return nil, fmt.Errorf("%w: %s: there are no tasks below the header; add at least one row", fleet.ErrInvalid, name)
	}
	w.order()
	return w, nil
}

func (s *sheet) task() (needs fleet.Resources, n int64, err error) {
	if s.field("id") == "" {
		return needs, 0, s.wrong("id", "give each row an ID")
	}
	if needs.CPUUnits, err = s.whole("cpu_units", 1, mostUnits); err != nil {
		return needs, 0, err
	}
	if needs.MemoryMiB, err = s.whole("memory_mib", 1, mostUnits); err != nil {
		return needs, 0, err
	}
	if needs.GPUs, err = s.whole("gpus", 0, mostGPUs, 0); err != nil {
		return needs, 0, err
	}
	n, err = s.whole("count", 1, mostTasks, 1)
	return needs, n, err
}

// order sorts the shapes, the largest first, so that the order of the rows does not matter.
func (w *workload) order() {
	order := make([]int, len(w.shapes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := w.shapes[a].needs, w.shapes[b].needs
		return cmp.Or(cmp.Compare(y.GPUs, x.GPUs), cmp.Compare(y.CPUUnits, x.CPUUnits), cmp.Compare(y.MemoryMiB, x.MemoryMiB))
	})
	sorted, to := make([]shape, len(order)), make([]int32, len(order))
	for at, from := range order {
		sorted[at], to[from] = w.shapes[from], int32(at)
	}
	w.shapes = sorted
	for i := range w.rows {
		w.rows[i].shape = to[w.rows[i].shape]
	}
}

// idTable is a list of distinct strings, numbered from 0, that takes little more room than
// their letters: one string header and map entry each would be most of a large table.
type idTable struct {
	text  []byte
	ends  []int
	seed  maphash.Seed
	table []int32 // open addressing; number + 1, 0 is empty
}

func newIDTable() idTable { return idTable{seed: maphash.MakeSeed(), table: make([]int32, 64)} }

func (n *idTable) at(i int) string {
	start := 0
	if i > 0 {
		start = n.ends[i-1]
	}
	return string(n.text[start:n.ends[i]])
}

// add appends a name and returns its number, or the number it has already.
func (n *idTable) add(name string) (number int, fresh bool) {
	if 2*len(n.ends) >= len(n.table) {
		n.grow()
	}
	at := n.slot(name)
	if have := n.table[at]; have != 0 {
		return int(have - 1), false
	}
	n.text = append(n.text, name...)
	n.ends = append(n.ends, len(n.text))
	n.table[at] = int32(len(n.ends))
	return len(n.ends) - 1, true
}

// slot is where a name is in the table, or would be.
func (n *idTable) slot(name string) uint64 {
	mask := uint64(len(n.table) - 1)
	for at := maphash.String(n.seed, name) & mask; ; at = (at + 1) & mask {
		if have := n.table[at]; have == 0 || n.equal(int(have-1), name) {
			return at
		}
	}
}

func (n *idTable) equal(i int, name string) bool {
	start := 0
	if i > 0 {
		start = n.ends[i-1]
	}
	return string(n.text[start:n.ends[i]]) == name
}

func (n *idTable) grow() {
	n.table = make([]int32, 2*len(n.table))
	for i := range n.ends {
		n.table[n.slot(n.at(i))] = int32(i + 1)
	}
}
