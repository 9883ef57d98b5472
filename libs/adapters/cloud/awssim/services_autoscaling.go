package awssim

import (
	"net/http"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// The API version and the namespace of Auto Scaling.
const (
	autoScalingVersion   = "2011-01-01"
	autoScalingNamespace = "http://autoscaling.amazonaws.com/doc/2011-01-01/"
)

// autoScaling is Amazon EC2 Auto Scaling.
var autoScaling = &service{
	name: "autoscaling", version: autoScalingVersion, protocol: awsQuery{namespace: autoScalingNamespace},
	unknownAction: "InvalidAction", internal: "InternalFailure",
	badSignature: "SignatureDoesNotMatch", badSignatureStatus: http.StatusForbidden,
	throttled: apiError{"Throttling", "Rate exceeded", http.StatusBadRequest},
	operations: map[string]*operation{
		"CreateAutoScalingGroup":              act((*sim.World).CreateAutoScalingGroup, autoScalingModify),
		"UpdateAutoScalingGroup":              act((*sim.World).UpdateAutoScalingGroup, autoScalingModify),
		"DeleteAutoScalingGroup":              act((*sim.World).DeleteAutoScalingGroup, autoScalingModify),
		"SetDesiredCapacity":                  act((*sim.World).SetDesiredCapacity, autoScalingModify),
		"TerminateInstanceInAutoScalingGroup": act((*sim.World).TerminateInstanceInAutoScalingGroup, autoScalingModify),
		"AttachInstances":                     act((*sim.World).AttachInstances, autoScalingModify),
		"DetachInstances":                     act((*sim.World).DetachInstances, autoScalingModify),
		"SetInstanceProtection":               act((*sim.World).SetInstanceProtection, autoScalingModify),
		"DescribeAutoScalingGroups":           read((*sim.World).DescribeAutoScalingGroups, autoScalingRead),
		"DescribeAutoScalingInstances":        read((*sim.World).DescribeAutoScalingInstances, autoScalingRead),
		"DescribeScalingActivities":           read((*sim.World).DescribeScalingActivities, autoScalingRead),
	},
}

// AWS publishes no limits of Auto Scaling; these are those of EC2's shared buckets.
var (
	autoScalingRead   = limit("autoscaling read", 100, 20)
	autoScalingModify = limit("autoscaling modify", 50, 5)
)
