package sim

import (
	"slices"
	"strconv"
)

// template is a launch template; version n is at index n-1.
type template struct {
	LaunchTemplate
	versions []LaunchTemplateVersion
}

// CreateLaunchTemplate makes a launch template with its first version.
func (w *World) CreateLaunchTemplate(in *CreateLaunchTemplateInput) (*CreateLaunchTemplateOutput, error) {
	if in.DryRun {
		return nil, dryRun()
	}
	if len(in.LaunchTemplateName) < 3 || len(in.LaunchTemplateName) > 128 {
		return nil, clientError("InvalidLaunchTemplateName.MalformedException", "A launch template name must be between 3 and 128 characters: %q", clip(in.LaunchTemplateName))
	}
	var done CreateLaunchTemplateOutput
	body, err := bodyOf(in)
	if err != nil {
		return nil, err
	}
	if found, err := w.repeated("CreateLaunchTemplate", in.ClientToken, body, &done); err != nil || found {
		return &done, err
	}
	if t, _ := w.template(LaunchTemplateSpecification{LaunchTemplateName: in.LaunchTemplateName}); t != nil {
		return nil, clientError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	t := &template{LaunchTemplate: LaunchTemplate{
		LaunchTemplateID: "lt-" + w.hex("template", 17), LaunchTemplateName: in.LaunchTemplateName,
		CreateTime: Timestamp{w.now}, CreatedBy: w.root(), DefaultVersionNumber: 1,
		Tags: sortedTags(tagsFor(in.TagSpecifications, "launch-template")),
	}}
	w.templates = append(w.templates, t)
	w.addVersion(t, in.LaunchTemplateData, in.VersionDescription)
	out := &CreateLaunchTemplateOutput{LaunchTemplate: t.LaunchTemplate}
	w.remember("CreateLaunchTemplate", in.ClientToken, body, out)
	return out, nil
}

func (w *World) root() string { return "arn:aws:iam::" + w.cfg.Account + ":root" }

func dryRun() *Error {
	return &Error{Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set.", Fault: FaultClient}
}

func (w *World) addVersion(t *template, data RequestLaunchTemplateData, description string) LaunchTemplateVersion {
	t.LatestVersionNumber++
	v := LaunchTemplateVersion{
		LaunchTemplateID: t.LaunchTemplateID, LaunchTemplateName: t.LaunchTemplateName, VersionNumber: t.LatestVersionNumber,
		VersionDescription: description, CreateTime: Timestamp{w.now}, CreatedBy: w.root(), LaunchTemplateData: data,
	}
	t.versions = append(t.versions, v)
	return v
}

// CreateLaunchTemplateVersion adds a version. With SourceVersion, fields that are not set
// are taken from that version.
func (w *World) CreateLaunchTemplateVersion(in *CreateLaunchTemplateVersionInput) (*CreateLaunchTemplateVersionOutput, error) {
	if in.DryRun {
		return nil, dryRun()
	}
	t, err := w.template(LaunchTemplateSpecification{LaunchTemplateID: in.LaunchTemplateID, LaunchTemplateName: in.LaunchTemplateName})
	if err != nil {
		return nil, err
	}
	data := in.LaunchTemplateData
	if in.SourceVersion != "" {
		source, err := t.version(in.SourceVersion)
		if err != nil {
			return nil, err
		}
		data = source.LaunchTemplateData.with(data)
	}
	return &CreateLaunchTemplateVersionOutput{LaunchTemplateVersion: w.addVersion(t, data, in.VersionDescription)}, nil
}

// with is d with the fields that o sets.
func (d RequestLaunchTemplateData) with(o RequestLaunchTemplateData) RequestLaunchTemplateData {
	for _, f := range []struct{ to, from *string }{
		{&d.ImageID, &o.ImageID}, {&d.InstanceType, &o.InstanceType}, {&d.KeyName, &o.KeyName}, {&d.UserData, &o.UserData},
	} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	if o.SecurityGroupIDs != nil {
		d.SecurityGroupIDs = o.SecurityGroupIDs
	}
	if o.IamInstanceProfile != nil {
		d.IamInstanceProfile = o.IamInstanceProfile
	}
	if o.NetworkInterfaces != nil {
		d.NetworkInterfaces = o.NetworkInterfaces
	}
	if o.Placement != nil {
		d.Placement = o.Placement
	}
	if o.InstanceMarketOptions != nil {
		d.InstanceMarketOptions = o.InstanceMarketOptions
	}
	if o.TagSpecifications != nil {
		d.TagSpecifications = o.TagSpecifications
	}
	if o.CPUOptions != nil {
		d.CPUOptions = o.CPUOptions
	}
	d.DisableAPITermination = d.DisableAPITermination || o.DisableAPITermination
	return d
}

// template finds a launch template by ID or name.
func (w *World) template(s LaunchTemplateSpecification) (*template, error) {
	for _, t := range w.templates {
		if s.LaunchTemplateID != "" && t.LaunchTemplateID == s.LaunchTemplateID ||
			s.LaunchTemplateID == "" && t.LaunchTemplateName == s.LaunchTemplateName {
			return t, nil
		}
	}
	if s.LaunchTemplateID != "" {
		return nil, clientError("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", clip(s.LaunchTemplateID))
	}
	return nil, clientError("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", clip(s.LaunchTemplateName))
}

// version finds a version by number, $Latest or $Default (also if empty).
func (t *template) version(name string) (*LaunchTemplateVersion, error) {
	number := t.DefaultVersionNumber
	switch name {
	case "", "$Default":
	case "$Latest":
		number = t.LatestVersionNumber
	default:
		n, err := strconv.ParseInt(name, 10, 64)
		if err != nil || n < 1 || n > t.LatestVersionNumber {
			return nil, clientError("InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", clip(name))
		}
		number = n
	}
	return &t.versions[number-1], nil
}

// DescribeLaunchTemplates describes launch templates.
func (w *World) DescribeLaunchTemplates(in *DescribeLaunchTemplatesInput) (*DescribeLaunchTemplatesOutput, error) {
	after, limit, err := ec2Page("templates", in.NextToken, in.MaxResults, 1, 200)
	if err != nil {
		return nil, err
	}
	for _, id := range in.LaunchTemplateIDs {
		if _, err := w.template(LaunchTemplateSpecification{LaunchTemplateID: id}); err != nil {
			return nil, err
		}
	}
	for _, name := range in.LaunchTemplateNames {
		if _, err := w.template(LaunchTemplateSpecification{LaunchTemplateName: name}); err != nil {
			return nil, err
		}
	}
	var all []LaunchTemplate
	for _, t := range w.templates {
		if len(in.LaunchTemplateIDs)+len(in.LaunchTemplateNames) > 0 &&
			!slices.Contains(in.LaunchTemplateIDs, t.LaunchTemplateID) && !slices.Contains(in.LaunchTemplateNames, t.LaunchTemplateName) {
			continue
		}
		ok, err := matchAll(in.Filters, func(name string) ([]string, bool) {
			if name == "launch-template-name" {
				return []string{t.LaunchTemplateName}, true
			}
			return tagValues(t.Tags, name)
		})
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, t.LaunchTemplate)
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeLaunchTemplatesOutput{LaunchTemplates: page, NextToken: token("templates", next)}, nil
}

// DescribeLaunchTemplateVersions describes versions of one launch template, the newest
// first; without Versions, all of them.
func (w *World) DescribeLaunchTemplateVersions(in *DescribeLaunchTemplateVersionsInput) (*DescribeLaunchTemplateVersionsOutput, error) {
	after, limit, err := ec2Page("template-versions", in.NextToken, in.MaxResults, 1, 200)
	if err != nil {
		return nil, err
	}
	t, err := w.template(LaunchTemplateSpecification{LaunchTemplateID: in.LaunchTemplateID, LaunchTemplateName: in.LaunchTemplateName})
	if err != nil {
		return nil, err
	}
	var all []LaunchTemplateVersion
	for _, name := range in.Versions {
		v, err := t.version(name)
		if err != nil {
			return nil, err
		}
		all = append(all, *v)
	}
	if len(in.Versions) == 0 {
		all = slices.Clone(t.versions)
		slices.Reverse(all)
	}
	for i := range all {
		all[i].DefaultVersion = all[i].VersionNumber == t.DefaultVersionNumber
	}
	page, next := pageOf(all, after, limit)
	return &DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: page, NextToken: token("template-versions", next)}, nil
}

// tagsFor are the tags that a launch gives to things of a type.
func tagsFor(specs []TagSpecification, resource string) []Tag {
	var tags []Tag
	for _, s := range specs {
		if s.ResourceType == resource {
			tags = append(tags, s.Tags...)
		}
	}
	return tags
}
