package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// bought is what is bought of one type.
type bought struct {
	typ   *sizedType
	count int
	tasks int
	used  fleet.Resources // of all of them
}

func (b *bought) cost() fleet.Price         { return fleet.Price(b.count) * b.typ.price }
func (b *bought) capacity() fleet.Resources { return b.typ.capacity.Times(int64(b.count)) }

// bill lists what is bought by type, the dearest sum first.
func (s *sizing) bill() []bought {
	at := map[int]int{}
	var list []bought
	for _, inst := range s.solution.Instances {
		i, ok := at[inst.Offering]
		if !ok {
			i = len(list)
			at[inst.Offering] = i
			list = append(list, bought{typ: &s.types[inst.Offering]})
		}
		b := &list[i]
		b.count += inst.Count
		for _, h := range inst.Items {
			n := h.Count * inst.Count
			b.tasks += n
			b.used = b.used.Add(s.items[h.Item].needs.Times(int64(n)))
		}
	}
	slices.SortFunc(list, func(a, b bought) int {
		return cmp.Or(cmp.Compare(b.cost(), a.cost()), cmp.Compare(a.typ.name, b.typ.name))
	})
	return list
}

// print prints the packing in the form that was asked for.
func (s *sizing) print(w io.Writer, form string, placements bool) error {
	out := bufio.NewWriterSize(w, 1<<16)
	var err error
	switch form {
	case "json":
		err = s.json(out, placements)
	case "csv":
		err = s.csv(out, placements)
	default:
		s.table(out, placements)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// typeCount is how many instances of a type are bought.
type typeCount struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
}

// taskPlace is where one task is.
type taskPlace struct {
	ID       string `json:"id"`
	Number   int    `json:"number,omitempty"` // which of the tasks of a row that has a count, from 1
	Instance string `json:"instance"`
	Type     string `json:"type"`
}

// json prints one object. The placements may be millions, so they are written as they come.
func (s *sizing) json(w *bufio.Writer, placements bool) error {
	list := []typeCount{}
	for _, b := range s.bill() {
		list = append(list, typeCount{b.typ.name, b.count})
	}
	head, err := json.MarshalIndent(struct {
		Cost       float64     `json:"cost_per_hour"`
		LowerBound float64     `json:"lower_bound_per_hour"`
		Gap        float64     `json:"gap"`
		Instances  []typeCount `json:"instances"`
		Unplaced   []unplaced  `json:"unplaced"`
		ElapsedMS  float64     `json:"elapsed_ms"`
	}{s.solution.Cost.USD(), s.solution.LowerBound.USD(), s.gap(), list, s.leftOver(), float64(s.elapsed.Microseconds()) / 1000}, "", "  ")
	if err != nil {
		return err
	}
	if !placements {
		_, err = w.Write(append(head, '\n'))
		return err
	}
	head = bytes.TrimSuffix(head, []byte("\n}"))
	_, _ = w.Write(head) // the error stays and comes back from Flush
	_, _ = w.WriteString(",\n  \"placements\": [")
	separator := "\n    "
	s.eachPlace(func(p taskPlace) bool {
		var line []byte
		if line, err = json.Marshal(p); err != nil {
			return false
		}
		_, _ = w.WriteString(separator)
		_, err = w.Write(line)
		separator = ",\n    "
		return err == nil
	})
	_, _ = w.WriteString("\n  ]\n}\n")
	return err
}

// eachPlace calls yield with every task that is placed, one by one.
func (s *sizing) eachPlace(yield func(taskPlace) bool) {
	row, number := -1, 0
	s.placements(func(p placed) bool {
		if p.row != row {
			row, number = p.row, 0
		}
		place := taskPlace{ID: s.tasks.ids.at(p.row), Instance: s.names[p.instance], Type: s.types[s.typeOf(p.instance)].name}
		for range p.count {
			number++
			if s.tasks.rows[p.row].count > 1 {
				place.Number = number
			}
			if !yield(place) {
				return false
			}
		}
		return true
	})
}

// typeOf is the type of an instance.
func (s *sizing) typeOf(instance int) int {
	i, found := slices.BinarySearch(s.first, instance)
	if !found {
		i--
	}
	return s.solution.Instances[i].Offering
}

// csv prints what to buy, or every task with its instance; a task without one has none.
func (s *sizing) csv(w io.Writer, placements bool) error {
	out := csv.NewWriter(w)
	if !placements {
		_ = out.Write([]string{"type", "count", "price_per_hour", "cost_per_hour", "tasks", "cpu_fill", "memory_fill"})
		for _, b := range s.bill() {
			_ = out.Write([]string{
				b.typ.name, strconv.Itoa(b.count), decimal(b.typ.price), decimal(b.cost()), strconv.Itoa(b.tasks),
				fill(b.used.CPUUnits, b.capacity().CPUUnits), fill(b.used.MemoryMiB, b.capacity().MemoryMiB),
			})
		}
		out.Flush()
		return out.Error()
	}
	_ = out.Write([]string{"id", "number", "instance", "type"})
	s.eachPlace(func(p taskPlace) bool {
		return out.Write([]string{p.ID, strconv.Itoa(max(p.Number, 1)), p.Instance, p.Type}) == nil
	})
	for _, u := range s.leftOver() {
		for n := range u.Count {
			_ = out.Write([]string{u.ID, strconv.Itoa(n + 1), "", ""}) // the writer keeps its first error
		}
	}
	out.Flush()
	return out.Error()
}

// decimal is a price as a plain number.
func decimal(p fleet.Price) string { return strconv.FormatFloat(p.USD(), 'f', -1, 64) }

// fill is a share with three decimals.
func fill(part, whole int64) string {
	return strconv.FormatFloat(float64(part)/float64(max(whole, 1)), 'f', 3, 64)
}

// table prints the packing for people.
func (s *sizing) table(w *bufio.Writer, placements bool) {
	var b bytes.Buffer
	placed := s.tasks.tasks - s.left()
	list := s.bill()
	instances := len(s.names)
	fmt.Fprintf(&b, "%s of %s packed into %s of %s, in %s at effort %s\n", count(placed, "task"), count(len(s.tasks.shapes), "size"),
		count(instances, "instance"), count(len(list), "type"), s.took(), s.effort)
	if instances > 0 {
		fmt.Fprintln(&b)
		s.billTable(&b, list)
		fmt.Fprintf(&b, "\n  cost         %s\n  lower bound  %s  (no packing of these tasks into these types costs less)\n  gap          %s\n",
			dollars(s.solution.Cost), dollars(s.solution.LowerBound), gapWords(s.gap()))
	}
	if left := s.leftOver(); len(left) > 0 {
		fmt.Fprintf(&b, "\nNOT PLACED\n")
		t := newTable(&b, "TASK", "COUNT", "WHY", "NEAREST TYPE", "WHAT IT LACKS")
		for _, u := range left[:min(len(left), mostRows)] {
			t.row(u.ID, u.Count, string(u.Why), u.Nearest, u.Shortfall)
		}
		t.end()
		if more := len(left) - mostRows; more > 0 {
			fmt.Fprintf(&b, "  … and %d more (--output json lists them)\n", more)
		}
	}
	writeTrimmed(w, &b)
	if placements && placed > 0 {
		s.placementTable(w)
	}
}

func (s *sizing) billTable(b *bytes.Buffer, list []bought) {
	gpus := slices.ContainsFunc(list, func(x bought) bool { return x.typ.capacity.GPUs > 0 })
	columns := []string{"TYPE", "COUNT", "VCPUS", "MEMORY", "PRICE", "COST", "TASKS", "CPU FILLED", "MEMORY FILLED"}
	if gpus {
		columns = append(columns, "GPUS FILLED")
	}
	t := newTable(b, columns...)
	for i := range list {
		x := &list[i]
		cells := []any{
			x.typ.name, x.count, x.typ.vcpus, gib(x.typ.capacity.MemoryMiB), dollars(x.typ.price), dollars(x.cost()), x.tasks,
			percent(x.used.CPUUnits, x.capacity().CPUUnits), percent(x.used.MemoryMiB, x.capacity().MemoryMiB),
		}
		if gpus {
			cells = append(cells, percent(x.used.GPUs, x.capacity().GPUs))
		}
		t.row(cells...)
	}
	t.end()
}

// placementTable lists each row of tasks with its instances. It is written as it comes,
// for a million rows would not be aligned in one go.
func (s *sizing) placementTable(w *bufio.Writer) {
	const widest = 40
	width := len("TASK")
	for row := range s.tasks.rows {
		width = min(max(width, len(s.tasks.ids.at(row))), widest)
	}
	fmt.Fprintf(w, "\nPLACEMENTS\n  %-*s  %7s  %s\n", width, "TASK", "COUNT", "INSTANCE")
	s.placements(func(p placed) bool {
		id := strings.Map(printable, s.tasks.ids.at(p.row))
		_, err := fmt.Fprintf(w, "  %-*s  %7d  %s\n", width, id, p.count, strings.Map(printable, s.names[p.instance]))
		return err == nil
	})
}

// writeTrimmed copies text without the space that tables leave at the end of lines.
func writeTrimmed(w io.Writer, b *bytes.Buffer) {
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

func (s *sizing) took() string {
	const precise = 1000 // below a second, milliseconds are news
	if ms := s.elapsed.Milliseconds(); ms < precise {
		return fmt.Sprintf("%d ms", ms)
	}
	return fmt.Sprintf("%.1f s", s.elapsed.Seconds())
}

// dollars is a price with as many decimals as it needs, at least four.
func dollars(p fleet.Price) string {
	text := fmt.Sprintf("$%.6f", p.USD())
	for range 2 {
		text = strings.TrimSuffix(text, "0")
	}
	return text + "/h"
}

func gapWords(gap float64) string {
	switch {
	case gap <= 0:
		return "none: it is the cheapest"
	case gap < 0.0001:
		return "below 0.01 %: no packing is cheaper by more"
	}
	return fmt.Sprintf("%.2f %%: no packing is cheaper by more", gap*100)
}

// gib is an amount of memory for people.
func gib(mib int64) string {
	return strconv.FormatFloat(float64(mib)/1024, 'g', 4, 64) + " GiB"
}

// shortfall says what a type lacks to hold a task: "memory: needs 4096 MiB, it has 3072".
func shortfall(needs, capacity fleet.Resources) string {
	return strings.ReplaceAll(needs.Shortfall(capacity), " free", " in all")
}
