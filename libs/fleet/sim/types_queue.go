package sim

import "encoding/xml"

// The inputs and outputs of SQS: json names for its JSON protocol, query and xml names for
// the query protocol that older clients speak.

// Attributes are the attributes of a queue or a message. In XML each is an element with a
// Name and a Value.
type Attributes map[string]string

// MarshalXML writes an element for each attribute, sorted by name.
func (a Attributes) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	for _, name := range sortedKeys(a) {
		entry := struct{ Name, Value string }{name, a[name]}
		if err := e.EncodeElement(entry, start); err != nil {
			return err
		}
	}
	return nil
}

// QueueTags are the tags of a queue. In XML each is an element with a Key and a Value.
type QueueTags map[string]string

// MarshalXML writes an element for each tag, sorted by key.
func (t QueueTags) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	for _, key := range sortedKeys(t) {
		entry := struct{ Key, Value string }{key, t[key]}
		if err := e.EncodeElement(entry, start); err != nil {
			return err
		}
	}
	return nil
}

// MessageAttribute is an attribute that a sender gives a message.
type MessageAttribute struct {
	DataType    string `json:"DataType" xml:"DataType"`
	StringValue string `json:"StringValue,omitempty" xml:"StringValue,omitempty"`
	BinaryValue []byte `json:"BinaryValue,omitempty" xml:"BinaryValue,omitempty"`
}

// MessageAttributes are the attributes that a sender gives a message.
type MessageAttributes map[string]MessageAttribute

// MarshalXML writes an element for each attribute, sorted by name.
func (a MessageAttributes) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	for _, name := range sortedKeys(a) {
		entry := struct {
			Name  string
			Value MessageAttribute
		}{name, a[name]}
		if err := e.EncodeElement(entry, start); err != nil {
			return err
		}
	}
	return nil
}

// CreateQueueInput is the request of SQS CreateQueue.
type CreateQueueInput struct {
	QueueName  string     `json:"QueueName"`
	Attributes Attributes `json:"Attributes" query:"Attribute"`
	Tags       QueueTags  `json:"tags" query:"Tag"`
}

// CreateQueueOutput is the answer of SQS CreateQueue.
type CreateQueueOutput struct {
	QueueURL string `json:"QueueUrl" xml:"QueueUrl"`
}

// GetQueueURLInput is the request of SQS GetQueueUrl.
type GetQueueURLInput struct {
	QueueName              string `json:"QueueName"`
	QueueOwnerAWSAccountID string `json:"QueueOwnerAWSAccountId" query:"QueueOwnerAWSAccountId"`
}

// GetQueueURLOutput is the answer of SQS GetQueueUrl.
type GetQueueURLOutput struct {
	QueueURL string `json:"QueueUrl" xml:"QueueUrl"`
}

// ListQueuesInput is the request of SQS ListQueues.
type ListQueuesInput struct {
	QueueNamePrefix string `json:"QueueNamePrefix"`
	NextToken       string `json:"NextToken"`
	MaxResults      *int   `json:"MaxResults"`
}

// ListQueuesOutput is the answer of SQS ListQueues.
type ListQueuesOutput struct {
	QueueURLs []string `json:"QueueUrls,omitempty" xml:"QueueUrl"`
	NextToken string   `json:"NextToken,omitempty" xml:"NextToken,omitempty"`
}

// DeadLetterSourcesOutput is the answer of SQS ListDeadLetterSourceQueues.
type DeadLetterSourcesOutput struct {
	QueueURLs []string `json:"queueUrls" xml:"QueueUrl"`
	NextToken string   `json:"NextToken,omitempty" xml:"NextToken,omitempty"`
}

// QueueInput is the request of the operations of SQS that name a queue only: DeleteQueue,
// PurgeQueue, ListQueueTags and ListDeadLetterSourceQueues.
type QueueInput struct {
	QueueURL string `json:"QueueUrl" query:"QueueUrl"`
}

// QueueDone is the answer of the operations of SQS that say nothing.
type QueueDone struct{}

// GetQueueAttributesInput is the request of SQS GetQueueAttributes.
type GetQueueAttributesInput struct {
	QueueURL       string   `json:"QueueUrl" query:"QueueUrl"`
	AttributeNames []string `json:"AttributeNames" query:"AttributeName"`
}

