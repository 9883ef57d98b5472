package sim

// The structures of operations that stop, start and change instances, and tell how they
// are. See types_ec2.go for how fields and tags are written.

// StopInstancesInput is the request of StopInstances.
type StopInstancesInput struct {
	InstanceIDs []string `query:"InstanceId"`
	Hibernate   bool
	Force       bool
	DryRun      bool
}

// StopInstancesOutput is the answer of StopInstances.
type StopInstancesOutput struct {
	StoppingInstances []InstanceStateChange `xml:"instancesSet>item"`
}

// StartInstancesInput is the request of StartInstances.
type StartInstancesInput struct {
	InstanceIDs []string `query:"InstanceId"`
	DryRun      bool
}

// StartInstancesOutput is the answer of StartInstances.
type StartInstancesOutput struct {
	StartingInstances []InstanceStateChange `xml:"instancesSet>item"`
}

// RebootInstancesInput is the request of RebootInstances.
type RebootInstancesInput struct {
	InstanceIDs []string `query:"InstanceId"`
	DryRun      bool
}

// RebootInstancesOutput is the answer of RebootInstances.
type RebootInstancesOutput = CreateTagsOutput

// AttributeBoolean is a new value of an attribute.
type AttributeBoolean struct{ Value bool }

// AttributeText is a new value of an attribute.
type AttributeText struct{ Value string }

// ModifyInstanceAttributeInput is the request of ModifyInstanceAttribute. The simulated
// EC2 changes protection against termination and stopping, security groups and, of a
// stopped instance, its type and user data.
type ModifyInstanceAttributeInput struct {
	InstanceID            string `query:"InstanceId"`
	Attribute             string // the name of the attribute that Value is for
	Value                 string
	DisableAPITermination *AttributeBoolean `query:"DisableApiTermination"`
	DisableAPIStop        *AttributeBoolean `query:"DisableApiStop"`
	InstanceType          *AttributeText
	UserData              *AttributeText
	Groups                []string `query:"GroupId"`
	DryRun                bool
}

// ModifyInstanceAttributeOutput is the answer of ModifyInstanceAttribute.
type ModifyInstanceAttributeOutput = CreateTagsOutput

// ModifyInstanceMetadataOptionsInput is the request of ModifyInstanceMetadataOptions.
type ModifyInstanceMetadataOptionsInput struct {
	InstanceID              string `query:"InstanceId"`
	HTTPTokens              string `query:"HttpTokens"`
	HTTPPutResponseHopLimit int    `query:"HttpPutResponseHopLimit"`
	HTTPEndpoint            string `query:"HttpEndpoint"`
	HTTPProtocolIPv6        string `query:"HttpProtocolIpv6"`
	InstanceMetadataTags    string
	DryRun                  bool
}

// ModifyInstanceMetadataOptionsOutput is the answer of ModifyInstanceMetadataOptions.
type ModifyInstanceMetadataOptionsOutput struct {
	InstanceID              string          `xml:"instanceId"`
	InstanceMetadataOptions MetadataOptions `xml:"instanceMetadataOptions"`
}

// DescribeInstanceStatusInput is the request of DescribeInstanceStatus.
type DescribeInstanceStatusInput struct {
	InstanceIDs         []string `query:"InstanceId"`
	Filters             []Filter `query:"Filter"`
	IncludeAllInstances bool
	MaxResults          int
	NextToken           string
}

// InstanceStatus is how an instance is and what EC2 has planned for it.
type InstanceStatus struct {
	InstanceID       string        `xml:"instanceId"`
	AvailabilityZone string        `xml:"availabilityZone"`
	InstanceState    InstanceState `xml:"instanceState"`
	InstanceStatus   StatusSummary `xml:"instanceStatus"`
	SystemStatus     StatusSummary `xml:"systemStatus"`
	Events           []StatusEvent `xml:"eventsSet>item"`
}

