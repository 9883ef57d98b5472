package sim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// redrive is where a queue moves messages that were received too often.
type redrive struct {
	target string // ARN of the dead-letter queue; empty is none
	after  int    // receptions
}

// queueNumber is an attribute of a queue that is a number with bounds.
type queueNumber struct {
	name        string
	least, most int
	of          func(*messageQueue) *time.Duration // a time in seconds
}

var queueTimes = []queueNumber{
	{"DelaySeconds", 0, longestDelay, func(q *messageQueue) *time.Duration { return &q.delay }},
	{"MessageRetentionPeriod", 60, 14 * 24 * 60 * 60, func(q *messageQueue) *time.Duration { return &q.retention }},
	{"ReceiveMessageWaitTimeSeconds", 0, LongestPoll, func(q *messageQueue) *time.Duration { return &q.wait }},
	{"VisibilityTimeout", 0, mostVisibility, func(q *messageQueue) *time.Duration { return &q.visibility }},
}

// queueTexts are attributes that are kept and told, and that change nothing here.
var queueTexts = []string{
	"Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled",
}

const leastMessageSize = 1024

// setAttributes changes attributes of a queue, all or none.
func (w *World) setAttributes(q *messageQueue, attributes Attributes) error {
	changed := *q
	changed.kept = Attributes{}
	for name, value := range q.kept { //neap:unordered a copy
		changed.kept[name] = value
	}
	for _, name := range sortedKeys(attributes) {
		if err := w.setAttribute(&changed, name, attributes[name]); err != nil {
			return err
		}
	}
	*q = changed
	return nil
}

func (w *World) setAttribute(q *messageQueue, name, value string) error {
	bad := clientError("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
	number, numeric := strconv.Atoi(value)
	for _, n := range queueTimes {
		if n.name == name {
			if numeric != nil || number < n.least || number > n.most {
				return bad
			}
			*n.of(q) = time.Duration(number) * time.Second
			return nil
		}
	}
	switch {
	case name == "MaximumMessageSize":
		if numeric != nil || number < leastMessageSize || number > mostMessageSize {
			return bad
		}
		q.mostSize = number
	case name == "RedrivePolicy":
		return w.setRedrive(q, value)
	case slices.Contains(queueTexts, name):
		if value == "" {
			delete(q.kept, name)
		} else {
			q.kept[name] = value
		}
	default: // FIFO queues are not simulated
		return clientError("InvalidAttributeName", "Unknown Attribute %s.", clip(name))
	}
	return nil
}

// setRedrive reads {"deadLetterTargetArn":"…","maxReceiveCount":5}; empty is none.
func (w *World) setRedrive(q *messageQueue, policy string) error {
	if policy == "" {
		q.redrive = redrive{}
		delete(q.kept, "RedrivePolicy")
		return nil
	}
	var p struct {
		Target string          `json:"deadLetterTargetArn"`
		After  json.RawMessage `json:"maxReceiveCount"` // a number, or a text that is one
	}
	const most = 1000
	err := json.Unmarshal([]byte(policy), &p)
	after, number := strconv.Atoi(strings.Trim(string(p.After), `"`))
	switch {
	case err != nil || number != nil || after < 1 || after > most:
		return clientError("InvalidParameterValue", "Value %s for parameter RedrivePolicy is invalid. Reason: Invalid value for maxReceiveCount: %s, valid values are from 1 to %d both inclusive.", clip(policy), clip(string(p.After)), most)
	case w.queueOfArn(p.Target) == nil:
		return clientError("InvalidParameterValue", "Value %s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.", clip(policy))
	}
	q.redrive = redrive{p.Target, after}
	q.kept["RedrivePolicy"] = policy
	return nil
}

// attributes are all attributes of a queue.
func (w *World) attributes(q *messageQueue) Attributes {
	q.settle(w.now)
	all := Attributes{
		"ApproximateNumberOfMessages":           strconv.Itoa(len(q.ready)),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(len(q.hidden)),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(q.delayed),
		"CreatedTimestamp":                      strconv.FormatInt(q.createdAt.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.modifiedAt.Unix(), 10),
		"MaximumMessageSize":                    strconv.Itoa(q.mostSize),
		"QueueArn":                              w.arn("sqs", q.name),
	}
	for _, n := range queueTimes {
		all[n.name] = strconv.Itoa(int(n.of(q).Seconds()))
	}
	for name, value := range q.kept { //neap:unordered a copy
		all[name] = value
	}
	return all
}

// queueAttributeNames are those that a caller may ask for: some queues do not have all.
var queueAttributeNames = append([]string{
	"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
	"CreatedTimestamp", "LastModifiedTimestamp", "MaximumMessageSize", "QueueArn", "DelaySeconds", "MessageRetentionPeriod",
	"ReceiveMessageWaitTimeSeconds", "VisibilityTimeout", "RedrivePolicy", "All",
	"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit",
}, queueTexts...)

// GetQueueAttributes tells the attributes of a queue.
func (w *World) GetQueueAttributes(in *GetQueueAttributesInput) (*GetQueueAttributesOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	all := w.attributes(q)
	out := &GetQueueAttributesOutput{Attributes: Attributes{}}
	for _, name := range in.AttributeNames {
		value, set := all[name]
		switch {
		case name == "All":
			return &GetQueueAttributesOutput{Attributes: all}, nil
		case !slices.Contains(queueAttributeNames, name):
			return nil, clientError("InvalidAttributeName", "Unknown Attribute %s.", clip(name))
		case set:
			out.Attributes[name] = value
		}
	}
	return out, nil
}

// SetQueueAttributes changes attributes of a queue.
func (w *World) SetQueueAttributes(in *SetQueueAttributesInput) (*QueueDone, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(in.Attributes) == 0 {
		return nil, missing("Attributes")
	}
	if err := w.setAttributes(q, in.Attributes); err != nil {
		return nil, err
	}
	q.modifiedAt = w.now
	return &QueueDone{}, nil
}
