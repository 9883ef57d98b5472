package main

import (
	_ "embed"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/template"

	"github.com/neap-project/neap/libs/fleet"
)

//go:embed packing.svg.tmpl
var drawingTemplate string

// drawing fills in the template. What comes from a table is safe, that is escaped; all
// else are numbers and colours.
var drawing = template.Must(template.New("packing").Parse(drawingTemplate))

// safe is what may stand within SVG.
type safe string

func safely(format string, args ...any) safe {
	var b strings.Builder
	clean := strings.Map(printable, strings.ToValidUTF8(fmt.Sprintf(format, args...), "·"))
	_ = xml.EscapeText(&b, []byte(clean)) // a builder does not fail
	return safe(b.String())
}

// px is a length in the picture, to a tenth of a pixel.
type px float64

// String writes it without needless decimals.
func (p px) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(p)), ".0")
}

// The picture is as wide as a page and as high as it has to be.
const (
	pageWidth  = 1240
	pageMargin = 24
	legendTop  = 100 // below the title
	lineHeight = 18
	boxGap     = 6
	labelRoom  = 14 // above a box that has a label

	mostBoxes    = 1200   // instances drawn one by one; of more, equal ones are drawn once
	mostTiles    = 30_000 // likewise; browsers become slow beyond
	mostLegend   = 24     // types told in the legend
	mostShapes   = 24     // sizes told in the legend
	widestBox    = 260.0
	narrowestBox = 9.0  // of the smallest type: below, nothing can be seen
	labelledBox  = 52.0 // from this width on a box has a label
	roomyPage    = 620_000.0
)

// picture is what the template draws.
type picture struct {
	Width, Height, Margin px
	Title, Subtitle       safe
	Legend                []legendType
	Shapes                []legendShape
	Notes                 []legendNote
	Boxes                 []box
}

type legendType struct {
	X, Y, CPU, Memory         px
	Title, Name, Count, Price safe
	CPUText, MemoryText       safe
}

type legendShape struct {
	X, Y   px
	Colour string
	Text   safe
}

type legendNote struct {
	X, Y px
	Text safe
}

// box is an instance, or several that hold the same.
type box struct {
	X, Y, W, H   px
	Line         px
	Title, Label safe
	Tiles        []tile
}

type tile struct {
	X, Y, W, H, TextX, TextY px
	Line                     px
	Colour                   string
	Title, Text              safe
}

// draw draws the packing.
func (s *sizing) draw(w io.Writer) error {
	p := picture{Width: pageWidth, Margin: pageMargin}
	p.Title = safely("%s on %s for %s", count(s.tasks.tasks-s.left(), "task"), count(len(s.names), "instance"), dollars(s.solution.Cost))
	p.Subtitle = safely("No packing of them costs less than %s; gap %s.", dollars(s.solution.LowerBound), gapWords(s.gap()))
	if n := s.left(); n > 0 {
		p.Notes = append(p.Notes, legendNote{X: pageMargin, Text: safely("%s not placed: larger than every type.", count(n, "task"))})
	}
	colours := s.colours()
	bottom := s.legend(&p, colours)
	p.Height = px(s.boxes(&p, colours, bottom) + pageMargin)
	return drawing.Execute(w, p)
}

// legend tells the types on the left and the sizes of tasks on the right, and returns
// where it ends.
func (s *sizing) legend(p *picture, colours []string) float64 {
	const bar, shapesAt, columns = 60, 600, 2
	list := s.bill()
	y := float64(legendTop)
	for i := range list[:min(len(list), mostLegend)] {
		b := &list[i]
		all := b.capacity()
		p.Legend = append(p.Legend, legendType{
			X: pageMargin, Y: px(y),
			Title: safely("%s: %d vCPU, %s; %s in all for %s", b.typ.name, b.typ.vcpus, gib(b.typ.capacity.MemoryMiB), count(b.tasks, "task"), dollars(b.cost())),
			Name:  safely("%s", clipped(b.typ.name, 16)), Count: safely("%d", b.count), Price: safely("%s", dollars(b.typ.price)),
			CPU: px(bar * fraction(b.used.CPUUnits, all.CPUUnits)), CPUText: safely("%s", percent(b.used.CPUUnits, all.CPUUnits)),
			Memory: px(bar * fraction(b.used.MemoryMiB, all.MemoryMiB)), MemoryText: safely("%s", percent(b.used.MemoryMiB, all.MemoryMiB)),
		})
		y += lineHeight
	}
	if more := len(list) - mostLegend; more > 0 {
		p.Notes = append(p.Notes, legendNote{X: pageMargin, Text: safely("… and %s more", count(more, "type"))})
	}
	right := float64(legendTop)
	shown := s.commonest()
	for i, at := range shown[:min(len(shown), mostShapes)] {
		sh := &s.items[at]
		right = legendTop + float64(i/columns)*lineHeight
		p.Shapes = append(p.Shapes, legendShape{
			X: px(shapesAt + float64(i%columns)*(pageWidth-shapesAt)/columns), Y: px(right),
			Colour: colours[at], Text: safely("%d × %s", sh.count, sh.needs),
		})
	}
	if more := len(shown) - mostShapes; more > 0 {
		right += lineHeight
		p.Shapes = append(p.Shapes, legendShape{X: shapesAt, Y: px(right), Colour: "#d0d7de", Text: safely("and %s more, each in a colour of its own", count(more, "size"))})
	}
	for i := range p.Notes {
		p.Notes[i].Y = px(y)
		y += lineHeight
	}
	return max(y, right+lineHeight) + labelRoom
}

