package sim

// The structures of what EC2 sells and where: instance types, offerings, subnets, zones, spot
// prices and images. See types_ec2.go for how fields and tags are written.

// VCPUInfo are the virtual CPUs of an instance type.
type VCPUInfo struct {
	DefaultVCpus          int64 `xml:"defaultVCpus"`
	DefaultCores          int64 `xml:"defaultCores"`
	DefaultThreadsPerCore int64 `xml:"defaultThreadsPerCore"`
}

// MemoryInfo is the memory of an instance type.
type MemoryInfo struct {
	SizeInMiB int64 `xml:"sizeInMiB"`
}

// ProcessorInfo is the processor of an instance type.
type ProcessorInfo struct {
	SupportedArchitectures []string `xml:"supportedArchitectures>item"`
	Manufacturer           string   `xml:"manufacturer,omitempty"`
}

// NetworkInfo is the network of an instance type.
type NetworkInfo struct {
	NetworkPerformance        string `xml:"networkPerformance,omitempty"`
	MaximumNetworkInterfaces  int64  `xml:"maximumNetworkInterfaces"`
	Ipv4AddressesPerInterface int64  `xml:"ipv4AddressesPerInterface,omitempty"`

	NetworkCards []NetworkCardInfo `xml:"networkCards>item"`
}

// NetworkCardInfo is a network card of an instance type, with what it carries at any time.
type NetworkCardInfo struct {
	NetworkCardIndex         int64   `xml:"networkCardIndex"`
	NetworkPerformance       string  `xml:"networkPerformance"`
	MaximumNetworkInterfaces int64   `xml:"maximumNetworkInterfaces"`
	BaselineBandwidthInGbps  float64 `xml:"baselineBandwidthInGbps"`
}

// GpuDeviceMemoryInfo is the memory of a GPU.
type GpuDeviceMemoryInfo struct {
	SizeInMiB int64 `xml:"sizeInMiB"`
}

// GpuDeviceInfo is a kind of GPU of an instance type.
type GpuDeviceInfo struct {
	Name         string              `xml:"name"`
	Manufacturer string              `xml:"manufacturer"`
	Count        int64               `xml:"count"`
	MemoryInfo   GpuDeviceMemoryInfo `xml:"memoryInfo"`
}

// GpuInfo are the GPUs of an instance type.
type GpuInfo struct {
	Gpus []GpuDeviceInfo `xml:"gpus>item"`
}

// InstanceStorageInfo is the local storage of an instance type.
type InstanceStorageInfo struct {
	TotalSizeInGB int64 `xml:"totalSizeInGB"`
}

// InstanceTypeInfo is what EC2 says of an instance type.
type InstanceTypeInfo struct {
	InstanceType                  string               `xml:"instanceType"`
	CurrentGeneration             bool                 `xml:"currentGeneration"`
	SupportedUsageClasses         []string             `xml:"supportedUsageClasses>item"`
	SupportedVirtualizationTypes  []string             `xml:"supportedVirtualizationTypes>item"`
	BareMetal                     bool                 `xml:"bareMetal"`
	Hypervisor                    string               `xml:"hypervisor,omitempty"`
	ProcessorInfo                 ProcessorInfo        `xml:"processorInfo"`
	VCPUInfo                      VCPUInfo             `xml:"vCpuInfo"`
	MemoryInfo                    MemoryInfo           `xml:"memoryInfo"`
	InstanceStorageSupported      bool                 `xml:"instanceStorageSupported"`
	InstanceStorageInfo           *InstanceStorageInfo `xml:"instanceStorageInfo"`
	NetworkInfo                   NetworkInfo          `xml:"networkInfo"`
	GpuInfo                       *GpuInfo             `xml:"gpuInfo"`
	BurstablePerformanceSupported bool                 `xml:"burstablePerformanceSupported"`
}

// DescribeInstanceTypesInput is the request of DescribeInstanceTypes.
type DescribeInstanceTypesInput struct {
	InstanceTypes []string `query:"InstanceType"`
	Filters       []Filter `query:"Filter"`
	MaxResults    int
	NextToken     string
}

// DescribeInstanceTypesOutput is the answer of DescribeInstanceTypes.
type DescribeInstanceTypesOutput struct {
	InstanceTypes []InstanceTypeInfo `xml:"instanceTypeSet>item"`
	NextToken     string             `xml:"nextToken,omitempty"`
}

// InstanceTypeOffering says that a type is sold in a place.
type InstanceTypeOffering struct {
	InstanceType string `xml:"instanceType"`
	LocationType string `xml:"locationType"`
	Location     string `xml:"location"`
}

// DescribeInstanceTypeOfferingsInput is the request of DescribeInstanceTypeOfferings.
// LocationType is region (default), availability-zone or availability-zone-id.
type DescribeInstanceTypeOfferingsInput struct {
	LocationType string
	Filters      []Filter `query:"Filter"`
	MaxResults   int
	NextToken    string
}

