package sim

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// checkTemplate refuses what no launch template may hold, and warns of what no launch can
// use: EC2 makes such templates all the same.
func (w *World) checkTemplate(d RequestLaunchTemplateData) (*ValidationWarning, error) {
	if err := checkTagSpecifications(d.TagSpecifications, "instance", "volume", "network-interface", "spot-instances-request"); err != nil {
		return nil, err
	}
	if d.MetadataOptions != nil {
		if err := d.MetadataOptions.check(); err != nil {
			return nil, err
		}
	}
	var warning ValidationWarning
	warn := func(err error) {
		var known *Error
		if errors.As(err, &known) {
			warning.Errors = append(warning.Errors, CodeWords{known.Code, known.Message})
		}
	}
	if d.InstanceType != "" && w.typeNamed[d.InstanceType] == nil {
		warn(clientError("InvalidParameterValue", "Invalid value '%s' for InstanceType.", clip(d.InstanceType)))
	}
	if d.ImageID != "" {
		_, err := w.resolveImage(d.ImageID)
		warn(err)
	}
	if d.UserData != "" {
		_, err := decodeUserData(d.UserData)
		warn(err)
	}
	if len(warning.Errors) == 0 {
		return nil, nil //nolint:nilnil // no warning
	}
	return &warning, nil
}

// ModifyLaunchTemplate chooses the default version of a launch template.
func (w *World) ModifyLaunchTemplate(in *ModifyLaunchTemplateInput) (*ModifyLaunchTemplateOutput, error) {
	t, err := w.template(LaunchTemplateSpecification{LaunchTemplateID: in.LaunchTemplateID, LaunchTemplateName: in.LaunchTemplateName})
	if err != nil {
		return nil, err
	}
	if in.DefaultVersion == "" {
		return nil, clientError("MissingParameter", "The request must contain the parameter SetDefaultVersion")
	}
	v, err := t.version(in.DefaultVersion)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	t.DefaultVersionNumber = v.VersionNumber
	return &ModifyLaunchTemplateOutput{LaunchTemplate: t.LaunchTemplate}, nil
}

// DeleteLaunchTemplate deletes a launch template with all its versions.
func (w *World) DeleteLaunchTemplate(in *DeleteLaunchTemplateInput) (*DeleteLaunchTemplateOutput, error) {
	t, err := w.template(LaunchTemplateSpecification{LaunchTemplateID: in.LaunchTemplateID, LaunchTemplateName: in.LaunchTemplateName})
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	w.templates = slices.DeleteFunc(w.templates, func(o *template) bool { return o == t })
	return &DeleteLaunchTemplateOutput{LaunchTemplate: t.LaunchTemplate}, nil
}

