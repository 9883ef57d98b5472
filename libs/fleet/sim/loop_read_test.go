package sim_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/catalogue"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// eye reads a world through its Describe operations, as a watcher would.
type eye struct {
	t           *testing.T
	w           *sim.World
	cluster     string
	definitions map[string]snapshot.TaskDefinition
	catalogue   snapshot.Catalogue
	images      []snapshot.Image
	notices     []snapshot.Notice
	refused     []snapshot.Refused
	learned     []fleet.Learned
}

// The images that launch specs name.
const (
	imageParameter = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
	imageARM       = "/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"
	imageGPU       = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
)

// assortment are the types that the worlds of a test sell: all families in all sizes.
type assortment struct{ families, sizes []string }

// A few sizes of three families leave enough choice. The broad assortment has arm64, GPUs,
// and types without trunk interfaces beside them.
var (
	narrow = assortment{[]string{"m7i", "c7i", "r7i", "c6i"}, []string{"large", "xlarge", "2xlarge", "4xlarge"}}
	broad  = assortment{append([]string{"m7g", "c7g", "g4dn", "c5n"}, narrow.families...), narrow.sizes}
)

func (a *assortment) sells(name string) bool {
	family, size, _ := strings.Cut(name, ".")
	return slices.Contains(a.families, family) && slices.Contains(a.sizes, size)
}

// shop keeps the catalogues that were read: what EC2 sells and for how much depends on the
// zones of a world, not on its seed, and reading it takes longer than a short story.
type shop struct {
	assortment
	byZones map[int]snapshot.Catalogue
}

func newShop(a assortment) *shop { return &shop{assortment: a, byZones: map[int]snapshot.Catalogue{}} }

func newEye(t *testing.T, w *sim.World, cluster string, s *shop) *eye {
	e := &eye{t: t, w: w, cluster: cluster, definitions: map[string]snapshot.TaskDefinition{}}
	zones := len(must(w.DescribeAvailabilityZones(&sim.DescribeAvailabilityZonesInput{}))(t).AvailabilityZones)
	if _, known := s.byZones[zones]; !known {
		e.readCatalogue(s)
		s.byZones[zones] = e.catalogue
	}
	e.catalogue = s.byZones[zones]
	for _, i := range []struct{ parameter, architecture string }{{imageParameter, "x86_64"}, {imageARM, "arm64"}, {imageGPU, "x86_64"}} {
		out := must(w.GetParameters(&sim.GetParametersInput{Names: []string{i.parameter}}))(t)
		e.images = append(e.images, snapshot.Image{Parameter: i.parameter, ID: out.Parameters[0].Value, Architecture: i.architecture})
	}
	return e
}

