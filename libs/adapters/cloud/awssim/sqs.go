package awssim

import (
	"net/url"
	"time"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// sqsOperations are the operations of SQS. Standard queues have no rate limit.
var sqsOperations = map[string]*operation{
	"CreateQueue": perform(func(r *request, in *sim.CreateQueueInput) (*sim.CreateQueueOutput, error) {
		out, err := r.world.CreateQueue(in)
		if err != nil {
			return nil, err
		}
		return &sim.CreateQueueOutput{QueueURL: r.queueURL(out.QueueURL)}, nil
	}),
	"GetQueueUrl": perform(func(r *request, in *sim.GetQueueURLInput) (*sim.GetQueueURLOutput, error) {
		out, err := r.world.GetQueueURL(in)
		if err != nil {
			return nil, err
		}
		return &sim.GetQueueURLOutput{QueueURL: r.queueURL(out.QueueURL)}, nil
	}),
	"ListQueues": perform(func(r *request, in *sim.ListQueuesInput) (*sim.ListQueuesOutput, error) {
		out, err := r.world.ListQueues(in)
		if err != nil {
			return nil, err
		}
		return &sim.ListQueuesOutput{QueueURLs: r.queueURLs(out.QueueURLs), NextToken: out.NextToken}, nil
	}),
	"ListDeadLetterSourceQueues": perform(func(r *request, in *sim.QueueInput) (*sim.DeadLetterSourcesOutput, error) {
		out, err := r.world.ListDeadLetterSourceQueues(in)
		if err != nil {
			return nil, err
		}
		return &sim.DeadLetterSourcesOutput{QueueURLs: r.queueURLs(out.QueueURLs)}, nil
	}),
	"DeleteQueue":                  act((*sim.World).DeleteQueue),
	"PurgeQueue":                   act((*sim.World).PurgeQueue),
	"GetQueueAttributes":           read((*sim.World).GetQueueAttributes),
	"SetQueueAttributes":           act((*sim.World).SetQueueAttributes),
	"TagQueue":                     act((*sim.World).TagQueue),
	"UntagQueue":                   act((*sim.World).UntagQueue),
	"ListQueueTags":                read((*sim.World).ListQueueTags),
	"SendMessage":                  act((*sim.World).SendMessage),
	"SendMessageBatch":             act((*sim.World).SendMessageBatch),
	"ReceiveMessage":               receiveMessage(),
	"DeleteMessage":                act((*sim.World).DeleteMessage),
	"DeleteMessageBatch":           act((*sim.World).DeleteMessageBatch),
	"ChangeMessageVisibility":      act((*sim.World).ChangeMessageVisibility),
	"ChangeMessageVisibilityBatch": act((*sim.World).ChangeMessageVisibilityBatch),
}

// queueURLs are the URLs of queues at the address that the client asked.
func (r *request) queueURLs(world []string) []string {
	urls := make([]string, len(world))
	for i, u := range world {
		urls[i] = r.queueURL(u)
	}
	return urls
}

// queueURL is the URL of a queue at the address that the client asked: whatever name or
// port that is, the next request must come here, too.
func (r *request) queueURL(world string) string {
	u, err := url.Parse(world)
	if err != nil {
		return world
	}
	return r.base + u.EscapedPath()
}

// receiveMessage waits as long as it or the queue says while the queue is empty. It counts
// as a read: that messages become invisible is no news to the others that wait.
func receiveMessage() *operation {
	op := read((*sim.World).ReceiveMessage)
	op.patience = func(world *sim.World, in any) time.Duration { return world.Patience(in.(*sim.ReceiveMessageInput)) }
	op.empty = func(out any) bool { return len(out.(*sim.ReceiveMessageOutput).Messages) == 0 }
	return op
}

// sqsQueryCodes are the codes of the time when SQS spoke the query protocol, where they
// differ from the names of the errors. The world knows the errors by these codes.
var sqsQueryCodes = map[string]string{
	"BatchEntryIdsNotDistinct":     "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
	"BatchRequestTooLong":          "AWS.SimpleQueueService.BatchRequestTooLong",
	"EmptyBatchRequest":            "AWS.SimpleQueueService.EmptyBatchRequest",
	"InvalidBatchEntryId":          "AWS.SimpleQueueService.InvalidBatchEntryId",
	"MessageNotInflight":           "AWS.SimpleQueueService.MessageNotInflight",
	"PurgeQueueInProgress":         "AWS.SimpleQueueService.PurgeQueueInProgress",
	"QueueDeletedRecently":         "AWS.SimpleQueueService.QueueDeletedRecently",
	"QueueDoesNotExist":            "AWS.SimpleQueueService.NonExistentQueue",
	"QueueNameExists":              "QueueAlreadyExists",
	"UnknownOperationException":    "InvalidAction",
	"TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	"UnsupportedOperation":         "AWS.SimpleQueueService.UnsupportedOperation",
}

// sqsErrors are the names of the errors by those codes.
var sqsErrors = func() map[string]string {
	names := map[string]string{}
	for name, code := range sqsQueryCodes {
		names[code] = name
	}
	return names
}()
