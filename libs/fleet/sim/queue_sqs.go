package sim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// messageQueue is a standard queue of SQS.
type messageQueue struct {
	name, url  string
	createdAt  time.Time
	modifiedAt time.Time
	purgedAt   time.Time
	visibility time.Duration
	retention  time.Duration
	delay      time.Duration
	wait       time.Duration // of a reception that does not say how long
	mostSize   int           // of a message
	redrive    redrive
	kept       Attributes // attributes as they were set, where they are told as they are
	tags       QueueTags
	ready      []*message // in the order they came or became visible again
	hidden     []*message // received, by the time they become visible again
	delayed    int        // on their way in
	lost       int        // dropped because nobody received them
	deleted    bool
}

// The bounds of SQS, and of what a world keeps.
const (
	usualVisibility = 30 * time.Second
	mostVisibility  = 12 * 60 * 60 // seconds
	usualRetention  = 4 * 24 * time.Hour
	mostBatch       = 10
	mostMessageSize = 1 << 20
	longestDelay    = 900 // seconds
	purgePause      = time.Minute
	// mostKept bounds a queue that nobody reads: 5,000 instances make some hundred events
	// a second.
	mostKept = 100_000
	// mostQueues is how many a ListQueues without a page answers.
	mostQueues = 1000

	// LongestPoll is how many seconds a ReceiveMessage may wait.
	LongestPoll = 20
)

// missing is SQS's answer to a request without something that it needs.
func missing(parameter string) *Error {
	return clientError("MissingParameter", "The request must contain the parameter %s.", parameter)
}

