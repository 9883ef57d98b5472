package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Weekday is a day of the week as policies write it: "mon".
type Weekday string

// weekdays are the days in the order of [time.Weekday].
var weekdays = []Weekday{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// TimeOfDay is a time of day as policies write it: "07:45". "24:00" is the end of the day.
type TimeOfDay string

// Minutes is the time in minutes after midnight; ok is false if it is no time of day.
func (t TimeOfDay) Minutes() (minutes int, ok bool) {
	h, m, found := strings.Cut(string(t), ":")
	hour, errH := strconv.Atoi(h)
	minute, errM := strconv.Atoi(m)
	ok = found && len(h) == 2 && len(m) == 2 && errH == nil && errM == nil &&
		hour >= 0 && minute >= 0 && minute < 60 && (hour < 24 || hour == 24 && minute == 0)
	if !ok {
		return 0, false
	}
	return hour*60 + minute, true
}

// offset reads "+02:00". Empty is no offset.
func offset(text string) (d time.Duration, ok bool) {
	if text == "" {
		return 0, true
	}
	minutes, ok := TimeOfDay(text[1:]).Minutes()
	const most = 14 * 60 // no place on earth is further from UTC
	if !ok || minutes > most || text[0] != '+' && text[0] != '-' {
		return 0, false
	}
	if text[0] == '-' {
		minutes = -minutes
	}
	return time.Duration(minutes) * time.Minute, true
}

// Holds reports whether an instant lies in the window. A window that is not valid never
// holds. From counts, to does not; a window belongs to the day on which it begins.
func (w *WeekWindow) Holds(now time.Time) bool {
	_, holds := w.since(now)
	return holds
}

// since is how many minutes ago a window began that holds.
func (w *WeekWindow) since(now time.Time) (minutes int, holds bool) {
	from, okFrom := w.From.Minutes()
	to, okTo := w.To.Minutes()
	local, okZone := w.local(now)
	if !okFrom || !okTo || !okZone {
		return 0, false
	}
	minute := int(local.Weekday())*minutesADay + local.Hour()*60 + local.Minute()
	for day, name := range weekdays {
		if len(w.Days) > 0 && !slices.Contains(w.Days, name) {
			continue
		}
		begin := day*minutesADay + from
		length := to - from
		if end := slices.Index(weekdays, w.ToDay); end >= 0 {
			length = end*minutesADay + to - begin
			if length <= 0 {
				length += minutesAWeek
			}
		} else if length <= 0 {
			length += minutesADay
		}
		if ago := (minute - begin + minutesAWeek) % minutesAWeek; ago < length {
			return ago, true
		}
	}
	return 0, false
}

// Minutes of a day and of a week, as clocks on walls count them.
const (
	minutesADay  = 24 * 60
	minutesAWeek = 7 * minutesADay
)

// local is an instant on the clocks of the window's zone.
func (w *WeekWindow) local(now time.Time) (time.Time, bool) {
	if w.TimeZone != "" {
		zone, ok := zoneOf(w.TimeZone)
		if !ok {
			return now, false
		}
		return now.In(zone), true
	}
	shift, ok := offset(w.UTCOffset)
	return now.UTC().Add(shift), ok
}

// String is the window for people: "fri 20:00–mon 07:00 Europe/Berlin".
func (w *WeekWindow) String() string {
	days := make([]string, len(w.Days))
	for i, day := range w.Days {
		days[i] = string(day)
	}
	from, to := string(w.From), string(w.To)
	if len(days) > 0 {
		from = strings.Join(days, ", ") + " " + from
	}
	if w.ToDay != "" {
		to = string(w.ToDay) + " " + to
	}
	return from + "–" + to + " " + or(or(w.TimeZone, w.UTCOffset), "UTC")
}

// Within returns the first of the windows that holds at an instant, nil if none does.
func Within(windows []WeekWindow, now time.Time) *WeekWindow {
	for i := range windows {
		if windows[i].Holds(now) {
			return &windows[i]
		}
	}
	return nil
}

// MinInstancesAt is the number of instances to keep at an instant.
func (l *Limits) MinInstancesAt(now time.Time) int {
	for i := range l.Schedule {
		if w := &l.Schedule[i]; w.Holds(now) && w.MinInstances != nil {
			return *w.MinInstances
		}
	}
	return l.MinInstances
}

// At is the headroom that is wanted at an instant: as the first window that holds says, and
// where it says nothing as the policy says otherwise. It has no schedule.
func (h *Headroom) At(now time.Time) Headroom {
	wanted := *h
	wanted.Schedule = nil
	for i := range h.Schedule {
		w := &h.Schedule[i]
		if !w.Holds(now) {
			continue
		}
		if w.Off {
			return Headroom{}
		}
		wanted.Units = orSlice(w.Units, wanted.Units)
		if w.Percentage != nil {
			wanted.Percentage = *w.Percentage
		}
		if w.AutomaticPercentage != nil {
			wanted.AutomaticPercentage = *w.AutomaticPercentage
		}
		break
	}
	return wanted
}

func (w *WeekWindow) validate(p *problems, at string) {
	for _, day := range w.Days {
		oneOf(p, at+".days", day, weekdays...)
	}
	if w.ToDay != "" {
		oneOf(p, at+".toDay", w.ToDay, weekdays...)
	}
	if w.ToDay != "" && len(w.Days) == 0 {
		p.add(at+".days", "none, and toDay is %s; name the day on which it begins", clip(string(w.ToDay)))
	}
	for _, t := range [...]struct {
		name string
		v    TimeOfDay
	}{{"from", w.From}, {"to", w.To}} {
		if _, ok := t.v.Minutes(); !ok {
			p.add(at+"."+t.name, "%q; write hours and minutes in quotes, such as \"07:45\"", clip(string(t.v)))
		}
	}
	if _, ok := offset(w.UTCOffset); !ok {
		p.add(at+".utcOffset", "%q; write hours and minutes with a sign, such as \"+02:00\"", clip(w.UTCOffset))
	}
	if w.TimeZone != "" && w.UTCOffset != "" {
		p.add(at+".utcOffset", "%q, and timeZone is %q; use one of the two", clip(w.UTCOffset), clip(w.TimeZone))
	}
	if _, ok := zoneOf(w.TimeZone); w.TimeZone != "" && !ok {
		p.add(at+".timeZone", "%q is unknown; write a name of the tz database, such as Europe/Berlin or America/New_York", clip(w.TimeZone))
	}
}

func validWindows(p *problems, at string, windows []WeekWindow) {
	for i := range windows {
		windows[i].validate(p, fmt.Sprintf("%s[%d]", at, i))
	}
}

func (w *HeadroomWindow) validate(p *problems, at string, pol *Policy) {
	w.WeekWindow.validate(p, at)
	if !w.Off && len(w.Units) == 0 && w.Percentage == nil && w.AutomaticPercentage == nil {
		p.add(at, "changes nothing; set units, percentage, automaticPercentage or off")
	}
	if w.Off && (len(w.Units) > 0 || w.Percentage != nil || w.AutomaticPercentage != nil) {
		p.add(at+".off", "true, and headroom is set beside it; use one of the two")
	}
	validPercentage(p, at+".percentage", w.Percentage)
	validPercentage(p, at+".automaticPercentage", w.AutomaticPercentage)
	for i := range w.Units {
		w.Units[i].validate(p, fmt.Sprintf("%s.units[%d]", at, i), pol)
	}
}

func validPercentage(p *problems, field string, v *int) {
	const most = 200 // twice what runs is more than any day needs
	if v != nil && (*v < 0 || *v > most) {
		p.add(field, "%d; use 0 to %d", *v, most)
	}
}

// validateTimes checks what holds at some times of the week only.
func (p *Policy) validateTimes(bad *problems) {
	validWindows(bad, "scaleDown.windows", p.ScaleDown.Windows)
	validWindows(bad, "scaleDown.blackouts", p.ScaleDown.Blackouts)
	validWindows(bad, "schedules.shutdown", p.Schedules.Shutdown)
	if len(p.Schedules.Shutdown) > 0 && !*p.ScaleDown.Enabled {
		bad.add("schedules.shutdown", "set, and scaleDown.enabled is false, so that no instance would be removed; drop one of the two")
	}
	for i := range p.Limits.Schedule {
		w, at := &p.Limits.Schedule[i], fmt.Sprintf("limits.schedule[%d]", i)
		w.validate(bad, at)
		switch n := w.MinInstances; {
		case n == nil:
			bad.add(at+".minInstances", "not set; set the number of instances to keep in this window, 0 for none")
		case *n < 0 || *n > p.Limits.MaxInstances:
			bad.add(at+".minInstances", "%d; use 0 to limits.maxInstances (%d)", *n, p.Limits.MaxInstances)
		}
	}
}

// validateRemoval checks how the instances of a launch spec are removed.
func (l *LaunchSpec) validateRemoval(p *problems, at string) {
	if l.MinInstances < 0 || l.MaxInstances > 0 && l.MinInstances > l.MaxInstances {
		p.add(at+".minInstances", "%d; use 0 or more, and at most its maxInstances (%d) if that is set", l.MinInstances, l.MaxInstances)
	}
	if v := l.ScaleDown.MaxPercentage; v < 0 || v > 100 {
		p.add(at+".scaleDown.maxPercentage", "%d; use 1 to 100, or leave it out for no such limit", v)
	}
	if v := l.ScaleDown.MaxInstances; v < 0 {
		p.add(at+".scaleDown.maxInstances", "%d; use 1 or more, or leave it out for no such limit", v)
	}
	if v := time.Duration(l.Drain.Timeout); v != 0 && (v < shortestDrain || v > longestDrain) {
		p.add(at+".drain.timeout", "%s; use %s to %s", v, shortestDrain, longestDrain)
	}
	oneOf(p, at+".drain.onTimeout", l.Drain.OnTimeout, "", TimeoutStop, TimeoutRestore)
}

// The bounds of a drain: ECS needs its time, and tasks that go on for longer are jobs.
const (
	shortestDrain = 30 * time.Second
	longestDrain  = 48 * time.Hour
)
