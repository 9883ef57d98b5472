package cloud

import (
	"strconv"
	"strings"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// The functions in this file turn the SDK's types into package snapshot's. They drop what
// a decision does not need, environment variables and other possible secrets included.

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func whole(n *int32) int {
	if n == nil {
		return 0
	}
	return int(*n)
}

func wholeOrNil(n *int32) *int {
	if n == nil {
		return nil
	}
	v := int(*n)
	return &v
}

func longOrNil(n *int32) *int64 {
	if n == nil {
		return nil
	}
	v := int64(*n)
	return &v
}

// convert applies a conversion to each element of a list; nothing stays nil.
func convert[In, Out any](list []In, f func(*In) Out) []Out {
	if len(list) == 0 {
		return nil
	}
	out := make([]Out, len(list))
	for i := range list {
		out[i] = f(&list[i])
	}
	return out
}

func containerInstance(ci *ecstypes.ContainerInstance) snapshot.ContainerInstance {
	out := snapshot.ContainerInstance{
		ARN: text(ci.ContainerInstanceArn), EC2InstanceID: text(ci.Ec2InstanceId),
		CapacityProvider: text(ci.CapacityProviderName), Version: ci.Version, Status: text(ci.Status),
		AgentConnected: ci.AgentConnected, RegisteredAt: instant(ci.RegisteredAt),
		Registered: convert(ci.RegisteredResources, resource), Remaining: convert(ci.RemainingResources, resource),
		Attributes: convert(ci.Attributes, ecsAttribute),
	}
	if ci.VersionInfo != nil {
		out.AgentVersion = text(ci.VersionInfo.AgentVersion)
	}
	return out
}

func resource(r *ecstypes.Resource) snapshot.Resource {
	return snapshot.Resource{Name: text(r.Name), Integer: max(int64(r.IntegerValue), r.LongValue), Strings: r.StringSetValue}
}

func ecsAttribute(a *ecstypes.Attribute) fleet.Attribute {
	return fleet.Attribute{Name: text(a.Name), Value: text(a.Value)}
}

func ecsTag(t *ecstypes.Tag) snapshot.Tag {
	return snapshot.Tag{Key: text(t.Key), Value: text(t.Value)}
}

func capacityProvider(p *ecstypes.CapacityProvider) snapshot.CapacityProvider {
	out := snapshot.CapacityProvider{Name: text(p.Name), ManagedInstances: p.ManagedInstancesProvider != nil}
	if p.AutoScalingGroupProvider != nil {
		arn := text(p.AutoScalingGroupProvider.AutoScalingGroupArn)
		out.AutoScalingGroup = arn[strings.LastIndexByte(arn, '/')+1:]
	}
	return out
}

func service(s *ecstypes.Service) snapshot.Service {
	out := snapshot.Service{
		ARN: text(s.ServiceArn), Name: text(s.ServiceName), Status: text(s.Status),
		Scheduling: string(s.SchedulingStrategy), LaunchType: string(s.LaunchType),
		Strategy: convert(s.CapacityProviderStrategy, providerStrategy), TaskDefinition: text(s.TaskDefinition),
		Desired: int(s.DesiredCount), Running: int(s.RunningCount), Pending: int(s.PendingCount),
		Constraints: convert(s.PlacementConstraints, func(c *ecstypes.PlacementConstraint) snapshot.Constraint {
			return snapshot.Constraint{Type: string(c.Type), Expression: text(c.Expression)}
		}),
		Placement: convert(s.PlacementStrategy, func(r *ecstypes.PlacementStrategy) snapshot.PlacementRule {
			return snapshot.PlacementRule{Type: string(r.Type), Field: text(r.Field)}
		}),
		Subnets:     subnetsOf(s.NetworkConfiguration),
		Deployments: convert(s.Deployments, deployment), TaskSets: convert(s.TaskSets, taskSet),
		CreatedAt: instant(s.CreatedAt), LastEvent: lastEvent(s.Events), Tags: convert(s.Tags, ecsTag),
	}
	if c := s.DeploymentConfiguration; c != nil {
		out.MinHealthyPercent, out.MaxPercent = wholeOrNil(c.MinimumHealthyPercent), wholeOrNil(c.MaximumPercent)
	}
	if s.DeploymentController != nil {
		out.Controller = string(s.DeploymentController.Type)
	}
	return out
}

func providerStrategy(i *ecstypes.CapacityProviderStrategyItem) snapshot.ProviderStrategy {
	return snapshot.ProviderStrategy{Provider: text(i.CapacityProvider), Base: int(i.Base), Weight: int(i.Weight)}
}

func subnetsOf(n *ecstypes.NetworkConfiguration) []string {
	if n == nil || n.AwsvpcConfiguration == nil {
		return nil
	}
	return n.AwsvpcConfiguration.Subnets
}

// lastEvent is the newest message of a service; ECS lists the newest first, but does not
// promise to.
func lastEvent(events []ecstypes.ServiceEvent) string {
	var newest *ecstypes.ServiceEvent
	for i := range events {
		if newest == nil || instant(events[i].CreatedAt).After(instant(newest.CreatedAt)) {
			newest = &events[i]
		}
	}
	if newest == nil {
		return ""
	}
	return text(newest.Message)
}

func deployment(d *ecstypes.Deployment) snapshot.Deployment {
	return snapshot.Deployment{
		ID: text(d.Id), Status: text(d.Status), TaskDefinition: text(d.TaskDefinition),
		Desired: int(d.DesiredCount), Running: int(d.RunningCount), Pending: int(d.PendingCount), Failed: int(d.FailedTasks),
		LaunchType: string(d.LaunchType), Strategy: convert(d.CapacityProviderStrategy, providerStrategy),
		Subnets: subnetsOf(d.NetworkConfiguration), Rollout: string(d.RolloutState), UpdatedAt: instant(d.UpdatedAt),
	}
}

func taskSet(s *ecstypes.TaskSet) snapshot.Deployment {
	return snapshot.Deployment{
		ID: text(s.Id), Status: text(s.Status), TaskDefinition: text(s.TaskDefinition),
		Desired: int(s.ComputedDesiredCount), Running: int(s.RunningCount), Pending: int(s.PendingCount),
		LaunchType: string(s.LaunchType), Strategy: convert(s.CapacityProviderStrategy, providerStrategy),
		Subnets: subnetsOf(s.NetworkConfiguration), UpdatedAt: instant(s.UpdatedAt),
	}
}

func task(t *ecstypes.Task) snapshot.Task {
	out := snapshot.Task{
		ARN: text(t.TaskArn), Version: t.Version, TaskDefinition: text(t.TaskDefinitionArn), Group: text(t.Group),
		StartedBy: text(t.StartedBy), ContainerInstance: text(t.ContainerInstanceArn),
		CapacityProvider: text(t.CapacityProviderName), LaunchType: string(t.LaunchType),
		LastStatus: text(t.LastStatus), DesiredStatus: text(t.DesiredStatus),
		CPU: text(t.Cpu), Memory: text(t.Memory), CreatedAt: instant(t.CreatedAt), Tags: convert(t.Tags, ecsTag),
	}
	if o := t.Overrides; o != nil {
		out.Overrides.CPU, out.Overrides.Memory = text(o.Cpu), text(o.Memory)
		for i := range o.ContainerOverrides {
			if c, sized := containerOverride(&o.ContainerOverrides[i]); sized {
				out.Overrides.Containers = append(out.Overrides.Containers, c)
			}
		}
	}
	return out
}

// containerOverride returns an override and whether it changes what the task reserves: ECS
// lists every container of a task, most of them with nothing but their name.
func containerOverride(c *ecstypes.ContainerOverride) (o snapshot.ContainerOverride, sized bool) {
	o = snapshot.ContainerOverride{
		Name: text(c.Name), CPU: longOrNil(c.Cpu), Memory: longOrNil(c.Memory),
		MemoryReservation: longOrNil(c.MemoryReservation), GPUs: gpus(c.ResourceRequirements),
	}
	return o, o.CPU != nil || o.Memory != nil || o.MemoryReservation != nil || o.GPUs != ""
}

func gpus(requirements []ecstypes.ResourceRequirement) string {
	for _, r := range requirements {
		if r.Type == ecstypes.ResourceTypeGpu {
			return text(r.Value)
		}
	}
	return ""
}

func taskDefinition(d *ecstypes.TaskDefinition, tags []ecstypes.Tag) snapshot.TaskDefinition {
	out := snapshot.TaskDefinition{
		ARN: text(d.TaskDefinitionArn), CPU: text(d.Cpu), Memory: text(d.Memory), NetworkMode: string(d.NetworkMode),
		Containers: convert(d.ContainerDefinitions, container),
		Constraints: convert(d.PlacementConstraints, func(c *ecstypes.TaskDefinitionPlacementConstraint) snapshot.Constraint {
			return snapshot.Constraint{Type: string(c.Type), Expression: text(c.Expression)}
		}),
		RequiresAttributes: convert(d.RequiresAttributes, ecsAttribute), Tags: convert(tags, ecsTag),
	}
	if p := d.RuntimePlatform; p != nil {
		out.CPUArchitecture, out.OSFamily = string(p.CpuArchitecture), string(p.OperatingSystemFamily)
	}
	return out
}

func container(c *ecstypes.ContainerDefinition) snapshot.Container {
	return snapshot.Container{
		Name: text(c.Name), CPU: int64(c.Cpu), Memory: int64(whole(c.Memory)), MemoryReservation: int64(whole(c.MemoryReservation)),
		GPUs: gpus(c.ResourceRequirements),
		Ports: convert(c.PortMappings, func(m *ecstypes.PortMapping) snapshot.PortMapping {
			return snapshot.PortMapping{
				ContainerPort: whole(m.ContainerPort), HostPort: whole(m.HostPort),
				Range: text(m.ContainerPortRange), Protocol: string(m.Protocol),
			}
		}),
	}
}

func ec2Instance(i *ec2types.Instance) snapshot.EC2Instance {
	out := snapshot.EC2Instance{
		ID: text(i.InstanceId), Type: string(i.InstanceType), Subnet: text(i.SubnetId), VPC: text(i.VpcId),
		Image: text(i.ImageId), Architecture: string(i.Architecture), Lifecycle: string(i.InstanceLifecycle),
		LaunchedAt: instant(i.LaunchTime), Tags: convert(i.Tags, ec2Tag),
	}
	if i.State != nil {
		out.State = string(i.State.Name)
	}
	if i.Placement != nil {
		out.Zone = text(i.Placement.AvailabilityZone)
	}
	return out
}

func ec2Tag(t *ec2types.Tag) snapshot.Tag {
	return snapshot.Tag{Key: text(t.Key), Value: text(t.Value)}
}

func instanceType(t *ec2types.InstanceTypeInfo) snapshot.InstanceType {
	out := snapshot.InstanceType{Name: string(t.InstanceType)}
	if t.ProcessorInfo != nil {
		for _, a := range t.ProcessorInfo.SupportedArchitectures {
			out.Architectures = append(out.Architectures, string(a))
		}
	}
	if t.VCpuInfo != nil {
		out.VCPUs = int64(whole(t.VCpuInfo.DefaultVCpus))
	}
	if t.MemoryInfo != nil && t.MemoryInfo.SizeInMiB != nil {
		out.MemoryMiB = *t.MemoryInfo.SizeInMiB
	}
	if t.GpuInfo != nil {
		for _, g := range t.GpuInfo.Gpus {
			out.GPUs += int64(whole(g.Count))
		}
	}
	if t.NetworkInfo != nil {
		out.MaxENIs = int64(whole(t.NetworkInfo.MaximumNetworkInterfaces))
		for _, card := range t.NetworkInfo.NetworkCards {
			out.NetworkMbps += megabits(card.BaselineBandwidthInGbps)
		}
	}
	if t.InstanceStorageInfo != nil && t.InstanceStorageInfo.TotalSizeInGB != nil {
		out.DiskGiB = *t.InstanceStorageInfo.TotalSizeInGB
	}
	out.MaxENIs, out.TrunkTasks = interfaceLimits(out.Name, out.MaxENIs)
	out.Burstable = t.BurstablePerformanceSupported != nil && *t.BurstablePerformanceSupported
	out.Metal = t.BareMetal != nil && *t.BareMetal
	return out
}

// megabits turns gigabits per second into whole megabits. What is no plausible number is 0:
// unknown.
func megabits(gbps *float64) int64 {
	const most = 1e5 // Gbit/s: far beyond any network card
	if gbps == nil || !(*gbps > 0 && *gbps < most) {
		return 0
	}
	return int64(*gbps * 1000)
}

func offer(o *ec2types.InstanceTypeOffering) snapshot.Offer {
	return snapshot.Offer{Type: string(o.InstanceType), Zone: text(o.Location)}
}

func spotPrice(p *ec2types.SpotPrice) snapshot.SpotPrice {
	return snapshot.SpotPrice{
		Type: string(p.InstanceType), Zone: text(p.AvailabilityZone), Spot: dollars(text(p.SpotPrice)), At: instant(p.Timestamp),
		Windows: strings.HasPrefix(string(p.ProductDescription), windowsProduct),
	}
}

// dollars reads a price per hour. What is no positive number, "NaN" included, is 0: unknown.
func dollars(s string) fleet.Price {
	const most = 1e5 // $/h: a hundred times the dearest instance there is
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0 && v < most) {
		return 0
	}
	return fleet.USD(v)
}

func subnet(s *ec2types.Subnet) snapshot.Subnet {
	return snapshot.Subnet{
		ID: text(s.SubnetId), Zone: text(s.AvailabilityZone), VPC: text(s.VpcId), FreeAddresses: whole(s.AvailableIpAddressCount),
	}
}