// commonest lists the sizes, those with the most tasks first.
func (s *sizing) commonest() []int {
	order := make([]int, len(s.items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return s.items[b].count - s.items[a].count })
	return order
}

// colours gives each size its own: neighbours in the legend are far apart on the wheel, and
// lightness keeps those apart that come round to the same hue.
func (s *sizing) colours() []string {
	const golden = 137.508 // degrees: successive multiples never come close
	colours := make([]string, len(s.items))
	for rank, at := range s.commonest() {
		hue := math.Mod(210+golden*float64(rank), 360)
		colours[at] = fmt.Sprintf("hsl(%.0f 62%% %d%%)", hue, 72-6*(rank/12%4))
	}
	return colours
}

// group is a number of equal instances that are drawn in the same way.
type group struct{ entry, instance, times int }

// groups lists what is drawn: each instance by itself, or equal ones together where there
// are too many.
func (s *sizing) groups() []group {
	tiles := 0
	for _, inst := range s.solution.Instances {
		for _, h := range inst.Items {
			tiles += h.Count * inst.Count
		}
	}
	var list []group
	for e, inst := range s.solution.Instances {
		if len(s.names) > mostBoxes || tiles > mostTiles {
			list = append(list, group{entry: e, instance: s.first[e], times: inst.Count})
			continue
		}
		for n := range inst.Count {
			list = append(list, group{entry: e, instance: s.first[e] + n, times: 1})
		}
	}
	area := func(g group) float64 {
		w, h := s.extent(&s.types[s.solution.Instances[g.entry].Offering])
		return w * h
	}
	slices.SortStableFunc(list, func(a, b group) int {
		x, y := s.solution.Instances[a.entry].Offering, s.solution.Instances[b.entry].Offering
		if x == y {
			return 0
		}
		if d := area(b) - area(a); d != 0 {
			return int(math.Copysign(1, d))
		}
		return x - y
	})
	return list[:min(len(list), mostBoxes)]
}

// extent is the width and height of an instance before scaling: their product grows with
// its size and their ratio is that of its CPU and memory, four GiB per vCPU being square.
func (s *sizing) extent(t *sizedType) (w, h float64) {
	const square = 4096
	return math.Sqrt(float64(t.vcpus)), math.Sqrt(float64(t.capacity.MemoryMiB) / square)
}

// boxes lays the instances out in rows and returns where they end.
func (s *sizing) boxes(p *picture, colours []string, top float64) float64 {
	list := s.groups()
	area, widest, narrowest := 0.0, 0.0, math.Inf(1)
	for _, g := range list {
		w, h := s.extent(&s.types[s.solution.Instances[g.entry].Offering])
		area += w * h
		widest, narrowest = max(widest, w, h), min(narrowest, w, h)
	}
	scale := math.Sqrt(roomyPage / max(area, 1e-9))
	scale = max(min(scale, widestBox/max(widest, 1e-9)), narrowestBox/narrowest)
	scale = min(scale, (pageWidth-2*pageMargin)/max(widest, 1e-9))
	x, y, high := float64(pageMargin), top, 0.0
	labelled := -1 // the type that was named last
	for i, g := range list {
		offering := s.solution.Instances[g.entry].Offering
		t := &s.types[offering]
		w, h := s.extent(t)
		w, h = w*scale, h*scale
		if x+w > pageWidth-pageMargin && x > pageMargin {
			x, y, high = pageMargin, y+high+boxGap+labelRoom, 0
		}
		b := s.box(g, x, y, w, h, colours)
		if b.Label == "" && offering != labelled && s.spare(list[i:], w) >= lettersWide(t.name) && x+lettersWide(t.name) < pageWidth {
			b.Label = safely("%s", t.name) // small boxes share one label, above the first of them
		}
		labelled = offering
		p.Boxes = append(p.Boxes, b)
		x += w + boxGap
		high = max(high, h)
	}
	y += high
	if drawn := len(list); drawn < len(s.solution.Instances) {
		y += 2 * lineHeight
		p.Notes = append(p.Notes, legendNote{X: pageMargin, Y: px(y), Text: safely("… and %d more kinds of instance, not drawn", len(s.solution.Instances)-drawn)})
	}
	return y
}

