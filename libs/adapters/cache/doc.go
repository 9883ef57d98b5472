// Package cache keeps values in Redis that are costly to fetch and harmless to
// lose: task definitions, prices, task detail for people.
//
// Nothing may depend on it. A Redis that is down, slow, empty, full, stale or
// poisoned looks like a miss and costs at most one deadline, then nothing at
// all while the circuit is open. Reads and writes therefore return no error:
// there is no right thing a caller could do with one.
//
//	task, ok := cache.Get[fleet.TaskGroup](ctx, c, "taskdef:"+arn)
//	task, err := cache.Remember(ctx, c, "taskdef:"+arn, time.Hour, fetch)
//
// A value is stored with the shape of its type and a hash of its content and
// key. A program of another version, a torn write or a stranger's value is a
// miss, never a wrong answer.
package cache
