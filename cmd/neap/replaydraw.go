package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"os"
	"strings"
	"text/template"

	"github.com/neap-project/neap/libs/fleet/sim/dst"
)

//go:embed replay.svg.tmpl
var plotTemplate string

var plotting = template.Must(template.New("replay").Parse(plotTemplate))

// The plot is three charts, one below the other.
const (
	plotWidth   = 1240.0
	plotLeft    = 80.0
	plotTop     = 96.0
	chartWidth  = plotWidth - plotLeft - 24
	chartHeight = 200.0
	chartGap    = 70.0
	keyWidth    = 150.0
	gridLines   = 4
	hourMarks   = 12
)

type plotPage struct {
	Width, Height, Left px
	Title, Subtitle     safe
	Charts              []plotChart
}

type plotChart struct {
	X, Y   px
	Name   safe
	Lines  []plotLine
	Hours  []plotMark
	Curves []plotCurve
}

type plotLine struct {
	To, Y px
	Text  safe
}

type plotMark struct {
	X, Y px
	Text safe
}

type plotCurve struct {
	Name        safe
	Colour      string
	KeyX, TextX px
	Points      safe
}

// curve is a quantity over time.
type curve struct {
	name, colour string
	of           func(*dst.Sample) float64
}

// writePlot draws what was wanted, what was there and what it cost, over time.
func writePlot(file string, r *replayReport, samples []dst.Sample) error {
	const demand, capacity, running = "#0969da", "#8250df", "#1a7f37"
	const mib = 1024.0
	charts := []struct {
		name   string
		curves []curve
	}{
		{"vCPUs", []curve{
			{"capacity", capacity, func(s *dst.Sample) float64 { return float64(s.Capacity.CPUUnits) / unitsPerVCPU }},
			{"wanted", demand, func(s *dst.Sample) float64 { return float64(s.Wanted.CPUUnits) / unitsPerVCPU }},
			{"running", running, func(s *dst.Sample) float64 { return float64(s.Running.CPUUnits) / unitsPerVCPU }},
		}},
		{"memory, GiB", []curve{
			{"capacity", capacity, func(s *dst.Sample) float64 { return float64(s.Capacity.MemoryMiB) / mib }},
			{"wanted", demand, func(s *dst.Sample) float64 { return float64(s.Wanted.MemoryMiB) / mib }},
			{"running", running, func(s *dst.Sample) float64 { return float64(s.Running.MemoryMiB) / mib }},
		}},
		{"US dollars per hour", []curve{
			{"cost", capacity, func(s *dst.Sample) float64 { return s.CostPerHour.USD() }},
			{"lower bound", demand, func(s *dst.Sample) float64 { return s.BoundPerHour.USD() }},
		}},
	}
	page := plotPage{
		Width: plotWidth, Height: px(plotTop + float64(len(charts))*(chartHeight+chartGap)), Left: plotLeft,
		Title:    safely("%s: %s over %.1f hours", r.Trace, count(r.Tasks, "task"), r.Hours),
		Subtitle: safely("$%.2f, %.1f %% above the lower bound; half of the tasks waited less than %.0f s, 1 %% more than %.0f s; %d instances launched, %d tasks moved", r.Cost, r.Over*100, r.Waits.P50, r.Waits.P99, r.Launches, r.Moved),
	}
	for i, c := range charts {
		page.Charts = append(page.Charts, chartOf(c.name, c.curves, samples, r.Hours, px(plotTop+float64(i)*(chartHeight+chartGap))))
	}
	var b bytes.Buffer
	if err := plotting.Execute(&b, page); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o600)
}

func chartOf(name string, curves []curve, samples []dst.Sample, hours float64, top px) plotChart {
	most := 0.0
	for i := range samples {
		for _, c := range curves {
			most = max(most, c.of(&samples[i]))
		}
	}
	most = roundUp(most)
	hours = max(hours, 1.0/60)
	chart := plotChart{X: plotLeft, Y: top, Name: safely("%s", name)}
	for n := range gridLines + 1 {
		share := float64(n) / gridLines
		chart.Lines = append(chart.Lines, plotLine{To: chartWidth, Y: px(chartHeight * (1 - share)), Text: safely("%g", most*share)})
	}
	for n := range hourMarks + 1 {
		share := float64(n) / hourMarks
		chart.Hours = append(chart.Hours, plotMark{X: px(chartWidth * share), Y: chartHeight + 18, Text: safely("%.3gh", hours*share)})
	}
	for n, c := range curves {
		var points strings.Builder
		for i := range samples {
			fmt.Fprintf(&points, "%s,%s ", px(samples[i].At.Hours()/hours*chartWidth), px(chartHeight*(1-c.of(&samples[i])/most)))
		}
		x := px(chartWidth - keyWidth*float64(len(curves)-n))
		chart.Curves = append(chart.Curves, plotCurve{Name: safely("%s", c.name), Colour: c.colour, KeyX: x, TextX: x + 18, Points: safe(strings.TrimSpace(points.String()))})
	}
	return chart
}

// roundUp is the next number with one digit that a grid divides well: 4, 8, 20, 40, 80 …
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	scale := math.Pow(10, math.Floor(math.Log10(v)))
	for _, digit := range []float64{1, 2, 4, 8} {
		if v <= digit*scale {
			return digit * scale
		}
	}
	return 10 * scale
}
