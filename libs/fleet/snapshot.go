package fleet

import "time"

// Snapshot is one cluster at one instant, as far as it could be seen. Tables refer to one
// another by index, and tasks are counted, not listed, so that the largest cluster that
// ECS allows stays small. [Snapshot.Canonical] defines the order of every table.
type Snapshot struct {
	Cluster    ClusterName `json:"cluster"`
	Account    string      `json:"account,omitempty"`
	Region     string      `json:"region"`
	Generation uint64      `json:"generation"`

	// ReadStartedAt is when the oldest read that went into the snapshot began; snapshots
	// of a cluster are ordered by it. TakenAt is when the newest one ended: it is "now"
	// for every decision made on this snapshot.
	ReadStartedAt time.Time `json:"readStartedAt"`
	TakenAt       time.Time `json:"takenAt"`
	Sections      []Section `json:"sections"`

	AttributeSets [][]Attribute  `json:"attributeSets"`
	Instances     []Instance     `json:"instances"`
	TaskGroups    []TaskGroup    `json:"taskGroups"`
	Tasks         []TaskCount    `json:"tasks"`
	Waiting       []Waiting      `json:"waiting,omitempty"`
	Services      []Service      `json:"services"`
	Types         []InstanceType `json:"types"`
	Learned       []Learned      `json:"learned,omitempty"`
	Images        []Image        `json:"images,omitempty"`
	Subnets       []Subnet       `json:"subnets"`
}

// SectionName is a part of a snapshot that is read by itself.
type SectionName string

// The sections of a snapshot.
const (
	SectionInstances SectionName = "instances" // ECS container instances
	SectionEC2       SectionName = "ec2"       // EC2 instances
	SectionServices  SectionName = "services"  // services and their deployments
	SectionTasks     SectionName = "tasks"     // tasks and their definitions
	SectionCatalogue SectionName = "catalogue" // instance types and prices
	SectionNetwork   SectionName = "network"   // subnets and images
)

// Section says when a part was read and whether all of it was. Neap removes nothing
// voluntarily while any section is incomplete.
type Section struct {
	Name     SectionName `json:"name"`
	ReadAt   time.Time   `json:"readAt"`
	Complete bool        `json:"complete"`
	Problem  string      `json:"problem,omitempty"` // why it is not complete; of a complete one, what stands in for what could not be read
}

// InstanceStatus is where an instance is in its life.
type InstanceStatus string

// The statuses of an instance: launching is an EC2 instance that has no container
// instance yet; the others are the statuses of ECS, and gone is a container instance
// whose EC2 instance has ended.
const (
	StatusLaunching     InstanceStatus = "launching"
	StatusRegistering   InstanceStatus = "registering"
	StatusActive        InstanceStatus = "active"
	StatusDraining      InstanceStatus = "draining"
	StatusDeregistering InstanceStatus = "deregistering"
	StatusGone          InstanceStatus = "gone"
)

// Instance is an EC2 instance of the cluster and, once registered, its container instance.
type Instance struct {
	ID                InstanceID          `json:"id"`
	ContainerInstance ContainerInstanceID `json:"containerInstance,omitempty"`
	Status            InstanceStatus      `json:"status"`

	Type             TypeName     `json:"type"`
	Zone             Zone         `json:"zone"`
	Subnet           SubnetID     `json:"subnet,omitempty"`
	Lifecycle        Lifecycle    `json:"lifecycle"`
	Architecture     Architecture `json:"architecture,omitempty"`
	Image            ImageID      `json:"image,omitempty"`
	AutoScalingGroup string       `json:"autoScalingGroup,omitempty"`
	CapacityProvider string       `json:"capacityProvider,omitempty"`

	// What the tags in the launch call say: who owns the instance, which launch spec and
	// action made it, and which drain has it in hand. Empty means: not ours.
	Owner      string         `json:"owner,omitempty"`
	LaunchSpec LaunchSpecName `json:"launchSpec,omitempty"`
	Action     ActionID       `json:"action,omitempty"`
	Drain      ActionID       `json:"drain,omitempty"`
	Spec       string         `json:"spec,omitempty"` // fingerprint of the launch spec when it was launched

	LaunchedAt     time.Time `json:"launchedAt,omitzero"`
	RegisteredAt   time.Time `json:"registeredAt,omitzero"`
	AgentConnected bool      `json:"agentConnected,omitempty"`
	Impaired       bool      `json:"impaired,omitempty"` // EC2's status checks of it fail
	AgentVersion   string    `json:"agentVersion,omitempty"`

	// Attributes is an index into Snapshot.AttributeSets, or NoIndex. OwnAttributes are the
	// few that differ on every instance (ecs.awsvpc-trunk-id) and would defeat interning.
	Attributes    int         `json:"attributes"`
	OwnAttributes []Attribute `json:"ownAttributes,omitempty"`

	// Registered is what the instance brought, Remaining what ECS will still place on it:
	// tasks that are stopping no longer count. ENIs are counted by Neap: ECS does not say.
	Registered Resources `json:"registered,omitzero"`
	Remaining  Resources `json:"remaining,omitzero"`
	UsedPorts  Ports     `json:"usedPorts,omitempty"`

	Notice    Notice `json:"notice,omitzero"`
	Protected string `json:"protected,omitempty"` // why it must stay, if a person or EC2 says so
}

