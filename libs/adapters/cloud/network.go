package cloud

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// parametersBatch is the most names that GetParameters takes.
const parametersBatch = 10

// Network reads subnets by their IDs, and what the images of a policy (image IDs or names
// of SSM parameters) stand for at present. The caller names the subnets of the policy and
// those that services use.
func (r *Reader) Network(ctx context.Context, subnets, images []string) (snapshot.Network, error) {
	s := r.begin()
	out := snapshot.Network{}
	var err error
	out.Subnets, err = r.subnets(ctx, subnets)
	s.note(err)
	out.Images, err = r.images(ctx, images)
	s.note(err)
	out.Read, err = s.end()
	return out, err
}

func (r *Reader) subnets(ctx context.Context, ids []string) ([]snapshot.Subnet, error) {
	ids = wanted(ids)
	var found []snapshot.Subnet
	for batch := range slices.Chunk(ids, filterValues) {
		in := &ec2.DescribeSubnetsInput{
			Filters:    []ec2types.Filter{{Name: aws.String("subnet-id"), Values: batch}},
			MaxResults: aws.Int32(ec2Page),
		}
		for {
			out, err := call(ctx, r.ec2.DescribeSubnets, in)
			if err != nil {
				return found, fmt.Errorf("describe subnets: %w", err)
			}
			found = append(found, convert(out.Subnets, subnet)...)
			if in.NextToken = out.NextToken; text(in.NextToken) == "" {
				break
			}
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(found, func(s snapshot.Subnet) bool { return s.ID == id }) {
			return found, fmt.Errorf("describe subnets: %w: there is no subnet %s in %s; correct the policy or service that names it", fleet.ErrNotFound, id, r.account.region)
		}
	}
	return found, nil
}

func wanted(names []string) []string {
	names = distinct(slices.Clone(names))
	return slices.DeleteFunc(names, func(n string) bool { return n == "" })
}

func (r *Reader) images(ctx context.Context, names []string) ([]snapshot.Image, error) {
	resolved, err := resolveImages(ctx, r.ssm, names)
	if len(resolved) == 0 {
		return nil, err
	}
	ids := make([]string, 0, len(resolved))
	for _, image := range resolved {
		ids = append(ids, image.ID)
	}
	described, describeErr := r.describeImages(ctx, distinct(ids))
	for i := range resolved {
		about := described[resolved[i].ID]
		resolved[i].OSFamily = cmp.Or(about.OSFamily, resolved[i].OSFamily)
		if about.Architecture != "" {
			resolved[i].Architecture = about.Architecture
		} else if resolved[i].Architecture == "" && err == nil {
			err = describeErr
			if err == nil {
				err = fmt.Errorf("describe images: %w: there is no image %s in %s; correct the policy that names it", fleet.ErrNotFound, resolved[i].ID, r.account.region)
			}
		}
	}
	return resolved, err
}

// resolveImages looks image IDs up in the parameters of SSM. The architecture is a guess
// from the name of the parameter, which tells it for all images that AWS publishes.
func resolveImages(ctx context.Context, api parameters, names []string) ([]snapshot.Image, error) {
	var images []snapshot.Image
	var parameters []string
	for _, name := range wanted(names) {
		if strings.HasPrefix(name, "ami-") {
			images = append(images, snapshot.Image{Parameter: name, ID: name})
		} else {
			parameters = append(parameters, name)
		}
	}
	for batch := range slices.Chunk(parameters, parametersBatch) {
		out, err := call(ctx, api.GetParameters, &ssm.GetParametersInput{Names: batch})
		if err != nil {
			return images, fmt.Errorf("read %d image parameters: %w", len(batch), err)
		}
		for _, p := range out.Parameters {
			name := text(p.Name)
			images = append(images, snapshot.Image{Parameter: name, ID: imageIn(text(p.Value)), Architecture: architectureIn(name), OSFamily: fleet.WindowsFamily(name)})
		}
		if len(out.InvalidParameters) > 0 {
			return images, fmt.Errorf("read image parameters: %w: SSM has no parameter %s; correct the launch spec that names it", fleet.ErrNotFound, out.InvalidParameters[0])
		}
	}
	return images, nil
}

// imageIn reads an image ID: the value of a parameter whose name ends in /image_id, or the
// image_id of the JSON document that its parent holds.
func imageIn(value string) string {
	var document struct {
		ImageID string `json:"image_id"`
	}
	if json.Unmarshal([]byte(value), &document) == nil && document.ImageID != "" {
		return document.ImageID
	}
	return value
}

func architectureIn(parameter string) string {
	if strings.Contains(parameter, "arm64") || strings.Contains(parameter, "aarch64") {
		return string(fleet.ARM)
	}
	return string(fleet.X86)
}

// describeImages reads what images are for, by their IDs.
func (r *Reader) describeImages(ctx context.Context, ids []string) (map[string]snapshot.Image, error) {
	known := make(map[string]snapshot.Image, len(ids))
	for batch := range slices.Chunk(ids, filterValues) {
		out, err := call(ctx, r.ec2.DescribeImages, &ec2.DescribeImagesInput{
			Filters: []ec2types.Filter{{Name: aws.String("image-id"), Values: batch}},
		})
		if err != nil {
			return known, fmt.Errorf("describe images: %w", err)
		}
		for i := range out.Images {
			image := &out.Images[i]
			known[text(image.ImageId)] = snapshot.Image{Architecture: string(image.Architecture), OSFamily: fleet.WindowsFamily(text(image.Name))}
		}
	}
	return known, nil
}
