package sim

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
)

// offering is a type in a zone with a lifecycle: what shortages and prices are about.
type offering struct {
	kind, zone string
	spot       bool
}

// shortage is an offering that has little or no capacity for a while.
type shortage struct {
	left  int // instances that can still be had
	until time.Time
}

// candidate is everything that is known of an instance before it is launched.
type candidate struct {
	kind      *instanceType
	subnet    *subnet
	image     *image
	spot      bool
	userData  string
	profile   *IamInstanceProfile
	groups    []string
	keyName   string
	threads   int
	protected bool
	held      bool
	tags      []Tag
	priority  float64
	weight    float64
	price     int64
	maxPrice  int64 // most that a spot instance may cost; 0 is the on-demand price
	from      LaunchTemplateAndOverrides

	metadata      MetadataOptions
	monitored     bool
	ebsOptimized  bool
	volumes       []BlockDeviceMapping
	volumeTags    []Tag
	interfaceTags []Tag
}

func (o *candidate) offering() offering { return offering{o.kind.name, o.subnet.Zone, o.spot} }

// hang gives an instance what a candidate has beside its place.
func (o *candidate) hang(m *instance) {
	m.held, m.metadata, m.monitored, m.ebsOptimized = o.held, o.metadata, o.monitored, o.ebsOptimized
	m.volumes, m.volumeTags, m.interfaceTags = o.volumes, sortedTags(o.volumeTags), sortedTags(o.interfaceTags)
}

// apply fills a candidate from launch template data.
func (w *World) apply(o *candidate, d RequestLaunchTemplateData) error {
	if d.InstanceRequirements != nil {
		return clientError("UnsupportedOperation", "The simulated EC2 does not choose types by InstanceRequirements: name instance types.")
	}
	o.keyName, o.profile = d.KeyName, d.IamInstanceProfile
	o.protected, o.held = d.DisableAPITermination, d.DisableAPIStop
	if d.CPUOptions != nil {
		o.threads = d.CPUOptions.ThreadsPerCore
	}
	groups, names := slices.Clone(d.SecurityGroupIDs), d.SecurityGroups
	for _, n := range d.NetworkInterfaces {
		groups = append(groups, n.Groups...)
	}
	var err error
	if o.groups, err = w.securityGroups(groups, names); err != nil {
		return err
	}
	if d.UserData != "" {
		raw, err := decodeUserData(d.UserData)
		if err != nil {
			return err
		}
		o.userData = raw
	}
	if market := d.InstanceMarketOptions; o.spot && market != nil && market.SpotOptions != nil {
		if o.maxPrice, err = readPriceLimit("SpotPrice", market.SpotOptions.MaxPrice); err != nil {
			return err
		}
	}
	if d.MetadataOptions != nil {
		o.metadata = *d.MetadataOptions
	}
	o.monitored, o.ebsOptimized = d.Monitoring != nil && d.Monitoring.Enabled, d.EBSOptimized
	o.volumes = d.BlockDeviceMappings
	o.tag(d.TagSpecifications)
	return nil
}

// tag adds what a launch tags.
func (o *candidate) tag(specs []TagSpecification) {
	o.tags = append(slices.Clone(o.tags), tagsFor(specs, "instance")...)
	o.volumeTags = append(slices.Clone(o.volumeTags), tagsFor(specs, "volume")...)
	o.interfaceTags = append(slices.Clone(o.interfaceTags), tagsFor(specs, "network-interface")...)
}

func decodeUserData(text string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", clientError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	}
	const most = 16 << 10
	if len(raw) > most {
		return "", clientError("InvalidParameterValue", "User data is limited to %d bytes", most)
	}
	return string(raw), nil
}

// readPriceLimit reads a price in USD per hour; empty is none, which is 0.
func readPriceLimit(name, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	const most = 10_000 // more than anything costs
	usd, err := strconv.ParseFloat(text, 64)
	if err != nil || !(usd > 0 && usd <= most) {
		return 0, clientError("InvalidParameterValue", "Invalid value '%s' for parameter %s.", clip(text), name)
	}
	return max(int64(usd*1e6), 1), nil
}

