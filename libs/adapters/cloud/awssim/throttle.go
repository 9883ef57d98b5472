package awssim

import "time"

// quota is one bucket of the published API rate limits: so many calls at once, and so
// many more each second.
type quota struct {
	burst     float64
	perSecond float64
}

// bucket is the state of a quota. It refills in virtual time.
type bucket struct {
	tokens float64
	at     time.Time
}

// refill gives back what time has given.
func (b *bucket) refill(q quota, now time.Time) {
	if b.at.IsZero() {
		b.tokens, b.at = q.burst, now
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(q.burst, b.tokens+passed.Seconds()*q.perSecond)
		b.at = now
	}
}

// charge is what one call takes out of one bucket. A bucket is shared by every call that
// names it.
type charge struct {
	bucket string
	quota  quota
	tokens func(in any) float64 // nil is one
}

// limiter holds the buckets of the account.
type limiter struct {
	buckets map[string]*bucket
}

// allow takes what a call costs from all its buckets, or nothing at all. The buckets of a
// call are all different.
func (l *limiter) allow(charges []charge, in any, now time.Time) bool {
	for _, c := range charges {
		b := l.buckets[c.bucket]
		if b == nil {
			b = &bucket{}
			l.buckets[c.bucket] = b
		}
		b.refill(c.quota, now)
		if b.tokens < c.cost(in) {
			return false
		}
	}
	for _, c := range charges {
		l.buckets[c.bucket].tokens -= c.cost(in)
	}
	return true
}

func (c charge) cost(in any) float64 {
	if c.tokens == nil {
		return 1
	}
	return max(c.tokens(in), 0)
}

// The published limits of ECS per account and region (API reference, "Request throttling
// for the Amazon ECS API"); an operation that is not listed has the limit of its kind.
var (
	ecsClusterRead        = charge{bucket: "ecs cluster resource read", quota: quota{100, 20}}
	ecsClusterModify      = charge{bucket: "ecs cluster resource modify", quota: quota{100, 40}}
	ecsServiceRead        = charge{bucket: "ecs service read", quota: quota{100, 20}}
	ecsServiceModify      = charge{bucket: "ecs service modify", quota: quota{50, 5}}
	ecsDefinitionRead     = charge{bucket: "ecs task definition read", quota: quota{50, 20}}
	ecsDefinitionModify   = charge{bucket: "ecs task definition modify", quota: quota{20, 1}}
	ecsClusterEntityRead  = charge{bucket: "ecs cluster read", quota: quota{50, 20}}
	ecsClusterEntityWrite = charge{bucket: "ecs cluster modify", quota: quota{25, 1}}
	ecsProviderRead       = charge{bucket: "ecs capacity provider read", quota: quota{50, 20}}
	ecsSettingsRead       = charge{bucket: "ecs settings read", quota: quota{50, 20}}
	ecsSettingsModify     = charge{bucket: "ecs settings modify", quota: quota{20, 5}}
	ecsProtectionRead     = charge{bucket: "ecs task protection read", quota: quota{200, 80}}
	ecsProtectionModify   = charge{bucket: "ecs task protection modify", quota: quota{200, 80}}
	ecsTagRead            = charge{bucket: "ecs tag read", quota: quota{50, 20}}
	ecsTagModify          = charge{bucket: "ecs tag modify", quota: quota{20, 10}}
)

// The published limits of EC2 ("Request throttling for the Amazon EC2 API"): reads have a
// bucket for each operation, changes share one unless they are listed with their own.
var (
	ec2Change     = charge{bucket: "ec2 mutating", quota: quota{50, 5}}
	ec2CreateTags = charge{bucket: "ec2 CreateTags", quota: quota{100, 10}}
	ec2DeleteTags = charge{bucket: "ec2 DeleteTags", quota: quota{100, 10}}
	ec2RunCalls   = charge{bucket: "ec2 RunInstances", quota: quota{5, 2}}
	ec2StopCalls  = charge{bucket: "ec2 TerminateInstances", quota: quota{100, 5}}
)

// ec2Launched takes a token for each instance that a call may launch. Instances of fleets
// are taken to count, too: EC2 does not say that they do not.
func ec2Launched(instances func(in any) float64) charge {
	return charge{bucket: "ec2 RunInstances instances", quota: quota{1000, 2}, tokens: instances}
}

// ec2Ended takes a token for each instance that a call ends.
func ec2Ended(instances func(in any) float64) charge {
	return charge{bucket: "ec2 TerminateInstances instances", quota: quota{1000, 20}, tokens: instances}
}

// Limits of the other services, from their quota pages: Parameter Store 40 reads a second,
// the Price List API 10, STS 600; standard queues have no limit.
var (
	ssmRead     = charge{bucket: "ssm GetParameter", quota: quota{40, 40}}
	pricingRead = charge{bucket: "pricing", quota: quota{10, 10}}
	stsRead     = charge{bucket: "sts", quota: quota{600, 600}}
)
