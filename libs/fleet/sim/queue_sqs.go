package sim

import (
	"crypto/md5" //nolint:gosec // SQS answers this checksum; it guards nothing
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// messageQueue is an SQS queue.
type messageQueue struct {
	name, url  string
	createdAt  time.Time
	visibility time.Duration
	retention  time.Duration
	ready      []*message // in the order they came or became visible again
	hidden     []*message // received, by the time they become visible again
	delayed    int        // on their way in
	lost       int        // dropped because nobody received them
}

// message is a message of a queue.
type message struct {
	id, body  string
	sentAt    time.Time
	visibleAt time.Time
	firstAt   time.Time // first received at
	received  int
	handle    string
	deleted   bool
}

// The bounds of SQS, and of what a world keeps.
const (
	usualVisibility = 30 * time.Second
	mostVisibility  = 12 * 60 * 60 // seconds
	usualRetention  = 4 * 24 * time.Hour
	mostBatch       = 10
	mostMessageSize = 1 << 20
	// mostKept bounds a queue that nobody reads: 5,000 instances make some hundred events
	// a second.
	mostKept = 100_000
)

// CreateQueue makes a queue, or returns the one of that name.
func (w *World) CreateQueue(in *CreateQueueInput) (*CreateQueueOutput, error) {
	if !namePattern.MatchString(in.QueueName) || len(in.QueueName) > 80 {
		return nil, clientError("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	for _, q := range w.queues {
		if q.name == in.QueueName {
			return &CreateQueueOutput{QueueURL: q.url}, nil
		}
	}
	q := &messageQueue{
		name: in.QueueName, url: w.cfg.Endpoint + "/" + w.cfg.Account + "/" + in.QueueName, createdAt: w.now,
		visibility: usualVisibility, retention: usualRetention,
	}
	for _, a := range []struct {
		name string
		to   *time.Duration
	}{{"VisibilityTimeout", &q.visibility}, {"MessageRetentionPeriod", &q.retention}} {
		text, given := in.Attributes[a.name]
		if !given {
			continue
		}
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 0 || time.Duration(seconds)*time.Second > 14*24*time.Hour {
			return nil, clientError("InvalidAttributeValue", "Invalid value for the parameter %s.", a.name)
		}
		*a.to = time.Duration(seconds) * time.Second
	}
	w.queues = append(w.queues, q)
	return &CreateQueueOutput{QueueURL: q.url}, nil
}

// queueAt finds a queue by URL. The host of the URL does not matter, so that a face may be
// reached by any name.
func (w *World) queueAt(url string) (*messageQueue, error) {
	for _, q := range w.queues {
		if q.name == url[strings.LastIndexByte(url, '/')+1:] {
			return q, nil
		}
	}
	return nil, clientError("QueueDoesNotExist", "The specified queue does not exist.")
}

// GetQueueURL is AWS's GetQueueUrl: it finds the URL of a queue.
func (w *World) GetQueueURL(in *GetQueueURLInput) (*GetQueueURLOutput, error) {
	q, err := w.queueAt(in.QueueName)
	if err != nil {
		return nil, err
	}
	return &GetQueueURLOutput{QueueURL: q.url}, nil
}

// GetQueueAttributes tells the attributes of a queue.
func (w *World) GetQueueAttributes(in *GetQueueAttributesInput) (*GetQueueAttributesOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	q.settle(w.now)
	all := map[string]string{
		"ApproximateNumberOfMessages":           strconv.Itoa(len(q.ready)),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(len(q.hidden)),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(q.delayed),
		"CreatedTimestamp":                      strconv.FormatInt(q.createdAt.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.createdAt.Unix(), 10),
		"VisibilityTimeout":                     strconv.Itoa(int(q.visibility.Seconds())),
		"MessageRetentionPeriod":                strconv.Itoa(int(q.retention.Seconds())),
		"MaximumMessageSize":                    strconv.Itoa(mostMessageSize),
		"DelaySeconds":                          "0",
		"ReceiveMessageWaitTimeSeconds":         "0",
		"QueueArn":                              w.arn("sqs", q.name),
	}
	out := &GetQueueAttributesOutput{Attributes: map[string]string{}}
	for _, name := range in.AttributeNames {
		value, known := all[name]
		switch {
		case name == "All":
			return &GetQueueAttributesOutput{Attributes: all}, nil
		case !known:
			return nil, clientError("InvalidAttributeName", "Unknown Attribute %s.", clip(name))
		}
		out.Attributes[name] = value
	}
	return out, nil
}

// SendMessage puts a message into a queue.
func (w *World) SendMessage(in *SendMessageInput) (*SendMessageOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if in.MessageBody == "" {
		return nil, clientError("MissingParameter", "The request must contain the parameter MessageBody.")
	}
	if len(in.MessageBody) > mostMessageSize {
		return nil, clientError("InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", mostMessageSize)
	}
	const longestDelay = 900 // seconds
	if in.DelaySeconds < 0 || in.DelaySeconds > longestDelay {
		return nil, clientError("InvalidParameterValue", "Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= %d.", in.DelaySeconds, longestDelay)
	}
	m := &message{id: w.uuid("message"), body: in.MessageBody}
	q.delayed++
	if delay := time.Duration(in.DelaySeconds) * time.Second; delay > 0 {
		w.in(delay, arrival{q, m})
	} else {
		arrival{q, m}.happen(w)
	}
	return &SendMessageOutput{MessageID: m.id, MD5OfMessageBody: sumOf(in.MessageBody)}, nil
}

// sumOf is the checksum that SQS answers, for clients to compare.
func sumOf(body string) string {
	sum := md5.Sum([]byte(body)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// arrival is when a message can be received.
type arrival struct {
	q *messageQueue
	m *message
}

func (a arrival) happen(w *World) {
	a.q.delayed--
	a.m.sentAt = w.now
	if len(a.q.ready) >= mostKept {
		a.q.lost++
		a.q.ready = a.q.ready[1:]
	}
	a.q.ready = append(a.q.ready, a.m)
}

// settle makes messages visible whose time has come and drops those that are too old.
func (q *messageQueue) settle(now time.Time) {
	due := 0
	for due < len(q.hidden) && !q.hidden[due].visibleAt.After(now) {
		due++
	}
	for _, m := range q.hidden[:due] {
		if !m.deleted {
			q.ready = append(q.ready, m)
		}
	}
	q.hidden = slices.Delete(q.hidden, 0, due)
	for len(q.ready) > 0 && now.Sub(q.ready[0].sentAt) > q.retention {
		q.ready = q.ready[1:]
		q.lost++
	}
}

// ReceiveMessage takes messages and hides them for a while. It never waits.
func (w *World) ReceiveMessage(in *ReceiveMessageInput) (*ReceiveMessageOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	count := max(in.MaxNumberOfMessages, 1)
	if in.MaxNumberOfMessages < 0 || count > mostBatch {
		return nil, clientError("InvalidParameterValue", "Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and %d, if provided.", in.MaxNumberOfMessages, mostBatch)
	}
	hide := q.visibility
	if in.VisibilityTimeout != nil {
		if *in.VisibilityTimeout < 0 || *in.VisibilityTimeout > mostVisibility {
			return nil, clientError("InvalidParameterValue", "Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and %d, if provided.", *in.VisibilityTimeout, mostVisibility)
		}
		hide = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	q.settle(w.now)
	out := &ReceiveMessageOutput{}
	for len(out.Messages) < count && len(q.ready) > 0 {
		m := q.ready[0]
		q.ready = q.ready[1:]
		if m.deleted {
			continue
		}
		m.received++
		if m.received == 1 {
			m.firstAt = w.now
		}
		m.handle = q.name + "." + m.id + "." + strconv.Itoa(m.received)
		q.hide(m, w.now.Add(hide))
		out.Messages = append(out.Messages, m.describe(in, w.cfg.Account))
	}
	return out, nil
}

// hide puts a message among the hidden ones, which are sorted by when they come back.
func (q *messageQueue) hide(m *message, until time.Time) {
	m.visibleAt = until
	i := len(q.hidden)
	for i > 0 && q.hidden[i-1].visibleAt.After(until) {
		i--
	}
	q.hidden = slices.Insert(q.hidden, i, m)
}

func (m *message) describe(in *ReceiveMessageInput, account string) Message {
	out := Message{MessageID: m.id, ReceiptHandle: m.handle, MD5OfBody: sumOf(m.body), Body: m.body}
	all := map[string]string{
		"SentTimestamp":                    strconv.FormatInt(m.sentAt.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.received),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.firstAt.UnixMilli(), 10),
		"SenderId":                         account,
	}
	for _, name := range append(slices.Clone(in.AttributeNames), in.MessageSystemAttributeNames...) {
		if name == "All" {
			out.Attributes = all
			return out
		}
		if v, ok := all[name]; ok {
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[name] = v
		}
	}
	return out
}

// DeleteMessage deletes a received message. An old receipt deletes nothing, as in SQS.
func (w *World) DeleteMessage(in *DeleteMessageInput) (*DeleteMessageOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if err := q.delete(in.ReceiptHandle); err != nil {
		return nil, err
	}
	return &DeleteMessageOutput{}, nil
}

func (q *messageQueue) delete(handle string) error {
	if !strings.HasPrefix(handle, q.name+".") {
		return clientError("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
	}
	if i := slices.IndexFunc(q.hidden, func(m *message) bool { return m.handle == handle }); i >= 0 {
		q.hidden[i].deleted = true
		q.hidden = slices.Delete(q.hidden, i, i+1)
		return nil
	}
	for _, m := range q.ready { // it became visible again meanwhile
		if m.handle == handle {
			m.deleted = true
		}
	}
	return nil
}

// DeleteMessageBatch deletes up to 10 received messages.
func (w *World) DeleteMessageBatch(in *DeleteMessageBatchInput) (*DeleteMessageBatchOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(in.Entries) == 0 {
		return nil, clientError("EmptyBatchRequest", "There should be at least one DeleteMessageBatchRequestEntry in the request.")
	}
	if len(in.Entries) > mostBatch {
		return nil, clientError("TooManyEntriesInBatchRequest", "Maximum number of entries per request are %d. You have sent %d.", mostBatch, len(in.Entries))
	}
	out := &DeleteMessageBatchOutput{Successful: []DeleteMessageBatchResult{}, Failed: []BatchError{}}
	for _, e := range in.Entries {
		if err := q.delete(e.ReceiptHandle); err != nil {
			out.Failed = append(out.Failed, BatchError{ID: e.ID, SenderFault: true, Code: "ReceiptHandleIsInvalid", Message: "The input receipt handle is invalid."})
			continue
		}
		out.Successful = append(out.Successful, DeleteMessageBatchResult{ID: e.ID})
	}
	return out, nil
}

// ChangeMessageVisibility hides a received message for longer, or shows it again.
func (w *World) ChangeMessageVisibility(in *ChangeMessageVisibilityInput) (*ChangeMessageVisibilityOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if in.VisibilityTimeout < 0 || in.VisibilityTimeout > mostVisibility {
		return nil, clientError("InvalidParameterValue", "Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and %d.", in.VisibilityTimeout, mostVisibility)
	}
	i := slices.IndexFunc(q.hidden, func(m *message) bool { return m.handle == in.ReceiptHandle })
	if i < 0 {
		return nil, clientError("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
	}
	m := q.hidden[i]
	q.hidden = slices.Delete(q.hidden, i, i+1)
	q.hide(m, w.now.Add(time.Duration(in.VisibilityTimeout)*time.Second))
	return &ChangeMessageVisibilityOutput{}, nil
}
