package cloud

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/neap-project/neap/libs/fleet"
)

// What calls that must change nothing are about: nothing that exists, in forms that AWS takes.
const (
	noContainerInstance = "00000000000000000000000000000000" // and no task
	noInstance          = "i-00000000000000000"
	noName              = "neap-doctor-asks-for-none"
	anImage             = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
)

// Permission is an operation of AWS that a service of Neap needs, and whether AWS lets these
// credentials use it.
type Permission struct {
	Service string // watcher, actuator or drainer
	Action  string // as IAM names it, such as ecs:ListTasks
	Err     error  // nil: it may be used. [fleet.ErrDenied]: it may not. Else nobody can tell
}

// Identity is the ARN of whoever makes the calls.
func (a *Account) Identity(ctx context.Context) (string, error) {
	out, err := call(ctx, a.sts.GetCallerIdentity, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("ask AWS who this is: %w", err)
	}
	return text(out.Arn), nil
}

// Permissions finds out what these credentials may do of what a service needs, in a cluster
// that exists. Nothing is changed: EC2 is asked with DryRun, about an instance of the
// installation if there is one, and ECS, which knows no dry run, about what does not exist.
// queueURL may be empty.
func (a *Account) Permissions(ctx context.Context, service string, cluster fleet.ClusterName, installation, queueURL string) []Permission {
	p := prober{Account: a, ctx: ctx, cluster: aws.String(string(cluster)), instance: a.anOwned(ctx, installation)}
	switch service {
	case "watcher":
		p.watcher(queueURL)
	case "actuator":
		p.actuator()
	case "drainer":
		p.drainer()
	}
	for i := range p.found {
		p.found[i].Service = service
	}
	return p.found
}

// anOwned is an instance of the installation; a condition on its tags holds for it.
func (a *Account) anOwned(ctx context.Context, installation string) string {
	out, err := call(ctx, a.readEC2.DescribeInstances, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:" + fleet.TagOwner), Values: []string{installation}},
		{Name: aws.String("instance-state-name"), Values: []string{"running"}},
	}})
	if err == nil && len(out.Reservations) > 0 && len(out.Reservations[0].Instances) > 0 {
		return text(out.Reservations[0].Instances[0].InstanceId)
	}
	return noInstance
}

type prober struct {
	*Account
	ctx      context.Context //nolint:containedctx // of the one call of Permissions that it lives for
	cluster  *string
	instance string
	found    []Permission
}

// probe makes one call and notes what AWS thinks of the caller.
func probe[In, Out, Option any](p *prober, action string, f func(context.Context, *In, ...func(*Option)) (*Out, error), in *In) {
	_, err := call(p.ctx, f, in)
	p.found = append(p.found, Permission{Action: action, Err: refusal(err)})
}

// refusal is what an error says about permissions. AWS looks at them before anything else:
// whoever is told that something does not exist was allowed to ask.
func refusal(err error) error {
	var answer smithy.APIError
	switch {
	case err == nil, strings.Contains(err.Error(), "DryRunOperation"):
		return nil
	case errors.Is(err, fleet.ErrDenied), errors.Is(err, fleet.ErrThrottled), errors.Is(err, fleet.ErrUnknown):
		return err
	case errors.As(err, &answer), errors.Is(err, fleet.ErrInvalid), errors.Is(err, fleet.ErrNotFound), errors.Is(err, fleet.ErrConflict):
		return nil
	}
	return err
}

func (p *prober) watcher(queueURL string) {
	p.readsTasks()
	probe(p, "ecs:DescribeClusters", p.readECS.DescribeClusters, &ecs.DescribeClustersInput{Clusters: []string{*p.cluster}})
	probe(p, "ecs:DescribeCapacityProviders", p.readECS.DescribeCapacityProviders, &ecs.DescribeCapacityProvidersInput{MaxResults: aws.Int32(1)})
	probe(p, "ecs:ListServices", p.readECS.ListServices, &ecs.ListServicesInput{Cluster: p.cluster, MaxResults: aws.Int32(1)})
	p.readsServices()
	dry := aws.Bool(true)
	probe(p, "ec2:DescribeInstances", p.readEC2.DescribeInstances, &ec2.DescribeInstancesInput{DryRun: dry})
	probe(p, "ec2:DescribeInstanceStatus", p.readEC2.DescribeInstanceStatus, &ec2.DescribeInstanceStatusInput{DryRun: dry})
	probe(p, "ec2:DescribeInstanceTypes", p.readEC2.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{DryRun: dry})
	probe(p, "ec2:DescribeInstanceTypeOfferings", p.readEC2.DescribeInstanceTypeOfferings, &ec2.DescribeInstanceTypeOfferingsInput{DryRun: dry})
	probe(p, "ec2:DescribeSpotPriceHistory", p.readEC2.DescribeSpotPriceHistory, &ec2.DescribeSpotPriceHistoryInput{DryRun: dry})
	probe(p, "ec2:DescribeSubnets", p.readEC2.DescribeSubnets, &ec2.DescribeSubnetsInput{DryRun: dry})
	probe(p, "ec2:DescribeImages", p.readEC2.DescribeImages, &ec2.DescribeImagesInput{DryRun: dry, Owners: []string{"self"}})
	p.readsParameters()
	probe(p, "pricing:GetProducts", p.pricing.GetProducts, &pricing.GetProductsInput{ServiceCode: aws.String("AmazonEC2"), MaxResults: aws.Int32(1)})
	if queueURL != "" {
		probe(p, "sqs:ReceiveMessage", p.sqs.ReceiveMessage, &sqs.ReceiveMessageInput{QueueUrl: aws.String(queueURL), MaxNumberOfMessages: 1, VisibilityTimeout: 0})
	}
}