// must returns a value, or fails the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (e *eye) readCatalogue(s *shop) {
	c := &e.catalogue
	trunks := map[string]int64{} // in no API
	for _, t := range must(catalogue.Embedded())(e.t).Types {
		trunks[t.Name] = t.TrunkTasks
	}
	token := ""
	for {
		out := must(e.w.DescribeInstanceTypes(&sim.DescribeInstanceTypesInput{NextToken: token}))(e.t)
		for _, i := range out.InstanceTypes {
			if s.sells(i.InstanceType) {
				t := snapshot.InstanceType{
					Name: i.InstanceType, Architectures: i.ProcessorInfo.SupportedArchitectures, VCPUs: i.VCPUInfo.DefaultVCpus,
					MemoryMiB: i.MemoryInfo.SizeInMiB, MaxENIs: i.NetworkInfo.MaximumNetworkInterfaces, TrunkTasks: trunks[i.InstanceType],
				}
				if i.GpuInfo != nil {
					for _, g := range i.GpuInfo.Gpus {
						t.GPUs += g.Count
					}
				}
				c.Types = append(c.Types, t)
				e.readPrice(i.InstanceType)
			}
		}
		if token = out.NextToken; token == "" {
			break
		}
	}
	for {
		out := must(e.w.DescribeInstanceTypeOfferings(&sim.DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone", NextToken: token}))(e.t)
		for _, o := range out.InstanceTypeOfferings {
			if s.sells(o.InstanceType) {
				c.Offers = append(c.Offers, snapshot.Offer{Type: o.InstanceType, Zone: o.Location})
			}
		}
		if token = out.NextToken; token == "" {
			break
		}
	}
}

// readPrice reads the on-demand price of a type from the price list.
func (e *eye) readPrice(name string) {
	out := must(e.w.GetProducts(&sim.GetProductsInput{ServiceCode: "AmazonEC2", Filters: []sim.ProductFilter{{Field: "instanceType", Value: name}, {Field: "operatingSystem", Value: "Linux"}}}))(e.t)
	for _, text := range out.PriceList {
		var item struct {
			Terms map[string]map[string]struct {
				PriceDimensions map[string]struct {
					PricePerUnit map[string]string `json:"pricePerUnit"`
				} `json:"priceDimensions"`
			} `json:"terms"`
		}
		if err := json.Unmarshal([]byte(text), &item); err != nil {
			e.t.Fatal(err)
		}
		for _, offer := range item.Terms["OnDemand"] {
			for _, dimension := range offer.PriceDimensions {
				usd := must(strconv.ParseFloat(dimension.PricePerUnit["USD"], 64))(e.t)
				e.catalogue.Prices = append(e.catalogue.Prices, snapshot.Price{Type: name, OnDemand: fleet.USD(usd)})
			}
		}
	}
}

// readSpot reads the spot prices of now.
func (e *eye) readSpot() []snapshot.SpotPrice {
	var list []snapshot.SpotPrice
	var names []string
	for _, t := range e.catalogue.Types {
		names = append(names, t.Name)
	}
	token := ""
	for {
		out := must(e.w.DescribeSpotPriceHistory(&sim.DescribeSpotPriceHistoryInput{
			InstanceTypes: names, ProductDescriptions: []string{"Linux/UNIX"}, StartTime: sim.Timestamp{Time: e.w.Now()}, EndTime: sim.Timestamp{Time: e.w.Now()}, NextToken: token,
		}))(e.t)
		for _, p := range out.SpotPriceHistory {
			usd := must(strconv.ParseFloat(p.SpotPrice, 64))(e.t)
			list = append(list, snapshot.SpotPrice{Type: p.InstanceType, Zone: p.AvailabilityZone, Spot: fleet.USD(usd), At: p.Timestamp.Time})
		}
		if token = out.NextToken; token == "" {
			return list
		}
	}
}

// look assembles the snapshot of now.
func (e *eye) look() fleet.Snapshot {
	now := e.w.Now()
	read := snapshot.Read{StartedAt: now, ReadAt: now, Complete: true}
	in := snapshot.Input{
		Cluster: fleet.ClusterName(e.cluster), Account: e.w.Account(), Region: e.w.Region(), Generation: 1,
		RestrictTags: fleet.Policy{LaunchSpecs: []fleet.LaunchSpec{{}}}.WithDefaults().Attributes.RestrictTags,
		Notices:      e.notices, Refused: e.refused, Learned: e.learned, Catalogue: e.catalogue,
	}
	in.ContainerInstances.Read, in.EC2.Read, in.Services.Read, in.Tasks.Read, in.Catalogue.Read, in.Network.Read = read, read, read, read, read, read
	if len(e.catalogue.Spot) == 0 || now.Minute()%10 == 0 && now.Second() == 0 {
		e.catalogue.Spot = e.readSpot()
		in.Catalogue.Spot = e.catalogue.Spot
	}
	in.Network.Images = e.images
	for _, s := range must(e.w.DescribeSubnets(&sim.DescribeSubnetsInput{}))(e.t).Subnets {
		in.Network.Subnets = append(in.Network.Subnets, snapshot.Subnet{ID: s.SubnetID, Zone: s.AvailabilityZone, VPC: s.VpcID, FreeAddresses: s.AvailableIPAddressCount})
	}
	e.readProviders(&in)
	e.readInstances(&in)
	e.readServices(&in)
	e.readTasks(&in)
	snap := snapshot.Assemble(in)
	e.learned = snap.Learned
	return snap
}

func (e *eye) readInstances(in *snapshot.Input) {
	token := ""
	for {
		list := must(e.w.ListContainerInstances(&sim.ListContainerInstancesInput{Cluster: e.cluster, NextToken: token}))(e.t)
		if len(list.ContainerInstanceArns) > 0 {
			out := must(e.w.DescribeContainerInstances(&sim.DescribeContainerInstancesInput{Cluster: e.cluster, ContainerInstances: list.ContainerInstanceArns}))(e.t)
			for _, ci := range out.ContainerInstances {
				in.ContainerInstances.Instances = append(in.ContainerInstances.Instances, snapshot.ContainerInstance{
					ARN: ci.ContainerInstanceArn, EC2InstanceID: ci.Ec2InstanceID, CapacityProvider: ci.CapacityProviderName, Version: ci.Version, Status: ci.Status,
					AgentConnected: ci.AgentConnected, AgentVersion: ci.VersionInfo.AgentVersion, RegisteredAt: ci.RegisteredAt.Time,
					Registered: resources(ci.RegisteredResources), Remaining: resources(ci.RemainingResources), Attributes: attributes(ci.Attributes),
				})
			}
		}
		if token = list.NextToken; token == "" {
			break
		}
	}
	for {
		out := must(e.w.DescribeInstances(&sim.DescribeInstancesInput{NextToken: token, MaxResults: 1000}))(e.t)
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				in.EC2.Instances = append(in.EC2.Instances, snapshot.EC2Instance{
					ID: i.InstanceID, State: i.State.Name, Type: i.InstanceType, Zone: i.Placement.AvailabilityZone, Subnet: i.SubnetID, VPC: i.VpcID,
					Image: i.ImageID, Architecture: i.Architecture, Lifecycle: i.InstanceLifecycle, LaunchedAt: i.LaunchTime.Time, Tags: tags(i.Tags),
				})
			}
		}
		if token = out.NextToken; token == "" {
			break
		}
	}
}

