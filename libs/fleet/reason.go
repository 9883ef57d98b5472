package fleet

import (
	"fmt"
	"strings"
)

// Reason says why something was decided or refused, as data: a code to count by, facts to
// read by machine, candidates that were ruled out. [Reason.String] puts it into words.
type Reason struct {
	Code       ReasonCode `json:"code"`
	Subject    string     `json:"subject,omitempty"` // "service/web", "instance/i-…", "cluster", "headroom"
	Facts      []Fact     `json:"facts,omitempty"`
	Considered []Ruling   `json:"considered,omitempty"`
	Cost       Price      `json:"cost,omitempty"` // what it adds (or saves, negative) per hour
}

// Fact is one named value of a reason.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Ruling is one candidate that was considered, and what ruled it out (or chose it).
type Ruling struct {
	Candidate string `json:"candidate"`
	Verdict   string `json:"verdict"`
	Cost      Price  `json:"cost,omitempty"`
}

// ReasonCode is the kind of a reason. Metrics count by it, so codes are few and stable.
type ReasonCode string

// The reasons of decisions.
const (
	ReasonDemand      ReasonCode = "demand"       // launch: tasks fit nowhere
	ReasonHeadroom    ReasonCode = "headroom"     // launch: headroom is missing
	ReasonMinimum     ReasonCode = "minimum"      // launch: below minInstances
	ReasonSpecMinimum ReasonCode = "spec-minimum" // launch: below minInstances of a launch spec
	ReasonReplace     ReasonCode = "replace"      // launch: tasks have to leave their instance
	ReasonCheaper     ReasonCode = "cheaper"      // launch: the same tasks cost less on other instances
	ReasonIdle        ReasonCode = "idle"         // drain: all tasks fit elsewhere
	ReasonEmpty       ReasonCode = "empty"        // drain: nothing but daemon tasks on it
	ReasonLosable     ReasonCode = "losable"      // drain: the policy lets its standalone tasks be lost
	ReasonReplaced    ReasonCode = "replaced"     // drain: cheaper instances have taken its place
	ReasonInterrupted ReasonCode = "interrupted"  // drain: AWS is taking the instance
	ReasonUnhealthy   ReasonCode = "unhealthy"    // drain: it does not work
	ReasonNeeded      ReasonCode = "needed-again" // restore: the instance is needed after all
	ReasonForgotten   ReasonCode = "forgotten"    // restore: draining, and nobody is at it
	ReasonNoShow      ReasonCode = "no-show"      // reap: never registered
	ReasonLeftover    ReasonCode = "leftover"     // reap: deregistered, still running
)

