package sim

import (
	"encoding/json"
	"slices"
	"time"
)

// launchRecord is a request that carried a client token, and what came of it.
type launchRecord struct {
	body  []byte
	out   []byte
	left  int       // instances it launched that EC2 still knows
	until time.Time // when EC2 forgets it, if none of them is left
}

// tokenLife is how long EC2 remembers a client token: "at least 24 hours after the
// termination of the instance" it launched.
const tokenLife = 24 * time.Hour

// bodyOf is a request as bytes, to tell whether another one is the same.
func bodyOf(in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, clientError("InvalidParameterValue", "%v", err)
	}
	return body, nil
}

// repeated looks for an earlier request with the same client token. If there was one its
// answer is given again, unless it asked for something else.
func (w *World) repeated(operation, clientToken string, body []byte, out any) (bool, error) {
	if clientToken == "" {
		return false, nil
	}
	const longest = 64
	if len(clientToken) > longest {
		return false, clientError("InvalidParameterValue", "Client token is longer than %d characters", longest)
	}
	record, found := w.launches[operation+" "+clientToken]
	if !found || record.stale(w.now) {
		return false, nil
	}
	if !slices.Equal(record.body, body) {
		if operation == "RunTask" {
			return false, clientError(codeConflict, "The client token was used before with other parameters.")
		}
		return false, clientError("IdempotentParameterMismatch", "The client token you have provided is associated with a resource that was created with different parameters. Please check your parameters and try again.")
	}
	if err := json.Unmarshal(record.out, out); err != nil {
		return false, &Error{Code: "InternalError", Message: err.Error(), Fault: FaultServer}
	}
	w.seen.TokenReplays++
	return true, nil
}

func (r launchRecord) stale(now time.Time) bool { return r.left == 0 && now.After(r.until) }

// remember keeps the answer for a repetition of the request.
func (w *World) remember(operation, clientToken string, body []byte, out any, made ...*instance) {
	if clientToken == "" {
		return
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return
	}
	key := operation + " " + clientToken
	w.launches[key] = launchRecord{body: body, out: answer, left: len(made), until: w.now.Add(tokenLife)}
	for _, m := range made {
		m.request = key
	}
	const often = 1024 // a sweep for every so many is nothing beside them
	if len(w.launches)%often != 0 {
		return
	}
	//neap:unordered each is judged by itself
	for key, record := range w.launches {
		if record.stale(w.now) {
			delete(w.launches, key)
		}
	}
}

// expire lets EC2 forget the launch of an instance a day after it ended.
func (w *World) expire(m *instance) {
	if record, ok := w.launches[m.request]; ok && m.request != "" {
		record.left--
		record.until = m.ended.Add(tokenLife)
		w.launches[m.request] = record
	}
}