func (e *eye) readProviders(in *snapshot.Input) {
	for _, p := range must(e.w.DescribeCapacityProviders(&sim.DescribeCapacityProvidersInput{}))(e.t).CapacityProviders {
		if g := p.AutoScalingGroupProvider; g != nil {
			in.ContainerInstances.CapacityProviders = append(in.ContainerInstances.CapacityProviders, snapshot.CapacityProvider{
				Name: p.Name, AutoScalingGroup: lastOf(g.AutoScalingGroupArn),
			})
		}
	}
}

func (e *eye) readServices(in *snapshot.Input) {
	list := must(e.w.ListServices(&sim.ListServicesInput{Cluster: e.cluster, MaxResults: 100}))(e.t)
	for arns := range slices.Chunk(list.ServiceArns, 10) {
		out := must(e.w.DescribeServices(&sim.DescribeServicesInput{Cluster: e.cluster, Services: arns, Include: []string{"TAGS"}}))(e.t)
		for _, s := range out.Services {
			v := snapshot.Service{
				ARN: s.ServiceArn, Name: s.ServiceName, Status: s.Status, Scheduling: s.SchedulingStrategy, LaunchType: s.LaunchType,
				TaskDefinition: s.TaskDefinition, Desired: s.DesiredCount, Running: s.RunningCount, Pending: s.PendingCount,
				MinHealthyPercent: s.DeploymentConfiguration.MinimumHealthyPercent, MaxPercent: s.DeploymentConfiguration.MaximumPercent,
				Controller: s.DeploymentController.Type, CreatedAt: s.CreatedAt.Time, Tags: tags(s.Tags),
			}
			for _, c := range s.PlacementConstraints {
				v.Constraints = append(v.Constraints, snapshot.Constraint{Type: c.Type, Expression: c.Expression})
			}
			v.Strategy, v.Subnets = strategies(s.CapacityProviderStrategy), subnetsOf(s.NetworkConfiguration)
			for _, p := range s.PlacementStrategy {
				v.Placement = append(v.Placement, snapshot.PlacementRule{Type: p.Type, Field: p.Field})
			}
			for _, d := range s.Deployments {
				v.Deployments = append(v.Deployments, snapshot.Deployment{
					ID: d.ID, Status: d.Status, TaskDefinition: d.TaskDefinition, Desired: d.DesiredCount, Running: d.RunningCount,
					Pending: d.PendingCount, Failed: d.FailedTasks, LaunchType: d.LaunchType, Rollout: d.RolloutState, UpdatedAt: d.UpdatedAt.Time,
					Strategy: strategies(d.CapacityProviderStrategy), Subnets: subnetsOf(d.NetworkConfiguration),
				})
				e.define(d.TaskDefinition)
			}
			if len(s.Events) > 0 {
				v.LastEvent = s.Events[0].Message
			}
			in.Services.Services = append(in.Services.Services, v)
		}
	}
}

func (e *eye) readTasks(in *snapshot.Input) {
	for _, desired := range []string{"RUNNING", "STOPPED"} {
		token := ""
		for {
			list := must(e.w.ListTasks(&sim.ListTasksInput{Cluster: e.cluster, DesiredStatus: desired, NextToken: token}))(e.t)
			if len(list.TaskArns) > 0 {
				in.Tasks.Tasks = append(in.Tasks.Tasks, e.tasks(list.TaskArns)...)
			}
			if token = list.NextToken; token == "" {
				break
			}
		}
	}
	for _, arn := range sorted(e.definitions) {
		in.Tasks.Definitions = append(in.Tasks.Definitions, e.definitions[arn])
	}
}

