package sim

// The structures of EC2 and the inputs and outputs of its operations. The fields of inputs
// have the names of the API; a query tag gives the parameter name where the wire differs
// (a list InstanceIds is sent as InstanceId.1, InstanceId.2, …). The xml tags of outputs
// give the element names, lists as "listSet>item".

// Filter is a filter of an EC2 Describe operation; values may hold * and ?.
type Filter struct {
	Name   string
	Values []string `query:"Value"`
}

// TagSpecification tags what a launch creates.
type TagSpecification struct {
	ResourceType string `xml:"resourceType"`
	Tags         []Tag  `query:"Tag" xml:"tagSet>item"`
}

// LaunchTemplateSpecification names a launch template and a version: a number, $Latest or
// $Default (also when empty).
type LaunchTemplateSpecification struct {
	LaunchTemplateID   string `query:"LaunchTemplateId" xml:"launchTemplateId,omitempty"`
	LaunchTemplateName string `xml:"launchTemplateName,omitempty"`
	Version            string `xml:"version,omitempty"`
}

// FleetLaunchTemplateConfig is one launch template with its overrides.
type FleetLaunchTemplateConfig struct {
	LaunchTemplateSpecification LaunchTemplateSpecification `xml:"launchTemplateSpecification"`
	Overrides                   []FleetOverride             `xml:"overrides>item"`
}

// FleetOverride is one offering that a fleet may use.
type FleetOverride struct {
	InstanceType     string     `xml:"instanceType,omitempty"`
	MaxPrice         string     `xml:"maxPrice,omitempty"`
	SubnetID         string     `query:"SubnetId" xml:"subnetId,omitempty"`
	AvailabilityZone string     `xml:"availabilityZone,omitempty"`
	WeightedCapacity *float64   `xml:"weightedCapacity,omitempty"`
	Priority         *float64   `xml:"priority,omitempty"`
	ImageID          string     `query:"ImageId" xml:"imageId,omitempty"` // an ID or resolve:ssm:NAME
	Placement        *Placement `xml:"-"`

	AvailabilityZoneID  string               `query:"AvailabilityZoneId" xml:"availabilityZoneId,omitempty"`
	BlockDeviceMappings []BlockDeviceMapping `query:"BlockDeviceMapping" xml:"-"`
	// InstanceRequirements choose types by their attributes, which is refused.
	InstanceRequirements *struct{} `xml:"-"`
}

// TargetCapacitySpecification says how much a fleet is to launch.
type TargetCapacitySpecification struct {
	TotalTargetCapacity       int    `xml:"totalTargetCapacity"`
	OnDemandTargetCapacity    int    `xml:"onDemandTargetCapacity"`
	SpotTargetCapacity        int    `xml:"spotTargetCapacity"`
	DefaultTargetCapacityType string `xml:"defaultTargetCapacityType,omitempty"` // spot, on-demand
	TargetCapacityUnitType    string `xml:"targetCapacityUnitType,omitempty"`
}

// FleetOptions are the SpotOptions or OnDemandOptions of a fleet.
type FleetOptions struct {
	AllocationStrategy      string `xml:"allocationStrategy,omitempty"`
	InstancePoolsToUseCount int    `xml:"instancePoolsToUseCount,omitempty"` // of lowest-price
	SingleInstanceType      bool   `xml:"singleInstanceType,omitempty"`
	SingleAvailabilityZone  bool   `xml:"singleAvailabilityZone,omitempty"`
	MinTargetCapacity       int    `xml:"minTargetCapacity,omitempty"`
	MaxTotalPrice           string `xml:"maxTotalPrice,omitempty"` // USD per hour
}

// CreateFleetInput is the request of CreateFleet; Type must be instant.
type CreateFleetInput struct {
	DryRun                      bool
	ClientToken                 string
	SpotOptions                 FleetOptions
	OnDemandOptions             FleetOptions
	LaunchTemplateConfigs       []FleetLaunchTemplateConfig
	TargetCapacitySpecification TargetCapacitySpecification
	Type                        string
	TagSpecifications           []TagSpecification `query:"TagSpecification"`
	Context                     string
}

// LaunchTemplateAndOverrides says from what an instance of a fleet was (or was not) made.
type LaunchTemplateAndOverrides struct {
	LaunchTemplateSpecification LaunchTemplateSpecification `xml:"launchTemplateSpecification"`
	Overrides                   FleetOverride               `xml:"overrides"`
}

// FleetInstance are the instances that one override of a fleet gave.
type FleetInstance struct {
	LaunchTemplateAndOverrides LaunchTemplateAndOverrides `xml:"launchTemplateAndOverrides"`
	Lifecycle                  string                     `xml:"lifecycle"`
	InstanceIDs                []string                   `xml:"instanceIds>item"`
	InstanceType               string                     `xml:"instanceType"`
}

