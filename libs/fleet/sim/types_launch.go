package sim

// More structures of launches: what hangs on instances, fleets that were made, and changes
// of launch templates. See types_ec2.go for how fields and tags are written.

// BlockDeviceMapping is a volume that an instance is launched with.
type BlockDeviceMapping struct {
	DeviceName  string          `xml:"deviceName,omitempty"`
	VirtualName string          `xml:"virtualName,omitempty"`
	NoDevice    *string         `xml:"noDevice,omitempty"`
	EBS         *EBSBlockDevice `query:"Ebs" xml:"ebs"`
}

// EBSBlockDevice is an EBS volume that is made at launch.
type EBSBlockDevice struct {
	DeleteOnTermination *bool  `xml:"deleteOnTermination,omitempty"`
	Encrypted           bool   `xml:"encrypted,omitempty"`
	Iops                int    `xml:"iops,omitempty"`
	KmsKeyID            string `query:"KmsKeyId" xml:"kmsKeyId,omitempty"`
	SnapshotID          string `query:"SnapshotId" xml:"snapshotId,omitempty"`
	Throughput          int    `xml:"throughput,omitempty"`
	VolumeSize          int    `xml:"volumeSize,omitempty"` // GiB
	VolumeType          string `xml:"volumeType,omitempty"`
}

// MetadataOptions are how an instance may read its metadata.
type MetadataOptions struct {
	State                   string `xml:"state,omitempty"` // applied, in answers
	HTTPTokens              string `query:"HttpTokens" xml:"httpTokens,omitempty"`
	HTTPPutResponseHopLimit int    `query:"HttpPutResponseHopLimit" xml:"httpPutResponseHopLimit,omitempty"`
	HTTPEndpoint            string `query:"HttpEndpoint" xml:"httpEndpoint,omitempty"`
	HTTPProtocolIPv6        string `query:"HttpProtocolIpv6" xml:"httpProtocolIpv6,omitempty"`
	InstanceMetadataTags    string `xml:"instanceMetadataTags,omitempty"`
}

// SpotMarketOptions are how a spot instance is asked for.
type SpotMarketOptions struct {
	MaxPrice                     string `xml:"maxPrice,omitempty"`         // USD per hour
	SpotInstanceType             string `xml:"spotInstanceType,omitempty"` // one-time
	InstanceInterruptionBehavior string `xml:"instanceInterruptionBehavior,omitempty"`
}

// Monitoring asks for detailed monitoring, or says whether it is on.
type Monitoring struct {
	Enabled bool   `xml:"enabled,omitempty"`
	State   string `query:"-" xml:"state,omitempty"` // in answers
}

// AttachedVolume is a volume of an instance as DescribeInstances shows it.
type AttachedVolume struct {
	DeviceName string      `xml:"deviceName"`
	EBS        AttachedEBS `xml:"ebs"`
}

// AttachedEBS is the volume of an [AttachedVolume].
type AttachedEBS struct {
	VolumeID            string    `xml:"volumeId"`
	Status              string    `xml:"status"`
	AttachTime          Timestamp `xml:"attachTime"`
	DeleteOnTermination bool      `xml:"deleteOnTermination"`
}

// AttachedInterface is a network interface of an instance.
type AttachedInterface struct {
	NetworkInterfaceID string            `xml:"networkInterfaceId"`
	SubnetID           string            `xml:"subnetId"`
	VpcID              string            `xml:"vpcId"`
	OwnerID            string            `xml:"ownerId"`
	Status             string            `xml:"status"`
	PrivateIPAddress   string            `xml:"privateIpAddress"`
	InterfaceType      string            `xml:"interfaceType"`
	Groups             []GroupIdentifier `xml:"groupSet>item"`
}

// DeleteFleetsInput is the request of DeleteFleets.
type DeleteFleetsInput struct {
	FleetIDs           []string `query:"FleetId"`
	TerminateInstances bool
	DryRun             bool
}

// FleetDeletion is a fleet that DeleteFleets deleted.
type FleetDeletion struct {
	CurrentFleetState  string `xml:"currentFleetState"`
	PreviousFleetState string `xml:"previousFleetState"`
	FleetID            string `xml:"fleetId"`
}

// FleetDeletionError is a fleet that DeleteFleets did not delete, and why.
type FleetDeletionError struct {
	FleetID string    `xml:"fleetId"`
	Error   CodeWords `xml:"error"`
}

// CodeWords is an error within an answer.
type CodeWords struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

// DeleteFleetsOutput is the answer of DeleteFleets.
type DeleteFleetsOutput struct {
	Successful   []FleetDeletion      `xml:"successfulFleetDeletionSet>item"`
	Unsuccessful []FleetDeletionError `xml:"unsuccessfulFleetDeletionSet>item"`
}

