package sim

import (
	"slices"
	"strings"
)

// The limits of tags.
const (
	mostEC2Tags     = 50
	mostTaggedAtOne = 1000 // resources in one call
	longestTagKey   = 128
	longestTagValue = 256
)

// checkTags refuses tags that EC2 refuses.
func checkTags(tags []Tag) error {
	own := 0
	for _, t := range tags {
		switch {
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return clientError("InvalidParameterValue", "Value ( %s ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use", clip(t.Key))
		case t.Key == "" || len(t.Key) > longestTagKey:
			return clientError("InvalidParameterValue", "Tag keys must have from 1 to %d characters: %q", longestTagKey, clip(t.Key))
		case len(t.Value) > longestTagValue:
			return clientError("InvalidParameterValue", "Tag value exceeds the maximum length of %d characters", longestTagValue)
		}
		own++
	}
	if own > mostEC2Tags {
		return clientError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return nil
}

// checkTagSpecifications refuses tags that EC2 refuses on what a launch makes.
func checkTagSpecifications(specs []TagSpecification, resources ...string) error {
	for _, s := range specs {
		if !slices.Contains(resources, s.ResourceType) {
			return clientError("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation. Use one of %s", clip(s.ResourceType), strings.Join(resources, ", "))
		}
		if err := checkTags(s.Tags); err != nil {
			return err
		}
		keys := map[string]bool{}
		for _, t := range s.Tags {
			if keys[t.Key] {
				return clientError("InvalidParameterValue", "Duplicate tag key '%s' specified.", clip(t.Key))
			}
			keys[t.Key] = true
		}
	}
	return nil
}

// tagged is a resource of EC2 whose tags can be changed.
type tagged struct {
	tags   []Tag
	change func(tags []Tag)
}

// CreateTags tags instances, launch templates, subnets and fleets.
func (w *World) CreateTags(in *CreateTagsInput) (*CreateTagsOutput, error) {
	list, err := w.ec2Tagged("CreateTags", in.Resources)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, clientError("MissingParameter", "The request must contain the parameter Tag")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	after := make([][]Tag, len(list))
	for i, r := range list {
		after[i] = r.tags
		for _, t := range in.Tags {
			setTag(&after[i], t)
		}
		own := 0 // those of AWS do not count
		for _, t := range after[i] {
			if !strings.HasPrefix(t.Key, "aws:") {
				own++
			}
		}
		if own > mostEC2Tags {
			return nil, clientError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
		}
	}
	if in.DryRun {
		return nil, dryRun()
	}
	for i, r := range list {
		r.change(after[i])
	}
	return &CreateTagsOutput{Return: true}, nil
}

// DeleteTags deletes tags by key, or by key and value; without tags, all that are not AWS's.
func (w *World) DeleteTags(in *DeleteTagsInput) (*DeleteTagsOutput, error) {
	list, err := w.ec2Tagged("DeleteTags", in.Resources)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, clientError("InvalidParameterValue", "Value ( %s ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use", clip(t.Key))
		}
	}
	if in.DryRun {
		return nil, dryRun()
	}
	for _, r := range list {
		r.change(slices.DeleteFunc(slices.Clone(r.tags), func(t Tag) bool {
			if len(in.Tags) == 0 {
				return !strings.HasPrefix(t.Key, "aws:")
			}
			return slices.ContainsFunc(in.Tags, func(d Tag) bool { return d.Key == t.Key && (d.Value == "" || d.Value == t.Value) })
		}))
	}
	return &DeleteTagsOutput{Return: true}, nil
}

// ec2Tagged finds EC2 resources by their IDs.
func (w *World) ec2Tagged(operation string, ids []string) ([]tagged, error) {
	if len(ids) == 0 {
		return nil, clientError("MissingParameter", "The request must contain the parameter resourceIdSet")
	}
	if len(ids) > mostTaggedAtOne {
		return nil, clientError("InvalidParameterValue", "The request names %d resources; at most %d are allowed", len(ids), mostTaggedAtOne)
	}
	var list []tagged
	for _, id := range ids {
		one, err := w.ec2TaggedOne(operation, id)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

func (w *World) ec2TaggedOne(operation, id string) (tagged, error) {
	switch {
	case strings.HasPrefix(id, "i-"):
		found, err := w.named(operation, []string{id})
		if err != nil {
			return tagged{}, err
		}
		m := found[0]
		return tagged{m.tags, func(tags []Tag) { w.retag(m, tags) }}, nil
	case strings.HasPrefix(id, "lt-"):
		t, err := w.template(LaunchTemplateSpecification{LaunchTemplateID: id})
		if err != nil {
			return tagged{}, err
		}
		return tagged{t.Tags, func(tags []Tag) { t.Tags = tags }}, nil
	}
	if s := w.subnet(id); s != nil {
		return tagged{s.Tags, func(tags []Tag) { s.Tags = tags }}, nil
	}
	if strings.HasPrefix(id, "subnet-") {
		return tagged{}, clientError("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", clip(id))
	}
	return tagged{}, clientError("InvalidID", "The ID '%s' is not valid", clip(id))
}

// DescribeTags lists the tags of EC2 resources.
func (w *World) DescribeTags(in *DescribeTagsInput) (*DescribeTagsOutput, error) {
	after, limit, err := ec2Page("tags", in.NextToken, in.MaxResults, 5, 1000)
	if err != nil {
		return nil, err
	}
	if err := checkFilters(in.Filters, (&TagDescription{}).filterValues); err != nil {
		return nil, err
	}
	var all []TagDescription
	add := func(kind, id string, tags []Tag) {
		for _, t := range tags {
			d := TagDescription{ResourceID: id, ResourceType: kind, Key: t.Key, Value: t.Value}
			if ok, _ := matchAll(in.Filters, d.filterValues); ok {
				all = append(all, d)
			}
		}
	}
	for _, s := range w.subnets {
		add("subnet", s.ID, s.Tags)
	}
	for _, t := range w.templates {
		add("launch-template", t.LaunchTemplateID, t.Tags)
	}
	for m := range w.instanceRoll.all {
		if !w.visible(m) {
			continue
		}
		add("instance", m.id, w.shownTags(m))
		if len(m.volumeTags) > 0 && m.state != machineTerminated {
			for _, v := range w.volumesOf(m) {
				add("volume", v.VolumeID, v.Tags)
			}
		}
		if len(m.interfaceTags) > 0 && !m.ending() {
			add("network-interface", w.hung(m, "eni", ""), m.interfaceTags)
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeTagsOutput{Tags: page, NextToken: token("tags", next)}, nil
}

func (t *TagDescription) filterValues(name string) ([]string, bool) {
	switch name {
	case "key":
		return []string{t.Key}, true
	case "value":
		return []string{t.Value}, true
	case "resource-id":
		return []string{t.ResourceID}, true
	case "resource-type":
		return []string{t.ResourceType}, true
	}
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		if key == t.Key {
			return []string{t.Value}, true
		}
		return nil, true
	}
	return nil, false
}
