package sim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// DescribeInstances describes instances by ID or page by page, and by filters.
func (w *World) DescribeInstances(in *DescribeInstancesInput) (*DescribeInstancesOutput, error) {
	if len(in.InstanceIDs) > 0 && in.MaxResults > 0 {
		return nil, clientError("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	after, limit, err := ec2Page("instances", in.NextToken, in.MaxResults, 5, 1000)
	if err != nil {
		return nil, err
	}
	var bad error
	keep := func(m *instance) bool {
		ok, err := matchAll(in.Filters, m.filterValues)
		if err != nil {
			bad = err
		}
		return ok && w.visible(m)
	}
	var page []*instance
	var next uint64
	if len(in.InstanceIDs) > 0 {
		for _, id := range in.InstanceIDs {
			m := w.instances[id]
			if m == nil || !w.visible(m) {
				return nil, noInstance(id)
			}
			if keep(m) {
				page = append(page, m)
			}
		}
	} else {
		page, next = w.instanceRoll.page(after, limit, keep)
	}
	if bad == nil && w.instanceRoll.len() == 0 {
		_, bad = matchAll(in.Filters, (&instance{kind: &instanceType{}, subnet: &subnet{}, image: &image{}}).filterValues)
	}
	if bad != nil {
		return nil, bad
	}
	out := &DescribeInstancesOutput{NextToken: token("instances", next)}
	for _, m := range page {
		if n := len(out.Reservations); n > 0 && out.Reservations[n-1].ReservationID == m.reservation {
			out.Reservations[n-1].Instances = append(out.Reservations[n-1].Instances, m.describe())
			continue
		}
		out.Reservations = append(out.Reservations, Reservation{
			ReservationID: m.reservation, OwnerID: w.cfg.Account, Instances: []Instance{m.describe()},
		})
	}
	return out, nil
}

func (m *instance) filterValues(name string) ([]string, bool) {
	switch name {
	case "instance-id":
		return []string{m.id}, true
	case "instance-state-name":
		return []string{m.state.describe().Name}, true
	case "instance-state-code":
		return []string{strconv.Itoa(int(m.state))}, true
	case "instance-type":
		return []string{m.kind.name}, true
	case "availability-zone":
		return []string{m.subnet.Zone}, true
	case "subnet-id":
		return []string{m.subnet.ID}, true
	case "vpc-id":
		return []string{m.subnet.VPC}, true
	case "image-id":
		return []string{m.image.ImageID}, true
	case "client-token":
		return []string{m.token}, true
	case "private-ip-address":
		return []string{m.ip}, true
	case "reservation-id":
		return []string{m.reservation}, true
	case "instance-lifecycle":
		if m.spot {
			return []string{"spot"}, true
		}
		return nil, true
	}
	return tagValues(m.tags, name)
}

// CreateTags tags instances, launch templates and subnets.
func (w *World) CreateTags(in *CreateTagsInput) (*CreateTagsOutput, error) {
	if in.DryRun {
		return nil, dryRun()
	}
	sets, err := w.ec2Tags(in.Resources)
	if err != nil {
		return nil, err
	}
	const most = 50
	for _, tags := range sets {
		for _, t := range in.Tags {
			if strings.HasPrefix(t.Key, "aws:") {
				return nil, clientError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
			}
			setTag(tags, t)
		}
		if len(*tags) > most {
			return nil, clientError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached: %d", most)
		}
	}
	return &CreateTagsOutput{Return: true}, nil
}

// DeleteTags deletes tags by key, or by key and value.
func (w *World) DeleteTags(in *DeleteTagsInput) (*DeleteTagsOutput, error) {
	if in.DryRun {
		return nil, dryRun()
	}
	sets, err := w.ec2Tags(in.Resources)
	if err != nil {
		return nil, err
	}
	for _, tags := range sets {
		*tags = slices.DeleteFunc(slices.Clone(*tags), func(t Tag) bool {
			return slices.ContainsFunc(in.Tags, func(d Tag) bool { return d.Key == t.Key && (d.Value == "" || d.Value == t.Value) })
		})
	}
	return &DeleteTagsOutput{Return: true}, nil
}

// ec2Tags finds the tags of EC2 resources by their IDs.
func (w *World) ec2Tags(ids []string) ([]*[]Tag, error) {
	var sets []*[]Tag
	for _, id := range ids {
		switch {
		case strings.HasPrefix(id, "i-"):
			m := w.instances[id]
			if m == nil || !w.visible(m) {
				return nil, noInstance(id)
			}
			sets = append(sets, &m.tags)
		case strings.HasPrefix(id, "lt-"):
			t, err := w.template(LaunchTemplateSpecification{LaunchTemplateID: id})
			if err != nil {
				return nil, err
			}
			sets = append(sets, &t.Tags)
		case w.subnet(id) != nil:
			sets = append(sets, &w.subnet(id).Tags)
		default:
			return nil, clientError("InvalidID", "The ID '%s' is not valid", clip(id))
		}
	}
	return sets, nil
}

// DescribeInstanceTypes describes instance types by name and by filters.
func (w *World) DescribeInstanceTypes(in *DescribeInstanceTypesInput) (*DescribeInstanceTypesOutput, error) {
	after, limit, err := ec2Page("instance-types", in.NextToken, in.MaxResults, 5, 100)
	if err != nil {
		return nil, err
	}
	types := w.types
	if len(in.InstanceTypes) > 0 {
		types = nil
		for _, name := range in.InstanceTypes {
			if w.typeNamed[name] == nil {
				return nil, clientError("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", clip(name))
			}
			types = append(types, w.typeNamed[name])
		}
		limit = max(limit, len(types)) // with names there are no pages
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
		InstanceType: t.name, CurrentGeneration: true, SupportedUsageClasses: []string{"on-demand", "spot"},
		SupportedVirtualizationTypes: []string{"hvm"}, BareMetal: t.metal, Hypervisor: "nitro",
		ProcessorInfo: ProcessorInfo{SupportedArchitectures: []string{t.architecture()}},
		VCPUInfo:      VCPUInfo{DefaultVCpus: t.vcpus, DefaultCores: t.cores(), DefaultThreadsPerCore: t.threads()},
		MemoryInfo:    MemoryInfo{SizeInMiB: t.memory},
		NetworkInfo: NetworkInfo{
			NetworkPerformance: strconv.FormatFloat(float64(t.mbps)/1000, 'g', 3, 64) + " Gigabit", MaximumNetworkInterfaces: t.enis,
		},
		BurstablePerformanceSupported: t.burstable, InstanceStorageSupported: t.localGB > 0,
	}
	if t.metal {
		info.Hypervisor = ""
	}
	if t.localGB > 0 {
		info.InstanceStorageInfo = &InstanceStorageInfo{TotalSizeInGB: t.localGB}
	}
	if t.gpus > 0 {
		info.GpuInfo = &GpuInfo{Gpus: []GpuDeviceInfo{{
			Name: strings.ToUpper(t.gpuName), Manufacturer: "NVIDIA", Count: t.gpus, MemoryInfo: GpuDeviceMemoryInfo{SizeInMiB: t.gpuMemory},
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
	}
	return nil, false
}

// DescribeInstanceTypeOfferings tells where types are sold.
func (w *World) DescribeInstanceTypeOfferings(in *DescribeInstanceTypeOfferingsInput) (*DescribeInstanceTypeOfferingsOutput, error) {
	after, limit, err := ec2Page("offerings", in.NextToken, in.MaxResults, 5, 1000)
	if err != nil {
		return nil, err
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
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if ok {
			out.AvailabilityZones = append(out.AvailabilityZones, AvailabilityZone{
				ZoneName: z.Name, State: "available", RegionName: w.cfg.Region, ZoneID: z.ID, ZoneType: "availability-zone",
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
	const product = "Linux/UNIX"
	out := &DescribeSpotPriceHistoryOutput{}
	place := uint64(0) // in the whole list, of which only the page is made
	if len(in.ProductDescriptions) > 0 && !anyMatch(in.ProductDescriptions, []string{product, product + " (Amazon VPC)"}) {
		return out, nil
	}
	start, end := w.priceRange(in)
	for _, t := range w.types {
		if len(in.InstanceTypes) > 0 && !slices.Contains(in.InstanceTypes, t.name) {
			continue
		}
		for _, zone := range t.zones {
			if in.AvailabilityZone != "" && in.AvailabilityZone != zone {
				continue
			}
			ok, err := matchAll(in.Filters, func(name string) ([]string, bool) {
				switch name {
				case "instance-type":
					return []string{t.name}, true
				case "availability-zone":
					return []string{zone}, true
				case "product-description":
					return []string{product}, true
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
					out.SpotPriceHistory = append(out.SpotPriceHistory, SpotPrice{t.name, product, dollars(w.spotPrice(t, zone, at)), Timestamp{at}, zone})
				}
				place++
			}
		}
	}
	return out, nil
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