// DescribeFleetsInput is the request of DescribeFleets.
type DescribeFleetsInput struct {
	FleetIDs   []string `query:"FleetId"`
	Filters    []Filter `query:"Filter"`
	MaxResults int
	NextToken  string
}

// FleetData is a fleet as DescribeFleets shows it.
type FleetData struct {
	FleetID                     string                      `xml:"fleetId"`
	FleetState                  string                      `xml:"fleetState"`
	ActivityStatus              string                      `xml:"activityStatus,omitempty"`
	ClientToken                 string                      `xml:"clientToken,omitempty"`
	CreateTime                  Timestamp                   `xml:"createTime"`
	Type                        string                      `xml:"type"`
	FulfilledCapacity           float64                     `xml:"fulfilledCapacity"`
	FulfilledOnDemandCapacity   float64                     `xml:"fulfilledOnDemandCapacity"`
	LaunchTemplateConfigs       []FleetLaunchTemplateConfig `xml:"launchTemplateConfigs>item"`
	TargetCapacitySpecification TargetCapacitySpecification `xml:"targetCapacitySpecification"`
	SpotOptions                 FleetOptions                `xml:"spotOptions"`
	OnDemandOptions             FleetOptions                `xml:"onDemandOptions"`
	Errors                      []FleetError                `xml:"errorSet>item"`
	Instances                   []FleetInstance             `xml:"fleetInstanceSet>item"`
	Tags                        []Tag                       `xml:"tagSet>item"`
}

// DescribeFleetsOutput is the answer of DescribeFleets.
type DescribeFleetsOutput struct {
	Fleets    []FleetData `xml:"fleetSet>item"`
	NextToken string      `xml:"nextToken,omitempty"`
}

// DescribeFleetInstancesInput is the request of DescribeFleetInstances.
type DescribeFleetInstancesInput struct {
	FleetID    string   `query:"FleetId"`
	Filters    []Filter `query:"Filter"`
	MaxResults int
	NextToken  string
}

// ActiveInstance is a running instance of a fleet.
type ActiveInstance struct {
	InstanceID            string `xml:"instanceId"`
	InstanceType          string `xml:"instanceType"`
	SpotInstanceRequestID string `xml:"spotInstanceRequestId,omitempty"`
}

// DescribeFleetInstancesOutput is the answer of DescribeFleetInstances.
type DescribeFleetInstancesOutput struct {
	FleetID         string           `xml:"fleetId"`
	ActiveInstances []ActiveInstance `xml:"activeInstanceSet>item"`
	NextToken       string           `xml:"nextToken,omitempty"`
}

// ValidationWarning is what is wrong with a launch template that was made all the same.
type ValidationWarning struct {
	Errors []CodeWords `xml:"errorSet>item"`
}

// ModifyLaunchTemplateInput is the request of ModifyLaunchTemplate.
type ModifyLaunchTemplateInput struct {
	ClientToken        string
	LaunchTemplateID   string `query:"LaunchTemplateId"`
	LaunchTemplateName string
	DefaultVersion     string `query:"SetDefaultVersion"`
	DryRun             bool
}

// ModifyLaunchTemplateOutput is the answer of ModifyLaunchTemplate.
type ModifyLaunchTemplateOutput struct {
	LaunchTemplate LaunchTemplate `xml:"launchTemplate"`
}

// DeleteLaunchTemplateInput is the request of DeleteLaunchTemplate.
type DeleteLaunchTemplateInput struct {
	LaunchTemplateID   string `query:"LaunchTemplateId"`
	LaunchTemplateName string
	DryRun             bool
}

// DeleteLaunchTemplateOutput is the answer of DeleteLaunchTemplate.
type DeleteLaunchTemplateOutput struct {
	LaunchTemplate LaunchTemplate `xml:"launchTemplate"`
}

// DeleteLaunchTemplateVersionsInput is the request of DeleteLaunchTemplateVersions.
type DeleteLaunchTemplateVersionsInput struct {
	LaunchTemplateID   string `query:"LaunchTemplateId"`
	LaunchTemplateName string
	Versions           []string `query:"LaunchTemplateVersion"`
	DryRun             bool
}

// VersionDeletion is a version that was deleted, or was not and why.
type VersionDeletion struct {
	LaunchTemplateID   string     `xml:"launchTemplateId"`
	LaunchTemplateName string     `xml:"launchTemplateName"`
	VersionNumber      int64      `xml:"versionNumber"`
	ResponseError      *CodeWords `xml:"responseError"`
}

// DeleteLaunchTemplateVersionsOutput is the answer of DeleteLaunchTemplateVersions.
type DeleteLaunchTemplateVersionsOutput struct {
	Successful   []VersionDeletion `xml:"successfullyDeletedLaunchTemplateVersionSet>item"`
	Unsuccessful []VersionDeletion `xml:"unsuccessfullyDeletedLaunchTemplateVersionSet>item"`
}