// complete finds the type, subnet and image of a candidate and checks that they go
// together.
func (w *World) complete(o *candidate, typeName, subnetID, zone, imageID string) error {
	if o.kind = w.typeNamed[typeName]; o.kind == nil {
		return clientError("InvalidParameterValue", "Invalid value '%s' for InstanceType.", clip(typeName))
	}
	switch {
	case subnetID != "":
		if o.subnet = w.subnet(subnetID); o.subnet == nil {
			return clientError("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", clip(subnetID))
		}
	case zone != "":
		if o.subnet = w.subnetIn(zone); o.subnet == nil {
			return clientError("InvalidParameterValue", "Invalid availability zone: [%s]", clip(zone))
		}
	default:
		o.subnet = w.subnets[0] // the default subnet
		for _, s := range w.subnets {
			if slices.Contains(o.kind.zones, s.Zone) {
				o.subnet = s
				break
			}
		}
	}
	var err error
	if o.image, err = w.resolveImage(imageID); err != nil {
		return err
	}
	arch := "x86_64"
	if o.kind.arm {
		arch = "arm64"
	}
	if o.image.Architecture != arch {
		return clientError("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.", arch, o.image.Architecture)
	}
	if !slices.Contains(o.kind.zones, o.subnet.Zone) {
		return clientError("Unsupported", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). Please retry your request by not specifying an Availability Zone or choosing %s.", typeName, o.subnet.Zone, strings.Join(o.kind.zones, ", "))
	}
	if threads := o.kind.threads(); o.threads < 0 || int64(o.threads) > threads {
		return clientError("InvalidParameterValue", "The specified threads per core (%d) is not valid for the instance type %s. Valid values are 1 to %d.", o.threads, typeName, threads)
	}
	o.price = o.kind.onDemand
	if o.spot {
		o.price = w.spotPrice(o.kind, o.subnet.Zone, w.now)
	}
	o.price = o.kind.withLicence(o.price, o.image.platform() == platformWindows)
	return nil
}

func (w *World) subnetIn(zone string) *subnet {
	for _, s := range w.subnets {
		if s.Zone == zone {
			return s
		}
	}
	return nil
}

// booking is what a request means to launch and has not launched yet.
type booking struct {
	addresses map[*subnet]int
	vcpus     map[quotaClass]int64
	pools     map[offering]int
}

func newBooking() *booking {
	return &booking{map[*subnet]int{}, map[quotaClass]int64{}, map[offering]int{}}
}

func (b *booking) add(o *candidate, n int) {
	b.addresses[o.subnet] += n
	b.vcpus[o.kind.quotaClass(o.spot)] += int64(n) * o.kind.vcpus
	b.pools[o.offering()] += n
}

// capacity is how many of want instances EC2 gives now beside those that are booked, and
// why not all of them.
func (w *World) capacity(o *candidate, want int, b *booking) (int, *Error) {
	got := want
	var why *Error
	bound := func(room int, err func() *Error) {
		if room < got {
			got, why = max(room, 0), err()
		}
	}
	if o.spot && o.maxPrice > 0 && o.maxPrice < o.price {
		return 0, clientError("SpotMaxPriceTooLow", "Your Spot request price of %s is lower than the minimum required Spot request fulfillment price of %s.", shortDollars(o.maxPrice), shortDollars(o.price))
	}
	place, booked := o.offering(), b.pools[o.offering()]
	if s, short := w.shortages[place]; short && w.now.Before(s.until) {
		bound(s.left-booked, o.noCapacity)
	}
	if w.zoneIsDown(o.subnet.Zone) {
		bound(0, o.noCapacity)
	}
	if w.zoneIsDown(o.subnet.Zone) {
		bound(0, o.noCapacity)
	}
	if w.cfg.FinitePools {
		bound(w.pool(o.kind, o.subnet.Zone, o.spot)-w.pools[place]-booked, o.noCapacity)
	}
	class := o.kind.quotaClass(o.spot)
	if quota := w.quota(class); quota > 0 {
		room := (quota - w.vcpus[class] - b.vcpus[class]) / max(o.kind.vcpus, 1)
		bound(int(room), func() *Error {
			if o.spot {
				return clientError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
			}
			return clientError("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of %d allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.", quota)
		})
	}
	bound(o.subnet.free-b.addresses[o.subnet], func() *Error {
		return clientError("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", o.subnet.ID)
	})
	return got, why
}

func (o *candidate) noCapacity() *Error {
	if o.spot {
		return clientError("InsufficientInstanceCapacity", "There is no Spot capacity available that matches your request. (%s in %s)", o.kind.name, o.subnet.Zone)
	}
	return clientError("InsufficientInstanceCapacity", "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity. You can currently get %[1]s capacity by not specifying an Availability Zone in your request or choosing another.", o.kind.name, o.subnet.Zone)
}

// shortDollars writes a price with the four decimals of spot prices, or more if it has.
func shortDollars(millionths int64) string {
	return strconv.FormatFloat(float64(millionths)/1e6, 'f', -1, 64)
}

// take launches instances of a candidate whose capacity was found.
func (w *World) take(reservation, clientToken string, o candidate, count int) []*instance {
	if s, short := w.shortages[o.offering()]; short {
		s.left = max(s.left-count, 0)
		w.shortages[o.offering()] = s
	}
	list := make([]*instance, 0, count)
	for range count {
		list = append(list, w.launch(reservation, clientToken, o))
	}
	return list
}