// The reasons of refusals.
const (
	ReasonUnsettled    ReasonCode = "unsettled"       // no launch: where waiting tasks go decides whether headroom is missing
	ReasonFitsNow      ReasonCode = "fits-now"        // no launch: there is room; ECS has yet to place it
	ReasonAskAgain     ReasonCode = "ask-again"       // no launch: there is room for what ECS had refused
	ReasonBooting      ReasonCode = "booting"         // no launch: room is on its way
	ReasonTooLarge     ReasonCode = "too-large"       // no launch: no allowed offering holds it
	ReasonNoMatch      ReasonCode = "no-match"        // no launch: no offering meets its constraints
	ReasonUnsized      ReasonCode = "unsized"         // no launch: the task definition could not be read
	ReasonForeignCP    ReasonCode = "foreign"         // no launch: bound to a capacity provider that Neap does not manage
	ReasonRollout      ReasonCode = "rollout-failed"  // no launch: ECS gave the deployment up
	ReasonShortage     ReasonCode = "shortage"        // no launch: every offering is short of capacity
	ReasonFutile       ReasonCode = "futile"          // no launch: launches did not help it
	ReasonCrashing     ReasonCode = "tasks-fail"      // no launch: its tasks fail where they have room
	ReasonSurge        ReasonCode = "surge"           // no launch: the policy lets a deployment go on without
	ReasonDaemonUnfit  ReasonCode = "daemon-unfit"    // no launch: a daemon task has no room on an instance that is there
	ReasonPace         ReasonCode = "pace"            // no launch: the policy waits after one
	ReasonLimit        ReasonCode = "limit"           // cut by a limit of the policy
	ReasonBudget       ReasonCode = "budget"          // cut by the rate at which Neap changes things
	ReasonIncomplete   ReasonCode = "incomplete"      // the snapshot lacks a section
	ReasonStale        ReasonCode = "stale"           // the snapshot is too old
	ReasonPaused       ReasonCode = "paused"          // a person has stopped Neap
	ReasonNoPolicy     ReasonCode = "no-policy"       // nobody has said what is wanted
	ReasonUnfit        ReasonCode = "tasks-need-it"   // kept: a task of it fits nowhere else
	ReasonKeepHeadroom ReasonCode = "keeps-headroom"  // kept: it carries headroom
	ReasonRestricted   ReasonCode = "restricted"      // kept: a task on it is tagged
	ReasonProtected    ReasonCode = "protected"       // kept: a task on it or the instance itself is protected
	ReasonStandalone   ReasonCode = "standalone-task" // kept: a task on it would be lost
	ReasonYoung        ReasonCode = "young"           // kept: below its minimum lifetime
	ReasonUnstable     ReasonCode = "not-idle-yet"    // kept: not idle for long enough
	ReasonCooldown     ReasonCode = "cooldown"        // kept: something changed a moment ago
	ReasonNotOurs      ReasonCode = "not-ours"        // kept: Neap did not launch it
	ReasonDisabled     ReasonCode = "disabled"        // kept: scale-down is off
	ReasonAwaited      ReasonCode = "awaited"         // kept: tasks wait that ECS will place here on its next try
	ReasonDeadlock     ReasonCode = "deadlock"        // kept: minimum and maximum healthy percent leave ECS no move
	ReasonNotWell      ReasonCode = "not-well"        // kept: it does not work, and may not be replaced yet
	ReasonManyUnwell   ReasonCode = "many-unwell"     // kept: so many look as if they did not work that the fault is likely elsewhere
	ReasonAgentAway    ReasonCode = "agent-away"      // kept: its agent is not connected, so nothing on it is certain
	ReasonNoCheaper    ReasonCode = "no-cheaper"      // kept: no other choice of instances saves enough
	ReasonSuccessor    ReasonCode = "successor"       // kept: it takes the place of instances that are still there
	ReasonFailing      ReasonCode = "launches-fail"   // kept: what cannot be replaced is no surplus
	ReasonSetback      ReasonCode = "setback"         // not tried again yet: it failed, and would again
	ReasonDeploying    ReasonCode = "deploying"       // kept: a service on it is being deployed, and the deployment needs the task or leaves ECS no move
	ReasonHours        ReasonCode = "hours"           // kept: the policy removes nothing at this time of the week
	ReasonOnlyEmpty    ReasonCode = "only-empty"      // kept: its launch spec lets only empty instances go
	ReasonShutdown     ReasonCode = "shutdown"        // drain, no launch: the policy wants no instance at this time of the week
	ReasonFlap         ReasonCode = "flap"            // no launch: as much was removed a moment ago
	ReasonRoll         ReasonCode = "roll"            // launch: a roll replaces instances
	ReasonRolled       ReasonCode = "rolled"          // drain: a roll replaces it, and its tasks have room
	ReasonRollTurn     ReasonCode = "roll-turn"       // kept: a roll will replace it
	ReasonRollHolds    ReasonCode = "roll-holds"      // kept: a roll is under way
	ReasonRollBlocked  ReasonCode = "roll-blocked"    // kept: a roll cannot replace it
	ReasonRollWaits    ReasonCode = "roll-waits"      // no launch, no drain: a roll cannot go on
	ReasonUpheaval     ReasonCode = "upheaval"        // no drain: much was gone at once that nobody here removed
	ReasonDrifted      ReasonCode = "drifted"         // kept: it is not what its launch spec would launch now
	ReasonReplacing    ReasonCode = "replacing"       // kept: a replacement of others comes first, and moves its tasks as well
	ReasonStarting     ReasonCode = "starting"        // here: it was launched a moment ago
	ReasonUnderWay     ReasonCode = "under-way"       // here: it is on its way out, or back
)

