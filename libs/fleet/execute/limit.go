package execute

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/action"
)

// BeyondLimit says why a launch of n instances would exceed a maximum, with so many running;
// "" if it would not. It is the last look before a launch begins, on what EC2 says now: the
// plan may have been made on an older view. If the launch fits only once others have shown
// what they gave, the error holds it.
func BeyondLimit(n, live, most int, records []Record, self fleet.ActionID, now time.Time) (string, error) {
	if live+n > most {
		return fmt.Sprintf("limit maxInstances = %d: %d are running and %d more were planned", most, live, n), nil
	}
	coming, err := outstanding(records, self, now)
	if err != nil {
		return "", err
	}
	if live+coming+n > most {
		return "", Held("limit maxInstances = %d: %d are running, %d are on their way, %d more were planned", most, live, coming, n)
	}
	return "", nil
}

// visibleWithin is how long EC2 may take to show an instance in every answer. Within it an
// instance may be counted twice, which delays a launch near the limit by as much.
const visibleWithin = time.Minute

// outstanding counts what other launches may yet give: those that were sent and not
// answered, or answered a moment ago, and those that come before this one and have not
// begun. So of two launches
// that exclude each other the earlier one goes first, and neither waits for the other.
func outstanding(records []Record, self fleet.ActionID, now time.Time) (int, error) {
	var own Record
	for i := range records {
		if records[i].Action.ID == self {
			own = records[i]
		}
	}
	count := 0
	for i := range records {
		r := &records[i]
		if r.Action.ID == self || r.Action.Launch == nil || r.End != nil {
			continue
		}
		var s action.State
		if err := json.Unmarshal(r.State, &s); err != nil {
			return 0, fmt.Errorf("%w: state of action %s: %w", fleet.ErrInvalid, r.Action.ID.Short(), err)
		}
		switch s.Phase {
		case action.Calling, action.Resolving:
			count += r.Action.Launch.Count
		case "", action.Planned:
			if r.Closed == nil && cmp.Or(r.PlannedAt.Compare(own.PlannedAt), cmp.Compare(r.Action.ID, self)) < 0 {
				count += r.Action.Launch.Count
			}
		case action.Settling:
			if now.Sub(s.LaunchedAt) < visibleWithin {
				count += len(s.Instances)
			}
		default:
		}
	}
	return count, nil
}
