package sim

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// rule is a rule of EventBridge on the bus of the account. What it matches goes to the
// queues among its targets; a policy of the queue is not asked for.
type rule struct {
	Rule
	targets []EventTarget
	matches condition // made of the pattern; nil has none and matches nothing
}

const (
	defaultBus        = "default"
	ruleEnabled       = "ENABLED"
	ruleDisabled      = "DISABLED"
	mostRules         = 300 // quota of a bus
	mostTargets       = 5   // quota of a rule
	codeBadEvent      = "ValidationException"
	codeBadPattern    = "InvalidEventPatternException"
	codeLimitExceeded = "LimitExceededException"
)

var ruleNamePattern = regexp.MustCompile(`^[\.\-_A-Za-z0-9]{1,64}$`)

// checkBus refuses buses other than that of the account, by name or ARN.
func (w *World) checkBus(bus string) error {
	if bus == "" || bus == defaultBus || bus == w.arn("events", "event-bus/"+defaultBus) {
		return nil
	}
	return clientError(codeNotFound, "Event bus %s does not exist.", clip(bus))
}

// rule finds a rule by name.
func (w *World) rule(bus, name string) (*rule, error) {
	if err := w.checkBus(bus); err != nil {
		return nil, err
	}
	for _, r := range w.rules {
		if r.Name == name {
			return r, nil
		}
	}
	return nil, clientError(codeNotFound, "Rule %s does not exist on EventBus default.", clip(name))
}

// PutRule makes a rule or replaces what it says; its targets stay.
func (w *World) PutRule(in *PutRuleInput) (*PutRuleOutput, error) {
	if err := w.checkBus(in.EventBusName); err != nil {
		return nil, err
	}
	switch {
	case !ruleNamePattern.MatchString(in.Name):
		return nil, clientError(codeBadEvent, "1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+", clip(in.Name))
	case in.EventPattern == "" && in.ScheduleExpression == "":
		return nil, clientError(codeBadEvent, "Parameter(s) EventPattern or ScheduleExpression must be specified.")
	case in.State != "" && in.State != ruleEnabled && in.State != ruleDisabled && in.State != "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS":
		return nil, clientError(codeBadEvent, "1 validation error detected: Value '%s' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]", clip(in.State))
	}
	made := Rule{
		Name: in.Name, Arn: w.arn("events", "rule/"+in.Name), EventPattern: in.EventPattern, ScheduleExpression: in.ScheduleExpression,
		State: in.State, Description: in.Description, RoleArn: in.RoleArn, EventBusName: defaultBus,
	}
	if made.State == "" {
		made.State = ruleEnabled
	}
	var matches condition
	if in.EventPattern != "" {
		var err error
		if matches, err = parsePattern(in.EventPattern); err != nil {
			return nil, clientError(codeBadPattern, "Event pattern is not valid. Reason: %v", err)
		}
	}
	r, err := w.rule("", in.Name)
	if err != nil {
		if len(w.rules) >= mostRules {
			return nil, clientError(codeLimitExceeded, "The requested resource exceeds the maximum number allowed.")
		}
		r = &rule{}
		at, _ := slices.BinarySearchFunc(w.rules, in.Name, func(r *rule, name string) int { return strings.Compare(r.Name, name) })
		w.rules = slices.Insert(w.rules, at, r)
	}
	r.Rule, r.matches = made, matches
	return &PutRuleOutput{RuleArn: made.Arn}, nil
}

