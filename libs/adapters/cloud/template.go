package cloud

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/neap-project/neap/libs/fleet"
)

// CreateFleet launches from launch templates only. RunInstances would need none, but takes
// one type and subnet at a time, so that the choice among offerings would have to be made
// here, one call after the other. Hence every launch has a template of Neap's own, named by
// the hash of its content: the fields of the launch spec over those of the template that
// the spec names, if it names one. Templates of the owner are never changed, and the same
// content is the same template however often it is created: one for each launch spec and
// lifecycle, which differ in user data.

// templatePrefix starts the name of every launch template that Neap makes.
const templatePrefix = "neap-"

// templateData is what the template of a launch holds, as canonical JSON.
func (l *Launcher) templateData(ctx context.Context, cluster fleet.ClusterName, launch *fleet.Launch) (json.RawMessage, error) {
	data := ec2types.RequestLaunchTemplateData{}
	if t := launch.Spec.LaunchTemplate; t != nil {
		var err error
		if data, err = l.namedTemplate(ctx, t); err != nil {
			return nil, fmt.Errorf("launch spec %s: %w", launch.Spec.Name, err)
		}
	}
	own := launch.Spec.UserData
	if own == "" && data.UserData != nil {
		decoded, err := base64.StdEncoding.DecodeString(*data.UserData)
		if err != nil {
			return nil, fmt.Errorf("%w: launch spec %s: user data of its launch template: %w", fleet.ErrInvalid, launch.Spec.Name, err)
		}
		own = string(decoded)
	}
	script, err := userData(cluster, launch, own)
	if err != nil {
		return nil, err
	}
	data.UserData = aws.String(base64.StdEncoding.EncodeToString([]byte(script)))
	overlay(&data, &launch.Spec)
	return canonicalTemplate(&data)
}

// overlay puts the fields of a launch spec over template data.
func overlay(data *ec2types.RequestLaunchTemplateData, spec *fleet.LaunchSpec) {
	// The request says what to launch, where, and how to buy it.
	data.InstanceType, data.InstanceRequirements, data.InstanceMarketOptions = "", nil, nil
	for i := range data.NetworkInterfaces {
		data.NetworkInterfaces[i].SubnetId = nil
	}
	if len(spec.SecurityGroups) > 0 {
		data.SecurityGroups = nil
		if len(data.NetworkInterfaces) > 0 { // EC2 takes groups in one of the two places
			data.NetworkInterfaces[0].Groups, data.SecurityGroupIds = spec.SecurityGroups, nil
		} else {
			data.SecurityGroupIds = spec.SecurityGroups
		}
	}
	if spec.InstanceProfile != "" {
		data.IamInstanceProfile = &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{}
		if strings.HasPrefix(spec.InstanceProfile, "arn:") {
			data.IamInstanceProfile.Arn = aws.String(spec.InstanceProfile)
		} else {
			data.IamInstanceProfile.Name = aws.String(spec.InstanceProfile)
		}
	}
	if spec.KeyName != "" {
		data.KeyName = aws.String(spec.KeyName)
	}
	overlayMetadata(data, spec.Metadata)
	overlayDevices(data, spec.BlockDevices)
	// An instance that powers itself off, as a late one does, must not linger and cost.
	data.InstanceInitiatedShutdownBehavior = ec2types.ShutdownBehaviorTerminate
}

// overlayMetadata asks for IMDSv2, unless the launch spec or the template wants otherwise:
// whatever can make a container fetch a URL could else read the credentials of the role.
func overlayMetadata(data *ec2types.RequestLaunchTemplateData, wanted fleet.MetadataOptions) {
	if wanted == (fleet.MetadataOptions{}) && data.MetadataOptions != nil {
		return
	}
	const hops = 2 // containers in bridge mode are one hop further away
	options := &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{
		HttpEndpoint: ec2types.LaunchTemplateInstanceMetadataEndpointStateEnabled,
		HttpTokens:   ec2types.LaunchTemplateHttpTokensStateRequired, HttpPutResponseHopLimit: aws.Int32(int32(cmp.Or(wanted.HopLimit, hops))),
	}
	if wanted.Tokens == fleet.TokensOptional {
		options.HttpTokens = ec2types.LaunchTemplateHttpTokensStateOptional
	}
	if wanted.Tags {
		options.InstanceMetadataTags = ec2types.LaunchTemplateInstanceMetadataTagsStateEnabled
	}
	data.MetadataOptions = options
}

