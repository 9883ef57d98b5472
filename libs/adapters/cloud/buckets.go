package cloud

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/time/rate"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// bucket is one token bucket that AWS publishes for an account and region.
type bucket struct {
	name  string
	burst float64
	rate  float64 // tokens per second
}

// buckets are the published buckets of ECS ("Request throttling for the Amazon ECS API").
var (
	clusterRead    = bucket{"ecs-cluster-read", 100, 20}
	clusterModify  = bucket{"ecs-cluster-modify", 100, 40}
	serviceRead    = bucket{"ecs-service-read", 100, 20}
	definitionRead = bucket{"ecs-task-definition-read", 50, 20}
	clustersRead   = bucket{"ecs-clusters-read", 50, 20}
	providerRead   = bucket{"ecs-capacity-provider-read", 50, 20}
	protection     = bucket{"ecs-task-protection", 200, 80}
)

// bucketOf says which bucket a call is charged to. Operations of EC2 that are not listed
// read, and have a bucket of their own each.
var bucketOf = map[string]bucket{
	"ECS.DescribeClusters":              clustersRead,
	"ECS.ListContainerInstances":        clusterRead,
	"ECS.DescribeContainerInstances":    clusterRead,
	"ECS.ListTasks":                     clusterRead,
	"ECS.DescribeTasks":                 clusterRead,
	"ECS.UpdateContainerInstancesState": clusterModify,
	"ECS.StopTask":                      clusterModify,
	"ECS.DeregisterContainerInstance":   clusterModify,
	"ECS.PutAttributes":                 clusterModify,
	"ECS.ListServices":                  serviceRead,
	"ECS.DescribeServices":              serviceRead,
	"ECS.DescribeTaskDefinition":        definitionRead,
	"ECS.DescribeCapacityProviders":     providerRead,
	"ECS.GetTaskProtection":             protection,
	"EC2.CreateFleet":                   {"ec2-mutate", 50, 5},
	"EC2.CreateLaunchTemplate":          {"ec2-mutate", 50, 5},
	"EC2.TerminateInstances":            {"ec2-terminate", 100, 5},
	"EC2.CreateTags":                    {"ec2-create-tags", 100, 10},
	"EC2.DeleteTags":                    {"ec2-delete-tags", 100, 10},
	"SSM.GetParameters":                 {"ssm-get-parameters", 40, 40},
	"Pricing.GetProducts":               {"pricing", 10, 10},
}

// ec2Read is the bucket that each reading operation of EC2 has.
var ec2Read = bucket{burst: 100, rate: 20}

func lookUpBucket(service, operation string) (bucket, bool) {
	if b, ok := bucketOf[service+"."+operation]; ok {
		return b, true
	}
	if service == "EC2" {
		b := ec2Read
		b.name = "ec2-" + operation
		return b, true
	}
	return bucket{}, false // SQS: no bucket of a size that we could fill
}

const (
	// drainLane is the part of our share that is kept for drains: a sweep of a large cluster
	// may use up the rest, and a spot instance has two minutes.
	drainLane = 0.2
	// leastRate is how far throttling can bring a rate down, as a part of our share.
	leastRate = 1.0 / 16
	// recoverEvery and recoverStep: after a throttled call the rate grows back by a
	// twentieth of our share a second, so it takes ten seconds to recover from one halving.
	recoverEvery = time.Second
	recoverStep  = 0.05
)

// limits are the token buckets of an account, shared by all its faces. They refill in the
// server's time, as AWS's do.
type limits struct {
	share float64
	pace  func() float64 // seconds of the server's time in one of ours
	mu    sync.Mutex
	lanes map[string]*lane
}

func newLimits(share float64, pace func() float64) *limits {
	return &limits{share: share, pace: pace, lanes: map[string]*lane{}}
}

// lane is our share of one bucket.
type lane struct {
	common, drains *rate.Limiter

	mu         sync.Mutex
	factor     float64    // of our share: 1 unless throttled lately
	pace       float64    // of the server's time
	full       rate.Limit // of the common lane, at the pace of our time
	fullDrains rate.Limit
	changed    time.Time
}

