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
// holds.
func (w *HeadroomWindow) Holds(now time.Time) bool {
	from, okFrom := w.From.Minutes()
	to, okTo := w.To.Minutes()
	shift, okShift := offset(w.UTCOffset)
	if !okFrom || !okTo || !okShift {
		return false
	}
	local := now.UTC().Add(shift)
	minute := local.Hour()*60 + local.Minute()
	today := int(local.Weekday())
	yesterday := (today + 6) % 7
	if to > from {
		return minute >= from && minute < to && w.on(today)
	}
	return minute >= from && w.on(today) || minute < to && w.on(yesterday)
}

func (w *HeadroomWindow) on(day int) bool {
	return len(w.Days) == 0 || slices.Contains(w.Days, weekdays[day])
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

func (w *HeadroomWindow) validate(p *problems, at string, pol *Policy) {
	for _, day := range w.Days {
		oneOf(p, at+".days", day, weekdays...)
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