// DeleteLaunchTemplateVersions deletes versions of a launch template, but not the default.
func (w *World) DeleteLaunchTemplateVersions(in *DeleteLaunchTemplateVersionsInput) (*DeleteLaunchTemplateVersionsOutput, error) {
	t, err := w.template(LaunchTemplateSpecification{LaunchTemplateID: in.LaunchTemplateID, LaunchTemplateName: in.LaunchTemplateName})
	if err != nil {
		return nil, err
	}
	const most = 200
	if len(in.Versions) == 0 || len(in.Versions) > most {
		return nil, clientError("InvalidParameterValue", "Name between 1 and %d versions: %d", most, len(in.Versions))
	}
	if in.DryRun {
		return nil, dryRun()
	}
	out := &DeleteLaunchTemplateVersionsOutput{}
	for _, name := range in.Versions {
		one := VersionDeletion{LaunchTemplateID: t.LaunchTemplateID, LaunchTemplateName: t.LaunchTemplateName}
		one.VersionNumber, _ = strconv.ParseInt(name, 10, 64)
		v, err := t.version(name)
		switch {
		case err != nil || one.VersionNumber == 0: // $Latest and $Default cannot be deleted
			one.ResponseError = &CodeWords{"launchTemplateVersionDoesNotExist", "Could not find launch template version " + clip(name)}
		case v.VersionNumber == t.DefaultVersionNumber:
			one.ResponseError = &CodeWords{"unexpectedError", "Cannot delete the default version of a launch template: make another version the default first"}
		}
		if one.ResponseError != nil {
			out.Unsuccessful = append(out.Unsuccessful, one)
			continue
		}
		t.versions = slices.DeleteFunc(slices.Clone(t.versions), func(o LaunchTemplateVersion) bool { return o.VersionNumber == one.VersionNumber })
		t.LatestVersionNumber = t.versions[len(t.versions)-1].VersionNumber
		out.Successful = append(out.Successful, one)
	}
	return out, nil
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
	if err := checkFilters(in.Filters, (&template{}).filterValues); err != nil {
		return nil, err
	}
	var all []LaunchTemplate
	for _, t := range w.templates {
		if len(in.LaunchTemplateIDs)+len(in.LaunchTemplateNames) > 0 &&
			!slices.Contains(in.LaunchTemplateIDs, t.LaunchTemplateID) && !slices.Contains(in.LaunchTemplateNames, t.LaunchTemplateName) {
			continue
		}
		if ok, _ := matchAll(in.Filters, t.filterValues); ok {
			all = append(all, t.LaunchTemplate)
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeLaunchTemplatesOutput{LaunchTemplates: page, NextToken: token("templates", next)}, nil
}

func (t *template) filterValues(name string) ([]string, bool) {
	switch name {
	case "launch-template-name":
		return []string{t.LaunchTemplateName}, true
	case "create-time":
		return []string{t.CreateTime.UTC().Format(isoMillis)}, true
	}
	return tagValues(t.Tags, name)
}

// DescribeLaunchTemplateVersions describes versions of a launch template, the newest first;
// without Versions, all of them. Without a template, $Latest and $Default are those of all
// templates.
func (w *World) DescribeLaunchTemplateVersions(in *DescribeLaunchTemplateVersionsInput) (*DescribeLaunchTemplateVersionsOutput, error) {
	after, limit, err := ec2Page("template-versions", in.NextToken, in.MaxResults, 1, 200)
	if err != nil {
		return nil, err
	}
	if err := checkFilters(in.Filters, (&LaunchTemplateVersion{}).filterValues); err != nil {
		return nil, err
	}
	templates := w.templates
	if in.LaunchTemplateID != "" || in.LaunchTemplateName != "" {
		t, err := w.template(LaunchTemplateSpecification{LaunchTemplateID: in.LaunchTemplateID, LaunchTemplateName: in.LaunchTemplateName})
		if err != nil {
			return nil, err
		}
		templates = []*template{t}
	} else if len(in.Versions) == 0 || slices.ContainsFunc(in.Versions, func(v string) bool { return !strings.HasPrefix(v, "$") }) {
		return nil, clientError("MissingParameter", "Either launch template ID or launch template name must be specified")
	}
	var all []LaunchTemplateVersion
	for _, t := range templates {
		versions, err := t.chosen(in)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			v.DefaultVersion = v.VersionNumber == t.DefaultVersionNumber
			if in.ResolveAlias {
				if image, err := w.resolveImage(v.LaunchTemplateData.ImageID); err == nil {
					v.LaunchTemplateData.ImageID = image.ImageID
				}
			}
			if ok, _ := matchAll(in.Filters, v.filterValues); ok {
				all = append(all, v)
			}
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: page, NextToken: token("template-versions", next)}, nil
}

// chosen are copies of the versions that are asked for.
func (t *template) chosen(in *DescribeLaunchTemplateVersionsInput) ([]LaunchTemplateVersion, error) {
	var all []LaunchTemplateVersion
	for _, name := range in.Versions {
		v, err := t.version(name)
		if err != nil {
			return nil, err
		}
		all = append(all, *v)
	}
	if len(in.Versions) > 0 {
		return all, nil
	}
	least, err1 := strconv.ParseInt(cmp.Or(in.MinVersion, "1"), 10, 64)
	most, err2 := strconv.ParseInt(cmp.Or(in.MaxVersion, formatInt(t.LatestVersionNumber)), 10, 64)
	if err1 != nil || err2 != nil {
		return nil, clientError("InvalidParameterValue", "MinVersion and MaxVersion must be numbers: %s, %s", clip(in.MinVersion), clip(in.MaxVersion))
	}
	for _, v := range slices.Backward(t.versions) {
		if v.VersionNumber >= least && v.VersionNumber <= most {
			all = append(all, v)
		}
	}
	return all, nil
}

func (v *LaunchTemplateVersion) filterValues(name string) ([]string, bool) {
	switch name {
	case "image-id":
		return []string{v.LaunchTemplateData.ImageID}, true
	case "instance-type":
		return []string{v.LaunchTemplateData.InstanceType}, true
	case "is-default-version":
		return []string{strconv.FormatBool(v.DefaultVersion)}, true
	case "create-time":
		return []string{v.CreateTime.UTC().Format(isoMillis)}, true
	case "iam-instance-profile":
		if p := v.LaunchTemplateData.IamInstanceProfile; p != nil {
			return []string{p.Arn, p.Name}, true
		}
		return nil, true
	case "ebs-optimized":
		return []string{strconv.FormatBool(v.LaunchTemplateData.EBSOptimized)}, true
	case "http-tokens", "http-endpoint", "license-configuration-arn", "network-card-index", "kernel-id", "ram-disk-id", "host-resource-group-arn":
		return nil, true
	}
	return nil, false
}
