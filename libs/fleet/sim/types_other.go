package sim

// The inputs and outputs of SSM, Pricing and SQS, with the json names of their APIs.

// Parameter is an SSM parameter.
type Parameter struct {
	Name             string    `json:"Name"`
	Type             string    `json:"Type"`
	Value            string    `json:"Value"`
	Version          int64     `json:"Version"`
	LastModifiedDate Timestamp `json:"LastModifiedDate"`
	ARN              string    `json:"ARN"`
	DataType         string    `json:"DataType"`
}

// GetParameterInput is the request of SSM GetParameter.
type GetParameterInput struct {
	Name string `json:"Name"`
}

// GetParameterOutput is the answer of SSM GetParameter.
type GetParameterOutput struct {
	Parameter Parameter `json:"Parameter"`
}

// GetParametersInput is the request of SSM GetParameters: at most 10.
type GetParametersInput struct {
	Names []string `json:"Names"`
}

// GetParametersOutput is the answer of SSM GetParameters.
type GetParametersOutput struct {
	Parameters        []Parameter `json:"Parameters"`
	InvalidParameters []string    `json:"InvalidParameters"`
}

// ProductFilter is a filter of Pricing GetProducts.
type ProductFilter struct {
	Type  string `json:"Type"`
	Field string `json:"Field"`
	Value string `json:"Value"`
}

// GetProductsInput is the request of Pricing GetProducts: pages of 100.
type GetProductsInput struct {
	ServiceCode   string          `json:"ServiceCode"`
	Filters       []ProductFilter `json:"Filters"`
	FormatVersion string          `json:"FormatVersion"`
	MaxResults    int             `json:"MaxResults"`
	NextToken     string          `json:"NextToken"`
}

// GetProductsOutput is the answer of Pricing GetProducts; the items are JSON texts.
type GetProductsOutput struct {
	FormatVersion string   `json:"FormatVersion"`
	PriceList     []string `json:"PriceList"`
	NextToken     string   `json:"NextToken,omitempty"`
}

// CreateQueueInput is the request of SQS CreateQueue.
type CreateQueueInput struct {
	QueueName  string            `json:"QueueName"`
	Attributes map[string]string `json:"Attributes"`
}

// CreateQueueOutput is the answer of SQS CreateQueue.
type CreateQueueOutput struct {
	QueueURL string `json:"QueueUrl"`
}

// GetQueueURLInput is the request of SQS GetQueueUrl.
type GetQueueURLInput struct {
	QueueName string `json:"QueueName"`
}

// GetQueueURLOutput is the answer of SQS GetQueueUrl.
type GetQueueURLOutput struct {
	QueueURL string `json:"QueueUrl"`
}

// GetQueueAttributesInput is the request of SQS GetQueueAttributes.
type GetQueueAttributesInput struct {
	QueueURL       string   `json:"QueueUrl"`
	AttributeNames []string `json:"AttributeNames"`
}

// GetQueueAttributesOutput is the answer of SQS GetQueueAttributes.
type GetQueueAttributesOutput struct {
	Attributes map[string]string `json:"Attributes,omitempty"`
}

// SendMessageInput is the request of SQS SendMessage.
type SendMessageInput struct {
	QueueURL     string `json:"QueueUrl"`
	MessageBody  string `json:"MessageBody"`
	DelaySeconds int    `json:"DelaySeconds"`
}

// SendMessageOutput is the answer of SQS SendMessage.
type SendMessageOutput struct {
	MessageID        string `json:"MessageId"`
	MD5OfMessageBody string `json:"MD5OfMessageBody"`
}

// ReceiveMessageInput is the request of SQS ReceiveMessage. The world never waits: a face
// that serves WaitTimeSeconds advances time and asks again.
type ReceiveMessageInput struct {
	QueueURL                    string   `json:"QueueUrl"`
	AttributeNames              []string `json:"AttributeNames"`
	MessageSystemAttributeNames []string `json:"MessageSystemAttributeNames"`
	MaxNumberOfMessages         int      `json:"MaxNumberOfMessages"` // default 1, at most 10
	VisibilityTimeout           *int     `json:"VisibilityTimeout"`
	WaitTimeSeconds             int      `json:"WaitTimeSeconds"`
}

// Message is a message of a queue.
type Message struct {
	MessageID     string            `json:"MessageId"`
	ReceiptHandle string            `json:"ReceiptHandle"`
	MD5OfBody     string            `json:"MD5OfBody"`
	Body          string            `json:"Body"`
	Attributes    map[string]string `json:"Attributes,omitempty"`
}

// ReceiveMessageOutput is the answer of SQS ReceiveMessage.
type ReceiveMessageOutput struct {
	Messages []Message `json:"Messages,omitempty"`
}

// DeleteMessageInput is the request of SQS DeleteMessage.
type DeleteMessageInput struct {
	QueueURL      string `json:"QueueUrl"`
	ReceiptHandle string `json:"ReceiptHandle"`
}

// DeleteMessageOutput is the answer of SQS DeleteMessage.
type DeleteMessageOutput struct{}

// DeleteMessageBatchEntry is one message to delete.
type DeleteMessageBatchEntry struct {
	ID            string `json:"Id"`
	ReceiptHandle string `json:"ReceiptHandle"`
}

// DeleteMessageBatchInput is the request of SQS DeleteMessageBatch: at most 10.
type DeleteMessageBatchInput struct {
	QueueURL string                    `json:"QueueUrl"`
	Entries  []DeleteMessageBatchEntry `json:"Entries"`
}

// DeleteMessageBatchResult names an entry that was deleted.
type DeleteMessageBatchResult struct {
	ID string `json:"Id"`
}

// BatchError names an entry that was not deleted, and why.
type BatchError struct {
	ID          string `json:"Id"`
	SenderFault bool   `json:"SenderFault"`
	Code        string `json:"Code"`
	Message     string `json:"Message"`
}

// DeleteMessageBatchOutput is the answer of SQS DeleteMessageBatch.
type DeleteMessageBatchOutput struct {
	Successful []DeleteMessageBatchResult `json:"Successful"`
	Failed     []BatchError               `json:"Failed"`
}

// ChangeMessageVisibilityInput is the request of SQS ChangeMessageVisibility.
type ChangeMessageVisibilityInput struct {
	QueueURL          string `json:"QueueUrl"`
	ReceiptHandle     string `json:"ReceiptHandle"`
	VisibilityTimeout int    `json:"VisibilityTimeout"`
}

// ChangeMessageVisibilityOutput is the answer of SQS ChangeMessageVisibility.
type ChangeMessageVisibilityOutput struct{}
