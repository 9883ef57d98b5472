// Package snapshot turns what AWS answered into a [fleet.Snapshot].
//
// The input types mirror the answers of ECS and EC2 as plain data: strings are spelled as
// AWS spells them, sections are read one by one and may be incomplete. [Assemble] joins
// them. It is a pure function: the order of the input does not matter, and the same
// answers give the same bytes.
package snapshot

import (
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// Input is everything that goes into one snapshot of one cluster.
type Input struct {
	Cluster    fleet.ClusterName
	Account    string
	Region     string
	Generation uint64

	// RestrictTags are the names of the tags that, set to true, keep an instance from being
	// removed (see fleet.AttributePolicy).
	RestrictTags []string

	ContainerInstances ContainerInstances // fleet.SectionInstances
	EC2                EC2                // fleet.SectionEC2
	Services           Services           // fleet.SectionServices
	Tasks              Tasks              // fleet.SectionTasks
	Catalogue          Catalogue          // fleet.SectionCatalogue
	Network            Network            // fleet.SectionNetwork

	Notices     []Notice        // from events: what AWS is going to take
	Refused     []Refused       // from events: standalone tasks that found no room, and are expected to be asked for again
	Impaired    []string        // EC2 instances of which a status check fails
	Protections []Protection    // instances that a person has told Neap to keep
	Learned     []fleet.Learned // of the snapshot before: what instances were seen to register
}

// Read says when a section was read and whether all of it was.
type Read struct {
	StartedAt time.Time `json:"startedAt"` // when its oldest page was asked for
	ReadAt    time.Time `json:"readAt"`    // when its newest page had come
	Complete  bool      `json:"complete"`
	Problem   string    `json:"problem,omitempty"` // why it is not complete
}

// Fail marks the section incomplete. The first problem is the one that is kept: later ones
// often follow from it.
func (r *Read) Fail(problem string) {
	if r.Complete || r.Problem == "" {
		r.Problem = problem
	}
	r.Complete = false
}

// ContainerInstances is what ECS says about the cluster itself and its container instances.
type ContainerInstances struct {
	Read
	Instances         []ContainerInstance
	CapacityProviders []CapacityProvider
}

// ContainerInstance is one answer of DescribeContainerInstances.
type ContainerInstance struct {
	ARN              string            `json:"arn"`
	EC2InstanceID    string            `json:"ec2InstanceID"`
	CapacityProvider string            `json:"capacityProvider,omitempty"`
	Version          int64             `json:"version"`
	Status           string            `json:"status"` // REGISTERING, ACTIVE, DRAINING …
	AgentConnected   bool              `json:"agentConnected"`
	AgentVersion     string            `json:"agentVersion,omitempty"`
	RegisteredAt     time.Time         `json:"registeredAt,omitzero"`
	Registered       []Resource        `json:"registered,omitempty"`
	Remaining        []Resource        `json:"remaining,omitempty"`
	Attributes       []fleet.Attribute `json:"attributes,omitempty"`
}

// Resource is one registered or remaining resource: CPU and MEMORY have a number, PORTS,
// PORTS_UDP and GPU a list. The remaining PORTS are those in use.
type Resource struct {
	Name    string   `json:"name"`
	Integer int64    `json:"integer,omitempty"`
	Strings []string `json:"strings,omitempty"`
}

// CapacityProvider is one answer of DescribeCapacityProviders.
type CapacityProvider struct {
	Name             string `json:"name"`
	AutoScalingGroup string `json:"autoScalingGroup,omitempty"` // name of its group, if it has one
	ManagedInstances bool   `json:"managedInstances,omitempty"` // ECS runs its instances: none of our business
}

// EC2 is what EC2 says about instances: those of the installation and those that are
// container instances of the cluster.
type EC2 struct {
	Read
	Instances []EC2Instance
}

// EC2Instance is one answer of DescribeInstances.
type EC2Instance struct {
	ID           string    `json:"id"`
	State        string    `json:"state"` // pending, running, shutting-down, terminated, stopping, stopped
	Type         string    `json:"type"`
	Zone         string    `json:"zone"`
	Subnet       string    `json:"subnet,omitempty"`
	VPC          string    `json:"vpc,omitempty"`
	Image        string    `json:"image,omitempty"`
	Architecture string    `json:"architecture,omitempty"` // x86_64, arm64
	Lifecycle    string    `json:"lifecycle,omitempty"`    // spot, scheduled, capacity-block; empty is on-demand
	LaunchedAt   time.Time `json:"launchedAt,omitzero"`
	Tags         []Tag     `json:"tags,omitempty"`
}

// Tag is a tag of an ECS or EC2 resource.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

// Services is what ECS says about services.
type Services struct {
	Read
	Services []Service
}

// Service is one answer of DescribeServices.
type Service struct {
	ARN               string             `json:"arn"`
	Name              string             `json:"name"`
	Status            string             `json:"status"` // ACTIVE, DRAINING, INACTIVE
	Scheduling        string             `json:"scheduling,omitempty"`
	LaunchType        string             `json:"launchType,omitempty"`
	Strategy          []ProviderStrategy `json:"strategy,omitempty"` // of capacity providers
	TaskDefinition    string             `json:"taskDefinition,omitempty"`
	Desired           int                `json:"desired"`
	Running           int                `json:"running"`
	Pending           int                `json:"pending"`
	MinHealthyPercent *int               `json:"minHealthyPercent,omitempty"`
	MaxPercent        *int               `json:"maxPercent,omitempty"`
	Controller        string             `json:"controller,omitempty"` // ECS, CODE_DEPLOY, EXTERNAL
	Constraints       []Constraint       `json:"constraints,omitempty"`
	Placement         []PlacementRule    `json:"placement,omitempty"`
	Subnets           []string           `json:"subnets,omitempty"` // of its awsvpc configuration
	Deployments       []Deployment       `json:"deployments,omitempty"`
	TaskSets          []Deployment       `json:"taskSets,omitempty"` // of CODE_DEPLOY and EXTERNAL controllers
	CreatedAt         time.Time          `json:"createdAt,omitzero"`
	LastEvent         string             `json:"lastEvent,omitempty"`
	Tags              []Tag              `json:"tags,omitempty"`
}

// ProviderStrategy is one item of a capacity provider strategy.
type ProviderStrategy struct {
	Provider string `json:"provider"`
	Base     int    `json:"base,omitempty"`
	Weight   int    `json:"weight,omitempty"`
}

// Constraint is a placement constraint: memberOf with its expression, or distinctInstance.
type Constraint struct {
	Type       string `json:"type"`
	Expression string `json:"expression,omitempty"`
}

// PlacementRule is one rule of a placement strategy.
type PlacementRule struct {
	Type  string `json:"type"`
	Field string `json:"field,omitempty"`
}

// Deployment is a deployment of a service, or a task set, whose computed desired count is
// Desired.
type Deployment struct {
	ID             string             `json:"id"`
	Status         string             `json:"status"` // PRIMARY, ACTIVE, INACTIVE, DRAINING
	TaskDefinition string             `json:"taskDefinition"`
	Desired        int                `json:"desired"`
	Running        int                `json:"running"`
	Pending        int                `json:"pending"`
	Failed         int                `json:"failed,omitempty"`
	LaunchType     string             `json:"launchType,omitempty"`
	Strategy       []ProviderStrategy `json:"strategy,omitempty"`
	Subnets        []string           `json:"subnets,omitempty"`
	Rollout        string             `json:"rollout,omitempty"` // IN_PROGRESS, COMPLETED, FAILED
	UpdatedAt      time.Time          `json:"updatedAt,omitzero"`
}

// Tasks is what ECS says about tasks, and the definitions of all task definitions that
// tasks, deployments and task sets refer to.
type Tasks struct {
	Read
	Tasks       []Task
	Definitions []TaskDefinition
}

// Task is one answer of DescribeTasks, and whether GetTaskProtection called it protected.
type Task struct {
	ARN               string    `json:"arn"`
	Version           int64     `json:"version"`
	TaskDefinition    string    `json:"taskDefinition"` // ARN
	Group             string    `json:"group"`
	StartedBy         string    `json:"startedBy,omitempty"`
	ContainerInstance string    `json:"containerInstance,omitempty"` // ARN; empty while it waits for capacity
	CapacityProvider  string    `json:"capacityProvider,omitempty"`
	LaunchType        string    `json:"launchType,omitempty"`
	LastStatus        string    `json:"lastStatus"`
	DesiredStatus     string    `json:"desiredStatus"`
	CPU               string    `json:"cpu,omitempty"`
	Memory            string    `json:"memory,omitempty"`
	Overrides         Overrides `json:"overrides,omitzero"`
	CreatedAt         time.Time `json:"createdAt,omitzero"`
	Protected         bool      `json:"protected,omitempty"`
	Tags              []Tag     `json:"tags,omitempty"`
}

// Refused is a number of like standalone tasks that ECS would not start for lack of room.
// They do not exist: who asked for them is expected to ask again.
type Refused struct {
	TaskDefinition   string          `json:"taskDefinition"` // ARN
	Group            string          `json:"group"`
	CapacityProvider string          `json:"capacityProvider,omitempty"`
	LaunchType       string          `json:"launchType,omitempty"`
	Overrides        Overrides       `json:"overrides,omitzero"`
	Constraints      []Constraint    `json:"constraints,omitempty"` // of the call, beside those of the definition
	Placement        []PlacementRule `json:"placement,omitempty"`
	Subnets          []string        `json:"subnets,omitempty"`
	Count            int             `json:"count"`
	Since            time.Time       `json:"since,omitzero"`
	Reason           string          `json:"reason,omitempty"` // what ECS gave: for people
}

// Overrides are the overrides of RunTask that change what a task reserves.
type Overrides struct {
	CPU        string              `json:"cpu,omitempty"`
	Memory     string              `json:"memory,omitempty"`
	Containers []ContainerOverride `json:"containers,omitempty"`
}

// ContainerOverride overrides one container; nil leaves the definition's value.
type ContainerOverride struct {
	Name              string `json:"name"`
	CPU               *int64 `json:"cpu,omitempty"`
	Memory            *int64 `json:"memory,omitempty"`
	MemoryReservation *int64 `json:"memoryReservation,omitempty"`
	GPUs              string `json:"gpus,omitempty"`
}

// TaskDefinition is one answer of DescribeTaskDefinition. A revision never changes, so it
// may be cached for ever; only its tags may, which are read once.
type TaskDefinition struct {
	ARN                string            `json:"arn"`
	CPU                string            `json:"cpu,omitempty"`
	Memory             string            `json:"memory,omitempty"`
	NetworkMode        string            `json:"networkMode,omitempty"` // awsvpc, bridge, host, none; empty is bridge
	Containers         []Container       `json:"containers,omitempty"`
	Constraints        []Constraint      `json:"constraints,omitempty"`
	RequiresAttributes []fleet.Attribute `json:"requiresAttributes,omitempty"`
	CPUArchitecture    string            `json:"cpuArchitecture,omitempty"` // X86_64, ARM64
	OSFamily           string            `json:"osFamily,omitempty"`        // LINUX, WINDOWS_SERVER_…
	Tags               []Tag             `json:"tags,omitempty"`
}

// Container is one container of a task definition.
type Container struct {
	Name              string        `json:"name"`
	CPU               int64         `json:"cpu,omitempty"`
	Memory            int64         `json:"memory,omitempty"`
	MemoryReservation int64         `json:"memoryReservation,omitempty"`
	GPUs              string        `json:"gpus,omitempty"` // a number, or ALL
	Ports             []PortMapping `json:"ports,omitempty"`
}

// PortMapping is one port mapping of a container.
type PortMapping struct {
	ContainerPort int    `json:"containerPort,omitempty"`
	HostPort      int    `json:"hostPort,omitempty"`
	Range         string `json:"range,omitempty"`    // containerPortRange: "8000-8010"
	Protocol      string `json:"protocol,omitempty"` // tcp or udp; empty is tcp
}

// Catalogue is what EC2 sells in the region.
type Catalogue struct {
	Read
	Types  []InstanceType
	Offers []Offer
	Prices []Price
	Spot   []SpotPrice
}

// InstanceType is one answer of DescribeInstanceTypes.
type InstanceType struct {
	Name          string   `json:"name"`
	Architectures []string `json:"architectures,omitempty"`
	VCPUs         int64    `json:"vcpus"`
	MemoryMiB     int64    `json:"memoryMiB"`
	GPUs          int64    `json:"gpus,omitempty"`
	MaxENIs       int64    `json:"maxENIs,omitempty"`
	TrunkTasks    int64    `json:"trunkTasks,omitempty"` // awsvpc tasks with ENI trunking; in no API, see adapters/cloud
	Burstable     bool     `json:"burstable,omitempty"`
	Metal         bool     `json:"metal,omitempty"`
	DiskGiB       int64    `json:"diskGiB,omitempty"`     // of disks of its own
	NetworkMbps   int64    `json:"networkMbps,omitempty"` // that it can keep up
}

// Offer is one answer of DescribeInstanceTypeOfferings: the zone sells the type.
type Offer struct {
	Type string `json:"type"`
	Zone string `json:"zone"`
}

// Price is an on-demand price of the price list: of Linux, or of Windows with its licence.
// Zero and less are no prices.
type Price struct {
	Type     string      `json:"type"`
	OnDemand fleet.Price `json:"onDemand,omitempty"`
	Windows  fleet.Price `json:"windows,omitempty"`
}

// SpotPrice is one answer of DescribeSpotPriceHistory; the newest of a type, zone and
// operating system holds.
type SpotPrice struct {
	Type string      `json:"type"`
	Zone string      `json:"zone"`
	Spot fleet.Price `json:"spot"`
	At   time.Time   `json:"at,omitzero"`

	Windows bool `json:"windows,omitempty"` // else of Linux
}

// Network is subnets and images.
type Network struct {
	Read
	Subnets []Subnet
	Images  []Image
}

// Subnet is one answer of DescribeSubnets.
type Subnet struct {
	ID            string `json:"id"`
	Zone          string `json:"zone"`
	VPC           string `json:"vpc,omitempty"`
	FreeAddresses int    `json:"freeAddresses"`
}

// Image is an image of the policy: an SSM parameter or an image ID, and what it stands for.
type Image struct {
	Parameter    string `json:"parameter"`
	ID           string `json:"id"`
	Architecture string `json:"architecture,omitempty"` // x86_64, arm64
	OSFamily     string `json:"osFamily,omitempty"`     // of Windows: WINDOWS_SERVER_2022_CORE
}

// Notice is a warning from EC2 that it is going to take an instance.
type Notice struct {
	Instance fleet.InstanceID
	Kind     fleet.NoticeKind
	At       time.Time
}

// Protection keeps an instance, and says why.
type Protection struct {
	Instance fleet.InstanceID
	Why      string
}
