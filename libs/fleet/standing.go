package fleet

import (
	"fmt"
	"strings"
	"time"
)

// Standing is what a cluster costs beside the least that any cluster for the same tasks
// could cost under its policy. See plan.Standing for what exactly the bound is a bound of.
type Standing struct {
	Cluster ClusterName `json:"cluster"`
	At      time.Time   `json:"at"` // the snapshot's TakenAt
	Effort  Effort      `json:"effort,omitempty"`
	Problem string      `json:"problem,omitempty"` // why there is no bound, if there is none

	Cost  Price `json:"cost"`  // of every instance that runs, boots or drains, as far as its price is known
	Bound Price `json:"bound"` // no cluster for the same tasks costs less; never above Cost
	Anew  Price `json:"anew"`  // what the cheapest cluster that was found would cost, spot shares and limits apart

	Tasks    int `json:"tasks"`              // that the bound is for: that run, or wait and have room; daemon tasks apart
	Headroom int `json:"headroom,omitempty"` // units that the bound is for

	// What the two figures do not share, so that nobody reads more into them than is there.
	NoRoom     int   `json:"noRoom,omitempty"`     // tasks that wait and have no room: in neither figure
	NoOffering int   `json:"noOffering,omitempty"` // tasks that run and that no offering of the policy holds, or of unknown size: in the cost alone
	Unpriced   int   `json:"unpriced,omitempty"`   // instances whose price is not known: they and their tasks are in neither
	Kept       Price `json:"kept,omitempty"`       // of the cost: instances that Neap may not remove
}

// Ratio is the cost as a multiple of the bound: 1 is as cheap as can be. It is 0 where
// there is no bound.
func (s *Standing) Ratio() float64 {
	if s.Bound <= 0 {
		return 0
	}
	return s.Cost.USD() / s.Bound.USD()
}

// String is one line for people.
func (s *Standing) String() string {
	if s.Problem != "" {
		return "no bound is known: " + s.Problem
	}
	if s.Bound <= 0 {
		return fmt.Sprintf("it costs %s, and nothing runs on it that could be packed elsewhere%s", s.Cost, s.beside())
	}
	const percent = 100
	return fmt.Sprintf("it costs %s, and no cluster for its %d tasks costs less than %s under the policy: at most %.1f %% above the least%s",
		s.Cost, s.Tasks, s.Bound, (s.Ratio()-1)*percent, s.beside())
}

// beside says what the figures leave out.
func (s *Standing) beside() string {
	var parts []string
	say := func(n int, format string, args ...any) {
		if n != 0 {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	say(s.Headroom, "%d units of headroom counted", s.Headroom)
	say(s.NoRoom, "%d waiting tasks without room not counted", s.NoRoom)
	say(s.NoOffering, "%d tasks that no offering holds only in the cost", s.NoOffering)
	say(s.Unpriced, "%d instances without a known price not counted", s.Unpriced)
	say(int(s.Kept), "%s of it on instances that Neap may not remove", s.Kept)
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}