// tasks describes tasks that have not ended.
func (e *eye) tasks(arns []string) []snapshot.Task {
	protected := map[string]bool{}
	for _, p := range must(e.w.GetTaskProtection(&sim.GetTaskProtectionInput{Cluster: e.cluster, Tasks: arns}))(e.t).ProtectedTasks {
		protected[p.TaskArn] = p.ProtectionEnabled
	}
	var list []snapshot.Task
	out := must(e.w.DescribeTasks(&sim.DescribeTasksInput{Cluster: e.cluster, Tasks: arns, Include: []string{"TAGS"}}))(e.t)
	for _, t := range out.Tasks {
		if t.LastStatus == "STOPPED" {
			continue
		}
		e.define(t.TaskDefinitionArn)
		list = append(list, snapshot.Task{
			ARN: t.TaskArn, Version: t.Version, TaskDefinition: t.TaskDefinitionArn, Group: t.Group, StartedBy: t.StartedBy,
			ContainerInstance: t.ContainerInstanceArn, CapacityProvider: t.CapacityProviderName, LaunchType: t.LaunchType, LastStatus: t.LastStatus, DesiredStatus: t.DesiredStatus,
			CPU: t.CPU, Memory: t.Memory, CreatedAt: t.CreatedAt.Time, Protected: protected[t.TaskArn], Tags: tags(t.Tags),
		})
	}
	return list
}

// define reads a task definition, once.
func (e *eye) define(arn string) {
	if _, known := e.definitions[arn]; known {
		return
	}
	out := must(e.w.DescribeTaskDefinition(&sim.DescribeTaskDefinitionInput{TaskDefinition: arn, Include: []string{"TAGS"}}))(e.t)
	d := out.TaskDefinition
	v := snapshot.TaskDefinition{
		ARN: arn, CPU: d.CPU, Memory: d.Memory, NetworkMode: d.NetworkMode, RequiresAttributes: attributes(d.RequiresAttributes), Tags: tags(out.Tags),
	}
	if p := d.RuntimePlatform; p != nil {
		v.CPUArchitecture, v.OSFamily = p.CPUArchitecture, p.OperatingSystemFamily
	}
	for _, c := range d.ContainerDefinitions {
		container := snapshot.Container{Name: c.Name, CPU: c.CPU, Memory: c.Memory, MemoryReservation: c.MemoryReservation}
		for _, r := range c.ResourceRequirements {
			if r.Type == "GPU" {
				container.GPUs = r.Value
			}
		}
		for _, p := range c.PortMappings {
			container.Ports = append(container.Ports, snapshot.PortMapping{ContainerPort: p.ContainerPort, HostPort: p.HostPort, Protocol: p.Protocol})
		}
		v.Containers = append(v.Containers, container)
	}
	for _, c := range d.PlacementConstraints {
		v.Constraints = append(v.Constraints, snapshot.Constraint{Type: c.Type, Expression: c.Expression})
	}
	e.definitions[arn] = v
}

func strategies(list []sim.CapacityProviderStrategyItem) []snapshot.ProviderStrategy {
	var out []snapshot.ProviderStrategy
	for _, i := range list {
		out = append(out, snapshot.ProviderStrategy{Provider: lastOf(i.CapacityProvider), Base: i.Base, Weight: i.Weight})
	}
	return out
}

func subnetsOf(n *sim.NetworkConfiguration) []string {
	if n == nil || n.AwsvpcConfiguration == nil {
		return nil
	}
	return n.AwsvpcConfiguration.Subnets
}

func resources(list []sim.Resource) []snapshot.Resource {
	var out []snapshot.Resource
	for _, r := range list {
		out = append(out, snapshot.Resource{Name: r.Name, Integer: r.IntegerValue, Strings: r.StringSetValue})
	}
	return out
}

func attributes(list []sim.Attribute) []fleet.Attribute {
	var out []fleet.Attribute
	for _, a := range list {
		out = append(out, fleet.Attribute{Name: a.Name, Value: a.Value})
	}
	return out
}

func tags(list []sim.Tag) []snapshot.Tag {
	var out []snapshot.Tag
	for _, t := range list {
		out = append(out, snapshot.Tag{Key: t.Key, Value: t.Value})
	}
	return out
}

// forget drops notices that are long past.
func (e *eye) forget() {
	e.notices = slices.DeleteFunc(e.notices, func(n snapshot.Notice) bool { return e.w.Now().Sub(n.At) > time.Hour })
}