// NoIndex stands for "none" where a table refers to another.
const NoIndex = -1

// Owned reports whether an installation of Neap launched the instance.
func (i *Instance) Owned(installation string) bool {
	return installation != "" && i.Owner == installation
}

// IsRegistered reports whether the instance has a container instance, whatever its status.
func (i *Instance) IsRegistered() bool { return i.ContainerInstance != "" }

// Notice is a warning from AWS that it is going to take the instance.
type Notice struct {
	Kind NoticeKind `json:"kind,omitempty"`
	At   time.Time  `json:"at,omitzero"` // when the notice was given
}

// NoticeKind is the kind of a [Notice].
type NoticeKind string

// The notices Neap acts on.
const (
	NoticeInterruption NoticeKind = "spot-interruption" // two minutes, at best
	NoticeRebalance    NoticeKind = "rebalance"         // a hint that an interruption is likely
)

// TaskGroup is a set of interchangeable tasks: the same ECS task group and the same task
// definition with the same overrides, hence the same needs and rules.
type TaskGroup struct {
	Group          string `json:"group"`          // "service:web" or "family:migrate"
	TaskDefinition string `json:"taskDefinition"` // "web:7"
	Overrides      string `json:"overrides,omitempty"`

	Needs              Resources    `json:"needs"`
	Ports              Ports        `json:"ports,omitempty"`
	Unsized            bool         `json:"unsized,omitempty"` // the definition could not be read: demand of unknown size
	Constraints        []string     `json:"constraints,omitempty"`
	Distinct           bool         `json:"distinct,omitempty"` // distinctInstance over Group
	RequiredAttributes []Attribute  `json:"requiredAttributes,omitempty"`
	Architecture       Architecture `json:"architecture,omitempty"`
	Zones              []Zone       `json:"zones,omitempty"` // of the awsvpc subnets; empty is any
	Strategy           []Strategy   `json:"strategy,omitempty"`
	CapacityProvider   string       `json:"capacityProvider,omitempty"`

	Daemon     bool `json:"daemon,omitempty"`
	Standalone bool `json:"standalone,omitempty"` // run by RunTask: nothing starts it again elsewhere
	Restricted bool `json:"restricted,omitempty"` // tagged so that its instance must not be removed
}

// Strategy is one rule of an ECS placement strategy.
type Strategy struct {
	Type  StrategyType `json:"type"`
	Field string       `json:"field,omitempty"`
}

// StrategyType is the type of a placement strategy rule.
type StrategyType string

// The placement strategies of ECS.
const (
	StrategySpread  StrategyType = "spread"
	StrategyBinpack StrategyType = "binpack"
	StrategyRandom  StrategyType = "random"
)

// TaskCount is how many tasks of a group an instance holds.
type TaskCount struct {
	Instance  int `json:"instance"` // index into Instances
	Group     int `json:"group"`    // index into TaskGroups
	Running   int `json:"running"`  // desired status RUNNING: placed, whether started or not
	Pending   int `json:"pending,omitempty"`
	Stopping  int `json:"stopping,omitempty"` // desired status STOPPED but not ended: no room reserved, yet the instance is not empty
	Protected int `json:"protected,omitempty"`
}

// Waiting are tasks that exist without an instance: PROVISIONING in a capacity provider. Or
// they were refused: standalone tasks that found no room, so that RunTask did not even make
// them, and that are expected to be asked for again.
type Waiting struct {
	Group   int       `json:"group"`
	Count   int       `json:"count"`
	Since   time.Time `json:"since,omitzero"`
	Refused bool      `json:"refused,omitempty"`
}