// StatusSummary is the result of status checks.
type StatusSummary struct {
	Status  string         `xml:"status"` // ok, initializing, not-applicable
	Details []StatusDetail `xml:"details>item"`
}

// StatusDetail is the result of one status check.
type StatusDetail struct {
	Name   string `xml:"name"`
	Status string `xml:"status"`
}

// StatusEvent is something that EC2 has planned for an instance.
type StatusEvent struct {
	InstanceEventID string    `xml:"instanceEventId"`
	Code            string    `xml:"code"`
	Description     string    `xml:"description"`
	NotBefore       Timestamp `xml:"notBefore"`
}

// DescribeInstanceStatusOutput is the answer of DescribeInstanceStatus.
type DescribeInstanceStatusOutput struct {
	InstanceStatuses []InstanceStatus `xml:"instanceStatusSet>item"`
	NextToken        string           `xml:"nextToken,omitempty"`
}

// DescribeTagsInput is the request of DescribeTags.
type DescribeTagsInput struct {
	Filters    []Filter `query:"Filter"`
	MaxResults int
	NextToken  string
}

// TagDescription is a tag with what it is on.
type TagDescription struct {
	ResourceID   string `xml:"resourceId"`
	ResourceType string `xml:"resourceType"`
	Key          string `xml:"key"`
	Value        string `xml:"value"`
}

// DescribeTagsOutput is the answer of DescribeTags.
type DescribeTagsOutput struct {
	Tags      []TagDescription `xml:"tagSet>item"`
	NextToken string           `xml:"nextToken,omitempty"`
}

// SecurityGroup is a security group.
type SecurityGroup struct {
	GroupID     string `xml:"groupId"`
	GroupName   string `xml:"groupName"`
	Description string `xml:"groupDescription"`
	VpcID       string `xml:"vpcId"`
	OwnerID     string `xml:"ownerId"`
	Tags        []Tag  `xml:"tagSet>item"`
}

// DescribeSecurityGroupsInput is the request of DescribeSecurityGroups.
type DescribeSecurityGroupsInput struct {
	GroupIDs   []string `query:"GroupId"`
	GroupNames []string `query:"GroupName"`
	Filters    []Filter `query:"Filter"`
	MaxResults int
	NextToken  string
}

// DescribeSecurityGroupsOutput is the answer of DescribeSecurityGroups.
type DescribeSecurityGroupsOutput struct {
	SecurityGroups []SecurityGroup `xml:"securityGroupInfo>item"`
	NextToken      string          `xml:"nextToken,omitempty"`
}

// DescribeVolumesInput is the request of DescribeVolumes.
type DescribeVolumesInput struct {
	VolumeIDs  []string `query:"VolumeId"`
	Filters    []Filter `query:"Filter"`
	MaxResults int
	NextToken  string
}

// Volume is an EBS volume.
type Volume struct {
	VolumeID         string             `xml:"volumeId"`
	Size             int                `xml:"size"`
	VolumeType       string             `xml:"volumeType"`
	Encrypted        bool               `xml:"encrypted"`
	AvailabilityZone string             `xml:"availabilityZone"`
	State            string             `xml:"status"`
	CreateTime       Timestamp          `xml:"createTime"`
	Attachments      []VolumeAttachment `xml:"attachmentSet>item"`
	Tags             []Tag              `xml:"tagSet>item"`
}

// VolumeAttachment says to what a volume is attached.
type VolumeAttachment struct {
	VolumeID            string    `xml:"volumeId"`
	InstanceID          string    `xml:"instanceId"`
	Device              string    `xml:"device"`
	State               string    `xml:"status"`
	AttachTime          Timestamp `xml:"attachTime"`
	DeleteOnTermination bool      `xml:"deleteOnTermination"`
}

// DescribeVolumesOutput is the answer of DescribeVolumes.
type DescribeVolumesOutput struct {
	Volumes   []Volume `xml:"volumeSet>item"`
	NextToken string   `xml:"nextToken,omitempty"`
}
