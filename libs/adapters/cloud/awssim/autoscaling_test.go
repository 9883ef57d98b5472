package awssim

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// scaling is a client of Auto Scaling for the account.
func (a *account) scaling() *autoscaling.Client {
	return autoscaling.New(autoscaling.Options{
		Region: "us-east-1", BaseEndpoint: &a.url, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
}

// TestCapacityProviderOverTheSDK makes an auto scaling group and a capacity provider with
// managed scaling as a user would, and lets a service wait for its instances: the AWS SDK
// must understand every answer.
func TestCapacityProviderOverTheSDK(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	template := a.cluster(ctx, "web")
	a.definition(ctx, "app")
	scaling := a.scaling()
	must(scaling.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("web"), MinSize: aws.Int32(0), MaxSize: aws.Int32(5),
		AvailabilityZones: []string{"us-east-1a", "us-east-1b"},
		MixedInstancesPolicy: &scalingtypes.MixedInstancesPolicy{
			LaunchTemplate: &scalingtypes.LaunchTemplate{
				LaunchTemplateSpecification: &scalingtypes.LaunchTemplateSpecification{LaunchTemplateId: aws.String(template), Version: aws.String("$Latest")},
				Overrides:                   []scalingtypes.LaunchTemplateOverrides{{InstanceType: aws.String("m7i.large")}, {InstanceType: aws.String("m6i.large")}},
			},
			InstancesDistribution: &scalingtypes.InstancesDistribution{OnDemandPercentageAboveBaseCapacity: aws.Int32(0), SpotAllocationStrategy: aws.String("price-capacity-optimized")},
		},
		NewInstancesProtectedFromScaleIn: aws.Bool(true),
		Tags:                             []scalingtypes.Tag{{Key: aws.String("team"), Value: aws.String("a"), PropagateAtLaunch: aws.Bool(true)}},
	}))(a)
	describe := func() scalingtypes.AutoScalingGroup {
		t.Helper()
		groups := must(scaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"web"}}))(a).AutoScalingGroups
		if len(groups) != 1 {
			t.Fatalf("%d groups", len(groups))
		}
		return groups[0]
	}
	g := describe()
	if *g.MaxSize != 5 || len(g.AvailabilityZones) != 2 || len(g.MixedInstancesPolicy.LaunchTemplate.Overrides) != 2 || len(g.Tags) != 1 || g.CreatedTime.IsZero() || !*g.NewInstancesProtectedFromScaleIn {
		t.Errorf("the group is %+v", g)
	}
	must(a.ecs.CreateCapacityProvider(ctx, &ecs.CreateCapacityProviderInput{
		Name: aws.String("asg"),
		AutoScalingGroupProvider: &ecstypes.AutoScalingGroupProvider{
			AutoScalingGroupArn: g.AutoScalingGroupARN, ManagedTerminationProtection: ecstypes.ManagedTerminationProtectionEnabled,
			ManagedScaling: &ecstypes.ManagedScaling{Status: ecstypes.ManagedScalingStatusEnabled, TargetCapacity: aws.Int32(100), InstanceWarmupPeriod: aws.Int32(300)},
		},
	}))(a)
	must(a.ecs.PutClusterCapacityProviders(ctx, &ecs.PutClusterCapacityProvidersInput{
		Cluster: aws.String("web"), CapacityProviders: []string{"asg"},
		DefaultCapacityProviderStrategy: []ecstypes.CapacityProviderStrategyItem{{CapacityProvider: aws.String("asg"), Weight: 1}},
	}))(a)
	must(a.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String("web"), ServiceName: aws.String("api"), TaskDefinition: aws.String("app"), DesiredCount: aws.Int32(2),
	}))(a)
	a.advance(30 * time.Second)
	if service := a.service(ctx, "web", "api"); service.PendingCount != 2 || len(service.CapacityProviderStrategy) != 1 || service.LaunchType != "" {
		t.Errorf("the service waits as %+v", service)
	}
	a.advance(5 * time.Minute)
	if service := a.service(ctx, "web", "api"); service.RunningCount != 2 {
		t.Errorf("%d tasks run", service.RunningCount)
	}
	g = describe()
	if len(g.Instances) != 2 || g.Instances[0].LifecycleState != scalingtypes.LifecycleStateInService || *g.DesiredCapacity != 2 {
		t.Fatalf("instances %+v, desired %d", g.Instances, *g.DesiredCapacity)
	}
	activities := must(scaling.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String("web")}))(a).Activities
	if len(activities) < 3 || activities[0].StatusCode != scalingtypes.ScalingActivityStatusCodeSuccessful || activities[0].StartTime.IsZero() {
		t.Errorf("activities %+v", activities)
	}
	instances := must(scaling.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{*g.Instances[0].InstanceId}}))(a).AutoScalingInstances
	if len(instances) != 1 || *instances[0].AutoScalingGroupName != "web" {
		t.Errorf("instances %+v", instances)
	}
	ended := must(scaling.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: g.Instances[0].InstanceId, ShouldDecrementDesiredCapacity: aws.Bool(true),
	}))(a)
	if ended.Activity.StatusCode != scalingtypes.ScalingActivityStatusCodeInProgress || *describe().DesiredCapacity != 1 {
		t.Errorf("terminated with %+v", ended.Activity)
	}
	var taken *scalingtypes.AlreadyExistsFault
	_, err := scaling.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), MinSize: aws.Int32(0), MaxSize: aws.Int32(1)})
	if !errors.As(err, &taken) {
		t.Errorf("the same name: %v", err)
	}
	var refused smithy.APIError
	_, err = scaling.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("web"), DesiredCapacity: aws.Int32(9)})
	if !errors.As(err, &refused) || refused.ErrorCode() != "ValidationError" {
		t.Errorf("above the maximum: %v", err)
	}
	var used *scalingtypes.ResourceInUseFault
	_, err = scaling.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("web")})
	if !errors.As(err, &used) {
		t.Errorf("delete with instances: %v", err)
	}
	var inUse *ecstypes.ResourceInUseException
	_, err = a.ecs.PutClusterCapacityProviders(ctx, &ecs.PutClusterCapacityProvidersInput{
		Cluster: aws.String("web"), CapacityProviders: []string{}, DefaultCapacityProviderStrategy: []ecstypes.CapacityProviderStrategyItem{},
	})
	if !errors.As(err, &inUse) {
		t.Errorf("take a provider away that is used: %v", err)
	}
}
