package dst

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/catalogue"
	"github.com/neap-project/neap/libs/fleet/sim"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// eye reads a world through its Describe operations.
type eye struct {
	w           *sim.World
	definitions map[string]snapshot.TaskDefinition
	catalogue   snapshot.Catalogue
	images      []snapshot.Image

	// What was read stays right until something happens in the world.
	version int
	read    map[string]remembered
}

// remembered is an answer, and of which version of the world it is.
type remembered struct {
	version int
	answer  any
}

// once reads again only if something has happened since.
func once[T any](e *eye, what string, read func() T) T {
	if r, ok := e.read[what]; ok && r.version == e.version {
		return r.answer.(T)
	}
	got := read()
	e.read[what] = remembered{e.version, got}
	return got
}

// changed says that something has happened to the world.
func (e *eye) changed() { e.version++ }

func (e *eye) containerInstances() []snapshot.ContainerInstance {
	return once(e, "container instances", e.readContainerInstances)
}

func (e *eye) machines() []snapshot.EC2Instance { return once(e, "machines", e.readMachines) }

func (e *eye) services() []snapshot.Service { return once(e, "services", e.readServices) }

func (e *eye) allTasks() snapshot.Tasks { return once(e, "tasks", e.readAllTasks) }

// must is for calls that cannot fail: only faults make calls fail, and they are outside.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func lastOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// sorted are the keys of a map in order.
func sorted[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// sells says what types there are: few, so that a plan is made quickly.
func sells(name string) bool {
	family, size, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"m7i", "c7i"}, family) && slices.Contains([]string{"large", "xlarge", "2xlarge"}, size)
}

