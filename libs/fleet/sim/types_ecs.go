package sim

// The structures of ECS. Names and json tags are those of the ECS API; fields that an
// autoscaler has no use for are absent, and an unknown field of a request is ignored.

// Tag is a tag of ECS or EC2.
type Tag struct {
	Key   string `json:"key" xml:"key"`
	Value string `json:"value" xml:"value"`
}

// KeyValue is ECS's KeyValuePair.
type KeyValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Attribute is an ECS attribute of a container instance, or one that a task requires.
type Attribute struct {
	Name       string `json:"name"`
	Value      string `json:"value,omitempty"`
	TargetType string `json:"targetType,omitempty"`
	TargetID   string `json:"targetId,omitempty"`
}

// Failure is one failed item of a batch.
type Failure struct {
	Arn    string `json:"arn,omitempty"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// CapacityProviderStrategyItem is one item of a capacity provider strategy.
type CapacityProviderStrategyItem struct {
	CapacityProvider string `json:"capacityProvider"`
	Weight           int    `json:"weight"`
	Base             int    `json:"base"`
}

// Cluster is an ECS cluster.
type Cluster struct {
	ClusterArn                        string                         `json:"clusterArn"`
	ClusterName                       string                         `json:"clusterName"`
	Status                            string                         `json:"status"`
	RegisteredContainerInstancesCount int                            `json:"registeredContainerInstancesCount"`
	RunningTasksCount                 int                            `json:"runningTasksCount"`
	PendingTasksCount                 int                            `json:"pendingTasksCount"`
	ActiveServicesCount               int                            `json:"activeServicesCount"`
	Statistics                        []KeyValue                     `json:"statistics"`
	Tags                              []Tag                          `json:"tags"`
	Settings                          []KeyValue                     `json:"settings"`
	CapacityProviders                 []string                       `json:"capacityProviders"`
	DefaultCapacityProviderStrategy   []CapacityProviderStrategyItem `json:"defaultCapacityProviderStrategy"`
}

// CapacityProvider is an ECS capacity provider.
type CapacityProvider struct {
	CapacityProviderArn      string                    `json:"capacityProviderArn"`
	Name                     string                    `json:"name"`
	Status                   string                    `json:"status"`
	AutoScalingGroupProvider *AutoScalingGroupProvider `json:"autoScalingGroupProvider,omitempty"`
	UpdateStatus             string                    `json:"updateStatus,omitempty"`
	Type                     string                    `json:"type,omitempty"`
	Tags                     []Tag                     `json:"tags"`
}

// AutoScalingGroupProvider binds a capacity provider to an auto scaling group.
type AutoScalingGroupProvider struct {
	AutoScalingGroupArn          string          `json:"autoScalingGroupArn"`
	ManagedScaling               *ManagedScaling `json:"managedScaling,omitempty"`
	ManagedTerminationProtection string          `json:"managedTerminationProtection,omitempty"`
	ManagedDraining              string          `json:"managedDraining,omitempty"`
}

// ManagedScaling is ECS's own scaling of an auto scaling group.
type ManagedScaling struct {
	Status         string `json:"status"`
	TargetCapacity int    `json:"targetCapacity,omitempty"`
	// MinimumScalingStepSize and MaximumScalingStepSize bound one scale-out, in instances.
	MinimumScalingStepSize int  `json:"minimumScalingStepSize,omitempty"`
	MaximumScalingStepSize int  `json:"maximumScalingStepSize,omitempty"`
	InstanceWarmupPeriod   *int `json:"instanceWarmupPeriod,omitempty"` // seconds
}

// PortMapping is a port of a container.
type PortMapping struct {
	ContainerPort int    `json:"containerPort,omitempty"`
	HostPort      int    `json:"hostPort"`
	Protocol      string `json:"protocol,omitempty"`
	Name          string `json:"name,omitempty"`
	AppProtocol   string `json:"appProtocol,omitempty"`

	ContainerPortRange string `json:"containerPortRange,omitempty"`
}

// ResourceRequirement is a GPU (or other special resource) that a container asks for.
type ResourceRequirement struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// HealthCheck is a container's health check; times are in seconds.
type HealthCheck struct {
	Command     []string `json:"command"`
	Interval    int      `json:"interval,omitempty"`
	Timeout     int      `json:"timeout,omitempty"`
	Retries     int      `json:"retries,omitempty"`
	StartPeriod int      `json:"startPeriod,omitempty"`
}

// LogConfiguration names the log driver of a container.
type LogConfiguration struct {
	LogDriver string            `json:"logDriver"`
	Options   map[string]string `json:"options,omitempty"`

	SecretOptions []Secret `json:"secretOptions,omitempty"`
}

// ContainerDefinition is one container of a task definition.
type ContainerDefinition struct {
	Name                 string                `json:"name"`
	Image                string                `json:"image,omitempty"`
	CPU                  int64                 `json:"cpu"`
	Memory               int64                 `json:"memory,omitempty"`
	MemoryReservation    int64                 `json:"memoryReservation,omitempty"`
	PortMappings         []PortMapping         `json:"portMappings"`
	Essential            *bool                 `json:"essential,omitempty"`
	Environment          []KeyValue            `json:"environment"`
	ResourceRequirements []ResourceRequirement `json:"resourceRequirements,omitempty"`
	StopTimeout          int                   `json:"stopTimeout,omitempty"`
	StartTimeout         int                   `json:"startTimeout,omitempty"`
	HealthCheck          *HealthCheck          `json:"healthCheck,omitempty"`
	LogConfiguration     *LogConfiguration     `json:"logConfiguration,omitempty"`
	Command              []string              `json:"command,omitempty"`
	EntryPoint           []string              `json:"entryPoint,omitempty"`

	RepositoryCredentials *RepositoryCredentials  `json:"repositoryCredentials,omitempty"`
	Links                 []string                `json:"links,omitempty"`
	RestartPolicy         *ContainerRestartPolicy `json:"restartPolicy,omitempty"`
	EnvironmentFiles      []EnvironmentFile       `json:"environmentFiles,omitempty"`
	MountPoints           []MountPoint            `json:"mountPoints"`
	VolumesFrom           []map[string]any        `json:"volumesFrom"`
	LinuxParameters       map[string]any          `json:"linuxParameters,omitempty"`
	Secrets               []Secret                `json:"secrets,omitempty"`
	DependsOn             []ContainerDependency   `json:"dependsOn,omitempty"`
	VersionConsistency    string                  `json:"versionConsistency,omitempty"`
	Hostname              string                  `json:"hostname,omitempty"`
	User                  string                  `json:"user,omitempty"`
	WorkingDirectory      string                  `json:"workingDirectory,omitempty"`
	Privileged            bool                    `json:"privileged,omitempty"`
	ReadonlyRootFS        bool                    `json:"readonlyRootFilesystem,omitempty"`
	DockerLabels          map[string]string       `json:"dockerLabels,omitempty"`
	DockerSecurityOptions []string                `json:"dockerSecurityOptions,omitempty"`
	Ulimits               []map[string]any        `json:"ulimits,omitempty"`
	SystemControls        []map[string]any        `json:"systemControls"`
	Firelens              *FirelensConfiguration  `json:"firelensConfiguration,omitempty"`
	CredentialSpecs       []string                `json:"credentialSpecs,omitempty"`
}

// RuntimePlatform is the platform a task is built for.
type RuntimePlatform struct {
	CPUArchitecture       string `json:"cpuArchitecture,omitempty"`
	OperatingSystemFamily string `json:"operatingSystemFamily,omitempty"`
}

// PlacementConstraint is a rule that binds placement: memberOf or distinctInstance.
type PlacementConstraint struct {
	Type       string `json:"type"`
	Expression string `json:"expression,omitempty"`
}

// PlacementStrategy is one rule of a placement strategy.
type PlacementStrategy struct {
	Type  string `json:"type"`
	Field string `json:"field,omitempty"`
}

// TaskDefinition is a registered revision of a task definition.
type TaskDefinition struct {
	TaskDefinitionArn       string                `json:"taskDefinitionArn"`
	Family                  string                `json:"family"`
	Revision                int                   `json:"revision"`
	Status                  string                `json:"status"`
	ContainerDefinitions    []ContainerDefinition `json:"containerDefinitions"`
	CPU                     string                `json:"cpu,omitempty"`
	Memory                  string                `json:"memory,omitempty"`
	NetworkMode             string                `json:"networkMode,omitempty"`
	TaskRoleArn             string                `json:"taskRoleArn,omitempty"`
	ExecutionRoleArn        string                `json:"executionRoleArn,omitempty"`
	PlacementConstraints    []PlacementConstraint `json:"placementConstraints"`
	RequiresAttributes      []Attribute           `json:"requiresAttributes,omitempty"`
	Compatibilities         []string              `json:"compatibilities,omitempty"`
	RequiresCompatibilities []string              `json:"requiresCompatibilities,omitempty"`
	RuntimePlatform         *RuntimePlatform      `json:"runtimePlatform,omitempty"`
	RegisteredAt            Timestamp             `json:"registeredAt,omitzero"`
	RegisteredBy            string                `json:"registeredBy,omitempty"`
	DeregisteredAt          Timestamp             `json:"deregisteredAt,omitzero"`
	DeleteRequestedAt       Timestamp             `json:"deleteRequestedAt,omitzero"`
	Volumes                 []TaskVolume          `json:"volumes"`
	PidMode                 string                `json:"pidMode,omitempty"`
	IpcMode                 string                `json:"ipcMode,omitempty"`
	ProxyConfiguration      *ProxyConfiguration   `json:"proxyConfiguration,omitempty"`
	EnableFaultInjection    bool                  `json:"enableFaultInjection,omitempty"`
}

// AwsvpcConfiguration is the network of a task in awsvpc mode.
type AwsvpcConfiguration struct {
	Subnets        []string `json:"subnets"`
	SecurityGroups []string `json:"securityGroups,omitempty"`
	AssignPublicIP string   `json:"assignPublicIp,omitempty"`
}

// NetworkConfiguration is the network of a service or task.
type NetworkConfiguration struct {
	AwsvpcConfiguration *AwsvpcConfiguration `json:"awsvpcConfiguration,omitempty"`
}

// DeploymentCircuitBreaker stops deployments that cannot start tasks.
type DeploymentCircuitBreaker struct {
	Enable   bool `json:"enable"`
	Rollback bool `json:"rollback"`
	// ResetOnHealthyTask is true unless told: a healthy task sets the failures to 0.
	ResetOnHealthyTask     *bool                   `json:"resetOnHealthyTask,omitempty"`
	ThresholdConfiguration *ThresholdConfiguration `json:"thresholdConfiguration,omitempty"`
}

// DeploymentConfiguration bounds how far a deployment may go from the desired count.
type DeploymentConfiguration struct {
	DeploymentCircuitBreaker *DeploymentCircuitBreaker `json:"deploymentCircuitBreaker,omitempty"`
	MaximumPercent           *int                      `json:"maximumPercent,omitempty"`
	MinimumHealthyPercent    *int                      `json:"minimumHealthyPercent,omitempty"`
}

// DeploymentController says who deploys a service.
type DeploymentController struct {
	Type string `json:"type"`
}

// LoadBalancer binds a service to a load balancer.
type LoadBalancer struct {
	TargetGroupArn string `json:"targetGroupArn,omitempty"`
	// LoadBalancerName is that of a Classic Load Balancer, which has no target groups.
	LoadBalancerName string `json:"loadBalancerName,omitempty"`
	ContainerName    string `json:"containerName,omitempty"`
	ContainerPort    int    `json:"containerPort,omitempty"`
}

// ServiceEvent is one line of what the service scheduler says.
type ServiceEvent struct {
	ID        string    `json:"id"`
	CreatedAt Timestamp `json:"createdAt"`
	Message   string    `json:"message"`
}

// Deployment is one deployment of a service.
type Deployment struct {
	ID                       string                         `json:"id"`
	Status                   string                         `json:"status"` // PRIMARY, ACTIVE
	TaskDefinition           string                         `json:"taskDefinition"`
	DesiredCount             int                            `json:"desiredCount"`
	PendingCount             int                            `json:"pendingCount"`
	RunningCount             int                            `json:"runningCount"`
	FailedTasks              int                            `json:"failedTasks"`
	CreatedAt                Timestamp                      `json:"createdAt"`
	UpdatedAt                Timestamp                      `json:"updatedAt"`
	CapacityProviderStrategy []CapacityProviderStrategyItem `json:"capacityProviderStrategy,omitempty"`
	LaunchType               string                         `json:"launchType,omitempty"`
	NetworkConfiguration     *NetworkConfiguration          `json:"networkConfiguration,omitempty"`
	RolloutState             string                         `json:"rolloutState,omitempty"`
	RolloutStateReason       string                         `json:"rolloutStateReason,omitempty"`
}

// Service is an ECS service.
type Service struct {
	ServiceArn                    string                         `json:"serviceArn"`
	ServiceName                   string                         `json:"serviceName"`
	ClusterArn                    string                         `json:"clusterArn"`
	LoadBalancers                 []LoadBalancer                 `json:"loadBalancers"`
	Status                        string                         `json:"status"`
	DesiredCount                  int                            `json:"desiredCount"`
	RunningCount                  int                            `json:"runningCount"`
	PendingCount                  int                            `json:"pendingCount"`
	LaunchType                    string                         `json:"launchType,omitempty"`
	CapacityProviderStrategy      []CapacityProviderStrategyItem `json:"capacityProviderStrategy,omitempty"`
	TaskDefinition                string                         `json:"taskDefinition"`
	DeploymentConfiguration       *DeploymentConfiguration       `json:"deploymentConfiguration,omitempty"`
	Deployments                   []Deployment                   `json:"deployments"`
	Events                        []ServiceEvent                 `json:"events"`
	CreatedAt                     Timestamp                      `json:"createdAt"`
	PlacementConstraints          []PlacementConstraint          `json:"placementConstraints"`
	PlacementStrategy             []PlacementStrategy            `json:"placementStrategy"`
	NetworkConfiguration          *NetworkConfiguration          `json:"networkConfiguration,omitempty"`
	HealthCheckGracePeriodSeconds int                            `json:"healthCheckGracePeriodSeconds,omitempty"`
	SchedulingStrategy            string                         `json:"schedulingStrategy"`
	DeploymentController          *DeploymentController          `json:"deploymentController,omitempty"`
	AvailabilityZoneRebalancing   string                         `json:"availabilityZoneRebalancing,omitempty"`
	EnableECSManagedTags          bool                           `json:"enableECSManagedTags"`
	PropagateTags                 string                         `json:"propagateTags,omitempty"`
	EnableExecuteCommand          bool                           `json:"enableExecuteCommand"`
	CurrentServiceDeployment      string                         `json:"currentServiceDeployment,omitempty"`
	CurrentServiceRevisions       []ServiceCurrentRevision       `json:"currentServiceRevisions,omitempty"`
	Tags                          []Tag                          `json:"tags,omitempty"`
}

// Attachment is a network interface of a task, or the trunk of a container instance.
type Attachment struct {
	ID      string     `json:"id"`
	Type    string     `json:"type"`
	Status  string     `json:"status"`
	Details []KeyValue `json:"details"`
}

// Container is one container of a task.
type Container struct {
	ContainerArn      string `json:"containerArn"`
	TaskArn           string `json:"taskArn"`
	Name              string `json:"name"`
	Image             string `json:"image,omitempty"`
	LastStatus        string `json:"lastStatus"`
	ExitCode          *int   `json:"exitCode,omitempty"`
	Reason            string `json:"reason,omitempty"`
	HealthStatus      string `json:"healthStatus,omitempty"`
	CPU               string `json:"cpu,omitempty"`
	Memory            string `json:"memory,omitempty"`
	MemoryReservation string `json:"memoryReservation,omitempty"`
}

// ContainerOverride overrides one container of a task.
type ContainerOverride struct {
	Name                 string                `json:"name"`
	Command              []string              `json:"command,omitempty"`
	Environment          []KeyValue            `json:"environment,omitempty"`
	CPU                  *int64                `json:"cpu,omitempty"`
	Memory               *int64                `json:"memory,omitempty"`
	MemoryReservation    *int64                `json:"memoryReservation,omitempty"`
	ResourceRequirements []ResourceRequirement `json:"resourceRequirements,omitempty"`
}

// TaskOverride overrides what a task definition says.
type TaskOverride struct {
	ContainerOverrides []ContainerOverride `json:"containerOverrides"`
	CPU                string              `json:"cpu,omitempty"`
	Memory             string              `json:"memory,omitempty"`
	TaskRoleArn        string              `json:"taskRoleArn,omitempty"`
	ExecutionRoleArn   string              `json:"executionRoleArn,omitempty"`
}

// Task is an ECS task.
type Task struct {
	TaskArn              string        `json:"taskArn"`
	ClusterArn           string        `json:"clusterArn"`
	TaskDefinitionArn    string        `json:"taskDefinitionArn"`
	ContainerInstanceArn string        `json:"containerInstanceArn,omitempty"`
	CapacityProviderName string        `json:"capacityProviderName,omitempty"`
	Overrides            *TaskOverride `json:"overrides,omitempty"`
	LastStatus           string        `json:"lastStatus"`
	DesiredStatus        string        `json:"desiredStatus"`
	HealthStatus         string        `json:"healthStatus"`
	CPU                  string        `json:"cpu,omitempty"`
	Memory               string        `json:"memory,omitempty"`
	Containers           []Container   `json:"containers"`
	StartedBy            string        `json:"startedBy,omitempty"`
	Version              int64         `json:"version"`
	StoppedReason        string        `json:"stoppedReason,omitempty"`
	StopCode             string        `json:"stopCode,omitempty"`
	Connectivity         string        `json:"connectivity,omitempty"`
	ConnectivityAt       Timestamp     `json:"connectivityAt,omitzero"`
	PullStartedAt        Timestamp     `json:"pullStartedAt,omitzero"`
	PullStoppedAt        Timestamp     `json:"pullStoppedAt,omitzero"`
	ExecutionStoppedAt   Timestamp     `json:"executionStoppedAt,omitzero"`
	CreatedAt            Timestamp     `json:"createdAt"`
	StartedAt            Timestamp     `json:"startedAt,omitzero"`
	StoppingAt           Timestamp     `json:"stoppingAt,omitzero"`
	StoppedAt            Timestamp     `json:"stoppedAt,omitzero"`
	Group                string        `json:"group"`
	LaunchType           string        `json:"launchType,omitempty"`
	Attachments          []Attachment  `json:"attachments"`
	Attributes           []Attribute   `json:"attributes"`
	AvailabilityZone     string        `json:"availabilityZone,omitempty"`
	Tags                 []Tag         `json:"tags"`
}

// VersionInfo says what an agent runs.
type VersionInfo struct {
	AgentVersion  string `json:"agentVersion,omitempty"`
	AgentHash     string `json:"agentHash,omitempty"`
	DockerVersion string `json:"dockerVersion,omitempty"`
}

// Resource is a quantity that a container instance registers: CPU, MEMORY (INTEGER),
// PORTS, PORTS_UDP, GPU (STRINGSET).
type Resource struct {
	Name           string   `json:"name"`
	Type           string   `json:"type"`
	DoubleValue    float64  `json:"doubleValue"`
	LongValue      int64    `json:"longValue"`
	IntegerValue   int64    `json:"integerValue"`
	StringSetValue []string `json:"stringSetValue,omitempty"`
}

// ContainerInstanceHealthStatus is the health that the agent reports.
type ContainerInstanceHealthStatus struct {
	OverallStatus string                      `json:"overallStatus"`
	Details       []InstanceHealthCheckResult `json:"details,omitempty"`
}

// ContainerInstance is an EC2 instance as ECS knows it.
type ContainerInstance struct {
	ContainerInstanceArn string                         `json:"containerInstanceArn"`
	Ec2InstanceID        string                         `json:"ec2InstanceId"`
	CapacityProviderName string                         `json:"capacityProviderName,omitempty"`
	Version              int64                          `json:"version"`
	VersionInfo          VersionInfo                    `json:"versionInfo"`
	RemainingResources   []Resource                     `json:"remainingResources"`
	RegisteredResources  []Resource                     `json:"registeredResources"`
	Status               string                         `json:"status"`
	StatusReason         string                         `json:"statusReason,omitempty"`
	AgentConnected       bool                           `json:"agentConnected"`
	RunningTasksCount    int                            `json:"runningTasksCount"`
	PendingTasksCount    int                            `json:"pendingTasksCount"`
	AgentUpdateStatus    string                         `json:"agentUpdateStatus,omitempty"`
	Attributes           []Attribute                    `json:"attributes"`
	RegisteredAt         Timestamp                      `json:"registeredAt"`
	Attachments          []Attachment                   `json:"attachments"`
	Tags                 []Tag                          `json:"tags"`
	HealthStatus         *ContainerInstanceHealthStatus `json:"healthStatus,omitempty"`
}

// ProtectedTask is the scale-in protection of a task.
type ProtectedTask struct {
	TaskArn           string    `json:"taskArn"`
	ProtectionEnabled bool      `json:"protectionEnabled"`
	ExpirationDate    Timestamp `json:"expirationDate,omitzero"`
}

// AccountSetting is one setting of the account.
type AccountSetting struct {
	Name         string `json:"name"`
	Value        string `json:"value"`
	PrincipalArn string `json:"principalArn"`
	Type         string `json:"type,omitempty"`
}