func (p *prober) actuator() {
	p.readsInstances()
	p.readsParameters()
	dry := aws.Bool(true)
	template := &ec2types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String(noName), Version: aws.String("1")}
	probe(p, "ec2:DescribeInstances", p.readEC2.DescribeInstances, &ec2.DescribeInstancesInput{DryRun: dry})
	probe(p, "ec2:DescribeLaunchTemplateVersions", p.readEC2.DescribeLaunchTemplateVersions, &ec2.DescribeLaunchTemplateVersionsInput{DryRun: dry, LaunchTemplateName: aws.String(noName)})
	probe(p, "ec2:CreateLaunchTemplate", p.changeEC2.CreateLaunchTemplate, &ec2.CreateLaunchTemplateInput{
		DryRun: dry, LaunchTemplateName: aws.String(noName), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{},
	})
	probe(p, "ec2:CreateFleet", p.changeEC2.CreateFleet, &ec2.CreateFleetInput{
		DryRun: dry, Type: ec2types.FleetTypeInstant,
		TargetCapacitySpecification: &ec2types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(1), DefaultTargetCapacityType: ec2types.DefaultTargetCapacityTypeOnDemand},
		LaunchTemplateConfigs:       []ec2types.FleetLaunchTemplateConfigRequest{{LaunchTemplateSpecification: template}},
	})
	probe(p, "ecs:PutAttributes", p.changeECS.PutAttributes, &ecs.PutAttributesInput{
		Cluster: p.cluster, Attributes: []ecstypes.Attribute{{Name: aws.String(noName), TargetType: ecstypes.TargetTypeContainerInstance, TargetId: aws.String(noContainerInstance)}},
	})
}

func (p *prober) drainer() {
	p.readsTasks()
	p.readsServices()
	dry, about := aws.Bool(true), []string{p.instance}
	probe(p, "ec2:DescribeInstances", p.readEC2.DescribeInstances, &ec2.DescribeInstancesInput{DryRun: dry})
	probe(p, "ec2:DescribeInstanceAttribute", p.readEC2.DescribeInstanceAttribute, &ec2.DescribeInstanceAttributeInput{
		DryRun: dry, InstanceId: aws.String(p.instance), Attribute: ec2types.InstanceAttributeNameDisableApiTermination,
	})
	probe(p, "ec2:CreateTags", p.changeEC2.CreateTags, &ec2.CreateTagsInput{DryRun: dry, Resources: about, Tags: []ec2types.Tag{{Key: aws.String(fleet.TagDrain), Value: aws.String(noName)}}})
	probe(p, "ec2:DeleteTags", p.changeEC2.DeleteTags, &ec2.DeleteTagsInput{DryRun: dry, Resources: about, Tags: []ec2types.Tag{{Key: aws.String(fleet.TagDrain)}}})
	probe(p, "ec2:TerminateInstances", p.changeEC2.TerminateInstances, &ec2.TerminateInstancesInput{DryRun: dry, InstanceIds: about})
	probe(p, "ecs:UpdateContainerInstancesState", p.changeECS.UpdateContainerInstancesState, &ecs.UpdateContainerInstancesStateInput{
		Cluster: p.cluster, ContainerInstances: []string{noContainerInstance}, Status: ecstypes.ContainerInstanceStatusActive,
	})
	probe(p, "ecs:StopTask", p.changeECS.StopTask, &ecs.StopTaskInput{Cluster: p.cluster, Task: aws.String(noContainerInstance)})
	probe(p, "ecs:DeregisterContainerInstance", p.changeECS.DeregisterContainerInstance, &ecs.DeregisterContainerInstanceInput{
		Cluster: p.cluster, ContainerInstance: aws.String(noContainerInstance),
	})
}

func (p *prober) readsInstances() {
	probe(p, "ecs:ListContainerInstances", p.readECS.ListContainerInstances, &ecs.ListContainerInstancesInput{Cluster: p.cluster, MaxResults: aws.Int32(1)})
	probe(p, "ecs:DescribeContainerInstances", p.readECS.DescribeContainerInstances, &ecs.DescribeContainerInstancesInput{
		Cluster: p.cluster, ContainerInstances: []string{noContainerInstance},
	})
}

func (p *prober) readsTasks() {
	p.readsInstances()
	none := []string{noContainerInstance}
	probe(p, "ecs:ListTasks", p.readECS.ListTasks, &ecs.ListTasksInput{Cluster: p.cluster, MaxResults: aws.Int32(1)})
	probe(p, "ecs:DescribeTasks", p.readECS.DescribeTasks, &ecs.DescribeTasksInput{Cluster: p.cluster, Tasks: none})
	probe(p, "ecs:GetTaskProtection", p.readECS.GetTaskProtection, &ecs.GetTaskProtectionInput{Cluster: p.cluster, Tasks: none})
}

func (p *prober) readsServices() {
	probe(p, "ecs:DescribeServices", p.readECS.DescribeServices, &ecs.DescribeServicesInput{Cluster: p.cluster, Services: []string{noName}})
	probe(p, "ecs:DescribeTaskDefinition", p.readECS.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(noName)})
}

func (p *prober) readsParameters() {
	probe(p, "ssm:GetParameters", p.ssm.GetParameters, &ssm.GetParametersInput{Names: []string{anImage}})
}