// words has a sentence for each code; {name} stands for the fact of that name and
// {subject} for the subject.
var words = map[ReasonCode]string{
	ReasonDemand:       "{tasks} of {for} fit on no instance, running or booting",
	ReasonHeadroom:     "headroom lacks {missing} of {wanted} units",
	ReasonMinimum:      "the policy keeps at least {min} instances and there are {have}",
	ReasonSpecMinimum:  "the policy keeps at least {min} instances of launch spec {spec} and there are {have}",
	ReasonCheaper:      "{instances} instances for {before} hold what {launches} others do for {after}, {share} % less; {tasks} tasks move",
	ReasonReplace:      "{tasks} of {for} have to leave their instances and fit on no other",
	ReasonIdle:         "its {tasks} tasks all fit elsewhere, for {for}; utilization {utilization}",
	ReasonEmpty:        "nothing but daemon tasks has run on it for {for}",
	ReasonLosable:      "its {tasks} service tasks fit elsewhere and the policy lets its {lost} standalone tasks be lost, for {for}",
	ReasonReplaced:     "cheaper instances have taken its place: its {tasks} tasks fit there; utilization {utilization}",
	ReasonInterrupted:  "AWS gave a {notice} notice at {at}",
	ReasonUnhealthy:    "{what} for {for}, and its {tasks} tasks have room elsewhere",
	ReasonNeeded:       "{needs} needs the room, and undoing the drain is cheaper than a launch",
	ReasonForgotten:    "it is draining, marked as ours, and no drain has it in hand",
	ReasonNoShow:       "it was launched {age} ago and did not register within {timeout}",
	ReasonLeftover:     "it left the cluster and still runs",
	ReasonUnsettled:    "whether {missing} of {wanted} units are missing shows when ECS has placed what waits and stopped what is too many",
	ReasonFitsNow:      "{count} tasks fit on instances that are there; ECS places them on its next try",
	ReasonAskAgain:     "{count} tasks that ECS refused fit now; it keeps no queue for them: they run when they are asked for again",
	ReasonBooting:      "{count} tasks fit on instances that are booting",
	ReasonTooLarge:     "no allowed offering is large enough; the nearest is {nearest}: {shortfall}",
	ReasonNoMatch:      "no allowed offering meets its constraints: {clause}: {why}",
	ReasonUnsized:      "its task definition {definition} could not be read",
	ReasonForeignCP:    "it is bound to capacity provider {provider}, which Neap does not manage",
	ReasonRollout:      "ECS gave up its deployment and starts no more tasks",
	ReasonShortage:     "every offering that could hold it is short of capacity until {until}",
	ReasonFutile:       "it has waited for {age} without an update; nothing is launched for it until it is updated",
	ReasonCrashing:     "{failed} of its tasks failed where they had room; nothing is launched for it until its deployment changes or a task runs",
	ReasonSurge:        "{count} tasks of the surge of its deployment wait: the policy launches only what it cannot go on without",
	ReasonDaemonUnfit:  "its task {task} has no room on {count} of {of} instances; on {instance}: {why}",
	ReasonPace:         "instances were launched {age} ago and the policy waits {wait} after that",
	ReasonLimit:        "{limit} = {value} allows {allowed} of {wanted}",
	ReasonBudget:       "{limit} allows {allowed} of {wanted} at once; the rest waits for the next plan",
	ReasonIncomplete:   "the view of the cluster is incomplete: {problem}",
	ReasonStale:        "the view of the cluster is {age} old",
	ReasonPaused:       "paused by {by}: {why}",
	ReasonNoPolicy:     "it has no policy that can be read; apply one with \"neap policy apply\"",
	ReasonUnfit:        "{task} fits nowhere else: {why}",
	ReasonKeepHeadroom: "without it {missing} of {wanted} headroom units would be missing",
	ReasonRestricted:   "{task} is tagged {tag}",
	ReasonProtected:    "{what} is protected: {why}",
	ReasonStandalone:   "{task} is a standalone task, which ECS would not move",
	ReasonYoung:        "it is {age} old and the policy keeps instances for at least {min}",
	ReasonUnstable:     "it could go, but only for {for}; the policy waits {wait}",
	ReasonCooldown:     "{changed}; the policy waits {wait} after a change",
	ReasonNotOurs:      "Neap did not launch it ({owner})",
	ReasonDisabled:     "scale-down is switched off in the policy",
	ReasonAwaited:      "{count} waiting tasks fit on it and ECS has yet to place them",
	ReasonDeadlock:     "service {service} wants {desired} tasks with {min}–{max} % healthy, which leaves ECS no move",
	ReasonNotWell:      "{what} for {for}; the policy replaces it after {wait}",
	ReasonManyUnwell:   "{unhealthy} of {instances} instances look unhealthy at once, which says more about the view or the zone than about them: none is replaced while that holds",
	ReasonAgentAway:    "its agent is not connected",
	ReasonNoCheaper:    "{looked} instances cost more than their tasks could, and no replacement of them saves {threshold} % or more; Neap looks again in {wait}",
	ReasonSuccessor:    "it takes the place of {instances} instances that are still there",
	ReasonFailing:      "launches fail ({why}), so nothing is given away",
	ReasonSetback:      "{what} fails ({why}), {times} in a row so far; the next try is at {until}",
	ReasonDeploying:    "service {service} is being deployed: {why}",
	ReasonHours:        "it could go, but {why}",
	ReasonOnlyEmpty:    "launch spec {spec} lets only empty instances go, and {tasks} tasks run on it",
	ReasonShutdown:     "the cluster is shut down: {window}",
	ReasonReplacing:    "it could go; {instances} instances are being replaced by cheaper ones, and its tasks would move twice",
	ReasonStarting:     "it was launched {age} ago and has yet to register; it has {timeout} for that",
	ReasonUnderWay:     "it {what}: {why}",
	ReasonRoll:         "roll {roll} replaces {instances} instances; {tasks} tasks move",
	ReasonRolled:       "roll {roll} replaces it and its {tasks} tasks fit elsewhere{drift}",
	ReasonRollTurn:     "roll {roll} replaces it: {why}{drift}",
	ReasonRollHolds:    "nothing else is removed while roll {roll} replaces instances",
	ReasonRollBlocked:  "roll {roll} waits for it: {why}",
	ReasonRollWaits:    "roll {roll} of {scope} {state}: {why}",
	ReasonUpheaval:     "{what}; {next}",
	ReasonDrifted:      "drifted: {what}; {remedy}",
	ReasonFlap:         "an instance of at least that size ({type}) was removed {age} ago; for headroom Neap waits {wait} before it launches as much again",
}

// Fact returns the value of a fact, or "" if there is none of that name.
func (r *Reason) Fact(name string) string {
	for _, f := range r.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// String puts the reason into words, one sentence without a full stop.
func (r Reason) String() string {
	text, ok := words[r.Code]
	if !ok {
		text = string(r.Code)
	}
	text = strings.ReplaceAll(text, "{subject}", r.Subject)
	for _, f := range r.Facts {
		text = strings.ReplaceAll(text, "{"+f.Name+"}", f.Value)
	}
	return text
}

// Because makes a reason; facts come in pairs of name and value.
func Because(code ReasonCode, subject string, facts ...any) Reason {
	if len(facts)%2 != 0 {
		panic(fmt.Sprintf("fleet: reason %s: facts must come in pairs, got %d values", code, len(facts)))
	}
	r := Reason{Code: code, Subject: subject}
	if len(facts) > 0 {
		r.Facts = make([]Fact, 0, len(facts)/2)
	}
	for i := 0; i < len(facts); i += 2 {
		r.Facts = append(r.Facts, Fact{Name: text(facts[i]), Value: text(facts[i+1])})
	}
	return r
}

// text is fmt.Sprint, quick for what is text already, as nearly all facts are.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return fmt.Sprint(v)
}
