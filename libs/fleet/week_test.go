package fleet_test

import (
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// TestWindows: from counts, to does not; a window that ends before it begins goes on into
// the next day, and belongs to the day on which it began.
func TestWindows(t *testing.T) {
	office := fleet.WeekWindow{Days: []fleet.Weekday{"mon", "fri"}, From: "08:00", To: "18:00"}
	night := fleet.WeekWindow{Days: []fleet.Weekday{"sat"}, From: "22:00", To: "06:00"}
	always := fleet.WeekWindow{From: "00:00", To: "24:00"}
	delhi := fleet.WeekWindow{Days: []fleet.Weekday{"mon"}, From: "00:30", To: "01:30", UTCOffset: "+05:30"}
	lima := fleet.WeekWindow{Days: []fleet.Weekday{"sun"}, From: "22:00", To: "23:00", UTCOffset: "-05:00"}
	weekend := fleet.WeekWindow{Days: []fleet.Weekday{"fri"}, From: "20:00", To: "07:00", ToDay: "mon", TimeZone: "Europe/Berlin"}
	week := fleet.WeekWindow{Days: []fleet.Weekday{"mon"}, From: "08:00", To: "08:00", ToDay: "mon"}
	for _, c := range []struct {
		name   string
		window fleet.WeekWindow
		at     string // Monday is 2026-03-16
		want   bool
	}{
		{"begins", office, "2026-03-16T08:00:00Z", true},
		{"a second before", office, "2026-03-16T07:59:59Z", false},
		{"the last second", office, "2026-03-20T17:59:59Z", true},
		{"ends", office, "2026-03-20T18:00:00Z", false},
		{"another day", office, "2026-03-17T12:00:00Z", false},
		{"late on its day", night, "2026-03-14T23:00:00Z", true},
		{"early on the next", night, "2026-03-15T05:59:00Z", true},
		{"early on its day", night, "2026-03-14T05:00:00Z", false},
		{"late on the next", night, "2026-03-15T23:00:00Z", false},
		{"midnight", always, "2026-03-16T00:00:00Z", true},
		{"the end of the day", always, "2026-03-16T23:59:59Z", true},
		{"Monday in Delhi is Sunday in Greenwich", delhi, "2026-03-15T19:00:00Z", true},
		{"and not Monday", delhi, "2026-03-16T19:00:00Z", false},
		{"Sunday in Lima is Monday in Greenwich", lima, "2026-03-16T03:30:00Z", true},
		{"the weekend has not begun", weekend, "2026-03-20T18:59:00Z", false},
		{"begins on Friday evening, an hour ahead in winter", weekend, "2026-03-20T19:00:00Z", true},
		{"goes on over Sunday", weekend, "2026-03-22T03:00:00Z", true},
		{"ends on Monday, an hour later in winter", weekend, "2026-03-23T05:59:00Z", true},
		{"than in summer", weekend, "2026-03-30T05:00:00Z", false},
		{"a second before that", weekend, "2026-03-30T04:59:59Z", true},
		{"from Monday to Monday is all week", week, "2026-03-16T07:59:00Z", true},
		{"never: no such zone", fleet.WeekWindow{From: "00:00", To: "24:00", TimeZone: "Mars/Olympus"}, "2026-03-16T12:00:00Z", false},
		{"never: no time of day", fleet.WeekWindow{From: "25:00", To: "26:00"}, "2026-03-16T12:00:00Z", false},
	} {
		at := must(time.Parse(time.RFC3339, c.at))
		if got := c.window.Holds(at); got != c.want {
			t.Errorf("%s: %+v at %s: %v", c.name, c.window, c.at, got)
		}
		if got := c.window.Holds(at.In(time.FixedZone("elsewhere", 3*60*60))); got != c.want {
			t.Errorf("%s: depends on the zone of the time", c.name)
		}
	}
}

func TestHeadroomAt(t *testing.T) {
	none := 0
	h := fleet.Headroom{
		Units: []fleet.HeadroomUnit{{CPUUnits: 1, Count: 1}}, Percentage: 5, AutomaticPercentage: 7,
		Schedule: []fleet.HeadroomWindow{
			{WeekWindow: fleet.WeekWindow{From: "08:00", To: "09:00"}, Percentage: &none},
			{WeekWindow: fleet.WeekWindow{From: "08:30", To: "10:00"}, Units: []fleet.HeadroomUnit{{CPUUnits: 2, Count: 9}}},
			{WeekWindow: fleet.WeekWindow{From: "10:00", To: "11:00"}, Off: true},
		},
	}
	at := func(clock string) fleet.Headroom {
		return h.At(must(time.Parse(time.RFC3339, "2026-03-16T"+clock+":00Z")))
	}
	for clock, want := range map[string][3]int{
		"07:00": {1, 5, 7}, // units, percentage, automatic
		"08:45": {1, 0, 7}, // the first window that holds
		"09:30": {9, 5, 7},
		"10:30": {0, 0, 0},
	} {
		got := at(clock)
		units := 0
		for _, u := range got.Units {
			units += u.Count
		}
		if [3]int{units, got.Percentage, got.AutomaticPercentage} != want || got.Schedule != nil {
			t.Errorf("at %s: %+v, want %v", clock, got, want)
		}
	}
}

func TestFamilies(t *testing.T) {
	for name, want := range map[fleet.TypeName]struct {
		family     string
		category   fleet.Category
		generation int64
	}{
		"m7i.large":        {"m7i", fleet.CategoryGeneral, 7},
		"m7i-flex.2xlarge": {"m7i-flex", fleet.CategoryGeneral, 7},
		"t4g.nano":         {"t4g", fleet.CategoryGeneral, 4},
		"mac2-m2pro.metal": {"mac2-m2pro", fleet.CategoryGeneral, 2},
		"c8gn.48xlarge":    {"c8gn", fleet.CategoryCompute, 8},
		"r8id.metal-96xl":  {"r8id", fleet.CategoryMemory, 8},
		"x2iedn.xlarge":    {"x2iedn", fleet.CategoryMemory, 2},
		"u-6tb1.metal":     {"u-6tb1", fleet.CategoryMemory, 1},
		"u7i-12tb.224xl":   {"u7i-12tb", fleet.CategoryMemory, 7},
		"i4i.large":        {"i4i", fleet.CategoryStorage, 4},
		"im4gn.large":      {"im4gn", fleet.CategoryStorage, 4},
		"is4gen.large":     {"is4gen", fleet.CategoryStorage, 4},
		"d3en.xlarge":      {"d3en", fleet.CategoryStorage, 3},
		"g6e.xlarge":       {"g6e", fleet.CategoryAccelerated, 6},
		"gr6.4xlarge":      {"gr6", fleet.CategoryAccelerated, 6},
		"inf2.xlarge":      {"inf2", fleet.CategoryAccelerated, 2},
		"trn1n.32xlarge":   {"trn1n", fleet.CategoryAccelerated, 1},
		"hpc7g.16xlarge":   {"hpc7g", fleet.CategoryHPC, 7},
		"q9z.large":        {"q9z", "", 9},
		"":                 {"", "", 0},
		"99999999999999.x": {"99999999999999", "", 0},
	} {
		if name.Family() != want.family || name.Category() != want.category || name.Generation() != want.generation {
			t.Errorf("%s: %s, %q, %d; want %+v", name, name.Family(), name.Category(), name.Generation(), want)
		}
	}
}
