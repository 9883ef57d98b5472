package sim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// DescribeInstanceTypes describes instance types by name and by filters.
func (w *World) DescribeInstanceTypes(in *DescribeInstanceTypesInput) (*DescribeInstanceTypesOutput, error) {
	after, limit, err := ec2Page("instance-types", in.NextToken, in.MaxResults, 5, 100)
	if err != nil {
		return nil, err
	}
	const mostNames = 100
	if len(in.InstanceTypes) > 0 && in.MaxResults > 0 {
		return nil, clientError("InvalidParameterCombination", "The parameter InstanceTypes cannot be used with the parameter MaxResults")
	}
	if len(in.InstanceTypes) > mostNames {
		return nil, clientError("InvalidParameterValue", "The request names %d instance types; at most %d are allowed", len(in.InstanceTypes), mostNames)
	}
	if err := checkFilters(in.Filters, (&InstanceTypeInfo{}).filterValues); err != nil {
		return nil, err
	}
	types := w.types
	if len(in.InstanceTypes) > 0 {
		types = nil
		var unknown []string
		for _, name := range in.InstanceTypes {
			if w.typeNamed[name] == nil {
				unknown = append(unknown, clip(name))
				continue
			}
			types = append(types, w.typeNamed[name])
		}
		if len(unknown) > 0 {
			return nil, clientError("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))
		}
	}
	var all []InstanceTypeInfo
	for _, t := range types {
		info := t.describe()
		ok, err := matchAll(in.Filters, info.filterValues)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, info)
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeInstanceTypesOutput{InstanceTypes: page, NextToken: token("instance-types", next)}, nil
}

func (t *instanceType) describe() InstanceTypeInfo {
	info := InstanceTypeInfo{
		InstanceType: t.name, CurrentGeneration: !t.previous, SupportedUsageClasses: []string{"on-demand", "spot"},
		SupportedVirtualizationTypes: []string{"hvm"}, BareMetal: t.metal, Hypervisor: "nitro",
		ProcessorInfo: ProcessorInfo{SupportedArchitectures: []string{t.architecture()}},
		VCPUInfo:      VCPUInfo{DefaultVCpus: t.vcpus, DefaultCores: t.cores(), DefaultThreadsPerCore: t.threads()},
		MemoryInfo:    MemoryInfo{SizeInMiB: t.memory},
		NetworkInfo: NetworkInfo{
			NetworkPerformance: strconv.FormatFloat(float64(t.mbps)/1000, 'g', 3, 64) + " Gigabit", MaximumNetworkInterfaces: t.enis,
		},
		BurstablePerformanceSupported: t.burstable, InstanceStorageSupported: t.localGB > 0,
	}
	switch {
	case t.metal:
		info.Hypervisor = ""
	case t.xen:
		info.Hypervisor = "xen"
	}
	if t.mbps > 0 {
		info.NetworkInfo.NetworkCards = []NetworkCardInfo{{
			NetworkPerformance: info.NetworkInfo.NetworkPerformance, MaximumNetworkInterfaces: t.enis, BaselineBandwidthInGbps: float64(t.mbps) / 1000,
		}}
	}
	if t.localGB > 0 {
		info.InstanceStorageInfo = &InstanceStorageInfo{TotalSizeInGB: t.localGB}
	}
	if t.gpus > 0 {
		manufacturer := "NVIDIA"
		if strings.HasPrefix(t.gpuName, "radeon") {
			manufacturer = "AMD"
		}
		info.GpuInfo = &GpuInfo{Gpus: []GpuDeviceInfo{{
			Name: strings.ToUpper(t.gpuName), Manufacturer: manufacturer, Count: t.gpus, MemoryInfo: GpuDeviceMemoryInfo{SizeInMiB: t.gpuMemory},
		}}}
	}
	return info
}

func (i *InstanceTypeInfo) filterValues(name string) ([]string, bool) {
	switch name {
	case "instance-type":
		return []string{i.InstanceType}, true
	case "processor-info.supported-architecture":
		return i.ProcessorInfo.SupportedArchitectures, true
	case "current-generation":
		return []string{strconv.FormatBool(i.CurrentGeneration)}, true
	case "bare-metal":
		return []string{strconv.FormatBool(i.BareMetal)}, true
	case "burstable-performance-supported":
		return []string{strconv.FormatBool(i.BurstablePerformanceSupported)}, true
	case "supported-usage-class":
		return i.SupportedUsageClasses, true
	case "supported-virtualization-type":
		return i.SupportedVirtualizationTypes, true
	case "vcpu-info.default-vcpus":
		return []string{formatInt(i.VCPUInfo.DefaultVCpus)}, true
	case "memory-info.size-in-mib":
		return []string{formatInt(i.MemoryInfo.SizeInMiB)}, true
	case "hypervisor":
		return []string{i.Hypervisor}, true
	case "instance-storage-supported":
		return []string{strconv.FormatBool(i.InstanceStorageSupported)}, true
	case "network-info.maximum-network-interfaces":
		return []string{formatInt(i.NetworkInfo.MaximumNetworkInterfaces)}, true
	case "network-info.network-performance":
		return []string{i.NetworkInfo.NetworkPerformance}, true
	case "vcpu-info.default-cores":
		return []string{formatInt(i.VCPUInfo.DefaultCores)}, true
	case "vcpu-info.default-threads-per-core":
		return []string{formatInt(i.VCPUInfo.DefaultThreadsPerCore)}, true
	case "supported-boot-mode", "supported-root-device-type", "processor-info.supported-features", "free-tier-eligible",
		"auto-recovery-supported", "dedicated-hosts-supported", "hibernation-supported", "ebs-info.nvme-support", "network-info.ena-support",
		"network-info.efa-supported", "network-info.encryption-in-transit-supported", "nitro-enclaves-support":
		return i.rarely(name), true
	}
	return nil, false
}

// rarely are the values for filters that are about every type of the catalogue alike.
func (i *InstanceTypeInfo) rarely(name string) []string {
	switch name {
	case "supported-boot-mode":
		if len(i.ProcessorInfo.SupportedArchitectures) > 0 && i.ProcessorInfo.SupportedArchitectures[0] == "arm64" {
			return []string{"uefi"}
		}
		return []string{"legacy-bios", "uefi"}
	case "supported-root-device-type":
		return []string{"ebs"}
	case "ebs-info.nvme-support", "network-info.ena-support":
		return []string{"required"}
	case "auto-recovery-supported":
		return []string{"true"}
	case "free-tier-eligible":
		return []string{"false"}
	}
	return nil
}

// DescribeInstanceTypeOfferings tells where types are sold.
func (w *World) DescribeInstanceTypeOfferings(in *DescribeInstanceTypeOfferingsInput) (*DescribeInstanceTypeOfferingsOutput, error) {
	after, limit, err := ec2Page("offerings", in.NextToken, in.MaxResults, 5, 1000)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "region", "availability-zone", "availability-zone-id"}, in.LocationType) {
		return nil, clientError("InvalidParameterValue", "Value (%s) for parameter LocationType is invalid. Valid values: region, availability-zone, availability-zone-id", clip(in.LocationType))
	}
	var all []InstanceTypeOffering
	for _, t := range w.types {
		for _, location := range w.locations(t, in.LocationType) {
			ok, err := matchAll(in.Filters, func(name string) ([]string, bool) {
				switch name {
				case "instance-type":
					return []string{t.name}, true
				case "location":
					return []string{location}, true
				}
				return nil, false
			})
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, InstanceTypeOffering{t.name, cmp.Or(in.LocationType, "region"), location})
			}
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeInstanceTypeOfferingsOutput{InstanceTypeOfferings: page, NextToken: token("offerings", next)}, nil
}

