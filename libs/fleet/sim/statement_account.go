package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// readThrottle reads: throttle on|off, or throttle TARGET PERCENT.
//
//	throttle on
//	throttle ecs 50%                  half of the published limits, and turn them on
//	throttle 'ec2 RunInstances' 10%
func readThrottle(words []string) (statement, error) {
	switch {
	case len(words) == 1 && (words[0] == "on" || words[0] == "off"):
		return func(w *World, _ *scene) error {
			w.SetThrottling(words[0] == "on")
			return nil
		}, nil
	case len(words) != 2:
		return nil, errors.New("write on, off, or a service or bucket and a percentage, such as: throttle ecs 50%")
	}
	scale, err := share(words[1])
	if err != nil {
		return nil, err
	}
	return func(w *World, _ *scene) error {
		if err := w.ScaleLimits(words[0], scale); err != nil {
			return err
		}
		w.SetThrottling(true)
		return nil
	}, nil
}

// share reads a share that is written 50% or 0.5.
func share(word string) (float64, error) {
	number, percent := strings.CutSuffix(word, "%")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v >= 0) {
		return 0, fmt.Errorf("%.40q is no share: write it like 50%% or 0.5", word)
	}
	if percent {
		v /= 100
	}
	return v, nil
}

// share is the value of an option that is a share.
func (o *options) share(name string, usual float64) float64 {
	text := o.text(name, "")
	if text == "" {
		return usual
	}
	v, err := share(text)
	if (err != nil || v > 1) && o.err == nil {
		o.err = fmt.Errorf("%s %.40q is no share of something: write one from 0%% to 100%%", name, text)
	}
	return v
}

// readOutage reads: outage TARGET KIND [share SHARE] [for D]. KIND is "error STATUS",
// "error CODE", "error CODE/STATUS", reset, hang, truncated, lost or "stale D".
//
//	outage ecs:DescribeTasks error 500 share 50% for 10m
//	outage ec2:CreateFleet lost share 0.3
func readOutage(words []string) (statement, error) {
	target, o, err := named(words, "TARGET", "error", "reset!", "hang!", "truncated!", "lost!", "stale", "share", "for")
	if err != nil {
		return nil, err
	}
	outage := Outage{Target: target, Share: o.share("share", 1)}
	for _, kind := range []TroubleKind{TroubleError, TroubleReset, TroubleHang, TroubleTruncated, TroubleLost, TroubleStale} {
		if !o.has(string(kind)) {
			continue
		}
		if outage.Kind != "" {
			return nil, fmt.Errorf("%s and %s at once: write two statements", outage.Kind, kind)
		}
		outage.Kind = kind
	}
	switch outage.Kind {
	case "":
		return nil, errors.New("say what happens to the calls: error 500, reset, hang, truncated, lost or stale 30s")
	case TroubleError:
		code, status, both := strings.Cut(o.text("error", ""), "/")
		if n, err := strconv.Atoi(code); err == nil && !both {
			outage.Status = n
			break
		}
		outage.Code = code
		if outage.Status, err = strconv.Atoi(status); both && err != nil {
			return nil, fmt.Errorf("error %.40q: write a status, a code, or both, such as ServerException/500", o.text("error", ""))
		}
	case TroubleStale:
		outage.Median = o.duration("stale", 0)
	default: // nothing more to say
	}
	return outage.statement(o)
}

// readSlow reads: slow TARGET MEDIAN [p99 D] [share SHARE] [for D]. Times are of the wall.
//
//	slow ec2 200ms p99 5s for 1h
func readSlow(words []string) (statement, error) {
	names, rest, err := subject(words, "TARGET", "MEDIAN")
	if err != nil {
		return nil, err
	}
	o, err := parseOptions(rest, "p99", "share", "for")
	if err != nil {
		return nil, err
	}
	outage := Outage{Target: names[0], Kind: TroubleSlow, Share: o.share("share", 1), Tail99: o.duration("p99", 0)}
	if outage.Median, err = duration(names[1]); err != nil {
		return nil, err
	}
	return outage.statement(o)
}

// statement begins the outage for as long as the options say.
func (o Outage) statement(options *options) (statement, error) {
	d := options.duration("for", always)
	if options.err != nil {
		return nil, options.err
	}
	return func(w *World, _ *scene) error {
		begun := o
		begun.Until = w.now.Add(d)
		return w.AddOutage(begun)
	}, nil
}

// readRestore reads: restore TARGET, which ends the outages of exactly that target; * ends
// all.
func readRestore(words []string) (statement, error) {
	target, _, err := named(words, "TARGET")
	return func(w *World, _ *scene) error {
		w.EndOutages(target)
		return nil
	}, err
}

// readEvents reads: events [drop SHARE] [duplicate SHARE] [reorder D] [of CLASS] [for D].
//
//	events drop 20% duplicate 5%      lose warnings of EC2, double every event
//	events drop 20% of all            lose events of ECS, too, which AWS does not
//	events reorder 30s for 10m        deliver each up to 30 s late
func readEvents(words []string) (statement, error) {
	o, err := parseOptions(words, "drop", "duplicate", "reorder", "of", "for")
	if err != nil {
		return nil, err
	}
	f := EventFaults{
		Drop: o.share("drop", 0), Duplicate: o.share("duplicate", 0), Reorder: o.duration("reorder", 0), Of: EventClass(o.text("of", "")),
	}
	if !slices.Contains([]EventClass{"", EventsBestEffort, EventsDurable, EventsAll}, f.Of) {
		return nil, fmt.Errorf("of %.40q: write best-effort, durable or all", f.Of)
	}
	d := o.duration("for", always)
	return func(w *World, _ *scene) error {
		f := f
		f.Until = w.now.Add(d)
		return w.SetEventFaults(f)
	}, o.err
}