// DescribeInstanceTypeOfferingsOutput is the answer of DescribeInstanceTypeOfferings.
type DescribeInstanceTypeOfferingsOutput struct {
	InstanceTypeOfferings []InstanceTypeOffering `xml:"instanceTypeOfferingSet>item"`
	NextToken             string                 `xml:"nextToken,omitempty"`
}

// SubnetInfo is a subnet as EC2 describes it.
type SubnetInfo struct {
	SubnetID                string `xml:"subnetId"`
	State                   string `xml:"state"`
	VpcID                   string `xml:"vpcId"`
	CidrBlock               string `xml:"cidrBlock"`
	AvailableIPAddressCount int    `xml:"availableIpAddressCount"`
	AvailabilityZone        string `xml:"availabilityZone"`
	AvailabilityZoneID      string `xml:"availabilityZoneId"`
	OwnerID                 string `xml:"ownerId"`
	Tags                    []Tag  `xml:"tagSet>item"`
}

// DescribeSubnetsInput is the request of DescribeSubnets.
type DescribeSubnetsInput struct {
	SubnetIDs  []string `query:"SubnetId"`
	Filters    []Filter `query:"Filter"`
	MaxResults int
	NextToken  string
}

// DescribeSubnetsOutput is the answer of DescribeSubnets.
type DescribeSubnetsOutput struct {
	Subnets   []SubnetInfo `xml:"subnetSet>item"`
	NextToken string       `xml:"nextToken,omitempty"`
}

// AvailabilityZone is an availability zone.
type AvailabilityZone struct {
	ZoneName   string `xml:"zoneName"`
	State      string `xml:"zoneState"`
	RegionName string `xml:"regionName"`
	ZoneID     string `xml:"zoneId"`
	ZoneType   string `xml:"zoneType"`
}

// DescribeAvailabilityZonesInput is the request of DescribeAvailabilityZones.
type DescribeAvailabilityZonesInput struct {
	ZoneNames []string `query:"ZoneName"`
	ZoneIDs   []string `query:"ZoneId"`
	Filters   []Filter `query:"Filter"`
}

// DescribeAvailabilityZonesOutput is the answer of DescribeAvailabilityZones.
type DescribeAvailabilityZonesOutput struct {
	AvailabilityZones []AvailabilityZone `xml:"availabilityZoneInfo>item"`
}

// SpotPrice is the spot price of a type in a zone since a time.
type SpotPrice struct {
	InstanceType       string    `xml:"instanceType"`
	ProductDescription string    `xml:"productDescription"`
	SpotPrice          string    `xml:"spotPrice"`
	Timestamp          Timestamp `xml:"timestamp"`
	AvailabilityZone   string    `xml:"availabilityZone"`
}

// DescribeSpotPriceHistoryInput is the request of DescribeSpotPriceHistory. A StartTime of
// now (or later) gives the current price of each type and zone.
type DescribeSpotPriceHistoryInput struct {
	InstanceTypes       []string `query:"InstanceType"`
	ProductDescriptions []string `query:"ProductDescription"`
	AvailabilityZone    string
	AvailabilityZoneID  string `query:"AvailabilityZoneId"`
	StartTime           Timestamp
	EndTime             Timestamp
	Filters             []Filter `query:"Filter"`
	MaxResults          int
	NextToken           string
}

// DescribeSpotPriceHistoryOutput is the answer of DescribeSpotPriceHistory. NextToken is
// always present, empty at the end, as in EC2.
type DescribeSpotPriceHistoryOutput struct {
	SpotPriceHistory []SpotPrice `xml:"spotPriceHistorySet>item"`
	NextToken        string      `xml:"nextToken"`
}

// Image is an EC2 image.
type Image struct {
	ImageID        string    `xml:"imageId"`
	Name           string    `xml:"name"`
	State          string    `xml:"imageState"`
	OwnerID        string    `xml:"imageOwnerId"`
	OwnerAlias     string    `xml:"imageOwnerAlias,omitempty"`
	Architecture   string    `xml:"architecture"`
	Public         bool      `xml:"isPublic"`
	RootDeviceName string    `xml:"rootDeviceName,omitempty"`
	CreationDate   Timestamp `xml:"creationDate"`
	ImageType      string    `xml:"imageType"`
}

// DescribeImagesInput is the request of DescribeImages.
type DescribeImagesInput struct {
	ImageIDs   []string `query:"ImageId"`
	Owners     []string `query:"Owner"`
	Filters    []Filter `query:"Filter"`
	MaxResults int
	NextToken  string
}

// DescribeImagesOutput is the answer of DescribeImages.
type DescribeImagesOutput struct {
	Images    []Image `xml:"imagesSet>item"`
	NextToken string  `xml:"nextToken,omitempty"`
}