// Scheduling is the scheduling strategy of a service.
type Scheduling string

// The scheduling strategies of ECS.
const (
	Replica Scheduling = "replica"
	Daemon  Scheduling = "daemon"
)

// Service is an ECS service of the EC2 launch type or of an auto scaling group's capacity
// provider. Others (Fargate, external, managed instances) need no capacity from Neap and
// are left out.
type Service struct {
	Name              ServiceName  `json:"name"`
	Scheduling        Scheduling   `json:"scheduling"`
	Desired           int          `json:"desired"`
	MinHealthyPercent int          `json:"minHealthyPercent"`
	MaxPercent        int          `json:"maxPercent"`
	Restricted        bool         `json:"restricted,omitempty"`
	CreatedAt         time.Time    `json:"createdAt,omitzero"`
	Deployments       []Deployment `json:"deployments"`
	LastEvent         string       `json:"lastEvent,omitempty"` // what ECS said last: for people, never a trigger
}

// Deployment is one deployment (or task set) of a service.
type Deployment struct {
	ID        string    `json:"id"`
	Primary   bool      `json:"primary,omitempty"`
	Group     int       `json:"group"` // index into TaskGroups
	Desired   int       `json:"desired"`
	Running   int       `json:"running"`
	Pending   int       `json:"pending"`
	Failed    int       `json:"failed,omitempty"`
	Rollout   Rollout   `json:"rollout,omitempty"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
}

// Rollout is the state of a rolling deployment.
type Rollout string

// The rollout states of ECS.
const (
	RolloutInProgress Rollout = "in-progress"
	RolloutCompleted  Rollout = "completed"
	RolloutFailed     Rollout = "failed"
)

// InstanceType is an EC2 instance type with its price in each zone that sells it.
type InstanceType struct {
	Name          TypeName       `json:"name"`
	Architectures []Architecture `json:"architectures"`
	VCPUs         int64          `json:"vcpus"`
	MemoryMiB     int64          `json:"memoryMiB"` // nominal; less of it registers, see Offering
	GPUs          int64          `json:"gpus,omitempty"`
	MaxENIs       int64          `json:"maxENIs"`
	TrunkTasks    int64          `json:"trunkTasks,omitempty"` // awsvpc tasks with ENI trunking; 0 is unsupported
	Burstable     bool           `json:"burstable,omitempty"`
	Metal         bool           `json:"metal,omitempty"`
	DiskGiB       int64          `json:"diskGiB,omitempty"`     // of disks of its own; 0 is none, or not known
	NetworkMbps   int64          `json:"networkMbps,omitempty"` // that it can keep up; 0 is not known
	OnDemand      Price          `json:"onDemand"`              // of Linux; the same in all zones of a region
	Windows       Price          `json:"windows,omitempty"`     // on-demand, licence included; 0 is not known
	Zones         []ZoneOffer    `json:"zones"`
}

// ZoneOffer is where a type is sold, and for how much on the spot market. A price of zero
// is an unknown price: the offering is not used.
type ZoneOffer struct {
	Zone Zone  `json:"zone"`
	Spot Price `json:"spot,omitempty"`

	Windows Price `json:"windows,omitempty"` // the same for Windows
}

// Learned is the least that instances of a type and image were seen to register, of those
// whose agent keeps as much memory for the system.
type Learned struct {
	Type           TypeName  `json:"type"`
	Image          ImageID   `json:"image"`
	ReservedMemory int64     `json:"reservedMemoryMiB,omitempty"` // off the capacity already
	Capacity       Resources `json:"capacity"`
	SeenAt         time.Time `json:"seenAt,omitzero"` // the last registration
}

// Image is what an image parameter of the policy stands for at present.
type Image struct {
	Parameter    string       `json:"parameter"` // SSM parameter name, or the image ID itself
	ID           ImageID      `json:"id"`
	Architecture Architecture `json:"architecture,omitempty"`
	OSFamily     string       `json:"osFamily,omitempty"` // of Windows: WINDOWS_SERVER_2022_CORE
}

// Subnet is a subnet named by the policy or used by an instance.
type Subnet struct {
	ID            SubnetID `json:"id"`
	Zone          Zone     `json:"zone"`
	VPC           string   `json:"vpc,omitempty"`
	FreeAddresses int      `json:"freeAddresses"`
}
