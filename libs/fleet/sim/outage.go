package sim

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TroubleKind is what happens to a call that an outage hits.
type TroubleKind string

// What can happen to a call. Errors and the other ends come before AWS has done anything,
// but for the two that lose the answer only.
const (
	TroubleError     TroubleKind = "error"     // it is answered with an error
	TroubleReset     TroubleKind = "reset"     // the connection is reset
	TroubleHang      TroubleKind = "hang"      // no answer comes, until the client gives up
	TroubleTruncated TroubleKind = "truncated" // AWS does it, and half of the answer comes
	TroubleLost      TroubleKind = "lost"      // AWS does it, and the connection is reset
	TroubleStale     TroubleKind = "stale"     // a read is answered as it was some time ago
	TroubleSlow      TroubleKind = "slow"      // the answer takes long
)

// Outage is trouble with a part of the API for a time. Whether it hits a call is decided
// by the seed and the number of the call.
type Outage struct {
	// Target is "ecs:DescribeTasks", "ecs" for all operations of a service, or a pattern
	// such as "ec2:Describe*" and "*".
	Target string      `json:"target"`
	Kind   TroubleKind `json:"kind"`
	Share  float64     `json:"share"` // of the calls; 0 is all of them
	Until  time.Time   `json:"until"`

	// Status and Code are those of a TroubleError. A face fills in what is left open: a
	// status of 0 is that of the code, an empty code what the service answers with the status.
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`

	// Median and Tail99 are how long TroubleSlow makes half and 99 % of the calls take, at
	// most, in wall time; Median is how old the answers of TroubleStale may be, in virtual
	// time.
	Median time.Duration `json:"median,omitempty"`
	Tail99 time.Duration `json:"tail99,omitempty"`

	Calls int `json:"calls"` // that it might have hit
	Hits  int `json:"hits"`

	id string // tells it from others of the same target
}

// Trouble is what happens to one call.
type Trouble struct {
	Kind   TroubleKind   // empty is nothing, or only a delay
	Status int           // of TroubleError
	Code   string        // of TroubleError
	Age    time.Duration // of TroubleStale
	Delay  time.Duration // in wall time, before anything else
}

// AddOutage begins an outage. Of several that would hit a call the oldest does, but delays
// add up.
func (w *World) AddOutage(o Outage) error {
	if o.Share == 0 {
		o.Share = 1
	}
	switch {
	case o.Target == "":
		return fmt.Errorf("outage: name a service, an operation such as ecs:DescribeTasks, or *")
	case !(o.Share > 0 && o.Share <= 1):
		return fmt.Errorf("outage of %s: share %v must be from 0 to 1", o.Target, o.Share)
	case o.Kind == TroubleError && o.Status != 0 && (o.Status < 400 || o.Status > 599):
		return fmt.Errorf("outage of %s: status %d is not one of an error: write one from 400 to 599", o.Target, o.Status)
	case (o.Kind == TroubleSlow || o.Kind == TroubleStale) && o.Median <= 0:
		return fmt.Errorf("outage of %s: %s needs a time above 0", o.Target, o.Kind)
	case o.Tail99 != 0 && o.Tail99 < o.Median:
		return fmt.Errorf("outage of %s: 99 %% of the calls cannot be faster than half of them: p99 %v is below %v", o.Target, o.Tail99, o.Median)
	}
	o.id = strconv.FormatUint(w.next(), 10)
	w.outages = append(w.pending(), o)
	return nil
}

// EndOutages ends the outages of exactly this target; * ends all.
func (w *World) EndOutages(target string) {
	w.outages = slices.DeleteFunc(w.pending(), func(o Outage) bool { return target == "*" || o.Target == target })
}

// Outages are those that have not ended, the oldest first.
func (w *World) Outages() []Outage { return slices.Clone(w.pending()) }

// pending forgets outages that have ended.
func (w *World) pending() []Outage {
	w.outages = slices.DeleteFunc(w.outages, func(o Outage) bool { return !w.now.Before(o.Until) })
	return w.outages
}

// Trouble decides what happens to the next call of an operation, and counts it.
func (w *World) Trouble(service, operation string) Trouble {
	var t Trouble
	for i := range w.outages {
		o := &w.outages[i]
		if !w.now.Before(o.Until) || !o.covers(service, operation) || o.Kind != TroubleSlow && t.Kind != "" {
			continue
		}
		o.Calls++
		call := strconv.Itoa(o.Calls)
		if w.chance("outage", o.id, call) >= o.Share {
			continue
		}
		o.Hits++
		if o.Kind == TroubleSlow {
			t.Delay += o.delay(w.chance("slow", o.id, call), w.chance("slower", o.id, call))
			continue
		}
		t.Kind, t.Status, t.Code, t.Age = o.Kind, o.Status, o.Code, o.Median
	}
	return t
}

// ReadsStale says whether some reads are to be answered from the past.
func (w *World) ReadsStale() bool {
	return slices.ContainsFunc(w.outages, func(o Outage) bool { return o.Kind == TroubleStale && w.now.Before(o.Until) })
}

// covers says whether an outage is about an operation.
func (o *Outage) covers(service, operation string) bool {
	of, name, one := strings.Cut(o.Target, ":")
	return glob(of, service) && (!one || glob(name, operation))
}

// mostDelay is longer than any client waits.
const mostDelay = 5 * time.Minute

// delay draws from a log-normal distribution, which latencies resemble: a and b are
// uniform in [0,1).
func (o *Outage) delay(a, b float64) time.Duration {
	if o.Tail99 <= o.Median {
		return min(o.Median, mostDelay)
	}
	const quantile99 = 2.3263478740408408 // of the normal distribution
	normal := math.Sqrt(-2*math.Log(1-a)) * math.Cos(2*math.Pi*b)
	factor := math.Pow(float64(o.Tail99)/float64(o.Median), normal/quantile99)
	return time.Duration(min(float64(o.Median)*factor, float64(mostDelay)))
}