func (w *World) locations(t *instanceType, locationType string) []string {
	switch locationType {
	case "availability-zone":
		return t.zones
	case "availability-zone-id":
		var ids []string
		for _, z := range w.cfg.Zones {
			if slices.Contains(t.zones, z.Name) {
				ids = append(ids, z.ID)
			}
		}
		return ids
	default:
		return []string{w.cfg.Region}
	}
}

// DescribeSubnets describes subnets with their free addresses.
func (w *World) DescribeSubnets(in *DescribeSubnetsInput) (*DescribeSubnetsOutput, error) {
	after, limit, err := ec2Page("subnets", in.NextToken, in.MaxResults, 5, 1000)
	if err != nil {
		return nil, err
	}
	for _, id := range in.SubnetIDs {
		if w.subnet(id) == nil {
			return nil, clientError("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", clip(id))
		}
	}
	var all []SubnetInfo
	for _, s := range w.subnets {
		if len(in.SubnetIDs) > 0 && !slices.Contains(in.SubnetIDs, s.ID) {
			continue
		}
		ok, err := matchAll(in.Filters, func(name string) ([]string, bool) {
			switch name {
			case "subnet-id":
				return []string{s.ID}, true
			case "vpc-id":
				return []string{s.VPC}, true
			case "availability-zone", "availabilityZone":
				return []string{s.Zone}, true
			case "state":
				return []string{"available"}, true
			case "availability-zone-id", "availabilityZoneId":
				return []string{w.zoneIDOf(s.Zone)}, true
			case "cidr-block", "cidr", "cidrBlock":
				return []string{s.CIDR}, true
			case "owner-id":
				return []string{w.cfg.Account}, true
			case "available-ip-address-count":
				return []string{strconv.Itoa(max(s.free, 0))}, true
			case "default-for-az", "defaultForAz", "map-public-ip-on-launch":
				return []string{"false"}, true
			case "subnet-arn":
				return []string{w.arn("ec2", "subnet/"+s.ID)}, true
			}
			return tagValues(s.Tags, name)
		})
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, w.describeSubnet(s))
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeSubnetsOutput{Subnets: page, NextToken: token("subnets", next)}, nil
}

