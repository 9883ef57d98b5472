package awssim

import (
	"net/url"
	"strings"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// charge is what one call takes out of one bucket of the account. A bucket is shared by
// every call that names it.
type charge struct {
	sim.Limit
	tokens func(in any) float64 // nil is one
}

// limit is a bucket that each call takes one token from.
func limit(bucket string, burst, perSecond float64) charge {
	return charge{Limit: sim.Limit{Bucket: bucket, Burst: burst, PerSecond: perSecond}}
}

// due is what a call of an operation takes out of its buckets.
func due(operation string, charges []charge, in any) []sim.Charge {
	all := make([]sim.Charge, len(charges))
	for i, c := range charges {
		all[i] = sim.Charge{Limit: c.Limit, Tokens: 1}
		if c.Bucket == ec2Change.Bucket {
			all[i].Bucket = "ec2 " + operation
		}
		if c.tokens != nil {
			all[i].Tokens = c.tokens(in)
		}
	}
	return all
}

// The published limits of ECS per account and region (API reference, "Request throttling
// for the Amazon ECS API"); an operation that is not listed has the limit of its kind.
var (
	ecsClusterRead        = limit("ecs cluster resource read", 100, 20)
	ecsClusterModify      = limit("ecs cluster resource modify", 100, 40)
	ecsServiceRead        = limit("ecs service read", 100, 20)
	ecsDeploymentRead     = limit("ecs service deployment read", 50, 20)
	ecsRevisionRead       = limit("ecs service revision read", 50, 20)
	ecsServiceModify      = limit("ecs service modify", 50, 5)
	ecsDefinitionRead     = limit("ecs task definition read", 50, 20)
	ecsDefinitionModify   = limit("ecs task definition modify", 20, 1)
	ecsClusterEntityRead  = limit("ecs cluster read", 50, 20)
	ecsClusterEntityWrite = limit("ecs cluster modify", 25, 1)
	ecsProviderRead       = limit("ecs capacity provider read", 50, 20)
	ecsProviderModify     = limit("ecs capacity provider modify", 10, 1)
	ecsSettingsRead       = limit("ecs settings read", 50, 20)
	ecsSettingsModify     = limit("ecs settings modify", 20, 5)
	ecsProtectionRead     = limit("ecs task protection read", 200, 80)
	ecsProtectionModify   = limit("ecs task protection modify", 200, 80)
	ecsTagRead            = limit("ecs tag read", 50, 20)
	ecsTagModify          = limit("ecs tag modify", 20, 10)
)

// The published limits of EC2 ("Request throttling for the Amazon EC2 API"): reads have a
// bucket for each operation, and so have changes: ec2Change stands for that of its operation,
// where none is listed.
var (
	ec2Change     = limit("ec2 mutating", 50, 5)
	ec2CreateTags = limit("ec2 CreateTags", 100, 10)
	ec2DeleteTags = limit("ec2 DeleteTags", 100, 10)
	ec2RunCalls   = limit("ec2 RunInstances", 5, 2)
	ec2StopCalls  = limit("ec2 TerminateInstances", 100, 5)
	ec2StartCalls = limit("ec2 StartInstances", 5, 2)
	ec2Metadata   = limit("ec2 ModifyInstanceMetadataOptions", 100, 5)
)

// ec2Each takes a token for each instance that a call is about: a thousand at once, and so
// many more each second. Instances of fleets are taken to count as launched, too: EC2 does
// not say that they do not.
func ec2Each(name string, perSecond float64, instances func(in any) float64) charge {
	return charge{Limit: sim.Limit{Bucket: "ec2 " + name + " instances", Burst: 1000, PerSecond: perSecond}, tokens: instances}
}

// Limits of the other services, from their quota pages: Parameter Store 40 reads a second,
// the Price List API 10, STS 600; standard queues have no limit.
var (
	ssmRead     = limit("ssm GetParameter", 40, 40)
	pricingRead = limit("pricing", 10, 10)
	stsRead     = limit("sts", 600, 600)
)

// eventsChange and eventsPut are the limits of EventBridge: 50 requests a second for most of
// its operations, 10,000 events a second in the large regions.
var (
	eventsChange = limit("events", 50, 50)
	eventsPut    = limit("events PutEvents", 10_000, 10_000)
)

// ec2Costly are the reads of EC2 that draw from a smaller bucket when they ask for
// everything at once.
var ec2Costly = map[string]bool{
	"DescribeInstances": true, "DescribeInstanceStatus": true, "DescribeNetworkInterfaces": true, "DescribeSecurityGroups": true,
	"DescribeSnapshots": true, "DescribeSpotInstanceRequests": true, "DescribeVolumes": true, "DescribeVpcs": true,
}

// narrowed says whether a read has filters, names what it wants, or asks for pages.
func narrowed(form url.Values) bool {
	for name := range form { //neap:unordered any of them will do
		first, _, listed := strings.Cut(name, ".")
		if name == "MaxResults" || name == "NextToken" || listed && (first == "Filter" || strings.HasSuffix(first, "Id")) {
			return true
		}
	}
	return false
}