// CreateQueue makes a queue, or returns the one of that name if it has the same attributes.
func (w *World) CreateQueue(in *CreateQueueInput) (*CreateQueueOutput, error) {
	if in.QueueName == "" {
		return nil, missing("QueueName")
	}
	if !namePattern.MatchString(in.QueueName) || len(in.QueueName) > 80 {
		return nil, clientError("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	made := &messageQueue{
		name: in.QueueName, url: w.cfg.Endpoint + "/" + w.cfg.Account + "/" + in.QueueName, createdAt: w.now, modifiedAt: w.now,
		visibility: usualVisibility, retention: usualRetention, mostSize: mostMessageSize, tags: maps.Clone(in.Tags),
	}
	if err := w.setAttributes(made, in.Attributes); err != nil {
		return nil, err
	}
	if old := w.queueNamed(in.QueueName); old != nil {
		is, wanted := w.attributes(old), w.attributes(made)
		for _, name := range sortedKeys(in.Attributes) {
			if is[name] != wanted[name] {
				return nil, clientError("QueueNameExists", "A queue already exists with the same name and a different value for attribute %s", name)
			}
		}
		return &CreateQueueOutput{QueueURL: old.url}, nil
	}
	w.queues = append(w.queues, made)
	return &CreateQueueOutput{QueueURL: made.url}, nil
}

func (w *World) queueNamed(name string) *messageQueue {
	for _, q := range w.queues {
		if q.name == name {
			return q
		}
	}
	return nil
}

// queueAt finds a queue by URL. The host of the URL does not matter, so that a face may be
// reached by any name; the account does, if there is one.
func (w *World) queueAt(url string) (*messageQueue, error) {
	if url == "" {
		return nil, missing("QueueUrl")
	}
	path, name := "", url
	if i := strings.LastIndexByte(url, '/'); i >= 0 {
		path, name = url[:i], url[i+1:]
	}
	account := path[strings.LastIndexByte(path, '/')+1:]
	q := w.queueNamed(name)
	if q == nil || accountPattern.MatchString(account) && account != w.cfg.Account {
		return nil, clientError("QueueDoesNotExist", "The specified queue does not exist.")
	}
	return q, nil
}

// GetQueueURL is AWS's GetQueueUrl: it finds the URL of a queue.
func (w *World) GetQueueURL(in *GetQueueURLInput) (*GetQueueURLOutput, error) {
	if in.QueueName == "" {
		return nil, missing("QueueName")
	}
	q := w.queueNamed(in.QueueName)
	if q == nil || in.QueueOwnerAWSAccountID != "" && in.QueueOwnerAWSAccountID != w.cfg.Account {
		return nil, clientError("QueueDoesNotExist", "The specified queue does not exist.")
	}
	return &GetQueueURLOutput{QueueURL: q.url}, nil
}

// ListQueues lists queues by name, at most 1,000.
func (w *World) ListQueues(in *ListQueuesInput) (*ListQueuesOutput, error) {
	limit := mostQueues
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	if limit < 1 || limit > mostQueues {
		return nil, clientError("InvalidParameterValue", "Value %d for parameter MaxResults is invalid. Reason: Must be between 1 and %d, if provided.", limit, mostQueues)
	}
	after, ok := placeIn("queues", in.NextToken)
	if !ok {
		return nil, clientError("InvalidParameterValue", "Value %s for parameter NextToken is invalid. Reason: Invalid or expired next token.", clip(in.NextToken))
	}
	var urls []string
	for _, q := range w.queues {
		if strings.HasPrefix(q.name, in.QueueNamePrefix) {
			urls = append(urls, q.url)
		}
	}
	slices.Sort(urls)
	page, next := pageOf(urls, after, limit)
	out := &ListQueuesOutput{QueueURLs: page}
	if in.MaxResults != nil { // SQS gives tokens to those who ask for pages only
		out.NextToken = token("queues", next)
	}
	return out, nil
}

// DeleteQueue deletes a queue with its messages.
func (w *World) DeleteQueue(in *QueueInput) (*QueueDone, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	q.deleted = true
	q.name += "#" + strconv.FormatUint(w.next(), 10) // for another may have its name, while messages are on their way to it
	w.queues = slices.DeleteFunc(w.queues, func(other *messageQueue) bool { return other == q })
	w.subscribed = slices.DeleteFunc(w.subscribed, func(s subscription) bool { return s.queue == q })
	return &QueueDone{}, nil
}

// PurgeQueue deletes the messages of a queue, at most once a minute.
func (w *World) PurgeQueue(in *QueueInput) (*QueueDone, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if !q.purgedAt.IsZero() && w.now.Sub(q.purgedAt) < purgePause {
		return nil, clientError("PurgeQueueInProgress", "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
	}
	q.purgedAt = w.now
	q.ready, q.hidden = nil, nil
	return &QueueDone{}, nil
}

// ListDeadLetterSourceQueues lists the queues whose dead-letter queue this is.
func (w *World) ListDeadLetterSourceQueues(in *QueueInput) (*DeadLetterSourcesOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	out := &DeadLetterSourcesOutput{QueueURLs: []string{}}
	for _, source := range w.queues {
		if source.redrive.target == w.arn("sqs", q.name) {
			out.QueueURLs = append(out.QueueURLs, source.url)
		}
	}
	return out, nil
}

const mostQueueTags = 50

// TagQueue adds tags to a queue.
func (w *World) TagQueue(in *TagQueueInput) (*QueueDone, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, missing("Tags")
	}
	tags := QueueTags{}
	maps.Copy(tags, q.tags)
	maps.Copy(tags, in.Tags)
	if len(tags) > mostQueueTags {
		return nil, clientError("InvalidParameterValue", "Too many tags added for queue %s.", q.name)
	}
	q.tags = tags
	return &QueueDone{}, nil
}

// UntagQueue takes tags from a queue.
func (w *World) UntagQueue(in *UntagQueueInput) (*QueueDone, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(in.TagKeys) == 0 {
		return nil, missing("TagKeys")
	}
	tags := maps.Clone(q.tags)
	for _, key := range in.TagKeys {
		delete(tags, key)
	}
	q.tags = tags
	return &QueueDone{}, nil
}

// ListQueueTags lists the tags of a queue.
func (w *World) ListQueueTags(in *QueueInput) (*ListQueueTagsOutput, error) {
	q, err := w.queueAt(in.QueueURL)
	if err != nil {
		return nil, err
	}
	return &ListQueueTagsOutput{Tags: q.tags}, nil
}
