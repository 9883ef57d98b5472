package cache

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// batch is how many keys one round trip carries. More would not fit the
// deadline of one call with values of a few KiB.
const batch = 500

// Get returns the value under key, if there is one that can be trusted.
func Get[T any](ctx context.Context, c *Cache, key string) (T, bool) {
	v, ok := GetMany[T](ctx, c, []string{key})[key]
	return v, ok
}

// Set stores v for ttl, or not. A ttl of zero or less stores nothing: what is
// cached has to end.
func Set[T any](ctx context.Context, c *Cache, key string, v T, ttl time.Duration) {
	SetMany(ctx, c, map[string]T{key: v}, ttl)
}

// GetMany returns what is there of the keys, by key, in a round trip for each
// 500. Where Redis fails halfway, what came before is returned.
func GetMany[T any](ctx context.Context, c *Cache, keys []string) map[string]T {
	found := make(map[string]T)
	if c.off() {
		return found
	}
	rest := len(keys)
	for chunk := range slices.Chunk(keys, batch) {
		answers, err := c.read(ctx, chunk)
		if err != nil {
			c.count(ctx, "get", unanswered(err), rest)
			break
		}
		rest -= len(chunk)
		results := make(map[string]int)
		for i, answer := range answers {
			v, result := take[T](c.prefix+chunk[i], answer)
			results[result]++
			if result == hit {
				found[chunk[i]] = v
			}
		}
		for result, n := range results {
			c.count(ctx, "get", result, n)
		}
	}
	return found
}

// SetMany stores values for ttl, in a round trip for each 500.
func SetMany[T any](ctx context.Context, c *Cache, values map[string]T, ttl time.Duration) {
	if c.off() || ttl <= 0 {
		return
	}
	entries := make([]entry, 0, len(values))
	for key, v := range values {
		stored, err := encode(c.prefix+key, v)
		if err != nil {
			c.log.ErrorContext(ctx, "value cannot be cached", "key", key, "err", err)
			c.count(ctx, "set", failed, 1)
			continue
		}
		entries = append(entries, entry{c.prefix + key, stored})
	}
	rest := len(entries)
	for chunk := range slices.Chunk(entries, batch) {
		refused, err := c.write(ctx, chunk, ttl)
		if err != nil {
			c.count(ctx, "set", unanswered(err), rest)
			return
		}
		rest -= len(chunk)
		c.count(ctx, "set", failed, refused)
		c.count(ctx, "set", stored, len(chunk)-refused)
	}
}

// Remember returns the value under key or, where there is none, what load
// returns, and stores that for ttl. Concurrent callers in this process share
// one load and its result, which they must not change. An error of load is
// returned and not stored.
func Remember[T any](ctx context.Context, c *Cache, key string, ttl time.Duration, load func(context.Context) (T, error)) (T, error) {
	if c == nil {
		return load(ctx)
	}
	flight := shapeOf(reflect.TypeFor[T]()) + key
	for {
		v, err, _ := c.flights.Do(flight, func() (any, error) {
			v, err := remember(ctx, c, key, ttl, load)
			if err != nil && ctx.Err() != nil {
				err = &abandoned{err}
			}
			return v, err
		})
		gaveUp, ok := errors.AsType[*abandoned](err)
		switch {
		case ok && ctx.Err() == nil:
			continue // it was another caller's load, and that caller's end: not ours
		case ok:
			err = gaveUp.error
		}
		value, _ := v.(T) // nil if T is an interface and load returned nil
		return value, err
	}
}

// abandoned is the error of a load whose caller was cancelled.
type abandoned struct{ error }

func remember[T any](ctx context.Context, c *Cache, key string, ttl time.Duration, load func(context.Context) (T, error)) (T, error) {
	if v, ok := Get[T](ctx, c, key); ok {
		return v, nil
	}
	v, err := load(ctx)
	if err == nil {
		Set(ctx, c, key, v, ttl)
	}
	return v, err
}

type entry struct {
	key    string
	stored []byte
}

// read fetches the keys in one round trip. The error is set when Redis failed
// as a whole; what is wrong with one key stays in its answer.
func (c *Cache) read(ctx context.Context, keys []string) (answers []*redis.StringCmd, err error) {
	err = c.do(ctx, func(ctx context.Context) error {
		_, _ = c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, key := range keys {
				answers = append(answers, p.Get(ctx, c.prefix+key))
			}
			return nil
		})
		for _, answer := range answers {
			if err := answer.Err(); err != nil && !errors.Is(err, redis.Nil) && !refusal(err) {
				return err
			}
		}
		return nil
	})
	return answers, err
}

// write stores the entries in one round trip and tells how many were refused.
func (c *Cache) write(ctx context.Context, entries []entry, ttl time.Duration) (refused int, err error) {
	err = c.do(ctx, func(ctx context.Context) error {
		answers, _ := c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, e := range entries {
				p.Set(ctx, e.key, e.stored, ttl)
			}
			return nil
		})
		for _, answer := range answers {
			switch err := answer.Err(); {
			case err == nil:
			case refusal(err):
				refused++
			default:
				return err
			}
		}
		return nil
	})
	return refused, err
}

// take turns one answer into a value and the name of what happened.
func take[T any](key string, answer *redis.StringCmd) (T, string) {
	var none T
	stored, err := answer.Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return none, miss
	case err != nil:
		return none, failed
	}
	v, ok := decode[T](key, stored)
	if !ok {
		return none, stale
	}
	return v, hit
}