func (w *World) describeSubnet(s *subnet) SubnetInfo {
	info := SubnetInfo{
		SubnetID: s.ID, State: "available", VpcID: s.VPC, CidrBlock: s.CIDR, AvailableIPAddressCount: max(s.free, 0),
		AvailabilityZone: s.Zone, OwnerID: w.cfg.Account, Tags: slices.Clone(s.Tags),
	}
	for _, z := range w.cfg.Zones {
		if z.Name == s.Zone {
			info.AvailabilityZoneID = z.ID
		}
	}
	return info
}

// DescribeAvailabilityZones describes the zones of the region.
func (w *World) DescribeAvailabilityZones(in *DescribeAvailabilityZonesInput) (*DescribeAvailabilityZonesOutput, error) {
	for _, name := range in.ZoneNames {
		if !w.cfg.hasZone(name) {
			return nil, clientError("InvalidParameterValue", "Invalid availability zone: [%s]", clip(name))
		}
	}
	out := &DescribeAvailabilityZonesOutput{}
	for _, z := range w.cfg.Zones {
		if len(in.ZoneNames) > 0 && !slices.Contains(in.ZoneNames, z.Name) || len(in.ZoneIDs) > 0 && !slices.Contains(in.ZoneIDs, z.ID) {
			continue
		}
		ok, err := matchAll(in.Filters, func(name string) ([]string, bool) {
			switch name {
			case "zone-name":
				return []string{z.Name}, true
			case "zone-id":
				return []string{z.ID}, true
			case "region-name":
				return []string{w.cfg.Region}, true
			case "state":
				return []string{"available"}, true
			case "zone-type":
				return []string{"availability-zone"}, true
			case "opt-in-status":
				return []string{"opt-in-not-required"}, true
			case "group-name", "message", "parent-zone-id", "parent-zone-name":
				return nil, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if ok {
			out.AvailabilityZones = append(out.AvailabilityZones, AvailabilityZone{
				ZoneName: z.Name, State: w.zoneState(z.Name), RegionName: w.cfg.Region, ZoneID: z.ID, ZoneType: "availability-zone",
			})
		}
	}
	return out, nil
}

// longestHistory is how far back EC2 tells spot prices.
const longestHistory = 90 * 24 * time.Hour

// DescribeSpotPriceHistory tells spot prices, the newest first: the one that stood at the
// start of the asked time and every change since.
func (w *World) DescribeSpotPriceHistory(in *DescribeSpotPriceHistoryInput) (*DescribeSpotPriceHistoryOutput, error) {
	after, limit, err := ec2Page("spot-prices", in.NextToken, in.MaxResults, 1, 1000)
	if err != nil {
		return nil, err
	}
	out := &DescribeSpotPriceHistoryOutput{}
	place := uint64(0) // in the whole list, of which only the page is made
	zoneAsked := in.AvailabilityZone
	for _, z := range w.cfg.Zones {
		if in.AvailabilityZoneID == z.ID {
			zoneAsked = z.Name
		}
	}
	if zoneAsked != "" && !w.cfg.hasZone(zoneAsked) || in.AvailabilityZoneID != "" && zoneAsked == "" {
		return nil, clientError("InvalidParameterValue", "Invalid availability zone: [%s]", clip(cmp.Or(zoneAsked, in.AvailabilityZoneID)))
	}
	if !in.EndTime.IsZero() && in.EndTime.Before(in.StartTime.Time) {
		return nil, clientError("InvalidParameterValue", "The end time must not be before the start time")
	}
	start, end := w.priceRange(in)
	for _, t := range w.types {
		if len(in.InstanceTypes) > 0 && !slices.Contains(in.InstanceTypes, t.name) {
			continue
		}
		for _, p := range t.pools(zoneAsked, in.ProductDescriptions) {
			ok, err := matchAll(in.Filters, func(name string) ([]string, bool) {
				switch name {
				case "instance-type":
					return []string{t.name}, true
				case "availability-zone":
					return []string{p.zone}, true
				case "product-description":
					return []string{p.product}, true
				}
				return nil, false
			})
			if err != nil {
				return nil, err
			}
			for at := end; ok && !at.Before(start); at = at.Add(-priceStep) {
				if len(out.SpotPriceHistory) == limit {
					out.NextToken = token("spot-prices", place)
					return out, nil
				}
				if place >= after {
					out.SpotPriceHistory = append(out.SpotPriceHistory, SpotPrice{t.name, p.product, dollars(t.withLicence(w.spotPrice(t, p.zone, at), p.product == systemWindows)), Timestamp{at}, p.zone})
				}
				place++
			}
		}
	}
	return out, nil
}

// spotPool is what has a history of spot prices of its own.
type spotPool struct{ product, zone string }

// pools are those of a type, in a zone or in all, of the products asked for or of all.
func (t *instanceType) pools(zoneAsked string, asked []string) []spotPool {
	var pools []spotPool
	for _, system := range t.systems() {
		product := map[string]string{systemLinux: productLinux, systemWindows: systemWindows}[system]
		if len(asked) > 0 && !anyMatch(asked, []string{product, product + " (Amazon VPC)"}) {
			continue
		}
		for _, zone := range t.zones {
			if zoneAsked == "" || zoneAsked == zone {
				pools = append(pools, spotPool{product, zone})
			}
		}
	}
	return pools
}

// priceRange is from the beginning of the oldest price asked for to that of the newest.
func (w *World) priceRange(in *DescribeSpotPriceHistoryInput) (start, end time.Time) {
	step := func(t time.Time) time.Time { return time.Unix(0, t.UnixNano()/int64(priceStep)*int64(priceStep)).UTC() }
	start, end = in.StartTime.Time, w.now
	if start.Before(w.now.Add(-longestHistory)) {
		start = w.now.Add(-longestHistory)
	}
	if start.After(w.now) {
		start = w.now
	}
	if !in.EndTime.IsZero() && in.EndTime.Before(w.now) {
		end = in.EndTime.Time
	}
	return step(start), step(end)
}
