package sim

// The inputs and outputs of EventBridge, with the json names of its API.

// PutRuleInput is the request of EventBridge PutRule.
type PutRuleInput struct {
	Name               string `json:"Name"`
	EventPattern       string `json:"EventPattern"`
	ScheduleExpression string `json:"ScheduleExpression"`
	State              string `json:"State"`
	Description        string `json:"Description"`
	RoleArn            string `json:"RoleArn"`
	EventBusName       string `json:"EventBusName"`
}

// PutRuleOutput is the answer of EventBridge PutRule.
type PutRuleOutput struct {
	RuleArn string `json:"RuleArn"`
}

// RuleNameInput is the request of EventBridge DescribeRule, EnableRule, DisableRule and
// DeleteRule.
type RuleNameInput struct {
	Name         string `json:"Name"`
	EventBusName string `json:"EventBusName"`
}

// Rule is a rule of EventBridge.
type Rule struct {
	Name               string `json:"Name"`
	Arn                string `json:"Arn"`
	EventPattern       string `json:"EventPattern,omitempty"`
	ScheduleExpression string `json:"ScheduleExpression,omitempty"`
	State              string `json:"State"`
	Description        string `json:"Description,omitempty"`
	RoleArn            string `json:"RoleArn,omitempty"`
	EventBusName       string `json:"EventBusName"`
}

// ListRulesInput is the request of EventBridge ListRules.
type ListRulesInput struct {
	NamePrefix   string `json:"NamePrefix"`
	EventBusName string `json:"EventBusName"`
	NextToken    string `json:"NextToken"`
	Limit        int    `json:"Limit"`
}

// ListRulesOutput is the answer of EventBridge ListRules.
type ListRulesOutput struct {
	Rules     []Rule `json:"Rules"`
	NextToken string `json:"NextToken,omitempty"`
}

// EventTarget is where a rule sends events: the ARN of a queue. Other targets are kept,
// and nothing is sent to them.
type EventTarget struct {
	ID    string `json:"Id"`
	Arn   string `json:"Arn"`
	Input string `json:"Input,omitempty"` // what to send instead of the event
	// These are refused: what a queue of an autoscaler gets is the event itself.
	InputPath        string         `json:"InputPath,omitempty"`
	InputTransformer map[string]any `json:"InputTransformer,omitempty"`
}

// PutTargetsInput is the request of EventBridge PutTargets.
type PutTargetsInput struct {
	Rule         string        `json:"Rule"`
	EventBusName string        `json:"EventBusName"`
	Targets      []EventTarget `json:"Targets"`
}

// FailedTarget names a target that was not put or removed, and why.
type FailedTarget struct {
	TargetID     string `json:"TargetId"`
	ErrorCode    string `json:"ErrorCode"`
	ErrorMessage string `json:"ErrorMessage"`
}

// TargetsOutput is the answer of EventBridge PutTargets and RemoveTargets.
type TargetsOutput struct {
	FailedEntryCount int            `json:"FailedEntryCount"`
	FailedEntries    []FailedTarget `json:"FailedEntries"`
}

// RemoveTargetsInput is the request of EventBridge RemoveTargets.
type RemoveTargetsInput struct {
	Rule         string   `json:"Rule"`
	EventBusName string   `json:"EventBusName"`
	IDs          []string `json:"Ids"`
}

// ListTargetsByRuleInput is the request of EventBridge ListTargetsByRule.
type ListTargetsByRuleInput struct {
	Rule         string `json:"Rule"`
	EventBusName string `json:"EventBusName"`
	NextToken    string `json:"NextToken"`
	Limit        int    `json:"Limit"`
}

// ListTargetsByRuleOutput is the answer of EventBridge ListTargetsByRule.
type ListTargetsByRuleOutput struct {
	Targets   []EventTarget `json:"Targets"`
	NextToken string        `json:"NextToken,omitempty"`
}

// PutEventsEntry is an event of the caller's own.
type PutEventsEntry struct {
	Source       string   `json:"Source"`
	DetailType   string   `json:"DetailType"`
	Detail       string   `json:"Detail"`
	Resources    []string `json:"Resources"`
	EventBusName string   `json:"EventBusName"`
}

// PutEventsInput is the request of EventBridge PutEvents.
type PutEventsInput struct {
	Entries []PutEventsEntry `json:"Entries"`
}

// PutEventsResult is what became of an event: an ID or an error.
type PutEventsResult struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:"ErrorCode,omitempty"`
	ErrorMessage string `json:"ErrorMessage,omitempty"`
}

// PutEventsOutput is the answer of EventBridge PutEvents.
type PutEventsOutput struct {
	FailedEntryCount int               `json:"FailedEntryCount"`
	Entries          []PutEventsResult `json:"Entries"`
}

// TestEventPatternInput is the request of EventBridge TestEventPattern.
type TestEventPatternInput struct {
	EventPattern string `json:"EventPattern"`
	Event        string `json:"Event"`
}

// TestEventPatternOutput is the answer of EventBridge TestEventPattern.
type TestEventPatternOutput struct {
	Result bool `json:"Result"`
}

// EventsDone is the answer of the operations of EventBridge that say nothing.
type EventsDone struct{}
