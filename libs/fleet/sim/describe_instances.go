package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// DescribeInstances describes instances by ID or page by page, and by filters.
func (w *World) DescribeInstances(in *DescribeInstancesInput) (*DescribeInstancesOutput, error) {
	if len(in.InstanceIDs) > 0 && in.MaxResults > 0 {
		return nil, clientError("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	page, next, err := w.pageOfInstances("instances", in.InstanceIDs, in.Filters, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &DescribeInstancesOutput{NextToken: next}
	for _, m := range page {
		if n := len(out.Reservations); n > 0 && out.Reservations[n-1].ReservationID == m.reservation {
			out.Reservations[n-1].Instances = append(out.Reservations[n-1].Instances, w.describeInstance(m))
			continue
		}
		out.Reservations = append(out.Reservations, Reservation{
			ReservationID: m.reservation, OwnerID: w.cfg.Account, Instances: []Instance{w.describeInstance(m)},
		})
	}
	return out, nil
}

// pageOfInstances are the instances that a Describe operation shows: those that are named,
// or a page of all of them, and of these the ones that pass the filters and also.
func (w *World) pageOfInstances(list string, ids []string, filters []Filter, tok string, most int, also ...func(*instance) bool) (page []*instance, next string, err error) {
	after, limit, err := ec2Page(list, tok, most, 5, mostInstances)
	if err != nil {
		return nil, "", err
	}
	if err := checkFilters(filters, w.blank().filterValues); err != nil {
		return nil, "", err
	}
	keep := func(m *instance) bool {
		for _, ok := range also {
			if !ok(m) {
				return false
			}
		}
		ok, _ := matchAll(filters, shownInstance{w, m}.filterValues)
		return ok
	}
	if len(ids) > 0 {
		named, err := w.named("", ids)
		if err != nil {
			return nil, "", err
		}
		for _, m := range named {
			if w.cfg.ZoneLossFailsDescribe && w.impaired(m) {
				return nil, "", zoneUnavailable()
			}
			if keep(m) && !slices.Contains(page, m) {
				page = append(page, m)
			}
		}
		return page, "", nil
	}
	page, at := w.instanceRoll.page(after, limit, func(m *instance) bool { return w.visible(m) && keep(m) })
	return page, token(list, at), nil
}

// shownInstance is an instance as Describe operations see it.
type shownInstance struct {
	w *World
	*instance
}

// blank is no instance, to try names of filters on.
func (w *World) blank() shownInstance {
	return shownInstance{w, &instance{kind: &instanceType{}, subnet: &subnet{}, image: &image{}}}
}

// filterValues are the values of an instance for a filter of DescribeInstances.
func (s shownInstance) filterValues(name string) ([]string, bool) {
	m := s.instance
	one := func(value string) ([]string, bool) { return []string{value}, true }
	switch name {
	case "instance-id":
		return one(m.id)
	case "instance-state-name":
		return one(s.w.shownState(m).describe().Name)
	case "instance-state-code":
		return one(strconv.Itoa(int(s.w.shownState(m))))
	case "instance-type":
		return one(m.kind.name)
	case "availability-zone", "placement.availability-zone":
		return one(m.subnet.Zone)
	case "availability-zone-id":
		return one(s.w.zoneIDOf(m.subnet.Zone))
	case "subnet-id", "network-interface.subnet-id":
		return one(m.subnet.ID)
	case "vpc-id", "network-interface.vpc-id":
		return one(m.subnet.VPC)
	case "image-id":
		return one(m.image.ImageID)
	case "client-token":
		return one(m.token)
	case "private-ip-address", "network-interface.addresses.private-ip-address":
		return one(m.ip)
	case "private-dns-name":
		return one(privateName(m.ip))
	case "reservation-id":
		return one(m.reservation)
	case "architecture":
		return one(m.image.Architecture)
	case "key-name":
		return one(m.keyName)
	case "launch-time":
		return one(m.since().UTC().Format(isoMillis))
	case "owner-id":
		return one(s.w.cfg.Account)
	case "instance-lifecycle":
		if m.spot {
			return one("spot")
		}
		return nil, true
	case "spot-instance-request-id":
		if m.spot {
			return one(spotRequestOf(m))
		}
		return nil, true
	}
	return s.rarely(name)
}

// rarely are the values for filters that autoscalers seldom use.
func (s shownInstance) rarely(name string) ([]string, bool) {
	m := s.instance
	one := func(value string) ([]string, bool) { return []string{value}, true }
	switch name {
	case "instance.group-id", "network-interface.group-id":
		return s.w.groupsOf(m), true
	case "instance.group-name", "network-interface.group-name":
		return s.w.groupNames(s.w.groupsOf(m)), true
	case "iam-instance-profile.arn":
		if m.profile == nil {
			return nil, true
		}
		return one(s.w.describeProfile(m.profile).Arn)
	case "iam-instance-profile.name":
		if m.profile == nil {
			return nil, true
		}
		return one(m.profile.Name)
	case "state-reason-code":
		return one(m.why.Code)
	case "metadata-options.http-tokens":
		return one(m.metadata.over(usualMetadata).HTTPTokens)
	case "metadata-options.http-endpoint":
		return one(m.metadata.over(usualMetadata).HTTPEndpoint)
	case "tenancy":
		return one("default")
	case "hypervisor":
		return one("xen")
	case "virtualization-type":
		return one("hvm")
	case "root-device-type":
		return one("ebs")
	case "monitoring-state":
		return one(monitoringState(m.monitored))
	case "platform":
		if m.image.platform() == platformWindows {
			return one("windows")
		}
		return nil, true
	case "requester-id", "placement-group-name", "capacity-reservation-id", "ip-address", "dns-name", "host-id", "ramdisk-id", "kernel-id":
		return nil, true // there is none of these
	}
	return tagValues(s.w.shownTags(m), name)
}

// since is when the instance was last started.
func (m *instance) since() Timestamp {
	if !m.started.IsZero() {
		return Timestamp{m.started}
	}
	return Timestamp{m.launched}
}

func spotRequestOf(m *instance) string { return "sir-" + m.id[2:10] }

func privateName(ip string) string { return "ip-" + dashed(ip) + ".ec2.internal" }

func monitoringState(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}

func (w *World) zoneIDOf(zone string) string {
	for _, z := range w.cfg.Zones {
		if z.Name == zone {
			return z.ID
		}
	}
	return ""
}

// describeInstance is the instance as DescribeInstances shows it.
func (w *World) describeInstance(m *instance) Instance {
	state := w.shownState(m)
	metadata := m.metadata.over(usualMetadata)
	out := Instance{
		InstanceID: m.id, ImageID: m.image.ImageID, State: state.describe(), KeyName: m.keyName,
		InstanceType: m.kind.name, LaunchTime: m.since(),
		Placement: Placement{AvailabilityZone: m.subnet.Zone, Tenancy: "default"}, Architecture: m.image.Architecture,
		ClientToken: m.token, Tags: slices.Clone(w.shownTags(m)), IamInstanceProfile: w.describeProfile(m.profile), PlatformDetails: "Linux/UNIX",
		CPUOptions:      CPUOptions{CoreCount: int(m.kind.cores()), ThreadsPerCore: cmp.Or(m.threads, int(m.kind.threads()))},
		MetadataOptions: &metadata, RootDeviceName: m.image.RootDeviceName, RootDeviceType: "ebs", VirtualizationType: "hvm", Hypervisor: "xen",
		EBSOptimized: m.ebsOptimized, Monitoring: Monitoring{State: monitoringState(m.monitored)},
	}
	if m.image.platform() == platformWindows {
		out.PlatformDetails = "Windows"
	}
	if m.spot {
		out.InstanceLifecycle, out.SpotInstanceRequestID = "spot", spotRequestOf(m)
	}
	if state != machinePending && state != machineRunning {
		why := m.why
		out.StateReason = &why
		out.StateTransitionReason = fmt.Sprintf("User initiated (%s)", m.ended.Format("2006-01-02 15:04:05 MST"))
		if !m.notice.IsZero() {
			out.StateTransitionReason = "Server.SpotInstanceTermination"
		}
	}
	if state == machineShuttingDown || state == machineTerminated {
		return out
	}
	out.SubnetID, out.VpcID, out.PrivateIPAddress = m.subnet.ID, m.subnet.VPC, m.ip
	out.PrivateDNSName = privateName(m.ip)
	groups := w.groupsOf(m)
	for i, name := range w.groupNames(groups) {
		out.SecurityGroups = append(out.SecurityGroups, GroupIdentifier{GroupID: groups[i], GroupName: name})
	}
	for _, v := range w.volumesOf(m) {
		at := v.Attachments[0]
		out.BlockDeviceMappings = append(out.BlockDeviceMappings, AttachedVolume{at.Device, AttachedEBS{v.VolumeID, at.State, at.AttachTime, at.DeleteOnTermination}})
	}
	out.NetworkInterfaces = []AttachedInterface{{
		NetworkInterfaceID: w.hung(m, "eni", ""), SubnetID: m.subnet.ID, VpcID: m.subnet.VPC, OwnerID: w.cfg.Account,
		Status: "in-use", PrivateIPAddress: m.ip, InterfaceType: "interface", Groups: out.SecurityGroups,
	}}
	return out
}

// hung is the ID of a thing that hangs on an instance.
func (w *World) hung(m *instance, kind, name string) string {
	h := w.hash(kind, m.id, name)
	return kind + "-" + fmt.Sprintf("%016x%016x", h, mix(h))[:17]
}

// describeProfile is an instance profile as EC2 shows it: with its ARN and ID.
func (w *World) describeProfile(p *IamInstanceProfile) *IamInstanceProfile {
	if p == nil {
		return nil
	}
	arn := cmp.Or(p.Arn, "arn:aws:iam::"+w.cfg.Account+":instance-profile/"+p.Name)
	return &IamInstanceProfile{Arn: arn, ID: fmt.Sprintf("AIPA%016X", w.hash("profile", arn))}
}

func dashed(ip string) string {
	b := []byte(ip)
	for i := range b {
		if b[i] == '.' {
			b[i] = '-'
		}
	}
	return string(b)
}