// DescribeRule tells what a rule says.
func (w *World) DescribeRule(in *RuleNameInput) (*Rule, error) {
	r, err := w.rule(in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	return &r.Rule, nil
}

// EnableRule lets a rule match events.
func (w *World) EnableRule(in *RuleNameInput) (*EventsDone, error) {
	return w.setRuleState(in, ruleEnabled)
}

// DisableRule keeps a rule from matching events.
func (w *World) DisableRule(in *RuleNameInput) (*EventsDone, error) {
	return w.setRuleState(in, ruleDisabled)
}

func (w *World) setRuleState(in *RuleNameInput, state string) (*EventsDone, error) {
	r, err := w.rule(in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	r.State = state
	return &EventsDone{}, nil
}

// DeleteRule deletes a rule that has no targets. Deleting one that is not there succeeds.
func (w *World) DeleteRule(in *RuleNameInput) (*EventsDone, error) {
	if err := w.checkBus(in.EventBusName); err != nil {
		return nil, err
	}
	r, missing := w.rule(in.EventBusName, in.Name)
	if missing != nil {
		return &EventsDone{}, nil //nolint:nilerr // as on AWS
	}
	if len(r.targets) > 0 {
		return nil, clientError(codeBadEvent, "Rule can't be deleted since it has targets.")
	}
	w.rules = slices.DeleteFunc(w.rules, func(other *rule) bool { return other == r })
	return &EventsDone{}, nil
}

// ListRules lists rules by name.
func (w *World) ListRules(in *ListRulesInput) (*ListRulesOutput, error) {
	if err := w.checkBus(in.EventBusName); err != nil {
		return nil, err
	}
	rules := []Rule{}
	for _, r := range w.rules {
		if strings.HasPrefix(r.Name, in.NamePrefix) {
			rules = append(rules, r.Rule)
		}
	}
	page, next, err := eventsPage("rules", rules, in.NextToken, in.Limit)
	return &ListRulesOutput{Rules: page, NextToken: next}, err
}

// eventsPage is a page of a list of EventBridge: at most 100.
func eventsPage[T any](list string, all []T, tok string, limit int) (page []T, next string, err error) {
	after, ok := placeIn(list, tok)
	if !ok {
		return nil, "", clientError(codeBadEvent, "Provided NextToken is not valid.")
	}
	const most = 100
	if limit <= 0 || limit > most {
		limit = most
	}
	page, place := pageOf(all, after, limit)
	return page, token(list, place), nil
}

// PutTargets adds targets to a rule, or replaces those of the same IDs.
func (w *World) PutTargets(in *PutTargetsInput) (*TargetsOutput, error) {
	r, err := w.rule(in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	if len(in.Targets) == 0 {
		return nil, clientError(codeBadEvent, "1 validation error detected: Value '[]' at 'targets' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	targets := slices.Clone(r.targets)
	for _, t := range in.Targets {
		switch {
		case t.ID == "" || t.Arn == "":
			return nil, clientError(codeBadEvent, "1 validation error detected: Value null at 'targets.1.member.%s' failed to satisfy constraint: Member must not be null", map[bool]string{true: "id", false: "arn"}[t.ID == ""])
		case !strings.HasPrefix(t.Arn, "arn:"):
			return nil, clientError(codeBadEvent, "Parameter %s is not valid. Reason: Provided Arn is not in correct format.", clip(t.Arn))
		case t.InputPath != "" || t.InputTransformer != nil:
			return nil, clientError(codeBadEvent, "InputPath and InputTransformer are not simulated: leave them out of target %s, which then gets the event itself.", clip(t.ID))
		case t.Input != "" && !json.Valid([]byte(t.Input)):
			return nil, clientError(codeBadEvent, "JSON syntax error in input for target %s", clip(t.ID))
		}
		if i := slices.IndexFunc(targets, func(old EventTarget) bool { return old.ID == t.ID }); i >= 0 {
			targets[i] = t
		} else {
			targets = append(targets, t)
		}
	}
	if len(targets) > mostTargets {
		return nil, clientError(codeLimitExceeded, "The requested resource exceeds the maximum number allowed.")
	}
	r.targets = targets
	return &TargetsOutput{}, nil
}

// RemoveTargets takes targets from a rule; those that it does not have are reported.
func (w *World) RemoveTargets(in *RemoveTargetsInput) (*TargetsOutput, error) {
	r, err := w.rule(in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	out := &TargetsOutput{}
	for _, id := range in.IDs {
		i := slices.IndexFunc(r.targets, func(t EventTarget) bool { return t.ID == id })
		if i < 0 {
			out.FailedEntries = append(out.FailedEntries, FailedTarget{id, codeNotFound, "Rule " + r.Name + " does not have target " + clip(id) + "."})
			continue
		}
		r.targets = slices.Delete(slices.Clone(r.targets), i, i+1)
	}
	out.FailedEntryCount = len(out.FailedEntries)
	return out, nil
}

// ListTargetsByRule lists the targets of a rule.
func (w *World) ListTargetsByRule(in *ListTargetsByRuleInput) (*ListTargetsByRuleOutput, error) {
	r, err := w.rule(in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	page, next, err := eventsPage("targets", r.targets, in.NextToken, in.Limit)
	return &ListTargetsByRuleOutput{Targets: page, NextToken: next}, err
}

// TestEventPattern says whether a pattern matches an event.
func (w *World) TestEventPattern(in *TestEventPatternInput) (*TestEventPatternOutput, error) {
	matches, err := parsePattern(in.EventPattern)
	if err != nil {
		return nil, clientError(codeBadPattern, "Event pattern is not valid. Reason: %v", err)
	}
	var event map[string]any
	if err := json.Unmarshal([]byte(in.Event), &event); err != nil {
		return nil, clientError(codeBadEvent, "Parameter Event is not valid. Reason: %v", err)
	}
	return &TestEventPatternOutput{Result: matches(event)}, nil
}

// PutEvents takes events of the caller's own: they go where the rules send them.
func (w *World) PutEvents(in *PutEventsInput) (*PutEventsOutput, error) {
	if n := len(in.Entries); n < 1 || n > mostBatch {
		return nil, clientError(codeBadEvent, "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and %d", mostBatch)
	}
	out := &PutEventsOutput{}
	for i := range in.Entries {
		result := w.putEvent(&in.Entries[i])
		if result.ErrorCode != "" {
			out.FailedEntryCount++
		}
		out.Entries = append(out.Entries, result)
	}
	return out, nil
}

func (w *World) putEvent(e *PutEventsEntry) PutEventsResult {
	switch {
	case e.Source == "":
		return PutEventsResult{ErrorCode: "InvalidArgument", ErrorMessage: "Parameter Source is not valid. Reason: Source is a required argument."}
	case strings.HasPrefix(e.Source, "aws."):
		return PutEventsResult{ErrorCode: "NotAuthorizedForSourceException", ErrorMessage: "Not authorized for the source."}
	case e.DetailType == "":
		return PutEventsResult{ErrorCode: "InvalidArgument", ErrorMessage: "Parameter DetailType is not valid. Reason: DetailType is a required argument."}
	case !strings.HasPrefix(strings.TrimSpace(e.Detail), "{") || !json.Valid([]byte(e.Detail)):
		return PutEventsResult{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}
	case w.checkBus(e.EventBusName) != nil:
		return PutEventsResult{ErrorCode: codeNotFound, ErrorMessage: "Event bus " + clip(e.EventBusName) + " does not exist."}
	}
	resources := e.Resources
	if resources == nil {
		resources = []string{}
	}
	event := w.newEnvelope(e.DetailType, e.Source, resources, json.RawMessage(e.Detail))
	w.applyRules(event)
	return PutEventsResult{EventID: event.ID}
}

// applyRules sends an event to the targets of the rules that match it.
func (w *World) applyRules(e *envelope) {
	var event map[string]any
	for _, r := range w.rules {
		if r.State == ruleDisabled || r.matches == nil {
			continue
		}
		if event == nil {
			if err := json.Unmarshal([]byte(e.text()), &event); err != nil {
				panic("sim: an event is not JSON: " + err.Error()) // we have just written it
			}
		}
		if !r.matches(event) {
			continue
		}
		for i := range r.targets {
			t := &r.targets[i]
			q := w.queueOfArn(t.Arn)
			if q == nil {
				continue
			}
			m := &message{id: w.uuid("delivery"), event: e}
			if t.Input != "" {
				m.body, m.event = t.Input, nil
			}
			w.deliver(q, classOf(e.Source), m)
		}
	}
}

// queueOfArn finds a queue by its ARN; nil if there is none.
func (w *World) queueOfArn(arn string) *messageQueue {
	for _, q := range w.queues {
		if w.arn("sqs", q.name) == arn {
			return q
		}
	}
	return nil
}