// GetQueueAttributesOutput is the answer of SQS GetQueueAttributes.
type GetQueueAttributesOutput struct {
	Attributes Attributes `json:"Attributes,omitempty" xml:"Attribute"`
}

// SetQueueAttributesInput is the request of SQS SetQueueAttributes.
type SetQueueAttributesInput struct {
	QueueURL   string     `json:"QueueUrl" query:"QueueUrl"`
	Attributes Attributes `json:"Attributes" query:"Attribute"`
}

// TagQueueInput is the request of SQS TagQueue.
type TagQueueInput struct {
	QueueURL string    `json:"QueueUrl" query:"QueueUrl"`
	Tags     QueueTags `json:"Tags" query:"Tag"`
}

// UntagQueueInput is the request of SQS UntagQueue.
type UntagQueueInput struct {
	QueueURL string   `json:"QueueUrl" query:"QueueUrl"`
	TagKeys  []string `json:"TagKeys" query:"TagKey"`
}

// ListQueueTagsOutput is the answer of SQS ListQueueTags.
type ListQueueTagsOutput struct {
	Tags QueueTags `json:"Tags,omitempty" xml:"Tag"`
}

// SendMessageInput is the request of SQS SendMessage.
type SendMessageInput struct {
	QueueURL                string            `json:"QueueUrl" query:"QueueUrl"`
	MessageBody             string            `json:"MessageBody"`
	DelaySeconds            *int              `json:"DelaySeconds"`
	MessageAttributes       MessageAttributes `json:"MessageAttributes" query:"MessageAttribute"`
	MessageSystemAttributes MessageAttributes `json:"MessageSystemAttributes" query:"MessageSystemAttribute"`
}

// SendMessageOutput is the answer of SQS SendMessage.
type SendMessageOutput struct {
	MessageID              string `json:"MessageId" xml:"MessageId"`
	MD5OfMessageBody       string `json:"MD5OfMessageBody" xml:"MD5OfMessageBody"`
	MD5OfMessageAttributes string `json:"MD5OfMessageAttributes,omitempty" xml:"MD5OfMessageAttributes,omitempty"`
}

// SendMessageBatchEntry is one message to send.
type SendMessageBatchEntry struct {
	ID                      string            `json:"Id" query:"Id"`
	MessageBody             string            `json:"MessageBody"`
	DelaySeconds            *int              `json:"DelaySeconds"`
	MessageAttributes       MessageAttributes `json:"MessageAttributes" query:"MessageAttribute"`
	MessageSystemAttributes MessageAttributes `json:"MessageSystemAttributes" query:"MessageSystemAttribute"`
}

// SendMessageBatchInput is the request of SQS SendMessageBatch: at most 10.
type SendMessageBatchInput struct {
	QueueURL string                  `json:"QueueUrl" query:"QueueUrl"`
	Entries  []SendMessageBatchEntry `json:"Entries" query:"SendMessageBatchRequestEntry"`
}

// SendMessageBatchOutput is the answer of SQS SendMessageBatch.
type SendMessageBatchOutput struct {
	Successful []SentMessage `json:"Successful" xml:"SendMessageBatchResultEntry"`
	Failed     []BatchError  `json:"Failed" xml:"BatchResultErrorEntry"`
}

// SentMessage is a message of a batch that was sent.
type SentMessage struct {
	ID                     string `json:"Id" xml:"Id"`
	MessageID              string `json:"MessageId" xml:"MessageId"`
	MD5OfMessageBody       string `json:"MD5OfMessageBody" xml:"MD5OfMessageBody"`
	MD5OfMessageAttributes string `json:"MD5OfMessageAttributes,omitempty" xml:"MD5OfMessageAttributes,omitempty"`
}

// ReceiveMessageInput is the request of SQS ReceiveMessage. The world never waits: a face
// that serves WaitTimeSeconds advances time and asks again.
type ReceiveMessageInput struct {
	QueueURL                    string   `json:"QueueUrl" query:"QueueUrl"`
	AttributeNames              []string `json:"AttributeNames" query:"AttributeName"`
	MessageSystemAttributeNames []string `json:"MessageSystemAttributeNames" query:"MessageSystemAttributeName"`
	MessageAttributeNames       []string `json:"MessageAttributeNames" query:"MessageAttributeName"`
	MaxNumberOfMessages         int      `json:"MaxNumberOfMessages"` // default 1, at most 10
	VisibilityTimeout           *int     `json:"VisibilityTimeout"`
	WaitTimeSeconds             *int     `json:"WaitTimeSeconds"`
}

