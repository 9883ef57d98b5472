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
	"GetQueueAttributes":      read((*sim.World).GetQueueAttributes),
	"SendMessage":             act((*sim.World).SendMessage),
	"ReceiveMessage":          receiveMessage(),
	"DeleteMessage":           act((*sim.World).DeleteMessage),
	"DeleteMessageBatch":      act((*sim.World).DeleteMessageBatch),
	"ChangeMessageVisibility": act((*sim.World).ChangeMessageVisibility),
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

// receiveMessage waits as long as WaitTimeSeconds says while the queue is empty. It counts
// as a read: that messages become invisible is no news to the others that wait.
func receiveMessage() *operation {
	op := read((*sim.World).ReceiveMessage)
	op.patience = func(in any) time.Duration {
		const longest = 20 // seconds, as in SQS
		seconds := in.(*sim.ReceiveMessageInput).WaitTimeSeconds
		return time.Duration(min(max(seconds, 0), longest)) * time.Second
	}
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
