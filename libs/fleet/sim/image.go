package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// image is an EC2 image and the SSM parameter that names it.
type image struct {
	Image
	parameter string // without a trailing /image_id
	agent     bool   // an ECS agent is in it
}

// windowsImage is the SSM parameter of the Windows image for ECS.
const windowsImage = "/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-ECS_Optimized"

// imageRelease is how the simulated images are dated.
const imageRelease = "20251220"

// addImages makes the images that AWS publishes for ECS on Linux, and one without an agent.
func (w *World) addImages() {
	const ecs, bottlerocket = "/aws/service/ecs/optimized-ami/", "/aws/service/bottlerocket/"
	for _, i := range []struct {
		parameter, name, architecture string
		agent                         bool
	}{
		{ecs + "amazon-linux-2023/recommended", "al2023-ami-ecs-hvm-2023.0." + imageRelease + "-kernel-6.1-x86_64", "x86_64", true},
		{ecs + "amazon-linux-2023/arm64/recommended", "al2023-ami-ecs-hvm-2023.0." + imageRelease + "-kernel-6.1-arm64", "arm64", true},
		{ecs + "amazon-linux-2023/gpu/recommended", "al2023-ami-ecs-gpu-hvm-2023.0." + imageRelease + "-kernel-6.1-x86_64-ebs", "x86_64", true},
		{ecs + "amazon-linux-2/recommended", "amzn2-ami-ecs-hvm-2.0." + imageRelease + "-x86_64-ebs", "x86_64", true},
		{ecs + "amazon-linux-2/arm64/recommended", "amzn2-ami-ecs-hvm-2.0." + imageRelease + "-arm64-ebs", "arm64", true},
		{ecs + "amazon-linux-2/gpu/recommended", "amzn2-ami-ecs-gpu-hvm-2.0." + imageRelease + "-x86_64-ebs", "x86_64", true},
		{bottlerocket + "aws-ecs-2/x86_64/latest", "bottlerocket-aws-ecs-2-x86_64-v1.50.0", "x86_64", true},
		{bottlerocket + "aws-ecs-2/arm64/latest", "bottlerocket-aws-ecs-2-aarch64-v1.50.0", "arm64", true},
		{bottlerocket + "aws-ecs-2-nvidia/x86_64/latest", "bottlerocket-aws-ecs-2-nvidia-x86_64-v1.50.0", "x86_64", true},
		{windowsImage, "Windows_Server-2022-English-Core-ECS_Optimized-" + imageRelease, "x86_64", true},
		{"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", "al2023-ami-2023.9." + imageRelease + ".0-kernel-6.1-x86_64", "x86_64", false},
	} {
		w.images = append(w.images, w.newImage(i.parameter, i.name, i.architecture, i.agent))
	}
}

func (w *World) newImage(parameter, name, architecture string, agent bool) *image {
	h := w.hash("image", name)
	return &image{parameter: parameter, agent: agent, Image: Image{
		ImageID: "ami-" + fmt.Sprintf("%016x%016x", h, mix(h))[:17], Name: name, State: "available", OwnerID: "591542846629",
		OwnerAlias: "amazon", Architecture: architecture, Public: true, RootDeviceName: "/dev/xvda",
		CreationDate: Timestamp{w.cfg.Start.Add(-14 * 24 * time.Hour)}, ImageType: "machine",
	}}
}

// image finds an image by ID.
func (w *World) image(id string) *image {
	for _, i := range w.images {
		if i.ImageID == id {
			return i
		}
	}
	return nil
}

// parameter is the value of an SSM parameter: an image ID, or what AWS publishes of it.
func (w *World) parameter(name string) (string, bool) {
	base, wantsID := strings.CutSuffix(name, "/image_id")
	for _, i := range slices.Backward(w.images) { // the newest counts
		if i.parameter != base {
			continue
		}
		recommended := strings.HasSuffix(base, "/recommended")
		if wantsID || !recommended {
			return i.ImageID, wantsID || !strings.HasSuffix(base, "/latest")
		}
		body, err := json.Marshal(map[string]string{
			"ecs_agent_version": agentVersion, "ecs_runtime_version": "Docker version 25.0.8", "image_id": i.ImageID,
			"image_name": i.Name, "image_version": "2023.0." + imageRelease, "os": "Amazon Linux 2023",
		})
		return string(body), err == nil
	}
	return "", false
}