// FleetError says why an override of a fleet gave nothing.
type FleetError struct {
	LaunchTemplateAndOverrides LaunchTemplateAndOverrides `xml:"launchTemplateAndOverrides"`
	Lifecycle                  string                     `xml:"lifecycle"`
	ErrorCode                  string                     `xml:"errorCode"`
	ErrorMessage               string                     `xml:"errorMessage"`
}

// CreateFleetOutput is the answer of CreateFleet: success may be partial, or none at all.
type CreateFleetOutput struct {
	FleetID   string          `xml:"fleetId"`
	Errors    []FleetError    `xml:"errorSet>item"`
	Instances []FleetInstance `xml:"fleetInstanceSet>item"`
}

// Placement is where an instance is.
type Placement struct {
	AvailabilityZone string `xml:"availabilityZone,omitempty"`
	Tenancy          string `xml:"tenancy,omitempty"`
	GroupName        string `xml:"groupName,omitempty"`
}

// IamInstanceProfile names an instance profile.
type IamInstanceProfile struct {
	Arn  string `xml:"arn,omitempty"`
	Name string `xml:"name,omitempty"`
	ID   string `xml:"id,omitempty"`
}

// InstanceMarketOptions asks for a spot instance.
type InstanceMarketOptions struct {
	MarketType  string             `xml:"marketType,omitempty"` // spot
	SpotOptions *SpotMarketOptions `xml:"spotOptions"`
}

// CPUOptions chooses cores and threads.
type CPUOptions struct {
	CoreCount      int `xml:"coreCount,omitempty"`
	ThreadsPerCore int `xml:"threadsPerCore,omitempty"`
}

// NetworkInterfaceSpecification is an interface asked for at launch.
type NetworkInterfaceSpecification struct {
	DeviceIndex              int      `xml:"deviceIndex"`
	SubnetID                 string   `query:"SubnetId" xml:"subnetId,omitempty"`
	Groups                   []string `query:"SecurityGroupId" xml:"groupSet>groupId"`
	AssociatePublicIPAddress bool     `query:"AssociatePublicIpAddress" xml:"associatePublicIpAddress,omitempty"`
}

// RunInstancesInput is the request of RunInstances. UserData is base64.
type RunInstancesInput struct {
	DryRun                bool
	ImageID               string `query:"ImageId"`
	InstanceType          string
	KeyName               string
	MaxCount              int
	MinCount              int
	Placement             Placement
	SecurityGroupIDs      []string `query:"SecurityGroupId"`
	SubnetID              string   `query:"SubnetId"`
	UserData              string
	ClientToken           string
	IamInstanceProfile    IamInstanceProfile
	InstanceMarketOptions InstanceMarketOptions
	LaunchTemplate        LaunchTemplateSpecification
	TagSpecifications     []TagSpecification              `query:"TagSpecification"`
	NetworkInterfaces     []NetworkInterfaceSpecification `query:"NetworkInterface"`
	CPUOptions            CPUOptions                      `query:"CpuOptions"`
	DisableAPITermination bool                            `query:"DisableApiTermination"`
	DisableAPIStop        bool                            `query:"DisableApiStop"`
	SecurityGroups        []string                        `query:"SecurityGroup"` // by name
	BlockDeviceMappings   []BlockDeviceMapping            `query:"BlockDeviceMapping"`
	MetadataOptions       *MetadataOptions
	Monitoring            *Monitoring
	EBSOptimized          bool   `query:"EbsOptimized"`
	PrivateIPAddress      string `query:"PrivateIpAddress"`
}

// RunInstancesOutput is the answer of RunInstances.
type RunInstancesOutput Reservation

// Reservation are the instances of one launch.
type Reservation struct {
	ReservationID string     `xml:"reservationId"`
	OwnerID       string     `xml:"ownerId"`
	Instances     []Instance `xml:"instancesSet>item"`
}

// InstanceState is the state of an EC2 instance.
type InstanceState struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

// StateReason says why an instance is in its state.
type StateReason struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

// GroupIdentifier is a security group of an instance.
type GroupIdentifier struct {
	GroupID   string `xml:"groupId"`
	GroupName string `xml:"groupName"`
}

