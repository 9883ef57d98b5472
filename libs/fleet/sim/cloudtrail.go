package sim

import (
	"encoding/json"
	"errors"
	"fmt"
)

// recordedCall is a call of the API as CloudTrail records it, as far as a reader of events
// needs it.
type recordedCall struct {
	EventVersion       string       `json:"eventVersion"`
	UserIdentity       callIdentity `json:"userIdentity"`
	EventTime          string       `json:"eventTime"` // whole seconds
	EventSource        string       `json:"eventSource"`
	EventName          string       `json:"eventName"`
	AWSRegion          string       `json:"awsRegion"`
	SourceIPAddress    string       `json:"sourceIPAddress"`
	UserAgent          string       `json:"userAgent"`
	ErrorCode          string       `json:"errorCode,omitempty"`
	ErrorMessage       string       `json:"errorMessage,omitempty"`
	RequestParameters  any          `json:"requestParameters"`
	ResponseElements   any          `json:"responseElements"` // null after an error
	RequestID          string       `json:"requestID"`
	EventID            string       `json:"eventID"`
	ReadOnly           bool         `json:"readOnly"`
	EventType          string       `json:"eventType"`
	ManagementEvent    bool         `json:"managementEvent"`
	RecipientAccountID string       `json:"recipientAccountId"`
	EventCategory      string       `json:"eventCategory"`
}

// callIdentity is who called. The world does not know its callers apart.
type callIdentity struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId"`
	ARN         string `json:"arn"`
	AccountID   string `json:"accountId"`
}

// tellCall is what CloudTrail tells EventBridge of a call of ECS: what was asked for, and
// the answer or the error. It goes to the queues of the rules that match it, and to no
// other: the queues of [World.Subscribe] stand for a rule about what ECS and EC2 say of
// themselves, and an account without a trail hears of no calls.
func (w *World) tellCall(name string, in, out any, err error) {
	if len(w.rules) == 0 {
		return
	}
	call := recordedCall{
		EventVersion: "1.11", EventSource: "ecs.amazonaws.com", EventName: name, AWSRegion: w.cfg.Region,
		EventTime: w.now.UTC().Format("2006-01-02T15:04:05Z"), SourceIPAddress: "192.0.2.1", UserAgent: "aws-sdk",
		RequestParameters: fieldsOf(in), RequestID: w.uuid("request"), EventID: w.uuid("call"),
		EventType: "AwsApiCall", ManagementEvent: true, RecipientAccountID: w.cfg.Account, EventCategory: "Management",
		UserIdentity: callIdentity{"IAMUser", "AIDASIMULATEDUSER0000", "arn:aws:iam::" + w.cfg.Account + ":user/simulated", w.cfg.Account},
	}
	refused := &Error{}
	switch {
	case err == nil:
		call.ResponseElements = fieldsOf(out)
	case errors.As(err, &refused):
		call.ErrorCode, call.ErrorMessage = refused.Code, refused.Message
	default:
		call.ErrorCode, call.ErrorMessage = "ServerException", err.Error()
	}
	w.applyRules(w.newEnvelope("AWS API Call via CloudTrail", "aws.ecs", []string{}, call))
}

// fieldsOf is a request or an answer without what is not set in it, as CloudTrail writes it:
// lists stay, empty or not.
func fieldsOf(message any) map[string]any {
	text, err := json.Marshal(message)
	fields := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	if err != nil {
		panic(fmt.Sprintf("sim: a call as JSON: %v", err)) // only our own types are in it
	}
	//neap:unordered each field is judged by itself
	for name, value := range fields {
		if value == nil || value == "" {
			delete(fields, name)
		}
	}
	return fields
}
