package sim

import (
	"crypto/md5" //nolint:gosec // SQS answers this checksum; it guards nothing
	"encoding/binary"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// message is a message of a queue.
type message struct {
	id, body   string
	attributes MessageAttributes
	trace      string // AWSTraceHeader
	source     string // ARN of the queue that it was moved here from; empty is none
	sentAt     time.Time
	visibleAt  time.Time
	firstAt    time.Time // first received at
	received   int
	handle     string
	deleted    bool
	event      *envelope // whose text is the body; nil has it in body
}

// text is the body of the message.
func (m *message) text() string {
	if m.event != nil {
		return m.event.text()
	}
	return m.body
}

// SendMessage puts a message into a queue.
func (w *World) SendMessage(in *SendMessageInput) (*SendMessageOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	return w.send(q, in)
}

func (w *World) send(q *messageQueue, in *SendMessageInput) (*SendMessageOutput, error) {
	if in.MessageBody == "" {
		return nil, missing("MessageBody")
	}
	size := len(in.MessageBody)
	for _, name := range sortedKeys(in.MessageAttributes) {
		a := in.MessageAttributes[name]
		if a.DataType == "" {
			return nil, clientError("InvalidParameterValue", "The message attribute '%s' must contain a non-empty message attribute type.", clip(name))
		}
		size += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	if len(in.MessageAttributes) > mostBatch {
		return nil, clientError("InvalidParameterValue", "Number of message attributes [%d] exceeds the allowed maximum [%d].", len(in.MessageAttributes), mostBatch)
	}
	if size > q.mostSize {
		return nil, clientError("InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.mostSize)
	}
	delay := q.delay
	if in.DelaySeconds != nil {
		if *in.DelaySeconds < 0 || *in.DelaySeconds > longestDelay {
			return nil, clientError("InvalidParameterValue", "Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= %d.", *in.DelaySeconds, longestDelay)
		}
		delay = time.Duration(*in.DelaySeconds) * time.Second
	}
	m := &message{id: w.uuid("message"), body: in.MessageBody, attributes: in.MessageAttributes, trace: in.MessageSystemAttributes["AWSTraceHeader"].StringValue}
	q.delayed++
	if delay > 0 {
		w.in(delay, arrival{q, m})
	} else {
		arrival{q, m}.happen(w)
	}
	return &SendMessageOutput{MessageID: m.id, MD5OfMessageBody: sumOf(in.MessageBody), MD5OfMessageAttributes: in.MessageAttributes.sum()}, nil
}

// SendMessageBatch puts up to 10 messages into a queue.
func (w *World) SendMessageBatch(in *SendMessageBatchInput) (*SendMessageBatchOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	total := 0
	for _, e := range in.Entries {
		total += len(e.MessageBody)
	}
	if total > mostMessageSize {
		return nil, clientError("BatchRequestTooLong", "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", mostMessageSize, total)
	}
	out := &SendMessageBatchOutput{}
	out.Successful, out.Failed, err = eachEntry("SendMessageBatchRequestEntry", in.Entries, func(e SendMessageBatchEntry) string { return e.ID }, func(e SendMessageBatchEntry) (done SentMessage, err error) {
		sent, err := w.send(q, &SendMessageInput{
			MessageBody: e.MessageBody, DelaySeconds: e.DelaySeconds, MessageAttributes: e.MessageAttributes, MessageSystemAttributes: e.MessageSystemAttributes,
		})
		if err != nil {
			return done, err
		}
		return SentMessage{e.ID, sent.MessageID, sent.MD5OfMessageBody, sent.MD5OfMessageAttributes}, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var batchIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// eachEntry does something for each entry of a batch and returns what came of those that
// succeeded, and those that failed. A batch that is wrong as a whole does nothing.
func eachEntry[E, D any](kind string, entries []E, id func(E) string, do func(E) (D, error)) ([]D, []BatchError, error) {
	if len(entries) == 0 {
		return nil, nil, clientError("EmptyBatchRequest", "There should be at least one %s in the request.", kind)
	}
	if len(entries) > mostBatch {
		return nil, nil, clientError("TooManyEntriesInBatchRequest", "Maximum number of entries per request are %d. You have sent %d.", mostBatch, len(entries))
	}
	var seen []string
	for _, e := range entries {
		switch name := id(e); {
		case !batchIDPattern.MatchString(name):
			return nil, nil, clientError("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		case slices.Contains(seen, name):
			return nil, nil, clientError("BatchEntryIdsNotDistinct", "Id %s repeated.", name)
		default:
			seen = append(seen, name)
		}
	}
	done, failed := []D{}, []BatchError{}
	for _, e := range entries {
		d, err := do(e)
		if err != nil {
			fail := BatchError{ID: id(e), SenderFault: true, Code: "InternalError", Message: err.Error()}
			var known *Error
			if errors.As(err, &known) {
				fail.Code, fail.Message = known.Code, known.Message
			}
			failed = append(failed, fail)
			continue
		}
		done = append(done, d)
	}
	return done, failed, nil
}

// sumOf is the checksum that SQS answers, for clients to compare.
func sumOf(body string) string {
	sum := md5.New()        //nolint:gosec // as above
	var piece [1 << 10]byte // a copy of the whole body would be garbage
	for len(body) > 0 {
		n := copy(piece[:], body)
		sum.Write(piece[:n])
		body = body[n:]
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// sum is the checksum of attributes that SQS answers, for clients to compare.
func (a MessageAttributes) sum() string {
	if len(a) == 0 {
		return ""
	}
	var text []byte
	add := func(s string) {
		text = binary.BigEndian.AppendUint32(text, uint32(len(s)))
		text = append(text, s...)
	}
	for _, name := range sortedKeys(a) {
		add(name)
		add(a[name].DataType)
		if strings.HasPrefix(a[name].DataType, "Binary") {
			text = append(text, 2)
			add(string(a[name].BinaryValue))
		} else {
			text = append(text, 1)
			add(a[name].StringValue)
		}
	}
	return sumOf(string(text))
}

// arrival is when a message can be received.
type arrival struct {
	q *messageQueue
	m *message
}

func (a arrival) happen(w *World) {
	a.q.delayed--
	a.m.sentAt = w.now
	if a.q.deleted {
		return
	}
	a.q.put(a.m)
}

// put makes a message visible.
func (q *messageQueue) put(m *message) {
	if len(q.ready) >= mostKept {
		q.lost++
		q.ready = q.ready[1:]
	}
	q.ready = append(q.ready, m)
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

// Patience is how long a reception is to wait for messages if there are none.
func (w *World) Patience(in *ReceiveMessageInput) time.Duration {
	if in.WaitTimeSeconds != nil {
		return time.Duration(min(max(*in.WaitTimeSeconds, 0), LongestPoll)) * time.Second
	}
	if q, err := w.queueAt(in.QueueURL); err == nil {
		return q.wait
	}
	return 0
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
	if in.WaitTimeSeconds != nil && (*in.WaitTimeSeconds < 0 || *in.WaitTimeSeconds > LongestPoll) {
		return nil, clientError("InvalidParameterValue", "Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= %d, if provided.", *in.WaitTimeSeconds, LongestPoll)
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
		if m.deleted || w.bury(q, m) {
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

// bury moves a message that was received too often to the dead-letter queue.
func (w *World) bury(q *messageQueue, m *message) bool {
	if q.redrive.target == "" || m.received < q.redrive.after {
		return false
	}
	dead := w.queueOfArn(q.redrive.target)
	if dead == nil {
		return false
	}
	m.source = w.arn("sqs", q.name)
	m.received, m.handle = 0, ""
	dead.put(m) // it keeps the time when it was sent
	return true
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
	body := m.text()
	out := Message{MessageID: m.id, ReceiptHandle: m.handle, MD5OfBody: sumOf(body), Body: body}
	asked := slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)
	if len(asked)+len(in.MessageAttributeNames) == 0 {
		return out // what nobody asks for need not be made
	}
	all := Attributes{
		"SentTimestamp":                    strconv.FormatInt(m.sentAt.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.received),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.firstAt.UnixMilli(), 10),
		"SenderId":                         account,
	}
	if m.trace != "" {
		all["AWSTraceHeader"] = m.trace
	}
	if m.source != "" {
		all["DeadLetterQueueSourceArn"] = m.source
	}
	for _, name := range sortedKeys(all) {
		if slices.Contains(asked, name) || slices.Contains(asked, "All") {
			if out.Attributes == nil {
				out.Attributes = Attributes{}
			}
			out.Attributes[name] = all[name]
		}
	}
	for _, name := range sortedKeys(m.attributes) {
		if slices.ContainsFunc(in.MessageAttributeNames, func(asked string) bool { return asksFor(asked, name) }) {
			if out.MessageAttributes == nil {
				out.MessageAttributes = MessageAttributes{}
			}
			out.MessageAttributes[name] = m.attributes[name]
		}
	}
	out.MD5OfMessageAttributes = out.MessageAttributes.sum()
	return out
}

// asksFor says whether a reception asks for an attribute: by name, All, or a beginning
// such as "trace.*".
func asksFor(asked, name string) bool {
	beginning, many := strings.CutSuffix(asked, ".*")
	return asked == "All" || asked == name || many && strings.HasPrefix(name, beginning)
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

// checkHandle refuses what is not a receipt of this queue.
func (q *messageQueue) checkHandle(handle string) error {
	switch {
	case handle == "":
		return missing("ReceiptHandle")
	case !strings.HasPrefix(handle, q.name+"."):
		return clientError("ReceiptHandleIsInvalid", "The input receipt handle \"%s\" is not a valid receipt handle.", clip(handle))
	}
	return nil
}

func (q *messageQueue) delete(handle string) error {
	if err := q.checkHandle(handle); err != nil {
		return err
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
	out := &DeleteMessageBatchOutput{}
	out.Successful, out.Failed, err = eachEntry("DeleteMessageBatchRequestEntry", in.Entries, func(e DeleteMessageBatchEntry) string { return e.ID }, func(e DeleteMessageBatchEntry) (BatchDone, error) {
		return BatchDone{e.ID}, q.delete(e.ReceiptHandle)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ChangeMessageVisibility hides a received message for longer, or shows it again.
func (w *World) ChangeMessageVisibility(in *ChangeMessageVisibilityInput) (*ChangeMessageVisibilityOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if err := w.changeVisibility(q, in.ReceiptHandle, in.VisibilityTimeout); err != nil {
		return nil, err
	}
	return &ChangeMessageVisibilityOutput{}, nil
}

func (w *World) changeVisibility(q *messageQueue, handle string, seconds int) error {
	if err := q.checkHandle(handle); err != nil {
		return err
	}
	if seconds < 0 || seconds > mostVisibility {
		return clientError("InvalidParameterValue", "Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and %d.", seconds, mostVisibility)
	}
	q.settle(w.now)
	i := slices.IndexFunc(q.hidden, func(m *message) bool { return m.handle == handle })
	if i < 0 {
		return clientError("MessageNotInflight", "Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", clip(handle))
	}
	m := q.hidden[i]
	q.hidden = slices.Delete(q.hidden, i, i+1)
	q.hide(m, w.now.Add(time.Duration(seconds)*time.Second))
	return nil
}

// ChangeMessageVisibilityBatch hides up to 10 received messages for longer, or shows them
// again.
func (w *World) ChangeMessageVisibilityBatch(in *ChangeMessageVisibilityBatchInput) (*ChangeMessageVisibilityBatchOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	out := &ChangeMessageVisibilityBatchOutput{}
	out.Successful, out.Failed, err = eachEntry("ChangeMessageVisibilityBatchRequestEntry", in.Entries, func(e ChangeMessageVisibilityEntry) string { return e.ID }, func(e ChangeMessageVisibilityEntry) (BatchDone, error) {
		return BatchDone{e.ID}, w.changeVisibility(q, e.ReceiptHandle, e.VisibilityTimeout)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
