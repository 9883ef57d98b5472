package cloud

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/neap-project/neap/libs/fleet"
)

// tooFarAhead is how far the clock may run ahead of an answer before it is set back.
// Answers overtake one another and different services of AWS differ by a second or so; only
// more than that is a clock that is wrong.
const tooFarAhead = time.Minute

// clockAge is how long ago AWS may have answered for its time to count as known. In so many
// seconds no local clock goes astray, and to ask again every so often costs next to nothing.
const clockAge = 10 * time.Second

// speedHeader is on answers of the simulated AWS whose time does not run as fast as ours: how
// many seconds of it pass in one of ours. AWS has no header of that name.
const speedHeader = "Neap-Clock-Speed"

// clock is the server's time: the last Date header and the local time that has passed
// since. It never runs backwards, unless it was wrong by more than [tooFarAhead].
type clock struct {
	mu    sync.Mutex
	base  time.Time // server time at since
	since time.Time // local, with its monotonic reading
	speed float64   // of the server's time; 0 is 1, that of AWS
}

// Sync makes sure that [Account.Now] is the time of AWS: if AWS has not answered anything of
// late it is asked something small. A host whose clock is wrong would otherwise judge what it
// has in hand by that clock, until the first answer.
func (a *Account) Sync(ctx context.Context) error {
	if a.clock.known(time.Now()) {
		return nil
	}
	const least = 5 // instances on a page, the fewest that EC2 allows
	_, err := call(ctx, a.readEC2.DescribeInstances, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(least)})
	if a.clock.known(time.Now()) {
		return nil // a refusal has a date too
	}
	if err == nil {
		err = fmt.Errorf("%w: its answers carry no date", fleet.ErrInvalid)
	}
	return fmt.Errorf("ask AWS for its time: %w", err)
}

// known reports whether the server has answered of late.
func (c *clock) known(local time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.base.IsZero() && local.Sub(c.since) < clockAge
}

// now is the server's time, or the local time as long as no server has answered.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(time.Now())
}

func (c *clock) at(local time.Time) time.Time {
	if c.base.IsZero() {
		return local.UTC()
	}
	passed := local.Sub(c.since)
	if c.speed > 0 {
		passed = time.Duration(float64(passed) * c.speed)
	}
	return c.base.Add(passed)
}

// observe takes in a Date header. It tells whole seconds: within one of them the clock goes
// on by itself.
func (c *clock) observe(date, local time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.at(local)
	if c.base.IsZero() || date.After(now) || now.Sub(date) > tooFarAhead {
		now = date
	}
	c.base, c.since = now.UTC(), local
}

// setSpeed takes in how fast the server's time runs; no words are the speed of AWS.
func (c *clock) setSpeed(words string) {
	speed, err := strconv.ParseFloat(words, 64)
	if err != nil || !(speed > 0 && speed <= maxSpeed) {
		speed = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.speed = speed
}

// pace is how many seconds of the server's time pass in one of ours.
func (c *clock) pace() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.speed > 0 {
		return c.speed
	}
	return 1
}

// maxSpeed is the fastest that the simulated AWS runs.
const maxSpeed = 10_000

// middleware reads the Date header of every answer, errors included.
func (c *clock) middleware() middleware.DeserializeMiddleware {
	return middleware.DeserializeMiddlewareFunc("NeapClock", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if resp, ok := out.RawResponse.(*smithyhttp.Response); ok && resp != nil && resp.Response != nil {
			if date, parseErr := http.ParseTime(resp.Header.Get("Date")); parseErr == nil {
				c.observe(date, time.Now())
				c.setSpeed(resp.Header.Get(speedHeader))
			}
		}
		return out, metadata, err
	})
}
