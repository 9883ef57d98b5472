package main

import (
	"fmt"
	"html"
	"strings"

	"github.com/charmbracelet/lipgloss"
)

// tint is what a cell of a frame looks like: a meaning, not a colour.
type tint int

// The tints. Those from firstTask on tell services apart and repeat after paletteSize.
const (
	plain tint = iota
	faint
	strong
	good
	warning
	bad
	spare // headroom
	firstTask
)

// palette gives each tint a colour that is legible on dark and light terminals. The last
// ones are for tasks.
var palette = []string{"", "#8a8f98", "", "#2f9e44", "#d9822b", "#d6336c", "#4c78a8", "#5b8ff9", "#61c9a8", "#f6bd16", "#9270ca", "#ff9d4d", "#269a99"}

const paletteSize = 6 // services that have a colour of their own

func taskTint(service int) tint { return firstTask + tint(service%paletteSize) }

// cell is one character of a frame.
type cell struct {
	r    rune
	tint tint
}

// frame is a picture made of characters, drawn on a terminal or into an SVG.
type frame struct {
	width int
	bar   int // width of an instance's bar
	rows  [][]cell
}

// line starts a new row.
func (f *frame) line() { f.rows = append(f.rows, nil) }

// put adds text to the current row; what does not fit is cut off.
func (f *frame) put(t tint, format string, args ...any) {
	last := len(f.rows) - 1
	for _, r := range fmt.Sprintf(format, args...) {
		if len(f.rows[last]) >= f.width {
			return
		}
		f.rows[last] = append(f.rows[last], cell{printable(r), t})
	}
}

// tab fills the current row with blanks up to a column.
func (f *frame) tab(column int) {
	last := len(f.rows) - 1
	for len(f.rows[last]) < min(column, f.width) {
		f.rows[last] = append(f.rows[last], cell{' ', plain})
	}
}

// runs calls yield for each stretch of one tint of a row.
func runs(row []cell, yield func(t tint, text string)) {
	for start := 0; start < len(row); {
		end := start
		var text strings.Builder
		for end < len(row) && row[end].tint == row[start].tint {
			text.WriteRune(row[end].r)
			end++
		}
		yield(row[start].tint, text.String())
		start = end
	}
}

// terminal is the frame as text with colours, one string a row.
func (f *frame) terminal(style func(tint) lipgloss.Style) []string {
	lines := make([]string, len(f.rows))
	for i, row := range f.rows {
		var b strings.Builder
		runs(row, func(t tint, text string) { b.WriteString(style(t).Render(text)) })
		lines[i] = b.String()
	}
	return lines
}

// styles are the tints for a terminal; lipgloss leaves out what it cannot show.
func styles(r *lipgloss.Renderer) func(tint) lipgloss.Style {
	made := make([]lipgloss.Style, len(palette))
	for i, colour := range palette {
		made[i] = r.NewStyle().Inline(true)
		if colour != "" {
			made[i] = made[i].Foreground(lipgloss.Color(colour))
		}
	}
	made[strong] = made[strong].Bold(true)
	return func(t tint) lipgloss.Style { return made[t] }
}

// svg is the frame as a picture for a page.
func (f *frame) svg() string {
	const charWidth, lineHeight, margin = 8.4, 18.0, 16.0
	width, height := float64(f.width)*charWidth+2*margin, float64(len(f.rows))*lineHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="14">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#14171c"/>`+"\n")
	for i, row := range f.rows {
		column := 0
		runs(row, func(t tint, text string) {
			colour, weight := palette[t], ""
			if colour == "" {
				colour = "#e6e8eb"
			}
			if t == strong {
				weight = ` font-weight="bold"`
			}
			n := len([]rune(text))
			if strings.TrimSpace(text) != "" {
				fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" fill="%s"%s textLength="%.1f" xml:space="preserve">%s</text>`+"\n",
					margin+float64(column)*charWidth, margin+float64(i)*lineHeight+13, colour, weight, float64(n)*charWidth, html.EscapeString(text))
			}
			column += n
		})
	}
	b.WriteString("</svg>\n")
	return b.String()
}