// resolveImage finds an image by ID or by "resolve:ssm:NAME".
func (w *World) resolveImage(id string) (*image, error) {
	name, isParameter := strings.CutPrefix(id, "resolve:ssm:")
	if isParameter {
		value, ok := w.parameter(name)
		if !ok {
			return nil, clientError("InvalidParameterValue", "The SSM parameter %.200s does not exist or is no image ID", name)
		}
		id = value
	}
	switch i := w.image(id); {
	case i != nil:
		return i, nil
	case id == "":
		return nil, clientError("MissingParameter", "The request must contain the parameter ImageId")
	case !strings.HasPrefix(id, "ami-"):
		return nil, clientError("InvalidAMIID.Malformed", "Invalid id: %q (expecting \"ami-...\")", clip(id))
	default:
		return nil, clientError("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", clip(id))
	}
}

// clip bounds what an error repeats of its input.
func clip(s string) string { return s[:min(len(s), 100)] }

// DescribeImages describes images by ID and filters.
func (w *World) DescribeImages(in *DescribeImagesInput) (*DescribeImagesOutput, error) {
	for _, id := range in.ImageIDs {
		if w.image(id) == nil {
			return nil, clientError("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", clip(id))
		}
	}
	after, limit, err := ec2Page("images", in.NextToken, in.MaxResults, 1, 1000)
	if err != nil {
		return nil, err
	}
	var all []Image
	for _, i := range w.images {
		if len(in.ImageIDs) > 0 && !slices.Contains(in.ImageIDs, i.ImageID) {
			continue
		}
		ok, err := matchAll(in.Filters, func(name string) ([]string, bool) {
			switch name {
			case "image-id":
				return []string{i.ImageID}, true
			case "name":
				return []string{i.Name}, true
			case "architecture":
				return []string{i.Architecture}, true
			case "state":
				return []string{i.State}, true
			case "owner-id":
				return []string{i.OwnerID}, true
			case "owner-alias":
				return []string{i.OwnerAlias}, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, i.Image)
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeImagesOutput{Images: page, NextToken: token("images", next)}, nil
}

// GetParameter reads an SSM parameter.
func (w *World) GetParameter(in *GetParameterInput) (*GetParameterOutput, error) {
	value, ok := w.parameter(in.Name)
	if !ok {
		return nil, clientError("ParameterNotFound", "")
	}
	return &GetParameterOutput{Parameter: w.ssm(in.Name, value)}, nil
}

func (w *World) ssm(name, value string) Parameter {
	p := Parameter{
		Name: name, Type: "String", Value: value, Version: 1, LastModifiedDate: Timestamp{w.cfg.Start},
		ARN: "arn:aws:ssm:" + w.cfg.Region + "::parameter" + name, DataType: "text",
	}
	if strings.HasPrefix(value, "ami-") {
		p.DataType = "aws:ec2:image"
	}
	return p
}

// GetParameters reads up to 10 SSM parameters; unknown ones are listed as invalid.
func (w *World) GetParameters(in *GetParametersInput) (*GetParametersOutput, error) {
	const most = 10
	if len(in.Names) == 0 || len(in.Names) > most {
		return nil, clientError("ValidationException", "1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length between 1 and %d", most)
	}
	out := &GetParametersOutput{Parameters: []Parameter{}, InvalidParameters: []string{}}
	for _, name := range in.Names {
		if value, ok := w.parameter(name); ok {
			out.Parameters = append(out.Parameters, w.ssm(name, value))
		} else {
			out.InvalidParameters = append(out.InvalidParameters, name)
		}
	}
	return out, nil
}