// Instance is an EC2 instance.
type Instance struct {
	InstanceID            string              `xml:"instanceId"`
	ImageID               string              `xml:"imageId"`
	State                 InstanceState       `xml:"instanceState"`
	PrivateDNSName        string              `xml:"privateDnsName"`
	StateTransitionReason string              `xml:"reason"`
	KeyName               string              `xml:"keyName,omitempty"`
	InstanceType          string              `xml:"instanceType"`
	LaunchTime            Timestamp           `xml:"launchTime"`
	Placement             Placement           `xml:"placement"`
	SubnetID              string              `xml:"subnetId,omitempty"`
	VpcID                 string              `xml:"vpcId,omitempty"`
	PrivateIPAddress      string              `xml:"privateIpAddress,omitempty"`
	StateReason           *StateReason        `xml:"stateReason"`
	Architecture          string              `xml:"architecture"`
	InstanceLifecycle     string              `xml:"instanceLifecycle,omitempty"` // spot, or absent
	SpotInstanceRequestID string              `xml:"spotInstanceRequestId,omitempty"`
	ClientToken           string              `xml:"clientToken,omitempty"`
	Tags                  []Tag               `xml:"tagSet>item"`
	SecurityGroups        []GroupIdentifier   `xml:"groupSet>item"`
	IamInstanceProfile    *IamInstanceProfile `xml:"iamInstanceProfile"`
	CPUOptions            CPUOptions          `xml:"cpuOptions"`
	PlatformDetails       string              `xml:"platformDetails"`
	MetadataOptions       *MetadataOptions    `xml:"metadataOptions"`
	RootDeviceName        string              `xml:"rootDeviceName,omitempty"`
	RootDeviceType        string              `xml:"rootDeviceType,omitempty"`
	VirtualizationType    string              `xml:"virtualizationType,omitempty"`
	Hypervisor            string              `xml:"hypervisor,omitempty"`
	EBSOptimized          bool                `xml:"ebsOptimized"`
	Monitoring            Monitoring          `xml:"monitoring"`
	BlockDeviceMappings   []AttachedVolume    `xml:"blockDeviceMapping>item"`
	NetworkInterfaces     []AttachedInterface `xml:"networkInterfaceSet>item"`
}

// DescribeInstancesInput is the request of DescribeInstances: IDs or MaxResults, not both.
type DescribeInstancesInput struct {
	InstanceIDs []string `query:"InstanceId"`
	Filters     []Filter `query:"Filter"`
	MaxResults  int
	NextToken   string
}

// DescribeInstancesOutput is the answer of DescribeInstances.
type DescribeInstancesOutput struct {
	Reservations []Reservation `xml:"reservationSet>item"`
	NextToken    string        `xml:"nextToken,omitempty"`
}

// TerminateInstancesInput is the request of TerminateInstances.
type TerminateInstancesInput struct {
	InstanceIDs []string `query:"InstanceId"`
	DryRun      bool
}

// InstanceStateChange is what TerminateInstances did to one instance.
type InstanceStateChange struct {
	InstanceID    string        `xml:"instanceId"`
	CurrentState  InstanceState `xml:"currentState"`
	PreviousState InstanceState `xml:"previousState"`
}

// TerminateInstancesOutput is the answer of TerminateInstances.
type TerminateInstancesOutput struct {
	TerminatingInstances []InstanceStateChange `xml:"instancesSet>item"`
}

// CreateTagsInput is the request of CreateTags.
type CreateTagsInput struct {
	Resources []string `query:"ResourceId"`
	Tags      []Tag    `query:"Tag"`
	DryRun    bool
}

// CreateTagsOutput is the answer of CreateTags and of DeleteTags.
type CreateTagsOutput struct {
	Return bool `xml:"return"`
}

// DeleteTagsInput is the request of DeleteTags. A tag without value is deleted whatever
// its value is.
type DeleteTagsInput struct {
	Resources []string `query:"ResourceId"`
	Tags      []Tag    `query:"Tag"`
	DryRun    bool
}

// DeleteTagsOutput is the answer of DeleteTags.
type DeleteTagsOutput = CreateTagsOutput

// RequestLaunchTemplateData is what a launch template holds.
type RequestLaunchTemplateData struct {
	ImageID               string                          `query:"ImageId" xml:"imageId,omitempty"`
	InstanceType          string                          `xml:"instanceType,omitempty"`
	KeyName               string                          `xml:"keyName,omitempty"`
	UserData              string                          `xml:"userData,omitempty"`
	SecurityGroupIDs      []string                        `query:"SecurityGroupId" xml:"securityGroupIdSet>item"`
	IamInstanceProfile    *IamInstanceProfile             `xml:"iamInstanceProfile"`
	NetworkInterfaces     []NetworkInterfaceSpecification `query:"NetworkInterface" xml:"networkInterfaceSet>item"`
	Placement             *Placement                      `xml:"placement"`
	InstanceMarketOptions *InstanceMarketOptions          `xml:"instanceMarketOptions"`
	TagSpecifications     []TagSpecification              `query:"TagSpecification" xml:"tagSpecificationSet>item"`
	CPUOptions            *CPUOptions                     `query:"CpuOptions" xml:"cpuOptions"`
	DisableAPITermination bool                            `query:"DisableApiTermination" xml:"disableApiTermination,omitempty"`
	DisableAPIStop        bool                            `query:"DisableApiStop" xml:"disableApiStop,omitempty"`
	SecurityGroups        []string                        `query:"SecurityGroup" xml:"securityGroupSet>item"` // by name
	BlockDeviceMappings   []BlockDeviceMapping            `query:"BlockDeviceMapping" xml:"blockDeviceMappingSet>item"`
	MetadataOptions       *MetadataOptions                `xml:"metadataOptions"`
	Monitoring            *Monitoring                     `xml:"monitoring"`
	EBSOptimized          bool                            `query:"EbsOptimized" xml:"ebsOptimized,omitempty"`
	// InstanceRequirements choose types by their attributes, which is refused.
	InstanceRequirements *struct{} `xml:"-"`
}