// spare is how wide the boxes at the head of a list are together that are of one type.
func (s *sizing) spare(list []group, w float64) float64 {
	width := 0.0
	for _, g := range list {
		if s.solution.Instances[g.entry].Offering != s.solution.Instances[list[0].entry].Offering || width > pageWidth {
			break
		}
		width += w + boxGap
	}
	return width
}

// letter is the width of one in a label, on average.
const letter = 5.6

func lettersWide(s string) float64 { return letter * float64(len(s)) }

// box draws one instance with its tasks.
func (s *sizing) box(g group, x, y, w, h float64, colours []string) box {
	inst := &s.solution.Instances[g.entry]
	t := &s.types[inst.Offering]
	var used fleet.Resources
	tasks := 0
	for _, held := range inst.Items {
		used = used.Add(s.items[held.Item].needs.Times(int64(held.Count)))
		tasks += held.Count
	}
	b := box{X: px(x), Y: px(y), W: px(w), H: px(h), Line: px(min(1, w/40+0.3))}
	title := fmt.Sprintf("%s: %s, CPU %s, memory %s full, %s", s.names[g.instance], count(tasks, "task"),
		percent(used.CPUUnits, t.capacity.CPUUnits), percent(used.MemoryMiB, t.capacity.MemoryMiB), dollars(t.price))
	label := t.name
	if g.times > 1 {
		label = fmt.Sprintf("%d × %s", g.times, t.name)
		title = fmt.Sprintf("%d × %s", g.times, title)
	}
	b.Title = safely("%s", title)
	if w >= labelledBox {
		b.Label = safely("%s", clipped(label, int(w/letter)))
	} else if g.times > 1 {
		b.Label = safely("×%d", g.times)
	}
	b.Tiles = s.tiles(g, used, w, h, colours)
	return b
}

// tiles fills a box from below: as much of it as of the resource that is fullest, shared
// among the tasks by the larger share of the instance that each takes. They lie in rows.
func (s *sizing) tiles(g group, used fleet.Resources, w, h float64, colours []string) []tile {
	inst := &s.solution.Instances[g.entry]
	room := s.types[inst.Offering].capacity
	type part struct {
		item int
		size float64
	}
	var parts []part
	sum := 0.0
	for _, held := range inst.Items {
		needs := s.items[held.Item].needs
		size := larger(needs, room)
		for range held.Count {
			parts = append(parts, part{held.Item, size})
			sum += size
		}
	}
	slices.SortStableFunc(parts, func(a, b part) int {
		if a.size == b.size {
			return a.item - b.item
		}
		return int(math.Copysign(1, b.size-a.size))
	})
	full := larger(used, room)
	line := px(min(1, 0.12*math.Sqrt(w*h*full/float64(max(len(parts), 1)))))
	var tiles []tile
	y := h
	for len(parts) > 0 {
		// As many to a row as make its tiles about square.
		n, area := 0, 0.0
		for n < len(parts) {
			next := area + parts[n].size/sum*full*w*h
			if n > 0 && next/w > math.Sqrt(next/float64(n+1)) {
				break
			}
			area = next
			n++
		}
		rowHeight, x := area/w, 0.0
		y -= rowHeight
		for _, part := range parts[:n] {
			width := part.size / sum * full * w * h / max(rowHeight, 1e-9)
			tiles = append(tiles, s.tile(part.item, x, y, width, rowHeight, line, colours))
			x += width
		}
		parts = parts[n:]
	}
	return tiles
}

func (s *sizing) tile(item int, x, y, w, h float64, line px, colours []string) tile {
	needs := s.items[item].needs
	t := tile{X: px(x), Y: px(y), W: px(w), H: px(h), Line: line, Colour: colours[item], Title: safely("%s", needs)}
	const wide, high = 66, 16 // room for the words
	if w >= wide && h >= high {
		t.TextX, t.TextY = px(x+w/2), px(y+h/2+3.5)
		t.Text = safely("%s · %s", vcpus(needs.CPUUnits), gib(needs.MemoryMiB))
	}
	return t
}

// larger is the larger share of the CPU and the memory of an instance.
func larger(needs, room fleet.Resources) float64 {
	return max(fraction(needs.CPUUnits, room.CPUUnits), fraction(needs.MemoryMiB, room.MemoryMiB), fraction(needs.GPUs, room.GPUs))
}

func fraction(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func vcpus(units int64) string { return fmt.Sprintf("%.4g vCPU", float64(units)/unitsPerVCPU) }

// clipped is a text of at most so many letters.
func clipped(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:max(most-1, 0)]) + "…"
	}
	return s
}