// overlayDevices puts the volumes of a launch spec over those of the template, by device
// name. Those that grow with the type have the size they start from; an override of the
// fleet request has the size for its type.
func overlayDevices(data *ec2types.RequestLaunchTemplateData, devices []fleet.BlockDevice) {
	for i := range devices {
		d := &devices[i]
		ebs := &ec2types.LaunchTemplateEbsBlockDeviceRequest{
			VolumeType: ec2types.VolumeType(cmp.Or(d.Type, fleet.VolumeTypes()[0])), Encrypted: d.Encrypted,
			DeleteOnTermination: aws.Bool(!d.Keep), VolumeSize: sizeOrNil(d.SizeGiB),
			Iops: sizeOrNil(d.IOPS), Throughput: sizeOrNil(d.ThroughputMiB),
		}
		if d.KMSKey != "" {
			ebs.KmsKeyId, ebs.Encrypted = aws.String(d.KMSKey), aws.Bool(true)
		}
		if d.Snapshot != "" {
			ebs.SnapshotId = aws.String(d.Snapshot)
		}
		data.BlockDeviceMappings = slices.DeleteFunc(data.BlockDeviceMappings, func(m ec2types.LaunchTemplateBlockDeviceMappingRequest) bool {
			return text(m.DeviceName) == d.Device
		})
		data.BlockDeviceMappings = append(data.BlockDeviceMappings, ec2types.LaunchTemplateBlockDeviceMappingRequest{DeviceName: aws.String(d.Device), Ebs: ebs})
	}
}

func sizeOrNil(n int64) *int32 {
	if n <= 0 {
		return nil
	}
	return aws.Int32(int32(min(n, math.MaxInt32)))
}

// namedTemplate reads the version of a launch template that a launch spec names.
func (l *Launcher) namedTemplate(ctx context.Context, t *fleet.LaunchTemplate) (ec2types.RequestLaunchTemplateData, error) {
	var data ec2types.RequestLaunchTemplateData
	in := &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{cmp.Or(t.Version, "$Default")}}
	if t.ID != "" {
		in.LaunchTemplateId = &t.ID
	} else {
		in.LaunchTemplateName = &t.Name
	}
	out, err := call(ctx, l.readEC2.DescribeLaunchTemplateVersions, in)
	if err != nil {
		return data, fmt.Errorf("read launch template %s: %w", cmp.Or(t.ID, t.Name), err)
	}
	if len(out.LaunchTemplateVersions) == 0 || out.LaunchTemplateVersions[0].LaunchTemplateData == nil {
		return data, fmt.Errorf("%w: launch template %s has no version %s", fleet.ErrInvalid, cmp.Or(t.ID, t.Name), in.Versions[0])
	}
	// The types of request and answer differ in name alone.
	b, err := json.Marshal(out.LaunchTemplateVersions[0].LaunchTemplateData)
	if err == nil {
		err = json.Unmarshal(b, &data)
	}
	if err != nil {
		return data, fmt.Errorf("%w: launch template %s: %w", fleet.ErrInvalid, cmp.Or(t.ID, t.Name), err)
	}
	return data, nil
}

// canonicalTemplate writes template data with sorted keys and without what is not set, so
// that a new version of the SDK, which may know more fields, gives the same bytes.
func canonicalTemplate(data *ec2types.RequestLaunchTemplateData) (json.RawMessage, error) {
	b, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("%w: launch template as JSON: %w", fleet.ErrInvalid, err)
	}
	var tree map[string]any
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("%w: launch template as JSON: %w", fleet.ErrInvalid, err)
	}
	return json.Marshal(prune(tree))
}

// prune drops what is null or empty text.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if pruned := prune(value); pruned == nil || pruned == "" {
				delete(v, key)
			} else {
				v[key] = pruned
			}
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

// templateName names a template by its content, and by who made it: two installations do
// not share one, so that each may be removed with its own.
func templateName(installation string, data json.RawMessage) string {
	const length = 24 // hex digits: 96 bits never collide
	return templatePrefix + fleet.Digest(append([]byte(installation+"\x00"), data...))[:length]
}

// ensureTemplate creates the template of a frozen launch unless it is there. Its version 1
// cannot be changed, only added to.
func (l *Launcher) ensureTemplate(ctx context.Context, f *frozenLaunch) error {
	var data ec2types.RequestLaunchTemplateData
	if err := json.Unmarshal(f.TemplateData, &data); err != nil {
		return fmt.Errorf("%w: launch template of a frozen launch: %w", fleet.ErrInvalid, err)
	}
	_, err := call(ctx, l.changeEC2.CreateLaunchTemplate, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String(f.Template), LaunchTemplateData: &data, ClientToken: aws.String(f.Template),
		TagSpecifications: []ec2types.TagSpecification{tagSpecification(ec2types.ResourceTypeLaunchTemplate, f.Tags, fleet.TagOwner, fleet.TagCluster)},
	})
	if err != nil && !hasCode(err, "InvalidLaunchTemplateName.AlreadyExistsException") {
		return fmt.Errorf("create launch template %s: %w", f.Template, err)
	}
	return nil
}