// LaunchTemplate is a launch template without its data.
type LaunchTemplate struct {
	LaunchTemplateID     string    `xml:"launchTemplateId"`
	LaunchTemplateName   string    `xml:"launchTemplateName"`
	CreateTime           Timestamp `xml:"createTime"`
	CreatedBy            string    `xml:"createdBy"`
	DefaultVersionNumber int64     `xml:"defaultVersionNumber"`
	LatestVersionNumber  int64     `xml:"latestVersionNumber"`
	Tags                 []Tag     `xml:"tagSet>item"`
}

// LaunchTemplateVersion is one version of a launch template.
type LaunchTemplateVersion struct {
	LaunchTemplateID   string                    `xml:"launchTemplateId"`
	LaunchTemplateName string                    `xml:"launchTemplateName"`
	VersionNumber      int64                     `xml:"versionNumber"`
	VersionDescription string                    `xml:"versionDescription,omitempty"`
	CreateTime         Timestamp                 `xml:"createTime"`
	CreatedBy          string                    `xml:"createdBy"`
	DefaultVersion     bool                      `xml:"defaultVersion"`
	LaunchTemplateData RequestLaunchTemplateData `xml:"launchTemplateData"`
}

// CreateLaunchTemplateInput is the request of CreateLaunchTemplate.
type CreateLaunchTemplateInput struct {
	ClientToken        string
	LaunchTemplateName string
	VersionDescription string
	LaunchTemplateData RequestLaunchTemplateData
	TagSpecifications  []TagSpecification `query:"TagSpecification"`
	DryRun             bool
}

// CreateLaunchTemplateOutput is the answer of CreateLaunchTemplate.
type CreateLaunchTemplateOutput struct {
	LaunchTemplate LaunchTemplate     `xml:"launchTemplate"`
	Warning        *ValidationWarning `xml:"warning"`
}

// CreateLaunchTemplateVersionInput is the request of CreateLaunchTemplateVersion.
type CreateLaunchTemplateVersionInput struct {
	ClientToken        string
	LaunchTemplateID   string `query:"LaunchTemplateId"`
	LaunchTemplateName string
	SourceVersion      string
	VersionDescription string
	LaunchTemplateData RequestLaunchTemplateData
	DryRun             bool
}

// CreateLaunchTemplateVersionOutput is the answer of CreateLaunchTemplateVersion.
type CreateLaunchTemplateVersionOutput struct {
	LaunchTemplateVersion LaunchTemplateVersion `xml:"launchTemplateVersion"`
	Warning               *ValidationWarning    `xml:"warning"`
}

// DescribeLaunchTemplatesInput is the request of DescribeLaunchTemplates.
type DescribeLaunchTemplatesInput struct {
	LaunchTemplateIDs   []string `query:"LaunchTemplateId"`
	LaunchTemplateNames []string `query:"LaunchTemplateName"`
	Filters             []Filter `query:"Filter"`
	MaxResults          int
	NextToken           string
}

// DescribeLaunchTemplatesOutput is the answer of DescribeLaunchTemplates.
type DescribeLaunchTemplatesOutput struct {
	LaunchTemplates []LaunchTemplate `xml:"launchTemplates>item"`
	NextToken       string           `xml:"nextToken,omitempty"`
}

// DescribeLaunchTemplateVersionsInput is the request of DescribeLaunchTemplateVersions.
type DescribeLaunchTemplateVersionsInput struct {
	LaunchTemplateID   string `query:"LaunchTemplateId"`
	LaunchTemplateName string
	Versions           []string `query:"LaunchTemplateVersion"` // numbers, $Latest, $Default
	MinVersion         string
	MaxVersion         string
	Filters            []Filter `query:"Filter"`
	ResolveAlias       bool
	MaxResults         int
	NextToken          string
}

// DescribeLaunchTemplateVersionsOutput is the answer of DescribeLaunchTemplateVersions.
type DescribeLaunchTemplateVersionsOutput struct {
	LaunchTemplateVersions []LaunchTemplateVersion `xml:"launchTemplateVersionSet>item"`
	NextToken              string                  `xml:"nextToken,omitempty"`
}
