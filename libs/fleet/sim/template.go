package sim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// template is a launch template with its versions, the oldest first; some may have been
// deleted, but never the default one.
type template struct {
	LaunchTemplate
	versions []LaunchTemplateVersion
}

// CreateLaunchTemplate makes a launch template with its first version.
func (w *World) CreateLaunchTemplate(in *CreateLaunchTemplateInput) (*CreateLaunchTemplateOutput, error) {
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
	if err := checkTagSpecifications(in.TagSpecifications, "launch-template"); err != nil {
		return nil, err
	}
	warning, err := w.checkTemplate(in.LaunchTemplateData)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	t := &template{LaunchTemplate: LaunchTemplate{
		LaunchTemplateID: "lt-" + w.hex("template", 17), LaunchTemplateName: in.LaunchTemplateName,
		CreateTime: Timestamp{w.now}, CreatedBy: w.root(), DefaultVersionNumber: 1,
		Tags: sortedTags(tagsFor(in.TagSpecifications, "launch-template")),
	}}
	w.templates = append(w.templates, t)
	w.addVersion(t, in.LaunchTemplateData, in.VersionDescription)
	out := &CreateLaunchTemplateOutput{LaunchTemplate: t.LaunchTemplate, Warning: warning}
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
	t, err := w.template(LaunchTemplateSpecification{LaunchTemplateID: in.LaunchTemplateID, LaunchTemplateName: in.LaunchTemplateName})
	if err != nil {
		return nil, err
	}
	var done CreateLaunchTemplateVersionOutput
	body, err := bodyOf(in)
	if err != nil {
		return nil, err
	}
	if found, err := w.repeated("CreateLaunchTemplateVersion", in.ClientToken, body, &done); err != nil || found {
		return &done, err
	}
	data := in.LaunchTemplateData
	if in.SourceVersion != "" {
		source, err := t.version(in.SourceVersion)
		if err != nil {
			return nil, err
		}
		data = source.LaunchTemplateData.with(data)
	}
	warning, err := w.checkTemplate(data)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	out := &CreateLaunchTemplateVersionOutput{LaunchTemplateVersion: w.addVersion(t, data, in.VersionDescription), Warning: warning}
	w.remember("CreateLaunchTemplateVersion", in.ClientToken, body, out)
	return out, nil
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
	if o.SecurityGroups != nil {
		d.SecurityGroups = o.SecurityGroups
	}
	if o.BlockDeviceMappings != nil {
		d.BlockDeviceMappings = o.BlockDeviceMappings
	}
	if o.MetadataOptions != nil {
		d.MetadataOptions = o.MetadataOptions
	}
	if o.Monitoring != nil {
		d.Monitoring = o.Monitoring
	}
	if o.InstanceRequirements != nil {
		d.InstanceRequirements = o.InstanceRequirements
	}
	d.DisableAPITermination = d.DisableAPITermination || o.DisableAPITermination
	d.DisableAPIStop = d.DisableAPIStop || o.DisableAPIStop
	d.EBSOptimized = d.EBSOptimized || o.EBSOptimized
	return d
}

// template finds a launch template by ID or name.
func (w *World) template(s LaunchTemplateSpecification) (*template, error) {
	switch {
	case s.LaunchTemplateID == "" && s.LaunchTemplateName == "":
		return nil, clientError("MissingParameter", "Either launch template ID or launch template name must be specified")
	case s.LaunchTemplateID != "" && s.LaunchTemplateName != "":
		return nil, clientError("InvalidParameterCombination", "Launch template ID and launch template name cannot be specified together")
	case s.LaunchTemplateID != "" && !strings.HasPrefix(s.LaunchTemplateID, "lt-"):
		return nil, clientError("InvalidLaunchTemplateId.Malformed", "The specified launch template ID %s is malformed: it must begin with lt-", clip(s.LaunchTemplateID))
	}
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
		if err != nil || n < 1 {
			return nil, clientError("InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", clip(name))
		}
		number = n
	}
	at, found := slices.BinarySearchFunc(t.versions, number, func(v LaunchTemplateVersion, n int64) int { return cmp.Compare(v.VersionNumber, n) })
	if !found {
		return nil, clientError("InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", clip(name))
	}
	return &t.versions[at], nil
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
