package sim

import (
	"encoding/base64"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// listed is a thing that lists show in the order in which it was made.
type listed interface {
	order() uint64 // rising with the time of making
	gone() bool    // no longer to be listed
}

// roll is a list that things are added to at the end and vanish from anywhere. A page
// token names the last thing shown, so pages neither repeat nor skip while others change.
type roll[T listed] struct {
	items []T
	dead  int
}

// add adds a thing: at the end, unless others that were made later are there already.
func (r *roll[T]) add(item T) {
	at := len(r.items)
	for at > 0 && r.items[at-1].order() > item.order() {
		at--
	}
	r.items = slices.Insert(r.items, at, item)
}

// bury is to be called once for each thing that has gone.
func (r *roll[T]) bury() {
	r.dead++
	const few = 32 // below that compacting is not worth it
	if r.dead > few && r.dead*2 > len(r.items) {
		r.items = slices.DeleteFunc(r.items, func(item T) bool { return item.gone() })
		r.dead = 0
	}
}

// all yields what is not gone. Things that are added meanwhile are not yielded.
func (r *roll[T]) all(yield func(T) bool) {
	for _, item := range r.items {
		if !item.gone() && !yield(item) {
			return
		}
	}
}

// page returns up to limit things that keep wants, from behind the place that after
// names, and where to go on; next is 0 at the end.
func (r *roll[T]) page(after uint64, limit int, keep func(T) bool) (page []T, next uint64) {
	start := sort.Search(len(r.items), func(i int) bool { return r.items[i].order() > after })
	for _, item := range r.items[start:] {
		if item.gone() || !keep(item) {
			continue
		}
		if len(page) == limit {
			return page, page[limit-1].order()
		}
		page = append(page, item)
	}
	return page, 0
}

// pageOf is one page of a list that does not change; the place is an index.
func pageOf[T any](list []T, after uint64, limit int) (page []T, next uint64) {
	start := min(int(min(after, uint64(len(list)))), len(list))
	end := min(start+limit, len(list))
	if end < len(list) {
		next = uint64(end)
	}
	return list[start:end], next
}

// token makes a page token: the name of the list it belongs to and a place in it.
func token(list string, next uint64) string {
	if next == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(list + ":" + strconv.FormatUint(next, 10)))
}

// placeIn reads a page token of a list; ok is false if it is not one.
func placeIn(list, tok string) (after uint64, ok bool) {
	if tok == "" {
		return 0, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(tok)
	number, found := strings.CutPrefix(string(raw), list+":")
	if err != nil || !found {
		return 0, false
	}
	after, err = strconv.ParseUint(number, 10, 64)
	return after, err == nil && after > 0
}

// ecsPage checks the paging of an ECS operation: at most most per page, usual if not said.
func ecsPage(list, tok string, wanted, usual, most int) (after uint64, limit int, err error) {
	after, ok := placeIn(list, tok)
	if !ok {
		return 0, 0, invalid("Invalid token: %.100s", tok)
	}
	if wanted < 0 || wanted > most {
		return 0, 0, invalid("maxResults should be between 1 and %d", most)
	}
	if wanted == 0 {
		wanted = usual
	}
	return after, wanted, nil
}

// ec2Page checks the paging of an EC2 operation: at least least, at most most per page. A
// call without MaxResults gets pages of the largest size.
func ec2Page(list, tok string, wanted, least, most int) (after uint64, limit int, err error) {
	after, ok := placeIn(list, tok)
	if !ok {
		return 0, 0, clientError("InvalidParameterValue", "Unable to parse pagination token: %.100s", tok)
	}
	if wanted == 0 {
		return after, most, nil
	}
	if wanted < least || wanted > most {
		return 0, 0, clientError("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", wanted, least, most)
	}
	return after, wanted, nil
}
