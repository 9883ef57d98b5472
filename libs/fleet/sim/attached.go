package sim

import (
	"cmp"
	"slices"
	"strings"
)

// volumesOf are the EBS volumes of an instance: its root device and what it was launched
// with.
func (w *World) volumesOf(m *instance) []Volume {
	const rootGiB = 30 // of the images for ECS
	root := BlockDeviceMapping{DeviceName: m.image.RootDeviceName, EBS: &EBSBlockDevice{VolumeSize: rootGiB}}
	devices := []BlockDeviceMapping{root}
	for _, d := range m.volumes {
		switch {
		case d.EBS == nil || d.NoDevice != nil:
		case d.DeviceName == root.DeviceName:
			devices[0] = d
		default:
			devices = append(devices, d)
		}
	}
	list := make([]Volume, 0, len(devices))
	for _, d := range devices {
		keep := d.EBS.DeleteOnTermination != nil && !*d.EBS.DeleteOnTermination
		v := Volume{
			VolumeID: w.hung(m, "vol", d.DeviceName), Size: cmp.Or(d.EBS.VolumeSize, rootGiB), VolumeType: cmp.Or(d.EBS.VolumeType, "gp3"), Encrypted: d.EBS.Encrypted,
			AvailabilityZone: m.subnet.Zone, State: "in-use", CreateTime: Timestamp{m.launched}, Tags: slices.Clone(m.volumeTags),
		}
		v.Attachments = []VolumeAttachment{{v.VolumeID, m.id, d.DeviceName, "attached", Timestamp{m.launched}, !keep}}
		list = append(list, v)
	}
	return list
}

// DescribeVolumes describes the volumes of instances; those of terminated instances have
// gone with them.
func (w *World) DescribeVolumes(in *DescribeVolumesInput) (*DescribeVolumesOutput, error) {
	after, limit, err := ec2Page("volumes", in.NextToken, in.MaxResults, 5, mostInstances)
	if err != nil {
		return nil, err
	}
	if err := checkFilters(in.Filters, (&Volume{Attachments: []VolumeAttachment{{}}}).filterValues); err != nil {
		return nil, err
	}
	var all []Volume
	found := map[string]bool{}
	for m := range w.instanceRoll.all {
		if m.state == machineTerminated || !w.visible(m) {
			continue
		}
		for _, v := range w.volumesOf(m) {
			found[v.VolumeID] = true
			if ok, _ := matchAll(in.Filters, v.filterValues); ok && (len(in.VolumeIDs) == 0 || slices.Contains(in.VolumeIDs, v.VolumeID)) {
				all = append(all, v)
			}
		}
	}
	for _, id := range in.VolumeIDs {
		if !found[id] {
			return nil, clientError("InvalidVolume.NotFound", "The volume '%s' does not exist.", clip(id))
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeVolumesOutput{Volumes: page, NextToken: token("volumes", next)}, nil
}

func (v *Volume) filterValues(name string) ([]string, bool) {
	switch name {
	case "volume-id":
		return []string{v.VolumeID}, true
	case "attachment.instance-id":
		return []string{v.Attachments[0].InstanceID}, true
	case "attachment.device":
		return []string{v.Attachments[0].Device}, true
	case "attachment.status":
		return []string{v.Attachments[0].State}, true
	case "availability-zone":
		return []string{v.AvailabilityZone}, true
	case "status":
		return []string{v.State}, true
	case "volume-type":
		return []string{v.VolumeType}, true
	case "size":
		return []string{formatInt(int64(v.Size))}, true
	}
	return tagValues(v.Tags, name)
}

// defaultGroup is the ID of the default security group.
func (w *World) defaultGroup() string {
	return "sg-" + w.hung(&instance{}, "group", "default")[len("group-"):]
}

// securityGroups checks security groups that are named by ID and by name and gives their
// IDs.
func (w *World) securityGroups(ids, names []string) ([]string, error) {
	list := slices.Clone(ids)
	for _, id := range ids {
		if !strings.HasPrefix(id, "sg-") {
			return nil, clientError("InvalidGroupId.Malformed", "Invalid id: %q (expecting \"sg-...\")", clip(id))
		}
		if !w.hasGroup(id) {
			return nil, clientError("InvalidGroup.NotFound", "The security group '%s' does not exist", clip(id))
		}
	}
	for _, name := range names {
		if name != "default" && !slices.Contains(w.cfg.SecurityGroups, name) {
			return nil, clientError("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", clip(name), w.subnets[0].VPC)
		}
		if name == "default" {
			name = w.defaultGroup()
		}
		list = append(list, name)
	}
	return list, nil
}

func (w *World) hasGroup(id string) bool {
	return len(w.cfg.SecurityGroups) == 0 || id == w.defaultGroup() || slices.Contains(w.cfg.SecurityGroups, id)
}

// groupsOf are the security groups of an instance: the default one if it was given none.
func (w *World) groupsOf(m *instance) []string {
	if len(m.groups) > 0 {
		return m.groups
	}
	return []string{w.defaultGroup()}
}

// groupNames are the names of groups: all but the default one are named as their IDs.
func (w *World) groupNames(ids []string) []string {
	names := slices.Clone(ids)
	for i := range names {
		if names[i] == w.defaultGroup() {
			names[i] = "default"
		}
	}
	return names
}

// DescribeSecurityGroups describes the default group, those of the configuration and, where
// that names none, whatever is asked for by ID.
func (w *World) DescribeSecurityGroups(in *DescribeSecurityGroupsInput) (*DescribeSecurityGroupsOutput, error) {
	after, limit, err := ec2Page("groups", in.NextToken, in.MaxResults, 5, mostInstances)
	if err != nil {
		return nil, err
	}
	ids, err := w.securityGroups(in.GroupIDs, in.GroupNames)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		ids = append([]string{w.defaultGroup()}, w.cfg.SecurityGroups...)
	}
	var all []SecurityGroup
	for i, name := range w.groupNames(ids) {
		g := SecurityGroup{GroupID: ids[i], GroupName: name, Description: name + " VPC security group", VpcID: w.subnets[0].VPC, OwnerID: w.cfg.Account}
		ok, err := matchAll(in.Filters, g.filterValues)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, g)
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeSecurityGroupsOutput{SecurityGroups: page, NextToken: token("groups", next)}, nil
}

func (g *SecurityGroup) filterValues(name string) ([]string, bool) {
	switch name {
	case "group-id":
		return []string{g.GroupID}, true
	case "group-name":
		return []string{g.GroupName}, true
	case "vpc-id":
		return []string{g.VpcID}, true
	case "owner-id":
		return []string{g.OwnerID}, true
	case "description":
		return []string{g.Description}, true
	}
	return tagValues(g.Tags, name)
}