func (l *limits) lane(b bucket) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.lanes[b.name]; known != nil {
		return known
	}
	made := &lane{
		common: rate.NewLimiter(rate.Limit(b.rate*l.share*(1-drainLane)), max(int(b.burst*l.share*(1-drainLane)), 1)),
		drains: rate.NewLimiter(rate.Limit(b.rate*l.share*drainLane), max(int(b.burst*l.share*drainLane), 1)),
		factor: 1, pace: 1,
	}
	made.full, made.fullDrains = made.common.Limit(), made.drains.Limit()
	l.lanes[b.name] = made
	return made
}

type laneKey struct{}

// forDrain marks the calls made with ctx as those of a drain.
func forDrain(ctx context.Context) context.Context { return context.WithValue(ctx, laneKey{}, true) }

// wait takes a token. A drain that finds none in the common lane takes one of its own.
func (l *lane) wait(ctx context.Context) error {
	if isDrain, _ := ctx.Value(laneKey{}).(bool); isDrain && !l.common.Allow() {
		return l.drains.Wait(ctx)
	} else if isDrain {
		return nil
	}
	return l.common.Wait(ctx)
}

// throttled halves the rate; answered lets it grow again. A burst of calls that were all
// under way is one reason to slow down, not many.
func (l *lane) throttled(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.changed) < recoverEvery && l.factor < 1 {
		return
	}
	l.set(max(l.factor/2, leastRate), now)
}

func (l *lane) answered(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.factor < 1 && now.Sub(l.changed) >= recoverEvery {
		l.set(min(l.factor+recoverStep, 1), now)
	}
}

func (l *lane) set(factor float64, now time.Time) {
	l.factor, l.changed = factor, now
	l.common.SetLimit(rate.Limit(float64(l.full) * factor * l.pace))
}

// follow takes up the pace of the server's time.
func (l *lane) follow(pace float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pace == l.pace {
		return
	}
	l.pace = pace
	l.common.SetLimit(rate.Limit(float64(l.full) * l.factor * pace))
	l.drains.SetLimit(rate.Limit(float64(l.fullDrains) * pace))
}

// eachUsed calls f with the part of our share of each bucket that is used up: of the lane
// for all calls, which is the one that runs out first.
func (l *limits) eachUsed(f func(bucket string, share float64)) {
	l.mu.Lock()
	lanes := maps.Clone(l.lanes)
	l.mu.Unlock()
	for name, lane := range lanes {
		burst := float64(lane.common.Burst())
		f(name, min(max(1-lane.common.Tokens()/burst, 0), 1))
	}
}

// What comes of an attempt that is charged to a bucket.
const (
	chargedOK        = "ok"
	chargedThrottled = "throttled"
	chargedHeld      = "held" // it was not sent: our share was used up
	chargedError     = "error"
)

func (i *instruments) charge(ctx context.Context, b bucket, result string) {
	i.charged.Add(ctx, 1, metric.WithAttributes(attribute.String(telemetry.LabelBucket, b.name), attribute.String(telemetry.LabelResult, result)))
}

// middleware makes every attempt of a call wait for its token.
func (l *limits) middleware(i *instruments) middleware.FinalizeMiddleware {
	return middleware.FinalizeMiddlewareFunc("NeapLimits", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		b, limited := lookUpBucket(awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx))
		if !limited {
			return next.HandleFinalize(ctx, in)
		}
		lane := l.lane(b)
		lane.follow(l.pace())
		if err := lane.wait(ctx); err != nil {
			if ctx.Err() != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, ctx.Err()
			}
			i.charge(ctx, b, chargedHeld)
			// Nothing was sent: unlike a timeout, this leaves no doubt.
			return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("%w: our share of the bucket %s is used up for longer than the call may take", fleet.ErrThrottled, b.name)
		}
		out, metadata, err := next.HandleFinalize(ctx, in)
		switch {
		case err == nil:
			i.charge(ctx, b, chargedOK)
			lane.answered(time.Now())
		case isThrottle(err):
			i.charge(ctx, b, chargedThrottled)
			lane.throttled(time.Now())
		default:
			i.charge(ctx, b, chargedError)
		}
		return out, metadata, err
	})
}
