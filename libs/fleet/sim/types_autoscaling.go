package sim

// AutoScalingTag is a tag of an auto scaling group. Its answers name the group, too.
type AutoScalingTag struct {
	ResourceID        string `query:"ResourceId" xml:"ResourceId,omitempty"`
	ResourceType      string `xml:"ResourceType,omitempty"`
	Key               string `xml:"Key"`
	Value             string `xml:"Value"`
	PropagateAtLaunch bool   `xml:"PropagateAtLaunch"`
}

// AutoScalingTemplate names a launch template as Auto Scaling writes it.
type AutoScalingTemplate struct {
	LaunchTemplateID   string `query:"LaunchTemplateId" xml:"LaunchTemplateId,omitempty"`
	LaunchTemplateName string `xml:"LaunchTemplateName,omitempty"`
	Version            string `xml:"Version,omitempty"`
}

// MixedInstancesPolicy lets a group launch several types, on-demand and spot.
type MixedInstancesPolicy struct {
	LaunchTemplate        *MixedTemplate         `xml:"LaunchTemplate,omitempty"`
	InstancesDistribution *InstancesDistribution `xml:"InstancesDistribution,omitempty"`
}

// MixedTemplate is the launch template of a mixed instances policy, with its types.
type MixedTemplate struct {
	LaunchTemplateSpecification *AutoScalingTemplate `xml:"LaunchTemplateSpecification,omitempty"`
	Overrides                   Members[MixedType]   `xml:"Overrides"`
}

// MixedType is one type of a mixed instances policy.
type MixedType struct {
	InstanceType     string `xml:"InstanceType,omitempty"`
	WeightedCapacity string `xml:"WeightedCapacity,omitempty"`
}

// InstancesDistribution says how much of a group is on-demand and how types are chosen.
type InstancesDistribution struct {
	OnDemandAllocationStrategy          string `xml:"OnDemandAllocationStrategy,omitempty"`
	OnDemandBaseCapacity                int    `xml:"OnDemandBaseCapacity"`
	OnDemandPercentageAboveBaseCapacity *int   `xml:"OnDemandPercentageAboveBaseCapacity,omitempty"`
	SpotAllocationStrategy              string `xml:"SpotAllocationStrategy,omitempty"`
	SpotInstancePools                   int    `xml:"SpotInstancePools,omitempty"`
}

// Members is a list in the query protocol, which wraps its items in "member".
type Members[T any] struct {
	Member []T `query:"member" xml:"member"`
}

// CreateAutoScalingGroupInput is the request of CreateAutoScalingGroup.
type CreateAutoScalingGroupInput struct {
	AutoScalingGroupName             string
	LaunchTemplate                   *AutoScalingTemplate
	MixedInstancesPolicy             *MixedInstancesPolicy
	MinSize                          *int
	MaxSize                          *int
	DesiredCapacity                  *int
	DefaultCooldown                  *int
	AvailabilityZones                Members[string]
	VPCZoneIdentifier                string
	HealthCheckType                  string
	HealthCheckGracePeriod           int
	TerminationPolicies              Members[string]
	NewInstancesProtectedFromScaleIn bool
	CapacityRebalance                bool
	Tags                             Members[AutoScalingTag]
}

// UpdateAutoScalingGroupInput is the request of UpdateAutoScalingGroup. What is absent
// stays as it is.
type UpdateAutoScalingGroupInput struct {
	AutoScalingGroupName             string
	LaunchTemplate                   *AutoScalingTemplate
	MixedInstancesPolicy             *MixedInstancesPolicy
	MinSize                          *int
	MaxSize                          *int
	DesiredCapacity                  *int
	DefaultCooldown                  *int
	VPCZoneIdentifier                string
	NewInstancesProtectedFromScaleIn *bool
}

// SetDesiredCapacityInput is the request of SetDesiredCapacity.
type SetDesiredCapacityInput struct {
	AutoScalingGroupName string
	DesiredCapacity      *int
	HonorCooldown        bool
}

// DeleteAutoScalingGroupInput is the request of DeleteAutoScalingGroup.
type DeleteAutoScalingGroupInput struct {
	AutoScalingGroupName string
	ForceDelete          bool
}

// AutoScalingDone is the answer of an operation that has nothing to say.
type AutoScalingDone struct{}

// DescribeAutoScalingGroupsInput is the request of DescribeAutoScalingGroups.
type DescribeAutoScalingGroupsInput struct {
	AutoScalingGroupNames Members[string]
	Filters               Members[AutoScalingFilter]
	MaxRecords            int
	NextToken             string
}

// AutoScalingFilter is a filter of Auto Scaling: tag-key, tag-value or tag:KEY.
type AutoScalingFilter struct {
	Name   string
	Values Members[string]
}

// DescribeAutoScalingGroupsOutput is the answer of DescribeAutoScalingGroups.
type DescribeAutoScalingGroupsOutput struct {
	AutoScalingGroups Members[AutoScalingGroup] `xml:"AutoScalingGroups"`
	NextToken         string                    `xml:"NextToken,omitempty"`
}