// tasks describes tasks that have not ended.
func (e *eye) tasks(arns []string) []snapshot.Task {
	protected := map[string]bool{}
	for _, p := range must(e.w.GetTaskProtection(&sim.GetTaskProtectionInput{Cluster: cluster, Tasks: arns})).ProtectedTasks {
		protected[p.TaskArn] = p.ProtectionEnabled
	}
	var list []snapshot.Task
	out := must(e.w.DescribeTasks(&sim.DescribeTasksInput{Cluster: cluster, Tasks: arns, Include: []string{"TAGS"}}))
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
	out := must(e.w.DescribeTaskDefinition(&sim.DescribeTaskDefinitionInput{TaskDefinition: arn, Include: []string{"TAGS"}}))
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

func (e *eye) readCatalogue() {
	c := &e.catalogue
	trunks := map[string]int64{} // in no API
	for _, t := range must(catalogue.Embedded()).Types {
		trunks[t.Name] = t.TrunkTasks
	}
	token := ""
	for {
		out := must(e.w.DescribeInstanceTypes(&sim.DescribeInstanceTypesInput{NextToken: token}))
		for _, i := range out.InstanceTypes {
			if sells(i.InstanceType) {
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
		out := must(e.w.DescribeInstanceTypeOfferings(&sim.DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone", NextToken: token}))
		for _, o := range out.InstanceTypeOfferings {
			if sells(o.InstanceType) {
				c.Offers = append(c.Offers, snapshot.Offer{Type: o.InstanceType, Zone: o.Location})
			}
		}
		if token = out.NextToken; token == "" {
			break
		}
	}
}

// capacity is about what an instance of a type registers.
func (e *eye) capacity(name string) fleet.Resources {
	const share = 1024 // CPU units of a vCPU
	for i := range e.catalogue.Types {
		if t := &e.catalogue.Types[i]; t.Name == name {
			return fleet.Resources{CPUUnits: share * t.VCPUs, MemoryMiB: t.MemoryMiB}
		}
	}
	return fleet.Resources{}
}

// readPrice reads the on-demand price of a type from the price list.
func (e *eye) readPrice(name string) {
	out := must(e.w.GetProducts(&sim.GetProductsInput{ServiceCode: "AmazonEC2", Filters: []sim.ProductFilter{{Field: "instanceType", Value: name}, {Field: "operatingSystem", Value: "Linux"}}}))
	for _, text := range out.PriceList {
		var item struct {
			Terms map[string]map[string]struct {
				PriceDimensions map[string]struct {
					PricePerUnit map[string]string `json:"pricePerUnit"`
				} `json:"priceDimensions"`
			} `json:"terms"`
		}
		if err := json.Unmarshal([]byte(text), &item); err != nil {
			panic(err)
		}
		//neap:unordered there is one term with one price
		for _, offer := range item.Terms["OnDemand"] {
			//neap:unordered there is one
			for _, dimension := range offer.PriceDimensions {
				usd := must(strconv.ParseFloat(dimension.PricePerUnit["USD"], 64))
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
		}))
		for _, p := range out.SpotPriceHistory {
			usd := must(strconv.ParseFloat(p.SpotPrice, 64))
			list = append(list, snapshot.SpotPrice{Type: p.InstanceType, Zone: p.AvailabilityZone, Spot: fleet.USD(usd), At: p.Timestamp.Time})
		}
		if token = out.NextToken; token == "" {
			return list
		}
	}
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

// readContainerInstances reads those of the cluster.
func (e *eye) readContainerInstances() (list []snapshot.ContainerInstance) {
	token := ""
	for {
		found := must(e.w.ListContainerInstances(&sim.ListContainerInstancesInput{Cluster: cluster, NextToken: token}))
		if len(found.ContainerInstanceArns) > 0 {
			out := must(e.w.DescribeContainerInstances(&sim.DescribeContainerInstancesInput{Cluster: cluster, ContainerInstances: found.ContainerInstanceArns}))
			for _, ci := range out.ContainerInstances {
				list = append(list, snapshot.ContainerInstance{
					ARN: ci.ContainerInstanceArn, EC2InstanceID: ci.Ec2InstanceID, CapacityProvider: ci.CapacityProviderName, Version: ci.Version, Status: ci.Status,
					AgentConnected: ci.AgentConnected, AgentVersion: ci.VersionInfo.AgentVersion, RegisteredAt: ci.RegisteredAt.Time,
					Registered: resources(ci.RegisteredResources), Remaining: resources(ci.RemainingResources), Attributes: attributes(ci.Attributes),
				})
			}
		}
		if token = found.NextToken; token == "" {
			return list
		}
	}
}

// readMachines reads the EC2 instances of the account.
func (e *eye) readMachines() (list []snapshot.EC2Instance) {
	token := ""
	for {
		out := must(e.w.DescribeInstances(&sim.DescribeInstancesInput{NextToken: token, MaxResults: 1000}))
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				list = append(list, snapshot.EC2Instance{
					ID: i.InstanceID, State: i.State.Name, Type: i.InstanceType, Zone: i.Placement.AvailabilityZone, Subnet: i.SubnetID, VPC: i.VpcID,
					Image: i.ImageID, Architecture: i.Architecture, Lifecycle: i.InstanceLifecycle, LaunchedAt: i.LaunchTime.Time, Tags: tags(i.Tags),
				})
			}
		}
		if token = out.NextToken; token == "" {
			return list
		}
	}
}

// readServices reads those of the cluster, with the definitions that they name.
func (e *eye) readServices() (list []snapshot.Service) {
	names := must(e.w.ListServices(&sim.ListServicesInput{Cluster: cluster, MaxResults: 100}))
	for arns := range slices.Chunk(names.ServiceArns, 10) {
		out := must(e.w.DescribeServices(&sim.DescribeServicesInput{Cluster: cluster, Services: arns, Include: []string{"TAGS"}}))
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
			list = append(list, v)
		}
	}
	return list
}

// readAllTasks reads the tasks that have not ended.
func (e *eye) readAllTasks() (in snapshot.Tasks) {
	for _, desired := range []string{"RUNNING", "STOPPED"} {
		token := ""
		for {
			list := must(e.w.ListTasks(&sim.ListTasksInput{Cluster: cluster, DesiredStatus: desired, NextToken: token}))
			if len(list.TaskArns) > 0 {
				in.Tasks = append(in.Tasks, e.tasks(list.TaskArns)...)
			}
			if token = list.NextToken; token == "" {
				break
			}
		}
	}
	for _, arn := range sorted(e.definitions) {
		in.Definitions = append(in.Definitions, e.definitions[arn])
	}
	return in
}

// subnets are those of the world.
func (e *eye) subnets() (list []snapshot.Subnet) {
	for _, s := range must(e.w.DescribeSubnets(&sim.DescribeSubnetsInput{})).Subnets {
		list = append(list, snapshot.Subnet{ID: s.SubnetID, Zone: s.AvailabilityZone, VPC: s.VpcID, FreeAddresses: s.AvailableIPAddressCount})
	}
	return list
}

// machine is one EC2 instance; none if EC2 does not know it.
func (e *eye) machine(id fleet.InstanceID) []snapshot.EC2Instance {
	for _, m := range e.machines() {
		if m.ID == string(id) {
			return []snapshot.EC2Instance{m}
		}
	}
	return nil
}

// containerInstance is that of an EC2 instance; nil if there is none.
func (e *eye) containerInstance(id fleet.InstanceID) *snapshot.ContainerInstance {
	for _, ci := range e.containerInstances() {
		if ci.EC2InstanceID == string(id) {
			return &ci
		}
	}
	return nil
}

// tasksOn are the tasks on a container instance that have not ended.
func (e *eye) tasksOn(arn string) (list []snapshot.Task) {
	for _, desired := range []string{"RUNNING", "STOPPED"} {
		found := must(e.w.ListTasks(&sim.ListTasksInput{Cluster: cluster, ContainerInstance: arn, DesiredStatus: desired}))
		if len(found.TaskArns) > 0 {
			list = append(list, e.tasks(found.TaskArns)...)
		}
	}
	return list
}

const imageParameter = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"

// newEye opens its eyes: it reads what does not change.
func newEye(w *sim.World) *eye {
	e := &eye{w: w, definitions: map[string]snapshot.TaskDefinition{}, read: map[string]remembered{}}
	e.readCatalogue()
	out := must(w.GetParameters(&sim.GetParametersInput{Names: []string{imageParameter}}))
	e.images = []snapshot.Image{{Parameter: imageParameter, ID: out.Parameters[0].Value, Architecture: "x86_64"}}
	return e
}
