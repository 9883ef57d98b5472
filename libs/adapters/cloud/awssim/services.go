package awssim

import (
	"net/http"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// jsonServices are found by the prefix of X-Amz-Target.
var jsonServices = []*service{
	{
		name: "ecs", target: "AmazonEC2ContainerServiceV20141113", protocol: &awsJSON{contentType: contentJSON11},
		unknownAction: "UnknownOperationException", internal: "ServerException",
		invalid: "InvalidParameterException", worldRequires: true,
		badSignature: "InvalidSignatureException", badSignatureStatus: http.StatusBadRequest,
		throttled:  apiError{"ThrottlingException", "Rate exceeded", http.StatusBadRequest},
		operations: ecsOperations,
	},
	{
		name: "ssm", target: "AmazonSSM", protocol: &awsJSON{contentType: contentJSON11},
		unknownAction: "UnknownOperationException", internal: "InternalServerError",
		invalid:      "ValidationException",
		badSignature: "InvalidSignatureException", badSignatureStatus: http.StatusBadRequest,
		throttled: apiError{"ThrottlingException", "Rate exceeded", http.StatusBadRequest},
		operations: map[string]*operation{
			"GetParameter":  read((*sim.World).GetParameter, ssmRead),
			"GetParameters": read((*sim.World).GetParameters, ssmRead),
		},
	},
	{
		name: "pricing", target: "AWSPriceListService", protocol: &awsJSON{contentType: contentJSON11},
		unknownAction: "UnknownOperationException", internal: "InternalErrorException",
		invalid:      "InvalidParameterException",
		badSignature: "InvalidSignatureException", badSignatureStatus: http.StatusBadRequest,
		throttled: apiError{"ThrottlingException", "Rate exceeded", http.StatusBadRequest},
		operations: map[string]*operation{
			"GetProducts": read((*sim.World).GetProducts, pricingRead),
		},
	},
	{
		name: "events", target: "AWSEvents", protocol: &awsJSON{contentType: contentJSON11},
		unknownAction: "UnknownOperationException", internal: "InternalException",
		invalid:      "ValidationException",
		badSignature: "InvalidSignatureException", badSignatureStatus: http.StatusBadRequest,
		throttled:  apiError{"ThrottlingException", "Rate exceeded", http.StatusBadRequest},
		operations: eventOperations,
	},
	{
		name: "sqs", target: "AmazonSQS",
		protocol:      &awsJSON{contentType: contentJSON10, shapes: "com.amazonaws.sqs#", queryCodes: sqsQueryCodes, names: sqsErrors},
		unknownAction: "UnknownOperationException", internal: "InternalError",
		badSignature: "InvalidSignatureException", badSignatureStatus: http.StatusBadRequest,
		throttled:  apiError{"RequestThrottled", "Rate exceeded", http.StatusForbidden},
		operations: sqsOperations,
	},
}

// queryServices are found by their API version; the first is meant when there is none.
var queryServices = []*service{
	{
		name: "ec2", version: ec2Version, protocol: ec2Query{},
		unknownAction: "InvalidAction", internal: "InternalError",
		badSignature: "AuthFailure", badSignatureStatus: http.StatusUnauthorized,
		throttled:  apiError{"RequestLimitExceeded", "Request limit exceeded.", http.StatusServiceUnavailable},
		operations: ec2Operations,
	},
	{
		name: "sqs", version: sqsVersion, protocol: awsQuery{namespace: sqsNamespace, codes: sqsQueryCodes},
		unknownAction: "InvalidAction", internal: "InternalFailure",
		badSignature: "SignatureDoesNotMatch", badSignatureStatus: http.StatusForbidden,
		throttled:  apiError{"RequestThrottled", "Rate exceeded", http.StatusForbidden},
		operations: sqsOperations,
	},
	autoScaling,
	{
		name: "sts", version: stsVersion, protocol: awsQuery{namespace: stsNamespace},
		unknownAction: "InvalidAction", internal: "InternalFailure",
		badSignature: "SignatureDoesNotMatch", badSignatureStatus: http.StatusForbidden,
		throttled: apiError{"Throttling", "Rate exceeded", http.StatusBadRequest},
		operations: map[string]*operation{
			"GetCallerIdentity": callerIdentity,
		},
	},
}

// frontDoor refuses requests whose X-Amz-Target names no service.
var frontDoor = &service{protocol: &awsJSON{contentType: contentJSON11}}

// closedDoor refuses requests that are in no protocol of AWS.
var closedDoor = &service{protocol: &noProtocol{}}

// ecsOperations are the operations of ECS with the buckets that they are charged to.
var ecsOperations = map[string]*operation{
	"CreateCluster":    act((*sim.World).CreateCluster, ecsClusterEntityWrite),
	"DescribeClusters": read((*sim.World).DescribeClusters, ecsClusterEntityRead),
	"ListClusters":     read((*sim.World).ListClusters, ecsClusterEntityRead),
	"DeleteCluster":    act((*sim.World).DeleteCluster, ecsClusterEntityWrite),

	"RegisterTaskDefinition":   act((*sim.World).RegisterTaskDefinition, ecsDefinitionModify),
	"DescribeTaskDefinition":   read((*sim.World).DescribeTaskDefinition, ecsDefinitionRead),
	"DeregisterTaskDefinition": act((*sim.World).DeregisterTaskDefinition, ecsDefinitionModify),
	"ListTaskDefinitions":      read((*sim.World).ListTaskDefinitions, ecsDefinitionRead),

	"ListTaskDefinitionFamilies": read((*sim.World).ListTaskDefinitionFamilies, ecsDefinitionRead),
	"DeleteTaskDefinitions":      act((*sim.World).DeleteTaskDefinitions, ecsDefinitionModify),

	"CreateService":    act((*sim.World).CreateService, ecsServiceModify),
	"UpdateService":    act((*sim.World).UpdateService, ecsServiceModify),
	"DeleteService":    act((*sim.World).DeleteService, ecsServiceModify),
	"ListServices":     read((*sim.World).ListServices, ecsServiceRead),
	"DescribeServices": read((*sim.World).DescribeServices, ecsServiceRead),

	"ListServiceDeployments":     read((*sim.World).ListServiceDeployments, ecsDeploymentRead),
	"DescribeServiceDeployments": read((*sim.World).DescribeServiceDeployments, ecsDeploymentRead),
	"DescribeServiceRevisions":   read((*sim.World).DescribeServiceRevisions, ecsRevisionRead),
	"StopServiceDeployment":      act((*sim.World).StopServiceDeployment, ecsServiceModify),

	"RunTask":       act((*sim.World).RunTask, ecsClusterModify),
	"StopTask":      act((*sim.World).StopTask, ecsClusterModify),
	"ListTasks":     read((*sim.World).ListTasks, ecsClusterRead),
	"DescribeTasks": read((*sim.World).DescribeTasks, ecsClusterRead),

	"ListContainerInstances":        read((*sim.World).ListContainerInstances, ecsClusterRead),
	"DescribeContainerInstances":    read((*sim.World).DescribeContainerInstances, ecsClusterRead),
	"UpdateContainerInstancesState": act((*sim.World).UpdateContainerInstancesState, ecsClusterModify),
	"DeregisterContainerInstance":   act((*sim.World).DeregisterContainerInstance, ecsClusterModify),
	"UpdateContainerAgent":          act((*sim.World).UpdateContainerAgent, ecsClusterModify),
	"PutAttributes":                 act((*sim.World).PutAttributes, ecsClusterModify),
	"DeleteAttributes":              act((*sim.World).DeleteAttributes, ecsClusterModify),
	"ListAttributes":                read((*sim.World).ListAttributes, ecsClusterRead),

	"UpdateTaskProtection": act((*sim.World).UpdateTaskProtection, ecsProtectionModify),
	"GetTaskProtection":    read((*sim.World).GetTaskProtection, ecsProtectionRead),

	"StartTask": act((*sim.World).StartTask, ecsClusterModify),

	"CreateCapacityProvider":      act((*sim.World).CreateCapacityProvider, ecsProviderModify),
	"UpdateCapacityProvider":      act((*sim.World).UpdateCapacityProvider, ecsProviderModify),
	"DeleteCapacityProvider":      act((*sim.World).DeleteCapacityProvider, ecsProviderModify),
	"PutClusterCapacityProviders": act((*sim.World).PutClusterCapacityProviders, ecsClusterEntityWrite),
	"DescribeCapacityProviders":   read((*sim.World).DescribeCapacityProviders, ecsProviderRead),
	"ListAccountSettings":         read((*sim.World).ListAccountSettings, ecsSettingsRead),
	"PutAccountSetting":           act((*sim.World).PutAccountSetting, ecsSettingsModify),
	"TagResource":                 act((*sim.World).TagResource, ecsTagModify),
	"UntagResource":               act((*sim.World).UntagResource, ecsTagModify),
	"ListTagsForResource":         read((*sim.World).ListTagsForResource, ecsTagRead),
}

// ec2Operations are the operations of EC2 with the buckets that they are charged to.
var ec2Operations = map[string]*operation{
	"CreateFleet": act((*sim.World).CreateFleet, ec2Change, ec2Each("RunInstances", 2, func(in any) float64 {
		return float64(in.(*sim.CreateFleetInput).TargetCapacitySpecification.TotalTargetCapacity)
	})),
	"RunInstances": act((*sim.World).RunInstances, ec2RunCalls, ec2Each("RunInstances", 2, func(in any) float64 {
		return float64(in.(*sim.RunInstancesInput).MaxCount)
	})),
	"TerminateInstances": act((*sim.World).TerminateInstances, ec2StopCalls, ec2Each("TerminateInstances", 20, func(in any) float64 {
		return float64(len(in.(*sim.TerminateInstancesInput).InstanceIDs))
	})),
	"StopInstances": act((*sim.World).StopInstances, ec2Change, ec2Each("StopInstances", 20, func(in any) float64 {
		return float64(len(in.(*sim.StopInstancesInput).InstanceIDs))
	})),
	"StartInstances": act((*sim.World).StartInstances, ec2StartCalls, ec2Each("StartInstances", 2, func(in any) float64 {
		return float64(len(in.(*sim.StartInstancesInput).InstanceIDs))
	})),
	"RebootInstances":               act((*sim.World).RebootInstances, ec2Change),
	"ModifyInstanceAttribute":       act((*sim.World).ModifyInstanceAttribute, ec2Change),
	"ModifyInstanceMetadataOptions": act((*sim.World).ModifyInstanceMetadataOptions, ec2Metadata),
	"DeleteFleets":                  act((*sim.World).DeleteFleets, ec2Change),
	"ModifyLaunchTemplate":          act((*sim.World).ModifyLaunchTemplate, ec2Change),
	"DeleteLaunchTemplate":          act((*sim.World).DeleteLaunchTemplate, ec2Change),
	"DeleteLaunchTemplateVersions":  act((*sim.World).DeleteLaunchTemplateVersions, ec2Change),

	"CreateTags":                  act((*sim.World).CreateTags, ec2CreateTags),
	"DeleteTags":                  act((*sim.World).DeleteTags, ec2DeleteTags),
	"CreateLaunchTemplate":        act((*sim.World).CreateLaunchTemplate, ec2Change),
	"CreateLaunchTemplateVersion": act((*sim.World).CreateLaunchTemplateVersion, ec2Change),

	"DescribeInstances":              ec2Describe("DescribeInstances", (*sim.World).DescribeInstances),
	"DescribeInstanceStatus":         ec2Describe("DescribeInstanceStatus", (*sim.World).DescribeInstanceStatus),
	"DescribeFleets":                 ec2Describe("DescribeFleets", (*sim.World).DescribeFleets),
	"DescribeFleetInstances":         ec2Describe("DescribeFleetInstances", (*sim.World).DescribeFleetInstances),
	"DescribeTags":                   ec2Describe("DescribeTags", (*sim.World).DescribeTags),
	"DescribeVolumes":                ec2Describe("DescribeVolumes", (*sim.World).DescribeVolumes),
	"DescribeSecurityGroups":         ec2Describe("DescribeSecurityGroups", (*sim.World).DescribeSecurityGroups),
	"DescribeReservedInstances":      ec2Describe("DescribeReservedInstances", (*sim.World).DescribeReservedInstances),
	"GetSpotPlacementScores":         ec2Describe("GetSpotPlacementScores", (*sim.World).GetSpotPlacementScores),
	"DescribeLaunchTemplates":        ec2Describe("DescribeLaunchTemplates", (*sim.World).DescribeLaunchTemplates),
	"DescribeLaunchTemplateVersions": ec2Describe("DescribeLaunchTemplateVersions", (*sim.World).DescribeLaunchTemplateVersions),
	"DescribeInstanceTypes":          ec2Describe("DescribeInstanceTypes", (*sim.World).DescribeInstanceTypes),
	"DescribeInstanceTypeOfferings":  ec2Describe("DescribeInstanceTypeOfferings", (*sim.World).DescribeInstanceTypeOfferings),
	"DescribeSubnets":                ec2Describe("DescribeSubnets", (*sim.World).DescribeSubnets),
	"DescribeAvailabilityZones":      ec2Describe("DescribeAvailabilityZones", (*sim.World).DescribeAvailabilityZones),
	"DescribeSpotPriceHistory":       ec2Describe("DescribeSpotPriceHistory", (*sim.World).DescribeSpotPriceHistory),
	"DescribeImages":                 ec2Describe("DescribeImages", (*sim.World).DescribeImages),
}

// ec2Describe makes a read of EC2, which costs more when it asks for everything at once.
func ec2Describe[In, Out any](name string, f func(*sim.World, *In) (*Out, error)) *operation {
	op := read(f)
	paged := []charge{limit("ec2 "+name, 100, 20)}
	unpaged := []charge{limit("ec2 "+name+" unfiltered", 50, 10)}
	op.charges = func(c *call, _ any) []charge {
		if ec2Costly[name] && !narrowed(c.form) {
			return unpaged
		}
		return paged
	}
	return op
}

// identity is the answer of GetCallerIdentity.
type identity struct {
	UserID  string `xml:"UserId"`
	Account string `xml:"Account"`
	Arn     string `xml:"Arn"`
}

// callerIdentity answers GetCallerIdentity of STS, with which clients try their credentials.
var callerIdentity = perform(func(r *request, _ *struct{}) (*identity, error) {
	return &identity{
		UserID:  "AIDASIMULATEDUSER0000",
		Account: r.world.Account(),
		Arn:     "arn:aws:iam::" + r.world.Account() + ":user/simulated",
	}, nil
}, stsRead)