// Message is a message of a queue.
type Message struct {
	MessageID              string            `json:"MessageId" xml:"MessageId"`
	ReceiptHandle          string            `json:"ReceiptHandle" xml:"ReceiptHandle"`
	MD5OfBody              string            `json:"MD5OfBody" xml:"MD5OfBody"`
	Body                   string            `json:"Body" xml:"Body"`
	Attributes             Attributes        `json:"Attributes,omitempty" xml:"Attribute"`
	MD5OfMessageAttributes string            `json:"MD5OfMessageAttributes,omitempty" xml:"MD5OfMessageAttributes,omitempty"`
	MessageAttributes      MessageAttributes `json:"MessageAttributes,omitempty" xml:"MessageAttribute"`
}

// ReceiveMessageOutput is the answer of SQS ReceiveMessage.
type ReceiveMessageOutput struct {
	Messages []Message `json:"Messages,omitempty" xml:"Message"`
}

// DeleteMessageInput is the request of SQS DeleteMessage.
type DeleteMessageInput struct {
	QueueURL      string `json:"QueueUrl" query:"QueueUrl"`
	ReceiptHandle string `json:"ReceiptHandle"`
}

// DeleteMessageOutput is the answer of SQS DeleteMessage.
type DeleteMessageOutput struct{}

// DeleteMessageBatchEntry is one message to delete.
type DeleteMessageBatchEntry struct {
	ID            string `json:"Id" query:"Id"`
	ReceiptHandle string `json:"ReceiptHandle"`
}

// DeleteMessageBatchInput is the request of SQS DeleteMessageBatch: at most 10.
type DeleteMessageBatchInput struct {
	QueueURL string                    `json:"QueueUrl" query:"QueueUrl"`
	Entries  []DeleteMessageBatchEntry `json:"Entries" query:"DeleteMessageBatchRequestEntry"`
}

// BatchDone names an entry of a batch that was done.
type BatchDone struct {
	ID string `json:"Id" xml:"Id"`
}

// BatchError names an entry of a batch that was not done, and why.
type BatchError struct {
	ID          string `json:"Id" xml:"Id"`
	SenderFault bool   `json:"SenderFault" xml:"SenderFault"`
	Code        string `json:"Code" xml:"Code"`
	Message     string `json:"Message" xml:"Message"`
}

// DeleteMessageBatchOutput is the answer of SQS DeleteMessageBatch.
type DeleteMessageBatchOutput struct {
	Successful []BatchDone  `json:"Successful" xml:"DeleteMessageBatchResultEntry"`
	Failed     []BatchError `json:"Failed" xml:"BatchResultErrorEntry"`
}

// ChangeMessageVisibilityInput is the request of SQS ChangeMessageVisibility.
type ChangeMessageVisibilityInput struct {
	QueueURL          string `json:"QueueUrl" query:"QueueUrl"`
	ReceiptHandle     string `json:"ReceiptHandle"`
	VisibilityTimeout int    `json:"VisibilityTimeout"`
}

// ChangeMessageVisibilityOutput is the answer of SQS ChangeMessageVisibility.
type ChangeMessageVisibilityOutput struct{}

// ChangeMessageVisibilityEntry is one message to hide for longer or shorter.
type ChangeMessageVisibilityEntry struct {
	ID                string `json:"Id" query:"Id"`
	ReceiptHandle     string `json:"ReceiptHandle"`
	VisibilityTimeout int    `json:"VisibilityTimeout"`
}

// ChangeMessageVisibilityBatchInput is the request of SQS ChangeMessageVisibilityBatch: at
// most 10.
type ChangeMessageVisibilityBatchInput struct {
	QueueURL string                         `json:"QueueUrl" query:"QueueUrl"`
	Entries  []ChangeMessageVisibilityEntry `json:"Entries" query:"ChangeMessageVisibilityBatchRequestEntry"`
}

// ChangeMessageVisibilityBatchOutput is the answer of SQS ChangeMessageVisibilityBatch.
type ChangeMessageVisibilityBatchOutput struct {
	Successful []BatchDone  `json:"Successful" xml:"ChangeMessageVisibilityBatchResultEntry"`
	Failed     []BatchError `json:"Failed" xml:"BatchResultErrorEntry"`
}
