package outcome

import (
	"cmp"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// firstSetbackWait is how long what failed is not tried again; each strike in a row doubles
// it, up to longestWait. Within it a person, or AWS, may have mended what was wrong.
const firstSetbackWait = 30 * time.Second

// setBack notes what an outcome says about trying the like again.
func setBack(setbacks []fleet.Setback, o *fleet.Outcome) []fleet.Setback {
	class, message, verdict := judge(o)
	if !verdict {
		return setbacks
	}
	setbacks = slices.Clone(setbacks)
	i, found := slices.BinarySearchFunc(setbacks, o, func(s fleet.Setback, o *fleet.Outcome) int {
		return cmp.Or(cmp.Compare(s.Kind, o.Kind), cmp.Compare(s.Of, o.Of))
	})
	switch {
	case class == fleet.FailureNone:
		if found && !o.At.Before(setbacks[i].At) {
			return slices.Delete(setbacks, i, i+1)
		}
		return setbacks
	case !found:
		setbacks = slices.Insert(setbacks, i, fleet.Setback{Kind: o.Kind, Of: o.Of})
	case o.At.Before(setbacks[i].Until):
		return setbacks // the same strike: another launch of one plan, or an outcome that came twice
	}
	s := &setbacks[i]
	s.Strikes++
	s.Class, s.Message, s.At = class, message, o.At
	s.Until = o.At.Add(min(firstSetbackWait<<min(s.Strikes-1, 10), longestWait)) // 10 doublings are far beyond the longest
	return setbacks
}

// judge says whether an outcome shows that the like of it works (no class), or would fail
// again if it were tried at once, and why. Most outcomes show neither.
func judge(o *fleet.Outcome) (class fleet.FailureClass, message string, verdict bool) {
	switch {
	case o.Of == "":
		return "", "", false
	case o.Kind == fleet.ActionLaunch:
		return judgeLaunch(o)
	case o.Phase == fleet.PhaseFinal:
		return o.Class, o.Message, true
	}
	return "", "", false
}

// judgeLaunch leaves a want of capacity to the shortages of the offerings, as long as EC2
// has said which: then the next plan asks for others. What gave no clear answer has taken
// many minutes to give up, and what launched and did not register no fewer.
func judgeLaunch(o *fleet.Outcome) (class fleet.FailureClass, message string, verdict bool) {
	if len(o.Instances) > 0 {
		return fleet.FailureNone, "", true
	}
	class, message = o.Class, o.Message
	if class == fleet.FailureNone && len(o.Failures) > 0 {
		class, message = o.Failures[0].Class, o.Failures[0].Message
	}
	scarce := func(f fleet.OfferingFailure) bool {
		return f.Class == fleet.FailureCapacity || f.Class == fleet.FailureQuota
	}
	switch class {
	case fleet.FailureUnknown, fleet.FailureThrottled, fleet.FailureTimeout:
		return "", "", false
	case fleet.FailureNone, fleet.FailureCapacity:
		if o.Phase == fleet.PhaseFinal { // repeats what the result said
			return "", "", false
		}
		class, message = fleet.FailureCapacity, cmp.Or(message, "EC2 gave no instance and did not say why")
	case fleet.FailureQuota, fleet.FailureInvalid, fleet.FailureDenied, fleet.FailureStale:
	}
	return class, message, !slices.ContainsFunc(o.Failures, scarce)
}