// AutoScalingGroup is an auto scaling group.
type AutoScalingGroup struct {
	AutoScalingGroupName             string                       `xml:"AutoScalingGroupName"`
	AutoScalingGroupARN              string                       `xml:"AutoScalingGroupARN"`
	LaunchTemplate                   *AutoScalingTemplate         `xml:"LaunchTemplate,omitempty"`
	MixedInstancesPolicy             *MixedInstancesPolicy        `xml:"MixedInstancesPolicy,omitempty"`
	MinSize                          int                          `xml:"MinSize"`
	MaxSize                          int                          `xml:"MaxSize"`
	DesiredCapacity                  int                          `xml:"DesiredCapacity"`
	DefaultCooldown                  int                          `xml:"DefaultCooldown"`
	AvailabilityZones                Members[string]              `xml:"AvailabilityZones"`
	LoadBalancerNames                Members[string]              `xml:"LoadBalancerNames"`
	TargetGroupARNs                  Members[string]              `xml:"TargetGroupARNs"`
	HealthCheckType                  string                       `xml:"HealthCheckType"`
	HealthCheckGracePeriod           int                          `xml:"HealthCheckGracePeriod"`
	Instances                        Members[AutoScalingInstance] `xml:"Instances"`
	CreatedTime                      Timestamp                    `xml:"CreatedTime"`
	VPCZoneIdentifier                string                       `xml:"VPCZoneIdentifier"`
	Status                           string                       `xml:"Status,omitempty"`
	Tags                             Members[AutoScalingTag]      `xml:"Tags"`
	TerminationPolicies              Members[string]              `xml:"TerminationPolicies"`
	NewInstancesProtectedFromScaleIn bool                         `xml:"NewInstancesProtectedFromScaleIn"`
	ServiceLinkedRoleARN             string                       `xml:"ServiceLinkedRoleARN"`
	CapacityRebalance                bool                         `xml:"CapacityRebalance"`
}

// AutoScalingInstance is an instance of a group. Only DescribeAutoScalingInstances names
// the group.
type AutoScalingInstance struct {
	InstanceID           string               `xml:"InstanceId"`
	InstanceType         string               `xml:"InstanceType"`
	AutoScalingGroupName string               `xml:"AutoScalingGroupName,omitempty"`
	AvailabilityZone     string               `xml:"AvailabilityZone"`
	LifecycleState       string               `xml:"LifecycleState"`
	HealthStatus         string               `xml:"HealthStatus"`
	LaunchTemplate       *AutoScalingTemplate `xml:"LaunchTemplate,omitempty"`
	ProtectedFromScaleIn bool                 `xml:"ProtectedFromScaleIn"`
}

// DescribeAutoScalingInstancesInput is the request of DescribeAutoScalingInstances.
type DescribeAutoScalingInstancesInput struct {
	InstanceIDs Members[string] `query:"InstanceIds"`
	MaxRecords  int
	NextToken   string
}

// DescribeAutoScalingInstancesOutput is the answer of DescribeAutoScalingInstances.
type DescribeAutoScalingInstancesOutput struct {
	AutoScalingInstances Members[AutoScalingInstance] `xml:"AutoScalingInstances"`
	NextToken            string                       `xml:"NextToken,omitempty"`
}

// DescribeScalingActivitiesInput is the request of DescribeScalingActivities.
type DescribeScalingActivitiesInput struct {
	ActivityIDs          Members[string] `query:"ActivityIds"`
	AutoScalingGroupName string
	MaxRecords           int
	NextToken            string
}

// DescribeScalingActivitiesOutput is the answer of DescribeScalingActivities: the newest
// activity first.
type DescribeScalingActivitiesOutput struct {
	Activities Members[ScalingActivity] `xml:"Activities"`
	NextToken  string                   `xml:"NextToken,omitempty"`
}

// ScalingActivity is something that Auto Scaling did or tried to do.
type ScalingActivity struct {
	ActivityID           string     `xml:"ActivityId"`
	AutoScalingGroupName string     `xml:"AutoScalingGroupName"`
	Description          string     `xml:"Description"`
	Cause                string     `xml:"Cause"`
	StartTime            Timestamp  `xml:"StartTime"`
	EndTime              *Timestamp `xml:"EndTime,omitempty"`
	StatusCode           string     `xml:"StatusCode"`
	StatusMessage        string     `xml:"StatusMessage,omitempty"`
	Progress             int        `xml:"Progress"`
	Details              string     `xml:"Details"`
}

// TerminateInstanceInAutoScalingGroupInput is the request of
// TerminateInstanceInAutoScalingGroup.
type TerminateInstanceInAutoScalingGroupInput struct {
	InstanceID                     string `query:"InstanceId"`
	ShouldDecrementDesiredCapacity *bool
}

// TerminateInstanceInAutoScalingGroupOutput is the answer of
// TerminateInstanceInAutoScalingGroup.
type TerminateInstanceInAutoScalingGroupOutput struct {
	Activity ScalingActivity `xml:"Activity"`
}

// AttachInstancesInput is the request of AttachInstances.
type AttachInstancesInput struct {
	AutoScalingGroupName string
	InstanceIDs          Members[string] `query:"InstanceIds"`
}

// DetachInstancesInput is the request of DetachInstances.
type DetachInstancesInput struct {
	AutoScalingGroupName           string
	InstanceIDs                    Members[string] `query:"InstanceIds"`
	ShouldDecrementDesiredCapacity *bool
}

// DetachInstancesOutput is the answer of DetachInstances.
type DetachInstancesOutput struct {
	Activities Members[ScalingActivity] `xml:"Activities"`
}

// SetInstanceProtectionInput is the request of SetInstanceProtection.
type SetInstanceProtectionInput struct {
	AutoScalingGroupName string
	InstanceIDs          Members[string] `query:"InstanceIds"`
	ProtectedFromScaleIn *bool
}
